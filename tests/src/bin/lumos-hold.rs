//! `lumos-hold FILE`: opens a database, says `open` on a line of its own, and keeps it open until its standard
//! input ends. For tests of a database that another process has.

use lumos_core::database::Database;
use lumos_core::database::options::DatabaseOptions;
use std::io::{Read, Write};
use std::process::ExitCode;

fn hold() -> Result<(), String> {
    let path = std::env::args_os().nth(1).ok_or("which file?")?;
    let database = Database::open(Some(path.as_ref()), DatabaseOptions::default())
        .map_err(|error| format!("{}: {}", error.state(), error.message()))?;
    let mut out = std::io::stdout();
    writeln!(out, "open").and_then(|()| out.flush()).map_err(|error| error.to_string())?;
    std::io::stdin().read_to_end(&mut Vec::new()).map_err(|error| error.to_string())?;
    drop(database);
    Ok(())
}

fn main() -> ExitCode {
    match hold() {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            // Nobody is left to tell when this fails.
            let _ = writeln!(std::io::stderr(), "lumos-hold: {reason}");
            ExitCode::FAILURE
        }
    }
}
