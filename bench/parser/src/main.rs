//! The parser beside sqlparser-rs and libpg_query over `statements.sql`: statements a second, and bytes that each
//! statement takes from the allocator while its tree is alive. Runs interleave; every figure is a median; ratios in
//! one run count.
//!
//! `lumos-bench-parser [--seconds S] [--runs N] [--profile]`; `--profile` runs Lumos alone, for a profiler.

mod allocation;
mod engine;

use engine::Engine;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: allocation::Counting = allocation::Counting;

struct Options {
    runs: usize,
    length: Duration,
    profile: bool,
}

fn options() -> Options {
    let mut options = Options { runs: 5, length: Duration::from_millis(200), profile: false };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seconds" => {
                let seconds =
                    words.next().and_then(|value| value.parse().ok()).expect("--seconds takes a number");
                options.length = Duration::from_secs_f64(seconds);
            }
            "--runs" => {
                options.runs =
                    words.next().and_then(|value| value.parse().ok()).expect("--runs takes a number")
            }
            "--profile" => options.profile = true,
            other => panic!("{other} is not an option"),
        }
    }
    options
}

/// The statements of each set of the file, in its order.
fn sets(text: &'static str) -> Vec<(&'static str, Vec<&'static str>)> {
    let mut sets = Vec::new();
    for part in text.split("-- set: ").skip(1) {
        let (name, body) = part.split_once('\n').unwrap_or((part, ""));
        let mut statements = Vec::new();
        for piece in body.split_inclusive(";\n") {
            // A comment between sets belongs to none of the statements.
            let start = piece
                .split_inclusive('\n')
                .take_while(|line| line.starts_with("--") || line.trim().is_empty())
                .map(str::len)
                .sum::<usize>();
            let statement = piece[start..].trim().trim_end_matches(';');
            if !statement.is_empty() {
                statements.push(statement);
            }
        }
        sets.push((name.split_whitespace().next().unwrap_or(name), statements));
    }
    sets
}

/// Statements a second over whole rounds for at least `length`.
fn rate(engine: &mut dyn Engine, statements: &[&str], length: Duration) -> f64 {
    let started = Instant::now();
    let mut rounds = 0u32;
    loop {
        for statement in statements {
            engine.run(statement);
        }
        rounds += 1;
        let elapsed = started.elapsed();
        if elapsed >= length {
            return f64::from(rounds) * statements.len() as f64 / elapsed.as_secs_f64();
        }
    }
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn thousands(rate: f64) -> String {
    format!("{:.0} k", rate / 1e3)
}

fn main() {
    let options = options();
    let all = sets(include_str!("../statements.sql"));
    let mut engines = engine::all();
    if options.profile {
        let statements: Vec<&str> =
            all.iter().filter(|(name, _)| !name.starts_with("x-")).flat_map(|(_, set)| set.clone()).collect();
        println!("{:.0} statements/s", rate(engines[0].as_mut(), &statements, options.length));
        return;
    }
    for engine in &mut engines {
        for (name, set) in &all {
            for statement in set {
                if !engine.accepts(statement) {
                    let line: String = statement.chars().take(70).collect();
                    println!("{} refuses of set {name}: {line}", engine.name());
                }
            }
        }
    }
    // What everybody accepts, of the sets that are PostgreSQL's dialect.
    let mut rows: Vec<(String, Vec<&str>)> = Vec::new();
    let (mut whole, mut short) = (Vec::new(), Vec::new());
    for (name, set) in &all {
        let set: Vec<&str> = set
            .iter()
            .copied()
            .filter(|statement| engines.iter_mut().all(|engine| engine.accepts(statement)))
            .collect();
        if !name.starts_with("x-") {
            whole.extend_from_slice(&set);
        }
        if matches!(*name, "pgbench" | "crud") {
            short.extend_from_slice(&set);
        }
        rows.push(((*name).to_owned(), set));
    }
    rows.insert(0, ("one-liners".to_owned(), short));
    rows.insert(0, ("all".to_owned(), whole));
    if engines.iter().all(|engine| engine.name() != engine::LIBPG_QUERY) {
        println!("libpg_query could not be built here: its columns are empty (bench/run.sh says why)");
    }
    println!(
        "{:<14} {:>4} {:>6} | {:>9} {:>9} {:>6} | {:>9} {:>11} {:>6} | bytes alive: lumos, sqlparser; allocated: lumos fresh, reused, sqlparser",
        "set", "n", "bytes", "lumos/s", "sqlparser", "ratio", "lumos+f/s", "libpg_query", "ratio"
    );
    for (name, set) in rows.iter().filter(|(_, set)| !set.is_empty()) {
        let mut rates: Vec<Vec<f64>> = vec![Vec::new(); engines.len()];
        for run in 0..=options.runs {
            for (engine, rates) in engines.iter_mut().zip(&mut rates) {
                let length = if run == 0 { options.length / 4 } else { options.length };
                let rate = rate(engine.as_mut(), set, length);
                // The first round warms up.
                if run > 0 {
                    rates.push(rate);
                }
            }
        }
        let figure = |wanted: &str| {
            engines
                .iter()
                .zip(&rates)
                .find(|(engine, _)| engine.name() == wanted)
                .map(|(_, rates)| median(rates.clone()))
        };
        let shown = |rate: Option<f64>| rate.map_or("-".to_owned(), thousands);
        let ratio = |ours: Option<f64>, theirs: Option<f64>| match (ours, theirs) {
            (Some(ours), Some(theirs)) => format!("{:.2}", ours / theirs),
            _ => "-".to_owned(),
        };
        let (parse, with) = (figure(engine::LUMOS), figure(engine::LUMOS_FINGERPRINT));
        let (sqlparser, libpg_query) = (figure(engine::SQLPARSER), figure(engine::LIBPG_QUERY));
        let bytes = set.iter().map(|statement| statement.len()).sum::<usize>() / set.len();
        let memory = engine::memory(set);
        println!(
            "{name:<14} {:>4} {bytes:>6} | {:>9} {:>9} {:>6} | {:>9} {:>11} {:>6} | {} {}; {} {} {}",
            set.len(),
            shown(parse),
            shown(sqlparser),
            ratio(parse, sqlparser),
            shown(with),
            shown(libpg_query),
            ratio(with, libpg_query),
            memory.lumos_alive,
            memory.sqlparser_alive,
            memory.lumos_allocated,
            memory.lumos_reused,
            memory.sqlparser_allocated,
        );
    }
    println!(
        "floors: 2 x sqlparser, 1 x libpg_query; goals: 4 x and 2 x (parse + fingerprint on both sides)"
    );
}
