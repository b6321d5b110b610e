//! The syntax tree: what a statement says, before any name is resolved.
//!
//! Nodes live in a [`crate::common::arena::Arena`] and are `Copy`; lists are slices. Every node that an error can name
//! carries its place in the SQL text. Left-associative sequences (operators, AND, OR, joins, UNION) are flat
//! lists, so a long sequence is no deep tree. Knows no catalog and no types beyond their spelling.

pub mod control;
pub mod define;
pub mod expression;
pub mod modify;
pub mod query;

use crate::sql::ast::control::{
    Analyze, Comment, Copy as CopyStatement, Deallocate, Discard, Execute, Explain, LockTable, Notify,
    Prepare, Reindex, Set, Show, TransactionControl, Vacuum,
};
use crate::sql::ast::define::{
    AlterSequence, AlterTable, CreateIndex, CreateSchema, CreateSequence, CreateTable, CreateTableAs,
    CreateView, Drop, Truncate,
};
use crate::sql::ast::expression::Expr;
use crate::sql::ast::modify::{Delete, Insert, Merge, Update};
use crate::sql::ast::query::Query;

/// Bytes `start..end` of the SQL text.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// After the last byte.
    pub end: u32,
}

impl Span {
    /// The first byte, as [`crate::error::Error::at`] takes it.
    pub fn position(self) -> usize {
        self.start as usize
    }

    /// The text it covers.
    pub fn text(self, sql: &str) -> &str {
        sql.get(self.start as usize..self.end as usize).unwrap_or("")
    }
}

/// An identifier: unquoted ones are in lower case, all are cut to 63 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Name<'a> {
    /// The name as the catalog spells it.
    pub text: &'a str,
    /// Where it stands.
    pub span: Span,
}

impl Name<'_> {
    /// The first byte in the SQL text.
    pub fn position(self) -> usize {
        self.span.position()
    }
}

/// A name with qualifiers: `schema.table`, `function`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ObjectName<'a> {
    /// The parts, at least one; the last is the object.
    pub parts: &'a [Name<'a>],
}

impl<'a> ObjectName<'a> {
    /// The last part.
    pub fn object(&self) -> Name<'a> {
        self.parts[self.parts.len() - 1]
    }

    /// The part before the last.
    pub fn schema(&self) -> Option<Name<'a>> {
        self.parts.len().checked_sub(2).map(|index| self.parts[index])
    }

    /// First byte of the first to last byte of the last part.
    pub fn span(&self) -> Span {
        Span { start: self.parts[0].span.start, end: self.object().span.end }
    }

    /// The first byte in the SQL text.
    pub fn position(&self) -> usize {
        self.parts[0].span.position()
    }
}

impl std::fmt::Display for ObjectName<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, part) in self.parts.iter().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            f.write_str(part.text)?;
        }
        Ok(())
    }
}

/// A type as written. Types that the grammar spells with keywords (`int`, `double precision`,
/// `character varying(5)`, `timestamp with time zone`) carry PostgreSQL's internal name: `int2`, `int4`, `int8`,
/// `float4`, `float8`, `numeric`, `bool`, `varchar`, `bpchar`, `bit`, `varbit`, `time`, `timetz`, `timestamp`,
/// `timestamptz`, `interval`, `json`. Others are as the user wrote them (`text`, `date`, `bytea`).
#[derive(Clone, Copy, Debug)]
pub struct TypeName<'a> {
    /// Its name.
    pub name: ObjectName<'a>,
    /// `(12, 2)`; `char` without one has the modifier 1, as in PostgreSQL.
    pub modifiers: &'a [Expr<'a>],
    /// `interval day to second`.
    pub interval: Option<IntervalFields>,
    /// How many `[]` follow (`ARRAY` counts as one); 0: no array.
    pub array_dimensions: u32,
    /// The whole type.
    pub span: Span,
}

/// The fields that an interval type or literal is limited to, from coarsest to finest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IntervalFields {
    /// First field.
    pub from: IntervalField,
    /// Last field; equal to `from` where only one is written.
    pub to: IntervalField,
}

