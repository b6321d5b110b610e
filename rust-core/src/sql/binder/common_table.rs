//! WITH: queries and data changes with a name, and queries that refer to themselves.

use crate::error::{Error, Result, SqlState};
use crate::sql::ast::query::{CommonTable, Query, QueryBody, SetOperations, SetOperator, With};
use crate::sql::ast::{Name, Statement};
use crate::sql::binder::binder::Binder;
use crate::sql::binder::control::unsupported_statement;
use crate::sql::binder::query::{BoundQuery, Untyped};
use crate::sql::binder::scope::ScopeRelation;
use crate::sql::plan::expression::OutputColumn;
use crate::sql::plan::logical::{CommonTableId, LogicalPlan};

/// A query of WITH while its name is in force.
#[derive(Debug)]
pub(super) struct CommonEntry {
    name: String,
    state: CommonState,
}

#[derive(Debug)]
enum CommonState {
    /// It is bound.
    Ready { id: CommonTableId, columns: Vec<OutputColumn>, scans: usize },
    /// Its recursive term is being bound.
    Working { id: CommonTableId, columns: Vec<OutputColumn>, scans: usize },
    /// It must not be referred to yet.
    Refused(&'static str),
    /// A data change of WITH RECURSIVE is being bound, whose name stands here: it must not refer to itself.
    Changing(usize),
    /// A data change without RETURNING: there is nothing to read.
    Silent,
    /// What stands around a recursive union is being bound.
    Around,
    /// Stands further down in a WITH RECURSIVE.
    Later,
}

/// Where, within a recursive term, a reference to the query itself stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum RecursionPlace {
    Allowed,
    Subquery,
    OuterJoin,
    Intersect,
    Except,
}

impl RecursionPlace {
    fn name(self) -> &'static str {
        match self {
            RecursionPlace::Allowed => "its recursive term",
            RecursionPlace::Subquery => "a subquery",
            RecursionPlace::OuterJoin => "an outer join",
            RecursionPlace::Intersect => "INTERSECT",
            RecursionPlace::Except => "EXCEPT",
        }
    }
}

/// The bound queries of a WITH, to be put around what uses them.
pub(super) struct Definitions {
    /// How many names were in force before.
    first: usize,
    /// Whether it is the statement's own WITH, which may change rows.
    is_top: bool,
    /// Each after those that it uses.
    list: Vec<Definition>,
}

/// A bound query of WITH.
struct Definition {
    /// Its place among the names in force.
    entry: usize,
    id: CommonTableId,
    name: String,
    materialized: Option<bool>,
    /// It changes rows, so it runs whether it is read or not.
    changes: bool,
    plan: Box<LogicalPlan>,
}

impl Definitions {
    /// Whether some of them change rows.
    pub(super) fn change_rows(&self) -> bool {
        self.list.iter().any(|definition| definition.changes)
    }
}

/// What a data change of WITH counts towards the nesting of a statement.
const CHANGE_DEPTH: usize = 16;

const NOT_IN_FIRST_TERM: &str = "must not appear within its non-recursive term";
const NO_UNION: &str = "does not have the form non-recursive-term UNION [ALL] recursive-term";

