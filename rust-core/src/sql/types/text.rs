//! Text: lengths in characters, blank padding, UTF-8.

use crate::error::{Error, Result, SqlState};
use std::borrow::Cow;

/// White space as PostgreSQL's input functions skip it.
pub fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

/// The text without the blanks at its end: what `char(n)` is compared by.
#[inline]
pub fn trim_blanks(text: &str) -> &str {
    &text[..trim_blank_bytes(text.as_bytes()).len()]
}

/// [`trim_blanks`] of the bytes of a text.
#[inline]
pub fn trim_blank_bytes(bytes: &[u8]) -> &[u8] {
    let mut len = bytes.len();
    while len > 0 && bytes[len - 1] == b' ' {
        len -= 1;
    }
    &bytes[..len]
}

/// Bytes from outside as a value of type text.
/// # Errors
/// `22021` for a NUL byte and for what is not UTF-8.
pub fn check_utf8(bytes: &[u8]) -> Result<&str> {
    utf8(bytes).map_err(|(_, error)| error)
}

/// Bytes from outside as SQL text.
/// # Errors
/// As [`check_utf8`], with the place as the position.
pub fn check_sql_text(bytes: &[u8]) -> Result<&str> {
    utf8(bytes).map_err(|(position, error)| error.at(position))
}

/// The one check for text: else where it is wrong, and the error.
fn utf8(bytes: &[u8]) -> std::result::Result<&str, (usize, Error)> {
    let wrong = |position: usize, length: usize| {
        let shown: Vec<String> =
            bytes[position..].iter().take(length).map(|byte| format!("0x{byte:02x}")).collect();
        let message = format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" "));
        (position, Error::new(SqlState::CHARACTER_NOT_IN_REPERTOIRE, message))
    };
    let nul = memchr::memchr(0, bytes);
    match std::str::from_utf8(&bytes[..nul.unwrap_or(bytes.len())]) {
        Ok(text) if nul.is_none() => Ok(text),
        Ok(text) => Err(wrong(text.len(), 1)),
        Err(error) => {
            let position = error.valid_up_to();
            // PostgreSQL names the whole character that its first byte promises.
            let promised = match bytes[position] {
                0xC0..=0xDF => 2,
                0xE0..=0xEF => 3,
                0xF0..=0xF7 => 4,
                _ => 1,
            };
            Err(wrong(position, promised))
        }
    }
}

/// A text as `varchar(limit)` takes it.
/// # Errors
/// `22001` when more than blanks would be cut off, unless the cast is explicit.
pub fn to_varchar(text: &str, limit: Option<u32>, explicit: bool) -> Result<&str> {
    let Some(limit) = limit else { return Ok(text) };
    match split_characters(text, limit) {
        None => Ok(text),
        Some((kept, rest)) if explicit || rest.bytes().all(|byte| byte == b' ') => Ok(kept),
        Some(_) => Err(too_long("character varying", limit)),
    }
}

/// A text as `char(limit)` takes it: cut as varchar, then padded with blanks.
/// # Errors
/// `22001` when more than blanks would be cut off, unless the cast is explicit.
pub fn to_char(text: &str, limit: Option<u32>, explicit: bool) -> Result<Cow<'_, str>> {
    let Some(limit) = limit else { return Ok(Cow::Borrowed(text)) };
    match split_characters(text, limit) {
        Some((kept, rest)) if explicit || rest.bytes().all(|byte| byte == b' ') => Ok(Cow::Borrowed(kept)),
        Some(_) => Err(too_long("character", limit)),
        None => {
            let missing = limit as usize - text.chars().count();
            if missing == 0 {
                return Ok(Cow::Borrowed(text));
            }
            let mut padded = String::with_capacity(text.len() + missing);
            padded.push_str(text);
            padded.extend(std::iter::repeat_n(' ', missing));
            Ok(Cow::Owned(padded))
        }
    }
}

fn too_long(name: &str, limit: u32) -> Error {
    Error::new(SqlState::STRING_DATA_RIGHT_TRUNCATION, format!("value too long for type {name}({limit})"))
}

/// The first `limit` characters and the rest; `None` when there is no rest.
fn split_characters(text: &str, limit: u32) -> Option<(&str, &str)> {
    if text.len() <= limit as usize {
        return None;
    }
    let (at, _) = text.char_indices().nth(limit as usize)?;
    Some(text.split_at(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_count_characters_and_only_blanks_are_cut_silently() {
        assert_eq!(to_varchar("äöü", Some(3), false).unwrap(), "äöü");
        assert_eq!(to_varchar("ab   ", Some(3), false).unwrap(), "ab ");
        assert_eq!(to_varchar("abcd", Some(3), true).unwrap(), "abc");
        let error = to_varchar("abcd", Some(3), false).unwrap_err();
        assert_eq!(error.message(), "value too long for type character varying(3)");
        assert_eq!(to_char("ä", Some(3), false).unwrap(), "ä  ");
        assert_eq!(to_char("abcd", Some(3), false).unwrap_err().state().as_str(), "22001");
    }

    #[test]
    fn bytes_that_are_no_text_are_named() {
        assert_eq!(
            check_utf8(b"a\0b").unwrap_err().message(),
            "invalid byte sequence for encoding \"UTF8\": 0x00"
        );
        assert_eq!(check_utf8(b"a\0b").unwrap_err().position(), None);
        assert_eq!(check_sql_text(b"a\0b").unwrap_err().position(), Some(1));
        assert_eq!(check_sql_text(b"a\xffb\0").unwrap_err().position(), Some(1));
        assert_eq!(
            check_utf8(b"a\xe2\x28\xa1").unwrap_err().message(),
            "invalid byte sequence for encoding \"UTF8\": 0xe2 0x28 0xa1"
        );
        assert_eq!(check_utf8("é".as_bytes()).unwrap(), "é");
    }
}
