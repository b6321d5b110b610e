//! Runs one sqllogictest file against a fresh database, record by record. There is no list of exceptions: a
//! record that is not run has failed.

use crate::connection::{Connection, Observer, Path as ExecutionPath};
use crate::report::Report;
use crate::value::{ValueStyle, lines_are_equal};
use lumos_core::database::Database;
use lumos_core::database::options::DatabaseOptions;
use lumos_core::durability::policy::Durability;
use sqllogictest::{
    Control, DefaultColumnType, ExpectedError, QueryExpect, Record, RecordOutput, ResultMode, Runner,
    StatementExpect, parse_file, strict_column_validator,
};
use std::future::ready;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How the engine is set up for a run.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// A file in the folder for temporary files (closed, opened and verified once more at the end), or memory.
    /// Commits wait for the operating system only.
    pub on_disk: bool,
    /// The executor path.
    pub path: ExecutionPath,
    /// Bytes of a page.
    pub page_size: Option<String>,
    /// Bytes for everything.
    pub memory_limit: Option<String>,
}

impl Default for RunOptions {
    fn default() -> RunOptions {
        RunOptions { on_disk: false, path: ExecutionPath::Auto, page_size: None, memory_limit: None }
    }
}

/// A file of its own folder, gone when dropped.
struct Place(Option<PathBuf>);

impl Place {
    fn new(on_disk: bool) -> std::io::Result<Place> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        if !on_disk {
            return Ok(Place(None));
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("lumos-slt-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        Ok(Place(Some(folder)))
    }

    fn file(&self) -> Option<PathBuf> {
        self.0.as_ref().map(|folder| folder.join("slt.lumos"))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(folder) = &self.0 {
            // A folder for temporary files: what stays is the system's to clean.
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

impl RunOptions {
    fn open(&self, place: &Place) -> Result<Arc<Database>, String> {
        let mut options = DatabaseOptions { durability: Durability::Normal, ..DatabaseOptions::default() };
        let given = [("page_size", &self.page_size), ("memory_limit", &self.memory_limit)];
        for (name, value) in given {
            if let Some(value) = value {
                options.set(name, value).map_err(|error| error.to_string())?;
            }
        }
        Database::open(place.file().as_deref(), options).map_err(|error| format!("cannot open: {error}"))
    }
}

/// Runs a file. Everything that keeps it from running is a failure in the report.
pub fn run_file(file: &Path, options: &RunOptions) -> Report {
    let mut report = Report::default();
    if !file.is_file() {
        report.fail(format!("{}: there is no such file", file.display()));
        return report;
    }
    let records = match parse_file::<DefaultColumnType>(file) {
        Ok(records) => records,
        Err(error) => {
            report.failed = count_unparsed(file).max(1);
            report.failures.push(format!("does not parse: {error}"));
            return report;
        }
    };
    let place = match Place::new(options.on_disk) {
        Ok(place) => place,
        Err(error) => {
            report.failed = records.iter().filter(|record| counts(record)).count().max(1) as u64;
            report.failures.push(format!("no folder for the database: {error}"));
            return report;
        }
    };
    match options.open(&place) {
        Ok(database) => {
            run_records(&database, records, options, &mut report);
            verify(&database, "at the end", &mut report);
        }
        Err(reason) => {
            report.failed = records.iter().filter(|record| counts(record)).count().max(1) as u64;
            report.failures.push(reason);
            return report;
        }
    }
    if options.on_disk {
        match options.open(&place) {
            Ok(database) => verify(&database, "after reopening", &mut report),
            Err(reason) => report.fail(format!("after reopening: {reason}")),
        }
    }
    report
}

/// Records in a file that the parser refuses.
fn count_unparsed(file: &Path) -> u64 {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().filter(|line| line.starts_with("statement ") || line.starts_with("query ")).count() as u64
}

/// Whether a record is one that passes or fails.
fn counts(record: &Record<DefaultColumnType>) -> bool {
    matches!(
        record,
        Record::Statement { .. }
            | Record::Query { .. }
            | Record::System { .. }
            | Record::Let { .. }
            | Record::Sleep { .. }
            | Record::Halt { .. }
    )
}

fn place_of(record: &Record<DefaultColumnType>) -> String {
    match record {
        Record::Statement { loc, sql, .. }
        | Record::Query { loc, sql, .. }
        | Record::Let { loc, sql, .. } => format!("{loc}: {sql}"),
        _ => record.to_string(),
    }
}

fn run_records(
    database: &Arc<Database>,
    records: Vec<Record<DefaultColumnType>>,
    options: &RunOptions,
    report: &mut Report,
) {
    let is_valuewise = records
        .iter()
        .any(|record| matches!(record, Record::Control(Control::ResultMode(ResultMode::ValueWise))));
    let style = if is_valuewise { ValueStyle::ThreeDecimals } else { ValueStyle::PostgreSql };
    let observer = Observer::default();
    let mut runner = Runner::new(|| ready(Connection::open(database, options.path, style, observer.clone())));
    runner.with_validator(lines_are_equal);
    runner.with_column_validator(strict_column_validator);
    let mut halted = false;
    for record in records {
        if !counts(&record) {
            // Controls and thresholds; they cannot fail.
            let _ = runner.run(record);
            continue;
        }
        if halted || !matches!(record, Record::Statement { .. } | Record::Query { .. } | Record::Let { .. }) {
            halted |= matches!(record, Record::Halt { .. });
            report.fail(format!("not run: {}", place_of(&record)));
            continue;
        }
        observer.with(|observed| observed.texts = 0);
        let asks_for_unsupported = asks_for_unsupported(&record);
        let expects_error = expects_error(&record);
        let place = place_of(&record);
        let result = runner.run(record);
        let seen = observer.with(|observed| {
            let seen = observed.clone();
            observed.panicked = false;
            seen
        });
        let outcome = match result {
            Err(error) => Err(format!("{error}")),
            Ok(RecordOutput::Nothing) => Err(format!("not run: {place}")),
            Ok(_) if seen.texts == 0 => Err(format!("not run: {place}")),
            Ok(_) if seen.panicked => Err(format!("panic: {place}")),
            Ok(_) if expects_error && !asks_for_unsupported && seen.state.as_deref() == Some("0A000") => {
                Err(format!("refused as not supported: {place}"))
            }
            Ok(_) => Ok(()),
        };
        match outcome {
            Ok(()) => report.passed += 1,
            Err(reason) => report.fail(reason),
        }
    }
    observer.with(|observed| {
        report.on_point += observed.on_point;
        report.on_pipelines += observed.on_pipelines;
    });
}

fn expected_error(record: &Record<DefaultColumnType>) -> Option<&ExpectedError> {
    match record {
        Record::Statement { expected: StatementExpect::Error(error), .. }
        | Record::Query { expected: QueryExpect::Error(error), .. } => Some(error),
        _ => None,
    }
}

fn expects_error(record: &Record<DefaultColumnType>) -> bool {
    expected_error(record).is_some()
}

fn asks_for_unsupported(record: &Record<DefaultColumnType>) -> bool {
    matches!(expected_error(record), Some(ExpectedError::SqlState(state)) if state == "0A000")
}

fn verify(database: &Database, when: &str, report: &mut Report) {
    let mut lines = Vec::new();
    match database.verify(&mut |line| lines.push(line.to_owned())) {
        Ok(0) => {}
        Ok(findings) => report.fail(format!("verify {when}: {findings} findings\n{}", lines.join("\n"))),
        Err(error) => report.fail(format!("verify {when}: {error}")),
    }
}
