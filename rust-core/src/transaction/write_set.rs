//! What a transaction wrote.

/// A place in the journal of a write set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::transaction) struct WriteMark {
    pub(in crate::transaction) versions: usize,
}
