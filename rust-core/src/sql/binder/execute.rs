//! PREPARE and EXECUTE: the types that were written, the arguments, and the statement that a name stands for.
//! Knows a name's statement only by its text; who has which names is the session's.

use crate::common::arena::Arena;
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::control::{Execute, Prepare};
use crate::sql::ast::define::TableSource;
use crate::sql::ast::{Statement, TypeName};
use crate::sql::binder::binder::Binder;
use crate::sql::binder::bound::{BindOptions, BoundStatement, ExecutedStatement, PrepareStatement};
use crate::sql::binder::scope::{Context, Place};
use crate::sql::binder::type_name;
use crate::sql::parser;
use crate::sql::plan::expression::Expression;
use crate::sql::types::cast::CastContext;
use crate::sql::types::data_type::{DataType, SqlType};

/// The EXECUTE in a statement.
pub fn execute_in<'a>(statement: &Statement<'a>) -> Option<&'a Execute<'a>> {
    match statement {
        Statement::Execute(execute) => Some(execute),
        Statement::Explain(explain) => execute_in(&explain.statement),
        Statement::CreateTableAs(create) => match create.source {
            TableSource::Execute(execute) => Some(execute),
            TableSource::Query(_) => None,
        },
        _ => None,
    }
}

pub(super) fn bind_prepare(prepare: &Prepare<'_>) -> Result<BoundStatement> {
    let types = prepare.types.iter().map(declared_type).collect::<Result<_>>()?;
    Ok(BoundStatement::Prepare(PrepareStatement { name: prepare.name.text.to_owned(), types }))
}

/// Modifiers of the type are of no account, as in PostgreSQL.
fn declared_type(written: &TypeName<'_>) -> Result<DataType> {
    if let [name] = written.name.parts
        && name.text == "unknown"
        && written.array_dimensions == 0
    {
        return Ok(DataType::Unknown);
    }
    type_name::resolve(written).map(|sql_type| sql_type.data_type)
}

impl Binder<'_> {
    pub(super) fn bind_execute(mut self, execute: &Execute<'_>) -> Result<BoundStatement> {
        self.bind_arguments(execute).map(BoundStatement::Execute)
    }

    fn executed(&self, execute: &Execute<'_>) -> Result<ExecutedStatement<'_>> {
        self.options.executed.ok_or_else(|| unknown_statement(execute.name.text))
    }

    /// The arguments as the statement's parameters take them.
    pub(super) fn bind_arguments(&mut self, execute: &Execute<'_>) -> Result<Vec<Expression>> {
        let wanted = self.executed(execute)?.parameters.to_vec();
        if execute.arguments.len() != wanted.len() {
            let message =
                format!("wrong number of parameters for prepared statement \"{}\"", execute.name.text);
            let detail = format!("Expected {} parameters but got {}.", wanted.len(), execute.arguments.len());
            return Err(Error::new(SqlState::SYNTAX_ERROR, message).detail(detail));
        }
        let mut arguments = Vec::with_capacity(wanted.len());
        for (index, (argument, wanted)) in execute.arguments.iter().zip(wanted).enumerate() {
            let bound = self.bind(argument, &mut Context::empty(Place::ExecuteArgument))?;
            let (from, position) = (bound.data_type(), bound.position);
            let Some(coerced) = self.coerce(bound, SqlType::plain(wanted), CastContext::Assignment)? else {
                let message = format!(
                    "parameter ${} of type {} cannot be coerced to the expected type {}",
                    index + 1,
                    from.name(),
                    wanted.name()
                );
                return Err(Error::new(SqlState::DATATYPE_MISMATCH, message)
                    .hint("You will need to rewrite or cast the expression.")
                    .at(position));
            };
            arguments.push(coerced.expression);
        }
        Ok(arguments)
    }

    /// Binds the statement that EXECUTE means, as if it stood there.
    pub(super) fn with_executed<R>(
        &self,
        execute: &Execute<'_>,
        bind: impl FnOnce(Binder<'_>, &Statement<'_>) -> Result<R>,
    ) -> Result<R> {
        let executed = self.executed(execute)?;
        let arena = Arena::new();
        let parsed = parser::parse_first(executed.text, &arena)?;
        let Some(Statement::Prepare(prepare)) = parsed.map(|(parsed, _)| parsed.statement) else {
            return Err(Error::internal("a prepared statement lost its text"));
        };
        let options = BindOptions {
            text: executed.text,
            parameter_types: executed.parameters,
            executed: None,
            ..self.options.clone()
        };
        // Its places are those of another text.
        bind(Binder::new(self.catalog, &options), &prepare.statement)
            .map_err(|error| error.at(execute.name.position()))
    }
}

/// # Errors
/// `26000`.
pub fn unknown_statement(name: &str) -> Error {
    Error::new(SqlState::INVALID_SQL_STATEMENT_NAME, format!("prepared statement \"{name}\" does not exist"))
}
