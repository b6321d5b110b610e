//! Texts across the border: pointer and length in, NUL-terminated copies out.

use crate::error::{Error, SqlState};
use crate::ffi::abi::LUMOS_NTS;
use crate::ffi::guard::Failure;
use crate::sql::types::text::check_sql_text;
use std::ffi::{CStr, CString, c_char, c_void};

/// The bytes of a text argument.
/// # Errors
/// Misuse when the pointer is null and the length is not 0.
/// # Safety
/// `text` points to `length` readable bytes, or to a NUL-terminated text when `length` is `LUMOS_NTS`, and
/// stays so for `'a`.
pub(crate) unsafe fn bytes<'a>(text: *const c_char, length: usize) -> std::result::Result<&'a [u8], Failure> {
    if text.is_null() {
        return if length == 0 { Ok(&[]) } else { Err(Failure::Misuse("misuse: a text is null")) };
    }
    if length == LUMOS_NTS {
        // SAFETY: by this function's contract the text is NUL-terminated.
        return Ok(unsafe { CStr::from_ptr(text) }.to_bytes());
    }
    if length > isize::MAX as usize {
        return Err(Failure::Misuse("misuse: a length is larger than the address space"));
    }
    // SAFETY: not null, and by this function's contract readable for `length` bytes.
    Ok(unsafe { std::slice::from_raw_parts(text.cast(), length) })
}

/// As [`bytes`], as UTF-8 without NUL.
/// # Errors
/// `22021`, with the position.
/// # Safety
/// As [`bytes`].
pub(crate) unsafe fn utf8<'a>(text: *const c_char, length: usize) -> std::result::Result<&'a str, Failure> {
    // SAFETY: passed on from the caller.
    let bytes = unsafe { bytes(text, length) }?;
    Ok(check_sql_text(bytes)?)
}

/// A C string; what follows a NUL inside is cut (names and messages hold none).
pub(crate) fn c_string(text: &str) -> CString {
    let end = memchr::memchr(0, text.as_bytes()).unwrap_or(text.len());
    CString::new(&text[..end]).unwrap_or_default()
}

/// A NUL-terminated copy that the host frees with `lumos_free`; null when memory is out.
pub(crate) fn malloc_text(text: &str) -> *mut c_char {
    // SAFETY: `malloc` has no precondition.
    let copy = unsafe { libc::malloc(text.len() + 1) }.cast::<u8>();
    if copy.is_null() {
        return std::ptr::null_mut();
    }
    // SAFETY: `copy` was just allocated with room for the text and its NUL.
    unsafe {
        std::ptr::copy_nonoverlapping(text.as_ptr(), copy, text.len());
    }
    // SAFETY: as above; the last of the allocated bytes.
    unsafe { copy.add(text.len()).write(0) };
    copy.cast()
}

/// Bytes that the host frees with `lumos_free`, filled by `fill`.
/// # Errors
/// `53200` when memory is out; what `fill` fails with.
pub(crate) fn malloc_bytes(
    length: usize,
    fill: impl FnOnce(&mut [u8]) -> crate::error::Result<()>,
) -> crate::error::Result<*mut u8> {
    // SAFETY: `calloc` has no precondition.
    let bytes = unsafe { libc::calloc(length.max(1), 1) }.cast::<u8>();
    if bytes.is_null() {
        return Err(Error::new(SqlState::OUT_OF_MEMORY, "out of memory"));
    }
    // SAFETY: just allocated with this length, zeroed, and nobody else has it.
    let filled = fill(unsafe { std::slice::from_raw_parts_mut(bytes, length) });
    if let Err(error) = filled {
        // SAFETY: it came from `calloc` above.
        unsafe { free(bytes.cast()) };
        return Err(error);
    }
    Ok(bytes)
}

/// Frees what `malloc_text`, `malloc_bytes` or `lumos_malloc` gave.
/// # Safety
/// `memory` is null or came from one of them and was not freed.
pub(crate) unsafe fn free(memory: *mut c_void) {
    // SAFETY: passed on from the caller.
    unsafe { libc::free(memory) }
}
