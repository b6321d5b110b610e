//! The frames of one transaction: any number of chunks, then the frame that makes it count.
//! Knows operations and frames. Knows nothing of pages or versions.

use crate::common::cancel::CancelToken;
use crate::common::ids::{Lsn, TransactionId, TreeId};
use crate::common::limits::LOG_FRAME_PAYLOAD_MAX;
use crate::common::sync::{Arc, Mutex, MutexGuard};
use crate::error::Result;
use crate::storage::ApplyTicket;
use crate::storage::bulk::BuiltTree;
use crate::transaction::commit_history::{Footprint, SerializableReads};
use crate::transaction::lock_run::run_number;
use crate::transaction::manager::TransactionManager;
use crate::transaction::publish::PublishTicket;
use crate::transaction::scratch::Scratch;
use crate::transaction::tree_commit::SpilledOperations;
use crate::transaction::write_set::is_successor;
use crate::wal::entry::{Operation, OperationBuffer};
use crate::wal::frame::FrameKind;
use smallvec::SmallVec;

/// Upper bound of what an operation's encoding adds to its key and value.
const OPERATION_OVERHEAD_BYTES: usize = 32;
/// Operations that are read from temporary files at a time.
pub(super) const OPERATIONS_A_BLOCK: usize = 1024;
/// Puts under consecutive keys that are logged as one operation, at least.
const PUT_RUN_MIN: usize = 4;
/// A tree with more stretches of consecutive keys has them in no useful order.
const STRETCHES_MAX: usize = 16;

/// Looks at the commit mutex this often before sleeping: a small commit holds it for about a microsecond.
const SPINS: u32 = if cfg!(any(loom, shuttle)) { 0 } else { 50 };

type Key = SmallVec<[u8; 16]>;

/// Stretches of keys that were put into a tree and that no other key of their length lies between, in key order.
#[derive(Debug)]
pub(super) struct Stretches {
    pub(super) tree: TreeId,
    /// The first and the last key of each.
    keys: Vec<(Key, Key)>,
    /// There are too many, or keys that were not put.
    is_broken: bool,
}

impl Stretches {
    fn new(tree: TreeId) -> Stretches {
        Stretches { tree, keys: Vec::new(), is_broken: false }
    }

    fn add(&mut self, operation: &Operation<'_>) {
        let key = match operation {
            Operation::Put { key, .. } if !self.is_broken => *key,
            _ => return self.is_broken = true,
        };
        if let Some((_, last)) = self.keys.last_mut()
            && is_successor(last, key)
        {
            last.clear();
            last.extend_from_slice(key);
        } else if self.keys.len() < STRETCHES_MAX {
            self.keys.push((Key::from_slice(key), Key::from_slice(key)));
        } else {
            self.keys = Vec::new();
            self.is_broken = true;
        }
    }

    /// The first and the last key of each; none where they are too many to be of use.
    pub(super) fn keys(&self) -> &[(Key, Key)] {
        if self.is_broken { &[] } else { &self.keys }
    }
}

/// See the module.
pub(super) struct FrameStream<'a> {
    manager: &'a TransactionManager,
    id: TransactionId,
    ticket: Option<ApplyTicket<'a>>,
    pub(super) chunk_count: u32,
    first_lsn: Lsn,
    /// Of trees whose writes are in temporary files.
    pub(super) stretches: Vec<Stretches>,
}

