//! The handle table: what a C handle means.
//!
//! A handle is a number dressed as a pointer: generation, slot, kind. It is never followed. A slot's word
//! holds the generation and who uses it; a closed, foreign or null handle differs in generation or kind and
//! is misuse, not undefined behaviour. Slots are made in chunks and never freed, so a stale handle always
//! finds a slot to be compared with. Looking one up costs two atomic operations.

use crate::common::cancel::CancelToken;
use crate::database;
use crate::ffi::backup::BackupHandle;
use crate::ffi::config::Config;
use crate::ffi::connection::Connection;
use crate::ffi::database::DatabaseHandle;
use crate::ffi::error::ErrorObject;
use crate::ffi::result::ResultObject;
use crate::ffi::seed::ParsedStatements;
use crate::ffi::statement::Statement;
use crate::io::event_count::event_count;
use crate::io::system;
use parking_lot::{Mutex, MutexGuard};
use std::cell::{RefCell, UnsafeCell};
use std::ops::{Deref, DerefMut};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

const CHUNK_SLOTS: usize = 256;
const CHUNKS_MAX: usize = 4096;

const LIVE: u64 = 1;
const IN_USE: u64 = 2;
const DOOMED: u64 = 4;
const GENERATION_SHIFT: u32 = 32;
/// Set in every generation: a handle is then no address that any process has, so a garbage collector that
/// meets one in a pointer's place finds it in no heap.
const NO_ADDRESS: u64 = 1 << 31;

/// How a handle was misused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Misuse {
    /// The handle is null.
    Null,
    /// The handle was closed, or never was one, or is of another kind.
    Closed,
    /// Another thread is using it.
    InUse,
    /// It is the parent's: the process forked since it was made.
    Forked,
}

impl Misuse {
    /// The message for the error object.
    pub fn message(self) -> &'static str {
        match self {
            Misuse::Null => "misuse: the handle is null",
            Misuse::Closed => "misuse: the handle is closed or of another kind",
            Misuse::InUse => "misuse: the handle is in use by another thread",
            Misuse::Forked => "misuse: the handle was made before this process was forked",
        }
    }
}

/// What handles stand for.
#[derive(Debug)]
pub enum Object {
    /// `lumos_config`.
    Config(Config),
    /// `lumos_db`.
    Database(DatabaseHandle),
    /// `lumos_conn`.
    Connection(Connection),
    /// `lumos_stmt`.
    Statement(Box<Statement>),
    /// `lumos_result`.
    Result(Box<ResultObject>),
    /// `lumos_error`.
    Error(Box<ErrorObject>),
    /// `lumos_ast`.
    Ast(ParsedStatements),
    /// `lumos_backup`.
    Backup(Box<BackupHandle>),
}

/// A type that handles can stand for.
pub trait HandleObject: Sized {
    /// Distinguishes handles of different types.
    const KIND: u64;
    /// Into the table.
    fn into_object(self) -> Object;
    /// Out of the table; the kind was checked.
    fn from_object(object: &mut Object) -> Option<&mut Self>;
}

macro_rules! handle_objects {
    ($($kind:literal $variant:ident $type:ty, $wrap:expr;)*) => {
        $(impl HandleObject for $type {
            const KIND: u64 = $kind;
            fn into_object(self) -> Object {
                Object::$variant($wrap(self))
            }
            fn from_object(object: &mut Object) -> Option<&mut Self> {
                if let Object::$variant(inner) = object { Some(inner) } else { None }
            }
        })*
    };
}

handle_objects! {
    1 Config Config, std::convert::identity;
    2 Database DatabaseHandle, std::convert::identity;
    3 Connection Connection, std::convert::identity;
    4 Statement Statement, Box::new;
    5 Result ResultObject, Box::new;
    6 Error ErrorObject, Box::new;
    7 Ast ParsedStatements, std::convert::identity;
    8 Backup BackupHandle, Box::new;
}

