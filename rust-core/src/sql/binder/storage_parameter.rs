//! Storage parameters: WITH (…) of tables and indexes, SET (…) and RESET (…).
//!
//! Of those that PostgreSQL knows, fillfactor means something here: how far pages are filled. The values of the others are
//! checked as there, for programs that set them; they are not kept, and the session warns of that.

use crate::common::limits::FILL_PERCENTS;
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::define::{OptionValue, StorageOption};
use crate::sql::ast::expression::Literal;
use crate::sql::binder::bound::StorageParameters;

/// What parameters are said of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum StorageOf {
    /// A table that is made: it may say that it has no OIDs.
    NewTable,
    /// A table that is there.
    Table,
    /// An index.
    Index,
    /// An index USING hash.
    HashIndex,
}

/// Which values a parameter takes.
#[derive(Clone, Copy, Debug)]
enum Values {
    Boolean,
    Integer(i64, i64),
    /// With this greatest value, from 0.
    Real(f64),
    OnOffAuto,
}

/// A parameter of tables that PostgreSQL has and Lumos has no use for.
struct Parameter {
    name: &'static str,
    values: Values,
    /// Also of the tables that PostgreSQL keeps large values in.
    of_toast: bool,
}

const INTEGER_MAX: i64 = i32::MAX as i64;

const fn of_both(name: &'static str, values: Values) -> Parameter {
    Parameter { name, values, of_toast: true }
}

const fn of_table(name: &'static str, values: Values) -> Parameter {
    Parameter { name, values, of_toast: false }
}

const TABLE_PARAMETERS: &[Parameter] = &[
    of_table("autovacuum_analyze_scale_factor", Values::Real(100.0)),
    of_table("autovacuum_analyze_threshold", Values::Integer(0, INTEGER_MAX)),
    of_both("autovacuum_enabled", Values::Boolean),
    of_both("autovacuum_freeze_max_age", Values::Integer(100_000, 2_000_000_000)),
    of_both("autovacuum_freeze_min_age", Values::Integer(0, 1_000_000_000)),
    of_both("autovacuum_freeze_table_age", Values::Integer(0, 2_000_000_000)),
    of_both("autovacuum_multixact_freeze_max_age", Values::Integer(10_000, 2_000_000_000)),
    of_both("autovacuum_multixact_freeze_min_age", Values::Integer(0, 1_000_000_000)),
    of_both("autovacuum_multixact_freeze_table_age", Values::Integer(0, 2_000_000_000)),
    of_both("autovacuum_vacuum_cost_delay", Values::Real(100.0)),
    of_both("autovacuum_vacuum_cost_limit", Values::Integer(1, 10_000)),
    of_both("autovacuum_vacuum_insert_scale_factor", Values::Real(100.0)),
    of_both("autovacuum_vacuum_insert_threshold", Values::Integer(-1, INTEGER_MAX)),
    of_both("autovacuum_vacuum_scale_factor", Values::Real(100.0)),
    of_both("autovacuum_vacuum_threshold", Values::Integer(0, INTEGER_MAX)),
    of_both("log_autovacuum_min_duration", Values::Integer(-1, INTEGER_MAX)),
    of_table("parallel_workers", Values::Integer(0, 1024)),
    of_table("toast_tuple_target", Values::Integer(128, 8160)),
    of_table("user_catalog_table", Values::Boolean),
    of_both("vacuum_index_cleanup", Values::OnOffAuto),
    of_both("vacuum_truncate", Values::Boolean),
];

const INDEX_PARAMETERS: &[Parameter] = &[of_table("deduplicate_items", Values::Boolean)];

