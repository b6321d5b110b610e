//! Checking everything a database holds, from its headers to its index entries, and naming what is wrong by file,
//! block and object. Knows storage, catalog and tables. Repairs nothing.

use crate::catalog::catalog::unfinished_trees;
use crate::catalog::snapshot::CatalogSnapshot;
use crate::catalog::table_definition::TableDefinition;
use crate::catalog::verify::{broken_foreign_keys, read_definitions, verify_names};
use crate::common::cancel::CancelToken;
use crate::common::ids::{CATALOG_TREE, COUNTER_TREE, Lsn, TreeId};
use crate::common::sync::Arc;
use crate::error::{Error, Result, SqlState};
use crate::session::computed_values;
use crate::storage::{DIRECTORY_TREE, FIRST_USER_TREE, Finding, Storage};
use crate::table::computed::ComputeValues;
use crate::table::verify as table;
use crate::transaction::manager::TransactionManager;
use crate::transaction::transaction::Transaction;
use crate::transaction::types::IsolationLevel;
use hashbrown::HashMap;

/// What is checked.
pub(super) struct Subject<'a> {
    pub(super) file: &'a str,
    pub(super) storage: &'a Arc<Storage>,
    pub(super) manager: &'a Arc<TransactionManager>,
    /// See [`Storage::verify_each`].
    pub(super) closed_cleanly: bool,
}

/// What each tree is for.
#[derive(Default)]
pub(super) struct TreeNames(HashMap<TreeId, String>);

impl TreeNames {
    pub(super) fn of(definitions: &CatalogSnapshot) -> TreeNames {
        let mut names = HashMap::new();
        for definition in definitions.tables() {
            let table = &definition.name;
            names.insert(definition.layout.tree, format!("table \"{table}\""));
            names.insert(definition.layout.value_tree, format!("large values of table \"{table}\""));
            for (layout, index) in definition.layout.indexes.iter().zip(&definition.indexes) {
                names.insert(layout.tree, format!("index \"{}\" of table \"{table}\"", index.name));
            }
        }
        TreeNames(names)
    }

    pub(super) fn name(&self, tree: TreeId) -> String {
        match tree {
            DIRECTORY_TREE => "the tree directory".to_owned(),
            CATALOG_TREE => "the catalog".to_owned(),
            COUNTER_TREE => "the counters".to_owned(),
            other => self.0.get(&other).cloned().unwrap_or_else(|| format!("tree {other}")),
        }
    }

    fn knows(&self, tree: TreeId) -> bool {
        tree < FIRST_USER_TREE || self.0.contains_key(&tree)
    }

    /// One line: file, block, page, object, what is wrong.
    pub(super) fn line(&self, file: &str, finding: &Finding) -> String {
        let mut line = format!("file \"{file}\"");
        if let Some(block) = finding.block {
            line.push_str(&format!(", block {block}"));
        }
        if let Some(page) = finding.page {
            line.push_str(&format!(", page {page}"));
        }
        if let Some(tree) = finding.tree {
            line.push_str(&format!(", {}", self.name(tree)));
        }
        format!("{line}: {}", finding.what)
    }
}

