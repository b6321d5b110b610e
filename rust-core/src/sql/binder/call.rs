//! Calls of functions and aggregates by name.

use crate::error::{Error, Result, SqlState};
use crate::sql::ast::Span;
use crate::sql::ast::expression::{Expr, FunctionCall};
use crate::sql::binder::binder::{Binder, OpenAggregate};
use crate::sql::binder::coercion::Bound;
use crate::sql::binder::overload::{Choice, Signature, choose_function, signature_for};
use crate::sql::binder::scope::{Context, Place};
use crate::sql::binder::select::direction;
use crate::sql::binder::{type_name, walk};
use crate::sql::functions::registry::{AggregateFunction, Registry};
use crate::sql::plan::expression::{AggregateCall, Expression, SortKey};
use crate::sql::types::data_type::{DataType, SqlType};
use crate::sql::types::datum::Datum;

const NO_FUNCTION_HINT: &str =
    "No function matches the given name and argument types. You might need to add explicit type casts.";

impl Binder<'_> {
    pub(super) fn bind_call(
        &mut self,
        call: &FunctionCall<'_>,
        span: Span,
        context: &mut Context,
    ) -> Result<Box<Bound>> {
        let position = span.position();
        check_form(call, position)?;
        let name = call.name.object().text;
        if !Registry::get().aggregates(name).is_empty() {
            return self.bind_aggregate(call, position, context);
        }
        if Registry::get().scalar(name).is_empty() && !Registry::get().table_functions_named(name).is_empty()
        {
            return self.bind_set_function(call, position, context);
        }
        check_scalar_form(call, position)?;
        let arguments = match self.bind_sequence_argument(call, context)? {
            Some(sequence) => {
                let mut arguments = self.bind_all(&call.arguments[1..], context)?;
                arguments.insert(0, sequence);
                arguments
            }
            None => self.bind_all(call.arguments, context)?,
        };
        if name == "overlaps" && arguments.len() == 4 {
            let operands = <[Box<Bound>; 4]>::try_from(arguments);
            return self.bind_overlaps(operands.expect("there are four"), position);
        }
        if let ("pg_typeof", [argument]) = (name, arguments.as_slice()) {
            let name = Datum::text(argument.data_type().name());
            return Ok(Bound::constant(name, DataType::Text, position));
        }
        self.call_named(name, arguments, position)
    }

    /// The function `name` of these arguments, by PostgreSQL's function resolution.
    #[inline(never)]
    pub(super) fn call_named(
        &mut self,
        name: &str,
        mut arguments: Vec<Box<Bound>>,
        position: usize,
    ) -> Result<Box<Bound>> {
        let inputs: Vec<DataType> = arguments.iter().map(|argument| argument.data_type()).collect();
        let mut candidates = Vec::new();
        let mut signatures: Vec<Signature> = Vec::new();
        for function in Registry::get().scalar(name) {
            if let Some(signature) = signature_for(function.arguments, function.variadic, inputs.len()) {
                candidates.push(*function);
                signatures.push(signature);
            }
        }
        match choose_function(&signatures, &inputs) {
            Choice::One(index) => self.apply(candidates[index], arguments, position, position),
            choice => {
                // A type's name with one argument is a cast.
                if let (Some(target), 1) = (type_name::by_name(name), arguments.len())
                    && let Some(argument) = arguments.pop()
                {
                    return self.coerce_explicitly(argument, SqlType::plain(target), position);
                }
                Err(no_function(name, &inputs, choice).at(position))
            }
        }
    }

    fn bind_aggregate(
        &mut self,
        call: &FunctionCall<'_>,
        position: usize,
        context: &mut Context,
    ) -> Result<Box<Bound>> {
        self.open_aggregate();
        let place = std::mem::replace(&mut context.place, Place::AggregateArgument);
        let arguments = self.bind_all(call.arguments, context)?;
        let order = self.bind_aggregate_order(call, &arguments, context)?;
        context.place = Place::Filter;
        let filter = match call.filter {
            Some(filter) => Some(self.bind_condition(filter, "FILTER", context)?),
            None => None,
        };
        context.place = place;
        let level = self.close_aggregate(position, context)?;
        let function = find_aggregate(call.name.object().text, call.star, &arguments, position)?;
        let mut converted = Vec::with_capacity(arguments.len());
        for (argument, wanted) in arguments.into_iter().zip(function.arguments) {
            converted.push(match wanted {
                DataType::Unknown => self.default_to_text(argument)?.expression,
                wanted => self.coerce_implicitly(argument, *wanted)?.expression,
            });
        }
        let aggregate =
            Aggregate { function, arguments: converted, filter: filter.map(|one| one.expression), order };
        self.finish_aggregate(call, aggregate, level, position, context)
    }

    /// From here on columns belong to an aggregate's arguments.
    #[inline(never)]
    fn open_aggregate(&mut self) {
        let reference_counts = self.outer.iter().map(|level| level.references.len()).collect();
        self.open_aggregates.push(OpenAggregate {
            own_level: self.outer.len(),
            innermost_column: None,
            innermost_aggregate: None,
            reference_counts,
        });
    }

    /// The query level that the aggregate belongs to: the innermost one that its arguments use.
    #[inline(never)]
    fn close_aggregate(&mut self, position: usize, context: &mut Context) -> Result<usize> {
        let open = self.open_aggregates.pop().expect("it was opened");
        let level = open.innermost_column.max(open.innermost_aggregate).unwrap_or(open.own_level);
        if open.innermost_aggregate == Some(level) {
            return check_aggregate_place(Place::AggregateArgument, position).map(|()| level);
        }
        let owner = if level == open.own_level { &mut *context } else { &mut self.outer[level] };
        check_aggregate_place(owner.place, position)?;
        owner.aggregate_position.get_or_insert(position);
        if let Some(&count) = open.reference_counts.get(level) {
            // What stands in the aggregate need not be grouped by.
            self.outer[level].references.truncate(count);
        }
        for around in &mut self.open_aggregates {
            if level <= around.own_level {
                around.innermost_aggregate = around.innermost_aggregate.max(Some(level));
            }
        }
        Ok(level)
    }

    /// ORDER BY inside an aggregate, for those on which it shows.
    #[inline(never)]
    fn bind_aggregate_order(
        &mut self,
        call: &FunctionCall<'_>,
        arguments: &[Box<Bound>],
        context: &mut Context,
    ) -> Result<Vec<SortKey>> {
        let mut keys = Vec::with_capacity(call.order_by.len());
        for order in call.order_by {
            let value = self.bind(&order.value, context)?;
            let value = self.default_to_text(value)?;
            let is_argument =
                arguments.iter().any(|argument| walk::same(&argument.expression, &value.expression));
            if call.distinct && !is_argument {
                let message =
                    "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list";
                return Err(Error::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(value.position));
            }
            let (descending, nulls_first) = direction(order)?;
            keys.push(SortKey { expression: value.expression, descending, nulls_first });
        }
        Ok(if ORDERED_AGGREGATES.contains(&call.name.object().text) { keys } else { Vec::new() })
    }

    #[inline(never)]
    fn finish_aggregate(
        &mut self,
        call: &FunctionCall<'_>,
        aggregate: Aggregate,
        level: usize,
        position: usize,
        context: &mut Context,
    ) -> Result<Box<Bound>> {
        let Aggregate { function, arguments, filter, mut order } = aggregate;
        let output = self.new_column(function.name, function.returns, function.name != "count");
        let owner = if level == self.outer.len() { context } else { &mut self.outer[level] };
        if !order.is_empty() {
            let is_same = |known: &[SortKey]| {
                known.len() == order.len() && known.iter().zip(&order).all(|(a, b)| same_key(a, b))
            };
            if owner.aggregate_order.is_empty() {
                owner.aggregate_order.clone_from(&order);
            }
            // The input has the first order; an aggregate with another one sorts its rows itself.
            if is_same(&owner.aggregate_order) {
                order.clear();
            }
        }
        let same_as = owner.aggregates.iter().find(|other| {
            std::ptr::eq(other.function, function)
                && other.distinct == call.distinct
                && other.order.len() == order.len()
                && other.order.iter().zip(&order).all(|(a, b)| same_key(a, b))
                && other.arguments.len() == arguments.len()
                && other.arguments.iter().zip(&arguments).all(|(a, b)| walk::same(a, b))
                && match (&other.filter, &filter) {
                    (None, None) => true,
                    (Some(a), Some(b)) => walk::same(a, b),
                    _ => false,
                }
        });
        let output = match same_as {
            Some(aggregate) => aggregate.output.clone(),
            None => {
                owner.aggregates.push(AggregateCall {
                    function,
                    arguments,
                    distinct: call.distinct,
                    filter,
                    order,
                    output: output.clone(),
                });
                output
            }
        };
        let data_type = function.returns;
        let column = Expression::Column { id: output.id, data_type };
        Ok(Bound::new(column, data_type, output.nullable, position))
    }
}

