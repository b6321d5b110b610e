//! Sequences: CREATE and ALTER SEQUENCE, the sequences behind serial and identity columns, and their names in calls.

use crate::catalog::sequence_definition::SequenceOptions;
use crate::catalog::snapshot::{CatalogSnapshot, Relation};
use crate::catalog::table_definition::{IdentityDefinition, TableDefinition};
use crate::common::arena::Arena;
use crate::common::ids::ObjectId;
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::define::{
    self as ast, AlterActionKind, ObjectKind, Persistence, SequenceOption, SequenceOptionKind,
};
use crate::sql::ast::expression::{Expr, ExprKind, FunctionCall, Literal};
use crate::sql::ast::{ObjectName as AstName, Statement, TypeName};
use crate::sql::binder::binder::Binder;
use crate::sql::binder::bound::{
    AlterSequence, BindOptions, BoundStatement, ColumnSequence, CreateSequence, ObjectName, SequenceChange,
};
use crate::sql::binder::coercion::Bound;
use crate::sql::binder::control::unsupported_statement;
use crate::sql::binder::key_names::first_free;
use crate::sql::binder::scope::{Context, Place, ScopeRelation};
use crate::sql::binder::type_name;
use crate::sql::functions::quote_identifier;
use crate::sql::functions::registry::Registry;
use crate::sql::functions::sequences::{STATE_FUNCTION, parse_relation_name};
use crate::sql::parser::parse_expression;
use crate::sql::plan::expression::Expression;
use crate::sql::plan::logical::LogicalPlan;
use crate::sql::types::data_type::{DataType, SqlType};
use crate::sql::types::datum::Datum;

fn invalid(message: impl Into<String>) -> Error {
    Error::new(SqlState::INVALID_PARAMETER_VALUE, message.into())
}

impl SequenceChange {
    /// The options after the change; `None` before: the sequence is new.
    /// # Errors
    /// `22023` for what does not fit together.
    pub fn apply(&self, before: Option<&SequenceOptions>) -> Result<SequenceOptions> {
        let data_type = self.data_type.or(before.map(|old| old.data_type)).unwrap_or(DataType::BigInt);
        let (type_minimum, type_maximum) = SequenceOptions::range_of(data_type);
        // Limits that were those of the old type become those of the new one.
        let old_range = before
            .filter(|_| self.data_type.is_some())
            .map(|old| (old, SequenceOptions::range_of(old.data_type)));
        let was_type_maximum = old_range.is_some_and(|(old, range)| old.maximum == range.1);
        let was_type_minimum = old_range.is_some_and(|(old, range)| old.minimum == range.0);
        let increment = self.increment.or(before.map(|old| old.increment)).unwrap_or(1);
        if increment == 0 {
            return Err(invalid("INCREMENT must not be zero"));
        }
        let ascending = increment > 0;
        let default_maximum = if ascending || was_type_maximum { type_maximum } else { -1 };
        let default_minimum = if !ascending || was_type_minimum { type_minimum } else { 1 };
        let maximum = match (self.maximum, before) {
            (Some(Some(maximum)), _) => maximum,
            (None, Some(old)) if !was_type_maximum => old.maximum,
            _ => default_maximum,
        };
        let minimum = match (self.minimum, before) {
            (Some(Some(minimum)), _) => minimum,
            (None, Some(old)) if !was_type_minimum => old.minimum,
            _ => default_minimum,
        };
        for (what, limit) in [("MAXVALUE", maximum), ("MINVALUE", minimum)] {
            if limit < type_minimum || limit > type_maximum {
                let name = data_type.name();
                return Err(invalid(format!(
                    "{what} ({limit}) is out of range for sequence data type {name}"
                )));
            }
        }
        if minimum >= maximum {
            return Err(invalid(format!("MINVALUE ({minimum}) must be less than MAXVALUE ({maximum})")));
        }
        let default_start = if ascending { minimum } else { maximum };
        let start = self.start.or(before.map(|old| old.start)).unwrap_or(default_start);
        check_within("START", start, minimum, maximum)?;
        let cache = self.cache.or(before.map(|old| old.cache)).unwrap_or(1);
        if cache <= 0 {
            return Err(invalid(format!("CACHE ({cache}) must be greater than zero")));
        }
        let cycle = self.cycle.or(before.map(|old| old.cycle)).unwrap_or(false);
        Ok(SequenceOptions { data_type, start, increment, minimum, maximum, cache, cycle })
    }

