//! Decimal numbers: representation, text form, comparison, conversions.
//!
//! A finite [`Numeric`] is an `i128` mantissa of at most 38 digits and a display scale of at most 38. What
//! PostgreSQL can hold beyond that is refused with `22003`, never rounded.

use crate::error::{Error, Result, SqlState};
use crate::sql::types::datum::{Numeric, NumericKind};
use std::cmp::Ordering;
use std::fmt;

/// Digits of a mantissa, and digits after the point.
pub const DIGITS_MAX: u32 = 38;

/// The largest mantissa: 38 nines.
pub const MANTISSA_MAX: i128 = 10i128.pow(DIGITS_MAX) - 1;

/// `10^n` for `n` up to 38.
#[inline]
pub const fn power_of_ten(n: u32) -> i128 {
    const TABLE: [i128; 39] = {
        let mut table = [1i128; 39];
        let mut i = 1;
        while i < 39 {
            table[i] = table[i - 1] * 10;
            i += 1;
        }
        table
    };
    TABLE[n as usize]
}

/// `22003`, PostgreSQL's words for a number beyond the format.
#[cold]
pub fn overflows_format() -> Error {
    Error::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format")
}

/// Decimal digits of the absolute value; 0 has none.
pub fn digit_count(mantissa: i128) -> u32 {
    let value = mantissa.unsigned_abs();
    if value == 0 { 0 } else { value.ilog10() + 1 }
}

impl Numeric {
    /// 0 with scale 0.
    pub const ZERO: Numeric = Numeric::new(0, 0);
    /// 1 with scale 0.
    pub const ONE: Numeric = Numeric::new(1, 0);
    /// `NaN`.
    pub const NAN: Numeric = Numeric { mantissa: 0, scale: 0, kind: NumericKind::NotANumber };
    /// `Infinity`.
    pub const INFINITY: Numeric = Numeric { mantissa: 0, scale: 0, kind: NumericKind::PositiveInfinity };
    /// `-Infinity`.
    pub const NEGATIVE_INFINITY: Numeric =
        Numeric { mantissa: 0, scale: 0, kind: NumericKind::NegativeInfinity };

    /// `mantissa × 10^-scale`; the caller keeps both within 38 digits.
    #[inline]
    pub const fn new(mantissa: i128, scale: u16) -> Numeric {
        Numeric { mantissa, scale, kind: NumericKind::Finite }
    }

    /// `mantissa × 10^-scale`, checked.
    /// # Errors
    /// `22003` beyond 38 digits.
    #[inline]
    pub fn checked(mantissa: i128, scale: u32) -> Result<Numeric> {
        if mantissa.unsigned_abs() > MANTISSA_MAX as u128 || scale > DIGITS_MAX {
            return Err(overflows_format());
        }
        Ok(Numeric::new(mantissa, scale as u16))
    }

    /// Whether this is neither NaN nor infinite.
    #[inline]
    pub fn is_finite(self) -> bool {
        self.kind == NumericKind::Finite
    }

    /// Whether this is NaN.
    pub fn is_nan(self) -> bool {
        self.kind == NumericKind::NotANumber
    }

    /// Whether this is 0 of any scale.
    pub fn is_zero(self) -> bool {
        self.is_finite() && self.mantissa == 0
    }

    /// −1, 0 or 1; NaN has 0.
    pub fn signum(self) -> i32 {
        match self.kind {
            NumericKind::Finite => self.mantissa.signum() as i32,
            NumericKind::NotANumber => 0,
            NumericKind::PositiveInfinity => 1,
            NumericKind::NegativeInfinity => -1,
        }
    }

    /// The same value with no zeros at the end of its fraction or mantissa: equal numbers have equal results.
    /// The scale may become negative: it is the power of ten to divide by.
    pub fn normalized(self) -> (i128, i32) {
        if self.mantissa == 0 {
            return (0, 0);
        }
        let (mut mantissa, mut scale) = (self.mantissa, i32::from(self.scale));
        if let Ok(mut small) = i64::try_from(mantissa) {
            while small % 10 == 0 {
                small /= 10;
                scale -= 1;
            }
            return (i128::from(small), scale);
        }
        while mantissa % 10 == 0 {
            mantissa /= 10;
            scale -= 1;
        }
        (mantissa, scale)
    }

