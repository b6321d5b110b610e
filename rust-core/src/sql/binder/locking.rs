//! FOR UPDATE and the like: which tables of a query are locked, and how. A clause goes through views and queries in
//! FROM to their tables; not into queries of WITH.

use crate::catalog::table_definition::TableDefinition;
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::query::{Distinct, Locking, LockingStrength, LockingWait, Query, QueryBody, Select};
use crate::sql::binder::binder::Binder;
use crate::sql::binder::scope::column_expression;
use crate::sql::binder::select::{Item, OrderKey};
use crate::sql::binder::walk;
use crate::sql::plan::expression::{Expression, OutputColumn, SortKey};
use crate::sql::plan::logical::{LockStrength, LockTarget, LockWait, LogicalPlan, Recheck};
use std::sync::Arc;

/// How rows are locked.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowLock {
    strength: LockStrength,
    wait: LockWait,
    /// Where its clause stands.
    position: usize,
    /// Where the clause that names the table names it; `None`: it names none.
    named: Option<usize>,
}

impl RowLock {
    /// Both at once: the stronger lock, and the least patience.
    fn and(self, other: RowLock) -> RowLock {
        RowLock {
            strength: self.strength.max(other.strength),
            wait: self.wait.max(other.wait),
            position: self.position,
            named: self.named.or(other.named),
        }
    }

    /// The error where a clause names something that has no rows of its own to lock; without a name it is left out.
    /// # Errors
    /// `0A000`.
    pub(super) fn refuse_if_named(lock: Option<RowLock>, what: &str) -> Result<()> {
        let Some(RowLock { strength, named: Some(position), .. }) = lock else { return Ok(()) };
        let message = format!("{} cannot be applied to {what}", strength.name());
        Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(position))
    }
}

/// A clause.
#[derive(Debug)]
struct Clause {
    lock: RowLock,
    /// OF; empty: everything.
    names: Vec<ClauseName>,
}

#[derive(Debug)]
struct ClauseName {
    name: String,
    position: usize,
    found: bool,
}

/// The locking of one query.
#[derive(Debug, Default)]
pub(super) struct QueryLocks {
    clauses: Vec<Clause>,
    /// What a clause of a query around this one, which stands in its FROM, asks of all tables here.
    inherited: Option<RowLock>,
    /// Whether rows are locked by the query around this one, because this one only narrows and computes.
    by_outer: bool,
    targets: Vec<LockTarget>,
}

impl QueryLocks {
    /// What `query` asks for.
    /// # Errors
    /// `42601` for names with a schema, and for SKIP LOCKED beside WITH TIES.
    fn new(query: &Query<'_>, inherited: Option<RowLock>) -> Result<QueryLocks> {
        let mut clauses = Vec::with_capacity(query.locking.len());
        for locking in query.locking {
            clauses.push(clause(locking)?);
        }
        if query.with_ties.is_some() && clauses.iter().any(|clause| clause.lock.wait == LockWait::Skip) {
            let message = "SKIP LOCKED and WITH TIES options cannot be used together";
            return Err(Error::new(SqlState::SYNTAX_ERROR, message).at(clauses[0].lock.position));
        }
        let by_outer = inherited.is_some() && clauses.is_empty() && only_narrows(query);
        Ok(QueryLocks { clauses, inherited, by_outer, targets: Vec::new() })
    }

    /// The first clause: the one that messages are about.
    fn first(&self) -> Option<(LockStrength, usize)> {
        let lock = self.clauses.first().map(|clause| clause.lock).or(self.inherited)?;
        Some((lock.strength, lock.position))
    }

    fn refused(&self, what: &str) -> Error {
        let (strength, position) = self.first().unwrap_or((LockStrength::Update, 0));
        Error::new(SqlState::FEATURE_NOT_SUPPORTED, format!("{} {what}", strength.name())).at(position)
    }
}

