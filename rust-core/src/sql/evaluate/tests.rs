//! Goal: columns and rows give the same values; narrowing keeps errors from rows that do not count; folding keeps
//! errors for run time. Method: hand-made expressions over small batches.

use crate::batch::batch::{Batch, Selection};
use crate::batch::builder::ColumnBuilder;
use crate::batch::column::Column;
use crate::common::random::Random;
use crate::error::SqlState;
use crate::sql::evaluate::columns::{evaluate, filter};
use crate::sql::evaluate::context::EvaluationContext;
use crate::sql::evaluate::fold::fold;
use crate::sql::evaluate::row::{self, NoRow, RowSource};
use crate::sql::functions::registry::Registry;
use crate::sql::functions::tests::{TestSession, random_column};
use crate::sql::plan::expression::Expression;
use crate::sql::types::compare::equal;
use crate::sql::types::data_type::{DataType, SqlType};
use crate::sql::types::datum::{Datum, DatumRef};
use std::sync::Arc;

struct BatchRow<'a>(&'a Batch, usize);

impl RowSource for BatchRow<'_> {
    fn datum(&self, index: usize) -> DatumRef<'_> {
        self.0.columns[index].datum(self.1)
    }
}

fn column(data_type: DataType, values: &[Datum]) -> Arc<Column> {
    let mut builder = ColumnBuilder::new(SqlType::plain(data_type), values.len());
    values.iter().for_each(|value| builder.push_datum(value.as_ref()));
    Arc::new(builder.finish())
}

fn integers(values: &[Option<i32>]) -> Arc<Column> {
    let values: Vec<Datum> = values.iter().map(|v| v.map_or(Datum::Null, Datum::Integer)).collect();
    column(DataType::Integer, &values)
}

fn input(index: usize, data_type: DataType) -> Expression {
    Expression::Input { index, data_type }
}

fn integer(value: i32) -> Expression {
    Expression::Constant { value: Datum::Integer(value), data_type: DataType::Integer }
}

fn truth(value: Option<bool>) -> Expression {
    let value = value.map_or(Datum::Null, Datum::Boolean);
    Expression::Constant { value, data_type: DataType::Boolean }
}

fn call(name: &str, arguments: Vec<Expression>) -> Expression {
    let types: Vec<DataType> = arguments.iter().map(row::result_type).collect();
    let function = Registry::get().scalar_exact(name, &types).expect("the function exists");
    Expression::Call { function, arguments, position: 7 }
}

fn context() -> EvaluationContext<'static> {
    EvaluationContext::new(&[], &TestSession)
}

/// The batch whose every row is `row` of `batch`, in constant columns: what a join's pairs of one row are.
fn repeated(batch: &Batch, row: usize) -> Batch {
    let columns = batch.columns.iter().map(|column| {
        Arc::new(Column::constant(column.data_type, column.datum(row), 3)) //
    });
    Batch { columns: columns.collect(), rows: 3, selection: None }
}

/// Evaluates over columns (all rows, every second one, and constant columns) and row by row; all must agree.
fn check(expression: &Expression, batch: &Batch, expected: &[Datum]) {
    let data_type = row::result_type(expression);
    let every_second = Selection((0..batch.rows as u16).step_by(2).collect());
    for selection in [None, Some(every_second)] {
        let batch = Batch { selection, ..batch.clone() };
        let column = evaluate(expression, &batch, &context()).expect("no error over columns");
        for row in batch.row_numbers() {
            let single =
                row::evaluate(expression, &BatchRow(&batch, row), &context()).expect("no error over a row");
            assert!(
                equal(column.datum(row), expected[row].as_ref(), data_type),
                "row {row}: {:?}",
                column.datum(row)
            );
            assert!(equal(single.as_ref(), expected[row].as_ref(), data_type), "row {row}: {single:?}");
        }
        if data_type == DataType::Boolean {
            let mut filtered = batch.clone();
            filter(expression, &mut filtered, &context()).expect("no error in the filter");
            let wanted: Vec<usize> =
                batch.row_numbers().filter(|row| matches!(expected[*row], Datum::Boolean(true))).collect();
            assert_eq!(filtered.row_numbers().collect::<Vec<_>>(), wanted);
        }
    }
    for (row, expected) in expected.iter().enumerate() {
        let mut batch = repeated(batch, row);
        let column = evaluate(expression, &batch, &context()).expect("no error over constant columns");
        assert!(
            equal(column.datum(2), expected.as_ref(), data_type),
            "constant {row}: {:?}",
            column.datum(2)
        );
        if data_type == DataType::Boolean {
            filter(expression, &mut batch, &context()).expect("no error in the filter");
            let kept = if matches!(expected, Datum::Boolean(true)) { 3 } else { 0 };
            assert_eq!(batch.selected_rows(), kept, "constant row {row}");
        }
    }
}

