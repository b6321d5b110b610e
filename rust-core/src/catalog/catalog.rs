//! The catalog of an open database: the newest committed definitions, and their way to disk.
//!
//! Definitions are values of the catalog tree under their number; the names of tables and indexes are keys of
//! their own, so that two transactions that make the same name meet at its lock. A transaction that changes
//! definitions keeps its own snapshot (`with_table`, `without_table`) until it commits, then hands it to
//! [`Catalog::publish`], which adds its changes to whatever others have published meanwhile.
//! Knows definitions and transactions. Knows no SQL.

use crate::catalog::codec;
use crate::catalog::snapshot::{CatalogChange, CatalogSnapshot};
use crate::catalog::table_definition::TableDefinition;
use crate::common::cancel::CancelToken;
use crate::common::ids::{CATALOG_TREE, COUNTER_TREE};
use crate::common::ids::{Lsn, ObjectId};
use crate::common::sync::{Arc, Mutex, RwLock};
use crate::error::{Error, Result, SqlState};
use crate::table::runtime::Counter;
use crate::table::table::read_counter;
use crate::transaction::manager::TransactionManager;
use crate::transaction::transaction::Transaction;
use crate::transaction::types::{IsolationLevel, ReadView, RowLockMode};
use std::ops::Bound;

/// The first key byte of definitions; the object id follows, big-endian.
const DEFINITION: u8 = b'd';
/// The first key byte of names; the name follows. Value: the table's object id, big-endian.
const NAME: u8 = b'n';
const OBJECT_COUNTER_KEY: [u8; 1] = [0];
/// Bytes of a definition that one entry of the tree holds; the rest goes on under the next part number.
const PART_BYTES: usize = 256;

/// See the module. Threads: any.
#[derive(Debug)]
pub struct Catalog {
    current: RwLock<Arc<CatalogSnapshot>>,
    /// Held while a snapshot is replaced, so that no change is lost.
    publishing: Mutex<()>,
    object_ids: Counter,
}

impl Catalog {
    /// Reads every definition.
    /// # Errors
    /// `XX001` when one is damaged; `58030`.
    pub fn load(manager: &Arc<TransactionManager>) -> Result<Catalog> {
        let mut transaction = manager.begin(IsolationLevel::RepeatableRead, true, CancelToken::default());
        transaction.start_statement()?;
        let snapshot = read_definitions(&transaction);
        transaction.end_statement();
        transaction.rollback();
        Ok(Catalog {
            current: RwLock::new(Arc::new(snapshot?)),
            publishing: Mutex::new(()),
            object_ids: Counter::default(),
        })
    }

    /// The newest committed definitions.
    pub fn current(&self) -> Arc<CatalogSnapshot> {
        Arc::clone(&self.current.read())
    }

    /// Makes what the commit `timestamp` changed (`own`: its transaction's snapshot) the newest definitions.
    /// To be called before anybody who waits for the transaction's locks trusts an older snapshot.
    pub fn publish(&self, timestamp: Lsn, own: &CatalogSnapshot) {
        let _publishing = self.publishing.lock();
        let before = self.current();
        let mut next = (*before).clone();
        for change in own.changes() {
            next = match change {
                CatalogChange::Put(table) => {
                    mark_new_indexes(&before, table, timestamp);
                    next.with_table(Arc::clone(table))
                }
                CatalogChange::Remove(id) => next.without_table(*id),
            };
        }
        *self.current.write() = Arc::new(next.committed());
    }

    /// Writes a new or changed definition, with its names.
    /// # Errors
    /// `42P07` when somebody else made a relation of one of its names; `40P01`, `57014` while locking; `53200`.
    pub fn write_table(&self, transaction: &mut Transaction, table: &TableDefinition) -> Result<()> {
        let old = self.stored_definition(transaction, table.id)?;
        let names = names_of(table);
        let old_names = old.as_ref().map(names_of).unwrap_or_default();
        for name in old_names.iter().filter(|name| !names.contains(name)) {
            transaction.lock_row(CATALOG_TREE, &name_key(name), RowLockMode::Update)?;
            transaction.delete(CATALOG_TREE, &name_key(name))?;
        }
        for name in names.iter().filter(|name| !old_names.contains(name)) {
            take_name(transaction, name, table.id)?;
        }
        delete_definition(transaction, table.id)?;
        for (part, bytes) in codec::encode(table)?.chunks(PART_BYTES).enumerate() {
            transaction.put(CATALOG_TREE, &definition_key(table.id, part as u32), bytes)?;
        }
        Ok(())
    }

    /// Removes a definition with its names.
    /// # Errors
    /// As [`Catalog::write_table`].
    pub fn remove_table(&self, transaction: &mut Transaction, table: &TableDefinition) -> Result<()> {
        for name in names_of(table) {
            transaction.lock_row(CATALOG_TREE, &name_key(name), RowLockMode::Update)?;
            transaction.delete(CATALOG_TREE, &name_key(name))?;
        }
        delete_definition(transaction, table.id)
    }

