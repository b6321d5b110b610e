//! Predicates that a key can answer: comparisons of a column with something constant during the statement.
//!
//! A comparison counts only where looking the value up in the key's order gives exactly the rows for which the
//! comparison is true. So types must be the key's own; the exceptions are integers (compared by value whatever
//! their width) and text with varchar (the same bytes).

use crate::sql::evaluate::row::result_type;
use crate::sql::optimizer::columns::is_statement_constant;
use crate::sql::plan::expression::{ColumnId, Expression};
use crate::sql::types::data_type::{DataType, SqlType};
use crate::sql::types::datum::Datum;

/// A comparison with its column on the left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Comparison {
    /// `=`
    Equal,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
    /// LIKE with a pattern that begins with the value: a range contains all that match, and others.
    Prefix,
}

/// `column comparison value`.
#[derive(Clone, Debug)]
pub(super) struct Sargable {
    /// The column.
    pub(super) column: ColumnId,
    /// The column's type.
    pub(super) column_type: DataType,
    /// How it is compared.
    pub(super) comparison: Comparison,
    /// With what: constant during the statement.
    pub(super) value: Expression,
}

/// `predicate` as a comparison of a column, where it is one.
pub(super) fn sargable(predicate: &Expression) -> Option<Sargable> {
    match predicate {
        Expression::Call { function, arguments, .. } => {
            let [left, right] = arguments.as_slice() else { return None };
            if function.name == "~~" {
                return like(left, right);
            }
            let comparison = match function.name {
                "=" => Comparison::Equal,
                "<" => Comparison::Less,
                "<=" => Comparison::LessEqual,
                ">" => Comparison::Greater,
                ">=" => Comparison::GreaterEqual,
                _ => return None,
            };
            let (column, value, comparison) = if let Some(column) = plain_column(left) {
                (column, right, comparison)
            } else {
                (plain_column(right)?, left, flipped(comparison))
            };
            if !is_statement_constant(value) {
                return None;
            }
            Some(Sargable { column: column.0, column_type: column.1, comparison, value: value.clone() })
        }
        // A boolean column alone is `column = true`, NOT of it `column = false`.
        Expression::Column { id, data_type: DataType::Boolean } => Some(truth(*id, true)),
        Expression::Not(input) => match &**input {
            Expression::Column { id, data_type: DataType::Boolean } => Some(truth(*id, false)),
            _ => None,
        },
        // A set of one value.
        Expression::InSet { input, values, negated: false, .. } if values.len() == 1 => {
            let (column, column_type) = plain_column(input)?;
            let data_type = result_type(input);
            let value = Expression::Constant { value: values[0].clone(), data_type };
            Some(Sargable { column, column_type, comparison: Comparison::Equal, value })
        }
        _ => None,
    }
}

fn truth(column: ColumnId, value: bool) -> Sargable {
    let value = Expression::Constant { value: Datum::Boolean(value), data_type: DataType::Boolean };
    Sargable { column, column_type: DataType::Boolean, comparison: Comparison::Equal, value }
}

/// A column LIKE a pattern with a fixed beginning.
fn like(left: &Expression, right: &Expression) -> Option<Sargable> {
    let (column, column_type) = plain_column(left)?;
    if !is_plain_text(column_type) {
        return None;
    }
    let prefix = like_prefix(right)?;
    let value = Expression::Constant { value: Datum::text(&prefix.text), data_type: DataType::Text };
    Some(Sargable { column, column_type, comparison: Comparison::Prefix, value })
}

/// What every text that matches a pattern begins with.
pub(super) struct Prefix {
    /// Not empty.
    pub(super) text: String,
    /// Whether the pattern matches nothing else.
    pub(super) exact: bool,
}

/// The fixed beginning of a constant LIKE pattern, where it has one.
pub(super) fn like_prefix(pattern: &Expression) -> Option<Prefix> {
    let Expression::Constant { value: Datum::Text(pattern), .. } = pattern else { return None };
    let mut text = String::new();
    let mut characters = pattern.chars();
    let exact = loop {
        match characters.next() {
            None => break true,
            Some('%' | '_') => break false,
            Some('\\') => text.push(characters.next()?),
            Some(other) => text.push(other),
        }
    };
    (!text.is_empty()).then_some(Prefix { text, exact })
}

