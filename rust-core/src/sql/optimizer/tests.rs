//! Physical plans of hand-built logical ones, printed in one line each.

mod golden;
mod implication;
mod indexed_expressions;
mod rechecks;

use super::*;
use crate::catalog::table_definition::{ColumnDefinition, IndexDefinition};
use crate::common::ids::{ObjectId, TreeId};
use crate::sql::functions::registry::Registry;
use crate::sql::plan::expression::{ColumnId, Expression, OutputColumn, SortKey};
use crate::sql::plan::logical::Recheck;
use crate::sql::plan::physical::{KeyBound, Operator, PhysicalNode, PhysicalRecheck, ScanOutput};
use crate::sql::types::data_type::SqlType;
use crate::sql::types::datum::Datum;
use crate::table::layout::{IndexColumn, IndexKey, IndexLayout, RowIdSource, TableLayout};
use std::sync::Arc;

struct Rows(u64);

impl StatisticsSource for Rows {
    fn row_count(&self, _table: &TableDefinition) -> u64 {
        self.0
    }

    fn statistics(&self, _table: &TableDefinition) -> Option<Arc<TableStatistics>> {
        None
    }
}

/// `t (id bigint primary key, email text unique, org integer, age integer, index (org, age desc nulls last))`.
fn table() -> Arc<TableDefinition> {
    let types = [DataType::BigInt, DataType::Text, DataType::Integer, DataType::Integer];
    let columns = ["id", "email", "org", "age"].iter().zip(types).map(|(name, data_type)| ColumnDefinition {
        not_null: *name == "id",
        ..ColumnDefinition::new((*name).into(), SqlType::plain(data_type))
    });
    let column =
        |column, descending| IndexColumn { key: IndexKey::Column(column), descending, nulls_first: false };
    let index = |columns, unique| IndexLayout {
        tree: TreeId(9),
        columns,
        unique,
        predicate: None,
        fill_percent: None,
        runtime: Default::default(),
    };
    let definition = |name: &str| IndexDefinition::new(ObjectId(5), name.into(), None);
    Arc::new(TableDefinition {
        id: ObjectId(1),
        schema: "public".into(),
        name: "t".into(),
        columns: columns.collect(),
        checks: Vec::new(),
        indexes: vec![definition("t_email_key"), definition("t_org_age")],
        foreign_keys: Vec::new(),
        computed: Vec::new(),
        row_id_constraint: Some("t_pkey".into()),
        not_valid: Vec::new(),
        layout: Arc::new(TableLayout {
            tree: TreeId(1),
            value_tree: TreeId(2),
            row_id: RowIdSource::Column(0),
            runtime: Default::default(),
            columns: types.map(SqlType::plain).to_vec(),
            computed: Vec::new(),
            fill_percent: None,
            indexes: vec![
                index(vec![column(1, false)], true),
                index(vec![column(2, false), column(3, true)], false),
            ],
        }),
    })
}

fn output(id: u32, name: &str, data_type: DataType) -> OutputColumn {
    OutputColumn {
        id: ColumnId(id),
        name: name.into(),
        sql_type: data_type.into(),
        nullable: true,
        origin: None,
    }
}

fn columns() -> Vec<OutputColumn> {
    let table = table();
    let columns = table.columns.iter().enumerate();
    columns.map(|(index, column)| output(index as u32, &column.name, column.sql_type.data_type)).collect()
}

fn scan() -> LogicalPlan {
    LogicalPlan::Scan { table: table(), columns: columns(), computed: Arc::default(), row_id: None }
}

fn col(index: usize) -> Expression {
    let columns = columns();
    Expression::Column { id: columns[index].id, data_type: columns[index].sql_type.data_type }
}

fn big(value: i64) -> Expression {
    Expression::Constant { value: Datum::BigInt(value), data_type: DataType::BigInt }
}

fn int(value: i32) -> Expression {
    Expression::Constant { value: Datum::Integer(value), data_type: DataType::Integer }
}

fn text(value: &str) -> Expression {
    Expression::Constant { value: Datum::text(value), data_type: DataType::Text }
}

fn parameter(data_type: DataType) -> Expression {
    Expression::Parameter { index: 0, data_type }
}

fn compare(left: Expression, symbol: &str, right: Expression) -> Expression {
    let types = [&left, &right].map(crate::sql::evaluate::row::result_type);
    let function = Registry::get()
        .operator(symbol, 2)
        .iter()
        .find(|function| function.arguments == types)
        .unwrap_or_else(|| panic!("no {symbol} for {types:?}"));
    Expression::Call { function, arguments: vec![left, right], position: 0 }
}

