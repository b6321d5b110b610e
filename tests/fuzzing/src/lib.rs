//! Hostile SQL. [`body`] is what an input runs through, shared by the ordinary tests and by cargo-fuzz; [`corpus`]
//! is what was kept, [`generator`] writes statements by a grammar, [`mutation`] spoils them, [`campaign`] runs many
//! of them and says which one broke what. Hostile files likewise: [`image`] is what is spoilt, [`damage`] how,
//! [`storage`] what it runs through.

pub mod body;
pub mod campaign;
pub mod corpus;
pub mod damage;
pub mod generator;
pub mod image;
pub mod mutation;
pub mod storage;