/// Checks everything; see [`super::Database::verify`].
pub(super) fn verify(subject: &Subject<'_>, report: &mut dyn FnMut(&str)) -> Result<u64> {
    // Storage findings come before the names of trees can be read.
    let mut early = Vec::new();
    let seen = subject.storage.verify_each(subject.closed_cleanly, &mut |finding| early.push(finding))?;
    let mut transaction = subject.manager.begin(IsolationLevel::RepeatableRead, true, CancelToken::default());
    transaction.start_statement()?;
    let mut unread = Vec::new();
    let definitions =
        match read_definitions(&transaction, &mut |what| unread.push(Finding::in_tree(CATALOG_TREE, what))) {
            Ok(definitions) => definitions,
            Err(error) if error.state() == SqlState::DATA_CORRUPTED => {
                if !seen.broken.contains(&CATALOG_TREE) {
                    unread.push(catalog_finding(&error));
                }
                CatalogSnapshot::empty()
            }
            Err(error) => return Err(error),
        };
    let names = TreeNames::of(&definitions);
    let mut findings = 0;
    let mut tell = |finding: Finding| {
        findings += 1;
        report(&names.line(subject.file, &finding));
    };
    let catalog_is_whole = unread.is_empty() && !seen.broken.contains(&CATALOG_TREE);
    early.into_iter().chain(unread).for_each(&mut tell);
    let mut named = 0;
    if catalog_is_whole {
        named =
            verify_names(&transaction, &definitions, &mut |what| tell(Finding::in_tree(CATALOG_TREE, what)))?;
        for (.., what) in broken_foreign_keys(&definitions) {
            tell(Finding::in_tree(CATALOG_TREE, what));
        }
        let unfinished = match seen.broken.contains(&COUNTER_TREE) {
            true => Vec::new(),
            false => unfinished_trees(&transaction)?,
        };
        for tree in seen.trees.iter().filter(|tree| !names.knows(**tree) && !unfinished.contains(tree)) {
            if is_orphan(subject.storage, *tree, transaction.snapshot_timestamp()) {
                tell(Finding { tree: Some(*tree), ..Finding::new("no definition names it") });
            }
        }
    }
    let mut rows = table::Verified::default();
    let mut tables = 0;
    for definition in definitions.tables() {
        let broken = |tree: TreeId| seen.broken.contains(&tree);
        let seen = check_table(subject, &transaction, definition, &broken, &mut tell)?;
        tables += 1;
        rows.rows += seen.rows;
        rows.index_entries += seen.index_entries;
        rows.large_values += seen.large_values;
        rows.pieces += seen.pieces;
    }
    let views = definitions.views().count();
    transaction.end_statement();
    transaction.rollback();
    report(&format!(
        "looked at {} headers, {} of {} blocks of {} bytes, {} map pages, {} trees with {} entries on {} pages, {named} names, \
         {tables} tables, {views} views, {} rows, {} index entries, {} large values in {} pieces: {findings} findings",
        seen.headers,
        seen.blocks_used,
        seen.blocks,
        subject.storage.page_size(),
        seen.map_pages,
        seen.trees.len(),
        seen.entries,
        seen.pages,
        rows.rows,
        rows.index_entries,
        rows.large_values,
        rows.pieces,
    ));
    Ok(findings)
}

fn catalog_finding(error: &Error) -> Finding {
    let what = error.detail_text().unwrap_or(error.message()).to_owned();
    Finding { tree: Some(CATALOG_TREE), ..Finding::new(what) }
}

fn check_table(
    subject: &Subject<'_>,
    transaction: &Transaction,
    definition: &TableDefinition,
    broken: &dyn Fn(TreeId) -> bool,
    tell: &mut dyn FnMut(Finding),
) -> Result<table::Verified> {
    let computed = match computed_values(definition) {
        Ok(computed) => Some(computed),
        Err(error) => {
            let what = format!("an index of table \"{}\" has a broken expression: {error}", definition.name);
            tell(Finding::in_tree(CATALOG_TREE, what));
            None
        }
    };
    let compute = computed.as_ref().map(|computed| computed as &dyn ComputeValues);
    match table::verify(subject.manager, transaction, &definition.layout, compute, broken, tell) {
        // Dropped since the snapshot was taken, or a tree that the directory does not know.
        Err(error) if error.state() == SqlState::UNDEFINED_TABLE => {
            if is_still_defined(subject.manager, definition)? {
                let trees = [definition.layout.tree, definition.layout.value_tree];
                let indexes = definition.layout.indexes.iter().map(|index| index.tree);
                for tree in trees.into_iter().chain(indexes).filter(|tree| !broken(*tree)) {
                    if subject.storage.tree(tree).is_err() {
                        tell(Finding {
                            tree: Some(tree),
                            ..Finding::new("the tree directory does not know it")
                        });
                    }
                }
            }
            Ok(table::Verified::default())
        }
        other => other,
    }
}

fn is_still_defined(manager: &Arc<TransactionManager>, definition: &TableDefinition) -> Result<bool> {
    let mut transaction = manager.begin(IsolationLevel::RepeatableRead, true, CancelToken::default());
    transaction.start_statement()?;
    let definitions = read_definitions(&transaction, &mut |_| ());
    transaction.end_statement();
    transaction.rollback();
    let now = definitions?.table_by_id(definition.id);
    Ok(now.is_some_and(|now| now.layout.tree == definition.layout.tree))
}

/// Whether a tree that no definition names has been there since before the snapshot, and still is.
fn is_orphan(storage: &Storage, tree: TreeId, snapshot: Lsn) -> bool {
    storage
        .tree(tree)
        .is_ok_and(|tree| tree.get(&[], |_, newest| newest).is_ok_and(|newest| newest <= snapshot))
}
