//! Expressions: operators, calls, literals and the queries inside them.

use super::words::{AGGREGATES, COLUMNS, FUNCTIONS, OPERATORS, TYPES};
use super::{DEPTH_MAX, Generator};

impl Generator<'_> {
    pub(super) fn expression(&mut self) {
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

    pub(super) fn subquery(&mut self) {
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

    pub(super) fn aggregate(&mut self) {
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

    pub(super) fn call(&mut self) {
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

    pub(super) fn primary(&mut self) {
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
}
