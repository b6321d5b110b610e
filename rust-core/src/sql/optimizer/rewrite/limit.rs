//! Projections of plain columns merge with the ones below them; LIMIT moves below projections, into the inputs of
//! UNION ALL and to the left side of joins that keep each left row.

use crate::error::Result;
use crate::sql::optimizer::rewrite::references::{Replacements, replace_columns, take};
use crate::sql::plan::expression::{Expression, OutputColumn};
use crate::sql::plan::logical::{JoinKind, LogicalPlan};
use crate::sql::types::data_type::DataType;
use crate::sql::types::datum::Datum;

/// `plan` with merged projections and with limits as low as they can be.
pub(super) fn lower_limits(plan: &mut LogicalPlan) -> Result<()> {
    move_limit(plan);
    plan.inputs_mut().into_iter().try_for_each(lower_limits)?;
    merge(plan)
}

/// How many rows the input of a LIMIT has to give, where that is known.
fn rows_wanted(limit: Option<&Expression>, offset: Option<&Expression>) -> Option<i64> {
    let known = |expression: &Expression| match expression {
        Expression::Constant { value: Datum::BigInt(count), .. } => Some((*count).max(0)),
        _ => None,
    };
    let offset = offset.map_or(Some(0), known)?;
    known(limit?)?.checked_add(offset)
}

#[inline(never)]
fn move_limit(plan: &mut LogicalPlan) {
    let LogicalPlan::Limit { input, limit, offset, ties } = plan else { return };
    if !ties.is_empty() {
        return;
    }
    let wanted = rows_wanted(limit.as_ref(), offset.as_ref());
    match &mut **input {
        LogicalPlan::Project { .. } => {
            let (limit, offset) = (limit.take(), offset.take());
            let LogicalPlan::Project { input, expressions, columns } = take(input) else { return };
            let input = Box::new(LogicalPlan::Limit { input, limit, offset, ties: Vec::new() });
            *plan = LogicalPlan::Project { input, expressions, columns };
        }
        LogicalPlan::Append { inputs, .. } => {
            let Some(wanted) = wanted else { return };
            inputs.iter_mut().for_each(|input| limit_to(input, wanted));
        }
        LogicalPlan::Join { kind: JoinKind::Left | JoinKind::Single | JoinKind::Mark(_), left, .. } => {
            let Some(wanted) = wanted else { return };
            limit_to(left, wanted);
        }
        _ => {}
    }
}

fn limit_to(plan: &mut LogicalPlan, rows: i64) {
    if let LogicalPlan::Limit { limit, offset, ties, .. } = plan
        && ties.is_empty()
        && rows_wanted(limit.as_ref(), offset.as_ref()).is_some_and(|known| known <= rows)
    {
        return;
    }
    let limit = Some(Expression::Constant { value: Datum::BigInt(rows), data_type: DataType::BigInt });
    *plan = LogicalPlan::Limit { input: Box::new(take(plan)), limit, offset: None, ties: Vec::new() };
}

/// Two projections become one where the lower one only renames columns, or the upper one does and each lower
/// expression is used at most once. A projection that changes nothing goes.
#[inline(never)]
fn merge(plan: &mut LogicalPlan) -> Result<()> {
    while let LogicalPlan::Project { input, expressions, columns } = plan {
        let LogicalPlan::Project { expressions: lower, columns: lower_columns, .. } = &**input else {
            if is_identity(input, expressions, columns) {
                *plan = take(input);
            }
            return Ok(());
        };
        if !may_merge(expressions, lower, lower_columns) {
            return Ok(());
        }
        let replacements: Replacements =
            lower_columns.iter().map(|column| column.id).zip(lower.iter().cloned()).collect();
        expressions.iter_mut().try_for_each(|expression| replace_columns(expression, &replacements))?;
        if let LogicalPlan::Project { input: below, .. } = take(input) {
            *input = below;
        }
    }
    Ok(())
}

fn is_identity(input: &LogicalPlan, expressions: &[Expression], columns: &[OutputColumn]) -> bool {
    let renames_nothing = columns
        .iter()
        .zip(expressions)
        .all(|(column, expression)| matches!(expression, Expression::Column { id, .. } if *id == column.id));
    if !renames_nothing {
        return false;
    }
    let made = input.output_columns();
    made.len() == columns.len() && made.iter().zip(columns).all(|(made, column)| made.id == column.id)
}

fn may_merge(upper: &[Expression], lower: &[Expression], lower_columns: &[OutputColumn]) -> bool {
    let plain = |expression: &Expression| {
        matches!(
            expression,
            Expression::Column { .. } | Expression::Constant { .. } | Expression::Parameter { .. }
        )
    };
    if lower.iter().all(plain) {
        return true;
    }
    if !upper.iter().all(|expression| matches!(expression, Expression::Column { .. })) {
        return false;
    }
    lower_columns.iter().all(|column| {
        let uses = upper
            .iter()
            .filter(|expression| matches!(expression, Expression::Column { id, .. } if *id == column.id))
            .count();
        uses <= 1
    })
}