impl Binder<'_> {
    /// Binds the queries of WITH and puts their names in force until [`Binder::finish_with`].
    pub(super) fn bind_with(&mut self, with: Option<&With<'_>>) -> Result<Definitions> {
        let is_top = !std::mem::replace(&mut self.is_inside, true);
        let mut definitions = Definitions { first: self.common_tables.len(), is_top, list: Vec::new() };
        let Some(with) = with else { return Ok(definitions) };
        for (index, table) in with.tables.iter().enumerate() {
            if with.tables[..index].iter().any(|other| other.name.text == table.name.text) {
                let message = format!("WITH query name \"{}\" specified more than once", table.name.text);
                return Err(Error::new(SqlState::DUPLICATE_ALIAS, message).at(table.name.position()));
            }
        }
        if !with.recursive {
            for table in with.tables {
                let entry = self.common_tables.len();
                let (definition, state) = self.bind_common_table(table, (false, is_top), entry)?;
                self.common_tables.push(CommonEntry { name: definition.name.clone(), state });
                definitions.list.push(definition);
            }
            return Ok(definitions);
        }
        // Every name is in force from the start.
        for table in with.tables {
            let name = table.name.text.to_owned();
            self.common_tables.push(CommonEntry { name, state: CommonState::Later });
        }
        for index in 0..with.tables.len() {
            self.bind_in_order(with, index, &mut Vec::new(), &mut definitions)?;
        }
        Ok(definitions)
    }

    /// Binds a query of WITH RECURSIVE, and before it those further down that it uses. `waiting`: those that wait
    /// for this one.
    fn bind_in_order(
        &mut self,
        with: &With<'_>,
        index: usize,
        waiting: &mut Vec<usize>,
        definitions: &mut Definitions,
    ) -> Result<()> {
        let (first, table) = (definitions.first, &with.tables[index]);
        self.enter(1, table.span.position())?;
        while matches!(self.common_tables[first + index].state, CommonState::Later) {
            let mark = self.mark();
            let error = match self.bind_common_table(table, (true, definitions.is_top), first + index) {
                Ok((definition, state)) => {
                    self.common_tables[first + index].state = state;
                    definitions.list.push(definition);
                    break;
                }
                Err(error) => error,
            };
            let own = first..first + with.tables.len();
            let Some(later) = self.later_reference.filter(|later| own.contains(later)) else {
                return Err(error);
            };
            self.later_reference = None;
            if waiting.contains(&(later - first)) {
                let message = "mutual recursion between WITH items is not implemented";
                return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(table.name.position()));
            }
            self.reset(mark);
            self.common_tables[first + index].state = CommonState::Later;
            waiting.push(index);
            self.bind_in_order(with, later - first, waiting, definitions)?;
            waiting.pop();
        }
        self.leave(1);
        Ok(())
    }

    /// Takes the names out of force and puts the definitions that are used around `plan`.
    pub(super) fn finish_with(
        &mut self,
        definitions: Definitions,
        mut plan: Box<LogicalPlan>,
    ) -> Box<LogicalPlan> {
        for definition in definitions.list.into_iter().rev() {
            let is_used = matches!(
                self.common_tables[definition.entry].state,
                CommonState::Ready { scans, .. } if scans > 0
            );
            // A query that nobody reads is not run, as in PostgreSQL; a data change is.
            if is_used || definition.changes {
                let Definition { id, name, materialized, plan: definition, .. } = definition;
                plan = Box::new(LogicalPlan::With { id, name, materialized, definition, input: plan });
            }
        }
        self.common_tables.truncate(definitions.first);
        plan
    }

    #[inline(never)]
    fn bind_common_table(
        &mut self,
        table: &CommonTable<'_>,
        (recursive, is_top): (bool, bool),
        entry: usize,
    ) -> Result<(Definition, CommonState)> {
        let bound = match table.statement {
            Statement::Query(query) if recursive => self.bind_recursive(table, query, entry),
            Statement::Query(query) => self.bind_query(query, Untyped::BecomesText),
            _ => self.bind_change(table, (recursive, is_top), entry),
        };
        self.define(table, entry, bound)
    }

    /// What a query or a data change of WITH defines.
    #[inline(never)]
    fn define(
        &mut self,
        table: &CommonTable<'_>,
        entry: usize,
        bound: Result<BoundQuery>,
    ) -> Result<(Definition, CommonState)> {
        let BoundQuery { plan, mut columns, .. } = bound?;
        let changes = !matches!(table.statement, Statement::Query(_));
        name_columns(&mut columns, table)?;
        let id = self.new_common_table_id();
        let state = match changes && columns.is_empty() {
            true => CommonState::Silent,
            false => CommonState::Ready { id, columns, scans: 0 },
        };
        let (name, materialized) = (table.name.text.to_owned(), table.materialized);
        Ok((Definition { entry, id, name, materialized, changes, plan }, state))
    }

    /// INSERT, UPDATE or DELETE as a part of WITH: what is outside of it is no part of it.
    #[inline(never)]
    fn bind_change(
        &mut self,
        table: &CommonTable<'_>,
        (recursive, is_top): (bool, bool),
        entry: usize,
    ) -> Result<BoundQuery> {
        if !is_top {
            let message = "WITH clause containing a data-modifying statement must be at the top level";
            return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(table.name.position()));
        }
        if recursive {
            self.common_tables[entry].state = CommonState::Changing(table.name.position());
        }
        self.enter(CHANGE_DEPTH, table.span.position())?;
        let place = std::mem::replace(&mut self.recursion, RecursionPlace::Allowed);
        let (scans, names) = (self.working_scans, self.range_names.len());
        let plan = match self.bind_planned(&table.statement)? {
            Some((plan, _)) => plan,
            None => return Err(unsupported_statement(&table.statement)),
        };
        self.range_names.truncate(names);
        (self.recursion, self.working_scans) = (place, scans);
        self.leave(CHANGE_DEPTH);
        let columns = plan.output_columns();
        Ok(BoundQuery { plan: Box::new(plan), columns, positions: Vec::new() })
    }

    fn bind_recursive(
        &mut self,
        table: &CommonTable<'_>,
        query: &Query<'_>,
        entry: usize,
    ) -> Result<BoundQuery> {
        let place = std::mem::replace(&mut self.recursion, RecursionPlace::Allowed);
        let scans = self.working_scans;
        let bound = match &query.body {
            QueryBody::SetOperations(operations)
                if operations.rest.last().is_some_and(|last| last.operator == SetOperator::Union) =>
            {
                self.bind_recursive_union(table, query, operations, entry)
            }
            _ => {
                self.common_tables[entry].state = CommonState::Refused(NO_UNION);
                self.bind_query(query, Untyped::BecomesText)
            }
        };
        self.recursion = place;
        self.working_scans = scans;
        bound
    }

    #[inline(never)]
    fn bind_recursive_union(
        &mut self,
        table: &CommonTable<'_>,
        query: &Query<'_>,
        operations: &SetOperations<'_>,
        entry: usize,
    ) -> Result<BoundQuery> {
        self.enter(1, query.span.position())?;
        self.common_tables[entry].state = CommonState::Refused(NOT_IN_FIRST_TERM);
        let definitions = self.bind_with(query.with)?;
        let (last, before) = operations.rest.split_last().expect("there is a step");
        let initial = if before.is_empty() {
            self.bind_body(&operations.first, Untyped::BecomesText)?
        } else {
            let left = SetOperations { first: operations.first, rest: before };
            self.bind_set_operations(&left)?
        };
        let mut columns = initial.columns.clone();
        for column in &mut columns {
            column.nullable = true;
            column.origin = None;
        }
        name_columns(&mut columns, table)?;
        let id = self.new_common_table_id();
        self.common_tables[entry].state = CommonState::Working { id, columns: columns.clone(), scans: 0 };
        let recursive = self.bind_body(&last.right, Untyped::Stays)?;
        let scans = match &self.common_tables[entry].state {
            CommonState::Working { scans, .. } => *scans,
            _ => 0,
        };
        let bound = if scans == 0 {
            // It does not refer to itself: a union like others.
            self.common_tables[entry].state = CommonState::Around;
            let union = self.unite(initial, recursive, last)?;
            self.order_outputs(union, "", query, true)?
        } else {
            refuse_around_recursion(query)?;
            self.finish_recursive(table, initial, recursive, last.all, id, columns)?
        };
        let plan = self.finish_with(definitions, bound.plan);
        self.leave(1);
        Ok(BoundQuery { plan, ..bound })
    }

    fn finish_recursive(
        &mut self,
        table: &CommonTable<'_>,
        initial: BoundQuery,
        recursive: BoundQuery,
        all: bool,
        id: CommonTableId,
        mut columns: Vec<OutputColumn>,
    ) -> Result<BoundQuery> {
        let types = self.common_types(&initial.columns, &recursive, "UNION")?;
        for (index, (column, sql_type)) in columns.iter().zip(&types).enumerate() {
            if column.sql_type != *sql_type {
                let message = format!(
                    "recursive query \"{}\" column {} has type {} in non-recursive term but type {} overall",
                    table.name.text,
                    index + 1,
                    column.sql_type,
                    sql_type
                );
                return Err(Error::new(SqlState::DATATYPE_MISMATCH, message)
                    .hint("Cast the output of the non-recursive term to the correct type.")
                    .at(initial.positions.get(index).copied().unwrap_or(0)));
            }
        }
        let types: Vec<_> = columns.iter().map(|column| column.sql_type).collect();
        let recursive = self.convert_columns(recursive, &types)?;
        for column in &mut columns {
            column.id = self.new_column_id();
        }
        let plan = Box::new(LogicalPlan::RecursiveUnion {
            id,
            all,
            initial: initial.plan,
            recursive: recursive.plan,
            columns: columns.clone(),
        });
        Ok(BoundQuery { plan, columns, positions: initial.positions })
    }

    /// The query of WITH that `name` means, as a relation.
    pub(super) fn bind_common_scan(
        &mut self,
        name: Name<'_>,
    ) -> Result<Option<(Box<LogicalPlan>, ScopeRelation)>> {
        let Some(index) = self.common_tables.iter().rposition(|entry| entry.name == name.text) else {
            return Ok(None);
        };
        let refuse = |what: String| {
            let message = format!("recursive reference to query \"{}\" {what}", name.text);
            Err(Error::new(SqlState::INVALID_RECURSION, message).at(name.position()))
        };
        let place = self.recursion;
        let (id, columns) = match &mut self.common_tables[index].state {
            CommonState::Ready { id, columns, scans } => {
                *scans += 1;
                (*id, columns.clone())
            }
            CommonState::Working { id, columns, scans } => {
                if place != RecursionPlace::Allowed {
                    return refuse(format!("must not appear within {}", place.name()));
                }
                if *scans > 0 {
                    return refuse("must not appear more than once".to_owned());
                }
                *scans += 1;
                self.working_scans += 1;
                (*id, columns.clone())
            }
            CommonState::Changing(position) => {
                let message =
                    format!("recursive query \"{}\" must not contain data-modifying statements", name.text);
                return Err(Error::new(SqlState::INVALID_RECURSION, message).at(*position));
            }
            CommonState::Silent => {
                let message = format!("WITH query \"{}\" does not have a RETURNING clause", name.text);
                return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(name.position()));
            }
            CommonState::Refused(NO_UNION) => {
                let message = format!("recursive query \"{}\" {NO_UNION}", name.text);
                return Err(Error::new(SqlState::INVALID_RECURSION, message).at(name.position()));
            }
            CommonState::Refused(why) => return refuse((*why).to_owned()),
            CommonState::Around => {
                let message = "ORDER BY in a recursive query is not implemented";
                return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(name.position()));
            }
            CommonState::Later => {
                // Whoever binds that WITH binds the other query first and comes again.
                self.later_reference = Some(index);
                return Err(Error::internal("a query of WITH is used before it is bound").at(name.position()));
            }
        };
        let mut columns = columns;
        for column in &mut columns {
            column.id = self.new_column_id();
        }
        let relation = ScopeRelation::new(name.text, columns.clone());
        let plan = LogicalPlan::CommonScan { id, name: name.text.to_owned(), columns };
        Ok(Some((Box::new(plan), relation)))
    }
}

fn name_columns(columns: &mut [OutputColumn], table: &CommonTable<'_>) -> Result<()> {
    if table.columns.len() > columns.len() {
        let message = format!(
            "WITH query \"{}\" has {} columns available but {} columns specified",
            table.name.text,
            columns.len(),
            table.columns.len()
        );
        return Err(Error::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(table.name.position()));
    }
    for (column, name) in columns.iter_mut().zip(table.columns) {
        column.name = name.text.to_owned();
    }
    Ok(())
}

/// ORDER BY and the like would have to wait for the last row.
fn refuse_around_recursion(query: &Query<'_>) -> Result<()> {
    let (what, position) = if let Some(order) = query.order_by.first() {
        ("ORDER BY", order.value.span.position())
    } else if let Some(offset) = query.offset {
        ("OFFSET", offset.span.position())
    } else if let Some(limit) = query.limit {
        ("LIMIT", limit.span.position())
    } else if let Some(locking) = query.locking.first() {
        ("FOR UPDATE/SHARE", locking.span.position())
    } else {
        return Ok(());
    };
    let message = format!("{what} in a recursive query is not implemented");
    Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(position))
}
