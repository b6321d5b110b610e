//! The state of binding one statement: column numbers, parameters, nesting, the size of what was duplicated.

use crate::catalog::snapshot::CatalogSnapshot;
use crate::common::ids::ObjectId;
use crate::common::limits::NESTING_DEPTH_MAX;
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::Span;
use crate::sql::ast::query::Query;
use crate::sql::binder::bound::BindOptions;
use crate::sql::binder::common_table::{CommonEntry, RecursionPlace};
use crate::sql::binder::locking::{QueryLocks, RowLock};
use crate::sql::binder::parameters::Parameters;
use crate::sql::binder::query::{BoundQuery, Untyped};
use crate::sql::binder::scope::Context;
use crate::sql::binder::walk;
use crate::sql::plan::expression::{ColumnId, Expression, OutputColumn};
use crate::sql::plan::logical::CommonTableId;
use crate::sql::types::data_type::{DataType, SqlType};

/// Expression nodes that a statement may have copied (BETWEEN, IN and simple CASE use an operand several times), so
/// that nesting them does not grow a plan exponentially.
const DUPLICATED_NODES_MAX: usize = 1 << 20;

/// An aggregate whose arguments are being bound: they decide which query level it belongs to.
#[derive(Debug)]
pub(super) struct OpenAggregate {
    /// The level it stands at.
    pub(super) own_level: usize,
    /// The innermost level, up to its own, that a column in its arguments belongs to.
    pub(super) innermost_column: Option<usize>,
    /// The innermost level, up to its own, that an aggregate in its arguments belongs to.
    pub(super) innermost_aggregate: Option<usize>,
    /// How many references the contexts around it had when it began.
    pub(super) reference_counts: Vec<usize>,
}

/// The lengths of the binder's stacks at one moment.
pub(super) struct Mark {
    outer: usize,
    range_names: usize,
    open_aggregates: usize,
    common_tables: usize,
    recursion: RecursionPlace,
    working_scans: usize,
    depth: usize,
}

/// Binds one statement.
pub(super) struct Binder<'b> {
    pub(super) catalog: &'b CatalogSnapshot,
    pub(super) options: &'b BindOptions<'b>,
    pub(super) parameters: Parameters,
    /// Contexts around the query that is being bound, the outermost first.
    pub(super) outer: Vec<Context>,
    /// Names of everything in the FROM of each query level, also what cannot be used: for messages.
    pub(super) range_names: Vec<Vec<String>>,
    /// Aggregates whose arguments are being bound, the outermost first.
    pub(super) open_aggregates: Vec<OpenAggregate>,
    /// Queries of WITH in force, the innermost last.
    pub(super) common_tables: Vec<CommonEntry>,
    /// The query of WITH RECURSIVE that was referred to before it was bound.
    pub(super) later_reference: Option<usize>,
    /// Where the recursive term of a recursive query may not refer to it.
    pub(super) recursion: RecursionPlace,
    /// How many references to recursive queries from their recursive terms there are so far.
    pub(super) working_scans: usize,
    /// Whether parameters may not be used: in what is stored, and in COPY.
    pub(super) parameters_refused: bool,
    /// Whether the statement's own WITH is behind: those that follow stand inside of it.
    pub(super) is_inside: bool,
    /// The INTO that makes the statement a CREATE TABLE AS.
    pub(super) into_allowed: Option<Span>,
    /// What the query at hand locks; `None`: nothing.
    pub(super) locks: Option<Box<QueryLocks>>,
    /// What the query that is bound next, which stands in FROM, has to lock for the one around it.
    pub(super) inherited_lock: Option<RowLock>,
    /// Tables and views that the statement reads.
    pub(super) dependencies: Vec<ObjectId>,
    next_column: u32,
    next_common_table: u32,
    depth: usize,
    duplicated_nodes: usize,
}

impl<'b> Binder<'b> {
    pub(super) fn new(catalog: &'b CatalogSnapshot, options: &'b BindOptions<'b>) -> Binder<'b> {
        Binder {
            catalog,
            options,
            parameters: Parameters::new(options.parameter_types),
            outer: Vec::new(),
            range_names: Vec::new(),
            open_aggregates: Vec::new(),
            common_tables: Vec::new(),
            later_reference: None,
            recursion: RecursionPlace::Allowed,
            working_scans: 0,
            parameters_refused: false,
            is_inside: false,
            into_allowed: None,
            locks: None,
            inherited_lock: None,
            dependencies: Vec::new(),
            next_column: 0,
            next_common_table: 0,
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

    /// A common table number that no other of the statement has.
    pub(super) fn new_common_table_id(&mut self) -> CommonTableId {
        let id = CommonTableId(self.next_common_table);
        self.next_common_table += 1;
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

    /// What an attempt that fails leaves behind is undone by [`Binder::reset`].
    pub(super) fn mark(&self) -> Mark {
        Mark {
            outer: self.outer.len(),
            range_names: self.range_names.len(),
            open_aggregates: self.open_aggregates.len(),
            common_tables: self.common_tables.len(),
            recursion: self.recursion,
            working_scans: self.working_scans,
            depth: self.depth,
        }
    }

    /// Back to a mark.
    pub(super) fn reset(&mut self, mark: Mark) {
        self.outer.truncate(mark.outer);
        self.range_names.truncate(mark.range_names);
        self.open_aggregates.truncate(mark.open_aggregates);
        self.common_tables.truncate(mark.common_tables);
        self.recursion = mark.recursion;
        self.working_scans = mark.working_scans;
        self.inherited_lock = None;
        self.depth = mark.depth;
    }

    /// How deep it is.
    pub(super) fn depth(&self) -> usize {
        self.depth
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
        let mut copy = expression.clone();
        if walk::has_subquery(expression) {
            walk::renumber(self, &mut copy)?;
        }
        Ok(copy)
    }

    /// Binds a query as part of an expression: the expression's context waits around it.
    pub(super) fn bind_inner_query(
        &mut self,
        query: &Query<'_>,
        context: &mut Context,
    ) -> Result<BoundQuery> {
        let place = context.place;
        self.outer.push(std::mem::replace(context, Context::empty(place)));
        let recursion = std::mem::replace(&mut self.recursion, RecursionPlace::Subquery);
        let bound = self.bind_query(query, Untyped::BecomesText);
        self.recursion = recursion;
        *context = self.outer.pop().expect("the context was pushed above");
        bound
    }
}

/// NULL of a type.
pub(super) fn null_constant(data_type: DataType) -> Expression {
    Expression::Constant { value: crate::sql::types::datum::Datum::Null, data_type }
}
