//! What can be chosen when a database is opened: one table for programs, for the C ABI and for the documentation.

use crate::common::clock::Clock;
use crate::common::limits::{
    BULK_ROWS, LOG_SEGMENT_FIRST_BYTES, LOG_SEGMENT_MAX_BYTES, PAGE_SIZE_DEFAULT, STATEMENT_BYTES_DEFAULT,
};
use crate::common::sync::Arc;
use crate::durability::policy::Durability;
use crate::error::{Error, Result, SqlState};
use crate::io::vfs::Vfs;

/// The least memory that a database runs with, in bytes.
pub const MEMORY_LIMIT_MIN: usize = 4 << 20;
/// The most bytes of one SQL text that can be allowed.
pub const STATEMENT_BYTES_MAX: usize = 1 << 30;

/// Choices for opening. Everything not said is the default.
#[derive(Clone)]
pub struct DatabaseOptions {
    /// Bytes for everything together; `None`: a quarter of the smaller of the machine's memory and the control
    /// group's limit.
    pub memory_limit: Option<usize>,
    /// Databases of this process with the same name here share one memory limit: that of the first of them.
    pub memory_group: Option<String>,
    /// Bytes of memory for older versions of rows; `None`: a quarter of the memory limit.
    pub version_memory: Option<usize>,
    /// Bytes of a page of a new file; an existing one keeps its own.
    pub page_size: usize,
    /// What a commit waits for unless a session says otherwise.
    pub durability: Durability,
    /// Nothing is written: what the log of a crash holds is applied in memory alone.
    pub read_only: bool,
    /// A missing file is made.
    pub create: bool,
    /// Bytes of one SQL text.
    pub max_statement_size: usize,
    /// The file system; `None`: the operating system's, or memory for a database without a path.
    pub vfs: Option<Arc<dyn Vfs>>,
    /// The clock; `None`: the operating system's.
    pub clock: Option<Arc<dyn Clock>>,
    /// Bytes of the first log segment; each next one is twice as large. Small ones are for tests.
    pub log_segment_first_bytes: u64,
    /// Bytes of the largest log segment.
    pub log_segment_max_bytes: u64,
    /// Rows or entries from which on a load writes finished pages and logs where they are. Few are for tests.
    pub bulk_rows: u64,
    /// Checkpoints are written in the background when they are due; otherwise by CHECKPOINT and at the close only,
    /// for tests that make the same calls each time.
    pub background_checkpoints: bool,
}

impl std::fmt::Debug for DatabaseOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut fields = f.debug_struct("DatabaseOptions");
        for option in OPTIONS {
            fields.field(option.name, &(option.get)(self));
        }
        fields.finish_non_exhaustive()
    }
}

impl Default for DatabaseOptions {
    fn default() -> DatabaseOptions {
        DatabaseOptions {
            memory_limit: None,
            memory_group: None,
            version_memory: None,
            page_size: PAGE_SIZE_DEFAULT,
            durability: Durability::Full,
            read_only: false,
            create: true,
            max_statement_size: STATEMENT_BYTES_DEFAULT,
            vfs: None,
            clock: None,
            log_segment_first_bytes: LOG_SEGMENT_FIRST_BYTES,
            log_segment_max_bytes: LOG_SEGMENT_MAX_BYTES,
            bulk_rows: BULK_ROWS,
            background_checkpoints: true,
        }
    }
}

/// What values an option takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OptionKind {
    /// `on`, `off`, `true`, `false`, `1`, `0`.
    Boolean,
    /// A number of bytes, with `B`, `kB`, `MB`, `GB` or `TB` (powers of 1024) or without.
    Bytes,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Any text.
    Text,
}

impl OptionKind {
    /// The kind in one word.
    pub const fn name(self) -> &'static str {
        match self {
            OptionKind::Boolean => "boolean",
            OptionKind::Bytes => "bytes",
            OptionKind::Word(_) => "word",
            OptionKind::Text => "text",
        }
    }
}

