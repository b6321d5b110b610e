//! `transactions`: many small transactions by 1, 2, 8 and 32 clients, beside SQLite (WAL) and PostgreSQL over a local
//! socket, statement by statement through one interface; what the tables must hold is asked after every row. A group
//! is a file here with a `run`; the list below is the order, and a name of it alone runs that group.

mod accounts;
mod clients;
mod row;
mod sides;
mod tpcb;
mod tpcc;
mod ycsb;

use crate::measure::{self, Outcome};
use crate::postgres::{PostgresConnection, PostgresDatabase};
use crate::side::{Class, Connection, Database};
use crate::{MEMORY_MIB, Options, lumos, sqlite, wanted};
use std::cell::RefCell;

/// The name that stands for all groups.
const ALL: &str = "TRANSACTIONS";

const CLASSES: [Class; 3] = [Class::Full, Class::Normal, Class::Off];

/// Runs of each row, where nobody says otherwise.
const RUNS: usize = 3;

type Group = fn(&Bench<'_>);

const GROUPS: [(&str, Group); 7] = [
    ("POINT", accounts::point),
    ("RANGE100", accounts::range),
    ("UPDATE", accounts::update),
    ("INSERT", accounts::insert),
    ("O7", ycsb::run),
    ("O8", tpcb::run),
    ("TPCC", tpcc::run),
];

/// What all groups share.
struct Bench<'a> {
    options: &'a Options,
    postgres: Option<PostgresDatabase>,
    /// Floors that were missed, and errors.
    notes: RefCell<Vec<String>>,
}

impl Bench<'_> {
    fn note(&self, line: String) {
        self.notes.borrow_mut().push(line);
    }
}

/// Runs what is asked for by name; true: nothing else was.
pub fn run(options: &Options) -> bool {
    let names = &options.names;
    let all = names.is_empty() || names.iter().any(|name| name == ALL);
    let groups: Vec<Group> =
        GROUPS.into_iter().filter(|(name, _)| all || wanted(options, name)).map(|(_, group)| group).collect();
    if !groups.is_empty() {
        let mut options = options.clone();
        if !options.runs_are_given {
            options.plan.runs = RUNS;
        }
        let bench = Bench { options: &options, postgres: postgres(&options), notes: RefCell::default() };
        row::header();
        for group in groups {
            group(&bench);
        }
        let notes = bench.notes.into_inner();
        println!("{} floors missed or errors{}", notes.len(), if notes.is_empty() { "" } else { ":" });
        for note in notes {
            println!("  {note}");
        }
    }
    let is_ours = |name: &String| name == ALL || GROUPS.iter().any(|(group, _)| group == name);
    !names.is_empty() && names.iter().all(is_ours)
}

/// The server, if there is one; says who takes part.
fn postgres(options: &Options) -> Option<PostgresDatabase> {
    println!(
        "lumos {} (memory {MEMORY_MIB} MiB), sqlite {} (WAL, cache {MEMORY_MIB} MiB a connection); warm-up {:?}, {} runs of {:?}, medians",
        lumos::version(),
        sqlite::version(),
        options.plan.warm_up,
        options.plan.runs,
        options.plan.length,
    );
    match PostgresDatabase::from_environment() {
        Ok(postgres) => {
            let buffers = postgres.connect(Class::Normal).setting("shared_buffers");
            let micros = empty_statement(options, &postgres);
            println!(
                "postgresql {} (shared_buffers {buffers}): an empty statement takes it {micros:.1} us",
                postgres.version()
            );
            Some(postgres)
        }
        Err(why) => {
            println!("without postgresql: {why}");
            None
        }
    }
}

/// Microseconds of a statement that asks for nothing.
pub fn empty_statement(options: &Options, postgres: &PostgresDatabase) -> f64 {
    let mut outcome = Outcome::new();
    let operation = |connection: &mut PostgresConnection, _: &mut _, _: &mut _| connection.execute("");
    measure::run(postgres, Class::Full, 1, 1, 1, options.plan.length, &operation, Some(&mut outcome));
    1e6 / outcome.median()
}
