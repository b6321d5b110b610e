//! Joins of two inputs that are both ordered by their keys: of the right one, only the rows that the next left row may
//! meet are kept.

use crate::batch::batch::Batch;
use crate::batch::column::Column;
use crate::batch::order::{SortOrder, compare_values};
use crate::common::limits::BATCH_ROWS;
use crate::common::memory::Reservation;
use crate::common::sync::Arc;
use crate::error::Result;
use crate::sql::evaluate::columns;
use crate::sql::evaluate::row::result_type;
use crate::sql::executor::ExecutionContext;
use crate::sql::executor::join::output::{JoinColumns, JoinOutput};
use crate::sql::executor::join::table::Pairs;
use crate::sql::executor::node::{NodeRef, output_types};
use crate::sql::executor::pipeline::{Flow, Pipeline, Transform};
use crate::sql::executor::store::RowStore;
use crate::sql::plan::physical::{HashKey, KeyNulls, Operator};
use std::cmp::Ordering;

const ORDER: SortOrder = SortOrder { descending: false, nulls_first: false };
/// Right rows that are no longer needed are removed when there are so many.
const PASSED_ROWS_MAX: usize = 4 * BATCH_ROWS;

/// A join of ordered inputs.
pub(in crate::sql::executor) struct MergeJoin {
    node: NodeRef,
    right: Pipeline,
    output: JoinOutput,
    /// Right rows from some row on, and their keys.
    window: RowStore,
    window_keys: RowStore,
    /// In the window: the first row whose key is not less than that of the left row at hand, and the end of those
    /// equal to it as far as it is known.
    start: usize,
    end: usize,
    right_at_end: bool,
    left_keys: Vec<Arc<Column>>,
    /// The left row at hand, counted among those of the batch, and the next of its partners.
    position: usize,
    partner: Option<usize>,
    pairs: Pairs,
    memory: Reservation,
}

fn keys_of(operator: &Operator) -> &[HashKey] {
    match operator {
        Operator::MergeJoin { keys, .. } => keys,
        _ => unreachable!("made for a merge join"),
    }
}

impl MergeJoin {
    /// `wanted`: which output columns are used; `None`: all.
    pub(in crate::sql::executor) fn new(
        node: NodeRef,
        right: Pipeline,
        wanted: Option<&[bool]>,
        context: &ExecutionContext<'_>,
    ) -> MergeJoin {
        let Operator::MergeJoin { kind, left, right: second, residual, keys } = node.operator() else {
            unreachable!("made for a merge join");
        };
        let columns = JoinColumns::new(output_types(left), output_types(second), wanted, residual.as_ref());
        let key_types: Vec<_> = keys.iter().map(|key| result_type(&key.right)).collect();
        let window_keys = RowStore::new(key_types, &vec![true; keys.len()]);
        let window = RowStore::new(columns.right_types.clone(), &columns.right_kept(*kind));
        let output = JoinOutput::new(*kind, columns);
        MergeJoin {
            right,
            output,
            window,
            window_keys,
            start: 0,
            end: 0,
            right_at_end: false,
            left_keys: Vec::new(),
            position: 0,
            partner: None,
            pairs: Pairs::default(),
            memory: context.memory.reservation(),
            node,
        }
    }

    /// Adds right rows to the window; false at their end.
    fn read_right(&mut self, keys: &[HashKey], context: &mut ExecutionContext<'_>) -> Result<bool> {
        if self.right_at_end {
            return Ok(false);
        }
        let Some(batch) = self.right.next(context)? else {
            self.right_at_end = true;
            return Ok(false);
        };
        let columns = keys
            .iter()
            .map(|key| columns::evaluate(&key.right, &batch, &context.evaluation()))
            .collect::<Result<Vec<_>>>()?;
        self.window.append(&batch)?;
        self.window_keys.append(&Batch { columns, rows: batch.rows, selection: batch.selection })?;
        self.memory.resize(self.window.memory_bytes() + self.window_keys.memory_bytes())?;
        Ok(true)
    }

    /// Orders a right row against the left row.
    fn compare(&self, right: usize, left: usize) -> Ordering {
        for (index, column) in self.left_keys.iter().enumerate() {
            let ordering = compare_values(self.window_keys.column(index), right, column, left, ORDER);
            if ordering.is_ne() {
                return ordering;
            }
        }
        Ordering::Equal
    }

