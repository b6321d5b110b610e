//! datetime_output.
