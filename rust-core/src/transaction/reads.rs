//! What a transaction reads: single keys, with its own writes above what is committed, and what it notes of that at
//! SERIALIZABLE. Scans are in `scan`.
//!
//! Reading a key: own write set first; then the page under its latch; and only after the latch, where the page
//! holds something newer than the snapshot, the version store. The order matters: a version is stored before
//! its page changes, so whoever saw the changed page finds the version.

use crate::common::ids::{COUNTER_TREE, TreeId};
use crate::common::planted::{PlantedFault, is_planted};
use crate::error::Result;
use crate::transaction::commit::raised;
use crate::transaction::mvcc::Resolution;
use crate::transaction::transaction::{Transaction, TreeHandle};
use crate::transaction::types::{Parts, ReadView};
use crate::transaction::write_set::OwnWrite;
use std::ops::Bound;

/// A copied value's buffer is kept for the next read up to this many bytes.
const BUFFER_BYTES_KEPT: usize = 64 << 10;

/// What the page alone could say of a key.
enum PageAnswer<R> {
    Done {
        result: R,
        present: bool,
    },
    /// Something on the page is newer than the snapshot; the row was copied.
    Newer {
        present: bool,
    },
}

impl Transaction {
    /// Reads a key. `read` gets `None` where there is no row. It may run under a leaf's latch: short work only,
    /// no I/O, no other read inside.
    /// # Errors
    /// I/O errors and damage; `XX000` for a read by snapshot outside a statement.
    pub fn get<R>(
        &self,
        tree: &TreeHandle,
        key: &[u8],
        view: ReadView,
        read: impl FnOnce(Option<&[u8]>) -> R,
    ) -> Result<R> {
        self.get_parts(tree, key, view, || Parts::ALL, read)
    }

    /// As [`Transaction::get`], where `read` looks at no more than `parts` of the value.
    /// # Errors
    /// As there.
    pub fn get_parts<R>(
        &self,
        tree: &TreeHandle,
        key: &[u8],
        view: ReadView,
        parts: impl FnOnce() -> Parts,
        read: impl FnOnce(Option<&[u8]>) -> R,
    ) -> Result<R> {
        if self.serializable.is_some() {
            self.record_key(tree, key, parts());
        }
        let before = (view == ReadView::Snapshot).then_some(self.command);
        let writes = &self.scratch().writes;
        let mut own = writes.get(tree.id, key, before);
        let mut buffer = Vec::new();
        if own.is_none() && writes.is_spilled() {
            own = writes.get_spilled(tree.id, key, before, &mut buffer)?;
        }
        match own {
            None => self.get_committed(tree, key, view, read),
            Some(OwnWrite::Put(value)) => Ok(read(Some(value))),
            Some(OwnWrite::Delete) => Ok(read(None)),
            Some(OwnWrite::Max(number)) => {
                let value = self.get_committed(tree, key, view, |value| raised(value, number))?;
                Ok(read(Some(&value)))
            }
        }
    }

    /// Whether there is a row under a key; what is in it does not matter.
    /// # Errors
    /// As [`Transaction::get`].
    pub fn exists(&self, tree: &TreeHandle, key: &[u8], view: ReadView) -> Result<bool> {
        self.get_parts(tree, key, view, || Parts::EXISTENCE, |value| value.is_some())
    }

    /// Reads keys at the statement's snapshot one after another, neighbours on one leaf together: `read` gets each
    /// key's number and its row, as for [`Transaction::get_parts`], in the order of `keys`. An error of `read` ends it.
    /// # Errors
    /// As for [`Transaction::get`], and those of `read`.
    pub fn get_each<K: AsRef<[u8]>>(
        &self,
        tree: &TreeHandle,
        keys: &[K],
        parts: impl Fn() -> Parts,
        mut read: impl FnMut(usize, Option<&[u8]>) -> Result<()>,
    ) -> Result<()> {
        if self.serializable.is_some() {
            let parts = parts();
            keys.iter().for_each(|key| self.record_key(tree, key.as_ref(), parts));
        }
        let mut done = 0;
        while done < keys.len() {
            // What others changed since, and what this transaction wrote, is looked up after the latch.
            let mut alone = true;
            if let Some(committed) = self.base(tree)
                && !self.scratch().writes.is_spilled_in(tree.id)
            {
                let snapshot = self.snapshot()?;
                let writes = &self.scratch().writes;
                let mut outcome = Ok(());
                alone = false;
                done += committed.get_run(&keys[done..], |index, entry, max_timestamp| {
                    let index = done + index;
                    let own = || writes.get(tree.id, keys[index].as_ref(), Some(self.command)).is_some();
                    alone = !snapshot.sees(max_timestamp) || entry.is_none() || own();
                    if alone || outcome.is_err() {
                        return false;
                    }
                    outcome = read(index, entry.filter(|entry| !entry.ghost).map(|entry| entry.value));
                    true
                })?;
                outcome?;
            }
            if alone && let Some(key) = keys.get(done) {
                self.get_parts(tree, key.as_ref(), ReadView::Snapshot, &parts, |value| read(done, value))??;
                done += 1;
            }
        }
        Ok(())
    }

    /// Notes that parts of the value under a key were read, whichever view it was read with and whatever was found: what is read of the
    /// latest state under a lock is undone without it by a return to a savepoint, and still known.
    #[cold]
    #[inline(never)]
    pub(super) fn record_key(&self, tree: &TreeHandle, key: &[u8], parts: Parts) {
        // Numbers are given out once each, to whoever comes; what this transaction created nobody else can write.
        if tree.id != COUNTER_TREE
            && tree.tree.is_some()
            && let Some(reader) = &self.serializable
        {
            reader.borrow_mut().reads.add_key(tree.id, key, parts);
        }
    }

