//! What EXPLAIN ANALYZE shows of a run: wrappers around the operators that count and take the time. A run that nobody
//! looks at has none of them.

use crate::batch::batch::Batch;
use crate::common::clock::Clock;
use crate::common::sync::{Arc, Mutex};
use crate::error::Result;
use crate::sql::executor::ExecutionContext;
use crate::sql::executor::pipeline::{Flow, Source, Transform};
use crate::sql::plan::physical::PhysicalNode;
use hashbrown::HashMap;

/// What a node of a plan did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NodeStatistics {
    /// Rows put out, in all runs.
    pub rows: u64,
    /// How often it was run; 0: never.
    pub loops: u64,
    /// Time spent in it and its inputs, in all runs.
    pub nanoseconds: u64,
    /// The most bytes it held at once, as far as it accounts for them itself.
    pub memory_bytes: u64,
}

/// Collects what the wrappers see.
pub(super) struct Observer {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// By the node's address, which does not change while the plan lives.
    numbers: HashMap<usize, usize>,
    /// By number: how many nodes are below it.
    below: Vec<usize>,
}

struct State {
    /// By number; the time is that of the node alone.
    nodes: Vec<NodeStatistics>,
    /// Nodes whose calls are running, innermost last.
    running: Vec<usize>,
    /// When time was last given to the innermost.
    since: u64,
}

fn address(node: &PhysicalNode) -> usize {
    std::ptr::from_ref(node).addr()
}

impl Observer {
    pub(super) fn new(root: &PhysicalNode, clock: Arc<dyn Clock>) -> Arc<Observer> {
        let mut numbers = HashMap::new();
        let mut parents = Vec::new();
        let mut waiting = vec![(root, None)];
        while let Some((node, parent)) = waiting.pop() {
            let number = parents.len();
            numbers.insert(address(node), number);
            parents.push(parent);
            waiting.extend(node.inputs().into_iter().rev().map(|input| (input, Some(number))));
        }
        let mut below = vec![0; parents.len()];
        for number in (0..parents.len()).rev() {
            if let Some(parent) = parents[number] {
                below[parent] += below[number] + 1;
            }
        }
        let state =
            State { nodes: vec![NodeStatistics::default(); parents.len()], running: Vec::new(), since: 0 };
        Arc::new(Observer { clock, state: Mutex::new(state), numbers, below })
    }

    fn number(&self, node: &PhysicalNode) -> usize {
        self.numbers.get(&address(node)).copied().unwrap_or(0)
    }

    fn enter(&self, number: usize) {
        let now = self.clock.monotonic_nanos();
        let mut state = self.state.lock();
        state.charge(now);
        state.running.push(number);
    }

    fn leave(&self, number: usize, rows: usize, memory_bytes: usize) {
        let now = self.clock.monotonic_nanos();
        let mut state = self.state.lock();
        state.charge(now);
        state.running.pop();
        let node = &mut state.nodes[number];
        node.rows += rows as u64;
        node.memory_bytes = node.memory_bytes.max(memory_bytes as u64);
    }

    fn count_run(&self, number: usize) {
        self.state.lock().nodes[number].loops += 1;
    }

    /// Everything so far, by number; the times include those of the inputs.
    pub(super) fn statistics(&self, out: &mut Vec<NodeStatistics>) {
        let state = self.state.lock();
        out.clear();
        out.extend_from_slice(&state.nodes);
        for (number, (node, below)) in out.iter_mut().zip(&self.below).enumerate() {
            let with_inputs = &state.nodes[number..=number + below];
            node.nanoseconds = with_inputs.iter().map(|node| node.nanoseconds).sum();
        }
    }
}

impl State {
    fn charge(&mut self, now: u64) {
        if let Some(running) = self.running.last() {
            self.nodes[*running].nanoseconds += now.saturating_sub(self.since);
        }
        self.since = now;
    }
}

/// A source that is watched.
struct ObservedSource {
    inner: Box<dyn Source>,
    observer: Arc<Observer>,
    number: usize,
    is_started: bool,
}

/// Watches a source.
pub(super) fn source(
    inner: Box<dyn Source>,
    node: &PhysicalNode,
    observer: &Arc<Observer>,
) -> Box<dyn Source> {
    let number = observer.number(node);
    Box::new(ObservedSource { inner, observer: Arc::clone(observer), number, is_started: false })
}

impl Source for ObservedSource {
    fn next(&mut self, context: &mut ExecutionContext<'_>) -> Result<Option<Batch>> {
        if !std::mem::replace(&mut self.is_started, true) {
            self.observer.count_run(self.number);
        }
        self.observer.enter(self.number);
        let result = self.inner.next(context);
        let rows = result.as_ref().map_or(0, |batch| batch.as_ref().map_or(0, Batch::selected_rows));
        self.observer.leave(self.number, rows, self.inner.memory_bytes());
        result
    }

    fn expect(&mut self, rows: Option<u64>) {
        self.inner.expect(rows);
    }

    fn restart(&mut self) {
        self.is_started = false;
        self.inner.restart();
    }

    fn is_cheap(&self) -> bool {
        self.inner.is_cheap()
    }

    fn memory_bytes(&self) -> usize {
        self.inner.memory_bytes()
    }
}

/// An operator that is watched.
struct ObservedTransform {
    inner: Box<dyn Transform>,
    observer: Arc<Observer>,
    number: usize,
    is_started: bool,
}

/// Watches an operator.
pub(super) fn transform(
    inner: Box<dyn Transform>,
    node: &PhysicalNode,
    observer: &Arc<Observer>,
) -> Box<dyn Transform> {
    let number = observer.number(node);
    Box::new(ObservedTransform { inner, observer: Arc::clone(observer), number, is_started: false })
}

impl ObservedTransform {
    fn start(&mut self) {
        if !std::mem::replace(&mut self.is_started, true) {
            self.observer.count_run(self.number);
        }
    }
}

impl Transform for ObservedTransform {
    fn prepare(&mut self, context: &mut ExecutionContext<'_>) -> Result<()> {
        self.start();
        self.observer.enter(self.number);
        let result = self.inner.prepare(context);
        self.observer.leave(self.number, 0, self.inner.memory_bytes());
        result
    }

    fn push(
        &mut self,
        input: Option<Batch>,
        context: &mut ExecutionContext<'_>,
    ) -> Result<(Option<Batch>, Flow)> {
        self.start();
        self.observer.enter(self.number);
        let result = self.inner.push(input, context);
        let rows = result.as_ref().map_or(0, |(batch, _)| batch.as_ref().map_or(0, Batch::selected_rows));
        self.observer.leave(self.number, rows, self.inner.memory_bytes());
        result
    }

    fn finish(&mut self, context: &mut ExecutionContext<'_>) -> Result<Option<Batch>> {
        self.observer.enter(self.number);
        let result = self.inner.finish(context);
        let rows = result.as_ref().map_or(0, |batch| batch.as_ref().map_or(0, Batch::selected_rows));
        self.observer.leave(self.number, rows, self.inner.memory_bytes());
        result
    }

    fn is_finished(&self) -> bool {
        self.inner.is_finished()
    }

    fn rows_taken(&self, rows: Option<u64>) -> Option<u64> {
        self.inner.rows_taken(rows)
    }

    fn reads_another_input(&self) -> bool {
        self.inner.reads_another_input()
    }

    fn gives_without_input(&self) -> bool {
        self.inner.gives_without_input()
    }

    fn restart(&mut self) {
        self.is_started = false;
        self.inner.restart();
    }

    fn memory_bytes(&self) -> usize {
        self.inner.memory_bytes()
    }
}
