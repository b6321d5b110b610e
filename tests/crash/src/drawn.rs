//! What sequences gave to a process that is killed: a number that was told to somebody is given to nobody again, and a
//! row that was acknowledged under one stays. The child draws, the parent keeps what it was told and looks.

use crate::state::rows;
use lumos_core::common::random::Random;
use lumos_core::database::Database;
use lumos_core::error::{Error, Result};
use lumos_core::session::Session;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Makes what is drawn from: a sequence that rows take their keys from, one that steps by three, and one that keeps
/// values ahead.
pub const TABLES: &str = "CREATE TABLE drawn (id bigserial PRIMARY KEY, client integer NOT NULL);
    CREATE SEQUENCE steps INCREMENT 3 START 7;
    CREATE SEQUENCE ahead CACHE 20";

/// The sequences, by the letter that the child names them with.
const SEQUENCES: [(char, &str); 3] = [('d', "drawn_id_seq"), ('s', "steps"), ('a', "ahead")];

/// What a client draws in one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draw {
    letter: char,
    sql: String,
    /// Inside a transaction that ends in this way.
    ends: Option<&'static str>,
}

impl Draw {
    /// The next draw of a client.
    pub fn new(client: usize, random: &mut Random) -> Draw {
        let count = 1 + random.below(40);
        let (letter, sql) = match random.below(5) {
            0 => ('d', format!("INSERT INTO drawn (client) VALUES ({client}) RETURNING id::text")),
            1 => {
                let rows = format!("SELECT {client} FROM generate_series(1, {count})");
                ('d', format!("INSERT INTO drawn (client) {rows} RETURNING id::text"))
            }
            2 => ('s', "SELECT nextval('steps')::text".to_owned()),
            3 => ('s', format!("SELECT nextval('steps')::text FROM generate_series(1, {count})")),
            _ => ('a', "SELECT nextval('ahead')::text".to_owned()),
        };
        let ends = [None, None, Some("COMMIT"), Some("ROLLBACK")][random.below(4) as usize];
        Draw { letter, sql, ends }
    }

    /// Draws; gives what the child says of it, ` d17` for number 17 of `drawn`. What is rolled back is told to nobody.
    /// # Errors
    /// Those of the statements.
    pub fn run(&self, session: &mut Session) -> Result<String> {
        if self.ends.is_some() {
            session.execute_script("BEGIN")?;
        }
        let numbers = numbers(session, &self.sql)?;
        if let Some(end) = self.ends {
            session.execute_script(end)?;
        }
        let is_told = self.ends != Some("ROLLBACK");
        let told = numbers.iter().filter(|_| is_told);
        Ok(told.map(|number| format!(" {}{number}", self.letter)).collect())
    }
}

fn numbers(session: &mut Session, sql: &str) -> Result<Vec<i64>> {
    let parse = |row: &String| {
        let number = row.trim_start_matches("Text(\"").trim_end_matches("\")").parse();
        number.map_err(|_| Error::internal(format!("row {row} is not a number")))
    };
    rows(session, sql)?.iter().map(parse).collect()
}

/// What was told in all rounds, by sequence and number: whether a row has it.
#[derive(Clone, Debug, Default)]
pub struct Told {
    numbers: BTreeMap<(char, i64), bool>,
    /// Numbers that were told twice.
    pub repeated: u64,
}

impl Told {
    /// Notes what the child said.
    /// # Errors
    /// It said something else.
    pub fn note(&mut self, word: &str) -> Result<()> {
        let said = || Error::internal(format!("the child said \"{word}\""));
        let letter = word.chars().next().ok_or_else(said)?;
        let number: i64 = word[letter.len_utf8()..].parse().map_err(|_| said())?;
        self.add(letter, number, letter == 'd');
        Ok(())
    }

    fn add(&mut self, letter: char, number: i64, is_row: bool) {
        self.repeated += u64::from(self.numbers.insert((letter, number), is_row).is_some());
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.numbers.len() as u64
    }

    /// Looks into the database after a kill, and draws from each sequence once; gives how many rows were lost.
    /// # Errors
    /// Those of the statements.
    pub fn check(&mut self, database: &Arc<Database>) -> Result<u64> {
        let mut session = database.connect()?;
        let mut found = numbers(&mut session, "SELECT id::text FROM drawn")?;
        found.sort_unstable();
        let rows = self.numbers.iter().filter(|(_, is_row)| **is_row);
        let lost = rows.filter(|((_, number), _)| found.binary_search(number).is_err()).count() as u64;
        for (letter, name) in SEQUENCES {
            let sql = format!("SELECT nextval('{name}')::text");
            for number in numbers(&mut session, &sql)? {
                // A row that was written and not acknowledged has its number, too.
                self.repeated += u64::from(letter == 'd' && found.binary_search(&number).is_ok());
                self.add(letter, number, false);
            }
        }
        Ok(lost)
    }
}
