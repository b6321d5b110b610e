//! Where test files are.

use std::path::{Path, PathBuf};

/// The repository's root.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_path_buf)
}

/// The folder with the corpora: `LUMOS_CORPORA`, or `../shared/corpora` beside the repository.
pub fn folder() -> PathBuf {
    match std::env::var_os("LUMOS_CORPORA") {
        Some(folder) => PathBuf::from(folder),
        None => repository().join("../shared/corpora"),
    }
}

/// Whether this is a run in which nothing may be missing.
pub fn must_be_complete() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true")
}

/// The files that a pattern names, sorted: as a path or glob from here, or else from the corpora. A folder stands
/// for every `.slt` file in it. A pattern that names nothing gives itself, so that its absence is noticed.
pub fn files(pattern: &str) -> Vec<PathBuf> {
    let in_corpora = folder().join(pattern);
    for candidate in [pattern, &*in_corpora.to_string_lossy()] {
        let mut found: Vec<PathBuf> = expand(candidate);
        if !found.is_empty() {
            found.sort();
            return found;
        }
    }
    vec![PathBuf::from(pattern)]
}

fn expand(pattern: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let Ok(paths) = glob::glob(pattern) else { return files };
    for path in paths.flatten() {
        if path.is_dir() {
            files.extend(expand(&format!("{}/**/*.slt", path.display())));
        } else {
            files.push(path);
        }
    }
    files
}
