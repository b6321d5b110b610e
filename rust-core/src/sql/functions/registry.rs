//! What a function is to binder, optimizer and evaluator.

use crate::batch::column::Column;
use crate::common::memory::MemoryAccount;
use crate::error::Result;
use crate::sql::functions::activity::Sessions;
use crate::sql::functions::locks::LockLine;
use crate::sql::functions::notifications::Notifications;
use crate::sql::functions::prepared::PreparedLine;
use crate::sql::functions::sequences::Sequences;
use crate::sql::functions::space::SpaceLine;
use crate::sql::types::cast::CastEnvironment;
use crate::sql::types::data_type::DataType;
use crate::sql::types::datum::{Datum, DatumRef};
use crate::sql::types::text_style::TextStyle;
use hashbrown::HashMap;
use std::sync::{Arc, LazyLock};

/// How a function's result depends on more than its arguments (PostgreSQL's terms).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Volatility {
    /// On nothing: may be folded at planning.
    Immutable,
    /// Constant within a statement: `now()`.
    Stable,
    /// May differ each call: `random()`.
    Volatile,
}

/// Which rows a vectorised call computes.
#[derive(Clone, Copy, Debug)]
pub enum RowSet<'a> {
    /// Rows `0..n`.
    All(usize),
    /// These rows, ascending; other slots of the result hold anything valid.
    Some(&'a [u16], usize),
}

/// What the session tells functions. One statement sees one value of everything but the clock.
pub trait Environment {
    /// `statement_timestamp()`: unix microseconds.
    fn statement_time(&self) -> i64;
    /// `now()`: unix microseconds at the transaction's start.
    fn transaction_time(&self) -> i64;
    /// `clock_timestamp()`: unix microseconds.
    fn clock_time(&self) -> i64;
    /// The session's time zone.
    fn time_zone(&self) -> &jiff::tz::TimeZone;
    /// Uniform in `[0, 1)`.
    fn random(&self) -> f64;
    /// A setting as text, for `current_setting`.
    fn setting(&self, name: &str) -> Option<String>;
    /// The connection's number, for `pg_backend_pid()`.
    fn session_id(&self) -> u64;
    /// What the database takes up, for `lumos_stat_space`.
    /// # Errors
    /// `58030`, `XX001`, `53200`.
    fn space(&self) -> Result<Vec<SpaceLine>> {
        Ok(Vec::new())
    }
    /// The locks that are held and waited for, for `lumos_locks`.
    fn locks(&self) -> Vec<LockLine> {
        Vec::new()
    }
    /// The sessions of the database, and this one's advisory locks; `None` where there is no session.
    fn sessions(&self) -> Option<&dyn Sessions> {
        None
    }
    /// The session's statements of PREPARE, by name.
    fn prepared_statements(&self) -> Vec<PreparedLine> {
        Vec::new()
    }
    /// The session's messages; `None` where there is no session.
    fn notifications(&self) -> Option<&dyn Notifications> {
        None
    }
    /// The session's sequences; `None` where there is no session.
    fn sequences(&self) -> Option<&dyn Sequences> {
        None
    }
    /// Forms of text that the settings ask for.
    fn text_style(&self) -> TextStyle {
        TextStyle::default()
    }
    /// The account that long values are charged to; `None` where nobody counts.
    fn memory(&self) -> Option<&Arc<MemoryAccount>> {
        None
    }
    /// Makes sure, before a value of so many bytes is made, that there is room for it.
    /// # Errors
    /// `53200`.
    fn room_for(&self, bytes: usize) -> Result<()> {
        match self.memory() {
            _ if bytes <= SHORT_BYTES => Ok(()),
            Some(memory) if bytes > free_bytes(memory) => memory.reservation().grow(bytes),
            _ => Ok(()),
        }
    }
    /// What casts need of it.
    fn casts(&self) -> CastEnvironment<'_> {
        CastEnvironment { zone: self.time_zone(), now: self.transaction_time(), style: self.text_style() }
    }
}

/// So few bytes nobody counts.
const SHORT_BYTES: usize = 4 << 10;
/// … at most, and this share of the limit.
const FREE_BYTES_MAX: usize = 1 << 20;
const FREE_SHARE: usize = 64;

/// Long values of one batch, or of one row, may have so many bytes that are not charged.
pub fn free_bytes(memory: &MemoryAccount) -> usize {
    FREE_BYTES_MAX.min(memory.limit() / FREE_SHARE)
}

