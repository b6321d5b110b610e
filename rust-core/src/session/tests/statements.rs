//! Tables are made, filled, changed and read; broken constraints are told in PostgreSQL's words.

use super::*;

const ACCOUNTS: &str = "create table accounts (id bigint primary key, balance bigint not null, name text, \
                        check (balance >= 0));
    insert into accounts values (1, 10, 'ann'), (2, 20, 'bob'), (3, 30, null)";

#[test]
fn rows_that_were_inserted_are_found_changed_and_removed() {
    let (_fixture, mut session) = Fixture::session(ACCOUNTS);
    assert_eq!(rows(&mut session, "select name, balance from accounts where id = 2"), ["bob|20"]);
    assert_eq!(
        rows(&mut session, "select * from accounts order by id desc"),
        ["3|30|NULL", "2|20|bob", "1|10|ann"]
    );
    assert_eq!(tag(&mut session, "update accounts set balance = balance + 5 where id = 1"), "UPDATE 1");
    assert_eq!(tag(&mut session, "update accounts set name = 'x' where balance > 15"), "UPDATE 2");
    assert_eq!(tag(&mut session, "delete from accounts where name = 'x' and id < 3"), "DELETE 1");
    assert_eq!(rows(&mut session, "select * from accounts order by 1"), ["1|15|ann", "3|30|x"]);
    assert_eq!(tag(&mut session, "insert into accounts (balance, id) values (0, 4)"), "INSERT 0 1");
    assert_eq!(tag(&mut session, "select * from accounts"), "SELECT 3");
}

#[test]
fn returning_gives_the_new_rows_and_the_removed_ones() {
    let (_fixture, mut session) = Fixture::session(ACCOUNTS);
    for path in ["vectorised", "point"] {
        session.set("lumos.execution_path", path).unwrap();
        let inserted = rows(
            &mut session,
            "insert into accounts values (7, 1, 'eve'), (8, 2, 'fay') returning id + 1, name",
        );
        assert_eq!(inserted, ["8|eve", "9|fay"], "{path}");
        let updated = rows(&mut session, "update accounts set balance = 5 where id = 7 returning *");
        assert_eq!(updated, ["7|5|eve"], "{path}");
        let deleted = rows(&mut session, "delete from accounts where id > 6 returning name, balance");
        assert_eq!(deleted, ["eve|5", "fay|2"], "{path}");
    }
}

#[test]
fn a_broken_constraint_names_itself_and_the_row() {
    let (_fixture, mut session) = Fixture::session(ACCOUNTS);
    for path in ["vectorised", "point"] {
        session.set("lumos.execution_path", path).unwrap();
        let duplicate = error(&mut session, "insert into accounts values (2, 1, 'dup')");
        assert_eq!(duplicate.state().as_str(), "23505");
        assert_eq!(duplicate.message(), "duplicate key value violates unique constraint \"accounts_pkey\"");
        assert_eq!(duplicate.detail_text(), Some("Key (id)=(2) already exists."));
        let null = error(&mut session, "insert into accounts values (9, null, 'n')");
        assert_eq!(null.state().as_str(), "23502");
        assert_eq!(
            null.message(),
            "null value in column \"balance\" of relation \"accounts\" violates not-null constraint"
        );
        assert_eq!(null.detail_text(), Some("Failing row contains (9, null, n)."));
        assert_eq!(null.column_name(), Some("balance"));
        let check = error(&mut session, "update accounts set balance = -1 where id = 3");
        assert_eq!(check.state().as_str(), "23514");
        assert_eq!(
            check.message(),
            "new row for relation \"accounts\" violates check constraint \"accounts_balance_check\""
        );
        assert_eq!(check.detail_text(), Some("Failing row contains (3, -1, null)."));
    }
}

#[test]
fn a_statement_that_fails_half_way_leaves_nothing() {
    let (_fixture, mut session) = Fixture::session(ACCOUNTS);
    assert_eq!(code(&mut session, "insert into accounts values (10, 1), (11, 1), (1, 1)"), "23505");
    assert_eq!(code(&mut session, "update accounts set balance = 100 / (balance - 30)"), "22012");
    assert_eq!(rows(&mut session, "select id, balance from accounts order by id"), ["1|10", "2|20", "3|30"]);
}

