//! A process that commits is killed with SIGKILL, over and over, on one database of the real file system.
//!
//! The child (the same program, mode `child`) runs some clients at once. Each owns its rows, and what it does next
//! follows from a seed and its rows alone; after each commit it writes `client count` to the pipe. The parent reads
//! the pipe to its end, so it knows exactly what was acknowledged, and makes the same steps with a model: every
//! client must be found after its acknowledged step, or after the one that was under way, whole. What sequences gave
//! stands in the line, too.
//!
//! With failing calls (`failing_calls.c`, built and loaded before the C library) a system call of the child fails on the
//! way, and it ends by itself where it cannot go on: the same is asked of what it leaves.

use crate::drawn::{self, Draw, Told};
use crate::state::{findings_of, rows};
use lumos_core::common::random::Random;
use lumos_core::database::Database;
use lumos_core::database::options::DatabaseOptions;
use lumos_core::durability::policy::Durability;
use lumos_core::error::{Error, Result, SqlState};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// Clients of the child.
const CLIENTS: usize = 4;
const TABLES: [&str; 2] = ["plain", "indexed"];
/// Rows of a client beyond which it deletes many.
const ROWS_MAX: usize = 500;
const ACKNOWLEDGED_MAX: u64 = 400;
/// A child that is not waited for is killed within so many microseconds: while it opens and recovers.
const EARLY_MICROS_MAX: u64 = 40_000;

/// System calls that may fail, and up to which use of each.
const FAILING_CALLS: [(&str, u64); 4] = [("pwrite", 300), ("sync", 120), ("allocate", 8), ("resize", 3)];
const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// What to run.
#[derive(Clone, Debug)]
pub struct KillOptions {
    /// This program.
    pub program: PathBuf,
    /// Where the database is made.
    pub folder: PathBuf,
    /// How often the child is killed.
    pub kills: u64,
    /// Where all choices come from, but for the moment of the kill.
    pub seed: u64,
    /// What the child's commits wait for. Less than `full` plants a fault: it is judged as `full`.
    pub durability: Durability,
    /// The built `failing_calls.c`: system calls of the child fail.
    pub failing_calls: Option<PathBuf>,
}

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KillFigures {
    /// Acknowledged steps.
    pub acknowledged: u64,
    /// Rows that an acknowledged commit wrote and that are not there.
    pub lost: u64,
    /// Rows that no commit wrote.
    pub resurrected: u64,
    /// Findings of the verification.
    pub findings: u64,
    /// How often the parent was refused the file while the child wrote it.
    pub second_opens: u64,
    /// Rounds in which a system call failed.
    pub faults: u64,
    /// Numbers of sequences that were told.
    pub told: u64,
    /// Of them, those that were told twice.
    pub repeated: u64,
}

impl KillFigures {
    /// Nothing is wrong.
    pub fn is_sound(&self) -> bool {
        (self.lost, self.resurrected, self.findings, self.repeated) == (0, 0, 0, 0)
    }
}

/// Number and length of the text of a row, by id.
type Rows = BTreeMap<i64, (i64, usize)>;

/// What one client's rows are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Model {
    tables: [Rows; 2],
}

/// A client's next step: a text, and the rows after it.
struct Step {
    sql: String,
    after: Model,
    fails: Option<SqlState>,
    /// Instead of the text: what it draws from sequences.
    draw: Option<Draw>,
}

fn database_options(durability: Durability) -> DatabaseOptions {
    DatabaseOptions {
        memory_limit: Some(16 << 20),
        page_size: 4096,
        durability,
        log_segment_first_bytes: 64 << 10,
        log_segment_max_bytes: 256 << 10,
        ..DatabaseOptions::default()
    }
}

fn stream(seed: u64, round: u64, client: usize) -> Random {
    let mut random = Random::new(seed ^ (round << 8 | client as u64 | 1 << 63));
    random.next_u64();
    random
}

impl Model {
    fn count(&self) -> usize {
        self.tables.iter().map(BTreeMap::len).sum()
    }

