//! Which expressions need but a part of a column: `octet_length(c)`, `substr(c, 1, 10)`, `c IS NULL`.
//! Knows expressions. Knows neither plans nor tables.

use crate::error::Result;
use crate::sql::functions::part::{PartKind, kind_of_value, part_of, presence_of};
use crate::sql::functions::registry::ScalarFunction;
use crate::sql::optimizer::columns::is_statement_constant;
use crate::sql::plan::expression::{ColumnId, Expression};
use crate::sql::types::data_type::DataType;

/// A use of a column for which a part will do.
pub(super) struct Use {
    /// The column.
    pub(super) column: ColumnId,
    /// The part: a call that never fails.
    pub(super) value: Expression,
    rest: Rest,
}

/// What becomes of the part.
enum Rest {
    /// It is the result.
    Nothing,
    /// The result is of this function, with the part in the place of the first argument.
    Call { function: &'static ScalarFunction, others: Vec<Expression>, position: usize },
    /// IS NULL, IS NOT NULL.
    IsNull { negated: bool },
}

/// The column that an expression is, also as a text where it is a varchar.
fn plain(expression: &Expression) -> Option<(ColumnId, DataType)> {
    match expression {
        Expression::Column { id, data_type } => Some((*id, *data_type)),
        Expression::Cast { input, target, .. }
            if target.data_type == DataType::Text && target.modifier == -1 =>
        {
            match &**input {
                Expression::Column { id, data_type: DataType::Varchar } => Some((*id, DataType::Varchar)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Whether an argument can be evaluated once and without an error.
fn is_given(expression: &Expression) -> bool {
    matches!(expression, Expression::Constant { .. } | Expression::Parameter { .. })
        && is_statement_constant(expression)
}

/// That it is told whether a column is NULL.
pub(super) fn presence(expression: &Expression) -> Option<Use> {
    let Expression::Column { id, data_type } = expression else { return None };
    let part = presence_of(*data_type)?;
    let value = Expression::Call { function: part.value, arguments: vec![expression.clone()], position: 0 };
    Some(Use { column: *id, value, rest: Rest::Nothing })
}

/// The use of a column that an expression is, if a part of the column will do.
pub(super) fn part_use(expression: &Expression) -> Option<Use> {
    match expression {
        Expression::IsNull { input, negated } => {
            let found = presence(input)?;
            Some(Use { rest: Rest::IsNull { negated: *negated }, ..found })
        }
        Expression::Call { function, arguments, position } => {
            let part = part_of(function)?;
            let (value, others) = arguments.split_first()?;
            let (column, _) = plain(value).filter(|_| others.iter().all(is_given))?;
            let rest = match part.result {
                None => Rest::Nothing,
                Some(function) => Rest::Call { function, others: others.to_vec(), position: *position },
            };
            let value =
                Expression::Call { function: part.value, arguments: arguments.clone(), position: *position };
            Some(Use { column, value, rest })
        }
        _ => None,
    }
}

impl Use {
    /// The expression with `part` in the place of the part.
    pub(super) fn over(self, part: Expression) -> Expression {
        match self.rest {
            Rest::Nothing => part,
            Rest::Call { function, others, position } => {
                let arguments = [part].into_iter().chain(others).collect();
                Expression::Call { function, arguments, position }
            }
            Rest::IsNull { negated } => Expression::IsNull { input: Box::new(part), negated },
        }
    }
}

/// Calls `used` with each use of a column: with the part, or `None` where the whole value is needed.
pub(super) fn each_use(expression: &Expression, used: &mut dyn FnMut(ColumnId, Option<&Use>)) {
    if let Some(found) = part_use(expression) {
        used(found.column, Some(&found));
        return;
    }
    if let Expression::Column { id, .. } = expression {
        used(*id, None);
    }
    expression.each_operand(&mut |operand| each_use(operand, used));
}

/// Puts columns in the place of parts: `column` gives the one that stands for a part, or `None` to leave it.
pub(super) fn replace_uses(
    expression: &mut Expression,
    column: &dyn Fn(&Use) -> Option<Expression>,
) -> Result<()> {
    if let Some(found) = part_use(expression) {
        if let Some(part) = column(&found) {
            *expression = found.over(part);
        }
        return Ok(());
    }
    expression.each_operand_mut(&mut |operand| replace_uses(operand, column))
}

/// A part of a column, as a scan computes it.
pub(super) struct ScannedPart<'e> {
    pub(super) kind: PartKind,
    pub(super) function: &'static ScalarFunction,
    /// The column, by position in the table.
    pub(super) column: usize,
    /// The arguments after it.
    pub(super) others: &'e [Expression],
}

/// What a scan computes, if it is a part of a column.
pub(super) fn scanned_part(computed: &Expression) -> Option<ScannedPart<'_>> {
    let Expression::Call { function, arguments, .. } = computed else { return None };
    let (value, others) = arguments.split_first()?;
    let value = match value {
        Expression::Cast { input, target, .. }
            if target.data_type == DataType::Text && target.modifier == -1 =>
        {
            match &**input {
                input @ Expression::Input { data_type: DataType::Varchar, .. } => input,
                _ => return None,
            }
        }
        value => value,
    };
    let Expression::Input { index, .. } = value else { return None };
    let kind = kind_of_value(function).filter(|_| others.iter().all(is_given))?;
    Some(ScannedPart { kind, function, column: *index, others })
}
