//! What operators cost: one constant each, in units of one row read in a sequential scan. All cost figures of the
//! optimizer are here.
//!
//! The figures are rounded ratios of what operators took over TPC-H's tables at scale 0.1, in memory, one thread: a
//! row of a scan 20 nanoseconds, finding a leaf that is in no cache of the processor 500 to 1,000, a row of a sort of
//! 600,000 some 350, of a hash join's build side 50. `EXPLAIN ANALYZE` shows rows and time of each node beside these
//! estimates: that is what to compare them with after a change of an operator.

/// A row of a sequential scan.
pub(super) const ROW_SCANNED: f64 = 1.0;
/// An entry of an index.
const ENTRY_SCANNED: f64 = 0.7;
/// A row that is looked up by its id, on a leaf that was found.
pub(super) const ROW_FETCHED: f64 = 6.0;
/// Finding a place in a tree, and starting a scan there.
pub(super) const DESCENT: f64 = 20.0;
/// Rows on a leaf, about: how wide rows are is not known here.
const ROWS_ON_A_LEAF: f64 = 50.0;
/// An operator or function of an expression, for one row.
pub(super) const OPERATOR: f64 = 0.1;
/// A row put out by VALUES or a projection.
pub(super) const ROW_MADE: f64 = 0.1;
/// A row that goes into a hash table.
pub(super) const ROW_HASHED: f64 = 2.5;
/// A row that goes into a group or a set.
pub(super) const ROW_GROUPED: f64 = 1.0;
/// A row that is looked for in a hash table.
pub(super) const ROW_PROBED: f64 = 0.4;
/// A row of an input of a merge join.
pub(super) const ROW_MERGED: f64 = 0.4;
/// A pair that a join puts out.
pub(super) const PAIR_MADE: f64 = 0.6;
/// A pair that a nested loop tries.
pub(super) const PAIR_TRIED: f64 = 0.1;
/// Starting the right side of a dependent join anew.
pub(super) const RESTART: f64 = 75.0;
/// A comparison while sorting.
pub(super) const COMPARISON: f64 = 0.9;
/// A row inserted, changed or removed.
pub(super) const ROW_MODIFIED: f64 = 20.0;

/// Reading `scanned` neighbouring entries of an index and their rows, of `table_rows` in all. In index order each row
/// may lie on another leaf; in any order each leaf is looked for once (Cardenas 1975: how many leaves `scanned` rows
/// lie on).
pub(super) fn index_rows(scanned: f64, table_rows: f64, in_order: bool) -> f64 {
    let leaves = (table_rows / ROWS_ON_A_LEAF).max(1.0);
    let found = if in_order { scanned } else { leaves * (1.0 - (-scanned / leaves).exp()) };
    scanned * (ENTRY_SCANNED + ROW_FETCHED) + found * DESCENT
}

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
