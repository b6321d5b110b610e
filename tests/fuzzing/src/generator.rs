//! Statements by a grammar: mostly well-formed SQL over the tables of [`crate::body::SCHEMA`], with names that do
//! not exist, types that do not fit and clauses that are not supported among them.

use lumos_core::common::random::Random;

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

const WORDS: [&str; 104] = [
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP",
    "BY",
    "HAVING",
    "ORDER",
    "LIMIT",
    "OFFSET",
    "FETCH",
    "UNION",
    "ALL",
    "EXCEPT",
    "INTERSECT",
    "WITH",
    "RECURSIVE",
    "AS",
    "MATERIALIZED",
    "JOIN",
    "LEFT",
    "RIGHT",
    "FULL",
    "CROSS",
    "NATURAL",
    "INNER",
    "OUTER",
    "USING",
    "ON",
    "LATERAL",
    "VALUES",
    "TABLE",
    "INSERT",
    "INTO",
    "DEFAULT",
    "RETURNING",
    "UPDATE",
    "SET",
    "DELETE",
    "CONFLICT",
    "DO",
    "NOTHING",
    "CREATE",
    "INDEX",
    "UNIQUE",
    "PRIMARY",
    "KEY",
    "CHECK",
    "CONSTRAINT",
    "REFERENCES",
    "VIEW",
    "DROP",
    "IF",
    "EXISTS",
    "NOT",
    "NULL",
    "AND",
    "OR",
    "IN",
    "BETWEEN",
    "LIKE",
    "ILIKE",
    "SIMILAR",
    "IS",
    "DISTINCT",
    "TRUE",
    "FALSE",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "CAST",
    "ARRAY",
    "ROW",
    "OVER",
    "PARTITION",
    "ROWS",
    "FILTER",
    "WITHIN",
    "ANY",
    "SOME",
    "EXTRACT",
    "INTERVAL",
    "AT",
    "TIME",
    "ZONE",
    "COLLATE",
    "BEGIN",
    "COMMIT",
    "COPY",
    "EXPLAIN",
    "ANALYZE",
    "(",
    ")",
    ",",
    ";",
    "::",
    "||",
    "*",
    "$1",
    "?",
    "'x'",
    "1",
    "\"q\"",
];

