//! count, sum and avg, with PostgreSQL's result types. Floats are added in row order.

use crate::batch::column::{Column, ColumnData, ColumnForm};
use crate::error::Result;
use crate::sql::functions::aggregate::{State, aggregate};
use crate::sql::functions::arithmetic::{out_of_range, overflow};
use crate::sql::functions::kernel::{self, Float4, Float8, Int2, Int4, Int8, Interval, Num};
use crate::sql::functions::registry::{AggregateFunction, GroupStates, RowSet};
use crate::sql::types::data_type::DataType;
use crate::sql::types::datum::{Interval as IntervalValue, Numeric, NumericKind};
use crate::sql::types::interval;
use std::sync::Arc;

/// `count(*)` and `count(x)`: needs validity only, so one state serves every type.
struct Count {
    counts: Vec<i64>,
}

fn count_states() -> Box<dyn GroupStates> {
    Box::new(Count { counts: Vec::new() })
}

impl GroupStates for Count {
    fn resize(&mut self, count: usize) -> Result<()> {
        self.counts.resize(count, 0);
        Ok(())
    }

    fn update(&mut self, arguments: &[Arc<Column>], rows: RowSet<'_>, groups: &[u32]) -> Result<()> {
        match arguments.first() {
            Some(column) if column.may_have_nulls() => {
                let mut next = 0;
                kernel::for_rows(rows, None, |row| {
                    self.counts[groups[next] as usize] += i64::from(!column.is_null(row));
                    next += 1;
                    Ok(())
                })
            }
            _ => {
                groups.iter().for_each(|group| self.counts[*group as usize] += 1);
                Ok(())
            }
        }
    }

    fn update_single(&mut self, arguments: &[Arc<Column>], rows: RowSet<'_>) -> Result<()> {
        let all = match rows {
            RowSet::All(count) => count,
            RowSet::Some(chosen, _) => chosen.len(),
        };
        let counted = match (arguments.first(), rows) {
            (Some(column), RowSet::All(count)) if column.may_have_nulls() => {
                match (&column.validity, column.form) {
                    (Some(validity), ColumnForm::Flat) if !matches!(column.data, ColumnData::Null) => {
                        validity.count_ones()
                    }
                    _ if count == 0 || column.is_null(0) => 0,
                    _ => count,
                }
            }
            (Some(column), RowSet::Some(chosen, _)) if column.may_have_nulls() => {
                chosen.iter().filter(|row| !column.is_null(usize::from(**row))).count()
            }
            _ => all,
        };
        self.counts[0] += counted as i64;
        Ok(())
    }

    fn finish(&mut self, from: usize, to: usize) -> Result<Column> {
        Ok(Column::flat(DataType::BigInt, ColumnData::Int64(self.counts[from..to].to_vec()), None))
    }

    fn memory_bytes(&self) -> usize {
        self.counts.capacity() * 8
    }
}

/// Exact sum of up to a batch of 64-bit values: halves are added apart, so the loop needs no carry.
fn dense_sum(values: &[i64]) -> i128 {
    values
        .chunks(1 << 16)
        .map(|chunk| {
            let (mut low, mut high) = (0u64, 0i64);
            for value in chunk {
                low += *value as u64 & 0xFFFF_FFFF;
                high += *value >> 32;
            }
            (i128::from(high) << 32) + i128::from(low)
        })
        .sum()
}

/// Exact sum of integers.
#[derive(Clone, Copy, Default)]
struct IntegerSum {
    sum: i128,
    count: i64,
}

impl IntegerSum {
    fn add(&mut self, value: i64) {
        self.sum += i128::from(value);
        self.count += 1;
    }

    fn add_dense(&mut self, column: &Column) -> bool {
        self.sum += match &column.data {
            ColumnData::Int64(values) => dense_sum(values),
            ColumnData::Int32(values) => {
                i128::from(values.iter().map(|value| i64::from(*value)).sum::<i64>())
            }
            ColumnData::Int16(values) => {
                i128::from(values.iter().map(|value| i64::from(*value)).sum::<i64>())
            }
            _ => return false,
        };
        self.count += column.rows as i64;
        true
    }

    fn average(&self) -> Result<Option<Numeric>> {
        if self.count == 0 {
            return Ok(None);
        }
        Numeric::new(self.sum, 0).divide(Numeric::from(self.count)).map(Some)
    }
}

