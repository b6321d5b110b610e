//! The six comparison operators over every type, in tight loops over the physical layouts.
//! Knows layouts and the types' orders. Knows nothing of expressions; the filter asks [`select`] for row numbers.

use crate::batch::column::{Column, ColumnData, ColumnForm};
use crate::batch::string::StringColumn;
use crate::batch::validity::Bitmap;
use crate::error::Result;
use crate::sql::functions::kernel::{self, Argument, Num, NumericReader, Shape, Slots, slot_mask};
use crate::sql::functions::registry::{Environment, RowSet, ScalarFunction, Volatility};
use crate::sql::functions::temporal;
use crate::sql::types::compare::{compare_f64, interval_key};
use crate::sql::types::data_type::DataType;
use crate::sql::types::datum::{Datum, DatumRef};
use std::cmp::Ordering;
use std::sync::Arc;

/// One of the six operators.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
}

impl Comparison {
    /// The operator named by `symbol`.
    pub fn from_symbol(symbol: &str) -> Option<Comparison> {
        Some(match symbol {
            "=" => Comparison::Equal,
            "<>" => Comparison::NotEqual,
            "<" => Comparison::Less,
            "<=" => Comparison::LessEqual,
            ">" => Comparison::Greater,
            ">=" => Comparison::GreaterEqual,
            _ => return None,
        })
    }

    /// Whether two values in this order satisfy the operator.
    #[inline]
    pub fn holds(self, order: Ordering) -> bool {
        match self {
            Comparison::Equal => order == Ordering::Equal,
            Comparison::NotEqual => order != Ordering::Equal,
            Comparison::Less => order == Ordering::Less,
            Comparison::LessEqual => order != Ordering::Greater,
            Comparison::Greater => order == Ordering::Greater,
            Comparison::GreaterEqual => order != Ordering::Less,
        }
    }

    /// The operator with its sides exchanged.
    #[must_use]
    pub fn flipped(self) -> Comparison {
        match self {
            Comparison::Less => Comparison::Greater,
            Comparison::LessEqual => Comparison::GreaterEqual,
            Comparison::Greater => Comparison::Less,
            Comparison::GreaterEqual => Comparison::LessEqual,
            same => same,
        }
    }
}

/// A total order that compiles to branch-free code. NaN equals itself and stands above every number.
trait Ordered: Copy {
    fn equal(self, other: Self) -> bool;
    fn less(self, other: Self) -> bool;
}

macro_rules! ordered_integer {
    ($($type:ty),*) => {$(
        impl Ordered for $type {
            #[inline]
            fn equal(self, other: $type) -> bool {
                self == other
            }
            #[inline]
            fn less(self, other: $type) -> bool {
                self < other
            }
        }
    )*};
}

ordered_integer!(i16, i32, i64, i128, bool);

macro_rules! ordered_float {
    ($($type:ty),*) => {$(
        impl Ordered for $type {
            #[inline]
            #[allow(clippy::eq_op, reason = "only NaN differs from itself, and this form vectorises")]
            fn equal(self, other: $type) -> bool {
                (self == other) | ((self != self) & (other != other))
            }
            #[inline]
            #[allow(clippy::eq_op, reason = "only NaN differs from itself, and this form vectorises")]
            fn less(self, other: $type) -> bool {
                (self < other) | ((other != other) & (self == self))
            }
        }
    )*};
}

ordered_float!(f32, f64);

/// Where the answers go: a bitmap of all rows, or the numbers of the rows that satisfy.
enum Target<'a> {
    Bits { rows: RowSet<'a>, bits: Bitmap },
    Rows { rows: RowSet<'a>, validity: Option<&'a Bitmap>, selected: Vec<u16> },
}

