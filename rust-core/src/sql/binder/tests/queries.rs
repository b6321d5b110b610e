//! Queries of several tables and levels: joins, subqueries, set operations, WITH.

use super::{check, check_error};

#[test]
fn joins_name_their_columns() {
    check(
        "SELECT * FROM t, u WHERE a = x",
        "(scan t inner join scan u) | filter (a = x) | project [a, b, c, d, f, x, y, z, s] as [a, b, c, d, f, x, y, z, s]",
    );
    check(
        "SELECT t.a FROM t LEFT JOIN t t2 ON t.a = t2.a AND t2.f",
        "(scan t left join scan t on ((a = a') AND f')) | project [a] as [a]",
    );
    check(
        "SELECT * FROM (SELECT 1 k, 2 l) p FULL JOIN (SELECT 3 k, 4 m) q USING (k)",
        "(values () | project [1, 2] as [k, l] full join values () | project [3, 4] as [k, m] on (k = k')) \
         | project [coalesce(k, k'), l, m] as [k, l, m]",
    );
    check(
        "SELECT *, q.k FROM (SELECT 1 k) p NATURAL RIGHT JOIN (SELECT 3::bigint k) q",
        "(values () | project [1] as [k] right join values () | project [3l] as [k] on (k = k')) \
         | project [k', k'] as [k, k]",
    );
    check(
        "SELECT j.z1 FROM (t JOIN u ON true) AS j(a1, b1, c1, d1, f1, x1, y1, z1)",
        "(scan t inner join scan u on true) | project [z] as [z1]",
    );
    check_error("SELECT 1 FROM t, ^t", "42712", "table name \"t\" specified more than once");
    check_error("SELECT ^a FROM t, t t2", "42702", "column reference \"a\" is ambiguous");
    check_error(
        "SELECT 1 FROM t JOIN u USING (^x)",
        "42703",
        "column \"x\" specified in USING clause does not exist in left table",
    );
    let error = check_error(
        "SELECT 1 FROM t, u JOIN t t2 ON ^t.a = t2.a",
        "42P01",
        "invalid reference to FROM-clause entry for table \"t\"",
    );
    assert!(error.hint_text().unwrap().contains("table alias \"t2\""));
    let error = check_error(
        "SELECT 1 FROM t, u JOIN u v ON ^t.a = v.x",
        "42P01",
        "invalid reference to FROM-clause entry for table \"t\"",
    );
    assert!(error.hint_text().unwrap().starts_with("There is an entry for table \"t\""));
    check_error(
        "SELECT 1 FROM t JOIN u ON ^sum(x) > 1",
        "42803",
        "aggregate functions are not allowed in JOIN conditions",
    );
}

#[test]
fn lateral_sees_what_stands_to_its_left() {
    check(
        "SELECT n FROM t, LATERAL (SELECT t.a + x AS n FROM u) s",
        "(scan t inner join scan u | project [(a + x)] as [n]) | project [n] as [n]",
    );
    check(
        "SELECT g FROM t LEFT JOIN generate_series(1, a) WITH ORDINALITY AS g(g, n) ON n > 1",
        "(scan t left join generate_series(1, a) numbered on (ordinality > 1l)) | project [generate_series] as [g]",
    );
    let error = check_error(
        "SELECT 1 FROM t, (SELECT ^t.a) s",
        "42P01",
        "invalid reference to FROM-clause entry for table \"t\"",
    );
    assert!(error.hint_text().unwrap().starts_with("There is an entry for table \"t\""));
    check_error(
        "SELECT 1 FROM t RIGHT JOIN LATERAL (SELECT ^t.a) s ON true",
        "42P10",
        "invalid reference to FROM-clause entry for table \"t\"",
    );
    check_error(
        "SELECT 1 FROM t, LATERAL (SELECT ^max(t.a)) s",
        "42803",
        "aggregate functions are not allowed in FROM clause of their own query level",
    );
}

