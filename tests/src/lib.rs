//! What the tests from outside share: sqllogictest files run against Lumos through its sessions.
//! Knows nothing of the engine's inside.

pub mod connection;
pub mod corpora;
pub mod isolation;
pub mod process;
pub mod report;
pub mod run;
pub mod tpch;
pub mod value;
