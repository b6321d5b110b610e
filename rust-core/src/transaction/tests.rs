//! End to end on a file system in memory.
