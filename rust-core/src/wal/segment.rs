//! Segments: files of reserved space that hold consecutive stretches of the log.
//!
//! A segment gets its header when its first frame is written, and only after everything before it is
//! durable. So a torn frame can be only in the last segment that has a header.

use crate::common::checksum::crc32c;
use crate::common::ids::Lsn;
use crate::error::{Error, Result, SqlState};
use crate::io::vfs::{File, OpenMode, Vfs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes before the first frame: a sector of its own, so that no frame write can tear the header.
pub const SEGMENT_HEADER_BYTES: u64 = 4096;
/// So much is written with zeros at a time, ahead of small writes.
pub const ZERO_AHEAD_BYTES: u64 = 1 << 20;
static ZEROS: [u8; ZERO_AHEAD_BYTES as usize] = [0; ZERO_AHEAD_BYTES as usize];
/// Writes of at least this many bytes need no zeros after them: the journal commit is small beside them.
const LARGE_WRITE_BYTES: usize = 256 << 10;
const MAGIC: &[u8; 8] = b"LUMOSWAL";
const VERSION: u32 = 1;
/// Bytes of the header that are used; the checksum is the last four.
const USED_BYTES: usize = 76;

/// A segment's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentHeader {
    /// Which database the log belongs to.
    pub database: [u8; 16],
    /// Counts up by one from segment to segment.
    pub sequence: u64,
    /// The position of its first frame, which is where the segment before it ends.
    pub start: Lsn,
    /// Mixed into every frame's checksum.
    pub salt: u64,
    /// Changes when a restored copy goes its own way.
    pub timeline: u32,
    /// Bytes of the file.
    pub file_bytes: u64,
}

impl SegmentHeader {
    /// Where frames end at the latest.
    pub fn end(&self) -> Lsn {
        Lsn(self.start.0 + self.file_bytes - SEGMENT_HEADER_BYTES)
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SEGMENT_HEADER_BYTES as usize);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.timeline.to_le_bytes());
        bytes.extend_from_slice(&self.database);
        bytes.extend_from_slice(&self.sequence.to_le_bytes());
        bytes.extend_from_slice(&self.start.0.to_le_bytes());
        bytes.extend_from_slice(&self.salt.to_le_bytes());
        bytes.extend_from_slice(&self.start.0.to_le_bytes());
        bytes.extend_from_slice(&self.file_bytes.to_le_bytes());
        let crc = crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        debug_assert_eq!(bytes.len(), USED_BYTES);
        bytes.resize(SEGMENT_HEADER_BYTES as usize, 0);
        bytes
    }

    /// `None`: never used, or torn while its header was written.
    fn decode(bytes: &[u8]) -> Result<Option<SegmentHeader>> {
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        if bytes.len() < USED_BYTES
            || &bytes[..8] != MAGIC
            || crc32c(&bytes[..USED_BYTES - 4]) != u32_at(USED_BYTES - 4)
        {
            return Ok(None);
        }
        if u32_at(8) != VERSION {
            return Err(Error::not_supported(format!("log segment version {}", u32_at(8)))
                .hint("The database was written by a newer release."));
        }
        let mut database = [0; 16];
        database.copy_from_slice(&bytes[16..32]);
        Ok(Some(SegmentHeader {
            database,
            sequence: u64_at(32),
            start: Lsn(u64_at(40)),
            salt: u64_at(48),
            timeline: u32_at(12),
            file_bytes: u64_at(64),
        }))
    }
}

/// The file name of a segment.
pub fn segment_path(folder: &Path, sequence: u64) -> PathBuf {
    folder.join(format!("{sequence:016x}.log"))
}

/// The sequence number in a segment's file name.
pub fn segment_sequence(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".log").filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

/// A file that frames can be written to.
#[derive(Clone, Debug)]
pub struct Segment {
    /// The open file.
    pub file: Arc<dyn File>,
    /// Its number.
    pub sequence: u64,
    /// Its salt.
    pub salt: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Bytes at its beginning that were written before it came into use, if only with zeros.
    pub initialised_bytes: u64,
    /// The folder was synced since the file has its name. Frames in a file whose name is lost with the power would be
    /// lost too.
    pub has_durable_name: Arc<AtomicBool>,
}

