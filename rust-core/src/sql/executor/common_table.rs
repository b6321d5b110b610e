//! Common tables: computed as far as they are read, kept while what reads them runs; and recursive unions, whose
//! working table is read in the same way. Those that change rows run to their end once what reads them has.

use crate::batch::batch::{Batch, Selection};
use crate::batch::column::Column;
use crate::common::memory::Reservation;
use crate::common::sync::{Arc, Mutex};
use crate::error::Result;
use crate::sql::executor::ExecutionContext;
use crate::sql::executor::aggregate::groups::GroupTable;
use crate::sql::executor::node::NodeRef;
use crate::sql::executor::pipeline::{Pipeline, Source};
use crate::sql::plan::physical::Operator;

/// The rows of a common or working table.
pub(super) struct SharedRows {
    batches: Vec<Batch>,
    /// Gives more rows, while there are some; a working table has none.
    definition: Option<Pipeline>,
    at_end: bool,
    memory: Reservation,
}

impl SharedRows {
    pub(super) fn new(context: &ExecutionContext<'_>) -> Arc<Mutex<SharedRows>> {
        let memory = context.memory.reservation();
        Arc::new(Mutex::new(SharedRows { batches: Vec::new(), definition: None, at_end: false, memory }))
    }

    pub(super) fn set_definition(&mut self, definition: Pipeline) {
        self.definition = Some(definition);
    }

    /// The batch `number`, which is computed where it is not there yet.
    fn batch(&mut self, number: usize, context: &mut ExecutionContext<'_>) -> Result<Option<Batch>> {
        while self.batches.len() <= number && !self.at_end {
            let Some(definition) = &mut self.definition else { break };
            match definition.next(context)? {
                Some(batch) => {
                    let batch = if batch.selection.is_some() { batch.compact() } else { batch };
                    self.memory.grow(batch.memory_bytes())?;
                    self.batches.push(batch);
                }
                None => self.at_end = true,
            }
        }
        Ok(self.batches.get(number).cloned())
    }

    /// Computes what nobody has read, and keeps none of it.
    fn complete(&mut self, context: &mut ExecutionContext<'_>) -> Result<()> {
        let Some(definition) = &mut self.definition else { return Ok(()) };
        while !self.at_end {
            self.at_end = definition.next(context)?.is_none();
        }
        Ok(())
    }

    fn restart(&mut self) {
        self.batches.clear();
        self.at_end = false;
        if let Some(definition) = &mut self.definition {
            definition.restart();
        }
        // Giving back never fails.
        let _ = self.memory.resize(0);
    }
}

/// WITH: its input, which reads the common table.
pub(super) struct With {
    table: Arc<Mutex<SharedRows>>,
    input: Pipeline,
    use_of_definition: DefinitionUse,
}

/// When the definition of a common table runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum DefinitionUse {
    /// Once, as far as it is read: it gives the same rows each time.
    Once,
    /// As far as it is read, and again after a restart.
    EachTime,
    /// Once, to its end, read or not: it changes rows.
    ToItsEnd,
}

impl With {
    pub(super) fn new(
        table: Arc<Mutex<SharedRows>>,
        input: Pipeline,
        use_of_definition: DefinitionUse,
    ) -> With {
        With { table, input, use_of_definition }
    }
}

impl Source for With {
    fn next(&mut self, context: &mut ExecutionContext<'_>) -> Result<Option<Batch>> {
        let batch = self.input.next(context)?;
        if batch.is_none() && self.use_of_definition == DefinitionUse::ToItsEnd {
            self.table.lock().complete(context)?;
        }
        Ok(batch)
    }

    fn expect(&mut self, rows: Option<u64>) {
        self.input.expect(rows);
    }

    fn restart(&mut self) {
        if self.use_of_definition == DefinitionUse::EachTime {
            self.table.lock().restart();
        }
        self.input.restart();
    }

    fn memory_bytes(&self) -> usize {
        self.table.lock().memory.bytes()
    }
}

/// Reads a common or working table from its start.
pub(super) struct CommonScan {
    node: NodeRef,
    table: Arc<Mutex<SharedRows>>,
    next: usize,
}

impl CommonScan {
    pub(super) fn new(node: NodeRef, table: Arc<Mutex<SharedRows>>) -> CommonScan {
        CommonScan { node, table, next: 0 }
    }
}

impl Source for CommonScan {
    fn next(&mut self, context: &mut ExecutionContext<'_>) -> Result<Option<Batch>> {
        let Operator::CommonScan { columns, .. } = self.node.operator() else {
            unreachable!("made for a common scan");
        };
        let Some(batch) = self.table.lock().batch(self.next, context)? else { return Ok(None) };
        self.next += 1;
        let columns = columns.iter().map(|column| Arc::clone(&batch.columns[*column])).collect();
        Ok(Some(Batch { columns, rows: batch.rows, selection: batch.selection }))
    }

