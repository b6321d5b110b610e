//! CREATE INDEX, and what a table's indexes compute of each row: expressions and predicates, bound over its columns.

use crate::catalog::snapshot::CatalogSnapshot;
use crate::catalog::table_definition::{Deferral, TableDefinition};
use crate::common::arena::Arena;
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::define as ast;
use crate::sql::ast::expression::{Expr, ExprKind};
use crate::sql::binder::binder::Binder;
use crate::sql::binder::bound::{
    BindOptions, BoundStatement, CreateIndex, NewComputed, NewIndex, NewIndexColumn, NewIndexKey,
};
use crate::sql::binder::call::column_name;
use crate::sql::binder::define::{
    bind_index_options, check_index_columns, check_nulls_distinct, included_columns,
};
use crate::sql::binder::expression::check_collation;
use crate::sql::binder::from::table_relation;
use crate::sql::binder::key_names::{index_name, joined_columns};
use crate::sql::binder::scope::{Context, Place, Scope};
use crate::sql::binder::storage_parameter::StorageOf;
use crate::sql::binder::walk;
use crate::sql::functions::registry::Volatility;
use crate::sql::parser::parse_expression;
use crate::sql::plan::expression::{Expression, OutputColumn};
use crate::sql::types::cast::is_immutable_cast;
use crate::sql::types::data_type::{DataType, SqlType};
use crate::table::layout::IndexKey;
use std::rc::Rc;
use std::sync::Arc;

/// What a table's indexes compute, in the order of its `computed`: `Input { index }` is the table's column.
/// # Errors
/// `XX000` and others for stored text that no longer binds, which would be a mistake of ours.
pub fn computed_of(table: &TableDefinition) -> Result<Arc<[Expression]>> {
    let catalog = CatalogSnapshot::empty();
    let options = BindOptions::new("");
    Binder::new(&catalog, &options).bind_computed(table, 0)
}

