//! Workloads side by side: Lumos and SQLite, each through its C interface, with the same data, statements,
//! random streams and durability. Runs interleave; every figure is a median; ratios in one run count.
//!
//! `lumos-compare [--seconds S] [--runs N] [--rows N] [--scale S] [--clients N,N] [--warehouses N,N] [--dir PATH] [ROW…]`
//! with rows such as `O1`, `O4`, `tpch`, `storage` or one row of it (`S1`), `transactions` or one group of it (`O8`).

mod dynamic;
mod lumos;
mod measure;
mod postgres;
mod random;
mod side;
mod sqlite;
mod storage;
mod tpch;
mod transactions;
mod wire;
mod workload;

use lumos::LumosDatabase;
use measure::{Outcome, Plan};
use random::{Checksum, Random};
use side::{Class, Connection, Database, Statement};
use sqlite::SqliteDatabase;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use workload::{EventSums, Notes, Read};

/// Page cache of both sides.
const MEMORY_MIB: u64 = 1024;
/// Operations whose values are compared before anything is timed.
const COMPARED: usize = 2000;

#[derive(Clone)]
struct Options {
    plan: Plan,
    /// Somebody said how many runs.
    runs_are_given: bool,
    rows: i64,
    scale: f64,
    directory: PathBuf,
    /// How many clients at once, in the rows of `transactions`.
    clients: Vec<usize>,
    /// TPC-C's numbers of warehouses.
    warehouses: Vec<i64>,
    names: Vec<String>,
}

/// Numbers between commas.
fn numbers<T: std::str::FromStr>(list: &str) -> Vec<T> {
    list.split(',').map(|word| word.parse().ok().expect("numbers between commas")).collect()
}

fn options() -> Options {
    let mut options = Options {
        plan: Plan { warm_up: Duration::from_millis(500), length: Duration::from_secs(1), runs: 5 },
        runs_are_given: false,
        rows: workload::ACCOUNTS,
        scale: 0.1,
        clients: vec![1, 2, 8, 32],
        warehouses: vec![1, 10],
        directory: Path::new(env!("CARGO_MANIFEST_DIR")).join("target/data"),
        names: Vec::new(),
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_else(|| panic!("{word} takes a value"));
        match word.as_str() {
            "--seconds" => {
                options.plan.length = Duration::from_secs_f64(value().parse().expect("seconds"));
                options.plan.warm_up = options.plan.warm_up.min(options.plan.length / 2);
            }
            "--runs" => {
                options.plan.runs = value().parse().expect("a number of runs");
                options.runs_are_given = true;
            }
            "--rows" => options.rows = value().parse().expect("a number of rows"),
            "--scale" => options.scale = value().parse().expect("a scale"),
            "--clients" => options.clients = numbers(&value()),
            "--warehouses" => options.warehouses = numbers(&value()),
            "--dir" => options.directory = value().into(),
            name => options.names.push(name.to_uppercase()),
        }
    }
    options
}

struct Sides {
    lumos: LumosDatabase,
    sqlite: SqliteDatabase,
}

fn open(directory: &Path, name: &str) -> Sides {
    let directory = directory.join(name);
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).expect("a folder for the data");
    Sides {
        lumos: LumosDatabase::open(&directory.join("data.lumos"), &format!("{MEMORY_MIB}MB")),
        sqlite: SqliteDatabase::open(&directory.join("data.sqlite"), MEMORY_MIB * 1024),
    }
}

fn rate(value: f64) -> String {
    if value >= 1e6 {
        format!("{:.2} M", value / 1e6)
    } else if value >= 1e4 {
        format!("{:.1} k", value / 1e3)
    } else {
        format!("{value:.1}")
    }
}

fn micros(nanoseconds: u64) -> String {
    format!("{:.2}", nanoseconds as f64 / 1e3)
}

fn header() {
    println!(
        "{:<18} {:>2} {:>10} {:>10} {:>10} {:>7}  {:>19}  {:>19}  {:>7}  rows, checksum",
        "row",
        "th",
        "lumos/s",
        "full/s",
        "normal/s",
        "ratio",
        "lumos p50/p99 us",
        "sqlite p50/p99 us",
        "sync/c"
    );
}

/// `ratio` is to SQLite with the same durability.
fn line(
    name: &str,
    threads: usize,
    class: Class,
    ours: &Outcome,
    theirs: [Option<&Outcome>; 2],
    check: &str,
) {
    let same = theirs[if class == Class::Full { 0 } else { 1 }].or(theirs[0]).expect("a peer");
    let peer = |side: Option<&Outcome>| side.map_or("-".to_owned(), |side| rate(side.median()));
    let latency = |side: &Outcome| [0.5, 0.99].map(|part| micros(side.latency.percentile(part))).join("/");
    let syncs = if ours.commits > 0 {
        format!("{:.3}", ours.syncs as f64 / ours.commits as f64)
    } else {
        "-".to_owned()
    };
    println!(
        "{name:<18} {threads:>2} {:>10} {:>10} {:>10} {:>7.2}  {:>19}  {:>19}  {syncs:>7}  {check}",
        rate(ours.median()),
        peer(theirs[0]),
        peer(theirs[1]),
        ours.median() / same.median(),
        latency(ours),
        latency(same),
    );
}

