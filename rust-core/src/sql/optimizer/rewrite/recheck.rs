//! What is checked again of a row that changed before it was locked: PostgreSQL's rules at read committed. The newest
//! version of the row is put in the place of the old one, the rows that it was joined with stay as they are, and the
//! query's conditions are asked once more.
//!
//! Where the input is filters and inner joins over tables, that is one condition over its columns. Anything else is run
//! again: a copy of the input's plan with one row of parameters in the place of each table in FROM. Queries in
//! conditions, which are joins by now, are run in full by the copy.

use crate::error::{Error, Result, SqlState};
use crate::sql::optimizer::columns::conjunction;
use crate::sql::optimizer::rewrite::numbering::Numbering;
use crate::sql::optimizer::rewrite::references::{
    ColumnSet, boolean, column, each_node, expression_columns, free_columns, output_set, take,
};
use crate::sql::optimizer::rewrite::subquery::one_row;
use crate::sql::plan::expression::{ColumnId, Expression, OutputColumn};
use crate::sql::plan::logical::{JoinKind, LockStrength, LogicalPlan, Recheck, RecheckPlan};
use crate::sql::types::data_type::{DataType, SqlType};
use hashbrown::HashMap;

/// Says for every node of `plan` that locks rows what is checked again. Subqueries are joins already.
/// # Errors
/// `XX000` for a plan that contradicts itself.
pub(super) fn prepare(plan: &mut LogicalPlan, numbering: &mut Numbering) -> Result<()> {
    let mut locks = false;
    each_node(plan, &mut |node| {
        locks |= matches!(
            node,
            LogicalPlan::LockRows { .. } | LogicalPlan::Update { .. } | LogicalPlan::Delete { .. }
        );
    });
    if !locks {
        return Ok(());
    }
    let mut used = output_set(plan);
    each_node(plan, &mut |node| {
        if let LogicalPlan::LockRows { .. } = node {
            // What it says of its targets is no use of their columns.
            return;
        }
        node.each_own_expression(&mut |expression| used.extend(expression_columns(expression)));
        if let LogicalPlan::Update { old_columns, row_id, .. }
        | LogicalPlan::Delete { old_columns, row_id, .. } = node
        {
            used.extend(old_columns.iter().map(|column| column.id));
            used.insert(*row_id);
        }
    });
    visit(plan, &used, numbering)
}

fn visit(plan: &mut LogicalPlan, used: &ColumnSet, numbering: &mut Numbering) -> Result<()> {
    for input in plan.inputs_mut() {
        visit(input, used, numbering)?;
    }
    match plan {
        LogicalPlan::LockRows { input, targets, recheck } => {
            let mut locked = ColumnSet::new();
            for target in targets {
                target.columns.retain(|(_, column)| uses(column, used));
                locked.extend(expression_columns(&target.row_id));
            }
            *recheck = checked_again(input, locked, used, numbering)?;
        }
        LogicalPlan::Update { input, row_id, recheck, .. }
        | LogicalPlan::Delete { input, row_id, recheck, .. } => {
            let around = taken_off(input);
            let locked = [*row_id].into_iter().collect();
            *recheck = checked_again(input, locked, used, numbering)?;
            for layer in around.into_iter().rev() {
                put_around(plan, layer);
            }
        }
        _ => {}
    }
    Ok(())
}

fn uses(expression: &Expression, columns: &ColumnSet) -> bool {
    expression_columns(expression).iter().any(|id| columns.contains(id))
}

/// Takes common tables and queries that are run once off the input of a data change, outermost first: the check needs
/// them as well, so they go around the data change.
fn taken_off(input: &mut LogicalPlan) -> Vec<LogicalPlan> {
    let mut layers = Vec::new();
    while let LogicalPlan::With { input: below, .. } | LogicalPlan::Initial { input: below, .. } = input {
        let below = take(below);
        layers.push(std::mem::replace(input, below));
    }
    layers
}

fn put_around(plan: &mut LogicalPlan, mut layer: LogicalPlan) {
    let inside = take(plan);
    if let LogicalPlan::With { input, .. } | LogicalPlan::Initial { input, .. } = &mut layer {
        **input = inside;
    }
    *plan = layer;
}

/// What an input is made of, from the point of view of the rows that are locked.
struct Shape {
    /// Row ids of the rows that are locked.
    locked: ColumnSet,
    /// All columns that the input makes.
    made: ColumnSet,
}

impl Shape {
    fn of(input: &LogicalPlan, locked: ColumnSet) -> Shape {
        let mut made = ColumnSet::new();
        each_node(input, &mut |node| {
            node.each_made(&mut |column| {
                made.insert(column.id);
            });
        });
        Shape { locked, made }
    }

