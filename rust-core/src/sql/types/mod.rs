//! SQL types and values: identity, text form, arithmetic, casts. Knows nothing of columns, tables or plans.

pub mod data_type;
pub mod datum;
