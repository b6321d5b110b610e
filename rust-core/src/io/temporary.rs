//! Temporary files: in a folder of their own beside the database, without a name from the moment they are open.
//! Knows one folder. Knows nothing of what is kept in the files.

use crate::error::{Error, Result, SqlState};
use crate::io::system;
use crate::io::vfs::{File, OpenMode, Vfs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Names that are tried before giving up: others lie there, left by a process that was killed.
const NAMES_TRIED_MAX: u32 = 1000;

/// The folder for temporary files of one database. Its files are never synced and mean nothing after a crash.
/// Threads: any.
#[derive(Debug)]
pub struct TemporaryFiles {
    vfs: Arc<dyn Vfs>,
    folder: PathBuf,
    next: AtomicU64,
    /// The folder was made.
    made: AtomicBool,
}

impl TemporaryFiles {
    /// Of the database at `path`: `app.lumos` has `app.lumos-tmp`. Makes nothing yet.
    pub fn beside(vfs: Arc<dyn Vfs>, path: &Path) -> TemporaryFiles {
        let mut folder = path.as_os_str().to_owned();
        folder.push("-tmp");
        TemporaryFiles { vfs, folder: folder.into(), next: AtomicU64::new(0), made: AtomicBool::new(false) }
    }

    /// Whether what is written to the files takes memory.
    pub fn are_in_memory(&self) -> bool {
        self.vfs.keeps_in_memory()
    }

    /// Removes what a process that was killed left behind. To be called by the only process that writes.
    /// # Errors
    /// I/O errors.
    pub fn remove_stale(&self) -> Result<()> {
        for name in self.vfs.list_folder(&self.folder)? {
            // Somebody who reads may have taken the name off a file of his own just now.
            gone_is_fine(self.vfs.remove(&self.folder.join(name)))?;
        }
        if self.vfs.exists(&self.folder)? {
            // Not where somebody who reads is making a file just now.
            let _kept = self.vfs.remove_folder(&self.folder);
        }
        Ok(())
    }

    /// An empty file for reading and writing, which is gone when its last handle is.
    /// # Errors
    /// `53100` and other I/O errors.
    pub fn create(&self) -> Result<Arc<dyn File>> {
        self.made.store(true, Ordering::Relaxed);
        for _ in 0..NAMES_TRIED_MAX {
            // Other processes have files here too, and take the folder away when they need it no more.
            self.vfs.create_folder(&self.folder)?;
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let path = self.folder.join(format!("{}-{number}", system::process_id()));
            if self.vfs.exists(&path)? {
                continue;
            }
            let file = match self.vfs.open(&path, OpenMode::CreateNew) {
                Err(error) if error.state() == SqlState::UNDEFINED_FILE => continue,
                opened => opened?,
            };
            gone_is_fine(self.vfs.remove(&path))?;
            return Ok(file);
        }
        Err(Error::new(SqlState::IO_ERROR, "no name is free for a temporary file")
            .detail(format!("Too many files lie in \"{}\".", self.folder.display())))
    }
}

fn gone_is_fine(removed: Result<()>) -> Result<()> {
    match removed {
        Err(error) if error.state() == SqlState::UNDEFINED_FILE => Ok(()),
        other => other,
    }
}

impl Drop for TemporaryFiles {
    fn drop(&mut self) {
        if *self.made.get_mut() {
            // An empty folder that stays does no harm; the next open removes what it can.
            let _left = self.vfs.remove_folder(&self.folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::memory::MemoryVfs;
    use crate::io::os::OsVfs;

    fn beside(vfs: &Arc<MemoryVfs>) -> TemporaryFiles {
        TemporaryFiles::beside(Arc::clone(vfs) as Arc<dyn Vfs>, Path::new("/app.lumos"))
    }

    #[test]
    fn a_temporary_file_has_no_name_and_keeps_its_content() {
        let vfs = Arc::new(MemoryVfs::new());
        let files = beside(&vfs);
        let (first, second) = (files.create().unwrap(), files.create().unwrap());
        first.write_at(b"first", 0).unwrap();
        second.write_at(b"other", 0).unwrap();
        assert_eq!(vfs.list_folder(Path::new("/app.lumos-tmp")).unwrap(), Vec::<String>::new());
        let mut read = [0; 5];
        first.read_at(&mut read, 0).unwrap();
        assert_eq!(&read, b"first");
    }

    #[test]
    fn files_that_a_killed_process_left_are_removed_and_meanwhile_in_nobodys_way() {
        let vfs = Arc::new(MemoryVfs::new());
        for name in ["0", "1", "7"] {
            vfs.open(&Path::new("/app.lumos-tmp").join(name), OpenMode::CreateNew).unwrap();
        }
        beside(&vfs).create().unwrap();
        assert_eq!(vfs.list_folder(Path::new("/app.lumos-tmp")).unwrap().len(), 3);
        beside(&vfs).remove_stale().unwrap();
        assert_eq!(vfs.list_folder(Path::new("/app.lumos-tmp")).unwrap().len(), 0);
    }

    #[test]
    fn makers_in_one_folder_are_not_in_each_others_way() {
        let folder = std::env::temp_dir().join(format!("lumos-temporary-{}", std::process::id()));
        let vfs: Arc<dyn Vfs> = Arc::new(OsVfs::new());
        vfs.create_folder(&folder).unwrap();
        std::thread::scope(|scope| {
            for maker in 0..3_u8 {
                let (vfs, path) = (&vfs, folder.join("app.lumos"));
                scope.spawn(move || {
                    for round in 0..150 {
                        // Each takes the folder away when it goes; the names of one process differ by their numbers.
                        let files = TemporaryFiles::beside(Arc::clone(vfs), &path);
                        files.next.store(u64::from(maker) << 32, Ordering::Relaxed);
                        if maker == 0 {
                            files.remove_stale().unwrap();
                        }
                        let file = files.create().unwrap();
                        file.write_at(&[maker, round], 0).unwrap();
                        let mut read = [9; 2];
                        file.read_at(&mut read, 0).unwrap();
                        assert_eq!(read, [maker, round]);
                    }
                });
            }
        });
        let _ = vfs.remove_folder(&folder.join("app.lumos-tmp"));
        vfs.remove_folder(&folder).unwrap();
    }
}
