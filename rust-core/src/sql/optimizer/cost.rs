//! What operators cost: one constant each, in units of one row read in a sequential scan. All cost figures of the
//! optimizer are here.
//!
//! The figures are rounded ratios and not yet calibrated by a benchmark. A row of a scan over pages in memory takes some
//! 14 to 30 nanoseconds; a look-up
//! by row id (a descent of three levels and the decoding of one row) is taken for a dozen of them, and starting a
//! dependent right side, which makes its pipeline ready anew, for about fifty. `EXPLAIN ANALYZE` shows rows and time of each node
//! beside these estimates: that is what to compare them with after a change of an operator.

/// A row of a sequential scan.
pub(super) const ROW_SCANNED: f64 = 1.0;
/// An entry of an index.
pub(super) const ENTRY_SCANNED: f64 = 0.5;
/// A row that is looked up by its id.
pub(super) const ROW_FETCHED: f64 = 4.0;
/// Finding a place in a tree, and starting a scan there.
pub(super) const DESCENT: f64 = 8.0;
/// An operator or function of an expression, for one row.
pub(super) const OPERATOR: f64 = 0.1;
/// A row put out by VALUES or a projection.
pub(super) const ROW_MADE: f64 = 0.1;
/// A row that goes into a hash table.
pub(super) const ROW_HASHED: f64 = 1.5;
/// A row that is looked for in a hash table.
pub(super) const ROW_PROBED: f64 = 0.7;
/// A row of an input of a merge join.
pub(super) const ROW_MERGED: f64 = 0.4;
/// A pair that a join puts out.
pub(super) const PAIR_MADE: f64 = 0.3;
/// A pair that a nested loop tries.
pub(super) const PAIR_TRIED: f64 = 0.1;
/// Starting the right side of a dependent join anew.
pub(super) const RESTART: f64 = 50.0;
/// A comparison while sorting.
pub(super) const COMPARISON: f64 = 0.2;
/// A row inserted, changed or removed.
pub(super) const ROW_MODIFIED: f64 = 20.0;

/// Sorting `rows`, of which `kept` come out.
pub(super) fn sort(rows: f64, kept: f64) -> f64 {
    rows * COMPARISON * kept.min(rows).max(2.0).log2()
}

/// A hash join by itself: without its inputs.
pub(super) fn hash_join(probed: f64, built: f64, output: f64) -> f64 {
    built * ROW_HASHED + probed * ROW_PROBED + output * PAIR_MADE
}

/// A nested loop by itself, whose condition has `operators` operators.
pub(super) fn nested_loop(left: f64, right: f64, output: f64, operators: f64) -> f64 {
    right * ROW_MADE + left * right * (PAIR_TRIED + operators * OPERATOR) + output * PAIR_MADE
}
