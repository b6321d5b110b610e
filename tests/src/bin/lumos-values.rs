//! `lumos-values --limit BYTES --bytes BYTES --way NAME [--page-size N]`: puts one large value into a database with a
//! memory limit, reads it, changes it, and deletes it, and prints how each of these ended and the process's peak
//! resident memory as the system counts it. What the host holds of the value itself is not the database's, nor are the
//! pages of the program: they are taken off. Exits with 1 when the peak is above the limit by more than 16 MiB, when an answer was wrong, or when anything
//! failed but for memory (53200). A process of its own a way and a size: a peak never falls.

use lumos_core::database::Database;
use lumos_core::database::options::DatabaseOptions;
use lumos_core::error::{Error, Result, SqlState};
use lumos_core::session::Session;
use lumos_core::sql::types::datum::{Datum, DatumRef};
use lumos_tests::process::{say, status};
use std::path::PathBuf;
use std::process::ExitCode;

/// What a process may take beyond its limit.
const SLACK_BYTES: u64 = 16 << 20;

struct Choices {
    limit: usize,
    bytes: usize,
    way: String,
    page_size: usize,
}

fn choices() -> std::result::Result<Choices, String> {
    let mut choices =
        Choices { limit: 16 << 20, bytes: 5 << 20, way: "text-parameter".to_owned(), page_size: 8192 };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} takes a value"))?;
        let number = || value.parse::<usize>().map_err(|_| format!("{word}: {value} is no number"));
        match word.as_str() {
            "--limit" => choices.limit = number()?,
            "--bytes" => choices.bytes = number()?,
            "--page-size" => choices.page_size = number()?,
            "--way" => choices.way = value,
            _ => return Err(format!("{word} is not known")),
        }
    }
    Ok(choices)
}

/// A text with a long middle, made once.
fn literal(start: &str, middle: &str, count: usize, end: &str) -> String {
    let mut text = String::with_capacity(start.len() + middle.len() * count + end.len());
    text.push_str(start);
    (0..count).for_each(|_| text.push_str(middle));
    text.push_str(end);
    text
}

/// A statement that puts the value in, and its parameters.
fn statement(choices: &Choices) -> Result<(String, Vec<Datum>)> {
    let Choices { bytes, .. } = *choices;
    Ok(match choices.way.as_str() {
        "text-literal" => (literal("INSERT INTO t VALUES (1, '", "x", bytes, "', NULL)"), Vec::new()),
        "bytea-literal" => (literal("INSERT INTO t VALUES (1, NULL, '\\x", "78", bytes, "')"), Vec::new()),
        "text-parameter" => {
            let value = Datum::text(&literal("", "x", bytes, ""));
            ("INSERT INTO t VALUES (1, $1, NULL)".to_owned(), vec![value])
        }
        "bytes-parameter" => {
            let value = Datum::Bytes(std::iter::repeat_n(b'x', bytes).collect());
            ("INSERT INTO t VALUES (1, NULL, $1)".to_owned(), vec![value])
        }
        "repeat" => (format!("INSERT INTO t VALUES (1, repeat('x', {bytes}), NULL)"), Vec::new()),
        "select" => (
            format!("INSERT INTO t SELECT g, repeat('x', {bytes}) FROM generate_series(1, 1) r (g)"),
            Vec::new(),
        ),
        way => return Err(Error::internal(format!("--way {way} is not known"))),
    })
}

/// Runs a statement; gives the length of the only value of its rows' last one, checked to be all of one byte.
fn run(session: &mut Session, sql: &str, values: &[Datum]) -> Result<Option<usize>> {
    let statement = session.prepare(sql)?.0.ok_or_else(|| Error::internal("no statement"))?;
    let mut portal = session.execute(&statement, values)?;
    let mut found = None;
    while let Some(batch) = session.fetch(&mut portal)? {
        for row in batch.row_numbers() {
            let bytes = match batch.columns[0].datum(row) {
                DatumRef::Text(text) => text.as_bytes(),
                DatumRef::Bytes(bytes) => bytes,
                _ => continue,
            };
            if bytes.iter().any(|byte| *byte != b'x') {
                return Err(Error::internal("the value is another one"));
            }
            found = Some(bytes.len());
        }
    }
    session.close(portal);
    Ok(found)
}

