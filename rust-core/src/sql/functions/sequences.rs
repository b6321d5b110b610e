//! Sequences: nextval, currval, lastval, setval, pg_get_serial_sequence, and the row of `SELECT * FROM sequence`.
//! Knows names as text and numbers. What a sequence is, and whose values are remembered, the session knows.

use crate::batch::builder::ColumnBuilder;
use crate::batch::column::Column;
use crate::common::limits::IDENTIFIER_BYTES_MAX;
use crate::error::{Error, Result, SqlState};
use crate::sql::functions::kernel::{self, Bool, Int8, Nullable, Text, function};
use crate::sql::functions::lines::{Lines, column, numbers};
use crate::sql::functions::registry::{Environment, RowSet, ScalarFunction, TableFunction, Volatility};
use crate::sql::types::data_type::{DataType, SqlType};
use crate::sql::types::datum::{Datum, DatumRef};
use std::sync::Arc;

/// The sequences of a session: what functions may do with them. Sequences go by their numbers.
pub trait Sequences {
    /// The number of the sequence `name`, in the schema or, without one, on the search path.
    /// # Errors
    /// `42P01`; `42809` for another kind of relation.
    fn find(&self, schema: Option<&str>, name: &str) -> Result<i64>;
    /// Draws a value for each of `values`.
    /// # Errors
    /// `2200H`, `25006`, `42P01`.
    fn next(&self, sequence: i64, values: &mut [i64]) -> Result<()>;
    /// The value that the session drew last.
    /// # Errors
    /// `55000` before the first, `42P01`.
    fn current(&self, sequence: i64) -> Result<i64>;
    /// The value that the session drew last of any sequence.
    /// # Errors
    /// `55000` before the first.
    fn last(&self) -> Result<i64>;
    /// Says where the sequence stands.
    /// # Errors
    /// `22003`, `25006`, `42P01`.
    fn set(&self, sequence: i64, value: i64, is_called: bool) -> Result<()>;
    /// The schema and the name of the sequence that goes with a table's column.
    /// # Errors
    /// `42P01`, `42703`.
    fn serial(&self, schema: Option<&str>, table: &str, column: &str) -> Result<Option<(String, String)>>;
    /// The last value, the values until the log is written again, whether the last value was drawn.
    /// # Errors
    /// `42P01`.
    fn state(&self, sequence: i64) -> Result<(i64, i64, bool)>;
}

fn sequences(environment: &dyn Environment) -> Result<&dyn Sequences> {
    environment.sequences().ok_or_else(|| Error::internal("a sequence is used without a session"))
}

fn invalid_name() -> Error {
    Error::new(SqlState::INVALID_NAME, "invalid name syntax")
}

/// A relation's name as functions take it: `name`, `schema.name`, each part plain (and then in lower case) or in
/// double quotes.
/// # Errors
/// `42602`; `0A000` with more parts.
pub fn parse_relation_name(text: &str) -> Result<(Option<String>, String)> {
    let mut parts: Vec<String> = Vec::new();
    let mut rest = text.trim();
    loop {
        let mut part = String::new();
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut inside = quoted;
            loop {
                let end = inside.find('"').ok_or_else(invalid_name)?;
                part.push_str(&inside[..end]);
                inside = &inside[end + 1..];
                let Some(more) = inside.strip_prefix('"') else { break };
                part.push('"');
                inside = more;
            }
            rest = inside;
        } else {
            let end = rest.find(|c: char| c == '.' || c.is_whitespace()).unwrap_or(rest.len());
            let starts = |c: char| c.is_ascii_alphabetic() || c == '_' || !c.is_ascii();
            if !rest[..end].starts_with(starts) {
                return Err(invalid_name());
            }
            part.push_str(&rest[..end].to_ascii_lowercase());
            rest = &rest[end..];
        }
        if part.is_empty() {
            return Err(invalid_name());
        }
        let mut cut = part.len().min(IDENTIFIER_BYTES_MAX);
        while !part.is_char_boundary(cut) {
            cut -= 1;
        }
        part.truncate(cut);
        parts.push(part);
        rest = rest.trim_start();
        if rest.is_empty() {
            break;
        }
        rest = rest.strip_prefix('.').ok_or_else(invalid_name)?.trim_start();
    }
    let name = parts.pop().unwrap_or_default();
    if parts.len() > 2 {
        let message = format!("improper qualified name (too many dotted names): {text}");
        return Err(Error::new(SqlState::SYNTAX_ERROR, message));
    }
    if parts.len() > 1 {
        return Err(Error::not_supported("a reference to another database"));
    }
    Ok((parts.pop(), name))
}

fn by_name(text: &str, environment: &dyn Environment) -> Result<i64> {
    let (schema, name) = parse_relation_name(text)?;
    sequences(environment)?.find(schema.as_deref(), &name)
}

fn next_one(sequence: i64, environment: &dyn Environment) -> Result<i64> {
    let mut value = [0];
    sequences(environment)?.next(sequence, &mut value)?;
    Ok(value[0])
}