#[test]
fn and_or_and_not_follow_the_three_valued_tables() {
    let values = [Some(true), Some(false), None];
    for left in values {
        for right in values {
            let and = match (left, right) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            };
            let or = match (left, right) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            };
            let datum = |value: Option<bool>| value.map_or(Datum::Null, Datum::Boolean);
            let batch = Batch::new(
                vec![
                    column(DataType::Boolean, &vec![datum(left); 3]),
                    column(DataType::Boolean, &vec![datum(right); 3]),
                ],
                3,
            );
            let operands = || vec![input(0, DataType::Boolean), input(1, DataType::Boolean)];
            check(&Expression::And(operands()), &batch, &vec![datum(and); 3]);
            check(&Expression::Or(operands()), &batch, &vec![datum(or); 3]);
            check(
                &Expression::Not(Box::new(operands().remove(0))),
                &batch,
                &vec![datum(left.map(|v| !v)); 3],
            );
            for (operator, expected) in [(Expression::And as fn(_) -> _, and), (Expression::Or, or)] {
                let folded =
                    row::evaluate(&fold(operator(vec![truth(left), truth(right)])), &NoRow, &context());
                assert!(equal(
                    folded.expect("no error").as_ref(),
                    datum(expected).as_ref(),
                    DataType::Boolean
                ));
            }
        }
    }
}

#[test]
fn case_and_coalesce_and_and_guard_division_by_zero() {
    let batch = Batch::new(vec![integers(&[Some(2), Some(0), None, Some(5)])], 4);
    let divisor = || input(0, DataType::Integer);
    let quotient = || call("/", vec![integer(10), divisor()]);
    let not_zero = || call("<>", vec![divisor(), integer(0)]);
    let case = Expression::Case {
        branches: vec![(not_zero(), quotient())],
        otherwise: Some(Box::new(integer(-1))),
        data_type: DataType::Integer,
    };
    let expected = [5, -1, -1, 2].map(Datum::Integer);
    check(&case, &batch, &expected);
    let and = Expression::And(vec![not_zero(), call(">", vec![quotient(), integer(3)])]);
    check(&and, &batch, &[Datum::Boolean(true), Datum::Boolean(false), Datum::Null, Datum::Boolean(false)]);
    let guarded = Batch::new(vec![integers(&[Some(1), None])], 2);
    let coalesce = Expression::Coalesce {
        arguments: vec![divisor(), integer(9), call("/", vec![integer(1), integer(0)])],
        data_type: DataType::Integer,
    };
    check(&coalesce, &guarded, &[Datum::Integer(1), Datum::Integer(9)]);
    let error = evaluate(&quotient(), &batch, &context()).expect_err("row 1 divides by zero");
    assert_eq!((error.state(), error.position()), (SqlState::DIVISION_BY_ZERO, Some(7)));
    let selected = Batch { selection: Some(Selection(vec![0, 3])), ..batch };
    evaluate(&quotient(), &selected, &context()).expect("row 1 is not selected");
}

#[test]
fn tests_for_null_sets_and_distinctness_agree_in_both_forms() {
    let batch = Batch::new(vec![integers(&[Some(1), None, Some(3), Some(4)])], 4);
    let column = || Box::new(input(0, DataType::Integer));
    let booleans = |values: [Option<bool>; 4]| values.map(|v| v.map_or(Datum::Null, Datum::Boolean));
    check(
        &Expression::IsNull { input: column(), negated: false },
        &batch,
        &booleans([Some(false), Some(true), Some(false), Some(false)]),
    );
    let values = Arc::new(vec![Datum::Integer(1), Datum::Integer(4)]);
    for (has_null, negated, expected) in [
        (false, false, [Some(true), None, Some(false), Some(true)]),
        (true, false, [Some(true), None, None, Some(true)]),
        (false, true, [Some(false), None, Some(true), Some(false)]),
    ] {
        let set = Expression::InSet { input: column(), values: Arc::clone(&values), has_null, negated };
        check(&set, &batch, &booleans(expected));
    }
    let distinct = Expression::IsDistinct { left: column(), right: Box::new(integer(3)), negated: false };
    check(&distinct, &batch, &booleans([Some(true), Some(true), Some(false), Some(true)]));
    let equal = Box::new(call("=", vec![*column(), integer(3)]));
    let null_if = Expression::NullIf { left: column(), right: Box::new(integer(3)), equal };
    check(&null_if, &batch, &[Datum::Integer(1), Datum::Null, Datum::Null, Datum::Integer(4)]);
}

