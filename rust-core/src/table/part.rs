//! Parts of columns: what a scan gives of a long value without reading the rest of it.
//!
//! A value in its row is cut where it lies; of one in the value tree only the pieces are read that the part needs, of
//! lengths and of NULL or not even none. Characters have no fixed place, so pieces are read from the first on.
//! Knows values as bytes, and pieces. Knows no expressions.

use crate::error::Result;
use crate::sql::types::data_type::{DataType, SqlType};
use crate::table::row::{LargePointer, damaged_row};
use crate::table::value_tree;
use crate::transaction::transaction::{Transaction, TreeHandle};
use crate::transaction::types::ReadView;

/// What of a text or bytea comes out of a scan in the place of the column. NULL stays NULL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ColumnPart {
    /// An empty value, for what is not NULL.
    Presence,
    /// The value where it lies in the row, an empty one where the row points to it.
    InRow,
    /// How many bytes it has, as integer.
    OctetLength,
    /// How many characters it has, as integer.
    CharacterLength,
    /// Its bytes in this range, as far as it has them.
    Bytes {
        /// The first, from 0.
        from: u64,
        /// After the last.
        to: u64,
    },
    /// Its characters in this range, as far as it has them.
    Characters {
        /// The first, from 0.
        from: u64,
        /// After the last.
        to: u64,
    },
    /// All characters but the last ones.
    CharactersWithoutLast(u64),
    /// Its length in four bytes (big-endian), and this byte (from 0) if it has it.
    Byte(i64),
}

/// What a scan or look-up gives of each row.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// Table columns by position, in output order.
    pub(super) columns: Vec<usize>,
    /// By output position; none, or shorter, where columns come whole.
    parts: Vec<Option<ColumnPart>>,
    pub(super) row_id: bool,
}

impl Wanted {
    pub(super) fn new(columns: &[usize], row_id: bool) -> Wanted {
        Wanted { columns: columns.to_vec(), parts: Vec::new(), row_id }
    }

    /// `parts`: output positions with what comes there.
    pub(super) fn set_parts(&mut self, parts: &[(usize, ColumnPart)]) {
        self.parts.clear();
        for (output, part) in parts {
            self.parts.resize(self.parts.len().max(output + 1), None);
            self.parts[*output] = Some(*part);
        }
    }

    /// What comes at an output position, unless it is the whole column.
    #[inline]
    pub(super) fn part(&self, output: usize) -> Option<ColumnPart> {
        self.parts.get(output).copied().flatten()
    }

    /// Types of what comes out, the row id aside.
    pub(super) fn types<'a>(&'a self, table: &'a [SqlType]) -> impl Iterator<Item = SqlType> + 'a {
        self.columns.iter().enumerate().map(|(output, column)| {
            self.part(output).map_or(table[*column], |part| part.sql_type(table[*column])) //
        })
    }
}

/// A part of a value, while it is being made.
#[derive(Debug)]
pub(super) enum PartValue<'a> {
    Integer(i32),
    Bytes(&'a [u8]),
    Owned(Vec<u8>),
}

impl PartValue<'_> {
    /// The bytes of a part that is a text or bytea.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            PartValue::Integer(_) => &[],
            PartValue::Bytes(bytes) => bytes,
            PartValue::Owned(bytes) => bytes,
        }
    }
}

/// How the pieces of values are read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pieces {
    pub(super) piece_bytes: usize,
    pub(super) view: ReadView,
}

fn starts_character(byte: u8) -> bool {
    // UTF-8 continuation bytes are 10xxxxxx.
    (byte as i8) >= -0x40
}

fn count_characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| starts_character(**byte)).count()
}

/// Takes characters `from..to` of bytes that come piece by piece.
struct CharacterCut {
    /// Characters that began so far.
    seen: u64,
    from: u64,
    to: u64,
    bytes: Vec<u8>,
}

impl CharacterCut {
    /// Whether more is wanted.
    fn take(&mut self, piece: &[u8]) -> bool {
        let mut begin = if self.seen > self.from { Some(0) } else { None };
        for (at, byte) in piece.iter().enumerate() {
            if !starts_character(*byte) {
                continue;
            }
            if self.seen == self.to {
                if let Some(begin) = begin {
                    self.bytes.extend_from_slice(&piece[begin..at]);
                }
                return false;
            }
            if self.seen == self.from {
                begin = Some(at);
            }
            self.seen += 1;
        }
        if let Some(begin) = begin {
            self.bytes.extend_from_slice(&piece[begin..]);
        }
        true
    }
}

fn characters(bytes: &[u8], from: u64, to: u64) -> Vec<u8> {
    let mut cut = CharacterCut { seen: 0, from, to, bytes: Vec::new() };
    if from < to {
        cut.take(bytes);
    }
    cut.bytes
}

fn slice(bytes: &[u8], from: u64, to: u64) -> &[u8] {
    let end = to.min(bytes.len() as u64);
    &bytes[from.min(end) as usize..end as usize]
}

