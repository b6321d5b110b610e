//! TPC-H beside DuckDB and SQLite, each through its C interface: the same lines of `.tbl`, one thread, hot, every
//! value of every row read, and what was read compared. Everyone ran ANALYZE. SQLite has indexes on
//! what the queries join by and is measured beside a Lumos that has them too; DuckDB beside one without them.

mod data;
pub mod duckdb;
mod lumos;
mod sqlite;

use std::path::Path;
use std::time::Instant;

/// What a result adds up to: rows, NULLs, the sum of its numbers, and a hash of its texts that their order counts in.
#[derive(Clone, Copy, Default, Debug)]
pub struct Sum {
    pub rows: u64,
    nulls: u64,
    numbers: f64,
    texts: u64,
}

impl Sum {
    pub fn number(&mut self, value: f64) {
        self.numbers += value;
    }

    pub fn null(&mut self) {
        self.nulls += 1;
    }

    /// Blanks at the end do not count: not every engine pads char(n).
    pub fn text(&mut self, bytes: &[u8]) {
        let length = bytes.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1);
        for byte in &bytes[..length] {
            self.texts = (self.texts ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
        }
        self.texts = self.texts.rotate_left(7) ^ length as u64;
    }

    pub fn is_same(&self, other: &Sum) -> bool {
        let close =
            |left: f64, right: f64| (left - right).abs() <= 1e-6 * left.abs().max(right.abs()).max(1.0);
        (self.rows, self.nulls, self.texts) == (other.rows, other.nulls, other.texts)
            && close(self.numbers, other.numbers)
    }
}

/// One engine with the data.
pub trait Side {
    fn name(&self) -> String;
    /// Makes and fills the tables from `TABLE.tbl` in `folder`.
    fn load(&mut self, folder: &Path, schema: &str) -> Result<(), String>;
    /// Runs the statements and reads every value.
    fn run(&mut self, sql: &str) -> Result<Sum, String>;
}

pub const TABLES: [&str; 8] =
    ["region", "nation", "part", "supplier", "partsupp", "customer", "orders", "lineitem"];

const INDEXES: &str = "
    CREATE INDEX nation_region ON nation (n_regionkey);
    CREATE INDEX supplier_nation ON supplier (s_nationkey);
    CREATE INDEX customer_nation ON customer (c_nationkey);
    CREATE INDEX partsupp_supplier ON partsupp (ps_suppkey);
    CREATE INDEX orders_customer ON orders (o_custkey);
    CREATE INDEX orders_date ON orders (o_orderdate);
    CREATE INDEX lineitem_part ON lineitem (l_partkey, l_suppkey);
    CREATE INDEX lineitem_supplier ON lineitem (l_suppkey);
    CREATE INDEX lineitem_shipdate ON lineitem (l_shipdate);";

const QUERIES: usize = 22;

/// The sides that are Lumos: without and with indexes.
const PLAIN: usize = 0;
const INDEXED: usize = 1;

/// The queries in SQLite's words: the set at the end of the statements that the parser is measured with.
fn sqlite_queries() -> Vec<&'static str> {
    let text = include_str!("../../../parser/statements.sql");
    let set = text.split("-- set: x-tpch-sqlite\n").nth(1).unwrap_or("");
    let set = set.split("-- set:").next().unwrap_or("");
    set.split_inclusive(";\n").map(str::trim).filter(|text| !text.is_empty()).collect()
}

fn geometric_mean(ratios: &[f64]) -> f64 {
    (ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len().max(1) as f64).exp()
}

