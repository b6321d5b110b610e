//! PostgreSQL's binary send and receive format of every type: big-endian, epoch 2000-01-01.

use crate::error::{Error, Result, SqlState};
use crate::sql::types::calendar::{
    DATE_INFINITY, DATE_NEGATIVE_INFINITY, check_date, check_timestamp, is_infinite_date,
    is_infinite_timestamp,
};
use crate::sql::types::data_type::DataType;
use crate::sql::types::datum::{Datum, DatumRef, Interval, Numeric, NumericKind};
use crate::sql::types::numeric::{overflows_format, power_of_ten};
use crate::sql::types::numeric_arithmetic::from_big;
use crate::sql::types::text::check_utf8;
use num_bigint::BigInt;
use std::sync::Arc;

/// 2000-01-01 in days since 1970-01-01.
const EPOCH_DAYS: i32 = 10_957;
/// 2000-01-01 in microseconds since 1970-01-01.
const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// Appends the binary form of `value` to `out`, without a length; NULL appends nothing.
pub fn encode(value: DatumRef<'_>, data_type: DataType, out: &mut Vec<u8>) {
    let _ = data_type;
    match value {
        DatumRef::Null => {}
        DatumRef::Boolean(v) => out.push(u8::from(v)),
        DatumRef::SmallInt(v) => out.extend_from_slice(&v.to_be_bytes()),
        DatumRef::Integer(v) => out.extend_from_slice(&v.to_be_bytes()),
        DatumRef::BigInt(v) => out.extend_from_slice(&v.to_be_bytes()),
        DatumRef::Real(v) => out.extend_from_slice(&v.to_be_bytes()),
        DatumRef::Double(v) => out.extend_from_slice(&v.to_be_bytes()),
        DatumRef::Numeric(v) => encode_numeric(v, out),
        DatumRef::Text(v) => out.extend_from_slice(v.as_bytes()),
        DatumRef::Bytes(v) => out.extend_from_slice(v),
        DatumRef::Date(v) => {
            let days = if is_infinite_date(v) { v } else { v - EPOCH_DAYS };
            out.extend_from_slice(&days.to_be_bytes());
        }
        DatumRef::Timestamp(v) | DatumRef::TimestampTz(v) => {
            let micros = if is_infinite_timestamp(v) { v } else { v - EPOCH_MICROS };
            out.extend_from_slice(&micros.to_be_bytes());
        }
        DatumRef::Interval(v) => {
            out.extend_from_slice(&v.micros.to_be_bytes());
            out.extend_from_slice(&v.days.to_be_bytes());
            out.extend_from_slice(&v.months.to_be_bytes());
        }
    }
}

/// Groups of four digits, most significant first: count, weight of the first, sign, display scale, groups.
fn encode_numeric(value: Numeric, out: &mut Vec<u8>) {
    let header = |out: &mut Vec<u8>, count: i16, weight: i16, sign: u16, scale: u16| {
        out.extend_from_slice(&count.to_be_bytes());
        out.extend_from_slice(&weight.to_be_bytes());
        out.extend_from_slice(&sign.to_be_bytes());
        out.extend_from_slice(&scale.to_be_bytes());
    };
    let sign = match value.kind {
        NumericKind::NotANumber => 0xC000,
        NumericKind::PositiveInfinity => 0xD000,
        NumericKind::NegativeInfinity => 0xF000,
        NumericKind::Finite if value.mantissa < 0 => 0x4000,
        NumericKind::Finite => 0,
    };
    if !value.is_finite() || value.mantissa == 0 {
        return header(out, 0, 0, sign, value.scale);
    }
    // The point lies between groups: whole and fraction are cut apart.
    let divisor = power_of_ten(u32::from(value.scale)) as u128;
    let (mut whole, mut fraction) =
        (value.mantissa.unsigned_abs() / divisor, value.mantissa.unsigned_abs() % divisor);
    let mut groups = [0u16; 24];
    let mut first = 10;
    while whole > 0 {
        first -= 1;
        groups[first] = (whole % 10_000) as u16;
        whole /= 10_000;
    }
    let (mut end, mut unit) = (10, divisor);
    while fraction > 0 {
        // Four digits at a time from the left; a unit below 10,000 leaves a group with zeros at its end.
        let (group, rest) = if unit >= 10_000 {
            unit /= 10_000;
            (fraction / unit, fraction % unit)
        } else {
            (fraction * (10_000 / unit), 0)
        };
        groups[end] = group as u16;
        end += 1;
        fraction = rest;
    }
    while first < end && groups[first] == 0 {
        first += 1;
    }
    while end > first && groups[end - 1] == 0 {
        end -= 1;
    }
    header(out, (end - first) as i16, 9 - first as i16, sign, value.scale);
    groups[first..end].iter().for_each(|group| out.extend_from_slice(&group.to_be_bytes()));
}

