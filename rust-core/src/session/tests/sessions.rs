//! What sessions see of each other, what they end of each other, and what time ends.

use super::{Fixture, code, error, rows, run_with, tag};
use crate::session::Session;
use crate::session::result::TransactionStatus;

/// Waits until somebody waits for a lock.
fn until_waiting(fixture: &Fixture, count: usize) {
    while fixture.engine.manager.lock_manager().waits().len() < count {
        std::thread::yield_now();
    }
}

/// Moves the clock and does what is due then.
fn pass(fixture: &Fixture, milliseconds: u64) {
    fixture.clock.advance_micros(milliseconds * 1000);
    fixture.engine.ring();
}

fn two() -> (Fixture, Session, Session) {
    let (fixture, one) =
        Fixture::session("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 10), (2, 20)");
    let two = fixture.connect();
    (fixture, one, two)
}

#[test]
fn a_wait_for_a_row_a_table_or_an_advisory_lock_ends_with_lock_timeout() {
    for (first, second) in [
        ("UPDATE t SET v = 11 WHERE id = 1", "UPDATE t SET v = 12 WHERE id = 1"),
        ("LOCK TABLE t", "SELECT count(*) FROM t"),
        ("SELECT pg_advisory_xact_lock(7)", "SELECT pg_advisory_lock(7)"),
    ] {
        let (fixture, mut one, mut two) = two();
        tag(&mut one, "BEGIN");
        rows(&mut one, first);
        tag(&mut two, "SET lock_timeout = '50ms'");
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| error(&mut two, second));
            until_waiting(&fixture, 1);
            fixture.clock.advance_micros(50_000);
            let error = waiting.join().unwrap();
            assert_eq!(error.state().as_str(), "55P03", "{second}");
            assert_eq!(error.message(), "canceling statement due to lock timeout");
        });
        tag(&mut one, "COMMIT");
        rows(&mut two, second);
        assert_eq!(rows(&mut two, "SELECT lock_timeouts, lock_waits FROM lumos_stat_transactions"), ["1|1"]);
    }
}

#[test]
fn a_statement_ends_with_its_timeout_also_while_it_waits_and_the_next_one_has_its_own() {
    let (fixture, mut one, mut two) = two();
    tag(&mut one, "BEGIN");
    tag(&mut one, "UPDATE t SET v = 11 WHERE id = 1");
    tag(&mut two, "SET statement_timeout = 100");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| error(&mut two, "UPDATE t SET v = 12 WHERE id = 1"));
        until_waiting(&fixture, 1);
        pass(&fixture, 99);
        assert_eq!(fixture.engine.manager.lock_manager().waits().len(), 1);
        pass(&fixture, 1);
        let error = waiting.join().unwrap();
        assert_eq!(error.state().as_str(), "57014");
        assert_eq!(error.message(), "canceling statement due to statement timeout");
    });
    pass(&fixture, 1000);
    assert_eq!(rows(&mut two, "SELECT v FROM t WHERE id = 2"), ["20"]);
    // Rows that are still to be fetched are part of their statement.
    let (statement, _) = two.prepare("SELECT * FROM t").unwrap();
    let mut portal = two.execute(&statement.unwrap(), &[]).unwrap();
    pass(&fixture, 100);
    assert_eq!(two.fetch(&mut portal).unwrap_err().state().as_str(), "57014");
    two.close(portal);
    assert!(!fixture.engine.timer.has_thread());
}

#[test]
fn a_transaction_that_is_idle_too_long_gives_its_locks_back_without_a_call() {
    let (fixture, mut one, mut two) = two();
    tag(&mut one, "SET idle_in_transaction_session_timeout = '1s'");
    tag(&mut one, "BEGIN");
    tag(&mut one, "UPDATE t SET v = 11 WHERE id = 1");
    rows(&mut one, "SELECT pg_advisory_xact_lock(3)");
    pass(&fixture, 999);
    tag(&mut one, "SAVEPOINT s");
    pass(&fixture, 999);
    assert_eq!(rows(&mut two, "SELECT pg_try_advisory_lock(3)"), ["f"]);
    pass(&fixture, 1);
    assert_eq!(rows(&mut two, "SELECT pg_try_advisory_lock(3)"), ["t"]);
    assert_eq!(tag(&mut two, "UPDATE t SET v = 12 WHERE id = 1"), "UPDATE 1");
    let told = error(&mut one, "UPDATE t SET v = 13 WHERE id = 2");
    assert_eq!(told.state().as_str(), "25P03");
    // What was meant for the transaction must not be done outside it.
    assert_eq!(code(&mut one, "UPDATE t SET v = 13 WHERE id = 2"), "25P02");
    assert_eq!(tag(&mut one, "COMMIT"), "ROLLBACK");
    assert_eq!(rows(&mut one, "SELECT v FROM t ORDER BY id"), ["12", "20"]);
    for end in ["COMMIT", "ROLLBACK"] {
        tag(&mut one, "BEGIN");
        tag(&mut one, "UPDATE t SET v = 14 WHERE id = 1");
        pass(&fixture, 1000);
        assert_eq!(code(&mut one, end), "25P03");
        assert_eq!(one.transaction_status(), TransactionStatus::Idle);
    }
    pass(&fixture, 5000);
    assert_eq!(rows(&mut one, "SELECT v FROM t ORDER BY id"), ["12", "20"]);
}

