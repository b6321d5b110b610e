//! The workloads of the simulated-disk harnesses: small, and together through every named crash point.

use crate::points::CrashPoint;
use crate::scenario::{
    BACKUP, Base, CUT, FAILS, FINISH, FINISH_BACKUP, REOPEN, SOME_PAGES, SOME_STEPS, Scenario,
};

const TABLE: &str = "CREATE TABLE t (id bigint PRIMARY KEY, n bigint, s text)";
const INDEX: &str = "CREATE INDEX t_n ON t (n)";

/// `INSERT` of rows `from..to` with texts of `length` bytes.
fn insert(from: u32, to: u32, length: u32) -> String {
    let rows: Vec<String> =
        (from..to).map(|id| format!("({id}, {}, repeat('s', {length}))", id * 7 % 13)).collect();
    format!("INSERT INTO t VALUES {}", rows.join(","))
}

/// All of them.
pub fn workloads() -> Vec<Scenario> {
    let filled = insert(0, 40, 60);
    let base = [TABLE, INDEX, filled.as_str()];
    let (more, split, long) = (insert(100, 103, 500), insert(110, 170, 90), insert(200, 204, 5000));
    let segment = insert(300, 340, 200);
    let again = insert(400, 440, 200);
    // Long enough to be kept, logged and applied as runs; the last one comes before the table's end.
    let (run, behind, before) = (insert(1000, 1180, 20), insert(1180, 1310, 5), insert(600, 700, 9));
    let last = insert(1400, 1480, 5);
    vec![
        Scenario::new("creation", Base::Empty, &[], &[TABLE, "INSERT INTO t VALUES (1, 1, 'a')"]),
        Scenario::new(
            "statements",
            Base::Closed,
            &base,
            &[
                "INSERT INTO t VALUES (50, 1, 'x')",
                "UPDATE t SET n = 99, s = 'y' WHERE id = 3",
                "DELETE FROM t WHERE id < 4",
            ],
        ),
        Scenario::new(
            "transactions",
            Base::Crashed,
            &base,
            &[
                &format!("BEGIN; {more}; UPDATE t SET n = n + 1 WHERE n = 5; COMMIT"),
                "BEGIN; DELETE FROM t; ROLLBACK",
                &format!("BEGIN; {split}; DELETE FROM t WHERE id < 20; COMMIT"),
            ],
        ),
        Scenario::new(
            "definitions",
            Base::Closed,
            &base,
            &[
                "CREATE TABLE u (a bigint, b text)",
                "INSERT INTO u VALUES (1, 'b')",
                "CREATE INDEX u_b ON u (b)",
                "DROP INDEX t_n",
                "BEGIN; DROP TABLE u; CREATE TABLE v (x bigint PRIMARY KEY); INSERT INTO v VALUES (1); COMMIT",
                "CHECKPOINT",
                "DROP TABLE t",
            ],
        ),
        Scenario::new(
            "growth over segments",
            Base::Crashed,
            &base,
            &[
                &segment,
                &again,
                "DELETE FROM t WHERE id >= 300",
                &segment,
                "CHECKPOINT",
                &again,
                "CHECKPOINT",
            ],
        ),
        Scenario::new(
            "checkpoints",
            Base::Closed,
            &base,
            &[
                &more,
                "CHECKPOINT",
                "UPDATE t SET n = n + 1 WHERE id < 10",
                "CHECKPOINT",
                "DELETE FROM t WHERE id < 20",
                "CHECKPOINT",
                "UPDATE t SET n = n + 1",
            ],
        ),
        Scenario::new(
            "recycled segments",
            Base::Closed,
            &base,
            &[
                &segment,
                "CHECKPOINT",
                &again,
                "CHECKPOINT",
                "DELETE FROM t WHERE id >= 300",
                &segment,
                "CHECKPOINT",
                &again,
                "CHECKPOINT",
                "UPDATE t SET n = 0 WHERE id = 1",
            ],
        ),
        Scenario::new(
            "large values",
            Base::Crashed,
            &base,
            &[&long, "DELETE FROM t WHERE id = 201", "CHECKPOINT"],
        ),
        Scenario::new(
            "closing and opening",
            Base::Crashed,
            &base,
            &["UPDATE t SET n = 1 WHERE id = 1", REOPEN, &more, REOPEN, "DELETE FROM t WHERE id = 2"],
        ),
        Scenario::new(
            "unsynced commits",
            Base::Crashed,
            &base,
            &[
                "SET durability = 'normal'",
                &more,
                "UPDATE t SET n = 1 WHERE id = 1",
                "DELETE FROM t WHERE id = 2",
                &split,
                "SET durability = 'full'",
                "INSERT INTO t VALUES (900, 1, 'full')",
            ],
        ),
        Scenario::new(
            "rows under consecutive keys",
            Base::Crashed,
            &base,
            &[
                &run,
                CUT,
                &format!(
                    "BEGIN; {behind}; UPDATE t SET n = -1 WHERE id = 1290; DELETE FROM t WHERE id > 1300; COMMIT"
                ),
                SOME_STEPS,
                &last,
                FINISH,
                &before,
            ],
        ),
        Scenario::new(
            "recovery",
            Base::Crashed,
            &[TABLE, INDEX, &filled, &split, "CHECKPOINT", &long, &more],
            &[],
        ),
        Scenario::new(
            "a checkpoint among commits",
            Base::Closed,
            &base,
            &[
                &more,
                CUT,
                "UPDATE t SET n = n + 1 WHERE id < 10",
                SOME_STEPS,
                "DELETE FROM t WHERE id < 5",
                SOME_STEPS,
                "CREATE TABLE u (a bigint, b text)",
                SOME_STEPS,
                &split,
                FINISH,
                "UPDATE t SET n = n + 1",
                CUT,
                "BEGIN; DROP TABLE u; DELETE FROM t WHERE id > 110; COMMIT",
                FINISH,
                "UPDATE t SET n = n + 1",
            ],
        ),
        Scenario::new(
            "vacuum",
            Base::Closed,
            &base,
            &[
                &segment,
                &again,
                "DELETE FROM t WHERE id < 395",
                "VACUUM",
                "UPDATE t SET n = n + 1",
                "VACUUM t",
                "DELETE FROM t WHERE id > 400",
                "VACUUM FULL",
            ],
        ),
        bulk(),
        bulk_loads(),
        evictions(),
        exhausted(),
        chunks(),
        spilled(),
        failing_statements(),
        made_and_dropped(&base),
        backup(&base),
    ]
}

