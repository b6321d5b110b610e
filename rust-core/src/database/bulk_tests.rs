//! Loads and index builds that go by finished pages, beside the same ones that go by the log alone: one must not be
//! told from the other, before a commit, after it, after a crash, in an error.

use crate::common::sync::Arc;
use crate::database::Database;
use crate::database::options::DatabaseOptions;
use crate::error::{Error, Result};
use crate::io::fault::{FaultVfs, Survival};
use crate::session::Session;
use std::path::Path;

const PATH: &str = "/app.lumos";

fn open(vfs: &FaultVfs, bulk_rows: u64) -> Arc<Database> {
    let options = DatabaseOptions {
        memory_limit: Some(8 << 20),
        page_size: 1024,
        vfs: Some(Arc::new(vfs.clone())),
        background_checkpoints: false,
        bulk_rows,
        ..DatabaseOptions::default()
    };
    Database::open(Some(Path::new(PATH)), options).unwrap()
}

/// Rows as text, in the order they come; an error as its text.
fn rows(session: &mut Session, sql: &str) -> Vec<String> {
    let read = |session: &mut Session| -> Result<Vec<String>> {
        let (statement, _) = session.prepare(sql)?;
        let mut portal = session.execute(&statement.expect("a statement"), &[])?;
        let mut rows = Vec::new();
        while let Some(batch) = session.fetch(&mut portal)? {
            for row in batch.row_numbers() {
                rows.push(batch.columns.iter().map(|column| format!("{:?}|", column.datum(row))).collect());
            }
        }
        Ok(rows)
    };
    read(session).unwrap_or_else(|error| vec![told(&error)])
}

fn told(error: &Error) -> String {
    format!("{} {} {:?}", error.state(), error.message(), error.detail_text())
}

fn findings(database: &Database) -> Vec<String> {
    let mut lines = Vec::new();
    let count = database.verify(&mut |line| lines.push(line.to_owned())).unwrap();
    if count == 0 { Vec::new() } else { lines }
}

/// Pages that went to the file beside checkpoints and evictions would show here.
fn log_bytes(database: &Database, work: impl FnOnce()) -> i64 {
    let before = database.statistic("log_tail").unwrap();
    work();
    database.statistic("log_tail").unwrap() - before
}

const SERIES: &str = "SELECT g, g * 7919 % 1000, 'text ' || g % 97 FROM generate_series(1, 900) AS r(g)";

