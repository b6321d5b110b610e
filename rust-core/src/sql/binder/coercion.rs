//! Making a bound expression have a wanted type: implicitly, for an assignment, or because the user said so.
//! Untyped literals are converted here, once, so that their errors carry their place in the text.

use crate::error::{Error, Result, SqlState};
use crate::sql::binder::binder::Binder;
use crate::sql::binder::overload::common_type;
use crate::sql::plan::expression::Expression;
use crate::sql::types::cast::{CastContext, CastEnvironment, cast, cast_context};
use crate::sql::types::compare::equal;
use crate::sql::types::data_type::{DataType, SqlType};
use crate::sql::types::datum::{Datum, DatumRef, Numeric, NumericKind};
use crate::sql::types::text_style::{DateOrder, TextStyle};
use jiff::tz::{Offset, TimeZone};

/// An expression with what its parents must know of it.
#[derive(Debug)]
pub(super) struct Bound {
    /// The expression. An untyped literal is a constant of type `Unknown`.
    pub(super) expression: Expression,
    /// Its type with modifier.
    pub(super) sql_type: SqlType,
    /// Whether it can be NULL.
    pub(super) nullable: bool,
    /// Where it begins in the text.
    pub(super) position: usize,
}

impl Bound {
    /// Boxed, because what recurses over expressions must have small frames.
    pub(super) fn new(
        expression: Expression,
        sql_type: impl Into<SqlType>,
        nullable: bool,
        position: usize,
    ) -> Box<Bound> {
        Box::new(Bound { expression, sql_type: sql_type.into(), nullable, position })
    }

    /// A value.
    pub(super) fn constant(value: Datum, data_type: DataType, position: usize) -> Box<Bound> {
        let nullable = value.is_null();
        Bound::new(Expression::Constant { value, data_type }, data_type, nullable, position)
    }

    /// Its type without the modifier.
    pub(super) fn data_type(&self) -> DataType {
        self.sql_type.data_type
    }
}

/// The value that an untyped literal has as `target`; `None` where it depends on the session (a time zone, the
/// current day) and so is converted when the statement runs.
fn literal_value(text: &str, target: SqlType) -> Result<Option<Datum>> {
    match target.data_type {
        DataType::Unknown | DataType::Text | DataType::Varchar => Ok(Some(Datum::text(text))),
        _ => constant_of_text(text, target),
    }
}

/// Converts text that may depend on the session. Converting it in two sessions that differ in everything tells.
fn constant_of_text(text: &str, target: SqlType) -> Result<Option<Datum>> {
    let zones = [TimeZone::UTC, TimeZone::fixed(Offset::constant(13))];
    let convert = |zone: &TimeZone, now: i64, date_order: DateOrder| {
        let style = TextStyle { date_order, ..TextStyle::default() };
        let environment = CastEnvironment { zone, now, style };
        cast(DatumRef::Text(text), DataType::Unknown, target, false, &environment)
    };
    let here = convert(&zones[0], 0, DateOrder::MonthDayYear);
    if !matches!(target.data_type, DataType::Date | DataType::Timestamp | DataType::TimestampTz) {
        return here.map(Some);
    }
    let others = [
        convert(&zones[1], 40 * 86_400_000_000, DateOrder::DayMonthYear),
        convert(&zones[1], 0, DateOrder::YearMonthDay),
    ];
    let Ok(value) = &here else {
        // Wrong in every session: wrong now.
        return if others.iter().all(Result::is_err) { here.map(Some) } else { Ok(None) };
    };
    let same = |other: &Result<Datum>| {
        other.as_ref().is_ok_and(|other| equal(value.as_ref(), other.as_ref(), target.data_type))
    };
    Ok(if others.iter().all(same) { Some(value.clone()) } else { None })
}

