//! Text form of real and double precision: the shortest digits that read back as the same number.

use crate::error::{Error, Result, SqlState};
use crate::sql::types::text::is_space;
use std::fmt::Write;

/// Reads a double.
/// # Errors
/// `22P02` for what is no number, `22003` for what over- or underflows.
pub fn parse_double(text: &str) -> Result<f64> {
    let value: f64 = parse(text, "double precision")?;
    check(text, value.is_infinite(), value == 0.0, "double precision").map(|()| value)
}

/// Reads a real.
/// # Errors
/// As [`parse_double`].
pub fn parse_real(text: &str) -> Result<f32> {
    let value: f32 = parse(text, "real")?;
    check(text, value.is_infinite(), value == 0.0, "real").map(|()| value)
}

fn parse<T: std::str::FromStr>(text: &str, type_name: &str) -> Result<T> {
    text.trim_matches(is_space).parse().map_err(|_| {
        Error::new(
            SqlState::INVALID_TEXT_REPRESENTATION,
            format!("invalid input syntax for type {type_name}: \"{text}\""),
        )
    })
}

/// A number that became infinite or zero only by rounding is out of range.
fn check(text: &str, infinite: bool, zero: bool, type_name: &str) -> Result<()> {
    let mantissa = text.split(['e', 'E']).next().unwrap_or(text);
    let overflow = infinite && text.bytes().any(|byte| byte.is_ascii_digit());
    let underflow = zero && mantissa.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
    if overflow || underflow {
        return Err(Error::new(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            format!("\"{}\" is out of range for type {type_name}", text.trim_matches(is_space)),
        ));
    }
    Ok(())
}

/// Appends a double as PostgreSQL prints it; `extra_digits` is the setting: above 0 the shortest exact form, else so
/// many digits more than 15.
pub fn write_double(value: f64, extra_digits: i8, out: &mut String) {
    if write_special(value, out) {
    } else if extra_digits > 0 {
        write_shortest(&format!("{value:e}"), 15, out);
    } else {
        write_rounded(value, 15 + i32::from(extra_digits), out);
    }
}

/// Appends a real as PostgreSQL prints it; `extra_digits` as for doubles, on top of 6.
pub fn write_real(value: f32, extra_digits: i8, out: &mut String) {
    if write_special(f64::from(value), out) {
    } else if extra_digits > 0 {
        write_shortest(&format!("{value:e}"), 6, out);
    } else {
        write_rounded(f64::from(value), 6 + i32::from(extra_digits), out);
    }
}

/// So many significant digits (at least one), without zeros at the end: C's `%g`.
fn write_rounded(value: f64, digits: i32, out: &mut String) {
    let digits = digits.max(1) as usize;
    let text = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = text.split_once('e').expect("the form has an exponent");
    let mantissa =
        if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    write_shortest(&format!("{mantissa}e{exponent}"), digits as i32, out);
}

fn write_special(value: f64, out: &mut String) -> bool {
    if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
    } else {
        return false;
    }
    true
}

/// From `d.ddde±x`: positional for exponents from −4 to below `limit`.
fn write_shortest(scientific: &str, limit: i32, out: &mut String) {
    let (mantissa, exponent) = scientific.split_once('e').expect("the form has an exponent");
    let exponent: i32 = exponent.parse().expect("the form has an integer exponent");
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    out.push_str(sign);
    if !(-4..limit).contains(&exponent) {
        let direction = if exponent < 0 { '-' } else { '+' };
        write!(out, "{mantissa}e{direction}{:02}", exponent.unsigned_abs()).expect("strings take everything");
        return;
    }
    let digits: String = mantissa.chars().filter(|c| *c != '.').collect();
    if exponent < 0 {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', (-exponent - 1) as usize));
        out.push_str(&digits);
    } else if digits.len() <= exponent as usize + 1 {
        out.push_str(&digits);
        out.extend(std::iter::repeat_n('0', exponent as usize + 1 - digits.len()));
    } else {
        let (whole, fraction) = digits.split_at(exponent as usize + 1);
        write!(out, "{whole}.{fraction}").expect("strings take everything");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::random::Random;

    #[test]
    fn numbers_print_as_in_postgresql() {
        let double = |value: f64| {
            let mut text = String::new();
            write_double(value, 1, &mut text);
            text
        };
        for (value, text) in [
            (1e15, "1e+15"),
            (1e14, "100000000000000"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (-0.0, "-0"),
            (1.5, "1.5"),
            (1e100, "1e+100"),
            (123456789012345678.0, "1.2345678901234568e+17"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(double(value), text);
        }
        let mut text = String::new();
        write_real(1234567.0, 1, &mut text);
        assert_eq!(text, "1.234567e+06");
        let mut text = String::new();
        write_double(0.1 + 0.2, 0, &mut text);
        text.push(' ');
        write_real(431.77258, 0, &mut text);
        text.push(' ');
        write_double(1e15, 0, &mut text);
        assert_eq!(text, "0.3 431.773 1e+15");
        assert_eq!(parse_double("1e400").unwrap_err().state().as_str(), "22003");
        assert_eq!(parse_double("1e-400").unwrap_err().state().as_str(), "22003");
        assert_eq!(parse_double("1,5").unwrap_err().state().as_str(), "22P02");
        assert_eq!(parse_double(" -inf ").unwrap(), f64::NEG_INFINITY);
        let mut random = Random::new(3);
        for _ in 0..2000 {
            let value = f64::from_bits(random.next_u64());
            assert!(
                value.is_nan() || parse_double(&double(value)).unwrap().to_bits() == value.to_bits(),
                "seed 3"
            );
        }
    }
}
