//! Indexes on expressions and partial indexes: kept through every change, undone with it, and never a wrong row.

use super::*;
use crate::common::random::Random;

const PEOPLE: &str = "create table people (id integer primary key, name text, age integer, gone boolean);
     create unique index people_name on people (lower(name)) where not gone;
     create index people_age on people ((age / 10), name)";

#[test]
fn uniqueness_is_among_the_rows_of_a_partial_index() {
    let (_fixture, mut session) = Fixture::session(PEOPLE);
    session.execute_script("insert into people values (1, 'Ann', 30, false), (2, 'ANN', 31, true)").unwrap();
    let duplicate = error(&mut session, "insert into people values (3, 'aNN', 1, false)");
    assert_eq!(duplicate.state().as_str(), "23505");
    assert_eq!(duplicate.detail_text(), Some("Key (lower(name))=(ann) already exists."));
    assert_eq!(code(&mut session, "update people set gone = false where id = 2"), "23505");
    assert_eq!(tag(&mut session, "insert into people values (3, 'ann', 40, null)"), "INSERT 0 1");
    assert_eq!(tag(&mut session, "update people set gone = true where id = 1"), "UPDATE 1");
    assert_eq!(tag(&mut session, "update people set gone = false where id = 2"), "UPDATE 1");
    assert_eq!(code(&mut session, "update people set gone = false"), "23505");
    assert_eq!(rows(&mut session, "select id from people where lower(name) = 'ann' and not gone"), ["2"]);
    assert_eq!(
        rows(&mut session, "select id from people where lower(name) = 'ann' order by id"),
        ["1", "2", "3"]
    );
    assert_eq!(tag(&mut session, "delete from people where lower(name) = 'ann' and not gone"), "DELETE 1");
    assert_eq!(rows(&mut session, "select id from people order by age / 10, name"), ["1", "3"]);
}

#[test]
fn an_index_made_in_a_transaction_goes_with_it() {
    let (fixture, mut one) = Fixture::session(
        "create table t (a integer, b text); insert into t select g, 'B' || g from generate_series(1, 50) g",
    );
    let mut two = fixture.connect();
    one.begin(None, false).unwrap();
    one.execute_script(
        "create index t_b on t (lower(b)); create unique index t_a on t ((a % 100)) where a > 0",
    )
    .unwrap();
    assert_eq!(rows(&mut one, "select a from t where lower(b) = 'b7'"), ["7"]);
    one.execute_script("drop index t_b; insert into t values (-7, 'B7')").unwrap();
    assert_eq!(rows(&mut one, "select a from t where lower(b) = 'b7' order by a"), ["-7", "7"]);
    assert_eq!(code(&mut one, "insert into t values (107, 'again')"), "23505");
    one.rollback().unwrap();
    assert!(
        rows(&mut one, "explain select a from t where lower(b) = 'b7'")
            .iter()
            .all(|line| !line.contains("t_b"))
    );
    assert_eq!(tag(&mut two, "insert into t values (107, 'B7')"), "INSERT 0 1");
    assert_eq!(rows(&mut two, "select a from t where lower(b) = 'b7' order by a"), ["7", "107"]);
}

#[test]
fn an_expression_that_fails_stops_the_change_and_leaves_nothing() {
    let (_fixture, mut session) = Fixture::session(
        "create table t (id integer primary key, a integer check (a <> 7));
         create index t_inverse on t ((100 / a)) where id > 0",
    );
    assert_eq!(code(&mut session, "insert into t values (1, 0)"), "22012");
    assert_eq!(code(&mut session, "insert into t values (1, 1), (2, 0)"), "22012");
    assert_eq!(code(&mut session, "insert into t select g, 3 - g from generate_series(1, 4) g"), "22012");
    // Constraints come first, and what a partial index leaves out is not computed.
    assert_eq!(code(&mut session, "insert into t values (1, 7), (2, 0)"), "23514");
    assert_eq!(code(&mut session, "insert into t select g, g + 6 from generate_series(1, 2) g"), "23514");
    assert_eq!(tag(&mut session, "insert into t values (0, 0), (1, 10)"), "INSERT 0 2");
    assert_eq!(code(&mut session, "update t set a = 0"), "22012");
    assert_eq!(code(&mut session, "update t set id = id + 10"), "22012");
    assert_eq!(code(&mut session, "update t set a = 0 where id = 1"), "22012");
    assert_eq!(rows(&mut session, "select id, a from t order by id"), ["0|0", "1|10"]);
    assert_eq!(rows(&mut session, "select id from t where 100 / a = 10 and id > 0"), ["1"]);
    assert_eq!(code(&mut session, "create index t_whole on t ((100 / a))"), "22012");
    assert_eq!(tag(&mut session, "delete from t where a = 0"), "DELETE 1");
    assert_eq!(tag(&mut session, "create index t_whole on t ((100 / a))"), "CREATE INDEX");
}

