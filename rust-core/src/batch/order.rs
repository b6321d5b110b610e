//! Rows across columns: hashes, equality, order, sort keys.

use crate::batch::column::{Column, ColumnData, ColumnForm};
use crate::batch::string::StringColumn;
use crate::sql::types::compare::{
    self, combine, hash, hash_bytes, hash_f64, hash_i64, hash_numeric, hash_words,
};
use crate::sql::types::data_type::DataType;
use crate::sql::types::datum::Numeric;
use crate::sql::types::sort_key;
use crate::sql::types::text::trim_blank_bytes;
use std::cmp::Ordering;

/// Hashes of the rows `rows` (all when `None`) of `columns`, in that order, into `out` (cleared first): one per
/// listed row. NULLs hash alike; equal rows ([`rows_equal`]) have equal hashes.
pub fn hash_rows(columns: &[&Column], row_count: usize, rows: Option<&[u16]>, out: &mut Vec<u64>) {
    out.clear();
    out.resize(rows.map_or(row_count, <[u16]>::len), 0x4C75_6D6F_7300_0000);
    for (index, column) in columns.iter().enumerate() {
        let first = index == 0;
        match rows {
            None => hash_column(column, 0..row_count, first, out),
            Some(rows) => hash_column(column, rows.iter().map(|row| usize::from(*row)), first, out),
        }
    }
}

fn hash_column(column: &Column, rows: impl Iterator<Item = usize> + Clone, first: bool, out: &mut [u64]) {
    if column.form == ColumnForm::Constant {
        let value =
            if column.rows == 0 { compare::NULL_HASH } else { hash(column.datum(0), column.data_type) };
        out.iter_mut().for_each(|slot| *slot = if first { value } else { combine(*slot, value) });
        return;
    }
    match &column.data {
        ColumnData::Int16(v) => fold(column, rows, first, out, |row| hash_i64(i64::from(v[row]))),
        ColumnData::Int32(v) => fold(column, rows, first, out, |row| hash_i64(i64::from(v[row]))),
        ColumnData::Int64(v) => fold(column, rows, first, out, |row| hash_i64(v[row])),
        ColumnData::Float64(v) => fold(column, rows, first, out, |row| hash_f64(v[row])),
        ColumnData::Float32(v) => fold(column, rows, first, out, |row| hash_f64(f64::from(v[row]))),
        ColumnData::Decimal64 { values, scale } => {
            fold(column, rows, first, out, |row| hash_numeric(Numeric::new(i128::from(values[row]), *scale)));
        }
        ColumnData::Strings(v) if column.data_type != DataType::Char => {
            fold(column, rows, first, out, |row| hash_string(v, row));
        }
        ColumnData::Strings(v) => {
            fold(column, rows, first, out, |row| hash_bytes(trim_blank_bytes(v.get(row))));
        }
        _ => fold(column, rows, first, out, |row| hash(column.datum(row), column.data_type)),
    }
}

/// [`hash_bytes`] of a string; of a short one from its view.
#[inline]
fn hash_string(strings: &StringColumn, row: usize) -> u64 {
    let view = &strings.views()[row];
    if view.is_inline() {
        let (first, second) = view.words();
        hash_words(first, second)
    } else {
        hash_bytes(strings.get(row))
    }
}

#[inline]
fn fold(
    column: &Column,
    rows: impl Iterator<Item = usize>,
    first: bool,
    out: &mut [u64],
    value: impl Fn(usize) -> u64,
) {
    match (&column.validity, first) {
        (None, true) => out.iter_mut().zip(rows).for_each(|(slot, row)| *slot = value(row)),
        (None, false) => out.iter_mut().zip(rows).for_each(|(slot, row)| *slot = combine(*slot, value(row))),
        (Some(validity), _) => out.iter_mut().zip(rows).for_each(|(slot, row)| {
            let next = if validity.get(row) { value(row) } else { compare::NULL_HASH };
            *slot = if first { next } else { combine(*slot, next) };
        }),
    }
}

