//! TPC-C's random numbers, names and texts (clauses 2.1.6, 4.3.2). Knows no table.

use crate::random::Random;

/// Uniform from `low` to `high`, both included.
pub fn between(random: &mut Random, low: i64, high: i64) -> i64 {
    low + random.below((high - low + 1) as u64) as i64
}

/// Not uniform: NURand(`a`, `low`, `high`).
pub fn uneven(random: &mut Random, a: i64, low: i64, high: i64) -> i64 {
    /// The run-time constant of all three uses.
    const C: i64 = 123;
    let both = between(random, 0, a) | between(random, low, high);
    (both + C) % (high - low + 1) + low
}

pub fn customer(random: &mut Random, customers: i64) -> i64 {
    uneven(random, 1023, 1, customers)
}

pub fn item(random: &mut Random, items: i64) -> i64 {
    uneven(random, 8191, 1, items)
}

const SYLLABLES: [&str; 10] =
    ["BAR", "OUGHT", "ABLE", "PRI", "PRES", "ESE", "ANTI", "CALLY", "ATION", "EING"];

/// The last name of a number below a thousand.
pub fn last_name(number: i64) -> String {
    [number / 100, number / 10 % 10, number % 10].map(|digit| SYLLABLES[digit as usize]).concat()
}

/// The number of a last name that some of so many customers have.
pub fn name_number(random: &mut Random, customers: i64) -> i64 {
    uneven(random, 255, 0, customers.min(1000) - 1)
}

/// Letters to cut texts out of, made once.
pub struct Letters(String);

impl Letters {
    const COUNT: usize = 1 << 16;

    pub fn new() -> Letters {
        Letters(crate::random::text(4711, Letters::COUNT))
    }

    /// From `low` to `high` letters.
    pub fn text(&self, random: &mut Random, low: i64, high: i64) -> &str {
        let length = between(random, low, high) as usize;
        let start = random.below((Letters::COUNT - length) as u64) as usize;
        &self.0[start..start + length]
    }
}
