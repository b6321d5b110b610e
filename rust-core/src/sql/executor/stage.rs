//! A breaker as a source: it first runs the pipeline before it into its sink.

use crate::batch::batch::Batch;
use crate::common::sync::Arc;
use crate::error::{Error, Result};
use crate::sql::executor::ExecutionContext;
use crate::sql::executor::aggregate::HashAggregate;
use crate::sql::executor::constraint::ChangedTables;
use crate::sql::executor::modify::Modify;
use crate::sql::executor::node::NodeRef;
use crate::sql::executor::pipeline::{Pipeline, Sink, Source};
use crate::sql::executor::recheck::Rechecker;
use crate::sql::executor::sort::Sort;
use crate::sql::executor::top_n::TopN;
use crate::sql::plan::physical::Operator;
use std::sync::atomic::AtomicU64;

/// A breaker with the pipeline before it.
pub(super) struct Stage {
    node: NodeRef,
    input: Pipeline,
    /// Rows changed, where the breaker is a data change.
    affected: Arc<AtomicU64>,
    /// For a data change that is of rows found before.
    rechecker: Option<Rechecker>,
    /// What it puts out; `None`: it has not run.
    output: Option<Box<dyn Source>>,
    /// The query that an ON CONFLICT DO UPDATE runs for each conflict.
    conflict_values: Option<Pipeline>,
    /// Where common tables change rows too: all that the statement changes.
    changed: Option<Arc<ChangedTables>>,
    /// Bytes held by the sink when all input was there.
    sink_bytes: usize,
}

impl Stage {
    pub(super) fn new(
        node: NodeRef,
        input: Pipeline,
        affected: Arc<AtomicU64>,
        changed: Option<Arc<ChangedTables>>,
    ) -> Stage {
        Stage {
            node,
            input,
            affected,
            rechecker: None,
            output: None,
            conflict_values: None,
            changed,
            sink_bytes: 0,
        }
    }

    /// Gives it the query that an ON CONFLICT DO UPDATE runs for each conflict.
    pub(super) fn set_conflict_values(&mut self, values: Pipeline) {
        self.conflict_values = Some(values);
    }

    /// Gives it what checks rows again that changed before they were locked.
    pub(super) fn set_rechecker(&mut self, rechecker: Rechecker) {
        self.rechecker = Some(rechecker);
    }

    fn sink(&mut self, context: &mut ExecutionContext<'_>) -> Result<Box<dyn Sink>> {
        let node = self.node.clone();
        Ok(match self.node.operator() {
            Operator::HashAggregate { .. } => Box::new(HashAggregate::new(node, context)),
            Operator::Sort { .. } => Box::new(Sort::new(node, context)),
            Operator::TopN { .. } => Box::new(TopN::new(node, context)?),
            Operator::Insert { .. } | Operator::Update { .. } | Operator::Delete { .. } => {
                let values = self.conflict_values.take();
                let affected = Arc::clone(&self.affected);
                let mut modify = Modify::new(node, affected, values, self.rechecker.take(), context)?;
                if let Some(changed) = &self.changed {
                    modify.share_command(changed);
                }
                Box::new(modify)
            }
            _ => return Err(Error::internal("an operator that takes no whole input")),
        })
    }

    #[inline(never)]
    fn run(&mut self, context: &mut ExecutionContext<'_>) -> Result<Box<dyn Source>> {
        if self.changed.is_none() {
            return self.run_input(context);
        }
        // It may run in the middle of another change, whose keys wait.
        let waiting = std::mem::take(&mut context.pending.keys);
        let output = self.run_input(context)?;
        context.pending.keys = waiting;
        Ok(output)
    }

    fn run_input(&mut self, context: &mut ExecutionContext<'_>) -> Result<Box<dyn Source>> {
        let mut sink = self.sink(context)?;
        self.input.drain_into(sink.as_mut(), context)?;
        self.sink_bytes = sink.memory_bytes();
        sink.finish(context)
    }
}

impl Source for Stage {
    fn next(&mut self, context: &mut ExecutionContext<'_>) -> Result<Option<Batch>> {
        if self.output.is_none() {
            self.output = Some(self.run(context)?);
        }
        match &mut self.output {
            Some(output) => output.next(context),
            None => Ok(None),
        }
    }

    fn restart(&mut self) {
        self.output = None;
        self.input.restart();
    }

    fn memory_bytes(&self) -> usize {
        self.sink_bytes.max(self.output.as_ref().map_or(0, |output| output.memory_bytes()))
    }
}
