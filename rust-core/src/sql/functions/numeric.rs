//! Operators and functions of numeric. Sums, differences and products of columns with one scale each run as integer
//! loops; everything else goes value by value through `sql::types`.

use crate::batch::column::{Column, ColumnData, ColumnForm};
use crate::error::{Error, Result, SqlState};
use crate::sql::functions::arithmetic::out_of_range;
use crate::sql::functions::kernel::{self, Argument, Int4, Int8, Num, NumericReader, Shape, Slots, function};
use crate::sql::functions::registry::{Environment, RowSet, ScalarFunction, Volatility};
use crate::sql::types::data_type::DataType;
use crate::sql::types::datum::Numeric;
use crate::sql::types::numeric::power_of_ten;
use std::sync::Arc;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    Add,
    Subtract,
    Multiply,
}

impl Operator {
    fn apply(self, a: Numeric, b: Numeric) -> Result<Numeric> {
        match self {
            Operator::Add => a.add(b),
            Operator::Subtract => a.subtract(b),
            Operator::Multiply => a.multiply(b),
        }
    }
}

fn narrow_or_wide(values: Vec<i128>, scale: u16) -> ColumnData {
    if values.iter().all(|value| i64::try_from(*value).is_ok()) {
        return ColumnData::Decimal64 {
            values: values.into_iter().map(|value| value as i64).collect(),
            scale,
        };
    }
    ColumnData::Decimal128 { values, scale }
}

fn map2<T: Copy, R>(
    l: Slots<'_, T>,
    r: Slots<'_, T>,
    forms: (ColumnForm, ColumnForm),
    mut f: impl FnMut(T, T) -> R,
) -> Vec<R> {
    match forms {
        (_, ColumnForm::Constant) => {
            let b = r.values[0];
            l.values.iter().map(|a| f(*a, b)).collect()
        }
        (ColumnForm::Constant, _) => {
            let a = l.values[0];
            r.values.iter().map(|b| f(a, *b)).collect()
        }
        _ => l.values.iter().zip(r.values).map(|(a, b)| f(*a, *b)).collect(),
    }
}

/// Both sides with one scale and 64 bits: no digit can be lost in 128 bits, so nothing is checked a row.
fn narrow(operator: Operator, columns: &[Arc<Column>]) -> Option<ColumnData> {
    let forms = (columns[0].form, columns[1].form);
    let (NumericReader::Narrow(l, l_scale), NumericReader::Narrow(r, r_scale)) =
        (Num::reader(&columns[0])?, Num::reader(&columns[1])?)
    else {
        return None;
    };
    if operator == Operator::Multiply {
        let scale = l_scale.checked_add(r_scale).filter(|scale| *scale <= 38)?;
        return Some(narrow_or_wide(map2(l, r, forms, |a, b| i128::from(a) * i128::from(b)), scale));
    }
    if l_scale == r_scale {
        let mut overflow = false;
        let mut checked = |(value, wrong): (i64, bool)| {
            overflow |= wrong;
            value
        };
        let values = match operator {
            Operator::Add => map2(l, r, forms, |a, b| checked(a.overflowing_add(b))),
            _ => map2(l, r, forms, |a, b| checked(a.overflowing_sub(b))),
        };
        if !overflow {
            return Some(ColumnData::Decimal64 { values, scale: l_scale });
        }
    }
    let scale = l_scale.max(r_scale);
    // 10^18 × 2^63 stays within the 38 digits that a numeric may have.
    if l_scale.abs_diff(r_scale) > 18 {
        return None;
    }
    let (up, down) = (power_of_ten(u32::from(scale - l_scale)), power_of_ten(u32::from(scale - r_scale)));
    let values = match operator {
        Operator::Add => map2(l, r, forms, |a, b| i128::from(a) * up + i128::from(b) * down),
        _ => map2(l, r, forms, |a, b| i128::from(a) * up - i128::from(b) * down),
    };
    Some(narrow_or_wide(values, scale))
}

fn vector(
    operator: Operator,
    columns: &[Arc<Column>],
    rows: RowSet<'_>,
    environment: &dyn Environment,
) -> Result<Column> {
    let few = matches!(rows, RowSet::Some(chosen, count) if chosen.len() * 4 < count);
    if !few
        && let Shape::Flat(validity) = kernel::shape(columns)
        && let Some(data) = narrow(operator, columns)
    {
        let count = kernel::row_count(rows);
        return Ok(Column {
            data_type: DataType::Numeric,
            form: ColumnForm::Flat,
            rows: count,
            data,
            validity,
        });
    }
    kernel::vector::<(Num, Num), Num, _>(columns, rows, environment, |(a, b), _| operator.apply(a, b))
}

