//! GROUP BY and aggregates over a hash table: one group number a row, then each aggregate takes a batch at once.
//! Groups come out in the order in which they were first seen.

pub(super) mod groups;

use crate::batch::batch::{Batch, Selection};
use crate::batch::builder::ColumnBuilder;
use crate::batch::column::{Column, ColumnData};
use crate::common::limits::BATCH_ROWS;
use crate::common::memory::Reservation;
use crate::common::sync::Arc;
use crate::error::Result;
use crate::sql::evaluate::columns;
use crate::sql::evaluate::row::result_type;
use crate::sql::executor::ExecutionContext;
use crate::sql::executor::common_table::NewRows;
use crate::sql::executor::node::NodeRef;
use crate::sql::executor::pipeline::{Flow, Sink, Source};
use crate::sql::executor::sort_key::KeyColumns;
use crate::sql::functions::registry::{GroupStates, RowSet};
use crate::sql::plan::physical::{Operator, PhysicalAggregate};
use crate::sql::types::data_type::{DataType, SqlType};
use crate::sql::types::datum::Datum;
use groups::GroupTable;

/// One aggregate's states.
struct Running {
    states: Box<dyn GroupStates>,
    /// For DISTINCT: the (group, arguments) that were counted.
    seen: Option<NewRows>,
    /// For an order of its own: the rows that wait for all others.
    waiting: Vec<WaitingRow>,
    /// Bytes that they hold.
    waiting_bytes: usize,
}

/// A row of an aggregate with an order of its own.
struct WaitingRow {
    key: Box<[u8]>,
    group: u32,
    arguments: Vec<Datum>,
}

/// Collects groups and aggregate states.
pub(super) struct HashAggregate {
    node: NodeRef,
    /// `None`: no GROUP BY, one group.
    groups: Option<GroupTable>,
    aggregates: Vec<Running>,
    /// The group of each selected row of the current batch.
    row_groups: Vec<u32>,
    /// The groups of the rows that one aggregate takes, where that is not all of them.
    some_groups: Vec<u32>,
    memory: Reservation,
}

impl HashAggregate {
    pub(super) fn new(node: NodeRef, context: &ExecutionContext<'_>) -> HashAggregate {
        let Operator::HashAggregate { groups, aggregates, .. } = node.operator() else {
            unreachable!("made for an aggregation");
        };
        let aggregates = aggregates
            .iter()
            .map(|aggregate| Running {
                states: (aggregate.function.states)(),
                seen: aggregate.distinct.then(NewRows::new),
                waiting: Vec::new(),
                waiting_bytes: 0,
            })
            .collect();
        let groups = (!groups.is_empty()).then(GroupTable::new);
        HashAggregate {
            node,
            groups,
            aggregates,
            row_groups: Vec::new(),
            some_groups: Vec::new(),
            memory: context.memory.reservation(),
        }
    }

    fn charge(&mut self) -> Result<()> {
        let states: usize = self
            .aggregates
            .iter()
            .map(|running| {
                running.states.memory_bytes()
                    + running.seen.as_ref().map_or(0, NewRows::memory_bytes)
                    + running.waiting_bytes
            })
            .sum();
        self.memory.resize(states + self.groups.as_ref().map_or(0, GroupTable::memory_bytes))
    }
}

/// The batch's rows as the functions want them.
fn row_set(batch: &Batch) -> RowSet<'_> {
    match &batch.selection {
        Some(selection) => RowSet::Some(&selection.0, batch.rows),
        None => RowSet::All(batch.rows),
    }
}

/// The groups of the rows of `some`, which are among those of `all`.
fn narrow_groups(all: &Batch, groups: &[u32], some: &Batch, out: &mut Vec<u32>) {
    out.clear();
    match &all.selection {
        None => out.extend(some.row_numbers().map(|row| groups[row])),
        Some(_) => {
            let mut numbered = all.row_numbers().zip(groups);
            out.extend(
                some.row_numbers()
                    .filter_map(|row| numbered.find(|(number, _)| *number == row).map(|(_, group)| *group)),
            );
        }
    }
}

