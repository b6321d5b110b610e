//! What names and strings mean: escapes, quotes, case, length. Knows no grammar.

use crate::common::arena::{Arena, ArenaVec};
use crate::common::limits::IDENTIFIER_BYTES_MAX;
use crate::error::{Error, Result, SqlState};
use crate::sql::lexer::near;
use crate::sql::types::text::check_utf8;
use memchr::memchr;

/// Where the next piece of a string starts (inside its quote), when the string that ended before `from` goes on
/// after blanks with a line end and nothing else but comments.
pub(super) fn continuation(bytes: &[u8], from: usize) -> Option<usize> {
    let mut index = from;
    let mut line_end = false;
    loop {
        match bytes.get(index)? {
            b'\n' | b'\r' => line_end = true,
            b' ' | b'\t' | 0x0B | 0x0C => {}
            b'-' if line_end && bytes.get(index + 1) == Some(&b'-') => {
                index += memchr::memchr2(b'\n', b'\r', &bytes[index..])?;
                continue;
            }
            b'\'' if line_end => return Some(index + 1),
            _ => return None,
        }
        index += 1;
    }
}

/// The name that an identifier without quotes means: lower case (ASCII only, as PostgreSQL does with UTF-8), cut.
pub fn identifier<'a>(word: &'a str, arena: &'a Arena) -> &'a str {
    let word = truncate(word);
    if word.bytes().any(|byte| byte.is_ascii_uppercase()) {
        let lower = arena.alloc_str(word);
        lower.make_ascii_lowercase();
        return lower;
    }
    word
}

/// The name that `"…"` means; `token` has its quotes.
pub fn quoted_identifier<'a>(token: &'a str, arena: &'a Arena) -> &'a str {
    truncate(without_double_quotes(&token[1..token.len() - 1], "\"", arena))
}

