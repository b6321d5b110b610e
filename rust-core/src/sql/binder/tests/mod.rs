//! Statements and what they are bound to, or the code and place of their error. The plans are printed as nested calls.

mod locking;
pub(in crate::sql) mod printer;
mod queries;
mod utilities;

use self::printer::Printer;
use crate::catalog::snapshot::CatalogSnapshot;
use crate::common::arena::Arena;
use crate::error::{Error, Result};
use crate::sql::binder::bind;
use crate::sql::binder::bound::{BindOptions, BoundStatement};
use crate::sql::binder::fixture;
use crate::sql::parser::parse;
use crate::sql::plan::logical::LogicalPlan;
use crate::sql::types::data_type::DataType;

fn tables() -> CatalogSnapshot {
    fixture::catalog(&[
        "CREATE TABLE t (a int PRIMARY KEY, b text, c varchar(3) DEFAULT 'x', d numeric(8,2) CHECK (d > 0), f boolean)",
        "CREATE TABLE u (x bigint NOT NULL, y date, z timestamptz DEFAULT now(), s smallint DEFAULT 1 + 1, UNIQUE (x, s))",
        "CREATE VIEW v (n, k) AS SELECT a, b FROM t WHERE f",
    ])
}

fn bind_text(sql: &str) -> Result<BoundStatement> {
    let arena = Arena::new();
    let statements = parse(sql, &arena)?;
    bind(&statements[0].statement, &tables(), &BindOptions::new(sql))
}

fn show(sql: &str) -> Result<String> {
    Ok(match bind_text(sql)? {
        BoundStatement::Query { plan, .. } => Printer::default().plan(&plan),
        other => format!("{other:?}"),
    })
}

#[track_caller]
fn check(sql: &str, expected: &str) {
    match show(sql) {
        Ok(shown) => assert_eq!(shown, expected, "{sql}"),
        Err(error) => panic!("{sql}: {error} at {:?}", error.position()),
    }
}

/// `marked` holds a `^` before the place where the error must point.
#[track_caller]
fn check_error(marked: &str, state: &str, message: &str) -> Error {
    let position = marked.find('^').expect("the place is marked");
    let sql = marked.replacen('^', "", 1);
    let error = match show(&sql) {
        Ok(shown) => panic!("{sql}: no error, but {shown}"),
        Err(error) => error,
    };
    assert_eq!((error.state().as_str(), error.message()), (state, message), "{sql}");
    assert_eq!(error.position(), Some(position), "{sql}: {}", error.message());
    error
}

fn parameters(sql: &str) -> Vec<DataType> {
    match bind_text(sql).unwrap() {
        BoundStatement::Query { parameters, .. } => parameters,
        other => panic!("no query: {other:?}"),
    }
}

#[test]
fn columns_and_names_are_resolved() {
    check("SELECT * FROM t", "scan t | project [a, b, c, d, f] as [a, b, c, d, f]");
    check(
        "SELECT x.b AS n, x.* FROM public.t x",
        "scan t | project [b, a, b, c, d, f] as [n, a, b, c, d, f]",
    );
    check("SELECT p, q FROM t AS v(p, q)", "scan t | project [a, b] as [p, q]");
    check("SELECT public.t.a FROM t", "scan t | project [a] as [a]");
    check("TABLE t", "scan t");
    let error = check_error("SELECT ^bb FROM t", "42703", "column \"bb\" does not exist");
    assert_eq!(error.hint_text(), Some("Perhaps you meant \"b\"."));
    check_error("SELECT ^t.nosuch FROM t", "42703", "column t.nosuch does not exist");
    check_error("SELECT ^y.a FROM t x", "42P01", "missing FROM-clause entry for table \"y\"");
    let error = check_error(
        "SELECT ^t.a FROM t x",
        "42P01",
        "invalid reference to FROM-clause entry for table \"t\"",
    );
    assert_eq!(error.hint_text(), Some("Perhaps you meant to reference the table alias \"x\"."));
    check_error("SELECT 1 FROM ^tt", "42P01", "relation \"tt\" does not exist");
    check_error("SELECT ^*", "42601", "SELECT * with no tables specified is not valid");
    check_error("SELECT ^a FROM (SELECT a, b AS a FROM t) s", "42702", "column reference \"a\" is ambiguous");
}

