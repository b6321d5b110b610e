//! Joins of every kind and algorithm against a loop over all pairs.

use super::*;
use crate::error::SqlState;
use crate::sql::plan::physical::{HashKey, KeyNulls, PhysicalJoinKind as Kind};
use crate::sql::types::compare::{compare, equal};
use std::cmp::Ordering;

/// Two keys (integer, and bigint or text), a value, the row's number.
fn side(random: &mut Random, count: usize, shape: Shape) -> Vec<Row> {
    let mut rows: Vec<Row> = (0..count)
        .map(|_| {
            let second = match random_integer(random, shape.bound, shape.nulls) {
                Datum::Integer(v) if shape.text => Datum::text(
                    &"key that does not fit a view ".repeat(v as usize % 3)[..]
                        .to_owned()
                        .replace("key", &format!("{v}")),
                ),
                Datum::Integer(v) => Datum::BigInt(i64::from(v) << shape.wide),
                other => other,
            };
            vec![random_integer(random, shape.bound, shape.nulls), second, random_integer(random, 10, 10)]
        })
        .collect();
    if shape.ordered {
        rows.sort_by(|left, right| {
            (0..2)
                .map(|key| compare(left[key].as_ref(), right[key].as_ref(), DataType::Text))
                .find(|ordering| ordering.is_ne())
                .unwrap_or(Ordering::Equal)
        });
    }
    rows.iter_mut().enumerate().for_each(|(number, row)| row.push(Datum::Integer(number as i32)));
    rows
}

#[derive(Clone, Copy)]
struct Shape {
    bound: u64,
    nulls: u64,
    text: bool,
    wide: u32,
    ordered: bool,
}

fn types(shape: Shape) -> Vec<DataType> {
    let second = if shape.text { DataType::Text } else { DataType::BigInt };
    vec![DataType::Integer, second, DataType::Integer, DataType::Integer]
}

/// Three-valued AND of the keys and the residual (left value < right value).
fn fits(left: &Row, right: &Row, keys: &[KeyNulls], residual: bool) -> Option<bool> {
    let mut unknown = false;
    for (key, nulls) in keys.iter().enumerate() {
        let (l, r) = (left[key].as_ref(), right[key].as_ref());
        match nulls {
            _ if !l.is_null() && !r.is_null() => {
                if !equal(l, r, DataType::Text) {
                    return Some(false);
                }
            }
            KeyNulls::Equal if l.is_null() && r.is_null() => {}
            KeyNulls::Unknown => unknown = true,
            _ => return Some(false),
        }
    }
    if residual {
        match (&left[2], &right[2]) {
            (Datum::Integer(l), Datum::Integer(r)) if l < r => {}
            (Datum::Integer(_), Datum::Integer(_)) => return Some(false),
            _ => unknown = true,
        }
    }
    if unknown { None } else { Some(true) }
}

/// What the join is to put out; `None`: an error. The order is that of the left rows.
fn model(kind: Kind, left: &[Row], right: &[Row], keys: &[KeyNulls], residual: bool) -> Option<Vec<Row>> {
    let pad = |count: usize| vec![Datum::Null; count];
    let mut out = Vec::new();
    let mut right_matched = vec![false; right.len()];
    for l in left {
        let mut found = 0;
        let mut unknown = false;
        for (number, r) in right.iter().enumerate() {
            match fits(l, r, keys, residual) {
                Some(true) => {
                    found += 1;
                    right_matched[number] = true;
                    if matches!(kind, Kind::Inner | Kind::Left | Kind::Right | Kind::Full | Kind::Single) {
                        out.push([l.clone(), r.clone()].concat());
                    }
                }
                Some(false) => {}
                None => unknown = true,
            }
        }
        match kind {
            Kind::Single if found > 1 => return None,
            Kind::Left | Kind::Full | Kind::Single if found == 0 => out.push([l.clone(), pad(4)].concat()),
            Kind::Semi if found > 0 => out.push(l.clone()),
            Kind::Anti if found == 0 => out.push(l.clone()),
            Kind::Mark => {
                let mark = match (found > 0, unknown) {
                    (true, _) => Datum::Boolean(true),
                    (false, true) => Datum::Null,
                    (false, false) => Datum::Boolean(false),
                };
                out.push([l.clone(), vec![mark]].concat());
            }
            _ => {}
        }
    }
    if matches!(kind, Kind::Right | Kind::Full) {
        for (r, matched) in right.iter().zip(right_matched) {
            if !matched {
                out.push([pad(4), r.clone()].concat());
            }
        }
    }
    Some(out)
}

fn residual_expression() -> Expression {
    call("<", vec![integer(2), integer(6)])
}

