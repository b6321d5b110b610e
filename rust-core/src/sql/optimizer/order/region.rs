//! A group of joins that can change places, as a list of relations and conditions.
//!
//! Inner joins and the filters between them are flat. The right side of every other join is one relation, which is
//! joined by its own operator as soon as all that the operator's condition uses is there: nothing else may come
//! between (a conservative form of the conflict rules of Moerkotte, Fender, Eich, SIGMOD 2013, for operators that keep
//! or drop whole left rows: left outer, semi, anti, mark, single and dependent joins, which may change places with
//! each other and with inner joins whose conditions use none of their right columns). Conditions on what such an
//! operator puts out wait for it. A full join is a relation.

use crate::error::Result;
use crate::sql::optimizer::columns::{
    add_columns, conjunction, is_always, is_volatile, output_ids, split_conjunction, uses_any,
};
use crate::sql::optimizer::knowledge::Knowledge;
use crate::sql::optimizer::order::graph::{Graph, RelationSet, single};
use crate::sql::optimizer::order::{arrange as arrange_plan, dphyp, emit, greedy, signature, take};
use crate::sql::plan::expression::{ColumnId, Expression};
use crate::sql::plan::logical::{JoinKind, LogicalPlan};
use hashbrown::HashMap;

/// Relations of one group: a larger one is ordered in parts.
const RELATIONS_MAX: usize = 120;

/// A relation of the group.
pub(super) struct Relation {
    pub(super) plan: LogicalPlan,
    /// How it is joined; `None`: by inner joins, in any place.
    pub(super) operator: Option<JoinKind>,
    /// The condition of its operator.
    pub(super) terms: Vec<Expression>,
    /// Whether it uses columns of what it is joined to.
    pub(super) dependent: bool,
    /// What must be there before its operator.
    pub(super) requires: RelationSet,
    /// The columns that others see.
    pub(super) columns: Vec<ColumnId>,
    /// Rows that come out of it.
    pub(super) rows: f64,
}

/// A group of joins, taken apart.
#[derive(Default)]
pub(super) struct Region {
    pub(super) relations: Vec<Relation>,
    /// Conditions of inner joins and filters.
    pub(super) predicates: Vec<Expression>,
}

enum Work {
    Plan(LogicalPlan),
    /// The right side of a join, with the number of relations before its left side.
    Operator {
        kind: JoinKind,
        plan: LogicalPlan,
        terms: Vec<Expression>,
        first: usize,
    },
}

/// Whether `plan` is a join that can change places, or filters over one.
pub(super) fn is_part(mut plan: &LogicalPlan) -> bool {
    loop {
        match plan {
            LogicalPlan::Join { kind, condition, .. } => {
                return !matches!(kind, JoinKind::Full) && !condition.as_ref().is_some_and(is_volatile);
            }
            LogicalPlan::Filter { input, predicate } if !is_volatile(predicate) => plan = input,
            _ => return false,
        }
    }
}

/// Orders the group of joins at the root of `plan`.
#[inline(never)]
pub(super) fn arrange(plan: &mut LogicalPlan, knowledge: &mut Knowledge<'_>) -> Result<f64> {
    let mut region = Region::default();
    flatten(take(plan), &mut region)?;
    place_local_predicates(&mut region);
    for relation in &mut region.relations {
        relation.rows = arrange_plan(&mut relation.plan, knowledge)?;
    }
    if let [_] = region.relations.as_slice() {
        // Only a filter over something that is no join after all.
        if let Some(relation) = region.relations.pop() {
            let rows = relation.rows;
            *plan = emit::filtered(relation.plan, region.predicates);
            return Ok(rows);
        }
    }
    for relation in &mut region.relations {
        if let Some(JoinKind::Mark(column)) = &relation.operator {
            knowledge.learn_made(2.0, [(column.id, 2.0)], Vec::new());
        }
    }
    signature::sort(&mut region);
    let graph = Graph::new(&region, knowledge);
    let tree = match dphyp::order(&graph) {
        Some(tree) => tree,
        None => greedy::order(&graph)?,
    };
    let rows = tree.rows(&graph);
    *plan = emit::emit(&tree, &graph, region)?;
    Ok(rows)
}