#[test]
fn queries_stand_in_expressions() {
    check(
        "SELECT (SELECT max(x) FROM u WHERE s = t.a) FROM t",
        "scan t | project [<scan u | filter (s = a) | group [] [max(x)] | project [max] as [max]>] as [max]",
    );
    check(
        "SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u WHERE x = a) AND a NOT IN (SELECT s FROM u)",
        "scan t | filter (exists <scan u | filter (x = a) | project [1] as [?column?]> \
         AND NOT any (a = s') <scan u | project [s] as [s]>) | project [a] as [a]",
    );
    check(
        "SELECT a > ALL (SELECT s FROM u), (a, 1) IN (SELECT s, s FROM u) FROM t",
        "scan t | project [NOT any NOT (a > s') <scan u | project [s] as [s]>, \
         any ((a = s') AND (1s = s'')) <scan u | project [s, s] as [s, s]>] as [?column?, ?column?]",
    );
    check(
        "SELECT (1, a) < (2, 3), (a, b) IS NULL, (1, 2) = (SELECT a, a) FROM t",
        "scan t | project [((1 < 2) OR ((1 = 2) AND (a < 3))), (a IS NULL AND b IS NULL), \
         <values () | project [a, a] as [a, a] | project [((1 = a') AND (2 = a''))] as [?column?]>] as [?column?, ?column?, ?column?]",
    );
    check_error("SELECT ^(SELECT 1, 2)", "42601", "subquery must return only one column");
    check_error("SELECT ^1 IN (SELECT 1, 2)", "42601", "subquery has too many columns");
    check(
        "SELECT (1, a) BETWEEN (1, 2) AND (3, 4), (a, 1) NOT BETWEEN (1, 2) AND (3, 4) FROM t",
        "scan t | project [(((1 > 1) OR ((1 = 1) AND (a >= 2))) AND ((1 < 3) OR ((1 = 3) AND (a <= 4)))), \
         (((a < 1) OR ((a = 1) AND (1 < 2))) OR ((a > 3) OR ((a = 3) AND (1 > 4))))] as [?column?, ?column?]",
    );
    check_error("SELECT (1, 2) ^= ANY (SELECT 1)", "42601", "subquery has too few columns");
    check_error("SELECT (1, 2) ^= (1, 2, 3)", "42601", "unequal number of entries in row expressions");
    check_error(
        "CREATE TABLE n (a int CHECK (a > ^(SELECT 1)))",
        "0A000",
        "cannot use subquery in check constraint",
    );
}

#[test]
fn aggregates_belong_to_the_innermost_level_they_use() {
    check(
        "SELECT (SELECT sum(t.a) FROM u LIMIT 1) FROM t",
        "scan t | group [] [sum(a)] | project [<scan u | project [sum] as [sum] | limit 1l offset 0>] as [sum]",
    );
    check(
        "SELECT b, (SELECT count(*) FROM u WHERE s = max(t.a)) FROM t GROUP BY b",
        "scan t | group [b] [max(a)] | project [b', <scan u | filter (s = max) | group [] [count()] \
         | project [count] as [count]>] as [b, count]",
    );
    check_error(
        "SELECT b, (SELECT 1 FROM u WHERE s = ^t.a) FROM t GROUP BY b",
        "42803",
        "subquery uses ungrouped column \"t.a\" from outer query",
    );
    check_error(
        "SELECT 1 FROM t WHERE a = (SELECT ^max(t.a) FROM u)",
        "42803",
        "aggregate functions are not allowed in WHERE",
    );
    check(
        "SELECT (SELECT x FROM u LIMIT 1), count(*) FROM t GROUP BY 1",
        "scan t | group [<scan u | project [x] as [x] | limit 1l offset 0>] [count()] | project [group, count] as [x, count]",
    );
    check(
        "SELECT (SELECT 1) FROM t GROUP BY (SELECT 1)",
        "scan t | group [<values () | project [1] as [?column?]>] [] | project [group] as [?column?]",
    );
}

#[test]
fn set_operations_take_the_common_type() {
    check(
        "SELECT 1 UNION ALL SELECT 2.5 UNION ALL SELECT '3'",
        "append (values () | project [1] as [?column?] | project [?column?:numeric] as [?column?]; \
         values () | project [25e-1] as [?column?]; values () | project [3e-0] as [?column?])",
    );
    check(
        "SELECT a FROM t UNION SELECT x FROM u EXCEPT SELECT 1::bigint ORDER BY a DESC LIMIT 2",
        "(append (scan t | project [a] as [a] | project [a':bigint] as [a]; scan u | project [x] as [x]) | distinct \
         Except values () | project [1l] as [int8]) | sort a'''' desc | limit 2l offset 0",
    );
    check(
        "SELECT 1 UNION SELECT 2 INTERSECT ALL SELECT 3",
        "append (values () | project [1] as [?column?]; (values () | project [2] as [?column?] \
         Intersect all values () | project [3] as [?column?])) | distinct",
    );
    check_error(
        "SELECT 1 UNION SELECT ^'a'::text",
        "42804",
        "UNION types integer and text cannot be matched",
    );
    check_error(
        "SELECT 1 EXCEPT SELECT ^1, 2",
        "42601",
        "each EXCEPT query must have the same number of columns",
    );
    check_error(
        "SELECT 1 AS k UNION SELECT 2 ORDER BY ^k + 1",
        "0A000",
        "invalid UNION/INTERSECT/EXCEPT ORDER BY clause",
    );
}

