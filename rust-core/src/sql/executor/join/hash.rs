//! Joins that keep the right input in memory: by a hash table over its keys, or, without keys, by trying all pairs.

use crate::batch::batch::Batch;
use crate::batch::builder::ColumnBuilder;
use crate::batch::column::Column;
use crate::batch::order::{each_difference, values_equal};
use crate::common::limits::BATCH_ROWS;
use crate::common::memory::Reservation;
use crate::common::sync::Arc;
use crate::error::Result;
use crate::sql::evaluate::columns;
use crate::sql::executor::ExecutionContext;
use crate::sql::executor::join::output::{JoinColumns, JoinOutput};
use crate::sql::executor::join::table::{Candidate, JoinTable, Pairs, ProbeScratch};
use crate::sql::executor::node::{NodeRef, output_types};
use crate::sql::executor::pipeline::{Flow, Pipeline, Transform};
use crate::sql::executor::store::RowStore;
use crate::sql::plan::expression::Expression;
use crate::sql::plan::physical::{HashKey, KeyNulls, Operator, PhysicalJoinKind};
use crate::sql::types::data_type::SqlType;

/// Where the build side's values of a key are.
enum BuildKey {
    /// A column of the store.
    Stored(usize),
    /// Computed.
    Computed(ColumnBuilder),
    /// No longer needed: the table is exact.
    Gone,
}

/// What a mark needs to tell false from NULL.
struct MarkTables {
    /// Over the keys that must match first: the rows whose other keys have a NULL among them.
    null_rows: Vec<u32>,
    with_null: JoinTable,
    /// The same keys, all rows.
    all: JoinTable,
}

/// The right input.
struct Built {
    store: RowStore,
    keys: Vec<BuildKey>,
    table: JoinTable,
    mark: Option<MarkTables>,
}

/// A join whose right input is built into a table.
pub(in crate::sql::executor) struct HashJoin {
    node: NodeRef,
    kind: PhysicalJoinKind,
    right: Pipeline,
    output: JoinOutput,
    built: Option<Built>,
    /// The right input gives the same rows each time: it is built once.
    right_is_stable: bool,
    memory: Reservation,
    /// Key columns of the batch at hand.
    probe_keys: Vec<Arc<Column>>,
    candidates: Vec<Candidate>,
    position: usize,
    scratch: ProbeScratch,
    pairs: Pairs,
}

/// Keys and condition of a node.
fn parts(operator: &Operator) -> (&[HashKey], Option<&Expression>) {
    match operator {
        Operator::HashJoin { keys, residual, .. } => (keys, residual.as_ref()),
        Operator::NestedLoopJoin { condition, .. } => (&[], condition.as_ref()),
        _ => unreachable!("made for a join"),
    }
}

impl HashJoin {
    /// `wanted`: which output columns are used; `None`: all.
    pub(in crate::sql::executor) fn new(
        node: NodeRef,
        right: Pipeline,
        right_is_stable: bool,
        wanted: Option<&[bool]>,
        context: &ExecutionContext<'_>,
    ) -> HashJoin {
        let (Operator::HashJoin { kind, left, right: build, .. }
        | Operator::NestedLoopJoin { kind, left, right: build, .. }) = node.operator()
        else {
            unreachable!("made for a join");
        };
        let (_, condition) = parts(node.operator());
        let columns = JoinColumns::new(output_types(left), output_types(build), wanted, condition);
        let kind = *kind;
        HashJoin {
            node,
            kind,
            right,
            output: JoinOutput::new(kind, columns),
            built: None,
            right_is_stable,
            memory: context.memory.reservation(),
            probe_keys: Vec::new(),
            candidates: Vec::new(),
            position: 0,
            scratch: ProbeScratch::default(),
            pairs: Pairs::default(),
        }
    }

