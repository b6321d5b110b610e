//! numeric_functions.