fn wrong(data_type: DataType) -> Error {
    Error::new(
        SqlState::INVALID_BINARY_REPRESENTATION,
        format!("incorrect binary data format for type {}", data_type.name()),
    )
}

/// Reads a value of type `data_type` from its binary form.
/// # Errors
/// `22P03` when the bytes are none, `22021` for text that is not UTF-8, `22003` for a numeric beyond 38 digits,
/// `22008` for dates and times out of range.
pub fn decode(bytes: &[u8], data_type: DataType) -> Result<Datum> {
    fn array<const N: usize>(bytes: &[u8], data_type: DataType) -> Result<[u8; N]> {
        bytes.try_into().map_err(|_| wrong(data_type))
    }
    Ok(match data_type {
        DataType::Boolean => Datum::Boolean(array::<1>(bytes, data_type)?[0] != 0),
        DataType::SmallInt => Datum::SmallInt(i16::from_be_bytes(array(bytes, data_type)?)),
        DataType::Integer => Datum::Integer(i32::from_be_bytes(array(bytes, data_type)?)),
        DataType::BigInt => Datum::BigInt(i64::from_be_bytes(array(bytes, data_type)?)),
        DataType::Real => Datum::Real(f32::from_be_bytes(array(bytes, data_type)?)),
        DataType::Double => Datum::Double(f64::from_be_bytes(array(bytes, data_type)?)),
        DataType::Numeric => Datum::Numeric(decode_numeric(bytes)?),
        DataType::Text | DataType::Varchar | DataType::Char | DataType::Unknown => {
            Datum::text(check_utf8(bytes)?)
        }
        DataType::Bytea => Datum::Bytes(Arc::from(bytes)),
        DataType::Date => {
            let days = i32::from_be_bytes(array(bytes, data_type)?);
            Datum::Date(match days {
                DATE_INFINITY | DATE_NEGATIVE_INFINITY => days,
                _ => check_date(i64::from(days) + i64::from(EPOCH_DAYS))?,
            })
        }
        DataType::Timestamp => Datum::Timestamp(decode_timestamp(array(bytes, data_type)?)?),
        DataType::TimestampTz => Datum::TimestampTz(decode_timestamp(array(bytes, data_type)?)?),
        DataType::Interval => {
            let bytes: [u8; 16] = array(bytes, data_type)?;
            Datum::Interval(Interval {
                micros: i64::from_be_bytes(array(&bytes[..8], data_type)?),
                days: i32::from_be_bytes(array(&bytes[8..12], data_type)?),
                months: i32::from_be_bytes(array(&bytes[12..], data_type)?),
            })
        }
    })
}

fn decode_timestamp(bytes: [u8; 8]) -> Result<i64> {
    let micros = i64::from_be_bytes(bytes);
    if is_infinite_timestamp(micros) {
        return Ok(micros);
    }
    check_timestamp(i128::from(micros) + i128::from(EPOCH_MICROS))
}