/// Statements of large transactions fail when they have written much, and everything is undone.
fn failing_statements() -> Scenario {
    let rows = |from: u32, to: u32| {
        format!(
            "INSERT INTO t SELECT g * 7 % 4001, g, repeat('s', 300) FROM generate_series({from}, {to}) AS r(g)"
        )
    };
    let (first, more) = (rows(1, 600), rows(601, 1000));
    let mut scenario = Scenario::new(
        "failing statements",
        Base::Crashed,
        &[TABLE, INDEX, &insert(5000, 5040, 60)],
        &[
            &format!("{FAILS}BEGIN; {first}; {more}; INSERT INTO t VALUES (5001, 1, 'twice'); COMMIT"),
            "UPDATE t SET n = n + 1 WHERE id = 5001",
            &format!("{FAILS}{} UNION ALL SELECT 5002, 1, 'twice'", rows(1, 1000)),
            &format!("BEGIN; {first}; DELETE FROM t WHERE n > 300; COMMIT"),
        ],
    );
    scenario.page_size = 8192;
    scenario.segment_bytes = 1 << 20;
    scenario.stride = 5;
    scenario.points = vec![(0, CrashPoint::StatementFailure), (2, CrashPoint::StatementFailure)];
    scenario
}

/// Tables that are made, filled and dropped in one transaction, and one that is filled and dropped.
fn made_and_dropped(base: &[&str]) -> Scenario {
    let made = "CREATE TABLE w (id bigint PRIMARY KEY, s text); CREATE INDEX w_s ON w (s); \
                INSERT INTO w SELECT g, repeat('w', 40) FROM generate_series(1, 60) AS r(g)";
    let mut scenario = Scenario::new(
        "made and dropped",
        Base::Crashed,
        base,
        &[
            &format!("BEGIN; {made}; DROP TABLE w; INSERT INTO t VALUES (60, 1, 'x'); COMMIT"),
            &format!("BEGIN; {made}; DROP TABLE w; {made}; DELETE FROM w WHERE id > 50; COMMIT"),
            "CHECKPOINT",
            "BEGIN; INSERT INTO w VALUES (70, 'x'); DROP TABLE w; CREATE TABLE w (n bigint); COMMIT",
        ],
    );
    scenario.points = [0, 1, 3].map(|step| (step, CrashPoint::CreatedAndDropped)).to_vec();
    scenario
}

