//! What implies what, held against every row of a small world.

use crate::common::arena::Arena;
use crate::common::random::Random;
use crate::sql::binder::bound::{BindOptions, BoundStatement};
use crate::sql::binder::{bind, fixture};
use crate::sql::evaluate::context::EvaluationContext;
use crate::sql::evaluate::fold::planning_environment;
use crate::sql::evaluate::row;
use crate::sql::optimizer::columns::{split_conjunction, to_inputs};
use crate::sql::optimizer::implication::implies;
use crate::sql::optimizer::rewrite::rewrite;
use crate::sql::parser::parse;
use crate::sql::plan::expression::{ColumnId, Expression};
use crate::sql::plan::logical::LogicalPlan;
use crate::sql::types::datum::Datum;

/// The terms of a condition on `t (a int, b bigint, s text, f boolean)`, as the optimizer sees them.
fn terms(condition: &str) -> Vec<Expression> {
    let catalog = fixture::catalog(&["CREATE TABLE t (a int, b bigint, s text, f boolean)"]);
    let sql = format!("SELECT * FROM t WHERE {condition}");
    let arena = Arena::new();
    let statements = parse(&sql, &arena).unwrap();
    let bound = bind(&statements[0].statement, &catalog, &BindOptions::new(&sql)).unwrap();
    let BoundStatement::Query { plan, parameters, .. } = bound else { panic!("{bound:?}") };
    let mut plan = rewrite(plan, &parameters).unwrap().plan;
    let mut found = Vec::new();
    loop {
        plan = match plan {
            LogicalPlan::Filter { input, predicate } => {
                split_conjunction(predicate, &mut found);
                *input
            }
            LogicalPlan::Project { input, .. } => *input,
            LogicalPlan::Scan { columns, .. } => {
                assert!(
                    columns.iter().enumerate().all(|(index, column)| column.id == ColumnId(index as u32))
                );
                return found;
            }
            LogicalPlan::Values { .. } => {
                let value = Datum::Boolean(false);
                let data_type = crate::sql::types::data_type::DataType::Boolean;
                return vec![Expression::Constant { value, data_type }];
            }
            other => panic!("{other:?}"),
        };
    }
}

fn check(conditions: &str, predicate: &str, expected: bool) {
    let predicate_terms = terms(predicate);
    let conditions_terms = terms(conditions);
    let found = predicate_terms.iter().all(|term| implies(&conditions_terms, term));
    assert_eq!(found, expected, "{conditions} implies {predicate}");
}

#[test]
fn what_is_written_alike_or_narrower_is_implied() {
    for (conditions, predicate) in [
        ("a > 3", "a > 3"),
        ("a > 3 AND b = 1", "a > 3"),
        ("a > 4", "a > 3"),
        ("4 < a", "a > 3"),
        ("a = 4", "a > 3"),
        ("a >= 4", "a > 3 OR a IS NULL"),
        ("a = 4", "a <> 3"),
        ("a < 3", "a <> 3"),
        ("b > 4", "b > 3::int"),
        ("a > 3::bigint", "a > 2"),
        ("a IN (1, 2)", "a IN (1, 2, 3)"),
        ("a IN (5, 6)", "a > 4"),
        ("a = 5 OR a = 7", "a > 4"),
        ("a = 2", "a IN (1, 2, 3)"),
        ("a = 5", "a IS NOT NULL"),
        ("a + 1 < 5", "a IS NOT NULL"),
        ("a < b", "a IS NOT NULL AND b IS NOT NULL"),
        ("lower(s) = 'x'", "s IS NOT NULL"),
        ("s LIKE 'x%'", "s IS NOT NULL"),
        ("lower(s) = 'x'", "lower(s) IS NOT NULL"),
        ("f", "f IS TRUE"),
        ("f", "f IS NOT FALSE"),
        ("f", "f IS NOT NULL"),
        ("NOT f", "f IS NOT NULL"),
        ("NOT f", "f IS FALSE"),
        ("f IS TRUE", "f"),
        ("f IS FALSE", "NOT f"),
        ("s = 'b'", "s > 'a'"),
        ("(a = 1 AND b = 2) OR (a = 3 AND b = 4)", "a > 0 AND b > 1"),
        ("NOT (a > 3)", "a <= 3"),
        ("a BETWEEN 4 AND 5", "a > 3"),
    ] {
        check(conditions, predicate, true);
    }
}

