//! The sides: each turns a text into a tree and lets it go.

use crate::allocation;
use lumos_core::common::arena::Arena;
use lumos_core::sql::lexer::fingerprint::fingerprint;
use lumos_core::sql::parser;
use sqlparser::dialect::PostgreSqlDialect;
use std::hint::black_box;

pub const LUMOS: &str = "lumos";
pub const LUMOS_FINGERPRINT: &str = "lumos with fingerprint";
pub const SQLPARSER: &str = "sqlparser-rs";
pub const LIBPG_QUERY: &str = "libpg_query";

pub trait Engine {
    fn name(&self) -> &'static str;
    fn accepts(&mut self, statement: &str) -> bool;
    fn run(&mut self, statement: &str);
}

/// As the engine's sessions use it: one arena, reset after each statement.
struct Lumos(Arena);

impl Engine for Lumos {
    fn name(&self) -> &'static str {
        LUMOS
    }

    fn accepts(&mut self, statement: &str) -> bool {
        parser::parse(statement, &Arena::new()).is_ok()
    }

    fn run(&mut self, statement: &str) {
        let _ = black_box(parser::parse_first(black_box(statement), &self.0));
        self.0.reset();
    }
}

struct LumosFingerprint(Arena);

impl Engine for LumosFingerprint {
    fn name(&self) -> &'static str {
        LUMOS_FINGERPRINT
    }

    fn accepts(&mut self, statement: &str) -> bool {
        parser::parse(statement, &Arena::new()).is_ok()
    }

    fn run(&mut self, statement: &str) {
        let _ = black_box(parser::parse_first(black_box(statement), &self.0));
        black_box(fingerprint(statement));
        self.0.reset();
    }
}

struct SqlParser;

impl Engine for SqlParser {
    fn name(&self) -> &'static str {
        SQLPARSER
    }

    fn accepts(&mut self, statement: &str) -> bool {
        sqlparser::parser::Parser::parse_sql(&PostgreSqlDialect {}, statement).is_ok()
    }

    fn run(&mut self, statement: &str) {
        let _ = black_box(sqlparser::parser::Parser::parse_sql(&PostgreSqlDialect {}, black_box(statement)));
    }
}

#[cfg(feature = "libpg_query")]
struct LibPgQuery;

#[cfg(feature = "libpg_query")]
impl Engine for LibPgQuery {
    fn name(&self) -> &'static str {
        LIBPG_QUERY
    }

    fn accepts(&mut self, statement: &str) -> bool {
        pg_query::fingerprint(statement, 0, 0).is_ok()
    }

    /// Its C function parses and fingerprints, without a tree that leaves it.
    fn run(&mut self, statement: &str) {
        let _ = black_box(pg_query::fingerprint(black_box(statement), 0, 0));
    }
}

pub fn all() -> Vec<Box<dyn Engine>> {
    vec![
        Box::new(Lumos(Arena::new())),
        Box::new(SqlParser),
        Box::new(LumosFingerprint(Arena::new())),
        #[cfg(feature = "libpg_query")]
        Box::new(LibPgQuery),
    ]
}

/// Bytes a statement, on average.
pub struct Memory {
    pub lumos_alive: usize,
    pub lumos_allocated: usize,
    /// With an arena that earlier statements have grown.
    pub lumos_reused: usize,
    pub sqlparser_alive: usize,
    pub sqlparser_allocated: usize,
}

pub fn memory(statements: &[&str]) -> Memory {
    let mut sums = [0usize; 5];
    let mut reused = Arena::new();
    for round in 0..2 {
        for statement in statements {
            let (again, _) = allocation::measure(|| parser::parse_first(statement, &reused).is_ok());
            reused.reset();
            if round == 0 {
                continue;
            }
            let arena = Arena::with_capacity(0);
            let (allocated, alive) = allocation::measure(|| parser::parse_first(statement, &arena));
            let (theirs, theirs_alive) = allocation::measure(|| {
                sqlparser::parser::Parser::parse_sql(&PostgreSqlDialect {}, statement)
            });
            for (sum, value) in sums.iter_mut().zip([alive, allocated, again, theirs_alive, theirs]) {
                *sum += value;
            }
        }
    }
    let [lumos_alive, lumos_allocated, lumos_reused, sqlparser_alive, sqlparser_allocated] =
        sums.map(|sum| sum / statements.len().max(1));
    Memory { lumos_alive, lumos_allocated, lumos_reused, sqlparser_alive, sqlparser_allocated }
}
