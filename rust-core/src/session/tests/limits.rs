//! A LIMIT has what is below it read little at first, and changes no answer.

use super::*;
use crate::common::random::Random;

const TABLE: &str = "create table t (id bigint primary key, n bigint, s text);
    create index t_n on t (n, id);
    insert into t select g, g * 7919 % 5000, 'text ' || g from generate_series(1, 5000) as r (g)";

/// How many rows a scan of `t` gave, by EXPLAIN ANALYZE.
fn scanned(session: &mut Session, query: &str) -> u64 {
    let lines = rows(session, &format!("explain (analyze, costs off, timing off, summary off) {query}"));
    let scan = lines
        .iter()
        .find(|line| line.contains("Scan") && line.contains(" on t"))
        .unwrap_or_else(|| panic!("{lines:?}"));
    let actual = scan.split("rows=").last().expect("the last part of a text");
    let digits: String = actual.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("{lines:?}"))
}

#[test]
fn no_more_rows_are_read_than_a_limit_asks_for() {
    let (_fixture, mut session) = Fixture::session(TABLE);
    for (query, rows) in [
        ("select * from t limit 3", 3),
        ("select * from t order by id desc limit 3", 3),
        ("select id, n from t where n >= 100 order by n, id limit 7 offset 2", 9),
        ("select * from t order by n desc, id desc limit 1", 1),
        ("select * from t order by n, id limit 2 for update", 2),
        ("select * from t limit 1 for update skip locked", 1),
        ("select 1 where exists (select * from t where n > 10)", 1),
        ("select (select s from t order by n limit 1)", 1),
    ] {
        assert_eq!(scanned(&mut session, query), rows, "{query}");
    }
    assert_eq!(scanned(&mut session, "select count(*) from t"), 5000);
}

#[test]
fn rows_that_others_hold_are_stepped_over_by_larger_and_larger_batches() {
    let (fixture, mut session) = Fixture::session(TABLE);
    let mut other = fixture.connect();
    tag(&mut other, "begin");
    assert_eq!(rows(&mut other, "select id from t order by id limit 900 for update").len(), 900);
    let next = "select id from t order by id limit 1 for update skip locked";
    assert_eq!(rows(&mut session, next), ["901"]);
    // 1 + 4 + 16 + 64 + 256 rows are not enough, and 1,024 more are.
    assert_eq!(scanned(&mut session, next), 1365);
    tag(&mut other, "rollback");
    assert_eq!(rows(&mut session, next), ["1"]);
}

#[test]
fn at_serializable_a_limit_depends_on_the_rows_before_it_alone() {
    let (fixture, mut session) = Fixture::session(TABLE);
    let mut other = fixture.connect();
    for (changed, outcome) in [(2, "COMMIT"), (1, "40001")] {
        tag(&mut session, "begin isolation level serializable");
        assert_eq!(rows(&mut session, "select s from t order by id limit 1"), ["text 1"]);
        tag(&mut session, "update t set s = 'own' where id = 4000");
        tag(&mut other, &format!("update t set s = 'other' where id = {changed}"));
        let committed = run_with(&mut session, "commit", &[]);
        let found = committed.map_or_else(|error| error.state().as_str().to_owned(), |(_, tag)| tag);
        assert_eq!(found, outcome, "{changed}");
    }
}

#[test]
fn a_limit_gives_the_first_rows_of_what_it_limits() {
    for seed in 1..3 {
        let (fixture, mut session) = Fixture::session(TABLE);
        let mut random = Random::new(seed);
        // Somebody who looks at the old rows keeps ghosts and versions there.
        let mut older = fixture.connect();
        tag(&mut older, "begin isolation level repeatable read");
        assert_eq!(rows(&mut older, "select count(*) from t"), ["5000"]);
        for _ in 0..6 {
            let (from, length) = (random.below(5000), random.below(1500));
            let to = from + length;
            let change = match random.below(3) {
                0 => format!("delete from t where id between {from} and {to}"),
                1 => format!("update t set n = n + 5000 where n between {from} and {to}"),
                _ => format!(
                    "insert into t select g, g, 'new' from generate_series({from}, {to}) r (g)
                              on conflict do nothing"
                ),
            };
            tag(&mut session, &change);
        }
        tag(&mut session, "begin");
        let middle = random.below(4000);
        tag(&mut session, &format!("delete from t where id % 3 = 0 and id < {middle}"));
        tag(&mut session, &format!("update t set n = -n where id between {middle} and {}", middle + 300));
        for session in [&mut session, &mut older] {
            for order in ["order by id", "order by id desc", "order by n, id", "order by n desc, id desc"] {
                for condition in ["", "where n % 11 = 3", "where n > 2500", "where id > 4990 or id < 3"] {
                    let all = rows(session, &format!("select id, n from t {condition} {order}"));
                    for limit in [1, 9, 300, 2500] {
                        let skip = random.below(40) as usize;
                        let query =
                            format!("select id, n from t {condition} {order} limit {limit} offset {skip}");
                        let expected: Vec<_> = all.iter().skip(skip).take(limit).cloned().collect();
                        assert_eq!(rows(session, &query), expected, "seed {seed}: {query}");
                    }
                }
            }
        }
    }
}
