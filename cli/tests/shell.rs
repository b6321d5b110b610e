//! The shell as people run it: the built program with its streams, files and exit status.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::disallowed_methods, reason = "a test plays the part of a person with files")]

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

const PEOPLE: &str =
    "CREATE TABLE people (id int PRIMARY KEY, name text NOT NULL DEFAULT 'nobody', born date,
    score numeric(5,2) CHECK (score >= 0), UNIQUE (name, born));
CREATE INDEX people_born ON people (born DESC);
INSERT INTO people VALUES (1, 'Ada', '1815-12-10', 9.50), (2, 'Charles, \"Babbage\"', NULL, 10);
";

struct Ran {
    status: i32,
    out: String,
    err: String,
}

fn run_with(arguments: &[&str], input: &str) -> Ran {
    let mut shell = Command::new(env!("CARGO_BIN_EXE_lumos"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A shell that has stopped at a failure reads no further.
    let _ = shell.stdin.take().unwrap().write_all(input.as_bytes());
    let Output { status, stdout, stderr } = shell.wait_with_output().unwrap();
    let ran = Ran {
        status: status.code().unwrap(),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    };
    assert!(!ran.out.contains('\u{1b}') && !ran.err.contains('\u{1b}'), "escape codes outside a terminal");
    ran
}

/// The output of a run in which nothing fails.
fn succeeds(arguments: &[&str], input: &str) -> String {
    let ran = run_with(arguments, input);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{}", ran.out);
    ran.out
}

/// A folder of its own, gone when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let folder = std::env::temp_dir().join(format!("lumos-shell-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    fn written(&self, name: &str, text: &str) -> String {
        std::fs::write(self.0.join(name), text).unwrap();
        self.file(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_table_is_aligned_with_numbers_at_the_right() {
    let out = succeeds(&["-c", PEOPLE, "-c", "SELECT * FROM people ORDER BY id"], "");
    let expected = concat!(
        "CREATE TABLE\n",
        "CREATE INDEX\n",
        "INSERT 0 2\n",
        " id |        name        |    born    | score\n",
        "----+--------------------+------------+-------\n",
        "  1 | Ada                | 1815-12-10 |  9.50\n",
        "  2 | Charles, \"Babbage\" |            | 10.00\n",
        "(2 rows)\n\n",
    );
    assert_eq!(out, expected);
}

#[test]
fn csv_has_a_line_of_names_and_quotes_what_must_be() {
    let select = "SELECT name, born, true AS yes FROM people ORDER BY id;";
    let out = succeeds(&["--format", "csv", "--null", "(null)"], &format!("{PEOPLE}{select}"));
    let expected = "name,born,yes\nAda,1815-12-10,t\n\"Charles, \"\"Babbage\"\"\",(null),t\n";
    assert_eq!(out, expected);
}

#[test]
fn csv_is_what_copy_reads_again() {
    let rows = "VALUES (NULL, 'a'), ('', 'b'), ('x,y', 'c'), (E'q\"\\n', 'd'), ('\\.', 'e'), (' ', NULL)";
    let csv = succeeds(&["--format", "csv", "-c", rows], "");
    assert_eq!(csv, "column1,column2\n,a\n\"\",b\n\"x,y\",c\n\"q\"\"\n\",d\n\\.,e\n ,\n");
    let input = format!(
        "CREATE TABLE t (a text, b text); CREATE TABLE u (a text, b text); INSERT INTO u {rows};\n\
         COPY t FROM STDIN (FORMAT csv, HEADER);\n{csv}\\.\n\
         TABLE t EXCEPT ALL TABLE u; SELECT count(*) FROM t;\n"
    );
    assert_eq!(succeeds(&["--format", "csv"], &input), "a,b\ncount\n6\n");
    let null = succeeds(&["--format", "csv", "--null", "NIL", "-c", "VALUES (NULL), ('NIL'), ('')"], "");
    assert_eq!(null, "column1\nNIL\n\"NIL\"\n\n");
}

#[test]
fn rows_without_columns_and_notices_have_their_place() {
    assert_eq!(succeeds(&["-c", "SELECT FROM (VALUES (1), (2)) v"], ""), "--\n(2 rows)\n\n");
    let ran = run_with(&["-c", "DROP TABLE IF EXISTS nosuch"], "");
    assert_eq!((ran.status, &*ran.out), (0, "DROP TABLE\n"));
    assert_eq!(ran.err, "NOTICE:  table \"nosuch\" does not exist, skipping\n");
}

#[test]
fn places_are_under_each_other_whatever_stands_before_them() {
    let statement = "SELECT 1,\n\t'漢字' AS \"é\",\tnosuch\nFROM (VALUES (1)) v(a)";
    let ran = run_with(&["-c", "SELECT 1 AS a; SELECT 2 AS b", "-c", statement, "-c", "SELECT 3"], "");
    assert_eq!((ran.status, &*ran.out), (1, " a\n---\n 1\n(1 row)\n\n b\n---\n 2\n(1 row)\n\n"));
    let expected = concat!(
        "ERROR:  42703: column \"nosuch\" does not exist\n",
        "LINE 2:  '漢字' AS \"é\", nosuch\n",
        "                        ^^^^^^\n",
    );
    assert_eq!(ran.err, expected);
}

#[test]
fn json_is_an_array_of_objects_with_jsons_own_types() {
    let select = "SELECT id, name, born, score, id > 1, 1e300::float8 * 1e7 > 0 AS huge,
                  'NaN'::float8 AS nan, 12345678901234567890.10 AS exact, name FROM people ORDER BY id;
                  SELECT id FROM people WHERE id > 5;";
    let out = succeeds(&["--format=json"], &format!("{PEOPLE}{select}"));
    let expected = concat!(
        r#"[{"id":1,"name":"Ada","born":"1815-12-10","score":9.50,"?column?":false,"huge":true,"nan":"NaN","#,
        r#""exact":12345678901234567890.10,"name_2":"Ada"},"#,
        "\n",
        r#"{"id":2,"name":"Charles, \"Babbage\"","born":null,"score":10.00,"?column?":true,"huge":true,"nan":"NaN","#,
        r#""exact":12345678901234567890.10,"name_2":"Charles, \"Babbage\""}]"#,
        "\n[]\n",
    );
    assert_eq!(out, expected);
    let value: serde_json::Value = serde_json::from_str(out.trim_end().trim_end_matches("[]")).unwrap();
    assert_eq!(value[1]["name"], "Charles, \"Babbage\"");
}

#[test]
fn an_error_underlines_its_place_and_ends_the_run_with_status_1() {
    let input = format!("{PEOPLE}SELECT id,\n       nmae FROM people;\nSELECT 'not reached';\n");
    let ran = run_with(&["--format", "csv"], &input);
    assert_eq!((ran.status, ran.out.as_str()), (1, ""));
    let expected = concat!(
        "<stdin>:6: ERROR:  42703: column \"nmae\" does not exist\n",
        "LINE 2:        nmae FROM people;\n",
        "               ^^^^\n",
        "HINT:  Perhaps you meant \"name\".\n",
    );
    assert_eq!(ran.err, expected);
}

#[test]
fn an_error_without_a_place_has_its_detail() {
    let input = format!("{PEOPLE}INSERT INTO people VALUES (1, 'x', NULL, 1);");
    let ran = run_with(&["--format", "csv"], &input);
    assert_eq!(ran.status, 1);
    let expected = concat!(
        "<stdin>:5: ERROR:  23505: duplicate key value violates unique constraint \"people_pkey\"\n",
        "DETAIL:  Key (id)=(1) already exists.\n",
    );
    assert_eq!(ran.err, expected);
}

#[test]
fn the_first_failure_ends_commands_and_files_in_their_order() {
    let folder = Folder::new("order");
    let bad = folder.written("bad.sql", "SELECT 1 AS one;\n\nSELECT 1 / 0;\nSELECT 2 AS two;\n");
    let ran = run_with(&["--format", "csv", "-c", "SELECT 0 AS zero", "-f", &bad, "-c", "SELECT 3"], "");
    assert_eq!((ran.status, ran.out.as_str()), (1, "zero\n0\none\n1\n"));
    assert_eq!(
        ran.err,
        format!("{bad}:3: ERROR:  22012: division by zero\nLINE 1: SELECT 1 / 0;\n                 ^\n")
    );
    let ran = run_with(&["-f", &folder.file("nosuch.sql")], "");
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains("nosuch.sql: No such file"), "{}", ran.err);
}

#[test]
fn a_database_file_keeps_what_was_committed() {
    let folder = Folder::new("file");
    let database = folder.file("app.lumos");
    succeeds(&[&database, "-c", "CREATE TABLE t (a int); INSERT INTO t VALUES (7)"], "");
    succeeds(&[&database, "-c", "BEGIN; INSERT INTO t VALUES (8)"], "");
    let out = succeeds(&["--format", "csv", "--read-only", &database], "SELECT a FROM t");
    assert_eq!(out, "a\n7\n");
    let ran = run_with(&[&folder.file("no/such/folder")], "SELECT 1");
    assert_eq!(ran.status, 1);
    assert!(ran.err.starts_with("ERROR:  58P01: "), "{}", ran.err);
}

#[test]
fn tables_and_indexes_are_described() {
    let out = succeeds(&["--format", "csv"], &format!("{PEOPLE}\\d people\n\\d people_born\n"));
    let expected = concat!(
        "            Table \"public.people\"\n",
        " Column |     Type     | Nullable | Default\n",
        "--------+--------------+----------+----------\n",
        " id     | integer      | not null |\n",
        " name   | text         | not null | 'nobody'\n",
        " born   | date         |          |\n",
        " score  | numeric(5,2) |          |\n",
        "Indexes:\n",
        "    \"people_pkey\" PRIMARY KEY (id)\n",
        "    \"people_name_born_key\" UNIQUE CONSTRAINT (name, born)\n",
        "    \"people_born\" (born DESC)\n",
        "Check constraints:\n",
        "    \"people_score_check\" CHECK (score >= 0)\n",
        "\n",
        "Index \"public.people_born\"\n",
        " Column | Type | Order\n",
        "--------+------+-------\n",
        " born   | date | DESC\n",
        "on table \"public.people\"\n",
        "\n",
    );
    assert_eq!(out, expected);
}

#[test]
fn storage_parameters_are_shown() {
    let input =
        "CREATE TABLE t (a int PRIMARY KEY, b int UNIQUE WITH (fillfactor = 60)) WITH (fillfactor = 50);
        CREATE INDEX t_b ON t (b) WITH (fillfactor = 70) WHERE b > 0;\n\\d t\n\\d t_b\n";
    let out = succeeds(&["--format", "csv"], input);
    for line in [
        "    \"t_b_key\" UNIQUE CONSTRAINT (b) WITH (fillfactor=60)\n",
        "    \"t_b\" (b) WITH (fillfactor=70) WHERE b > 0\n",
        "Options: fillfactor=50\n\n",
        "on table \"public.t\", predicate (b > 0)\nOptions: fillfactor=70\n\n",
    ] {
        assert!(out.contains(line), "{line} in {out}");
    }
}

#[test]
fn relations_are_listed_by_pattern() {
    let input = format!("{PEOPLE}CREATE TABLE pets (name text);\n\\d\n\\dt pe?s\n\\di *born\n");
    let out = succeeds(&["--format", "csv"], &input);
    let expected = concat!(
        "    List of relations\n",
        " Schema |  Name  | Type\n",
        "--------+--------+-------\n",
        " public | people | table\n",
        " public | pets   | table\n",
        "(2 rows)\n",
        "\n",
        "    List of tables\n",
        " Schema | Name | Type\n",
        "--------+------+-------\n",
        " public | pets | table\n",
        "(1 row)\n",
        "\n",
        "                   List of indexes\n",
        " Schema |    Name     | Type  | Table  |   Columns\n",
        "--------+-------------+-------+--------+-------------\n",
        " public | people_born | index | people | (born DESC)\n",
        "(1 row)\n",
        "\n",
    );
    assert_eq!(out, expected);
    let ran = run_with(&[], "\\d nosuch\n");
    assert_eq!((ran.status, ran.err.as_str()), (1, "Did not find any relation named \"nosuch\".\n"));
}

#[test]
fn files_include_files_and_their_failures_count() {
    let folder = Folder::new("include");
    let inner = folder.written("inner.sql", "SELECT 2 AS two;\n");
    let outer = folder.written("outer.sql", &format!("SELECT 1 AS one;\n\\i '{inner}'\n\\i nosuch.sql\n"));
    let ran = run_with(&["--format", "csv"], &format!("\\i {outer}\nSELECT 3 AS three;\n"));
    assert_eq!((ran.status, ran.out.as_str()), (1, "one\n1\ntwo\n2\n"));
    assert!(ran.err.starts_with("nosuch.sql: No such file"), "{}", ran.err);
    let endless = folder.file("endless.sql");
    folder.written("endless.sql", &format!("\\i {endless}\n"));
    let ran = run_with(&["-f", &endless], "");
    assert!(ran.status == 1 && ran.err.contains("more than 16 deep"), "{}", ran.err);
}

#[test]
fn settings_of_the_shell_change_what_follows() {
    let input = "\\pset null '-'\nSELECT NULL AS a;\n\\pset format json\nSELECT NULL AS a;\n\\pset format csv\n\
                 SELECT NULL AS a;\n\\q\nSELECT 'not reached';\n";
    let out = succeeds(&[], input);
    assert_eq!(out, " a\n---\n -\n(1 row)\n\n[{\"a\":null}]\na\n-\n");
}

#[test]
fn timing_tells_a_time_for_each_statement() {
    let out = succeeds(&[], "\\timing\nSELECT 1 AS a;\n\\timing off\nSELECT 1 AS a;\n");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], "Timing is on.");
    assert!(lines[6].starts_with("Time: ") && lines[6].ends_with(" ms"), "{out}");
    assert_eq!(out.matches("Time: ").count(), 1, "{out}");
}

