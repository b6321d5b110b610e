//! Group commit: one waiter leads, gathers others, and syncs once for all of them.
//!
//! A plain "first waiter leads" lets every other client miss the sync under way. So the leader waits until
//! as many commits are pending as took part in the last round, at most half a measured sync time; alone it
//! does not wait (storage design, "Commit", step 5).

use crate::common::clock::Clock;
use crate::common::ids::Lsn;
use crate::common::planted::{PlantedFault, is_planted};
use crate::common::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::common::sync::{Arc, Condvar, Mutex, yield_now};
use crate::durability::policy::Durability;
use crate::error::Result;
use crate::wal::manager::Log;

/// The longest a leader gathers, whatever a sync was measured to take.
const GATHER_NANOS_MAX: u64 = 2_000_000;

/// Makes commits durable. Threads: any.
pub struct DurabilityManager {
    log: Arc<Log>,
    clock: Arc<dyn Clock>,
    round: Mutex<Round>,
    finished: Condvar,
    /// Threads inside `wait` that no finished sync has covered yet.
    pending: AtomicU32,
    /// Moving average of a sync's nanoseconds.
    sync_nanos: AtomicU64,
}

#[derive(Debug, Default)]
struct Round {
    leading: bool,
    /// Commits that the last sync covered.
    last_size: u32,
}

impl std::fmt::Debug for DurabilityManager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DurabilityManager").field("pending", &self.pending.load(Ordering::Relaxed)).finish()
    }
}

impl DurabilityManager {
    /// For one log.
    pub fn new(log: Arc<Log>, clock: Arc<dyn Clock>) -> DurabilityManager {
        DurabilityManager {
            log,
            clock,
            round: Mutex::new(Round::default()),
            finished: Condvar::new(),
            pending: AtomicU32::new(0),
            sync_nanos: AtomicU64::new(0),
        }
    }

    /// Returns when everything before `lsn` is as durable as asked.
    /// # Errors
    /// I/O errors; the log is poisoned then, and whether the commit survives is known only after reopening.
    pub fn wait(&self, lsn: Lsn, durability: Durability) -> Result<()> {
        match durability {
            Durability::Off => Ok(()),
            Durability::Normal => self.log.write_to(lsn),
            Durability::Full => self.wait_synced(lsn),
        }
    }

    fn wait_synced(&self, lsn: Lsn) -> Result<()> {
        self.pending.fetch_add(1, Ordering::AcqRel);
        let result = self.lead_or_follow(lsn);
        self.pending.fetch_sub(1, Ordering::AcqRel);
        result
    }

    fn lead_or_follow(&self, lsn: Lsn) -> Result<()> {
        let mut round = self.round.lock();
        while self.log.durable() < lsn {
            if round.leading {
                // After a failed round the next in line leads, and gets the error from the poisoned log.
                self.finished.wait(&mut round);
                if is_planted(PlantedFault::SyncNotAwaited) {
                    return Ok(());
                }
                continue;
            }
            round.leading = true;
            let expected = round.last_size;
            drop(round);
            let result = self.lead(expected);
            round = self.round.lock();
            round.leading = false;
            if let Ok(size) = result {
                round.last_size = size;
            }
            self.finished.notify_all();
            result?;
        }
        Ok(())
    }

    /// One round; returns how many commits it covered.
    fn lead(&self, expected: u32) -> Result<u32> {
        let start = self.clock.monotonic_nanos();
        if expected > 1 {
            let limit = (self.sync_nanos.load(Ordering::Relaxed) / 2).min(GATHER_NANOS_MAX);
            while self.pending.load(Ordering::Acquire) < expected
                && self.clock.monotonic_nanos() - start < limit
            {
                yield_now();
            }
        }
        let size = self.pending.load(Ordering::Acquire);
        let before = self.clock.monotonic_nanos();
        self.log.sync_to(self.log.tail())?;
        let took = self.clock.monotonic_nanos() - before;
        let average = self.sync_nanos.load(Ordering::Relaxed);
        self.sync_nanos.store(if average == 0 { took } else { (average * 7 + took) / 8 }, Ordering::Relaxed);
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::clock::SystemClock;
    use crate::common::ids::{TransactionId, TreeId};
    use crate::io::memory::MemoryVfs;
    use crate::io::vfs::Vfs;
    use crate::wal::entry::{Operation, OperationBuffer};
    use crate::wal::frame::FrameKind;
    use crate::wal::manager::LogOptions;
    use std::path::PathBuf;

    fn log() -> Arc<Log> {
        let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::new());
        let options = LogOptions {
            vfs,
            folder: PathBuf::from("/db-wal"),
            database: [1; 16],
            timeline: 1,
            first_segment_bytes: 64 << 10,
            segment_bytes_max: 1 << 20,
            volatile: false,
            salt_seed: 7,
        };
        Arc::new(Log::create(options, Lsn::ZERO).unwrap())
    }

    #[test]
    fn every_commit_of_many_threads_is_durable_when_wait_returns() {
        let log = log();
        let manager = Arc::new(DurabilityManager::new(Arc::clone(&log), Arc::new(SystemClock::new())));
        let threads: Vec<_> = (0..8u64)
            .map(|thread| {
                let (log, manager) = (Arc::clone(&log), Arc::clone(&manager));
                std::thread::spawn(move || {
                    let mut buffer = OperationBuffer::new();
                    buffer.push(&Operation::Put {
                        tree: TreeId(16),
                        key: b"k",
                        value: &thread.to_be_bytes(),
                    });
                    for _ in 0..200 {
                        let end = log
                            .append(FrameKind::Transaction, TransactionId(thread + 1), &buffer)
                            .unwrap()
                            .end;
                        manager.wait(end, Durability::Full).unwrap();
                        assert!(log.durable() >= end);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(log.durable(), log.tail());
    }

    #[test]
    fn normal_hands_to_the_system_and_off_does_nothing() {
        let log = log();
        let manager = DurabilityManager::new(Arc::clone(&log), Arc::new(SystemClock::new()));
        let end = log.append(FrameKind::Transaction, TransactionId(1), &OperationBuffer::new()).unwrap().end;
        manager.wait(end, Durability::Off).unwrap();
        assert!(log.written() < end);
        manager.wait(end, Durability::Normal).unwrap();
        assert_eq!(log.written(), end);
        assert!(log.durable() < end);
    }
}
