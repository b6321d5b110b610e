//! The B+-tree's moving parts: splitting, merging, unlinking, visiting, appending. Knows nothing of who calls.

mod append;
pub(super) mod cursor;
pub(super) mod merge;
pub(super) mod root_copy;
pub(super) mod split;
mod unlink;