impl Binder<'_> {
    pub(super) fn bind_create_index(&mut self, create: &ast::CreateIndex<'_>) -> Result<BoundStatement> {
        check_index_form(create)?;
        let table = self.find_table(&create.table)?;
        let is_hash = create.method.is_some_and(|method| method.text == "hash");
        let of = if is_hash { StorageOf::HashIndex } else { StorageOf::Index };
        let storage = bind_index_options(&create.options, of)?;
        check_index_columns(create.elements.len(), create.table.position())?;
        let columns = self.table_columns(&table);
        let scope = Scope::of(table_relation(&table, columns.clone()));
        // PostgreSQL looks at the predicate first.
        let predicate = match create.filter {
            Some(filter) => Some(self.bind_index_predicate(filter, &columns, &scope)?),
            None => None,
        };
        let mut parts: Vec<NewIndexColumn> = Vec::with_capacity(create.elements.len());
        let mut names: Vec<String> = Vec::with_capacity(create.elements.len());
        for element in create.elements {
            let (key, name) = self.bind_index_key(&table, element, &columns, &scope)?;
            names.push(free_part_name(name, &names));
            let (descending, nulls_first) = (element.descending, element.places_nulls_first());
            parts.push(NewIndexColumn { key, descending, nulls_first });
        }
        let told = |name: &str| format!("column \"{name}\" does not exist");
        let include = included_columns(&create.options, &table.columns, told)?;
        check_index_columns(parts.len() + include.len(), create.table.position())?;
        for column in include {
            names.push(free_part_name(table.columns[column].name.clone(), &names));
        }
        let (name, position) = match create.name {
            Some(name) => (name.text.to_owned(), name.position()),
            None => {
                let joined = joined_columns(names.iter().map(String::as_str));
                let name = index_name(self.catalog, &table.name, Some(&joined), "idx", &[]);
                (name, create.table.position())
            }
        };
        let unique = create.unique;
        Ok(BoundStatement::CreateIndex(CreateIndex {
            schema: table.schema.clone(),
            table: table.name.clone(),
            index: NewIndex {
                name,
                constraint: None,
                columns: parts,
                unique,
                predicate,
                deferral: Deferral::NotDeferrable,
                storage,
            },
            position,
            if_not_exists: create.if_not_exists,
            concurrently: create.concurrently.is_some(),
        }))
    }

    /// A part of the key, and what it is called in the index's name.
    fn bind_index_key(
        &mut self,
        table: &TableDefinition,
        element: &ast::IndexElement<'_>,
        columns: &[OutputColumn],
        scope: &Rc<Scope>,
    ) -> Result<(NewIndexKey, String)> {
        let position = element.value.span.position();
        if let Some(collation) = &element.collation {
            check_collation(collation)?;
        }
        if let Some(class) = element.operator_class {
            return Err(Error::not_supported("an operator class").at(class.position()));
        }
        if let ExprKind::Column(name) = &element.value.kind
            && name.parts.len() == 1
        {
            let name = name.object();
            let column = table.column_index(name.text).ok_or_else(|| {
                let message = format!("column \"{}\" does not exist", name.text);
                Error::new(SqlState::UNDEFINED_COLUMN, message)
                    .hint_near_miss(name.text, table.columns.iter().map(|column| &*column.name))
                    .at(position)
            })?;
            return Ok((NewIndexKey::Column(column), name.text.to_owned()));
        }
        let mut context = Context::new(scope, Place::IndexExpression);
        let bound = self.bind(&element.value, &mut context)?;
        let bound = self.default_to_text(bound)?;
        let name = match column_name(&element.value) {
            name if name == "?column?" => String::from("expr"),
            name => name.into_owned(),
        };
        if let Expression::Column { id, .. } = &bound.expression
            && let Some(column) = columns.iter().position(|column| column.id == *id)
        {
            return Ok((NewIndexKey::Column(column), name));
        }
        let computed =
            self.stored_computed(&element.value, bound.expression, bound.sql_type, columns, "expression")?;
        Ok((NewIndexKey::Expression(computed), name))
    }

    fn bind_index_predicate(
        &mut self,
        filter: &Expr<'_>,
        columns: &[OutputColumn],
        scope: &Rc<Scope>,
    ) -> Result<NewComputed> {
        let mut context = Context::new(scope, Place::IndexPredicate);
        let bound = self.bind_condition(filter, "WHERE", &mut context)?;
        let sql_type = SqlType::plain(DataType::Boolean);
        self.stored_computed(filter, bound.expression, sql_type, columns, "predicate")
    }

    /// An expression as an index keeps it. It must give the same for the same row for ever.
    fn stored_computed(
        &self,
        written: &Expr<'_>,
        mut expression: Expression,
        sql_type: SqlType,
        columns: &[OutputColumn],
        what: &str,
    ) -> Result<NewComputed> {
        if !is_immutable(&expression) {
            let message = format!("functions in index {what} must be marked IMMUTABLE");
            return Err(Error::new(SqlState::INVALID_OBJECT_DEFINITION, message)
                .hint("What depends on settings or the clock cannot be indexed: it may change while the index does not.")
                .at(written.span.position()));
        }
        to_table_columns(&mut expression, columns)?;
        let text = written.span.text(self.options.text).to_owned();
        Ok(NewComputed { expression, sql_type, text })
    }

    /// What the indexes of `table` compute; `position` stands in for the places in their text.
    pub(super) fn bind_computed(
        &mut self,
        table: &TableDefinition,
        position: usize,
    ) -> Result<Arc<[Expression]>> {
        if table.computed.is_empty() {
            return Ok(Arc::default());
        }
        let columns = self.table_columns(table);
        let scope = Scope::of(table_relation(table, columns.clone()));
        let mut bound = Vec::with_capacity(table.computed.len());
        for (value, definition) in table.computed.iter().enumerate() {
            let arena = Arena::new();
            let is_predicate = table.layout.indexes.iter().any(|index| index.predicate == Some(value));
            let place = if is_predicate { Place::IndexPredicate } else { Place::IndexExpression };
            let mut context = Context::new(&scope, place);
            let mut bind = || {
                let expr = parse_expression(&definition.text, &arena)?;
                let value = self.bind(expr, &mut context)?;
                if is_predicate {
                    self.coerce_to_boolean(value, "WHERE")
                } else {
                    self.default_to_text(value)
                }
            };
            let mut expression = bind().map_err(|error: Error| error.at(position))?.expression;
            to_table_columns(&mut expression, &columns)?;
            walk::move_to(&mut expression, position)?;
            bound.push(expression);
        }
        Ok(bound.into())
    }

    /// Adds a column for each computed value to those of a scan.
    pub(super) fn add_computed_columns(&mut self, table: &TableDefinition, columns: &mut Vec<OutputColumn>) {
        for (definition, sql_type) in table.computed.iter().zip(&table.layout.computed) {
            columns.push(self.new_column(&*definition.shown, *sql_type, true));
        }
    }
}

