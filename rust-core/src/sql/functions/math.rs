//! Mathematical functions of double precision and of integers, with PostgreSQL's domain and range errors.
//! Knows single values; the kernels make both forms.

use crate::error::{Error, Result, SqlState};
use crate::sql::functions::arithmetic::{out_of_range, overflow, underflow};
use crate::sql::functions::kernel::{Float8, Int4, Int8, function};
use crate::sql::functions::registry::ScalarFunction;

fn domain() -> Error {
    Error::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "input is out of range")
}

fn within(value: f64, low: f64, high: f64) -> Result<f64> {
    if value.is_nan() || (low..=high).contains(&value) { Ok(value) } else { Err(domain()) }
}

fn finite(value: f64) -> Result<f64> {
    if value.is_infinite() { Err(domain()) } else { Ok(value) }
}

/// Refuses an infinite result of a finite argument.
fn ranged(result: f64, argument: f64) -> Result<f64> {
    if result.is_infinite() && argument.is_finite() { Err(overflow()) } else { Ok(result) }
}

fn square_root(value: f64) -> Result<f64> {
    if value < 0.0 {
        let message = "cannot take square root of a negative number";
        return Err(Error::new(SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION, message));
    }
    Ok(value.sqrt())
}

fn logarithm(value: f64, take: impl Fn(f64) -> f64) -> Result<f64> {
    let message = if value == 0.0 {
        "cannot take logarithm of zero"
    } else if value < 0.0 {
        "cannot take logarithm of a negative number"
    } else {
        return Ok(take(value));
    };
    Err(Error::new(SqlState::INVALID_ARGUMENT_FOR_LOGARITHM, message))
}

fn exponential(value: f64) -> Result<f64> {
    let result = value.exp();
    if result == 0.0 && value.is_finite() { Err(underflow()) } else { ranged(result, value) }
}

pub(super) fn power(base: f64, exponent: f64) -> Result<f64> {
    let refused = |message: &str| Err(Error::new(SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION, message));
    if base == 0.0 && exponent < 0.0 {
        return refused("zero raised to a negative power is undefined");
    }
    if base < 0.0 && exponent.is_finite() && exponent.fract() != 0.0 && base.is_finite() {
        return refused("a negative number raised to a non-integer power yields a complex result");
    }
    let result = base.powf(exponent);
    if base.is_finite() && exponent.is_finite() {
        if result.is_infinite() {
            return Err(overflow());
        }
        if result == 0.0 && base != 0.0 {
            return Err(underflow());
        }
    }
    Ok(result)
}

fn sign(value: f64) -> f64 {
    if value > 0.0 {
        1.0
    } else if value < 0.0 {
        -1.0
    } else {
        0.0
    }
}

