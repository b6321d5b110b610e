//! The shell's own commands: lines that start with a backslash.

use crate::describe::Kinds;
use crate::output::Format;
use crate::shell::{Input, Outcome, Shell};
use crate::splitter::Splitter;
use std::io;
use std::path::Path;

/// What `\?` prints.
const HELP: &str = "\
  \\?                   this list
  \\d [NAME]            list tables and views, or describe a table, a view or an index
  \\dt [PATTERN]        list tables; in a pattern, * is any text and ? any character
  \\dv [PATTERN]        list views
  \\di [PATTERN]        list indexes
  \\backup FILE         copy the database, as it is committed now, to a new file
  \\i FILE              run the statements of a file
  \\pset format FORMAT  how rows are written: table, csv, json
  \\pset null TEXT      how NULL is written in tables and CSV
  \\r                   forget the statement that was begun
  \\timing [on|off]     show how long each statement takes
  \\q                   leave
A statement ends with a semicolon and may take several lines. Ctrl-C cancels it, Ctrl-D leaves.
";

impl Shell<'_> {
    /// Runs the command in `text`.
    /// # Errors
    /// Those of writing. A wrong command is reported and has failed.
    pub(crate) fn command(
        &mut self,
        text: &str,
        splitter: &mut Splitter,
        line: usize,
        input: Input<'_>,
    ) -> io::Result<Outcome> {
        let words = words(text);
        let place = input.name.map(|name| format!("{name}:{line}: ")).unwrap_or_default();
        let arguments: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
        let name = words.first().map_or("", String::as_str);
        let outcome = match (name, &arguments[..]) {
            ("\\?" | "\\h" | "\\help", []) => {
                self.out.write_all(HELP.as_bytes())?;
                Ok(Outcome::Done)
            }
            ("\\q" | "\\quit", []) => Ok(Outcome::Quit),
            ("\\r" | "\\reset", []) => {
                splitter.clear();
                Ok(Outcome::Done)
            }
            ("\\d", []) => self.describe(None),
            ("\\d", [name]) => self.describe(Some(name)),
            ("\\dt", []) => self.list(Kinds::Tables, None),
            ("\\dt", [pattern]) => self.list(Kinds::Tables, Some(pattern)),
            ("\\dv", []) => self.list(Kinds::Views, None),
            ("\\dv", [pattern]) => self.list(Kinds::Views, Some(pattern)),
            ("\\di", []) => self.list(Kinds::Indexes, None),
            ("\\di", [pattern]) => self.list(Kinds::Indexes, Some(pattern)),
            ("\\i" | "\\include", [file]) => {
                return self.run_file(Path::new(file), input.stops_at_failure, input.depth + 1);
            }
            ("\\backup", [file]) => self.backup(Path::new(file)),
            ("\\timing", []) => self.set_timing(!self.timing),
            ("\\timing", ["on"]) => self.set_timing(true),
            ("\\timing", ["off"]) => self.set_timing(false),
            ("\\pset", ["null"]) => self.set_null(""),
            ("\\pset", ["null", text]) => self.set_null(text),
            ("\\pset", ["format", word]) => match Format::named(word) {
                Some(format) => {
                    self.format = format;
                    Ok(Outcome::Done)
                }
                None => self.failed(&format!("{place}\\pset format: table, csv or json, not \"{word}\"")),
            },
            (
                "\\backup" | "\\d" | "\\dt" | "\\dv" | "\\di" | "\\i" | "\\include" | "\\timing" | "\\pset"
                | "\\q" | "\\r" | "\\?",
                _,
            ) => self.failed(&format!("{place}{name}: wrong arguments; \\? lists the commands")),
            _ => self.failed(&format!("{place}invalid command {name}; \\? lists the commands")),
        };
        self.out.flush()?;
        outcome
    }

    fn backup(&mut self, file: &Path) -> io::Result<Outcome> {
        match self.database.backup(file) {
            Ok(()) => {
                writeln!(self.out, "wrote \"{}\"", file.display())?;
                Ok(Outcome::Done)
            }
            Err(error) => {
                let origin = crate::report::Origin { input: None, line: 1 };
                let text = crate::report::error(&error, "", origin, self.colour);
                self.failed(text.trim_end())
            }
        }
    }

    fn set_timing(&mut self, timing: bool) -> io::Result<Outcome> {
        self.timing = timing;
        if self.format == Format::Table {
            writeln!(self.out, "Timing is {}.", if timing { "on" } else { "off" })?;
        }
        Ok(Outcome::Done)
    }

    fn set_null(&mut self, text: &str) -> io::Result<Outcome> {
        self.null = text.to_owned();
        Ok(Outcome::Done)
    }
}

/// Words between blanks; quotes of both kinds keep blanks, doubled they stand for themselves. A name outside
/// quotes is folded to lower case only by SQL, not here: files have capitals.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut letters = text.trim_end_matches(';').chars().peekable();
    loop {
        while letters.next_if(|letter| letter.is_whitespace()).is_some() {}
        if letters.peek().is_none() {
            return words;
        }
        let mut word = String::new();
        while let Some(letter) = letters.next_if(|letter| !letter.is_whitespace()) {
            if letter != '\'' && letter != '"' {
                word.push(letter);
                continue;
            }
            while let Some(inside) = letters.next() {
                if inside != letter {
                    word.push(inside);
                } else if letters.next_if_eq(&letter).is_some() {
                    word.push(letter);
                } else {
                    break;
                }
            }
        }
        words.push(word);
    }
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn quotes_keep_blanks_and_semicolons_at_the_end_do_not_count() {
        assert_eq!(words("\\i  'my file.sql' ;"), ["\\i", "my file.sql"]);
        assert_eq!(words("\\pset null ''"), ["\\pset", "null", ""]);
        assert_eq!(words("\\d \"a\"\"b\";"), ["\\d", "a\"b"]);
    }
}