fn same_key(a: &SortKey, b: &SortKey) -> bool {
    a.descending == b.descending && a.nulls_first == b.nulls_first && walk::same(&a.expression, &b.expression)
}

/// An aggregate whose parts are bound.
struct Aggregate {
    function: &'static AggregateFunction,
    arguments: Vec<Expression>,
    filter: Option<Expression>,
    order: Vec<SortKey>,
}

/// Aggregates whose result depends on the order of their rows. An order inside the others says nothing.
const ORDERED_AGGREGATES: &[&str] = &["string_agg"];

/// Refuses what no call has yet.
#[inline(never)]
pub(super) fn check_form(call: &FunctionCall<'_>, position: usize) -> Result<()> {
    if let Some(schema) = call.name.schema()
        && schema.text != "pg_catalog"
    {
        let message = format!("function {} does not exist", call.name);
        return Err(Error::new(SqlState::UNDEFINED_FUNCTION, message).at(position));
    }
    let what = if call.over.is_some() {
        "a window function"
    } else if !call.within_group.is_empty() {
        "WITHIN GROUP"
    } else if call.variadic {
        "VARIADIC"
    } else if call.argument_names.iter().any(Option::is_some) {
        "an argument by name"
    } else {
        return Ok(());
    };
    Err(Error::not_supported(what).at(position))
}

