//! `crash [--kills N] [--seed N] [--folder PATH] [--durability full|normal|off] [--failing-calls LIBRARY]`: kills a
//! committing process N times; with the built `failing_calls.c` its system calls fail meanwhile.
//! Ends with `N kills: … acknowledged, 0 lost, 0 resurrected, 0 findings`, and with status 1 where it is not so.
#![allow(clippy::print_stdout, reason = "it is a program whose output is its purpose")]

use lumos_core::durability::policy::Durability;
use lumos_crash::full;
use lumos_crash::kill::{self, KillOptions};
use lumos_crash::readers;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: crash [--kills N] [--seed N] [--folder PATH] [--durability full|normal|off] \
                     [--failing-calls LIBRARY]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["child", path, seed, round, durability] = words[..] {
        let (Ok(seed), Ok(round), Some(durability)) =
            (seed.parse(), round.parse(), durability_named(durability))
        else {
            return usage();
        };
        return match kill::child(Path::new(path), seed, round, durability) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("child: {error:?}");
                ExitCode::from(3)
            }
        };
    }
    if let [mode @ ("writer" | "planted-writer" | "reader"), path, seed] = words[..] {
        let Ok(seed) = seed.parse() else { return usage() };
        #[cfg(feature = "planted")]
        if mode == "planted-writer" {
            use lumos_core::common::planted::{PlantedFault, plant};
            plant(Some(PlantedFault::ReadersIgnored));
        }
        let path = Path::new(path);
        let ended = if mode == "reader" { readers::reader(path, seed) } else { readers::writer(path, seed) };
        return match ended {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{mode}: {error:?}");
                ExitCode::from(3)
            }
        };
    }
    if let ["full", folder] = words[..] {
        return match full::run(Path::new(folder)) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => {
                println!("full: {error:?}");
                ExitCode::FAILURE
            }
        };
    }
    let Ok(program) = std::env::current_exe() else { return usage() };
    let mut options = KillOptions {
        program,
        folder: std::env::temp_dir().join(format!("lumos-crash-{}", std::process::id())),
        kills: 50,
        seed: u64::from(std::process::id()),
        durability: Durability::Full,
        failing_calls: None,
    };
    let mut is_own_folder = true;
    for pair in words.chunks(2) {
        let understood = match pair {
            ["--kills", text] => text.parse().map(|number| options.kills = number).is_ok(),
            ["--seed", text] => text.parse().map(|number| options.seed = number).is_ok(),
            ["--durability", text] => {
                durability_named(text).map(|durability| options.durability = durability).is_some()
            }
            ["--failing-calls", path] => {
                options.failing_calls = Some(PathBuf::from(path));
                true
            }
            ["--folder", path] => {
                options.folder = PathBuf::from(path);
                is_own_folder = false;
                true
            }
            _ => false,
        };
        if !understood {
            return usage();
        }
    }
    println!("seed {}, folder {}", options.seed, options.folder.display());
    let figures = match kill::run(&options, |line| println!("{line}")) {
        Ok(figures) => figures,
        Err(error) => {
            println!("failed with seed {}: {error:?}", options.seed);
            return ExitCode::FAILURE;
        }
    };
    if is_own_folder && figures.is_sound() {
        // What is left of a failure stays for whoever looks at it.
        let _ = std::fs::remove_dir_all(&options.folder);
    }
    println!("{} numbers told by sequences, {} told twice", figures.told, figures.repeated);
    println!("{} second opens refused, {} rounds with a failing call", figures.second_opens, figures.faults);
    println!(
        "{} kills: {} acknowledged, {} lost, {} resurrected, {} findings",
        options.kills, figures.acknowledged, figures.lost, figures.resurrected, figures.findings
    );
    if figures.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn durability_named(name: &str) -> Option<Durability> {
    [Durability::Full, Durability::Normal, Durability::Off]
        .into_iter()
        .find(|durability| durability.name() == name)
}

fn usage() -> ExitCode {
    println!("{USAGE}");
    ExitCode::from(2)
}
