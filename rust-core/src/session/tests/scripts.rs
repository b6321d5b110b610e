//! Several statements in one text, and settings.

use super::*;
use crate::session::result::TransactionStatus;

#[test]
fn a_script_is_one_transaction_unless_it_says_otherwise() {
    let (_fixture, mut session) = Fixture::session("create table t (a integer primary key)");
    let failed = session
        .execute_script("insert into t values (1); insert into t values (2); insert into t values (1)");
    assert_eq!(failed.unwrap_err().state().as_str(), "23505");
    assert_eq!(rows(&mut session, "select count(*) from t"), ["0"]);
    let failed = session.execute_script("insert into t values (1); commit; insert into t values (1)");
    assert_eq!(failed.unwrap_err().state().as_str(), "23505");
    assert_eq!(rows(&mut session, "select count(*) from t"), ["1"]);
    session.execute_script("insert into t values (5); begin; insert into t values (6)").unwrap();
    assert_eq!(session.transaction_status(), TransactionStatus::Active);
    session.rollback().unwrap();
    assert_eq!(rows(&mut session, "select count(*) from t"), ["1"]);
    assert_eq!(
        session.execute_script("insert into t values (7), (8); delete from t where a > 6").unwrap(),
        2
    );
    assert_eq!(session.transaction_status(), TransactionStatus::Idle);
}

#[test]
fn a_syntax_error_anywhere_stops_the_whole_script_and_is_placed_in_it() {
    let (_fixture, mut session) = Fixture::session("create table t (a integer primary key)");
    let sql = "insert into t values (1); selec 2";
    let failed = session.execute_script(sql).unwrap_err();
    assert_eq!((failed.state().as_str(), failed.position()), ("42601", Some(26)));
    assert_eq!(rows(&mut session, "select count(*) from t"), ["0"]);
    let failed = session.execute_script("select 1;\n select nope from t").unwrap_err();
    assert_eq!((failed.state().as_str(), failed.position()), ("42703", Some(18)));
}

#[test]
fn prepare_takes_one_statement_after_the_other() {
    let (_fixture, mut session) = Fixture::session("");
    let text = "select 1; ; select 'a;b' -- c;\n; ";
    let mut rest = text;
    let mut found = Vec::new();
    while let (Some(statement), taken) = session.prepare(rest).unwrap() {
        let mut portal = session.execute(&statement, &[]).unwrap();
        found.extend(drain(&mut session, &mut portal).unwrap());
        rest = &rest[taken..];
    }
    assert_eq!(found, [["1"], ["a;b"]]);
}

#[test]
fn settings_follow_their_transaction() {
    let (_fixture, mut session) = Fixture::session("");
    tag(&mut session, "begin");
    tag(&mut session, "set timezone to 'Europe/Berlin'");
    tag(&mut session, "set local durability = off");
    assert_eq!(rows(&mut session, "show timezone"), ["Europe/Berlin"]);
    tag(&mut session, "commit");
    assert_eq!(rows(&mut session, "show time zone"), ["Europe/Berlin"]);
    tag(&mut session, "begin");
    tag(&mut session, "set timezone to 'UTC'");
    tag(&mut session, "rollback");
    assert_eq!(rows(&mut session, "show timezone"), ["Europe/Berlin"]);
    tag(&mut session, "reset timezone");
    assert_eq!(rows(&mut session, "show timezone"), ["UTC"]);
    assert_eq!(code(&mut session, "show nothing_of_the_kind"), "42704");
    assert_eq!(code(&mut session, "set datestyle to 'German'"), "0A000");
    assert!(rows(&mut session, "show all").iter().any(|row| row.starts_with("server_version|15.0|")));
    assert_eq!(rows(&mut session, "select current_setting('server_version')"), ["15.0"]);
}

#[test]
fn a_checkpoint_runs() {
    let (_fixture, mut session) = Fixture::session("create table t (a integer); insert into t values (1)");
    assert_eq!(tag(&mut session, "checkpoint"), "CHECKPOINT");
    assert_eq!(rows(&mut session, "select * from t"), ["1"]);
}
