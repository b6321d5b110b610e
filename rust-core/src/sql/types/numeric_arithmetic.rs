//! Arithmetic of decimal numbers with PostgreSQL's result scales.
//!
//! 128-bit paths first; where an intermediate result does not fit, a big integer takes over. What cannot be held
//! in 38 digits in the end is `22003`: no digit is dropped silently.

use crate::error::{Error, Result, SqlState};
use crate::sql::types::datum::{Numeric, NumericKind};
use crate::sql::types::numeric::{DIGITS_MAX, digit_count, overflows_format, power_of_ten, round_mantissa};
use num_bigint::BigInt;

/// Significant digits PostgreSQL wants at least in a quotient or a function's result.
pub(crate) const SIGNIFICANT_DIGITS_MIN: i32 = 16;

/// `22012`.
#[cold]
pub fn division_by_zero() -> Error {
    Error::new(SqlState::DIVISION_BY_ZERO, "division by zero")
}

/// Weight (base 10,000) and first digit (base 10,000) of a finite value, as PostgreSQL stores it.
pub(crate) fn weight_and_first_digit(value: Numeric) -> (i32, i64) {
    if value.mantissa == 0 {
        return (0, 0);
    }
    let digits = digit_count(value.mantissa) as i32;
    let exponent = digits - 1 - i32::from(value.scale);
    let wanted = exponent.rem_euclid(4) + 1;
    let magnitude = value.mantissa.unsigned_abs() as i128;
    let first = if digits >= wanted {
        magnitude / power_of_ten((digits - wanted) as u32)
    } else {
        magnitude * power_of_ten((wanted - digits) as u32)
    };
    (exponent.div_euclid(4), first as i64)
}

/// `value / divisor` rounded half away from zero; `divisor` is positive.
pub(crate) fn divide_rounded(value: &BigInt, divisor: &BigInt) -> BigInt {
    let half = divisor / 2u8;
    let odd = divisor % 2u8 != BigInt::from(0u8);
    let negative = value < &BigInt::from(0u8);
    let magnitude = if negative { -value } else { value.clone() };
    let (quotient, rest) = (&magnitude / divisor, &magnitude % divisor);
    let up = if odd { rest > half } else { rest >= half };
    let rounded = if up { quotient + 1u8 } else { quotient };
    if negative { -rounded } else { rounded }
}

/// The mantissa of `value` at the finer scale `scale`.
#[inline]
fn rescaled(value: Numeric, scale: u16) -> Option<i128> {
    if value.scale == scale {
        return Some(value.mantissa);
    }
    value.mantissa.checked_mul(power_of_ten(u32::from(scale - value.scale)))
}

impl Numeric {
    /// Sum; scale: the larger one.
    /// # Errors
    /// `22003` beyond 38 digits.
    #[inline]
    #[allow(clippy::should_implement_trait, reason = "the operator trait has no place for an error")]
    pub fn add(self, other: Numeric) -> Result<Numeric> {
        if self.is_finite() && other.is_finite() {
            let scale = self.scale.max(other.scale);
            if let (Some(left), Some(right)) = (rescaled(self, scale), rescaled(other, scale))
                && let Some(sum) = left.checked_add(right)
            {
                return Numeric::checked(sum, u32::from(scale));
            }
            // 128 bits hold more than 38 digits, so only opposite huge operands could still meet in range.
            let sum = big_at(self, scale) + big_at(other, scale);
            return from_big(sum, i32::from(scale));
        }
        Ok(match (self.kind, other.kind) {
            (NumericKind::NotANumber, _) | (_, NumericKind::NotANumber) => Numeric::NAN,
            (NumericKind::Finite, _) => other,
            (_, NumericKind::Finite) => self,
            (left, right) if left == right => self,
            _ => Numeric::NAN,
        })
    }

    /// Difference; scale: the larger one.
    /// # Errors
    /// `22003` beyond 38 digits.
    #[inline]
    pub fn subtract(self, other: Numeric) -> Result<Numeric> {
        self.add(other.negate())
    }

