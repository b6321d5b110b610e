//! Rows that refer to others, and numbers that sequences give them: at no time is there an orphan, and no number that was
//! drawn in an acknowledged transaction comes again, also not after a crash.
//! Knows the tables. Knows nothing of lists.

use crate::anomaly::{Anomaly, Finding};
use crate::client::{Client, number};
use hashbrown::HashSet;
use lumos_core::common::random::Random;
use lumos_core::database::Database;
use lumos_core::error::{Result, SqlState};
use std::sync::Arc;

/// Makes the tables: deletions reach rows that refer to what is deleted, and those that refer to these.
pub const TABLES: &str = "CREATE TABLE owners (id bigint PRIMARY KEY);
    CREATE SEQUENCE tickets;
    CREATE TABLE notes (id bigserial PRIMARY KEY, owner bigint NOT NULL REFERENCES owners ON DELETE CASCADE,
                        ticket bigint UNIQUE);
    CREATE INDEX notes_owner ON notes (owner);
    CREATE TABLE marks (id bigserial PRIMARY KEY, note bigint REFERENCES notes ON DELETE SET NULL);
    CREATE INDEX marks_note ON marks (note);";

/// Rows that refer to nothing; every snapshot has none.
const ORPHANS: &str =
    "SELECT (SELECT count(*) FROM notes LEFT JOIN owners ON owners.id = notes.owner WHERE owners.id IS NULL)
         + (SELECT count(*) FROM marks LEFT JOIN notes ON notes.id = marks.note
            WHERE notes.id IS NULL AND marks.note IS NOT NULL)";

const OWNERS: u64 = 40;

/// A number that a transaction was given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Drawn {
    /// Which sequence gave it.
    pub sequence: &'static str,
    /// The number.
    pub value: i64,
    /// The transaction's commit was acknowledged.
    pub is_acknowledged: bool,
}

/// One statement or two inside a transaction; what was drawn goes into `drawn`.
/// # Errors
/// Those of the statements; `23503` where somebody deleted what a new row refers to.
pub fn step(client: &mut Client, random: &mut Random, drawn: &mut Vec<Drawn>) -> Result<Option<Finding>> {
    let owner = number(random.below(OWNERS));
    match random.below(12) {
        0..5 => {
            if random.below(8) > 0 {
                let sql = "INSERT INTO owners VALUES ($1) ON CONFLICT DO NOTHING";
                client.run(sql, std::slice::from_ref(&owner))?;
            }
            let sql =
                "INSERT INTO notes (owner, ticket) VALUES ($1, nextval('tickets')) RETURNING id, ticket";
            match client.run(sql, &[owner]) {
                Ok(answer) => {
                    let of = [("notes", &answer.rows[0][0]), ("tickets", &answer.rows[0][1])];
                    drawn.extend(of.map(|(sequence, value)| Drawn {
                        sequence,
                        value: value.number(),
                        is_acknowledged: false,
                    }));
                }
                Err(error) if error.state() == SqlState::UNIQUE_VIOLATION => {
                    let text = format!("a number that was drawn is there already: {error:?}");
                    return Ok(Some(Finding::new(Anomaly::BrokenInvariant, text)));
                }
                Err(error) => return Err(error),
            }
        }
        5..7 => {
            let sql = "INSERT INTO marks (note) SELECT max(id) FROM notes WHERE owner = $1";
            client.run(sql, &[owner])?;
        }
        7 => drop(client.run("DELETE FROM owners WHERE id = $1", &[owner])?),
        8 => drop(client.run("DELETE FROM marks WHERE note IS NULL", &[])?),
        9 => {
            let other = number(random.below(OWNERS));
            let sql = "UPDATE notes SET owner = $2 WHERE id = (SELECT min(id) FROM notes WHERE owner = $1)";
            client.run(sql, &[owner, other])?;
        }
        10 => {
            let value = client.run("SELECT nextval('tickets')", &[])?.number();
            drawn.push(Drawn { sequence: "tickets", value, is_acknowledged: false });
        }
        _ => return orphans(client),
    }
    Ok(None)
}

fn orphans(client: &mut Client) -> Result<Option<Finding>> {
    let count = client.run(ORPHANS, &[])?.number();
    let text = || format!("{count} rows refer to rows that are not there");
    Ok((count != 0).then(|| Finding::new(Anomaly::BrokenInvariant, text())))
}

/// Looks for orphans when nobody works.
/// # Errors
/// What reading raises.
pub fn find_orphans(database: &Arc<Database>) -> Result<Option<Finding>> {
    orphans(&mut Client::new(database)?)
}

/// Numbers that acknowledged transactions were given twice.
pub fn judge(drawn: &[Drawn]) -> Vec<Finding> {
    let mut known = HashSet::new();
    let acknowledged = drawn.iter().filter(|one| one.is_acknowledged);
    let again = acknowledged.filter(|one| !known.insert((one.sequence, one.value)));
    again
        .map(|one| {
            let text = format!("sequence {} gave {} twice", one.sequence, one.value);
            Finding::new(Anomaly::BrokenInvariant, text)
        })
        .collect()
}
