//! Lists in tables, appended to and read in every way that SQL has, by several threads, and recorded.
//!
//! Lists with even keys are a row each (`lists`: a text that grows, its length in an index), those with odd keys a row
//! a value (`items`, with the values in an index). A list that is long enough makes way for a new one.

use crate::anomaly::{Anomaly, Finding};
use crate::client::{Answer, Client, number, text};
use crate::history::{HistoryClock, Level, Operation, Outcome, Transaction};
use crate::references::{self, Drawn};
use lumos_core::common::random::Random;
use lumos_core::database::Database;
use lumos_core::error::{Error, Result, SqlState};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Values of a list before a new one takes its place.
const LENGTH_MAX: usize = 24;
/// A value of list `k` in `items` lies from `k << SHIFT` on, so that an index on values finds a list.
const SHIFT: u32 = 32;

/// How a history is made.
#[derive(Clone, Debug)]
pub struct WorkloadOptions {
    /// Transactions of all threads together.
    pub transactions: usize,
    /// Sessions that work at the same time.
    pub threads: usize,
    /// Lists that are worked on at a time.
    pub lists: usize,
    /// The levels that transactions ask for, one or the other.
    pub levels: Vec<Level>,
    /// One transaction in so many writes a checkpoint after it; 0: none does.
    pub checkpoint_every: u64,
    /// One transaction in so many changes so many rows that its writes move to temporary files; 0: none does.
    pub spill_every: u64,
    /// Transactions also change rows that refer to others and draw from sequences.
    pub references: bool,
    /// What chooses.
    pub seed: u64,
}

impl Default for WorkloadOptions {
    fn default() -> WorkloadOptions {
        WorkloadOptions {
            transactions: 2_000,
            threads: 4,
            lists: 8,
            levels: vec![Level::RepeatableRead],
            checkpoint_every: 0,
            spill_every: 0,
            references: false,
            seed: 1,
        }
    }
}

/// Errors that concurrent transactions may get: they run again, or do not.
const EXPECTED: [SqlState; 7] = [
    SqlState::SERIALIZATION_FAILURE,
    SqlState::DEADLOCK_DETECTED,
    SqlState::UNIQUE_VIOLATION,
    SqlState::FOREIGN_KEY_VIOLATION,
    SqlState::SNAPSHOT_TOO_OLD,
    SqlState::OUT_OF_MEMORY,
    SqlState::TRANSACTION_RESOLUTION_UNKNOWN,
];

/// What was recorded.
#[derive(Debug, Default)]
pub struct Record {
    /// Transactions, in no order.
    pub transactions: Vec<Transaction>,
    /// What was wrong already while it ran.
    pub findings: Vec<Finding>,
    /// How often a transaction ended with which SQLSTATE.
    pub errors: BTreeMap<String, u64>,
    /// What sequences gave.
    pub drawn: Vec<Drawn>,
}

impl Record {
    /// Adds another's.
    pub fn add(&mut self, other: Record) {
        self.transactions.extend(other.transactions);
        self.findings.extend(other.findings);
        self.drawn.extend(other.drawn);
        for (state, count) in other.errors {
            *self.errors.entry(state).or_default() += count;
        }
    }
}

/// What goes on from round to round, also over a crash.
#[derive(Debug)]
pub struct Lists {
    /// The history's clock.
    pub clock: HistoryClock,
    /// The lists that are worked on.
    active: Vec<AtomicU64>,
    next_key: AtomicU64,
    next_value: AtomicU64,
}

impl Lists {
    /// The first `count` lists.
    pub fn new(count: usize) -> Lists {
        Lists {
            clock: HistoryClock::default(),
            active: (0..count as u64).map(AtomicU64::new).collect(),
            next_key: AtomicU64::new(count as u64),
            next_value: AtomicU64::new(1),
        }
    }

    fn any(&self, random: &mut Random) -> u64 {
        self.active[random.below(self.active.len() as u64) as usize].load(Ordering::Relaxed)
    }

