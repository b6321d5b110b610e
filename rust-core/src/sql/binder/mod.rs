//! Names, types and overloads: an AST and a catalog become a logical plan, or a utility statement as plain data.
//!
//! A function of its arguments: no I/O, nothing is run (literals are converted, expressions are not folded).

pub mod bound;
