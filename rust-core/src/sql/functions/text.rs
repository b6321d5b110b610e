//! Text functions. Positions and lengths count characters; ASCII strings are cut by bytes.
//! Knows UTF-8 values. Knows nothing of columns: the kernels make both forms.

use crate::common::limits;
use crate::error::{Error, Result, SqlState};
use crate::sql::functions::kernel::{Bool, Bytea, Char, Int4, Int8, Text, function, text_function};
use crate::sql::functions::registry::{Environment, ScalarFunction};

pub(super) fn invalid_parameter(message: impl Into<String>) -> Error {
    Error::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

pub(super) fn too_long() -> Error {
    Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "requested length too large")
}

/// Byte offset of character `index`, or the end.
pub(super) fn byte_offset(text: &str, index: usize) -> usize {
    if text.is_ascii() {
        return index.min(text.len());
    }
    text.char_indices().nth(index).map_or(text.len(), |(offset, _)| offset)
}

pub(super) fn character_count(text: &str) -> usize {
    // UTF-8 continuation bytes are 10xxxxxx.
    text.as_bytes().iter().filter(|byte| (**byte as i8) >= -0x40).count()
}

/// Characters `start..start + length` (`start` from 1; what lies before the text counts towards the length).
fn substring(text: &str, start: i32, length: Option<i32>) -> Result<&str> {
    let from = i64::from(start).max(1);
    let to = match length {
        Some(length) if length < 0 => {
            return Err(Error::new(SqlState::SUBSTRING_ERROR, "negative substring length not allowed"));
        }
        Some(length) => i64::from(start) + i64::from(length),
        None => i64::MAX,
    };
    if to <= from {
        return Ok("");
    }
    let begin = byte_offset(text, (from - 1) as usize);
    let rest = &text[begin..];
    let end = if to == i64::MAX { rest.len() } else { byte_offset(rest, (to - from) as usize) };
    Ok(&rest[..end])
}

fn left(text: &str, count: i32) -> &str {
    let end = if count >= 0 {
        byte_offset(text, count as usize)
    } else {
        byte_offset(text, character_count(text).saturating_sub(count.unsigned_abs() as usize))
    };
    &text[..end]
}

fn right(text: &str, count: i32) -> &str {
    let start = if count >= 0 {
        byte_offset(text, character_count(text).saturating_sub(count as usize))
    } else {
        byte_offset(text, count.unsigned_abs() as usize)
    };
    &text[start..]
}

fn pad(
    (text, length, fill): (&str, i32, &str),
    at_left: bool,
    environment: &dyn Environment,
    out: &mut String,
) -> Result<()> {
    let length = length.max(0) as usize;
    if length > limits::VALUE_BYTES_MAX / 4 {
        return Err(too_long());
    }
    let count = character_count(text);
    if count >= length || fill.is_empty() {
        out.push_str(&text[..byte_offset(text, length)]);
        return Ok(());
    }
    environment.room_for(text.len() + (length - count).div_ceil(character_count(fill)) * fill.len())?;
    let padding = fill.chars().cycle().take(length - count);
    if at_left {
        out.extend(padding);
        out.push_str(text);
    } else {
        out.push_str(text);
        out.extend(padding);
    }
    Ok(())
}

/// Below so many bytes nobody asks how long a text becomes.
const COUNTED_BYTES: usize = 64 << 10;

/// The first letter of each word in upper case, the rest in lower case; words are runs of letters and digits.
fn initcap(text: &str, out: &mut String) {
    let mut inside = false;
    for character in text.chars() {
        if inside {
            out.extend(character.to_lowercase());
        } else {
            out.extend(character.to_uppercase());
        }
        inside = character.is_alphanumeric();
    }
}

fn translate(text: &str, from: &str, to: &str, out: &mut String) {
    for character in text.chars() {
        match from.chars().position(|candidate| candidate == character) {
            None => out.push(character),
            Some(index) => out.extend(to.chars().nth(index)),
        }
    }
}

fn position(text: &str, part: &str) -> i32 {
    memchr::memmem::find(text.as_bytes(), part.as_bytes())
        .map_or(0, |offset| character_count(&text[..offset]) as i32 + 1)
}

