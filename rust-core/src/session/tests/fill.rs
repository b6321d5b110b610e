//! Storage parameters: how full pages are, in which ways, across reopening of the catalog, and what is warned of.

use super::*;

fn rows(session: &mut Session, sql: &str) -> Vec<Vec<String>> {
    let statement = session.prepare(sql).unwrap().0.unwrap();
    let mut portal = session.execute(&statement, &[]).unwrap();
    drain(session, &mut portal).unwrap()
}

fn pages(session: &mut Session, object: &str) -> i64 {
    let sql = format!(
        "SELECT pages FROM lumos_stat_space WHERE object_name = '{object}' ORDER BY pages DESC LIMIT 1"
    );
    rows(session, &sql)[0][0].parse().unwrap()
}

/// Texts with which rows come into t in the order of their keys.
const WAYS: [&str; 4] = [
    "CREATE TABLE t (id bigint PRIMARY KEY, n bigint, s text) WITH (fillfactor = 50);
     CREATE INDEX t_n ON t (n) WITH (fillfactor = 50);
     INSERT INTO t SELECT i, i, repeat('x', 100) FROM generate_series(1, 4000) AS g (i)",
    "CREATE TABLE t WITH (fillfactor = 50) AS
     SELECT i AS id, i AS n, repeat('x', 100) AS s FROM generate_series(1, 4000) AS g (i);
     CREATE INDEX t_n ON t (n) WITH (fillfactor = 50)",
    "BEGIN; CREATE TABLE t (id bigint PRIMARY KEY, n bigint, s text); CREATE INDEX t_n ON t (n);
     ALTER TABLE t SET (fillfactor = 50); ALTER INDEX t_n SET (fillfactor = 50);
     INSERT INTO t SELECT i, i, repeat('x', 100) FROM generate_series(1, 4000) AS g (i); COMMIT",
    "CREATE TABLE t (id bigint PRIMARY KEY, n bigint, s text) WITH (fillfactor = 50);
     INSERT INTO t SELECT i, i, repeat('x', 100) FROM generate_series(1, 4000) AS g (i);
     ALTER TABLE t ADD CONSTRAINT t_n UNIQUE (n) WITH (fillfactor = 50)",
];

#[test]
fn half_filled_tables_and_indexes_have_twice_the_pages_and_room_for_longer_rows() {
    let count = |text: &str| {
        let (_fixture, mut session) = Fixture::session(text);
        let (table, index) = (pages(&mut session, "t"), pages(&mut session, "t_n"));
        session.execute_script("UPDATE t SET s = repeat('y', 150)").unwrap();
        (table, index, pages(&mut session, "t") - table)
    };
    for text in WAYS {
        let half = count(text);
        let full = count(&text.replace("= 50", "= 100"));
        assert!(half.0 * 10 > full.0 * 18 && half.0 * 10 < full.0 * 23, "{half:?} and {full:?}: {text}");
        assert!(half.1 * 10 > full.1 * 18 && half.1 * 10 < full.1 * 23, "{half:?} and {full:?}: {text}");
        assert!(half.2 == 0 && full.2 > 20, "{half:?} and {full:?}: {text}");
    }
}

