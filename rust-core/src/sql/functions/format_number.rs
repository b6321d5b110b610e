//! `to_char` and `to_number`.
//! Templates: 9 0 . D , G S MI PL SG PR L FM V TH EEEE RN and text in quotes.

use crate::error::{Error, Result, SqlState};
use crate::sql::functions::kernel::{Float4, Float8, Int4, Int8, Num, Text, function, text_function};
use crate::sql::functions::registry::ScalarFunction;
use crate::sql::types::datum::Numeric;
use crate::sql::types::numeric::{digit_count, power_of_ten};

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Nine,
    Zero,
    Point,
    Group,
    Sign,
    Minus,
    Plus,
    SignAlways,
    Currency,
    Ordinal { upper: bool },
    Literal(String),
}

#[derive(Default, Debug)]
struct Template {
    pieces: Vec<Piece>,
    fill_mode: bool,
    angle: bool,
    roman: Option<bool>,
    scientific: bool,
    /// Digit positions before and after the point.
    before: usize,
    after: usize,
    /// Digits the value is moved by (V).
    shift: usize,
    has_point: bool,
}

fn syntax(message: &str) -> Error {
    Error::new(SqlState::SYNTAX_ERROR, message)
}

fn parse(text: &str) -> Result<Template> {
    let mut template = Template::default();
    let mut rest = text;
    let mut after_v = false;
    while let Some(first) = rest.chars().next() {
        let upper: String = rest.chars().take(4).collect::<String>().to_ascii_uppercase();
        let two: String = upper.chars().take(2).collect();
        let mut taken = 2;
        match two.as_str() {
            _ if upper == "EEEE" => {
                template.scientific = true;
                taken = 4;
            }
            "FM" => template.fill_mode = true,
            "MI" => template.pieces.push(Piece::Minus),
            "PL" => template.pieces.push(Piece::Plus),
            "SG" => template.pieces.push(Piece::SignAlways),
            "PR" => template.angle = true,
            "RN" => template.roman = Some(first == 'R'),
            "TH" => template.pieces.push(Piece::Ordinal { upper: first == 'T' }),
            _ => {
                taken = first.len_utf8();
                match first {
                    '9' | '0' => {
                        template.pieces.push(if first == '9' { Piece::Nine } else { Piece::Zero });
                        if template.has_point {
                            template.after += 1;
                        } else {
                            template.before += 1;
                        }
                        template.shift += usize::from(after_v);
                    }
                    '.' | 'D' | 'd' => {
                        if template.has_point {
                            return Err(syntax("multiple decimal points"));
                        }
                        if after_v {
                            return Err(syntax("cannot use \"V\" and decimal point together"));
                        }
                        template.has_point = true;
                        template.pieces.push(Piece::Point);
                    }
                    ',' | 'G' | 'g' => template.pieces.push(Piece::Group),
                    'S' | 's' => {
                        if template.pieces.contains(&Piece::Sign) {
                            return Err(syntax("cannot use \"S\" twice"));
                        }
                        template.pieces.push(Piece::Sign);
                    }
                    'L' | 'l' => template.pieces.push(Piece::Currency),
                    'V' | 'v' => {
                        if template.has_point {
                            return Err(syntax("cannot use \"V\" and decimal point together"));
                        }
                        after_v = true;
                    }
                    '"' => {
                        let (inner, length) = quoted(&rest[1..]);
                        taken = 1 + length;
                        template.pieces.push(Piece::Literal(inner));
                    }
                    '\\' if rest[1..].starts_with('"') => {
                        taken = 2;
                        template.pieces.push(Piece::Literal("\"".to_owned()));
                    }
                    other => template.pieces.push(Piece::Literal(other.to_string())),
                }
            }
        }
        rest = &rest[taken..];
    }
    Ok(template)
}

/// The text up to the closing quote, or the end, and the bytes it takes with the quote; a backslash quotes the next
/// character.
fn quoted(text: &str) -> (String, usize) {
    let (mut inner, mut characters) = (String::new(), text.char_indices());
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (inner, at + 1),
            '\\' => inner.push(characters.next().map_or('\\', |(_, quoted)| quoted)),
            other => inner.push(other),
        }
    }
    (inner, text.len())
}

