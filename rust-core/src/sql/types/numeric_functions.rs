//! Roots, powers and logarithms of decimal numbers, with PostgreSQL's result scales.
//!
//! Computed as binary fixed-point big integers with 512 bits after the point: enough for 38 correct digits after
//! the cancellations that 38-digit arguments can cause.

use crate::error::{Error, Result, SqlState};
use crate::sql::types::datum::Numeric;
use crate::sql::types::numeric::{overflows_format, power_of_ten};
use crate::sql::types::numeric_arithmetic::{
    SIGNIFICANT_DIGITS_MIN, divide_rounded, from_big, quotient, weight_and_first_digit,
};
use num_bigint::BigInt;
use std::f64::consts::LOG10_E;

const FRACTION_BITS: u64 = 512;
/// Exponents up to this are powers by multiplication, hence exact before the last rounding.
const EXACT_EXPONENT_MAX: u32 = 512;

impl Numeric {
    /// Square root.
    /// # Errors
    /// `2201F` of a negative number.
    pub fn square_root(self) -> Result<Numeric> {
        if self.is_nan() {
            return Ok(self);
        }
        if self.signum() < 0 {
            return Err(power_error("cannot take square root of a negative number"));
        }
        if !self.is_finite() {
            return Ok(self);
        }
        let (weight, _) = weight_and_first_digit(self);
        let root_weight = (weight + 1) * 4 / 2 - 1;
        let scale = (SIGNIFICANT_DIGITS_MIN - root_weight).max(i32::from(self.scale)).max(0);
        let shift = 2 * (scale + 1) - i32::from(self.scale);
        let big = BigInt::from(self.mantissa) * BigInt::from(10u8).pow(shift as u32);
        from_big(divide_rounded(&big.sqrt(), &BigInt::from(10u8)), scale)
    }

    /// e to this power.
    /// # Errors
    /// `22003` beyond 38 digits.
    pub fn exponential(self) -> Result<Numeric> {
        if !self.is_finite() {
            return Ok(if self.signum() < 0 { Numeric::ZERO } else { self });
        }
        let weight = (self.to_f64() * LOG10_E).clamp(-2000.0, 2000.0) as i32;
        let scale = (SIGNIFICANT_DIGITS_MIN - weight).max(i32::from(self.scale)).max(0);
        exponential_at(&fixed(self), scale)
    }

    /// Natural logarithm.
    /// # Errors
    /// `2201E` for zero and negative numbers.
    pub fn natural_logarithm(self) -> Result<Numeric> {
        if let Some(special) = self.logarithm_special()? {
            return Ok(special);
        }
        let scale = (SIGNIFICANT_DIGITS_MIN - logarithm_weight(self)).max(i32::from(self.scale)).max(0);
        decimal(&logarithm(self), scale)
    }

    /// Logarithm to `base`.
    /// # Errors
    /// `2201E` for zero and negative numbers, `22012` for base 1.
    pub fn logarithm_to(self, base: Numeric) -> Result<Numeric> {
        if self.is_nan() || base.is_nan() {
            return Ok(Numeric::NAN);
        }
        base.logarithm_special()?;
        self.logarithm_special()?;
        match (base.is_finite(), self.is_finite()) {
            (false, false) => return Ok(Numeric::NAN),
            (false, true) => return Ok(Numeric::ZERO),
            (true, false) => return Ok(Numeric::INFINITY),
            (true, true) => {}
        }
        let weight = logarithm_weight(self) - logarithm_weight(base);
        let scale =
            (SIGNIFICANT_DIGITS_MIN - weight).max(i32::from(self.scale)).max(i32::from(base.scale)).max(0);
        let (mut dividend, mut divisor) = (logarithm(self), logarithm(base));
        let zero = BigInt::from(0u8);
        if divisor == zero {
            return Err(crate::sql::types::numeric_arithmetic::division_by_zero());
        }
        if divisor < zero {
            (dividend, divisor) = (-dividend, -divisor);
        }
        from_big(
            divide_rounded(&(dividend * BigInt::from(10u8).pow(scale.min(1000) as u32)), &divisor),
            scale,
        )
    }

    fn logarithm_special(self) -> Result<Option<Numeric>> {
        if self.is_nan() {
            return Ok(Some(self));
        }
        let message = match self.signum() {
            0 => "cannot take logarithm of zero",
            -1 => "cannot take logarithm of a negative number",
            _ => return Ok((!self.is_finite()).then_some(self)),
        };
        Err(Error::new(SqlState::INVALID_ARGUMENT_FOR_LOGARITHM, message))
    }