    /// Whether what `plan` puts out may change with a locked row: one of its tables is locked, or it uses columns of
    /// what stands beside it.
    fn varies(&self, plan: &LogicalPlan) -> bool {
        let mut scans_locked = false;
        each_node(plan, &mut |node| {
            if let LogicalPlan::Scan { row_id: Some(row_id), .. } = node {
                scans_locked |= self.locked.contains(&row_id.id);
            }
        });
        scans_locked || free_columns(plan).iter().any(|id| self.made.contains(id))
    }

    /// Whether `plan` is looked into, instead of taking the row that it gave as it was.
    fn is_open(&self, plan: &LogicalPlan) -> bool {
        matches!(
            plan,
            LogicalPlan::Filter { .. }
                | LogicalPlan::Project { .. }
                | LogicalPlan::Sort { .. }
                | LogicalPlan::Join { .. }
        ) && self.varies(plan)
    }

    /// Adds the conditions of filters and inner joins over tables; false where `plan` is something else.
    fn add_terms(&self, plan: &LogicalPlan, terms: &mut Vec<Expression>) -> bool {
        match plan {
            LogicalPlan::Scan { .. } => true,
            LogicalPlan::Filter { input, predicate } if self.varies(plan) => {
                terms.push(predicate.clone());
                self.add_terms(input, terms)
            }
            LogicalPlan::Sort { input, .. } => self.add_terms(input, terms),
            LogicalPlan::Join { kind: JoinKind::Inner, left, right, condition } if self.varies(plan) => {
                terms.extend(condition.clone());
                self.add_terms(left, terms) && self.add_terms(right, terms)
            }
            other => !self.varies(other),
        }
    }
}

fn checked_again(
    input: &mut LogicalPlan,
    locked: ColumnSet,
    used: &ColumnSet,
    numbering: &mut Numbering,
) -> Result<Recheck> {
    let shape = Shape::of(input, locked);
    let mut terms = Vec::new();
    if shape.add_terms(input, &mut terms) {
        return Ok(match conjunction(terms) {
            Some(condition) => Recheck::Condition(Box::new(condition)),
            None => Recheck::Always,
        });
    }
    let (mut plan, names) = numbering.copied(input)?;
    let mut originals = HashMap::new();
    for (original, copy) in &names {
        originals.insert(copy.id, *original);
    }
    let locked = shape.locked.iter().filter_map(|id| names.get(id)).map(|copy| copy.id).collect();
    let mut fixing = Fixing {
        shape: Shape::of(&plan, locked),
        originals,
        used,
        numbering,
        arguments: Vec::new(),
        presence: HashMap::new(),
    };
    fixing.fix(&mut plan, false);
    let Fixing { arguments, presence, .. } = fixing;
    let mut wanted = shape.locked.clone();
    arguments.iter().for_each(|(_, value)| wanted.extend(expression_columns(value)));
    expose(input, &shape, &wanted, &presence);
    let made = output_set(&plan);
    let outputs = input
        .output_columns()
        .iter()
        .filter_map(|column| Some((column.id, names.get(&column.id)?.clone())))
        .filter(|(_, copy)| made.contains(&copy.id))
        .collect();
    Ok(Recheck::Plan(Box::new(RecheckPlan { plan, arguments, outputs })))
}

/// Puts rows of parameters in the place of tables.
struct Fixing<'f> {
    shape: Shape,
    /// The column of the input that a column of the copy stands for.
    originals: HashMap<ColumnId, ColumnId>,
    /// Columns of the input that something uses.
    used: &'f ColumnSet,
    numbering: &'f mut Numbering,
    arguments: Vec<(usize, Expression)>,
    /// By a column of a part of the input that an outer join may leave out: the column that tells whether it did.
    presence: HashMap<ColumnId, OutputColumn>,
}

