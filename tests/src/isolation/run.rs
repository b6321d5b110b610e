//! Runs a scenario: a thread a session, one statement at a time; whether one waits is asked of `lumos_locks`.

use crate::isolation::judge::expects_refusal;
use crate::isolation::scenario::{Outcome, Run, Step};
use lumos_core::database::Database;
use lumos_core::database::options::DatabaseOptions;
use lumos_core::error::{Error, Result};
use lumos_core::session::{Prepared, Session};
use lumos_core::sql::types::cast::CastEnvironment;
use lumos_core::sql::types::datum::DatumRef;
use lumos_core::sql::types::text_form::datum_to_text;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Looks at the locks before a statement that neither ends nor waits is given up; each look yields the processor.
const LOOKS_MAX: u64 = 50_000_000;

/// How long somebody is waited for who is to go on by himself: after a timeout.
const LATE_MAX: Duration = Duration::from_secs(8);

/// What a session's thread is sent.
type Text = String;

struct Client {
    number: u64,
    texts: Sender<Text>,
    outcomes: Receiver<Outcome>,
    /// Sent a text whose outcome has not come.
    is_busy: bool,
    thread: JoinHandle<()>,
}

/// What the engine did, step by step: as the scenario has it where that is right. Late outcomes stand after the statement
/// that released them, in the order of the sessions' names.
/// # Errors
/// What keeps the scenario from running: its set-up fails, a statement neither ends nor waits.
pub fn run(scenario: &Run) -> std::result::Result<Vec<Step>, String> {
    let told = |error: Error| format!("{error}");
    let database = Database::open(None, DatabaseOptions::default()).map_err(told)?;
    let mut watcher = database.connect().map_err(told)?;
    watcher.execute_script(&scenario.setup).map_err(|error| format!("set-up: {error}"))?;
    let mut clients: BTreeMap<String, Client> = BTreeMap::new();
    let mut outcome = steps(scenario, &database, &mut watcher, &mut clients);
    if let (true, Ok(found)) = (expects_refusal(scenario), &mut outcome) {
        commit_rest(&mut watcher, &mut clients, found)?;
    }
    // Without its sender a thread ends, and its locks with it; those who wait go on then.
    let threads: Vec<_> = clients.into_values().map(|client| client.thread).collect();
    for thread in threads {
        thread.join().map_err(|_| "a session's thread panicked".to_owned())?;
    }
    outcome
}

fn steps(
    scenario: &Run,
    database: &Arc<Database>,
    watcher: &mut Session,
    clients: &mut BTreeMap<String, Client>,
) -> std::result::Result<Vec<Step>, String> {
    let mut names: Vec<&String> = scenario.session_setup.iter().map(|(name, _)| name).collect();
    names.extend(scenario.steps.iter().map(|step| match step {
        Step::Send { session, .. } | Step::Late { session, .. } => session,
    }));
    for name in names {
        if !clients.contains_key(name) {
            clients.insert(name.clone(), connect(database)?);
        }
    }
    for (name, sql) in &scenario.session_setup {
        let client = clients.get_mut(name).ok_or("a session that is not there")?;
        match settle(client, Some(sql), watcher)? {
            Some(Outcome::Error { state, message }) => {
                return Err(format!("set-up of {name}: {state}: {message}"));
            }
            Some(_) => {}
            None => return Err(format!("set-up of {name}: it waits")),
        }
    }
    let mut found = Vec::new();
    for (number, step) in scenario.steps.iter().enumerate() {
        let Step::Send { session, sql, .. } = step else { continue };
        let late = scenario.steps[number + 1..].iter().map_while(|step| match step {
            Step::Late { session, .. } => Some(session.as_str()),
            Step::Send { .. } => None,
        });
        let late: Vec<&str> = late.collect();
        let client = clients.get_mut(session).ok_or("a session that is not there")?;
        if client.is_busy {
            return Err(format!("{session} is sent a statement while it waits"));
        }
        let outcome = settle(client, Some(sql), watcher)?.unwrap_or(Outcome::Blocks);
        found.push(Step::Send { session: session.clone(), sql: sql.clone(), outcome });
        let sender = session;
        for (session, client) in clients.iter_mut().filter(|(name, client)| client.is_busy && *name != sender)
        {
            if let Some(outcome) = settle(client, None, watcher)? {
                found.push(Step::Late { session: session.clone(), outcome });
            }
        }
        for name in late {
            let told = |step: &Step| matches!(step, Step::Late { session, .. } if session == name);
            let Some(client) = clients.get_mut(name).filter(|client| client.is_busy) else { continue };
            if found.last().is_some_and(told) {
                continue;
            }
            if let Ok(outcome) = client.outcomes.recv_timeout(LATE_MAX) {
                client.is_busy = false;
                found.push(Step::Late { session: name.to_owned(), outcome });
            }
        }
        // It may have been let go by one that went on.
        if let Some(client) = clients.get_mut(sender).filter(|client| client.is_busy)
            && let Some(outcome) = settle(client, None, watcher)?
        {
            found.push(Step::Late { session: sender.clone(), outcome });
        }
    }
    Ok(found)
}

