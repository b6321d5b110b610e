//! The only module that makes system calls. One trait, four file systems: real, in memory, fault-simulating,
//! and one that keeps changes of another in memory.

pub mod event_count;
pub mod fault;
pub mod memory;
pub mod os;
pub mod overlay;
pub mod system;
pub mod temporary;
pub mod vfs;
