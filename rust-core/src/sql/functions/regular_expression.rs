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
    check_at_least(start, 1, "start")
}

fn check_at_least(value: i32, least: i32, name: &str) -> Result<i32> {
    if value < least {
        Err(invalid_parameter(format!("invalid value for parameter \"{name}\": {value}")))
    } else {
        Ok(value)
    }
}

/// The flags of a function that looks at all matches or one by number.
fn flags_without_global(letters: &str, name: &str) -> Result<Flags> {
    let flags = flags(letters)?;
    if flags.global {
        return Err(invalid_parameter(format!("{name}() does not support the \"global\" option")));
    }
    Ok(flags)
}

fn like(text: &str, pattern: &str, letters: &str) -> Result<bool> {
    Ok(compile(pattern, flags_without_global(letters, "regexp_like")?)?.is_match(text))
}

fn count(text: &str, pattern: &str, start: i32, letters: &str) -> Result<i32> {
    let begin = byte_offset(text, check_start(start)? as usize - 1);
    let regex = compile(pattern, flags_without_global(letters, "regexp_count")?)?;
    Ok(regex.find_iter(text).filter(|found| found.start() >= begin).count() as i32)
}

/// Which match and which of its groups is asked for.
struct Wanted<'a> {
    /// The function, for messages.
    name: &'a str,
    /// Character to start at, from 1.
    start: i32,
    /// Which match, from 1.
    number: i32,
    letters: &'a str,
    /// Which group; 0: the whole match.
    group: i32,
}

impl Wanted<'_> {
    /// Byte range of what is asked for; `None`: there is none.
    fn find(&self, text: &str, pattern: &str) -> Result<Option<(usize, usize)>> {
        let begin = byte_offset(text, check_start(self.start)? as usize - 1);
        let number = check_at_least(self.number, 1, "n")? as usize;
        let group = check_at_least(self.group, 0, "subexpr")? as usize;
        let regex = compile(pattern, flags_without_global(self.letters, self.name)?)?;
        let found = regex
            .captures_iter(text)
            .filter(|found| found.get(0).is_some_and(|whole| whole.start() >= begin))
            .nth(number - 1);
        Ok(found.and_then(|found| found.get(group)).map(|range| (range.start(), range.end())))
    }
}

/// The character position of what is asked for, from 1, or of what follows it; 0 when there is none.
fn position(text: &str, pattern: &str, wanted: &Wanted<'_>, end: i32) -> Result<i32> {
    if !(0..=1).contains(&end) {
        return Err(invalid_parameter(format!("invalid value for parameter \"endoption\": {end}")));
    }
    let found = wanted.find(text, pattern)?;
    Ok(found
        .map_or(0, |(start, stop)| character_count(&text[..if end == 1 { stop } else { start }]) as i32 + 1))
}

fn part(text: &str, pattern: &str, wanted: &Wanted<'_>) -> Result<Option<String>> {
    Ok(wanted.find(text, pattern)?.map(|(start, stop)| text[start..stop].to_owned()))
}

fn instr<'a>(start: i32, number: i32, letters: &'a str, group: i32) -> Wanted<'a> {
    Wanted { name: "regexp_instr", start, number, letters, group }
}

fn substr<'a>(start: i32, number: i32, letters: &'a str, group: i32) -> Wanted<'a> {
    Wanted { name: "regexp_substr", start, number, letters, group }
}

/// The pieces of a text between matches; an empty match at the start or the end, or right after another, is none.
pub(super) fn split(text: &str, pattern: &str, letters: &str) -> Result<Vec<String>> {
    let regex = compile(pattern, flags_without_global(letters, "regexp_split_to_table")?)?;
    let (mut pieces, mut from) = (Vec::new(), 0);
    for found in regex.find_iter(text) {
        if found.is_empty() && (found.start() == from || found.start() == text.len()) {
            continue;
        }
        pieces.push(text[from..found.start()].to_owned());
        from = found.end();
    }
    pieces.push(text[from..].to_owned());
    Ok(pieces)
}

/// A pattern of SIMILAR TO as a regular expression. Two marks, each an escape character before a double quote, cut
/// it into three parts: the first then matches as little as it can, the second is a group.
fn similar(pattern: &str, escape: Option<char>, out: &mut String) -> Result<()> {
    let (mut after_escape, mut in_class, mut marks) = (false, false, 0);
    let parts_at = out.len();
    out.push_str("^(?:");
    for character in pattern.chars() {
        if after_escape {
            after_escape = false;
            if character == '"' && !in_class {
                match marks {
                    0 => {
                        out.replace_range(parts_at.., &format!("^(?U:{}", &out[parts_at + 4..].to_owned()));
                        out.push_str(")(");
                    }
                    1 => out.push_str(")(?:"),
                    _ => {
                        let message = "SQL regular expression may not contain more than two escape-double-quote separators";
                        return Err(Error::new(SqlState::INVALID_USE_OF_ESCAPE_CHARACTER, message));
                    }
                }
                marks += 1;
            } else {
                out.push('\\');
                out.push(character);
            }
        } else if Some(character) == escape {
            after_escape = true;
        } else if in_class {
            if character == '\\' {
                out.push('\\');
            }
            out.push(character);
            in_class = character != ']';
        } else {
            match character {
                '[' => {
                    out.push('[');
                    in_class = true;
                }
                '%' => out.push_str(".*"),
                '_' => out.push('.'),
                '(' => out.push_str("(?:"),
                '\\' | '.' | '^' | '$' => {
                    out.push('\\');
                    out.push(character);
                }
                other => out.push(other),
            }
        }
    }
    out.push_str(")$");
    Ok(())
}