    /// The rows of a client as the database has them.
    fn load(database: &Arc<Database>, client: usize) -> Result<Model> {
        let mut session = database.connect()?;
        let mut model = Model::default();
        for (table, name) in TABLES.iter().enumerate() {
            let sql =
                format!("SELECT id::text, n::text, length(t)::text FROM {name} WHERE client = {client}");
            for row in rows(&mut session, &sql)? {
                let mut numbers = row
                    .split('|')
                    .map(|value| value.trim_start_matches("Text(\"").trim_end_matches("\")").parse::<i64>());
                let mut next = || match numbers.next() {
                    Some(Ok(number)) => Ok(number),
                    _ => Err(Error::internal(format!("row {row} is not three numbers"))),
                };
                model.tables[table].insert(next()?, (next()?, next()? as usize));
            }
        }
        Ok(model)
    }

    /// A statement that changes one or many rows; applied to `self`.
    fn change(&mut self, client: usize, random: &mut Random, sql: &mut String) {
        let table = random.below(2) as usize;
        let name = TABLES[table];
        let rows = &mut self.tables[table];
        let existing = match rows.len() as u64 {
            0 => None,
            count => rows.keys().nth(random.below(count) as usize).copied(),
        };
        let number = (random.below(1 << 45) * CLIENTS as u64) as i64 + client as i64;
        let length = random.below(200) as usize;
        let written = match (random.below(10), existing) {
            (0..=3, Some(id)) => {
                rows.insert(id, (number, length));
                write!(sql, "UPDATE {name} SET n = {number}, t = repeat('u', {length}) WHERE id = {id};")
            }
            (4..=5, Some(id)) => {
                rows.remove(&id);
                write!(sql, "DELETE FROM {name} WHERE id = {id};")
            }
            _ => {
                let id = number;
                rows.insert(id, (number, length));
                write!(sql, "INSERT INTO {name} VALUES ({id}, {client}, {number}, repeat('i', {length}));")
            }
        };
        written.expect("writing to a text does not fail");
    }

    fn step(&self, client: usize, random: &mut Random) -> Step {
        let mut after = self.clone();
        let mut sql = String::new();
        let (mut fails, mut draw) = (None, None);
        let table = random.below(2) as usize;
        let name = TABLES[table];
        match random.below(100) {
            _ if self.count() > ROWS_MAX => {
                let middle =
                    self.tables[table].keys().nth(self.tables[table].len() / 2).copied().unwrap_or(0);
                after.tables[table].retain(|id, _| *id >= middle);
                sql = format!("DELETE FROM {name} WHERE client = {client} AND id < {middle}");
                if self.tables[table].len() < 2 {
                    after.tables[1 - table].clear();
                    sql = format!("DELETE FROM {} WHERE client = {client}", TABLES[1 - table]);
                    after.tables[table].clone_from(&self.tables[table]);
                }
            }
            0..62 => after.change(client, random, &mut sql),
            62..70 => draw = Some(Draw::new(client, random)),
            70..84 => {
                sql.push_str("BEGIN;");
                (0..2 + random.below(10)).for_each(|_| after.change(client, random, &mut sql));
                sql.push_str("COMMIT");
            }
            84..90 => {
                sql.push_str("BEGIN;");
                (0..2 + random.below(10)).for_each(|_| after.change(client, random, &mut sql));
                sql.push_str("ROLLBACK");
                after = self.clone();
            }
            90..94 => {
                write!(sql, "INSERT INTO {name} VALUES ").expect("writing to a text does not fail");
                for row in 0..60 {
                    let id = (random.below(1 << 45) * CLIENTS as u64) as i64 + client as i64;
                    after.tables[table].insert(id, (id, 300));
                    let comma = if row == 0 { "" } else { "," };
                    write!(sql, "{comma}({id}, {client}, {id}, repeat('m', 300))")
                        .expect("writing to a text does not fail");
                }
            }
            94..97 => match self.tables[table].keys().next() {
                // The first row is new, the second is a duplicate: neither may stay.
                Some(id) => {
                    let new = (random.below(1 << 45) * CLIENTS as u64) as i64 + client as i64;
                    sql = format!(
                        "INSERT INTO {name} VALUES ({new}, {client}, {new}, 'x'), ({id}, {client}, {new} + 1, 'y')"
                    );
                    fails = Some(SqlState::UNIQUE_VIOLATION);
                }
                None => after.change(client, random, &mut sql),
            },
            _ => sql.push_str("CHECKPOINT"),
        }
        Step { sql, after, fails, draw }
    }

