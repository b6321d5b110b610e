//! How a table is read: by row id, by an index, or all of it, whichever costs least.
//!
//! A path takes over the predicates that its key answers exactly; the rest is checked on each row. An order that
//! is wanted counts: a path that has it saves the sort, and under a LIMIT it may stop early.

use crate::catalog::table_definition::TableDefinition;
use crate::sql::optimizer::columns::{operator_count, split_conjunction};
use crate::sql::optimizer::cost;
use crate::sql::optimizer::implication::implies;
use crate::sql::optimizer::knowledge::Knowledge;
use crate::sql::optimizer::rewrite::{computed_over, same};
use crate::sql::optimizer::sargable::{Comparison, Sargable, sargable, text_after};
use crate::sql::plan::expression::{Expression, OutputColumn};
use crate::sql::plan::physical::KeyBound;
use crate::sql::types::datum::Datum;
use crate::table::layout::{IndexColumn, IndexLayout};

/// A sort key that is a column of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct OrderColumn {
    /// Position in the table.
    pub(super) column: usize,
    /// DESC.
    pub(super) descending: bool,
    /// NULLS FIRST.
    pub(super) nulls_first: bool,
}

/// The order that is wanted of a scan.
#[derive(Clone, Debug)]
pub(super) struct WantedOrder {
    /// The keys.
    pub(super) keys: Vec<OrderColumn>,
    /// How many rows are wanted, where a LIMIT says so.
    pub(super) limit: Option<f64>,
}

/// A way to read a table.
#[derive(Clone, Debug)]
pub(super) enum Path {
    /// All of it, or a range of row ids.
    Table { lower: Option<KeyBound>, upper: Option<KeyBound>, backward: bool },
    /// A range of an index.
    Index {
        index: usize,
        equal: Vec<Expression>,
        lower: Option<KeyBound>,
        upper: Option<KeyBound>,
        backward: bool,
    },
    /// One row by its id.
    RowId(Expression),
    /// One row by a unique index.
    Unique { index: usize, key: Vec<Expression> },
}

/// A path with what it answers and costs.
#[derive(Clone, Debug)]
pub(super) struct Access {
    /// The path.
    pub(super) path: Path,
    /// Positions of the predicates that the path answers.
    pub(super) used: Vec<usize>,
    /// Whether rows come in the wanted order.
    pub(super) ordered: bool,
    /// Rows that come out.
    pub(super) rows: f64,
    /// Cost of the scan alone.
    pub(super) cost: f64,
    /// Cost with the sort it leaves to do, less what a LIMIT saves: what paths are compared by.
    total: f64,
}

/// A predicate of the form that keys answer, on a column of the table.
struct Term {
    /// Its position among the predicates.
    position: usize,
    /// The column's position in the table.
    column: usize,
    comparison: Sargable,
}

/// The bounds that predicates set to one column.
#[derive(Default)]
struct Bounds {
    lower: Option<KeyBound>,
    upper: Option<KeyBound>,
    /// Predicates that the bounds answer.
    used: Vec<usize>,
    /// Predicates that the bounds follow from, but that remain to be checked.
    implied: Vec<usize>,
}

/// Everything that the choice depends on.
struct Choice<'a> {
    table: &'a TableDefinition,
    /// Columns of the table, and behind them what its indexes compute.
    columns: &'a [OutputColumn],
    predicates: &'a [Expression],
    terms: Vec<Term>,
    /// What is to be known of each index, where one of them is partial.
    partial: Vec<Partial>,
    order: Option<&'a WantedOrder>,
    knowledge: &'a Knowledge<'a>,
    rows: f64,
    rows_out: f64,
}

