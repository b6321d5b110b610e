//! Expressions as written. Precedence is resolved, names and types are not.
//!
//! The parser turns these special forms into plain calls: `EXTRACT(f FROM x)` → `extract('f', x)`,
//! `SUBSTRING(x FROM a FOR b)` → `substring(x, a, b)`, `POSITION(a IN b)` → `position(b, a)`,
//! `TRIM(BOTH|LEADING|TRAILING c FROM x)` → `btrim|ltrim|rtrim(x, c)`, `OVERLAY(…)` → `overlay(…)`,
//! `x AT TIME ZONE z` → `timezone(z, x)`, `(a, b) OVERLAPS (c, d)` → `overlaps(a, b, c, d)`.

use crate::sql::ast::query::{OrderItem, Query};
use crate::sql::ast::{Name, ObjectName, Span, TypeName};

/// An expression with its place. The span is tight: parentheses around it are not part of it.
#[derive(Clone, Copy, Debug)]
pub struct Expr<'a> {
    /// What it is.
    pub kind: ExprKind<'a>,
    /// Its text; parsing that text alone gives the same expression.
    pub span: Span,
}

impl Expr<'_> {
    /// Where an error about this expression points: PostgreSQL points at the operator of an operator call, and at
    /// the first byte otherwise.
    pub fn position(&self) -> usize {
        match &self.kind {
            ExprKind::Binary(sequence) => match sequence.rest.last() {
                Some(step) => step.operator.span.position(),
                None => self.span.position(),
            },
            ExprKind::Unary { operator, .. } => operator.span.position(),
            ExprKind::Like(like) => like.span.position(),
            ExprKind::Cast(cast) => cast.span.position(),
            _ => self.span.position(),
        }
    }
}

/// What an expression is.
#[derive(Clone, Copy, Debug)]
pub enum ExprKind<'a> {
    /// A constant.
    Literal(Literal<'a>),
    /// `column`, `table.column`, `schema.table.column`.
    Column(ObjectName<'a>),
    /// `table.*` where a whole row is meant (also inside calls).
    QualifiedStar(ObjectName<'a>),
    /// A parameter, by position from 0; `?`, `:name` and `@name` are numbered by the parser.
    Parameter(u32),
    /// DEFAULT, in VALUES of INSERT and in SET of UPDATE.
    Default,
    /// Binary operators of the grammar that are applied from left to right: `first op1 a op2 b` is
    /// `(first op1 a) op2 b`. Comparisons are here too; AND, OR, LIKE and the like are not.
    Binary(&'a BinarySequence<'a>),
    /// A prefix operator.
    Unary {
        /// Its symbol.
        operator: &'a Operator<'a>,
        /// What it is applied to.
        input: &'a Expr<'a>,
    },
    /// AND over two or more operands.
    And(&'a [Expr<'a>]),
    /// OR over two or more operands.
    Or(&'a [Expr<'a>]),
    /// NOT.
    Not(&'a Expr<'a>),
    /// `IS [NOT] NULL`, ISNULL, NOTNULL.
    IsNull {
        /// What is tested.
        input: &'a Expr<'a>,
        /// NOT.
        negated: bool,
    },
    /// `IS [NOT] TRUE | FALSE | UNKNOWN`.
    IsTruth {
        /// What is tested.
        input: &'a Expr<'a>,
        /// True, false, or `None` for UNKNOWN.
        truth: Option<bool>,
        /// NOT.
        negated: bool,
    },
    /// `IS [NOT] DISTINCT FROM`.
    IsDistinct {
        /// Left side.
        left: &'a Expr<'a>,
        /// Right side.
        right: &'a Expr<'a>,
        /// NOT.
        negated: bool,
    },
    /// `[NOT] BETWEEN [SYMMETRIC]`.
    Between(&'a Between<'a>),
    /// `[NOT] LIKE | ILIKE | SIMILAR TO`.
    Like(&'a Like<'a>),
    /// `[NOT] IN (list)`.
    InList {
        /// What is looked for.
        input: &'a Expr<'a>,
        /// The list, at least one.
        list: &'a [Expr<'a>],
        /// NOT.
        negated: bool,
    },
    /// `[NOT] IN (query)`.
    InQuery {
        /// What is looked for.
        input: &'a Expr<'a>,
        /// The query.
        query: &'a Query<'a>,
        /// NOT.
        negated: bool,
    },
    /// `left operator ANY | ALL (array or query)`.
    Quantified(&'a Quantified<'a>),
    /// EXISTS.
    Exists(&'a Query<'a>),
    /// A query as a value.
    ScalarQuery(&'a Query<'a>),
    /// `ARRAY(query)`.
    ArrayQuery(&'a Query<'a>),
    /// `ARRAY[…]`; inner brackets are `Array` too.
    Array(&'a [Expr<'a>]),
    /// `ROW(…)` or `(a, b)`.
    Row(&'a [Expr<'a>]),
    /// CASE.
    Case(&'a Case<'a>),
    /// A conversion.
    Cast(&'a Cast<'a>),
    /// `COLLATE`.
    Collate {
        /// The text.
        input: &'a Expr<'a>,
        /// The collation.
        collation: ObjectName<'a>,
    },
    /// A function, aggregate or window call.
    Function(&'a FunctionCall<'a>),
    /// COALESCE.
    Coalesce(&'a [Expr<'a>]),
    /// NULLIF: always two.
    NullIf(&'a [Expr<'a>; 2]),
    /// GREATEST.
    Greatest(&'a [Expr<'a>]),
    /// LEAST.
    Least(&'a [Expr<'a>]),
    /// GROUPING.
    Grouping(&'a [Expr<'a>]),
    /// CURRENT_DATE and the like.
    Special {
        /// Which.
        value: SpecialValue,
        /// `CURRENT_TIMESTAMP(3)`.
        precision: Option<u32>,
    },
    /// `array[i]`.
    Subscript {
        /// The array.
        input: &'a Expr<'a>,
        /// The position.
        index: &'a Expr<'a>,
    },
    /// `array[lower:upper]`.
    Slice {
        /// The array.
        input: &'a Expr<'a>,
        /// First position.
        lower: Option<&'a Expr<'a>>,
        /// Last position.
        upper: Option<&'a Expr<'a>>,
    },
    /// `(composite).field`.
    Field {
        /// The composite value.
        input: &'a Expr<'a>,
        /// The field.
        name: &'a Name<'a>,
    },
    /// `(composite).*`.
    FieldStar(&'a Expr<'a>),
}

