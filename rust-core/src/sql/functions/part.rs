//! What functions need of a long value, so that a table need not read the rest: its length, some of its bytes, whether
//! it is there at all.
//!
//! A function that needs a part is two: one that gives the part and never fails, which a table can answer without
//! the whole value, and one over the part that gives the function's result or its error. The second runs where the
//! function stood, so an error comes for no row that the function was not called for.
//! Knows values. Knows nothing of tables or of where a value lies.

use crate::error::{Error, Result, SqlState};
use crate::sql::functions::bytes::index;
use crate::sql::functions::kernel::{Bytea, Int4, Text, function, text_function};
use crate::sql::functions::registry::ScalarFunction;
use crate::sql::functions::text::byte_offset;
use crate::sql::types::data_type::DataType;

/// What of a value is needed. Numbers are the function's arguments after the value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PartKind {
    /// Whether it is NULL; an empty value stands for one that is not.
    Presence,
    /// The value, unless its row only points to it: then an empty value stands for it.
    InRow,
    /// How many bytes it has.
    OctetLength,
    /// How many characters it has.
    CharacterLength,
    /// Bytes from one on (from 1), perhaps so many.
    Bytes,
    /// Characters from one on (from 1), perhaps so many.
    Characters,
    /// The first characters; a negative number: all but the last.
    FirstCharacters,
    /// How many bytes it has, and one of them (from 0) if there is such a one.
    Byte,
}

/// A function in two.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// What is needed.
    pub kind: PartKind,
    /// Gives the part: the same arguments. Never fails.
    pub value: &'static ScalarFunction,
    /// Gives the result, with the part in the place of the value; `None`: the part is the result.
    pub result: Option<&'static ScalarFunction>,
}

/// The bytes `from..to` (from 0) that `start` (from 1) and `length` mean; none where the length is negative.
pub fn range(start: i32, length: Option<i32>) -> (u64, u64) {
    let from = i64::from(start).max(1) - 1;
    let to = match length {
        None => i64::MAX,
        Some(length) if length < 0 => 0,
        Some(length) => (i64::from(start) + i64::from(length) - 1).max(0),
    };
    (from.min(to) as u64, to as u64)
}

fn cut_bytes(bytes: &[u8], start: i32, length: i32) -> Vec<u8> {
    let (from, to) = range(start, Some(length));
    let clamped = |end: u64| end.min(bytes.len() as u64) as usize;
    bytes[clamped(from)..clamped(to)].to_vec()
}

fn cut_text(text: &str, start: i32, length: i32) -> &str {
    let (from, to) = range(start, Some(length));
    let rest = &text[byte_offset(text, from as usize)..];
    &rest[..byte_offset(rest, (to - from) as usize)]
}

/// What [`PartKind::Byte`] gives: the length in four bytes, then the byte.
pub fn byte_part(length: usize, byte: Option<u8>) -> Vec<u8> {
    let mut part = (length as u32).to_be_bytes().to_vec();
    part.extend(byte);
    part
}

fn byte_of(bytes: &[u8], at: i32) -> Vec<u8> {
    let byte = usize::try_from(at).ok().and_then(|at| bytes.get(at));
    byte_part(bytes.len(), byte.copied())
}

fn byte_result(part: &[u8], at: i32) -> Result<i32> {
    let length = part.first_chunk::<4>().map_or(0, |length| u32::from_be_bytes(*length));
    index(i64::from(at), i64::from(length))?;
    part.get(4).map(|byte| i32::from(*byte)).ok_or_else(|| Error::internal("a byte was not read"))
}

fn check_length(length: i32) -> Result<()> {
    if length < 0 {
        return Err(Error::new(SqlState::SUBSTRING_ERROR, "negative substring length not allowed"));
    }
    Ok(())
}

macro_rules! substring_results {
    ($name:literal) => {
        [
            function!($name, (Bytea, Int4, Int4) -> Bytea, Immutable, "", |(part, _, length), _| {
                check_length(length).map(|()| part.to_vec())
            }),
            text_function!($name, (Text, Int4, Int4), Immutable, "", |(part, _, length), _, out| {
                check_length(length)?;
                out.push_str(part);
                Ok(true)
            }),
        ]
    };
}

/// Give parts. Not in the registry: no statement can name them.
static PRESENCE: [ScalarFunction; 2] = [
    function!("presence", (Bytea) -> Bytea, Immutable, "", |(_,), _| Ok(Vec::new())),
    text_function!("presence", (Text), Immutable, "", |(_,), _, _| Ok(true)),
];
static CUT: [ScalarFunction; 2] = [
    function!("substr", (Bytea, Int4, Int4) -> Bytea, Immutable, "", |(bytes, start, length), _| {
        Ok(cut_bytes(bytes, start, length))
    }),
    text_function!("substr", (Text, Int4, Int4), Immutable, "", |(text, start, length), _, out| {
        out.push_str(cut_text(text, start, length));
        Ok(true)
    }),
];
static BYTE: ScalarFunction =
    function!("get_byte", (Bytea, Int4) -> Bytea, Immutable, "", |(bytes, at), _| Ok(byte_of(bytes, at)));

/// Give results of parts. They go by the names of the functions that they are the rest of.
static SUBSTR: [ScalarFunction; 2] = substring_results!("substr");
static SUBSTRING: [ScalarFunction; 2] = substring_results!("substring");
static GET_BYTE: ScalarFunction =
    function!("get_byte", (Bytea, Int4) -> Int4, Immutable, "", |(part, at), _| byte_result(part, at));

