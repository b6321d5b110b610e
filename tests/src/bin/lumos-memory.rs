//! `lumos-memory --limit BYTES [--times N] [--rounds N] [--threads N] [--page-size N] [--seed N]`: works on a database many
//! times larger than its memory limit and prints the process's peak resident memory as the system counts it. Exits
//! with 1 when the peak is above the limit by more than 16 MiB beyond what the process had before, when a statement
//! failed, or when an answer was wrong. A process of its own a limit: a peak never falls.
//!
//! A long statement beside writers may need more older versions than the limit has room for: it is refused (72000), and
//! is run again, each time counted. Point statements are never refused.

use lumos_core::common::random::Random;
use lumos_core::database::Database;
use lumos_core::database::options::DatabaseOptions;
use lumos_core::error::{Error, Result, SqlState};
use lumos_core::session::{Prepared, Session};
use lumos_core::sql::types::datum::{Datum, DatumRef};
use lumos_tests::process::{say, status};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// What a process may take beyond its limit.
const SLACK_BYTES: u64 = 16 << 20;
/// Bytes of a row's text.
const FILLER_BYTES: usize = 700;
/// About what a row takes in the file.
const ROW_BYTES: u64 = 800;
/// Rows of one loading transaction.
const LOAD_ROWS: i64 = 500;
/// Ids of one thread's inserts begin at a multiple of this.
const OWN_IDS: i64 = 1 << 32;

struct Choices {
    limit: usize,
    times: u64,
    rounds: u64,
    threads: u64,
    page_size: usize,
    seed: u64,
}

fn choices() -> std::result::Result<Choices, String> {
    let mut choices =
        Choices { limit: 16 << 20, times: 10, rounds: 300, threads: 4, page_size: 8192, seed: 1 };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} takes a value"))?;
        let number: u64 = value.parse().map_err(|_| format!("{word}: {value} is no number"))?;
        match word.as_str() {
            "--limit" => choices.limit = number as usize,
            "--times" => choices.times = number,
            "--rounds" => choices.rounds = number,
            "--threads" => choices.threads = number,
            "--page-size" => choices.page_size = number as usize,
            "--seed" => choices.seed = number,
            _ => return Err(format!("{word} is not known")),
        }
    }
    Ok(choices)
}

/// One thread's session with its statements.
struct Client {
    session: Session,
    read: Arc<Prepared>,
    update: Arc<Prepared>,
    insert: Arc<Prepared>,
    delete: Arc<Prepared>,
    range: Arc<Prepared>,
}

fn prepare(session: &mut Session, sql: &str) -> Result<Arc<Prepared>> {
    session.prepare(sql)?.0.ok_or_else(|| Error::internal("no statement"))
}

/// The sum of the first column's numbers.
fn run(session: &mut Session, statement: &Arc<Prepared>, values: &[Datum]) -> Result<i64> {
    let mut portal = session.execute(statement, values)?;
    let mut sum = 0;
    while let Some(batch) = session.fetch(&mut portal)? {
        for row in batch.row_numbers() {
            match batch.columns[0].datum(row) {
                DatumRef::BigInt(number) => sum += number,
                DatumRef::Numeric(number) => sum += number.to_string().parse::<i64>().unwrap_or(i64::MIN),
                _ => {}
            }
        }
    }
    session.close(portal);
    Ok(sum)
}

fn run_text(session: &mut Session, sql: &str) -> Result<i64> {
    let statement = prepare(session, sql)?;
    run(session, &statement, &[])
}

impl Client {
    fn new(database: &Arc<Database>) -> Result<Client> {
        let mut session = database.connect()?;
        session.execute_script("SET durability = 'off'")?;
        Ok(Client {
            read: prepare(&mut session, "SELECT n FROM t WHERE id = $1")?,
            update: prepare(&mut session, "UPDATE t SET n = n + $2 WHERE id = $1")?,
            insert: prepare(&mut session, "INSERT INTO t VALUES ($1, 1, repeat('i', $2))")?,
            delete: prepare(&mut session, "DELETE FROM t WHERE id = $1")?,
            range: prepare(&mut session, "SELECT n FROM t WHERE id >= $1 AND id < $1 + 200")?,
            session,
        })
    }
}

