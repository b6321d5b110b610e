//! A statement that was parsed and bound: what it gives, and its plan for as long as the catalog stays.

use crate::catalog::snapshot::CatalogSnapshot;
use crate::catalog::table_definition::TableDefinition;
use crate::common::arena::Arena;
use crate::common::ids::{Lsn, ObjectId};
use crate::common::memory::Reservation;
use crate::common::sync::{Arc, Mutex};
use crate::error::{Error, Result, SqlState};
use crate::session::copy::{self, CopyDirection};
use crate::session::engine::Engine;
use crate::session::named::NamedStatements;
use crate::session::result::{PreparedKind, ResultColumn};
use crate::sql::ast::Statement;
use crate::sql::ast::StatementWithSpan;
use crate::sql::ast::control::DiscardKind;
use crate::sql::binder::bound::{
    BindOptions, BoundStatement, ExecutedStatement, NotificationStatement, TransactionStatement,
};
use crate::sql::executor::point::{self, PointScratch};
use crate::sql::executor::short_range::ShortRange;
use crate::sql::parser;
use crate::sql::plan::expression::Expression;
use crate::sql::plan::logical::LockStrength;
use crate::sql::plan::physical::{Operator, PhysicalNode, PhysicalPlan};
use crate::sql::types::data_type::DataType;
use crate::sql::{binder, optimizer};
use crate::statistics::table_statistics::TableStatistics;
use crate::transaction::types::TableLockMode;
use std::cell::{Cell, RefCell};

/// A prepared statement. Belongs to the session that made it; runs as often as wanted.
pub struct Prepared {
    text: Arc<str>,
    kind: PreparedKind,
    columns: Arc<[ResultColumn]>,
    parameters: Box<[DataType]>,
    parameter_names: Box<[String]>,
    /// The statement that an EXECUTE in it means.
    executed: Option<Executed>,
    /// Whether a query changes rows in its WITH.
    changes_in_with: bool,
    pub(crate) body: Body,
    /// For a long text and what it says.
    _memory: Option<Reservation>,
}

/// A name and what it stood for when EXECUTE was prepared.
#[derive(Clone)]
pub(crate) struct Executed {
    pub(crate) name: Box<str>,
    pub(crate) statement: Arc<Prepared>,
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared").field("text", &self.text).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// What runs it.
pub(crate) enum Body {
    /// A plan.
    Query(Box<Mutex<Plan>>),
    /// CREATE, DROP: bound again when it runs, under its locks.
    Definition,
    /// ANALYZE: likewise.
    Analyze,
    /// VACUUM: likewise.
    Vacuum,
    /// LOCK TABLE: likewise.
    Lock,
    /// EXPLAIN: likewise.
    Explain,
    /// COPY: likewise; with the caller in this direction, or with a file.
    Copy(Option<CopyDirection>),
    /// EXECUTE with these arguments.
    Execute(Vec<Expression>),
    /// Transaction control, settings, maintenance: nothing in it depends on the catalog.
    Control(Box<BoundStatement>),
}

/// The catalog that a plan was made for.
pub(crate) enum Stamp {
    /// The committed one of this epoch.
    Epoch(u64),
    /// A transaction's own, which nobody else can use.
    Own(Arc<CatalogSnapshot>),
}

/// A plan with what its executions keep.
pub(crate) struct Plan {
    pub(crate) stamp: Stamp,
    pub(crate) physical: Arc<PhysicalPlan>,
    /// The tables to lock before the stamp is compared.
    pub(crate) locks: Box<[(ObjectId, TableLockMode)]>,
    /// The newest commit that a snapshot must see to read by its indexes.
    pub(crate) usable_from: Lsn,
    /// The snapshot that it was made for, of one transaction, which cannot read by newer indexes.
    pub(crate) snapshot: Option<Lsn>,
    /// The first lock on rows that a query takes.
    pub(crate) locks_rows: Option<LockStrength>,
    pub(crate) scratch: PointScratch,
    /// Whether the short path can run it, whatever the optimizer thinks of that.
    pub(crate) can_point: bool,
    /// Set where it reads a range of a table that may be short.
    pub(crate) short_range: Option<ShortRange>,
}

/// What binding a statement gave.
pub(crate) struct Bound {
    pub(crate) statement: BoundStatement,
    parameter_names: Box<[String]>,
    executed: Option<Executed>,
}

/// Shorter texts are not charged: there are few of them (see `plan_cache`), and many are prepared each second.
pub(crate) const LONG_TEXT_BYTES: usize = 16 << 10;

/// What a statement with a long text takes while it is made, and then until it goes.
pub(crate) struct StatementMemory {
    now: RefCell<Reservation>,
    /// What its plan has, about, and its text.
    kept: Cell<usize>,
}

impl StatementMemory {
    /// For the first statement of `text`; `None`: it is not long.
    pub(crate) fn for_text(text: &str, engine: &Engine) -> Option<StatementMemory> {
        (text.len() > LONG_TEXT_BYTES)
            .then(|| StatementMemory { now: RefCell::new(engine.memory.reservation()), kept: Cell::new(0) })
    }

