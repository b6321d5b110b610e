//! The B+-tree's moving parts: splitting, unlinking, visiting, appending. Knows nothing of who calls.

mod append;
pub(super) mod cursor;
mod split;
mod unlink;
