//! Loads the eight tables.

use lumos_core::error::Result;
use lumos_core::session::Session;
use std::fmt::Display;
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator, PartSuppGenerator,
    RegionGenerator, SupplierGenerator,
};

/// Rows of one INSERT.
const ROWS_A_STATEMENT: usize = 100;

/// Makes the tables and fills them at `scale`, in one transaction; gives the rows of all of them.
/// # Errors
/// What the engine raises.
pub fn load(session: &mut Session, schema: &str, scale: f64) -> Result<u64> {
    session.execute_script(schema)?;
    session.begin(None, false)?;
    let rows = insert(session, "region", RegionGenerator::default().iter())?
        + insert(session, "nation", NationGenerator::default().iter())?
        + insert(session, "part", PartGenerator::new(scale, 1, 1).iter())?
        + insert(session, "supplier", SupplierGenerator::new(scale, 1, 1).iter())?
        + insert(session, "partsupp", PartSuppGenerator::new(scale, 1, 1).iter())?
        + insert(session, "customer", CustomerGenerator::new(scale, 1, 1).iter())?
        + insert(session, "orders", OrderGenerator::new(scale, 1, 1).iter())?
        + insert(session, "lineitem", LineItemGenerator::new(scale, 1, 1).iter())?;
    session.commit()?;
    Ok(rows)
}

/// A row's text is its line of the `.tbl` file: fields that each end with a bar.
fn insert(session: &mut Session, table: &str, rows: impl Iterator<Item = impl Display>) -> Result<u64> {
    let mut text = String::new();
    let mut count = 0u64;
    let mut rows = rows.peekable();
    while rows.peek().is_some() {
        text.clear();
        text.push_str("INSERT INTO ");
        text.push_str(table);
        text.push_str(" VALUES ");
        for (number, row) in rows.by_ref().take(ROWS_A_STATEMENT).enumerate() {
            text.push_str(if number == 0 { "('" } else { ", ('" });
            let line = row.to_string().replace('\'', "''");
            text.push_str(&line.trim_end_matches('|').replace('|', "', '"));
            text.push_str("')");
            count += 1;
        }
        session.execute_script(&text)?;
    }
    Ok(count)
}