#[test]
fn folding_computes_constants_and_leaves_errors_for_run_time() {
    let sum = fold(call("+", vec![integer(2), call("*", vec![integer(3), integer(4)])]));
    assert!(matches!(sum, Expression::Constant { value: Datum::Integer(14), .. }), "{sum:?}");
    let wrong = fold(call("/", vec![integer(1), integer(0)]));
    assert!(matches!(wrong, Expression::Call { .. }), "{wrong:?}");
    let now = fold(call("now", vec![]));
    assert!(matches!(now, Expression::Call { .. }), "{now:?}");
    let null = fold(call(
        "+",
        vec![
            input(0, DataType::Integer),
            Expression::Constant { value: Datum::Null, data_type: DataType::Integer },
        ],
    ));
    assert!(matches!(null, Expression::Constant { value: Datum::Null, .. }), "{null:?}");
    let nested = fold(Expression::And(vec![
        input(0, DataType::Boolean),
        Expression::And(vec![truth(Some(true)), input(1, DataType::Boolean), input(2, DataType::Boolean)]),
    ]));
    assert!(matches!(&nested, Expression::And(operands) if operands.len() == 3), "{nested:?}");
    let decided = fold(Expression::Or(vec![input(0, DataType::Boolean), truth(Some(true))]));
    assert!(matches!(decided, Expression::Constant { value: Datum::Boolean(true), .. }), "{decided:?}");
}

#[test]
fn the_deepest_expression_runs_on_a_small_stack() {
    let run = || {
        let mut expression = input(0, DataType::Integer);
        for _ in 0..crate::common::limits::NESTING_DEPTH_MAX {
            expression = call("+", vec![expression, integer(1)]);
        }
        let batch = Batch::new(vec![integers(&[Some(1)])], 1);
        let value = row::evaluate(&expression, &BatchRow(&batch, 0), &context()).expect("no overflow");
        assert!(matches!(value, Datum::Integer(201)));
        let column = evaluate(&expression, &batch, &context()).expect("no overflow");
        assert!(matches!(column.datum(0), DatumRef::Integer(201)));
        fold(expression);
    };
    let thread = std::thread::Builder::new().stack_size(256 << 10).spawn(run).expect("a thread starts");
    thread.join().expect("the stack is large enough");
}

#[test]
fn a_filter_keeps_what_a_comparison_is_true_for_whatever_the_form_of_its_columns() {
    const ROWS: usize = 12;
    let mut kept = 0;
    for (number, function) in Registry::get().scalar_functions().iter().enumerate() {
        if !["=", "<>", "<", "<=", ">", ">="].contains(&function.name) {
            continue;
        }
        let arguments = || {
            let inputs = function.arguments.iter().enumerate();
            inputs.map(|(index, data_type)| input(index, *data_type)).collect()
        };
        let expression = Expression::Call { function, arguments: arguments(), position: 0 };
        for round in 0..40 {
            let seed = (number as u64) << 8 | round;
            let mut random = Random::new(seed);
            let columns = function.arguments.iter();
            let columns = columns.map(|data_type| Arc::new(random_column(&mut random, *data_type, ROWS)));
            let mut batch = Batch { columns: columns.collect(), rows: ROWS, selection: None };
            let is_true = |row: &usize| {
                let value = row::evaluate(&expression, &BatchRow(&batch, *row), &context());
                matches!(value, Ok(Datum::Boolean(true)))
            };
            let expected: Vec<usize> = (0..ROWS).filter(is_true).collect();
            filter(&expression, &mut batch, &context()).expect("comparisons do not fail");
            assert_eq!(batch.row_numbers().collect::<Vec<_>>(), expected, "{function:?} seed {seed}");
            kept += expected.len();
        }
    }
    assert!(kept > 5_000, "{kept} rows were kept in all");
}

#[test]
fn blanks_at_the_end_of_char_do_not_count_in_whatever_form_columns_are() {
    let text = |value: &str| Datum::text(value);
    let batch = Batch::new(
        vec![
            column(DataType::Char, &[text("ab   "), text("ab"), text("abc"), Datum::Null]),
            column(DataType::Char, &[text("ab"), text("ab   "), text("ab "), text("ab")]),
        ],
        4,
    );
    for (name, expected) in
        [("=", [true, true, false]), ("<>", [false, false, true]), (">", [false, false, true])]
    {
        let mut expected = expected.map(Datum::Boolean).to_vec();
        expected.push(Datum::Null);
        let sides = vec![input(0, DataType::Char), input(1, DataType::Char)];
        check(&call(name, sides), &batch, &expected);
    }
}
