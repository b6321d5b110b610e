//! UPDATE and DELETE over joins, RETURNING with subqueries, TRUNCATE; and what queries do with subqueries whose
//! value nobody asks for.

use super::*;

const TABLES: &str = "create table t (id integer primary key, v integer); \
     insert into t values (1, 10), (2, 20), (3, 30); \
     create table s (t_id integer, n integer); \
     insert into s values (1, 100), (1, 100), (2, 200), (4, 400)";

/// Waits until some session waits for a lock.
fn until_somebody_waits(fixture: &Fixture) {
    while fixture.engine.manager.lock_manager().waiting_count() == 0 {
        std::thread::yield_now();
    }
}

#[test]
fn a_row_that_a_join_gives_several_times_is_changed_once() {
    let (_fixture, mut session) = Fixture::session(TABLES);
    let sql = "update t set v = v + n from s where t_id = id";
    assert_eq!(tag(&mut session, sql), "UPDATE 2");
    assert_eq!(rows(&mut session, "select * from t order by id"), ["1|110", "2|220", "3|30"]);
    assert_eq!(tag(&mut session, "delete from t using s where t_id = id"), "DELETE 2");
    assert_eq!(rows(&mut session, "select * from t"), ["3|30"]);
}

#[test]
fn returning_gives_columns_of_both_sides_of_the_join() {
    let (_fixture, mut session) = Fixture::session(TABLES);
    let sql = "update t set v = n from s where t_id = id and id = 2 returning t.*, s.n, t_id + id";
    assert_eq!(rows(&mut session, sql), ["2|200|200|4"]);
    let sql = "delete from t using s where t_id = id and id = 1 returning id, v, s.n";
    assert_eq!(rows(&mut session, sql), ["1|10|100"]);
}

#[test]
fn a_join_is_judged_again_for_a_row_that_somebody_changed_meanwhile() {
    let (fixture, mut one) = Fixture::session(TABLES);
    let mut two = fixture.connect();
    one.begin(None, false).unwrap();
    one.execute_script("update t set v = 1 where id = 1; update t set v = 25 where id = 2").unwrap();
    let waiter = std::thread::spawn(move || {
        let sql = "update t set v = v + n from s where t_id = id and v > 5 returning id, v, n";
        let mut found = rows(&mut two, sql);
        found.sort();
        found
    });
    until_somebody_waits(&fixture);
    one.commit().unwrap();
    assert_eq!(
        waiter.join().unwrap(),
        ["2|225|200"],
        "row 1 does not qualify any more, row 2 has its new value"
    );
    assert_eq!(rows(&mut one, "select * from t order by id"), ["1|1", "2|225", "3|30"]);
}

#[test]
fn returning_may_ask_subqueries_about_the_new_row() {
    let (_fixture, mut session) = Fixture::session(TABLES);
    let sql = "insert into t values (4, 40), (5, 50) \
               returning id, (select n from s where t_id = id), id in (select t_id from s), (select v)";
    let mut found = rows(&mut session, sql);
    found.sort();
    assert_eq!(found, ["4|400|t|40", "5|NULL|f|50"]);
    let sql = "update t set v = v + 1 where id = 2 returning (select max(n) from s where n > v), \
               (select count(*) from t as before where before.v < t.v)";
    assert_eq!(rows(&mut session, sql), ["400|2"], "the subqueries see the tables as they were");
    assert_eq!(tag(&mut session, "insert into t values (6, 60) returning (select 6)"), "INSERT 0 1");
    assert_eq!(rows(&mut session, "select count(*) from t"), ["6"]);
}

#[test]
fn truncate_empties_tables_and_a_rollback_brings_the_rows_back() {
    let (_fixture, mut session) = Fixture::session(TABLES);
    session.begin(None, false).unwrap();
    assert_eq!(tag(&mut session, "truncate t, s, t"), "TRUNCATE TABLE");
    assert_eq!(rows(&mut session, "select (select count(*) from t) + (select count(*) from s)"), ["0"]);
    session.rollback().unwrap();
    assert_eq!(rows(&mut session, "select (select count(*) from t) + (select count(*) from s)"), ["7"]);
    tag(&mut session, "truncate table only s restart identity cascade");
    tag(&mut session, "insert into t select t_id + 10, n from s");
    assert_eq!(rows(&mut session, "select count(*) from t"), ["3"]);
    assert_eq!(code(&mut session, "truncate nowhere"), "42P01");
}

