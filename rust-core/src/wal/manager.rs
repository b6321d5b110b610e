//! Appending to the log and bringing it to the disk.
//!
//! ```text
//! append ──▶ buffer ──write_to──▶ segment files ──sync_to──▶ disk
//!   tail          written                          durable
//! ```
//! `append` copies into the buffer and returns; it is called under the commit mutex, so log order is commit
//! order. Whoever needs more durability moves the rest forward; how commits share a sync is `durability`'s.

use crate::common::checksum::crc32c;
use crate::common::ids::{Lsn, TransactionId};
use crate::common::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::common::sync::{Arc, Condvar, Mutex};
use crate::error::{Error, Result, SqlState};
use crate::io::vfs::Vfs;
use crate::wal::entry::OperationBuffer;
use crate::wal::frame::{FRAME_HEADER_BYTES, FrameHeader, FrameKind, frame_bytes};
use crate::wal::segment::{SEGMENT_HEADER_BYTES, Segment, segment_path};
use crossbeam::utils::CachePadded;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::OnceLock;

/// Bytes that may wait in the buffer before `prepare` writes them out, unless [`Log::limit_buffer`] says less.
const BUFFER_BYTES_MAX: usize = 4 << 20;

/// The next segment is made when so small a part of the present one is left: whoever makes it is late for its own
/// commit, and nobody else is.
const SPARE_SHARE: u64 = 8;

/// See [`SPARE_SHARE`].
fn early_bytes(segment: &Segment) -> u64 {
    segment.capacity_bytes() / SPARE_SHARE
}

/// Where a frame lies. Its end is the commit's timestamp.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FramePosition {
    /// First byte.
    pub start: Lsn,
    /// One past its last byte: the next frame's start.
    pub end: Lsn,
}

/// How a log is made.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// The file system.
    pub vfs: Arc<dyn Vfs>,
    /// The log folder.
    pub folder: PathBuf,
    /// The database's identity, in every segment's header.
    pub database: [u8; 16],
    /// The database's timeline.
    pub timeline: u32,
    /// Bytes of the first segment; each next one is twice as large.
    pub first_segment_bytes: u64,
    /// Bytes of the largest segment.
    pub segment_bytes_max: u64,
    /// Frames are numbered and forgotten: for databases in memory.
    pub volatile: bool,
    /// Where salts come from: 8 unpredictable bytes.
    pub salt_seed: u64,
}

/// The log of an open database. Threads: any.
#[derive(Debug)]
pub struct Log {
    options: LogOptions,
    append: CachePadded<Mutex<Appender>>,
    /// A segment was made, or could not be.
    made: Condvar,
    writer: CachePadded<Mutex<Writer>>,
    tail: CachePadded<AtomicU64>,
    written: CachePadded<AtomicU64>,
    durable: AtomicU64,
    sync_count: AtomicU64,
    /// Up to here nobody needs to think of the next segment, as the appender says.
    room_end: AtomicU64,
    buffer_bytes_max: AtomicUsize,
    poison: OnceLock<Error>,
}

/// The end of the log in memory.
#[derive(Debug)]
struct Appender {
    /// Frames from `buffer_start` on that no one has written yet.
    buffer: Vec<u8>,
    buffer_start: Lsn,
    /// The segment that new frames go to and where its last byte lies.
    current: Option<(Segment, Lsn)>,
    /// Segments that begin inside `buffer`, with where they begin.
    switches: VecDeque<(Lsn, Segment)>,
    /// Files ready to be used next.
    spare: Option<Segment>,
    /// Somebody makes the spare segment, without the lock: nobody else may take a number meanwhile, because an unused
    /// file before a used one counts as damage.
    making: bool,
    next_sequence: u64,
    next_segment_bytes: u64,
}

/// What is written where.
#[derive(Debug, Default)]
struct Writer {
    /// The segment being written and the position of its first frame.
    current: Option<(Segment, Lsn)>,
    /// Bytes of its file, from the beginning, that were written already, if only with zeros.
    initialised: u64,
    /// All segments not yet recycled, oldest first, with their first positions.
    live: VecDeque<(Segment, Lsn)>,
    /// Kept to swap with the appender's buffer.
    scratch: Vec<u8>,
}

impl Appender {
    /// Bytes of the next segment, which has room for such a frame.
    fn bytes_for(&self, payload_bytes: usize) -> u64 {
        let needed = SEGMENT_HEADER_BYTES + 2 * frame_bytes(payload_bytes) as u64;
        self.next_segment_bytes.max(needed.next_multiple_of(4096))
    }

