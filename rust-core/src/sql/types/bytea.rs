//! bytea.
