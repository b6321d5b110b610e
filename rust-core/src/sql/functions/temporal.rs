//! Dates, timestamps and intervals.

use crate::error::{Error, Result};
use crate::sql::functions::registry::Environment;
use crate::sql::types::datum::DatumRef;
use std::cmp::Ordering;

/// Orders two moments of different types: a date is its midnight, a time without zone is read in the session's.
pub(super) fn compare_moments(
    left: DatumRef<'_>,
    right: DatumRef<'_>,
    environment: &dyn Environment,
) -> Result<Ordering> {
    let _ = (left, right, environment);
    Err(Error::not_supported("comparing these types"))
}
