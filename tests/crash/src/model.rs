//! Random statements, closes and crashes of one table against an ordered map, by seed, for any page size.
//! Knows SQL and the simulated disk.

use crate::scenario::DATABASE_PATH;
use crate::state::{findings_of, rows, show};
use lumos_core::common::random::Random;
use lumos_core::database::Database;
use lumos_core::database::options::DatabaseOptions;
use lumos_core::error::{Error, Result};
use lumos_core::io::fault::{Fault, FaultPlan, FaultVfs, Survival};
use lumos_core::session::Session;
use lumos_core::sql::types::datum::DatumRef;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Ids lie below this: rows are met again.
const IDS: u64 = 600;
const ALL: &str = "SELECT id, n, s FROM t";

/// A row's number, the letter and the length of its text.
type Row = (i64, char, usize);
type Rows = BTreeMap<i64, Row>;

/// What a run did.
#[derive(Clone, Copy, Debug, Default)]
pub struct ModelFigures {
    /// Statements and transactions.
    pub statements: u64,
    /// Power losses, in statements and between them.
    pub crashes: u64,
    /// Times that all rows were compared.
    pub comparisons: u64,
}

struct Run {
    random: Random,
    page_size: usize,
    disk: FaultVfs,
    session: Option<Session>,
    database: Option<Arc<Database>>,
    rows: Rows,
    figures: ModelFigures,
}

/// `steps` random steps. `ignore_syncs` plants a fault: the disk forgets what it was told to keep.
/// # Errors
/// What differs from the map, and anything that failed.
pub fn run(seed: u64, page_size: usize, steps: u64, ignore_syncs: bool) -> Result<ModelFigures> {
    let mut run = Run {
        random: Random::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ page_size as u64),
        page_size,
        disk: FaultVfs::new(),
        session: None,
        database: None,
        rows: Rows::new(),
        figures: ModelFigures::default(),
    };
    run.open()?;
    run.session()?.execute_script(
        "CREATE TABLE t (id bigint PRIMARY KEY, n bigint, s text); CREATE INDEX t_n ON t (n)",
    )?;
    run.disk.ignore_syncs(ignore_syncs);
    for step in 0..steps {
        run.step().map_err(|error| {
            error.clone().detail(format!("step {step}: {}", error.detail_text().unwrap_or_default()))
        })?;
    }
    run.compare()?;
    Ok(run.figures)
}

impl Run {
    fn open(&mut self) -> Result<()> {
        let options = DatabaseOptions {
            memory_limit: Some(4 << 20),
            page_size: self.page_size,
            vfs: Some(Arc::new(self.disk.clone())),
            log_segment_first_bytes: 64 << 10,
            log_segment_max_bytes: 256 << 10,
            background_checkpoints: false,
            ..DatabaseOptions::default()
        };
        let database = Database::open(Some(Path::new(DATABASE_PATH)), options)?;
        self.session = Some(database.connect()?);
        self.database = Some(database);
        Ok(())
    }

    fn session(&mut self) -> Result<&mut Session> {
        self.session.as_mut().ok_or_else(|| Error::internal("the database is closed"))
    }

    fn step(&mut self) -> Result<()> {
        match self.random.below(42) {
            0 => self.compare(),
            1 | 2 => self.range(),
            3 => self.by_number(),
            4 => {
                // A clean close.
                (self.session, self.database) = (None, None);
                self.open()?;
                self.compare()
            }
            5 | 6 => {
                let rows = self.rows.clone();
                self.crash(std::slice::from_ref(&rows))
            }
            7 => self.run_text("CHECKPOINT").map(drop),
            8 => self.run_text("VACUUM").map(drop),
            40 | 41 => {
                let sql = self.other_fill();
                self.run_text(&sql)
            }
            9..=13 => {
                // The power goes somewhere in it.
                let (sql, after) = self.transaction();
                let at = 1 + self.random.below(12);
                self.disk.set_plan(Some(FaultPlan { at, fault: Fault::PowerLoss, forever: true }));
                let result = self.run_text(&sql);
                let may_be = match result {
                    Ok(()) => vec![after],
                    Err(_) => vec![after, self.rows.clone()],
                };
                self.crash(&may_be)
            }
            _ => {
                let (sql, after) = self.transaction();
                self.run_text(&sql)?;
                self.rows = after;
                Ok(())
            }
        }
    }

    fn run_text(&mut self, sql: &str) -> Result<()> {
        self.figures.statements += 1;
        self.session()?.execute_script(sql)?;
        Ok(())
    }

    /// The power goes; what is found is one of `may_be`.
    fn crash(&mut self, may_be: &[Rows]) -> Result<()> {
        let kinds = [Survival::Nothing, Survival::Some, Survival::Prefix, Survival::Everything];
        let survival = kinds[self.random.below(4) as usize];
        let image = self.disk.image_after_power_loss(survival, self.random.next_u64());
        if let Some(database) = &self.database {
            database.poison(Error::internal("the power is gone"));
        }
        (self.session, self.database) = (None, None);
        self.disk = image;
        self.figures.crashes += 1;
        self.open()?;
        let found = rows(self.session()?, &format!("{ALL} ORDER BY id"))?;
        match may_be.iter().find(|one| expected(one.iter()) == found) {
            Some(one) => self.rows = one.clone(),
            None => return Err(Error::internal(format!("after a crash ({survival:?}) the rows are others"))),
        }
        self.compare()
    }