    /// Charges for what binding is about to make of the tree in `arena`: a plan has about as many nodes as the tree, and
    /// the values of the text's literals, of which the tree may only have the places.
    fn bind(&self, arena: &Arena, text_bytes: usize) -> Result<()> {
        let tree = arena.allocated_bytes();
        self.kept.set(if text_bytes > LONG_TEXT_BYTES { tree + 2 * text_bytes } else { 0 });
        self.now.borrow_mut().resize(tree + self.kept.get())
    }

    /// The tree is gone. `None`: the statement is not long, whatever its text went on with.
    fn keep(self) -> Result<Option<Reservation>> {
        let mut now = self.now.into_inner();
        now.resize(self.kept.get())?;
        Ok(Some(now).filter(|now| now.bytes() > 0))
    }
}

/// The first statement of `text`, and the bytes it takes.
/// # Errors
/// What the parser raises; `53200`.
pub(crate) fn parse_first<'a>(
    text: &'a str,
    arena: &'a Arena,
    memory: Option<&'a StatementMemory>,
) -> Result<Option<(StatementWithSpan<'a>, usize)>> {
    match memory {
        None => parser::parse_first(text, arena),
        Some(memory) => parser::parse_first_charged(text, arena, &memory.now),
    }
}

/// Parses the first statement of `text` and binds it; `None` when there is none, with the bytes taken.
pub(crate) fn bind_first(
    text: &str,
    catalog: &CatalogSnapshot,
    named: &NamedStatements,
    (arena, memory): (&Arena, Option<&StatementMemory>),
) -> Result<(Option<Bound>, usize)> {
    let Some((statement, taken)) = parse_first(text, arena, memory)? else { return Ok((None, text.len())) };
    memory.map_or(Ok(()), |memory| memory.bind(arena, taken))?;
    let executed = match binder::execute_in(&statement.statement) {
        Some(execute) => Some(named.require(execute.name.text)?),
        None => None,
    };
    let options = BindOptions::new(text);
    Ok((Some(bind(&statement.statement, statement.parameter_names, catalog, options, executed)?), taken))
}

/// [`bind_first`] of a statement that the session itself writes.
pub(crate) fn bind_own(
    text: &str,
    catalog: &CatalogSnapshot,
    arena: &Arena,
) -> Result<(Option<Bound>, usize)> {
    bind_first(text, catalog, &NamedStatements::default(), (arena, None))
}

/// Binds what the PREPARE in `text` prepares.
pub(crate) fn bind_prepared(
    text: &str,
    types: &[DataType],
    catalog: &CatalogSnapshot,
    arena: &Arena,
) -> Result<Bound> {
    let Some((statement, _)) = parser::parse_first(text, arena)? else {
        return Err(Error::internal("PREPARE lost its text"));
    };
    let options = BindOptions { parameter_types: types, ..BindOptions::new(text) };
    bind(in_prepare(&statement.statement), &[], catalog, options, None)
}

