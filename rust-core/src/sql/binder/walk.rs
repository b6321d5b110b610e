//! Walking, comparing and repositioning bound expressions.

use crate::error::Result;
use crate::sql::binder::binder::Binder;
use crate::sql::functions::registry::Volatility;
use crate::sql::plan::expression::{ColumnId, Expression};
use crate::sql::plan::logical::{CommonTableId, LogicalPlan};
use crate::sql::types::data_type::DataType;
use crate::sql::types::datum::{Datum, Numeric};
use std::collections::BTreeMap;

/// What a copied node of a query's plan counts as.
const SUBQUERY_NODES: usize = 64;

/// How many nodes an expression has.
pub(super) fn count_nodes(expression: &Expression) -> usize {
    let mut count = 1;
    if let Expression::Subquery(subquery) = expression {
        count += SUBQUERY_NODES;
        subquery.plan.inputs().iter().for_each(|_| count += SUBQUERY_NODES);
    }
    expression.each_operand(&mut |operand| count += count_nodes(operand));
    count
}

/// Whether an expression refers to any column, or holds a query, which may.
pub(super) fn has_columns(expression: &Expression) -> bool {
    let mut found =
        matches!(expression, Expression::Column { .. } | Expression::Input { .. } | Expression::Subquery(_));
    expression.each_operand(&mut |operand| found = found || has_columns(operand));
    found
}

/// Whether an expression holds a query.
pub(super) fn has_subquery(expression: &Expression) -> bool {
    let mut found = matches!(expression, Expression::Subquery(_));
    expression.each_operand(&mut |operand| found = found || has_subquery(operand));
    found
}

/// Whether two evaluations of an expression may differ.
pub(super) fn is_volatile(expression: &Expression) -> bool {
    let mut found = matches!(
        expression,
        Expression::Call { function, .. } if function.volatility == Volatility::Volatile
    );
    expression.each_operand(&mut |operand| found = found || is_volatile(operand));
    found
}

/// The columns that an expression refers to outside of queries in it, in the order they are written, with
/// repetitions.
pub(super) fn columns_of(expression: &Expression, out: &mut Vec<ColumnId>) {
    if let Expression::Column { id, .. } = expression {
        out.push(*id);
    }
    expression.each_operand(&mut |operand| columns_of(operand, out));
}

/// Makes every place in `expression` be `position`: for stored text, whose places mean nothing in the statement.
pub(super) fn move_to(expression: &mut Expression, new_position: usize) -> Result<()> {
    match expression {
        Expression::Call { position, .. } | Expression::Cast { position, .. } => *position = new_position,
        Expression::Subquery(subquery) => {
            subquery.position = new_position;
            move_plan_to(&mut subquery.plan, new_position)?;
        }
        _ => {}
    }
    expression.each_operand_mut(&mut |operand| move_to(operand, new_position))
}

/// [`move_to`] for a whole plan.
pub(super) fn move_plan_to(plan: &mut LogicalPlan, new_position: usize) -> Result<()> {
    if let LogicalPlan::TableFunction { position, .. } = plan {
        *position = new_position;
    }
    plan.each_own_expression_mut(&mut |expression| move_to(expression, new_position))?;
    plan.inputs_mut().into_iter().try_for_each(|input| move_plan_to(input, new_position))
}

/// Calls `visit` with every node of a plan and of the plans of queries in its expressions, inputs last.
fn each_node(plan: &mut LogicalPlan, visit: &mut dyn FnMut(&mut LogicalPlan) -> Result<()>) -> Result<()> {
    visit(plan)?;
    plan.each_own_expression_mut(&mut |expression| each_node_inside(expression, visit))?;
    plan.inputs_mut().into_iter().try_for_each(|input| each_node(input, visit))
}

fn each_node_inside(
    expression: &mut Expression,
    visit: &mut dyn FnMut(&mut LogicalPlan) -> Result<()>,
) -> Result<()> {
    if let Expression::Subquery(subquery) = expression {
        each_node(&mut subquery.plan, visit)?;
    }
    expression.each_operand_mut(&mut |operand| each_node_inside(operand, visit))
}