/// Refuses what only aggregates have.
#[inline(never)]
fn check_scalar_form(call: &FunctionCall<'_>, position: usize) -> Result<()> {
    let name = call.name.object().text;
    let known = !Registry::get().scalar(name).is_empty();
    let what = if call.distinct {
        "DISTINCT"
    } else if call.filter.is_some() {
        "FILTER"
    } else if !call.order_by.is_empty() {
        "ORDER BY"
    } else if call.star {
        return Err(no_function(name, &[], Choice::NoMatch).at(position));
    } else {
        return Ok(());
    };
    if !known {
        return Err(no_function(name, &[], Choice::NoMatch).at(position));
    }
    let message = format!("{what} specified, but {name} is not an aggregate function");
    Err(Error::new(SqlState::WRONG_OBJECT_TYPE, message).at(position))
}

#[inline(never)]
fn check_aggregate_place(place: Place, position: usize) -> Result<()> {
    let message = match place {
        _ if place.allows_aggregates() => return Ok(()),
        Place::AggregateArgument => "aggregate function calls cannot be nested".to_owned(),
        _ => format!("aggregate functions are not allowed in {}", place.name()),
    };
    Err(Error::new(SqlState::GROUPING_ERROR, message).at(position))
}

#[inline(never)]
fn find_aggregate(
    name: &str,
    star: bool,
    arguments: &[Box<Bound>],
    position: usize,
) -> Result<&'static AggregateFunction> {
    let overloads = Registry::get().aggregates(name);
    let inputs: Vec<DataType> = arguments.iter().map(|argument| argument.data_type()).collect();
    if star || inputs.is_empty() {
        // `count(*)` is the overload without arguments; `count()` is no call.
        return overloads.iter().copied().find(|function| star && function.arguments.is_empty()).ok_or_else(
            || {
                if !star && overloads.iter().any(|function| function.arguments.is_empty()) {
                    let message =
                        format!("{name}(*) must be used to call a parameterless aggregate function");
                    return Error::new(SqlState::WRONG_OBJECT_TYPE, message).at(position);
                }
                no_function(name, &inputs, Choice::NoMatch).at(position)
            },
        );
    }
    let candidates: Vec<&'static AggregateFunction> =
        overloads.iter().copied().filter(|function| function.arguments.len() == inputs.len()).collect();
    let signatures: Vec<Signature> =
        candidates.iter().map(|function| Signature::from_slice(function.arguments)).collect();
    match choose_function(&signatures, &inputs) {
        Choice::One(index) => Ok(candidates[index]),
        choice => Err(no_function(name, &inputs, choice).at(position)),
    }
}

