//! The engine below SQL as Shuttle runs it: the sources, compiled with Shuttle's locks and atomics in the place of the
//! system's (`common::sync`). Threads change at each of their steps as a seed says. No crate that a user builds has any
//! of this.
#![allow(
    dead_code,
    unused_imports,
    unused_unsafe,
    reason = "the sources are whole folders, and the layers above are not here; a checker's raw locks are safe"
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

#[path = "../../../rust-core/src/storage/mod.rs"]
pub mod storage;

pub mod models;
#[path = "../../../rust-core/src/transaction/mod.rs"]
pub mod transaction;
