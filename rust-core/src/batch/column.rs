//! A column of values of one type.

use crate::batch::validity::Bitmap;
use crate::sql::types::data_type::DataType;
use crate::sql::types::datum::{Interval, Numeric};
use std::sync::Arc;

/// The values of a column. Slots of NULL rows hold an arbitrary (valid) value.
#[derive(Clone, Debug)]
pub enum ColumnData {
    /// `boolean`: one bit a row.
    Boolean(Bitmap),
    /// `smallint`.
    Int16(Vec<i16>),
    /// `integer`, `date`.
    Int32(Vec<i32>),
    /// `bigint`, `timestamp`, `timestamptz`.
    Int64(Vec<i64>),
    /// `real`.
    Float32(Vec<f32>),
    /// `double precision`.
    Float64(Vec<f64>),
    /// `numeric` whose values share one scale and fit 64 bits: what `numeric(p ≤ 18, s)` columns hold.
    Decimal64 {
        /// Mantissas.
        values: Vec<i64>,
        /// Digits after the point, of every value.
        scale: u16,
    },
    /// `numeric` whose values share one scale.
    Decimal128 {
        /// Mantissas.
        values: Vec<i128>,
        /// Digits after the point, of every value.
        scale: u16,
    },
    /// `numeric` with a scale a value.
    Numeric(Vec<Numeric>),
    /// Text types and `bytea`; text is valid UTF-8.
    Strings(StringColumn),
    /// `interval`.
    Interval(Vec<Interval>),
    /// Every row is NULL: no values.
    Null,
}

/// 16 bytes for a string, as Arrow's view types: up to 12 bytes inline, else length, 4-byte prefix,
/// buffer number and offset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
pub struct StringView(pub [u8; 16]);

/// Strings as views into shared buffers.
#[derive(Clone, Debug, Default)]
pub struct StringColumn {
    /// One a row.
    pub views: Vec<StringView>,
    /// What long views point into.
    pub buffers: Vec<Arc<[u8]>>,
    /// Bytes of long strings still being collected: the buffer after the last of `buffers`.
    pub tail: Vec<u8>,
}

/// Whether there is a value a row or one for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnForm {
    /// A value a row.
    Flat,
    /// The data holds one value, which stands for every row.
    Constant,
}

/// Values of one type for the rows of a batch.
#[derive(Clone, Debug)]
pub struct Column {
    /// The SQL type of the values.
    pub data_type: DataType,
    /// Flat or constant.
    pub form: ColumnForm,
    /// Rows this column stands for.
    pub rows: usize,
    /// The values: `rows` of them when flat, one when constant.
    pub data: ColumnData,
    /// 1 = not NULL; `None`: no NULLs. As long as the data.
    pub validity: Option<Bitmap>,
}
