//! Functions of FROM that count: `generate_series`.

use crate::batch::builder::ColumnBuilder;
use crate::batch::column::Column;
use crate::error::{Error, Result, SqlState};
use crate::sql::functions::registry::{TableFunction, TableFunctionRows};
use crate::sql::types::data_type::{DataType, SqlType};
use crate::sql::types::datum::Datum;
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
];

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
