//! Statements around queries: views, CREATE TABLE AS, EXPLAIN, COPY.

use super::{bind_text, check, check_error};
use crate::sql::binder::bound::{BoundStatement, CopyFile, CopyHeader, ExplainFormat};
use crate::sql::plan::physical::StatementKind;

#[test]
fn a_view_stands_for_its_query() {
    check(
        "SELECT k FROM v WHERE n > 1",
        "scan t | filter f | project [a, b] as [a, b] | filter (a' > 1) | project [b'] as [k]",
    );
    check(
        "SELECT w.* FROM public.v AS w(x)",
        "scan t | filter f | project [a, b] as [a, b] | project [a', b'] as [x, k]",
    );
    check_error("INSERT INTO ^v VALUES (1)", "0A000", "cannot insert into view \"v\"");
    check_error(
        "INSERT INTO v VALUES (1, 'a', ^2)",
        "42601",
        "INSERT has more expressions than target columns",
    );
    check_error("COPY ^v TO STDOUT", "42809", "cannot copy from view \"v\"");
    let BoundStatement::CreateView(view) =
        bind_text("CREATE OR REPLACE VIEW w (m) AS SELECT v.n, u.x FROM v, u, v v2; SELECT 2").unwrap()
    else {
        panic!("a view")
    };
    assert_eq!(view.query, "SELECT v.n, u.x FROM v, u, v v2");
    let names: Vec<&str> = view.columns.iter().map(|(name, _)| &**name).collect();
    assert_eq!((names, view.dependencies.len(), view.or_replace), (vec!["m", "x"], 2, true));
    check_error("CREATE VIEW w AS SELECT ^$1::int", "42P02", "there is no parameter $1");
    check_error("CREATE VIEW w AS SELECT 1 AS a, ^2 AS a", "42701", "column \"a\" specified more than once");
    check_error("^CREATE TEMP VIEW w AS SELECT 1", "0A000", "a temporary view is not supported");
    check_error(
        "CREATE VIEW w (a, ^b) AS SELECT 1",
        "42601",
        "CREATE VIEW specifies more column names than columns",
    );
}

#[test]
fn tables_are_made_of_queries() {
    for sql in ["CREATE TABLE n AS SELECT a, 'x' AS b FROM t", "SELECT a, 'x' AS b INTO n FROM t"] {
        let BoundStatement::CreateTableAs(create) = bind_text(sql).unwrap() else { panic!("a table") };
        let columns: Vec<String> = create
            .table
            .columns
            .iter()
            .map(|column| format!("{} {}", column.name, column.sql_type))
            .collect();
        assert_eq!((&*create.table.name, columns.join(", ")), ("n", "a integer, b text".to_owned()));
        assert!(create.with_data);
    }
    check_error("CREATE TABLE n (a, ^b) AS SELECT 1", "42601", "too many column names were specified");
    check_error("SELECT * FROM (SELECT 1 ^INTO n) s", "42601", "SELECT ... INTO is not allowed here");
}

#[test]
fn explain_reads_its_options() {
    let explain = |sql: &str| match bind_text(sql).unwrap() {
        BoundStatement::Explain(explain) => *explain,
        other => panic!("no EXPLAIN: {other:?}"),
    };
    let one = explain("EXPLAIN SELECT $1::int");
    assert!(!one.analyze && one.costs && !one.timing && one.format == ExplainFormat::Text);
    assert_eq!((one.parameters.len(), one.kind), (1, StatementKind::Select));
    let one = explain("EXPLAIN (ANALYZE, COSTS off, TIMING false, FORMAT json) DELETE FROM t");
    assert!(one.analyze && !one.costs && !one.timing && one.summary && one.format == ExplainFormat::Json);
    assert!(explain("EXPLAIN ANALYZE VERBOSE VALUES (1)").verbose);
    check_error("EXPLAIN (^ANALYSIS) SELECT 1", "42601", "unrecognized EXPLAIN option \"analysis\"");
    check_error("EXPLAIN (^BUFFERS) SELECT 1", "0A000", "EXPLAIN with BUFFERS is not supported");
    check_error(
        "^EXPLAIN ANALYZE CREATE TABLE n AS SELECT 1",
        "0A000",
        "EXPLAIN ANALYZE of CREATE TABLE AS is not supported",
    );
    assert_eq!(explain("EXPLAIN CREATE TABLE n AS SELECT 1").kind, StatementKind::Select);
    check_error("EXPLAIN CREATE TABLE ^t AS SELECT 1", "42P07", "relation \"t\" already exists");
    check_error("ANALYZE ^nosuch", "42P01", "relation \"nosuch\" does not exist");
}

#[test]
fn copy_reads_its_options() {
    let copy = |sql: &str| match bind_text(sql).unwrap() {
        BoundStatement::Copy(copy) => *copy,
        other => panic!("no COPY: {other:?}"),
    };
    let one =
        copy("COPY t (c, a) FROM '/f' (FORMAT csv, HEADER match, NULL 'x', FORCE_NULL (c)) WHERE a > 0");
    assert_eq!((one.file, one.from), (CopyFile::Path("/f".to_owned()), true));
    assert_eq!((one.format.header, one.format.delimiter, &*one.format.null), (CopyHeader::Match, b',', "x"));
    assert_eq!(one.format.force_null, [true, false]);
    assert_eq!(one.columns.iter().map(|column| &*column.name).collect::<Vec<_>>(), ["c", "a"]);
    assert_eq!(
        super::Printer::default().plan(&one.plan),
        "supplied | project [a, NULL:text, c, NULL:numeric, NULL:boolean] as [a, b, c, d, f] | filter (a' > 0) \
         | insert t check t_d_check (d > 0e-0)"
    );
    let one = copy("COPY (SELECT a FROM t) TO STDOUT WITH CSV HEADER DELIMITER ';' QUOTE '''' FORCE QUOTE *");
    assert!(one.format.csv && !one.from && one.format.force_quote == [true]);
    assert_eq!((one.format.quote, one.format.escape, one.format.delimiter), (b'\'', b'\'', b';'));
    let one = copy("COPY u FROM STDIN");
    assert_eq!((&*one.format.null, one.format.delimiter, one.format.csv), ("\\N", b'\t', false));
    check_error("COPY t FROM STDIN (^QUOTE 'x')", "0A000", "COPY quote available only in CSV mode");
    check_error(
        "COPY t FROM STDIN (^DELIMITER 'xx')",
        "0A000",
        "COPY delimiter must be a single one-byte character",
    );
    check_error("COPY t FROM STDIN (^DELIMITR 'x')", "42601", "option \"delimitr\" not recognized");
    check_error("COPY t (a, ^a) FROM STDIN", "42701", "column \"a\" specified more than once");
    check_error(
        "COPY t FROM STDIN (FORMAT csv, ^FORCE_QUOTE (a))",
        "0A000",
        "COPY force quote only available using COPY TO",
    );
    check_error(
        "COPY t FROM STDIN WHERE a IN ^(SELECT 1)".replacen("^", "", 1).replacen("a IN", "^a IN", 1).as_str(),
        "0A000",
        "cannot use subquery in COPY FROM WHERE condition",
    );
}

#[test]
fn overlapping_periods_are_comparisons() {
    assert!(
        bind_text(
            "SELECT (date '2020-01-01', interval '1 day') OVERLAPS (date '2020-01-01', date '2020-01-03')"
        )
        .is_ok()
    );
}