/// Commits what is still open where PostgreSQL refused somebody before its COMMIT: an engine that refuses at the COMMIT
/// must do so there. Only an error is told.
fn commit_rest(
    watcher: &mut Session,
    clients: &mut BTreeMap<String, Client>,
    found: &mut Vec<Step>,
) -> std::result::Result<(), String> {
    for (session, client) in clients.iter_mut().filter(|(_, client)| !client.is_busy) {
        let sql = "COMMIT";
        if let Some(outcome @ Outcome::Error { .. }) = settle(client, Some(sql), watcher)? {
            found.push(Step::Send { session: session.clone(), sql: sql.to_owned(), outcome });
        }
    }
    Ok(())
}

/// Waits until the session's statement has ended or waits for a lock (`None`).
fn settle(
    client: &mut Client,
    sql: Option<&str>,
    watcher: &mut Session,
) -> std::result::Result<Option<Outcome>, String> {
    if let Some(sql) = sql {
        client.texts.send(sql.to_owned()).map_err(|_| "a session's thread is gone".to_owned())?;
        client.is_busy = true;
    }
    for _ in 0..LOOKS_MAX {
        // The order matters: a statement that ended between the two looks would be seen by the next one.
        let waits = is_waiting(watcher, client.number).map_err(|error| format!("lumos_locks: {error}"))?;
        match client.outcomes.try_recv() {
            Ok(outcome) => {
                client.is_busy = false;
                return Ok(Some(outcome));
            }
            Err(TryRecvError::Empty) if waits => return Ok(None),
            Err(TryRecvError::Empty) => std::thread::yield_now(),
            Err(TryRecvError::Disconnected) => return Err("a session's thread is gone".to_owned()),
        }
    }
    Err("a statement neither ends nor waits".to_owned())
}

fn is_waiting(watcher: &mut Session, session: u64) -> Result<bool> {
    let sql = format!("SELECT 1 FROM lumos_locks WHERE NOT granted AND session_id = {session}");
    let mut rows = 0;
    watcher.run_script(&sql, &mut |watcher, statement| {
        let mut portal = watcher.execute(statement, &[])?;
        while let Some(batch) = watcher.fetch(&mut portal)? {
            rows += batch.selected_rows();
        }
        watcher.close(portal);
        Ok(())
    })?;
    Ok(rows > 0)
}

fn connect(database: &Arc<Database>) -> std::result::Result<Client, String> {
    let mut session = database.connect().map_err(|error| error.to_string())?;
    let number = session.id();
    let (texts, work) = channel::<Text>();
    let (told, outcomes) = channel();
    let thread = std::thread::spawn(move || {
        while let Ok(sql) = work.recv() {
            let outcome = catch_unwind(AssertUnwindSafe(|| run_text(&mut session, &sql)));
            let outcome = outcome.unwrap_or_else(|_| {
                session.after_panic();
                Outcome::Error { state: "panic".to_owned(), message: String::new() }
            });
            if told.send(outcome).is_err() {
                return;
            }
        }
    });
    Ok(Client { number, texts, outcomes, is_busy: false, thread })
}

fn run_text(session: &mut Session, sql: &str) -> Outcome {
    let mut outcomes = Vec::new();
    let result = session.run_script(sql, &mut |session, statement| {
        outcomes.push(run_statement(session, statement)?);
        Ok(())
    });
    if let Err(error) = result {
        let (state, message) = (error.state().as_str().to_owned(), error.message().to_owned());
        outcomes.push(Outcome::Error { state, message });
    }
    if outcomes.len() == 1 { outcomes.remove(0) } else { Outcome::Several(outcomes) }
}

fn run_statement(session: &mut Session, statement: &Arc<Prepared>) -> Result<Outcome> {
    let (zone, style) = session.text_forms();
    let environment = CastEnvironment { zone: &zone, now: 0, style };
    let mut portal = session.execute(statement, &[])?;
    let mut rows = Vec::new();
    while let Some(batch) = session.fetch(&mut portal)? {
        for row in batch.row_numbers() {
            let values = batch.columns.iter().map(|column| match column.datum(row) {
                DatumRef::Null => "NULL".to_owned(),
                value => {
                    let mut text = String::new();
                    datum_to_text(value, column.data_type, &environment, &mut text);
                    text
                }
            });
            rows.push(format!("({})", values.collect::<Vec<_>>().join(", ")));
        }
    }
    let tag = portal.tag();
    session.close(portal);
    Ok(match statement.returns_rows() {
        false => Outcome::Ok(tag),
        true if rows.is_empty() => Outcome::Rows("none".to_owned()),
        true => Outcome::Rows(rows.join("; ")),
    })
}
