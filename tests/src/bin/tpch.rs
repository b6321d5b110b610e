//! `tpch [--scale S] [--runs N] [--path vectorised|point|auto] [--on-disk] [--page-size N] [--memory-limit N] [Q…]`
//!
//! Loads TPC-H, runs the queries and compares their answers; for queries 5, 8 and 9 also with ten random orders of
//! their tables, which must give the same answer by the same plan, without a cross product. The last line is
//! `N passed, M failed`; the exit status is 1 when anything failed.

use lumos_core::common::clock::{Clock, SystemClock};
use lumos_core::common::random::Random;
use lumos_core::database::Database;
use lumos_core::database::options::DatabaseOptions;
use lumos_core::error::{Error, SqlState};
use lumos_core::session::Session;
use lumos_tests::tpch::{self, data, permutation};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// The queries whose tables may be written in any order.
const PERMUTED: [usize; 3] = [5, 8, 9];
/// Orders that are tried.
const ORDERS: usize = 10;

struct Arguments {
    scale: f64,
    runs: usize,
    path: String,
    on_disk: bool,
    options: Vec<(String, String)>,
    queries: Vec<usize>,
}

fn arguments() -> Result<Arguments, String> {
    let mut parsed = Arguments {
        scale: 0.01,
        runs: 1,
        path: "auto".to_owned(),
        on_disk: false,
        options: Vec::new(),
        queries: Vec::new(),
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} takes a value"));
        match word.as_str() {
            "--scale" => parsed.scale = value()?.parse().map_err(|_| "--scale takes a number".to_owned())?,
            "--runs" => parsed.runs = value()?.parse().map_err(|_| "--runs takes a number".to_owned())?,
            "--path" => parsed.path = value()?,
            "--on-disk" => parsed.on_disk = true,
            "--page-size" => parsed.options.push(("page_size".to_owned(), value()?)),
            "--memory-limit" => parsed.options.push(("memory_limit".to_owned(), value()?)),
            number => match number.trim_start_matches(['q', 'Q']).parse() {
                Ok(number) if (1..=tpch::QUERIES).contains(&number) => parsed.queries.push(number),
                _ => return Err(format!("{word} is neither an option nor a query")),
            },
        }
    }
    if parsed.queries.is_empty() {
        parsed.queries = (1..=tpch::QUERIES).collect();
    }
    Ok(parsed)
}

fn connect(arguments: &Arguments, file: Option<&PathBuf>) -> Result<Session, Error> {
    let mut options = DatabaseOptions::default();
    options.set("durability", "normal")?;
    for (name, value) in &arguments.options {
        options.set(name, value)?;
    }
    let mut session = Database::open(file.map(PathBuf::as_path), options)?.connect()?;
    session.set("lumos.execution_path", &arguments.path)?;
    Ok(session)
}

/// What a plan looks like without the places of tables in the text: its lines.
fn plan(session: &mut Session, text: &str) -> Result<Vec<String>, Error> {
    let explained = tpch::run(session, &format!("EXPLAIN {text}"))?;
    Ok(explained.rows.into_iter().flatten().collect())
}

/// Ten orders of the tables: the same answer and the same plan.
fn orders(session: &mut Session, number: usize, scale: f64) -> Result<(), String> {
    let text = tpch::query(number).map_err(|error| error.to_string())?;
    let expected = tpch::answer(number, scale).map_err(|error| error.to_string())?;
    let first = plan(session, &text).map_err(|error| format!("EXPLAIN: {error}"))?;
    if let Some(line) = first.iter().find(|line| line.to_ascii_lowercase().contains("cross")) {
        return Err(format!("a cross product: {line}"));
    }
    for seed in 1..=ORDERS as u64 {
        let other = permutation::permuted(&text, &mut Random::new(seed));
        let found = tpch::run(session, &other).map_err(|error| format!("order {seed}: {error}"))?;
        if let Some(difference) = expected.differs_from(&found) {
            return Err(format!("order {seed}: {difference}"));
        }
        let other = plan(session, &other).map_err(|error| format!("order {seed}: EXPLAIN: {error}"))?;
        if other != first {
            return Err(format!(
                "order {seed} has another plan:\n{}\nnot\n{}",
                other.join("\n"),
                first.join("\n")
            ));
        }
    }
    Ok(())
}

fn run() -> Result<bool, String> {
    let arguments = arguments()?;
    let mut out = std::io::stdout();
    let mut say = |line: String| writeln!(out, "{line}").map_err(|error| error.to_string());
    let told = |error: Error| error.to_string();
    let folder = std::env::temp_dir().join(format!("lumos-tpch-{}", std::process::id()));
    let file = arguments.on_disk.then(|| folder.join("tpch.lumos"));
    if arguments.on_disk {
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    }
    let mut session = connect(&arguments, file.as_ref()).map_err(told)?;
    let clock = SystemClock::new();
    let seconds = |start: u64| (clock.monotonic_nanos() - start) as f64 / 1e9;
    #[allow(clippy::disallowed_methods, reason = "a test reads its own files")]
    let schema =
        std::fs::read_to_string(tpch::folder().join("schema.sql")).map_err(|error| error.to_string())?;
    let start = clock.monotonic_nanos();
    let rows = data::load(&mut session, &schema, arguments.scale).map_err(told)?;
    say(format!("scale {}: {rows} rows in {:.2} s", arguments.scale, seconds(start)))?;
    match session.execute_script("ANALYZE") {
        Ok(_) => {}
        Err(error) if error.state() == SqlState::FEATURE_NOT_SUPPORTED => {
            say(format!("no statistics: {error}"))?
        }
        Err(error) => return Err(told(error)),
    }
    let (mut passed, mut failed) = (0, 0);
    for &number in &arguments.queries {
        let text = tpch::query(number).map_err(|error| error.to_string())?;
        let expected = tpch::answer(number, arguments.scale).map_err(|error| error.to_string())?;
        let mut best = f64::INFINITY;
        let mut verdict = None;
        for _ in 0..arguments.runs.max(1) {
            let start = clock.monotonic_nanos();
            let found = tpch::run(&mut session, &text);
            best = best.min(seconds(start));
            verdict = match found {
                Ok(found) => expected.differs_from(&found),
                Err(error) => Some(told(error)),
            };
        }
        match verdict {
            None => {
                passed += 1;
                say(format!("q{number:02} {:>9.2} ms  {} rows", best * 1e3, expected.rows.len()))?;
            }
            Some(why) => {
                failed += 1;
                say(format!("q{number:02} FAILED: {why}"))?;
            }
        }
    }
    for number in PERMUTED.into_iter().filter(|number| arguments.queries.contains(number)) {
        match orders(&mut session, number, arguments.scale) {
            Ok(()) => {
                passed += 1;
                say(format!("q{number:02} in {ORDERS} orders of its tables: one plan, one answer"))?;
            }
            Err(why) => {
                failed += 1;
                say(format!("q{number:02} in {ORDERS} orders of its tables FAILED: {why}"))?;
            }
        }
    }
    drop(session);
    if arguments.on_disk {
        // A folder for temporary files: what stays is the system's to clean.
        let _ = std::fs::remove_dir_all(&folder);
    }
    say(format!("{passed} passed, {failed} failed"))?;
    Ok(failed == 0 && passed > 0)
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("tpch: {why}");
            ExitCode::FAILURE
        }
    }
}