/// The cheapest way to read `table`, whose columns are `columns`, for rows that fulfil all `predicates`.
///
/// `predicates` have columns in the place of what indexes compute, `expanded` are the same without.
pub(super) fn choose(
    table: &TableDefinition,
    columns: &[OutputColumn],
    computed: &[Expression],
    (predicates, expanded): (&[Expression], &[Expression]),
    order: Option<&WantedOrder>,
    knowledge: &mut Knowledge<'_>,
) -> Access {
    let terms: Vec<Term> = predicates
        .iter()
        .enumerate()
        .filter_map(|(position, predicate)| {
            let comparison = sargable(predicate)?;
            let column = columns.iter().position(|column| column.id == comparison.column)?;
            Some(Term { position, column, comparison })
        })
        .collect();
    let partial = partial_indexes(table, columns, computed, expanded);
    // A look-up of one row needs no statistics.
    let choice =
        Choice { table, columns, predicates, terms, partial, order, knowledge, rows: 1.0, rows_out: 1.0 };
    if let Some(access) = choice.row_id_lookup().or_else(|| choice.unique_lookup()) {
        return access;
    }
    let (terms, partial) = (choice.terms, choice.partial);
    knowledge.learn_table(table, columns);
    let knowledge = &*knowledge;
    let facts = columns.first().and_then(|column| knowledge.column(column.id));
    let rows =
        facts.map_or_else(|| knowledge.table_rows(table), |facts| knowledge.relation(facts.relation).rows);
    let rows_out = rows * knowledge.table_share(columns, &predicates.iter().collect::<Vec<_>>());
    let choice = Choice { table, columns, predicates, terms, partial, order, knowledge, rows, rows_out };
    let mut best = choice.table_scan();
    for index in 0..table.layout.indexes.len() {
        if let Some(access) = choice.index_scan(index)
            && access.total < best.total
        {
            best = access;
        }
    }
    best
}

/// A partial index beside the query's conditions.
#[derive(Clone, Debug)]
enum Partial {
    /// It is not partial: it has every row.
    No,
    /// Rows that it leaves out may be wanted.
    Unusable,
    /// It has every row that is wanted.
    Usable {
        /// Its predicate's terms.
        terms: Vec<Expression>,
        /// Positions of the query's conditions that all its rows fulfil.
        answered: Vec<usize>,
    },
}

/// For each index whether the query's conditions let a partial one be read; nothing where no index is partial.
fn partial_indexes(
    table: &TableDefinition,
    columns: &[OutputColumn],
    computed: &[Expression],
    conditions: &[Expression],
) -> Vec<Partial> {
    let indexes = &table.layout.indexes;
    if indexes.iter().all(|index| index.predicate.is_none()) {
        return Vec::new();
    }
    let partial = |index: &IndexLayout| {
        let Some(value) = index.predicate else { return Partial::No };
        let Some(predicate) = computed.get(value).and_then(|value| computed_over(value, columns).ok()) else {
            return Partial::Unusable;
        };
        if !implies(conditions, &predicate) {
            return Partial::Unusable;
        }
        let mut terms = Vec::new();
        split_conjunction(predicate, &mut terms);
        let answered = |position: &usize| implies(&terms, &conditions[*position]);
        let answered = (0..conditions.len()).filter(answered).collect();
        Partial::Usable { terms, answered }
    };
    indexes.iter().map(partial).collect()
}

/// Whether a partial index has every row that fulfils `conditions`.
pub(super) fn has_all_rows(
    index: &IndexLayout,
    columns: &[OutputColumn],
    computed: &[Expression],
    conditions: &[Expression],
) -> bool {
    let Some(value) = index.predicate else { return true };
    let predicate = computed.get(value).and_then(|value| computed_over(value, columns).ok());
    predicate.is_some_and(|predicate| implies(conditions, &predicate))
}

