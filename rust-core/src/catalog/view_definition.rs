//! What a view is: a query as text, bound anew wherever the view is used.

use crate::common::ids::ObjectId;
use crate::sql::types::data_type::SqlType;
use serde::{Deserialize, Serialize};

/// A view. Immutable; a change makes a new one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ViewDefinition {
    /// Its number, never reused.
    pub id: ObjectId,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Names of its columns, in order; as many as its query has.
    pub columns: Vec<String>,
    /// Their types when the view was made, in order: a view that replaces it keeps them.
    pub types: Vec<SqlType>,
    /// Its query as SQL text.
    pub query: String,
    /// The tables and views that the query reads, each once: they cannot be dropped without it.
    pub dependencies: Vec<ObjectId>,
}
