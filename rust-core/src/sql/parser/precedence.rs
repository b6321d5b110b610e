//! How tightly operators bind: PostgreSQL's table, as data.

use crate::sql::lexer::TokenKind;
use crate::sql::lexer::keyword::Keyword;

/// A level; a higher one binds tighter.
pub(super) type Level = u8;

/// Everything binds at least as tight as this.
pub(super) const LOWEST: Level = 1;
/// OR.
pub(super) const OR: Level = 1;
/// AND.
pub(super) const AND: Level = 2;
/// NOT.
pub(super) const NOT: Level = 3;
/// IS, ISNULL, NOTNULL.
pub(super) const IS: Level = 4;
/// `< > = <= >= <>`; not associative.
pub(super) const COMPARISON: Level = 5;
/// BETWEEN, IN, LIKE, ILIKE, SIMILAR; not associative.
pub(super) const MATCH: Level = 6;
/// All other operators, also as prefix.
pub(super) const OTHER: Level = 7;
/// `+ -`.
pub(super) const ADDITIVE: Level = 8;
/// `* / %`.
pub(super) const MULTIPLICATIVE: Level = 9;
/// `^`; associates to the left.
pub(super) const POWER: Level = 10;
/// AT TIME ZONE.
pub(super) const AT: Level = 11;
/// COLLATE.
pub(super) const COLLATE: Level = 12;
/// Sign before an operand.
pub(super) const SIGN: Level = 13;
/// `::`; so are subscripts.
pub(super) const CAST: Level = 14;

/// What a token is after an operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Infix {
    /// A symbol between two operands.
    Symbol,
    /// A word with a rule of its own.
    Word(Keyword),
    /// `::`.
    Cast,
    /// `[`.
    Subscript,
    /// `.` after what is no plain name.
    Field,
}

/// The level and rule of a token after an operand. NOT is decided by the word that follows it.
#[inline]
pub(super) fn infix(kind: TokenKind) -> Option<(Level, Infix)> {
    Some(match kind {
        TokenKind::Less
        | TokenKind::Greater
        | TokenKind::Equal
        | TokenKind::LessEqual
        | TokenKind::GreaterEqual
        | TokenKind::NotEqual => (COMPARISON, Infix::Symbol),
        TokenKind::Operator => (OTHER, Infix::Symbol),
        TokenKind::Plus | TokenKind::Minus => (ADDITIVE, Infix::Symbol),
        TokenKind::Star | TokenKind::Slash | TokenKind::Percent => (MULTIPLICATIVE, Infix::Symbol),
        TokenKind::Caret => (POWER, Infix::Symbol),
        TokenKind::DoubleColon => (CAST, Infix::Cast),
        TokenKind::LeftBracket => (CAST, Infix::Subscript),
        TokenKind::Dot => (CAST, Infix::Field),
        TokenKind::Keyword(keyword) => {
            let level = match keyword {
                Keyword::Or => OR,
                Keyword::And => AND,
                Keyword::Is | Keyword::Isnull | Keyword::Notnull => IS,
                Keyword::Between
                | Keyword::In
                | Keyword::Like
                | Keyword::Ilike
                | Keyword::Similar
                | Keyword::Not => MATCH,
                Keyword::Overlaps | Keyword::Operator => OTHER,
                Keyword::At => AT,
                Keyword::Collate => COLLATE,
                _ => return None,
            };
            (level, Infix::Word(keyword))
        }
        _ => return None,
    })
}
