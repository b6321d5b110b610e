//! One setting: what is known of it, what it has effect on, and what it accepts: a text is checked, given its own form,
//! and its effect is noted. Knows nothing of the table of settings or of when a value reverts.

use crate::common::limits::IDENTIFIER_BYTES_MAX;
use crate::durability::policy::Durability;
use crate::error::{Error, Result, SqlState};
use crate::session::block::Modes;
use crate::sql::types::text_style::{DateOrder, IntervalStyle, TextStyle};
use crate::transaction::types::IsolationLevel;
use std::sync::Arc;

/// Which of the two executors runs a statement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ExecutionPath {
    /// The short path for plans of key look-ups, else pipelines.
    Auto,
    /// Never the short path.
    Vectorised,
    /// The short path wherever it can run.
    Point,
}

/// What the values of the settings do, ready for use.
#[derive(Clone, Debug)]
pub(crate) struct Effects {
    /// How long a commit waits.
    pub(crate) durability: Durability,
    /// For timestamptz text and casts.
    pub(crate) time_zone: jiff::tz::TimeZone,
    /// Forms of text input and output.
    pub(crate) text_style: TextStyle,
    /// Which executor.
    pub(crate) path: ExecutionPath,
    /// Longest SQL text in bytes.
    pub(crate) statement_bytes_max: usize,
    /// Of transactions that do not say.
    pub(crate) modes_default: Modes,
    /// Whether an error in a block undoes its statement alone.
    pub(crate) keeps_block: bool,
    /// How long things may take.
    pub(crate) timeouts: Timeouts,
    /// What the program calls itself.
    pub(crate) application_name: Arc<str>,
}

/// How long things may take, in milliseconds; 0: as long as they do.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Timeouts {
    pub(crate) statement_ms: u32,
    pub(crate) lock_ms: u32,
    pub(crate) transaction_ms: u32,
    pub(crate) idle_ms: u32,
}

/// Checks a value and puts its effect in place; returns the text that SHOW gives.
pub(super) type Assign = fn(&Definition, &str, &mut Effects) -> Result<String>;

/// What one setting is.
pub(crate) struct Definition {
    /// Its name as SHOW prints it; compared without case.
    pub(crate) name: &'static str,
    /// Where its value is kept when it is another name for another setting.
    pub(super) alias_of: Option<&'static str>,
    /// The value before any SET.
    pub(super) default: &'static str,
    /// One line for SHOW ALL and the documentation.
    pub(crate) description: &'static str,
    /// `None`: it cannot be changed.
    pub(super) assign: Option<Assign>,
    /// Whether it tells of the running transaction and so is kept by the session, not here.
    pub(crate) of_transaction: bool,
    /// Whether it changes anything but what SHOW gives.
    pub(crate) has_effect: bool,
}

fn invalid(definition: &Definition, value: &str) -> Error {
    Error::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("invalid value for parameter \"{}\": \"{value}\"", definition.name),
    )
}

fn unsupported(definition: &Definition, value: &str) -> Error {
    Error::not_supported(format!("{} = '{value}'", definition.name))
}

/// Which of `choices` the value is, without case.
pub(super) fn choice<'c>(definition: &Definition, value: &str, choices: &[&'c str]) -> Result<&'c str> {
    choices
        .iter()
        .copied()
        .find(|candidate| candidate.eq_ignore_ascii_case(value.trim()))
        .ok_or_else(|| invalid(definition, value).hint(format!("Available values: {}.", choices.join(", "))))
}

/// A boolean as PostgreSQL reads one: on, off, true, false, yes, no, 1, 0 and unique prefixes.
pub(crate) fn boolean(name: &str, value: &str) -> Result<bool> {
    let lower = value.trim().to_ascii_lowercase();
    let is_prefix_of = |word: &str| !lower.is_empty() && word.starts_with(lower.as_str());
    match lower.as_str() {
        "1" | "on" => Ok(true),
        "0" | "of" | "off" => Ok(false),
        _ if is_prefix_of("true") || is_prefix_of("yes") => Ok(true),
        _ if is_prefix_of("false") || is_prefix_of("no") => Ok(false),
        _ => Err(Error::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("parameter \"{name}\" requires a Boolean value"),
        )),
    }
}

pub(crate) fn on_off(value: bool) -> String {
    String::from(if value { "on" } else { "off" })
}

/// An isolation level by name.
pub(crate) fn isolation(name: &str, value: &str) -> Result<IsolationLevel> {
    match value.trim().to_ascii_lowercase().as_str() {
        "read uncommitted" => Ok(IsolationLevel::ReadUncommitted),
        "read committed" => Ok(IsolationLevel::ReadCommitted),
        "repeatable read" => Ok(IsolationLevel::RepeatableRead),
        "serializable" => Ok(IsolationLevel::Serializable),
        _ => Err(Error::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("invalid value for parameter \"{name}\": \"{value}\""),
        )
        .hint("Available values: serializable, repeatable read, read committed, read uncommitted.")),
    }
}