/// A backup among commits, a checkpoint and a table that is made.
fn backup(base: &[&str]) -> Scenario {
    let mut scenario = Scenario::new(
        "a backup among commits",
        Base::Closed,
        base,
        &[
            &insert(100, 103, 500),
            BACKUP,
            "UPDATE t SET n = n + 1 WHERE id < 10",
            SOME_PAGES,
            CUT,
            "DELETE FROM t WHERE id < 5",
            SOME_STEPS,
            SOME_PAGES,
            "CREATE TABLE u (a bigint, b text)",
            FINISH,
            FINISH_BACKUP,
            "UPDATE t SET n = n + 1",
        ],
    );
    // A backup takes eight of them.
    scenario.memory_limit = 16 << 20;
    scenario
}

/// Indexes that are built beside the log and linked, given up, changed, dropped and built again, so that what one link
/// named is written for another one as soon as that may be.
fn bulk() -> Scenario {
    let rows = insert(0, 160, 30);
    let again = insert(400, 440, 150);
    let mut scenario = Scenario::new(
        "bulk",
        Base::Crashed,
        &[TABLE, &rows, "CREATE INDEX t_id ON t (s, id)"],
        &[
            INDEX,
            "UPDATE t SET n = n + 1 WHERE id < 9",
            "DROP INDEX t_n",
            &again,
            "BEGIN; CREATE INDEX t_s ON t (s, n); UPDATE t SET s = 'x' WHERE id > 425; ROLLBACK",
            "CHECKPOINT",
            "BEGIN; CREATE INDEX t_s ON t (s, n); UPDATE t SET s = 'y' WHERE id > 420; DELETE FROM t WHERE id < 30; COMMIT",
            "BEGIN; DROP INDEX t_s; CREATE UNIQUE INDEX t_u ON t (id, n); COMMIT",
            CUT,
            INDEX,
            SOME_STEPS,
            "DROP INDEX t_id",
            "DELETE FROM t WHERE id > 100 AND id < 130",
            FINISH,
            "BEGIN; DROP INDEX t_n; CREATE INDEX t_n ON t (n); COMMIT",
        ],
    );
    scenario.bulk_rows = 50;
    scenario
}

/// Loads into new and empty tables, on top of which the same transaction writes, that are undone, dropped and repeated.
fn bulk_loads() -> Scenario {
    let rows = |table: &str, from: u32, to: u32| {
        format!(
            "INSERT INTO {table} SELECT g, g * 7 % 13, repeat('s', g % 90) FROM generate_series({from}, {to}) AS r(g)"
        )
    };
    let (load, more) = (rows("t", 1, 150), rows("u", 1, 120));
    let mut scenario = Scenario::new(
        "bulk loads",
        Base::Crashed,
        &[TABLE, INDEX, "CREATE TABLE u (id bigint UNIQUE, n bigint, s text)"],
        &[
            &format!("BEGIN; {load}; UPDATE t SET s = 'x' WHERE id < 20; DELETE FROM t WHERE n = 5; COMMIT"),
            &format!("BEGIN; {more}; ROLLBACK"),
            &more,
            "BEGIN; DROP TABLE u; CREATE TABLE u AS SELECT id, n, s FROM t; COMMIT",
            "CHECKPOINT",
            "INSERT INTO u SELECT id + 1000, n, repeat('y', 300) FROM t WHERE id < 40",
            "DROP TABLE u",
            "CREATE TABLE v AS SELECT id, repeat('v', 2000) AS s FROM t WHERE id > 80",
            CUT,
            &format!("BEGIN; TRUNCATE t; {load}; COMMIT"),
            SOME_STEPS,
            "DELETE FROM t WHERE id > 30",
            FINISH,
            "DROP TABLE v",
        ],
    );
    scenario.bulk_rows = 50;
    scenario.stride = 2;
    scenario
}

