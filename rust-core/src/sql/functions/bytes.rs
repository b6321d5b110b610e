//! Functions of bytea, and conversions between bytes and text.

use crate::common::limits;
use crate::error::{Error, Result, SqlState};
use crate::sql::functions::kernel::{Bool, Bytea, Float4, Float8, Int4, Int8, Text, function, text_function};
use crate::sql::functions::registry::ScalarFunction;
use crate::sql::functions::text::{invalid_parameter, too_long};
use crate::sql::types::{bytea, text as text_type};

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base 64 (RFC 2045), lines of 76 characters.
fn encode_base64(bytes: &[u8], out: &mut String) {
    for (number, group) in bytes.chunks(3).enumerate() {
        if number > 0 && number % 19 == 0 {
            out.push('\n');
        }
        let word =
            group.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for digit in 0..4 {
            match digit <= group.len() {
                true => out.push(char::from(BASE64[(word >> (18 - 6 * digit) & 63) as usize])),
                false => out.push('='),
            }
        }
    }
}

fn decode_base64(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut word, mut digits, mut padding) = (0u32, 0, 0);
    for character in text.chars().filter(|character| !matches!(character, ' ' | '\n' | '\r' | '\t')) {
        if character == '=' {
            padding += 1;
            continue;
        }
        let value = BASE64.iter().position(|digit| char::from(*digit) == character);
        let Some(value) = value.filter(|_| padding == 0) else {
            let message = format!("invalid symbol \"{character}\" found while decoding base64 sequence");
            return Err(invalid_parameter(message));
        };
        word = word << 6 | value as u32;
        digits += 1;
        if digits == 4 {
            bytes.extend_from_slice(&word.to_be_bytes()[1..]);
            (word, digits) = (0, 0);
        }
    }
    match (digits, padding) {
        (0, 0) => {}
        (2, 2) => bytes.push((word >> 4) as u8),
        (3, 1) => bytes.extend_from_slice(&[(word >> 10) as u8, (word >> 2) as u8]),
        _ => {
            return Err(invalid_parameter("invalid base64 end sequence")
                .hint("Input data is missing padding, is truncated, or is otherwise corrupted."));
        }
    }
    Ok(bytes)
}

fn unknown_encoding(name: &str) -> Error {
    invalid_parameter(format!("unrecognized encoding: \"{name}\""))
}

fn encode(bytes: &[u8], format: &str, out: &mut String) -> Result<()> {
    match format.to_ascii_lowercase().as_str() {
        "hex" => bytea::write_hex(bytes, out),
        "base64" => encode_base64(bytes, out),
        "escape" => {
            for byte in bytes {
                match byte {
                    b'\\' => out.push_str("\\\\"),
                    0 | 0x80.. => out.push_str(&format!("\\{byte:03o}")),
                    byte => out.push(char::from(*byte)),
                }
            }
        }
        _ => return Err(unknown_encoding(format)),
    }
    Ok(())
}

fn decode(text: &str, format: &str) -> Result<Vec<u8>> {
    match format.to_ascii_lowercase().as_str() {
        "hex" => bytea::parse_hex(text),
        "base64" => decode_base64(text),
        "escape" if !text.starts_with("\\x") => bytea::parse(text),
        "escape" => {
            Err(Error::new(SqlState::INVALID_TEXT_REPRESENTATION, "invalid input syntax for type bytea"))
        }
        _ => Err(unknown_encoding(format)),
    }
}

/// Bytes `start..start + length`, from 1.
fn slice(bytes: &[u8], start: i32, length: Option<i32>) -> Result<Vec<u8>> {
    let from = i64::from(start).max(1) - 1;
    let to = match length {
        Some(length) if length < 0 => {
            return Err(Error::new(SqlState::SUBSTRING_ERROR, "negative substring length not allowed"));
        }
        Some(length) => i64::from(start) + i64::from(length) - 1,
        None => i64::MAX,
    };
    let end = to.clamp(0, bytes.len() as i64);
    let from = from.min(end);
    Ok(bytes[from as usize..end as usize].to_vec())
}

