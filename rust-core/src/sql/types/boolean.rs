//! Text form of booleans.

use crate::error::{Error, Result, SqlState};
use crate::sql::types::text::is_space;

/// Reads a boolean: unambiguous beginnings of true, false, yes, no, on, off; 1; 0. Any case.
/// # Errors
/// `22P02`.
pub fn parse(text: &str) -> Result<bool> {
    let word = text.trim_matches(is_space).to_ascii_lowercase();
    let begins = |whole: &str, least: usize| word.len() >= least && whole.starts_with(&word);
    if begins("true", 1) || begins("yes", 1) || begins("on", 2) || word == "1" {
        Ok(true)
    } else if begins("false", 1) || begins("no", 1) || begins("off", 2) || word == "0" {
        Ok(false)
    } else {
        Err(Error::new(
            SqlState::INVALID_TEXT_REPRESENTATION,
            format!("invalid input syntax for type boolean: \"{text}\""),
        ))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn unambiguous_beginnings_are_booleans() {
        for (text, value) in
            [("t", true), (" TRUE ", true), ("on", true), ("of", false), ("n", false), ("0", false)]
        {
            assert_eq!(super::parse(text).unwrap(), value, "{text}");
        }
        for text in ["", "o", "tru e", "2", "truee"] {
            assert!(super::parse(text).is_err(), "{text}");
        }
    }
}
