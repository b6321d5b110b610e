//! The short path and the pipelines give the same rows, tags and errors for the same statements.

use super::*;
use crate::session::prepared::Prepared;
use crate::session::result::TransactionStatus;
use crate::sql::evaluate::row::{RowSink, RowSource};
use crate::sql::types::datum::DatumRef;

const SCHEMA: &str = "create table t (id bigint primary key, a integer, b text not null default 'd', \
     c numeric(10,2), d timestamp, unique (a, b), check (a <> 13));
    insert into t values (1, 1, 'one', 1.50, '2020-01-01'), (2, 2, 'two', null, null), (3, null, 'three', 3, null),
     (-4, 4, 'minus', -4.25, '1999-12-31 23:59:59.5')";

const STATEMENTS: &[&str] = &[
    "select * from t where id = 1",
    "select b, a + 1, c * 2 from t where id = 2",
    "select a from t where id = -4 and b = 'minus'",
    "select a from t where id = 4",
    "select id from t where a = 1 and b = 'one'",
    "select id from t where a = null and b = 'one'",
    "select id, upper(b) from t where id = 3 limit 1",
    "select 1 / a from t where id = 3",
    "select 1 / (a - 1) from t where id = 1",
    "select 1, 'x', null, 2.50, true",
    "values (1, 'a'), (2, 'b'), (null, 'c') limit 2 offset 1",
    "insert into t (id, a) values (10, 10)",
    "insert into t values (11, 11, 'eleven', 0.005, now()), (12, 12, 'twelve', 99999999.99, null)",
    "insert into t values (12, 0, 'dup', 0, null)",
    "insert into t values (13, 1, 'one', 0, null)",
    "insert into t values (14, 14, null, 0, null)",
    "insert into t values (15, 13, 'check', 0, null)",
    "insert into t values (16, 16, 'big', 123456789.123, null)",
    "insert into t (id, a) values (20, 20), (21, 21) returning id, a * 2, b",
    "update t set a = a + 100 where id = 1",
    "update t set a = 13 where id = 2",
    "update t set b = null where id = 2",
    "update t set a = 101, b = 'one' where id = 3",
    "update t set c = c + 1, d = '2021-02-03 04:05:06' where id = -4 returning *",
    "update t set id = 30 where id = 10",
    "update t set id = 1 where id = 30",
    "update t set a = 5 where id = 999",
    "update t set b = b || '!' where a = 101 and b = 'one'",
    "delete from t where id = 30 returning id, b",
    "delete from t where id = 30",
    "delete from t where a = 2 and b = 'two'",
    "select * from t where id = 1",
    "select id, a, b, c, d from t order by id",
];

fn outcome(session: &mut Session, sql: &str) -> String {
    match run_with(session, sql, &[]) {
        Ok((rows, tag)) => format!("{tag}: {rows:?}"),
        Err(error) => format!("{} {} {:?}", error.state(), error.message(), error.detail_text()),
    }
}

#[test]
fn every_statement_means_the_same_on_every_path() {
    let outcomes: Vec<Vec<String>> = ["auto", "vectorised", "point"]
        .iter()
        .map(|path| {
            let (_fixture, mut session) = Fixture::session(SCHEMA);
            session.set("lumos.execution_path", path).unwrap();
            STATEMENTS.iter().map(|sql| outcome(&mut session, sql)).collect()
        })
        .collect();
    for (index, sql) in STATEMENTS.iter().enumerate() {
        assert_eq!(outcomes[0][index], outcomes[1][index], "auto and vectorised: {sql}");
        assert_eq!(outcomes[1][index], outcomes[2][index], "vectorised and point: {sql}");
    }
    assert!(outcomes[0].iter().filter(|outcome| outcome.starts_with("2")).count() >= 8, "{outcomes:?}");
}

/// Takes rows as text.
#[derive(Default)]
struct Collect(Vec<String>);

