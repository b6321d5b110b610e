//! The three sides of one group of rows, opened, loaded and asked alike.

use crate::lumos::LumosDatabase;
use crate::postgres::PostgresDatabase;
use crate::side::{Class, Connection, Database};
use crate::sqlite::SqliteDatabase;
use crate::{MEMORY_MIB, Options};
use std::path::PathBuf;
use std::time::Instant;

/// A run through rows, as [`crate::side::Rows`] takes them.
pub type Lines<'a> = Box<dyn FnMut(&mut Vec<u8>) -> bool + 'a>;

/// A table and what it is filled with.
pub struct Table<'a> {
    pub name: &'static str,
    /// How many columns.
    pub width: usize,
    /// What stands between the parentheses of CREATE TABLE.
    pub columns: &'static str,
    /// Rows of a few dozen bytes.
    pub is_narrow: bool,
    /// A new run through its rows.
    pub rows: Box<dyn Fn() -> Lines<'a> + 'a>,
    /// What follows the rows: indexes.
    pub after: &'static [&'static str],
}

/// The sides; a server that is not there is left out.
pub struct Sides<'a> {
    pub lumos: LumosDatabase,
    pub sqlite: SqliteDatabase,
    pub postgres: Option<&'a PostgresDatabase>,
    directory: PathBuf,
}

/// One value of each side.
pub struct OfEach<T> {
    pub lumos: T,
    pub sqlite: T,
    pub postgres: Option<T>,
}

impl<T> OfEach<T> {
    /// Names and values.
    pub fn list(&self) -> Vec<(&'static str, &T)> {
        let mut list = vec![("lumos", &self.lumos), ("sqlite", &self.sqlite)];
        list.extend(self.postgres.as_ref().map(|value| ("postgresql", value)));
        list
    }
}

impl<'a> Sides<'a> {
    pub fn new(options: &Options, name: &str, postgres: Option<&'a PostgresDatabase>) -> Sides<'a> {
        let directory = options.directory.join(name);
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).expect("a folder for the data");
        let memory = format!("{MEMORY_MIB}MB");
        Sides {
            lumos: LumosDatabase::open(&directory.join("data.lumos"), &memory),
            sqlite: SqliteDatabase::open(&directory.join("data.sqlite"), MEMORY_MIB * 1024),
            postgres,
            directory,
        }
    }

    /// Makes and fills the tables on every side, and says how long that took.
    pub fn load(&self, what: &str, tables: &[Table<'_>]) {
        println!("{what}: loading");
        load(&self.lumos, tables);
        load(&self.sqlite, tables);
        if let Some(postgres) = self.postgres {
            load(postgres, tables);
        }
    }

    /// The numbers that every side answers to some questions.
    pub fn ask(&self, questions: &[&'static str]) -> OfEach<Vec<Vec<i64>>> {
        OfEach {
            lumos: ask(&self.lumos, questions),
            sqlite: ask(&self.sqlite, questions),
            postgres: self.postgres.map(|postgres| ask(postgres, questions)),
        }
    }
}

impl Drop for Sides<'_> {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn load<D: Database>(database: &D, tables: &[Table<'_>]) {
    database.enter(Class::Normal);
    let started = Instant::now();
    let mut connection = database.connect(Class::Normal);
    for table in tables {
        connection.execute(&format!("DROP TABLE IF EXISTS {}", table.name));
        connection.create_table(table.name, table.columns, table.is_narrow);
        let mut rows = (table.rows)();
        connection.load(table.name, table.width, &mut rows);
        for sql in table.after {
            connection.execute(sql);
        }
    }
    connection.settle();
    println!("  {:<10} {:.1} s", database.name(), started.elapsed().as_secs_f64());
}

fn ask<D: Database>(database: &D, questions: &[&'static str]) -> Vec<Vec<i64>> {
    let mut connection = database.connect(Class::Normal);
    questions.iter().map(|question| connection.ask(question)).collect()
}