impl Running {
    /// Takes the rows of a batch; `groups`: the group of each selected row, `None` for one group.
    fn update(
        &mut self,
        aggregate: &PhysicalAggregate,
        batch: &Batch,
        groups: Option<&[u32]>,
        some_groups: &mut Vec<u32>,
        context: &ExecutionContext<'_>,
    ) -> Result<()> {
        let evaluation = context.evaluation();
        let mut narrowed = None;
        if let Some(filter) = &aggregate.filter {
            let mut rows = batch.clone();
            columns::filter(filter, &mut rows, &evaluation)?;
            if rows.selected_rows() == 0 {
                return Ok(());
            }
            narrowed = Some(rows);
        }
        let arguments = aggregate
            .arguments
            .iter()
            .map(|argument| columns::evaluate(argument, narrowed.as_ref().unwrap_or(batch), &evaluation))
            .collect::<Result<Vec<Arc<Column>>>>()?;
        if let Some(seen) = &mut self.seen {
            let rows = narrowed.as_ref().unwrap_or(batch);
            let new = match groups {
                None => seen.find(rows, &arguments)?,
                Some(groups) => {
                    let mut by_row = vec![0i32; batch.rows];
                    batch.row_numbers().zip(groups).for_each(|(row, group)| by_row[row] = *group as i32);
                    let by_row = Column::flat(DataType::Integer, ColumnData::Int32(by_row), None);
                    let mut keys = vec![Arc::new(by_row)];
                    keys.extend(arguments.iter().cloned());
                    seen.find(rows, &keys)?
                }
            };
            if new.is_empty() {
                return Ok(());
            }
            narrowed = Some(Batch { columns: Vec::new(), rows: batch.rows, selection: Some(Selection(new)) });
        }
        let rows = narrowed.as_ref().unwrap_or(batch);
        if !aggregate.order.is_empty() {
            let keys = KeyColumns::new(
                &aggregate.order,
                &Batch { columns: batch.columns.clone(), ..rows.clone() },
                &evaluation,
            )?;
            let groups = match groups {
                Some(groups) => {
                    narrow_groups(batch, groups, rows, some_groups);
                    &**some_groups
                }
                None => &[],
            };
            return self.keep_waiting(&keys, rows, &arguments, groups);
        }
        match groups {
            None => self.states.update_single(&arguments, row_set(rows)),
            Some(groups) if narrowed.is_none() => self.states.update(&arguments, row_set(rows), groups),
            Some(groups) => {
                narrow_groups(batch, groups, rows, some_groups);
                self.states.update(&arguments, row_set(rows), some_groups)
            }
        }
    }
}

impl Running {
    /// Keeps the rows until all are there; `groups`: of each row, none for one group.
    fn keep_waiting(
        &mut self,
        keys: &KeyColumns,
        rows: &Batch,
        arguments: &[Arc<Column>],
        groups: &[u32],
    ) -> Result<()> {
        let mut number = 0;
        keys.for_each(rows, |row, key| {
            let arguments: Vec<Datum> =
                arguments.iter().map(|argument| argument.datum(row).to_owned()).collect();
            let texts: usize = arguments
                .iter()
                .map(|value| match value {
                    Datum::Text(text) => text.len(),
                    Datum::Bytes(bytes) => bytes.len(),
                    _ => 0,
                })
                .sum();
            self.waiting_bytes +=
                size_of::<WaitingRow>() + key.len() + arguments.len() * size_of::<Datum>() + texts;
            let group = groups.get(number).copied().unwrap_or(0);
            number += 1;
            self.waiting.push(WaitingRow { key: key.into(), group, arguments });
            Ok(())
        })
    }

