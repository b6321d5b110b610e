//! The one table of settings: name, default, check, description, effect. SET, SHOW, RESET and
//! `current_setting` all read it. Knows nothing of statements or transactions beyond when a value reverts.

use crate::common::limits::IDENTIFIER_BYTES_MAX;
use crate::durability::policy::Durability;
use crate::error::{Error, Result, SqlState};
use crate::session::block::Modes;
use crate::session::engine::EngineOptions;
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
type Assign = fn(&Definition, &str, &mut Effects) -> Result<String>;

/// What one setting is.
pub(crate) struct Definition {
    /// Its name as SHOW prints it; compared without case.
    pub(crate) name: &'static str,
    /// Where its value is kept when it is another name for another setting.
    alias_of: Option<&'static str>,
    /// The value before any SET.
    default: &'static str,
    /// One line for SHOW ALL and the documentation.
    pub(crate) description: &'static str,
    /// `None`: it cannot be changed.
    assign: Option<Assign>,
    /// Whether it tells of the running transaction and so is kept by the session, not here.
    pub(crate) of_transaction: bool,
    /// Whether it changes anything but what SHOW gives.
    pub(crate) has_effect: bool,
}

/// A setting as the documentation lists it.
#[derive(Clone, Copy, Debug)]
pub struct SettingDescription {
    /// Its name as SHOW prints it.
    pub name: &'static str,
    /// The value before any SET; empty where the database's options decide.
    pub default: &'static str,
    /// What it does.
    pub description: &'static str,
    /// Whether SET changes it.
    pub can_change: bool,
}

/// Every setting, sorted by name without case.
pub fn setting_descriptions() -> impl Iterator<Item = SettingDescription> {
    DEFINITIONS.iter().map(|definition| SettingDescription {
        name: definition.name,
        default: definition.default,
        description: definition.description,
        can_change: definition.assign.is_some(),
    })
}

const fn setting(
    name: &'static str,
    default: &'static str,
    description: &'static str,
    assign: Option<Assign>,
) -> Definition {
    Definition { name, alias_of: None, default, description, assign, of_transaction: false, has_effect: true }
}

/// What PostgreSQL's planner is told by, and ours is not: no answer depends on it.
const fn planner(name: &'static str, default: &'static str, assign: Assign) -> Definition {
    let description = "For programs that set it in PostgreSQL, where it bears on plans alone: here plans are chosen without it, and SET warns of that.";
    Definition { has_effect: false, ..setting(name, default, description, Some(assign)) }
}