macro_rules! dense {
    ($symbol:literal, $operator:ident, $documentation:literal) => {
        ScalarFunction {
            name: $symbol,
            arguments: &[DataType::Numeric, DataType::Numeric],
            variadic: false,
            returns: DataType::Numeric,
            strict: true,
            volatility: Volatility::Immutable,
            documentation: $documentation,
            vector: |columns, rows, environment| vector(Operator::$operator, columns, rows, environment),
            scalar: |datums, environment| {
                kernel::scalar::<(Num, Num), Num, _>(datums, environment, |(a, b), _| {
                    Operator::$operator.apply(a, b)
                })
            },
        }
    };
}

/// The scale without trailing zeros after the point; `None` for NaN and infinities.
fn minimal_scale(value: Numeric) -> Option<u16> {
    if !value.is_finite() {
        return None;
    }
    let (mut mantissa, mut scale) = (value.mantissa, value.scale);
    while scale > 0 && mantissa % 10 == 0 {
        mantissa /= 10;
        scale -= 1;
    }
    Some(scale)
}

fn trim_scale(value: Numeric) -> Numeric {
    match minimal_scale(value) {
        Some(scale) => Numeric::new(value.mantissa / power_of_ten(u32::from(value.scale - scale)), scale),
        None => value,
    }
}

fn greatest_common_divisor(a: Numeric, b: Numeric) -> Result<Numeric> {
    if !a.is_finite() || !b.is_finite() {
        return Ok(Numeric::NAN);
    }
    let scale = a.scale.max(b.scale);
    let (mut a, mut b) = (a.absolute(), b.absolute());
    while !b.is_zero() {
        (a, b) = (b, a.remainder(b)?);
    }
    a.round(i32::from(scale))
}

fn least_common_multiple(a: Numeric, b: Numeric) -> Result<Numeric> {
    if !a.is_finite() || !b.is_finite() {
        return Ok(Numeric::NAN);
    }
    let scale = a.scale.max(b.scale);
    if a.is_zero() || b.is_zero() {
        return Ok(Numeric::new(0, scale));
    }
    let divisor = greatest_common_divisor(a, b)?;
    a.divide_truncated(divisor)?.multiply(b)?.absolute().round(i32::from(scale))
}

fn factorial(number: i64) -> Result<Numeric> {
    if number < 0 {
        return Err(Error::new(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            "factorial of a negative number is undefined",
        ));
    }
    let mut product: i128 = 1;
    for factor in 2..=i128::from(number) {
        product = product.checked_mul(factor).ok_or_else(crate::sql::types::numeric::overflows_format)?;
    }
    Numeric::checked(product, 0)
}

fn bucket_error(message: &str) -> Error {
    Error::new(SqlState::INVALID_ARGUMENT_FOR_WIDTH_BUCKET, message)
}

/// The bucket of `value` among `count` equal ones between two bounds: 0 below, `count + 1` above.
fn width_bucket(value: Numeric, low: Numeric, high: Numeric, count: i32) -> Result<i32> {
    if count <= 0 {
        return Err(bucket_error("count must be greater than zero"));
    }
    if value.is_nan() || low.is_nan() || high.is_nan() {
        return Err(bucket_error("operand, lower bound, and upper bound cannot be NaN"));
    }
    if !low.is_finite() || !high.is_finite() {
        return Err(bucket_error("lower and upper bounds must be finite"));
    }
    if low == high {
        return Err(bucket_error("lower bound cannot equal upper bound"));
    }
    let above = count.checked_add(1).ok_or_else(|| out_of_range("integer"));
    let (below, beyond) =
        if low < high { (value < low, value >= high) } else { (value > low, value <= high) };
    if below {
        return Ok(0);
    }
    if beyond {
        return above;
    }
    let offset = value.subtract(low)?.multiply(Numeric::from(i64::from(count)))?;
    let bucket = offset.divide_truncated(high.subtract(low)?)?;
    Ok(bucket.to_integer(0, i64::from(count), "integer")? as i32 + 1)
}

