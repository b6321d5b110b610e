//! The operations of a frame's payload: encoding and decoding.
//!
//! Every operation is absolute or monotone, so replaying it twice is replaying it once.
//! Byte layout: code u8, tree u32 LE, then per code: lengths as LEB128 and bytes (`docs/file-format.md`).

use crate::common::ids::{BlockId, PageId, TreeId};
use crate::error::{Error, Result, SqlState};

/// One change to one tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation<'a> {
    /// Sets `key` to `value`.
    Put {
        /// The tree.
        tree: TreeId,
        /// The key.
        key: &'a [u8],
        /// The new value.
        value: &'a [u8],
    },
    /// Removes `key`, present or not.
    Delete {
        /// The tree.
        tree: TreeId,
        /// The key.
        key: &'a [u8],
    },
    /// Sets bits: value := value | bits, missing bytes count as zero.
    Or {
        /// The tree.
        tree: TreeId,
        /// The key.
        key: &'a [u8],
        /// The bits.
        bits: &'a [u8],
    },
    /// Raises a number (8 bytes, big-endian): value := max(value, number).
    Max {
        /// The tree.
        tree: TreeId,
        /// The key.
        key: &'a [u8],
        /// The number.
        number: u64,
    },
    /// Makes an empty tree; replaces what the image holds under that id.
    TreeCreate {
        /// The new tree.
        tree: TreeId,
    },
    /// Removes a tree.
    TreeDrop {
        /// The tree.
        tree: TreeId,
    },
    /// An application's record; redo passes over it.
    Message {
        /// The record.
        data: &'a [u8],
    },
    /// Sets consecutive keys of 8 bytes, read as big-endian numbers, to values.
    PutRun {
        /// The tree.
        tree: TreeId,
        /// Keys and values.
        rows: PutRun<'a>,
    },
    /// Makes pages that are in the database file already a tree's content; it held nothing before.
    LinkPages {
        /// The tree.
        tree: TreeId,
        /// The pages, or a part of them.
        pages: LinkPages<'a>,
    },
}

/// Pages of [`Operation::LinkPages`]. A long list comes in several operations of one transaction, one after the
/// other; the last one has the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkPages<'a> {
    /// As [`LinkPages::push_run`] lays them out.
    pub runs: &'a [u8],
    /// The end of the list.
    pub root: Option<LinkedRoot<'a>>,
}

/// What the root of a linked tree holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkedRoot<'a> {
    /// Entries of the whole tree.
    pub entries: u64,
    /// The whole page; which page it becomes is the tree's business.
    pub image: &'a [u8],
}

/// Neighbouring pages in neighbouring blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkRun<'a> {
    /// The first page.
    pub page: PageId,
    /// Where it is.
    pub block: BlockId,
    crcs: &'a [[u8; 4]],
}

impl<'a> LinkRun<'a> {
    /// Each page, its block and the checksum in its header.
    pub fn pages(self) -> impl Iterator<Item = (PageId, BlockId, u32)> + 'a {
        let LinkRun { page, block, crcs } = self;
        (0..).zip(crcs).map(move |(index, crc)| {
            (PageId(page.0 + index), BlockId(block.0 + index), u32::from_le_bytes(*crc))
        })
    }
}

impl<'a> LinkPages<'a> {
    /// Adds pages side by side to a list of runs.
    pub fn push_run(runs: &mut Vec<u8>, page: PageId, block: BlockId, crcs: &[u32]) {
        for number in [page.0, block.0, crcs.len() as u32].iter().chain(crcs) {
            runs.extend_from_slice(&number.to_le_bytes());
        }
    }

    /// The runs. Only whole ones exist: decoding looks at every one.
    pub fn runs(self) -> impl Iterator<Item = LinkRun<'a>> {
        let mut rest = self.runs;
        std::iter::from_fn(move || {
            let (run, after) = split_run(rest)?;
            rest = after;
            Some(run)
        })
    }

    /// Whether all runs are whole, and name pages and blocks that there can be.
    fn is_whole(self) -> bool {
        let mut rest = self.runs;
        while !rest.is_empty() {
            let Some((run, after)) = split_run(rest) else { return false };
            let count = run.crcs.len() as u32;
            let exist = |first: u32| first > 0 && first.checked_add(count).is_some();
            if count == 0 || !exist(run.page.0) || !exist(run.block.0) {
                return false;
            }
            rest = after;
        }
        true
    }
}

