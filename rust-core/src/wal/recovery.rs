//! Reading the log after a crash: judge first, then redo.
//!
//! Pass one walks all frames from the checkpoint's `redo_lsn`, finds the end, and refuses what no crash can
//! have left. Pass two redoes committed operations in commit order. Nothing is undone: the log holds nothing
//! of a transaction that did not commit, but unfinished chunks, which are passed over.

use crate::common::checksum::crc32c;
use crate::common::ids::{Lsn, TransactionId, TreeId};
use crate::common::planted::{PlantedFault, is_planted};
use crate::error::{Error, Result, SqlState};
use crate::io::vfs::{File, OpenMode};
use crate::wal::entry::{LinkPages, Operation, operations};
use crate::wal::frame::{FRAME_HEADER_BYTES, FrameHeader, FrameKind, frame_bytes};
use crate::wal::manager::{Log, LogOptions};
use crate::wal::segment::{FoundSegment, SEGMENT_HEADER_BYTES, Segment, list_segments, segment_path};
use hashbrown::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Applies redone operations. Implemented by storage. Every call may come again after another crash.
pub trait Redo {
    /// Sets `key` to `value`.
    fn put(&mut self, lsn: Lsn, tree: TreeId, key: &[u8], value: &[u8]) -> Result<()>;
    /// Removes `key`, present or not.
    fn delete(&mut self, lsn: Lsn, tree: TreeId, key: &[u8]) -> Result<()>;
    /// Sets bits of the value.
    fn or(&mut self, lsn: Lsn, tree: TreeId, key: &[u8], bits: &[u8]) -> Result<()>;
    /// Raises the number that the value holds.
    fn max(&mut self, lsn: Lsn, tree: TreeId, key: &[u8], number: u64) -> Result<()>;
    /// Makes an empty tree, replacing what is there.
    fn tree_create(&mut self, lsn: Lsn, tree: TreeId) -> Result<()>;
    /// Removes a tree, present or not.
    fn tree_drop(&mut self, lsn: Lsn, tree: TreeId) -> Result<()>;
    /// Makes pages a tree's content; a long list comes in parts.
    fn link_pages(&mut self, lsn: Lsn, tree: TreeId, pages: LinkPages<'_>) -> Result<()>;
    /// Before anything is redone: the log drops this tree. Called only where the log links pages.
    fn announce_drop(&mut self, tree: TreeId);
    /// Before anything is redone, and after all [`Redo::announce_drop`]: the log links these pages, so nothing else may
    /// take their places.
    fn announce_link(&mut self, lsn: Lsn, tree: TreeId, pages: LinkPages<'_>) -> Result<()>;
}

/// What recovery found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Recovered {
    /// The end of the log: the timestamp of the last commit, or the checkpoint's cut.
    pub end: Lsn,
    /// Committed transactions redone.
    pub transactions: u64,
    /// Larger than every transaction number in the log; 0 where there was none.
    pub next_transaction: TransactionId,
}

/// What the newest checkpoint says of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CheckpointPosition {
    /// Redo starts here: the start of a frame, or the end of the log.
    pub redo: Lsn,
    /// The log was durable up to here when the checkpoint was written.
    pub cut: Lsn,
    /// The database was closed, or made, with nothing left in the log.
    pub clean: bool,
}

