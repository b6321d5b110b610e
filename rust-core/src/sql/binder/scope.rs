//! The names that expressions may use at one place of a statement, and what binding them found out.

use crate::catalog::table_definition::TableDefinition;
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::Name;
use crate::sql::binder::index::plain_columns;
use crate::sql::plan::expression::{AggregateCall, ColumnId, Expression, OutputColumn, SortKey};
use crate::sql::plan::logical::LogicalPlan;
use std::rc::Rc;

/// Where an expression stands: decides what it may contain, and names itself in messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    SelectList,
    Where,
    GroupBy,
    Having,
    OrderBy,
    Limit,
    Offset,
    Values,
    Returning,
    UpdateSource,
    Filter,
    AggregateArgument,
    Default,
    Check,
    /// The condition of a join.
    JoinCondition,
    /// A query in FROM.
    FromQuery,
    /// An argument of a function in FROM.
    FromFunction,
    /// WHERE of COPY FROM.
    CopyFilter,
    /// An argument of EXECUTE.
    ExecuteArgument,
    /// What CREATE INDEX indexes.
    IndexExpression,
    /// WHERE of CREATE INDEX.
    IndexPredicate,
}

impl Place {
    /// The place as messages call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Place::SelectList => "SELECT",
            Place::Where => "WHERE",
            Place::GroupBy => "GROUP BY",
            Place::Having => "HAVING",
            Place::OrderBy => "ORDER BY",
            Place::Limit => "LIMIT",
            Place::Offset => "OFFSET",
            Place::Values => "VALUES",
            Place::Returning => "RETURNING",
            Place::UpdateSource => "UPDATE",
            Place::Filter => "FILTER",
            Place::AggregateArgument => "aggregate arguments",
            Place::Default => "DEFAULT expressions",
            Place::Check => "check constraints",
            Place::JoinCondition => "JOIN conditions",
            Place::FromQuery => "FROM clause of their own query level",
            Place::FromFunction => "functions in FROM",
            Place::CopyFilter => "COPY FROM WHERE conditions",
            Place::ExecuteArgument => "EXECUTE parameters",
            Place::IndexExpression => "index expressions",
            Place::IndexPredicate => "index predicates",
        }
    }

    /// Whether what stands here is kept as text and evaluated by itself, row by row.
    pub(super) fn is_stored(self) -> bool {
        matches!(self, Place::Default | Place::Check | Place::IndexExpression | Place::IndexPredicate)
    }

    /// Whether aggregates may stand here.
    pub(super) fn allows_aggregates(self) -> bool {
        matches!(self, Place::SelectList | Place::Having | Place::OrderBy)
    }
}

/// Something in FROM, or the target of a data change.
#[derive(Clone, Debug)]
pub(super) struct ScopeRelation {
    /// The name it goes by: its alias, else its own; empty for a join without an alias.
    pub(super) name: String,
    /// The schema, where it goes by its own name.
    pub(super) schema: Option<String>,
    /// The name that an alias hides.
    pub(super) hidden_name: Option<String>,
    /// Its columns, named as they can be used.
    pub(super) columns: Vec<OutputColumn>,
    /// Columns by position that are no column of the plan but an expression: those that USING merged.
    pub(super) merged: Vec<(usize, Expression)>,
    /// Columns of its primary key, by position, when it is a table that has one: the others depend on them.
    pub(super) key: Option<Vec<usize>>,
}

impl ScopeRelation {
    /// A relation without a schema and without a key.
    pub(super) fn new(name: impl Into<String>, columns: Vec<OutputColumn>) -> ScopeRelation {
        ScopeRelation {
            name: name.into(),
            schema: None,
            hidden_name: None,
            columns,
            merged: Vec::new(),
            key: None,
        }
    }

    /// The value of a column by position.
    pub(super) fn value(&self, column: usize) -> Expression {
        match self.merged.iter().find(|(position, _)| *position == column) {
            Some((_, expression)) => expression.clone(),
            None => column_expression(&self.columns[column]),
        }
    }

