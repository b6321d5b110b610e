//! The session that the README shows, run again: what is printed there is what the shell prints.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::disallowed_methods, reason = "a test plays the part of a person with files")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The shell's output and errors, one after the other.
fn run(folder: &Path, arguments: &[&str], input: Option<&Path>) -> String {
    let input = input.map_or_else(Stdio::null, |file| std::fs::File::open(file).unwrap().into());
    let ran = Command::new(env!("CARGO_BIN_EXE_lumos"))
        .args(arguments)
        .current_dir(folder)
        .stdin(input)
        .output()
        .unwrap();
    String::from_utf8(ran.stdout).unwrap() + &String::from_utf8(ran.stderr).unwrap()
}

/// The block of the README in which the shell is started.
fn session() -> String {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    let block = readme.split("```").find(|block| block.starts_with("\n$ bin/lumos ")).unwrap();
    block.trim_start().to_owned()
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("lumos-readme-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn the_session_in_the_readme_is_what_the_shell_prints() {
    let folder = folder("session");
    let session = session();
    let mut lines = session.lines().peekable();
    assert_eq!(lines.next(), Some("$ bin/lumos app.lumos"));
    let greeting = format!("lumos {}: \\? lists commands, \\q leaves", env!("CARGO_PKG_VERSION"));
    assert_eq!(lines.next(), Some(&*greeting));
    let mut statements = 0;
    while let Some(line) = lines.next_if(|line| !line.starts_with("$ ")) {
        let mut statement =
            line.strip_prefix("lumos> ").unwrap_or_else(|| panic!("no prompt: {line}")).to_owned();
        while let Some(rest) = lines.next_if(|line| line.starts_with("lumos- ")) {
            statement = format!("{statement}\n{}", &rest["lumos- ".len()..]);
        }
        let mut shown = String::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with("lumos") && !line.starts_with("$ ")) {
            shown = format!("{shown}{line}\n");
        }
        assert_eq!(run(&folder, &["app.lumos", "-c", &statement], None), shown, "{statement}");
        statements += 1;
    }
    assert!(statements >= 5, "{statements}");
    std::fs::write(folder.join("report.sql"), "SELECT * FROM people;").unwrap();
    let mut commands = 0;
    for line in lines {
        let mut words: Vec<&str> = line.strip_prefix("$ bin/lumos ").unwrap().split(' ').collect();
        // What a shell would do with quotes and redirections.
        let quoted = line.split('\'').nth(1);
        if let Some(start) = words.iter().position(|word| word.starts_with('\'')) {
            words.truncate(start);
            words.extend(quoted);
        }
        let input = words.iter().position(|word| *word == "<").map(|sign| folder.join(words[sign + 1]));
        words.retain(|word| *word != "<" && *word != "report.sql");
        let printed = run(&folder, &words, input.as_deref());
        let expected = match words.contains(&"csv") {
            true => "id,name,born\n1,Ada,1815-12-10\n2,Charles,1791-12-26\n",
            false => concat!(
                r#"[{"id":1,"name":"Ada","born":"1815-12-10"},"#,
                "\n",
                r#"{"id":2,"name":"Charles","born":"1791-12-26"}]"#,
                "\n"
            ),
        };
        assert_eq!(printed, expected, "{line}");
        commands += 1;
    }
    assert_eq!(commands, 2);
    std::fs::remove_dir_all(&folder).unwrap();
}
