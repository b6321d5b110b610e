//! Queries that run once, common tables, recursion, functions that give rows, and what is seen of a run.

use super::*;
use crate::error::SqlState;
use crate::sql::executor::start_instrumented;
use crate::sql::plan::logical::{CommonTableId, InitialForm};
use crate::sql::plan::physical::{HashKey, InitialPlan, KeyNulls, PhysicalJoinKind};

fn integers(numbers: impl IntoIterator<Item = i32>) -> Vec<Row> {
    numbers.into_iter().map(|number| vec![Datum::Integer(number)]).collect()
}

fn series(from: i32, to: i32) -> Operator {
    let function = Registry::get()
        .table_functions_named("generate_series")
        .iter()
        .copied()
        .find(|function| function.arguments == [DataType::Integer, DataType::Integer])
        .expect("the function exists");
    Operator::TableFunction {
        function,
        arguments: vec![constant(Datum::Integer(from)), constant(Datum::Integer(to))],
        ordinality: false,
    }
}

fn common(id: u32, width: usize) -> PhysicalNode {
    node(Operator::CommonScan {
        id: CommonTableId(id),
        name: "c".into(),
        columns: (0..width).collect(),
        types: vec![DataType::Integer; width],
    })
}

fn parameter(index: usize) -> Expression {
    Expression::Parameter { index, data_type: DataType::Integer }
}

#[test]
fn initial_plans_are_parameters_of_what_comes_later() {
    let fixture = Fixture::new();
    let run = |rows: Vec<Row>| {
        let first = InitialPlan {
            parameter: 1,
            form: InitialForm::Scalar,
            plan: values(&rows, &[DataType::Integer], true),
            position: 3,
        };
        // The second uses the first and the user's parameter.
        let second = InitialPlan {
            parameter: 2,
            form: InitialForm::Scalar,
            plan: node(Operator::Values {
                rows: vec![vec![call("+", vec![parameter(0), parameter(1)])]],
                types: vec![DataType::Integer],
            }),
            position: 4,
        };
        let exists = InitialPlan {
            parameter: 3,
            form: InitialForm::Exists,
            plan: values(&rows, &[DataType::Integer], true),
            position: 5,
        };
        let input = node(Operator::Values {
            rows: vec![vec![
                parameter(1),
                parameter(2),
                Expression::Parameter { index: 3, data_type: DataType::Boolean },
            ]],
            types: vec![DataType::Integer, DataType::Integer, DataType::Boolean],
        });
        let plan = Operator::InitialPlans { plans: vec![first, second, exists], input: Box::new(input) };
        let run_time = [DataType::Integer, DataType::Integer, DataType::Boolean];
        fixture.run_with(node(plan), &[Datum::Integer(100)], &run_time)
    };
    let expected = [Datum::Integer(5), Datum::Integer(105), Datum::Boolean(true)];
    assert_eq!(texts(&run(integers([5])).unwrap()), [text(&expected)]);
    let empty = [Datum::Null, Datum::Null, Datum::Boolean(false)];
    assert_eq!(texts(&run(Vec::new()).unwrap()), [text(&empty)]);
    let error = run(integers([5, 6])).unwrap_err();
    assert_eq!(error.state(), SqlState::CARDINALITY_VIOLATION);
}

#[test]
fn a_common_table_is_computed_once_and_read_by_all() {
    let fixture = Fixture::new();
    let join = Operator::HashJoin {
        kind: PhysicalJoinKind::Inner,
        left: Box::new(common(1, 1)),
        right: Box::new(common(1, 1)),
        keys: vec![HashKey { left: integer(0), right: integer(0), nulls: KeyNulls::NeverMatch }],
        residual: None,
    };
    let plan = plan(
        node(Operator::With {
            id: CommonTableId(1),
            name: "c".into(),
            definition: boxed(series(1, 5000)),
            input: boxed(join),
        }),
        0,
        &[],
    );
    let statistics = fixture.with_context(&[], |context| {
        let mut execution = start_instrumented(plan, context).unwrap();
        let rows = drain(&mut execution, context).unwrap();
        assert_eq!(rows.len(), 5000);
        assert!(rows.iter().all(|row| text(&row[..1]) == text(&row[1..])));
        execution.statistics().to_vec()
    });
    assert_eq!(fixture.memory.used(), 0);
    // With, definition, join, two scans: in the order of a walk from the top.
    let rows: Vec<u64> = statistics.iter().map(|node| node.rows).collect();
    assert_eq!(rows, [5000, 5000, 5000, 5000, 5000]);
    assert!(statistics.iter().all(|node| node.loops == 1));
    assert!(statistics[2].memory_bytes > 5000 * 4, "the join's table is counted");
    assert!(statistics[0].nanoseconds >= statistics[2].nanoseconds, "times hold those of the inputs");
    assert!(statistics[2].nanoseconds >= statistics[3].nanoseconds + statistics[4].nanoseconds);
}

