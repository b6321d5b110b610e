//! Queries that are run once and whose results are parameters of what uses them: at its first use where operators
//! that evaluate again can use it alone, else before the input starts.

use crate::batch::batch::Batch;
use crate::error::{Error, Result};
use crate::sql::evaluate::context::LateValues;
use crate::sql::executor::ExecutionContext;
use crate::sql::executor::join::output::more_than_one_row;
use crate::sql::executor::node::{NodeRef, each_own_expression, each_part};
use crate::sql::executor::pipeline::{Pipeline, Source};
use crate::sql::plan::expression::Expression;
use crate::sql::plan::logical::InitialForm;
use crate::sql::plan::physical::{InitialPlan, Operator, PhysicalNode};
use crate::sql::types::datum::Datum;
use hashbrown::HashSet;
use std::cell::{Cell, OnceCell};

/// The computations with what uses them.
pub(super) struct InitialPlans {
    node: NodeRef,
    /// Computed before the input starts: each with its number in the node.
    early: Vec<(usize, Pipeline)>,
    late: LatePlans,
    input: Pipeline,
    /// All parameters, as the input sees them; `None`: nothing was computed yet.
    parameters: Option<Vec<Datum>>,
}

/// Computations that wait until somebody needs their results.
pub struct LatePlans {
    node: NodeRef,
    plans: Vec<LatePlan>,
    /// The parameter that an evaluation missed last.
    wanted: Cell<Option<usize>>,
}

struct LatePlan {
    parameter: usize,
    /// Its number in the node.
    number: usize,
    pipeline: Pipeline,
    value: OnceCell<Datum>,
}

impl std::fmt::Debug for LatePlans {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LatePlans").field("plans", &self.plans.len()).finish_non_exhaustive()
    }
}

impl LateValues for LatePlans {
    fn late(&self, index: usize) -> Option<Result<&Datum>> {
        let plan = self.plans.iter().find(|plan| plan.parameter == index)?;
        Some(plan.value.get().ok_or_else(|| {
            self.wanted.set(Some(index));
            Error::internal("the result of a subquery is used where nobody computes it")
        }))
    }
}

impl LatePlans {
    /// What the last evaluation missed.
    pub(super) fn take_wanted(&self) -> Option<usize> {
        self.wanted.take()
    }

    /// Runs the query of `parameter`.
    #[inline(never)]
    pub(super) fn compute(&mut self, parameter: usize, context: &mut ExecutionContext<'_>) -> Result<()> {
        let node = self.node.clone();
        let Operator::InitialPlans { plans, .. } = node.operator() else {
            unreachable!("made for initial plans");
        };
        let Some(late) = self.plans.iter_mut().find(|late| late.parameter == parameter) else {
            return Err(Error::internal("a parameter that no query gives"));
        };
        let plan = &plans[late.number];
        let value = result(&mut late.pipeline, plan.form, plan.position, context)?;
        // What it holds is not needed any more.
        late.pipeline.restart();
        let _ = late.value.set(value);
        Ok(())
    }
}

/// The parameters that must be there before the input starts: used by something that does not evaluate again, by
/// another computation, or where another scope of late parameters runs.
fn early_parameters(plans: &[InitialPlan], input: &PhysicalNode) -> HashSet<usize> {
    let mut early = HashSet::new();
    let mut waiting: Vec<(&PhysicalNode, bool)> = plans.iter().map(|plan| (&plan.plan, true)).collect();
    waiting.push((input, false));
    while let Some((node, all)) = waiting.pop() {
        let again = match &node.operator {
            Operator::Filter { .. } | Operator::Project { .. } | Operator::Values { .. } => !all,
            _ => false,
        };
        let predicate = match &node.operator {
            Operator::TableScan { output, .. }
            | Operator::IndexScan { output, .. }
            | Operator::RowIdLookup { output, .. }
            | Operator::UniqueLookup { output, .. } => output.predicate.as_ref().filter(|_| !all),
            _ => None,
        };
        each_own_expression(node, &mut |expression| {
            if again || predicate.is_some_and(|predicate| std::ptr::eq(predicate, expression)) {
                return;
            }
            each_part(expression, &mut |part| {
                if let Expression::Parameter { index, .. } = part {
                    early.insert(*index);
                }
            });
        });
        waiting.extend(node.recheck_plan().map(|plan| (plan, true)));
        match &node.operator {
            Operator::InitialPlans { .. } => {
                waiting.extend(node.inputs().into_iter().map(|input| (input, true)));
            }
            Operator::With { definition, input, .. } => {
                waiting.extend([(&**definition, true), (&**input, all)])
            }
            _ => waiting.extend(node.inputs().into_iter().map(|input| (input, all))),
        }
    }
    early
}

impl InitialPlans {
    pub(super) fn new(node: NodeRef, pipelines: Vec<Pipeline>, input: Pipeline) -> InitialPlans {
        let (mut early, mut late) = (Vec::new(), Vec::new());
        if let Operator::InitialPlans { plans, input } = node.operator() {
            let needed = early_parameters(plans, input);
            for (number, (plan, mut pipeline)) in plans.iter().zip(pipelines).enumerate() {
                let parameter = plan.parameter;
                pipeline.expect(Some(match plan.form {
                    InitialForm::Exists => 1,
                    // A second one is an error.
                    InitialForm::Scalar => 2,
                }));
                if needed.contains(&parameter) {
                    early.push((number, pipeline));
                } else {
                    late.push(LatePlan { parameter, number, pipeline, value: OnceCell::new() });
                }
            }
        }
        let late = LatePlans { node: node.clone(), plans: late, wanted: Cell::new(None) };
        InitialPlans { node, early, late, input, parameters: None }
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
        for (number, pipeline) in &mut self.early {
            let plan = &plans[*number];
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
            self.early.iter_mut().for_each(|(_, pipeline)| pipeline.restart());
        }
        let Some(parameters) = &self.parameters else { return Ok(None) };
        let mut context = context.with_parameters(parameters);
        if self.late.plans.is_empty() {
            return self.input.next(&mut context);
        }
        self.input.next(&mut ExecutionContext { late: Some(&mut self.late), ..context })
    }

    fn expect(&mut self, rows: Option<u64>) {
        self.input.expect(rows);
    }

    fn restart(&mut self) {
        self.parameters = None;
        self.early.iter_mut().for_each(|(_, pipeline)| pipeline.restart());
        for plan in &mut self.late.plans {
            plan.value.take();
            plan.pipeline.restart();
        }
        self.input.restart();
    }
}