/// Gives the columns and common tables that queries in a copied expression make numbers of their own.
pub(super) fn renumber(binder: &mut Binder<'_>, expression: &mut Expression) -> Result<()> {
    let binder = std::cell::RefCell::new(binder);
    renumber_with(expression, &mut || binder.borrow_mut().new_column_id(), &mut || {
        binder.borrow_mut().new_common_table_id()
    })
}

fn renumber_with(
    expression: &mut Expression,
    next_column: &mut dyn FnMut() -> ColumnId,
    next_table: &mut dyn FnMut() -> CommonTableId,
) -> Result<()> {
    let mut columns: BTreeMap<ColumnId, ColumnId> = BTreeMap::new();
    let mut tables: BTreeMap<CommonTableId, CommonTableId> = BTreeMap::new();
    each_node_inside(expression, &mut |node| {
        node.each_made_mut(&mut |column| {
            let id = *columns.entry(column.id).or_insert_with(&mut *next_column);
            column.id = id;
        });
        if let LogicalPlan::With { id, .. } | LogicalPlan::RecursiveUnion { id, .. } = node {
            *id = *tables.entry(*id).or_insert_with(&mut *next_table);
        }
        Ok(())
    })?;
    each_node_inside(expression, &mut |node| {
        if let LogicalPlan::CommonScan { id, .. } = node {
            *id = tables.get(id).copied().unwrap_or(*id);
        }
        node.each_own_expression_mut(&mut |own| replace_columns(own, &columns))
    })?;
    // The tests of ANY use columns of their query.
    replace_columns(expression, &columns)
}

fn replace_columns(expression: &mut Expression, columns: &BTreeMap<ColumnId, ColumnId>) -> Result<()> {
    if let Expression::Column { id, .. } = expression {
        *id = columns.get(id).copied().unwrap_or(*id);
    }
    expression.each_operand_mut(&mut |operand| replace_columns(operand, columns))
}

/// Gives parameters that were bound before their type was known their final type.
pub(super) fn type_parameters(expression: &mut Expression, types: &[DataType]) -> Result<()> {
    if let Expression::Parameter { index, data_type } = expression {
        *data_type = types[*index];
    }
    expression.each_operand_mut(&mut |operand| type_parameters(operand, types))
}

/// Calls `visit` with every expression of a plan and of the plans of its subqueries, but for the operands inside them.
pub(super) fn each_plan_expression(
    plan: &mut LogicalPlan,
    visit: &mut dyn FnMut(&mut Expression) -> Result<()>,
) -> Result<()> {
    plan.each_own_expression_mut(&mut |expression| {
        each_subquery(expression, visit)?;
        visit(expression)
    })?;
    plan.inputs_mut().into_iter().try_for_each(|input| each_plan_expression(input, visit))
}

fn each_subquery(
    expression: &mut Expression,
    visit: &mut dyn FnMut(&mut Expression) -> Result<()>,
) -> Result<()> {
    if let Expression::Subquery(subquery) = expression {
        each_plan_expression(&mut subquery.plan, visit)?;
    }
    expression.each_operand_mut(&mut |operand| each_subquery(operand, visit))
}

