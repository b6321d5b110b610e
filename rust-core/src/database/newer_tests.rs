//! Catalog entries that a newer version would write: the database is refused by their name, not called damaged.

use crate::common::cancel::CancelToken;
use crate::common::ids::CATALOG_TREE;
use crate::common::sync::Arc;
use crate::database::Database;
use crate::database::options::DatabaseOptions;
use crate::durability::policy::Durability;
use crate::io::memory::MemoryVfs;
use crate::io::vfs::Vfs;
use crate::transaction::types::IsolationLevel;
use std::path::Path;

#[test]
fn catalog_entries_of_a_newer_version_are_refused_by_name() {
    let object = |kind: u8| [&[kind][..], &16_500_u32.to_be_bytes(), &0_u32.to_be_bytes()].concat();
    for (key, value, message) in [
        (object(b'd'), &[6, 1, 2][..], "version 6 of a table definition is not supported"),
        (object(b'v'), &[2, 1, 2], "version 2 of a view definition is not supported"),
        (object(b's'), &[9, 1, 2], "version 9 of a table's statistics entry is not supported"),
        (object(b'f'), &[1], "catalog entry of kind 'f' is not supported"),
        (vec![b'a'], &[1], "catalog entry of kind 'a' is not supported"),
        (vec![0xff, 1], &[1], "catalog entry of kind '\\u{ff}' is not supported"),
        (object(b'o'), &[1], "catalog entry of kind 'o' is not supported"),
    ] {
        let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::new());
        let options = || DatabaseOptions {
            memory_limit: Some(16 << 20),
            vfs: Some(Arc::clone(&vfs)),
            ..DatabaseOptions::default()
        };
        let path = Path::new("app.lumos");
        let database = Database::open(Some(path), options()).unwrap();
        database
            .connect()
            .unwrap()
            .execute_script("CREATE TABLE t (a int); CREATE VIEW w AS SELECT a FROM t")
            .unwrap();
        let engine = database.engine();
        let manager = &engine.manager;
        let mut transaction = manager.begin(IsolationLevel::ReadCommitted, false, CancelToken::default());
        transaction.start_statement().unwrap();
        transaction.put(CATALOG_TREE, &key, value).unwrap();
        transaction.end_statement();
        transaction.commit(Durability::Full).unwrap();
        drop((engine, database));
        let error = Database::open(Some(path), options()).unwrap_err();
        assert_eq!((error.state().as_str(), error.message()), ("0A000", message));
    }
}