static OPERATORS: &[ScalarFunction] = &[
    dense!("+", Add, "sum"),
    dense!("-", Subtract, "difference"),
    dense!("*", Multiply, "product"),
    function!("/", (Num, Num) -> Num, Immutable, "quotient with at least 16 significant digits", |(a, b), _| a.divide(b)),
    function!("%", (Num, Num) -> Num, Immutable, "remainder, with the dividend's sign", |(a, b), _| a.remainder(b)),
    function!("^", (Num, Num) -> Num, Immutable, "power", |(a, b), _| a.power(b)),
    function!("-", (Num) -> Num, Immutable, "negation", |(a,), _| Ok(a.negate())),
    function!("+", (Num) -> Num, Immutable, "the value itself", |(a,), _| Ok(a)),
    function!("@", (Num) -> Num, Immutable, "absolute value", |(a,), _| Ok(a.absolute())),
];

static FUNCTIONS: &[ScalarFunction] = &[
    function!("abs", (Num) -> Num, Immutable, "absolute value", |(a,), _| Ok(a.absolute())),
    function!("mod", (Num, Num) -> Num, Immutable, "remainder, with the dividend's sign", |(a, b), _| a.remainder(b)),
    function!("div", (Num, Num) -> Num, Immutable, "quotient, truncated towards zero", |(a, b), _| a.divide_truncated(b)),
    function!("power", (Num, Num) -> Num, Immutable, "power", |(a, b), _| a.power(b)),
    function!("pow", (Num, Num) -> Num, Immutable, "power", |(a, b), _| a.power(b)),
    function!("ceil", (Num) -> Num, Immutable, "smallest integer not below", |(a,), _| a.ceiling()),
    function!("ceiling", (Num) -> Num, Immutable, "smallest integer not below", |(a,), _| a.ceiling()),
    function!("floor", (Num) -> Num, Immutable, "largest integer not above", |(a,), _| a.floor()),
    function!("round", (Num) -> Num, Immutable, "nearest integer, half away from zero", |(a,), _| a.round(0)),
    function!("round", (Num, Int4) -> Num, Immutable, "rounded to digits after the point", |(a, digits), _| a.round(digits)),
    function!("trunc", (Num) -> Num, Immutable, "integer part", |(a,), _| a.truncate(0)),
    function!("trunc", (Num, Int4) -> Num, Immutable, "cut after digits after the point", |(a, digits), _| a.truncate(digits)),
    function!("sign", (Num) -> Num, Immutable, "-1, 0 or 1", |(a,), _| {
        Ok(if a.is_nan() { a } else { Numeric::from(i64::from(a.signum())) })
    }),
    function!("sqrt", (Num) -> Num, Immutable, "square root", |(a,), _| a.square_root()),
    function!("exp", (Num) -> Num, Immutable, "e to a power", |(a,), _| a.exponential()),
    function!("ln", (Num) -> Num, Immutable, "natural logarithm", |(a,), _| a.natural_logarithm()),
    function!("log", (Num) -> Num, Immutable, "logarithm to base 10", |(a,), _| a.logarithm_to(Numeric::new(10, 0))),
    function!("log10", (Num) -> Num, Immutable, "logarithm to base 10", |(a,), _| a.logarithm_to(Numeric::new(10, 0))),
    function!("log", (Num, Num) -> Num, Immutable, "logarithm of the second to the base of the first", |(base, a), _| a.logarithm_to(base)),
    function!("scale", (Num) -> kernel::Nullable<Int4>, Immutable, "digits after the point", |(a,), _| Ok(a.is_finite().then(|| i32::from(a.scale)))),
    function!("min_scale", (Num) -> kernel::Nullable<Int4>, Immutable, "digits after the point without trailing zeros", |(a,), _| Ok(minimal_scale(a).map(i32::from))),
    function!("trim_scale", (Num) -> Num, Immutable, "without trailing zeros after the point", |(a,), _| Ok(trim_scale(a))),
    function!("gcd", (Num, Num) -> Num, Immutable, "greatest common divisor", |(a, b), _| greatest_common_divisor(a, b)),
    function!("lcm", (Num, Num) -> Num, Immutable, "least common multiple", |(a, b), _| least_common_multiple(a, b)),
    function!("factorial", (Int8) -> Num, Immutable, "factorial", |(a,), _| factorial(a)),
    function!("width_bucket", (Num, Num, Num, Int4) -> Int4, Immutable, "number of the equal-width bucket", |(a, low, high, count), _| width_bucket(a, low, high, count)),
];

pub(super) static TABLES: &[&[ScalarFunction]] = &[OPERATORS, FUNCTIONS];
