//! The B+-tree's moving parts: splitting, unlinking, visiting. Knows nothing of who calls.

pub(super) mod cursor;
mod split;
mod unlink;
