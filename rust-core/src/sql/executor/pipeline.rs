//! A pipeline: a source, operators, a sink, and the loop that drives them.
//! Knows batches. Knows nothing of what the operators do.

use crate::batch::batch::Batch;
use crate::error::Result;
use crate::sql::executor::ExecutionContext;

/// Where batches come from. An empty batch is allowed; `None` is the end, and stays it.
pub(super) trait Source: Send {
    /// The next batch.
    fn next(&mut self, context: &mut ExecutionContext<'_>) -> Result<Option<Batch>>;
}

/// What an operator wants after a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Flow {
    /// The next batch of its input.
    NeedInput,
    /// To be called again without input: it has more output for what it was given.
    #[allow(dead_code, reason = "the contract of operators that multiply rows; joins are the first")]
    MoreOutput,
    /// Nothing: whatever else its input has, it puts out no more.
    Finished,
}

/// An operator inside a pipeline.
pub(super) trait Transform: Send {
    /// Takes a batch (`None`: goes on with the last one, after [`Flow::MoreOutput`]) and gives at most one.
    fn push(
        &mut self,
        input: Option<Batch>,
        context: &mut ExecutionContext<'_>,
    ) -> Result<(Option<Batch>, Flow)>;

    /// Whether it puts out nothing whatever it is given, so that its input need not run.
    fn is_finished(&self) -> bool {
        false
    }
}

/// The end of a pipeline that keeps what it is given.
pub(super) trait Sink: Send {
    /// Takes a batch; [`Flow::Finished`] when it needs no more.
    fn push(&mut self, batch: Batch, context: &mut ExecutionContext<'_>) -> Result<Flow>;
    /// All input is there: what the next pipeline reads.
    fn finish(self: Box<Self>, context: &mut ExecutionContext<'_>) -> Result<Box<dyn Source>>;
}

/// Source and operators. The sink is the caller's.
pub(super) struct Pipeline {
    source: Box<dyn Source>,
    transforms: Vec<Box<dyn Transform>>,
    /// For each operator whether it asked to be called again without input.
    resumable: Vec<bool>,
    /// Operators before this one get no more input: one of them, or one behind them, has finished.
    finished_before: usize,
    at_end: bool,
}

impl Pipeline {
    pub(super) fn new(source: Box<dyn Source>) -> Pipeline {
        Pipeline { source, transforms: Vec::new(), resumable: Vec::new(), finished_before: 0, at_end: false }
    }

    pub(super) fn add(&mut self, transform: Box<dyn Transform>) {
        self.at_end |= transform.is_finished();
        self.transforms.push(transform);
        self.resumable.push(false);
    }

    /// The next batch with rows that comes out behind the last operator; `None` at the end.
    pub(super) fn next(&mut self, context: &mut ExecutionContext<'_>) -> Result<Option<Batch>> {
        loop {
            context.cancel.check()?;
            // The last operator that has more to say goes first, so that nothing piles up between operators.
            let resumed = (self.finished_before..self.transforms.len()).rev().find(|&i| self.resumable[i]);
            let (mut position, mut batch) = match resumed {
                Some(position) => (position, None),
                None if self.at_end => return Ok(None),
                None => match self.source.next(context)? {
                    Some(batch) if batch.selected_rows() == 0 => continue,
                    Some(batch) => (0, Some(batch)),
                    None => {
                        self.at_end = true;
                        return Ok(None);
                    }
                },
            };
            while position < self.transforms.len() {
                let (output, flow) = self.transforms[position].push(batch.take(), context)?;
                self.resumable[position] = flow == Flow::MoreOutput;
                if flow == Flow::Finished {
                    self.finished_before = self.finished_before.max(position + 1);
                    self.at_end = true;
                }
                batch = output.filter(|output| output.selected_rows() > 0);
                if batch.is_none() {
                    break;
                }
                position += 1;
            }
            if batch.is_some() {
                return Ok(batch);
            }
        }
    }

    /// Pushes everything into `sink`.
    pub(super) fn drain_into(
        &mut self,
        sink: &mut dyn Sink,
        context: &mut ExecutionContext<'_>,
    ) -> Result<()> {
        while let Some(batch) = self.next(context)? {
            if sink.push(batch, context)? == Flow::Finished {
                break;
            }
        }
        Ok(())
    }
}
