//! What a process keeps of a table beside its stored layout: counters that are ahead of the stored ones, and
//! the row format. Shared by every connection of the database.
//! Knows numbers. Knows nothing of trees.

use crate::common::ids::Lsn;
use crate::common::sync::Mutex;
use crate::common::sync::atomic::{AtomicU64, Ordering};
use crate::error::{Error, Result, SqlState};
use crate::sql::types::data_type::SqlType;
use crate::table::row::RowFormat;
use std::sync::OnceLock;

/// A counter that only goes up; its first value is read from the database when first needed.
#[derive(Debug, Default)]
pub struct Counter(Mutex<Option<u64>>);

impl Counter {
    /// The next number, from 1. `load` gives the highest one ever used; it runs once.
    /// # Errors
    /// What `load` fails with; `54000` when the numbers are used up.
    pub fn next(&self, load: impl FnOnce() -> Result<u64>) -> Result<u64> {
        let mut last = self.0.lock();
        let highest = match *last {
            Some(highest) => highest,
            None => load()?,
        };
        if highest >= i64::MAX as u64 {
            return Err(Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "a table has used up its row numbers"));
        }
        *last = Some(highest + 1);
        Ok(highest + 1)
    }
}

/// What a process knows of an index.
#[derive(Debug, Default)]
pub struct IndexRuntime {
    usable_from: AtomicU64,
    stage: Stage,
}

/// Where an index stands between coming and going.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
enum Stage {
    #[default]
    Usable,
    Filling,
    Leaving,
}

impl IndexRuntime {
    /// Of an index that has what every snapshot from this commit on sees.
    pub fn of_usable_from(timestamp: Lsn) -> IndexRuntime {
        let runtime = IndexRuntime::default();
        runtime.set_usable_from(timestamp);
        runtime
    }

    /// Of an index that is being filled beside writers.
    pub fn of_unfinished() -> IndexRuntime {
        IndexRuntime { stage: Stage::Filling, ..IndexRuntime::default() }
    }

    /// Of an index that goes as soon as those have ended who may read it.
    pub fn of_leaving() -> IndexRuntime {
        IndexRuntime { stage: Stage::Leaving, ..IndexRuntime::default() }
    }

    /// Whether the index is still being filled, or leaves: writers keep it, and nobody begins to read it. Such a definition
    /// is never stored.
    pub fn is_unfinished(&self) -> bool {
        self.stage != Stage::Usable
    }

    /// Whether the index lacks entries.
    pub fn is_filling(&self) -> bool {
        self.stage == Stage::Filling
    }

    /// Snapshots before this commit do not see the entries of rows that they do see: the index was made after
    /// them. Zero for an index that is as old as the process or as its table.
    pub fn usable_from(&self) -> Lsn {
        Lsn(self.usable_from.load(Ordering::Acquire))
    }

    /// The index was made by the commit `timestamp`.
    pub fn set_usable_from(&self, timestamp: Lsn) {
        self.usable_from.store(timestamp.0, Ordering::Release);
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct TableRuntime {
    /// Row ids of a table without an integer primary key.
    pub row_ids: Counter,
    /// Ids of large values.
    pub value_ids: Counter,
    readable_from: AtomicU64,
    format: OnceLock<RowFormat>,
}

impl TableRuntime {
    /// Snapshots before this commit would miss rows: they were written anew by it. Zero for a table whose rows are as
    /// old as the process or as the table.
    #[inline]
    pub fn readable_from(&self) -> Lsn {
        Lsn(self.readable_from.load(Ordering::Acquire))
    }

    /// All rows were written anew by the commit `timestamp`.
    pub fn set_readable_from(&self, timestamp: Lsn) {
        self.readable_from.store(timestamp.0, Ordering::Release);
    }

    /// The format of rows with these columns; a table's columns never change.
    pub fn format(&self, columns: &[SqlType]) -> &RowFormat {
        self.format.get_or_init(|| RowFormat::new(columns))
    }
}
