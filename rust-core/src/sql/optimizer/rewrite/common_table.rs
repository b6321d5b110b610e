//! Common tables that need not be kept: one that nothing reads goes, and one that is read once (or is NOT
//! MATERIALIZED) stands where it is read. Volatile and recursive definitions, those read in a recursion, and those that
//! change rows stay.

use crate::error::Result;
use crate::sql::optimizer::rewrite::numbering::Numbering;
use crate::sql::optimizer::rewrite::references::{column, each_node, node_count, plan_is_volatile, take};
use crate::sql::plan::expression::OutputColumn;
use crate::sql::plan::logical::{CommonTableId, LogicalPlan};

/// Nodes that copies of one definition may add.
const COPIED_NODES_MAX: usize = 500;

/// Puts definitions in the place of scans throughout `plan`.
/// # Errors
/// `XX000` for a plan that contradicts itself.
pub(super) fn inline(plan: &mut LogicalPlan, numbering: &mut Numbering) -> Result<()> {
    // Inner ones first: what an outer definition reads may be gone then.
    plan.inputs_mut().into_iter().try_for_each(|input| inline(input, numbering))?;
    inline_here(plan, numbering)
}

#[inline(never)]
fn inline_here(plan: &mut LogicalPlan, numbering: &mut Numbering) -> Result<()> {
    let LogicalPlan::With { id, materialized, definition, input, .. } = plan else { return Ok(()) };
    if definition.changes_rows() {
        return Ok(());
    }
    let scans = scans_of(input, *id);
    if scans.count == 0 {
        *plan = take(input);
        return Ok(());
    }
    let wanted = match materialized {
        Some(true) => false,
        Some(false) => true,
        None => scans.count == 1 && !scans.in_recursion,
    };
    if !wanted || !may_copy(definition, scans.count) {
        return Ok(());
    }
    replace_scans(plan, numbering)
}

/// Whether `definition` may be computed once for each scan.
pub(super) fn may_copy(definition: &LogicalPlan, scans: usize) -> bool {
    !plan_is_volatile(definition) && (scans == 1 || node_count(definition) * scans <= COPIED_NODES_MAX)
}

/// How a common table is read.
pub(super) struct Scans {
    /// How often.
    pub(super) count: usize,
    /// Whether inside the part of a recursion that runs many times.
    pub(super) in_recursion: bool,
}

/// The scans of the common table in `plan`.
pub(super) fn scans_of(plan: &LogicalPlan, id: CommonTableId) -> Scans {
    let mut scans = Scans { count: 0, in_recursion: false };
    each_node(plan, &mut |node| match node {
        LogicalPlan::CommonScan { id: scanned, .. } if *scanned == id => scans.count += 1,
        LogicalPlan::RecursiveUnion { recursive, .. } => {
            each_node(recursive, &mut |inner| {
                let reads = matches!(inner, LogicalPlan::CommonScan { id: scanned, .. } if *scanned == id);
                scans.in_recursion |= reads;
            });
        }
        _ => {}
    });
    scans
}

/// Puts the definition of the `With` that `plan` is in the place of each of its scans.
pub(super) fn replace_scans(plan: &mut LogicalPlan, numbering: &mut Numbering) -> Result<()> {
    let LogicalPlan::With { id, definition, input, .. } = take(plan) else { return Ok(()) };
    let mut definition = Some(*definition);
    let mut left = scans_of(&input, id).count;
    let mut body = *input;
    let mut waiting = vec![&mut body];
    while let Some(node) = waiting.pop() {
        if let LogicalPlan::CommonScan { id: scanned, columns, .. } = node
            && *scanned == id
        {
            left -= 1;
            // The last one takes the definition itself.
            let source = if left == 0 { definition.take() } else { None };
            let source = match (source, &definition) {
                (Some(source), _) => source,
                (None, Some(definition)) => numbering.copied(definition)?.0,
                (None, None) => return Ok(()),
            };
            let columns: Vec<OutputColumn> = std::mem::take(columns);
            let expressions = source.output_columns().iter().map(column).collect();
            *node = LogicalPlan::Project { input: Box::new(source), expressions, columns };
            continue;
        }
        waiting.extend(node.inputs_mut());
    }
    *plan = body;
    Ok(())
}
