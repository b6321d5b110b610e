//! Judges a history of lists. Every value is appended once and reads show whole lists, so the longest read of a list
//! says in which order its values came, who overwrote whom (ww), who read whose value (wr) and who read what somebody
//! overwrote (rw). Knows histories. Knows nothing of databases.

use crate::anomaly::{Anomaly, Finding};
use crate::graph::{Edge, EdgeKind, Graph};
use crate::history::{Level, Operation, Outcome, Transaction};
use hashbrown::{HashMap, HashSet};

/// What was looked at, and what was found.
#[derive(Debug, Default)]
pub struct Judgement {
    /// What the level of the history forbids.
    pub findings: Vec<Finding>,
    /// What it allows and what happened.
    pub allowed: Vec<Finding>,
    /// Figures.
    pub figures: Figures,
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// Transactions.
    pub transactions: usize,
    /// Of them, rolled back or refused.
    pub aborted: usize,
    /// Of them, with an unknown outcome.
    pub unknown: usize,
    /// Reads, by key and by range.
    pub reads: usize,
    /// Appends of committed transactions.
    pub appends: usize,
    /// Edges between transactions.
    pub edges: usize,
    /// Circles that were looked at.
    pub cycles: usize,
}

impl Figures {
    /// Adds another history's.
    pub fn add(&mut self, other: &Figures) {
        self.transactions += other.transactions;
        self.aborted += other.aborted;
        self.unknown += other.unknown;
        self.reads += other.reads;
        self.appends += other.appends;
        self.edges += other.edges;
        self.cycles += other.cycles;
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} transactions, {} aborted, {} unknown, {} reads, {} appends, {} edges, {} cycles looked at",
            self.transactions, self.aborted, self.unknown, self.reads, self.appends, self.edges, self.cycles
        )
    }
}

/// Judges transactions that all ran at `level` or above it.
pub fn judge(transactions: &[Transaction], level: Level) -> Judgement {
    let mut judge = Judge {
        transactions,
        writers: HashMap::new(),
        lists: HashMap::new(),
        committed: transactions.iter().map(|one| one.outcome == Outcome::Committed).collect(),
        seen: Vec::new(),
        found: Vec::new(),
        edges: Vec::new(),
    };
    judge.collect_writers();
    judge.collect_reads();
    judge.collect_lists();
    judge.check_lists();
    judge.check_reads();
    judge.check_lost();
    judge.connect();
    judge.connect_real_time();
    let graph = Graph::new(transactions.len(), std::mem::take(&mut judge.edges));
    let cycles = graph.cycles();
    for cycle in &cycles.found {
        let (anomaly, realtime) = cycle.classify();
        judge.found.push(Finding { anomaly, realtime, text: cycle.describe() });
    }
    let figures = Figures {
        transactions: transactions.len(),
        aborted: transactions.iter().filter(|one| one.outcome == Outcome::Aborted).count(),
        unknown: transactions.iter().filter(|one| one.outcome == Outcome::Unknown).count(),
        reads: judge.seen.len(),
        appends: judge.writers.values().filter(|write| judge.committed[write.transaction]).count(),
        edges: graph.edge_count(),
        cycles: cycles.looked_at,
    };
    let (allowed, findings) = judge.found.into_iter().partition(|one| one.anomaly.is_allowed_at(level));
    Judgement { findings, allowed, figures }
}

/// An append.
#[derive(Clone, Copy)]
struct Write {
    transaction: usize,
    key: u64,
    /// It was undone by a return to a savepoint.
    undone: bool,
    /// The transaction's last one to this list.
    last: bool,
}

/// What a read showed of others' appends.
struct Seen {
    transaction: usize,
    key: u64,
    what: Shown,
}

enum Shown {
    /// The list without the reader's own values, and with them if they stayed.
    List { others: Vec<u64>, own: Vec<u64> },
    /// Others' values are fewer than `low`, or `high` and more.
    Outside { low: usize, high: usize },
}

struct Judge<'h> {
    transactions: &'h [Transaction],
    writers: HashMap<u64, Write>,
    /// The order of every list's values.
    lists: HashMap<u64, Vec<u64>>,
    /// Acknowledged, or unknown and seen by somebody.
    committed: Vec<bool>,
    seen: Vec<Seen>,
    found: Vec<Finding>,
    edges: Vec<Edge>,
}

