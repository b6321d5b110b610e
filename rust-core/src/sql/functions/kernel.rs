//! From one closure over single values to both implementations of a function: over columns and over datums.
//! Knows column layouts and NULL handling. Knows nothing of particular functions.
//!
//! A closure takes a tuple of argument values and the environment. [`vector`] runs it in one loop that is
//! compiled for the argument types: rows outside the row set and rows with a NULL argument are never computed,
//! so a division by zero fires only where the row counts.

use crate::batch::column::{Column, ColumnData, ColumnForm};
use crate::batch::string::StringColumn;
use crate::batch::validity::Bitmap;
use crate::error::{Error, Result};
use crate::sql::functions::long_values::LongValues;
use crate::sql::functions::registry::{Environment, RowSet};
use crate::sql::types::data_type::DataType;
use crate::sql::types::datum::{Datum, DatumRef, Interval as IntervalValue, Numeric};
use std::marker::PhantomData;
use std::sync::Arc;

/// An SQL type as an argument.
pub(super) trait Argument {
    const TYPE: DataType;
    type Value<'a>: Copy;
    type Reader<'a>: Copy;
    /// `None`: the layout is not this type's.
    fn reader(column: &Column) -> Option<Self::Reader<'_>>;
    fn read<'a>(reader: Self::Reader<'a>, row: usize) -> Self::Value<'a>;
    fn from_datum(datum: DatumRef<'_>) -> Option<Self::Value<'_>>;
}

/// An SQL type as a result.
pub(super) trait Output {
    const TYPE: DataType;
    type Value;
    type Builder;
    fn builder(slots: usize) -> Self::Builder;
    /// Sets a slot; rows come in ascending order.
    fn set(builder: &mut Self::Builder, slot: usize, value: Self::Value);
    /// The data, and the NULLs that the function itself made.
    fn finish(builder: Self::Builder, slots: usize) -> (ColumnData, Option<Bitmap>);
    fn datum(value: Self::Value) -> Datum;
    /// Bytes of the value that lie outside its slot.
    #[inline]
    fn long_bytes(_value: &Self::Value) -> usize {
        0
    }
}

/// Values of a fixed-width column; a constant column reads slot 0 for every row.
pub(super) struct Slots<'a, T> {
    pub(super) values: &'a [T],
    mask: usize,
}

impl<T> Clone for Slots<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Slots<'_, T> {}

impl<'a, T: Copy> Slots<'a, T> {
    pub(super) fn new(values: &'a [T], form: ColumnForm) -> Slots<'a, T> {
        Slots { values, mask: slot_mask(form) }
    }

    #[inline]
    pub(super) fn get(self, row: usize) -> T {
        self.values[row & self.mask]
    }
}

/// Maps a row to its slot: all rows of a constant column are slot 0.
pub(super) fn slot_mask(form: ColumnForm) -> usize {
    match form {
        ColumnForm::Flat => usize::MAX,
        ColumnForm::Constant => 0,
    }
}

macro_rules! fixed_type {
    ($name:ident, $value:ty, $data_type:ident, $layout:ident, $default:expr) => {
        pub(super) struct $name;

        impl Argument for $name {
            const TYPE: DataType = DataType::$data_type;
            type Value<'a> = $value;
            type Reader<'a> = Slots<'a, $value>;
            fn reader(column: &Column) -> Option<Slots<'_, $value>> {
                match &column.data {
                    ColumnData::$layout(values) => Some(Slots::new(values, column.form)),
                    _ => None,
                }
            }
            #[inline]
            fn read<'a>(reader: Self::Reader<'a>, row: usize) -> Self::Value<'a> {
                reader.get(row)
            }
            #[inline]
            fn from_datum(datum: DatumRef<'_>) -> Option<$value> {
                match datum {
                    DatumRef::$data_type(value) => Some(value),
                    _ => None,
                }
            }
        }

        impl Output for $name {
            const TYPE: DataType = DataType::$data_type;
            type Value = $value;
            type Builder = Vec<$value>;
            fn builder(slots: usize) -> Vec<$value> {
                vec![$default; slots]
            }
            #[inline]
            fn set(builder: &mut Vec<$value>, slot: usize, value: $value) {
                builder[slot] = value;
            }
            fn finish(builder: Vec<$value>, _slots: usize) -> (ColumnData, Option<Bitmap>) {
                (ColumnData::$layout(builder), None)
            }
            #[inline]
            fn datum(value: $value) -> Datum {
                Datum::$data_type(value)
            }
        }
    };
}

