//! `lumos-seeds FOLDER`: writes inputs, one a file, as the first corpus of cargo-fuzz: the kept ones of SQL, or, for a folder
//! named `page`, `log` or `file`, generated edits of files.
#![allow(clippy::disallowed_methods, reason = "a tool for the terminal, on ordinary files")]

use std::path::Path;
use std::process::ExitCode;

/// Inputs for a target of files.
const GENERATED: u64 = 500;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1) else {
        eprintln!("usage: lumos-seeds FOLDER");
        return ExitCode::FAILURE;
    };
    match write_all(Path::new(&folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lumos-seeds: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write_all(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    if folder.file_name().is_some_and(|name| name == "page" || name == "log" || name == "file") {
        for number in 0..GENERATED {
            std::fs::write(
                folder.join(format!("generated-{number:05}")),
                lumos_fuzzing::damage::generated(1, number),
            )?;
        }
        return Ok(());
    }
    for (number, input) in lumos_fuzzing::corpus::inputs()?.iter().enumerate() {
        std::fs::write(folder.join(format!("kept-{number:05}")), input)?;
    }
    Ok(())
}
