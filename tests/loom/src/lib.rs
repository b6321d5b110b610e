//! The pieces of the engine that Loom looks through: their sources, compiled with Loom's locks and atomics in the place of
//! the system's (`common::sync`), and the models that drive them. Every model runs in every order of steps that the
//! bounds of its test allow. No crate that a user builds has any of this.
#![allow(
    dead_code,
    unused_imports,
    unused_unsafe,
    reason = "the sources are whole files, and the models use a part of each; a checker's raw locks are safe"
)]

#[path = "../../../rust-core/src/error.rs"]
pub mod error;

#[path = "../../../rust-core/src/common/mod.rs"]
pub mod common;

#[path = "../../../rust-core/src/io/mod.rs"]
pub mod io;

#[path = "../../../rust-core/src/wal/mod.rs"]
pub mod wal;

#[path = "../../../rust-core/src/durability/mod.rs"]
pub mod durability;

/// The gate of checkpoints.
pub mod storage {
    #[path = "../../../../rust-core/src/storage/gate.rs"]
    mod gate;
    pub mod models;
}

/// Snapshots and publication.
pub mod transaction {
    pub mod models;
    #[path = "../../../../rust-core/src/transaction/publish.rs"]
    mod publish;
    #[path = "../../../../rust-core/src/transaction/snapshot.rs"]
    pub mod snapshot;
}

pub mod models;