fn integer(count: usize) -> PartValue<'static> {
    PartValue::Integer(count as i32)
}

fn byte(length: usize, byte: Option<u8>) -> PartValue<'static> {
    let mut part = (length as u32).to_be_bytes().to_vec();
    part.extend(byte);
    PartValue::Owned(part)
}

impl ColumnPart {
    /// The type of what comes out, for a column of this type.
    fn sql_type(self, column: SqlType) -> SqlType {
        match self {
            ColumnPart::OctetLength | ColumnPart::CharacterLength => SqlType::plain(DataType::Integer),
            _ => column,
        }
    }

    /// The part of a value that lies in its row.
    pub(super) fn of_row(self, value: &[u8]) -> PartValue<'_> {
        match self {
            ColumnPart::Presence => PartValue::Bytes(&[]),
            ColumnPart::InRow => PartValue::Bytes(value),
            ColumnPart::OctetLength => integer(value.len()),
            ColumnPart::CharacterLength => integer(count_characters(value)),
            ColumnPart::Bytes { from, to } => PartValue::Bytes(slice(value, from, to)),
            ColumnPart::Characters { from, to } if value.is_ascii() => {
                PartValue::Bytes(slice(value, from, to))
            }
            ColumnPart::Characters { from, to } => PartValue::Owned(characters(value, from, to)),
            ColumnPart::CharactersWithoutLast(last) => {
                let count = count_characters(value) as u64;
                PartValue::Owned(characters(value, 0, count.saturating_sub(last)))
            }
            ColumnPart::Byte(at) => {
                let found = usize::try_from(at).ok().and_then(|at| value.get(at)).copied();
                byte(value.len(), found)
            }
        }
    }

    /// The part of a value that lies in the value tree, if the pointer tells it.
    pub(super) fn of_pointer(self, pointer: LargePointer) -> Option<PartValue<'static>> {
        match self {
            ColumnPart::Presence | ColumnPart::InRow => Some(PartValue::Bytes(&[])),
            ColumnPart::OctetLength => Some(integer(pointer.length as usize)),
            _ => None,
        }
    }

    /// Stands where a part comes later.
    pub(super) fn placeholder(self) -> PartValue<'static> {
        match self {
            ColumnPart::OctetLength | ColumnPart::CharacterLength => PartValue::Integer(0),
            _ => PartValue::Bytes(&[]),
        }
    }

    /// How many bytes of a value are kept when its part is read, at most.
    pub(super) fn bytes_of(self, pointer: LargePointer) -> usize {
        let length = u64::from(pointer.length);
        let bytes = match self {
            ColumnPart::Presence
            | ColumnPart::InRow
            | ColumnPart::OctetLength
            | ColumnPart::CharacterLength
            | ColumnPart::Byte(_) => 0,
            ColumnPart::Bytes { from, to } => to.min(length).saturating_sub(from),
            // A character has at most four bytes.
            ColumnPart::Characters { from, to } => to.saturating_sub(from).saturating_mul(4).min(length),
            ColumnPart::CharactersWithoutLast(_) => length,
        };
        bytes as usize
    }

    /// The part of a value that lies in the value tree. Never called under a latch.
    /// # Errors
    /// `XX001` when pieces that are needed are missing; `58030`.
    pub(super) fn read(
        self,
        transaction: &Transaction,
        tree: &TreeHandle,
        pointer: LargePointer,
        pieces: Pieces,
    ) -> Result<PartValue<'static>> {
        if let Some(value) = self.of_pointer(pointer) {
            return Ok(value);
        }
        let Pieces { piece_bytes, view } = pieces;
        let count = || {
            let mut count = 0;
            value_tree::each_piece(transaction, tree, pointer, view, |piece| {
                count += count_characters(piece);
                true
            })
            .map(|()| count)
        };
        let range = |from, to| {
            value_tree::read_range(transaction, tree, pointer, view, from..to, piece_bytes) //
        };
        let cut = |from, to| {
            let mut cut = CharacterCut { seen: 0, from, to, bytes: Vec::new() };
            if from < to {
                value_tree::each_piece(transaction, tree, pointer, view, |piece| cut.take(piece))?;
            }
            Ok(PartValue::Owned(cut.bytes))
        };
        match self {
            ColumnPart::Presence | ColumnPart::InRow | ColumnPart::OctetLength => Err(damaged_row()),
            ColumnPart::CharacterLength => Ok(integer(count()?)),
            ColumnPart::Bytes { from, to } => range(from, to).map(PartValue::Owned),
            ColumnPart::Characters { from, to } => cut(from, to),
            ColumnPart::CharactersWithoutLast(last) => cut(0, (count()? as u64).saturating_sub(last)),
            ColumnPart::Byte(at) => {
                let length = pointer.length as usize;
                let found = match u64::try_from(at) {
                    Ok(at) if at < length as u64 => range(at, at + 1)?.first().copied(),
                    _ => None,
                };
                Ok(byte(length, found))
            }
        }
    }
}
