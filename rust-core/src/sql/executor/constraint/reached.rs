//! Foreign keys and deferrable keys of changed rows: what a change asks of other tables, now and at the statement's end.
//!
//! A row that refers locks the row that it refers to (KEY SHARE) and then reads the newest state: where the key is there,
//! nobody can take it away before the transaction ends, and nothing more is to be done; else the statement's end decides,
//! because the key may come later in the statement. A row that goes or gets another key is locked for that, so nobody can
//! begin to refer to it; who refers to it already is looked for, and what is to become of those is an event.
//!
//! Events of one foreign key that change rows are done together, in one command: each sees the children as they were
//! before all of them, so that a row moved from 1 to 2 is not moved on by the event from 2 to 3.
//! Sources: the referential actions of SQL; order and answers are PostgreSQL's.

use crate::catalog::table_definition::{ForeignKeyMatching, ReferentialAction};
use crate::common::ids::{ObjectId, RowId};
use crate::common::sync::Arc;
use crate::error::{Error, Result, SqlState};
use crate::sql::evaluate::context::EvaluationContext;
use crate::sql::evaluate::row::{self, NoRow};
use crate::sql::executor::ExecutionContext;
use crate::sql::executor::constraint::convert::converted;
use crate::sql::executor::constraint::duplicate_key;
use crate::sql::executor::constraint::message;
use crate::sql::executor::constraint::pending::Event;
use crate::sql::executor::modify::{ComputedRows, Target};
use crate::sql::plan::reference::{References, ReferredBy, RefersTo};
use crate::sql::types::datum::{Datum, DatumRef};
use crate::table::reference::{OwnWrites, Wanted};
use crate::table::table::{Table, concurrent_update};
use crate::transaction::types::{ReadView, RowLockMode};
use std::cell::OnceCell;

/// Rows that a look for children in the way takes at once.
const CHILDREN_AT_ONCE: usize = 16;

/// The tables that a data change reaches by foreign keys, opened when they are needed.
pub(in crate::sql::executor) struct Reached {
    plan: Arc<References>,
    tables: Box<[OnceCell<Target>]>,
    /// What other parts of the statement change as well.
    beside: Arc<ChangedTables>,
}

/// The tables that a statement changes in its parts: what the references between them come to is known at its end, and
/// looked at in the order of the changes.
#[derive(Debug, Default)]
pub(in crate::sql::executor) struct ChangedTables {
    /// Those that may get rows, or rows other keys.
    pub(in crate::sql::executor) gaining: Vec<ObjectId>,
    /// Those that may lose rows or keys.
    pub(in crate::sql::executor) losing: Vec<ObjectId>,
}

/// A key of a row by its columns; `None`: a NULL is among them.
fn key_of(row: &[DatumRef<'_>], columns: &[usize]) -> Option<Box<[Datum]>> {
    columns
        .iter()
        .map(|column| Some(row[*column]).filter(|value| !value.is_null()))
        .map(|value| value.map(DatumRef::to_owned))
        .collect()
}

fn borrowed(values: &[Datum]) -> Vec<DatumRef<'_>> {
    values.iter().map(Datum::as_ref).collect()
}

/// Whether two values are stored alike.
fn is_same(left: DatumRef<'_>, right: DatumRef<'_>) -> bool {
    match (left, right) {
        (DatumRef::Null, DatumRef::Null) => true,
        (DatumRef::Boolean(left), DatumRef::Boolean(right)) => left == right,
        (DatumRef::SmallInt(left), DatumRef::SmallInt(right)) => left == right,
        (DatumRef::Integer(left), DatumRef::Integer(right)) => left == right,
        (DatumRef::BigInt(left), DatumRef::BigInt(right)) => left == right,
        (DatumRef::Real(left), DatumRef::Real(right)) => left.to_bits() == right.to_bits(),
        (DatumRef::Double(left), DatumRef::Double(right)) => left.to_bits() == right.to_bits(),
        (DatumRef::Numeric(left), DatumRef::Numeric(right)) => {
            (left.mantissa, left.scale, left.kind) == (right.mantissa, right.scale, right.kind)
        }
        (DatumRef::Text(left), DatumRef::Text(right)) => left == right,
        (DatumRef::Bytes(left), DatumRef::Bytes(right)) => left == right,
        (DatumRef::Date(left), DatumRef::Date(right)) => left == right,
        (DatumRef::Timestamp(left), DatumRef::Timestamp(right)) => left == right,
        (DatumRef::TimestampTz(left), DatumRef::TimestampTz(right)) => left == right,
        (DatumRef::Interval(left), DatumRef::Interval(right)) => {
            (left.months, left.days, left.micros) == (right.months, right.days, right.micros)
        }
        _ => false,
    }
}