fn wanted(options: &Options, name: &str) -> bool {
    options.names.is_empty() || options.names.iter().any(|wanted| name == wanted)
}

fn reads(options: &Options, sides: &Sides) {
    let rows = options.rows;
    let list = [
        ("O1", "O1 point", Read::Point, &[1, 2][..]),
        ("O1T", "O1t point in txn", Read::PointTransaction, &[1, 2][..]),
        ("O2", "O2 range100", Read::Range, &[1][..]),
        ("O3", "O3 scan_agg", Read::Scan, &[1][..]),
    ];
    for (id, name, read, threads) in list {
        if !wanted(options, id) {
            continue;
        }
        let ours = read.operation(rows);
        let theirs = read.operation(rows);
        let compared = match read {
            Read::PointTransaction | Read::Scan => 3,
            _ => COMPARED,
        };
        let sums = (compare(&sides.lumos, compared, &ours), compare(&sides.sqlite, compared, &theirs));
        let check = if sums.0 == sums.1 {
            format!("{} {:016x}", sums.0.rows, sums.0.sum)
        } else {
            format!(
                "ERROR: lumos {} {:016x}, sqlite {} {:016x}",
                sums.0.rows, sums.0.sum, sums.1.rows, sums.1.sum
            )
        };
        for &threads in threads {
            let plan = options.plan;
            let (mut lumos, mut sqlite) = (Outcome::new(), Outcome::new());
            let weight = read.weight();
            measure::run(&sides.lumos, Class::Full, threads, 1, weight, plan.warm_up, &ours, None);
            measure::run(&sides.sqlite, Class::Full, threads, 1, weight, plan.warm_up, &theirs, None);
            for run in 0..plan.runs as u64 {
                let (seed, length) = (2 + run, plan.length);
                measure::run(
                    &sides.lumos,
                    Class::Full,
                    threads,
                    seed,
                    weight,
                    length,
                    &ours,
                    Some(&mut lumos),
                );
                measure::run(
                    &sides.sqlite,
                    Class::Full,
                    threads,
                    seed,
                    weight,
                    length,
                    &theirs,
                    Some(&mut sqlite),
                );
            }
            line(name, threads, Class::Full, &lumos, [Some(&sqlite), None], &check);
        }
    }
}

fn compare<D: Database>(
    database: &D,
    count: usize,
    operation: &impl Fn(&mut D::Connection, &mut Random, &mut Checksum),
) -> Checksum {
    let mut connection = database.connect(Class::Full);
    let mut random = Random::new(88_172_645_463_325_252);
    let mut checksum = Checksum::default();
    for _ in 0..count {
        operation(&mut connection, &mut random, &mut checksum);
    }
    checksum
}

/// Runs a writing workload with both durabilities.
fn writes<O, P>(
    options: &Options,
    sides: &Sides,
    name: &str,
    ours: &O,
    theirs: &P,
    check: &dyn Fn() -> String,
) where
    O: Fn(&mut lumos::LumosConnection, &mut Random, &mut Checksum) + Sync,
    P: Fn(&mut sqlite::SqliteConnection, &mut Random, &mut Checksum) + Sync,
{
    let plan = options.plan;
    for threads in [1, 8] {
        let mut outcomes = [(); 4].map(|()| Outcome::new());
        for run in 0..=plan.runs as u64 {
            for (index, class) in [Class::Full, Class::Normal].into_iter().enumerate() {
                // The first round warms up.
                let length = if run == 0 { plan.warm_up } else { plan.length };
                let outcome = (run > 0).then_some(&mut outcomes[2 * index]);
                measure::run(&sides.lumos, class, threads, 10 + run, 1, length, ours, outcome);
                let outcome = (run > 0).then_some(&mut outcomes[2 * index + 1]);
                measure::run(&sides.sqlite, class, threads, 10 + run, 1, length, theirs, outcome);
            }
        }
        let [lumos_full, sqlite_full, lumos_normal, sqlite_normal] = &outcomes;
        let check = check();
        let peers = [Some(sqlite_full), Some(sqlite_normal)];
        line(&format!("{name} full"), threads, Class::Full, lumos_full, peers, &check);
        line(&format!("{name} normal"), threads, Class::Normal, lumos_normal, peers, &check);
    }
}

fn update(options: &Options, sides: &Sides) {
    let sum = |database: &dyn Fn() -> Vec<i64>| database()[1];
    let lumos_sum = || sides.lumos.connect(Class::Full).integers(Statement::SumAccounts);
    let sqlite_sum = || sides.sqlite.connect(Class::Full).integers(Statement::SumAccounts);
    let before = sum(&lumos_sum);
    let (ours, theirs) = (AtomicI64::new(0), AtomicI64::new(0));
    let check = || {
        let expected = [&ours, &theirs].map(|changed| before + changed.load(Ordering::Relaxed));
        let found = [sum(&lumos_sum), sum(&sqlite_sum)];
        if found == expected {
            format!("{} sums as expected", options.rows)
        } else {
            format!("ERROR: sum(balance): lumos and sqlite {found:?}, expected {expected:?}")
        }
    };
    writes(
        options,
        sides,
        "O4 update",
        &workload::update(options.rows, &ours),
        &workload::update(options.rows, &theirs),
        &check,
    );
}

