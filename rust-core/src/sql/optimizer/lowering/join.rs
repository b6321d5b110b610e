//! Joins of two inputs: which algorithm, which side is built.

use crate::error::{Error, Result};
use crate::sql::evaluate::row::result_type;
use crate::sql::optimizer::columns::{
    add_columns, conjunction, is_always, is_volatile, operator_count, output_ids, split_conjunction,
    to_inputs,
};
use crate::sql::optimizer::lowering::apply::{self, OuterColumn};
use crate::sql::optimizer::lowering::{Lowered, Lowering, node, with_columns};
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
        let (left, right) = match term {
            Expression::Call { function, arguments, .. } if function.name == "=" => {
                match arguments.as_slice() {
                    [left, right] => (left, right),
                    _ => return None,
                }
            }
            Expression::IsTruth { input, truth: true, negated: false } => match &**input {
                call @ Expression::Call { .. } => return self.orientation(call),
                _ => return None,
            },
            Expression::IsDistinct { left, right, negated: true } => (&**left, &**right),
            _ => return None,
        };
        if result_type(left) != result_type(right) || is_volatile(term) {
            return None;
        }
        match (self.of(left), self.of(right)) {
            (Side::Left, Side::Right) => Some(false),
            (Side::Right, Side::Left) => Some(true),
            _ => None,
        }
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

