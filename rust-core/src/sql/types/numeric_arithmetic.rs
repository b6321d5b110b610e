//! numeric_arithmetic.