/// The name of a level as SHOW prints it.
pub(crate) fn isolation_name(level: IsolationLevel) -> &'static str {
    match level {
        IsolationLevel::ReadUncommitted => "read uncommitted",
        IsolationLevel::ReadCommitted => "read committed",
        IsolationLevel::RepeatableRead => "repeatable read",
        IsolationLevel::Serializable => "serializable",
    }
}

pub(super) fn encoding(definition: &Definition, value: &str, _: &mut Effects) -> Result<String> {
    match value.trim().to_ascii_lowercase().replace(['-', '_'], "").as_str() {
        "utf8" | "unicode" => Ok(String::from("UTF8")),
        "" => Err(invalid(definition, value)),
        _ => Err(unsupported(definition, value).hint("Text is always UTF-8.")),
    }
}

pub(super) fn date_style(definition: &Definition, value: &str, effects: &mut Effects) -> Result<String> {
    let mut order = None;
    for word in value.split(',') {
        let wanted = match word.trim().to_ascii_lowercase().as_str() {
            "iso" => continue,
            "mdy" | "us" | "noneuro" | "noneuropean" => DateOrder::MonthDayYear,
            "dmy" | "euro" | "european" => DateOrder::DayMonthYear,
            "ymd" => DateOrder::YearMonthDay,
            "default" => DateOrder::default(),
            "sql" | "postgres" | "german" => return Err(unsupported(definition, value)),
            _ => return Err(invalid(definition, value)),
        };
        if order.replace(wanted).is_some_and(|before| before != wanted) {
            return Err(invalid(definition, value).detail("Conflicting \"datestyle\" specifications."));
        }
    }
    // Words that are not there stay as they were.
    let order = order.unwrap_or(effects.text_style.date_order);
    effects.text_style.date_order = order;
    Ok(String::from(match order {
        DateOrder::MonthDayYear => "ISO, MDY",
        DateOrder::DayMonthYear => "ISO, DMY",
        DateOrder::YearMonthDay => "ISO, YMD",
    }))
}

pub(super) fn deferrable_default(
    definition: &Definition,
    value: &str,
    effects: &mut Effects,
) -> Result<String> {
    effects.modes_default.deferrable = boolean(definition.name, value)?;
    Ok(on_off(effects.modes_default.deferrable))
}

pub(super) fn isolation_default(
    definition: &Definition,
    value: &str,
    effects: &mut Effects,
) -> Result<String> {
    effects.modes_default.isolation = isolation(definition.name, value)?;
    Ok(String::from(isolation_name(effects.modes_default.isolation)))
}

pub(super) fn read_only_default(
    definition: &Definition,
    value: &str,
    effects: &mut Effects,
) -> Result<String> {
    effects.modes_default.read_only = boolean(definition.name, value)?;
    Ok(on_off(effects.modes_default.read_only))
}

pub(super) fn on_error(definition: &Definition, value: &str, effects: &mut Effects) -> Result<String> {
    let value = choice(definition, value, &["transaction", "statement"])?;
    effects.keeps_block = value == "statement";
    Ok(value.to_owned())
}

pub(super) fn durability(definition: &Definition, value: &str, effects: &mut Effects) -> Result<String> {
    let name = choice(definition, value, &["full", "normal", "off"])?;
    effects.durability = match name {
        "full" => Durability::Full,
        "normal" => Durability::Normal,
        _ => Durability::Off,
    };
    Ok(String::from(name))
}

/// Gives the value of `durability` that the PostgreSQL word stands for.
pub(super) fn synchronous_commit(
    definition: &Definition,
    value: &str,
    effects: &mut Effects,
) -> Result<String> {
    let full = match value.trim().to_ascii_lowercase().as_str() {
        "local" | "remote_write" | "remote_apply" => true,
        _ => boolean(definition.name, value).map_err(|_| {
            invalid(definition, value).hint("Available values: local, remote_write, remote_apply, on, off.")
        })?,
    };
    effects.durability = if full { Durability::Full } else { Durability::Normal };
    Ok(String::from(if full { "full" } else { "normal" }))
}

pub(super) fn float_digits(definition: &Definition, value: &str, effects: &mut Effects) -> Result<String> {
    let digits: i32 = value.trim().parse().map_err(|_| invalid(definition, value))?;
    match digits {
        -15..=3 => {
            effects.text_style.float_digits = digits as i8;
            Ok(digits.to_string())
        }
        _ => Err(Error::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("{digits} is outside the valid range for parameter \"{}\" (-15 .. 3)", definition.name),
        )),
    }
}

