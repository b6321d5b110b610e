//! Searches of ranges while rows move in and out of them. Three games:
//!
//! - places: rows change their places, are deleted and inserted again; every snapshot has all of them, and a search that
//!   is repeated finds the same;
//! - tickets: whoever comes counts those before and takes the next number, under a key of its own. Serially no number
//!   is taken twice; snapshots alone do not see to that;
//! - duty: of those on duty one goes home if two are there. Serially somebody stays.

use crate::anomaly::{Anomaly, Finding};
use crate::client::{Client, number};
use crate::history::Level;
use crate::tally::{Tally, in_threads};
use lumos_core::common::random::Random;
use lumos_core::database::Database;
use lumos_core::error::{Result, SqlState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const ROWS: u64 = 40;
const PLACES: u64 = 100;
const GROUPS: u64 = 6;
const ON_DUTY: u64 = 3;

/// Makes the tables.
/// # Errors
/// None that the statements should raise.
pub fn create(database: &Arc<Database>) -> Result<()> {
    database.connect()?.execute_script(&format!(
        "CREATE TABLE places (id bigint PRIMARY KEY, place bigint NOT NULL);
         CREATE INDEX places_place ON places (place);
         INSERT INTO places SELECT g, g * 2 FROM generate_series(0, {}) AS g (g);
         CREATE TABLE tickets (id bigint PRIMARY KEY, counter bigint NOT NULL, drawn bigint NOT NULL);
         CREATE INDEX tickets_counter ON tickets (counter, drawn);
         CREATE TABLE duty (id bigint PRIMARY KEY, ward bigint NOT NULL, present bigint NOT NULL);
         CREATE INDEX duty_ward ON duty (ward, present);
         INSERT INTO duty SELECT g, g / {ON_DUTY}, 1 FROM generate_series(0, {}) AS g (g);",
        ROWS - 1,
        GROUPS * ON_DUTY - 1
    ))?;
    Ok(())
}

/// Runs transactions in threads; what they find wrong is in the tally.
pub fn run(database: &Arc<Database>, level: Level, transactions: usize, threads: usize, seed: u64) -> Tally {
    let next_ticket = AtomicU64::new(0);
    let mut tally = in_threads(threads, seed, |random, tally| {
        let Ok(mut client) = Client::new(database) else { return };
        for _ in 0..transactions / threads {
            tally.transactions += 1;
            let result = match random.below(8) {
                0..3 => search(&mut client, level, random, tally),
                3..5 => change_place(&mut client, level, random),
                5 => draw_ticket(&mut client, level, random, &next_ticket),
                _ => change_duty(&mut client, level, random, tally),
            };
            client.roll_back();
            tally.note(result);
        }
    });
    if level == Level::Serializable
        && let Err(error) = check_tickets(database, &mut tally)
    {
        tally.note(Err(error));
    }
    tally
}

fn broken(tally: &mut Tally, text: String) {
    tally.findings.push(Finding::new(Anomaly::BrokenInvariant, text));
}

/// The ids in a range of places, in order.
fn found(client: &mut Client, low: u64, high: u64, by_index: bool) -> Result<Vec<i64>> {
    let sql = if by_index {
        "SELECT id FROM places WHERE place >= $1 AND place < $2"
    } else {
        // The index does not help with this.
        "SELECT id FROM places WHERE place + 0 >= $1 AND place + 0 < $2"
    };
    let rows = client.run(sql, &[number(low), number(high)])?.rows;
    let mut ids: Vec<i64> = rows.iter().map(|row| row[0].number()).collect();
    ids.sort_unstable();
    Ok(ids)
}

fn search(client: &mut Client, level: Level, random: &mut Random, tally: &mut Tally) -> Result<()> {
    client.run(level.begin(), &[])?;
    let middle = 1 + random.below(PLACES - 1);
    let all = found(client, 0, PLACES, random.below(2) == 0)?;
    tally.reads += 1;
    if all.len() as u64 != ROWS {
        broken(tally, format!("{} of {ROWS} rows were found: {all:?}", all.len()));
    }
    if level > Level::ReadCommitted {
        let below = found(client, 0, middle, true)?;
        let above = found(client, middle, PLACES, random.below(2) == 0)?;
        tally.reads += 3;
        if below.len() + above.len() != all.len() {
            broken(tally, format!("below {middle} {below:?}, above {above:?}"));
        }
        let again = found(client, 0, middle, false)?;
        if again != below {
            let text = format!("below {middle} there were {below:?}, and then {again:?}");
            tally.findings.push(Finding::new(Anomaly::Phantom, text));
        }
    }
    client.run("COMMIT", &[]).map(drop)
}

fn change_place(client: &mut Client, level: Level, random: &mut Random) -> Result<()> {
    client.run(level.begin(), &[])?;
    for _ in 0..1 + random.below(3) {
        let (id, place) = (number(random.below(ROWS)), number(random.below(PLACES)));
        if random.below(2) == 0 {
            client.run("UPDATE places SET place = $2 WHERE id = $1", &[id, place])?;
        } else if client.run("DELETE FROM places WHERE id = $1", std::slice::from_ref(&id))?.affected == 1 {
            client.run("INSERT INTO places VALUES ($1, $2)", &[id, place])?;
        }
    }
    client.run("COMMIT", &[]).map(drop)
}

fn draw_ticket(client: &mut Client, level: Level, random: &mut Random, next: &AtomicU64) -> Result<()> {
    client.run(level.begin(), &[])?;
    let counter = number(random.below(GROUPS));
    let sql = "SELECT count(*) FROM tickets WHERE counter = $1";
    let before = client.run(sql, std::slice::from_ref(&counter))?.number();
    let id = number(next.fetch_add(1, Ordering::Relaxed));
    client.run("INSERT INTO tickets VALUES ($1, $2, $3)", &[id, counter, number(before as u64)])?;
    client.run("COMMIT", &[]).map(drop)
}

/// Serially the numbers of a counter are 0, 1, 2 …
fn check_tickets(database: &Arc<Database>, tally: &mut Tally) -> Result<()> {
    let mut client = Client::new(database)?;
    for counter in 0..GROUPS {
        let sql = "SELECT drawn FROM tickets WHERE counter = $1 ORDER BY drawn";
        let rows = client.run(sql, &[number(counter)])?.rows;
        let drawn: Vec<i64> = rows.iter().map(|row| row[0].number()).collect();
        tally.reads += 1;
        if !drawn.iter().copied().eq(0..drawn.len() as i64) {
            let text = format!("counter {counter} gave the numbers {drawn:?}");
            tally.findings.push(Finding::new(Anomaly::WriteSkew, text));
        }
    }
    Ok(())
}

/// Somebody of a ward goes home if two are there, or comes back.
fn change_duty(client: &mut Client, level: Level, random: &mut Random, tally: &mut Tally) -> Result<()> {
    client.run(level.begin(), &[])?;
    let ward = random.below(GROUPS);
    let who = number(ward * ON_DUTY + random.below(ON_DUTY));
    let sql = "SELECT count(*) FROM duty WHERE ward = $1 AND present = 1";
    let present = client.run(sql, &[number(ward)])?.number();
    tally.reads += 1;
    if level == Level::Serializable && present == 0 {
        let text = format!("nobody is in ward {ward}");
        tally.findings.push(Finding::new(Anomaly::WriteSkew, text));
    }
    let comes = u64::from(present < 2);
    client.run("UPDATE duty SET present = $2 WHERE id = $1", &[who, number(comes)])?;
    client.run("COMMIT", &[]).map(drop)
}

/// What happens when two transactions take turns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turns {
    /// Both were committed.
    Both,
    /// One of them was refused with 40001.
    Refused,
}

/// Two transactions, 0 and 1, take turns as `steps` say; `BEGIN` begins one of the level. Nobody may have to wait: all is
/// done by one thread.
/// # Errors
/// Others than 40001.
pub fn take_turns(database: &Arc<Database>, level: Level, steps: &[(usize, &str)]) -> Result<Turns> {
    let mut clients = [Client::new(database)?, Client::new(database)?];
    let mut refused = [false; 2];
    for (which, sql) in steps {
        if refused[*which] {
            continue;
        }
        let sql = if *sql == "BEGIN" { level.begin() } else { sql };
        if let Err(error) = clients[*which].run(sql, &[]) {
            if error.state() != SqlState::SERIALIZATION_FAILURE {
                return Err(error);
            }
            clients[*which].roll_back();
            refused[*which] = true;
        }
    }
    Ok(if refused.contains(&true) { Turns::Refused } else { Turns::Both })
}
