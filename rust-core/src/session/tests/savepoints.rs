//! Savepoints, and what an error in a block undoes (tests/sql/savepoints.slt has what one session sees of them).

use super::*;
use crate::session::result::TransactionStatus;

const TABLE: &str =
    "create table t (id integer primary key, v integer unique); insert into t values (1, 10), (2, 20)";

/// Whether a change of a row waits for nobody.
fn is_free(fixture: &Fixture, id: i32) -> bool {
    let mut session = fixture.connect();
    let change =
        std::thread::spawn(move || session.execute_script(&format!("update t set v = v where id = {id}")));
    while !change.is_finished() {
        if fixture.engine.manager.lock_manager().waiting_count() > 0 {
            return false;
        }
        std::thread::yield_now();
    }
    change.join().unwrap().is_ok()
}

#[test]
fn a_return_to_a_savepoint_gives_back_the_locks_taken_since() {
    let (fixture, mut one) = Fixture::session(TABLE);
    let mut two = fixture.connect();
    tag(&mut one, "begin");
    one.execute_script("update t set v = 11 where id = 1").unwrap();
    assert_eq!(tag(&mut one, "savepoint s"), "SAVEPOINT");
    one.execute_script("update t set v = 21 where id = 2").unwrap();
    assert_eq!(tag(&mut one, "rollback to s"), "ROLLBACK");
    assert!(is_free(&fixture, 2));
    one.execute_script("update t set v = 21 where id = 2").unwrap();
    // An error returns to the savepoint at once.
    assert_eq!(code(&mut one, "select 1 / 0"), "22012");
    assert_eq!(one.transaction_status(), TransactionStatus::Failed);
    assert!(is_free(&fixture, 2));
    assert_eq!(tag(&mut one, "rollback to s"), "ROLLBACK");
    assert_eq!(tag(&mut one, "release s"), "RELEASE");
    assert_eq!(tag(&mut one, "commit"), "COMMIT");
    assert_eq!(rows(&mut two, "select * from t order by id"), ["1|11", "2|20"]);
}

#[test]
fn on_error_statement_undoes_the_statement_alone() {
    for path in ["vectorised", "point"] {
        let (_fixture, mut session) = Fixture::session(TABLE);
        session.set("lumos.execution_path", path).unwrap();
        session.set("on_error", "statement").unwrap();
        tag(&mut session, "begin");
        assert_eq!(tag(&mut session, "insert into t values (3, 30)"), "INSERT 0 1");
        assert_eq!(code(&mut session, "insert into t values (4, 40), (1, 50)"), "23505");
        assert_eq!(code(&mut session, "update t set v = 30 / (v - 20)"), "22012");
        assert_eq!(code(&mut session, "select * from nowhere"), "42P01");
        assert_eq!(code(&mut session, "not a statement"), "42601");
        assert_eq!(code(&mut session, "rollback to nowhere"), "3B001");
        assert_eq!(code(&mut session, "create table u (a integer, b nonsense)"), "42704");
        assert_eq!(code(&mut session, "create table t (a integer)"), "42P07");
        let mut source = b"5\t50\n1\t60\n".as_slice();
        let mut read = |buffer: &mut [u8]| {
            let count = source.len().min(buffer.len());
            buffer[..count].copy_from_slice(&source[..count]);
            source = &source[count..];
            Ok(count)
        };
        let refused = session.copy_in("copy t from stdin", &mut read).unwrap_err();
        assert_eq!(refused.state().as_str(), "23505");
        assert_eq!(session.transaction_status(), TransactionStatus::Active);
        assert_eq!(rows(&mut session, "select * from t order by id"), ["1|10", "2|20", "3|30"], "{path}");
        assert_eq!(tag(&mut session, "commit"), "COMMIT");
        assert_eq!(rows(&mut session, "select count(*) from t"), ["3"]);
    }
}

#[test]
fn on_error_statement_leaves_a_script_one_transaction() {
    let (_fixture, mut session) = Fixture::session(TABLE);
    session.set("on_error", "statement").unwrap();
    let outcome = session.execute_script("insert into t values (3, 30); insert into t values (1, 1)");
    assert_eq!(outcome.unwrap_err().state().as_str(), "23505");
    assert_eq!(session.transaction_status(), TransactionStatus::Idle);
    assert_eq!(rows(&mut session, "select count(*) from t"), ["2"]);
}

#[test]
fn many_savepoints_are_charged_and_given_back() {
    let (fixture, mut session) = Fixture::session(TABLE);
    let before = fixture.engine.memory.used();
    tag(&mut session, "begin");
    for round in 0..3 {
        for number in 0..1000 {
            tag(&mut session, &format!("savepoint s{number}"));
        }
        assert!(fixture.engine.memory.used() > before + 1000 * 32, "round {round}");
        tag(&mut session, "release s0");
    }
    tag(&mut session, "rollback");
    // Plans of the statements stay in the cache.
    assert!(fixture.engine.memory.used() < before + 1000 * 32);
}

#[test]
fn a_portal_that_was_open_before_an_error_ends_with_it() {
    let (_fixture, mut session) = Fixture::session(TABLE);
    tag(&mut session, "begin");
    tag(&mut session, "savepoint s");
    let query = session.prepare("select id from t order by id").unwrap().0.unwrap();
    let mut portal = session.execute(&query, &[]).unwrap();
    assert_eq!(code(&mut session, "select 1 / 0"), "22012");
    // Its rows were taken before the next statement began.
    assert!(session.fetch(&mut portal).unwrap().is_some());
    session.close(portal);
    tag(&mut session, "rollback to s");
    let mut portal = session.execute(&query, &[]).unwrap();
    assert!(session.prepare("select nothing from nowhere").is_err());
    assert_eq!(session.fetch(&mut portal).unwrap_err().state().as_str(), "34000");
    session.close(portal);
    tag(&mut session, "rollback to s");
    assert_eq!(rows(&mut session, "select count(*) from t"), ["2"]);
    tag(&mut session, "commit");
}
