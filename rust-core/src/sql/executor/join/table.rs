//! From keys to rows of the build side: one contiguous table without chains.
//!
//! Entries lie in the order of their slots, so that a slot is a range of them; beside a range's end the directory has
//! a 16-bit Bloom filter of the slot's hashes, which tells most keys without a partner without touching an entry
//! (Birler, Schmidt, Fent, Neumann, "Simple, Efficient, and Robust Hash Tables for Join Processing", DaMoN 2024).
//!
//! Whole-number keys whose ranges multiply to at most 64 bits are packed into one number, so that equal numbers are
//! equal keys and keys out of range are dropped at once; where the ranges are narrow, the number is the slot itself.

use crate::batch::column::{Column, ColumnData, ColumnForm};
use crate::batch::order::hash_rows;
use crate::batch::validity::Bitmap;
use crate::common::cancel::CancelToken;
use crate::common::memory::Reservation;
use crate::error::Result;
use crate::sql::plan::physical::KeyNulls;
use crate::sql::types::compare::mix;
use crate::sql::types::data_type::DataType;

/// Rows between two looks at the cancel flag.
const ROWS_PER_CANCEL_CHECK: usize = 1 << 16;
/// A directory by number may always have this many slots.
const DIRECT_SLOTS_MIN: u64 = 1 << 12;
/// A directory by number may have this many slots a row.
const DIRECT_SLOTS_PER_ROW: u64 = 8;

/// A key or its hash, and the row that has it.
#[derive(Clone, Copy, Default)]
struct Entry {
    value: u64,
    row: u32,
}

/// The values of one key: what is subtracted, and how many there are from the least to the greatest.
#[derive(Clone, Copy)]
struct KeyRange {
    least: i64,
    count: u64,
}

enum Directory {
    /// Every row is in one slot: no keys.
    Whole,
    /// By hash. `slots[i] >> 16` is where slot `i` ends, one element before the first slot; the low bits are the filter.
    Hashed { slots: Vec<u64>, shift: u32, entries: Vec<Entry> },
    /// By packed number: `starts[n]..starts[n + 1]` are its rows.
    Direct { starts: Vec<u32>, rows: Vec<u32> },
}

/// The table.
pub(super) struct JoinTable {
    directory: Directory,
    /// How keys are packed; `None`: they are hashed, and equal hashes are not yet equal keys.
    ranges: Option<Vec<KeyRange>>,
    /// Rows in the table.
    len: usize,
}

/// A probing row with the entries that may fit it.
#[derive(Clone, Copy)]
pub(super) struct Candidate {
    value: u64,
    /// Row of the probing batch.
    pub(super) row: u16,
    next: u32,
    end: u32,
}

/// Pairs of rows: of the probing batch, and of the build side.
#[derive(Default)]
pub(super) struct Pairs {
    pub(super) rows: Vec<u16>,
    pub(super) partners: Vec<u32>,
}

impl Pairs {
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.partners.clear();
    }

    #[inline]
    pub(super) fn push(&mut self, row: u16, partner: u32) {
        self.rows.push(row);
        self.partners.push(partner);
    }

    /// Removes the pairs at these positions, ascending.
    pub(super) fn remove(&mut self, positions: &[u16]) {
        let mut gone = positions.iter().peekable();
        let mut kept = 0;
        for position in 0..self.rows.len() {
            if gone.next_if(|gone| usize::from(**gone) == position).is_some() {
                continue;
            }
            self.rows[kept] = self.rows[position];
            self.partners[kept] = self.partners[position];
            kept += 1;
        }
        self.rows.truncate(kept);
        self.partners.truncate(kept);
    }

    /// Keeps the pairs at these positions, ascending.
    pub(super) fn keep(&mut self, positions: &[u16]) {
        for (to, from) in positions.iter().enumerate() {
            self.rows[to] = self.rows[usize::from(*from)];
            self.partners[to] = self.partners[usize::from(*from)];
        }
        self.rows.truncate(positions.len());
        self.partners.truncate(positions.len());
    }
}

/// What a probing batch was made into.
#[derive(Default)]
pub(super) struct ProbeScratch {
    values: Vec<u64>,
    rows: Vec<u16>,
}

fn is_whole_number(data_type: DataType) -> bool {
    matches!(
        data_type,
        DataType::SmallInt
            | DataType::Integer
            | DataType::BigInt
            | DataType::Date
            | DataType::Timestamp
            | DataType::TimestampTz
    )
}

/// The value of a whole-number column at a slot.
macro_rules! with_numbers {
    ($column:expr, $values:ident => $body:expr, $otherwise:expr) => {
        match &$column.data {
            ColumnData::Int16($values) => $body,
            ColumnData::Int32($values) => $body,
            ColumnData::Int64($values) => $body,
            _ => $otherwise,
        }
    };
}

