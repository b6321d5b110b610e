//! COPY: rows come from a file or the caller into an INSERT's plan, or go from a query to one of them, piece by piece.

use crate::batch::batch::Batch;
use crate::batch::builder::ColumnBuilder;
use crate::common::arena::Arena;
use crate::common::limits::BATCH_ROWS;
use crate::common::sync::Arc;
use crate::error::{Error, Result, SqlState};
use crate::file::format::{FileFormat, Header};
use crate::file::line::ReadBytes;
use crate::file::reader::RowReader;
use crate::file::writer::RowWriter;
use crate::io::vfs::{File, OpenMode};
use crate::session::block::Block;
use crate::session::portal::{Portal, PortalState};
use crate::session::prepared::{self, Body, Plan, Prepared, Stamp};
use crate::session::result::PreparedKind;
use crate::session::session::Session;
use crate::session::transactions::refuse_read_only;
use crate::sql::binder::bound::{BoundStatement, CopyFile, CopyFormat, CopyHeader, CopyStatement};
use crate::sql::executor::{self, Supply};
use crate::sql::functions::registry::Environment;
use crate::sql::plan::logical::LogicalPlan;
use crate::sql::plan::physical::StatementKind;
use crate::sql::types::cast::CastEnvironment;
use crate::sql::types::data_type::{DataType, SqlType};
use crate::sql::types::text::to_varchar;
use crate::sql::types::text_form::{datum_to_text, text_to_datum};
use std::collections::VecDeque;
use std::path::Path;

/// What every database file begins with.
const DATABASE_MAGIC: &[u8] = b"LUMOS\x1a\r\n";
/// Bytes that COPY TO hands on at once, about.
const WRITE_BYTES: usize = 64 << 10;

/// Bytes of values that COPY FROM puts into one batch, about, or this share of the memory limit: nobody charges them.
const READ_BYTES_A_BATCH: usize = 4 << 20;
const READ_MEMORY_SHARE: usize = 64;

/// Which end of a COPY the caller holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CopyDirection {
    /// FROM STDIN: for [`Session::copy_in`].
    In,
    /// TO STDOUT: for [`Session::copy_out`].
    Out,
}

/// What a COPY reads from or writes to.
enum Channel<'a> {
    /// The file that the statement names.
    File,
    Read(&'a mut ReadBytes<'a>),
    Write(&'a mut (dyn FnMut(&[u8]) -> Result<()> + 'a)),
}

/// The direction of a COPY with the caller; `None`: with a file.
pub(crate) fn direction(copy: &CopyStatement) -> Option<CopyDirection> {
    match (&copy.file, copy.from) {
        (CopyFile::Path(_), _) => None,
        (CopyFile::Caller, true) => Some(CopyDirection::In),
        (CopyFile::Caller, false) => Some(CopyDirection::Out),
    }
}

fn format_of(format: &CopyFormat) -> FileFormat {
    FileFormat {
        csv: format.csv,
        delimiter: format.delimiter,
        null: format.null.clone(),
        header: match format.header {
            CopyHeader::None => Header::None,
            CopyHeader::Names => Header::Names,
            CopyHeader::Match => Header::Match,
        },
        quote: format.quote,
        escape: format.escape,
        force_quote: format.force_quote.clone(),
        force_not_null: format.force_not_null.clone(),
        force_null: format.force_null.clone(),
    }
}

impl Session {
    /// COPY … FROM STDIN: `read` fills a part of its buffer and says how much, 0 at the end. Gives the rows put in.
    /// An error of `read` ends the statement; nothing is put in then.
    /// # Errors
    /// What preparing the statement raises; `42601` for any other statement; `22P04`, `22P02`, `22021` for the data,
    /// with line and column as the context; what inserting raises; `57014`.
    pub fn copy_in(&mut self, sql: &str, read: &mut dyn FnMut(&mut [u8]) -> Result<usize>) -> Result<u64> {
        let statement = self.prepare_copy(sql, CopyDirection::In)?;
        self.run_copy(&statement, Channel::Read(read))
    }

