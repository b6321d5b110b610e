//! Index nested loops: the right side of a join as a look-up that runs for each left row.

use crate::catalog::table_definition::TableDefinition;
use crate::error::{Error, Result};
use crate::sql::optimizer::access;
use crate::sql::optimizer::columns::{
    add_columns, is_volatile, operator_count, split_conjunction, substitute, without,
};
use crate::sql::optimizer::cost;
use crate::sql::optimizer::knowledge::Knowledge;
use crate::sql::optimizer::lowering::apply;
use crate::sql::optimizer::lowering::{Lowered, Lowering};
use crate::sql::optimizer::rewrite::expanded;
use crate::sql::optimizer::sargable::sargable;
use crate::sql::plan::expression::{ColumnId, Expression, OutputColumn};
use crate::sql::plan::logical::{JoinKind, LogicalPlan};
use crate::table::layout::IndexLayout;

/// Leading columns of an index that are looked at.
const COLUMNS_MAX: usize = 4;

/// A way to find rows of a relation by equal columns.
#[derive(Clone, Debug)]
pub(in crate::sql::optimizer) struct Lookup {
    /// The columns, all of which must be given.
    pub(in crate::sql::optimizer) columns: Vec<ColumnId>,
    /// Cost of one look-up.
    pub(in crate::sql::optimizer) cost: f64,
    /// What reading the relation without it costs, about.
    pub(in crate::sql::optimizer) scan_cost: f64,
}

/// The table at the bottom of filters, and of groups and projections that leave columns as they are: rows of which some
/// columns are given can be looked up below them.
struct Scanned<'p> {
    table: &'p TableDefinition,
    columns: &'p [OutputColumn],
    computed: &'p [Expression],
    /// Operators of the filters.
    operators: f64,
    /// Columns that the filters compare with values.
    compared: Vec<ColumnId>,
    /// The filters' terms, where an index is partial.
    terms: Vec<Expression>,
    /// What the columns that come out are called (second) and are in the table (first), where they have other names.
    names: Option<Vec<(ColumnId, ColumnId)>>,
    /// Whether rows are grouped.
    grouped: bool,
}

impl Scanned<'_> {
    /// Whether an index has every row that the filters let through.
    fn has_all_rows(&self, index: &IndexLayout) -> bool {
        access::has_all_rows(index, self.columns, self.computed, &self.terms)
    }

    /// What a column of the table, by position, is called above; `None`: it does not come out.
    fn output(&self, position: usize) -> Option<ColumnId> {
        let id = self.columns.get(position)?.id;
        match &self.names {
            None => Some(id),
            Some(names) => names.iter().find(|(known, _)| *known == id).map(|(_, name)| *name),
        }
    }
}

/// Names of columns below `expressions`, which `columns` are the names of; `names`: of these above.
fn renamed(
    columns: &[OutputColumn],
    expressions: &[Expression],
    names: Option<Vec<(ColumnId, ColumnId)>>,
) -> Vec<(ColumnId, ColumnId)> {
    let pairs = columns.iter().zip(expressions).filter_map(|(column, expression)| {
        let Expression::Column { id, .. } = expression else { return None };
        let name = match &names {
            None => column.id,
            Some(names) => names.iter().find(|(known, _)| *known == column.id)?.1,
        };
        Some((*id, name))
    });
    pairs.collect()
}

fn scanned(mut plan: &LogicalPlan) -> Option<Scanned<'_>> {
    let (mut operators, mut compared) = (0.0, Vec::new());
    let (mut filters, mut names, mut grouped) = (Vec::new(), None, false);
    loop {
        match plan {
            LogicalPlan::Filter { input, predicate } => {
                operators += operator_count(predicate);
                filters.push(predicate);
                let mut note = |term: &Expression| compared.extend(sargable(term).map(|term| term.column));
                match predicate {
                    Expression::And(terms) => terms.iter().for_each(note),
                    one => note(one),
                }
                plan = input;
            }
            LogicalPlan::Project { input, expressions, columns } => {
                names = Some(renamed(columns, expressions, names));
                (filters, compared) = (Vec::new(), Vec::new());
                plan = input;
            }
            LogicalPlan::Aggregate { input, groups, group_columns, aggregates } if !groups.is_empty() => {
                names = Some(renamed(group_columns, groups, names));
                (filters, compared) = (Vec::new(), Vec::new());
                operators += aggregates.len() as f64;
                grouped = true;
                plan = input;
            }
            LogicalPlan::Scan { table, columns, computed, .. } => {
                let mut terms = Vec::new();
                if table.layout.indexes.iter().any(|index| index.predicate.is_some()) {
                    for filter in filters {
                        let filter = expanded(filter.clone(), table.columns.len(), columns, computed).ok()?;
                        split_conjunction(filter, &mut terms);
                    }
                }
                return Some(Scanned {
                    table,
                    columns,
                    computed,
                    operators,
                    compared,
                    terms,
                    names,
                    grouped,
                });
            }
            _ => return None,
        }
    }
}

