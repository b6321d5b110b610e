//! The list of statements says what is so: against the parser, and by running every example.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use lumos_core::common::arena::Arena;
use lumos_core::database::Database;
use lumos_core::database::options::DatabaseOptions;
use lumos_core::session::statements::{STATEMENTS, Support};
use lumos_core::session::{CopyDirection, Session};
use lumos_core::sql::lexer::keyword::Keyword;
use lumos_core::sql::parser;

fn session() -> Session {
    Database::open(None, DatabaseOptions::default()).unwrap().connect().unwrap()
}

/// Runs every statement of a text; rows are dropped.
fn run(session: &mut Session, text: &str) -> lumos_core::error::Result<()> {
    let mut rest = text;
    while let (Some(statement), taken) = session.prepare(rest)? {
        if statement.copy_direction() == Some(CopyDirection::Out) {
            session.copy_out(&rest[..taken], &mut |_| Ok(()))?;
            rest = &rest[taken..];
            continue;
        }
        let mut portal = session.execute(&statement, &[])?;
        while session.fetch(&mut portal)?.is_some() {}
        session.close(portal);
        rest = &rest[taken..];
    }
    Ok(())
}

#[test]
fn every_example_does_what_the_list_says() {
    let mut session = session();
    for statement in STATEMENTS.iter().filter(|statement| statement.support == Support::Works) {
        if let Err(error) = run(&mut session, statement.example) {
            panic!("{} is listed as working: {error}\n{}", statement.name, statement.example);
        }
        assert!(!statement.documentation.is_empty() && !statement.syntax.is_empty(), "{}", statement.name);
    }
    // In a session of their own, since an error ends a block.
    let mut session = self::session();
    session.execute_script("CREATE TABLE people (id int PRIMARY KEY, name text, born date)").unwrap();
    for statement in STATEMENTS.iter().filter(|statement| statement.support == Support::Refused) {
        let error = match run(&mut session, statement.example) {
            Err(error) => error,
            Ok(()) => panic!("{} works: list it so, and run `make docs`", statement.name),
        };
        assert_eq!(error.state().as_str(), "0A000", "{}: {error}", statement.name);
        assert!(error.position().is_some(), "{}: {error} has no place", statement.name);
    }
}

#[test]
fn every_word_that_starts_a_statement_is_on_the_list() {
    let arena = Arena::new();
    let listed = |word: &str| {
        STATEMENTS.iter().any(|statement| {
            let texts = [statement.name, statement.example, statement.syntax];
            texts.iter().any(|text| {
                text.split(|letter: char| !letter.is_ascii_alphanumeric())
                    .any(|found| found.eq_ignore_ascii_case(word))
            })
        })
    };
    let mut starts = 0;
    for keyword in Keyword::all() {
        let word = keyword.text();
        let is_start = match parser::parse(word, &arena) {
            Ok(_) => true,
            // Whoever does not start a statement is refused where it stands.
            Err(error) => !(error.position() == Some(0) && error.state().as_str() == "42601"),
        };
        starts += usize::from(is_start);
        assert!(!is_start || listed(word), "{word} starts a statement that is not on the list");
    }
    assert!(starts > 30, "only {starts} words start a statement");
}

#[test]
fn names_are_listed_once() {
    let mut names: Vec<&str> = STATEMENTS.iter().map(|statement| statement.name).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
}
