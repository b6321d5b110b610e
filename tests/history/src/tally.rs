//! What threads add up while they look for broken invariants.

use crate::anomaly::{Anomaly, Finding};
use lumos_core::common::random::Random;
use lumos_core::error::{Result, SqlState};
use std::collections::BTreeMap;
use std::fmt;

/// Errors that concurrent transactions may get.
const EXPECTED: [SqlState; 4] = [
    SqlState::SERIALIZATION_FAILURE,
    SqlState::DEADLOCK_DETECTED,
    SqlState::UNIQUE_VIOLATION,
    SqlState::SNAPSHOT_TOO_OLD,
];

/// Figures and findings.
#[derive(Debug, Default)]
pub struct Tally {
    /// Transactions begun.
    pub transactions: usize,
    /// Sums, counts and searches that were compared.
    pub reads: usize,
    /// How often a transaction ended with which SQLSTATE.
    pub errors: BTreeMap<String, u64>,
    /// What was wrong.
    pub findings: Vec<Finding>,
}

impl Tally {
    /// Counts how a transaction ended.
    pub fn note(&mut self, result: Result<()>) {
        let Err(error) = result else { return };
        *self.errors.entry(error.state().as_str().to_owned()).or_default() += 1;
        if !EXPECTED.contains(&error.state()) {
            self.findings.push(Finding::new(Anomaly::UnexpectedError, format!("{error:?}")));
        }
    }

    /// Adds another's.
    pub fn add(&mut self, other: Tally) {
        self.transactions += other.transactions;
        self.reads += other.reads;
        self.findings.extend(other.findings);
        for (state, count) in other.errors {
            *self.errors.entry(state).or_default() += count;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} transactions, {} reads compared, errors {:?}",
            self.transactions, self.reads, self.errors
        )
    }
}

/// Runs `work` in threads, each with random numbers of its own.
pub fn in_threads(threads: usize, seed: u64, work: impl Fn(&mut Random, &mut Tally) + Sync) -> Tally {
    let mut all = Tally::default();
    std::thread::scope(|scope| {
        let work = &work;
        let running: Vec<_> = (0..threads as u64)
            .map(|thread| {
                scope.spawn(move || {
                    let seed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(thread + 1);
                    let mut tally = Tally::default();
                    work(&mut Random::new(seed), &mut tally);
                    tally
                })
            })
            .collect();
        for thread in running {
            match thread.join() {
                Ok(tally) => all.add(tally),
                Err(_) => {
                    let text = "a thread panicked".to_owned();
                    all.findings.push(Finding::new(Anomaly::UnexpectedError, text));
                }
            }
        }
    });
    all
}