/// The look-ups by which rows of `plan` can be found: filters over a table, perhaps grouped or renamed; `rows` is what it gives in all.
pub(in crate::sql::optimizer) fn lookups(
    plan: &LogicalPlan,
    rows: f64,
    knowledge: &Knowledge<'_>,
) -> Vec<Lookup> {
    let Some(scanned) = scanned(plan) else { return Vec::new() };
    let Scanned { table, columns, operators, compared, .. } = &scanned;
    let operators = *operators;
    let Some(facts) = columns.first().and_then(|column| knowledge.column(column.id)) else {
        return Vec::new();
    };
    let all = knowledge.relation(facts.relation).rows;
    let id = |position: usize| columns.get(position).map(|column| column.id);
    let checking = operators * cost::OPERATOR + if scanned.grouped { cost::ROW_GROUPED } else { 0.0 };
    let mut scan_cost = all * (cost::ROW_SCANNED + checking);
    let leads =
        |position: Option<usize>| position.and_then(id).is_some_and(|column| compared.contains(&column));
    let layout = &table.layout;
    let first = |index: usize| {
        let index = Some(&layout.indexes[index]).filter(|index| scanned.has_all_rows(index));
        index.and_then(|index| index.columns.first()).map(|part| layout.position(part.key))
    };
    let narrowed =
        leads(table.row_id_column()) || (0..table.layout.indexes.len()).any(|index| leads(first(index)));
    if narrowed {
        scan_cost = scan_cost.min(cost::DESCENT + cost::index_rows(rows, all, false));
    }
    let mut found = Vec::new();
    if let Some(column) = table.row_id_column().and_then(|position| scanned.output(position)) {
        let cost = cost::DESCENT + cost::ROW_FETCHED + checking;
        found.push(Lookup { columns: vec![column], cost, scan_cost });
    }
    for index in layout.indexes.iter().filter(|index| scanned.has_all_rows(index)) {
        let mut given = Vec::new();
        let mut values = 1.0;
        for (count, column) in index.columns.iter().take(COLUMNS_MAX).enumerate() {
            let position = layout.position(column.key);
            let (Some(column), Some(name)) = (id(position), scanned.output(position)) else { break };
            given.push(name);
            values *= knowledge.column(column).map_or(1.0, |facts| facts.distinct);
            let whole = index.unique && count + 1 == index.columns.len();
            let matches = if whole { 1.0 } else { (all / values).max(1.0) };
            let cost = cost::DESCENT + cost::index_rows(matches, all, false) + matches * checking;
            found.push(Lookup { columns: given.clone(), cost, scan_cost });
        }
    }
    found
}

/// `plan` with only the rows for which all `terms` are true, those that can be checked below groups and projections
/// checked there.
fn with_terms(plan: LogicalPlan, mut terms: Vec<Expression>) -> Result<LogicalPlan> {
    let (below, above) = match &plan {
        LogicalPlan::Project { expressions, columns, .. } => pushed(terms, columns, expressions)?,
        LogicalPlan::Aggregate { groups, group_columns, .. } if !groups.is_empty() => {
            pushed(terms, group_columns, groups)?
        }
        LogicalPlan::Filter { .. } => {
            let LogicalPlan::Filter { input, predicate } = plan else {
                return Err(Error::internal("a filter is a filter"));
            };
            split_conjunction(predicate, &mut terms);
            return with_terms(*input, terms);
        }
        _ => return Ok(apply::filtered(plan, terms)),
    };
    let mut plan = plan;
    if let LogicalPlan::Project { input, .. } | LogicalPlan::Aggregate { input, .. } = &mut plan {
        let taken = std::mem::replace(&mut **input, without());
        **input = with_terms(taken, below)?;
    }
    Ok(apply::filtered(plan, above))
}

/// Terms over `columns` as terms over what these are below, and the terms that use anything else.
fn pushed(
    terms: Vec<Expression>,
    columns: &[OutputColumn],
    expressions: &[Expression],
) -> Result<(Vec<Expression>, Vec<Expression>)> {
    let plain = |id: ColumnId| {
        let position = columns.iter().position(|column| column.id == id)?;
        expressions
            .get(position)
            .filter(|expression| matches!(expression, Expression::Column { .. }))
            .cloned()
    };
    let (mut below, mut above) = (Vec::new(), Vec::new());
    for mut term in terms {
        let mut used = Vec::new();
        add_columns(&term, &mut used);
        if !used.is_empty() && !is_volatile(&term) && used.iter().all(|id| plain(*id).is_some()) {
            substitute(&mut term, &plain)?;
            below.push(term);
        } else {
            above.push(term);
        }
    }
    Ok((below, above))
}

impl Lowering<'_> {
    /// Whether looking partners up in `inner` may beat a join that costs `rival`, as far as can be told without
    /// lowering it. `given`: its columns for which the join gives values.
    pub(super) fn may_look_up(
        &self,
        inner: &LogicalPlan,
        given: &[ColumnId],
        outer_rows: f64,
        rival: f64,
    ) -> bool {
        lookups(inner, 0.0, &self.knowledge)
            .iter()
            .filter(|lookup| lookup.columns.iter().all(|id| given.contains(id)))
            .any(|lookup| outer_rows * (cost::RESTART + lookup.cost) < rival)
    }

    /// The join with `inner` run for each row of `outer`, if that costs less than `rival`.
    #[allow(clippy::too_many_arguments, reason = "a join's parts, and what it has to beat")]
    pub(super) fn index_join(
        &mut self,
        kind: &JoinKind,
        outer: &Lowered,
        inner: &LogicalPlan,
        terms: &[Expression],
        required: &[ColumnId],
        rows: f64,
        rival: f64,
    ) -> Result<Option<Lowered>> {
        let parameters = self.run_time_parameters.len();
        let mut bound = Vec::new();
        let mut all = Vec::new();
        for term in terms {
            let mut term = term.clone();
            self.bind_outer_expression(&mut term, &outer.layout, &mut bound);
            split_conjunction(term, &mut all);
        }
        let inner = self.lower(with_terms(inner.clone(), all)?, required, None)?;
        let cost = apply::cost(outer, &inner, rows);
        if cost >= rival {
            self.run_time_parameters.truncate(parameters);
            return Ok(None);
        }
        let outer = Lowered {
            node: outer.node.clone(),
            layout: outer.layout.clone(),
            ordered: outer.ordered,
            sorted_by: outer.sorted_by,
        };
        apply::applied(kind, outer, inner, &bound, Vec::new(), rows).map(Some)
    }
}
