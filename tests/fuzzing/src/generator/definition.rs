//! Definitions, transaction control, settings and COPY.

use super::Generator;
use super::words::{COLUMNS, TABLES, TYPES};

impl Generator<'_> {
    pub(super) fn create_table(&mut self) {
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

    pub(super) fn create_index(&mut self) {
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

    pub(super) fn definition(&mut self) {
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

    pub(super) fn control(&mut self) {
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

    pub(super) fn copy(&mut self) {
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