impl Judge<'_> {
    fn find(&mut self, anomaly: Anomaly, text: String) {
        self.found.push(Finding::new(anomaly, text));
    }

    fn collect_writers(&mut self) {
        for (number, transaction) in self.transactions.iter().enumerate() {
            let mut own: Vec<(u64, u64)> = Vec::new();
            let mut savepoints = Vec::new();
            for operation in &transaction.operations {
                match operation {
                    Operation::Append { key, value } => {
                        own.push((*key, *value));
                        let write = Write { transaction: number, key: *key, undone: true, last: false };
                        if self.writers.insert(*value, write).is_some() {
                            self.find(Anomaly::DuplicateElement, format!("{value} was appended twice"));
                        }
                    }
                    Operation::Savepoint => savepoints.push(own.len()),
                    Operation::RollBackToSavepoint => own.truncate(savepoints.last().copied().unwrap_or(0)),
                    Operation::ReleaseSavepoint => drop(savepoints.pop()),
                    Operation::Read { .. } | Operation::Outside { .. } => {}
                }
            }
            let mut last_of = HashSet::new();
            for (key, value) in own.iter().rev() {
                if let Some(write) = self.writers.get_mut(value) {
                    write.undone = false;
                    write.last = last_of.insert(*key);
                }
            }
        }
    }

    /// Takes the reader's own values off what it saw, and looks whether it agrees with itself.
    fn collect_reads(&mut self) {
        for (number, transaction) in self.transactions.iter().enumerate() {
            let mut own: Vec<(u64, u64)> = Vec::new();
            let mut savepoints = Vec::new();
            let is_stable = transaction.level > Level::ReadCommitted;
            let mut known: HashMap<u64, Vec<u64>> = HashMap::new();
            let mut outside: Vec<(u64, usize, usize)> = Vec::new();
            for operation in &transaction.operations {
                let own_of = |own: &[(u64, u64)], key: u64| -> Vec<u64> {
                    own.iter().filter(|(of, _)| *of == key).map(|(_, value)| *value).collect()
                };
                match operation {
                    Operation::Append { key, value } => own.push((*key, *value)),
                    Operation::Savepoint => savepoints.push(own.len()),
                    Operation::RollBackToSavepoint => own.truncate(savepoints.last().copied().unwrap_or(0)),
                    Operation::ReleaseSavepoint => drop(savepoints.pop()),
                    Operation::Read { key, list } => {
                        let mine = own_of(&own, *key);
                        if !list.ends_with(&mine) {
                            let text = format!("T{number} appended {mine:?} to {key} and read {list:?}");
                            self.find(Anomaly::Internal, text);
                            continue;
                        }
                        let others = list[..list.len() - mine.len()].to_vec();
                        if is_stable {
                            let before = known.entry(*key).or_insert_with(|| others.clone());
                            if *before != others {
                                let text = format!("T{number} read {before:?} of {key}, and then {others:?}");
                                self.find(Anomaly::NonRepeatableRead, text);
                            }
                            let is_in = |(of, low, high): &&(u64, usize, usize)| {
                                of == key && (*low..*high).contains(&others.len())
                            };
                            if let Some((_, low, high)) = outside.iter().find(is_in) {
                                let text = format!(
                                    "T{number} found {key} not among those of {low} to {high}, and read {others:?}"
                                );
                                self.find(Anomaly::Phantom, text);
                            }
                        }
                        let stays = mine.iter().all(|value| !self.writers[value].undone);
                        let own = if stays { mine } else { Vec::new() };
                        self.seen.push(Seen {
                            transaction: number,
                            key: *key,
                            what: Shown::List { others, own },
                        });
                    }
                    Operation::Outside { key, low, high } => {
                        let mine = own_of(&own, *key).len();
                        if mine >= *low && mine < *high && known.get(key).is_some_and(Vec::is_empty) {
                            let text =
                                format!("T{number} appended {mine} values to {key} and did not find it");
                            self.find(Anomaly::Internal, text);
                            continue;
                        }
                        let (low, high) = (low.saturating_sub(mine), high.saturating_sub(mine));
                        if is_stable {
                            if let Some(before) = known.get(key)
                                && (low..high).contains(&before.len())
                            {
                                let text = format!(
                                    "T{number} read {before:?} of {key}, and did not find it among those of {low} to {high}"
                                );
                                self.find(Anomaly::Phantom, text);
                            }
                            outside.push((*key, low, high));
                        }
                        let what = Shown::Outside { low, high };
                        self.seen.push(Seen { transaction: number, key: *key, what });
                    }
                }
            }
        }
    }

    /// The longest read of every list, and who is committed after all.
    fn collect_lists(&mut self) {
        for seen in &self.seen {
            let Shown::List { others, own } = &seen.what else { continue };
            // What an aborted reader saw of others must be right, too; its own values are nobody's.
            let own = if self.committed[seen.transaction] { own.as_slice() } else { &[] };
            let list = self.lists.entry(seen.key).or_default();
            if others.len() + own.len() > list.len() {
                list.clear();
                list.extend_from_slice(others);
                list.extend_from_slice(own);
            }
        }
        for value in self.lists.values().flatten() {
            if let Some(write) = self.writers.get(value)
                && self.transactions[write.transaction].outcome == Outcome::Unknown
            {
                self.committed[write.transaction] = true;
            }
        }
    }

    fn keys(&self) -> Vec<u64> {
        let mut keys: Vec<u64> = self.lists.keys().copied().collect();
        keys.sort_unstable();
        keys
    }

    fn check_lists(&mut self) {
        for key in self.keys() {
            let list = self.lists[&key].clone();
            let mut there = HashSet::new();
            let mut dirty = None;
            for value in &list {
                if !there.insert(*value) {
                    self.find(Anomaly::DuplicateElement, format!("{value} is in {key} twice: {list:?}"));
                }
                match self.writers.get(value).copied() {
                    Some(write) if write.key == key => {
                        let is_there = self.committed[write.transaction] && !write.undone;
                        if !is_there {
                            let text =
                                format!("{value} of T{}, which was undone, is in {key}", write.transaction);
                            self.find(Anomaly::AbortedRead, text);
                            dirty = Some(*value);
                        } else if let Some(below) = dirty.take() {
                            let text = format!(
                                "T{} appended {value} to {key} after {below}, which was undone",
                                write.transaction
                            );
                            self.find(Anomaly::DirtyUpdate, text);
                        }
                    }
                    _ => self.find(Anomaly::UnknownElement, format!("{value} is in {key}")),
                }
            }
        }
    }

    fn check_reads(&mut self) {
        let mut found = Vec::new();
        for seen in &self.seen {
            let Shown::List { others, .. } = &seen.what else { continue };
            let list = &self.lists[&seen.key];
            if !list.starts_with(others) {
                let text = format!("T{} read {others:?} of {}, another {list:?}", seen.transaction, seen.key);
                found.push(Finding::new(Anomaly::IncompatibleOrder, text));
            }
            let Some(value) = others.last() else { continue };
            if let Some(write) = self.writers.get(value)
                && write.transaction != seen.transaction
                && !write.last
                && !write.undone
            {
                let text = format!(
                    "T{} read {value} of {}, to which T{} appended more",
                    seen.transaction, seen.key, write.transaction
                );
                found.push(Finding::new(Anomaly::IntermediateRead, text));
            }
        }
        self.found.append(&mut found);
    }

    /// Acknowledged appends that somebody who began later did not see. (Circles show them as well, and others.)
    fn check_lost(&mut self) {
        let mut latest: HashMap<u64, (u64, usize)> = HashMap::new();
        for seen in self.seen.iter().filter(|seen| matches!(seen.what, Shown::List { .. })) {
            let began = self.transactions[seen.transaction].began;
            let latest = latest.entry(seen.key).or_insert((began, seen.transaction));
            *latest = (*latest).max((began, seen.transaction));
        }
        let there: HashSet<u64> = self.lists.values().flatten().copied().collect();
        let mut lost: Vec<(u64, Write)> = self
            .writers
            .iter()
            .filter(|(value, write)| {
                let transaction = &self.transactions[write.transaction];
                let is_late = |(began, _): &(u64, usize)| *began > transaction.ended;
                transaction.outcome == Outcome::Committed
                    && !write.undone
                    && !there.contains(*value)
                    && latest.get(&write.key).is_some_and(is_late)
            })
            .map(|(value, write)| (*value, *write))
            .collect();
        lost.sort_unstable_by_key(|(value, _)| *value);
        for (value, write) in lost {
            let text =
                format!("{value}, which T{} appended to {}, is not there", write.transaction, write.key);
            self.find(Anomaly::LostUpdate, text);
        }
    }

    fn edge(&mut self, from: usize, to: usize, kind: EdgeKind) {
        if self.committed[from] && self.committed[to] && from != to {
            self.edges.push(Edge { from: from as u32, to: to as u32, kind });
        }
    }

    fn connect(&mut self) {
        // Appends that nobody saw come behind all that somebody saw.
        let there: HashSet<u64> = self.lists.values().flatten().copied().collect();
        let mut unseen: HashMap<u64, Vec<usize>> = HashMap::new();
        for (value, write) in &self.writers {
            if self.committed[write.transaction] && !write.undone && !there.contains(value) {
                unseen.entry(write.key).or_default().push(write.transaction);
            }
        }
        let writer = |judge: &Self, value: &u64| judge.writers.get(value).map(|write| write.transaction);
        for key in self.keys() {
            let list = self.lists[&key].clone();
            for pair in list.windows(2) {
                if let (Some(from), Some(to)) = (writer(self, &pair[0]), writer(self, &pair[1])) {
                    self.edge(from, to, EdgeKind::WriteWrite);
                }
            }
            if let Some(from) = list.last().and_then(|value| writer(self, value)) {
                for to in unseen.get(&key).cloned().unwrap_or_default() {
                    self.edge(from, to, EdgeKind::WriteWrite);
                }
            }
        }
        let seen = std::mem::take(&mut self.seen);
        for seen in &seen {
            let reader = seen.transaction;
            let is_stable = self.transactions[reader].level > Level::ReadCommitted;
            let empty = Vec::new();
            let list = self.lists.get(&seen.key).unwrap_or(&empty);
            // Others' values that the reader saw are the first so many of the list.
            let (last, next) = match &seen.what {
                Shown::List { others, .. } => {
                    let last = others.last().and_then(|value| writer(self, value));
                    let next = list.get(others.len()).and_then(|value| writer(self, value));
                    (
                        last,
                        next.map(|next| (next, false))
                            .or(Some((0, true)).filter(|_| others.len() >= list.len())),
                    )
                }
                Shown::Outside { low, high } => {
                    // That it saw `high` values is out of the question if they never were, or came later.
                    let too_many = high.checked_sub(1).and_then(|at| list.get(at));
                    let was_short = too_many.is_none_or(|value| {
                        writer(self, value).is_some_and(|writer| {
                            self.transactions[writer].began > self.transactions[reader].ended
                        })
                    });
                    let first_unseen = low.checked_sub(1).and_then(|at| list.get(at));
                    let next = first_unseen.and_then(|value| writer(self, value)).filter(|_| was_short);
                    (None, next.map(|next| (next, false)))
                }
            };
            if let Some(last) = last {
                self.edge(last, reader, EdgeKind::WriteRead);
            }
            if !is_stable {
                continue;
            }
            match next {
                Some((next, false)) => self.edge(reader, next, EdgeKind::ReadWrite),
                Some((_, true)) => {
                    for next in unseen.get(&seen.key).cloned().unwrap_or_default() {
                        self.edge(reader, next, EdgeKind::ReadWrite);
                    }
                }
                None => {}
            }
        }
        self.seen = seen;
    }

    /// Who was acknowledged before whom began: edges from the newest such transactions alone, the others follow.
    fn connect_real_time(&mut self) {
        let mut events: Vec<(u64, bool, usize)> = Vec::new();
        for (number, transaction) in self.transactions.iter().enumerate() {
            if self.committed[number] {
                events.push((transaction.began, false, number));
                if transaction.outcome == Outcome::Committed {
                    events.push((transaction.ended, true, number));
                }
            }
        }
        events.sort_unstable();
        let mut newest: Vec<usize> = Vec::new();
        let mut before: HashMap<usize, Vec<usize>> = HashMap::new();
        for (_, is_end, number) in events {
            if is_end {
                let covered = before.remove(&number).unwrap_or_default();
                newest.retain(|other| !covered.contains(other));
                newest.push(number);
            } else {
                for other in &newest {
                    self.edges.push(Edge {
                        from: *other as u32,
                        to: number as u32,
                        kind: EdgeKind::RealTime,
                    });
                }
                before.insert(number, newest.clone());
            }
        }
    }
}
