//! TPC-C's rows (clause 4.3.3), in the order of their keys, as lines of COPY's text format. The same on every side.

use super::super::sides::Lines;
use super::random::{Letters, between, last_name, name_number};
use crate::random::Random;
use std::fmt::Write as _;
use std::io::Write as _;

pub const DISTRICTS: i64 = 10;

/// How many rows; below a million `--rows` everything that does not follow from the warehouses shrinks likewise.
#[derive(Clone, Copy)]
pub struct Size {
    pub warehouses: i64,
    pub items: i64,
    /// Of a district; also its orders.
    pub customers: i64,
}

impl Size {
    pub fn new(warehouses: i64, rows: i64) -> Size {
        let part = |whole: i64, least: i64| (whole * rows.min(1_000_000) / 1_000_000).max(least);
        Size { warehouses, items: part(100_000, 1000), customers: part(3000, 30) }
    }

    /// Orders of a district that were delivered.
    pub fn delivered(&self) -> i64 {
        self.customers * 7 / 10
    }

    pub fn orders(&self) -> i64 {
        self.warehouses * DISTRICTS * self.customers
    }
}

/// What rows are made of.
pub struct Source {
    size: Size,
    letters: Letters,
}

/// Writes a table's row of a number from 0, or several; false: there are no more.
pub type Row = fn(&Source, &mut Random, i64, &mut Vec<u8>) -> bool;

const SINCE: &str = "2026-01-01 00:00:00";
/// Cents that a district has taken in before anything runs.
pub const DISTRICT_YTD: i64 = 3_000_000;

impl Source {
    pub fn new(size: Size) -> Source {
        Source { size, letters: Letters::new() }
    }

