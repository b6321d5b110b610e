//! UNION ALL, INTERSECT, EXCEPT, DISTINCT ON: operators about rows as wholes.

use crate::batch::batch::{Batch, Selection};
use crate::common::memory::Reservation;
use crate::error::Result;
use crate::sql::evaluate::columns;
use crate::sql::executor::ExecutionContext;
use crate::sql::executor::aggregate::groups::GroupTable;
use crate::sql::executor::common_table::NewRows;
use crate::sql::executor::node::NodeRef;
use crate::sql::executor::pipeline::{Flow, Pipeline, Source, Transform};
use crate::sql::plan::logical::SetOperationKind;
use crate::sql::plan::physical::Operator;

/// One input after the other.
pub(super) struct Append {
    inputs: Vec<Pipeline>,
    next: usize,
}

impl Append {
    pub(super) fn new(inputs: Vec<Pipeline>) -> Append {
        Append { inputs, next: 0 }
    }
}

impl Source for Append {
    fn next(&mut self, context: &mut ExecutionContext<'_>) -> Result<Option<Batch>> {
        while let Some(input) = self.inputs.get_mut(self.next) {
            if let Some(batch) = input.next(context)? {
                return Ok(Some(batch));
            }
            self.next += 1;
        }
        Ok(None)
    }

    fn expect(&mut self, rows: Option<u64>) {
        self.inputs.iter_mut().for_each(|input| input.expect(rows));
    }

    fn restart(&mut self) {
        self.inputs.iter_mut().for_each(Pipeline::restart);
        self.next = 0;
    }
}

/// INTERSECT and EXCEPT: left rows by how often they are on the right side.
pub(super) struct SetOperation {
    kind: SetOperationKind,
    all: bool,
    right: Pipeline,
    rows: GroupTable,
    /// By group: with ALL, right rows that no left row was set against yet. Else whether a left row may still come
    /// out: 1 for INTERSECT when the right side has it, 0 for EXCEPT when neither side had it.
    counts: Vec<u64>,
    is_built: bool,
    groups: Vec<u32>,
    memory: Reservation,
}

impl SetOperation {
    pub(super) fn new(node: &NodeRef, right: Pipeline, context: &ExecutionContext<'_>) -> SetOperation {
        let Operator::SetOperation { kind, all, .. } = node.operator() else {
            unreachable!("made for a set operation");
        };
        SetOperation {
            kind: *kind,
            all: *all,
            right,
            rows: GroupTable::new(),
            counts: Vec::new(),
            is_built: false,
            groups: Vec::new(),
            memory: context.memory.reservation(),
        }
    }

    fn assign(&mut self, batch: &Batch) -> Result<()> {
        self.rows.assign(batch, &batch.columns, &mut self.groups)?;
        self.counts.resize(self.rows.len(), 0);
        self.memory.resize(self.rows.memory_bytes() + self.counts.capacity() * 8)
    }
}

impl Transform for SetOperation {
    fn prepare(&mut self, context: &mut ExecutionContext<'_>) -> Result<()> {
        if self.is_built {
            return Ok(());
        }
        while let Some(batch) = self.right.next(context)? {
            self.assign(&batch)?;
            for group in &self.groups {
                let count = &mut self.counts[*group as usize];
                *count = if self.all { *count + 1 } else { 1 };
            }
        }
        self.is_built = true;
        Ok(())
    }

    fn push(
        &mut self,
        input: Option<Batch>,
        _context: &mut ExecutionContext<'_>,
    ) -> Result<(Option<Batch>, Flow)> {
        let Some(mut batch) = input else { return Ok((None, Flow::NeedInput)) };
        self.assign(&batch)?;
        let mut rows = Vec::new();
        for (row, group) in batch.row_numbers().zip(&self.groups) {
            let count = &mut self.counts[*group as usize];
            let comes_out = match (self.kind, self.all) {
                (SetOperationKind::Intersect, _) => {
                    let found = *count > 0;
                    *count -= u64::from(found);
                    found
                }
                (SetOperationKind::Except, true) => {
                    let missing = *count == 0;
                    *count -= u64::from(!missing);
                    missing
                }
                (SetOperationKind::Except, false) => {
                    let missing = *count == 0;
                    *count = 1;
                    missing
                }
            };
            if comes_out {
                rows.push(row as u16);
            }
        }
        if rows.len() < batch.rows {
            batch.selection = Some(Selection(rows));
        }
        Ok((Some(batch), Flow::NeedInput))
    }

    fn reads_another_input(&self) -> bool {
        true
    }

    fn is_finished(&self) -> bool {
        self.is_built && self.kind == SetOperationKind::Intersect && self.rows.len() == 0
    }

    fn restart(&mut self) {
        self.right.restart();
        self.rows = GroupTable::new();
        self.counts.clear();
        self.is_built = false;
    }

    fn memory_bytes(&self) -> usize {
        self.memory.bytes()
    }
}

/// The first row of each group.
pub(super) struct DistinctOn {
    node: NodeRef,
    new_rows: NewRows,
    memory: Reservation,
}

impl DistinctOn {
    pub(super) fn new(node: NodeRef, context: &ExecutionContext<'_>) -> DistinctOn {
        DistinctOn { node, new_rows: NewRows::new(), memory: context.memory.reservation() }
    }
}

impl Transform for DistinctOn {
    fn push(
        &mut self,
        input: Option<Batch>,
        context: &mut ExecutionContext<'_>,
    ) -> Result<(Option<Batch>, Flow)> {
        let Operator::DistinctOn { keys, .. } = self.node.operator() else {
            unreachable!("made for DISTINCT ON");
        };
        let Some(mut batch) = input else { return Ok((None, Flow::NeedInput)) };
        let evaluation = context.evaluation();
        let keys =
            keys.iter().map(|key| columns::evaluate(key, &batch, &evaluation)).collect::<Result<Vec<_>>>()?;
        self.new_rows.retain(&mut batch, &keys)?;
        self.memory.resize(self.new_rows.memory_bytes())?;
        Ok((Some(batch), Flow::NeedInput))
    }

    fn restart(&mut self) {
        self.new_rows = NewRows::new();
        // Giving back never fails.
        let _ = self.memory.resize(0);
    }

    fn memory_bytes(&self) -> usize {
        self.memory.bytes()
    }
}
