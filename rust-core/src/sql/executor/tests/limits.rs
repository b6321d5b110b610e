//! Operators under a small account, and under a cancel.

use super::*;
use crate::error::SqlState;
use crate::sql::plan::expression::SortKey;
use crate::sql::plan::logical::{CommonTableId, SetOperationKind};
use crate::sql::plan::physical::{HashKey, KeyNulls, PhysicalAggregate, PhysicalJoinKind};

fn rows() -> Vec<Row> {
    (0..6000).map(|n| vec![Datum::Integer(n), Datum::text(&format!("a text that is long: {n}"))]).collect()
}

const TYPES: [DataType; 2] = [DataType::Integer, DataType::Text];

/// Every operator that grows with its input, over inputs of 6,000 rows.
fn growing() -> Vec<(&'static str, Operator)> {
    let input = || Box::new(values(&rows(), &TYPES, true));
    let keys = || vec![HashKey { left: integer(0), right: integer(0), nulls: KeyNulls::NeverMatch }];
    let sort_keys = || vec![SortKey { expression: integer(0), descending: true, nulls_first: false }];
    let word = || super::input(1, DataType::Text);
    let kind = PhysicalJoinKind::Full;
    let count = Registry::get()
        .aggregates("count")
        .iter()
        .copied()
        .find(|function| function.arguments == [DataType::Text])
        .expect("the aggregate exists");
    let counts = vec![PhysicalAggregate {
        function: count,
        arguments: vec![word()],
        distinct: true,
        filter: None,
        order: Vec::new(),
    }];
    vec![
        (
            "hash join",
            Operator::HashJoin { kind, left: input(), right: input(), keys: keys(), residual: None },
        ),
        (
            "nested loop",
            Operator::NestedLoopJoin {
                kind: PhysicalJoinKind::Left,
                left: input(),
                right: input(),
                condition: Some(constant(Datum::Boolean(false))),
            },
        ),
        (
            "apply",
            Operator::Apply {
                kind: PhysicalJoinKind::Inner,
                left: input(),
                right: input(),
                arguments: vec![(0, integer(0))],
                condition: Some(constant(Datum::Boolean(false))),
            },
        ),
        ("sort", Operator::Sort { input: input(), keys: sort_keys() }),
        (
            "top-n",
            Operator::TopN {
                input: input(),
                keys: sort_keys(),
                limit: constant(Datum::BigInt(5000)),
                offset: None,
            },
        ),
        ("groups", Operator::HashAggregate { input: input(), groups: vec![word()], aggregates: vec![] }),
        ("distinct", Operator::HashAggregate { input: input(), groups: vec![], aggregates: counts }),
        ("distinct on", Operator::DistinctOn { input: input(), keys: vec![word()] }),
        (
            "set operation",
            Operator::SetOperation {
                kind: SetOperationKind::Intersect,
                all: false,
                left: input(),
                right: input(),
            },
        ),
        (
            "common table",
            Operator::With {
                id: CommonTableId(1),
                name: "c".into(),
                definition: input(),
                input: boxed(Operator::CommonScan {
                    id: CommonTableId(1),
                    name: "c".into(),
                    columns: vec![0, 1],
                    types: TYPES.to_vec(),
                }),
            },
        ),
        (
            "recursion",
            Operator::RecursiveUnion {
                id: CommonTableId(1),
                all: false,
                initial: input(),
                recursive: boxed(Operator::CommonScan {
                    id: CommonTableId(1),
                    name: "c".into(),
                    columns: vec![0, 1],
                    types: TYPES.to_vec(),
                }),
            },
        ),
        (
            "merge join",
            Operator::MergeJoin {
                kind: PhysicalJoinKind::Left,
                left: input(),
                right: boxed(Operator::Project {
                    input: input(),
                    expressions: vec![constant(Datum::Integer(1)), word()],
                }),
                keys: keys(),
                residual: None,
            },
        ),
    ]
}

#[test]
fn what_does_not_fit_the_account_is_53200_and_gives_everything_back() {
    for (name, operator) in growing() {
        let fixture = Fixture::with_memory(40_000);
        let error = fixture
            .run_with(node(operator), &[], &[DataType::Integer])
            .map(|rows| rows.len())
            .expect_err(name);
        assert_eq!(error.state(), SqlState::OUT_OF_MEMORY, "{name}");
    }
}

#[test]
fn every_operator_that_grows_fits_a_large_account() {
    let fixture = Fixture::new();
    for (name, operator) in growing() {
        if name != "apply" && name != "nested loop" {
            assert!(
                !fixture.run_with(node(operator), &[], &[DataType::Integer]).unwrap().is_empty(),
                "{name}"
            );
        }
    }
}

#[test]
fn a_cancelled_statement_ends_with_57014_in_every_operator() {
    for (name, operator) in growing() {
        let fixture = Fixture::new();
        fixture.cancel.start_statement();
        fixture.cancel.cancel(0);
        let error = fixture
            .run_with(node(operator), &[], &[DataType::Integer])
            .map(|rows| rows.len())
            .expect_err(name);
        assert_eq!(error.state(), SqlState::QUERY_CANCELED, "{name}");
    }
}

#[test]
fn a_join_of_many_pairs_can_be_cancelled_between_its_batches() {
    let fixture = Fixture::new();
    let join = node(Operator::NestedLoopJoin {
        kind: PhysicalJoinKind::Inner,
        left: Box::new(values(&rows(), &TYPES, true)),
        right: Box::new(values(&rows(), &TYPES, true)),
        condition: None,
    });
    fixture.cancel.start_statement();
    fixture.with_context(&[], |context| {
        let mut execution = start(plan(join, 0, &[]), context).unwrap();
        assert!(execution.next(context).unwrap().is_some());
        fixture.cancel.cancel(0);
        assert_eq!(execution.next(context).unwrap_err().state(), SqlState::QUERY_CANCELED);
        assert!(execution.next(context).unwrap().is_none(), "an execution that failed is over");
    });
    assert_eq!(fixture.memory.used(), 0);
}