/// Cuts a name at a character's start, at most [`IDENTIFIER_BYTES_MAX`] bytes.
fn truncate(name: &str) -> &str {
    if name.len() <= IDENTIFIER_BYTES_MAX {
        return name;
    }
    let mut end = IDENTIFIER_BYTES_MAX;
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

/// `inside` with every doubled `quote` made single.
fn without_double_quotes<'a>(inside: &'a str, quote: &str, arena: &'a Arena) -> &'a str {
    if memchr(quote.as_bytes()[0], inside.as_bytes()).is_none() {
        return inside;
    }
    let mut text = bumpalo::collections::String::with_capacity_in(inside.len(), arena);
    let mut rest = inside;
    while let Some(index) = memchr(quote.as_bytes()[0], rest.as_bytes()) {
        text.push_str(&rest[..=index]);
        rest = &rest[(index + 2).min(rest.len())..];
    }
    text.push_str(rest);
    text.into_bump_str()
}

/// The insides of a string's pieces, joined; `from` is after the first quote, the last byte is the last quote.
fn joined_pieces<'a>(token: &'a str, from: usize, escapes: bool, arena: &'a Arena) -> &'a str {
    let bytes = token.as_bytes();
    let mut pieces = ArenaVec::new_in(arena);
    let (mut start, mut index) = (from, from);
    while index < bytes.len() {
        match bytes[index] {
            b'\\' if escapes => index += 2,
            b'\'' if bytes.get(index + 1) == Some(&b'\'') => index += 2,
            b'\'' => {
                pieces.push(&token[start..index]);
                match continuation(bytes, index + 1) {
                    Some(next) => (start, index) = (next, next),
                    None => break,
                }
            }
            _ => index += 1,
        }
    }
    if let [only] = pieces.as_slice() {
        return only;
    }
    let mut text = bumpalo::collections::String::new_in(arena);
    for piece in pieces {
        text.push_str(piece);
    }
    text.into_bump_str()
}

/// The value of `'…'` or `N'…'`.
pub fn string<'a>(token: &'a str, arena: &'a Arena) -> &'a str {
    let from = if token.starts_with('\'') { 1 } else { 2 };
    let inside = &token[from..token.len() - 1];
    if memchr(b'\'', inside.as_bytes()).is_none() {
        return inside;
    }
    without_double_quotes(joined_pieces(token, from, false, arena), "'", arena)
}

/// The digits of `B'…'` or `X'…'`.
/// # Errors
/// `22P02` at a character that is no digit of the base.
pub fn digits<'a>(token: &'a str, base: u32, position: usize, arena: &'a Arena) -> Result<&'a str> {
    let inside = joined_pieces(token, 2, false, arena);
    match inside.chars().find(|digit| !digit.is_digit(base)) {
        None => Ok(inside),
        Some(wrong) => {
            let kind = if base == 2 { "binary" } else { "hexadecimal" };
            Err(Error::new(
                SqlState::INVALID_TEXT_REPRESENTATION,
                format!("\"{wrong}\" is not a valid {kind} digit"),
            )
            .at(position))
        }
    }
}

/// The value of `$tag$…$tag$`.
pub fn dollar_string(token: &str) -> &str {
    let tag = memchr(b'$', &token.as_bytes()[1..]).map_or(0, |index| index + 2);
    &token[tag..token.len() - tag]
}

fn invalid_escape(what: &str, position: usize) -> Error {
    Error::new(SqlState::INVALID_ESCAPE_SEQUENCE, what).at(position)
}

fn invalid_unicode(position: usize) -> Error {
    Error::new(SqlState::SYNTAX_ERROR, "invalid Unicode escape value").at(position)
}

fn invalid_surrogate(position: usize) -> Error {
    Error::new(SqlState::SYNTAX_ERROR, "invalid Unicode surrogate pair").at(position)
}

/// Collects UTF-16 escapes into characters.
struct Surrogates {
    high: Option<u32>,
}

impl Surrogates {
    /// Takes a code point; `None`: the first half of a pair.
    fn accept(&mut self, code: u32, position: usize) -> Result<Option<char>> {
        let is_high = (0xD800..0xDC00).contains(&code);
        let is_low = (0xDC00..0xE000).contains(&code);
        match (self.high.take(), is_high, is_low) {
            (None, true, _) => {
                self.high = Some(code);
                Ok(None)
            }
            (Some(high), _, true) => Ok(char::from_u32(0x10000 + ((high - 0xD800) << 10) + (code - 0xDC00))),
            (Some(_), ..) | (None, _, true) => Err(invalid_surrogate(position)),
            (None, ..) if code == 0 => Err(invalid_unicode(position)),
            (None, ..) => char::from_u32(code).map(Some).ok_or_else(|| invalid_unicode(position)),
        }
    }

    fn must_be_whole(&self, position: usize) -> Result<()> {
        if self.high.is_some() { Err(invalid_surrogate(position)) } else { Ok(()) }
    }
}

fn hexadecimal(bytes: &[u8], from: usize, count: usize) -> Option<u32> {
    let digits = bytes.get(from..from + count)?;
    digits.iter().try_fold(0u32, |value, digit| Some(value << 4 | char::from(*digit).to_digit(16)?))
}

/// The value of `E'…'`. `position` is the token's place.
/// # Errors
/// `22025` at a broken escape, `42601` at an impossible code point, `22021` when bytes make no UTF-8.
pub fn escape_string<'a>(token: &'a str, position: usize, arena: &'a Arena) -> Result<&'a str> {
    let inside = joined_pieces(token, 2, true, arena);
    let bytes = inside.as_bytes();
    let mut out: ArenaVec<'a, u8> = ArenaVec::with_capacity_in(bytes.len(), arena);
    let mut surrogates = Surrogates { high: None };
    let mut index = 0;
    while index < bytes.len() {
        let byte = bytes[index];
        if byte != b'\\' {
            surrogates.must_be_whole(position)?;
            out.push(byte);
            index += if byte == b'\'' { 2 } else { 1 };
            continue;
        }
        let escaped = bytes.get(index + 1).copied().unwrap_or(b'\\');
        index += 2;
        if matches!(escaped, b'u' | b'U') {
            let count = if escaped == b'u' { 4 } else { 8 };
            let code = hexadecimal(bytes, index, count).ok_or_else(|| {
                invalid_escape("invalid Unicode escape", position)
                    .hint("Unicode escapes must be \\uXXXX or \\UXXXXXXXX.")
            })?;
            index += count;
            if let Some(character) = surrogates.accept(code, position)? {
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            continue;
        }
        surrogates.must_be_whole(position)?;
        match escaped {
            b'b' => out.push(0x08),
            b'f' => out.push(0x0C),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'v' => out.push(0x0B),
            b'0'..=b'7' | b'x' => {
                let (base, most) = if escaped == b'x' { (16, 2) } else { (8, 3) };
                let from = if base == 16 { index } else { index - 1 };
                let mut value = 0u32;
                let mut taken = 0;
                while taken < most {
                    let Some(digit) = bytes.get(from + taken).and_then(|d| char::from(*d).to_digit(base))
                    else {
                        break;
                    };
                    value = value * base + digit;
                    taken += 1;
                }
                index = from + taken;
                out.push(if taken == 0 { b'x' } else { value as u8 });
            }
            other => out.push(other),
        }
    }
    surrogates.must_be_whole(position)?;
    let out = out.into_bump_slice();
    check_utf8(out).map_err(|error| error.at(position))
}

/// The value of the inside of `U&'…'` or `U&"…"` with the escape character `escape`.
/// # Errors
/// `42601` at a broken escape.
pub fn unicode<'a>(token: &'a str, escape: char, position: usize, arena: &'a Arena) -> Result<&'a str> {
    let is_identifier = token.as_bytes()[2] == b'"';
    let inside = if is_identifier {
        without_double_quotes(&token[3..token.len() - 1], "\"", arena)
    } else {
        without_double_quotes(joined_pieces(token, 3, false, arena), "'", arena)
    };
    let mut text = bumpalo::collections::String::with_capacity_in(inside.len(), arena);
    let mut surrogates = Surrogates { high: None };
    let mut rest = inside;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        if character != escape || rest.starts_with(escape) {
            surrogates.must_be_whole(position)?;
            text.push(character);
            rest = rest.strip_prefix(escape).filter(|_| character == escape).unwrap_or(rest);
            continue;
        }
        let (from, count) = if rest.starts_with('+') { (1, 6) } else { (0, 4) };
        let code = hexadecimal(rest.as_bytes(), from, count).ok_or_else(|| {
            Error::new(SqlState::SYNTAX_ERROR, "invalid Unicode escape")
                .at(position)
                .hint("Unicode escapes must be \\XXXX or \\+XXXXXX.")
        })?;
        rest = &rest[from + count..];
        if let Some(character) = surrogates.accept(code, position)? {
            text.push(character);
        }
    }
    surrogates.must_be_whole(position)?;
    let text: &'a str = text.into_bump_str();
    Ok(if is_identifier { truncate(text) } else { text })
}

/// The escape character that `UESCAPE '…'` names.
/// # Errors
/// `42601` unless it is one character that cannot be part of an escape.
pub fn escape_character(token: &str, position: usize) -> Result<char> {
    let mut inside = token.trim_matches('\'').chars();
    match (inside.next(), inside.next()) {
        (Some(c), None) if !c.is_ascii_hexdigit() && !matches!(c, '+' | '\'' | '"') && !c.is_whitespace() => {
            Ok(c)
        }
        _ => Err(near("invalid Unicode escape character", token, position)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_mean_what_postgresql_means() {
        let arena = Arena::new();
        assert_eq!(string("'it''s'", &arena), "it's");
        assert_eq!(string("'a'\n  'b''c'", &arena), "ab'c");
        assert_eq!(string("N'x'", &arena), "x");
        assert_eq!(dollar_string("$$a'b$$"), "a'b");
        assert_eq!(dollar_string("$t$ $$ $t$"), " $$ ");
        let escaped = |text| escape_string(text, 0, &arena).map_err(|error| error.state());
        assert_eq!(escaped(r"E'a\n\'\x41\101\u00e9\\'''"), Ok("a\n'AAé\\'"));
        assert_eq!(escaped(r"E'\ud83d\ude00'"), Ok("😀"));
        assert_eq!(escaped(r"E'\ud83dx'"), Err(SqlState::SYNTAX_ERROR));
        assert_eq!(escaped(r"E'\xff'"), Err(SqlState::CHARACTER_NOT_IN_REPERTOIRE));
        assert_eq!(escaped(r"E'\000'"), Err(SqlState::CHARACTER_NOT_IN_REPERTOIRE));
        assert_eq!(unicode(r"U&'d\0061t\+000061\\'", '\\', 0, &arena).unwrap(), "data\\");
        assert_eq!(unicode("U&\"d!0061\"", '!', 0, &arena).unwrap(), "da");
        assert!(digits("B'102'", 2, 0, &arena).is_err());
    }

    #[test]
    fn names_are_folded_and_cut_at_a_character() {
        let arena = Arena::new();
        assert_eq!(identifier("FooÄ", &arena), "fooÄ");
        assert_eq!(quoted_identifier("\"a\"\"B\"", &arena), "a\"B");
        let long = "é".repeat(40);
        assert_eq!(identifier(&long, &arena), "é".repeat(31));
    }
}