/// A function over columns: arguments, the rows to compute, the session.
pub type VectorKernel = fn(&[Arc<Column>], RowSet<'_>, &dyn Environment) -> Result<Column>;

/// A scalar function or operator with one signature.
pub struct ScalarFunction {
    /// Name, or the operator's symbol.
    pub name: &'static str,
    /// Argument types; for a variadic function the last repeats.
    pub arguments: &'static [DataType],
    /// Whether the last argument repeats (zero or more times more).
    pub variadic: bool,
    /// Result type.
    pub returns: DataType,
    /// NULL among the arguments gives NULL, without a call.
    pub strict: bool,
    /// What the result depends on.
    pub volatility: Volatility,
    /// One line for the documentation.
    pub documentation: &'static str,
    /// The implementation over columns.
    pub vector: VectorKernel,
    /// The implementation over single values; both come from one definition.
    pub scalar: fn(&[DatumRef<'_>], &dyn Environment) -> Result<Datum>,
}

impl std::fmt::Debug for ScalarFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{:?}", self.name, self.arguments)
    }
}

/// State of one aggregate for many groups, column-wise.
pub trait GroupStates: Send {
    /// Makes room for groups `0..count`.
    /// # Errors
    /// `53200`.
    fn resize(&mut self, count: usize) -> Result<()>;
    /// Adds rows: row `r` of the arguments belongs to group `groups[i]`, where `r` is the i-th row of `rows`.
    /// # Errors
    /// `22003` on overflow.
    fn update(&mut self, arguments: &[Arc<Column>], rows: RowSet<'_>, groups: &[u32]) -> Result<()>;
    /// Adds all rows to group 0: aggregation without GROUP BY.
    /// # Errors
    /// `22003` on overflow.
    fn update_single(&mut self, arguments: &[Arc<Column>], rows: RowSet<'_>) -> Result<()>;
    /// Results of the groups `from..to`.
    /// # Errors
    /// `22003` when a result is out of range.
    fn finish(&mut self, from: usize, to: usize) -> Result<Column>;
    /// Bytes held, for the memory account.
    fn memory_bytes(&self) -> usize;
}

/// An aggregate function with one signature.
pub struct AggregateFunction {
    /// Name.
    pub name: &'static str,
    /// Argument types; empty: `count(*)`.
    pub arguments: &'static [DataType],
    /// Result type.
    pub returns: DataType,
    /// One line for the documentation.
    pub documentation: &'static str,
    /// Fresh states.
    pub states: fn() -> Box<dyn GroupStates>,
}

impl std::fmt::Debug for AggregateFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{:?}", self.name, self.arguments)
    }
}

/// Starts a function of FROM with its arguments.
pub type StartTableFunction = fn(&[Datum], &dyn Environment) -> Result<Box<dyn TableFunctionRows>>;

/// How the names of the system's relations begin.
const SYSTEM_PREFIXES: [&str; 2] = ["lumos_", "pg_prepared_"];

/// A function of FROM with one signature: gives rows.
pub struct TableFunction {
    /// Name.
    pub name: &'static str,
    /// Argument types.
    pub arguments: &'static [DataType],
    /// Names and types of its columns. The only column of a function goes by the function's alias.
    pub columns: &'static [(&'static str, DataType)],
    /// Whether a NULL argument gives no rows, without a call.
    pub strict: bool,
    /// One line for the documentation.
    pub documentation: &'static str,
    /// Starts it with its arguments.
    pub start: StartTableFunction,
}

impl std::fmt::Debug for TableFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{:?}", self.name, self.arguments)
    }
}

/// The rows of a running table function.
pub trait TableFunctionRows: Send {
    /// The next rows, one column a column of the function, at most `rows_max`; no columns: the end.
    /// # Errors
    /// What the function raises.
    fn next(&mut self, rows_max: usize) -> Result<Vec<Arc<Column>>>;
}

/// Every function, operator and aggregate, by name. Built once; the definitions are static tables beside the kernels.
pub struct Registry {
    scalars: HashMap<&'static str, Vec<&'static ScalarFunction>>,
    /// By arity less one, then by symbol.
    operators: [HashMap<&'static str, Vec<&'static ScalarFunction>>; 2],
    aggregates: HashMap<&'static str, Vec<&'static AggregateFunction>>,
    tables: HashMap<&'static str, Vec<&'static TableFunction>>,
    scalar_list: Vec<&'static ScalarFunction>,
    aggregate_list: Vec<&'static AggregateFunction>,
    table_list: Vec<&'static TableFunction>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Registry({} scalar, {} aggregate)", self.scalar_list.len(), self.aggregate_list.len())
    }
}

