//! Goal: both implementations of every function agree, and agree with PostgreSQL.
//! Method: random columns with NULLs and selections for every overload of the registry; a file of calls whose
//! results PostgreSQL 15 gave.

use crate::batch::builder::ColumnBuilder;
use crate::batch::column::Column;
use crate::common::random::Random;
use crate::sql::functions::registry::{Environment, Registry, RowSet, ScalarFunction, Volatility};
use crate::sql::types::cast::CastEnvironment;
use crate::sql::types::compare::equal;
use crate::sql::types::data_type::{DataType, SqlType};
use crate::sql::types::datum::{Datum, DatumRef, Interval, Numeric};
use crate::sql::types::text_form::{datum_to_text, text_to_datum};
use std::sync::Arc;

pub(crate) struct TestSession;

static NEW_YORK: std::sync::LazyLock<jiff::tz::TimeZone> = std::sync::LazyLock::new(|| {
    crate::sql::types::zone::by_name("America/New_York").expect("the zone is in the database")
});

/// 2024-02-29 13:45:30.25 UTC.
const NOW: i64 = 1_709_214_330_250_000;

impl Environment for TestSession {
    fn statement_time(&self) -> i64 {
        NOW
    }
    fn transaction_time(&self) -> i64 {
        NOW
    }
    fn clock_time(&self) -> i64 {
        NOW
    }
    fn time_zone(&self) -> &jiff::tz::TimeZone {
        &NEW_YORK
    }
    fn random(&self) -> f64 {
        0.5
    }
    fn setting(&self, name: &str) -> Option<String> {
        (name == "timezone").then(|| "America/New_York".to_owned())
    }
    fn session_id(&self) -> u64 {
        7
    }
}

fn random_datum(random: &mut Random, data_type: DataType) -> Datum {
    let texts = [
        "",
        "a",
        "abc",
        "héllo wörld",
        "%b_",
        "day",
        "YYYY-MM-DD",
        "999.99",
        "hex",
        "2024-02-29",
        "a.c",
        "x\\",
    ];
    let small = random.below(21) as i64 - 10;
    let large = random.next_u64() as i64;
    let number = if random.below(4) == 0 { large } else { small };
    match data_type {
        DataType::Boolean => Datum::Boolean(random.below(2) == 0),
        DataType::SmallInt => Datum::SmallInt(number as i16),
        // Lengths near the limit of a value would make the test slow; the ends of the range do not.
        DataType::Integer => Datum::Integer(match random.below(8) {
            0 => i32::MAX,
            1 => i32::MIN,
            _ => small as i32,
        }),
        DataType::BigInt => Datum::BigInt(number),
        DataType::Real => Datum::Real([0.5, -1.0, 1e30, f32::NAN, small as f32][random.below(5) as usize]),
        DataType::Double => {
            Datum::Double([0.5, -1.0, 1e300, f64::NAN, f64::INFINITY, small as f64][random.below(6) as usize])
        }
        DataType::Numeric => Datum::Numeric(match random.below(8) {
            0 => Numeric::NAN,
            1 => Numeric::new(i128::from(large), 0),
            _ => Numeric::new(i128::from(small), random.below(4) as u16),
        }),
        DataType::Bytea => Datum::Bytes(Arc::from(texts[random.below(12) as usize].as_bytes())),
        DataType::Date => Datum::Date(if random.below(10) == 0 { i32::MAX } else { (large % 40_000) as i32 }),
        DataType::Timestamp => Datum::Timestamp(large % 4_000_000_000_000_000),
        DataType::TimestampTz => Datum::TimestampTz(large % 4_000_000_000_000_000),
        DataType::Interval => Datum::Interval(Interval {
            months: small as i32,
            days: small as i32 * 3,
            micros: large % 1_000_000_000_000,
        }),
        _ => Datum::text(texts[random.below(12) as usize]),
    }
}