macro_rules! integer_states {
    ($($sum:ident, $average:ident, $input:ident, $output:ident, $finish:expr;)*) => {$(
        #[derive(Clone, Default)]
        struct $sum(IntegerSum);

        impl State for $sum {
            type Input = $input;
            type Output = $output;
            #[inline]
            fn add(&mut self, value: <$input as kernel::Argument>::Value<'_>) -> Result<()> {
                self.0.add(i64::from(value));
                Ok(())
            }
            fn add_dense(&mut self, column: &Column) -> Result<bool> {
                Ok(self.0.add_dense(column))
            }
            fn finish(&self) -> Result<Option<<$output as kernel::Output>::Value>> {
                if self.0.count == 0 { Ok(None) } else { $finish(self.0.sum).map(Some) }
            }
        }

        #[derive(Clone, Default)]
        struct $average(IntegerSum);

        impl State for $average {
            type Input = $input;
            type Output = Num;
            #[inline]
            fn add(&mut self, value: <$input as kernel::Argument>::Value<'_>) -> Result<()> {
                self.0.add(i64::from(value));
                Ok(())
            }
            fn add_dense(&mut self, column: &Column) -> Result<bool> {
                Ok(self.0.add_dense(column))
            }
            fn finish(&self) -> Result<Option<Numeric>> {
                self.0.average()
            }
        }
    )*};
}

fn to_bigint(sum: i128) -> Result<i64> {
    i64::try_from(sum).map_err(|_| out_of_range("bigint"))
}

fn to_numeric(sum: i128) -> Result<Numeric> {
    Numeric::checked(sum, 0)
}

integer_states! {
    SumInt2, AverageInt2, Int2, Int8, to_bigint;
    SumInt4, AverageInt4, Int4, Int8, to_bigint;
    SumInt8, AverageInt8, Int8, Num, to_numeric;
}

/// Sum and number of numerics; the scale is the largest seen.
#[derive(Clone)]
struct NumericSum {
    sum: Numeric,
    count: i64,
}

impl Default for NumericSum {
    fn default() -> NumericSum {
        NumericSum { sum: Numeric::ZERO, count: 0 }
    }
}

impl NumericSum {
    #[inline]
    fn add(&mut self, value: Numeric) -> Result<()> {
        self.count += 1;
        if self.sum.scale == value.scale
            && self.sum.kind == NumericKind::Finite
            && value.kind == NumericKind::Finite
            && let Some(sum) = self.sum.mantissa.checked_add(value.mantissa)
        {
            self.sum.mantissa = sum;
            return Ok(());
        }
        self.sum = self.sum.add(value)?;
        Ok(())
    }

    /// Adds a mantissa of scale `scale`.
    #[inline]
    fn add_mantissa(&mut self, mantissa: i128, scale: u16) -> Result<()> {
        if self.sum.scale == scale
            && self.sum.kind == NumericKind::Finite
            && let Some(sum) = self.sum.mantissa.checked_add(mantissa)
        {
            self.count += 1;
            self.sum.mantissa = sum;
            return Ok(());
        }
        self.add(Numeric::new(mantissa, scale))
    }

