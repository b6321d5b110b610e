//! The shell's heart: takes lines, runs statements and commands, writes results. Knows no terminal.

use crate::describe;
use crate::output::{self, Format};
use crate::report::{self, Origin};
use crate::splitter::{Splitter, Statement};
use lumos_core::common::cancel::CancelToken;
use lumos_core::error::{Error, SqlState};
use lumos_core::session::result::TransactionStatus;
use lumos_core::session::{CopyDirection, Session};
use lumos_core::sql::types::cast::CastEnvironment;
use std::io::{self, BufRead, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Files that include files, at most.
const INCLUDE_DEPTH_MAX: usize = 16;

/// What the next line is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Expected {
    /// The start of a statement.
    Statement,
    /// More of one.
    Rest,
    /// Data of COPY FROM STDIN.
    Data,
}

/// What a prompt tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Pending {
    /// What the next line is.
    pub(crate) expected: Expected,
    /// Where the session stands.
    pub(crate) transaction: TransactionStatus,
}

/// One line from wherever lines come from.
pub(crate) enum Line {
    /// A line, with or without its line feed.
    Text(String),
    /// What was typed so far is to be forgotten.
    Discard,
    /// There is no more.
    End,
}

/// Where lines come from.
pub(crate) trait Lines {
    /// The next line.
    fn next(&mut self, pending: Pending) -> io::Result<Line>;
    /// Whether a person types them.
    fn is_person(&self) -> bool {
        false
    }
    /// A statement is complete: for the history.
    fn remember(&mut self, statement: &str) {
        let _ = statement;
    }
}

/// Lines of a file, a pipe or a text.
pub(crate) struct Reader<R>(pub(crate) R);

impl<R: BufRead> Lines for Reader<R> {
    fn next(&mut self, _: Pending) -> io::Result<Line> {
        let mut bytes = Vec::new();
        if self.0.read_until(b'\n', &mut bytes)? == 0 {
            return Ok(Line::End);
        }
        String::from_utf8(bytes)
            .map(Line::Text)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a line is not valid UTF-8 text"))
    }
}

/// Whether an input goes on, and how it ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// Everything succeeded.
    Done,
    /// A statement or command failed.
    Failed,
    /// `\q`.
    Quit,
}

/// An input with its name in reports.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a> {
    /// `None`: not worth telling.
    pub(crate) name: Option<&'a str>,
    /// The first failure ends it.
    pub(crate) stops_at_failure: bool,
    /// Files around it.
    pub(crate) depth: usize,
}

/// What Ctrl-C does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt {
    /// A statement runs: it is cancelled, the shell stays.
    pub(crate) is_running: Arc<AtomicBool>,
    /// Ctrl-C came since the last statement began.
    pub(crate) was_pressed: Arc<AtomicBool>,
}

/// A session with its settings.
pub(crate) struct Shell<'o> {
    /// The database that the session is of.
    pub(crate) database: Arc<lumos_core::database::Database>,
    pub(crate) session: Session,
    pub(crate) format: Format,
    pub(crate) null: String,
    pub(crate) timing: bool,
    pub(crate) colour: bool,
    pub(crate) interrupt: Interrupt,
    pub(crate) out: &'o mut dyn Write,
}

/// The system's words for people: without the number of its error.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error ").unwrap_or(text.len());
    text[..end].to_owned()
}

/// Lines as the data of COPY FROM STDIN.
struct CopyData<'l> {
    lines: &'l mut dyn Lines,
    pending: Pending,
    line: Vec<u8>,
    /// Bytes of the line that were handed on.
    given: usize,
    is_done: bool,
}

