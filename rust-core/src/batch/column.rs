//! A column of values of one type.

use crate::batch::builder::ColumnBuilder;
use crate::batch::string::{OWN_BUFFER_BYTES, StringColumn};
use crate::batch::validity::Bitmap;
use crate::sql::types::data_type::{DataType, SqlType};
use crate::sql::types::datum::{Datum, DatumRef, Interval, Numeric};
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

impl ColumnData {
    /// Values held; 0 for [`ColumnData::Null`].
    pub fn len(&self) -> usize {
        match self {
            ColumnData::Boolean(v) => v.len(),
            ColumnData::Int16(v) => v.len(),
            ColumnData::Int32(v) => v.len(),
            ColumnData::Int64(v) => v.len(),
            ColumnData::Float32(v) => v.len(),
            ColumnData::Float64(v) => v.len(),
            ColumnData::Decimal64 { values, .. } => values.len(),
            ColumnData::Decimal128 { values, .. } => values.len(),
            ColumnData::Numeric(v) => v.len(),
            ColumnData::Strings(v) => v.len(),
            ColumnData::Interval(v) => v.len(),
            ColumnData::Null => 0,
        }
    }

    /// Whether no values are held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn gather(&self, rows: &[u16]) -> ColumnData {
        fn pick<T: Copy>(values: &[T], rows: &[u16]) -> Vec<T> {
            rows.iter().map(|row| values[usize::from(*row)]).collect()
        }
        match self {
            ColumnData::Boolean(v) => ColumnData::Boolean(v.gather(rows)),
            ColumnData::Int16(v) => ColumnData::Int16(pick(v, rows)),
            ColumnData::Int32(v) => ColumnData::Int32(pick(v, rows)),
            ColumnData::Int64(v) => ColumnData::Int64(pick(v, rows)),
            ColumnData::Float32(v) => ColumnData::Float32(pick(v, rows)),
            ColumnData::Float64(v) => ColumnData::Float64(pick(v, rows)),
            ColumnData::Decimal64 { values, scale } => {
                ColumnData::Decimal64 { values: pick(values, rows), scale: *scale }
            }
            ColumnData::Decimal128 { values, scale } => {
                ColumnData::Decimal128 { values: pick(values, rows), scale: *scale }
            }
            ColumnData::Numeric(v) => ColumnData::Numeric(pick(v, rows)),
            ColumnData::Strings(v) => ColumnData::Strings(v.gather(rows)),
            ColumnData::Interval(v) => ColumnData::Interval(pick(v, rows)),
            ColumnData::Null => ColumnData::Null,
        }
    }

    fn slice(&self, start: usize, len: usize) -> ColumnData {
        let range = start..start + len;
        match self {
            ColumnData::Boolean(v) => ColumnData::Boolean(v.slice(start, len)),
            ColumnData::Int16(v) => ColumnData::Int16(v[range].to_vec()),
            ColumnData::Int32(v) => ColumnData::Int32(v[range].to_vec()),
            ColumnData::Int64(v) => ColumnData::Int64(v[range].to_vec()),
            ColumnData::Float32(v) => ColumnData::Float32(v[range].to_vec()),
            ColumnData::Float64(v) => ColumnData::Float64(v[range].to_vec()),
            ColumnData::Decimal64 { values, scale } => {
                ColumnData::Decimal64 { values: values[range].to_vec(), scale: *scale }
            }
            ColumnData::Decimal128 { values, scale } => {
                ColumnData::Decimal128 { values: values[range].to_vec(), scale: *scale }
            }
            ColumnData::Numeric(v) => ColumnData::Numeric(v[range].to_vec()),
            ColumnData::Strings(v) => ColumnData::Strings(v.slice(start, len)),
            ColumnData::Interval(v) => ColumnData::Interval(v[range].to_vec()),
            ColumnData::Null => ColumnData::Null,
        }
    }

    fn repeat(&self, rows: usize) -> ColumnData {
        match self {
            ColumnData::Boolean(v) => ColumnData::Boolean(Bitmap::filled(rows, v.get(0))),
            ColumnData::Int16(v) => ColumnData::Int16(vec![v[0]; rows]),
            ColumnData::Int32(v) => ColumnData::Int32(vec![v[0]; rows]),
            ColumnData::Int64(v) => ColumnData::Int64(vec![v[0]; rows]),
            ColumnData::Float32(v) => ColumnData::Float32(vec![v[0]; rows]),
            ColumnData::Float64(v) => ColumnData::Float64(vec![v[0]; rows]),
            ColumnData::Decimal64 { values, scale } => {
                ColumnData::Decimal64 { values: vec![values[0]; rows], scale: *scale }
            }
            ColumnData::Decimal128 { values, scale } => {
                ColumnData::Decimal128 { values: vec![values[0]; rows], scale: *scale }
            }
            ColumnData::Numeric(v) => ColumnData::Numeric(vec![v[0]; rows]),
            ColumnData::Strings(v) => {
                let mut strings = StringColumn::with_capacity(rows);
                strings.push_repeated(v, 0, rows);
                ColumnData::Strings(strings)
            }
            ColumnData::Interval(v) => ColumnData::Interval(vec![v[0]; rows]),
            ColumnData::Null => ColumnData::Null,
        }
    }

    /// Bytes of memory held.
    pub fn memory_bytes(&self) -> usize {
        match self {
            ColumnData::Boolean(v) => v.memory_bytes(),
            ColumnData::Int16(v) => v.capacity() * 2,
            ColumnData::Int32(v) => v.capacity() * 4,
            ColumnData::Int64(v) => v.capacity() * 8,
            ColumnData::Float32(v) => v.capacity() * 4,
            ColumnData::Float64(v) => v.capacity() * 8,
            ColumnData::Decimal64 { values, .. } => values.capacity() * 8,
            ColumnData::Decimal128 { values, .. } => values.capacity() * 16,
            ColumnData::Numeric(v) => v.capacity() * size_of::<Numeric>(),
            ColumnData::Strings(v) => v.memory_bytes(),
            ColumnData::Interval(v) => v.capacity() * size_of::<Interval>(),
            ColumnData::Null => 0,
        }
    }
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