impl Target<'_> {
    /// One compiled loop per `test`.
    #[inline]
    fn fill(&mut self, test: impl Fn(usize) -> bool) {
        match self {
            Target::Bits { rows, bits } => match *rows {
                RowSet::Some(chosen, count) if chosen.len() * 4 < count => {
                    *bits = Bitmap::filled(count, false);
                    for row in chosen {
                        bits.set(usize::from(*row), test(usize::from(*row)));
                    }
                }
                RowSet::All(count) | RowSet::Some(_, count) => *bits = Bitmap::from_fn(count, test),
            },
            Target::Rows { rows, validity, selected } => {
                let mut length = 0;
                match *rows {
                    RowSet::All(count) => {
                        selected.resize(count, 0);
                        for row in 0..count {
                            selected[length] = row as u16;
                            length += usize::from(test(row));
                        }
                    }
                    RowSet::Some(chosen, _) => {
                        selected.resize(chosen.len(), 0);
                        for row in chosen {
                            selected[length] = *row;
                            length += usize::from(test(usize::from(*row)));
                        }
                    }
                }
                selected.truncate(length);
                if let Some(valid) = validity {
                    selected.retain(|row| valid.get(usize::from(*row)));
                }
            }
        }
    }
}

fn run<T: Ordered>(
    comparison: Comparison,
    left: Slots<'_, T>,
    right: Slots<'_, T>,
    forms: (ColumnForm, ColumnForm),
    target: &mut Target<'_>,
) {
    let (l, r) = (left.values, right.values);
    match forms {
        (_, ColumnForm::Constant) => run_constant(comparison, l, r[0], target),
        (ColumnForm::Constant, _) => run_constant(comparison.flipped(), r, l[0], target),
        _ => {
            let length = l.len().min(r.len());
            let (l, r) = (&l[..length], &r[..length]);
            match comparison {
                Comparison::Equal => target.fill(|row| l[row].equal(r[row])),
                Comparison::NotEqual => target.fill(|row| !l[row].equal(r[row])),
                Comparison::Less => target.fill(|row| l[row].less(r[row])),
                Comparison::LessEqual => target.fill(|row| !r[row].less(l[row])),
                Comparison::Greater => target.fill(|row| r[row].less(l[row])),
                Comparison::GreaterEqual => target.fill(|row| !l[row].less(r[row])),
            }
        }
    }
}

fn run_constant<T: Ordered>(comparison: Comparison, l: &[T], r: T, target: &mut Target<'_>) {
    match comparison {
        Comparison::Equal => target.fill(|row| l[row].equal(r)),
        Comparison::NotEqual => target.fill(|row| !l[row].equal(r)),
        Comparison::Less => target.fill(|row| l[row].less(r)),
        Comparison::LessEqual => target.fill(|row| !r.less(l[row])),
        Comparison::Greater => target.fill(|row| r.less(l[row])),
        Comparison::GreaterEqual => target.fill(|row| !l[row].less(r)),
    }
}

/// The first four bytes of a view as a number in byte order; shorter strings are padded with zeros, which sort first.
#[inline]
fn prefix(strings: &StringColumn, slot: usize) -> u32 {
    let view = &strings.views()[slot].0;
    u32::from_be_bytes([view[4], view[5], view[6], view[7]])
}

#[inline]
fn string_equal(left: &StringColumn, l: usize, right: &StringColumn, r: usize) -> bool {
    let (a, b) = (&left.views()[l].0, &right.views()[r].0);
    // Length and prefix first: most unequal strings differ there.
    a[..8] == b[..8] && left.get(l) == right.get(r)
}

#[inline]
fn string_order(left: &StringColumn, l: usize, right: &StringColumn, r: usize) -> Ordering {
    prefix(left, l).cmp(&prefix(right, r)).then_with(|| left.get(l).cmp(right.get(r)))
}

fn run_strings(
    comparison: Comparison,
    left: (&StringColumn, usize),
    right: (&StringColumn, usize),
    blank_padded: bool,
    target: &mut Target<'_>,
) {
    let ((left, left_mask), (right, right_mask)) = (left, right);
    if blank_padded {
        return target.fill(|row| {
            let a = left.get(row & left_mask).trim_ascii_end_blanks();
            comparison.holds(a.cmp(right.get(row & right_mask).trim_ascii_end_blanks()))
        });
    }
    match comparison {
        Comparison::Equal => target.fill(|row| string_equal(left, row & left_mask, right, row & right_mask)),
        Comparison::NotEqual => {
            target.fill(|row| !string_equal(left, row & left_mask, right, row & right_mask))
        }
        _ => {
            target.fill(|row| comparison.holds(string_order(left, row & left_mask, right, row & right_mask)));
        }
    }
}