    /// Reads the right input and makes its table.
    #[inline(never)]
    fn build(&mut self, context: &mut ExecutionContext<'_>) -> Result<Built> {
        let node = self.node.clone();
        let (keys, _) = parts(node.operator());
        let kept_for_output = self.output.columns().right_kept(self.kind);
        let mut kept = kept_for_output.clone();
        let mut build_keys: Vec<BuildKey> = keys
            .iter()
            .map(|key| match &key.right {
                Expression::Input { index, .. } => {
                    kept[*index] = true;
                    BuildKey::Stored(*index)
                }
                computed => {
                    let data_type = crate::sql::evaluate::row::result_type(computed);
                    BuildKey::Computed(ColumnBuilder::new(SqlType::plain(data_type), 0))
                }
            })
            .collect();
        let mut store = RowStore::new(self.output.columns().right_types.clone(), &kept);
        while let Some(batch) = self.right.next(context)? {
            let rows = batch.selection.as_ref().map(|selection| selection.0.as_slice());
            let mut bytes = 0;
            for (build_key, key) in build_keys.iter_mut().zip(keys) {
                if let BuildKey::Computed(builder) = build_key {
                    let column = columns::evaluate(&key.right, &batch, &context.evaluation())?;
                    builder.append_rows(&column, rows);
                    bytes += builder.memory_bytes();
                }
            }
            store.append(&batch)?;
            self.memory.resize(bytes + store.memory_bytes())?;
        }
        store.complete();
        let nulls: Vec<KeyNulls> = keys.iter().map(|key| key.nulls).collect();
        let table = {
            let columns = key_columns(&build_keys, &store);
            JoinTable::build(&columns, &nulls, store.len(), &mut self.memory, context.cancel)?
        };
        let mark = match self.kind {
            PhysicalJoinKind::Mark if nulls.contains(&KeyNulls::Unknown) => {
                let columns = key_columns(&build_keys, &store);
                Some(mark_tables(&columns, &nulls, store.len(), &mut self.memory, context)?)
            }
            _ => None,
        };
        if table.is_exact() && mark.is_none() {
            let before = bytes_of(&build_keys, &store);
            for key in &mut build_keys {
                if let BuildKey::Stored(index) = std::mem::replace(key, BuildKey::Gone)
                    && !kept_for_output[index]
                {
                    store.forget(index);
                }
            }
            let freed = before - bytes_of(&build_keys, &store);
            self.memory.resize(self.memory.bytes().saturating_sub(freed))?;
        }
        self.output.start_right(store.len());
        self.memory.grow(self.output.memory_bytes())?;
        Ok(Built { store, keys: build_keys, table, mark })
    }

    /// Goes on with the left batch at hand.
    fn advance(&mut self, context: &mut ExecutionContext<'_>) -> Result<(Option<Batch>, Flow)> {
        let node = self.node.clone();
        let (keys, condition) = parts(node.operator());
        let Some(built) = &self.built else { return Ok((None, Flow::NeedInput)) };
        if let Some(batch) = self.output.give_rest(&built.store) {
            return Ok((Some(batch), Flow::MoreOutput));
        }
        let exact = built.table.is_exact();
        let by_existence = self.output.is_by_existence();
        let first_only = by_existence && exact && condition.is_none();
        loop {
            context.cancel.check()?;
            self.pairs.clear();
            let output = &self.output;
            let more = built.table.collect(
                &mut self.candidates,
                &mut self.position,
                BATCH_ROWS,
                first_only,
                |row| by_existence && output.is_matched(row),
                &mut self.pairs,
            );
            if !exact {
                keep_equal(&self.probe_keys, &built.keys, &built.store, &mut self.pairs);
            }
            self.output.judge(&mut self.pairs, condition, &built.store, &context.evaluation())?;
            self.output.note(&self.pairs)?;
            if by_existence {
                if more {
                    continue;
                }
                self.judge_marks(keys, condition, context)?;
                return Ok((self.output.give_existence(), Flow::NeedInput));
            }
            let boundary = more.then(|| self.candidates[self.position].row);
            let batch = self.output.give(&mut self.pairs, boundary, &built.store);
            match (batch, more) {
                (None, true) => {}
                (batch, more) => {
                    let flow =
                        if more || self.output.has_rest() { Flow::MoreOutput } else { Flow::NeedInput };
                    return Ok((batch, flow));
                }
            }
        }
    }