/// Redoes the log behind a checkpoint and gives a log to go on with.
///
/// Restartable: a crash during recovery is a crash like any other.
/// # Errors
/// `XX001` when the log is missing, belongs elsewhere, or is damaged where no crash can have damaged it;
/// `0A000` for a newer layout; what `redo` returns.
pub fn recover(
    options: LogOptions,
    checkpoint: CheckpointPosition,
    redo: &mut dyn Redo,
) -> Result<(Recovered, Log)> {
    let nothing = Recovered { end: checkpoint.cut, transactions: 0, next_transaction: TransactionId(0) };
    let (segments, unused) =
        list_segments(&options.vfs, &options.folder, options.database, OpenMode::ReadWrite)?;
    for sequence in unused {
        options.vfs.remove(&segment_path(&options.folder, sequence))?;
    }
    if segments.is_empty() {
        if checkpoint.clean {
            return Ok((nothing, Log::create(options, checkpoint.cut)?));
        }
        return Err(Error::new(
            SqlState::DATA_CORRUPTED,
            "the log folder is missing or empty, but the database was not closed cleanly",
        )
        .detail(format!(
            "\"{}\" must hold the log from position {} on.",
            options.folder.display(),
            checkpoint.redo
        ))
        .hint("Put the log folder back beside the database file."));
    }
    let scan = scan(&segments, checkpoint)?;
    redo_all(&segments, &scan, redo)?;
    let recovered = Recovered {
        end: scan.end,
        transactions: scan.commits.len() as u64,
        next_transaction: scan.next_transaction,
    };
    settle(&segments, &scan, checkpoint)?;
    let next_sequence = segments.last().map_or(1, |segment| segment.header.sequence + 1);
    let live = segments
        .iter()
        .map(|segment| {
            let header = &segment.header;
            let file = segment.file.clone();
            (
                Segment {
                    file,
                    sequence: header.sequence,
                    salt: header.salt,
                    file_bytes: header.file_bytes,
                    initialised_bytes: header.file_bytes,
                    has_durable_name: Arc::new(AtomicBool::new(true)),
                },
                header.start,
            )
        })
        .collect();
    let log = Log::new(options, scan.end, next_sequence, live);
    // The end just found becomes the next segment's start before anything is appended, so that frames
    // behind a tear can never be mistaken for part of the log.
    log.prepare(0)?;
    Ok((recovered, log))
}

/// Makes what was found durable: the segment that comes next says by its start that all before it is. A process that
/// was killed may have left its last frames with the system only, and a sync that failed may have lost them though
/// they read well; so they are written once more. Only the last segment can hold such frames.
fn settle(segments: &[FoundSegment], scan: &Scan, checkpoint: CheckpointPosition) -> Result<()> {
    let Some(last) = segments.last() else { return Ok(()) };
    let end = scan.end.max(checkpoint.redo);
    let from = scan.durable.max(last.header.start).min(end);
    let position = |lsn: Lsn| SEGMENT_HEADER_BYTES + (lsn.0 - last.header.start.0);
    let file_end = last.header.file_bytes;
    rewrite(&*last.file, 0, SEGMENT_HEADER_BYTES)?;
    rewrite(&*last.file, position(from).min(file_end), position(end).min(file_end))?;
    last.file.sync()
}

/// Writes bytes of a file where they are already.
fn rewrite(file: &dyn File, mut from: u64, to: u64) -> Result<()> {
    let mut bytes = vec![0; WINDOW_BYTES.min(to.saturating_sub(from) as usize)];
    while from < to {
        let wanted = bytes.len().min((to - from) as usize);
        let read = file.read_at(&mut bytes[..wanted], from)?;
        if read == 0 {
            return Ok(());
        }
        file.write_at(&bytes[..read], from)?;
        from += read as u64;
    }
    Ok(())
}

/// A frame's place.
#[derive(Clone, Copy, Debug)]
struct FramePlace {
    segment: usize,
    header: FrameHeader,
}

/// The frames of one committed transaction, in order.
#[derive(Debug)]
struct Commit {
    end: Lsn,
    frames: Vec<FramePlace>,
}

#[derive(Debug)]
struct Scan {
    end: Lsn,
    /// Frames say that the log was durable up to here.
    durable: Lsn,
    commits: Vec<Commit>,
    next_transaction: TransactionId,
}

fn damaged(segment: &FoundSegment, at: Lsn, what: &str) -> Error {
    Error::new(
        SqlState::DATA_CORRUPTED,
        format!("the log is damaged at position {at}, in segment {}: {what}", segment.header.sequence),
    )
    .hint("Restore a backup, or use the salvage tool; opening would lose acknowledged transactions.")
}

