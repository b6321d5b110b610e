//! The fixed places of the database file: static header and the two checkpoint slots, each written twice.
//! Knows bytes and offsets. Knows nothing of pages or of when a slot is written.

use crate::common::checksum::crc32c;
use crate::common::ids::{BlockId, Lsn, TransactionId, TreeId};
use crate::error::{Error, Result, SqlState};
use crate::io::vfs::File;
use crate::storage::free_space::BLOCKS_START_BYTES;
use crate::storage::page_map::BlockRef;

const MAGIC: &[u8; 8] = b"LUMOS\x1a\r\n";
/// The format that this version writes.
const FORMAT_VERSION: u32 = 1;
/// Feature bits that this version knows.
const FEATURES_KNOWN: u64 = 0;
const HEADER_BYTES: usize = 64;
/// No generation, LSN or transaction ever comes near it; counting on from it never wraps.
const COUNTER_MAX: u64 = 1 << 62;
const SLOT_MAGIC: &[u8; 8] = b"LUMOSLOT";
const SLOT_BYTES: usize = 512;
/// The database was closed by this checkpoint.
const SLOT_CLEAN: u32 = 1;
/// Slot flags that this version knows.
const SLOT_FLAGS_KNOWN: u32 = SLOT_CLEAN;
/// Places of a slot's two copies: slot A (odd generations are slot B).
const SLOT_OFFSETS: [[u64; 2]; 2] = [[16 << 10, 48 << 10], [32 << 10, 64 << 10]];

/// What never changes after creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StaticHeader {
    pub(super) page_size: usize,
    pub(super) database: [u8; 16],
}

/// What a checkpoint makes true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointRecord {
    /// Counts the checkpoints of this database.
    pub generation: u64,
    /// All changes of frames that end at or below this are in the pages.
    pub cut_lsn: Lsn,
    /// Where redo starts.
    pub redo_lsn: Lsn,
    /// The database was closed by this checkpoint: it needs no log.
    pub clean: bool,
    /// History branch, for restores.
    pub timeline: u32,
    /// The database's name, random.
    pub database: [u8; 16],
    /// The next transaction id to give out.
    pub next_transaction: TransactionId,
}

/// A checkpoint slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) record: CheckpointRecord,
    pub(super) map_root: BlockRef,
    pub(super) map_levels: u32,
    pub(super) page_count: u32,
    /// One past the last block in use: the file is at least so long.
    pub(super) block_end: u32,
    pub(super) next_tree: TreeId,
}

fn not_a_database(path: &str, why: &str) -> Error {
    Error::new(SqlState::DATA_CORRUPTED, format!("file \"{path}\" is not a Lumos database"))
        .detail(why.to_owned())
}

