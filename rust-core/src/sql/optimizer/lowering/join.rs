//! Joins of two inputs: which algorithm, which side is built.

use crate::error::{Error, Result};
use crate::sql::evaluate::row::result_type;
use crate::sql::functions::registry::Registry;
use crate::sql::optimizer::cardinality::JoinRows;
use crate::sql::optimizer::columns::{
    add_columns, conjunction, is_always, is_volatile, operator_count, output_ids, split_conjunction,
    to_inputs,
};
use crate::sql::optimizer::lowering::apply::{self, OuterColumn};
use crate::sql::optimizer::lowering::index_join::lookups;
use crate::sql::optimizer::lowering::{Lowered, Lowering, Wanted, node, with_columns};
use crate::sql::optimizer::sargable::plain_column;
use crate::sql::optimizer::{cardinality, cost};
use crate::sql::plan::expression::{ColumnId, Expression};
use crate::sql::plan::logical::{JoinKind, LogicalPlan};
use crate::sql::plan::physical::{HashKey, KeyNulls, Operator, PhysicalJoinKind};

/// Which inputs of a join an expression uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Side {
    Neither,
    Left,
    Right,
    Both,
}

/// An equality of a join condition.
struct Equality {
    left: Expression,
    right: Expression,
    nulls: KeyNulls,
}

/// The columns of the two inputs.
struct Sides {
    left: Vec<ColumnId>,
    right: Vec<ColumnId>,
}

impl Sides {
    fn of(&self, expression: &Expression) -> Side {
        let mut used = Vec::new();
        add_columns(expression, &mut used);
        let left = used.iter().any(|id| self.left.contains(id));
        let right = used.iter().any(|id| self.right.contains(id));
        match (left, right) {
            (false, false) => Side::Neither,
            (true, false) => Side::Left,
            (false, true) => Side::Right,
            (true, true) => Side::Both,
        }
    }

    /// `term`, for which `orientation` gave `swapped`, as a key of a hash or merge join.
    fn equality(term: Expression, swapped: bool, is_mark: bool) -> Result<Equality> {
        let (nulls, sides) = match term {
            Expression::Call { arguments, .. } => {
                (if is_mark { KeyNulls::Unknown } else { KeyNulls::NeverMatch }, two(arguments))
            }
            Expression::IsTruth { input, .. } => match *input {
                Expression::Call { arguments, .. } => (KeyNulls::NeverMatch, two(arguments)),
                _ => (KeyNulls::NeverMatch, None),
            },
            Expression::IsDistinct { left, right, .. } => (KeyNulls::Equal, Some((*left, *right))),
            _ => (KeyNulls::NeverMatch, None),
        };
        let Some((left, right)) = sides else {
            return Err(Error::internal("a join key that is no equality"));
        };
        let (left, right) = if swapped { (right, left) } else { (left, right) };
        Ok(Equality { left, right, nulls })
    }

    /// Whether `term` equates one side with the other; true: right side first.
    fn orientation(&self, term: &Expression) -> Option<bool> {
        let (left, right) = is_equality(term)?;
        match (self.of(left), self.of(right)) {
            (Side::Left, Side::Right) => Some(false),
            (Side::Right, Side::Left) => Some(true),
            _ => None,
        }
    }
}

/// A side that may be looked up in, with its columns that are given.
type Candidate = Option<(LogicalPlan, Vec<ColumnId>)>;

struct Candidates {
    left: Candidate,
    right: Candidate,
}

impl Equality {
    /// Whether both inputs are ordered by this key.
    fn is_ordered(&self, left: &Lowered, right: &Lowered) -> bool {
        let ordered = |key: &Expression, by: Option<ColumnId>| {
            by.is_some() && plain_column(key).map(|(id, _)| id) == by
        };
        self.nulls == KeyNulls::NeverMatch
            && ordered(&self.left, left.sorted_by)
            && ordered(&self.right, right.sorted_by)
    }

    /// The condition that it is, for a residual.
    fn into_term(self) -> Result<Expression> {
        let Equality { left, right, nulls } = self;
        if nulls == KeyNulls::Equal {
            return Ok(Expression::IsDistinct {
                left: Box::new(left),
                right: Box::new(right),
                negated: true,
            });
        }
        let data_type = result_type(&left);
        let function = Registry::get().scalar_exact("=", &[data_type, data_type]);
        let function = function.ok_or_else(|| Error::internal("an equality without its operator"))?;
        Ok(Expression::Call { function, arguments: vec![left, right], position: 0 })
    }
}

