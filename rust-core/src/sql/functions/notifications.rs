//! Functions of LISTEN and NOTIFY: pg_notify, pg_listening_channels, pg_notification_queue_usage.
//! Knows texts. When a message is sent, and to whom, the session knows.

use crate::batch::builder::ColumnBuilder;
use crate::batch::column::Column;
use crate::error::{Error, Result};
use crate::sql::functions::kernel::{self, Float8, function};
use crate::sql::functions::lines::{Lines, texts};
use crate::sql::functions::registry::{Environment, RowSet, ScalarFunction, TableFunction, Volatility};
use crate::sql::types::data_type::{DataType, SqlType};
use crate::sql::types::datum::{Datum, DatumRef};
use std::sync::Arc;

/// What functions may do with the session's messages.
pub trait Notifications {
    /// Sends a message when the transaction commits.
    /// # Errors
    /// `22023`, `53200`.
    fn notify(&self, channel: &str, payload: &str) -> Result<()>;
    /// The channels that the session listens to.
    fn channels(&self) -> Vec<Arc<str>>;
    /// How full the fullest queue is, from 0 to 1.
    fn usage(&self) -> f64;
}

fn notifications(environment: &dyn Environment) -> Result<&dyn Notifications> {
    environment.notifications().ok_or_else(|| Error::internal("a notification without a session"))
}

fn notify(values: [DatumRef<'_>; 2], environment: &dyn Environment) -> Result<()> {
    let [channel, payload] = values.map(|value| match value {
        DatumRef::Text(text) => text,
        _ => "",
    });
    notifications(environment)?.notify(channel, payload)
}

static FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction {
        name: "pg_notify",
        arguments: &[DataType::Text, DataType::Text],
        variadic: false,
        returns: DataType::Text,
        strict: false,
        volatility: Volatility::Volatile,
        documentation: "sends a message to a channel when the transaction commits; gives an empty text",
        vector: |columns, rows, environment| notify_rows(columns, rows, environment),
        scalar: |datums, environment| {
            notify([datums[0], datums[1]], environment)?;
            Ok(Datum::text(""))
        },
    },
    function!("pg_notification_queue_usage", () -> Float8, Volatile, "how full the fullest queue of notifications is, from 0 to 1", |(), environment| Ok(notifications(environment)?.usage())),
];

fn notify_rows(columns: &[Arc<Column>], rows: RowSet<'_>, environment: &dyn Environment) -> Result<Column> {
    let count = kernel::row_count(rows);
    let mut builder = ColumnBuilder::new(SqlType::plain(DataType::Text), count);
    kernel::for_rows(rows, None, |row| {
        notify([columns[0].datum(row), columns[1].datum(row)], environment)?;
        builder.push_nulls(row - builder.len());
        builder.push_str("");
        Ok(())
    })?;
    builder.push_nulls(count - builder.len());
    Ok(builder.finish())
}

pub(super) static TABLES: &[&[ScalarFunction]] = &[FUNCTIONS];

pub(super) static TABLE: &[TableFunction] = &[TableFunction {
    name: "pg_listening_channels",
    arguments: &[],
    columns: &[("pg_listening_channels", DataType::Text)],
    strict: true,
    documentation: "The channels that the session listens to.",
    start: |_, environment| {
        let columns = |channels: &[Arc<str>]| vec![texts(channels, |channel| Some(&**channel))];
        Ok(Box::new(Lines::new(notifications(environment)?.channels(), columns)))
    },
}];