    /// All rows are there: those that wait are taken in order.
    fn take_waiting(&mut self, aggregate: &PhysicalAggregate) -> Result<()> {
        // Stable: rows with equal keys come as they came.
        self.waiting.sort_by(|a, b| a.key.cmp(&b.key));
        for rows in self.waiting.chunks(BATCH_ROWS) {
            let groups: Vec<u32> = rows.iter().map(|row| row.group).collect();
            let columns: Vec<Arc<Column>> = (0..aggregate.arguments.len())
                .map(|number| {
                    let data_type = result_type(&aggregate.arguments[number]);
                    let mut builder = ColumnBuilder::new(SqlType::plain(data_type), rows.len());
                    rows.iter().for_each(|row| builder.push_datum(row.arguments[number].as_ref()));
                    Arc::new(builder.finish())
                })
                .collect();
            self.states.update(&columns, RowSet::All(rows.len()), &groups)?;
        }
        self.waiting = Vec::new();
        self.waiting_bytes = 0;
        Ok(())
    }
}

impl Sink for HashAggregate {
    fn push(&mut self, batch: Batch, context: &mut ExecutionContext<'_>) -> Result<Flow> {
        let Operator::HashAggregate { groups, aggregates, .. } = self.node.operator() else {
            unreachable!("made for an aggregation");
        };
        let mut count = 1;
        if let Some(table) = &mut self.groups {
            let evaluation = context.evaluation();
            let keys = groups
                .iter()
                .map(|group| columns::evaluate(group, &batch, &evaluation))
                .collect::<Result<Vec<Arc<Column>>>>()?;
            table.assign(&batch, &keys, &mut self.row_groups)?;
            count = table.len();
        }
        let row_groups = self.groups.is_some().then_some(self.row_groups.as_slice());
        for (running, aggregate) in self.aggregates.iter_mut().zip(aggregates) {
            running.states.resize(count)?;
            running.update(aggregate, &batch, row_groups, &mut self.some_groups, context)?;
        }
        self.charge()?;
        Ok(Flow::NeedInput)
    }

    fn memory_bytes(&self) -> usize {
        self.memory.bytes()
    }

    fn finish(mut self: Box<Self>, _context: &mut ExecutionContext<'_>) -> Result<Box<dyn Source>> {
        let (columns, count) = match self.groups.take() {
            Some(table) => {
                let count = table.len();
                (table.finish(), count)
            }
            None => (Vec::new(), 1),
        };
        let Operator::HashAggregate { aggregates, .. } = self.node.operator() else {
            unreachable!("made for an aggregation");
        };
        let mut states: Vec<Box<dyn GroupStates>> = Vec::with_capacity(aggregates.len());
        for (mut running, aggregate) in self.aggregates.into_iter().zip(aggregates) {
            running.states.resize(count)?;
            running.take_waiting(aggregate)?;
            states.push(running.states);
        }
        Ok(Box::new(Groups { columns, states, count, position: 0, memory: self.memory }))
    }
}

/// Gives groups out.
struct Groups {
    columns: Vec<Column>,
    states: Vec<Box<dyn GroupStates>>,
    count: usize,
    position: usize,
    memory: Reservation,
}

impl Source for Groups {
    fn restart(&mut self) {
        self.position = self.count;
    }

    fn memory_bytes(&self) -> usize {
        self.memory.bytes()
    }

    fn next(&mut self, _context: &mut ExecutionContext<'_>) -> Result<Option<Batch>> {
        if self.position == self.count {
            return Ok(None);
        }
        let from = self.position;
        let to = self.count.min(from + BATCH_ROWS);
        self.position = to;
        let mut columns: Vec<Arc<Column>> =
            self.columns.iter().map(|column| Arc::new(column.slice(from, to - from))).collect();
        for state in &mut self.states {
            columns.push(Arc::new(state.finish(from, to)?));
        }
        Ok(Some(Batch { columns, rows: to - from, selection: None }))
    }
}