fn split_part<'a>(text: &'a str, delimiter: &str, field: i32) -> Result<&'a str> {
    if field == 0 {
        return Err(invalid_parameter("field position must not be zero"));
    }
    if text.is_empty() {
        return Ok("");
    }
    if delimiter.is_empty() {
        return Ok(if field == 1 || field == -1 { text } else { "" });
    }
    let index = field.unsigned_abs() as usize - 1;
    Ok(if field > 0 { text.split(delimiter).nth(index) } else { text.rsplit(delimiter).nth(index) }
        .unwrap_or(""))
}

fn repeat(text: &str, count: i32, environment: &dyn Environment, out: &mut String) -> Result<()> {
    let count = count.max(0) as usize;
    if text.len().saturating_mul(count) > limits::VALUE_BYTES_MAX {
        return Err(too_long());
    }
    environment.room_for(text.len() * count)?;
    out.reserve(text.len() * count);
    (0..count).for_each(|_| out.push_str(text));
    Ok(())
}

fn replace(
    (text, from, to): (&str, &str, &str),
    environment: &dyn Environment,
    out: &mut String,
) -> Result<()> {
    if from.is_empty() {
        out.push_str(text);
        return Ok(());
    }
    if to.len() > from.len() && text.len().saturating_mul(to.len()) > COUNTED_BYTES {
        let count = memchr::memmem::find_iter(text.as_bytes(), from.as_bytes()).count();
        environment.room_for(text.len() + count * (to.len() - from.len()))?;
    }
    let mut start = 0;
    for at in memchr::memmem::find_iter(text.as_bytes(), from.as_bytes()) {
        out.push_str(&text[start..at]);
        out.push_str(to);
        start = at + from.len();
        if out.len() > limits::VALUE_BYTES_MAX {
            return Err(too_long());
        }
    }
    out.push_str(&text[start..]);
    Ok(())
}

fn overlay(text: &str, new: &str, start: i32, length: i32, out: &mut String) -> Result<()> {
    if start <= 0 {
        return Err(Error::new(SqlState::SUBSTRING_ERROR, "negative substring length not allowed"));
    }
    let end = start.checked_add(length).ok_or_else(|| super::arithmetic::out_of_range("integer"))?;
    out.push_str(substring(text, 1, Some(start - 1))?);
    out.push_str(new);
    out.push_str(substring(text, end, None)?);
    Ok(())
}

fn chr(code: i32, out: &mut String) -> Result<()> {
    match code {
        0 => return Err(Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "null character not permitted")),
        code if code < 0 => {
            return Err(invalid_parameter("character number must be positive"));
        }
        code => match char::from_u32(code as u32) {
            Some(character) => out.push(character),
            None => {
                let message = format!("requested character not valid for encoding: {code}");
                return Err(Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
            }
        },
    }
    Ok(())
}

/// `\\XXXX`, `\\+XXXXXX`, `\\uXXXX` and `\\UXXXXXXXX` as characters, `\\\\` as a backslash.
fn unistr(text: &str, out: &mut String) -> Result<()> {
    let wrong = |message: &str| Error::new(SqlState::SYNTAX_ERROR, message);
    let mut rest = text;
    // The first half of a surrogate pair.
    let mut high: Option<u32> = None;
    while let Some(at) = rest.find('\\') {
        if at > 0 && high.is_some() {
            return Err(wrong("invalid Unicode surrogate pair"));
        }
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('\\') {
            out.push('\\');
            rest = after;
            continue;
        }
        let (skip, digits) = match rest.bytes().next() {
            Some(b'+') => (1, 6),
            Some(b'u') => (1, 4),
            Some(b'U') => (1, 8),
            _ => (0, 4),
        };
        let hex =
            rest.get(skip..skip + digits).filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let Some(code) = hex.and_then(|hex| u32::from_str_radix(hex, 16).ok()) else {
            return Err(wrong("invalid Unicode escape")
                .hint("Unicode escapes must be \\XXXX, \\+XXXXXX, \\uXXXX, or \\UXXXXXXXX."));
        };
        rest = &rest[skip + digits..];
        let code = match (high.take(), code) {
            (Some(high), 0xDC00..=0xDFFF) => 0x1_0000 + ((high - 0xD800) << 10) + (code - 0xDC00),
            (Some(_), _) | (None, 0xDC00..=0xDFFF) => return Err(wrong("invalid Unicode surrogate pair")),
            (None, 0xD800..=0xDBFF) => {
                high = Some(code);
                continue;
            }
            (None, code) => code,
        };
        match char::from_u32(code) {
            Some(character) if code != 0 => out.push(character),
            _ => return Err(wrong(&format!("invalid Unicode code point: {code:04X}"))),
        }
    }
    if high.is_some() {
        return Err(wrong("invalid Unicode surrogate pair"));
    }
    out.push_str(rest);
    Ok(())
}

