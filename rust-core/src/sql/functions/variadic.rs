//! Functions that take NULL arguments or any number of them: concat, concat_ws, format, quote_nullable; and those
//! that ask the session: version, current_setting, pg_backend_pid.

use crate::batch::builder::ColumnBuilder;
use crate::batch::column::{Column, ColumnForm};
use crate::common::limits;
use crate::error::{Error, Result, SqlState};
use crate::sql::functions::kernel::{self, Bool, Int4, Nullable, Text, function, text_function};
use crate::sql::functions::long_values::LongValues;
use crate::sql::functions::registry::{Environment, RowSet, ScalarFunction, Volatility};
use crate::sql::functions::text::{invalid_parameter, quote_identifier, quote_literal, too_long};
use crate::sql::types::data_type::{DataType, SqlType};
use crate::sql::types::datum::{Datum, DatumRef};
use std::sync::Arc;

/// Writes the result of one row; `false`: NULL.
type Write = fn(&[DatumRef<'_>], &mut String) -> Result<bool>;

fn scalar(write: Write, datums: &[DatumRef<'_>]) -> Result<Datum> {
    let mut out = String::new();
    Ok(if write(datums, &mut out)? { Datum::Text(Arc::from(out)) } else { Datum::Null })
}

fn vector(
    write: Write,
    columns: &[Arc<Column>],
    rows: RowSet<'_>,
    environment: &dyn Environment,
) -> Result<Column> {
    let count = kernel::row_count(rows);
    let constant =
        !columns.is_empty() && columns.iter().all(|column| column.is_constant()) && !kernel::no_rows(rows);
    let (slots, wanted) = if constant { (1, RowSet::All(1)) } else { (count, rows) };
    let mut builder = ColumnBuilder::new(SqlType::plain(DataType::Text), slots);
    let mut datums = Vec::with_capacity(columns.len());
    let mut out = String::new();
    let mut long = LongValues::new(environment);
    kernel::for_rows(wanted, None, |row| {
        datums.clear();
        datums.extend(columns.iter().map(|column| column.datum(row)));
        out.clear();
        let present = write(&datums, &mut out)?;
        builder.push_nulls(row - builder.len());
        if present {
            long.add(out.len())?;
            builder.push_str(&out)
        } else {
            builder.push_null()
        }
        Ok(())
    })?;
    builder.push_nulls(slots - builder.len());
    let mut column = builder.finish();
    column.data = long.held_by(column.data)?;
    Ok(if constant { Column { form: ColumnForm::Constant, rows: count, ..column } } else { column })
}

fn append(value: &str, out: &mut String) -> Result<()> {
    if out.len() + value.len() > limits::VALUE_BYTES_MAX {
        return Err(too_long());
    }
    out.push_str(value);
    Ok(())
}

fn concat(datums: &[DatumRef<'_>], out: &mut String) -> Result<bool> {
    for datum in datums {
        if let DatumRef::Text(text) = datum {
            append(text, out)?;
        }
    }
    Ok(true)
}

fn concat_with(datums: &[DatumRef<'_>], out: &mut String) -> Result<bool> {
    let Some(DatumRef::Text(separator)) = datums.first() else { return Ok(false) };
    let mut first = true;
    for datum in &datums[1..] {
        if let DatumRef::Text(text) = datum {
            if !first {
                append(separator, out)?;
            }
            append(text, out)?;
            first = false;
        }
    }
    Ok(true)
}

fn quote_nullable(datums: &[DatumRef<'_>], out: &mut String) -> Result<bool> {
    match datums.first() {
        Some(DatumRef::Text(text)) => quote_literal(text, out),
        _ => out.push_str("NULL"),
    }
    Ok(true)
}

/// One `%[position$][-][width]type` of a format.
struct Specifier {
    position: Option<usize>,
    left: bool,
    width: Width,
    kind: char,
}

enum Width {
    Fixed(i64),
    Argument(Option<usize>),
}

fn unterminated() -> Error {
    invalid_parameter("unterminated format() type specifier").hint("For a single \"%\" use \"%%\".")
}

fn too_few() -> Error {
    invalid_parameter("too few arguments for format()")
}

fn digits(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Option<i64>> {
    let mut number = None;
    while let Some(digit) = characters.peek().and_then(|character| character.to_digit(10)) {
        let next = number.unwrap_or(0i64) * 10 + i64::from(digit);
        if next > i64::from(i32::MAX) {
            return Err(Error::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "number is out of range"));
        }
        number = Some(next);
        characters.next();
    }
    Ok(number)
}

fn argument_number(number: i64) -> Result<usize> {
    if number == 0 {
        return Err(invalid_parameter("format specifies argument 0, but arguments are numbered from 1"));
    }
    Ok(number as usize)
}

fn specifier(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Specifier> {
    let mut position = None;
    let mut width = Width::Fixed(0);
    let mut number = digits(characters)?;
    if let (Some(found), Some('$')) = (number, characters.peek()) {
        position = Some(argument_number(found)?);
        characters.next();
        number = None;
    }
    let mut left = false;
    if number.is_none() {
        while characters.next_if_eq(&'-').is_some() {
            left = true;
        }
        if characters.next_if_eq(&'*').is_some() {
            let at = digits(characters)?;
            width = match at {
                Some(at) => {
                    characters
                        .next_if_eq(&'$')
                        .ok_or_else(|| invalid_parameter("width argument position must be ended by \"$\""))?;
                    Width::Argument(Some(argument_number(at)?))
                }
                None => Width::Argument(None),
            };
        } else {
            number = digits(characters)?;
        }
    }
    if let Some(number) = number {
        width = Width::Fixed(number);
    }
    let kind = characters.next().ok_or_else(unterminated)?;
    Ok(Specifier { position, left, width, kind })
}

fn format(datums: &[DatumRef<'_>], out: &mut String) -> Result<bool> {
    let Some(DatumRef::Text(pattern)) = datums.first() else { return Ok(false) };
    let mut next = 1;
    let mut take = |position: Option<usize>| -> Result<DatumRef<'_>> {
        let at = position.unwrap_or(next);
        next = at + 1;
        datums.get(at).copied().ok_or_else(too_few)
    };
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        if character != '%' {
            out.push(character);
            continue;
        }
        if characters.next_if_eq(&'%').is_some() {
            out.push('%');
            continue;
        }
        let Specifier { position, mut left, width, kind } = specifier(&mut characters)?;
        let width = match width {
            Width::Fixed(width) => width,
            Width::Argument(at) => match take(at)? {
                DatumRef::Text(text) => text.trim().parse::<i32>().map(i64::from).map_err(|_| {
                    let message = format!("invalid input syntax for type integer: \"{text}\"");
                    Error::new(SqlState::INVALID_TEXT_REPRESENTATION, message)
                })?,
                _ => 0,
            },
        };
        left |= width < 0;
        let value = take(position)?;
        let mut field = String::new();
        match (kind, value) {
            ('s', DatumRef::Text(text)) => field.push_str(text),
            ('s', _) => {}
            ('I', DatumRef::Text(text)) => quote_identifier(text, &mut field),
            ('I', _) => {
                return Err(Error::new(
                    SqlState::NULL_VALUE_NOT_ALLOWED,
                    "null values cannot be formatted as an SQL identifier",
                ));
            }
            ('L', DatumRef::Text(text)) => quote_literal(text, &mut field),
            ('L', _) => field.push_str("NULL"),
            (other, _) => {
                let message = format!("unrecognized format() type specifier \"{other}\"");
                return Err(invalid_parameter(message).hint("For a single \"%\" use \"%%\"."));
            }
        }
        let padding = (width.unsigned_abs() as usize).saturating_sub(field.chars().count());
        if out.len() + padding > limits::VALUE_BYTES_MAX {
            return Err(too_long());
        }
        let blanks = std::iter::repeat_n(' ', padding);
        if left {
            append(&field, out)?;
            out.extend(blanks);
        } else {
            out.extend(blanks);
            append(&field, out)?;
        }
    }
    Ok(true)
}

macro_rules! lenient {
    ($name:literal, $arguments:expr, $variadic:literal, $documentation:literal, $write:expr) => {
        ScalarFunction {
            name: $name,
            arguments: $arguments,
            variadic: $variadic,
            returns: DataType::Text,
            strict: false,
            volatility: Volatility::Immutable,
            documentation: $documentation,
            vector: |columns, rows, environment| vector($write, columns, rows, environment),
            scalar: |datums, _| scalar($write, datums),
        }
    };
}

fn setting(name: &str, environment: &dyn Environment) -> Result<String> {
    environment.setting(&name.to_ascii_lowercase()).ok_or_else(|| {
        Error::new(SqlState::UNDEFINED_OBJECT, format!("unrecognized configuration parameter \"{name}\""))
    })
}

static FUNCTIONS: &[ScalarFunction] = &[
    lenient!("concat", &[DataType::Text], true, "texts one after the other, without the NULLs", concat),
    lenient!(
        "concat_ws",
        &[DataType::Text, DataType::Text],
        true,
        "texts with a separator between, without the NULLs",
        concat_with
    ),
    lenient!("format", &[DataType::Text], false, "a text with %s, %I, %L replaced", format),
    lenient!("format", &[DataType::Text, DataType::Text], true, "a text with %s, %I, %L replaced", format),
    lenient!("quote_nullable", &[DataType::Text], false, "as an SQL string literal, or NULL", quote_nullable),
    text_function!("current_schema", (), Stable, "the schema that new tables are made in", |(), _, out| {
        out.push_str("public");
        Ok(true)
    }),
    text_function!("version", (), Stable, "the engine's version", |(), _, out| {
        out.push_str("PostgreSQL 15 compatible: Lumos ");
        out.push_str(env!("CARGO_PKG_VERSION"));
        Ok(true)
    }),
    text_function!(
        "current_setting",
        (Text),
        Stable,
        "the value of a setting",
        |(name,), environment, out| {
            out.push_str(&setting(name, environment)?);
            Ok(true)
        }
    ),
    function!("current_setting", (Text, Bool) -> Nullable<Text>, Stable, "the value of a setting; NULL when it is missing and may be", |(name, missing_ok), environment| {
        match setting(name, environment) {
            Ok(value) => Ok(Some(value)),
            Err(_) if missing_ok => Ok(None),
            Err(error) => Err(error),
        }
    }),
    function!("pg_backend_pid", () -> Int4, Stable, "the connection's number", |(), environment| Ok(environment.session_id() as i32)),
];

pub(super) static TABLES: &[&[ScalarFunction]] = &[FUNCTIONS];
