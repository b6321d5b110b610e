//! Pipelines: filters, groups, order, limits; checked against plain Rust on the same random rows.

use super::*;
use crate::common::random::Random;
use std::collections::BTreeMap;

const SEED: u64 = 0x5EED_0001;

/// Rows (key, small number or NULL, word).
fn random_rows(count: usize) -> Vec<(i64, Option<i64>, String)> {
    let mut random = Random::new(SEED);
    (0..count as i64)
        .map(|id| {
            let number = (random.below(10) > 0).then(|| random.below(50) as i64 - 25);
            (id, number, format!("w{}", random.below(30)))
        })
        .collect()
}

fn filled(rows: &[(i64, Option<i64>, String)]) -> (Fixture, Session) {
    let (fixture, mut session) =
        Fixture::session("create table t (id bigint primary key, n integer, w text)");
    for chunk in rows.chunks(500) {
        let values: Vec<String> = chunk
            .iter()
            .map(|(id, n, w)| {
                format!("({id}, {}, '{w}')", n.map_or_else(|| String::from("null"), |n| n.to_string()))
            })
            .collect();
        session.execute_script(&format!("insert into t values {}", values.join(","))).unwrap();
    }
    (fixture, session)
}

#[test]
fn groups_and_aggregates_agree_with_a_map() {
    let data = random_rows(6000);
    let (_fixture, mut session) = filled(&data);
    for (key, by_number) in [("n", true), ("w", false)] {
        let mut groups: BTreeMap<String, (i64, i64, std::collections::BTreeSet<String>)> = BTreeMap::new();
        for (id, n, w) in &data {
            let number = n.map_or_else(|| String::from("NULL"), |n| n.to_string());
            let (group, other) = if by_number { (number, w.clone()) } else { (w.clone(), number) };
            let entry = groups.entry(group).or_default();
            entry.0 += 1;
            entry.1 += id;
            if other != "NULL" {
                entry.2.insert(other);
            }
        }
        let other = if by_number { "w" } else { "n" };
        let sql = format!("select {key}, count(*), sum(id), count(distinct {other}) from t group by {key}");
        let mut found = rows(&mut session, &sql);
        let mut wanted: Vec<String> =
            groups.iter().map(|(k, (count, sum, set))| format!("{k}|{count}|{sum}|{}", set.len())).collect();
        found.sort();
        wanted.sort();
        assert_eq!(found, wanted, "seed {SEED:#x}, by {key}");
    }
    let pairs: std::collections::BTreeSet<(Option<i64>, &str)> =
        data.iter().map(|(_, n, w)| (*n, w.as_str())).collect();
    assert_eq!(rows(&mut session, "select distinct n, w from t").len(), pairs.len());
    assert_eq!(rows(&mut session, "select n, w, count(*) from t group by n, w").len(), pairs.len());
}

#[test]
fn order_limit_and_offset_agree_with_a_stable_sort() {
    let data = random_rows(5000);
    let (_fixture, mut session) = filled(&data);
    let mut sorted = data.clone();
    sorted.sort_by(|left, right| {
        let number = |row: &(i64, Option<i64>, String)| row.1.map_or((0, 0), |n| (1, n));
        right.2.cmp(&left.2).then(number(left).cmp(&number(right))).then(left.0.cmp(&right.0))
    });
    let wanted: Vec<String> = sorted.iter().map(|row| row.0.to_string()).collect();
    let order = "order by w desc, n asc nulls first";
    assert_eq!(rows(&mut session, &format!("select id from t {order}, id")), wanted);
    assert_eq!(rows(&mut session, &format!("select id from t {order} limit 40")), wanted[..40]);
    assert_eq!(
        rows(&mut session, &format!("select id from t {order} limit 25 offset 3000")),
        wanted[3000..3025]
    );
    assert_eq!(rows(&mut session, &format!("select id from t {order} offset 4990")), wanted[4990..]);
}

