//! The only module that makes system calls. One trait, three file systems: real, in memory, fault-simulating.

pub mod fault;
pub mod memory;
pub mod os;
pub mod system;
pub mod vfs;
