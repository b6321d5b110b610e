//! Which databases are open in this process, so that the same file opened twice is the same engine.
//! Knows identities and states. Knows nothing of files' contents.

use crate::common::sync::atomic::{AtomicU64, Ordering};
use crate::common::sync::{Arc, Condvar, Mutex, MutexGuard, Weak};
use crate::database::follower::Follower;
use crate::database::instance::{Instance, Opened};
use crate::io::system;
use crate::io::vfs::FileIdentity;
use crate::session::engine::Engine;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A file of a file system: 0, or the address of the file system object that a test passed in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct RegistryKey {
    file_system: usize,
    device: u64,
    inode: u64,
}

impl RegistryKey {
    pub(super) fn new(file_system: usize, identity: FileIdentity) -> RegistryKey {
        RegistryKey { file_system, device: identity.device, inode: identity.inode }
    }
}

/// An engine as the registry knows it: it does not keep it open.
#[derive(Debug)]
struct Known {
    path: PathBuf,
    engine: Weak<Engine>,
    instance: Weak<Instance>,
    /// Whoever reads beside a writer in another process has one engine after the other.
    follower: Option<Weak<Follower>>,
}

impl Known {
    fn upgrade(&self) -> Option<Opened> {
        match &self.follower {
            Some(follower) => Some(follower.upgrade()?.opened()),
            None => Some(Opened {
                engine: self.engine.upgrade()?,
                instance: self.instance.upgrade()?,
                follower: None,
            }),
        }
    }
}

type OpenFiles = BTreeMap<RegistryKey, Option<Known>>;

/// `None`: somebody is opening it. A reference that is dead: somebody is closing it.
static OPEN: Mutex<OpenFiles> = Mutex::new(BTreeMap::new());
/// The process that `OPEN` is of: what a parent had open is not open in its child.
static FORKS_SEEN: AtomicU64 = AtomicU64::new(0);
static CHANGED: Condvar = Condvar::new();

fn open_here() -> MutexGuard<'static, OpenFiles> {
    let mut open = OPEN.lock();
    let forks = system::forks();
    if FORKS_SEEN.swap(forks, Ordering::Relaxed) != forks {
        // The parent's engines are copies without their threads; asking for their files finds the parent's lock.
        open.clear();
    }
    open
}

thread_local! {
    static HELD: RefCell<Option<MutexGuard<'static, OpenFiles>>> = const { RefCell::new(None) };
}

/// Takes the registry's lock before a fork, so that no other thread has it in the child.
pub(super) fn before_fork() {
    HELD.with(|held| *held.borrow_mut() = Some(OPEN.lock()));
}

/// Gives it back, in the parent and in the child.
pub(super) fn after_fork() {
    HELD.with(|held| held.borrow_mut().take());
}

/// What asking for a file gave.
pub(super) enum Claim {
    /// It is open in this process.
    Open(Opened),
    /// It is ours to open: everybody else waits until [`opened`] or [`closed`].
    Ours,
}

/// The open engine of a path, if there is one: the quick way, which touches no file.
pub(super) fn find_path(file_system: usize, path: &Path) -> Option<Opened> {
    let open = open_here();
    let known = open.iter().filter(|(key, _)| key.file_system == file_system);
    known.filter_map(|(_, known)| known.as_ref()).find(|known| known.path == path)?.upgrade()
}

/// Finds the open engine of a file, or claims the file. Waits while somebody else opens or closes it.
pub(super) fn claim(key: RegistryKey) -> Claim {
    let mut open = open_here();
    loop {
        match open.get(&key) {
            None => {
                open.insert(key, None);
                return Claim::Ours;
            }
            Some(known) => {
                if let Some(opened) = known.as_ref().and_then(Known::upgrade) {
                    return Claim::Open(opened);
                }
            }
        }
        CHANGED.wait(&mut open);
    }
}

/// The claimed file is open.
pub(super) fn opened(key: RegistryKey, path: &Path, opened: &Opened) {
    let known = Known {
        path: path.to_path_buf(),
        engine: Arc::downgrade(&opened.engine),
        instance: Arc::downgrade(&opened.instance),
        follower: opened.follower.as_ref().map(Arc::downgrade),
    };
    open_here().insert(key, Some(known));
    CHANGED.notify_all();
}

/// The file is closed, or could not be opened.
pub(super) fn closed(key: RegistryKey) {
    open_here().remove(&key);
    CHANGED.notify_all();
}
