//! What the programs of this crate say of their own process: lines on the standard output, and memory as the system
//! counts it. Knows nothing of the engine.

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

/// A number of kB in /proc/self/status, in bytes; 0 where the system has no such file.
pub fn status(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    number.unwrap_or(0) << 10
}

/// A line on the standard output.
pub fn say(text: &str) {
    // Nobody is left to tell when this fails.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// How the program `name` ends that measured whether its floors are reached; unoptimised, none counts.
pub fn exit_code<E: Display>(name: &str, measured: Result<bool, E>) -> ExitCode {
    match measured {
        Ok(is_reached) => {
            let fails = !is_reached && !cfg!(debug_assertions);
            if fails {
                say("a floor was missed");
            }
            ExitCode::from(u8::from(fails))
        }
        Err(error) => {
            // Nobody is left to tell when this fails.
            let _ = writeln!(std::io::stderr(), "{name}: {error}");
            ExitCode::FAILURE
        }
    }
}
