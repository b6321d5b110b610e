//! LISTEN and NOTIFY: what sessions of one database tell each other when they commit.
//!
//! What a transaction has to say waits with its session until the commit, in the order it was said, each message once.
//! Commits that say something go one after the other, from before their frame until their messages are handed out:
//! messages come in the order of the commits, and only of commits that stand and can be seen.
//!
//! A listener's messages wait in memory until it asks for them, charged to the memory account. Whoever does not ask
//! loses them when they outgrow their bound, and is told so (54000) when it asks: no commit fails, or waits, for one
//! who does not listen.
//! Knows sessions by number. Knows nothing of statements.

use crate::common::event_count::EventCount;
use crate::common::limits::NOTIFICATION_BYTES_MAX;
use crate::common::memory::{MemoryAccount, Reservation};
use crate::common::sync::{Arc, Mutex, MutexGuard};
use crate::error::{Error, Result, SqlState};
use hashbrown::{HashMap, HashSet};
use std::cell::RefCell;
use std::collections::VecDeque;

/// A message that has arrived.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Notification {
    /// The session that sent it.
    pub session: u64,
    /// Where it was sent.
    pub channel: Arc<str>,
    /// What it says.
    pub payload: Arc<str>,
}

impl Notification {
    fn memory_bytes(&self) -> usize {
        size_of::<Notification>() + self.channel.len() + self.payload.len()
    }
}

/// A session that listens.
struct Listener {
    /// In the order in which it began to listen to them.
    channels: Vec<Arc<str>>,
    waiting: VecDeque<Notification>,
    memory: Reservation,
    /// Messages were lost since it asked last.
    overflowed: bool,
    /// What it sleeps on, if it may sleep; it moves once, with the next message.
    sleeps_on: Option<Arc<dyn EventCount>>,
}

/// Who listens to what in a database, and what waits for them. Threads: any.
pub struct NotificationHub {
    order: Mutex<()>,
    listeners: Mutex<HashMap<u64, Listener>>,
    memory: Arc<MemoryAccount>,
}

impl std::fmt::Debug for NotificationHub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NotificationHub").finish_non_exhaustive()
    }
}

impl NotificationHub {
    /// Nobody listens yet.
    pub fn new(memory: Arc<MemoryAccount>) -> NotificationHub {
        NotificationHub { order: Mutex::new(()), listeners: Mutex::new(HashMap::new()), memory }
    }

    /// Held from before a commit until its messages are handed out.
    pub(crate) fn order(&self) -> MutexGuard<'_, ()> {
        self.order.lock()
    }

    /// Carries out what the committed transaction of `session` said.
    pub(crate) fn deliver(&self, session: u64, said: Said) {
        let mut listeners = self.listeners.lock();
        for change in said.listening {
            match change {
                Listening::To(channel) => {
                    let listener = listeners.entry(session).or_insert_with(|| Listener {
                        channels: Vec::new(),
                        waiting: VecDeque::new(),
                        memory: self.memory.reservation(),
                        overflowed: false,
                        sleeps_on: None,
                    });
                    if !listener.channels.contains(&channel) {
                        listener.channels.push(channel);
                    }
                }
                Listening::NotTo(channel) => {
                    if let Some(listener) = listeners.get_mut(&session) {
                        listener.channels.retain(|known| *known != channel);
                    }
                }
                Listening::ToNothing => {
                    if let Some(listener) = listeners.get_mut(&session) {
                        listener.channels.clear();
                    }
                }
            }
        }
        if said.messages.is_empty() {
            return;
        }
        for listener in listeners.values_mut() {
            for (channel, payload) in &said.messages {
                if listener.channels.contains(channel) {
                    let (channel, payload) = (Arc::clone(channel), Arc::clone(payload));
                    listener.take(Notification { session, channel, payload });
                }
            }
            if listener.has_news()
                && let Some(events) = listener.sleeps_on.take()
            {
                events.advance();
            }
        }
    }

    /// The next message of a session, in the order in which they were committed.
    /// # Errors
    /// `54000`, once, when messages were lost because it did not ask for so long.
    pub(crate) fn next(&self, session: u64) -> Result<Option<Notification>> {
        self.listeners.lock().get_mut(&session).map_or(Ok(None), Listener::give)
    }

    /// As [`NotificationHub::next`]; where there is none, the next one to come moves `events`.
    /// # Errors
    /// As [`NotificationHub::next`].
    pub(crate) fn next_or_tell(
        &self,
        session: u64,
        events: &Arc<dyn EventCount>,
    ) -> Result<Option<Notification>> {
        let mut listeners = self.listeners.lock();
        let Some(listener) = listeners.get_mut(&session) else { return Ok(None) };
        listener.sleeps_on = (!listener.has_news()).then(|| Arc::clone(events));
        listener.give()
    }

    /// The channels that a session listens to, in the order in which it began to.
    pub(crate) fn channels(&self, session: u64) -> Vec<Arc<str>> {
        self.listeners.lock().get(&session).map(|listener| listener.channels.clone()).unwrap_or_default()
    }

    /// How full the fullest queue is, from 0 to 1.
    pub(crate) fn usage(&self) -> f64 {
        let listeners = self.listeners.lock();
        let most = listeners.values().map(|listener| listener.memory.bytes()).max().unwrap_or(0);
        most as f64 / NOTIFICATION_BYTES_MAX as f64
    }

    /// The session ends, or is as good as new: it listens to nothing and nothing waits for it.
    pub(crate) fn leave(&self, session: u64) {
        self.listeners.lock().remove(&session);
    }
}

