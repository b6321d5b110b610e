//! S5: a million events into an empty table, in one durable transaction: COPY through the C interface beside DuckDB's
//! appender, and COPY of a file on both sides.

use crate::lumos::LumosDatabase;
use crate::random::Random;
use crate::side::{Class, Connection, Database, Statement};
use crate::tpch::duckdb::DuckDb;
use crate::workload::{CREATE_EVENTS, EVENTS, Notes};
use crate::{Options, rate};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

/// Number, account, amount, note.
pub type Event<'a> = (i64, i64, i64, &'a str);

pub fn run(options: &Options) {
    let directory = options.directory.join("storage");
    println!("S5: {EVENTS} events into an empty table, durable, rows a second");
    println!("{:<30} {:>10} {:>10} {:>6}", "row", "lumos", "duckdb", "ratio");
    let notes = Notes::new();
    let mut random = Random::new(88_172_645_463_325_252);
    let events: Vec<Event<'_>> =
        (1..=EVENTS).map(|id| (id, 1 + random.below(1_000_000) as i64, id & 1023, notes.of(id))).collect();
    let expected = vec![
        EVENTS,
        events.iter().map(|event| event.2).sum::<i64>(),
        events.iter().map(|event| event.1).sum::<i64>(),
    ];
    let mut text = Vec::new();
    for (id, account, amount, note) in &events {
        writeln!(text, "{id},{account},{amount},{note}").expect("writing to memory does not fail");
    }
    let mut times: [Vec<f64>; 4] = Default::default();
    let mut missing = None;
    for _ in 0..options.plan.runs {
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).expect("a folder for the data");
        let file = directory.join("events.csv");
        std::fs::write(&file, &text).expect("a file of our own");
        let copy_file = format!("COPY events FROM '{}' (FORMAT csv)", file.display());
        for (at, from_file) in [(0, false), (2, true)] {
            let path = directory.join(format!("data-{at}.lumos"));
            times[at].push(load_lumos(&path, (!from_file).then_some(&text), &copy_file, &expected));
            let path = directory.join(format!("data-{at}.duckdb"));
            let events = (!from_file).then_some(&events[..]);
            match DuckDb::open(&path).and_then(|mut side| side.load_events(events, &copy_file, &expected)) {
                Ok(seconds) => times[at + 1].push(seconds),
                Err(why) => missing = Some(why),
            }
        }
    }
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times.get(times.len() / 2).map(|seconds| EVENTS as f64 / seconds)
    };
    let names = ["S5 COPY to their appender", "S5 COPY of a file"];
    for (name, sides) in names.into_iter().zip(times.as_chunks_mut::<2>().0) {
        let [ours, theirs] = sides;
        let (ours, theirs) = (median(ours).unwrap_or_default(), median(theirs));
        let ratio = theirs.map_or_else(|| "-".to_owned(), |theirs| format!("{:.2}", ours / theirs));
        println!("{name:<30} {:>10} {:>10} {ratio:>6}", rate(ours), theirs.map_or("-".to_owned(), rate));
    }
    if let Some(why) = missing {
        println!("S5: DuckDB is missing: {why}");
    }
    let _ = std::fs::remove_dir_all(&directory);
}

/// Seconds until the rows are durable; `text` goes in through the host, a file by its name.
fn load_lumos(path: &Path, text: Option<&Vec<u8>>, copy_file: &str, expected: &[i64]) -> f64 {
    let database = LumosDatabase::open_with(path, &[("memory_limit", "1GB")]);
    let mut connection = database.connect(Class::Full);
    connection.execute(CREATE_EVENTS);
    let started = Instant::now();
    match text {
        Some(text) => connection.copy_in("COPY events FROM STDIN (FORMAT csv)", text),
        None => connection.execute(copy_file),
    }
    let seconds = started.elapsed().as_secs_f64();
    assert_eq!(connection.integers(Statement::SumEvents), expected, "what COPY put in");
    seconds
}