    /// Whether names with `schema` and `name` mean this relation.
    fn is_named(&self, schema: Option<&str>, name: &str) -> bool {
        self.name == name && schema.is_none_or(|schema| self.schema.as_deref() == Some(schema))
    }
}

/// A relation at one place of a query, with what may be used of it there.
#[derive(Clone, Debug)]
pub(super) struct ScopeItem {
    pub(super) relation: Rc<ScopeRelation>,
    /// Its name may qualify columns.
    pub(super) is_named: bool,
    /// Its columns may be used without a qualifier, and `*` means them.
    pub(super) has_columns: bool,
    /// It stands to the left in FROM: only LATERAL may use it.
    pub(super) is_lateral: bool,
    /// Whether LATERAL may: not from the right side of RIGHT and FULL JOIN.
    pub(super) lateral_allowed: bool,
    /// An outer join may have put NULLs in the place of its rows.
    pub(super) nullable: bool,
}

impl ScopeItem {
    /// A relation of which everything may be used.
    pub(super) fn new(relation: ScopeRelation) -> ScopeItem {
        ScopeItem {
            relation: Rc::new(relation),
            is_named: true,
            has_columns: true,
            is_lateral: false,
            lateral_allowed: true,
            nullable: false,
        }
    }
}

/// The names of one query level that are in force at one place.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    /// What is in FROM, in order; also what joins hide, because keys and messages are about that too.
    pub(super) items: Vec<ScopeItem>,
}

/// A column of a scope.
#[derive(Clone, Copy)]
pub(super) struct ScopeColumn<'s> {
    pub(super) item: &'s ScopeItem,
    /// Position in the relation.
    pub(super) column: usize,
}

impl<'s> ScopeColumn<'s> {
    /// What is known of it.
    pub(super) fn output(self) -> &'s OutputColumn {
        &self.item.relation.columns[self.column]
    }

    /// Whether it can be NULL.
    pub(super) fn nullable(self) -> bool {
        self.item.nullable || self.output().nullable
    }
}

impl Scope {
    /// A scope of one relation.
    pub(super) fn of(relation: ScopeRelation) -> Rc<Scope> {
        Rc::new(Scope { items: vec![ScopeItem::new(relation)] })
    }

    /// A scope of these items.
    pub(super) fn of_items(items: Vec<ScopeItem>) -> Rc<Scope> {
        Rc::new(Scope { items })
    }

    /// Every relation, also hidden ones.
    pub(super) fn relations(&self) -> impl Iterator<Item = &ScopeRelation> {
        self.items.iter().map(|item| &*item.relation)
    }

    /// The columns that may be used without a qualifier, in the order of `*`.
    pub(super) fn visible_columns(&self) -> impl Iterator<Item = ScopeColumn<'_>> {
        self.items.iter().filter(|item| item.has_columns).flat_map(columns_of)
    }

    /// The column that a name without a qualifier means at this level; `lateral`: LATERAL may look to the left.
    /// # Errors
    /// `42702` where it means several; `42P10` where a join forbids the reference.
    pub(super) fn column(&self, name: Name<'_>, lateral: bool) -> Result<Option<ScopeColumn<'_>>> {
        let mut found: Option<ScopeColumn<'_>> = None;
        for item in self.items.iter().filter(|item| item.has_columns && (lateral || !item.is_lateral)) {
            for column in columns_of(item).filter(|column| column.output().name == name.text) {
                if found.is_some() {
                    let message = format!("column reference \"{}\" is ambiguous", name.text);
                    return Err(Error::new(SqlState::AMBIGUOUS_COLUMN, message)
                        .hint("Qualify it with the name of its table.")
                        .at(name.position()));
                }
                check_lateral(item, name.position())?;
                found = Some(column);
            }
        }
        Ok(found)
    }

    /// The relation of this name at this level.
    /// # Errors
    /// `42P09` where it means several; `42P10` where a join forbids the reference.
    pub(super) fn relation(
        &self,
        schema: Option<&str>,
        name: &str,
        lateral: bool,
        position: usize,
    ) -> Result<Option<&ScopeItem>> {
        let mut found: Option<&ScopeItem> = None;
        for item in self.items.iter().filter(|item| item.is_named && (lateral || !item.is_lateral)) {
            if item.relation.is_named(schema, name) {
                if found.is_some() {
                    let message = format!("table reference \"{name}\" is ambiguous");
                    return Err(Error::new(SqlState::AMBIGUOUS_ALIAS, message).at(position));
                }
                check_lateral(item, position)?;
                found = Some(item);
            }
        }
        Ok(found)
    }

    /// Whether a column of the plan is one of this level's.
    pub(super) fn has_column_id(&self, id: ColumnId) -> bool {
        self.relations().any(|relation| relation.columns.iter().any(|column| column.id == id))
    }
}