    fn compare(&mut self) -> Result<()> {
        self.figures.comparisons += 1;
        self.same(&format!("{ALL} ORDER BY id"), expected(self.rows.iter()))?;
        let findings = self.database.as_ref().map_or_else(Vec::new, |database| findings_of(database));
        if findings.is_empty() { Ok(()) } else { Err(Error::internal(format!("verification: {findings:?}"))) }
    }

    fn range(&mut self) -> Result<()> {
        let low = self.random.below(IDS) as i64;
        let high = low + self.random.below(200) as i64;
        let expected = expected(self.rows.range(low..=high));
        self.same(&format!("{ALL} WHERE id BETWEEN {low} AND {high} ORDER BY id"), expected)
    }

    fn by_number(&mut self) -> Result<()> {
        let number = self.random.below(50) as i64;
        let expected = expected(self.rows.iter().filter(|(_, row)| row.0 == number));
        self.same(&format!("{ALL} WHERE n = {number} ORDER BY id"), expected)
    }

    fn same(&mut self, sql: &str, expected: Vec<String>) -> Result<()> {
        let found = rows(self.session()?, sql)?;
        if found == expected {
            return Ok(());
        }
        let lost = expected.iter().find(|row| !found.contains(row));
        let extra = found.iter().find(|row| !expected.contains(row));
        Err(Error::internal(format!("{sql}: lost {lost:?}, extra {extra:?}")))
    }

    /// One statement, or some in a block that may be rolled back; and the rows after it.
    fn transaction(&mut self) -> (String, Rows) {
        let mut after = self.rows.clone();
        match self.random.below(5) {
            0 => {
                let count = 2 + self.random.below(6);
                let changes: Vec<String> = (0..count).map(|_| self.change(&mut after)).collect();
                (format!("BEGIN; {}; COMMIT", changes.join("; ")), after)
            }
            1 => {
                let change = self.change(&mut after);
                (format!("BEGIN; {change}; ROLLBACK"), self.rows.clone())
            }
            _ => (self.change(&mut after), after),
        }
    }

    /// Pages are filled differently from here on.
    fn other_fill(&mut self) -> String {
        let owner = if self.random.below(2) == 0 { "TABLE t" } else { "INDEX t_n" };
        match self.random.below(4) {
            0 => format!("ALTER {owner} RESET (fillfactor)"),
            _ => format!("ALTER {owner} SET (fillfactor = {})", 10 + self.random.below(91)),
        }
    }

    fn text(&mut self) -> (char, usize) {
        let letter = char::from(b'a' + self.random.below(26) as u8);
        let length = match self.random.below(12) {
            // A large value.
            0 => self.random.below(3 * self.page_size as u64),
            _ => self.random.below(120),
        };
        (letter, length as usize)
    }

    /// One change, made to `rows` too.
    fn change(&mut self, rows: &mut Rows) -> String {
        let id = self.random.below(IDS) as i64;
        let number = self.random.below(50) as i64;
        let high = id + self.random.below(80) as i64;
        match self.random.below(10) {
            0..=4 => {
                let mut values = Vec::new();
                for _ in 0..1 + self.random.below(25) {
                    let id = self.random.below(IDS) as i64;
                    let number = self.random.below(50) as i64;
                    let (letter, length) = self.text();
                    if let std::collections::btree_map::Entry::Vacant(place) = rows.entry(id) {
                        place.insert((number, letter, length));
                        values.push(format!("({id}, {number}, repeat('{letter}', {length}))"));
                    }
                }
                if values.is_empty() {
                    return "UPDATE t SET n = 0 WHERE id < 0".to_owned();
                }
                format!("INSERT INTO t VALUES {}", values.join(", "))
            }
            5 => {
                let (letter, length) = self.text();
                if let Some(row) = rows.get_mut(&id) {
                    (row.1, row.2) = (letter, length);
                }
                format!("UPDATE t SET s = repeat('{letter}', {length}) WHERE id = {id}")
            }
            6 => {
                rows.range_mut(id..=high).for_each(|(_, row)| row.0 = number);
                format!("UPDATE t SET n = {number} WHERE id BETWEEN {id} AND {high}")
            }
            7 => {
                rows.retain(|_, row| row.0 != number);
                format!("DELETE FROM t WHERE n = {number}")
            }
            8 => {
                rows.remove(&id);
                format!("DELETE FROM t WHERE id = {id}")
            }
            _ => {
                rows.retain(|other, _| !(id..=high).contains(other));
                format!("DELETE FROM t WHERE id BETWEEN {id} AND {high}")
            }
        }
    }
}

fn expected<'r>(rows: impl Iterator<Item = (&'r i64, &'r Row)>) -> Vec<String> {
    rows.map(|(id, (number, letter, length))| {
        let text = letter.to_string().repeat(*length);
        let values = [DatumRef::BigInt(*id), DatumRef::BigInt(*number), DatumRef::Text(&text)];
        values.map(show).join("|")
    })
    .collect()
}