    /// Order as PostgreSQL's btree has it: −infinity, numbers, infinity, NaN. Scale does not count.
    #[inline]
    pub fn compare(self, other: Numeric) -> Ordering {
        fn rank(kind: NumericKind) -> u8 {
            match kind {
                NumericKind::NegativeInfinity => 0,
                NumericKind::Finite => 1,
                NumericKind::PositiveInfinity => 2,
                NumericKind::NotANumber => 3,
            }
        }
        if !self.is_finite() || !other.is_finite() {
            return rank(self.kind).cmp(&rank(other.kind));
        }
        match self.scale.cmp(&other.scale) {
            Ordering::Equal => self.mantissa.cmp(&other.mantissa),
            Ordering::Less => compare_scaled(self.mantissa, other.mantissa, other.scale - self.scale),
            Ordering::Greater => {
                compare_scaled(other.mantissa, self.mantissa, self.scale - other.scale).reverse()
            }
        }
    }

    /// Reads PostgreSQL's input form.
    /// # Errors
    /// `22P02` for what is no number, `22003` beyond 38 digits.
    pub fn parse(text: &str) -> Result<Numeric> {
        let wrong = || {
            Error::new(
                SqlState::INVALID_TEXT_REPRESENTATION,
                format!("invalid input syntax for type numeric: \"{text}\""),
            )
        };
        let trimmed = text.trim_matches(crate::sql::types::text::is_space);
        if let Some(special) = special_value(trimmed) {
            return Ok(special);
        }
        Self::parse_number(trimmed).ok_or_else(wrong)?
    }

