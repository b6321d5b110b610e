//! Plans of SQL texts over tables whose statistics are made up: which index, which join, which order of tables.

use crate::catalog::snapshot::CatalogSnapshot;
use crate::catalog::table_definition::TableDefinition;
use crate::common::arena::Arena;
use crate::common::clock::{Clock, SystemClock};
use crate::common::random::Random;
use crate::sql::binder::bound::{BindOptions, BoundStatement};
use crate::sql::binder::{bind, fixture};
use crate::sql::optimizer::{StatisticsSource, optimize};
use crate::sql::parser::parse;
use crate::sql::plan::physical::{Operator, PhysicalNode, PhysicalPlan};
use crate::sql::types::datum::Datum;
use crate::statistics::table_statistics::{ColumnStatistics, TableStatistics};
use std::sync::Arc;

/// A shop: 25 countries on 5 continents, and what clients bought from vendors.
const SHOP: &[&str] = &[
    "CREATE TABLE continent (k int PRIMARY KEY, label text NOT NULL)",
    "CREATE TABLE country (k int PRIMARY KEY, label text NOT NULL, continent int NOT NULL)",
    "CREATE TABLE vendor (k int PRIMARY KEY, country int NOT NULL)",
    "CREATE TABLE client (k int PRIMARY KEY, country int NOT NULL)",
    "CREATE TABLE article (k int PRIMARY KEY, kind text NOT NULL)",
    "CREATE TABLE offer (article int NOT NULL, vendor int NOT NULL, price int NOT NULL, PRIMARY KEY (article, vendor))",
    "CREATE TABLE purchase (k bigint PRIMARY KEY, client int NOT NULL, day int NOT NULL)",
    "CREATE TABLE line (purchase bigint NOT NULL, number int NOT NULL, article int NOT NULL, vendor int NOT NULL, amount int NOT NULL, PRIMARY KEY (purchase, number))",
];

/// Rows of each table and different values of its columns; integers are spread evenly from 0.
const SHOP_VALUES: &[(&str, u64, &[u64])] = &[
    ("continent", 5, &[5, 5]),
    ("country", 25, &[25, 25, 5]),
    ("vendor", 10_000, &[10_000, 25]),
    ("client", 150_000, &[150_000, 25]),
    ("article", 200_000, &[200_000, 150]),
    ("offer", 800_000, &[200_000, 10_000, 1_000]),
    ("purchase", 1_500_000, &[1_500_000, 100_000, 2_400]),
    ("line", 6_000_000, &[1_500_000, 7, 200_000, 10_000, 50]),
    ("big", 100_000, &[100_000, 100_000, 1_000, 100_000]),
];

pub(super) struct Shop;

fn evenly(distinct: u64, wide: bool) -> Vec<Datum> {
    let parts = distinct.min(100);
    (0..=parts)
        .map(|part| {
            let value = part * (distinct - 1) / parts.max(1);
            if wide { Datum::BigInt(value as i64) } else { Datum::Integer(value as i32) }
        })
        .collect()
}

impl StatisticsSource for Shop {
    fn row_count(&self, table: &TableDefinition) -> u64 {
        SHOP_VALUES.iter().find(|(name, ..)| *name == table.name).map_or(0, |(_, rows, _)| *rows)
    }

    fn statistics(&self, table: &TableDefinition) -> Option<Arc<TableStatistics>> {
        let (_, rows, values) = SHOP_VALUES.iter().find(|(name, ..)| *name == table.name)?;
        let columns = table.columns.iter().zip(*values).map(|(column, distinct)| {
            let histogram = match column.sql_type.data_type {
                crate::sql::types::data_type::DataType::Integer => evenly(*distinct, false),
                crate::sql::types::data_type::DataType::BigInt => evenly(*distinct, true),
                _ => Vec::new(),
            };
            ColumnStatistics { distinct: *distinct as f64, width: 4.0, histogram, ..Default::default() }
        });
        Some(Arc::new(TableStatistics { rows: *rows, columns: columns.collect(), sample: Vec::new() }))
    }
}