    /// A list that is long enough makes way for a new one of its kind.
    fn retire(&self, key: u64) {
        for slot in &self.active {
            if slot.load(Ordering::Relaxed) == key {
                let next = self.next_key.fetch_add(2, Ordering::Relaxed);
                let next = next + (next & 1 ^ key & 1);
                // Somebody else may have been faster.
                let _done = slot.compare_exchange(key, next, Ordering::Relaxed, Ordering::Relaxed);
            }
        }
    }

    /// All keys that were ever used are below.
    fn key_limit(&self) -> u64 {
        self.next_key.load(Ordering::Relaxed) + 2
    }
}

/// Makes the tables.
/// # Errors
/// None that the statements should raise.
pub fn create(database: &Arc<Database>) -> Result<()> {
    database.connect()?.execute_script(
        "CREATE TABLE lists (key bigint PRIMARY KEY, size bigint NOT NULL, list text NOT NULL);
         CREATE INDEX lists_size ON lists (size);
         CREATE TABLE items (key bigint, position bigint, value bigint NOT NULL, PRIMARY KEY (key, position));
         CREATE INDEX items_value ON items (value);
         CREATE TABLE ballast (id bigint PRIMARY KEY, n bigint NOT NULL, filler text NOT NULL);
         INSERT INTO ballast SELECT g, 0, repeat('b', 300) FROM generate_series(1, 1200) AS g (g);",
    )?;
    database.connect()?.execute_script(references::TABLES)?;
    Ok(())
}

/// Runs transactions in threads until there were enough, or the database stopped writing.
pub fn run(database: &Arc<Database>, lists: &Lists, options: &WorkloadOptions) -> Record {
    let mut record = Record::default();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..options.threads)
            .map(|process| {
                let count = options.transactions / options.threads;
                scope.spawn(move || work(database, lists, options, process, count))
            })
            .collect();
        for thread in threads {
            match thread.join() {
                Ok(one) => record.add(one),
                Err(_) => {
                    let text = "a thread panicked".to_owned();
                    record.findings.push(Finding::new(Anomaly::UnexpectedError, text));
                }
            }
        }
    });
    record
}

/// Reads every list once more, when nobody works: the history's last transaction.
/// # Errors
/// What reading raises.
pub fn read_all(database: &Arc<Database>, lists: &Lists, level: Level) -> Result<Record> {
    let mut client = Client::new(database)?;
    let began = lists.clock.now();
    let mut found: BTreeMap<u64, Vec<u64>> = (0..lists.key_limit()).map(|key| (key, Vec::new())).collect();
    let mut record = Record::default();
    for row in client.run("SELECT key, size, list FROM lists", &[])?.rows {
        let list = parse(row[2].text());
        if list.len() as i64 != row[1].number() {
            record.findings.push(torn(row[0].number(), row[1].number(), &list));
        }
        found.insert(row[0].number() as u64, list);
    }
    // Put in order here: the database may have less memory than the whole history needs to be sorted in.
    let mut items: Vec<(u64, i64, u64)> = client
        .run("SELECT key, position, value FROM items", &[])?
        .rows
        .iter()
        .map(|row| (row[0].number() as u64, row[1].number(), unshifted(row[2].number())))
        .collect();
    items.sort_unstable();
    for (key, _, value) in items {
        found.entry(key).or_default().push(value);
    }
    let operations = found.into_iter().map(|(key, list)| Operation::Read { key, list }).collect();
    let ended = lists.clock.now();
    let process = usize::MAX;
    record.transactions.push(Transaction {
        process,
        level,
        began,
        ended,
        outcome: Outcome::Committed,
        operations,
    });
    let mut verified = Vec::new();
    database.verify(&mut |line| verified.push(line.to_owned()))?;
    record.findings.extend(references::find_orphans(database)?);
    let findings = verified.iter().filter(|line| !line.contains(" 0 findings"));
    for line in findings {
        record.findings.push(Finding::new(Anomaly::UnexpectedError, format!("verification: {line}")));
    }
    Ok(record)
}

fn parse(list: &str) -> Vec<u64> {
    list.split(',').filter_map(|value| value.parse().ok()).collect()
}

fn unshifted(value: i64) -> u64 {
    value as u64 & ((1 << SHIFT) - 1)
}

