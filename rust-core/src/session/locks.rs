//! What `lumos_locks` shows: the lock manager's lines in the catalog's words.

use crate::catalog::snapshot::CatalogSnapshot;
use crate::common::ids::{AdvisoryKey, ObjectId, TreeId};
use crate::session::engine::Engine;
use crate::sql::functions::locks::LockLine;
use crate::table::key::row_id_of_key;
use crate::transaction::lock_view::{LockState, LockedObject};

/// Every lock on a table or a sequence, and every wait.
pub(crate) fn lines(engine: &Engine) -> Vec<LockLine> {
    let catalog = engine.catalog.current();
    let tables = catalog.tables().map(|table| table.id);
    let relations: Vec<ObjectId> = tables.chain(catalog.sequences().map(|sequence| sequence.id)).collect();
    let states = engine.manager.lock_manager().states(&relations);
    states.into_iter().map(|state| line(state, &catalog)).collect()
}

fn line(state: LockState, catalog: &CatalogSnapshot) -> LockLine {
    let mut line = LockLine {
        session: state.session as i64,
        kind: "relation",
        mode: state.mode,
        granted: state.granted,
        count: state.count as i64,
        wait_start: state.since,
        blocked_by: state.blocked_by.iter().map(u64::to_string).collect::<Vec<_>>().join(","),
        ..LockLine::default()
    };
    match state.object {
        LockedObject::Table(id) => {
            if let Some(table) = catalog.table_by_id(id) {
                line.schema = Some(table.schema.clone());
                line.table = Some(table.name.clone());
                line.object = Some(table.name.clone());
            } else if let Some(sequence) = catalog.sequence_by_id(id) {
                line.schema = Some(sequence.schema.clone());
                line.object = Some(sequence.name.clone());
            }
        }
        LockedObject::Row { tree, key } => {
            line.kind = "row";
            name_tree(tree, Some(&key), catalog, &mut line);
        }
        LockedObject::Rows { tree } => {
            line.kind = "row";
            name_tree(tree, None, catalog, &mut line);
        }
        LockedObject::Advisory(key) => {
            line.kind = "advisory";
            line.key = Some(match key {
                AdvisoryKey::One(number) => number.to_string(),
                AdvisoryKey::Two(first, second) => format!("{first},{second}"),
            });
        }
    }
    line
}

/// What people call a locked object; `None`: it is in no definition that is committed.
pub(crate) fn name(object: &LockedObject, catalog: &CatalogSnapshot) -> Option<String> {
    let mut line = LockLine::default();
    match object {
        LockedObject::Table(id) => {
            let table = catalog.table_by_id(*id).map(|table| table.name.clone());
            let sequence = || Some(catalog.sequence_by_id(*id)?.name.clone());
            return Some(format!("relation \"{}\"", table.or_else(sequence)?));
        }
        LockedObject::Advisory(_) => return None,
        LockedObject::Row { tree, key } => name_tree(*tree, Some(key), catalog, &mut line),
        LockedObject::Rows { tree } => name_tree(*tree, None, catalog, &mut line),
    }
    let (table, object) = (line.table?, line.object?);
    Some(match (line.row_id, object == table) {
        (Some(row), _) => format!("row {row} of relation \"{table}\""),
        (None, true) => format!("a row of relation \"{table}\""),
        (None, false) => format!("a key of index \"{object}\" of relation \"{table}\""),
    })
}

fn name_tree(tree: TreeId, key: Option<&[u8]>, catalog: &CatalogSnapshot, line: &mut LockLine) {
    for table in catalog.tables() {
        let index = table.layout.index_of_tree(tree);
        let object = match index {
            Some(index) => &table.indexes[index].name,
            None if table.layout.tree == tree => {
                line.row_id = key.and_then(row_id_of_key).map(|row| row.0);
                &table.name
            }
            None => continue,
        };
        line.schema = Some(table.schema.clone());
        line.table = Some(table.name.clone());
        line.object = Some(object.clone());
        return;
    }
}
