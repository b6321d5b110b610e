//! datetime_input.
