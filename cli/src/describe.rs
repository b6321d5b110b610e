//! `\d` and its relatives: what the catalog holds, as tables of text.

use crate::output::table::Grid;
use lumos_core::catalog::sequence_definition::SequenceDefinition;
use lumos_core::catalog::snapshot::{CatalogSnapshot, Relation};
use lumos_core::catalog::table_definition::{
    ConstraintKind, Deferral, ForeignKeyDefinition, ForeignKeyMatching, ReferentialAction, TableDefinition,
};
use lumos_core::catalog::view_definition::ViewDefinition;
use lumos_core::table::layout::{IndexColumn, IndexKey};
use std::io::{self, Write};

/// Which kinds of relation are listed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kinds {
    /// `\d`: tables and views.
    All,
    /// `\dt`.
    Tables,
    /// `\dv`.
    Views,
    /// `\di`.
    Indexes,
}

impl Kinds {
    fn title(self) -> &'static str {
        match self {
            Kinds::All => "List of relations",
            Kinds::Tables => "List of tables",
            Kinds::Views => "List of views",
            Kinds::Indexes => "List of indexes",
        }
    }
}

/// Whether `name` fits a pattern of psql's kind: `*` is any text, `?` any character; case counts as in SQL, so that
/// only a quoted pattern has capitals.
pub(crate) fn fits(name: &str, pattern: &str) -> bool {
    fn fit(name: &[char], pattern: &[char]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some(('*', rest)) => (0..=name.len()).any(|start| fit(&name[start..], rest)),
            Some(('?', rest)) => !name.is_empty() && fit(&name[1..], rest),
            Some((letter, rest)) => name.first() == Some(letter) && fit(&name[1..], rest),
        }
    }
    let name: Vec<char> = name.chars().collect();
    // Two stars in a row are one: without that, many of them would take for ever.
    let mut pattern: Vec<char> = pattern.chars().collect();
    pattern.dedup_by(|left, right| *left == '*' && *right == '*');
    fit(&name, &pattern)
}

/// Writes the list of the relations whose names fit; gives how many there are.
pub(crate) fn list(
    catalog: &CatalogSnapshot,
    kinds: Kinds,
    pattern: Option<&str>,
    out: &mut dyn Write,
) -> io::Result<usize> {
    let wanted = |name: &str| pattern.is_none_or(|pattern| fits(name, pattern));
    let mut rows: Vec<Vec<String>> = Vec::new();
    let heads: &[&str] = match kinds {
        Kinds::All | Kinds::Tables | Kinds::Views => {
            let tables = catalog.tables().map(|table| (&table.schema, &table.name, "table"));
            let views = catalog.views().map(|view| (&view.schema, &view.name, "view"));
            let listed =
                tables.filter(|_| kinds != Kinds::Views).chain(views.filter(|_| kinds != Kinds::Tables));
            for (schema, name, kind) in listed.filter(|(_, name, _)| wanted(name)) {
                rows.push(vec![schema.clone(), name.clone(), kind.to_owned()]);
            }
            rows.sort();
            &["Schema", "Name", "Type"]
        }
        Kinds::Indexes => {
            for table in catalog.tables() {
                for (position, index) in
                    table.indexes.iter().enumerate().filter(|(_, index)| wanted(&index.name))
                {
                    rows.push(vec![
                        table.schema.clone(),
                        index.name.clone(),
                        "index".to_owned(),
                        table.name.clone(),
                        index_text(table, position),
                    ]);
                }
            }
            rows.sort();
            &["Schema", "Name", "Type", "Table", "Columns"]
        }
    };
    if rows.is_empty() {
        return Ok(0);
    }
    draw(kinds.title(), heads, &rows, out)?;
    writeln!(out, "({} {})\n", rows.len(), if rows.len() == 1 { "row" } else { "rows" })?;
    Ok(rows.len())
}

fn draw(title: &str, heads: &[&str], rows: &[Vec<String>], out: &mut dyn Write) -> io::Result<()> {
    let mut grid = Grid::new(heads.iter().map(|head| (*head, false)));
    for cell in rows.iter().flatten() {
        grid.push(cell);
    }
    let space = grid.width().saturating_sub(title.chars().count()) / 2;
    writeln!(out, "{}{title}", " ".repeat(space))?;
    grid.write(out)
}

/// Writes what the relation is; `false` when there is none of this name.
pub(crate) fn describe(catalog: &CatalogSnapshot, name: &str, out: &mut dyn Write) -> io::Result<bool> {
    let (schema, name) = match name.split_once('.') {
        Some((schema, name)) => (Some(schema), name),
        None => (None, name),
    };
    match catalog.relation(schema, name) {
        Some(Relation::Table(table)) => describe_table(catalog, &table, out).map(|()| true),
        Some(Relation::Index(table, position)) => describe_index(&table, position, out).map(|()| true),
        Some(Relation::View(view)) => describe_view(&view, out).map(|()| true),
        Some(Relation::Sequence(sequence)) => describe_sequence(catalog, &sequence, out).map(|()| true),
        None => Ok(false),
    }
}

