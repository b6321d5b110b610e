//! zone.
