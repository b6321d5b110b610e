//! Hostile SQL. [`body`] is what an input runs through, shared by the ordinary tests and by cargo-fuzz; [`corpus`]
//! is what was kept, [`generator`] writes statements by a grammar, [`mutation`] spoils them, [`campaign`] runs many
//! of them and says which one broke what.

pub mod body;
pub mod campaign;
pub mod corpus;
pub mod generator;
pub mod mutation;