/// A position from 0 that is below `limit`.
pub(super) fn index(index: i64, limit: i64) -> Result<usize> {
    if !(0..limit).contains(&index) {
        let message = format!("index {index} out of valid range, 0..{}", limit - 1);
        return Err(Error::new(SqlState::ARRAY_SUBSCRIPT_ERROR, message));
    }
    Ok(index as usize)
}

fn set_byte(bytes: &[u8], at: i32, value: i32) -> Result<Vec<u8>> {
    let at = index(i64::from(at), bytes.len() as i64)?;
    let mut changed = bytes.to_vec();
    changed[at] = value as u8;
    Ok(changed)
}

fn set_bit(bytes: &[u8], at: i64, value: i32) -> Result<Vec<u8>> {
    let at = index(at, bytes.len() as i64 * 8)?;
    if !(0..=1).contains(&value) {
        return Err(invalid_parameter("new bit must be 0 or 1"));
    }
    let mut changed = bytes.to_vec();
    let mask = 1u8 << (at % 8);
    changed[at / 8] = if value == 1 { changed[at / 8] | mask } else { changed[at / 8] & !mask };
    Ok(changed)
}

fn trim(bytes: &[u8], set: &[u8], start: bool, end: bool) -> Vec<u8> {
    let keep = |byte: &u8| !set.contains(byte);
    let first = if start { bytes.iter().position(keep).unwrap_or(bytes.len()) } else { 0 };
    let last = if end { bytes.iter().rposition(keep).map_or(first, |last| last + 1) } else { bytes.len() };
    bytes[first..last.max(first)].to_vec()
}

fn join(a: &[u8], b: &[u8]) -> Result<Vec<u8>> {
    if a.len() + b.len() > limits::VALUE_BYTES_MAX { Err(too_long()) } else { Ok([a, b].concat()) }
}

fn overlay(bytes: &[u8], new: &[u8], start: i32, length: i64) -> Result<Vec<u8>> {
    if start <= 0 {
        return Err(Error::new(SqlState::SUBSTRING_ERROR, "negative substring length not allowed"));
    }
    let from = (start as usize - 1).min(bytes.len());
    let to = (i64::from(start) - 1 + length).clamp(0, bytes.len() as i64) as usize;
    join(&join(&bytes[..from], new)?, &bytes[to..])
}

/// LIKE over bytes: `%`, `_` and the backslash, each one byte.
fn like(bytes: &[u8], pattern: &[u8]) -> Result<bool> {
    let (mut at, mut wanted) = (0, 0);
    // Where to go on after the last `%`: one more byte belongs to it.
    let mut again: Option<(usize, usize)> = None;
    loop {
        let step = match pattern.get(wanted) {
            Some(b'%') => {
                again = Some((at, wanted + 1));
                wanted += 1;
                continue;
            }
            Some(b'_') if at < bytes.len() => Some(1),
            Some(b'\\') => match pattern.get(wanted + 1) {
                Some(literal) => (bytes.get(at) == Some(literal)).then_some(2),
                None => {
                    let message = "LIKE pattern must not end with escape character";
                    return Err(Error::new(SqlState::INVALID_ESCAPE_SEQUENCE, message));
                }
            },
            Some(literal) => (bytes.get(at) == Some(literal)).then_some(1),
            None if at == bytes.len() => return Ok(true),
            None => None,
        };
        match (step, again) {
            (Some(taken), _) => {
                wanted += taken;
                at += 1;
            }
            (None, Some((start, after))) if start < bytes.len() => {
                again = Some((start + 1, after));
                (at, wanted) = (start + 1, after);
            }
            (None, _) => return Ok(false),
        }
    }
}

