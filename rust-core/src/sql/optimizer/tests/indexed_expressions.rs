//! Plans over indexes on expressions and partial indexes: when they are read, and when they must not be.

use super::golden::{Shop, check, planned, shape};
use crate::sql::binder::fixture;

const BIG: &[&str] = &[
    "CREATE TABLE big (id int PRIMARY KEY, u int, w int, t text)",
    "CREATE INDEX big_lower ON big (lower(t))",
    "CREATE INDEX big_sum ON big ((u + w), id)",
    "CREATE UNIQUE INDEX big_upper ON big (upper(t))",
    "CREATE TABLE few (k int PRIMARY KEY, s text)",
];

#[test]
fn an_expression_is_looked_up_in_the_index_that_holds_it() {
    check(BIG, "SELECT id FROM big WHERE lower(t) = 'x'", "big by big_lower(1)");
    check(BIG, "SELECT id FROM big WHERE 'x' = lower(t)", "big by big_lower(1)");
    check(BIG, "SELECT id FROM big WHERE lower(t) = $1", "big by big_lower(1)");
    check(BIG, "SELECT id FROM big WHERE lower(t) LIKE 'abc%'", "big by big_lower(0+range)");
    check(BIG, "SELECT id FROM big WHERE upper(t) = 'X'", "big by big_upper");
    check(BIG, "SELECT id FROM big WHERE u + w = 3 AND id > 5", "big by big_sum(1+range)");
    check(BIG, "SELECT id FROM big WHERE u + w = 3::bigint", "big by big_sum(1)");
    check(BIG, "SELECT id FROM big WHERE u + w BETWEEN 3 AND 4", "big by big_sum(0+range)");
    check(BIG, "SELECT id FROM big WHERE w + u = 3", "big");
    check(BIG, "SELECT id FROM big WHERE lower(t) || 'a' = 'xa'", "big");
    check(
        BIG,
        "SELECT id FROM big WHERE lower(t) IN ('a', 'b')",
        "apply Inner(2 values, big by big_lower(1))",
    );
}

#[test]
fn the_order_of_an_expression_is_that_of_its_index() {
    check(BIG, "SELECT id FROM big ORDER BY lower(t) LIMIT 3", "limit(big by big_lower(0))");
    check(BIG, "SELECT lower(t) FROM big ORDER BY 1 DESC LIMIT 3", "limit(big by big_lower(0 backward))");
    check(BIG, "SELECT id FROM big ORDER BY u + w, id LIMIT 3", "limit(big by big_sum(0))");
    check(BIG, "SELECT id FROM big ORDER BY lower(t) NULLS FIRST LIMIT 3", "top(big)");
    check(BIG, "SELECT max(u + w) FROM big", "groups(limit(big by big_sum(0 backward)))");
    check(BIG, "SELECT min(lower(t)) FROM big", "groups(limit(big by big_lower(0)))");
    check(BIG, "SELECT min(lower(t) || 'a') FROM big", "groups(big)");
}

#[test]
fn joins_look_expressions_up() {
    let joined = "SELECT 1 FROM big a, big b WHERE upper(b.t) = a.t AND a.id < 3";
    check(BIG, joined, "apply Inner(big range, big by big_upper)");
    // Above an outer join the expression of a row of NULLs is something else than NULL in the index's place.
    let outer =
        "SELECT f.k FROM few f LEFT JOIN big b ON b.id = f.k WHERE coalesce(lower(b.t), 'none') = 'none'";
    let plan = shape(&planned(&fixture::catalog(BIG), &Shop, outer).root);
    assert!(plan.contains("filter") && !plan.contains("big_lower"), "{plan}");
}

const PARTIAL: &[&str] = &[
    "CREATE TABLE big (id int PRIMARY KEY, u int, w int, t text)",
    "CREATE INDEX big_open ON big (t) WHERE w > 10 AND u IS NOT NULL",
    "CREATE UNIQUE INDEX big_one ON big (u) WHERE t = 'only'",
];

#[test]
fn a_partial_index_is_read_where_the_conditions_imply_its_predicate() {
    check(PARTIAL, "SELECT id FROM big WHERE t = 'x' AND w > 10 AND u = 3", "big by big_open(1)");
    check(PARTIAL, "SELECT id FROM big WHERE t = 'x' AND w = 11 AND u > w", "big by big_open(1)");
    check(PARTIAL, "SELECT id FROM big WHERE t = 'x' AND w IN (11, 20) AND u + 1 < 9", "big by big_open(1)");
    check(PARTIAL, "SELECT id FROM big WHERE t = 'x' AND w > 9 AND u = 3", "big");
    check(PARTIAL, "SELECT id FROM big WHERE t = 'x' AND w > 10", "big");
    check(PARTIAL, "SELECT id FROM big WHERE t = 'x' AND w > $1 AND u = 3", "big");
    check(PARTIAL, "SELECT id FROM big WHERE u = 3", "big");
    check(PARTIAL, "SELECT id FROM big WHERE u = 3 AND t = 'only'", "big by big_one");
}

#[test]
fn a_partial_unique_index_promises_nothing_about_other_rows() {
    // Were u unique in all of the table, the grouping of the subquery would be needless.
    let sql = "SELECT k FROM (SELECT DISTINCT u AS k FROM big) s WHERE k > 99990";
    check(PARTIAL, sql, "groups(big)");
    let single = "SELECT (SELECT id FROM big b WHERE b.u = a.w) FROM big a WHERE a.id = 1";
    let plan = shape(&planned(&fixture::catalog(PARTIAL), &Shop, single).root);
    assert!(plan.contains("Single") || plan.contains("initial"), "{plan}");
}