/// Flat, constant or NULL, of values that functions find hard.
pub(crate) fn random_column(random: &mut Random, data_type: DataType, rows: usize) -> Column {
    match random.below(6) {
        0 => Column::null(data_type, rows),
        1 => Column::constant(data_type, random_datum(random, data_type).as_ref(), rows),
        kind => {
            let mut builder = ColumnBuilder::new(SqlType::plain(data_type), rows);
            for _ in 0..rows {
                if kind > 3 && random.below(4) == 0 {
                    builder.push_null();
                } else {
                    builder.push_datum(random_datum(random, data_type).as_ref());
                }
            }
            builder.finish()
        }
    }
}

fn scalar_result(
    function: &ScalarFunction,
    columns: &[Arc<Column>],
    row: usize,
) -> crate::error::Result<Datum> {
    let datums: Vec<DatumRef<'_>> = columns.iter().map(|column| column.datum(row)).collect();
    if function.strict && datums.iter().any(|datum| datum.is_null()) {
        return Ok(Datum::Null);
    }
    (function.scalar)(&datums, &TestSession)
}

#[test]
fn both_forms_of_every_function_agree_on_random_columns_nulls_and_selections() {
    const ROWS: usize = 24;
    for (number, function) in Registry::get().scalar_functions().iter().enumerate() {
        for round in 0..12u64 {
            let seed = (number as u64) << 8 | round | 1 << 40;
            let mut random = Random::new(seed);
            let mut types = function.arguments.to_vec();
            if function.variadic {
                types.extend(types.last().copied());
            }
            let columns: Vec<Arc<Column>> = types
                .iter()
                .map(|data_type| Arc::new(random_column(&mut random, *data_type, ROWS)))
                .collect();
            let chosen: Vec<u16> = (0..ROWS as u16).filter(|_| random.below(3) == 0).collect();
            let rows = if round % 2 == 0 { RowSet::All(ROWS) } else { RowSet::Some(&chosen, ROWS) };
            let numbers: Vec<usize> = match rows {
                RowSet::All(count) => (0..count).collect(),
                RowSet::Some(chosen, _) => chosen.iter().map(|row| usize::from(*row)).collect(),
            };
            let expected: crate::error::Result<Vec<Datum>> =
                numbers.iter().map(|row| scalar_result(function, &columns, *row)).collect();
            let context = format!("{function:?} seed {seed}");
            match ((function.vector)(&columns, rows, &TestSession), expected) {
                (Ok(column), Ok(expected)) => {
                    assert_eq!(column.rows, ROWS, "{context}");
                    for (row, expected) in numbers.iter().zip(expected) {
                        let actual = column.datum(*row);
                        assert!(
                            equal(actual, expected.as_ref(), function.returns),
                            "{context} row {row}: {actual:?} and {expected:?}"
                        );
                    }
                }
                (Err(vector), Err(scalar)) => assert_eq!(vector.state(), scalar.state(), "{context}"),
                (vector, scalar) => panic!("{context}: {vector:?} and {scalar:?}"),
            }
        }
    }
}

fn type_named(name: &str) -> DataType {
    DataType::ALL
        .into_iter()
        .find(|data_type| data_type.name() == name)
        .unwrap_or_else(|| panic!("there is no type {name}"))
}

/// One line: name, then `type=value` for each argument, then the result's text or `!` and the SQLSTATE; tabs between.
fn check_example(line: &str) -> Result<(), String> {
    let fields: Vec<&str> = line.split('\t').collect();
    let (name, arguments, expected) = (fields[0], &fields[1..fields.len() - 1], fields[fields.len() - 1]);
    let environment = CastEnvironment { zone: &NEW_YORK, now: NOW, style: Default::default() };
    let (mut types, mut values) = (Vec::new(), Vec::new());
    for argument in arguments {
        let (type_name, value) = argument.split_once('=').expect("an argument has a type");
        let data_type = type_named(type_name);
        types.push(data_type);
        values
            .push(text_to_datum(value, SqlType::plain(data_type), &environment).map_err(|e| e.to_string())?);
    }
    let function = Registry::get().scalar_exact(name, &types).ok_or("there is no such function")?;
    let datums: Vec<DatumRef<'_>> = values.iter().map(Datum::as_ref).collect();
    let actual = match (function.scalar)(&datums, &TestSession) {
        Ok(Datum::Null) => "NULL".to_owned(),
        Ok(value) => {
            let mut text = String::new();
            datum_to_text(value.as_ref(), function.returns, &environment, &mut text);
            text
        }
        Err(error) => format!("!{}", error.state()),
    };
    let actual = match (function.returns, actual.as_str()) {
        (DataType::Boolean, "t") => "true".to_owned(),
        (DataType::Boolean, "f") => "false".to_owned(),
        _ => actual,
    };
    // Libraries differ in the last bit of roots and sines.
    let near = match (actual.parse::<f64>(), expected.parse::<f64>()) {
        (Ok(a), Ok(b)) if function.returns == DataType::Double => (a - b).abs() <= b.abs() * 1e-15,
        _ => false,
    };
    if near || actual == expected { Ok(()) } else { Err(format!("is {actual:?}")) }
}

