//! Data changes in WITH, from the session's side: what is locked, told, refused and undone.

use super::*;

const T: &str = "create table t (id int primary key, v int); insert into t values (1, 10), (2, 20); \
                 create table log (id int, what text)";

fn state(session: &mut Session, sql: &str) -> (String, String) {
    let error = error(session, sql);
    (error.state().as_str().to_owned(), error.message().to_owned())
}

fn nodes(session: &mut Session, sql: &str) -> Vec<String> {
    rows(session, sql).into_iter().map(|line| line.trim().to_owned()).collect()
}

#[test]
fn a_query_that_changes_rows_is_complete_when_it_has_started() {
    let (fixture, mut session) = Fixture::session(T);
    let sql = "with a as (insert into log select n, 'x' from generate_series(1, 5000) n returning id) select id from a";
    let (statement, _) = session.prepare(sql).unwrap();
    let statement = statement.unwrap();
    assert!(!statement.is_read_only() && statement.returns_rows());
    let mut portal = session.execute(&statement, &[]).unwrap();
    let mut other = fixture.connect();
    assert_eq!(
        rows(&mut other, "select count(*) from log"),
        ["5000"],
        "it is committed before it is fetched"
    );
    assert_eq!(drain(&mut session, &mut portal).unwrap().len(), 5000);
    assert_eq!(portal.tag(), "SELECT 5000");
    session.close(portal);
    let sql = "with a as (insert into log values (1, 'x') returning id) select id from a";
    let (statement, _) = session.prepare(sql).unwrap();
    let portal = session.execute(&statement.unwrap(), &[]).unwrap();
    session.close(portal);
    assert_eq!(rows(&mut other, "select count(*) from log"), ["5001"], "closing it early undoes nothing");
}

/// Waits until some session waits for a lock.
fn until_somebody_waits(fixture: &Fixture) {
    while fixture.engine.manager.lock_manager().waiting_count() == 0 {
        std::thread::yield_now();
    }
}

#[test]
fn every_changed_table_is_locked_before_anything_runs() {
    let (fixture, mut session) = Fixture::session(T);
    let mut other = fixture.connect();
    session.execute_script("begin").unwrap();
    let sql = "with a as (insert into log values (1, 'x')), b as (delete from t where id = 9) select 1";
    assert_eq!(tag(&mut session, sql), "SELECT 1");
    let held = "select table_name, mode from lumos_locks where lock_type = 'relation' order by 1";
    assert_eq!(rows(&mut other, held), ["log|RowExclusiveLock", "t|RowExclusiveLock"]);
    session.execute_script("rollback; begin; lock table t in share mode").unwrap();
    let waiter = std::thread::spawn(move || tag(&mut other, sql));
    until_somebody_waits(&fixture);
    session.execute_script("insert into log values (2, 'before'); commit").unwrap();
    assert_eq!(waiter.join().unwrap(), "SELECT 1");
    assert_eq!(rows(&mut session, "select id from log order by id"), ["1", "2"]);
}

#[test]
fn a_cancelled_wait_inside_of_an_item_undoes_the_statement() {
    let (fixture, mut session) = Fixture::session(T);
    let mut other = fixture.connect();
    session.execute_script("begin; update t set v = 0 where id = 1").unwrap();
    let token = other.cancel_token();
    let waiter = std::thread::spawn(move || {
        let sql = "with a as (update t set v = v + 1 returning id) insert into log values (1, 'x')";
        let code = code(&mut other, sql);
        (code, rows(&mut other, "select count(*) from log"))
    });
    until_somebody_waits(&fixture);
    token.cancel(0);
    assert_eq!(waiter.join().unwrap(), ("57014".to_owned(), vec!["0".to_owned()]));
    session.execute_script("rollback").unwrap();
    assert_eq!(rows(&mut session, "select sum(v) from t"), ["30"]);
}

#[test]
fn read_only_transactions_refuse_it_in_every_form() {
    let (_fixture, mut session) = Fixture::session(T);
    session.execute_script("prepare p as with a as (delete from t returning id) select * from a").unwrap();
    let (described, _) = session.prepare("execute p").unwrap();
    assert!(!described.unwrap().is_read_only());
    for (sql, name) in [
        ("with a as (delete from t returning id) select * from a", "SELECT"),
        ("execute p", "SELECT"),
        ("explain analyze with a as (delete from t returning id) select * from a", "SELECT"),
        ("with a as (insert into log values (1, 'x')) delete from t", "DELETE"),
    ] {
        session.execute_script("begin read only").unwrap();
        let message = format!("cannot execute {name} in a read-only transaction");
        assert_eq!(state(&mut session, sql), ("25006".to_owned(), message), "{sql}");
        session.execute_script("rollback").unwrap();
    }
    session.execute_script("begin read only").unwrap();
    let copy = "copy (with a as (delete from t returning id) select * from a) to stdout";
    let error = session.copy_out(copy, &mut |_| Ok(())).unwrap_err();
    assert_eq!(error.state().as_str(), "25006");
    session.execute_script("rollback").unwrap();
    assert_eq!(rows(&mut session, "select count(*) from t"), ["2"]);
}

