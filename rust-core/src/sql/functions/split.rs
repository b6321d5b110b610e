//! Functions of FROM that cut a text into rows: `string_to_table`, `regexp_split_to_table`.

use crate::batch::builder::ColumnBuilder;
use crate::batch::column::Column;
use crate::error::{Error, Result};
use crate::sql::functions::registry::{TableFunction, TableFunctionRows};
use crate::sql::functions::regular_expression;
use crate::sql::types::data_type::{DataType, SqlType};
use crate::sql::types::datum::Datum;
use std::sync::Arc;

/// The definitions.
pub(super) static TABLE: &[TableFunction] = &[
    TableFunction {
        name: "string_to_table",
        arguments: &[DataType::Text, DataType::Text],
        columns: &[("string_to_table", DataType::Text)],
        strict: false,
        documentation: "The fields between delimiters; a NULL delimiter: every character.",
        start: |arguments, _| fields(arguments),
    },
    TableFunction {
        name: "string_to_table",
        arguments: &[DataType::Text, DataType::Text, DataType::Text],
        columns: &[("string_to_table", DataType::Text)],
        strict: false,
        documentation: "The fields between delimiters; those equal to the third argument are NULL.",
        start: |arguments, _| fields(arguments),
    },
    TableFunction {
        name: "regexp_split_to_table",
        arguments: &[DataType::Text, DataType::Text],
        columns: &[("regexp_split_to_table", DataType::Text)],
        strict: true,
        documentation: "The pieces between matches of a regular expression.",
        start: |arguments, _| pieces(arguments),
    },
    TableFunction {
        name: "regexp_split_to_table",
        arguments: &[DataType::Text, DataType::Text, DataType::Text],
        columns: &[("regexp_split_to_table", DataType::Text)],
        strict: true,
        documentation: "The pieces between matches of a regular expression, with flags.",
        start: |arguments, _| pieces(arguments),
    },
];

/// Texts that wait to be given out.
struct Texts(std::vec::IntoIter<Option<String>>);

impl TableFunctionRows for Texts {
    fn next(&mut self, rows_max: usize) -> Result<Vec<Arc<Column>>> {
        let mut builder = ColumnBuilder::new(SqlType::plain(DataType::Text), rows_max.min(self.0.len()));
        for text in self.0.by_ref().take(rows_max) {
            match text {
                Some(text) => builder.push_str(&text),
                None => builder.push_null(),
            }
        }
        Ok(if builder.is_empty() { Vec::new() } else { vec![Arc::new(builder.finish())] })
    }
}

fn rows(texts: Vec<Option<String>>) -> Box<dyn TableFunctionRows> {
    Box::new(Texts(texts.into_iter()))
}

fn text_of(value: &Datum) -> Result<Option<&str>> {
    match value {
        Datum::Text(text) => Ok(Some(text)),
        Datum::Null => Ok(None),
        _ => Err(Error::internal("a text was to be cut that is none")),
    }
}

fn fields(arguments: &[Datum]) -> Result<Box<dyn TableFunctionRows>> {
    let [text, delimiter, rest @ ..] = arguments else {
        return Err(Error::internal("string_to_table with fewer arguments than two"));
    };
    let Some(text) = text_of(text)? else { return Ok(rows(Vec::new())) };
    let absent = rest.first().map_or(Ok(None), text_of)?;
    let field = |part: &str| (absent != Some(part)).then(|| part.to_owned());
    Ok(rows(match text_of(delimiter)? {
        _ if text.is_empty() => Vec::new(),
        None => text.chars().map(|character| field(character.encode_utf8(&mut [0; 4]))).collect(),
        Some("") => vec![field(text)],
        Some(delimiter) => text.split(delimiter).map(field).collect(),
    }))
}

fn pieces(arguments: &[Datum]) -> Result<Box<dyn TableFunctionRows>> {
    let [text, pattern, rest @ ..] = arguments else {
        return Err(Error::internal("regexp_split_to_table with fewer arguments than two"));
    };
    let letters = rest.first().map_or(Ok(None), text_of)?.unwrap_or("");
    match (text_of(text)?, text_of(pattern)?) {
        (Some(text), Some(pattern)) => {
            let pieces = regular_expression::split(text, pattern, letters)?;
            Ok(rows(pieces.into_iter().map(Some).collect()))
        }
        _ => Ok(rows(Vec::new())),
    }
}
