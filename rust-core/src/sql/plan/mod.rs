//! Plans as data: expressions, logical plans, physical plans. Nothing here runs, binds or optimizes.

pub mod expression;
pub mod logical;
pub mod physical;
pub mod reference;
