//! ORDER BY with LIMIT: only the rows that can still be among the first are kept, in a heap whose top is the
//! last of them.

use crate::batch::batch::Batch;
use crate::batch::builder::ColumnBuilder;
use crate::common::limits::BATCH_ROWS;
use crate::common::memory::Reservation;
use crate::common::sync::Arc;
use crate::error::Result;
use crate::sql::executor::ExecutionContext;
use crate::sql::executor::limit::{limit_value, offset_value};
use crate::sql::executor::node::NodeRef;
use crate::sql::executor::pipeline::{Flow, Sink, Source};
use crate::sql::executor::sort_key::KeyColumns;
use crate::sql::plan::physical::Operator;
use crate::sql::types::data_type::{DataType, SqlType};
use crate::sql::types::datum::Datum;
use std::collections::BinaryHeap;

/// A kept row. Ordered by key, then by arrival, so that equal keys stay in input order.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Ranked {
    key: Box<[u8]>,
    arrival: u64,
    row: Row,
}

/// The row's values: no part of the order, because `arrival` differs.
struct Row(Box<[Datum]>);

impl PartialEq for Row {
    fn eq(&self, _other: &Row) -> bool {
        true
    }
}
impl Eq for Row {}
impl PartialOrd for Row {
    fn partial_cmp(&self, other: &Row) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Row {
    fn cmp(&self, _other: &Row) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

/// Keeps the first rows of its input.
pub(super) struct TopN {
    node: NodeRef,
    heap: BinaryHeap<Ranked>,
    /// Rows to keep: limit + offset.
    room: usize,
    skip: usize,
    arrivals: u64,
    types: Vec<DataType>,
    memory: Reservation,
    bytes: usize,
}

impl TopN {
    pub(super) fn new(node: NodeRef, context: &ExecutionContext<'_>) -> Result<TopN> {
        let Operator::TopN { limit, offset, .. } = node.operator() else {
            unreachable!("made for a top-n");
        };
        let evaluation = context.evaluation();
        let skip = offset_value(offset.as_ref(), &evaluation)?;
        let room = match limit_value(Some(limit), &evaluation)? {
            Some(0) => 0,
            Some(limit) => usize::try_from(limit.saturating_add(skip)).unwrap_or(usize::MAX),
            None => usize::MAX,
        };
        Ok(TopN {
            node,
            heap: BinaryHeap::new(),
            room,
            skip: usize::try_from(skip).unwrap_or(usize::MAX),
            arrivals: 0,
            types: Vec::new(),
            memory: context.memory.reservation(),
            bytes: 0,
        })
    }
}

/// Bytes that a kept row takes.
fn row_bytes(row: &Ranked) -> usize {
    let values: usize = row
        .row
        .0
        .iter()
        .map(|value| {
            size_of::<Datum>()
                + match value {
                    Datum::Text(text) => text.len() + 16,
                    Datum::Bytes(bytes) => bytes.len() + 16,
                    _ => 0,
                }
        })
        .sum();
    size_of::<Ranked>() + row.key.len() + values
}

impl Sink for TopN {
    fn push(&mut self, batch: Batch, context: &mut ExecutionContext<'_>) -> Result<Flow> {
        if self.room == 0 {
            return Ok(Flow::Finished);
        }
        let Operator::TopN { keys, .. } = self.node.operator() else { unreachable!("made for a top-n") };
        if self.types.is_empty() {
            self.types = batch.columns.iter().map(|column| column.data_type).collect();
        }
        let key_columns = KeyColumns::new(keys, &batch, &context.evaluation())?;
        key_columns.for_each(&batch, |row, key| {
            self.arrivals += 1;
            // A later row with the last kept key comes after it.
            if self.heap.len() == self.room && self.heap.peek().is_some_and(|last| *key >= *last.key) {
                return Ok(());
            }
            let values = batch.columns.iter().map(|column| column.datum(row).to_owned()).collect();
            let ranked = Ranked { key: key.into(), arrival: self.arrivals, row: Row(values) };
            self.bytes += row_bytes(&ranked);
            self.heap.push(ranked);
            if self.heap.len() > self.room
                && let Some(last) = self.heap.pop()
            {
                self.bytes -= row_bytes(&last);
            }
            Ok(())
        })?;
        self.memory.resize(self.bytes)?;
        Ok(Flow::NeedInput)
    }

    fn is_finished(&self) -> bool {
        self.room == 0
    }

    fn memory_bytes(&self) -> usize {
        self.memory.bytes()
    }

    fn finish(self: Box<Self>, _context: &mut ExecutionContext<'_>) -> Result<Box<dyn Source>> {
        let rows = self.heap.into_sorted_vec();
        let start = self.skip.min(rows.len());
        Ok(Box::new(First { rows, start, position: start, types: self.types, memory: self.memory }))
    }
}

/// Gives the kept rows out.
struct First {
    rows: Vec<Ranked>,
    start: usize,
    position: usize,
    types: Vec<DataType>,
    memory: Reservation,
}

impl Source for First {
    fn restart(&mut self) {
        self.position = self.start;
    }

    fn memory_bytes(&self) -> usize {
        self.memory.bytes()
    }

    fn next(&mut self, _context: &mut ExecutionContext<'_>) -> Result<Option<Batch>> {
        let end = self.rows.len().min(self.position + BATCH_ROWS);
        let rows = &self.rows[self.position..end];
        if rows.is_empty() {
            return Ok(None);
        }
        self.position = end;
        let columns = self
            .types
            .iter()
            .enumerate()
            .map(|(index, data_type)| {
                let mut builder = ColumnBuilder::new(SqlType::plain(*data_type), rows.len());
                for ranked in rows {
                    builder.push_datum(ranked.row.0[index].as_ref());
                }
                Arc::new(builder.finish())
            })
            .collect();
        Ok(Some(Batch { columns, rows: rows.len(), selection: None }))
    }
}
