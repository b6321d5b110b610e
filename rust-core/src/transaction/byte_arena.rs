//! Bytes that are appended, read, and cut off at a mark: keys and values of a write set.
//! Knows bytes. Knows nothing of keys, trees or transactions.

/// A place in an arena.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Slice {
    block: u32,
    offset: u32,
    len: u32,
}

impl Slice {
    /// Bytes.
    pub(super) fn len(self) -> usize {
        self.len as usize
    }
}

/// The length of an arena at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ArenaMark {
    block_count: usize,
    last_block_len: usize,
}

const FIRST_BLOCK_BYTES: usize = 4 << 10;
const BLOCK_BYTES_MAX: usize = 1 << 20;

/// Blocks that double in size up to 1 MiB and never move, so growing copies nothing.
#[derive(Debug, Default)]
pub(super) struct ByteArena {
    blocks: Vec<Vec<u8>>,
}

impl ByteArena {
    /// Appends a copy of `bytes`.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Slice {
        self.push_parts(bytes, &[])
    }

    /// Appends a copy of `first` and `second`, side by side.
    pub(super) fn push_parts(&mut self, first: &[u8], second: &[u8]) -> Slice {
        let len = first.len() + second.len();
        let fits = self.blocks.last().is_some_and(|block| block.capacity() - block.len() >= len);
        if !fits {
            let wanted = self.blocks.last().map_or(FIRST_BLOCK_BYTES, |block| block.capacity() * 2);
            self.blocks.push(Vec::with_capacity(wanted.min(BLOCK_BYTES_MAX).max(len)));
        }
        let index = self.blocks.len() - 1;
        let block = &mut self.blocks[index];
        let offset = block.len() as u32;
        block.extend_from_slice(first);
        block.extend_from_slice(second);
        Slice { block: index as u32, offset, len: len as u32 }
    }

    /// The bytes at `slice`.
    pub(super) fn get(&self, slice: Slice) -> &[u8] {
        if slice.len == 0 {
            return &[];
        }
        &self.blocks[slice.block as usize][slice.offset as usize..][..slice.len as usize]
    }

    /// The present end.
    pub(super) fn mark(&self) -> ArenaMark {
        ArenaMark { block_count: self.blocks.len(), last_block_len: self.blocks.last().map_or(0, Vec::len) }
    }

    /// Forgets everything after `mark`.
    pub(super) fn truncate(&mut self, mark: ArenaMark) {
        self.blocks.truncate(mark.block_count);
        if let Some(block) = self.blocks.last_mut() {
            block.truncate(mark.last_block_len);
        }
    }

    /// Forgets everything, keeps the first block.
    pub(super) fn clear(&mut self) {
        self.blocks.truncate(1);
        match self.blocks.first_mut() {
            Some(block) if block.capacity() <= BLOCK_BYTES_MAX => block.clear(),
            _ => self.blocks.clear(),
        }
    }
}