/// Keys and residual as one condition over both sides; with parameters for the left side where `parameters`.
fn condition(keys: &[KeyNulls], residual: bool, shape: Shape, apply: bool) -> Option<Expression> {
    let types = types(shape);
    let left = |key: usize| match apply {
        true => Expression::Parameter { index: key, data_type: types[key] },
        false => input(key, types[key]),
    };
    let right = |key: usize| input(if apply { key } else { 4 + key }, types[key]);
    let mut operands: Vec<Expression> = keys
        .iter()
        .enumerate()
        .map(|(key, nulls)| match nulls {
            KeyNulls::Equal => Expression::IsDistinct {
                left: Box::new(left(key)),
                right: Box::new(right(key)),
                negated: true,
            },
            KeyNulls::Unknown => call("=", vec![left(key), right(key)]),
            KeyNulls::NeverMatch => Expression::IsTruth {
                input: Box::new(call("=", vec![left(key), right(key)])),
                truth: true,
                negated: false,
            },
        })
        .collect();
    if residual && !apply {
        operands.push(residual_expression());
    }
    match operands.len() {
        0 => None,
        1 => operands.pop(),
        _ => Some(Expression::And(operands)),
    }
}

fn check(
    what: &str,
    fixture: &Fixture,
    operator: Operator,
    run_time: &[DataType],
    expected: &Option<Vec<Row>>,
    kind: Kind,
) {
    let result = fixture.run_with(node(operator), &[], run_time);
    match expected {
        None => assert_eq!(result.unwrap_err().state(), SqlState::CARDINALITY_VIOLATION, "{what}"),
        Some(expected) => {
            let rows = result.unwrap_or_else(|error| panic!("{error:?} in {what}"));
            if matches!(kind, Kind::Inner | Kind::Right | Kind::Full) {
                assert_eq!(sorted(&rows), sorted(expected), "{what}");
            } else {
                // Partners of one left row may come in any order; left rows may not.
                let numbers = |rows: &[Row]| rows.iter().map(|row| text(&row[3..4])).collect::<Vec<_>>();
                assert_eq!(sorted(&rows), sorted(expected), "{what}");
                assert_eq!(numbers(&rows), numbers(expected), "order in {what}");
            }
        }
    }
}

const KINDS: [Kind; 8] =
    [Kind::Inner, Kind::Left, Kind::Right, Kind::Full, Kind::Semi, Kind::Anti, Kind::Mark, Kind::Single];

fn hash_keys(keys: &[KeyNulls], shape: Shape) -> Vec<HashKey> {
    let types = types(shape);
    keys.iter()
        .enumerate()
        .map(|(key, nulls)| HashKey {
            left: input(key, types[key]),
            right: input(key, types[key]),
            nulls: *nulls,
        })
        .collect()
}

#[test]
fn every_join_gives_what_a_loop_over_all_pairs_gives() {
    let fixture = Fixture::new();
    use KeyNulls::{Equal, NeverMatch, Unknown};
    let key_sets: [&[KeyNulls]; 8] = [
        &[],
        &[NeverMatch],
        &[Equal],
        &[Unknown],
        &[NeverMatch, NeverMatch],
        &[NeverMatch, Equal],
        &[Equal, Unknown],
        &[Unknown, Unknown],
    ];
    for seed in 1..=30 {
        let mut random = Random::new(seed);
        let shape = Shape {
            bound: [2, 12, 400][random.below(3) as usize],
            nulls: [0, 3, 20][random.below(3) as usize],
            text: random.below(3) == 0,
            wide: [0, 3, 40][random.below(3) as usize],
            ordered: true,
        };
        let sizes = [0, 1, 7, 60];
        let (left, right) = (sizes[random.below(4) as usize], sizes[random.below(4) as usize]);
        let left = side(&mut random, left, shape);
        let right = side(&mut random, right, shape);
        let residual = random.below(2) == 0;
        let scanned = random.below(2) == 0;
        let types = types(shape);
        for kind in KINDS {
            for keys in key_sets {
                if keys.contains(&Unknown) && kind != Kind::Mark {
                    continue;
                }
                let what = format!("seed {seed}, {kind:?}, keys {keys:?}, residual {residual}");
                let expected = model(kind, &left, &right, keys, residual);
                let inputs =
                    || (Box::new(values(&left, &types, scanned)), Box::new(values(&right, &types, scanned)));
                let rest = || residual.then(residual_expression);
                if !keys.is_empty() {
                    let (l, r) = inputs();
                    let hash = Operator::HashJoin {
                        kind,
                        left: l,
                        right: r,
                        keys: hash_keys(keys, shape),
                        residual: rest(),
                    };
                    check(&format!("hash join, {what}"), &fixture, hash, &[], &expected, kind);
                }
                let (l, r) = inputs();
                let condition_of_both = condition(keys, residual, shape, false);
                let loops =
                    Operator::NestedLoopJoin { kind, left: l, right: r, condition: condition_of_both };
                check(&format!("nested loop, {what}"), &fixture, loops, &[], &expected, kind);
                if !keys.is_empty() && matches!(kind, Kind::Inner | Kind::Left | Kind::Semi | Kind::Anti) {
                    let (l, r) = inputs();
                    let merge = Operator::MergeJoin {
                        kind,
                        left: l,
                        right: r,
                        keys: hash_keys(keys, shape),
                        residual: rest(),
                    };
                    check(&format!("merge join, {what}"), &fixture, merge, &[], &expected, kind);
                }
                if !matches!(kind, Kind::Right | Kind::Full) && !keys.contains(&Unknown) {
                    let (l, mut r) = inputs();
                    if let Some(predicate) = condition(keys, false, shape, true) {
                        r = boxed(Operator::Filter { input: r, predicate });
                    }
                    let arguments = (0..keys.len()).map(|key| (key, input(key, types[key]))).collect();
                    let apply = Operator::Apply { kind, left: l, right: r, arguments, condition: rest() };
                    let run_time = &types[..keys.len()];
                    check(&format!("apply, {what}"), &fixture, apply, run_time, &expected, kind);
                }
            }
        }
    }
}

