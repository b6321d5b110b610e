//! A pipeline: a source, operators, a sink, and the loop that drives them.
//! Knows batches. Knows nothing of what the operators do.

use crate::batch::batch::Batch;
use crate::error::Result;
use crate::sql::executor::ExecutionContext;

/// Where batches come from. An empty batch is allowed; `None` is the end, and stays it.
pub(super) trait Source: Send {
    /// The next batch. The first call starts the source: nothing is read or computed before.
    fn next(&mut self, context: &mut ExecutionContext<'_>) -> Result<Option<Batch>>;

    /// Tells about how many rows will be taken (`None`: all), before the first call of `next`, and again after each
    /// `restart`. More may be asked for. A source that reads ahead begins with batches of that size, and lets them grow.
    fn expect(&mut self, rows: Option<u64>) {
        let _ = rows;
    }

    /// Makes the next call of `next` start again from the beginning, with the parameters of then.
    fn restart(&mut self);

    /// Whether the first batch costs next to nothing: operators wait for it before they prepare.
    fn is_cheap(&self) -> bool {
        false
    }

    /// Bytes that it holds now.
    fn memory_bytes(&self) -> usize {
        0
    }
}

/// What an operator wants after a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Flow {
    /// The next batch of its input.
    NeedInput,
    /// To be called again without input: it has more output for what it was given.
    MoreOutput,
    /// Nothing: whatever else its input has, it puts out no more.
    Finished,
}

/// An operator inside a pipeline.
pub(super) trait Transform: Send {
    /// Makes ready what does not depend on the input. Called once before the first batch.
    fn prepare(&mut self, context: &mut ExecutionContext<'_>) -> Result<()> {
        let _ = context;
        Ok(())
    }

    /// Takes a batch (`None`: goes on with the last one, after [`Flow::MoreOutput`]) and gives at most one.
    fn push(
        &mut self,
        input: Option<Batch>,
        context: &mut ExecutionContext<'_>,
    ) -> Result<(Option<Batch>, Flow)>;

    /// There is no more input: what it still has to put out, one batch a call; `None`: nothing more.
    fn finish(&mut self, context: &mut ExecutionContext<'_>) -> Result<Option<Batch>> {
        let _ = context;
        Ok(None)
    }

    /// Whether it is prepared and puts out nothing whatever it is given, so that its input need not run.
    fn is_finished(&self) -> bool {
        false
    }

    /// About how many rows of input it takes before it has put out `rows` rows (`None`: all of them); it is prepared.
    fn rows_taken(&self, rows: Option<u64>) -> Option<u64> {
        rows
    }

    /// Whether `prepare` reads another input, so that it is worth knowing first whether there are rows at all.
    fn reads_another_input(&self) -> bool {
        false
    }

    /// Whether it may put out rows when it is given none.
    fn gives_without_input(&self) -> bool {
        false
    }

    /// Forgets all input; `prepare` is called again before the next batch.
    fn restart(&mut self);

    /// Bytes that it holds now.
    fn memory_bytes(&self) -> usize {
        0
    }
}

