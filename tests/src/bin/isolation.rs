//! `isolation [-v] FILES…`: runs isolation scenarios, each against a fresh database. The last line is
//! `N passed, M failed`; the exit status is 1 when anything failed or nothing ran.

use lumos_tests::corpora;
use lumos_tests::isolation::judge::{Verdict, judge};
use lumos_tests::isolation::run::run;
use lumos_tests::isolation::scenario;
use std::io::Write;
use std::process::ExitCode;

/// Failures told of each file unless `-v` is given.
const FAILURES_SHOWN: usize = 3;

#[derive(Default)]
struct Tally {
    passed: u64,
    failed: u64,
    stricter: u64,
}

fn main() -> ExitCode {
    match work() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) | Err(_) => ExitCode::FAILURE,
    }
}

fn work() -> std::io::Result<bool> {
    let (mut out, mut errors) = (std::io::stdout(), std::io::stderr());
    let (options, patterns): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|word| word.starts_with('-'));
    let verbose = options.iter().any(|option| option == "-v");
    if patterns.is_empty() || options.iter().any(|option| option != "-v") {
        writeln!(errors, "isolation: [-v] FILES…")?;
    }
    // Panics are outcomes; their messages would only be in the way.
    std::panic::set_hook(Box::new(|_| {}));
    let mut total = Tally::default();
    for file in patterns.iter().flat_map(|pattern| corpora::files(pattern)) {
        let runs = scenario::runs(&std::fs::read_to_string(&file)?);
        let mut here = Tally::default();
        let mut failures = Vec::new();
        match runs {
            Err(reason) => {
                here.failed += 1;
                failures.push(reason);
            }
            Ok(runs) => {
                for scenario in runs {
                    let verdict =
                        run(&scenario).map_or_else(Verdict::Failed, |found| judge(&scenario, &found));
                    match verdict {
                        Verdict::Passed => here.passed += 1,
                        Verdict::Stricter => {
                            here.passed += 1;
                            here.stricter += 1;
                        }
                        Verdict::Failed(reason) => {
                            here.failed += 1;
                            failures.push(format!("{}\n    {reason}", scenario.name));
                        }
                    }
                }
            }
        }
        writeln!(out, "{}: {}/{}", file.display(), here.passed, here.passed + here.failed)?;
        for failure in failures.iter().take(if verbose { usize::MAX } else { FAILURES_SHOWN }) {
            writeln!(errors, "{failure}\n")?;
        }
        total.passed += here.passed;
        total.failed += here.failed;
        total.stricter += here.stricter;
    }
    writeln!(out, "{} refused somebody where PostgreSQL refused nobody", total.stricter)?;
    writeln!(out, "{} passed, {} failed", total.passed, total.failed)?;
    Ok(total.failed == 0 && total.passed > 0)
}
