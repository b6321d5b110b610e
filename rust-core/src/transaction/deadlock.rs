//! Deadlocks: cycles in the graph of who waits for whom, searched at the moment somebody must wait.
//! Knows owners as numbers and asks a function for edges. Knows nothing of lock tables.
//!
//! An edge is *hard* when the blocker holds a lock that the waiter needs, *soft* when it only stands before the
//! waiter in a queue. A cycle with a soft edge goes away when the waiter is let past.

use hashbrown::HashSet;

/// Somebody whom a waiter waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Blocker {
    /// Whom.
    pub(super) owner: u32,
    /// It stands before the waiter in the queue and holds nothing that the waiter needs.
    pub(super) soft: bool,
}

/// One edge of a cycle: `waiter` waits for `blocker`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wait {
    /// Who waits.
    pub(super) waiter: u32,
    /// For whom, and how.
    pub(super) blocker: Blocker,
}

/// The cycle through `start`, as edges from `start` back to it; a cycle of hard edges alone if there is one.
/// `blockers` appends whom an owner waits for; nothing for an owner that runs. O(edges).
pub(super) fn find_cycle(start: u32, mut blockers: impl FnMut(u32, &mut Vec<Blocker>)) -> Option<Vec<Wait>> {
    search(start, false, &mut blockers).or_else(|| search(start, true, &mut blockers))
}

fn search(
    start: u32,
    follow_soft: bool,
    blockers: &mut impl FnMut(u32, &mut Vec<Blocker>),
) -> Option<Vec<Wait>> {
    let mut visited = HashSet::new();
    let mut path: Vec<Wait> = Vec::new();
    // Edges still to follow, each with the length of the path that leads to its waiter.
    let mut open: Vec<(usize, Wait)> = Vec::new();
    let mut found = Vec::new();
    let mut expand = |waiter: u32, depth: usize, open: &mut Vec<(usize, Wait)>| {
        found.clear();
        blockers(waiter, &mut found);
        open.extend(
            found
                .iter()
                .filter(|b| follow_soft || !b.soft)
                .map(|blocker| (depth, Wait { waiter, blocker: *blocker })),
        );
    };
    visited.insert(start);
    expand(start, 0, &mut open);
    while let Some((depth, wait)) = open.pop() {
        path.truncate(depth);
        path.push(wait);
        if wait.blocker.owner == start {
            return Some(path);
        }
        if visited.insert(wait.blocker.owner) {
            expand(wait.blocker.owner, depth + 1, &mut open);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cycle(start: u32, edges: &[(u32, u32, bool)]) -> Option<Vec<(u32, u32)>> {
        let found = find_cycle(start, |owner, out| {
            out.extend(
                edges
                    .iter()
                    .filter(|e| e.0 == owner)
                    .map(|(_, to, soft)| Blocker { owner: *to, soft: *soft }),
            );
        });
        found.map(|path| path.iter().map(|wait| (wait.waiter, wait.blocker.owner)).collect())
    }

    #[test]
    fn a_chain_is_no_cycle() {
        assert_eq!(cycle(1, &[(1, 2, false), (2, 3, false), (1, 3, false)]), None);
    }

    #[test]
    fn a_cycle_is_found_through_side_branches() {
        let edges =
            [(1, 2, false), (2, 5, false), (2, 3, false), (3, 4, false), (3, 1, false), (5, 6, false)];
        assert_eq!(cycle(1, &edges), Some(vec![(1, 2), (2, 3), (3, 1)]));
    }

    #[test]
    fn a_cycle_that_does_not_hold_the_requester_is_not_its_deadlock() {
        assert_eq!(cycle(1, &[(1, 2, false), (2, 3, false), (3, 2, false)]), None);
    }

    #[test]
    fn a_hard_cycle_is_preferred_to_a_soft_one() {
        let edges = [(1, 2, true), (2, 1, false), (1, 3, false), (3, 1, false)];
        assert_eq!(cycle(1, &edges), Some(vec![(1, 3), (3, 1)]));
        assert_eq!(cycle(1, &edges[..2]), Some(vec![(1, 2), (2, 1)]));
    }
}
