//! Deferred constraints: looked at when the transaction commits, or when SET CONSTRAINTS asks for it.

use crate::error::Result;
use crate::session::block::Block;
use crate::session::session::Session;
use crate::sql::executor;

impl Session {
    /// What comes before a commit: everything that waits for the end of the transaction is looked at.
    /// # Errors
    /// The constraint that is broken; the transaction is then to be rolled back.
    #[inline]
    pub(crate) fn check_deferred(&self, block: &mut Block) -> Result<()> {
        if block.pending.has_deferred() { self.check_waiting(true, block) } else { Ok(()) }
    }

    #[cold]
    fn check_waiting(&self, at_end: bool, block: &mut Block) -> Result<()> {
        block.transaction.start_statement()?;
        let result = executor::check_deferred(at_end, &mut self.context(block, &[]));
        block.transaction.end_statement();
        result
    }
}
