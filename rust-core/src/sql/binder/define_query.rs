//! CREATE VIEW, CREATE TABLE AS, SELECT INTO: definitions that hold a query.

use crate::catalog::table_definition::ColumnDefinition;
use crate::common::limits::TABLE_COLUMNS_MAX;
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::control::Execute;
use crate::sql::ast::define::{self as ast, Persistence, StorageOption, TableSource};
use crate::sql::ast::query::{Into, Query, QueryBody};
use crate::sql::ast::{Name, ObjectName, Statement};
use crate::sql::binder::binder::Binder;
use crate::sql::binder::bound::{BoundStatement, CreateTable, CreateTableAs, CreateView, StorageParameters};
use crate::sql::binder::define::check_table_options;
use crate::sql::binder::query::{BoundQuery, Untyped};
use crate::sql::binder::storage_parameter::{StorageOf, bind_storage_parameters};
use crate::sql::plan::expression::{Expression, OutputColumn};

/// A table to be made of a query.
struct TableOfQuery<'a> {
    name: ObjectName<'a>,
    if_not_exists: bool,
    columns: &'a [Name<'a>],
    with_data: bool,
    storage: &'a [StorageOption<'a>],
}

impl Binder<'_> {
    pub(super) fn bind_create_view(mut self, create: &ast::CreateView<'_>) -> Result<BoundStatement> {
        let start = create.span.position();
        if create.persistence != Persistence::Permanent {
            return Err(Error::not_supported("a temporary view").at(start));
        }
        if create.recursive {
            return Err(Error::not_supported("a recursive view")
                .hint("Write WITH RECURSIVE inside of the view's query.")
                .at(start));
        }
        if let Some(option) = create.options.first() {
            return Err(Error::not_supported("an option of a view").at(option.name.position()));
        }
        if let Some(span) = create.check_option {
            return Err(Error::not_supported("WITH CHECK OPTION").at(span.position()));
        }
        let schema = self.creation_schema(&create.name)?;
        self.parameters_refused = true;
        let bound = self.bind_query(create.query, Untyped::BecomesText)?;
        if bound.plan.changes_rows() {
            let message = "views must not contain data-modifying statements in WITH";
            return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, message));
        }
        let names = column_names(
            &bound.columns,
            create.columns,
            "CREATE VIEW specifies more column names than columns",
            &bound.positions,
        )?;
        let types = bound.columns.iter().map(|column| column.sql_type);
        Ok(BoundStatement::CreateView(CreateView {
            schema,
            name: create.name.object().text.to_owned(),
            position: create.name.position(),
            or_replace: create.or_replace,
            columns: names.into_iter().zip(types).collect(),
            query: create.query.span.text(self.options.text).to_owned(),
            dependencies: self.dependencies,
        }))
    }

    pub(super) fn bind_create_table_as(self, create: &ast::CreateTableAs<'_>) -> Result<BoundStatement> {
        if create.materialized_view {
            return Err(Error::not_supported("CREATE MATERIALIZED VIEW").at(create.span.position()));
        }
        check_persistence(create.persistence, create.span.position())?;
        check_table_options(&create.options)?;
        let table = TableOfQuery {
            name: create.name,
            if_not_exists: create.if_not_exists,
            columns: create.columns,
            with_data: create.with_data,
            storage: create.options.storage,
        };
        match create.source {
            TableSource::Query(query) => self.bind_table_of_query(&table, query),
            TableSource::Execute(execute) => self.bind_table_of_execute(&table, execute),
        }
    }

    /// `SELECT … INTO name …`.
    pub(super) fn bind_select_into(mut self, into: &Into<'_>, query: &Query<'_>) -> Result<BoundStatement> {
        check_persistence(into.persistence, into.span.position())?;
        self.into_allowed = Some(into.span);
        let (name, columns, storage) = (into.name, &[][..], &[][..]);
        let table = TableOfQuery { name, if_not_exists: false, columns, with_data: true, storage };
        self.bind_table_of_query(&table, query)
    }

    fn bind_table_of_query(mut self, table: &TableOfQuery<'_>, query: &Query<'_>) -> Result<BoundStatement> {
        let schema = self.creation_schema(&table.name)?;
        let bound = self.bind_query(query, Untyped::BecomesText)?;
        self.table_of(schema, table, bound, None)
    }

    /// `CREATE TABLE … AS EXECUTE …`.
    fn bind_table_of_execute(
        mut self,
        table: &TableOfQuery<'_>,
        execute: &Execute<'_>,
    ) -> Result<BoundStatement> {
        let schema = self.creation_schema(&table.name)?;
        let arguments = self.bind_arguments(execute)?;
        self.with_executed(execute, |mut binder, statement| {
            let Statement::Query(query) = statement else {
                let message = "prepared statement is not a SELECT";
                return Err(Error::new(SqlState::WRONG_OBJECT_TYPE, message));
            };
            let bound = binder.bind_query(query, Untyped::BecomesText)?;
            binder.table_of(schema, table, bound, Some(arguments))
        })
    }

    fn table_of(
        self,
        schema: String,
        table: &TableOfQuery<'_>,
        bound: BoundQuery,
        arguments: Option<Vec<Expression>>,
    ) -> Result<BoundStatement> {
        let names = column_names(
            &bound.columns,
            table.columns,
            "too many column names were specified",
            &bound.positions,
        )?;
        if names.len() > TABLE_COLUMNS_MAX {
            let message = format!("tables can have at most {TABLE_COLUMNS_MAX} columns");
            return Err(Error::new(SqlState::TOO_MANY_COLUMNS, message).at(table.name.position()));
        }
        // Nothing is said of parameters of a table that is not made.
        let is_taken = self.catalog.relation(Some(&schema), table.name.object().text).is_some();
        let storage = if is_taken && table.if_not_exists { &[] } else { table.storage };
        let storage = bind_storage_parameters(storage, StorageOf::NewTable)?;
        let column = |(name, column): (String, &OutputColumn)| ColumnDefinition::new(name, column.sql_type);
        let columns = names.into_iter().zip(&bound.columns).map(column).collect();
        let mut plan = *bound.plan;
        let parameters = super::type_all_parameters(self.parameters, &mut plan)?;
        Ok(BoundStatement::CreateTableAs(Box::new(CreateTableAs {
            table: CreateTable {
                schema,
                name: table.name.object().text.to_owned(),
                position: table.name.position(),
                if_not_exists: table.if_not_exists,
                columns,
                checks: Vec::new(),
                row_id_column: None,
                row_id_constraint: None,
                foreign_keys: Vec::new(),
                indexes: Vec::new(),
                other_indexes: Vec::new(),
                sequences: Vec::new(),
                copied_tables: Vec::new(),
                storage,
                row_id_storage: StorageParameters::default(),
            },
            plan,
            parameters,
            arguments,
            with_data: table.with_data,
        })))
    }
}

