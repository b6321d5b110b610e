//! `slt [--on-disk] [--path=vectorised|point|auto] [--page-size N] [--memory-limit N] [-v] FILES…`
//!
//! Runs sqllogictest files, each against a fresh database. The last line is `N passed, M failed`; the exit status
//! is 1 when anything failed or nothing ran.

use lumos_tests::connection::Path;
use lumos_tests::corpora;
use lumos_tests::report::Report;
use lumos_tests::run::{RunOptions, run_file};
use std::io::Write;
use std::process::ExitCode;

/// Failures told of each file unless `-v` is given.
const FAILURES_SHOWN: usize = 3;

struct Arguments {
    options: RunOptions,
    patterns: Vec<String>,
    verbose: bool,
}

fn arguments() -> Result<Arguments, String> {
    let mut parsed = Arguments { options: RunOptions::default(), patterns: Vec::new(), verbose: false };
    let mut rest = std::env::args().skip(1);
    while let Some(argument) = rest.next() {
        let (name, mut value) = match argument.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name.to_owned(), Some(value.to_owned())),
            _ => (argument.clone(), None),
        };
        if matches!(&*name, "--path" | "--page-size" | "--memory-limit") && value.is_none() {
            value = rest.next();
        }
        let options = &mut parsed.options;
        match (&*name, value) {
            ("--on-disk", None) => options.on_disk = true,
            ("-v" | "--verbose", None) => parsed.verbose = true,
            ("--page-size", Some(value)) => options.page_size = Some(value),
            ("--memory-limit", Some(value)) => options.memory_limit = Some(value),
            ("--path", Some(value)) => {
                options.path = [Path::Vectorised, Path::Point, Path::Auto]
                    .into_iter()
                    .find(|path| path.word() == value)
                    .ok_or_else(|| format!("--path is vectorised, point or auto, not {value}"))?;
            }
            (name, _) if name.starts_with('-') => return Err(format!("unknown option {argument}")),
            _ => parsed.patterns.push(argument),
        }
    }
    if parsed.patterns.is_empty() {
        return Err("which files?".to_owned());
    }
    Ok(parsed)
}

fn run() -> std::io::Result<bool> {
    let mut out = std::io::stdout();
    let mut errors = std::io::stderr();
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(reason) => {
            writeln!(errors, "slt: {reason}")?;
            writeln!(out, "0 passed, 0 failed")?;
            return Ok(false);
        }
    };
    // Panics are counted; their messages are among the failures.
    std::panic::set_hook(Box::new(|_| {}));
    let mut total = Report::default();
    for pattern in &arguments.patterns {
        for file in corpora::files(pattern) {
            let report = run_file(&file, &arguments.options);
            writeln!(out, "{}: {}/{}", file.display(), report.passed, report.passed + report.failed)?;
            let shown = if arguments.verbose { usize::MAX } else { FAILURES_SHOWN };
            for failure in report.failures.iter().take(shown) {
                writeln!(errors, "{failure}\n")?;
            }
            total.add(&report);
        }
    }
    writeln!(out, "{} statements on the short path, {} on pipelines", total.on_point, total.on_pipelines)?;
    writeln!(out, "{} passed, {} failed", total.passed, total.failed)?;
    Ok(total.is_success())
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) | Err(_) => ExitCode::FAILURE,
    }
}