#[test]
fn a_transaction_ends_with_its_timeout_running_or_idle_whatever_savepoints_it_has() {
    let (fixture, mut one, mut two) = two();
    tag(&mut one, "SET transaction_timeout = '2s'");
    tag(&mut two, "BEGIN");
    tag(&mut two, "UPDATE t SET v = 21 WHERE id = 2");
    tag(&mut one, "BEGIN");
    tag(&mut one, "UPDATE t SET v = 11 WHERE id = 1");
    tag(&mut one, "SAVEPOINT s");
    pass(&fixture, 1500);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| error(&mut one, "UPDATE t SET v = 12 WHERE id = 2"));
        until_waiting(&fixture, 1);
        pass(&fixture, 500);
        assert_eq!(waiting.join().unwrap().state().as_str(), "25P04");
    });
    assert_eq!(code(&mut one, "ROLLBACK TO s"), "3B001");
    assert_eq!(tag(&mut one, "ROLLBACK"), "ROLLBACK");
    tag(&mut one, "BEGIN");
    tag(&mut one, "UPDATE t SET v = 11 WHERE id = 1");
    pass(&fixture, 2000);
    assert_eq!(tag(&mut two, "UPDATE t SET v = 22 WHERE id = 1"), "UPDATE 1");
    assert_eq!(code(&mut one, "SELECT 1"), "25P04");
    assert_eq!(code(&mut one, "SELECT 1"), "25P02");
    tag(&mut one, "ROLLBACK");
    tag(&mut two, "COMMIT");
    assert_eq!(rows(&mut one, "SELECT v FROM t ORDER BY id"), ["22", "21"]);
}

#[test]
fn a_timeout_set_for_a_transaction_ends_with_it() {
    let (fixture, mut one, _) = two();
    tag(&mut one, "BEGIN");
    tag(&mut one, "SET LOCAL idle_in_transaction_session_timeout = 10");
    assert_eq!(rows(&mut one, "SHOW idle_in_transaction_session_timeout"), ["10ms"]);
    tag(&mut one, "COMMIT");
    tag(&mut one, "BEGIN");
    rows(&mut one, "SELECT 1");
    pass(&fixture, 1000);
    rows(&mut one, "SELECT 1");
}

#[test]
fn a_terminated_session_loses_its_transaction_and_its_locks_at_once_and_answers_nothing_else() {
    let (_fixture, mut one, mut two) = two();
    rows(&mut one, "SELECT pg_advisory_lock(1)");
    tag(&mut one, "BEGIN");
    tag(&mut one, "UPDATE t SET v = 11 WHERE id = 1");
    let id = one.id();
    assert_eq!(rows(&mut two, &format!("SELECT pg_terminate_backend({id})")), ["t"]);
    assert_eq!(tag(&mut two, "UPDATE t SET v = 12 WHERE id = 1"), "UPDATE 1");
    assert_eq!(rows(&mut two, "SELECT pg_try_advisory_lock(1)"), ["t"]);
    for sql in ["SELECT 1", "ROLLBACK", "BEGIN", "SELECT 1"] {
        let told = error(&mut one, sql);
        assert!(told.is_unstarted(), "{sql}");
        assert_eq!(told.message(), "terminating connection due to administrator command", "{sql}");
        assert_eq!(told.state().as_str(), "57P01");
    }
    assert_eq!(one.begin(None, false).unwrap_err().state().as_str(), "57P01");
    assert!(one.execute_script("SELECT 1; SELECT 2").unwrap_err().is_unstarted());
    assert_eq!(one.discard().unwrap_err().state().as_str(), "57P01");
    assert_eq!(rows(&mut two, "SELECT v FROM t ORDER BY id"), ["12", "20"]);
    drop(one);
    assert_eq!(
        rows(&mut two, &format!("SELECT pg_terminate_backend({id}), pg_cancel_backend({id})")),
        ["f|f"]
    );
    let warnings = two.take_notices();
    let told: Vec<&str> = warnings.iter().map(|warning| warning.report.message()).collect();
    assert_eq!(told, vec![format!("PID {id} is not a PostgreSQL backend process"); 2]);
}