pub(super) fn interval_style(definition: &Definition, value: &str, effects: &mut Effects) -> Result<String> {
    let name = choice(definition, value, &["postgres", "postgres_verbose", "sql_standard", "iso_8601"])?;
    effects.text_style.interval = match name {
        "postgres" => IntervalStyle::Postgres,
        "postgres_verbose" => IntervalStyle::PostgresVerbose,
        "sql_standard" => IntervalStyle::SqlStandard,
        _ => IntervalStyle::Iso8601,
    };
    Ok(String::from(name))
}

pub(super) fn execution_path(definition: &Definition, value: &str, effects: &mut Effects) -> Result<String> {
    let name = choice(definition, value, &["auto", "vectorised", "point"])?;
    effects.path = match name {
        "auto" => ExecutionPath::Auto,
        "vectorised" => ExecutionPath::Vectorised,
        _ => ExecutionPath::Point,
    };
    Ok(String::from(name))
}

/// Bytes with PostgreSQL's units (1 kB = 1,024 bytes).
pub(super) fn bytes(definition: &Definition, value: &str) -> Result<usize> {
    let trimmed = value.trim();
    let digits = trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(trimmed.len());
    let factor: usize = match trimmed[digits..].trim() {
        "" | "B" => 1,
        "kB" => 1 << 10,
        "MB" => 1 << 20,
        "GB" => 1 << 30,
        _ => {
            return Err(invalid(definition, value)
                .hint("Valid units for this parameter are \"B\", \"kB\", \"MB\", and \"GB\"."));
        }
    };
    trimmed[..digits]
        .parse::<usize>()
        .ok()
        .and_then(|count| count.checked_mul(factor))
        .ok_or_else(|| invalid(definition, value))
}

pub(super) fn byte_text(count: usize) -> String {
    for (unit, factor) in [("GB", 1usize << 30), ("MB", 1 << 20), ("kB", 1 << 10)] {
        if count >= factor && count.is_multiple_of(factor) {
            return format!("{}{unit}", count / factor);
        }
    }
    format!("{count}B")
}

pub(super) fn statement_size(definition: &Definition, value: &str, effects: &mut Effects) -> Result<String> {
    let count = bytes(definition, value)?;
    // Below this no SET could be sent any more; above it positions in the text would not fit their type.
    if !(1024..=(1 << 30)).contains(&count) {
        return Err(Error::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!(
                "{count} B is outside the valid range for parameter \"{}\" (1024 B .. 1073741824 B)",
                definition.name
            ),
        ));
    }
    effects.statement_bytes_max = count;
    Ok(byte_text(count))
}

/// PostgreSQL's units of time, largest first, in milliseconds.
const TIME_UNITS: [(&str, f64); 6] =
    [("d", 86_400_000.0), ("h", 3_600_000.0), ("min", 60_000.0), ("s", 1_000.0), ("ms", 1.0), ("us", 0.001)];

/// Milliseconds, with PostgreSQL's units.
fn milliseconds(definition: &Definition, value: &str) -> Result<i64> {
    let trimmed = value.trim();
    let is_number = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+');
    let end = trimmed.find(|c| !is_number(c)).unwrap_or(trimmed.len());
    let unit = trimmed[end..].trim();
    let factor = match unit {
        "" => 1.0,
        _ => {
            TIME_UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor).ok_or_else(|| {
                invalid(definition, value).hint(
                    "Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\".",
                )
            })?
        }
    };
    let number: f64 = trimmed[..end].parse().map_err(|_| invalid(definition, value))?;
    let milliseconds = (number * factor).round_ties_even();
    if milliseconds.abs() < 9e15 { Ok(milliseconds as i64) } else { Err(invalid(definition, value)) }
}

/// As PostgreSQL shows them: in the largest unit that they are whole in.
fn time_text(milliseconds: u32) -> String {
    let unit = TIME_UNITS.iter().find(|(_, factor)| milliseconds.is_multiple_of(*factor as u32));
    match unit {
        Some((name, factor)) if milliseconds > 0 => format!("{}{name}", milliseconds / *factor as u32),
        _ => milliseconds.to_string(),
    }
}

fn time_between(definition: &Definition, value: &str, least: i64) -> Result<u32> {
    let milliseconds = milliseconds(definition, value)?;
    match u32::try_from(milliseconds) {
        Ok(time) if time <= i32::MAX as u32 && milliseconds >= least => Ok(time),
        _ => Err(Error::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!(
                "{milliseconds} ms is outside the valid range for parameter \"{}\" ({least} .. {})",
                definition.name,
                i32::MAX
            ),
        )),
    }
}

pub(super) fn timeout(definition: &Definition, value: &str, timeout: &mut u32) -> Result<String> {
    *timeout = time_between(definition, value, 0)?;
    Ok(time_text(*timeout))
}

