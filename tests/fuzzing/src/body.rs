//! What every input runs through. A body returns a sentence when a promise is broken; a panic breaks one too.

use lumos_core::catalog::snapshot::CatalogSnapshot;
use lumos_core::common::arena::Arena;
use lumos_core::database::Database;
use lumos_core::database::options::{DatabaseOptions, STATEMENT_BYTES_MAX};
use lumos_core::error::{Error, SqlState};
use lumos_core::sql::binder::{self, bound::BindOptions};
use lumos_core::sql::lexer::{Lexer, TokenKind};
use lumos_core::sql::parser;
use std::sync::Arc;

/// The tables that the binder knows: names that the generator uses.
pub const SCHEMA: &str = "
    CREATE TABLE t (id int PRIMARY KEY, a int, b bigint, c text, d double precision, e numeric(10, 2), f date);
    CREATE TABLE u (id bigint PRIMARY KEY, t_id int NOT NULL, name varchar(20), at timestamptz, \"Mixed Case\" bool,
                    span interval, raw bytea, CHECK (t_id > 0));
    CREATE TABLE \"order\" (id int, \"select\" text, small smallint, single real, padded char(3), moment timestamp);
    CREATE INDEX u_name ON u (name, t_id DESC);";

/// A layer that untrusted text reaches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// Bytes to tokens.
    Lexer,
    /// Text to trees.
    Parser,
    /// Trees to plans, against [`SCHEMA`].
    Binder,
}

impl Target {
    /// All of them.
    pub const ALL: [Target; 3] = [Target::Lexer, Target::Parser, Target::Binder];

    /// The target of this name.
    pub fn named(name: &str) -> Option<Target> {
        match name {
            "lexer" => Some(Target::Lexer),
            "parser" => Some(Target::Parser),
            "binder" => Some(Target::Binder),
            _ => None,
        }
    }
}

/// What the bodies need besides the input.
pub struct Bench {
    catalog: Arc<CatalogSnapshot>,
    arena: Arena,
}

impl Bench {
    /// A catalog of [`SCHEMA`].
    /// # Errors
    /// What the engine raises: none of its statements should.
    pub fn new() -> Result<Bench, Error> {
        let mut session = Database::open(None, DatabaseOptions::default())?.connect()?;
        session.execute_script(SCHEMA)?;
        Ok(Bench { catalog: session.definitions(), arena: Arena::new() })
    }

    /// Runs the input through a target.
    /// # Errors
    /// Which promise was broken.
    pub fn run(&mut self, target: Target, input: &[u8]) -> Result<(), String> {
        let text = match parser::check_text(input, STATEMENT_BYTES_MAX) {
            Ok(text) => text,
            Err(error) => return well_placed(&error, &String::from_utf8_lossy(input), input.len()),
        };
        let result = match target {
            Target::Lexer => lex(text),
            Target::Parser => parse(text, &self.arena),
            Target::Binder => bind(text, &self.arena, &self.catalog),
        };
        self.arena.reset();
        result
    }
}

/// Tokens are inside the text, in order, not empty, and end.
fn lex(text: &str) -> Result<(), String> {
    let mut lexer = Lexer::new(text);
    let mut end = 0;
    for _ in 0..=text.len() {
        let token = lexer.next_token();
        if token.kind == TokenKind::End {
            return if token.start as usize == text.len() {
                Ok(())
            } else {
                Err("the end is not at the end".into())
            };
        }
        if (token.start as usize) < end || token.len == 0 {
            return Err(format!("{token:?} after {end} is empty or goes back"));
        }
        end = token.end() as usize;
        if text.get(token.start as usize..end).is_none() {
            return Err(format!("{token:?} splits a character or leaves the text"));
        }
        if token.kind == TokenKind::Invalid {
            well_placed(&lexer.error(token), text, text.len())?;
        }
    }
    Err("more tokens than bytes".into())
}

/// An error is no internal one, and its place is a character of the text.
fn well_placed(error: &Error, text: &str, bytes: usize) -> Result<(), String> {
    if error.state() == SqlState::INTERNAL_ERROR {
        return Err(format!("internal error: {error}"));
    }
    match error.position() {
        Some(position) if position > bytes => Err(format!("{error}: place {position} of {bytes}")),
        Some(position) if text.len() == bytes && !text.is_char_boundary(position) => {
            Err(format!("{error}: place {position} splits a character"))
        }
        _ if error.message().is_empty() => Err(format!("{}: no message", error.state())),
        _ => Ok(()),
    }
}

/// Statements are in order and inside the text; one by one they are the same as all at once.
fn parse(text: &str, arena: &Arena) -> Result<(), String> {
    let all = match parser::parse(text, arena) {
        Ok(all) => all,
        Err(error) => return well_placed(&error, text, text.len()),
    };
    let mut end = 0;
    for statement in &all {
        let (start, stop) = (statement.span.start as usize, statement.span.end as usize);
        if start < end || stop <= start || text.get(start..stop).is_none() {
            return Err(format!("the statement {start}..{stop} after {end} of {}", text.len()));
        }
        end = stop;
    }
    let (mut rest, mut count) = (text, 0);
    while let Some((_, taken)) =
        parser::parse_first(rest, arena).map_err(|error| format!("alone, a statement fails: {error}"))?
    {
        if taken == 0 || !rest.is_char_boundary(taken) {
            return Err(format!("a statement takes {taken} bytes"));
        }
        rest = &rest[taken..];
        count += 1;
    }
    if count != all.len() {
        return Err(format!("{count} statements one by one, {} at once", all.len()));
    }
    Ok(())
}

/// Every statement that parses binds or is refused, at a place.
fn bind(text: &str, arena: &Arena, catalog: &CatalogSnapshot) -> Result<(), String> {
    let Ok(all) = parser::parse(text, arena) else { return Ok(()) };
    for statement in &all {
        if let Err(error) = binder::bind(&statement.statement, catalog, &BindOptions::new(text)) {
            well_placed(&error, text, text.len())?;
            if error.state() == SqlState::FEATURE_NOT_SUPPORTED && error.position().is_none() {
                return Err(format!("{error}: what is not supported has no place"));
            }
        }
    }
    Ok(())
}