fn widen(input: Expression) -> Expression {
    Expression::Cast { input: Box::new(input), target: DataType::BigInt.into(), explicit: false, position: 0 }
}

fn filter(input: LogicalPlan, terms: Vec<Expression>) -> LogicalPlan {
    let predicate = columns::conjunction(terms).unwrap();
    LogicalPlan::Filter { input: Box::new(input), predicate }
}

fn project(input: LogicalPlan, picked: &[usize]) -> LogicalPlan {
    let columns = columns();
    LogicalPlan::Project {
        input: Box::new(input),
        expressions: picked.iter().map(|index| col(*index)).collect(),
        columns: picked
            .iter()
            .map(|index| output(100 + *index as u32, "x", columns[*index].sql_type.data_type))
            .collect(),
    }
}

fn sort(input: LogicalPlan, keys: &[(usize, bool)]) -> LogicalPlan {
    let keys = keys
        .iter()
        .map(|(column, descending)| SortKey {
            expression: col(*column),
            descending: *descending,
            nulls_first: *descending,
        })
        .collect();
    LogicalPlan::Sort { input: Box::new(input), keys }
}

fn limit(input: LogicalPlan, count: i64) -> LogicalPlan {
    LogicalPlan::Limit { input: Box::new(input), limit: Some(big(count)), offset: None, ties: Vec::new() }
}

fn show_expression(expression: &Expression) -> String {
    match expression {
        Expression::Constant { value, .. } => match value {
            Datum::Text(text) => format!("'{text}'"),
            Datum::BigInt(value) => value.to_string(),
            Datum::Integer(value) => value.to_string(),
            other => format!("{other:?}"),
        },
        Expression::Input { index, .. } => format!("#{index}"),
        Expression::Parameter { index, .. } => format!("${}", index + 1),
        Expression::Call { function, arguments, .. } => {
            let arguments: Vec<String> = arguments.iter().map(show_expression).collect();
            arguments.join(&format!(" {} ", function.name))
        }
        Expression::Cast { input, target, .. } => format!("{}::{target}", show_expression(input)),
        Expression::And(terms) => terms.iter().map(show_expression).collect::<Vec<_>>().join(" and "),
        other => format!("{other:?}"),
    }
}

fn show_list(list: &[Expression]) -> String {
    list.iter().map(show_expression).collect::<Vec<_>>().join(", ")
}

fn show_output(output: &ScanOutput) -> String {
    let row_id = if output.row_id { " row_id" } else { "" };
    let predicate = output.predicate.as_ref().map(|p| format!(" if {}", show_expression(p)));
    format!("{:?}{row_id}{}", output.columns, predicate.unwrap_or_default())
}

fn show_range(lower: Option<&KeyBound>, upper: Option<&KeyBound>, backward: bool) -> String {
    let end = |bound: Option<&KeyBound>, open: &str, closed: &str| {
        bound.map_or("-".into(), |bound| {
            format!("{}{}", if bound.inclusive { closed } else { open }, show_list(&bound.values))
        })
    };
    format!("{}..{}{}", end(lower, ">", ">="), end(upper, "<", "<="), if backward { " backward" } else { "" })
}

fn show(node: &PhysicalNode) -> String {
    match &node.operator {
        Operator::TableScan { lower, upper, backward, output, .. } => {
            format!("scan {} {}", show_range(lower.as_ref(), upper.as_ref(), *backward), show_output(output))
        }
        Operator::IndexScan { index, equal, lower, upper, backward, output, .. } => format!(
            "index {index} ({}) {} {}",
            show_list(equal),
            show_range(lower.as_ref(), upper.as_ref(), *backward),
            show_output(output)
        ),
        Operator::RowIdLookup { row_id, output, .. } => {
            format!("row {} {}", show_expression(row_id), show_output(output))
        }
        Operator::UniqueLookup { index, key, output, .. } => {
            format!("unique {index} ({}) {}", show_list(key), show_output(output))
        }
        Operator::Values { rows, .. } => format!("values {}", rows.len()),
        Operator::Filter { input, predicate } => {
            format!("filter {} < {}", show_expression(predicate), show(input))
        }
        Operator::Project { input, expressions } => {
            format!("project {} < {}", show_list(expressions), show(input))
        }
        Operator::HashAggregate { input, groups, aggregates } => {
            format!("hash {} +{} < {}", show_list(groups), aggregates.len(), show(input))
        }
        Operator::Sort { input, .. } => format!("sort < {}", show(input)),
        Operator::TopN { input, limit, .. } => {
            format!("top {} < {}", show_expression(limit), show(input))
        }
        Operator::Limit { input, limit, .. } => {
            format!("limit {} < {}", show_list(limit.as_slice()), show(input))
        }
        Operator::Insert { input, .. } => format!("insert < {}", show(input)),
        Operator::Update { input, recheck, assignments, .. } => {
            let values: Vec<String> =
                assignments.iter().map(|(c, value)| format!("{c}={}", show_expression(value))).collect();
            format!("update {} recheck {} < {}", values.join(", "), show_recheck(recheck), show(input))
        }
        Operator::Delete { input, recheck, .. } => {
            format!("delete recheck {} < {}", show_recheck(recheck), show(input))
        }
        other => format!("{other:?}"),
    }
}

