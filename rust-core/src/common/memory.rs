//! The memory account: everything that grows asks it first. Exceeding the limit is 53200, never an abort.

use crate::common::sync::{Arc, Mutex, Weak, yield_now};
use crate::error::{Error, Result, SqlState};
use crossbeam::utils::CachePadded;
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Someone who can give memory back when asked (buffer pool, version store).
pub trait Reclaim: Send + Sync {
    /// Tries to free `bytes`; returns how many were freed. Must not reserve.
    fn reclaim(&self, bytes: usize) -> usize;
}

/// How often a reservation asks for memory back before it fails: what was given back to one thread may be taken by
/// another that asks in the same moment.
const CHARGE_ROUNDS_MAX: usize = 64;
/// At least so much is asked for back at a time, so that a reservation that grows in small steps does not ask each time.
const RECLAIM_BYTES_MIN: usize = 64 << 10;
/// This share of the limit, up to so many bytes, is kept free while caches can give way: what is too small to be charged,
/// and what the allocator cannot use again at once, has its place there.
const KEPT_FREE_SHARE: usize = 16;
const KEPT_FREE_BYTES_MAX: usize = 16 << 20;
/// Reservations that give back less do not count as large.
const LARGE_RETURN_BYTES: usize = 32 << 10;
/// Together with this share of the limit.
const RECLAIM_SHARE_MAX: usize = 64;

thread_local! {
    /// Reservations of this thread until one is refused; 0: none is.
    static REFUSED_IN: Cell<u64> = const { Cell::new(0) };
}

/// For tests: the `number`-th reservation from now on that this thread makes, with any account, is refused, and no
/// other; 0: none. Says which one would have been the next to be refused: 0 when it was.
pub fn refuse_reservation(number: u64) -> u64 {
    REFUSED_IN.replace(number)
}

fn kept_free(limit: usize) -> usize {
    (limit / KEPT_FREE_SHARE).min(KEPT_FREE_BYTES_MAX)
}

fn is_refused() -> bool {
    REFUSED_IN.with(|left| {
        let count = left.get();
        if count == 0 {
            return false;
        }
        left.set(count - 1);
        count == 1
    })
}

/// Bytes in use under one limit (`memory_limit`). Shared by all threads of a database.
pub struct MemoryAccount {
    limit: AtomicUsize,
    used: CachePadded<AtomicUsize>,
    /// Bytes that reservations are waiting for: caches do not grow into them.
    wanted: AtomicUsize,
    /// Above so many bytes in use a reservation asks for memory back before it takes what is kept free. Where nobody
    /// had anything to give it lies a step higher than what is in use, so that not every reservation asks in vain.
    asks_above: AtomicUsize,
    /// Bytes that large reservations gave back since [`MemoryAccount::take_returned`] was true.
    returned: AtomicUsize,
    reclaimers: Mutex<Vec<Weak<dyn Reclaim>>>,
}

impl std::fmt::Debug for MemoryAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryAccount").field("limit", &self.limit()).field("used", &self.used()).finish()
    }
}

impl MemoryAccount {
    /// An empty account with `limit` bytes.
    pub fn new(limit: usize) -> Arc<MemoryAccount> {
        Arc::new(MemoryAccount {
            limit: AtomicUsize::new(limit),
            used: CachePadded::new(AtomicUsize::new(0)),
            wanted: AtomicUsize::new(0),
            asks_above: AtomicUsize::new(limit - kept_free(limit)),
            returned: AtomicUsize::new(0),
            reclaimers: Mutex::new(Vec::new()),
        })
    }

    /// Bytes allowed.
    pub fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// Bytes reserved now.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Registers someone to ask before a reservation fails.
    pub fn register(&self, reclaimer: Weak<dyn Reclaim>) {
        let mut reclaimers = self.reclaimers.lock();
        reclaimers.retain(|known| known.strong_count() > 0);
        reclaimers.push(reclaimer);
    }