#[test]
fn a_fillfactor_is_known_after_the_catalog_is_loaded_and_goes_with_the_definition() {
    let (_fixture, mut session) = Fixture::session(WAYS[0]);
    let spares = |session: &Session| -> Vec<usize> {
        let catalog = session.definitions();
        let table = catalog.table(None, "t").unwrap();
        let manager = &session.engine.manager;
        let tree = |(tree, _)| manager.storage().tree(tree).unwrap();
        table.layout.fill_percents().map(|fill| tree(fill).spare_bytes()).collect()
    };
    let half = session.engine.manager.storage().page_size() / 2;
    assert_eq!(spares(&session), [half, half]);
    // What a program that opens the file does.
    let catalog = session.definitions();
    let layout = &catalog.table(None, "t").unwrap().layout;
    let storage = session.engine.manager.storage();
    layout.fill_percents().for_each(|(tree, _)| storage.set_fill_percent(tree, None).unwrap());
    assert_eq!(spares(&session), [0, 0]);
    Catalog::load(&session.engine.manager).unwrap();
    assert_eq!(spares(&session), [half, half]);
    let all = [
        ("REINDEX TABLE t", [half, half]),
        ("REINDEX TABLE CONCURRENTLY t", [half, half]),
        ("ALTER TABLE t ADD COLUMN more int DEFAULT 7", [half, half]),
        ("ALTER TABLE t RESET (fillfactor)", [0, half]),
        (
            "BEGIN; ALTER TABLE t SET (fillfactor = 50); ALTER INDEX t_n RESET (fillfactor); ROLLBACK",
            [0, half],
        ),
        ("BEGIN; SAVEPOINT a; ALTER TABLE t SET (fillfactor = 50); ROLLBACK TO a; COMMIT", [0, half]),
        ("ALTER INDEX t_n RESET (fillfactor)", [0, 0]),
        ("ALTER TABLE t SET (fillfactor = 50), SET (autovacuum_enabled = off)", [half, 0]),
        ("ALTER TABLE t_n SET (fillfactor = 50)", [half, half]),
    ];
    for (sql, expected) in all {
        session.execute_script(sql).unwrap();
        assert_eq!(spares(&session), expected, "{sql}");
    }
    assert_eq!(session.engine.manager.storage().verify(&mut |_| ()).unwrap(), 0);
}

#[test]
fn indexes_that_like_copies_keep_their_fillfactor_and_the_table_does_not() {
    let made = "CREATE TABLE t (a int, b int UNIQUE WITH (fillfactor = 60)) WITH (fillfactor = 50);
        CREATE INDEX ON t (a) INCLUDE (b) WITH (fillfactor = 70); CREATE TABLE u (LIKE t INCLUDING ALL)";
    let (_fixture, session) = Fixture::session(made);
    let catalog = session.definitions();
    let fills = |table: &str| -> Vec<Option<u8>> {
        let layout = &catalog.table(None, table).unwrap().layout;
        layout.fill_percents().map(|(_, percent)| percent).collect()
    };
    assert_eq!(fills("t"), [Some(50), Some(60), Some(70)]);
    assert_eq!(fills("u"), [None, Some(60), Some(70)]);
}

#[test]
fn parameters_without_effect_are_warned_of() {
    let (_fixture, mut session) = Fixture::session("SELECT 1");
    let said = [
        (
            "CREATE TABLE t (a int, b int) WITH (autovacuum_enabled = off, fillfactor = 70, toast.vacuum_truncate)",
            2,
        ),
        ("CREATE TABLE IF NOT EXISTS t (a int) WITH (autovacuum_enabled = off)", 0),
        ("CREATE INDEX i ON t (a) WITH (fillfactor = 70, deduplicate_items = off)", 1),
        ("CREATE INDEX CONCURRENTLY j ON t (a) WITH (deduplicate_items = off)", 1),
        ("ALTER TABLE t SET (parallel_workers = 2)", 1),
        ("ALTER TABLE t RESET (parallel_workers, fillfactor)", 0),
        ("CREATE TABLE u (a int PRIMARY KEY WITH (fillfactor = 70))", 1),
        ("ALTER INDEX u_pkey SET (fillfactor = 70)", 1),
        ("ALTER INDEX u_pkey RESET (fillfactor)", 0),
        ("CREATE TABLE v (a int) WITHOUT OIDS", 0),
        ("CREATE TABLE w WITH (parallel_workers = 1) AS SELECT 1 AS a", 1),
    ];
    for (sql, count) in said {
        session.take_notices();
        session.execute_script(sql).unwrap();
        let notices = session.take_notices();
        let warnings: Vec<&str> = notices
            .iter()
            .filter(|notice| notice.severity == crate::session::notice::Severity::Warning)
            .map(|notice| notice.report.message())
            .collect();
        assert_eq!(warnings.len(), count, "{sql}: {warnings:?}");
        assert!(warnings.iter().all(|warning| warning.ends_with("has no effect here")), "{warnings:?}");
    }
    let statement = session.prepare("ALTER INDEX i SET (fillfactor = 80)").unwrap().0.unwrap();
    let portal = session.execute(&statement, &[]).unwrap();
    assert_eq!(portal.tag(), "ALTER INDEX");
}