    /// A run through a table's rows.
    pub fn rows<'a>(&'a self, row: Row) -> Lines<'a> {
        let (mut number, mut random) = (0, Random::new(88_172_645_463_325_252));
        Box::new(move |out| {
            number += 1;
            row(self, &mut random, number - 1, out)
        })
    }

    /// Street, street, city, state, zip.
    fn address(&self, random: &mut Random) -> String {
        let mut text = String::new();
        for _ in 0..3 {
            text.push_str(self.letters.text(random, 10, 20));
            text.push('\t');
        }
        let state = self.letters.text(random, 2, 2);
        write!(text, "{state}\t{:04}11111", random.below(10_000)).expect("memory");
        text
    }

    /// Data that says ORIGINAL in one of ten.
    fn data(&self, random: &mut Random) -> String {
        let mut text = self.letters.text(random, 26, 50).to_owned();
        if random.below(10) == 0 {
            let at = random.below(text.len() as u64 - 8) as usize;
            text.replace_range(at..at + 8, "ORIGINAL");
        }
        text
    }

    /// Warehouse, district and place in it of a number, where each district has `each`.
    fn place(&self, number: i64, each: i64) -> Option<(i64, i64, i64)> {
        let (district, place) = (number / each, number % each);
        let warehouse = district / DISTRICTS;
        (warehouse < self.size.warehouses).then_some((warehouse + 1, district % DISTRICTS + 1, place + 1))
    }

    /// Lines of an order.
    fn lines(&self, warehouse: i64, district: i64, order: i64) -> i64 {
        let key = (warehouse * DISTRICTS + district) * 1_000_003 + order;
        5 + ((key as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as i64 % 11
    }
}

macro_rules! row {
    ($out:expr, $($format:tt)*) => {{
        writeln!($out, $($format)*).expect("memory");
        true
    }};
}

pub fn item(source: &Source, random: &mut Random, number: i64, out: &mut Vec<u8>) -> bool {
    if number >= source.size.items {
        return false;
    }
    let image = between(random, 1, 10_000);
    let name = source.letters.text(random, 14, 24);
    let (price, data) = (between(random, 100, 10_000), source.data(random));
    row!(out, "{}\t{image}\t{name}\t{price}\t{data}", number + 1)
}

pub fn warehouse(source: &Source, random: &mut Random, number: i64, out: &mut Vec<u8>) -> bool {
    if number >= source.size.warehouses {
        return false;
    }
    let name = source.letters.text(random, 6, 10);
    let (address, tax) = (source.address(random), between(random, 0, 2000));
    row!(out, "{}\t{name}\t{address}\t{tax}\t{}", number + 1, DISTRICTS * DISTRICT_YTD)
}

pub fn stock(source: &Source, random: &mut Random, number: i64, out: &mut Vec<u8>) -> bool {
    let (warehouse, item) = (number / source.size.items + 1, number % source.size.items + 1);
    if warehouse > source.size.warehouses {
        return false;
    }
    write!(out, "{warehouse}\t{item}\t{}", between(random, 10, 100)).expect("memory");
    for _ in 0..DISTRICTS {
        write!(out, "\t{}", source.letters.text(random, 24, 24)).expect("memory");
    }
    row!(out, "\t0\t0\t0\t{}", source.data(random))
}

pub fn district(source: &Source, random: &mut Random, number: i64, out: &mut Vec<u8>) -> bool {
    let Some((warehouse, district, _)) = source.place(number, 1) else { return false };
    let name = source.letters.text(random, 6, 10);
    let (address, tax) = (source.address(random), between(random, 0, 2000));
    let next = source.size.customers + 1;
    row!(out, "{warehouse}\t{district}\t{name}\t{address}\t{tax}\t{DISTRICT_YTD}\t{next}")
}

pub fn customer(source: &Source, random: &mut Random, number: i64, out: &mut Vec<u8>) -> bool {
    let Some((warehouse, district, customer)) = source.place(number, source.size.customers) else {
        return false;
    };
    let first = source.letters.text(random, 8, 16);
    let name = if customer <= 1000 { customer - 1 } else { name_number(random, 1000) };
    let (last, address) = (last_name(name), source.address(random));
    let phone = 1_000_000_000_000_000 + random.below(1_000_000_000_000_000);
    let credit = if random.below(10) == 0 { "BC" } else { "GC" };
    let discount = between(random, 0, 5000);
    let data = source.letters.text(random, 300, 500);
    row!(
        out,
        "{warehouse}\t{district}\t{customer}\t{first}\tOE\t{last}\t{address}\t{phone}\t{SINCE}\t{credit}\t5000000\t\
         {discount}\t-1000\t1000\t1\t0\t{data}"
    )
}

pub fn history(source: &Source, random: &mut Random, number: i64, out: &mut Vec<u8>) -> bool {
    let Some((warehouse, district, customer)) = source.place(number, source.size.customers) else {
        return false;
    };
    let data = source.letters.text(random, 12, 24);
    row!(out, "{customer}\t{district}\t{warehouse}\t{district}\t{warehouse}\t{SINCE}\t1000\t{data}")
}

pub fn order(source: &Source, random: &mut Random, number: i64, out: &mut Vec<u8>) -> bool {
    let customers = source.size.customers;
    let Some((warehouse, district, order)) = source.place(number, customers) else { return false };
    // A permutation: the factor is a prime.
    let customer = (order * 1619 + district * 31) % customers + 1;
    let lines = source.lines(warehouse, district, order);
    write!(out, "{warehouse}\t{district}\t{order}\t{customer}\t{SINCE}\t").expect("memory");
    if order <= source.size.delivered() {
        write!(out, "{}", between(random, 1, 10)).expect("memory");
    } else {
        out.extend_from_slice(b"\\N");
    }
    row!(out, "\t{lines}\t1")
}

pub fn new_order(source: &Source, _: &mut Random, number: i64, out: &mut Vec<u8>) -> bool {
    let delivered = source.size.delivered();
    let Some((warehouse, district, place)) = source.place(number, source.size.customers - delivered) else {
        return false;
    };
    row!(out, "{warehouse}\t{district}\t{}", delivered + place)
}

/// All lines of one order at a time.
pub fn order_line(source: &Source, random: &mut Random, number: i64, out: &mut Vec<u8>) -> bool {
    let Some((warehouse, district, order)) = source.place(number, source.size.customers) else {
        return false;
    };
    for line in 1..=source.lines(warehouse, district, order) {
        let item = between(random, 1, source.size.items);
        let info = source.letters.text(random, 24, 24);
        let (delivery, amount) = match order <= source.size.delivered() {
            true => (SINCE, 0),
            false => ("\\N", between(random, 1, 999_999)),
        };
        writeln!(
            out,
            "{warehouse}\t{district}\t{order}\t{line}\t{item}\t{warehouse}\t{delivery}\t5\t{amount}\t{info}"
        )
        .expect("memory");
    }
    true
}