#[test]
fn recursion_ends_with_the_last_new_row_or_with_the_reader() {
    let fixture = Fixture::new();
    let step = |modulus: Option<i32>| {
        let next = call("+", vec![integer(0), constant(Datum::Integer(1))]);
        let next = match modulus {
            Some(modulus) => call("%", vec![next, constant(Datum::Integer(modulus))]),
            None => next,
        };
        boxed(Operator::Project { input: Box::new(common(1, 1)), expressions: vec![next] })
    };
    // UNION: 0, 1, … 9, then nothing new.
    let cycle = Operator::RecursiveUnion {
        id: CommonTableId(1),
        all: false,
        initial: Box::new(values(&integers([0, 0, 3]), &[DataType::Integer], true)),
        recursive: step(Some(10)),
    };
    let rows = fixture.run(node(cycle)).unwrap();
    assert_eq!(sorted(&rows), sorted(&integers(0..10)));
    // UNION ALL without an end, read as a common table under LIMIT.
    let endless = Operator::RecursiveUnion {
        id: CommonTableId(1),
        all: true,
        initial: Box::new(values(&integers([1]), &[DataType::Integer], false)),
        recursive: step(None),
    };
    let limited = Operator::With {
        id: CommonTableId(2),
        name: "c".into(),
        definition: boxed(endless),
        input: boxed(Operator::Limit {
            ties: Vec::new(),
            input: Box::new(common(2, 1)),
            limit: Some(constant(Datum::BigInt(1000))),
            offset: None,
        }),
    };
    assert_eq!(texts(&fixture.run(node(limited)).unwrap()), texts(&integers(1..=1000)));
}

#[test]
fn recursion_inside_an_apply_starts_anew_for_each_row() {
    // For each n: the numbers from n up to 5, by recursion.
    let fixture = Fixture::new();
    let step = Operator::Project {
        input: boxed(Operator::Filter {
            input: Box::new(common(1, 1)),
            predicate: call("<", vec![integer(0), constant(Datum::Integer(5))]),
        }),
        expressions: vec![call("+", vec![integer(0), constant(Datum::Integer(1))])],
    };
    let recursion = Operator::RecursiveUnion {
        id: CommonTableId(1),
        all: false,
        initial: boxed(Operator::Values { rows: vec![vec![parameter(0)]], types: vec![DataType::Integer] }),
        recursive: boxed(step),
    };
    let apply = Operator::Apply {
        kind: PhysicalJoinKind::Left,
        left: Box::new(values(&integers([4, 2, 4]), &[DataType::Integer], true)),
        right: boxed(recursion),
        arguments: vec![(0, integer(0))],
        condition: None,
    };
    let rows = fixture.run_with(node(apply), &[], &[DataType::Integer]).unwrap();
    let expected = [(4, 4), (4, 5), (2, 2), (2, 3), (2, 4), (2, 5), (4, 4), (4, 5)];
    let expected: Vec<Row> =
        expected.iter().map(|(n, m)| vec![Datum::Integer(*n), Datum::Integer(*m)]).collect();
    assert_eq!(texts(&rows), texts(&expected));
}

#[test]
fn a_join_inside_an_apply_is_built_again_where_it_depends_on_the_row() {
    let fixture = Fixture::new();
    for depends in [false, true] {
        let bound = if depends { parameter(0) } else { constant(Datum::Integer(2)) };
        let build = Operator::Filter {
            input: Box::new(values(&integers(1..=4), &[DataType::Integer], true)),
            predicate: call("<=", vec![integer(0), bound]),
        };
        let join = Operator::HashJoin {
            kind: PhysicalJoinKind::Full,
            left: boxed(Operator::Values { rows: vec![vec![parameter(0)]], types: vec![DataType::Integer] }),
            right: boxed(build),
            keys: vec![HashKey { left: integer(0), right: integer(0), nulls: KeyNulls::NeverMatch }],
            residual: None,
        };
        let apply = Operator::Apply {
            kind: PhysicalJoinKind::Inner,
            left: Box::new(values(&integers([3, 1]), &[DataType::Integer], true)),
            right: boxed(join),
            arguments: vec![(0, integer(0))],
            condition: None,
        };
        let rows = fixture.run_with(node(apply), &[], &[DataType::Integer]).unwrap();
        let pair = |n: Option<i32>| n.map_or(Datum::Null, Datum::Integer);
        let expected: &[(i32, Option<i32>, Option<i32>)] = if depends {
            &[(3, Some(3), Some(3)), (3, None, Some(1)), (3, None, Some(2)), (1, Some(1), Some(1))]
        } else {
            &[
                (3, Some(3), None),
                (3, None, Some(1)),
                (3, None, Some(2)),
                (1, Some(1), Some(1)),
                (1, None, Some(2)),
            ]
        };
        let expected: Vec<Row> =
            expected.iter().map(|(a, b, c)| vec![Datum::Integer(*a), pair(*b), pair(*c)]).collect();
        assert_eq!(texts(&rows), texts(&expected), "depends: {depends}");
    }
}

#[test]
fn an_append_of_hundreds_of_inputs_needs_no_stack() {
    let fixture = Fixture::new();
    let inputs = (0..500).map(|n| values(&integers([n]), &[DataType::Integer], false)).collect();
    assert_eq!(texts(&fixture.run(node(Operator::Append { inputs })).unwrap()), texts(&integers(0..500)));
}

#[test]
fn rows_of_a_function_are_numbered_over_batches() {
    let fixture = Fixture::new();
    let Operator::TableFunction { function, arguments, .. } = series(11, 5010) else { panic!() };
    let plan = Operator::TableFunction { function, arguments, ordinality: true };
    let rows = fixture.run(node(plan)).unwrap();
    assert_eq!(rows.len(), 5000);
    for (number, row) in rows.iter().enumerate() {
        assert!(matches!(row[..], [Datum::Integer(v), Datum::BigInt(n)]
            if v as usize == number + 11 && n as usize == number + 1));
    }
    let null = Operator::TableFunction {
        function,
        arguments: vec![
            Expression::Constant { value: Datum::Null, data_type: DataType::Integer },
            constant(Datum::Integer(1)),
        ],
        ordinality: false,
    };
    assert!(fixture.run(node(null)).unwrap().is_empty(), "strict");
}