fn number32(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

fn number64(bytes: &[u8], at: usize) -> u64 {
    u64::from(number32(bytes, at)) | u64::from(number32(bytes, at + 4)) << 32
}

fn name16(bytes: &[u8], at: usize) -> [u8; 16] {
    let mut name = [0; 16];
    name.copy_from_slice(&bytes[at..at + 16]);
    name
}

impl StaticHeader {
    /// `{magic 8, format u32, least reader u32, page size u32, zero u32, uuid 16, feature bits u64, zero 12, crc32c}`
    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[16..20].copy_from_slice(&(self.page_size as u32).to_le_bytes());
        bytes[24..40].copy_from_slice(&self.database);
        bytes[40..48].copy_from_slice(&FEATURES_KNOWN.to_le_bytes());
        let crc = crc32c(&bytes[..HEADER_BYTES - 4]);
        bytes[HEADER_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads and judges the header of a file that somebody says is a database.
    /// # Errors
    /// `XX001`: not a database, cut off or damaged. `0A000`: made by a newer version.
    pub(super) fn read(file: &dyn File, path: &str) -> Result<StaticHeader> {
        let mut bytes = [0; HEADER_BYTES];
        let read = file.read_at(&mut bytes, 0)?;
        if read < MAGIC.len() || bytes[..8] != *MAGIC {
            return Err(not_a_database(
                path,
                "It does not begin with the bytes that every Lumos database begins with.",
            ));
        }
        if read < HEADER_BYTES {
            return Err(not_a_database(path, "It is cut off inside its header."));
        }
        if number32(&bytes, HEADER_BYTES - 4) != crc32c(&bytes[..HEADER_BYTES - 4]) {
            return Err(Error::new(
                SqlState::DATA_CORRUPTED,
                format!("the header of database \"{path}\" is damaged"),
            )
            .detail("Its checksum does not match."));
        }
        let (format, least_reader) = (number32(&bytes, 8), number32(&bytes, 12));
        if least_reader > FORMAT_VERSION {
            return Err(Error::not_supported(format!("format version {format} of database \"{path}\""))
                .detail(format!("This version of Lumos reads formats up to {FORMAT_VERSION}; the file needs a reader of format {least_reader}."))
                .hint("Open it with a newer version of Lumos."));
        }
        let unknown = number64(&bytes, 40) & !FEATURES_KNOWN;
        if unknown != 0 {
            return Err(Error::not_supported(format!("feature {unknown:#x} of database \"{path}\""))
                .hint("Open it with a newer version of Lumos."));
        }
        let page_size = number32(&bytes, 16) as usize;
        if !page_size_is_valid(page_size) {
            return Err(not_a_database(path, "Its header names an impossible page size."));
        }
        if file.size()? < BLOCKS_START_BYTES {
            return Err(Error::new(SqlState::DATA_CORRUPTED, format!("database \"{path}\" is cut off"))
                .detail("The file ends before its first block."));
        }
        Ok(StaticHeader { page_size, database: name16(&bytes, 24) })
    }
}

/// A power of two from 1 KiB (below 4 KiB meant for tests, which want many splits) to 32 KiB.
pub(super) fn page_size_is_valid(page_size: usize) -> bool {
    page_size.is_power_of_two() && (1 << 10..=32 << 10).contains(&page_size)
}

impl Slot {
    /// `{magic 8, generation u64, timeline u32, flags u32 (1: clean), cut u64, redo u64, map root block u32 and
    /// crc32c, map levels u32, page count u32, block end u32, next tree u32, next transaction u64, uuid 16, …, crc32c}`
    fn encode(&self) -> [u8; SLOT_BYTES] {
        let mut bytes = [0; SLOT_BYTES];
        let record = &self.record;
        bytes[..8].copy_from_slice(SLOT_MAGIC);
        bytes[8..16].copy_from_slice(&record.generation.to_le_bytes());
        bytes[16..20].copy_from_slice(&record.timeline.to_le_bytes());
        let flags = if record.clean { SLOT_CLEAN } else { 0 };
        bytes[20..24].copy_from_slice(&flags.to_le_bytes());
        bytes[24..32].copy_from_slice(&record.cut_lsn.0.to_le_bytes());
        bytes[32..40].copy_from_slice(&record.redo_lsn.0.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.map_root.block.0.to_le_bytes());
        bytes[44..48].copy_from_slice(&self.map_root.crc.to_le_bytes());
        bytes[48..52].copy_from_slice(&self.map_levels.to_le_bytes());
        bytes[52..56].copy_from_slice(&self.page_count.to_le_bytes());
        bytes[56..60].copy_from_slice(&self.block_end.to_le_bytes());
        bytes[60..64].copy_from_slice(&self.next_tree.0.to_le_bytes());
        bytes[64..72].copy_from_slice(&record.next_transaction.0.to_le_bytes());
        bytes[72..88].copy_from_slice(&record.database);
        let crc = crc32c(&bytes[..SLOT_BYTES - 4]);
        bytes[SLOT_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Slot> {
        if bytes[..8] != *SLOT_MAGIC || number32(bytes, SLOT_BYTES - 4) != crc32c(&bytes[..SLOT_BYTES - 4]) {
            return None;
        }
        let is_possible = [8, 24, 32, 64].iter().all(|at| number64(bytes, *at) <= COUNTER_MAX)
            && number64(bytes, 32) <= number64(bytes, 24)
            && number32(bytes, 60) <= u32::MAX / 2;
        if !is_possible {
            return None;
        }
        Some(Slot {
            record: CheckpointRecord {
                generation: number64(bytes, 8),
                timeline: number32(bytes, 16),
                clean: number32(bytes, 20) & SLOT_CLEAN != 0,
                cut_lsn: Lsn(number64(bytes, 24)),
                redo_lsn: Lsn(number64(bytes, 32)),
                next_transaction: TransactionId(number64(bytes, 64)),
                database: name16(bytes, 72),
            },
            map_root: BlockRef { block: BlockId(number32(bytes, 40)), crc: number32(bytes, 44) },
            map_levels: number32(bytes, 48),
            page_count: number32(bytes, 52),
            block_end: number32(bytes, 56),
            next_tree: TreeId(number32(bytes, 60)),
        })
    }

    /// The pages are the state at the cut, without the log: no commit was being applied there.
    pub(super) fn is_whole(&self) -> bool {
        self.record.redo_lsn == self.record.cut_lsn
    }

    /// Writes both copies in the place of the older checkpoint. Not durable until the file is synced.
    pub(super) fn write(&self, file: &dyn File) -> Result<()> {
        let bytes = self.encode();
        for offset in SLOT_OFFSETS[(self.record.generation % 2) as usize] {
            file.write_at(&bytes, offset)?;
        }
        Ok(())
    }

    /// The newest valid slot of a database. One good copy is enough.
    /// # Errors
    /// `0A000` when a newer version wrote it; `58030`.
    pub(super) fn read_newest(file: &dyn File, database: &[u8; 16]) -> Result<Option<Slot>> {
        Slot::newest_where(file, |slot| slot.record.database == *database)
    }

    fn newest_where(file: &dyn File, is_wanted: impl Fn(&Slot) -> bool) -> Result<Option<Slot>> {
        let mut newest: Option<(Slot, u32)> = None;
        for offset in SLOT_OFFSETS.into_iter().flatten() {
            let mut bytes = [0; SLOT_BYTES];
            if file.read_at(&mut bytes, offset)? < SLOT_BYTES {
                continue;
            }
            if let Some(slot) = Slot::decode(&bytes)
                && is_wanted(&slot)
                && newest.is_none_or(|(newest, _)| newest.record.generation < slot.record.generation)
            {
                newest = Some((slot, number32(&bytes, 20) & !SLOT_FLAGS_KNOWN));
            }
        }
        match newest {
            // Its checksum is right: it is no damage, and to fall back on an older slot would lose commits.
            Some((slot, unknown)) if unknown != 0 => {
                let generation = slot.record.generation;
                Err(Error::not_supported(format!("flag {unknown:#x} of checkpoint {generation}"))
                    .hint("Open it with a newer version of Lumos."))
            }
            newest => Ok(newest.map(|(slot, _)| slot)),
        }
    }

    /// The offsets of this slot's copies that are not as they were written.
    pub(super) fn damaged_copies(&self, file: &dyn File) -> Result<Vec<u64>> {
        let expected = self.encode();
        let mut damaged = Vec::new();
        for offset in SLOT_OFFSETS[(self.record.generation % 2) as usize] {
            let mut bytes = [0; SLOT_BYTES];
            file.read_at(&mut bytes, offset)?;
            if bytes != expected {
                damaged.push(offset);
            }
        }
        Ok(damaged)
    }

    /// The offsets of the copies of the slot before this one that are neither whole nor never written. A crash while a
    /// checkpoint wrote its slot leaves such copies too.
    pub(super) fn damaged_older_copies(&self, file: &dyn File) -> Result<Vec<u64>> {
        let mut copies = Vec::new();
        for offset in SLOT_OFFSETS[((self.record.generation + 1) % 2) as usize] {
            let mut bytes = [0; SLOT_BYTES];
            file.read_at(&mut bytes, offset)?;
            copies.push((offset, bytes));
        }
        if copies.iter().all(|(_, bytes)| bytes.iter().all(|byte| *byte == 0)) {
            return Ok(Vec::new());
        }
        let slots: Vec<Option<Slot>> = copies.iter().map(|(_, bytes)| Slot::decode(bytes)).collect();
        let newest = slots.iter().flatten().map(|slot| slot.record.generation).max();
        let is_whole = |slot: &Option<Slot>| {
            slot.is_some_and(|slot| {
                Some(slot.record.generation) == newest && slot.record.database == self.record.database
            })
        };
        let damaged = copies.iter().zip(&slots).filter(|(_, slot)| !is_whole(slot));
        Ok(damaged.map(|((offset, _), _)| *offset).collect())
    }

    /// The newest whole slot, whichever database it is of: for a file whose static header is damaged.
    /// # Errors
    /// As [`Slot::read_newest`].
    pub(super) fn read_newest_of_any(file: &dyn File) -> Result<Option<Slot>> {
        Slot::newest_where(file, |_| true)
    }
}
