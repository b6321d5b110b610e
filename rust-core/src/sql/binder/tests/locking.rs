//! FOR UPDATE and the like: what is locked, how, and where that is in the plan.

use super::{check, check_error};

#[test]
fn rows_are_locked_after_they_are_sorted_and_before_they_are_counted_and_computed() {
    check(
        "SELECT a + 1 AS n FROM t WHERE f ORDER BY b LIMIT 2 FOR UPDATE SKIP LOCKED",
        "scan t | filter f | sort b | lock t FOR UPDATE skip | limit 2l offset 0 | project [(a + 1)] as [n]",
    );
    check("TABLE t FOR SHARE", "scan t | lock t FOR SHARE | project [a, b, c, d, f] as [a, b, c, d, f]");
    // What is shown is what was sorted by, even where it may differ the next time.
    check(
        "SELECT random() AS r FROM u ORDER BY r FOR UPDATE",
        "scan u | project [x, y, z, s, ?4, random()] as [x, y, z, s, row id, ?order?] | sort ?order? \
         | lock u FOR UPDATE | project [?order?] as [r]",
    );
}

#[test]
fn the_strongest_mode_and_the_least_patience_of_all_clauses_count() {
    check(
        "SELECT a FROM t, u FOR KEY SHARE SKIP LOCKED FOR NO KEY UPDATE OF t FOR SHARE OF t NOWAIT",
        "(scan t inner join scan u) | lock t FOR NO KEY UPDATE nowait, u FOR KEY SHARE skip | project [a] as [a]",
    );
    check(
        "SELECT x.a FROM t x JOIN t y ON x.a = y.a FOR UPDATE OF y",
        "(scan t inner join scan t on (a = a')) | lock t FOR UPDATE | project [a] as [a]",
    );
}

#[test]
fn locks_go_into_views_and_queries_in_from() {
    // What only narrows is locked outside, with everything that it is joined with.
    check(
        "SELECT n FROM v, (SELECT x FROM u WHERE x > 1) s FOR UPDATE",
        "(scan t | filter f | project [a, b] as [a, b] inner join scan u | filter (x > 1l) | project [x] as [x]) \
         | lock t FOR UPDATE, u FOR UPDATE | project [a'] as [n]",
    );
    // What limits locks its own rows.
    check(
        "SELECT s.a FROM (SELECT a FROM t LIMIT 1) s FOR UPDATE",
        "scan t | lock t FOR UPDATE | limit 1l offset 0 | project [a] as [a] | project [a'] as [a]",
    );
    check(
        "SELECT s.a FROM (SELECT a FROM t FOR SHARE) s FOR UPDATE",
        "scan t | lock t FOR UPDATE | project [a] as [a] | project [a'] as [a]",
    );
    check("SELECT 1 AS one FOR UPDATE", "values () | project [1] as [one]");
}

#[test]
fn what_cannot_be_locked_is_refused_at_its_place() {
    check_error(
        "SELECT DISTINCT a FROM t ^FOR SHARE",
        "0A000",
        "FOR SHARE is not allowed with DISTINCT clause",
    );
    check_error(
        "SELECT a FROM t GROUP BY a ^FOR UPDATE",
        "0A000",
        "FOR UPDATE is not allowed with GROUP BY clause",
    );
    check_error(
        "SELECT sum(a) FROM t ^FOR UPDATE",
        "0A000",
        "FOR UPDATE is not allowed with aggregate functions",
    );
    check_error(
        "SELECT a FROM t FOR UPDATE OF ^x",
        "42P01",
        "relation \"x\" in FOR UPDATE clause not found in FROM clause",
    );
    check_error(
        "SELECT a FROM t FOR UPDATE OF ^s.t",
        "42601",
        "FOR UPDATE must specify unqualified relation names",
    );
    check_error(
        "WITH c AS (SELECT 1) SELECT 1 FROM c FOR UPDATE OF ^c",
        "0A000",
        "FOR UPDATE cannot be applied to a WITH query",
    );
    check_error(
        "SELECT 1 FROM generate_series(1, 2) g FOR UPDATE OF ^g",
        "0A000",
        "FOR UPDATE cannot be applied to a function",
    );
    check_error(
        "SELECT 1 UNION (SELECT a FROM t ^FOR UPDATE)",
        "0A000",
        "FOR UPDATE is not allowed with UNION/INTERSECT/EXCEPT",
    );
    check_error("VALUES (1) ^FOR UPDATE", "0A000", "FOR UPDATE cannot be applied to VALUES");
}