fn flatten(plan: LogicalPlan, region: &mut Region) -> Result<()> {
    let mut work = vec![Work::Plan(plan)];
    while let Some(next) = work.pop() {
        let plan = match next {
            Work::Plan(plan) => plan,
            Work::Operator { kind, plan, terms, first } => {
                operator(region, kind, plan, terms, first);
                continue;
            }
        };
        let full = region.relations.len() + work.len() >= RELATIONS_MAX;
        match plan {
            LogicalPlan::Filter { input, predicate }
                if !full && is_part(&input) && !is_volatile(&predicate) =>
            {
                split_conjunction(predicate, &mut region.predicates);
                work.push(Work::Plan(*input));
            }
            LogicalPlan::Join { kind, left, right, condition }
                if !full
                    && !matches!(kind, JoinKind::Full)
                    && !condition.as_ref().is_some_and(is_volatile) =>
            {
                let mut terms = Vec::new();
                if let Some(condition) = condition {
                    split_conjunction(condition, &mut terms);
                }
                terms.retain(|term| !is_always(term));
                let first = region.relations.len();
                let (kind, left, right) = match kind {
                    JoinKind::Right => (JoinKind::Left, right, left),
                    other => (other, left, right),
                };
                let free = matches!(kind, JoinKind::Inner) && {
                    let mut outer = Vec::new();
                    output_ids(&left, &mut outer);
                    !uses_any(&right, &outer)
                };
                if free {
                    region.predicates.append(&mut terms);
                    work.push(Work::Plan(*right));
                } else {
                    work.push(Work::Operator { kind, plan: *right, terms, first });
                }
                work.push(Work::Plan(*left));
            }
            other => {
                let mut columns = Vec::new();
                output_ids(&other, &mut columns);
                region.relations.push(Relation {
                    plan: other,
                    operator: None,
                    terms: Vec::new(),
                    dependent: false,
                    requires: 0,
                    columns,
                    rows: 0.0,
                });
            }
        }
    }
    Ok(())
}

/// Adds the right side of a join that is not a free inner one.
fn operator(region: &mut Region, kind: JoinKind, plan: LogicalPlan, terms: Vec<Expression>, first: usize) {
    let left: RelationSet = (first..region.relations.len()).map(single).sum();
    let mut own = Vec::new();
    output_ids(&plan, &mut own);
    let mut used = Vec::new();
    terms.iter().for_each(|term| add_columns(term, &mut used));
    let (mut requires, mut dependent): (RelationSet, bool) = (0, false);
    for (number, relation) in region.relations.iter().enumerate().skip(first) {
        let in_plan = uses_any(&plan, &relation.columns);
        dependent |= in_plan;
        if in_plan || relation.columns.iter().any(|id| used.contains(id)) {
            requires |= single(number) | relation.requires;
        }
    }
    // An error for a second partner must not come for rows that would not be there.
    if requires == 0 || matches!(kind, JoinKind::Single) {
        requires = left;
    }
    let columns = match &kind {
        JoinKind::Semi | JoinKind::Anti => Vec::new(),
        JoinKind::Mark(column) => vec![column.id],
        _ => own,
    };
    region.relations.push(Relation {
        plan,
        operator: Some(kind),
        terms,
        dependent,
        requires,
        columns,
        rows: 0.0,
    });
}

/// Puts conditions on one relation where they belong: into a filter on it.
fn place_local_predicates(region: &mut Region) {
    let mut owner: HashMap<ColumnId, usize> = HashMap::new();
    for (number, relation) in region.relations.iter().enumerate() {
        owner.extend(relation.columns.iter().map(|id| (*id, number)));
    }
    let mut local: Vec<Vec<Expression>> = region.relations.iter().map(|_| Vec::new()).collect();
    let predicates = std::mem::take(&mut region.predicates);
    for predicate in predicates {
        if is_always(&predicate) {
            continue;
        }
        let mut used = Vec::new();
        add_columns(&predicate, &mut used);
        let mut owners = used.iter().filter_map(|id| owner.get(id).copied());
        let first = owners.next();
        match first {
            Some(first)
                if owners.all(|other| other == first) && region.relations[first].operator.is_none() =>
            {
                local[first].push(predicate);
            }
            _ => region.predicates.push(predicate),
        }
    }
    for (relation, terms) in region.relations.iter_mut().zip(local) {
        if terms.is_empty() {
            continue;
        }
        let mut all = Vec::new();
        let mut plan = take(&mut relation.plan);
        while let LogicalPlan::Filter { input, predicate } = plan {
            split_conjunction(predicate, &mut all);
            plan = *input;
        }
        all.extend(terms);
        relation.plan = match conjunction(all) {
            Some(predicate) => LogicalPlan::Filter { input: Box::new(plan), predicate },
            None => plan,
        };
    }
}
