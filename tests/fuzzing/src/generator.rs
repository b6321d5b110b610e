//! Statements by a grammar: mostly well-formed SQL over the tables of [`crate::body::SCHEMA`], with names that do
//! not exist, types that do not fit and clauses that are not supported among them.

mod change;
mod definition;
mod expression;
mod query;
mod words;

use lumos_core::common::random::Random;
use words::WORDS;

/// Nesting of expressions and queries that the generator goes to by itself.
const DEPTH_MAX: u32 = 5;

/// Writes one text after the other.
pub struct Generator<'r> {
    random: &'r mut Random,
    out: String,
    depth: u32,
}

/// A text of one or more statements.
pub fn text(random: &mut Random) -> String {
    let mut generator = Generator { random, out: String::new(), depth: 0 };
    let statements = if generator.one_in(8) { 1 + generator.below(4) } else { 1 };
    for number in 0..statements {
        if number > 0 {
            generator.put("; ");
        }
        generator.statement();
    }
    generator.out
}

/// A word of SQL, for those who spoil statements.
pub fn word(random: &mut Random) -> &'static str {
    pick(random, &WORDS)
}

fn pick<'a>(random: &mut Random, from: &[&'a str]) -> &'a str {
    from[random.below(from.len() as u64) as usize]
}

impl Generator<'_> {
    fn below(&mut self, bound: u64) -> u64 {
        self.random.below(bound)
    }

    fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }

    fn put(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn pick(&mut self, from: &[&str]) {
        let word = pick(self.random, from);
        self.out.push_str(word);
    }

    /// `before`, and `times` times what `each` writes, with commas.
    fn list(&mut self, times: u64, mut each: impl FnMut(&mut Self)) {
        for number in 0..times {
            if number > 0 {
                self.put(", ");
            }
            each(self);
        }
    }

    fn maybe(&mut self, chances: u64, each: impl FnOnce(&mut Self)) {
        if self.one_in(chances) {
            each(self);
        }
    }

    fn statement(&mut self) {
        match self.below(24) {
            0..=12 => self.query(),
            13 | 14 => self.insert(),
            15 => self.update(),
            16 => self.delete(),
            17 => self.create_table(),
            18 => self.create_index(),
            19 => self.definition(),
            20 => self.control(),
            21 => {
                self.pick(&[
                    "EXPLAIN ",
                    "EXPLAIN ANALYZE ",
                    "EXPLAIN (FORMAT JSON, ANALYZE false) ",
                    "EXPLAIN (nosuch) ",
                ]);
                self.query();
            }
            22 => self.copy(),
            _ => {
                self.query();
                self.pick(&[
                    " FOR UPDATE",
                    " FOR SHARE OF t NOWAIT",
                    " FOR KEY SHARE SKIP LOCKED",
                    " INTO x",
                ]);
            }
        }
    }
}
