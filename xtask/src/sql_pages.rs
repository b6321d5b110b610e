//! The pages of `docs/sql`, from the engine's own registries: what is not in a registry is not in the pages.

use lumos_core::session::setting_descriptions;
use lumos_core::session::statements::{STATEMENTS, Support};
use lumos_core::sql::functions::registry::{Registry, Volatility};
use lumos_core::sql::types::data_type::DataType;
use std::collections::BTreeMap;

const GENERATED: &str = "Generated from the engine's registries by `make docs`; `make lint` compares.";

/// File names and texts.
pub(crate) fn all() -> Vec<(&'static str, String)> {
    vec![
        ("README.md", contents()),
        ("statements.md", statements()),
        ("types.md", types()),
        ("functions.md", functions()),
        ("operators.md", operators()),
        ("aggregates.md", aggregates()),
        ("settings.md", settings()),
    ]
}

fn page(title: &str, intro: &str) -> String {
    let space = if intro.is_empty() { "" } else { "\n\n" };
    format!("# {title}\n\n{GENERATED}{space}{intro}\n")
}

fn contents() -> String {
    let mut text = page(
        "SQL",
        "The dialect is PostgreSQL 15's. What is not listed here is refused with SQLSTATE 0A000 and its place in the \
         text, or is a syntax error; nothing is parsed and ignored.",
    );
    let registry = Registry::get();
    let works = STATEMENTS.iter().filter(|statement| statement.support == Support::Works).count();
    let is_symbol =
        |name: &str| !name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
    let operators = registry.scalar_functions().iter().filter(|function| is_symbol(function.name)).count();
    let functions = registry.scalar_functions().len() - operators + registry.table_functions().len();
    text.push_str(&format!(
        "\n* [Statements](statements.md): {works} that work\n* [Types](types.md): {}\n* [Functions](functions.md): \
         {functions} signatures\n* [Operators](operators.md): {operators} signatures\n* [Aggregates](aggregates.md): {} \
         signatures\n* [Settings](settings.md): {}\n* [SQLSTATE codes](../errors.md)\n",
        type_list().len(),
        registry.aggregate_functions().len(),
        setting_descriptions().count(),
    ));
    text
}

fn statements() -> String {
    let mut text = page(
        "Statements",
        "In syntax, brackets may be left out, braces hold a choice, `...` repeats what is before it (with commas where \
         one is shown).",
    );
    let mut works: Vec<_> =
        STATEMENTS.iter().filter(|statement| statement.support == Support::Works).collect();
    works.sort_by_key(|statement| statement.name);
    for statement in works {
        text.push_str(&format!(
            "\n## {}\n\n{}\n\n```\n{}\n```\n\n```sql\n{};\n```\n",
            statement.name, statement.documentation, statement.syntax, statement.example
        ));
    }
    text.push_str("\n## Recognised and refused (0A000)\n\n");
    let refused: Vec<&str> = STATEMENTS
        .iter()
        .filter(|statement| statement.support == Support::Refused)
        .map(|statement| statement.name)
        .collect();
    text.push_str(&wrapped(&format!("{}.", refused.join(", "))));
    text
}

/// Lines of at most 110 letters.
fn wrapped(text: &str) -> String {
    let mut lines = String::new();
    let mut width = 0;
    for word in text.split(' ') {
        if width > 0 && width + 1 + word.len() > 110 {
            lines.push('\n');
            width = 0;
        } else if width > 0 {
            lines.push(' ');
            width += 1;
        }
        lines.push_str(word);
        width += word.len();
    }
    lines.push('\n');
    lines
}

fn type_list() -> Vec<DataType> {
    DataType::ALL.into_iter().filter(|data_type| *data_type != DataType::Unknown).collect()
}

/// A cell of a table: a bar in it does not end it.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn types() -> String {
    let mut text = page("Types", "Values are compared, ordered, cast and printed as PostgreSQL 15 does it.");
    text.push_str("\n| type | OID | values |\n| --- | --- | --- |\n");
    for data_type in type_list() {
        text.push_str(&format!(
            "| `{}` | {} | {} |\n",
            data_type.name(),
            data_type.oid(),
            cell(data_type.documentation())
        ));
    }
    text
}

fn signature(name: &str, arguments: &[DataType], variadic: bool) -> String {
    let mut list: Vec<String> = arguments.iter().map(|argument| shown(*argument)).collect();
    if variadic && let Some(last) = list.last_mut() {
        *last = format!("{last}, ...");
    }
    format!("{name}({})", list.join(", "))
}

/// The type's name; what takes any type is declared with the unknown one.
fn shown(data_type: DataType) -> String {
    match data_type {
        DataType::Unknown => "any".to_owned(),
        other => other.name().to_owned(),
    }
}

