//! Writes the eight tables of TPC-H as `.tbl` files: `quickstart-data FOLDER [SCALE]`, scale 0.05 by default.

use std::fmt::Display;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator, PartSuppGenerator,
    RegionGenerator, SupplierGenerator,
};

fn write(path: &Path, rows: impl Iterator<Item = impl Display>) -> std::io::Result<u64> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut count = 0;
    for row in rows {
        writeln!(out, "{row}")?;
        count += 1;
    }
    out.flush()?;
    Ok(count)
}

/// Gives the rows of orders and of lineitem.
fn write_all(folder: &Path, scale: f64) -> std::io::Result<(u64, u64)> {
    let file = |name: &str| folder.join(name);
    write(&file("region.tbl"), RegionGenerator::default().iter())?;
    write(&file("nation.tbl"), NationGenerator::default().iter())?;
    write(&file("part.tbl"), PartGenerator::new(scale, 1, 1).iter())?;
    write(&file("supplier.tbl"), SupplierGenerator::new(scale, 1, 1).iter())?;
    write(&file("partsupp.tbl"), PartSuppGenerator::new(scale, 1, 1).iter())?;
    write(&file("customer.tbl"), CustomerGenerator::new(scale, 1, 1).iter())?;
    let orders = write(&file("orders.tbl"), OrderGenerator::new(scale, 1, 1).iter())?;
    let lines = write(&file("lineitem.tbl"), LineItemGenerator::new(scale, 1, 1).iter())?;
    Ok((orders, lines))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let scale = arguments.get(1).map_or(Some(0.05), |text| text.parse().ok());
    let (Some(folder), Some(scale)) = (arguments.first(), scale) else {
        eprintln!("usage: quickstart-data FOLDER [SCALE]");
        return ExitCode::FAILURE;
    };
    let folder = Path::new(folder);
    let written = std::fs::create_dir_all(folder).and_then(|()| write_all(folder, scale));
    match written {
        Ok((orders, lines)) => {
            println!("{orders} orders, {lines} lines at scale {scale}");
            ExitCode::SUCCESS
        }
        Err(cause) => {
            eprintln!("quickstart-data: {}: {cause}", folder.display());
            ExitCode::FAILURE
        }
    }
}
