//! `lumos`: the shell. Reads SQL from a prompt, a pipe, a file or the command line, runs it in one session, and
//! writes the results. Knows the engine's database and session, and nothing below them.
#![allow(
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a program for the terminal: it writes to its streams and reads the files it is given"
)]

mod arguments;
mod command;
mod describe;
mod maintenance;
mod output;
mod prompt;
mod report;
mod shell;
mod splitter;

use crate::arguments::{Arguments, Request};
use crate::shell::{Input, Interrupt, Outcome, Reader, Shell};
use lumos_core::database::Database;
use lumos_core::database::options::DatabaseOptions;
use lumos_core::error::Result;
use lumos_core::session::Session;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The exit status of a wrong command line.
const USAGE: u8 = 2;
/// The exit status after Ctrl-C outside a statement: 128 + SIGINT, as shells have it.
const INTERRUPTED: i32 = 130;

fn main() -> ExitCode {
    let mut out = BufWriter::with_capacity(64 << 10, io::stdout());
    match arguments::parse(lexopt::Parser::from_env()) {
        Ok(Request::Run(arguments)) => run(arguments, &mut out),
        Ok(Request::Maintain(task, options)) => {
            std::panic::set_hook(Box::new(|_| {}));
            maintenance::run(&task, &options, &mut out)
        }
        Ok(Request::Help(text)) => told(out.write_all(text.as_bytes()).and_then(|()| out.flush())),
        Ok(Request::Version) => {
            told(writeln!(out, "lumos {}", env!("CARGO_PKG_VERSION")).and_then(|()| out.flush()))
        }
        Err(message) => {
            eprintln!("lumos: {message}; lumos --help tells more");
            ExitCode::from(USAGE)
        }
    }
}

fn told(written: io::Result<()>) -> ExitCode {
    if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn open(arguments: &Arguments) -> Result<(Arc<Database>, Session)> {
    let mut options = DatabaseOptions::default();
    for (name, value) in &arguments.options {
        options.set(name, value)?;
    }
    let database = Database::open(arguments.database.as_deref(), options)?;
    let session = database.connect()?;
    Ok((database, session))
}

fn run(arguments: Arguments, out: &mut dyn Write) -> ExitCode {
    // A panic of the engine is reported as an error of its statement.
    std::panic::set_hook(Box::new(|_| {}));
    let (database, session) = match open(&arguments) {
        Ok(opened) => opened,
        Err(error) => {
            eprint!("{}", report::error(&error, "", report::Origin { input: None, line: 1 }, false));
            return ExitCode::FAILURE;
        }
    };
    let is_dumb = std::env::var_os("TERM").is_some_and(|name| name == "dumb");
    let colour = io::stderr().is_terminal() && !is_dumb && std::env::var_os("NO_COLOR").is_none();
    let mut shell = Shell {
        database,
        session,
        format: arguments.format,
        null: arguments.null,
        timing: false,
        colour,
        interrupt: Interrupt::default(),
        out,
    };
    catch_interrupts(&shell);
    let result = run_all(&mut shell, &arguments.inputs).and_then(|outcome| {
        shell.out.flush()?;
        Ok(outcome)
    });
    match result {
        Ok(Outcome::Done | Outcome::Quit) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::FAILURE,
        // Whoever read our output has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("lumos: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Ctrl-C cancels the statement that runs; without one it ends the shell. (At the prompt it is a key.)
fn catch_interrupts(shell: &Shell<'_>) {
    let (token, interrupt) = (shell.cancel_token(), shell.interrupt.clone());
    let caught = ctrlc::set_handler(move || {
        interrupt.was_pressed.store(true, Ordering::Release);
        if interrupt.is_running.load(Ordering::Acquire) {
            token.cancel(0);
        } else {
            std::process::exit(INTERRUPTED);
        }
    });
    if let Err(error) = caught {
        eprintln!("lumos: Ctrl-C will end the shell: {error}");
    }
}

fn run_all(shell: &mut Shell<'_>, inputs: &[arguments::Input]) -> io::Result<Outcome> {
    if inputs.is_empty() {
        if io::stdin().is_terminal() && io::stdout().is_terminal() {
            return converse(shell);
        }
        return run_standard(shell);
    }
    for input in inputs {
        let outcome = match input {
            arguments::Input::Text(text) => {
                let input = Input { name: None, stops_at_failure: true, depth: 0 };
                shell.run_input(&mut Reader(text.as_bytes()), input)?
            }
            arguments::Input::File(path) => shell.run_file(path, true, 0)?,
            arguments::Input::Standard => run_standard(shell)?,
        };
        if outcome != Outcome::Done {
            return Ok(outcome);
        }
    }
    Ok(Outcome::Done)
}

fn run_standard(shell: &mut Shell<'_>) -> io::Result<Outcome> {
    let input = Input { name: Some("<stdin>"), stops_at_failure: true, depth: 0 };
    shell.run_input(&mut Reader(io::stdin().lock()), input)
}

/// With a prompt. What failed was told there and then: it says nothing about the session as a whole.
fn converse(shell: &mut Shell<'_>) -> io::Result<Outcome> {
    writeln!(shell.out, "lumos {}: \\? lists commands, \\q leaves", env!("CARGO_PKG_VERSION"))?;
    shell.out.flush()?;
    let input = Input { name: None, stops_at_failure: false, depth: 0 };
    let outcome = shell.run_input(&mut prompt::Prompt::new()?, input)?;
    if outcome != Outcome::Quit {
        // Ctrl-D leaves the cursor behind the prompt.
        writeln!(shell.out)?;
    }
    Ok(Outcome::Done)
}
