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

#[test]
fn very_many_keys_that_wait_for_others_wait_in_temporary_files() {
    // What waits moves at 4 MiB, which is more than there is, and at 384 KiB.
    let (fixture, small) = (Fixture::with_memory(128 << 20), Fixture::with_memory(12 << 20));
    let script = "create table t (id int primary key, k int unique, s text unique, b bytea, c char(3), n numeric);
        create unique index on t ((k + 1));
        insert into t select g, g, 'text ' || lpad(g::text, 6, '0'), nullif(decode(lpad(g::text, 6, '0'), 'hex'), '\\x000007'),
            (g % 100)::text, g / 8.0 from generate_series(1, 4000) r (g)";
    let changes = [
        "update t set id = id + 1, k = k + 1",
        "update t set k = k + 1 where id % 2 = 0 or k > 17",
        "update t set id = 5000 - id, k = 5000 - k",
        "update t set s = 'text ' || lpad(((substr(s, 6)::int + 1))::text, 6, '0')",
        "update t set id = id - 1, s = case when id = 100 then repeat('long', 20000) else s end",
        "update t set k = case when id = 2050 then (select k from t where id = 2060) + 1 else k + 1 end where id > 1020",
        "update t set id = case when id = 2999 then 2003 else id + 1 end",
    ];
    let all = "select md5(string_agg(t::text, ',' order by id)), count(*), sum(k), sum(id), md5(string_agg(s, ',' order by k)) from t";
    let all = &all.replace("t::text", "id || ' ' || k || ' ' || coalesce(b::text, '') || c || n");
    let run = |fixture: &Fixture, statement: &str| {
        let mut session = fixture.connect();
        let outcome = run_with(&mut session, statement, &[]);
        let outcome = outcome.map(|(_, tag)| tag).map_err(|error| error.state().as_str().to_owned());
        (outcome, rows(&mut session, all))
    };
    for fixture in [&fixture, &small] {
        for sql in script.split(';') {
            fixture.connect().execute_script(sql).unwrap();
        }
    }
    for change in changes {
        let expected = run(&fixture, change);
        assert_eq!(run(&small, change), expected, "{change}");
        let findings = small.engine.manager.storage().verify(&mut |_| {}).unwrap();
        assert_eq!(findings, 0, "{change}");
    }
    let refused = changes.iter().rev().take(2).map(|change| run(&small, change).0.unwrap_err());
    assert_eq!(refused.collect::<Vec<_>>(), ["23505", "23505"]);
}