    /// Rows that must be there and are not (as they should be), and rows that nobody committed.
    fn compare(&self, done: &Model, under_way: &Model) -> (u64, u64) {
        let (mut lost, mut resurrected) = (0, 0);
        for table in 0..TABLES.len() {
            let found = &self.tables[table];
            for (id, row) in &done.tables[table] {
                let is_kept = under_way.tables[table].get(id) == Some(row);
                lost += u64::from(is_kept && found.get(id) != Some(row));
            }
            for (id, row) in found {
                let is_known = [done, under_way].iter().any(|model| model.tables[table].get(id) == Some(row));
                resurrected += u64::from(!is_known);
            }
        }
        if lost + resurrected == 0 {
            // Every row is right, but a step was half done.
            lost = 1;
        }
        (lost, resurrected)
    }
}

/// The child: commits until it is killed.
/// # Errors
/// Anything unexpected.
pub fn child(path: &Path, seed: u64, round: u64, durability: Durability) -> Result<()> {
    let database = Database::open(Some(path), database_options(durability))?;
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let database = &database;
                scope.spawn(move || run_client(database, client, stream(seed, round, client), durability))
            })
            .collect();
        for client in clients {
            client.join().map_err(|_| Error::internal("a client panicked"))??;
        }
        Ok(())
    })
}

