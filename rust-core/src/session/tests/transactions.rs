//! Transaction blocks: what is kept, what is undone, what others see.

use super::*;
use crate::session::Severity;
use crate::session::result::TransactionStatus;

const TABLE: &str =
    "create table t (id integer primary key, v integer); insert into t values (1, 10), (2, 20)";

/// Waits until some session waits for a lock.
fn until_somebody_waits(fixture: &Fixture) {
    while fixture.engine.manager.lock_manager().waiting_count() == 0 {
        std::thread::yield_now();
    }
}

#[test]
fn others_see_a_transaction_when_it_commits_and_never_when_it_rolls_back() {
    let (fixture, mut one) = Fixture::session(TABLE);
    let mut two = fixture.connect();
    one.begin(None, false).unwrap();
    one.execute_script(
        "insert into t values (3, 30); update t set v = 11 where id = 1; delete from t where id = 2",
    )
    .unwrap();
    assert_eq!(rows(&mut one, "select * from t order by id"), ["1|11", "3|30"]);
    assert_eq!(rows(&mut two, "select * from t order by id"), ["1|10", "2|20"]);
    assert!(one.commit().unwrap().is_some());
    assert_eq!(rows(&mut two, "select * from t order by id"), ["1|11", "3|30"]);
    one.begin(None, false).unwrap();
    one.execute_script("delete from t").unwrap();
    one.rollback().unwrap();
    assert_eq!(rows(&mut two, "select count(*) from t"), ["2"]);
}

#[test]
fn repeatable_read_keeps_its_snapshot_and_refuses_to_overwrite() {
    let (fixture, mut one) = Fixture::session(TABLE);
    let mut two = fixture.connect();
    tag(&mut one, "begin isolation level repeatable read");
    assert_eq!(rows(&mut one, "select v from t where id = 1"), ["10"]);
    two.execute_script("update t set v = 99 where id = 1").unwrap();
    assert_eq!(rows(&mut one, "select v from t where id = 1"), ["10"]);
    assert_eq!(code(&mut one, "update t set v = v + 1 where id = 1"), "40001");
    assert_eq!(one.transaction_status(), TransactionStatus::Failed);
    assert_eq!(tag(&mut one, "rollback"), "ROLLBACK");
    assert_eq!(rows(&mut one, "select v from t where id = 1"), ["99"]);
}

#[test]
fn read_committed_waits_for_a_row_and_looks_at_it_again() {
    for path in ["vectorised", "point"] {
        let (fixture, mut one) = Fixture::session(TABLE);
        let mut two = fixture.connect();
        two.set("lumos.execution_path", path).unwrap();
        one.begin(None, false).unwrap();
        one.execute_script("update t set v = 15 where id = 1; update t set v = 1 where id = 2").unwrap();
        let waiter = std::thread::spawn(move || {
            let by_key = tag(&mut two, "update t set v = v + 1 where id = 1 and v > 5");
            let gone = tag(&mut two, "update t set v = v + 1 where id = 2 and v > 5");
            (by_key, gone)
        });
        until_somebody_waits(&fixture);
        one.commit().unwrap();
        assert_eq!(waiter.join().unwrap(), (String::from("UPDATE 1"), String::from("UPDATE 0")), "{path}");
        assert_eq!(rows(&mut one, "select * from t order by id"), ["1|16", "2|1"], "{path}");
    }
}

#[test]
fn a_deleted_row_is_skipped_by_who_waited_for_it() {
    let (fixture, mut one) = Fixture::session(TABLE);
    let mut two = fixture.connect();
    one.begin(None, false).unwrap();
    one.execute_script("delete from t where id = 1").unwrap();
    let waiter = std::thread::spawn(move || tag(&mut two, "delete from t where id = 1"));
    until_somebody_waits(&fixture);
    one.commit().unwrap();
    assert_eq!(waiter.join().unwrap(), "DELETE 0");
}

#[test]
fn a_duplicate_waits_for_the_other_to_end() {
    let (fixture, mut one) = Fixture::session(TABLE);
    let mut two = fixture.connect();
    one.begin(None, false).unwrap();
    one.execute_script("insert into t values (5, 1)").unwrap();
    let waiter = std::thread::spawn(move || {
        let first = tag(&mut two, "insert into t values (5, 2)");
        (first, two)
    });
    until_somebody_waits(&fixture);
    one.rollback().unwrap();
    assert_eq!(waiter.join().unwrap().0, "INSERT 0 1");
    assert_eq!(code(&mut one, "insert into t values (5, 3)"), "23505");
}