    /// Product; scale: the sum of both.
    /// # Errors
    /// `22003` beyond 38 digits.
    #[inline]
    pub fn multiply(self, other: Numeric) -> Result<Numeric> {
        if self.is_finite() && other.is_finite() {
            let scale = u32::from(self.scale) + u32::from(other.scale);
            return match self.mantissa.checked_mul(other.mantissa) {
                Some(product) => Numeric::checked(product, scale),
                None => Err(overflows_format()),
            };
        }
        if self.is_nan() || other.is_nan() {
            return Ok(Numeric::NAN);
        }
        Ok(infinite(self.signum() * other.signum()))
    }

    /// Quotient with at least 16 significant digits, as PostgreSQL chooses the scale; rounded half away from zero.
    /// # Errors
    /// `22012` for a zero divisor, `22003` beyond 38 digits.
    pub fn divide(self, other: Numeric) -> Result<Numeric> {
        if self.is_nan() || other.is_nan() {
            return Ok(Numeric::NAN);
        }
        if other.is_zero() {
            return Err(division_by_zero());
        }
        match (self.is_finite(), other.is_finite()) {
            (true, true) => {}
            (false, false) => return Ok(Numeric::NAN),
            (false, true) => return Ok(infinite(self.signum() * other.signum())),
            (true, false) => return Ok(Numeric::ZERO),
        }
        let scale = quotient_scale(self, other);
        quotient(self, other, scale)
    }

    /// Quotient truncated to an integer: `div`.
    /// # Errors
    /// `22012` for a zero divisor.
    pub fn divide_truncated(self, other: Numeric) -> Result<Numeric> {
        if !self.is_finite() || !other.is_finite() {
            return self.divide(other);
        }
        if other.mantissa == 0 {
            return Err(division_by_zero());
        }
        let scale = self.scale.max(other.scale);
        from_big(big_at(self, scale) / big_at(other, scale), 0)
    }

    /// Remainder of the truncated quotient; it has the sign of `self`.
    /// # Errors
    /// `22012` for a zero divisor.
    pub fn remainder(self, other: Numeric) -> Result<Numeric> {
        if self.is_nan() || other.is_nan() {
            return Ok(Numeric::NAN);
        }
        if other.is_zero() {
            return Err(division_by_zero());
        }
        if !self.is_finite() {
            return Ok(Numeric::NAN);
        }
        if !other.is_finite() {
            return Ok(self);
        }
        let scale = self.scale.max(other.scale);
        if let (Some(left), Some(right)) = (rescaled(self, scale), rescaled(other, scale)) {
            return Numeric::checked(left % right, u32::from(scale));
        }
        from_big(big_at(self, scale) % big_at(other, scale), i32::from(scale))
    }

    /// The value with the other sign.
    #[inline]
    #[must_use]
    pub fn negate(self) -> Numeric {
        match self.kind {
            NumericKind::Finite => Numeric { mantissa: -self.mantissa, ..self },
            NumericKind::NotANumber => self,
            NumericKind::PositiveInfinity => Numeric::NEGATIVE_INFINITY,
            NumericKind::NegativeInfinity => Numeric::INFINITY,
        }
    }

    /// The absolute value.
    #[inline]
    #[must_use]
    pub fn absolute(self) -> Numeric {
        if self.signum() < 0 { self.negate() } else { self }
    }

    /// Rounded half away from zero to `digits` digits after the point (negative: before it); the result shows
    /// that many.
    /// # Errors
    /// `22003` beyond 38 digits.
    pub fn round(self, digits: i32) -> Result<Numeric> {
        self.adjust(digits, round_mantissa)
    }

    /// Cut off after `digits` digits after the point (negative: before it).
    /// # Errors
    /// `22003` beyond 38 digits.
    pub fn truncate(self, digits: i32) -> Result<Numeric> {
        self.adjust(
            digits,
            |mantissa, drop| if drop > DIGITS_MAX { 0 } else { mantissa / power_of_ten(drop) },
        )
    }