#[test]
fn columns_are_named_as_postgresql_names_them() {
    let names = |sql: &str| match bind_text(sql).unwrap() {
        BoundStatement::Query { plan: LogicalPlan::Project { columns, .. }, .. } => {
            columns.into_iter().map(|column| column.name).collect::<Vec<_>>().join(",")
        }
        other => panic!("no projection: {other:?}"),
    };
    assert_eq!(
        names(
            "SELECT 1, 'x'::text, a::bigint, upper(b), CASE WHEN f THEN 1 END, CASE WHEN f THEN 1 ELSE a END, coalesce(b, c), -a, current_date, date '2020-01-01' FROM t"
        ),
        "?column?,text,a,upper,case,a,coalesce,?column?,current_date,date"
    );
}

#[test]
fn operators_meet_at_the_type_postgresql_chooses() {
    check("SELECT a = 1 FROM t", "scan t | project [(a = 1)] as [?column?]");
    check("SELECT x = 1 FROM u", "scan u | project [(x = 1l)] as [?column?]");
    check("SELECT x = s FROM u", "scan u | project [(x = s)] as [?column?]");
    check("SELECT a = '7' FROM t", "scan t | project [(a = 7)] as [?column?]");
    check("SELECT d > 1 FROM t", "scan t | project [(d > 1e-0)] as [?column?]");
    check("SELECT y = '2000-01-01' FROM u", "scan u | project [(y = date(10957))] as [?column?]");
    check("SELECT -9223372036854775808", "values () | project [-9223372036854775808l] as [?column?]");
    check("SELECT 1 + 2 * 3", "values () | project [(1 + (2 * 3))] as [?column?]");
    let error = check_error("SELECT 1 ^+ 'a'::text", "42883", "operator does not exist: integer + text");
    assert_eq!(
        error.hint_text(),
        Some(
            "No operator matches the given name and argument types. You might need to add explicit type casts."
        )
    );
    check_error("SELECT '1' ^+ '1'", "42725", "operator is not unique: unknown + unknown");
    check_error("SELECT ^- 'a'::text", "42883", "operator does not exist: - text");
    check_error("SELECT a = ^'q' FROM t", "22P02", "invalid input syntax for type integer: \"q\"");
    check_error("SELECT ^nosuchf(1, 'a')", "42883", "function nosuchf(integer, unknown) does not exist");
    check_error("SELECT 1^::date", "42846", "cannot cast type integer to date");
}

#[test]
fn conditions_must_be_boolean() {
    check("SELECT a FROM t WHERE f AND NOT f", "scan t | filter (f AND NOT f) | project [a] as [a]");
    check_error(
        "SELECT a FROM t WHERE ^a",
        "42804",
        "argument of WHERE must be type boolean, not type integer",
    );
    check_error("SELECT NOT ^5", "42804", "argument of NOT must be type boolean, not type integer");
    check_error("SELECT f OR ^a FROM t", "42804", "argument of OR must be type boolean, not type integer");
    check_error(
        "SELECT CASE WHEN ^1 THEN 1 END",
        "42804",
        "argument of CASE/WHEN must be type boolean, not type integer",
    );
    check_error("SELECT ^5 IS TRUE", "42804", "argument of IS TRUE must be type boolean, not type integer");
}

#[test]
fn choices_take_the_common_type() {
    check(
        "SELECT CASE a WHEN 1 THEN x ELSE 2.5 END FROM (SELECT a, 1 AS x FROM t) s",
        "scan t | project [a, 1] as [a, x] | project [CASE WHEN (a' = 1) THEN x:numeric ELSE 25e-1 END] as [case]",
    );
    check(
        "SELECT coalesce(NULL, b, 'x') FROM t",
        "scan t | project [coalesce(NULL:text, b, 'x')] as [coalesce]",
    );
    check_error(
        "SELECT CASE WHEN true THEN ^1 ELSE 'x'::text END",
        "42804",
        "CASE types text and integer cannot be matched",
    );
    check_error(
        "SELECT CASE WHEN true THEN 1 ELSE ^'x' END",
        "22P02",
        "invalid input syntax for type integer: \"x\"",
    );
    check_error(
        "SELECT coalesce(1, ^'a'::text)",
        "42804",
        "COALESCE types integer and text cannot be matched",
    );
    check(
        "SELECT a BETWEEN 1 AND 2, a NOT BETWEEN 1 AND 2 FROM t",
        "scan t | project [((a >= 1) AND (a <= 2)), ((a < 1) OR (a > 2))] as [?column?, ?column?]",
    );
}

