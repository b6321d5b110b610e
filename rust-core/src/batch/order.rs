//! Rows across columns: hashes, equality, order, sort keys.

use crate::batch::column::{Column, ColumnData, ColumnForm};
use crate::sql::types::compare::{self, combine, hash, hash_bytes, hash_f64, hash_i64, hash_numeric};
use crate::sql::types::data_type::DataType;
use crate::sql::types::datum::Numeric;
use crate::sql::types::sort_key;
use std::cmp::Ordering;

/// Hashes of the rows `rows` (all when `None`) of `columns`, in that order, into `out` (cleared first): one per
/// listed row. NULLs hash alike; equal rows ([`rows_equal`]) have equal hashes.
pub fn hash_rows(columns: &[&Column], row_count: usize, rows: Option<&[u16]>, out: &mut Vec<u64>) {
    out.clear();
    out.resize(rows.map_or(row_count, <[u16]>::len), 0x4C75_6D6F_7300_0000);
    for column in columns {
        match rows {
            None => hash_column(column, 0..row_count, out),
            Some(rows) => hash_column(column, rows.iter().map(|row| usize::from(*row)), out),
        }
    }
}

fn hash_column(column: &Column, rows: impl Iterator<Item = usize> + Clone, out: &mut [u64]) {
    if column.form == ColumnForm::Constant {
        let value =
            if column.rows == 0 { compare::NULL_HASH } else { hash(column.datum(0), column.data_type) };
        out.iter_mut().for_each(|slot| *slot = combine(*slot, value));
        return;
    }
    match &column.data {
        ColumnData::Int16(v) => fold(column, rows, out, |row| hash_i64(i64::from(v[row]))),
        ColumnData::Int32(v) => fold(column, rows, out, |row| hash_i64(i64::from(v[row]))),
        ColumnData::Int64(v) => fold(column, rows, out, |row| hash_i64(v[row])),
        ColumnData::Float64(v) => fold(column, rows, out, |row| hash_f64(v[row])),
        ColumnData::Float32(v) => fold(column, rows, out, |row| hash_f64(f64::from(v[row]))),
        ColumnData::Decimal64 { values, scale } => {
            fold(column, rows, out, |row| hash_numeric(Numeric::new(i128::from(values[row]), *scale)));
        }
        ColumnData::Strings(v) if column.data_type != DataType::Char => {
            fold(column, rows, out, |row| hash_bytes(v.get(row)));
        }
        _ => fold(column, rows, out, |row| hash(column.datum(row), column.data_type)),
    }
}

#[inline]
fn fold(column: &Column, rows: impl Iterator<Item = usize>, out: &mut [u64], value: impl Fn(usize) -> u64) {
    match &column.validity {
        None => out.iter_mut().zip(rows).for_each(|(slot, row)| *slot = combine(*slot, value(row))),
        Some(validity) => out.iter_mut().zip(rows).for_each(|(slot, row)| {
            let next = if validity.get(row) { value(row) } else { compare::NULL_HASH };
            *slot = combine(*slot, next);
        }),
    }
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