/// A constant.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Literal<'a> {
    /// NULL.
    Null,
    /// TRUE, FALSE.
    Boolean(bool),
    /// Digits that fit a bigint: an integer where it fits, else a bigint.
    Integer(i64),
    /// A number with point or exponent, or digits beyond a bigint: numeric.
    Number(&'a str),
    /// A string with escapes resolved: unknown type.
    String(&'a str),
    /// `B'101'`: the digits.
    BitString(&'a str),
    /// `X'1F'`: the digits.
    HexString(&'a str),
}

/// An operator as written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Operator<'a> {
    /// Its symbol; `!=` has become `<>`.
    pub symbol: &'a str,
    /// Schema of `OPERATOR(schema.symbol)`.
    pub schema: Option<&'a Name<'a>>,
    /// Where it stands.
    pub span: Span,
}

/// Operators from left to right.
#[derive(Clone, Copy, Debug)]
pub struct BinarySequence<'a> {
    /// The leftmost operand.
    pub first: Expr<'a>,
    /// At least one step.
    pub rest: &'a [BinaryStep<'a>],
}

/// One operator with its right operand.
#[derive(Clone, Copy, Debug)]
pub struct BinaryStep<'a> {
    /// The operator.
    pub operator: Operator<'a>,
    /// Right operand.
    pub right: Expr<'a>,
}

/// BETWEEN.
#[derive(Clone, Copy, Debug)]
pub struct Between<'a> {
    /// What is tested.
    pub input: Expr<'a>,
    /// Lower end.
    pub lower: Expr<'a>,
    /// Upper end.
    pub upper: Expr<'a>,
    /// SYMMETRIC.
    pub symmetric: bool,
    /// NOT.
    pub negated: bool,
    /// The word BETWEEN.
    pub span: Span,
}

/// LIKE and its relatives.
#[derive(Clone, Copy, Debug)]
pub struct Like<'a> {
    /// The text.
    pub input: Expr<'a>,
    /// The pattern.
    pub pattern: Expr<'a>,
    /// ESCAPE.
    pub escape: Option<Expr<'a>>,
    /// Which.
    pub kind: LikeKind,
    /// NOT.
    pub negated: bool,
    /// The word LIKE (or ILIKE, SIMILAR).
    pub span: Span,
}

/// Which pattern language.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LikeKind {
    /// LIKE.
    Like,
    /// ILIKE.
    CaseInsensitive,
    /// SIMILAR TO.
    SimilarTo,
}

/// `left operator ANY | ALL (…)`.
#[derive(Clone, Copy, Debug)]
pub struct Quantified<'a> {
    /// Left side.
    pub left: Expr<'a>,
    /// The operator; `~~`, `!~~`, `~~*`, `!~~*` for LIKE and ILIKE.
    pub operator: Operator<'a>,
    /// ALL; else ANY or SOME.
    pub all: bool,
    /// Right side.
    pub right: QuantifiedRight<'a>,
}

/// Right side of ANY and ALL.
#[derive(Clone, Copy, Debug)]
pub enum QuantifiedRight<'a> {
    /// An array.
    Array(&'a Expr<'a>),
    /// A query.
    Query(&'a Query<'a>),
}

