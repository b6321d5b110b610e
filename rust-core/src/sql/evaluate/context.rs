//! What an expression may refer to besides its row.

use crate::sql::functions::registry::Environment;
use crate::sql::types::datum::Datum;

/// Parameters and environment of one execution.
pub struct EvaluationContext<'a> {
    /// Values of `$1 …`, of the plan's parameter types.
    pub parameters: &'a [Datum],
    /// Clock, zone, settings.
    pub environment: &'a dyn Environment,
}

impl std::fmt::Debug for EvaluationContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EvaluationContext").field("parameters", &self.parameters).finish_non_exhaustive()
    }
}

impl<'a> EvaluationContext<'a> {
    /// A context.
    pub fn new(parameters: &'a [Datum], environment: &'a dyn Environment) -> EvaluationContext<'a> {
        EvaluationContext { parameters, environment }
    }
}
