//! Statements and their rewritten plans.

use super::*;
use crate::catalog::snapshot::CatalogSnapshot;
use crate::common::arena::Arena;
use crate::sql::binder::bound::{BindOptions, BoundStatement};
use crate::sql::binder::{bind, fixture, tests::printer::Printer};
use crate::sql::parser::parse;

fn tables() -> CatalogSnapshot {
    fixture::catalog(&[
        "CREATE TABLE r (a int, b int, c int)",
        "CREATE TABLE s (a int, b int, c int)",
        "CREATE TABLE k (id bigint PRIMARY KEY, a int NOT NULL, b int)",
    ])
}

fn rewritten_over(catalog: &CatalogSnapshot, sql: &str) -> Result<LogicalPlan> {
    let arena = Arena::new();
    let statements = parse(sql, &arena)?;
    match bind(&statements[0].statement, catalog, &BindOptions::new(sql))? {
        BoundStatement::Query { plan, parameters, .. } => Ok(rewrite(plan, &parameters)?.plan),
        other => panic!("no query: {other:?}"),
    }
}

#[test]
fn show_file() {
    let Ok(path) = std::env::var("SHOW_SQL") else { return };
    let schema = std::env::var("SHOW_SCHEMA").unwrap();
    let schema = std::fs::read_to_string(schema).unwrap();
    let definitions: Vec<&str> = schema.split(';').filter(|text| !text.trim().is_empty()).collect();
    let catalog = fixture::catalog(&definitions);
    for sql in std::fs::read_to_string(path).unwrap().split(';').filter(|text| !text.trim().is_empty()) {
        println!("--- {}", sql.trim());
        match rewritten_over(&catalog, sql) {
            Ok(plan) => {
                references::each_node(&plan, &mut |node| {
                    if let LogicalPlan::Join { left, right, .. } = node
                        && references::plan_uses_any(right, &references::output_set(left))
                    {
                        println!("DEPENDENT");
                    }
                });
                println!("{}", Printer::default().plan(&plan));
            }
            Err(error) => println!("ERROR {error}"),
        }
    }
}
