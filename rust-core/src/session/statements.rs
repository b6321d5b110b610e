//! Every statement that the parser knows, with its syntax, what it does, and an example: one table for the
//! documentation, which a test holds against the parser and against what examples do. Runs nothing.

/// How far a statement goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Support {
    /// It works as described.
    Works,
    /// It is recognised and refused with `0A000` at its place.
    Refused,
}

/// A statement as the documentation lists it.
#[derive(Clone, Copy, Debug)]
pub struct StatementDescription {
    /// Its name, as PostgreSQL's manual has it.
    pub name: &'static str,
    /// Its syntax, in the notation of PostgreSQL's manual.
    pub syntax: &'static str,
    /// What it does, in a sentence or two.
    pub documentation: &'static str,
    /// A text that works after the examples before it, or that is refused.
    pub example: &'static str,
    /// Whether it works.
    pub support: Support,
}

const fn works(
    name: &'static str,
    syntax: &'static str,
    documentation: &'static str,
    example: &'static str,
) -> StatementDescription {
    StatementDescription { name, syntax, documentation, example, support: Support::Works }
}

const fn refused(name: &'static str, example: &'static str) -> StatementDescription {
    StatementDescription { name, syntax: "", documentation: "", example, support: Support::Refused }
}

/// All statements; those that work in an order in which their examples run.
pub static STATEMENTS: &[StatementDescription] = &[
    works(
        "CREATE TABLE",
        "CREATE TABLE [ IF NOT EXISTS ] name (
    { column type [ [ CONSTRAINT name ] { NOT NULL | NULL | DEFAULT expression | CHECK ( expression )
                    | UNIQUE | PRIMARY KEY | reference
                    | GENERATED { ALWAYS | BY DEFAULT } AS IDENTITY [ ( sequence_option ... ) ] } [ deferral ] ... ]
    | [ CONSTRAINT name ] { CHECK ( expression ) | UNIQUE ( column, ... ) [ INCLUDE ( column, ... ) ]
                            | PRIMARY KEY ( column, ... ) [ INCLUDE ( column, ... ) ]
                            | FOREIGN KEY ( column, ... ) reference } [ deferral ]
    | LIKE table [ { INCLUDING | EXCLUDING } { CONSTRAINTS | DEFAULTS | IDENTITY | INDEXES | ALL } ] ... }, ...
) [ WITH ( parameter [ = value ], ... ) | WITHOUT OIDS ]
reference: REFERENCES table [ ( column, ... ) ] [ MATCH { SIMPLE | FULL } ]
    [ ON { DELETE | UPDATE } { NO ACTION | RESTRICT | CASCADE | SET { NULL | DEFAULT } [ ( column, ... ) ] } ] ...
deferral: [ NOT ] DEFERRABLE [ INITIALLY { DEFERRED | IMMEDIATE } ]",
        "Makes a table. An integer primary key of one column is the row's place in the table itself; every other key gets an index, but the columns of a foreign key do not. Unique keys are checked at the end of the statement; DEFERRABLE ones and foreign keys can wait for the end of the transaction. A column of type smallserial, serial or bigserial, or an identity column, draws its values from a sequence of its own. LIKE gives the table the columns of another one, with what INCLUDING names; later changes of that one change nothing here. An index leads to the row and keeps nothing else, so that INCLUDE adds its columns to the index's name alone. WITH (fillfactor = n), also after UNIQUE and PRIMARY KEY, says how far pages are filled, in hundredths from 10 to 100, where rows or entries come in ascending order, in bulk, or pages are merged by VACUUM: what is free is for rows that grow. Nothing said: such pages become full, and VACUUM leaves a little free. The other parameters of PostgreSQL's tables and indexes are checked, have no effect and are not kept, which a warning says; so is fillfactor of an integer primary key.",
        "CREATE TABLE people (id int PRIMARY KEY, name text NOT NULL, born date, score numeric(6,2) DEFAULT 0 CHECK (score >= 0))",
    ),
    works(
        "ALTER TABLE",
        "ALTER TABLE [ IF EXISTS ] name
    { ADD [ COLUMN ] [ IF NOT EXISTS ] column type [ NOT NULL | NULL ] [ DEFAULT expression ]
      | ADD [ CONSTRAINT name ] { CHECK ... | UNIQUE ... | PRIMARY KEY ... | FOREIGN KEY ... } [ NOT VALID ]
      | VALIDATE CONSTRAINT name
      | DROP CONSTRAINT [ IF EXISTS ] name [ CASCADE | RESTRICT ]
      | SET ( parameter [ = value ], ... )
      | RESET ( parameter, ... ) }, ...",
        "Adds columns, constraints, when every row has been looked at, and drops constraints. A check or foreign key that is NOT VALID holds for what is written from then on; VALIDATE CONSTRAINT looks at the rows from before while others read and write. ADD COLUMN writes the rows anew: an older snapshot cannot read them any more (40001). SET (fillfactor = n) is about what is written from then on; pages that are there stay as they are.",
        "ALTER TABLE people ADD CONSTRAINT people_name_key UNIQUE (name, born)",
    ),
    works(
        "CREATE INDEX",
        "CREATE [ UNIQUE ] INDEX [ CONCURRENTLY ] [ [ IF NOT EXISTS ] name ] ON table [ USING { btree | hash } ]
    ( { column | function ( ... ) | ( expression ) } [ ASC | DESC ] [ NULLS { FIRST | LAST } ], ... )
    [ INCLUDE ( column, ... ) ] [ WITH ( fillfactor = n ) ] [ WHERE condition ]",
        "Makes an index and fills it from the table. With a condition only the rows for which it holds are in it. USING hash, for one column, makes the same kind of index. INCLUDE adds its columns to the name alone: an index leads to the row, where they are. CONCURRENTLY: others go on writing the table meanwhile; not inside a transaction block; a build that fails or is cancelled leaves nothing.",
        "CREATE INDEX people_name ON people (lower(name), born DESC) WHERE born IS NOT NULL",
    ),
    works(
        "ALTER INDEX",
        "ALTER INDEX [ IF EXISTS ] name { SET ( parameter [ = value ], ... ) | RESET ( parameter, ... ) }, ...",
        "Changes how far pages of an index are filled that are written from then on (fillfactor, in hundredths from 10 to 100).",
        "ALTER INDEX people_name SET (fillfactor = 70)",
    ),
    works(
        "INSERT",
        "[ WITH ... ] INSERT INTO table [ AS alias ] [ ( column, ... ) ] [ OVERRIDING { SYSTEM | USER } VALUE ]
    { DEFAULT VALUES | VALUES ( { expression | DEFAULT }, ... ), ... | query }
    [ RETURNING { * | expression [ AS name ] }, ... ]",
        "Adds rows: all of them or, when one is refused, none.",
        "INSERT INTO people (id, name, born) VALUES (1, 'Ada', '1815-12-10'), (2, 'Charles', NULL) RETURNING id",
    ),
    works(
        "SELECT",
        "[ WITH [ RECURSIVE ] name [ ( column, ... ) ] AS [ [ NOT ] MATERIALIZED ]
    ( { query | insert | update | delete } ), ... ]