fn two(arguments: Vec<Expression>) -> Option<(Expression, Expression)> {
    let mut arguments = arguments.into_iter();
    arguments.next().zip(arguments.next())
}

/// Whether a condition is true or false for every row.
fn is_never_null(term: &Expression) -> bool {
    match term {
        Expression::IsTruth { .. } | Expression::IsNull { .. } | Expression::IsDistinct { .. } => true,
        Expression::Not(input) => is_never_null(input),
        Expression::And(terms) | Expression::Or(terms) => terms.iter().all(is_never_null),
        _ => false,
    }
}

/// The kind as physical plans have it.
pub(in crate::sql::optimizer) fn join_kind(kind: &JoinKind) -> PhysicalJoinKind {
    match kind {
        JoinKind::Inner => PhysicalJoinKind::Inner,
        JoinKind::Left => PhysicalJoinKind::Left,
        JoinKind::Right => PhysicalJoinKind::Right,
        JoinKind::Full => PhysicalJoinKind::Full,
        JoinKind::Semi => PhysicalJoinKind::Semi,
        JoinKind::Anti => PhysicalJoinKind::Anti,
        JoinKind::Mark(_) => PhysicalJoinKind::Mark,
        JoinKind::Single => PhysicalJoinKind::Single,
    }
}

/// The kind with its inputs exchanged, where there is one.
fn exchanged(kind: PhysicalJoinKind) -> Option<PhysicalJoinKind> {
    match kind {
        PhysicalJoinKind::Inner => Some(PhysicalJoinKind::Inner),
        PhysicalJoinKind::Left => Some(PhysicalJoinKind::Right),
        PhysicalJoinKind::Right => Some(PhysicalJoinKind::Left),
        PhysicalJoinKind::Full => Some(PhysicalJoinKind::Full),
        PhysicalJoinKind::Semi
        | PhysicalJoinKind::Anti
        | PhysicalJoinKind::Mark
        | PhysicalJoinKind::Single => None,
    }
}

/// What comes out of a join of these layouts.
pub(super) fn joined_layout(kind: &JoinKind, left: &[ColumnId], right: &[ColumnId]) -> Vec<ColumnId> {
    let mut layout = left.to_vec();
    match kind {
        JoinKind::Semi | JoinKind::Anti => {}
        JoinKind::Mark(column) => layout.push(column.id),
        JoinKind::Inner | JoinKind::Left | JoinKind::Right | JoinKind::Full | JoinKind::Single => {
            layout.extend(right);
        }
    }
    layout
}

/// The sides of an equality of a join condition: `=`, `= … IS TRUE`, `IS NOT DISTINCT FROM`.
pub(in crate::sql::optimizer) fn is_equality(term: &Expression) -> Option<(&Expression, &Expression)> {
    let (left, right) = match term {
        Expression::Call { function, arguments, .. } if function.name == "=" => match arguments.as_slice() {
            [left, right] => (left, right),
            _ => return None,
        },
        Expression::IsTruth { input, truth: true, negated: false } => match &**input {
            call @ Expression::Call { .. } => return is_equality(call),
            _ => return None,
        },
        Expression::IsDistinct { left, right, negated: true } => (&**left, &**right),
        _ => return None,
    };
    (result_type(left) == result_type(right) && !is_volatile(term)).then_some((left, right))
}

/// Whether rows come out in the order of the left input.
fn keeps_left_order(kind: PhysicalJoinKind) -> bool {
    !matches!(kind, PhysicalJoinKind::Right | PhysicalJoinKind::Full)
}

