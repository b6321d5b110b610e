//! Lines from a person at a terminal, with editing and history.

use crate::shell::{Expected, Line, Lines, Pending};
use lumos_core::session::result::TransactionStatus;
use rustyline::DefaultEditor;
use rustyline::config::Config;
use rustyline::error::ReadlineError;
use std::io;
use std::path::PathBuf;

/// Statements that the history keeps.
const HISTORY_ENTRIES_MAX: usize = 2000;

/// The line editor.
pub(crate) struct Prompt {
    editor: DefaultEditor,
    history: Option<PathBuf>,
}

impl Prompt {
    /// An editor with the history of earlier sessions: the file that `LUMOS_HISTORY` names, else
    /// `.lumos_history` at home; an empty name keeps none.
    /// # Errors
    /// What the terminal raises.
    pub(crate) fn new() -> io::Result<Prompt> {
        let failed = |error: ReadlineError| io::Error::other(error.to_string());
        let config = Config::builder().max_history_size(HISTORY_ENTRIES_MAX).map_err(failed)?.build();
        let mut editor = DefaultEditor::with_config(config).map_err(failed)?;
        let history = match std::env::var_os("LUMOS_HISTORY") {
            Some(name) if name.is_empty() => None,
            Some(name) => Some(PathBuf::from(name)),
            None => std::env::home_dir().map(|home| home.join(".lumos_history")),
        };
        if let Some(file) = &history {
            // The first session has none.
            let _ = editor.load_history(file);
        }
        Ok(Prompt { editor, history })
    }
}

/// `lumos> `; a star in a transaction block, an exclamation mark in one that failed. `copy> ` for data.
fn text(pending: Pending) -> String {
    let mark = match pending.transaction {
        TransactionStatus::Idle => "",
        TransactionStatus::Active => "*",
        TransactionStatus::Failed => "!",
    };
    match pending.expected {
        Expected::Statement => format!("lumos{mark}> "),
        Expected::Rest => format!("lumos{mark}- "),
        Expected::Data => "copy> ".to_owned(),
    }
}

impl Lines for Prompt {
    fn next(&mut self, pending: Pending) -> io::Result<Line> {
        match self.editor.readline(&text(pending)) {
            Ok(line) => Ok(Line::Text(line)),
            Err(ReadlineError::Interrupted) => Ok(Line::Discard),
            Err(ReadlineError::Eof) => Ok(Line::End),
            Err(error) => Err(io::Error::other(error.to_string())),
        }
    }

    fn is_person(&self) -> bool {
        true
    }

    fn remember(&mut self, statement: &str) {
        let added = self.editor.add_history_entry(statement);
        if let (Ok(true), Some(file)) = (added, &self.history) {
            // A history that cannot be kept is no reason to stop.
            let _ = self.editor.append_history(file);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prompt_tells_where_the_session_stands() {
        let shown = |expected, transaction| text(Pending { expected, transaction });
        assert_eq!(shown(Expected::Statement, TransactionStatus::Idle), "lumos> ");
        assert_eq!(shown(Expected::Rest, TransactionStatus::Active), "lumos*- ");
        assert_eq!(shown(Expected::Statement, TransactionStatus::Failed), "lumos!> ");
        assert_eq!(shown(Expected::Data, TransactionStatus::Idle), "copy> ");
    }
}
