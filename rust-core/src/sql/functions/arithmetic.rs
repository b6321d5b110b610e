//! Arithmetic and bit operators of the integer and float types, with PostgreSQL's range checks.
//! Addition, subtraction and multiplication run without branches first; only when some slot overflowed are the
//! rows that count looked at one by one.

use crate::batch::column::{Column, ColumnData, ColumnForm};
use crate::error::{Error, Result, SqlState};
use crate::sql::functions::kernel::{
    self, Argument, Float4, Float8, Int2, Int4, Int8, Output, Shape, function,
};
use crate::sql::functions::registry::{Environment, RowSet, ScalarFunction, Volatility};
use std::sync::Arc;

pub(super) fn out_of_range(what: &str) -> Error {
    Error::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{what} out of range"))
}

pub(super) fn division_by_zero() -> Error {
    Error::new(SqlState::DIVISION_BY_ZERO, "division by zero")
}

#[cold]
pub(super) fn overflow() -> Error {
    Error::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow")
}

#[cold]
pub(super) fn underflow() -> Error {
    Error::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: underflow")
}

/// A type whose operators have a branch-free form.
trait Dense: Output<Builder = Vec<Self::Slot>> {
    type Slot: Copy;
    fn values(data: &ColumnData) -> Option<&[Self::Slot]>;
    fn wrap(values: Vec<Self::Slot>) -> ColumnData;
}

macro_rules! dense {
    ($($name:ident, $slot:ty, $layout:ident;)*) => {$(
        impl Dense for $name {
            type Slot = $slot;
            fn values(data: &ColumnData) -> Option<&[$slot]> {
                match data {
                    ColumnData::$layout(values) => Some(values),
                    _ => None,
                }
            }
            fn wrap(values: Vec<$slot>) -> ColumnData {
                ColumnData::$layout(values)
            }
        }
    )*};
}

dense! {
    Int2, i16, Int16;
    Int4, i32, Int32;
    Int8, i64, Int64;
    Float4, f32, Float32;
    Float8, f64, Float64;
}