impl Fixing<'_> {
    /// `nullable`: whether an outer join may put NULLs in the place of the rows of `plan`.
    fn fix(&mut self, plan: &mut LogicalPlan, nullable: bool) {
        if !self.shape.is_open(plan) {
            return self.fix_part(plan, nullable);
        }
        match plan {
            // The order of one row does not matter.
            LogicalPlan::Sort { input, .. } => {
                *plan = take(input);
                self.fix(plan, nullable);
            }
            LogicalPlan::Filter { input, .. } | LogicalPlan::Project { input, .. } => {
                self.fix(input, nullable);
            }
            LogicalPlan::Join { kind, left, right, .. } => {
                let (of_left, of_right) = match kind {
                    JoinKind::Inner => (nullable, Some(nullable)),
                    JoinKind::Left => (nullable, Some(true)),
                    JoinKind::Right => (true, Some(nullable)),
                    JoinKind::Full => (true, Some(true)),
                    // Queries in conditions and values are run again.
                    JoinKind::Semi | JoinKind::Anti | JoinKind::Mark(_) | JoinKind::Single => {
                        (nullable, None)
                    }
                };
                self.fix(left, of_left);
                if let Some(nullable) = of_right {
                    self.fix(right, nullable);
                }
            }
            _ => self.fix_part(plan, nullable),
        }
    }

    fn parameter(&mut self, original: ColumnId, data_type: DataType) -> Expression {
        let index = self.numbering.parameter(data_type);
        self.arguments.push((index, Expression::Column { id: original, data_type }));
        Expression::Parameter { index, data_type }
    }

    fn fix_part(&mut self, plan: &mut LogicalPlan, nullable: bool) {
        let (mut expressions, mut columns) = (Vec::new(), Vec::new());
        let mut first = None;
        for column in plan.output_columns() {
            let Some(&original) = self.originals.get(&column.id) else { continue };
            first = first.or(Some(original));
            if self.used.contains(&original) || self.shape.locked.contains(&column.id) {
                expressions.push(self.parameter(original, column.sql_type.data_type));
                columns.push(column);
            }
        }
        let mut input = one_row();
        if let (true, Some(first)) = (nullable, first) {
            let presence = match plan {
                LogicalPlan::Scan { row_id: Some(row_id), .. } => match self.originals.get(&row_id.id) {
                    Some(&id) => OutputColumn { id, ..row_id.clone() },
                    None => row_id.clone(),
                },
                LogicalPlan::Scan { .. } => {
                    self.numbering.column("row id", SqlType::plain(DataType::BigInt), false)
                }
                _ => self.numbering.column("present", SqlType::plain(DataType::Boolean), false),
            };
            let value = self.parameter(presence.id, presence.sql_type.data_type);
            self.presence.insert(first, presence);
            let predicate = Expression::IsNull { input: Box::new(value), negated: true };
            input = LogicalPlan::Filter { input: Box::new(input), predicate };
        }
        *plan = LogicalPlan::Project { input: Box::new(input), expressions, columns };
    }
}

/// Lets columns that the check needs out of the projections of `plan`, and adds those that tell which parts are there.
fn expose(
    plan: &mut LogicalPlan,
    shape: &Shape,
    wanted: &ColumnSet,
    presence: &HashMap<ColumnId, OutputColumn>,
) {
    if !shape.is_open(plan) {
        let outputs = plan.output_columns();
        let Some(added) = outputs.first().and_then(|first| presence.get(&first.id)) else { return };
        match plan {
            LogicalPlan::Scan { row_id, .. } => *row_id = Some(added.clone()),
            _ => {
                let mut columns = outputs;
                let mut expressions: Vec<Expression> = columns.iter().map(column).collect();
                expressions.push(boolean(true));
                columns.push(added.clone());
                *plan = LogicalPlan::Project { input: Box::new(take(plan)), expressions, columns };
            }
        }
        return;
    }
    match plan {
        LogicalPlan::Filter { input, .. } | LogicalPlan::Sort { input, .. } => {
            expose(input, shape, wanted, presence);
        }
        LogicalPlan::Project { input, expressions, columns } => {
            expose(input, shape, wanted, presence);
            for below in input.output_columns() {
                if wanted.contains(&below.id) && !columns.iter().any(|column| column.id == below.id) {
                    expressions.push(column(&below));
                    columns.push(below);
                }
            }
        }
        LogicalPlan::Join { kind, left, right, .. } => {
            expose(left, shape, wanted, presence);
            if matches!(kind, JoinKind::Inner | JoinKind::Left | JoinKind::Right | JoinKind::Full) {
                expose(right, shape, wanted, presence);
            }
        }
        _ => {}
    }
}

/// Refuses locks on rows that an outer join may leave out, after conditions have made outer joins inner ones.
/// # Errors
/// `0A000`.
pub(super) fn refuse_nullable(plan: &LogicalPlan) -> Result<()> {
    if let LogicalPlan::LockRows { input, targets, .. } = plan {
        for target in targets {
            let ids = expression_columns(&target.row_id);
            if is_nulled(input, &ids, false) {
                return Err(nullable_side(target.strength));
            }
        }
    }
    plan.inputs().into_iter().try_for_each(refuse_nullable)
}

fn nullable_side(strength: LockStrength) -> Error {
    let message = format!("{} cannot be applied to the nullable side of an outer join", strength.name());
    Error::new(SqlState::FEATURE_NOT_SUPPORTED, message)
}

/// Whether the scan with this row id stands where an outer join may leave its rows out.
fn is_nulled(plan: &LogicalPlan, row_id: &ColumnSet, nulled: bool) -> bool {
    match plan {
        LogicalPlan::Scan { row_id: Some(own), .. } => nulled && row_id.contains(&own.id),
        LogicalPlan::Filter { input, .. }
        | LogicalPlan::Project { input, .. }
        | LogicalPlan::Sort { input, .. } => is_nulled(input, row_id, nulled),
        LogicalPlan::Join { kind, left, right, .. } => {
            let of_left = nulled || matches!(kind, JoinKind::Right | JoinKind::Full);
            let of_right = nulled || matches!(kind, JoinKind::Left | JoinKind::Full | JoinKind::Single);
            is_nulled(left, row_id, of_left) || is_nulled(right, row_id, of_right)
        }
        _ => false,
    }
}