#[test]
fn a_row_changed_meanwhile_is_indexed_as_it_is_now() {
    let (fixture, mut one) = Fixture::session(
        "create table t (id integer primary key, a text); create index t_a on t (lower(a)) where a <> 'X';
         insert into t values (1, 'A'), (2, 'B')",
    );
    let mut two = fixture.connect();
    one.begin(None, false).unwrap();
    one.execute_script("update t set a = 'Changed' where id = 1").unwrap();
    let waiting = std::thread::spawn(move || {
        two.execute_script("update t set a = a || '!'").unwrap();
        two
    });
    while fixture.engine.manager.lock_manager().waiting_count() == 0 {
        std::thread::yield_now();
    }
    one.commit().unwrap();
    let mut two = waiting.join().unwrap();
    assert_eq!(rows(&mut two, "select id from t where lower(a) = 'changed!' and a <> 'X'"), ["1"]);
    assert_eq!(rows(&mut two, "select id from t where lower(a) = 'changed' and a <> 'X'"), [""; 0]);
    assert_eq!(rows(&mut two, "select id from t where lower(a) = 'b!' and a <> 'X'"), ["2"]);
}

#[test]
fn statistics_of_expressions_come_with_analyze_and_go_with_the_index() {
    let (_fixture, mut session) = Fixture::session(
        "create table t (a integer, b integer, s text);
         insert into t select g, g % 10, 'S' || g from generate_series(1, 3000) g;
         create index t_sum on t ((a - b)); create index t_s on t (lower(s)) where b = 3; analyze t",
    );
    let plan = |session: &mut Session, sql: &str| rows(session, &format!("explain {sql}")).join(" ");
    let narrow = plan(&mut session, "select * from t where a - b > 2900");
    assert!(narrow.contains("t_sum"), "{narrow}");
    let wide = plan(&mut session, "select * from t where a - b > 100");
    assert!(wide.contains("Seq Scan"), "{wide}");
    session.execute_script("drop index t_sum").unwrap();
    assert_eq!(rows(&mut session, "select a from t where lower(s) = 's13' and b = 3"), ["13"]);
    assert_eq!(
        rows(&mut session, "select a from t where a - b = 10 order by a"),
        ["10", "11", "12", "13", "14", "15", "16", "17", "18", "19"]
    );
    session.execute_script("analyze t").unwrap();
    let found = plan(&mut session, "select * from t where lower(s) = 's13' and b = 3");
    assert!(found.contains("t_s"), "{found}");
}

fn number(random: &mut Random) -> u64 {
    random.below(6)
}

fn atom(random: &mut Random) -> String {
    let column = ["a", "b", "(a + b)", "(a % 3)"][random.below(4) as usize];
    match random.below(11) {
        0..=3 => {
            let comparison = ["=", "<", "<=", ">", ">=", "<>"][random.below(6) as usize];
            format!("{column} {comparison} {}", number(random))
        }
        4 => format!("{column} in ({}, {}, {})", number(random), number(random), number(random)),
        5 => format!("{column} is not null"),
        6 => format!("{column} is null"),
        7 => ["f", "not f", "f is true", "f is not true", "f is false"][random.below(5) as usize].to_owned(),
        8 => format!("lower(s) = 's{}'", number(random)),
        9 => format!("lower(s) like 's{}%'", number(random)),
        _ => format!("coalesce(a, 1) = {}", number(random)),
    }
}

fn condition(random: &mut Random) -> String {
    let one = atom(random);
    match random.below(4) {
        0 => format!("({one} or {})", atom(random)),
        1 | 2 => format!("{one} and {}", atom(random)),
        _ => one,
    }
}