    /// Where the sequence stands after the change: the last value, and whether it was drawn. `before` is where it
    /// stood; `None`: the sequence is new.
    /// # Errors
    /// `22023` where that is outside of the range that `options` have.
    pub fn position(&self, options: &SequenceOptions, before: Option<(i64, bool)>) -> Result<(i64, bool)> {
        let position = match (self.restart, before) {
            (Some(to), _) => (to.unwrap_or(options.start), false),
            (None, Some(before)) => before,
            (None, None) => (options.start, false),
        };
        check_within("RESTART", position.0, options.minimum, options.maximum)?;
        Ok(position)
    }
}

fn check_within(what: &str, value: i64, minimum: i64, maximum: i64) -> Result<()> {
    if value < minimum {
        return Err(invalid(format!("{what} value ({value}) cannot be less than MINVALUE ({minimum})")));
    }
    if value > maximum {
        return Err(invalid(format!("{what} value ({value}) cannot be greater than MAXVALUE ({maximum})")));
    }
    Ok(())
}

/// Whose options they are: what is refused differs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OptionsOf {
    Sequence,
    Identity,
}

impl Binder<'_> {
    pub(super) fn bind_create_sequence(
        &mut self,
        create: &ast::CreateSequence<'_>,
    ) -> Result<BoundStatement> {
        let position = create.name.position();
        match create.persistence {
            Persistence::Permanent => {}
            Persistence::Temporary => {
                return Err(Error::not_supported("a temporary sequence").at(create.span.position()));
            }
            Persistence::Unlogged => {
                return Err(Error::not_supported("an unlogged sequence").at(create.span.position()));
            }
        }
        let schema = self.creation_schema(&create.name)?;
        let change = self.sequence_change(create.options, OptionsOf::Sequence)?;
        let options = change.apply(None)?;
        change.position(&options, None)?;
        Ok(BoundStatement::CreateSequence(CreateSequence {
            schema,
            name: create.name.object().text.to_owned(),
            position,
            if_not_exists: create.if_not_exists,
            options,
            change,
        }))
    }

    pub(super) fn bind_alter_sequence(&mut self, alter: &ast::AlterSequence<'_>) -> Result<BoundStatement> {
        let change = self.sequence_change(alter.options, OptionsOf::Sequence)?;
        let (name, if_exists) = (object_name(&alter.name)?, alter.if_exists);
        Ok(BoundStatement::AlterSequence(AlterSequence { name, if_exists, change, rename: None }))
    }

    /// ALTER SEQUENCE … RENAME TO, ALTER TABLE.
    pub(super) fn bind_alter(
        &mut self,
        alter: &ast::AlterTable<'_>,
        statement: &Statement<'_>,
    ) -> Result<BoundStatement> {
        match (alter.kind, alter.actions) {
            (ObjectKind::Sequence, [ast::AlterAction { kind: AlterActionKind::Rename(to), .. }]) => {
                let rename = Some((to.text.to_owned(), to.position()));
                let (name, if_exists) = (object_name(&alter.name)?, alter.if_exists);
                let change = SequenceChange::default();
                Ok(BoundStatement::AlterSequence(AlterSequence { name, if_exists, change, rename }))
            }
            (ObjectKind::Sequence, _) => Err(unsupported_statement(statement)),
            _ => self.bind_alter_table(alter),
        }
    }

    fn sequence_change(&mut self, options: &[SequenceOption<'_>], of: OptionsOf) -> Result<SequenceChange> {
        let mut change = SequenceChange::default();
        for option in options {
            let position = option.span.position();
            let again = match &option.kind {
                SequenceOptionKind::Type(name) => {
                    change.data_type.replace(sequence_type(name, of)?).is_some() //
                }
                SequenceOptionKind::Increment(by) => change.increment.replace(*by).is_some(),
                SequenceOptionKind::MinValue(value) => change.minimum.replace(*value).is_some(),
                SequenceOptionKind::MaxValue(value) => change.maximum.replace(*value).is_some(),
                SequenceOptionKind::Start(value) => change.start.replace(*value).is_some(),
                SequenceOptionKind::Restart(value) => change.restart.replace(*value).is_some(),
                SequenceOptionKind::Cache(count) => change.cache.replace(*count).is_some(),
                SequenceOptionKind::Cycle(cycle) => change.cycle.replace(*cycle).is_some(),
                SequenceOptionKind::OwnedBy(_) if of == OptionsOf::Identity => {
                    return Err(Error::not_supported("OWNED BY of an identity column").at(position));
                }
                SequenceOptionKind::OwnedBy(owner) => {
                    let owner = owner.as_ref().map(|owner| self.sequence_owner(owner)).transpose()?;
                    change.owner.replace(owner).is_some()
                }
                SequenceOptionKind::SequenceName(_) if of == OptionsOf::Sequence => {
                    let message = "invalid sequence option SEQUENCE NAME";
                    return Err(Error::new(SqlState::SYNTAX_ERROR, message).at(position));
                }
                SequenceOptionKind::SequenceName(name) => {
                    change.name.replace(name.object().text.to_owned()).is_some()
                }
            };
            if again {
                let message = "conflicting or redundant options";
                return Err(Error::new(SqlState::SYNTAX_ERROR, message).at(position));
            }
        }
        Ok(change)
    }

    /// `table.column` of OWNED BY.
    fn sequence_owner(&self, name: &AstName<'_>) -> Result<(ObjectId, usize)> {
        let position = name.position();
        let (schema, table, column) = match name.parts {
            [table, column] => (None, table, column),
            [schema, table, column] => (Some(schema.text), table, column),
            [_] => {
                return Err(Error::new(SqlState::SYNTAX_ERROR, "invalid OWNED BY option")
                    .hint("Specify OWNED BY table.column or OWNED BY NONE.")
                    .at(position));
            }
            _ => return Err(Error::not_supported("a reference to another database").at(position)),
        };
        let relation = match self.catalog.relation(schema, table.text) {
            Some(Relation::Table(table)) => table,
            Some(other) => {
                let message = format!("sequence cannot be owned by relation \"{}\"", table.text);
                let kind = match other {
                    Relation::View(_) => {
                        let what = "OWNED BY a column of a view";
                        return Err(Error::not_supported(what).at(position));
                    }
                    Relation::Sequence(_) => "sequences",
                    _ => "indexes",
                };
                return Err(Error::new(SqlState::WRONG_OBJECT_TYPE, message)
                    .detail(format!("This operation is not supported for {kind}."))
                    .at(position));
            }
            None => {
                return self
                    .catalog
                    .require_table(schema, table.text)
                    .map(|_| (ObjectId(0), 0))
                    .map_err(|error| error.at(position));
            }
        };
        let Some(index) = relation.column_index(column.text) else {
            let message = format!("column \"{}\" of relation \"{}\" does not exist", column.text, table.text);
            return Err(Error::new(SqlState::UNDEFINED_COLUMN, message)
                .hint_near_miss(column.text, relation.columns.iter().map(|column| &*column.name))
                .at(position));
        };
        Ok((relation.id, index))
    }

    /// The sequence behind a serial or an identity column of a table to be made.
    pub(super) fn column_sequence(
        &mut self,
        table: &str,
        (column, name): (usize, &str),
        data_type: DataType,
        identity: Option<(bool, &[SequenceOption<'_>])>,
        taken: &[ColumnSequence],
    ) -> Result<ColumnSequence> {
        let mut change = match identity {
            Some((_, options)) => self.sequence_change(options, OptionsOf::Identity)?,
            None => SequenceChange::default(),
        };
        change.data_type = Some(data_type);
        let options = change.apply(None)?;
        let position = change.position(&options, None)?;
        let sequence = match change.name {
            Some(name) => name,
            None => first_free(table, Some(name), "seq", |name| {
                !self.catalog.is_name_taken(None, name) && taken.iter().all(|other| other.name != name)
            }),
        };
        Ok(ColumnSequence {
            column,
            name: sequence,
            options,
            first: position.0,
            always: identity.map(|(always, _)| always),
        })
    }

    /// The first argument of a function of sequences, where it is known which one it means.
    pub(super) fn bind_sequence_argument(
        &mut self,
        call: &FunctionCall<'_>,
        context: &mut Context,
    ) -> Result<Option<Box<Bound>>> {
        if !matches!(call.name.object().text, "nextval" | "currval" | "setval") {
            return Ok(None);
        }
        let Some(argument) = call.arguments.first() else { return Ok(None) };
        let argument = match argument.kind {
            ExprKind::Cast(cast) if is_relation_type(&cast.target) => &cast.input,
            ExprKind::Literal(_) => argument,
            _ => return Ok(None),
        };
        let position = argument.span.position();
        let ExprKind::Literal(Literal::String(text)) = argument.kind else {
            return self.bind(argument, context).map(Some);
        };
        let (schema, name) = parse_relation_name(text).map_err(|error| error.at(position))?;
        let id = find_sequence(self.catalog, schema.as_deref(), &name).map_err(|error| error.at(position))?;
        if !self.dependencies.contains(&id) {
            self.dependencies.push(id);
        }
        let number = Datum::BigInt(i64::from(id.0));
        Ok(Some(Bound::constant(number, DataType::BigInt, position)))
    }

    /// `SELECT … FROM sequence`: where it stands.
    pub(super) fn bind_sequence_scan(
        &mut self,
        name: &AstName<'_>,
    ) -> Option<(Box<LogicalPlan>, ScopeRelation)> {
        if name.parts.len() > 2 {
            return None;
        }
        let schema = name.schema().map(|schema| schema.text);
        let sequence = self.catalog.sequence(schema, name.object().text)?;
        let function = *Registry::get().table_functions_named(STATE_FUNCTION).first()?;
        if !self.dependencies.contains(&sequence.id) {
            self.dependencies.push(sequence.id);
        }
        let columns: Vec<_> = function
            .columns
            .iter()
            .map(|(name, data_type)| self.new_column(*name, *data_type, false))
            .collect();
        let number = Expression::Constant {
            value: Datum::BigInt(i64::from(sequence.id.0)),
            data_type: DataType::BigInt,
        };
        let plan = LogicalPlan::TableFunction {
            function,
            arguments: vec![number],
            columns: columns.clone(),
            ordinality: false,
            position: name.position(),
        };
        Some((Box::new(plan), ScopeRelation::new(&*sequence.name, columns)))
    }

    /// The next value of an identity column.
    pub(super) fn bind_identity(
        &mut self,
        table: &TableDefinition,
        column: usize,
        identity: &IdentityDefinition,
        position: usize,
    ) -> Result<Expression> {
        let number = Datum::BigInt(i64::from(identity.sequence.0));
        let argument = Bound::constant(number, DataType::BigInt, position);
        let value = self.call_named("nextval", vec![argument], position)?;
        self.assign(table, column, value)
    }
}

fn is_relation_type(name: &TypeName<'_>) -> bool {
    name.array_dimensions == 0
        && name.name.object().text == "regclass"
        && name.name.schema().is_none_or(|schema| schema.text == "pg_catalog")
}

fn sequence_type(name: &TypeName<'_>, of: OptionsOf) -> Result<DataType> {
    let SqlType { data_type, .. } = type_name::resolve(name)?;
    if matches!(data_type, DataType::SmallInt | DataType::Integer | DataType::BigInt) {
        return Ok(data_type);
    }
    let what = if of == OptionsOf::Identity { "identity column" } else { "sequence" };
    Err(invalid(format!("{what} type must be smallint, integer, or bigint")).at(name.span.position()))
}

fn object_name(name: &AstName<'_>) -> Result<ObjectName> {
    if name.parts.len() > 2 {
        return Err(Error::not_supported("a reference to another database").at(name.position()));
    }
    Ok(ObjectName {
        schema: name.schema().map(|schema| schema.text.to_owned()),
        name: name.object().text.to_owned(),
        position: name.position(),
    })
}

/// The number of the sequence of this name.
/// # Errors
/// `42P01`; `42809` for another kind of relation.
pub fn find_sequence(catalog: &CatalogSnapshot, schema: Option<&str>, name: &str) -> Result<ObjectId> {
    match catalog.relation(schema, name) {
        Some(Relation::Sequence(sequence)) => Ok(sequence.id),
        Some(_) => Err(Error::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{name}\" is not a sequence"))),
        None => {
            let shown = schema.map_or_else(|| name.to_owned(), |schema| format!("{schema}.{name}"));
            let names = catalog.sequences().map(|sequence| sequence.name.as_str());
            Err(Error::new(SqlState::UNDEFINED_TABLE, format!("relation \"{shown}\" does not exist"))
                .hint_near_miss(name, names))
        }
    }
}

/// The default of a serial column as text.
pub fn serial_default(sequence: &str) -> String {
    let mut name = String::new();
    quote_identifier(sequence, &mut name);
    format!("nextval('{}'::regclass)", name.replace('\'', "''"))
}

/// The sequences that a default draws from; none where its text cannot be read.
pub fn sequences_of_default(default: &str, catalog: &CatalogSnapshot) -> Vec<ObjectId> {
    let options = BindOptions::new(default);
    let mut binder = Binder::new(catalog, &options);
    let arena = Arena::new();
    let Ok(expr): Result<&Expr<'_>> = parse_expression(default, &arena) else { return Vec::new() };
    match binder.bind(expr, &mut Context::empty(Place::Default)) {
        Ok(_) => binder.dependencies,
        Err(_) => Vec::new(),
    }
}