fn escape_character(escape: &str) -> Result<Option<char>> {
    let mut characters = escape.chars();
    let first = characters.next();
    if characters.next().is_some() {
        return Err(Error::new(SqlState::INVALID_ESCAPE_SEQUENCE, "invalid escape string")
            .hint("Escape string must be empty or one character."));
    }
    Ok(first)
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
    function!("regexp_like", (Text, Text, Text) -> Bool, Immutable, "matches the regular expression, with flags", |(text, pattern, letters), _| like(text, pattern, letters)),
    function!("regexp_count", (Text, Text) -> Int4, Immutable, "number of matches", |(text, pattern), _| count(text, pattern, 1, "")),
    function!("regexp_count", (Text, Text, Int4) -> Int4, Immutable, "number of matches from a character on", |(text, pattern, start), _| count(text, pattern, start, "")),
    function!("regexp_count", (Text, Text, Int4, Text) -> Int4, Immutable, "number of matches from a character on, with flags", |(text, pattern, start, letters), _| count(text, pattern, start, letters)),
    function!("regexp_instr", (Text, Text) -> Int4, Immutable, "position of the first match, from 1; else 0", |(text, pattern), _| position(text, pattern, &instr(1, 1, "", 0), 0)),
    function!("regexp_instr", (Text, Text, Int4) -> Int4, Immutable, "position of the first match from a character on", |(text, pattern, start), _| position(text, pattern, &instr(start, 1, "", 0), 0)),
    function!("regexp_instr", (Text, Text, Int4, Int4) -> Int4, Immutable, "position of the n-th match from a character on", |(text, pattern, start, n), _| position(text, pattern, &instr(start, n, "", 0), 0)),
    function!("regexp_instr", (Text, Text, Int4, Int4, Int4) -> Int4, Immutable, "position of the n-th match; 1: of what follows it", |(text, pattern, start, n, end), _| position(text, pattern, &instr(start, n, "", 0), end)),
    function!("regexp_instr", (Text, Text, Int4, Int4, Int4, Text) -> Int4, Immutable, "position of the n-th match, with flags", |(text, pattern, start, n, end, letters), _| position(text, pattern, &instr(start, n, letters, 0), end)),
    function!("regexp_instr", (Text, Text, Int4, Int4, Int4, Text, Int4) -> Int4, Immutable, "position of a group of the n-th match", |(text, pattern, start, n, end, letters, group), _| position(text, pattern, &instr(start, n, letters, group), end)),
    function!("regexp_substr", (Text, Text) -> Nullable<Text>, Immutable, "the first match", |(text, pattern), _| part(text, pattern, &substr(1, 1, "", 0))),
    function!("regexp_substr", (Text, Text, Int4) -> Nullable<Text>, Immutable, "the first match from a character on", |(text, pattern, start), _| part(text, pattern, &substr(start, 1, "", 0))),
    function!("regexp_substr", (Text, Text, Int4, Int4) -> Nullable<Text>, Immutable, "the n-th match from a character on", |(text, pattern, start, n), _| part(text, pattern, &substr(start, n, "", 0))),
    function!("regexp_substr", (Text, Text, Int4, Int4, Text) -> Nullable<Text>, Immutable, "the n-th match, with flags", |(text, pattern, start, n, letters), _| part(text, pattern, &substr(start, n, letters, 0))),
    function!("regexp_substr", (Text, Text, Int4, Int4, Text, Int4) -> Nullable<Text>, Immutable, "a group of the n-th match", |(text, pattern, start, n, letters, group), _| part(text, pattern, &substr(start, n, letters, group))),
    text_function!(
        "similar_to_escape",
        (Text),
        Immutable,
        "a pattern of SIMILAR TO as a regular expression",
        |(pattern,), _, out| {
            similar(pattern, Some('\\'), out)?;
            Ok(true)
        }
    ),
    text_function!(
        "similar_to_escape",
        (Text, Text),
        Immutable,
        "a pattern of SIMILAR TO as a regular expression",
        |(pattern, escape), _, out| {
            similar(pattern, escape_character(escape)?, out)?;
            Ok(true)
        }
    ),
    text_function!(
        "substring",
        (Text, Text, Text),
        Immutable,
        "what a pattern of SIMILAR TO marks",
        |(text, pattern, escape), _, out| {
            let mut regex = String::new();
            similar(pattern, escape_character(escape)?, &mut regex)?;
            let found = substring(text, &regex)?;
            out.push_str(found.unwrap_or(""));
            Ok(found.is_some())
        }
    ),
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
            let number = check_at_least(number, 0, "n")? as usize;
            replace(text, pattern, replacement, Flags::default(), check_start(start)?, number, out)?;
            Ok(true)
        }
    ),
    text_function!(
        "regexp_replace",
        (Text, Text, Text, Int4, Int4, Text),
        Immutable,
        "the n-th match from a character on replaced, with flags; 0: all",
        |(text, pattern, replacement, start, number, letters), _, out| {
            let (start, number) = (check_start(start)?, check_at_least(number, 0, "n")? as usize);
            replace(text, pattern, replacement, flags(letters)?, start, number, out)?;
            Ok(true)
        }
    ),
];

pub(super) static TABLES: &[&[ScalarFunction]] = &[FUNCTIONS];
