//! Who came before whom, and the circles in that: strongly connected components, the shortest circles through them, and
//! what they are called by their edges. Knows transactions as numbers.

use crate::anomaly::Anomaly;
use hashbrown::HashMap;
use std::collections::VecDeque;

/// Why one transaction comes before another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum EdgeKind {
    /// It wrote what the other overwrote.
    WriteWrite,
    /// It wrote what the other read.
    WriteRead,
    /// It read what the other overwrote.
    ReadWrite,
    /// Its end was acknowledged before the other began.
    RealTime,
}

impl EdgeKind {
    fn name(self) -> &'static str {
        match self {
            EdgeKind::WriteWrite => "ww",
            EdgeKind::WriteRead => "wr",
            EdgeKind::ReadWrite => "rw",
            EdgeKind::RealTime => "rt",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Of one transaction before another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Edge {
    /// The earlier one.
    pub from: u32,
    /// The later one.
    pub to: u32,
    /// Why.
    pub kind: EdgeKind,
}

/// A circle of edges, each of which begins where the one before ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cycle {
    /// The edges.
    pub edges: Vec<Edge>,
}

impl Cycle {
    /// What it is called, and whether it needs the order in real time.
    pub fn classify(&self) -> (Anomaly, bool) {
        let has = |kind| self.edges.iter().any(|edge| edge.kind == kind);
        let is_rw = |at: usize| self.edges[at % self.edges.len()].kind == EdgeKind::ReadWrite;
        let skews = (0..self.edges.len()).filter(|at| is_rw(*at)).count();
        let adjacent = (0..self.edges.len()).any(|at| self.edges.len() > 1 && is_rw(at) && is_rw(at + 1));
        let anomaly = match (skews, adjacent) {
            (0, _) if has(EdgeKind::WriteRead) => Anomaly::CircularInformation,
            (0, _) => Anomaly::WriteCycle,
            (1, _) => Anomaly::ReadSkew,
            (_, false) => Anomaly::NonadjacentSkew,
            (_, true) => Anomaly::WriteSkew,
        };
        (anomaly, has(EdgeKind::RealTime))
    }

    /// The circle as text.
    pub fn describe(&self) -> String {
        let mut text = String::new();
        for edge in &self.edges {
            text += &format!("T{} -{}-> ", edge.from, edge.kind.name());
        }
        text + &format!("T{}", self.edges.first().map_or(0, |edge| edge.from))
    }
}

/// Which paths count.
#[derive(Clone, Copy)]
struct Paths {
    kinds: u8,
    /// No two rw edges side by side.
    skews_apart: bool,
}

const WRITES: u8 = 1 << EdgeKind::WriteWrite as u8;
const READS: u8 = WRITES | 1 << EdgeKind::WriteRead as u8;
const ALL: u8 = READS | 1 << EdgeKind::ReadWrite as u8;
const TIME: u8 = 1 << EdgeKind::RealTime as u8;

/// In the order in which a circle is looked for: the worst first, and without the clock first.
const SEARCHES: [Paths; 8] = [
    Paths { kinds: WRITES, skews_apart: false },
    Paths { kinds: READS, skews_apart: false },
    Paths { kinds: ALL, skews_apart: true },
    Paths { kinds: ALL, skews_apart: false },
    Paths { kinds: WRITES | TIME, skews_apart: false },
    Paths { kinds: READS | TIME, skews_apart: false },
    Paths { kinds: ALL | TIME, skews_apart: true },
    Paths { kinds: ALL | TIME, skews_apart: false },
];

/// Circles told of each search: one alone says what is wrong.
const CYCLES_OF_A_SEARCH: usize = 4;
/// Circles through rw edges that are looked at to say what a level let happen.
const CYCLES_LOOKED_AT: usize = 2000;

/// Transactions and the edges between them.
#[derive(Debug, Default)]
pub struct Graph {
    edges: Vec<Edge>,
    nodes: usize,
}

/// What the search found.
#[derive(Debug, Default)]
pub struct Cycles {
    /// The shortest circles of each kind, a few of each.
    pub found: Vec<Cycle>,
    /// Components of transactions that all come before each other.
    pub components: usize,
    /// Circles that were looked at.
    pub looked_at: usize,
}

impl Graph {
    /// A graph of transactions `0..nodes`.
    pub fn new(nodes: usize, mut edges: Vec<Edge>) -> Graph {
        edges.retain(|edge| edge.from != edge.to);
        edges.sort_unstable();
        edges.dedup();
        Graph { edges, nodes }
    }

    /// How many edges there are.
    pub fn edge_count(&self) -> usize {
        self.edges.len()
    }

