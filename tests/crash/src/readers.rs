//! Processes that read beside one that writes, on the real file system; any of them is killed or stopped at any moment.
//!
//! The writer moves money between accounts, makes and drops other tables, gives space back, and writes checkpoints. Each
//! reader looks at the accounts over and over: together they have what they began with, each row's seal fits it, an index
//! says what the table says, a transaction sees one state, and no state is older than the one before. What a process has
//! to say it writes to its pipe: the writer `c N` after a checkpoint, a reader `r N` after a look, either `bad …`.

use crate::state::{findings_of, rows};
use lumos_core::common::random::Random;
use lumos_core::database::Database;
use lumos_core::database::options::DatabaseOptions;
use lumos_core::error::{Error, Result, SqlState};
use lumos_core::session::Session;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

const ACCOUNTS: u64 = 1500;
const BALANCE: u64 = 1000;
/// Processes that read.
const READERS: usize = 3;
/// Looks a reader takes before it opens the file anew.
const LOOKS: u64 = 25;
/// Attempts to open a file that a reader is recovering in its memory.
const ATTEMPTS: u64 = 400;
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(25);

/// What to run.
#[derive(Clone, Debug)]
pub struct ReaderOptions {
    /// This program.
    pub program: PathBuf,
    /// Where the database is made.
    pub folder: PathBuf,
    /// How many processes are killed or stopped.
    pub rounds: u64,
    /// Where all choices come from, but for the moments.
    pub seed: u64,
    /// The writer ignores what others read: a fault to be found. Only in builds with planted faults.
    pub is_planted: bool,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct ReaderFigures {
    /// Looks that readers took.
    pub looks: u64,
    /// Checkpoints that the writer made meanwhile.
    pub checkpoints: u64,
    /// Processes killed: writers, readers; readers stopped for a while.
    pub killed: [u64; 3],
    /// Whatever was not as it must be.
    pub failures: Vec<String>,
}

fn options(read_only: bool) -> DatabaseOptions {
    DatabaseOptions {
        memory_limit: Some(8 << 20),
        page_size: 4096,
        read_only,
        log_segment_first_bytes: 64 << 10,
        log_segment_max_bytes: 256 << 10,
        ..DatabaseOptions::default()
    }
}

fn say(line: &str) -> bool {
    std::io::stdout().lock().write_all(format!("{line}\n").as_bytes()).is_ok()
}

fn open(path: &Path, read_only: bool) -> Result<Arc<Database>> {
    let mut attempt = 0;
    loop {
        match Database::open(Some(path), options(read_only)) {
            // Somebody recovers the file in its memory, and keeps writers out meanwhile.
            Err(error) if error.state() == SqlState::OBJECT_IN_USE && attempt < ATTEMPTS => attempt += 1,
            opened => return opened,
        }
        std::thread::sleep(PAUSE);
    }
}

/// The child that writes, until it is killed: one thread commits, another makes checkpoints, so that these cut through
/// commits that are being applied.
/// # Errors
/// Anything unexpected.
pub fn writer(path: &Path, seed: u64) -> Result<()> {
    let mut random = Random::new(seed | 1);
    let database = open(path, false)?;
    let mut checkpoints = database.connect()?;
    let written = Arc::clone(&database);
    std::thread::spawn(move || {
        let mut seen = 0;
        loop {
            let done = checkpoints.execute_script("CHECKPOINT");
            let count = written.statistic("checkpoints").unwrap_or(0);
            if count == seen && done.is_ok() {
                // Nothing was committed since.
                std::thread::yield_now();
                continue;
            }
            seen = count;
            let line = done.map_or_else(|error| format!("bad: {error:?}"), |_| format!("c {count}"));
            if !say(&line) {
                return;
            }
        }
    });
    let mut session = database.connect()?;
    loop {
        for _ in 0..random.below(30) {
            step(&mut session, &mut random)?;
        }
        match random.below(4) {
            0 => session.execute_script("VACUUM FULL extra")?,
            1 => session.execute_script("VACUUM")?,
            _ => 0,
        };
    }
}

fn step(session: &mut Session, random: &mut Random) -> Result<()> {
    let mut sql = String::from("BEGIN;");
    for _ in 0..1 + random.below(12) {
        let (from, to, amount) = (random.below(ACCOUNTS), random.below(ACCOUNTS), random.below(50));
        let note = random.below(1 << 30);
        for (account, amount) in [(from, -(amount as i64)), (to, amount as i64)] {
            sql += &format!(
                "UPDATE account SET balance = balance + {amount}, seal = (balance + {amount}) * 7 + id, \
                 note = repeat('n{note}', {}) WHERE id = {account};",
                1 + random.below(30)
            );
        }
    }
    if random.below(4) == 0 {
        // Every row, some up and some down: half of it would not add up.
        let amount = random.below(9);
        sql += &format!(
            "UPDATE account SET balance = balance + {amount} * (2 * (id % 2) - 1), \
             seal = (balance + {amount} * (2 * (id % 2) - 1)) * 7 + id, note = substr(note || 'x', 1, 300);"
        );
    }
    match random.below(5) {
        0 => sql += "DROP TABLE extra; CREATE TABLE extra (a bigint, b text);",
        1 => sql += "DELETE FROM extra;",
        2 => sql += "INSERT INTO extra SELECT g, repeat('x', 200) FROM generate_series(1, 2000) g;",
        _ => {}
    }
    sql += "UPDATE state SET version = version + 1; COMMIT";
    session.execute_script(&sql).map(|_| ())
}

/// The child that reads, until it is killed.
/// # Errors
/// Anything unexpected: whatever reading meets.
pub fn reader(path: &Path, seed: u64) -> Result<()> {
    let mut random = Random::new(seed | 1);
    let mut version = 0;
    let mut count = 0;
    loop {
        let database = open(path, true)?;
        let is_alone = !database.is_beside_writer();
        // Alone, it has replayed the log and keeps writers out.
        let looks = if is_alone { 1 } else { 1 + random.below(LOOKS) };
        let mut session = database.connect()?;
        let newest_of_log = version;
        for _ in 0..looks {
            let is_block = random.below(3) > 0;
            if is_block {
                session.execute_script("BEGIN")?;
            }
            let seen = look(&mut session, random.below(4) == 0)?;
            // What somebody read of the log beside a dead writer is newer than the last checkpoint.
            if seen < version && (is_alone || newest_of_log != version) {
                say(&format!("bad: version {seen} after {version}"));
            }
            version = seen;
            if is_block {
                for _ in 0..random.below(4) {
                    let again = look(&mut session, random.below(4) == 0)?;
                    if again != version {
                        say(&format!("bad: a transaction saw version {version}, then {again}"));
                    }
                    if random.below(3) == 0 {
                        std::thread::sleep(PAUSE);
                    }
                }
                session.execute_script("COMMIT")?;
            }
            if random.below(6) == 0 {
                findings_of(&database).iter().for_each(|finding| {
                    say(&format!("bad: {finding}"));
                });
            }
            count += 1;
            if !say(&format!("r {count}")) {
                return Ok(());
            }
        }
        drop((session, database));
        if is_alone {
            std::thread::sleep(4 * PAUSE);
        }
    }
}

/// One look in one statement each; gives the version of the state. Between the statements of no transaction others may
/// commit, so each must be right by itself.
fn look(session: &mut Session, is_deep: bool) -> Result<i64> {
    let expect = |session: &mut Session, sql: &str, expected: &str| -> Result<()> {
        let found = rows(session, sql)?;
        if found != [expected] {
            say(&format!("bad: {sql}: {found:?}, not {expected}"));
        }
        Ok(())
    };
    expect(
        session,
        "SELECT sum(balance)::text || ' ' || count(*)::text || ' ' || (count(*) FILTER (WHERE seal <> balance * 7 + id))::text FROM account",
        &format!("Text(\"{} {ACCOUNTS} 0\")", ACCOUNTS * BALANCE),
    )?;
    if is_deep {
        expect(
            session,
            "SELECT (SELECT count(*) FROM account WHERE seal > -100000000)::text",
            &format!("Text(\"{ACCOUNTS}\")"),
        )?;
        expect(session, "SELECT count(*)::text FROM extra WHERE length(b) <> 200", "Text(\"0\")")?;
    }
    let version = rows(session, "SELECT version::text FROM state")?;
    let number = version
        .first()
        .and_then(|text| text.trim_matches(|letter: char| !letter.is_ascii_digit()).parse().ok());
    number.ok_or_else(|| Error::internal(format!("the version is {version:?}")))
}

/// A child with its number: 0 writes.
struct Process {
    child: Child,
    is_stopped: bool,
}

fn failed(what: &str, cause: &std::io::Error) -> Error {
    Error::new(SqlState::IO_ERROR, format!("could not {what}: {cause}"))
}

fn start(
    options: &ReaderOptions,
    path: &Path,
    number: usize,
    seed: u64,
    lines: &Sender<(usize, u32, String)>,
) -> Result<Process> {
    let mode = match (number, options.is_planted) {
        (0, false) => "writer",
        (0, true) => "planted-writer",
        _ => "reader",
    };
    let mut child = Command::new(&options.program)
        .arg(mode)
        .arg(path)
        .arg(seed.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|cause| failed("start a child", &cause))?;
    let id = child.id();
    let pipes: [Option<Box<dyn std::io::Read + Send>>; 2] = [
        child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn std::io::Read + Send>),
        child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn std::io::Read + Send>),
    ];
    for (place, pipe) in pipes.into_iter().enumerate() {
        let (Some(pipe), lines) = (pipe, lines.clone()) else { continue };
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(std::result::Result::ok) {
                let line = if place == 0 { line } else { format!("bad: {line}") };
                if lines.send((number, id, line)).is_err() {
                    return;
                }
            }
            // Its end: a surprise, unless it was killed.
            if place == 0 {
                let _ = lines.send((number, id, "end".to_owned()));
            }
        });
    }
    Ok(Process { child, is_stopped: false })
}

