//! Scalar expressions: literals, columns, operators, logic, conversions.
//!
//! Every function that recurses keeps a small frame: what it binds is boxed, and what does not recurse is apart.
//! Sequences of AND, OR and operators are loops, so a long one needs no stack.

use crate::error::{Error, Result, SqlState};
use crate::sql::ast::expression::{
    BinarySequence, BinaryStep, Cast, Expr, ExprKind, Literal, Operator, SpecialValue,
};
use crate::sql::ast::{IntervalField, ObjectName};
use crate::sql::binder::binder::{Binder, null_constant};
use crate::sql::binder::coercion::Bound;
use crate::sql::binder::overload::{Choice, Signature, choose_operator};
use crate::sql::binder::scope::{Context, Place};
use crate::sql::binder::subquery::row_fields;
use crate::sql::binder::type_name;
use crate::sql::functions::registry::{Registry, ScalarFunction};
use crate::sql::plan::expression::Expression;
use crate::sql::types::data_type::{DataType, SqlType};
use crate::sql::types::datum::Datum;

/// Operators of a sequence that may nest as they are written.
const LEVELS_MAX: usize = 100;

impl Binder<'_> {
    /// Binds an expression. An untyped literal stays `Unknown`: the caller decides what it is.
    pub(super) fn bind(&mut self, expr: &Expr<'_>, context: &mut Context) -> Result<Box<Bound>> {
        self.enter(1, expr.span.position())?;
        let bound = self.bind_kind(expr, context);
        self.leave(1);
        bound
    }

    fn bind_kind(&mut self, expr: &Expr<'_>, context: &mut Context) -> Result<Box<Bound>> {
        let position = expr.span.position();
        match &expr.kind {
            ExprKind::Literal(literal) => self.bind_literal(literal, position),
            ExprKind::Column(name) => self.bind_column(name, context),
            ExprKind::Parameter(index) => self.bind_parameter(*index as usize, position, context),
            ExprKind::Binary(sequence) => self.bind_binary(sequence, context),
            ExprKind::Unary { operator, input } => self.bind_unary(operator, input, context),
            ExprKind::And(operands) => self.bind_logic(operands, "AND", position, context),
            ExprKind::Or(operands) => self.bind_logic(operands, "OR", position, context),
            ExprKind::Not(input) => self.bind_not(input, position, context),
            ExprKind::IsNull { input, negated } => self.bind_is_null(input, *negated, context),
            ExprKind::IsTruth { input, truth, negated } => {
                self.bind_is_truth(input, *truth, *negated, context)
            }
            ExprKind::IsDistinct { left, right, negated } => {
                self.bind_is_distinct(left, right, *negated, context)
            }
            ExprKind::Between(between) => self.bind_between(between, position, context),
            ExprKind::Like(like) => self.bind_like(like, position, context),
            ExprKind::InList { input, list, negated } => {
                self.bind_in_list(input, list, *negated, position, context)
            }
            ExprKind::Case(case) => self.bind_case(case, position, context),
            ExprKind::Cast(cast) => self.bind_cast(cast, position, context),
            ExprKind::Collate { input, collation } => self.bind_collate(input, collation, context),
            ExprKind::Function(call) => self.bind_call(call, expr.span, context),
            ExprKind::Coalesce(arguments) => self.bind_coalesce(arguments, position, context),
            ExprKind::NullIf(arguments) => self.bind_null_if(arguments, position, context),
            ExprKind::Greatest(arguments) => self.bind_extreme("greatest", arguments, position, context),
            ExprKind::Least(arguments) => self.bind_extreme("least", arguments, position, context),
            ExprKind::Special { value, precision } => self.bind_special(*value, *precision, position),
            ExprKind::InQuery { input, query, negated } => {
                self.bind_in_query(input, query, *negated, position, context)
            }
            ExprKind::Exists(query) => self.bind_exists(query, position, context),
            ExprKind::ScalarQuery(query) => self.bind_scalar_query(query, position, context),
            ExprKind::Quantified(quantified) => self.bind_quantified(quantified, position, context),
            other => Err(unsupported(other).at(position)),
        }
    }

    /// Binds each of several expressions.
    pub(super) fn bind_all(
        &mut self,
        expressions: &[Expr<'_>],
        context: &mut Context,
    ) -> Result<Vec<Box<Bound>>> {
        let mut bound = Vec::with_capacity(expressions.len());
        for expression in expressions {
            bound.push(self.bind(expression, context)?);
        }
        Ok(bound)
    }

    /// Binds a condition; `construct` names it for the message.
    pub(super) fn bind_condition(
        &mut self,
        expr: &Expr<'_>,
        construct: &str,
        context: &mut Context,
    ) -> Result<Box<Bound>> {
        let bound = self.bind(expr, context)?;
        self.coerce_to_boolean(bound, construct)
    }

    #[inline(never)]
    fn bind_literal(&mut self, literal: &Literal<'_>, position: usize) -> Result<Box<Bound>> {
        Ok(match literal {
            Literal::Null => Bound::constant(Datum::Null, DataType::Unknown, position),
            Literal::Boolean(value) => Bound::constant(Datum::Boolean(*value), DataType::Boolean, position),
            Literal::Integer(value) => match i32::try_from(*value) {
                Ok(small) => Bound::constant(Datum::Integer(small), DataType::Integer, position),
                Err(_) => Bound::constant(Datum::BigInt(*value), DataType::BigInt, position),
            },
            Literal::Number(digits) => {
                let text = || Bound::constant(Datum::text(digits), DataType::Unknown, position);
                let numeric = self.coerce_implicitly(text(), DataType::Numeric);
                // Numeric ends at 38 digits here. A number written with an exponent beyond that is meant for
                // double precision; one written out digit by digit is refused rather than rounded.
                match numeric {
                    Err(error)
                        if error.state() == SqlState::NUMERIC_VALUE_OUT_OF_RANGE
                            && digits.contains(['e', 'E']) =>
                    {
                        self.coerce_implicitly(text(), DataType::Double)?
                    }
                    other => other?,
                }
            }
            Literal::String(text) => Bound::constant(Datum::text(text), DataType::Unknown, position),
            Literal::BitString(_) | Literal::HexString(_) => {
                return Err(Error::not_supported("a bit string").at(position));
            }
        })
    }

    #[inline(never)]
    fn bind_parameter(&mut self, index: usize, position: usize, context: &Context) -> Result<Box<Bound>> {
        if self.parameters_refused || context.place.is_stored() || context.place == Place::ExecuteArgument {
            let message = format!("there is no parameter ${}", index + 1);
            return Err(Error::new(SqlState::UNDEFINED_PARAMETER, message).at(position));
        }
        let data_type = self.parameters.type_so_far(index);
        Ok(Bound::new(Expression::Parameter { index, data_type }, data_type, true, position))
    }

    fn bind_binary(&mut self, sequence: &BinarySequence<'_>, context: &mut Context) -> Result<Box<Bound>> {
        // The plan of a sequence is as deep as the sequence is long.
        let levels = sequence.rest.len() - 1;
        if let (Some(fields), [step]) = (row_fields(&sequence.first), sequence.rest) {
            return self.bind_row_comparison(fields, step, context);
        }
        if levels > LEVELS_MAX && sequence.rest.iter().all(|step| step.operator.symbol == "||") {
            return self.bind_long_concatenation(sequence, context);
        }
        self.enter(levels, sequence.first.span.position())?;
        let mut left = self.bind(&sequence.first, context)?;
        for step in sequence.rest {
            let right = self.bind(&step.right, context)?;
            left = self.call_operator(&step.operator, left, right)?;
        }
        self.leave(levels);
        Ok(left)
    }

    /// Texts are put together in any grouping with the same result: in pairs, and those in pairs, a long sequence
    /// makes no deep plan.
    #[inline(never)]
    fn bind_long_concatenation(
        &mut self,
        sequence: &BinarySequence<'_>,
        context: &mut Context,
    ) -> Result<Box<Bound>> {
        let mut parts = Vec::with_capacity(sequence.rest.len() + 1);
        parts.push((self.bind(&sequence.first, context)?, 0));
        for step in sequence.rest {
            let position = step.operator.span.position();
            let part = self.bind(&step.right, context)?;
            if !part.data_type().is_string() && part.data_type() != DataType::Unknown {
                return Err(Error::not_supported("a long sequence of || over other values than text")
                    .hint("Cast the values to text.")
                    .at(position));
            }
            parts.push((part, position));
        }
        while parts.len() > 1 {
            let mut pairs = Vec::with_capacity(parts.len().div_ceil(2));
            let mut rest = parts.into_iter();
            while let Some((left, before)) = rest.next() {
                pairs.push(match rest.next() {
                    Some((right, position)) => (self.binary_operator("||", left, right, position)?, before),
                    None => (left, before),
                });
            }
            parts = pairs;
        }
        parts.pop().map(|(whole, _)| whole).ok_or_else(|| Error::internal("a sequence has parts"))
    }

    /// `(a, b) operator (c, d)` or `(a, b) operator (query)`.
    #[inline(never)]
    fn bind_row_comparison(
        &mut self,
        fields: &[Expr<'_>],
        step: &BinaryStep<'_>,
        context: &mut Context,
    ) -> Result<Box<Bound>> {
        let (symbol, position) = (step.operator.symbol, step.operator.span.position());
        match &step.right.kind {
            ExprKind::Row(others) => {
                let left = self.bind_all(fields, context)?;
                let right = self.bind_all(others, context)?;
                self.compare_rows(symbol, left, right, position)
            }
            ExprKind::ScalarQuery(query) => self.bind_row_query(symbol, fields, query, position, context),
            _ => Err(Error::not_supported("a row value").at(position)),
        }
    }

    #[inline(never)]
    fn call_operator(
        &mut self,
        operator: &Operator<'_>,
        left: Box<Bound>,
        right: Box<Bound>,
    ) -> Result<Box<Bound>> {
        if let Some(schema) = operator.schema
            && schema.text != "pg_catalog"
        {
            let message = format!("schema \"{}\" does not exist", schema.text);
            return Err(Error::new(SqlState::UNDEFINED_SCHEMA, message).at(schema.position()));
        }
        self.binary_operator(operator.symbol, left, right, operator.span.position())
    }

    /// `left symbol right`, by PostgreSQL's operator resolution. `position`: where the operator stands.
    pub(super) fn binary_operator(
        &mut self,
        symbol: &str,
        mut left: Box<Bound>,
        mut right: Box<Bound>,
        position: usize,
    ) -> Result<Box<Bound>> {
        if matches!(symbol, "=" | "<>" | "<" | "<=" | ">" | ">=") {
            adapt_integer(&mut left, right.data_type());
            adapt_integer(&mut right, left.data_type());
        }
        if symbol == "||" {
            (left, right) = self.text_operands(left, right)?;
        }
        let function = self.find_operator(symbol, &[left.data_type(), right.data_type()], position)?;
        let start = left.position;
        self.apply(function, vec![left, right], position, start)
    }

    /// PostgreSQL's `text || anynonarray`: beside a text, any other value is written as text.
    fn text_operands(&mut self, left: Box<Bound>, right: Box<Bound>) -> Result<(Box<Bound>, Box<Bound>)> {
        let is_other = |side: &Bound| !side.data_type().is_string() && side.data_type() != DataType::Bytea;
        if left.data_type().is_string() && is_other(&right) {
            let position = right.position;
            return Ok((left, self.coerce_explicitly(right, DataType::Text.into(), position)?));
        }
        if right.data_type().is_string() && is_other(&left) {
            let position = left.position;
            return Ok((self.coerce_explicitly(left, DataType::Text.into(), position)?, right));
        }
        Ok((left, right))
    }

    /// The operator for operands of these types.
    pub(super) fn find_operator(
        &self,
        symbol: &str,
        inputs: &[DataType],
        position: usize,
    ) -> Result<&'static ScalarFunction> {
        let candidates = Registry::get().operator(symbol, inputs.len());
        let signatures: Vec<Signature> =
            candidates.iter().map(|function| Signature::from_slice(function.arguments)).collect();
        match choose_operator(&signatures, inputs) {
            Choice::One(index) => Ok(candidates[index]),
            Choice::Ambiguous => Err(Error::new(
                SqlState::AMBIGUOUS_FUNCTION,
                format!("operator is not unique: {}", describe_operator(symbol, inputs)),
            )
            .hint("Could not choose a best candidate operator. You might need to add explicit type casts.")
            .at(position)),
            Choice::NoMatch => Err(Error::new(
                SqlState::UNDEFINED_FUNCTION,
                format!("operator does not exist: {}", describe_operator(symbol, inputs)),
            )
            .hint(if inputs.len() == 1 {
                "No operator matches the given name and argument type. You might need to add an explicit type cast."
            } else {
                "No operator matches the given name and argument types. You might need to add explicit type casts."
            })
            .at(position)),
        }
    }

    /// A call of `function`, with its arguments converted to its types. `position`: the operator or name; `start`:
    /// where the whole call begins.
    pub(super) fn apply(
        &mut self,
        function: &'static ScalarFunction,
        arguments: Vec<Box<Bound>>,
        position: usize,
        start: usize,
    ) -> Result<Box<Bound>> {
        let mut nullable = !function.strict || function.name.starts_with(|first: char| first.is_alphabetic());
        let mut converted = Vec::with_capacity(arguments.len());
        let last = function.arguments.last().copied().unwrap_or(DataType::Unknown);
        for (index, argument) in arguments.into_iter().enumerate() {
            let wanted = function.arguments.get(index).copied().unwrap_or(last);
            let argument = if wanted == DataType::Unknown {
                self.default_to_text(argument)?
            } else {
                self.coerce_implicitly(argument, wanted)?
            };
            nullable = nullable || argument.nullable;
            converted.push(argument.expression);
        }
        let call = Expression::Call { function, arguments: converted, position };
        Ok(Bound::new(call, function.returns, nullable, start.min(position)))
    }

    fn bind_unary(
        &mut self,
        operator: &Operator<'_>,
        input: &Expr<'_>,
        context: &mut Context,
    ) -> Result<Box<Bound>> {
        let position = operator.span.position();
        if operator.symbol == "-"
            && let ExprKind::Literal(Literal::Integer(_) | Literal::Number(_)) = input.kind
        {
            return self.negated_literal(input, position);
        }
        let input = self.bind(input, context)?;
        let function = self.find_operator(operator.symbol, &[input.data_type()], position)?;
        self.apply(function, vec![input], position, position)
    }

    /// `-1` is a literal, so that the least bigint can be written.
    #[inline(never)]
    fn negated_literal(&mut self, input: &Expr<'_>, position: usize) -> Result<Box<Bound>> {
        match input.kind {
            ExprKind::Literal(Literal::Integer(value)) => {
                self.bind_literal(&Literal::Integer(value.wrapping_neg()), position)
            }
            ExprKind::Literal(Literal::Number("9223372036854775808")) => {
                Ok(Bound::constant(Datum::BigInt(i64::MIN), DataType::BigInt, position))
            }
            ExprKind::Literal(Literal::Number(digits)) => {
                self.bind_literal(&Literal::Number(&format!("-{digits}")), position)
            }
            _ => Err(Error::internal("only numbers are negated as literals")),
        }
    }

    fn bind_logic(
        &mut self,
        operands: &[Expr<'_>],
        construct: &'static str,
        position: usize,
        context: &mut Context,
    ) -> Result<Box<Bound>> {
        let mut bound = Vec::with_capacity(operands.len());
        let mut nullable = false;
        for operand in operands {
            let operand = self.bind_condition(operand, construct, context)?;
            nullable = nullable || operand.nullable;
            bound.push(operand.expression);
        }
        let expression = if construct == "AND" { Expression::And(bound) } else { Expression::Or(bound) };
        Ok(Bound::new(expression, DataType::Boolean, nullable, position))
    }

    fn bind_not(&mut self, input: &Expr<'_>, position: usize, context: &mut Context) -> Result<Box<Bound>> {
        let mut bound = self.bind_condition(input, "NOT", context)?;
        wrap(&mut bound, Expression::Not);
        bound.position = position;
        Ok(bound)
    }

    fn bind_is_null(&mut self, input: &Expr<'_>, negated: bool, context: &mut Context) -> Result<Box<Bound>> {
        if let Some(fields) = row_fields(input) {
            return self.bind_row_is_null(fields, negated, input.span.position(), context);
        }
        let bound = self.bind(input, context)?;
        // A parameter stays open here: another use may decide its type.
        let mut bound = match bound.expression {
            Expression::Parameter { .. } => bound,
            _ => self.default_to_text(bound)?,
        };
        wrap(&mut bound, |input| Expression::IsNull { input, negated });
        bound.sql_type = DataType::Boolean.into();
        bound.nullable = false;
        Ok(bound)
    }

    fn bind_is_truth(
        &mut self,
        input: &Expr<'_>,
        truth: Option<bool>,
        negated: bool,
        context: &mut Context,
    ) -> Result<Box<Bound>> {
        let construct = match (truth, negated) {
            (Some(true), false) => "IS TRUE",
            (Some(true), true) => "IS NOT TRUE",
            (Some(false), false) => "IS FALSE",
            (Some(false), true) => "IS NOT FALSE",
            (None, false) => "IS UNKNOWN",
            (None, true) => "IS NOT UNKNOWN",
        };
        let mut bound = self.bind_condition(input, construct, context)?;
        wrap(&mut bound, |input| match truth {
            Some(truth) => Expression::IsTruth { input, truth, negated },
            None => Expression::IsNull { input, negated },
        });
        bound.nullable = false;
        Ok(bound)
    }

    fn bind_is_distinct(
        &mut self,
        left: &Expr<'_>,
        right: &Expr<'_>,
        negated: bool,
        context: &mut Context,
    ) -> Result<Box<Bound>> {
        let start = left.span.position();
        if let (Some(left), Some(right)) = (row_fields(left), row_fields(right)) {
            return self.bind_row_is_distinct(left, right, negated, start, context);
        }
        let left = self.bind(left, context)?;
        let right = self.bind(right, context)?;
        let (left, right) = self.make_equal_types(left, right, start)?;
        let expression = Expression::IsDistinct {
            left: Box::new(left.expression),
            right: Box::new(right.expression),
            negated,
        };
        Ok(Bound::new(expression, DataType::Boolean, false, start))
    }

    /// Converts both sides to the argument types of the equality that fits them.
    #[inline(never)]
    pub(super) fn make_equal_types(
        &mut self,
        left: Box<Bound>,
        right: Box<Bound>,
        position: usize,
    ) -> Result<(Box<Bound>, Box<Bound>)> {
        let equal = self.find_operator("=", &[left.data_type(), right.data_type()], position)?;
        let left = self.coerce_implicitly(left, equal.arguments[0])?;
        let right = self.coerce_implicitly(right, equal.arguments[1])?;
        Ok((left, right))
    }

    fn bind_cast(&mut self, cast: &Cast<'_>, position: usize, context: &mut Context) -> Result<Box<Bound>> {
        if let Some(bound) = self.bind_unit_interval(cast)? {
            return Ok(bound);
        }
        let target = type_name::resolve(&cast.target)?;
        let input = self.bind(&cast.input, context)?;
        let mut bound = self.coerce_explicitly(input, target, cast.span.position())?;
        bound.position = position;
        Ok(bound)
    }

    /// `INTERVAL '3' DAY`: a bare number takes the one field as its unit.
    #[inline(never)]
    fn bind_unit_interval(&mut self, cast: &Cast<'_>) -> Result<Option<Box<Bound>>> {
        let (Some(fields), ExprKind::Literal(Literal::String(text))) =
            (cast.target.interval, cast.input.kind)
        else {
            return Ok(None);
        };
        let number = text.trim();
        let is_number = !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-' || byte == b'+');
        if fields.from != fields.to || !is_number || !cast.target.modifiers.is_empty() {
            return Ok(None);
        }
        let unit = match fields.from {
            IntervalField::Year => "years",
            IntervalField::Month => "months",
            IntervalField::Day => "days",
            IntervalField::Hour => "hours",
            IntervalField::Minute => "minutes",
            IntervalField::Second => "seconds",
        };
        let value = Datum::text(&format!("{number} {unit}"));
        let literal = Bound::constant(value, DataType::Unknown, cast.input.span.position());
        self.coerce_implicitly(literal, DataType::Interval).map(Some)
    }

    fn bind_collate(
        &mut self,
        input: &Expr<'_>,
        collation: &ObjectName<'_>,
        context: &mut Context,
    ) -> Result<Box<Bound>> {
        check_collation(collation)?;
        let bound = self.bind(input, context)?;
        let bound = self.default_to_text(bound)?;
        if !bound.data_type().is_string() {
            let message = format!("collations are not supported by type {}", bound.data_type().name());
            return Err(Error::new(SqlState::DATATYPE_MISMATCH, message).at(collation.position()));
        }
        Ok(bound)
    }

    #[inline(never)]
    fn bind_special(
        &mut self,
        value: SpecialValue,
        precision: Option<u32>,
        position: usize,
    ) -> Result<Box<Bound>> {
        let modifier = precision.map_or(-1, |digits| digits.min(6) as i32);
        let (function, target) = match value {
            SpecialValue::CurrentDate => ("now", SqlType::plain(DataType::Date)),
            SpecialValue::CurrentTimestamp => ("now", SqlType { data_type: DataType::TimestampTz, modifier }),
            SpecialValue::LocalTimestamp => ("now", SqlType { data_type: DataType::Timestamp, modifier }),
            SpecialValue::CurrentTime => return Err(Error::not_supported("CURRENT_TIME").at(position)),
            SpecialValue::LocalTime => return Err(Error::not_supported("LOCALTIME").at(position)),
            SpecialValue::CurrentUser => ("current_user", SqlType::plain(DataType::Text)),
            SpecialValue::SessionUser => ("session_user", SqlType::plain(DataType::Text)),
            SpecialValue::CurrentCatalog => ("current_database", SqlType::plain(DataType::Text)),
            SpecialValue::CurrentSchema => ("current_schema", SqlType::plain(DataType::Text)),
        };
        let Some(function) = Registry::get().scalar_exact(function, &[]) else {
            return Err(Error::not_supported(function.to_ascii_uppercase()).at(position));
        };
        let mut call = self.apply(function, Vec::new(), position, position)?;
        call.nullable = false;
        self.coerce_explicitly(call, target, position)
    }
}

/// Makes an integer literal that is compared with another integer type be of that type where it fits. That compares
/// the same, and a key is looked up by a value of its own type.
fn adapt_integer(literal: &mut Bound, other: DataType) {
    let Expression::Constant { value, data_type } = &mut literal.expression else { return };
    let number = match value {
        Datum::Integer(number) => i64::from(*number),
        Datum::BigInt(number) => *number,
        _ => return,
    };
    let adapted = match other {
        DataType::SmallInt => i16::try_from(number).map(Datum::SmallInt),
        DataType::Integer => i32::try_from(number).map(Datum::Integer),
        DataType::BigInt => Ok(Datum::BigInt(number)),
        _ => return,
    };
    if let Ok(adapted) = adapted {
        (*value, *data_type) = (adapted, other);
        literal.sql_type = SqlType::plain(other);
    }
}

/// Puts `bound`'s expression into another one.
pub(super) fn wrap(bound: &mut Bound, into: impl FnOnce(Box<Expression>) -> Expression) {
    let inner = std::mem::replace(&mut bound.expression, null_constant(DataType::Unknown));
    bound.expression = into(Box::new(inner));
}

/// The collations that Lumos has are the order of the bytes, under its names.
pub(super) fn check_collation(collation: &ObjectName<'_>) -> Result<()> {
    match collation.object().text {
        "C" | "POSIX" | "default" | "ucs_basic" => Ok(()),
        other => Err(Error::new(
            SqlState::UNDEFINED_OBJECT,
            format!("collation \"{other}\" for encoding \"UTF8\" does not exist"),
        )
        .hint("Text is ordered by its bytes: use \"C\".")
        .at(collation.position())),
    }
}

fn describe_operator(symbol: &str, inputs: &[DataType]) -> String {
    match inputs {
        [input] => format!("{symbol} {}", input.name()),
        [left, right] => format!("{} {symbol} {}", left.name(), right.name()),
        _ => symbol.to_owned(),
    }
}

/// Says which construct is not there yet, in the user's words.
#[inline(never)]
fn unsupported(kind: &ExprKind<'_>) -> Error {
    let what = match kind {
        ExprKind::QualifiedStar(_) => "a whole row as a value",
        ExprKind::Default => {
            return Error::new(SqlState::SYNTAX_ERROR, "DEFAULT is not allowed in this context");
        }
        ExprKind::ArrayQuery(_) | ExprKind::Array(_) => "an array",
        ExprKind::Row(_) => "a row value",
        ExprKind::Grouping(_) => "GROUPING",
        ExprKind::Subscript { .. } | ExprKind::Slice { .. } => "an array subscript",
        ExprKind::Field { .. } | ExprKind::FieldStar(_) => "a field of a composite value",
        _ => "this expression",
    };
    Error::not_supported(what)
}