#[test]
fn filters_see_every_row_once_across_batches() {
    let data = random_rows(5000);
    let (_fixture, mut session) = filled(&data);
    let wanted: Vec<String> = data
        .iter()
        .filter(|(_, n, w)| n.is_some_and(|n| n > 3) && w.as_str() < "w2")
        .map(|row| row.0.to_string())
        .collect();
    assert_eq!(rows(&mut session, "select id from t where n > 3 and w < 'w2' order by id"), wanted);
    let range = rows(&mut session, "select id from t where id >= 2040 and id < 2060");
    assert_eq!(range, (2040..2060).map(|id| id.to_string()).collect::<Vec<_>>());
    assert_eq!(rows(&mut session, "select id from t order by id desc limit 2"), ["4999", "4998"]);
}

#[test]
fn an_index_gives_the_rows_of_a_scan() {
    let data = random_rows(3000);
    let (_fixture, mut session) = filled(&data);
    let queries = [
        "select id from t where n = 7 order by id",
        "select id from t where n > 20 and n <= 23 order by id",
        "select id, n from t where w = 'w5' and n < 0 order by id",
        "select id from t where n is null order by id",
        "select n, id from t where n >= 24 order by n, id",
    ];
    let before: Vec<Vec<String>> = queries.iter().map(|sql| rows(&mut session, sql)).collect();
    session.execute_script("create index on t (n); create index on t (w, n desc)").unwrap();
    for (sql, wanted) in queries.iter().zip(before) {
        assert_eq!(rows(&mut session, sql), wanted, "{sql}");
    }
}

#[test]
fn aggregates_without_groups_give_one_row_also_for_no_rows() {
    let (_fixture, mut session) = Fixture::session("create table t (a integer)");
    assert_eq!(rows(&mut session, "select count(*), sum(a), min(a) from t"), ["0|NULL|NULL"]);
    assert!(rows(&mut session, "select a, count(*) from t group by a").is_empty());
    session.execute_script("insert into t values (1), (2), (2), (null)").unwrap();
    assert_eq!(
        rows(
            &mut session,
            "select count(*), count(a), sum(distinct a), count(*) filter (where a = 2) from t"
        ),
        ["4|3|3|2"]
    );
    assert_eq!(rows(&mut session, "select a from t group by a having count(*) > 1"), ["2"]);
}

#[test]
fn what_a_limit_cuts_off_is_not_computed() {
    let (_fixture, mut session) =
        Fixture::session("create table t (a integer); insert into t values (1), (0)");
    for path in ["vectorised", "auto", "point"] {
        session.set("lumos.execution_path", path).unwrap();
        assert_eq!(rows(&mut session, "select 10 / a from t limit 1"), ["10"], "{path}");
        assert!(rows(&mut session, "select 1 / 0 limit 0").is_empty(), "{path}");
        assert_eq!(code(&mut session, "select 1 limit -1"), "2201W");
        assert_eq!(code(&mut session, "select 1 offset -1"), "2201X");
    }
}

#[test]
fn a_result_streams_and_can_be_left_early() {
    let data = random_rows(9000);
    let (fixture, mut session) = filled(&data);
    let (statement, _) = session.prepare("select id from t").unwrap();
    let statement = statement.unwrap();
    let mut portal = session.execute(&statement, &[]).unwrap();
    let first = session.fetch(&mut portal).unwrap().unwrap();
    assert!(first.selected_rows() > 0 && first.rows <= 2048);
    // The open query neither sees nor stops what others do.
    fixture.connect().execute_script("delete from t where id > 10").unwrap();
    let rest = drain(&mut session, &mut portal).unwrap();
    assert_eq!(first.selected_rows() + rest.len(), 9000);
    assert_eq!(portal.tag(), "SELECT 9000");
    let portal = session.execute(&statement, &[]).unwrap();
    session.close(portal);
    assert_eq!(rows(&mut session, "select count(*) from t"), ["11"]);
}

#[test]
fn a_cancelled_query_stops_with_57014() {
    let data = random_rows(9000);
    let (_fixture, mut session) = filled(&data);
    let (statement, _) = session.prepare("select id from t").unwrap();
    let mut portal = session.execute(&statement.unwrap(), &[]).unwrap();
    session.fetch(&mut portal).unwrap();
    session.cancel_token().cancel(0);
    assert_eq!(session.fetch(&mut portal).unwrap_err().state().as_str(), "57014");
    assert_eq!(rows(&mut session, "select count(*) from t"), ["9000"]);
}
