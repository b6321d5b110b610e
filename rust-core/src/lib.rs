//! Lumos: a relational SQL engine behind one C header.
//!
//! The folders are the stages that data passes through; a module knows only the modules listed before it
//! (`tests/architecture.rs` keeps it so, `docs/architecture.md` explains it).

pub mod error;

pub mod common;

pub mod io;

pub mod wal;

pub mod durability;

pub mod batch;
pub mod catalog;
pub mod database;
pub mod ffi;
pub mod file;
pub mod session;
pub mod sql;
pub mod statistics;
pub mod storage;
pub mod table;
pub mod transaction;
