//! What is known of the columns and relations of a statement while it is planned: distinct values, NULLs, keys,
//! statistics. Filled bottom up as relations are met.

use crate::catalog::table_definition::TableDefinition;
use crate::sql::optimizer::columns::add_columns;
use crate::sql::optimizer::{StatisticsSource, cardinality};
use crate::sql::plan::expression::{ColumnId, Expression, OutputColumn};
use crate::sql::plan::logical::CommonTableId;
use crate::sql::types::data_type::DataType;
use crate::statistics::table_statistics::{ColumnStatistics, TableStatistics};
use hashbrown::HashMap;
use std::cell::RefCell;
use std::sync::Arc;

/// A relation that columns come from: a table, or something that groups or makes rows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct RelationNumber(u32);

/// What is known of a relation.
#[derive(Clone, Debug)]
pub(super) struct RelationFacts {
    /// Rows before any condition.
    pub(super) rows: f64,
    /// Sets of columns of which no two rows have equal values.
    pub(super) keys: Vec<Vec<ColumnId>>,
    /// What ANALYZE found.
    pub(super) statistics: Option<Arc<TableStatistics>>,
}

/// What is known of a column.
#[derive(Clone, Copy, Debug)]
pub(super) struct ColumnFacts {
    /// Where it comes from.
    pub(super) relation: RelationNumber,
    /// Different values in its relation, at least 1.
    pub(super) distinct: f64,
    /// Share of NULLs.
    pub(super) null_fraction: f64,
    /// The column of its relation whose values it has.
    pub(super) origin: ColumnId,
    /// Its place in the statistics of its relation.
    position: Option<usize>,
}

/// The facts of one statement.
pub(super) struct Knowledge<'s> {
    source: &'s dyn StatisticsSource,
    relations: Vec<RelationFacts>,
    columns: HashMap<ColumnId, ColumnFacts>,
    common_tables: HashMap<CommonTableId, (f64, Vec<Option<ColumnFacts>>)>,
    /// Shares that were tried on samples, by the table's first column and the number of conditions and operators.
    pub(super) tried: RefCell<HashMap<(ColumnId, usize, usize), f64>>,
}

