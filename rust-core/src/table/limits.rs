//! What the page size allows rows, keys and pieces to be. Arithmetic only.

/// Bytes of a page that an entry's own bookkeeping may take.
const ENTRY_OVERHEAD_BYTES: usize = 48;

/// Bytes of a page that its header and fences may take.
const PAGE_OVERHEAD_BYTES: usize = 192;

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SizeLimits {
    /// Bytes of an encoded row: a third of a page.
    pub row_bytes: usize,
    /// Bytes of an index entry's key: a quarter of a page.
    pub key_bytes: usize,
    /// Bytes of a piece of a large value. Fixed by the page size, for the pieces of a value are found by it.
    pub piece_bytes: usize,
}

impl SizeLimits {
    /// The limits with pages of `page_size` bytes.
    pub fn for_page_size(page_size: usize) -> SizeLimits {
        SizeLimits {
            row_bytes: page_size / 3 - ENTRY_OVERHEAD_BYTES,
            key_bytes: page_size / 4 - ENTRY_OVERHEAD_BYTES,
            // Four pieces fill a page.
            piece_bytes: (page_size - PAGE_OVERHEAD_BYTES) / 4 - ENTRY_OVERHEAD_BYTES / 2,
        }
    }
}
