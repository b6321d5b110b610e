//! Text forms of byte strings: hex and escape.

use crate::error::{Error, Result, SqlState};

/// Reads either form.
/// # Errors
/// `22023` for bad hex digits, `22P02` for a bad escape.
pub fn parse(text: &str) -> Result<Vec<u8>> {
    match text.strip_prefix("\\x") {
        Some(hex) => parse_hex(hex),
        None => parse_escape(text.as_bytes()),
    }
}

/// Reads pairs of hex digits; white space between pairs is skipped.
/// # Errors
/// `22023`.
pub fn parse_hex(hex: &str) -> Result<Vec<u8>> {
    let invalid = |message: String| Error::new(SqlState::INVALID_PARAMETER_VALUE, message);
    let digit = |c: char| {
        c.to_digit(16).map(|d| d as u8).ok_or_else(|| invalid(format!("invalid hexadecimal digit: \"{c}\"")))
    };
    let mut bytes = Vec::with_capacity(hex.len() / 2);
    let mut characters = hex.chars();
    while let Some(high) = characters.next() {
        if matches!(high, ' ' | '\n' | '\t' | '\r') {
            continue;
        }
        let high = digit(high)?;
        let low = characters
            .next()
            .ok_or_else(|| invalid("invalid hexadecimal data: odd number of digits".into()))?;
        bytes.push(high << 4 | digit(low)?);
    }
    Ok(bytes)
}

fn parse_escape(text: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        match &text[at..] {
            [b'\\', b'\\', ..] => {
                bytes.push(b'\\');
                at += 2;
            }
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                at += 4;
            }
            [b'\\', ..] => {
                return Err(Error::new(
                    SqlState::INVALID_TEXT_REPRESENTATION,
                    "invalid input syntax for type bytea",
                ));
            }
            rest => {
                bytes.push(rest[0]);
                at += 1;
            }
        }
    }
    Ok(bytes)
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends the hex digits, without the `\x`.
pub fn write_hex(bytes: &[u8], out: &mut String) {
    out.reserve(bytes.len() * 2);
    for byte in bytes {
        out.push(char::from(HEX[usize::from(byte >> 4)]));
        out.push(char::from(HEX[usize::from(byte & 15)]));
    }
}

/// Appends the escape form (`bytea_output = escape`, `encode(…, 'escape')`).
pub fn write_escape(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        match byte {
            b'\\' => out.push_str("\\\\"),
            0x20..=0x7E => out.push(char::from(*byte)),
            _ => {
                out.push('\\');
                for shift in [6, 3, 0] {
                    out.push(char::from(b'0' + (byte >> shift & 7)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_both_forms() {
        let bytes: Vec<u8> = (0..=255).collect();
        let (mut hex, mut escape) = ("\\x".to_string(), String::new());
        write_hex(&bytes, &mut hex);
        write_escape(&bytes, &mut escape);
        assert_eq!(parse(&hex).unwrap(), bytes);
        assert_eq!(parse(&escape).unwrap(), bytes);
        assert_eq!(parse("\\xabc").unwrap_err().message(), "invalid hexadecimal data: odd number of digits");
        assert_eq!(parse("\\xzz").unwrap_err().message(), "invalid hexadecimal digit: \"z\"");
        assert_eq!(parse("a\\9").unwrap_err().state().as_str(), "22P02");
    }
}