    /// The segment of the next number was made, or was not.
    fn note_made(&mut self, bytes_max: u64, made: &Result<Segment>) {
        if made.is_ok() {
            self.next_sequence += 1;
            self.next_segment_bytes = (self.next_segment_bytes * 2).min(bytes_max);
        }
    }
}

impl Log {
    /// A log whose next frame starts at `start`. No file is made before the first frame is prepared.
    /// # Errors
    /// None today; the signature leaves room.
    pub fn create(options: LogOptions, start: Lsn) -> Result<Log> {
        Ok(Log::new(options, start, 1, Vec::new()))
    }

    /// A log that goes on behind recovered segments.
    pub(crate) fn new(options: LogOptions, start: Lsn, next_sequence: u64, live: Vec<(Segment, Lsn)>) -> Log {
        let next_segment_bytes = options.first_segment_bytes.max(SEGMENT_HEADER_BYTES * 2);
        Log {
            options,
            append: CachePadded::new(Mutex::new(Appender {
                buffer: Vec::new(),
                buffer_start: start,
                current: None,
                switches: VecDeque::new(),
                spare: None,
                making: false,
                next_sequence,
                next_segment_bytes,
            })),
            made: Condvar::new(),
            writer: CachePadded::new(Mutex::new(Writer { live: live.into(), ..Writer::default() })),
            tail: CachePadded::new(AtomicU64::new(start.0)),
            written: CachePadded::new(AtomicU64::new(start.0)),
            durable: AtomicU64::new(start.0),
            sync_count: AtomicU64::new(0),
            room_end: AtomicU64::new(0),
            buffer_bytes_max: AtomicUsize::new(BUFFER_BYTES_MAX),
            poison: OnceLock::new(),
        }
    }

    /// The position of the next frame.
    pub fn tail(&self) -> Lsn {
        Lsn(self.tail.load(Ordering::Acquire))
    }

    /// Everything before it has been handed to the operating system.
    pub fn written(&self) -> Lsn {
        Lsn(self.written.load(Ordering::Acquire))
    }

    /// Everything before it survives a power loss.
    pub fn durable(&self) -> Lsn {
        Lsn(self.durable.load(Ordering::Acquire))
    }

    /// Syncs made so far, for figures.
    pub fn sync_count(&self) -> u64 {
        self.sync_count.load(Ordering::Relaxed)
    }

    /// Lets no more than about `bytes` wait in memory. There are two buffers of this size, and they grow by doubling.
    pub fn limit_buffer(&self, bytes: usize) {
        self.buffer_bytes_max.store(bytes.min(BUFFER_BYTES_MAX), Ordering::Relaxed);
    }

    /// Whether frames are numbered and forgotten.
    pub fn is_volatile(&self) -> bool {
        self.options.volatile
    }

    /// Whether a segment exists, so that commits can be logged.
    pub fn has_segment(&self) -> bool {
        self.options.volatile || self.append.lock().current.is_some()
    }

    /// From now on every call fails with `error`: the files may not hold what was promised.
    pub fn poison(&self, error: Error) {
        let _ = self.poison.set(error);
    }

    fn check_poison(&self) -> Result<()> {
        match self.poison.get() {
            None => Ok(()),
            Some(cause) => Err(Error::new(
                SqlState::IO_ERROR,
                format!("the database is closed to writes after an error: {}", cause.message()),
            )
            .hint("Close and reopen the database; recovery brings back every acknowledged transaction.")),
        }
    }

    /// Makes room for a frame with `payload_bytes`, so that the append that follows does no I/O.
    /// Not to be called under the commit mutex.
    /// # Errors
    /// `53100` when the disk is full, other I/O errors; nothing has been logged then.
    pub fn prepare(&self, payload_bytes: usize) -> Result<()> {
        self.check_poison()?;
        if self.options.volatile {
            return Ok(());
        }
        let (tail, bytes) = (self.tail().0, frame_bytes(payload_bytes) as u64);
        let waiting = tail.saturating_sub(self.written().0);
        if tail + 2 * bytes <= self.room_end.load(Ordering::Relaxed)
            && waiting + bytes <= self.buffer_bytes_max.load(Ordering::Relaxed) as u64
        {
            return Ok(());
        }
        let (buffered, room_wanted) = {
            let append = self.append.lock();
            (append.buffer.len(), self.wants_spare(&append, payload_bytes))
        };
        if room_wanted {
            self.make_room(payload_bytes)?;
        }
        if buffered + frame_bytes(payload_bytes) > self.buffer_bytes_max.load(Ordering::Relaxed) {
            self.write_to(self.tail())?;
        }
        Ok(())
    }

