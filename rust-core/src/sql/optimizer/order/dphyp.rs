//! Join order by dynamic programming over connected pairs of connected sets of a hypergraph (Moerkotte and Neumann,
//! "Dynamic Programming Strikes Back", SIGMOD 2008), as long as there are few enough of them.

use crate::sql::optimizer::order::emit::Tree;
use crate::sql::optimizer::order::graph::{Edge, Entry, Graph, RelationSet, is_within, members, single};
use hashbrown::HashMap;

/// Pairs that are looked at; beyond them the search is given up.
const PAIRS_MAX: usize = 10_000;

struct Search<'g> {
    graph: &'g Graph,
    table: HashMap<RelationSet, Entry>,
    /// Neighbours of each relation over edges between single relations.
    simple: Vec<RelationSet>,
    /// The other edges.
    complex: Vec<Edge>,
    pairs: usize,
    /// Pairs are counted, not costed: whether there are too many is known sooner that way.
    is_counting: bool,
}

/// The cheapest tree, or `None` where the graph has too many pairs.
pub(super) fn order(graph: &Graph) -> Option<Tree> {
    let count = graph.nodes.len();
    let mut simple = vec![0; count];
    let mut complex = Vec::new();
    for edge in &graph.edges {
        if edge.left.is_power_of_two() && edge.right.is_power_of_two() {
            simple[edge.left.trailing_zeros() as usize] |= edge.right;
            simple[edge.right.trailing_zeros() as usize] |= edge.left;
        } else {
            complex.push(*edge);
        }
    }
    let mut search = Search { graph, table: HashMap::new(), simple, complex, pairs: 0, is_counting: true };
    search.run()?;
    search.is_counting = false;
    search.run()?;
    search.table.contains_key(&graph.all()).then(|| Tree::of_table(&search.table, graph.all()))
}

/// The non-empty subsets of `set`.
fn subsets(set: RelationSet) -> impl Iterator<Item = RelationSet> {
    let mut next = set & set.wrapping_neg();
    let mut done = set == 0;
    std::iter::from_fn(move || {
        if done {
            return None;
        }
        let current = next;
        done = current == set;
        next = current.wrapping_sub(set) & set;
        Some(current)
    })
}

impl Search<'_> {
    /// Meets every pair; `None` when there are too many.
    fn run(&mut self) -> Option<()> {
        let count = self.graph.nodes.len();
        self.table = (0..count).map(|number| (single(number), self.graph.leaf(number))).collect();
        self.pairs = 0;
        for number in (0..count).rev() {
            let set = single(number);
            // Only what comes after it may be added: each set is met once.
            let before = set | (set - 1);
            self.extend_second(set)?;
            self.extend_first(set, before)?;
        }
        Some(())
    }

    /// Relations outside `set` and `excluded` that an edge leads to; of a larger set only its first.
    fn neighbours(&self, set: RelationSet, excluded: RelationSet) -> RelationSet {
        let outside = !(set | excluded);
        let mut found = members(set).fold(0, |all, number| all | self.simple[number]) & outside;
        for edge in &self.complex {
            for (near, far) in [(edge.left, edge.right), (edge.right, edge.left)] {
                if is_within(near, set) && is_within(far, outside) && far & found == 0 {
                    found |= far & far.wrapping_neg();
                }
            }
        }
        found
    }

    /// Grows the first set of a pair.
    fn extend_first(&mut self, set: RelationSet, excluded: RelationSet) -> Option<()> {
        let neighbours = self.neighbours(set, excluded);
        if neighbours == 0 {
            return Some(());
        }
        // More subsets than pairs may be looked at.
        if neighbours.count_ones() > 14 {
            return None;
        }
        for part in subsets(neighbours) {
            if self.table.contains_key(&(set | part)) {
                self.extend_second(set | part)?;
            }
        }
        for part in subsets(neighbours) {
            self.extend_first(set | part, excluded | neighbours)?;
        }
        Some(())
    }

    /// Finds second sets for the first one.
    fn extend_second(&mut self, first: RelationSet) -> Option<()> {
        let lowest = first & first.wrapping_neg();
        let excluded = first | (lowest - 1);
        let neighbours = self.neighbours(first, excluded);
        let numbers: Vec<usize> = members(neighbours).collect();
        for number in numbers.into_iter().rev() {
            let second = single(number);
            if self.graph.connects(first, second) {
                self.pair(first, second)?;
            }
            let before = (second | (second - 1)) & neighbours;
            self.grow_second(first, second, excluded | before)?;
        }
        Some(())
    }

    fn grow_second(&mut self, first: RelationSet, second: RelationSet, excluded: RelationSet) -> Option<()> {
        let neighbours = self.neighbours(second, excluded);
        if neighbours == 0 {
            return Some(());
        }
        if neighbours.count_ones() > 14 {
            return None;
        }
        for part in subsets(neighbours) {
            let grown = second | part;
            if self.table.contains_key(&grown) && self.graph.connects(first, grown) {
                self.pair(first, grown)?;
            }
        }
        for part in subsets(neighbours) {
            self.grow_second(first, second | part, excluded | neighbours)?;
        }
        Some(())
    }

    /// Notes a pair; `None` when there were too many.
    fn pair(&mut self, first: RelationSet, second: RelationSet) -> Option<()> {
        self.pairs += 1;
        if self.pairs > PAIRS_MAX {
            return None;
        }
        if self.is_counting {
            self.table.insert(first | second, self.graph.leaf(0));
            return Some(());
        }
        let (Some(left), Some(right)) = (self.table.get(&first), self.table.get(&second)) else {
            return Some(());
        };
        let both = first | second;
        let known = self.table.get(&both);
        let rows = known.map_or_else(|| self.graph.rows(both), |entry| entry.rows);
        // The pair in an order that does not depend on how it was found.
        let (one, other) = if first < second {
            ((first, *left), (second, *right))
        } else {
            ((second, *right), (first, *left))
        };
        if let Some(entry) = self.graph.join(one, other, rows)
            && known.is_none_or(|known| {
                (entry.cost, entry.left, entry.right) < (known.cost, known.left, known.right)
            })
        {
            self.table.insert(both, entry);
        }
        Some(())
    }
}