#[test]
fn joins_of_more_rows_than_a_batch_are_complete_and_in_order() {
    let fixture = Fixture::new();
    let seed = 1;
    let mut random = Random::new(seed);
    for (bound, wide) in [(5000, 0), (5000, 30), (40, 0)] {
        let shape = Shape { bound, nulls: 50, text: false, wide, ordered: true };
        let (many, few) = (if bound > 100 { 5000 } else { 2500 }, 300);
        let left = side(&mut random, many, shape);
        let right = side(&mut random, few, shape);
        for (l, r) in [(&left, &right), (&right, &left)] {
            for kind in [Kind::Inner, Kind::Left, Kind::Full, Kind::Semi, Kind::Anti, Kind::Mark] {
                let expected = model(kind, l, r, &[KeyNulls::NeverMatch], false);
                let operator = |merge: bool| {
                    let (left, right) =
                        (Box::new(values(l, &types(shape), true)), Box::new(values(r, &types(shape), true)));
                    let keys = hash_keys(&[KeyNulls::NeverMatch], shape);
                    match merge {
                        true => Operator::MergeJoin { kind, left, right, keys, residual: None },
                        false => Operator::HashJoin { kind, left, right, keys, residual: None },
                    }
                };
                let what = format!("{kind:?}, seed {seed}, bound {bound}, {} left rows", l.len());
                check(&what, &fixture, operator(false), &[], &expected, kind);
                if !matches!(kind, Kind::Full | Kind::Mark) {
                    check(&format!("merge {what}"), &fixture, operator(true), &[], &expected, kind);
                }
            }
        }
    }
}

#[test]
fn columns_that_nobody_uses_do_not_disturb_those_that_are_used() {
    let fixture = Fixture::new();
    let shape = Shape { bound: 30, nulls: 8, text: true, wide: 0, ordered: false };
    let mut random = Random::new(11);
    let left = side(&mut random, 2500, shape);
    let right = side(&mut random, 100, shape);
    let third = side(&mut random, 60, shape);
    let first = Operator::HashJoin {
        kind: Kind::Inner,
        left: Box::new(values(&left, &types(shape), true)),
        right: Box::new(values(&right, &types(shape), true)),
        keys: hash_keys(&[KeyNulls::NeverMatch, KeyNulls::NeverMatch], shape),
        residual: Some(residual_expression()),
    };
    let second = Operator::HashJoin {
        kind: Kind::Left,
        left: boxed(first),
        right: Box::new(values(&third, &types(shape), true)),
        keys: vec![HashKey { left: integer(7), right: integer(3), nulls: KeyNulls::NeverMatch }],
        residual: None,
    };
    let project = Operator::Project {
        input: boxed(second),
        expressions: vec![integer(3), integer(7), input(9, DataType::Text)],
    };
    let rows = fixture.run(node(project)).unwrap();
    let keys = [KeyNulls::NeverMatch; 2];
    let pairs = model(Kind::Inner, &left, &right, &keys, true).unwrap();
    let expected: Vec<Row> = pairs
        .iter()
        .map(|pair| {
            let Datum::Integer(number) = pair[7] else { panic!("a number") };
            let partner = third.get(number as usize).map_or(Datum::Null, |row| row[1].clone());
            vec![pair[3].clone(), pair[7].clone(), partner]
        })
        .collect();
    assert!(expected.len() > 100);
    assert_eq!(sorted(&rows), sorted(&expected));
}

#[test]
fn an_empty_build_side_spares_the_probe_side() {
    // The probe side would fail.
    let fixture = Fixture::new();
    let one = vec![vec![Datum::Integer(1)]];
    let failing = Operator::Project {
        input: Box::new(values(&one, &[DataType::Integer], true)),
        expressions: vec![call("/", vec![integer(0), constant(Datum::Integer(0))])],
    };
    let join = Operator::HashJoin {
        kind: Kind::Inner,
        left: boxed(failing),
        right: Box::new(values(&[], &[DataType::Integer], true)),
        keys: vec![HashKey { left: integer(0), right: integer(0), nulls: KeyNulls::NeverMatch }],
        residual: None,
    };
    assert!(fixture.run(node(join)).unwrap().is_empty());
}
