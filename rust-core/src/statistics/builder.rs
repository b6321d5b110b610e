//! Builds the statistics of a table from its batches, in one pass and bounded space: ANALYZE only feeds it.

use crate::batch::batch::Batch;
use crate::batch::column::Column;
use crate::sql::types::compare::hash;
use crate::sql::types::data_type::DataType;
use crate::sql::types::datum::{Datum, DatumRef};
use crate::statistics::distribution::{Distribution, describe};
use crate::statistics::hyper_log_log::HyperLogLog;
use crate::statistics::reservoir::Reservoir;
use crate::statistics::table_statistics::{ColumnStatistics, TableStatistics};

/// Rows that distributions are made from, at most.
const SAMPLE_ROWS_MAX: usize = 30_000;
/// Values that distributions are made from, at most: a table of many columns is sampled with fewer rows.
const SAMPLE_VALUES_MAX: usize = 400_000;
/// Rows that stay in the statistics, at most.
const KEPT_ROWS_MAX: usize = 1_000;
/// Values that stay in the statistics, at most.
const KEPT_VALUES_MAX: usize = 20_000;
/// A longer value is not sampled.
const VALUE_BYTES_MAX: usize = 256;
/// Chooses the sample: the same table in the same order gives the same statistics.
const SEED: u64 = 0x5A3B_1E00_0001;

/// Statistics in the making.
#[derive(Debug)]
pub struct StatisticsBuilder {
    types: Vec<DataType>,
    rows: u64,
    columns: Vec<ColumnTotals>,
    reservoir: Reservoir,
    sample: Vec<SampledRow>,
}

/// What is counted over all rows of a column.
#[derive(Debug)]
struct ColumnTotals {
    nulls: u64,
    bytes: f64,
    distinct: HyperLogLog,
}

#[derive(Debug)]
struct SampledRow {
    /// Its place in the table.
    place: u64,
    values: Vec<Datum>,
}

impl StatisticsBuilder {
    /// Nothing seen yet of a table whose columns have `types`.
    pub fn new(types: &[DataType]) -> StatisticsBuilder {
        let rows = (SAMPLE_VALUES_MAX / types.len().max(1)).clamp(1, SAMPLE_ROWS_MAX);
        let totals = |_: &DataType| ColumnTotals { nulls: 0, bytes: 0.0, distinct: HyperLogLog::new() };
        StatisticsBuilder {
            types: types.to_vec(),
            rows: 0,
            columns: types.iter().map(totals).collect(),
            reservoir: Reservoir::new(rows, SEED),
            sample: Vec::new(),
        }
    }

    /// Adds the selected rows of a batch whose columns are the table's, in order. Batches come in the table's order.
    pub fn add(&mut self, batch: &Batch) {
        let rows: Vec<usize> = batch.row_numbers().collect();
        for ((totals, column), data_type) in self.columns.iter_mut().zip(&batch.columns).zip(&self.types) {
            totals.add(column, &rows, *data_type);
        }
        let (sample, first) = (&mut self.sample, self.rows);
        self.reservoir.offer(rows.len(), |offset, slot| {
            let values = batch.columns.iter().map(|column| sampled(column.datum(rows[offset]))).collect();
            let row = SampledRow { place: first + offset as u64, values };
            match sample.get_mut(slot) {
                Some(old) => *old = row,
                None => sample.push(row),
            }
        });
        self.rows += rows.len() as u64;
    }

    /// Bytes held, about: for the memory account.
    pub fn memory_bytes(&self) -> usize {
        let value = size_of::<Datum>() + 32;
        self.sample.len() * (self.types.len() * value + size_of::<SampledRow>()) + self.types.len() * 4_200
    }

    /// The statistics.
    pub fn finish(mut self) -> TableStatistics {
        self.sample.sort_unstable_by_key(|row| row.place);
        let complete = self.sample.len() as u64 == self.rows;
        let mut columns = Vec::with_capacity(self.types.len());
        for (index, (totals, data_type)) in self.columns.iter().zip(&self.types).enumerate() {
            let values: Vec<&Datum> =
                self.sample.iter().map(|row| &row.values[index]).filter(|value| !value.is_null()).collect();
            let present = self.rows - totals.nulls;
            let distinct = totals.distinct.estimate().round().clamp(0.0, present as f64);
            let distinct = if present > 0 { distinct.max(1.0) } else { 0.0 };
            let Distribution { most_common, histogram, correlation } =
                describe(&values, self.sample.len(), *data_type, distinct, complete);
            columns.push(ColumnStatistics {
                null_fraction: if self.rows == 0 { 0.0 } else { totals.nulls as f64 / self.rows as f64 },
                distinct,
                width: if present == 0 { 0.0 } else { totals.bytes / present as f64 },
                most_common,
                histogram,
                correlation,
            });
        }
        let kept = (KEPT_VALUES_MAX / self.types.len().max(1)).clamp(1, KEPT_ROWS_MAX);
        TableStatistics { rows: self.rows, columns, sample: thinned(self.sample, kept) }
    }
}

impl ColumnTotals {
    fn add(&mut self, column: &Column, rows: &[usize], data_type: DataType) {
        for row in rows {
            match column.datum(*row) {
                DatumRef::Null => self.nulls += 1,
                value => {
                    self.bytes += width(value) as f64;
                    self.distinct.add(hash(value, data_type));
                }
            }
        }
    }
}