/// A table of more pages than the pool has frames: a commit that changes many evicts some while it applies.
fn evictions() -> Scenario {
    let parts: Vec<String> = (0..10).map(|part| insert(part * 210, part * 210 + 210, 3000)).collect();
    let mut setup: Vec<&str> = vec![TABLE];
    setup.extend(parts.iter().map(String::as_str));
    let mut scenario = Scenario::new(
        "evictions",
        Base::Closed,
        &setup,
        &["UPDATE t SET n = n + 1 WHERE id / 10 * 10 = id", "UPDATE t SET n = n + 1 WHERE id / 10 * 10 = id"],
    );
    scenario.page_size = 32 << 10;
    scenario.segment_bytes = 1 << 20;
    scenario.stride = 23;
    scenario
}

/// A checkpoint of more pages than fit into memory: while it is written, commits change more of them than there is
/// room for pre-images, and others are evicted.
fn exhausted() -> Scenario {
    let parts: Vec<String> = (0..10).map(|part| insert(part * 210, part * 210 + 210, 3000)).collect();
    let mut setup: Vec<&str> = vec![TABLE];
    setup.extend(parts.iter().map(String::as_str));
    // Rows of the pages that were changed last: they are in memory.
    let touched: String =
        (0..32).map(|row| format!("UPDATE t SET n = n + 1 WHERE id = {};", 2099 - row * 10)).collect();
    let touched = format!("BEGIN; {touched} COMMIT");
    let mut scenario = Scenario::new(
        "a checkpoint without memory",
        Base::Closed,
        &setup,
        &[
            "UPDATE t SET n = n + 1 WHERE id / 10 * 10 = id",
            CUT,
            &touched,
            "DELETE FROM t WHERE id < 500 AND id / 20 * 20 = id",
            SOME_STEPS,
            "UPDATE t SET n = n + 1 WHERE id = 5",
            FINISH,
            "UPDATE t SET n = n + 1 WHERE id / 50 * 50 = id",
        ],
    );
    scenario.page_size = 32 << 10;
    scenario.segment_bytes = 1 << 20;
    scenario.stride = 4;
    scenario
}

/// A commit of several frames: chunks, then the one that counts.
fn chunks() -> Scenario {
    let large = insert(1000, 1500, 2500);
    let mut scenario = Scenario::new(
        "chunks",
        Base::Closed,
        &[TABLE, &insert(0, 5, 10)],
        &[&large, "DELETE FROM t WHERE id < 3"],
    );
    scenario.page_size = 8192;
    scenario.segment_bytes = 128 << 10;
    scenario.points = vec![(0, CrashPoint::ChunksWithoutCommit)];
    scenario
}

/// A transaction whose writes go to temporary files and are logged in several frames, one that is undone, and changes of
/// the same rows, of which older versions go to temporary files.
fn spilled() -> Scenario {
    let rows = |from: u32, to: u32| {
        format!(
            "INSERT INTO t SELECT g * 7 % 4001, g, repeat('s', 300) FROM generate_series({from}, {to}) AS r(g)"
        )
    };
    let (first, more, last) = (rows(1, 600), rows(601, 1000), rows(1001, 1200));
    let large = format!(
        "BEGIN; {first}; {more}; UPDATE t SET n = n + 1; DELETE FROM t WHERE n > 550; \
         {last}; COMMIT"
    );
    let mut scenario = Scenario::new(
        "spilled",
        Base::Closed,
        &[TABLE, INDEX],
        &[
            &large,
            "BEGIN; UPDATE t SET n = 0; DELETE FROM t; ROLLBACK",
            "UPDATE t SET n = n + 1, s = repeat('u', 310)",
            "DELETE FROM t WHERE n > 5",
        ],
    );
    scenario.page_size = 8192;
    scenario.segment_bytes = 1 << 20;
    scenario.stride = 19;
    scenario.points = vec![(0, CrashPoint::ChunksWithoutCommit), (2, CrashPoint::ChunksWithoutCommit)];
    scenario
}
