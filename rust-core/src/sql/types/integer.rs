//! integer.
