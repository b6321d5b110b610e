//! Functions of FROM that count: `generate_series`.

use crate::batch::builder::ColumnBuilder;
use crate::batch::column::Column;
use crate::error::{Error, Result, SqlState};
use crate::sql::functions::registry::{TableFunction, TableFunctionRows};
use crate::sql::types::compare::{compare, interval_key};
use crate::sql::types::data_type::{DataType, SqlType};
use crate::sql::types::datetime_fields::{add_interval, add_interval_zoned};
use crate::sql::types::datum::{Datum, DatumRef, Interval, Numeric, NumericKind};
use jiff::tz::TimeZone;
use std::cmp::Ordering;
use std::sync::Arc;

/// The definitions.
pub(super) static TABLE: &[TableFunction] = &[
    TableFunction {
        name: "generate_series",
        arguments: &[DataType::Integer, DataType::Integer],
        columns: &[("generate_series", DataType::Integer)],
        strict: true,
        documentation: "The numbers from the first argument to the second.",
        start: |arguments, _| numbers(arguments, DataType::Integer),
    },
    TableFunction {
        name: "generate_series",
        arguments: &[DataType::Integer, DataType::Integer, DataType::Integer],
        columns: &[("generate_series", DataType::Integer)],
        strict: true,
        documentation: "The numbers from the first argument to the second, in steps of the third.",
        start: |arguments, _| numbers(arguments, DataType::Integer),
    },
    TableFunction {
        name: "generate_series",
        arguments: &[DataType::BigInt, DataType::BigInt],
        columns: &[("generate_series", DataType::BigInt)],
        strict: true,
        documentation: "The numbers from the first argument to the second.",
        start: |arguments, _| numbers(arguments, DataType::BigInt),
    },
    TableFunction {
        name: "generate_series",
        arguments: &[DataType::BigInt, DataType::BigInt, DataType::BigInt],
        columns: &[("generate_series", DataType::BigInt)],
        strict: true,
        documentation: "The numbers from the first argument to the second, in steps of the third.",
        start: |arguments, _| numbers(arguments, DataType::BigInt),
    },
    TableFunction {
        name: "generate_series",
        arguments: &[DataType::Timestamp, DataType::Timestamp, DataType::Interval],
        columns: &[("generate_series", DataType::Timestamp)],
        strict: true,
        documentation: "The moments from the first argument to the second, in steps of the third.",
        start: |arguments, _| moments(arguments, DataType::Timestamp, TimeZone::UTC),
    },
    TableFunction {
        name: "generate_series",
        arguments: &[DataType::TimestampTz, DataType::TimestampTz, DataType::Interval],
        columns: &[("generate_series", DataType::TimestampTz)],
        strict: true,
        documentation: "The moments from the first argument to the second, in steps of the third.",
        start: |arguments, environment| {
            moments(arguments, DataType::TimestampTz, environment.time_zone().clone())
        },
    },
    TableFunction {
        name: "generate_series",
        arguments: &[DataType::Numeric, DataType::Numeric],
        columns: &[("generate_series", DataType::Numeric)],
        strict: true,
        documentation: "The numbers from the first argument to the second.",
        start: |arguments, _| numerics(arguments),
    },
    TableFunction {
        name: "generate_series",
        arguments: &[DataType::Numeric, DataType::Numeric, DataType::Numeric],
        columns: &[("generate_series", DataType::Numeric)],
        strict: true,
        documentation: "The numbers from the first argument to the second, in steps of the third.",
        start: |arguments, _| numerics(arguments),
    },
];

/// Moments from `next` to `last`.
struct Moments {
    /// `None`: at the end.
    next: Option<i64>,
    last: i64,
    step: Interval,
    backward: bool,
    data_type: DataType,
    zone: TimeZone,
}

fn moments(arguments: &[Datum], data_type: DataType, zone: TimeZone) -> Result<Box<dyn TableFunctionRows>> {
    let (first, last, step) = match arguments {
        [Datum::Timestamp(first), Datum::Timestamp(last), Datum::Interval(step)]
        | [Datum::TimestampTz(first), Datum::TimestampTz(last), Datum::Interval(step)] => {
            (*first, *last, *step)
        }
        _ => return Err(Error::internal("generate_series over something that is no moment")),
    };
    let size = interval_key(step);
    if size == 0 {
        return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, "step size cannot equal zero"));
    }
    Ok(Box::new(Moments { next: Some(first), last, step, backward: size < 0, data_type, zone }))
}