/// `kept` of the rows, at equal distances.
fn thinned(sample: Vec<SampledRow>, kept: usize) -> Vec<Vec<Datum>> {
    let count = sample.len();
    let chosen = |index: usize| count <= kept || index * kept / count != (index + 1) * kept / count;
    let rows = sample.into_iter().enumerate().filter(|(index, _)| chosen(*index));
    rows.map(|(_, row)| row.values).collect()
}

fn width(value: DatumRef<'_>) -> usize {
    match value {
        DatumRef::Null => 0,
        DatumRef::Boolean(_) => 1,
        DatumRef::SmallInt(_) => 2,
        DatumRef::Integer(_) | DatumRef::Real(_) | DatumRef::Date(_) => 4,
        DatumRef::BigInt(_)
        | DatumRef::Double(_)
        | DatumRef::Numeric(_)
        | DatumRef::Timestamp(_)
        | DatumRef::TimestampTz(_) => 8,
        DatumRef::Interval(_) => 16,
        DatumRef::Text(text) => text.len(),
        DatumRef::Bytes(bytes) => bytes.len(),
    }
}

fn sampled(value: DatumRef<'_>) -> Datum {
    if width(value) > VALUE_BYTES_MAX { Datum::Null } else { value.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::builder::ColumnBuilder;
    use crate::common::random::Random;
    use std::sync::Arc;

    fn built(
        types: &[DataType],
        rows: usize,
        mut value: impl FnMut(usize, usize) -> Datum,
    ) -> TableStatistics {
        let mut builder = StatisticsBuilder::new(types);
        for first in (0..rows).step_by(2_048) {
            let count = (rows - first).min(2_048);
            let columns = types.iter().enumerate().map(|(column, data_type)| {
                let mut built = ColumnBuilder::new((*data_type).into(), count);
                (first..first + count).for_each(|row| built.push_datum(value(column, row).as_ref()));
                Arc::new(built.finish())
            });
            builder.add(&Batch::new(columns.collect(), count));
        }
        builder.finish()
    }

    #[test]
    fn a_key_has_a_histogram_and_no_common_values() {
        let statistics = built(&[DataType::Integer], 100_000, |_, row| Datum::Integer(row as i32));
        let column = &statistics.columns[0];
        assert_eq!(statistics.rows, 100_000);
        assert!(column.most_common.is_empty(), "{:?}", column.most_common);
        assert_eq!(column.histogram.len(), 101);
        assert!((column.distinct - 100_000.0).abs() < 5_000.0, "{}", column.distinct);
        assert!(column.correlation > 0.99);
        let Datum::Integer(median) = column.histogram[50] else { panic!("{:?}", column.histogram[50]) };
        assert!((48_000..52_000).contains(&median), "{median}");
        assert_eq!(statistics.sample.len(), 1_000);
    }

    #[test]
    fn few_values_are_all_common_with_their_shares_and_nulls_are_counted() {
        let statistics = built(&[DataType::Text, DataType::Integer], 60_000, |column, row| match column {
            0 if row % 4 == 0 => Datum::Null,
            0 => Datum::text(if row % 4 == 1 { "rare" } else { "usual" }),
            _ => Datum::Integer(-(row as i32)),
        });
        let column = &statistics.columns[0];
        assert!((column.null_fraction - 0.25).abs() < 1e-9);
        assert_eq!(column.distinct, 2.0);
        assert_eq!(column.most_common.len(), 2);
        let Datum::Text(first) = &column.most_common[0].0 else { panic!() };
        assert_eq!(&**first, "usual");
        assert!((column.most_common[0].1 - 0.5).abs() < 0.02);
        assert!((column.most_common[1].1 - 0.25).abs() < 0.02);
        assert!(column.histogram.is_empty());
        assert!(statistics.columns[1].correlation < -0.99);
    }

    #[test]
    fn a_skewed_column_has_its_heavy_values_listed_and_the_others_in_the_histogram() {
        let mut random = Random::new(7);
        let statistics = built(&[DataType::BigInt], 50_000, |_, _| {
            Datum::BigInt(if random.below(10) < 3 { 42 } else { 1_000 + random.below(20_000) as i64 })
        });
        let column = &statistics.columns[0];
        assert!(matches!(column.most_common[0].0, Datum::BigInt(42)));
        assert!((column.most_common[0].1 - 0.3).abs() < 0.02, "{:?}", column.most_common[0]);
        assert!(column.histogram.iter().all(|bound| matches!(bound, Datum::BigInt(1_000..))));
        assert!(column.correlation.abs() < 0.1, "{}", column.correlation);
    }

    #[test]
    fn a_long_value_is_counted_but_not_sampled() {
        let long = "x".repeat(300);
        let statistics = built(&[DataType::Text], 10, |_, _| Datum::text(&long));
        assert_eq!(statistics.columns[0].null_fraction, 0.0);
        assert_eq!(statistics.columns[0].width, 300.0);
        assert!(statistics.columns[0].histogram.is_empty() && statistics.columns[0].most_common.is_empty());
        assert!(statistics.sample.iter().all(|row| row[0].is_null()));
    }

    #[test]
    fn an_empty_table_has_statistics_of_nothing() {
        let statistics = StatisticsBuilder::new(&[DataType::Integer]).finish();
        assert_eq!((statistics.rows, statistics.sample.len()), (0, 0));
        assert_eq!(statistics.columns[0].distinct, 0.0);
    }
}