/// CASE.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// `CASE operand WHEN value …`.
    pub operand: Option<Expr<'a>>,
    /// WHEN … THEN, at least one.
    pub branches: &'a [(Expr<'a>, Expr<'a>)],
    /// ELSE.
    pub otherwise: Option<Expr<'a>>,
}

/// A conversion.
#[derive(Clone, Copy, Debug)]
pub struct Cast<'a> {
    /// What is converted.
    pub input: Expr<'a>,
    /// To what.
    pub target: TypeName<'a>,
    /// How it was written.
    pub syntax: CastSyntax,
    /// The `::`, CAST or the type's name.
    pub span: Span,
}

/// How a conversion was written; the meaning is the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CastSyntax {
    /// `CAST(x AS type)`.
    Function,
    /// `x::type`.
    Operator,
    /// `type 'text'`: `input` is a string literal.
    Literal,
}

/// A call.
#[derive(Clone, Copy, Debug)]
pub struct FunctionCall<'a> {
    /// The function.
    pub name: ObjectName<'a>,
    /// Arguments.
    pub arguments: &'a [Expr<'a>],
    /// Names of arguments (`f(a => 1)`): empty, or one an argument.
    pub argument_names: &'a [Option<Name<'a>>],
    /// `f(*)`.
    pub star: bool,
    /// The last argument is spread (VARIADIC).
    pub variadic: bool,
    /// DISTINCT.
    pub distinct: bool,
    /// ORDER BY inside the call.
    pub order_by: &'a [OrderItem<'a>],
    /// WITHIN GROUP (ORDER BY …).
    pub within_group: &'a [OrderItem<'a>],
    /// FILTER (WHERE …).
    pub filter: Option<&'a Expr<'a>>,
    /// OVER.
    pub over: Option<Over<'a>>,
}

impl<'a> FunctionCall<'a> {
    /// `name()`.
    pub fn new(name: ObjectName<'a>) -> FunctionCall<'a> {
        FunctionCall {
            name,
            arguments: &[],
            argument_names: &[],
            star: false,
            variadic: false,
            distinct: false,
            order_by: &[],
            within_group: &[],
            filter: None,
            over: None,
        }
    }
}

/// OVER.
#[derive(Clone, Copy, Debug)]
pub enum Over<'a> {
    /// `OVER name`.
    Name(Name<'a>),
    /// `OVER (…)`.
    Window(&'a Window<'a>),
}

/// A window.
#[derive(Clone, Copy, Debug)]
pub struct Window<'a> {
    /// The window it extends.
    pub base: Option<Name<'a>>,
    /// PARTITION BY.
    pub partition_by: &'a [Expr<'a>],
    /// ORDER BY.
    pub order_by: &'a [OrderItem<'a>],
    /// The frame.
    pub frame: Option<Frame<'a>>,
    /// Its text.
    pub span: Span,
}

/// A frame of a window.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// In what its ends are measured.
    pub unit: FrameUnit,
    /// First row.
    pub start: FrameEnd<'a>,
    /// Last row.
    pub end: FrameEnd<'a>,
    /// EXCLUDE.
    pub exclude: FrameExclusion,
    /// Its text.
    pub span: Span,
}

/// In what frame ends are measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameUnit {
    /// ROWS.
    Rows,
    /// RANGE.
    Range,
    /// GROUPS.
    Groups,
}

/// An end of a frame.
#[derive(Clone, Copy, Debug)]
pub enum FrameEnd<'a> {
    /// UNBOUNDED PRECEDING.
    UnboundedPreceding,
    /// `n PRECEDING`.
    Preceding(&'a Expr<'a>),
    /// CURRENT ROW.
    CurrentRow,
    /// `n FOLLOWING`.
    Following(&'a Expr<'a>),
    /// UNBOUNDED FOLLOWING.
    UnboundedFollowing,
}

/// EXCLUDE of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameExclusion {
    /// NO OTHERS.
    NoOthers,
    /// CURRENT ROW.
    CurrentRow,
    /// GROUP.
    Group,
    /// TIES.
    Ties,
}

/// Values that have a keyword of their own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SpecialValue {
    /// CURRENT_DATE.
    CurrentDate,
    /// CURRENT_TIME.
    CurrentTime,
    /// CURRENT_TIMESTAMP.
    CurrentTimestamp,
    /// LOCALTIME.
    LocalTime,
    /// LOCALTIMESTAMP.
    LocalTimestamp,
    /// CURRENT_USER, USER, CURRENT_ROLE.
    CurrentUser,
    /// SESSION_USER.
    SessionUser,
    /// CURRENT_CATALOG.
    CurrentCatalog,
    /// CURRENT_SCHEMA.
    CurrentSchema,
}