fn scan(segments: &[FoundSegment], checkpoint: CheckpointPosition) -> Result<Scan> {
    let first = &segments[0];
    if first.header.start > checkpoint.redo {
        return Err(damaged(first, checkpoint.redo, "the segment with the checkpoint's position is missing"));
    }
    let last = &segments[segments.len() - 1];
    if last.header.end() < checkpoint.redo {
        return Err(damaged(last, last.header.end(), "the checkpoint needs what comes behind it"));
    }
    let mut scan = Scan {
        end: checkpoint.redo,
        durable: checkpoint.cut,
        commits: Vec::new(),
        next_transaction: TransactionId(0),
    };
    let mut chunks: HashMap<TransactionId, Vec<FramePlace>> = HashMap::new();
    for (index, segment) in segments.iter().enumerate() {
        let next_start = segments.get(index + 1).map(|next| next.header.start);
        if next_start.is_some_and(|start| start < segment.header.start) {
            return Err(damaged(segment, segment.header.start, "the next segment starts before it"));
        }
        if next_start.is_some_and(|start| start <= checkpoint.redo) {
            continue;
        }
        let mut at = segment.header.start.max(checkpoint.redo);
        let mut reader = SegmentReader::new(segment);
        while next_start != Some(at) {
            let Some(header) = reader.frame(at)? else { break };
            at = Lsn(at.0 + frame_bytes(header.payload_bytes as usize) as u64);
            if next_start.is_some_and(|start| at > start) {
                return Err(damaged(segment, header.lsn, "a frame reaches into the next segment"));
            }
            let following = TransactionId(header.transaction.0.saturating_add(1));
            scan.next_transaction = scan.next_transaction.max(following);
            scan.durable = scan.durable.max(header.durable);
            note_frame(&mut scan, &mut chunks, FramePlace { segment: index, header }, at)
                .map_err(|what| damaged(segment, header.lsn, what))?;
        }
        scan.end = at;
        match next_start {
            Some(start) if start != at => {
                return Err(damaged(segment, at, "a frame is torn, but later segments exist"));
            }
            Some(_) => {}
            None => reader.check_nothing_durable_behind(at)?,
        }
    }
    if scan.end < checkpoint.cut {
        return Err(damaged(
            last,
            scan.end,
            "it ends before the position that the checkpoint had made durable",
        ));
    }
    Ok(scan)
}

fn note_frame(
    scan: &mut Scan,
    chunks: &mut HashMap<TransactionId, Vec<FramePlace>>,
    place: FramePlace,
    end: Lsn,
) -> std::result::Result<(), &'static str> {
    match place.header.kind {
        FrameKind::Pad => {}
        FrameKind::Transaction => scan.commits.push(Commit { end, frames: vec![place] }),
        FrameKind::Chunk { sequence } => {
            let known = chunks.entry(place.header.transaction).or_default();
            if sequence as usize != known.len() {
                return Err("a chunk is out of order");
            }
            known.push(place);
        }
        FrameKind::Commit { chunk_count, first_lsn } => {
            let mut frames = chunks.remove(&place.header.transaction).unwrap_or_default();
            let starts_right = frames.first().is_none_or(|frame| frame.header.lsn == first_lsn);
            if frames.len() != chunk_count as usize || !starts_right {
                return Err("a commit does not match its chunks");
            }
            frames.push(place);
            scan.commits.push(Commit { end, frames });
        }
    }
    Ok(())
}

fn redo_all(segments: &[FoundSegment], scan: &Scan, redo: &mut dyn Redo) -> Result<()> {
    let mut payload = Vec::new();
    let mut readers: Vec<SegmentReader<'_>> = segments.iter().map(SegmentReader::new).collect();
    announce_links(&mut readers, scan, redo)?;
    for commit in &scan.commits {
        for frame in &commit.frames {
            readers[frame.segment].payload(&frame.header, &mut payload)?;
            for operation in operations(&payload) {
                redo_one(operation?, commit.end, redo)?;
            }
        }
    }
    Ok(())
}