impl Listener {
    fn has_news(&self) -> bool {
        self.overflowed || !self.waiting.is_empty()
    }

    fn take(&mut self, message: Notification) {
        if self.overflowed {
            return;
        }
        let bytes = message.memory_bytes();
        if self.memory.bytes() + bytes > NOTIFICATION_BYTES_MAX || self.memory.grow(bytes).is_err() {
            self.waiting = VecDeque::new();
            // Less than before: that is never refused.
            let _ = self.memory.resize(0);
            self.overflowed = true;
            return;
        }
        self.waiting.push_back(message);
    }

    fn give(&mut self) -> Result<Option<Notification>> {
        if std::mem::take(&mut self.overflowed) {
            return Err(Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "notifications were lost")
                .detail(format!(
                    "More than {NOTIFICATION_BYTES_MAX} bytes of them, or than memory was left for, waited to be \
                     asked for."
                ))
                .hint("Look at everything anew that they tell of, and ask for notifications more often."));
        }
        let Some(message) = self.waiting.pop_front() else { return Ok(None) };
        let _ = self.memory.resize(self.memory.bytes().saturating_sub(message.memory_bytes()));
        Ok(Some(message))
    }
}

/// A change of what a session listens to.
enum Listening {
    To(Arc<str>),
    NotTo(Arc<str>),
    ToNothing,
}

/// A channel and what is said there.
type Message = (Arc<str>, Arc<str>);

/// What a transaction has said so far.
#[derive(Default)]
pub(crate) struct Said {
    listening: Vec<Listening>,
    /// In the order in which they were said, each once.
    messages: Vec<Message>,
    known: HashSet<Message>,
    memory: Option<Reservation>,
}

impl Said {
    pub(crate) fn has_messages(&self) -> bool {
        !self.messages.is_empty()
    }

    fn grow(&mut self, bytes: usize, account: &Arc<MemoryAccount>) -> Result<()> {
        self.memory.get_or_insert_with(|| account.reservation()).grow(bytes)
    }
}

/// A place in what a transaction has said, to go back to.
#[derive(Clone, Copy, Default)]
pub(crate) struct SaidMark {
    listening: usize,
    messages: usize,
}

/// What the open transactions of a session have said; a session has several where portals outside a block are open.
#[derive(Default)]
pub(crate) struct SaidByBlock(RefCell<Vec<(u64, Said)>>);

impl SaidByBlock {
    /// Forgets what all blocks but those for which `is_open` is true have said.
    pub(crate) fn keep(&self, is_open: impl Fn(u64) -> bool) {
        let mut said = self.0.borrow_mut();
        if !said.is_empty() {
            said.retain(|(block, _)| is_open(*block));
        }
    }

    /// What a block has said, taken out; `None`: nothing.
    pub(crate) fn take(&self, block: u64) -> Option<Said> {
        let mut said = self.0.borrow_mut();
        let index = said.iter().position(|(known, _)| *known == block)?;
        Some(said.swap_remove(index).1)
    }

    pub(crate) fn mark(&self, block: u64) -> SaidMark {
        let said = self.0.borrow();
        said.iter().find(|(known, _)| *known == block).map_or(SaidMark::default(), |(_, said)| SaidMark {
            listening: said.listening.len(),
            messages: said.messages.len(),
        })
    }

