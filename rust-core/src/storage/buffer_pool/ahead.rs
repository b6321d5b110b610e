//! Fetching a page into the processor's caches before it is read.
//! Knows addresses. Knows nothing of frames or latches, and reads nothing.

/// Bytes of a cache line, about.
const LINE_BYTES: usize = 64;

/// Where a page lies that will be read next: nothing but an address to fetch from, so it may be out of date.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::storage) struct PageAhead {
    start: usize,
    lines: usize,
}

impl PageAhead {
    /// A page of `bytes` at address `start`.
    pub(super) fn new(start: usize, bytes: usize) -> PageAhead {
        PageAhead { start, lines: bytes / LINE_BYTES }
    }

    /// Lines a step, for the whole page in `steps` steps.
    pub(in crate::storage) fn lines_a_step(self, steps: usize) -> usize {
        self.lines.div_ceil(steps.max(1))
    }

    /// Has the processor fetch `count` lines of the page, from line `from` on, as far as there are so many.
    #[inline]
    pub(in crate::storage) fn fetch(self, from: usize, count: usize) {
        let to = (from + count).min(self.lines);
        #[cfg(target_arch = "x86_64")]
        for line in from..to {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            let address = std::ptr::without_provenance::<i8>(self.start + line * LINE_BYTES);
            // SAFETY: a prefetch reads nothing and cannot fault, whatever the address.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(address) };
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (from, to, self.start);
    }
}
