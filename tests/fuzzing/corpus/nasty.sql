SELECT
%%
;;;;
%%
SELECT 1 2 3
%%
SELECT ((((((((((((((((((((((((((((((((((((((((1))))))))))))))))))))))))))))))))))))))))
%%
SELECT 'unterminated
%%
SELECT "unterminated
%%
SELECT $tag$ unterminated $tag
%%
SELECT /* unterminated /* nested */
%%
SELECT ""
%%
SELECT 1x, 0x1F, 1e, 1e+, .5., 1..2, 1.e5
%%
SELECT E'\', E'\u12', E'\uD800', E'\xZZ', E'\777'
%%
SELECT U&'\D83D\DE00', U&'\D83D', U&"\0061" UESCAPE '!'
%%
SELECT $1, $0, $65536, $99999999999999999999, ?, :a
%%
SELECT a.b.c.d.e.f FROM a.b.c.d
%%
SELECT * FROM t AS t(a, a, a), t
%%
SELECT t.*, (t).*, (SELECT t) FROM t
%%
SELECT count(*) FROM t GROUP BY count(*) HAVING sum(sum(a)) > 1
%%
SELECT a FROM t ORDER BY 0, -1, 99999999999999999999, 'x', NULL
%%
SELECT DISTINCT a FROM t ORDER BY b
%%
SELECT 1 LIMIT -1 OFFSET 'x'
%%
SELECT 1 LIMIT (SELECT a FROM t) OFFSET a
%%
INSERT INTO t VALUES ()
%%
INSERT INTO t (id, id) VALUES (1, 2), (3)
%%
INSERT INTO t DEFAULT VALUES RETURNING *, nosuch
%%
UPDATE t SET id = DEFAULT, id = 1, (a, b) = (1) WHERE count(*) > 1
%%
DELETE FROM t WHERE a IN (SELECT a FROM t AS t WHERE t.a = u.a)
%%
CREATE TABLE t2 (a int, a int, PRIMARY KEY (a), PRIMARY KEY (a, a))
%%
CREATE TABLE t3 (a numeric(0), b numeric(1001), c varchar(0), d char(10485761), e timestamp(99))
%%
CREATE TABLE t4 (a int CHECK (a > (SELECT 1)), b int DEFAULT (a), c int CHECK (count(*) > 1))
%%
CREATE TABLE aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa (a int)
%%
SELECT CASE WHEN 1 THEN 2 WHEN 'x' THEN 3.5 ELSE '2024-01-01'::date END
%%
SELECT 1 = 1 = 1, 1 < 2 < 3, NOT NOT 1, - - 1, 1 - -1, 2 ^ 3 ^ 4, 1 IS NULL IS NULL
%%
SELECT a BETWEEN b AND c AND d BETWEEN e AND f FROM t
%%
SELECT 1 WHERE (1, 2) = (1, 2, 3) OR (1, 2) IN ((1, 2), (3)) OR ROW () = ROW ()
%%
SELECT 9223372036854775807 + 1, -9223372036854775808, 1 / 0, 1e308 * 10, 10 ^ 400
%%
SELECT interval '1 year 2 mons -3 days 04:05:06.789', interval 'P1Y2M3DT4H', interval '99999999999999 years'
%%
SELECT date '0000-00-00', date '294277-01-01', timestamp 'infinity', timestamptz '2024-01-01 nosuch/zone'
%%
SELECT extract(century from date '2000-01-01'), extract(nosuch from now()), date_part(NULL, NULL)
%%
WITH RECURSIVE r AS (SELECT 1 UNION ALL SELECT * FROM r) SELECT * FROM r
%%
WITH a AS (SELECT * FROM b), b AS (SELECT * FROM a) SELECT * FROM a, b
%%
WITH a AS (SELECT 1), a AS (SELECT 2) SELECT * FROM a
%%
SELECT * FROM (VALUES (1, 'x'), (2)) AS v (a, b, c)
%%
SELECT 1 UNION SELECT 1, 2
%%
(SELECT 1 UNION (SELECT 'x' EXCEPT SELECT NULL)) INTERSECT ALL VALUES (DATE '2024-01-01')
%%
SELECT * FROM t JOIN u ON t.id = u.t_id JOIN t ON t.id = t.id
%%
SELECT * FROM t NATURAL JOIN u LEFT JOIN "order" USING (id, nosuch) CROSS JOIN t x
%%
SELECT (SELECT (SELECT (SELECT (SELECT t.a FROM u WHERE u.id = t.id) FROM t) FROM u) FROM t) FROM u
%%
SELECT a, rank() OVER (PARTITION BY b ORDER BY c ROWS BETWEEN 1 FOLLOWING AND 1 PRECEDING) FROM t WINDOW w AS (w)
%%
SELECT string_agg(DISTINCT c, ',' ORDER BY d) FILTER (WHERE a > 1) FROM t
%%
COPY t (id, nosuch) FROM STDIN (FORMAT csv, FORMAT text, DELIMITER 'ab', NULL, HEADER 7)
%%
EXPLAIN EXPLAIN SELECT 1
%%
EXPLAIN (ANALYZE, ANALYZE false, FORMAT yaml, FORMAT) SELECT 1
%%
PREPARE p AS PREPARE q AS SELECT 1
%%
SET a.b.c = DEFAULT; SET TIME ZONE LOCAL; SET SESSION AUTHORIZATION x; RESET TRANSACTION ISOLATION LEVEL
%%
BEGIN TRANSACTION ISOLATION LEVEL READ UNCOMMITTED READ ONLY READ WRITE DEFERRABLE NOT DEFERRABLE
%%
SELECT 'a' LIKE 'b' ESCAPE 'ab', 'a' SIMILAR TO '((', 'a' ~ '((', substring('a' from '%#"x#"%' for '#')
%%
SELECT a::int::text::nosuch::int[3][]::"char"::pg_catalog.int4, CAST(a AS SETOF int), int4 '1' '2' FROM t
%%
SELECT "select" FROM "order" AS "Order By" WHERE "Order By"."select" = 'x' -- end
%%
SELECT/**/1;SELECT--
1;
%%
sElEcT ﻿1
%%
SELECT 'é' || U&'\00e9' AS é, "Ü" FROM ü
%%
SELECT :a, :a, :b; SELECT $1, ?; SELECT @x + @x
%%
SELECT a ?| b, a ? b, a ?& b, a @? b, a @@ b, a #>> b, a <-> b FROM t
%%
SELECT * FROM t WHERE a = ALL (SELECT b, c FROM t) OR a = ANY (1) OR EXISTS (1) OR a IN ()
%%
SELECT coalesce(), nullif(1), greatest(), concat(VARIADIC ARRAY[1]), abs(x => 1), abs(*), abs(DISTINCT 1), count(DISTINCT *)
%%
GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC; DO $$ BEGIN END $$; CALL f(); DECLARE c CURSOR FOR SELECT 1
%%
MERGE INTO t USING u ON t.id = u.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (1)
%%
SELECT - - 9223372036854775808, - - - 9223372036854775808