/// Least and greatest value among the rows that are in `present`.
fn key_range(column: &Column, present: Option<&Bitmap>) -> Option<KeyRange> {
    fn range<T: Copy + Into<i64>>(values: &[T], present: Option<&Bitmap>) -> Option<(i64, i64)> {
        let widen = |(least, greatest): (i64, i64), value: i64| (least.min(value), greatest.max(value));
        let none = (i64::MAX, i64::MIN);
        let (least, greatest) = match present {
            None => values.iter().fold(none, |ends, value| widen(ends, (*value).into())),
            Some(present) => present.ones().fold(none, |ends, row| widen(ends, values[row].into())),
        };
        (least <= greatest).then_some((least, greatest))
    }
    let (least, greatest) = with_numbers!(column, values => range(values, present)?, return None);
    let count = u64::try_from(i128::from(greatest) - i128::from(least) + 1).ok()?;
    Some(KeyRange { least, count })
}

/// Adds one key to the packed numbers of all rows.
fn pack_all(column: &Column, range: KeyRange, first: bool, out: &mut [u64]) {
    fn pack<T: Copy + Into<i64>>(values: &[T], range: KeyRange, first: bool, out: &mut [u64]) {
        for (packed, value) in out.iter_mut().zip(values) {
            let offset = (*value).into().wrapping_sub(range.least) as u64;
            *packed = if first { offset } else { packed.wrapping_mul(range.count).wrapping_add(offset) };
        }
    }
    with_numbers!(column, values => pack(values, range, first, out), ());
}

/// Adds one key to the packed numbers of the rows in `scratch`; drops rows that are NULL or out of range.
fn pack_rows(column: &Column, range: KeyRange, first: bool, scratch: &mut ProbeScratch) {
    fn pack<T: Copy + Into<i64>>(
        data: &[T],
        column: &Column,
        range: KeyRange,
        first: bool,
        scratch: &mut ProbeScratch,
    ) {
        let constant = column.form == ColumnForm::Constant;
        let (rows, values) = (scratch.rows.as_mut_slice(), scratch.values.as_mut_slice());
        let mut kept = 0;
        for position in 0..rows.len() {
            let row = rows[position];
            let slot = if constant { 0 } else { usize::from(row) };
            let offset = data[slot].into().wrapping_sub(range.least) as u64;
            let valid = column.validity.as_ref().is_none_or(|validity| validity.get(slot));
            let before = values[position];
            rows[kept] = row;
            values[kept] = if first { offset } else { before.wrapping_mul(range.count).wrapping_add(offset) };
            kept += usize::from(valid && offset < range.count);
        }
        scratch.rows.truncate(kept);
        scratch.values.truncate(kept);
    }
    with_numbers!(column, values => pack(values, column, range, first, scratch), {
        scratch.rows.clear();
        scratch.values.clear();
    });
}

#[inline]
fn filter_bits(hash: u64) -> u64 {
    1 << (hash & 15) | 1 << (hash >> 4 & 15)
}

impl JoinTable {
    /// A table over `rows` rows whose keys are `keys`, flat columns of as many rows.
    /// # Errors
    /// `53200`; `57014`.
    pub(super) fn build(
        keys: &[&Column],
        nulls: &[KeyNulls],
        rows: usize,
        memory: &mut Reservation,
        cancel: &CancelToken,
    ) -> Result<JoinTable> {
        if keys.is_empty() {
            return Ok(JoinTable { directory: Directory::Whole, ranges: None, len: rows });
        }
        // NULL in a key that must be equal: the row can have no partner.
        let mut present: Option<Bitmap> = None;
        for (key, nulls) in keys.iter().zip(nulls) {
            if *nulls == KeyNulls::Equal {
                continue;
            }
            if matches!(key.data, ColumnData::Null) {
                return Ok(JoinTable { directory: Directory::Whole, ranges: None, len: 0 });
            }
            if let Some(validity) = &key.validity {
                present = Some(present.map_or_else(|| validity.clone(), |present| present.and(validity)));
            }
        }
        let len = present.as_ref().map_or(rows, Bitmap::count_ones);
        if len == 0 {
            return Ok(JoinTable { directory: Directory::Whole, ranges: None, len: 0 });
        }
        let ranges = packing(keys, nulls, present.as_ref());
        let span = ranges.as_ref().map(|ranges| ranges.iter().fold(1u64, |span, range| span * range.count));
        let direct_max = (len as u64).saturating_mul(DIRECT_SLOTS_PER_ROW).max(DIRECT_SLOTS_MIN);
        let direct = span.filter(|span| *span <= direct_max);
        let table_bytes = match direct {
            Some(span) => (span as usize + 2) * 4 + len * 4,
            None => (len.next_power_of_two() + 2) * 8 + len * size_of::<Entry>(),
        };
        memory.grow(rows * 8 + table_bytes)?;
        let mut values = Vec::new();
        match &ranges {
            Some(ranges) => {
                values.resize(rows, 0);
                for (index, (key, range)) in keys.iter().zip(ranges).enumerate() {
                    pack_all(key, *range, index == 0, &mut values);
                }
            }
            None => hash_rows(keys, rows, None, &mut values),
        }
        let numbers = RowNumbers { present: present.as_ref(), rows };
        let directory = match direct {
            Some(span) => direct_directory(&values, &numbers, span, len, cancel)?,
            None => hashed_directory(&values, &numbers, ranges.is_some(), len, cancel)?,
        };
        drop(values);
        memory.resize(memory.bytes() - rows * 8)?;
        Ok(JoinTable { directory, ranges, len })
    }