/// Every setting, sorted by name without case.
pub(crate) static DEFINITIONS: &[Definition] = &[
    setting(
        "application_name",
        "",
        "What the program calls itself, for those who look at sessions.",
        Some(application_name),
    ),
    setting("client_encoding", "UTF8", "Encoding of text that comes in and goes out.", Some(encoding)),
    planner("cpu_index_tuple_cost", "0.005", planner_cost),
    planner("cpu_operator_cost", "0.0025", planner_cost),
    planner("cpu_tuple_cost", "0.01", planner_cost),
    setting(
        "DateStyle",
        "ISO, MDY",
        "Form of dates: ISO; ambiguous input is read as MDY, DMY or YMD.",
        Some(date_style),
    ),
    setting(
        "deadlock_timeout",
        "1s",
        "For programs that set it in PostgreSQL: deadlocks are found when they arise, whatever it says.",
        Some(deadlock_timeout),
    ),
    setting(
        "default_transaction_deferrable",
        "off",
        "Whether transactions that do not say are deferrable; it changes nothing: no snapshot has to be waited for.",
        Some(deferrable_default),
    ),
    setting(
        "default_transaction_isolation",
        "read committed",
        "Isolation level of transactions that name none.",
        Some(isolation_default),
    ),
    setting(
        "default_transaction_read_only",
        "off",
        "Whether transactions that do not say are read-only.",
        Some(read_only_default),
    ),
    setting(
        "durability",
        "full",
        "When a commit returns: full = after the flush to disk, normal = once the operating system has it, off = at once.",
        Some(durability),
    ),
    planner("enable_bitmapscan", "on", planner_switch),
    planner("enable_hashagg", "on", planner_switch),
    planner("enable_hashjoin", "on", planner_switch),
    planner("enable_incremental_sort", "on", planner_switch),
    planner("enable_indexonlyscan", "on", planner_switch),
    planner("enable_indexscan", "on", planner_switch),
    planner("enable_material", "on", planner_switch),
    planner("enable_memoize", "on", planner_switch),
    planner("enable_mergejoin", "on", planner_switch),
    planner("enable_nestloop", "on", planner_switch),
    planner("enable_parallel_hash", "on", planner_switch),
    planner("enable_seqscan", "on", planner_switch),
    planner("enable_sort", "on", planner_switch),
    planner("enable_tidscan", "on", planner_switch),
    setting(
        "extra_float_digits",
        "1",
        "Digits of floating-point output: above 0 means the shortest exact form, else digits beyond 15 (6 of real).",
        Some(float_digits),
    ),
    planner("force_parallel_mode", "off", |definition, value, _| {
        if value.trim().eq_ignore_ascii_case("regress") {
            return Ok(String::from("regress"));
        }
        boolean(definition.name, value).map(on_off)
    }),
    setting(
        "idle_in_transaction_session_timeout",
        "0",
        "How long a transaction may be idle between two calls; then it is rolled back and the next call is 25P03. 0 = as long as it is.",
        Some(|definition, value, effects| timeout(definition, value, &mut effects.timeouts.idle_ms)),
    ),
    setting("integer_datetimes", "on", "Times are whole microseconds.", None),
    setting(
        "IntervalStyle",
        "postgres",
        "Form of intervals: postgres, postgres_verbose, sql_standard or iso_8601.",
        Some(interval_style),
    ),
    setting(
        "lock_timeout",
        "0",
        "How long a statement may wait for a lock; then it is 55P03. 0 = as long as it takes.",
        Some(|definition, value, effects| timeout(definition, value, &mut effects.timeouts.lock_ms)),
    ),
    setting(
        "lumos.execution_path",
        "auto",
        "Executor: auto, vectorised (pipelines only) or point (the short path wherever it can run).",
        Some(execution_path),
    ),
    setting("max_statement_size", "64MB", "Longest SQL text.", Some(statement_size)),
    setting("memory_limit", "", "Bytes that the database may use.", None),
    setting(
        "on_error",
        "transaction",
        "What an error in a transaction block undoes: transaction, which then takes nothing but its end, or statement.",
        Some(on_error),
    ),
    planner("parallel_setup_cost", "1000", planner_cost),
    planner("parallel_tuple_cost", "0.1", planner_cost),
    planner("random_page_cost", "4", planner_cost),
    setting(
        "search_path",
        "\"$user\", public",
        "Schemas where unqualified names are looked for.",
        Some(search_path),
    ),
    planner("seq_page_cost", "1", planner_cost),
    setting("server_encoding", "UTF8", "Encoding of stored text.", None),
    setting("server_version", "15.0", "The PostgreSQL version whose dialect is spoken.", None),
    setting("server_version_num", "150000", "The same as a number.", None),
    setting(
        "standard_conforming_strings",
        "on",
        "Backslashes in '...' are ordinary characters.",
        Some(standard_strings),
    ),
    setting(
        "statement_timeout",
        "0",
        "How long a statement may run; then it is 57014. 0 = as long as it takes.",
        Some(|definition, value, effects| timeout(definition, value, &mut effects.timeouts.statement_ms)),
    ),
    Definition {
        name: "synchronous_commit",
        alias_of: Some("durability"),
        default: "on",
        description: "PostgreSQL's name for durability: on = full, off = normal.",
        assign: Some(synchronous_commit),
        of_transaction: false,
        has_effect: true,
    },
    setting("TimeZone", "UTC", "Time zone for timestamps with time zone.", Some(time_zone)),
    Definition {
        name: "transaction_deferrable",
        alias_of: None,
        default: "off",
        description: "Whether the running transaction is deferrable.",
        assign: None,
        of_transaction: true,
        has_effect: true,
    },
    Definition {
        name: "transaction_isolation",
        alias_of: None,
        default: "read committed",
        description: "Isolation level of the running transaction.",
        assign: None,
        of_transaction: true,
        has_effect: true,
    },
    Definition {
        name: "transaction_read_only",
        alias_of: None,
        default: "off",
        description: "Whether the running transaction is read-only.",
        assign: None,
        of_transaction: true,
        has_effect: true,
    },
    setting(
        "transaction_timeout",
        "0",
        "How long a transaction may last; then it is rolled back, with 25P04. 0 = as long as it does.",
        Some(|definition, value, effects| timeout(definition, value, &mut effects.timeouts.transaction_ms)),
    ),
];