/// What gives a part, with the part.
fn hidden_value(function: &'static ScalarFunction) -> Option<PartKind> {
    let is = |one: &'static ScalarFunction| std::ptr::eq(function, one);
    if PRESENCE.iter().any(is) {
        return Some(PartKind::Presence);
    }
    if is(&BYTE) {
        return Some(PartKind::Byte);
    }
    match (is(&CUT[0]), is(&CUT[1])) {
        (true, _) => Some(PartKind::Bytes),
        (_, true) => Some(PartKind::Characters),
        _ => None,
    }
}

/// Whether the part that `function` gives is what a statement called: not what is made of a part.
pub fn shows_itself(function: &'static ScalarFunction) -> bool {
    hidden_value(function).is_none()
}

/// The function in two, if it needs but a part of its first argument.
pub fn part_of(function: &'static ScalarFunction) -> Option<Part> {
    if let Some(kind) = hidden_value(function) {
        return Some(Part { kind, value: function, result: None });
    }
    let is = |one: &'static ScalarFunction| std::ptr::eq(function, one);
    if SUBSTR.iter().any(is) || SUBSTRING.iter().any(is) || is(&GET_BYTE) {
        return None;
    }
    let is_text = match function.arguments.first()? {
        DataType::Text => true,
        DataType::Bytea => false,
        _ => return None,
    };
    let whole = |kind| Some(Part { kind, value: function, result: None });
    let of_type = usize::from(is_text);
    match (function.name, &function.arguments[1..]) {
        ("octet_length", []) => whole(PartKind::OctetLength),
        ("length", []) if !is_text => whole(PartKind::OctetLength),
        ("length" | "char_length" | "character_length", []) if is_text => whole(PartKind::CharacterLength),
        ("left", [DataType::Integer]) if is_text => whole(PartKind::FirstCharacters),
        ("substr" | "substring", [DataType::Integer]) => {
            whole(if is_text { PartKind::Characters } else { PartKind::Bytes })
        }
        (name @ ("substr" | "substring"), [DataType::Integer, DataType::Integer]) => Some(Part {
            kind: if is_text { PartKind::Characters } else { PartKind::Bytes },
            value: &CUT[of_type],
            result: Some(if name == "substr" { &SUBSTR[of_type] } else { &SUBSTRING[of_type] }),
        }),
        ("get_byte", [DataType::Integer]) => {
            Some(Part { kind: PartKind::Byte, value: &BYTE, result: Some(&GET_BYTE) })
        }
        _ => None,
    }
}

/// Tells whether a value of this type is NULL; `None`: values of the type are never long.
pub fn presence_of(data_type: DataType) -> Option<Part> {
    let value = match data_type {
        DataType::Bytea => &PRESENCE[0],
        DataType::Text | DataType::Varchar => &PRESENCE[1],
        _ => return None,
    };
    Some(Part { kind: PartKind::Presence, value, result: None })
}

/// What a call of `function` needs of its first argument, if it is one that gives a part.
pub fn kind_of_value(function: &'static ScalarFunction) -> Option<PartKind> {
    part_of(function).filter(|part| part.result.is_none()).map(|part| part.kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::random::Random;
    use crate::sql::functions::registry::Registry;
    use crate::sql::functions::tests::TestSession;
    use crate::sql::types::datum::{Datum, DatumRef};

    fn shown(result: Result<Datum>) -> String {
        match result {
            Ok(value) => format!("{value:?}"),
            Err(error) => format!("{} {}", error.state(), error.message()),
        }
    }

    #[test]
    fn a_function_in_two_gives_what_it_gives_in_one() {
        let environment = TestSession;
        let registry = Registry::get();
        let mut random = Random::new(91);
        let integer = |random: &mut Random| match random.below(8) {
            0 => i32::MIN,
            1 => i32::MAX,
            2 => 0,
            _ => random.below(24) as i32 - 6,
        };
        let (bytea, text, int4) = (DataType::Bytea, DataType::Text, DataType::Integer);
        let signatures: Vec<(&str, Vec<DataType>)> = [bytea, text]
            .into_iter()
            .flat_map(|of| {
                let mut all = vec![("octet_length", vec![of]), ("length", vec![of])];
                for name in ["substr", "substring"] {
                    all.push((name, vec![of, int4]));
                    all.push((name, vec![of, int4, int4]));
                }
                all.push(if of == text { ("left", vec![of, int4]) } else { ("get_byte", vec![of, int4]) });
                all
            })
            .collect();
        for round in 0..3000 {
            let (name, types) = &signatures[random.below(signatures.len() as u64) as usize];
            let whole = registry.scalar_exact(name, types).unwrap();
            let part = part_of(whole).unwrap();
            assert_eq!(kind_of_value(part.value), Some(part.kind), "{name}");
            let content: String = "až𝄞b".chars().cycle().take(random.below(12) as usize).collect();
            let value =
                if types[0] == text { DatumRef::Text(&content) } else { DatumRef::Bytes(content.as_bytes()) };
            let mut arguments = vec![value];
            arguments.extend((1..types.len()).map(|_| DatumRef::Integer(integer(&mut random))));
            let expected = shown((whole.scalar)(&arguments, &environment));
            let given = (part.value.scalar)(&arguments, &environment).unwrap();
            let found = match part.result {
                None => Ok(given),
                Some(result) => {
                    arguments[0] = given.as_ref();
                    (result.scalar)(&arguments, &environment)
                }
            };
            assert_eq!(shown(found), expected, "round {round}: {name}{arguments:?}");
        }
    }
}
