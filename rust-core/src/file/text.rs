//! PostgreSQL's text format: tabs between values, backslashes before what would be taken for something else.

use crate::error::{Error, Result};
use crate::file::fields::Fields;
use crate::file::format::FileFormat;
use crate::sql::types::text::check_utf8;

/// Cuts a line.
/// # Errors
/// `22021` where escapes make no text.
pub(super) fn cut(line: &str, format: &FileFormat, fields: &mut Fields) -> Result<()> {
    let bytes = line.as_bytes();
    let mut start = 0;
    loop {
        // The end of the value, and whether it has escapes.
        let mut end = start;
        let mut has_escapes = false;
        let last = loop {
            match memchr::memchr2(format.delimiter, b'\\', &bytes[end..]) {
                None => {
                    end = bytes.len();
                    break true;
                }
                Some(found) if bytes[end + found] == b'\\' => {
                    has_escapes = true;
                    end = (end + found + 2).min(bytes.len());
                }
                Some(found) => {
                    end += found;
                    break false;
                }
            }
        };
        let raw = &line[start..end];
        if raw == format.null {
            fields.push_null();
        } else if has_escapes {
            fields.push_unescaped(|out| unescape(raw, out))?;
        } else {
            fields.push_line(start, end);
        }
        if last {
            return Ok(());
        }
        start = end + 1;
    }
}

fn unescape(raw: &str, out: &mut String) -> Result<()> {
    let bytes = raw.as_bytes();
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'\\', &bytes[at..]) {
        out.push_str(&raw[at..at + found]);
        at += found + 1;
        // A backslash at the end means nothing.
        let Some(&escaped) = bytes.get(at) else { return Ok(()) };
        let plain = match escaped {
            b'b' => '\x08',
            b'f' => '\x0c',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'v' => '\x0b',
            b'0'..=b'7' | b'x' => return unescape_bytes(raw, at - 1, out),
            _ => {
                let character = raw[at..].chars().next().unwrap_or('\\');
                out.push(character);
                at += character.len_utf8();
                continue;
            }
        };
        out.push(plain);
        at += 1;
    }
    out.push_str(&raw[at..]);
    Ok(())
}

/// As [`unescape`] from `from` on, where bytes are written as numbers: what they make may be no text.
#[cold]
fn unescape_bytes(raw: &str, from: usize, out: &mut String) -> Result<()> {
    let bytes = raw.as_bytes();
    let mut made = std::mem::take(out).into_bytes();
    let kept = made.len();
    let mut at = from;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        if byte != b'\\' {
            made.push(byte);
            continue;
        }
        let Some(&escaped) = bytes.get(at) else { break };
        let (base, digits, most) = match escaped {
            b'0'..=b'7' => (8, at, 3),
            b'x' => (16, at + 1, 2),
            _ => (0, at, 0),
        };
        let mut value = 0u32;
        let mut taken = 0;
        while taken < most
            && let Some(digit) = bytes.get(digits + taken).and_then(|digit| char::from(*digit).to_digit(base))
        {
            value = value * base + digit;
            taken += 1;
        }
        if taken > 0 {
            made.push(value as u8);
            at = digits + taken;
            continue;
        }
        made.push(match escaped {
            b'b' => 0x08,
            b'f' => 0x0C,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 0x0B,
            other => other,
        });
        at += 1;
    }
    check_utf8(&made[kept..])?;
    *out = String::from_utf8(made).map_err(|_| Error::internal("checked text is no text"))?;
    Ok(())
}

/// Writes a value.
pub(super) fn write(value: &str, format: &FileFormat, out: &mut Vec<u8>) {
    for byte in value.bytes() {
        let escaped = match byte {
            0x08 => b'b',
            0x0C => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x0B => b'v',
            b'\\' => b'\\',
            other if other == format.delimiter => other,
            other => {
                out.push(other);
                continue;
            }
        };
        out.push(b'\\');
        out.push(escaped);
    }
}
