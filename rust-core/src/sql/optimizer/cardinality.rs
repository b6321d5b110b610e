//! How many rows come out of joins and groups, and PostgreSQL's default selectivities where nothing is known of the
//! values.

use crate::sql::optimizer::knowledge::{Knowledge, RelationNumber};
use crate::sql::plan::expression::{ColumnId, Expression};
use crate::sql::plan::physical::PhysicalJoinKind;

/// Share of rows that equal a value.
pub(super) const EQUAL: f64 = 0.005;
/// Different values of a column that was not analyzed.
pub(super) const DISTINCT_DEFAULT: f64 = 200.0;
/// Share of rows below or above a value.
pub(super) const INEQUALITY: f64 = 1.0 / 3.0;
/// Share of rows between two values.
pub(super) const RANGE: f64 = 0.005;
/// Share of rows that match a pattern.
pub(super) const PATTERN: f64 = 0.01;
/// Share of rows that begin as a pattern does.
pub(super) const PATTERN_PREFIX: f64 = 0.005;
/// Share of NULLs.
pub(super) const NULL: f64 = 0.005;
/// Share of rows for which an unknown condition is true.
pub(super) const UNKNOWN: f64 = 0.5;
/// A table is taken to have at least this many rows: a plan outlives an empty table.
pub(super) const TABLE_ROWS_MIN: f64 = 1000.0;
/// Share of rows that a LIMIT of unknown size lets through.
pub(super) const LIMIT_SHARE: f64 = 0.1;
/// How many times the first rows a recursive union puts out, as a guess.
pub(super) const RECURSION_FACTOR: f64 = 10.0;
/// Rows that whoever runs the plan supplies.
pub(super) const SUPPLIED_ROWS: f64 = 1000.0;
/// Rows of a function in FROM.
pub(super) const TABLE_FUNCTION_ROWS: f64 = 1000.0;
/// At least this share of left rows is taken to have no partner, and at least this share to have one.
const PARTNER_SHARE_MIN: f64 = 0.02;

/// Rows on both sides of a join, and the pairs that fulfil its condition.
#[derive(Clone, Copy, Debug)]
pub(super) struct JoinRows {
    pub(super) left: f64,
    pub(super) right: f64,
    /// Pairs with equal keys.
    pub(super) matched: f64,
    /// What comes out.
    pub(super) output: f64,
}

/// How many of `values` different ones, equally common, `rows` rows have (Yao's formula, in its smooth form).
pub(super) fn values_in_rows(values: f64, rows: f64) -> f64 {
    let values = values.max(1.0);
    (values * (1.0 - (-rows / values).exp())).clamp(1.0, values).min(rows.max(1.0))
}

