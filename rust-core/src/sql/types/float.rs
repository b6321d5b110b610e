//! float.