/// The least text, by bytes, that comes after every text that begins with `prefix`.
pub(super) fn text_after(prefix: &str) -> Option<String> {
    let mut kept = prefix.to_string();
    while let Some(last) = kept.pop() {
        let next = if last == '\u{D7FF}' { Some('\u{E000}') } else { char::from_u32(u32::from(last) + 1) };
        if let Some(next) = next {
            kept.push(next);
            return Some(kept);
        }
    }
    None
}

pub(super) fn flipped(comparison: Comparison) -> Comparison {
    match comparison {
        Comparison::Prefix => Comparison::Prefix,
        Comparison::Equal => Comparison::Equal,
        Comparison::Less => Comparison::Greater,
        Comparison::LessEqual => Comparison::GreaterEqual,
        Comparison::Greater => Comparison::Less,
        Comparison::GreaterEqual => Comparison::LessEqual,
    }
}

pub(super) fn is_integer(data_type: DataType) -> bool {
    matches!(data_type, DataType::SmallInt | DataType::Integer | DataType::BigInt)
}

/// Text and varchar are the same bytes in the same order; char is not.
fn is_plain_text(data_type: DataType) -> bool {
    matches!(data_type, DataType::Text | DataType::Varchar)
}

fn width(data_type: DataType) -> u32 {
    match data_type {
        DataType::SmallInt => 2,
        DataType::Integer => 4,
        _ => 8,
    }
}

/// A column, also under a conversion that keeps its order and loses nothing.
pub(super) fn plain_column(expression: &Expression) -> Option<(ColumnId, DataType)> {
    match widened(expression) {
        Expression::Column { id, data_type } => Some((*id, *data_type)),
        _ => None,
    }
}

/// What is under a conversion that keeps its order and loses nothing; `expression` where it is no such conversion.
pub(super) fn widened(expression: &Expression) -> &Expression {
    let Expression::Cast { input, target, .. } = expression else { return expression };
    let from = input.data_type();
    let widened = is_integer(from) && is_integer(target.data_type) && width(from) <= width(target.data_type);
    let same_text = is_plain_text(from) && is_plain_text(target.data_type);
    if target.modifier == -1 && (widened || same_text) { input } else { expression }
}

impl Sargable {
    /// The value as a row id is compared with: any integer.
    pub(super) fn row_id_value(&self) -> Option<Expression> {
        is_integer(result_type(&self.value)).then(|| self.value.clone())
    }

    /// The value in the type of the indexed column; `None` where the index cannot answer.
    pub(super) fn key_value(&self) -> Option<Expression> {
        let from = result_type(&self.value);
        let to = self.column_type;
        if from == to || (is_plain_text(from) && is_plain_text(to)) {
            return Some(self.value.clone());
        }
        if !is_integer(from) || !is_integer(to) {
            return None;
        }
        if let Expression::Constant { value, .. } = &self.value {
            return Some(Expression::Constant { value: narrowed(value, to)?, data_type: to });
        }
        let widened = width(from) <= width(to);
        widened.then(|| Expression::Cast {
            input: Box::new(self.value.clone()),
            target: SqlType::plain(to),
            explicit: false,
            position: 0,
        })
    }
}

/// An integer constant in another width, where it fits.
fn narrowed(value: &Datum, to: DataType) -> Option<Datum> {
    let wide = match value {
        Datum::Null => return Some(Datum::Null),
        Datum::SmallInt(value) => i64::from(*value),
        Datum::Integer(value) => i64::from(*value),
        Datum::BigInt(value) => *value,
        _ => return None,
    };
    match to {
        DataType::SmallInt => i16::try_from(wide).ok().map(Datum::SmallInt),
        DataType::Integer => i32::try_from(wide).ok().map(Datum::Integer),
        _ => Some(Datum::BigInt(wide)),
    }
}