fn run_client(
    database: &Arc<Database>,
    client: usize,
    mut random: Random,
    durability: Durability,
) -> Result<()> {
    let mut model = Model::load(database, client)?;
    let mut session = database.connect()?;
    for count in 1_u64.. {
        let step = model.step(client, &mut random);
        // With the planted fault a checkpoint would save what is to be lost.
        let is_skipped = durability == Durability::Off && step.sql == "CHECKPOINT";
        let mut told = String::new();
        let result = match &step.draw {
            _ if is_skipped => Ok(0),
            Some(draw) => draw.run(&mut session).map(|numbers| {
                told = numbers;
                0
            }),
            None => session.execute_script(&step.sql),
        };
        match (result, step.fails) {
            (Ok(_), None) => {}
            (Err(error), Some(state)) if error.state() == state => {}
            (Err(error), _) => return Err(error),
            (Ok(_), Some(_)) => return Err(Error::internal("a duplicate key was accepted")),
        }
        model = step.after;
        // A line is one write: a kill cannot leave a part of it.
        let line = format!("{client} {count}{told}\n");
        if std::io::stdout().lock().write_all(line.as_bytes()).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

fn failed(what: &str, cause: &std::io::Error) -> Error {
    Error::new(SqlState::IO_ERROR, format!("could not {what}: {cause}"))
}

/// The parent: kills, reopens, compares; `say` gets a line a round.
/// # Errors
/// The harness itself failed, or the child ended by itself, or the database could not be opened.
pub fn run(options: &KillOptions, mut say: impl FnMut(&str)) -> Result<KillFigures> {
    std::fs::create_dir_all(&options.folder).map_err(|cause| failed("make the folder", &cause))?;
    let path = options.folder.join("crash.lumos");
    let mut total = KillFigures::default();
    {
        let database = Database::open(Some(&path), database_options(Durability::Full))?;
        let mut session = database.connect()?;
        for name in TABLES {
            session.execute_script(&format!(
                "CREATE TABLE {name} (id bigint PRIMARY KEY, client integer, n bigint, t text)"
            ))?;
        }
        session.execute_script("CREATE INDEX indexed_client ON indexed (client)")?;
        session.execute_script("CREATE UNIQUE INDEX indexed_n ON indexed (n)")?;
        session.execute_script(drawn::TABLES)?;
    }
    let mut models = vec![Model::default(); CLIENTS];
    let mut random = Random::new(options.seed);
    let mut told = Told::default();
    for round in 1..=options.kills {
        let mut figures = KillFigures::default();
        let counts = kill_one(options, &path, round, &mut random, (&mut figures, &mut told))?;
        let database = Database::open(Some(&path), database_options(Durability::Full))?;
        for (client, model) in models.iter_mut().enumerate() {
            let mut steps = stream(options.seed, round, client);
            for _ in 0..counts[client] {
                *model = model.step(client, &mut steps).after;
            }
            let under_way = model.step(client, &mut steps).after;
            let found = Model::load(&database, client)?;
            if found != *model && found != under_way {
                let (lost, resurrected) = found.compare(model, &under_way);
                figures.lost += lost;
                figures.resurrected += resurrected;
            }
            *model = found;
        }
        figures.lost += told.check(&database)?;
        let findings = findings_of(&database);
        findings.iter().for_each(|finding| say(finding));
        figures.findings = findings.len() as u64;
        figures.acknowledged = counts.iter().sum();
        let is_left_open = random.below(2) == 0;
        if is_left_open {
            database.poison(Error::internal("left as a crash leaves it"));
        }
        drop(database);
        say(&format!(
            "kill {round}: {} acknowledged, {} lost, {} resurrected, {} findings, {} numbers told, {}",
            figures.acknowledged,
            figures.lost,
            figures.resurrected,
            figures.findings,
            told.count(),
            if is_left_open { "log kept" } else { "closed" }
        ));
        total.acknowledged += figures.acknowledged;
        total.lost += figures.lost;
        total.resurrected += figures.resurrected;
        total.findings += figures.findings;
        total.second_opens += figures.second_opens;
        total.faults += figures.faults;
        (total.told, total.repeated) = (told.count(), told.repeated);
    }
    Ok(total)
}

/// Starts the child, kills it, and says how many steps of each client it acknowledged.
fn kill_one(
    options: &KillOptions,
    path: &Path,
    round: u64,
    random: &mut Random,
    (figures, told): (&mut KillFigures, &mut Told),
) -> Result<Vec<u64>> {
    let shown = options.folder.join("fault-shown");
    let mut command = Command::new(&options.program);
    if let Some(library) = &options.failing_calls {
        let (kind, number_max) = FAILING_CALLS[random.below(FAILING_CALLS.len() as u64) as usize];
        let errno = [EIO, ENOSPC][random.below(2) as usize];
        let mode = ["once", "ever"][random.below(2) as usize];
        let plan = format!("{kind} {} {errno} {mode}", 1 + random.below(number_max));
        command.env("LD_PRELOAD", library).env("LUMOS_FAULT", plan).env("LUMOS_FAULT_SHOWN", &shown);
        // It says why it ends, which is what is wanted of it.
        command.stderr(Stdio::null());
    }
    let mut child = command
        .arg("child")
        .arg(path)
        .arg(options.seed.to_string())
        .arg(round.to_string())
        .arg(options.durability.name())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|cause| failed("start the child", &cause))?;
    let Some(pipe) = child.stdout.take() else { return Err(Error::internal("the child has no pipe")) };
    let mut counts = vec![0_u64; CLIENTS];
    let mut left = 1 + random.below(ACKNOWLEDGED_MAX);
    let mut was_killed = false;
    if random.below(6) == 0 {
        // While it opens: there is nothing to wait for, so the moment is chosen by time.
        std::thread::sleep(Duration::from_micros(random.below(EARLY_MICROS_MAX)));
        child.kill().map_err(|cause| failed("kill the child", &cause))?;
        was_killed = true;
    }
    let mut is_first = true;
    for line in BufReader::new(pipe).lines() {
        if std::mem::take(&mut is_first) && !was_killed && options.failing_calls.is_none() {
            match Database::open(Some(path), database_options(Durability::Full)) {
                Err(error) if error.state() == SqlState::OBJECT_IN_USE => figures.second_opens += 1,
                Err(error) => return Err(error),
                Ok(_) => return Err(Error::internal("a second process opened the file for writing")),
            }
        }
        let line = line.map_err(|cause| failed("read from the child", &cause))?;
        let mut words = line.split(' ');
        let mut next = || words.next()?.parse::<u64>().ok();
        let numbers = next().and_then(|client| Some((client as usize, next()?)));
        let Some((client, count)) = numbers.filter(|(client, _)| *client < CLIENTS) else {
            return Err(Error::internal(format!("the child said \"{line}\"")));
        };
        counts[client] = count;
        words.try_for_each(|word| told.note(word))?;
        left = left.saturating_sub(1);
        if left == 0 && !was_killed {
            child.kill().map_err(|cause| failed("kill the child", &cause))?;
            was_killed = true;
        }
    }
    let status = child.wait().map_err(|cause| failed("wait for the child", &cause))?;
    if options.failing_calls.is_some() {
        #[allow(clippy::disallowed_methods, reason = "it is no file of a database")]
        let was_shown = std::fs::remove_file(&shown).is_ok();
        figures.faults = u64::from(was_shown);
    } else if !was_killed || status.code().is_some() {
        return Err(Error::internal(format!("the child ended by itself: {status}")));
    }
    Ok(counts)
}
