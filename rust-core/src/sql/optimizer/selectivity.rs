//! Which share of rows fulfils a condition: from most common values, histograms, NULLs and distinct counts; several
//! conditions on one table together on its sample; PostgreSQL's defaults where nothing is known.

use crate::sql::evaluate::context::EvaluationContext;
use crate::sql::evaluate::fold::planning_environment;
use crate::sql::evaluate::row;
use crate::sql::functions::registry::Volatility;
use crate::sql::optimizer::cardinality::{EQUAL, INEQUALITY, NULL, PATTERN, PATTERN_PREFIX, RANGE, UNKNOWN};
use crate::sql::optimizer::columns::{operator_count, to_inputs};
use crate::sql::optimizer::knowledge::{ColumnFacts, Knowledge, RelationNumber};
use crate::sql::optimizer::rewrite::{ColumnSet, expression_columns, implied_by_or};
use crate::sql::optimizer::sargable::{Comparison, flipped, like_prefix};
use crate::sql::plan::expression::{ColumnId, Expression, OutputColumn};
use crate::sql::types::compare::compare;
use crate::sql::types::data_type::DataType;
use crate::sql::types::datum::{Datum, Numeric, NumericKind};
use crate::statistics::table_statistics::{ColumnStatistics, TableStatistics};
use std::cmp::Ordering;

/// A sample says something of a condition that at least this many of its rows fulfil.
const SAMPLE_HITS_MIN: usize = 8;
/// Microseconds of a day.
const DAY_MICROS: i64 = 86_400_000_000;

/// `column comparison value`, for estimates: also under conversions.
struct Compared<'e> {
    column: ColumnId,
    comparison: Comparison,
    value: &'e Expression,
}

/// The column that `expression` is, also under conversions.
fn column_under_casts(mut expression: &Expression) -> Option<(ColumnId, DataType)> {
    loop {
        match expression {
            Expression::Column { id, data_type } => return Some((*id, *data_type)),
            Expression::Cast { input, .. } => expression = input,
            _ => return None,
        }
    }
}

fn has_no_column(expression: &Expression) -> bool {
    let mut constant = !matches!(expression, Expression::Column { .. } | Expression::Input { .. });
    expression.each_operand(&mut |operand| constant = constant && has_no_column(operand));
    constant
}

fn comparison_of(name: &str) -> Option<Comparison> {
    Some(match name {
        "=" => Comparison::Equal,
        "<" => Comparison::Less,
        "<=" => Comparison::LessEqual,
        ">" => Comparison::Greater,
        ">=" => Comparison::GreaterEqual,
        _ => return None,
    })
}

fn compared(term: &Expression) -> Option<Compared<'_>> {
    let Expression::Call { function, arguments, .. } = term else { return None };
    let [left, right] = arguments.as_slice() else { return None };
    let comparison = comparison_of(function.name)?;
    if let Some((column, _)) = column_under_casts(left)
        && has_no_column(right)
    {
        return Some(Compared { column, comparison, value: right });
    }
    let (column, _) = column_under_casts(right)?;
    has_no_column(left).then(|| Compared { column, comparison: flipped(comparison), value: left })
}

fn negate(share: f64, negated: bool) -> f64 {
    if negated { 1.0 - share } else { share }
}