#[test]
fn a_call_that_did_something_before_its_session_was_ended_says_so() {
    let (fixture, mut one, mut two) = two();
    // What a statement has changed and gives back stands, and is given out.
    let mut zero = fixture.connect();
    let (statement, _) = zero.prepare("UPDATE t SET v = v RETURNING id").unwrap();
    let mut portal = zero.execute(&statement.unwrap(), &[]).unwrap();
    assert!(fixture.engine.terminate(zero.id()));
    assert_eq!(zero.fetch(&mut portal).unwrap().unwrap().selected_rows(), 2);
    assert!(zero.fetch(&mut portal).unwrap().is_none());
    zero.close(portal);
    // The rows of a query that began, and the second statement of a script.
    let (statement, _) = one.prepare("SELECT * FROM t").unwrap();
    let mut portal = one.execute(&statement.unwrap(), &[]).unwrap();
    rows(&mut two, &format!("SELECT pg_terminate_backend({})", one.id()));
    let told = one.fetch(&mut portal).unwrap_err();
    assert_eq!((told.state().as_str(), told.is_unstarted()), ("57P01", false));
    one.close(portal);
    let mut third = fixture.connect();
    let script = format!(
        "UPDATE t SET v = 11 WHERE id = 1; COMMIT; SELECT pg_terminate_backend({}); SELECT 1",
        third.id()
    );
    let told = third.execute_script(&script).unwrap_err();
    assert_eq!((told.state().as_str(), told.is_unstarted()), ("57P01", false));
    assert_eq!(rows(&mut two, "SELECT v FROM t WHERE id = 1"), ["11"]);
    // What stopped while it ran did something.
    tag(&mut two, "BEGIN");
    tag(&mut two, "UPDATE t SET v = 12 WHERE id = 1");
    let mut fourth = fixture.connect();
    let id = fourth.id();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| error(&mut fourth, "UPDATE t SET v = 13 WHERE id = 1"));
        until_waiting(&fixture, 1);
        assert!(fixture.engine.terminate(id));
        let told = waiting.join().unwrap();
        assert_eq!((told.state().as_str(), told.is_unstarted()), ("57P01", false));
    });
    tag(&mut two, "SET idle_in_transaction_session_timeout = '1s'");
    pass(&fixture, 1000);
    let told = error(&mut two, "SELECT 1");
    assert_eq!((told.state().as_str(), told.is_unstarted()), ("25P03", true));
    assert!(!error(&mut two, "SELECT 1").is_unstarted());
    assert!(!fixture.engine.terminate(id + 1) && !fixture.engine.cancel(0));
}

#[test]
fn a_session_that_waits_is_cancelled_or_terminated_by_its_number() {
    for (function, state) in [("pg_cancel_backend", "57014"), ("pg_terminate_backend", "57P01")] {
        let (fixture, mut one, mut two) = two();
        let mut third = fixture.connect();
        tag(&mut one, "BEGIN");
        tag(&mut one, "UPDATE t SET v = 11 WHERE id = 1");
        tag(&mut two, "BEGIN");
        tag(&mut two, "UPDATE t SET v = 21 WHERE id = 2");
        let (holder, waiter) = (one.id(), two.id());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| code(&mut two, "UPDATE t SET v = 12 WHERE id = 1"));
            until_waiting(&fixture, 1);
            assert_eq!(
                rows(&mut third, &format!("SELECT pg_blocking_pids({waiter})")),
                [format!("{{{holder}}}")]
            );
            assert_eq!(
                rows(&mut third, "SELECT state, query, wait_event_type, wait_event, blocked_by FROM lumos_stat_activity ORDER BY session_id"),
                [
                    "idle in transaction|UPDATE t SET v = 11 WHERE id = 1|NULL|NULL|".to_owned(),
                    format!("active|UPDATE t SET v = 12 WHERE id = 1|Lock|row|{holder}"),
                    "active|SELECT state, query, wait_event_type, wait_event, blocked_by FROM lumos_stat_activity ORDER BY session_id|NULL|NULL|".to_owned(),
                ]
            );
            rows(&mut third, &format!("SELECT {function}({waiter})"));
            assert_eq!(waiting.join().unwrap(), state);
        });
        assert_eq!(tag(&mut third, "UPDATE t SET v = 22 WHERE id = 2"), "UPDATE 1", "{function}");
        assert_eq!(rows(&mut third, &format!("SELECT pg_blocking_pids({waiter})")), ["{}"]);
    }
}

