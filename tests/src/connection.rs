//! A session as sqllogictest wants to see a database. A panic inside the engine becomes an error here.

use crate::value::{ValueStyle, column_type, render};
use lumos_core::database::Database;
use lumos_core::error::{Error, Result};
use lumos_core::session::{Prepared, Session};
use lumos_core::sql::evaluate::row::{RowSink, RowSource};
use lumos_core::sql::types::cast::CastEnvironment;
use lumos_core::sql::types::data_type::DataType;
use sqllogictest::{DBOutput, DefaultColumnType};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

/// The executor path that statements take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Path {
    /// Pipelines of batches only.
    Vectorised,
    /// The short path wherever it can run.
    Point,
    /// As the optimizer decides.
    Auto,
}

impl Path {
    /// The setting's word.
    pub fn word(self) -> &'static str {
        match self {
            Path::Vectorised => "vectorised",
            Path::Point => "point",
            Path::Auto => "auto",
        }
    }
}

/// What the harness sees of a record beside its result.
#[derive(Clone, Default, Debug)]
pub struct Observed {
    /// SQL texts sent since it was last taken.
    pub texts: u64,
    /// SQLSTATE of the last text, where it failed.
    pub state: Option<String>,
    /// The engine panicked.
    pub panicked: bool,
    /// Statements that the short path ran.
    pub on_point: u64,
    /// Other statements with a plan.
    pub on_pipelines: u64,
}

/// Shared between a file's connections and the harness.
#[derive(Clone, Default, Debug)]
pub struct Observer(Arc<Mutex<Observed>>);

impl Observer {
    /// Looks at, or changes, what was observed.
    pub fn with<R>(&self, look: impl FnOnce(&mut Observed) -> R) -> R {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The engine's error, or its panic.
#[derive(Debug)]
pub struct Failure {
    state: String,
    text: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.state, self.text)
    }
}

impl std::error::Error for Failure {}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure { state: error.state().as_str().to_owned(), text: error.message().to_owned() }
    }
}

/// One session.
pub struct Connection {
    session: Session,
    path: Path,
    style: ValueStyle,
    observer: Observer,
}

/// Rows of the short path.
struct Rows<'a> {
    types: &'a [DataType],
    style: ValueStyle,
    environment: CastEnvironment<'a>,
    rows: Vec<Vec<String>>,
}

impl RowSink for Rows<'_> {
    fn row(&mut self, values: &dyn RowSource, count: usize) -> Result<()> {
        let render = |index| render(values.datum(index), self.types[index], self.style, &self.environment);
        self.rows.push((0..count).map(render).collect());
        Ok(())
    }

    fn clear(&mut self) {
        self.rows.clear();
    }
}

impl Connection {
    /// A new session of `database`.
    /// # Errors
    /// What connecting and setting the path raise.
    pub fn open(
        database: &Arc<Database>,
        path: Path,
        style: ValueStyle,
        observer: Observer,
    ) -> std::result::Result<Connection, Failure> {
        let mut session = database.connect()?;
        session.set("lumos.execution_path", path.word())?;
        session.set("timezone", "UTC")?;
        Ok(Connection { session, path, style, observer })
    }

    fn run_text(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>> {
        let (statement, taken) = self.session.prepare(sql)?;
        let Some(statement) = statement else { return Ok(DBOutput::StatementComplete(0)) };
        if !sql[taken..].trim().is_empty() {
            return Ok(DBOutput::StatementComplete(self.session.execute_script(sql)?));
        }
        let types: Vec<DataType> =
            statement.columns().iter().map(|column| column.sql_type.data_type).collect();
        let (rows, affected) = self.run_statement(&statement, &types)?;
        if !statement.returns_rows() {
            return Ok(DBOutput::StatementComplete(affected.unwrap_or(0)));
        }
        Ok(DBOutput::Rows { types: types.into_iter().map(column_type).collect(), rows })
    }

    fn run_statement(
        &mut self,
        statement: &Arc<Prepared>,
        types: &[DataType],
    ) -> Result<(Vec<Vec<String>>, Option<u64>)> {
        let (zone, text_style) = self.session.text_forms();
        let environment = CastEnvironment { zone: &zone, now: 0, style: text_style };
        let style = self.style;
        let mut sink = Rows { types, style, environment, rows: Vec::new() };
        if self.path != Path::Vectorised
            && let Some(result) = self.session.run_point(statement, &[], &mut sink)?
        {
            self.observer.with(|observed| observed.on_point += 1);
            return Ok((sink.rows, result.affected));
        }
        let mut portal = self.session.execute(statement, &[])?;
        let mut rows = Vec::new();
        while let Some(batch) = self.session.fetch(&mut portal)? {
            for row in batch.row_numbers() {
                let column = |(column, data_type): (usize, &DataType)| {
                    render(batch.columns[column].datum(row), *data_type, style, &sink.environment)
                };
                rows.push(types.iter().enumerate().map(column).collect());
            }
        }
        let affected = portal.affected();
        self.session.close(portal);
        self.observer.with(|observed| observed.on_pipelines += 1);
        Ok((rows, affected))
    }
}

impl sqllogictest::DB for Connection {
    type Error = Failure;
    type ColumnType = DefaultColumnType;

    fn run(&mut self, sql: &str) -> std::result::Result<DBOutput<DefaultColumnType>, Failure> {
        let result = catch_unwind(AssertUnwindSafe(|| self.run_text(sql)));
        let result = match result {
            Ok(result) => result.map_err(Failure::from),
            Err(payload) => {
                self.session.after_panic();
                self.observer.with(|observed| observed.panicked = true);
                let text = payload.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("unknown");
                Err(Failure { state: "panic".to_owned(), text: text.to_owned() })
            }
        };
        self.observer.with(|observed| {
            observed.texts += 1;
            observed.state = result.as_ref().err().map(|failure| failure.state.clone());
        });
        result
    }

    fn engine_name(&self) -> &str {
        "postgresql"
    }

    fn error_sql_state(failure: &Failure) -> Option<String> {
        Some(failure.state.clone())
    }
}
