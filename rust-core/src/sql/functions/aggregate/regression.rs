//! Aggregates over pairs: covariance, correlation, linear regression. Sums of squares by Youngs and Cramer's updating
//! formula, as in `spread`. The first argument is the dependent variable (Y), the second the independent one (X).

use crate::batch::column::{Column, ColumnData};
use crate::batch::validity::Bitmap;
use crate::error::Result;
use crate::sql::functions::arithmetic::overflow;
use crate::sql::functions::kernel;
use crate::sql::functions::registry::{AggregateFunction, GroupStates, RowSet};
use crate::sql::types::data_type::DataType;
use crate::sql::types::datum::DatumRef;
use std::sync::Arc;

#[derive(Clone, Copy, Default)]
struct Moments {
    count: f64,
    sum_x: f64,
    sum_xx: f64,
    sum_y: f64,
    sum_yy: f64,
    sum_xy: f64,
}

impl Moments {
    fn add(&mut self, y: f64, x: f64) -> Result<()> {
        let before = *self;
        self.count += 1.0;
        self.sum_x += x;
        self.sum_y += y;
        if before.count == 0.0 {
            // An infinity or NaN in the first pair makes every deviation from it NaN.
            if !x.is_finite() {
                (self.sum_xx, self.sum_xy) = (f64::NAN, f64::NAN);
            }
            if !y.is_finite() {
                (self.sum_yy, self.sum_xy) = (f64::NAN, f64::NAN);
            }
            return Ok(());
        }
        let deviation_x = x * self.count - self.sum_x;
        let deviation_y = y * self.count - self.sum_y;
        let scale = 1.0 / (self.count * before.count);
        self.sum_xx += deviation_x * deviation_x * scale;
        self.sum_yy += deviation_y * deviation_y * scale;
        self.sum_xy += deviation_x * deviation_y * scale;
        let sums = [self.sum_x, self.sum_xx, self.sum_y, self.sum_yy, self.sum_xy];
        if sums.iter().any(|sum| sum.is_infinite()) {
            let finite_x = before.sum_x.is_finite() && x.is_finite();
            let finite_y = before.sum_y.is_finite() && y.is_finite();
            let overflows = ((self.sum_x.is_infinite() || self.sum_xx.is_infinite()) && finite_x)
                || ((self.sum_y.is_infinite() || self.sum_yy.is_infinite()) && finite_y)
                || (self.sum_xy.is_infinite() && finite_x && finite_y);
            if overflows {
                return Err(overflow());
            }
            for sum in [&mut self.sum_xx, &mut self.sum_yy, &mut self.sum_xy] {
                if sum.is_infinite() {
                    *sum = f64::NAN;
                }
            }
        }
        Ok(())
    }
}

/// What the moments of a group come to; `None`: NULL.
type Outcome = fn(&Moments) -> Option<f64>;

struct Regression {
    groups: Vec<Moments>,
    outcome: Outcome,
    /// Whether the result is a count.
    counts: bool,
}

fn number(datum: DatumRef<'_>) -> Option<f64> {
    match datum {
        DatumRef::Double(value) => Some(value),
        _ => None,
    }
}

impl Regression {
    fn add(&mut self, group: usize, arguments: &[Arc<Column>], row: usize) -> Result<()> {
        match (number(arguments[0].datum(row)), number(arguments[1].datum(row))) {
            (Some(y), Some(x)) => self.groups[group].add(y, x),
            _ => Ok(()),
        }
    }
}

impl GroupStates for Regression {
    fn resize(&mut self, count: usize) -> Result<()> {
        self.groups.resize(count, Moments::default());
        Ok(())
    }

    fn update(&mut self, arguments: &[Arc<Column>], rows: RowSet<'_>, groups: &[u32]) -> Result<()> {
        let mut next = 0;
        kernel::for_rows(rows, None, |row| {
            next += 1;
            self.add(groups[next - 1] as usize, arguments, row)
        })
    }

    fn update_single(&mut self, arguments: &[Arc<Column>], rows: RowSet<'_>) -> Result<()> {
        kernel::for_rows(rows, None, |row| self.add(0, arguments, row))
    }

    fn finish(&mut self, from: usize, to: usize) -> Result<Column> {
        let groups = &self.groups[from..to];
        if self.counts {
            let counts = groups.iter().map(|group| group.count as i64).collect::<Vec<_>>();
            return Ok(Column::flat(DataType::BigInt, ColumnData::Int64(counts), None));
        }
        let results: Vec<Option<f64>> = groups.iter().map(self.outcome).collect();
        let validity = results
            .iter()
            .any(Option::is_none)
            .then(|| Bitmap::from_fn(results.len(), |group| results[group].is_some()));
        let values = results.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>();
        Ok(Column::flat(DataType::Double, ColumnData::Float64(values), validity))
    }

    fn memory_bytes(&self) -> usize {
        self.groups.capacity() * size_of::<Moments>()
    }
}

fn states(outcome: Outcome, counts: bool) -> Box<dyn GroupStates> {
    Box::new(Regression { groups: Vec::new(), outcome, counts })
}

/// `value` for at least `least` pairs.
fn given(moments: &Moments, least: f64, value: f64) -> Option<f64> {
    (moments.count >= least).then_some(value)
}

macro_rules! regression {
    ($($name:literal, $documentation:literal, $outcome:expr;)*) => {
        &[
            AggregateFunction {
                name: "regr_count",
                arguments: &[DataType::Double, DataType::Double],
                returns: DataType::BigInt,
                documentation: "pairs without NULL",
                states: || states(|_| None, true),
            },
            $(AggregateFunction {
                name: $name,
                arguments: &[DataType::Double, DataType::Double],
                returns: DataType::Double,
                documentation: $documentation,
                states: || states($outcome, false),
            },)*
        ]
    };
}

pub(super) static TABLE: &[AggregateFunction] = regression! {
    "covar_pop", "population covariance", |m| given(m, 1.0, m.sum_xy / m.count);
    "covar_samp", "sample covariance", |m| given(m, 2.0, m.sum_xy / (m.count - 1.0));
    "corr", "correlation coefficient", |m| {
        let varies = m.sum_xx != 0.0 && m.sum_yy != 0.0;
        given(m, 1.0, m.sum_xy / (m.sum_xx * m.sum_yy).sqrt()).filter(|_| varies)
    };
    "regr_sxx", "sum of squares of the second argument's deviations", |m| given(m, 1.0, m.sum_xx);
    "regr_syy", "sum of squares of the first argument's deviations", |m| given(m, 1.0, m.sum_yy);
    "regr_sxy", "sum of products of both arguments' deviations", |m| given(m, 1.0, m.sum_xy);
    "regr_avgx", "average of the second argument", |m| given(m, 1.0, m.sum_x / m.count);
    "regr_avgy", "average of the first argument", |m| given(m, 1.0, m.sum_y / m.count);
    "regr_r2", "square of the correlation coefficient", |m| {
        let value = if m.sum_yy == 0.0 { 1.0 } else { m.sum_xy * m.sum_xy / (m.sum_xx * m.sum_yy) };
        given(m, 1.0, value).filter(|_| m.sum_xx != 0.0)
    };
    "regr_slope", "slope of the line of least squares", |m| {
        given(m, 1.0, m.sum_xy / m.sum_xx).filter(|_| m.sum_xx != 0.0)
    };
    "regr_intercept", "where the line of least squares crosses the axis", |m| {
        given(m, 1.0, (m.sum_y - m.sum_x * m.sum_xy / m.sum_xx) / m.count).filter(|_| m.sum_xx != 0.0)
    };
};