    /// A number that no object has or had.
    /// # Errors
    /// `54000` when they are used up; `53200`.
    pub fn next_object_id(&self, transaction: &mut Transaction) -> Result<ObjectId> {
        // PostgreSQL's user objects begin at 16384; clients know it.
        let id = self.object_ids.next(|| Ok(read_counter(transaction, &OBJECT_COUNTER_KEY)?.max(16_383)))?;
        transaction.max(COUNTER_TREE, &OBJECT_COUNTER_KEY, id)?;
        u32::try_from(id).map(ObjectId).map_err(|_| {
            Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "the database has used up its object numbers") //
        })
    }

    fn stored_definition(&self, transaction: &Transaction, id: ObjectId) -> Result<Option<TableDefinition>> {
        let tree = transaction.tree_handle(CATALOG_TREE)?;
        let mut bytes = Vec::new();
        for part in 0.. {
            let more =
                transaction.get(&tree, &definition_key(id, part), ReadView::Latest, |value| match value {
                    Some(value) => {
                        bytes.extend_from_slice(value);
                        true
                    }
                    None => false,
                })?;
            if !more {
                break;
            }
        }
        if bytes.is_empty() { Ok(None) } else { codec::decode(&bytes).map(Some) }
    }
}

/// Older snapshots do not see the entries of an index that a table got later.
fn mark_new_indexes(before: &CatalogSnapshot, table: &TableDefinition, timestamp: Lsn) {
    let Some(old) = before.table_by_id(table.id) else { return };
    for index in &table.layout.indexes {
        if old.layout.indexes.iter().all(|known| known.tree != index.tree) {
            index.runtime.set_usable_from(timestamp);
        }
    }
}

fn names_of(table: &TableDefinition) -> Vec<&str> {
    let indexes = table.indexes.iter().map(|index| index.name.as_str());
    std::iter::once(table.name.as_str()).chain(indexes).collect()
}

fn name_key(name: &str) -> Vec<u8> {
    let mut key = vec![NAME];
    key.extend_from_slice(name.as_bytes());
    key
}

fn definition_key(id: ObjectId, part: u32) -> [u8; 9] {
    let mut key = [DEFINITION; 9];
    key[1..5].copy_from_slice(&id.0.to_be_bytes());
    key[5..].copy_from_slice(&part.to_be_bytes());
    key
}

fn take_name(transaction: &mut Transaction, name: &str, owner: ObjectId) -> Result<()> {
    let key = name_key(name);
    transaction.lock_row(CATALOG_TREE, &key, RowLockMode::Update)?;
    let tree = transaction.tree_handle(CATALOG_TREE)?;
    if transaction.get(&tree, &key, ReadView::Latest, |value| value.is_some())? {
        return Err(Error::new(SqlState::DUPLICATE_TABLE, format!("relation \"{name}\" already exists")));
    }
    transaction.put(CATALOG_TREE, &key, &owner.0.to_be_bytes())
}

fn delete_definition(transaction: &mut Transaction, id: ObjectId) -> Result<()> {
    let tree = transaction.tree_handle(CATALOG_TREE)?;
    for part in 0.. {
        let key = definition_key(id, part);
        if !transaction.get(&tree, &key, ReadView::Latest, |value| value.is_some())? {
            break;
        }
        transaction.delete(CATALOG_TREE, &key)?;
    }
    Ok(())
}

fn read_definitions(transaction: &Transaction) -> Result<CatalogSnapshot> {
    let tree = transaction.tree_handle(CATALOG_TREE)?;
    let upper = [DEFINITION + 1];
    let mut scan =
        transaction.scan(&tree, Bound::Included(&[DEFINITION][..]), Bound::Excluded(&upper[..]), false);
    let mut parts: Vec<([u8; 4], Vec<u8>)> = Vec::new();
    let mut key = Vec::new();
    let mut sound = true;
    while scan
        .next(transaction, |rows| {
            for index in (0..rows.len()).filter(|index| rows.is_live(*index)) {
                rows.key_into(index, &mut key);
                let Some(id) = key.get(1..5).and_then(|id| <[u8; 4]>::try_from(id).ok()) else {
                    sound = false;
                    continue;
                };
                match parts.last_mut() {
                    Some((last, bytes)) if *last == id => bytes.extend_from_slice(rows.value(index)),
                    _ => parts.push((id, rows.value(index).to_vec())),
                }
            }
        })?
        .is_some()
    {}
    if !sound {
        return Err(Error::new(SqlState::DATA_CORRUPTED, "a key of the catalog is damaged"));
    }
    let mut snapshot = CatalogSnapshot::empty();
    for (_, bytes) in parts {
        snapshot = snapshot.with_table(Arc::new(codec::decode(&bytes)?));
    }
    Ok(snapshot.committed())
}