fn split_run(bytes: &[u8]) -> Option<(LinkRun<'_>, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<12>()?;
    let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let (crcs, rest) = rest.split_at_checked((number(8) as usize).checked_mul(4)?)?;
    let run = LinkRun { page: PageId(number(0)), block: BlockId(number(4)), crcs: crcs.as_chunks::<4>().0 };
    Some((run, rest))
}

/// The rows of [`Operation::PutRun`]: an iterator over keys and values. Only whole ones exist: decoding looks at
/// every length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PutRun<'a> {
    next: u64,
    left: u32,
    bytes: &'a [u8],
}

impl<'a> Iterator for PutRun<'a> {
    type Item = ([u8; 8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let key = self.next.to_be_bytes();
        self.next = self.next.wrapping_add(1);
        let (value, rest) = split_slice(self.bytes)?;
        self.bytes = rest;
        Some((key, value))
    }
}

const CODE_PUT: u8 = 1;
const CODE_DELETE: u8 = 2;
const CODE_OR: u8 = 3;
const CODE_MAX: u8 = 4;
const CODE_TREE_CREATE: u8 = 5;
const CODE_TREE_DROP: u8 = 6;
const CODE_LINK_PAGES: u8 = 7;
const CODE_LINK_SEGMENT: u8 = 8;
const CODE_MESSAGE: u8 = 9;
const CODE_PUT_RUN: u8 = 10;
/// Bytes of the longest length before a value.
const LENGTH_BYTES_MAX: usize = 5;

/// Encoded operations, ready to be a frame's payload. Reused between transactions.
#[derive(Clone, Debug, Default)]
pub struct OperationBuffer {
    bytes: Vec<u8>,
    count: u32,
    links: bool,
}

/// What an empty buffer keeps.
const KEPT_BYTES: usize = 16 << 10;

impl OperationBuffer {
    /// An empty buffer.
    pub fn new() -> OperationBuffer {
        OperationBuffer::default()
    }

    /// Adds an operation.
    pub fn push(&mut self, operation: &Operation<'_>) {
        self.count += 1;
        match *operation {
            Operation::Put { tree, key, value } => {
                self.head(CODE_PUT, tree);
                self.slice(key);
                self.slice(value);
            }
            Operation::Delete { tree, key } => {
                self.head(CODE_DELETE, tree);
                self.slice(key);
            }
            Operation::Or { tree, key, bits } => {
                self.head(CODE_OR, tree);
                self.slice(key);
                self.slice(bits);
            }
            Operation::Max { tree, key, number } => {
                self.head(CODE_MAX, tree);
                self.slice(key);
                self.bytes.extend_from_slice(&number.to_le_bytes());
            }
            Operation::TreeCreate { tree } => self.head(CODE_TREE_CREATE, tree),
            Operation::TreeDrop { tree } => self.head(CODE_TREE_DROP, tree),
            Operation::Message { data } => {
                self.head(CODE_MESSAGE, TreeId(0));
                self.slice(data);
            }
            Operation::PutRun { tree, rows } => {
                self.put_run_head(tree, rows.next, rows.left);
                self.bytes.extend_from_slice(rows.bytes);
            }
            Operation::LinkPages { tree, pages } => {
                self.links = true;
                self.head(CODE_LINK_PAGES, tree);
                self.slice(pages.runs);
                self.bytes.push(u8::from(pages.root.is_some()));
                if let Some(root) = pages.root {
                    self.bytes.extend_from_slice(&root.entries.to_le_bytes());
                    self.slice(root.image);
                }
            }
        }
    }

    fn put_run_head(&mut self, tree: TreeId, first: u64, count: u32) {
        self.head(CODE_PUT_RUN, tree);
        self.bytes.extend_from_slice(&first.to_le_bytes());
        self.bytes.extend_from_slice(&count.to_le_bytes());
    }

    /// Adds an [`Operation::PutRun`] of as many of `values`, under the keys from `first` on, as leave the buffer at
    /// most `bytes_max` bytes long. Gives how many; none: nothing was added.
    pub fn push_run<'v>(
        &mut self,
        tree: TreeId,
        first: u64,
        values: impl Iterator<Item = &'v [u8]>,
        bytes_max: usize,
    ) -> u32 {
        let start = self.bytes.len();
        self.put_run_head(tree, first, 0);
        let rows = self.bytes.len();
        let mut count = 0;
        for value in values {
            if self.bytes.len() + LENGTH_BYTES_MAX + value.len() > bytes_max {
                break;
            }
            self.slice(value);
            count += 1;
        }
        if count == 0 {
            self.bytes.truncate(start);
            return 0;
        }
        self.bytes[rows - 4..rows].copy_from_slice(&u32::to_le_bytes(count));
        self.count += 1;
        count
    }

