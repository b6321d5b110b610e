//! Databases from outside: made, used through tables, reopened, crashed. SQL is tested elsewhere.

use crate::batch::batch::Batch;
use crate::catalog::snapshot::{CatalogSnapshot, PUBLIC_SCHEMA};
use crate::catalog::table_definition::{ColumnDefinition, IndexDefinition, TableDefinition};
use crate::common::cancel::CancelToken;
use crate::common::ids::RowId;
use crate::common::random::Random;
use crate::common::sync::Arc;
use crate::database::Database;
use crate::database::options::DatabaseOptions;
use crate::durability::policy::Durability;
use crate::error::{Error, Result, SqlState};
use crate::io::memory::MemoryVfs;
use crate::io::vfs::{OpenMode, Vfs};
use crate::session::Session;
use crate::sql::types::data_type::{DataType, SqlType};
use crate::sql::types::datum::{Datum, DatumRef};
use crate::table::build::{self, BuildOutcome};
use crate::table::index::IndexRange;
use crate::table::layout::{IndexColumn, IndexKey, RowIdSource};
use crate::table::pending::PendingKeys;
use crate::table::row::RowView;
use crate::table::scan::IndexOrder;
use crate::table::table::{InsertOutcome, LockedRow, Table, Unread, UpdateOutcome};
use crate::transaction::transaction::Transaction;
use crate::transaction::types::{IsolationLevel, ReadView, RowLockMode};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;

fn options(vfs: &Arc<MemoryVfs>, page_size: usize) -> DatabaseOptions {
    DatabaseOptions {
        memory_limit: Some(64 << 20),
        page_size,
        vfs: Some(Arc::clone(vfs) as Arc<dyn Vfs>),
        ..DatabaseOptions::default()
    }
}

fn open(vfs: &Arc<MemoryVfs>, page_size: usize) -> Arc<Database> {
    Database::open(Some(Path::new("app.lumos")), options(vfs, page_size)).unwrap()
}

fn begin(database: &Database, isolation: IsolationLevel) -> Transaction {
    let mut transaction = database.engine().manager.begin(isolation, false, CancelToken::default());
    transaction.start_statement().unwrap();
    transaction
}

fn column(column: usize) -> IndexColumn {
    IndexColumn { key: IndexKey::Column(column), descending: false, nulls_first: false }
}

/// Makes a table with these columns and indexes and publishes it.
fn create(
    database: &Database,
    row_id: RowIdSource,
    types: &[DataType],
    indexes: Vec<(Vec<IndexColumn>, bool)>,
) -> Arc<TableDefinition> {
    let engine = database.engine();
    let mut transaction = begin(database, IsolationLevel::ReadCommitted);
    let id = engine.catalog.next_object_id(&mut transaction).unwrap();
    let sql_types: Vec<SqlType> = types.iter().map(|data_type| SqlType::plain(*data_type)).collect();
    let names: Vec<IndexDefinition> = (0..indexes.len())
        .map(|position| {
            let id = engine.catalog.next_object_id(&mut transaction).unwrap();
            IndexDefinition::new(id, format!("t_index_{position}"), None)
        })
        .collect();
    let layout = build::create_trees(&mut transaction, row_id, sql_types.clone(), indexes).unwrap();
    let table = Arc::new(TableDefinition {
        id,
        schema: PUBLIC_SCHEMA.to_owned(),
        name: "t".to_owned(),
        columns: (sql_types.iter().enumerate())
            .map(|(position, sql_type)| ColumnDefinition::new(format!("c{position}"), *sql_type))
            .collect(),
        checks: Vec::new(),
        indexes: names,
        foreign_keys: Vec::new(),
        computed: Vec::new(),
        row_id_constraint: None,
        not_valid: Vec::new(),
        layout: Arc::new(layout),
    });
    engine.catalog.write_table(&mut transaction, &table).unwrap();
    let own = engine.catalog.current().with_table(Arc::clone(&table));
    commit(database, transaction, Some(&own));
    table
}

fn commit(database: &Database, mut transaction: Transaction, own: Option<&CatalogSnapshot>) {
    transaction.end_statement();
    let timestamp = transaction.commit(Durability::Full).unwrap();
    if let (Some(timestamp), Some(own)) = (timestamp, own) {
        database.engine().catalog.publish(timestamp, own);
    }
}

fn table(database: &Database, transaction: &Transaction) -> Table {
    let definition = database.engine().catalog.current().require_table(None, "t").unwrap();
    Table::open(&database.engine().manager, transaction, &definition.layout).unwrap()
}

fn check_sound(database: &Database) {
    let mut findings = Vec::new();
    let count = database.verify(&mut |text| findings.push(text.to_owned())).unwrap();
    assert_eq!(count, 0, "{findings:?}");
}

fn refs(row: &[Datum]) -> Vec<DatumRef<'_>> {
    row.iter().map(Datum::as_ref).collect()
}