pub(super) fn planned(
    catalog: &CatalogSnapshot,
    statistics: &dyn StatisticsSource,
    sql: &str,
) -> PhysicalPlan {
    let arena = Arena::new();
    let statements = parse(sql, &arena).unwrap();
    match bind(&statements[0].statement, catalog, &BindOptions::new(sql)).unwrap() {
        BoundStatement::Query { plan, parameters, .. } => {
            optimize(plan, &parameters, statistics).unwrap_or_else(|error| panic!("{sql}: {error}"))
        }
        other => panic!("no query: {other:?}"),
    }
}

/// Operators as nested calls: tables by name with what narrows them.
pub(super) fn shape(node: &PhysicalNode) -> String {
    let inputs: Vec<String> = node.inputs().into_iter().map(shape).collect();
    let inputs = inputs.join(", ");
    match &node.operator {
        Operator::TableScan { table, lower, upper, .. } => {
            let range = if lower.is_some() || upper.is_some() { " range" } else { "" };
            format!("{}{range}", table.name)
        }
        Operator::IndexScan { table, index, equal, lower, upper, backward, .. } => format!(
            "{} by {}({}{}{})",
            table.name,
            table.indexes[*index].name,
            equal.len(),
            if lower.is_some() || upper.is_some() { "+range" } else { "" },
            if *backward { " backward" } else { "" },
        ),
        Operator::RowIdLookup { table, .. } => format!("{} by key", table.name),
        Operator::UniqueLookup { table, index, .. } => {
            format!("{} by {}", table.name, table.indexes[*index].name)
        }
        Operator::Filter { .. } => format!("filter({inputs})"),
        // Projections depend on the list of columns only.
        Operator::Project { .. } => inputs,
        Operator::HashAggregate { .. } => format!("groups({inputs})"),
        Operator::HashJoin { kind, .. } => format!("hash {kind:?}({inputs})"),
        Operator::MergeJoin { kind, .. } => format!("merge {kind:?}({inputs})"),
        Operator::NestedLoopJoin { kind, .. } => format!("loop {kind:?}({inputs})"),
        Operator::Apply { kind, .. } => format!("apply {kind:?}({inputs})"),
        Operator::Sort { .. } => format!("sort({inputs})"),
        Operator::TopN { .. } => format!("top({inputs})"),
        Operator::Limit { .. } => format!("limit({inputs})"),
        Operator::Values { rows, .. } => format!("{} values", rows.len()),
        Operator::With { .. } => format!("with({inputs})"),
        Operator::CommonScan { columns, .. } => format!("common{columns:?}"),
        Operator::InitialPlans { .. } => format!("initial({inputs})"),
        other => format!("{}({inputs})", format!("{other:?}").split([' ', '{']).next().unwrap_or("?")),
    }
}

#[track_caller]
pub(super) fn check(definitions: &[&str], sql: &str, expected: &str) {
    let plan = planned(&fixture::catalog(definitions), &Shop, sql);
    assert_eq!(shape(&plan.root), expected, "{sql}");
}

const BIG: &[&str] = &[
    "CREATE TABLE big (id int PRIMARY KEY, u int, w int, t text)",
    "CREATE INDEX big_u ON big (u)",
    "CREATE INDEX big_t ON big (t)",
    "CREATE TABLE few (k int PRIMARY KEY, u int)",
];

#[test]
fn an_index_is_used_up_to_a_tenth_of_a_table_and_a_scan_from_a_quarter_on() {
    for (bound, expected) in
        [(100, "big by big_u(0+range)"), (10_000, "big by big_u(0+range)"), (25_000, "big")]
    {
        check(BIG, &format!("SELECT w FROM big WHERE u < {bound}"), expected);
    }
    check(BIG, "SELECT w FROM big WHERE u = 7", "big by big_u(1)");
    check(BIG, "SELECT w FROM big WHERE w = 7", "big");
    check(BIG, "SELECT w FROM big WHERE u > 90 AND u < 500", "big by big_u(0+range)");
}

