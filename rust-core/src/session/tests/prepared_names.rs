//! PREPARE, EXECUTE, DEALLOCATE: names live in the session, plans follow the catalog.

use super::*;

const T: &str = "create table t (a int primary key, b text); insert into t values (1, 'x'), (2, 'y')";

fn state(session: &mut Session, sql: &str) -> (String, String) {
    let error = error(session, sql);
    (error.state().as_str().to_owned(), error.message().to_owned())
}

#[test]
fn a_statement_runs_by_its_name_with_its_own_columns_and_tag() {
    let (_fixture, mut session) = Fixture::session(T);
    assert_eq!(
        tag(&mut session, "prepare q (int, unknown) as select b, a from t where a = $1 or b = $2"),
        "PREPARE"
    );
    assert_eq!(rows(&mut session, "execute q (1 + 0.4, 'y')"), ["x|1", "y|2"]);
    let (described, _) = session.prepare("execute q (1, null)").unwrap();
    let described = described.unwrap();
    let names: Vec<&str> = described.columns().iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["b", "a"]);
    assert!(described.parameters().is_empty() && described.is_read_only());
    session.execute_script("prepare i as insert into t values ($1, $2) returning a").unwrap();
    assert_eq!(rows(&mut session, "execute i (3, 'z')"), ["3"]);
    session.execute_script("prepare d as delete from t where a > $1").unwrap();
    assert_eq!(tag(&mut session, "execute d (1)"), "DELETE 2");
    let (change, _) = session.prepare("execute d (1)").unwrap();
    assert!(!change.unwrap().is_read_only());
    assert_eq!(tag(&mut session, "deallocate prepare d"), "DEALLOCATE");
    assert_eq!(tag(&mut session, "deallocate all"), "DEALLOCATE ALL");
    assert_eq!(rows(&mut session, "select name from pg_prepared_statements"), [""; 0]);
}

#[test]
fn what_is_wrong_is_told_as_postgresql_tells_it() {
    let (_fixture, mut session) = Fixture::session(T);
    session.execute_script("prepare q (int, text) as select * from t where a = $1 and b = $2").unwrap();
    let told = |state: &str, message: &str| (state.to_owned(), message.to_owned());
    for (sql, expected) in [
        ("prepare q as select 1", told("42P05", "prepared statement \"q\" already exists")),
        ("execute nope", told("26000", "prepared statement \"nope\" does not exist")),
        ("explain execute nope", told("26000", "prepared statement \"nope\" does not exist")),
        ("deallocate nope", told("26000", "prepared statement \"nope\" does not exist")),
        ("execute q (1)", told("42601", "wrong number of parameters for prepared statement \"q\"")),
        ("execute q ((select 1), 'x')", told("0A000", "cannot use subquery in EXECUTE parameter")),
        (
            "execute q (count(*), 'x')",
            told("42803", "aggregate functions are not allowed in EXECUTE parameters"),
        ),
        (
            "execute q (generate_series(1, 2), 'x')",
            told("0A000", "set-returning functions are not allowed in EXECUTE parameters"),
        ),
        ("execute q (z, 'x')", told("42703", "column \"z\" does not exist")),
        ("execute q ($1, 'x')", told("42P02", "there is no parameter $1")),
        (
            "execute q ('x'::text, 'x')",
            told("42804", "parameter $1 of type text cannot be coerced to the expected type integer"),
        ),
        ("execute q ('x', 'x')", told("22P02", "invalid input syntax for type integer: \"x\"")),
        ("execute q (1 / 0, 'x')", told("22012", "division by zero")),
        ("prepare r as select * from missing", told("42P01", "relation \"missing\" does not exist")),
    ] {
        assert_eq!(state(&mut session, sql), expected, "{sql}");
    }
    let wrong = error(&mut session, "execute q (1)");
    assert_eq!(wrong.detail_text(), Some("Expected 2 parameters but got 1."));
    assert_eq!(state(&mut session, "prepare r as select 1 into u").0, "0A000");
}

#[test]
fn a_name_outlives_the_transaction_that_gave_it_and_not_discard() {
    let (_fixture, mut session) = Fixture::session(T);
    session.execute_script("begin; prepare q as select a from t order by a; rollback").unwrap();
    assert_eq!(rows(&mut session, "execute q"), ["1", "2"]);
    session.execute_script("discard plans").unwrap();
    assert_eq!(rows(&mut session, "execute q"), ["1", "2"]);
    session.execute_script("discard all").unwrap();
    assert_eq!(state(&mut session, "execute q").0, "26000");
    session.execute_script("prepare q as select a from t order by a").unwrap();
    session.discard().unwrap();
    assert_eq!(state(&mut session, "execute q").0, "26000");
    session.execute_script("begin").unwrap();
    assert_eq!(state(&mut session, "execute q").0, "26000");
    assert_eq!(state(&mut session, "execute q").0, "25P02");
}

