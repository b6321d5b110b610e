//! The statistics of a table, as ANALYZE leaves them.

use crate::sql::types::datum::Datum;
use serde::{Deserialize, Serialize};

/// What is known of a table.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TableStatistics {
    /// Rows when they were counted.
    pub rows: u64,
    /// One a column, in order; behind them one a computed value of the indexes that there were.
    pub columns: Vec<ColumnStatistics>,
    /// Whole rows, chosen at random: conjunctions of conditions on one table are tried on them. Values longer than
    /// 256 bytes are NULL here, and listed in no other way.
    pub sample: Vec<Vec<Datum>>,
}

impl TableStatistics {
    /// What is known of the first `count` columns alone.
    pub fn of_columns(&self, count: usize) -> TableStatistics {
        let mut kept = self.clone();
        kept.columns.truncate(count);
        kept.sample.iter_mut().for_each(|row| row.truncate(count));
        kept
    }
}

/// What is known of a column.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ColumnStatistics {
    /// Share of NULLs, 0 to 1.
    pub null_fraction: f64,
    /// Different values that are not NULL, by HyperLogLog over all rows (Flajolet et al., AofA 2007).
    pub distinct: f64,
    /// Mean bytes of a value that is not NULL.
    pub width: f64,
    /// The most common values with their share of all rows, most common first; empty where no value is more common
    /// than others.
    pub most_common: Vec<(Datum, f64)>,
    /// Bounds of parts with equally many of the rows that are neither NULL nor among `most_common`, ascending in the
    /// type's order: `n + 1` bounds for `n` parts. Empty: nothing is known.
    pub histogram: Vec<Datum>,
    /// Correlation of the values' order with the order of the rows, -1 to 1.
    pub correlation: f64,
}
