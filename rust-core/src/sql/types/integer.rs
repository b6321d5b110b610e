//! Text form of integers.

use crate::error::{Error, Result, SqlState};
use crate::sql::types::text::is_space;

/// Reads an integer within `minimum..=maximum`; `type_name` for the messages.
/// # Errors
/// `22P02` for what is no integer, `22003` outside the range.
pub fn parse(text: &str, minimum: i64, maximum: i64, type_name: &str) -> Result<i64> {
    let trimmed = text.trim_matches(is_space);
    let digits = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Error::new(
            SqlState::INVALID_TEXT_REPRESENTATION,
            format!("invalid input syntax for type {type_name}: \"{text}\""),
        ));
    }
    match trimmed.parse::<i64>() {
        Ok(value) if (minimum..=maximum).contains(&value) => Ok(value),
        _ => Err(Error::new(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            format!("value \"{text}\" is out of range for type {type_name}"),
        )),
    }
}