impl Lowering<'_> {
    pub(super) fn join(
        &mut self,
        kind: JoinKind,
        left: LogicalPlan,
        mut right: LogicalPlan,
        condition: Option<Expression>,
        required: &[ColumnId],
        wanted: Option<&Wanted>,
    ) -> Result<Lowered> {
        let mut sides = Sides { left: Vec::new(), right: Vec::new() };
        output_ids(&left, &mut sides.left);
        output_ids(&right, &mut sides.right);
        let mut terms = Vec::new();
        if let Some(condition) = condition {
            split_conjunction(condition, &mut terms);
        }
        terms.retain(|term| !is_always(term));
        let mut outer = Vec::new();
        self.bind_outer(&mut right, &sides.left, &mut outer)?;
        // An order of left columns lasts to the end; whether rows are few enough for a LIMIT to help is not known here.
        let wanted = wanted
            .filter(|wanted| {
                keeps_left_order(join_kind(&kind))
                    && wanted.keys.iter().all(|key| sides.left.contains(&key.column))
            })
            .map(|wanted| Wanted { keys: wanted.keys.clone(), limit: None });
        if !outer.is_empty() {
            return self.apply(kind, left, right, outer, terms, &sides, required, wanted.as_ref());
        }
        let used = with_columns(required, &terms);
        let of = |ids: &[ColumnId]| -> Vec<ColumnId> {
            used.iter().copied().filter(|id| ids.contains(id)).collect()
        };
        let (left_required, right_required) = (of(&sides.left), of(&sides.right));
        let is_mark = matches!(kind, JoinKind::Mark(_));
        let orientations: Vec<Option<bool>> = terms.iter().map(|term| sides.orientation(term)).collect();
        let looked_up = self.lookup_candidates(&kind, &left, &right, &terms, &orientations);
        let left = self.lower(left, &left_required, wanted.as_ref())?;
        let right = self.lower(right, &right_required, None)?;
        let rows = self.estimate(&kind, &left, &right, &terms, &orientations);
        // A mark's residual condition must not be unknown, nor decide whether an unknown key counts.
        let hashable =
            !is_mark || orientations.iter().all(Option::is_some) || terms.iter().all(is_never_null);
        if !hashable || orientations.iter().all(Option::is_none) {
            return nested_loop(kind, left, right, terms, rows);
        }
        let inputs = left.node.estimated_cost + right.node.estimated_cost;
        let rival = inputs + hash_cost(&kind, rows);
        if let Some((inner, given)) = &looked_up.right {
            let inner_required = of(&sides.right);
            let outer_cost = left.node.estimated_cost;
            if self.may_look_up(inner, given, rows.left, rival - outer_cost)
                && let Some(lowered) =
                    self.index_join(&kind, &left, inner, &terms, &inner_required, rows.output, rival)?
            {
                return Ok(lowered);
            }
        }
        if let Some((inner, given)) = &looked_up.left {
            let inner_required = of(&sides.left);
            let outer_cost = right.node.estimated_cost;
            if self.may_look_up(inner, given, rows.right, rival - outer_cost)
                && let Some(lowered) =
                    self.index_join(&kind, &right, inner, &terms, &inner_required, rows.output, rival)?
            {
                return Ok(lowered);
            }
        }
        let (mut keys, mut rest) = (Vec::new(), Vec::new());
        for (term, orientation) in terms.into_iter().zip(orientations) {
            match orientation {
                Some(swapped) => keys.push(Sides::equality(term, swapped, is_mark)?),
                None => rest.push(term),
            }
        }
        let merged = (rows.left + rows.right) * cost::ROW_MERGED + rows.output * cost::PAIR_MADE;
        if inputs + merged < rival
            && let Some(place) = keys.iter().position(|key| key.is_ordered(&left, &right))
            && matches!(kind, JoinKind::Inner | JoinKind::Left | JoinKind::Semi | JoinKind::Anti)
        {
            let key = keys.swap_remove(place);
            for other in keys {
                rest.push(other.into_term()?);
            }
            return merge_join(kind, left, right, key, rest, rows);
        }
        hash_join(kind, left, right, keys, rest, rows)
    }

    /// The sides in which an index may find partners, with their columns that are given.
    fn lookup_candidates(
        &self,
        kind: &JoinKind,
        left: &LogicalPlan,
        right: &LogicalPlan,
        terms: &[Expression],
        orientations: &[Option<bool>],
    ) -> Candidates {
        let given = |of_left: bool| -> Vec<ColumnId> {
            let pairs = terms.iter().zip(orientations);
            pairs
                .filter_map(|(term, orientation)| {
                    let (first, second) = is_equality(term)?;
                    let side = if of_left == (*orientation)? { second } else { first };
                    plain_column(side).map(|(id, _)| id)
                })
                .collect()
        };
        let candidate = |plan: &LogicalPlan, of_left: bool| {
            let given = given(of_left);
            let useful = lookups(plan, 0.0, &self.knowledge)
                .iter()
                .any(|lookup| lookup.columns.iter().all(|id| given.contains(id)));
            useful.then(|| (plan.clone(), given))
        };
        match kind {
            JoinKind::Inner => Candidates { left: candidate(left, true), right: candidate(right, false) },
            JoinKind::Left | JoinKind::Semi | JoinKind::Anti | JoinKind::Single => {
                Candidates { left: None, right: candidate(right, false) }
            }
            JoinKind::Right | JoinKind::Full | JoinKind::Mark(_) => Candidates { left: None, right: None },
        }
    }

    fn estimate(
        &self,
        kind: &JoinKind,
        left: &Lowered,
        right: &Lowered,
        terms: &[Expression],
        orientations: &[Option<bool>],
    ) -> JoinRows {
        let (mut equalities, mut rest) = (Vec::new(), Vec::new());
        for (term, orientation) in terms.iter().zip(orientations) {
            match (is_equality(term), orientation) {
                (Some((first, second)), Some(false)) => equalities.push((first, second)),
                (Some((first, second)), Some(true)) => equalities.push((second, first)),
                _ => rest.push(term),
            }
        }
        let (left, right) = (left.node.estimated_rows, right.node.estimated_rows);
        self.knowledge.join_rows(join_kind(kind), left, right, &equalities, &rest)
    }

    /// A join that runs its right side, which has parameters in the place of `outer`, for each left row.
    #[expect(clippy::too_many_arguments, reason = "the parts of one join")]
    fn apply(
        &mut self,
        kind: JoinKind,
        left: LogicalPlan,
        mut right: LogicalPlan,
        mut outer: Vec<OuterColumn>,
        mut terms: Vec<Expression>,
        sides: &Sides,
        required: &[ColumnId],
        wanted: Option<&Wanted>,
    ) -> Result<Lowered> {
        let physical = join_kind(&kind);
        if matches!(physical, PhysicalJoinKind::Right | PhysicalJoinKind::Full) {
            return Err(Error::internal("the right side of a right or full join uses its left side"));
        }
        // A mark needs to know where its condition is unknown; the others ask only for rows for which it is true.
        if physical != PhysicalJoinKind::Mark {
            for term in &mut terms {
                self.bind_outer_expression(term, &sides.left, &mut outer);
            }
            right = apply::filtered(right, std::mem::take(&mut terms));
        }
        let used = with_columns(required, &terms);
        let mut left_required: Vec<ColumnId> =
            used.iter().copied().filter(|id| sides.left.contains(id)).collect();
        for column in &outer {
            if !left_required.contains(&column.id) {
                left_required.push(column.id);
            }
        }
        let right_required: Vec<ColumnId> =
            used.iter().copied().filter(|id| sides.right.contains(id)).collect();
        let left = self.lower(left, &left_required, wanted)?;
        let right = self.lower(right, &right_required, None)?;
        let (left_rows, right_rows) = (left.node.estimated_rows, right.node.estimated_rows);
        let conditions: Vec<&Expression> = terms.iter().collect();
        let output = match physical {
            PhysicalJoinKind::Semi | PhysicalJoinKind::Anti => left_rows * cardinality::UNKNOWN,
            PhysicalJoinKind::Left => left_rows * right_rows.max(1.0),
            PhysicalJoinKind::Mark | PhysicalJoinKind::Single => left_rows,
            _ => left_rows * right_rows * self.knowledge.share_of_all(&conditions),
        };
        apply::applied(&kind, left, right, &outer, terms, output.max(left_rows.min(1.0)))
    }
}

