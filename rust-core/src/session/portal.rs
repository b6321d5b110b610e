//! A running statement: its result streams from here.

use crate::batch::batch::Batch;
use crate::common::memory::Reservation;
use crate::common::sync::{Arc, Mutex};
use crate::session::block::Block;
use crate::session::result::{PreparedKind, ResultColumn};
use crate::sql::executor::Execution;
use crate::sql::types::datum::Datum;
use std::collections::VecDeque;

/// The result of a statement, to be fetched from its session. Dropping it ends the statement.
#[must_use = "a portal holds its transaction's snapshot until it is closed or dropped"]
pub struct Portal {
    pub(crate) columns: Arc<[ResultColumn]>,
    pub(crate) kind: PreparedKind,
    pub(crate) state: Arc<Mutex<PortalState>>,
}

impl std::fmt::Debug for Portal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Portal").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// What is left of a statement.
pub(crate) struct PortalState {
    /// Batches that are there already.
    pub(crate) ready: VecDeque<Batch>,
    pub(crate) ready_memory: Option<Reservation>,
    /// The rest of the plan.
    pub(crate) execution: Option<Execution>,
    pub(crate) parameters: Vec<Datum>,
    /// For long ones among them.
    pub(crate) _parameter_memory: Option<Reservation>,
    /// The statement's own transaction, outside a block.
    pub(crate) own: Option<Block>,
    /// The number of the session's transaction that it runs in otherwise.
    pub(crate) block_number: u64,
    /// Rows given out so far.
    pub(crate) rows: u64,
    pub(crate) affected: Option<u64>,
    /// Its session was ended before it had given all its rows.
    pub(crate) cut_off: bool,
}

impl PortalState {
    /// A state whose result is complete.
    pub(crate) fn complete(ready: VecDeque<Batch>, affected: Option<u64>) -> PortalState {
        PortalState {
            ready,
            ready_memory: None,
            execution: None,
            parameters: Vec::new(),
            _parameter_memory: None,
            own: None,
            block_number: 0,
            rows: 0,
            affected,
            cut_off: false,
        }
    }
}

impl Portal {
    pub(crate) fn new(columns: Arc<[ResultColumn]>, kind: PreparedKind, state: PortalState) -> Portal {
        Portal { columns, kind, state: Arc::new(Mutex::new(state)) }
    }

    /// The next rows of a statement that has come to its end, which stand whatever becomes of its session; the outer `None`:
    /// it has not come to its end.
    pub(crate) fn next_complete(&mut self) -> Option<Option<Batch>> {
        let mut state = self.state.lock();
        if state.execution.is_some() || state.cut_off {
            return None;
        }
        let batch = state.ready.pop_front();
        match &batch {
            Some(batch) => state.rows += batch.selected_rows() as u64,
            None => state.ready_memory = None,
        }
        Some(batch)
    }

    /// The columns of the result.
    pub fn columns(&self) -> &Arc<[ResultColumn]> {
        &self.columns
    }

    /// What the statement does.
    pub fn kind(&self) -> PreparedKind {
        self.kind
    }

    /// Rows changed; `None` for statements that change none.
    pub fn affected(&self) -> Option<u64> {
        self.state.lock().affected
    }

    /// Rows fetched so far.
    pub fn rows_fetched(&self) -> u64 {
        self.state.lock().rows
    }

    /// The command tag, with the rows changed or fetched so far.
    pub fn tag(&self) -> String {
        let state = self.state.lock();
        match (self.kind, state.affected) {
            // As PostgreSQL: what a query put into the new table counts as what it selected.
            (PreparedKind::CreateTableAs, Some(rows)) => PreparedKind::Select.tag(rows),
            (kind, affected) => kind.tag(affected.unwrap_or(state.rows)),
        }
    }
}
