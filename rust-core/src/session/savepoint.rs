//! Savepoints: places in a transaction block that it can return to, and what an error in it undoes.
//! Knows what of a block and of its session can be undone; when that happens is for others to say.

use crate::catalog::snapshot::CatalogSnapshot;
use crate::common::memory::Reservation;
use crate::common::sync::Arc;
use crate::error::{Error, Result, SqlState};
use crate::session::block::Block;
use crate::session::notifications::SaidMark;
use crate::session::session::Session;
use crate::session::settings::SettingsMark;
use crate::sql::executor::PendingMark;
use crate::transaction::types::Savemark;

/// All that a block can go back to.
#[derive(Clone)]
pub(crate) struct BlockMark {
    transaction: Savemark,
    catalog: Option<Arc<CatalogSnapshot>>,
    read_only: bool,
    settings: SettingsMark,
    pending: PendingMark,
    said: SaidMark,
}

/// A name for a mark; a later one with the same name hides it.
struct Savepoint {
    name: Box<str>,
    mark: BlockMark,
}

/// A block's savepoints, the newest last, charged to the memory account.
#[derive(Default)]
pub(crate) struct Savepoints {
    list: Vec<Savepoint>,
    memory: Option<Reservation>,
}

impl Savepoint {
    fn memory_bytes(name: &str) -> usize {
        size_of::<Savepoint>() + name.len()
    }
}

impl Savepoints {
    fn truncate(&mut self, count: usize) {
        let gone: usize =
            self.list.drain(count..).map(|savepoint| Savepoint::memory_bytes(&savepoint.name)).sum();
        if let Some(memory) = &mut self.memory {
            // Less than before: that is never refused.
            let _ = memory.resize(memory.bytes().saturating_sub(gone));
        }
    }

    /// # Errors
    /// `3B001`.
    fn find(&self, name: &str) -> Result<usize> {
        self.list.iter().rposition(|savepoint| *savepoint.name == *name).ok_or_else(|| {
            Error::new(
                SqlState::INVALID_SAVEPOINT_SPECIFICATION,
                format!("savepoint \"{name}\" does not exist"),
            )
        })
    }
}

pub(crate) fn needs_block(what: &str) -> Error {
    Error::new(SqlState::NO_ACTIVE_SQL_TRANSACTION, format!("{what} can only be used in transaction blocks"))
}

impl Session {
    /// SAVEPOINT.
    /// # Errors
    /// `25P01` outside a block, `53200`.
    pub(crate) fn set_savepoint(&mut self, name: &str) -> Result<()> {
        let settings = self.environment.settings.mark();
        let said =
            self.block.as_ref().map_or(SaidMark::default(), |block| self.environment.said.mark(block.number));
        let memory = self.engine.memory.reservation();
        let block = self.explicit_block("SAVEPOINT")?;
        block.savepoints.memory.get_or_insert(memory).grow(Savepoint::memory_bytes(name))?;
        // The isolation level is the whole transaction's from here on.
        block.started = true;
        let mark = block.mark(settings, said);
        block.savepoints.list.push(Savepoint { name: name.into(), mark });
        Ok(())
    }

    /// RELEASE SAVEPOINT: what was done since stays.
    /// # Errors
    /// `25P01` outside a block, `3B001`.
    pub(crate) fn release_savepoint(&mut self, name: &str) -> Result<()> {
        let savepoints = &mut self.explicit_block("RELEASE SAVEPOINT")?.savepoints;
        savepoints.truncate(savepoints.find(name)?);
        Ok(())
    }

    /// ROLLBACK TO SAVEPOINT: what was done since is undone, be it in a block that failed; the savepoint stays.
    /// # Errors
    /// `25P01` outside a block, `3B001`.
    pub(crate) fn roll_back_to_savepoint(&mut self, name: &str) -> Result<()> {
        if self.failed && self.block.is_none() {
            // No savepoint was left when the error came, and so nothing of the transaction.
            return Savepoints::default().find(name).map(drop);
        }
        let savepoints = &mut self.explicit_block("ROLLBACK TO SAVEPOINT")?.savepoints;
        let at = savepoints.find(name)?;
        savepoints.truncate(at + 1);
        let mark = savepoints.list[at].mark.clone();
        self.return_to(&mark);
        self.failed = false;
        Ok(())
    }

    /// Undoes what a block did since its newest savepoint; false: it has none.
    pub(crate) fn return_to_newest_savepoint(&mut self) -> bool {
        let newest = self.block.as_ref().and_then(|block| block.savepoints.list.last());
        let Some(mark) = newest.map(|savepoint| savepoint.mark.clone()) else { return false };
        self.return_to(&mark);
        true
    }

    /// Where the open block stands; `None`: there is none.
    pub(crate) fn block_mark(&self) -> Option<BlockMark> {
        let block = self.block.as_ref()?;
        Some(block.mark(self.environment.settings.mark(), self.environment.said.mark(block.number)))
    }

    /// Undoes what the open block did since `mark`, which is its own.
    pub(crate) fn return_to(&mut self, mark: &BlockMark) {
        let Some(block) = &mut self.block else { return };
        block.transaction.rollback_to(mark.transaction);
        block.catalog.clone_from(&mark.catalog);
        block.modes.read_only = mark.read_only;
        block.pending.return_to(&mark.pending);
        self.environment.said.return_to(block.number, mark.said);
        self.environment.settings.return_to(&mark.settings);
        self.environment.modes.read_only = mark.read_only;
    }

    fn explicit_block(&mut self, what: &str) -> Result<&mut Block> {
        self.block.as_mut().filter(|block| !block.implicit).ok_or_else(|| needs_block(what))
    }
}

impl Block {
    fn mark(&self, settings: SettingsMark, said: SaidMark) -> BlockMark {
        BlockMark {
            transaction: self.transaction.savemark(),
            catalog: self.catalog.clone(),
            read_only: self.modes.read_only,
            settings,
            pending: self.pending.mark(),
            said,
        }
    }
}
