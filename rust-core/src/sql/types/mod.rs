//! SQL types and values: identity, text form, arithmetic, casts. Knows nothing of columns, tables or plans.

pub mod binary;
pub mod boolean;
pub mod bytea;
pub mod calendar;
pub mod cast;
pub mod compare;
pub mod data_type;
pub mod datetime_fields;
pub mod datetime_input;
pub mod datetime_output;
pub mod datum;
pub mod float;
pub mod integer;
pub mod interval;
pub mod interval_output;
pub mod interval_range;
pub mod numeric;
pub mod numeric_arithmetic;
pub mod numeric_functions;
pub mod packed;
pub mod sort_key;
pub mod text;
pub mod text_form;
pub mod text_style;
pub mod zone;
