//! Names of constraints and indexes that the user did not name, as PostgreSQL makes them: `t_pkey`, `t_a_key`,
//! `t_a_check`, `t_a_idx`, with a number where that is taken, cut to the length of an identifier.

use crate::catalog::snapshot::CatalogSnapshot;
use crate::common::limits::IDENTIFIER_BYTES_MAX;

/// `table_columns_label`, where the longer of the first two parts is cut until all fits.
pub(super) fn object_name(table: &str, columns: Option<&str>, label: &str) -> String {
    let mut overhead = 1 + label.len();
    if columns.is_some() {
        overhead += 1;
    }
    let room = IDENTIFIER_BYTES_MAX.saturating_sub(overhead);
    let (mut table_len, mut columns_len) = (table.len(), columns.map_or(0, str::len));
    while table_len + columns_len > room {
        if table_len > columns_len { table_len -= 1 } else { columns_len -= 1 }
    }
    let mut name = cut(table, table_len).to_owned();
    if let Some(columns) = columns {
        name.push('_');
        name.push_str(cut(columns, columns_len));
    }
    name.push('_');
    name.push_str(label);
    name
}

/// The longest prefix of at most `len` bytes that ends between characters.
fn cut(text: &str, len: usize) -> &str {
    let mut end = len.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The first of `object_name(…, label)`, `label1`, `label2` … that `is_free`.
pub(super) fn first_free(
    table: &str,
    columns: Option<&str>,
    label: &str,
    is_free: impl Fn(&str) -> bool,
) -> String {
    let name = object_name(table, columns, label);
    if is_free(&name) {
        return name;
    }
    let mut number = 1u32;
    loop {
        let name = object_name(table, columns, &format!("{label}{number}"));
        if is_free(&name) {
            return name;
        }
        number += 1;
    }
}

/// A free name for an index or a key's constraint. `taken`: names the same statement has given already.
pub(super) fn index_name(
    catalog: &CatalogSnapshot,
    table: &str,
    columns: Option<&str>,
    label: &str,
    taken: &[String],
) -> String {
    first_free(table, columns, label, |name| {
        catalog.relation(None, name).is_none() && !taken.iter().any(|other| other == name)
    })
}

/// The columns' names as a part of an index's name, no longer than needed.
pub(super) fn joined_columns<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let mut joined = String::new();
    for name in names {
        if !joined.is_empty() {
            joined.push('_');
        }
        joined.push_str(name);
        if joined.len() >= IDENTIFIER_BYTES_MAX {
            break;
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_cut_where_they_are_longest() {
        let table = "t".repeat(60);
        let name = object_name(&table, Some("column"), "key");
        assert_eq!(name.len(), IDENTIFIER_BYTES_MAX);
        assert!(name.ends_with("t_column_key"));
        assert_eq!(object_name("t", None, "pkey"), "t_pkey");
        assert_eq!(object_name("ä".repeat(40).as_str(), None, "pkey").len(), 5 + 58);
    }

    #[test]
    fn a_taken_name_gets_the_first_free_number() {
        let catalog = CatalogSnapshot::empty();
        let taken = vec!["t_a_key".to_owned(), "t_a_key1".to_owned()];
        assert_eq!(index_name(&catalog, "t", Some("a"), "key", &taken), "t_a_key2");
    }
}
