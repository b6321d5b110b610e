//! Types as written to types as stored.

use crate::error::{Error, Result, SqlState};
use crate::sql::ast::expression::{ExprKind, Literal};
use crate::sql::ast::{IntervalField, IntervalFields, TypeName};
use crate::sql::types::data_type::{DataType, SqlType};
use crate::sql::types::interval_range::{IntervalRange, RangeField};

/// Characters of the longest `varchar(n)` and `char(n)`, as in PostgreSQL.
const CHARACTERS_MAX: i64 = 10_485_760;
/// Digits of the longest `numeric(p, s)`.
const NUMERIC_PRECISION_MAX: i64 = 38;
/// Digits of a fraction of a second.
const TIMESTAMP_PRECISION_MAX: i64 = 6;

/// Types of PostgreSQL that Lumos does not have (yet): named, so that the message can say so.
const KNOWN_ABSENT: &[&str] = &[
    "bit",
    "bit varying",
    "box",
    "char",
    "cidr",
    "circle",
    "hstore",
    "inet",
    "int4range",
    "int8range",
    "json",
    "jsonb",
    "jsonpath",
    "line",
    "lseg",
    "macaddr",
    "macaddr8",
    "money",
    "name",
    "numrange",
    "oid",
    "path",
    "pg_lsn",
    "point",
    "polygon",
    "regclass",
    "regproc",
    "regtype",
    "time",
    "timetz",
    "tsquery",
    "tsvector",
    "daterange",
    "tsrange",
    "tstzrange",
    "uuid",
    "varbit",
    "vector",
    "xml",
    "record",
    "void",
    "tid",
    "xid",
    "cid",
];

/// The type of that name, also for functions that are named like a type.
pub(super) fn by_name(name: &str) -> Option<DataType> {
    Some(match name {
        "bool" | "boolean" => DataType::Boolean,
        "int2" | "smallint" => DataType::SmallInt,
        "int4" | "int" | "integer" => DataType::Integer,
        "int8" | "bigint" => DataType::BigInt,
        "float4" | "real" => DataType::Real,
        "float8" => DataType::Double,
        "numeric" | "decimal" => DataType::Numeric,
        "text" => DataType::Text,
        "varchar" => DataType::Varchar,
        "bpchar" | "character" => DataType::Char,
        "bytea" => DataType::Bytea,
        "date" => DataType::Date,
        "timestamp" => DataType::Timestamp,
        "timestamptz" => DataType::TimestampTz,
        "interval" => DataType::Interval,
        _ => return None,
    })
}

/// The type of a column that is declared `serial` or the like.
/// # Errors
/// `0A000` for an array of them.
pub(super) fn serial(type_name: &TypeName<'_>) -> Result<Option<DataType>> {
    let data_type = match type_name.name.object().text {
        _ if type_name.name.parts.len() > 1 => return Ok(None),
        "smallserial" | "serial2" => DataType::SmallInt,
        "serial" | "serial4" => DataType::Integer,
        "bigserial" | "serial8" => DataType::BigInt,
        _ => return Ok(None),
    };
    if type_name.array_dimensions > 0 {
        return Err(Error::not_supported("an array of serial").at(type_name.span.position()));
    }
    Ok(Some(data_type))
}

/// Resolves a type with its modifier.
/// # Errors
/// `42704` for a type that does not exist, `0A000` for one that Lumos lacks, `22023` for a bad modifier.
pub(super) fn resolve(type_name: &TypeName<'_>) -> Result<SqlType> {
    let position = type_name.span.position();
    if type_name.array_dimensions > 0 {
        return Err(Error::not_supported("an array type").at(position));
    }
    let name = type_name.name.object().text;
    let in_system_schema = type_name.name.schema().is_none_or(|schema| schema.text == "pg_catalog");
    let Some(data_type) = by_name(name).filter(|_| in_system_schema) else {
        if KNOWN_ABSENT.contains(&name) {
            return Err(Error::not_supported(format!("type {name}")).at(position));
        }
        let message = format!("type \"{}\" does not exist", type_name.name);
        let candidates = DataType::ALL.iter().skip(1).map(|data_type| data_type.name());
        return Err(Error::new(SqlState::UNDEFINED_OBJECT, message)
            .hint_near_miss(name, candidates)
            .at(position));
    };
    let modifier = modifier(type_name, data_type)?;
    if let Some(IntervalFields { from, to }) = type_name.interval
        && data_type == DataType::Interval
    {
        let precision = (modifier >= 0).then_some(modifier);
        let modifier = IntervalRange::modifier(range_field(from), range_field(to), precision);
        return Ok(SqlType { data_type, modifier });
    }
    Ok(SqlType { data_type, modifier })
}

