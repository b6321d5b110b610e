//! A session as workloads use it: prepared statements by their text, rows as numbers and texts.
//! Knows nothing of what is recorded.

use hashbrown::HashMap;
use lumos_core::database::Database;
use lumos_core::error::{Error, Result};
use lumos_core::session::{Prepared, Session};
use lumos_core::sql::evaluate::row::{RowSink, RowSource};
use lumos_core::sql::types::datum::{Datum, DatumRef};
use std::sync::Arc;

/// A value of a row.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Cell {
    /// NULL.
    Null,
    /// A number.
    Number(i64),
    /// Anything else, as text.
    Text(String),
}

impl Cell {
    fn new(value: DatumRef<'_>) -> Cell {
        match value {
            DatumRef::Null => Cell::Null,
            DatumRef::BigInt(number) => Cell::Number(number),
            DatumRef::Integer(number) => Cell::Number(i64::from(number)),
            DatumRef::Numeric(number) => {
                let text = number.to_string();
                text.parse().map_or(Cell::Text(text), Cell::Number)
            }
            DatumRef::Text(text) => Cell::Text(text.to_owned()),
            other => Cell::Text(format!("{other:?}")),
        }
    }

    /// The number; NULL is 0.
    pub fn number(&self) -> i64 {
        if let Cell::Number(number) = self { *number } else { 0 }
    }

    /// The text; empty for others.
    pub fn text(&self) -> &str {
        if let Cell::Text(text) = self { text } else { "" }
    }
}

/// What a statement gave.
#[derive(Clone, Default, Debug)]
pub struct Answer {
    /// Its rows.
    pub rows: Vec<Vec<Cell>>,
    /// Rows that it changed.
    pub affected: u64,
}

impl Answer {
    /// The first value of the first row as a number; 0 where there is none.
    pub fn number(&self) -> i64 {
        self.rows.first().and_then(|row| row.first()).map_or(0, Cell::number)
    }
}

struct Rows(Vec<Vec<Cell>>);

impl RowSink for Rows {
    fn row(&mut self, values: &dyn RowSource, count: usize) -> Result<()> {
        self.0.push((0..count).map(|index| Cell::new(values.datum(index))).collect());
        Ok(())
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

/// One session.
pub struct Client {
    /// The session itself.
    pub session: Session,
    prepared: HashMap<String, Arc<Prepared>>,
}

impl Client {
    /// A new session of `database`; its commits wait for nothing unless it is told otherwise.
    /// # Errors
    /// What connecting raises.
    pub fn new(database: &Arc<Database>) -> Result<Client> {
        Ok(Client { session: database.connect()?, prepared: HashMap::new() })
    }

    /// Runs one statement, by the short path where it can.
    /// # Errors
    /// Those of the statement.
    pub fn run(&mut self, sql: &str, values: &[Datum]) -> Result<Answer> {
        let statement = match self.prepared.get(sql) {
            Some(statement) => Arc::clone(statement),
            None => {
                let (statement, _) = self.session.prepare(sql)?;
                let statement = statement.ok_or_else(|| Error::internal("no statement"))?;
                self.prepared.insert(sql.to_owned(), Arc::clone(&statement));
                statement
            }
        };
        let mut sink = Rows(Vec::new());
        if let Some(result) = self.session.run_point(&statement, values, &mut sink)? {
            return Ok(Answer { rows: sink.0, affected: result.affected.unwrap_or(0) });
        }
        let mut portal = self.session.execute(&statement, values)?;
        let mut rows = sink.0;
        while let Some(batch) = self.session.fetch(&mut portal)? {
            for row in batch.row_numbers() {
                rows.push(batch.columns.iter().map(|column| Cell::new(column.datum(row))).collect());
            }
        }
        let affected = portal.affected().unwrap_or(0);
        self.session.close(portal);
        Ok(Answer { rows, affected })
    }

    /// Ends whatever block is open.
    pub fn roll_back(&mut self) {
        // Outside a block there is nothing to undo.
        let _none_open = self.session.rollback();
    }
}

/// A bigint parameter.
pub fn number(value: u64) -> Datum {
    Datum::BigInt(value as i64)
}

/// A text parameter.
pub fn text(value: &str) -> Datum {
    Datum::Text(Arc::from(value))
}