    /// Looks for circles.
    pub fn cycles(&self) -> Cycles {
        let whole = Paths { kinds: ALL | TIME, skews_apart: false };
        let components = Links::new(&self.edges, self.nodes, whole).components();
        let mut sizes: HashMap<u32, usize> = HashMap::new();
        components.iter().for_each(|component| *sizes.entry(*component).or_default() += 1);
        let is_circular = |edge: &&Edge| {
            let (from, to) = (components[edge.from as usize], components[edge.to as usize]);
            from == to && sizes[&from] > 1
        };
        let inside: Vec<Edge> = self.edges.iter().filter(is_circular).copied().collect();
        let mut cycles =
            Cycles { components: sizes.values().filter(|size| **size > 1).count(), ..Cycles::default() };
        if inside.is_empty() {
            return cycles;
        }
        for search in SEARCHES {
            let links = Links::new(&inside, self.nodes, search);
            let mut count = 0;
            let mut told: Vec<u32> = Vec::new();
            let components = links.components();
            let mut sizes: HashMap<u32, usize> = HashMap::new();
            components.iter().for_each(|component| *sizes.entry(*component).or_default() += 1);
            for (state, component) in components.iter().copied().enumerate() {
                if count == CYCLES_OF_A_SEARCH || sizes[&component] < 2 || told.contains(&component) {
                    continue;
                }
                told.push(component);
                if let Some(cycle) = links.shortest_through(state) {
                    count += 1;
                    if !cycles.found.contains(&cycle) {
                        cycles.found.push(cycle);
                    }
                }
            }
        }
        // What the level let happen, beside the few above.
        let links = Links::new(&inside, self.nodes, whole);
        let skews = inside.iter().filter(|edge| edge.kind == EdgeKind::ReadWrite);
        for edge in skews.take(CYCLES_LOOKED_AT) {
            cycles.looked_at += usize::from(links.path(edge.to as usize, edge.from as usize).is_some());
        }
        cycles.looked_at = cycles.looked_at.max(cycles.found.len());
        cycles
    }
}

/// The states that paths go through: transactions, or with `skews_apart` transactions twice, by whether they were
/// reached by an rw edge.
struct Links {
    nodes: usize,
    skews_apart: bool,
    /// Where the links of a state begin in `targets`.
    starts: Vec<u32>,
    targets: Vec<(u32, EdgeKind)>,
}

impl Links {
    fn new(edges: &[Edge], nodes: usize, paths: Paths) -> Links {
        let states = if paths.skews_apart { 2 * nodes } else { nodes };
        let mut all: Vec<(u32, u32, EdgeKind)> = Vec::new();
        for edge in edges.iter().filter(|edge| paths.kinds & edge.kind.bit() != 0) {
            let is_skew = edge.kind == EdgeKind::ReadWrite;
            if !paths.skews_apart {
                all.push((edge.from, edge.to, edge.kind));
                continue;
            }
            let to = edge.to + if is_skew { nodes as u32 } else { 0 };
            all.push((edge.from, to, edge.kind));
            if !is_skew {
                all.push((edge.from + nodes as u32, to, edge.kind));
            }
        }
        all.sort_unstable();
        let mut starts = vec![0; states + 1];
        all.iter().for_each(|(from, ..)| starts[*from as usize + 1] += 1);
        for state in 0..states {
            starts[state + 1] += starts[state];
        }
        let targets = all.into_iter().map(|(_, to, kind)| (to, kind)).collect();
        Links { nodes, skews_apart: paths.skews_apart, starts, targets }
    }

    fn states(&self) -> usize {
        self.starts.len() - 1
    }

    fn of(&self, state: usize) -> &[(u32, EdgeKind)] {
        &self.targets[self.starts[state] as usize..self.starts[state + 1] as usize]
    }

    fn node(&self, state: u32) -> u32 {
        if self.skews_apart { state % self.nodes as u32 } else { state }
    }

    /// The component of every state. Tarjan's algorithm, without recursion.
    fn components(&self) -> Vec<u32> {
        const NONE: u32 = u32::MAX;
        let count = self.states();
        let (mut index, mut low) = (vec![NONE; count], vec![0; count]);
        let (mut component, mut stack, mut calls) = (vec![NONE; count], Vec::new(), Vec::new());
        let (mut next_index, mut next_component) = (0, 0);
        for root in 0..count {
            if index[root] != NONE {
                continue;
            }
            calls.push((root, 0));
            while let Some((state, done)) = calls.pop() {
                if done == 0 {
                    (index[state], low[state]) = (next_index, next_index);
                    next_index += 1;
                    stack.push(state);
                }
                let links = self.of(state);
                let mut at = done;
                let mut child = None;
                while at < links.len() {
                    let to = links[at].0 as usize;
                    at += 1;
                    if index[to] == NONE {
                        child = Some(to);
                        break;
                    }
                    if component[to] == NONE {
                        low[state] = low[state].min(index[to]);
                    }
                }
                if let Some(child) = child {
                    // The link is looked at once more when the child is done, for its low mark.
                    calls.push((state, at));
                    calls.push((child, 0));
                    continue;
                }
                for (to, _) in links {
                    if component[*to as usize] == NONE {
                        low[state] = low[state].min(low[*to as usize]);
                    }
                }
                if low[state] == index[state] {
                    while let Some(member) = stack.pop() {
                        component[member] = next_component;
                        if member == state {
                            break;
                        }
                    }
                    next_component += 1;
                }
            }
        }
        component
    }