#[test]
fn a_statement_may_take_lines_and_a_line_statements() {
    let input = "SELECT 1 AS a; SELECT\n'b;\nc' -- ;\n AS b;\n/* nothing */ ;\nSELECT 4 AS d";
    let out = succeeds(&["--format", "csv"], input);
    assert_eq!(out, "a\n1\nb\n\"b;\nc\"\nd\n4\n");
}

#[test]
fn a_large_result_streams_in_every_format() {
    let mut input = String::from("CREATE TABLE n (a int); INSERT INTO n VALUES ");
    let rows: Vec<String> = (0..9000).map(|number| format!("({number})")).collect();
    input.push_str(&rows.join(","));
    input.push_str(";\nSELECT a FROM n;\n");
    let table = succeeds(&[], &input);
    assert!(table.ends_with(" 8999\n(9000 rows)\n\n"));
    assert_eq!(table.lines().count(), 2 + 2 + 9000 + 2);
    assert_eq!(table.matches("----").count(), 1, "the heads are drawn once");
    assert_eq!(succeeds(&["--format", "csv"], &input).lines().count(), 9001);
    let json = succeeds(&["--format", "json"], &input);
    assert_eq!(serde_json::from_str::<Vec<serde_json::Value>>(&json).unwrap().len(), 9000);
}