fn clause(locking: &Locking<'_>) -> Result<Clause> {
    let strength = match locking.strength {
        LockingStrength::KeyShare => LockStrength::KeyShare,
        LockingStrength::Share => LockStrength::Share,
        LockingStrength::NoKeyUpdate => LockStrength::NoKeyUpdate,
        LockingStrength::Update => LockStrength::Update,
    };
    let wait = match locking.wait {
        LockingWait::Wait => LockWait::Wait,
        LockingWait::SkipLocked => LockWait::Skip,
        LockingWait::NoWait => LockWait::Fail,
    };
    let mut names = Vec::with_capacity(locking.tables.len());
    for table in locking.tables {
        if table.parts.len() > 1 {
            let message = format!("{} must specify unqualified relation names", strength.name());
            return Err(Error::new(SqlState::SYNTAX_ERROR, message).at(table.position()));
        }
        let name = table.object().text.to_owned();
        names.push(ClauseName { name, position: table.position(), found: false });
    }
    let lock = RowLock { strength, wait, position: locking.span.position(), named: None };
    Ok(Clause { lock, names })
}

/// Whether the rows of a query are rows of its FROM, each with columns computed of it.
fn only_narrows(query: &Query<'_>) -> bool {
    let is_bare = query.with.is_none()
        && query.order_by.is_empty()
        && query.limit.is_none()
        && query.offset.is_none()
        && query.locking.is_empty();
    is_bare
        && match &query.body {
            QueryBody::Select(_) | QueryBody::Table(_) => true,
            QueryBody::Query(inner) => only_narrows(inner),
            QueryBody::Values(_) | QueryBody::SetOperations(_) => false,
        }
}

