//! datetime_fields.