trait TrimBlanks {
    fn trim_ascii_end_blanks(&self) -> &[u8];
}

impl TrimBlanks for [u8] {
    fn trim_ascii_end_blanks(&self) -> &[u8] {
        let end = self.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1);
        &self[..end]
    }
}

/// 10^exponent while it fits 64 bits with room for the product in 128.
fn power_of_ten(exponent: u16) -> Option<i128> {
    (exponent <= 18).then(|| 10i128.pow(u32::from(exponent)))
}

fn run_numeric(comparison: Comparison, left: &Column, right: &Column, target: &mut Target<'_>) -> Option<()> {
    let (l, r) = (Num::reader(left)?, Num::reader(right)?);
    if let (NumericReader::Narrow(a, a_scale), NumericReader::Narrow(b, b_scale)) = (l, r) {
        if a_scale == b_scale {
            run(comparison, a, b, (left.form, right.form), target);
            return Some(());
        }
        if right.form == ColumnForm::Constant && a_scale > b_scale {
            // A constant of smaller scale is rescaled once.
            let factor = power_of_ten(a_scale - b_scale).map(|power| power * i128::from(b.values[0]));
            if let Some(constant) = factor.and_then(|product| i64::try_from(product).ok()) {
                run_constant(comparison, a.values, constant, target);
                return Some(());
            }
        }
        let (up, down) = if a_scale < b_scale { (b_scale - a_scale, 0) } else { (0, a_scale - b_scale) };
        if let (Some(left_factor), Some(right_factor)) = (power_of_ten(up), power_of_ten(down)) {
            target.fill(|row| {
                let order =
                    (i128::from(a.get(row)) * left_factor).cmp(&(i128::from(b.get(row)) * right_factor));
                comparison.holds(order)
            });
            return Some(());
        }
    }
    target.fill(|row| comparison.holds(Num::read(l, row).cmp(&Num::read(r, row))));
    Some(())
}

/// Compares two columns of one type, or of two integer or float types, into `target`.
fn dispatch(comparison: Comparison, left: &Column, right: &Column, target: &mut Target<'_>) -> Option<()> {
    let forms = (left.form, right.form);
    macro_rules! same {
        ($l:expr, $r:expr) => {
            run(comparison, Slots::new($l, left.form), Slots::new($r, right.form), forms, target)
        };
    }
    match (&left.data, &right.data) {
        (ColumnData::Int16(l), ColumnData::Int16(r)) => same!(l, r),
        (ColumnData::Int32(l), ColumnData::Int32(r)) => same!(l, r),
        (ColumnData::Int64(l), ColumnData::Int64(r)) => same!(l, r),
        (ColumnData::Float32(l), ColumnData::Float32(r)) => same!(l, r),
        (ColumnData::Float64(l), ColumnData::Float64(r)) => same!(l, r),
        (ColumnData::Float32(l), ColumnData::Float64(r)) => {
            let l: Vec<f64> = l.iter().map(|value| f64::from(*value)).collect();
            same!(&l, r);
        }
        (ColumnData::Float64(l), ColumnData::Float32(r)) => {
            let r: Vec<f64> = r.iter().map(|value| f64::from(*value)).collect();
            same!(l, &r);
        }
        (ColumnData::Boolean(l), ColumnData::Boolean(r)) => {
            let (left_mask, right_mask) = (slot_mask(left.form), slot_mask(right.form));
            target.fill(|row| comparison.holds(l.get(row & left_mask).cmp(&r.get(row & right_mask))));
        }
        (ColumnData::Strings(l), ColumnData::Strings(r)) => {
            let (l, r) = ((l, slot_mask(left.form)), (r, slot_mask(right.form)));
            run_strings(comparison, l, r, is_blank_padded(left, right), target);
        }
        (ColumnData::Interval(l), ColumnData::Interval(r)) => {
            let (l, r) = (Slots::new(l, left.form), Slots::new(r, right.form));
            target.fill(|row| comparison.holds(interval_key(l.get(row)).cmp(&interval_key(r.get(row)))));
        }
        (
            ColumnData::Decimal64 { .. } | ColumnData::Decimal128 { .. } | ColumnData::Numeric(_),
            ColumnData::Decimal64 { .. } | ColumnData::Decimal128 { .. } | ColumnData::Numeric(_),
        ) => run_numeric(comparison, left, right, target)?,
        (l, r) => {
            let (l, r) = (widen(l)?, widen(r)?);
            same!(&l, &r);
        }
    }
    Some(())
}

