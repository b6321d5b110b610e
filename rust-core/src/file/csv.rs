//! CSV: values in quotes where they need them. A value that was in quotes is never NULL.

use crate::error::{Error, Result, SqlState};
use crate::file::fields::Fields;
use crate::file::format::FileFormat;

/// Cuts a line.
/// # Errors
/// `22P04` where a quote stays open.
pub(super) fn cut(line: &str, format: &FileFormat, fields: &mut Fields) -> Result<()> {
    let bytes = line.as_bytes();
    let mut start = 0;
    loop {
        let found = memchr::memchr2(format.delimiter, format.quote, &bytes[start..]);
        match found.map(|found| start + found) {
            Some(at) if bytes[at] == format.quote => match quoted(line, start, format, fields)? {
                Some(next) => start = next,
                None => return Ok(()),
            },
            Some(at) => {
                unquoted(line, start, at, format, fields);
                start = at + 1;
            }
            None => {
                unquoted(line, start, bytes.len(), format, fields);
                return Ok(());
            }
        }
    }
}

fn unquoted(line: &str, start: usize, end: usize, format: &FileFormat, fields: &mut Fields) {
    if line[start..end] == format.null {
        fields.push_null();
    } else {
        fields.push_line(start, end);
    }
}

/// A value with quotes in it; gives where the next one starts, `None` at the end of the line.
fn quoted(line: &str, start: usize, format: &FileFormat, fields: &mut Fields) -> Result<Option<usize>> {
    let bytes = line.as_bytes();
    let mut at = start;
    let mut next = None;
    fields.push_unescaped(|out| {
        loop {
            // Outside quotes.
            let found = memchr::memchr2(format.delimiter, format.quote, &bytes[at..]);
            let end = found.map_or(bytes.len(), |found| at + found);
            out.push_str(&line[at..end]);
            if found.is_none() {
                return Ok(());
            }
            at = end + 1;
            if bytes[end] == format.delimiter {
                next = Some(at);
                return Ok(());
            }
            // Inside.
            loop {
                let Some(found) = memchr::memchr2(format.quote, format.escape, &bytes[at..]) else {
                    return Err(Error::new(SqlState::BAD_COPY_FILE_FORMAT, "unterminated CSV quoted field"));
                };
                let special = at + found;
                out.push_str(&line[at..special]);
                at = special + 1;
                let following = bytes.get(at).copied();
                if bytes[special] == format.escape
                    && following.is_some_and(|byte| byte == format.escape || byte == format.quote)
                {
                    out.push(char::from(bytes[at]));
                    at += 1;
                } else if bytes[special] == format.quote {
                    break;
                } else {
                    out.push(char::from(format.escape));
                }
            }
        }
    })?;
    Ok(next)
}

/// Writes a value. `is_only`: it is alone on its line.
pub(super) fn write(value: &str, force_quote: bool, is_only: bool, format: &FileFormat, out: &mut Vec<u8>) {
    let needs_quotes = || {
        value == format.null
            || (is_only && value == "\\.")
            || memchr::memchr3(b'\n', b'\r', format.quote, value.as_bytes()).is_some()
            || memchr::memchr(format.delimiter, value.as_bytes()).is_some()
    };
    if !force_quote && !needs_quotes() {
        out.extend_from_slice(value.as_bytes());
        return;
    }
    out.push(format.quote);
    for byte in value.bytes() {
        if byte == format.quote || byte == format.escape {
            out.push(format.escape);
        }
        out.push(byte);
    }
    out.push(format.quote);
}
