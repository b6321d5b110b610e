//! CREATE and DROP: transactional, seen by others at commit, and old plans are never run.

use super::*;
use crate::session::Severity;

#[test]
fn definitions_are_undone_with_their_transaction() {
    let (fixture, mut one) = Fixture::session("create table kept (a integer)");
    let mut two = fixture.connect();
    one.begin(None, false).unwrap();
    one.execute_script(
        "create table t (id integer primary key, v integer unique); insert into t values (1, 1), (2, 2)",
    )
    .unwrap();
    one.execute_script("create index t_v on t (v desc); drop table kept").unwrap();
    assert_eq!(rows(&mut one, "select id from t where v = 2"), ["2"]);
    assert_eq!(code(&mut two, "select * from t"), "42P01");
    one.rollback().unwrap();
    assert_eq!(code(&mut one, "select * from t"), "42P01");
    assert!(rows(&mut one, "select * from kept").is_empty());
    one.begin(None, false).unwrap();
    one.execute_script("create table t (id integer primary key); insert into t values (7); drop table kept")
        .unwrap();
    one.commit().unwrap();
    assert_eq!(rows(&mut two, "select * from t"), ["7"]);
    assert_eq!(code(&mut two, "select * from kept"), "42P01");
}

#[test]
fn names_that_are_taken_or_missing_have_postgresqls_codes() {
    let (_fixture, mut session) = Fixture::session(
        "create table t (id integer primary key, u integer unique); create index t_i on t (u)",
    );
    for (sql, state) in [
        ("create table t (a integer)", "42P07"),
        ("create table t_i (a integer)", "42P07"),
        ("create index t_i on t (id)", "42P07"),
        ("create index x on missing (id)", "42P01"),
        ("drop table missing", "42P01"),
        ("drop index missing", "42704"),
        ("drop table t_i", "42809"),
        ("drop index t", "42809"),
        ("drop index t_u_key", "2BP01"),
        ("drop index t_pkey", "2BP01"),
        ("create table nowhere.t (a integer)", "3F000"),
    ] {
        assert_eq!(code(&mut session, sql), state, "{sql}");
    }
    session.take_notices();
    for (sql, state) in [
        ("create table if not exists t (a integer)", "42P07"),
        ("create index if not exists t_i on t (u)", "42P07"),
        ("drop table if exists missing", "42P01"),
        ("drop index if exists missing", "42704"),
    ] {
        tag(&mut session, sql);
        let notices = session.take_notices();
        assert_eq!(notices.len(), 1, "{sql}");
        assert_eq!(notices[0].severity, Severity::Notice);
        let _ = state;
        assert!(notices[0].report.message().ends_with("skipping"), "{sql}");
    }
}

#[test]
fn a_unique_index_over_duplicates_is_refused() {
    let (_fixture, mut session) = Fixture::session(
        "create table t (a integer, b text); insert into t values (1, 'x'), (2, 'y'), (1, 'x')",
    );
    let refused = error(&mut session, "create unique index i on t (b, a)");
    assert_eq!(refused.state().as_str(), "23505");
    assert_eq!(refused.message(), "could not create unique index \"i\"");
    assert_eq!(refused.detail_text(), Some("Key (b, a)=(x, 1) is duplicated."));
    tag(&mut session, "delete from t where b = 'x'");
    tag(&mut session, "create unique index i on t (b, a)");
    assert_eq!(code(&mut session, "insert into t values (2, 'y')"), "23505");
}

#[test]
fn a_prepared_statement_follows_the_catalog_or_says_that_it_cannot() {
    let (fixture, mut one) = Fixture::session(
        "create table t (id integer primary key, v integer); insert into t values (1, 10), (2, 20)",
    );
    let mut two = fixture.connect();
    let (statement, _) = one.prepare("select id from t where v = $1").unwrap();
    let statement = statement.unwrap();
    let fetch = |one: &mut Session| {
        let mut portal = one.execute(&statement, &[Datum::Integer(20)])?;
        drain(one, &mut portal)
    };
    assert_eq!(fetch(&mut one).unwrap(), [["2"]]);
    two.execute_script("create index t_v on t (v)").unwrap();
    two.execute_script("insert into t values (3, 20)").unwrap();
    assert_eq!(fetch(&mut one).unwrap().len(), 2);
    two.execute_script("drop index t_v").unwrap();
    assert_eq!(fetch(&mut one).unwrap().len(), 2);
    two.execute_script("drop table t").unwrap();
    assert_eq!(fetch(&mut one).unwrap_err().state().as_str(), "42P01");
    two.execute_script("create table t (id text, v integer); insert into t values ('a', 20)").unwrap();
    assert_eq!(fetch(&mut one).unwrap_err().state().as_str(), "0A000");
    assert_eq!(rows(&mut one, "select id from t where v = 20"), ["a"]);
}

#[test]
fn a_table_under_an_open_query_is_not_dropped() {
    let (_fixture, mut session) = Fixture::session("create table t (a integer); insert into t values (1)");
    let (statement, _) = session.prepare("select a from t where a > 0").unwrap();
    let portal = session.execute(&statement.unwrap(), &[]).unwrap();
    assert_eq!(code(&mut session, "drop table t"), "55006");
    session.close(portal);
    assert_eq!(tag(&mut session, "drop table t"), "DROP TABLE");
}

#[test]
fn a_writer_that_waited_for_a_new_index_fills_it() {
    let (fixture, mut one) = Fixture::session("create table t (id integer primary key, v integer)");
    let mut two = fixture.connect();
    assert_eq!(tag(&mut two, "insert into t values (0, 0)"), "INSERT 0 1");
    one.begin(None, false).unwrap();
    one.execute_script("create unique index t_v on t (v)").unwrap();
    let writer = std::thread::spawn(move || {
        tag(&mut two, "insert into t values (1, 5)");
        code(&mut two, "insert into t values (2, 5)")
    });
    while fixture.engine.manager.lock_manager().waiting_count() == 0 {
        std::thread::yield_now();
    }
    one.commit().unwrap();
    assert_eq!(writer.join().unwrap(), "23505");
    assert_eq!(rows(&mut one, "select id from t where v = 5"), ["1"]);
}

#[test]
fn a_text_prepared_again_is_told_of_todays_columns() {
    let (_fixture, mut session) =
        Fixture::session("create table shape (a integer); insert into shape values (1)");
    assert_eq!(rows(&mut session, "select * from shape"), ["1"]);
    tag(&mut session, "drop table shape");
    assert_eq!(code(&mut session, "select * from shape"), "42P01");
    tag(&mut session, "create table shape (b text, c integer)");
    tag(&mut session, "insert into shape values ('x', 2)");
    assert_eq!(rows(&mut session, "select * from shape"), ["x|2"]);
}
