//! ORDER BY: all rows are kept, their normalised keys are sorted, equal keys stay in input order.
//! What is kept is charged to the memory account; beyond the limit the statement fails with 53200.

use crate::batch::batch::Batch;
use crate::batch::builder::ColumnBuilder;
use crate::common::cancel::CancelToken;
use crate::common::limits::BATCH_ROWS;
use crate::common::memory::Reservation;
use crate::common::sync::Arc;
use crate::error::{Error, Result, SqlState};
use crate::sql::executor::ExecutionContext;
use crate::sql::executor::node::NodeRef;
use crate::sql::executor::pipeline::{Flow, Sink, Source};
use crate::sql::executor::sort_key::KeyColumns;
use crate::sql::plan::physical::Operator;
use crate::sql::types::data_type::SqlType;
use std::cmp::Ordering;

/// Rows that are sorted at once; longer inputs are merged of runs.
const RUN_ROWS: usize = 1 << 16;

/// A row with its key: the first bytes beside it, so that most comparisons touch nothing else.
#[derive(Clone, Copy, Default)]
struct Entry {
    prefix: u64,
    /// Where the whole key lies in `keys`.
    key_start: usize,
    key_bytes: u32,
    batch: u32,
    row: u16,
}

/// Keeps its input to sort it.
pub(super) struct Sort {
    node: NodeRef,
    batches: Vec<Batch>,
    keys: Vec<u8>,
    entries: Vec<Entry>,
    memory: Reservation,
    batch_bytes: usize,
}

impl Sort {
    pub(super) fn new(node: NodeRef, context: &ExecutionContext<'_>) -> Sort {
        Sort {
            node,
            batches: Vec::new(),
            keys: Vec::new(),
            entries: Vec::new(),
            memory: context.memory.reservation(),
            batch_bytes: 0,
        }
    }
}

/// The first eight bytes of a key as a number of the same order.
fn prefix(key: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let count = key.len().min(8);
    bytes[..count].copy_from_slice(&key[..count]);
    u64::from_be_bytes(bytes)
}

/// Sorts runs, then merges them; the cancel flag is looked at in between.
fn sort_entries(
    entries: &mut Vec<Entry>,
    compare: impl Fn(&Entry, &Entry) -> Ordering,
    memory: &mut Reservation,
    cancel: &CancelToken,
) -> Result<()> {
    for run in entries.chunks_mut(RUN_ROWS) {
        cancel.check()?;
        run.sort_unstable_by(&compare);
    }
    if entries.len() <= RUN_ROWS {
        return Ok(());
    }
    let bytes = entries.len() * size_of::<Entry>();
    memory.grow(bytes)?;
    let mut merged: Vec<Entry> = Vec::with_capacity(entries.len());
    let mut run = RUN_ROWS;
    while run < entries.len() {
        merged.clear();
        for pair in entries.chunks(2 * run) {
            let (mut left, mut right) = pair.split_at(run.min(pair.len()));
            while let (Some(first), Some(second)) = (left.first(), right.first()) {
                if merged.len().is_multiple_of(RUN_ROWS) {
                    cancel.check()?;
                }
                if compare(first, second) == Ordering::Greater {
                    merged.push(*second);
                    right = &right[1..];
                } else {
                    merged.push(*first);
                    left = &left[1..];
                }
            }
            merged.extend_from_slice(left);
            merged.extend_from_slice(right);
        }
        std::mem::swap(entries, &mut merged);
        run *= 2;
    }
    drop(merged);
    memory.resize(memory.bytes() - bytes)
}

