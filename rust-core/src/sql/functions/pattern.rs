//! LIKE and its variants. A pattern is cut at `%` into segments once; a constant pattern once a batch.
//! Knows text. Regular expressions are elsewhere.

use crate::batch::column::{Column, ColumnData, ColumnForm};
use crate::batch::validity::Bitmap;
use crate::error::{Error, Result, SqlState};
use crate::sql::functions::kernel::{self, Argument, Shape, Text, text_function};
use crate::sql::functions::registry::{RowSet, ScalarFunction, Volatility};
use crate::sql::types::data_type::DataType;
use crate::sql::types::datum::{Datum, DatumRef};
use std::sync::Arc;

/// Text between two `%`: characters, or `None` for `_`.
#[derive(Debug)]
struct Segment {
    characters: Vec<Option<char>>,
    /// The bytes, when there is no `_`.
    literal: Option<String>,
}

impl Segment {
    fn new(characters: Vec<Option<char>>) -> Segment {
        let literal = characters.iter().copied().collect();
        Segment { characters, literal }
    }

    /// What is left of `text` after the segment at its start.
    fn strip<'a>(&self, text: &'a str) -> Option<&'a str> {
        if let Some(literal) = &self.literal {
            return text.strip_prefix(literal.as_str());
        }
        let mut rest = text.chars();
        for wanted in &self.characters {
            let character = rest.next()?;
            if wanted.is_some_and(|wanted| wanted != character) {
                return None;
            }
        }
        Some(rest.as_str())
    }

    /// What is left of `text` after the first place where the segment stands.
    fn find<'a>(&self, text: &'a str) -> Option<&'a str> {
        if let Some(literal) = &self.literal {
            let at = memchr::memmem::find(text.as_bytes(), literal.as_bytes())?;
            return Some(&text[at + literal.len()..]);
        }
        let mut start = text;
        loop {
            if let Some(rest) = self.strip(start) {
                return Some(rest);
            }
            let mut characters = start.chars();
            characters.next()?;
            start = characters.as_str();
        }
    }

    /// Whether `text` ends with the segment.
    fn ends(&self, text: &str) -> bool {
        if let Some(literal) = &self.literal {
            return text.ends_with(literal.as_str());
        }
        let mut rest = text.chars();
        self.characters.iter().rev().all(|wanted| match (rest.next_back(), wanted) {
            (Some(character), Some(wanted)) => character == *wanted,
            (Some(_), None) => true,
            (None, _) => false,
        })
    }
}

/// A LIKE pattern ready to match. The escape character is the backslash.
#[derive(Debug)]
pub(super) struct LikePattern {
    segments: Vec<Segment>,
    ignore_case: bool,
}

impl LikePattern {
    pub(super) fn new(pattern: &str, ignore_case: bool) -> Result<LikePattern> {
        let lowered;
        let pattern = if ignore_case {
            lowered = pattern.to_lowercase();
            &lowered
        } else {
            pattern
        };
        let mut segments = Vec::new();
        let mut current = Vec::new();
        let mut characters = pattern.chars();
        while let Some(character) = characters.next() {
            match character {
                '%' => segments.push(Segment::new(std::mem::take(&mut current))),
                '_' => current.push(None),
                '\\' => match characters.next() {
                    Some(escaped) => current.push(Some(escaped)),
                    None => {
                        let message = "LIKE pattern must not end with escape character";
                        return Err(Error::new(SqlState::INVALID_ESCAPE_SEQUENCE, message));
                    }
                },
                character => current.push(Some(character)),
            }
        }
        segments.push(Segment::new(current));
        Ok(LikePattern { segments, ignore_case })
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        if self.ignore_case {
            return self.matches_folded(&text.to_lowercase());
        }
        self.matches_folded(text)
    }

    fn matches_folded(&self, text: &str) -> bool {
        let [first, middle @ .., last] = self.segments.as_slice() else {
            return self.segments[0].strip(text).is_some_and(str::is_empty);
        };
        let Some(mut rest) = first.strip(text) else { return false };
        for segment in middle {
            match segment.find(rest) {
                Some(after) => rest = after,
                None => return false,
            }
        }
        last.ends(rest)
    }
}

/// What LIKE variant.
#[derive(Clone, Copy)]
struct Variant {
    negated: bool,
    ignore_case: bool,
}