/// A field of an interval.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum IntervalField {
    /// YEAR.
    Year,
    /// MONTH.
    Month,
    /// DAY.
    Day,
    /// HOUR.
    Hour,
    /// MINUTE.
    Minute,
    /// SECOND.
    Second,
}

/// A statement with its place and its parameters.
#[derive(Clone, Copy, Debug)]
pub struct StatementWithSpan<'a> {
    /// The statement.
    pub statement: Statement<'a>,
    /// Its text, without the semicolon.
    pub span: Span,
    /// How many parameters there are: the highest `$n`, or the number of `?` or of different names.
    pub parameter_count: u32,
    /// Names of `:name` and `@name` parameters by index; empty where parameters have no names.
    pub parameter_names: &'a [&'a str],
}

/// A statement.
#[derive(Clone, Copy, Debug)]
pub enum Statement<'a> {
    /// SELECT, VALUES, TABLE, with WITH and set operations.
    Query(&'a Query<'a>),
    /// INSERT.
    Insert(&'a Insert<'a>),
    /// UPDATE.
    Update(&'a Update<'a>),
    /// DELETE.
    Delete(&'a Delete<'a>),
    /// MERGE.
    Merge(&'a Merge<'a>),
    /// CREATE TABLE with columns.
    CreateTable(&'a CreateTable<'a>),
    /// CREATE TABLE … AS query.
    CreateTableAs(&'a CreateTableAs<'a>),
    /// CREATE INDEX.
    CreateIndex(&'a CreateIndex<'a>),
    /// CREATE VIEW.
    CreateView(&'a CreateView<'a>),
    /// CREATE SEQUENCE.
    CreateSequence(&'a CreateSequence<'a>),
    /// ALTER SEQUENCE with options.
    AlterSequence(&'a AlterSequence<'a>),
    /// CREATE SCHEMA.
    CreateSchema(&'a CreateSchema<'a>),
    /// ALTER TABLE (also ALTER INDEX, VIEW, SEQUENCE … RENAME and SET SCHEMA).
    AlterTable(&'a AlterTable<'a>),
    /// DROP TABLE, INDEX, VIEW, SEQUENCE, SCHEMA.
    Drop(&'a Drop<'a>),
    /// TRUNCATE.
    Truncate(&'a Truncate<'a>),
    /// BEGIN, COMMIT, ROLLBACK, SAVEPOINT and the like.
    Transaction(&'a TransactionControl<'a>),
    /// SET, RESET.
    Set(&'a Set<'a>),
    /// SHOW.
    Show(&'a Show<'a>),
    /// EXPLAIN.
    Explain(&'a Explain<'a>),
    /// ANALYZE.
    Analyze(&'a Analyze<'a>),
    /// VACUUM.
    Vacuum(&'a Vacuum<'a>),
    /// REINDEX.
    Reindex(&'a Reindex<'a>),
    /// CHECKPOINT.
    Checkpoint {
        /// Where the keyword stands.
        span: Span,
    },
    /// COPY.
    Copy(&'a CopyStatement<'a>),
    /// PREPARE name AS statement.
    Prepare(&'a Prepare<'a>),
    /// EXECUTE.
    Execute(&'a Execute<'a>),
    /// DEALLOCATE.
    Deallocate(&'a Deallocate<'a>),
    /// DISCARD.
    Discard(&'a Discard),
    /// COMMENT ON.
    Comment(&'a Comment<'a>),
    /// LISTEN, UNLISTEN, NOTIFY.
    Notify(&'a Notify<'a>),
    /// LOCK TABLE.
    LockTable(&'a LockTable<'a>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_of_a_long_list_stays_small() {
        assert!(std::mem::size_of::<Expr<'_>>() <= 40, "{}", std::mem::size_of::<Expr<'_>>());
        assert!(std::mem::size_of::<Statement<'_>>() <= 16);
    }
}