fn planned(plan: LogicalPlan, rows: u64, expected: &str) {
    let plan = optimize(plan, &[], &Rows(rows)).unwrap();
    assert_eq!(show(&plan.root), expected);
}

#[test]
fn a_key_is_looked_up_and_only_needed_columns_are_read() {
    let id = |value| compare(col(0), "=", value);
    planned(project(filter(scan(), vec![id(big(7))]), &[3]), 0, "row 7 [3]");
    planned(project(filter(scan(), vec![id(parameter(DataType::BigInt))]), &[3, 1]), 0, "row $1 [3, 1]");
    planned(filter(scan(), vec![compare(big(7), "=", col(0))]), 0, "row 7 [0, 1, 2, 3]");
    let age = compare(col(3), "=", int(30));
    planned(project(filter(scan(), vec![age, id(big(7))]), &[1]), 0, "project #0 < row 7 [1, 3] if #1 = 30");
    let email = compare(col(1), "=", text("a"));
    planned(project(filter(scan(), vec![email]), &[0]), 0, "unique 0 ('a') [0]");
}

#[test]
fn ranges_become_bounds_and_exact_ones_only() {
    let both = vec![compare(col(0), ">", big(5)), compare(col(0), "<=", big(9))];
    planned(project(filter(scan(), both), &[0]), 0, "scan >5..<=9 [0]");
    let org = vec![compare(col(2), "=", int(3)), compare(col(3), ">=", int(18))];
    planned(project(filter(scan(), org), &[0]), 1_000_000, "index 1 (3) >=18..- [0]");
    // A bigint that fits is an integer key; one that does not stays a condition.
    let fits = vec![compare(widen(col(2)), "=", big(3))];
    planned(project(filter(scan(), fits), &[0]), 1_000_000, "index 1 (3) -..- [0]");
    let beyond = vec![compare(widen(col(2)), "=", big(1 << 40))];
    planned(
        project(filter(scan(), beyond), &[0]),
        1_000_000,
        "project #0 < scan -..- [0, 2] if #1::bigint = 1099511627776",
    );
    // A third of a table is read faster from end to end.
    let wide = vec![compare(col(2), ">", int(3))];
    planned(project(filter(scan(), wide), &[2]), 1_000_000, "scan -..- [2] if #0 > 3");
    // double precision compares otherwise than bigint: the key cannot answer.
    let number = Expression::Constant { value: Datum::Double(7.5), data_type: DataType::Double };
    let double = Expression::Cast {
        input: Box::new(col(0)),
        target: DataType::Double.into(),
        explicit: false,
        position: 0,
    };
    planned(
        project(filter(scan(), vec![compare(double, "=", number)]), &[0]),
        0,
        "scan -..- [0] if #0::double precision = Double(7.5)",
    );
}

#[test]
fn an_order_that_the_scan_has_is_not_sorted() {
    planned(project(sort(scan(), &[(0, true)]), &[0]), 0, "scan -..- backward [0]");
    planned(
        limit(project(sort(scan(), &[(0, false)]), &[1]), 3),
        0,
        "project #0 < limit 3 < scan -..- [1, 0]",
    );
    let org = || filter(scan(), vec![compare(col(2), "=", int(3))]);
    // Backward: the index has age descending with NULLs last, which backward is ascending with NULLs first.
    let nulls_differ = sort(org(), &[(3, false)]);
    planned(limit(project(nulls_differ, &[0]), 5), 1_000_000, "project #0 < top 5 < index 1 (3) -..- [0, 3]");
    let LogicalPlan::Sort { input, mut keys } = sort(org(), &[(3, true)]) else { panic!("no sort") };
    keys[0].nulls_first = false;
    let plan = limit(project(LogicalPlan::Sort { input, keys }, &[0, 3]), 5);
    planned(plan, 1_000_000, "limit 5 < index 1 (3) -..- [0, 3]");
    // Equal entries lie by row id.
    let LogicalPlan::Sort { input, mut keys } = sort(org(), &[(3, true), (0, false)]) else {
        panic!("no sort")
    };
    keys[0].nulls_first = false;
    let plan = limit(project(LogicalPlan::Sort { input, keys }, &[0, 3]), 5);
    planned(plan, 1_000_000, "limit 5 < index 1 (3) -..- [0, 3]");
    planned(project(sort(scan(), &[(3, false)]), &[3]), 0, "sort < scan -..- [3]");
    planned(project(limit(sort(scan(), &[(3, false)]), 2), &[3]), 0, "top 2 < scan -..- [3]");
}

