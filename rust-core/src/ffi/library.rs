//! `lumos_*` of the library itself: versions, memory, names.

use crate::ffi::abi::*;
use crate::ffi::guard::guard_value;
use crate::ffi::text;
use std::ffi::{c_char, c_void};

/// `major << 16 | minor` of this header's interface; a host refuses another major. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_abi_version() -> u32 {
    LUMOS_ABI_MAJOR << 16 | LUMOS_ABI_MINOR
}

/// The release, e.g. `"0.1.0"`; static. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// The release as a number: 1002003 for 1.2.3. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_version_number() -> i32 {
    const fn number(text: &str) -> i32 {
        let bytes = text.as_bytes();
        let (mut value, mut at) = (0, 0);
        while at < bytes.len() {
            value = value * 10 + (bytes[at] - b'0') as i32;
            at += 1;
        }
        value
    }
    number(env!("CARGO_PKG_VERSION_MAJOR")) * 1_000_000
        + number(env!("CARGO_PKG_VERSION_MINOR")) * 1000
        + number(env!("CARGO_PKG_VERSION_PATCH"))
}

/// Whether an optional part is built in (`"arrow"`, `"adbc"`, `"parquet"`, …); none is yet. Since 1.0.
///
/// # Safety
/// `name` is null or a NUL-terminated text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_has_feature(name: *const c_char) -> bool {
    guard_value(false, || {
        // SAFETY: by this function's contract.
        let _known = unsafe { text::bytes(name, LUMOS_NTS) }?;
        Ok(false)
    })
}

/// Memory that the library may take over; null when out of memory. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_malloc(size: usize) -> *mut c_void {
    // SAFETY: `malloc` has no precondition.
    unsafe { libc::malloc(size) }
}

/// Frees what this header says to free with it; null is fine. Since 1.0.
///
/// # Safety
/// `memory` is null or was given by this library to be freed so, and was not freed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_free(memory: *mut c_void) {
    // SAFETY: by this function's contract.
    unsafe { text::free(memory) }
}

/// `"LUMOS_BUSY"` for `LUMOS_BUSY`; `"LUMOS_?"` for an unknown value; static, never null. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_status_name(status: lumos_status) -> *const c_char {
    let name = match status {
        LUMOS_OK => c"LUMOS_OK",
        LUMOS_ROW => c"LUMOS_ROW",
        LUMOS_DONE => c"LUMOS_DONE",
        LUMOS_MORE => c"LUMOS_MORE",
        LUMOS_ERROR => c"LUMOS_ERROR",
        LUMOS_MISUSE => c"LUMOS_MISUSE",
        LUMOS_BUSY => c"LUMOS_BUSY",
        LUMOS_INTERRUPTED => c"LUMOS_INTERRUPTED",
        LUMOS_CONFLICT => c"LUMOS_CONFLICT",
        LUMOS_CONSTRAINT => c"LUMOS_CONSTRAINT",
        LUMOS_READONLY => c"LUMOS_READONLY",
        LUMOS_NOMEM => c"LUMOS_NOMEM",
        LUMOS_IOERR => c"LUMOS_IOERR",
        LUMOS_CORRUPT => c"LUMOS_CORRUPT",
        LUMOS_PANIC => c"LUMOS_PANIC",
        _ => c"LUMOS_?",
    };
    name.as_ptr()
}
