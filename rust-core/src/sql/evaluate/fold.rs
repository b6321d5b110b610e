//! Constant folding and simplification of expressions that cannot change their meaning.
//! Knows expressions and immutable functions; evaluates nothing that depends on a session.

use crate::error::{Error, Result, SqlState};
use crate::sql::evaluate::context::EvaluationContext;
use crate::sql::evaluate::row::{self, NoRow, result_type};
use crate::sql::functions::registry::{Environment, Registry, ScalarFunction, Volatility};
use crate::sql::plan::expression::{Expression, SubqueryForm};
use crate::sql::types::cast::is_immutable_cast;
use crate::sql::types::data_type::DataType;
use crate::sql::types::datum::Datum;

/// What a plan keeps of a folded expression is not longer than this, or than what it was made of: longer values are
/// made when the plan runs.
const FOLDED_BYTES_MAX: usize = 64 << 10;

/// The environment of planning: immutable functions do not look at it.
struct NoSession;

/// An environment for immutable expressions, which do not look at it.
pub fn planning_environment() -> &'static dyn Environment {
    &NoSession
}

impl Environment for NoSession {
    fn statement_time(&self) -> i64 {
        0
    }
    fn transaction_time(&self) -> i64 {
        0
    }
    fn clock_time(&self) -> i64 {
        0
    }
    fn time_zone(&self) -> &jiff::tz::TimeZone {
        const UTC: &jiff::tz::TimeZone = &jiff::tz::TimeZone::UTC;
        UTC
    }
    fn random(&self) -> f64 {
        0.0
    }
    fn setting(&self, _name: &str) -> Option<String> {
        None
    }
    fn session_id(&self) -> u64 {
        0
    }
    fn room_for(&self, bytes: usize) -> Result<()> {
        if bytes <= FOLDED_BYTES_MAX {
            return Ok(());
        }
        Err(Error::new(SqlState::OUT_OF_MEMORY, "a plan keeps no value of so many bytes"))
    }
}

/// The expression with constant parts computed: calls of immutable functions over constants, AND and OR
/// flattened and shortened, casts of constants. What raises an error stays as it is, so that the error comes
/// only when it is run.
pub fn fold(mut expression: Expression) -> Expression {
    fold_in_place(&mut expression);
    expression
}

/// Operands first. Only this function and the next are on the stack once a level: an expression may be as deep as
/// the parser lets it be, and the stack as small as 128 KiB.
fn fold_in_place(expression: &mut Expression) {
    fold_operands(expression);
    fold_node(expression);
}

#[inline(never)]
fn fold_operands(expression: &mut Expression) {
    match expression {
        Expression::Call { arguments, .. } | Expression::Coalesce { arguments, .. } => {
            arguments.iter_mut().for_each(fold_in_place);
        }
        Expression::And(operands) | Expression::Or(operands) => operands.iter_mut().for_each(fold_in_place),
        Expression::Case { branches, otherwise, .. } => {
            for (condition, result) in branches {
                fold_in_place(condition);
                fold_in_place(result);
            }
            if let Some(otherwise) = otherwise {
                fold_in_place(otherwise);
            }
        }
        Expression::Cast { input, .. }
        | Expression::Not(input)
        | Expression::IsNull { input, .. }
        | Expression::IsTruth { input, .. }
        | Expression::InSet { input, .. } => fold_in_place(input),
        Expression::IsDistinct { left, right, .. } => {
            fold_in_place(left);
            fold_in_place(right);
        }
        Expression::NullIf { left, right, equal } => {
            fold_in_place(left);
            fold_in_place(right);
            fold_in_place(equal);
        }
        Expression::Subquery(subquery) => {
            if let SubqueryForm::Any { test } = &mut subquery.form {
                fold_in_place(test);
            }
        }
        _ => {}
    }
}

/// Folds an expression whose operands are folded.
#[inline(never)]
fn fold_node(expression: &mut Expression) {
    if matches!(
        expression,
        Expression::Constant { .. }
            | Expression::Column { .. }
            | Expression::Input { .. }
            | Expression::Parameter { .. }
    ) {
        return;
    }
    *expression = match std::mem::replace(expression, null(DataType::Unknown)) {
        Expression::And(operands) => fold_logical(operands, false),
        Expression::Or(operands) => fold_logical(operands, true),
        Expression::Case { branches, otherwise, data_type } => fold_case(branches, otherwise, data_type),
        Expression::Coalesce { arguments, data_type } => fold_coalesce(arguments, data_type),
        other => fold_simple(other),
    };
}