/// What the parameters come to.
/// # Errors
/// `22023` for one that is not known, has an impossible value or is said twice; `42601`; `0A000` for WITH OIDS.
pub(super) fn bind_storage_parameters(
    options: &[StorageOption<'_>],
    of: StorageOf,
) -> Result<StorageParameters> {
    let mut bound = StorageParameters::default();
    for option in options {
        let position = option.name.position();
        let name = option.name.object().text;
        let is_toast = is_of_toast(option, of)?;
        let value = text_of(option)?;
        let value = value.as_deref();
        if of == StorageOf::NewTable && !is_toast && name == "oids" {
            refuse_oids(value).map_err(|error| error.at(position))?;
            continue;
        }
        let value = value.unwrap_or("true");
        let shown = if is_toast { format!("toast.{name}") } else { name.to_owned() };
        let is_fill_factor = name == "fillfactor" && !is_toast;
        if bound.without_effect.contains(&shown) || (is_fill_factor && bound.fill_percent.is_some()) {
            let message = format!("parameter \"{name}\" specified more than once");
            return Err(invalid(message).at(position));
        }
        if is_fill_factor {
            let (least, most) = (*FILL_PERCENTS.start(), *FILL_PERCENTS.end());
            let percent = integer_between(name, value, i64::from(least), i64::from(most));
            bound.fill_percent = u8::try_from(percent.map_err(|error| error.at(position))?).ok();
            continue;
        }
        let known = match of {
            StorageOf::NewTable | StorageOf::Table => TABLE_PARAMETERS,
            StorageOf::Index => INDEX_PARAMETERS,
            StorageOf::HashIndex => &[],
        };
        let is_meant = |known: &&Parameter| known.name == name && (known.of_toast || !is_toast);
        let Some(parameter) = known.iter().find(is_meant) else {
            let names = known.iter().map(|known| known.name).chain(["fillfactor"]);
            return Err(invalid(format!("unrecognized parameter \"{name}\""))
                .hint_near_miss(name, names)
                .at(position));
        };
        check_value(parameter, value).map_err(|error| error.at(position))?;
        bound.without_effect.push(shown);
    }
    Ok(bound)
}

/// Whether RESET (…) is about fillfactor. What is not known is as if it was never set.
/// # Errors
/// `42601`.
pub(super) fn resets_fill_factor(options: &[StorageOption<'_>]) -> Result<bool> {
    let mut resets = false;
    for option in options {
        if option.value.is_some() {
            let error = Error::new(SqlState::SYNTAX_ERROR, "RESET must not include values for parameters");
            return Err(error.at(option.name.position()));
        }
        resets |= option.name.parts.len() == 1 && option.name.object().text == "fillfactor";
    }
    Ok(resets)
}

fn invalid(message: String) -> Error {
    Error::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// Whether the parameter is of the table that PostgreSQL would keep large values in.
fn is_of_toast(option: &StorageOption<'_>, of: StorageOf) -> Result<bool> {
    let is_table = matches!(of, StorageOf::NewTable | StorageOf::Table);
    match option.name.parts {
        [_] => Ok(false),
        [space, _] if is_table && space.text == "toast" => Ok(true),
        [space, _] => {
            let message = format!("unrecognized parameter namespace \"{}\"", space.text);
            Err(invalid(message).at(space.position()))
        }
        _ => {
            Err(Error::new(SqlState::SYNTAX_ERROR, "syntax error at or near \".\"")
                .at(option.name.position()))
        }
    }
}

/// The value as text, as PostgreSQL keeps it.
fn text_of(option: &StorageOption<'_>) -> Result<Option<String>> {
    let Some(value) = option.value else { return Ok(None) };
    Ok(Some(match value {
        OptionValue::Name(name) => name.text.to_owned(),
        OptionValue::Star => "*".to_owned(),
        OptionValue::Literal(Literal::Boolean(value)) => value.to_string(),
        OptionValue::Literal(Literal::Integer(number)) => number.to_string(),
        OptionValue::Literal(Literal::Number(text) | Literal::String(text)) => text.to_owned(),
        OptionValue::Literal(_) | OptionValue::Names(_) => {
            let message = format!("invalid value for option \"{}\"", option.name.object().text);
            return Err(Error::new(SqlState::SYNTAX_ERROR, message).at(option.name.position()));
        }
    }))
}

fn refuse_oids(value: Option<&str>) -> Result<()> {
    match value.unwrap_or("true").to_ascii_lowercase().as_str() {
        "false" | "off" | "0" => Ok(()),
        "true" | "on" | "1" => {
            Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, "tables declared WITH OIDS are not supported"))
        }
        _ => Err(Error::new(SqlState::SYNTAX_ERROR, "oids requires a Boolean value")),
    }
}

fn check_value(parameter: &Parameter, value: &str) -> Result<()> {
    let name = parameter.name;
    let wrong = |kind: &str| invalid(format!("invalid value for {kind} option \"{name}\": {value}"));
    match parameter.values {
        Values::Boolean if !is_boolean(value) => Err(wrong("boolean")),
        Values::Boolean => Ok(()),
        Values::Integer(least, most) => integer_between(name, value, least, most).map(drop),
        Values::Real(most) => match value.trim().parse::<f64>() {
            Ok(number) if (0.0..=most).contains(&number) => Ok(()),
            Ok(number) if number.is_finite() => {
                Err(out_of_bounds(name, value, "0.000000", &format!("{most:.6}")))
            }
            _ => Err(wrong("floating point")),
        },
        Values::OnOffAuto => {
            let is_switch = ["true", "false", "yes", "no", "1", "0"];
            let words = ["on", "off", "auto"].into_iter().chain(is_switch);
            if words.into_iter().any(|word| word.eq_ignore_ascii_case(value)) {
                return Ok(());
            }
            Err(wrong("enum").detail("Valid values are \"on\", \"off\", and \"auto\"."))
        }
    }
}

fn out_of_bounds(name: &str, value: &str, least: &str, most: &str) -> Error {
    invalid(format!("value {value} out of bounds for option \"{name}\""))
        .detail(format!("Valid values are between \"{least}\" and \"{most}\"."))
}

fn integer_between(name: &str, value: &str, least: i64, most: i64) -> Result<i64> {
    let Some(number) = integer(value) else {
        return Err(invalid(format!("invalid value for integer option \"{name}\": {value}")));
    };
    if (least..=most).contains(&number) {
        return Ok(number);
    }
    Err(out_of_bounds(name, value, &least.to_string(), &most.to_string()))
}

/// An integer as PostgreSQL reads those of settings: also hexadecimal and octal, and rounded where it has a fraction.
fn integer(text: &str) -> Option<i64> {
    let text = text.trim();
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let number = if let Some(hexadecimal) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        i64::from_str_radix(hexadecimal, 16).ok()?
    } else if digits.contains(['.', 'e', 'E']) {
        let number = digits.parse::<f64>().ok()?.round_ties_even();
        // The comparison refuses what an integer cannot hold.
        if number.abs() > i32::MAX as f64 { return None } else { number as i64 }
    } else if digits.len() > 1 && digits.starts_with('0') {
        i64::from_str_radix(digits, 8).ok()?
    } else {
        digits.parse().ok()?
    };
    let number = if is_negative { -number } else { number };
    i32::try_from(number).ok().map(i64::from)
}

/// Whether PostgreSQL reads a boolean there: a beginning of true, false, yes or no, on, off, 1 or 0.
fn is_boolean(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let is_beginning = ["true", "false", "yes", "no"].into_iter().any(|word| word.starts_with(&lower));
    !lower.is_empty() && (is_beginning || matches!(lower.as_str(), "on" | "of" | "off" | "1" | "0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_as_postgresql_reads_settings() {
        let read = [
            ("70", Some(70)),
            (" +70 ", Some(70)),
            ("-5", Some(-5)),
            ("0x46", Some(70)),
            ("0106", Some(70)),
            ("70.5", Some(70)),
            ("71.5", Some(72)),
            ("7e1", Some(70)),
            ("08", None),
            ("", None),
            ("--5", None),
            ("7 0", None),
            ("99999999999", None),
            ("1e300", None),
            ("-0x", None),
        ];
        for (text, number) in read {
            assert_eq!(integer(text), number, "{text:?}");
        }
    }
}
