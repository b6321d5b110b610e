//! FROM: tables, views, queries and functions with their names, and joins of them.
//!
//! A namespace is what stands to the left of the element that is being bound, from the start of the FROM on:
//! LATERAL may use it.

use crate::catalog::table_definition::TableDefinition;
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::query::{
    Alias, DerivedTable, FromItem, JoinCondition, JoinKind as AstJoinKind, JoinSequence, JoinStep, QueryBody,
    TableReference,
};
use crate::sql::ast::{Name, ObjectName};
use crate::sql::binder::binder::Binder;
use crate::sql::binder::coercion::Bound;
use crate::sql::binder::common_table::RecursionPlace;
use crate::sql::binder::locking::RowLock;
use crate::sql::binder::query::Untyped;
use crate::sql::binder::scope::{
    Context, Place, Scope, ScopeColumn, ScopeItem, ScopeRelation, columns_of, primary_key,
};
use crate::sql::plan::expression::{Expression, OutputColumn};
use crate::sql::plan::logical::{JoinKind, LogicalPlan};
use std::sync::Arc;

/// An element of FROM, or several that are joined.
pub(super) struct FromPart {
    pub(super) plan: Box<LogicalPlan>,
    /// What names mean after it.
    pub(super) items: Vec<ScopeItem>,
}

impl FromPart {
    fn of(plan: Box<LogicalPlan>, relation: ScopeRelation) -> FromPart {
        FromPart { plan, items: vec![ScopeItem::new(relation)] }
    }
}