impl Knowledge<'_> {
    /// Share of rows for which all `terms` are true, taken one by one; two ends on one column are one range.
    pub(super) fn share_of_all(&self, terms: &[&Expression]) -> f64 {
        let mut share = 1.0;
        let mut ranges: Vec<(ColumnId, Option<f64>, Option<f64>)> = Vec::new();
        for term in terms {
            let end = compared(term).filter(|end| end.comparison != Comparison::Equal);
            let Some(end) = end else {
                share *= self.share(term);
                continue;
            };
            let one = self.share(term);
            let place = ranges.iter().position(|range| range.0 == end.column).unwrap_or_else(|| {
                ranges.push((end.column, None, None));
                ranges.len() - 1
            });
            let is_lower = matches!(end.comparison, Comparison::Greater | Comparison::GreaterEqual);
            let slot = if is_lower { &mut ranges[place].1 } else { &mut ranges[place].2 };
            *slot = Some(slot.map_or(one, |known: f64| known.min(one)));
        }
        for (column, lower, upper) in ranges {
            share *= match (lower, upper) {
                (Some(lower), Some(upper)) => {
                    let nulls = self.column(column).map_or(0.0, |facts| facts.null_fraction);
                    let known = self.column(column).and_then(|facts| self.statistics(facts)).is_some();
                    let both = lower + upper - (1.0 - nulls);
                    // Unknown values (parameters) give a third each.
                    if !known || lower == INEQUALITY || upper == INEQUALITY { RANGE } else { both.max(1e-5) }
                }
                (Some(one), None) | (None, Some(one)) => one,
                (None, None) => 1.0,
            };
        }
        share.clamp(0.0, 1.0)
    }

    /// Share of the pairs of a join for which `term` is true. What an OR says about one relation alone was pushed down
    /// to it and counts there: of the rows that are left, a larger share fulfils the OR.
    pub(super) fn pair_share(&self, term: &Expression) -> f64 {
        let share = self.share(term);
        if !matches!(term, Expression::Or(_)) {
            return share;
        }
        let mut relations: Vec<(RelationNumber, ColumnSet)> = Vec::new();
        for id in expression_columns(term) {
            let Some(facts) = self.column(id) else { return share };
            match relations.iter_mut().find(|known| known.0 == facts.relation) {
                Some(known) => _ = known.1.insert(id),
                None => relations.push((facts.relation, ColumnSet::from([id]))),
            }
        }
        if relations.len() < 2 {
            return share;
        }
        let implied = relations.iter().filter_map(|(_, columns)| implied_by_or(term, columns));
        let counted: f64 = implied.map(|implied| self.share(&implied)).product();
        (share / counted.max(1e-12)).min(1.0)
    }

    /// Share of rows for which `term` is true.
    pub(super) fn share(&self, term: &Expression) -> f64 {
        let share = match term {
            Expression::And(terms) => self.share_of_all(&terms.iter().collect::<Vec<_>>()),
            Expression::Or(terms) => 1.0 - terms.iter().map(|term| 1.0 - self.share(term)).product::<f64>(),
            Expression::Not(input) => 1.0 - self.share(input),
            Expression::IsNull { input, negated } => {
                let nulls = column_under_casts(input).and_then(|(id, _)| self.column(id));
                negate(nulls.map_or(NULL, |facts| facts.null_fraction), *negated)
            }
            Expression::IsTruth { input, truth, negated } => {
                negate(negate(self.share(input), !*truth), *negated)
            }
            Expression::IsDistinct { left, right, negated } => {
                negate(1.0 - self.equal_share(left, right), *negated)
            }
            Expression::InSet { input, values, negated, .. } => {
                let one = |value: &Datum| match column_under_casts(input) {
                    Some((id, data_type)) => self.column_equals(id, adapted(value, data_type).as_ref()),
                    None => 1.0 / self.distinct(input, 1e9),
                };
                // A long list is summed up from a part of it.
                let step = (values.len() / 200).max(1);
                let sum: f64 = values.iter().step_by(step).map(one).sum::<f64>() * step as f64;
                negate(sum.min(1.0), *negated)
            }
            Expression::Column { id, data_type: DataType::Boolean } => {
                self.column_equals(*id, Some(&Datum::Boolean(true)))
            }
            Expression::Constant { value: Datum::Boolean(true), .. } => 1.0,
            Expression::Constant { .. } => 0.0,
            Expression::Call { function, arguments, .. } if arguments.len() == 2 => {
                self.call_share(term, function.name, &arguments[0], &arguments[1])
            }
            _ => UNKNOWN,
        };
        share.clamp(0.0, 1.0)
    }

    fn call_share(&self, term: &Expression, name: &str, left: &Expression, right: &Expression) -> f64 {
        match name {
            "=" => self.equal_share(left, right),
            "<>" => 1.0 - self.equal_share(left, right),
            "<" | "<=" | ">" | ">=" => self.range_share(term),
            "~~" | "!~~" => {
                let share = match (column_under_casts(left), like_prefix(right)) {
                    (Some((id, _)), Some(prefix)) => self.prefix_share(id, &prefix.text, prefix.exact),
                    _ => PATTERN,
                };
                negate(share, name == "!~~")
            }
            "~~*" | "~" | "~*" => PATTERN,
            "!~~*" | "!~" | "!~*" => 1.0 - PATTERN,
            _ => UNKNOWN,
        }
    }

    /// Share of rows in which both are equal: columns of one relation, or one of them constant.
    fn equal_share(&self, left: &Expression, right: &Expression) -> f64 {
        let (one, other) = if has_no_column(left) { (right, left) } else { (left, right) };
        if !has_no_column(other) {
            return 1.0 / self.distinct(one, 1e9).max(self.distinct(other, 1e9));
        }
        match column_under_casts(one) {
            Some((id, data_type)) => {
                let value = constant(other).and_then(|value| adapted(value, data_type));
                self.column_equals(id, value.as_ref())
            }
            None if matches!(one, Expression::Call { .. }) => 1.0 / self.distinct(one, 1e9),
            None => EQUAL,
        }
    }

    /// Share of rows in which a column equals a value, which may be unknown.
    fn column_equals(&self, id: ColumnId, value: Option<&Datum>) -> f64 {
        let Some(facts) = self.column(id) else { return EQUAL };
        let known = self.statistics(facts).zip(value);
        let Some((statistics, value)) = known else { return (1.0 - facts.null_fraction) / facts.distinct };
        let data_type = value.as_ref().natural_type();
        let common =
            statistics.most_common.iter().find(|(common, _)| order(common, value, data_type).is_eq());
        if let Some((_, share)) = common {
            return *share;
        }
        let listed: f64 = statistics.most_common.iter().map(|(_, share)| share).sum();
        let others = facts.distinct - statistics.most_common.len() as f64;
        let rows = self.relation(facts.relation).rows;
        if others < 1.0 {
            return 0.5 / rows;
        }
        let rest = (1.0 - facts.null_fraction - listed).max(0.5 / rows);
        let least = statistics.most_common.last().map_or(1.0, |(_, share)| *share);
        (rest / others).min(least)
    }

    fn range_share(&self, term: &Expression) -> f64 {
        let Some(Compared { column, comparison, value }) = compared(term) else { return INEQUALITY };
        let Some(facts) = self.column(column) else { return INEQUALITY };
        let statistics = self.statistics(facts);
        let value = constant(value);
        let Some((statistics, value)) = statistics.zip(value) else { return INEQUALITY };
        let data_type = statistics.histogram.first().or(statistics.most_common.first().map(|(v, _)| v));
        let Some(data_type) = data_type.map(|value| value.as_ref().natural_type()) else { return INEQUALITY };
        let Some(value) = adapted(value, data_type) else { return INEQUALITY };
        range_share(statistics, facts, comparison, &value)
    }

    fn prefix_share(&self, id: ColumnId, prefix: &str, exact: bool) -> f64 {
        let value = Datum::text(prefix);
        if exact {
            return self.column_equals(id, Some(&value));
        }
        let Some(facts) = self.column(id) else { return PATTERN_PREFIX };
        let Some(statistics) = self.statistics(facts) else { return PATTERN_PREFIX };
        let from = range_share(statistics, facts, Comparison::GreaterEqual, &value);
        let Some(after) = crate::sql::optimizer::sargable::text_after(prefix) else { return from };
        let to = range_share(statistics, facts, Comparison::Less, &Datum::text(&after));
        (from + to - (1.0 - facts.null_fraction)).max(1e-5)
    }

    /// Share of a table's rows for which all `terms` are true, together: tried on the table's sample.
    pub(super) fn table_share(&self, columns: &[OutputColumn], terms: &[&Expression]) -> f64 {
        let alone = self.share_of_all(terms);
        let Some(first) = columns.first() else { return alone };
        let statistics =
            self.column(first.id).and_then(|facts| self.relation(facts.relation).statistics.as_ref());
        let Some(statistics) = statistics else { return alone };
        let simple = |term: &&Expression| {
            compared(term).is_some_and(|compared| constant(compared.value).is_some())
                || matches!(term, Expression::InSet { input, .. } if column_under_casts(input).is_some())
        };
        if statistics.sample.len() < 10 * SAMPLE_HITS_MIN || (terms.len() == 1 && simple(&terms[0])) {
            return alone;
        }
        let (tried, others): (Vec<&Expression>, Vec<&Expression>) =
            terms.iter().partition(|term| can_try(term));
        if tried.is_empty() || (tried.len() == 1 && simple(&tried[0])) {
            return alone;
        }
        // The same scan is asked for again when it is lowered.
        let operators: f64 = terms.iter().map(|term| operator_count(term)).sum();
        let key = (first.id, terms.len(), operators as usize);
        if let Some(share) = self.tried.borrow().get(&key) {
            return *share;
        }
        let Some(hits) = sample_hits(statistics, columns, &tried) else { return alone };
        let count = statistics.sample.len() as f64;
        let alone_of_tried = self.share_of_all(&tried);
        let share = if hits >= SAMPLE_HITS_MIN {
            hits as f64 / count
        } else {
            alone_of_tried.clamp((hits as f64 - 0.5).max(0.0) / count / 2.0, (hits as f64 + 1.0) / count)
        };
        let share = (share * self.share_of_all(&others)).clamp(0.0, 1.0);
        self.tried.borrow_mut().insert(key, share);
        share
    }
}