pub(super) fn planner_switch(definition: &Definition, value: &str, _: &mut Effects) -> Result<String> {
    boolean(definition.name, value).map(on_off)
}

pub(super) fn planner_cost(definition: &Definition, value: &str, _: &mut Effects) -> Result<String> {
    let cost: f64 = value.trim().parse().map_err(|_| invalid(definition, value))?;
    if !cost.is_finite() || cost < 0.0 {
        let message = format!(
            "{value} is outside the valid range for parameter \"{}\" (0 .. 1.79769e+308)",
            definition.name
        );
        return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    Ok(cost.to_string())
}

pub(super) fn planner_count(definition: &Definition, value: &str, _: &mut Effects) -> Result<String> {
    let count: u32 = value.trim().parse().map_err(|_| invalid(definition, value))?;
    Ok(count.to_string())
}

/// A size: without a unit in pages of PostgreSQL's.
pub(super) fn planner_pages(definition: &Definition, value: &str, _: &mut Effects) -> Result<String> {
    const PAGE_BYTES: usize = 8 << 10;
    let count = match value.trim().parse::<usize>() {
        Ok(pages) => pages.checked_mul(PAGE_BYTES).ok_or_else(|| invalid(definition, value))?,
        Err(_) => bytes(definition, value)?,
    };
    Ok(if count == 0 { String::from("0") } else { byte_text(count) })
}

pub(super) fn deadlock_timeout(definition: &Definition, value: &str, _: &mut Effects) -> Result<String> {
    time_between(definition, value, 1).map(time_text)
}

/// As PostgreSQL keeps it: 63 bytes, and a question mark for what is not printable ASCII.
pub(super) fn application_name(_: &Definition, value: &str, effects: &mut Effects) -> Result<String> {
    let printable = |c: char| if (' '..='~').contains(&c) { c } else { '?' };
    let name: String = value.chars().map(printable).take(IDENTIFIER_BYTES_MAX).collect();
    effects.application_name = Arc::from(name.as_str());
    Ok(name)
}

pub(super) fn search_path(definition: &Definition, value: &str, _: &mut Effects) -> Result<String> {
    let names: Vec<&str> = value.split(',').map(|name| name.trim().trim_matches('"')).collect();
    if names.iter().all(|name| *name == "public" || *name == "$user" || *name == "pg_catalog")
        && names.contains(&"public")
    {
        return Ok(names
            .iter()
            .map(|name| if *name == "$user" { "\"$user\"" } else { name })
            .collect::<Vec<_>>()
            .join(", "));
    }
    Err(unsupported(definition, value).hint("The only schema is public."))
}

pub(super) fn standard_strings(definition: &Definition, value: &str, _: &mut Effects) -> Result<String> {
    if boolean(definition.name, value)? {
        Ok(String::from("on"))
    } else {
        Err(unsupported(definition, "off").hint("Write E'...' for backslash escapes."))
    }
}

pub(super) fn time_zone(definition: &Definition, value: &str, effects: &mut Effects) -> Result<String> {
    let name = value.trim();
    let zone = if name.eq_ignore_ascii_case("utc")
        || name.eq_ignore_ascii_case("gmt")
        || name.eq_ignore_ascii_case("z")
    {
        jiff::tz::TimeZone::UTC
    } else if let Ok(hours) = name.parse::<f64>() {
        // A bare number is hours east of Greenwich.
        let seconds = (hours * 3600.0).round();
        if !seconds.is_finite() || seconds.abs() > 15.0 * 3600.0 + 59.0 * 60.0 {
            return Err(invalid(definition, value));
        }
        let offset =
            jiff::tz::Offset::from_seconds(seconds as i32).map_err(|_| invalid(definition, value))?;
        effects.time_zone = jiff::tz::TimeZone::fixed(offset);
        return Ok(zone_name(seconds as i32));
    } else {
        jiff::tz::TimeZone::get(name).map_err(|_| invalid(definition, value))?
    };
    let shown = zone.iana_name().map_or_else(|| name.to_string(), str::to_string);
    effects.time_zone = zone;
    Ok(if name.eq_ignore_ascii_case("gmt") { String::from("GMT") } else { shown })
}

/// How PostgreSQL prints a zone that was given in hours: a POSIX name, whose sign is the other way round.
fn zone_name(seconds: i32) -> String {
    let sign = |negative: bool| if negative { '-' } else { '+' };
    let (hours, minutes) = (seconds.abs() / 3600, seconds.abs() / 60 % 60);
    let digits = if minutes == 0 { format!("{hours:02}") } else { format!("{hours:02}:{minutes:02}") };
    format!("<{}{digits}>{}{digits}", sign(seconds < 0), sign(seconds >= 0))
}