#[test]
fn the_plan_follows_definitions_but_never_gives_other_columns() {
    let (_fixture, mut session) = Fixture::session(T);
    session
        .execute_script("prepare all_of as select * from t; prepare one as select a from t where b = $1")
        .unwrap();
    assert_eq!(rows(&mut session, "execute one ('y')"), ["2"]);
    session.execute_script("create index t_b on t (b); alter table t add c int").unwrap();
    assert_eq!(rows(&mut session, "execute one ('y')"), ["2"]);
    assert_eq!(
        state(&mut session, "execute all_of"),
        ("0A000".to_owned(), "cached plan must not change result type".to_owned())
    );
    // Made in a transaction that came to nothing, over a table of its own.
    session
        .execute_script("begin; create table u (a int); prepare of_u as select * from u; rollback")
        .unwrap();
    assert_eq!(state(&mut session, "execute of_u").0, "42P01");
}

#[test]
fn an_execute_that_the_caller_prepared_follows_its_name() {
    let (_fixture, mut session) = Fixture::session(T);
    session.execute_script("prepare q as select a from t where a = 1").unwrap();
    let (kept, _) = session.prepare("execute q").unwrap();
    let kept = kept.unwrap();
    session.execute_script("deallocate q").unwrap();
    assert_eq!(session.execute(&kept, &[]).unwrap_err().state().as_str(), "26000");
    session.execute_script("prepare q as select a from t where a = 2").unwrap();
    let mut portal = session.execute(&kept, &[]).unwrap();
    let batch = session.fetch(&mut portal).unwrap().unwrap();
    assert_eq!(texts(&session, &batch), [["2"]]);
    session.close(portal);
    session.execute_script("deallocate q; prepare q as select b from t where a = 2").unwrap();
    assert_eq!(session.execute(&kept, &[]).unwrap_err().message(), "cached plan must not change result type");
}

#[test]
fn execute_stands_in_explain_and_in_create_table_as() {
    let (_fixture, mut session) = Fixture::session(T);
    session.execute_script("prepare q (int) as select a, b from t where a >= $1").unwrap();
    assert!(rows(&mut session, "explain execute q (2)").iter().any(|line| line.contains("t")));
    let analyzed = rows(&mut session, "explain (analyze, timing off, costs off, summary off) execute q (2)");
    assert!(analyzed[0].contains("rows=1"), "{analyzed:?}");
    assert_eq!(tag(&mut session, "create table u (x) as execute q (1 + 1)"), "SELECT 1");
    assert_eq!(rows(&mut session, "select x, b from u"), ["2|y"]);
    session.execute_script("prepare i as delete from t").unwrap();
    assert_eq!(
        state(&mut session, "create table v as execute i"),
        ("42809".to_owned(), "prepared statement is not a SELECT".to_owned())
    );
}

#[test]
fn names_are_shown_and_charged() {
    let (fixture, mut session) = Fixture::session(T);
    let before = fixture.engine.memory.used();
    session.execute_script("prepare q (int) as select a from t where a = $1 and b = $2").unwrap();
    assert!(fixture.engine.memory.used() >= before + (4 << 10));
    session.execute_script("execute q (1, 'x'); execute q (1, 'x')").unwrap();
    assert_eq!(
        rows(
            &mut session,
            "select name, statement, prepare_time = now(), parameter_types, from_sql, generic_plans \
             from pg_prepared_statements"
        ),
        ["q|prepare q (int) as select a from t where a = $1 and b = $2|t|{integer,text}|t|2"]
    );
    session.execute_script("deallocate q").unwrap();
    assert_eq!(fixture.engine.memory.used(), before);
    let fixture = Fixture::with_memory(1 << 20);
    let mut session = fixture.connect();
    let refused =
        (0..1000).find_map(|number| session.execute_script(&format!("prepare p{number} as select 1")).err());
    assert_eq!(refused.unwrap().state().as_str(), "53200");
}

#[test]
fn an_argument_with_an_effect_has_it_once_inside_and_outside_a_block() {
    let (_fixture, mut session) = Fixture::session("create sequence s; prepare q as select $1::bigint");
    assert_eq!(rows(&mut session, "execute q (nextval('s'))"), ["1"]);
    session.execute_script("begin").unwrap();
    assert_eq!(rows(&mut session, "execute q (nextval('s'))"), ["2"]);
    session.execute_script("commit").unwrap();
    assert_eq!(rows(&mut session, "execute q (nextval('s'))"), ["3"]);
}