impl<'a> FrameStream<'a> {
    pub(super) fn new(manager: &'a TransactionManager, id: TransactionId) -> FrameStream<'a> {
        FrameStream { manager, id, ticket: None, chunk_count: 0, first_lsn: Lsn::ZERO, stretches: Vec::new() }
    }

    /// Encodes the write set; what does not fit into one frame is logged in chunks, the rest is left in the buffer.
    pub(super) fn encode(&mut self, scratch: &mut Scratch, cancel: &CancelToken) -> Result<()> {
        let Scratch { writes, links, operations, .. } = scratch;
        operations.clear();
        for message in writes.messages() {
            self.push(operations, &message, cancel)?;
        }
        for built in links.of_existing_trees(writes) {
            self.push_link(operations, built, cancel)?;
        }
        for writes in writes.trees() {
            let tree = writes.tree();
            if writes.is_dropped() {
                self.push(operations, &Operation::TreeDrop { tree }, cancel)?;
                continue;
            }
            if writes.is_created() {
                self.push(operations, &Operation::TreeCreate { tree }, cancel)?;
                if let Some(built) = links.find(tree) {
                    self.push_link(operations, built, cancel)?;
                }
            }
            if writes.is_spilled() {
                let mut spilled = writes.spilled_operations()?;
                let mut stretches = Stretches::new(tree);
                while spilled.next_block(OPERATIONS_A_BLOCK)? {
                    spilled.block().for_each(|operation| stretches.add(&operation));
                    self.push_block(operations, &spilled, cancel)?;
                }
                self.stretches.push(stretches);
                continue;
            }
            for operation in writes.operations() {
                self.push(operations, &operation, cancel)?;
            }
            if let Some(rows) = writes.appended() {
                let value = |row| writes.appended_entry(row).1;
                self.push_run(operations, (tree, rows.first()), rows.len(), value, cancel)?;
            }
        }
        Ok(())
    }

    fn push(
        &mut self,
        operations: &mut OperationBuffer,
        operation: &Operation<'_>,
        cancel: &CancelToken,
    ) -> Result<()> {
        let bytes = match operation {
            Operation::Put { key, value, .. } => key.len() + value.len(),
            Operation::Delete { key, .. } | Operation::Max { key, .. } => key.len(),
            Operation::Or { key, bits, .. } => key.len() + bits.len(),
            Operation::Message { data } => data.len(),
            Operation::LinkPages { pages, .. } => {
                pages.runs.len() + pages.root.map_or(0, |root| root.image.len())
            }
            Operation::TreeCreate { .. } | Operation::TreeDrop { .. } | Operation::PutRun { .. } => 0,
        };
        let is_full = operations.len_bytes() + bytes + OPERATION_OVERHEAD_BYTES > LOG_FRAME_PAYLOAD_MAX;
        if is_full && operations.count() > 0 {
            cancel.check()?;
            self.append_chunk(operations)?;
        }
        operations.push(operation);
        Ok(())
    }

    fn push_link(
        &mut self,
        operations: &mut OperationBuffer,
        built: &BuiltTree,
        cancel: &CancelToken,
    ) -> Result<()> {
        let tree = built.id();
        built.link_operations(|pages| self.push(operations, &Operation::LinkPages { tree, pages }, cancel))
    }

    /// What was read from temporary files: puts under consecutive keys as runs.
    fn push_block(
        &mut self,
        operations: &mut OperationBuffer,
        spilled: &SpilledOperations,
        cancel: &CancelToken,
    ) -> Result<()> {
        let number = |index: usize| spilled.put(index).and_then(|(key, _)| run_number(key));
        let mut done = 0;
        while let Some(operation) = spilled.operation(done) {
            let mut end = done + 1;
            if let Some(first) = number(done) {
                while number(end).is_some_and(|next| next - first == (end - done) as u64) {
                    end += 1;
                }
                if end - done >= PUT_RUN_MIN {
                    let value = |row: usize| spilled.put(done + row).map_or(&[][..], |(_, value)| value);
                    self.push_run(operations, (spilled.tree(), first), end - done, value, cancel)?;
                    done = end;
                    continue;
                }
            }
            self.push(operations, &operation, cancel)?;
            done += 1;
        }
        Ok(())
    }

    /// Puts under consecutive keys, the first of them as a number, in as many operations as it takes.
    fn push_run<'v>(
        &mut self,
        operations: &mut OperationBuffer,
        (tree, first): (TreeId, u64),
        count: usize,
        value: impl Fn(usize) -> &'v [u8],
        cancel: &CancelToken,
    ) -> Result<()> {
        let mut done = 0;
        while done < count {
            let values = (done..count).map(&value);
            done += operations.push_run(tree, first + done as u64, values, LOG_FRAME_PAYLOAD_MAX) as usize;
            if done < count {
                cancel.check()?;
                self.append_chunk(operations)?;
            }
        }
        Ok(())
    }