impl CopyData<'_> {
    fn next_line(&mut self) -> Result<(), Error> {
        (self.given, self.is_done) = (0, true);
        self.line.clear();
        match self.lines.next(self.pending) {
            Ok(Line::Text(line)) if line.trim_end_matches(['\n', '\r']) == "\\." => {}
            Ok(Line::Text(line)) => {
                self.is_done = false;
                self.line = line.into_bytes();
                if !self.line.ends_with(b"\n") {
                    self.line.push(b'\n');
                }
            }
            Ok(Line::End) => {}
            Ok(Line::Discard) => {
                return Err(Error::new(SqlState::QUERY_CANCELED, "canceling statement due to user request"));
            }
            Err(error) => return Err(Error::new(SqlState::IO_ERROR, error.to_string())),
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        if self.given == self.line.len() && !self.is_done {
            self.next_line()?;
        }
        let count = buffer.len().min(self.line.len() - self.given);
        buffer[..count].copy_from_slice(&self.line[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}

/// Why a statement gave no result.
enum Failure {
    Sql(Error),
    Output(io::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Sql(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Output(error)
    }
}

impl Shell<'_> {
    /// What Ctrl-C cancels statements with.
    pub(crate) fn cancel_token(&self) -> CancelToken {
        self.session.cancel_token()
    }

    /// Runs all lines of an input.
    /// # Errors
    /// Those of reading the input and of writing results.
    pub(crate) fn run_input(&mut self, lines: &mut dyn Lines, input: Input<'_>) -> io::Result<Outcome> {
        let mut splitter = Splitter::new();
        let mut outcome = Outcome::Done;
        loop {
            let expected = if splitter.is_blank() { Expected::Statement } else { Expected::Rest };
            let pending = Pending { expected, transaction: self.session.transaction_status() };
            let line = match lines.next(pending)? {
                Line::Text(line) => line,
                Line::Discard => {
                    splitter.clear();
                    continue;
                }
                Line::End => break,
            };
            if !splitter.is_open() && line.trim_start().starts_with('\\') {
                lines.remember(line.trim());
                let line_number = splitter.next_line();
                splitter.push_line("\n");
                match self.command(line.trim(), &mut splitter, line_number, input)? {
                    Outcome::Done => {}
                    Outcome::Quit => return Ok(Outcome::Quit),
                    Outcome::Failed if input.stops_at_failure => return Ok(Outcome::Failed),
                    Outcome::Failed => outcome = Outcome::Failed,
                }
                continue;
            }
            splitter.push_line(&line);
            while let Some(statement) = splitter.next_statement() {
                lines.remember(&statement.text);
                if !self.run_statement(&statement, lines, input)? {
                    if input.stops_at_failure {
                        return Ok(Outcome::Failed);
                    }
                    outcome = Outcome::Failed;
                }
            }
        }
        if let Some(statement) = splitter.finish()
            && !self.run_statement(&statement, lines, input)?
        {
            outcome = Outcome::Failed;
        }
        Ok(outcome)
    }

    /// Runs a file.
    /// # Errors
    /// As [`Shell::run_input`]. A file that cannot be read is reported and has failed.
    pub(crate) fn run_file(
        &mut self,
        path: &Path,
        stops_at_failure: bool,
        depth: usize,
    ) -> io::Result<Outcome> {
        let name = path.display().to_string();
        if depth > INCLUDE_DEPTH_MAX {
            return self
                .failed(&format!("{name}: files include each other more than {INCLUDE_DEPTH_MAX} deep"));
        }
        let file = match std::fs::File::open(path) {
            Ok(file) => file,
            Err(error) => return self.failed(&format!("{name}: {}", plain(&error))),
        };
        let mut lines = Reader(io::BufReader::new(file));
        let input = Input { name: Some(&name), stops_at_failure, depth };
        match self.run_input(&mut lines, input) {
            Err(error)
                if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::IsADirectory) =>
            {
                self.failed(&format!("{name}: {}", plain(&error)))
            }
            other => other,
        }
    }

    /// Reports what went wrong outside SQL.
    pub(crate) fn failed(&mut self, what: &str) -> io::Result<Outcome> {
        self.out.flush()?;
        eprintln!("{what}");
        Ok(Outcome::Failed)
    }

    /// Runs a statement and writes its result, or its error; `false`: it failed.
    /// # Errors
    /// Those of writing.
    fn run_statement(
        &mut self,
        statement: &Statement,
        lines: &mut dyn Lines,
        input: Input<'_>,
    ) -> io::Result<bool> {
        #[allow(clippy::disallowed_methods, reason = "\\timing is for people; the engine has its own clock")]
        let start = Instant::now();
        self.interrupt.was_pressed.store(false, Ordering::Release);
        self.interrupt.is_running.store(true, Ordering::Release);
        let result = catch_unwind(AssertUnwindSafe(|| self.execute(&statement.text, lines)));
        self.interrupt.is_running.store(false, Ordering::Release);
        let result = result.unwrap_or_else(|payload| {
            self.session.after_panic();
            let text = payload.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("unknown panic");
            Err(Failure::Sql(Error::internal(text)))
        });
        self.tell_notices()?;
        let succeeded = match result {
            Ok(()) => !(input.stops_at_failure && self.interrupt.was_pressed.load(Ordering::Acquire)),
            Err(Failure::Output(error)) => return Err(error),
            Err(Failure::Sql(error)) => {
                self.out.flush()?;
                let origin = Origin { input: input.name, line: statement.line };
                eprint!("{}", report::error(&error, &statement.text, origin, self.colour));
                false
            }
        };
        if self.timing {
            let line = format!("Time: {:.3} ms", start.elapsed().as_secs_f64() * 1000.0);
            match self.format {
                Format::Table => writeln!(self.out, "{line}")?,
                Format::Csv | Format::Json => eprintln!("{line}"),
            }
        }
        self.out.flush()?;
        Ok(succeeded)
    }

    fn tell_notices(&mut self) -> io::Result<()> {
        for notice in self.session.take_notices() {
            self.out.flush()?;
            eprint!("{}", report::notice(&notice));
        }
        Ok(())
    }

    fn execute(&mut self, sql: &str, lines: &mut dyn Lines) -> Result<(), Failure> {
        let (Some(statement), taken) = self.session.prepare(sql)? else { return Ok(()) };
        match statement.copy_direction() {
            Some(CopyDirection::In) => return self.copy_in(sql, lines),
            Some(CopyDirection::Out) => return self.copy_out(sql),
            None => {}
        }
        if let Some(first) = statement.parameters().first() {
            let message = format!("there is no parameter $1 of type {} in the shell", first.name());
            return Err(Error::new(SqlState::UNDEFINED_PARAMETER, message).into());
        }
        debug_assert!(sql[taken..].trim().is_empty(), "a statement was cut wrongly");
        let mut portal = self.session.execute(&statement, &[])?;
        let (zone, style) = self.session.text_forms();
        let environment = CastEnvironment { zone: &zone, now: 0, style };
        if statement.returns_rows() {
            let mut writer = output::writer(self.format, portal.columns(), &self.null, self.out)?;
            while let Some(batch) = self.session.fetch(&mut portal)? {
                writer.rows(&batch, &environment, self.out)?;
            }
            writer.finish(self.out)?;
        } else {
            while self.session.fetch(&mut portal)?.is_some() {}
            self.tell_notices()?;
            if self.format == Format::Table {
                writeln!(self.out, "{}", portal.tag())?;
            }
        }
        self.session.close(portal);
        Ok(())
    }

    /// COPY FROM STDIN: the lines that follow, to a line `\.` or to the end.
    fn copy_in(&mut self, sql: &str, lines: &mut dyn Lines) -> Result<(), Failure> {
        self.out.flush()?;
        let pending = Pending { expected: Expected::Data, transaction: self.session.transaction_status() };
        let mut data = CopyData { lines, pending, line: Vec::new(), given: 0, is_done: false };
        let result = self.session.copy_in(sql, &mut |buffer| data.read(buffer));
        // What is left of refused data is no SQL.
        while result.is_err() && !data.is_done && !data.lines.is_person() {
            if data.next_line().is_err() {
                break;
            }
        }
        let rows = result?;
        if self.format == Format::Table {
            writeln!(self.out, "COPY {rows}")?;
        }
        Ok(())
    }

    /// COPY TO STDOUT: the bytes as they come.
    fn copy_out(&mut self, sql: &str) -> Result<(), Failure> {
        let mut failure = None;
        let out = &mut self.out;
        let result = self.session.copy_out(sql, &mut |bytes| {
            out.write_all(bytes).map_err(|error| {
                let told = Error::new(SqlState::IO_ERROR, error.to_string());
                failure = Some(error);
                told
            })
        });
        match failure {
            Some(error) => Err(error.into()),
            None => Ok(result.map(|_| ())?),
        }
    }

    /// `\d` of a name, or of nothing.
    pub(crate) fn describe(&mut self, name: Option<&str>) -> io::Result<Outcome> {
        let catalog = self.session.definitions();
        match name {
            None => self.list(describe::Kinds::All, None),
            Some(name) if describe::describe(&catalog, name, self.out)? => Ok(Outcome::Done),
            Some(name) => self.failed(&format!("Did not find any relation named \"{name}\".")),
        }
    }

    /// `\dt`, `\dv`, `\di`.
    pub(crate) fn list(&mut self, kinds: describe::Kinds, pattern: Option<&str>) -> io::Result<Outcome> {
        let catalog = self.session.definitions();
        if describe::list(&catalog, kinds, pattern, self.out)? == 0 {
            match pattern {
                Some(pattern) => {
                    return self.failed(&format!("Did not find any relation named \"{pattern}\"."));
                }
                None => writeln!(self.out, "There are none.")?,
            }
        }
        Ok(Outcome::Done)
    }
}