/// The INTO of a statement that is a query.
pub(super) fn into_of<'a>(query: &Query<'a>) -> Option<&'a Into<'a>> {
    fn of_body<'a>(body: &QueryBody<'a>) -> Option<&'a Into<'a>> {
        match body {
            QueryBody::Select(select) => select.into,
            QueryBody::SetOperations(operations) => of_body(&operations.first),
            QueryBody::Values(_) | QueryBody::Table(_) | QueryBody::Query(_) => None,
        }
    }
    of_body(&query.body)
}

/// The query's names with the written ones in the place of the first.
fn column_names(
    columns: &[OutputColumn],
    written: &[Name<'_>],
    too_many: &str,
    positions: &[usize],
) -> Result<Vec<String>> {
    if written.len() > columns.len() {
        let position = written[columns.len()].position();
        return Err(Error::new(SqlState::SYNTAX_ERROR, too_many).at(position));
    }
    let mut names: Vec<String> = Vec::with_capacity(columns.len());
    for (index, column) in columns.iter().enumerate() {
        let (name, position) = match written.get(index) {
            Some(name) => (name.text, name.position()),
            None => (&*column.name, positions.get(index).copied().unwrap_or(0)),
        };
        if names.iter().any(|known| known == name) {
            let message = format!("column \"{name}\" specified more than once");
            return Err(Error::new(SqlState::DUPLICATE_COLUMN, message).at(position));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

fn check_persistence(persistence: Persistence, position: usize) -> Result<()> {
    match persistence {
        Persistence::Permanent => Ok(()),
        Persistence::Temporary => Err(Error::not_supported("a temporary table").at(position)),
        Persistence::Unlogged => Err(Error::not_supported("an unlogged table").at(position)),
    }
}