    /// Adds `bytes` to the account.
    /// # Errors
    /// `53200` when the limit would be passed even after reclaiming.
    pub fn charge(&self, bytes: usize) -> Result<()> {
        if !is_refused() {
            if self.try_charge_below(bytes, self.asks_above.load(Ordering::Relaxed))
                || self.charge_kept_free(bytes)
            {
                return Ok(());
            }
            self.wanted.fetch_add(bytes, Ordering::Relaxed);
            let is_charged = self.charge_reclaimed(bytes);
            self.wanted.fetch_sub(bytes, Ordering::Relaxed);
            if is_charged {
                return Ok(());
            }
        }
        Err(Error::new(SqlState::OUT_OF_MEMORY, format!("memory limit of {} bytes reached", self.limit()))
            .detail(format!("{} bytes are in use, {bytes} more were asked for.", self.used()))
            .hint("Raise memory_limit, or let the statement touch less data."))
    }

    /// Takes from what is kept free, after caches were asked to give as much back.
    fn charge_kept_free(&self, bytes: usize) -> bool {
        let asked = bytes.max(self.step());
        let freed: usize = self.reclaimers().iter().map(|reclaimer| reclaimer.reclaim(asked)).sum();
        let kept_free_from = self.limit() - kept_free(self.limit());
        let level = if freed > 0 { kept_free_from } else { kept_free_from.max(self.used()) + self.step() };
        self.asks_above.store(level.min(self.limit()), Ordering::Relaxed);
        self.try_charge(bytes)
    }

    fn reclaimers(&self) -> Vec<Arc<dyn Reclaim>> {
        self.reclaimers.lock().iter().filter_map(Weak::upgrade).collect()
    }

    /// So much is asked for back at a time at least.
    fn step(&self) -> usize {
        RECLAIM_BYTES_MIN.min(self.limit() / RECLAIM_SHARE_MAX)
    }

    fn charge_reclaimed(&self, bytes: usize) -> bool {
        let reclaimers = self.reclaimers();
        let asked = bytes.max(self.step());
        for round in 0..CHARGE_ROUNDS_MAX {
            let mut freed = 0;
            for reclaimer in &reclaimers {
                freed += reclaimer.reclaim(asked);
                if self.try_charge(bytes) {
                    return true;
                }
            }
            // Nothing to be had, and nobody else is giving anything back right now either.
            if freed == 0 && round > 2 {
                return false;
            }
            yield_now();
        }
        false
    }

    /// As [`MemoryAccount::try_charge`], for caches: what reservations are waiting for counts as used, and beside what is
    /// kept free they leave half as much, so that small reservations find room without asking for any.
    pub fn try_charge_spare(&self, bytes: usize) -> bool {
        let limit = self.limit();
        let left = kept_free(limit) + kept_free(limit) / 2;
        let limit = limit.saturating_sub(self.wanted.load(Ordering::Relaxed) + left);
        self.try_charge_below(bytes, limit)
    }

    /// Adds `bytes` if they fit without asking anyone to give memory back.
    pub fn try_charge(&self, bytes: usize) -> bool {
        self.try_charge_below(bytes, self.limit())
    }

    fn try_charge_below(&self, bytes: usize, limit: usize) -> bool {
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|sum| *sum <= limit)
            })
            .is_ok()
    }

    /// Takes `bytes` off the account.
    pub fn release(&self, bytes: usize) {
        let before = self.used.fetch_sub(bytes, Ordering::Relaxed);
        assert!(before >= bytes, "the memory account released more than was charged");
    }

    /// Whether large reservations gave back at least `bytes` since this was true last: the allocator may be keeping
    /// memory that others are about to use again in another form.
    pub fn take_returned(&self, bytes: usize) -> bool {
        self.returned.load(Ordering::Relaxed) >= bytes && self.returned.swap(0, Ordering::Relaxed) >= bytes
    }

    fn release_reserved(&self, bytes: usize) {
        if bytes >= LARGE_RETURN_BYTES {
            self.returned.fetch_add(bytes, Ordering::Relaxed);
            self.asks_above.store(self.limit() - kept_free(self.limit()), Ordering::Relaxed);
        }
        self.release(bytes);
    }

    /// An empty reservation that can grow and gives everything back when dropped.
    pub fn reservation(self: &Arc<Self>) -> Reservation {
        Reservation { account: Arc::clone(self), bytes: 0 }
    }
}