/// Draws all values of a batch at once where they are of one sequence.
fn next_of_rows(columns: &[Arc<Column>], rows: RowSet<'_>, environment: &dyn Environment) -> Result<Column> {
    let count = kernel::row_count(rows);
    let mut builder = ColumnBuilder::new(SqlType::plain(DataType::BigInt), count);
    let [sequence] = columns else { return Err(Error::internal("nextval has one argument")) };
    if sequence.is_constant() && !kernel::no_rows(rows) {
        let number = match sequence.datum(0) {
            DatumRef::BigInt(number) => number,
            DatumRef::Text(text) => by_name(text, environment)?,
            _ => return Ok(Column::null(DataType::BigInt, count)),
        };
        let wanted = match rows {
            RowSet::All(count) => count,
            RowSet::Some(selected, _) => selected.len(),
        };
        let mut values = vec![0; wanted];
        sequences(environment)?.next(number, &mut values)?;
        let mut values = values.into_iter();
        kernel::for_rows(rows, None, |row| {
            builder.push_nulls(row - builder.len());
            builder.push_datum(values.next().map_or(DatumRef::Null, DatumRef::BigInt));
            Ok(())
        })?;
    } else {
        kernel::for_rows(rows, None, |row| {
            builder.push_nulls(row - builder.len());
            builder.push_datum(match sequence.datum(row) {
                DatumRef::BigInt(number) => DatumRef::BigInt(next_one(number, environment)?),
                DatumRef::Text(text) => DatumRef::BigInt(next_one(by_name(text, environment)?, environment)?),
                _ => DatumRef::Null,
            });
            Ok(())
        })?;
    }
    builder.push_nulls(count - builder.len());
    Ok(builder.finish())
}

fn next_of_one(datums: &[DatumRef<'_>], environment: &dyn Environment) -> Result<Datum> {
    let number = match datums {
        [DatumRef::BigInt(number)] => *number,
        [DatumRef::Text(text)] => by_name(text, environment)?,
        _ => return Ok(Datum::Null),
    };
    Ok(Datum::BigInt(next_one(number, environment)?))
}

const fn next_value(arguments: &'static [DataType]) -> ScalarFunction {
    ScalarFunction {
        name: "nextval",
        arguments,
        variadic: false,
        returns: DataType::BigInt,
        strict: true,
        volatility: Volatility::Volatile,
        documentation: "draws the next value of a sequence",
        vector: next_of_rows,
        scalar: next_of_one,
    }
}

fn set(sequence: i64, value: i64, is_called: bool, environment: &dyn Environment) -> Result<i64> {
    sequences(environment)?.set(sequence, value, is_called)?;
    Ok(value)
}

fn serial(table: &str, column: &str, environment: &dyn Environment) -> Result<Option<String>> {
    let (schema, table) = parse_relation_name(table)?;
    let Some((schema, name)) = sequences(environment)?.serial(schema.as_deref(), &table, column)? else {
        return Ok(None);
    };
    let mut text = String::new();
    super::quote_identifier(&schema, &mut text);
    text.push('.');
    super::quote_identifier(&name, &mut text);
    Ok(Some(text))
}

static FUNCTIONS: &[ScalarFunction] = &[
    next_value(&[DataType::Text]),
    next_value(&[DataType::BigInt]),
    function!("currval", (Text) -> Int8, Volatile, "the value of a sequence that this session drew last", |(name,), environment| sequences(environment)?.current(by_name(name, environment)?)),
    function!("currval", (Int8) -> Int8, Volatile, "the value of a sequence that this session drew last", |(sequence,), environment| sequences(environment)?.current(sequence)),
    function!("lastval", () -> Int8, Volatile, "the value that this session drew last of any sequence", |(), environment| sequences(environment)?.last()),
    function!("setval", (Text, Int8) -> Int8, Volatile, "says which value of a sequence was drawn last", |(name, value), environment| set(by_name(name, environment)?, value, true, environment)),
    function!("setval", (Int8, Int8) -> Int8, Volatile, "says which value of a sequence was drawn last", |(sequence, value), environment| set(sequence, value, true, environment)),
    function!("setval", (Text, Int8, Bool) -> Int8, Volatile, "says which value of a sequence was drawn last, or comes next", |(name, value, is_called), environment| set(by_name(name, environment)?, value, is_called, environment)),
    function!("setval", (Int8, Int8, Bool) -> Int8, Volatile, "says which value of a sequence was drawn last, or comes next", |(sequence, value, is_called), environment| set(sequence, value, is_called, environment)),
    function!("pg_get_serial_sequence", (Text, Text) -> Nullable<Text>, Stable, "the sequence behind a serial or identity column", |(table, column), environment| serial(table, column, environment)),
];

pub(super) static TABLES: &[&[ScalarFunction]] = &[FUNCTIONS];

/// The name of the function behind `SELECT … FROM sequence`; its argument is the sequence's number.
pub const STATE_FUNCTION: &str = "lumos_sequence_state";

pub(super) static TABLE: &[TableFunction] = &[TableFunction {
    name: STATE_FUNCTION,
    arguments: &[DataType::BigInt],
    columns: &[
        ("last_value", DataType::BigInt),
        ("log_cnt", DataType::BigInt),
        ("is_called", DataType::Boolean),
    ],
    strict: true,
    documentation: "Where a sequence, given by its number, stands: what SELECT … FROM sequence gives.",
    start: |arguments, environment| {
        let mut lines = Vec::new();
        if let [Datum::BigInt(number)] = arguments {
            lines.push(sequences(environment)?.state(*number)?);
        }
        Ok(Box::new(Lines::new(lines, state_columns)))
    },
}];

fn state_columns(lines: &[(i64, i64, bool)]) -> Vec<Arc<Column>> {
    vec![
        numbers(lines, |line| Some(line.0)),
        numbers(lines, |line| Some(line.1)),
        column(lines, DataType::Boolean, |line| DatumRef::Boolean(line.2)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_identifiers_are() {
        let read = |text: &str| parse_relation_name(text).unwrap();
        assert_eq!(read("Seq"), (None, String::from("seq")));
        assert_eq!(read(" public . \"S\"\"q\" "), (Some(String::from("public")), String::from("S\"q")));
        for bad in ["", "a.", ".a", "\"a", "\"\"", "1a", "a b", "a\"b\" c"] {
            assert!(parse_relation_name(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_relation_name("a.b.c").unwrap_err().state(), SqlState::FEATURE_NOT_SUPPORTED);
    }
}