impl RowSink for Collect {
    fn row(&mut self, values: &dyn RowSource, count: usize) -> Result<()> {
        self.0
            .push((0..count).map(|index| format!("{:?}", values.datum(index))).collect::<Vec<_>>().join("|"));
        Ok(())
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

#[test]
fn the_short_path_runs_prepared_statements_again_and_again() {
    let (_fixture, mut session) = Fixture::session(
        "create table t (id bigint primary key, v bigint not null); create table u (a integer)",
    );
    let mut prepare = |sql: &str| session.prepare(sql).unwrap().0.unwrap();
    let insert = prepare("insert into t values ($1, $2)");
    let select = prepare("select v from t where id = $1");
    let update = prepare("update t set v = v + $2 where id = $1");
    let delete = prepare("delete from t where id = $1");
    let scan = prepare("select count(*) from t");
    let row_ids = prepare("insert into u values ($1)");
    let mut none = Collect::default();
    for block in [false, true] {
        if block {
            session.begin(None, false).unwrap();
        }
        for id in 0..300 {
            let id = Datum::BigInt(id);
            let done =
                session.run_point(&insert, &[id.clone(), Datum::BigInt(5)], &mut none).unwrap().unwrap();
            assert_eq!(done.affected, Some(1));
            session.run_point(&update, &[id.clone(), Datum::BigInt(2)], &mut none).unwrap().unwrap();
            let mut out = Collect::default();
            let read = session.run_point(&select, std::slice::from_ref(&id), &mut out).unwrap().unwrap();
            assert_eq!((read.rows, out.0.join(",")), (1, String::from("BigInt(7)")));
            session.run_point(&row_ids, &[Datum::Integer(1)], &mut none).unwrap().unwrap();
        }
        assert!(
            session.run_point(&scan, &[], &mut none).unwrap().is_none(),
            "an aggregate is not for the short path"
        );
        assert_eq!(rows(&mut session, "select count(*), sum(v) from t"), ["300|2100"]);
        for id in 0..300 {
            let done = session.run_point(&delete, &[Datum::BigInt(id)], &mut none).unwrap().unwrap();
            assert_eq!(done.affected, Some(1));
        }
        if block {
            session.commit().unwrap();
        }
    }
    assert_eq!(rows(&mut session, "select count(*) from t"), ["0"]);
    assert_eq!(rows(&mut session, "select count(*) from u"), ["600"]);
    assert!(none.0.is_empty());
}

#[test]
fn the_ends_of_a_block_take_the_short_path_where_their_names_are_their_tags() {
    let (_fixture, mut session) = Fixture::session("create table t (id bigint primary key)");
    let mut prepare = |sql: &str| session.prepare(sql).unwrap().0.unwrap();
    let (begin, commit, rollback) = (prepare("begin"), prepare("commit"), prepare("rollback"));
    let (insert, chain) = (prepare("insert into t values ($1)"), prepare("commit and chain"));
    let mut none = Collect::default();
    let mut run = |session: &mut Session, statement: &Arc<Prepared>, values: &[Datum]| {
        session.run_point(statement, values, &mut none)
    };
    for (end, id) in [(&commit, 7), (&rollback, 8)] {
        assert!(run(&mut session, end, &[]).unwrap().is_none(), "outside a block it warns");
        let done = run(&mut session, &begin, &[]).unwrap().unwrap();
        assert_eq!((done.rows, done.affected), (0, None));
        assert_eq!(session.transaction_status(), TransactionStatus::Active);
        assert!(run(&mut session, &begin, &[]).unwrap().is_none(), "a second BEGIN warns");
        assert!(run(&mut session, &chain, &[]).unwrap().is_none());
        run(&mut session, &insert, &[Datum::BigInt(id)]).unwrap().unwrap();
        run(&mut session, end, &[]).unwrap().unwrap();
        assert_eq!(session.transaction_status(), TransactionStatus::Idle);
    }
    assert_eq!(rows(&mut session, "select id from t"), ["7"]);
    run(&mut session, &begin, &[]).unwrap().unwrap();
    run(&mut session, &insert, &[Datum::BigInt(7)]).unwrap_err();
    assert!(run(&mut session, &commit, &[]).unwrap().is_none(), "COMMIT of a failed block is a ROLLBACK");
    session.rollback().unwrap();
}

/// Takes as many rows as it has room for, as text.
struct Bounded {
    room: usize,
    rows: Vec<String>,
}

impl RowSink for Bounded {
    fn row(&mut self, values: &dyn RowSource, count: usize) -> Result<()> {
        let text = |index| match values.datum(index) {
            DatumRef::Null => String::from("NULL"),
            DatumRef::Integer(number) => number.to_string(),
            DatumRef::BigInt(number) => number.to_string(),
            DatumRef::Text(text) => text.to_string(),
            other => panic!("{other:?}"),
        };
        self.rows.push((0..count).map(text).collect::<Vec<_>>().join("|"));
        Ok(())
    }

    fn offer(&mut self, values: &dyn RowSource, count: usize) -> Result<bool> {
        let has_room = self.rows.len() < self.room;
        if has_room {
            self.row(values, count)?;
        }
        Ok(has_room)
    }

    fn clear(&mut self) {
        self.rows.clear();
    }
}

/// The rows of a short range; `None`: it ran as pipelines, or did not find room.
fn short(session: &mut Session, sql: &str, values: &[Datum], room: usize) -> Option<Vec<String>> {
    let statement = session.prepare(sql).unwrap().0.unwrap();
    let mut out = Bounded { room, rows: Vec::new() };
    let done = session.run_point(&statement, values, &mut out).unwrap();
    match done {
        Some(done) => assert_eq!((done.rows, done.affected), (out.rows.len() as u64, None), "{sql}"),
        None => assert!(out.rows.is_empty(), "{sql}: rows of a range that was given up"),
    }
    done.map(|_| out.rows)
}

const RANGES: &[&str] = &[
    "select id, v, t from r where id >= 10 and id < 40 order by id",
    "select * from r where id between -5 and 1200 order by id desc",
    "select t, id from r where id > 990",
    "select id from r where id > 17 order by id limit 5",
    "select id, t from r where id < 500 order by id desc limit 130",
    "select id from r order by id limit 0",
    "select id from r where id > 700 and id < 700",
    "select id from r where id > null",
    "select v from r where id <= 7 limit null",
    "select id, t from r where w = 40",
    "select w, id from r where w between 10 and 12",
    "select id, v from r where v = 2 and w >= 40 and w < 50 order by w",
    "select id, w from r where w > 100 order by w limit 12",
    "select w, id, t from r where w < 150 order by w desc limit 7",
    "select id from r where w = null",
    "select id from r where w = -1",
];

#[test]
fn short_ranges_give_what_pipelines_give() {
    let (_fixture, mut session) = Fixture::session(
        "create table r (id bigint primary key, v integer, w integer, t text);
        create index on r (w); create index on r (v, w);
        insert into r select i, nullif(i % 7, 3), i / 5, repeat('x', i % 90) from generate_series(1, 1000) i;
        delete from r where id % 11 = 0; insert into r values (-3, 1, 40, 'below'), (1100, null, null, null)",
    );
    let check = |session: &mut Session, when: &str| {
        for sql in RANGES {
            let wide = short(session, sql, &[], usize::MAX).unwrap_or_else(|| panic!("{when}: {sql}"));
            assert_eq!(wide, rows(session, sql), "{when}: {sql}");
        }
    };
    check(&mut session, "committed");
    session.begin(None, false).unwrap();
    session
        .execute_script("update r set t = 'mine', w = w - 1 where id in (12, 300, 995); delete from r where id in (20, 201)")
        .unwrap();
    session
        .execute_script("insert into r values (0, 0, 0, 'zero'), (22, 2, 40, 'back'), (5000, 5, 150, 'far')")
        .unwrap();
    check(&mut session, "with own writes");
    session.rollback().unwrap();
    check(&mut session, "after a rollback");
}

#[test]
fn a_range_that_finds_no_room_leaves_nothing_and_is_tried_ever_more_seldom() {
    let (_fixture, mut session) = Fixture::session(
        "create table r (id bigint primary key); insert into r select generate_series(1, 1000)",
    );
    let statement = session.prepare("select id from r where id <= $1").unwrap().0.unwrap();
    let try_once = |session: &mut Session, last: i64, room: usize| {
        let mut out = Bounded { room, rows: Vec::new() };
        let done = session.run_point(&statement, &[Datum::BigInt(last)], &mut out).unwrap();
        assert_eq!(out.rows.len() as u64, done.map_or(0, |done| done.rows));
        done.is_some()
    };
    assert!(try_once(&mut session, 10, 10));
    assert!(!try_once(&mut session, 11, 10), "one row too many");
    let fits: Vec<bool> = (0..20).map(|_| try_once(&mut session, 10, 10)).collect();
    assert_eq!(fits.iter().position(|fits| *fits), Some(2), "{fits:?}");
    assert!(fits[2..].iter().all(|fits| *fits), "{fits:?}");
    // Tried at runs 1, 4, 9, 18 and 35, and then after 32 more.
    assert!((0..40).all(|_| !try_once(&mut session, 1000, 999)));
    assert_eq!((0..).find(|_| try_once(&mut session, 10, 10)), Some(27));
}

#[test]
fn ranges_with_values_that_lie_elsewhere_run_as_pipelines() {
    let (_fixture, mut session) = Fixture::session(
        "create table r (id bigint primary key, small text, large text);
        insert into r select i, 'x', case when i = 5 then repeat('y', 200000) end from generate_series(1, 10) i",
    );
    let all = usize::MAX;
    assert!(short(&mut session, "select id, large from r where id < 8", &[], all).is_none());
    assert_eq!(short(&mut session, "select id, large from r where id < 5", &[], all).unwrap().len(), 4);
    assert_eq!(short(&mut session, "select id, small from r where id < 8", &[], all).unwrap().len(), 7);
    assert_eq!(rows(&mut session, "select sum(length(large)) from r"), ["200000"]);
}