fn pair_layout(left: &Lowered, right: &Lowered) -> Vec<ColumnId> {
    left.layout.iter().chain(&right.layout).copied().collect()
}

pub(super) fn pair_condition(
    terms: Vec<Expression>,
    left: &Lowered,
    right: &Lowered,
) -> Result<Option<Expression>> {
    let mut condition = conjunction(terms);
    if let Some(condition) = &mut condition {
        to_inputs(condition, &pair_layout(left, right))?;
    }
    Ok(condition)
}

/// Whether the inputs are better exchanged: the right one is kept in memory, and should be the smaller. An order that
/// the left input has is worth a sort.
fn exchange(kind: PhysicalJoinKind, left: &Lowered, rows: JoinRows) -> Option<PhysicalJoinKind> {
    let exchanged = exchanged(kind)?;
    let saved = (rows.right - rows.left) * (cost::ROW_HASHED - cost::ROW_PROBED);
    let lost = if left.ordered { cost::sort(rows.output, rows.output) } else { 0.0 };
    (saved > lost).then_some(exchanged)
}

fn nested_loop(
    kind: JoinKind,
    left: Lowered,
    right: Lowered,
    terms: Vec<Expression>,
    rows: JoinRows,
) -> Result<Lowered> {
    let operators: f64 = terms.iter().map(operator_count).sum();
    let physical = join_kind(&kind);
    let (physical, left, right) = match exchange(physical, &left, rows) {
        Some(exchanged) => (exchanged, right, left),
        None => (physical, left, right),
    };
    let condition = pair_condition(terms, &left, &right)?;
    let cost = left.node.estimated_cost
        + right.node.estimated_cost
        + cost::nested_loop(left.node.estimated_rows, right.node.estimated_rows, rows.output, operators);
    let layout = joined_layout(&kind, &left.layout, &right.layout);
    let keeps = keeps_left_order(physical);
    let (ordered, sorted_by) = (keeps && left.ordered, left.sorted_by.filter(|_| keeps));
    let operator = Operator::NestedLoopJoin {
        kind: physical,
        left: Box::new(left.node),
        right: Box::new(right.node),
        condition,
    };
    Ok(Lowered { node: node(operator, rows.output, cost), layout, ordered, sorted_by })
}