SELECT [ ALL | DISTINCT [ ON ( expression, ... ) ] ] { * | table.* | expression [ [ AS ] name ] }, ...
    [ FROM { table [ [ AS ] alias [ ( column, ... ) ] ] | [ LATERAL ] ( query ) [ AS ] alias [ ( column, ... ) ]
             | function ( ... ) [ WITH ORDINALITY ] [ [ AS ] alias [ ( column, ... ) ] ]
             | item { [ INNER ] | { LEFT | RIGHT | FULL } [ OUTER ] } JOIN item
                    { ON condition | USING ( column, ... ) [ AS alias ] }
             | item NATURAL ... JOIN item | item CROSS JOIN item }, ... ]
    [ WHERE condition ]
    [ GROUP BY { expression | position | name }, ... ] [ HAVING condition ]
    [ { UNION | INTERSECT | EXCEPT } [ ALL | DISTINCT ] query ]
    [ ORDER BY { expression | position | name } [ ASC | DESC ] [ NULLS { FIRST | LAST } ], ... ]
    [ LIMIT { count | ALL } ] [ OFFSET start [ ROWS ] ] [ FETCH { FIRST | NEXT } [ count ] ROWS { ONLY | WITH TIES } ]
    [ FOR { UPDATE | NO KEY UPDATE | SHARE | KEY SHARE } [ OF table, ... ] [ NOWAIT | SKIP LOCKED ] ] ...",
        "Computes rows. Subqueries may stand wherever an expression or a table may, correlated or not. INSERT, UPDATE and \
         DELETE in the WITH of a statement run once and to their end, read or not; no part of the statement sees what another \
         one changes but by its RETURNING, and a row that one part has changed the others leave alone. FOR UPDATE and \
         the like lock the rows of tables to the end of the transaction; LIMIT counts rows that could be locked, and a row \
         that changed meanwhile is asked again whether it qualifies.",
        "SELECT name, extract(year FROM born) AS year FROM people WHERE born IS NOT NULL ORDER BY name LIMIT 10",
    ),
    works(
        "VALUES",
        "VALUES ( expression, ... ), ... [ ORDER BY ... ] [ LIMIT ... ] [ OFFSET ... ]",
        "Gives the rows written in it; also as a table in FROM.",
        "VALUES (1, 'one'), (2, 'two')",
    ),
    works("TABLE", "TABLE name", "Short for SELECT * FROM name.", "TABLE people"),
    works(
        "UPDATE",
        "[ WITH ... ] UPDATE table [ [ AS ] alias ] SET
    { column = { expression | DEFAULT } | ( column, ... ) = { ( { expression | DEFAULT }, ... ) | ( query ) } }, ...
    [ FROM item, ... ] [ WHERE condition ] [ RETURNING { * | expression [ AS name ] }, ... ]",
        "Changes the rows for which the condition holds.",
        "UPDATE people SET score = score + 1 WHERE id = 1 RETURNING score",
    ),
    works(
        "DELETE",
        "[ WITH ... ] DELETE FROM table [ [ AS ] alias ] [ USING item, ... ] [ WHERE condition ]
    [ RETURNING { * | expression [ AS name ] }, ... ]",
        "Removes the rows for which the condition holds.",
        "DELETE FROM people WHERE id = 2",
    ),
    works(
        "CREATE VIEW",
        "CREATE [ OR REPLACE ] VIEW name [ ( column, ... ) ] AS query",
        "Gives a query a name, under which it is read like a table.",
        "CREATE VIEW adults AS SELECT id, name FROM people WHERE born < DATE '2000-01-01'",
    ),
    works(
        "DROP VIEW",
        "DROP VIEW [ IF EXISTS ] name, ... [ CASCADE | RESTRICT ]",
        "Removes views.",
        "DROP VIEW adults",
    ),
    works(
        "CREATE TABLE AS",
        "CREATE TABLE [ IF NOT EXISTS ] name [ ( column, ... ) ] [ WITH ( parameter [ = value ], ... ) | WITHOUT OIDS ]
    AS { query | EXECUTE ... } [ WITH [ NO ] DATA ]",
        "Makes a table of a query's columns and fills it with its rows. SELECT ... INTO name FROM ... does the same.",
        "CREATE TABLE names AS SELECT id, name FROM people",
    ),
    works(
        "COPY",
        "COPY table [ ( column, ... ) ] FROM { 'file' | STDIN } [ [ WITH ] ( option, ... ) ] [ WHERE condition ]
COPY { table [ ( column, ... ) ] | ( query | insert | update | delete ) } TO { 'file' | STDOUT } [ [ WITH ] ( option, ... ) ]

option: FORMAT { text | csv }, DELIMITER 'c', NULL 'text', HEADER [ boolean | MATCH ], QUOTE 'c', ESCAPE 'c',
    FORCE_QUOTE { ( column, ... ) | * }, FORCE_NOT_NULL ( column, ... ), FORCE_NULL ( column, ... )",
        "Reads rows from a file or from the host, or writes them there, as text or CSV.",
        "COPY people TO STDOUT (FORMAT csv, HEADER)",
    ),
    works(
        "ANALYZE",
        "{ ANALYZE | ANALYSE } [ ( SKIP_LOCKED [ boolean ] ) ] [ table [ ( column, ... ) ], ... ]",
        "Counts and samples tables, so that the optimizer knows what is in them. With SKIP_LOCKED tables that it would have to \
         wait for are left out, with a warning.",
        "ANALYZE people",
    ),
    works(
        "EXPLAIN",
        "EXPLAIN [ ANALYZE ] [ VERBOSE ] { query | insert | update | delete | create table as }
EXPLAIN ( option, ... ) { query | insert | update | delete | create table as }

option: { ANALYZE | VERBOSE | COSTS | TIMING | SUMMARY } [ boolean ], FORMAT { TEXT | JSON }",
        "Shows a statement's plan with estimates; with ANALYZE runs it and shows what happened: rows, time, memory.",
        "EXPLAIN SELECT name FROM people WHERE id = 1",
    ),
    works(
        "VACUUM",
        "VACUUM [ FULL ] [ FREEZE ] [ ANALYZE ] [ name [ ( column, ... ) ], ... ]
VACUUM [ ( { FULL | FREEZE | ANALYZE | SKIP_LOCKED } [ boolean ], ... ) ] [ name [ ( column, ... ) ], ... ]",
        "Merges pages that are not full and makes the file shorter, beside readers and writers. Not in a transaction \
         block. With FULL or FREEZE it does the same; with SKIP_LOCKED tables that it \
         would have to wait for are left out, with a warning. lumos_stat_space shows what tables, indexes and the file take up.",
        "VACUUM",
    ),
    works(
        "TRUNCATE",
        "TRUNCATE [ TABLE ] { [ ONLY ] name [ * ] }, ... [ RESTART IDENTITY | CONTINUE IDENTITY ] [ CASCADE | RESTRICT ]",
        "Removes all rows of tables, while nobody else reads or changes them. Tables that refer to them are listed too, or CASCADE empties them as well. With RESTART IDENTITY the sequences of their columns begin anew.",
        "TRUNCATE names",
    ),
    works(
        "REINDEX",
        "REINDEX [ ( CONCURRENTLY [ boolean ] ) ] { INDEX | TABLE | SCHEMA | DATABASE } [ CONCURRENTLY ] name",
        "Makes an index, or all of a table, of a schema or of the database, anew from the rows, whatever stands in them. \
         Until the new one is whole the old one is used, also after a crash. CONCURRENTLY: others go on reading and writing \
         the table meanwhile; not inside a transaction block, nor are SCHEMA and DATABASE.",
        "REINDEX TABLE people",
    ),
    works(
        "DROP INDEX",
        "DROP INDEX [ IF EXISTS ] name, ... [ CASCADE | RESTRICT ]
DROP INDEX CONCURRENTLY [ IF EXISTS ] name",
        "Removes indexes. CONCURRENTLY: others go on reading and writing the table meanwhile; not inside a transaction block; \
         where it is cancelled while it waits for readers, the index stays as it was.",
        "DROP INDEX people_name",
    ),
    works(
        "DROP TABLE",
        "DROP TABLE [ IF EXISTS ] name, ... [ CASCADE | RESTRICT ]",
        "Removes tables with their indexes; with CASCADE also the views over them and the foreign keys that refer to them.",
        "DROP TABLE IF EXISTS names",
    ),
    works(
        "CREATE SEQUENCE",
        "CREATE SEQUENCE [ IF NOT EXISTS ] name [ option ... ]

option: AS { smallint | integer | bigint }, INCREMENT [ BY ] n, { MINVALUE n | NO MINVALUE }, { MAXVALUE n | NO MAXVALUE },
    START [ WITH ] n, CACHE n, [ NO ] CYCLE, OWNED BY { table.column | NONE }",
        "Makes a sequence: nextval('name') draws its values, each once, also where the transaction is rolled back or the \
         process ends. SELECT * FROM name shows where it stands.",
        "CREATE SEQUENCE tickets START WITH 1000",
    ),
    works(
        "ALTER SEQUENCE",
        "ALTER SEQUENCE [ IF EXISTS ] name option ...
ALTER SEQUENCE [ IF EXISTS ] name RENAME TO new_name

option: as in CREATE SEQUENCE, and RESTART [ [ WITH ] n ]",
        "Changes a sequence when the transaction commits; other sessions draw from it as it was until then.",
        "ALTER SEQUENCE tickets RESTART WITH 2000 INCREMENT BY 10",
    ),
    works(
        "DROP SEQUENCE",
        "DROP SEQUENCE [ IF EXISTS ] name, ... [ CASCADE | RESTRICT ]",
        "Removes sequences, with CASCADE also the defaults that draw from them.",
        "DROP SEQUENCE tickets",
    ),
    works(
        "LISTEN",
        "LISTEN channel",
        "From the commit on the session gets what others, and it itself, send to the channel.",
        "LISTEN jobs",
    ),
    works(
        "NOTIFY",
        "NOTIFY channel [ , 'payload' ]",
        "Sends a message to those who listen to the channel, when the transaction commits. pg_notify(channel, payload) does \
         the same.",
        "NOTIFY jobs, 'number 7'",
    ),
    works(
        "UNLISTEN",
        "UNLISTEN { channel | * }",
        "Stops listening to a channel, or to all.",
        "UNLISTEN *",
    ),
    works(
        "PREPARE",
        "PREPARE name [ ( type, ... ) ] AS { SELECT ... | VALUES ... | INSERT ... | UPDATE ... | DELETE ... }",
        "Gives a statement a name in this session: its plan is made once, and again when definitions have changed. Types that \
         are not given, or are unknown, follow from how the parameters are used. The name stays until DEALLOCATE, DISCARD ALL \
         or the end of the session, also where the transaction is rolled back. pg_prepared_statements shows the names.",
        "PREPARE one_of_them (bigint) AS SELECT * FROM people WHERE id = $1",
    ),
    works(
        "EXECUTE",
        "EXECUTE name [ ( expression, ... ) ]",
        "Runs a statement of PREPARE with these values of its parameters; its result and its tag are those of the statement. \
         Also in EXPLAIN EXECUTE and CREATE TABLE ... AS EXECUTE. The expressions hold no queries and no parameters.",
        "EXECUTE one_of_them (1)",
    ),
    works(
        "DEALLOCATE",
        "DEALLOCATE [ PREPARE ] { name | ALL }",
        "Forgets a statement of PREPARE, or all of them.",
        "DEALLOCATE one_of_them",
    ),
    works(
        "DISCARD",
        "DISCARD { ALL | PLANS | SEQUENCES | TEMP }",
        "Forgets what the session keeps: its plans, the values that it drew of sequences; with ALL also its settings, its \
         names of PREPARE and what it listens to.",
        "DISCARD SEQUENCES",
    ),
    works(
        "BEGIN",
        "{ BEGIN [ WORK | TRANSACTION ] | START TRANSACTION }
    [ ISOLATION LEVEL { READ UNCOMMITTED | READ COMMITTED | REPEATABLE READ | SERIALIZABLE } ]
    [ READ WRITE | READ ONLY ] [ [ NOT ] DEFERRABLE ]",
        "Starts a transaction block.",
        "BEGIN ISOLATION LEVEL REPEATABLE READ",
    ),
    works(
        "SET TRANSACTION",
        "SET TRANSACTION [ ISOLATION LEVEL ... ] [ READ WRITE | READ ONLY ] [ [ NOT ] DEFERRABLE ]
SET SESSION CHARACTERISTICS AS TRANSACTION ...",
        "Chooses how the transaction, or those to come, run. At SERIALIZABLE the outcome is that of some order of the transactions one after the other: a COMMIT whose transaction read what another one changed fails with 40001, and the transaction is to be run again; one that only reads never fails so. DEFERRABLE changes nothing: no snapshot has to be waited for.",
        "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    ),
    works(
        "SET CONSTRAINTS",
        "SET CONSTRAINTS { ALL | name, ... } { DEFERRED | IMMEDIATE }",
        "Chooses whether deferrable constraints wait for the end of the transaction. IMMEDIATE checks at once what has waited so far.",
        "SET CONSTRAINTS ALL DEFERRED",
    ),
    works(
        "COMMIT",
        "{ COMMIT | END } [ WORK | TRANSACTION ] [ AND [ NO ] CHAIN ]",
        "Ends the block and keeps what it did; with AND CHAIN another one with the same modes begins.",
        "COMMIT",
    ),
    works(
        "ROLLBACK",
        "{ ROLLBACK | ABORT } [ WORK | TRANSACTION ] [ AND [ NO ] CHAIN ]",
        "Ends the block and undoes what it did; with AND CHAIN another one with the same modes begins.",
        "START TRANSACTION; ROLLBACK",
    ),
    works(
        "SAVEPOINT",
        "SAVEPOINT name",
        "Names a place in a transaction block to return to.",
        "BEGIN; SAVEPOINT before; ROLLBACK",
    ),
    works(
        "RELEASE SAVEPOINT",
        "RELEASE [ SAVEPOINT ] name",
        "Forgets a savepoint and those set after it; what was done since then stays.",
        "BEGIN; SAVEPOINT before; RELEASE before; COMMIT",
    ),
    works(
        "ROLLBACK TO SAVEPOINT",
        "ROLLBACK [ WORK | TRANSACTION ] TO [ SAVEPOINT ] name",
        "Undoes what was done since a savepoint, and ends the aborted state that an error left; the savepoint stays.",
        "BEGIN; SAVEPOINT before; SELECT 1; ROLLBACK TO before; COMMIT",
    ),
    works(
        "LOCK",
        "LOCK [ TABLE ] { [ ONLY ] name [ * ] }, ... [ IN mode MODE ] [ NOWAIT ]

mode: ACCESS SHARE, ROW SHARE, ROW EXCLUSIVE, SHARE UPDATE EXCLUSIVE, SHARE, SHARE ROW EXCLUSIVE, EXCLUSIVE
    or ACCESS EXCLUSIVE",
        "Locks tables to the end of the transaction, in ACCESS EXCLUSIVE mode unless another one is named. With NOWAIT it \
         is an error (55P03) where it would have to wait. lumos_locks shows who holds what and who waits.",
        "BEGIN; LOCK TABLE people IN SHARE MODE; COMMIT",
    ),
    works(
        "SET",
        "SET [ SESSION | LOCAL ] name { TO | = } { value | 'value' | DEFAULT }
SET [ SESSION | LOCAL ] TIME ZONE { 'zone' | LOCAL | DEFAULT }",
        "Changes a setting for the session, or with LOCAL for the transaction.",
        "SET timezone TO 'Europe/Oslo'",
    ),
    works("SHOW", "SHOW { name | ALL }", "Gives a setting, or all of them.", "SHOW timezone"),
    works("RESET", "RESET { name | ALL }", "Puts settings back to their defaults.", "RESET timezone"),
    works(
        "CHECKPOINT",
        "CHECKPOINT",
        "Writes what is only in the log into the database file.",
        "CHECKPOINT",
    ),
    refused("CALL", "CALL something()"),
    refused("CLOSE", "CLOSE c"),
    refused("CLUSTER", "CLUSTER people"),
    refused("COMMENT", "COMMENT ON TABLE people IS 'x'"),
    refused("DECLARE", "DECLARE c CURSOR FOR SELECT 1"),
    refused("DO", "DO 'x'"),
    refused("FETCH", "FETCH c"),
    refused("GRANT", "GRANT SELECT ON people TO somebody"),
    refused("IMPORT FOREIGN SCHEMA", "IMPORT FOREIGN SCHEMA x FROM SERVER y INTO z"),
    refused("LOAD", "LOAD 'x'"),
    refused("MERGE", "MERGE INTO people USING people AS p ON people.id = p.id WHEN MATCHED THEN DELETE"),
    refused("MOVE", "MOVE c"),
    refused("REASSIGN OWNED", "REASSIGN OWNED BY a TO b"),
    refused("REFRESH MATERIALIZED VIEW", "REFRESH MATERIALIZED VIEW v"),
    refused("REVOKE", "REVOKE SELECT ON people FROM somebody"),
    refused("SECURITY LABEL", "SECURITY LABEL ON TABLE people IS 'x'"),
];