#[test]
fn common_tables_are_bound_once() {
    check(
        "WITH q(k) AS MATERIALIZED (SELECT a FROM t), unused AS (SELECT 1) SELECT q.k, r.k FROM q, q r",
        "with q materialized as (scan t | project [a] as [a]) (common q inner join common q) | project [k, k'] as [k, k]",
    );
    check(
        "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT i FROM n",
        "with n as (recursive all (values (1); common n | filter (i < 3) | project [(i + 1)] as [?column?])) common n | project [i''] as [i]",
    );
}

#[test]
fn recursive_queries_may_use_those_further_down() {
    check(
        "WITH RECURSIVE p AS (SELECT * FROM q), q AS (SELECT 1 AS k) SELECT k FROM p",
        "with q as (values () | project [1] as [k]) with p as (common q | project [k'] as [k]) common p | project [k'''] as [k]",
    );
    check_error(
        "WITH RECURSIVE p AS (SELECT 1 FROM q), ^q AS (SELECT 1 FROM p) SELECT 1",
        "0A000",
        "mutual recursion between WITH items is not implemented",
    );
}

#[test]
fn a_function_of_several_rows_stands_in_a_select_list() {
    check(
        "SELECT a, generate_series(1, a) AS g FROM t",
        "(scan t inner join generate_series(1, a)) | project [a, generate_series] as [a, g]",
    );
    check_error(
        "SELECT 1 FROM t WHERE ^generate_series(1, 2) > 1",
        "0A000",
        "set-returning functions are not allowed in WHERE",
    );
}

#[test]
fn recursive_queries_are_well_formed() {
    let refuse = |sql: &str, message: &str| {
        check_error(sql, "42P19", message);
    };
    refuse(
        "WITH RECURSIVE n AS (SELECT 1 FROM ^n UNION ALL SELECT 2) SELECT 1",
        "recursive reference to query \"n\" must not appear within its non-recursive term",
    );
    refuse(
        "WITH RECURSIVE n AS (SELECT 1 UNION ALL SELECT 2 WHERE 1 IN (SELECT 1 FROM ^n)) SELECT 1",
        "recursive reference to query \"n\" must not appear within a subquery",
    );
    refuse(
        "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT 2 FROM t LEFT JOIN ^n ON a = i) SELECT 1",
        "recursive reference to query \"n\" must not appear within an outer join",
    );
    refuse(
        "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT m.i FROM n, ^n m) SELECT 1",
        "recursive reference to query \"n\" must not appear more than once",
    );
    refuse(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT ^count(*)::int FROM n) SELECT 1",
        "aggregate functions are not allowed in a recursive query's recursive term",
    );
    refuse(
        "WITH RECURSIVE n AS (SELECT * FROM ^n) SELECT 1",
        "recursive query \"n\" does not have the form non-recursive-term UNION [ALL] recursive-term",
    );
    check_error(
        "WITH RECURSIVE n(i) AS (SELECT ^1 UNION ALL SELECT i + 1.5 FROM n) SELECT 1",
        "42804",
        "recursive query \"n\" column 1 has type integer in non-recursive term but type numeric overall",
    );
    check_error(
        "WITH q AS (SELECT 1), ^q AS (SELECT 2) SELECT 1",
        "42712",
        "WITH query name \"q\" specified more than once",
    );
}

#[test]
fn distinct_on_keeps_the_first_of_each_group() {
    check(
        "SELECT DISTINCT ON (b) a FROM t ORDER BY b, d DESC",
        "scan t | project [a, b, d] as [a, ?order?, ?order?] | sort ?order?, ?order?' desc | distinct on ?order? | project [a'] as [a]",
    );
    check_error(
        "SELECT DISTINCT ON (^b) a FROM t ORDER BY a",
        "42P10",
        "SELECT DISTINCT ON expressions must match initial ORDER BY expressions",
    );
}