fn is_constant(expression: &Expression) -> bool {
    matches!(expression, Expression::Constant { .. })
}

fn is_null_constant(expression: &Expression) -> bool {
    matches!(expression, Expression::Constant { value: Datum::Null, .. })
}

fn null(data_type: DataType) -> Expression {
    Expression::Constant { value: Datum::Null, data_type }
}

fn boolean(value: bool) -> Expression {
    Expression::Constant { value: Datum::Boolean(value), data_type: DataType::Boolean }
}

/// The constant an expression over constants comes to; itself when that raises an error.
fn compute(expression: Expression) -> Expression {
    let data_type = result_type(&expression);
    match row::evaluate(&expression, &NoRow, &EvaluationContext::new(&[], &NoSession)) {
        Ok(value) if value.as_ref().long_bytes() <= FOLDED_BYTES_MAX.max(operand_bytes(&expression)) => {
            Expression::Constant { value, data_type }
        }
        _ => expression,
    }
}

/// Bytes of the constants that an expression is made of.
fn operand_bytes(expression: &Expression) -> usize {
    let of = |operand: &Expression| match operand {
        Expression::Constant { value, .. } => value.as_ref().long_bytes(),
        _ => 0,
    };
    match expression {
        Expression::Call { arguments, .. } => arguments.iter().map(of).sum(),
        Expression::Cast { input, .. } => of(input),
        _ => 0,
    }
}

/// Expressions whose operands are all evaluated.
#[inline(never)]
fn fold_simple(expression: Expression) -> Expression {
    match expression {
        Expression::Call { function, arguments, position } => {
            if function.strict && arguments.iter().any(is_null_constant) {
                return null(function.returns);
            }
            let constant = function.volatility == Volatility::Immutable && arguments.iter().all(is_constant);
            let call = Expression::Call { function, arguments, position };
            if constant { compute(call) } else { call }
        }
        Expression::Cast { input, target, explicit, position } => {
            if is_null_constant(&input) {
                return null(target.data_type);
            }
            let constant = is_constant(&input) && is_immutable_cast(result_type(&input), target.data_type);
            let cast = Expression::Cast { input, target, explicit, position };
            if constant { compute(cast) } else { cast }
        }
        Expression::Not(input) => not(*input, NOT_LEVELS_MAX),
        Expression::IsNull { input, negated } => {
            let constant = is_constant(&input);
            let test = Expression::IsNull { input, negated };
            if constant { compute(test) } else { test }
        }
        Expression::IsTruth { input, truth, negated } => {
            let constant = is_constant(&input);
            let test = Expression::IsTruth { input, truth, negated };
            if constant { compute(test) } else { test }
        }
        Expression::IsDistinct { left, right, negated } => {
            if is_null_constant(&right) {
                return fold_simple(Expression::IsNull { input: left, negated: !negated });
            }
            let constant = is_constant(&left) && is_constant(&right);
            let test = Expression::IsDistinct { left, right, negated };
            if constant { compute(test) } else { test }
        }
        Expression::NullIf { left, right, equal } => match *equal {
            Expression::Constant { value: Datum::Boolean(true), .. } => null(result_type(&left)),
            Expression::Constant { .. } => *left,
            equal => Expression::NullIf { left, right, equal: Box::new(equal) },
        },
        Expression::InSet { input, values, has_null, negated } => {
            let constant = is_constant(&input);
            let test = Expression::InSet { input, values, has_null, negated };
            if constant { compute(test) } else { test }
        }
        other => other,
    }
}

/// Through how many levels of AND and OR a NOT moves: stack and time are bounded.
const NOT_LEVELS_MAX: usize = 8;