/// Position of a setting in [`DEFINITIONS`].
pub(crate) fn find(name: &str) -> Result<usize> {
    DEFINITIONS.iter().position(|definition| definition.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
        Error::new(SqlState::UNDEFINED_OBJECT, format!("unrecognized configuration parameter \"{name}\""))
            .hint_near_miss(name, DEFINITIONS.iter().map(|definition| definition.name))
    })
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
fn choice<'c>(definition: &Definition, value: &str, choices: &[&'c str]) -> Result<&'c str> {
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

fn encoding(definition: &Definition, value: &str, _: &mut Effects) -> Result<String> {
    match value.trim().to_ascii_lowercase().replace(['-', '_'], "").as_str() {
        "utf8" | "unicode" => Ok(String::from("UTF8")),
        "" => Err(invalid(definition, value)),
        _ => Err(unsupported(definition, value).hint("Text is always UTF-8.")),
    }
}

fn date_style(definition: &Definition, value: &str, effects: &mut Effects) -> Result<String> {
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

fn deferrable_default(definition: &Definition, value: &str, effects: &mut Effects) -> Result<String> {
    effects.modes_default.deferrable = boolean(definition.name, value)?;
    Ok(on_off(effects.modes_default.deferrable))
}

fn isolation_default(definition: &Definition, value: &str, effects: &mut Effects) -> Result<String> {
    effects.modes_default.isolation = isolation(definition.name, value)?;
    Ok(String::from(isolation_name(effects.modes_default.isolation)))
}

fn read_only_default(definition: &Definition, value: &str, effects: &mut Effects) -> Result<String> {
    effects.modes_default.read_only = boolean(definition.name, value)?;
    Ok(on_off(effects.modes_default.read_only))
}

fn on_error(definition: &Definition, value: &str, effects: &mut Effects) -> Result<String> {
    let value = choice(definition, value, &["transaction", "statement"])?;
    effects.keeps_block = value == "statement";
    Ok(value.to_owned())
}

fn durability(definition: &Definition, value: &str, effects: &mut Effects) -> Result<String> {
    let name = choice(definition, value, &["full", "normal", "off"])?;
    effects.durability = match name {
        "full" => Durability::Full,
        "normal" => Durability::Normal,
        _ => Durability::Off,
    };
    Ok(String::from(name))
}

/// Gives the value of `durability` that the PostgreSQL word stands for.
fn synchronous_commit(definition: &Definition, value: &str, effects: &mut Effects) -> Result<String> {
    let full = match value.trim().to_ascii_lowercase().as_str() {
        "local" | "remote_write" | "remote_apply" => true,
        _ => boolean(definition.name, value).map_err(|_| {
            invalid(definition, value).hint("Available values: local, remote_write, remote_apply, on, off.")
        })?,
    };
    effects.durability = if full { Durability::Full } else { Durability::Normal };
    Ok(String::from(if full { "full" } else { "normal" }))
}

fn float_digits(definition: &Definition, value: &str, effects: &mut Effects) -> Result<String> {
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

fn interval_style(definition: &Definition, value: &str, effects: &mut Effects) -> Result<String> {
    let name = choice(definition, value, &["postgres", "postgres_verbose", "sql_standard", "iso_8601"])?;
    effects.text_style.interval = match name {
        "postgres" => IntervalStyle::Postgres,
        "postgres_verbose" => IntervalStyle::PostgresVerbose,
        "sql_standard" => IntervalStyle::SqlStandard,
        _ => IntervalStyle::Iso8601,
    };
    Ok(String::from(name))
}

fn execution_path(definition: &Definition, value: &str, effects: &mut Effects) -> Result<String> {
    let name = choice(definition, value, &["auto", "vectorised", "point"])?;
    effects.path = match name {
        "auto" => ExecutionPath::Auto,
        "vectorised" => ExecutionPath::Vectorised,
        _ => ExecutionPath::Point,
    };
    Ok(String::from(name))
}

/// Bytes with PostgreSQL's units (1 kB = 1,024 bytes).
fn bytes(definition: &Definition, value: &str) -> Result<usize> {
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

fn byte_text(count: usize) -> String {
    for (unit, factor) in [("GB", 1usize << 30), ("MB", 1 << 20), ("kB", 1 << 10)] {
        if count >= factor && count.is_multiple_of(factor) {
            return format!("{}{unit}", count / factor);
        }
    }
    format!("{count}B")
}

fn statement_size(definition: &Definition, value: &str, effects: &mut Effects) -> Result<String> {
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

fn timeout(definition: &Definition, value: &str, timeout: &mut u32) -> Result<String> {
    *timeout = time_between(definition, value, 0)?;
    Ok(time_text(*timeout))
}

fn planner_switch(definition: &Definition, value: &str, _: &mut Effects) -> Result<String> {
    boolean(definition.name, value).map(on_off)
}

fn planner_cost(definition: &Definition, value: &str, _: &mut Effects) -> Result<String> {
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

fn deadlock_timeout(definition: &Definition, value: &str, _: &mut Effects) -> Result<String> {
    time_between(definition, value, 1).map(time_text)
}

/// As PostgreSQL keeps it: 63 bytes, and a question mark for what is not printable ASCII.
fn application_name(_: &Definition, value: &str, effects: &mut Effects) -> Result<String> {
    let printable = |c: char| if (' '..='~').contains(&c) { c } else { '?' };
    let name: String = value.chars().map(printable).take(IDENTIFIER_BYTES_MAX).collect();
    effects.application_name = Arc::from(name.as_str());
    Ok(name)
}

fn search_path(definition: &Definition, value: &str, _: &mut Effects) -> Result<String> {
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

fn standard_strings(definition: &Definition, value: &str, _: &mut Effects) -> Result<String> {
    if boolean(definition.name, value)? {
        Ok(String::from("on"))
    } else {
        Err(unsupported(definition, "off").hint("Write E'...' for backslash escapes."))
    }
}

fn time_zone(definition: &Definition, value: &str, effects: &mut Effects) -> Result<String> {
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

/// The values of one moment.
#[derive(Clone)]
struct Values {
    /// One a definition; those of aliases and read-only ones are not used.
    texts: Vec<Arc<str>>,
    effects: Effects,
}

/// A session's settings, with what they go back to when the transaction ends.
pub(crate) struct Settings {
    values: SettingsMark,
    memory_limit: usize,
}

/// The values of one moment in a transaction, to go back to; cheap to clone.
#[derive(Clone)]
pub(crate) struct SettingsMark {
    current: Arc<Values>,
    /// In force after a commit: what SET said, without SET LOCAL. `None`: nothing was changed.
    at_commit: Option<Arc<Values>>,
    /// In force after a rollback.
    at_rollback: Option<Arc<Values>>,
}

impl Settings {
    /// The defaults; `memory_limit` in bytes, to be shown.
    pub(crate) fn new(options: &EngineOptions, memory_limit: usize) -> Settings {
        let durability_default = options.durability;
        let effects = Effects {
            durability: durability_default,
            time_zone: jiff::tz::TimeZone::UTC,
            text_style: TextStyle::default(),
            path: ExecutionPath::Auto,
            statement_bytes_max: options.max_statement_size,
            modes_default: Modes::default(),
            keeps_block: false,
            timeouts: Timeouts::default(),
            application_name: Arc::from(""),
        };
        let mut texts: Vec<Arc<str>> =
            DEFINITIONS.iter().map(|definition| Arc::from(definition.default)).collect();
        for (definition, text) in DEFINITIONS.iter().zip(&mut texts) {
            match definition.name {
                "durability" => *text = Arc::from(durability_default.name()),
                "max_statement_size" => *text = Arc::from(byte_text(options.max_statement_size)),
                _ => {}
            }
        }
        let current = Arc::new(Values { texts, effects });
        Settings { values: SettingsMark { current, at_commit: None, at_rollback: None }, memory_limit }
    }

    /// What the values do.
    pub(crate) fn effects(&self) -> &Effects {
        &self.values.current.effects
    }

    /// Changes a setting. `value` `None`: its default. Within a transaction (`in_transaction`) the change is
    /// undone by a rollback, and with `local` by a commit as well.
    /// # Errors
    /// `42704`, `22023`, `55P02`, `0A000`.
    pub(crate) fn set(
        &mut self,
        name: &str,
        value: Option<&str>,
        local: bool,
        in_transaction: bool,
    ) -> Result<()> {
        let index = find(name)?;
        let definition = &DEFINITIONS[index];
        let Some(assign) = definition.assign else {
            return Err(Error::new(
                SqlState::CANNOT_CHANGE_RUNTIME_PARAMETER,
                format!("parameter \"{}\" cannot be changed", definition.name),
            ));
        };
        let text = value.unwrap_or(definition.default);
        let mut effects = self.values.current.effects.clone();
        let shown: Arc<str> = Arc::from(assign(definition, text, &mut effects)?);
        let slot = match definition.alias_of {
            Some(target) => find(target)?,
            None => index,
        };
        let values = &mut self.values;
        if in_transaction && values.at_rollback.is_none() {
            values.at_rollback = Some(Arc::clone(&values.current));
            values.at_commit = Some(Arc::clone(&values.current));
        }
        let current = Arc::make_mut(&mut values.current);
        current.effects = effects;
        current.texts[slot] = Arc::clone(&shown);
        if !local && let Some(at_commit) = &mut values.at_commit {
            let at_commit = Arc::make_mut(at_commit);
            let _ = assign(definition, text, &mut at_commit.effects)?;
            at_commit.texts[slot] = shown;
        }
        Ok(())
    }

    /// Puts every setting back to its default.
    pub(crate) fn reset_all(&mut self, in_transaction: bool) -> Result<()> {
        for definition in DEFINITIONS {
            if definition.assign.is_some() && definition.alias_of.is_none() {
                self.set(definition.name, None, false, in_transaction)?;
            }
        }
        Ok(())
    }

    /// A setting as text; `None` where the session keeps it (the running transaction's).
    /// # Errors
    /// `42704`.
    pub(crate) fn show(&self, name: &str) -> Result<Option<String>> {
        let index = find(name)?;
        let definition = &DEFINITIONS[index];
        if definition.of_transaction {
            return Ok(None);
        }
        Ok(Some(match definition.name {
            "memory_limit" => byte_text(self.memory_limit),
            "synchronous_commit" => {
                on_off(matches!(self.values.current.effects.durability, Durability::Full))
            }
            _ => self.values.current.texts[index].to_string(),
        }))
    }

    /// The transaction is over: SET LOCAL ends, and after a rollback SET is undone.
    pub(crate) fn end_transaction(&mut self, committed: bool) {
        let (at_commit, at_rollback) = (self.values.at_commit.take(), self.values.at_rollback.take());
        if let Some(values) = if committed { at_commit } else { at_rollback } {
            self.values.current = values;
        }
    }

    /// The present state, to return to within the transaction.
    pub(crate) fn mark(&self) -> SettingsMark {
        self.values.clone()
    }

    /// Undoes every SET since `mark`.
    pub(crate) fn return_to(&mut self, mark: &SettingsMark) {
        self.values.clone_from(mark);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        let options = EngineOptions {
            durability: Durability::Full,
            read_only: false,
            max_statement_size: crate::common::limits::STATEMENT_BYTES_DEFAULT,
            name: "test".into(),
        };
        Settings::new(&options, 1 << 30)
    }

    #[test]
    fn names_are_sorted_and_every_default_passes_its_own_check() {
        let names: Vec<String> = DEFINITIONS.iter().map(|d| d.name.to_ascii_lowercase()).collect();
        let mut sorted = names.clone();
        sorted.sort();
        assert_eq!(names, sorted);
        let mut settings = settings();
        for definition in DEFINITIONS.iter().filter(|definition| definition.assign.is_some()) {
            settings.set(definition.name, None, false, false).unwrap();
            let shown = settings.show(definition.name).unwrap().unwrap();
            assert_eq!(shown, definition.default, "{}", definition.name);
        }
    }

    #[test]
    fn set_survives_a_commit_and_set_local_does_not() {
        let mut settings = settings();
        settings.set("durability", Some("normal"), false, true).unwrap();
        settings.set("durability", Some("off"), true, true).unwrap();
        assert!(matches!(settings.effects().durability, Durability::Off));
        settings.end_transaction(true);
        assert_eq!(settings.show("durability").unwrap().unwrap(), "normal");
        settings.set("TimeZone", Some("Europe/Berlin"), false, true).unwrap();
        settings.end_transaction(false);
        assert_eq!(settings.show("timezone").unwrap().unwrap(), "UTC");
    }

    #[test]
    fn synchronous_commit_is_another_name_for_durability() {
        let mut settings = settings();
        settings.set("synchronous_commit", Some("off"), false, false).unwrap();
        assert_eq!(settings.show("durability").unwrap().unwrap(), "normal");
        settings.set("synchronous_commit", Some("remote_apply"), false, false).unwrap();
        assert_eq!(settings.show("durability").unwrap().unwrap(), "full");
        assert_eq!(settings.show("synchronous_commit").unwrap().unwrap(), "on");
    }

    #[test]
    fn wrong_names_and_values_have_postgresqls_codes() {
        let mut settings = settings();
        let mut state = |name: &str, value: &str| {
            settings.set(name, Some(value), false, false).unwrap_err().state().as_str().to_string()
        };
        assert_eq!(state("no_such_setting", "1"), "42704");
        assert_eq!(state("durability", "fulll"), "22023");
        assert_eq!(state("server_version", "16"), "55P02");
        assert_eq!(state("datestyle", "German"), "0A000");
        assert_eq!(state("datestyle", "Klingon"), "22023");
        assert_eq!(state("timezone", "Mars/Olympus"), "22023");
        assert_eq!(state("extra_float_digits", "7"), "22023");
        assert_eq!(state("max_statement_size", "12 parsecs"), "22023");
    }

    #[test]
    fn times_are_read_and_shown_in_postgresqls_units() {
        let mut settings = settings();
        for (value, shown) in [
            ("0", "0"),
            ("1500", "1500ms"),
            ("1.5s", "1500ms"),
            (" 2000 ms ", "2s"),
            ("90 min", "90min"),
            ("2h", "2h"),
            ("1d", "1d"),
            ("24h", "1d"),
            ("600us", "1ms"),
            ("400us", "0"),
            ("2147483647", "2147483647ms"),
        ] {
            settings.set("lock_timeout", Some(value), false, false).unwrap();
            assert_eq!(settings.show("lock_timeout").unwrap().unwrap(), shown, "{value}");
        }
        assert_eq!(settings.effects().timeouts.lock_ms, i32::MAX as u32);
        for value in ["-1", "2147483648", "25d", "1 fortnight", "1S", "x", "", "1e", "--1"] {
            let error = settings.set("statement_timeout", Some(value), false, false).unwrap_err();
            assert_eq!(error.state().as_str(), "22023", "{value}");
        }
        let error = settings.set("statement_timeout", Some("-1"), false, false).unwrap_err();
        let text = "-1 ms is outside the valid range for parameter \"statement_timeout\" (0 .. 2147483647)";
        assert_eq!(error.message(), text);
        settings.set("application_name", Some("caf\u{e9}"), false, false).unwrap();
        assert_eq!(&*settings.effects().application_name, "caf?");
    }
}