/// What a PREPARE prepares; any other statement itself.
fn in_prepare<'s, 'a>(statement: &'s Statement<'a>) -> &'s Statement<'a> {
    match statement {
        Statement::Prepare(prepare) => &prepare.statement,
        other => other,
    }
}

/// What a prepared statement means under the definitions that are in force when it runs.
pub(crate) fn bind_again(
    statement: &Prepared,
    catalog: &CatalogSnapshot,
    arena: &Arena,
) -> Result<BoundStatement> {
    bind_again_for(statement, catalog, None, arena)
}

/// The same for a snapshot that is older than some of them.
pub(crate) fn bind_again_for(
    statement: &Prepared,
    catalog: &CatalogSnapshot,
    snapshot: Option<Lsn>,
    arena: &Arena,
) -> Result<BoundStatement> {
    let text = statement.text();
    match parser::parse_first(text, arena)? {
        Some((parsed, _)) => {
            let options =
                BindOptions { snapshot, parameter_types: &statement.parameters, ..BindOptions::new(text) };
            let executed = statement.executed.clone();
            bind(in_prepare(&parsed.statement), &[], catalog, options, executed).map(|bound| bound.statement)
        }
        None => Err(Error::internal("a prepared statement lost its text")),
    }
}

fn bind(
    statement: &Statement<'_>,
    parameter_names: &[&str],
    catalog: &CatalogSnapshot,
    options: BindOptions<'_>,
    executed: Option<Executed>,
) -> Result<Bound> {
    let means = executed.as_ref().map(|executed| ExecutedStatement {
        text: executed.statement.text(),
        parameters: executed.statement.parameters(),
    });
    let options = BindOptions { executed: means, ..options };
    // The parameters in a PREPARE are not its own.
    let names = if matches!(statement, Statement::Prepare(_)) { &[] } else { parameter_names };
    Ok(Bound {
        statement: binder::bind(statement, catalog, &options)?,
        parameter_names: names.iter().map(|name| (*name).to_string()).collect(),
        executed,
    })
}

/// What the optimizer may know of tables.
struct Statistics<'a> {
    engine: &'a Engine,
    catalog: &'a CatalogSnapshot,
}

impl optimizer::StatisticsSource for Statistics<'_> {
    fn row_count(&self, table: &TableDefinition) -> u64 {
        // A tree that only the running transaction knows has no pages yet.
        self.engine.manager.storage().tree(table.layout.tree).map_or(0, |tree| tree.entry_estimate())
    }

    fn statistics(&self, table: &TableDefinition) -> Option<Arc<TableStatistics>> {
        self.catalog.statistics(table.id).cloned()
    }
}

/// Plans a bound query. `catalog`: what it was bound against, which is what `stamp` names.
pub(crate) fn plan(
    statement: BoundStatement,
    stamp: Stamp,
    catalog: &CatalogSnapshot,
    engine: &Engine,
) -> Result<Plan> {
    let BoundStatement::Query { plan, parameters, .. } = statement else {
        return Err(Error::internal("only queries and data changes are planned"));
    };
    let physical = Arc::new(optimizer::optimize(plan, &parameters, &Statistics { engine, catalog })?);
    let mut locks: Vec<(ObjectId, TableLockMode)> = Vec::new();
    collect_locks(&physical.root, &mut locks);
    // The strongest lock of each table, in the order of their numbers, so that two sessions cannot cross.
    locks.sort_unstable_by(|left, right| left.0.cmp(&right.0).then(right.1.cmp(&left.1)));
    locks.dedup_by_key(|lock| lock.0);
    let usable_from = newest_index(&physical.root);
    let can_point = point::can_run(&physical);
    let short_range = ShortRange::of(&physical);
    let locks_rows = row_locks(&physical.root);
    let (locks, scratch) = (locks.into(), PointScratch::default());
    Ok(Plan {
        stamp,
        physical,
        locks,
        usable_from,
        snapshot: None,
        locks_rows,
        scratch,
        can_point,
        short_range,
    })
}