fn median(times: &[f64]) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Runs everything and prints it.
pub fn run(directory: &Path, scale: f64, runs: usize) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/tpch");
    let folder = directory.join("tpch");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder for the data");
    let rows = data::write(&folder, scale).expect("the generator's lines fit the disk");
    let schema = std::fs::read_to_string(root.join("schema.sql")).expect("tests/tpch/schema.sql");
    println!("tpch: scale {scale}, {rows} rows, one thread, {runs} interleaved runs of each query, medians");

    let mut sides: Vec<Box<dyn Side>> = vec![
        Box::new(lumos::Lumos::open(&folder.join("data.lumos"), false)),
        Box::new(lumos::Lumos::open(&folder.join("indexed.lumos"), true)),
    ];
    match duckdb::DuckDb::open(&folder.join("data.duckdb")) {
        Ok(duckdb) => sides.push(Box::new(duckdb)),
        Err(why) => println!("no DuckDB: {why}"),
    }
    sides.push(Box::new(sqlite::Sqlite::open(&folder.join("data.sqlite"))));
    for side in &mut sides {
        let started = Instant::now();
        match side.load(&folder, &schema) {
            Ok(()) => println!("{:<28} loaded in {:.2} s", side.name(), started.elapsed().as_secs_f64()),
            Err(why) => {
                println!("{}: cannot load: {why}", side.name());
                return;
            }
        }
    }
    let in_sqlite = sqlite_queries();
    let names: Vec<String> = sides.iter().map(|side| side.name()).collect();
    let beside = |index: usize| if names[index].starts_with("sqlite") { INDEXED } else { PLAIN };
    print!("{:<5}", "query");
    for name in &names {
        print!(" {:>14}", name.split(' ').next().unwrap_or(name));
    }
    println!("  rows, ratio of lumos (beside sqlite: lumos+i) to each peer (its time is 1)");
    // Ratios and totals per peer, over the queries that both ran.
    let mut ratios: Vec<Vec<f64>> = vec![Vec::new(); sides.len()];
    let mut totals: Vec<(f64, f64)> = vec![(0.0, 0.0); sides.len()];
    let mut failed = 0;
    for number in 1..=QUERIES {
        let text = std::fs::read_to_string(root.join(format!("queries/q{number:02}.sql"))).expect("a query");
        let mut times: Vec<Vec<f64>> = vec![Vec::new(); sides.len()];
        let mut sums: Vec<Result<Sum, String>> = Vec::new();
        for run in 0..=runs {
            for (index, side) in sides.iter_mut().enumerate() {
                if sums.get(index).is_some_and(Result::is_err) {
                    continue;
                }
                let is_sqlite = names[index].starts_with("sqlite");
                let sql = if is_sqlite { in_sqlite.get(number - 1).copied().unwrap_or("") } else { &text };
                let started = Instant::now();
                let sum = side.run(sql);
                // The first round warms up.
                if run > 0 {
                    times[index].push(started.elapsed().as_secs_f64());
                } else {
                    sums.push(sum);
                }
            }
        }
        print!("q{number:02}  ");
        for (sum, times) in sums.iter().zip(&times) {
            match sum {
                Ok(_) => print!(" {:>11.2} ms", median(times) * 1e3),
                Err(_) => print!(" {:>14}", "-"),
            }
        }
        let mut notes = String::new();
        match &sums[0] {
            Ok(ours) => {
                notes.push_str(&format!("  {}", ours.rows));
                failed +=
                    sums.get(INDEXED).is_none_or(|sum| !matches!(sum, Ok(sum) if sum.is_same(ours))) as u32;
                for (index, theirs) in sums.iter().enumerate().skip(INDEXED + 1) {
                    let Ok(theirs) = theirs else { continue };
                    let (our_time, their_time) = (median(&times[beside(index)]), median(&times[index]));
                    notes.push_str(&format!(", {:.2}", our_time / their_time));
                    if ours.is_same(theirs) {
                        ratios[index].push(our_time / their_time);
                        totals[index].0 += our_time;
                        totals[index].1 += their_time;
                    } else {
                        failed += 1;
                        notes.push_str(&format!(" ERROR: {ours:?} is not {theirs:?}"));
                    }
                }
            }
            Err(_) => failed += 1,
        }
        println!("{notes}");
        for (name, sum) in names.iter().zip(&sums) {
            if let Err(why) = sum {
                println!("      {name}: {why}");
            }
        }
    }
    for index in INDEXED + 1..sides.len() {
        println!(
            "{} beside {}: {} of {QUERIES} queries compared, geometric mean of times {:.2} x, total {:.1} ms to {:.1} ms = {:.2} x",
            names[beside(index)],
            names[index],
            ratios[index].len(),
            geometric_mean(&ratios[index]),
            totals[index].0 * 1e3,
            totals[index].1 * 1e3,
            totals[index].0 / totals[index].1,
        );
    }
    println!(
        "{failed} failed; floors: geometric mean 15 x DuckDB's, total 1.0 x SQLite's; goals: 5 x and 0.33 x"
    );
    drop(sides);
    let _ = std::fs::remove_dir_all(&folder);
}