    /// Whether scans are to say how far they came.
    pub(super) fn records_reads(&self) -> bool {
        self.serializable.is_some() && !is_planted(PlantedFault::RangeReadsNotRecorded)
    }

    /// Notes that parts of the values in a range of a tree were read.
    pub(super) fn record_range(&self, tree: TreeId, lower: Bound<&[u8]>, upper: Bound<&[u8]>, parts: Parts) {
        if let Some(reader) = &self.serializable {
            reader.borrow_mut().reads.add_range(tree, (lower, upper), parts);
        }
    }

    /// Whether somebody may ask which parts of values this transaction changes; if not, they need not be found out.
    #[inline]
    pub fn tells_parts(&self) -> bool {
        self.manager.history.is_recording()
    }

    /// Whether this serializable transaction has read the key before; false at other levels.
    pub fn has_read(&self, tree: &TreeHandle, key: &[u8]) -> bool {
        self.serializable.as_ref().is_some_and(|reader| reader.borrow().reads.holds(tree.id, key))
    }

    fn get_committed<R>(
        &self,
        tree: &TreeHandle,
        key: &[u8],
        view: ReadView,
        read: impl FnOnce(Option<&[u8]>) -> R,
    ) -> Result<R> {
        let Some(tree) = self.base(tree) else { return Ok(read(None)) };
        if view == ReadView::Latest {
            return tree
                .get(key, |entry, _| read(entry.filter(|entry| !entry.ghost).map(|entry| entry.value)));
        }
        let snapshot = self.snapshot()?;
        let mut read = Some(read);
        let mut copy: Option<Vec<u8>> = None;
        let answer = tree.get(key, |entry, max_timestamp| {
            let value = entry.filter(|entry| !entry.ghost).map(|entry| entry.value);
            if snapshot.sees(max_timestamp)
                && let Some(read) = read.take()
            {
                // Where there is no row there may have been one, and its page.
                return PageAnswer::Done { result: read(value), present: value.is_some() };
            }
            if let Some(value) = value {
                let mut buffer = self.scratch().buffer.take();
                buffer.clear();
                buffer.extend_from_slice(value);
                copy = Some(buffer);
            }
            PageAnswer::Newer { present: value.is_some() }
        })?;
        let present = match answer {
            PageAnswer::Done { result, present: true } => return Ok(result),
            PageAnswer::Done { result, present: false } => {
                self.manager.check_age(snapshot.timestamp())?;
                return Ok(result);
            }
            PageAnswer::Newer { present } => present,
        };
        // Page first, versions after: see the module.
        let mut buffer = copy.unwrap_or_else(|| self.scratch().buffer.take());
        let copied = if present { buffer.len() } else { 0 };
        buffer.truncate(copied);
        let resolution = self.manager.versions.resolve(tree.id(), key, snapshot.timestamp(), &mut buffer)?;
        self.manager.check_age(snapshot.timestamp())?;
        let value = match resolution {
            Resolution::Current if present => Some(&buffer[..]),
            Resolution::Current | Resolution::Absent => None,
            Resolution::Value => Some(&buffer[copied..]),
        };
        let read = read.take().expect("it runs under the latch or here, and that arm returned");
        let result = read(value);
        if buffer.capacity() <= BUFFER_BYTES_KEPT {
            self.scratch().buffer.set(buffer);
        }
        Ok(result)
    }

    /// Whether a commit newer than the snapshot changed the key. To be asked after locking it: repeatable read
    /// then fails with [`Transaction::serialization_failure`].
    /// # Errors
    /// As [`Transaction::get`].
    pub fn changed_since_snapshot(&self, tree: &TreeHandle, key: &[u8]) -> Result<bool> {
        let Some(tree) = self.base(tree) else { return Ok(false) };
        let snapshot = self.snapshot()?;
        if tree.get(key, |_, max_timestamp| snapshot.sees(max_timestamp))? {
            return Ok(false);
        }
        let changed = self.manager.versions.changed_since(tree.id(), key, snapshot.timestamp())?;
        self.manager.check_age(snapshot.timestamp())?;
        Ok(changed)
    }

    /// Whether the row that the snapshot sees was deleted, and another one added under the key, by commits since then.
    /// # Errors
    /// `XX000` outside a statement.
    pub fn replaced_since_snapshot(&self, tree: &TreeHandle, key: &[u8]) -> Result<bool> {
        let Some(tree) = self.base(tree) else { return Ok(false) };
        let snapshot = self.snapshot()?.timestamp();
        let replaced = self.manager.versions.was_absent_since(tree.id(), key, snapshot)?;
        self.manager.check_age(snapshot)?;
        Ok(replaced)
    }

    /// Whether this transaction has deleted the key.
    /// # Errors
    /// I/O errors of a write set in temporary files.
    pub fn has_deleted(&self, tree: &TreeHandle, key: &[u8]) -> Result<bool> {
        let writes = &self.scratch().writes;
        if matches!(writes.get(tree.id, key, None), Some(OwnWrite::Delete)) {
            return Ok(true);
        }
        let mut buffer = Vec::new();
        Ok(writes.is_spilled()
            && matches!(writes.get_spilled(tree.id, key, None, &mut buffer)?, Some(OwnWrite::Delete)))
    }

    /// Whether the command that runs has written the key itself.
    /// # Errors
    /// I/O errors of a write set in temporary files.
    pub fn is_written_by_command(&self, tree: &TreeHandle, key: &[u8]) -> Result<bool> {
        self.scratch().writes.is_written_since(tree.id, key, self.command)
    }
}