    /// Bytes that the present segment has left.
    fn rest(&self, append: &Appender) -> u64 {
        append.current.as_ref().map_or(0, |(_, end)| end.0.saturating_sub(self.tail().0))
    }

    /// To be called when the present segment or the spare one changed.
    fn note_room(&self, append: &Appender) {
        let end = match (&append.current, &append.spare) {
            (None, _) => 0,
            (Some(_), Some(_)) => u64::MAX,
            (Some((segment, end)), None) => end.0.saturating_sub(early_bytes(segment)),
        };
        self.room_end.store(end, Ordering::Relaxed);
    }

    fn wants_spare(&self, append: &Appender, payload_bytes: usize) -> bool {
        if append.spare.is_some() {
            return false;
        }
        let early = append.current.as_ref().map_or(0, |(segment, _)| early_bytes(segment));
        self.needs_spare(append, payload_bytes) || (self.rest(append) < early && !append.making)
    }

    fn needs_spare(&self, append: &Appender, payload_bytes: usize) -> bool {
        append.spare.is_none() && self.rest(append) < 2 * frame_bytes(payload_bytes) as u64
    }

    /// Makes the first segment, or the next one: without the lock, so that others append what still fits.
    fn make_room(&self, payload_bytes: usize) -> Result<()> {
        let mut append = self.append.lock();
        while append.making {
            self.made.wait(&mut append);
        }
        if !self.wants_spare(&append, payload_bytes) {
            return Ok(());
        }
        if append.current.is_none() {
            return self.start_first_segment(&mut append, payload_bytes);
        }
        let (sequence, bytes) = (append.next_sequence, append.bytes_for(payload_bytes));
        append.making = true;
        drop(append);
        let made = self.make_segment(sequence, bytes);
        let mut append = self.append.lock();
        append.making = false;
        self.made.notify_all();
        append.note_made(self.options.segment_bytes_max, &made);
        match made {
            Ok(spare) => {
                append.spare = Some(spare);
                self.note_room(&append);
            }
            Err(error) if self.needs_spare(&append, payload_bytes) => return Err(error),
            // It was early; those who need it try again, and are told.
            Err(_) => {}
        }
        Ok(())
    }

    /// About `bytes` will be appended by one transaction: segments that are made from now on are large enough for them,
    /// as far as segments may grow, rather than doubling up to that size.
    pub fn expect(&self, bytes: u64) {
        if bytes > self.options.first_segment_bytes {
            let mut append = self.append.lock();
            let wanted = bytes.min(self.options.segment_bytes_max).next_multiple_of(4096);
            append.next_segment_bytes = append.next_segment_bytes.max(wanted);
        }
    }

    /// The first segment of a log is durable, header and folder included, before a frame is appended.
    fn start_first_segment(&self, append: &mut Appender, payload_bytes: usize) -> Result<()> {
        let vfs = &self.options.vfs;
        vfs.create_folder(&self.options.folder)?;
        if let Some(parent) = self.options.folder.parent() {
            vfs.sync_folder(parent)?;
        }
        let segment = self.create_segment(append, payload_bytes)?;
        let start = self.tail();
        let header = segment.write_header(self.options.database, self.options.timeline, start);
        if let Err(error) = header.and_then(|()| segment.file.sync()) {
            // The next attempt takes the same number: a file without a header before others would be damage.
            append.next_sequence = segment.sequence;
            let _ = vfs.remove(&segment_path(&self.options.folder, segment.sequence));
            return Err(error);
        }
        let end = Lsn(start.0 + segment.capacity_bytes());
        // The writer meets it as a switch; it writes the same header once more, which changes nothing.
        append.switches.push_back((start, segment.clone()));
        append.current = Some((segment, end));
        self.note_room(append);
        Ok(())
    }

    fn create_segment(&self, append: &mut Appender, payload_bytes: usize) -> Result<Segment> {
        let bytes = append.bytes_for(payload_bytes);
        let made = self.make_segment(append.next_sequence, bytes);
        append.note_made(self.options.segment_bytes_max, &made);
        made
    }

    fn make_segment(&self, sequence: u64, bytes: u64) -> Result<Segment> {
        Segment::create(&self.options.vfs, &self.options.folder, sequence, self.salt(sequence), bytes)
    }

    /// Different for every segment of every life of a log.
    fn salt(&self, sequence: u64) -> u64 {
        let mut mixed = self.options.salt_seed ^ sequence.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        mixed ^ (mixed >> 32)
    }

