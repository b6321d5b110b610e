//! What a statement has to say besides its result: warnings and notices, kept until they are fetched.

use crate::error::{Error, SqlState};
use crate::sql::binder::bound::StorageParameters;
use std::collections::VecDeque;

/// Notices kept when nobody fetches them; the oldest go first.
const NOTICES_MAX: usize = 128;

/// How grave a notice is, in PostgreSQL's words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    /// For information.
    Notice,
    /// The statement probably does not do what was meant.
    Warning,
}

/// A message that is no error. Its report has the same fields as an error's.
#[derive(Clone, Debug)]
pub struct Notice {
    /// How grave.
    pub severity: Severity,
    /// Code, message, hint.
    pub report: Error,
}

/// The notices that wait to be fetched.
#[derive(Default)]
pub(crate) struct Notices(VecDeque<Notice>);

impl Notices {
    pub(crate) fn notice(&mut self, report: Error) {
        self.push(Notice { severity: Severity::Notice, report });
    }

    pub(crate) fn warning(&mut self, report: Error) {
        self.push(Notice { severity: Severity::Warning, report });
    }

    /// Says which storage parameters have no effect.
    pub(crate) fn warn_without_effect(&mut self, parameters: &StorageParameters) {
        for name in &parameters.without_effect {
            let message = format!("storage parameter \"{name}\" has no effect here");
            let warning = Error::new(SqlState::WARNING, message);
            self.warning(warning.hint("It is not kept: there is nothing that it could control."));
        }
    }

    /// The same of an integer primary key, where no parameter has any.
    pub(crate) fn warn_of_row_id(&mut self, key: &str, parameters: &StorageParameters) {
        self.warn_without_effect(parameters);
        if parameters.fill_percent.is_some() {
            let message = format!("storage parameter \"fillfactor\" of \"{key}\" has no effect here");
            let warning = Error::new(SqlState::WARNING, message);
            let hint = "It is not kept: an integer primary key is the rows' place in their table. Set it for the table.";
            self.warning(warning.hint(hint));
        }
    }

    fn push(&mut self, notice: Notice) {
        if self.0.len() == NOTICES_MAX {
            self.0.pop_front();
        }
        self.0.push_back(notice);
    }

    pub(crate) fn take(&mut self) -> Vec<Notice> {
        self.0.drain(..).collect()
    }
}
