//! The state of binding one statement: column numbers, parameters, nesting, the size of what was duplicated.

use crate::catalog::snapshot::CatalogSnapshot;
use crate::common::limits::NESTING_DEPTH_MAX;
use crate::error::{Error, Result, SqlState};
use crate::sql::binder::bound::BindOptions;
use crate::sql::binder::parameters::Parameters;
use crate::sql::binder::walk;
use crate::sql::plan::expression::{ColumnId, Expression, OutputColumn};
use crate::sql::types::data_type::{DataType, SqlType};

/// Expression nodes that a statement may have copied (BETWEEN, IN and simple CASE use an operand several times), so
/// that nesting them does not grow a plan exponentially.
const DUPLICATED_NODES_MAX: usize = 1 << 20;

/// Binds one statement.
pub(super) struct Binder<'b> {
    pub(super) catalog: &'b CatalogSnapshot,
    pub(super) options: &'b BindOptions<'b>,
    pub(super) parameters: Parameters,
    next_column: u32,
    depth: usize,
    duplicated_nodes: usize,
}

impl<'b> Binder<'b> {
    pub(super) fn new(catalog: &'b CatalogSnapshot, options: &'b BindOptions<'b>) -> Binder<'b> {
        Binder {
            catalog,
            options,
            parameters: Parameters::new(options.parameter_types),
            next_column: 0,
            depth: 0,
            duplicated_nodes: 0,
        }
    }

    /// A column number that no other column of the statement has.
    pub(super) fn new_column_id(&mut self) -> ColumnId {
        let id = ColumnId(self.next_column);
        self.next_column += 1;
        id
    }

    /// A new column without an origin in a table.
    pub(super) fn new_column(
        &mut self,
        name: impl Into<String>,
        sql_type: impl Into<SqlType>,
        nullable: bool,
    ) -> OutputColumn {
        let id = self.new_column_id();
        OutputColumn { id, name: name.into(), sql_type: sql_type.into(), nullable, origin: None }
    }

    /// Goes `levels` deeper; undone by [`Binder::leave`].
    pub(super) fn enter(&mut self, levels: usize, position: usize) -> Result<()> {
        if self.depth + levels > NESTING_DEPTH_MAX {
            return Err(Error::new(SqlState::STATEMENT_TOO_COMPLEX, "the statement is nested too deeply")
                .hint(format!("Nest expressions at most {NESTING_DEPTH_MAX} levels deep."))
                .at(position));
        }
        self.depth += levels;
        Ok(())
    }

    /// Comes back from `levels`.
    pub(super) fn leave(&mut self, levels: usize) {
        self.depth -= levels;
    }

    /// A copy of an operand that a construct uses several times.
    pub(super) fn duplicate(&mut self, expression: &Expression, position: usize) -> Result<Expression> {
        self.duplicated_nodes += walk::count_nodes(expression);
        if self.duplicated_nodes > DUPLICATED_NODES_MAX {
            return Err(Error::new(
                SqlState::STATEMENT_TOO_COMPLEX,
                "the statement repeats its operands too often",
            )
            .hint("BETWEEN, IN and CASE copy their first operand; nest them less deeply.")
            .at(position));
        }
        Ok(expression.clone())
    }
}

/// NULL of a type.
pub(super) fn null_constant(data_type: DataType) -> Expression {
    Expression::Constant { value: crate::sql::types::datum::Datum::Null, data_type }
}
