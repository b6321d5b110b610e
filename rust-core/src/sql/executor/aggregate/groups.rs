//! Which group a row belongs to: a hash table from key values to group numbers.
//!
//! Hashes are computed a column at a time. A slot of the table holds a group with half of its hash; rows whose half
//! matches are taken to be of that group, and a column at a time it is looked at whether they are. The few that are
//! not go through the table again, key by key.

use crate::batch::batch::Batch;
use crate::batch::builder::ColumnBuilder;
use crate::batch::column::Column;
use crate::batch::order::{each_difference, hash_rows, values_equal};
use crate::common::sync::Arc;
use crate::error::{Error, Result, SqlState};
use crate::sql::types::data_type::SqlType;

/// Slots of the smallest table.
const SLOTS_MIN: usize = 1 << 6;

/// The groups so far.
pub(in crate::sql::executor) struct GroupTable {
    /// Open addressing by the hash's upper bits, linear probing: the hash's lower half, then the group's number plus
    /// one; 0: empty. At most half are taken.
    slots: Vec<u64>,
    /// By group.
    hashes: Vec<u64>,
    /// The key values of each group as they came first.
    columns: Vec<ColumnBuilder>,
    /// Hashes of the batch at hand.
    row_hashes: Vec<u64>,
    /// Positions among the batch's rows that were given a group of another key.
    wrong: Vec<u32>,
}

/// What a slot of group `group` holds.
#[inline]
fn slot_of(hash: u64, group: u32) -> u64 {
    (hash << 32) | (u64::from(group) + 1)
}

impl GroupTable {
    pub(in crate::sql::executor) fn new() -> GroupTable {
        GroupTable {
            slots: Vec::new(),
            hashes: Vec::new(),
            columns: Vec::new(),
            row_hashes: Vec::new(),
            wrong: Vec::new(),
        }
    }

    /// Groups so far.
    pub(in crate::sql::executor) fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Bytes held.
    pub(in crate::sql::executor) fn memory_bytes(&self) -> usize {
        let columns: usize = self.columns.iter().map(ColumnBuilder::memory_bytes).sum();
        columns + (self.slots.capacity() + self.hashes.capacity()) * 8
    }

    fn shift(&self) -> u32 {
        64 - self.slots.len().trailing_zeros()
    }

    /// Makes room for `more` groups.
    fn reserve(&mut self, more: usize) -> Result<()> {
        let wanted = self.hashes.len() + more;
        if wanted >= u32::MAX as usize {
            return Err(Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "too many groups"));
        }
        if wanted * 2 <= self.slots.len() {
            return Ok(());
        }
        let count = (wanted * 2).next_power_of_two().max(SLOTS_MIN);
        self.slots = vec![0; count];
        let shift = self.shift();
        for (group, hash) in self.hashes.iter().enumerate() {
            let mut at = (hash >> shift) as usize;
            while self.slots[at] != 0 {
                at = (at + 1) & (count - 1);
            }
            self.slots[at] = slot_of(*hash, group as u32);
        }
        Ok(())
    }

    /// Finds or makes the group of every selected row of the batch: `groups[i]` is that of the i-th selected row.
    /// Groups are numbered as they are made.
    pub(in crate::sql::executor) fn assign(
        &mut self,
        batch: &Batch,
        keys: &[Arc<Column>],
        groups: &mut Vec<u32>,
    ) -> Result<()> {
        if self.columns.is_empty() {
            let types = keys.iter().map(|column| SqlType::plain(column.data_type));
            self.columns = types.map(|sql_type| ColumnBuilder::new(sql_type, 0)).collect();
        }
        let columns: Vec<&Column> = keys.iter().map(Arc::as_ref).collect();
        let rows = batch.selection.as_ref().map(|selection| selection.0.as_slice());
        groups.clear();
        groups.resize(batch.selected_rows(), 0);
        let mut hashes = std::mem::take(&mut self.row_hashes);
        hash_rows(&columns, batch.rows, rows, &mut hashes);
        let result = match rows {
            None => self.assign_rows(&columns, |position| position, &hashes, groups),
            Some(rows) => self.assign_rows(&columns, |position| usize::from(rows[position]), &hashes, groups),
        };
        self.row_hashes = hashes;
        result
    }

    fn assign_rows(
        &mut self,
        columns: &[&Column],
        row_at: impl Fn(usize) -> usize + Copy,
        hashes: &[u64],
        groups: &mut [u32],
    ) -> Result<()> {
        let known = self.hashes.len();
        let mut start = 0;
        while start < hashes.len() {
            // Room for the case that every row of the stretch makes a group; short stretches while there are few.
            let end = hashes.len().min(start + (self.slots.len() / 8).max(SLOTS_MIN / 2));
            self.reserve(end - start)?;
            let shift = self.shift();
            let mask = self.slots.len() - 1;
            for (position, hash) in hashes.iter().enumerate().take(end).skip(start) {
                let hash = *hash;
                let half = hash << 32;
                let mut at = (hash >> shift) as usize;
                groups[position] = loop {
                    let slot = self.slots[at];
                    if slot == 0 {
                        let group = self.hashes.len() as u32;
                        self.slots[at] = slot_of(hash, group);
                        self.add(columns, row_at(position), hash);
                        break group;
                    }
                    if (slot ^ half) >> 32 == 0 {
                        break (slot as u32).wrapping_sub(1);
                    }
                    at = (at + 1) & mask;
                };
            }
            start = end;
        }
        // Rows that made their groups are compared with themselves.
        let mut wrong = std::mem::take(&mut self.wrong);
        wrong.clear();
        if known + hashes.len() > self.hashes.len() {
            for (column, builder) in columns.iter().zip(&self.columns) {
                let pairs = groups.iter().enumerate();
                each_difference(
                    column,
                    builder.as_column(),
                    pairs.map(|(position, group)| (row_at(position), *group as usize)),
                    |position| wrong.push(position as u32),
                );
            }
        }
        if !wrong.is_empty() {
            wrong.sort_unstable();
            wrong.dedup();
            for position in &wrong {
                let position = *position as usize;
                groups[position] = self.assign_one(columns, row_at(position), hashes[position])?;
            }
        }
        self.wrong = wrong;
        Ok(())
    }

    /// The group of one row, key by key.
    #[cold]
    fn assign_one(&mut self, columns: &[&Column], row: usize, hash: u64) -> Result<u32> {
        self.reserve(1)?;
        let mask = self.slots.len() - 1;
        let mut at = (hash >> self.shift()) as usize;
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                let group = self.hashes.len() as u32;
                self.slots[at] = slot_of(hash, group);
                self.add(columns, row, hash);
                return Ok(group);
            }
            let group = (slot as u32).wrapping_sub(1);
            let is_same = (slot ^ hash << 32) >> 32 == 0
                && columns
                    .iter()
                    .zip(&self.columns)
                    .all(|(column, builder)| values_equal(column, row, builder.as_column(), group as usize));
            if is_same {
                return Ok(group);
            }
            at = (at + 1) & mask;
        }
    }

    /// Keeps the values of a new group.
    fn add(&mut self, columns: &[&Column], row: usize, hash: u64) {
        for (builder, column) in self.columns.iter_mut().zip(columns) {
            builder.append(column, row);
        }
        self.hashes.push(hash);
    }

    /// The key columns, one row a group.
    pub(in crate::sql::executor) fn finish(self) -> Vec<Column> {
        self.columns
            .into_iter()
            .map(|mut builder| {
                builder.share_strings();
                builder.finish()
            })
            .collect()
    }
}
