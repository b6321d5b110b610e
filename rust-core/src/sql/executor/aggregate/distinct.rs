//! DISTINCT inside an aggregate: the (group, arguments) that were taken already.

use crate::batch::batch::{Batch, Selection};
use crate::batch::column::Column;
use crate::batch::order::{SortOrder, encode_row_key};
use crate::common::sync::Arc;
use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

const ORDER: SortOrder = SortOrder { descending: false, nulls_first: false };

/// A set of encoded (group, arguments).
#[derive(Default)]
pub(super) struct DistinctSet {
    table: HashTable<(u64, usize)>,
    /// Entry `i` has `starts[i]..starts[i + 1]`, the last one ends with `bytes`.
    bytes: Vec<u8>,
    starts: Vec<usize>,
    hasher: DefaultHashBuilder,
    key: Vec<u8>,
}

impl DistinctSet {
    /// The selected rows of `batch` that bring something new; they are in the set from now on.
    pub(super) fn retain_new(
        &mut self,
        batch: &Batch,
        arguments: &[Arc<Column>],
        grouped: Option<&[u32]>,
    ) -> Selection {
        let mut rows = Vec::with_capacity(batch.selected_rows());
        for row in batch.row_numbers() {
            self.key.clear();
            if let Some(group_of_row) = grouped {
                self.key.extend_from_slice(&group_of_row[row].to_be_bytes());
            }
            for argument in arguments {
                encode_row_key(&[argument], row, &[ORDER], &mut self.key);
            }
            if self.insert() {
                rows.push(row as u16);
            }
        }
        Selection(rows)
    }

    /// Adds `self.key`; false when it is there already.
    fn insert(&mut self) -> bool {
        let hash = self.hasher.hash_one(self.key.as_slice());
        let found = self.table.find(hash, |(candidate, entry)| {
            let end = self.starts.get(entry + 1).copied().unwrap_or(self.bytes.len());
            *candidate == hash && self.bytes[self.starts[*entry]..end] == *self.key
        });
        if found.is_some() {
            return false;
        }
        self.table.insert_unique(hash, (hash, self.starts.len()), |(hash, _)| *hash);
        self.starts.push(self.bytes.len());
        self.bytes.extend_from_slice(&self.key);
        true
    }

    /// Bytes held.
    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.starts.capacity() * size_of::<usize>() + self.table.allocation_size()
    }
}