#[test]
fn what_may_be_false_or_unknown_is_not_implied() {
    for (conditions, predicate) in [
        ("a > 3", "a > 4"),
        ("a >= 3", "a > 3"),
        ("a > 3", "b > 3"),
        ("a IS NULL", "a IS NOT NULL"),
        ("NOT (a IS NOT NULL)", "a IS NOT NULL"),
        ("coalesce(a, 1) = 1", "a IS NOT NULL"),
        ("f IS NOT TRUE", "f IS NOT NULL"),
        ("f IS NOT TRUE", "NOT f"),
        ("f IS NOT FALSE", "f"),
        ("a <> 3", "a > 3"),
        ("a IN (1, 2, 9)", "a < 5"),
        ("a = 1 OR b = 2", "a = 1"),
        ("a IS DISTINCT FROM 3", "a <> 3"),
        ("s = 'b'", "lower(s) = 'b'"),
        ("a > 3 OR a IS NULL", "a IS NOT NULL"),
    ] {
        check(conditions, predicate, false);
    }
}

fn atom(random: &mut Random) -> String {
    let column = ["a", "b", "a + b"][random.below(3) as usize];
    let number = random.below(4);
    let other = random.below(4);
    match random.below(12) {
        0..=3 => {
            let comparison = ["=", "<", "<=", ">", ">=", "<>"][random.below(6) as usize];
            let cast = ["", "::bigint", "::smallint"][random.below(3) as usize];
            format!("{column} {comparison} {number}{cast}")
        }
        4 => format!("{column} IN ({number}, {other})"),
        5 => format!("{column} IS NOT NULL"),
        6 => format!("{column} IS NULL"),
        7 => ["f", "NOT f", "f IS TRUE", "f IS NOT TRUE", "f IS FALSE", "f IS NOT FALSE"]
            [random.below(6) as usize]
            .to_owned(),
        8 => format!("NOT ({column} > {number})"),
        9 => format!("{column} NOT IN ({number}, {other})"),
        10 => format!("coalesce({column}, 0) = {number}"),
        _ => format!(
            "s {} '{}'",
            ["=", "<", ">="][random.below(3) as usize],
            ["x", "y"][random.below(2) as usize]
        ),
    }
}

fn condition(random: &mut Random, depth: u64) -> String {
    match if depth == 0 { 0 } else { random.below(5) } {
        0 | 1 => atom(random),
        2 => format!("({} AND {})", condition(random, depth / 2), condition(random, depth / 2)),
        3 => format!("({} OR {})", condition(random, depth / 2), condition(random, depth / 2)),
        _ => atom(random),
    }
}

/// Every row over a few values of each column.
fn world() -> Vec<Vec<Datum>> {
    let mut rows = Vec::new();
    let numbers = || [None, Some(-1), Some(0), Some(1), Some(2), Some(3), Some(4)].into_iter();
    for a in numbers() {
        for b in numbers() {
            for s in [None, Some("x"), Some("y")] {
                for f in [None, Some(false), Some(true)] {
                    rows.push(vec![
                        a.map_or(Datum::Null, Datum::Integer),
                        b.map_or(Datum::Null, |b| Datum::BigInt(i64::from(b))),
                        s.map_or(Datum::Null, Datum::text),
                        f.map_or(Datum::Null, Datum::Boolean),
                    ]);
                }
            }
        }
    }
    rows
}

#[test]
fn nothing_is_taken_as_implied_that_some_row_denies() {
    let world = world();
    let layout: Vec<ColumnId> = (0..4).map(ColumnId).collect();
    let context = EvaluationContext::new(&[], planning_environment());
    let holds = |terms: &[Expression], row: &Vec<Datum>| {
        terms.iter().all(|term| row::is_true(term, row, &context).unwrap())
    };
    let inputs = |mut terms: Vec<Expression>| {
        terms.iter_mut().try_for_each(|term| to_inputs(term, &layout)).unwrap();
        terms
    };
    let mut random = Random::new(20_261_121);
    let (mut implied, mut true_ones) = (0, 0);
    for round in 0..1_500 {
        let conditions = [condition(&mut random, 2), condition(&mut random, 2)].join(" AND ");
        let predicate = condition(&mut random, 2);
        let (of_conditions, of_predicate) = (terms(&conditions), terms(&predicate));
        let found = of_predicate.iter().all(|term| implies(&of_conditions, term));
        let (left, right) = (inputs(of_conditions), inputs(of_predicate));
        let denied = world.iter().find(|row| holds(&left, row) && !holds(&right, row));
        implied += usize::from(found);
        true_ones += usize::from(denied.is_none());
        if let (true, Some(row)) = (found, denied) {
            panic!("round {round}: {conditions} does not imply {predicate}: {row:?}");
        }
    }
    println!("{implied} implications found of {true_ones} that hold in a small world");
    assert!(implied > 40, "{implied} of {true_ones}");
}
