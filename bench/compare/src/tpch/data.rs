//! Writes the `.tbl` files, without the bar that ends each line: what every engine's CSV reader takes.

use super::TABLES;
use std::fmt::Display;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator, PartSuppGenerator,
    RegionGenerator, SupplierGenerator,
};

fn table(folder: &Path, name: &str, rows: impl Iterator<Item = impl Display>) -> std::io::Result<u64> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(folder.join(format!("{name}.tbl")))?);
    let mut count = 0;
    for row in rows {
        writeln!(out, "{}", row.to_string().trim_end_matches('|'))?;
        count += 1;
    }
    out.flush()?;
    Ok(count)
}

pub fn write(folder: &Path, scale: f64) -> std::io::Result<u64> {
    let [region, nation, part, supplier, partsupp, customer, orders, lineitem] = TABLES;
    Ok(table(folder, region, RegionGenerator::default().iter())?
        + table(folder, nation, NationGenerator::default().iter())?
        + table(folder, part, PartGenerator::new(scale, 1, 1).iter())?
        + table(folder, supplier, SupplierGenerator::new(scale, 1, 1).iter())?
        + table(folder, partsupp, PartSuppGenerator::new(scale, 1, 1).iter())?
        + table(folder, customer, CustomerGenerator::new(scale, 1, 1).iter())?
        + table(folder, orders, OrderGenerator::new(scale, 1, 1).iter())?
        + table(folder, lineitem, LineItemGenerator::new(scale, 1, 1).iter())?)
}
