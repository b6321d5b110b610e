//! Rewritten plans give what plans give that are left as they were written: generated queries with subqueries,
//! correlated over several levels, over small tables with NULLs and duplicates.

use crate::common::random::Random;
use crate::session::session::Session;
use crate::session::tests::{Fixture, run_with};
use crate::sql::optimizer::MINIMAL_REWRITES;

/// Tables with their columns; all are integers.
const TABLES: &[(&str, &[&str])] =
    &[("r", &["a", "b", "c"]), ("s", &["a", "b", "c"]), ("u", &["a", "b"]), ("k", &["id", "a", "b"])];

fn database(random: &mut Random) -> (Fixture, Session) {
    let mut script = String::from(
        "CREATE TABLE r (a int, b int, c int); CREATE TABLE s (a int, b int, c int); \
         CREATE TABLE u (a int NOT NULL, b int); CREATE TABLE k (id int PRIMARY KEY, a int NOT NULL, b int);",
    );
    for (name, columns) in TABLES {
        let rows = random.below(12);
        for row in 0..rows {
            let values: Vec<String> = columns
                .iter()
                .map(|column| match (*name, *column) {
                    ("k", "id") => row.to_string(),
                    ("u" | "k", "a") => random.below(4).to_string(),
                    _ if random.below(4) == 0 => "NULL".to_owned(),
                    _ => random.below(4).to_string(),
                })
                .collect();
            script += &format!("INSERT INTO {name} VALUES ({});", values.join(", "));
        }
    }
    Fixture::session(&script)
}

/// Writes queries.
struct Generator<'r> {
    random: &'r mut Random,
    /// Names of columns that can be used, innermost query last.
    scopes: Vec<Vec<String>>,
    aliases: usize,
}