#[test]
fn no_value_sends_escape_codes_to_a_terminal() {
    let out = succeeds(&["-c", "SELECT E'a\\x1b[31mred\\tb' AS v"], "");
    assert_eq!(
        out,
        "        v\n-----------------\n a\\x1B[31mred    b\n(1 row)\n\n".replace(
            "        v\n-----------------",
            &{
                let width = "a\\x1B[31mred    b".len() + 2;
                let left = (width - 3) / 2 + 1;
                format!("{}v\n{}", " ".repeat(left), "-".repeat(width))
            }
        )
    );
}

#[test]
fn help_version_and_wrong_words() {
    let out = succeeds(&["--help"], "");
    assert!(out.starts_with("lumos: SQL at a prompt") && out.contains("--format FORMAT"));
    assert_eq!(succeeds(&["--version"], ""), format!("lumos {}\n", env!("CARGO_PKG_VERSION")));
    assert!(succeeds(&["-c", "\\?"], "").contains("\\dt [PATTERN]"));
    let ran = run_with(&["--format", "xml"], "");
    assert_eq!(ran.status, 2);
    assert!(ran.err.contains("table, csv or json"), "{}", ran.err);
    let ran = run_with(&[], "\\nosuch\n");
    assert_eq!(
        (ran.status, ran.err.as_str()),
        (1, "<stdin>:1: invalid command \\nosuch; \\? lists the commands\n")
    );
    let ran = run_with(&["--option", "durability=never"], "");
    assert!(ran.status == 1 && ran.err.contains("durability"), "{}", ran.err);
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    let folder = Folder::new("utf8");
    let path = folder.file("latin1.sql");
    std::fs::write(&path, b"SELECT 'caf\xe9';\n").unwrap();
    let ran = run_with(&["-f", &path], "");
    assert!(ran.status == 1 && ran.err.contains("not valid UTF-8"), "{}", ran.err);
}