#[test]
fn a_fixed_beginning_of_a_pattern_is_a_range_of_the_index() {
    check(BIG, "SELECT w FROM big WHERE t LIKE 'abc%'", "big by big_t(0+range)");
    check(BIG, "SELECT w FROM big WHERE t LIKE '%abc'", "big");
}

#[test]
fn lists_are_looked_up_while_they_are_short() {
    check(BIG, "SELECT w FROM big WHERE u IN (1, 2, 3)", "apply Inner(3 values, big by big_u(1))");
    check(BIG, "SELECT w FROM big WHERE id IN (1, 2, 3)", "apply Inner(3 values, big by key)");
    check(BIG, "SELECT w FROM big WHERE w IN (1, 2, 3)", "big");
}

#[test]
fn the_least_and_greatest_value_come_from_the_end_of_an_index() {
    check(BIG, "SELECT min(u) FROM big", "groups(limit(big by big_u(0)))");
    check(BIG, "SELECT max(u) FROM big", "groups(limit(big by big_u(0 backward)))");
    check(BIG, "SELECT max(id) FROM big", "groups(limit(big))");
    check(BIG, "SELECT max(w) FROM big", "groups(big)");
}

#[test]
fn few_rows_look_their_partners_up_and_many_are_hashed() {
    let few = "SELECT 1 FROM big a, big b WHERE a.w = b.id AND a.u = 7";
    check(BIG, few, "apply Inner(big by big_u(1), big by key)");
    let many = "SELECT 1 FROM big a, big b WHERE a.w = b.u";
    check(BIG, many, "hash Inner(big, big)");
    let ordered = "SELECT 1 FROM big a, big b WHERE a.id = b.id";
    check(BIG, ordered, "merge Inner(big, big)");
}

/// The joins of three analytical queries, their tables in any order.
const JOINS: [(&[&str], &str); 3] = [
    (
        &["client c", "purchase p", "line l", "vendor v", "country n", "continent k"],
        "c.k = p.client AND l.purchase = p.k AND l.vendor = v.k AND c.country = v.country AND v.country = n.k
         AND n.continent = k.k AND k.label = 'here' AND p.day >= 100 AND p.day < 465",
    ),
    (
        &[
            "article a", "vendor v", "line l", "purchase p", "client c", "country n", "country m", "continent k",
        ],
        "a.k = l.article AND v.k = l.vendor AND l.purchase = p.k AND p.client = c.k AND c.country = n.k
         AND n.continent = k.k AND k.label = 'there' AND v.country = m.k AND p.day BETWEEN 100 AND 830
         AND a.kind = 'this'",
    ),
    (
        &["article a", "vendor v", "line l", "offer o", "purchase p", "country n"],
        "v.k = l.vendor AND o.vendor = l.vendor AND o.article = l.article AND a.k = l.article AND p.k = l.purchase
         AND v.country = n.k AND a.kind LIKE '%green%'",
    ),
];

#[test]
fn tables_may_be_written_in_any_order() {
    let catalog = fixture::catalog(SHOP);
    for (number, (tables, conditions)) in JOINS.iter().enumerate() {
        let mut known: Option<String> = None;
        for seed in 1..=10 {
            let mut random = Random::new(seed);
            let mut tables = tables.to_vec();
            for last in (1..tables.len()).rev() {
                tables.swap(last, random.below(last as u64 + 1) as usize);
            }
            let sql =
                format!("SELECT l.amount, v.k, n.label, p.day FROM {} WHERE {conditions}", tables.join(", "));
            let plan = shape(&planned(&catalog, &Shop, &sql).root);
            assert!(!plan.contains("loop"), "query {number}, seed {seed}: {plan}");
            assert_eq!(&plan, known.get_or_insert_with(|| plan.clone()), "query {number}, seed {seed}");
        }
        println!("{}", known.unwrap_or_default());
    }
}