    fn adjust(self, digits: i32, cut: fn(i128, u32) -> i128) -> Result<Numeric> {
        if !self.is_finite() {
            return Ok(self);
        }
        let digits = digits.clamp(-2000, 2000);
        let (scale, display) = (i32::from(self.scale), digits.max(0));
        let mantissa = if digits >= scale {
            let added = (digits - scale) as u32;
            if self.mantissa == 0 {
                Some(0)
            } else if added > DIGITS_MAX {
                None
            } else {
                self.mantissa.checked_mul(power_of_ten(added))
            }
        } else {
            let kept = cut(self.mantissa, (scale - digits) as u32);
            if kept == 0 { Some(0) } else { kept.checked_mul(power_of_ten((-digits).max(0) as u32)) }
        };
        Numeric::checked(mantissa.ok_or_else(overflows_format)?, display as u32)
    }

    /// The smallest integer that is not less.
    /// # Errors
    /// `22003` beyond 38 digits.
    pub fn ceiling(self) -> Result<Numeric> {
        let cut = self.truncate(0)?;
        if cut.compare(self).is_lt() { cut.add(Numeric::ONE) } else { Ok(cut) }
    }

    /// The largest integer that is not greater.
    /// # Errors
    /// `22003` beyond 38 digits.
    pub fn floor(self) -> Result<Numeric> {
        let cut = self.truncate(0)?;
        if cut.compare(self).is_gt() { cut.subtract(Numeric::ONE) } else { Ok(cut) }
    }
}

/// ±infinity by sign; NaN for 0 (infinity times zero).
fn infinite(sign: i32) -> Numeric {
    match sign {
        1 => Numeric::INFINITY,
        -1 => Numeric::NEGATIVE_INFINITY,
        _ => Numeric::NAN,
    }
}

/// The scale PostgreSQL gives a quotient.
pub(crate) fn quotient_scale(left: Numeric, right: Numeric) -> i32 {
    let (left_weight, left_first) = weight_and_first_digit(left);
    let (right_weight, right_first) = weight_and_first_digit(right);
    let weight = left_weight - right_weight - i32::from(left_first <= right_first);
    (SIGNIFICANT_DIGITS_MIN - weight * 4)
        .max(i32::from(left.scale))
        .max(i32::from(right.scale))
        .clamp(0, 1000)
}

/// `left / right` at `scale`, both finite and `right` not zero.
pub(crate) fn quotient(left: Numeric, right: Numeric, scale: i32) -> Result<Numeric> {
    // left / right × 10^scale = left.mantissa × 10^shift / right.mantissa
    let shift = scale + i32::from(right.scale) - i32::from(left.scale);
    let sign = right.mantissa.signum();
    if (0..=38).contains(&shift)
        && let Some(dividend) = left.mantissa.checked_mul(power_of_ten(shift as u32))
        && dividend.unsigned_abs() < 1 << 126
    {
        let (quotient, rest) = (dividend / right.mantissa, dividend % right.mantissa);
        let up = rest.unsigned_abs() >= right.mantissa.unsigned_abs() - rest.unsigned_abs();
        let step = if up { dividend.signum() * sign } else { 0 };
        return Numeric::checked(quotient + step, scale as u32);
    }
    let (mut dividend, mut divisor) =
        (BigInt::from(left.mantissa * sign), BigInt::from(right.mantissa * sign));
    let power = BigInt::from(10u8).pow(shift.unsigned_abs());
    if shift >= 0 {
        dividend *= power;
    } else {
        divisor *= power;
    }
    from_big(divide_rounded(&dividend, &divisor), scale)
}

fn big_at(value: Numeric, scale: u16) -> BigInt {
    BigInt::from(value.mantissa) * BigInt::from(power_of_ten(u32::from(scale - value.scale)))
}