/// Whether blanks at the end do not count.
fn is_blank_padded(left: &Column, right: &Column) -> bool {
    left.data_type == DataType::Char && right.data_type == DataType::Char
}

fn widen(data: &ColumnData) -> Option<Vec<i64>> {
    Some(match data {
        ColumnData::Int16(values) => values.iter().map(|value| i64::from(*value)).collect(),
        ColumnData::Int32(values) => values.iter().map(|value| i64::from(*value)).collect(),
        ColumnData::Int64(values) => values.clone(),
        _ => return None,
    })
}

/// A comparison over columns.
fn vector(comparison: Comparison, columns: &[Arc<Column>], rows: RowSet<'_>) -> Result<Column> {
    let count = kernel::row_count(rows);
    let (left, right) = (&columns[0], &columns[1]);
    let (validity, form, wanted) = match kernel::shape(columns) {
        Shape::Null => return Ok(Column::null(DataType::Boolean, count)),
        Shape::Constant => (None, ColumnForm::Constant, RowSet::All(1)),
        Shape::Flat(validity) => (validity, ColumnForm::Flat, rows),
    };
    let mut target = Target::Bits { rows: wanted, bits: Bitmap::new() };
    dispatch(comparison, left, right, &mut target).ok_or_else(|| kernel::wrong_layout(DataType::Boolean))?;
    let Target::Bits { bits, .. } = target else { return Err(kernel::wrong_layout(DataType::Boolean)) };
    Ok(Column { data_type: DataType::Boolean, form, rows: count, data: ColumnData::Boolean(bits), validity })
}

/// The rows for which the comparison is true, without a boolean column in between: the filter's fast path.
/// Columns have one type, or two integer or float types.
pub(crate) fn select(
    comparison: Comparison,
    left: &Arc<Column>,
    right: &Arc<Column>,
    rows: RowSet<'_>,
) -> Result<Vec<u16>> {
    let columns = [Arc::clone(left), Arc::clone(right)];
    let validity = match kernel::shape(&columns) {
        Shape::Null => return Ok(Vec::new()),
        Shape::Constant => None,
        Shape::Flat(validity) => validity,
    };
    if kernel::no_rows(rows) {
        return Ok(Vec::new());
    }
    if left.is_constant() && right.is_constant() {
        let hit = scalar(comparison, is_blank_padded(left, right), &[left.datum(0), right.datum(0)])?;
        let hit = matches!(hit, Datum::Boolean(true));
        return Ok(match rows {
            _ if !hit => Vec::new(),
            RowSet::All(count) => (0..count).map(|row| row as u16).collect(),
            RowSet::Some(chosen, _) => chosen.to_vec(),
        });
    }
    let mut target = Target::Rows { rows, validity: validity.as_ref(), selected: Vec::new() };
    dispatch(comparison, left, right, &mut target).ok_or_else(|| kernel::wrong_layout(DataType::Boolean))?;
    match target {
        Target::Rows { selected, .. } => Ok(selected),
        Target::Bits { .. } => Err(kernel::wrong_layout(DataType::Boolean)),
    }
}

