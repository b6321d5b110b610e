//! Regular expressions: PostgreSQL's advanced syntax translated for the crate `regex`, which runs in linear time.
//! Different from PostgreSQL: the first matching alternative wins, not the longest; back references and
//! look-around are refused.

use crate::error::{Error, Result, SqlState};
use crate::sql::functions::kernel::{Bool, Int4, Nullable, Text, function, text_function};
use crate::sql::functions::registry::ScalarFunction;
use crate::sql::functions::text::{byte_offset, character_count, invalid_parameter};
use regex::{Regex, RegexBuilder};
use std::cell::RefCell;

/// Expressions a thread keeps compiled.
const CACHE_ENTRIES_MAX: usize = 32;
/// Bytes one compiled expression may take.
const COMPILED_BYTES_MAX: usize = 4 << 20;

/// How an expression is to be read, from flag letters.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Flags {
    ignore_case: bool,
    /// `n`: `.` and negated brackets do not match a line's end, `^` and `$` stand at lines.
    lines: bool,
    /// `x`: blanks and comments do not count.
    expanded: bool,
    /// `q`: the text itself.
    literal: bool,
    /// `g`: every match.
    global: bool,
}

fn flags(letters: &str) -> Result<Flags> {
    let mut flags = Flags::default();
    for letter in letters.chars() {
        match letter {
            'i' => flags.ignore_case = true,
            'c' => flags.ignore_case = false,
            'n' | 'm' | 'p' | 'w' => flags.lines = true,
            's' => flags.lines = false,
            'x' => flags.expanded = true,
            't' => flags.expanded = false,
            'q' => flags.literal = true,
            'g' => flags.global = true,
            'e' | 'b' => {}
            _ => {
                return Err(invalid_parameter(format!("invalid regular expression option: \"{letter}\"")));
            }
        }
    }
    Ok(flags)
}

thread_local! {
    static CACHE: RefCell<Vec<(String, Flags, Regex)>> = const { RefCell::new(Vec::new()) };
}

/// The compiled expression, from the thread's cache where it is there.
fn compile(pattern: &str, flags: Flags) -> Result<Regex> {
    let flags = Flags { global: false, ..flags };
    let cached = CACHE.with_borrow_mut(|cache| {
        let at = cache.iter().position(|(text, with, _)| *with == flags && text == pattern)?;
        cache[..=at].rotate_right(1);
        Some(cache[0].2.clone())
    });
    if let Some(regex) = cached {
        return Ok(regex);
    }
    let translated = if flags.literal { regex::escape(pattern) } else { translate(pattern) };
    let regex = RegexBuilder::new(&translated)
        .case_insensitive(flags.ignore_case)
        .dot_matches_new_line(!flags.lines)
        .multi_line(flags.lines)
        .ignore_whitespace(flags.expanded)
        .size_limit(COMPILED_BYTES_MAX)
        .build()
        .map_err(|error| {
            let text = error.to_string();
            let reason =
                text.lines().last().unwrap_or("syntax error").trim_start_matches("error: ").to_owned();
            Error::new(SqlState::INVALID_REGULAR_EXPRESSION, format!("invalid regular expression: {reason}"))
        })?;
    CACHE.with_borrow_mut(|cache| {
        cache.truncate(CACHE_ENTRIES_MAX - 1);
        cache.insert(0, (pattern.to_owned(), flags, regex.clone()));
    });
    Ok(regex)
}

/// PostgreSQL's word boundaries and bracket rules in the crate's syntax; a leading `***:` or `***=` is a director.
fn translate(pattern: &str) -> String {
    if let Some(literal) = pattern.strip_prefix("***=") {
        return regex::escape(literal);
    }
    let pattern = pattern.strip_prefix("***:").unwrap_or(pattern);
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some('y') => out.push_str(r"\b"),
                Some('Y') => out.push_str(r"\B"),
                Some('m') => out.push_str(r"\b{start}"),
                Some('M') => out.push_str(r"\b{end}"),
                Some('Z') => out.push_str(r"\z"),
                Some(escaped) => {
                    out.push('\\');
                    out.push(escaped);
                }
                None => out.push('\\'),
            },
            '[' => {
                out.push('[');
                if characters.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
                if characters.next_if_eq(&']').is_some() {
                    out.push_str("\\]");
                }
                translate_bracket(&mut characters, &mut out);
            }
            other => out.push(other),
        }
    }
    out
}

