//! What a table's indexes compute, ready to run for those who have only its definition: the build of an index, the
//! checks of a database and its salvage.

use crate::catalog::table_definition::{ComputedDefinition, TableDefinition};
use crate::error::Result;
use crate::sql::binder;
use crate::sql::binder::bound::{NewComputed, NewIndex, NewIndexColumn, NewIndexKey};
use crate::sql::evaluate::fold::planning_environment;
use crate::sql::executor::computed::ComputedValues;
use crate::sql::explain;
use crate::sql::functions::quote_identifier;
use crate::table::layout::{IndexColumn, IndexKey, TableLayout};

/// Computes what the indexes of `table` hold besides columns.
/// # Errors
/// `XX000` and others for stored text that no longer binds, which would be a mistake of ours.
pub fn computed_values(table: &TableDefinition) -> Result<ComputedValues> {
    Ok(ComputedValues::new(&table.layout, &binder::computed_of(table)?))
}

/// Adds what a new index computes to the definition and its layout; gives the parts of the index's key, and the
/// computed value that is its predicate.
pub(super) fn add_computed(
    table: &mut TableDefinition,
    layout: &mut TableLayout,
    index: &NewIndex,
) -> (Vec<IndexColumn>, Option<usize>) {
    let quoted = |name: &String| {
        let mut text = String::new();
        quote_identifier(name, &mut text);
        text
    };
    let names: Vec<String> = table.columns.iter().map(|column| quoted(&column.name)).collect();
    let environment = planning_environment().casts();
    let mut add = |computed: &NewComputed, is_predicate: bool| {
        let shown = if is_predicate {
            explain::predicate_text(&computed.expression, &names, &environment)
        } else {
            explain::index_key_text(&computed.expression, &names, &environment)
        };
        table.computed.push(ComputedDefinition { text: computed.text.clone(), shown });
        layout.computed.push(computed.sql_type);
        layout.computed.len() - 1
    };
    let predicate = index.predicate.as_ref().map(|predicate| add(predicate, true));
    let part = |new: &NewIndexColumn| IndexColumn {
        key: match &new.key {
            NewIndexKey::Column(column) => IndexKey::Column(*column),
            NewIndexKey::Expression(computed) => IndexKey::Computed(add(computed, false)),
        },
        descending: new.descending,
        nulls_first: new.nulls_first,
    };
    (index.columns.iter().map(part).collect(), predicate)
}

/// The parts of the key of an index that is over columns alone.
pub(super) fn plain_key(index: &NewIndex) -> Vec<IndexColumn> {
    let part = |new: &NewIndexColumn| match new.key {
        NewIndexKey::Column(column) => Some(IndexColumn {
            key: IndexKey::Column(column),
            descending: new.descending,
            nulls_first: new.nulls_first,
        }),
        NewIndexKey::Expression(_) => None,
    };
    index.columns.iter().filter_map(part).collect()
}
