//! Around every exported body: panics caught, errors turned into objects and statuses.

use crate::error::{Error, Result, SqlState};
use crate::ffi::abi::*;
use crate::ffi::error::ErrorObject;
use crate::ffi::handle::{self, Misuse};
use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

/// Panics caught since the process began. Every test suite ends with the number it started with.
static PANICS_CAUGHT: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Panics caught so far.
pub fn panics_caught() -> u64 {
    PANICS_CAUGHT.load(Ordering::Relaxed)
}

/// A chained hook: inside a guarded call a panic prints nothing (its text is in the error), elsewhere the
/// host's own hook goes on as before. Only C hosts come here, so a Rust host keeps its hook untouched.
fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !INSIDE.with(Cell::get) {
                previous(info);
            }
        }));
    });
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_string()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        String::from("unknown panic")
    }
}

/// Why a guarded call failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// An error of the engine.
    #[error(transparent)]
    Error(#[from] Error),
    /// The caller broke the contract.
    #[error("{0}")]
    Misuse(&'static str),
}

impl From<Misuse> for Failure {
    fn from(misuse: Misuse) -> Failure {
        Failure::Misuse(misuse.message())
    }
}

/// The status that goes with an error.
pub fn status_of(error: &Error) -> lumos_status {
    match error.state() {
        SqlState::LOCK_NOT_AVAILABLE | SqlState::OBJECT_IN_USE => LUMOS_BUSY,
        SqlState::QUERY_CANCELED => LUMOS_INTERRUPTED,
        SqlState::SERIALIZATION_FAILURE | SqlState::DEADLOCK_DETECTED => LUMOS_CONFLICT,
        SqlState::READ_ONLY_SQL_TRANSACTION => LUMOS_READONLY,
        SqlState::OUT_OF_MEMORY => LUMOS_NOMEM,
        SqlState::DISK_FULL => LUMOS_IOERR,
        SqlState::DATA_CORRUPTED | SqlState::INDEX_CORRUPTED => LUMOS_CORRUPT,
        state if state.class() == "23" => LUMOS_CONSTRAINT,
        state if state.class() == "58" => LUMOS_IOERR,
        _ => LUMOS_ERROR,
    }
}

/// Runs `body`; on failure stores an error object in `*out` where `out` is not null.
///
/// `after_panic` repairs what the body may have left half-way (it aborts the connection's transaction).
pub(crate) fn guard_with(
    out: *mut *mut lumos_error,
    body: impl FnOnce() -> std::result::Result<lumos_status, Failure>,
    after_panic: impl FnOnce(),
) -> lumos_status {
    let (status, error) = match run(body) {
        Ok(Ok(status)) => return status,
        Ok(Err(Failure::Misuse(message))) => {
            (LUMOS_MISUSE, Error::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message))
        }
        Ok(Err(Failure::Error(error))) => (status_of(&error), error),
        Err(text) => {
            let _ = run(after_panic);
            let error = Error::internal(format!("internal error: {text}"))
                .hint("This is a bug in Lumos. The transaction was aborted; please report it.");
            (LUMOS_PANIC, error)
        }
    };
    if !out.is_null() {
        let object = run(|| handle::insert(ErrorObject::new(error, status))).ok().flatten();
        if let Some(object) = object {
            // SAFETY: the header says that `err` is null or points to a writable `lumos_error *`; null was excluded.
            unsafe { *out = object };
        }
    }
    status
}

/// As [`guard_with`] where a panic leaves nothing to repair.
pub(crate) fn guard(
    out: *mut *mut lumos_error,
    body: impl FnOnce() -> std::result::Result<lumos_status, Failure>,
) -> lumos_status {
    guard_with(out, body, || {})
}

/// For calls without a status: the value, or `otherwise` when the body failed or panicked.
pub(crate) fn guard_value<T>(otherwise: T, body: impl FnOnce() -> std::result::Result<T, Failure>) -> T {
    match run(body) {
        Ok(Ok(value)) => value,
        _ => otherwise,
    }
}

fn run<T>(body: impl FnOnce() -> T) -> std::result::Result<T, String> {
    install_hook();
    let outer = INSIDE.with(|inside| inside.replace(true));
    let result = catch_unwind(AssertUnwindSafe(body));
    INSIDE.with(|inside| inside.set(outer));
    result.map_err(|panic| {
        PANICS_CAUGHT.fetch_add(1, Ordering::Relaxed);
        panic_text(panic.as_ref())
    })
}

/// Writes an out-parameter.
/// # Errors
/// Misuse when the pointer is null.
/// # Safety
/// `out` is null or points to a writable `T`.
pub(crate) unsafe fn store<T>(out: *mut T, value: T) -> std::result::Result<(), Failure> {
    if out.is_null() {
        return Err(Failure::Misuse("misuse: an out-parameter is null"));
    }
    // SAFETY: not null, so by this function's contract writable.
    unsafe { out.write(value) };
    Ok(())
}

/// A handle just made, or 53200 when the table is full.
pub(crate) fn made<O>(handle: Option<*mut O>) -> Result<*mut O> {
    handle.ok_or_else(|| Error::new(SqlState::OUT_OF_MEMORY, "too many open handles"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::error::{lumos_error_free, lumos_error_message, lumos_error_sqlstate};
    use std::ffi::CStr;

    #[test]
    fn a_panic_becomes_an_error_with_its_text_and_is_counted() {
        let before = panics_caught();
        let mut error = std::ptr::null_mut();
        let mut repaired = false;
        let status = guard_with(&mut error, || panic!("planted {}", 7), || repaired = true);
        assert_eq!(status, LUMOS_PANIC);
        assert!(repaired);
        assert_eq!(panics_caught(), before + 1);
        // SAFETY: the accessors return NUL-terminated texts that live until the error is freed.
        let (state, message) = unsafe {
            (CStr::from_ptr(lumos_error_sqlstate(error)), CStr::from_ptr(lumos_error_message(error)))
        };
        assert_eq!(state.to_str().unwrap(), "XX000");
        assert!(message.to_str().unwrap().contains("planted 7"));
        lumos_error_free(error);
        // The planted panic is not one that suites should report.
        PANICS_CAUGHT.fetch_sub(1, Ordering::Relaxed);
    }
}
