//! Lists of values looked up one by one: `column IN (…)` as a dependent join of the values with a look-up.

use crate::error::Result;
use crate::sql::evaluate::row::result_type;
use crate::sql::functions::registry::Registry;
use crate::sql::optimizer::access::Access;
use crate::sql::optimizer::columns::conjunction;
use crate::sql::optimizer::cost;
use crate::sql::optimizer::lowering::index_join::lookups;
use crate::sql::optimizer::lowering::scan::Scanned;
use crate::sql::optimizer::lowering::{Lowered, Lowering, node};
use crate::sql::optimizer::sargable::plain_column;
use crate::sql::plan::expression::{ColumnId, Expression};
use crate::sql::plan::logical::LogicalPlan;
use crate::sql::plan::physical::{Operator, PhysicalJoinKind};
use std::sync::Arc;

/// A longer list is not looked up value by value.
const VALUES_MAX: usize = 10_000;
/// Stands for the value beside a row that was found by it: nothing refers to it.
const VALUE: ColumnId = ColumnId(u32::MAX);

impl Lowering<'_> {
    /// The scan by look-ups of the values of a list, where that is cheaper than `access`.
    pub(super) fn by_list(
        &mut self,
        scanned: &Scanned,
        predicates: &[Expression],
        required: &[ColumnId],
        access: &Access,
    ) -> Result<Option<Lowered>> {
        let is_list = |predicate: &Expression| {
            matches!(predicate, Expression::InSet { values, negated: false, .. }
                if (2..=VALUES_MAX).contains(&values.len()))
        };
        if access.rows <= 1.0 || access.cost < 2.0 * cost::RESTART || !predicates.iter().any(is_list) {
            return Ok(None);
        }
        let scan = LogicalPlan::Scan {
            table: Arc::clone(&scanned.table),
            columns: scanned.columns.clone(),
            computed: Arc::clone(&scanned.computed),
            row_id: scanned.row_id.clone(),
        };
        let scan = match conjunction(predicates.to_vec()) {
            // What holds on the rows tells which partial indexes have them all.
            Some(predicate) if scanned.table.layout.indexes.iter().any(|index| index.predicate.is_some()) => {
                LogicalPlan::Filter { input: Box::new(scan), predicate }
            }
            _ => scan,
        };
        for (position, predicate) in predicates.iter().enumerate().filter(|(_, predicate)| is_list(predicate))
        {
            let Expression::InSet { input, values, .. } = predicate else { continue };
            let Some((id, _)) = plain_column(input) else { continue };
            let data_type = result_type(input);
            let count = values.len() as f64;
            let cheapest = lookups(&scan, access.rows, &self.knowledge)
                .into_iter()
                .filter(|lookup| lookup.columns == [id])
                .map(|lookup| lookup.cost)
                .min_by(f64::total_cmp);
            let Some(each) = cheapest else { continue };
            if count * (cost::RESTART + each) >= access.cost {
                continue;
            }
            let Some(equal) = Registry::get().scalar_exact("=", &[data_type, data_type]) else { continue };
            let parameters = self.run_time_parameters.len();
            let parameter = self.new_parameter(data_type);
            let value = Expression::Parameter { index: parameter, data_type };
            let mut terms = predicates.to_vec();
            terms[position] =
                Expression::Call { function: equal, arguments: vec![(**input).clone(), value], position: 0 };
            let found = self.scan(scanned.clone(), terms, required, None)?;
            let cost = count * (cost::ROW_MADE + cost::RESTART + found.node.estimated_cost);
            if cost >= access.cost {
                self.run_time_parameters.truncate(parameters);
                continue;
            }
            let rows =
                values.iter().map(|value| vec![Expression::Constant { value: value.clone(), data_type }]);
            let list = Operator::Values { rows: rows.collect(), types: vec![data_type] };
            let mut layout = vec![VALUE];
            layout.extend(&found.layout);
            let operator = Operator::Apply {
                kind: PhysicalJoinKind::Inner,
                left: Box::new(node(list, count, count * cost::ROW_MADE)),
                right: Box::new(found.node),
                arguments: vec![(parameter, Expression::Input { index: 0, data_type })],
                condition: None,
            };
            let node = node(operator, access.rows, cost);
            return Ok(Some(Lowered { node, layout, ordered: false, sorted_by: None }));
        }
        Ok(None)
    }
}