#[test]
fn after_an_error_only_the_end_of_the_block_is_accepted() {
    let (_fixture, mut session) = Fixture::session(TABLE);
    tag(&mut session, "begin");
    tag(&mut session, "insert into t values (3, 30)");
    assert_eq!(code(&mut session, "select 1 / 0"), "22012");
    assert_eq!(session.transaction_status(), TransactionStatus::Failed);
    let refused = error(&mut session, "select 1");
    assert_eq!(
        (refused.state().as_str(), refused.message()),
        ("25P02", "current transaction is aborted, commands ignored until end of transaction block")
    );
    assert_eq!(code(&mut session, "select nothing from nowhere"), "25P02");
    assert_eq!(tag(&mut session, "commit"), "ROLLBACK");
    assert_eq!(session.transaction_status(), TransactionStatus::Idle);
    assert_eq!(rows(&mut session, "select count(*) from t"), ["2"]);
    session.begin(None, false).unwrap();
    code(&mut session, "select * from nowhere");
    assert_eq!(session.commit().unwrap_err().state().as_str(), "40000");
    assert_eq!(session.transaction_status(), TransactionStatus::Idle);
}

#[test]
fn transaction_control_in_the_wrong_place_is_a_warning() {
    let (_fixture, mut session) = Fixture::session(TABLE);
    session.take_notices();
    for (sql, state) in [("commit", "25P01"), ("rollback", "25P01"), ("begin", ""), ("begin", "25001")] {
        tag(&mut session, sql);
        let notices = session.take_notices();
        let states: String = notices.iter().map(|notice| notice.report.state().to_string()).collect();
        assert_eq!(states, state, "{sql}");
        assert!(notices.iter().all(|notice| notice.severity == Severity::Warning));
    }
    assert_eq!(session.begin(None, false).unwrap_err().state().as_str(), "25001");
}

#[test]
fn a_read_only_transaction_refuses_changes() {
    let (_fixture, mut session) = Fixture::session(TABLE);
    for sql in
        ["insert into t values (9, 9)", "update t set v = 1", "delete from t", "create table x (a int)"]
    {
        tag(&mut session, "begin read only");
        assert_eq!(rows(&mut session, "show transaction_read_only"), ["on"]);
        let refused = error(&mut session, sql);
        assert_eq!(refused.state().as_str(), "25006");
        assert!(refused.message().starts_with("cannot execute"), "{refused}");
        tag(&mut session, "rollback");
    }
    session.set("default_transaction_read_only", "on").unwrap();
    assert_eq!(code(&mut session, "delete from t"), "25006");
    assert_eq!(tag(&mut session, "begin read write"), "BEGIN");
    assert_eq!(tag(&mut session, "delete from t where id = 1"), "DELETE 1");
    tag(&mut session, "commit");
}

#[test]
fn the_isolation_level_is_fixed_by_the_first_statement() {
    let (_fixture, mut session) = Fixture::session(TABLE);
    tag(&mut session, "begin");
    tag(&mut session, "set transaction isolation level repeatable read");
    assert_eq!(rows(&mut session, "show transaction_isolation"), ["repeatable read"]);
    rows(&mut session, "select 1");
    assert_eq!(code(&mut session, "set transaction isolation level read committed"), "25001");
    tag(&mut session, "rollback");
    assert_eq!(rows(&mut session, "show transaction_isolation"), ["read committed"]);
    for level in ["read uncommitted", "serializable"] {
        tag(&mut session, &format!("begin isolation level {level}"));
        assert_eq!(rows(&mut session, "show transaction_isolation"), [level]);
        tag(&mut session, "commit and chain");
        assert_eq!(rows(&mut session, "show transaction_isolation"), [level]);
        tag(&mut session, "rollback");
    }
}