/// Whether a condition can be evaluated on a sample: it uses nothing that only a running statement knows.
fn can_try(term: &Expression) -> bool {
    let mut can = match term {
        Expression::Parameter { .. } | Expression::Subquery(_) | Expression::Input { .. } => false,
        Expression::Call { function, .. } => function.volatility == Volatility::Immutable,
        _ => true,
    };
    term.each_operand(&mut |operand| can = can && can_try(operand));
    can
}

fn sample_hits(
    statistics: &TableStatistics,
    columns: &[OutputColumn],
    terms: &[&Expression],
) -> Option<usize> {
    // An index may have been made since: what it computes is not in the sample.
    let width = statistics.sample.first().map_or(0, Vec::len);
    let layout: Vec<ColumnId> = columns.iter().take(width).map(|column| column.id).collect();
    let mut conditions: Vec<Expression> = terms.iter().map(|term| (*term).clone()).collect();
    conditions.iter_mut().try_for_each(|condition| to_inputs(condition, &layout)).ok()?;
    let context = EvaluationContext::new(&[], planning_environment());
    let fits = |sampled: &&Vec<Datum>| {
        sampled.len() == layout.len()
            && conditions.iter().all(|condition| row::is_true(condition, *sampled, &context).unwrap_or(false))
    };
    Some(statistics.sample.iter().filter(fits).count())
}

