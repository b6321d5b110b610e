//! Groups, distinct rows, set operations and order against models.

use super::*;
use crate::sql::plan::expression::SortKey;
use crate::sql::plan::logical::SetOperationKind;
use crate::sql::plan::physical::PhysicalAggregate;
use crate::sql::types::compare::compare;
use std::collections::BTreeMap;

const TYPES: [DataType; 4] = [DataType::Integer, DataType::Text, DataType::BigInt, DataType::Integer];

/// Two keys, a value, the row's number.
fn rows(random: &mut Random, count: usize, bound: u64) -> Vec<Row> {
    (0..count)
        .map(|number| {
            let word = match random_integer(random, 4, 6) {
                Datum::Integer(v) => Datum::text(&"long enough to lie outside".repeat(v as usize)),
                other => other,
            };
            let value = match random_integer(random, 100, 7) {
                Datum::Integer(v) => Datum::BigInt(i64::from(v)),
                other => other,
            };
            vec![random_integer(random, bound, 9), word, value, Datum::Integer(number as i32)]
        })
        .collect()
}

fn aggregate(name: &str, arguments: Vec<Expression>, distinct: bool, filtered: bool) -> PhysicalAggregate {
    let types: Vec<DataType> = arguments.iter().map(result_type).collect();
    let function = Registry::get()
        .aggregates(name)
        .iter()
        .copied()
        .find(|function| function.arguments == types)
        .expect("the aggregate exists");
    let filter = filtered.then(|| call(">", vec![integer(3), constant(Datum::Integer(100))]));
    PhysicalAggregate { function, arguments, distinct, filter, order: Vec::new() }
}

#[test]
fn groups_and_aggregates_are_those_of_a_map() {
    let fixture = Fixture::new();
    for seed in 1..=12 {
        let mut random = Random::new(seed);
        let bound = [3, 50, 4000][random.below(3) as usize];
        let count = [0, 1, 3000, 6000][random.below(4) as usize];
        let rows = rows(&mut random, count, bound);
        for keys in [vec![], vec![0], vec![1], vec![0, 1], vec![2, 0], vec![1, 2, 0]] {
            let value = || input(2, DataType::BigInt);
            let aggregates = vec![
                aggregate("count", vec![], false, false),
                aggregate("sum", vec![integer(3)], false, false),
                aggregate("count", vec![value()], true, false),
                aggregate("count", vec![value()], true, true),
                aggregate("max", vec![value()], false, true),
                aggregate("min", vec![input(1, DataType::Text)], false, false),
            ];
            let plan = Operator::HashAggregate {
                input: Box::new(values(&rows, &TYPES, true)),
                groups: keys.iter().map(|key| input(*key, TYPES[*key])).collect(),
                aggregates,
            };
            let mut groups: BTreeMap<String, (Row, Vec<&Row>)> = BTreeMap::new();
            if keys.is_empty() {
                groups.insert(String::new(), (Vec::new(), Vec::new()));
            }
            for row in &rows {
                let key: Row = keys.iter().map(|key| row[*key].clone()).collect();
                let name = if keys.is_empty() { String::new() } else { text(&key) };
                groups.entry(name).or_insert_with(|| (key, Vec::new())).1.push(row);
            }
            let expected: Vec<Row> = groups
                .into_values()
                .map(|(key, members)| {
                    let number = |row: &&&Row| matches!(row[3], Datum::Integer(v) if v > 100);
                    let distinct = |members: &[&&Row]| {
                        let mut seen: Vec<i64> = members
                            .iter()
                            .filter_map(|row| if let Datum::BigInt(v) = row[2] { Some(v) } else { None })
                            .collect();
                        seen.sort_unstable();
                        seen.dedup();
                        seen
                    };
                    let all: Vec<&&Row> = members.iter().collect();
                    let some: Vec<&&Row> = members.iter().filter(number).collect();
                    let sum: i64 = members
                        .iter()
                        .map(|row| if let Datum::Integer(v) = row[3] { i64::from(v) } else { 0 })
                        .sum();
                    let least = members
                        .iter()
                        .map(|row| row[1].clone())
                        .filter(|value| !value.is_null())
                        .min_by(|l, r| compare(l.as_ref(), r.as_ref(), DataType::Text));
                    let mut row = key;
                    row.push(Datum::BigInt(members.len() as i64));
                    row.push(if members.is_empty() { Datum::Null } else { Datum::BigInt(sum) });
                    row.push(Datum::BigInt(distinct(&all).len() as i64));
                    row.push(Datum::BigInt(distinct(&some).len() as i64));
                    row.push(distinct(&some).last().map_or(Datum::Null, |v| Datum::BigInt(*v)));
                    row.push(least.unwrap_or(Datum::Null));
                    row
                })
                .collect();
            let found = fixture.run(node(plan)).unwrap();
            assert_eq!(sorted(&found), sorted(&expected), "seed {seed}, keys {keys:?}");
        }
    }
}