#[test]
fn modes_are_those_that_were_asked_for_and_else_the_sessions() {
    let (_fixture, mut session) = Fixture::session(TABLE);
    let modes = |session: &mut Session| {
        ["isolation", "read_only", "deferrable"]
            .map(|mode| rows(session, &format!("show transaction_{mode}")).concat())
            .join(", ")
    };
    tag(&mut session, "set session characteristics as transaction isolation level serializable, deferrable");
    assert_eq!(modes(&mut session), "serializable, off, on");
    tag(&mut session, "begin read only, not deferrable");
    assert_eq!(modes(&mut session), "serializable, on, off");
    tag(&mut session, "set transaction_deferrable = on");
    tag(&mut session, "set transaction read write");
    tag(&mut session, "set transaction_isolation to 'repeatable read'");
    assert_eq!(modes(&mut session), "repeatable read, off, on");
    rows(&mut session, "select 1");
    for late in [
        "set transaction not deferrable",
        "set transaction_isolation = 'serializable'",
        "set transaction_deferrable = on",
    ] {
        tag(&mut session, "savepoint s");
        assert_eq!(code(&mut session, late), "25001", "{late}");
        tag(&mut session, "rollback to s");
    }
    tag(&mut session, "set transaction read only");
    assert_eq!(code(&mut session, "set transaction read write"), "25001");
    tag(&mut session, "rollback");
    assert_eq!(modes(&mut session), "serializable, off, on");
    tag(&mut session, "begin");
    tag(&mut session, "set local default_transaction_isolation = 'read committed'");
    assert_eq!(rows(&mut session, "show default_transaction_isolation"), ["read committed"]);
    tag(&mut session, "commit");
    assert_eq!(rows(&mut session, "show default_transaction_isolation"), ["serializable"]);
}

#[test]
fn a_serializable_commit_that_fails_is_rolled_back() {
    let (fixture, mut session) = Fixture::session(TABLE);
    let mut other = fixture.connect();
    for session in [&mut session, &mut other] {
        tag(session, "begin isolation level serializable");
        rows(session, "select sum(v) from t");
    }
    tag(&mut session, "insert into t values (7, 7)");
    tag(&mut other, "insert into t values (8, 8)");
    tag(&mut session, "commit");
    let refused = error(&mut other, "commit");
    assert_eq!(refused.state().as_str(), "40001");
    assert_eq!(
        refused.message(),
        "could not serialize access due to read/write dependencies among transactions"
    );
    assert_eq!(other.transaction_status(), TransactionStatus::Idle);
    assert_eq!(rows(&mut other, "select id from t where id > 6"), ["7"]);
}

#[test]
fn now_stands_still_within_a_transaction() {
    let (fixture, mut session) = Fixture::session(TABLE);
    tag(&mut session, "begin");
    let first = rows(&mut session, "select now()");
    fixture.clock.advance_micros(5_000_000);
    assert_eq!(rows(&mut session, "select now()"), first);
    assert_ne!(rows(&mut session, "select statement_timestamp()"), first);
    tag(&mut session, "commit");
    assert_ne!(rows(&mut session, "select now()"), first);
}

#[test]
fn a_portal_of_a_block_keeps_its_rows_when_the_block_goes_on_and_ends_with_it() {
    let (_fixture, mut session) = Fixture::session(TABLE);
    session.begin(None, false).unwrap();
    let (statement, _) = session.prepare("select id from t where v > 0 order by v").unwrap();
    let statement = statement.unwrap();
    let mut portal = session.execute(&statement, &[]).unwrap();
    tag(&mut session, "delete from t");
    assert_eq!(drain(&mut session, &mut portal).unwrap(), [["1"], ["2"]]);
    let mut empty = session.execute(&statement, &[]).unwrap();
    assert!(drain(&mut session, &mut empty).unwrap().is_empty());
    session.rollback().unwrap();
    session.begin(None, false).unwrap();
    let mut portal = session.execute(&statement, &[]).unwrap();
    session.commit().unwrap();
    assert_eq!(session.fetch(&mut portal).unwrap_err().state().as_str(), "34000");
}

#[test]
fn a_dropped_session_rolls_back() {
    let (fixture, mut session) = Fixture::session(TABLE);
    let mut other = fixture.connect();
    other.begin(None, false).unwrap();
    other.execute_script("update t set v = 0").unwrap();
    drop(other);
    assert_eq!(tag(&mut session, "update t set v = v + 1"), "UPDATE 2");
    session.begin(None, false).unwrap();
    session.execute_script("delete from t").unwrap();
    session.after_panic();
    assert_eq!(session.transaction_status(), TransactionStatus::Failed);
    session.rollback().unwrap();
    assert_eq!(rows(&mut session, "select sum(v) from t"), ["32"]);
}