struct Thousand;

impl StatisticsSource for Thousand {
    fn row_count(&self, _table: &TableDefinition) -> u64 {
        1_000
    }

    fn statistics(&self, _table: &TableDefinition) -> Option<Arc<TableStatistics>> {
        None
    }
}

/// `count` tables `t0` … with the pairs of them that are joined.
fn graph(count: usize, pairs: impl Iterator<Item = (usize, usize)>) -> (CatalogSnapshot, String) {
    let tables: Vec<String> = (0..count)
        .map(|number| {
            let columns: Vec<String> = (0..count.min(12)).map(|column| format!("c{column} int")).collect();
            format!("CREATE TABLE t{number} (k int PRIMARY KEY, {})", columns.join(", "))
        })
        .collect();
    let catalog = fixture::catalog(&tables.iter().map(String::as_str).collect::<Vec<_>>());
    let from: Vec<String> = (0..count).map(|number| format!("t{number}")).collect();
    let on: Vec<String> =
        pairs.map(|(one, other)| format!("t{one}.c{} = t{other}.c{}", other % 12, one % 12)).collect();
    (catalog, format!("SELECT t0.k FROM {} WHERE {}", from.join(", "), on.join(" AND ")))
}

#[test]
fn chains_stars_and_cliques_are_planned_without_cross_products() {
    let clique =
        |count: usize| (0..count).flat_map(move |one| (one + 1..count).map(move |other| (one, other)));
    let clock = SystemClock::new();
    for (name, (catalog, sql)) in [
        ("chain of 12", graph(12, (1..12).map(|number| (number - 1, number)))),
        ("star of 12", graph(12, (1..12).map(|number| (0, number)))),
        ("clique of 12", graph(12, clique(12))),
        ("chain of 100", graph(100, (1..100).map(|number| (number - 1, number)))),
    ] {
        let arena = Arena::new();
        let statements = parse(&sql, &arena).unwrap();
        let bound = bind(&statements[0].statement, &catalog, &BindOptions::new(&sql)).unwrap();
        let BoundStatement::Query { plan, parameters, .. } = bound else { panic!("{bound:?}") };
        let start = clock.monotonic_nanos();
        let physical = optimize(plan, &parameters, &Thousand).unwrap();
        println!("{name}: planned in {} us", (clock.monotonic_nanos() - start) / 1_000);
        assert!(!shape(&physical.root).contains("loop"), "{name}: {}", shape(&physical.root));
    }
}

#[test]
fn a_condition_over_three_tables_makes_a_cross_product_where_nothing_else_connects() {
    let (catalog, _) = graph(3, std::iter::empty());
    for from in ["t0, t1, t2", "t2, t0, t1"] {
        let sql = format!("SELECT t0.k FROM {from} WHERE t0.k + t1.k = t2.k");
        let plan = shape(&planned(&catalog, &Thousand, &sql).root);
        assert_eq!(
            plan.matches("loop Inner").count()
                + plan.matches("apply Inner").count()
                + plan.matches("hash").count(),
            2,
            "{plan}"
        );
        assert!(plan.contains("loop Inner"), "{plan}");
    }
}

#[test]
fn outer_and_semi_joins_take_part_in_the_order() {
    // The selective inner join comes first, though it is written last.
    check(
        SHOP,
        "SELECT l.amount FROM line l LEFT JOIN article a ON a.k = l.article JOIN purchase p ON p.k = l.purchase
         WHERE p.k = 7 AND a.kind IS NULL",
        "apply Anti(hash Inner(line by line_pkey(1), purchase by key), article by key)",
    );
    check(
        SHOP,
        "SELECT c.k FROM client c WHERE EXISTS (SELECT 1 FROM purchase p WHERE p.client = c.k AND p.day = 3)",
        "hash Semi(client, purchase)",
    );
}

