//! The join graph: relations, hyperedges between sets of them, and what any set of relations gives and costs.
//!
//! The rows of a set do not depend on the order in which it is joined: the rows of its relations, times the share of
//! every condition inside it, where equal columns form classes, so that an equality that follows from others does not
//! count twice.

use crate::sql::optimizer::columns::{add_columns, output_ids};
use crate::sql::optimizer::knowledge::Knowledge;
use crate::sql::optimizer::lowering::{Lookup, is_equality, join_kind, lookups};
use crate::sql::optimizer::order::region::{Region, Relation};
use crate::sql::optimizer::sargable::plain_column;
use crate::sql::optimizer::{cardinality, cost};
use crate::sql::plan::expression::{ColumnId, Expression};
use crate::sql::plan::logical::JoinKind;
use hashbrown::HashMap;

/// A set of relations, one bit each.
pub(super) type RelationSet = u128;

/// The set of one relation.
pub(super) fn single(relation: usize) -> RelationSet {
    1 << relation
}

/// The members of a set, ascending.
pub(super) fn members(mut set: RelationSet) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        if set == 0 {
            return None;
        }
        let lowest = set.trailing_zeros() as usize;
        set &= set - 1;
        Some(lowest)
    })
}

pub(super) fn is_within(inner: RelationSet, outer: RelationSet) -> bool {
    inner & !outer == 0
}

/// What connects two sets of relations.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Edge {
    pub(super) left: RelationSet,
    pub(super) right: RelationSet,
    /// `right` is one relation, joined by its own operator.
    pub(super) is_operator: bool,
}

/// A condition of the group.
pub(super) struct Condition {
    /// All that it needs.
    pub(super) set: RelationSet,
    /// Sides of an equality, where it is one that a key can be made of.
    pub(super) sides: Option<(RelationSet, RelationSet)>,
    /// Columns of an equality of plain columns.
    pub(super) columns: Option<(ColumnId, ColumnId)>,
    /// Its class of equal columns.
    class: Option<usize>,
    share: f64,
}

impl Condition {
    /// Whether it makes columns equal that belong to a class.
    pub(super) fn is_class(&self) -> bool {
        self.class.is_some()
    }
}

/// A relation as the search sees it.
pub(super) struct Node {
    pub(super) rows: f64,
    pub(super) requires: RelationSet,
    pub(super) operator: bool,
    /// Rows that come out for each left row, of an operator.
    factor: f64,
    dependent: bool,
    has_keys: bool,
    exchangeable: bool,
    lookups: Vec<Lookup>,
    /// Left columns that equal its columns in its operator's condition: `(own, other)`.
    equal_columns: Vec<(ColumnId, ColumnId)>,
}

/// The graph.
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
    pub(super) conditions: Vec<Condition>,
    pub(super) edges: Vec<Edge>,
    /// Classes of equal columns: by relation the number of different values.
    classes: Vec<Vec<(usize, f64)>>,
    /// Two relations that are joined by several columns: what their shares are to be multiplied with.
    corrections: Vec<(RelationSet, f64)>,
    /// The relation of each column.
    owner: HashMap<ColumnId, usize>,
}

/// A set of relations with the best known way to join it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) rows: f64,
    pub(super) cost: f64,
    /// What is joined; both 0: one relation.
    pub(super) left: RelationSet,
    pub(super) right: RelationSet,
}

impl Graph {
    pub(super) fn new(region: &Region, knowledge: &Knowledge<'_>) -> Graph {
        let mut owner = HashMap::new();
        for (number, relation) in region.relations.iter().enumerate() {
            owner.extend(relation.columns.iter().map(|id| (*id, number)));
        }
        let nodes = region.relations.iter().map(|relation| node(relation, region, knowledge)).collect();
        let mut graph = Graph {
            nodes,
            conditions: Vec::new(),
            edges: Vec::new(),
            classes: Vec::new(),
            corrections: Vec::new(),
            owner,
        };
        for predicate in &region.predicates {
            let condition = graph.condition(predicate, knowledge);
            graph.conditions.push(condition);
        }
        graph.find_classes(knowledge);
        graph.find_corrections(region, knowledge);
        graph.find_edges();
        graph
    }

    /// All relations.
    pub(super) fn all(&self) -> RelationSet {
        (0..self.nodes.len()).map(single).sum()
    }

    /// The relations of an expression, with what must be there before them.
    fn set_of(&self, expression: &Expression) -> RelationSet {
        let mut used = Vec::new();
        add_columns(expression, &mut used);
        used.iter()
            .filter_map(|id| self.owner.get(id))
            .fold(0, |set, number| set | single(*number) | self.nodes[*number].requires)
    }

