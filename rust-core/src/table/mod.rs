//! Rows and index entries over ordered trees, under a snapshot.
//!
//! Knows values, rows, keys, trees and transactions. Knows no names, no SQL and no plans.

pub mod build;
pub mod build_beside;
pub mod bulk;
pub mod computed;
pub mod conflict;
mod decode;
pub mod each_row;
pub mod index;
pub mod key;
pub mod layout;
pub mod limits;
pub mod lock;
pub mod part;
pub mod pending;
pub mod reference;
pub mod row;
pub mod runtime;
pub mod scan;
#[allow(clippy::module_inception, reason = "the folder is named for its main type")]
pub mod table;
pub mod value_tree;
pub mod verify;