/// Statements, and after each what everybody sees.
const SCRIPTS: [&[&str]; 6] = [
    &[
        "CREATE TABLE t (id bigint PRIMARY KEY, n bigint, s text)",
        "INSERT INTO t SELECT g, g * 7919 % 1000, 'text ' || g % 97 FROM generate_series(1, 900) AS r(g)",
        "CREATE INDEX t_n ON t (n)",
        "CREATE UNIQUE INDEX t_u ON t (s, id)",
        "CREATE UNIQUE INDEX t_s ON t (s)",
        "UPDATE t SET n = n + 1 WHERE id < 50",
        "DELETE FROM t WHERE id > 700",
        "INSERT INTO t VALUES (2000, 1, 'x'), (-5, 2, 'y')",
        "CREATE INDEX t_part ON t (upper(s)) WHERE n > 200",
        "DROP INDEX t_n",
        "CREATE INDEX t_n ON t (n DESC, s)",
    ],
    &[
        "BEGIN",
        "CREATE TABLE t (id bigint PRIMARY KEY, n bigint UNIQUE, s text)",
        "CREATE INDEX t_s ON t (s)",
        "INSERT INTO t SELECT g, g * 7919 % 100003, repeat('v', g % 300) FROM generate_series(1, 600) AS r(g)",
        "UPDATE t SET n = -n, s = 'changed' WHERE id / 10 * 10 = id",
        "DELETE FROM t WHERE id < 20",
        "INSERT INTO t SELECT g, g + 200000, repeat('w', 700) FROM generate_series(601, 700) AS r(g)",
        "INSERT INTO t VALUES (5, 1, 'again')",
        "COMMIT",
        "INSERT INTO t VALUES (800, 800, 'later')",
    ],
    &[
        "CREATE TABLE t (n bigint, s text, id bigint UNIQUE)",
        "CREATE INDEX t_s ON t (s)",
        "INSERT INTO t SELECT g % 10, repeat(CAST(g AS text), g % 400), g FROM generate_series(1, 500) AS r(g)",
        "DELETE FROM t",
        "INSERT INTO t SELECT g, 'again', g FROM generate_series(1, 500) AS r(g)",
        "TRUNCATE t",
        "INSERT INTO t SELECT g, 'once more', g FROM generate_series(1, 300) AS r(g)",
        "BEGIN",
        "TRUNCATE t",
        "INSERT INTO t SELECT g, 'undone', g FROM generate_series(1, 300) AS r(g)",
        "ROLLBACK",
        "VACUUM",
    ],
    &[
        "CREATE TABLE t (id bigint PRIMARY KEY, n bigint UNIQUE, s text CHECK (s <> 'bad'))",
        "INSERT INTO t SELECT g, g % 400, 'x' FROM generate_series(1, 500) AS r(g)",
        "INSERT INTO t SELECT g % 450, g, 'x' FROM generate_series(1, 500) AS r(g)",
        "INSERT INTO t SELECT g / 2, g, 'x' FROM generate_series(1, 500) AS r(g)",
        "INSERT INTO t SELECT g, g, CASE WHEN g = 400 THEN 'bad' ELSE 'x' END FROM generate_series(1, 500) AS r(g)",
        "INSERT INTO t SELECT 1000 - g, g, 'down' FROM generate_series(1, 500) AS r(g)",
        "INSERT INTO t SELECT g, g, 'x' FROM generate_series(1, 500) AS r(g)",
    ],
    &[
        "CREATE TABLE t (id bigint PRIMARY KEY, n bigint, s text)",
        "INSERT INTO t SELECT CASE WHEN g < 300 THEN g ELSE 10000 - g END, g, 'x' FROM generate_series(1, 500) AS r(g)",
        "CREATE INDEX t_n ON t (n)",
    ],
    &[
        "CREATE TABLE t AS SELECT g AS id, g % 7 AS n, 'made' AS s FROM generate_series(1, 700) AS r(g)",
        "INSERT INTO t SELECT id + 1000, n, s FROM t",
        "CREATE INDEX t_n ON t (n, id)",
        "CREATE INDEX t_id ON t (id)",
    ],
];

const LOOKS: [&str; 5] = [
    "SELECT * FROM t ORDER BY id",
    "SELECT count(*), sum(n), min(s), max(s) FROM t",
    "SELECT id FROM t WHERE n = 6 ORDER BY id",
    "SELECT id FROM t WHERE s = 'text 5' ORDER BY id",
    "SELECT id, n FROM t WHERE n > 990 ORDER BY n, id",
];

fn look(session: &mut Session) -> Vec<Vec<String>> {
    LOOKS.iter().map(|sql| rows(session, sql)).collect()
}

#[test]
fn a_load_by_pages_cannot_be_told_from_one_by_the_log() {
    for (number, script) in SCRIPTS.iter().enumerate() {
        let (by_pages, by_log) = (FaultVfs::new(), FaultVfs::new());
        let databases = [open(&by_pages, 40), open(&by_log, u64::MAX)];
        let mut sessions = databases.each_ref().map(|database| database.connect().unwrap());
        for (step, sql) in script.iter().enumerate() {
            let context = format!("script {number}, step {step}: {sql}");
            let results = sessions.each_mut().map(|session| {
                session.execute_script(sql).map_err(|error| told(&error)) //
            });
            assert_eq!(results[0], results[1], "{context}");
            let [left, right] = sessions.each_mut().map(look);
            assert_eq!(left, right, "{context}");
            assert_eq!(findings(&databases[0]), Vec::<String>::new(), "{context}");
            if sql.starts_with("BEGIN") || step % 3 == 2 {
                continue;
            }
            // What the disk holds, had the power gone now.
            for survival in [Survival::Nothing, Survival::Everything] {
                let disk = by_pages.image_after_power_loss(survival, step as u64);
                let recovered = open(&disk, 40);
                assert_eq!(findings(&recovered), Vec::<String>::new(), "{context}");
                let in_block = script[..=step].iter().rev().find_map(|sql| match *sql {
                    "BEGIN" => Some(true),
                    "COMMIT" | "ROLLBACK" => Some(false),
                    _ => None,
                });
                if in_block != Some(true) {
                    assert_eq!(look(&mut recovered.connect().unwrap()), right, "{context}");
                }
            }
        }
        drop(sessions);
        drop(databases);
        let reopened = open(&by_pages, 40);
        assert_eq!(findings(&reopened), Vec::<String>::new(), "script {number}");
    }
}