    /// This to the power of `exponent`.
    /// # Errors
    /// `2201F` for zero to a negative and for a negative to a fractional power, `22003` beyond 38 digits.
    pub fn power(self, exponent: Numeric) -> Result<Numeric> {
        if let Some(special) = power_special(self, exponent) {
            return Ok(special);
        }
        if self.is_zero() && exponent.signum() < 0 {
            return Err(power_error("zero raised to a negative power is undefined"));
        }
        let (_, exponent_scale) = exponent.normalized();
        let is_integer = exponent.is_finite() && exponent_scale <= 0;
        if self.signum() < 0 && exponent.is_finite() && !is_integer {
            return Err(power_error(
                "a negative number raised to a non-integer power yields a complex result",
            ));
        }
        if !self.is_finite() || !exponent.is_finite() {
            return Ok(power_infinite(self, exponent));
        }
        if is_integer && let Ok(n) = exponent.to_integer(i64::from(i32::MIN), i64::from(i32::MAX), "integer")
        {
            let scale = SIGNIFICANT_DIGITS_MIN.max(i32::from(self.scale)).max(i32::from(exponent.scale));
            return self.power_integer(n, scale);
        }
        if self.is_zero() {
            return Ok(Numeric::new(0, SIGNIFICANT_DIGITS_MIN as u16));
        }
        let logarithm = logarithm(self.absolute()) * BigInt::from(exponent.mantissa);
        let product = divide_rounded(&logarithm, &BigInt::from(power_of_ten(u32::from(exponent.scale))));
        let weight = (decimal_f64(&product) * LOG10_E).clamp(-2000.0, 2000.0) as i32;
        let scale = (SIGNIFICANT_DIGITS_MIN - weight)
            .max(i32::from(self.scale))
            .max(i32::from(exponent.scale))
            .clamp(0, 1000);
        exponential_at(&product, scale)
    }

    fn power_integer(self, exponent: i64, scale: i32) -> Result<Numeric> {
        match exponent {
            0 => return Numeric::ONE.round(scale),
            1 => return self.round(scale),
            -1 => return quotient(Numeric::ONE, self, scale),
            _ if self.mantissa == 0 => return Numeric::checked(0, scale as u32),
            _ => {}
        }
        let count = exponent.unsigned_abs();
        let negative = self.mantissa < 0 && count % 2 == 1;
        if count <= u64::from(EXACT_EXPONENT_MAX) {
            let count = count as u32;
            let mantissa = BigInt::from(self.mantissa).pow(count);
            let ten = BigInt::from(10u8);
            let own_scale = u32::from(self.scale) * count;
            if exponent > 0 {
                return from_big(
                    divide_rounded(&(mantissa * ten.pow(scale as u32)), &ten.pow(own_scale)),
                    scale,
                );
            }
            let sign = if negative { -1 } else { 1 };
            return from_big(
                divide_rounded(&(ten.pow(scale as u32 + own_scale) * sign), &(mantissa * sign)),
                scale,
            );
        }
        let value = exponential_at(&(logarithm(self.absolute()) * BigInt::from(exponent)), scale)?;
        Ok(if negative { value.negate() } else { value })
    }
}

fn power_error(message: &str) -> Error {
    Error::new(SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION, message)
}

/// The cases with NaN: 1 to any power and any to the power 0 are 1.
fn power_special(base: Numeric, exponent: Numeric) -> Option<Numeric> {
    if !base.is_nan() && !exponent.is_nan() {
        return None;
    }
    let one = base == Numeric::ONE || exponent.is_zero();
    Some(if one { Numeric::ONE } else { Numeric::NAN })
}

/// One of the two is infinite.
fn power_infinite(base: Numeric, exponent: Numeric) -> Numeric {
    if exponent.is_zero() {
        return Numeric::ONE;
    }
    if exponent.is_finite() {
        // ±infinity to a finite power.
        if exponent.signum() < 0 {
            return Numeric::ZERO;
        }
        let odd = exponent.remainder(Numeric::new(2, 0)).is_ok_and(|rest| rest.absolute() == Numeric::ONE);
        return if base.signum() < 0 && odd { Numeric::NEGATIVE_INFINITY } else { Numeric::INFINITY };
    }
    if base == Numeric::ONE {
        return Numeric::ONE;
    }
    if base == Numeric::ONE.negate() {
        return Numeric::ONE;
    }
    let grows = base.absolute() > Numeric::ONE;
    if grows == (exponent.signum() > 0) { Numeric::INFINITY } else { Numeric::ZERO }
}

/// Decimal weight of ln(value), estimated as PostgreSQL does; `value` is positive.
fn logarithm_weight(value: Numeric) -> i32 {
    let one_off = Numeric::new(1, 1);
    match value.subtract(Numeric::ONE) {
        Ok(difference) if difference.absolute() <= one_off => {
            if difference.is_zero() {
                return 0;
            }
            let (weight, first) = weight_and_first_digit(difference);
            weight * 4 + (first as f64).log10() as i32
        }
        _ => value.to_f64().ln().abs().log10() as i32,
    }
}

/// The value as fixed point.
fn fixed(value: Numeric) -> BigInt {
    divide_rounded(
        &(BigInt::from(value.mantissa) << FRACTION_BITS),
        &BigInt::from(power_of_ten(u32::from(value.scale))),
    )
}

