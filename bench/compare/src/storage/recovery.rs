//! S6: how long the first query takes after a process was killed with a million single-row commits in its log.

use super::LOADED_AT_ONCE;
use crate::Options;
use crate::lumos::LumosDatabase;
use crate::random::{Checksum, Random};
use crate::side::{Class, Connection, Database, Statement, Value};
use crate::sqlite::SqliteDatabase;
use crate::workload;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// The word that makes this program the one that is killed.
pub const VICTIM: &str = "RECOVERY-VICTIM";
const COMMITS: u64 = 1_000_000;
const MEMORY_KIB: u64 = 1 << 20;

pub fn run(options: &Options) {
    let directory = options.directory.join("storage");
    println!("S6: seconds from opening to the first answer, after a kill with {COMMITS} updates in the log");
    println!("{:<30} {:>10} {:>10} {:>6}", "row", "lumos", "sqlite", "ratio");
    let mut seconds = Vec::new();
    for side in ["lumos", "sqlite"] {
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).expect("a folder for the data");
        let path = directory.join(format!("data.{side}"));
        let (sum, log_bytes) = kill_one(options, side, &directory);
        let started = Instant::now();
        let sums = match side {
            "lumos" => first_query(&LumosDatabase::open_with(&path, &[("memory_limit", "1GB")])),
            _ => first_query(&SqliteDatabase::open(&path, MEMORY_KIB)),
        };
        seconds.push(started.elapsed().as_secs_f64());
        assert_eq!(sums, [options.rows, sum], "{side}: what was acknowledged is there");
        println!("   {side}: {} MB of log", log_bytes >> 20);
    }
    let (ours, theirs) = (seconds[0], seconds[1]);
    println!("{:<30} {ours:>10.2} {theirs:>10.2} {:>6.2}", "S6 first query after a crash", ours / theirs);
    let _ = std::fs::remove_dir_all(&directory);
}

fn first_query(database: &impl Database) -> Vec<i64> {
    database.connect(Class::Normal).integers(Statement::SumAccounts)
}

/// Lets a child commit, and kills it. Gives the sum that must be found, and the bytes of log that it left.
fn kill_one(options: &Options, side: &str, directory: &Path) -> (i64, u64) {
    let mut child = Command::new(std::env::current_exe().expect("our own path"))
        .args([VICTIM, side, "--dir"])
        .arg(directory)
        .args(["--rows", &options.rows.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program again");
    let mut line = String::new();
    let out = child.stdout.take().expect("a pipe");
    BufReader::new(out).read_line(&mut line).expect("the child's sum");
    child.kill().expect("the child waits to be killed");
    child.wait().expect("it was killed");
    let sum = line.trim().parse().unwrap_or_else(|_| panic!("the child said {line:?}"));
    let log = directory.join("data.lumos-wal");
    let bytes = match std::fs::read_dir(&log) {
        Ok(files) => files.filter_map(|file| file.ok()?.metadata().ok()).map(|data| data.len()).sum(),
        Err(_) => std::fs::metadata(directory.join("data.sqlite-wal")).map_or(0, |data| data.len()),
    };
    (sum, bytes)
}

/// The child: loads, commits, says the sum, and waits for its end.
pub fn victim(options: &Options) {
    let is_lumos = options.names.iter().any(|name| name == "LUMOS");
    if is_lumos {
        // The log keeps every commit: no checkpoint comes before the kill.
        let path = options.directory.join("data.lumos");
        commit(options, &LumosDatabase::open_with(&path, &[("memory_limit", "1GB")]), "CHECKPOINT");
    } else {
        let database = SqliteDatabase::open(&options.directory.join("data.sqlite"), MEMORY_KIB);
        commit(options, &database, "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA wal_autocheckpoint = 0");
    }
}

fn commit(options: &Options, database: &impl Database, checkpoint: &str) {
    let mut connection = database.connect(Class::Normal);
    let create = workload::CREATE_ACCOUNTS;
    workload::load_accounts_in(&mut connection, create, options.rows, LOADED_AT_ONCE);
    connection.execute(checkpoint);
    let mut random = Random::new(31_415);
    let mut checksum = Checksum::default();
    for _ in 0..COMMITS {
        let id = 1 + random.below(options.rows as u64) as i64;
        connection.run(Statement::Update, &[Value::Integer(id), Value::Integer(1)], &mut checksum);
    }
    println!("{}", connection.integers(Statement::SumAccounts)[1]);
    std::io::stdout().flush().expect("the parent reads");
    // Until the kill, or until the parent is gone.
    let _ = std::io::stdin().lock().read_line(&mut String::new());
}