#[test]
fn the_log_of_a_load_and_of_an_index_does_not_hold_the_rows() {
    let vfs = FaultVfs::new();
    let database = open(&vfs, 40);
    let mut session = database.connect().unwrap();
    session.execute_script("CREATE TABLE t (id bigint PRIMARY KEY, n bigint, s text)").unwrap();
    let load = log_bytes(&database, || {
        session.execute_script(&format!("INSERT INTO t {SERIES}")).unwrap();
    });
    let index = log_bytes(&database, || {
        session.execute_script("CREATE INDEX t_n ON t (n)").unwrap();
    });
    assert!(load < 900 * 8 && index < 900 * 8, "{load} and {index} bytes");
}

#[test]
fn an_older_snapshot_sees_an_empty_table_and_a_writer_on_the_table_keeps_the_load_ordinary() {
    let vfs = FaultVfs::new();
    let database = open(&vfs, 40);
    let (mut old, mut loader) = (database.connect().unwrap(), database.connect().unwrap());
    loader.execute_script("CREATE TABLE t (id bigint PRIMARY KEY, n bigint, s text)").unwrap();
    old.execute_script("BEGIN ISOLATION LEVEL REPEATABLE READ").unwrap();
    assert_eq!(rows(&mut old, "SELECT count(*) FROM t"), ["BigInt(0)|"]);
    loader.execute_script(&format!("BEGIN; INSERT INTO t {SERIES}")).unwrap();
    loader.execute_script("UPDATE t SET n = 0 WHERE id = 7; DELETE FROM t WHERE id = 8").unwrap();
    assert_eq!(rows(&mut old, "SELECT count(*) FROM t"), ["BigInt(0)|"]);
    loader.execute_script("COMMIT").unwrap();
    assert_eq!(rows(&mut old, "SELECT * FROM t"), Vec::<String>::new());
    assert_eq!(rows(&mut old, "SELECT * FROM t WHERE id IN (7, 8, 9)"), Vec::<String>::new());
    assert_eq!(rows(&mut loader, "SELECT count(*) FROM t"), ["BigInt(899)|"]);
    loader.execute_script("UPDATE t SET n = 1 WHERE id < 100; DELETE FROM t WHERE id > 800").unwrap();
    assert_eq!(rows(&mut old, "SELECT count(*) FROM t"), ["BigInt(0)|"]);
    old.execute_script("COMMIT").unwrap();
    assert_eq!(rows(&mut old, "SELECT count(*) FROM t"), ["BigInt(799)|"]);
    assert_eq!(findings(&database), Vec::<String>::new());
    loader.execute_script("CREATE TABLE u (id bigint PRIMARY KEY, n bigint, s text)").unwrap();
    old.execute_script("BEGIN; INSERT INTO u VALUES (5000, 1, 'mine')").unwrap();
    let ordinary = log_bytes(&database, || {
        loader.execute_script(&format!("INSERT INTO u {SERIES}")).unwrap();
    });
    assert!(ordinary > 900 * 8, "{ordinary} bytes");
    old.execute_script("COMMIT").unwrap();
    assert_eq!(rows(&mut old, "SELECT count(*) FROM u"), ["BigInt(901)|"]);
    assert_eq!(findings(&database), Vec::<String>::new());
}