    fn add_grouped<S>(
        states: &mut [S],
        part: impl Fn(&mut S) -> &mut NumericSum,
        column: &Column,
        rows: RowSet<'_>,
        groups: &[u32],
    ) -> Result<bool> {
        let mut groups = groups.iter();
        let mut next = || groups.next().map_or(0, |group| *group as usize);
        match &column.data {
            ColumnData::Decimal64 { values, scale } => kernel::for_rows(rows, None, |row| {
                part(&mut states[next()]).add_mantissa(i128::from(values[row]), *scale)
            })?,
            ColumnData::Decimal128 { values, scale } => kernel::for_rows(rows, None, |row| {
                part(&mut states[next()]).add_mantissa(values[row], *scale)
            })?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn add_dense(&mut self, column: &Column) -> Result<bool> {
        let ColumnData::Decimal64 { values, scale } = &column.data else { return Ok(false) };
        self.sum = self.sum.add(Numeric::new(dense_sum(values), *scale))?;
        self.count += values.len() as i64;
        Ok(true)
    }

    fn total(&self) -> Result<Numeric> {
        match self.sum.kind {
            NumericKind::Finite => Numeric::checked(self.sum.mantissa, u32::from(self.sum.scale)),
            _ => Ok(self.sum),
        }
    }
}

#[derive(Clone, Default)]
struct SumNumeric(NumericSum);

impl State for SumNumeric {
    type Input = Num;
    type Output = Num;
    fn add_grouped(states: &mut [Self], column: &Column, rows: RowSet<'_>, groups: &[u32]) -> Result<bool> {
        NumericSum::add_grouped(states, |state| &mut state.0, column, rows, groups)
    }
    #[inline]
    fn add(&mut self, value: Numeric) -> Result<()> {
        self.0.add(value)
    }
    fn add_dense(&mut self, column: &Column) -> Result<bool> {
        self.0.add_dense(column)
    }
    fn finish(&self) -> Result<Option<Numeric>> {
        if self.0.count == 0 { Ok(None) } else { self.0.total().map(Some) }
    }
}

#[derive(Clone, Default)]
struct AverageNumeric(NumericSum);

impl State for AverageNumeric {
    type Input = Num;
    type Output = Num;
    fn add_grouped(states: &mut [Self], column: &Column, rows: RowSet<'_>, groups: &[u32]) -> Result<bool> {
        NumericSum::add_grouped(states, |state| &mut state.0, column, rows, groups)
    }
    #[inline]
    fn add(&mut self, value: Numeric) -> Result<()> {
        self.0.add(value)
    }
    fn add_dense(&mut self, column: &Column) -> Result<bool> {
        self.0.add_dense(column)
    }
    fn finish(&self) -> Result<Option<Numeric>> {
        if self.0.count == 0 {
            return Ok(None);
        }
        self.0.total()?.divide(Numeric::from(self.0.count)).map(Some)
    }
}

macro_rules! float_states {
    ($($name:ident, $input:ident, $output:ident, $native:ty, $layout:ident, $average:literal;)*) => {$(
        #[derive(Clone, Default)]
        struct $name {
            sum: $native,
            count: i64,
            /// An infinity or NaN came in: an infinite sum is then no overflow.
            special: bool,
        }

        impl State for $name {
            type Input = $input;
            type Output = $output;
            #[inline]
            fn add(&mut self, value: <$input as kernel::Argument>::Value<'_>) -> Result<()> {
                self.sum += <$native>::from(value);
                self.special |= !value.is_finite();
                self.count += 1;
                Ok(())
            }
            fn add_dense(&mut self, column: &Column) -> Result<bool> {
                let ColumnData::$layout(values) = &column.data else { return Ok(false) };
                // Row order is part of the result; only the special values are looked for in parallel.
                let mut sum = self.sum;
                values.iter().for_each(|value| sum += <$native>::from(*value));
                self.sum = sum;
                self.special = self.special || (!sum.is_finite() && values.iter().any(|value| !value.is_finite()));
                self.count += values.len() as i64;
                Ok(true)
            }
            fn finish(&self) -> Result<Option<$native>> {
                if self.count == 0 {
                    return Ok(None);
                }
                if self.sum.is_infinite() && !self.special {
                    return Err(overflow());
                }
                Ok(Some(if $average { self.sum / self.count as $native } else { self.sum }))
            }
        }
    )*};
}

float_states! {
    SumFloat4, Float4, Float4, f32, Float32, false;
    SumFloat8, Float8, Float8, f64, Float64, false;
    AverageFloat4, Float4, Float8, f64, Float32, true;
    AverageFloat8, Float8, Float8, f64, Float64, true;
}

#[derive(Clone, Default)]
struct SumInterval(Option<IntervalValue>);

impl State for SumInterval {
    type Input = Interval;
    type Output = Interval;
    fn add(&mut self, value: IntervalValue) -> Result<()> {
        self.0 = Some(match self.0 {
            Some(sum) => interval::add(sum, value)?,
            None => value,
        });
        Ok(())
    }
    fn finish(&self) -> Result<Option<IntervalValue>> {
        Ok(self.0)
    }
}

#[derive(Clone, Default)]
struct AverageInterval(SumInterval, i64);

impl State for AverageInterval {
    type Input = Interval;
    type Output = Interval;
    fn add(&mut self, value: IntervalValue) -> Result<()> {
        self.1 += 1;
        self.0.add(value)
    }
    fn finish(&self) -> Result<Option<IntervalValue>> {
        self.0.0.map(|sum| interval::divide(sum, self.1 as f64)).transpose()
    }
}

macro_rules! count {
    ($($type:ident)*) => {
        &[
            AggregateFunction {
                name: "count",
                arguments: &[],
                returns: DataType::BigInt,
                documentation: "rows",
                states: count_states,
            },
            $(AggregateFunction {
                name: "count",
                arguments: &[DataType::$type],
                returns: DataType::BigInt,
                documentation: "rows whose value is not NULL",
                states: count_states,
            },)*
            aggregate!("sum", SumInt4, "sum"),
            aggregate!("sum", SumInt8, "sum"),
            aggregate!("sum", SumInt2, "sum"),
            aggregate!("sum", SumNumeric, "sum"),
            aggregate!("sum", SumFloat8, "sum"),
            aggregate!("sum", SumFloat4, "sum"),
            aggregate!("sum", SumInterval, "sum"),
            aggregate!("avg", AverageInt4, "mean"),
            aggregate!("avg", AverageInt8, "mean"),
            aggregate!("avg", AverageInt2, "mean"),
            aggregate!("avg", AverageNumeric, "mean"),
            aggregate!("avg", AverageFloat8, "mean"),
            aggregate!("avg", AverageFloat4, "mean"),
            aggregate!("avg", AverageInterval, "mean"),
        ]
    };
}

pub(super) static TABLE: &[AggregateFunction] = count! {
    Unknown Boolean SmallInt Integer BigInt Real Double Numeric Text Varchar Char Bytea Date Timestamp TimestampTz Interval
};
