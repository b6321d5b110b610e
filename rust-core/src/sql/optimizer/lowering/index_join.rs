//! Index nested loops: the right side of a join as a look-up that runs for each left row.

use crate::catalog::table_definition::TableDefinition;
use crate::error::Result;
use crate::sql::optimizer::access;
use crate::sql::optimizer::columns::{operator_count, split_conjunction};
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

/// The table at the bottom of filters.
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
}

impl Scanned<'_> {
    /// Whether an index has every row that the filters let through.
    fn has_all_rows(&self, index: &IndexLayout) -> bool {
        access::has_all_rows(index, self.columns, self.computed, &self.terms)
    }
}

fn scanned(mut plan: &LogicalPlan) -> Option<Scanned<'_>> {
    let (mut operators, mut compared) = (0.0, Vec::new());
    let mut filters = Vec::new();
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
            LogicalPlan::Scan { table, columns, computed, .. } => {
                let mut terms = Vec::new();
                if table.layout.indexes.iter().any(|index| index.predicate.is_some()) {
                    for filter in filters {
                        let filter = expanded(filter.clone(), table.columns.len(), columns, computed).ok()?;
                        split_conjunction(filter, &mut terms);
                    }
                }
                return Some(Scanned { table, columns, computed, operators, compared, terms });
            }
            _ => return None,
        }
    }
}

/// The look-ups by which rows of `plan`, filters over a table, can be found; `rows` is what it gives in all.
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
    let checking = operators * cost::OPERATOR;
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
    if let Some(column) = table.row_id_column().and_then(id) {
        let cost = cost::DESCENT + cost::ROW_FETCHED + checking;
        found.push(Lookup { columns: vec![column], cost, scan_cost });
    }
    for index in layout.indexes.iter().filter(|index| scanned.has_all_rows(index)) {
        let mut given = Vec::new();
        let mut values = 1.0;
        for (count, column) in index.columns.iter().take(COLUMNS_MAX).enumerate() {
            let Some(column) = id(layout.position(column.key)) else { break };
            given.push(column);
            values *= knowledge.column(column).map_or(1.0, |facts| facts.distinct);
            let whole = index.unique && count + 1 == index.columns.len();
            let matches = if whole { 1.0 } else { (all / values).max(1.0) };
            let cost = cost::DESCENT + cost::index_rows(matches, all, false) + matches * checking;
            found.push(Lookup { columns: given.clone(), cost, scan_cost });
        }
    }
    found
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
        let mut plan = inner.clone();
        while let LogicalPlan::Filter { input, predicate } = plan {
            split_conjunction(predicate, &mut all);
            plan = *input;
        }
        let inner = self.lower(apply::filtered(plan, all), required, None)?;
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