    fn condition(&self, predicate: &Expression, knowledge: &Knowledge<'_>) -> Condition {
        let set = self.set_of(predicate);
        let (mut sides, mut columns) = (None, None);
        let mut share = None;
        if let Some((left, right)) = is_equality(predicate) {
            let (left_set, right_set) = (self.set_of(left), self.set_of(right));
            if left_set != 0 && right_set != 0 && left_set & right_set == 0 {
                sides = Some((left_set, right_set));
                columns = plain(left).zip(plain(right));
                share = Some(1.0 / knowledge.distinct(left, 1e9).max(knowledge.distinct(right, 1e9)));
            }
        }
        let share = share.unwrap_or_else(|| knowledge.pair_share(predicate)).max(1e-12);
        Condition { set, sides, columns, class: None, share }
    }

    /// Columns that equalities make equal, in classes.
    fn find_classes(&mut self, knowledge: &Knowledge<'_>) {
        let mut class_of: HashMap<ColumnId, usize> = HashMap::new();
        let mut classes: Vec<Vec<ColumnId>> = Vec::new();
        for condition in &mut self.conditions {
            let Some((left, right)) = condition.columns else { continue };
            let inner =
                |id: &ColumnId| self.owner.get(id).is_some_and(|number| !self.nodes[*number].operator);
            if !inner(&left) || !inner(&right) {
                continue;
            }
            let class = match (class_of.get(&left).copied(), class_of.get(&right).copied()) {
                (Some(one), Some(other)) if one != other => {
                    let moved = std::mem::take(&mut classes[other]);
                    moved.iter().for_each(|id| {
                        class_of.insert(*id, one);
                    });
                    classes[one].extend(moved);
                    one
                }
                (Some(class), _) | (None, Some(class)) => class,
                (None, None) => {
                    classes.push(Vec::new());
                    classes.len() - 1
                }
            };
            for id in [left, right] {
                if class_of.insert(id, class).is_none() {
                    classes[class].push(id);
                }
            }
        }
        for condition in &mut self.conditions {
            condition.class = condition.columns.and_then(|(left, _)| class_of.get(&left).copied());
        }
        self.classes = classes
            .iter()
            .map(|ids| {
                ids.iter()
                    .filter_map(|id| {
                        let number = *self.owner.get(id)?;
                        Some((number, knowledge.column(*id).map_or(200.0, |facts| facts.distinct)))
                    })
                    .collect()
            })
            .collect();
    }

    /// Relations that share several classes are joined by columns that depend on each other.
    fn find_corrections(&mut self, region: &Region, knowledge: &Knowledge<'_>) {
        let mut pairs: HashMap<(usize, usize), Vec<usize>> = HashMap::new();
        for (index, condition) in self.conditions.iter().enumerate() {
            let Some((left, right)) = condition.columns.filter(|_| condition.class.is_some()) else {
                continue;
            };
            let (one, other) = (self.owner[&left], self.owner[&right]);
            pairs.entry((one.min(other), one.max(other))).or_default().push(index);
        }
        let mut pairs: Vec<_> = pairs.into_iter().collect();
        pairs.sort_unstable();
        for ((one, other), indexes) in pairs {
            let mut seen = Vec::new();
            let mut equalities = Vec::new();
            for index in indexes {
                let condition = &self.conditions[index];
                if seen.contains(&condition.class) {
                    continue;
                }
                seen.push(condition.class);
                if let Some((left, right)) = is_equality(&region.predicates[index]) {
                    let first = plain(left).and_then(|id| self.owner.get(&id)) == Some(&one);
                    equalities.push(if first { (left, right) } else { (right, left) });
                }
            }
            if equalities.len() < 2 {
                continue;
            }
            let together = knowledge.equalities_share(&equalities, 1e9, 1e9);
            let apart: f64 = equalities
                .iter()
                .map(|(left, right)| 1.0 / knowledge.distinct(left, 1e9).max(knowledge.distinct(right, 1e9)))
                .product();
            if together > apart && apart > 0.0 {
                self.corrections.push((single(one) | single(other), together / apart));
            }
        }
    }