impl Reached {
    pub(in crate::sql::executor) fn new(plan: &Arc<References>) -> Reached {
        let tables = plan.tables.iter().map(|_| OnceCell::new()).collect();
        Reached { plan: Arc::clone(plan), tables, beside: Arc::default() }
    }

    /// Tells it what the parts of the statement change.
    pub(in crate::sql::executor) fn set_changed_beside(&mut self, changed: &Arc<ChangedTables>) {
        self.beside = Arc::clone(changed);
    }

    /// Whether rows of the changed table refer to others.
    pub(in crate::sql::executor) fn refers(&self) -> bool {
        !self.plan.tables[0].refers.is_empty()
    }

    fn target(&self, number: usize, context: &ExecutionContext<'_>) -> Result<&Target> {
        let cell = &self.tables[number];
        if let Some(target) = cell.get() {
            return Ok(target);
        }
        let target = Target::of_reached(&self.plan.tables[number], context)?;
        Ok(cell.get_or_init(|| target))
    }

    /// A row was added.
    pub(in crate::sql::executor) fn added(
        &self,
        number: usize,
        id: RowId,
        row: &[DatumRef<'_>],
        context: &mut ExecutionContext<'_>,
    ) -> Result<()> {
        for refers in 0..self.plan.tables[number].refers.len() {
            self.look_for_parent(number, refers, id, row, context)?;
        }
        Ok(())
    }

    /// A row was changed.
    pub(in crate::sql::executor) fn changed(
        &self,
        number: usize,
        (old_id, id): (RowId, RowId),
        old: &[DatumRef<'_>],
        new: &[DatumRef<'_>],
        context: &mut ExecutionContext<'_>,
    ) -> Result<()> {
        let table = &self.plan.tables[number];
        for referred in 0..table.referred.len() {
            self.look_for_children(number, referred, old, Some(new), context)?;
        }
        for (position, refers) in table.refers.iter().enumerate() {
            let key = self.plan.key_of(number, refers);
            let differs = key.columns.iter().any(|column| !is_same(old[*column], new[*column]));
            if differs || (old_id != id && context.pending.follows_rows()) {
                self.look_for_parent(number, position, id, new, context)?;
            }
        }
        Ok(())
    }

    /// A row was removed.
    pub(in crate::sql::executor) fn removed(
        &self,
        number: usize,
        old: &[DatumRef<'_>],
        context: &mut ExecutionContext<'_>,
    ) -> Result<()> {
        for referred in 0..self.plan.tables[number].referred.len() {
            self.look_for_children(number, referred, old, None, context)?;
        }
        Ok(())
    }

    /// Looks at once whether the key is there that a row refers to; if it is not, or may wait, the event is kept.
    fn look_for_parent(
        &self,
        number: usize,
        refers: usize,
        id: RowId,
        row: &[DatumRef<'_>],
        context: &mut ExecutionContext<'_>,
    ) -> Result<()> {
        let plan = &self.plan;
        let key = plan.key_of(number, &plan.tables[number].refers[refers]);
        let nulls = key.columns.iter().filter(|column| row[**column].is_null()).count();
        if nulls == key.columns.len() || (nulls > 0 && key.matching == ForeignKeyMatching::Simple) {
            return Ok(());
        }
        let put_off = context.pending.is_deferred((key.id, key.deferral))
            || self.beside.losing.contains(&plan.tables[plan.tables[number].refers[refers].parent].table.id);
        if nulls == 0 && !put_off && self.has_parent(number, refers, row, context)? {
            return Ok(());
        }
        let event = Event::Child { plan: Arc::clone(plan), table: number, refers, row: id };
        context.pending.push(event, context.memory)
    }

    /// Whether the key is there that a row refers to. It stays there then.
    fn has_parent(
        &self,
        number: usize,
        refers: usize,
        row: &[DatumRef<'_>],
        context: &mut ExecutionContext<'_>,
    ) -> Result<bool> {
        let RefersTo { key, parent, index, order } = &self.plan.tables[number].refers[refers];
        let key = &self.plan.tables[number].table.foreign_keys[*key];
        let layout = &self.plan.tables[*parent].table.layout;
        let mut values = Vec::with_capacity(order.len());
        for place in order {
            let data_type = layout.columns[key.parent_columns[*place]].data_type;
            match converted(row[key.columns[*place]], data_type) {
                Some(value) => values.push(value),
                None => return Ok(false),
            }
        }
        let table = self.target(*parent, context)?.table();
        lock_parent(table, *index, &borrowed(&values), context)
    }

    /// Keeps an event where rows may refer to a key that goes.
    fn look_for_children(
        &self,
        number: usize,
        referred: usize,
        old: &[DatumRef<'_>],
        new: Option<&[DatumRef<'_>]>,
        context: &mut ExecutionContext<'_>,
    ) -> Result<()> {
        let plan = &self.plan;
        let by = &plan.tables[number].referred[referred];
        let key = plan.key_to(by);
        let Some(old_key) = key_of(old, &key.parent_columns) else { return Ok(()) };
        if let Some(new) = new
            && key.parent_columns.iter().all(|column| is_same(old[*column], new[*column]))
        {
            return Ok(());
        }
        // Rows of the table that is being changed may come to refer to it, or are kept aside.
        let is_own = plan.tables[by.child].table.id == plan.tables[number].table.id;
        let may_gain = is_own || self.beside.gaining.contains(&plan.tables[by.child].table.id);
        if !may_gain && context.pending.keys.is_empty() {
            let Some(values) = self.in_child_types(by, &old_key) else { return Ok(()) };
            let values = borrowed(&values);
            let wanted = Wanted { columns: &key.columns, values: &values };
            let mut found = Vec::new();
            let table = self.target(by.child, context)?.table();
            table.find_now(context.transaction, wanted, OwnWrites::All, 1, &mut found)?;
            if found.is_empty() {
                return Ok(());
            }
        }
        let new = new.map(|new| key.parent_columns.iter().map(|column| new[*column].to_owned()).collect());
        let event = Event::Parent { plan: Arc::clone(plan), table: number, referred, old: old_key, new };
        context.pending.push(event, context.memory)
    }

    /// A parent's key as the columns of its children hold it; `None`: they cannot.
    fn in_child_types(&self, by: &ReferredBy, values: &[Datum]) -> Option<Vec<Datum>> {
        let key = self.plan.key_to(by);
        let layout = &self.plan.tables[by.child].table.layout;
        let pairs = key.columns.iter().zip(values);
        pairs.map(|(column, value)| converted(value.as_ref(), layout.columns[*column].data_type)).collect()
    }

    /// Does what an event of these tables asks for, unless it changes rows.
    pub(super) fn check(&self, event: &Event, context: &mut ExecutionContext<'_>) -> Result<()> {
        match event {
            Event::Child { table, refers, row, .. } => self.check_child(*table, *refers, *row, context),
            Event::Parent { table, referred, old, .. } => {
                let is_restrict = event.action() == Some(&ReferentialAction::Restrict);
                self.check_parent(*table, *referred, old, is_restrict, context)
            }
            Event::Unique { .. } => Ok(()),
        }
    }

    /// The row refers to a key that is there, or is no more.
    fn check_child(
        &self,
        number: usize,
        refers: usize,
        id: RowId,
        context: &mut ExecutionContext<'_>,
    ) -> Result<()> {
        let plan = &self.plan;
        let refers_to = &plan.tables[number].refers[refers];
        let key = plan.key_of(number, refers_to);
        let table = self.target(number, context)?.table();
        let Some(values) = table.get_datums(context.transaction, id, ReadView::Latest)? else {
            return Ok(());
        };
        let row = borrowed(&values);
        let nulls = key.columns.iter().filter(|column| row[**column].is_null()).count();
        if nulls == key.columns.len() || (nulls > 0 && key.matching == ForeignKeyMatching::Simple) {
            return Ok(());
        }
        let child = &plan.tables[number].table;
        if nulls > 0 {
            return Err(message::mixed_key(child, key));
        }
        if self.has_parent(number, refers, &row, context)? {
            return Ok(());
        }
        let parent = &plan.tables[refers_to.parent].table;
        Err(message::absent_parent(child, parent, key, &row, &evaluation_of(context)))
    }

    /// Nobody refers to a key that is gone.
    fn check_parent(
        &self,
        number: usize,
        referred: usize,
        old: &[Datum],
        is_restrict: bool,
        context: &mut ExecutionContext<'_>,
    ) -> Result<()> {
        let plan = &self.plan;
        let by = &plan.tables[number].referred[referred];
        let key = plan.key_to(by);
        if !is_restrict {
            // Another row may have the key now.
            let ordered: Vec<DatumRef<'_>> = by.order.iter().map(|place| old[*place].as_ref()).collect();
            let parent = self.target(number, context)?.table();
            if lock_parent_now(parent, by.index, &ordered, context)? {
                return Ok(());
            }
        }
        let Some(values) = self.in_child_types(by, old) else { return Ok(()) };
        let values = borrowed(&values);
        let wanted = Wanted { columns: &key.columns, values: &values };
        let table = self.target(by.child, context)?.table();
        let mut found = Vec::new();
        let mut wanted_count = CHILDREN_AT_ONCE;
        loop {
            found.clear();
            table.find_now(context.transaction, wanted, OwnWrites::All, wanted_count, &mut found)?;
            let mut went_away = false;
            for row in &found {
                // Somebody may be removing it: then it is not in the way.
                let now = table.lock_now(context.transaction, *row, RowLockMode::KeyShare)?;
                went_away |= now.is_none();
                if now.is_some_and(|values| table.has_values(&values, wanted)) {
                    let (parent, child) = (&plan.tables[number].table, &plan.tables[by.child].table);
                    return Err(message::still_referenced(parent, child, key, old, &evaluation_of(context)));
                }
            }
            if went_away {
                // Perhaps to another id, under which it is found now.
                context.cancel.check()?;
            } else if found.len() < wanted_count {
                return Ok(());
            } else {
                wanted_count = wanted_count.saturating_mul(2);
            }
        }
    }

    /// Changes the children of some keys that are gone or became others: `events` are of one foreign key.
    pub(super) fn act(
        &self,
        number: usize,
        referred: usize,
        events: &[Event],
        context: &mut ExecutionContext<'_>,
    ) -> Result<()> {
        let by = &self.plan.tables[number].referred[referred];
        let key = self.plan.key_to(by);
        context.transaction.next_command();
        let mut rows = Vec::new();
        let mut memory = context.memory.reservation();
        for event in events {
            let (Event::Parent { old, new, .. }, Some(action)) = (event, event.action()) else { continue };
            let Some(values) = self.in_child_types(by, old) else { continue };
            let values = borrowed(&values);
            let wanted = Wanted { columns: &key.columns, values: &values };
            let child = self.target(by.child, context)?;
            child.escalate(context)?;
            let mut went_away = true;
            while went_away {
                went_away = false;
                rows.clear();
                let own = OwnWrites::OfEarlierCommands;
                child.table().find_now(context.transaction, wanted, own, usize::MAX, &mut rows)?;
                memory.resize(rows.capacity() * size_of::<RowId>())?;
                for (count, row) in rows.iter().enumerate() {
                    if count % 1024 == 1023 {
                        context.cancel.check()?;
                    }
                    // Perhaps to another id, under which it is found by another look.
                    went_away |= !self.act_on(by, action, *row, wanted, new.as_deref(), context)?;
                }
            }
        }
        self.target(by.child, context)?.settle(context)?;
        for event in events {
            if let (Event::Parent { old, .. }, Some(ReferentialAction::SetDefault(_))) =
                (event, event.action())
            {
                // A row whose default is the key that went was not changed, and refers to it still.
                context.transaction.next_command();
                self.check_parent(number, referred, old, false, context)?;
            }
        }
        Ok(())
    }

    /// False: the row went away while it was waited for.
    fn act_on(
        &self,
        by: &ReferredBy,
        action: &ReferentialAction,
        id: RowId,
        wanted: Wanted<'_>,
        new_key: Option<&[Datum]>,
        context: &mut ExecutionContext<'_>,
    ) -> Result<bool> {
        let key = self.plan.key_to(by);
        let child = self.target(by.child, context)?;
        let removes = matches!((action, new_key), (ReferentialAction::Cascade, None));
        let columns: &[usize] = match action {
            ReferentialAction::SetNull(columns) | ReferentialAction::SetDefault(columns)
                if !columns.is_empty() =>
            {
                columns
            }
            _ => &key.columns,
        };
        let mode = if removes || columns.iter().any(|column| child.is_key_column(*column)) {
            RowLockMode::Update
        } else {
            RowLockMode::NoKeyUpdate
        };
        let table = child.table();
        let Some(current) = table.lock_now(context.transaction, id, mode)? else {
            return table.is_written_by_command(context.transaction, id);
        };
        if !table.has_values(&current, wanted) {
            return Ok(true);
        }
        let old = borrowed(&current);
        let within = Some((self, by.child));
        if removes {
            return child.delete_within(within, id, &old, &ComputedRows::default(), context).map(|()| true);
        }
        let mut changed = current.clone();
        for column in columns {
            changed[*column] = match (action, new_key) {
                (ReferentialAction::Cascade, Some(new_key)) => {
                    let place = key.columns.iter().position(|known| known == column);
                    let value = place.map_or(&Datum::Null, |place| &new_key[place]);
                    let data_type = child.definition().columns[*column].sql_type.data_type;
                    converted(value.as_ref(), data_type).ok_or_else(|| {
                        Error::new(
                            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                            format!("{} out of range", data_type.name()),
                        )
                    })?
                }
                (ReferentialAction::SetDefault(_), _) => {
                    match by.defaults.iter().find(|(known, _)| known == column) {
                        Some((_, default)) => row::evaluate(default, &NoRow, &context.evaluation())?,
                        None => Datum::Null,
                    }
                }
                _ => Datum::Null,
            };
        }
        let new = borrowed(&changed);
        let checks = &self.plan.tables[by.child].checks;
        child.update_within(within, id, &old, &new, &ComputedRows::default(), checks, context)?;
        Ok(true)
    }
}

/// The evaluation context, free of the transaction's borrow.
fn evaluation_of<'a>(context: &ExecutionContext<'a>) -> EvaluationContext<'a> {
    EvaluationContext::new(context.parameters, context.environment)
}

/// Locks the row that has a key against going away, and reads it again. A transaction that keeps one snapshot refers only
/// to what that shows.
fn lock_parent(
    table: &Table,
    index: Option<usize>,
    key: &[DatumRef<'_>],
    context: &mut ExecutionContext<'_>,
) -> Result<bool> {
    if !context.transaction.isolation().keeps_snapshot() {
        return lock_parent_now(table, index, key, context);
    }
    let Some(row) = table.find_key(context.transaction, index, key, ReadView::Snapshot)? else {
        return Ok(false);
    };
    table.lock_key_share(context.transaction, row)?;
    if table.find_key(context.transaction, index, key, ReadView::Latest)? != Some(row) {
        return Err(concurrent_update());
    }
    Ok(true)
}

/// The same for the newest state.
fn lock_parent_now(
    table: &Table,
    index: Option<usize>,
    key: &[DatumRef<'_>],
    context: &mut ExecutionContext<'_>,
) -> Result<bool> {
    loop {
        let Some(row) = table.find_key(context.transaction, index, key, ReadView::Latest)? else {
            return Ok(false);
        };
        table.lock_key_share(context.transaction, row)?;
        if table.find_key(context.transaction, index, key, ReadView::Latest)? == Some(row) {
            return Ok(true);
        }
    }
}

/// The tables that events lead to, opened once for each change that they come from.
#[derive(Default)]
struct Opened(Vec<Reached>);

impl Opened {
    fn of(&mut self, plan: &Arc<References>) -> &Reached {
        let known = self.0.iter().position(|reached| Arc::ptr_eq(&reached.plan, plan));
        let place = known.unwrap_or_else(|| {
            self.0.push(Reached::new(plan));
            self.0.len() - 1
        });
        &self.0[place]
    }
}

/// At the end of a statement: unique keys that waited, then events, until nothing is left. `target`: what the statement
/// changed; `None` where that are several tables, whose keys do not wait any more.
pub(in crate::sql::executor) fn end_statement(
    target: Option<&Target>,
    context: &mut ExecutionContext<'_>,
) -> Result<()> {
    if context.pending.is_settled() {
        return context.pending.charge_all();
    }
    context.transaction.next_command();
    if let Some(target) = target {
        target.settle(context)?;
    }
    let mut opened = Opened::default();
    while !context.pending.events.is_empty() {
        let mut events: Vec<Event> = std::mem::take(&mut context.pending.events).into();
        let mut at = 0;
        while at < events.len() {
            let event = events[at].clone();
            at += 1;
            let reached = match &event {
                Event::Unique { .. } => None,
                Event::Child { plan, .. } | Event::Parent { plan, .. } => {
                    let own = target.and_then(Target::reached).filter(|own| Arc::ptr_eq(&own.plan, plan));
                    Some(own.unwrap_or_else(|| opened.of(plan)))
                }
            };
            match (&event, event.action(), reached) {
                (Event::Unique { .. }, ..) => check_unique(&event, context)?,
                (
                    Event::Parent { plan, table, referred, .. },
                    Some(
                        ReferentialAction::Cascade
                        | ReferentialAction::SetNull(_)
                        | ReferentialAction::SetDefault(_),
                    ),
                    Some(reached),
                ) => {
                    // With it all others of its foreign key.
                    let is_of_key = |other: &Event| {
                        matches!(other, Event::Parent { plan: other_plan, table: other_table, referred: other_referred, .. }
                            if Arc::ptr_eq(other_plan, plan) && other_table == table && other_referred == referred)
                            && !matches!(
                                other.action(),
                                Some(ReferentialAction::NoAction | ReferentialAction::Restrict)
                            )
                    };
                    let mut together = vec![event.clone()];
                    let rest = events.split_off(at);
                    for other in rest {
                        if is_of_key(&other) { together.push(other) } else { events.push(other) }
                    }
                    reached.act(*table, *referred, &together, context)?;
                }
                (_, _, Some(reached)) => reached.check(&event, context)?,
                (_, _, None) => return Err(Error::internal("an event without its tables")),
            }
            context.transaction.next_command();
        }
    }
    context.pending.charge_all()
}

/// Looks at deferred events: all of them at the end of the transaction, else those that are not put off any more.
/// # Errors
/// The constraint that is broken; `40P01`, `57014`.
pub fn check_deferred(at_end: bool, context: &mut ExecutionContext<'_>) -> Result<()> {
    let events = context.pending.take_deferred(at_end);
    let mut reached: Option<Reached> = None;
    for event in &events {
        context.cancel.check()?;
        match event {
            Event::Unique { .. } => check_unique(event, context)?,
            Event::Child { plan, .. } | Event::Parent { plan, .. } => {
                if reached.as_ref().is_none_or(|reached| !Arc::ptr_eq(&reached.plan, plan)) {
                    reached = Some(Reached::new(plan));
                }
                if let Some(reached) = &reached {
                    reached.check(event, context)?;
                }
            }
        }
    }
    Ok(())
}

/// Nobody else has the key of a row, if the row is still there.
fn check_unique(event: &Event, context: &mut ExecutionContext<'_>) -> Result<()> {
    let Event::Unique { table: definition, index, row } = event else { return Ok(()) };
    let table = Table::open(context.manager, context.transaction, &definition.layout)?;
    let Some(values) = table.get_datums(context.transaction, *row, ReadView::Latest)? else { return Ok(()) };
    let values = borrowed(&values);
    let Some(prefix) = table.shared_key(*index, &values) else { return Ok(()) };
    if table.is_key_shared(context.transaction, *index, &prefix, *row)? {
        return Err(duplicate_key(definition, Some(*index), &values, &evaluation_of(context)));
    }
    Ok(())
}