    /// The encoded bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many bytes.
    pub fn len_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// How many operations.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether one of them links pages.
    pub fn has_links(&self) -> bool {
        self.links
    }

    /// Forgets the operations, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
        self.links = false;
    }

    /// Gives back what a large transaction needed and the next one hardly will. To be called when it is empty.
    pub fn shrink(&mut self) {
        self.bytes.shrink_to(KEPT_BYTES);
    }

    fn head(&mut self, code: u8, tree: TreeId) {
        self.bytes.push(code);
        self.bytes.extend_from_slice(&tree.0.to_le_bytes());
    }

    fn slice(&mut self, slice: &[u8]) {
        let mut rest = slice.len();
        while rest >= 0x80 {
            self.bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.bytes.push(rest as u8);
        self.bytes.extend_from_slice(slice);
    }
}

/// Decodes a payload.
pub fn operations(payload: &[u8]) -> OperationIter<'_> {
    OperationIter { rest: payload }
}

/// Iterator over the operations of a payload; ends after the first error.
#[derive(Clone, Debug)]
pub struct OperationIter<'a> {
    rest: &'a [u8],
}

impl<'a> OperationIter<'a> {
    fn decode(&mut self) -> Result<Operation<'a>> {
        let code = self.take(1)?[0];
        let tree = TreeId(u32::from_le_bytes(self.array()?));
        Ok(match code {
            CODE_PUT => Operation::Put { tree, key: self.slice()?, value: self.slice()? },
            CODE_DELETE => Operation::Delete { tree, key: self.slice()? },
            CODE_OR => Operation::Or { tree, key: self.slice()?, bits: self.slice()? },
            CODE_MAX => {
                Operation::Max { tree, key: self.slice()?, number: u64::from_le_bytes(self.array()?) }
            }
            CODE_TREE_CREATE => Operation::TreeCreate { tree },
            CODE_TREE_DROP => Operation::TreeDrop { tree },
            CODE_MESSAGE => Operation::Message { data: self.slice()? },
            CODE_PUT_RUN => {
                let next = u64::from_le_bytes(self.array()?);
                let left = u32::from_le_bytes(self.array()?);
                if left == 0 || next.checked_add(u64::from(left) - 1).is_none() {
                    return Err(Error::new(SqlState::DATA_CORRUPTED, "a log frame's run has no such keys"));
                }
                let bytes = self.rest;
                for _ in 0..left {
                    self.slice()?;
                }
                let bytes = &bytes[..bytes.len() - self.rest.len()];
                Operation::PutRun { tree, rows: PutRun { next, left, bytes } }
            }
            CODE_LINK_PAGES => {
                let runs = self.slice()?;
                let root = match self.take(1)?[0] {
                    0 => None,
                    1 => {
                        Some(LinkedRoot { entries: u64::from_le_bytes(self.array()?), image: self.slice()? })
                    }
                    _ => return Err(Error::new(SqlState::DATA_CORRUPTED, "a log frame links no such pages")),
                };
                let pages = LinkPages { runs, root };
                if !pages.is_whole() {
                    return Err(Error::new(SqlState::DATA_CORRUPTED, "a log frame links no such pages"));
                }
                Operation::LinkPages { tree, pages }
            }
            CODE_LINK_SEGMENT => {
                return Err(Error::not_supported(format!("log operation {code} (segment link)")));
            }
            other => {
                return Err(Error::not_supported(format!("log operation {other}"))
                    .hint("The database was written by a newer release."));
            }
        })
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let taken = self.rest.get(..count).ok_or_else(truncated)?;
        self.rest = &self.rest[count..];
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn slice(&mut self) -> Result<&'a [u8]> {
        let (slice, rest) = split_slice(self.rest).ok_or_else(truncated)?;
        self.rest = rest;
        Ok(slice)
    }
}

/// A length and as many bytes at the beginning of `bytes`, and the rest.
fn split_slice(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut length = 0usize;
    for (index, byte) in bytes.iter().take(LENGTH_BYTES_MAX).enumerate() {
        length |= usize::from(byte & 0x7F) << (7 * index);
        if *byte < 0x80 {
            return bytes[index + 1..].split_at_checked(length);
        }
    }
    None
}

fn truncated() -> Error {
    Error::new(SqlState::DATA_CORRUPTED, "a log frame's operations end early")
}

impl<'a> Iterator for OperationIter<'a> {
    type Item = Result<Operation<'a>>;