/// Words that cannot stand unquoted as a column name (PostgreSQL's reserved and type-or-function key words).
const QUOTED_WORDS: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "between",
    "bigint",
    "binary",
    "bit",
    "boolean",
    "both",
    "case",
    "cast",
    "char",
    "character",
    "check",
    "coalesce",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "dec",
    "decimal",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "exists",
    "extract",
    "false",
    "fetch",
    "float",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "greatest",
    "group",
    "grouping",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "inout",
    "int",
    "integer",
    "intersect",
    "interval",
    "into",
    "is",
    "isnull",
    "join",
    "lateral",
    "leading",
    "least",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "national",
    "natural",
    "nchar",
    "none",
    "normalize",
    "not",
    "notnull",
    "null",
    "nullif",
    "numeric",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "out",
    "outer",
    "overlaps",
    "overlay",
    "placing",
    "position",
    "precision",
    "primary",
    "real",
    "references",
    "returning",
    "right",
    "row",
    "select",
    "session_user",
    "setof",
    "similar",
    "smallint",
    "some",
    "substring",
    "symmetric",
    "table",
    "tablesample",
    "then",
    "time",
    "timestamp",
    "to",
    "trailing",
    "treat",
    "trim",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "values",
    "varchar",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
    "xmlattributes",
    "xmlconcat",
    "xmlelement",
    "xmlexists",
    "xmlforest",
    "xmlnamespaces",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmltable",
];

/// Appends `name` as SQL writes it: in quotes where it needs them.
pub fn quote_identifier(name: &str, out: &mut String) {
    let plain = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte == b'_')
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        && QUOTED_WORDS.binary_search(&name).is_err();
    if plain {
        out.push_str(name);
        return;
    }
    out.push('"');
    for character in name.chars() {
        if character == '"' {
            out.push('"');
        }
        out.push(character);
    }
    out.push('"');
}

pub(super) fn quote_literal(text: &str, out: &mut String) {
    let backslash = text.contains('\\');
    if backslash {
        out.push_str(" E");
        out.remove(out.len() - 2);
    }
    out.push('\'');
    for character in text.chars() {
        if character == '\'' || character == '\\' {
            out.push(character);
        }
        out.push(character);
    }
    out.push('\'');
}

/// `trim` of characters in a set, at the ends that are asked for.
fn trim<'a>(text: &'a str, set: &str, start: bool, end: bool) -> &'a str {
    let mut rest = text;
    if start {
        rest = rest.trim_start_matches(|character| set.contains(character));
    }
    if end {
        rest = rest.trim_end_matches(|character| set.contains(character));
    }
    rest
}

macro_rules! slice {
    ($name:literal, ($($argument:ty),*), $documentation:literal, $body:expr) => {
        text_function!($name, ($($argument),*), Immutable, $documentation, |values, environment, out| {
            let part: &str = $body(values)?;
            environment.room_for(part.len())?;
            out.push_str(part);
            Ok(true)
        })
    };
}

macro_rules! write_text {
    ($name:literal, ($($argument:ty),*), $documentation:literal, |$values:pat_param, $out:ident| $body:expr) => {
        text_function!($name, ($($argument),*), Immutable, $documentation, |$values, _, $out| {
            $body;
            Ok(true)
        })
    };
}

/// As `write_text`, for what may become much longer than its arguments.
macro_rules! grow_text {
    ($name:literal, ($($argument:ty),*), $documentation:literal, |$values:pat_param, $environment:ident, $out:ident| $body:expr) => {
        text_function!($name, ($($argument),*), Immutable, $documentation, |$values, $environment, $out| {
            $body?;
            Ok(true)
        })
    };
}