/// Calls `differs(i)` for each pair `i` of a row of `left` and one of `right` that are not the same; NULL is the same as
/// NULL. The columns have one type.
pub fn each_difference(
    left: &Column,
    right: &Column,
    pairs: impl Iterator<Item = (usize, usize)>,
    mut differs: impl FnMut(usize),
) {
    let flat = left.form == ColumnForm::Flat
        && right.form == ColumnForm::Flat
        && left.validity.is_none()
        && right.validity.is_none();
    macro_rules! compare_with {
        ($equal:expr) => {{
            let equal = $equal;
            for (position, (l, r)) in pairs.enumerate() {
                if !equal(l, r) {
                    differs(position);
                }
            }
        }};
    }
    if flat {
        match (&left.data, &right.data) {
            (ColumnData::Int16(l), ColumnData::Int16(r)) => {
                return compare_with!(|a: usize, b: usize| l[a] == r[b]);
            }
            (ColumnData::Int32(l), ColumnData::Int32(r)) => {
                return compare_with!(|a: usize, b: usize| l[a] == r[b]);
            }
            (ColumnData::Int64(l), ColumnData::Int64(r)) => {
                return compare_with!(|a: usize, b: usize| l[a] == r[b]);
            }
            (
                ColumnData::Decimal64 { values: l, scale },
                ColumnData::Decimal64 { values: r, scale: right_scale },
            ) if scale == right_scale => return compare_with!(|a: usize, b: usize| l[a] == r[b]),
            (ColumnData::Strings(l), ColumnData::Strings(r)) if left.data_type != DataType::Char => {
                return compare_with!(|a: usize, b: usize| l.is_equal(a, r, b));
            }
            (ColumnData::Strings(l), ColumnData::Strings(r)) => {
                return compare_with!(|a: usize, b: usize| l.is_equal(a, r, b)
                    || trim_blank_bytes(l.get(a)) == trim_blank_bytes(r.get(b)));
            }
            _ => {}
        }
    }
    compare_with!(|a: usize, b: usize| values_equal(left, a, right, b));
}

/// Whether two values of one type are the same; NULL is the same as NULL.
#[inline]
pub fn values_equal(left: &Column, left_row: usize, right: &Column, right_row: usize) -> bool {
    if left.form == ColumnForm::Flat
        && right.form == ColumnForm::Flat
        && left.validity.is_none()
        && right.validity.is_none()
    {
        match (&left.data, &right.data) {
            (ColumnData::Int32(l), ColumnData::Int32(r)) => return l[left_row] == r[right_row],
            (ColumnData::Int64(l), ColumnData::Int64(r)) => return l[left_row] == r[right_row],
            (ColumnData::Strings(l), ColumnData::Strings(r)) if left.data_type != DataType::Char => {
                return l.get(left_row) == r.get(right_row);
            }
            _ => {}
        }
    }
    compare::equal(left.datum(left_row), right.datum(right_row), left.data_type)
}

/// Whether two rows are the same in every column: what GROUP BY and DISTINCT ask.
#[inline]
pub fn rows_equal(left: &[&Column], left_row: usize, right: &[&Column], right_row: usize) -> bool {
    left.iter().zip(right).all(|(l, r)| values_equal(l, left_row, r, right_row))
}

/// Direction of a sort column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SortOrder {
    /// DESC.
    pub descending: bool,
    /// NULLS FIRST.
    pub nulls_first: bool,
}

/// Orders two rows of one column.
pub fn compare_values(
    left: &Column,
    left_row: usize,
    right: &Column,
    right_row: usize,
    order: SortOrder,
) -> Ordering {
    match (left.is_null(left_row), right.is_null(right_row)) {
        (true, true) => Ordering::Equal,
        (true, false) if order.nulls_first => Ordering::Less,
        (true, false) => Ordering::Greater,
        (false, true) if order.nulls_first => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => {
            let ordering = compare::compare(left.datum(left_row), right.datum(right_row), left.data_type);
            if order.descending { ordering.reverse() } else { ordering }
        }
    }
}

/// Orders two rows by several columns.
pub fn compare_rows(
    left: &[&Column],
    left_row: usize,
    right: &[&Column],
    right_row: usize,
    orders: &[SortOrder],
) -> Ordering {
    left.iter()
        .zip(right)
        .zip(orders)
        .map(|((l, r), order)| compare_values(l, left_row, r, right_row, *order))
        .find(|ordering| ordering.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// Appends the memcomparable key of row `row` to `out`: byte order of keys is [`compare_rows`].
pub fn encode_row_key(columns: &[&Column], row: usize, orders: &[SortOrder], out: &mut Vec<u8>) {
    for (column, order) in columns.iter().zip(orders) {
        sort_key::encode(column.datum(row), column.data_type, order.descending, order.nulls_first, out);
    }
}
