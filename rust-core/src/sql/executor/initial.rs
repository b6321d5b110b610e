//! Queries that are run once, before what uses their results as parameters.

use crate::batch::batch::Batch;
use crate::error::Result;
use crate::sql::executor::ExecutionContext;
use crate::sql::executor::join::output::more_than_one_row;
use crate::sql::executor::node::NodeRef;
use crate::sql::executor::pipeline::{Pipeline, Source};
use crate::sql::plan::logical::InitialForm;
use crate::sql::plan::physical::Operator;
use crate::sql::types::datum::Datum;

/// The computations with what uses them.
pub(super) struct InitialPlans {
    node: NodeRef,
    plans: Vec<Pipeline>,
    input: Pipeline,
    /// All parameters, as the input sees them; `None`: nothing was computed yet.
    parameters: Option<Vec<Datum>>,
}

impl InitialPlans {
    pub(super) fn new(node: NodeRef, plans: Vec<Pipeline>, input: Pipeline) -> InitialPlans {
        InitialPlans { node, plans, input, parameters: None }
    }
}

/// What the rows of a query become.
fn result(
    plan: &mut Pipeline,
    form: InitialForm,
    position: usize,
    context: &mut ExecutionContext<'_>,
) -> Result<Datum> {
    let Some(batch) = plan.next(context)? else {
        return Ok(match form {
            InitialForm::Scalar => Datum::Null,
            InitialForm::Exists => Datum::Boolean(false),
        });
    };
    if form == InitialForm::Exists {
        return Ok(Datum::Boolean(true));
    }
    let value = batch.row_numbers().next().map(|row| batch.columns[0].datum(row).to_owned());
    if batch.selected_rows() > 1 || plan.next(context)?.is_some() {
        return Err(more_than_one_row().at_if_unset(position));
    }
    Ok(value.unwrap_or(Datum::Null))
}

impl InitialPlans {
    #[inline(never)]
    fn compute(&mut self, context: &mut ExecutionContext<'_>) -> Result<Vec<Datum>> {
        let Operator::InitialPlans { plans, .. } = self.node.operator() else {
            unreachable!("made for initial plans");
        };
        let mut parameters = context.parameters.to_vec();
        for (plan, pipeline) in plans.iter().zip(&mut self.plans) {
            let value =
                result(pipeline, plan.form, plan.position, &mut context.with_parameters(&parameters))?;
            parameters[plan.parameter] = value;
        }
        Ok(parameters)
    }
}

impl Source for InitialPlans {
    fn next(&mut self, context: &mut ExecutionContext<'_>) -> Result<Option<Batch>> {
        if self.parameters.is_none() {
            self.parameters = Some(self.compute(context)?);
            // What they hold is not needed any more.
            self.plans.iter_mut().for_each(Pipeline::restart);
        }
        match &self.parameters {
            Some(parameters) => self.input.next(&mut context.with_parameters(parameters)),
            None => Ok(None),
        }
    }

    fn restart(&mut self) {
        self.parameters = None;
        self.plans.iter_mut().for_each(Pipeline::restart);
        self.input.restart();
    }
}