/// The columns of an item.
pub(super) fn columns_of(item: &ScopeItem) -> impl Iterator<Item = ScopeColumn<'_>> {
    (0..item.relation.columns.len()).map(move |column| ScopeColumn { item, column })
}

fn check_lateral(item: &ScopeItem, position: usize) -> Result<()> {
    if !item.is_lateral || item.lateral_allowed {
        return Ok(());
    }
    let message = format!("invalid reference to FROM-clause entry for table \"{}\"", item.relation.name);
    Err(Error::new(SqlState::INVALID_COLUMN_REFERENCE, message)
        .detail("The combining JOIN type must be INNER or LEFT for a LATERAL reference.")
        .at(position))
}

/// A column as an expression.
pub(super) fn column_expression(column: &OutputColumn) -> Expression {
    Expression::Column { id: column.id, data_type: column.sql_type.data_type }
}

/// What expressions of one place are bound against, and what they turned out to use. While a query inside an
/// expression is bound, the context of the expression waits in [`super::binder::Binder::outer`].
#[derive(Debug)]
pub(super) struct Context {
    /// The names.
    pub(super) scope: Rc<Scope>,
    /// Where the expression stands now.
    pub(super) place: Place,
    /// Whether what stands to the left in FROM may be used.
    pub(super) lateral: bool,
    /// The aggregates met so far; equal ones once.
    pub(super) aggregates: Vec<AggregateCall>,
    /// Where the first of them stands.
    pub(super) aggregate_position: Option<usize>,
    /// The order that aggregates want their rows in; all the same.
    pub(super) aggregate_order: Vec<SortKey>,
    /// A function of several rows in the select list.
    pub(super) set_function: Option<Box<LogicalPlan>>,
    /// Columns used outside aggregates, with their places; also those that subqueries use.
    pub(super) references: Vec<(ColumnId, usize)>,
}

impl Context {
    pub(super) fn new(scope: &Rc<Scope>, place: Place) -> Context {
        Context {
            scope: Rc::clone(scope),
            place,
            lateral: false,
            aggregates: Vec::new(),
            aggregate_position: None,
            aggregate_order: Vec::new(),
            set_function: None,
            references: Vec::new(),
        }
    }

    /// A context without names.
    pub(super) fn empty(place: Place) -> Context {
        Context::new(&Rc::default(), place)
    }
}

/// The primary key of a table as column positions.
pub(super) fn primary_key(table: &TableDefinition) -> Option<Vec<usize>> {
    use crate::catalog::table_definition::ConstraintKind;
    if let Some(column) = table.row_id_column() {
        return Some(vec![column]);
    }
    let index =
        table.indexes.iter().position(|index| index.constraint == Some(ConstraintKind::PrimaryKey))?;
    let layout = table.layout.indexes.get(index)?;
    plain_columns(&layout.columns)
}