fn insert(options: &Options) {
    let sides = open(&options.directory, "events");
    sides.lumos.connect(Class::Full).execute(workload::CREATE_EVENTS);
    sides.sqlite.connect(Class::Full).execute(&workload::for_sqlite(workload::CREATE_EVENTS));
    let notes = Notes::new();
    let (ours, theirs) = (EventSums::default(), EventSums::default());
    let check = || {
        let found = [
            sides.lumos.connect(Class::Full).integers(Statement::SumEvents),
            sides.sqlite.connect(Class::Full).integers(Statement::SumEvents),
        ];
        let expected = [ours.expected(), theirs.expected()];
        if found == expected {
            format!("{} and {} as expected", found[0][0], found[1][0])
        } else {
            format!("ERROR: count, sums: lumos and sqlite {found:?}, expected {expected:?}")
        }
    };
    writes(
        options,
        &sides,
        "O5 insert",
        &workload::insert(&notes, &ours),
        &workload::insert(&notes, &theirs),
        &check,
    );
}

fn batch(options: &Options, index: bool) {
    let rows = workload::EVENTS.min(options.rows);
    let notes = Notes::new();
    let (mut lumos, mut sqlite) = (Outcome::new(), Outcome::new());
    let mut check = String::new();
    for _ in 0..options.plan.runs {
        let sides = open(&options.directory, "batch");
        let before = sides.lumos.syncs_and_commits().unwrap_or_default();
        let ours = workload::batch(&sides.lumos, workload::CREATE_EVENTS, index, &notes, rows);
        let after = sides.lumos.syncs_and_commits().unwrap_or_default();
        lumos.syncs += after.0 - before.0;
        lumos.commits += after.1 - before.1;
        let create = workload::for_sqlite(workload::CREATE_EVENTS);
        let theirs = workload::batch(&sides.sqlite, &create, index, &notes, rows);
        lumos.rates.push(rows as f64 / ours.0);
        sqlite.rates.push(rows as f64 / theirs.0);
        if ours.1 == theirs.1 && ours.1[0] == rows {
            check = format!("{rows} sums {} {}", ours.1[1], ours.1[2]);
        } else {
            check = format!("ERROR: lumos {:?}, sqlite {:?}", ours.1, theirs.1);
            break;
        }
    }
    let name = if index { "O6 insert_txn_index" } else { "O6 insert_txn" };
    line(name, 1, Class::Full, &lumos, [Some(&sqlite), None], &check);
}

fn main() {
    let options = options();
    std::fs::create_dir_all(&options.directory).expect("a folder for the data");
    if wanted(&options, "TPCH") {
        tpch::run(&options.directory, options.scale, options.plan.runs);
        if options.names.len() == 1 {
            return;
        }
    }
    if storage::run(&options) || transactions::run(&options) {
        return;
    }
    let sides = open(&options.directory, "accounts");
    {
        let (mut ours, mut theirs) = (sides.lumos.connect(Class::Full), sides.sqlite.connect(Class::Full));
        println!(
            "lumos {}: durability {}, memory_limit {}, page_size {}",
            lumos::version(),
            ours.setting("durability"),
            ours.setting("memory_limit"),
            sides.lumos.statistic("page_size"),
        );
        println!(
            "sqlite {}: journal_mode {}, synchronous {} (full row), cache_size {}, page_size {}",
            sqlite::version(),
            theirs.setting("journal_mode"),
            theirs.setting("synchronous"),
            theirs.setting("cache_size"),
            theirs.setting("page_size"),
        );
        println!(
            "{} processors; warm-up {:?}, {} runs of {:?}, medians; accounts: {} rows",
            std::thread::available_parallelism().map_or(1, usize::from),
            options.plan.warm_up,
            options.plan.runs,
            options.plan.length,
            options.rows,
        );
        if ["O1", "O1T", "O2", "O3", "O4"].iter().any(|name| wanted(&options, name)) {
            let lumos = workload::load_accounts(&mut ours, workload::CREATE_ACCOUNTS, options.rows);
            let create = workload::for_sqlite(workload::CREATE_ACCOUNTS);
            let sqlite = workload::load_accounts(&mut theirs, &create, options.rows);
            println!("accounts loaded: lumos {lumos:.2} s, sqlite {sqlite:.2} s");
        }
    }
    header();
    reads(&options, &sides);
    if wanted(&options, "O4") {
        update(&options, &sides);
    }
    drop(sides);
    if wanted(&options, "O5") {
        insert(&options);
    }
    for (name, index) in [("O6", false), ("O6I", true)] {
        if wanted(&options, name) {
            batch(&options, index);
        }
    }
    for name in ["accounts", "events", "batch"] {
        let _ = std::fs::remove_dir_all(options.directory.join(name));
    }
}