fn torn(key: i64, size: i64, list: &[u64]) -> Finding {
    Finding::new(Anomaly::TornRead, format!("list {key} says that it has {size} values: {list:?}"))
}

fn work(
    database: &Arc<Database>,
    lists: &Lists,
    options: &WorkloadOptions,
    process: usize,
    count: usize,
) -> Record {
    let mut record = Record::default();
    let Ok(mut client) = Client::new(database) else { return record };
    let seed = options.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(process as u64 + 1);
    let mut random = Random::new(seed);
    for _ in 0..count {
        if !client.session.is_usable() {
            break;
        }
        let level = options.levels[random.below(options.levels.len() as u64) as usize];
        let began = lists.clock.now();
        let mut one = Running {
            client: &mut client,
            lists,
            random: &mut random,
            level,
            operations: Vec::new(),
            torn: None,
            drawn: Vec::new(),
        };
        let outcome = one.transaction(options);
        let (operations, torn) = (std::mem::take(&mut one.operations), one.torn.take());
        let mut drawn = std::mem::take(&mut one.drawn);
        client.roll_back();
        let ended = lists.clock.now();
        record.findings.extend(torn);
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(error) => {
                let state = error.state();
                *record.errors.entry(state.as_str().to_owned()).or_default() += 1;
                // A database that stopped writing refuses with whatever stopped it.
                if !EXPECTED.contains(&state) && client.session.is_usable() {
                    record.findings.push(Finding::new(Anomaly::UnexpectedError, format!("{error:?}")));
                }
                let is_unknown = state == SqlState::TRANSACTION_RESOLUTION_UNKNOWN;
                if is_unknown { Outcome::Unknown } else { Outcome::Aborted }
            }
        };
        drawn.iter_mut().for_each(|one| one.is_acknowledged = outcome == Outcome::Committed);
        record.drawn.extend(drawn);
        record.transactions.push(Transaction { process, level, began, ended, outcome, operations });
        if options.checkpoint_every > 0 && random.below(options.checkpoint_every) == 0 {
            // On a disk that fails it fails, too.
            let _written = client.run("CHECKPOINT", &[]);
        }
    }
    record
}

struct Running<'r> {
    client: &'r mut Client,
    lists: &'r Lists,
    random: &'r mut Random,
    level: Level,
    operations: Vec<Operation>,
    torn: Option<Finding>,
    drawn: Vec<Drawn>,
}