/// What all threads add up.
#[derive(Default)]
struct Tally {
    added: AtomicI64,
    rows: AtomicI64,
    statements: AtomicU64,
    /// Long statements that were refused for older versions and run again.
    refused: AtomicU64,
}

/// Runs a long statement until it is not refused for the older versions that it would need: the others come to the end
/// of their rounds.
fn run_long<R>(
    session: &mut Session,
    tally: &Tally,
    name: &str,
    mut statement: impl FnMut(&mut Session) -> Result<R>,
) -> Result<R> {
    loop {
        match statement(session) {
            Err(error) if error.state() == SqlState::SNAPSHOT_TOO_OLD => {
                // Outside a block there is nothing to undo.
                let _ = session.rollback();
                let count = tally.refused.fetch_add(1, Ordering::Relaxed) + 1;
                say(&format!("  refused and run again ({count}): {name}"));
            }
            result => return result,
        }
    }
}

/// A round of one thread: reads, changes, inserts, now and then a scan, an aggregate, a sort or a checkpoint.
fn round(
    client: &mut Client,
    random: &mut Random,
    thread: u64,
    number: u64,
    rows: i64,
    tally: &Tally,
) -> Result<()> {
    let Client { session, read, update, insert, delete, range } = client;
    let key = |random: &mut Random| Datum::BigInt(1 + random.below(rows as u64) as i64);
    for _ in 0..20 {
        run(session, read, &[key(random)])?;
        run(session, update, &[key(random), Datum::BigInt(1)])?;
        tally.added.fetch_add(1, Ordering::Relaxed);
    }
    let own = (thread as i64 + 1) * OWN_IDS + number as i64 * 10;
    for index in 0..10 {
        let length = Datum::Integer(FILLER_BYTES as i32 + random.below(200) as i32);
        run(session, insert, &[Datum::BigInt(own + index), length])?;
    }
    for index in 0..3 {
        run(session, delete, &[Datum::BigInt(own + index)])?;
    }
    tally.rows.fetch_add(7, Ordering::Relaxed);
    tally.added.fetch_add(7, Ordering::Relaxed);
    run(session, range, &[key(random)])?;
    tally.statements.fetch_add(54, Ordering::Relaxed);
    let query = match (number + thread * 7) % 30 {
        3 => "SELECT count(*) FROM t WHERE n % 3 = 1",
        9 => "SELECT sum(n) FROM t GROUP BY id % 97",
        15 => "SELECT n, s FROM t ORDER BY n DESC, id LIMIT 20",
        12 => "SELECT length(s), s FROM t WHERE n % 5 = 1",
        21 => "CHECKPOINT",
        27 => {
            let low = 1 + random.below(rows as u64) as i64;
            let update = format!("UPDATE t SET n = n + 1 WHERE id >= {low} AND id < {low} + 300");
            let changed = run_long(session, tally, &update, |session| {
                run_text(session, "BEGIN")?;
                let changed = session.execute_script(&update)?;
                run_text(session, "COMMIT")?;
                Ok(changed)
            })?;
            tally.added.fetch_add(changed as i64, Ordering::Relaxed);
            return Ok(());
        }
        _ => return Ok(()),
    };
    run_long(session, tally, query, |session| run_text(session, query)).map(drop)
}

fn work(database: &Arc<Database>, choices: &Choices, rows: i64, tally: &Tally) -> Result<()> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..choices.threads)
            .map(|thread| {
                scope.spawn(move || -> Result<()> {
                    let mut client = Client::new(database)?;
                    let mut random = Random::new(choices.seed.wrapping_mul(0x9E37_79B9).wrapping_add(thread));
                    for number in 0..choices.rounds {
                        round(&mut client, &mut random, thread, number, rows, tally)?;
                    }
                    Ok(())
                })
            })
            .collect();
        for thread in threads {
            thread.join().map_err(|_| Error::internal("a thread panicked"))??;
        }
        Ok(())
    })
}