fn like_escape(pattern: &[u8], escape: &[u8]) -> Result<Vec<u8>> {
    if escape.len() > 1 {
        return Err(Error::new(SqlState::INVALID_ESCAPE_SEQUENCE, "invalid escape string")
            .hint("Escape string must be empty or one character."));
    }
    if escape == b"\\" {
        return Ok(pattern.to_vec());
    }
    let (mut out, mut after_escape) = (Vec::with_capacity(pattern.len()), false);
    for byte in pattern {
        if escape.first() == Some(byte) && !after_escape {
            out.push(b'\\');
            after_escape = true;
            continue;
        }
        if *byte == b'\\' && !after_escape {
            out.push(b'\\');
        }
        out.push(*byte);
        after_escape = false;
    }
    Ok(out)
}

fn utf8(name: &str) -> Result<()> {
    match name.to_ascii_lowercase().replace(['-', '_'], "").as_str() {
        "utf8" | "unicode" => Ok(()),
        _ => Err(invalid_parameter(format!("invalid source encoding name \"{name}\""))),
    }
}

/// MD5 (RFC 1321): a fingerprint, not for secrets.
pub(super) fn md5(input: &[u8], out: &mut String) {
    const SHIFTS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];
    let mut padded = input.to_vec();
    padded.push(0x80);
    padded.resize(padded.len().next_multiple_of(64), 0);
    if padded.len() - input.len() < 9 {
        padded.resize(padded.len() + 64, 0);
    }
    let length_at = padded.len() - 8;
    padded[length_at..].copy_from_slice(&(input.len() as u64).wrapping_mul(8).to_le_bytes());
    let mut state: [u32; 4] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476];
    for block in padded.chunks_exact(64) {
        let word = |i: usize| {
            u32::from_le_bytes([block[4 * i], block[4 * i + 1], block[4 * i + 2], block[4 * i + 3]])
        };
        let [mut a, mut b, mut c, mut d] = state;
        for step in 0..64 {
            let (mixed, at) = match step / 16 {
                0 => (b & c | !b & d, step),
                1 => (d & b | !d & c, (5 * step + 1) % 16),
                2 => (b ^ c ^ d, (3 * step + 5) % 16),
                _ => (c ^ (b | !d), 7 * step % 16),
            };
            // The RFC's table: the integer part of 2^32 × |sin(step + 1)|.
            let sine = (((step + 1) as f64).sin().abs() * 4_294_967_296.0) as u32;
            let sum = a.wrapping_add(mixed).wrapping_add(sine).wrapping_add(word(at));
            (a, d, c) = (d, c, b);
            b = b.wrapping_add(sum.rotate_left(SHIFTS[step / 16][step % 4]));
        }
        for (sum, part) in state.iter_mut().zip([a, b, c, d]) {
            *sum = sum.wrapping_add(part);
        }
    }
    for part in state {
        bytea::write_hex(&part.to_le_bytes(), out);
    }
}

