//! How much of the file a commit sets aside: what its changes need and hardly more, so that the file does not grow for
//! what may have been.
//! Knows write sets and trees. Knows nothing of blocks.

use crate::common::ids::TreeId;
use crate::common::sync::Arc;
use crate::error::Result;
use crate::storage::bulk::BuiltTree;
use crate::storage::{ApplyEstimate, ApplyReservation, ChangeSurvey, Storage, Tree};
use crate::transaction::commit_stream::OPERATIONS_A_BLOCK;
use crate::transaction::links::Links;
use crate::transaction::scratch::Fills;
use crate::transaction::tree_commit::TreeCommit;
use crate::transaction::write_set::WriteSet;
use crate::wal::entry::Operation;

/// Fewer operations are taken to be anything anywhere.
const COUNTED_MIN: usize = 64;

/// Whether `first` lies behind all keys of a tree. `last_key` is for its last key.
pub(super) fn is_past_end(
    trees: &[Arc<Tree>],
    tree: TreeId,
    first: &[u8],
    last_key: &mut Vec<u8>,
) -> Result<bool> {
    match trees.iter().find(|other| other.id() == tree) {
        Some(tree) => Ok(!tree.last_key(last_key)? || last_key.as_slice() < first),
        None => Ok(false),
    }
}

/// Sets aside what a write set needs; `trees` are those that it writes to and that exist.
/// # Errors
/// As [`Storage::reserve`], and those of reading trees and temporary files.
pub(super) fn reserve(
    storage: &Storage,
    writes: &WriteSet,
    links: &Links,
    trees: &[Arc<Tree>],
    fills: &Fills,
) -> Result<ApplyReservation> {
    fills.iter().for_each(|(_, percent)| storage.expect_fill_percent(*percent));
    if writes.len() < COUNTED_MIN {
        let estimate = ApplyEstimate {
            operations: writes.len() + links.change_count(),
            bytes: writes.bytes(),
            ..Default::default()
        };
        return storage.reserve(estimate);
    }
    let mut last_key = Vec::new();
    // What is known for sure, and what is to be looked at if it matters.
    let (mut known, mut rough) = (ApplyEstimate::default(), ApplyEstimate::default());
    let mut unknown = Vec::new();
    known.operations += links.change_count();
    for commit in writes.trees() {
        let tree = commit.tree();
        // An entry of the directory.
        known.operations += usize::from(commit.is_created() || commit.is_dropped());
        if commit.is_dropped() {
            continue;
        }
        let size = commit.size();
        let is_appended = match (links.find(tree), commit.first_key()) {
            (_, None) => true,
            (Some(built), Some(first)) => first.as_slice() > built.last_key(),
            (None, Some(first)) => commit.is_created() || is_past_end(trees, tree, &first, &mut last_key)?,
        };
        if is_appended {
            let spare = spare_bytes(storage, fills, trees, tree);
            known += ApplyEstimate::of_appending(storage.page_size(), size, spare);
        } else {
            rough += storage.change_estimate(size);
            unknown.push((commit, size));
        }
    }
    rough += known;
    if unknown.is_empty() {
        return storage.reserve(rough);
    }
    if let Some(space) = storage.reserve_spare(rough)? {
        return Ok(space);
    }
    for (commit, size) in unknown {
        let built = links.find(commit.tree()).map(BuiltTree::tree);
        let tree = built.or_else(|| trees.iter().find(|tree| tree.id() == commit.tree()));
        known += match tree {
            Some(tree) => survey(tree, commit, spare_bytes(storage, fills, trees, tree.id()))?,
            None => storage.change_estimate(size),
        };
    }
    storage.reserve(known.min(rough))
}

/// Bytes that leaves of a tree leave free, as this commit tells it or as it was told before.
fn spare_bytes(storage: &Storage, fills: &Fills, trees: &[Arc<Tree>], id: TreeId) -> usize {
    match fills.iter().find(|(tree, _)| *tree == id) {
        Some((_, percent)) => storage.spare_bytes(*percent),
        None => trees.iter().find(|tree| tree.id() == id).map_or(0, |tree| tree.spare_bytes()),
    }
}

/// What the changes of a tree need, leaf by leaf.
fn survey(tree: &Tree, commit: TreeCommit<'_>, spare: usize) -> Result<ApplyEstimate> {
    let mut survey = ChangeSurvey::new(tree, spare);
    if commit.is_spilled() {
        let mut operations = commit.spilled_operations()?;
        while operations.next_block(OPERATIONS_A_BLOCK)? {
            survey.add(operations.block().filter_map(|operation| change(&operation)))?;
        }
        return Ok(survey.estimate());
    }
    survey.add(commit.operations().filter_map(|operation| change(&operation)))?;
    if let Some(rows) = commit.appended() {
        let entry = |row| {
            let (key, value) = commit.appended_entry(row);
            (key, Some(value.len()))
        };
        survey.add((0..rows.len()).map(entry))?;
    }
    Ok(survey.estimate())
}

/// A key and the bytes of its value, if it gets one.
fn change<'o>(operation: &Operation<'o>) -> Option<(&'o [u8], Option<usize>)> {
    match operation {
        Operation::Put { key, value, .. } => Some((key, Some(value.len()))),
        Operation::Delete { key, .. } => Some((key, None)),
        Operation::Or { key, bits, .. } => Some((key, Some(bits.len()))),
        Operation::Max { key, .. } => Some((key, Some(size_of::<u64>()))),
        _ => None,
    }
}
