//! Runs bound expressions over columns and over single rows, and folds constant ones.
//! Knows expressions, functions and columns. Knows nothing of tables, transactions or sessions.

pub mod columns;
pub mod context;
mod filter;
pub mod fold;
pub mod row;
#[cfg(test)]
mod tests;
