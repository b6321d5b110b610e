//! `lumos-large [--rows N] [--limit BYTES] [--table ascending|shuffled|indexed|all] [--folder F]`: inserts, changes and deletes many
//! rows, each in one transaction, within a memory limit, and prints times and the process's peak resident memory as
//! the system counts it. Exits with 1 when the peak is above the limit by more than 16 MiB, when a statement failed,
//! or when an answer was wrong.

use lumos_core::common::clock::{Clock, SystemClock};
use lumos_core::database::Database;
use lumos_core::database::options::DatabaseOptions;
use lumos_core::error::{Error, Result};
use lumos_core::session::{Prepared, Session};
use lumos_core::sql::types::datum::DatumRef;
use lumos_tests::process::{say, status};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// What a process may take beyond its limit.
const SLACK_BYTES: u64 = 16 << 20;

struct Choices {
    rows: i64,
    limit: usize,
    table: String,
    /// Where the files are.
    folder: PathBuf,
}

fn choices() -> std::result::Result<Choices, String> {
    let folder = std::env::temp_dir().join(format!("lumos-large-{}", std::process::id()));
    let mut choices = Choices { rows: 10_000_000, limit: 256 << 20, table: "all".to_owned(), folder };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} takes a value"))?;
        let number = || value.parse::<i64>().map_err(|_| format!("{word}: {value} is no number"));
        match word.as_str() {
            "--rows" => choices.rows = number()?,
            "--limit" => choices.limit = number()? as usize,
            "--table" => choices.table = value,
            "--folder" => choices.folder = value.into(),
            _ => return Err(format!("{word} is not known")),
        }
    }
    Ok(choices)
}

/// The numbers of the first row.
fn numbers(session: &mut Session, sql: &str) -> Result<Vec<i64>> {
    let statement: Arc<Prepared> = session.prepare(sql)?.0.ok_or_else(|| Error::internal("no statement"))?;
    let mut portal = session.execute(&statement, &[])?;
    let mut row = Vec::new();
    while let Some(batch) = session.fetch(&mut portal)? {
        for number in batch.row_numbers().take(1) {
            row.extend(batch.columns.iter().map(|column| match column.datum(number) {
                DatumRef::BigInt(value) => value,
                DatumRef::Numeric(value) => value.to_string().parse().unwrap_or(i64::MIN),
                _ => 0,
            }));
        }
    }
    session.close(portal);
    Ok(row)
}

fn step(session: &mut Session, name: &str, sql: &str) -> Result<()> {
    let clock = SystemClock::new();
    let begun = clock.monotonic_nanos();
    session.execute_script(sql)?;
    say(&format!(
        "{name:<24} {:8.2} s   peak {:4} MiB",
        (clock.monotonic_nanos() - begun) as f64 / 1e9,
        status("VmHWM") >> 20
    ));
    Ok(())
}

fn expect(session: &mut Session, sql: &str, expected: &[i64]) -> Result<()> {
    let found = numbers(session, sql)?;
    if found == expected {
        return Ok(());
    }
    Err(Error::internal(format!("{sql}: {found:?} instead of {expected:?}")))
}

fn verify(database: &Database) -> Result<()> {
    let findings = database.verify(&mut |line| say(line))?;
    if findings == 0 { Ok(()) } else { Err(Error::internal(format!("verify: {findings} findings"))) }
}

fn options(choices: &Choices) -> DatabaseOptions {
    DatabaseOptions { memory_limit: Some(choices.limit), ..DatabaseOptions::default() }
}

/// The key of row `g`: a factor without a divisor in common with any count of rows up to a billion.
fn key(kind: &str) -> &'static str {
    match kind {
        "shuffled" | "indexed" => "(g * 7368787) % 1000000007",
        _ => "g",
    }
}

fn run(choices: &Choices, path: &Path, kind: &str) -> Result<()> {
    let rows = choices.rows;
    let database = Database::open(Some(path), options(choices))?;
    let mut session = database.connect()?;
    session.execute_script("CREATE TABLE t (id bigint PRIMARY KEY, n bigint, s text)")?;
    if kind == "indexed" {
        session.execute_script("CREATE INDEX t_n ON t (n)")?;
    }
    let insert = format!(
        "INSERT INTO t SELECT {}, g, repeat('x', 80) FROM generate_series(1::bigint, {rows}) AS s(g)",
        key(kind)
    );
    let sum = rows * (rows + 1) / 2;
    let all = "SELECT count(*), sum(n), sum(length(s)) FROM t";
    step(&mut session, &format!("{kind}: insert, undone"), &format!("BEGIN; {insert}; ROLLBACK"))?;
    expect(&mut session, "SELECT count(*) FROM t", &[0])?;
    step(&mut session, &format!("{kind}: insert"), &insert)?;
    expect(&mut session, all, &[rows, sum, 80 * rows])?;
    step(&mut session, &format!("{kind}: update"), "UPDATE t SET n = n + 1, s = repeat('y', 70)")?;
    expect(&mut session, all, &[rows, sum + rows, 70 * rows])?;
    if kind == "indexed" {
        expect(&mut session, "SELECT count(*) FROM t WHERE n BETWEEN 1001 AND 2000", &[1000])?;
    }
    verify(&database)?;
    let mut reader = database.connect()?;
    reader.execute_script("BEGIN ISOLATION LEVEL REPEATABLE READ")?;
    expect(&mut reader, all, &[rows, sum + rows, 70 * rows])?;
    step(&mut session, &format!("{kind}: delete"), "DELETE FROM t")?;
    expect(&mut session, "SELECT count(*) FROM t", &[0])?;
    let clock = SystemClock::new();
    let begun = clock.monotonic_nanos();
    expect(&mut reader, all, &[rows, sum + rows, 70 * rows])?;
    say(&format!(
        "{:<24} {:8.2} s",
        format!("{kind}: an older snapshot"),
        (clock.monotonic_nanos() - begun) as f64 / 1e9
    ));
    reader.execute_script("COMMIT")?;
    step(&mut session, &format!("{kind}: insert again"), "INSERT INTO t VALUES (1, 1, 'x'); CHECKPOINT")?;
    drop((session, reader));
    drop(database);
    let database = Database::open(Some(path), options(choices))?;
    expect(&mut database.connect()?, "SELECT count(*) FROM t", &[1])?;
    Ok(())
}

fn main() -> ExitCode {
    let choices = match choices() {
        Ok(choices) => choices,
        Err(reason) => {
            say(&reason);
            return ExitCode::FAILURE;
        }
    };
    let kinds = match choices.table.as_str() {
        "all" => vec!["ascending", "shuffled", "indexed"],
        one => vec![one],
    };
    let before = status("VmHWM");
    let mut failed = std::fs::create_dir_all(&choices.folder).is_err();
    for kind in kinds {
        let path = choices.folder.join(format!("{kind}.lumos"));
        if let Err(error) = run(&choices, &path, kind) {
            say(&format!("{kind}: {error:?}"));
            failed = true;
        }
    }
    let _left = std::fs::remove_dir_all(&choices.folder);
    let peak = status("VmHWM");
    let allowed = choices.limit as u64 + SLACK_BYTES + before;
    say(&format!("peak {} MiB of {} MiB allowed", peak >> 20, allowed >> 20));
    if failed || peak > allowed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