    /// Finds the right rows with the left row's keys: `start..end`.
    fn find(&mut self, left: usize, keys: &[HashKey], context: &mut ExecutionContext<'_>) -> Result<()> {
        let never = keys
            .iter()
            .zip(&self.left_keys)
            .any(|(key, column)| key.nulls != KeyNulls::Equal && column.is_null(left));
        if never {
            self.end = self.start;
            return Ok(());
        }
        loop {
            if self.start == self.window.len() && !self.read_right(keys, context)? {
                self.end = self.start;
                return Ok(());
            }
            match self.compare(self.start, left) {
                Ordering::Less => {
                    self.start += 1;
                    self.end = self.end.max(self.start);
                }
                Ordering::Equal => break,
                Ordering::Greater => {
                    self.end = self.start;
                    return Ok(());
                }
            }
        }
        // A range that was found for an equal left row is known to its end.
        if self.end > self.start + 1 && self.compare(self.end - 1, left) == Ordering::Equal {
            return Ok(());
        }
        self.end = self.start + 1;
        loop {
            if self.end == self.window.len() && !self.read_right(keys, context)? {
                return Ok(());
            }
            if self.compare(self.end, left) != Ordering::Equal {
                return Ok(());
            }
            self.end += 1;
        }
    }

    fn advance(&mut self, context: &mut ExecutionContext<'_>) -> Result<(Option<Batch>, Flow)> {
        let node = self.node.clone();
        let Operator::MergeJoin { keys, residual, .. } = node.operator() else {
            unreachable!("made for a merge join");
        };
        if let Some(batch) = self.output.give_rest(&self.window) {
            return Ok((Some(batch), Flow::MoreOutput));
        }
        let by_existence = self.output.is_by_existence();
        let first_only = by_existence && residual.is_none();
        loop {
            context.cancel.check()?;
            if self.start >= PASSED_ROWS_MAX && self.partner.is_none() {
                self.window.remove_first(self.start);
                self.window_keys.remove_first(self.start);
                self.end -= self.start;
                self.start = 0;
            }
            self.pairs.clear();
            while self.pairs.len() < BATCH_ROWS
                && let Some(row) = self.output.row(self.position)
            {
                let mut partner = match self.partner {
                    Some(partner) => partner,
                    None => {
                        self.find(usize::from(row), keys, context)?;
                        self.start
                    }
                };
                let end = if first_only { self.end.min(self.start + 1) } else { self.end };
                while partner < end && self.pairs.len() < BATCH_ROWS {
                    self.pairs.push(row, partner as u32);
                    partner += 1;
                }
                let done = partner >= end || (by_existence && self.output.is_matched(row));
                self.partner = (!done).then_some(partner);
                self.position += usize::from(done);
            }
            let more = self.output.row(self.position);
            self.output.judge(&mut self.pairs, residual.as_ref(), &self.window, &context.evaluation())?;
            self.output.note(&self.pairs)?;
            if by_existence {
                if more.is_some() {
                    continue;
                }
                return Ok((self.output.give_existence(), Flow::NeedInput));
            }
            let batch = self.output.give(&mut self.pairs, more, &self.window);
            if batch.is_some() || more.is_none() {
                let resumes = more.is_some() || self.output.has_rest();
                return Ok((batch, if resumes { Flow::MoreOutput } else { Flow::NeedInput }));
            }
        }
    }
}

impl Transform for MergeJoin {
    fn push(
        &mut self,
        input: Option<Batch>,
        context: &mut ExecutionContext<'_>,
    ) -> Result<(Option<Batch>, Flow)> {
        if let Some(batch) = input {
            let node = self.node.clone();
            self.left_keys.clear();
            for key in keys_of(node.operator()) {
                self.left_keys.push(columns::evaluate(&key.left, &batch, &context.evaluation())?);
            }
            self.position = 0;
            self.partner = None;
            self.output.start(batch);
        }
        self.advance(context)
    }

    fn restart(&mut self) {
        self.right.restart();
        self.output.forget_matches();
        self.window.clear();
        self.window_keys.clear();
        (self.start, self.end, self.right_at_end) = (0, 0, false);
        self.partner = None;
    }

    fn memory_bytes(&self) -> usize {
        self.memory.bytes()
    }
}