/// An option as the documentation and the C ABI list it.
#[derive(Clone, Copy)]
pub struct OptionDescription {
    /// Its name.
    pub name: &'static str,
    /// Its values.
    pub kind: OptionKind,
    /// Its default, as text.
    pub default: &'static str,
    /// What it does.
    pub help: &'static str,
    set: fn(&mut DatabaseOptions, &str) -> Option<()>,
    get: fn(&DatabaseOptions) -> String,
}

impl std::fmt::Debug for OptionDescription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Every option, by name.
pub const OPTIONS: &[OptionDescription] = &[
    OptionDescription {
        name: "create",
        kind: OptionKind::Boolean,
        default: "on",
        help: "Make the file when it does not exist.",
        set: |options, text| parse_boolean(text).map(|value| options.create = value),
        get: |options| on_off(options.create),
    },
    OptionDescription {
        name: "durability",
        kind: OptionKind::Word(&["full", "normal", "off"]),
        default: "full",
        help: "What a commit waits for: full: the disk has it; normal: the operating system has it; off: nothing.",
        set: |options, text| parse_durability(text).map(|value| options.durability = value),
        get: |options| options.durability.name().to_owned(),
    },
    OptionDescription {
        name: "max_statement_size",
        kind: OptionKind::Bytes,
        default: "64MB",
        help: "The longest SQL text that is accepted.",
        set: |options, text| {
            let bytes = parse_bytes(text).filter(|bytes| (1..=STATEMENT_BYTES_MAX).contains(bytes))?;
            options.max_statement_size = bytes;
            Some(())
        },
        get: |options| show_bytes(options.max_statement_size),
    },
    OptionDescription {
        name: "memory_group",
        kind: OptionKind::Text,
        default: "none",
        help: "Databases of this process with the same name here share one memory limit: that of the first of them.",
        set: |options, text| {
            options.memory_group = (!matches!(text, "" | "none")).then(|| text.to_owned());
            Some(())
        },
        get: |options| options.memory_group.clone().unwrap_or_else(|| "none".to_owned()),
    },
    OptionDescription {
        name: "memory_limit",
        kind: OptionKind::Bytes,
        default: "25% of memory",
        help: "Memory for everything together, at least 4MB. The default is a quarter of the smaller of the \
               machine's memory and the control group's limit.",
        set: |options, text| {
            let bytes = parse_bytes(text).filter(|bytes| *bytes >= MEMORY_LIMIT_MIN)?;
            options.memory_limit = Some(bytes);
            Some(())
        },
        get: |options| options.memory_limit.map_or_else(|| "25% of memory".to_owned(), show_bytes),
    },
    OptionDescription {
        name: "page_size",
        kind: OptionKind::Bytes,
        default: "8kB",
        help: "Page size of a new file: a power of two from 4kB to 32kB. An existing file keeps its own.",
        set: |options, text| {
            let bytes = parse_bytes(text)?;
            (bytes.is_power_of_two() && (4096..=32_768).contains(&bytes)).then(|| options.page_size = bytes)
        },
        get: |options| show_bytes(options.page_size),
    },
    OptionDescription {
        name: "read_only",
        kind: OptionKind::Boolean,
        default: "off",
        help: "Write nothing. What the log of a crash holds is applied in memory. While another process writes the file, \
               each transaction sees the last checkpoint that there is when it begins.",
        set: |options, text| parse_boolean(text).map(|value| options.read_only = value),
        get: |options| on_off(options.read_only),
    },
    OptionDescription {
        name: "version_memory",
        kind: OptionKind::Bytes,
        default: "25% of memory_limit",
        help: "Memory for the older versions of rows that long transactions still read. Beyond it the oldest \
               snapshot is refused with 72000, and writers go on.",
        set: |options, text| {
            options.version_memory = Some(parse_bytes(text)?);
            Some(())
        },
        get: |options| options.version_memory.map_or_else(|| "25% of memory_limit".to_owned(), show_bytes),
    },
];

