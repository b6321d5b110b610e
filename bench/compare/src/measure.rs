//! Timing: warm-up, interleaved runs, medians and percentiles. Knows no SQL.

use crate::random::{Checksum, Random};
use crate::side::{Class, Database};
use std::sync::Barrier;
use std::time::{Duration, Instant};

/// How long and how often.
#[derive(Clone, Copy)]
pub struct Plan {
    pub warm_up: Duration,
    pub length: Duration,
    pub runs: usize,
}

/// Latencies in buckets of about 1.6 %.
#[derive(Clone)]
pub struct Histogram(Vec<u64>);

const STEPS: usize = 64;

impl Histogram {
    pub fn new() -> Histogram {
        Histogram(vec![0; 40 * STEPS])
    }

    pub fn record(&mut self, nanoseconds: u64) {
        let value = nanoseconds.max(STEPS as u64);
        let shift = value.ilog2() - STEPS.ilog2();
        let bucket = shift as usize * STEPS + (value >> shift) as usize;
        let last = self.0.len() - 1;
        self.0[bucket.min(last)] += 1;
    }

    pub fn add(&mut self, other: &Histogram) {
        for (sum, count) in self.0.iter_mut().zip(&other.0) {
            *sum += count;
        }
    }

    /// Nanoseconds that `part` of all operations did not exceed.
    pub fn percentile(&self, part: f64) -> u64 {
        let total: u64 = self.0.iter().sum();
        let mut left = (total as f64 * part).ceil() as u64;
        for (bucket, count) in self.0.iter().enumerate() {
            if *count >= left && *count > 0 {
                let shift = (bucket / STEPS).saturating_sub(1);
                let mantissa = bucket - shift * STEPS;
                return (mantissa as u64) << shift;
            }
            left -= count;
        }
        0
    }
}

/// One side's runs.
pub struct Outcome {
    /// Operations per second of each run.
    pub rates: Vec<f64>,
    pub latency: Histogram,
    pub syncs: i64,
    pub commits: i64,
    /// Rows read in the timed runs.
    pub rows: u64,
}

impl Outcome {
    pub fn new() -> Outcome {
        Outcome { rates: Vec::new(), latency: Histogram::new(), syncs: 0, commits: 0, rows: 0 }
    }

    pub fn median(&self) -> f64 {
        let mut rates = self.rates.clone();
        rates.sort_by(f64::total_cmp);
        rates.get(rates.len() / 2).copied().unwrap_or(0.0)
    }
}

/// Runs `operation` on `threads` connections for `length`. Each call counts as `weight` operations.
#[expect(clippy::too_many_arguments, reason = "one call site")]
pub fn run<D: Database>(
    database: &D,
    class: Class,
    threads: usize,
    seed: u64,
    weight: u64,
    length: Duration,
    operation: &(impl Fn(&mut D::Connection, &mut Random, &mut Checksum) + Sync),
    outcome: Option<&mut Outcome>,
) {
    let barrier = Barrier::new(threads + 1);
    let before = database.syncs_and_commits();
    let work = |thread: usize| {
        let mut connection = database.connect(class);
        let mut random = Random::new((seed << 8 | thread as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let mut checksum = Checksum::default();
        let mut latency = Histogram::new();
        let mut count = 0u64;
        operation(&mut connection, &mut random, &mut checksum);
        barrier.wait();
        let started = Instant::now();
        let mut last = started;
        loop {
            operation(&mut connection, &mut random, &mut checksum);
            count += weight;
            let now = Instant::now();
            latency.record((now - last).as_nanos() as u64);
            last = now;
            if now - started >= length {
                break;
            }
        }
        std::hint::black_box(checksum.sum);
        (count as f64 / (last - started).as_secs_f64(), latency, checksum.rows)
    };
    let results: Vec<_> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn({
                    let work = &work;
                    move || work(thread)
                })
            })
            .collect();
        barrier.wait();
        handles.into_iter().map(|handle| handle.join().expect("a worker ended well")).collect()
    });
    let Some(outcome) = outcome else { return };
    outcome.rates.push(results.iter().map(|(rate, ..)| rate).sum());
    for (_, latency, rows) in &results {
        outcome.latency.add(latency);
        outcome.rows += rows;
    }
    if let (Some(before), Some(after)) = (before, database.syncs_and_commits()) {
        outcome.syncs += after.0 - before.0;
        outcome.commits += after.1 - before.1;
    }
}
