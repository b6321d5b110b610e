//! Damage met by a statement, told with the table or index that it is in.
//! Storage knows blocks and trees; only here is it known what a tree is for.

use crate::common::ids::{CATALOG_TREE, TreeId};
use crate::error::{Error, SqlState};
use crate::session::Session;

impl Session {
    /// Adds the name of the damaged object, where the error says in which tree it is.
    pub(crate) fn with_object(&self, error: Error) -> Error {
        let Some(tree) = error.tree().map(TreeId).filter(|_| error.state() == SqlState::DATA_CORRUPTED)
        else {
            return error;
        };
        let definitions = self.engine.catalog.current();
        let found = definitions.tables().find_map(|table| {
            let name = &table.name;
            let layout = &table.layout;
            if tree == layout.tree {
                return Some((name.clone(), format!("table \"{name}\"")));
            }
            if tree == layout.value_tree {
                return Some((name.clone(), format!("the large values of table \"{name}\"")));
            }
            let index = layout.index_of_tree(tree)?;
            Some((name.clone(), format!("index \"{}\" of table \"{name}\"", table.indexes[index].name)))
        });
        let detail = error.detail_text().unwrap_or("").to_owned();
        match found {
            Some((table, object)) => error.detail(format!("{detail} It belongs to {object}.")).table(table),
            None if tree == CATALOG_TREE => error.detail(format!("{detail} It belongs to the catalog.")),
            None => error,
        }
    }
}