impl Segment {
    /// Bytes of frames that fit.
    pub fn capacity_bytes(&self) -> u64 {
        self.file_bytes - SEGMENT_HEADER_BYTES
    }

    /// Makes a file that reads as zeros, durable with its folder, without a header. Its space is reserved.
    /// Its beginning is written as well: a sync of a reserved but unwritten extent costs a journal commit. The
    /// rest is left to the writer ([`ZERO_AHEAD_BYTES`]), because large writes need no zeros before them.
    /// # Errors
    /// `53100` when the space is not there; the file is removed again.
    pub fn create(
        vfs: &Arc<dyn Vfs>,
        folder: &Path,
        sequence: u64,
        salt: u64,
        file_bytes: u64,
    ) -> Result<Segment> {
        let path = segment_path(folder, sequence);
        let filled = (|| {
            let file = vfs.open(&path, OpenMode::CreateOrOpen)?;
            file.set_size(0)?;
            file.allocate(file_bytes)?;
            let initialised_bytes = file_bytes.min(ZERO_AHEAD_BYTES);
            file.write_at(&ZEROS[..initialised_bytes as usize], 0)?;
            file.sync()?;
            vfs.sync_folder(folder)?;
            let has_durable_name = Arc::new(AtomicBool::new(true));
            Ok(Segment { file, sequence, salt, file_bytes, initialised_bytes, has_durable_name })
        })();
        if filled.is_err() {
            // Best effort: an unused file is also removed at the next open.
            let _ = vfs.remove(&path);
        }
        filled
    }

    /// Writes frames at `offset`, and zeros behind a small write that ends beyond the `initialised` bytes, so that
    /// the next ones find written space. Gives the bytes that are initialised now.
    /// # Errors
    /// `58030`.
    pub fn write_frames(&self, bytes: &[u8], offset: u64, initialised: u64) -> Result<u64> {
        self.file.write_at(bytes, offset)?;
        let end = offset + bytes.len() as u64;
        if end <= initialised {
            return Ok(initialised);
        }
        if bytes.len() >= LARGE_WRITE_BYTES {
            return Ok(end);
        }
        let zeros = (self.file_bytes - end).min(ZERO_AHEAD_BYTES);
        self.file.write_at(&ZEROS[..zeros as usize], end)?;
        Ok(end + zeros)
    }

    /// Turns a file that is no longer needed into the unused segment `sequence`, whose name is not durable yet
    /// ([`Segment::make_name_durable`]). Its old header stays: under the new name its number is wrong, so it counts as none, and
    /// at no moment is there a segment without a header before one that has one.
    /// # Errors
    /// I/O errors: the file is the segment that it was.
    pub fn recycle(&self, vfs: &Arc<dyn Vfs>, folder: &Path, sequence: u64, salt: u64) -> Result<Segment> {
        vfs.rename(&segment_path(folder, self.sequence), &segment_path(folder, sequence))?;
        let has_durable_name = Arc::new(AtomicBool::new(false));
        let initialised_bytes = self.file_bytes;
        Ok(Segment { sequence, salt, initialised_bytes, has_durable_name, ..self.clone() })
    }

