//! `storage`: rows about pages, memory, checkpoints and bytes written, each beside SQLite with the same cache and the
//! same durability. Every row is a file here with a `run`; the list below is the order. A name such as `S1` alone runs
//! that row.

pub mod bulk;
mod checkpoints;
mod clients;
mod page_sizes;
pub mod recovery;
mod small_memory;
mod volume;

use crate::lumos::LumosDatabase;
use crate::measure::Outcome;
use crate::side::{Class, Connection, Database};
use crate::sqlite::SqliteDatabase;
use crate::workload;
use crate::{Options, rate, wanted};
use std::path::PathBuf;

/// The name that stands for all rows.
const ALL: &str = "STORAGE";

type Row = fn(&Options);

const ROWS: [(&str, Row); 7] = [
    ("S1", small_memory::run),
    ("S2", volume::run),
    ("S3", checkpoints::run),
    ("S4", page_sizes::run),
    ("S5", bulk::run),
    ("S6", recovery::run),
    ("S8", clients::run),
];

/// Runs what is asked for by name; true: nothing else was.
pub fn run(options: &Options) -> bool {
    let names = &options.names;
    if names.iter().any(|name| name == recovery::VICTIM) {
        recovery::victim(options);
        return true;
    }
    let all = names.is_empty() || names.iter().any(|name| name == ALL);
    for (name, row) in ROWS {
        if all || wanted(options, name) {
            row(options);
        }
    }
    let is_ours = |name: &String| name == ALL || ROWS.iter().any(|(row, _)| row == name);
    !names.is_empty() && names.iter().all(is_ours)
}

/// Both sides with the same cache and the accounts loaded and checkpointed.
struct Loaded {
    lumos: LumosDatabase,
    sqlite: SqliteDatabase,
    directory: PathBuf,
}

impl Loaded {
    fn new(options: &Options, rows: i64, memory_kib: u64, page_size: Option<u32>) -> Loaded {
        let directory = options.directory.join("storage");
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).expect("a folder for the data");
        let memory = format!("{memory_kib}kB");
        let size = page_size.map(|size| format!("{size}B"));
        let mut settings = vec![("memory_limit", memory.as_str())];
        settings.extend(size.as_deref().map(|size| ("page_size", size)));
        let lumos = LumosDatabase::open_with(&directory.join("data.lumos"), &settings);
        let sqlite = SqliteDatabase::open(&directory.join("data.sqlite"), memory_kib);
        let (mut ours, mut theirs) = (lumos.connect(Class::Normal), sqlite.connect(Class::Normal));
        workload::load_accounts_in(&mut ours, workload::CREATE_ACCOUNTS, rows, LOADED_AT_ONCE);
        let create = workload::for_sqlite(workload::CREATE_ACCOUNTS);
        workload::load_accounts_in(&mut theirs, &create, rows, LOADED_AT_ONCE);
        ours.execute("CHECKPOINT");
        theirs.execute("PRAGMA wal_checkpoint(TRUNCATE)");
        Loaded { lumos, sqlite, directory }
    }

    /// Bytes of each side's files.
    fn file_bytes(&self) -> (u64, u64) {
        let size = |name| std::fs::metadata(self.directory.join(name)).map_or(0, |data| data.len());
        (size("data.lumos"), size("data.sqlite"))
    }

    fn remove(self) {
        let directory = self.directory.clone();
        drop(self);
        let _ = std::fs::remove_dir_all(directory);
    }
}

/// Rows of one loading transaction.
const LOADED_AT_ONCE: i64 = 1000;

/// Bytes that this process has handed to write calls so far.
pub fn written_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("wchar:"));
    line.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
}

/// A row with a rate: ours, theirs, the ratio, and each side's p50, p99 and worst, in microseconds.
fn rate_line(name: &str, threads: usize, ours: &Outcome, theirs: &Outcome, note: &str) {
    let times = |side: &Outcome| {
        let part = |part| side.latency.percentile(part) as f64 / 1e3;
        format!("{:.1}/{:.1}/{:.0}", part(0.5), part(0.99), part(1.0))
    };
    println!(
        "{name:<30} {threads:>2} {:>10} {:>10} {:>6.2}  {:>22}  {:>22}  {note}",
        rate(ours.median()),
        rate(theirs.median()),
        ours.median() / theirs.median(),
        times(ours),
        times(theirs),
    );
}

fn rate_header(title: &str) {
    println!("{title}");
    println!(
        "{:<30} {:>2} {:>10} {:>10} {:>6}  {:>22}  {:>22}",
        "row", "th", "lumos/s", "sqlite/s", "ratio", "lumos p50/p99/max us", "sqlite p50/p99/max us"
    );
}
