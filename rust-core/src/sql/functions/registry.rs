//! What a function is to binder, optimizer and evaluator.

use crate::batch::column::Column;
use crate::error::Result;
use crate::sql::types::data_type::DataType;
use crate::sql::types::datum::{Datum, DatumRef};
use std::sync::Arc;

/// How a function's result depends on more than its arguments (PostgreSQL's terms).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Volatility {
    /// On nothing: may be folded at planning.
    Immutable,
    /// Constant within a statement: `now()`.
    Stable,
    /// May differ each call: `random()`.
    Volatile,
}

/// Which rows a vectorised call computes.
#[derive(Clone, Copy, Debug)]
pub enum RowSet<'a> {
    /// Rows `0..n`.
    All(usize),
    /// These rows, ascending; other slots of the result hold anything valid.
    Some(&'a [u16], usize),
}

/// What the session tells functions. One statement sees one value of everything but the clock.
pub trait Environment {
    /// `statement_timestamp()`: unix microseconds.
    fn statement_time(&self) -> i64;
    /// `now()`: unix microseconds at the transaction's start.
    fn transaction_time(&self) -> i64;
    /// `clock_timestamp()`: unix microseconds.
    fn clock_time(&self) -> i64;
    /// The session's time zone.
    fn time_zone(&self) -> &jiff::tz::TimeZone;
    /// Uniform in `[0, 1)`.
    fn random(&self) -> f64;
    /// A setting as text, for `current_setting`.
    fn setting(&self, name: &str) -> Option<String>;
    /// The connection's number, for `pg_backend_pid()`.
    fn session_id(&self) -> u64;
}

/// A scalar function or operator with one signature.
pub struct ScalarFunction {
    /// Name, or the operator's symbol.
    pub name: &'static str,
    /// Argument types; for a variadic function the last repeats.
    pub arguments: &'static [DataType],
    /// Whether the last argument repeats (zero or more times more).
    pub variadic: bool,
    /// Result type.
    pub returns: DataType,
    /// NULL among the arguments gives NULL, without a call.
    pub strict: bool,
    /// What the result depends on.
    pub volatility: Volatility,
    /// One line for the documentation.
    pub documentation: &'static str,
    /// The implementation over columns.
    pub vector: fn(&[Arc<Column>], RowSet<'_>, &dyn Environment) -> Result<Column>,
    /// The implementation over single values; both come from one definition.
    pub scalar: fn(&[DatumRef<'_>], &dyn Environment) -> Result<Datum>,
}

impl std::fmt::Debug for ScalarFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{:?}", self.name, self.arguments)
    }
}

/// State of one aggregate for many groups, column-wise.
pub trait GroupStates: Send {
    /// Makes room for groups `0..count`.
    /// # Errors
    /// `53200`.
    fn resize(&mut self, count: usize) -> Result<()>;
    /// Adds rows: row `r` of the arguments belongs to group `groups[i]`, where `r` is the i-th row of `rows`.
    /// # Errors
    /// `22003` on overflow.
    fn update(&mut self, arguments: &[Arc<Column>], rows: RowSet<'_>, groups: &[u32]) -> Result<()>;
    /// Adds all rows to group 0: aggregation without GROUP BY.
    /// # Errors
    /// `22003` on overflow.
    fn update_single(&mut self, arguments: &[Arc<Column>], rows: RowSet<'_>) -> Result<()>;
    /// Results of the groups `from..to`.
    /// # Errors
    /// `22003` when a result is out of range.
    fn finish(&mut self, from: usize, to: usize) -> Result<Column>;
    /// Bytes held, for the memory account.
    fn memory_bytes(&self) -> usize;
}

/// An aggregate function with one signature.
pub struct AggregateFunction {
    /// Name.
    pub name: &'static str,
    /// Argument types; empty: `count(*)`.
    pub arguments: &'static [DataType],
    /// Result type.
    pub returns: DataType,
    /// One line for the documentation.
    pub documentation: &'static str,
    /// Fresh states.
    pub states: fn() -> Box<dyn GroupStates>,
}

impl std::fmt::Debug for AggregateFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{:?}", self.name, self.arguments)
    }
}
