//! Views, CREATE TABLE AS, ANALYZE, EXPLAIN and COPY, from text to what they leave.

use super::*;
use crate::error::SqlState;
use crate::io::vfs::OpenMode;
use crate::session::CopyDirection;
use std::path::Path;

/// COPY … FROM STDIN, a few bytes at a time.
fn copy_in(session: &mut Session, sql: &str, data: &str) -> Result<u64> {
    let mut rest = data.as_bytes();
    session.copy_in(sql, &mut |buffer| {
        let count = rest.len().min(5).min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        rest = &rest[count..];
        Ok(count)
    })
}

fn copy_out(session: &mut Session, sql: &str) -> Result<String> {
    let mut bytes = Vec::new();
    session.copy_out(sql, &mut |piece| {
        bytes.extend_from_slice(piece);
        Ok(())
    })?;
    Ok(String::from_utf8(bytes).unwrap())
}

#[test]
fn what_a_view_reads_cannot_go_without_it() {
    let (fixture, mut one) = Fixture::session(
        "create table t (a integer); create view v as select a from t; create view w as select a from v",
    );
    let refused = error(&mut one, "drop table t");
    assert_eq!(refused.message(), "cannot drop table t because other objects depend on it");
    assert_eq!(refused.detail_text(), Some("view v depends on table t\nview w depends on view v"));
    assert_eq!(refused.hint_text(), Some("Use DROP ... CASCADE to drop the dependent objects too."));
    let mut two = fixture.connect();
    one.begin(None, false).unwrap();
    assert_eq!(tag(&mut one, "drop view v cascade"), "DROP VIEW");
    assert_eq!(one.take_notices()[0].report.message(), "drop cascades to view w");
    assert!(rows(&mut two, "select * from w").is_empty());
    one.commit().unwrap();
    assert_eq!(code(&mut two, "select * from w"), "42P01");
    assert_eq!(tag(&mut two, "drop table t"), "DROP TABLE");
}

#[test]
fn a_prepared_query_over_a_view_follows_it() {
    let (_fixture, mut session) = Fixture::session(
        "create table t (a integer); insert into t values (1); create view v as select a from t",
    );
    let (prepared, _) = session.prepare("select a from v").unwrap();
    let prepared = prepared.unwrap();
    tag(&mut session, "create or replace view v as select a + 1 as a from t");
    let mut portal = session.execute(&prepared, &[]).unwrap();
    assert_eq!(drain(&mut session, &mut portal).unwrap(), [["2"]]);
    session.close(portal);
}

#[test]
fn create_table_as_counts_what_it_selected() {
    let (_fixture, mut session) =
        Fixture::session("create table t (a integer); insert into t values (1), (2), (3)");
    assert_eq!(tag(&mut session, "create table u as select a from t where a > 1"), "SELECT 2");
    assert_eq!(tag(&mut session, "create table w as select a from t with no data"), "CREATE TABLE AS");
    let (_, tag) =
        run_with(&mut session, "create table p as select a from t where a < $1", &[Datum::Integer(2)])
            .unwrap();
    assert_eq!(tag, "SELECT 1");
    session.begin(None, false).unwrap();
    session.execute_script("create table x as select * from t; insert into x select a + 10 from x").unwrap();
    assert_eq!(rows(&mut session, "select count(*), max(a) from x"), ["6|13"]);
    session.rollback().unwrap();
    assert_eq!(code(&mut session, "select * from x"), "42P01");
}

#[test]
fn what_analyze_finds_is_stored_and_makes_plans_anew() {
    let (fixture, mut session) = Fixture::session("create table t (a integer, b text)");
    session
        .execute_script("insert into t select i, 'b' || i % 4 from generate_series(1, 5000) as s (i)")
        .unwrap();
    let id = session.engine.catalog.current().table(None, "t").unwrap().id;
    let (before, _) = session.prepare("select * from t where a = 5").unwrap();
    assert_eq!(tag(&mut session, "analyze t"), "ANALYZE");
    let statistics = Arc::clone(session.engine.catalog.current().statistics(id).unwrap());
    assert_eq!(statistics.rows, 5000);
    assert!((statistics.columns[1].distinct - 4.0).abs() < 0.5);
    let (after, _) = session.prepare("select * from t where a = 5").unwrap();
    assert!(!Arc::ptr_eq(&before.unwrap(), &after.unwrap()), "the cached plan was made before");
    let again = Catalog::load(&fixture.engine.manager).unwrap();
    assert_eq!(again.current().statistics(id).unwrap().rows, 5000);
    session.begin(None, true).unwrap();
    assert_eq!(code(&mut session, "analyze t"), "25006");
    session.rollback().unwrap();
    session.begin(None, false).unwrap();
    tag(&mut session, "delete from t where a > 10");
    tag(&mut session, "analyze");
    session.rollback().unwrap();
    assert_eq!(session.engine.catalog.current().statistics(id).unwrap().rows, 5000);
    tag(&mut session, "drop table t");
    assert!(Catalog::load(&fixture.engine.manager).unwrap().current().statistics(id).is_none());
}