/// Handles of different threads lie side by side: each has cache lines of its own.
#[repr(align(128))]
struct Slot {
    /// [`system::forks`] when the object came in: a child does not touch what its parent made.
    forks: AtomicU64,
    /// generation << 32 | flags
    word: AtomicU64,
    object: UnsafeCell<Option<Object>>,
    /// Stays with the slot for ever, so that cancelling needs no lock and may come from a signal handler.
    cancel: OnceLock<CancelToken>,
}

// SAFETY: `object` is reached only by the thread that set IN_USE in `word` (or, before LIVE is set, by the
// one that took the slot from the free list), and what it holds is Send: `assert_send` below.
unsafe impl Sync for Slot {}

const fn assert_send<T: Send>() {}
const _: () = assert_send::<Object>();

struct Table {
    chunks: [OnceLock<Box<[Slot; CHUNK_SLOTS]>>; CHUNKS_MAX],
    free: Mutex<FreeSlots>,
}

#[derive(Default)]
struct FreeSlots {
    slots: Vec<usize>,
    made: usize,
}

static TABLE: Table = Table {
    chunks: [const { OnceLock::new() }; CHUNKS_MAX],
    free: Mutex::new(FreeSlots { slots: Vec::new(), made: 0 }),
};

thread_local! {
    static HELD: RefCell<Option<MutexGuard<'static, FreeSlots>>> = const { RefCell::new(None) };
}

/// No other thread holds a lock that the child needs.
extern "C" fn before_fork() {
    database::before_fork();
    HELD.with(|held| *held.borrow_mut() = Some(TABLE.free.lock()));
}

extern "C" fn after_fork() {
    HELD.with(|held| held.borrow_mut().take());
    database::after_fork();
}

impl Table {
    fn slot(&self, index: usize) -> Option<&Slot> {
        self.chunks.get(index / CHUNK_SLOTS)?.get().map(|chunk| &chunk[index % CHUNK_SLOTS])
    }

    fn take_free(&self) -> Option<usize> {
        let mut free = self.free.lock();
        if let Some(index) = free.slots.pop() {
            return Some(index);
        }
        let index = free.made;
        self.chunks.get(index / CHUNK_SLOTS)?.get_or_init(|| {
            Box::new(std::array::from_fn(|_| Slot {
                forks: AtomicU64::new(0),
                word: AtomicU64::new((NO_ADDRESS | 1) << GENERATION_SHIFT),
                object: UnsafeCell::new(None),
                cancel: OnceLock::new(),
            }))
        });
        free.made += 1;
        Some(index)
    }
}

/// Handle = generation (32 bits), slot (28 bits), kind (4 bits). Never null: generations have their high bit set.
fn encode<T: HandleObject>(generation: u64, index: usize) -> u64 {
    generation << GENERATION_SHIFT | (index as u64) << 4 | T::KIND
}

/// Puts an object into the table; its handle, or `None` when a million handles are open.
pub fn insert<T: HandleObject, O>(object: T) -> Option<*mut O> {
    insert_with(|_| object)
}

/// As [`insert`], for an object that wants to know its slot's cancel words.
pub fn insert_with<T: HandleObject, O>(make: impl FnOnce(&CancelToken) -> T) -> Option<*mut O> {
    system::around_forks(before_fork, after_fork);
    let index = TABLE.take_free()?;
    let slot = TABLE.slot(index)?;
    let object = make(slot.cancel.get_or_init(|| CancelToken::new(event_count()))).into_object();
    // SAFETY: the slot came from the free list and is not LIVE: no one else looks at its object.
    unsafe { *slot.object.get() = Some(object) };
    slot.forks.store(system::forks(), Ordering::Relaxed);
    let generation = slot.word.load(Ordering::Relaxed) >> GENERATION_SHIFT;
    slot.word.store(generation << GENERATION_SHIFT | LIVE, Ordering::Release);
    Some(encode::<T>(generation, index) as usize as *mut O)
}

/// Exclusive use of a handle's object until dropped.
pub struct Lease<T: HandleObject + 'static> {
    slot: &'static Slot,
    index: usize,
    object: *mut T,
}

