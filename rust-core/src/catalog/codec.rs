//! Definitions and statistics as bytes: a version tag, then serde through bincode.
//!
//! The only module that knows bincode. A change of one of the types or of what it holds is a new version, and what
//! was written before stays readable.

use crate::catalog::older_versions::{
    FirstTableDefinition, FourthTableDefinition, SecondTableDefinition, ThirdTableDefinition,
};
use crate::catalog::sequence_definition::SequenceDefinition;
use crate::catalog::table_definition::TableDefinition;
use crate::catalog::view_definition::ViewDefinition;
use crate::common::ids::{COUNTER_TREE, TreeId};
use crate::common::limits::FILL_PERCENTS;
use crate::error::{Error, SqlState};
use crate::sql::types::data_type::DataType;
use crate::statistics::table_statistics::TableStatistics;
use crate::table::layout::{IndexKey, IndexLayout, RowIdSource};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes that decoding may allocate, so that a forged length does not.
const BYTES_MAX: usize = 64 << 20;

/// What the catalog stores.
pub trait Stored: Serialize + DeserializeOwned {
    /// What it is called in errors.
    const NAME: &'static str;
    /// The version that is written.
    const VERSION: u8;

    /// Reads what an older program wrote under `version`; `None`: this program does not know that version.
    fn decode_older(_version: u8, _bytes: &[u8]) -> Option<Result<Self, String>> {
        None
    }

    /// That positions in it point at something.
    /// # Errors
    /// What is wrong.
    fn check(&self) -> Result<(), &'static str>;
}

impl Stored for TableDefinition {
    const NAME: &'static str = "table definition";
    const VERSION: u8 = 5;

    fn decode_older(version: u8, bytes: &[u8]) -> Option<Result<Self, String>> {
        let third = match version {
            1 => from_bytes::<FirstTableDefinition>(bytes)
                .map(|first| ThirdTableDefinition::from(SecondTableDefinition::from(first))),
            2 => from_bytes::<SecondTableDefinition>(bytes).map(ThirdTableDefinition::from),
            3 => from_bytes::<ThirdTableDefinition>(bytes),
            4 => return Some(from_bytes::<FourthTableDefinition>(bytes).map(Into::into)),
            _ => return None,
        };
        Some(third.map(|third| FourthTableDefinition::from(third).into()))
    }

    fn check(&self) -> Result<(), &'static str> {
        let columns = self.columns.len();
        let layout = &self.layout;
        if layout.columns.len() != columns || layout.indexes.len() != self.indexes.len() {
            return Err("Its layout has other columns or indexes than its names.");
        }
        if self.columns.iter().map(|column| &column.sql_type).ne(&layout.columns) {
            return Err("Its layout has columns of other types.");
        }
        if layout.computed.len() != self.computed.len() {
            return Err("Its layout has other computed values than their definitions.");
        }
        if layout
            .fill_percents()
            .any(|(_, percent)| percent.is_some_and(|percent| !FILL_PERCENTS.contains(&percent)))
        {
            return Err("It says how far pages are filled, and no page can be.");
        }
        let is_there = |key: IndexKey| match key {
            IndexKey::Column(column) => column < columns,
            IndexKey::Computed(value) => value < layout.computed.len(),
        };
        if !layout.indexes.iter().flat_map(|index| &index.columns).all(|column| is_there(column.key)) {
            return Err("An index names a column that does not exist.");
        }
        for key in &self.foreign_keys {
            let same_length = key.columns.len() == key.parent_columns.len();
            if key.columns.is_empty() || !same_length || key.columns.iter().any(|column| *column >= columns) {
                return Err("A foreign key names a column that does not exist.");
            }
        }
        let mut owned: Vec<usize> = layout.indexes.iter().flat_map(IndexLayout::computed).collect();
        owned.sort_unstable();
        if !owned.into_iter().eq(0..layout.computed.len()) {
            return Err("A computed value does not belong to one index.");
        }
        let mut trees: Vec<TreeId> = layout.indexes.iter().map(|index| index.tree).collect();
        trees.extend([layout.tree, layout.value_tree]);
        trees.sort_unstable();
        if trees[0] <= COUNTER_TREE || trees.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err("Its trees are not its own.");
        }
        match layout.row_id {
            RowIdSource::Column(column) => match layout.columns.get(column).map(|column| column.data_type) {
                Some(DataType::SmallInt | DataType::Integer | DataType::BigInt) => Ok(()),
                _ => Err("Its row id is no column of integers."),
            },
            RowIdSource::Counter => Ok(()),
        }
    }
}

impl Stored for ViewDefinition {
    const NAME: &'static str = "view definition";
    const VERSION: u8 = 1;

    fn check(&self) -> Result<(), &'static str> {
        if self.columns.len() == self.types.len() {
            Ok(())
        } else {
            Err("It has not as many types as columns.")
        }
    }
}