#[test]
fn groups_of_few_outer_rows_are_looked_up_below_the_grouping() {
    let definitions = [SHOP, &["CREATE INDEX line_article ON line (article)"]].concat();
    // As in TPC-H 17 and 20.
    check(
        &definitions,
        "SELECT sum(l.amount) FROM line l, article a WHERE l.article = a.k AND a.k < 20
         AND l.amount < (SELECT 0.2 * avg(m.amount) FROM line m WHERE m.article = a.k)",
        "groups(apply Inner(apply Inner(article range, groups(line by line_article(1))), line by line_article(1)))",
    );
    check(
        &definitions,
        "SELECT a.k FROM article a, (SELECT article, count(*) AS n FROM line GROUP BY article HAVING count(*) > 3) s
         WHERE s.article = a.k AND a.kind = 'x'",
        "apply Inner(article, filter(groups(line by line_article(1))))",
    );
    check(
        &definitions,
        "SELECT a.k FROM article a, (SELECT article, count(*) AS n FROM line GROUP BY article) s
         WHERE s.article = a.k",
        "hash Inner(article, groups(line))",
    );
}

#[test]
fn a_common_table_keeps_the_columns_that_are_read() {
    check(
        SHOP,
        "WITH s AS MATERIALIZED (SELECT k, country, country + 1 AS next FROM vendor)
         SELECT a.next FROM s a JOIN s b ON a.k = b.k",
        "with(vendor, hash Inner(common[0, 1], common[0]))",
    );
}

#[test]
fn changes_over_joins_get_the_old_row_first() {
    let catalog = fixture::catalog(SHOP);
    let sql =
        "UPDATE vendor v SET country = n.continent FROM country n WHERE n.k = v.country AND n.label = 'x'";
    let plan = planned(&catalog, &Shop, sql);
    let Operator::Update { input, assignments, .. } = &plan.root.operator else { panic!("{:?}", plan.root) };
    // The two columns of the vendor, its row id, then what comes of the country.
    let crate::sql::plan::expression::Expression::Input { index, .. } = assignments[0].1 else {
        panic!("{assignments:?}")
    };
    assert!(index >= 3, "{assignments:?}");
    assert!(shape(input).contains("hash Inner"), "{}", shape(input));
}

#[test]
fn an_or_over_two_tables_whose_parts_were_pushed_down_counts_once() {
    // Two countries on either side, and two of their four pairs: not two of 625 pairs of those.
    let sql = "SELECT a.k FROM country a, country b
         WHERE (a.k = 3 AND b.k = 4 AND a.k < b.k + 9) OR (a.k = 4 AND b.k = 3 AND a.k < b.k + 9)";
    let plan = planned(&fixture::catalog(SHOP), &Shop, sql);
    let rows = plan.root.estimated_rows;
    assert!((0.2..4.0).contains(&rows), "{rows} rows of {}", shape(&plan.root));
}

#[test]
fn an_index_scan_keeps_its_order_only_where_it_is_asked_for() {
    let any_order = |sql: &str| {
        let plan = planned(&fixture::catalog(BIG), &Shop, sql);
        let mut node = &plan.root;
        loop {
            match &node.operator {
                Operator::IndexScan { any_order, .. } => return *any_order,
                _ => node = node.inputs()[0],
            }
        }
    };
    assert!(any_order("SELECT w FROM big WHERE u < 100"));
    assert!(any_order("SELECT count(*) FROM big WHERE u < 100"));
    assert!(any_order("SELECT w FROM big WHERE u < 100 ORDER BY w"));
    assert!(!any_order("SELECT w FROM big WHERE u < 100 ORDER BY u"));
    assert!(!any_order("SELECT min(u) FROM big"));
    assert!(!any_order("SELECT w FROM big WHERE u < 5000 ORDER BY u DESC LIMIT 3"));
}