fixed_type!(Int2, i16, SmallInt, Int16, 0);
fixed_type!(Int4, i32, Integer, Int32, 0);
fixed_type!(Int8, i64, BigInt, Int64, 0);
fixed_type!(Float4, f32, Real, Float32, 0.0);
fixed_type!(Float8, f64, Double, Float64, 0.0);
fixed_type!(Date, i32, Date, Int32, 0);
fixed_type!(Timestamp, i64, Timestamp, Int64, 0);
fixed_type!(TimestampTz, i64, TimestampTz, Int64, 0);
fixed_type!(Interval, IntervalValue, Interval, Interval, IntervalValue { months: 0, days: 0, micros: 0 });

/// `boolean`.
pub(super) struct Bool;

impl Argument for Bool {
    const TYPE: DataType = DataType::Boolean;
    type Value<'a> = bool;
    type Reader<'a> = (&'a Bitmap, usize);
    fn reader(column: &Column) -> Option<(&Bitmap, usize)> {
        match &column.data {
            ColumnData::Boolean(values) => Some((values, slot_mask(column.form))),
            _ => None,
        }
    }
    #[inline]
    fn read<'a>(reader: Self::Reader<'a>, row: usize) -> Self::Value<'a> {
        reader.0.get(row & reader.1)
    }
    #[inline]
    fn from_datum(datum: DatumRef<'_>) -> Option<bool> {
        match datum {
            DatumRef::Boolean(value) => Some(value),
            _ => None,
        }
    }
}

impl Output for Bool {
    const TYPE: DataType = DataType::Boolean;
    type Value = bool;
    type Builder = Bitmap;
    fn builder(slots: usize) -> Bitmap {
        Bitmap::filled(slots, false)
    }
    #[inline]
    fn set(builder: &mut Bitmap, slot: usize, value: bool) {
        builder.set(slot, value);
    }
    fn finish(builder: Bitmap, _slots: usize) -> (ColumnData, Option<Bitmap>) {
        (ColumnData::Boolean(builder), None)
    }
    #[inline]
    fn datum(value: bool) -> Datum {
        Datum::Boolean(value)
    }
}

/// `numeric` in any of its three layouts.
pub(super) struct Num;

/// Reads a numeric column of any layout.
#[derive(Clone, Copy)]
pub(super) enum NumericReader<'a> {
    Narrow(Slots<'a, i64>, u16),
    Wide(Slots<'a, i128>, u16),
    Each(Slots<'a, Numeric>),
}

impl Argument for Num {
    const TYPE: DataType = DataType::Numeric;
    type Value<'a> = Numeric;
    type Reader<'a> = NumericReader<'a>;
    fn reader(column: &Column) -> Option<NumericReader<'_>> {
        Some(match &column.data {
            ColumnData::Decimal64 { values, scale } => {
                NumericReader::Narrow(Slots::new(values, column.form), *scale)
            }
            ColumnData::Decimal128 { values, scale } => {
                NumericReader::Wide(Slots::new(values, column.form), *scale)
            }
            ColumnData::Numeric(values) => NumericReader::Each(Slots::new(values, column.form)),
            _ => return None,
        })
    }
    #[inline]
    fn read<'a>(reader: Self::Reader<'a>, row: usize) -> Self::Value<'a> {
        match reader {
            NumericReader::Narrow(slots, scale) => Numeric::new(i128::from(slots.get(row)), scale),
            NumericReader::Wide(slots, scale) => Numeric::new(slots.get(row), scale),
            NumericReader::Each(slots) => slots.get(row),
        }
    }
    #[inline]
    fn from_datum(datum: DatumRef<'_>) -> Option<Numeric> {
        match datum {
            DatumRef::Numeric(value) => Some(value),
            _ => None,
        }
    }
}