    /// Rows in the table.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether entries that a candidate gives have equal keys for certain.
    pub(super) fn is_exact(&self) -> bool {
        self.ranges.is_some() || matches!(self.directory, Directory::Whole)
    }

    /// The rows among `rows` (all of `row_count` when `None`) that may have partners, in their order.
    pub(super) fn probe(
        &self,
        keys: &[&Column],
        nulls: &[KeyNulls],
        row_count: usize,
        rows: Option<&[u16]>,
        scratch: &mut ProbeScratch,
        out: &mut Vec<Candidate>,
    ) {
        out.clear();
        if self.len == 0 {
            return;
        }
        scratch.rows.clear();
        match rows {
            Some(rows) => scratch.rows.extend_from_slice(rows),
            None => scratch.rows.extend((0..row_count).map(|row| row as u16)),
        }
        if matches!(self.directory, Directory::Whole) {
            let end = self.len as u32;
            out.extend(scratch.rows.iter().map(|row| Candidate { value: 0, row: *row, next: 0, end }));
            return;
        }
        match &self.ranges {
            Some(ranges) => {
                scratch.values.clear();
                scratch.values.resize(scratch.rows.len(), 0);
                for (index, (key, range)) in keys.iter().zip(ranges).enumerate() {
                    pack_rows(key, *range, index == 0, scratch);
                }
            }
            None => {
                for (key, nulls) in keys.iter().zip(nulls) {
                    if *nulls != KeyNulls::Equal && key.may_have_nulls() {
                        scratch.rows.retain(|row| !key.is_null(usize::from(*row)));
                    }
                }
                hash_rows(keys, row_count, Some(&scratch.rows), &mut scratch.values);
            }
        }
        let count = scratch.rows.len();
        out.resize(count, Candidate { value: 0, row: 0, next: 0, end: 0 });
        let mut kept = 0;
        let probing = scratch.rows.iter().zip(&scratch.values);
        match &self.directory {
            Directory::Whole => {}
            Directory::Direct { starts, .. } => {
                for (row, value) in probing {
                    let (next, end) = (starts[*value as usize], starts[*value as usize + 1]);
                    out[kept] = Candidate { value: *value, row: *row, next, end };
                    kept += usize::from(next < end);
                }
            }
            Directory::Hashed { slots, shift, .. } => {
                let exact = self.ranges.is_some();
                for (row, value) in probing {
                    let hash = if exact { mix(*value) } else { *value };
                    let slot = (hash >> shift) as usize;
                    let (before, entry) = (slots[slot], slots[slot + 1]);
                    let bits = filter_bits(hash);
                    let (next, end) = ((before >> 16) as u32, (entry >> 16) as u32);
                    out[kept] = Candidate { value: *value, row: *row, next, end };
                    kept += usize::from(entry & bits == bits);
                }
            }
        }
        out.truncate(kept);
    }