#[test]
fn advisory_locks_are_counted_shared_and_outlive_a_rollback_but_not_their_session() {
    let (fixture, mut one, mut two) = two();
    let try_it = "SELECT pg_try_advisory_lock(1), pg_try_advisory_lock_shared(1), pg_try_advisory_lock(0, 1)";
    tag(&mut one, "BEGIN");
    assert_eq!(rows(&mut one, "SELECT pg_advisory_lock(1)"), [""]);
    rows(&mut one, "SELECT pg_advisory_lock(1)");
    tag(&mut one, "ROLLBACK");
    assert_eq!(rows(&mut two, try_it), ["f|f|t"]);
    assert_eq!(rows(&mut one, "SELECT pg_advisory_unlock_shared(1), pg_advisory_unlock(1)"), ["f|t"]);
    let warnings = one.take_notices();
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].report.message(), "you don't own a lock of type ShareLock");
    assert_eq!(rows(&mut two, "SELECT pg_try_advisory_lock(1)"), ["f"]);
    assert_eq!(rows(&mut one, "SELECT pg_advisory_unlock(1)"), ["t"]);
    rows(&mut one, "SELECT pg_advisory_lock_shared(1)");
    assert_eq!(rows(&mut two, "SELECT pg_try_advisory_lock(1), pg_try_advisory_lock_shared(1)"), ["f|t"]);
    drop(one);
    assert_eq!(rows(&mut two, "SELECT pg_try_advisory_lock(1)"), ["t"]);
    let mut third = fixture.connect();
    assert_eq!(
        rows(
            &mut third,
            "SELECT lock_type, key, mode, granted FROM lumos_locks WHERE lock_type = 'advisory' ORDER BY key DESC, mode DESC"
        ),
        ["advisory|1|ShareLock|t", "advisory|1|ExclusiveLock|t", "advisory|0,1|ExclusiveLock|t"]
    );
    two.discard().unwrap();
    assert_eq!(rows(&mut third, try_it), ["t|t|t"]);
    // Each row is a call of its own.
    rows(&mut third, "SELECT pg_advisory_lock(9) FROM t");
    assert_eq!(
        rows(&mut third, "SELECT pg_advisory_unlock(9), pg_advisory_unlock(9), pg_advisory_unlock(9)"),
        ["t|t|f"]
    );
}

#[test]
fn a_transactions_advisory_lock_goes_with_it_or_with_its_savepoint_and_leaves_the_sessions() {
    let (_fixture, mut one, mut two) = two();
    let free =
        "SELECT pg_try_advisory_xact_lock(1), pg_try_advisory_xact_lock(2), pg_try_advisory_xact_lock(3)";
    rows(&mut one, "SELECT pg_advisory_lock(3)");
    tag(&mut one, "BEGIN");
    rows(&mut one, "SELECT pg_advisory_xact_lock(1)");
    tag(&mut one, "SAVEPOINT s");
    rows(&mut one, "SELECT pg_advisory_xact_lock(2), pg_advisory_xact_lock(1), pg_advisory_xact_lock(3)");
    assert_eq!(rows(&mut two, free), ["f|f|f"]);
    tag(&mut one, "ROLLBACK TO s");
    assert_eq!(rows(&mut two, free), ["f|t|f"]);
    assert_eq!(rows(&mut one, "SELECT pg_advisory_unlock(1)"), ["f"]);
    tag(&mut one, "COMMIT");
    assert_eq!(rows(&mut two, free), ["t|t|f"]);
    assert_eq!(rows(&mut one, "SELECT pg_advisory_unlock(3)"), ["t"]);
    assert_eq!(rows(&mut two, free), ["t|t|t"]);
}

#[test]
fn a_deadlock_over_a_row_and_an_advisory_lock_is_found_and_told() {
    let (fixture, mut one, mut two) = two();
    rows(&mut one, "SELECT pg_advisory_lock(5)");
    tag(&mut two, "BEGIN");
    tag(&mut two, "UPDATE t SET v = 11 WHERE id = 1");
    let (first, second) = (one.id(), two.id());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| run_with(&mut one, "UPDATE t SET v = 12 WHERE id = 1", &[]).unwrap());
        until_waiting(&fixture, 1);
        let told = error(&mut two, "SELECT pg_advisory_xact_lock(5)");
        assert_eq!(told.state().as_str(), "40P01");
        assert_eq!(
            told.detail_text().unwrap(),
            format!(
                "Process {second} waits for ExclusiveLock on advisory lock [5]; blocked by process {first}.\n\
                 Process {first} waits for FOR NO KEY UPDATE on row 1 of relation \"t\"; blocked by process {second}."
            )
        );
        waiting.join().unwrap();
    });
    tag(&mut two, "ROLLBACK");
    assert_eq!(rows(&mut two, "SELECT deadlocks FROM lumos_stat_transactions"), ["1"]);
}

