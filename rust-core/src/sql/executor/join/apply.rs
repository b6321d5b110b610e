//! Joins whose right input is run again for each row of the left one, which it sees as parameters.

use crate::batch::batch::Batch;
use crate::batch::column::Column;
use crate::common::limits::BATCH_ROWS;
use crate::common::memory::Reservation;
use crate::common::sync::Arc;
use crate::error::Result;
use crate::sql::evaluate::columns;
use crate::sql::executor::ExecutionContext;
use crate::sql::executor::aggregate::groups::GroupTable;
use crate::sql::executor::join::output::{JoinColumns, JoinOutput};
use crate::sql::executor::join::table::Pairs;
use crate::sql::executor::node::{NodeRef, output_types};
use crate::sql::executor::pipeline::{Flow, Pipeline, Transform};
use crate::sql::executor::store::RowStore;
use crate::sql::plan::physical::Operator;
use crate::sql::types::datum::Datum;

/// Bytes of results that may be kept for rows with the same arguments.
const CACHE_BYTES_MAX: usize = 8 << 20;

/// Results by arguments.
struct Cache {
    arguments: GroupTable,
    /// By group of arguments: the rows of the store that the right input gave.
    results: Vec<Option<(usize, usize)>>,
    /// The group of each row of the left batch that counts.
    groups: Vec<u32>,
}

/// A join by running the right input for each left row.
pub(in crate::sql::executor) struct Apply {
    node: NodeRef,
    right: Pipeline,
    output: JoinOutput,
    store: RowStore,
    /// All parameters as the right input sees them.
    parameters: Vec<Datum>,
    arguments: Vec<Arc<Column>>,
    /// `None`: runs with equal arguments may differ.
    cache: Option<Cache>,
    /// The left row at hand, counted among those of the batch, and its partners that are still to come.
    position: usize,
    partners: Option<(usize, usize)>,
    pairs: Pairs,
    memory: Reservation,
}

impl Apply {
    /// `wanted`: which output columns are used; `None`: all. `may_share`: equal arguments give equal rows.
    pub(in crate::sql::executor) fn new(
        node: NodeRef,
        mut right: Pipeline,
        may_share: bool,
        wanted: Option<&[bool]>,
        context: &ExecutionContext<'_>,
    ) -> Apply {
        let Operator::Apply { kind, left, right: second, condition, .. } = node.operator() else {
            unreachable!("made for an apply");
        };
        let columns = JoinColumns::new(output_types(left), output_types(second), wanted, condition.as_ref());
        let store = RowStore::new(columns.right_types.clone(), &columns.right_kept(*kind));
        let output = JoinOutput::new(*kind, columns);
        if output.is_by_existence() && condition.is_none() {
            right.expect(Some(1));
        }
        let cache = may_share.then(|| Cache {
            arguments: GroupTable::new(),
            results: Vec::new(),
            groups: Vec::new(),
        });
        Apply {
            right,
            output,
            store,
            parameters: Vec::new(),
            arguments: Vec::new(),
            cache,
            position: 0,
            partners: None,
            pairs: Pairs::default(),
            memory: context.memory.reservation(),
            node,
        }
    }

    fn charge(&mut self) -> Result<()> {
        let cache = self
            .cache
            .as_ref()
            .map_or(0, |cache| cache.arguments.memory_bytes() + cache.results.capacity() * 24);
        self.memory.resize(self.store.memory_bytes() + cache)
    }

    /// The rows of the store that belong to a left row.
    fn run(
        &mut self,
        row: u16,
        first_only: bool,
        context: &mut ExecutionContext<'_>,
    ) -> Result<(usize, usize)> {
        let group = self.cache.as_ref().map(|cache| cache.groups[self.position] as usize);
        if let (Some(cache), Some(group)) = (&self.cache, group)
            && let Some(result) = cache.results[group]
        {
            return Ok(result);
        }
        let node = self.node.clone();
        let Operator::Apply { arguments, .. } = node.operator() else { unreachable!("made for an apply") };
        for ((parameter, _), values) in arguments.iter().zip(&self.arguments) {
            self.parameters[*parameter] = values.datum(usize::from(row)).to_owned();
        }
        let start = self.store.len();
        self.right.restart();
        let mut context = context.with_parameters(&self.parameters);
        while let Some(batch) = self.right.next(&mut context)? {
            if first_only {
                self.store.append(&batch.slice(0, 1))?;
                break;
            }
            self.store.append(&batch)?;
            let held = self.store.memory_bytes();
            if held > self.memory.bytes() {
                self.memory.resize(held)?;
            }
        }
        let result = (start, self.store.len());
        if let (Some(cache), Some(group)) = (&mut self.cache, group) {
            cache.results[group] = Some(result);
        }
        Ok(result)
    }