fn roman(number: i64, upper: bool, fill_mode: bool, out: &mut String) {
    const PARTS: [(i64, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    let mut text = String::new();
    if (1..=3999).contains(&number) {
        let mut rest = number;
        for (value, letters) in PARTS {
            while rest >= value {
                text.push_str(letters);
                rest -= value;
            }
        }
    } else {
        text = "#".repeat(15);
    }
    if !upper {
        text.make_ascii_lowercase();
    }
    if fill_mode { out.push_str(&text) } else { out.push_str(&format!("{text:>15}")) }
}

/// `st`, `nd`, `rd` or `th` for a number's last digits.
pub(super) fn ordinal(number: u64) -> &'static str {
    match (number % 100, number % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    }
}

/// The value as sign and decimal digits; a float has no more than its 15 significant ones.
struct Digits {
    negative: bool,
    whole: String,
    fraction: String,
}

fn digits(value: Numeric, after: usize) -> Result<Digits> {
    let rounded = value.round(after as i32)?;
    let text = rounded.absolute().to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let whole = whole.trim_start_matches('0').to_owned();
    let fraction = format!("{fraction:0<after$}");
    Ok(Digits { negative: rounded.signum() < 0, whole, fraction })
}

fn scientific(value: Numeric, template: &Template, out: &mut String) -> Result<()> {
    let exponent_of = |value: Numeric| match value.mantissa {
        0 => 0,
        mantissa => digit_count(mantissa) as i32 - 1 - i32::from(value.scale),
    };
    let places = template.after as i32;
    let rounded = value.round(places - exponent_of(value))?;
    let exponent = exponent_of(rounded);
    let mut digits = rounded.mantissa.unsigned_abs().to_string();
    digits.truncate(template.after + 1);
    let digits = format!("{digits:0<width$}", width = template.after + 1);
    if rounded.signum() < 0 {
        out.push('-');
    } else if !template.fill_mode {
        out.push(' ');
    }
    out.push_str(&digits[..1]);
    if template.has_point {
        out.push('.');
    }
    out.push_str(&digits[1..]);
    out.push_str(&format!("e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs()));
    Ok(())
}

/// `significant`: digits that the value has at most; a float shows no more.
fn to_char(value: Numeric, text: &str, significant: Option<usize>, out: &mut String) -> Result<()> {
    let mut template = parse(text)?;
    if let Some(upper) = template.roman {
        let number = value.round(0)?.to_integer(i64::MIN, i64::MAX, "bigint").unwrap_or(0);
        roman(number, upper, template.fill_mode, out);
        return Ok(());
    }
    if template.scientific && value.is_finite() {
        return scientific(value, &template, out);
    }
    if template.scientific {
        // A blank, as many hashes as there are places, and six for the exponent.
        out.push_str(&format!(" {}.{}", "#".repeat(template.before), "#".repeat(template.after + 4)));
        return Ok(());
    }
    if !value.is_finite() {
        let name = if value.is_nan() { "NaN" } else { "Infinity" };
        let whole = Digits { negative: value.signum() < 0, whole: name.to_owned(), fraction: String::new() };
        write(&template, &whole, out);
        return Ok(());
    }
    let shifted = if template.shift > 0 {
        value.multiply(Numeric::new(power_of_ten(template.shift as u32), 0))?
    } else {
        value
    };
    if let Some(significant) = significant {
        let whole = digits(shifted, 0)?.whole.len().max(1);
        template.after = template.after.min(significant.saturating_sub(whole));
    }
    let digits = digits(shifted, template.after)?;
    write(&template, &digits, out);
    Ok(())
}

/// Which sign marks a template has of its own; without one the sign stands before the first digit.
fn write(template: &Template, digits: &Digits, out: &mut String) {
    let fill = template.fill_mode;
    let overflow = digits.whole.len() > template.before;
    let leading = template.before.saturating_sub(digits.whole.len());
    let first_zero = template
        .pieces
        .iter()
        .take_while(|piece| **piece != Piece::Point)
        .filter(|piece| matches!(piece, Piece::Nine | Piece::Zero))
        .position(|piece| *piece == Piece::Zero)
        .unwrap_or(usize::MAX);
    // FM drops zeros at the end of the fraction, down to the last 0 of the template.
    let last_zero = template
        .pieces
        .iter()
        .skip_while(|piece| **piece != Piece::Point)
        .filter(|piece| matches!(piece, Piece::Nine | Piece::Zero))
        .collect::<Vec<_>>()
        .iter()
        .rposition(|piece| **piece == Piece::Zero)
        .map_or(0, |last| last + 1);
    let significant = digits.fraction.trim_end_matches('0').len();
    let shown_fraction = if fill { significant.max(last_zero) } else { template.after };
    // A zero before the point is shown only where nothing stands after it.
    let bare = !template.has_point || (fill && shown_fraction == 0);
    let own_sign = template.angle
        || template.pieces.iter().any(|piece| matches!(piece, Piece::Minus | Piece::SignAlways));
    let trailing_sign = template.trailing_sign();
    let anchored_sign = template.pieces.contains(&Piece::Sign) && !trailing_sign;
    let start_sign = if template.angle {
        if digits.negative {
            "<"
        } else if fill {
            ""
        } else {
            " "
        }
    } else if anchored_sign {
        if digits.negative { "-" } else { "+" }
    } else if own_sign || trailing_sign {
        ""
    } else if digits.negative {
        "-"
    } else if fill {
        ""
    } else {
        " "
    };
    let (mut position, mut fraction_position, mut started, mut in_fraction) = (0, 0, false, false);
    let start = |out: &mut String, started: &mut bool| {
        if !*started {
            out.push_str(start_sign);
            *started = true;
        }
    };
    for piece in &template.pieces {
        match piece {
            Piece::Nine | Piece::Zero if in_fraction => {
                start(out, &mut started);
                if overflow && fraction_position < template.after {
                    out.push('#');
                } else if fraction_position < shown_fraction {
                    out.push_str(digits.fraction.get(fraction_position..=fraction_position).unwrap_or(""));
                }
                fraction_position += 1;
            }
            Piece::Nine | Piece::Zero => {
                let shown_zero = position >= first_zero
                    || (position + 1 == template.before && digits.whole.is_empty() && bare);
                if overflow {
                    start(out, &mut started);
                    out.push('#');
                } else if position >= leading {
                    start(out, &mut started);
                    out.push_str(&digits.whole[position - leading..=position - leading]);
                } else if shown_zero {
                    start(out, &mut started);
                    out.push('0');
                } else if !fill {
                    out.push(' ');
                }
                position += 1;
            }
            Piece::Point => {
                start(out, &mut started);
                // Nothing is left to be told where no digit stands after the point.
                if overflow || !digits.fraction.is_empty() {
                    out.push('.');
                }
                in_fraction = true;
            }
            Piece::Group if started => out.push(','),
            Piece::Group if fill => {}
            Piece::Group => out.push(' '),
            Piece::Sign if trailing_sign => out.push(if digits.negative { '-' } else { '+' }),
            Piece::Sign => {}
            Piece::Minus if digits.negative => out.push('-'),
            Piece::Plus if !digits.negative => out.push('+'),
            Piece::Minus | Piece::Plus if fill => {}
            Piece::Minus | Piece::Plus => out.push(' '),
            Piece::SignAlways => out.push(if digits.negative { '-' } else { '+' }),
            Piece::Currency if fill => {}
            Piece::Currency => out.push(' '),
            Piece::Ordinal { upper } => {
                if !digits.negative && !template.has_point && !overflow {
                    let suffix =
                        ordinal(digits.whole.parse::<u128>().map_or(0, |number| (number % 100) as u64));
                    if *upper { out.push_str(&suffix.to_ascii_uppercase()) } else { out.push_str(suffix) }
                }
            }
            Piece::Literal(text) => out.push_str(text),
        }
    }
    if template.angle {
        out.push_str(if digits.negative {
            ">"
        } else if fill {
            ""
        } else {
            " "
        });
    }
}

/// A number as it is read along a template.
struct Reading<'a> {
    rest: &'a str,
    sign: Option<char>,
    digits: String,
    before: usize,
    after: usize,
    seen_point: bool,
}

impl Reading<'_> {
    fn first(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn skip(&mut self) {
        self.rest = self.first().map_or("", |first| &self.rest[first.len_utf8()..]);
    }

    /// Skips up to `count` characters that cannot belong to a number.
    fn skip_other(&mut self, count: usize) {
        for _ in 0..count {
            match self.first() {
                Some(first) if !"0123456789.,+-".contains(first) => self.skip(),
                _ => return,
            }
        }
    }

    /// A digit or point, with a sign before the first and after the last.
    fn take_digit(&mut self, template: &Template, is_point: bool) {
        if self.first() == Some(' ') {
            self.skip();
        }
        let anchored = template.pieces.contains(&Piece::Sign);
        if self.sign.is_none() && !is_point && self.before + self.after == 0 {
            match self.first() {
                Some(sign @ ('-' | '+')) => {
                    self.sign = Some(sign);
                    self.skip();
                }
                Some('<') if template.angle => {
                    self.sign = Some('-');
                    self.skip();
                }
                _ => {}
            }
        }
        let mut taken = false;
        match self.first() {
            Some(digit @ '0'..='9') => {
                if self.seen_point && self.after == template.after {
                    return;
                }
                self.digits.push(digit);
                if self.seen_point {
                    self.after += 1
                } else {
                    self.before += 1
                }
                taken = true;
            }
            Some('.') if template.has_point && !self.seen_point => {
                self.digits.push('.');
                self.seen_point = true;
                taken = true;
            }
            _ => {}
        }
        let following = if taken { self.rest.chars().nth(1) } else { self.first() };
        if self.sign.is_none()
            && self.before + self.after > 0
            && let Some(sign @ ('-' | '+')) = following
        {
            if anchored && taken {
                self.skip();
                self.sign = Some(sign);
            } else if !anchored && !taken {
                self.sign = Some(sign);
            }
        }
        self.skip();
    }
}

impl Template {
    /// Whether an S stands behind the last digit.
    fn trailing_sign(&self) -> bool {
        matches!(
            self.pieces.iter().rev().find(|piece| matches!(piece, Piece::Sign | Piece::Nine | Piece::Zero)),
            Some(Piece::Sign)
        )
    }
}

fn to_number(text: &str, template_text: &str) -> Result<Numeric> {
    let template = parse(template_text)?;
    if template.scientific {
        return Err(Error::not_supported("\"EEEE\" for input"));
    }
    let mut reading =
        Reading { rest: text, sign: None, digits: String::new(), before: 0, after: 0, seen_point: false };
    for piece in &template.pieces {
        let Some(first) = reading.first() else { break };
        let started = reading.before + reading.after > 0;
        match piece {
            Piece::Nine | Piece::Zero => reading.take_digit(&template, false),
            Piece::Point => reading.take_digit(&template, true),
            Piece::Group if !started && template.fill_mode => {}
            Piece::Group if first == ',' => reading.skip(),
            Piece::Group | Piece::Sign => {}
            Piece::Minus | Piece::Plus | Piece::SignAlways => match (piece, first) {
                (Piece::Minus | Piece::SignAlways, '-') | (Piece::Plus | Piece::SignAlways, '+') => {
                    reading.sign = Some(first);
                    reading.skip();
                }
                _ => reading.skip_other(1),
            },
            Piece::Currency => reading.skip_other(1),
            Piece::Ordinal { .. } => reading.skip_other(2),
            Piece::Literal(literal) => literal.chars().for_each(|_| reading.skip()),
        }
    }
    let sign = if reading.sign == Some('-') { "-" } else { "" };
    let value = Numeric::parse(&format!("{sign}{}", reading.digits.trim_end_matches('.')))?;
    if template.shift > 0 {
        return value.divide(Numeric::new(power_of_ten(template.shift as u32), 0));
    }
    Ok(value)
}

macro_rules! format_function {
    ($type:ident, $significant:expr, |$value:ident| $numeric:expr) => {
        text_function!(
            "to_char",
            ($type, Text),
            Immutable,
            "a number by a template",
            |($value, template), _, out| {
                to_char($numeric, template, $significant, out)?;
                Ok(true)
            }
        )
    };
}

static FUNCTIONS: &[ScalarFunction] = &[
    format_function!(Int4, None, |value| Numeric::from(value)),
    format_function!(Int8, None, |value| Numeric::from(value)),
    format_function!(Num, None, |value| value),
    format_function!(Float8, Some(15), |value| Numeric::from_f64(value)?),
    format_function!(Float4, Some(6), |value| Numeric::from_f32(value)?),
    function!("to_number", (Text, Text) -> Num, Immutable, "a number read by a template", |(text, template), _| to_number(text, template)),
];

pub(super) static TABLES: &[&[ScalarFunction]] = &[FUNCTIONS];