    /// Syncs the folder, if nobody did since the file has its name. To be called before the header is written.
    /// # Errors
    /// `58030`: what the folder holds after a power loss is not known.
    pub fn make_name_durable(&self, vfs: &Arc<dyn Vfs>, folder: &Path) -> Result<()> {
        if !self.has_durable_name.load(Ordering::Acquire) {
            vfs.sync_folder(folder)?;
            self.has_durable_name.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Writes the header. What lies before `start` must be durable already.
    pub fn write_header(&self, database: [u8; 16], timeline: u32, start: Lsn) -> Result<()> {
        let header = SegmentHeader {
            database,
            sequence: self.sequence,
            start,
            salt: self.salt,
            timeline,
            file_bytes: self.file_bytes,
        };
        self.file.write_at(&header.encode(), 0)
    }
}

/// A segment found in the log folder.
#[derive(Clone, Debug)]
pub struct FoundSegment {
    /// Its header.
    pub header: SegmentHeader,
    /// The open file.
    pub file: Arc<dyn File>,
}

/// Lists the segments that have a header, in order of their numbers, and the numbers of files without one.
/// # Errors
/// `XX001` when a segment belongs to another database, is missing in the middle, or is shorter than it says.
pub fn list_segments(
    vfs: &Arc<dyn Vfs>,
    folder: &Path,
    database: [u8; 16],
    mode: OpenMode,
) -> Result<(Vec<FoundSegment>, Vec<u64>)> {
    let mut sequences: Vec<u64> =
        vfs.list_folder(folder)?.iter().filter_map(|name| segment_sequence(name)).collect();
    sequences.sort_unstable();
    let mut found: Vec<FoundSegment> = Vec::new();
    let mut unused = Vec::new();
    for sequence in sequences {
        let path = segment_path(folder, sequence);
        let file = vfs.open(&path, mode)?;
        let mut bytes = vec![0; SEGMENT_HEADER_BYTES as usize];
        let count = file.read_at(&mut bytes, 0)?;
        let header = SegmentHeader::decode(&bytes[..count])?.filter(|header| header.sequence == sequence);
        let Some(header) = header else {
            unused.push(sequence);
            continue;
        };
        let damage = |what: &str| {
            Error::new(SqlState::DATA_CORRUPTED, format!("log segment \"{}\" {what}", path.display()))
        };
        if header.database != database {
            return Err(damage("belongs to another database")
                .hint("Move the log folder back to its own database file."));
        }
        if header.file_bytes < SEGMENT_HEADER_BYTES || header.start.0.checked_add(header.file_bytes).is_none()
        {
            return Err(damage("says of itself what cannot be"));
        }
        if file.size()? < header.file_bytes {
            return Err(damage("is shorter than its header says"));
        }
        if let Some(last) = found.last()
            && last.header.sequence + 1 != sequence
        {
            return Err(damage("does not follow the segment before it: one is missing"));
        }
        found.push(FoundSegment { header, file });
    }
    let last_used = found.last().map_or(0, |segment| segment.header.sequence);
    if let Some(hole) = unused.iter().find(|sequence| **sequence < last_used) {
        let path = segment_path(folder, *hole);
        return Err(Error::new(
            SqlState::DATA_CORRUPTED,
            format!("log segment \"{}\" has lost its header", path.display()),
        ));
    }
    Ok((found, unused))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> SegmentHeader {
        SegmentHeader {
            database: [3; 16],
            sequence: 7,
            start: Lsn(4096),
            salt: 99,
            timeline: 2,
            file_bytes: 1 << 20,
        }
    }

    #[test]
    fn a_header_reads_back_and_damage_makes_it_unused() {
        let header = sample();
        let mut bytes = header.encode();
        assert_eq!(SegmentHeader::decode(&bytes).unwrap(), Some(header));
        bytes[40] ^= 1;
        assert_eq!(SegmentHeader::decode(&bytes).unwrap(), None);
    }

    #[test]
    fn a_header_of_a_newer_release_is_refused_by_name() {
        let mut bytes = sample().encode();
        bytes[8] = 2;
        let crc = crc32c(&bytes[..USED_BYTES - 4]);
        bytes[USED_BYTES - 4..USED_BYTES].copy_from_slice(&crc.to_le_bytes());
        let error = SegmentHeader::decode(&bytes).unwrap_err();
        assert_eq!(
            (error.state().as_str(), error.message()),
            ("0A000", "log segment version 2 is not supported")
        );
    }

    #[test]
    fn names_and_numbers_agree() {
        let path = segment_path(Path::new("/wal"), 0x2a);
        assert_eq!(segment_sequence(path.file_name().unwrap().to_str().unwrap()), Some(0x2a));
        assert_eq!(segment_sequence("readme.txt"), None);
    }
}