    /// A shortest path.
    fn path(&self, from: usize, to: usize) -> Option<Vec<Edge>> {
        let mut reached: HashMap<u32, (u32, EdgeKind)> = HashMap::new();
        let mut waiting = VecDeque::from([from as u32]);
        while let Some(state) = waiting.pop_front() {
            for (next, kind) in self.of(state as usize) {
                if reached.contains_key(next) {
                    continue;
                }
                reached.insert(*next, (state, *kind));
                if *next as usize == to {
                    let mut edges = Vec::new();
                    let mut at = *next;
                    loop {
                        let (before, kind) = reached[&at];
                        edges.push(Edge { from: self.node(before), to: self.node(at), kind });
                        at = before;
                        if at as usize == from {
                            edges.reverse();
                            return Some(edges);
                        }
                    }
                }
                waiting.push_back(*next);
            }
        }
        None
    }

    fn shortest_through(&self, state: usize) -> Option<Cycle> {
        Some(Cycle { edges: self.path(state, state)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(nodes: usize, edges: &[(u32, u32, EdgeKind)]) -> Vec<(&'static str, bool)> {
        let edges = edges.iter().map(|(from, to, kind)| Edge { from: *from, to: *to, kind: *kind }).collect();
        let cycles = Graph::new(nodes, edges).cycles();
        let name = |cycle: &Cycle| {
            let (anomaly, realtime) = cycle.classify();
            (anomaly.name(), realtime)
        };
        cycles.found.iter().map(name).collect()
    }

    use EdgeKind::{ReadWrite as RW, RealTime as RT, WriteRead as WR, WriteWrite as WW};

    #[test]
    fn a_circle_is_called_by_its_edges() {
        assert_eq!(names(3, &[(0, 1, WW), (1, 2, WR), (0, 2, RW)]), []);
        assert_eq!(names(2, &[(0, 1, WW), (1, 0, WW)])[0], ("G0", false));
        assert_eq!(names(2, &[(0, 1, WW), (1, 0, WR)])[0], ("G1c", false));
        assert_eq!(names(2, &[(0, 1, WR), (1, 0, RW)])[0], ("G-single", false));
        assert_eq!(names(2, &[(0, 1, RW), (1, 0, RW)])[0], ("G2-item", false));
        assert_eq!(names(3, &[(0, 1, RW), (1, 2, RW), (2, 0, WR)])[0], ("G2-item", false));
        assert_eq!(names(4, &[(0, 1, RW), (1, 2, WW), (2, 3, RW), (3, 0, WR)])[0], ("G-nonadjacent", false));
        assert_eq!(names(2, &[(0, 1, RT), (1, 0, WW)])[0], ("G0", true));
        assert_eq!(names(2, &[(0, 1, RT), (1, 0, RW)])[0], ("G-single", true));
    }

    #[test]
    fn write_skews_beside_a_worse_circle_do_not_hide_it() {
        let edges = [(0, 1, RW), (1, 0, RW), (1, 2, WR), (2, 1, RW), (2, 3, RW), (3, 0, RW)];
        let found = names(4, &edges);
        assert!(found.contains(&("G-single", false)), "{found:?}");
        assert!(found.contains(&("G2-item", false)), "{found:?}");
    }

    #[test]
    fn a_closed_walk_that_visits_a_transaction_twice_is_no_excuse() {
        // Through 1 both ways, but never with two rw edges side by side.
        let found = names(3, &[(0, 1, RW), (1, 2, WW), (2, 0, WW)]);
        assert_eq!(found[0], ("G-single", false));
        assert_eq!(names(3, &[(0, 1, RW), (1, 2, RW), (2, 0, RW)])[0], ("G2-item", false));
    }

    #[test]
    fn a_long_chain_needs_no_stack() {
        let edges: Vec<_> = (0..200_000).map(|from| (from, from + 1, WW)).collect();
        assert_eq!(names(200_001, &edges), []);
        let mut edges = edges;
        edges.push((200_000, 0, WR));
        assert_eq!(names(200_001, &edges)[0], ("G1c", false));
    }
}
