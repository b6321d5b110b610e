//! Foreign keys and late checks beyond what one script shows (tests/sql/foreign_key*.slt, deferrable.slt).

use super::*;
use crate::common::random::Random;

const PARENT_AND_CHILD: &str = "create table p (id integer primary key, k text unique);
    create table c (id integer primary key, p integer references p on delete cascade on update cascade,
                    k text references p (k) on delete set null on update cascade);
    create table g (id integer references c on delete set null on update cascade, n integer references p (id))";

/// Rows that refer to nothing.
fn dangling(session: &mut Session) -> Vec<String> {
    let mut found = Vec::new();
    for (child, column, parent, key) in
        [("c", "p", "p", "id"), ("c", "k", "p", "k"), ("g", "id", "c", "id"), ("g", "n", "p", "id")]
    {
        found.extend(rows(
            session,
            &format!(
                "select '{child}.{column}', x.{column} from {child} x where x.{column} is not null
                 and not exists (select 1 from {parent} y where y.{key} = x.{column})"
            ),
        ));
    }
    found
}

#[test]
fn whatever_is_changed_and_undone_nothing_refers_to_what_is_not_there() {
    let seed = 11;
    let mut random = Random::new(seed);
    let (_fixture, mut session) = Fixture::session(PARENT_AND_CHILD);
    session.set("on_error", "statement").unwrap();
    let (mut refused, mut changed) = (0, 0);
    tag(&mut session, "begin");
    for round in 0..400 {
        let (a, b) = (random.below(12), random.below(12));
        let sql = match random.below(11) {
            0 | 1 => format!("insert into p values ({a}, 'k{b}')"),
            2 | 3 => format!("insert into c values ({a}, {b}, 'k{b}')"),
            4 => format!("insert into g values ({a}, {b})"),
            5 => format!("delete from p where id in ({a}, {b})"),
            6 => format!("update p set id = id + {b} where id > {a}"),
            7 => format!("update p set k = 'k{a}' where id = {b}"),
            8 => format!("update c set id = 11 - id, p = {a} where id <> {b}"),
            9 => String::from("savepoint s"),
            _ => String::from("rollback to s"),
        };
        match run_with(&mut session, &sql, &[]) {
            Ok(_) => changed += 1,
            Err(error) => {
                let state = error.state();
                assert!(
                    ["23503", "23505", "3B001"].contains(&state.as_str()),
                    "{error:?} in {sql}, seed {seed}"
                );
                refused += 1;
            }
        }
        let found = dangling(&mut session);
        assert!(found.is_empty(), "{found:?} after {sql}, round {round}, seed {seed}");
    }
    tag(&mut session, "commit");
    assert!(refused > 20 && changed > 100, "{refused} {changed}");
    assert!(dangling(&mut session).is_empty());
}

#[test]
fn a_broken_foreign_key_names_both_tables_and_the_key() {
    let (_fixture, mut session) = Fixture::session(PARENT_AND_CHILD);
    let absent = error(&mut session, "insert into c values (1, 7, null)");
    assert_eq!(
        (absent.message(), absent.detail_text()),
        (
            "insert or update on table \"c\" violates foreign key constraint \"c_p_fkey\"",
            Some("Key (p)=(7) is not present in table \"p\".")
        )
    );
    session.execute_script("insert into p values (1, 'x'); insert into g values (null, 1)").unwrap();
    let needed = error(&mut session, "delete from p");
    assert_eq!(
        (needed.message(), needed.detail_text()),
        (
            "update or delete on table \"p\" violates foreign key constraint \"g_n_fkey\" on table \"g\"",
            Some("Key (id)=(1) is still referenced from table \"g\".")
        )
    );
}

#[test]
fn a_plan_made_before_a_foreign_key_is_not_run_stale() {
    let (fixture, mut session) =
        Fixture::session("create table p (id integer primary key); insert into p values (1)");
    let (statement, _) = session.prepare("delete from p where id = 1").unwrap();
    let statement = statement.unwrap();
    let mut other = fixture.connect();
    other.execute_script("create table c (p integer references p); insert into c values (1)").unwrap();
    let result = session.execute(&statement, &[]).map(|portal| session.close(portal));
    assert_eq!(result.unwrap_err().state().as_str(), "23503");
    other.execute_script("drop table c").unwrap();
    let portal = session.execute(&statement, &[]).unwrap();
    assert_eq!(portal.tag(), "DELETE 1");
    session.close(portal);
}

#[test]
fn a_failed_statement_takes_its_waiting_checks_with_it() {
    let script = "create table p (id integer primary key);
        create table c (id integer primary key, p integer references p deferrable initially deferred)";
    for path in ["vectorised", "point"] {
        let (_fixture, mut session) = Fixture::session(script);
        session.set("lumos.execution_path", path).unwrap();
        session.set("on_error", "statement").unwrap();
        tag(&mut session, "begin");
        assert_eq!(tag(&mut session, "insert into c values (1, null)"), "INSERT 0 1");
        assert_eq!(code(&mut session, "insert into c values (2, 9), (1, 9)"), "23505");
        tag(&mut session, "insert into c values (3, 7)");
        assert_eq!(code(&mut session, "set constraints all immediate"), "23503");
        tag(&mut session, "insert into p values (7)");
        assert_eq!(tag(&mut session, "set constraints all immediate"), "SET CONSTRAINTS");
        assert_eq!(tag(&mut session, "commit"), "COMMIT");
        assert_eq!(rows(&mut session, "select id, p from c order by id"), ["1|NULL", "3|7"]);
    }
}

#[test]
fn what_waits_is_charged_and_given_back() {
    let script = "create table p (id integer primary key);
        create table c (p integer references p deferrable initially deferred)";
    let fixture = Fixture::with_memory(24 << 20);
    let mut session = fixture.connect();
    session.execute_script(script).unwrap();
    tag(&mut session, "begin");
    let mut state = String::new();
    for _ in 0..60 {
        let sql = "insert into c select i from generate_series(1, 20000) as g (i)";
        if let Err(error) = run_with(&mut session, sql, &[]) {
            state = error.state().as_str().to_owned();
            break;
        }
    }
    assert_eq!(state, "53200");
    tag(&mut session, "rollback");
    assert_eq!(rows(&mut session, "select count(*) from c"), ["0"]);
    assert_eq!(
        tag(&mut session, "insert into p select i from generate_series(1, 100) as g (i)"),
        "INSERT 0 100"
    );
    assert_eq!(tag(&mut session, "insert into c select id from p"), "INSERT 0 100");
}