/// The end of pass one: tells which pages and blocks committed transactions linked, and which trees they dropped. Reads
/// nothing where nothing was linked.
fn announce_links(readers: &mut [SegmentReader<'_>], scan: &Scan, redo: &mut dyn Redo) -> Result<()> {
    let links = |commit: &Commit| commit.frames.iter().any(|frame| frame.header.links);
    let Some(first) = scan.commits.iter().position(links) else { return Ok(()) };
    let mut payload = Vec::new();
    for frame in scan.commits[first..].iter().flat_map(|commit| &commit.frames) {
        readers[frame.segment].payload(&frame.header, &mut payload)?;
        for operation in operations(&payload) {
            if let Operation::TreeDrop { tree } = operation? {
                redo.announce_drop(tree);
            }
        }
    }
    for commit in &scan.commits[first..] {
        for frame in commit.frames.iter().filter(|frame| frame.header.links) {
            readers[frame.segment].payload(&frame.header, &mut payload)?;
            for operation in operations(&payload) {
                if let Operation::LinkPages { tree, pages } = operation? {
                    redo.announce_link(commit.end, tree, pages)?;
                }
            }
        }
    }
    Ok(())
}

fn redo_one(operation: Operation<'_>, lsn: Lsn, redo: &mut dyn Redo) -> Result<()> {
    match operation {
        Operation::Put { tree, key, value } => redo.put(lsn, tree, key, value),
        Operation::Delete { tree, key } => redo.delete(lsn, tree, key),
        Operation::Or { tree, key, bits } => redo.or(lsn, tree, key, bits),
        Operation::Max { tree, key, number } => redo.max(lsn, tree, key, number),
        Operation::TreeCreate { tree } => redo.tree_create(lsn, tree),
        Operation::TreeDrop { tree } => redo.tree_drop(lsn, tree),
        Operation::Message { .. } => Ok(()),
        Operation::LinkPages { tree, pages } => redo.link_pages(lsn, tree, pages),
        Operation::PutRun { tree, mut rows } => {
            rows.try_for_each(|(key, value)| redo.put(lsn, tree, &key, value))
        }
    }
}

/// Bytes read ahead from a segment.
const WINDOW_BYTES: usize = 1 << 20;

/// Reads frames of a segment through a window, so that small frames cost no system call each.
struct SegmentReader<'a> {
    segment: &'a FoundSegment,
    window: Vec<u8>,
    window_start: u64,
}

