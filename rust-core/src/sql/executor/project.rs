//! Filter and projection: the operators that take a batch and give one.

use crate::batch::batch::Batch;
use crate::error::Result;
use crate::sql::evaluate::columns;
use crate::sql::executor::ExecutionContext;
use crate::sql::executor::node::NodeRef;
use crate::sql::executor::pipeline::{Flow, Transform};
use crate::sql::plan::physical::Operator;

/// Keeps the rows for which the predicate is true.
pub(super) struct Filter(NodeRef);

impl Filter {
    pub(super) fn new(node: NodeRef) -> Filter {
        Filter(node)
    }
}

impl Transform for Filter {
    fn restart(&mut self) {}

    fn push(
        &mut self,
        input: Option<Batch>,
        context: &mut ExecutionContext<'_>,
    ) -> Result<(Option<Batch>, Flow)> {
        let Operator::Filter { predicate, .. } = self.0.operator() else {
            unreachable!("made for a filter");
        };
        let Some(mut batch) = input else { return Ok((None, Flow::NeedInput)) };
        context.evaluate(|evaluation| columns::filter(predicate, &mut batch, evaluation))?;
        Ok((Some(batch), Flow::NeedInput))
    }
}

/// Computes new columns.
pub(super) struct Project(NodeRef);

impl Project {
    pub(super) fn new(node: NodeRef) -> Project {
        Project(node)
    }
}

impl Transform for Project {
    fn restart(&mut self) {}

    fn push(
        &mut self,
        input: Option<Batch>,
        context: &mut ExecutionContext<'_>,
    ) -> Result<(Option<Batch>, Flow)> {
        let Operator::Project { expressions, .. } = self.0.operator() else {
            unreachable!("made for a projection");
        };
        let Some(batch) = input else { return Ok((None, Flow::NeedInput)) };
        let columns = context.evaluate(|evaluation| {
            expressions
                .iter()
                .map(|expression| columns::evaluate(expression, &batch, evaluation))
                .collect::<Result<Vec<_>>>()
        })?;
        Ok((Some(Batch { columns, rows: batch.rows, selection: batch.selection }), Flow::NeedInput))
    }
}
