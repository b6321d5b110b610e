//! VACUUM and `lumos_stat_space`.

use super::*;

fn rows(session: &mut Session, sql: &str) -> Vec<Vec<String>> {
    let statement = session.prepare(sql).unwrap().0.unwrap();
    let mut portal = session.execute(&statement, &[]).unwrap();
    drain(session, &mut portal).unwrap()
}

fn pages(session: &mut Session, object: &str) -> i64 {
    let sql = format!("SELECT pages FROM lumos_stat_space WHERE object_name = '{object}'");
    rows(session, &sql)[0][0].parse().unwrap()
}

const TABLE: &str = "CREATE TABLE t (id bigint PRIMARY KEY, n bigint, s text);
    CREATE INDEX t_n ON t (n);
    INSERT INTO t SELECT i, i * 7919 % 10007, repeat('x', 200) FROM generate_series(1, 4000) AS g (i)";

#[test]
fn vacuum_merges_what_deletes_left_and_changes_no_row() {
    let (_fixture, mut session) = Fixture::session(TABLE);
    session.execute_script("DELETE FROM t WHERE id % 10 <> 0").unwrap();
    let sum = rows(&mut session, "SELECT count(*), sum(n), sum(length(s)) FROM t");
    let (table, index) = (pages(&mut session, "t"), pages(&mut session, "t_n"));
    session.execute_script("VACUUM").unwrap();
    assert!(pages(&mut session, "t") * 5 < table, "{} of {table}", pages(&mut session, "t"));
    assert!(pages(&mut session, "t_n") * 3 < index, "{} of {index}", pages(&mut session, "t_n"));
    assert_eq!(rows(&mut session, "SELECT count(*), sum(n), sum(length(s)) FROM t"), sum);
    assert_eq!(rows(&mut session, "SELECT id FROM t WHERE n = 70 * 7919 % 10007"), [["70"]]);
    let storage = session.engine.manager.storage();
    assert_eq!(storage.verify(&mut |_| ()).unwrap(), 0);
    let figures = storage.statistics();
    assert!(figures.blocks * 10 <= figures.blocks_used * 11 + 300, "{figures:?}");
    for sql in ["DELETE FROM t", "VACUUM FULL t", "VACUUM (ANALYZE) t (n)"] {
        session.execute_script(sql).unwrap();
    }
    assert_eq!(pages(&mut session, "t"), 1);
    session.execute_script("INSERT INTO t VALUES (1, 2, 'three')").unwrap();
    assert_eq!(rows(&mut session, "SELECT * FROM t"), [["1", "2", "three"]]);
}

#[test]
fn vacuum_is_refused_in_a_block_and_for_what_is_no_table() {
    let (_fixture, mut session) = Fixture::session("CREATE TABLE t (a integer)");
    let state = |session: &mut Session, sql: &str| {
        session.execute_script(sql).unwrap_err().state().as_str().to_owned()
    };
    assert_eq!(state(&mut session, "BEGIN; VACUUM"), "25001");
    session.execute_script("ROLLBACK").unwrap();
    assert_eq!(state(&mut session, "VACUUM nothing"), "42P01");
    assert_eq!(state(&mut session, "VACUUM (verbose)"), "0A000");
    // As in PostgreSQL, several statements in one text are a transaction.
    assert_eq!(state(&mut session, "SELECT 1; VACUUM t"), "25001");
    session.execute_script("VACUUM t").unwrap();
}

#[test]
fn the_space_of_tables_indexes_and_the_file_is_a_relation() {
    let (_fixture, mut session) = Fixture::session(TABLE);
    let found = rows(
        &mut session,
        "SELECT object_type, object_name, live_rows, pages > 0, bytes = pages * 8192, free_bytes <= bytes
         FROM lumos_stat_space AS s WHERE table_name = 't' AND schema_name = 'public' ORDER BY 1, 2",
    );
    assert_eq!(
        found,
        [
            ["index", "t_n", "4000", "t", "t", "t"],
            ["table", "t", "4000", "t", "t", "t"],
            ["values", "t", "0", "t", "t", "t"],
        ]
    );
    let total =
        rows(&mut session, "SELECT count(*) FROM pg_catalog.lumos_stat_space WHERE object_type = 'file'");
    assert_eq!(total, [["1"]]);
    // A table of the user's own goes by the name first.
    session.execute_script("CREATE TABLE lumos_stat_space (a integer)").unwrap();
    assert_eq!(rows(&mut session, "SELECT count(a) FROM lumos_stat_space"), [["0"]]);
}
