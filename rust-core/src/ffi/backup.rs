//! `lumos_backup`: a copy of one snapshot, made while others write; the same as bytes in memory.

use crate::database::Database;
use crate::database::backup::Backup;
use crate::ffi::abi::*;
use crate::ffi::config::Config;
use crate::ffi::database::{engine, handle_of};
use crate::ffi::guard::{Failure, guard, guard_value, made, store};
use crate::ffi::handle;
use crate::ffi::text;
use std::ffi::c_char;
use std::path::Path;

/// A backup that a handle stands for.
#[derive(Debug)]
pub struct BackupHandle {
    backup: Backup,
}

/// Begins a backup of what is committed now, to a new file `dest`: it is written beside its place and takes its name
/// when it is whole and durable. Writers go on; tables of the snapshot cannot be dropped until the backup ends.
/// `flags`: 0. To restore is to open the file. `dest` exists: 42710. A log folder lies beside `dest`: 55000.
/// Since 1.0.
///
/// # Safety
/// `dest` is NUL-terminated; `out` is writable; `err` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_backup_start(
    db: *mut lumos_db,
    dest: *const c_char,
    flags: u32,
    out: *mut *mut lumos_backup,
    err: *mut *mut lumos_error,
) -> lumos_status {
    guard(err, || {
        if out.is_null() {
            return Err(Failure::Misuse("misuse: an out-parameter is null"));
        }
        if flags != 0 {
            return Err(Failure::Misuse("misuse: unknown backup flags"));
        }
        // SAFETY: by this function's contract.
        let dest = unsafe { text::utf8(dest, LUMOS_NTS)? };
        let backup = engine(db)?.backup_start(Path::new(dest))?;
        let handle = made(handle::insert(BackupHandle { backup }))?;
        // SAFETY: not null, and by this function's contract writable.
        unsafe { store(out, handle)? };
        Ok(LUMOS_OK)
    })
}

/// Copies up to `pages` pages of the source (-1: all that are left): `LUMOS_MORE`, or `LUMOS_DONE` when the file is
/// whole and has its name. `remaining`, `total`: null, or about how many pages there are. On an error (53100: the disk
/// is full) the copy is removed. Since 1.0.
///
/// # Safety
/// `remaining` and `total` are null or writable; `err` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_backup_step(
    backup: *mut lumos_backup,
    pages: i32,
    remaining: *mut u64,
    total: *mut u64,
    err: *mut *mut lumos_error,
) -> lumos_status {
    guard(err, || {
        let mut lease = handle::lease::<BackupHandle, _>(backup)?;
        let all = pages < 0;
        let pages = u32::try_from(pages).unwrap_or(u32::MAX);
        let mut is_done = lease.backup.step(pages)?;
        while all && !is_done {
            is_done = lease.backup.step(pages)?;
        }
        let (left, of) = lease.backup.progress();
        for (out, value) in [(remaining, left), (total, of)] {
            if !out.is_null() {
                // SAFETY: not null, and by this function's contract writable.
                unsafe { store(out, value)? };
            }
        }
        Ok(if is_done { LUMOS_DONE } else { LUMOS_MORE })
    })
}

/// Ends a backup; before `LUMOS_DONE` the copy is removed. Null is fine. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_backup_finish(backup: *mut lumos_backup) {
    guard_value((), || {
        handle::close::<BackupHandle, _>(backup);
        Ok(())
    });
}

/// One snapshot of the whole database as bytes, for `lumos_deserialize` or to be written to a file, which is then a
/// database; others read and write meanwhile. `*out` is freed with `lumos_free`. 53200: it does not fit into
/// memory_limit. Since 1.0.
///
/// # Safety
/// `out` and `len` are writable; `err` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_serialize(
    db: *mut lumos_db,
    out: *mut *mut u8,
    len: *mut usize,
    err: *mut *mut lumos_error,
) -> lumos_status {
    guard(err, || {
        if out.is_null() || len.is_null() {
            return Err(Failure::Misuse("misuse: an out-parameter is null"));
        }
        let image = engine(db)?.serialize()?;
        let bytes = text::malloc_bytes(image.len(), |buffer| image.copy_to(buffer))?;
        // SAFETY: not null, and by this function's contract writable.
        unsafe {
            store(out, bytes)?;
            store(len, image.len())?;
        }
        Ok(LUMOS_OK)
    })
}

/// Opens a new database in memory that begins as these bytes, which are copied: what `lumos_serialize` gave, or the
/// content of a database file that was closed. `config`: options, or null. No database, or damaged: XX001; not closed:
/// 55000. Since 1.0.
///
/// # Safety
/// `image` is readable for `len` bytes; `out` is writable; `err` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_deserialize(
    image: *const u8,
    len: usize,
    config: *const lumos_config,
    out: *mut *mut lumos_db,
    err: *mut *mut lumos_error,
) -> lumos_status {
    guard(err, || {
        if out.is_null() || (image.is_null() && len > 0) {
            return Err(Failure::Misuse("misuse: a parameter is null"));
        }
        let options = match config.is_null() {
            true => Default::default(),
            false => handle::lease::<Config, _>(config)?.options.clone(),
        };
        // SAFETY: not null, and by this function's contract readable for `len` bytes.
        let image = if len == 0 { &[][..] } else { unsafe { std::slice::from_raw_parts(image, len) } };
        let handle = handle_of(Database::deserialize(image, options)?)?;
        // SAFETY: not null, and by this function's contract writable.
        unsafe { store(out, handle)? };
        Ok(LUMOS_OK)
    })
}