impl Output for Num {
    const TYPE: DataType = DataType::Numeric;
    type Value = Numeric;
    type Builder = Vec<Numeric>;
    fn builder(slots: usize) -> Vec<Numeric> {
        vec![Numeric::ZERO; slots]
    }
    #[inline]
    fn set(builder: &mut Vec<Numeric>, slot: usize, value: Numeric) {
        builder[slot] = value;
    }
    fn finish(builder: Vec<Numeric>, _slots: usize) -> (ColumnData, Option<Bitmap>) {
        (ColumnData::Numeric(builder), None)
    }
    #[inline]
    fn datum(value: Numeric) -> Datum {
        Datum::Numeric(value)
    }
}

macro_rules! string_argument {
    ($(#[$doc:meta])* $name:ident, $data_type:ident) => {
        $(#[$doc])*
        pub(super) struct $name;

        impl Argument for $name {
            const TYPE: DataType = DataType::$data_type;
            type Value<'a> = &'a str;
            type Reader<'a> = (&'a StringColumn, usize);
            fn reader(column: &Column) -> Option<(&StringColumn, usize)> {
                match &column.data {
                    ColumnData::Strings(values) => Some((values, slot_mask(column.form))),
                    _ => None,
                }
            }
            #[inline]
            fn read<'a>(reader: Self::Reader<'a>, row: usize) -> Self::Value<'a> {
                reader.0.get_str(row & reader.1)
            }
            #[inline]
            fn from_datum(datum: DatumRef<'_>) -> Option<&str> {
                match datum {
                    DatumRef::Text(value) => Some(value),
                    _ => None,
                }
            }
        }
    };
}

string_argument!(
    /// `text` (and varchar, which has the same values).
    Text, Text);
string_argument!(
    /// `character(n)`: trailing blanks do not count in comparisons.
    Char, Char);

/// `bytea`.
pub(super) struct Bytea;

impl Argument for Bytea {
    const TYPE: DataType = DataType::Bytea;
    type Value<'a> = &'a [u8];
    type Reader<'a> = (&'a StringColumn, usize);
    fn reader(column: &Column) -> Option<(&StringColumn, usize)> {
        match &column.data {
            ColumnData::Strings(values) => Some((values, slot_mask(column.form))),
            _ => None,
        }
    }
    #[inline]
    fn read<'a>(reader: Self::Reader<'a>, row: usize) -> Self::Value<'a> {
        reader.0.get(row & reader.1)
    }
    #[inline]
    fn from_datum(datum: DatumRef<'_>) -> Option<&[u8]> {
        match datum {
            DatumRef::Bytes(value) => Some(value),
            _ => None,
        }
    }
}

macro_rules! string_output {
    ($name:ident, $value:ty, $data_type:ident, $variant:ident, $push:ident) => {
        impl Output for $name {
            const TYPE: DataType = DataType::$data_type;
            type Value = $value;
            type Builder = StringColumn;
            fn builder(_slots: usize) -> StringColumn {
                StringColumn::default()
            }
            fn set(builder: &mut StringColumn, slot: usize, value: $value) {
                while builder.len() < slot {
                    builder.push_str("");
                }
                builder.$push(value);
            }
            fn finish(mut builder: StringColumn, slots: usize) -> (ColumnData, Option<Bitmap>) {
                while builder.len() < slots {
                    builder.push_str("");
                }
                (ColumnData::Strings(builder), None)
            }
            fn datum(value: $value) -> Datum {
                Datum::$variant(Arc::from(value))
            }
            #[inline]
            fn long_bytes(value: &$value) -> usize {
                value.len()
            }
        }
    };
}

string_output!(Text, String, Text, Text, push_owned_str);
string_output!(Char, String, Char, Text, push_owned_str);
string_output!(Bytea, Vec<u8>, Bytea, Bytes, push_owned_bytes);

/// A result that the function itself can make NULL.
pub(super) struct Nullable<T>(PhantomData<T>);

impl<T: Output> Output for Nullable<T> {
    const TYPE: DataType = T::TYPE;
    type Value = Option<T::Value>;
    type Builder = (T::Builder, Bitmap);
    fn builder(slots: usize) -> Self::Builder {
        (T::builder(slots), Bitmap::filled(slots, true))
    }
    fn set(builder: &mut Self::Builder, slot: usize, value: Option<T::Value>) {
        match value {
            Some(value) => T::set(&mut builder.0, slot, value),
            None => builder.1.set(slot, false),
        }
    }
    fn finish(builder: Self::Builder, slots: usize) -> (ColumnData, Option<Bitmap>) {
        (T::finish(builder.0, slots).0, Some(builder.1))
    }
    fn datum(value: Option<T::Value>) -> Datum {
        value.map_or(Datum::Null, T::datum)
    }
    #[inline]
    fn long_bytes(value: &Option<T::Value>) -> usize {
        value.as_ref().map_or(0, T::long_bytes)
    }
}