/// From which commit on the plan's indexes are whole.
fn newest_index(node: &PhysicalNode) -> Lsn {
    let mut newest = Lsn::ZERO;
    let mut waiting = vec![node];
    while let Some(node) = waiting.pop() {
        if let Operator::IndexScan { table, index, .. } | Operator::UniqueLookup { table, index, .. } =
            &node.operator
        {
            newest = newest.max(table.layout.indexes[*index].runtime.usable_from());
        }
        waiting.extend(node.inputs());
    }
    newest
}

/// How the plan locks rows of tables that it does not change.
fn row_locks(node: &PhysicalNode) -> Option<LockStrength> {
    let mut waiting = vec![node];
    while let Some(node) = waiting.pop() {
        if let Operator::LockRows { targets, .. } = &node.operator
            && let Some(target) = targets.first()
        {
            return Some(target.strength);
        }
        waiting.extend(node.inputs());
    }
    None
}

/// Notes the tables that a plan works on.
fn collect_locks(node: &PhysicalNode, locks: &mut Vec<(ObjectId, TableLockMode)>) {
    match &node.operator {
        Operator::TableScan { table, .. }
        | Operator::IndexScan { table, .. }
        | Operator::RowIdLookup { table, .. }
        | Operator::UniqueLookup { table, .. } => locks.push((table.id, TableLockMode::AccessShare)),
        Operator::LockRows { targets, .. } => {
            locks.extend(targets.iter().map(|target| (target.table.id, TableLockMode::RowShare)));
        }
        Operator::Insert { table, references, .. }
        | Operator::Update { table, references, .. }
        | Operator::Delete { table, references, .. } => {
            locks.push((table.id, TableLockMode::RowExclusive));
            for reached in references.iter().flat_map(|references| &references.tables) {
                let mode =
                    if reached.is_changed { TableLockMode::RowExclusive } else { TableLockMode::RowShare };
                locks.push((reached.table.id, mode));
            }
        }
        _ => {}
    }
    node.inputs().into_iter().for_each(|input| collect_locks(input, locks));
}

