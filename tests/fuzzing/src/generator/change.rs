//! Statements that change rows.

use super::Generator;
use super::words::{COLUMNS, TABLES};

impl Generator<'_> {
    pub(super) fn insert(&mut self) {
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

    pub(super) fn returning(&mut self) {
        self.put(" RETURNING ");
        let columns = 1 + self.below(2);
        self.list(columns, Self::select_item);
    }

    pub(super) fn assignments(&mut self) {
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

    pub(super) fn update(&mut self) {
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

    pub(super) fn delete(&mut self) {
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
}
