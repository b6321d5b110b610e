//! `lumos_config`: options for opening a database.

use crate::database::options::{DatabaseOptions, OPTIONS};
use crate::ffi::abi::*;
use crate::ffi::guard::{Failure, guard, guard_value, store};
use crate::ffi::handle;
use crate::ffi::text;
use std::ffi::{CString, c_char};
use std::sync::OnceLock;

/// Options being collected.
#[derive(Debug, Default)]
pub struct Config {
    /// What was set so far.
    pub options: DatabaseOptions,
}

/// A configuration with all defaults; null only when memory is out. Freed by `lumos_config_free`. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_config_new() -> *mut lumos_config {
    guard_value(
        std::ptr::null_mut(),
        || Ok(handle::insert(Config::default()).unwrap_or(std::ptr::null_mut())),
    )
}

/// Sets an option from text, e.g. `"memory_limit"` to `"256MB"`. Unknown name: 42704, bad value: 22023. Since 1.0.
///
/// # Safety
/// `name` and `value` are NUL-terminated; `err` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_config_set(
    config: *mut lumos_config,
    name: *const c_char,
    value: *const c_char,
    err: *mut *mut lumos_error,
) -> lumos_status {
    guard(err, || {
        // SAFETY: by this function's contract.
        let (name, value) = unsafe { (text::utf8(name, LUMOS_NTS)?, text::utf8(value, LUMOS_NTS)?) };
        handle::lease::<Config, _>(config)?.options.set(name, value)?;
        Ok(LUMOS_OK)
    })
}

/// How many options there are. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_config_count() -> i32 {
    OPTIONS.len() as i32
}

struct Described {
    texts: [CString; 4],
}

fn descriptions() -> &'static [Described] {
    static TEXTS: OnceLock<Vec<Described>> = OnceLock::new();
    TEXTS.get_or_init(|| {
        let described = OPTIONS.iter().map(|option| Described {
            texts: [option.name, option.kind.name(), option.default, option.help].map(text::c_string),
        });
        described.collect()
    })
}

/// Option `index` (from 0): its name, type, default and help; static texts. Beyond the last: `LUMOS_DONE`. Since 1.0.
///
/// # Safety
/// The four out-parameters are writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_config_describe(
    index: i32,
    name: *mut *const c_char,
    kind: *mut *const c_char,
    default_value: *mut *const c_char,
    help: *mut *const c_char,
) -> lumos_status {
    guard(std::ptr::null_mut(), || {
        let Some(described) = usize::try_from(index).ok().and_then(|index| descriptions().get(index)) else {
            return Ok(LUMOS_DONE);
        };
        let outs = [name, kind, default_value, help];
        if outs.iter().any(|out| out.is_null()) {
            return Err(Failure::Misuse("misuse: an out-parameter is null"));
        }
        for (out, text) in outs.into_iter().zip(&described.texts) {
            // SAFETY: not null, and by this function's contract writable.
            unsafe { store(out, text.as_ptr())? };
        }
        Ok(LUMOS_OK)
    })
}

/// Frees a configuration; null is fine. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_config_free(config: *mut lumos_config) {
    guard_value((), || {
        handle::close::<Config, _>(config);
        Ok(())
    });
}
