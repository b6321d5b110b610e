//! Functions in FROM.

use crate::error::{Error, Result, SqlState};
use crate::sql::ast::ObjectName;
use crate::sql::ast::expression::FunctionCall;
use crate::sql::ast::query::{TableFunction, TableFunctionCall};
use crate::sql::binder::binder::Binder;
use crate::sql::binder::call::{check_form, column_name, no_function};
use crate::sql::binder::coercion::Bound;
use crate::sql::binder::overload::{Choice, Signature, choose_function};
use crate::sql::binder::scope::{Context, Place, Scope, ScopeItem, ScopeRelation, column_expression};
use crate::sql::functions::registry::Registry;
use crate::sql::plan::expression::OutputColumn;
use crate::sql::plan::logical::LogicalPlan;
use crate::sql::types::data_type::{DataType, SqlType};

impl Binder<'_> {
    /// A function in FROM; it may always use what stands to the left of it.
    #[inline(never)]
    pub(super) fn bind_table_function(
        &mut self,
        item: &TableFunction<'_>,
        namespace: &[ScopeItem],
    ) -> Result<(Box<LogicalPlan>, ScopeRelation)> {
        let position = item.span.position();
        let [call] = item.calls else {
            return Err(Error::not_supported("ROWS FROM with several functions").at(position));
        };
        if let Some(column) = item.columns.first().or(call.columns.first()) {
            let message = "a column definition list is only allowed for functions returning \"record\"";
            return Err(Error::new(SqlState::SYNTAX_ERROR, message).at(column.name.position()));
        }
        let mut context = Context::new(&Scope::of_items(namespace.to_vec()), Place::FromFunction);
        context.lateral = true;
        let (plan, name) = match call.function {
            Some(function)
                if !Registry::get().table_functions_named(function.name.object().text).is_empty() =>
            {
                let plan = self.bind_rows(function, item, position, &mut context)?;
                (plan, function.name.object().text.to_owned())
            }
            _ => self.bind_one_row(call, item.ordinality, &mut context)?,
        };
        let mut columns = plan.output_columns();
        let alias = item.alias.as_ref();
        let relation_name = alias.map_or(&*name, |alias| alias.name.text);
        // The only column of a function goes by the name of the function's alias.
        let own_columns = columns.len() - usize::from(item.ordinality);
        if own_columns == 1 {
            columns[0].name = relation_name.to_owned();
        }
        if let Some(alias) = alias {
            if alias.columns.len() > columns.len() {
                let message = format!(
                    "table \"{}\" has {} columns available but {} columns specified",
                    alias.name.text,
                    columns.len(),
                    alias.columns.len()
                );
                return Err(Error::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(alias.name.position()));
            }
            for (column, name) in columns.iter_mut().zip(alias.columns) {
                column.name = name.text.to_owned();
            }
        }
        Ok((plan, ScopeRelation::new(relation_name, columns)))
    }

    /// A relation of the system, unless a table goes by the name.
    pub(super) fn bind_system_relation(
        &mut self,
        name: &ObjectName<'_>,
    ) -> Option<(Box<LogicalPlan>, ScopeRelation)> {
        let function = Registry::get().system_relation(name.object().text)?;
        let schema = name.schema().map(|schema| schema.text);
        let is_own = schema.is_none_or(|schema| schema == "pg_catalog") && name.parts.len() <= 2;
        if !is_own || self.catalog.relation(schema, function.name).is_some() {
            return None;
        }
        let columns: Vec<OutputColumn> = function
            .columns
            .iter()
            .map(|(name, data_type)| self.new_column(*name, *data_type, true))
            .collect();
        let plan = LogicalPlan::TableFunction {
            function,
            arguments: Vec::new(),
            columns: columns.clone(),
            ordinality: false,
            position: name.position(),
        };
        Some((Box::new(plan), ScopeRelation::new(function.name, columns)))
    }

    fn bind_rows(
        &mut self,
        call: &FunctionCall<'_>,
        item: &TableFunction<'_>,
        position: usize,
        context: &mut Context,
    ) -> Result<Box<LogicalPlan>> {
        check_form(call, position)?;
        let arguments = self.bind_all(call.arguments, context)?;
        let (function, arguments) = self.choose_table_function(call, arguments, position)?;
        let mut columns = Vec::with_capacity(function.columns.len() + 1);
        for (name, data_type) in function.columns {
            columns.push(self.new_column(*name, *data_type, true));
        }
        if item.ordinality {
            columns.push(self.new_column("ordinality", DataType::BigInt, false));
        }
        let ordinality = item.ordinality;
        let plan = LogicalPlan::TableFunction { function, arguments, columns, ordinality, position };
        Ok(Box::new(plan))
    }

    /// The overload for these arguments, and the arguments as it takes them.
    pub(super) fn choose_table_function(
        &mut self,
        call: &FunctionCall<'_>,
        arguments: Vec<Box<Bound>>,
        position: usize,
    ) -> Result<(
        &'static crate::sql::functions::registry::TableFunction,
        Vec<crate::sql::plan::expression::Expression>,
    )> {
        let name = call.name.object().text;
        let inputs: Vec<DataType> = arguments.iter().map(|argument| argument.data_type()).collect();
        let candidates: Vec<_> = Registry::get()
            .table_functions_named(name)
            .iter()
            .copied()
            .filter(|function| function.arguments.len() == inputs.len())
            .collect();
        let signatures: Vec<Signature> =
            candidates.iter().map(|function| Signature::from_slice(function.arguments)).collect();
        let function = match choose_function(&signatures, &inputs) {
            Choice::One(index) => candidates[index],
            choice => return Err(no_function(name, &inputs, choice).at(position)),
        };
        let mut converted = Vec::with_capacity(arguments.len());
        for (argument, wanted) in arguments.into_iter().zip(function.arguments) {
            converted.push(self.coerce_implicitly(argument, *wanted)?.expression);
        }
        Ok((function, converted))
    }

    /// A function with several rows in a select list: it is joined to the rows of the query.
    #[inline(never)]
    pub(super) fn bind_set_function(
        &mut self,
        call: &FunctionCall<'_>,
        position: usize,
        context: &mut Context,
    ) -> Result<Box<Bound>> {
        if context.place != Place::SelectList {
            let message = format!("set-returning functions are not allowed in {}", context.place.name());
            return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(position));
        }
        let arguments = self.bind_all(call.arguments, context)?;
        let (function, arguments) = self.choose_table_function(call, arguments, position)?;
        let [(name, data_type)] = function.columns else {
            return Err(Error::not_supported("a function of several columns as a value").at(position));
        };
        if context.set_function.is_some() {
            return Err(
                Error::not_supported("several set-returning functions in one select list").at(position)
            );
        }
        let column = self.new_column(*name, *data_type, true);
        let value = Bound::new(column_expression(&column), *data_type, true, position);
        let columns = vec![column];
        let plan = LogicalPlan::TableFunction { function, arguments, columns, ordinality: false, position };
        context.set_function = Some(Box::new(plan));
        Ok(value)
    }

    /// A scalar function in FROM: one row of one value.
    fn bind_one_row(
        &mut self,
        call: &TableFunctionCall<'_>,
        ordinality: bool,
        context: &mut Context,
    ) -> Result<(Box<LogicalPlan>, String)> {
        let value = self.bind(&call.call, context)?;
        let value = self.default_to_text(value)?;
        let name = column_name(&call.call).into_owned();
        let mut columns = vec![self.new_column(&*name, value.sql_type, value.nullable)];
        let mut expressions = vec![value.expression];
        if ordinality {
            columns.push(self.new_column("ordinality", SqlType::plain(DataType::BigInt), false));
            expressions.push(crate::sql::plan::expression::Expression::Constant {
                value: crate::sql::types::datum::Datum::BigInt(1),
                data_type: DataType::BigInt,
            });
        }
        let input = Box::new(LogicalPlan::Values { rows: vec![Vec::new()], columns: Vec::new() });
        Ok((Box::new(LogicalPlan::Project { input, expressions, columns }), name))
    }
}
