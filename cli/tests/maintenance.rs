//! `lumos check`, `lumos salvage`, `lumos backup` as people run them, on sound and damaged files.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::disallowed_methods, reason = "a test plays the part of a person with files")]

use std::path::PathBuf;
use std::process::Command;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let folder = std::env::temp_dir().join(format!("lumos-maintenance-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn lumos(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_lumos")).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn filled(folder: &Folder) -> String {
    let file = folder.file("app.lumos");
    let sql = "CREATE TABLE people (id int PRIMARY KEY, name text UNIQUE);
               INSERT INTO people SELECT n, 'person ' || n FROM generate_series(1, 2000) AS g(n);
               CREATE VIEW few AS SELECT * FROM people WHERE id < 3";
    let (status, _, err) = lumos(&[&file, "-c", sql]);
    assert_eq!((status, err.as_str()), (0, ""));
    file
}

/// The beginning of a block that holds a text.
fn block_with(bytes: &[u8], text: &[u8], page_size: usize) -> usize {
    let at = bytes.windows(text.len()).position(|window| window == text).unwrap();
    at / page_size * page_size
}

#[test]
fn a_check_of_a_sound_file_says_what_it_looked_at() {
    let folder = Folder::new("sound");
    let file = filled(&folder);
    let before = std::fs::read(&file).unwrap();
    let (status, out, err) = lumos(&["check", &file]);
    assert_eq!((status, err.as_str()), (0, ""), "{out}");
    assert!(out.contains("1 tables, 1 views, 2000 rows, 2000 index entries"), "{out}");
    assert!(out.ends_with(": 0 findings\n"), "{out}");
    assert!(std::fs::read(&file).unwrap() == before);
}

#[test]
fn a_damaged_file_fails_its_check_and_is_salvaged() {
    let folder = Folder::new("damaged");
    let file = filled(&folder);
    let mut bytes = std::fs::read(&file).unwrap();
    let page_size = u32::from_le_bytes(bytes[16..20].try_into().unwrap()) as usize;
    let block = block_with(&bytes, b"person 1000", page_size);
    bytes[block + 200] ^= 0xFF;
    std::fs::write(&file, &bytes).unwrap();
    let (status, out, err) = lumos(&["check", &file]);
    assert_eq!((status, err.as_str()), (1, ""));
    let place = format!("file \"{file}\", block {}", block / page_size);
    assert!(
        out.contains(&place) && out.contains("of table \"people\"") | out.contains(", table \"people\""),
        "{out}"
    );

    let copy = folder.file("saved.lumos");
    let (status, out, err) = lumos(&["salvage", &file, &copy]);
    assert_eq!((status, err.as_str()), (0, ""), "{out}");
    assert!(out.contains(&place) && out.contains("table \"people\":"), "{out}");
    assert!(std::fs::read(&file).unwrap() == bytes, "the damaged file is left alone");
    let (status, out, _) = lumos(&["check", &copy]);
    assert_eq!(status, 0, "{out}");
    let (status, out, _) =
        lumos(&["--format", "csv", &copy, "-c", "SELECT count(*) > 1500 AS many FROM people"]);
    assert_eq!((status, out.as_str()), (0, "many\nt\n"));
    let (status, _, err) = lumos(&["salvage", &file, &copy]);
    assert!(status == 1 && err.contains("42710") && err.contains("exists already"), "{err}");
}

#[test]
fn a_backup_is_made_of_a_file_and_from_inside_a_session() {
    let folder = Folder::new("backup");
    let file = filled(&folder);
    let (copy, second) = (folder.file("copy.lumos"), folder.file("second.lumos"));
    let (status, out, err) = lumos(&["backup", &file, &copy]);
    assert_eq!((status, out, err.as_str()), (0, format!("wrote \"{copy}\"\n"), ""));
    let (status, out, err) =
        lumos(&[&copy, "-c", "DELETE FROM people WHERE id > 7", "-c", &format!("\\backup {second}")]);
    assert_eq!((status, err.as_str()), (0, ""), "{out}");
    let (status, out, _) = lumos(&["--format", "csv", &second, "-c", "SELECT count(*) FROM people"]);
    assert_eq!((status, out.as_str()), (0, "count\n7\n"));
    let (status, _, err) = lumos(&["backup", &folder.file("none"), &folder.file("other")]);
    assert!(status == 1 && err.starts_with("ERROR:  58P01"), "{err}");
    assert!(!std::path::Path::new(&folder.file("other")).exists());
}

#[test]
fn each_command_has_its_help_and_refuses_wrong_arguments() {
    for (word, usage) in [("check", "FILE"), ("salvage", "FILE NEWFILE"), ("backup", "FILE NEWFILE")] {
        let (status, out, _) = lumos(&[word, "--help"]);
        assert_eq!(status, 0);
        assert!(out.starts_with(&format!("lumos {word}: ")) && out.contains(usage), "{out}");
        assert!(out.contains("xit status: 0"), "{out}");
        let (status, _, err) = lumos(&[word]);
        assert!(status == 2 && err.contains(word), "{err}");
    }
    assert!(lumos(&["--help"]).1.contains("lumos salvage FILE NEWFILE"));
}