impl Binder<'_> {
    /// The cross join of all elements of FROM. `namespace` holds what is there already (the target of an UPDATE).
    /// `None` without elements.
    pub(super) fn bind_from(
        &mut self,
        from: &[FromItem<'_>],
        mut namespace: Vec<ScopeItem>,
    ) -> Result<(Option<Box<LogicalPlan>>, Vec<ScopeItem>)> {
        let known = namespace.len();
        let levels = from.len().saturating_sub(1);
        self.enter(levels, from.first().map_or(0, from_position))?;
        let mut plan: Option<Box<LogicalPlan>> = None;
        for element in from {
            let mut part = self.bind_from_item(element, &mut namespace)?;
            check_names(&namespace, &part.items, from_position(element))?;
            for item in &mut part.items {
                item.is_lateral = true;
                item.lateral_allowed = true;
            }
            namespace.append(&mut part.items);
            plan = Some(match plan {
                None => part.plan,
                Some(left) => Box::new(LogicalPlan::Join {
                    kind: JoinKind::Inner,
                    left,
                    right: part.plan,
                    condition: None,
                }),
            });
        }
        self.leave(levels);
        for item in &mut namespace[known..] {
            item.is_lateral = false;
        }
        Ok((plan, namespace))
    }

    fn bind_from_item(&mut self, item: &FromItem<'_>, namespace: &mut Vec<ScopeItem>) -> Result<FromPart> {
        let part = match item {
            FromItem::Table(reference) => self.bind_relation(reference)?,
            FromItem::Query(derived) => self.bind_derived(derived, namespace)?,
            FromItem::Function(function) => {
                if let Some(alias) = function.alias.as_ref().filter(|_| self.locks.is_some()) {
                    RowLock::refuse_if_named(self.lock_for(alias.name.text), "a function")?;
                }
                let (plan, relation) = self.bind_table_function(function, namespace)?;
                FromPart::of(plan, relation)
            }
            FromItem::Join(join) => return self.bind_joins(join, namespace),
        };
        if let Some(names) = self.range_names.last_mut() {
            names.extend(part.items.iter().map(|item| item.relation.name.clone()));
        }
        Ok(part)
    }

    /// A table, a view or a query of WITH.
    fn bind_relation(&mut self, reference: &TableReference<'_>) -> Result<FromPart> {
        if let Some(sample) = reference.sample {
            return Err(Error::not_supported("TABLESAMPLE").at(sample.span.position()));
        }
        let lock = match &self.locks {
            None => None,
            Some(_) => {
                let alias = reference.alias.as_ref().map(|alias| alias.name.text);
                self.lock_for(alias.unwrap_or_else(|| reference.name.object().text))
            }
        };
        let (plan, relation) = self.bind_named_relation(&reference.name, lock)?;
        Ok(FromPart::of(plan, alias_relation(relation, reference.alias.as_ref())?))
    }

    /// What a name in FROM stands for, with its own name; its rows are locked as `lock` says.
    pub(super) fn bind_named_relation(
        &mut self,
        name: &ObjectName<'_>,
        lock: Option<RowLock>,
    ) -> Result<(Box<LogicalPlan>, ScopeRelation)> {
        if name.parts.len() == 1
            && let Some(common) = self.bind_common_scan(name.object())?
        {
            RowLock::refuse_if_named(lock, "a WITH query")?;
            return Ok(common);
        }
        self.inherited_lock = lock;
        let view = self.bind_view(name)?;
        self.inherited_lock = None;
        if let Some(view) = view {
            return Ok(view);
        }
        if let Some(system) = self.bind_system_relation(name) {
            return Ok(system);
        }
        if let Some(sequence) = self.bind_sequence_scan(name) {
            return Ok(sequence);
        }
        let table = self.find_table(name)?.readable(self.options.snapshot);
        if !self.dependencies.contains(&table.id) {
            self.dependencies.push(table.id);
        }
        let mut columns = self.table_columns(&table);
        let relation = table_relation(&table, columns.clone());
        let computed = self.bind_computed(&table, name.position())?;
        let row_id = self.lock_scan(&table, &columns, lock);
        self.add_computed_columns(&table, &mut columns);
        Ok((Box::new(LogicalPlan::Scan { table, columns, computed, row_id }), relation))
    }

    /// The columns of a table, numbered for this use of it.
    pub(super) fn table_columns(&mut self, table: &TableDefinition) -> Vec<OutputColumn> {
        let mut columns = Vec::with_capacity(table.columns.len());
        for (index, column) in table.columns.iter().enumerate() {
            columns.push(OutputColumn {
                id: self.new_column_id(),
                name: column.name.clone(),
                sql_type: column.sql_type,
                nullable: !column.not_null,
                origin: Some((table.id.0, index as u32 + 1)),
            });
        }
        columns
    }

    /// The table that `name` means.
    pub(super) fn find_table(&self, name: &ObjectName<'_>) -> Result<Arc<TableDefinition>> {
        let position = name.position();
        if name.parts.len() > 2 {
            return Err(Error::not_supported("a reference to another database").at(position));
        }
        let schema = name.schema().map(|schema| schema.text);
        self.catalog.require_table(schema, name.object().text).map_err(|error| error.at(position))
    }

    #[inline(never)]
    fn bind_derived(&mut self, derived: &DerivedTable<'_>, namespace: &[ScopeItem]) -> Result<FromPart> {
        let mut context = Context::new(&Scope::of_items(namespace.to_vec()), Place::FromQuery);
        context.lateral = derived.lateral;
        // A query in FROM is no subquery to a recursive query.
        let recursion = self.recursion;
        self.outer.push(context);
        self.inherited_lock = self.lock_for(derived.alias.as_ref().map_or("", |alias| alias.name.text));
        let query = self.bind_query(derived.query, Untyped::BecomesText)?;
        self.outer.pop();
        self.recursion = recursion;
        let Some(alias) = &derived.alias else {
            let (what, example) = match derived.query.body {
                QueryBody::Values(_) => ("VALUES", "VALUES ..."),
                _ => ("subquery", "SELECT ..."),
            };
            return Err(Error::new(SqlState::SYNTAX_ERROR, format!("{what} in FROM must have an alias"))
                .hint(format!("For example, FROM ({example}) [AS] foo."))
                .at(derived.span.position()));
        };
        let relation = alias_relation(ScopeRelation::new("", query.columns), Some(alias))?;
        let mut relation = relation;
        relation.hidden_name = None;
        Ok(FromPart::of(query.plan, relation))
    }

    /// Joins from left to right.
    #[inline(never)]
    fn bind_joins(&mut self, join: &JoinSequence<'_>, namespace: &mut Vec<ScopeItem>) -> Result<FromPart> {
        let levels = join.rest.len();
        self.enter(levels, join.span.position())?;
        let recursion = self.recursion;
        if join.rest.iter().any(|step| matches!(step.kind, AstJoinKind::Right | AstJoinKind::Full)) {
            self.recursion = RecursionPlace::OuterJoin;
        }
        let mut part = self.bind_from_item(&join.first, namespace)?;
        for (index, step) in join.rest.iter().enumerate() {
            let nulled_later = join.rest[index + 1..]
                .iter()
                .any(|step| matches!(step.kind, AstJoinKind::Right | AstJoinKind::Full));
            let is_nulled = nulled_later || matches!(step.kind, AstJoinKind::Left | AstJoinKind::Full);
            self.recursion = if is_nulled { RecursionPlace::OuterJoin } else { recursion };
            part = self.bind_join_step(part, step, namespace)?;
        }
        self.recursion = recursion;
        self.leave(levels);
        if let Some(alias) = &join.alias {
            let columns = part.items.iter().filter(|item| item.has_columns).flat_map(columns_of);
            let relation = self.joined_relation("", columns.map(JoinedColumn::of).collect());
            let mut relation = alias_relation(relation, Some(alias))?;
            relation.hidden_name = None;
            RowLock::refuse_if_named(self.lock_for(&relation.name), "a join")?;
            if let Some(names) = self.range_names.last_mut() {
                names.push(relation.name.clone());
            }
            for item in &mut part.items {
                (item.is_named, item.has_columns) = (false, false);
            }
            part.items.push(ScopeItem::new(relation));
        }
        Ok(part)
    }

    #[inline(never)]
    fn bind_join_step(
        &mut self,
        left: FromPart,
        step: &JoinStep<'_>,
        namespace: &mut Vec<ScopeItem>,
    ) -> Result<FromPart> {
        let known = namespace.len();
        let lateral_allowed = !matches!(step.kind, AstJoinKind::Right | AstJoinKind::Full);
        namespace.extend(left.items.iter().map(|item| {
            let lateral_allowed = lateral_allowed && (!item.is_lateral || item.lateral_allowed);
            ScopeItem { is_lateral: true, lateral_allowed, ..item.clone() }
        }));
        let right = self.bind_from_item(&step.right, namespace)?;
        namespace.truncate(known);
        check_names(&left.items, &right.items, from_position(&step.right))?;
        self.join(left, right, step)
    }

    fn join(&mut self, left: FromPart, right: FromPart, step: &JoinStep<'_>) -> Result<FromPart> {
        let FromPart { plan: left, items: mut left_items } = left;
        let FromPart { plan: right, items: mut right_items } = right;
        let (kind, left_nullable, right_nullable) = match step.kind {
            AstJoinKind::Cross | AstJoinKind::Inner => (JoinKind::Inner, false, false),
            AstJoinKind::Left => (JoinKind::Left, false, true),
            AstJoinKind::Right => (JoinKind::Right, true, false),
            AstJoinKind::Full => (JoinKind::Full, true, true),
        };
        let using = match &step.condition {
            JoinCondition::None | JoinCondition::On(_) => None,
            JoinCondition::Using { columns, alias } => {
                let mut names = Vec::with_capacity(columns.len());
                for name in *columns {
                    if names.iter().any(|known: &Name<'_>| known.text == name.text) {
                        let message =
                            format!("column name \"{}\" appears more than once in USING clause", name.text);
                        return Err(Error::new(SqlState::DUPLICATE_COLUMN, message).at(name.position()));
                    }
                    names.push(*name);
                }
                Some(self.using_columns(&names, &left_items, &right_items, step, *alias)?)
            }
            JoinCondition::Natural => {
                let names = natural_names(&left_items, &right_items);
                let names: Vec<Name<'_>> =
                    names.iter().map(|name| Name { text: name, span: step.span }).collect();
                Some(self.using_columns(&names, &left_items, &right_items, step, None)?)
            }
        };
        for item in &mut left_items {
            item.nullable |= left_nullable;
        }
        for item in &mut right_items {
            item.nullable |= right_nullable;
        }
        left_items.append(&mut right_items);
        let mut items = left_items;
        let condition = match (&step.condition, using) {
            (JoinCondition::On(condition), _) => {
                let mut context = Context::new(&Scope::of_items(items.clone()), Place::JoinCondition);
                Some(self.bind_condition(condition, "JOIN/ON", &mut context)?.expression)
            }
            (_, Some(Using { condition, relation, alias })) => {
                // The columns of the join stand for those of both sides.
                for item in &mut items {
                    item.has_columns = false;
                }
                items.push(ScopeItem { is_named: false, ..ScopeItem::new(relation) });
                if let Some((alias, position)) = alias {
                    let alias = [ScopeItem { has_columns: false, ..ScopeItem::new(alias) }];
                    check_names(&items, &alias, position)?;
                    items.extend(alias);
                }
                condition
            }
            _ => None,
        };
        let plan = Box::new(LogicalPlan::Join { kind, left, right, condition });
        Ok(FromPart { plan, items })
    }

    /// The condition of USING and NATURAL, and the columns of the join: the merged ones, the left ones, the right
    /// ones.
    #[inline(never)]
    fn using_columns(
        &mut self,
        names: &[Name<'_>],
        left_items: &[ScopeItem],
        right_items: &[ScopeItem],
        step: &JoinStep<'_>,
        alias: Option<Name<'_>>,
    ) -> Result<Using> {
        let visible = |items| {
            let items: &[ScopeItem] = items;
            let columns: Vec<ScopeColumn<'_>> =
                items.iter().filter(|item| item.has_columns).flat_map(columns_of).collect();
            columns
        };
        let (left, right) = (visible(left_items), visible(right_items));
        let mut terms = Vec::with_capacity(names.len());
        let mut merged = Vec::with_capacity(names.len());
        let (mut left_merged, mut right_merged) = (Vec::new(), Vec::new());
        for name in names {
            let left_index = common_column(&left, *name, "left")?;
            let right_index = common_column(&right, *name, "right")?;
            left_merged.push(left_index);
            right_merged.push(right_index);
            let value = |column: ScopeColumn<'_>| {
                let expression = column.item.relation.value(column.column);
                Bound::new(expression, column.output().sql_type, column.nullable(), name.position())
            };
            let (left_column, right_column) = (left[left_index], right[right_index]);
            let equal =
                self.binary_operator("=", value(left_column), value(right_column), name.position())?;
            terms.push(equal.expression);
            let pair = vec![value(left_column), value(right_column)];
            let (pair, sql_type) = self.coerce_to_common_type(pair, "JOIN/USING")?;
            let nullable = match step.kind {
                AstJoinKind::Cross | AstJoinKind::Inner => false,
                AstJoinKind::Left => left_column.nullable(),
                AstJoinKind::Right => right_column.nullable(),
                AstJoinKind::Full => left_column.nullable() && right_column.nullable(),
            };
            let mut pair = pair.into_iter();
            let (one, other) = (pair.next().expect("left"), pair.next().expect("right"));
            let is_cast = |value: &Bound| !matches!(value.expression, Expression::Column { .. });
            let expression = match step.kind {
                AstJoinKind::Left => one.expression,
                AstJoinKind::Right => other.expression,
                AstJoinKind::Full => Expression::Coalesce {
                    arguments: vec![one.expression, other.expression],
                    data_type: sql_type.data_type,
                },
                AstJoinKind::Cross | AstJoinKind::Inner if is_cast(&one) && !is_cast(&other) => {
                    other.expression
                }
                AstJoinKind::Cross | AstJoinKind::Inner => one.expression,
            };
            let origin = match step.kind {
                AstJoinKind::Full => None,
                AstJoinKind::Right => right_column.output().origin,
                _ => left_column.output().origin,
            };
            let name = name.text.to_owned();
            merged.push(JoinedColumn { name, expression, sql_type, nullable, origin });
        }
        let alias = match alias {
            None => None,
            Some(alias) => {
                RowLock::refuse_if_named(self.lock_for(alias.text), "a join")?;
                if let Some(names) = self.range_names.last_mut() {
                    names.push(alias.text.to_owned());
                }
                Some((self.joined_relation(alias.text, merged.clone()), alias.position()))
            }
        };
        let rest = |columns: &[ScopeColumn<'_>], used: &[usize], nulled: bool| {
            let kept = columns.iter().enumerate().filter(|(index, _)| !used.contains(index));
            let joined = kept.map(|(_, column)| {
                let mut joined = JoinedColumn::of(*column);
                joined.nullable |= nulled;
                joined
            });
            joined.collect::<Vec<_>>()
        };
        let mut columns = merged;
        let is_full = step.kind == AstJoinKind::Full;
        columns.extend(rest(&left, &left_merged, is_full || step.kind == AstJoinKind::Right));
        columns.extend(rest(&right, &right_merged, is_full || step.kind == AstJoinKind::Left));
        let relation = self.joined_relation("", columns);
        let condition = match terms.len() {
            0 | 1 => terms.pop(),
            _ => Some(Expression::And(terms)),
        };
        Ok(Using { condition, relation, alias })
    }

    fn joined_relation(&mut self, name: &str, joined: Vec<JoinedColumn>) -> ScopeRelation {
        let mut relation = ScopeRelation::new(name, Vec::with_capacity(joined.len()));
        for (index, column) in joined.into_iter().enumerate() {
            let id = match &column.expression {
                Expression::Column { id, .. } => *id,
                _ => {
                    relation.merged.push((index, column.expression));
                    self.new_column_id()
                }
            };
            let JoinedColumn { name, sql_type, nullable, origin, .. } = column;
            relation.columns.push(OutputColumn { id, name, sql_type, nullable, origin });
        }
        relation
    }
}