    /// COPY … TO STDOUT: `write` takes the bytes piece by piece. Gives the rows written. An error of `write` ends the
    /// statement.
    /// # Errors
    /// What preparing the statement raises; `42601` for any other statement; what the query raises; `57014`.
    pub fn copy_out(&mut self, sql: &str, write: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<u64> {
        let statement = self.prepare_copy(sql, CopyDirection::Out)?;
        self.run_copy(&statement, Channel::Write(write))
    }

    fn prepare_copy(&mut self, sql: &str, wanted: CopyDirection) -> Result<Arc<Prepared>> {
        let (statement, taken) = self.prepare(sql)?;
        let wrong = |message: &str| Error::new(SqlState::SYNTAX_ERROR, message);
        let error = match &statement {
            None => wrong("the text holds no statement"),
            Some(statement) if statement.copy_direction() == Some(wanted) => {
                match self.prepare(&sql[taken..]) {
                    Ok((None, _)) => return Ok(Arc::clone(statement)),
                    Ok(_) => wrong("cannot insert multiple commands into a prepared statement").at(taken),
                    Err(error) => error,
                }
            }
            Some(_) if wanted == CopyDirection::In => wrong("the statement is not COPY … FROM STDIN"),
            Some(_) => wrong("the statement is not COPY … TO STDOUT"),
        };
        self.fail_block();
        self.leave(Some(&error), false);
        Err(error)
    }

    fn run_copy(&mut self, statement: &Arc<Prepared>, channel: Channel<'_>) -> Result<u64> {
        let result = self.start_statement(statement).and_then(|()| {
            let mark = self.statement_mark(statement.kind());
            let result = self.in_block(|session, block| session.copy(statement, channel, block));
            if result.is_err() {
                self.fail_statement(mark);
            }
            result
        });
        self.leave(result.as_ref().err(), false);
        result
    }

    /// COPY with a file.
    pub(crate) fn execute_copy(&mut self, statement: &Arc<Prepared>) -> Result<Portal> {
        if let Some(direction) = statement.copy_direction() {
            let (what, hint) = match direction {
                CopyDirection::In => (
                    "COPY FROM STDIN",
                    "Give the data to lumos_copy_in (C), Conn.CopyFrom (Go) or Session::copy_in (Rust).",
                ),
                CopyDirection::Out => (
                    "COPY TO STDOUT",
                    "Take the data from lumos_copy_out (C), Conn.CopyTo (Go) or Session::copy_out (Rust).",
                ),
            };
            let message = format!("{what} cannot be run as an ordinary statement");
            return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, message).hint(hint));
        }
        let rows = self.in_block(|session, block| session.copy(statement, Channel::File, block))?;
        let state = PortalState::complete(VecDeque::new(), Some(rows));
        Ok(Portal::new(Arc::clone(statement.columns()), statement.kind(), state))
    }

    fn copy(&self, statement: &Prepared, channel: Channel<'_>, block: &mut Block) -> Result<u64> {
        let (copy, relation, plan) = self.plan_copy(statement, block)?;
        if copy.from {
            refuse_read_only(block, "COPY FROM")?;
        } else if plan.physical.kind != StatementKind::Select || plan.physical.changes_in_with {
            refuse_read_only(block, PreparedKind::from(plan.physical.kind).name())?;
        }
        block.transaction.start_statement()?;
        match (channel, &copy.file) {
            (Channel::Read(read), _) => self.copy_from(&copy, relation, &plan, read, block),
            (Channel::Write(write), _) => self.copy_to(&copy, &plan, write, block),
            (Channel::File, CopyFile::Path(path)) if copy.from => {
                let file = self
                    .engine
                    .files
                    .open(Path::new(path), OpenMode::ReadOnly)
                    .map_err(|error| of_file(error, path, "reading").at_if_unset(copy.position))?;
                let mut offset = 0;
                let mut read = |buffer: &mut [u8]| {
                    let count = file.read_at(buffer, offset)?;
                    offset += count as u64;
                    Ok(count)
                };
                self.copy_from(&copy, relation, &plan, &mut read, block)
            }
            (Channel::File, CopyFile::Path(path)) => {
                let file = self.file_to_write(path).map_err(|error| error.at_if_unset(copy.position))?;
                let mut offset = 0;
                let mut write = |bytes: &[u8]| {
                    file.write_at(bytes, offset)?;
                    offset += bytes.len() as u64;
                    Ok(())
                };
                self.copy_to(&copy, &plan, &mut write, block)
            }
            (Channel::File, CopyFile::Caller) => Err(Error::internal("COPY without an end")),
        }
    }

    /// An empty file, in the place of an older one. Never in that of a database.
    fn file_to_write(&self, path: &str) -> Result<Arc<dyn File>> {
        let named = |error| of_file(error, path, "writing");
        let file = self.engine.files.open(Path::new(path), OpenMode::CreateOrOpen).map_err(named)?;
        let mut start = [0; DATABASE_MAGIC.len()];
        if file.read_at(&mut start, 0).map_err(named)? == start.len() && start == DATABASE_MAGIC {
            return Err(Error::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("file \"{path}\" is a database, COPY does not overwrite it"),
            ));
        }
        file.set_size(0).map_err(named)?;
        Ok(file)
    }

    /// Plans the statement under definitions that its table locks keep.
    fn plan_copy(&self, statement: &Prepared, block: &mut Block) -> Result<(CopyStatement, String, Plan)> {
        loop {
            let (stamp, catalog) = self.catalog_of(block);
            let arena = Arena::new();
            let BoundStatement::Copy(mut copy) = prepared::bind_again(statement, &catalog, &arena)? else {
                return Err(Error::internal("not COPY"));
            };
            let nothing = LogicalPlan::Values { rows: Vec::new(), columns: Vec::new() };
            let logical = std::mem::replace(&mut copy.plan, nothing);
            let (kind, relation) = match &logical {
                LogicalPlan::Insert { table, .. } => (StatementKind::Insert, table.name.clone()),
                LogicalPlan::Update { table, .. } => (StatementKind::Update, table.name.clone()),
                LogicalPlan::Delete { table, .. } => (StatementKind::Delete, table.name.clone()),
                _ => (StatementKind::Select, String::new()),
            };
            let query = BoundStatement::Query { plan: logical, parameters: Vec::new(), kind };
            let plan = prepared::plan(query, stamp, &catalog, &self.engine)?;
            for (table, mode) in &plan.locks {
                block.transaction.lock_table(*table, *mode)?;
            }
            match plan.stamp {
                Stamp::Epoch(epoch) if epoch != self.engine.definitions.epoch() => {}
                _ => return Ok((*copy, relation, plan)),
            }
        }
    }

    fn copy_from(
        &self,
        copy: &CopyStatement,
        relation: String,
        plan: &Plan,
        read: &mut ReadBytes<'_>,
        block: &mut Block,
    ) -> Result<u64> {
        let names = copy.columns.iter().map(|column| column.name.clone()).collect();
        let mut supply = FileRows {
            rows: RowReader::new(format_of(&copy.format), names, relation, read, &self.engine.memory),
            types: copy.columns.iter().map(|column| column.sql_type).collect(),
            casts: self.environment.casts(),
            bytes_max: READ_BYTES_A_BATCH.min(self.engine.memory.limit() / READ_MEMORY_SHARE),
        };
        let mut context = self.context(block, &[]);
        context.supply = Some(&mut supply);
        let mut execution = executor::start(Arc::clone(&plan.physical), &mut context)?;
        while execution.next(&mut context)?.is_some() {}
        Ok(execution.affected().unwrap_or(0))
    }

    fn copy_to(
        &self,
        copy: &CopyStatement,
        plan: &Plan,
        write: &mut dyn FnMut(&[u8]) -> Result<()>,
        block: &mut Block,
    ) -> Result<u64> {
        let names = copy.columns.iter().map(|column| column.name.as_str());
        let mut rows = RowWriter::new(format_of(&copy.format), names.collect::<Vec<_>>().into_iter());
        let casts = self.environment.casts();
        let mut context = self.context(block, &[]);
        let mut execution = executor::start(Arc::clone(&plan.physical), &mut context)?;
        let mut count = 0;
        let mut text = String::new();
        while let Some(batch) = execution.next(&mut context)? {
            for row in batch.row_numbers() {
                for column in &batch.columns {
                    let value = column.datum(row);
                    if value.is_null() {
                        rows.null();
                        continue;
                    }
                    text.clear();
                    datum_to_text(value, column.data_type, &casts, &mut text);
                    rows.value(&text);
                }
                rows.end_row();
                if rows.bytes.len() >= WRITE_BYTES {
                    write(&rows.bytes)?;
                    rows.bytes.clear();
                }
            }
            count += batch.selected_rows() as u64;
        }
        if !rows.bytes.is_empty() {
            write(&rows.bytes)?;
        }
        Ok(count)
    }
}