impl Binder<'_> {
    /// Binds `query` by `bind` with its own locking in force.
    pub(super) fn with_locks_of<R>(
        &mut self,
        query: &Query<'_>,
        bind: impl FnOnce(&mut Self) -> Result<R>,
    ) -> Result<R> {
        if query.locking.is_empty() && self.inherited_lock.is_none() && self.locks.is_none() {
            return bind(self);
        }
        let locks = QueryLocks::new(query, self.inherited_lock.take())?;
        if locks.first().is_some() {
            match &query.body {
                QueryBody::SetOperations(_) => {
                    return Err(locks.refused("is not allowed with UNION/INTERSECT/EXCEPT"));
                }
                QueryBody::Values(_) if !locks.clauses.is_empty() => {
                    return Err(locks.refused("cannot be applied to VALUES"));
                }
                _ => {}
            }
        }
        let has_locks = locks.first().is_some();
        let outer = std::mem::replace(&mut self.locks, has_locks.then(|| Box::new(locks)));
        let result = bind(self);
        let inner = std::mem::replace(&mut self.locks, outer);
        let (Ok(_), Some(inner)) = (&result, inner) else { return result };
        for clause in &inner.clauses {
            if let Some(missing) = clause.names.iter().find(|name| !name.found) {
                let message = format!(
                    "relation \"{}\" in {} clause not found in FROM clause",
                    missing.name,
                    clause.lock.strength.name()
                );
                return Err(Error::new(SqlState::UNDEFINED_TABLE, message).at(missing.position));
            }
        }
        if inner.by_outer
            && let Some(outer) = &mut self.locks
        {
            outer.targets.extend(inner.targets);
        }
        result
    }

    /// How the element of FROM that goes by `name` is locked.
    pub(super) fn lock_for(&mut self, name: &str) -> Option<RowLock> {
        let locks = self.locks.as_mut()?;
        let mut lock = locks.inherited.map(|lock| RowLock { named: None, ..lock });
        for clause in &mut locks.clauses {
            let mut asked = clause.names.is_empty().then_some(clause.lock);
            for named in clause.names.iter_mut().filter(|named| named.name == name) {
                named.found = true;
                asked = Some(RowLock { named: Some(named.position), ..clause.lock });
            }
            if let Some(asked) = asked {
                lock = Some(lock.map_or(asked, |lock| lock.and(asked)));
            }
        }
        lock
    }

    /// Notes that rows of a scanned table are locked; gives the column of its row id.
    pub(super) fn lock_scan(
        &mut self,
        table: &Arc<TableDefinition>,
        columns: &[OutputColumn],
        lock: Option<RowLock>,
    ) -> Option<OutputColumn> {
        let lock = lock?;
        let row_id = self.new_column("row id", crate::sql::types::data_type::DataType::BigInt, false);
        let target = LockTarget {
            table: Arc::clone(table),
            row_id: column_expression(&row_id),
            columns: columns.iter().take(table.columns.len()).map(column_expression).enumerate().collect(),
            strength: lock.strength,
            wait: lock.wait,
        };
        self.locks.as_mut()?.targets.push(target);
        Some(row_id)
    }

    /// The tables whose rows are locked where the query at hand is, for it alone.
    pub(super) fn take_lock_targets(&mut self) -> Vec<LockTarget> {
        match &mut self.locks {
            Some(locks) if !locks.by_outer => std::mem::take(&mut locks.targets),
            _ => Vec::new(),
        }
    }

    /// Refuses locking in a query whose rows are not rows of tables.
    /// # Errors
    /// `0A000`.
    pub(super) fn check_locking(
        &self,
        select: &Select<'_>,
        aggregates: bool,
        set_function: bool,
    ) -> Result<()> {
        let Some(locks) = &self.locks else { return Ok(()) };
        let what = if matches!(select.distinct, Some(Distinct::All { .. } | Distinct::On { .. })) {
            "is not allowed with DISTINCT clause"
        } else if select.group_by.is_some() {
            "is not allowed with GROUP BY clause"
        } else if select.having.is_some() {
            "is not allowed with HAVING clause"
        } else if aggregates {
            "is not allowed with aggregate functions"
        } else if set_function {
            "is not allowed with set-returning functions in the target list"
        } else {
            return Ok(());
        };
        Err(locks.refused(what))
    }

    /// The rest of a SELECT that locks rows: they are locked in order, and counted and computed after that, so that
    /// what comes out is what they are then.
    pub(super) fn finish_locking(
        &mut self,
        mut plan: Box<LogicalPlan>,
        targets: Vec<LockTarget>,
        items: &mut [Item],
        keys: &[OrderKey],
    ) -> (Box<LogicalPlan>, Vec<Expression>) {
        let mut order = Vec::with_capacity(keys.len());
        let mut computed = Vec::new();
        for key in keys {
            let value = &mut items[key.item].value;
            if walk::is_volatile(&value.expression) || walk::has_subquery(&value.expression) {
                // What is shown is what the rows were sorted by.
                let column = self.new_column("?order?", value.sql_type, value.nullable);
                let shown = column_expression(&column);
                computed.push((std::mem::replace(&mut value.expression, shown), column));
            }
            let expression = value.expression.clone();
            order.push(SortKey { expression, descending: key.descending, nulls_first: key.nulls_first });
        }
        if !computed.is_empty() {
            let mut columns = plan.output_columns();
            let mut expressions: Vec<Expression> = columns.iter().map(column_expression).collect();
            for (expression, column) in computed {
                expressions.push(expression);
                columns.push(column);
            }
            plan = Box::new(LogicalPlan::Project { input: plan, expressions, columns });
        }
        let ties = order.iter().map(|key| key.expression.clone()).collect();
        if !order.is_empty() {
            plan = Box::new(LogicalPlan::Sort { input: plan, keys: order });
        }
        plan = Box::new(LogicalPlan::LockRows { input: plan, targets, recheck: Recheck::default() });
        (plan, ties)
    }

    /// A member of a set operation locks no rows.
    /// # Errors
    /// `0A000`.
    pub(super) fn refuse_locking_member(body: &QueryBody<'_>) -> Result<()> {
        if let QueryBody::Query(inner) = body
            && let Some(locking) = inner.locking.first()
        {
            let locks = QueryLocks { clauses: vec![clause(locking)?], ..QueryLocks::default() };
            return Err(locks.refused("is not allowed with UNION/INTERSECT/EXCEPT"));
        }
        Ok(())
    }
}