impl Binder<'_> {
    /// Converts `value` to `target` where `context` allows it; `Ok(None)` where it does not.
    pub(super) fn coerce(
        &mut self,
        mut value: Box<Bound>,
        target: SqlType,
        context: CastContext,
    ) -> Result<Option<Box<Bound>>> {
        if target.data_type == DataType::Unknown {
            return Ok(Some(value));
        }
        if value.data_type() == DataType::Unknown {
            // An interval's fields tell how its text is read; other modifiers are applied to the value.
            let interval = target.data_type == DataType::Interval;
            self.type_unknown(&mut value, if interval { target } else { SqlType::plain(target.data_type) })?;
        }
        let from = value.data_type();
        if from == target.data_type {
            if target.modifier == -1 || target.modifier == value.sql_type.modifier {
                return Ok(Some(value));
            }
            return Ok(Some(with_cast(value, target, context)));
        }
        let allowed = cast_context(from, target.data_type).is_some_and(|needed| allows(context, needed));
        if !allowed {
            return Ok(None);
        }
        if let Some(widened) = widened_constant(&value.expression, target.data_type) {
            value.expression = Expression::Constant { value: widened, data_type: target.data_type };
            value.sql_type = SqlType::plain(target.data_type);
            return self.coerce(value, target, context);
        }
        Ok(Some(with_cast(value, target, context)))
    }

    /// Gives an untyped literal or parameter a type.
    #[inline(never)]
    fn type_unknown(&mut self, value: &mut Bound, target: SqlType) -> Result<()> {
        match &mut value.expression {
            Expression::Constant { value: constant, data_type } => {
                if let Datum::Text(text) = &*constant {
                    match literal_value(text, target).map_err(|error| error.at_if_unset(value.position))? {
                        Some(converted) => *constant = converted,
                        None => {
                            *data_type = DataType::Text;
                            value.sql_type = SqlType::plain(DataType::Text);
                            wrap_cast(value, target, true);
                            return Ok(());
                        }
                    }
                }
                *data_type = target.data_type;
            }
            Expression::Parameter { index, data_type } => {
                self.parameters.decide(*index, target.data_type).map_err(|error| error.at(value.position))?;
                *data_type = target.data_type;
                value.sql_type = SqlType::plain(target.data_type);
                return Ok(());
            }
            // A column or expression of type unknown does not arise: select lists type theirs as text.
            _ => wrap_cast(value, target, true),
        }
        value.sql_type = target;
        Ok(())
    }

    /// Converts implicitly to `target`; the caller has made sure, by overload resolution, that it is possible.
    pub(super) fn coerce_implicitly(&mut self, value: Box<Bound>, target: DataType) -> Result<Box<Bound>> {
        let (from, position) = (value.data_type(), value.position);
        self.coerce(value, SqlType::plain(target), CastContext::Implicit)?
            .ok_or_else(|| cannot_cast(from, target).at(position))
    }

    /// An untyped literal or parameter that nothing else decides is text.
    pub(super) fn default_to_text(&mut self, value: Box<Bound>) -> Result<Box<Bound>> {
        if value.data_type() == DataType::Unknown {
            return self.coerce_implicitly(value, DataType::Text);
        }
        Ok(value)
    }

    /// A condition: `construct` ("WHERE", "CASE/WHEN" …) names the place for the message.
    pub(super) fn coerce_to_boolean(&mut self, value: Box<Bound>, construct: &str) -> Result<Box<Bound>> {
        let (from, position) = (value.data_type(), value.position);
        self.coerce(value, SqlType::plain(DataType::Boolean), CastContext::Assignment)?.ok_or_else(|| {
            Error::new(
                SqlState::DATATYPE_MISMATCH,
                format!("argument of {construct} must be type boolean, not type {}", from.name()),
            )
            .at(position)
        })
    }

    /// `CAST(value AS target)`.
    pub(super) fn coerce_explicitly(
        &mut self,
        value: Box<Bound>,
        target: SqlType,
        position: usize,
    ) -> Result<Box<Bound>> {
        let from = value.data_type();
        let converted = self.coerce(value, target, CastContext::Explicit)?;
        converted.ok_or_else(|| cannot_cast(from, target.data_type).at(position))
    }

    /// Converts all to their common type; `construct` ("CASE", "COALESCE" …) names the place for the message.
    pub(super) fn coerce_to_common_type(
        &mut self,
        values: Vec<Box<Bound>>,
        construct: &str,
    ) -> Result<(Vec<Box<Bound>>, SqlType)> {
        let common = common_type_of(values.iter().map(|value| &**value), construct)?;
        let modifier = values.first().map_or(-1, |first| first.sql_type.modifier);
        let same = values.iter().all(|value| value.sql_type == SqlType { data_type: common, modifier });
        let mut converted = Vec::with_capacity(values.len());
        for value in values {
            let (from, position) = (value.data_type(), value.position);
            let value =
                self.coerce(value, SqlType::plain(common), CastContext::Implicit)?.ok_or_else(|| {
                    Error::new(
                        SqlState::CANNOT_COERCE,
                        format!("{construct} could not convert type {} to {}", from.name(), common.name()),
                    )
                    .at(position)
                })?;
            converted.push(value);
        }
        Ok((converted, SqlType { data_type: common, modifier: if same { modifier } else { -1 } }))
    }
}