#[test]
fn unique_indexes_refuse_duplicates_and_admit_nulls() {
    let (_fixture, mut session) = Fixture::session(
        "create table u (a integer, b text, unique (a, b)); insert into u values (1, 'x'), (1, null), (1, null)",
    );
    let duplicate = error(&mut session, "insert into u values (1, 'x')");
    assert_eq!(duplicate.detail_text(), Some("Key (a, b)=(1, x) already exists."));
    assert_eq!(rows(&mut session, "select count(*) from u"), ["3"]);
    assert_eq!(code(&mut session, "update u set b = 'x' where b is null"), "23505");
    assert_eq!(tag(&mut session, "update u set a = 2 where b = 'x'"), "UPDATE 1");
    assert_eq!(tag(&mut session, "insert into u values (1, 'x')"), "INSERT 0 1");
}

#[test]
fn an_update_of_the_key_moves_the_row_once() {
    let (_fixture, mut session) = Fixture::session(
        "create table t (id integer primary key, v integer); insert into t values (1, 1), (2, 2), (3, 3)",
    );
    assert_eq!(tag(&mut session, "update t set id = id + 100"), "UPDATE 3");
    assert_eq!(rows(&mut session, "select * from t order by id"), ["101|1", "102|2", "103|3"]);
    assert_eq!(code(&mut session, "update t set id = 102 where id = 101"), "23505");
}

#[test]
fn an_insert_does_not_read_its_own_rows() {
    let (_fixture, mut session) =
        Fixture::session("create table t (v integer); insert into t values (1), (2), (3)");
    assert_eq!(tag(&mut session, "insert into t select v + 10 from t"), "INSERT 0 3");
    assert_eq!(rows(&mut session, "select count(*), sum(v) from t"), ["6|42"]);
}

#[test]
fn parameters_are_converted_to_the_types_that_the_statement_wants() {
    let (_fixture, mut session) = Fixture::session(ACCOUNTS);
    let by_id = "select name from accounts where id = $1";
    for value in [Datum::BigInt(2), Datum::Integer(2), Datum::text("2")] {
        let (found, _) = run_with(&mut session, by_id, &[value]).unwrap();
        assert_eq!(found, [["bob"]]);
    }
    assert!(run_with(&mut session, by_id, &[Datum::Null]).unwrap().0.is_empty());
    let wrong = run_with(&mut session, by_id, &[Datum::text("two")]).unwrap_err();
    assert_eq!(wrong.state().as_str(), "22P02");
    assert_eq!(run_with(&mut session, by_id, &[]).unwrap_err().state().as_str(), "08P01");
    let nul = run_with(&mut session, "select $1::text", &[Datum::text("a\0b")]).unwrap_err();
    assert_eq!(nul.state().as_str(), "22021");
}

#[test]
fn defaults_fill_the_columns_that_an_insert_leaves_out() {
    let (_fixture, mut session) = Fixture::session(
        "create table d (id integer primary key, a integer default 1 + 2, b text default 'x', c timestamptz default now());
         insert into d (id) values (1); insert into d values (2, default, null)",
    );
    assert_eq!(rows(&mut session, "select a, b from d order by id"), ["3|x", "3|NULL"]);
    assert_eq!(rows(&mut session, "select c from d where id = 1"), ["2023-11-14 22:13:20+00"]);
}

#[test]
fn texts_that_cannot_run_have_their_code_and_place() {
    let (_fixture, mut session) = Fixture::session(ACCOUNTS);
    let missing = error(&mut session, "select nme from accounts");
    assert_eq!((missing.state().as_str(), missing.position()), ("42703", Some(7)));
    assert_eq!(code(&mut session, "select * from acounts"), "42P01");
    assert_eq!(code(&mut session, "selec 1"), "42601");
    assert_eq!(code(&mut session, "select 'a\0b'"), "22021");
    let long = format!("select '{}'", "x".repeat(1 << 20));
    assert_eq!(code(&mut session, &long), "54000");
    assert!(session.prepare("  -- nothing\n").unwrap().0.is_none());
}

#[test]
fn a_query_beyond_the_memory_limit_is_refused_and_gives_its_memory_back() {
    let fixture = Fixture::with_memory(24 << 20);
    let mut session = fixture.connect();
    session.execute_script("create table t (a integer, b text)").unwrap();
    let before = fixture.engine.memory.used();
    for start in 0..20 {
        let values: Vec<String> =
            (0..500).map(|i| format!("({}, '{}')", start * 500 + i, "x".repeat(900))).collect();
        session.execute_script(&format!("insert into t values {}", values.join(","))).unwrap();
    }
    let result = run_with(&mut session, "select * from t t1 order by b || a::text", &[]);
    match result {
        Err(error) => assert_eq!(error.state().as_str(), "53200"),
        Ok(_) => assert!(fixture.engine.memory.used() <= fixture.engine.memory.limit()),
    }
    assert_eq!(rows(&mut session, "select count(*) from t"), ["10000"]);
    assert!(fixture.engine.memory.used() >= before);
}
