//! Transaction blocks: begun, given modes, committed, rolled back, failed.

use crate::common::ids::Lsn;
use crate::error::{Error, Result, SqlState};
use crate::session::block::{Block, Modes, WantedModes};
use crate::session::result::{PreparedKind, TransactionStatus};
use crate::session::savepoint::{BlockMark, Savepoints};
use crate::session::session::Session;
use crate::sql::executor::PendingChecks;
use crate::sql::plan::logical::LockStrength;
use crate::transaction::types::IsolationLevel;

impl Session {
    /// Begins a transaction block; `None` takes the session's default level.
    /// # Errors
    /// `25001` inside a block.
    pub fn begin(&mut self, isolation: Option<IsolationLevel>, read_only: bool) -> Result<()> {
        if self.transaction_status() != TransactionStatus::Idle {
            return Err(Error::new(
                SqlState::ACTIVE_SQL_TRANSACTION,
                "there is already a transaction in progress",
            ));
        }
        self.go_on()?;
        self.enter()?;
        self.cancel.start_statement();
        self.environment.start_statement();
        self.start_clocks();
        let read_only = Some(read_only || self.environment.settings.effects().modes_default.read_only);
        self.begin_block(WantedModes { isolation, read_only, deferrable: None }, false);
        self.leave(None, false);
        Ok(())
    }

    /// Begins a block.
    pub(crate) fn begin_block(&mut self, modes: WantedModes, implicit: bool) {
        let mut block = self.new_block(modes);
        block.implicit = implicit;
        self.environment.start_transaction(block.modes.isolation);
        self.environment.modes = block.modes;
        self.block_number += 1;
        self.block_modes = block.modes;
        self.block = Some(block);
    }

    pub(crate) fn new_block(&self, modes: WantedModes) -> Block {
        let mut modes = modes.or(self.environment.settings.effects().modes_default);
        modes.read_only |= self.engine.options.read_only;
        let transaction = self.manager.begin(modes.isolation, modes.read_only, self.cancel.clone());
        transaction.set_session(self.id());
        // What was said in blocks that came to nothing.
        if self.portals.is_empty() {
            let open = self.block.as_ref().map(|block| block.number);
            self.environment.said.keep(|block| Some(block) == open);
        }
        Block {
            transaction,
            number: self.environment.next_block(),
            modes,
            catalog: None,
            implicit: false,
            started: false,
            savepoints: Savepoints::default(),
            pending: PendingChecks::default(),
        }
    }

    /// Changes the modes of the open block: those that depend on the snapshot only before the first statement.
    pub(crate) fn set_block_modes(&mut self, wanted: WantedModes) -> Result<()> {
        let Some(block) = &self.block else { return Ok(()) };
        let modes = wanted.or(block.modes);
        if !block.started {
            let implicit = block.implicit;
            self.begin_block(modes.into(), implicit);
            return Ok(());
        }
        let refused = |message: &str| Err(Error::new(SqlState::ACTIVE_SQL_TRANSACTION, message));
        if modes.isolation != block.modes.isolation {
            return refused("SET TRANSACTION ISOLATION LEVEL must be called before any query");
        }
        if block.modes.read_only && !modes.read_only {
            return refused("transaction read-write mode must be set before any query");
        }
        if wanted.deferrable.is_some() {
            return refused("SET TRANSACTION [NOT] DEFERRABLE must be called before any query");
        }
        if let Some(block) = &mut self.block {
            block.modes = modes;
        }
        self.block_modes = modes;
        self.environment.modes = modes;
        Ok(())
    }

    /// Commits the block; gives the commit's LSN, or `None` when nothing was written.
    /// # Errors
    /// `25P01` outside a block; `40000` when an error had aborted it: it is then rolled back; what the commit
    /// raises: the transaction is then rolled back as well, except with `08007`.
    pub fn commit(&mut self) -> Result<Option<Lsn>> {
        let committed = match self.enter() {
            Ok(()) => self.commit_in_call(),
            Err(error) => {
                self.end_block(false);
                Err(error)
            }
        };
        self.leave(committed.as_ref().err(), false);
        committed
    }

    fn commit_in_call(&mut self) -> Result<Option<Lsn>> {
        match self.transaction_status() {
            TransactionStatus::Idle => {
                Err(Error::new(SqlState::NO_ACTIVE_SQL_TRANSACTION, "there is no transaction in progress"))
            }
            TransactionStatus::Failed => {
                self.end_block(false);
                Err(Error::new(
                    SqlState::TRANSACTION_ROLLBACK,
                    "the transaction was aborted by an error and has been rolled back",
                ))
            }
            TransactionStatus::Active => {
                self.cancel.start_statement();
                self.start_clocks();
                self.commit_block()
            }
        }
    }

    /// Begins a block with the modes of the one that ended last (AND CHAIN).
    pub(crate) fn begin_next_block(&mut self, modes: Modes) {
        self.begin_block(modes.into(), false);
    }

    /// Rolls the block back.
    /// # Errors
    /// `25P01` outside a block.
    pub fn rollback(&mut self) -> Result<()> {
        if self.transaction_status() == TransactionStatus::Idle {
            return Err(Error::new(
                SqlState::NO_ACTIVE_SQL_TRANSACTION,
                "there is no transaction in progress",
            ));
        }
        let entered = self.enter();
        self.end_block(false);
        self.leave(entered.as_ref().err(), false);
        entered
    }

