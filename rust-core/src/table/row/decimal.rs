//! How numerics are stored in a row: 64-bit mantissas of one scale, or kind, scale and as many bytes as it takes.
//! Knows numbers and bytes. Knows no rows.

use crate::sql::types::datum::{Numeric, NumericKind};

// Mantissas of numeric(p ≤ 18, s) stay below 10^18, so the ends of the range are free for special values.
const DECIMAL_NAN: i64 = i64::MIN;
const DECIMAL_NEGATIVE_INFINITY: i64 = i64::MIN + 1;
const DECIMAL_POSITIVE_INFINITY: i64 = i64::MAX;

/// Whether a stored 64-bit decimal is NaN or an infinity.
pub(in crate::table) fn is_special_decimal(stored: i64) -> bool {
    matches!(stored, DECIMAL_NAN | DECIMAL_NEGATIVE_INFINITY | DECIMAL_POSITIVE_INFINITY)
}

pub(in crate::table) fn decimal64_value(stored: i64, scale: u16) -> Numeric {
    let kind = match stored {
        DECIMAL_NAN => NumericKind::NotANumber,
        DECIMAL_NEGATIVE_INFINITY => NumericKind::NegativeInfinity,
        DECIMAL_POSITIVE_INFINITY => NumericKind::PositiveInfinity,
        _ => return Numeric { mantissa: i128::from(stored), scale, kind: NumericKind::Finite },
    };
    Numeric { mantissa: 0, scale: 0, kind }
}

pub(super) fn decimal64_of(value: Numeric, scale: u16) -> Option<i64> {
    match value.kind {
        NumericKind::NotANumber => return Some(DECIMAL_NAN),
        NumericKind::NegativeInfinity => return Some(DECIMAL_NEGATIVE_INFINITY),
        NumericKind::PositiveInfinity => return Some(DECIMAL_POSITIVE_INFINITY),
        NumericKind::Finite => {}
    }
    let mut mantissa = value.mantissa;
    if value.scale < scale {
        mantissa = mantissa.checked_mul(10i128.checked_pow(u32::from(scale - value.scale))?)?;
    } else if value.scale > scale {
        let divisor = 10i128.checked_pow(u32::from(value.scale - scale))?;
        if mantissa % divisor != 0 {
            return None;
        }
        mantissa /= divisor;
    }
    i64::try_from(mantissa).ok().filter(|stored| !is_special_decimal(*stored))
}

pub(super) fn numeric_bytes(value: &Numeric) -> usize {
    2 + mantissa_bytes(value.mantissa)
}

/// Bytes that a two's-complement number needs; 0 for 0.
fn mantissa_bytes(mantissa: i128) -> usize {
    if mantissa == 0 {
        return 0;
    }
    let magnitude = if mantissa < 0 { !mantissa } else { mantissa };
    ((128 - magnitude.leading_zeros()) as usize + 1).div_ceil(8)
}

pub(super) fn write_numeric(value: &Numeric, out: &mut Vec<u8>) {
    let kind: u16 = match value.kind {
        NumericKind::Finite => 0,
        NumericKind::NotANumber => 1,
        NumericKind::PositiveInfinity => 2,
        NumericKind::NegativeInfinity => 3,
    };
    out.extend_from_slice(&(kind << 14 | value.scale & 0x3FFF).to_le_bytes());
    out.extend_from_slice(&value.mantissa.to_le_bytes()[..mantissa_bytes(value.mantissa)]);
}

pub(in crate::table) fn read_numeric(bytes: &[u8]) -> Option<Numeric> {
    let (head, digits) = bytes.split_first_chunk::<2>()?;
    let head = u16::from_le_bytes(*head);
    let kind = match head >> 14 {
        0 => NumericKind::Finite,
        1 => NumericKind::NotANumber,
        2 => NumericKind::PositiveInfinity,
        _ => NumericKind::NegativeInfinity,
    };
    if digits.len() > 16 {
        return None;
    }
    let fill = if digits.last().is_some_and(|top| top & 0x80 != 0) { 0xFF } else { 0 };
    let mut full = [fill; 16];
    full[..digits.len()].copy_from_slice(digits);
    Some(Numeric { mantissa: i128::from_le_bytes(full), scale: head & 0x3FFF, kind })
}
