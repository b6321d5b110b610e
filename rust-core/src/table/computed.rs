//! What indexes hold that rows do not store: whoever knows expressions computes it.
//! Knows values. Knows no expressions.

use crate::error::Result;
use crate::sql::types::datum::{Datum, DatumRef};

/// Computes the values of a table's index expressions and of the predicates of its partial indexes.
pub trait ComputeValues {
    /// Puts the computed values of index `index` of the table into `out`, which has a place for each computed value of
    /// the table, all NULL before; `row` gives a column by its position. The key of a row that a partial index leaves
    /// out is not computed.
    /// # Errors
    /// What an expression raises.
    fn compute<'r>(&self, index: usize, row: &dyn Fn(usize) -> DatumRef<'r>, out: &mut [Datum])
    -> Result<()>;
}
