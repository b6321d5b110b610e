//! What an expression may refer to besides its row.

use crate::error::{Error, Result};
use crate::sql::functions::registry::Environment;
use crate::sql::types::cast::CastEnvironment;
use crate::sql::types::datum::{Datum, DatumRef};

/// Parameters that are computed when they are first used.
pub trait LateValues {
    /// The value of `$n`, from 0; `None`: it is an ordinary parameter; an error: it is not there yet, and whoever
    /// evaluates computes it and evaluates again.
    fn late(&self, index: usize) -> Option<Result<&Datum>>;
}

/// Parameters and environment of one execution.
pub struct EvaluationContext<'a> {
    /// Values of `$1 …`, of the plan's parameter types.
    pub parameters: &'a [Datum],
    /// Clock, zone, settings.
    pub environment: &'a dyn Environment,
    /// What is computed when it is first used.
    pub late: Option<&'a dyn LateValues>,
}

impl std::fmt::Debug for EvaluationContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EvaluationContext").field("parameters", &self.parameters).finish_non_exhaustive()
    }
}

impl<'a> EvaluationContext<'a> {
    /// A context.
    pub fn new(parameters: &'a [Datum], environment: &'a dyn Environment) -> EvaluationContext<'a> {
        EvaluationContext { parameters, environment, late: None }
    }

    /// What casts need of it.
    pub fn cast_environment(&self) -> CastEnvironment<'a> {
        self.environment.casts()
    }

    /// The value of `$n`, from 0.
    /// # Errors
    /// `XX000` when fewer values were bound than the plan has parameters.
    pub fn parameter(&self, index: usize) -> Result<DatumRef<'a>> {
        self.parameter_value(index).map(Datum::as_ref)
    }

    /// The same, to be shared.
    /// # Errors
    /// As [`EvaluationContext::parameter`].
    pub fn parameter_value(&self, index: usize) -> Result<&'a Datum> {
        if let Some(value) = self.late.and_then(|late| late.late(index)) {
            return value;
        }
        match self.parameters.get(index) {
            Some(value) => Ok(value),
            None => Err(Error::internal(format!("parameter ${} has no value", index + 1))),
        }
    }
}