    /// Adds a frame to the end of the log. Only copies, when `prepare` made room for it.
    /// # Errors
    /// The log is poisoned, or (without `prepare`) making a segment failed: nothing was logged.
    pub fn append(
        &self,
        kind: FrameKind,
        transaction: TransactionId,
        operations: &OperationBuffer,
    ) -> Result<FramePosition> {
        self.check_poison()?;
        let payload = operations.as_bytes();
        let bytes = frame_bytes(payload.len());
        let payload_crc = if self.options.volatile { 0 } else { crc32c(payload) };
        let mut append = self.append.lock();
        while append.making && self.rest(&append) < bytes as u64 {
            self.made.wait(&mut append);
        }
        let start = self.tail();
        let end = Lsn(start.0 + bytes as u64);
        if !self.options.volatile {
            let salt = self.segment_for(&mut append, start, end, payload.len())?;
            let header = FrameHeader {
                kind,
                transaction,
                lsn: start,
                durable: self.durable(),
                links: operations.has_links(),
                operation_count: operations.count(),
                payload_bytes: payload.len() as u32,
                payload_crc,
            };
            header.encode(salt, payload, &mut append.buffer);
        } else {
            append.buffer_start = end;
            self.written.store(end.0, Ordering::Release);
            self.durable.store(end.0, Ordering::Release);
        }
        self.tail.store(end.0, Ordering::Release);
        Ok(FramePosition { start, end })
    }

    /// The salt of the segment that holds `start..end`, going on to the next one where it does not fit.
    fn segment_for(&self, append: &mut Appender, start: Lsn, end: Lsn, payload_bytes: usize) -> Result<u64> {
        if append.current.is_none() {
            self.start_first_segment(append, payload_bytes)?;
        }
        if let Some((segment, last)) = &append.current
            && end <= *last
        {
            return Ok(segment.salt);
        }
        let fits = |segment: &Segment| start.0 + segment.capacity_bytes() >= end.0;
        let segment = match append.spare.take() {
            Some(segment) if fits(&segment) => segment,
            Some(small) => {
                // An unused file in the sequence would be a hole: use its number for a larger one.
                append.next_sequence = small.sequence;
                self.create_segment(append, payload_bytes)?
            }
            None => self.create_segment(append, payload_bytes)?,
        };
        let salt = segment.salt;
        append.switches.push_back((start, segment.clone()));
        append.current = Some((segment.clone(), Lsn(start.0 + segment.capacity_bytes())));
        self.note_room(append);
        Ok(salt)
    }

    /// Hands everything before `lsn` to the operating system.
    /// # Errors
    /// I/O errors, after which the log is poisoned.
    pub fn write_to(&self, lsn: Lsn) -> Result<()> {
        if self.written() >= lsn {
            return self.check_poison();
        }
        let mut writer = self.writer.lock();
        if self.written() >= lsn {
            return self.check_poison();
        }
        self.check_poison()?;
        let mut scratch = std::mem::take(&mut writer.scratch);
        let (from, switches) = {
            let mut append = self.append.lock();
            std::mem::swap(&mut append.buffer, &mut scratch);
            let from = append.buffer_start;
            append.buffer_start = Lsn(from.0 + scratch.len() as u64);
            (from, std::mem::take(&mut append.switches))
        };
        let result = self.write_pieces(&mut writer, from, &scratch, switches);
        match &result {
            Ok(()) => self.written.store(from.0 + scratch.len() as u64, Ordering::Release),
            Err(cause) => self.poison(cause.clone()),
        }
        scratch.clear();
        scratch.shrink_to(self.buffer_bytes_max.load(Ordering::Relaxed));
        writer.scratch = scratch;
        result
    }

    fn write_pieces(
        &self,
        writer: &mut Writer,
        from: Lsn,
        bytes: &[u8],
        switches: VecDeque<(Lsn, Segment)>,
    ) -> Result<()> {
        let mut done = 0;
        for (start, segment) in switches {
            let until = (start.0 - from.0) as usize;
            write_piece(writer, Lsn(from.0 + done as u64), &bytes[done..until])?;
            done = until;
            // The header goes last: a segment with one says that all before it is durable.
            if let Some((previous, _)) = &writer.current {
                previous.file.sync()?;
                self.sync_count.fetch_add(1, Ordering::Relaxed);
            }
            segment.make_name_durable(&self.options.vfs, &self.options.folder)?;
            segment.write_header(self.options.database, self.options.timeline, start)?;
            writer.live.push_back((segment.clone(), start));
            writer.initialised = segment.initialised_bytes;
            writer.current = Some((segment, start));
        }
        write_piece(writer, Lsn(from.0 + done as u64), &bytes[done..])
    }