impl<'a> SegmentReader<'a> {
    fn new(segment: &'a FoundSegment) -> SegmentReader<'a> {
        SegmentReader { segment, window: Vec::new(), window_start: 0 }
    }

    /// Up to `count` bytes at a file offset; fewer at the file's end.
    fn bytes(&mut self, offset: u64, count: usize) -> Result<&[u8]> {
        let window_end = self.window_start + self.window.len() as u64;
        if offset < self.window_start || offset + count as u64 > window_end {
            let rest = self.segment.header.file_bytes.saturating_sub(offset) as usize;
            self.window.resize(count.max(WINDOW_BYTES).min(rest), 0);
            let read = self.segment.file.read_at(&mut self.window, offset)?;
            self.window.truncate(read);
            self.window_start = offset;
        }
        let from = (offset - self.window_start) as usize;
        let to = (from + count).min(self.window.len());
        Ok(&self.window[from.min(to)..to])
    }

    fn offset(&self, lsn: Lsn) -> u64 {
        SEGMENT_HEADER_BYTES + (lsn.0 - self.segment.header.start.0)
    }

    /// The frame at `lsn` if it is whole.
    fn frame(&mut self, lsn: Lsn) -> Result<Option<FrameHeader>> {
        let offset = self.offset(lsn);
        let salt = self.segment.header.salt;
        let Some(header) = FrameHeader::decode(salt, lsn, self.bytes(offset, FRAME_HEADER_BYTES)?)? else {
            return Ok(None);
        };
        let length = header.payload_bytes as usize;
        let payload = self.bytes(offset + FRAME_HEADER_BYTES as u64, length)?;
        let is_whole = payload.len() == length
            && (crc32c(payload) == header.payload_crc || is_planted(PlantedFault::FrameChecksumIgnored));
        Ok(is_whole.then_some(header))
    }

    fn payload(&mut self, header: &FrameHeader, out: &mut Vec<u8>) -> Result<()> {
        let offset = self.offset(header.lsn) + FRAME_HEADER_BYTES as u64;
        let segment = self.segment;
        let payload = self.bytes(offset, header.payload_bytes as usize)?;
        if (payload.len() != header.payload_bytes as usize || crc32c(payload) != header.payload_crc)
            && !is_planted(PlantedFault::FrameChecksumIgnored)
        {
            return Err(damaged(segment, header.lsn, "a frame changed while the log was read"));
        }
        out.clear();
        out.extend_from_slice(payload);
        Ok(())
    }

    /// A frame behind a bad one may exist (writes reach the disk in any order), but if it says that the log
    /// was durable beyond the bad one, then the bad one was damaged later: that is no crash.
    fn check_nothing_durable_behind(&mut self, end: Lsn) -> Result<()> {
        let (segment, salt) = (self.segment, self.segment.header.salt);
        let last = segment.header.end().0.saturating_sub(FRAME_HEADER_BYTES as u64);
        let mut at = end.0;
        while at <= last {
            let bytes =
                self.bytes(SEGMENT_HEADER_BYTES + (at - segment.header.start.0), FRAME_HEADER_BYTES)?;
            // The position stands in every header: most places are ruled out without a checksum.
            let named = bytes.get(8..16).is_some_and(|lsn| lsn == at.to_le_bytes());
            if named
                && let Some(header) = FrameHeader::decode(salt, Lsn(at), bytes)?
                && header.durable > end
            {
                return Err(damaged(
                    segment,
                    end,
                    "a frame is bad, but a later one says that it was durable",
                ));
            }
            at += 8;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::random::Random;
    use crate::common::sync::Arc;
    use crate::common::sync::atomic::Ordering;
    use crate::io::fault::{FaultVfs, Survival};
    use crate::io::memory::MemoryVfs;
    use crate::io::vfs::Vfs;
    use crate::wal::entry::OperationBuffer;
    use std::collections::BTreeMap;
    use std::path::{Path, PathBuf};

    #[derive(Debug, Default, Clone, PartialEq, Eq)]
    struct Model {
        trees: BTreeMap<u32, BTreeMap<Vec<u8>, Vec<u8>>>,
        /// Linked, and not dropped.
        announced: BTreeMap<u32, bool>,
    }

    impl Redo for Model {
        fn put(&mut self, _: Lsn, tree: TreeId, key: &[u8], value: &[u8]) -> Result<()> {
            self.trees.entry(tree.0).or_default().insert(key.to_vec(), value.to_vec());
            Ok(())
        }
        fn delete(&mut self, _: Lsn, tree: TreeId, key: &[u8]) -> Result<()> {
            self.trees.entry(tree.0).or_default().remove(key);
            Ok(())
        }
        fn or(&mut self, _: Lsn, _: TreeId, _: &[u8], _: &[u8]) -> Result<()> {
            Ok(())
        }
        fn max(&mut self, _: Lsn, _: TreeId, _: &[u8], _: u64) -> Result<()> {
            Ok(())
        }
        fn tree_create(&mut self, _: Lsn, tree: TreeId) -> Result<()> {
            self.trees.insert(tree.0, BTreeMap::new());
            Ok(())
        }
        fn tree_drop(&mut self, _: Lsn, tree: TreeId) -> Result<()> {
            self.trees.remove(&tree.0);
            Ok(())
        }
        fn link_pages(&mut self, _: Lsn, tree: TreeId, _: LinkPages<'_>) -> Result<()> {
            assert_eq!(self.announced.get(&tree.0), Some(&true), "announced before it is redone");
            Ok(())
        }
        fn announce_drop(&mut self, tree: TreeId) {
            self.announced.insert(tree.0, false);
        }
        fn announce_link(&mut self, _: Lsn, tree: TreeId, _: LinkPages<'_>) -> Result<()> {
            self.announced.entry(tree.0).or_insert(true);
            Ok(())
        }
    }

    fn options(vfs: &Arc<dyn Vfs>) -> LogOptions {
        LogOptions {
            vfs: Arc::clone(vfs),
            folder: PathBuf::from("/db-wal"),
            database: [5; 16],
            timeline: 1,
            first_segment_bytes: 16 << 10,
            segment_bytes_max: 64 << 10,
            volatile: false,
            salt_seed: 42,
        }
    }

    fn put(key: u64, value: &[u8]) -> OperationBuffer {
        let mut buffer = OperationBuffer::new();
        buffer.push(&Operation::Put { tree: TreeId(16), key: &key.to_be_bytes(), value });
        buffer
    }

    const START: CheckpointPosition = CheckpointPosition { redo: Lsn::ZERO, cut: Lsn::ZERO, clean: true };

    fn append_many(log: &Log, count: u64, random: &mut Random) -> Model {
        let mut model = Model::default();
        for key in 0..count {
            let value = vec![key as u8; random.below(900) as usize];
            let buffer = put(key % 50, &value);
            log.prepare(buffer.len_bytes()).unwrap();
            let kind = if random.below(4) == 0 {
                let first =
                    log.append(FrameKind::Chunk { sequence: 0 }, TransactionId(key + 1), &buffer).unwrap();
                log.prepare(0).unwrap();
                FrameKind::Commit { chunk_count: 1, first_lsn: first.start }
            } else {
                FrameKind::Transaction
            };
            let rest = if kind == FrameKind::Transaction { buffer } else { OperationBuffer::new() };
            log.append(kind, TransactionId(key + 1), &rest).unwrap();
            model.put(Lsn::ZERO, TreeId(16), &(key % 50).to_be_bytes(), &value).unwrap();
            if random.below(20) == 0 {
                log.sync_to(log.tail()).unwrap();
            }
        }
        model
    }

    #[test]
    fn what_was_appended_over_many_segments_is_redone_in_order() {
        for seed in 1..8 {
            let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::new());
            let log = Log::create(options(&vfs), Lsn::ZERO).unwrap();
            let model = append_many(&log, 600, &mut Random::new(seed));
            log.sync_to(log.tail()).unwrap();
            let mut redone = Model::default();
            let (recovered, next) = recover(options(&vfs), START, &mut redone).unwrap();
            assert_eq!(recovered.end, log.tail(), "seed {seed}");
            assert_eq!(recovered.transactions, 600);
            assert_eq!(recovered.next_transaction, TransactionId(601));
            assert_eq!(redone, model, "seed {seed}");
            assert_eq!(next.tail(), recovered.end);
        }
    }

    #[test]
    fn an_unfinished_chunked_transaction_is_not_redone() {
        let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::new());
        let log = Log::create(options(&vfs), Lsn::ZERO).unwrap();
        log.append(FrameKind::Chunk { sequence: 0 }, TransactionId(1), &put(1, b"never")).unwrap();
        log.append(FrameKind::Transaction, TransactionId(2), &put(2, b"yes")).unwrap();
        log.sync_to(log.tail()).unwrap();
        let mut redone = Model::default();
        recover(options(&vfs), START, &mut redone).unwrap();
        assert_eq!(redone.trees[&16].keys().collect::<Vec<_>>(), [&2u64.to_be_bytes().to_vec()]);
    }

    #[test]
    fn a_torn_tail_is_dropped_and_recovery_can_be_repeated() {
        let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::new());
        let log = Log::create(options(&vfs), Lsn::ZERO).unwrap();
        log.append(FrameKind::Transaction, TransactionId(1), &put(1, b"kept")).unwrap();
        let torn = log.append(FrameKind::Transaction, TransactionId(2), &put(2, b"torn")).unwrap();
        log.write_to(log.tail()).unwrap();
        let file = vfs.open(&segment_path(Path::new("/db-wal"), 1), OpenMode::ReadWrite).unwrap();
        file.write_at(&[0xFF; 4], SEGMENT_HEADER_BYTES + torn.start.0 + 60).unwrap();
        for _ in 0..3 {
            let mut redone = Model::default();
            let (recovered, next) = recover(options(&vfs), START, &mut redone).unwrap();
            assert_eq!(recovered.end, torn.start);
            assert_eq!(redone.trees[&16].len(), 1);
            assert_eq!(next.tail(), torn.start);
        }
        let (_, next) = recover(options(&vfs), START, &mut Model::default()).unwrap();
        next.append(FrameKind::Transaction, TransactionId(3), &put(3, b"after")).unwrap();
        next.sync_to(next.tail()).unwrap();
        let mut redone = Model::default();
        recover(options(&vfs), START, &mut redone).unwrap();
        let keys: Vec<u64> =
            redone.trees[&16].keys().map(|key| u64::from_be_bytes(key[..].try_into().unwrap())).collect();
        assert_eq!(keys, [1, 3]);
    }

