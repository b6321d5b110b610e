//! Conversions between types, exactly those of PostgreSQL's pg_cast and its text input and output.

use crate::error::Result;
use crate::sql::types::data_type::{DataType, SqlType};
use crate::sql::types::datum::{Datum, DatumRef};

/// What conversions need to know of the session.
#[derive(Clone, Copy, Debug)]
pub struct CastEnvironment<'a> {
    /// The session's time zone.
    pub zone: &'a jiff::tz::TimeZone,
    /// What 'now' and 'today' mean: unix microseconds at the transaction's start.
    pub now: i64,
}

/// Where a cast is allowed without being written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum CastContext {
    /// Only as `CAST` or `::`.
    Explicit,
    /// Also when a value is stored into a column.
    Assignment,
    /// Everywhere.
    Implicit,
}

/// Where values of `from` may be cast to `to`; `None`: there is no such cast.
pub fn cast_context(from: DataType, to: DataType) -> Option<CastContext> {
    let _ = (from, to);
    unimplemented!()
}

/// Converts `value` of type `from` to `target`.
/// # Errors
/// What PostgreSQL reports: `22P02`, `22003`, `22001`, `22007`, `22008`; `42846` when there is no such cast.
pub fn cast(
    value: DatumRef<'_>,
    from: DataType,
    target: SqlType,
    explicit: bool,
    environment: &CastEnvironment<'_>,
) -> Result<Datum> {
    let _ = (value, from, target, explicit, environment);
    unimplemented!()
}