    fn find_edges(&mut self) {
        for (number, node) in self.nodes.iter().enumerate() {
            if node.operator {
                self.edges.push(Edge { left: node.requires, right: single(number), is_operator: true });
            }
        }
        for condition in &self.conditions {
            if let Some((left, right)) = condition.sides {
                self.edges.push(Edge { left: left.min(right), right: left.max(right), is_operator: false });
            } else if condition.set.count_ones() == 2
                && members(condition.set).all(|number| !self.nodes[number].operator)
            {
                let low = single(condition.set.trailing_zeros() as usize);
                self.edges.push(Edge { left: low, right: condition.set & !low, is_operator: false });
            }
        }
        self.edges.sort_unstable();
        self.edges.dedup();
        // Parts that nothing connects are joined last, whole.
        let mut parts: Vec<RelationSet> = (0..self.nodes.len()).map(single).collect();
        let edges: Vec<RelationSet> = self.edges.iter().map(|edge| edge.left | edge.right).collect();
        for edge in edges {
            let (within, mut apart): (Vec<_>, Vec<_>) = parts.into_iter().partition(|part| part & edge != 0);
            apart.push(within.into_iter().fold(0, |all, part| all | part));
            parts = apart;
        }
        parts.sort_unstable();
        for (index, left) in parts.iter().enumerate() {
            for right in &parts[index + 1..] {
                self.edges.push(Edge { left: *left, right: *right, is_operator: false });
            }
        }
    }

    /// Rows that a set gives, about.
    pub(super) fn rows(&self, set: RelationSet) -> f64 {
        if set.is_power_of_two() {
            return self.nodes[set.trailing_zeros() as usize].rows;
        }
        let mut rows = 1.0;
        for number in members(set) {
            let node = &self.nodes[number];
            rows *= if node.operator { node.factor } else { node.rows };
        }
        for class in &self.classes {
            let (mut product, mut least, mut count) = (1.0, f64::INFINITY, 0);
            for (number, distinct) in class {
                if set & single(*number) != 0 {
                    product *= distinct;
                    least = least.min(*distinct);
                    count += 1;
                }
            }
            if count > 1 {
                rows *= least / product;
            }
        }
        for (pair, factor) in &self.corrections {
            if is_within(*pair, set) {
                rows *= factor;
            }
        }
        for condition in &self.conditions {
            if condition.class.is_none() && is_within(condition.set, set) {
                rows *= condition.share;
            }
        }
        rows.max(1e-3)
    }

    /// What one relation gives and costs by itself: reading it is the same in every order, so it costs nothing here.
    pub(super) fn leaf(&self, number: usize) -> Entry {
        Entry { rows: self.nodes[number].rows, cost: 0.0, left: 0, right: 0 }
    }

    /// Whether a set of more than one relation may be joined to another, or to the relation of an operator; then which
    /// comes first.
    fn orientation(
        &self,
        one: RelationSet,
        other: RelationSet,
    ) -> Option<(RelationSet, RelationSet, Option<usize>)> {
        let operator = |set: RelationSet| {
            let number = set.trailing_zeros() as usize;
            (set.is_power_of_two() && self.nodes[number].operator).then_some(number)
        };
        match (operator(one), operator(other)) {
            (None, None) => Some((one, other, None)),
            (None, Some(number)) => {
                is_within(self.nodes[number].requires, one).then_some((one, other, Some(number)))
            }
            (Some(number), None) => {
                is_within(self.nodes[number].requires, other).then_some((other, one, Some(number)))
            }
            (Some(_), Some(_)) => None,
        }
    }

    /// The best way to join two disjoint sets; `rows`: what comes out. `None`: they cannot be joined.
    pub(super) fn join(
        &self,
        one: (RelationSet, Entry),
        other: (RelationSet, Entry),
        rows: f64,
    ) -> Option<Entry> {
        let (left_set, right_set, operator) = self.orientation(one.0, other.0)?;
        let (left, right) = if left_set == one.0 { (one.1, other.1) } else { (other.1, one.1) };
        let inputs = left.cost + right.cost;
        if let Some(number) = operator {
            let node = &self.nodes[number];
            let cost = if node.dependent {
                left.rows * (cost::RESTART + node.rows)
            } else if !node.has_keys {
                cost::nested_loop(left.rows, right.rows, rows, 1.0)
            } else {
                let hashed = cost::hash_join(left.rows, right.rows, rows);
                let hashed = if node.exchangeable {
                    hashed.min(cost::hash_join(right.rows, left.rows, rows))
                } else {
                    hashed
                };
                let index = self.lookup_cost(number, &node.equal_columns, left.rows);
                index.map_or(hashed, |cost| hashed.min(cost + rows * cost::PAIR_MADE))
            };
            return Some(Entry { rows, cost: inputs + cost, left: left_set, right: right_set });
        }
        let mut equal: Vec<(ColumnId, ColumnId)> = Vec::new();
        let mut keys = 0;
        for condition in &self.conditions {
            let Some((low, high)) = condition.sides else { continue };
            let straight = is_within(low, left_set) && is_within(high, right_set);
            let crossed = is_within(high, left_set) && is_within(low, right_set);
            if straight || crossed {
                keys += 1;
                if let Some((first, second)) = condition.columns {
                    equal.push(if straight { (first, second) } else { (second, first) });
                }
            }
        }
        let entry = |cost: f64, left, right| Entry { rows, cost: inputs + cost, left, right };
        if keys == 0 {
            let (many, few) =
                if left.rows >= right.rows { (left_set, right_set) } else { (right_set, left_set) };
            return Some(entry(cost::nested_loop(left.rows, right.rows, rows, 1.0), many, few));
        }
        let (many, few) = if left.rows >= right.rows { (left_set, right_set) } else { (right_set, left_set) };
        let mut best =
            entry(cost::hash_join(left.rows.max(right.rows), left.rows.min(right.rows), rows), many, few);
        let sides = [(left_set, left.rows, right_set, true), (right_set, right.rows, left_set, false)];
        for (outer, outer_rows, inner, straight) in sides {
            if !inner.is_power_of_two() {
                continue;
            }
            let number = inner.trailing_zeros() as usize;
            let own: Vec<(ColumnId, ColumnId)> =
                equal.iter().map(|(l, r)| if straight { (*r, *l) } else { (*l, *r) }).collect();
            if let Some(cost) = self.lookup_cost(number, &own, outer_rows) {
                let candidate = entry(cost + rows * cost::PAIR_MADE, outer, inner);
                if candidate.cost < best.cost {
                    best = candidate;
                }
            }
        }
        Some(best)
    }