    fn restart(&mut self) {
        self.next = 0;
    }
}

/// Finds rows that did not come before.
pub(super) struct NewRows {
    seen: GroupTable,
    groups: Vec<u32>,
    /// Groups that the batch at hand made: whether their first row was met.
    met: Vec<bool>,
}

impl NewRows {
    pub(super) fn new() -> NewRows {
        NewRows { seen: GroupTable::new(), groups: Vec::new(), met: Vec::new() }
    }

    /// The selected rows of the batch whose `keys` never came before; of equal ones the first.
    pub(super) fn find(&mut self, batch: &Batch, keys: &[Arc<Column>]) -> Result<Vec<u16>> {
        let known = self.seen.len();
        self.seen.assign(batch, keys, &mut self.groups)?;
        let made = self.seen.len() - known;
        let mut rows = Vec::with_capacity(made);
        if made > 0 {
            self.met.clear();
            self.met.resize(made, false);
            for (row, group) in batch.row_numbers().zip(&self.groups) {
                let group = *group as usize;
                if group >= known && !std::mem::replace(&mut self.met[group - known], true) {
                    rows.push(row as u16);
                }
            }
        }
        Ok(rows)
    }

    /// Narrows the batch to the rows that [`NewRows::find`] gives.
    pub(super) fn retain(&mut self, batch: &mut Batch, keys: &[Arc<Column>]) -> Result<()> {
        let rows = self.find(batch, keys)?;
        if rows.len() < batch.rows {
            batch.selection = Some(Selection(rows));
        }
        Ok(())
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.seen.memory_bytes()
    }
}

/// WITH RECURSIVE: the first rows, then round after round those made of the rows of the round before.
pub(super) struct RecursiveUnion {
    initial: Pipeline,
    recursive: Pipeline,
    working: Arc<Mutex<SharedRows>>,
    /// `None`: duplicates stay.
    new_rows: Option<NewRows>,
    new_rows_memory: Reservation,
    /// The rows of this round: the working table of the next.
    round: Vec<Batch>,
    round_memory: Reservation,
    started: bool,
    at_end: bool,
}

impl RecursiveUnion {
    pub(super) fn new(
        (initial, recursive): (Pipeline, Pipeline),
        working: Arc<Mutex<SharedRows>>,
        all: bool,
        context: &ExecutionContext<'_>,
    ) -> RecursiveUnion {
        RecursiveUnion {
            initial,
            recursive,
            working,
            new_rows: (!all).then(NewRows::new),
            new_rows_memory: context.memory.reservation(),
            round: Vec::new(),
            round_memory: context.memory.reservation(),
            started: false,
            at_end: false,
        }
    }
}

impl Source for RecursiveUnion {
    fn next(&mut self, context: &mut ExecutionContext<'_>) -> Result<Option<Batch>> {
        while !self.at_end {
            context.cancel.check()?;
            let next =
                if self.started { self.recursive.next(context)? } else { self.initial.next(context)? };
            let Some(mut batch) = next else {
                // The round is over.
                self.started = true;
                let round = std::mem::take(&mut self.round);
                self.at_end = round.is_empty();
                let bytes = self.round_memory.bytes();
                self.round_memory.resize(0)?;
                let mut working = self.working.lock();
                working.batches = round;
                working.memory.resize(bytes)?;
                drop(working);
                self.recursive.restart();
                continue;
            };
            if let Some(new_rows) = &mut self.new_rows {
                let keys = batch.columns.clone();
                new_rows.retain(&mut batch, &keys)?;
                self.new_rows_memory.resize(new_rows.memory_bytes())?;
            }
            if batch.selected_rows() == 0 {
                continue;
            }
            let batch = if batch.selection.is_some() { batch.compact() } else { batch };
            self.round_memory.grow(batch.memory_bytes())?;
            self.round.push(batch.clone());
            return Ok(Some(batch));
        }
        Ok(None)
    }

    fn restart(&mut self) {
        self.initial.restart();
        self.recursive.restart();
        self.working.lock().restart();
        if let Some(new_rows) = &mut self.new_rows {
            *new_rows = NewRows::new();
        }
        let _ = self.new_rows_memory.resize(0);
        self.round.clear();
        // Giving back never fails.
        let _ = self.round_memory.resize(0);
        (self.started, self.at_end) = (false, false);
    }

    fn memory_bytes(&self) -> usize {
        self.round_memory.bytes() + self.new_rows_memory.bytes()
    }
}