/// A number from a mantissa of any size.
/// # Errors
/// `22003` beyond 38 digits.
pub(crate) fn from_big(mantissa: BigInt, scale: i32) -> Result<Numeric> {
    let mantissa = i128::try_from(mantissa).map_err(|_| overflows_format())?;
    Numeric::checked(mantissa, u32::try_from(scale).map_err(|_| overflows_format())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::random::Random;

    fn number(text: &str) -> Numeric {
        Numeric::parse(text).unwrap()
    }

    fn random_number(random: &mut Random) -> Numeric {
        let digits = random.below(20) as u32 + 1;
        let mantissa =
            (i128::from(random.next_u64()) * i128::from(random.next_u64() >> 1)) % power_of_ten(digits);
        let sign = if random.below(2) == 0 { 1 } else { -1 };
        Numeric::new(sign * mantissa, random.below(16) as u16)
    }

    #[test]
    fn quotients_have_the_scale_of_postgresql() {
        for (left, right, result) in [
            ("1.5", "7", "0.21428571428571428571"),
            ("1", "3.0", "0.33333333333333333333"),
            ("10.0", "3", "3.3333333333333333"),
            ("123456789.123", "0.0001", "1234567891230.00000000"),
            ("1e-10", "3", "0.0000000000333333333333333333"),
            ("100000000", "3.0", "33333333.333333333333"),
            ("-7", "2", "-3.5000000000000000"),
            ("0", "5.00", "0.00000000000000000000"),
        ] {
            assert_eq!(number(left).divide(number(right)).unwrap().to_string(), result, "{left} / {right}");
        }
        assert_eq!(number("1").divide(number("0.0")).unwrap_err().state().as_str(), "22012");
    }

    #[test]
    fn operations_agree_with_big_integers_or_report_overflow() {
        let mut random = Random::new(7);
        for round in 0..20_000 {
            let (left, right) = (random_number(&mut random), random_number(&mut random));
            let scale = left.scale.max(right.scale);
            let (l, r) = (big_at(left, scale), big_at(right, scale));
            let check = |result: Result<Numeric>, exact: BigInt, scale: i32| match result {
                Ok(value) => {
                    assert_eq!(BigInt::from(value.mantissa), exact, "seed 7 round {round}: {left} {right}");
                    assert_eq!(i32::from(value.scale), scale);
                }
                Err(error) => {
                    assert_eq!(error.state().as_str(), "22003");
                    assert!(exact.magnitude() >= &BigInt::from(10).pow(38).magnitude().clone() || scale > 38);
                }
            };
            check(left.add(right), &l + &r, i32::from(scale));
            check(left.subtract(right), &l - &r, i32::from(scale));
            check(
                left.multiply(right),
                BigInt::from(left.mantissa) * BigInt::from(right.mantissa),
                i32::from(left.scale + right.scale),
            );
            if right.mantissa != 0 {
                check(left.remainder(right), &l % &r, i32::from(scale));
                let wanted = quotient_scale(left, right);
                let ten = BigInt::from(10).pow(wanted as u32);
                let sign = right.mantissa.signum();
                check(left.divide(right), divide_rounded(&(l * ten * sign), &(r * sign)), wanted);
            }
        }
    }

    #[test]
    fn rounding_goes_half_away_from_zero_and_truncation_to_zero() {
        for (value, digits, rounded, truncated) in [
            ("2.5", 0, "3", "2"),
            ("-2.5", 0, "-3", "-2"),
            ("1.2345", 2, "1.23", "1.23"),
            ("1.235", 2, "1.24", "1.23"),
            ("1250", -2, "1300", "1200"),
            ("49", -2, "0", "0"),
            ("1.5", 4, "1.5000", "1.5000"),
        ] {
            assert_eq!(number(value).round(digits).unwrap().to_string(), rounded);
            assert_eq!(number(value).truncate(digits).unwrap().to_string(), truncated);
        }
        assert_eq!(number("-1.5").floor().unwrap().to_string(), "-2");
        assert_eq!(number("-1.5").ceiling().unwrap().to_string(), "-1");
        assert_eq!(number("1.01").ceiling().unwrap().to_string(), "2");
    }

    #[test]
    fn special_values_follow_postgresql() {
        let (inf, nan, zero) = (Numeric::INFINITY, Numeric::NAN, Numeric::ZERO);
        assert_eq!(inf.add(inf.negate()).unwrap(), nan);
        assert_eq!(inf.multiply(zero).unwrap(), nan);
        assert_eq!(Numeric::ONE.divide(inf).unwrap(), zero);
        assert_eq!(inf.divide(number("-2")).unwrap(), Numeric::NEGATIVE_INFINITY);
        assert!(inf.divide(zero).is_err());
        assert!(nan > inf && inf > number("99999999999999999999999999999999999999"));
    }
}
