//! S3: how long an update takes while nobody checkpoints, and while one checkpoint follows the other.

use super::Loaded;
use crate::Options;
use crate::measure::{self, Outcome};
use crate::side::{Class, Connection, Database};
use crate::workload;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

const MEMORY_KIB: u64 = 1 << 20;

pub fn run(options: &Options) {
    let rows = options.rows;
    let loaded = Loaded::new(options, rows, MEMORY_KIB, None);
    println!("S3: latency of an update in microseconds, {rows} accounts, one client");
    println!(
        "{:<30} {:>10} {:>8} {:>8} {:>8} {:>9}  p99 to quiet",
        "row", "updates/s", "p50", "p99", "p99.9", "worst"
    );
    let plan = options.plan;
    let added = AtomicI64::new(0);
    let update = workload::update(rows, &added);
    for (class, name) in [(Class::Full, "full"), (Class::Normal, "normal")] {
        let (mut quiet, mut busy) = (Outcome::new(), Outcome::new());
        let mut checkpoints = 0;
        for run in 0..=plan.runs as u64 {
            loaded.lumos.connect(Class::Normal).execute("CHECKPOINT");
            let length = if run == 0 { plan.warm_up } else { plan.length };
            let outcome = (run > 0).then_some(&mut quiet);
            measure::run(&loaded.lumos, class, 1, 30 + run, 1, length, &update, outcome);
            let stopped = AtomicBool::new(false);
            let before = loaded.lumos.statistic("checkpoints");
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let mut connection = loaded.lumos.connect(Class::Normal);
                    while !stopped.load(Ordering::Relaxed) {
                        connection.execute("CHECKPOINT");
                    }
                });
                let outcome = (run > 0).then_some(&mut busy);
                measure::run(&loaded.lumos, class, 1, 60 + run, 1, length, &update, outcome);
                stopped.store(true, Ordering::Relaxed);
            });
            if run > 0 {
                checkpoints += loaded.lumos.statistic("checkpoints") - before;
            }
        }
        let base = quiet.latency.percentile(0.99) as f64;
        for (what, outcome) in [("quiet", &quiet), ("in checkpoints", &busy)] {
            let part = |part| outcome.latency.percentile(part) as f64;
            println!(
                "{:<30} {:>10.0} {:>8.1} {:>8.1} {:>8.1} {:>9.0}  {:.1}{}",
                format!("S3 update {name}, {what}"),
                outcome.median(),
                part(0.5) / 1e3,
                part(0.99) / 1e3,
                part(0.999) / 1e3,
                part(1.0) / 1e3,
                part(0.99) / base,
                if what == "quiet" { String::new() } else { format!("  ({checkpoints} checkpoints)") },
            );
        }
    }
    loaded.remove();
}