#[test]
fn explain_shows_and_runs_only_when_told() {
    let (_fixture, mut session) = Fixture::session(
        "create table t (id integer primary key, a integer); create table u (t_id integer, c integer); \
         insert into t values (1, 10), (2, 20); insert into u values (1, 5), (1, 6), (3, 7)",
    );
    let plan = rows(&mut session, "explain select * from t join u on id = t_id where c > 5");
    assert!(plan.iter().any(|line| line.contains("rows=") && line.contains("cost=")), "{plan:?}");
    assert!(plan.iter().any(|line| line.contains("t.id") && line.contains("u.t_id")), "{plan:?}");
    let run = rows(&mut session, "explain analyze select * from t join u on id = t_id");
    assert!(run[0].contains("rows=2 loops=1"), "{run:?}");
    assert!(run.last().unwrap().starts_with("Execution Time:"), "{run:?}");
    assert_eq!(rows(&mut session, "explain analyze insert into u values (9, 9)").len(), 4);
    assert_eq!(rows(&mut session, "select count(*) from u"), ["4"]);
    let json = rows(&mut session, "explain (analyze, format json) select a from t where id = 1").concat();
    for part in ["\"Node Type\": \"Index Scan\"", "\"Actual Rows\": 1", "\"Execution Time\":"] {
        assert!(json.contains(part), "{part} in {json}");
    }
    session.begin(None, true).unwrap();
    assert!(!rows(&mut session, "explain insert into u values (9, 9)").is_empty());
    assert_eq!(code(&mut session, "explain analyze insert into u values (9, 9)"), "25006");
    session.rollback().unwrap();
    let (lines, _) =
        run_with(&mut session, "explain select * from t where a = $1", &[Datum::Integer(2)]).unwrap();
    assert!(lines.concat().concat().contains("(a = $1)"));
}

#[test]
fn rows_are_copied_in_and_out() {
    let (_fixture, mut session) =
        Fixture::session("create table t (a integer primary key, b text, c numeric(5,1) default 7)");
    let data = "1,one,\n2,,3.5\n3,\"\",-1.0\n";
    assert_eq!(copy_in(&mut session, "copy t from stdin (format csv)", data).unwrap(), 3);
    assert_eq!(copy_out(&mut session, "copy t to stdout (format csv)").unwrap(), data);
    assert_eq!(copy_in(&mut session, "copy t (b, a) from stdin", "four\t4\n\\N\t5\n\\.\n").unwrap(), 2);
    assert_eq!(
        copy_out(
            &mut session,
            "copy (select * from t where a > 3 order by a) to stdout (header true, format csv)"
        )
        .unwrap(),
        "a,b,c\n4,four,7.0\n5,,7.0\n"
    );
    assert_eq!(
        copy_in(&mut session, "copy t from stdin (format csv) where a > 10", "6,x,1\n11,y,2\n").unwrap(),
        1
    );
    assert_eq!(rows(&mut session, "select a from t where a > 5"), ["11"]);
}

#[test]
fn a_bad_row_is_named_and_nothing_stays() {
    let (_fixture, mut session) = Fixture::session(
        "create table t (a integer primary key, b varchar(3)); insert into t values (2, 'x')",
    );
    for (data, state, context) in [
        ("1,a\nx,b\n", "22P02", Some("COPY t, line 2, column a: \"x\"")),
        ("1,a\n3,long\n", "22001", Some("COPY t, line 2, column b: \"long\"")),
        ("1,a\n3\n", "22P04", Some("COPY t, line 2: \"3\"")),
        ("1,a\n2,b\n", "23505", None),
        ("1,a\n,b\n", "23502", None),
    ] {
        let refused = copy_in(&mut session, "copy t from stdin (format csv)", data).unwrap_err();
        assert_eq!(refused.state().as_str(), state, "{data}");
        if context.is_some() {
            assert_eq!(refused.context_text(), context, "{data}");
        }
        assert_eq!(rows(&mut session, "select a from t"), ["2"], "{data}");
    }
    let given_up = |_: &mut [u8]| Err(Error::new(SqlState::QUERY_CANCELED, "given up"));
    assert!(session.copy_in("copy t from stdin", &mut { given_up }).is_err());
    assert_eq!(copy_in(&mut session, "select 1", "").unwrap_err().state().as_str(), "42601");
    assert_eq!(copy_out(&mut session, "copy t from stdin").unwrap_err().state().as_str(), "42601");
    let (prepared, _) = session.prepare("copy t from stdin").unwrap();
    assert_eq!(prepared.unwrap().copy_direction(), Some(CopyDirection::In));
    assert_eq!(code(&mut session, "copy t from stdin"), "0A000");
    session.begin(None, false).unwrap();
    assert!(copy_in(&mut session, "copy t from stdin", "x\ty\n").is_err());
    assert_eq!(code(&mut session, "select 1"), "25P02");
    session.rollback().unwrap();
    session.begin(None, true).unwrap();
    let refused = copy_in(&mut session, "copy t from stdin", "5\ty\n").unwrap_err();
    assert_eq!(refused.message(), "cannot execute COPY FROM in a read-only transaction");
    session.rollback().unwrap();
}

#[test]
fn files_are_copied_but_never_over_a_database() {
    let (fixture, mut session) = Fixture::session("create table t (a integer, b text)");
    let copied =
        session.execute_script("insert into t select i, 'row ' || i from generate_series(1, 9000) as s (i)");
    assert_eq!(copied.unwrap(), 9000);
    assert_eq!(tag(&mut session, "copy t to 'rows.csv' (format csv, header true)"), "COPY 9000");
    session.execute_script("create table u (a integer, b text)").unwrap();
    assert_eq!(tag(&mut session, "copy u from 'rows.csv' (format csv, header match)"), "COPY 9000");
    assert_eq!(rows(&mut session, "select count(*), sum(a), min(b) from u"), ["9000|40504500|row 1"]);
    assert_eq!(tag(&mut session, "copy (select 1) to 'rows.csv'"), "COPY 1");
    let file = fixture.engine.files.open(Path::new("rows.csv"), OpenMode::ReadOnly).unwrap();
    assert_eq!(file.size().unwrap(), 2);
    assert_eq!(code(&mut session, "copy t to 'test'"), "42809");
    assert_eq!(code(&mut session, "copy t from 'missing'"), "58P01");
}