fn find<T: HandleObject, O>(handle: *const O) -> Result<(&'static Slot, usize, u64), Misuse> {
    let number = handle as usize as u64;
    if number == 0 {
        return Err(Misuse::Null);
    }
    let index = (number >> 4 & 0x0FFF_FFFF) as usize;
    let slot = TABLE.slot(index).ok_or(Misuse::Closed)?;
    if number & 0xF != T::KIND {
        return Err(Misuse::Closed);
    }
    if slot.forks.load(Ordering::Relaxed) != system::forks() {
        return Err(Misuse::Forked);
    }
    Ok((slot, index, number >> GENERATION_SHIFT))
}

/// Takes a handle for exclusive use.
/// # Errors
/// What is wrong with the handle.
pub fn lease<T: HandleObject, O>(handle: *const O) -> Result<Lease<T>, Misuse> {
    let (slot, index, generation) = find::<T, O>(handle)?;
    let idle = generation << GENERATION_SHIFT | LIVE;
    if let Err(word) = slot.word.compare_exchange(idle, idle | IN_USE, Ordering::Acquire, Ordering::Relaxed) {
        let same = word >> GENERATION_SHIFT == generation && word & LIVE != 0 && word & DOOMED == 0;
        return Err(if same { Misuse::InUse } else { Misuse::Closed });
    }
    // SAFETY: IN_USE is ours since the exchange above, so nobody else reaches the object until the lease ends.
    let object = unsafe { &mut *slot.object.get() };
    match object.as_mut().and_then(T::from_object) {
        Some(object) => Ok(Lease { slot, index, object }),
        None => {
            release(slot, index);
            Err(Misuse::Closed)
        }
    }
}

/// As [`lease`], for handles that any thread may use: waits while another thread is inside (they are never
/// held for longer than a few instructions).
/// # Errors
/// The handle is null or closed.
pub fn lease_shared<T: HandleObject, O>(handle: *const O) -> Result<Lease<T>, Misuse> {
    loop {
        match lease(handle) {
            Err(Misuse::InUse) => std::thread::yield_now(),
            other => return other,
        }
    }
}

fn release(slot: &'static Slot, index: usize) {
    let before = slot.word.fetch_and(!IN_USE, Ordering::AcqRel);
    if before & DOOMED != 0 {
        // Closed while in use: whoever clears DOOMED's LIVE ends the object.
        retire(slot, index, before & !IN_USE);
    }
}

/// Ends the object of a slot that is DOOMED and no longer in use.
fn retire(slot: &'static Slot, index: usize, word: u64) {
    // Only one thread wins the step from LIVE to not LIVE.
    let Ok(_) = slot.word.compare_exchange(word, word & !LIVE | IN_USE, Ordering::AcqRel, Ordering::Relaxed)
    else {
        return;
    };
    // SAFETY: the exchange above made this thread the only one that may touch the object.
    let object = unsafe { (*slot.object.get()).take() };
    let generation = (word >> GENERATION_SHIFT).wrapping_add(1) & 0xFFFF_FFFF;
    slot.word.store((generation | NO_ADDRESS) << GENERATION_SHIFT, Ordering::Release);
    TABLE.free.lock().slots.push(index);
    // Dropped last: it may close other handles.
    drop(object);
}

/// Closes a handle. One that is in use is ended when its user is done. Null, closed and foreign ones do nothing.
pub fn close<T: HandleObject, O>(handle: *const O) {
    let Ok((slot, index, generation)) = find::<T, O>(handle) else { return };
    let mut word = slot.word.load(Ordering::Acquire);
    loop {
        if word >> GENERATION_SHIFT != generation || word & LIVE == 0 || word & DOOMED != 0 {
            return;
        }
        match slot.word.compare_exchange(word, word | DOOMED, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) if word & IN_USE != 0 => return,
            Ok(_) => return retire(slot, index, word | DOOMED),
            Err(now) => word = now,
        }
    }
}