fn range_field(field: IntervalField) -> RangeField {
    match field {
        IntervalField::Year => RangeField::Year,
        IntervalField::Month => RangeField::Month,
        IntervalField::Day => RangeField::Day,
        IntervalField::Hour => RangeField::Hour,
        IntervalField::Minute => RangeField::Minute,
        IntervalField::Second => RangeField::Second,
    }
}

fn modifier(type_name: &TypeName<'_>, data_type: DataType) -> Result<i32> {
    let mut numbers = [0i64; 2];
    let count = type_name.modifiers.len();
    if count == 0 {
        return Ok(-1);
    }
    let position = type_name.modifiers[0].span.position();
    let invalid = |message: String| Error::new(SqlState::INVALID_PARAMETER_VALUE, message).at(position);
    for (index, modifier) in type_name.modifiers.iter().take(2).enumerate() {
        let Some(number) = integer_of(&modifier.kind) else {
            return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, "type modifiers must be integers")
                .at(modifier.span.position()));
        };
        numbers[index] = number;
    }
    let [first, second] = numbers;
    match data_type {
        DataType::Numeric if count <= 2 => {
            if !(1..=1000).contains(&first) {
                return Err(invalid(format!("NUMERIC precision {first} must be between 1 and 1000")));
            }
            if !(-1000..=1000).contains(&second) {
                return Err(invalid(format!("NUMERIC scale {second} must be between -1000 and 1000")));
            }
            if first > NUMERIC_PRECISION_MAX {
                return Err(Error::not_supported(format!("numeric precision above {NUMERIC_PRECISION_MAX}"))
                    .at(position));
            }
            if !(0..=NUMERIC_PRECISION_MAX).contains(&second) {
                let what = format!("a numeric scale outside 0 to {NUMERIC_PRECISION_MAX}");
                return Err(Error::not_supported(what).at(position));
            }
            Ok(((first as i32) << 16 | second as i32) + 4)
        }
        DataType::Varchar | DataType::Char if count == 1 => {
            let name = if data_type == DataType::Varchar { "varchar" } else { "char" };
            if first < 1 {
                return Err(invalid(format!("length for type {name} must be at least 1")));
            }
            if first > CHARACTERS_MAX {
                return Err(invalid(format!("length for type {name} cannot exceed {CHARACTERS_MAX}")));
            }
            Ok(first as i32 + 4)
        }
        DataType::Timestamp | DataType::TimestampTz | DataType::Interval if count == 1 => {
            if first < 0 {
                return Err(invalid(format!("{} precision must not be negative", data_type.name())));
            }
            Ok(first.min(TIMESTAMP_PRECISION_MAX) as i32)
        }
        _ if count > 2 || by_modifier(data_type) => {
            Err(invalid(format!("invalid {} type modifier", data_type.name())))
        }
        _ => Err(Error::new(
            SqlState::SYNTAX_ERROR,
            format!("type modifier is not allowed for type \"{}\"", type_name.name.object().text),
        )
        .at(type_name.span.position())),
    }
}

fn by_modifier(data_type: DataType) -> bool {
    matches!(
        data_type,
        DataType::Numeric
            | DataType::Varchar
            | DataType::Char
            | DataType::Timestamp
            | DataType::TimestampTz
            | DataType::Interval
    )
}

/// An integer literal, with its sign.
fn integer_of(kind: &ExprKind<'_>) -> Option<i64> {
    match kind {
        ExprKind::Literal(Literal::Integer(number)) => Some(*number),
        ExprKind::Unary { operator, input } if operator.symbol == "-" => match input.kind {
            ExprKind::Literal(Literal::Integer(number)) => number.checked_neg(),
            _ => None,
        },
        _ => None,
    }
}