impl Knowledge<'_> {
    /// Share of the pairs of two inputs for which all the equalities hold.
    pub(super) fn equalities_share(
        &self,
        equalities: &[(&Expression, &Expression)],
        left_rows: f64,
        right_rows: f64,
    ) -> f64 {
        let mut total = 1.0;
        let mut groups: Vec<(Option<RelationNumber>, Option<RelationNumber>, Vec<usize>)> = Vec::new();
        for (index, (left, right)) in equalities.iter().enumerate() {
            let place = (self.relation_of(left), self.relation_of(right));
            match groups.iter_mut().find(|group| (group.0, group.1) == place) {
                Some(group) => group.2.push(index),
                None => groups.push((place.0, place.1, vec![index])),
            }
        }
        for (left_relation, right_relation, members) in groups {
            let mut shares: Vec<f64> = members
                .iter()
                .map(|index| {
                    let (left, right) = equalities[*index];
                    1.0 / self.distinct(left, left_rows).max(self.distinct(right, right_rows)).max(1.0)
                })
                .collect();
            let of_left: Vec<ColumnId> =
                members.iter().map(|index| self.origin_of(equalities[*index].0)).collect();
            let of_right: Vec<ColumnId> =
                members.iter().map(|index| self.origin_of(equalities[*index].1)).collect();
            let of_left = self.key_rows(left_relation, &of_left);
            let of_right = self.key_rows(right_relation, &of_right);
            total *= match (of_left, of_right) {
                (Some(left), Some(right)) => 1.0 / left.max(right),
                (Some(rows), None) | (None, Some(rows)) => 1.0 / rows,
                // Columns of one table mostly depend on each other: each further one counts less.
                (None, None) => {
                    shares.sort_by(f64::total_cmp);
                    let weights = [1.0, 0.5, 0.25, 0.125];
                    shares.iter().zip(weights).map(|(share, weight)| share.powf(weight)).product()
                }
            };
        }
        total
    }

    /// Rows of a relation where these columns of it identify one.
    fn key_rows(&self, relation: Option<RelationNumber>, columns: &[ColumnId]) -> Option<f64> {
        let facts = self.relation(relation?);
        let covers = |key: &Vec<ColumnId>| !key.is_empty() && key.iter().all(|id| columns.contains(id));
        facts.keys.iter().any(covers).then_some(facts.rows)
    }

    /// The column of its relation that `expression` is.
    fn origin_of(&self, expression: &Expression) -> ColumnId {
        match expression {
            Expression::Column { id, .. } => self.column(*id).map_or(*id, |facts| facts.origin),
            Expression::Cast { input, .. } => self.origin_of(input),
            _ => ColumnId(u32::MAX),
        }
    }

    fn relation_of(&self, expression: &Expression) -> Option<RelationNumber> {
        match expression {
            Expression::Column { id, .. } => self.column(*id).map(|facts| facts.relation),
            Expression::Cast { input, .. } => self.relation_of(input),
            _ => None,
        }
    }

    /// Rows of a join of `left` and `right` rows by equalities and further conditions.
    pub(super) fn join_rows(
        &self,
        kind: PhysicalJoinKind,
        left: f64,
        right: f64,
        equalities: &[(&Expression, &Expression)],
        rest: &[&Expression],
    ) -> JoinRows {
        let matched = left * right * self.equalities_share(equalities, left, right);
        let rest_share: f64 = rest.iter().map(|term| self.pair_share(term)).product();
        let pairs = matched * rest_share;
        // Which share of left rows has a partner.
        let partner = if equalities.is_empty() {
            (right * rest_share).clamp(0.0, 1.0)
        } else {
            let of_keys: f64 = equalities
                .iter()
                .map(|(of_left, of_right)| {
                    let there = values_in_rows(self.distinct(of_right, right), right);
                    (there / self.distinct(of_left, left).max(1.0)).min(1.0)
                })
                .fold(1.0, f64::min);
            let each = if left > 0.0 { pairs / left } else { 0.0 };
            of_keys.min(each.max(of_keys * rest_share))
        };
        let partner = partner.clamp(PARTNER_SHARE_MIN, 1.0 - PARTNER_SHARE_MIN);
        let least = left.min(1.0);
        let output = match kind {
            PhysicalJoinKind::Inner => pairs,
            PhysicalJoinKind::Left => pairs.max(left),
            PhysicalJoinKind::Right => pairs.max(right),
            PhysicalJoinKind::Full => pairs.max(left).max(right),
            PhysicalJoinKind::Semi => (left * partner).max(least),
            PhysicalJoinKind::Anti => (left * (1.0 - partner)).max(least),
            PhysicalJoinKind::Mark | PhysicalJoinKind::Single => left,
        };
        JoinRows { left, right, matched, output }
    }

    /// How many groups `rows` rows have by `keys`.
    pub(super) fn group_count(&self, keys: &[&Expression], rows: f64) -> f64 {
        if keys.is_empty() {
            return 1.0;
        }
        let mut relations: Vec<(Option<RelationNumber>, f64)> = Vec::new();
        for key in keys {
            let distinct = self.distinct(key, rows).max(1.0);
            let relation = self.relation_of(key);
            match relations.iter_mut().find(|known| relation.is_some() && known.0 == relation) {
                Some(known) => known.1 *= distinct,
                None => relations.push((relation, distinct)),
            }
        }
        let values: f64 = relations
            .iter()
            .map(|(relation, values)| {
                relation.map_or(*values, |number| values.min(self.relation(number).rows))
            })
            .product();
        values_in_rows(values, rows)
    }
}