    /// Cost of looking partners up in one relation; `None` where no index has them.
    fn lookup_cost(&self, number: usize, equal: &[(ColumnId, ColumnId)], outer_rows: f64) -> Option<f64> {
        self.nodes[number]
            .lookups
            .iter()
            .filter(|lookup| lookup.columns.iter().all(|id| equal.iter().any(|(own, _)| own == id)))
            // Nothing of the relation is read but what is looked up.
            .map(|lookup| outer_rows * (cost::RESTART + lookup.cost) - lookup.scan_cost)
            .min_by(f64::total_cmp)
    }

    /// Whether an edge joins the two sets.
    pub(super) fn connects(&self, one: RelationSet, other: RelationSet) -> bool {
        self.edges.iter().any(|edge| {
            (is_within(edge.left, one) && is_within(edge.right, other))
                || (is_within(edge.left, other) && is_within(edge.right, one))
        })
    }
}

fn plain(expression: &Expression) -> Option<ColumnId> {
    plain_column(expression).map(|(id, _)| id)
}

fn node(relation: &Relation, region: &Region, knowledge: &Knowledge<'_>) -> Node {
    let mut node = Node {
        rows: relation.rows.max(1e-3),
        requires: relation.requires,
        operator: relation.operator.is_some(),
        factor: 1.0,
        dependent: relation.dependent,
        has_keys: false,
        exchangeable: matches!(relation.operator, Some(JoinKind::Left | JoinKind::Inner)),
        lookups: lookups(&relation.plan, relation.rows, knowledge),
        equal_columns: Vec::new(),
    };
    let Some(kind) = &relation.operator else { return node };
    let left: f64 = members(relation.requires)
        .map(|number| &region.relations[number])
        .filter(|relation| relation.operator.is_none())
        .map(|relation| relation.rows)
        .fold(1.0, f64::max);
    let mut own = Vec::new();
    output_ids(&relation.plan, &mut own);
    let is_own = |expression: &Expression| {
        let mut used = Vec::new();
        add_columns(expression, &mut used);
        !used.is_empty() && used.iter().all(|id| own.contains(id))
    };
    let (mut equalities, mut rest) = (Vec::new(), Vec::new());
    for term in &relation.terms {
        match is_equality(term) {
            Some((left, right)) if is_own(right) && !is_own(left) => equalities.push((left, right)),
            Some((left, right)) if is_own(left) && !is_own(right) => equalities.push((right, left)),
            _ => rest.push(term),
        }
    }
    node.has_keys = !equalities.is_empty();
    node.equal_columns =
        equalities.iter().filter_map(|(left, right)| Some((plain(right)?, plain(left)?))).collect();
    if matches!(kind, JoinKind::Mark(_)) {
        node.lookups.clear();
    }
    let rows = knowledge.join_rows(join_kind(kind), left, relation.rows, &equalities, &rest);
    node.factor = if relation.dependent && relation.terms.is_empty() {
        match kind {
            JoinKind::Inner => relation.rows,
            JoinKind::Left => relation.rows.max(1.0),
            JoinKind::Semi | JoinKind::Anti => cardinality::UNKNOWN,
            _ => 1.0,
        }
    } else {
        rows.output / left
    };
    node
}
