//! Random histories against a serial map.