/// The common type of `values`, or `42804` at the value that does not fit.
pub(super) fn common_type_of<'v>(
    values: impl Iterator<Item = &'v Bound> + Clone,
    construct: &str,
) -> Result<DataType> {
    common_type(values.clone().map(Bound::data_type)).map_err(|(first, other)| {
        let position =
            values.clone().find(|value| value.data_type() == other).map_or(0, |value| value.position);
        Error::new(
            SqlState::DATATYPE_MISMATCH,
            format!("{construct} types {} and {} cannot be matched", first.name(), other.name()),
        )
        .at(position)
    })
}

fn cannot_cast(from: DataType, to: DataType) -> Error {
    Error::new(SqlState::CANNOT_COERCE, format!("cannot cast type {} to {}", from.name(), to.name()))
}

/// Whether a cast that needs at least the context `needed` may happen in `context`.
fn allows(context: CastContext, needed: CastContext) -> bool {
    match context {
        CastContext::Explicit => true,
        CastContext::Assignment => needed != CastContext::Explicit,
        CastContext::Implicit => needed == CastContext::Implicit,
    }
}

fn with_cast(mut value: Box<Bound>, target: SqlType, context: CastContext) -> Box<Bound> {
    wrap_cast(&mut value, target, context == CastContext::Explicit);
    value
}

fn wrap_cast(value: &mut Bound, target: SqlType, explicit: bool) {
    let placeholder = Expression::Constant { value: Datum::Null, data_type: DataType::Unknown };
    let input = Box::new(std::mem::replace(&mut value.expression, placeholder));
    value.expression = Expression::Cast { input, target, explicit, position: value.position };
    value.sql_type = target;
}

/// A numeric constant as a wider type, where that cannot fail; so `bigint_column = 1` compares with a constant.
/// An integer that fits is narrowed to smallint as well: only assignments and explicit casts ask for it.
fn widened_constant(expression: &Expression, target: DataType) -> Option<Datum> {
    let Expression::Constant { value, .. } = expression else { return None };
    let number: i64 = match value {
        Datum::Null => return Some(Datum::Null),
        Datum::SmallInt(number) => i64::from(*number),
        Datum::Integer(number) => i64::from(*number),
        Datum::BigInt(number) => *number,
        _ => return None,
    };
    match target {
        DataType::SmallInt => i16::try_from(number).ok().map(Datum::SmallInt),
        DataType::Integer => i32::try_from(number).ok().map(Datum::Integer),
        DataType::BigInt => Some(Datum::BigInt(number)),
        DataType::Numeric => Some(Datum::Numeric(Numeric {
            mantissa: i128::from(number),
            scale: 0,
            kind: NumericKind::Finite,
        })),
        DataType::Double if number.unsigned_abs() <= 1 << 53 => Some(Datum::Double(number as f64)),
        _ => None,
    }
}
