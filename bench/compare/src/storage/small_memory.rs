//! S1: random reads and updates of a table ten times larger than the cache.

use super::{Loaded, rate_header, rate_line};
use crate::Options;
use crate::measure::{self, Outcome};
use crate::side::{Class, Connection, Database, Statement};
use crate::workload::{self, Read};
use std::sync::atomic::{AtomicI64, Ordering};

/// The data is so many times larger than the cache.
const TIMES: u64 = 10;

pub fn run(options: &Options) {
    let rows = options.rows;
    // About 170 bytes a row in either file.
    let memory_kib = (rows as u64 * 170 / TIMES / 1024).max(4096);
    let loaded = Loaded::new(options, rows, memory_kib, None);
    let (ours, theirs) = loaded.file_bytes();
    rate_header(&format!(
        "S1: {rows} accounts, cache {memory_kib} KiB; files: lumos {} KiB, sqlite {} KiB",
        ours >> 10,
        theirs >> 10
    ));
    let plan = options.plan;
    for threads in [1, 2] {
        let (mut lumos, mut sqlite) = (Outcome::new(), Outcome::new());
        let (read, peer) = (Read::Point.operation(rows), Read::Point.operation(rows));
        for run in 0..=plan.runs as u64 {
            let length = if run == 0 { plan.warm_up } else { plan.length };
            let outcome = (run > 0).then_some(&mut lumos);
            measure::run(&loaded.lumos, Class::Full, threads, 2 + run, 1, length, &read, outcome);
            let outcome = (run > 0).then_some(&mut sqlite);
            measure::run(&loaded.sqlite, Class::Full, threads, 2 + run, 1, length, &peer, outcome);
        }
        rate_line("S1 point, 10 x memory", threads, &lumos, &sqlite, "");
    }
    for (class, name) in
        [(Class::Full, "S1 update full, 10 x memory"), (Class::Normal, "S1 update normal, 10 x memory")]
    {
        let before = sums(&loaded);
        let (added, peer_added) = (AtomicI64::new(0), AtomicI64::new(0));
        let (update, peer) = (workload::update(rows, &added), workload::update(rows, &peer_added));
        let (mut lumos, mut sqlite) = (Outcome::new(), Outcome::new());
        for run in 0..=plan.runs as u64 {
            let length = if run == 0 { plan.warm_up } else { plan.length };
            let outcome = (run > 0).then_some(&mut lumos);
            measure::run(&loaded.lumos, class, 1, 20 + run, 1, length, &update, outcome);
            let outcome = (run > 0).then_some(&mut sqlite);
            measure::run(&loaded.sqlite, class, 1, 20 + run, 1, length, &peer, outcome);
        }
        let after = sums(&loaded);
        let sum = |sum: &AtomicI64| sum.load(Ordering::Relaxed);
        let expected = [before[0] + sum(&added), before[1] + sum(&peer_added)];
        let note = if after == expected { "sums as expected" } else { "ERROR: the sums are wrong" };
        rate_line(name, 1, &lumos, &sqlite, note);
    }
    loaded.remove();
}

fn sums(loaded: &Loaded) -> [i64; 2] {
    [
        loaded.lumos.connect(Class::Full).integers(Statement::SumAccounts)[1],
        loaded.sqlite.connect(Class::Full).integers(Statement::SumAccounts)[1],
    ]
}