/// The end of a pipeline that keeps what it is given.
pub(super) trait Sink: Send {
    /// Takes a batch; [`Flow::Finished`] when it needs no more.
    fn push(&mut self, batch: Batch, context: &mut ExecutionContext<'_>) -> Result<Flow>;
    /// Whether it needs no input at all.
    fn is_finished(&self) -> bool {
        false
    }
    /// All input is there: what the next pipeline reads. It is never restarted.
    fn finish(self: Box<Self>, context: &mut ExecutionContext<'_>) -> Result<Box<dyn Source>>;
    /// Bytes that it holds now.
    fn memory_bytes(&self) -> usize {
        0
    }
}

/// Source and operators. The sink is the caller's.
pub(super) struct Pipeline {
    source: Box<dyn Source>,
    transforms: Vec<Box<dyn Transform>>,
    /// For each operator whether it asked to be called again without input.
    resumable: Vec<bool>,
    /// The first batch, read before the operators were prepared.
    first: Option<Batch>,
    /// About how many rows whoever reads it takes.
    expected: Option<u64>,
    prepared: bool,
    /// Operators before this one get no more input: one of them, or one behind them, has finished.
    finished_before: usize,
    /// The source gives no more.
    at_end: bool,
}

impl Pipeline {
    pub(super) fn new(source: Box<dyn Source>) -> Pipeline {
        Pipeline {
            source,
            transforms: Vec::new(),
            resumable: Vec::new(),
            first: None,
            expected: None,
            prepared: false,
            finished_before: 0,
            at_end: false,
        }
    }

    /// Tells about how many rows will be taken (`None`: all), in this run and those after a restart.
    pub(super) fn expect(&mut self, rows: Option<u64>) {
        self.expected = rows;
    }

    pub(super) fn add(&mut self, transform: Box<dyn Transform>) {
        self.transforms.push(transform);
        self.resumable.push(false);
    }

    #[inline(never)]
    fn prepare(&mut self, context: &mut ExecutionContext<'_>) -> Result<()> {
        self.prepared = true;
        if self.source.is_cheap() && self.transforms.iter().any(|transform| transform.reads_another_input()) {
            self.first = self.read(context)?;
            if self.at_end && !self.transforms.iter().any(|transform| transform.gives_without_input()) {
                self.finished_before = self.transforms.len();
                return Ok(());
            }
        }
        for position in (0..self.transforms.len()).rev() {
            self.transforms[position].prepare(context)?;
            if self.transforms[position].is_finished() {
                self.finished_before = position + 1;
                self.at_end = true;
                self.first = None;
                return Ok(());
            }
        }
        let taken = self.transforms.iter().rev().fold(self.expected, |rows, above| above.rows_taken(rows));
        self.source.expect(taken);
        Ok(())
    }

    /// The source's next batch with rows.
    fn read(&mut self, context: &mut ExecutionContext<'_>) -> Result<Option<Batch>> {
        loop {
            context.cancel.check()?;
            match self.source.next(context)? {
                Some(batch) if batch.selected_rows() == 0 => {}
                Some(batch) => return Ok(Some(batch)),
                None => {
                    self.at_end = true;
                    return Ok(None);
                }
            }
        }
    }

    /// The next batch with rows that comes out behind the last operator; `None` at the end.
    pub(super) fn next(&mut self, context: &mut ExecutionContext<'_>) -> Result<Option<Batch>> {
        if !self.prepared {
            self.prepare(context)?;
        }
        loop {
            context.cancel.check()?;
            // The last operator that has more to say goes first, so that nothing piles up between operators.
            let resumed = (self.finished_before..self.transforms.len()).rev().find(|&i| self.resumable[i]);
            let (mut position, mut batch) = match (resumed, self.first.take()) {
                (Some(position), first) => {
                    self.first = first;
                    (position, None)
                }
                (None, Some(first)) => (0, Some(first)),
                (None, None) if self.at_end => {
                    // Operators that kept something back give it out, first ones first.
                    let Some(transform) = self.transforms.get_mut(self.finished_before) else {
                        return Ok(None);
                    };
                    match transform.finish(context)? {
                        Some(batch) if batch.selected_rows() > 0 => (self.finished_before + 1, Some(batch)),
                        Some(_) => continue,
                        None => {
                            self.finished_before += 1;
                            continue;
                        }
                    }
                }
                (None, None) => match self.read(context)? {
                    Some(batch) => (0, Some(batch)),
                    None => continue,
                },
            };
            while position < self.transforms.len() {
                let (output, flow) = self.transforms[position].push(batch.take(), context)?;
                self.resumable[position] = flow == Flow::MoreOutput;
                if flow == Flow::Finished {
                    self.finished_before = self.finished_before.max(position + 1);
                    self.at_end = true;
                    self.first = None;
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
        if sink.is_finished() {
            return Ok(());
        }
        while let Some(batch) = self.next(context)? {
            if sink.push(batch, context)? == Flow::Finished {
                break;
            }
        }
        Ok(())
    }

    /// Starts again from the beginning at the next call of `next`.
    pub(super) fn restart(&mut self) {
        self.source.restart();
        self.transforms.iter_mut().for_each(|transform| transform.restart());
        self.resumable.fill(false);
        self.first = None;
        self.prepared = false;
        self.finished_before = 0;
        self.at_end = false;
    }
}

impl Source for Pipeline {
    fn next(&mut self, context: &mut ExecutionContext<'_>) -> Result<Option<Batch>> {
        Pipeline::next(self, context)
    }

    fn expect(&mut self, rows: Option<u64>) {
        Pipeline::expect(self, rows);
    }

    fn restart(&mut self) {
        Pipeline::restart(self);
    }

    fn is_cheap(&self) -> bool {
        self.source.is_cheap() && self.transforms.is_empty()
    }
}