fn value(random: &mut Random) -> String {
    if random.below(5) == 0 { "null".to_owned() } else { number(random).to_string() }
}

fn row(random: &mut Random, id: u64) -> String {
    let text = ["null", "'S1'", "'s2'", "'S3x'", "'s1'", "'t'"][random.below(6) as usize];
    let truth = ["null", "true", "false"][random.below(3) as usize];
    format!("({id}, {}, {}, {text}, {truth})", value(random), value(random))
}

/// Every query gives the rows that it gives without indexes, whatever was done to the table since.
#[test]
fn plans_with_and_without_indexes_give_the_same_rows() {
    let keys =
        ["a", "b", "s", "(a + b)", "lower(s)", "(a % 3)", "coalesce(a, 1)", "(f is true)", "(b - a) desc"];
    let (mut queries, mut by_index) = (0, 0);
    for seed in 1..=8 {
        let mut random = Random::new(seed);
        let (_fixture, mut session) = Fixture::session(
            "create table plain (id integer primary key, a integer, b integer, s text, f boolean);
             create table keyed (id integer primary key, a integer, b integer, s text, f boolean)",
        );
        let both = |session: &mut Session, sql: &str| {
            let plain = session.execute_script(&sql.replace('@', "plain"));
            let keyed = session.execute_script(&sql.replace('@', "keyed"));
            assert_eq!(plain.is_ok(), keyed.is_ok(), "seed {seed}: {sql}: {plain:?} {keyed:?}");
        };
        for index in 0..5 {
            let mut parts: Vec<&str> =
                (0..=random.below(2)).map(|_| keys[random.below(9) as usize]).collect();
            parts.dedup();
            let parts = parts.join(", ");
            let predicate = if random.below(3) == 0 {
                String::new()
            } else {
                format!(" where {}", condition(&mut random))
            };
            session.execute_script(&format!("create index k{index} on keyed ({parts}){predicate}")).unwrap();
            if index == 2 {
                let rows: Vec<String> = (0..40).map(|id| row(&mut random, id)).collect();
                both(&mut session, &format!("insert into @ values {}", rows.join(", ")));
            }
        }
        for round in 0..24 {
            match random.below(6) {
                0 => {
                    let new = row(&mut random, 100 + round);
                    both(&mut session, &format!("insert into @ values {new}"));
                }
                1 => {
                    let (a, filter) = (value(&mut random), condition(&mut random));
                    both(&mut session, &format!("update @ set a = {a}, f = not f where {filter}"));
                }
                2 => both(
                    &mut session,
                    &format!("update @ set s = 'S2', b = a where id = {}", random.below(40)),
                ),
                3 => both(&mut session, &format!("delete from @ where id = {}", random.below(40))),
                4 if round == 12 => both(&mut session, "analyze @"),
                _ => {}
            }
            for _ in 0..3 {
                let filter = condition(&mut random);
                let order = ["a + b", "lower(s)", "a", "a % 3"][random.below(4) as usize];
                let sql = match random.below(5) {
                    0 => format!("select id from @ where {filter} order by {order}, id limit 3"),
                    1 => format!("select min(a + b), count(*) from @ where {filter}"),
                    2 => format!("select max(lower(s)) from @ where {filter}"),
                    3 => format!(
                        "select x.id, y.id from @ x {} join @ y on y.a + y.b = x.a and y.f order by 1, 2",
                        if round % 2 == 0 { "left" } else { "" }
                    ),
                    _ => format!("select id from @ where {filter} order by id"),
                };
                let plain = rows(&mut session, &sql.replace('@', "plain"));
                let keyed = rows(&mut session, &sql.replace('@', "keyed"));
                assert_eq!(plain, keyed, "seed {seed}: {sql}");
                let plan = rows(&mut session, &format!("explain {}", sql.replace('@', "keyed"))).join(" ");
                queries += 1;
                by_index += usize::from((0..5).any(|index| plan.contains(&format!("using k{index} "))));
            }
        }
    }
    println!("{queries} queries, {by_index} of them by an index");
    assert!(by_index * 20 > queries, "{by_index} of {queries}");
}
