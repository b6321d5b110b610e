//! Writes `orders.tbl` and `lineitem.tbl` of TPC-H: `quickstart-data FOLDER [SCALE]`, scale 0.05 by default.

use std::fmt::Display;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;
use tpchgen::generators::{LineItemGenerator, OrderGenerator};

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

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let scale = arguments.get(1).map_or(Some(0.05), |text| text.parse().ok());
    let (Some(folder), Some(scale)) = (arguments.first(), scale) else {
        eprintln!("usage: quickstart-data FOLDER [SCALE]");
        return ExitCode::FAILURE;
    };
    let folder = Path::new(folder);
    let orders = OrderGenerator::new(scale, 1, 1).iter();
    let lines = LineItemGenerator::new(scale, 1, 1).iter();
    let written = std::fs::create_dir_all(folder).and_then(|()| {
        Ok((write(&folder.join("orders.tbl"), orders)?, write(&folder.join("lineitem.tbl"), lines)?))
    });
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
