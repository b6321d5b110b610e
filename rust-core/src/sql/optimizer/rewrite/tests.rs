//! Statements and their rewritten plans, printed from the first input to the result.

#[cfg(test)]
mod statements {
    use crate::catalog::snapshot::CatalogSnapshot;
    use crate::common::arena::Arena;
    use crate::error::Result;
    use crate::sql::binder::bound::{BindOptions, BoundStatement};
    use crate::sql::binder::{bind, fixture, tests::printer::Printer};
    use crate::sql::optimizer::rewrite::references::{each_node, output_set, plan_uses_any};
    use crate::sql::optimizer::rewrite::rewrite;
    use crate::sql::parser::parse;
    use crate::sql::plan::logical::LogicalPlan;

    fn tables() -> CatalogSnapshot {
        fixture::catalog(&[
            "CREATE TABLE r (a int, b int, c int)",
            "CREATE TABLE s (a int, b int, c int)",
            "CREATE TABLE k (id bigint PRIMARY KEY, a int NOT NULL, b int)",
        ])
    }

    fn rewritten(sql: &str) -> Result<LogicalPlan> {
        let arena = Arena::new();
        let statements = parse(sql, &arena)?;
        match bind(&statements[0].statement, &tables(), &BindOptions::new(sql))? {
            BoundStatement::Query { plan, parameters, .. } => Ok(rewrite(plan, &parameters)?.plan),
            other => panic!("no query: {other:?}"),
        }
    }

    /// How many joins still have a right side that uses columns of the left one.
    fn dependent_joins(plan: &LogicalPlan) -> usize {
        let mut count = 0;
        each_node(plan, &mut |node| {
            if let LogicalPlan::Join { left, right, .. } = node {
                count += usize::from(plan_uses_any(right, &output_set(left)));
            }
        });
        count
    }