    /// Makes everything before `lsn` durable.
    /// # Errors
    /// I/O errors. A failed sync is final: the log is poisoned, since the system may have dropped the data.
    pub fn sync_to(&self, lsn: Lsn) -> Result<()> {
        if self.durable() >= lsn {
            return self.check_poison();
        }
        self.write_to(lsn)?;
        let (file, written) = {
            let writer = self.writer.lock();
            (writer.current.as_ref().map(|(segment, _)| Arc::clone(&segment.file)), self.written())
        };
        if let Some(file) = file {
            file.sync().inspect_err(|cause| self.poison(cause.clone()))?;
            self.sync_count.fetch_add(1, Ordering::Relaxed);
        }
        self.durable.fetch_max(written.0, Ordering::AcqRel);
        Ok(())
    }

    /// Gives up segments that lie wholly below `redo_lsn`; one is kept for later use.
    /// # Errors
    /// I/O errors; the log stays usable, except after a failed sync of the folder.
    pub fn recycle_below(&self, redo_lsn: Lsn) -> Result<()> {
        loop {
            let oldest = {
                let mut writer = self.writer.lock();
                // The segment's end is the next one's start; the last one is in use.
                let Some(next) = writer.live.get(1).map(|(_, start)| *start) else { return Ok(()) };
                if next > redo_lsn {
                    return Ok(());
                }
                writer.live.pop_front()
            };
            if let Some((segment, start)) = oldest
                && let Err(error) = self.retire(&segment)
            {
                // It is still there. Giving up the next one first would leave a hole in the numbers.
                self.writer.lock().live.push_front((segment, start));
                return Err(error);
            }
        }
    }

    fn retire(&self, segment: &Segment) -> Result<()> {
        let (vfs, folder) = (&self.options.vfs, &self.options.folder);
        let spare = {
            let mut append = self.append.lock();
            let is_of_use = append.spare.is_none()
                && !append.making
                && append.current.is_some()
                && segment.file_bytes >= append.next_segment_bytes;
            if is_of_use {
                let sequence = append.next_sequence;
                let spare = segment.recycle(vfs, folder, sequence, self.salt(sequence))?;
                append.next_sequence += 1;
                append.spare = Some(spare.clone());
                self.note_room(&append);
                Some(spare)
            } else {
                None
            }
        };
        match spare {
            // Others append meanwhile. Whoever comes to write into it before the folder is synced does that first.
            Some(spare) => {
                spare.make_name_durable(vfs, folder).inspect_err(|cause| self.poison(cause.clone()))
            }
            None => vfs.remove(&segment_path(folder, segment.sequence)),
        }
    }

    /// Removes all segments and the folder: after a clean checkpoint the database is one file.
    /// # Errors
    /// I/O errors; what is left is removed at the next open.
    pub fn remove(&self) -> Result<()> {
        let mut writer = self.writer.lock();
        let mut append = self.append.lock();
        while append.making {
            self.made.wait(&mut append);
        }
        append.current = None;
        self.note_room(&append);
        writer.current = None;
        let vfs = &self.options.vfs;
        for (start, segment) in std::mem::take(&mut append.switches) {
            writer.live.push_back((segment, start));
        }
        let had_segments = !writer.live.is_empty() || append.spare.is_some();
        while let Some((segment, _)) = writer.live.pop_front() {
            vfs.remove(&segment_path(&self.options.folder, segment.sequence))?;
        }
        if let Some(segment) = append.spare.take() {
            vfs.remove(&segment_path(&self.options.folder, segment.sequence))?;
        }
        if had_segments {
            vfs.remove_folder(&self.options.folder)?;
            if let Some(parent) = self.options.folder.parent() {
                vfs.sync_folder(parent)?;
            }
        }
        Ok(())
    }
}

fn write_piece(writer: &mut Writer, at: Lsn, bytes: &[u8]) -> Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    let (segment, start) =
        writer.current.as_ref().ok_or_else(|| Error::internal("a log write without a segment"))?;
    let offset = SEGMENT_HEADER_BYTES + (at.0 - start.0);
    writer.initialised = segment.write_frames(bytes, offset, writer.initialised)?;
    Ok(())
}

/// Bytes that a frame header takes, for callers that size chunks.
pub const FRAME_OVERHEAD_BYTES: usize = FRAME_HEADER_BYTES;
