//! S4: what the page size changes: bytes written a random update, point reads, scans, the file's size.

use super::{Loaded, volume};
use crate::Options;
use crate::measure::{self, Outcome};
use crate::side::{Class, Database};
use crate::workload::{self, Read};
use std::sync::atomic::AtomicI64;

const SIZES: [u32; 4] = [4096, 8192, 16_384, 32_768];
const UPDATES: u64 = 50_000;

pub fn run(options: &Options) {
    let rows = options.rows;
    println!("S4: page sizes, {rows} accounts; in memory: cache 1 GiB; small: cache 16 MiB");
    println!(
        "{:<14} {:>10} {:>10} {:>8} {:>12} {:>11} {:>10} {:>13} {:>11}",
        "page",
        "file KiB",
        "points/s",
        "scans/s",
        "updates/s",
        "B/update",
        "small pt/s",
        "small upd/s",
        "B/update"
    );
    let mut peer = None;
    for size in SIZES {
        let measured = figures(options, size);
        print_line(&format!("lumos {size}"), &measured[0]);
        peer = Some(measured[1]);
    }
    if let Some(measured) = peer {
        print_line("sqlite 4096", &measured);
    }
}

fn print_line(name: &str, figures: &[f64; 8]) {
    println!(
        "{name:<14} {:>10.0} {:>10.0} {:>8.1} {:>12.0} {:>11.0} {:>10.0} {:>13.0} {:>11.0}",
        figures[0], figures[1], figures[2], figures[3], figures[4], figures[5], figures[6], figures[7]
    );
}

/// The line of Lumos with this page size, and SQLite's.
fn figures(options: &Options, size: u32) -> [[f64; 8]; 2] {
    let large = Loaded::new(options, options.rows, 1 << 20, Some(size));
    let files = large.file_bytes();
    let in_memory = both(options, &large, true);
    large.remove();
    let small = Loaded::new(options, options.rows, 16 << 10, Some(size));
    let beyond = both(options, &small, false);
    small.remove();
    let line = |side: usize, file: u64| {
        let (a, b) = (in_memory[side], beyond[side]);
        [(file >> 10) as f64, a[0], a[1], a[2], a[3], b[0], b[2], b[3]]
    };
    [line(0, files.0), line(1, files.1)]
}

/// Points, scans and updates a second, bytes an update.
fn both(options: &Options, loaded: &Loaded, with_scan: bool) -> [[f64; 4]; 2] {
    [
        one(options, &loaded.lumos, with_scan, "CHECKPOINT"),
        one(options, &loaded.sqlite, with_scan, "PRAGMA wal_checkpoint(TRUNCATE)"),
    ]
}

fn one<D: Database>(options: &Options, database: &D, with_scan: bool, checkpoint: &str) -> [f64; 4] {
    let (plan, rows) = (options.plan, options.rows);
    let timed = |operation: &(dyn Fn(&mut D::Connection, &mut _, &mut _) + Sync)| {
        let mut outcome = Outcome::new();
        for run in 0..=plan.runs as u64 {
            let length = if run == 0 { plan.warm_up } else { plan.length };
            let to = (run > 0).then_some(&mut outcome);
            let operation = |connection: &mut D::Connection, random: &mut _, checksum: &mut _| {
                operation(connection, random, checksum);
            };
            measure::run(database, Class::Normal, 1, 40 + run, 1, length, &operation, to);
        }
        outcome.median()
    };
    let points = timed(&Read::Point.operation::<D::Connection>(rows));
    let scans = if with_scan { timed(&Read::Scan.operation::<D::Connection>(rows)) } else { 0.0 };
    let added = AtomicI64::new(0);
    let updates = timed(&workload::update::<D::Connection>(rows, &added));
    let bytes = volume::volume(&mut database.connect(Class::Normal), rows, UPDATES, checkpoint);
    [points, scans, updates, bytes]
}