#[test]
fn lists_of_constants_become_sets() {
    check("SELECT a IN (3, 1, 3, NULL) FROM t", "scan t | project [a IN {1 3 NULL}] as [?column?]");
    check("SELECT x NOT IN (1, '2') FROM u", "scan u | project [x NOT IN {1l 2l}] as [?column?]");
    check("SELECT a IN (1, a, 2) FROM t", "scan t | project [(a IN {1 2} OR (a = a))] as [?column?]");
    check("SELECT a IN (5) FROM t", "scan t | project [(a = 5)] as [?column?]");
    check(
        "SELECT a NOT IN ($1, 2, 3) FROM t",
        "scan t | project [(a NOT IN {2 3} AND (a <> $1:integer))] as [?column?]",
    );
    check_error("SELECT 'a' IN (1, ^'q', 2)", "22P02", "invalid input syntax for type integer: \"q\"");
}

#[test]
fn parameters_take_their_type_from_their_use() {
    use DataType::{BigInt, Boolean, Integer, Numeric, Text};
    assert_eq!(parameters("SELECT * FROM t WHERE a = $1 AND b = $2 LIMIT $3"), [Integer, Text, BigInt]);
    assert_eq!(parameters("INSERT INTO t (a, d, f) VALUES (?, ?, ?)"), [Integer, Numeric, Boolean]);
    assert_eq!(parameters("SELECT $1"), [Text]);
    assert_eq!(parameters("SELECT $2::int"), [Text, Integer]);
    assert_eq!(parameters("SELECT 1 FROM t WHERE $1 IS NULL OR a = $1"), [Integer]);
    assert_eq!(parameters("INSERT INTO t (a, d) SELECT $1, $2"), [Integer, Numeric]);
    assert_eq!(parameters("UPDATE t SET d = $1 WHERE a IN ($2, $3)"), [Numeric, Integer, Integer]);
    check("SELECT $1 || a FROM t", "scan t | project [($1:text || a::text)] as [?column?]");
    check_error(
        "SELECT 1 FROM t WHERE a = $1 AND b ^= $1",
        "42883",
        "operator does not exist: text = integer",
    );
}

#[test]
fn groups_and_aggregates() {
    check(
        "SELECT b, count(*), sum(a + 1) FROM t WHERE a > 0 GROUP BY b HAVING sum(a + 1) > 5 ORDER BY count(*) DESC",
        "scan t | filter (a > 0) | group [b] [count(), sum((a + 1))] | filter (sum > 5l) | project [b', count, sum] as [b, count, sum] | sort count' desc",
    );
    check("SELECT count(*) FROM t", "scan t | group [] [count()] | project [count] as [count]");
    check(
        "SELECT a + 1 AS k, count(DISTINCT b) FILTER (WHERE f) FROM t GROUP BY k",
        "scan t | group [(a + 1)] [count(distinct b) where f] | project [group, count] as [k, count]",
    );
    check("SELECT a, b FROM t GROUP BY a", "scan t | group [a, b] [] | project [a', b'] as [a, b]");
    check_error(
        "SELECT ^b, sum(a) FROM t x GROUP BY c",
        "42803",
        "column \"x.b\" must appear in the GROUP BY clause or be used in an aggregate function",
    );
    check_error("SELECT sum(^sum(a)) FROM t", "42803", "aggregate function calls cannot be nested");
    check_error("SELECT 1 FROM t WHERE ^sum(a) > 1", "42803", "aggregate functions are not allowed in WHERE");
    check_error("SELECT 1 FROM t GROUP BY ^7", "42P10", "GROUP BY position 7 is not in select list");
    check_error(
        "SELECT ^abs(DISTINCT a) FROM t",
        "42809",
        "DISTINCT specified, but abs is not an aggregate function",
    );
    check_error(
        "SELECT ^a FROM t HAVING true",
        "42803",
        "column \"t.a\" must appear in the GROUP BY clause or be used in an aggregate function",
    );
}