impl TableFunctionRows for Moments {
    fn next(&mut self, rows_max: usize) -> Result<Vec<Arc<Column>>> {
        let mut builder = ColumnBuilder::new(SqlType::plain(self.data_type), rows_max.min(2048));
        while builder.len() < rows_max {
            let Some(value) = self.next else { break };
            if (!self.backward && value > self.last) || (self.backward && value < self.last) {
                self.next = None;
                break;
            }
            builder.push_i64(value);
            self.next = Some(match self.data_type {
                DataType::Timestamp => add_interval(value, self.step)?,
                _ => add_interval_zoned(value, self.step, &self.zone)?,
            });
        }
        Ok(if builder.is_empty() { Vec::new() } else { vec![Arc::new(builder.finish())] })
    }
}

/// Numbers of any scale from `next` to `last`.
struct Numerics {
    /// `None`: at the end.
    next: Option<Numeric>,
    last: Numeric,
    step: Numeric,
    backward: bool,
}

fn numerics(arguments: &[Datum]) -> Result<Box<dyn TableFunctionRows>> {
    let (first, last, step) = match arguments {
        [Datum::Numeric(first), Datum::Numeric(last)] => (*first, *last, one()),
        [Datum::Numeric(first), Datum::Numeric(last), Datum::Numeric(step)] => (*first, *last, *step),
        _ => return Err(Error::internal("generate_series over something that is no numeric")),
    };
    for (value, name) in [(first, "start"), (last, "stop"), (step, "step size")] {
        if value.kind != NumericKind::Finite {
            let message = format!("{name} value cannot be NaN or infinity");
            return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, message));
        }
    }
    if step.mantissa == 0 {
        return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, "step size cannot equal zero"));
    }
    Ok(Box::new(Numerics { next: Some(first), last, step, backward: step.mantissa < 0 }))
}

fn one() -> Numeric {
    Numeric { mantissa: 1, scale: 0, kind: NumericKind::Finite }
}

impl TableFunctionRows for Numerics {
    fn next(&mut self, rows_max: usize) -> Result<Vec<Arc<Column>>> {
        let mut builder = ColumnBuilder::new(SqlType::plain(DataType::Numeric), rows_max.min(2048));
        while builder.len() < rows_max {
            let Some(value) = self.next else { break };
            let order = compare(DatumRef::Numeric(value), DatumRef::Numeric(self.last), DataType::Numeric);
            if order == if self.backward { Ordering::Less } else { Ordering::Greater } {
                self.next = None;
                break;
            }
            builder.push_numeric(value);
            self.next = Some(value.add(self.step)?);
        }
        Ok(if builder.is_empty() { Vec::new() } else { vec![Arc::new(builder.finish())] })
    }
}

/// Whole numbers from `next` to `last`.
struct Numbers {
    /// `None`: at the end.
    next: Option<i64>,
    last: i64,
    step: i64,
    data_type: DataType,
}

fn whole(value: &Datum) -> Result<i64> {
    match value {
        Datum::Integer(value) => Ok(i64::from(*value)),
        Datum::BigInt(value) => Ok(*value),
        _ => Err(Error::internal("generate_series over something that is no whole number")),
    }
}

fn numbers(arguments: &[Datum], data_type: DataType) -> Result<Box<dyn TableFunctionRows>> {
    let [first, last, rest @ ..] = arguments else {
        return Err(Error::internal("generate_series with fewer arguments than two"));
    };
    let step = rest.first().map_or(Ok(1), whole)?;
    if step == 0 {
        return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, "step size cannot equal zero"));
    }
    Ok(Box::new(Numbers { next: Some(whole(first)?), last: whole(last)?, step, data_type }))
}

impl TableFunctionRows for Numbers {
    fn next(&mut self, rows_max: usize) -> Result<Vec<Arc<Column>>> {
        let mut builder = ColumnBuilder::new(SqlType::plain(self.data_type), rows_max.min(2048));
        while builder.len() < rows_max {
            let Some(value) = self.next else { break };
            if (self.step > 0 && value > self.last) || (self.step < 0 && value < self.last) {
                self.next = None;
                break;
            }
            match self.data_type {
                // Every value lies between the two ends, which are integers.
                DataType::Integer => builder.push_i32(value as i32),
                _ => builder.push_i64(value),
            }
            self.next = value.checked_add(self.step);
        }
        Ok(if builder.is_empty() { Vec::new() } else { vec![Arc::new(builder.finish())] })
    }
}
