//! boolean.