#[test]
fn order_distinct_and_limit() {
    check(
        "SELECT a AS k, b FROM t ORDER BY k DESC, 2 NULLS FIRST",
        "scan t | project [a, b] as [k, b] | sort k desc, b' nulls!",
    );
    check(
        "SELECT b FROM t ORDER BY a + 1 LIMIT 3 OFFSET '1'",
        "scan t | project [b, (a + 1)] as [b, ?order?] | sort ?order? | limit 3l offset 1l | project [b'] as [b]",
    );
    check("SELECT DISTINCT b FROM t ORDER BY b", "scan t | project [b] as [b] | distinct | sort b'");
    check("VALUES (1, 'x'), (2.5, NULL) ORDER BY 1", "values (1e-0, 'x'), (25e-1, NULL:text) | sort column1");
    check_error(
        "SELECT DISTINCT a FROM t ORDER BY ^b",
        "42P10",
        "for SELECT DISTINCT, ORDER BY expressions must appear in select list",
    );
    check_error("SELECT a FROM t ORDER BY ^3", "42P10", "ORDER BY position 3 is not in select list");
    check_error("SELECT a FROM t ORDER BY ^'x'", "42601", "non-integer constant in ORDER BY");
    check_error("SELECT a FROM t LIMIT ^a", "42P10", "argument of LIMIT must not contain variables");
    check_error("SELECT a FROM t LIMIT ^'x'", "22P02", "invalid input syntax for type bigint: \"x\"");
}

#[test]
fn inserts_fill_defaults_and_cast() {
    check(
        "INSERT INTO t (a, c) VALUES (1, 'ab'), (2, DEFAULT) RETURNING a + 1",
        "values (1, NULL:text, 'ab':character varying(3), NULL:numeric, NULL:boolean), \
         (2, NULL:text, 'x':character varying(3), NULL:numeric, NULL:boolean) \
         | insert t check t_d_check (d > 0e-0) returning [(a + 1)] as [?column?]",
    );
    check(
        "INSERT INTO u (x) SELECT a FROM t",
        "scan t | project [a] as [a] | project [a':bigint, NULL:date, now(), (1 + 1):smallint] as [x, y, z, s] | insert u",
    );
    check(
        "INSERT INTO u SELECT '5', '2000-01-01'",
        "values () | project ['5', '2000-01-01'] as [?column?, ?column?] | project [5l, date(10957), now(), (1 + 1):smallint] as [x, y, z, s] | insert u",
    );
    check_error("INSERT INTO t (a, ^a) VALUES (1, 1)", "42701", "column \"a\" specified more than once");
    check_error("INSERT INTO t (^q) VALUES (1)", "42703", "column \"q\" of relation \"t\" does not exist");
    check_error(
        "INSERT INTO t (a) VALUES (1, ^2)",
        "42601",
        "INSERT has more expressions than target columns",
    );
    check_error(
        "INSERT INTO t (a, ^b) VALUES (1)",
        "42601",
        "INSERT has more target columns than expressions",
    );
    let error = check_error(
        "INSERT INTO t (a) VALUES (^true)",
        "42804",
        "column \"a\" is of type integer but expression is of type boolean",
    );
    assert_eq!(error.hint_text(), Some("You will need to rewrite or cast the expression."));
    check_error("INSERT INTO t VALUES (1), (^1, 2)", "42601", "VALUES lists must all be the same length");
    let error = check_error(
        "INSERT INTO t VALUES (1) ^ON CONFLICT DO UPDATE SET b = 'x'",
        "42601",
        "ON CONFLICT DO UPDATE requires inference specification or constraint name",
    );
    assert_eq!(error.hint_text(), Some("For example, ON CONFLICT (column_name)."));
    check_error(
        "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET b = ^b",
        "42702",
        "column reference \"b\" is ambiguous",
    );
}