    /// Runs a statement that is complete when it returns: in the open block, or in one of its own that is committed
    /// after it. What an error leaves undone is for the caller of [`Session::fail_block`].
    pub(crate) fn in_block<R>(
        &mut self,
        run: impl FnOnce(&mut Session, &mut Block) -> Result<R>,
    ) -> Result<R> {
        let autocommit = self.block.is_none();
        if autocommit {
            self.begin_block(WantedModes::default(), true);
        }
        let Some(mut block) = self.block.take() else {
            return Err(Error::internal("a statement without a transaction"));
        };
        let result = run(self, &mut block);
        block.started = true;
        block.transaction.end_statement();
        self.block = Some(block);
        let result = result?;
        if autocommit {
            self.commit_block()?;
        }
        Ok(result)
    }

    /// Commits the open block.
    pub(crate) fn commit_block(&mut self) -> Result<Option<Lsn>> {
        let Some(mut block) = self.block.take() else { return Ok(None) };
        let result =
            self.check_deferred(&mut block).and_then(|()| block.commit(&self.engine, &self.environment));
        self.end_block(result.is_ok());
        let committed = result?;
        if committed.is_some() {
            self.after_commit();
        }
        Ok(committed)
    }

    /// What the database does after each commit. It is no part of the statement: its failure is only told.
    pub(crate) fn after_commit(&mut self) {
        if let Err(error) = self.engine.after_commit() {
            self.notices.warning(error);
        }
        self.clear_leavings();
    }

    /// Forgets the block: what is left of it is rolled back, settings revert as they should.
    pub(crate) fn end_block(&mut self, committed: bool) {
        self.resume_quietly();
        if let Some(block) = self.block.take() {
            block.transaction.rollback();
        }
        self.failed = false;
        self.block_number += 1;
        self.environment.settings.end_transaction(committed);
        self.environment.end_transaction();
        self.environment.modes = self.environment.settings.effects().modes_default;
    }

    /// Whether the open block outlives errors, each of which undoes its own statement (`on_error`).
    fn keeps_block(&self) -> bool {
        self.environment.settings.effects().keeps_block
            && !self.failed
            && self.block.as_ref().is_some_and(|block| !block.implicit)
    }

    /// To be asked before a statement of the open block runs: what its error is to undo; `None`: the block.
    #[inline]
    pub(crate) fn statement_mark(&self, kind: PreparedKind) -> Option<BlockMark> {
        if kind.controls_transaction() || !self.keeps_block() { None } else { self.block_mark() }
    }

    /// A statement failed that began at `mark`.
    pub(crate) fn fail_statement(&mut self, mark: Option<BlockMark>) {
        match mark {
            Some(mark) if self.block.is_some() => self.return_to(&mark),
            _ => self.fail_block(),
        }
    }

    /// An error inside a block, of something that leaves nothing behind it: what the block did is undone at once, as far
    /// as its newest savepoint; its end, or a return to a savepoint, is awaited.
    pub(crate) fn fail_block(&mut self) {
        self.resume_quietly();
        if !self.keeps_block() {
            self.abort_block();
        }
    }

    fn abort_block(&mut self) {
        let Some(block) = &self.block else { return };
        if block.implicit {
            self.end_block(false);
            return;
        }
        if !self.failed
            && !self.return_to_newest_savepoint()
            && let Some(block) = self.block.take()
        {
            block.transaction.rollback();
        }
        self.failed = true;
        self.block_number += 1;
    }

    /// To be called when a call into the session panicked: its transaction is rolled back.
    pub fn after_panic(&mut self) {
        self.resume_quietly();
        for portal in self.portals.drain(..).filter_map(|portal| portal.upgrade()) {
            let mut state = portal.lock();
            state.execution = None;
            state.own = None;
            state.ready.clear();
        }
        self.cache.clear();
        self.environment.named.clear();
        self.arena.reset();
        if let Some(block) = self.block.take() {
            let implicit = block.implicit;
            block.transaction.rollback();
            self.failed = !implicit;
            self.block_number += 1;
            if implicit {
                self.end_block(false);
            }
        }
    }
}

/// Refuses writing statements in a read-only transaction.
pub(crate) fn refuse_if_read_only(block: &Block, kind: PreparedKind) -> Result<()> {
    if kind.writes() { refuse_read_only(block, kind.name()) } else { Ok(()) }
}

/// Refuses a query that locks rows in a read-only transaction.
pub(crate) fn refuse_locks_if_read_only(block: &Block, locks: Option<LockStrength>) -> Result<()> {
    match locks {
        Some(strength) => refuse_read_only(block, &format!("SELECT {}", strength.name())),
        None => Ok(()),
    }
}

/// Refuses `what`, which writes, in a read-only transaction.
pub(crate) fn refuse_read_only(block: &Block, what: &str) -> Result<()> {
    if block.modes.read_only {
        return Err(Error::new(
            SqlState::READ_ONLY_SQL_TRANSACTION,
            format!("cannot execute {what} in a read-only transaction"),
        ));
    }
    Ok(())
}
