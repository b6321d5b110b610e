//! Clients that repeat transactions for a while, and what that came to. Knows no SQL.

use crate::measure::Histogram;
use crate::random::{Checksum, Random};
use crate::side::{Class, Connection, Database, Failure};
use std::sync::{Barrier, OnceLock};
use std::time::{Duration, Instant};

/// What clients do again and again.
pub trait Workload: Sync {
    /// What a client keeps: its statements, its place.
    type State: Send;

    fn client<C: Connection>(&self, connection: &mut C, number: usize) -> Self::State;

    /// One transaction; a retryable failure is rolled back and run again with the same random numbers.
    fn transaction<C: Connection>(
        &self,
        connection: &mut C,
        state: &mut Self::State,
        random: &mut Random,
        checksum: &mut Checksum,
    ) -> Result<(), Failure>;
}

/// One side's timed runs.
#[derive(Default)]
pub struct Tally {
    /// Transactions a second of each run; one that ended after its time is not in the rate, but in everything else.
    rates: Vec<f64>,
    latency: Option<Histogram>,
    pub transactions: u64,
    /// Failures after which a transaction was run again.
    pub aborts: u64,
    log_bytes: u64,
    syncs_and_commits: Option<(i64, i64)>,
}

impl Tally {
    pub fn median(&self) -> f64 {
        let mut rates = self.rates.clone();
        rates.sort_by(f64::total_cmp);
        rates.get(rates.len() / 2).copied().unwrap_or(0.0)
    }

    /// Microseconds that `part` of all transactions did not exceed, their repetitions included.
    pub fn micros(&self, part: f64) -> f64 {
        self.latency.as_ref().map_or(0.0, |latency| latency.percentile(part) as f64 / 1e3)
    }

    pub fn log_bytes_each(&self) -> f64 {
        self.log_bytes as f64 / self.transactions.max(1) as f64
    }

    pub fn syncs_each(&self) -> Option<f64> {
        let (syncs, commits) = self.syncs_and_commits.filter(|(_, commits)| *commits > 0)?;
        Some(syncs as f64 / commits as f64)
    }
}

struct Client<C, S> {
    connection: C,
    state: S,
    random: Random,
}

/// Clients of one side, each with a connection that it keeps from run to run.
pub struct Crew<C, S>(Vec<Client<C, S>>);

impl<C: Connection, S: Send> Crew<C, S> {
    pub fn new<D: Database<Connection = C>>(
        database: &D,
        class: Class,
        clients: usize,
        workload: &impl Workload<State = S>,
    ) -> Crew<C, S> {
        let client = |number| {
            let mut connection = database.connect(class);
            let state = workload.client(&mut connection, number);
            let seed = (number as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
            Client { connection, state, random: Random::new(seed) }
        };
        Crew((0..clients).map(client).collect())
    }

    /// All of them at once, for as long as said; what they did is added to `tally`.
    pub fn run<D: Database<Connection = C>>(
        &mut self,
        database: &D,
        workload: &impl Workload<State = S>,
        length: Duration,
        tally: Option<&mut Tally>,
    ) {
        let barrier = Barrier::new(self.0.len() + 1);
        // When the first of them began.
        let begin = OnceLock::new();
        let mut before = (0, None);
        let results: Vec<_> = std::thread::scope(|scope| {
            let handles: Vec<_> = self
                .0
                .iter_mut()
                .map(|client| {
                    let (barrier, begin) = (&barrier, &begin);
                    scope.spawn(move || {
                        barrier.wait();
                        client.repeat(workload, *begin.get_or_init(Instant::now), length)
                    })
                })
                .collect();
            before = (database.log_bytes(), database.syncs_and_commits());
            barrier.wait();
            handles.into_iter().map(|handle| handle.join().expect("a client ended well")).collect()
        });
        let Some(tally) = tally else { return };
        tally.log_bytes += database.log_bytes() - before.0;
        if let (Some(before), Some(after)) = (before.1, database.syncs_and_commits()) {
            let sum = tally.syncs_and_commits.get_or_insert_default();
            *sum = (sum.0 + after.0 - before.0, sum.1 + after.1 - before.1);
        }
        let in_time: u64 = results.iter().map(|(in_time, ..)| in_time).sum();
        tally.rates.push(in_time as f64 / length.as_secs_f64());
        for (_, latency, transactions, aborts) in results {
            tally.latency.get_or_insert_with(Histogram::new).add(&latency);
            tally.transactions += transactions;
            tally.aborts += aborts;
        }
    }
}

impl<C: Connection, S> Client<C, S> {
    /// Transactions in time, latencies, transactions, aborts.
    fn repeat(
        &mut self,
        workload: &impl Workload<State = S>,
        began: Instant,
        length: Duration,
    ) -> (u64, Histogram, u64, u64) {
        let (mut checksum, mut latency) = (Checksum::default(), Histogram::new());
        let (mut transactions, mut aborts) = (0, 0);
        let mut last = Instant::now();
        let in_time = loop {
            aborts += self.complete(workload, &mut checksum);
            transactions += 1;
            let now = Instant::now();
            latency.record((now - last).as_nanos() as u64);
            last = now;
            if now - began >= length {
                break transactions - 1;
            }
        };
        std::hint::black_box(checksum.sum);
        (in_time, latency, transactions, aborts)
    }

    /// One transaction, as often as it takes; gives how often it failed.
    fn complete(&mut self, workload: &impl Workload<State = S>, checksum: &mut Checksum) -> u64 {
        let random = self.random.clone();
        let mut aborts = 0;
        loop {
            let (connection, state) = (&mut self.connection, &mut self.state);
            match workload.transaction(connection, state, &mut self.random, checksum) {
                Ok(()) => return aborts,
                Err(failure) => {
                    assert!(failure.is_retryable, "{}", failure.message);
                    connection.roll_back();
                    self.random = random.clone();
                    aborts += 1;
                }
            }
        }
    }
}

/// What `count` transactions of one client read; the same seed on every side.
pub fn answers<D: Database, W: Workload>(database: &D, workload: &W, count: usize) -> Checksum {
    let mut connection = database.connect(Class::Full);
    let mut state = workload.client(&mut connection, 0);
    let mut random = Random::new(88_172_645_463_325_252);
    let mut checksum = Checksum::default();
    for _ in 0..count {
        let result = workload.transaction(&mut connection, &mut state, &mut random, &mut checksum);
        if let Err(failure) = result {
            panic!("a read: {}", failure.message);
        }
    }
    checksum
}
