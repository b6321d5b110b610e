//! The one error type and the one table of SQLSTATE codes.
//! Knows nothing of any layer; every layer returns it.

use std::fmt;

macro_rules! states {
    ($($name:ident = $code:literal, $meaning:literal;)*) => {
        impl SqlState {
            $(#[doc = concat!("`", $code, "`: ", $meaning, ".")]
              pub const $name: SqlState = SqlState::from_text($code);)*
            /// Every code with its meaning, in the order of the table (the source of the documentation).
            pub const ALL: &'static [(SqlState, &'static str)] = &[$((SqlState::$name, $meaning),)*];
        }
    };
}

/// A five-character SQLSTATE, as PostgreSQL 15 defines it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SqlState([u8; 5]);

impl SqlState {
    const fn from_text(text: &str) -> SqlState {
        let bytes = text.as_bytes();
        assert!(bytes.len() == 5, "an SQLSTATE has five characters");
        SqlState([bytes[0], bytes[1], bytes[2], bytes[3], bytes[4]])
    }

    /// The five characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XX000")
    }

    /// The first two characters: the class, e.g. `23` for integrity violations.
    pub fn class(&self) -> &str {
        &self.as_str()[..2]
    }
}

impl fmt::Debug for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

states! {
    SUCCESSFUL_COMPLETION = "00000", "no error: what some notices carry";
    WARNING = "01000", "a warning, which is no error";
    PROTOCOL_VIOLATION = "08P01", "protocol violation: a wrong number of parameter values";
    CONNECTION_DOES_NOT_EXIST = "08003", "connection does not exist";
    TRANSACTION_RESOLUTION_UNKNOWN = "08007", "the outcome of the commit is unknown; reopen the database";
    FEATURE_NOT_SUPPORTED = "0A000", "feature not supported";
    CARDINALITY_VIOLATION = "21000", "cardinality violation";
    STRING_DATA_RIGHT_TRUNCATION = "22001", "value too long for its type";
    NUMERIC_VALUE_OUT_OF_RANGE = "22003", "numeric value out of range";
    NULL_VALUE_NOT_ALLOWED = "22004", "null value not allowed";
    INVALID_DATETIME_FORMAT = "22007", "invalid date or time format";
    DATETIME_FIELD_OVERFLOW = "22008", "date or time field out of range";
    INVALID_TIME_ZONE_DISPLACEMENT = "22009", "invalid time zone displacement";
    INTERVAL_FIELD_OVERFLOW = "22015", "interval field out of range";
    SUBSTRING_ERROR = "22011", "negative substring length";
    DIVISION_BY_ZERO = "22012", "division by zero";
    INVALID_ARGUMENT_FOR_LOGARITHM = "2201E", "invalid argument for logarithm";
    INVALID_ARGUMENT_FOR_POWER_FUNCTION = "2201F", "invalid argument for power function";
    INVALID_ARGUMENT_FOR_WIDTH_BUCKET = "2201G", "invalid argument for width_bucket";
    ARRAY_SUBSCRIPT_ERROR = "2202E", "a position outside its range";
    INVALID_USE_OF_ESCAPE_CHARACTER = "2200C", "invalid use of an escape character";
    SEQUENCE_GENERATOR_LIMIT_EXCEEDED = "2200H", "a sequence has no value left";
    INVALID_ROW_COUNT_IN_LIMIT = "2201W", "LIMIT must not be negative";
    INVALID_ROW_COUNT_IN_OFFSET = "2201X", "OFFSET must not be negative";
    CHARACTER_NOT_IN_REPERTOIRE = "22021", "NUL or invalid UTF-8 in text";
    INVALID_PARAMETER_VALUE = "22023", "invalid parameter value";
    INVALID_ESCAPE_CHARACTER = "22019", "invalid escape character";
    INVALID_ESCAPE_SEQUENCE = "22025", "invalid escape sequence";
    INVALID_TEXT_REPRESENTATION = "22P02", "invalid text representation of a value";
    INVALID_BINARY_REPRESENTATION = "22P03", "invalid binary representation of a value";
    BAD_COPY_FILE_FORMAT = "22P04", "the data of COPY do not have its format";
    INVALID_REGULAR_EXPRESSION = "2201B", "invalid regular expression";
    RESTRICT_VIOLATION = "23001", "restrict violation";
    NOT_NULL_VIOLATION = "23502", "null value in a not-null column";
    FOREIGN_KEY_VIOLATION = "23503", "foreign key violation";
    UNIQUE_VIOLATION = "23505", "duplicate key";
    CHECK_VIOLATION = "23514", "check constraint violated";
    INVALID_TRANSACTION_STATE = "25000", "invalid transaction state";
    ACTIVE_SQL_TRANSACTION = "25001", "a transaction is already in progress";
    READ_ONLY_SQL_TRANSACTION = "25006", "the transaction or database is read-only";
    NO_ACTIVE_SQL_TRANSACTION = "25P01", "no transaction is in progress";
    IN_FAILED_SQL_TRANSACTION = "25P02", "the transaction is aborted";
    IDLE_IN_TRANSACTION_TIMEOUT = "25P03", "a transaction was idle for too long and has been rolled back";
    TRANSACTION_TIMEOUT = "25P04", "a transaction took too long and has been rolled back";
    INVALID_SQL_STATEMENT_NAME = "26000", "prepared statement does not exist";
    DEPENDENT_OBJECTS_STILL_EXIST = "2BP01", "other objects depend on it";
    INVALID_SAVEPOINT_SPECIFICATION = "3B001", "savepoint does not exist";
    INVALID_CURSOR_NAME = "34000", "portal does not exist";
    TRANSACTION_ROLLBACK = "40000", "the transaction was rolled back";
    SERIALIZATION_FAILURE = "40001", "concurrent update; retry the transaction";
    DEADLOCK_DETECTED = "40P01", "deadlock; retry the transaction";
    SYNTAX_ERROR = "42601", "syntax error";
    INVALID_NAME = "42602", "invalid name";
    NAME_TOO_LONG = "42622", "name too long";
    DUPLICATE_COLUMN = "42701", "column named twice";
    AMBIGUOUS_COLUMN = "42702", "ambiguous column";
    UNDEFINED_COLUMN = "42703", "column does not exist";
    UNDEFINED_OBJECT = "42704", "object does not exist";
    DUPLICATE_OBJECT = "42710", "object exists already";
    DUPLICATE_ALIAS = "42712", "table name or alias used twice";
    AMBIGUOUS_FUNCTION = "42725", "ambiguous function call";
    GROUPING_ERROR = "42803", "column must appear in GROUP BY or an aggregate";
    GENERATED_ALWAYS = "428C9", "the column makes its values itself";
    DATATYPE_MISMATCH = "42804", "data types do not match";
    WRONG_OBJECT_TYPE = "42809", "wrong kind of object";
    INVALID_FOREIGN_KEY = "42830", "invalid foreign key";
    CANNOT_COERCE = "42846", "cannot cast";
    UNDEFINED_FUNCTION = "42883", "function or operator does not exist";
    RESERVED_NAME = "42939", "reserved name";
    UNDEFINED_TABLE = "42P01", "table does not exist";
    UNDEFINED_PARAMETER = "42P02", "parameter does not exist";
    DUPLICATE_PREPARED_STATEMENT = "42P05", "prepared statement exists already";
    DUPLICATE_TABLE = "42P07", "table or index exists already";
    AMBIGUOUS_PARAMETER = "42P08", "conflicting types for a parameter";
    AMBIGUOUS_ALIAS = "42P09", "table name or alias means several";
    INVALID_COLUMN_REFERENCE = "42P10", "invalid column reference";
    INVALID_TABLE_DEFINITION = "42P16", "invalid table definition";
    INVALID_OBJECT_DEFINITION = "42P17", "invalid object definition";
    INDETERMINATE_DATATYPE = "42P18", "the type of a parameter cannot be determined";
    INVALID_RECURSION = "42P19", "invalid recursive query";
    UNDEFINED_SCHEMA = "3F000", "schema does not exist";
    DISK_FULL = "53100", "no space is left for data";
    OUT_OF_MEMORY = "53200", "memory limit reached";
    CONFIGURATION_LIMIT_EXCEEDED = "53400", "configured limit exceeded";
    PROGRAM_LIMIT_EXCEEDED = "54000", "program limit exceeded";
    STATEMENT_TOO_COMPLEX = "54001", "statement nested too deeply";
    TOO_MANY_COLUMNS = "54011", "too many columns";
    TOO_MANY_ARGUMENTS = "54023", "too many arguments";
    OBJECT_NOT_IN_PREREQUISITE_STATE = "55000", "object not in the required state";
    OBJECT_IN_USE = "55006", "the database is in use by another process";
    CANNOT_CHANGE_RUNTIME_PARAMETER = "55P02", "the setting cannot be changed now";
    LOCK_NOT_AVAILABLE = "55P03", "lock not available";
    QUERY_CANCELED = "57014", "query cancelled";
    ADMIN_SHUTDOWN = "57P01", "the database is being closed";
    IO_ERROR = "58030", "input/output error";
    UNDEFINED_FILE = "58P01", "file or folder does not exist";
    INSUFFICIENT_PRIVILEGE = "42501", "no permission";
    SNAPSHOT_TOO_OLD = "72000", "snapshot too old";
    INTERNAL_ERROR = "XX000", "internal error: a bug in Lumos";
    DATA_CORRUPTED = "XX001", "the file is damaged or not a Lumos database";
    INDEX_CORRUPTED = "XX002", "an index is damaged";
}

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, for people and for programs: SQLSTATE, message, place in the SQL text, what to do.
#[derive(Clone, Debug)]
pub struct Error(Box<Report>);