#[test]
fn a_subquery_whose_value_nobody_asks_for_is_not_run() {
    let (_fixture, mut session) = Fixture::session(TABLES);
    let wrong = "(select v from t)";
    assert_eq!(code(&mut session, &format!("select {wrong}")), "21000");
    for sql in [
        format!("select case when id < 9 then id else {wrong} end from t where id = 1"),
        format!("select coalesce(id, {wrong}) from t where id = 1"),
        String::from(
            "select id from (select id, (select n from s where n > id) as n from t where id = 1) as q",
        ),
    ] {
        assert_eq!(rows(&mut session, &sql), ["1"], "{sql}");
    }
    let explain = format!(
        "explain (analyze, costs off, timing off, summary off) \
         select case when v < 99 then v else {wrong} end from t"
    );
    let plan = rows(&mut session, &explain).join("\n");
    assert!(plan.contains("never executed"), "{plan}");
    let once = "select count(*) from t where v > (select min(v) from t) and id < (select max(id) from t) + 1";
    assert_eq!(rows(&mut session, once), ["2"]);
}

#[test]
fn with_ties_gives_the_rows_that_equal_the_last_one() {
    let (_fixture, mut session) = Fixture::session(
        "create table n (a integer, b text); \
         insert into n values (1, 'a'), (1, 'b'), (2, 'c'), (2, 'd'), (2, 'e'), (3, 'f'), (null, 'g'), (null, 'h')",
    );
    for (clause, count) in [
        ("order by a fetch first 1 row with ties", 2),
        ("order by a fetch first 2 rows with ties", 2),
        ("order by a fetch first 3 rows with ties", 5),
        ("order by a offset 1 fetch first 2 rows with ties", 4),
        ("order by a desc fetch first row with ties", 2),
        ("order by a, b fetch first 3 rows with ties", 3),
        ("order by a fetch first 0 rows with ties", 0),
        ("order by a fetch first 99 rows with ties", 8),
        ("order by a offset 9 fetch first 2 rows with ties", 0),
    ] {
        let found = rows(&mut session, &format!("select b from n {clause}"));
        assert_eq!(found.len(), count, "{clause}: {found:?}");
    }
    tag(&mut session, "insert into n select 7, 'x' from generate_series(1, 5000)");
    let sql =
        "select count(*) from (select a from n where a > 2 order by a fetch first 2 rows with ties) as q";
    assert_eq!(rows(&mut session, sql), ["5001"]);
    assert_eq!(code(&mut session, "select a from n fetch first 2 rows with ties"), "42601");
}

#[test]
fn each_aggregate_has_its_own_order() {
    let (_fixture, mut session) = Fixture::session(
        "create table w (g integer, x text); \
         insert into w values (1, 'b'), (1, 'a'), (2, 'd'), (1, 'c'), (2, 'e'), (2, 'd')",
    );
    let sql = "select g, string_agg(x, '' order by x desc), string_agg(x, '' order by x), \
               string_agg(distinct x, '' order by x), string_agg(x, '' order by x) filter (where x <> 'c') \
               from w group by g order by g";
    assert_eq!(rows(&mut session, sql), ["1|cba|abc|abc|ab", "2|edd|dde|de|dde"]);
    let sql =
        "select string_agg(x, '' order by g desc, x), string_agg(x, '' order by x desc) from w where g > 5";
    assert_eq!(rows(&mut session, sql), ["NULL|NULL"]);
}

#[test]
fn a_full_join_may_ask_subqueries_about_both_sides() {
    let (_fixture, mut session) = Fixture::session(TABLES);
    let sql = "select id, n from t full join s on t_id = id and exists (select 1 where n > v and id < 2)";
    let mut found = rows(&mut session, sql);
    found.sort();
    assert_eq!(found, ["1|100", "1|100", "2|NULL", "3|NULL", "NULL|200", "NULL|400"]);
}

#[test]
fn analyze_of_a_column_keeps_what_is_known_of_the_others() {
    let (_fixture, mut session) = Fixture::session(TABLES);
    tag(&mut session, "analyze s (n)");
    tag(&mut session, "analyze t, s (t_id, n)");
    assert_eq!(code(&mut session, "analyze s (x)"), "42703");
    assert_eq!(code(&mut session, "analyze s (n, n)"), "42701");
}
