//! The short path and the pipelines give the same rows, tags and errors for the same statements.

use super::*;
use crate::session::prepared::Prepared;
use crate::session::result::TransactionStatus;
use crate::sql::evaluate::row::{RowSink, RowSource};

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
            "a scan is not for the short path"
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