#[test]
fn others_see_what_a_session_is_called_what_it_does_and_which_rows_it_has_locked() {
    let (_fixture, mut one, mut two) = two();
    tag(&mut one, "SET application_name = 'import'");
    let look = "SELECT application_name, state, query, isolation, xact_start IS NULL FROM lumos_stat_activity WHERE session_id = 1";
    assert_eq!(rows(&mut two, look), ["import|idle|SET application_name = 'import'|NULL|t"]);
    tag(&mut one, "BEGIN ISOLATION LEVEL REPEATABLE READ");
    tag(&mut one, "UPDATE t SET v = 11 WHERE id = 2");
    assert_eq!(
        rows(&mut two, look),
        ["import|idle in transaction|UPDATE t SET v = 11 WHERE id = 2|repeatable read|f"]
    );
    assert_eq!(
        rows(&mut two, "SELECT table_name, row_id, count, granted FROM lumos_locks WHERE lock_type = 'row'"),
        ["t|2|1|t"]
    );
    assert_eq!(code(&mut one, "SELECT 1 / 0"), "22012");
    assert_eq!(rows(&mut two, look), ["import|idle in transaction (aborted)|SELECT 1 / 0|repeatable read|f"]);
    tag(&mut one, "ROLLBACK");
    assert_eq!(rows(&mut two, "SELECT open_transactions, waiting FROM lumos_stat_transactions"), ["0|0"]);
}

#[test]
fn a_setting_for_postgresqls_planner_is_kept_and_its_set_warns_that_it_does_nothing() {
    let (_fixture, mut session) = Fixture::session("");
    session.take_notices();
    assert_eq!(tag(&mut session, "SET enable_seqscan = off"), "SET");
    let warnings = session.take_notices();
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].report.message(), "setting \"enable_seqscan\" has no effect here");
    assert_eq!(warnings[0].report.state().as_str(), "01000");
    assert_eq!(rows(&mut session, "SHOW enable_seqscan"), ["off"]);
    tag(&mut session, "RESET enable_seqscan");
    tag(&mut session, "SET TimeZone = 'UTC'");
    assert!(session.take_notices().is_empty());
    assert_eq!(code(&mut session, "SET seq_page_cost = -1"), "22023");
}

#[test]
fn a_sleep_ends_with_its_time_or_with_its_statement() {
    let (fixture, mut one, mut two) = two();
    let none = "SELECT pg_sleep(0), pg_sleep('NaN'), pg_sleep_for('-1 day'), pg_sleep_until('2000-01-01')";
    assert_eq!(rows(&mut one, none), ["|||"]);
    tag(&mut two, "SET statement_timeout = 100");
    std::thread::scope(|scope| {
        let sleeping = scope.spawn(|| error(&mut two, "SELECT pg_sleep_for('1 month 1 day')"));
        while !sleeping.is_finished() {
            pass(&fixture, 100);
            std::thread::yield_now();
        }
        assert_eq!(sleeping.join().unwrap().state().as_str(), "57014");
    });
}

#[test]
fn a_size_for_postgresqls_planner_is_one_of_its_pages_where_it_has_no_unit() {
    let (_fixture, mut one, _) = two();
    for (value, shown) in [("0", "0"), ("16", "128kB"), ("'2MB'", "2MB")] {
        tag(&mut one, &format!("SET min_parallel_index_scan_size = {value}"));
        assert_eq!(rows(&mut one, "SHOW min_parallel_index_scan_size"), [shown]);
    }
    assert_eq!(error(&mut one, "SET max_parallel_workers = 'x'").state().as_str(), "22023");
    assert_eq!(error(&mut one, "SET plan_cache_mode = never").state().as_str(), "22023");
    one.execute_script("SET constraint_exclusion = off; SET plan_cache_mode = force_generic_plan").unwrap();
    assert_eq!(
        rows(&mut one, "SELECT current_setting('constraint_exclusion'), current_setting('plan_cache_mode')"),
        ["off|force_generic_plan"]
    );
}