fn translate_bracket(characters: &mut std::iter::Peekable<std::str::Chars<'_>>, out: &mut String) {
    while let Some(character) = characters.next() {
        match character {
            ']' => {
                out.push(']');
                return;
            }
            '[' if characters.peek() == Some(&':') => {
                out.push('[');
                // A class such as [:alpha:], up to its own bracket.
                for inner in characters.by_ref() {
                    out.push(inner);
                    if inner == ']' {
                        break;
                    }
                }
            }
            '[' | '&' | '~' => {
                out.push('\\');
                out.push(character);
            }
            '\\' => {
                out.push('\\');
                out.extend(characters.next());
            }
            other => out.push(other),
        }
    }
}

fn matches(text: &str, pattern: &str, ignore_case: bool) -> Result<bool> {
    Ok(compile(pattern, Flags { ignore_case, ..Flags::default() })?.is_match(text))
}

/// The first group where there is one, else the whole match.
fn substring<'a>(text: &'a str, pattern: &str) -> Result<Option<&'a str>> {
    let regex = compile(pattern, Flags::default())?;
    Ok(regex.captures(text).and_then(|found| {
        let group = if regex.captures_len() > 1 { found.get(1) } else { found.get(0) };
        group.map(|group| group.as_str())
    }))
}

/// Appends the replacement: `\1` to `\9` are groups, `\&` the whole match, `\\` a backslash.
fn expand(found: &regex::Captures<'_>, replacement: &str, out: &mut String) {
    let mut characters = replacement.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            out.push(character);
            continue;
        }
        match characters.next() {
            Some('&') => out.push_str(found.get(0).map_or("", |group| group.as_str())),
            Some(digit @ '1'..='9') => {
                out.push_str(found.get(digit as usize - '0' as usize).map_or("", |group| group.as_str()));
            }
            Some('\\') | None => out.push('\\'),
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
        }
    }
}

/// Replaces the `which`-th match (0: all of them) at or after character `start` (from 1).
fn replace(
    text: &str,
    pattern: &str,
    replacement: &str,
    flags: Flags,
    start: i32,
    which: usize,
    out: &mut String,
) -> Result<()> {
    let regex = compile(pattern, flags)?;
    let begin = byte_offset(text, start as usize - 1);
    let mut copied = 0;
    let mut number = 0;
    for found in regex.captures_iter(text) {
        let Some(whole) = found.get(0) else { continue };
        if whole.start() < begin {
            continue;
        }
        number += 1;
        if which != 0 && number != which {
            continue;
        }
        out.push_str(&text[copied..whole.start()]);
        expand(&found, replacement, out);
        copied = whole.end();
        if out.len() > crate::common::limits::VALUE_BYTES_MAX {
            return Err(crate::sql::functions::text::too_long());
        }
        if which != 0 {
            break;
        }
    }
    out.push_str(&text[copied..]);
    Ok(())
}

fn check_start(start: i32) -> Result<i32> {
    if start < 1 {
        Err(invalid_parameter(format!("invalid value for parameter \"start\": {start}")))
    } else {
        Ok(start)
    }
}

fn count(text: &str, pattern: &str, start: i32, letters: &str) -> Result<i32> {
    let begin = byte_offset(text, check_start(start)? as usize - 1);
    let regex = compile(pattern, flags(letters)?)?;
    Ok(regex.find_iter(text).filter(|found| found.start() >= begin).count() as i32)
}