static FUNCTIONS: &[ScalarFunction] = &[
    function!("||", (Bytea, Bytea) -> Bytea, Immutable, "both, one after the other", |(a, b), _| join(a, b)),
    function!("substr", (Bytea, Int4) -> Bytea, Immutable, "from a byte on", |(bytes, start), _| slice(bytes, start, None)),
    function!("substr", (Bytea, Int4, Int4) -> Bytea, Immutable, "so many bytes from one on", |(bytes, start, length), _| slice(bytes, start, Some(length))),
    function!("substring", (Bytea, Int4) -> Bytea, Immutable, "from a byte on", |(bytes, start), _| slice(bytes, start, None)),
    function!("substring", (Bytea, Int4, Int4) -> Bytea, Immutable, "so many bytes from one on", |(bytes, start, length), _| slice(bytes, start, Some(length))),
    function!("position", (Bytea, Bytea) -> Int4, Immutable, "where the second first occurs in the first, from 1; else 0", |(bytes, part), _| Ok(memchr::memmem::find(bytes, part).map_or(0, |at| at as i32 + 1))),
    function!("ltrim", (Bytea, Bytea) -> Bytea, Immutable, "without these bytes at the start", |(bytes, set), _| Ok(trim(bytes, set, true, false))),
    function!("rtrim", (Bytea, Bytea) -> Bytea, Immutable, "without these bytes at the end", |(bytes, set), _| Ok(trim(bytes, set, false, true))),
    function!("btrim", (Bytea, Bytea) -> Bytea, Immutable, "without these bytes at both ends", |(bytes, set), _| Ok(trim(bytes, set, true, true))),
    function!("get_byte", (Bytea, Int4) -> Int4, Immutable, "a byte, from 0", |(bytes, at), _| Ok(i32::from(bytes[index(i64::from(at), bytes.len() as i64)?]))),
    function!("set_byte", (Bytea, Int4, Int4) -> Bytea, Immutable, "with a byte changed", |(bytes, at, value), _| set_byte(bytes, at, value)),
    function!("get_bit", (Bytea, Int8) -> Int4, Immutable, "a bit, from 0", |(bytes, at), _| {
        let at = index(at, bytes.len() as i64 * 8)?;
        Ok(i32::from(bytes[at / 8] >> (at % 8) & 1))
    }),
    function!("set_bit", (Bytea, Int8, Int4) -> Bytea, Immutable, "with a bit changed", |(bytes, at, value), _| set_bit(bytes, at, value)),
    function!("bit_count", (Bytea) -> Int8, Immutable, "number of bits that are set", |(bytes,), _| Ok(bytes.iter().map(|byte| i64::from(byte.count_ones())).sum())),
    function!("overlay", (Bytea, Bytea, Int4) -> Bytea, Immutable, "with bytes replaced from one on", |(bytes, new, start), _| overlay(bytes, new, start, new.len() as i64)),
    function!("overlay", (Bytea, Bytea, Int4, Int4) -> Bytea, Immutable, "with so many bytes replaced from one on", |(bytes, new, start, length), _| overlay(bytes, new, start, i64::from(length))),
    function!("float4send", (Float4) -> Bytea, Immutable, "the bytes of the binary format", |(value,), _| Ok(value.to_be_bytes().to_vec())),
    function!("float8send", (Float8) -> Bytea, Immutable, "the bytes of the binary format", |(value,), _| Ok(value.to_be_bytes().to_vec())),
    function!("~~", (Bytea, Bytea) -> Bool, Immutable, "LIKE", |(bytes, pattern), _| like(bytes, pattern)),
    function!("!~~", (Bytea, Bytea) -> Bool, Immutable, "NOT LIKE", |(bytes, pattern), _| like(bytes, pattern).map(|found| !found)),
    function!("like_escape", (Bytea, Bytea) -> Bytea, Immutable, "a LIKE pattern with another escape byte", |(pattern, escape), _| like_escape(pattern, escape)),
    function!("decode", (Text, Text) -> Bytea, Immutable, "bytes from hex, base64 or escape", |(text, format), _| decode(text, format)),
    text_function!(
        "encode",
        (Bytea, Text),
        Immutable,
        "bytes as hex, base64 or escape",
        |(bytes, format), _, out| {
            encode(bytes, format, out)?;
            Ok(true)
        }
    ),
    function!("convert_to", (Text, Text) -> Bytea, Immutable, "the bytes of a text", |(text, encoding), _| utf8(encoding).map(|()| text.as_bytes().to_vec())),
    text_function!(
        "convert_from",
        (Bytea, Text),
        Immutable,
        "the text of bytes",
        |(bytes, encoding), _, out| {
            utf8(encoding)?;
            out.push_str(text_type::check_utf8(bytes)?);
            Ok(true)
        }
    ),
    text_function!("md5", (Text), Immutable, "MD5 fingerprint, hexadecimal", |(text,), _, out| {
        md5(text.as_bytes(), out);
        Ok(true)
    }),
    text_function!("md5", (Bytea), Immutable, "MD5 fingerprint, hexadecimal", |(bytes,), _, out| {
        md5(bytes, out);
        Ok(true)
    }),
];

pub(super) static TABLES: &[&[ScalarFunction]] = &[FUNCTIONS];
