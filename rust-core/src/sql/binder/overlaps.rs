//! `(start, end) OVERLAPS (start, end)`, by comparisons. An end may be an interval from the start on.

use crate::error::Result;
use crate::sql::binder::binder::Binder;
use crate::sql::binder::coercion::Bound;
use crate::sql::plan::expression::Expression;
use crate::sql::types::data_type::{DataType, SqlType};

/// A span of time with its ends in order.
struct Period {
    low: Box<Bound>,
    /// NULL where one end is.
    high: Box<Bound>,
}

impl Binder<'_> {
    /// The four operands as the parser gives them.
    #[inline(never)]
    pub(super) fn bind_overlaps(&mut self, operands: [Box<Bound>; 4], position: usize) -> Result<Box<Bound>> {
        let [a, b, c, d] = operands;
        let b = self.period_end(&a, b, position)?;
        let d = self.period_end(&c, d, position)?;
        let (ends, _) = self.coerce_to_common_type(vec![a, b, c, d], "OVERLAPS")?;
        let mut ends = ends.into_iter();
        let mut next = || ends.next().expect("there are four");
        let (a, b, c, d) = (next(), next(), next(), next());
        let first = self.period(a, b, position)?;
        let second = self.period(c, d, position)?;
        let mut terms = Vec::with_capacity(3);
        for (one, other) in [(&first, &second), (&second, &first)] {
            let (low, other_low) = (self.duplicate_bound(&one.low)?, self.duplicate_bound(&other.low)?);
            let later = self.binary_operator(">", low, other_low, position)?.expression;
            let (low, high) = (self.duplicate_bound(&one.low)?, self.duplicate_bound(&other.high)?);
            let within = self.binary_operator("<", low, high, position)?.expression;
            terms.push(Expression::And(vec![later, within]));
        }
        terms.push(self.binary_operator("=", first.low, second.low, position)?.expression);
        Ok(Bound::new(Expression::Or(terms), DataType::Boolean, true, position))
    }

    fn period_end(&mut self, start: &Bound, end: Box<Bound>, position: usize) -> Result<Box<Bound>> {
        if end.data_type() != DataType::Interval {
            return Ok(end);
        }
        let start = self.duplicate_bound(start)?;
        self.binary_operator("+", start, end, position)
    }

    fn period(&mut self, start: Box<Bound>, end: Box<Bound>, position: usize) -> Result<Period> {
        let copies = [self.duplicate_bound(&start)?, self.duplicate_bound(&end)?];
        let low = self.finish_extreme("least", copies.into(), position)?;
        let mut known = Vec::with_capacity(2);
        for value in [&start, &end] {
            let input = Box::new(self.duplicate(&value.expression, position)?);
            known.push(Expression::IsNull { input, negated: true });
        }
        let highest = self.finish_extreme("greatest", vec![start, end], position)?;
        let data_type = highest.data_type();
        let branches = vec![(Expression::And(known), highest.expression)];
        let high = Expression::Case { branches, otherwise: None, data_type };
        let high = Bound::new(high, SqlType::plain(data_type), true, position);
        Ok(Period { low, high })
    }
}
