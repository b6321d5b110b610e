//! `lumos check`, `lumos salvage`, `lumos backup`: what is done to a database file as a whole. Runs no SQL.

use crate::report;
use lumos_core::database::Database;
use lumos_core::database::options::DatabaseOptions;
use lumos_core::error::{Error, Result};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// What `lumos check --help` prints.
pub(crate) const CHECK_HELP: &str = "\
lumos check: looks for damage in a database file

usage: lumos check [--option NAME=VALUE]... FILE

Reads everything: headers, checkpoint slots, page map, the checksum of every block, trees, definitions, rows, index
entries and large values, with what the log beside the file adds. Each finding is a line with file, block, page and
object; the last line says what was looked at. Writes nothing, also where the file was not closed cleanly. While
another process writes the file, its last checkpoint is looked at.

Exit status: 0 when nothing was found, 1 when something was or the file cannot be read, 2 when the command line is
wrong. lumos salvage writes what can still be read to a new file.
";

/// What `lumos salvage --help` prints.
pub(crate) const SALVAGE_HELP: &str = "\
lumos salvage: writes every row that can still be read of a damaged file to a new one

usage: lumos salvage [--option NAME=VALUE]... FILE NEWFILE

Looks at every block of FILE, whatever its page map says: rows are found also where the map, a slot, the header or an
inner page is damaged. Where the newest page of a range is damaged, an older one serves if there is one, and that is
told. Tables, views and constraints are those of the catalog as far as it can be read; indexes are made anew. What the
log beside FILE holds is added where the log is whole. FILE is only read; NEWFILE must not exist.

A line tells each damage, and one a table how many rows were written and how many are known to be lost.
Exit status: 0 when NEWFILE was written, 1 when not, 2 when the command line is wrong.
";

/// What `lumos backup --help` prints.
pub(crate) const BACKUP_HELP: &str = "\
lumos backup: copies a database file that no process has open for writing

usage: lumos backup [--option NAME=VALUE]... FILE NEWFILE

Copies what is committed, with what the log beside FILE adds, and checks each page on the way. FILE is only read.
NEWFILE must not exist; it appears when it is whole and durable. To restore is to open it. A database that is open is
backed up by the process that has it open: \\backup NEWFILE in its shell, lumos_backup_start in C.

Exit status: 0 when NEWFILE was written, 1 when not, 2 when the command line is wrong.
";

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Task {
    /// `lumos check FILE`.
    Check(PathBuf),
    /// `lumos salvage FILE NEWFILE`.
    Salvage(PathBuf, PathBuf),
    /// `lumos backup FILE NEWFILE`.
    Backup(PathBuf, PathBuf),
}

/// Does it; gives the exit status.
pub(crate) fn run(task: &Task, options: &[(String, String)], out: &mut dyn Write) -> ExitCode {
    match run_task(task, options, out) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = out.flush();
            eprint!("{}", report::error(&error, "", report::Origin { input: None, line: 1 }, false));
            ExitCode::FAILURE
        }
    }
}

fn run_task(task: &Task, choices: &[(String, String)], out: &mut dyn Write) -> Result<bool> {
    let mut options = DatabaseOptions::default();
    for (name, value) in choices {
        options.set(name, value)?;
    }
    let mut written = Ok(());
    let mut line = |text: &str| {
        if written.is_ok() {
            written = writeln!(out, "{text}");
        }
    };
    let good = match task {
        Task::Check(file) => Database::check(file, options, &mut line)? == 0,
        Task::Salvage(file, new_file) => {
            Database::salvage(file, new_file, options, &mut line).map(|_| true)?
        }
        Task::Backup(file, new_file) => {
            options.read_only = true;
            Database::open(Some(file), options)?.backup(new_file)?;
            line(&format!("wrote \"{}\"", new_file.display()));
            true
        }
    };
    written.and_then(|()| out.flush()).map_err(unwritten)?;
    Ok(good)
}

fn unwritten(error: io::Error) -> Error {
    Error::new(lumos_core::error::SqlState::IO_ERROR, format!("could not write the report: {error}"))
}
