//! The C interface: one file a C object. The only module that knows C.
//!
//! Every exported body runs in [`guard`]: handles are looked up in a table (a closed, foreign or null one is
//! `LUMOS_MISUSE`), panics are caught, errors become `lumos_error` objects. Out-parameters are written only
//! on success.

pub mod abi;
pub mod backup;
pub mod bind;
mod bound;
pub mod config;
pub mod connection;
pub mod copy;
pub mod database;
pub mod error;
pub mod guard;
pub mod handle;
pub mod library;
pub mod notification;
pub mod packed;
pub mod result;
pub mod seed;
pub mod statement;
pub mod text;
pub mod transaction;