#[test]
fn functions_give_what_postgresql_15_gave() {
    let wrong: Vec<String> = include_str!("examples.tsv")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .filter_map(|line| check_example(line).err().map(|error| format!("{line}: {error}")))
        .collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn immutable_functions_do_not_ask_the_session() {
    for function in Registry::get().scalar_functions() {
        let zoned = function.arguments.contains(&DataType::TimestampTz)
            && function.arguments.contains(&DataType::Timestamp);
        assert!(
            !(zoned && function.volatility == Volatility::Immutable),
            "{function:?} compares across zones"
        );
    }
}

#[test]
fn overloads_have_distinct_signatures() {
    let mut seen = std::collections::BTreeSet::new();
    for function in Registry::get().scalar_functions() {
        assert!(seen.insert(format!("{function:?}")), "{function:?} is defined twice");
    }
    for function in Registry::get().aggregate_functions() {
        assert!(seen.insert(format!("aggregate {function:?}")), "{function:?} is defined twice");
    }
}

#[test]
fn one_group_many_groups_and_split_input_give_the_same_aggregates() {
    const ROWS: usize = 40;
    let result = |states: &mut dyn super::registry::GroupStates, group: usize| {
        states.finish(group, group + 1).map(|column| column.datum(0).to_owned())
    };
    for (number, function) in Registry::get().aggregate_functions().iter().enumerate() {
        for round in 0..8u64 {
            let seed = (number as u64) << 8 | round | 1 << 41;
            let mut random = Random::new(seed);
            let columns: Vec<Arc<Column>> = function
                .arguments
                .iter()
                .map(|data_type| Arc::new(random_column(&mut random, *data_type, ROWS)))
                .collect();
            let (even, odd): (Vec<u16>, Vec<u16>) = (0..ROWS as u16).partition(|row| row % 2 == 0);
            // Even rows alone, as the only group and as group 1 of 2 beside the odd rows.
            let mut single = (function.states)();
            single.resize(1).expect("room for a group");
            let mut grouped = (function.states)();
            grouped.resize(2).expect("room for groups");
            let groups: Vec<u32> = (0..ROWS as u32).map(|row| u32::from(row % 2 == 0)).collect();
            let one = single.update_single(&columns, RowSet::Some(&even, ROWS));
            let many = grouped.update(&columns, RowSet::All(ROWS), &groups);
            let mut split = (function.states)();
            split.resize(2).expect("room for groups");
            let parts = split
                .update(&columns, RowSet::Some(&even[..7], ROWS), &[1; 7])
                .and_then(|()| split.update(&columns, RowSet::Some(&odd, ROWS), &[0; 20]))
                .and_then(|()| split.update(&columns, RowSet::Some(&even[7..], ROWS), &[1; 13]));
            if many.is_err() || one.is_err() || parts.is_err() {
                continue; // An overflow of the odd rows does not stop the even ones.
            }
            let context = format!("{function:?} seed {seed}");
            match (result(&mut *single, 0), result(&mut *grouped, 1), result(&mut *split, 1)) {
                (Ok(a), Ok(b), Ok(c)) => {
                    assert!(equal(a.as_ref(), b.as_ref(), function.returns), "{context}: {a:?} {b:?}");
                    assert!(equal(a.as_ref(), c.as_ref(), function.returns), "{context}: {a:?} {c:?}");
                }
                (a, b, c) => assert!(a.is_err() && b.is_err() && c.is_err(), "{context}"),
            }
            // The dense loop over all rows against the same rows by number.
            let (mut dense, mut numbered) = ((function.states)(), (function.states)());
            dense.resize(1).and_then(|()| numbered.resize(1)).expect("room for a group");
            let all: Vec<u16> = (0..ROWS as u16).collect();
            let outcome = dense.update_single(&columns, RowSet::All(ROWS));
            let other = numbered.update_single(&columns, RowSet::Some(&all, ROWS));
            assert_eq!(outcome.is_ok(), other.is_ok(), "{context}");
            if let (Ok(()), Ok(a), Ok(b)) = (outcome, result(&mut *dense, 0), result(&mut *numbered, 0)) {
                assert!(equal(a.as_ref(), b.as_ref(), function.returns), "{context}: {a:?} {b:?}");
            }
        }
    }
}

/// The aggregate's text over values given as text; an empty list of values gives what no rows give.
fn aggregate_text(name: &str, data_type: DataType, values: &[&str]) -> String {
    let environment = CastEnvironment { zone: &NEW_YORK, now: NOW, style: Default::default() };
    let mut builder = ColumnBuilder::new(SqlType::plain(data_type), values.len());
    for value in values {
        let datum = text_to_datum(value, SqlType::plain(data_type), &environment).expect("a value");
        builder.push_datum(datum.as_ref());
    }
    let function = Registry::get()
        .aggregates(name)
        .iter()
        .find(|function| function.arguments == [data_type])
        .expect("the aggregate exists");
    let mut states = (function.states)();
    states.resize(1).expect("room");
    let columns = [Arc::new(builder.finish())];
    if let Err(error) = states.update_single(&columns, RowSet::All(values.len())) {
        return format!("!{}", error.state());
    }
    match states.finish(0, 1) {
        Ok(column) if column.is_null(0) => "NULL".to_owned(),
        Ok(column) => {
            let mut text = String::new();
            datum_to_text(column.datum(0), function.returns, &environment, &mut text);
            text
        }
        Err(error) => format!("!{}", error.state()),
    }
}

#[test]
fn aggregates_have_the_types_scales_and_errors_of_postgresql() {
    use DataType as T;
    let max = "9223372036854775807";
    for (name, data_type, values, expected) in [
        ("sum", T::Integer, &["2147483647", "1"][..], "2147483648"),
        ("sum", T::BigInt, &[max, max], "18446744073709551614"),
        ("sum", T::Integer, &[], "NULL"),
        ("count", T::Integer, &[], "0"),
        ("avg", T::Integer, &["1", "2", "4"], "2.3333333333333333"),
        ("avg", T::Integer, &["1", "2"], "1.5000000000000000"),
        ("avg", T::Numeric, &["1.10", "2.3"], "1.7000000000000000"),
        ("sum", T::Numeric, &["1.10", "2.3"], "3.40"),
        ("sum", T::Double, &["1e308", "1e308"], "!22003"),
        ("avg", T::Double, &["1", "2"], "1.5"),
        ("max", T::Double, &["1", "NaN"], "NaN"),
        ("min", T::Text, &["b", "a"], "a"),
        ("stddev", T::Integer, &["1", "2", "4"], "1.5275252316519467"),
        ("variance", T::Integer, &["1", "2", "4"], "2.3333333333333333"),
        ("var_pop", T::Double, &["1", "2", "4"], "1.5555555555555556"),
        ("variance", T::Integer, &["1"], "NULL"),
        ("bool_and", T::Boolean, &["t", "f"], "f"),
        ("avg", T::Interval, &["1 day", "2 days"], "1 day 12:00:00"),
    ] {
        assert_eq!(aggregate_text(name, data_type, values), expected, "{name} {values:?}");
    }
}
