//! Isolation scenarios: statements of several sessions in a given order, each with what it does at once or later.

pub mod judge;
pub mod run;
pub mod scenario;