impl Stored for SequenceDefinition {
    const NAME: &'static str = "sequence definition";
    const VERSION: u8 = 1;

    fn check(&self) -> Result<(), &'static str> {
        let options = &self.options;
        let is_integer =
            matches!(options.data_type, DataType::SmallInt | DataType::Integer | DataType::BigInt);
        if !is_integer || options.increment == 0 || options.cache < 1 {
            return Err("Its type, increment or cache is none of a sequence.");
        }
        if options.minimum >= options.maximum || !(options.minimum..=options.maximum).contains(&options.start)
        {
            return Err("Its range is empty, or it starts outside of it.");
        }
        Ok(())
    }
}

impl Stored for TableStatistics {
    const NAME: &'static str = "table's statistics entry";
    const VERSION: u8 = 1;

    fn check(&self) -> Result<(), &'static str> {
        if self.sample.iter().any(|row| row.len() != self.columns.len()) {
            return Err("A row of its sample has another number of columns.");
        }
        Ok(())
    }
}

/// `stored` as bytes.
/// # Errors
/// `XX000` when it has no serial form, which would be a mistake of ours.
pub fn encode<S: Stored>(stored: &S) -> crate::error::Result<Vec<u8>> {
    let mut bytes = vec![S::VERSION];
    bincode::serde::encode_into_std_write(stored, &mut bytes, bincode::config::standard())
        .map_err(|error| Error::internal(format!("a {} cannot be encoded: {error}", S::NAME)))?;
    Ok(bytes)
}

/// What `bytes` hold.
/// # Errors
/// `XX001`; `0A000` for a version that a newer program wrote.
pub fn decode<S: Stored>(bytes: &[u8]) -> crate::error::Result<S> {
    let damaged = |reason: String| {
        Error::new(SqlState::DATA_CORRUPTED, format!("a {} in the catalog is damaged", S::NAME))
            .detail(reason)
    };
    let (version, rest) = bytes.split_first().ok_or_else(|| damaged("It is empty.".to_owned()))?;
    let decoded = if *version == S::VERSION {
        from_bytes(rest)
    } else if *version > S::VERSION {
        return Err(Error::not_supported(format!("version {version} of a {}", S::NAME))
            .detail(format!("This program knows versions up to {}.", S::VERSION))
            .hint("Open the database with a newer version of Lumos."));
    } else {
        S::decode_older(*version, rest)
            .ok_or_else(|| damaged(format!("Nothing ever wrote its version, {version}.")))?
    };
    let stored: S = decoded.map_err(damaged)?;
    stored.check().map_err(|reason| damaged(reason.to_owned()))?;
    Ok(stored)
}

fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let limited = bincode::config::standard().with_limit::<BYTES_MAX>();
    let (stored, read): (T, usize) = bincode::serde::decode_from_slice(bytes, limited)
        .map_err(|error| format!("It does not decode: {error}."))?;
    if read != bytes.len() {
        return Err("Bytes follow its end.".to_owned());
    }
    Ok(stored)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::snapshot::tests::definition;
    use crate::catalog::table_definition::{ColumnDefinition, ConstraintKind};
    use crate::common::ids::ObjectId;
    use crate::sql::types::data_type::SqlType;
    use crate::table::layout::{IndexColumn, TableLayout};
    use std::sync::Arc;

    fn plain_columns<'t>(table: &'t TableDefinition) -> Vec<(&'t str, SqlType, bool, &'t Option<String>)> {
        let plain =
            |column: &'t ColumnDefinition| (&*column.name, column.sql_type, column.not_null, &column.default);
        table.columns.iter().map(plain).collect()
    }

    fn plain_indexes(table: &TableDefinition) -> Vec<(ObjectId, &str, Option<ConstraintKind>)> {
        table.indexes.iter().map(|index| (index.id, &*index.name, index.constraint)).collect()
    }

    type PlainLayout<'t> = (
        (TreeId, TreeId, RowIdSource, &'t [SqlType], &'t [SqlType]),
        Vec<(TreeId, &'t [IndexColumn], bool, Option<usize>)>,
    );

    /// A layout as versions 2 to 4 wrote it.
    fn plain_layout(layout: &TableLayout) -> PlainLayout<'_> {
        let mut indexes = Vec::new();
        for index in &layout.indexes {
            indexes.push((index.tree, index.columns.as_slice(), index.unique, index.predicate));
        }
        ((layout.tree, layout.value_tree, layout.row_id, &layout.columns, &layout.computed), indexes)
    }

    /// The bytes of a definition as the second version wrote them.
    fn in_second_version(table: &TableDefinition) -> Vec<u8> {
        let stored = (
            (table.id, &table.schema, &table.name, plain_columns(table)),
            (&table.checks, plain_indexes(table), &table.computed, &table.row_id_constraint),
            plain_layout(&table.layout),
        );
        let mut bytes = vec![2];
        bincode::serde::encode_into_std_write(&stored, &mut bytes, bincode::config::standard()).unwrap();
        bytes
    }

    /// The bytes of a definition as the first version wrote them.
    fn in_first_version(table: &TableDefinition) -> Vec<u8> {
        let layout = &table.layout;
        let columns = |columns: &[IndexColumn]| -> Vec<(usize, bool, bool)> {
            let plain = |part: &IndexColumn| match part.key {
                IndexKey::Column(column) => (column, part.descending, part.nulls_first),
                IndexKey::Computed(_) => panic!("the first version had no computed values"),
            };
            columns.iter().map(plain).collect()
        };
        let indexes: Vec<_> =
            layout.indexes.iter().map(|index| (index.tree, columns(&index.columns), index.unique)).collect();
        let stored = (
            (table.id, &table.schema, &table.name, plain_columns(table)),
            (&table.checks, plain_indexes(table), &table.row_id_constraint),
            (layout.tree, layout.value_tree, layout.row_id, &layout.columns, indexes),
        );
        let mut bytes = vec![1];
        bincode::serde::encode_into_std_write(&stored, &mut bytes, bincode::config::standard()).unwrap();
        bytes
    }

    /// The same as version 3, in which every constraint was valid.
    fn in_third_version(table: &TableDefinition) -> Vec<u8> {
        let stored = (
            (table.id, &table.schema, &table.name, &table.columns, &table.checks, &table.indexes),
            (&table.foreign_keys, &table.computed, &table.row_id_constraint, plain_layout(&table.layout)),
        );
        let mut bytes = vec![3];
        bincode::serde::encode_into_std_write(stored, &mut bytes, bincode::config::standard()).unwrap();
        bytes
    }

    /// The same as version 4, in which nothing was said of how far pages are filled.
    fn in_fourth_version(table: &TableDefinition) -> Vec<u8> {
        let stored = (
            (table.id, &table.schema, &table.name, &table.columns, &table.checks, &table.indexes),
            (&table.foreign_keys, &table.computed, &table.row_id_constraint, &table.not_valid),
            plain_layout(&table.layout),
        );
        let mut bytes = vec![4];
        bincode::serde::encode_into_std_write(stored, &mut bytes, bincode::config::standard()).unwrap();
        bytes
    }

    #[test]
    fn definitions_of_older_versions_are_still_read() {
        let table = definition(7, "t");
        let mut with_check = table.clone();
        with_check.not_valid.push("t_check".to_owned());
        let older = [in_first_version(&table), in_second_version(&table), in_third_version(&table)];
        for (bytes, table) in older
            .into_iter()
            .map(|bytes| (bytes, &table))
            .chain([(in_fourth_version(&with_check), &with_check)])
        {
            let read: TableDefinition = decode(&bytes).unwrap();
            assert_eq!(format!("{read:?}"), format!("{table:?}"));
        }
    }

    #[test]
    fn how_far_pages_are_filled_is_stored_and_must_be_possible() {
        let filled = |rows: Option<u8>, entries: Option<u8>| {
            let mut table = definition(7, "t");
            let mut layout = TableLayout::clone(&table.layout);
            layout.fill_percent = rows;
            layout.indexes[0].fill_percent = entries;
            table.layout = Arc::new(layout);
            encode(&table).unwrap()
        };
        for (rows, entries) in [(None, Some(10)), (Some(100), None), (Some(55), Some(66))] {
            let layout = decode::<TableDefinition>(&filled(rows, entries)).unwrap().layout;
            assert_eq!((layout.fill_percent, layout.indexes[0].fill_percent), (rows, entries));
        }
        for (rows, entries) in [(Some(9), None), (None, Some(101)), (Some(0), None)] {
            decode::<TableDefinition>(&filled(rows, entries)).unwrap_err();
        }
    }

    #[test]
    fn a_computed_value_belongs_to_one_index() {
        let mut table = definition(7, "t");
        let layout = TableLayout::clone(&table.layout);
        table.layout = Arc::new(TableLayout { computed: layout.columns.clone(), ..layout.clone() });
        assert!(decode::<TableDefinition>(&encode(&table).unwrap()).is_err(), "a value without a definition");
        table.computed.push(crate::catalog::table_definition::ComputedDefinition {
            text: "a + 1".to_owned(),
            shown: "(a + 1)".to_owned(),
        });
        assert!(decode::<TableDefinition>(&encode(&table).unwrap()).is_err(), "a value without an index");
        let mut layout = TableLayout::clone(&table.layout);
        layout.indexes[0].predicate = Some(0);
        table.layout = Arc::new(layout);
        let read: TableDefinition = decode(&encode(&table).unwrap()).unwrap();
        assert_eq!(read.layout.indexes[0].predicate, Some(0));
        let without = read.without_index(0);
        assert!(without.computed.is_empty() && without.layout.computed.is_empty());
    }
}
