//! What a statement has to say besides its result: warnings and notices, kept until they are fetched.

use crate::error::Error;
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
