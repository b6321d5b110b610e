//! Histories: what transactions may see of each other.