#[test]
fn copy_reads_the_lines_that_follow_and_writes_where_rows_go() {
    let input = "CREATE TABLE t (a int, b text);\nCOPY t FROM STDIN (FORMAT csv);\n1,one\n2,\"two;\n2\"\n\\.\n\
                 COPY t TO STDOUT (FORMAT csv, HEADER);\n";
    let out = succeeds(&["--format", "csv"], input);
    assert_eq!(out, "a,b\n1,one\n2,\"two;\n2\"\n");
    let out = succeeds(&["-c", "CREATE TABLE t (a int); COPY t FROM STDIN;\n1\n2"], "");
    assert_eq!(out, "CREATE TABLE\nCOPY 2\n", "the end of the input ends the data too");
}

#[test]
fn refused_copy_data_is_told_with_its_line_and_is_not_run_as_sql() {
    let folder = Folder::new("copy");
    let data = folder.written("data.sql", "COPY t FROM STDIN (FORMAT csv);\n1\nx\nDROP TABLE t;\n\\.\n");
    let ran = run_with(&["-c", "CREATE TABLE t (a int)", "-f", &data], "");
    assert_eq!((ran.status, ran.out.as_str()), (1, "CREATE TABLE\n"));
    assert!(
        ran.err.contains("ERROR:  22P02: ") && ran.err.contains("CONTEXT:  COPY t, line 2"),
        "{}",
        ran.err
    );
}