/// The name of a part of the key, with a number where another part has it.
pub(super) fn free_part_name(name: String, taken: &[String]) -> String {
    if !taken.contains(&name) {
        return name;
    }
    let mut number = 1;
    while taken.contains(&format!("{name}{number}")) {
        number += 1;
    }
    format!("{name}{number}")
}

/// Puts positions in the table in the place of its columns.
pub(super) fn to_table_columns(expression: &mut Expression, columns: &[OutputColumn]) -> Result<()> {
    if let Expression::Column { id, data_type } = expression {
        let index = columns.iter().position(|column| column.id == *id);
        let index = index.ok_or_else(|| Error::internal("an index is over a column of another table"))?;
        *expression = Expression::Input { index, data_type: *data_type };
        return Ok(());
    }
    expression.each_operand_mut(&mut |operand| to_table_columns(operand, columns))
}

/// Whether an expression gives the same for the same row in every session and at every time.
fn is_immutable(expression: &Expression) -> bool {
    let mut immutable = match expression {
        Expression::Call { function, .. } => function.volatility == Volatility::Immutable,
        Expression::Cast { input, target, .. } => is_immutable_cast(input.data_type(), target.data_type),
        Expression::Subquery(_) | Expression::Parameter { .. } => false,
        _ => true,
    };
    expression.each_operand(&mut |operand| immutable = immutable && is_immutable(operand));
    immutable
}

fn check_index_form(create: &ast::CreateIndex<'_>) -> Result<()> {
    match create.method {
        Some(method) if method.text == "hash" => check_hash_index(create)?,
        Some(method) if method.text != "btree" => {
            return Err(Error::not_supported(format!("index method {}", method.text)).at(method.position()));
        }
        _ => {}
    }
    check_nulls_distinct(create.nulls_not_distinct, create.span.position())
}

/// USING hash: an index that finds equal values, which every index does. What PostgreSQL's cannot do is refused here too.
fn check_hash_index(create: &ast::CreateIndex<'_>) -> Result<()> {
    let refuse = |what: &str, position: usize| {
        let message = format!("access method \"hash\" does not support {what}");
        Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(position))
    };
    let position = create.span.position();
    if create.unique {
        return refuse("unique indexes", position);
    }
    if !create.options.include.is_empty() {
        return refuse("included columns", position);
    }
    if create.elements.len() > 1 {
        return refuse("multicolumn indexes", position);
    }
    match create.elements.iter().find(|element| element.descending || element.nulls_first.is_some()) {
        Some(element) if element.descending => refuse("ASC/DESC options", element.value.span.position()),
        Some(element) => refuse("NULLS FIRST/LAST options", element.value.span.position()),
        None => Ok(()),
    }
}

/// The columns of an index whose parts are all columns.
pub(super) fn plain_columns(columns: &[crate::table::layout::IndexColumn]) -> Option<Vec<usize>> {
    let column = |part: &crate::table::layout::IndexColumn| match part.key {
        IndexKey::Column(column) => Some(column),
        IndexKey::Computed(_) => None,
    };
    columns.iter().map(column).collect()
}
