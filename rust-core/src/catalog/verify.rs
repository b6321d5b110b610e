//! Reading a catalog that may be damaged, and whether its names and definitions agree.
//! Knows definitions. Knows nothing of what stands in tables.

use crate::catalog::catalog::{NAME, OBJECT_COUNTER_KEY, change_names, names_of};
use crate::catalog::family::Family;
use crate::catalog::snapshot::CatalogSnapshot;
use crate::common::ids::{CATALOG_TREE, COUNTER_TREE, ObjectId};
use crate::error::Result;
use crate::transaction::transaction::Transaction;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// Reads every definition that can be read as the statement's snapshot has it; `report` gets what cannot.
/// # Errors
/// `XX001` where the tree itself cannot be read, `58030`.
pub fn read_definitions(
    transaction: &Transaction,
    report: &mut dyn FnMut(String),
) -> Result<CatalogSnapshot> {
    let mut snapshot = CatalogSnapshot::empty();
    Family::TABLE.read_each(transaction, |id, table| match table {
        Ok(table) => snapshot = snapshot.with_table(Arc::new(table)),
        Err(error) => report(format!("the definition of table {id}: {error}")),
    })?;
    Family::VIEW.read_each(transaction, |id, view| match view {
        Ok(view) => snapshot = snapshot.with_view(Arc::new(view)),
        Err(error) => report(format!("the definition of view {id}: {error}")),
    })?;
    Family::SEQUENCE.read_each(transaction, |id, sequence| match sequence {
        Ok(sequence) => snapshot = snapshot.with_sequence(Arc::new(sequence)),
        Err(error) => report(format!("the definition of sequence {id}: {error}")),
    })?;
    Family::STATISTICS.read_each(transaction, |id, statistics| match statistics {
        Ok(statistics) => snapshot = snapshot.with_statistics(id, Arc::new(statistics)),
        Err(error) => report(format!("the statistics of table {id}: {error}")),
    })?;
    Ok(snapshot.committed())
}

/// Compares the names that are taken with those that the definitions have; gives the number of names.
/// # Errors
/// As [`read_definitions`].
pub fn verify_names(
    transaction: &Transaction,
    definitions: &CatalogSnapshot,
    report: &mut dyn FnMut(String),
) -> Result<u64> {
    let mut expected: BTreeMap<String, u32> = BTreeMap::new();
    for table in definitions.tables() {
        expected.extend(names_of(table).iter().map(|name| ((*name).to_owned(), table.id.0)));
    }
    expected.extend(definitions.views().map(|view| (view.name.clone(), view.id.0)));
    expected.extend(definitions.sequences().map(|sequence| (sequence.name.clone(), sequence.id.0)));
    let tree = transaction.tree_handle(CATALOG_TREE)?;
    let mut found: BTreeMap<String, Option<u32>> = BTreeMap::new();
    let mut scan =
        transaction.scan(&tree, Bound::Included(&[NAME][..]), Bound::Excluded(&[NAME + 1][..]), false);
    let mut key = Vec::new();
    while scan
        .next(transaction, |rows| {
            for index in (0..rows.len()).filter(|index| rows.is_live(*index)) {
                rows.key_into(index, &mut key);
                let owner = <[u8; 4]>::try_from(rows.value(index)).ok().map(u32::from_be_bytes);
                found.insert(String::from_utf8_lossy(&key[1..]).into_owned(), owner);
            }
        })?
        .is_some()
    {}
    for (name, owner) in &found {
        match (expected.get(name), owner) {
            (Some(expected), Some(owner)) if expected == owner => {}
            (None, _) => report(format!("the name \"{name}\" is taken, but no definition has it")),
            _ => report(format!("the name \"{name}\" belongs to another definition than it says")),
        }
    }
    for name in expected.keys().filter(|name| !found.contains_key(*name)) {
        report(format!("the name \"{name}\" of a definition is not taken"));
    }
    Ok(found.len() as u64)
}

/// The foreign keys that lead nowhere: the number of the table and of the key, and what is wrong.
pub fn broken_foreign_keys(definitions: &CatalogSnapshot) -> Vec<(ObjectId, ObjectId, String)> {
    let mut broken = Vec::new();
    for table in definitions.tables() {
        for key in &table.foreign_keys {
            let leads = definitions.table_by_id(key.parent).is_some_and(|parent| {
                key.parent_columns.iter().all(|column| *column < parent.columns.len())
                    && parent.unique_key(&key.parent_columns).is_some()
            });
            if !leads {
                let what = format!(
                    "foreign key \"{}\" of table \"{}\" refers to no key of a table that is there",
                    key.name, table.name
                );
                broken.push((table.id, key.id, what));
            }
        }
    }
    broken
}

/// Writes these definitions, with their names, into a catalog that holds nothing.
/// # Errors
/// `53200`; `42P07` when two definitions have one name.
pub fn write_definitions(transaction: &mut Transaction, definitions: &CatalogSnapshot) -> Result<()> {
    let mut largest = 0;
    for table in definitions.tables() {
        let indexes = table.indexes.iter().map(|index| index.id.0);
        let keys = table.foreign_keys.iter().map(|key| key.id.0);
        largest = indexes.chain(keys).max().unwrap_or(0).max(table.id.0).max(largest);
        change_names(transaction, table.id, &[], &names_of(table))?;
        Family::TABLE.write(transaction, table.id, table)?;
        if let Some(statistics) = definitions.statistics(table.id) {
            Family::STATISTICS.write(transaction, table.id, statistics)?;
        }
    }
    for view in definitions.views() {
        largest = largest.max(view.id.0);
        change_names(transaction, view.id, &[], &[&view.name])?;
        Family::VIEW.write(transaction, view.id, view)?;
    }
    for sequence in definitions.sequences() {
        largest = largest.max(sequence.id.0);
        change_names(transaction, sequence.id, &[], &[&sequence.name])?;
        Family::SEQUENCE.write(transaction, sequence.id, sequence)?;
    }
    // Numbers are not given out twice, also where the counters are lost.
    transaction.max(COUNTER_TREE, &OBJECT_COUNTER_KEY, u64::from(largest))
}