#[test]
fn filters_move_below_projections_and_never_true_ones_read_nothing() {
    let inner = project(scan(), &[0, 3]);
    let outer = LogicalPlan::Filter {
        input: Box::new(inner),
        predicate: compare(
            Expression::Column { id: ColumnId(100), data_type: DataType::BigInt },
            "=",
            big(4),
        ),
    };
    planned(outer, 0, "row 4 [0, 3]");
    let never = Expression::Constant { value: Datum::Null, data_type: DataType::Boolean };
    planned(project(filter(scan(), vec![never, compare(col(0), "=", big(1))]), &[0]), 0, "values 0");
    let above_limit = filter(limit(scan(), 1), vec![compare(col(0), "=", big(4))]);
    planned(above_limit, 0, "filter #0 = 4 < limit 1 < scan -..- [0, 1, 2, 3]");
}

fn show_recheck(recheck: &PhysicalRecheck) -> String {
    match recheck {
        PhysicalRecheck::Always => String::new(),
        PhysicalRecheck::Condition(condition) => show_expression(condition),
        PhysicalRecheck::Plan { plan, .. } => format!("({})", show(plan)),
    }
}

#[test]
fn changes_read_whole_rows_with_their_id_and_check_the_condition_again() {
    let rows = || LogicalPlan::Scan {
        table: table(),
        columns: columns(),
        computed: Arc::default(),
        row_id: Some(output(99, "row id", DataType::BigInt)),
    };
    let input = || Box::new(filter(rows(), vec![compare(col(0), "=", big(7)), compare(col(3), ">", int(1))]));
    let update = LogicalPlan::Update {
        table: table(),
        input: input(),
        old_columns: columns(),
        row_id: ColumnId(99),
        assignments: vec![(3, col(2))],
        recheck: Recheck::default(),
        checks: Vec::new(),
        new_columns: columns(),
        returning: None,
        computed: Arc::default(),
        references: None,
    };
    let plan = optimize(update, &[], &Rows(0)).unwrap();
    assert_eq!(
        show(&plan.root),
        "update 3=#2 recheck #0 = 7 and #3 > 1 < row 7 [0, 1, 2, 3] row_id if #3 > 1"
    );
    assert!(plan.short_path);
    let scan = LogicalPlan::Delete {
        table: table(),
        input: Box::new(rows()),
        old_columns: columns(),
        row_id: ColumnId(99),
        recheck: Recheck::default(),
        returning: None,
        computed: Arc::default(),
        references: None,
    };
    let plan = optimize(scan, &[], &Rows(0)).unwrap();
    assert_eq!(show(&plan.root), "delete recheck  < scan -..- [0, 1, 2, 3] row_id");
    assert!(!plan.short_path);
}

#[test]
fn distinct_groups_by_all_columns_and_wide_lists_plan_on_a_small_stack() {
    let distinct = LogicalPlan::Distinct { input: Box::new(project(scan(), &[3, 2])) };
    planned(distinct, 0, "hash #0, #1 +0 < scan -..- [3, 2]");
    let thread = std::thread::Builder::new().stack_size(128 << 10).spawn(|| {
        let terms = (0..10_000).map(|value| compare(col(3), "=", int(value))).collect();
        let plan = project(filter(scan(), vec![Expression::Or(terms)]), &[0]);
        let plan = optimize(plan, &[], &Rows(0)).unwrap();
        assert!(matches!(plan.root.operator, Operator::Project { .. }));
    });
    thread.unwrap().join().unwrap();
}

#[test]
fn the_order_of_a_limited_subquery_is_not_taken_for_the_one_above_it() {
    let least = |descending| limit(sort(scan(), &[(0, descending)]), 2);
    planned(project(sort(least(true), &[(0, false)]), &[0]), 0, "sort < limit 2 < scan -..- backward [0]");
    planned(
        project(sort(least(false), &[(3, false)]), &[0]),
        0,
        "project #0 < sort < limit 2 < scan -..- [0, 3]",
    );
    planned(project(sort(least(false), &[(0, false)]), &[0]), 0, "limit 2 < scan -..- [0]");
}
