//! O7: YCSB's workloads A, B and C: rows of a kilobyte, read whole and updated by keys of a scrambled Zipf
//! distribution.

use super::accounts::verdict;
use super::clients::Workload;
use super::row::{Floor, Row, compare};
use super::sides::{OfEach, Sides, Table};
use super::{Bench, CLASSES};
use crate::random::{Checksum, Random, text};
use crate::side::{Class, Connection, Failure, Handle, Value};
use std::io::Write;

const READ: &str = "SELECT * FROM usertable WHERE ycsb_key = $1";
const UPDATE: &str = "UPDATE usertable SET field0 = $2 WHERE ycsb_key = $1";
const CHECK: &str = "SELECT count(*), sum(length(field0)), sum(ycsb_key) FROM usertable";

const COLUMNS: &str = "ycsb_key BIGINT PRIMARY KEY, field0 TEXT NOT NULL, field1 TEXT NOT NULL, \
     field2 TEXT NOT NULL, field3 TEXT NOT NULL, field4 TEXT NOT NULL, field5 TEXT NOT NULL, \
     field6 TEXT NOT NULL, field7 TEXT NOT NULL, field8 TEXT NOT NULL, field9 TEXT NOT NULL";

const FIELDS: usize = 10;
const LETTERS: usize = 100;
/// How uneven: YCSB's own.
const THETA: f64 = 0.99;
/// Reads whose answers are compared before anything is timed.
const COMPARED: usize = 2000;

/// Ranks of a Zipf distribution, the most frequent first (Gray et al., "Quickly generating billion-record synthetic
/// databases", 1994).
#[derive(Clone, Copy)]
struct Zipf {
    count: f64,
    zeta: f64,
    eta: f64,
}

impl Zipf {
    fn new(count: i64) -> Zipf {
        let zeta = |count: i64| (1..=count).map(|rank| (rank as f64).powf(-THETA)).sum::<f64>();
        let all = zeta(count);
        let count = count as f64;
        let eta = (1.0 - (2.0 / count).powf(1.0 - THETA)) / (1.0 - zeta(2) / all);
        Zipf { count, zeta: all, eta }
    }

    fn rank(&self, random: &mut Random) -> u64 {
        let uniform = (random.next() >> 11) as f64 / (1u64 << 53) as f64;
        let scaled = uniform * self.zeta;
        if scaled < 1.0 {
            0
        } else if scaled < 1.0 + 0.5f64.powf(THETA) {
            1
        } else {
            (self.count * (self.eta * uniform - self.eta + 1.0).powf(1.0 / (1.0 - THETA))) as u64
        }
    }
}

/// FNV-1a of a rank's bytes.
fn scrambled(rank: u64) -> u64 {
    rank.to_le_bytes()
        .iter()
        .fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3))
}

/// Texts of a hundred letters, made before, so that making them is in no figure.
fn texts() -> Vec<String> {
    (1..=4096).map(|seed| text(seed, LETTERS)).collect()
}

struct Ycsb<'a> {
    rows: i64,
    zipf: Zipf,
    texts: &'a [String],
    /// Reads of a hundred operations.
    reads: u64,
}

impl Workload for Ycsb<'_> {
    type State = [Handle; 2];

    fn client<C: Connection>(&self, connection: &mut C, _: usize) -> [Handle; 2] {
        [connection.statement(READ), connection.statement(UPDATE)]
    }

    fn transaction<C: Connection>(
        &self,
        connection: &mut C,
        [read, update]: &mut [Handle; 2],
        random: &mut Random,
        checksum: &mut Checksum,
    ) -> Result<(), Failure> {
        let key = (scrambled(self.zipf.rank(random)) % self.rows as u64) as i64;
        if random.below(100) < self.reads {
            connection.add(*read, &[Value::Integer(key)], checksum)
        } else {
            let text = &self.texts[random.below(self.texts.len() as u64) as usize];
            connection.add(*update, &[Value::Integer(key), Value::Text(text)], checksum)
        }
    }
}

fn usertable<'a>(rows: i64, texts: &'a [String]) -> Table<'a> {
    Table {
        name: "usertable",
        width: 1 + FIELDS,
        columns: COLUMNS,
        is_narrow: false,
        rows: Box::new(move || {
            let (mut keys, mut random) = (0..rows, Random::new(88_172_645_463_325_252));
            Box::new(move |out| {
                let Some(key) = keys.next() else { return false };
                write!(out, "{key}").expect("memory");
                for _ in 0..FIELDS {
                    out.push(b'\t');
                    out.extend_from_slice(texts[random.below(texts.len() as u64) as usize].as_bytes());
                }
                out.push(b'\n');
                true
            })
        }),
        after: &[],
    }
}

pub fn run(bench: &Bench<'_>) {
    let rows = bench.options.rows;
    let sides = Sides::new(bench.options, "transactions-ycsb", bench.postgres.as_ref());
    let texts = texts();
    sides.load("O7", &[usertable(rows, &texts)]);
    let zipf = Zipf::new(rows);
    let letters = LETTERS as i64;
    let expected = vec![rows, rows * letters, rows * (rows - 1) / 2];
    let workloads: [(&str, u64, &[Class], Floor); 3] = [
        ("O7 YCSB C", 100, &[Class::Full], Floor::Sqlite(1.3)),
        ("O7 YCSB B", 95, &[Class::Full, Class::Normal], Floor::Sqlite(1.3)),
        ("O7 YCSB A", 50, &CLASSES, Floor::None),
    ];
    for (name, reads, classes, floor) in workloads {
        let work = || Ycsb { rows, zipf, texts: &texts, reads };
        let compared = if reads == 100 { compare(&sides, &work(), COMPARED) } else { String::new() };
        let workloads = OfEach { lumos: work(), sqlite: work(), postgres: Some(work()) };
        let check = || match &compared {
            text if text.is_empty() => {
                verdict("rows and lengths as expected", &sides.ask(&[CHECK]), &workloads, |_| {
                    expected.clone()
                })
            }
            text => text.clone(),
        };
        for class in classes {
            for &clients in &bench.options.clients {
                let floor = if clients == 1 { floor } else { Floor::None };
                let row = Row { name, class: *class, clients, floor };
                row.measure(bench, &sides, &workloads, &check);
            }
        }
    }
}