fn describe_table(catalog: &CatalogSnapshot, table: &TableDefinition, out: &mut dyn Write) -> io::Result<()> {
    let rows: Vec<Vec<String>> = table
        .columns
        .iter()
        .map(|column| {
            vec![
                column.name.clone(),
                column.sql_type.to_string(),
                if column.not_null { "not null" } else { "" }.to_owned(),
                match &column.identity {
                    Some(identity) if identity.always => "generated always as identity".to_owned(),
                    Some(_) => "generated by default as identity".to_owned(),
                    None => column.default.clone().unwrap_or_default(),
                },
            ]
        })
        .collect();
    let title = format!("Table \"{}.{}\"", table.schema, table.name);
    draw(&title, &["Column", "Type", "Nullable", "Default"], &rows, out)?;
    if !table.indexes.is_empty() || table.row_id_constraint.is_some() {
        writeln!(out, "Indexes:")?;
    }
    if let (Some(name), Some(column)) = (&table.row_id_constraint, table.row_id_column()) {
        writeln!(out, "    \"{name}\" PRIMARY KEY ({})", quoted(&table.columns[column].name))?;
    }
    for (position, index) in table.indexes.iter().enumerate() {
        let kind = match index.constraint {
            Some(ConstraintKind::PrimaryKey) => "PRIMARY KEY ",
            Some(ConstraintKind::Unique) => "UNIQUE CONSTRAINT ",
            None if table.layout.indexes[position].unique => "UNIQUE ",
            None => "",
        };
        let late = deferral_text(index.deferral);
        writeln!(out, "    \"{}\" {kind}{}{late}", index.name, index_text(table, position))?;
    }
    if !table.checks.is_empty() {
        writeln!(out, "Check constraints:")?;
    }
    for check in &table.checks {
        let validity = validity_text(table, &check.name);
        writeln!(out, "    \"{}\" CHECK ({}){validity}", check.name, check.condition)?;
    }
    if !table.foreign_keys.is_empty() {
        writeln!(out, "Foreign-key constraints:")?;
    }
    for key in &table.foreign_keys {
        if let Some(parent) = catalog.table_by_id(key.parent) {
            let validity = validity_text(table, &key.name);
            writeln!(out, "    \"{}\" {}{validity}", key.name, foreign_key_text(table, key, &parent))?;
        }
    }
    let referring = catalog.referring(table.id);
    if !referring.is_empty() {
        writeln!(out, "Referenced by:")?;
    }
    for (child, position) in referring {
        let key = &child.foreign_keys[position];
        let text = foreign_key_text(&child, key, table);
        let validity = validity_text(&child, &key.name);
        writeln!(out, "    TABLE \"{}\" CONSTRAINT \"{}\" {text}{validity}", child.name, key.name)?;
    }
    if let Some(percent) = table.layout.fill_percent {
        writeln!(out, "Options: fillfactor={percent}")?;
    }
    writeln!(out)
}

/// Whether rows may break a constraint, as SQL says it.
fn validity_text(table: &TableDefinition, constraint: &str) -> &'static str {
    if table.is_valid(constraint) { "" } else { " NOT VALID" }
}

/// When a constraint is checked, as SQL says it.
fn deferral_text(deferral: Deferral) -> &'static str {
    match deferral {
        Deferral::NotDeferrable => "",
        Deferral::InitiallyImmediate => " DEFERRABLE",
        Deferral::InitiallyDeferred => " DEFERRABLE INITIALLY DEFERRED",
    }
}

/// A foreign key as SQL writes it.
fn foreign_key_text(table: &TableDefinition, key: &ForeignKeyDefinition, parent: &TableDefinition) -> String {
    let names = |table: &TableDefinition, columns: &[usize]| {
        columns.iter().map(|column| quoted(&table.columns[*column].name)).collect::<Vec<_>>().join(", ")
    };
    let mut text = format!(
        "FOREIGN KEY ({}) REFERENCES {}({})",
        names(table, &key.columns),
        quoted(&parent.name),
        names(parent, &key.parent_columns)
    );
    if key.matching == ForeignKeyMatching::Full {
        text.push_str(" MATCH FULL");
    }
    for (event, action) in [("UPDATE", &key.on_update), ("DELETE", &key.on_delete)] {
        let (action, columns): (&str, &[usize]) = match action {
            ReferentialAction::NoAction => continue,
            ReferentialAction::Restrict => ("RESTRICT", &[]),
            ReferentialAction::Cascade => ("CASCADE", &[]),
            ReferentialAction::SetNull(columns) => ("SET NULL", columns),
            ReferentialAction::SetDefault(columns) => ("SET DEFAULT", columns),
        };
        text.push_str(&format!(" ON {event} {action}"));
        if !columns.is_empty() {
            text.push_str(&format!(" ({})", names(table, columns)));
        }
    }
    text.push_str(deferral_text(key.deferral));
    text
}