/// Cost of a hash join by itself, built over the smaller side where the kind allows it.
fn hash_cost(kind: &JoinKind, rows: JoinRows) -> f64 {
    match exchanged(join_kind(kind)) {
        Some(_) => cost::hash_join(rows.left.max(rows.right), rows.left.min(rows.right), rows.output),
        None => cost::hash_join(rows.left, rows.right, rows.output),
    }
}

fn hash_keys(keys: Vec<Equality>, turned: bool, left: &Lowered, right: &Lowered) -> Result<Vec<HashKey>> {
    keys.into_iter()
        .map(|key| {
            let (mut over_left, mut over_right) =
                if turned { (key.right, key.left) } else { (key.left, key.right) };
            to_inputs(&mut over_left, &left.layout)?;
            to_inputs(&mut over_right, &right.layout)?;
            Ok(HashKey { left: over_left, right: over_right, nulls: key.nulls })
        })
        .collect()
}

fn hash_join(
    kind: JoinKind,
    left: Lowered,
    right: Lowered,
    keys: Vec<Equality>,
    residual: Vec<Expression>,
    rows: JoinRows,
) -> Result<Lowered> {
    let operators: f64 = residual.iter().map(operator_count).sum();
    let physical = join_kind(&kind);
    let turned = exchange(physical, &left, rows);
    let (physical, left, right) = match turned {
        Some(exchanged) => (exchanged, right, left),
        None => (physical, left, right),
    };
    let keys = hash_keys(keys, turned.is_some(), &left, &right)?;
    let residual = pair_condition(residual, &left, &right)?;
    let cost = left.node.estimated_cost
        + right.node.estimated_cost
        + cost::hash_join(left.node.estimated_rows, right.node.estimated_rows, rows.output)
        + rows.matched * operators * cost::OPERATOR;
    let layout = joined_layout(&kind, &left.layout, &right.layout);
    let keeps = keeps_left_order(physical);
    let (ordered, sorted_by) = (keeps && left.ordered, left.sorted_by.filter(|_| keeps));
    let operator = Operator::HashJoin {
        kind: physical,
        left: Box::new(left.node),
        right: Box::new(right.node),
        keys,
        residual,
    };
    Ok(Lowered { node: node(operator, rows.output, cost), layout, ordered, sorted_by })
}

fn merge_join(
    kind: JoinKind,
    left: Lowered,
    right: Lowered,
    key: Equality,
    residual: Vec<Expression>,
    rows: JoinRows,
) -> Result<Lowered> {
    let keys = hash_keys(vec![key], false, &left, &right)?;
    let residual = pair_condition(residual, &left, &right)?;
    let cost = left.node.estimated_cost
        + right.node.estimated_cost
        + (rows.left + rows.right) * cost::ROW_MERGED
        + rows.output * cost::PAIR_MADE;
    let layout = joined_layout(&kind, &left.layout, &right.layout);
    let (ordered, sorted_by) = (left.ordered, left.sorted_by);
    let operator = Operator::MergeJoin {
        kind: join_kind(&kind),
        left: Box::new(left.node),
        right: Box::new(right.node),
        keys,
        residual,
    };
    Ok(Lowered { node: node(operator, rows.output, cost), layout, ordered, sorted_by })
}
