//! What is checked again of rows that changed before they were locked: a condition where the query is filters and inner
//! joins over tables, else its plan over one row of each.

use super::golden::{planned, shape};
use super::*;
use crate::catalog::snapshot::CatalogSnapshot;
use crate::sql::binder::fixture;
use crate::sql::plan::physical::{LockDemand, Operator, PhysicalNode, PhysicalRecheck};

fn tables() -> CatalogSnapshot {
    fixture::catalog(&[
        "CREATE TABLE t (id int PRIMARY KEY, v int, w int)",
        "CREATE TABLE u (id int PRIMARY KEY, t int, v int)",
    ])
}

fn locking(node: &PhysicalNode) -> Option<&PhysicalNode> {
    match node.operator {
        Operator::LockRows { .. } | Operator::Update { .. } | Operator::Delete { .. } => Some(node),
        _ => node.inputs().into_iter().find_map(locking),
    }
}

/// `condition`, `always`, or the shape of the plan.
fn recheck(sql: &str) -> String {
    let plan = planned(&tables(), &Rows(100), sql);
    let node = locking(&plan.root).unwrap_or_else(|| panic!("{sql} locks nothing"));
    let (Operator::LockRows { recheck, .. }
    | Operator::Update { recheck, .. }
    | Operator::Delete { recheck, .. }) = &node.operator
    else {
        unreachable!("these alone are looked for");
    };
    match recheck {
        PhysicalRecheck::Always => "always".to_owned(),
        PhysicalRecheck::Condition(_) => "condition".to_owned(),
        PhysicalRecheck::Plan { plan, .. } => shape(plan),
    }
}

#[test]
fn filters_and_inner_joins_over_tables_are_one_condition() {
    assert_eq!(recheck("SELECT v FROM t FOR UPDATE"), "always");
    assert_eq!(recheck("SELECT v FROM t WHERE w > 1 ORDER BY v FOR UPDATE"), "condition");
    assert_eq!(recheck("SELECT t.v FROM t JOIN u ON u.t = t.id WHERE u.v > t.v FOR SHARE"), "condition");
    assert_eq!(recheck("UPDATE t SET v = 1 FROM u WHERE u.t = t.id"), "condition");
    assert_eq!(
        recheck("DELETE FROM t USING (SELECT t, count(*) AS n FROM u GROUP BY t) c WHERE c.t = id"),
        "condition"
    );
    // A query that uses nothing of the row is a value by then.
    assert_eq!(recheck("UPDATE t SET v = 1 WHERE v = (SELECT max(v) FROM u)"), "condition");
}

#[test]
fn what_is_more_than_that_is_run_again_over_the_rows_as_they_are_now() {
    for sql in [
        "SELECT t.v FROM t LEFT JOIN u ON u.t = t.id FOR UPDATE OF t",
        "SELECT id FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.t = t.id) FOR UPDATE",
        "UPDATE t SET v = (SELECT max(u.v) FROM u WHERE u.t = t.id)",
        "DELETE FROM t WHERE v NOT IN (SELECT v FROM u)",
        "SELECT s.d FROM (SELECT v * 2 AS d FROM t) s WHERE s.d > 1 FOR UPDATE",
        "SELECT s.z FROM t, LATERAL (SELECT u.v + t.v AS z FROM u WHERE u.t = t.id) s FOR UPDATE OF t",
    ] {
        let shape = recheck(sql);
        assert!(!matches!(&*shape, "condition" | "always"), "{sql}: {shape}");
        // No row of the table that is locked is read again: it is there.
        assert!(shape.split(|c: char| !c.is_alphanumeric()).all(|word| word != "t"), "{sql}: {shape}");
    }
}

#[test]
fn what_limits_counts_rows_that_could_be_locked_and_says_how_many_there_have_to_be() {
    let plan =
        planned(&tables(), &Rows(100), "SELECT id FROM t ORDER BY v LIMIT 3 OFFSET 1 FOR UPDATE SKIP LOCKED");
    assert_eq!(shape_of_locks(&plan.root), "limit lock sort");
    let locks = locking(&plan.root).unwrap();
    let Operator::LockRows { demand, targets, .. } = &locks.operator else {
        panic!("a query changes nothing")
    };
    assert!(matches!(demand, LockDemand::Limited { limit: Some(_), offset: Some(_) }));
    assert_eq!(targets.len(), 1);
    assert!(planned(&tables(), &Rows(100), "SELECT v FROM t WHERE id = $1 FOR UPDATE").short_path);
}

fn shape_of_locks(node: &PhysicalNode) -> String {
    let below = node.inputs().first().map_or(String::new(), |input| shape_of_locks(input));
    let own = match &node.operator {
        Operator::Limit { .. } => "limit",
        Operator::LockRows { .. } => "lock",
        Operator::Sort { .. } => "sort",
        Operator::TopN { .. } => "top",
        _ => "",
    };
    format!("{own} {below}").trim().to_owned()
}

#[test]
fn the_side_of_an_outer_join_that_may_be_left_out_is_not_locked() {
    let sql = "SELECT 1 FROM t LEFT JOIN u ON u.t = t.id FOR UPDATE";
    let arena = crate::common::arena::Arena::new();
    let statements = crate::sql::parser::parse(sql, &arena).unwrap();
    let options = crate::sql::binder::bound::BindOptions::new(sql);
    let bound = crate::sql::binder::bind(&statements[0].statement, &tables(), &options).unwrap();
    let crate::sql::binder::bound::BoundStatement::Query { plan, parameters, .. } = bound else {
        panic!("a query");
    };
    let error = optimize(plan, &parameters, &Rows(0)).unwrap_err();
    assert_eq!(error.message(), "FOR UPDATE cannot be applied to the nullable side of an outer join");
    // A condition that refuses what is left out makes it an inner join.
    recheck("SELECT 1 FROM t LEFT JOIN u ON u.t = t.id WHERE u.v > 1 FOR UPDATE");
}
