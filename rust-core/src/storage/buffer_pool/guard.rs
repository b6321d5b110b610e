//! A page under its latch: the only ways to a frame's bytes.
//! Knows frames. Knows nothing of how pages get into them.

use super::{BufferPool, Frame};
use crate::common::ids::PageId;
use crate::common::sync::atomic::Ordering;
use crate::storage::page::{Node, NodeMut};
use std::ops::{Deref, DerefMut};

/// A way to latch a frame.
pub(super) trait PageGuard<'p>: Sized {
    /// Waits for the latch.
    fn latch(pool: &'p BufferPool, frame: &'p Frame) -> Self;
}

/// A panic while a page is latched may have left it half changed, and its reader may have met what it could not
/// read: nobody shall build on it.
fn note_panic(pool: &BufferPool) {
    if std::thread::panicking() {
        pool.interrupted.store(true, Ordering::SeqCst);
    }
}

/// A page under its shared latch.
pub(in crate::storage) struct SharedPage<'p> {
    pool: &'p BufferPool,
    pub(super) frame: &'p Frame,
}

impl Deref for SharedPage<'_> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: the frame's bytes lie in the arena, and this guard holds the shared latch until it is dropped.
        unsafe { std::slice::from_raw_parts(self.pool.frame_bytes(self.frame), self.pool.page_size) }
    }
}

impl<'p> PageGuard<'p> for SharedPage<'p> {
    fn latch(pool: &'p BufferPool, frame: &'p Frame) -> SharedPage<'p> {
        frame.latch.lock_shared();
        SharedPage { pool, frame }
    }
}

impl<'p> SharedPage<'p> {
    /// The caller was granted the frame's shared latch, and leaves giving it back to the guard.
    pub(super) fn latched(pool: &'p BufferPool, frame: &'p Frame) -> SharedPage<'p> {
        SharedPage { pool, frame }
    }
}

impl SharedPage<'_> {
    pub(in crate::storage) fn node(&self) -> Node<'_> {
        Node::new(self)
    }
}

impl Drop for SharedPage<'_> {
    fn drop(&mut self) {
        note_panic(self.pool);
        // SAFETY: made only after `lock_shared` returned.
        unsafe { self.frame.latch.unlock_shared() }
    }
}

/// A page under its exclusive latch. Changing it marks it as changed.
pub(in crate::storage) struct ExclusivePage<'p> {
    pool: &'p BufferPool,
    pub(super) frame: &'p Frame,
}

impl<'p> PageGuard<'p> for ExclusivePage<'p> {
    fn latch(pool: &'p BufferPool, frame: &'p Frame) -> ExclusivePage<'p> {
        frame.latch.lock_exclusive();
        ExclusivePage { pool, frame }
    }
}

impl<'p> ExclusivePage<'p> {
    /// The caller was granted the frame's exclusive latch, and leaves giving it back to the guard.
    pub(super) fn latched(pool: &'p BufferPool, frame: &'p Frame) -> ExclusivePage<'p> {
        ExclusivePage { pool, frame }
    }
}

impl ExclusivePage<'_> {
    pub(in crate::storage) fn node(&self) -> Node<'_> {
        Node::new(self)
    }

    /// Access for a change.
    pub(in crate::storage) fn node_mut(&mut self) -> NodeMut<'_> {
        NodeMut::new(self)
    }

    pub(in crate::storage) fn page(&self) -> PageId {
        PageId(self.frame.page.load(Ordering::Relaxed))
    }

    /// To be called before the page changes: a checkpoint that has not written it yet keeps it as it was.
    #[inline]
    pub(super) fn mark_dirty(&mut self) {
        let was = self.frame.dirty.load(Ordering::Relaxed);
        if was != self.pool.epoch.load(Ordering::Relaxed) {
            self.pool.first_change(self, was);
        }
    }

    /// The bytes, without marking the page as changed.
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: the frame's bytes lie in the arena, this guard holds the exclusive latch, and `&mut self`
        // keeps a second slice away.
        unsafe { std::slice::from_raw_parts_mut(self.pool.frame_bytes(self.frame), self.pool.page_size) }
    }
}

impl Deref for ExclusivePage<'_> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: the frame's bytes lie in the arena, and this guard holds the exclusive latch.
        unsafe { std::slice::from_raw_parts(self.pool.frame_bytes(self.frame), self.pool.page_size) }
    }
}

impl DerefMut for ExclusivePage<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.mark_dirty();
        self.bytes_mut()
    }
}

impl Drop for ExclusivePage<'_> {
    fn drop(&mut self) {
        note_panic(self.pool);
        // SAFETY: made only after the exclusive latch was granted.
        unsafe { self.frame.latch.unlock_exclusive() }
    }
}