/// All rows by id, through a table scan in batches.
fn scan_all(database: &Database) -> BTreeMap<i64, Vec<String>> {
    let transaction = begin(database, IsolationLevel::ReadCommitted);
    let table = table(database, &transaction);
    let width = table.layout().columns.len();
    let columns: Vec<usize> = (0..width).collect();
    let everything = (Bound::Unbounded, Bound::Unbounded);
    let mut scan = table.scan(&transaction, everything, false, &columns, true).unwrap();
    let (mut rows, mut batch) = (BTreeMap::new(), Batch::default());
    while scan.next_batch(&transaction, &mut batch).unwrap() {
        assert!(batch.rows > 0 && batch.rows <= 2048);
        for row in 0..batch.rows {
            let DatumRef::BigInt(id) = batch.columns[width].datum(row) else { panic!("a row id") };
            let values = (0..width).map(|at| format!("{:?}", batch.columns[at].datum(row))).collect();
            rows.insert(id, values);
        }
    }
    rows
}

#[test]
fn rows_survive_a_clean_close_which_leaves_one_file() {
    let vfs = Arc::new(MemoryVfs::new());
    let database = open(&vfs, 4096);
    create(
        &database,
        RowIdSource::Counter,
        &[DataType::Integer, DataType::Text],
        vec![(vec![column(1)], true)],
    );
    let mut transaction = begin(&database, IsolationLevel::ReadCommitted);
    let rows = table(&database, &transaction);
    for number in 0..5000 {
        let name = format!("name {number}");
        let row = [DatumRef::Integer(number), DatumRef::Text(&name)];
        assert!(matches!(rows.insert(&mut transaction, &row).unwrap(), InsertOutcome::Inserted(_)));
    }
    commit(&database, transaction, None);
    let before = scan_all(&database);
    assert_eq!(before.len(), 5000);
    check_sound(&database);
    drop((rows, database));
    assert!(vfs.list_folder(Path::new("app.lumos-wal")).unwrap().is_empty());
    let database = open(&vfs, 4096);
    assert_eq!(scan_all(&database), before);
    check_sound(&database);
    let transaction = begin(&database, IsolationLevel::ReadCommitted);
    let rows = table(&database, &transaction);
    let found = rows.find_unique(&transaction, 0, &[DatumRef::Text("name 77")], ReadView::Snapshot).unwrap();
    let number = rows.get_with(&transaction, found.unwrap(), &[0], |row| {
        matches!(row.map(|row: RowView<'_>| row.datum(0)), Some(DatumRef::Integer(77)))
    });
    assert!(number.unwrap());
}

#[test]
fn the_same_file_opened_twice_is_one_engine() {
    let vfs = Arc::new(MemoryVfs::new());
    let (first, second) = (open(&vfs, 4096), open(&vfs, 4096));
    assert!(Arc::ptr_eq(&first.engine(), &second.engine()));
    drop(first);
    create(&second, RowIdSource::Counter, &[DataType::Integer], vec![]);
    drop(second);
    assert!(open(&vfs, 4096).engine().catalog.current().table(None, "t").is_some());
}

#[test]
fn committed_rows_survive_a_crash_and_uncommitted_ones_do_not() {
    let vfs = Arc::new(MemoryVfs::new());
    let database = open(&vfs, 4096);
    create(
        &database,
        RowIdSource::Column(0),
        &[DataType::BigInt, DataType::Text],
        vec![(vec![column(1)], false)],
    );
    for round in 0..3i64 {
        let mut transaction = begin(&database, IsolationLevel::ReadCommitted);
        let rows = table(&database, &transaction);
        for id in 0..50 {
            let row = [DatumRef::BigInt(round * 50 + id), DatumRef::Text("x")];
            rows.insert(&mut transaction, &row).unwrap();
        }
        if round < 2 {
            commit(&database, transaction, None);
        } else {
            transaction.rollback();
        }
    }
    let before = scan_all(&database);
    assert_eq!(before.len(), 100);
    // A poisoned database is left as a crash would leave it: no checkpoint, the log stays.
    database.poison(Error::internal("the test crashes here"));
    drop(database);
    let read_only = DatabaseOptions { read_only: true, ..options(&vfs, 4096) };
    // Reading recovers in memory and leaves the file and its log as they are.
    let bytes = |vfs: &MemoryVfs| {
        let mut all = Vec::new();
        let folder = Path::new("app.lumos-wal");
        let log = vfs.list_folder(folder).unwrap().into_iter().map(|name| folder.join(name));
        for path in std::iter::once(Path::new("app.lumos").to_path_buf()).chain(log) {
            let file = vfs.open(&path, OpenMode::ReadOnly).unwrap();
            let mut content = vec![0; file.size().unwrap() as usize];
            file.read_at(&mut content, 0).unwrap();
            all.push((path, content));
        }
        all
    };
    let crashed = bytes(&vfs);
    let reader = Database::open(Some(Path::new("app.lumos")), read_only).unwrap();
    assert_eq!(scan_all(&reader), before);
    check_sound(&reader);
    drop(reader);
    assert!(bytes(&vfs) == crashed && crashed.len() > 1);
    for _ in 0..2 {
        let database = open(&vfs, 4096);
        assert_eq!(scan_all(&database), before);
        check_sound(&database);
        database.poison(Error::internal("and again"));
    }
    drop(open(&vfs, 4096));
    let read_only = DatabaseOptions { read_only: true, ..options(&vfs, 4096) };
    let database = Database::open(Some(Path::new("app.lumos")), read_only).unwrap();
    assert_eq!(scan_all(&database), before);
}

#[test]
fn a_duplicate_key_writes_nothing_and_nulls_are_no_duplicates() {
    let vfs = Arc::new(MemoryVfs::new());
    let database = open(&vfs, 4096);
    let types = [DataType::BigInt, DataType::Text];
    create(&database, RowIdSource::Column(0), &types, vec![(vec![column(1)], true)]);
    let mut transaction = begin(&database, IsolationLevel::ReadCommitted);
    let rows = table(&database, &transaction);
    let mut insert = |id, name: DatumRef<'_>| {
        let row = [DatumRef::BigInt(id), name];
        rows.insert(&mut transaction, &row).unwrap()
    };
    assert_eq!(insert(1, DatumRef::Text("a")), InsertOutcome::Inserted(RowId(1)));
    assert_eq!(insert(1, DatumRef::Text("b")), InsertOutcome::Duplicate { index: None });
    assert_eq!(insert(2, DatumRef::Text("a")), InsertOutcome::Duplicate { index: Some(0) });
    assert_eq!(insert(3, DatumRef::Null), InsertOutcome::Inserted(RowId(3)));
    assert_eq!(insert(4, DatumRef::Null), InsertOutcome::Inserted(RowId(4)));
    let (old, new) = ([DatumRef::BigInt(3), DatumRef::Null], [DatumRef::BigInt(1), DatumRef::Text("c")]);
    let moved = rows.update(&mut transaction, RowId(3), &old, &new).unwrap();
    assert_eq!(moved, UpdateOutcome::Duplicate { index: None });
    let new = [DatumRef::BigInt(9), DatumRef::Text("c")];
    assert_eq!(
        rows.update(&mut transaction, RowId(3), &old, &new).unwrap(),
        UpdateOutcome::Updated(RowId(9))
    );
    commit(&database, transaction, None);
    assert_eq!(scan_all(&database).into_keys().collect::<Vec<_>>(), [1, 4, 9]);
    check_sound(&database);
}

#[test]
fn a_row_changed_by_others_is_noticed_when_it_is_locked() {
    let vfs = Arc::new(MemoryVfs::new());
    let database = open(&vfs, 4096);
    create(&database, RowIdSource::Column(0), &[DataType::BigInt], vec![]);
    let mut transaction = begin(&database, IsolationLevel::ReadCommitted);
    let rows = table(&database, &transaction);
    for id in 1..=2 {
        rows.insert(&mut transaction, &[DatumRef::BigInt(id)]).unwrap();
    }
    commit(&database, transaction, None);
    let mut committed = begin(&database, IsolationLevel::ReadCommitted);
    let mut repeatable = begin(&database, IsolationLevel::RepeatableRead);
    let mut other = begin(&database, IsolationLevel::ReadCommitted);
    rows.lock(&mut other, RowId(1), RowLockMode::Update).unwrap();
    rows.delete(&mut other, RowId(1), &[DatumRef::BigInt(1)]).unwrap();
    commit(&database, other, None);
    assert_eq!(rows.lock(&mut committed, RowId(1), RowLockMode::Update).unwrap(), LockedRow::Gone);
    assert_eq!(rows.lock(&mut committed, RowId(2), RowLockMode::Update).unwrap(), LockedRow::Unchanged);
    committed.rollback();
    let error = rows.lock(&mut repeatable, RowId(1), RowLockMode::Update).unwrap_err();
    assert_eq!(error.state(), SqlState::SERIALIZATION_FAILURE);
}

#[test]
fn large_values_are_kept_changed_and_removed_with_their_row() {
    let vfs = Arc::new(MemoryVfs::new());
    let database = open(&vfs, 4096);
    create(&database, RowIdSource::Counter, &[DataType::Text, DataType::Bytea, DataType::Integer], vec![]);
    let long: String = "žluťoučký ".repeat(100_000);
    let bytes: Vec<u8> = (0..3_000_000u32).map(|at| ((at * 7) >> 3) as u8).collect();
    let row = [DatumRef::Text(&long), DatumRef::Bytes(&bytes), DatumRef::Integer(1)];
    let mut transaction = begin(&database, IsolationLevel::ReadCommitted);
    let rows = table(&database, &transaction);
    let InsertOutcome::Inserted(id) = rows.insert(&mut transaction, &row).unwrap() else { panic!() };
    rows.insert(&mut transaction, &row).unwrap();
    commit(&database, transaction, None);
    check_sound(&database);
    let check = |database: &Database, number: i32| {
        let transaction = begin(database, IsolationLevel::ReadCommitted);
        let rows = table(database, &transaction);
        let values = rows.get_datums(&transaction, id, ReadView::Snapshot).unwrap().unwrap();
        assert!(matches!(&values[0], Datum::Text(text) if **text == *long));
        assert!(matches!(&values[1], Datum::Bytes(read) if **read == *bytes));
        assert!(matches!(values[2], Datum::Integer(read) if read == number));
        let mut batch = Batch::default();
        let everything = (Bound::Unbounded, Bound::Unbounded);
        let mut scan = rows.scan(&transaction, everything, true, &[1, 0], false).unwrap();
        assert!(scan.next_batch(&transaction, &mut batch).unwrap());
        assert!(matches!(batch.columns[0].datum(0), DatumRef::Bytes(read) if *read == *bytes));
        assert!(matches!(batch.columns[1].datum(0), DatumRef::Text(read) if *read == *long));
    };
    check(&database, 1);
    let mut transaction = begin(&database, IsolationLevel::ReadCommitted);
    let new = [row[0], row[1], DatumRef::Integer(2)];
    rows.update(&mut transaction, id, &row, &new).unwrap();
    commit(&database, transaction, None);
    check(&database, 2);
    check_sound(&database);
    // A change that did not read them keeps them.
    let mut transaction = begin(&database, IsolationLevel::ReadCommitted);
    let unread = [DatumRef::Text(""), DatumRef::Bytes(&[]), DatumRef::Integer(2)];
    let kept = [unread[0], unread[1], DatumRef::Integer(7)];
    let columns = Unread { columns: &[0, 1], kept: &[0, 1] };
    let mut pending = PendingKeys::default();
    assert_eq!(rows.update_or_wait(&mut transaction, id, &unread, &kept, columns, &mut pending).unwrap(), id);
    commit(&database, transaction, None);
    check(&database, 7);
    check_sound(&database);
    // One that sets one of them keeps the other, and takes an equal value for the one that is there.
    let mut transaction = begin(&database, IsolationLevel::ReadCommitted);
    let set = [DatumRef::Text(&long), unread[1], DatumRef::Integer(2)];
    let columns = Unread { columns: &[0, 1], kept: &[1] };
    rows.update_or_wait(&mut transaction, id, &kept, &set, columns, &mut pending).unwrap();
    commit(&database, transaction, None);
    check(&database, 2);
    check_sound(&database);
    // A row that has room takes back what it only pointed to, and its pieces go.
    let mut transaction = begin(&database, IsolationLevel::ReadCommitted);
    let half = "h".repeat(900);
    let halves = [DatumRef::Text(&half), DatumRef::Bytes(half.as_bytes()), DatumRef::Integer(1)];
    let InsertOutcome::Inserted(third) = rows.insert(&mut transaction, &halves).unwrap() else { panic!() };
    let half_read = [DatumRef::Text(""), halves[1], halves[2]];
    let room = [DatumRef::Text(""), DatumRef::Bytes(b"b"), halves[2]];
    let columns = Unread { columns: &[0], kept: &[0] };
    rows.update_or_wait(&mut transaction, third, &half_read, &room, columns, &mut pending).unwrap();
    let found = rows.get_datums(&transaction, third, ReadView::Latest).unwrap().unwrap();
    assert!(matches!(&found[0], Datum::Text(text) if **text == *half));
    commit(&database, transaction, None);
    check_sound(&database);
    let mut transaction = begin(&database, IsolationLevel::ReadCommitted);
    let whole = [halves[0], room[1], halves[2]];
    rows.delete_unread(&mut transaction, third, &whole, &[0]).unwrap();
    commit(&database, transaction, None);
    check_sound(&database);
    let mut transaction = begin(&database, IsolationLevel::ReadCommitted);
    let short = [DatumRef::Text("short"), DatumRef::Null, DatumRef::Integer(3)];
    rows.update(&mut transaction, id, &new, &short).unwrap();
    commit(&database, transaction, None);
    check_sound(&database);
    let mut transaction = begin(&database, IsolationLevel::ReadCommitted);
    let unread = [DatumRef::Text(""), DatumRef::Bytes(&[]), row[2]];
    rows.delete_unread(&mut transaction, RowId(id.0 + 1), &unread, &[0, 1]).unwrap();
    commit(&database, transaction, None);
    check_sound(&database);
    drop((rows, database));
    let database = open(&vfs, 4096);
    check_sound(&database);
    assert_eq!(scan_all(&database).len(), 1);
}

#[test]
fn a_value_larger_than_the_memory_is_read_in_parts() {
    let vfs = Arc::new(MemoryVfs::new());
    let open = |memory: usize| {
        let options = DatabaseOptions { memory_limit: Some(memory), ..options(&vfs, 8192) };
        Database::open(Some(Path::new("app.lumos")), options).unwrap()
    };
    let ask = |session: &mut Session, sql: &str, parameters: &[Datum]| -> Result<Vec<i32>> {
        let statement = session.prepare(sql)?.0.unwrap();
        let mut portal = session.execute(&statement, parameters)?;
        let mut numbers = Vec::new();
        while let Some(batch) = session.fetch(&mut portal)? {
            for row in batch.row_numbers() {
                let row = batch.columns.iter().map(|column| column.datum(row));
                numbers
                    .extend(row.map(|value| if let DatumRef::Integer(number) = value { number } else { -1 }));
            }
        }
        session.close(portal);
        Ok(numbers)
    };
    let bytes: Arc<[u8]> =
        (0..40_000_000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let database = open(256 << 20);
    let mut session = database.connect().unwrap();
    session.execute_script("create table t (id integer primary key, b bytea)").unwrap();
    ask(&mut session, "insert into t values (1, $1)", &[Datum::Bytes(Arc::clone(&bytes))]).unwrap();
    drop((session, database));
    let database = open(16 << 20);
    let mut session = database.connect().unwrap();
    for at in [0usize, 19_999_999, 39_999_999] {
        let sql = format!(
            "select get_byte(b, {at}), octet_length(substr(b, {at} + 1, 9000)), octet_length(b) from t"
        );
        let expected = vec![i32::from(bytes[at]), 9000.min(40_000_000 - at as i32), 40_000_000];
        assert_eq!(ask(&mut session, &sql, &[]).unwrap(), expected);
    }
    assert_eq!(ask(&mut session, "select 1 from t where b is not null and id = 1", &[]).unwrap(), [1]);
    for sql in ["select length(md5(b)) from t", "select length(md5(b)) from t where id = 1"] {
        assert_eq!(ask(&mut session, sql, &[]).unwrap_err().state(), SqlState::OUT_OF_MEMORY);
    }
}

/// Random inserts, updates and deletes on small pages against a map, with scans, index scans and verification.
#[test]
fn random_changes_keep_rows_and_indexes_as_the_model_has_them() {
    for seed in 1..=4 {
        let mut random = Random::new(seed);
        let vfs = Arc::new(MemoryVfs::new());
        let mut database = open(&vfs, 1024);
        let types = [DataType::BigInt, DataType::Text, DataType::Integer];
        let descending = IndexColumn { descending: true, nulls_first: true, ..column(2) };
        let indexes = vec![(vec![column(1)], true), (vec![descending, column(1)], false)];
        let source = if seed % 2 == 0 { RowIdSource::Counter } else { RowIdSource::Column(0) };
        create(&database, source, &types, indexes);
        let mut model: BTreeMap<i64, Vec<Datum>> = BTreeMap::new();
        for round in 0..12 {
            let mut transaction = begin(&database, IsolationLevel::ReadCommitted);
            let rows = table(&database, &transaction);
            let mut changed = model.clone();
            for _ in 0..40 {
                change(&mut random, &rows, &mut transaction, &mut changed, seed);
                transaction.next_command();
            }
            if random.below(4) == 0 {
                transaction.rollback();
            } else {
                commit(&database, transaction, None);
                model = changed;
            }
            let expected: BTreeMap<i64, Vec<String>> = (model.iter())
                .map(|(id, row)| (*id, refs(row).iter().map(|value| format!("{value:?}")).collect()))
                .collect();
            assert_eq!(scan_all(&database), expected, "seed {seed} round {round}");
            check_index_scan(&database, &model, seed);
            check_sound(&database);
            if round % 4 == 3 {
                drop(rows);
                if round == 7 {
                    database.poison(Error::internal("crash"));
                }
                drop(database);
                database = open(&vfs, 1024);
            }
        }
    }
}

fn random_row(random: &mut Random, id: i64) -> Vec<Datum> {
    let name = match random.below(12) {
        0 => Datum::Null,
        1 => Datum::text(&"long ".repeat(20)),
        _ => Datum::text(&format!("name {}", random.below(120))),
    };
    let number = if random.below(9) == 0 { Datum::Null } else { Datum::Integer(random.below(10) as i32 - 5) };
    vec![Datum::BigInt(id), name, number]
}

fn same(left: &Datum, right: &Datum) -> bool {
    !left.is_null() && format!("{left:?}") == format!("{right:?}")
}

fn change(
    random: &mut Random,
    rows: &Table,
    transaction: &mut Transaction,
    model: &mut BTreeMap<i64, Vec<Datum>>,
    seed: u64,
) {
    let keyed = seed % 2 == 1;
    let victim = model.keys().nth(random.below(model.len().max(1) as u64) as usize).copied();
    let new = random_row(random, random.clone().below(200) as i64);
    let Datum::BigInt(new_id) = new[0] else { panic!("the first column is the id") };
    let name_taken = |model: &BTreeMap<i64, Vec<Datum>>, but: Option<i64>| {
        model.iter().any(|(id, row)| Some(*id) != but && same(&row[1], &new[1]))
    };
    match (random.below(3), victim) {
        (0, Some(id)) => {
            let old = model.remove(&id).unwrap();
            rows.delete(transaction, RowId(id), &refs(&old)).unwrap();
        }
        (1, Some(id)) => {
            let old = model[&id].clone();
            let outcome = rows.update(transaction, RowId(id), &refs(&old), &refs(&new)).unwrap();
            if keyed && new_id != id && model.contains_key(&new_id) {
                assert_eq!(outcome, UpdateOutcome::Duplicate { index: None }, "seed {seed}");
            } else if name_taken(model, Some(id)) {
                assert_eq!(outcome, UpdateOutcome::Duplicate { index: Some(0) }, "seed {seed}");
            } else {
                let target = if keyed { new_id } else { id };
                assert_eq!(outcome, UpdateOutcome::Updated(RowId(target)), "seed {seed}");
                model.remove(&id);
                model.insert(target, new);
            }
        }
        _ => match rows.insert(transaction, &refs(&new)).unwrap() {
            InsertOutcome::Inserted(id) => {
                assert!(!name_taken(model, None), "seed {seed}");
                assert!(model.insert(id.0, new).is_none(), "seed {seed}: row id {id} was given out twice");
            }
            InsertOutcome::Duplicate { index: None } => {
                assert!(keyed && model.contains_key(&new_id), "seed {seed}");
            }
            InsertOutcome::Duplicate { index: Some(index) } => {
                assert!(index == 0 && name_taken(model, None), "seed {seed}");
            }
        },
    }
}

/// Rows with a number of −2 or more and less than 3, in the order of the second index, both ways.
fn check_index_scan(database: &Database, model: &BTreeMap<i64, Vec<Datum>>, seed: u64) {
    let transaction = begin(database, IsolationLevel::ReadCommitted);
    let rows = table(database, &transaction);
    let number = |row: &[Datum]| match row[2] {
        Datum::Integer(number) => Some(number),
        _ => None,
    };
    let expected = model.values().filter(|row| number(row).is_some_and(|n| (-2..3).contains(&n))).count();
    for order in [IndexOrder::Forward, IndexOrder::Backward, IndexOrder::Any] {
        let range = IndexRange {
            equal: &[],
            lower: Some((DatumRef::Integer(-2), true)),
            upper: Some((DatumRef::Integer(3), false)),
        };
        let mut scan = rows.index_scan(&transaction, 1, range, order, &[2], true).unwrap();
        let (mut found, mut batch) = (Vec::new(), Batch::default());
        while scan.next_batch(&transaction, &mut batch).unwrap() {
            for row in 0..batch.rows {
                let DatumRef::Integer(value) = batch.columns[0].datum(row) else { panic!("not NULL") };
                let DatumRef::BigInt(id) = batch.columns[1].datum(row) else { panic!("a row id") };
                assert_eq!(number(&model[&id]), Some(value), "seed {seed}");
                found.push((value, id));
            }
        }
        assert_eq!(found.len(), expected, "seed {seed}");
        // The index is descending.
        assert!(found.windows(2).all(|pair| match order {
            IndexOrder::Forward => pair[0].0 >= pair[1].0,
            IndexOrder::Backward => pair[0].0 <= pair[1].0,
            IndexOrder::Any => pair[0].1 < pair[1].1,
        }));
    }
}

#[test]
fn an_index_made_later_has_every_row_and_refuses_older_snapshots() {
    let vfs = Arc::new(MemoryVfs::new());
    let database = open(&vfs, 4096);
    let definition = create(&database, RowIdSource::Counter, &[DataType::Integer], vec![]);
    let mut transaction = begin(&database, IsolationLevel::ReadCommitted);
    let rows = table(&database, &transaction);
    for number in 0..3000 {
        rows.insert(&mut transaction, &[DatumRef::Integer(number / 2)]).unwrap();
    }
    commit(&database, transaction, None);
    let older = begin(&database, IsolationLevel::RepeatableRead);
    let computed = crate::session::computed_values(&definition).unwrap();
    for unique in [true, false] {
        let mut transaction = begin(&database, IsolationLevel::ReadCommitted);
        let mut layout = (*definition.layout).clone();
        layout
            .indexes
            .push(build::create_index_tree(&mut transaction, vec![column(0)], unique, None).unwrap());
        let layout = Arc::new(layout);
        let engine = database.engine();
        let manager = &engine.manager;
        let outcome = build::build_index(manager, &mut transaction, &layout, 0, &computed).unwrap();
        if unique {
            assert!(
                matches!(outcome, BuildOutcome::Duplicate(values) if matches!(values[..], [Datum::Integer(0)]))
            );
            transaction.rollback();
            continue;
        }
        assert!(matches!(outcome, BuildOutcome::Built));
        let id = database.engine().catalog.next_object_id(&mut transaction).unwrap();
        let indexes = vec![IndexDefinition::new(id, "t_index".to_owned(), None)];
        let changed = Arc::new(TableDefinition { layout, indexes, ..(*definition).clone() });
        database.engine().catalog.write_table(&mut transaction, &changed).unwrap();
        let own = database.engine().catalog.current().with_table(changed);
        commit(&database, transaction, Some(&own));
    }
    check_sound(&database);
    let range = IndexRange { equal: &[DatumRef::Integer(7)], ..IndexRange::default() };
    let error =
        table(&database, &older).index_scan(&older, 0, range, IndexOrder::Forward, &[0], false).unwrap_err();
    assert_eq!(error.state(), SqlState::SERIALIZATION_FAILURE);
    let newer = begin(&database, IsolationLevel::RepeatableRead);
    let rows = table(&database, &newer);
    let mut scan = rows.index_scan(&newer, 0, range, IndexOrder::Forward, &[0], true).unwrap();
    let mut batch = Batch::default();
    assert!(scan.next_batch(&newer, &mut batch).unwrap());
    assert_eq!(batch.rows, 2);
}

#[test]
fn a_name_is_made_once_and_is_free_again_after_its_table_is_gone() {
    let vfs = Arc::new(MemoryVfs::new());
    let database = open(&vfs, 4096);
    let definition = create(&database, RowIdSource::Counter, &[DataType::Integer], vec![]);
    let engine = database.engine();
    let catalog = &engine.catalog;
    let mut transaction = begin(&database, IsolationLevel::ReadCommitted);
    let id = catalog.next_object_id(&mut transaction).unwrap();
    let namesake = TableDefinition { id, ..(*definition).clone() };
    let error = catalog.write_table(&mut transaction, &namesake).unwrap_err();
    assert_eq!(error.state(), SqlState::DUPLICATE_TABLE);
    transaction.rollback();
    let mut transaction = begin(&database, IsolationLevel::ReadCommitted);
    catalog.remove_table(&mut transaction, &definition).unwrap();
    build::drop_trees(&mut transaction, &definition.layout).unwrap();
    let own = catalog.current().without_table(definition.id);
    commit(&database, transaction, Some(&own));
    let next = create(&database, RowIdSource::Counter, &[DataType::Integer], vec![]);
    assert!(next.id > id);
    check_sound(&database);
}

#[test]
fn what_is_no_database_is_refused_with_its_reason() {
    let vfs = Arc::new(MemoryVfs::new());
    let file = vfs.open(Path::new("app.lumos"), OpenMode::CreateNew).unwrap();
    file.write_at(b"something else altogether, long enough to look at", 0).unwrap();
    let error = Database::open(Some(Path::new("app.lumos")), options(&vfs, 4096)).unwrap_err();
    assert_eq!(error.state(), SqlState::DATA_CORRUPTED);
    let error = Database::open(Some(Path::new("app.lumos")), options(&vfs, 4096)).unwrap_err();
    assert_eq!(error.state(), SqlState::DATA_CORRUPTED, "a failed open gives its claim back");
    let absent = DatabaseOptions { create: false, ..options(&vfs, 4096) };
    let error = Database::open(Some(Path::new("absent.lumos")), absent).unwrap_err();
    assert_eq!(error.state(), SqlState::UNDEFINED_FILE);
    let folder = DatabaseOptions { memory_limit: Some(64 << 20), ..DatabaseOptions::default() };
    let error = Database::open(Some(Path::new("/")), folder).unwrap_err();
    assert_eq!(error.state(), SqlState::IO_ERROR);
}

#[test]
fn a_database_in_memory_is_its_own() {
    let options = DatabaseOptions { memory_limit: Some(64 << 20), ..DatabaseOptions::default() };
    let (first, second) =
        (Database::open(None, options.clone()).unwrap(), Database::open(None, options).unwrap());
    create(&first, RowIdSource::Counter, &[DataType::Integer], vec![]);
    assert!(second.engine().catalog.current().table(None, "t").is_none());
    check_sound(&first);
    assert_eq!(first.statistic("commits"), Some(1));
    assert_eq!(first.statistic("no such figure"), None);
}

#[test]
fn a_lost_log_folder_is_refused_once_something_was_committed_and_a_checkpoint_without_commits_needs_none() {
    let vfs = crate::io::fault::FaultVfs::new();
    let options = || DatabaseOptions { vfs: Some(Arc::new(vfs.clone())), ..DatabaseOptions::default() };
    let path = Path::new("/lost.lumos");
    let database = Database::open(Some(path), options()).unwrap();
    database.checkpoint().unwrap();
    let untouched = vfs.image_after_power_loss(crate::io::fault::Survival::Everything, 1);
    drop(database);
    let again = DatabaseOptions { vfs: Some(Arc::new(untouched)), ..DatabaseOptions::default() };
    drop(Database::open(Some(path), again).unwrap());

    let database = Database::open(Some(path), options()).unwrap();
    database.connect().unwrap().execute_script("CREATE TABLE t (a bigint)").unwrap();
    let crashed = vfs.image_after_power_loss(crate::io::fault::Survival::Everything, 1);
    drop(database);
    let crashed: Arc<dyn crate::io::vfs::Vfs> = Arc::new(crashed);
    let folder = Path::new("/lost.lumos-wal");
    let names = crashed.list_folder(folder).unwrap();
    assert!(!names.is_empty());
    for name in names {
        crashed.remove(&folder.join(name)).unwrap();
    }
    let without = DatabaseOptions { vfs: Some(crashed), ..DatabaseOptions::default() };
    assert_eq!(Database::open(Some(path), without).unwrap_err().state(), SqlState::DATA_CORRUPTED);
}

#[test]
fn a_small_database_has_no_thread_and_a_larger_one_gets_its_checkpoints_in_the_background() {
    let vfs = Arc::new(MemoryVfs::new());
    let small = DatabaseOptions { memory_limit: Some(8 << 20), ..options(&vfs, 4096) };
    let database = Database::open(Some(Path::new("app.lumos")), small).unwrap();
    let mut session = database.connect().unwrap();
    session.execute_script("CREATE TABLE t (id bigint PRIMARY KEY, s text)").unwrap();
    session.execute_script("INSERT INTO t VALUES (1, 'a'); DELETE FROM t; CHECKPOINT").unwrap();
    let manager = Arc::clone(&database.engine().manager);
    assert!(!manager.has_checkpointer());
    let written = |database: &Database| database.statistic("checkpoints").unwrap();
    let before = written(&database);
    let mut next = 0;
    while written(&database) < before + 2 {
        assert!(next < 100_000, "the log grows, and no checkpoint comes");
        let values: Vec<String> = (next..next + 200).map(|id| format!("({id}, repeat('s', 1200))")).collect();
        session.execute_script(&format!("INSERT INTO t VALUES {}", values.join(","))).unwrap();
        session.execute_script(&format!("UPDATE t SET s = 'short' WHERE id = {next}")).unwrap();
        next += 200;
    }
    assert!(manager.has_checkpointer());
    check_sound(&database);
    drop((session, manager, database));
    assert!(vfs.list_folder(Path::new("app.lumos-wal")).unwrap().is_empty(), "it was closed cleanly");
    let database = open(&vfs, 4096);
    assert_eq!(scan_all(&database).len(), next);
}

#[test]
fn what_recovery_brought_back_is_written_in_the_background_while_others_work() {
    use crate::io::fault::{FaultVfs, Survival};
    let vfs = FaultVfs::new();
    let path = Path::new("/recovered.lumos");
    let options = |vfs: &FaultVfs, background_checkpoints| DatabaseOptions {
        memory_limit: Some(16 << 20),
        vfs: Some(Arc::new(vfs.clone())),
        background_checkpoints,
        ..DatabaseOptions::default()
    };
    let database = Database::open(Some(path), options(&vfs, false)).unwrap();
    let mut session = database.connect().unwrap();
    session.execute_script("CREATE TABLE t (id bigint PRIMARY KEY); INSERT INTO t VALUES (1), (2)").unwrap();
    let crashed = vfs.image_after_power_loss(Survival::Everything, 1);
    drop((session, database));

    let quiet = Database::open(Some(path), options(&crashed, false)).unwrap();
    assert!(!quiet.engine().manager.has_checkpointer());
    assert_eq!(quiet.statistic("checkpoints"), Some(0));
    let crashed = crashed.image_after_power_loss(Survival::Everything, 2);
    drop(quiet);

    let database = Database::open(Some(path), options(&crashed, true)).unwrap();
    assert!(database.engine().manager.has_checkpointer());
    database.connect().unwrap().execute_script("INSERT INTO t VALUES (3)").unwrap();
    while database.statistic("checkpoints") == Some(0) {
        std::thread::yield_now();
    }
    check_sound(&database);
    let again = crashed.image_after_power_loss(Survival::Nothing, 3);
    drop(database);
    let database = Database::open(Some(path), options(&again, false)).unwrap();
    database.connect().unwrap().execute_script("INSERT INTO t VALUES (4)").unwrap();
    let duplicate = database.connect().unwrap().execute_script("INSERT INTO t VALUES (3)").unwrap_err();
    assert_eq!(duplicate.state(), SqlState::UNIQUE_VIOLATION);
    check_sound(&database);
}
