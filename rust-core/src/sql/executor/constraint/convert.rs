//! Values of a foreign key in the type of the other side: they compare by value, whatever their types.
//! Knows values alone.

use crate::sql::types::data_type::DataType;
use crate::sql::types::datum::{Datum, DatumRef, Numeric, NumericKind};

/// Microseconds of a day.
const DAY_MICROS: i64 = 86_400_000_000;

/// The value of type `to` that equals `value`; `None`: there is none, so nothing of that type can equal it.
pub(super) fn converted(value: DatumRef<'_>, to: DataType) -> Option<Datum> {
    match value {
        DatumRef::SmallInt(v) => of_integer(i64::from(v), to),
        DatumRef::Integer(v) => of_integer(i64::from(v), to),
        DatumRef::BigInt(v) => of_integer(v, to),
        DatumRef::Real(v) if to == DataType::Real => Some(Datum::Real(v)),
        DatumRef::Real(v) => of_double(f64::from(v), to),
        DatumRef::Double(v) => of_double(v, to),
        DatumRef::Numeric(v) => of_numeric(v, to),
        DatumRef::Date(days) if to == DataType::Timestamp => Some(Datum::Timestamp(match days {
            i32::MIN => i64::MIN,
            i32::MAX => i64::MAX,
            days => i64::from(days).checked_mul(DAY_MICROS)?,
        })),
        DatumRef::Timestamp(micros) if to == DataType::Date => match micros {
            i64::MIN => Some(Datum::Date(i32::MIN)),
            i64::MAX => Some(Datum::Date(i32::MAX)),
            micros if micros % DAY_MICROS == 0 => i32::try_from(micros / DAY_MICROS).ok().map(Datum::Date),
            _ => None,
        },
        same => Some(same.to_owned()),
    }
}

fn of_integer(value: i64, to: DataType) -> Option<Datum> {
    match to {
        DataType::SmallInt => i16::try_from(value).ok().map(Datum::SmallInt),
        DataType::Integer => i32::try_from(value).ok().map(Datum::Integer),
        DataType::Numeric => {
            Some(Datum::Numeric(Numeric { mantissa: value.into(), scale: 0, kind: NumericKind::Finite }))
        }
        DataType::Real => Some(Datum::Real(value as f32)),
        DataType::Double => Some(Datum::Double(value as f64)),
        _ => Some(Datum::BigInt(value)),
    }
}

fn of_double(value: f64, to: DataType) -> Option<Datum> {
    match to {
        DataType::Real => {
            let short = value as f32;
            (f64::from(short) == value || value.is_nan()).then_some(Datum::Real(short))
        }
        DataType::Double => Some(Datum::Double(value)),
        DataType::Numeric => Numeric::from_f64(value).ok().map(Datum::Numeric),
        _ => {
            let whole = value as i64;
            if whole as f64 == value { of_integer(whole, to) } else { None }
        }
    }
}

fn of_numeric(value: Numeric, to: DataType) -> Option<Datum> {
    match to {
        DataType::Numeric => Some(Datum::Numeric(value)),
        DataType::Real => Some(Datum::Real(value.to_f64() as f32)),
        DataType::Double => Some(Datum::Double(value.to_f64())),
        _ => {
            let unit = 10i128.checked_pow(u32::from(value.scale))?;
            if value.kind != NumericKind::Finite || value.mantissa % unit != 0 {
                return None;
            }
            of_integer(i64::try_from(value.mantissa / unit).ok()?, to)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: Datum, to: DataType, expected: Option<Datum>) {
        let found = converted(value.as_ref(), to);
        assert_eq!(format!("{found:?}"), format!("{expected:?}"), "{value:?} as {to:?}");
    }

    #[test]
    fn numbers_keep_their_value_or_have_no_equal() {
        check(Datum::Integer(7), DataType::BigInt, Some(Datum::BigInt(7)));
        check(Datum::BigInt(70_000), DataType::SmallInt, None);
        let number = |mantissa, scale| Datum::Numeric(Numeric { mantissa, scale, kind: NumericKind::Finite });
        check(number(1500, 3), DataType::Integer, None);
        check(number(3000, 3), DataType::Integer, Some(Datum::Integer(3)));
        check(Datum::Integer(3), DataType::Numeric, Some(number(3, 0)));
        check(Datum::Double(2.5), DataType::Integer, None);
        check(Datum::Double(2.0), DataType::Integer, Some(Datum::Integer(2)));
    }

    #[test]
    fn a_date_is_its_midnight() {
        check(Datum::Date(1), DataType::Timestamp, Some(Datum::Timestamp(DAY_MICROS)));
        check(Datum::Timestamp(DAY_MICROS), DataType::Date, Some(Datum::Date(1)));
        check(Datum::Timestamp(1), DataType::Date, None);
        check(Datum::Date(i32::MAX), DataType::Timestamp, Some(Datum::Timestamp(i64::MAX)));
    }
}