    /// `None`: no number.
    fn parse_number(text: &str) -> Option<Result<Numeric>> {
        let bytes = text.as_bytes();
        let (negative, mut at) = match bytes.first()? {
            b'-' => (true, 1),
            b'+' => (false, 1),
            _ => (false, 0),
        };
        let (mut mantissa, mut digits, mut dropped_zeros) = (0i128, 0usize, 0i64);
        let (mut scale, mut seen_point, mut overflow) = (0i64, false, false);
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'0'..=b'9' => {
                    digits += 1;
                    scale += i64::from(seen_point);
                    let digit = i128::from(byte - b'0');
                    if dropped_zeros > 0 || mantissa > MANTISSA_MAX / 10 {
                        // Zeros may still be taken back by a negative exponent; other digits cannot be held.
                        overflow |= digit != 0;
                        dropped_zeros += 1;
                    } else {
                        mantissa = mantissa * 10 + digit;
                    }
                }
                b'.' if !seen_point => seen_point = true,
                _ => break,
            }
            at += 1;
        }
        if digits == 0 {
            return None;
        }
        let mut exponent = 0i64;
        if let Some(b'e' | b'E') = bytes.get(at) {
            let rest = &text[at + 1..];
            let unsigned = rest.strip_prefix(['+', '-']).unwrap_or(rest);
            if unsigned.is_empty() || !unsigned.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            exponent = rest.parse::<i64>().unwrap_or(i64::from(i32::MAX)).clamp(-1 << 40, 1 << 40);
            at = bytes.len();
        }
        if at != bytes.len() {
            return None;
        }
        // value = mantissa × 10^(dropped_zeros + exponent - scale); displayed with `display` digits of fraction.
        let display = (scale - exponent).max(0);
        let power = dropped_zeros + exponent - scale + display;
        Some(if overflow || display > i64::from(DIGITS_MAX) {
            Err(overflows_format())
        } else if mantissa == 0 {
            Ok(Numeric::new(0, display as u16))
        } else if power > i64::from(DIGITS_MAX) {
            Err(overflows_format())
        } else {
            match mantissa.checked_mul(power_of_ten(power as u32)) {
                Some(value) => Numeric::checked(if negative { -value } else { value }, display as u32),
                None => Err(overflows_format()),
            }
        })
    }

    /// From a double, as PostgreSQL: the 15 significant digits that a double surely holds.
    /// # Errors
    /// `22003` beyond 38 digits.
    pub fn from_f64(value: f64) -> Result<Numeric> {
        Self::from_float(value, 15)
    }

    /// From a real: 6 significant digits.
    /// # Errors
    /// `22003` beyond 38 digits.
    pub fn from_f32(value: f32) -> Result<Numeric> {
        Self::from_float(f64::from(value), 6)
    }

    fn from_float(value: f64, significant: usize) -> Result<Numeric> {
        if value.is_nan() {
            return Ok(Numeric::NAN);
        }
        if value.is_infinite() {
            return Ok(if value > 0.0 { Numeric::INFINITY } else { Numeric::NEGATIVE_INFINITY });
        }
        // As C's %.*g, whose zeros at the end fall away.
        let text = format!("{value:.*e}", significant - 1);
        let (digits, exponent) = text.split_once('e').expect("the form has an exponent");
        let digits =
            if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits };
        Self::parse(&format!("{digits}e{exponent}"))
    }

    /// The nearest double.
    pub fn to_f64(self) -> f64 {
        match self.kind {
            NumericKind::NotANumber => f64::NAN,
            NumericKind::PositiveInfinity => f64::INFINITY,
            NumericKind::NegativeInfinity => f64::NEG_INFINITY,
            NumericKind::Finite => {
                // Exact operands of one division give the correctly rounded quotient.
                if self.mantissa.unsigned_abs() < 1 << 53 && self.scale <= 22 {
                    return self.mantissa as f64 / power_of_ten(u32::from(self.scale)) as f64;
                }
                format!("{}e-{}", self.mantissa, self.scale).parse().unwrap_or(f64::NAN)
            }
        }
    }

    /// The nearest real.
    pub fn to_f32(self) -> f32 {
        match self.kind {
            NumericKind::Finite => format!("{}e-{}", self.mantissa, self.scale).parse().unwrap_or(f32::NAN),
            _ => self.to_f64() as f32,
        }
    }

    /// Rounded half away from zero to an integer; `type_name` for the message.
    /// # Errors
    /// `22003` outside the type's range, `0A000` for NaN and the infinities, as PostgreSQL.
    pub fn to_integer(self, minimum: i64, maximum: i64, type_name: &str) -> Result<i64> {
        if !self.is_finite() {
            let what = if self.is_nan() { "NaN" } else { "infinity" };
            return Err(Error::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("cannot convert {what} to {type_name}"),
            ));
        }
        match i64::try_from(round_mantissa(self.mantissa, u32::from(self.scale))) {
            Ok(value) if (minimum..=maximum).contains(&value) => Ok(value),
            _ => Err(Error::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{type_name} out of range"))),
        }
    }

    /// The value as `numeric(precision, scale)` holds it: rounded half away from zero, then checked.
    /// # Errors
    /// `22003` when there are too many digits before the point.
    pub fn with_modifier(self, precision: u32, scale: i32) -> Result<Numeric> {
        let overflow = |detail: String| {
            Error::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "numeric field overflow").detail(detail)
        };
        match self.kind {
            NumericKind::NotANumber => return Ok(self),
            NumericKind::Finite => {}
            _ => {
                return Err(overflow(format!(
                    "A field with precision {precision}, scale {scale} cannot hold an infinite value."
                )));
            }
        }
        let display = scale.max(0) as u32;
        let from = i32::from(self.scale);
        let mantissa = if scale >= from {
            self.mantissa.checked_mul(power_of_ten((scale - from).min(38) as u32))
        } else {
            let rounded = round_mantissa(self.mantissa, (from - scale).min(40) as u32);
            rounded.checked_mul(power_of_ten((-scale).clamp(0, 38) as u32))
        };
        // Digits before the point that the field has room for: precision - scale.
        let limit = (precision as i32 - scale + display as i32).min(38) as u32;
        match mantissa {
            Some(mantissa) if mantissa.unsigned_abs() < power_of_ten(limit) as u128 => {
                Numeric::checked(mantissa, display)
            }
            _ => {
                let exponent = precision as i32 - scale;
                let bound = if exponent == 0 { "1".to_string() } else { format!("10^{exponent}") };
                Err(overflow(format!(
                    "A field with precision {precision}, scale {scale} must round to an absolute value less than {bound}."
                )))
            }
        }
    }
}

fn special_value(text: &str) -> Option<Numeric> {
    let (negative, name) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if name.eq_ignore_ascii_case("infinity") || name.eq_ignore_ascii_case("inf") {
        return Some(if negative { Numeric::NEGATIVE_INFINITY } else { Numeric::INFINITY });
    }
    text.eq_ignore_ascii_case("nan").then_some(Numeric::NAN)
}

/// Compares `left` with `right × 10^-scale`.
fn compare_scaled(left: i128, right: i128, scale: u16) -> Ordering {
    let divisor = power_of_ten(u32::from(scale));
    if let Some(scaled) = left.checked_mul(divisor) {
        return scaled.cmp(&right);
    }
    // 10^scale × left is beyond every mantissa.
    left.cmp(&0)
}