impl Choice<'_> {
    /// The position of a part of an index among `columns`: of equal expressions the first.
    fn position(&self, part: &IndexColumn) -> usize {
        let position = self.table.layout.position(part.key);
        match self.columns.get(position) {
            Some(column) if position >= self.table.columns.len() => {
                self.columns.iter().position(|known| known.id == column.id).unwrap_or(position)
            }
            _ => position,
        }
    }

    /// What is to be known of index `position`, which may be read; `None`: it may not.
    fn partial(&self, position: usize) -> Option<(&[Expression], &[usize])> {
        match self.partial.get(position) {
            None | Some(Partial::No) => Some((&[], &[])),
            Some(Partial::Unusable) => None,
            Some(Partial::Usable { terms, answered }) => Some((terms, answered)),
        }
    }

    /// Share of rows that fulfil these predicates.
    fn selectivity(&self, positions: &[usize]) -> f64 {
        let terms: Vec<&Expression> = positions.iter().map(|position| &self.predicates[*position]).collect();
        self.knowledge.share_of_all(&terms)
    }

    fn is_not_null(&self, column: usize) -> bool {
        self.table.columns.get(column).is_some_and(|column| column.not_null)
    }

    fn equal(&self, column: usize) -> impl Iterator<Item = &Term> {
        self.terms
            .iter()
            .filter(move |term| term.column == column && term.comparison.comparison == Comparison::Equal)
    }

    /// Whether all rows that come out have the same value there.
    fn is_constant(&self, column: usize) -> bool {
        self.equal(column).next().is_some()
    }

    fn one_row(&self, path: Path, used: Vec<usize>) -> Access {
        let cost = cost::DESCENT + cost::ROW_FETCHED + self.checking(1.0, &used);
        Access { path, used, ordered: true, rows: 1.0, cost, total: cost }
    }

    /// Cost of the predicates that a path leaves to check on `rows` rows.
    fn checking(&self, rows: f64, used: &[usize]) -> f64 {
        let left = self.predicates.iter().enumerate().filter(|(position, _)| !used.contains(position));
        rows * cost::OPERATOR * left.map(|(_, predicate)| operator_count(predicate)).sum::<f64>()
    }

    fn row_id_lookup(&self) -> Option<Access> {
        let column = self.table.row_id_column()?;
        self.equal(column).find_map(|term| {
            let value = term.comparison.row_id_value()?;
            Some(self.one_row(Path::RowId(value), vec![term.position]))
        })
    }

    fn unique_lookup(&self) -> Option<Access> {
        let unique = self.table.layout.indexes.iter().enumerate().filter(|(_, index)| index.unique);
        unique.into_iter().find_map(|(position, index)| {
            let mut key = Vec::with_capacity(index.columns.len());
            let mut used = Vec::with_capacity(index.columns.len());
            let (_, answered) = self.partial(position)?;
            for part in &index.columns {
                let (term, value) = self.equal_key(self.position(part))?;
                key.push(value);
                used.push(term);
            }
            used.extend(
                answered.iter().filter(|answered| !used.contains(answered)).copied().collect::<Vec<_>>(),
            );
            Some(self.one_row(Path::Unique { index: position, key }, used))
        })
    }

    /// An equality on an indexed column, with the value in the column's type.
    fn equal_key(&self, column: usize) -> Option<(usize, Expression)> {
        self.equal(column).find_map(|term| Some((term.position, term.comparison.key_value()?)))
    }

    /// The first lower and the first upper end that predicates set to `column`.
    fn bounds(&self, column: usize, value: impl Fn(&Sargable) -> Option<Expression>) -> Bounds {
        let mut bounds = Bounds::default();
        for term in self.terms.iter().filter(|term| term.column == column) {
            let comparison = term.comparison.comparison;
            let end = if is_lower(comparison) {
                &mut bounds.lower
            } else if is_upper(comparison) {
                &mut bounds.upper
            } else {
                continue;
            };
            if end.is_some() {
                continue;
            }
            if let Some(value) = value(&term.comparison) {
                let inclusive = matches!(comparison, Comparison::LessEqual | Comparison::GreaterEqual);
                *end = Some(KeyBound { values: vec![value], inclusive });
                bounds.used.push(term.position);
            }
        }
        if bounds.lower.is_none() && bounds.upper.is_none() {
            self.prefix_bounds(column, &mut bounds);
        }
        bounds
    }

    /// The range that a LIKE pattern with a fixed beginning sets to `column`.
    fn prefix_bounds(&self, column: usize, bounds: &mut Bounds) {
        let is_prefix =
            |term: &&Term| term.column == column && term.comparison.comparison == Comparison::Prefix;
        let Some(term) = self.terms.iter().find(is_prefix) else { return };
        let Expression::Constant { value: Datum::Text(prefix), .. } = &term.comparison.value else { return };
        let text = |value: &str| Expression::Constant {
            value: Datum::text(value),
            data_type: term.comparison.column_type,
        };
        bounds.lower = Some(KeyBound { values: vec![text(prefix)], inclusive: true });
        bounds.upper =
            text_after(prefix).map(|after| KeyBound { values: vec![text(&after)], inclusive: false });
        bounds.implied.push(term.position);
    }

    /// Completes a path: reading `scanned` rows costs `reading`.
    fn access(
        &self,
        path: Path,
        used: Vec<usize>,
        direction: Option<bool>,
        scanned: f64,
        reading: f64,
    ) -> Access {
        let ordered = direction.is_some();
        let cost = cost::DESCENT + reading + self.checking(scanned, &used);
        let total = match self.order {
            None => cost,
            Some(order) if ordered => match order.limit {
                Some(limit) => cost::DESCENT + cost * (limit / self.rows_out.max(1.0)).min(1.0),
                None => cost,
            },
            Some(order) => cost + cost::sort(self.rows_out, order.limit.unwrap_or(self.rows_out)),
        };
        Access { path, used, ordered, rows: self.rows_out, cost, total }
    }

    fn table_scan(&self) -> Access {
        let row_id = self.table.row_id_column();
        let bounds =
            row_id.map_or_else(Bounds::default, |column| self.bounds(column, Sargable::row_id_value));
        let direction = self.order.and_then(|order| {
            let mut keys = order.keys.iter().filter(|key| !self.is_constant(key.column));
            match keys.next() {
                None => Some(false),
                Some(key) if Some(key.column) == row_id => Some(key.descending),
                Some(_) => None,
            }
        });
        let scanned = self.rows * self.selectivity(&bounds.used);
        let Bounds { lower, upper, used, .. } = bounds;
        let path = Path::Table { lower, upper, backward: direction == Some(true) };
        self.access(path, used, direction, scanned, scanned * cost::ROW_SCANNED)
    }

    /// A scan of an index, where predicates narrow it or it has the wanted order.
    fn index_scan(&self, position: usize) -> Option<Access> {
        let index = &self.table.layout.indexes[position];
        let (holds, answered) = self.partial(position)?;
        let mut equal = Vec::new();
        let mut used = Vec::new();
        for part in &index.columns {
            let Some((term, value)) = self.equal_key(self.position(part)) else { break };
            equal.push(value);
            used.push(term);
        }
        let next = index.columns.get(equal.len());
        let bounds =
            next.map_or_else(Bounds::default, |next| self.bounds(self.position(next), Sargable::key_value));
        used.extend(&bounds.used);
        let direction = self.order.and_then(|order| self.index_direction(position, order));
        if used.is_empty() && bounds.implied.is_empty() && direction.is_none() && holds.is_empty() {
            return None;
        }
        let narrowing: Vec<usize> = used.iter().chain(&bounds.implied).copied().collect();
        let mut narrowed: Vec<&Expression> = narrowing.iter().map(|one| &self.predicates[*one]).collect();
        for term in holds {
            if !narrowed.iter().any(|known| same(known, term)) {
                narrowed.push(term);
            }
        }
        let scanned = (self.rows * self.knowledge.share_of_all(&narrowed)).max(self.rows_out);
        for answered in answered {
            if !used.contains(answered) {
                used.push(*answered);
            }
        }
        let Bounds { lower, upper, .. } = bounds;
        let backward = direction == Some(true);
        let path = Path::Index { index: position, equal, lower, upper, backward };
        let reading = cost::index_rows(scanned, self.rows, direction.is_some());
        Some(self.access(path, used, direction, scanned, reading))
    }

    /// In which direction (backward: true) an index has the wanted order; `None`: in neither.
    fn index_direction(&self, position: usize, order: &WantedOrder) -> Option<bool> {
        let index = &self.table.layout.indexes[position];
        let mut columns = index.columns.iter().filter(|part| !self.is_constant(self.position(part)));
        let mut direction = None;
        for key in order.keys.iter().filter(|key| !self.is_constant(key.column)) {
            let Some(column) = columns.next() else {
                // Entries of equal values lie in the order of their row ids.
                let decided =
                    index.unique && index.columns.iter().all(|part| self.is_not_null(self.position(part)));
                let by_row_id = Some(key.column) == self.table.row_id_column()
                    && direction.is_none_or(|backward| backward == key.descending);
                return if decided {
                    Some(direction.unwrap_or(false))
                } else if by_row_id {
                    Some(key.descending)
                } else {
                    None
                };
            };
            if self.position(column) != key.column {
                return None;
            }
            let backward = column.descending != key.descending;
            let nullable = !self.is_not_null(key.column);
            if nullable && (column.nulls_first != key.nulls_first) != backward {
                return None;
            }
            if direction.is_some_and(|known| known != backward) {
                return None;
            }
            direction = Some(backward);
        }
        Some(direction.unwrap_or(false))
    }
}

fn is_lower(comparison: Comparison) -> bool {
    matches!(comparison, Comparison::Greater | Comparison::GreaterEqual)
}

fn is_upper(comparison: Comparison) -> bool {
    matches!(comparison, Comparison::Less | Comparison::LessEqual)
}
