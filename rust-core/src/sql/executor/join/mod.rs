//! Joins. Each finds pairs of rows in its own way ([`hash`], [`merge`], [`apply`]); [`output`] judges them and makes
//! batches of them.

pub(super) mod apply;
pub(super) mod hash;
pub(super) mod merge;
pub(super) mod output;
mod table;