fn load(database: &Arc<Database>, rows: i64) -> Result<()> {
    let mut session = database.connect()?;
    session.execute_script(
        "SET durability = 'off'; CREATE TABLE t (id bigint PRIMARY KEY, n bigint NOT NULL, s text NOT NULL)",
    )?;
    let insert = prepare(&mut session, "INSERT INTO t VALUES ($1, 0, $2)")?;
    let filler: Arc<str> = Arc::from("f".repeat(FILLER_BYTES));
    let mut id = 1;
    while id <= rows {
        run_text(&mut session, "BEGIN")?;
        for id in id..(id + LOAD_ROWS).min(rows + 1) {
            run(&mut session, &insert, &[Datum::BigInt(id), Datum::Text(Arc::clone(&filler))])?;
        }
        run_text(&mut session, "COMMIT")?;
        id += LOAD_ROWS;
    }
    Ok(())
}

/// The file, the rows, then everything at once; gives the peak that it came to.
fn try_it(choices: &Choices, path: PathBuf) -> Result<()> {
    let options = DatabaseOptions {
        memory_limit: Some(choices.limit),
        page_size: choices.page_size,
        ..DatabaseOptions::default()
    };
    let database = Database::open(Some(&path), options)?;
    let rows = (choices.limit as u64 * choices.times / ROW_BYTES) as i64;
    load(&database, rows)?;
    say(&format!("  loaded {rows} rows, peak {} KiB", status("VmHWM") >> 10));
    let tally = Tally::default();
    work(&database, choices, rows, &tally)?;
    let mut session = database.connect()?;
    let (count, sum) = (rows + tally.rows.into_inner(), tally.added.into_inner());
    let found =
        (run_text(&mut session, "SELECT count(*) FROM t")?, run_text(&mut session, "SELECT sum(n) FROM t")?);
    if found != (count, sum) {
        return Err(Error::internal(format!("count and sum are {found:?}, not {:?}", (count, sum))));
    }
    let figure = |name| database.statistic(name).unwrap_or(-1);
    say(&format!(
        "  {} statements, {} refused (72000) and run again, {} evictions, {} checkpoints; charged at the end {} of {} bytes",
        tally.statements.into_inner(),
        tally.refused.into_inner(),
        figure("evictions"),
        figure("checkpoints"),
        figure("memory_used"),
        figure("memory_limit"),
    ));
    say(&format!(
        "  now {} KiB of its own, {} KiB of files (the program)",
        status("RssAnon") >> 10,
        status("RssFile") >> 10
    ));
    if std::env::var_os("LUMOS_SMAPS").is_some() {
        say(&std::fs::read_to_string("/proc/self/smaps").unwrap_or_default());
    }
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
    let folder = std::env::temp_dir().join(format!("lumos-memory-{}", std::process::id()));
    if let Err(error) = std::fs::create_dir_all(&folder) {
        say(&format!("{}: {error}", folder.display()));
        return ExitCode::FAILURE;
    }
    let baseline = status("VmRSS");
    let outcome = try_it(&choices, folder.join("data.lumos"));
    let peak = status("VmHWM");
    let _ = std::fs::remove_dir_all(&folder);
    let allowed = baseline + choices.limit as u64 + SLACK_BYTES;
    say(&format!(
        "memory_limit {} KiB, {} x, page size {}, {} threads, seed {}: peak {} KiB, {} KiB before; limit {:+} KiB",
        choices.limit >> 10,
        choices.times,
        choices.page_size,
        choices.threads,
        choices.seed,
        peak >> 10,
        baseline >> 10,
        (peak as i64 - baseline as i64 - choices.limit as i64) >> 10,
    ));
    if let Err(error) = outcome {
        say(&format!("failed: {error}; {}", error.detail_text().unwrap_or("no detail")));
        return ExitCode::FAILURE;
    }
    if peak > allowed {
        say(&format!("failed: the peak is above {} KiB", allowed >> 10));
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