/// The character position of the first match, from 1; 0 when there is none.
fn position(text: &str, pattern: &str) -> Result<i32> {
    let found = compile(pattern, Flags::default())?.find(text).map(|found| found.start());
    Ok(found.map_or(0, |start| character_count(&text[..start]) as i32 + 1))
}

macro_rules! matching {
    ($name:literal, $documentation:literal, $ignore_case:literal, $wanted:literal) => {
        function!($name, (Text, Text) -> Bool, Immutable, $documentation, |(text, pattern), _| {
            Ok(matches(text, pattern, $ignore_case)? == $wanted)
        })
    };
}

static FUNCTIONS: &[ScalarFunction] = &[
    matching!("~", "matches the regular expression", false, true),
    matching!("~*", "matches the regular expression, whatever the case", true, true),
    matching!("!~", "does not match the regular expression", false, false),
    matching!("!~*", "does not match the regular expression, whatever the case", true, false),
    matching!("regexp_like", "matches the regular expression", false, true),
    function!("regexp_like", (Text, Text, Text) -> Bool, Immutable, "matches the regular expression, with flags", |(text, pattern, letters), _| Ok(compile(pattern, flags(letters)?)?.is_match(text))),
    function!("regexp_count", (Text, Text) -> Int4, Immutable, "number of matches", |(text, pattern), _| count(text, pattern, 1, "")),
    function!("regexp_count", (Text, Text, Int4) -> Int4, Immutable, "number of matches from a character on", |(text, pattern, start), _| count(text, pattern, start, "")),
    function!("regexp_count", (Text, Text, Int4, Text) -> Int4, Immutable, "number of matches from a character on, with flags", |(text, pattern, start, letters), _| count(text, pattern, start, letters)),
    function!("regexp_instr", (Text, Text) -> Int4, Immutable, "position of the first match, from 1; else 0", |(text, pattern), _| position(text, pattern)),
    function!("regexp_substr", (Text, Text) -> Nullable<Text>, Immutable, "the first match", |(text, pattern), _| Ok(compile(pattern, Flags::default())?.find(text).map(|found| found.as_str().to_owned()))),
    text_function!(
        "substring",
        (Text, Text),
        Immutable,
        "the first match, or its first group",
        |(text, pattern), _, out| {
            let found = substring(text, pattern)?;
            out.push_str(found.unwrap_or(""));
            Ok(found.is_some())
        }
    ),
    text_function!(
        "regexp_replace",
        (Text, Text, Text),
        Immutable,
        "the first match replaced",
        |(text, pattern, replacement), _, out| {
            replace(text, pattern, replacement, Flags::default(), 1, 1, out)?;
            Ok(true)
        }
    ),
    text_function!(
        "regexp_replace",
        (Text, Text, Text, Text),
        Immutable,
        "matches replaced, with flags; `g`: all",
        |(text, pattern, replacement, letters), _, out| {
            let flags = flags(letters)?;
            replace(text, pattern, replacement, flags, 1, usize::from(!flags.global), out)?;
            Ok(true)
        }
    ),
    text_function!(
        "regexp_replace",
        (Text, Text, Text, Int4),
        Immutable,
        "the first match from a character on replaced",
        |(text, pattern, replacement, start), _, out| {
            replace(text, pattern, replacement, Flags::default(), check_start(start)?, 1, out)?;
            Ok(true)
        }
    ),
    text_function!(
        "regexp_replace",
        (Text, Text, Text, Int4, Int4),
        Immutable,
        "the n-th match from a character on replaced; 0: all",
        |(text, pattern, replacement, start, number), _, out| {
            if number < 0 {
                return Err(invalid_parameter(format!("invalid value for parameter \"n\": {number}")));
            }
            replace(text, pattern, replacement, Flags::default(), check_start(start)?, number as usize, out)?;
            Ok(true)
        }
    ),
];

pub(super) static TABLES: &[&[ScalarFunction]] = &[FUNCTIONS];