/// What USING and NATURAL come to.
struct Using {
    condition: Option<Expression>,
    /// All columns of the join.
    relation: ScopeRelation,
    /// USING (…) AS name: the merged columns.
    /// The name of the merged columns, with its place.
    alias: Option<(ScopeRelation, usize)>,
}

/// A column of a join.
#[derive(Clone)]
struct JoinedColumn {
    name: String,
    expression: Expression,
    sql_type: crate::sql::types::data_type::SqlType,
    nullable: bool,
    origin: Option<(u32, u32)>,
}

impl JoinedColumn {
    fn of(column: ScopeColumn<'_>) -> JoinedColumn {
        let output = column.output();
        JoinedColumn {
            name: output.name.clone(),
            expression: column.item.relation.value(column.column),
            sql_type: output.sql_type,
            nullable: column.nullable(),
            origin: output.origin,
        }
    }
}

fn common_column(columns: &[ScopeColumn<'_>], name: Name<'_>, side: &str) -> Result<usize> {
    let mut matching = columns
        .iter()
        .enumerate()
        .filter(|(_, column)| column.output().name == name.text)
        .map(|(index, _)| index);
    match (matching.next(), matching.next()) {
        (Some(index), None) => Ok(index),
        (Some(_), Some(_)) => {
            let message =
                format!("common column name \"{}\" appears more than once in {side} table", name.text);
            Err(Error::new(SqlState::AMBIGUOUS_COLUMN, message).at(name.position()))
        }
        (None, _) => {
            let message =
                format!("column \"{}\" specified in USING clause does not exist in {side} table", name.text);
            let names = columns.iter().map(|column| &*column.output().name);
            Err(Error::new(SqlState::UNDEFINED_COLUMN, message)
                .hint_near_miss(name.text, names)
                .at(name.position()))
        }
    }
}

/// The names that columns of both sides have, in the order of the left side.
fn natural_names(left: &[ScopeItem], right: &[ScopeItem]) -> Vec<String> {
    let names = |items: &[ScopeItem]| {
        let columns = items.iter().filter(|item| item.has_columns).flat_map(columns_of);
        columns.map(|column| column.output().name.clone()).collect::<Vec<_>>()
    };
    let (left, right) = (names(left), names(right));
    let mut common: Vec<String> = Vec::new();
    for name in left {
        if right.contains(&name) && !common.contains(&name) {
            common.push(name);
        }
    }
    common
}

fn check_names(left: &[ScopeItem], right: &[ScopeItem], position: usize) -> Result<()> {
    let named = |items| {
        let items: &[ScopeItem] = items;
        items.iter().filter(|item| item.is_named && !item.relation.name.is_empty())
    };
    for item in named(right) {
        if named(left).any(|other| other.relation.name == item.relation.name) {
            let message = format!("table name \"{}\" specified more than once", item.relation.name);
            return Err(Error::new(SqlState::DUPLICATE_ALIAS, message).at(position));
        }
    }
    Ok(())
}

/// A table under its own name.
pub(super) fn table_relation(table: &TableDefinition, columns: Vec<OutputColumn>) -> ScopeRelation {
    let mut relation = ScopeRelation::new(&*table.name, columns);
    relation.schema = Some(table.schema.clone());
    relation.key = primary_key(table);
    relation
}

/// Gives a relation the names of an alias.
pub(super) fn alias_relation(
    mut relation: ScopeRelation,
    alias: Option<&Alias<'_>>,
) -> Result<ScopeRelation> {
    let Some(alias) = alias else { return Ok(relation) };
    let count = relation.columns.len();
    if alias.columns.len() > count {
        let message = format!(
            "table \"{}\" has {count} columns available but {} columns specified",
            alias.name.text,
            alias.columns.len()
        );
        return Err(Error::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(alias.name.position()));
    }
    for (column, name) in relation.columns.iter_mut().zip(alias.columns) {
        column.name = name.text.to_owned();
    }
    let own = std::mem::replace(&mut relation.name, alias.name.text.to_owned());
    relation.hidden_name = Some(own).filter(|name| name != alias.name.text && !name.is_empty());
    relation.schema = None;
    Ok(relation)
}

/// Where an element of FROM stands.
pub(super) fn from_position(item: &FromItem<'_>) -> usize {
    match item {
        FromItem::Table(table) => table.span.position(),
        FromItem::Query(query) => query.span.position(),
        FromItem::Function(function) => function.span.position(),
        FromItem::Join(join) => join.span.position(),
    }
}