/// Computes every slot with `dense`, which also says whether the result is wrong; where one is, `careful` decides.
#[inline]
fn binary_dense<T: Dense>(
    columns: &[Arc<Column>],
    rows: RowSet<'_>,
    environment: &dyn Environment,
    dense: impl Fn(T::Slot, T::Slot) -> (T::Slot, bool),
    careful: impl Fn(&[Arc<Column>], RowSet<'_>, &dyn Environment) -> Result<Column>,
) -> Result<Column> {
    let few = matches!(rows, RowSet::Some(chosen, count) if chosen.len() * 4 < count);
    let Shape::Flat(validity) = kernel::shape(columns) else { return careful(columns, rows, environment) };
    let (Some(l), Some(r)) = (T::values(&columns[0].data), T::values(&columns[1].data)) else {
        return careful(columns, rows, environment);
    };
    if few {
        return careful(columns, rows, environment);
    }
    let mut wrong = false;
    let mut step = |a: T::Slot, b: T::Slot| {
        let (value, bad) = dense(a, b);
        wrong |= bad;
        value
    };
    let values: Vec<T::Slot> = match (columns[0].form, columns[1].form) {
        (_, ColumnForm::Constant) => {
            let b = r[0];
            l.iter().map(|a| step(*a, b)).collect()
        }
        (ColumnForm::Constant, _) => {
            let a = l[0];
            r.iter().map(|b| step(a, *b)).collect()
        }
        _ => l.iter().zip(r).map(|(a, b)| step(*a, *b)).collect(),
    };
    if wrong {
        return careful(columns, rows, environment);
    }
    let count = kernel::row_count(rows);
    Ok(Column { data_type: T::TYPE, form: ColumnForm::Flat, rows: count, data: T::wrap(values), validity })
}

/// An operator with a branch-free form.
macro_rules! dense_operator {
    ($symbol:literal, $type:ident, $documentation:literal, $dense:expr, $careful:expr) => {
        ScalarFunction {
            name: $symbol,
            arguments: &[<$type as Argument>::TYPE, <$type as Argument>::TYPE],
            variadic: false,
            returns: <$type as Output>::TYPE,
            strict: true,
            volatility: Volatility::Immutable,
            documentation: $documentation,
            vector: |columns, rows, environment| {
                binary_dense::<$type>(columns, rows, environment, $dense, |columns, rows, environment| {
                    kernel::vector::<($type, $type), $type, _>(columns, rows, environment, $careful)
                })
            },
            scalar: |datums, environment| {
                kernel::scalar::<($type, $type), $type, _>(datums, environment, $careful)
            },
        }
    };
}

/// The operators of one integer type with itself.
macro_rules! integer_operators {
    ($name:ident, $type:ident, $native:ty, $text:literal) => {
        static $name: [ScalarFunction; 16] = [
            dense_operator!("+", $type, "sum", |a: $native, b: $native| a.overflowing_add(b), |(a, b), _| a
                .checked_add(b)
                .ok_or_else(|| out_of_range($text))),
            dense_operator!("-", $type, "difference", |a: $native, b: $native| a.overflowing_sub(b), |(a, b), _| a
                .checked_sub(b)
                .ok_or_else(|| out_of_range($text))),
            dense_operator!("*", $type, "product", |a: $native, b: $native| a.overflowing_mul(b), |(a, b), _| a
                .checked_mul(b)
                .ok_or_else(|| out_of_range($text))),
            function!("/", ($type, $type) -> $type, Immutable, "quotient, truncated towards zero", |(a, b), _| {
                if b == 0 { Err(division_by_zero()) } else { a.checked_div(b).ok_or_else(|| out_of_range($text)) }
            }),
            function!("%", ($type, $type) -> $type, Immutable, "remainder, with the dividend's sign", |(a, b), _| {
                if b == 0 { Err(division_by_zero()) } else { Ok(a.wrapping_rem(b)) }
            }),
            function!("mod", ($type, $type) -> $type, Immutable, "remainder, with the dividend's sign", |(a, b), _| {
                if b == 0 { Err(division_by_zero()) } else { Ok(a.wrapping_rem(b)) }
            }),
            dense_operator!("&", $type, "bitwise and", |a: $native, b: $native| (a & b, false), |(a, b), _| Ok(a & b)),
            dense_operator!("|", $type, "bitwise or", |a: $native, b: $native| (a | b, false), |(a, b), _| Ok(a | b)),
            dense_operator!("#", $type, "bitwise exclusive or", |a: $native, b: $native| (a ^ b, false), |(a, b), _| {
                Ok(a ^ b)
            }),
            function!("<<", ($type, Int4) -> $type, Immutable, "shift left", |(a, b), _| Ok(shift_left(i64::from(a), b, <$native>::BITS) as $native)),
            function!(">>", ($type, Int4) -> $type, Immutable, "shift right, keeping the sign", |(a, b), _| Ok(shift_right(i64::from(a), b, <$native>::BITS) as $native)),
            function!("~", ($type) -> $type, Immutable, "bitwise not", |(a,), _| Ok(!a)),
            function!("-", ($type) -> $type, Immutable, "negation", |(a,), _| a.checked_neg().ok_or_else(|| out_of_range($text))),
            function!("+", ($type) -> $type, Immutable, "the value itself", |(a,), _| Ok(a)),
            function!("@", ($type) -> $type, Immutable, "absolute value", |(a,), _| a.checked_abs().ok_or_else(|| out_of_range($text))),
            function!("abs", ($type) -> $type, Immutable, "absolute value", |(a,), _| a.checked_abs().ok_or_else(|| out_of_range($text))),
        ];
    };
}

/// C's shift on the machines PostgreSQL runs on: the count is taken modulo 32, or 64 for bigint.
fn shift_left(value: i64, count: i32, bits: u32) -> i64 {
    if bits == 64 {
        value.wrapping_shl(count as u32)
    } else {
        i64::from((value as i32).wrapping_shl(count as u32))
    }
}

fn shift_right(value: i64, count: i32, bits: u32) -> i64 {
    if bits == 64 {
        value.wrapping_shr(count as u32)
    } else {
        i64::from((value as i32).wrapping_shr(count as u32))
    }
}

integer_operators!(INT2, Int2, i16, "smallint");
integer_operators!(INT4, Int4, i32, "integer");
integer_operators!(INT8, Int8, i64, "bigint");

/// The four basic operators of two integer types; the wider one computes.
macro_rules! integer_pair {
    ($name:ident, $left:ident, $right:ident, $wide:ident, $native:ty, $text:literal) => {
        static $name: [ScalarFunction; 4] = [
            function!("+", ($left, $right) -> $wide, Immutable, "sum", |(a, b), _| {
                <$native>::from(a).checked_add(<$native>::from(b)).ok_or_else(|| out_of_range($text))
            }),
            function!("-", ($left, $right) -> $wide, Immutable, "difference", |(a, b), _| {
                <$native>::from(a).checked_sub(<$native>::from(b)).ok_or_else(|| out_of_range($text))
            }),
            function!("*", ($left, $right) -> $wide, Immutable, "product", |(a, b), _| {
                <$native>::from(a).checked_mul(<$native>::from(b)).ok_or_else(|| out_of_range($text))
            }),
            function!("/", ($left, $right) -> $wide, Immutable, "quotient, truncated towards zero", |(a, b), _| {
                let (a, b) = (<$native>::from(a), <$native>::from(b));
                if b == 0 { Err(division_by_zero()) } else { a.checked_div(b).ok_or_else(|| out_of_range($text)) }
            }),
        ];
    };
}

integer_pair!(INT24, Int2, Int4, Int4, i32, "integer");
integer_pair!(INT42, Int4, Int2, Int4, i32, "integer");
integer_pair!(INT28, Int2, Int8, Int8, i64, "bigint");
integer_pair!(INT82, Int8, Int2, Int8, i64, "bigint");
integer_pair!(INT48, Int4, Int8, Int8, i64, "bigint");
integer_pair!(INT84, Int8, Int4, Int8, i64, "bigint");

macro_rules! float_checks {
    ($add:ident, $subtract:ident, $multiply:ident, $divide:ident, $native:ty) => {
        pub(super) fn $add(a: $native, b: $native) -> Result<$native> {
            let sum = a + b;
            if sum.is_infinite() && a.is_finite() && b.is_finite() { Err(overflow()) } else { Ok(sum) }
        }

        pub(super) fn $subtract(a: $native, b: $native) -> Result<$native> {
            $add(a, -b)
        }

        pub(super) fn $multiply(a: $native, b: $native) -> Result<$native> {
            let product = a * b;
            if product.is_infinite() && a.is_finite() && b.is_finite() {
                return Err(overflow());
            }
            if product == 0.0 && a != 0.0 && b != 0.0 { Err(underflow()) } else { Ok(product) }
        }

        pub(super) fn $divide(a: $native, b: $native) -> Result<$native> {
            if b == 0.0 && !a.is_nan() {
                return Err(division_by_zero());
            }
            let quotient = a / b;
            if quotient.is_infinite() && a.is_finite() {
                return Err(overflow());
            }
            if quotient == 0.0 && a != 0.0 && b.is_finite() { Err(underflow()) } else { Ok(quotient) }
        }
    };
}

float_checks!(add4, subtract4, multiply4, divide4, f32);
float_checks!(add8, subtract8, multiply8, divide8, f64);

macro_rules! float_operators {
    ($name:ident, $type:ident, $native:ty, $add:ident, $subtract:ident, $multiply:ident, $divide:ident) => {
        static $name: [ScalarFunction; 8] = [
            dense_operator!(
                "+",
                $type,
                "sum",
                |a: $native, b: $native| {
                    let sum = a + b;
                    (sum, !sum.is_finite())
                },
                |(a, b), _| $add(a, b)
            ),
            dense_operator!(
                "-",
                $type,
                "difference",
                |a: $native, b: $native| {
                    let difference = a - b;
                    (difference, !difference.is_finite())
                },
                |(a, b), _| $subtract(a, b)
            ),
            dense_operator!(
                "*",
                $type,
                "product",
                |a: $native, b: $native| {
                    let product = a * b;
                    (product, !product.is_finite() | (product == 0.0))
                },
                |(a, b), _| $multiply(a, b)
            ),
            dense_operator!(
                "/",
                $type,
                "quotient",
                |a: $native, b: $native| {
                    let quotient = a / b;
                    (quotient, !quotient.is_finite() | (quotient == 0.0))
                },
                |(a, b), _| $divide(a, b)
            ),
    function!("-", ($type) -> $type, Immutable, "negation", |(a,), _| Ok(-a)),
    function!("+", ($type) -> $type, Immutable, "the value itself", |(a,), _| Ok(a)),
    function!("@", ($type) -> $type, Immutable, "absolute value", |(a,), _| Ok(a.abs())),
    function!("abs", ($type) -> $type, Immutable, "absolute value", |(a,), _| Ok(a.abs())),
        ];
    };
}

float_operators!(FLOAT4, Float4, f32, add4, subtract4, multiply4, divide4);
float_operators!(FLOAT8, Float8, f64, add8, subtract8, multiply8, divide8);

macro_rules! float_pair {
    ($name:ident, $left:ident, $right:ident) => {
        static $name: [ScalarFunction; 4] = [
            function!("+", ($left, $right) -> Float8, Immutable, "sum", |(a, b), _| add8(f64::from(a), f64::from(b))),
            function!("-", ($left, $right) -> Float8, Immutable, "difference", |(a, b), _| subtract8(f64::from(a), f64::from(b))),
            function!("*", ($left, $right) -> Float8, Immutable, "product", |(a, b), _| multiply8(f64::from(a), f64::from(b))),
            function!("/", ($left, $right) -> Float8, Immutable, "quotient", |(a, b), _| divide8(f64::from(a), f64::from(b))),
        ];
    };
}

float_pair!(FLOAT48, Float4, Float8);
float_pair!(FLOAT84, Float8, Float4);

pub(super) static TABLES: &[&[ScalarFunction]] = &[
    &INT4, &INT8, &INT2, &FLOAT8, &FLOAT4, &INT48, &INT84, &INT24, &INT42, &INT28, &INT82, &FLOAT48, &FLOAT84,
];