fn kind_of(bound: &Bound) -> PreparedKind {
    match &bound.statement {
        BoundStatement::Query { kind, .. } => (*kind).into(),
        BoundStatement::CreateTable(_) => PreparedKind::CreateTable,
        BoundStatement::DropTable(_) => PreparedKind::DropTable,
        BoundStatement::AlterTable(alter) if alter.of_index => PreparedKind::AlterIndex,
        BoundStatement::AlterTable(_) => PreparedKind::AlterTable,
        BoundStatement::CreateIndex(_) => PreparedKind::CreateIndex,
        BoundStatement::DropIndex(_) => PreparedKind::DropIndex,
        BoundStatement::Reindex(_) => PreparedKind::Reindex,
        BoundStatement::Transaction(TransactionStatement::Begin(_)) => PreparedKind::Begin,
        BoundStatement::Transaction(TransactionStatement::Commit { .. }) => PreparedKind::Commit,
        BoundStatement::Transaction(TransactionStatement::Rollback { .. }) => PreparedKind::Rollback,
        BoundStatement::Transaction(TransactionStatement::Savepoint(_)) => PreparedKind::Savepoint,
        BoundStatement::Transaction(TransactionStatement::Release(_)) => PreparedKind::Release,
        BoundStatement::Transaction(TransactionStatement::RollbackTo(_)) => PreparedKind::RollbackTo,
        BoundStatement::Transaction(TransactionStatement::SetConstraints { .. }) => {
            PreparedKind::SetConstraints
        }
        BoundStatement::Transaction(
            TransactionStatement::SetModes(_) | TransactionStatement::SetDefaultModes(_),
        )
        | BoundStatement::Set(_) => PreparedKind::Set,
        BoundStatement::Reset { .. } => PreparedKind::Reset,
        BoundStatement::Show { .. } => PreparedKind::Show,
        BoundStatement::Checkpoint => PreparedKind::Checkpoint,
        BoundStatement::Explain(_) => PreparedKind::Explain,
        BoundStatement::Copy(_) => PreparedKind::Copy,
        BoundStatement::Analyze { .. } => PreparedKind::Analyze,
        BoundStatement::Vacuum { .. } => PreparedKind::Vacuum,
        BoundStatement::Lock(_) => PreparedKind::Lock,
        BoundStatement::Truncate(_) => PreparedKind::Truncate,
        BoundStatement::CreateView(_) => PreparedKind::CreateView,
        BoundStatement::DropView(_) => PreparedKind::DropView,
        BoundStatement::CreateTableAs(_) => PreparedKind::CreateTableAs,
        BoundStatement::CreateSequence(_) => PreparedKind::CreateSequence,
        BoundStatement::AlterSequence(_) => PreparedKind::AlterSequence,
        BoundStatement::DropSequence(_) => PreparedKind::DropSequence,
        BoundStatement::Notification(NotificationStatement::Listen(_)) => PreparedKind::Listen,
        BoundStatement::Notification(NotificationStatement::Unlisten(_)) => PreparedKind::Unlisten,
        BoundStatement::Notification(NotificationStatement::Notify { .. }) => PreparedKind::Notify,
        BoundStatement::Discard(DiscardKind::All) => PreparedKind::DiscardAll,
        BoundStatement::Discard(DiscardKind::Plans) => PreparedKind::DiscardPlans,
        BoundStatement::Discard(DiscardKind::Sequences) => PreparedKind::DiscardSequences,
        BoundStatement::Discard(DiscardKind::Temporary) => PreparedKind::DiscardTemporary,
        BoundStatement::Prepare(_) => PreparedKind::Prepare,
        BoundStatement::Deallocate(Some(_)) => PreparedKind::Deallocate,
        BoundStatement::Deallocate(None) => PreparedKind::DeallocateAll,
        // It does what the statement does.
        BoundStatement::Execute(_) => {
            bound.executed.as_ref().map_or(PreparedKind::Select, |executed| executed.statement.kind)
        }
    }
}

impl Prepared {
    /// Its text, to be kept as long as others may look at it.
    pub(crate) fn shared_text(&self) -> &Arc<str> {
        &self.text
    }

    /// Makes a statement of what was bound.
    /// # Errors
    /// What the optimizer and the settings' names raise.
    pub(crate) fn new(
        (text, memory): (&str, Option<StatementMemory>),
        bound: Bound,
        stamp: Stamp,
        catalog: &CatalogSnapshot,
        engine: &Engine,
    ) -> Result<Prepared> {
        let kind = kind_of(&bound);
        let mut columns = Vec::new();
        let mut executed_columns = None;
        let mut parameters = Box::default();
        let mut changes_in_with = false;
        let body = match bound.statement {
            query @ BoundStatement::Query { .. } => {
                let plan = plan(query, stamp, catalog, engine)?;
                columns = plan.physical.columns.iter().map(ResultColumn::from_output).collect();
                parameters = plan.physical.parameters.clone().into_boxed_slice();
                changes_in_with = plan.physical.changes_in_with;
                Body::Query(Box::new(Mutex::new(plan)))
            }
            BoundStatement::CreateTable(_)
            | BoundStatement::DropTable(_)
            | BoundStatement::AlterTable(_)
            | BoundStatement::CreateIndex(_)
            | BoundStatement::DropIndex(_)
            | BoundStatement::Reindex(_)
            | BoundStatement::Truncate(_)
            | BoundStatement::CreateView(_)
            | BoundStatement::CreateSequence(_)
            | BoundStatement::AlterSequence(_)
            | BoundStatement::DropSequence(_)
            | BoundStatement::DropView(_) => Body::Definition,
            BoundStatement::CreateTableAs(create) => {
                if create.arguments.is_none() {
                    parameters = create.parameters.into_boxed_slice();
                }
                Body::Definition
            }
            BoundStatement::Analyze { .. } => Body::Analyze,
            BoundStatement::Vacuum { .. } => Body::Vacuum,
            BoundStatement::Lock(_) => Body::Lock,
            BoundStatement::Explain(explain) => {
                columns.push(ResultColumn::text("QUERY PLAN"));
                if explain.arguments.is_none() {
                    parameters = explain.parameters.into_boxed_slice();
                }
                Body::Explain
            }
            BoundStatement::Copy(copy) => Body::Copy(copy::direction(&copy)),
            BoundStatement::Execute(arguments) => {
                executed_columns =
                    bound.executed.as_ref().map(|executed| Arc::clone(&executed.statement.columns));
                changes_in_with =
                    bound.executed.as_ref().is_some_and(|executed| executed.statement.changes_in_with);
                Body::Execute(arguments)
            }
            control => {
                columns = super::utility::result_columns(&control)?;
                Body::Control(Box::new(control))
            }
        };
        Ok(Prepared {
            _memory: memory.map_or(Ok(None), StatementMemory::keep)?,
            text: text.into(),
            kind,
            columns: executed_columns.unwrap_or_else(|| columns.into()),
            parameters,
            parameter_names: bound.parameter_names,
            executed: bound.executed,
            changes_in_with,
            body,
        })
    }

