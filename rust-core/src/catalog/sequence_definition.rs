//! What a sequence is, besides how far it has come.

use crate::catalog::sequence_runtime::SequenceRuntime;
use crate::common::ids::ObjectId;
use crate::sql::types::data_type::DataType;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A sequence's number, names and options. Immutable; a change makes a new one, over the same runtime unless the
/// sequence begins anew.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SequenceDefinition {
    /// Its number, never reused.
    pub id: ObjectId,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// What its values look like.
    pub options: SequenceOptions,
    /// The column that it goes with; `None`: it stands for itself.
    pub owner: Option<SequenceOwner>,
    /// How far it has come; not part of the stored definition.
    #[serde(skip)]
    pub runtime: Arc<SequenceRuntime>,
}

/// The values that a sequence can have, and the way through them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SequenceOptions {
    /// `smallint`, `integer` or `bigint`.
    pub data_type: DataType,
    /// Its first value.
    pub start: i64,
    /// From one value to the next; not zero.
    pub increment: i64,
    /// No value is lower.
    pub minimum: i64,
    /// No value is higher.
    pub maximum: i64,
    /// Values that a session draws at a time; at least one.
    pub cache: i64,
    /// Whether it goes on at the other end.
    pub cycle: bool,
}

/// The column that a sequence goes with: it is dropped with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SequenceOwner {
    /// The table.
    pub table: ObjectId,
    /// The column, by position.
    pub column: usize,
    /// It makes the values of an identity column, and can be dropped only with it.
    pub identity: bool,
}

impl SequenceOptions {
    /// The lowest and the highest value of a type of integers; of `bigint` for any other.
    pub fn range_of(data_type: DataType) -> (i64, i64) {
        match data_type {
            DataType::SmallInt => (i64::from(i16::MIN), i64::from(i16::MAX)),
            DataType::Integer => (i64::from(i32::MIN), i64::from(i32::MAX)),
            _ => (i64::MIN, i64::MAX),
        }
    }
}