    #[track_caller]
    fn check(sql: &str, expected: &str) {
        let plan = rewritten(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        let shown = Printer::default().plan(&plan);
        // What the user sees is projected last; the plan below that is what counts here.
        let shown = shown.strip_suffix(" | project [a] as [a]").unwrap_or(&shown);
        assert_eq!(shown, expected, "{sql}");
    }

    #[test]
    fn conditions_over_subqueries_are_semi_and_anti_joins() {
        check(
            "SELECT a FROM r WHERE EXISTS (SELECT 1 FROM s WHERE s.a = r.a)",
            "(scan r semi join scan s on (a' = a))",
        );
        check(
            "SELECT a FROM r WHERE NOT EXISTS (SELECT 1 FROM s WHERE s.a = r.a AND s.b < r.b)",
            "(scan r anti join scan s on ((a' = a) AND (b' < b)))",
        );
        check(
            "SELECT a FROM r WHERE NOT (b > 1 OR EXISTS (SELECT 1 FROM s WHERE s.a = r.a))",
            "(scan r | filter (b <= 1) anti join scan s on (a' = a))",
        );
        check(
            "SELECT a FROM r WHERE a IN (SELECT a FROM s WHERE s.b = r.b)",
            "(scan r semi join scan s on ((a = a') AND (b' = b)))",
        );
        check(
            "SELECT a FROM r WHERE (a, b) IN (SELECT a, b FROM s)",
            "(scan r semi join scan s on ((a = a') AND (b = b')))",
        );
        check("SELECT a FROM k WHERE a NOT IN (SELECT a FROM k)", "(scan k anti join scan k on (a = a'))");
    }

    #[test]
    fn what_may_be_unknown_is_a_mark() {
        check(
            "SELECT a FROM r WHERE a NOT IN (SELECT a FROM s)",
            "(scan r mark join scan s on (a = a')) | filter NOT mark",
        );
        check(
            "SELECT a FROM r WHERE b = 1 OR EXISTS (SELECT 1 FROM s WHERE s.a = r.a)",
            "(scan r mark join scan s on (a' = a) IS true) | filter ((b = 1) OR mark)",
        );
        check(
            "SELECT a FROM r WHERE a > ALL (SELECT a FROM s)",
            "(scan r mark join scan s on (a <= a')) | filter NOT mark",
        );
    }

    #[test]
    fn queries_that_use_nothing_from_outside_run_once() {
        check(
            "SELECT a FROM r WHERE b = (SELECT max(b) FROM s)",
            "$1 = <scan s | group [] [max(b)] | project [max] as [max]>; scan r | filter (b = $1:integer)",
        );
        check(
            "SELECT a FROM r WHERE EXISTS (SELECT 1 FROM s)",
            "$1 = exists <scan s | project [1] as [?column?]>; scan r | filter $1:boolean",
        );
        check(
            "SELECT a FROM r LIMIT (SELECT count(*) FROM s)",
            "$1 = <scan s | group [] [count()] | project [count] as [count]>; scan r | limit $1:bigint offset 0",
        );
    }

    #[test]
    fn aggregates_without_groups_are_grouped_by_what_correlates_them() {
        check(
            "SELECT (SELECT count(*) FROM s WHERE s.a = r.a) AS n FROM r",
            "(scan r left join scan s | group [a'] [count()] on (key = a)) | project [coalesce(count, 0l)] as [n]",
        );
        check(
            "SELECT a FROM r WHERE b > (SELECT avg(s.b) FROM s WHERE s.c = r.c)",
            "(scan r inner join scan s | group [c'] [avg(b')] on ((b:numeric > avg) AND (key = c)))",
        );
        check(
            "SELECT (SELECT sum(s.b) FROM s WHERE s.a < r.a) AS n FROM r",
            "(scan r left join (scan r | project [a'] as [a] | distinct inner join scan s on (a''' < a'')) | \
             group [a''] [sum(b'')] on a IS NOT DISTINCT FROM a'''') | project [sum] as [n]",
        );
    }

    #[test]
    fn single_rows_are_checked_where_they_are_not_certain() {
        check(
            "SELECT (SELECT s.b FROM s WHERE s.a = r.a) AS n FROM r",
            "(scan r single join scan s on (a' = a)) | project [b'] as [n]",
        );
        check(
            "SELECT (SELECT k.b FROM k WHERE k.id = r.a) AS n FROM r",
            "(scan r left join scan k on (id = a)) | project [b'] as [n]",
        );
        check(
            "SELECT CASE WHEN a = 1 THEN (SELECT b FROM s WHERE s.a = r.a) END AS n FROM r",
            "(scan r single join scan s on ((a = 1) IS true AND (a' = a))) | \
             project [CASE WHEN (a = 1) THEN b' END] as [n]",
        );
        check(
            "SELECT (SELECT s.b FROM s WHERE s.a = r.a ORDER BY s.b LIMIT 1) AS n FROM r",
            "(scan r left join scan s | project [b', a'] as [b, a] | sort b'' | distinct on a'' on (a'' = a)) | \
             project [b''] as [n]",
        );
    }

    #[test]
    fn conditions_move_down_and_outer_joins_become_simpler() {
        check(
            "SELECT r.a FROM r LEFT JOIN s ON r.a = s.a WHERE s.b > 3",
            "(scan r inner join scan s | filter (b' > 3) on (a = a'))",
        );
        check(
            "SELECT r.a FROM r LEFT JOIN s ON r.a = s.a WHERE s.a IS NULL",
            "(scan r anti join scan s on (a = a'))",
        );
        check(
            "SELECT r.a FROM r FULL JOIN s ON r.a = s.a WHERE s.b = 2",
            "(scan r right join scan s | filter (b' = 2) on (a = a'))",
        );
        check(
            "SELECT r.a FROM (r LEFT JOIN s ON r.a = s.a) JOIN k ON k.a = s.b",
            "((scan r inner join scan s on (a = a')) inner join scan k on (a'' = b'))",
        );
        check("SELECT r.a FROM r LEFT JOIN k ON r.a = k.id", "scan r");
        check(
            "SELECT r.a FROM r JOIN s ON r.a = s.a WHERE r.a = 5",
            "(scan r | filter (a = 5) inner join scan s | filter (a' = 5) on (a = a'))",
        );
        check(
            "SELECT a FROM r WHERE (a = 1 AND b = 2) OR (a = 1 AND c = 3)",
            "scan r | filter ((a = 1) AND ((b = 2) OR (c = 3)))",
        );
        check("WITH x AS (SELECT a, b FROM r) SELECT a FROM x WHERE b = 1", "scan r | filter (b = 1)");
        check("SELECT a FROM r WHERE false", "values ");
    }

    #[test]
    fn nothing_correlated_is_left_but_functions_and_limits() {
        for sql in [
            "SELECT * FROM r WHERE EXISTS (SELECT 1 FROM s WHERE EXISTS (SELECT 1 FROM k WHERE k.a = s.a AND k.b = r.b))",
            "SELECT (SELECT (SELECT max(k.b) FROM k WHERE k.a = s.a AND k.b < r.b) FROM s WHERE s.b = r.b LIMIT 1) FROM r",
            "SELECT * FROM r WHERE a IN (SELECT a FROM s UNION SELECT b FROM s WHERE s.c = r.c)",
            "SELECT * FROM r WHERE a IN (SELECT a FROM s EXCEPT ALL SELECT b FROM s WHERE s.c = r.c)",
            "SELECT * FROM r, LATERAL (SELECT s.a FROM s LEFT JOIN k ON k.a = s.a AND k.b = r.b) x",
            "SELECT * FROM r, LATERAL (SELECT s.a FROM s FULL JOIN k ON k.a = s.a WHERE s.b = r.b) x",
            "SELECT * FROM r LEFT JOIN LATERAL (SELECT count(*) FROM s WHERE s.a > r.a) x ON true",
            "SELECT * FROM r WHERE a = ANY (WITH w AS (SELECT b, a FROM s WHERE s.c = r.c) SELECT w.a FROM w JOIN w v USING (b))",
            "SELECT * FROM r JOIN s ON r.a = s.a LEFT JOIN k ON k.a = s.b AND k.b IN (SELECT b FROM r q WHERE q.a = r.a)",
            "UPDATE r SET b = (SELECT max(s.b) FROM s WHERE s.a = r.a) WHERE EXISTS (SELECT 1 FROM s WHERE s.c = r.c)",
        ] {
            let plan = rewritten(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
            assert_eq!(dependent_joins(&plan), 0, "{sql}: {}", Printer::default().plan(&plan));
        }
        for sql in [
            "SELECT * FROM r, generate_series(1, r.a) g",
            "SELECT * FROM r, LATERAL (SELECT a FROM s WHERE s.a > r.a ORDER BY b LIMIT 2) x",
            "SELECT * FROM r, LATERAL (SELECT random() + r.a FROM s WHERE s.a = r.a) x",
        ] {
            let plan = rewritten(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
            assert_eq!(dependent_joins(&plan), 1, "{sql}: {}", Printer::default().plan(&plan));
        }
    }

    #[test]
    fn what_cannot_be_joined_is_refused_at_its_place() {
        let sql = "SELECT * FROM r FULL JOIN (SELECT a, random() FROM s) AS s ON r.a = (SELECT max(k.a) FROM k WHERE k.b = r.b AND k.id = s.a)";
        let error = rewritten(sql).expect_err("a side that cannot be computed twice");
        assert_eq!((error.state().as_str(), error.position()), ("0A000", sql.find("(SELECT max")));
        rewritten(&sql.replace(", random()", "")).expect("both sides can be computed twice");
        let sql = "INSERT INTO r VALUES (1, 2, 3) RETURNING (SELECT max(s.b) FROM s WHERE s.a = r.a)";
        rewritten(sql).expect("computed over what the insert returns");
        let terms = vec!["a IN (SELECT a FROM s)"; 300].join(" AND ");
        let error = rewritten(&format!("SELECT 1 FROM r WHERE {terms}")).expect_err("too deep");
        assert_eq!(error.state().as_str(), "54001");
    }
}