impl Column {
    /// A column with a value a row.
    pub fn flat(data_type: DataType, data: ColumnData, validity: Option<Bitmap>) -> Column {
        let rows = data.len();
        debug_assert!(validity.as_ref().is_none_or(|validity| validity.len() == rows));
        Column { data_type, form: ColumnForm::Flat, rows, data, validity }
    }

    /// `rows` times `value`. NULL gives [`Column::null`].
    pub fn constant(data_type: DataType, value: DatumRef<'_>, rows: usize) -> Column {
        if value.is_null() {
            return Column::null(data_type, rows);
        }
        let mut builder = ColumnBuilder::new(SqlType::plain(data_type), 1);
        builder.push_datum(value);
        Column { form: ColumnForm::Constant, rows, ..builder.finish() }
    }

    /// As [`Column::constant`]; a long value is not copied.
    pub fn constant_of(data_type: DataType, value: &Datum, rows: usize) -> Column {
        let mut strings = StringColumn::new();
        match value {
            Datum::Text(text) if text.len() >= OWN_BUFFER_BYTES => strings.push_shared_str(text),
            Datum::Bytes(bytes) if bytes.len() >= OWN_BUFFER_BYTES => strings.push_shared_bytes(bytes),
            _ => return Column::constant(data_type, value.as_ref(), rows),
        }
        let data = ColumnData::Strings(strings);
        Column { data_type, form: ColumnForm::Constant, rows, data, validity: None }
    }

    /// `rows` times NULL.
    pub fn null(data_type: DataType, rows: usize) -> Column {
        Column { data_type, form: ColumnForm::Constant, rows, data: ColumnData::Null, validity: None }
    }

    /// A column without rows.
    pub fn empty(data_type: DataType) -> Column {
        ColumnBuilder::new(SqlType::plain(data_type), 0).finish()
    }

    /// Where the value of row `row` lies in `data` and `validity`.
    #[inline]
    pub fn slot(&self, row: usize) -> usize {
        match self.form {
            ColumnForm::Flat => row,
            ColumnForm::Constant => 0,
        }
    }

    /// Whether row `row` is NULL.
    #[inline]
    pub fn is_null(&self, row: usize) -> bool {
        debug_assert!(row < self.rows);
        match &self.validity {
            Some(validity) => !validity.get(self.slot(row)),
            None => matches!(self.data, ColumnData::Null),
        }
    }

    /// Whether some row may be NULL (false is certain).
    pub fn may_have_nulls(&self) -> bool {
        self.validity.is_some() || matches!(self.data, ColumnData::Null)
    }

    /// Whether one value stands for all rows.
    pub fn is_constant(&self) -> bool {
        self.form == ColumnForm::Constant
    }