fn like_column(columns: &[Arc<Column>], rows: RowSet<'_>, variant: Variant) -> Result<Column> {
    let count = kernel::row_count(rows);
    let (validity, form, wanted) = match kernel::shape(columns) {
        Shape::Null => return Ok(Column::null(DataType::Boolean, count)),
        Shape::Constant => (None, ColumnForm::Constant, RowSet::All(1)),
        Shape::Flat(validity) => (validity, ColumnForm::Flat, rows),
    };
    let wrong = || kernel::wrong_layout(DataType::Boolean);
    let texts = Text::reader(&columns[0]).ok_or_else(wrong)?;
    let patterns = Text::reader(&columns[1]).ok_or_else(wrong)?;
    let mut bits = Bitmap::filled(if form == ColumnForm::Constant { 1 } else { count }, false);
    let mut last: Option<LikePattern> = None;
    let constant = columns[1].is_constant();
    kernel::for_rows(wanted, validity.as_ref(), |row| {
        let pattern = match &mut last {
            Some(pattern) if constant => pattern,
            other => other.insert(LikePattern::new(Text::read(patterns, row), variant.ignore_case)?),
        };
        bits.set(row, pattern.matches(Text::read(texts, row)) != variant.negated);
        Ok(())
    })?;
    Ok(Column { data_type: DataType::Boolean, form, rows: count, data: ColumnData::Boolean(bits), validity })
}

fn like_datum(datums: &[DatumRef<'_>], variant: Variant) -> Result<Datum> {
    match (datums[0], datums[1]) {
        (DatumRef::Text(text), DatumRef::Text(pattern)) => {
            let pattern = LikePattern::new(pattern, variant.ignore_case)?;
            Ok(Datum::Boolean(pattern.matches(text) != variant.negated))
        }
        _ => Ok(Datum::Null),
    }
}

macro_rules! like {
    ($name:literal, $documentation:literal, $negated:literal, $ignore_case:literal) => {
        like!($name, Text, $documentation, $negated, $ignore_case)
    };
    ($name:literal, $input:ident, $documentation:literal, $negated:literal, $ignore_case:literal) => {
        ScalarFunction {
            name: $name,
            arguments: &[DataType::$input, DataType::Text],
            variadic: false,
            returns: DataType::Boolean,
            strict: true,
            volatility: Volatility::Immutable,
            documentation: $documentation,
            vector: |columns, rows, _| {
                like_column(columns, rows, Variant { negated: $negated, ignore_case: $ignore_case })
            },
            scalar: |datums, _| like_datum(datums, Variant { negated: $negated, ignore_case: $ignore_case }),
        }
    };
}

/// A pattern with another escape character as one with backslashes; an empty one means there is none.
fn like_escape(pattern: &str, escape: &str, out: &mut String) -> Result<()> {
    let mut escapes = escape.chars();
    let escape = escapes.next();
    if escapes.next().is_some() {
        return Err(Error::new(SqlState::INVALID_ESCAPE_SEQUENCE, "invalid escape string")
            .hint("Escape string must be empty or one character."));
    }
    if escape == Some('\\') {
        out.push_str(pattern);
        return Ok(());
    }
    let mut after_escape = false;
    for character in pattern.chars() {
        if Some(character) == escape && !after_escape {
            out.push('\\');
            after_escape = true;
        } else {
            if character == '\\' && !after_escape {
                out.push('\\');
            }
            out.push(character);
            after_escape = false;
        }
    }
    Ok(())
}

static FUNCTIONS: &[ScalarFunction] = &[
    like!("~~", "LIKE", false, false),
    like!("!~~", "NOT LIKE", true, false),
    like!("~~*", "ILIKE", false, true),
    like!("!~~*", "NOT ILIKE", true, true),
    // A char value keeps its blanks where it is matched.
    like!("~~", Char, "LIKE", false, false),
    like!("!~~", Char, "NOT LIKE", true, false),
    like!("~~*", Char, "ILIKE", false, true),
    like!("!~~*", Char, "NOT ILIKE", true, true),
    like!("like", "LIKE", false, false),
    like!("notlike", "NOT LIKE", true, false),
    text_function!(
        "like_escape",
        (Text, Text),
        Immutable,
        "a LIKE pattern with another escape character",
        |(pattern, escape), _, out| {
            like_escape(pattern, escape, out)?;
            Ok(true)
        }
    ),
];

pub(super) static TABLES: &[&[ScalarFunction]] = &[FUNCTIONS];