#[test]
fn updates_and_deletes() {
    check(
        "UPDATE t SET b = b || 'x', (c, f) = (DEFAULT, a > 1) WHERE a = 1 RETURNING *",
        "scan t | filter (a = 1) | update t set b = (b || 'x'), c = 'x':character varying(3), f = (a > 1) \
         check t_d_check (d > 0e-0) returning [a, b, c, d, f] as [a, b, c, d, f]",
    );
    check(
        "UPDATE t SET (b, f) = (SELECT y::text, true FROM u v WHERE v.x = t.a) FROM u WHERE t.a = u.s AND EXISTS (SELECT 1) RETURNING t.b, u.x",
        "((scan t inner join scan u) | filter ((a = s) AND exists <values () | project [1] as [?column?]>) \
         single join scan u | filter (x' = a) | project [y'::text, true] as [y, ?column?]) \
         | update t set b = y'', f = ?column? check t_d_check (d > 0e-0) returning [b, ?6] as [b, x]",
    );
    check(
        "WITH q AS (SELECT 1 AS k) DELETE FROM t USING q WHERE a = k",
        "with q as (values () | project [1] as [k]) (scan t inner join common q) | filter (a = k') | delete t",
    );
    check_error(
        "UPDATE t SET a = 1 FROM (SELECT ^t.a) s",
        "42P01",
        "invalid reference to FROM-clause entry for table \"t\"",
    );
    check(
        "DELETE FROM u k WHERE k.s = 1 RETURNING x",
        "scan u | filter (s = 1s) | delete u returning [x] as [x]",
    );
    check_error("UPDATE t SET a = 1, ^a = 2", "42601", "multiple assignments to same column \"a\"");
    check_error("UPDATE t SET ^q = 1", "42703", "column \"q\" of relation \"t\" does not exist");
}

#[test]
fn tables_are_defined_with_postgresqls_names() {
    let BoundStatement::CreateTable(table) = bind_text(
        "CREATE TABLE IF NOT EXISTS n (k text, a int UNIQUE, b int CHECK (b > 0) CHECK (b < 9), e numeric(5) DEFAULT 1, \
         PRIMARY KEY (k, a), UNIQUE (a, b), CHECK (a < b), CONSTRAINT own UNIQUE (b))",
    )
    .unwrap() else {
        panic!("a table")
    };
    let names: Vec<&str> = table.indexes.iter().map(|index| &*index.name).collect();
    assert_eq!(names, ["n_pkey", "n_a_key", "n_a_b_key", "own"]);
    let checks: Vec<&str> = table.checks.iter().map(|check| &*check.name).collect();
    assert_eq!(checks, ["n_b_check", "n_b_check1", "n_check"]);
    assert_eq!(table.checks[2].condition, "a < b");
    assert_eq!(table.columns[3].default.as_deref(), Some("1"));
    assert_eq!(
        table.columns.iter().map(|column| column.not_null).collect::<Vec<_>>(),
        [true, true, false, false]
    );
    assert!(table.row_id_column.is_none() && table.if_not_exists);
    let BoundStatement::CreateTable(table) =
        bind_text("CREATE TABLE n (a text, id bigint PRIMARY KEY)").unwrap()
    else {
        panic!("a table")
    };
    assert_eq!((table.row_id_column, table.row_id_constraint.as_deref()), (Some(1), Some("n_pkey")));
    assert!(table.indexes.is_empty() && table.columns[1].not_null);
}

