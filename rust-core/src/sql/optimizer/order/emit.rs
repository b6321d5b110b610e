//! The chosen order as a logical plan again: each condition stands at the first join that has all it needs.

use crate::error::{Error, Result};
use crate::sql::optimizer::columns::conjunction;
use crate::sql::optimizer::order::graph::{Entry, Graph, RelationSet, is_within};
use crate::sql::optimizer::order::region::{Region, Relation};
use crate::sql::plan::expression::{ColumnId, Expression};
use crate::sql::plan::logical::{JoinKind, LogicalPlan};
use hashbrown::HashMap;

/// A tree of joins: in the order in which they are made, inputs before what uses them.
pub(super) struct Tree {
    joins: Vec<(RelationSet, Entry)>,
    all: RelationSet,
}

impl Tree {
    /// The tree of `all` in a table of the best joins.
    pub(super) fn of_table(table: &HashMap<RelationSet, Entry>, all: RelationSet) -> Tree {
        let mut joins = Vec::new();
        let mut open = vec![all];
        while let Some(set) = open.pop() {
            if let Some(entry) = table.get(&set).filter(|entry| entry.left != 0) {
                joins.push((set, *entry));
                open.push(entry.left);
                open.push(entry.right);
            }
        }
        joins.reverse();
        Tree { joins, all }
    }

    /// Rows of the whole tree.
    pub(super) fn rows(&self, graph: &Graph) -> f64 {
        self.joins.last().map_or_else(|| graph.rows(self.all), |(_, entry)| entry.rows)
    }
}

/// Which equal columns are known to be equal in a part.
#[derive(Default)]
struct Equal(Vec<Vec<ColumnId>>);

impl Equal {
    /// Notes an equality; false where it follows from others.
    fn add(&mut self, left: ColumnId, right: ColumnId) -> bool {
        let class = |id| self.0.iter().position(|class| class.contains(&id));
        match (class(left), class(right)) {
            (Some(one), Some(other)) if one == other => return false,
            (Some(one), Some(other)) => {
                let moved = self.0.swap_remove(one.max(other));
                self.0[one.min(other)].extend(moved);
            }
            (Some(one), None) => self.0[one].push(right),
            (None, Some(other)) => self.0[other].push(left),
            (None, None) => self.0.push(vec![left, right]),
        }
        true
    }
}

/// `plan` with only the rows for which all `terms` are true.
pub(super) fn filtered(plan: LogicalPlan, terms: Vec<Expression>) -> LogicalPlan {
    match conjunction(terms) {
        Some(predicate) => LogicalPlan::Filter { input: Box::new(plan), predicate },
        None => plan,
    }
}

/// Builds the plan.
/// # Errors
/// `XX000` for a tree that lacks a relation.
pub(super) fn emit(tree: &Tree, graph: &Graph, region: Region) -> Result<LogicalPlan> {
    let missing = || Error::internal("the join order lacks a relation");
    let mut predicates: Vec<Option<Expression>> = region.predicates.into_iter().map(Some).collect();
    let mut built: HashMap<RelationSet, (LogicalPlan, Equal)> = HashMap::new();
    let mut operators: HashMap<RelationSet, (JoinKind, Vec<Expression>)> = HashMap::new();
    for (number, relation) in region.relations.into_iter().enumerate() {
        let Relation { plan, operator, terms, .. } = relation;
        built.insert(1 << number, (plan, Equal::default()));
        if let Some(kind) = operator {
            operators.insert(1 << number, (kind, terms));
        }
    }
    for (set, entry) in &tree.joins {
        let (left, mut equal) = built.remove(&entry.left).ok_or_else(missing)?;
        let (right, right_equal) = built.remove(&entry.right).ok_or_else(missing)?;
        equal.0.extend(right_equal.0);
        let mut terms = Vec::new();
        for (condition, predicate) in graph.conditions.iter().zip(&mut predicates) {
            if condition.set == 0 || !is_within(condition.set, *set) {
                continue;
            }
            let Some(predicate) = predicate.take() else { continue };
            let follows = condition.is_class() && condition.columns.is_some_and(|(l, r)| !equal.add(l, r));
            if !follows {
                terms.push(predicate);
            }
        }
        let plan = match operators.remove(&entry.right) {
            Some((JoinKind::Inner, mut own)) => {
                own.append(&mut terms);
                join(JoinKind::Inner, left, right, own)
            }
            Some((kind, own)) => filtered(join(kind, left, right, own), terms),
            None => join(JoinKind::Inner, left, right, terms),
        };
        built.insert(*set, (plan, equal));
    }
    let (plan, _) = built.remove(&tree.all).ok_or_else(missing)?;
    Ok(filtered(plan, predicates.into_iter().flatten().collect()))
}

fn join(kind: JoinKind, left: LogicalPlan, right: LogicalPlan, terms: Vec<Expression>) -> LogicalPlan {
    LogicalPlan::Join { kind, left: Box::new(left), right: Box::new(right), condition: conjunction(terms) }
}
