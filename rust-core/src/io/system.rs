//! Facts about the machine and the process: memory, process id, randomness.
#![allow(clippy::disallowed_methods, reason = "this module is the seam that others are sent to")]

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};

/// This process's number.
pub fn process_id() -> u32 {
    std::process::id()
}

static FORKS: AtomicU64 = AtomicU64::new(0);

extern "C" fn count_fork() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// Calls `prepare` before each fork, in the thread that forks, and `settle` after it in the parent and in the child.
/// Once a process: a lock taken in `prepare` and released in `settle` is in order on both sides.
pub fn around_forks(prepare: extern "C" fn(), settle: extern "C" fn()) {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        // SAFETY: both are functions of the C calling convention that live as long as the program. Failing (no memory)
        // only means that a fork is not noticed.
        unsafe {
            libc::pthread_atfork(Some(prepare), Some(settle), Some(settle));
            libc::pthread_atfork(None, None, Some(count_fork));
        }
    });
}

/// How many forks lie between the process that called [`around_forks`] first and this one.
#[inline]
pub fn forks() -> u64 {
    FORKS.load(Ordering::Relaxed)
}

/// Has the process's allocator give back to the system what was freed and lies idle. Costs up to some milliseconds.
/// Nothing happens where the C library has no such call.
pub fn return_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: a call without pointers, which any thread may make at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// 16 unpredictable bytes, for the identity of a new database.
pub fn entropy() -> [u8; 16] {
    let mut bytes = [0u8; 16];
    let mut filled = 0;
    while filled < bytes.len() {
        // SAFETY: the pointer and the length describe the rest of `bytes`, which the call fills.
        let count = unsafe { libc::getrandom(bytes[filled..].as_mut_ptr().cast(), bytes.len() - filled, 0) };
        if count <= 0 {
            // Interrupted before the kernel's pool was ready; identity needs no secrecy, so mix in what we have.
            let mixed = (process_id() as u64) ^ (std::ptr::from_ref(&bytes) as u64).rotate_left(17);
            bytes[..8].copy_from_slice(&mixed.to_le_bytes());
            return bytes;
        }
        filled += count as usize;
    }
    bytes
}

/// Bytes of memory this process may use: the smaller of the machine's memory and the control group's limit.
pub fn memory_bytes() -> u64 {
    let machine = machine_memory_bytes();
    control_group_limit_bytes().map_or(machine, |limit| limit.min(machine))
}

fn machine_memory_bytes() -> u64 {
    // SAFETY: `sysconf` takes a constant and has no other precondition.
    let (pages, page_size) =
        unsafe { (libc::sysconf(libc::_SC_PHYS_PAGES), libc::sysconf(libc::_SC_PAGESIZE)) };
    if pages > 0 && page_size > 0 { pages as u64 * page_size as u64 } else { 1 << 30 }
}

/// The tightest limit on the way from this process's control group to the root (version 2, then version 1).
fn control_group_limit_bytes() -> Option<u64> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let mut tightest: Option<u64> = None;
    let mut consider = |file: String| {
        if let Ok(text) = fs::read_to_string(file)
            && let Ok(limit) = text.trim().parse::<u64>()
        {
            tightest = Some(tightest.map_or(limit, |known| known.min(limit)));
        }
    };
    for line in own.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let (root, file) = if controllers.is_empty() {
            ("/sys/fs/cgroup", "memory.max")
        } else if controllers.split(',').any(|name| name == "memory") {
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
        } else {
            continue;
        };
        let mut group = path.trim_end_matches('/').to_string();
        loop {
            consider(format!("{root}{group}/{file}"));
            match group.rfind('/') {
                Some(at) => group.truncate(at),
                None => break,
            }
        }
    }
    tightest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_known_and_two_identities_differ() {
        assert!(memory_bytes() > 1 << 20);
        assert_ne!(entropy(), entropy());
    }
}
