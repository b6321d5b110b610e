//! Generates what is committed: `xtask header` writes `include/lumos_core.h`, `xtask docs` the reference pages.
//! With `--check` nothing is written; the exit status is 1 when a file differs.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a tool for the terminal, on ordinary files"
)]

mod sql_pages;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What the header is made of, in its order.
const HEADER_SOURCES: [&str; 14] = [
    "abi.rs",
    "library.rs",
    "error.rs",
    "config.rs",
    "database.rs",
    "connection.rs",
    "statement.rs",
    "bind.rs",
    "result.rs",
    "transaction.rs",
    "copy.rs",
    "notification.rs",
    "backup.rs",
    "seed.rs",
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let check = arguments.iter().any(|argument| argument == "--check");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_path_buf();
    let outputs = match arguments.first().map(String::as_str) {
        Some("header") => header(&root).map(|text| vec![(root.join("include/lumos_core.h"), text)]),
        Some("docs") => {
            let mut outputs = vec![(root.join("docs/errors.md"), errors_page())];
            outputs.extend(
                sql_pages::all().into_iter().map(|(name, text)| (root.join("docs/sql").join(name), text)),
            );
            Ok(outputs)
        }
        _ => Err(String::from("usage: xtask header|docs [--check]")),
    };
    match outputs.and_then(|outputs| write_all(outputs, check)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

fn write_all(outputs: Vec<(PathBuf, String)>, check: bool) -> Result<(), String> {
    for (path, text) in outputs {
        let old = fs::read_to_string(&path).unwrap_or_default();
        if old == text {
            continue;
        }
        if check {
            return Err(format!(
                "{} differs from what would be generated: run `make header docs`",
                path.display()
            ));
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        println!("wrote {}", path.display());
    }
    Ok(())
}

fn header(root: &Path) -> Result<String, String> {
    let config = cbindgen::Config::from_file(root.join("xtask/cbindgen.toml"))?;
    // In the order of the header: the sources, not the crate, so that nothing but `ffi` is looked at.
    let mut builder = cbindgen::Builder::new().with_config(config);
    for file in HEADER_SOURCES {
        builder = builder.with_src(root.join("rust-core/src/ffi").join(file));
    }
    let bindings = builder.generate().map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    bindings.write(&mut bytes);
    let text = String::from_utf8(bytes).map_err(|error| error.to_string())?;
    Ok(text.replace("\n # Safety\n", "\n The caller keeps:\n"))
}

fn errors_page() -> String {
    let mut page = String::from(
        "# SQLSTATE codes\n\nGenerated from `rust-core/src/error.rs` by `make docs`. The codes and their classes are \
         PostgreSQL's.\n\n| code | meaning |\n| --- | --- |\n",
    );
    for (state, meaning) in lumos_core::error::SqlState::ALL {
        page.push_str(&format!("| {} | {meaning} |\n", state.as_str()));
    }
    page
}