#[test]
fn bad_definitions_are_refused_at_their_place() {
    check_error("CREATE TABLE n (a int, ^a int)", "42701", "column \"a\" specified more than once");
    check_error(
        "CREATE TABLE n (a int PRIMARY KEY, b int ^PRIMARY KEY)",
        "42P16",
        "multiple primary keys for table \"n\" are not allowed",
    );
    check_error("CREATE TABLE n (a int, UNIQUE (^z))", "42703", "column \"z\" named in key does not exist");
    check_error(
        "CREATE TABLE n (a int DEFAULT ^'x'::text)",
        "42804",
        "column \"a\" is of type integer but default expression is of type text",
    );
    check_error(
        "CREATE TABLE n (a int DEFAULT ^b)",
        "0A000",
        "cannot use column reference in DEFAULT expression",
    );
    check_error(
        "CREATE TABLE n (a int CHECK (^sum(a) > 1))",
        "42803",
        "aggregate functions are not allowed in check constraints",
    );
    check_error(
        "CREATE TABLE n (a int CHECK (^a))",
        "42804",
        "argument of CHECK must be type boolean, not type integer",
    );
    check_error("CREATE TABLE n (a ^uuid)", "0A000", "type uuid is not supported");
    check_error("CREATE TABLE n (a ^nosuch)", "42704", "type \"nosuch\" does not exist");
    check_error("CREATE TABLE n (a ^int[])", "0A000", "an array type is not supported");
    check_error("CREATE TABLE n (a varchar(^0))", "22023", "length for type varchar must be at least 1");
    check_error("CREATE TABLE n (a int REFERENCES ^nope)", "42P01", "relation \"nope\" does not exist");
    check_error("^CREATE TEMP TABLE n (a int)", "0A000", "a temporary table is not supported");
    let message = "value 9 out of bounds for option \"fillfactor\"";
    check_error("CREATE TABLE n (a int) WITH (^fillfactor = 9)", "22023", message);
    check_error("CREATE TABLE n (a int) WITH (^nosuch = 9)", "22023", "unrecognized parameter \"nosuch\"");
    let message = "parameter \"fillfactor\" specified more than once";
    check_error("CREATE INDEX ON t (a) WITH (fillfactor = 70, ^FILLFACTOR = 80)", "22023", message);
    let message = "unrecognized parameter namespace \"toast\"";
    check_error("CREATE INDEX ON t (a) WITH (^toast.fillfactor = 70)", "22023", message);
    let message = "tables declared WITH OIDS are not supported";
    check_error("CREATE TABLE n (a int) WITH (^oids)", "0A000", message);
    let changing = "functions in index expression must be marked IMMUTABLE";
    check_error("CREATE INDEX ON t ((^now()))", "42P17", changing);
    check_error("CREATE INDEX ON t (^lower((a + random())::text))", "42P17", changing);
    check_error("CREATE INDEX ON t ((^'2020-01-01'::timestamptz::date))", "42P17", changing);
    let changing = "functions in index predicate must be marked IMMUTABLE";
    check_error("CREATE INDEX ON t (a) WHERE ^now() > '2020-01-01'", "42P17", changing);
    check_error(
        "CREATE INDEX ON t (a) WHERE ^(SELECT true)",
        "0A000",
        "cannot use subquery in index predicate",
    );
    check_error(
        "CREATE INDEX ON t (^sum(a))",
        "42803",
        "aggregate functions are not allowed in index expressions",
    );
    check_error("CREATE INDEX ON t ((a + ^$1))", "42P02", "there is no parameter $1");
    check_error("CREATE INDEX ON t (a) INCLUDE (^z)", "42703", "column \"z\" does not exist");
    check_error("CREATE INDEX ON t USING ^gin (a)", "0A000", "index method gin is not supported");
    check_error("CREATE INDEX i ON t (^zz)", "42703", "column \"zz\" does not exist");
    let BoundStatement::CreateIndex(index) = bind_text("CREATE UNIQUE INDEX ON t (b, c DESC)").unwrap()
    else {
        panic!("an index")
    };
    assert_eq!(index.index.name, "t_b_c_idx");
    assert!(index.index.columns[1].descending && index.index.columns[1].nulls_first);
}

#[test]
fn what_is_missing_is_said_at_its_place() {
    check_error("SELECT ^array[1]", "0A000", "an array is not supported");
    check_error("SELECT ^sum(a) OVER () FROM t", "0A000", "a window function is not supported");
    check_error("VACUUM (^verbose)", "0A000", "VACUUM with VERBOSE is not supported");
    check_error("VACUUM (^fast)", "42601", "unrecognized VACUUM option \"fast\"");
    check_error("VACUUM ^t (a)", "0A000", "ANALYZE option must be specified when a column list is provided");
}