#[test]
fn set_operations_count_rows_as_the_standard_does() {
    let fixture = Fixture::new();
    for seed in 1..=20 {
        let mut random = Random::new(seed);
        let types = &TYPES[..2];
        let cut = |rows: Vec<Row>| rows.into_iter().map(|row| row[..2].to_vec()).collect::<Vec<_>>();
        let sizes = [0, 5, 2500];
        let (few, many) = (sizes[random.below(3) as usize], sizes[random.below(3) as usize]);
        let left = cut(rows(&mut random, few, 4));
        let right = cut(rows(&mut random, many, 7));
        for kind in [SetOperationKind::Intersect, SetOperationKind::Except] {
            for all in [false, true] {
                let plan = Operator::SetOperation {
                    kind,
                    all,
                    left: Box::new(values(&left, types, true)),
                    right: Box::new(values(&right, types, true)),
                };
                let count = |rows: &[Row]| {
                    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
                    texts(rows).into_iter().for_each(|row| *counts.entry(row).or_default() += 1);
                    counts
                };
                let others = count(&right);
                let expected: Vec<String> = count(&left)
                    .into_iter()
                    .flat_map(|(row, n)| {
                        let m = others.get(&row).copied().unwrap_or(0);
                        let times = match (kind, all) {
                            (SetOperationKind::Intersect, true) => n.min(m),
                            (SetOperationKind::Except, true) => (n - m).max(0),
                            (SetOperationKind::Intersect, false) => i64::from(m > 0),
                            (SetOperationKind::Except, false) => i64::from(m == 0),
                        };
                        std::iter::repeat_n(row, times as usize)
                    })
                    .collect();
                let found = fixture.run(node(plan)).unwrap();
                assert_eq!(sorted(&found), expected, "seed {seed}, {kind:?}, all {all}");
            }
        }
    }
}

#[test]
fn the_first_row_of_each_group_stays_in_order() {
    let fixture = Fixture::new();
    let mut random = Random::new(5);
    let rows = rows(&mut random, 5000, 900);
    let plan = Operator::DistinctOn {
        input: Box::new(values(&rows, &TYPES, false)),
        keys: vec![integer(0), input(1, DataType::Text)],
    };
    let mut seen = std::collections::BTreeSet::new();
    let expected: Vec<Row> = rows.iter().filter(|row| seen.insert(text(&row[..2]))).cloned().collect();
    assert_eq!(texts(&fixture.run(node(plan)).unwrap()), texts(&expected));
}

#[test]
fn sorted_rows_and_the_first_of_them_are_those_of_a_stable_sort() {
    let fixture = Fixture::new();
    for seed in 1..=16 {
        let mut random = Random::new(seed);
        let count = [0, 1, 2500, 7000][random.below(4) as usize];
        let rows = rows(&mut random, count, 60);
        let keys: Vec<SortKey> = (0..1 + random.below(3))
            .map(|_| {
                let column = random.below(3) as usize;
                SortKey {
                    expression: input(column, TYPES[column]),
                    descending: random.below(2) == 0,
                    nulls_first: random.below(2) == 0,
                }
            })
            .collect();
        let mut expected = rows.clone();
        expected.sort_by(|left, right| {
            keys.iter()
                .map(|key| {
                    let Expression::Input { index, data_type } = key.expression else { panic!("a column") };
                    let (l, r) = (left[index].as_ref(), right[index].as_ref());
                    match (l.is_null(), r.is_null()) {
                        (false, false) if key.descending => compare(r, l, data_type),
                        (false, false) => compare(l, r, data_type),
                        (l, r) if key.nulls_first => r.cmp(&l),
                        (l, r) => l.cmp(&r),
                    }
                })
                .find(|ordering| ordering.is_ne())
                .unwrap_or(std::cmp::Ordering::Equal)
        });
        let input = || Box::new(values(&rows, &TYPES, true));
        let sort = Operator::Sort { input: input(), keys: keys.clone() };
        assert_eq!(texts(&fixture.run(node(sort)).unwrap()), texts(&expected), "seed {seed}");
        for (limit, offset) in [(0, 0), (1, 0), (10, 3), (3000, 100), (100_000, 6999)] {
            let top = Operator::TopN {
                input: input(),
                keys: keys.clone(),
                limit: constant(Datum::BigInt(limit)),
                offset: Some(constant(Datum::BigInt(offset))),
            };
            let cut: Vec<Row> = expected.iter().skip(offset as usize).take(limit as usize).cloned().collect();
            assert_eq!(
                texts(&fixture.run(node(top)).unwrap()),
                texts(&cut),
                "seed {seed}, limit {limit}, offset {offset}"
            );
        }
    }
}
