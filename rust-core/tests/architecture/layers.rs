//! Reads imports from source text and holds them against a table: who may import whom.
//! Knows nothing of Lumos; the table and the other rules are in `main.rs`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// One row per module, lowest first: (path below `crate::`, modules it may import).
/// A row may name only earlier rows, so the table itself cannot hold a cycle.
pub(crate) type Table<'a> = &'a [(&'a str, &'a [&'a str])];

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone)]
pub(crate) struct Violation {
    pub(crate) file: String,
    pub(crate) line: usize,
    pub(crate) from: String,
    pub(crate) to: String,
}

/// The most specific row of `table` that covers `path` (`sql::types::numeric` → `sql::types`).
fn row<'a>(table: Table<'a>, path: &str) -> Option<&'a str> {
    table
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| path == *name || path.starts_with(&format!("{name}::")))
        .max_by_key(|name| name.len())
}

/// Rows that name a later (or unknown) row: the table would allow a cycle.
pub(crate) fn table_errors(table: Table) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut errors = Vec::new();
    for (name, allowed) in table {
        for other in *allowed {
            if !seen.contains(other) {
                errors.push(format!("{name} names {other}, which is not an earlier row"));
            }
        }
        if !seen.insert(*name) {
            errors.push(format!("{name} appears twice"));
        }
    }
    errors
}

/// Blanks comments and string literals, keeps line numbers; drops `#[cfg(test)] mod … { … }`.
fn code_only(text: &str) -> String {
    let bytes: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut i = 0;
    let keep_lines = |out: &mut String, skipped: &[char]| {
        out.extend(skipped.iter().filter(|c| **c == '\n'));
    };
    while i < bytes.len() {
        let start = i;
        let next = bytes.get(i + 1).copied().unwrap_or(' ');
        let after_word = i > 0 && (bytes[i - 1].is_alphanumeric() || bytes[i - 1] == '_');
        if bytes[i] == '/' && next == '/' {
            while i < bytes.len() && bytes[i] != '\n' {
                i += 1;
            }
        } else if bytes[i] == '/' && next == '*' {
            let mut depth = 0;
            loop {
                match (bytes.get(i), bytes.get(i + 1)) {
                    (Some('/'), Some('*')) => (depth, i) = (depth + 1, i + 2),
                    (Some('*'), Some('/')) => (depth, i) = (depth - 1, i + 2),
                    (None, _) => break,
                    _ => i += 1,
                }
                if depth == 0 {
                    break;
                }
            }
        } else if bytes[i] == 'r' && !after_word && (next == '"' || next == '#') {
            let hashes = bytes[i + 1..].iter().take_while(|c| **c == '#').count();
            if bytes.get(i + 1 + hashes) != Some(&'"') {
                out.push('r');
                i += 1;
                continue;
            }
            i += hashes + 2;
            while i < bytes.len()
                && !(bytes[i] == '"'
                    && bytes[i + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes)
            {
                i += 1;
            }
            i += 1 + hashes;
        } else if bytes[i] == '"' {
            i += 1;
            while i < bytes.len() && bytes[i] != '"' {
                i += if bytes[i] == '\\' { 2 } else { 1 };
            }
            i += 1;
        } else if bytes[i] == '\'' && (next == '\\' || bytes.get(i + 2) == Some(&'\'')) {
            i += if next == '\\' { 3 } else { 2 };
            while i < bytes.len() && bytes[i] != '\'' {
                i += 1;
            }
            i += 1;
        } else {
            out.push(bytes[i]);
            i += 1;
            continue;
        }
        i = i.min(bytes.len());
        out.push(' ');
        keep_lines(&mut out, &bytes[start..i]);
    }
    without_test_modules(&out)
}

fn without_test_modules(code: &str) -> String {
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find("#[cfg(test)]") {
        let tail = &rest[at + "#[cfg(test)]".len()..];
        let item = tail.trim_start();
        let is_mod =
            item.starts_with("mod ") || item.starts_with("pub mod ") || item.starts_with("pub(crate) mod ");
        let open = tail.find('{');
        let is_inline = is_mod && open.is_some_and(|o| !tail[..o].contains(';'));
        out.push_str(&rest[..at]);
        if !is_inline {
            rest = tail;
            continue;
        }
        let mut depth = 0usize;
        let mut end = tail.len();
        for (offset, c) in tail.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 1 => {
                    end = offset + 1;
                    break;
                }
                '}' => depth -= 1,
                _ => {}
            }
        }
        out.extend(tail[..end].chars().filter(|c| *c == '\n'));
        rest = &tail[end..];
    }
    out.push_str(rest);
    out
}