/// NOT moves to where it costs nothing: into tests and comparisons, by De Morgan's laws into AND and OR. All of them
/// hold for NULL as well.
#[inline(never)]
fn not(input: Expression, levels: usize) -> Expression {
    match input {
        Expression::Not(inner) => *inner,
        Expression::And(operands) if levels > 0 => {
            fold_logical(operands.into_iter().map(|operand| not(operand, levels - 1)).collect(), true)
        }
        Expression::Or(operands) if levels > 0 => {
            fold_logical(operands.into_iter().map(|operand| not(operand, levels - 1)).collect(), false)
        }
        Expression::IsNull { input, negated } => Expression::IsNull { input, negated: !negated },
        Expression::IsTruth { input, truth, negated } => {
            Expression::IsTruth { input, truth, negated: !negated }
        }
        Expression::IsDistinct { left, right, negated } => {
            Expression::IsDistinct { left, right, negated: !negated }
        }
        Expression::InSet { input, values, has_null, negated } => {
            Expression::InSet { input, values, has_null, negated: !negated }
        }
        Expression::Call { function, arguments, position } => match opposite(function) {
            Some(function) => Expression::Call { function, arguments, position },
            None => Expression::Not(Box::new(Expression::Call { function, arguments, position })),
        },
        input if is_constant(&input) => compute(Expression::Not(Box::new(input))),
        input => Expression::Not(Box::new(input)),
    }
}

/// The comparison that is true where `function` is false. Types are ordered totally, also floating point ones.
fn opposite(function: &'static ScalarFunction) -> Option<&'static ScalarFunction> {
    let name = match function.name {
        "=" => "<>",
        "<>" => "=",
        "<" => ">=",
        "<=" => ">",
        ">" => "<=",
        ">=" => "<",
        "~~" => "!~~",
        "!~~" => "~~",
        "~~*" => "!~~*",
        "!~~*" => "~~*",
        "~" => "!~",
        "!~" => "~",
        _ => return None,
    };
    let found = Registry::get().scalar_exact(name, function.arguments)?;
    (function.strict && found.strict && found.returns == DataType::Boolean).then_some(found)
}

/// AND (decided by false) or OR (decided by true): flat, without neutral constants; a decisive constant is the whole.
#[inline(never)]
fn fold_logical(operands: Vec<Expression>, decisive: bool) -> Expression {
    let mut kept = Vec::with_capacity(operands.len());
    let mut null_seen = false;
    for operand in operands {
        let nested = match operand {
            Expression::And(inner) if !decisive => inner,
            Expression::Or(inner) if decisive => inner,
            other => vec![other],
        };
        for operand in nested {
            match operand {
                Expression::Constant { value: Datum::Boolean(value), .. } if value == decisive => {
                    return boolean(decisive);
                }
                Expression::Constant { value: Datum::Boolean(_), .. } => {}
                // One NULL stands for all of them.
                Expression::Constant { value: Datum::Null, .. } if null_seen => {}
                operand => {
                    null_seen |= is_null_constant(&operand);
                    kept.push(operand);
                }
            }
        }
    }
    match kept.len() {
        0 => boolean(!decisive),
        1 => kept.swap_remove(0),
        _ if decisive => Expression::Or(kept),
        _ => Expression::And(kept),
    }
}

#[inline(never)]
fn fold_case(
    branches: Vec<(Expression, Expression)>,
    otherwise: Option<Box<Expression>>,
    data_type: DataType,
) -> Expression {
    let mut kept = Vec::with_capacity(branches.len());
    let mut otherwise = otherwise;
    for (condition, result) in branches {
        match condition {
            Expression::Constant { value: Datum::Boolean(true), .. } => {
                otherwise = Some(Box::new(result));
                break;
            }
            Expression::Constant { .. } => {}
            condition => kept.push((condition, result)),
        }
    }
    if kept.is_empty() {
        return otherwise.map_or_else(|| null(data_type), |otherwise| *otherwise);
    }
    Expression::Case { branches: kept, otherwise, data_type }
}

#[inline(never)]
fn fold_coalesce(arguments: Vec<Expression>, data_type: DataType) -> Expression {
    let mut kept = Vec::with_capacity(arguments.len());
    for argument in arguments {
        if is_null_constant(&argument) {
            continue;
        }
        let last = is_constant(&argument);
        kept.push(argument);
        if last {
            break;
        }
    }
    match kept.len() {
        0 => null(data_type),
        1 => kept.swap_remove(0),
        _ => Expression::Coalesce { arguments: kept, data_type },
    }
}