/// Bytes charged to an account; released on drop.
#[derive(Debug)]
pub struct Reservation {
    account: Arc<MemoryAccount>,
    bytes: usize,
}

impl Reservation {
    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Charges `bytes` more.
    /// # Errors
    /// `53200`.
    pub fn grow(&mut self, bytes: usize) -> Result<()> {
        self.account.charge(bytes)?;
        self.bytes += bytes;
        Ok(())
    }

    /// Makes the reservation exactly `bytes`.
    /// # Errors
    /// `53200` when it has to grow and cannot.
    pub fn resize(&mut self, bytes: usize) -> Result<()> {
        if bytes > self.bytes {
            self.grow(bytes - self.bytes)
        } else {
            self.account.release_reserved(self.bytes - bytes);
            self.bytes = bytes;
            Ok(())
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.account.release_reserved(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Hoard(Arc<MemoryAccount>, AtomicUsize);
    impl Reclaim for Hoard {
        fn reclaim(&self, _bytes: usize) -> usize {
            let held = self.1.swap(0, Ordering::Relaxed);
            self.0.release(held);
            held
        }
    }

    #[test]
    fn a_reservation_beyond_the_limit_is_53200_and_changes_nothing() {
        let account = MemoryAccount::new(100);
        let mut reservation = account.reservation();
        reservation.grow(60).unwrap();
        assert_eq!(reservation.grow(41).unwrap_err().state(), SqlState::OUT_OF_MEMORY);
        assert_eq!(account.used(), 60);
        drop(reservation);
        assert_eq!(account.used(), 0);
    }

    #[test]
    fn reclaimers_are_asked_before_a_reservation_fails() {
        let account = MemoryAccount::new(100);
        account.charge(80).unwrap();
        let hoard: Arc<dyn Reclaim> = Arc::new(Hoard(Arc::clone(&account), AtomicUsize::new(80)));
        account.register(Arc::downgrade(&hoard));
        account.charge(90).unwrap();
        assert_eq!(account.used(), 90);
    }

    #[test]
    fn a_share_stays_free_while_caches_can_give_way() {
        let account = MemoryAccount::new(1600);
        assert!(account.try_charge_spare(1450));
        assert!(!account.try_charge_spare(1));
        let cache: Arc<dyn Reclaim> = Arc::new(Hoard(Arc::clone(&account), AtomicUsize::new(1450)));
        account.register(Arc::downgrade(&cache));
        account.charge(50).unwrap();
        assert_eq!(account.used(), 1500, "what caches leave is there without asking");
        account.charge(100).unwrap();
        assert_eq!(account.used(), 150, "what is kept free is not");
        account.charge(1450).unwrap();
        assert_eq!(account.used(), 1600, "it is there in the end");
        assert_eq!(account.charge(1).unwrap_err().state(), SqlState::OUT_OF_MEMORY);
    }

    #[test]
    fn a_test_may_have_one_reservation_of_its_thread_refused() {
        let account = MemoryAccount::new(100);
        refuse_reservation(2);
        account.charge(1).unwrap();
        std::thread::scope(|scope| scope.spawn(|| account.charge(1).unwrap()).join().unwrap());
        assert_eq!(account.charge(1).unwrap_err().state(), SqlState::OUT_OF_MEMORY);
        account.charge(1).unwrap();
        assert_eq!((account.used(), refuse_reservation(0)), (3, 0));
    }
}