    /// Which of the marks that are not true are NULL: rows whose keys may be equal because one of them is NULL.
    fn judge_marks(
        &mut self,
        keys: &[HashKey],
        condition: Option<&Expression>,
        context: &mut ExecutionContext<'_>,
    ) -> Result<()> {
        let Some(Built { store, keys: build_keys, mark: Some(mark), .. }) = &self.built else {
            return Ok(());
        };
        let open = self.output.unmatched_rows();
        let is_open_key = |key: &HashKey| key.nulls == KeyNulls::Unknown;
        let has_null = |row: u16| {
            keys.iter()
                .zip(&self.probe_keys)
                .any(|(key, column)| is_open_key(key) && column.is_null(usize::from(row)))
        };
        let (with_null, without): (Vec<u16>, Vec<u16>) = open.iter().partition(|row| has_null(**row));
        let first: Vec<usize> = (0..keys.len()).filter(|key| !is_open_key(&keys[*key])).collect();
        let first_columns: Vec<&Column> = first.iter().map(|key| &*self.probe_keys[*key]).collect();
        let first_nulls: Vec<KeyNulls> = first.iter().map(|key| keys[*key].nulls).collect();
        let row_count = self.output.batch().rows;
        let mut candidates = Vec::new();
        let mut pairs = Pairs::default();
        for (rows, table, numbers) in
            [(with_null, &mark.all, None), (without, &mark.with_null, Some(&mark.null_rows))]
        {
            if rows.is_empty() || table.len() == 0 {
                continue;
            }
            let scratch = &mut self.scratch;
            table.probe(&first_columns, &first_nulls, row_count, Some(&rows), scratch, &mut candidates);
            let mut position = 0;
            loop {
                context.cancel.check()?;
                pairs.clear();
                let output = &self.output;
                let skip = |row| output.is_unknown(row);
                let more = table.collect(&mut candidates, &mut position, BATCH_ROWS, false, skip, &mut pairs);
                if let Some(numbers) = numbers {
                    pairs.partners.iter_mut().for_each(|partner| *partner = numbers[*partner as usize]);
                }
                keep_where(&mut pairs, |row, partner| {
                    keys.iter().zip(&self.probe_keys).zip(build_keys).all(|((key, left), right)| {
                        let Some(right) = column_of(right, store) else { return true };
                        let (row, partner) = (usize::from(row), partner as usize);
                        (is_open_key(key) && (left.is_null(row) || right.is_null(partner)))
                            || values_equal(left, row, right, partner)
                    })
                });
                // What is true or NULL here is NULL in all, for the keys are; judging notes the NULLs.
                self.output.judge(&mut pairs, condition, store, &context.evaluation())?;
                self.output.set_unknown(&pairs.rows);
                if !more {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// The build side's values of a key, unless they are no longer needed.
fn column_of<'b>(key: &'b BuildKey, store: &'b RowStore) -> Option<&'b Column> {
    match key {
        BuildKey::Stored(index) => Some(store.column(*index)),
        BuildKey::Computed(builder) => Some(builder.as_column()),
        BuildKey::Gone => None,
    }
}

/// Bytes of the build side's rows and keys.
fn bytes_of(keys: &[BuildKey], store: &RowStore) -> usize {
    let computed = keys.iter().map(|key| match key {
        BuildKey::Computed(builder) => builder.memory_bytes(),
        _ => 0,
    });
    computed.sum::<usize>() + store.memory_bytes()
}

fn key_columns<'b>(keys: &'b [BuildKey], store: &'b RowStore) -> Vec<&'b Column> {
    keys.iter().filter_map(|key| column_of(key, store)).collect()
}

fn mark_tables(
    columns: &[&Column],
    nulls: &[KeyNulls],
    rows: usize,
    memory: &mut Reservation,
    context: &ExecutionContext<'_>,
) -> Result<MarkTables> {
    let first: Vec<usize> = (0..nulls.len()).filter(|key| nulls[*key] != KeyNulls::Unknown).collect();
    let first_nulls: Vec<KeyNulls> = first.iter().map(|key| nulls[*key]).collect();
    let first_columns: Vec<&Column> = first.iter().map(|key| columns[*key]).collect();
    let mut null_rows = Vec::new();
    let open: Vec<&Column> = columns
        .iter()
        .zip(nulls)
        .filter(|(column, nulls)| **nulls == KeyNulls::Unknown && column.may_have_nulls())
        .map(|(column, _)| *column)
        .collect();
    if !open.is_empty() {
        null_rows.extend((0..rows as u32).filter(|row| open.iter().any(|key| key.is_null(*row as usize))));
    }
    memory.grow(null_rows.capacity() * 4)?;
    let picked: Vec<Column> = first_columns.iter().map(|column| column.pick(&null_rows)).collect();
    let picked: Vec<&Column> = picked.iter().collect();
    let with_null = JoinTable::build(&picked, &first_nulls, null_rows.len(), memory, context.cancel)?;
    let all = JoinTable::build(&first_columns, &first_nulls, rows, memory, context.cancel)?;
    Ok(MarkTables { null_rows, with_null, all })
}

/// Keeps the pairs for which `keep` holds.
fn keep_where(pairs: &mut Pairs, keep: impl Fn(u16, u32) -> bool) {
    let mut kept = 0;
    for position in 0..pairs.len() {
        let (row, partner) = (pairs.rows[position], pairs.partners[position]);
        pairs.rows[kept] = row;
        pairs.partners[kept] = partner;
        kept += usize::from(keep(row, partner));
    }
    pairs.rows.truncate(kept);
    pairs.partners.truncate(kept);
}

/// Keeps the pairs whose keys are equal: their hashes are.
fn keep_equal(probe: &[Arc<Column>], build: &[BuildKey], store: &RowStore, pairs: &mut Pairs) {
    for (left, right) in probe.iter().zip(build) {
        let Some(right) = column_of(right, store) else { continue };
        let mut different: Vec<u16> = Vec::new();
        let numbers = pairs.rows.iter().zip(&pairs.partners);
        each_difference(
            left,
            right,
            numbers.map(|(row, partner)| (usize::from(*row), *partner as usize)),
            |position| different.push(position as u16),
        );
        if !different.is_empty() {
            pairs.remove(&different);
        }
    }
}

impl Transform for HashJoin {
    fn prepare(&mut self, context: &mut ExecutionContext<'_>) -> Result<()> {
        if self.built.is_none() {
            self.built = Some(self.build(context)?);
        }
        Ok(())
    }

    fn push(
        &mut self,
        input: Option<Batch>,
        context: &mut ExecutionContext<'_>,
    ) -> Result<(Option<Batch>, Flow)> {
        if let Some(batch) = input {
            let node = self.node.clone();
            let (keys, _) = parts(node.operator());
            self.probe_keys.clear();
            for key in keys {
                self.probe_keys.push(columns::evaluate(&key.left, &batch, &context.evaluation())?);
            }
            if let Some(built) = &self.built {
                let columns: Vec<&Column> = self.probe_keys.iter().map(Arc::as_ref).collect();
                let nulls: Vec<KeyNulls> = keys.iter().map(|key| key.nulls).collect();
                let rows = batch.selection.as_ref().map(|selection| selection.0.as_slice());
                let (scratch, candidates) = (&mut self.scratch, &mut self.candidates);
                built.table.probe(&columns, &nulls, batch.rows, rows, scratch, candidates);
            }
            self.position = 0;
            self.output.start(batch);
        }
        self.advance(context)
    }

    fn finish(&mut self, context: &mut ExecutionContext<'_>) -> Result<Option<Batch>> {
        context.cancel.check()?;
        Ok(self.built.as_ref().and_then(|built| self.output.give_right_rows(&built.store)))
    }

    fn is_finished(&self) -> bool {
        let Some(built) = &self.built else { return false };
        match self.kind {
            PhysicalJoinKind::Inner | PhysicalJoinKind::Semi => built.table.len() == 0,
            PhysicalJoinKind::Right => built.store.len() == 0,
            _ => false,
        }
    }

    fn reads_another_input(&self) -> bool {
        true
    }

    fn gives_without_input(&self) -> bool {
        matches!(self.kind, PhysicalJoinKind::Right | PhysicalJoinKind::Full)
    }

    fn restart(&mut self) {
        self.candidates.clear();
        self.position = 0;
        if self.right_is_stable {
            self.output.forget_matches();
        } else {
            self.built = None;
            self.output.forget_matches();
            self.right.restart();
            // Giving back never fails.
            let _ = self.memory.resize(0);
        }
    }

    fn memory_bytes(&self) -> usize {
        self.memory.bytes()
    }
}