#[test]
fn transactions_and_settings_are_plain_data() {
    check(
        "BEGIN",
        "Transaction(Begin(TransactionModes { isolation: None, read_only: None, deferrable: None }))",
    );
    check(
        "START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE",
        "Transaction(Begin(TransactionModes { isolation: Some(Serializable), read_only: Some(true), deferrable: Some(true) }))",
    );
    check("END", "Transaction(Commit { chain: false })");
    check("ROLLBACK AND CHAIN", "Transaction(Rollback { chain: true })");
    check("ROLLBACK TO SAVEPOINT \"A b\"", "Transaction(RollbackTo(\"A b\"))");
    check(
        "LOCK TABLE t IN SHARE MODE NOWAIT",
        "Lock(LockTables { tables: [(ObjectId(1), \"t\")], mode: \"SHARE\", no_wait: true })",
    );
    check(
        "SET LOCAL Foo.Bar TO 'x', 3",
        "Set(SetStatement { name: \"foo.bar\", value: Some(\"x, 3\"), local: true, position: 10 })",
    );
    check("RESET ALL", "Reset { name: None, position: 0 }");
    check("CHECKPOINT", "Checkpoint");
}

/// Binds on a thread with the smallest stack that Lumos supports; the parser has its own test for that.
fn bind_on_small_stack(sql: &str) -> Result<()> {
    let arena = Arena::new();
    let statement = parse(sql, &arena)?[0].statement;
    let catalog = tables();
    std::thread::scope(|scope| {
        let run = || bind(&statement, &catalog, &BindOptions::new(sql)).map(drop);
        let thread = std::thread::Builder::new().stack_size(128 << 10).spawn_scoped(scope, run);
        thread.expect("a thread starts").join().expect("nothing panics")
    })
}

#[test]
fn long_flat_statements_bind_on_a_small_stack() {
    let terms: Vec<String> = (0..10_000).map(|number| format!("a = {number}")).collect();
    bind_on_small_stack(&format!("SELECT 1 FROM t WHERE {}", terms.join(" OR "))).unwrap();
    let numbers: Vec<String> = (0..100_000).map(|number: i32| number.to_string()).collect();
    bind_on_small_stack(&format!("SELECT a IN ({}) FROM t", numbers.join(","))).unwrap();
    let error = bind_on_small_stack(&format!("SELECT 1{}", " + 1".repeat(5000))).unwrap_err();
    assert_eq!(error.state().as_str(), "54001", "a deep plan is refused");
    bind_on_small_stack(&format!("SELECT b{} FROM t", " || 'x'".repeat(5000))).unwrap();
}

#[test]
fn long_queries_bind_on_a_small_stack() {
    for union in [" UNION ALL ", " UNION "] {
        let terms = vec!["SELECT a FROM t"; 1000].join(union);
        bind_on_small_stack(&terms).unwrap();
    }
    let tables: Vec<String> = (0..150).map(|number| format!("t AS t{number}")).collect();
    bind_on_small_stack(&format!("SELECT 1 FROM {}", tables.join(", "))).unwrap();
    bind_on_small_stack(&format!("SELECT 1 FROM {}", tables.join(" NATURAL JOIN "))).unwrap();
    let tables: Vec<String> = (0..1000).map(|number| format!("t AS t{number}")).collect();
    let error = bind_on_small_stack(&format!("SELECT 1 FROM {}", tables.join(", "))).unwrap_err();
    assert_eq!(error.state().as_str(), "54001");
    let error = bind_on_small_stack(&vec!["SELECT 1"; 1000].join(" EXCEPT ")).unwrap_err();
    assert_eq!(error.state().as_str(), "54001");
}

#[test]
fn nested_queries_bind_on_a_small_stack() {
    for (open, close) in [
        ("SELECT (", ")"),
        ("SELECT 1 WHERE EXISTS (", ")"),
        ("SELECT 1 WHERE 1 IN (", ")"),
        ("SELECT * FROM (", ") s"),
        ("SELECT 1 UNION (", ")"),
        ("WITH q AS (", ") SELECT * FROM q"),
        ("SELECT sum((", "))"),
        ("SELECT 1 FROM t, LATERAL (", ") s"),
    ] {
        for depth in [15, 200] {
            let sql = format!("{}SELECT 1{}", open.repeat(depth), close.repeat(depth));
            match bind_on_small_stack(&sql) {
                Ok(()) => {}
                Err(error) => {
                    assert_eq!(
                        (error.state().as_str(), depth),
                        ("54001", 200),
                        "{open}: {}",
                        error.message()
                    );
                }
            }
        }
    }
}