    #[test]
    fn damage_before_a_frame_that_knew_it_durable_is_refused() {
        let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::new());
        let log = Log::create(options(&vfs), Lsn::ZERO).unwrap();
        let first = log.append(FrameKind::Transaction, TransactionId(1), &put(1, b"a")).unwrap();
        log.sync_to(log.tail()).unwrap();
        log.append(FrameKind::Transaction, TransactionId(2), &put(2, b"b")).unwrap();
        log.sync_to(log.tail()).unwrap();
        let file = vfs.open(&segment_path(Path::new("/db-wal"), 1), OpenMode::ReadWrite).unwrap();
        file.write_at(&[0xFF], SEGMENT_HEADER_BYTES + first.start.0 + 20).unwrap();
        let error = recover(options(&vfs), START, &mut Model::default()).unwrap_err();
        assert_eq!(error.state(), SqlState::DATA_CORRUPTED);
    }

    #[test]
    fn a_missing_log_is_refused_unless_the_checkpoint_was_clean() {
        let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::new());
        assert!(recover(options(&vfs), START, &mut Model::default()).is_ok());
        let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::new());
        let unclean = CheckpointPosition { clean: false, ..START };
        let error = recover(options(&vfs), unclean, &mut Model::default()).unwrap_err();
        assert_eq!(error.state(), SqlState::DATA_CORRUPTED);
        let beyond = CheckpointPosition { redo: Lsn::ZERO, cut: Lsn(8000), clean: false };
        let log = Log::create(options(&vfs), Lsn::ZERO).unwrap();
        log.append(FrameKind::Transaction, TransactionId(1), &put(1, b"a")).unwrap();
        log.sync_to(log.tail()).unwrap();
        let error = recover(options(&vfs), beyond, &mut Model::default()).unwrap_err();
        assert_eq!(error.state(), SqlState::DATA_CORRUPTED);
    }

    #[test]
    fn recycled_segments_hold_no_frame_of_their_earlier_life() {
        for seed in 20..26 {
            let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::new());
            let log = Log::create(options(&vfs), Lsn::ZERO).unwrap();
            let mut random = Random::new(seed);
            append_many(&log, 400, &mut random);
            log.sync_to(log.tail()).unwrap();
            let checkpoint = CheckpointPosition { redo: log.tail(), cut: log.tail(), clean: false };
            log.recycle_below(checkpoint.redo).unwrap();
            let model = append_many(&log, 400, &mut random);
            log.sync_to(log.tail()).unwrap();
            let mut redone = Model::default();
            recover(options(&vfs), checkpoint, &mut redone).unwrap();
            assert_eq!(redone, model, "seed {seed}");
            assert!(vfs.list_folder(Path::new("/db-wal")).unwrap().len() < 12);
        }
    }

    #[test]
    fn segments_are_made_and_recycled_while_others_append_and_no_durable_frame_is_lost() {
        for seed in 1..4 {
            let vfs = FaultVfs::new();
            let disk: Arc<dyn Vfs> = Arc::new(vfs.clone());
            let log = Log::create(options(&disk), Lsn::ZERO).unwrap();
            let stopped = AtomicBool::new(false);
            let append = |writer: u64| {
                let mut random = Random::new(seed * 10 + writer);
                for count in 0..5000 {
                    if stopped.load(Ordering::Relaxed) {
                        return;
                    }
                    let buffer = put(writer, &vec![count as u8; random.below(700) as usize]);
                    log.prepare(buffer.len_bytes()).unwrap();
                    let transaction = TransactionId(1 + writer + 3 * count);
                    let end = log.append(FrameKind::Transaction, transaction, &buffer).unwrap().end;
                    if random.below(4) == 0 {
                        log.sync_to(end).unwrap();
                    }
                }
            };
            std::thread::scope(|scope| {
                let append = &append;
                let writers: Vec<_> = (0..3).map(|writer| scope.spawn(move || append(writer))).collect();
                for images in 1..=15 {
                    let before = log.tail();
                    while log.tail().0 < before.0 + 20_000
                        && !writers.iter().all(|writer| writer.is_finished())
                    {
                        std::thread::yield_now();
                    }
                    let redo = log.durable();
                    log.recycle_below(redo).unwrap();
                    let durable = log.durable();
                    let image = vfs.image_after_power_loss(Survival::Some, seed * 1000 + images);
                    let image: Arc<dyn Vfs> = Arc::new(image);
                    let position = CheckpointPosition { redo, cut: redo, clean: redo == Lsn::ZERO };
                    let (recovered, _) = recover(options(&image), position, &mut Model::default())
                        .unwrap_or_else(|error| panic!("seed {seed}, image {images}: {error:?}"));
                    assert!(recovered.end >= durable, "seed {seed}, image {images}");
                }
                stopped.store(true, Ordering::Relaxed);
            });
        }
    }

    #[test]
    fn a_clean_close_leaves_no_file() {
        let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::new());
        let log = Log::create(options(&vfs), Lsn::ZERO).unwrap();
        append_many(&log, 100, &mut Random::new(3));
        log.sync_to(log.tail()).unwrap();
        log.remove().unwrap();
        assert!(vfs.list_folder(Path::new("/db-wal")).unwrap().is_empty());
    }

    #[test]
    fn mutated_logs_never_panic_and_never_redo_past_the_damage_silently() {
        for seed in 1..400 {
            let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::new());
            let mut random = Random::new(seed);
            let log = Log::create(options(&vfs), Lsn::ZERO).unwrap();
            append_many(&log, 30, &mut random);
            log.sync_to(log.tail()).unwrap();
            let names = vfs.list_folder(Path::new("/db-wal")).unwrap();
            let name = &names[random.below(names.len() as u64) as usize];
            let file = vfs.open(&Path::new("/db-wal").join(name), OpenMode::ReadWrite).unwrap();
            for _ in 0..=random.below(3) {
                let at = random.below(file.size().unwrap());
                file.write_at(&random.next_u64().to_le_bytes()[..1 + random.below(7) as usize], at).unwrap();
            }
            if let Ok((recovered, _)) = recover(options(&vfs), START, &mut Model::default()) {
                assert!(recovered.end <= log.tail(), "seed {seed}");
            }
        }
    }
}