#[test]
fn copy_takes_queries_that_change_rows_and_changes_that_return_some() {
    let (_fixture, mut session) = Fixture::session(T);
    let mut out = Vec::new();
    let mut write = |piece: &[u8]| {
        out.extend_from_slice(piece);
        Ok(())
    };
    let copy =
        "copy (with a as (update t set v = v + 1 returning id, v) select * from a order by id) to stdout";
    assert_eq!(session.copy_out(copy, &mut write).unwrap(), 2);
    let copy =
        "copy (with a as (insert into log values (1, 'x')) delete from t where id = 2 returning v) to stdout";
    assert_eq!(session.copy_out(copy, &mut write).unwrap(), 1);
    assert_eq!(String::from_utf8(out).unwrap(), "1\t11\n2\t21\n21\n");
    let copy = "copy (insert into log values (2, 'y')) to stdout";
    let error = session.copy_out(copy, &mut |_| Ok(())).unwrap_err();
    assert_eq!(error.message(), "COPY query must have a RETURNING clause");
    assert_eq!(rows(&mut session, "select count(*) from log"), ["1"]);
}

#[test]
fn parameters_and_plans_follow_the_tables() {
    let (_fixture, mut session) = Fixture::session(T);
    let sql = "with a as (insert into log values ($1, $2) returning *), b as (update t set v = $1 where id = $3 returning v) \
               select a.*, b.v from a, b";
    let (statement, _) = session.prepare(sql).unwrap();
    let statement = statement.unwrap();
    let run = |session: &mut Session, id: i32| {
        let values = [Datum::Integer(id), Datum::Text("x".into()), Datum::Integer(1)];
        let mut portal = session.execute(&statement, &values)?;
        drain(session, &mut portal)
    };
    assert_eq!(run(&mut session, 7).unwrap(), [["7", "x", "7"]]);
    session
        .execute_script("create index log_id on log (id); alter table t add column w int default 5")
        .unwrap();
    assert_eq!(run(&mut session, 8).unwrap(), [["8", "x", "8"]]);
    session.execute_script("alter table log add column more int").unwrap();
    let error = run(&mut session, 9).unwrap_err();
    assert_eq!(error.message(), "cached plan must not change result type");
    session.execute_script("drop table log").unwrap();
    assert_eq!(run(&mut session, 9).unwrap_err().state().as_str(), "42P01");
    assert_eq!(rows(&mut session, "select * from t order by id"), ["1|8|5", "2|20|5"]);
}

#[test]
fn a_failure_in_any_part_leaves_nothing_and_frees_the_memory() {
    let (fixture, mut session) = Fixture::session(T);
    rows(&mut session, "select count(*) from t, log");
    let used = fixture.engine.memory.used();
    for sql in [
        "with a as (insert into log values (1, 'x') returning id), b as (update t set v = 1 / (id - 2) returning id) select 1",
        "with a as (insert into log select n, 'x' from generate_series(1, 3000) n returning id) select 1 / (id - 2999) from a",
        "with a as (insert into log values (1, 'x')), b as (insert into t values (1, 1)) select 1",
        "with a as (delete from t), b as (insert into log select n, repeat('x', 100000) from generate_series(1, 10000) n \
         returning *) select * from b",
    ] {
        let code = code(&mut session, sql);
        assert!(matches!(&*code, "22012" | "23505" | "53200"), "{code}: {sql}");
        session.execute_script("begin; savepoint s").unwrap();
        error(&mut session, sql);
        session.execute_script("rollback to s").unwrap();
        assert_eq!(rows(&mut session, "select count(*), (select sum(v) from t) from log"), ["0|30"], "{sql}");
        session.execute_script("commit").unwrap();
    }
    assert_eq!(rows(&mut session, "select count(*), (select sum(v) from t) from log"), ["0|30"]);
    let left = fixture.engine.memory.used().saturating_sub(used);
    assert!(left < 1 << 20, "{left} bytes are still charged");
}

#[test]
fn explain_shows_the_parts_and_what_each_did() {
    let (_fixture, mut session) = Fixture::session(T);
    let sql = "with a as (update t set v = 0 where id = 1 returning id), b as (insert into log values (1, 'x')) delete from t \
               using a where t.id = a.id + 1";
    let shown = nodes(&mut session, &format!("explain (costs off) {sql}"));
    for part in ["CTE a", "-> Update on t", "CTE b", "-> Insert on log", "Delete on t", "CTE Scan on a"] {
        let found = shown.iter().any(|line| line.replace("->  ", "-> ").contains(part));
        assert!(found, "{part} in {shown:?}");
    }
    assert_eq!(rows(&mut session, "select count(*) from t"), ["2"], "EXPLAIN alone runs nothing");
    nodes(&mut session, &format!("explain (analyze, costs off) {sql}"));
    assert_eq!(rows(&mut session, "select id, v, (select count(*) from log) from t"), ["1|0|1"]);
}

#[test]
fn a_check_after_a_wait_reads_a_common_table_of_which_few_columns_are_kept() {
    let (fixture, mut session) = Fixture::session(
        "create table t (id int primary key, v int); insert into t values (1, 10), (2, 20); \
         create table allowed (x int, y int, id int); insert into allowed values (7, 8, 1), (9, 9, 2)",
    );
    let sql = "with a as materialized (select * from allowed) update t set v = v + 1 where id = 1 and exists \
               (select 1 from a where a.id = t.id and a.id < t.v) returning v";
    session.execute_script("begin; update t set v = 100 where id = 1").unwrap();
    let mut other = fixture.connect();
    let waiter = std::thread::spawn(move || rows(&mut other, sql));
    until_somebody_waits(&fixture);
    session.execute_script("commit").unwrap();
    assert_eq!(waiter.join().unwrap(), ["101"]);
}