static LENGTHS: &[ScalarFunction] = &[
    function!("length", (Text) -> Int4, Immutable, "characters", |(text,), _| Ok(character_count(text) as i32)),
    function!("length", (Char) -> Int4, Immutable, "characters without padding", |(text,), _| Ok(character_count(text.trim_end_matches(' ')) as i32)),
    function!("length", (Bytea) -> Int4, Immutable, "bytes", |(bytes,), _| Ok(bytes.len() as i32)),
    function!("char_length", (Text) -> Int4, Immutable, "characters", |(text,), _| Ok(character_count(text) as i32)),
    function!("char_length", (Char) -> Int4, Immutable, "characters without padding", |(text,), _| Ok(character_count(text.trim_end_matches(' ')) as i32)),
    function!("character_length", (Text) -> Int4, Immutable, "characters", |(text,), _| Ok(character_count(text) as i32)),
    function!("character_length", (Char) -> Int4, Immutable, "characters without padding", |(text,), _| Ok(character_count(text.trim_end_matches(' ')) as i32)),
    function!("octet_length", (Text) -> Int4, Immutable, "bytes", |(text,), _| Ok(text.len() as i32)),
    function!("octet_length", (Char) -> Int4, Immutable, "bytes", |(text,), _| Ok(text.len() as i32)),
    function!("octet_length", (Bytea) -> Int4, Immutable, "bytes", |(bytes,), _| Ok(bytes.len() as i32)),
    function!("bit_length", (Text) -> Int4, Immutable, "bits", |(text,), _| Ok(text.len() as i32 * 8)),
    function!("bit_length", (Bytea) -> Int4, Immutable, "bits", |(bytes,), _| Ok(bytes.len() as i32 * 8)),
    function!("ascii", (Text) -> Int4, Immutable, "code point of the first character", |(text,), _| Ok(text.chars().next().map_or(0, |c| c as i32))),
    function!("position", (Text, Text) -> Int4, Immutable, "where the second text first occurs in the first, from 1; else 0", |(text, part), _| Ok(position(text, part))),
    function!("strpos", (Text, Text) -> Int4, Immutable, "where the second text first occurs in the first, from 1; else 0", |(text, part), _| Ok(position(text, part))),
    function!("starts_with", (Text, Text) -> Bool, Immutable, "whether the first text begins with the second", |(text, part), _| Ok(text.starts_with(part))),
    function!("^@", (Text, Text) -> Bool, Immutable, "whether the first text begins with the second", |(text, part), _| Ok(text.starts_with(part))),
];

static CASE: &[ScalarFunction] = &[
    write_text!("lower", (Text), "in lower case", |(text,), out| {
        if text.is_ascii() {
            out.push_str(text);
            out.make_ascii_lowercase();
        } else {
            out.extend(text.chars().flat_map(char::to_lowercase));
        }
    }),
    write_text!("upper", (Text), "in upper case", |(text,), out| {
        if text.is_ascii() {
            out.push_str(text);
            out.make_ascii_uppercase();
        } else {
            out.extend(text.chars().flat_map(char::to_uppercase));
        }
    }),
    text_function!("unistr", (Text), Immutable, "Unicode escapes as characters", |(text,), _, out| {
        unistr(text, out)?;
        Ok(true)
    }),
    write_text!("initcap", (Text), "first letters in upper case, others in lower", |(text,), out| initcap(
        text, out
    )),
];