impl Sink for Sort {
    fn push(&mut self, batch: Batch, context: &mut ExecutionContext<'_>) -> Result<Flow> {
        let Operator::Sort { keys, .. } = self.node.operator() else { unreachable!("made for a sort") };
        let key_columns = KeyColumns::new(keys, &batch, &context.evaluation())?;
        // A narrow selection would keep a whole batch alive for a few rows.
        let number = u32::try_from(self.batches.len())
            .map_err(|_| Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "too many rows to sort"))?;
        let sparse = batch.selected_rows() * 4 < batch.rows;
        let mut position = 0;
        key_columns.for_each(&batch, |row, key| {
            self.entries.push(Entry {
                prefix: prefix(key),
                key_start: self.keys.len(),
                key_bytes: u32::try_from(key.len())
                    .map_err(|_| Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "sort key too long"))?,
                batch: number,
                row: if sparse { position } else { row as u16 },
            });
            position += 1;
            self.keys.extend_from_slice(key);
            Ok(())
        })?;
        let batch = if sparse { batch.compact() } else { batch };
        self.batch_bytes += batch.memory_bytes();
        self.batches.push(batch);
        let entry_bytes = self.entries.capacity() * size_of::<Entry>();
        self.memory.resize(self.batch_bytes + self.keys.capacity() + entry_bytes)?;
        Ok(Flow::NeedInput)
    }

    fn memory_bytes(&self) -> usize {
        self.memory.bytes()
    }

    fn finish(mut self: Box<Self>, context: &mut ExecutionContext<'_>) -> Result<Box<dyn Source>> {
        let keys = &self.keys;
        let key = |entry: &Entry| &keys[entry.key_start..entry.key_start + entry.key_bytes as usize];
        // Keys lie in input order, so their place decides between equal ones.
        let compare = |left: &Entry, right: &Entry| {
            left.prefix
                .cmp(&right.prefix)
                .then_with(|| key(left).cmp(key(right)))
                .then_with(|| (left.batch, left.row).cmp(&(right.batch, right.row)))
        };
        sort_entries(&mut self.entries, compare, &mut self.memory, context.cancel)?;
        self.keys = Vec::new();
        Ok(Box::new(Sorted {
            batches: self.batches,
            entries: self.entries,
            position: 0,
            memory: self.memory,
        }))
    }
}

/// Gives sorted rows out.
struct Sorted {
    batches: Vec<Batch>,
    entries: Vec<Entry>,
    position: usize,
    memory: Reservation,
}

impl Source for Sorted {
    fn restart(&mut self) {
        self.position = 0;
    }

    fn memory_bytes(&self) -> usize {
        self.memory.bytes()
    }

    fn next(&mut self, _context: &mut ExecutionContext<'_>) -> Result<Option<Batch>> {
        let end = self.entries.len().min(self.position + BATCH_ROWS);
        let rows = &self.entries[self.position..end];
        if rows.is_empty() {
            return Ok(None);
        }
        self.position = end;
        let columns = self.batches[0]
            .columns
            .iter()
            .enumerate()
            .map(|(index, first)| {
                let mut builder = ColumnBuilder::new(SqlType::plain(first.data_type), rows.len());
                for entry in rows {
                    builder
                        .append(&self.batches[entry.batch as usize].columns[index], usize::from(entry.row));
                }
                Arc::new(builder.finish())
            })
            .collect();
        Ok(Some(Batch { columns, rows: rows.len(), selection: None }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::memory::MemoryAccount;
    use crate::common::random::Random;

    #[test]
    fn merged_runs_are_sorted_and_the_room_is_given_back() {
        let mut random = Random::new(9);
        let account = MemoryAccount::new(1 << 30);
        for count in [0, 1, RUN_ROWS, RUN_ROWS + 1, 3 * RUN_ROWS + 17] {
            let mut memory = account.reservation();
            let mut entries: Vec<Entry> = (0..count)
                .map(|number| Entry { prefix: random.below(1000), batch: number as u32, ..Entry::default() })
                .collect();
            let compare = |l: &Entry, r: &Entry| l.prefix.cmp(&r.prefix).then_with(|| l.batch.cmp(&r.batch));
            sort_entries(&mut entries, compare, &mut memory, &CancelToken::default()).unwrap();
            assert_eq!(entries.len(), count);
            assert!(entries.windows(2).all(|pair| compare(&pair[0], &pair[1]) == Ordering::Less));
            assert_eq!(memory.bytes(), 0);
        }
    }
}