impl DatabaseOptions {
    /// Sets an option from text.
    /// # Errors
    /// `42704` for an unknown name, with a similar one as the hint; `22023` for a value it does not take.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let option = find(name)?;
        (option.set)(self, value.trim()).ok_or_else(|| {
            Error::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("invalid value for parameter \"{name}\": \"{value}\""),
            )
            .hint(match option.kind {
                OptionKind::Boolean => "Use on or off.".to_owned(),
                OptionKind::Bytes => {
                    format!("Use a number of bytes, or one with kB, MB, GB or TB. {}", option.help)
                }
                OptionKind::Text => option.help.to_owned(),
                OptionKind::Word(words) => format!("Available values: {}.", words.join(", ")),
            })
        })
    }

    /// An option as text.
    /// # Errors
    /// `42704`.
    pub fn get(&self, name: &str) -> Result<String> {
        Ok((find(name)?.get)(self))
    }
}

fn find(name: &str) -> Result<&'static OptionDescription> {
    OPTIONS.iter().find(|option| option.name == name).ok_or_else(|| {
        Error::new(SqlState::UNDEFINED_OBJECT, format!("unrecognized configuration parameter \"{name}\""))
            .hint_near_miss(name, OPTIONS.iter().map(|option| option.name))
    })
}

fn parse_boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" => Some(true),
        "off" | "false" | "no" | "0" => Some(false),
        _ => None,
    }
}

fn on_off(value: bool) -> String {
    if value { "on" } else { "off" }.to_owned()
}

fn parse_durability(text: &str) -> Option<Durability> {
    [Durability::Full, Durability::Normal, Durability::Off]
        .into_iter()
        .find(|level| level.name().eq_ignore_ascii_case(text))
}

const UNITS: [(&str, u32); 5] = [("TB", 40), ("GB", 30), ("MB", 20), ("kB", 10), ("B", 0)];

fn parse_bytes(text: &str) -> Option<usize> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: usize = text[..digits].parse().ok()?;
    let unit = text[digits..].trim();
    if unit.is_empty() {
        return Some(number);
    }
    let (_, shift) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    number.checked_mul(1usize.checked_shl(*shift)?)
}

fn show_bytes(bytes: usize) -> String {
    let (unit, shift) = UNITS
        .iter()
        .find(|(_, shift)| bytes != 0 && bytes.trailing_zeros() >= *shift)
        .copied()
        .unwrap_or(("B", 0));
    format!("{}{unit}", bytes >> shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_takes_what_it_shows() {
        for option in OPTIONS {
            let mut options = DatabaseOptions::default();
            let shown = options.get(option.name).unwrap();
            assert_eq!(shown, option.default, "{}", option.name);
            // Shares of what is not known here.
            if !matches!(option.name, "memory_limit" | "version_memory") {
                options.set(option.name, &shown).unwrap();
                assert_eq!(options.get(option.name).unwrap(), shown);
            }
        }
        assert!(OPTIONS.windows(2).all(|pair| pair[0].name < pair[1].name));
    }

    #[test]
    fn values_are_checked_and_unknown_names_hinted() {
        let mut options = DatabaseOptions::default();
        options.set("memory_limit", "64 MB").unwrap();
        assert_eq!(options.memory_limit, Some(64 << 20));
        for (name, value) in [
            ("memory_limit", "1kB"),
            ("page_size", "5000"),
            ("durability", "maybe"),
            ("memory_limit", "9999999999TB"),
        ] {
            assert_eq!(options.set(name, value).unwrap_err().state(), SqlState::INVALID_PARAMETER_VALUE);
        }
        let error = options.set("pagesize", "8kB").unwrap_err();
        assert_eq!(error.state(), SqlState::UNDEFINED_OBJECT);
        assert_eq!(error.hint_text(), Some("Perhaps you meant \"page_size\"."));
    }
}
