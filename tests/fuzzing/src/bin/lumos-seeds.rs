//! `lumos-seeds FOLDER`: writes the kept inputs, one a file, as the first corpus of cargo-fuzz.
#![allow(clippy::disallowed_methods, reason = "a tool for the terminal, on ordinary files")]

use std::path::Path;
use std::process::ExitCode;

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
    for (number, input) in lumos_fuzzing::corpus::inputs()?.iter().enumerate() {
        std::fs::write(folder.join(format!("kept-{number:05}")), input)?;
    }
    Ok(())
}
