//! Rows and index entries over ordered trees, under a snapshot.
//!
//! Knows values, rows, keys, trees and transactions. Knows no names, no SQL and no plans.

pub mod key;
pub mod layout;
pub mod row;
pub mod runtime;
