//! Which group a row belongs to: a hash table from key values to group numbers.
//!
//! Hashes are computed a column at a time. A single integer key is compared as a number, a single text key as
//! bytes; other keys as memcomparable encodings, which are equal exactly when the values are.

use crate::batch::batch::Batch;
use crate::batch::builder::ColumnBuilder;
use crate::batch::column::{Column, ColumnData};
use crate::batch::order::{SortOrder, encode_row_key, hash_rows};
use crate::common::sync::Arc;
use crate::error::{Error, Result, SqlState};
use crate::sql::types::data_type::{DataType, SqlType};
use hashbrown::HashTable;

const ORDER: SortOrder = SortOrder { descending: false, nulls_first: false };

/// How keys are kept for comparison.
enum Keys {
    /// Not known before the first batch.
    Open,
    /// One integer column: the value of each group, and the group of NULL.
    Integers { values: Vec<i64>, null: Option<u32> },
    /// Byte strings, one after the other; group `g` has `starts[g]..starts[g + 1]`.
    Bytes { bytes: Vec<u8>, starts: Vec<usize>, form: ByteForm, null: Option<u32> },
}

/// What the byte strings are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ByteForm {
    /// The text or bytea itself: one column whose equality is that of its bytes.
    Plain,
    /// The encoding of all key columns.
    Encoded,
}

/// The groups so far.
pub(in crate::sql::executor) struct GroupTable {
    /// Group numbers with their hashes.
    table: HashTable<(u64, u32)>,
    keys: Keys,
    /// The key values of each group as they came first.
    columns: Vec<ColumnBuilder>,
    key_count: usize,
    groups: usize,
    hashes: Vec<u64>,
    encoded: Vec<u8>,
}

impl GroupTable {
    pub(in crate::sql::executor) fn new(key_count: usize) -> GroupTable {
        GroupTable {
            table: HashTable::new(),
            keys: Keys::Open,
            columns: Vec::new(),
            key_count,
            groups: 0,
            hashes: Vec::new(),
            encoded: Vec::new(),
        }
    }

    /// Groups so far.
    pub(in crate::sql::executor) fn len(&self) -> usize {
        self.groups
    }

    /// Bytes held.
    pub(in crate::sql::executor) fn memory_bytes(&self) -> usize {
        let keys = match &self.keys {
            Keys::Open => 0,
            Keys::Integers { values, .. } => values.capacity() * 8,
            Keys::Bytes { bytes, starts, .. } => bytes.capacity() + starts.capacity() * size_of::<usize>(),
        };
        let columns: usize = self.columns.iter().map(ColumnBuilder::memory_bytes).sum();
        keys + columns + self.table.allocation_size()
    }

    fn open(&mut self, keys: &[Arc<Column>]) {
        self.columns =
            keys.iter().map(|column| ColumnBuilder::new(SqlType::plain(column.data_type), 0)).collect();
        let single = (self.key_count == 1).then(|| keys[0].data_type);
        self.keys = match single {
            Some(
                DataType::SmallInt
                | DataType::Integer
                | DataType::BigInt
                | DataType::Date
                | DataType::Timestamp
                | DataType::TimestampTz,
            ) => Keys::Integers { values: Vec::new(), null: None },
            single => {
                let plain = matches!(
                    single,
                    Some(DataType::Text | DataType::Varchar | DataType::Bytea | DataType::Unknown)
                );
                let form = if plain { ByteForm::Plain } else { ByteForm::Encoded };
                Keys::Bytes { bytes: Vec::new(), starts: vec![0], form, null: None }
            }
        };
    }

    /// Finds or makes the group of every selected row; `group_of_row[row]` is its number.
    pub(in crate::sql::executor) fn assign(
        &mut self,
        batch: &Batch,
        keys: &[Arc<Column>],
        group_of_row: &mut Vec<u32>,
    ) -> Result<()> {
        if matches!(self.keys, Keys::Open) {
            self.open(keys);
        }
        group_of_row.clear();
        group_of_row.resize(batch.rows, 0);
        let columns: Vec<&Column> = keys.iter().map(Arc::as_ref).collect();
        let rows = batch.selection.as_ref().map(|selection| selection.0.as_slice());
        let mut hashes = std::mem::take(&mut self.hashes);
        hash_rows(&columns, batch.rows, rows, &mut hashes);
        let mut result = Ok(());
        for (row, hash) in batch.row_numbers().zip(&hashes) {
            match self.group(&columns, row, *hash) {
                Ok(group) => group_of_row[row] = group,
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        self.hashes = hashes;
        result
    }

    fn group(&mut self, columns: &[&Column], row: usize, hash: u64) -> Result<u32> {
        let next = u32::try_from(self.groups)
            .map_err(|_| Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "too many groups"))?;
        match &mut self.keys {
            Keys::Open => unreachable!("opened with the first batch"),
            Keys::Integers { values, null } => {
                let Some(value) = integer(columns[0], row) else {
                    if let Some(group) = *null {
                        return Ok(group);
                    }
                    *null = Some(next);
                    values.push(0);
                    self.add(columns, row);
                    return Ok(next);
                };
                let null = *null;
                let found = self
                    .table
                    .find(hash, |(_, group)| values[*group as usize] == value && Some(*group) != null);
                match found {
                    Some((_, group)) => return Ok(*group),
                    None => values.push(value),
                }
            }
            Keys::Bytes { bytes, starts, form, null } => {
                let key: &[u8] = match form {
                    ByteForm::Plain => match strings(columns[0], row) {
                        Some(key) => key,
                        None => {
                            if let Some(group) = *null {
                                return Ok(group);
                            }
                            *null = Some(next);
                            starts.push(bytes.len());
                            self.add(columns, row);
                            return Ok(next);
                        }
                    },
                    ByteForm::Encoded => {
                        self.encoded.clear();
                        for column in columns {
                            encode_row_key(&[column], row, &[ORDER], &mut self.encoded);
                        }
                        &self.encoded
                    }
                };
                let null = *null;
                let found = self.table.find(hash, |(candidate, group)| {
                    let at = *group as usize;
                    *candidate == hash && bytes[starts[at]..starts[at + 1]] == *key && Some(*group) != null
                });
                match found {
                    Some((_, group)) => return Ok(*group),
                    None => {
                        bytes.extend_from_slice(key);
                        starts.push(bytes.len());
                    }
                }
            }
        }
        self.table.insert_unique(hash, (hash, next), |(hash, _)| *hash);
        self.add(columns, row);
        Ok(next)
    }

    /// Keeps the values of a new group.
    fn add(&mut self, columns: &[&Column], row: usize) {
        for (builder, column) in self.columns.iter_mut().zip(columns) {
            builder.append(column, row);
        }
        self.groups += 1;
    }

    /// The key columns, one row a group.
    pub(in crate::sql::executor) fn finish(self) -> Vec<Column> {
        self.columns.into_iter().map(ColumnBuilder::finish).collect()
    }
}

/// The value of an integer-like column.
#[inline]
fn integer(column: &Column, row: usize) -> Option<i64> {
    if column.is_null(row) {
        return None;
    }
    let slot = column.slot(row);
    match &column.data {
        ColumnData::Int64(values) => Some(values[slot]),
        ColumnData::Int32(values) => Some(i64::from(values[slot])),
        ColumnData::Int16(values) => Some(i64::from(values[slot])),
        _ => None,
    }
}

/// The bytes of a text or bytea value.
#[inline]
fn strings(column: &Column, row: usize) -> Option<&[u8]> {
    match &column.data {
        ColumnData::Strings(values) if !column.is_null(row) => Some(values.get(column.slot(row))),
        _ => None,
    }
}