    /// The statement's text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it does.
    pub fn kind(&self) -> PreparedKind {
        self.kind
    }

    /// The columns of its result; none for a statement that returns no rows.
    pub fn columns(&self) -> &Arc<[ResultColumn]> {
        &self.columns
    }

    /// The types of `$1` …, in order.
    pub fn parameters(&self) -> &[DataType] {
        &self.parameters
    }

    /// The names of `:name` and `@name` parameters, in order; empty strings for the others.
    pub fn parameter_names(&self) -> &[String] {
        &self.parameter_names
    }

    /// Whether it returns rows.
    pub fn returns_rows(&self) -> bool {
        !self.columns.is_empty() || matches!(self.kind, PreparedKind::Select | PreparedKind::Show)
    }

    /// Whether it changes neither tables nor definitions.
    pub fn is_read_only(&self) -> bool {
        !self.kind.writes() && !self.changes_in_with
    }

    /// Whether its plan was made with the definitions of `epoch`: one who prepares the text anew expects to
    /// be told of today's columns. A statement without a plan fits any.
    pub(crate) fn was_planned_at(&self, epoch: u64) -> bool {
        match &self.body {
            Body::Query(plan) => {
                plan.try_lock().is_some_and(|plan| matches!(plan.stamp, Stamp::Epoch(made) if made == epoch))
            }
            // It is told of nothing that definitions could change.
            Body::Definition
            | Body::Analyze
            | Body::Vacuum
            | Body::Lock
            | Body::Explain
            | Body::Copy(_)
            | Body::Control(_) => true,
            Body::Execute(_) => false,
        }
    }

    /// The statement that an EXECUTE in it means.
    #[inline]
    pub(crate) fn executed(&self) -> Option<&Executed> {
        self.executed.as_ref()
    }

    /// That a new plan gives what was promised when the statement was prepared.
    pub(crate) fn check_same_result(&self, plan: &Plan) -> Result<()> {
        let same = plan.physical.parameters[..] == self.parameters[..]
            && plan.physical.columns.len() == self.columns.len()
            && plan
                .physical
                .columns
                .iter()
                .zip(self.columns.iter())
                .all(|(new, old)| new.name == old.name && new.sql_type == old.sql_type);
        if same {
            return Ok(());
        }
        Err(changed_result())
    }
}

/// A statement gives something else than what was promised of it.
pub(crate) fn changed_result() -> Error {
    Error::new(SqlState::FEATURE_NOT_SUPPORTED, "cached plan must not change result type")
        .hint("Prepare the statement again.")
}