fn signal(process: &mut Process, name: &str) -> Result<()> {
    process.is_stopped = name == "STOP";
    let sent = Command::new("kill").arg(format!("-{name}")).arg(process.child.id().to_string()).status();
    sent.map_err(|cause| failed("send a signal", &cause)).map(|_| ())
}

/// Runs it all.
/// # Errors
/// The harness itself failed.
pub fn run(options: &ReaderOptions) -> Result<ReaderFigures> {
    std::fs::create_dir_all(&options.folder).map_err(|cause| failed("make the folder", &cause))?;
    let path = options.folder.join("readers.lumos");
    {
        let database = Database::open(Some(&path), self::options(false))?;
        let mut session = database.connect()?;
        for sql in [
            "CREATE TABLE account (id bigint PRIMARY KEY, balance bigint, seal bigint, note text)".to_owned(),
            "CREATE INDEX account_seal ON account (seal)".to_owned(),
            "CREATE TABLE extra (a bigint, b text)".to_owned(),
            "CREATE TABLE state (version bigint)".to_owned(),
            "INSERT INTO state VALUES (1)".to_owned(),
            format!(
                "INSERT INTO account SELECT g, {BALANCE}, {BALANCE} * 7 + g, repeat('n', 100) FROM generate_series(0, {}) g",
                ACCOUNTS - 1
            ),
        ] {
            session.execute_script(&sql)?;
        }
    }
    let mut figures = ReaderFigures::default();
    let mut random = Random::new(options.seed | 1);
    let (sender, lines) = mpsc::channel();
    let mut processes = Vec::new();
    for number in 0..=READERS {
        processes.push(start(options, &path, number, random.next_u64(), &sender)?);
    }
    for _ in 0..options.rounds {
        let wanted = 2 + random.below(12);
        follow(&lines, &processes, wanted, &mut figures);
        if !figures.failures.is_empty() {
            break;
        }
        let victim = if random.below(2) == 0 { 0 } else { 1 + random.below(READERS as u64) as usize };
        let process = &mut processes[victim];
        if process.is_stopped {
            signal(process, "CONT")?;
        } else if victim > 0 && random.below(2) == 0 {
            signal(process, "STOP")?;
            figures.killed[2] += 1;
        } else {
            process.child.kill().map_err(|cause| failed("kill a child", &cause))?;
            process.child.wait().map_err(|cause| failed("wait for a child", &cause))?;
            figures.killed[usize::from(victim > 0)] += 1;
            processes[victim] = start(options, &path, victim, random.next_u64(), &sender)?;
        }
    }
    for process in &mut processes {
        if process.is_stopped {
            signal(process, "CONT")?;
        }
        process.child.kill().map_err(|cause| failed("kill a child", &cause))?;
        process.child.wait().map_err(|cause| failed("wait for a child", &cause))?;
    }
    let database = Database::open(Some(&path), self::options(false))?;
    let findings = findings_of(&database);
    figures.failures.extend(findings.into_iter().map(|finding| format!("the file at the end: {finding}")));
    let mut session = database.connect()?;
    let sum = rows(&mut session, "SELECT sum(balance)::text FROM account")?;
    if sum != [format!("Text(\"{}\")", ACCOUNTS * BALANCE)] {
        figures.failures.push(format!("the file at the end: the sum is {sum:?}"));
    }
    Ok(figures)
}

/// Listens until the writer has made so many checkpoints and readers have taken as many looks.
fn follow(
    lines: &Receiver<(usize, u32, String)>,
    processes: &[Process],
    wanted: u64,
    figures: &mut ReaderFigures,
) {
    let (mut checkpoints, mut looks) = (0, 0);
    let is_anybody_reading = processes[1..].iter().any(|process| !process.is_stopped);
    while checkpoints < wanted || (is_anybody_reading && looks < wanted) {
        match lines.recv_timeout(PATIENCE) {
            Ok((number, _, line)) if line.starts_with("bad") => {
                figures.failures.push(format!("process {number}: {line}"));
                return;
            }
            Ok((number, id, line)) if line == "end" => {
                // One that was killed is no longer who it was.
                if processes[number].child.id() == id {
                    figures.failures.push(format!("process {number} ended by itself"));
                    return;
                }
            }
            Ok((0, ..)) => {
                checkpoints += 1;
                figures.checkpoints += 1;
            }
            Ok(_) => {
                looks += 1;
                figures.looks += 1;
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                figures.failures.push("nobody said anything for a minute".to_owned());
                return;
            }
        }
    }
}