/// The arguments of a strict function, as a tuple.
pub(super) trait Arguments {
    const TYPES: &'static [DataType];
    type Values<'a>;
    type Readers<'a>: Copy;
    fn readers(columns: &[Arc<Column>]) -> Option<Self::Readers<'_>>;
    fn read<'a>(readers: Self::Readers<'a>, row: usize) -> Self::Values<'a>;
    fn from_datums<'a>(datums: &[DatumRef<'a>]) -> Option<Self::Values<'a>>;
}

macro_rules! arguments {
    ($($name:ident $index:tt),*) => {
        impl<$($name: Argument),*> Arguments for ($($name,)*) {
            const TYPES: &'static [DataType] = &[$($name::TYPE),*];
            type Values<'a> = ($($name::Value<'a>,)*);
            type Readers<'a> = ($($name::Reader<'a>,)*);
            #[allow(unused_variables, reason = "the empty tuple reads nothing")]
            fn readers(columns: &[Arc<Column>]) -> Option<Self::Readers<'_>> {
                Some(($($name::reader(columns.get($index)?)?,)*))
            }
            #[inline]
            #[allow(unused_variables, clippy::unused_unit, reason = "the empty tuple reads nothing")]
            fn read<'a>(readers: Self::Readers<'a>, row: usize) -> Self::Values<'a> {
                ($($name::read(readers.$index, row),)*)
            }
            #[inline]
            #[allow(unused_variables, reason = "the empty tuple reads nothing")]
            fn from_datums<'a>(datums: &[DatumRef<'a>]) -> Option<Self::Values<'a>> {
                Some(($($name::from_datum(*datums.get($index)?)?,)*))
            }
        }
    };
}

arguments!();
arguments!(A 0);
arguments!(A 0, B 1);
arguments!(A 0, B 1, C 2);
arguments!(A 0, B 1, C 2, D 3);
arguments!(A 0, B 1, C 2, D 3, E 4);
arguments!(A 0, B 1, C 2, D 3, E 4, F 5);
arguments!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);

pub(super) fn wrong_layout(data_type: DataType) -> Error {
    Error::internal(format!(
        "an argument of a function that returns {} has another type's layout",
        data_type.name()
    ))
}

/// Rows of the result.
pub(super) fn row_count(rows: RowSet<'_>) -> usize {
    match rows {
        RowSet::All(count) | RowSet::Some(_, count) => count,
    }
}

fn constant_is_null(column: &Column) -> bool {
    matches!(column.data, ColumnData::Null)
        || (column.form == ColumnForm::Constant
            && column.validity.as_ref().is_some_and(|validity| !validity.is_empty() && !validity.get(0)))
}

/// What a strict call over these columns comes to before any value is computed.
pub(super) enum Shape {
    /// An argument is NULL everywhere.
    Null,
    /// All arguments are constant: one value.
    Constant,
    /// Row by row, where this is 1 (`None`: everywhere).
    Flat(Option<Bitmap>),
}

/// Judges the arguments of a strict function.
pub(super) fn shape(columns: &[Arc<Column>]) -> Shape {
    if columns.iter().any(|column| constant_is_null(column)) {
        return Shape::Null;
    }
    if columns.iter().all(|column| column.form == ColumnForm::Constant) {
        return Shape::Constant;
    }
    let mut validity: Option<Bitmap> = None;
    for column in columns.iter().filter(|column| column.form == ColumnForm::Flat) {
        if let Some(bits) = &column.validity {
            validity = Some(match validity {
                Some(other) => other.and(bits),
                None => bits.clone(),
            });
        }
    }
    Shape::Flat(validity)
}