/// `42883` or `42725`. A name that is close to another one gets that as its hint.
pub(super) fn no_function(name: &str, inputs: &[DataType], choice: Choice) -> Error {
    let types: Vec<&str> = inputs.iter().map(|input| input.name()).collect();
    let call = format!("{name}({})", types.join(", "));
    if choice == Choice::Ambiguous {
        return Error::new(SqlState::AMBIGUOUS_FUNCTION, format!("function {call} is not unique"))
            .hint("Could not choose a best candidate function. You might need to add explicit type casts.");
    }
    let error = Error::new(SqlState::UNDEFINED_FUNCTION, format!("function {call} does not exist"))
        .hint(NO_FUNCTION_HINT);
    let registry = Registry::get();
    if registry.scalar(name).is_empty() && registry.aggregates(name).is_empty() {
        return error.hint_near_miss(name, registry.function_names());
    }
    error
}

/// The name PostgreSQL gives an unnamed column of a select list.
pub(super) fn column_name<'a>(expr: &Expr<'a>) -> std::borrow::Cow<'a, str> {
    use crate::sql::ast::expression::{ExprKind, SpecialValue};
    use crate::sql::ast::query::{QueryBody, SelectItem};
    use std::borrow::Cow;
    fn name_of<'a>(expr: &Expr<'a>) -> Option<(Cow<'a, str>, bool)> {
        // The flag: a strong name; a cast's type name is a weak one that an inner name replaces.
        let strong = |name: &'static str| Some((Cow::Borrowed(name), true));
        match &expr.kind {
            ExprKind::Column(name) => Some((Cow::Borrowed(name.object().text), true)),
            ExprKind::Field { name, .. } => Some((Cow::Borrowed(name.text), true)),
            ExprKind::Subscript { input, .. } | ExprKind::Slice { input, .. } => name_of(input),
            ExprKind::Function(call) => Some((Cow::Borrowed(call.name.object().text), true)),
            ExprKind::Coalesce(_) => strong("coalesce"),
            ExprKind::NullIf(_) => strong("nullif"),
            ExprKind::Greatest(_) => strong("greatest"),
            ExprKind::Least(_) => strong("least"),
            ExprKind::Grouping(_) => strong("grouping"),
            ExprKind::Exists(_) => strong("exists"),
            ExprKind::Array(_) | ExprKind::ArrayQuery(_) => strong("array"),
            ExprKind::Row(_) => strong("row"),
            ExprKind::Case(case) => match case.otherwise.as_ref().and_then(name_of) {
                Some((name, true)) => Some((name, true)),
                _ => Some((Cow::Borrowed("case"), false)),
            },
            ExprKind::Cast(cast) => match name_of(&cast.input) {
                Some((name, true)) => Some((name, true)),
                _ => Some((Cow::Borrowed(cast.target.name.object().text), false)),
            },
            ExprKind::Collate { input, .. } => name_of(input),
            ExprKind::ScalarQuery(query) => Some((query_name(&query.body), true)),
            ExprKind::Special { value, .. } => strong(match value {
                SpecialValue::CurrentDate => "current_date",
                SpecialValue::CurrentTime => "current_time",
                SpecialValue::CurrentTimestamp => "current_timestamp",
                SpecialValue::LocalTime => "localtime",
                SpecialValue::LocalTimestamp => "localtimestamp",
                SpecialValue::CurrentUser => "current_user",
                SpecialValue::SessionUser => "session_user",
                SpecialValue::CurrentCatalog => "current_catalog",
                SpecialValue::CurrentSchema => "current_schema",
            }),
            _ => None,
        }
    }
    /// The name of a query's first column.
    fn query_name<'a>(body: &QueryBody<'a>) -> Cow<'a, str> {
        match body {
            QueryBody::Select(select) => match select.items.first() {
                Some(SelectItem::Expression { alias: Some(alias), .. }) => Cow::Borrowed(alias.text),
                Some(SelectItem::Expression { value, .. }) => column_name(value),
                _ => Cow::Borrowed("?column?"),
            },
            QueryBody::Values(_) => Cow::Borrowed("column1"),
            QueryBody::Table(_) => Cow::Borrowed("?column?"),
            QueryBody::Query(query) => query_name(&query.body),
            QueryBody::SetOperations(operations) => query_name(&operations.first),
        }
    }
    name_of(expr).map_or(Cow::Borrowed("?column?"), |(name, _)| name)
}
