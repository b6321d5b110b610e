//! Advisory locks as functions: on one number or two, of the session or of the transaction.
//! Knows numbers. Who waits for whom, the session knows. What gives nothing in PostgreSQL gives an empty text here.

use crate::batch::builder::ColumnBuilder;
use crate::batch::column::Column;
use crate::common::ids::AdvisoryKey;
use crate::error::{Error, Result};
use crate::sql::functions::activity::{AdvisoryLock, sessions};
use crate::sql::functions::kernel;
use crate::sql::functions::registry::{Environment, RowSet, ScalarFunction, Volatility};
use crate::sql::types::data_type::{DataType, SqlType};
use crate::sql::types::datum::{Datum, DatumRef};
use std::sync::Arc;

fn key(values: &[DatumRef<'_>]) -> Result<Option<AdvisoryKey>> {
    match *values {
        [DatumRef::BigInt(number)] => Ok(Some(AdvisoryKey::One(number))),
        [DatumRef::Integer(first), DatumRef::Integer(second)] => Ok(Some(AdvisoryKey::Two(first, second))),
        _ if values.iter().any(|value| value.is_null()) => Ok(None),
        _ => Err(Error::internal("an advisory lock is on a bigint or on two integers")),
    }
}

fn nothing() -> Datum {
    Datum::Text(Arc::from(""))
}

fn lock(
    values: &[DatumRef<'_>],
    environment: &dyn Environment,
    is_shared: bool,
    is_of_transaction: bool,
    waits: bool,
) -> Result<Datum> {
    let Some(key) = key(values)? else { return Ok(Datum::Null) };
    let wanted = AdvisoryLock { key, is_shared, is_of_transaction, waits };
    let is_granted = sessions(environment)?.lock(wanted)?;
    Ok(if waits { nothing() } else { Datum::Boolean(is_granted) })
}

fn unlock(values: &[DatumRef<'_>], environment: &dyn Environment, is_shared: bool) -> Result<Datum> {
    let Some(key) = key(values)? else { return Ok(Datum::Null) };
    Ok(Datum::Boolean(sessions(environment)?.unlock(key, is_shared)))
}

/// Each row is a call of its own, also where the numbers are the same in all of them.
fn each_row(
    columns: &[Arc<Column>],
    rows: RowSet<'_>,
    environment: &dyn Environment,
    returns: DataType,
    call: impl Fn(&[DatumRef<'_>], &dyn Environment) -> Result<Datum>,
) -> Result<Column> {
    let count = kernel::row_count(rows);
    let mut builder = ColumnBuilder::new(SqlType::plain(returns), count);
    kernel::for_rows(rows, None, |row| {
        builder.push_nulls_to(row);
        let mut values = [DatumRef::Null; 2];
        for (value, column) in values.iter_mut().zip(columns) {
            *value = column.datum(row);
        }
        let result = call(&values[..columns.len()], environment)?;
        builder.push_datum(result.as_ref());
        Ok(())
    })?;
    builder.push_nulls_to(count);
    Ok(builder.finish())
}

macro_rules! advisory {
    ($name:expr, [$($argument:expr),*], $returns:expr, $documentation:expr, $call:expr) => {
        ScalarFunction {
            name: $name,
            arguments: &[$($argument),*],
            variadic: false,
            returns: $returns,
            strict: true,
            volatility: Volatility::Volatile,
            documentation: $documentation,
            vector: |columns, rows, environment| each_row(columns, rows, environment, $returns, $call),
            scalar: $call,
        }
    };
}

#[rustfmt::skip]
static FUNCTIONS: &[ScalarFunction] = &[
    advisory!("pg_advisory_lock", [DataType::BigInt], DataType::Text, "waits for an exclusive lock of the session on a number", |values, environment| lock(values, environment, false, false, true)),
    advisory!("pg_advisory_lock", [DataType::Integer, DataType::Integer], DataType::Text, "waits for an exclusive lock of the session on two numbers", |values, environment| lock(values, environment, false, false, true)),
    advisory!("pg_advisory_lock_shared", [DataType::BigInt], DataType::Text, "waits for a shared lock of the session on a number", |values, environment| lock(values, environment, true, false, true)),
    advisory!("pg_advisory_lock_shared", [DataType::Integer, DataType::Integer], DataType::Text, "waits for a shared lock of the session on two numbers", |values, environment| lock(values, environment, true, false, true)),
    advisory!("pg_advisory_xact_lock", [DataType::BigInt], DataType::Text, "waits for an exclusive lock of the transaction on a number", |values, environment| lock(values, environment, false, true, true)),
    advisory!("pg_advisory_xact_lock", [DataType::Integer, DataType::Integer], DataType::Text, "waits for an exclusive lock of the transaction on two numbers", |values, environment| lock(values, environment, false, true, true)),
    advisory!("pg_advisory_xact_lock_shared", [DataType::BigInt], DataType::Text, "waits for a shared lock of the transaction on a number", |values, environment| lock(values, environment, true, true, true)),
    advisory!("pg_advisory_xact_lock_shared", [DataType::Integer, DataType::Integer], DataType::Text, "waits for a shared lock of the transaction on two numbers", |values, environment| lock(values, environment, true, true, true)),
    advisory!("pg_try_advisory_lock", [DataType::BigInt], DataType::Boolean, "takes without waiting an exclusive lock of the session on a number; false: somebody else is in the way", |values, environment| lock(values, environment, false, false, false)),
    advisory!("pg_try_advisory_lock", [DataType::Integer, DataType::Integer], DataType::Boolean, "takes without waiting an exclusive lock of the session on two numbers; false: somebody else is in the way", |values, environment| lock(values, environment, false, false, false)),
    advisory!("pg_try_advisory_lock_shared", [DataType::BigInt], DataType::Boolean, "takes without waiting a shared lock of the session on a number; false: somebody else is in the way", |values, environment| lock(values, environment, true, false, false)),
    advisory!("pg_try_advisory_lock_shared", [DataType::Integer, DataType::Integer], DataType::Boolean, "takes without waiting a shared lock of the session on two numbers; false: somebody else is in the way", |values, environment| lock(values, environment, true, false, false)),
    advisory!("pg_try_advisory_xact_lock", [DataType::BigInt], DataType::Boolean, "takes without waiting an exclusive lock of the transaction on a number; false: somebody else is in the way", |values, environment| lock(values, environment, false, true, false)),
    advisory!("pg_try_advisory_xact_lock", [DataType::Integer, DataType::Integer], DataType::Boolean, "takes without waiting an exclusive lock of the transaction on two numbers; false: somebody else is in the way", |values, environment| lock(values, environment, false, true, false)),
    advisory!("pg_try_advisory_xact_lock_shared", [DataType::BigInt], DataType::Boolean, "takes without waiting a shared lock of the transaction on a number; false: somebody else is in the way", |values, environment| lock(values, environment, true, true, false)),
    advisory!("pg_try_advisory_xact_lock_shared", [DataType::Integer, DataType::Integer], DataType::Boolean, "takes without waiting a shared lock of the transaction on two numbers; false: somebody else is in the way", |values, environment| lock(values, environment, true, true, false)),
    advisory!("pg_advisory_unlock", [DataType::BigInt], DataType::Boolean, "gives back an exclusive lock of the session on a number; false, and a warning: it has none", |values, environment| unlock(values, environment, false)),
    advisory!("pg_advisory_unlock", [DataType::Integer, DataType::Integer], DataType::Boolean, "gives back an exclusive lock of the session on two numbers; false, and a warning: it has none", |values, environment| unlock(values, environment, false)),
    advisory!("pg_advisory_unlock_shared", [DataType::BigInt], DataType::Boolean, "gives back a shared lock of the session on a number; false, and a warning: it has none", |values, environment| unlock(values, environment, true)),
    advisory!("pg_advisory_unlock_shared", [DataType::Integer, DataType::Integer], DataType::Boolean, "gives back a shared lock of the session on two numbers; false, and a warning: it has none", |values, environment| unlock(values, environment, true)),
    advisory!("pg_advisory_unlock_all", [], DataType::Text, "gives back every advisory lock of the session", |_, environment| {
        sessions(environment)?.unlock_all();
        Ok(nothing())
    }),
];

pub(super) static TABLES: &[&[ScalarFunction]] = &[FUNCTIONS];