    /// Forgets what a block has said since `mark`.
    pub(crate) fn return_to(&self, block: u64, mark: SaidMark) {
        let mut said = self.0.borrow_mut();
        let Some((_, said)) = said.iter_mut().find(|(known, _)| *known == block) else { return };
        said.listening.truncate(mark.listening);
        let Said { messages, known, .. } = said;
        for message in messages.drain(mark.messages..) {
            known.remove(&message);
        }
    }

    fn with<R>(&self, block: u64, act: impl FnOnce(&mut Said) -> Result<R>) -> Result<R> {
        let mut said = self.0.borrow_mut();
        let index = said.iter().position(|(known, _)| *known == block).unwrap_or_else(|| {
            said.push((block, Said::default()));
            said.len() - 1
        });
        act(&mut said[index].1)
    }

    /// NOTIFY.
    /// # Errors
    /// `22023` for a channel or payload that cannot be; `53200`.
    pub(crate) fn notify(
        &self,
        block: u64,
        channel: &str,
        payload: &str,
        account: &Arc<MemoryAccount>,
    ) -> Result<()> {
        let refused = |message: &str| Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, message));
        if channel.is_empty() {
            return refused("channel name cannot be empty");
        }
        if channel.len() > crate::common::limits::IDENTIFIER_BYTES_MAX {
            return refused("channel name too long");
        }
        if payload.len() > crate::common::limits::NOTIFICATION_PAYLOAD_BYTES_MAX {
            return refused("payload string too long");
        }
        self.with(block, |said| {
            let message: Message = (channel.into(), payload.into());
            if said.known.contains(&message) {
                return Ok(());
            }
            said.grow(2 * size_of::<Message>() + channel.len() + payload.len(), account)?;
            said.known.insert(message.clone());
            said.messages.push(message);
            Ok(())
        })
    }

    /// LISTEN.
    /// # Errors
    /// `53200`.
    pub(crate) fn listen(&self, block: u64, channel: &str, account: &Arc<MemoryAccount>) -> Result<()> {
        self.with(block, |said| {
            said.grow(size_of::<Listening>() + channel.len(), account)?;
            said.listening.push(Listening::To(channel.into()));
            Ok(())
        })
    }

    /// UNLISTEN; `None`: all channels.
    /// # Errors
    /// `53200`.
    pub(crate) fn unlisten(
        &self,
        block: u64,
        channel: Option<&str>,
        account: &Arc<MemoryAccount>,
    ) -> Result<()> {
        self.with(block, |said| {
            said.grow(size_of::<Listening>() + channel.map_or(0, str::len), account)?;
            said.listening
                .push(channel.map_or(Listening::ToNothing, |channel| Listening::NotTo(channel.into())));
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(listen: &[&str], messages: &[(&str, &str)]) -> Said {
        let mut said = Said::default();
        said.listening.extend(listen.iter().map(|channel| Listening::To((*channel).into())));
        said.messages
            .extend(messages.iter().map(|(channel, payload)| ((*channel).into(), (*payload).into())));
        said
    }

    #[test]
    fn a_message_goes_to_those_who_listen_to_its_channel() {
        let hub = NotificationHub::new(MemoryAccount::new(1 << 20));
        hub.deliver(1, said(&["a"], &[("a", "own")]));
        hub.deliver(2, said(&["b"], &[]));
        hub.deliver(3, said(&[], &[("a", "x"), ("b", "y")]));
        let texts = |session| {
            let mut texts = Vec::new();
            while let Some(message) = hub.next(session).unwrap() {
                texts.push((message.session, message.payload.to_string()));
            }
            texts
        };
        assert_eq!(texts(1), [(1, String::from("own")), (3, String::from("x"))]);
        assert_eq!(texts(2), [(3, String::from("y"))]);
        hub.leave(1);
        hub.deliver(3, said(&[], &[("a", "z")]));
        assert_eq!(texts(1), []);
    }

    #[test]
    fn who_does_not_ask_loses_messages_and_is_told_once() {
        let account = MemoryAccount::new(64 << 20);
        let hub = NotificationHub::new(Arc::clone(&account));
        hub.deliver(1, said(&["a"], &[]));
        let long = "x".repeat(7000);
        for _ in 0..NOTIFICATION_BYTES_MAX / 7000 + 1 {
            hub.deliver(2, said(&[], &[("a", &long)]));
        }
        assert_eq!(hub.next(1).unwrap_err().state(), SqlState::PROGRAM_LIMIT_EXCEEDED);
        assert!(hub.next(1).unwrap().is_none());
        hub.deliver(2, said(&[], &[("a", "again")]));
        assert_eq!(&*hub.next(1).unwrap().unwrap().payload, "again");
        assert_eq!(account.used(), 0);
    }
}
