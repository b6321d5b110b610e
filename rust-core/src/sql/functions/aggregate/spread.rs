//! Variance and standard deviation. Floats by Youngs and Cramer's updating formula ("Some results relevant to choice
//! of sum and sum-of-product algorithms", 1971), as PostgreSQL; integers and numerics exactly.

use crate::error::Result;
use crate::sql::functions::aggregate::{State, aggregate};
use crate::sql::functions::arithmetic::overflow;
use crate::sql::functions::kernel::{Argument, Float4, Float8, Int2, Int4, Int8, Num};
use crate::sql::functions::registry::AggregateFunction;
use crate::sql::types::datum::Numeric;

#[derive(Clone, Default)]
struct FloatMoments {
    count: f64,
    sum: f64,
    squares: f64,
    special: bool,
}

impl FloatMoments {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        self.sum += value;
        self.special |= !value.is_finite();
        if self.count > 1.0 {
            let deviation = value * self.count - self.sum;
            self.squares += deviation * deviation / (self.count * (self.count - 1.0));
        }
        if self.special {
            self.squares = f64::NAN;
        }
    }

    fn spread(&self, sample: bool, root: bool) -> Result<Option<f64>> {
        if self.count <= f64::from(u8::from(sample)) {
            return Ok(None);
        }
        if (self.sum.is_infinite() || self.squares.is_infinite()) && !self.special {
            return Err(overflow());
        }
        let divisor = if sample { self.count - 1.0 } else { self.count };
        let variance = self.squares / divisor;
        Ok(Some(if root { variance.sqrt() } else { variance }))
    }
}

#[derive(Clone)]
struct NumericMoments {
    count: i64,
    sum: Numeric,
    squares: Numeric,
}

impl Default for NumericMoments {
    fn default() -> NumericMoments {
        NumericMoments { count: 0, sum: Numeric::ZERO, squares: Numeric::ZERO }
    }
}

impl NumericMoments {
    fn add(&mut self, value: Numeric) -> Result<()> {
        self.count += 1;
        self.sum = self.sum.add(value)?;
        self.squares = self.squares.add(value.multiply(value)?)?;
        Ok(())
    }

    fn spread(&self, sample: bool, root: bool) -> Result<Option<Numeric>> {
        if self.count <= i64::from(sample) {
            return Ok(None);
        }
        if !self.sum.is_finite() {
            return Ok(Some(Numeric::NAN));
        }
        let count = Numeric::from(self.count);
        let divisor = count.multiply(if sample { Numeric::from(self.count - 1) } else { count })?;
        let numerator = count.multiply(self.squares)?.subtract(self.sum.multiply(self.sum)?)?;
        if numerator.signum() <= 0 {
            return Ok(Some(Numeric::ZERO));
        }
        let variance = numerator.divide(divisor)?;
        if root { variance.square_root().map(Some) } else { Ok(Some(variance)) }
    }
}

macro_rules! spread_states {
    ($($name:ident, $input:ident, $output:ident, $moments:ident, $native:ty, |$moment:ident, $value:ident| $add:expr, $sample:literal, $root:literal;)*) => {$(
        #[derive(Clone, Default)]
        struct $name($moments);

        impl State for $name {
            type Input = $input;
            type Output = $output;
            fn add(&mut self, $value: <$input as Argument>::Value<'_>) -> Result<()> {
                let $moment = &mut self.0;
                $add
            }
            fn finish(&self) -> Result<Option<$native>> {
                self.0.spread($sample, $root)
            }
        }
    )*};
}

macro_rules! four {
    ($($input:ident, $output:ident, $moments:ident, $native:ty, |$moment:ident, $value:ident| $add:expr, $a:ident, $b:ident, $c:ident, $d:ident;)*) => {
        spread_states! {$(
            $a, $input, $output, $moments, $native, |$moment, $value| $add, true, false;
            $b, $input, $output, $moments, $native, |$moment, $value| $add, true, true;
            $c, $input, $output, $moments, $native, |$moment, $value| $add, false, false;
            $d, $input, $output, $moments, $native, |$moment, $value| $add, false, true;
        )*}

        pub(super) static TABLE: &[AggregateFunction] = &[$(
            aggregate!("variance", $a, "sample variance"),
            aggregate!("var_samp", $a, "sample variance"),
            aggregate!("stddev", $b, "sample standard deviation"),
            aggregate!("stddev_samp", $b, "sample standard deviation"),
            aggregate!("var_pop", $c, "population variance"),
            aggregate!("stddev_pop", $d, "population standard deviation"),
        )*];
    };
}

fn add_float(moments: &mut FloatMoments, value: f64) -> Result<()> {
    moments.add(value);
    Ok(())
}

four! {
    Int4, Num, NumericMoments, Numeric, |moments, value| moments.add(Numeric::from(value)), Variance4, Deviation4, VariancePopulation4, DeviationPopulation4;
    Int8, Num, NumericMoments, Numeric, |moments, value| moments.add(Numeric::from(value)), Variance8, Deviation8, VariancePopulation8, DeviationPopulation8;
    Int2, Num, NumericMoments, Numeric, |moments, value| moments.add(Numeric::from(value)), Variance2, Deviation2, VariancePopulation2, DeviationPopulation2;
    Num, Num, NumericMoments, Numeric, |moments, value| moments.add(value), VarianceNumeric, DeviationNumeric, VariancePopulationNumeric, DeviationPopulationNumeric;
    Float8, Float8, FloatMoments, f64, |moments, value| add_float(moments, value), VarianceFloat8, DeviationFloat8, VariancePopulationFloat8, DeviationPopulationFloat8;
    Float4, Float8, FloatMoments, f64, |moments, value| add_float(moments, f64::from(value)), VarianceFloat4, DeviationFloat4, VariancePopulationFloat4, DeviationPopulationFloat4;
}