fn divisor(a: i128, b: i128) -> i128 {
    let (mut a, mut b) = (a.abs(), b.abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn multiple(a: i128, b: i128) -> i128 {
    if a == 0 || b == 0 { 0 } else { (a / divisor(a, b) * b).abs() }
}

fn integer(value: i128) -> Result<i32> {
    i32::try_from(value).map_err(|_| out_of_range("integer"))
}

fn bigint(value: i128) -> Result<i64> {
    i64::try_from(value).map_err(|_| out_of_range("bigint"))
}

fn width_bucket(value: f64, low: f64, high: f64, count: i32) -> Result<i32> {
    let refused = |message: &str| Err(Error::new(SqlState::INVALID_ARGUMENT_FOR_WIDTH_BUCKET, message));
    if count <= 0 {
        return refused("count must be greater than zero");
    }
    if value.is_nan() || low.is_nan() || high.is_nan() {
        return refused("operand, lower bound, and upper bound cannot be NaN");
    }
    if low.is_infinite() || high.is_infinite() {
        return refused("lower and upper bounds must be finite");
    }
    if low == high {
        return refused("lower bound cannot equal upper bound");
    }
    let (below, beyond) =
        if low < high { (value < low, value >= high) } else { (value > low, value <= high) };
    if below {
        return Ok(0);
    }
    if beyond {
        return count.checked_add(1).ok_or_else(|| out_of_range("integer"));
    }
    let share = if (high - low).is_finite() {
        (value - low) / (high - low)
    } else {
        (value / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0)
    };
    Ok(((f64::from(count) * share) as i32).min(count - 1) + 1)
}

macro_rules! unary {
    ($name:literal, $documentation:literal, |$value:ident| $body:expr) => {
        function!($name, (Float8) -> Float8, Immutable, $documentation, |($value,), _| $body)
    };
}

static FLOAT: &[ScalarFunction] = &[
    unary!("ceil", "smallest integer not below", |x| Ok(x.ceil())),
    unary!("ceiling", "smallest integer not below", |x| Ok(x.ceil())),
    unary!("floor", "largest integer not above", |x| Ok(x.floor())),
    unary!("round", "nearest integer, half to even", |x| Ok(x.round_ties_even())),
    unary!("trunc", "integer part", |x| Ok(x.trunc())),
    unary!("sign", "-1, 0 or 1", |x| Ok(sign(x))),
    unary!("sqrt", "square root", |x| square_root(x)),
    unary!("|/", "square root", |x| square_root(x)),
    unary!("cbrt", "cube root", |x| Ok(x.cbrt())),
    unary!("||/", "cube root", |x| Ok(x.cbrt())),
    unary!("exp", "e to a power", |x| exponential(x)),
    unary!("ln", "natural logarithm", |x| logarithm(x, f64::ln)),
    unary!("log", "logarithm to base 10", |x| logarithm(x, f64::log10)),
    unary!("log10", "logarithm to base 10", |x| logarithm(x, f64::log10)),
    unary!("degrees", "radians as degrees", |x| ranged(x.to_degrees(), x)),
    unary!("radians", "degrees as radians", |x| Ok(x.to_radians())),
    function!("power", (Float8, Float8) -> Float8, Immutable, "power", |(x, y), _| power(x, y)),
    function!("pow", (Float8, Float8) -> Float8, Immutable, "power", |(x, y), _| power(x, y)),
    function!("^", (Float8, Float8) -> Float8, Immutable, "power", |(x, y), _| power(x, y)),
    function!("pi", () -> Float8, Immutable, "the circle's number", |(), _| Ok(std::f64::consts::PI)),
    function!("random", () -> Float8, Volatile, "a random number from 0 up to but not 1", |(), environment| Ok(environment.random())),
    function!("width_bucket", (Float8, Float8, Float8, Int4) -> Int4, Immutable, "number of the equal-width bucket", |(x, low, high, count), _| width_bucket(x, low, high, count)),
];

static TRIGONOMETRY: &[ScalarFunction] = &[
    unary!("sin", "sine of radians", |x| finite(x).map(f64::sin)),
    unary!("cos", "cosine of radians", |x| finite(x).map(f64::cos)),
    unary!("tan", "tangent of radians", |x| finite(x).map(f64::tan)),
    unary!("cot", "cotangent of radians", |x| finite(x).map(|x| 1.0 / x.tan())),
    unary!("asin", "arc sine in radians", |x| within(x, -1.0, 1.0).map(f64::asin)),
    unary!("acos", "arc cosine in radians", |x| within(x, -1.0, 1.0).map(f64::acos)),
    unary!("atan", "arc tangent in radians", |x| Ok(x.atan())),
    function!("atan2", (Float8, Float8) -> Float8, Immutable, "arc tangent of a quotient in radians", |(y, x), _| Ok(y.atan2(x))),
    unary!("sind", "sine of degrees", |x| finite(x).map(sine_of_degrees)),
    unary!("cosd", "cosine of degrees", |x| finite(x).map(|x| sine_of_degrees(90.0 - x.abs() % 360.0))),
    unary!("tand", "tangent of degrees", |x| finite(x)
        .map(|x| sine_of_degrees(x) / sine_of_degrees(90.0 - x.abs() % 360.0))),
    unary!("asind", "arc sine in degrees", |x| within(x, -1.0, 1.0).map(|x| x.asin().to_degrees())),
    unary!("acosd", "arc cosine in degrees", |x| within(x, -1.0, 1.0).map(|x| x.acos().to_degrees())),
    unary!("atand", "arc tangent in degrees", |x| Ok(x.atan().to_degrees())),
    unary!("sinh", "hyperbolic sine", |x| Ok(x.sinh())),
    unary!("cosh", "hyperbolic cosine", |x| Ok(x.cosh())),
    unary!("tanh", "hyperbolic tangent", |x| Ok(x.tanh())),
    unary!("asinh", "inverse hyperbolic sine", |x| Ok(x.asinh())),
    unary!("acosh", "inverse hyperbolic cosine", |x| within(x, 1.0, f64::INFINITY).map(f64::acosh)),
    unary!("atanh", "inverse hyperbolic tangent", |x| within(x, -1.0, 1.0).map(f64::atanh)),
];

/// Exact at the multiples of 30 degrees.
fn sine_of_degrees(degrees: f64) -> f64 {
    let turned = degrees % 360.0;
    let turned = if turned < 0.0 { turned + 360.0 } else { turned };
    let (sign, half) = if turned >= 180.0 { (-1.0, turned - 180.0) } else { (1.0, turned) };
    let quarter = if half > 90.0 { 180.0 - half } else { half };
    let sine = match quarter {
        0.0 => 0.0,
        30.0 => 0.5,
        90.0 => 1.0,
        q => q.to_radians().sin(),
    };
    sign * sine
}

static INTEGER: &[ScalarFunction] = &[
    function!("gcd", (Int4, Int4) -> Int4, Immutable, "greatest common divisor", |(a, b), _| integer(divisor(i128::from(a), i128::from(b)))),
    function!("gcd", (Int8, Int8) -> Int8, Immutable, "greatest common divisor", |(a, b), _| bigint(divisor(i128::from(a), i128::from(b)))),
    function!("lcm", (Int4, Int4) -> Int4, Immutable, "least common multiple", |(a, b), _| integer(multiple(i128::from(a), i128::from(b)))),
    function!("lcm", (Int8, Int8) -> Int8, Immutable, "least common multiple", |(a, b), _| bigint(multiple(i128::from(a), i128::from(b)))),
];

pub(super) static TABLES: &[&[ScalarFunction]] = &[FLOAT, TRIGONOMETRY, INTEGER];
