//! The one table of settings: name, default, check, description, effect. SET, SHOW, RESET and
//! `current_setting` all read it. Knows nothing of statements or transactions beyond when a value reverts.

use crate::durability::policy::Durability;
use crate::error::{Error, Result, SqlState};
use crate::session::block::Modes;
use crate::session::engine::EngineOptions;
use crate::session::setting::{
    Assign, Definition, Effects, ExecutionPath, Timeouts, application_name, boolean, byte_text, choice,
    date_style, deadlock_timeout, deferrable_default, durability, encoding, execution_path, float_digits,
    interval_style, isolation_default, on_error, on_off, planner_cost, planner_count, planner_pages,
    planner_switch, read_only_default, search_path, standard_strings, statement_size, synchronous_commit,
    time_zone, timeout,
};
use crate::sql::types::text_style::TextStyle;
use std::sync::Arc;

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
    planner("constraint_exclusion", "partition", |definition, value, _| {
        match value.trim().eq_ignore_ascii_case("partition") {
            true => Ok(String::from("partition")),
            false => boolean(definition.name, value).map(on_off),
        }
    }),
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
    planner("effective_cache_size", "4GB", planner_pages),
    planner("enable_async_append", "on", planner_switch),
    planner("enable_bitmapscan", "on", planner_switch),
    planner("enable_gathermerge", "on", planner_switch),
    planner("enable_hashagg", "on", planner_switch),
    planner("enable_hashjoin", "on", planner_switch),
    planner("enable_incremental_sort", "on", planner_switch),
    planner("enable_indexonlyscan", "on", planner_switch),
    planner("enable_indexscan", "on", planner_switch),
    planner("enable_material", "on", planner_switch),
    planner("enable_memoize", "on", planner_switch),
    planner("enable_mergejoin", "on", planner_switch),
    planner("enable_nestloop", "on", planner_switch),
    planner("enable_parallel_append", "on", planner_switch),
    planner("enable_parallel_hash", "on", planner_switch),
    planner("enable_partition_pruning", "on", planner_switch),
    planner("enable_partitionwise_aggregate", "off", planner_switch),
    planner("enable_partitionwise_join", "off", planner_switch),
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
    planner("from_collapse_limit", "8", planner_count),
    planner("geqo", "on", planner_switch),
    planner("geqo_threshold", "12", planner_count),
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
    planner("jit", "on", planner_switch),
    planner("join_collapse_limit", "8", planner_count),
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
    planner("max_parallel_maintenance_workers", "2", planner_count),
    planner("max_parallel_workers", "8", planner_count),
    planner("max_parallel_workers_per_gather", "2", planner_count),
    setting("max_statement_size", "64MB", "Longest SQL text.", Some(statement_size)),
    setting("memory_limit", "", "Bytes that the database may use.", None),
    planner("min_parallel_index_scan_size", "512kB", planner_pages),
    planner("min_parallel_table_scan_size", "8MB", planner_pages),
    setting(
        "on_error",
        "transaction",
        "What an error in a transaction block undoes: transaction, which then takes nothing but its end, or statement.",
        Some(on_error),
    ),
    planner("parallel_leader_participation", "on", planner_switch),
    planner("parallel_setup_cost", "1000", planner_cost),
    planner("parallel_tuple_cost", "0.1", planner_cost),
    planner("plan_cache_mode", "auto", |definition, value, _| {
        choice(definition, value, &["auto", "force_generic_plan", "force_custom_plan"]).map(String::from)
    }),
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