#[derive(Clone, Debug)]
struct Report {
    state: SqlState,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
    position: Option<usize>,
    schema: Option<String>,
    table: Option<String>,
    column: Option<String>,
    data_type: Option<String>,
    constraint: Option<String>,
    context: Option<String>,
    tree: Option<u32>,
    unstarted: bool,
}

macro_rules! optional_field {
    ($(#[$doc:meta])* $setter:ident, $getter:ident, $field:ident) => {
        $(#[$doc])*
        #[must_use]
        pub fn $setter(mut self, value: impl Into<String>) -> Error {
            self.0.$field = Some(value.into());
            self
        }
        $(#[$doc])*
        pub fn $getter(&self) -> Option<&str> {
            self.0.$field.as_deref()
        }
    };
}

impl Error {
    /// An error with its code and its primary message (lower case, no full stop, as PostgreSQL writes them).
    pub fn new(state: SqlState, message: impl Into<String>) -> Error {
        Error(Box::new(Report {
            state,
            message: message.into(),
            detail: None,
            hint: None,
            position: None,
            schema: None,
            table: None,
            column: None,
            data_type: None,
            constraint: None,
            context: None,
            tree: None,
            unstarted: false,
        }))
    }

    /// `XX000`: one of our invariants does not hold.
    pub fn internal(message: impl Into<String>) -> Error {
        Error::new(SqlState::INTERNAL_ERROR, message)
    }

    /// `0A000`: `what` is not supported (yet); `what` reads as a noun, e.g. "JOIN".
    pub fn not_supported(what: impl fmt::Display) -> Error {
        Error::new(SqlState::FEATURE_NOT_SUPPORTED, format!("{what} is not supported"))
    }

    /// Sets the place in the SQL text: a byte offset from its start (the C ABI reports it as such).
    #[must_use]
    pub fn at(mut self, position: usize) -> Error {
        self.0.position = Some(position);
        self
    }

    /// Sets the place only where none is known yet.
    #[must_use]
    pub fn at_if_unset(mut self, position: usize) -> Error {
        self.0.position.get_or_insert(position);
        self
    }

    /// The place in the SQL text, a byte offset.
    pub fn position(&self) -> Option<usize> {
        self.0.position
    }

    /// Says in which tree damage was met, unless that is known already.
    #[must_use]
    pub fn in_tree(mut self, tree: u32) -> Error {
        self.0.tree.get_or_insert(tree);
        self
    }

    /// The number of the tree in which damage was met.
    pub fn tree(&self) -> Option<u32> {
        self.0.tree
    }

    /// Says that the call did nothing: its session, or its transaction, had been ended by others before it began.
    #[must_use]
    pub fn unstarted(mut self) -> Error {
        self.0.unstarted = true;
        self
    }

    /// Takes [`Error::unstarted`] back, for a call that had done something before it came to this.
    #[must_use]
    pub fn started(mut self) -> Error {
        self.0.unstarted = false;
        self
    }

    /// Whether the call did nothing because its session, or its transaction, had been ended before: another session may be
    /// asked the same.
    pub fn is_unstarted(&self) -> bool {
        self.0.unstarted
    }

    /// The code.
    pub fn state(&self) -> SqlState {
        self.0.state
    }

    /// The primary message.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    optional_field!(
        /// Secondary message with the facts of the case.
        detail, detail_text, detail);
    optional_field!(
        /// What to do about it.
        hint, hint_text, hint);
    optional_field!(
        /// Schema the error is about.
        schema, schema_name, schema);
    optional_field!(
        /// Table the error is about.
        table, table_name, table);
    optional_field!(
        /// Column the error is about.
        column, column_name, column);
    optional_field!(
        /// Data type the error is about.
        data_type, data_type_name, data_type);
    optional_field!(
        /// Constraint that was violated.
        constraint, constraint_name, constraint);
    optional_field!(
        /// Where in the data the error arose: `COPY t, line 3, column a: "x"`.
        context, context_text, context);

    /// Adds the hint `Perhaps you meant "…"` when one of `candidates` is close to `name`
    /// (edit distance at most a third of its length, or two, so that swapped letters are found).
    #[must_use]
    pub fn hint_near_miss<'a>(self, name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Error {
        let limit = (name.chars().count() / 3).max(2).min(name.chars().count().saturating_sub(1)).max(1);
        let best = candidates
            .into_iter()
            .filter(|candidate| *candidate != name)
            .map(|candidate| (edit_distance(name, candidate), candidate))
            .filter(|(distance, _)| *distance <= limit)
            .min_by_key(|(distance, _)| *distance);
        match best {
            Some((_, candidate)) => self.hint(format!("Perhaps you meant \"{candidate}\".")),
            None => self,
        }
    }
}

/// Levenshtein distance over characters, O(n·m); names have at most 63 bytes.
fn edit_distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, r) in right.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (diagonal + usize::from(l != *r)).min(above + 1).min(row[j] + 1);
            diagonal = above;
        }
    }
    row[right.len()]
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0.message, self.0.state)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_listed_once_and_has_five_characters() {
        let mut codes: Vec<&str> = SqlState::ALL.iter().map(|(state, _)| state.as_str()).collect();
        let count = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), count);
        assert!(codes.iter().all(|code| code.len() == 5));
    }

    #[test]
    fn a_near_miss_is_named_and_a_far_one_is_not() {
        let error = Error::new(SqlState::UNDEFINED_COLUMN, "column \"nmae\" does not exist");
        let hinted = error.clone().hint_near_miss("nmae", ["id", "name"]);
        assert_eq!(hinted.hint_text(), Some("Perhaps you meant \"name\"."));
        let hinted = error.hint_near_miss("nmae", ["id", "balance"]);
        assert_eq!(hinted.hint_text(), None);
    }
}