impl<'s> Knowledge<'s> {
    /// Nothing known yet.
    pub(super) fn new(source: &'s dyn StatisticsSource) -> Knowledge<'s> {
        Knowledge {
            source,
            relations: Vec::new(),
            columns: HashMap::new(),
            common_tables: HashMap::new(),
            tried: RefCell::new(HashMap::new()),
        }
    }

    /// Rows of a table, at least as many as an empty one is taken to have soon.
    pub(super) fn table_rows(&self, table: &TableDefinition) -> f64 {
        (self.source.row_count(table) as f64).max(cardinality::TABLE_ROWS_MIN)
    }

    /// Notes a table whose columns go by `columns`; a second time changes nothing.
    pub(super) fn learn_table(&mut self, table: &TableDefinition, columns: &[OutputColumn]) {
        if columns.first().is_none_or(|first| self.columns.contains_key(&first.id)) {
            return;
        }
        let statistics = self.source.statistics(table);
        let counted = self.source.row_count(table) as f64;
        let rows = match &statistics {
            // The table is as it was analyzed, or has grown since.
            Some(statistics) if counted == 0.0 => (statistics.rows as f64).max(1.0),
            Some(_) => counted.max(1.0),
            None => counted.max(cardinality::TABLE_ROWS_MIN),
        };
        let id = |position: usize| columns.get(position).map(|column| column.id);
        let row_id = table.row_id_column();
        let mut keys: Vec<Vec<ColumnId>> = row_id.and_then(id).map(|id| vec![id]).into_iter().collect();
        for index in table.layout.indexes.iter().filter(|index| index.unique && index.predicate.is_none()) {
            let parts = index.columns.iter().map(|part| id(table.layout.position(part.key)));
            keys.extend(parts.collect::<Option<Vec<_>>>());
        }
        let relation = RelationNumber(self.relations.len() as u32);
        for (position, column) in columns.iter().enumerate() {
            let known = statistics.as_ref().and_then(|statistics| {
                statistics.columns.get(position).map(|known| (statistics.rows as f64, known))
            });
            let is_key = keys.iter().any(|key| key == &[column.id]);
            let distinct = match known {
                _ if is_key => rows,
                // Where nearly every row has its own value, new rows bring new ones.
                Some((analyzed, known)) if known.distinct > 0.1 * analyzed => {
                    known.distinct * (rows / analyzed.max(1.0)).max(1.0)
                }
                Some((_, known)) => known.distinct,
                None if column.sql_type.data_type == DataType::Boolean => 2.0,
                None => rows.min(cardinality::DISTINCT_DEFAULT),
            };
            let null_fraction = match known {
                Some((_, known)) => known.null_fraction,
                None if table.columns.get(position).is_some_and(|column| column.not_null) => 0.0,
                None => cardinality::NULL,
            };
            let position = known.map(|_| position);
            let facts = ColumnFacts {
                relation,
                distinct: distinct.clamp(1.0, rows.max(1.0)),
                null_fraction,
                origin: column.id,
                position,
            };
            self.columns.insert(column.id, facts);
        }
        self.relations.push(RelationFacts { rows, keys, statistics });
    }

    /// Notes a relation that makes `rows` rows; each column has `distinct` values, its rows at most.
    pub(super) fn learn_made(
        &mut self,
        rows: f64,
        columns: impl IntoIterator<Item = (ColumnId, f64)>,
        keys: Vec<Vec<ColumnId>>,
    ) {
        let relation = RelationNumber(self.relations.len() as u32);
        for (id, distinct) in columns {
            let distinct = distinct.clamp(1.0, rows.max(1.0));
            self.columns.insert(
                id,
                ColumnFacts { relation, distinct, null_fraction: 0.0, origin: id, position: None },
            );
        }
        self.relations.push(RelationFacts { rows: rows.max(1.0), keys, statistics: None });
    }

    /// Notes that `id` has the values of `expression`, in a relation of `rows` rows.
    pub(super) fn learn_value(&mut self, id: ColumnId, expression: &Expression, rows: f64) {
        let facts = match expression {
            Expression::Column { id, .. } => self.columns.get(id).copied(),
            _ => None,
        };
        match facts {
            Some(facts) => {
                self.columns.insert(id, facts);
            }
            None => {
                let distinct = self.distinct(expression, rows);
                self.learn_made(rows, [(id, distinct)], Vec::new());
            }
        }
    }

    /// Notes what a common table holds.
    pub(super) fn learn_common(&mut self, id: CommonTableId, rows: f64, columns: &[ColumnId]) {
        let facts = columns.iter().map(|id| self.columns.get(id).copied()).collect();
        self.common_tables.insert(id, (rows, facts));
    }

    /// Notes that `columns` are those of a common table; its rows.
    pub(super) fn learn_common_scan(&mut self, id: CommonTableId, columns: &[OutputColumn]) -> Option<f64> {
        let (rows, facts) = self.common_tables.get(&id)?;
        for (column, facts) in columns.iter().zip(facts) {
            if let Some(facts) = facts {
                self.columns.insert(column.id, *facts);
            }
        }
        Some(*rows)
    }

    /// What is known of a column.
    pub(super) fn column(&self, id: ColumnId) -> Option<&ColumnFacts> {
        self.columns.get(&id)
    }

    /// What is known of a relation.
    pub(super) fn relation(&self, number: RelationNumber) -> &RelationFacts {
        &self.relations[number.0 as usize]
    }

    /// What ANALYZE found of a column.
    pub(super) fn statistics(&self, facts: &ColumnFacts) -> Option<&ColumnStatistics> {
        self.relation(facts.relation).statistics.as_ref()?.columns.get(facts.position?)
    }

    /// About how many different values `expression` has over a relation of `rows` rows.
    pub(super) fn distinct(&self, expression: &Expression, rows: f64) -> f64 {
        match expression {
            Expression::Column { id, .. } => {
                self.column(*id).map_or(cardinality::DISTINCT_DEFAULT.min(rows), |facts| facts.distinct)
            }
            Expression::Cast { input, .. } => self.distinct(input, rows),
            Expression::Constant { .. } | Expression::Parameter { .. } => 1.0,
            Expression::Case { branches, .. } => branches.len() as f64 + 1.0,
            Expression::And(_)
            | Expression::Or(_)
            | Expression::Not(_)
            | Expression::IsNull { .. }
            | Expression::IsTruth { .. }
            | Expression::IsDistinct { .. }
            | Expression::InSet { .. } => 2.0,
            _ => {
                let mut used = Vec::new();
                add_columns(expression, &mut used);
                let most = used
                    .iter()
                    .map(|id| self.column(*id).map_or(rows, |facts| facts.distinct))
                    .product::<f64>()
                    .max(1.0);
                // A function tells fewer values apart than its arguments have, mostly.
                let arithmetic = matches!(
                    expression,
                    Expression::Call { function, .. } if matches!(function.name, "+" | "-" | "*" | "/" | "||")
                );
                if arithmetic { most } else { most.min(cardinality::DISTINCT_DEFAULT) }
            }
        }
    }
}