/// Whether `name` is an operator symbol: operators are functions named by their symbol.
fn is_symbol(name: &str) -> bool {
    name.bytes().all(|byte| !byte.is_ascii_alphanumeric() && byte != b'_')
}

impl Registry {
    /// The one registry of the process.
    pub fn get() -> &'static Registry {
        static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::build);
        &REGISTRY
    }

    fn build() -> Registry {
        let mut registry = Registry {
            scalars: HashMap::new(),
            operators: [HashMap::new(), HashMap::new()],
            aggregates: HashMap::new(),
            tables: HashMap::new(),
            scalar_list: Vec::new(),
            aggregate_list: Vec::new(),
            table_list: Vec::new(),
        };
        for function in super::scalar_tables().into_iter().flatten() {
            registry.scalar_list.push(function);
            if is_symbol(function.name) {
                let arity = function.arguments.len();
                assert!(arity == 1 || arity == 2, "an operator has one or two arguments");
                registry.operators[arity - 1].entry(function.name).or_default().push(function);
            } else {
                registry.scalars.entry(function.name).or_default().push(function);
            }
        }
        for function in super::aggregate_tables().into_iter().flatten() {
            registry.aggregate_list.push(function);
            registry.aggregates.entry(function.name).or_default().push(function);
        }
        for function in super::table_function_tables().into_iter().flatten() {
            registry.table_list.push(function);
            registry.tables.entry(function.name).or_default().push(function);
        }
        registry
    }

    /// All overloads of the function of FROM `name` (lower case); empty when there is none.
    pub fn table_functions_named(&'static self, name: &str) -> &'static [&'static TableFunction] {
        self.tables.get(name).map_or(&[], Vec::as_slice)
    }

    /// The function without arguments that is a relation of the system: named in FROM without parentheses.
    pub fn system_relation(&'static self, name: &str) -> Option<&'static TableFunction> {
        let function = *self.table_functions_named(name).first()?;
        let is_system = SYSTEM_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        (is_system && function.arguments.is_empty()).then_some(function)
    }

    /// Every function of FROM, in the order of the tables.
    pub fn table_functions(&'static self) -> &'static [&'static TableFunction] {
        &self.table_list
    }

    /// All overloads of the scalar function `name` (lower case); empty when there is none.
    pub fn scalar(&'static self, name: &str) -> &'static [&'static ScalarFunction] {
        self.scalars.get(name).map_or(&[], Vec::as_slice)
    }

    /// All overloads of an operator. `arity` is 1 for a prefix operator, 2 for a binary one.
    /// PostgreSQL's `!=` is `<>`. LIKE is `~~`, NOT LIKE `!~~`, ILIKE `~~*`, NOT ILIKE `!~~*`.
    pub fn operator(&'static self, symbol: &str, arity: usize) -> &'static [&'static ScalarFunction] {
        let symbol = if symbol == "!=" { "<>" } else { symbol };
        match arity {
            1 | 2 => self.operators[arity - 1].get(symbol).map_or(&[], Vec::as_slice),
            _ => &[],
        }
    }

    /// All overloads of the aggregate `name` (lower case); `count(*)` is the overload without arguments.
    pub fn aggregates(&'static self, name: &str) -> &'static [&'static AggregateFunction] {
        self.aggregates.get(name).map_or(&[], Vec::as_slice)
    }

    /// Exactly this signature, for binder constructs (CASE, BETWEEN, IN …) and tests.
    pub fn scalar_exact(
        &'static self,
        name: &str,
        arguments: &[DataType],
    ) -> Option<&'static ScalarFunction> {
        let overloads =
            if is_symbol(name) { self.operator(name, arguments.len()) } else { self.scalar(name) };
        overloads.iter().copied().find(|function| function.arguments == arguments)
    }

    /// Every scalar function and operator, in the order of the tables: for documentation.
    pub fn scalar_functions(&'static self) -> &'static [&'static ScalarFunction] {
        &self.scalar_list
    }

    /// Every aggregate, in the order of the tables.
    pub fn aggregate_functions(&'static self) -> &'static [&'static AggregateFunction] {
        &self.aggregate_list
    }

    /// Names of functions and aggregates, in the order of the tables (with repetitions): for near misses.
    pub fn function_names(&'static self) -> impl Iterator<Item = &'static str> {
        self.scalar_list
            .iter()
            .map(|function| function.name)
            .filter(|name| !is_symbol(name))
            .chain(self.aggregate_list.iter().map(|function| function.name))
    }
}