    fn append_chunk(&mut self, operations: &mut OperationBuffer) -> Result<()> {
        let manager = self.manager;
        let ticket = self.ticket.get_or_insert_with(|| manager.storage.gate().enter());
        manager.log.prepare(operations.len_bytes())?;
        let kind = FrameKind::Chunk { sequence: self.chunk_count };
        let position = manager.log.append(kind, self.id, operations)?;
        if self.chunk_count == 0 {
            self.first_lsn = position.start;
            ticket.set_start(position.start);
        }
        self.chunk_count += 1;
        operations.clear();
        ticket.pause();
        Ok(())
    }

    /// Appends the frame that decides, unless what `reader` read has changed. `footprint`: what the
    /// commit writes, if somebody asked for it. An error: nothing counts.
    pub(super) fn append_last(
        self,
        scratch: &Scratch,
        reader: Option<&mut SerializableReads>,
        mut footprint: Option<Arc<Footprint>>,
    ) -> Result<(Lsn, ApplyTicket<'a>, Order<'a>)> {
        let manager = self.manager;
        let ticket = self.ticket.unwrap_or_else(|| manager.storage.gate().enter());
        let kind = match self.chunk_count {
            0 => FrameKind::Transaction,
            chunk_count => FrameKind::Commit { chunk_count, first_lsn: self.first_lsn },
        };
        let guard = manager.commit_mutex.lock();
        if footprint.is_none() && manager.history.is_recording() {
            // Somebody began to ask a moment ago.
            footprint = Some(Footprint::coarse(&scratch.writes, &scratch.links, &manager.memory));
        }
        if let Some(reader) = reader {
            // Few are left, and none can come any more.
            manager.history.compare(reader)?;
        }
        let position = manager.log.append(kind, self.id, &scratch.operations)?;
        let publication = manager.publish.join(position.end);
        let dropped = footprint
            .filter(|_| manager.history.is_recording())
            .map(|footprint| manager.history.push(position.end, footprint, manager.snapshots.visible()));
        drop(guard);
        drop(dropped);
        if self.chunk_count == 0 {
            ticket.set_start(position.start);
        }
        Ok((position.end, ticket, Order::Queued(publication)))
    }

    /// As [`FrameStream::append_last`], for a small commit without chunks that nobody compares with anything: it keeps
    /// the commit mutex, so that nobody waits for its publication but whoever wants the mutex. `None`: nothing happened;
    /// somebody is before it, or a checkpoint cuts.
    pub(super) fn append_alone(
        &self,
        scratch: &Scratch,
    ) -> Result<Option<(Lsn, ApplyTicket<'a>, Order<'a>)>> {
        let manager = self.manager;
        let guard = lock_soon(&manager.commit_mutex);
        if !manager.publish.is_empty() || manager.history.is_recording() {
            return Ok(None);
        }
        // Inside the mutex nobody waits for the gate: who closes it may wait for somebody who waits for the mutex.
        let Some(ticket) = manager.storage.gate().try_enter() else { return Ok(None) };
        let position = manager.log.append(FrameKind::Transaction, self.id, &scratch.operations)?;
        Ok(Some((position.end, ticket, Order::Alone(guard))))
    }
}

/// Locks what is mostly held for less time than it takes to sleep and to be woken.
fn lock_soon(mutex: &Mutex<()>) -> MutexGuard<'_, ()> {
    let mut spins = SPINS;
    while spins > 0 {
        if let Some(guard) = mutex.try_lock() {
            return guard;
        }
        std::hint::spin_loop();
        spins -= 1;
    }
    mutex.lock()
}

/// How a commit that is appended keeps its place among the others.
pub(super) enum Order<'a> {
    /// It is in the queue.
    Queued(PublishTicket),
    /// Everything before it is published, and nothing comes after it until it is, too.
    Alone(MutexGuard<'a, ()>),
}