fn of_file(error: Error, path: &str, purpose: &str) -> Error {
    // The reason alone: the message names the path before it.
    let message = error.message();
    let reason = message.split_once("\": ").map_or(message, |(_, reason)| reason);
    Error::new(error.state(), format!("could not open file \"{path}\" for {purpose}: {reason}"))
}

/// The rows of a file as batches.
struct FileRows<'a> {
    rows: RowReader<'a>,
    types: Vec<SqlType>,
    casts: CastEnvironment<'a>,
    /// A batch ends early when its values have so many bytes.
    bytes_max: usize,
}

impl Supply for FileRows<'_> {
    fn next(&mut self) -> Result<Option<Batch>> {
        let mut builders: Vec<ColumnBuilder> =
            self.types.iter().map(|sql_type| ColumnBuilder::new(*sql_type, 0)).collect();
        let (mut count, mut bytes) = (0, 0);
        while count < BATCH_ROWS && bytes < self.bytes_max && self.rows.next_row()? {
            for (column, (builder, sql_type)) in builders.iter_mut().zip(&self.types).enumerate() {
                let Some(text) = self.rows.value(column) else {
                    builder.push_null();
                    continue;
                };
                bytes += text.len();
                push(text, *sql_type, &self.casts, builder)
                    .map_err(|error| self.rows.in_column(error, column))?;
            }
            count += 1;
        }
        if count == 0 {
            return Ok(None);
        }
        let columns = builders.into_iter().map(|builder| Arc::new(builder.finish())).collect();
        Ok(Some(Batch { columns, rows: count, selection: None }))
    }
}

fn push(
    text: &str,
    sql_type: SqlType,
    casts: &CastEnvironment<'_>,
    builder: &mut ColumnBuilder,
) -> Result<()> {
    match sql_type.data_type {
        DataType::Text => builder.push_str(text),
        DataType::Varchar => builder.push_str(to_varchar(text, sql_type.character_count(), false)?),
        _ => builder.push_datum(text_to_datum(text, sql_type, casts)?.as_ref()),
    }
    Ok(())
}

impl Prepared {
    /// For COPY with the caller, which end the caller holds: such a statement runs by `copy_in` or `copy_out`.
    pub fn copy_direction(&self) -> Option<CopyDirection> {
        match &self.body {
            Body::Copy(direction) => *direction,
            _ => None,
        }
    }
}