impl Generator<'_> {
    fn pick<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[self.random.below(of.len() as u64) as usize]
    }

    fn chance(&mut self, of: u64) -> bool {
        self.random.below(of) == 0
    }

    /// A column of this query.
    fn own(&mut self) -> String {
        let scope = self.scopes.last().expect("a query has a scope");
        scope[self.random.below(scope.len() as u64) as usize].clone()
    }

    /// A column of this query or of one around it.
    fn any(&mut self) -> String {
        let scope = self.random.below(self.scopes.len() as u64) as usize;
        let scope = &self.scopes[scope];
        scope[self.random.below(scope.len() as u64) as usize].clone()
    }

    /// A column of a query around this one, if there is one.
    fn outer(&mut self) -> String {
        if self.scopes.len() < 2 {
            return self.own();
        }
        let scope = self.random.below(self.scopes.len() as u64 - 1) as usize;
        let scope = &self.scopes[scope];
        scope[self.random.below(scope.len() as u64) as usize].clone()
    }

    fn value(&mut self, depth: usize) -> String {
        match self.random.below(9) {
            0 => self.random.below(4).to_string(),
            1 if depth > 0 => format!("({})", self.scalar(depth - 1)),
            2 => format!("{} + {}", self.any(), self.own()),
            3 if depth > 0 => format!(
                "CASE WHEN {} THEN {} ELSE {} END",
                self.predicate(depth - 1),
                self.value(depth - 1),
                self.own()
            ),
            4 if depth > 0 => format!("coalesce({}, {})", self.own(), self.value(depth - 1)),
            _ => self.own(),
        }
    }

    fn comparison(&mut self) -> &'static str {
        self.pick(&["=", "=", "=", "<", ">", "<=", "<>"])
    }

    fn predicate(&mut self, depth: usize) -> String {
        let kinds = if depth > 0 { 15 } else { 6 };
        match self.random.below(kinds) {
            0 => format!("{} IS NULL", self.own()),
            1 => format!("{} IS NOT DISTINCT FROM {}", self.own(), self.outer()),
            2 => format!("({} AND {})", self.predicate(depth / 2), self.predicate(depth / 2)),
            3 => format!("({} OR {})", self.predicate(depth / 2), self.predicate(depth / 2)),
            4 => format!("{} {} {}", self.own(), self.comparison(), self.outer()),
            5 => format!("{} {} {}", self.own(), self.comparison(), self.random.below(4)),
            6 => format!("NOT {}", self.predicate(depth - 1)),
            7 | 8 => format!("EXISTS ({})", self.rows(depth - 1, 1)),
            9 => format!("NOT EXISTS ({})", self.rows(depth - 1, 1)),
            10 => format!("{} IN ({})", self.value(0), self.rows(depth - 1, 1)),
            11 => format!("{} NOT IN ({})", self.value(0), self.rows(depth - 1, 1)),
            12 => {
                let (comparison, quantifier) = (self.comparison(), self.pick(&["ANY", "ALL"]));
                format!("{} {comparison} {quantifier} ({})", self.own(), self.rows(depth - 1, 1))
            }
            13 => format!("({}, {}) IN ({})", self.own(), self.any(), self.rows(depth - 1, 2)),
            _ => format!("{} {} ({})", self.own(), self.comparison(), self.scalar(depth - 1)),
        }
    }

    /// A table, its alias and its columns.
    fn table(&mut self) -> (String, Vec<String>) {
        self.aliases += 1;
        let alias = format!("t{}", self.aliases);
        let (name, columns) = TABLES[self.random.below(TABLES.len() as u64) as usize];
        let columns = columns.iter().map(|column| format!("{alias}.{column}")).collect();
        (format!("{name} {alias}"), columns)
    }

    /// FROM and WHERE; its columns are a new scope.
    fn from(&mut self, depth: usize) -> String {
        let (mut text, mut columns) = self.table();
        let more = self.random.below(5);
        if more == 0 || more == 1 {
            let (table, others) = self.table();
            let kind = self.pick(&["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
            let (left, right) = (
                columns[self.random.below(columns.len() as u64) as usize].clone(),
                others[self.random.below(others.len() as u64) as usize].clone(),
            );
            columns.extend(others);
            let mut condition = format!("{left} = {right}");
            if kind != "FULL JOIN" && self.chance(3) {
                self.scopes.push(columns.clone());
                condition += &format!(" AND {}", self.predicate(depth.min(1)));
                self.scopes.pop();
            }
            text += &format!(" {kind} {table} ON {condition}");
        } else if more == 2 && depth > 0 {
            self.scopes.push(columns.clone());
            let inner = self.rows(depth - 1, 2);
            self.scopes.pop();
            self.aliases += 1;
            let alias = format!("t{}", self.aliases);
            let kind = self.pick(&["CROSS JOIN LATERAL", "LEFT JOIN LATERAL"]);
            let on = if kind.starts_with("LEFT") {
                format!(" ON {} = {alias}.x", columns[0])
            } else {
                String::new()
            };
            text += &format!(" {kind} ({inner}) AS {alias}(x, y){on}");
            columns.extend([format!("{alias}.x"), format!("{alias}.y")]);
        }
        self.scopes.push(columns);
        let mut terms = Vec::new();
        if self.scopes.len() > 1 && !self.chance(4) {
            terms.push(format!("{} = {}", self.own(), self.outer()));
        }
        for _ in 0..self.random.below(3) {
            terms.push(self.predicate(depth));
        }
        if terms.is_empty() { text } else { format!("{text} WHERE {}", terms.join(" AND ")) }
    }

    /// A query of `width` integer columns.
    fn rows(&mut self, depth: usize, width: usize) -> String {
        let text = match self.random.below(12) {
            0 if depth > 0 => {
                let operation =
                    self.pick(&["UNION", "UNION ALL", "INTERSECT", "EXCEPT", "INTERSECT ALL", "EXCEPT ALL"]);
                return format!(
                    "{} {operation} {}",
                    self.simple(depth - 1, width),
                    self.simple(depth - 1, width)
                );
            }
            1 => {
                let from = self.from(depth);
                let (group, aggregate, other) = (self.own(), self.aggregate(), self.aggregate());
                let mut list = vec![group.clone(), aggregate];
                list.truncate(width);
                let having = if self.chance(2) { format!(" HAVING {other} > 1") } else { String::new() };
                format!("SELECT {} FROM {from} GROUP BY {group}{having}", list.join(", "))
            }
            2 => {
                let from = self.from(depth);
                let list: Vec<String> = (0..width).map(|_| self.aggregate()).collect();
                let having =
                    if self.chance(3) { format!(" HAVING {} > 1", self.aggregate()) } else { String::new() };
                format!("SELECT {} FROM {from}{having}", list.join(", "))
            }
            3 => {
                let from = self.from(depth);
                let list: Vec<String> = (0..width).map(|_| self.own()).collect();
                let order: Vec<String> = (1..=width).map(|column| column.to_string()).collect();
                let rows = 1 + self.random.below(2);
                format!("SELECT {} FROM {from} ORDER BY {} LIMIT {rows}", list.join(", "), order.join(", "))
            }
            4 => {
                let list: Vec<String> = (0..width).map(|_| self.any_or("1")).collect();
                let text = format!("SELECT {}", list.join(", "));
                return text;
            }
            5 if depth > 0 => {
                let inner = self.simple(depth - 1, 2);
                self.aliases += 2;
                let (name, other) = (format!("w{}", self.aliases), format!("t{}", self.aliases - 1));
                let list = if width == 1 { format!("{other}.x") } else { format!("{other}.x, {other}.y") };
                let twice = if self.chance(2) { format!(" JOIN {name} USING (y)") } else { String::new() };
                return if twice.is_empty() {
                    format!("WITH {name}(x, y) AS ({inner}) SELECT {list} FROM {name} AS {other}")
                } else {
                    let list = if width == 1 { "y" } else { "y, y" };
                    format!("WITH {name}(x, y) AS ({inner}) SELECT {list} FROM {name} AS {other}{twice}")
                };
            }
            _ => return self.simple(depth, width),
        };
        self.scopes.pop();
        if text.contains("LIMIT") { format!("({text})") } else { text }
    }

    fn any_or(&mut self, otherwise: &str) -> String {
        if self.scopes.is_empty() { otherwise.to_owned() } else { self.any() }
    }

    fn simple(&mut self, depth: usize, width: usize) -> String {
        let from = self.from(depth);
        let list: Vec<String> = (0..width).map(|_| self.value(depth.min(1))).collect();
        self.scopes.pop();
        let distinct = if self.chance(4) { "DISTINCT " } else { "" };
        format!("SELECT {distinct}{} FROM {from}", list.join(", "))
    }

    /// The type of each is cast to integer, so that results can be compared with columns.
    fn aggregate(&mut self) -> String {
        match self.random.below(6) {
            0 => "count(*)::int".to_owned(),
            1 => format!("count({})::int", self.own()),
            2 => format!("sum({})::int", self.own()),
            3 => format!("count(DISTINCT {})::int", self.own()),
            4 => format!("max({})", self.own()),
            _ => format!("min({})", self.own()),
        }
    }

    /// A query of one column and at most one row.
    fn scalar(&mut self, depth: usize) -> String {
        let from = self.from(depth);
        let text = match self.random.below(4) {
            0 => {
                let value = self.own();
                format!("SELECT {value} FROM {from} ORDER BY 1 LIMIT 1")
            }
            1 => {
                let (first, own, other) = (self.aggregate(), self.own(), self.any());
                format!("SELECT {first} + coalesce(max({own} + {other}), 0) FROM {from}")
            }
            2 => format!("SELECT {} FROM {from} HAVING {} > 1", self.aggregate(), self.aggregate()),
            _ => format!("SELECT {} FROM {from}", self.aggregate()),
        };
        self.scopes.pop();
        text
    }

    /// A change of the table `r`.
    fn change(&mut self) -> String {
        let columns = ["r.a", "r.b", "r.c"].map(str::to_owned).to_vec();
        self.scopes.push(columns);
        let condition = self.predicate(2);
        let text = match self.random.below(3) {
            0 => format!("DELETE FROM r WHERE r.a = {} AND {condition}", self.random.below(4)),
            1 => format!("UPDATE r SET b = ({}) WHERE {condition}", self.scalar(2)),
            _ => format!(
                "UPDATE r SET b = q.b, c = ({}) FROM k q WHERE q.id = r.a AND {condition}",
                self.scalar(1)
            ),
        };
        self.scopes.pop();
        text
    }

    /// A whole query.
    fn query(&mut self) -> String {
        let from = self.from(3);
        let list: Vec<String> = (0..2).map(|_| self.value(2)).collect();
        self.scopes.pop();
        format!("SELECT {} FROM {from}", list.join(", "))
    }
}

/// The rows in a fixed order, or the state of the error.
fn outcome(session: &mut Session, sql: &str) -> Result<Vec<String>, String> {
    match run_with(session, sql, &[]) {
        Ok((rows, _)) => {
            let mut rows: Vec<String> = rows.into_iter().map(|row| row.join("|")).collect();
            rows.sort();
            Ok(rows)
        }
        Err(error) => Err(format!("{} {}", error.state().as_str(), error.message())),
    }
}

fn compare(seed: u64, queries: usize) -> (usize, usize) {
    let mut random = Random::new(seed);
    let (_fixture, mut rewritten) = database(&mut random);
    let mut random_again = Random::new(seed);
    let (_other, mut minimal) = database(&mut random_again);
    let (mut same, mut refused) = (0, 0);
    for number in 0..queries {
        let sql = Generator { random: &mut random, scopes: Vec::new(), aliases: 0 }.query();
        MINIMAL_REWRITES.set(true);
        let expected = outcome(&mut minimal, &sql);
        MINIMAL_REWRITES.set(false);
        let found = outcome(&mut rewritten, &sql);
        if std::env::var("SHOW_DIFFERENCES").is_ok() {
            match &expected {
                Err(error) => println!("REFUSED {error}: {sql}"),
                Ok(_) if expected != found => {
                    println!("DIFFERENT seed {seed} query {number}: {sql}\n  {expected:?}\n  {found:?}")
                }
                Ok(_) => {}
            }
            if expected.is_err() {
                refused += 1
            } else {
                same += 1
            }
            continue;
        }
        match expected {
            Ok(_) => {
                assert_eq!(found, expected, "seed {seed}, query {number}: {sql}");
                same += 1;
            }
            Err(_) => refused += 1,
        }
    }
    (same, refused)
}

#[test]
fn rewritten_queries_give_what_the_written_ones_give() {
    let seeds = std::env::var("SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(10);
    let (mut same, mut refused) = (0, 0);
    for seed in 1..=seeds {
        let (compared, errors) = compare(seed, 30);
        same += compared;
        refused += errors;
    }
    assert!(same > refused, "{same} queries ran, {refused} were refused");
}

#[test]
fn rewritten_changes_do_what_the_written_ones_do() {
    for seed in 1..=10 {
        let mut random = Random::new(seed);
        let (_fixture, mut rewritten) = database(&mut random);
        let mut random_again = Random::new(seed);
        let (_other, mut minimal) = database(&mut random_again);
        for number in 0..15 {
            let sql = Generator { random: &mut random, scopes: Vec::new(), aliases: 0 }.change();
            MINIMAL_REWRITES.set(true);
            let expected = run_with(&mut minimal, &sql, &[]).map(|(_, tag)| tag);
            MINIMAL_REWRITES.set(false);
            let found = run_with(&mut rewritten, &sql, &[]).map(|(_, tag)| tag);
            let expected =
                expected.unwrap_or_else(|error| panic!("seed {seed}, change {number}: {sql}: {error}"));
            let found = found.unwrap_or_else(|error| panic!("seed {seed}, change {number}: {sql}: {error}"));
            assert_eq!(found, expected, "seed {seed}, change {number}: {sql}");
            let rows = [&mut rewritten, &mut minimal].map(|session| outcome(session, "SELECT * FROM r"));
            assert_eq!(rows[0], rows[1], "seed {seed}, change {number}: {sql}");
        }
    }
}