/// `mantissa / 10^digits`, rounded half away from zero.
pub fn round_mantissa(mantissa: i128, digits: u32) -> i128 {
    if digits == 0 {
        return mantissa;
    }
    if digits > DIGITS_MAX {
        return 0;
    }
    let divisor = power_of_ten(digits);
    let (quotient, rest) = (mantissa / divisor, mantissa % divisor);
    if rest.unsigned_abs() >= divisor.unsigned_abs() / 2 { quotient + mantissa.signum() } else { quotient }
}

impl fmt::Display for Numeric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            NumericKind::NotANumber => return f.write_str("NaN"),
            NumericKind::PositiveInfinity => return f.write_str("Infinity"),
            NumericKind::NegativeInfinity => return f.write_str("-Infinity"),
            NumericKind::Finite => {}
        }
        let magnitude = self.mantissa.unsigned_abs();
        let sign = if self.mantissa < 0 { "-" } else { "" };
        if self.scale == 0 {
            return write!(f, "{sign}{magnitude}");
        }
        let divisor = power_of_ten(u32::from(self.scale).min(38)) as u128;
        write!(
            f,
            "{sign}{}.{:0width$}",
            magnitude / divisor,
            magnitude % divisor,
            width = usize::from(self.scale)
        )
    }
}

macro_rules! from_integer {
    ($($type:ty),*) => {
        $(impl From<$type> for Numeric {
            fn from(value: $type) -> Numeric {
                Numeric::new(i128::from(value), 0)
            }
        })*
    };
}
from_integer!(i16, i32, i64, u32, u64);

impl PartialEq for Numeric {
    /// Equal as numbers; scale does not count, NaN equals NaN.
    fn eq(&self, other: &Numeric) -> bool {
        self.compare(*other) == Ordering::Equal
    }
}

impl Eq for Numeric {}

impl PartialOrd for Numeric {
    fn partial_cmp(&self, other: &Numeric) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Numeric {
    fn cmp(&self, other: &Numeric) -> Ordering {
        self.compare(*other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_reads_and_prints_as_in_postgresql() {
        for (input, output) in [
            ("1.50", "1.50"),
            (" -0.00 ", "0.00"),
            (".5", "0.5"),
            ("5.", "5"),
            ("1e3", "1000"),
            ("1.25e1", "12.5"),
            ("12e-3", "0.012"),
            ("+7", "7"),
            ("-inf", "-Infinity"),
            ("nan", "NaN"),
            ("00000000000000000000000000000000000000000000001", "1"),
            ("99999999999999999999999999999999999999", "99999999999999999999999999999999999999"),
        ] {
            assert_eq!(Numeric::parse(input).unwrap().to_string(), output, "{input}");
        }
        for input in ["", "-", ".", "1e", "1e+", "1.2.3", "1 2", "0x1", "- 1", "-nan", "abc"] {
            assert_eq!(Numeric::parse(input).unwrap_err().state().as_str(), "22P02", "{input}");
        }
        for input in ["1e38", "1e-39", "123456789012345678901234567890123456789", "1e999999999999999999999"] {
            assert_eq!(Numeric::parse(input).unwrap_err().state().as_str(), "22003", "{input}");
        }
    }

    #[test]
    fn the_modifier_survives_its_packing_with_negative_scales() {
        use crate::sql::types::data_type::SqlType;
        for (precision, scale) in [(1, 0), (38, 38), (3, -2), (1000, 1000), (5, -1000)] {
            assert_eq!(
                SqlType::numeric(precision, scale).numeric_precision_scale(),
                Some((precision, scale))
            );
        }
    }

    #[test]
    fn the_modifier_rounds_half_away_from_zero_and_then_checks() {
        let field = |text: &str, precision, scale| {
            Numeric::parse(text).unwrap().with_modifier(precision, scale).map(|n| n.to_string())
        };
        assert_eq!(field("1.005", 5, 2).unwrap(), "1.01");
        assert_eq!(field("-1.005", 5, 2).unwrap(), "-1.01");
        assert_eq!(field("1250", 2, -2).unwrap(), "1300");
        assert_eq!(field("0.00123", 2, 4).unwrap(), "0.0012");
        let error = field("999.995", 5, 2).unwrap_err();
        assert_eq!(error.message(), "numeric field overflow");
        assert_eq!(
            error.detail_text(),
            Some("A field with precision 5, scale 2 must round to an absolute value less than 10^3.")
        );
        assert!(field("0.01", 2, 4).is_err());
        assert!(field("inf", 5, 2).is_err());
        assert_eq!(field("nan", 5, 2).unwrap(), "NaN");
    }
}