    /// The value of row `row`.
    #[inline]
    pub fn datum(&self, row: usize) -> DatumRef<'_> {
        if self.is_null(row) {
            return DatumRef::Null;
        }
        let slot = self.slot(row);
        match &self.data {
            ColumnData::Boolean(v) => DatumRef::Boolean(v.get(slot)),
            ColumnData::Int16(v) => DatumRef::SmallInt(v[slot]),
            ColumnData::Int32(v) => match self.data_type {
                DataType::Date => DatumRef::Date(v[slot]),
                _ => DatumRef::Integer(v[slot]),
            },
            ColumnData::Int64(v) => match self.data_type {
                DataType::Timestamp => DatumRef::Timestamp(v[slot]),
                DataType::TimestampTz => DatumRef::TimestampTz(v[slot]),
                _ => DatumRef::BigInt(v[slot]),
            },
            ColumnData::Float32(v) => DatumRef::Real(v[slot]),
            ColumnData::Float64(v) => DatumRef::Double(v[slot]),
            ColumnData::Decimal64 { values, scale } => {
                DatumRef::Numeric(Numeric::new(i128::from(values[slot]), *scale))
            }
            ColumnData::Decimal128 { values, scale } => DatumRef::Numeric(Numeric::new(values[slot], *scale)),
            ColumnData::Numeric(v) => DatumRef::Numeric(v[slot]),
            ColumnData::Strings(v) if self.data_type == DataType::Bytea => DatumRef::Bytes(v.get(slot)),
            ColumnData::Strings(v) => DatumRef::Text(v.get_str(slot)),
            ColumnData::Interval(v) => DatumRef::Interval(v[slot]),
            ColumnData::Null => DatumRef::Null,
        }
    }

    /// The numeric at row `row`, which is not NULL.
    /// # Panics
    /// When this is no numeric column.
    #[inline]
    pub fn numeric(&self, row: usize) -> Numeric {
        match self.datum(row) {
            DatumRef::Numeric(value) => value,
            other => panic!("a numeric column holds {other:?}"),
        }
    }

    /// The text at row `row`, which is not NULL.
    /// # Panics
    /// When this is no text column.
    #[inline]
    pub fn text(&self, row: usize) -> &str {
        match &self.data {
            ColumnData::Strings(v) => v.get_str(self.slot(row)),
            other => panic!("a text column holds {} other values", other.len()),
        }
    }

    /// A flat column of the same values.
    #[must_use]
    pub fn flatten(&self) -> Column {
        match (self.form, &self.data) {
            (_, ColumnData::Null) => {
                let mut builder = ColumnBuilder::new(SqlType::plain(self.data_type), self.rows);
                builder.push_nulls(self.rows);
                builder.finish()
            }
            (ColumnForm::Flat, _) => self.clone(),
            (ColumnForm::Constant, data) => Column {
                data_type: self.data_type,
                form: ColumnForm::Flat,
                rows: self.rows,
                data: data.repeat(self.rows),
                validity: self.validity.as_ref().map(|v| Bitmap::filled(self.rows, v.get(0))),
            },
        }
    }

    /// Makes a shared column flat; copies nothing when it is.
    pub fn flatten_shared(column: &mut Arc<Column>) {
        if column.form != ColumnForm::Flat || matches!(column.data, ColumnData::Null) {
            *column = Arc::new(column.flatten());
        }
    }

    /// The rows at `rows`, in that order.
    #[must_use]
    pub fn gather(&self, rows: &[u16]) -> Column {
        if self.form == ColumnForm::Constant {
            return Column { rows: rows.len(), ..self.clone() };
        }
        Column {
            data_type: self.data_type,
            form: ColumnForm::Flat,
            rows: rows.len(),
            data: self.data.gather(rows),
            validity: self.validity.as_ref().map(|validity| validity.gather(rows)),
        }
    }

    /// The rows `start..start + len`.
    #[must_use]
    pub fn slice(&self, start: usize, len: usize) -> Column {
        assert!(start + len <= self.rows, "a slice lies within the column");
        if self.form == ColumnForm::Constant {
            return Column { rows: len, ..self.clone() };
        }
        Column {
            data_type: self.data_type,
            form: ColumnForm::Flat,
            rows: len,
            data: self.data.slice(start, len),
            validity: self.validity.as_ref().map(|validity| validity.slice(start, len)),
        }
    }

    /// The rows of all `columns`, one after the other. They have one type.
    /// # Panics
    /// Without columns.
    #[must_use]
    pub fn concat(columns: &[&Column]) -> Column {
        let rows = columns.iter().map(|column| column.rows).sum();
        let mut builder = ColumnBuilder::new(SqlType::plain(columns[0].data_type), rows);
        for column in columns {
            builder.append_column(column);
        }
        builder.finish()
    }

    /// Bytes of memory held; shared string buffers count fully.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Column>()
            + self.data.memory_bytes()
            + self.validity.as_ref().map_or(0, |validity| validity.memory_bytes())
    }
}