/// How a statement ended: 53200 is an answer.
fn tell(name: &str, outcome: Result<Option<usize>>, expected: Option<usize>) -> Result<bool> {
    match outcome {
        Ok(found) if found == expected => {
            say(&format!("  {name}: done, peak {} KiB", status("VmHWM") >> 10));
            Ok(true)
        }
        Ok(found) => Err(Error::internal(format!("{name} gave {found:?} bytes"))),
        Err(error) if error.state() == SqlState::OUT_OF_MEMORY => {
            say(&format!(
                "  {name}: 53200 {}; {}",
                error.message(),
                error.detail_text().unwrap_or("no detail")
            ));
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

fn try_it(choices: &Choices, path: PathBuf, held: &mut u64) -> Result<()> {
    let options = DatabaseOptions {
        memory_limit: Some(choices.limit),
        page_size: choices.page_size,
        ..DatabaseOptions::default()
    };
    let database = Database::open(Some(&path), options)?;
    let mut session = database.connect()?;
    session.execute_script("CREATE TABLE t (id bigint PRIMARY KEY, s text, b bytea)")?;
    let used = database.statistic("memory_used").unwrap_or(0);
    {
        let (sql, values) = statement(choices)?;
        *held = values.iter().map(|_| choices.bytes as u64).sum::<u64>() + sql.len() as u64;
        let is_in = tell("insert", run(&mut session, &sql, &values), None)?;
        drop((sql, values));
        let rows = session.execute_script("UPDATE t SET id = 1 WHERE id = 1")?;
        if rows != u64::from(is_in) {
            return Err(Error::internal(format!("{rows} rows after the insert")));
        }
        if is_in {
            let column = if choices.way.starts_with("byte") { "b" } else { "s" };
            tell("select", run(&mut session, &format!("SELECT {column} FROM t"), &[]), Some(choices.bytes))?;
            let again = format!("UPDATE t SET {column} = substr({column}, 2)");
            tell("update", run(&mut session, &again, &[]), None)?;
            tell("delete", run(&mut session, "DELETE FROM t", &[]), None)?;
        }
    }
    say(&format!("  charged {used} bytes before, {} after", database.statistic("memory_used").unwrap_or(0)));
    drop(session);
    let mut findings = String::new();
    database.verify(&mut |line| findings = line.to_owned())?;
    say(&format!("  {findings}"));
    Ok(())
}

fn main() -> ExitCode {
    let choices = match choices() {
        Ok(choices) => choices,
        Err(what) => {
            say(&what);
            return ExitCode::FAILURE;
        }
    };
    let folder = std::env::temp_dir().join(format!("lumos-values-{}", std::process::id()));
    if let Err(error) = std::fs::create_dir_all(&folder) {
        say(&format!("{}: {error}", folder.display()));
        return ExitCode::FAILURE;
    }
    let baseline = status("RssAnon");
    let mut held = 0;
    let outcome = try_it(&choices, folder.join("data.lumos"), &mut held);
    let _ = std::fs::remove_dir_all(&folder);
    let own = status("VmHWM").saturating_sub(status("RssFile") + baseline + held);
    let Choices { limit, bytes, way, page_size } = choices;
    say(&format!(
        "memory_limit {} KiB, {} KiB by {way}, page size {page_size}: peak {} KiB of its own; limit {:+} KiB",
        limit >> 10,
        bytes >> 10,
        own >> 10,
        (own as i64 - limit as i64) >> 10,
    ));
    if let Err(error) = outcome {
        say(&format!("failed: {error}; {}", error.detail_text().unwrap_or("no detail")));
        return ExitCode::FAILURE;
    }
    if own > limit as u64 + SLACK_BYTES {
        say("failed: the peak is above the limit and 16 MiB");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