fn constant(expression: &Expression) -> Option<&Datum> {
    match expression {
        Expression::Constant { value, .. } if !value.is_null() => Some(value),
        Expression::Cast { input, .. } => constant(input),
        _ => None,
    }
}

/// `value` as a value of `data_type`, about; `None` where they cannot be compared.
fn adapted(value: &Datum, data_type: DataType) -> Option<Datum> {
    let from = value.as_ref().natural_type();
    let is_text =
        |t: DataType| matches!(t, DataType::Text | DataType::Varchar | DataType::Char | DataType::Unknown);
    if from == data_type {
        return Some(value.clone());
    }
    if is_text(from) && is_text(data_type) {
        // A char is stored without its blanks' meaning: compared without them.
        return Some(value.clone());
    }
    match (value, data_type) {
        (Datum::Timestamp(at) | Datum::TimestampTz(at), DataType::Date) => {
            Some(Datum::Date(i32::try_from(at.div_euclid(DAY_MICROS)).ok()?))
        }
        (Datum::Date(day), DataType::Timestamp) => {
            Some(Datum::Timestamp(i64::from(*day).checked_mul(DAY_MICROS)?))
        }
        _ => from_number(number(value)?, data_type),
    }
}

fn from_number(value: f64, data_type: DataType) -> Option<Datum> {
    Some(match data_type {
        DataType::SmallInt => Datum::SmallInt(value as i16),
        DataType::Integer => Datum::Integer(value as i32),
        DataType::BigInt => Datum::BigInt(value as i64),
        DataType::Real => Datum::Real(value as f32),
        DataType::Double => Datum::Double(value),
        DataType::Numeric => Datum::Numeric(Numeric::new((value * 1e6) as i128, 6)),
        _ => return None,
    })
}

