//! One workload for every kind of statement, each of one step, for harnesses that take something away from a statement.
//! Knows SQL. Knows nothing of what is taken away.

use crate::scenario::{Base, Scenario, WHOLE_BACKUP};

/// A step that opens the database: the log of a crash is redone.
pub const OPEN: &str = "-- open";

const SETUP: [&str; 6] = [
    "CREATE TABLE t (id bigint PRIMARY KEY, n bigint, s text)",
    "CREATE INDEX t_n ON t (n)",
    "CREATE TABLE u (id bigint PRIMARY KEY, n bigint, s text)",
    "INSERT INTO t SELECT g, g * 7 % 101, repeat('t', 60) FROM generate_series(1, 300) AS r(g)",
    "INSERT INTO u SELECT g, g * 5 % 97, repeat('u', 20) FROM generate_series(1, 200) AS r(g)",
    "CREATE VIEW v AS SELECT id, n FROM t WHERE n > 50",
];

/// A name for messages, and the step; before it, in the setup, what comes before a `|`.
const KINDS: [(&str, &str); 51] = [
    ("insert", "INSERT INTO t VALUES (1000, 1, 'x')"),
    (
        "insert many",
        "INSERT INTO t SELECT g, g % 13, repeat('i', 200) FROM generate_series(1001, 1400) AS r(g)",
    ),
    (
        "insert unordered",
        "INSERT INTO t SELECT 1001 + g * 7 % 401, g % 13, repeat('i', 90) FROM generate_series(1, 400) AS r(g)",
    ),
    (
        "insert into pages that stay free",
        "ALTER TABLE t SET (fillfactor = 10);ALTER INDEX t_n SET (fillfactor = 20)|INSERT INTO t SELECT g, g, repeat('i', 90) FROM generate_series(1001, 1400) AS r(g)",
    ),
    (
        "a few rows into pages that stay free",
        "ALTER TABLE t SET (fillfactor = 10);ALTER INDEX t_n SET (fillfactor = 10)|INSERT INTO t SELECT g, g, repeat('i', 300) FROM generate_series(1001, 1020) AS r(g)",
    ),
    ("fillfactor", "ALTER TABLE t SET (fillfactor = 10)"),
    (
        "fillfactor and rows",
        "BEGIN; ALTER TABLE t SET (fillfactor = 10); ALTER INDEX t_n SET (fillfactor = 10); INSERT INTO t SELECT g, g, repeat('i', 90) FROM generate_series(1001, 1200) AS r(g); COMMIT",
    ),
    ("insert returning", "INSERT INTO u VALUES (1000, 1, 'x'), (1001, 1, 'y') RETURNING id"),
    ("update", "UPDATE t SET n = n + 1 WHERE id = 17"),
    ("update by index", "UPDATE t SET s = 'changed' WHERE n = 50"),
    ("update all", "UPDATE t SET n = n + 1, s = repeat('u', 70)"),
    ("update from", "UPDATE t SET n = u.n FROM u WHERE t.id = u.id AND u.n < 30"),
    ("delete", "DELETE FROM t WHERE id = 18"),
    ("delete many", "DELETE FROM t WHERE id % 3 = 1"),
    ("delete using", "DELETE FROM t USING u WHERE t.id = u.id AND u.n > 60"),
    ("truncate", "TRUNCATE t"),
    (
        "transaction",
        "BEGIN; INSERT INTO t VALUES (1000, 1, 'x'); UPDATE u SET n = 3; DELETE FROM t WHERE id < 20; COMMIT",
    ),
    ("rollback", "BEGIN; INSERT INTO t VALUES (1000, 1, 'x'); UPDATE u SET n = 3; ROLLBACK"),
    (
        "large transaction",
        "BEGIN; INSERT INTO t SELECT 1000 + g * 7 % 2003, g, repeat('s', 300) FROM generate_series(1, 1000) AS r(g); UPDATE t SET n = n + 1; DELETE FROM t WHERE id % 5 = 0; COMMIT",
    ),
    ("large values", "INSERT INTO t VALUES (1000, 1, repeat('l', 70000)), (1001, 2, repeat('m', 30000))"),
    (
        "change of large values",
        "INSERT INTO t VALUES (1000, 1, repeat('l', 70000))|UPDATE t SET s = repeat('k', 50000) WHERE id = 1000",
    ),
    (
        "create table",
        "CREATE TABLE w (a bigint PRIMARY KEY, b text UNIQUE, c integer CHECK (c > 0) DEFAULT 1)",
    ),
    ("create table as", "CREATE TABLE w AS SELECT id, n * 2 AS m FROM t WHERE n > 20"),
    ("create index", "CREATE INDEX t_s ON t (s, n)"),
    ("create unique index", "CREATE UNIQUE INDEX t_u ON t (n, id)"),
    ("create expression index", "CREATE INDEX t_e ON t ((n * 2)) WHERE id > 10"),
    ("create view", "CREATE VIEW w AS SELECT t.id, u.s FROM t JOIN u ON t.id = u.id"),
    ("drop table", "DROP VIEW v|DROP TABLE t"),
    ("drop index", "DROP INDEX t_n"),
    ("drop view", "DROP VIEW v"),
    ("analyze", "ANALYZE"),
    ("vacuum", "DELETE FROM t WHERE id % 4 > 0|VACUUM"),
    ("vacuum full", "DELETE FROM t WHERE id < 250|VACUUM FULL"),
    ("checkpoint", "CHECKPOINT"),
    ("checkpoint of much", "UPDATE t SET s = repeat('c', 300)|CHECKPOINT"),
    ("copy to", "COPY t TO '/d/out.csv' (FORMAT csv)"),
    ("copy from", "COPY t TO '/d/in.csv' (FORMAT csv);DELETE FROM t|COPY t FROM '/d/in.csv' (FORMAT csv)"),
    ("backup", WHOLE_BACKUP),
    ("open after a crash", OPEN),
    ("point query", "SELECT s FROM t WHERE id = 44"),
    ("range query", "SELECT id, s FROM t WHERE id BETWEEN 40 AND 90"),
    ("index query", "SELECT id FROM t WHERE n = 44 ORDER BY id"),
    ("sort", "SELECT id, s FROM t ORDER BY n DESC, id"),
    ("top rows", "SELECT id FROM t ORDER BY n DESC, id LIMIT 7"),
    ("aggregate", "SELECT n % 10, count(*), sum(id), min(s) FROM t GROUP BY n % 10 ORDER BY 1"),
    ("distinct", "SELECT DISTINCT n FROM t ORDER BY n"),
    ("hash join", "SELECT t.id, u.s FROM t JOIN u ON t.n = u.n ORDER BY t.id, u.id"),
    ("outer join", "SELECT t.id, u.id FROM t LEFT JOIN u ON t.n = u.n AND u.id > 100 ORDER BY 1, 2"),
    ("subquery", "SELECT id FROM t WHERE n > (SELECT avg(n) FROM u WHERE u.id < t.id) ORDER BY id LIMIT 20"),
    ("set operation", "SELECT n FROM t UNION SELECT n FROM u EXCEPT SELECT id FROM v ORDER BY 1"),
    (
        "recursive query",
        "WITH RECURSIVE r(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM r WHERE n < 200) SELECT sum(n) FROM r",
    ),
];

/// All of them.
pub fn kinds() -> Vec<Scenario> {
    KINDS
        .iter()
        .map(|(name, text)| {
            let (before, step) = text.split_once('|').unwrap_or(("", text));
            let mut setup = SETUP.to_vec();
            setup.extend(before.split(';').filter(|sql| !sql.is_empty()));
            let base = if *step == *OPEN { Base::Crashed } else { Base::Closed };
            let mut scenario = Scenario::new(name, base, &setup, &[step]);
            scenario.page_size = 4096;
            // A backup takes eight of them.
            scenario.memory_limit = 16 << 20;
            scenario.segment_bytes = 256 << 10;
            scenario
        })
        .collect()
}

/// Whether a step gives rows that must be the same each time.
pub fn is_query(step: &str) -> bool {
    step.starts_with("SELECT") || step.starts_with("WITH") || step.contains("RETURNING")
}