/// Every `crate::…` and `super::…` path in `code`, with groups expanded: (line, path from the crate root).
fn paths(code: &str, module: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (keyword, _) in [("crate::", 0), ("super::", 1)] {
        let mut from = 0;
        while let Some(at) = code[from..].find(keyword) {
            let start = from + at;
            from = start + keyword.len();
            let before = code[..start].chars().next_back().unwrap_or(' ');
            if code[..start].ends_with("(in ") {
                continue; // who may see an item, not what it uses
            }
            if before.is_alphanumeric() || before == '_' || before == '$' || before == ':' {
                continue;
            }
            let line = code[..start].matches('\n').count() + 1;
            let mut base: Vec<&str> = module.split("::").filter(|s| !s.is_empty()).collect();
            let mut rest = &code[start..];
            if keyword == "crate::" {
                base.clear();
                rest = &rest[keyword.len()..];
            }
            while let Some(up) = rest.strip_prefix("super::") {
                base.pop();
                rest = up;
            }
            let prefix = base.join("::");
            expand(rest, &prefix, &mut |path| found.push((line, path)));
        }
    }
    found
}

/// Walks one use-tree or path, calling `emit` once per leaf.
fn expand(text: &str, prefix: &str, emit: &mut dyn FnMut(String)) -> usize {
    let join = |tail: &str| match (prefix.is_empty(), tail.is_empty()) {
        (true, _) => tail.to_string(),
        (_, true) => prefix.to_string(),
        _ => format!("{prefix}::{tail}"),
    };
    let skipped = text.len() - text.trim_start().len();
    let body = &text[skipped..];
    if let Some(inner) = body.strip_prefix('{') {
        let mut used = skipped + 1;
        let mut rest = inner;
        loop {
            let n = expand(rest, prefix, emit);
            used += n;
            rest = &rest[n..];
            match rest.find([',', '}']) {
                Some(i) if rest.as_bytes()[i] == b',' => {
                    used += i + 1;
                    rest = &rest[i + 1..];
                    if rest.trim_start().starts_with('}') {
                        return used + rest.find('}').unwrap() + 1;
                    }
                }
                Some(i) => return used + i + 1,
                None => return text.len(),
            }
        }
    }
    let word = body.chars().take_while(|c| c.is_alphanumeric() || *c == '_').count();
    let name = &body[..body.char_indices().nth(word).map_or(body.len(), |(i, _)| i)];
    let after = &body[name.len()..];
    if name.is_empty() {
        emit(join(""));
        return skipped;
    }
    if let Some(tail) = after.strip_prefix("::") {
        let head = after.len() - tail.len();
        return skipped + name.len() + head + expand(tail, &join(name), emit);
    }
    emit(join(name));
    skipped + name.len()
}

pub(crate) fn check_text(table: Table, file: &str, module: &str, text: &str) -> Vec<Violation> {
    let Some(own) = row(table, module) else {
        return vec![Violation {
            file: file.into(),
            line: 0,
            from: module.into(),
            to: "(no row in the table)".into(),
        }];
    };
    let allowed = table.iter().find(|(name, _)| *name == own).map_or(&[][..], |(_, a)| a);
    let mut out = BTreeSet::new();
    for (line, path) in paths(&code_only(text), module) {
        // A name that no row covers reaches its owner through a re-export at the crate root,
        // where its real layer cannot be seen; it must be imported from its own module.
        let target = row(table, &path).map_or_else(|| format!("(root name) {path}"), str::to_string);
        if target != own && !allowed.contains(&target.as_str()) {
            out.insert(Violation { file: file.into(), line, from: own.into(), to: target });
        }
    }
    out.into_iter().collect()
}