/// Runs `body` for every row of `rows` that is 1 in `validity`.
#[inline]
pub(super) fn for_rows(
    rows: RowSet<'_>,
    validity: Option<&Bitmap>,
    mut body: impl FnMut(usize) -> Result<()>,
) -> Result<()> {
    match (rows, validity) {
        (RowSet::All(count), None) => {
            for row in 0..count {
                body(row)?;
            }
        }
        (RowSet::All(count), Some(valid)) => {
            for row in 0..count {
                if valid.get(row) {
                    body(row)?;
                }
            }
        }
        (RowSet::Some(selected, _), None) => {
            for row in selected {
                body(usize::from(*row))?;
            }
        }
        (RowSet::Some(selected, _), Some(valid)) => {
            for row in selected {
                if valid.get(usize::from(*row)) {
                    body(usize::from(*row))?;
                }
            }
        }
    }
    Ok(())
}

/// Whether no row is asked for.
pub(super) fn no_rows(rows: RowSet<'_>) -> bool {
    match rows {
        RowSet::All(count) => count == 0,
        RowSet::Some(selected, _) => selected.is_empty(),
    }
}

fn merge(validity: Option<Bitmap>, own: Option<Bitmap>) -> Option<Bitmap> {
    match (validity, own) {
        (Some(a), Some(b)) => Some(a.and(&b)),
        (a, b) => a.or(b),
    }
}

/// A strict function over columns.
pub(super) fn vector<A: Arguments, R: Output, F>(
    columns: &[Arc<Column>],
    rows: RowSet<'_>,
    environment: &dyn Environment,
    kernel: F,
) -> Result<Column>
where
    F: for<'a> Fn(A::Values<'a>, &dyn Environment) -> Result<R::Value>,
{
    let count = row_count(rows);
    let validity = match shape(columns) {
        Shape::Null => return Ok(Column::null(R::TYPE, count)),
        // Functions without arguments are flat: random() differs a row.
        Shape::Constant if !columns.is_empty() => {
            if no_rows(rows) {
                return Ok(Column::null(R::TYPE, count));
            }
            let readers = A::readers(columns).ok_or_else(|| wrong_layout(R::TYPE))?;
            let mut builder = R::builder(1);
            let mut long = LongValues::new(environment);
            let value = kernel(A::read(readers, 0), environment)?;
            long.add(R::long_bytes(&value))?;
            R::set(&mut builder, 0, value);
            let (data, validity) = R::finish(builder, 1);
            let data = long.held_by(data)?;
            return Ok(Column {
                data_type: R::TYPE,
                form: ColumnForm::Constant,
                rows: count,
                data,
                validity,
            });
        }
        Shape::Constant => None,
        Shape::Flat(validity) => validity,
    };
    let readers = A::readers(columns).ok_or_else(|| wrong_layout(R::TYPE))?;
    let mut builder = R::builder(count);
    let mut long = LongValues::new(environment);
    for_rows(rows, validity.as_ref(), |row| {
        let value = kernel(A::read(readers, row), environment)?;
        long.add(R::long_bytes(&value))?;
        R::set(&mut builder, row, value);
        Ok(())
    })?;
    let (data, own) = R::finish(builder, count);
    let data = long.held_by(data)?;
    Ok(Column {
        data_type: R::TYPE,
        form: ColumnForm::Flat,
        rows: count,
        data,
        validity: merge(validity, own),
    })
}

/// A strict function over single values; the caller has handled NULL.
pub(super) fn scalar<A: Arguments, R: Output, F>(
    datums: &[DatumRef<'_>],
    environment: &dyn Environment,
    kernel: F,
) -> Result<Datum>
where
    F: for<'a> Fn(A::Values<'a>, &dyn Environment) -> Result<R::Value>,
{
    let Some(values) = A::from_datums(datums) else {
        if datums.iter().any(|datum| datum.is_null()) {
            return Ok(Datum::Null);
        }
        return Err(wrong_layout(R::TYPE));
    };
    kernel(values, environment).map(R::datum)
}