    /// Moves pairs of the candidates from `position` on into `pairs`, up to `limit` pairs in all. Rows for which
    /// `skip` holds are passed over; `first`: one pair a row is enough. Returns false when no candidates are left.
    #[allow(clippy::too_many_arguments, reason = "the loop's state is the caller's")]
    pub(super) fn collect(
        &self,
        candidates: &mut [Candidate],
        position: &mut usize,
        limit: usize,
        first: bool,
        skip: impl Fn(u16) -> bool,
        pairs: &mut Pairs,
    ) -> bool {
        let room = limit.saturating_sub(pairs.len());
        pairs.rows.reserve(room);
        pairs.partners.reserve(room);
        while *position < candidates.len() {
            let candidate = &mut candidates[*position];
            if skip(candidate.row) {
                *position += 1;
                continue;
            }
            let room = limit - pairs.len();
            if room == 0 {
                return true;
            }
            match &self.directory {
                Directory::Whole => {
                    let end = if first { candidate.end.min(candidate.next + 1) } else { candidate.end };
                    let taken = end.min(candidate.next.saturating_add(room as u32));
                    for row in candidate.next..taken {
                        pairs.push(candidate.row, row);
                    }
                    candidate.next = taken;
                    if taken < end {
                        return true;
                    }
                }
                Directory::Direct { rows, .. } => {
                    let end = if first { candidate.end.min(candidate.next + 1) } else { candidate.end };
                    let taken = end.min(candidate.next.saturating_add(room as u32));
                    for row in &rows[candidate.next as usize..taken as usize] {
                        pairs.push(candidate.row, *row);
                    }
                    candidate.next = taken;
                    if taken < end {
                        return true;
                    }
                }
                Directory::Hashed { entries, .. } => {
                    let mut left = room;
                    let range = &entries[candidate.next as usize..candidate.end as usize];
                    for (seen, entry) in (0..).zip(range) {
                        if entry.value == candidate.value {
                            if left == 0 {
                                candidate.next += seen;
                                return true;
                            }
                            pairs.push(candidate.row, entry.row);
                            left -= 1;
                            if first {
                                break;
                            }
                        }
                    }
                }
            }
            *position += 1;
        }
        false
    }
}

/// How the keys can be packed; `None`: they cannot.
fn packing(keys: &[&Column], nulls: &[KeyNulls], present: Option<&Bitmap>) -> Option<Vec<KeyRange>> {
    let mut span = 1u64;
    let mut ranges = Vec::with_capacity(keys.len());
    for (key, nulls) in keys.iter().zip(nulls) {
        if !is_whole_number(key.data_type)
            || key.form != ColumnForm::Flat
            || (*nulls == KeyNulls::Equal && key.may_have_nulls())
        {
            return None;
        }
        let range = key_range(key, present)?;
        span = span.checked_mul(range.count)?;
        ranges.push(range);
    }
    Some(ranges)
}

/// The rows that go into the table.
struct RowNumbers<'a> {
    present: Option<&'a Bitmap>,
    rows: usize,
}

impl RowNumbers<'_> {
    fn each(&self, cancel: &CancelToken, mut visit: impl FnMut(usize)) -> Result<()> {
        match self.present {
            None => {
                let mut start = 0;
                while start < self.rows {
                    cancel.check()?;
                    let end = self.rows.min(start + ROWS_PER_CANCEL_CHECK);
                    (start..end).for_each(&mut visit);
                    start = end;
                }
            }
            Some(present) => {
                for (count, row) in present.ones().enumerate() {
                    if count % ROWS_PER_CANCEL_CHECK == 0 {
                        cancel.check()?;
                    }
                    visit(row);
                }
            }
        }
        Ok(())
    }
}

fn direct_directory(
    values: &[u64],
    numbers: &RowNumbers<'_>,
    span: u64,
    len: usize,
    cancel: &CancelToken,
) -> Result<Directory> {
    // One element more in front: after the rows are placed, each start has moved to its end.
    let mut starts = vec![0u32; span as usize + 2];
    numbers.each(cancel, |row| starts[values[row] as usize + 2] += 1)?;
    let mut sum = 0;
    for start in &mut starts {
        sum += *start;
        *start = sum;
    }
    let mut rows = vec![0u32; len];
    numbers.each(cancel, |row| {
        let place = &mut starts[values[row] as usize + 1];
        rows[*place as usize] = row as u32;
        *place += 1;
    })?;
    Ok(Directory::Direct { starts, rows })
}

fn hashed_directory(
    values: &[u64],
    numbers: &RowNumbers<'_>,
    exact: bool,
    len: usize,
    cancel: &CancelToken,
) -> Result<Directory> {
    let slot_count = len.next_power_of_two().max(2);
    let shift = 64 - slot_count.trailing_zeros();
    let hash = |row: usize| if exact { mix(values[row]) } else { values[row] };
    let mut slots = vec![0u64; slot_count + 2];
    numbers.each(cancel, |row| {
        let hash = hash(row);
        let slot = (hash >> shift) as usize;
        slots[slot + 2] += 1 << 16;
        slots[slot + 1] |= filter_bits(hash);
    })?;
    // Counts become starts; the filter bits beside them stay.
    let mut sum = 0;
    for slot in &mut slots {
        let (count, bits) = (*slot >> 16, *slot & 0xFFFF);
        sum += count;
        *slot = sum << 16 | bits;
    }
    let mut entries = vec![Entry::default(); len];
    numbers.each(cancel, |row| {
        let place = &mut slots[(hash(row) >> shift) as usize + 1];
        entries[(*place >> 16) as usize] = Entry { value: values[row], row: row as u32 };
        *place += 1 << 16;
    })?;
    Ok(Directory::Hashed { slots, shift, entries })
}