fn decode_numeric(bytes: &[u8]) -> Result<Numeric> {
    let wrong = || wrong(DataType::Numeric);
    let word = |at: usize| match bytes.get(at..at + 2) {
        Some(pair) => Ok(u16::from_be_bytes([pair[0], pair[1]])),
        None => Err(wrong()),
    };
    let (count, weight, sign, scale) = (word(0)?, word(2)? as i16, word(4)?, word(6)?);
    if bytes.len() != 8 + 2 * usize::from(count) {
        return Err(wrong());
    }
    match sign {
        0xC000 => return Ok(Numeric::NAN),
        0xD000 => return Ok(Numeric::INFINITY),
        0xF000 => return Ok(Numeric::NEGATIVE_INFINITY),
        0 | 0x4000 => {}
        _ => return Err(wrong()),
    }
    if count > 64 || scale > 0x3FFF {
        return Err(overflows_format());
    }
    let mut mantissa = BigInt::from(0u8);
    for at in 0..usize::from(count) {
        let group = word(8 + 2 * at)?;
        if group >= 10_000 {
            return Err(wrong());
        }
        mantissa = mantissa * 10_000u16 + group;
    }
    // Digits after the point that the groups have; the scale may show fewer or more.
    let fraction = 4 * (i32::from(count) - 1 - i32::from(weight));
    let shift = i32::from(scale) - fraction;
    let ten = BigInt::from(10u8);
    if mantissa != BigInt::from(0u8) && shift > 200 {
        return Err(overflows_format());
    }
    mantissa = if mantissa == BigInt::from(0u8) {
        mantissa
    } else if shift >= 0 {
        mantissa * ten.pow(shift as u32)
    } else {
        mantissa / ten.pow(shift.unsigned_abs())
    };
    from_big(if sign == 0x4000 { -mantissa } else { mantissa }, i32::from(scale))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::random::Random;
    use crate::sql::types::compare::equal;

    #[test]
    fn every_type_reads_back_what_it_wrote() {
        let mut random = Random::new(11);
        for round in 0..3000 {
            let bits = random.next_u64();
            let digits = random.below(38) as u32 + 1;
            let mantissa =
                (i128::from(bits as i64) * i128::from(random.next_u64() as i64)) % power_of_ten(digits);
            let numeric = Numeric::new(mantissa, random.below(39) as u16);
            let values = [
                (DatumRef::Numeric(numeric), DataType::Numeric),
                (DatumRef::BigInt(bits as i64), DataType::BigInt),
                (DatumRef::Double(f64::from_bits(bits)), DataType::Double),
                (DatumRef::Date(bits as i32 / 2), DataType::Date),
                (DatumRef::Timestamp(bits as i64 / 64), DataType::Timestamp),
                (
                    DatumRef::Interval(Interval { months: bits as i32, days: 7, micros: bits as i64 }),
                    DataType::Interval,
                ),
                (DatumRef::Numeric(Numeric::NAN), DataType::Numeric),
                (DatumRef::Text("grün"), DataType::Text),
            ];
            for (value, data_type) in values {
                let mut bytes = Vec::new();
                encode(value, data_type, &mut bytes);
                match decode(&bytes, data_type) {
                    Ok(read) => {
                        assert!(equal(read.as_ref(), value, data_type), "seed 11 round {round}: {value:?}");
                        if let (Datum::Numeric(read), DatumRef::Numeric(value)) = (&read, value) {
                            assert_eq!(read.scale, value.scale);
                        }
                    }
                    Err(error) => {
                        assert_eq!(error.state().as_str(), "22008", "seed 11 round {round}: {value:?}")
                    }
                }
            }
        }
    }

    #[test]
    fn a_numeric_has_the_bytes_of_postgresql() {
        let mut bytes = Vec::new();
        encode(DatumRef::Numeric(Numeric::parse("-12345.678").unwrap()), DataType::Numeric, &mut bytes);
        assert_eq!(bytes, [0, 3, 0, 1, 0x40, 0, 0, 3, 0, 1, 0x09, 0x29, 0x1A, 0x7C]);
    }
}
