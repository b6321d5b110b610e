//! The parser by what it accepts, what it makes of it, and where it stops.

use super::*;
use crate::common::random::Random;
use crate::sql::ast::Statement;
use crate::sql::ast::expression::{CastSyntax, ExprKind, Literal, QuantifiedRight};
use crate::sql::ast::query::{FromItem, JoinCondition, QueryBody};
use crate::sql::lexer::keyword::Keyword;
use std::fmt::Write;

/// An expression with a parenthesis around every operator, to show how it was grouped.
fn show(expr: &Expr<'_>) -> String {
    let list = |list: &[Expr<'_>], separator: &str| list.iter().map(show).collect::<Vec<_>>().join(separator);
    let not = |negated: bool| if negated { "not " } else { "" };
    match &expr.kind {
        ExprKind::Literal(Literal::String(text)) => format!("'{text}'"),
        ExprKind::Literal(Literal::Integer(value)) => value.to_string(),
        ExprKind::Literal(Literal::Number(text)) => (*text).to_string(),
        ExprKind::Literal(Literal::Null) => "null".into(),
        ExprKind::Literal(other) => format!("{other:?}"),
        ExprKind::Column(name) => name.to_string(),
        ExprKind::QualifiedStar(name) => format!("{name}.*"),
        ExprKind::Parameter(index) => format!("${}", index + 1),
        ExprKind::Binary(sequence) => sequence.rest.iter().fold(show(&sequence.first), |left, step| {
            format!("({left} {} {})", step.operator.symbol, show(&step.right))
        }),
        ExprKind::Unary { operator, input } => format!("({}{})", operator.symbol, show(input)),
        ExprKind::And(terms) => format!("({})", list(terms, " and ")),
        ExprKind::Or(terms) => format!("({})", list(terms, " or ")),
        ExprKind::Not(input) => format!("(not {})", show(input)),
        ExprKind::IsNull { input, negated } => format!("({} is {}null)", show(input), not(*negated)),
        ExprKind::IsTruth { input, truth, negated } => {
            format!("({} is {}{truth:?})", show(input), not(*negated))
        }
        ExprKind::IsDistinct { left, right, negated } => {
            format!("({} is {}distinct from {})", show(left), not(*negated), show(right))
        }
        ExprKind::Between(b) => {
            format!(
                "({} {}between {} and {})",
                show(&b.input),
                not(b.negated),
                show(&b.lower),
                show(&b.upper)
            )
        }
        ExprKind::Like(l) => {
            let escape = l.escape.as_ref().map(|e| format!(" escape {}", show(e))).unwrap_or_default();
            format!("({} {}{:?} {}{escape})", show(&l.input), not(l.negated), l.kind, show(&l.pattern))
        }
        ExprKind::InList { input, list: items, negated } => {
            format!("({} {}in ({}))", show(input), not(*negated), list(items, ", "))
        }
        ExprKind::InQuery { input, negated, .. } => format!("({} {}in (query))", show(input), not(*negated)),
        ExprKind::Quantified(q) => {
            let right = match q.right {
                QuantifiedRight::Array(array) => show(array),
                QuantifiedRight::Query(_) => "query".into(),
            };
            format!(
                "({} {} {} ({right}))",
                show(&q.left),
                q.operator.symbol,
                if q.all { "all" } else { "any" }
            )
        }
        ExprKind::Exists(_) => "exists (query)".into(),
        ExprKind::ScalarQuery(_) => "(query)".into(),
        ExprKind::Array(items) => format!("array[{}]", list(items, ", ")),
        ExprKind::Row(items) => format!("row({})", list(items, ", ")),
        ExprKind::Cast(cast) => {
            let mut target = cast.target.name.to_string();
            if !cast.target.modifiers.is_empty() {
                write!(target, "({})", list(cast.target.modifiers, ",")).unwrap();
            }
            target.push_str(&"[]".repeat(cast.target.array_dimensions as usize));
            format!("{}::{target}", show(&cast.input))
        }
        ExprKind::Collate { input, collation } => format!("({} collate {collation})", show(input)),
        ExprKind::Function(call) => {
            format!("{}({})", call.name, if call.star { "*".into() } else { list(call.arguments, ", ") })
        }
        ExprKind::Subscript { input, index } => format!("{}[{}]", show(input), show(index)),
        ExprKind::Field { input, name } => format!("({}).{}", show(input), name.text),
        other => format!("{other:?}"),
    }
}

fn grouped(text: &str, expected: &str) {
    let arena = Arena::new();
    match parse_expression(text, &arena) {
        Ok(expr) => {
            assert_eq!(show(expr), expected, "{text}");
            // A span, parsed alone, is the same expression: stored defaults and checks rely on it.
            let again = parse_expression(expr.span.text(text), &arena).unwrap();
            assert_eq!(show(again), expected, "the span of {text}");
        }
        Err(error) => panic!("{text}: {error} at {:?}", error.position()),
    }
}

fn refused(text: &str, state: SqlState, message: &str, position: usize) {
    let arena = Arena::new();
    let error = match parse(text, &arena) {
        Ok(statements) => panic!("{text} gave {statements:?}"),
        Err(error) => error,
    };
    assert_eq!(
        (error.state(), error.message(), error.position()),
        (state, message, Some(position)),
        "{text}"
    );
}

fn accepted(text: &str) {
    let arena = Arena::new();
    if let Err(error) = parse(text, &arena) {
        panic!("{text}: {error} at {:?}", error.position());
    }
}

#[test]
fn operators_bind_as_postgresql_binds_them() {
    for (text, expected) in [
        ("1 + 2 * 3", "(1 + (2 * 3))"),
        ("1 - 2 - 3", "((1 - 2) - 3)"),
        ("2 ^ 3 ^ 2", "((2 ^ 3) ^ 2)"),
        ("-2 ^ 2", "(-2 ^ 2)"),
        ("- a ^ 2", "((-a) ^ 2)"),
        ("-a::integer", "(-a::int4)"),
        ("a = b + 1 and c or d and not e", "(((a = (b + 1)) and c) or (d and (not e)))"),
        ("not a = b", "(not (a = b))"),
        ("not not a", "(not (not a))"),
        ("a || b + c", "(a || (b + c))"),
        ("a || b = c", "((a || b) = c)"),
        ("a -> 'b' ->> 'c' = d", "(((a -> 'b') ->> 'c') = d)"),
        ("a between 1 and 2 and b", "((a between 1 and 2) and b)"),
        ("a not between b + 1 and c * 2", "(a not between (b + 1) and (c * 2))"),
        ("a in (1, 2) and b not in (3)", "((a in (1, 2)) and (b not in (3)))"),
        ("a = b is null", "((a = b) is null)"),
        ("a is not distinct from b + 1", "(a is not distinct from (b + 1))"),
        ("a is null is not true", "((a is null) is not Some(true))"),
        ("a like b || '%' escape '!'", "(a Like (b || '%') escape '!')"),
        ("a not ilike 'x'", "(a not CaseInsensitive 'x')"),
        ("a similar to 'x' or b", "((a SimilarTo 'x') or b)"),
        ("a at time zone 'utc' < b", "(timezone('utc', a) < b)"),
        ("a + b at time zone 'utc'", "(a + timezone('utc', b))"),
        ("a collate \"C\" < b", "((a collate C) < b)"),
        ("a = any ($1::text[])", "(a = any ($1::text[]))"),
        ("a <> all (array[1, 2])", "(a <> all (array[1, 2]))"),
        ("a like any (b)", "(a ~~ any (b))"),
        ("a = ? and b = ?", "((a = $1) and (b = $2))"),
        ("a=?||'x'", "(a = ($1 || 'x'))"),
        ("a = -?-1", "(a = ((-$1) - 1))"),
        ("a=:x and b=@y and c=:x", "((a = $1) and (b = $2) and (c = $1))"),
        ("x ? 'key'", "(x ? 'key')"),
        ("a[1][2]", "a[1][2]"),
        ("(a).b", "(a).b"),
        ("operator(pg_catalog.-) 1", "error"),
        ("1 operator(pg_catalog.+) 2", "(1 + 2)"),
        ("~1 & 2", "((~1) & 2)"),
        ("row(1, 2) = (3, 4)", "(row(1, 2) = row(3, 4))"),
        ("(a, b) overlaps (c, d)", "overlaps(a, b, c, d)"),
        ("a <= b", "(a <= b)"),
        ("a != b", "(a <> b)"),
        ("(select 1) + 1", "((query) + 1)"),
        ("((select 1) union select 2)", "(query)"),
        ("a in ((select 1), 2)", "(a in ((query), 2))"),
        ("a in ((select 1))", "(a in (query))"),
        ("exists (select 1) and true", "(exists (query) and Boolean(true))"),
        ("9223372036854775807", "9223372036854775807"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("- -9223372036854775808", "9223372036854775808"),
        ("9223372036854775808", "9223372036854775808"),
        ("a + b and (c - (d - e))", "((a + b) and (c - (d - e)))"),
    ] {
        if expected == "error" {
            assert!(parse_expression(text, &Arena::new()).is_err());
        } else {
            grouped(text, expected);
        }
    }
}

#[test]
fn types_and_special_forms_become_what_the_binder_knows() {
    for (text, expected) in [
        ("cast(a as double precision)", "a::float8"),
        ("a::character varying(5)", "a::varchar(5)"),
        ("a::char", "a::bpchar(1)"),
        ("a::timestamp(3) with time zone", "a::timestamptz(3)"),
        ("a::time without time zone", "a::time"),
        ("a::numeric(12, 2)[]", "a::numeric(12,2)[]"),
        ("a::float(24)", "a::float4"),
        ("a::int array", "a::int4[]"),
        ("date '2020-01-01'", "'2020-01-01'::date"),
        ("timestamp with time zone 'now'", "'now'::timestamptz"),
        ("pg_catalog.date 'x'", "'x'::pg_catalog.date"),
        ("interval '1' day", "'1'::interval"),
        ("interval(3) '1 s'", "'1 s'::interval(3)"),
        ("extract(year from a)", "extract('year', a)"),
        ("substring(a from 2 for 3)", "substring(a, 2, 3)"),
        ("substring(a for 3)", "substring(a, 1, 3)"),
        ("position('a' in b)", "position(b, 'a')"),
        ("trim(both 'x' from a)", "btrim(a, 'x')"),
        ("trim(a)", "btrim(a)"),
        ("trim(leading from a)", "ltrim(a)"),
        ("overlay(a placing b from 1)", "overlay(a, b, 1)"),
        ("count(*)", "count(*)"),
        ("left(a, 1)", "left(a, 1)"),
        ("pg_catalog.version()", "pg_catalog.version()"),
        ("time", "time"),
        ("\"Select\".\"x\"\"y\"", "Select.x\"y"),
        ("U&'d\\0061t' || E'\\n'", "('dat' || '\n')"),
    ] {
        grouped(text, expected);
    }
    let arena = Arena::new();
    let ExprKind::Cast(cast) = parse_expression("interval '1' day to second(3)", &arena).unwrap().kind else {
        panic!("no cast");
    };
    assert_eq!(cast.syntax, CastSyntax::Literal);
    assert!(cast.target.interval.is_some() && cast.target.modifiers.len() == 1);
}

#[test]
fn syntax_errors_are_placed_and_worded_as_postgresql_does() {
    let syntax = SqlState::SYNTAX_ERROR;
    for (text, message, position) in [
        ("selec 1", "syntax error at or near \"selec\"", 0),
        ("select 1 from", "syntax error at end of input", 13),
        ("select * from t where", "syntax error at end of input", 21),
        ("select 1 1", "syntax error at or near \"1\"", 9),
        ("select (1", "syntax error at end of input", 9),
        ("select 1)", "syntax error at or near \")\"", 8),
        ("select a = b = c", "syntax error at or near \"=\"", 13),
        ("select a like b like c", "syntax error at or near \"like\"", 16),
        ("select 'a' 'b'", "syntax error at or near \"'b'\"", 11),
        ("insert into t values", "syntax error at end of input", 20),
        ("create foo x", "syntax error at or near \"foo\"", 7),
        ("create table t (a int,)", "syntax error at or near \")\"", 22),
        ("drop table", "syntax error at end of input", 10),
        ("update t set", "syntax error at end of input", 12),
        ("select 'abc", "unterminated quoted string at or near \"'abc\"", 7),
        ("select 1 as", "syntax error at end of input", 11),
        ("select from from t", "syntax error at or near \"from\"", 12),
        ("begin isolation level serial", "syntax error at or near \"serial\"", 22),
        ("select 1; selct 2", "syntax error at or near \"selct\"", 10),
        ("select * from (t)", "syntax error at or near \")\"", 16),
        ("select $1, ?", "parameters of different forms ($1, ?, :name) cannot be mixed in one statement", 11),
        ("select 1 limit 1, 2", "LIMIT #,# syntax is not supported", 16),
        ("select distinct from t", "syntax error at or near \"from\"", 16),
        ("select a order", "syntax error at end of input", 14),
        ("alter materialized t rename to u", "syntax error at or near \"t\"", 19),
    ] {
        refused(text, syntax, message, position);
    }
    let unsupported = SqlState::FEATURE_NOT_SUPPORTED;
    refused("grant select on t to u", unsupported, "GRANT is not supported", 0);
    refused("  create function f() returns int", unsupported, "CREATE FUNCTION is not supported", 2);
    refused("select $0", SqlState::UNDEFINED_PARAMETER, "there is no parameter $0", 7);
    refused("select $70000", SqlState::UNDEFINED_PARAMETER, "parameters go up to $65535", 7);
}

#[test]
fn what_stands_around_parentheses_belongs_to_the_query_in_them() {
    let syntax = SqlState::SYNTAX_ERROR;
    refused("(SELECT 1 ORDER BY 1) ORDER BY 2", syntax, "multiple ORDER BY clauses not allowed", 31);
    refused("(SELECT 1 LIMIT 1) LIMIT 2", syntax, "multiple LIMIT clauses not allowed", 25);
    refused("(SELECT 1 OFFSET 1) OFFSET 2", syntax, "multiple OFFSET clauses not allowed", 27);
    refused(
        "WITH a AS (SELECT 1) (WITH b AS (SELECT 2) TABLE b)",
        syntax,
        "multiple WITH clauses not allowed",
        0,
    );
    let arena = Arena::new();
    let text = "((SELECT a FROM t LIMIT 2) ORDER BY a) OFFSET 1";
    let statements = parse(text, &arena).unwrap();
    let Statement::Query(query) = statements[0].statement else { panic!("{text} is a query") };
    assert!(matches!(query.body, QueryBody::Select(_)));
    assert!(query.limit.is_some() && query.offset.is_some() && query.order_by.len() == 1);
    accepted("(SELECT 1 ORDER BY 1 LIMIT 1) UNION (SELECT 2 ORDER BY 1 LIMIT 1) ORDER BY 1 LIMIT 1");
}

#[test]
fn text_that_is_no_text_is_refused_before_the_parser() {
    assert_eq!(check_text(b"select 1", 8).unwrap(), "select 1");
    let error = check_text(b"select 1", 7).unwrap_err();
    assert_eq!(error.state(), SqlState::PROGRAM_LIMIT_EXCEEDED);
    let error = check_text(b"a\0b", 9).unwrap_err();
    assert_eq!((error.state(), error.position()), (SqlState::CHARACTER_NOT_IN_REPERTOIRE, Some(1)));
    let error = check_text(b"ab\xff\0", 9).unwrap_err();
    assert_eq!((error.state(), error.position()), (SqlState::CHARACTER_NOT_IN_REPERTOIRE, Some(2)));
    assert_eq!(error.message(), "invalid byte sequence for encoding \"UTF8\": 0xff");
}

const CORPUS: &[&str] = &[
    "select",
    "select all 1, 2 as \"Two\", 3 three, a value, t.*, *",
    "select distinct on (a) a, b from t order by a, b desc nulls last, c using <",
    "select a from only t as x (b, c) where true group by grouping sets ((a), (), rollup (a, (b, c))) having b",
    "select a from t group by distinct a, cube (b) window w as (partition by a order by b rows 1 preceding)",
    "select sum(a) over (w range between unbounded preceding and 1 following exclude ties) from t window w as ()",
    "select count(distinct a) filter (where b), array_agg(a order by b desc), f(variadic x), f(a => 1, b := 2)",
    "select percentile_cont(0.5) within group (order by a) from t",
    "select * from a join b on a.x = b.x left outer join c using (y) as j natural full join d cross join e, f",
    "select * from a join b join c on b.x = c.x on a.x = b.x",
    "select * from (a join b on true) as j (x, y) join (select 1) s on true",
    "select * from ((select 1) union select 2) s, ((a join b on true) join c on true), lateral f(1) with ordinality",
    "select * from rows from (f(1), g(2) as (a int, b text)) as r, h() as (a int), k() x(a int), current_date",
    "select * from t tablesample bernoulli (10) repeatable (1)",
    "(select 1) union all (select 2) intersect select 3 except table t order by 1 limit 1 offset 2",
    "values (1, default), (2, 'x') order by 1 fetch first 2 rows with ties",
    "select 1 offset 1 row fetch next row only for update of t nowait for key share skip locked",
    "with recursive a (x) as not materialized (select 1), b as (delete from t returning *) select * from a, b",
    "select case a when 1 then 2 else 3 end, case when a then b end, nullif(a, b), greatest(1, 2), least(1)",
    "select array[[1, 2], [3, 4]], array(select 1), a[1:2], a[:], (f(x)).y, (a).*, row(), row(1)",
    "select current_timestamp(3), current_user, localtime, current_schema, session_user",
    "select interval '1' year to month, '1'::interval day to second(2), time with time zone '1', bit '1', b'1', x'f'",
    "select a is unknown, a isnull, b notnull, a is not false, a similar to b escape c, not a in (1)",
    "select normalize(a), grouping(a, b), coalesce(a, b), position(a in b), trim(trailing 'x' from y)",
    "insert into s.t as x (a, b.c, d[1]) overriding user value select 1 on conflict on constraint c do nothing",
    "insert into t default values returning *, a as b",
    "insert into t (select 1)",
    "insert into t (a) values (default), (1) on conflict (a, lower(b) collate \"C\") where c do update set (a, b) = \
     (1, 2), c = excluded.c where t.a returning a",
    "with x as (select 1) update only t as u set a = default, (b, c) = (select 1, 2) from v join w on true \
     where current of cur",
    "update t set a = 1",
    "delete from t using u, v where t.a = u.a returning *",
    "merge into t using (select 1) s on t.a = s.a when matched and b then delete when not matched then insert \
     (a) values (1) when not matched and c then do nothing when matched then update set a = 1",
    "create table t ()",
    "create temp table if not exists s.t (a int primary key, b text collate \"C\" not null default 'x' unique, \
     c numeric(10, 2) constraint pos check (c > 0) null, d int generated always as (a + 1) stored, \
     e bigint generated by default as identity (start with 5 increment by 2 no cycle), \
     f int references u (x) match full on delete set null (f) on update cascade deferrable initially deferred, \
     like v including all excluding indexes, constraint k primary key (a, b) include (c), unique nulls not \
     distinct (d), check (a < b) no inherit, foreign key (a) references w, exclude using gist (a with =) where \
     (b > 0)) inherits (z) partition by list (a) using heap with (fillfactor = 70, x) on commit drop tablespace ts",
    "create unlogged table t (a, b) as select 1, 2 with no data",
    "create materialized view if not exists m as select 1",
    "create unique index concurrently if not exists i on only t using btree (a, lower(b) desc nulls first, (a + b) \
     int4_ops asc) include (c) nulls not distinct with (fillfactor = 70) tablespace x where a > 0",
    "create index on t (a)",
    "create or replace temp view v (a) with (security_barrier) as select 1 with local check option",
    "create sequence if not exists s as int increment by -1 minvalue 1 no maxvalue start 5 cache 3 cycle owned by t.a",
    "create schema if not exists x",
    "alter table if exists only t add column if not exists a int default 1, drop column b cascade, alter c type text \
     using c::text, alter column d set default 1 + 1, alter e drop not null, add constraint x check (a) not valid, \
     drop constraint if exists y, validate constraint z, set (fillfactor = 1), owner to me",
    "alter table t rename a to b; alter table t rename constraint a to b; alter index i rename to j; \
     alter table t set schema s; alter materialized view v rename to w",
    "drop table if exists a, b.c cascade; drop index concurrently i restrict; drop materialized view v; drop type t",
    "truncate table only a, b restart identity cascade",
    "begin; start transaction isolation level repeatable read, read only, not deferrable; begin work read write; \
     commit and no chain; end transaction; rollback work and chain; abort; savepoint a; release a; rollback to b",
    "set transaction isolation level serializable; set session characteristics as transaction read only",
    "set local a.b = 1, 'x', on; set x to default; set time zone 'UTC'; set session y = -1.5; set z from current; \
     set time zone local; set names 'utf8'; reset all; reset a.b; show all; show time zone; \
     show transaction isolation level; set local = 1",
    "explain analyze verbose select 1; explain (analyze false, format json) update t set a = 1; explain (select 1)",
    "analyze verbose t (a, b), u; vacuum full analyze t; vacuum (verbose, parallel 2); checkpoint",
    "copy t (a) from 'x' with (format csv, header, null '', force_quote (a, b)) where a > 0; copy (select 1) to stdout \
     csv header delimiter as ';'; copy t to program 'cat'",
    "prepare p (int, text) as select $1; execute p (1, 'x'); deallocate prepare all; deallocate p; discard temp",
    "comment on column s.t.a is 'x'; comment on constraint c on t is null; listen a; notify a, 'x'; unlisten *",
    "lock table a, b in share row exclusive mode nowait; prepare transaction 'x'; commit prepared 'x'",
    "select a.b.c.d from a.b.c where x=-1 and y<@z",
    "select date, name, value, type, text, key, year, values from time where interval is null",
    ";;select 1;; -- comment\n /* another */",
];

#[test]
fn the_grammar_is_read_in_all_its_branches() {
    for text in CORPUS {
        accepted(text);
    }
}

#[test]
fn spans_cover_exactly_what_they_name() {
    let text = " select 1 ; create table t (a int default (1 + 2) * 3 not null check ((a > 0) or b)) ;";
    let arena = Arena::new();
    let statements = parse(text, &arena).unwrap();
    assert_eq!(statements[0].span.text(text), "select 1");
    let Statement::CreateTable(table) = statements[1].statement else { panic!("{statements:?}") };
    let crate::sql::ast::define::TableElement::Column(column) = table.elements[0] else {
        panic!("no column")
    };
    use crate::sql::ast::define::ColumnConstraintKind;
    let ColumnConstraintKind::Default(default) = column.constraints[0].kind else { panic!("no default") };
    assert_eq!(default.span.text(text), "(1 + 2) * 3");
    let ColumnConstraintKind::Check { condition, .. } = column.constraints[2].kind else {
        panic!("no check")
    };
    assert_eq!(condition.span.text(text), "(a > 0) or b");
    let (first, taken) = parse_first(text, &arena).unwrap().unwrap();
    assert_eq!((first.span.text(text), &text[..taken]), ("select 1", " select 1 ;"));
    assert!(parse_first(" -- nothing\n;", &arena).unwrap().is_none());
}

#[test]
fn joins_nest_as_their_conditions_say() {
    let arena = Arena::new();
    let text = "select * from a join b join c on 1 = 1 on 2 = 2 cross join d";
    let statements = parse(text, &arena).unwrap();
    let Statement::Query(query) = statements[0].statement else { panic!("no query") };
    let QueryBody::Select(select) = query.body else { panic!("no select") };
    let [FromItem::Join(joins)] = select.from else { panic!("no join") };
    assert_eq!(joins.rest.len(), 2);
    assert!(matches!(joins.rest[0].right, FromItem::Join(inner) if inner.rest.len() == 1));
    assert!(matches!(joins.rest[0].condition, JoinCondition::On(on) if on.span.text(text) == "2 = 2"));
    assert!(matches!(joins.rest[1].condition, JoinCondition::None));
}

#[test]
fn parameters_are_counted_per_statement_and_named_once() {
    let arena = Arena::new();
    let statements = parse("select $3; select ?, ?; select :b, @a, :b; select 1", &arena).unwrap();
    let counts: Vec<u32> = statements.iter().map(|s| s.parameter_count).collect();
    assert_eq!(counts, [3, 2, 2, 0]);
    assert_eq!(statements[2].parameter_names, ["b", "a"]);
}

/// Runs on the smallest stack that the engine promises to work on.
fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(128 << 10).spawn(test).unwrap().join().unwrap();
}

#[test]
fn deep_nesting_is_refused_and_long_sequences_are_not_on_a_small_stack() {
    on_a_small_stack(|| {
        let deep = |open: &str, inside: &str, close: &str| {
            let text = format!("select {}{inside}{}", open.repeat(10_000), close.repeat(10_000));
            let arena = Arena::new();
            let error = parse(&text, &arena).unwrap_err();
            assert_eq!(error.state(), SqlState::STATEMENT_TOO_COMPLEX, "{open}");
        };
        deep("(", "1", ")");
        deep("(1, ", "1", ")");
        deep("(1, 2, ('a', ", "1", "))");
        deep("1 + (a or b and not c = d * (", "1", "))");
        deep("(select ", "1", ")");
        deep("- ", "1", "");
        deep("not ", "true", "");
        deep("f(g(", "1", "))");
        deep("case when (", "a", ") then 1 end");
        deep("array[[", "1", "]]");
        deep("a[", "1", "]");
        deep("exists (select * from (select ", "1", ") x where true)");
        deep("1 union (select ", "1", ")");
        deep("a between (", "1", ") and 2");
        deep("a in (", "1", ")");
        deep("", "a", "::text");
        deep("", "a", " is null");
        deep("", "a", "[1]");
        deep("~ ", "1", "");
        deep("a::numeric(", "1", ")");
        deep("coalesce(", "1", ")");
        deep("trim(", "a", ")");
        deep("sum(a) over (partition by ", "1", ")");
        deep("array[(", "1", ")]");
        let nested = |open: &str, inside: &str, close: &str| {
            let text = format!("{}{inside}{}", open.repeat(10_000), close.repeat(10_000));
            let arena = Arena::new();
            assert_eq!(parse(&text, &arena).unwrap_err().state(), SqlState::STATEMENT_TOO_COMPLEX, "{open}");
        };
        nested("select * from (", "select 1", ") x");
        nested("with a as (", "select 1", ") select 1");
        nested("select * from ((", "a", " join b on true) join c on true)");
        let chain = format!("select * from a{}{}", " join b".repeat(10_000), " on true".repeat(10_000));
        assert_eq!(parse(&chain, &Arena::new()).unwrap_err().state(), SqlState::STATEMENT_TOO_COMPLEX);
        nested("(", "select 1", ")");
        nested("with a as (", "select 1", ") select 1");
        let long = |first: &str, repeated: &str| {
            let text = format!("select {first}{}", repeated.repeat(10_000));
            let arena = Arena::new();
            parse(&text, &arena).unwrap();
        };
        long("a = 1", " or a = 1");
        long("a = 1", " and a = 1");
        long("1", " + 1");
        long("'a'", " || 'a'");
        long("1", " union all select 1");
        long("* from a", " join b on true");
        let text = format!("select a in (1{})", ", 2".repeat(100_000));
        parse(&text, &Arena::new()).unwrap();
    });
}

#[test]
fn random_tokens_never_panic_and_errors_lie_inside_the_text() {
    const WORDS: &[&str] = &[
        "a", "b", "\"C\"", "1", "2.5", "'s'", "E'\\n'", "$1", "?", ":n", "@m", "(", ")", "[", "]", ",", ";",
        ".", "*", "+", "-", "/", "=", "<>", "<", "||", "::", ":", ":=", "=>", "->", "U&'x'", "B'1'", "$$x$$",
        "é", "--", "/*", "*/", "'", "\"", "\n",
    ];
    let seed = 20_261_121;
    let mut random = Random::new(seed);
    let mut pick = |list: &[&str]| list[random.below(list.len() as u64) as usize].to_string();
    let keywords: Vec<&str> = CORPUS.iter().flat_map(|text| text.split_whitespace()).collect();
    for round in 0..20_000 {
        let mut text = String::new();
        let length = 1 + round % 24;
        for index in 0..length {
            let word = if index % 3 == 2 { pick(WORDS) } else { pick(&keywords) };
            text.push_str(&word);
            text.push(' ');
        }
        let arena = Arena::new();
        if let Err(error) = parse(&text, &arena)
            && let Some(position) = error.position()
        {
            assert!(position <= text.len(), "seed {seed}, round {round}: {text}");
            assert!(text.is_char_boundary(position), "seed {seed}, round {round}: {text}");
        }
    }
}

#[test]
fn keywords_name_things_only_where_their_category_allows() {
    for text in ["between", "int", "abort", "year"] {
        accepted(&format!("select {text} from {text}"));
    }
    accepted("select 1 as select, 2 value, 3 as from");
    accepted("select left(a, 1), right(b, 2)");
    for text in ["select 1 from left", "select user.x from select", "select 1 over", "select 1 year"] {
        assert!(parse(text, &Arena::new()).is_err(), "{text}");
    }
    assert!(Keyword::find(b"SELECT").is_some());
}
