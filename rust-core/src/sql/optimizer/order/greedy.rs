//! Join order for large groups: the two parts that give the fewest rows are joined, again and again (greedy operator
//! ordering, Fegaras 1998).

use crate::error::{Error, Result};
use crate::sql::optimizer::order::emit::Tree;
use crate::sql::optimizer::order::graph::{Entry, Graph, RelationSet, single};
use hashbrown::HashMap;

/// Two parts that can be joined.
struct Candidate {
    left: RelationSet,
    right: RelationSet,
    entry: Entry,
}

impl Candidate {
    fn is_before(&self, other: &Candidate) -> bool {
        let key = |candidate: &Candidate| {
            (candidate.entry.rows, candidate.entry.cost, candidate.left, candidate.right)
        };
        key(self) < key(other)
    }
}

/// A tree of all relations.
pub(super) fn order(graph: &Graph) -> Result<Tree> {
    let mut table: HashMap<RelationSet, Entry> =
        (0..graph.nodes.len()).map(|number| (single(number), graph.leaf(number))).collect();
    let mut parts: Vec<RelationSet> = (0..graph.nodes.len()).map(single).collect();
    let mut candidates = Vec::new();
    for (index, one) in parts.iter().enumerate() {
        for other in &parts[index + 1..] {
            candidates.extend(candidate(graph, &table, *one, *other, false));
        }
    }
    while parts.len() > 1 {
        let is_forced = candidates.is_empty();
        if is_forced {
            // What a condition needs on one of its sides is connected by nothing else: a cross product.
            for (index, one) in parts.iter().enumerate() {
                for other in &parts[index + 1..] {
                    candidates.extend(candidate(graph, &table, *one, *other, true));
                }
            }
        }
        let mut best: Option<&Candidate> = None;
        for candidate in &candidates {
            if best.is_none_or(|best| candidate.is_before(best)) {
                best = Some(candidate);
            }
        }
        let Some(best) = best else { return Err(Error::internal("relations that nothing can join")) };
        let (left, right, entry) = (best.left, best.right, best.entry);
        let both = left | right;
        table.insert(both, entry);
        parts.retain(|part| part & both == 0);
        if is_forced {
            candidates.clear();
        }
        candidates.retain(|candidate| (candidate.left | candidate.right) & both == 0);
        for part in &parts {
            candidates.extend(candidate(graph, &table, *part, both, false));
        }
        parts.push(both);
    }
    Ok(Tree::of_table(&table, graph.all()))
}

fn candidate(
    graph: &Graph,
    table: &HashMap<RelationSet, Entry>,
    one: RelationSet,
    other: RelationSet,
    unconnected: bool,
) -> Option<Candidate> {
    if !unconnected && !graph.connects(one, other) {
        return None;
    }
    let (one, other) = if one < other { (one, other) } else { (other, one) };
    let rows = graph.rows(one | other);
    let entry = graph.join((one, *table.get(&one)?), (other, *table.get(&other)?), rows)?;
    Some(Candidate { left: one, right: other, entry })
}