/// Like [`vector`] for text results: the kernel appends to a buffer that is reused from row to row.
/// It returns whether the result is not NULL.
pub(super) fn vector_text<A: Arguments, F>(
    columns: &[Arc<Column>],
    rows: RowSet<'_>,
    environment: &dyn Environment,
    kernel: F,
) -> Result<Column>
where
    F: for<'a> Fn(A::Values<'a>, &dyn Environment, &mut String) -> Result<bool>,
{
    let count = row_count(rows);
    let (validity, slots, form) = match shape(columns) {
        Shape::Null => return Ok(Column::null(DataType::Text, count)),
        Shape::Constant if no_rows(rows) => return Ok(Column::null(DataType::Text, count)),
        Shape::Constant => (None, 1, ColumnForm::Constant),
        Shape::Flat(validity) => (validity, count, ColumnForm::Flat),
    };
    let readers = A::readers(columns).ok_or_else(|| wrong_layout(DataType::Text))?;
    let mut builder = StringColumn::default();
    let mut own: Option<Bitmap> = None;
    let mut buffer = String::new();
    let mut long = LongValues::new(environment);
    let wanted = if form == ColumnForm::Constant { RowSet::All(1) } else { rows };
    for_rows(wanted, validity.as_ref(), |row| {
        buffer.clear();
        let present = kernel(A::read(readers, row), environment, &mut buffer)?;
        while builder.len() < row {
            builder.push_str("");
        }
        long.push_text(&mut builder, &mut buffer)?;
        if !present {
            own.get_or_insert_with(|| Bitmap::filled(slots, true)).set(row, false);
        }
        Ok(())
    })?;
    while builder.len() < slots {
        builder.push_str("");
    }
    let data = long.held_by(ColumnData::Strings(builder))?;
    Ok(Column { data_type: DataType::Text, form, rows: count, data, validity: merge(validity, own) })
}

/// Like [`scalar`] for kernels of [`vector_text`].
pub(super) fn scalar_text<A: Arguments, F>(
    datums: &[DatumRef<'_>],
    environment: &dyn Environment,
    kernel: F,
) -> Result<Datum>
where
    F: for<'a> Fn(A::Values<'a>, &dyn Environment, &mut String) -> Result<bool>,
{
    let Some(values) = A::from_datums(datums) else {
        if datums.iter().any(|datum| datum.is_null()) {
            return Ok(Datum::Null);
        }
        return Err(wrong_layout(DataType::Text));
    };
    let mut buffer = String::new();
    if !kernel(values, environment, &mut buffer)? {
        return Ok(Datum::Null);
    }
    // The buffer and what is made of it.
    environment.room_for(2 * buffer.len())?;
    Ok(Datum::Text(Arc::from(buffer)))
}

/// A strict function from a closure over a tuple: `function!("abs", (Int4) -> Int4, Immutable, "…", |(v,), _| …)`.
macro_rules! function {
    ($name:expr, ($($argument:ty),*) -> $result:ty, $volatility:ident, $documentation:expr, $kernel:expr) => {
        $crate::sql::functions::registry::ScalarFunction {
            name: $name,
            arguments: <($($argument,)*) as $crate::sql::functions::kernel::Arguments>::TYPES,
            variadic: false,
            returns: <$result as $crate::sql::functions::kernel::Output>::TYPE,
            strict: true,
            volatility: $crate::sql::functions::registry::Volatility::$volatility,
            documentation: $documentation,
            vector: |columns, rows, environment| {
                $crate::sql::functions::kernel::vector::<($($argument,)*), $result, _>(columns, rows, environment, $kernel)
            },
            scalar: |datums, environment| {
                $crate::sql::functions::kernel::scalar::<($($argument,)*), $result, _>(datums, environment, $kernel)
            },
        }
    };
}

/// A strict function with a text result: the kernel appends to `out` and returns whether it is not NULL.
macro_rules! text_function {
    ($name:expr, ($($argument:ty),*), $volatility:ident, $documentation:expr, $kernel:expr) => {
        $crate::sql::functions::registry::ScalarFunction {
            name: $name,
            arguments: <($($argument,)*) as $crate::sql::functions::kernel::Arguments>::TYPES,
            variadic: false,
            returns: $crate::sql::types::data_type::DataType::Text,
            strict: true,
            volatility: $crate::sql::functions::registry::Volatility::$volatility,
            documentation: $documentation,
            vector: |columns, rows, environment| {
                $crate::sql::functions::kernel::vector_text::<($($argument,)*), _>(columns, rows, environment, $kernel)
            },
            scalar: |datums, environment| {
                $crate::sql::functions::kernel::scalar_text::<($($argument,)*), _>(datums, environment, $kernel)
            },
        }
    };
}

pub(super) use {function, text_function};