fn functions() -> String {
    let mut text = page(
        "Functions",
        "A function is strict unless it says otherwise: NULL among its arguments gives NULL. *stable*: one value a \
         statement; *volatile*: may differ each call.",
    );
    let registry = Registry::get();
    let mut rows: BTreeMap<String, String> = BTreeMap::new();
    for function in registry.scalar_functions().iter().filter(|function| is_word(function.name)) {
        let mut notes = String::from(function.documentation);
        if !function.strict {
            notes.push_str(" (not strict)");
        }
        match function.volatility {
            Volatility::Immutable => {}
            Volatility::Stable => notes.push_str(" (stable)"),
            Volatility::Volatile => notes.push_str(" (volatile)"),
        }
        let signature = signature(function.name, function.arguments, function.variadic);
        rows.insert(signature, format!("{} | {}", shown(function.returns), cell(&notes)));
    }
    text.push_str("\n| function | returns | what |\n| --- | --- | --- |\n");
    for (signature, rest) in &rows {
        text.push_str(&format!("| `{signature}` | {rest} |\n"));
    }
    text.push_str("\n## Functions of FROM\n\n| function | columns | what |\n| --- | --- | --- |\n");
    let mut rows: Vec<String> = registry
        .table_functions()
        .iter()
        .map(|function| {
            let columns: Vec<String> = function
                .columns
                .iter()
                .map(|(name, data_type)| format!("{name} {}", shown(*data_type)))
                .collect();
            let signature = signature(function.name, function.arguments, false);
            format!("| `{signature}` | {} | {} |\n", columns.join(", "), cell(function.documentation))
        })
        .collect();
    rows.sort();
    text.extend(rows);
    text.push_str(
        "\n## Written otherwise\n\nThese have syntax of their own and become the functions above or stand in the \
         grammar: `CASE`, `CAST(x AS type)`, `x::type`, `COALESCE`, `NULLIF`, `GREATEST`, `LEAST`, `EXTRACT(field FROM x)`, \
         `SUBSTRING(x FROM a FOR b)`,\n`POSITION(a IN b)`, `TRIM(BOTH c FROM x)`, `OVERLAY(x PLACING y FROM a FOR b)`, `x AT \
         TIME ZONE z`, `CURRENT_DATE`, `CURRENT_TIMESTAMP`, `LOCALTIMESTAMP`.\n",
    );
    text
}

fn is_word(name: &str) -> bool {
    name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
}

fn operators() -> String {
    let mut text = page(
        "Operators",
        "From tightest to loosest: `.`, `::`, `[ ]`, sign, COLLATE, AT TIME ZONE, `^`, `* / %`, `+ -`, all others, \
         BETWEEN IN LIKE ILIKE SIMILAR, comparisons, IS, NOT, AND, OR. `!=` is `<>`; LIKE is `~~`, ILIKE `~~*`, with \
         NOT `!~~` and `!~~*`.",
    );
    text.push_str("\n| operator | returns | what |\n| --- | --- | --- |\n");
    let mut rows: BTreeMap<(String, String), String> = BTreeMap::new();
    for function in Registry::get().scalar_functions().iter().filter(|function| !is_word(function.name)) {
        let form = match function.arguments {
            [input] => format!("{} {}", function.name, shown(*input)),
            [left, right] => format!("{} {} {}", shown(*left), function.name, shown(*right)),
            _ => continue,
        };
        let rest = format!("{} | {}", shown(function.returns), cell(function.documentation));
        rows.insert((function.name.to_owned(), form), rest);
    }
    for ((_, form), rest) in &rows {
        text.push_str(&format!("| `{}` | {rest} |\n", cell(form)));
    }
    text
}

fn aggregates() -> String {
    let mut text =
        page("Aggregates", "All take DISTINCT and FILTER; NULLs do not count, except in `count(*)`.");
    text.push_str("\n| aggregate | returns | what |\n| --- | --- | --- |\n");
    let mut rows: BTreeMap<String, String> = BTreeMap::new();
    for function in Registry::get().aggregate_functions() {
        let form = match function.arguments {
            [] => format!("{}(*)", function.name),
            arguments => signature(function.name, arguments, false),
        };
        rows.insert(form, format!("{} | {}", shown(function.returns), cell(function.documentation)));
    }
    for (form, rest) in &rows {
        text.push_str(&format!("| `{form}` | {rest} |\n"));
    }
    text
}

fn settings() -> String {
    let mut text = page(
        "Settings",
        "SET changes one for the session, SET LOCAL for the transaction; SHOW gives it. An empty default is decided by the \
         database's options.",
    );
    text.push_str("\n| setting | default | what |\n| --- | --- | --- |\n");
    for setting in setting_descriptions() {
        let fixed = if setting.can_change { "" } else { " (cannot be set)" };
        let default =
            if setting.default.is_empty() { String::new() } else { format!("`{}`", setting.default) };
        text.push_str(&format!(
            "| `{}` | {default} | {}{fixed} |\n",
            setting.name,
            cell(setting.description)
        ));
    }
    text
}
