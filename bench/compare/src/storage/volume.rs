//! S2: bytes that a random update writes, log, pages and checkpoint together, as counted at the write calls.

use super::{Loaded, written_bytes};
use crate::Options;
use crate::random::{Checksum, Random};
use crate::side::{Class, Connection, Database, Statement, Value};

/// Updates, then a checkpoint.
const UPDATES: u64 = 100_000;

pub fn run(options: &Options) {
    println!(
        "S2: bytes written a random update, {UPDATES} updates and a checkpoint, {} accounts",
        options.rows
    );
    println!("{:<30} {:>12} {:>12} {:>6}", "row", "lumos", "sqlite", "ratio");
    for (name, memory_kib) in [("S2 all in memory", 1 << 20), ("S2 10 x memory", 16 << 10)] {
        let loaded = Loaded::new(options, options.rows, memory_kib, None);
        let lumos = volume(&mut loaded.lumos.connect(Class::Normal), options.rows, UPDATES, "CHECKPOINT");
        let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
        let sqlite = volume(&mut loaded.sqlite.connect(Class::Normal), options.rows, UPDATES, checkpoint);
        println!("{name:<30} {lumos:>12.0} {sqlite:>12.0} {:>6.2}", lumos / sqlite);
        loaded.remove();
    }
}

/// Bytes an update.
pub fn volume(connection: &mut impl Connection, rows: i64, updates: u64, checkpoint: &str) -> f64 {
    let mut random = Random::new(77_777);
    let mut checksum = Checksum::default();
    let before = written_bytes();
    for _ in 0..updates {
        let id = 1 + random.below(rows as u64) as i64;
        connection.run(Statement::Update, &[Value::Integer(id), Value::Integer(1)], &mut checksum);
    }
    connection.execute(checkpoint);
    (written_bytes() - before) as f64 / updates as f64
}
