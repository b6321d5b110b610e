//! Dependent joins: columns of the left side become parameters of the right one, which runs for each left row.

use crate::error::Result;
use crate::sql::optimizer::columns::{conjunction, is_always, to_inputs};
use crate::sql::optimizer::cost;
use crate::sql::optimizer::lowering::{Lowered, Lowering, join, node};
use crate::sql::plan::expression::{ColumnId, Expression};
use crate::sql::plan::logical::{JoinKind, LogicalPlan};
use crate::sql::plan::physical::Operator;
use crate::sql::types::data_type::DataType;

/// A column of the left side that is a parameter of the right one.
#[derive(Clone, Copy)]
pub(super) struct OuterColumn {
    pub(super) id: ColumnId,
    pub(super) data_type: DataType,
    pub(super) parameter: usize,
}

impl Lowering<'_> {
    /// Puts parameters in the place of `outer_ids` in all of `plan`; `outer` has those that occur.
    pub(super) fn bind_outer(
        &mut self,
        plan: &mut LogicalPlan,
        outer_ids: &[ColumnId],
        outer: &mut Vec<OuterColumn>,
    ) -> Result<()> {
        plan.each_own_expression_mut(&mut |expression| {
            self.bind_outer_expression(expression, outer_ids, outer);
            Ok(())
        })?;
        plan.inputs_mut().into_iter().try_for_each(|input| self.bind_outer(input, outer_ids, outer))
    }

    /// As [`Lowering::bind_outer`], in one expression.
    pub(super) fn bind_outer_expression(
        &mut self,
        expression: &mut Expression,
        outer_ids: &[ColumnId],
        outer: &mut Vec<OuterColumn>,
    ) {
        if let Expression::Column { id, data_type } = *expression {
            if !outer_ids.contains(&id) {
                return;
            }
            let known = outer.iter().find(|known| known.id == id).map(|known| known.parameter);
            let parameter = known.unwrap_or_else(|| {
                let parameter = self.new_parameter(data_type);
                outer.push(OuterColumn { id, data_type, parameter });
                parameter
            });
            *expression = Expression::Parameter { index: parameter, data_type };
            return;
        }
        // Nothing in the closure fails.
        let _ = expression.each_operand_mut(&mut |operand| {
            self.bind_outer_expression(operand, outer_ids, outer);
            Ok(())
        });
    }
}

/// What the right side gets of each left row.
fn arguments(outer: &[OuterColumn], left: &Lowered) -> Result<Vec<(usize, Expression)>> {
    outer
        .iter()
        .map(|column| {
            let mut value = Expression::Column { id: column.id, data_type: column.data_type };
            to_inputs(&mut value, &left.layout)?;
            Ok((column.parameter, value))
        })
        .collect()
}

/// Cost of running `right` for each row of `left`, where `rows` come out.
pub(super) fn cost(left: &Lowered, right: &Lowered, rows: f64) -> f64 {
    let runs = left.node.estimated_rows;
    left.node.estimated_cost + runs * (cost::RESTART + right.node.estimated_cost) + rows * cost::PAIR_MADE
}

/// The dependent join of two lowered sides.
pub(super) fn applied(
    kind: &JoinKind,
    left: Lowered,
    right: Lowered,
    outer: &[OuterColumn],
    terms: Vec<Expression>,
    rows: f64,
) -> Result<Lowered> {
    let arguments = arguments(outer, &left)?;
    let condition = join::pair_condition(terms, &left, &right)?;
    let cost = cost(&left, &right, rows);
    let layout = join::joined_layout(kind, &left.layout, &right.layout);
    let (ordered, sorted_by) = (left.ordered, left.sorted_by);
    let operator = Operator::Apply {
        kind: join::join_kind(kind),
        left: Box::new(left.node),
        right: Box::new(right.node),
        arguments,
        condition,
    };
    Ok(Lowered { node: node(operator, rows, cost), layout, ordered, sorted_by })
}

/// `plan` with only the rows for which all `terms` are true.
pub(super) fn filtered(plan: LogicalPlan, terms: Vec<Expression>) -> LogicalPlan {
    match conjunction(terms) {
        Some(predicate) if !is_always(&predicate) => LogicalPlan::Filter { input: Box::new(plan), predicate },
        _ => plan,
    }
}
