//! Queries: their terms, relations, keys and clauses.

use super::words::{ALIASES, TABLES};
use super::{DEPTH_MAX, Generator};

impl Generator<'_> {
    pub(super) fn query(&mut self) {
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

    pub(super) fn order_key(&mut self) {
        if self.one_in(3) {
            let position = self.below(4).to_string();
            self.put(&position);
        } else {
            self.expression();
        }
        self.pick(&["", "", " DESC", " ASC", " NULLS FIRST", " DESC NULLS LAST", " USING <"]);
    }

    pub(super) fn with(&mut self) {
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

    pub(super) fn query_term(&mut self) {
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

    pub(super) fn tuple(&mut self, width: u64) {
        self.put("(");
        self.list(width, |g| if g.one_in(10) { g.put("DEFAULT") } else { g.expression() });
        self.put(")");
    }

    pub(super) fn select(&mut self) {
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

    pub(super) fn select_item(&mut self) {
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

    pub(super) fn relation_item(&mut self) {
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

    pub(super) fn relation_primary(&mut self) {
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
}