fn physical_kind(kind: &JoinKind) -> PhysicalJoinKind {
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
fn joined_layout(kind: &JoinKind, left: &[ColumnId], right: &[ColumnId]) -> Vec<ColumnId> {
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

/// Rows that a join puts out, where `pairs` fulfil its condition.
fn joined_rows(kind: PhysicalJoinKind, left: f64, right: f64, pairs: f64) -> f64 {
    match kind {
        PhysicalJoinKind::Inner => pairs,
        PhysicalJoinKind::Left => pairs.max(left),
        PhysicalJoinKind::Right => pairs.max(right),
        PhysicalJoinKind::Full => pairs.max(left).max(right),
        PhysicalJoinKind::Semi => (left * cardinality::UNKNOWN).min(pairs).max(left.min(1.0)),
        PhysicalJoinKind::Anti => (left * cardinality::UNKNOWN).max(left.min(1.0)),
        PhysicalJoinKind::Mark | PhysicalJoinKind::Single => left,
    }
}

impl Lowering<'_> {
    pub(super) fn join(
        &mut self,
        kind: JoinKind,
        left: LogicalPlan,
        mut right: LogicalPlan,
        condition: Option<Expression>,
        required: &[ColumnId],
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
        if !outer.is_empty() {
            return self.apply(kind, left, right, outer, terms, &sides, required);
        }
        let used = with_columns(required, &terms);
        let of = |ids: &[ColumnId]| -> Vec<ColumnId> {
            used.iter().copied().filter(|id| ids.contains(id)).collect()
        };
        let (left_required, right_required) = (of(&sides.left), of(&sides.right));
        let left = self.lower(left, &left_required, None)?;
        let right = self.lower(right, &right_required, None)?;
        let is_mark = matches!(kind, JoinKind::Mark(_));
        let orientations: Vec<Option<bool>> = terms.iter().map(|term| sides.orientation(term)).collect();
        // A mark's residual condition must not be unknown, nor decide whether an unknown key counts.
        let hashable =
            !is_mark || orientations.iter().all(Option::is_some) || terms.iter().all(is_never_null);
        if !hashable || orientations.iter().all(Option::is_none) {
            return nested_loop(kind, left, right, terms);
        }
        let (mut keys, mut rest) = (Vec::new(), Vec::new());
        for (term, orientation) in terms.into_iter().zip(orientations) {
            match orientation {
                Some(swapped) => keys.push(Sides::equality(term, swapped, is_mark)?),
                None => rest.push(term),
            }
        }
        hash_join(kind, left, right, keys, rest)
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
    ) -> Result<Lowered> {
        let physical = physical_kind(&kind);
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
        let left = self.lower(left, &left_required, None)?;
        let right = self.lower(right, &right_required, None)?;
        let arguments = apply::arguments(&outer, &left)?;
        let condition = pair_condition(terms, &left, &right)?;
        let (left_rows, right_rows) = (left.node.estimated_rows, right.node.estimated_rows);
        let rows = joined_rows(physical, left_rows, right_rows, left_rows * right_rows);
        let cost = left.node.estimated_cost
            + left_rows * (cost::RESTART + right.node.estimated_cost)
            + rows * cost::PAIR_MADE;
        let layout = joined_layout(&kind, &left.layout, &right.layout);
        let operator = Operator::Apply {
            kind: physical,
            left: Box::new(left.node),
            right: Box::new(right.node),
            arguments,
            condition,
        };
        Ok(Lowered { node: node(operator, rows, cost), layout, ordered: false })
    }
}

fn pair_layout(left: &Lowered, right: &Lowered) -> Vec<ColumnId> {
    left.layout.iter().chain(&right.layout).copied().collect()
}

fn pair_condition(terms: Vec<Expression>, left: &Lowered, right: &Lowered) -> Result<Option<Expression>> {
    let mut condition = conjunction(terms);
    if let Some(condition) = &mut condition {
        to_inputs(condition, &pair_layout(left, right))?;
    }
    Ok(condition)
}

fn nested_loop(kind: JoinKind, left: Lowered, right: Lowered, terms: Vec<Expression>) -> Result<Lowered> {
    let share: f64 = terms.iter().map(cardinality::selectivity).product();
    let operators: f64 = terms.iter().map(operator_count).sum();
    let physical = physical_kind(&kind);
    // The right input is kept: the smaller one, where the kind allows it.
    let (physical, left, right) = match exchanged(physical) {
        Some(exchanged) if left.node.estimated_rows < right.node.estimated_rows => (exchanged, right, left),
        _ => (physical, left, right),
    };
    let condition = pair_condition(terms, &left, &right)?;
    let (left_rows, right_rows) = (left.node.estimated_rows, right.node.estimated_rows);
    let tried = left_rows * right_rows;
    let rows = joined_rows(physical, left_rows, right_rows, tried * share);
    let cost = left.node.estimated_cost
        + right.node.estimated_cost
        + right_rows * cost::ROW_MADE
        + tried * (cost::PAIR_TRIED + operators * cost::OPERATOR)
        + rows * cost::PAIR_MADE;
    let layout = joined_layout(&kind, &left.layout, &right.layout);
    let operator = Operator::NestedLoopJoin {
        kind: physical,
        left: Box::new(left.node),
        right: Box::new(right.node),
        condition,
    };
    Ok(Lowered { node: node(operator, rows, cost), layout, ordered: false })
}

fn hash_join(
    kind: JoinKind,
    left: Lowered,
    right: Lowered,
    keys: Vec<Equality>,
    residual: Vec<Expression>,
) -> Result<Lowered> {
    let share: f64 = residual.iter().map(cardinality::selectivity).product();
    let operators: f64 = residual.iter().map(operator_count).sum();
    let physical = physical_kind(&kind);
    let turned = match exchanged(physical) {
        Some(exchanged) if left.node.estimated_rows < right.node.estimated_rows => Some(exchanged),
        _ => None,
    };
    let (physical, left, right) = match turned {
        Some(exchanged) => (exchanged, right, left),
        None => (physical, left, right),
    };
    let keys = keys
        .into_iter()
        .map(|key| {
            let (mut over_left, mut over_right) =
                if turned.is_some() { (key.right, key.left) } else { (key.left, key.right) };
            to_inputs(&mut over_left, &left.layout)?;
            to_inputs(&mut over_right, &right.layout)?;
            Ok(HashKey { left: over_left, right: over_right, nulls: key.nulls })
        })
        .collect::<Result<Vec<_>>>()?;
    let residual = pair_condition(residual, &left, &right)?;
    let (left_rows, right_rows) = (left.node.estimated_rows, right.node.estimated_rows);
    let pairs = left_rows * right_rows / left_rows.max(right_rows).max(1.0);
    let rows = joined_rows(physical, left_rows, right_rows, pairs * share);
    let cost = left.node.estimated_cost
        + right.node.estimated_cost
        + right_rows * cost::ROW_HASHED
        + left_rows * cost::ROW_PROBED
        + pairs * operators * cost::OPERATOR
        + rows * cost::PAIR_MADE;
    let layout = joined_layout(&kind, &left.layout, &right.layout);
    let operator = Operator::HashJoin {
        kind: physical,
        left: Box::new(left.node),
        right: Box::new(right.node),
        keys,
        residual,
    };
    Ok(Lowered { node: node(operator, rows, cost), layout, ordered: false })
}