const COLUMNS: [&str; 24] = [
    "id",
    "a",
    "b",
    "c",
    "d",
    "e",
    "f",
    "t_id",
    "name",
    "at",
    "\"Mixed Case\"",
    "span",
    "raw",
    "\"select\"",
    "small",
    "single",
    "padded",
    "moment",
    "t.id",
    "u.name",
    "x.a",
    "nosuch",
    "t.nosuch",
    "o.id",
];
const TABLES: [&str; 6] = ["t", "u", "\"order\"", "public.t", "nosuch", "other.t"];
const ALIASES: [&str; 8] = ["x", "y", "t", "u", "o", "\"A b\"", "s", "cte"];
const TYPES: [&str; 22] = [
    "int",
    "bigint",
    "smallint",
    "text",
    "numeric",
    "numeric(5,2)",
    "numeric(1000)",
    "varchar(3)",
    "char(2)",
    "real",
    "double precision",
    "boolean",
    "date",
    "timestamp",
    "timestamptz(3)",
    "interval",
    "interval day to second",
    "bytea",
    "int[]",
    "json",
    "nosuch",
    "time with time zone",
];
const FUNCTIONS: [&str; 40] = [
    "abs",
    "coalesce",
    "nullif",
    "greatest",
    "least",
    "upper",
    "lower",
    "length",
    "substr",
    "substring",
    "replace",
    "round",
    "trunc",
    "ceil",
    "floor",
    "sqrt",
    "power",
    "mod",
    "now",
    "random",
    "date_part",
    "date_trunc",
    "to_char",
    "concat",
    "concat_ws",
    "left",
    "right",
    "lpad",
    "repeat",
    "position",
    "strpos",
    "md5",
    "age",
    "extract",
    "regexp_replace",
    "current_setting",
    "version",
    "nosuch",
    "pg_catalog.abs",
    "generate_series",
];
const AGGREGATES: [&str; 14] = [
    "count",
    "sum",
    "avg",
    "min",
    "max",
    "string_agg",
    "bool_and",
    "bool_or",
    "stddev",
    "variance",
    "array_agg",
    "every",
    "corr",
    "nosuch_agg",
];
const OPERATORS: [&str; 28] = [
    "+", "-", "*", "/", "%", "^", "||", "=", "<>", "!=", "<", "<=", ">", ">=", "AND", "OR", "~", "~*", "!~",
    "&", "|", "#", "<<", ">>", "->", "->>", "@>", "<=>",
];

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

    fn query(&mut self) {
        if self.depth >= DEPTH_MAX {
            return self.put("SELECT 1");
        }
        self.depth += 1;
        self.maybe(8, Self::with);
        self.query_term();
        while self.one_in(6) {
            self.pick(&[
                " UNION ",
                " UNION ALL ",
                " EXCEPT ",
                " INTERSECT ",
                " INTERSECT ALL ",
                " UNION DISTINCT ",
            ]);
            self.query_term();
        }
        self.maybe(4, |g| {
            g.put(" ORDER BY ");
            let keys = 1 + g.below(3);
            g.list(keys, Self::order_key);
        });
        self.maybe(6, |g| {
            g.pick(&[" LIMIT ", " OFFSET ", " LIMIT ALL OFFSET ", " FETCH FIRST "]);
            g.expression();
            if g.out.contains("FETCH FIRST") {
                g.put(" ROWS ONLY");
            }
        });
        self.depth -= 1;
    }

    fn order_key(&mut self) {
        if self.one_in(3) {
            let position = self.below(4).to_string();
            self.put(&position);
        } else {
            self.expression();
        }
        self.pick(&["", "", " DESC", " ASC", " NULLS FIRST", " DESC NULLS LAST", " USING <"]);
    }

    fn with(&mut self) {
        self.pick(&["WITH ", "WITH RECURSIVE "]);
        let parts = 1 + self.below(2);
        self.list(parts, |g| {
            g.pick(&ALIASES);
            g.pick(&["", "(a)", "(a, b)"]);
            g.pick(&[" AS (", " AS MATERIALIZED (", " AS NOT MATERIALIZED ("]);
            match g.below(8) {
                0 => g.delete(),
                1 => g.put("SELECT 1 AS a UNION ALL SELECT a + 1 FROM cte WHERE a < 5"),
                _ => g.query(),
            }
            g.put(")");
        });
        self.put(" ");
    }

    fn query_term(&mut self) {
        match self.below(12) {
            0 => {
                self.put("VALUES ");
                let rows = 1 + self.below(3);
                self.list(rows, |g| g.tuple(2));
            }
            1 => {
                self.put("TABLE ");
                self.pick(&TABLES);
            }
            2 => {
                self.put("(");
                self.query();
                self.put(")");
            }
            _ => self.select(),
        }
    }

    fn tuple(&mut self, width: u64) {
        self.put("(");
        self.list(width, |g| if g.one_in(10) { g.put("DEFAULT") } else { g.expression() });
        self.put(")");
    }

    fn select(&mut self) {
        self.pick(&["SELECT ", "SELECT ", "SELECT DISTINCT ", "SELECT ALL ", "SELECT DISTINCT ON (a) "]);
        let columns = self.below(4);
        self.list(columns, Self::select_item);
        if !self.one_in(8) {
            self.put(" FROM ");
            let tables = 1 + self.below(2);
            self.list(tables, Self::relation_item);
        }
        self.maybe(2, |g| {
            g.put(" WHERE ");
            g.expression();
        });
        self.maybe(5, |g| {
            g.put(" GROUP BY ");
            match g.below(6) {
                0 => g.put("ROLLUP (a, b)"),
                1 => g.put("GROUPING SETS ((a), ())"),
                _ => {
                    let keys = 1 + g.below(2);
                    g.list(keys, Self::expression);
                }
            }
        });
        self.maybe(8, |g| {
            g.put(" HAVING ");
            g.expression();
        });
        self.maybe(16, |g| g.put(" WINDOW w AS (PARTITION BY a ORDER BY b)"));
    }

    fn select_item(&mut self) {
        match self.below(8) {
            0 => self.put("*"),
            1 => self.pick(&["t.*", "u.*", "nosuch.*", "public.t.*"]),
            _ => {
                self.expression();
                self.maybe(3, |g| {
                    g.pick(&[" AS ", " "]);
                    g.pick(&ALIASES);
                });
            }
        }
    }

    fn relation_item(&mut self) {
        self.relation_primary();
        while self.one_in(3) {
            match self.below(8) {
                0 => {
                    self.put(" CROSS JOIN ");
                    self.relation_primary();
                }
                1 => {
                    self.pick(&[" NATURAL JOIN ", " NATURAL LEFT JOIN "]);
                    self.relation_primary();
                }
                _ => {
                    self.pick(&[
                        " JOIN ",
                        " LEFT JOIN ",
                        " RIGHT OUTER JOIN ",
                        " FULL JOIN ",
                        " INNER JOIN ",
                    ]);
                    self.relation_primary();
                    if self.one_in(3) {
                        self.pick(&[" USING (id)", " USING (id, a)", " USING (nosuch)", " USING (id) AS j"]);
                    } else {
                        self.put(" ON ");
                        self.expression();
                    }
                }
            }
        }
    }

    fn relation_primary(&mut self) {
        match self.below(10) {
            0 if self.depth < DEPTH_MAX => {
                self.pick(&["(", "LATERAL ("]);
                self.query();
                self.put(") AS ");
                self.pick(&ALIASES);
                self.pick(&["", "", "(a, b)"]);
            }
            1 => {
                self.pick(&["generate_series(1, 3)", "nosuch(1)", "ROWS FROM (abs(1))", "unnest(ARRAY[1])"]);
                self.put(" AS g");
            }
            2 if self.depth < DEPTH_MAX => {
                self.depth += 1;
                self.put("(");
                self.relation_item();
                self.put(")");
                self.depth -= 1;
            }
            _ => {
                self.pick(&["", "", "", "ONLY "]);
                self.pick(&TABLES);
                self.maybe(3, |g| {
                    g.pick(&[" AS ", " "]);
                    g.pick(&ALIASES);
                });
                self.maybe(30, |g| g.put(" TABLESAMPLE SYSTEM (1)"));
            }
        }
    }

    fn expression(&mut self) {
        if self.depth >= DEPTH_MAX || self.one_in(3) {
            return self.primary();
        }
        self.depth += 1;
        match self.below(20) {
            0..=5 => {
                self.expression();
                self.put(" ");
                self.pick(&OPERATORS);
                self.put(" ");
                self.expression();
            }
            6 => {
                self.pick(&["NOT ", "- ", "+ ", "~ ", "@ "]);
                self.expression();
            }
            7 => {
                self.put("(");
                self.expression();
                self.put(")");
            }
            8 => {
                self.expression();
                self.pick(&[
                    " IS NULL",
                    " IS NOT NULL",
                    " IS TRUE",
                    " IS NOT UNKNOWN",
                    " ISNULL",
                    " IS DISTINCT FROM 1",
                    " IS NOT DISTINCT FROM a",
                    " IS OF (int)",
                    " COLLATE \"C\"",
                    " AT TIME ZONE 'UTC'",
                    "[1]",
                    "[1:2]",
                ]);
            }
            9 => {
                self.expression();
                self.pick(&[" BETWEEN ", " NOT BETWEEN ", " BETWEEN SYMMETRIC "]);
                self.expression();
                self.put(" AND ");
                self.expression();
            }
            10 => {
                self.expression();
                self.pick(&[" IN (", " NOT IN ("]);
                if self.one_in(3) {
                    self.query();
                } else {
                    let members = 1 + self.below(4);
                    self.list(members, Self::expression);
                }
                self.put(")");
            }
            11 => {
                self.expression();
                self.pick(&[" LIKE ", " NOT ILIKE ", " SIMILAR TO "]);
                self.expression();
                self.maybe(4, |g| g.put(" ESCAPE '!'"));
            }
            12 => {
                self.put("CASE ");
                self.maybe(2, Self::expression);
                let arms = 1 + self.below(3);
                for _ in 0..arms {
                    self.put(" WHEN ");
                    self.expression();
                    self.put(" THEN ");
                    self.expression();
                }
                self.maybe(2, |g| {
                    g.put(" ELSE ");
                    g.expression();
                });
                self.put(" END");
            }
            13 => {
                self.put("CAST(");
                self.expression();
                self.put(" AS ");
                self.pick(&TYPES);
                self.put(")");
            }
            14 => {
                self.primary();
                self.put("::");
                self.pick(&TYPES);
            }
            15 => self.subquery(),
            16 => self.aggregate(),
            17 => {
                let width = 1 + self.below(3);
                self.pick(&["ROW", "", "ARRAY["]);
                if self.out.ends_with('[') {
                    self.list(width, Self::expression);
                    self.put("]");
                } else {
                    self.tuple(width);
                }
            }
            _ => self.call(),
        }
        self.depth -= 1;
    }

    fn subquery(&mut self) {
        match self.below(4) {
            0 => self.put("EXISTS ("),
            1 => {
                self.expression();
                self.pick(&[" = ANY (", " > ALL (", " <> SOME (", " = ANY ('{1}'::int[]) OR EXISTS ("]);
            }
            _ => self.put("("),
        }
        self.query();
        self.put(")");
    }

    fn aggregate(&mut self) {
        self.pick(&AGGREGATES);
        self.pick(&["(", "(DISTINCT ", "(ALL "]);
        if self.one_in(4) {
            self.put("*");
        } else {
            let arguments = 1 + self.below(2);
            self.list(arguments, Self::expression);
        }
        self.maybe(8, |g| g.put(" ORDER BY a DESC"));
        self.put(")");
        self.pick(&[
            "",
            "",
            "",
            " FILTER (WHERE a > 1)",
            " OVER ()",
            " OVER w",
            " WITHIN GROUP (ORDER BY a)",
        ]);
        self.maybe(10, |g| {
            g.put(" OVER (PARTITION BY ");
            g.expression();
            g.put(" ORDER BY b ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)");
        });
    }

    fn call(&mut self) {
        match self.below(12) {
            0 => {
                self.pick(&["EXTRACT(year FROM ", "EXTRACT('epoch' FROM ", "EXTRACT(nosuch FROM "]);
                self.expression();
                self.put(")");
            }
            1 => {
                self.put("SUBSTRING(");
                self.expression();
                self.put(" FROM 2 FOR 3)");
            }
            2 => {
                self.pick(&[
                    "TRIM(BOTH 'x' FROM ",
                    "TRIM(",
                    "OVERLAY('abc' PLACING 'x' FROM 2) || (",
                    "POSITION('a' IN ",
                ]);
                self.primary();
                self.put(")");
            }
            3 => self.pick(&[
                "CURRENT_DATE",
                "CURRENT_TIMESTAMP(3)",
                "LOCALTIME",
                "CURRENT_USER",
                "NORMALIZE('a', NFC)",
            ]),
            _ => {
                self.pick(&FUNCTIONS);
                self.put("(");
                let arguments = self.below(4);
                self.list(arguments, |g| {
                    g.maybe(30, |g| g.pick(&["VARIADIC ", "x => ", "DISTINCT "]));
                    g.expression();
                });
                self.put(")");
            }
        }
    }

    fn primary(&mut self) {
        match self.below(12) {
            0..=4 => self.pick(&COLUMNS),
            5 => {
                let number = match self.below(4) {
                    0 => self.random.next_u64().to_string(),
                    1 => format!("{}.{}", self.below(1000), self.below(1000)),
                    2 => format!("{}e{}", self.below(10), self.below(400)),
                    _ => self.below(100).to_string(),
                };
                self.put(&number);
            }
            6 => self.pick(&[
                "'text'",
                "''",
                "'it''s'",
                "E'\\n\\x41\\u00e9'",
                "E'\\'",
                "$$dollar$$",
                "$q$a$b$q$",
                "U&'\\0061'",
                "B'101'",
                "X'1F'",
                "N'n'",
                "'漢字'",
                "'a'\n'b'",
            ]),
            7 => self.pick(&[
                "DATE '2024-02-29'",
                "TIMESTAMP '2024-01-01 12:00'",
                "INTERVAL '1' DAY",
                "INTERVAL '1-2' YEAR TO MONTH",
                "INTERVAL '3 months 2 days'",
                "timestamptz '2024-01-01 00:00+02'",
                "DATE 'nosuch'",
                "int '7'",
                "interval(3) '1.23456 s'",
                "bytea '\\xDEADBEEF'",
            ]),
            8 => self.pick(&["$1", "$2", "$70000", "?", ":name", "@name"]),
            9 => self.pick(&["NULL", "TRUE", "FALSE"]),
            10 => self.pick(&[
                "-1",
                "- -1",
                "9223372036854775808",
                "0.0000000000000000000000000000000000000001",
                "1e400",
            ]),
            _ => self.pick(&["(1)", "((a))", "t", "t.*", "(t).a", "\"\"\"\"", "current_date"]),
        }
    }

    fn insert(&mut self) {
        self.put("INSERT INTO ");
        self.pick(&TABLES);
        self.pick(&["", " AS x", "", ""]);
        self.pick(&["", " (id, a)", " (a)", " (id, id)", " (nosuch)", " (c, b, a)"]);
        self.pick(&["", "", "", " OVERRIDING SYSTEM VALUE"]);
        self.put(" ");
        match self.below(4) {
            0 => self.put("DEFAULT VALUES"),
            1 => self.query(),
            _ => {
                self.put("VALUES ");
                let (rows, width) = (1 + self.below(3), 1 + self.below(3));
                self.list(rows, |g| g.tuple(width));
            }
        }
        self.maybe(5, |g| {
            g.pick(&[
                " ON CONFLICT DO NOTHING",
                " ON CONFLICT (id) DO UPDATE SET a = excluded.a",
                " ON CONFLICT (nosuch) DO NOTHING",
            ]);
        });
        self.maybe(4, Self::returning);
    }

    fn returning(&mut self) {
        self.put(" RETURNING ");
        let columns = 1 + self.below(2);
        self.list(columns, Self::select_item);
    }

    fn assignments(&mut self) {
        let count = 1 + self.below(3);
        self.list(count, |g| {
            if g.one_in(6) {
                g.pick(&["(a, b) = (1, 2)", "(a) = (SELECT 1)", "(a, b) = ROW (1)", "a[1] = 2", "t.a = 1"]);
            } else {
                g.pick(&COLUMNS);
                g.put(" = ");
                if g.one_in(8) { g.put("DEFAULT") } else { g.expression() }
            }
        });
    }

    fn update(&mut self) {
        self.put("UPDATE ");
        self.pick(&TABLES);
        self.pick(&["", " AS x", " x"]);
        self.put(" SET ");
        self.assignments();
        self.maybe(5, |g| {
            g.put(" FROM ");
            g.relation_item();
        });
        self.maybe(2, |g| {
            g.put(" WHERE ");
            g.expression();
        });
        self.maybe(30, |g| g.put(" WHERE CURRENT OF cursor_name"));
        self.maybe(4, Self::returning);
    }

    fn delete(&mut self) {
        self.put("DELETE FROM ");
        self.pick(&TABLES);
        self.maybe(5, |g| {
            g.put(" USING ");
            g.relation_item();
        });
        self.maybe(2, |g| {
            g.put(" WHERE ");
            g.expression();
        });
        self.maybe(4, Self::returning);
    }

    fn create_table(&mut self) {
        self.pick(&[
            "CREATE TABLE ",
            "CREATE TABLE IF NOT EXISTS ",
            "CREATE TEMP TABLE ",
            "CREATE UNLOGGED TABLE ",
        ]);
        self.pick(&["fresh", "t", "public.fresh", "other.fresh", "\"\u{1F600}\""]);
        if self.one_in(8) {
            self.put(" AS ");
            return self.query();
        }
        self.put(" (");
        let columns = self.below(4);
        self.list(columns, |g| {
            g.pick(&["p", "q", "r", "\"P\""]);
            g.put(" ");
            g.pick(&TYPES);
            while g.one_in(2) {
                match g.below(8) {
                    0 => {
                        g.put(" DEFAULT ");
                        g.expression();
                    }
                    1 => {
                        g.put(" CHECK (");
                        g.expression();
                        g.put(")");
                    }
                    _ => g.pick(&[
                        " NOT NULL",
                        " NULL",
                        " PRIMARY KEY",
                        " UNIQUE",
                        " REFERENCES t (id)",
                        " CONSTRAINT k NOT NULL",
                        " GENERATED ALWAYS AS IDENTITY",
                        " GENERATED ALWAYS AS (a + 1) STORED",
                        " COLLATE \"C\"",
                    ]),
                }
            }
        });
        self.maybe(3, |g| {
            g.pick(&[
                ", PRIMARY KEY (p)",
                ", UNIQUE (p, q)",
                ", CHECK (p > q)",
                ", CONSTRAINT f FOREIGN KEY (p) REFERENCES t",
                ", EXCLUDE USING gist (p WITH =)",
                ", LIKE t INCLUDING ALL",
                ", PRIMARY KEY (p, nosuch)",
            ]);
        });
        self.put(")");
        self.pick(&[
            "",
            "",
            " PARTITION BY RANGE (p)",
            " WITH (fillfactor = 70)",
            " INHERITS (t)",
            " TABLESPACE x",
        ]);
    }

    fn create_index(&mut self) {
        self.pick(&[
            "CREATE INDEX ",
            "CREATE UNIQUE INDEX ",
            "CREATE INDEX CONCURRENTLY ",
            "CREATE INDEX IF NOT EXISTS ",
        ]);
        self.pick(&["", "i", "u_name"]);
        self.put(" ON ");
        self.pick(&TABLES);
        self.pick(&["", " USING btree", " USING hash"]);
        self.put(" (");
        let columns = 1 + self.below(3);
        self.list(columns, |g| {
            if g.one_in(5) {
                g.put("(");
                g.expression();
                g.put(")");
            } else {
                g.pick(&COLUMNS);
            }
            g.pick(&["", " DESC", " NULLS FIRST", " text_pattern_ops"]);
        });
        self.put(")");
        self.pick(&["", "", " INCLUDE (a)", " WHERE a > 1", " NULLS NOT DISTINCT"]);
    }

    fn definition(&mut self) {
        match self.below(4) {
            0 => {
                self.pick(&[
                    "CREATE VIEW v AS ",
                    "CREATE OR REPLACE VIEW v (a, b) AS ",
                    "CREATE MATERIALIZED VIEW v AS ",
                ]);
                self.query();
            }
            1 => {
                self.pick(&[
                    "DROP TABLE ",
                    "DROP TABLE IF EXISTS ",
                    "DROP INDEX ",
                    "DROP VIEW ",
                    "TRUNCATE ",
                    "DROP SCHEMA ",
                ]);
                let names = 1 + self.below(2);
                self.list(names, |g| g.pick(&TABLES));
                self.pick(&["", " CASCADE", " RESTRICT"]);
            }
            2 => {
                self.put("ALTER TABLE ");
                self.pick(&TABLES);
                self.pick(&[
                    " ADD COLUMN z int DEFAULT 1",
                    " DROP COLUMN a",
                    " RENAME TO x",
                    " RENAME COLUMN a TO z",
                    " ALTER COLUMN a TYPE text USING a::text",
                    " ADD CHECK (a > 0)",
                    " SET SCHEMA other",
                    " ENABLE TRIGGER ALL",
                ]);
            }
            _ => self.pick(&[
                "CREATE SEQUENCE s",
                "CREATE SCHEMA s",
                "CREATE TYPE e AS ENUM ('a')",
                "COMMENT ON TABLE t IS 'x'",
                "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$SELECT 1$$",
                "GRANT SELECT ON t TO x",
                "REINDEX TABLE t",
            ]),
        }
    }

    fn control(&mut self) {
        self.pick(&[
            "BEGIN",
            "BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY",
            "START TRANSACTION READ WRITE",
            "COMMIT AND CHAIN",
            "ROLLBACK TO SAVEPOINT s",
            "SAVEPOINT s",
            "RELEASE s",
            "SET timezone = 'UTC'",
            "SET LOCAL nosuch TO 1, 2",
            "SET TIME ZONE INTERVAL '1' HOUR",
            "SHOW ALL",
            "SHOW nosuch",
            "RESET ALL",
            "CHECKPOINT",
            "ANALYZE t (a, b)",
            "VACUUM FULL t",
            "PREPARE p (int) AS SELECT $1",
            "EXECUTE p (1 + 1)",
            "DEALLOCATE ALL",
            "LISTEN x",
            "NOTIFY x, 'y'",
            "LOCK TABLE t IN SHARE MODE",
            "DISCARD ALL",
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
            "END WORK",
        ]);
    }

    fn copy(&mut self) {
        self.put("COPY ");
        if self.one_in(3) {
            self.put("(");
            self.query();
            self.put(")");
        } else {
            self.pick(&TABLES);
            self.pick(&["", " (id, a)", " (nosuch)"]);
        }
        self.pick(&[" FROM ", " TO "]);
        self.pick(&["'file'", "STDIN", "STDOUT", "PROGRAM 'x'"]);
        self.pick(&[
            "",
            " CSV HEADER",
            " (FORMAT csv, HEADER true, DELIMITER '|', NULL 'x', QUOTE '\"')",
            " (FORMAT binary)",
            " WITH (nosuch 1)",
        ]);
    }
}