/// The cancel words of a handle, without taking it. Lock-free.
pub fn cancel_token<T: HandleObject, O>(handle: *const O) -> Result<&'static CancelToken, Misuse> {
    let (slot, _, generation) = find::<T, O>(handle)?;
    let word = slot.word.load(Ordering::Acquire);
    if word >> GENERATION_SHIFT != generation || word & LIVE == 0 {
        return Err(Misuse::Closed);
    }
    slot.cancel.get().ok_or(Misuse::Closed)
}

/// Handles open now, for leak tests.
pub fn open_count() -> usize {
    let free = TABLE.free.lock();
    free.made - free.slots.len()
}

impl<T: HandleObject> Deref for Lease<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the lease holds IN_USE, so the object is there and nobody else reaches it.
        unsafe { &*self.object }
    }
}

impl<T: HandleObject> DerefMut for Lease<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above; the lease is borrowed mutably, so this is the only reference.
        unsafe { &mut *self.object }
    }
}

impl<T: HandleObject + 'static> Drop for Lease<T> {
    fn drop(&mut self) {
        release(self.slot, self.index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::abi::{lumos_config, lumos_error};

    fn config() -> *mut lumos_config {
        insert(Config::default()).unwrap()
    }

    #[test]
    fn a_closed_handle_is_misuse_also_after_its_slot_is_used_again() {
        let first = config();
        close::<Config, _>(first);
        assert_eq!(lease::<Config, _>(first).err(), Some(Misuse::Closed));
        let handles: Vec<_> = (0..600).map(|_| config()).collect();
        assert_eq!(lease::<Config, _>(first).err(), Some(Misuse::Closed));
        handles.into_iter().for_each(|handle| close::<Config, _>(handle));
    }

    #[test]
    fn null_foreign_and_made_up_handles_are_misuse() {
        assert_eq!(lease::<Config, lumos_config>(std::ptr::null()).err(), Some(Misuse::Null));
        let handle = config();
        assert_eq!(lease::<ErrorObject, _>(handle as *const lumos_error).err(), Some(Misuse::Closed));
        // Never another slot that exists: tests beside this one have handles of the same generation there.
        let no_such_slot = (handle as usize) & !0xFFFF_FFF0 | (CHUNKS_MAX * CHUNK_SLOTS) << 4;
        for number in [1usize, 4096, usize::MAX, no_such_slot, (handle as usize) ^ (1 << 40)] {
            assert!(lease::<Config, _>(number as *const lumos_config).is_err(), "{number:x}");
        }
        close::<Config, _>(handle);
    }

    #[test]
    fn a_second_user_is_refused_and_a_close_in_use_is_carried_out_afterwards() {
        let handle = config();
        let used = lease::<Config, _>(handle).unwrap();
        assert_eq!(lease::<Config, _>(handle).err(), Some(Misuse::InUse));
        close::<Config, _>(handle);
        assert_eq!(lease::<Config, _>(handle).err(), Some(Misuse::Closed));
        drop(used);
        assert_eq!(lease::<Config, _>(handle).err(), Some(Misuse::Closed));
    }

    #[test]
    fn threads_that_open_use_and_close_at_random_never_meet_a_foreign_object() {
        let shared = std::sync::Arc::new(Mutex::new(vec![config() as usize; 1]));
        let threads: Vec<_> = (1..5u64)
            .map(|seed| {
                let shared = std::sync::Arc::clone(&shared);
                std::thread::spawn(move || {
                    let mut random = crate::common::random::Random::new(seed);
                    for _ in 0..3000 {
                        let pick = {
                            let known = shared.lock();
                            known[random.below(known.len() as u64) as usize]
                        } as *mut lumos_config;
                        match random.below(3) {
                            0 => shared.lock().push(config() as usize),
                            1 => close::<Config, _>(pick),
                            _ => drop(lease::<Config, _>(pick)),
                        }
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        for handle in shared.lock().iter() {
            close::<Config, _>(*handle as *const lumos_config);
            assert_eq!(lease::<Config, _>(*handle as *const lumos_config).err(), Some(Misuse::Closed));
        }
    }
}