/// A value on a line, for interpolation.
fn number(value: &Datum) -> Option<f64> {
    Some(match value {
        Datum::SmallInt(v) => f64::from(*v),
        Datum::Integer(v) | Datum::Date(v) => f64::from(*v),
        Datum::BigInt(v) | Datum::Timestamp(v) | Datum::TimestampTz(v) => *v as f64,
        Datum::Real(v) => f64::from(*v),
        Datum::Double(v) => *v,
        Datum::Numeric(v) if v.kind == NumericKind::Finite => {
            v.mantissa as f64 / 10_f64.powi(i32::from(v.scale))
        }
        // The first bytes as digits of a fraction.
        Datum::Text(text) => {
            text.bytes()
                .take(8)
                .fold((0.0, 1.0), |(sum, unit), byte| (sum + f64::from(byte) * unit / 256.0, unit / 256.0))
                .0
        }
        _ => return None,
    })
}

fn order(left: &Datum, right: &Datum, data_type: DataType) -> Ordering {
    if std::mem::discriminant(left) != std::mem::discriminant(right) {
        return Ordering::Less;
    }
    match (left, right) {
        (Datum::Text(left), Datum::Text(right)) => {
            left.trim_end_matches(' ').as_bytes().cmp(right.trim_end_matches(' ').as_bytes())
        }
        _ => compare(left.as_ref(), right.as_ref(), data_type),
    }
}

/// Share of all rows whose value compares so with `value`.
fn range_share(
    statistics: &ColumnStatistics,
    facts: &ColumnFacts,
    comparison: Comparison,
    value: &Datum,
) -> f64 {
    let data_type = value.as_ref().natural_type();
    let holds = |ordering: Ordering| match comparison {
        Comparison::Equal | Comparison::Prefix => ordering.is_eq(),
        Comparison::Less => ordering.is_lt(),
        Comparison::LessEqual => ordering.is_le(),
        Comparison::Greater => ordering.is_gt(),
        Comparison::GreaterEqual => ordering.is_ge(),
    };
    let (mut listed, mut common) = (0.0, 0.0);
    for (known, share) in &statistics.most_common {
        listed += share;
        if holds(order(known, value, data_type)) {
            common += share;
        }
    }
    let rest = (1.0 - facts.null_fraction - listed).max(0.0);
    let bounds = &statistics.histogram;
    if bounds.len() < 2 {
        return common + rest * if listed > 0.0 { 0.5 } else { INEQUALITY };
    }
    let below_is = |bound: &Datum| order(bound, value, data_type).is_lt();
    let parts = (bounds.len() - 1) as f64;
    let place = bounds.partition_point(below_is);
    let below = if place == 0 {
        0.0
    } else if place == bounds.len() {
        1.0
    } else {
        let (low, high) = (&bounds[place - 1], &bounds[place]);
        let within = match (number(low), number(high), number(value)) {
            (Some(low), Some(high), Some(value)) if high > low => {
                ((value - low) / (high - low)).clamp(0.0, 1.0)
            }
            _ => 0.5,
        };
        (place as f64 - 1.0 + within) / parts
    };
    // The value itself, where it is inside.
    let inside = place > 0 && place < bounds.len()
        || bounds.first().is_some_and(|b| order(b, value, data_type).is_eq());
    let one = if inside { 1.0 / facts.distinct.max(1.0) } else { 0.0 };
    let part = match comparison {
        Comparison::Equal | Comparison::Prefix => one,
        Comparison::Less => below,
        Comparison::LessEqual => (below + one).min(1.0),
        Comparison::Greater => (1.0 - below - one).max(0.0),
        Comparison::GreaterEqual => 1.0 - below,
    };
    (common + rest * part).clamp(0.0, 1.0)
}