/// A fixed-point value with `scale` digits.
fn decimal(value: &BigInt, scale: i32) -> Result<Numeric> {
    if scale > 1000 {
        return Err(overflows_format());
    }
    let scaled = value * BigInt::from(10u8).pow(scale.max(0) as u32);
    from_big(divide_rounded(&scaled, &(BigInt::from(1u8) << FRACTION_BITS)), scale)
}

fn decimal_f64(value: &BigInt) -> f64 {
    let whole: BigInt = value >> (FRACTION_BITS - 60);
    i128::try_from(whole)
        .map_or(if value > &BigInt::from(0u8) { f64::INFINITY } else { f64::NEG_INFINITY }, |whole| {
            whole as f64 / (1u64 << 60) as f64
        })
}

/// 2 · atanh(numerator / denominator), for arguments of at most a third.
fn twice_atanh(numerator: &BigInt, denominator: &BigInt) -> BigInt {
    let argument = (numerator << FRACTION_BITS) / denominator;
    let square: BigInt = (&argument * &argument) >> FRACTION_BITS;
    let (mut term, mut sum, mut n) = (argument.clone(), argument, 3u32);
    loop {
        term = (term * &square) >> FRACTION_BITS;
        let part = &term / n;
        if part.bits() <= 1 {
            return sum << 1u8;
        }
        sum += part;
        n += 2;
    }
}

fn logarithm_of_two() -> BigInt {
    twice_atanh(&BigInt::from(1u8), &BigInt::from(3u8))
}

/// ln(value) as fixed point; `value` is positive.
fn logarithm(value: Numeric) -> BigInt {
    if value == Numeric::ONE {
        return BigInt::from(0u8);
    }
    let numerator = BigInt::from(value.mantissa);
    let denominator = BigInt::from(power_of_ten(u32::from(value.scale)));
    // value = f × 2^power with f near 1.
    let power = numerator.bits() as i64 - denominator.bits() as i64;
    let (n, d) = if power >= 0 {
        (numerator, denominator << power as u64)
    } else {
        (numerator << power.unsigned_abs(), denominator)
    };
    twice_atanh(&(&n - &d), &(&n + &d)) + logarithm_of_two() * BigInt::from(power)
}

/// e to a fixed-point power, as a decimal of `scale` digits.
fn exponential_at(argument: &BigInt, scale: i32) -> Result<Numeric> {
    let two = logarithm_of_two();
    let power = i64::try_from(argument / &two).map_err(|_| overflows_format())?;
    if power > 200 {
        return Err(overflows_format());
    }
    let rest = argument - &two * BigInt::from(power);
    let (mut term, mut sum, mut n) = (BigInt::from(1u8) << FRACTION_BITS, BigInt::from(0u8), 0u32);
    while term != BigInt::from(0u8) && term != BigInt::from(-1) {
        sum += &term;
        n += 1;
        term = ((term * &rest) >> FRACTION_BITS) / n;
    }
    let shifted = if power >= 0 { sum << power as u64 } else { sum >> power.unsigned_abs().min(4096) };
    decimal(&shifted, scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Numeric {
        Numeric::parse(text).unwrap()
    }

    #[test]
    fn functions_have_the_digits_of_postgresql() {
        let check = |value: Result<Numeric>, text: &str| assert_eq!(value.unwrap().to_string(), text);
        check(number("2").square_root(), "1.414213562373095");
        check(number("0").square_root(), "0.000000000000000");
        check(number("12345.678").square_root(), "111.1111065555555");
        check(number("1").exponential(), "2.7182818284590452");
        check(number("-2.5").exponential(), "0.08208499862389880");
        check(number("10.5").exponential(), "36315.502674246638");
        check(number("2").natural_logarithm(), "0.6931471805599453");
        check(number("1.0001").natural_logarithm(), "0.00009999500033330834");
        check(number("1").natural_logarithm(), "0.0000000000000000");
        check(number("1000").logarithm_to(number("10")), "3.0000000000000000");
        check(number("64").logarithm_to(number("2")), "6.0000000000000000");
        check(number("2").power(number("10")), "1024.0000000000000000");
        check(number("2").power(number("0.5")), "1.4142135623730950");
        check(number("2").power(number("-2")), "0.2500000000000000");
        check(number("1.0001").power(number("10000")), "2.7181459268252249");
    }

    #[test]
    fn arguments_outside_the_domain_are_named() {
        assert_eq!(number("-1").square_root().unwrap_err().state().as_str(), "2201F");
        assert_eq!(number("0").natural_logarithm().unwrap_err().state().as_str(), "2201E");
        assert_eq!(number("0").power(number("-1")).unwrap_err().state().as_str(), "2201F");
        assert_eq!(number("-8").power(number("0.5")).unwrap_err().state().as_str(), "2201F");
        assert_eq!(number("10000").exponential().unwrap_err().state().as_str(), "22003");
    }
}