fn describe_sequence(
    catalog: &CatalogSnapshot,
    sequence: &SequenceDefinition,
    out: &mut dyn Write,
) -> io::Result<()> {
    let options = &sequence.options;
    let row = vec![
        options.data_type.name().to_owned(),
        options.start.to_string(),
        options.minimum.to_string(),
        options.maximum.to_string(),
        options.increment.to_string(),
        if options.cycle { "yes" } else { "no" }.to_owned(),
        options.cache.to_string(),
    ];
    let heads = ["Type", "Start", "Minimum", "Maximum", "Increment", "Cycles?", "Cache"];
    draw(&format!("Sequence \"{}.{}\"", sequence.schema, sequence.name), &heads, &[row], out)?;
    if let Some(owner) = sequence.owner
        && let Some(table) = catalog.table_by_id(owner.table)
        && let Some(column) = table.columns.get(owner.column)
    {
        let what = if owner.identity { "Sequence for identity column" } else { "Owned by" };
        writeln!(out, "{what}: {}.{}.{}", table.schema, quoted(&table.name), quoted(&column.name))?;
    }
    writeln!(out)
}

fn describe_view(view: &ViewDefinition, out: &mut dyn Write) -> io::Result<()> {
    let rows: Vec<Vec<String>> = view
        .columns
        .iter()
        .zip(&view.types)
        .map(|(name, sql_type)| vec![name.clone(), sql_type.to_string()])
        .collect();
    draw(&format!("View \"{}.{}\"", view.schema, view.name), &["Column", "Type"], &rows, out)?;
    writeln!(out, "View definition:")?;
    for line in view.query.lines() {
        writeln!(out, "    {line}")?;
    }
    writeln!(out)
}

fn describe_index(table: &TableDefinition, position: usize, out: &mut dyn Write) -> io::Result<()> {
    let layout = &table.layout.indexes[position];
    let rows: Vec<Vec<String>> = layout
        .columns
        .iter()
        .map(|part| {
            vec![
                table.key_text(part.key).to_owned(),
                table.layout.key_type(part.key).to_string(),
                order_text(part).trim().to_owned(),
            ]
        })
        .collect();
    let index = &table.indexes[position];
    let title = format!("Index \"{}.{}\"", table.schema, index.name);
    draw(&title, &["Column", "Type", "Order"], &rows, out)?;
    let kind = match index.constraint {
        Some(ConstraintKind::PrimaryKey) => "primary key of",
        Some(ConstraintKind::Unique) => "unique constraint of",
        None if layout.unique => "unique, on",
        None => "on",
    };
    write!(out, "{kind} table \"{}.{}\"", table.schema, table.name)?;
    if let Some(predicate) = layout.predicate {
        write!(out, ", predicate ({})", table.computed[predicate].shown)?;
    }
    if let Some(percent) = layout.fill_percent {
        write!(out, "\nOptions: fillfactor={percent}")?;
    }
    writeln!(out, "\n")
}

/// `(a, lower(b) DESC) WITH (fillfactor=70) WHERE c > 0`.
fn index_text(table: &TableDefinition, position: usize) -> String {
    let index = &table.layout.indexes[position];
    let part = |part: &IndexColumn| match part.key {
        IndexKey::Column(column) => format!("{}{}", quoted(&table.columns[column].name), order_text(part)),
        IndexKey::Computed(_) => format!("{}{}", table.key_text(part.key), order_text(part)),
    };
    let parts: Vec<String> = index.columns.iter().map(part).collect();
    let predicate = index.predicate.map(|value| format!(" WHERE {}", table.computed[value].shown));
    let options = index.fill_percent.map(|percent| format!(" WITH (fillfactor={percent})"));
    format!("({}){}{}", parts.join(", "), options.unwrap_or_default(), predicate.unwrap_or_default())
}

/// What differs from the default order, after a blank.
fn order_text(column: &IndexColumn) -> &'static str {
    match (column.descending, column.nulls_first) {
        (false, false) => "",
        (false, true) => " NULLS FIRST",
        (true, true) => " DESC",
        (true, false) => " DESC NULLS LAST",
    }
}

/// A name as it must be written in SQL.
fn quoted(name: &str) -> String {
    let is_plain = name.bytes().enumerate().all(|(index, byte)| {
        byte.is_ascii_lowercase() || byte == b'_' || (index > 0 && byte.is_ascii_digit())
    });
    let is_keyword = lumos_core::sql::lexer::keyword::Keyword::find(name.as_bytes()).is_some_and(|keyword| {
        use lumos_core::sql::lexer::keyword::Category;
        matches!(keyword.category(), Category::Reserved | Category::TypeOrFunction)
    });
    if is_plain && !is_keyword { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_psqls() {
        assert!(fits("people", "people") && fits("people", "p*") && fits("people", "*o?le"));
        assert!(!fits("people", "peopl") && !fits("people", "o*") && !fits("people", "????"));
        assert!(!fits(&"a".repeat(60), &format!("{}b", "a*".repeat(6))));
    }

    #[test]
    fn names_that_need_quotes_get_them() {
        assert_eq!(
            [quoted("id"), quoted("Id"), quoted("order"), quoted("a\"b")],
            ["id", "\"Id\"", "\"order\"", "\"a\"\"b\""]
        );
    }
}