static PARTS: &[ScalarFunction] = &[
    slice!("substr", (Text, Int4), "from a character on", |(text, start)| substring(text, start, None)),
    slice!(
        "substr",
        (Text, Int4, Int4),
        "so many characters from one on",
        |(text, start, length)| substring(text, start, Some(length))
    ),
    slice!("substring", (Text, Int4), "from a character on", |(text, start)| substring(text, start, None)),
    slice!("substring", (Text, Int4, Int4), "so many characters from one on", |(text, start, length)| {
        substring(text, start, Some(length))
    }),
    slice!("left", (Text, Int4), "first characters; negative: all but the last", |(text, count)| Ok::<
        _,
        Error,
    >(left(
        text, count
    ))),
    slice!("right", (Text, Int4), "last characters; negative: all but the first", |(text, count)| Ok::<
        _,
        Error,
    >(
        right(text, count)
    )),
    slice!("ltrim", (Text), "without blanks at the start", |(text,)| Ok::<_, Error>(trim(
        text, " ", true, false
    ))),
    slice!("ltrim", (Text, Text), "without these characters at the start", |(text, set)| Ok::<_, Error>(
        trim(text, set, true, false)
    )),
    slice!("rtrim", (Text), "without blanks at the end", |(text,)| Ok::<_, Error>(trim(
        text, " ", false, true
    ))),
    slice!("rtrim", (Text, Text), "without these characters at the end", |(text, set)| Ok::<_, Error>(trim(
        text, set, false, true
    ))),
    slice!("btrim", (Text), "without blanks at both ends", |(text,)| Ok::<_, Error>(trim(
        text, " ", true, true
    ))),
    slice!("btrim", (Text, Text), "without these characters at both ends", |(text, set)| Ok::<_, Error>(
        trim(text, set, true, true)
    )),
    slice!("trim", (Text), "without blanks at both ends", |(text,)| Ok::<_, Error>(trim(
        text, " ", true, true
    ))),
    slice!("trim", (Text, Text), "without these characters at both ends", |(text, set)| Ok::<_, Error>(
        trim(text, set, true, true)
    )),
    slice!(
        "split_part",
        (Text, Text, Int4),
        "a field between delimiters, from 1; negative: from the end",
        |(text, delimiter, field)| split_part(text, delimiter, field)
    ),
];

static BUILD: &[ScalarFunction] = &[
    text_function!(
        "||",
        (Text, Text),
        Immutable,
        "both texts, one after the other",
        |(a, b), environment, out| {
            environment.room_for(a.len() + b.len())?;
            out.reserve(a.len() + b.len());
            out.push_str(a);
            out.push_str(b);
            Ok(true)
        }
    ),
    grow_text!(
        "lpad",
        (Text, Int4),
        "filled with blanks at the start, or cut",
        |(text, length), environment, out| pad((text, length, " "), true, environment, out)
    ),
    grow_text!("lpad", (Text, Int4, Text), "filled at the start, or cut", |values, environment, out| pad(
        values,
        true,
        environment,
        out
    )),
    grow_text!(
        "rpad",
        (Text, Int4),
        "filled with blanks at the end, or cut",
        |(text, length), environment, out| pad((text, length, " "), false, environment, out)
    ),
    grow_text!("rpad", (Text, Int4, Text), "filled at the end, or cut", |values, environment, out| pad(
        values,
        false,
        environment,
        out
    )),
    grow_text!("replace", (Text, Text, Text), "every occurrence replaced", |values, environment, out| {
        replace(values, environment, out)
    }),
    write_text!(
        "translate",
        (Text, Text, Text),
        "characters replaced one by one, or removed",
        |(text, from, to), out| translate(text, from, to, out)
    ),
    write_text!("reverse", (Text), "characters from the end to the start", |(text,), out| out
        .extend(text.chars().rev())),
    grow_text!("repeat", (Text, Int4), "so many times the text", |(text, count), environment, out| repeat(
        text,
        count,
        environment,
        out
    )),
    write_text!(
        "overlay",
        (Text, Text, Int4),
        "characters from a position replaced",
        |(text, new, start), out| overlay(text, new, start, character_count(new) as i32, out)?
    ),
    write_text!(
        "overlay",
        (Text, Text, Int4, Int4),
        "so many characters from a position replaced",
        |(text, new, start, length), out| overlay(text, new, start, length, out)?
    ),
    write_text!("chr", (Int4), "the character with a code point", |(code,), out| chr(code, out)?),
    write_text!("to_hex", (Int4), "hexadecimal", |(value,), out| out.push_str(&format!("{value:x}"))),
    write_text!("to_hex", (Int8), "hexadecimal", |(value,), out| out.push_str(&format!("{value:x}"))),
    write_text!("quote_ident", (Text), "as an SQL identifier, in quotes where needed", |(text,), out| {
        quote_identifier(text, out)
    }),
    write_text!("quote_literal", (Text), "as an SQL string literal", |(text,), out| quote_literal(text, out)),
];

pub(super) static TABLES: &[&[ScalarFunction]] = &[LENGTHS, CASE, PARTS, BUILD];