#[cfg(unix)]
#[test]
fn ctrl_c_cancels_the_statement_and_ends_a_run_without_prompt() {
    let mut shell = Command::new(env!("CARGO_BIN_EXE_lumos"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = shell.stdin.take().unwrap();
    let rows: Vec<String> = (0..20_000).map(|number| format!("({number})")).collect();
    // Output that nobody reads blocks the shell inside its statement, so that the signal finds it running.
    writeln!(input, "CREATE TABLE n (a int);").unwrap();
    for _ in 0..5 {
        writeln!(input, "INSERT INTO n VALUES {};", rows.join(",")).unwrap();
    }
    writeln!(input, "SELECT a FROM n;\nSELECT 'not reached';").unwrap();
    drop(input);
    let mut out = shell.stdout.take().unwrap();
    let mut first = vec![0u8; 60_000];
    std::io::Read::read_exact(&mut out, &mut first).unwrap();
    Command::new("kill").args(["-INT", &shell.id().to_string()]).status().unwrap();
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut out, &mut rest).unwrap();
    let done = shell.wait_with_output().unwrap();
    let err = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(1), "{err}");
    assert!(err.contains("57014"), "{err}");
    assert!(!rest.contains("not reached"));
}

#[test]
fn an_index_shows_its_expressions_and_its_predicate() {
    let script = "CREATE TABLE \"Some\" (id int PRIMARY KEY, \"Name\" varchar(9), age int);
        CREATE UNIQUE INDEX some_name ON \"Some\" (lower(\"Name\") DESC, (age + 1), id) WHERE age > 1 AND \"Name\" IS NOT NULL;
        \\d \"Some\"
        \\di
        \\d some_name\n";
    let out = succeeds(&[], script);
    for line in [
        "    \"some_name\" UNIQUE (lower(\"Name\"::text) DESC, (age + 1), id) WHERE age > 1 AND \"Name\" IS NOT NULL\n",
        " lower(\"Name\"::text) | text    | DESC\n",
        "unique, on table \"public.Some\", predicate (age > 1 AND \"Name\" IS NOT NULL)\n",
    ] {
        assert!(out.contains(line), "{line}: {out}");
    }
}