impl Running<'_> {
    fn run(&mut self, sql: &str, values: &[lumos_core::sql::types::datum::Datum]) -> Result<Answer> {
        self.client.run(sql, values)
    }

    fn transaction(&mut self, options: &WorkloadOptions) -> Result<Outcome> {
        self.run(self.level.begin(), &[])?;
        let reads_only = self.random.below(10) < 3;
        if !reads_only && options.spill_every > 0 && self.random.below(options.spill_every) == 0 {
            let part = number(self.random.below(2));
            let sql = "UPDATE ballast SET n = n + 1, filler = repeat('c', 300) WHERE id % 2 = $1";
            self.run(sql, &[part])?;
        }
        let mut savepoints = 0;
        for _ in 0..1 + self.random.below(5) {
            if options.references && !reads_only && self.random.below(4) == 0 {
                let found = references::step(self.client, self.random, &mut self.drawn)?;
                if found.is_some() {
                    self.torn = found;
                    return Err(Error::internal("the invariant is broken"));
                }
                continue;
            }
            match self.random.below(20) {
                _ if reads_only => self.read()?,
                0 if savepoints < 3 => {
                    self.run("SAVEPOINT s", &[])?;
                    self.operations.push(Operation::Savepoint);
                    savepoints += 1;
                }
                1 if savepoints > 0 => self.return_to_savepoint()?,
                2 if savepoints > 0 => {
                    self.run("RELEASE s", &[])?;
                    self.operations.push(Operation::ReleaseSavepoint);
                    savepoints -= 1;
                }
                3 if savepoints > 0 => {
                    let failed = self.run("SELECT key / (key - key) FROM lists", &[]).is_err()
                        || self.run("SELECT 1 / $1::bigint", &[number(0)]).is_err();
                    if failed {
                        self.return_to_savepoint()?;
                    }
                }
                3..8 => self.read()?,
                _ => self.append()?,
            }
        }
        if self.random.below(20) == 0 {
            self.run("ROLLBACK", &[])?;
            return Ok(Outcome::Aborted);
        }
        self.run("COMMIT", &[])?;
        Ok(Outcome::Committed)
    }

    fn return_to_savepoint(&mut self) -> Result<()> {
        self.run("ROLLBACK TO s", &[])?;
        self.operations.push(Operation::RollBackToSavepoint);
        Ok(())
    }

    fn read(&mut self) -> Result<()> {
        let key = self.lists.any(self.random);
        match (key % 2, self.random.below(4)) {
            (0, 0) => self.read_by_size(),
            (0, _) => self.read_row(key, false).map(drop),
            (_, way) => self.read_items(key, way % 2 == 0).map(drop),
        }
    }

    fn note_read(&mut self, key: u64, list: Vec<u64>) {
        if list.len() >= LENGTH_MAX {
            self.lists.retire(key);
        }
        self.operations.push(Operation::Read { key, list });
    }

    /// One list by its key.
    fn read_row(&mut self, key: u64, locks: bool) -> Result<Option<Vec<u64>>> {
        let sql = if locks {
            "SELECT size, list FROM lists WHERE key = $1 FOR UPDATE"
        } else {
            "SELECT size, list FROM lists WHERE key = $1"
        };
        let answer = self.run(sql, &[number(key)])?;
        let row = answer.rows.first().map(|row| (row[0].number(), parse(row[1].text())));
        if let Some((size, list)) = &row
            && *size != list.len() as i64
        {
            self.torn = Some(torn(key as i64, *size, list));
        }
        let list = row.map(|(_, list)| list);
        self.note_read(key, list.clone().unwrap_or_default());
        Ok(list)
    }

    /// All lists of a length, through the index on it.
    fn read_by_size(&mut self) -> Result<()> {
        let active: Vec<u64> = self.lists.active.iter().map(|slot| slot.load(Ordering::Relaxed)).collect();
        let low = 1 + self.random.below(6);
        let high = low + 2 + self.random.below(LENGTH_MAX as u64 - low);
        let answer = self.run(
            "SELECT key, size, list FROM lists WHERE size >= $1 AND size < $2",
            &[number(low), number(high)],
        )?;
        let mut found = Vec::new();
        for row in &answer.rows {
            let (key, size, list) = (row[0].number(), row[1].number(), parse(row[2].text()));
            if size != list.len() as i64 || size < low as i64 || size >= high as i64 {
                self.torn = Some(torn(key, size, &list));
            }
            found.push(key as u64);
            self.operations.push(Operation::Read { key: key as u64, list });
        }
        for key in active.into_iter().filter(|key| key % 2 == 0 && !found.contains(key)) {
            self.operations.push(Operation::Outside { key, low: low as usize, high: high as usize });
        }
        Ok(())
    }

    fn read_items(&mut self, key: u64, by_index: bool) -> Result<Vec<u64>> {
        let answer = if by_index {
            let range = [number(key << SHIFT), number((key + 1) << SHIFT)];
            self.run("SELECT value FROM items WHERE value >= $1 AND value < $2 ORDER BY position", &range)?
        } else {
            self.run("SELECT value FROM items WHERE key = $1 ORDER BY position", &[number(key)])?
        };
        let list: Vec<u64> = answer.rows.iter().map(|row| unshifted(row[0].number())).collect();
        self.note_read(key, list.clone());
        Ok(list)
    }

    fn append(&mut self) -> Result<()> {
        let key = self.lists.any(self.random);
        let value = self.lists.next_value.fetch_add(1, Ordering::Relaxed);
        let way = self.random.below(8);
        if key % 2 == 1 {
            return self.append_item(key, value, way);
        }
        match way {
            0 | 1 if self.level > Level::ReadCommitted => self.append_after_reading(key, value, false),
            2 => self.append_anew(key, value),
            3 => self.append_returning(key, value),
            4 => self.append_or_insert(key, value),
            5 => self.append_after_reading(key, value, true),
            _ => {
                let answer = self.run(
                    "UPDATE lists SET list = list || $2, size = size + 1 WHERE key = $1",
                    &[number(key), text(&format!("{value},"))],
                )?;
                self.insert_if_absent(answer.affected, key, value)
            }
        }
    }

    /// Only what was changed is there: a value that could not be appended is in no list.
    fn note_append(&mut self, key: u64, value: u64) {
        self.operations.push(Operation::Append { key, value });
    }

    fn insert_if_absent(&mut self, updated: u64, key: u64, value: u64) -> Result<()> {
        self.note_append(key, value);
        if updated == 0 {
            let first = text(&format!("{value},"));
            self.run("INSERT INTO lists VALUES ($1, 1, $2)", &[number(key), first])?;
        }
        Ok(())
    }

    /// As a host does that computes: correct only if nobody changes it in between, which a lock sees to, or a level.
    fn append_after_reading(&mut self, key: u64, value: u64, locks: bool) -> Result<()> {
        let Some(list) = self.read_row(key, locks)? else { return self.insert_if_absent(0, key, value) };
        let mut whole: String = list.iter().map(|value| format!("{value},")).collect();
        whole += &format!("{value},");
        let answer = self.run(
            "UPDATE lists SET list = $2, size = $3 WHERE key = $1",
            &[number(key), text(&whole), number(list.len() as u64 + 1)],
        )?;
        self.note_append(key, value);
        if answer.affected == 1 {
            return Ok(());
        }
        Err(Error::internal(format!("list {key} was read and could not be updated")))
    }

    /// The row is deleted and another one inserted under its key.
    fn append_anew(&mut self, key: u64, value: u64) -> Result<()> {
        let answer = self.run("DELETE FROM lists WHERE key = $1 RETURNING size, list", &[number(key)])?;
        let Some(row) = answer.rows.first() else { return self.insert_if_absent(0, key, value) };
        let (size, mut list) = (row[0].number(), row[1].text().to_owned());
        self.operations.push(Operation::Read { key, list: parse(&list) });
        list += &format!("{value},");
        self.note_append(key, value);
        let values = [number(key), number(size as u64 + 1), text(&list)];
        self.run("INSERT INTO lists VALUES ($1, $2, $3)", &values).map(drop)
    }

    fn append_returning(&mut self, key: u64, value: u64) -> Result<()> {
        let answer = self.run(
            "UPDATE lists SET list = list || $2, size = size + 1 WHERE key = $1 RETURNING list",
            &[number(key), text(&format!("{value},"))],
        )?;
        self.insert_if_absent(answer.affected, key, value)?;
        if let Some(row) = answer.rows.first() {
            self.note_read(key, parse(row[0].text()));
        }
        Ok(())
    }

    /// One statement for a list that is there and for one that is not.
    fn append_or_insert(&mut self, key: u64, value: u64) -> Result<()> {
        self.note_append(key, value);
        self.run(
            "INSERT INTO lists VALUES ($1, 1, $2)
             ON CONFLICT (key) DO UPDATE SET list = lists.list || excluded.list, size = lists.size + 1",
            &[number(key), text(&format!("{value},"))],
        )
        .map(drop)
    }

    fn append_item(&mut self, key: u64, value: u64, way: u64) -> Result<()> {
        let shifted = number(key << SHIFT | value);
        if way == 0 {
            // The first value goes and comes back: nothing of it is to be seen.
            let answer = self
                .run("DELETE FROM items WHERE key = $1 AND position = 1 RETURNING value", &[number(key)])?;
            if answer.affected == 1 {
                let first = number(answer.number() as u64);
                self.run("INSERT INTO items VALUES ($1, 1, $2)", &[number(key), first])?;
            }
        }
        self.note_append(key, value);
        self.run(
            "INSERT INTO items SELECT $1, coalesce(max(position), 0) + 1, $2 FROM items WHERE key = $1",
            &[number(key), shifted],
        )?;
        Ok(())
    }
}