    fn next(&mut self) -> Option<Result<Operation<'a>>> {
        if self.rest.is_empty() {
            return None;
        }
        let decoded = self.decode();
        if decoded.is_err() {
            self.rest = &[];
        }
        Some(decoded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::random::Random;

    #[test]
    fn operations_decode_to_what_was_encoded() {
        let long = vec![7u8; 5000];
        let mut runs = Vec::new();
        LinkPages::push_run(&mut runs, PageId(5), BlockId(70), &[1, 2, 3]);
        LinkPages::push_run(&mut runs, PageId(90), BlockId(16), &[u32::MAX]);
        let all = [
            Operation::Put { tree: TreeId(16), key: b"k", value: &long },
            Operation::Delete { tree: TreeId(17), key: &long[..300] },
            Operation::Or { tree: TreeId(1), key: b"", bits: &[1, 2] },
            Operation::Max { tree: TreeId(2), key: b"seq", number: u64::MAX },
            Operation::TreeCreate { tree: TreeId(u32::MAX) },
            Operation::TreeDrop { tree: TreeId(0) },
            Operation::Message { data: b"hello" },
            Operation::LinkPages {
                tree: TreeId(18),
                pages: LinkPages { runs: &runs, root: Some(LinkedRoot { entries: 9, image: &long }) },
            },
            Operation::LinkPages { tree: TreeId(18), pages: LinkPages { runs: &[], root: None } },
        ];
        let mut buffer = OperationBuffer::new();
        all.iter().for_each(|operation| buffer.push(operation));
        assert_eq!(buffer.count(), 9);
        assert!(buffer.has_links());
        let decoded: Result<Vec<_>> = operations(buffer.as_bytes()).collect();
        assert_eq!(decoded.unwrap(), all);
        let pages: Vec<_> = LinkPages { runs: &runs, root: None }.runs().flat_map(LinkRun::pages).collect();
        assert_eq!(pages[1], (PageId(6), BlockId(71), 2));
        assert_eq!(pages[3], (PageId(90), BlockId(16), u32::MAX));
        let forged = |page, count: u32| {
            let mut runs = Vec::new();
            LinkPages::push_run(&mut runs, PageId(page), BlockId(16), &[1]);
            runs[8..12].copy_from_slice(&count.to_le_bytes());
            let mut buffer = OperationBuffer::new();
            let pages = LinkPages { runs: &runs, root: None };
            buffer.push(&Operation::LinkPages { tree: TreeId(18), pages });
            operations(buffer.as_bytes()).next().unwrap().is_err()
        };
        assert!(!forged(1, 1));
        assert!(forged(0, 1) && forged(u32::MAX, 1) && forged(1, 0) && forged(1, 2) && forged(1, u32::MAX));
    }

    #[test]
    fn a_run_takes_as_many_values_as_there_is_room_for_and_reads_back() {
        let values: Vec<Vec<u8>> = (0..200).map(|length| vec![length as u8; length * 3]).collect();
        let mut buffer = OperationBuffer::new();
        buffer.push(&Operation::Delete { tree: TreeId(17), key: b"k" });
        assert_eq!(buffer.push_run(TreeId(18), 1, values.iter().map(Vec::as_slice), 12), 0);
        let before = buffer.len_bytes();
        let count = buffer.push_run(TreeId(18), u64::MAX - 300, values.iter().map(Vec::as_slice), 20_000);
        assert!(buffer.len_bytes() <= 20_000 && buffer.len_bytes() > before && count < 200);
        let decoded: Vec<_> = operations(buffer.as_bytes()).collect::<Result<_>>().unwrap();
        let [_, Operation::PutRun { tree: TreeId(18), rows }] = decoded[..] else { panic!("{decoded:?}") };
        let expected = values.iter().take(count as usize).enumerate();
        let expected: Vec<_> =
            expected.map(|(at, value)| ((u64::MAX - 300 + at as u64).to_be_bytes(), &value[..])).collect();
        assert_eq!(rows.collect::<Vec<_>>(), expected);
        let mut again = OperationBuffer::new();
        decoded.iter().for_each(|operation| again.push(operation));
        assert_eq!(again.as_bytes(), buffer.as_bytes());
    }

    #[test]
    fn arbitrary_bytes_decode_to_operations_or_an_error_and_always_end() {
        for seed in 1..3000 {
            let mut random = Random::new(seed);
            let bytes: Vec<u8> = (0..random.below(60)).map(|_| random.below(13) as u8).collect();
            assert!(operations(&bytes).count() <= bytes.len() + 1, "seed {seed}");
        }
    }
}
