//! UNION, INTERSECT and EXCEPT. A chain of unions is one node, however long.

use crate::error::{Error, Result, SqlState};
use crate::sql::ast::query::{SetOperations, SetOperator, SetStep};
use crate::sql::binder::binder::Binder;
use crate::sql::binder::coercion::Bound;
use crate::sql::binder::common_table::RecursionPlace;
use crate::sql::binder::overload::common_type;
use crate::sql::binder::query::{BoundQuery, Untyped};
use crate::sql::binder::scope::column_expression;
use crate::sql::plan::expression::{Expression, OutputColumn};
use crate::sql::plan::logical::{LogicalPlan, SetOperationKind};
use crate::sql::types::cast::CastContext;
use crate::sql::types::data_type::{DataType, SqlType};

/// Operands that are gathered as long as they are united.
struct Union {
    inputs: Vec<BoundQuery>,
    /// Common types of the inputs so far.
    types: Vec<SqlType>,
    /// Without duplicates.
    distinct: bool,
}

impl Binder<'_> {
    pub(super) fn bind_set_operations(&mut self, operations: &SetOperations<'_>) -> Result<BoundQuery> {
        // Each operation that is not a union makes the plan deeper, and so does a union after another kind of it.
        let is_level =
            |pair: &[SetStep<'_>]| pair[1].operator != SetOperator::Union || (pair[1].all && !pair[0].all);
        let levels = 1 + operations.rest.windows(2).filter(|pair| is_level(pair)).count();
        let start = operations.rest.first().map_or(0, |step| step.span.position());
        self.enter(levels, start)?;
        let first = self.bind_operand(operations, 0)?;
        let types = first.columns.iter().map(|column| column.sql_type).collect();
        let mut union = Union { inputs: vec![first], types, distinct: false };
        for (index, step) in operations.rest.iter().enumerate() {
            let right = self.bind_operand(operations, index + 1)?;
            let construct = construct(step.operator);
            union.types = self.common_types_of(&union.inputs[0].columns, &union.types, &right, construct)?;
            if step.operator != SetOperator::Union {
                let types = union.types.clone();
                let left = self.finish_union(union)?;
                let both = self.set_operation(step, left, right, &types)?;
                union = Union { inputs: vec![both], types, distinct: false };
            } else if step.all && union.distinct {
                let types = union.types.clone();
                let left = self.finish_union(union)?;
                union = Union { inputs: vec![left, right], types, distinct: false };
            } else {
                // A union without duplicates drops those of its left side as well.
                union.inputs.push(right);
                union.distinct |= !step.all;
            }
        }
        let bound = self.finish_union(union);
        self.leave(levels);
        bound
    }

    /// Binds operand `index`: the first one, or the right one of the step before.
    #[inline(never)]
    fn bind_operand(&mut self, operations: &SetOperations<'_>, index: usize) -> Result<BoundQuery> {
        let (body, step) = match index.checked_sub(1) {
            None => (&operations.first, None),
            Some(step) => (&operations.rest[step].right, Some(&operations.rest[step])),
        };
        let limits = |step: &SetStep<'_>, is_right: bool| match step.operator {
            SetOperator::Union => None,
            SetOperator::Intersect => step.all.then_some(RecursionPlace::Intersect),
            SetOperator::Except => (is_right || step.all).then_some(RecursionPlace::Except),
        };
        let after = operations.rest[index..].iter().find_map(|step| limits(step, false));
        let place = step.and_then(|step| limits(step, true)).or(after).unwrap_or(self.recursion);
        let place = std::mem::replace(&mut self.recursion, place);
        Self::refuse_locking_member(body)?;
        let bound = self.bind_body(body, Untyped::Stays);
        self.recursion = place;
        bound
    }

    /// The union of two bound queries.
    pub(super) fn unite(
        &mut self,
        left: BoundQuery,
        right: BoundQuery,
        step: &SetStep<'_>,
    ) -> Result<BoundQuery> {
        let types = self.common_types(&left.columns, &right, construct(step.operator))?;
        self.finish_union(Union { inputs: vec![left, right], types, distinct: !step.all })
    }

    /// The types that the columns of two operands become.
    pub(super) fn common_types(
        &mut self,
        left: &[OutputColumn],
        right: &BoundQuery,
        construct: &str,
    ) -> Result<Vec<SqlType>> {
        let types: Vec<SqlType> = left.iter().map(|column| column.sql_type).collect();
        self.common_types_of(left, &types, right, construct)
    }

    fn common_types_of(
        &mut self,
        left: &[OutputColumn],
        types: &[SqlType],
        right: &BoundQuery,
        construct: &str,
    ) -> Result<Vec<SqlType>> {
        let position_of = |index: usize| right.positions.get(index).copied().unwrap_or(0);
        if left.len() != right.columns.len() {
            let message = format!("each {construct} query must have the same number of columns");
            return Err(Error::new(SqlState::SYNTAX_ERROR, message).at(position_of(0)));
        }
        let mut common = Vec::with_capacity(types.len());
        for (index, (left, right)) in types.iter().zip(&right.columns).enumerate() {
            let data_type =
                common_type([left.data_type, right.sql_type.data_type]).map_err(|(left, right)| {
                    let message =
                        format!("{construct} types {} and {} cannot be matched", left.name(), right.name());
                    Error::new(SqlState::DATATYPE_MISMATCH, message).at(position_of(index))
                })?;
            let same = *left == right.sql_type && left.data_type == data_type;
            let modifier = if same { left.modifier } else { -1 };
            common.push(SqlType { data_type, modifier });
        }
        Ok(common)
    }

    fn finish_union(&mut self, union: Union) -> Result<BoundQuery> {
        let Union { mut inputs, types, distinct } = union;
        if inputs.len() == 1 {
            let only = inputs.pop().expect("there is one");
            return self.convert_columns(only, &types);
        }
        let mut columns = Vec::with_capacity(types.len());
        for (index, sql_type) in types.iter().enumerate() {
            let nullable = inputs.iter().any(|input| input.columns[index].nullable);
            columns.push(self.new_column(&*inputs[0].columns[index].name, *sql_type, nullable));
        }
        let positions = inputs[0].positions.clone();
        let mut plans = Vec::with_capacity(inputs.len());
        for input in inputs {
            plans.push(*self.convert_columns(input, &types)?.plan);
        }
        let mut plan = Box::new(LogicalPlan::Append { inputs: plans, columns: columns.clone() });
        if distinct {
            plan = Box::new(LogicalPlan::Distinct { input: plan });
        }
        Ok(BoundQuery { plan, columns, positions })
    }

    fn set_operation(
        &mut self,
        step: &SetStep<'_>,
        left: BoundQuery,
        right: BoundQuery,
        types: &[SqlType],
    ) -> Result<BoundQuery> {
        let right = self.convert_columns(right, types)?;
        let mut columns = Vec::with_capacity(types.len());
        let is_intersect = step.operator == SetOperator::Intersect;
        for ((left, right), sql_type) in left.columns.iter().zip(&right.columns).zip(types) {
            let nullable = left.nullable && (right.nullable || !is_intersect);
            columns.push(self.new_column(&*left.name, *sql_type, nullable));
        }
        let kind = if is_intersect { SetOperationKind::Intersect } else { SetOperationKind::Except };
        let (all, positions) = (step.all, left.positions);
        let plan = LogicalPlan::SetOperation {
            kind,
            all,
            left: left.plan,
            right: right.plan,
            columns: columns.clone(),
        };
        Ok(BoundQuery { plan: Box::new(plan), columns, positions })
    }

    /// Makes the columns of a query have these types. Untyped literals are converted where they stand.
    pub(super) fn convert_columns(&mut self, mut bound: BoundQuery, types: &[SqlType]) -> Result<BoundQuery> {
        let fits = |column: &OutputColumn, wanted: &SqlType| {
            column.sql_type.data_type == wanted.data_type
                && (wanted.modifier == -1 || wanted.modifier == column.sql_type.modifier)
        };
        for (index, wanted) in types.iter().enumerate() {
            if bound.columns[index].sql_type.data_type == DataType::Unknown
                && let Some((expressions, columns)) = projection(&mut bound.plan)
            {
                let taken = std::mem::replace(&mut expressions[index], untyped_null());
                let nullable = bound.columns[index].nullable;
                let value = Bound::new(taken, DataType::Unknown, nullable, bound.positions[index]);
                expressions[index] = self.coerce_implicitly(value, wanted.data_type)?.expression;
                columns[index].sql_type = SqlType::plain(wanted.data_type);
                bound.columns[index].sql_type = SqlType::plain(wanted.data_type);
            }
        }
        if bound.columns.iter().zip(types).all(|(column, wanted)| fits(column, wanted)) {
            return Ok(bound);
        }
        let mut expressions = Vec::with_capacity(types.len());
        let mut columns = Vec::with_capacity(types.len());
        for (index, (column, wanted)) in bound.columns.iter().zip(types).enumerate() {
            let position = bound.positions[index];
            let value = Bound::new(column_expression(column), column.sql_type, column.nullable, position);
            let from = value.data_type();
            let value = self.coerce(value, *wanted, CastContext::Implicit)?.ok_or_else(|| {
                let message = format!("cannot cast type {} to {}", from.name(), wanted.data_type.name());
                Error::new(SqlState::CANNOT_COERCE, message).at(position)
            })?;
            expressions.push(value.expression);
            columns.push(self.new_column(&*column.name, *wanted, column.nullable));
        }
        let plan = LogicalPlan::Project { input: bound.plan, expressions, columns: columns.clone() };
        Ok(BoundQuery { plan: Box::new(plan), columns, positions: bound.positions })
    }
}

fn untyped_null() -> Expression {
    crate::sql::binder::binder::null_constant(DataType::Unknown)
}

fn construct(operator: SetOperator) -> &'static str {
    match operator {
        SetOperator::Union => "UNION",
        SetOperator::Intersect => "INTERSECT",
        SetOperator::Except => "EXCEPT",
    }
}

/// The projection on top of a query that may hold untyped literals.
pub(super) fn projection(plan: &mut LogicalPlan) -> Option<(&mut Vec<Expression>, &mut Vec<OutputColumn>)> {
    match plan {
        LogicalPlan::Project { expressions, columns, .. } => Some((expressions, columns)),
        LogicalPlan::Sort { input, .. }
        | LogicalPlan::Limit { input, .. }
        | LogicalPlan::With { input, .. }
        | LogicalPlan::Distinct { input } => projection(input),
        _ => None,
    }
}
