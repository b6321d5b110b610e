//! An order of relations that does not depend on the order they are written in: by what they read, the conditions on
//! them, and what they are joined to.

use crate::sql::optimizer::order::graph::{RelationSet, members, single};
use crate::sql::optimizer::order::region::{Region, Relation};
use crate::sql::plan::expression::{ColumnId, Expression};
use crate::sql::plan::logical::LogicalPlan;
use crate::sql::types::compare::{combine, hash, hash_bytes, mix};
use hashbrown::HashMap;

/// Rounds in which relations take on the signatures of their neighbours: tells tables apart that are read twice.
const ROUNDS: usize = 3;

/// Sorts the relations; sets of relations are renumbered.
pub(super) fn sort(region: &mut Region) {
    let mut place: HashMap<ColumnId, (usize, u64)> = HashMap::new();
    for (number, relation) in region.relations.iter().enumerate() {
        place.extend(relation.columns.iter().enumerate().map(|(index, id)| (*id, (number, index as u64))));
    }
    let mut signatures: Vec<u64> = region.relations.iter().map(relation_signature).collect();
    for _ in 0..ROUNDS {
        let mut next = signatures.clone();
        let mut spread = |expression: &Expression| {
            let mut touched: RelationSet = 0;
            let value = expression_signature(expression, &mut |id| match place.get(&id) {
                Some((number, index)) => {
                    touched |= single(*number);
                    combine(signatures[*number], *index)
                }
                None => 7,
            });
            // Added, not chained: the order of conditions does not count.
            members(touched).for_each(|number| next[number] = next[number].wrapping_add(mix(value)));
        };
        region.predicates.iter().for_each(&mut spread);
        region.relations.iter().flat_map(|relation| &relation.terms).for_each(&mut spread);
        signatures = next.into_iter().map(mix).collect();
    }
    let mut order: Vec<usize> = (0..region.relations.len()).collect();
    order.sort_by_key(|number| (signatures[*number], *number));
    let mut number_of = vec![0; order.len()];
    order.iter().enumerate().for_each(|(new, old)| number_of[*old] = new);
    let mut old: Vec<Option<Relation>> =
        std::mem::take(&mut region.relations).into_iter().map(Some).collect();
    region.relations = order.iter().filter_map(|number| old[*number].take()).collect();
    for relation in &mut region.relations {
        relation.requires = members(relation.requires).map(|number| single(number_of[number])).sum();
    }
    // Conditions in an order of their own as well.
    let relations = &region.relations;
    let number: HashMap<ColumnId, (usize, u64)> = relations
        .iter()
        .enumerate()
        .flat_map(|(number, relation)| {
            relation.columns.iter().enumerate().map(move |(index, id)| (*id, (number, index as u64)))
        })
        .collect();
    region.predicates.sort_by_cached_key(|predicate| {
        expression_signature(predicate, &mut |id| {
            number.get(&id).map_or(7, |(number, index)| combine(*number as u64, *index))
        })
    });
}

fn relation_signature(relation: &Relation) -> u64 {
    let kind = relation
        .operator
        .as_ref()
        .map_or(0, |kind| hash_bytes(format!("{:?}", std::mem::discriminant(kind)).as_bytes()));
    let columns = &relation.columns;
    let mut signature = combine(kind, relation.rows.to_bits());
    signature = combine(signature, plan_signature(&relation.plan, columns));
    signature
}

/// What a plan reads, whatever its columns are numbered.
fn plan_signature(plan: &LogicalPlan, columns: &[ColumnId]) -> u64 {
    let own = match plan {
        LogicalPlan::Scan { table, .. } => hash_bytes(table.name.as_bytes()),
        LogicalPlan::CommonScan { id, .. } => mix(u64::from(id.0)),
        _ => hash_bytes(format!("{:?}", std::mem::discriminant(plan)).as_bytes()),
    };
    let mut signature = own;
    let mut terms = 0_u64;
    plan.each_own_expression(&mut |expression| {
        let value = expression_signature(expression, &mut |id| {
            columns.iter().position(|known| *known == id).map_or(11, |index| index as u64)
        });
        terms = terms.wrapping_add(mix(value));
    });
    signature = combine(signature, terms);
    for input in plan.inputs() {
        signature = combine(signature, plan_signature(input, columns));
    }
    signature
}

/// What an expression says, its columns given by `column`; the operands of AND, OR and `=` in any order.
fn expression_signature(expression: &Expression, column: &mut dyn FnMut(ColumnId) -> u64) -> u64 {
    let own = match expression {
        Expression::Column { id, .. } => return column(*id),
        Expression::Constant { value, data_type } => return combine(hash(value.as_ref(), *data_type), 3),
        Expression::Parameter { index, .. } => return combine(*index as u64, 5),
        Expression::Call { function, .. } => hash_bytes(function.name.as_bytes()),
        Expression::InSet { values, .. } => combine(values.len() as u64, 13),
        Expression::Cast { target, .. } => hash_bytes(target.to_string().as_bytes()),
        _ => hash_bytes(format!("{:?}", std::mem::discriminant(expression)).as_bytes()),
    };
    let unordered = match expression {
        Expression::And(_) | Expression::Or(_) => true,
        Expression::Call { function, .. } => function.name == "=",
        _ => false,
    };
    let mut signature = own;
    expression.each_operand(&mut |operand| {
        let value = expression_signature(operand, column);
        signature = if unordered { signature.wrapping_add(mix(value)) } else { combine(signature, value) };
    });
    signature
}
