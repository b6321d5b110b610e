//! Reading beside a writer, in one process: two file systems over the same files stand for two processes.

use crate::common::sync::Arc;
use crate::database::Database;
use crate::database::options::DatabaseOptions;
use crate::error::{Error, Result, SqlState};
use crate::io::memory::MemoryVfs;
use crate::io::vfs::{File, OpenMode, Vfs};
use crate::session::Session;
use crate::sql::types::datum::Datum;
use std::path::{Path, PathBuf};

/// The same files under another file system.
#[derive(Debug)]
struct Same(Arc<MemoryVfs>);

impl Vfs for Same {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn File>> {
        self.0.open(path, mode)
    }
    fn exists(&self, path: &Path) -> Result<bool> {
        self.0.exists(path)
    }
    fn remove(&self, path: &Path) -> Result<()> {
        self.0.remove(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.0.rename(from, to)
    }
    fn create_folder(&self, path: &Path) -> Result<()> {
        self.0.create_folder(path)
    }
    fn remove_folder(&self, path: &Path) -> Result<()> {
        self.0.remove_folder(path)
    }
    fn list_folder(&self, path: &Path) -> Result<Vec<String>> {
        self.0.list_folder(path)
    }
    fn sync_folder(&self, path: &Path) -> Result<()> {
        self.0.sync_folder(path)
    }
    fn canonical(&self, path: &Path) -> Result<PathBuf> {
        self.0.canonical(path)
    }
}

const PATH: &str = "app.lumos";

fn options(vfs: Arc<dyn Vfs>, read_only: bool) -> DatabaseOptions {
    DatabaseOptions { memory_limit: Some(16 << 20), read_only, vfs: Some(vfs), ..DatabaseOptions::default() }
}

fn write(vfs: &Arc<MemoryVfs>) -> Arc<Database> {
    Database::open(Some(Path::new(PATH)), options(Arc::<MemoryVfs>::clone(vfs), false)).unwrap()
}

fn read(vfs: &Arc<MemoryVfs>) -> Arc<Database> {
    let same = Arc::new(Same(Arc::clone(vfs)));
    Database::open(Some(Path::new(PATH)), options(same, true)).unwrap()
}

fn values(session: &mut Session, sql: &str) -> Result<Vec<Vec<Datum>>> {
    let statement = session.prepare(sql)?.0.unwrap();
    run(session, &statement)
}

fn run(session: &mut Session, statement: &Arc<crate::session::Prepared>) -> Result<Vec<Vec<Datum>>> {
    let mut portal = session.execute(statement, &[])?;
    let mut rows = Vec::new();
    while let Some(batch) = session.fetch(&mut portal)? {
        for row in batch.row_numbers() {
            rows.push(batch.columns.iter().map(|column| column.datum(row).to_owned()).collect());
        }
    }
    session.close(portal);
    Ok(rows)
}

fn sum(session: &mut Session) -> i64 {
    match values(session, "SELECT sum(b)::bigint FROM t").unwrap()[..] {
        [ref row] => match row[..] {
            [Datum::BigInt(sum)] => sum,
            ref other => panic!("{other:?}"),
        },
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn a_reader_sees_the_last_checkpoint_and_goes_on_at_its_next_transaction() {
    let vfs = Arc::new(MemoryVfs::new());
    let writer = write(&vfs);
    let mut client = writer.connect().unwrap();
    // A script of several statements is one transaction, which a checkpoint in it does not hold.
    let mut go = |script: &str| {
        for sql in script.split(';') {
            client.execute_script(sql).unwrap();
        }
    };
    go("CREATE TABLE t (a int PRIMARY KEY, b int); INSERT INTO t SELECT g, 1 FROM generate_series(1, 500) g");
    go("CHECKPOINT");
    let reader = read(&vfs);
    let mut first = reader.connect().unwrap();
    let mut second = reader.connect().unwrap();
    assert_eq!((sum(&mut first), sum(&mut second)), (500, 500));
    go("UPDATE t SET b = 2");
    assert_eq!(sum(&mut first), 500, "what is only in the log is the writer's");
    let point = first.prepare("SELECT b FROM t WHERE a = 7").unwrap().0.unwrap();
    second.execute_script("BEGIN").unwrap();
    assert_eq!(sum(&mut second), 500);
    let open = first.prepare("SELECT b FROM t").unwrap().0.unwrap();
    let mut portal = first.execute(&open, &[]).unwrap();
    go("CHECKPOINT");
    for b in 3..9 {
        go(&format!("UPDATE t SET b = {b}"));
        go("CHECKPOINT");
    }
    assert!(writer.statistic("blocks_retained").unwrap() > 0);
    assert_eq!(sum(&mut second), 500, "a transaction keeps its checkpoint");
    let mut rows = 0;
    while let Some(batch) = first.fetch(&mut portal).unwrap() {
        for row in batch.row_numbers() {
            assert!(matches!(batch.columns[0].datum(row).to_owned(), Datum::Integer(1)));
            rows += 1;
        }
    }
    assert_eq!(rows, 500, "so does a query whose rows are fetched");
    first.close(portal);
    assert_eq!(sum(&mut first), 4000);
    assert!(matches!(run(&mut first, &point).unwrap()[0][..], [Datum::Integer(8)]));
    second.execute_script("COMMIT").unwrap();
    assert_eq!(sum(&mut second), 4000);
    // Definitions go on with the rest, and so do statements that were prepared before.
    go(
        "DROP TABLE t; CREATE TABLE t (a int PRIMARY KEY, b int, c text); INSERT INTO t VALUES (7, 70, 'x'); CHECKPOINT",
    );
    assert!(matches!(run(&mut first, &point).unwrap()[0][..], [Datum::Integer(70)]));
    let error = first.execute_script("INSERT INTO t VALUES (8, 80, 'y')").unwrap_err();
    assert_eq!(error.state(), SqlState::READ_ONLY_SQL_TRANSACTION);
    let mut findings = Vec::new();
    assert_eq!(reader.verify(&mut |line| findings.push(line.to_owned())).unwrap(), 0, "{findings:?}");
    let image = reader.serialize().unwrap();
    let mut bytes = vec![0; image.len()];
    image.copy_to(&mut bytes).unwrap();
    let memory = DatabaseOptions { memory_limit: Some(8 << 20), ..DatabaseOptions::default() };
    let copy = Database::deserialize(&bytes, memory).unwrap();
    assert_eq!(sum(&mut copy.connect().unwrap()), 70, "a reader can be copied");
    go("CREATE TABLE u (a int); CHECKPOINT; VACUUM FULL t");
    assert_eq!((sum(&mut first), sum(&mut second)), (70, 70));
    go("UPDATE t SET b = 71; CHECKPOINT");
    assert_eq!((sum(&mut first), sum(&mut second)), (71, 71));
    drop((first, second, reader));
    go("UPDATE t SET b = 72; CHECKPOINT");
    assert_eq!(
        writer.statistic("blocks_retained").unwrap(),
        0,
        "a statement that is only prepared holds nothing"
    );
}

#[test]
fn a_reader_outlives_writers_that_die_recover_and_close() {
    let vfs = Arc::new(MemoryVfs::new());
    let writer = write(&vfs);
    let mut client = writer.connect().unwrap();
    client.execute_script("CREATE TABLE t (a int PRIMARY KEY, b int); INSERT INTO t VALUES (1, 10)").unwrap();
    client.execute_script("CHECKPOINT").unwrap();
    let reader = read(&vfs);
    let mut session = reader.connect().unwrap();
    let mut block = reader.connect().unwrap();
    block.execute_script("BEGIN").unwrap();
    assert_eq!((sum(&mut session), sum(&mut block)), (10, 10));
    client.execute_script("UPDATE t SET b = 11").unwrap();
    writer.poison(Error::internal("the writer dies"));
    drop((client, writer));
    assert_eq!(sum(&mut session), 10, "nobody recovers for the reader");
    for b in 12..20 {
        let writer = write(&vfs);
        let mut client = writer.connect().unwrap();
        assert_eq!(sum(&mut client), b - 1);
        client
            .execute_script(&format!(
                "UPDATE t SET b = {b} WHERE a = 1; INSERT INTO t SELECT g, 0 FROM generate_series({b}00, {b}90) g"
            ))
            .unwrap();
        client.execute_script("CHECKPOINT").unwrap();
        client.execute_script("VACUUM").unwrap();
        assert_eq!((sum(&mut session), sum(&mut block)), (b, 10));
        if b % 2 == 0 {
            writer.poison(Error::internal("and again"));
        }
    }
    assert_eq!((sum(&mut session), sum(&mut block)), (19, 10));
    block.execute_script("COMMIT").unwrap();
    assert_eq!(sum(&mut block), 19);
    let mut findings = Vec::new();
    assert_eq!(reader.verify(&mut |line| findings.push(line.to_owned())).unwrap(), 0, "{findings:?}");
}

#[test]
fn a_file_that_is_being_written_is_not_opened_for_writing_and_handles_of_readers_meet() {
    let vfs = Arc::new(MemoryVfs::new());
    let writer = write(&vfs);
    writer
        .connect()
        .unwrap()
        .execute_script("CREATE TABLE t (a int, b int); INSERT INTO t VALUES (1, 1)")
        .unwrap();
    let same: Arc<dyn Vfs> = Arc::new(Same(Arc::clone(&vfs)));
    let open = || Database::open(Some(Path::new(PATH)), options(Arc::clone(&same), true)).unwrap();
    let check = || Database::check(Path::new(PATH), options(Arc::clone(&same), true), &mut |_| ());
    assert_eq!(check().unwrap(), 0, "its last checkpoint is looked at");
    let (first, second) = (open(), open());
    assert!(Arc::ptr_eq(&first.engine(), &second.engine()), "one engine a process");
    assert_eq!(check().unwrap(), 0, "what is open here is checked as it is read here");
    let error = Database::open(Some(Path::new(PATH)), options(Arc::clone(&same), false)).unwrap_err();
    assert_eq!(error.state(), SqlState::OBJECT_IN_USE);
    drop((first, second));
    drop(writer);
    assert_eq!(sum(&mut open().connect().unwrap()), 1);
}

#[test]
fn whoever_reads_a_closed_file_keeps_no_writer_out_and_whoever_replays_a_log_does() {
    let vfs = Arc::new(MemoryVfs::new());
    let go = |database: &Arc<Database>, sql: &str| database.connect().unwrap().execute_script(sql).unwrap();
    let writer = write(&vfs);
    go(&writer, "CREATE TABLE t (a int PRIMARY KEY, b int); INSERT INTO t VALUES (1, 1)");
    drop(writer);
    let reader = read(&vfs);
    assert!(reader.is_beside_writer());
    let mut session = reader.connect().unwrap();
    assert_eq!(sum(&mut session), 1);
    let writer = write(&vfs);
    go(&writer, "UPDATE t SET b = 2");
    go(&writer, "CHECKPOINT");
    assert_eq!(sum(&mut session), 2);
    go(&writer, "UPDATE t SET b = 3");
    writer.poison(Error::internal("the writer dies"));
    drop((writer, session, reader));
    let reader = read(&vfs);
    assert!(!reader.is_beside_writer());
    assert_eq!(sum(&mut reader.connect().unwrap()), 3, "what the log holds is applied in memory");
    let refused = Database::open(Some(Path::new(PATH)), options(Arc::<MemoryVfs>::clone(&vfs), false));
    assert_eq!(refused.unwrap_err().state(), SqlState::OBJECT_IN_USE);
    drop(reader);
    assert_eq!(sum(&mut write(&vfs).connect().unwrap()), 3);
}

#[test]
fn a_session_that_stays_with_an_older_checkpoint_is_ended_by_its_number_too() {
    let vfs = Arc::new(MemoryVfs::new());
    let writer = write(&vfs);
    let mut client = writer.connect().unwrap();
    for sql in ["CREATE TABLE t (a int PRIMARY KEY, b int)", "INSERT INTO t VALUES (1, 1)", "CHECKPOINT"] {
        client.execute_script(sql).unwrap();
    }
    let reader = read(&vfs);
    let (mut older, mut newer) = (reader.connect().unwrap(), reader.connect().unwrap());
    older.execute_script("BEGIN").unwrap();
    assert_eq!(sum(&mut older), 1);
    for sql in ["UPDATE t SET b = 2", "CHECKPOINT"] {
        client.execute_script(sql).unwrap();
    }
    assert_eq!((sum(&mut older), sum(&mut newer)), (1, 2));
    assert!(!reader.terminate(older.id() + newer.id()) && !reader.cancel(0));
    assert!(reader.cancel(older.id()), "nothing runs: nothing is cancelled");
    assert_eq!(sum(&mut older), 1);
    for session in [&mut older, &mut newer] {
        assert!(reader.terminate(session.id()));
        let error = values(session, "SELECT b FROM t").unwrap_err();
        assert_eq!((error.state(), error.is_unstarted()), (SqlState::ADMIN_SHUTDOWN, true));
    }
    drop(older);
    assert!(!reader.terminate(1), "its engine went with it");
    assert_eq!(sum(&mut reader.connect().unwrap()), 2);
}

#[test]
fn a_file_that_is_being_written_is_checked_at_its_last_checkpoint() {
    let vfs = Arc::new(MemoryVfs::new());
    let writer = write(&vfs);
    let mut session = writer.connect().unwrap();
    for sql in [
        "CREATE TABLE t (a int PRIMARY KEY, b text)",
        "INSERT INTO t SELECT g, repeat('x', g) FROM generate_series(1, 3000) r (g)",
        "CHECKPOINT",
        "DELETE FROM t WHERE a > 10",
    ] {
        session.execute_script(sql).unwrap();
    }
    let check = |lines: &mut Vec<String>| {
        let same = Arc::new(Same(Arc::clone(&vfs)));
        Database::check(Path::new(PATH), options(same, true), &mut |line| lines.push(line.to_owned()))
    };
    let mut lines = Vec::new();
    assert_eq!(check(&mut lines).unwrap(), 0, "{lines:?}");
    assert!(lines[0].starts_with("another process writes the file"), "{lines:?}");
    assert!(lines[1].contains(" 3000 rows,"), "{lines:?}");
    // The writer goes on while somebody checks, and nothing that is looked at is written over.
    let mut rounds = 0;
    let mut lines = Vec::new();
    let same = Arc::new(Same(Arc::clone(&vfs)));
    let found = Database::check(Path::new(PATH), options(same, true), &mut |line| {
        for sql in ["UPDATE t SET b = b || 'y'", "VACUUM", "CHECKPOINT"] {
            session.execute_script(sql).unwrap();
        }
        rounds += 1;
        lines.push(line.to_owned());
    });
    assert_eq!((found.unwrap(), rounds), (0, 2), "{lines:?}");
    assert!(lines[1].contains(" 3000 rows,"), "{lines:?}");
    // A damaged block is found there as well.
    let file = vfs.open(Path::new(PATH), OpenMode::ReadWrite).unwrap();
    let length = file.size().unwrap();
    let mut findings = 0;
    for at in (8192 * 12..length).step_by(8192).take(40) {
        let mut byte = [0];
        file.read_at(&mut byte, at + 4000).unwrap();
        file.write_at(&[byte[0] ^ 0x55], at + 4000).unwrap();
        let mut lines = Vec::new();
        findings += check(&mut lines).unwrap();
        file.write_at(&byte, at + 4000).unwrap();
    }
    assert!(findings > 2, "{findings} findings");
    let mut lines = Vec::new();
    assert_eq!(check(&mut lines).unwrap(), 0, "{lines:?}");
    drop((session, writer));
    let mut lines = Vec::new();
    assert_eq!(check(&mut lines).unwrap(), 0, "{lines:?}");
    assert!(lines[0].contains(" 10 rows,"), "{lines:?}");
}
