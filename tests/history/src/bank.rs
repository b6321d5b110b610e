//! Accounts between which money goes to and fro: every statement sees the whole sum, and every snapshot sees it again.
//! Knows the tables and which level promises what.

use crate::anomaly::{Anomaly, Finding};
use crate::client::{Client, number};
use crate::history::Level;
use crate::tally::{Tally, in_threads};
use lumos_core::common::random::Random;
use lumos_core::database::Database;
use lumos_core::error::{Error, Result, SqlState};
use std::sync::Arc;

const ACCOUNTS: u64 = 20;
const BRANCHES: u64 = 4;
const OPENING: u64 = 100;

/// Makes the accounts.
/// # Errors
/// None that the statements should raise.
pub fn create(database: &Arc<Database>) -> Result<()> {
    database.connect()?.execute_script(&format!(
        "CREATE TABLE accounts (id bigint PRIMARY KEY, branch bigint NOT NULL, balance bigint NOT NULL);
         CREATE INDEX accounts_branch ON accounts (branch);
         CREATE INDEX accounts_balance ON accounts (balance);
         INSERT INTO accounts SELECT g, g % {BRANCHES}, {OPENING} FROM generate_series(0, {}) AS g (g);",
        ACCOUNTS - 1
    ))?;
    Ok(())
}

/// Runs transactions in threads; what they find wrong is in the tally.
pub fn run(database: &Arc<Database>, level: Level, transactions: usize, threads: usize, seed: u64) -> Tally {
    in_threads(threads, seed, |random, tally| {
        let Ok(mut client) = Client::new(database) else { return };
        for _ in 0..transactions / threads {
            tally.transactions += 1;
            let result = if random.below(3) == 0 {
                look(&mut client, level, random, tally)
            } else {
                transfer(&mut client, level, random)
            };
            client.roll_back();
            tally.note(result);
        }
    })
}

/// Every level promises a statement one state.
fn check(tally: &mut Tally, what: &str, sum: i64, count: Option<i64>) {
    tally.reads += 1;
    if sum != (ACCOUNTS * OPENING) as i64 || count.is_some_and(|count| count != ACCOUNTS as i64) {
        let text = format!("{what}: {count:?} accounts have {sum}");
        tally.findings.push(Finding::new(Anomaly::BrokenInvariant, text));
    }
}

fn look(client: &mut Client, level: Level, random: &mut Random, tally: &mut Tally) -> Result<()> {
    client.run(level.begin(), &[])?;
    for _ in 0..1 + random.below(3) {
        match random.below(5) {
            0 => {
                let all = client.run("SELECT sum(balance), count(*) FROM accounts", &[])?;
                check(tally, "all accounts", all.rows[0][0].number(), Some(all.rows[0][1].number()));
            }
            1 => {
                let sql = "SELECT sum(balance), count(*) FROM accounts WHERE branch >= 0 AND branch < $1";
                let all = client.run(sql, &[number(BRANCHES)])?;
                check(tally, "by branch", all.rows[0][0].number(), Some(all.rows[0][1].number()));
            }
            2 => {
                let sql = "SELECT balance FROM accounts WHERE balance >= $1 ORDER BY balance";
                let all = client.run(sql, &[number(0)])?;
                let sum = all.rows.iter().map(|row| row[0].number()).sum();
                check(tally, "by balance", sum, Some(all.rows.len() as i64));
            }
            // From here on one statement is not enough.
            3 if level > Level::ReadCommitted => {
                let mut sum = 0;
                for id in 0..ACCOUNTS {
                    let one = client.run("SELECT balance FROM accounts WHERE id = $1", &[number(id)])?;
                    sum += one.number();
                }
                check(tally, "one by one", sum, None);
            }
            _ if level > Level::ReadCommitted => {
                let (mut sum, mut count) = (0, 0);
                for branch in 0..BRANCHES {
                    let sql = "SELECT sum(balance), count(*) FROM accounts WHERE branch = $1";
                    let one = client.run(sql, &[number(branch)])?;
                    sum += one.rows[0][0].number();
                    count += one.rows[0][1].number();
                }
                check(tally, "branch by branch", sum, Some(count));
            }
            _ => {}
        }
    }
    client.run("COMMIT", &[]).map(drop)
}

fn transfer(client: &mut Client, level: Level, random: &mut Random) -> Result<()> {
    client.run(level.begin(), &[])?;
    let from = random.below(ACCOUNTS);
    let to = (from + 1 + random.below(ACCOUNTS - 1)) % ACCOUNTS;
    let amount = 1 + random.below(5);
    match random.below(5) {
        // As a host does that computes: right only where nobody changes it in between.
        0 if level > Level::ReadCommitted => {
            let sql = "SELECT balance FROM accounts WHERE id = $1";
            let (less, more) =
                (client.run(sql, &[number(from)])?.number(), client.run(sql, &[number(to)])?.number());
            if less < amount as i64 {
                return Ok(());
            }
            let sql = "UPDATE accounts SET balance = $2 WHERE id = $1";
            client.run(sql, &[number(from), number(less as u64 - amount)])?;
            client.run(sql, &[number(to), number(more as u64 + amount)])?;
        }
        // The account is closed and opened again, at another branch.
        1 => {
            let sql = "DELETE FROM accounts WHERE id = $1 AND balance >= $2 RETURNING balance";
            let closed = client.run(sql, &[number(from), number(amount)])?;
            if closed.affected == 0 {
                return Ok(());
            }
            let rest = number(closed.number() as u64 - amount);
            let branch = number(random.below(BRANCHES));
            client.run("INSERT INTO accounts VALUES ($1, $2, $3)", &[number(from), branch, rest])?;
            give(client, to, amount)?;
        }
        2 => {
            let sql = "UPDATE accounts SET balance = balance + CASE WHEN id = $1 THEN -$3::bigint ELSE $3 END
                       WHERE id = $1 OR id = $2";
            let changed = client.run(sql, &[number(from), number(to), number(amount)])?;
            if changed.affected != 2 {
                client.run("ROLLBACK", &[])?;
                return Ok(());
            }
            let low = client.run("SELECT balance FROM accounts WHERE id = $1", &[number(from)])?;
            if low.number() < 0 {
                client.run("ROLLBACK", &[])?;
                return Ok(());
            }
        }
        _ => {
            let sql = "UPDATE accounts SET balance = balance - $2 WHERE id = $1 AND balance >= $2";
            if client.run(sql, &[number(from), number(amount)])?.affected == 0 {
                return Ok(());
            }
            if random.below(4) == 0 {
                client.run("SAVEPOINT s", &[])?;
                give(client, to, amount)?;
                client.run("ROLLBACK TO s", &[])?;
            }
            give(client, to, amount)?;
        }
    }
    client.run("COMMIT", &[]).map(drop)
}

/// At read committed somebody may have closed the account and opened it again since the statement began: then there is
/// none that it sees, and the whole transfer is off.
fn give(client: &mut Client, to: u64, amount: u64) -> Result<()> {
    let sql = "UPDATE accounts SET balance = balance + $2 WHERE id = $1";
    if client.run(sql, &[number(to), number(amount)])?.affected == 1 {
        return Ok(());
    }
    Err(Error::new(SqlState::SERIALIZATION_FAILURE, "the account is being moved"))
}