/// Checks every `.rs` file below `root`; `main.rs`, `lib.rs` (the crate root) are exempt.
pub(crate) fn check_tree(table: Table, root: &Path) -> (usize, Vec<Violation>) {
    let (mut files, mut out, mut stack) = (0, Vec::new(), vec![root.to_path_buf()]);
    while let Some(dir) = stack.pop() {
        let mut entries: Vec<_> =
            fs::read_dir(&dir).expect("readable source folder").map(|e| e.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                stack.push(path);
                continue;
            }
            let rel = path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
            if !rel.ends_with(".rs") || rel == "lib.rs" || rel == "main.rs" || rel.starts_with("bin/") {
                continue;
            }
            files += 1;
            let stem = rel.trim_end_matches(".rs").trim_end_matches("/mod");
            let module = stem.replace('/', "::");
            out.extend(check_text(table, &rel, &module, &fs::read_to_string(&path).unwrap()));
        }
    }
    out.sort();
    (files, out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: Table = &[
        ("error", &[]),
        ("sql::types", &["error"]),
        ("wal", &["error"]),
        ("storage", &["error", "wal"]),
        ("sql::parser", &["error", "sql::types"]),
    ];

    fn targets(module: &str, text: &str) -> Vec<(usize, String)> {
        check_text(SAMPLE, "sample.rs", module, text).into_iter().map(|v| (v.line, v.to)).collect()
    }

    #[test]
    fn downward_imports_pass() {
        assert_eq!(targets("storage::btree", "use crate::wal::Lsn;\nuse crate::error::{Error, Result};"), []);
    }

    #[test]
    fn upward_import_is_named_with_its_line() {
        assert_eq!(targets("wal::recovery", "\nuse crate::storage::page::Page;"), [(2, "storage".into())]);
    }

    #[test]
    fn grouped_nested_multiline_and_inline_paths_are_seen() {
        let text = "use crate::{error::Result,\n  storage::{page::Page, btree}};\nfn f() { crate::sql::parser::parse(\"\"); }";
        assert_eq!(targets("wal", text), [(1, "storage".into()), (3, "sql::parser".into())]);
    }

    #[test]
    fn super_paths_resolve_and_siblings_in_one_row_pass() {
        assert_eq!(
            targets("sql::types::numeric", "use super::super::parser::parse;"),
            [(1, "sql::parser".into())]
        );
        assert_eq!(targets("storage::btree", "use super::page::Page;"), []);
    }

    #[test]
    fn comments_strings_and_test_modules_do_not_count() {
        let text = "// crate::storage\n/* /* nested */ crate::storage */\nconst S: &str = \"crate::storage\";\nconst R: &str = r#\"a \" crate::storage \"#;\n#[cfg(test)]\nmod tests { use crate::storage::page::Page; }\n";
        assert_eq!(targets("wal", text), []);
    }

    #[test]
    fn code_after_a_char_quote_is_still_seen() {
        assert_eq!(targets("wal", "const Q: char = '\"';\nuse crate::storage::P;"), [(2, "storage".into())]);
    }

    #[test]
    fn the_most_specific_row_decides() {
        let nested: Table =
            &[("error", &[]), ("sql::types", &["error"]), ("wal", &["sql::types"]), ("sql", &["sql::types"])];
        let check = |text: &str| {
            check_text(nested, "f.rs", "wal", text).into_iter().map(|v| v.to).collect::<Vec<_>>()
        };
        assert_eq!(check("use crate::sql::types::Datum;"), Vec::<String>::new());
        assert_eq!(check("use crate::sql::parser::parse;"), ["sql"]);
    }

    #[test]
    fn names_reexported_at_the_root_and_globs_are_refused() {
        assert_eq!(targets("wal", "use crate::Database;"), [(1, "(root name) Database".into())]);
        assert_eq!(targets("wal", "use crate::*;"), [(1, "(root name) ".into())]);
    }

    #[test]
    fn a_module_without_a_row_is_an_error() {
        assert_eq!(targets("mystery", ""), [(0, "(no row in the table)".into())]);
    }

    #[test]
    fn a_table_that_allows_a_cycle_is_refused() {
        assert_eq!(table_errors(SAMPLE), Vec::<String>::new());
        let cyclic: Table = &[("wal", &["storage"]), ("storage", &["wal"])];
        assert_eq!(table_errors(cyclic).len(), 1);
    }
}