/// The order of two values that are not NULL, of one type or of two integer or float types.
/// `None`: the types have no common order.
#[inline]
pub fn compare(left: DatumRef<'_>, right: DatumRef<'_>) -> Option<Ordering> {
    Some(match (left, right) {
        (DatumRef::BigInt(l), DatumRef::BigInt(r)) => l.cmp(&r),
        (DatumRef::Integer(l), DatumRef::Integer(r)) => l.cmp(&r),
        (DatumRef::Text(l), DatumRef::Text(r)) => l.as_bytes().cmp(r.as_bytes()),
        (DatumRef::Double(l), DatumRef::Double(r)) => compare_f64(l, r),
        _ => return compare_others(left, right),
    })
}

fn compare_others(left: DatumRef<'_>, right: DatumRef<'_>) -> Option<Ordering> {
    Some(match (left, right) {
        (DatumRef::Boolean(l), DatumRef::Boolean(r)) => l.cmp(&r),
        (DatumRef::Numeric(l), DatumRef::Numeric(r)) => l.cmp(&r),
        (DatumRef::Bytes(l), DatumRef::Bytes(r)) => l.cmp(r),
        (DatumRef::Date(l), DatumRef::Date(r)) => l.cmp(&r),
        (DatumRef::Timestamp(l), DatumRef::Timestamp(r)) => l.cmp(&r),
        (DatumRef::TimestampTz(l), DatumRef::TimestampTz(r)) => l.cmp(&r),
        (DatumRef::Interval(l), DatumRef::Interval(r)) => interval_key(l).cmp(&interval_key(r)),
        (DatumRef::Real(l), DatumRef::Real(r)) => compare_f64(f64::from(l), f64::from(r)),
        (DatumRef::Real(l), DatumRef::Double(r)) => compare_f64(f64::from(l), r),
        (DatumRef::Double(l), DatumRef::Real(r)) => compare_f64(l, f64::from(r)),
        _ => integer(left)?.cmp(&integer(right)?),
    })
}

fn integer(datum: DatumRef<'_>) -> Option<i64> {
    match datum {
        DatumRef::SmallInt(value) => Some(i64::from(value)),
        DatumRef::Integer(value) => Some(i64::from(value)),
        DatumRef::BigInt(value) => Some(value),
        _ => None,
    }
}