#[test]
fn nested_data_changes_bind_on_a_small_stack() {
    for close in [") INSERT INTO t (a) SELECT 1", ") UPDATE t SET a = 1", ") DELETE FROM t USING t AS o"] {
        for depth in [3, 10, 150] {
            let sql = format!("{}SELECT 1{}", "WITH q AS (".repeat(depth), close.repeat(depth));
            let error = bind_on_small_stack(&sql).unwrap_err();
            let is_known = matches!((error.state().as_str(), depth), ("0A000", _) | ("54001", 150));
            assert!(is_known, "{depth} times {close}: {}", error.message());
        }
    }
}

#[test]
fn only_the_with_of_the_statement_itself_changes_rows() {
    let change = "WITH q AS (INSERT INTO t (a) VALUES (1) RETURNING a)";
    let bound = |sql: &str| {
        let arena = Arena::new();
        let statement = parse(sql, &arena).unwrap()[0].statement;
        bind(&statement, &tables(), &BindOptions::new(sql))
    };
    for sql in [
        format!("{change} SELECT a FROM q"),
        format!("(({change} SELECT a FROM q)) LIMIT 1"),
        format!("{change} SELECT 1 UNION SELECT a FROM q"),
        format!("{change} INSERT INTO t (a) SELECT a FROM q"),
        format!("{change} UPDATE t SET a = q.a FROM q RETURNING (SELECT max(a) FROM q)"),
        format!("{change} DELETE FROM t WHERE a IN (SELECT a FROM q)"),
        format!("EXPLAIN {change} SELECT 1"),
        format!("COPY ({change} SELECT 1) TO STDOUT"),
        format!("CREATE TABLE made AS {change} SELECT 1 AS one"),
    ] {
        bound(&sql).unwrap_or_else(|error| panic!("{sql}: {}", error.message()));
    }
    for sql in [
        format!("INSERT INTO t (a) {change} SELECT a FROM q"),
        format!("SELECT 1 UNION ({change} SELECT a FROM q)"),
        format!("SELECT * FROM ({change} SELECT a FROM q) s"),
        format!("WITH w AS ({change} SELECT a FROM q) SELECT 1"),
        format!("WITH w AS ({change} DELETE FROM t) SELECT 1"),
        format!("DELETE FROM t WHERE a = ({change} SELECT a FROM q)"),
        format!("CREATE VIEW v AS SELECT * FROM ({change} SELECT a FROM q) s"),
    ] {
        let error = bound(&sql).expect_err(&sql);
        let message = "WITH clause containing a data-modifying statement must be at the top level";
        assert_eq!((error.state().as_str(), error.message()), ("0A000", message), "{sql}");
        assert_eq!(error.position(), sql.find("q AS (INSERT"), "{sql}");
    }
}

#[test]
fn nested_statements_bind_on_a_small_stack() {
    let depth = 180;
    for (open, close) in [
        ("abs(", ")"),
        ("CASE WHEN true THEN ", " END"),
        ("NOT (true AND ", ")"),
        ("coalesce(1, ", ")"),
        ("1 + (", ")"),
        ("CAST(", " AS bigint)"),
        ("least(", ", 1)"),
    ] {
        let literal = if open.starts_with("NOT") { "false" } else { "1" };
        let sql = format!("SELECT {}{literal}{}", open.repeat(depth), close.repeat(depth));
        match bind_on_small_stack(&sql) {
            Ok(()) => {}
            Err(error) => assert_eq!(error.state().as_str(), "54001", "{open}: {}", error.message()),
        }
    }
}

#[test]
fn repeated_operands_do_not_grow_exponentially() {
    for (open, close) in [("(", " BETWEEN 1 AND 2)::int"), ("CASE ", " WHEN 1 THEN 1 WHEN 2 THEN 2 END")] {
        let nested = format!("SELECT {}1{}", open.repeat(60), close.repeat(60));
        let error = bind_on_small_stack(&nested).unwrap_err();
        assert_eq!(error.state().as_str(), "54001", "{}", error.message());
    }
}