/// Whether two expressions are the same but for their places in the text.
pub(super) fn same(left: &Expression, right: &Expression) -> bool {
    let same_node = match (left, right) {
        (
            Expression::Constant { value: a, data_type: b },
            Expression::Constant { value: c, data_type: d },
        ) => b == d && same_datum(a, c),
        (Expression::Column { id: a, .. }, Expression::Column { id: b, .. }) => a == b,
        (Expression::Input { index: a, .. }, Expression::Input { index: b, .. })
        | (Expression::Parameter { index: a, .. }, Expression::Parameter { index: b, .. }) => a == b,
        (Expression::Call { function: a, .. }, Expression::Call { function: b, .. }) => std::ptr::eq(*a, *b),
        (
            Expression::Cast { target: a, explicit: b, .. },
            Expression::Cast { target: c, explicit: d, .. },
        ) => a == c && b == d,
        (Expression::And(_), Expression::And(_))
        | (Expression::Or(_), Expression::Or(_))
        | (Expression::Not(_), Expression::Not(_))
        | (Expression::NullIf { .. }, Expression::NullIf { .. }) => true,
        (Expression::IsNull { negated: a, .. }, Expression::IsNull { negated: b, .. })
        | (Expression::IsDistinct { negated: a, .. }, Expression::IsDistinct { negated: b, .. }) => a == b,
        (
            Expression::IsTruth { truth: a, negated: b, .. },
            Expression::IsTruth { truth: c, negated: d, .. },
        ) => a == c && b == d,
        (Expression::Case { otherwise: a, .. }, Expression::Case { otherwise: b, .. }) => {
            a.is_some() == b.is_some()
        }
        (Expression::Coalesce { .. }, Expression::Coalesce { .. }) => true,
        (Expression::Subquery(_), Expression::Subquery(_)) => return canonical(left) == canonical(right),
        (
            Expression::InSet { values: a, has_null: b, negated: c, .. },
            Expression::InSet { values: d, has_null: e, negated: f, .. },
        ) => b == e && c == f && a.len() == d.len() && a.iter().zip(&**d).all(|(a, d)| same_datum(a, d)),
        _ => false,
    };
    if !same_node {
        return false;
    }
    let mut left_operands: Vec<&Expression> = Vec::new();
    left.each_operand(&mut |operand| left_operands.push(operand));
    let mut index = 0;
    let mut all_same = true;
    right.each_operand(&mut |operand| {
        all_same = all_same && left_operands.get(index).is_some_and(|left| same(left, operand));
        index += 1;
    });
    all_same && index == left_operands.len()
}

/// An expression as text in which places do not show, nor how the columns that queries in it make are numbered.
fn canonical(expression: &Expression) -> Option<String> {
    let mut copy = expression.clone();
    let (mut columns, mut tables) = (u32::MAX, u32::MAX);
    let mut next_column = || {
        columns -= 1;
        ColumnId(columns)
    };
    let mut next_table = || {
        tables -= 1;
        CommonTableId(tables)
    };
    renumber_with(&mut copy, &mut next_column, &mut next_table).ok()?;
    move_to(&mut copy, 0).ok()?;
    Some(format!("{copy:?}"))
}

/// Whether two values are the same to the last bit (`1.0` and `1.00` are not).
fn same_datum(left: &Datum, right: &Datum) -> bool {
    let numeric = |value: &Numeric| (value.mantissa, value.scale, value.kind as u8);
    match (left, right) {
        (Datum::Null, Datum::Null) => true,
        (Datum::Boolean(a), Datum::Boolean(b)) => a == b,
        (Datum::SmallInt(a), Datum::SmallInt(b)) => a == b,
        (Datum::Integer(a), Datum::Integer(b)) | (Datum::Date(a), Datum::Date(b)) => a == b,
        (Datum::BigInt(a), Datum::BigInt(b))
        | (Datum::Timestamp(a), Datum::Timestamp(b))
        | (Datum::TimestampTz(a), Datum::TimestampTz(b)) => a == b,
        (Datum::Real(a), Datum::Real(b)) => a.to_bits() == b.to_bits(),
        (Datum::Double(a), Datum::Double(b)) => a.to_bits() == b.to_bits(),
        (Datum::Numeric(a), Datum::Numeric(b)) => numeric(a) == numeric(b),
        (Datum::Text(a), Datum::Text(b)) => a == b,
        (Datum::Bytes(a), Datum::Bytes(b)) => a == b,
        (Datum::Interval(a), Datum::Interval(b)) => a == b,
        _ => false,
    }
}