fn scalar(comparison: Comparison, blank_padded: bool, datums: &[DatumRef<'_>]) -> Result<Datum> {
    let (left, right) = (datums[0], datums[1]);
    if left.is_null() || right.is_null() {
        return Ok(Datum::Null);
    }
    let order = match (left, right) {
        (DatumRef::Text(l), DatumRef::Text(r)) if blank_padded => {
            l.as_bytes().trim_ascii_end_blanks().cmp(r.as_bytes().trim_ascii_end_blanks())
        }
        _ => compare(left, right).ok_or_else(|| kernel::wrong_layout(DataType::Boolean))?,
    };
    Ok(Datum::Boolean(comparison.holds(order)))
}

/// Comparison of two moments of different types, after conversion of both to the wider one.
fn moments(
    comparison: Comparison,
    columns: &[Arc<Column>],
    rows: RowSet<'_>,
    environment: &dyn Environment,
) -> Result<Column> {
    let count = kernel::row_count(rows);
    let (validity, form, wanted) = match kernel::shape(columns) {
        Shape::Null => return Ok(Column::null(DataType::Boolean, count)),
        Shape::Constant => (None, ColumnForm::Constant, RowSet::All(1)),
        Shape::Flat(validity) => (validity, ColumnForm::Flat, rows),
    };
    let slots = if form == ColumnForm::Constant { 1 } else { count };
    let mut bits = Bitmap::filled(slots, false);
    kernel::for_rows(wanted, validity.as_ref(), |row| {
        let order = temporal::compare_moments(columns[0].datum(row), columns[1].datum(row), environment)?;
        bits.set(row, comparison.holds(order));
        Ok(())
    })?;
    Ok(Column { data_type: DataType::Boolean, form, rows: count, data: ColumnData::Boolean(bits), validity })
}

macro_rules! six {
    ($macro:ident, $($argument:tt)*) => {
        [
            $macro!("=", Equal, "equal", $($argument)*),
            $macro!("<>", NotEqual, "not equal", $($argument)*),
            $macro!("<", Less, "less than", $($argument)*),
            $macro!("<=", LessEqual, "less than or equal", $($argument)*),
            $macro!(">", Greater, "greater than", $($argument)*),
            $macro!(">=", GreaterEqual, "greater than or equal", $($argument)*),
        ]
    };
}

macro_rules! plain {
    ($symbol:literal, $comparison:ident, $documentation:literal, $left:ident, $right:ident) => {
        ScalarFunction {
            name: $symbol,
            arguments: &[DataType::$left, DataType::$right],
            variadic: false,
            returns: DataType::Boolean,
            strict: true,
            volatility: Volatility::Immutable,
            documentation: $documentation,
            vector: |columns, rows, _| vector(Comparison::$comparison, columns, rows),
            scalar: |datums, _| {
                scalar(Comparison::$comparison, matches!(DataType::$left, DataType::Char), datums)
            },
        }
    };
}

macro_rules! moment {
    ($symbol:literal, $comparison:ident, $documentation:literal, $left:ident, $right:ident, $volatility:ident) => {
        ScalarFunction {
            name: $symbol,
            arguments: &[DataType::$left, DataType::$right],
            variadic: false,
            returns: DataType::Boolean,
            strict: true,
            volatility: Volatility::$volatility,
            documentation: $documentation,
            vector: |columns, rows, environment| moments(Comparison::$comparison, columns, rows, environment),
            scalar: |datums, environment| {
                if datums[0].is_null() || datums[1].is_null() {
                    return Ok(Datum::Null);
                }
                let order = temporal::compare_moments(datums[0], datums[1], environment)?;
                Ok(Datum::Boolean(Comparison::$comparison.holds(order)))
            },
        }
    };
}

macro_rules! tables {
    ($($name:ident = $macro:ident($($argument:tt)*);)*) => {
        $(static $name: [ScalarFunction; 6] = six!($macro, $($argument)*);)*
        /// The operators of every pair of types.
        pub(super) static TABLES: &[&[ScalarFunction]] = &[$(&$name),*];
    };
}

tables! {
    INT4 = plain(Integer, Integer);
    INT8 = plain(BigInt, BigInt);
    INT2 = plain(SmallInt, SmallInt);
    INT48 = plain(Integer, BigInt);
    INT84 = plain(BigInt, Integer);
    INT24 = plain(SmallInt, Integer);
    INT42 = plain(Integer, SmallInt);
    INT28 = plain(SmallInt, BigInt);
    INT82 = plain(BigInt, SmallInt);
    FLOAT8 = plain(Double, Double);
    FLOAT4 = plain(Real, Real);
    FLOAT48 = plain(Real, Double);
    FLOAT84 = plain(Double, Real);
    NUMERIC = plain(Numeric, Numeric);
    TEXT = plain(Text, Text);
    CHARACTER = plain(Char, Char);
    BYTEA = plain(Bytea, Bytea);
    BOOLEAN = plain(Boolean, Boolean);
    DATE = plain(Date, Date);
    TIMESTAMP = plain(Timestamp, Timestamp);
    TIMESTAMPTZ = plain(TimestampTz, TimestampTz);
    INTERVAL = plain(Interval, Interval);
    DATE_TIMESTAMP = moment(Date, Timestamp, Immutable);
    TIMESTAMP_DATE = moment(Timestamp, Date, Immutable);
    DATE_TIMESTAMPTZ = moment(Date, TimestampTz, Stable);
    TIMESTAMPTZ_DATE = moment(TimestampTz, Date, Stable);
    TIMESTAMP_TIMESTAMPTZ = moment(Timestamp, TimestampTz, Stable);
    TIMESTAMPTZ_TIMESTAMP = moment(TimestampTz, Timestamp, Stable);
}
