//! Makes columns value by value.
//!
//! Numeric columns take the narrowest form that holds what came: one scale and 64 bits, one scale and 128 bits,
//! a scale a value. A builder starts narrow and widens itself; nothing is lost on the way.

use crate::batch::column::{Column, ColumnData, ColumnForm};
use crate::batch::string::StringColumn;
use crate::batch::validity::Bitmap;
use crate::sql::types::data_type::{DataType, SqlType};
use crate::sql::types::datum::{DatumRef, Interval, Numeric, NumericKind};

/// A column in the making.
#[derive(Clone, Debug)]
pub struct ColumnBuilder {
    /// What came so far; flat.
    column: Column,
    /// The scale of a numeric column is not decided: only NULLs came so far, and the type leaves it open.
    scale_open: bool,
}

macro_rules! push_fast {
    ($(#[$doc:meta] $name:ident, $type:ty, $variant:ident;)*) => {
        $(
            #[$doc]
            /// # Panics
            /// When the column holds something else.
            #[inline]
            pub fn $name(&mut self, value: $type) {
                match &mut self.column.data {
                    ColumnData::$variant(values) => values.push(value),
                    _ => self.wrong(stringify!($name)),
                }
                self.valid();
            }
        )*
    };
}

macro_rules! extend_fast {
    ($(#[$doc:meta] $name:ident, $type:ty, $variant:ident;)*) => {
        $(
            #[$doc]
            /// # Panics
            /// When the column holds something else.
            #[inline]
            pub fn $name(&mut self, values: impl ExactSizeIterator<Item = $type>) {
                let count = values.len();
                match &mut self.column.data {
                    ColumnData::$variant(column) => column.extend(values),
                    _ => self.wrong(stringify!($name)),
                }
                self.valid_many(count);
            }
        )*
    };
}

impl ColumnBuilder {
    /// A builder for values of `sql_type`, with room for `capacity` of them.
    pub fn new(sql_type: SqlType, capacity: usize) -> ColumnBuilder {
        let mut scale_open = false;
        let data = match sql_type.data_type {
            DataType::Boolean => ColumnData::Boolean(Bitmap::new()),
            DataType::SmallInt => ColumnData::Int16(Vec::with_capacity(capacity)),
            DataType::Integer | DataType::Date => ColumnData::Int32(Vec::with_capacity(capacity)),
            DataType::BigInt | DataType::Timestamp | DataType::TimestampTz => {
                ColumnData::Int64(Vec::with_capacity(capacity))
            }
            DataType::Real => ColumnData::Float32(Vec::with_capacity(capacity)),
            DataType::Double => ColumnData::Float64(Vec::with_capacity(capacity)),
            DataType::Numeric => match sql_type.numeric_precision_scale() {
                Some((precision, scale)) if precision > 18 => ColumnData::Decimal128 {
                    values: Vec::with_capacity(capacity),
                    scale: scale.max(0) as u16,
                },
                known => {
                    scale_open = known.is_none();
                    let scale = known.map_or(0, |(_, scale)| scale.max(0) as u16);
                    ColumnData::Decimal64 { values: Vec::with_capacity(capacity), scale }
                }
            },
            DataType::Text | DataType::Varchar | DataType::Char | DataType::Bytea | DataType::Unknown => {
                ColumnData::Strings(StringColumn::with_capacity(capacity))
            }
            DataType::Interval => ColumnData::Interval(Vec::with_capacity(capacity)),
        };
        let column =
            Column { data_type: sql_type.data_type, form: ColumnForm::Flat, rows: 0, data, validity: None };
        ColumnBuilder { column, scale_open }
    }

    /// As [`ColumnBuilder::new`], in the memory of a column that is no longer needed where that has the same form.
    pub fn reusing(sql_type: SqlType, capacity: usize, column: Column) -> ColumnBuilder {
        let mut data = column.data;
        match (&mut data, sql_type.data_type) {
            (ColumnData::Int16(v), DataType::SmallInt) => v.clear(),
            (ColumnData::Int32(v), DataType::Integer | DataType::Date) => v.clear(),
            (ColumnData::Int64(v), DataType::BigInt | DataType::Timestamp | DataType::TimestampTz) => {
                v.clear()
            }
            (ColumnData::Float32(v), DataType::Real) => v.clear(),
            (ColumnData::Float64(v), DataType::Double) => v.clear(),
            (ColumnData::Interval(v), DataType::Interval) => v.clear(),
            (ColumnData::Strings(v), DataType::Text | DataType::Varchar | DataType::Char) => v.clear(),
            _ => return ColumnBuilder::new(sql_type, capacity),
        }
        let column =
            Column { data, rows: 0, validity: None, data_type: sql_type.data_type, form: ColumnForm::Flat };
        ColumnBuilder { column, scale_open: false }
    }

    /// Rows so far.
    pub fn len(&self) -> usize {
        self.column.rows
    }

    /// Bytes of long texts so far.
    pub fn text_bytes(&self) -> usize {
        match &self.column.data {
            ColumnData::Strings(strings) => strings.tail().len(),
            _ => 0,
        }
    }

    /// Whether there are no rows yet.
    pub fn is_empty(&self) -> bool {
        self.column.rows == 0
    }

    /// The type of the values.
    pub fn data_type(&self) -> DataType {
        self.column.data_type
    }

    push_fast! {
        /// Adds a boolean.
        push_bool, bool, Boolean;
        /// Adds a smallint.
        push_i16, i16, Int16;
        /// Adds an integer or a date.
        push_i32, i32, Int32;
        /// Adds a bigint, timestamp or timestamptz.
        push_i64, i64, Int64;
        /// Adds a real.
        push_f32, f32, Float32;
        /// Adds a double precision.
        push_f64, f64, Float64;
        /// Adds an interval.
        push_interval, Interval, Interval;
    }

    extend_fast! {
        /// Adds smallints.
        extend_i16, i16, Int16;
        /// Adds integers or dates.
        extend_i32, i32, Int32;
        /// Adds bigints, timestamps or timestamptzs.
        extend_i64, i64, Int64;
        /// Adds reals.
        extend_f32, f32, Float32;
        /// Adds double precisions.
        extend_f64, f64, Float64;
        /// Adds intervals.
        extend_interval, Interval, Interval;
    }

    /// Adds mantissas of the column's own scale. `false`: the column has another form, nothing was added.
    #[inline]
    pub fn try_extend_decimal64(
        &mut self,
        mantissas: impl ExactSizeIterator<Item = i64>,
        value_scale: u16,
    ) -> bool {
        let count = mantissas.len();
        match &mut self.column.data {
            ColumnData::Decimal64 { values, scale } if *scale == value_scale && !self.scale_open => {
                values.extend(mantissas);
            }
            _ => return false,
        }
        self.valid_many(count);
        true
    }

    /// Makes row `row`, which was added before, NULL.
    pub fn set_null(&mut self, row: usize) {
        let rows = self.column.rows;
        self.column.validity.get_or_insert_with(|| Bitmap::filled(rows, true)).set(row, false);
    }

    /// Puts a text in the place of row `row`, which was added before.
    /// # Panics
    /// When the column holds something else.
    pub fn replace_str(&mut self, row: usize, value: &str) {
        match &mut self.column.data {
            ColumnData::Strings(values) => values.replace_str(row, value),
            _ => self.wrong("replace_str"),
        }
    }

    /// Puts a bytea in the place of row `row`, which was added before.
    /// # Panics
    /// When the column holds something else.
    pub fn replace_bytes(&mut self, row: usize, value: &[u8]) {
        match &mut self.column.data {
            ColumnData::Strings(values) => values.replace_bytes(row, value),
            _ => self.wrong("replace_bytes"),
        }
    }

    /// Puts a text or bytea in the place of row `row`, which was added before: its bytes are not copied. `utf8`: they are
    /// those of a text.
    /// # Panics
    /// When the column holds something else.
    pub fn replace_owned(&mut self, row: usize, value: Vec<u8>, utf8: bool) {
        match &mut self.column.data {
            ColumnData::Strings(values) => values.replace_owned(row, value, utf8),
            _ => self.wrong("replace_owned"),
        }
    }

    /// Puts an integer in the place of row `row`, which was added before.
    /// # Panics
    /// When the column holds something else.
    pub fn replace_i32(&mut self, row: usize, value: i32) {
        match &mut self.column.data {
            ColumnData::Int32(values) => values[row] = value,
            _ => self.wrong("replace_i32"),
        }
    }

    #[inline]
    fn valid_many(&mut self, count: usize) {
        self.column.rows += count;
        if let Some(validity) = &mut self.column.validity {
            validity.extend(count, true);
        }
    }

    /// Adds a text.
    /// # Panics
    /// When the column holds something else.
    #[inline]
    pub fn push_str(&mut self, value: &str) {
        match &mut self.column.data {
            ColumnData::Strings(values) => values.push_str(value),
            _ => self.wrong("push_str"),
        }
        self.valid();
    }

    /// Adds the bytes of a text; `false`: they are no UTF-8, and nothing was added.
    /// # Panics
    /// When the column holds something else.
    #[inline]
    pub fn push_utf8(&mut self, bytes: &[u8]) -> bool {
        let added = match &mut self.column.data {
            ColumnData::Strings(values) => values.push_utf8(bytes),
            _ => self.wrong("push_utf8"),
        };
        if added {
            self.valid();
        }
        added
    }

    /// Adds a bytea.
    /// # Panics
    /// When the column holds something else.
    #[inline]
    pub fn push_bytes(&mut self, value: &[u8]) {
        match &mut self.column.data {
            ColumnData::Strings(values) => values.push_bytes(value),
            _ => self.wrong("push_bytes"),
        }
        self.valid();
    }

    /// Adds a numeric; the column widens itself when the value does not fit.
    /// # Panics
    /// When the column holds something else.
    #[inline]
    pub fn push_numeric(&mut self, value: Numeric) {
        if self.scale_open {
            self.decide_scale(value.scale);
        }
        loop {
            match &mut self.column.data {
                ColumnData::Decimal64 { values, scale }
                    if *scale == value.scale && value.kind == NumericKind::Finite =>
                {
                    if let Ok(mantissa) = i64::try_from(value.mantissa) {
                        values.push(mantissa);
                        break;
                    }
                }
                ColumnData::Decimal128 { values, scale }
                    if *scale == value.scale && value.kind == NumericKind::Finite =>
                {
                    values.push(value.mantissa);
                    break;
                }
                ColumnData::Numeric(values) => {
                    values.push(value);
                    break;
                }
                ColumnData::Decimal64 { .. } | ColumnData::Decimal128 { .. } => {}
                _ => self.wrong("push_numeric"),
            }
            self.widen(value);
        }
        self.valid();
    }

    /// Adds a mantissa of the column's own scale: the fast path of stored `numeric(p ≤ 18, s)` values.
    /// `false`: the column has another form, and nothing was added.
    #[inline]
    pub fn try_push_decimal64(&mut self, mantissa: i64, value_scale: u16) -> bool {
        match &mut self.column.data {
            ColumnData::Decimal64 { values, scale } if *scale == value_scale && !self.scale_open => {
                values.push(mantissa);
                self.valid();
                true
            }
            _ => false,
        }
    }

    #[cold]
    fn decide_scale(&mut self, value_scale: u16) {
        self.scale_open = false;
        if let ColumnData::Decimal64 { scale, .. } = &mut self.column.data {
            *scale = value_scale;
        }
    }

    /// The next wider form that can take `value`.
    #[cold]
    fn widen(&mut self, value: Numeric) {
        self.column.data = match std::mem::replace(&mut self.column.data, ColumnData::Null) {
            ColumnData::Decimal64 { values, scale }
                if scale == value.scale && value.kind == NumericKind::Finite =>
            {
                ColumnData::Decimal128 { values: values.into_iter().map(i128::from).collect(), scale }
            }
            ColumnData::Decimal64 { values, scale } => {
                ColumnData::Numeric(values.into_iter().map(|v| Numeric::new(i128::from(v), scale)).collect())
            }
            ColumnData::Decimal128 { values, scale } => {
                ColumnData::Numeric(values.into_iter().map(|v| Numeric::new(v, scale)).collect())
            }
            other => other,
        };
    }

    #[inline]
    fn valid(&mut self) {
        self.column.rows += 1;
        if let Some(validity) = &mut self.column.validity {
            validity.push(true);
        }
    }

    #[cold]
    fn wrong(&self, what: &str) -> ! {
        panic!("{what} into a column of type {}", self.column.data_type.name())
    }

    /// Adds NULL.
    #[inline]
    pub fn push_null(&mut self) {
        self.push_nulls(1);
    }

    /// Adds `count` NULLs.
    pub fn push_nulls(&mut self, count: usize) {
        let rows = self.column.rows;
        self.column.validity.get_or_insert_with(|| Bitmap::filled(rows, true)).extend(count, false);
        self.column.rows += count;
        let len = self.column.rows;
        match &mut self.column.data {
            ColumnData::Boolean(v) => v.extend(count, false),
            ColumnData::Int16(v) => v.resize(len, 0),
            ColumnData::Int32(v) => v.resize(len, 0),
            ColumnData::Int64(v) => v.resize(len, 0),
            ColumnData::Float32(v) => v.resize(len, 0.0),
            ColumnData::Float64(v) => v.resize(len, 0.0),
            ColumnData::Decimal64 { values, .. } => values.resize(len, 0),
            ColumnData::Decimal128 { values, .. } => values.resize(len, 0),
            ColumnData::Numeric(v) => v.resize(len, Numeric::ZERO),
            ColumnData::Strings(v) => (0..count).for_each(|_| v.push_str("")),
            ColumnData::Interval(v) => v.resize(len, Interval::default()),
            ColumnData::Null => {}
        }
    }

    /// Adds NULLs until there are `rows` rows.
    pub fn push_nulls_to(&mut self, rows: usize) {
        if rows > self.column.rows {
            self.push_nulls(rows - self.column.rows);
        }
    }

    /// Adds a value of the column's type, or NULL.
    /// # Panics
    /// When the value has another type: the binder's casts make them equal.
    #[inline]
    pub fn push_datum(&mut self, value: DatumRef<'_>) {
        match value {
            DatumRef::Null => self.push_null(),
            DatumRef::Boolean(v) => self.push_bool(v),
            DatumRef::SmallInt(v) => self.push_i16(v),
            DatumRef::Integer(v) | DatumRef::Date(v) => self.push_i32(v),
            DatumRef::BigInt(v) | DatumRef::Timestamp(v) | DatumRef::TimestampTz(v) => self.push_i64(v),
            DatumRef::Real(v) => self.push_f32(v),
            DatumRef::Double(v) => self.push_f64(v),
            DatumRef::Numeric(v) => self.push_numeric(v),
            DatumRef::Text(v) => self.push_str(v),
            DatumRef::Bytes(v) => self.push_bytes(v),
            DatumRef::Interval(v) => self.push_interval(v),
        }
    }

    /// Adds row `row` of `column`, which has the same type.
    #[inline]
    pub fn append(&mut self, column: &Column, row: usize) {
        if let (ColumnData::Strings(to), ColumnData::Strings(from)) = (&mut self.column.data, &column.data)
            && !column.is_null(row)
        {
            to.push_from(from, column.slot(row));
            self.valid();
            return;
        }
        self.push_datum(column.datum(row));
    }

    /// Adds all rows of `column`, which has the same type.
    pub fn append_column(&mut self, column: &Column) {
        if column.form == ColumnForm::Constant || self.scale_open {
            for row in 0..column.rows {
                self.append(column, row);
            }
            return;
        }
        match (&mut self.column.data, &column.data) {
            (ColumnData::Boolean(to), ColumnData::Boolean(from)) => to.extend_from(from),
            (ColumnData::Int16(to), ColumnData::Int16(from)) => to.extend_from_slice(from),
            (ColumnData::Int32(to), ColumnData::Int32(from)) => to.extend_from_slice(from),
            (ColumnData::Int64(to), ColumnData::Int64(from)) => to.extend_from_slice(from),
            (ColumnData::Float32(to), ColumnData::Float32(from)) => to.extend_from_slice(from),
            (ColumnData::Float64(to), ColumnData::Float64(from)) => to.extend_from_slice(from),
            (ColumnData::Interval(to), ColumnData::Interval(from)) => to.extend_from_slice(from),
            (ColumnData::Numeric(to), ColumnData::Numeric(from)) => to.extend_from_slice(from),
            (ColumnData::Strings(to), ColumnData::Strings(from)) => to.extend_from(from),
            (
                ColumnData::Decimal64 { values: to, scale },
                ColumnData::Decimal64 { values: from, scale: from_scale },
            ) if scale == from_scale => to.extend_from_slice(from),
            (
                ColumnData::Decimal128 { values: to, scale },
                ColumnData::Decimal128 { values: from, scale: from_scale },
            ) if scale == from_scale => to.extend_from_slice(from),
            _ => {
                for row in 0..column.rows {
                    self.append(column, row);
                }
                return;
            }
        }
        match (&mut self.column.validity, &column.validity) {
            (None, None) => {}
            (Some(to), Some(from)) => to.extend_from(from),
            (Some(to), None) => to.extend(column.rows, true),
            (to @ None, Some(from)) => {
                let mut validity = Bitmap::filled(self.column.rows, true);
                validity.extend_from(from);
                *to = Some(validity);
            }
        }
        self.column.rows += column.rows;
    }

    /// Adds the rows `rows` (all when `None`) of `column`, which has the same type. Bytes of strings are copied, so
    /// that the result depends on no buffer of `column`.
    pub fn append_rows(&mut self, column: &Column, rows: Option<&[u16]>) {
        let Some(rows) = rows else {
            if matches!(column.data, ColumnData::Strings(_)) || column.rows > usize::from(u16::MAX) {
                (0..column.rows).for_each(|row| self.append(column, row));
            } else {
                self.append_column(column);
            }
            return;
        };
        if column.form == ColumnForm::Constant || self.scale_open {
            rows.iter().for_each(|row| self.append(column, usize::from(*row)));
            return;
        }
        macro_rules! take {
            ($to:expr, $from:expr) => {
                $to.extend(rows.iter().map(|row| $from[usize::from(*row)]))
            };
        }
        match (&mut self.column.data, &column.data) {
            (ColumnData::Int16(to), ColumnData::Int16(from)) => take!(to, from),
            (ColumnData::Int32(to), ColumnData::Int32(from)) => take!(to, from),
            (ColumnData::Int64(to), ColumnData::Int64(from)) => take!(to, from),
            (ColumnData::Float32(to), ColumnData::Float32(from)) => take!(to, from),
            (ColumnData::Float64(to), ColumnData::Float64(from)) => take!(to, from),
            (
                ColumnData::Decimal64 { values: to, scale },
                ColumnData::Decimal64 { values: from, scale: from_scale },
            ) if scale == from_scale => take!(to, from),
            _ => {
                rows.iter().for_each(|row| self.append(column, usize::from(*row)));
                return;
            }
        }
        match (&mut self.column.validity, &column.validity) {
            (None, None) => {}
            (Some(to), None) => to.extend(rows.len(), true),
            (to, Some(from)) => {
                let before = self.column.rows;
                let to = to.get_or_insert_with(|| Bitmap::filled(before, true));
                rows.iter().for_each(|row| to.push(from.get(usize::from(*row))));
            }
        }
        self.column.rows += rows.len();
    }

    /// Puts all strings so far into shared buffers: columns picked from this one copy none of them.
    pub fn share_strings(&mut self) {
        if let ColumnData::Strings(strings) = &mut self.column.data {
            strings.seal();
        }
    }

    /// The column.
    pub fn finish(self) -> Column {
        self.column
    }

    /// What came so far, as a column.
    pub fn as_column(&self) -> &Column {
        &self.column
    }

    /// Bytes of memory held.
    pub fn memory_bytes(&self) -> usize {
        self.column.data.memory_bytes() + self.column.validity.as_ref().map_or(0, Bitmap::memory_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_numeric_column_widens_itself_and_keeps_every_value() {
        let mut builder = ColumnBuilder::new(DataType::Numeric.into(), 4);
        builder.push_null();
        let values = [
            Numeric::new(150, 2),
            Numeric::new(i128::from(i64::MAX) + 1, 2),
            Numeric::new(7, 0),
            Numeric::NAN,
        ];
        let mut forms = Vec::new();
        for value in values {
            builder.push_numeric(value);
            forms.push(std::mem::discriminant(&builder.column.data));
        }
        forms.dedup();
        assert_eq!(forms.len(), 3);
        let column = builder.finish();
        assert!(column.is_null(0));
        for (row, value) in values.iter().enumerate() {
            let read = column.numeric(row + 1);
            assert_eq!((read.mantissa, read.scale, read.kind), (value.mantissa, value.scale, value.kind));
        }
    }

    #[test]
    fn slices_and_constants_concatenate_with_their_nulls() {
        let mut builder = ColumnBuilder::new(DataType::Integer.into(), 100);
        (0..100).for_each(|i| if i % 9 == 0 { builder.push_null() } else { builder.push_i32(i) });
        let column = builder.finish();
        let null = Column::null(DataType::Integer, 3);
        let five = Column::constant(DataType::Integer, DatumRef::Integer(5), 2);
        let whole = Column::concat(&[&column.slice(0, 33), &null, &column.slice(33, 67), &five]);
        assert_eq!(whole.rows, 105);
        for row in 0..100usize {
            let at = if row < 33 { row } else { row + 3 };
            assert_eq!(whole.is_null(at), row % 9 == 0);
            assert!(
                whole.is_null(at) || matches!(whole.datum(at), DatumRef::Integer(v) if v as usize == row)
            );
        }
        assert!((33..36).all(|row| whole.is_null(row)));
        assert!(matches!(whole.datum(104), DatumRef::Integer(5)));
        assert!(matches!(null.flatten().data, ColumnData::Int32(_)));
    }
}