    fn advance(&mut self, context: &mut ExecutionContext<'_>) -> Result<(Option<Batch>, Flow)> {
        let node = self.node.clone();
        let Operator::Apply { condition, .. } = node.operator() else { unreachable!("made for an apply") };
        if let Some(batch) = self.output.give_rest(&self.store) {
            return Ok((Some(batch), Flow::MoreOutput));
        }
        let by_existence = self.output.is_by_existence();
        let first_only = by_existence && condition.is_none();
        loop {
            context.cancel.check()?;
            if self.partners.is_none() && self.store.len() > 0 {
                match &mut self.cache {
                    None => self.store.clear(),
                    Some(cache) if self.store.memory_bytes() > CACHE_BYTES_MAX => {
                        self.store.clear();
                        cache.results.fill(None);
                    }
                    Some(_) => {}
                }
            }
            self.pairs.clear();
            while self.pairs.len() < BATCH_ROWS
                && let Some(row) = self.output.row(self.position)
            {
                let (mut next, end) = match self.partners.take() {
                    Some(partners) => partners,
                    None => self.run(row, first_only, context)?,
                };
                while next < end && self.pairs.len() < BATCH_ROWS {
                    self.pairs.push(row, next as u32);
                    next += 1;
                }
                if next < end && !(by_existence && self.output.is_matched(row)) {
                    self.partners = Some((next, end));
                } else {
                    self.position += 1;
                }
            }
            self.charge()?;
            let more = self.output.row(self.position);
            self.output.judge(&mut self.pairs, condition.as_ref(), &self.store, &context.evaluation())?;
            self.output.note(&self.pairs)?;
            if by_existence {
                if more.is_some() {
                    continue;
                }
                return Ok((self.output.give_existence(), Flow::NeedInput));
            }
            let batch = self.output.give(&mut self.pairs, more, &self.store);
            if batch.is_some() || more.is_none() {
                let resumes = more.is_some() || self.output.has_rest();
                return Ok((batch, if resumes { Flow::MoreOutput } else { Flow::NeedInput }));
            }
        }
    }
}

impl Transform for Apply {
    fn prepare(&mut self, context: &mut ExecutionContext<'_>) -> Result<()> {
        self.parameters.clear();
        self.parameters.extend_from_slice(context.parameters);
        Ok(())
    }

    fn push(
        &mut self,
        input: Option<Batch>,
        context: &mut ExecutionContext<'_>,
    ) -> Result<(Option<Batch>, Flow)> {
        if let Some(batch) = input {
            let node = self.node.clone();
            let Operator::Apply { arguments, .. } = node.operator() else {
                unreachable!("made for an apply");
            };
            self.arguments.clear();
            for (_, value) in arguments {
                self.arguments.push(columns::evaluate(value, &batch, &context.evaluation())?);
            }
            if let Some(cache) = &mut self.cache {
                if cache.arguments.memory_bytes() > CACHE_BYTES_MAX {
                    cache.arguments = GroupTable::new();
                    cache.results.clear();
                    self.store.clear();
                }
                cache.arguments.assign(&batch, &self.arguments, &mut cache.groups)?;
                cache.results.resize(cache.arguments.len(), None);
            }
            self.position = 0;
            self.partners = None;
            self.output.start(batch);
        }
        self.advance(context)
    }

    fn restart(&mut self) {
        self.right.restart();
        self.output.forget_matches();
        self.store.clear();
        if let Some(cache) = &mut self.cache {
            cache.results.fill(None);
        }
        self.partners = None;
    }

    fn memory_bytes(&self) -> usize {
        self.memory.bytes()
    }
}
