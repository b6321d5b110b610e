//! Values that lie outside their row: read in parts where a part will do, and left alone where nobody asks for them.

use super::*;
use crate::common::random::Random;
use crate::error::SqlState;

const SCHEMA: &str = "create table t (id integer primary key, note text, b bytea, v varchar);
    insert into t values (1, 'short', '\\x00010203', 'v'), (2, null, null, null), (3, '', '', '')";

/// A text of two-, three- and four-byte characters among others, and as many bytes.
fn long_values(characters: usize) -> (Datum, Datum) {
    let text: String = "přílišžluťoučký kůň 𝄞 € ".chars().cycle().take(characters).collect();
    let bytes: Vec<u8> =
        (0..text.len() as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    (Datum::text(&text), Datum::Bytes(bytes.into()))
}

fn with_long_rows() -> (Fixture, Session) {
    let (fixture, mut session) = Fixture::session(SCHEMA);
    for (id, characters) in [(4, 40_000), (5, 3_000), (6, 100_000)] {
        let (text, bytes) = long_values(characters);
        let sql = format!("insert into t values ({id}, $1, $2, $1)");
        run_with(&mut session, &sql, &[text, bytes]).unwrap();
    }
    (fixture, session)
}

fn outcome(session: &mut Session, sql: &str) -> String {
    match run_with(session, sql, &[]) {
        Ok((rows, _)) => format!("{rows:?}"),
        Err(error) => format!("{} {}", error.state(), error.message()),
    }
}

/// Pages that a statement looks at.
fn pages_of(fixture: &Fixture, session: &mut Session, sql: &str) -> (u64, Vec<Vec<String>>) {
    let seen = || {
        let statistics = fixture.engine.manager.storage().statistics();
        statistics.hits + statistics.misses
    };
    let before = seen();
    let rows = run_with(session, sql, &[]).unwrap_or_else(|error| panic!("{error:?} in {sql}")).0;
    (seen() - before, rows)
}

#[test]
fn a_part_of_a_column_is_the_part_of_its_whole_value() {
    let (_fixture, mut session) = with_long_rows();
    // What is computed of a CASE is computed of the whole value.
    let whole = |column: &str| format!("(case when id > 0 then {column} end)");
    let mut random = Random::new(17);
    let number = |random: &mut Random| match random.below(9) {
        0 => i64::from(i32::MAX),
        1 => -i64::from(i32::MAX) - 1,
        2 => random.below(400_000) as i64,
        3 => 0,
        4 => random.below(1 << 13) as i64,
        _ => random.below(12) as i64 - 4,
    };
    let functions: &[(&str, &str)] = &[
        ("b", "octet_length({})"),
        ("b", "length({})"),
        ("b", "md5(substr({}, $a))"),
        ("b", "md5(substr({}, $a, $n))"),
        ("b", "md5(substring({} from $a for $n))"),
        ("b", "get_byte({}, $a)"),
        ("b", "{} is null"),
        ("note", "octet_length({})"),
        ("note", "length({})"),
        ("note", "char_length({})"),
        ("note", "md5(substr({}, $a))"),
        ("note", "md5(substring({}, $a, $n))"),
        ("note", "md5(left({}, $a))"),
        ("note", "{} is not null"),
        ("v", "length({})"),
        ("v", "md5(substr({}, $a, $n))"),
    ];
    for round in 0..240 {
        let (column, function) = functions[round % functions.len()];
        let (start, length) = (number(&mut random), number(&mut random));
        let filled =
            function.replace("$a", &format!("({start})::int")).replace("$n", &format!("({length})::int"));
        let [part, of_whole] = [column.to_owned(), whole(column)].map(|value| filled.replace("{}", &value));
        let path = ["auto", "vectorised"][round % 2];
        session.set("lumos.execution_path", path).unwrap();
        let id = 1 + random.below(6);
        let query = match round % 5 {
            0 => format!("select id, {{}} from t where id = {id}"),
            1 => format!("select {{}}, id from t where id >= {id} order by id desc"),
            2 => format!("select count(*), max(({{}})::text) from t where id in ({id}, 1, 6)"),
            3 => format!("select t.id from t where ({{}})::text > '5' and id >= {id}"),
            _ => format!("select a.id, {{}} from (select id as other from t) a left join t on t.id = a.other and t.id <> {id} order by 1")
                .replace("a.id, ", "a.other, "),
        };
        let (found, expected) = (query.replace("{}", &part), query.replace("{}", &of_whole));
        assert_eq!(outcome(&mut session, &found), outcome(&mut session, &expected), "round {round}: {found}");
    }
}

#[test]
fn an_error_of_a_part_comes_only_where_the_function_is_called() {
    let (_fixture, mut session) = with_long_rows();
    for (sql, expected) in [
        ("select substr(b, 1, -1) from t where id = 2", "[[\"NULL\"]]"),
        ("select substr(b, 1, -1) from t where id = 6", "22011 negative substring length not allowed"),
        ("select substr(note, 1, -1) from t where id = 6", "22011 negative substring length not allowed"),
        ("select get_byte(b, 4) from t where id = 1", "2202E index 4 out of valid range, 0..3"),
        ("select get_byte(b, -1) from t where id = 1", "2202E index -1 out of valid range, 0..3"),
        (
            "select id, case when octet_length(b) > 9 then get_byte(b, 9) > -1 end from t where id < 5 order by 1",
            "[[\"1\", \"NULL\"], [\"2\", \"NULL\"], [\"3\", \"NULL\"], [\"4\", \"t\"]]",
        ),
        ("select count(b), count(note), count(*) from t", "[[\"5\", \"5\", \"6\"]]"),
        ("select count(*) from t where substr(b, 1, null) is null", "[[\"6\"]]"),
    ] {
        assert_eq!(outcome(&mut session, sql), expected, "{sql}");
    }
}

#[test]
fn the_parts_of_a_long_value_are_a_few_pages() {
    let (fixture, mut session) = Fixture::session(SCHEMA);
    let bytes: Vec<u8> = (0..8_000_000u32).map(|at| (at >> 5) as u8).collect();
    let text = "a€".repeat(2_000_000);
    let insert = "insert into t values (9, $1, $2)";
    run_with(&mut session, insert, &[Datum::text(&text), Datum::Bytes(bytes.clone().into())]).unwrap();
    let byte = |at: usize| format!("{}", bytes[at]);
    for path in ["auto", "vectorised"] {
        session.set("lumos.execution_path", path).unwrap();
        for (sql, expected) in [
            ("select octet_length(b) from t where id = 9", "8000000".to_owned()),
            ("select length(b) from t where id = 9", "8000000".to_owned()),
            ("select octet_length(note) from t where id = 9", "8000000".to_owned()),
            ("select sum(octet_length(b)) from t", "8000004".to_owned()),
            ("select get_byte(b, 7999999) from t where id = 9", byte(7_999_999)),
            ("select get_byte(b, 4000000) from t where id = 9", byte(4_000_000)),
            ("select octet_length(substr(b, 5000000, 3000)) from t where id = 9", "3000".to_owned()),
            ("select substr(note, 4, 3) from t where id = 9", "€a€".to_owned()),
            ("select left(note, 2) from t where id = 9", "a€".to_owned()),
            ("select count(b) from t", "3".to_owned()),
            (
                "select id from t where b is not null and note is not null and octet_length(b) > 9",
                "9".to_owned(),
            ),
            ("select id from t where id = 9", "9".to_owned()),
            ("select max(octet_length(one.b)) from t one join t other using (id)", "8000000".to_owned()),
        ] {
            let (pages, rows) = pages_of(&fixture, &mut session, sql);
            assert_eq!(rows, [[expected]], "{sql}");
            assert!(pages < 60, "{sql} looked at {pages} pages");
        }
    }
    let (all, _) = pages_of(&fixture, &mut session, "select length(md5(b)) from t where id = 9");
    assert!(all > 1000, "the whole value has {all} pages");
}

#[test]
fn changes_of_other_columns_leave_long_values_where_they_are() {
    for path in ["auto", "vectorised"] {
        let (fixture, mut session) = Fixture::session(SCHEMA);
        session.set("lumos.execution_path", path).unwrap();
        session.execute_script("alter table t add column n integer default 0").unwrap();
        let bytes: Vec<u8> = (0..4_000_000u32).map(|at| (at >> 3) as u8).collect();
        let insert = "insert into t values (9, 'note', $1, $2)";
        let long = Datum::text(&"v".repeat(900_000));
        run_with(&mut session, insert, &[Datum::Bytes(bytes.into()), long.clone()]).unwrap();
        let digest = "select md5(b), octet_length(v), note, n from t where id = 9";
        let before = pages_of(&fixture, &mut session, digest).1;
        for sql in [
            "update t set n = n + 1 where id = 9",
            "update t set n = n + 1",
            "update t set n = n + 1 where b is not null and id > 3 returning id, n",
            "update t set note = 'other' where octet_length(note) = 4",
        ] {
            let (pages, _) = pages_of(&fixture, &mut session, sql);
            assert!(pages < 120, "{sql} looked at {pages} pages");
        }
        let after = pages_of(&fixture, &mut session, digest).1;
        assert_eq!(
            (&after[0][..2], &after[0][2..]),
            (&before[0][..2], &["other".to_owned(), "3".to_owned()][..])
        );
        session.execute_script("alter table t add check (n < 100)").unwrap();
        let error = run_with(&mut session, "update t set n = 100 where id = 9", &[]).unwrap_err();
        assert_eq!(error.state(), SqlState::CHECK_VIOLATION);
        assert!(error.detail_text().unwrap().contains("vvv"), "{:?}", error.detail_text());
        // An equal value stays, another one goes, a row that has room takes its value back.
        let equal = run_with(&mut session, "update t set v = $1 where id = 9", &[long]).unwrap();
        assert_eq!(equal.1, "UPDATE 1");
        assert_eq!(pages_of(&fixture, &mut session, digest).1, after);
        let middle = Datum::text(&"m".repeat(2000));
        run_with(&mut session, "update t set v = $1, note = $1 where id = 9", std::slice::from_ref(&middle))
            .unwrap();
        run_with(&mut session, "update t set b = null where id = 9", &[]).unwrap();
        run_with(&mut session, "update t set v = 'n' where id = 9", &[]).unwrap();
        let (_, rows) = pages_of(
            &fixture,
            &mut session,
            "select note = repeat('m', 2000), v, b is null from t where id = 9",
        );
        assert_eq!(rows, [["t", "n", "t"]]);
        let sound = |fixture: &Fixture| {
            let findings = fixture.engine.manager.storage().verify(&mut |_| {}).unwrap();
            assert_eq!(findings, 0);
        };
        sound(&fixture);
        run_with(&mut session, "delete from t where id = 9", &[]).unwrap();
        assert_eq!(outcome(&mut session, "select count(*) from t"), "[[\"3\"]]");
        sound(&fixture);
    }
}

#[test]
fn own_and_older_versions_of_long_values_are_read_in_parts() {
    let (fixture, mut writer) = with_long_rows();
    let mut reader = fixture.connect();
    reader.execute_script("begin isolation level repeatable read").unwrap();
    let look = "select octet_length(b), get_byte(b, 70000), length(substr(note, 30000)) from t where id = 6";
    let old = outcome(&mut reader, look);
    writer.execute_script("begin").unwrap();
    let (text, bytes) = long_values(70_001);
    run_with(&mut writer, "update t set note = $1, b = $2 where id = 6", &[text, bytes]).unwrap();
    let new = outcome(&mut writer, look);
    assert_ne!(new, old);
    assert!(new.ends_with("\"40002\"]]"), "{new}");
    writer.execute_script("commit; delete from t where id = 6").unwrap();
    assert_eq!(outcome(&mut reader, look), old);
    assert_eq!(outcome(&mut writer, look), "[]");
}

#[test]
fn a_plan_says_which_parts_it_reads() {
    let (_fixture, mut session) = with_long_rows();
    let sql =
        "explain (verbose, costs off) select octet_length(b), substr(note, 1, 5) from t where v is null";
    let lines: Vec<String> = run_with(&mut session, sql, &[]).unwrap().0.concat();
    assert!(
        lines.iter().any(|line| line.contains("Output: octet_length(b), substr(note, 1, 5)")),
        "{lines:?}"
    );
    assert!(
        lines
            .iter()
            .any(|line| line.contains("Column Parts: octet_length(b), substr(note, 1, 5), v IS NULL")),
        "{lines:?}"
    );
}

/// Ways in which a value of so many bytes comes into `t` as row 9.
fn inserts(bytes: usize) -> Vec<(&'static str, String, Vec<Datum>)> {
    let text = "x".repeat(bytes);
    vec![
        ("literal", format!("insert into t values (9, '{text}', null, null)"), vec![]),
        ("text", "insert into t values (9, $1, null, null)".to_owned(), vec![Datum::text(&text)]),
        (
            "bytes",
            "insert into t values (9, null, $1, null)".to_owned(),
            vec![Datum::Bytes(text.into_bytes().into())],
        ),
        ("function", format!("insert into t values (9, repeat('x', {bytes}), null, null)"), vec![]),
        (
            "query",
            format!(
                "insert into t select g, null, null, repeat('x', {bytes}) from generate_series(9, 9) r (g)"
            ),
            vec![],
        ),
    ]
}

#[test]
fn values_of_a_quarter_of_the_limit_go_in_and_out_and_larger_ones_are_refused() {
    // Of a third where temporary files are not in memory too (`tests/memory.rs`).
    const LIMIT: usize = 8 << 20;
    for path in ["auto", "vectorised"] {
        let fixture = Fixture::with_memory(LIMIT);
        let mut session = fixture.connect();
        session.execute_script("set max_statement_size = '64MB'").unwrap();
        session.execute_script(SCHEMA).unwrap();
        session.set("lumos.execution_path", path).unwrap();
        for (name, sql, values) in inserts(LIMIT / 4) {
            run_with(&mut session, &sql, &values).unwrap_or_else(|error| panic!("{path}, {name}: {error:?}"));
            let whole =
                "select octet_length(coalesce(note, v, '') || 'y'), octet_length(b) from t where id = 9";
            let found = if name == "bytes" { ["1", "2097152"] } else { ["2097153", "NULL"] };
            assert_eq!(run_with(&mut session, whole, &[]).unwrap().0, [found], "{path}, {name}");
            run_with(&mut session, "select note, b, v from t where id = 9", &[]).map(drop).unwrap();
            run_with(&mut session, "delete from t where id = 9", &[]).unwrap();
        }
        for (name, sql, values) in inserts(3 * LIMIT) {
            // What the host holds of the value itself is the host's.
            if matches!(name, "text" | "bytes") {
                continue;
            }
            let error = run_with(&mut session, &sql, &values).unwrap_err();
            assert_eq!(error.state(), SqlState::OUT_OF_MEMORY, "{path}, {name}: {error:?}");
            let detail = error.detail_text().unwrap();
            assert!(detail.contains("more were asked for"), "{path}, {name}: {detail}");
            assert_eq!(outcome(&mut session, "select count(*), max(id) from t"), "[[\"3\", \"3\"]]");
        }
        assert_eq!(fixture.engine.manager.storage().verify(&mut |_| {}).unwrap(), 0);
    }
}

#[test]
fn a_long_text_is_charged_until_its_statement_goes() {
    let (fixture, mut session) = Fixture::session(SCHEMA);
    let used = || fixture.engine.memory.used();
    let start = used();
    let text = "l".repeat(500_000);
    let long = format!("select '{text}'");
    let (statement, _) = session.prepare(&long).unwrap();
    assert!((1_000_000..1_100_000).contains(&(used() - start)), "{} bytes", used() - start);
    let portal = session.execute(statement.as_ref().unwrap(), &[]).unwrap();
    session.close(portal);
    drop(statement);
    assert_eq!(used(), start);
    // The text is short, what it says is not: a plan keeps no such value.
    for sql in [
        "select repeat('x', 9000000)",
        "select lpad('x', 9000000)",
        "select replace(repeat('x', 60000), 'x', 'yyyyyyyyyyyy')",
    ] {
        let lines = rows(&mut session, &format!("explain (verbose) {sql}")).join("\n");
        assert!(lines.contains("repeat(") || lines.contains("pad(") || lines.contains("replace("), "{lines}");
        let made = run_with(&mut session, sql, &[]).unwrap().0;
        assert!(made[0][0].len() > 700_000, "{sql}");
    }
    assert_eq!(used(), start);
    // A statement of many values: the tree, and then the plan.
    let values = "(1), ".repeat(50_000);
    let (statement, _) = session.prepare(&format!("values {values} (2)")).unwrap();
    assert!(used() - start > 5_000_000, "{} bytes", used() - start);
    drop(statement);
    let error = session.prepare(&format!("values {values} (2) x")).unwrap_err();
    assert_eq!((error.state(), used()), (SqlState::SYNTAX_ERROR, start));
    let small = Fixture::with_memory(4 << 20);
    let mut session = small.connect();
    let error = session.execute_script(&format!("create table x (n int); values {values} (2)")).unwrap_err();
    assert_eq!(error.state(), SqlState::OUT_OF_MEMORY);
    assert_eq!(outcome(&mut session, "select * from x"), "42P01 relation \"x\" does not exist");
    // A script is as large as its largest statement.
    let script = format!("create table x (n int);{}", "insert into x values (1);".repeat(2000));
    session.execute_script(&script).unwrap();
    assert_eq!(outcome(&mut session, "select count(*) from x"), "[[\"2000\"]]");
}

#[test]
fn what_functions_make_is_charged_as_it_comes() {
    let fixture = Fixture::with_memory(32 << 20);
    let mut session = fixture.connect();
    let used = fixture.engine.memory.used();
    for (sql, is_refused) in [
        // 2,000 rows of 100,000 bytes in one batch.
        ("select count(md5(repeat(chr(97 + g % 26), 100000))) from generate_series(1, 2000) r (g)", true),
        ("select count(md5(repeat(chr(97 + g % 26), 10000))) from generate_series(1, 2000) r (g)", false),
        ("select count(md5(concat(repeat('x', 100000 + g)))) from generate_series(1, 2000) r (g)", true),
        ("select count(decode(repeat('ab', 100000 + g), 'hex')) from generate_series(1, 2000) r (g)", true),
        ("select max(length(repeat('x', 1000000000)))", true),
        ("select max(length(lpad('x', 200000000, 'yz')))", true),
        ("select max(length(replace(repeat('x', 60000), 'x', repeat('y', 60000))))", true),
        ("select sum(length(repeat('x', 20000000))) from generate_series(1, 5000)", false),
    ] {
        let found = run_with(&mut session, sql, &[]);
        match found {
            Err(error) => assert!(is_refused && error.state() == SqlState::OUT_OF_MEMORY, "{sql}: {error:?}"),
            Ok((rows, _)) => assert!(!is_refused, "{sql}: {rows:?}"),
        }
        assert_eq!(fixture.engine.memory.used(), used, "{sql}");
    }
}

#[test]
fn locks_and_changes_by_other_tables_leave_long_values_where_they_are() {
    for path in ["auto", "vectorised"] {
        let (fixture, mut session) = Fixture::session(SCHEMA);
        session.set("lumos.execution_path", path).unwrap();
        session
            .execute_script("alter table t add column n integer default 0; create table o (k int primary key, m int); insert into o values (9, 5), (1, 6)")
            .unwrap();
        let bytes: Vec<u8> = (0..4_000_000u32).map(|at| (at >> 3) as u8).collect();
        run_with(&mut session, "insert into t values (9, 'note', $1, null)", &[Datum::Bytes(bytes.into())])
            .unwrap();
        let digest = pages_of(&fixture, &mut session, "select md5(b) from t where id = 9").1[0][0].clone();
        let vs = format!("[[\"{digest}\"]]");
        for sql in [
            "select id, n from t where id = 9 for update",
            "select id, n from t where n = 0 and id > 1 order by id for share",
            "select t.id, m from t join o on k = id where id = 9 for update",
            "insert into t (id, n) values (9, 1) on conflict (id) do update set n = excluded.n + t.n",
            "insert into t (id, n) select 9, 1 on conflict (id) do update set n = t.n + (select count(*) from o) returning n",
            "insert into t (id, n, note) values (9, 1, 'new') on conflict (id) do update set note = excluded.note where t.b is not null",
            "insert into t (id, n) values (9, 1) on conflict (id) do nothing",
            "delete from t using o where k = id and m = 6",
        ] {
            let (pages, rows) = pages_of(&fixture, &mut session, sql);
            assert!(pages < 120, "{path}, {sql} looked at {pages} pages: {rows:?}");
        }
        let state = "select n, note, octet_length(b), md5(b), v from t where id = 9";
        assert_eq!(pages_of(&fixture, &mut session, state).1, [["3", "new", "4000000", &digest, "NULL"]]);
        session.execute_script("alter table t add check (n < 100)").unwrap();
        for (sql, expected) in [
            (
                "insert into t (id, n) values (9, 100) on conflict (id) do update set n = excluded.n",
                "23514 new row for relation \"t\" violates check constraint \"t_n_check\"",
            ),
            ("insert into t (id) values (9) on conflict (id) do update set v = md5(t.b)", "[]"),
            ("insert into t (id) values (9) on conflict (id) do update set id = 10", "[]"),
            ("insert into t (id) values (10) on conflict (id) do update set b = null returning v", &vs),
            ("select id, n, note, b from t where id > 3", "[[\"10\", \"3\", \"new\", \"NULL\"]]"),
        ] {
            assert_eq!(outcome(&mut session, sql), expected, "{path}, {sql}");
        }
        assert_eq!(fixture.engine.manager.storage().verify(&mut |_| {}).unwrap(), 0);
    }
}
