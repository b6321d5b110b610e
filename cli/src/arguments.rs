//! The command line: what the shell was asked to do. Runs nothing.

use crate::maintenance::{self, Task};
use crate::output::Format;
use std::path::PathBuf;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
lumos: SQL at a prompt, from a pipe or from a file

usage: lumos [OPTION]... [FILE]
       lumos check FILE             look for damage in a database file
       lumos salvage FILE NEWFILE   write what can still be read of a damaged file to a new one
       lumos backup FILE NEWFILE    copy a database file
       (--help after the word tells more; a database called check is ./check)

FILE is the database; it is made when it does not exist. Without it the database is in memory and gone at the end.
Without -c and -f, statements are read from standard input: with a prompt on a terminal, else to the end.

  -c SQL               run these statements (or one \\command); may be repeated
  -f FILE              run the statements of a file; - is standard input; may be repeated, runs in order with -c
      --format FORMAT  how rows are written: table (default), csv, json
      --null TEXT      how NULL is written in tables and CSV (default: nothing)
      --option NAME=VALUE
                       an option of the database, e.g. --option durability=normal; may be repeated
      --read-only      open the file without writing to it
      --help           this text
      --version        the version

With -c, -f or a pipe the first statement that fails ends the run. Exit status: 0 when everything succeeded, 1 when a
statement failed or the database could not be opened, 2 when the command line is wrong. \\? at the prompt lists the
shell's commands.
";

/// One thing to run, in the order of the command line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Input {
    /// The text of a `-c`.
    Text(String),
    /// The file of a `-f`.
    File(PathBuf),
    /// Standard input.
    Standard,
}

/// A run of the shell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Arguments {
    /// The database file; `None`: in memory.
    pub(crate) database: Option<PathBuf>,
    /// What to run; empty: standard input, with a prompt on a terminal.
    pub(crate) inputs: Vec<Input>,
    /// How rows are written.
    pub(crate) format: Format,
    /// How NULL is written.
    pub(crate) null: String,
    /// Options of the database, in order.
    pub(crate) options: Vec<(String, String)>,
}

/// What the command line asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Request {
    /// To run.
    Run(Arguments),
    /// To do something to a file as a whole, with options of the database.
    Maintain(Task, Vec<(String, String)>),
    /// A help text.
    Help(&'static str),
    /// `--version`.
    Version,
}

/// Reads the command line after the program's name.
/// # Errors
/// One line about what is wrong.
pub(crate) fn parse(parser: lexopt::Parser) -> Result<Request, String> {
    parse_all(parser).map_err(|error| error.to_string())
}

fn parse_all(mut parser: lexopt::Parser) -> Result<Request, lexopt::Error> {
    use lexopt::prelude::*;
    let mut arguments = Arguments {
        database: None,
        inputs: Vec::new(),
        format: Format::Table,
        null: String::new(),
        options: Vec::new(),
    };
    let mut first = true;
    while let Some(argument) = parser.next()? {
        let is_first = std::mem::take(&mut first);
        match argument {
            Short('c') | Long("command") => arguments.inputs.push(Input::Text(parser.value()?.string()?)),
            Short('f') | Long("file") => {
                let file = PathBuf::from(parser.value()?);
                let is_standard = file.as_os_str() == "-";
                arguments.inputs.push(if is_standard { Input::Standard } else { Input::File(file) });
            }
            Long("format") => {
                let word = parser.value()?.string()?;
                arguments.format = Format::named(&word)
                    .ok_or_else(|| format!("--format is table, csv or json, not \"{word}\""))?;
            }
            Long("null") => arguments.null = parser.value()?.string()?,
            Long("option") => arguments.options.push(option(&parser.value()?.string()?)?),
            Long("read-only") => arguments.options.push(("read_only".to_owned(), "on".to_owned())),
            Short('h') | Long("help") => return Ok(Request::Help(HELP)),
            Short('V') | Long("version") => return Ok(Request::Version),
            Value(word) if is_first && is_task(&word) => return parse_task(&word.string()?, parser),
            Value(file) if arguments.database.is_none() => arguments.database = Some(PathBuf::from(file)),
            other => return Err(other.unexpected()),
        }
    }
    if arguments.database.as_ref().is_some_and(|file| file.as_os_str() == ":memory:") {
        arguments.database = None;
    }
    Ok(Request::Run(arguments))
}

fn is_task(word: &std::ffi::OsStr) -> bool {
    word == "check" || word == "salvage" || word == "backup"
}

/// What comes after `check`, `salvage` or `backup`.
fn parse_task(word: &str, mut parser: lexopt::Parser) -> Result<Request, lexopt::Error> {
    use lexopt::prelude::*;
    let help = match word {
        "check" => maintenance::CHECK_HELP,
        "salvage" => maintenance::SALVAGE_HELP,
        _ => maintenance::BACKUP_HELP,
    };
    let (mut files, mut options) = (Vec::new(), Vec::new());
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Request::Help(help)),
            Long("option") => options.push(option(&parser.value()?.string()?)?),
            Value(file) if files.len() < 2 => files.push(PathBuf::from(file)),
            other => return Err(other.unexpected()),
        }
    }
    let task = match (word, &files[..]) {
        ("check", [file]) => Task::Check(file.clone()),
        ("salvage", [file, new_file]) => Task::Salvage(file.clone(), new_file.clone()),
        ("backup", [file, new_file]) => Task::Backup(file.clone(), new_file.clone()),
        ("check", _) => return Err("check wants one file".into()),
        _ => return Err(format!("{word} wants two files").into()),
    };
    Ok(Request::Maintain(task, options))
}

/// `NAME=VALUE`.
fn option(pair: &str) -> Result<(String, String), lexopt::Error> {
    let (name, value) =
        pair.split_once('=').ok_or_else(|| format!("--option wants NAME=VALUE, not \"{pair}\""))?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Request, String> {
        parse(lexopt::Parser::from_args(words))
    }

    #[test]
    fn inputs_run_in_the_order_of_the_command_line() {
        let Ok(Request::Run(run)) = parsed(&["-f", "a.sql", "db", "-c", "SELECT 1", "-f", "-"]) else {
            panic!("the command line is refused")
        };
        assert_eq!(run.database, Some(PathBuf::from("db")));
        let expected = [Input::File("a.sql".into()), Input::Text("SELECT 1".to_owned()), Input::Standard];
        assert_eq!(run.inputs, expected);
    }

    #[test]
    fn what_is_wrong_is_told() {
        assert_eq!(
            parsed(&["--format", "xml"]),
            Err("--format is table, csv or json, not \"xml\"".to_owned())
        );
        assert!(parsed(&["one", "two"]).is_err());
        assert!(parsed(&["--option", "durability"]).is_err());
        assert!(parsed(&["--nosuch"]).is_err());
        assert!(parsed(&["check"]).is_err() && parsed(&["salvage", "one"]).is_err());
        assert!(parsed(&["backup", "one", "two", "three"]).is_err());
        assert_eq!(parsed(&["check", "a"]), Ok(Request::Maintain(Task::Check("a".into()), Vec::new())));
    }
}
