//! What people and programs get wrong: each is an error that helps, on an ordinary thread and on one with a stack of
//! 128 KiB. Nothing here may end the process.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use lumos_core::common::checksum::crc32c;
use lumos_core::database::Database;
use lumos_core::database::options::DatabaseOptions;
use lumos_core::error::{Error, Result};
use lumos_core::session::Session;
use lumos_core::sql::parser::check_text;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

const SMALL_STACK_BYTES: usize = 128 << 10;

/// Runs a test here and on a thread with a small stack.
fn on_both_stacks(test: impl Fn() + Send + Sync) {
    test();
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(SMALL_STACK_BYTES);
        thread.spawn_scoped(scope, &test).unwrap().join().unwrap();
    });
}

fn database() -> Arc<Database> {
    Database::open(None, DatabaseOptions::default()).unwrap()
}

/// A session with the table `people (id, name, born)` of one row.
fn session() -> Session {
    let mut session = database().connect().unwrap();
    session.execute_script("CREATE TABLE people (id int PRIMARY KEY, name text, born date)").unwrap();
    session.execute_script("INSERT INTO people VALUES (1, 'Ada', '1815-12-10')").unwrap();
    session
}

/// Runs a statement to its end; gives its rows.
fn run(session: &mut Session, sql: &str) -> Result<u64> {
    let (statement, _) = session.prepare(sql)?;
    let mut portal = session.execute(&statement.expect("a statement"), &[])?;
    let mut rows = 0;
    while let Some(batch) = session.fetch(&mut portal)? {
        rows += batch.selected_rows() as u64;
    }
    session.close(portal);
    Ok(rows)
}

fn error_of(session: &mut Session, sql: &str) -> Error {
    match run(session, sql) {
        Err(error) => error,
        Ok(_) => panic!("{} succeeds", &sql[..sql.len().min(200)]),
    }
}

/// The statement fails with this code at the place of `at` in it; the hint names `hint` where one is given; the
/// session goes on.
fn refused(sql: &str, state: &str, at: &str, hint: Option<&str>) {
    let mut session = session();
    let error = error_of(&mut session, sql);
    assert_eq!(error.state().as_str(), state, "{sql}: {error}");
    assert_eq!(error.position(), Some(sql.find(at).unwrap()), "{sql}: {error}");
    if let Some(hint) = hint {
        let text = error.hint_text().unwrap_or_default();
        assert!(text.contains(hint), "{sql}: the hint is {text:?}");
    }
    assert_eq!(run(&mut session, "SELECT * FROM people").unwrap(), 1);
}

#[test]
fn unknown_names_are_found_with_their_place_and_a_near_miss() {
    on_both_stacks(|| {
        refused("SELECT id, nme FROM people", "42703", "nme", Some("name"));
        refused("SELECT id FROM people WHERE nane = 'x'", "42703", "nane", Some("name"));
        refused("UPDATE people SET nam = 'x'", "42703", "nam ", Some("name"));
        refused("INSERT INTO people (idd) VALUES (1)", "42703", "idd", Some("id"));
        refused("SELECT * FROM peple", "42P01", "peple", Some("people"));
        refused("DELETE FROM peoples", "42P01", "peoples", Some("people"));
        refused("SELECT lenght(name) FROM people", "42883", "lenght", Some("length"));
        refused("SELECT nowhere.id FROM people", "42P01", "nowhere", None);
    });
}

#[test]
fn wrong_types_are_refused_where_they_stand() {
    on_both_stacks(|| {
        refused("SELECT id FROM people WHERE name", "42804", "name", None);
        refused("UPDATE people SET id = born", "42804", "born", None);
        refused("SELECT coalesce(id, born) FROM people", "42804", "born", None);
        refused("SELECT id FROM people WHERE id = 'one'", "22P02", "'one'", None);
        refused("INSERT INTO people (id) VALUES ('one')", "22P02", "'one'", None);
        refused("SELECT * FROM people WHERE name = 1", "42883", "= 1", None);
        refused("SELECT name + born FROM people", "42883", "+", None);
    });
}

#[test]
fn text_that_does_not_end_is_a_syntax_error_where_it_begins() {
    on_both_stacks(|| {
        refused("SELECT 'abc", "42601", "'abc", None);
        refused("SELECT \"abc", "42601", "\"abc", None);
        refused("SELECT $x$abc", "42601", "$x$", None);
        refused("SELECT /* abc", "42601", "/*", None);
    });
}

#[test]
fn nul_and_broken_utf8_are_found_at_their_byte() {
    on_both_stacks(|| {
        let limit = 1 << 20;
        for (text, position) in [
            (&b"SELECT '\0'"[..], 8),
            (b"SELECT '\xff'", 8),
            (b"SELECT '\xc3'", 8),
            (b"SELECT '\xed\xa0\x80'", 8),
            (b"SELECT '\xf4\x90\x80\x80'", 8),
            (b"\0", 0),
        ] {
            let error = check_text(text, limit).unwrap_err();
            assert_eq!(error.state().as_str(), "22021", "{text:?}");
            assert_eq!(error.position(), Some(position), "{text:?}");
        }
        assert_eq!(check_text("SELECT 'ä'".as_bytes(), limit).unwrap(), "SELECT 'ä'");
        let mut session = session();
        assert_eq!(error_of(&mut session, "SELECT '\0'").state().as_str(), "22021");
    });
}

#[test]
fn deep_nesting_is_refused_and_moderate_nesting_runs() {
    on_both_stacks(|| {
        let nested = |depth: usize, open: &str, inner: &str, close: &str| {
            format!("SELECT {}{inner}{}", open.repeat(depth), close.repeat(depth))
        };
        let mut session = session();
        for (open, inner, close) in [
            ("(", "1", ")"),
            ("abs(", "1", ")"),
            ("NOT ", "true", ""),
            ("- ", "1", ""),
            ("CASE WHEN true THEN ", "1", " END"),
            ("1 + (", "1", ")"),
            ("(", "1", ") + 1"),
            ("CAST(", "1", " AS int)"),
        ] {
            let error = error_of(&mut session, &nested(10_000, open, inner, close));
            assert_eq!(error.state().as_str(), "54001", "{open}: {error}");
            assert_eq!(run(&mut session, &nested(50, open, inner, close)).unwrap(), 1, "{open}");
        }
        // Never closed.
        let state = error_of(&mut session, &nested(10_000, "(", "1", "")).state();
        assert!(matches!(state.as_str(), "54001" | "42601"), "{state}");
    });
}

#[test]
fn long_lists_and_chains_run() {
    on_both_stacks(|| {
        let mut session = session();
        let numbers: Vec<String> = (1..=100_000).map(|number| number.to_string()).collect();
        let list = format!("SELECT id FROM people WHERE id IN ({})", numbers.join(", "));
        assert_eq!(run(&mut session, &list).unwrap(), 1);
        let list = format!("SELECT id FROM people WHERE id NOT IN ({})", numbers.join(", "));
        assert_eq!(run(&mut session, &list).unwrap(), 0);
        let terms: Vec<String> = (1..=10_000).map(|number| format!("id = {number}")).collect();
        let chain = format!("SELECT id FROM people WHERE {}", terms.join(" OR "));
        assert_eq!(run(&mut session, &chain).unwrap(), 1);
        let terms: Vec<String> = (2..=10_000).map(|number| format!("id <> {number}")).collect();
        let chain = format!("SELECT id FROM people WHERE {}", terms.join(" AND "));
        assert_eq!(run(&mut session, &chain).unwrap(), 1);
        // Sums nest to the left: a long one is too deep, as parentheses are.
        let sum = |terms: usize| format!("SELECT {}", vec!["1"; terms].join(" + "));
        assert_eq!(run(&mut session, &sum(150)).unwrap(), 1);
        assert_eq!(error_of(&mut session, &sum(10_000)).state().as_str(), "54001");
        let rows: Vec<String> = (0..10_000).map(|number| format!("({number})")).collect();
        assert_eq!(run(&mut session, &format!("VALUES {}", rows.join(", "))).unwrap(), 10_000);
    });
}

#[test]
fn a_statement_beyond_the_size_that_is_set_is_refused() {
    on_both_stacks(|| {
        let options = DatabaseOptions { max_statement_size: 100, ..DatabaseOptions::default() };
        let mut session = Database::open(None, options).unwrap().connect().unwrap();
        let statement = |bytes: usize| format!("SELECT '{}'", "x".repeat(bytes - 9));
        assert_eq!(run(&mut session, &statement(100)).unwrap(), 1);
        assert_eq!(error_of(&mut session, &statement(101)).state().as_str(), "54000");
        assert_eq!(session.execute_script(&statement(101)).unwrap_err().state().as_str(), "54000");
        assert_eq!(run(&mut session, "SELECT 1").unwrap(), 1);
    });
}

/// A folder of its own, gone when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let thread = format!("{:?}", std::thread::current().id());
        let number: String = thread.chars().filter(char::is_ascii_digit).collect();
        let folder = std::env::temp_dir().join(format!("lumos-bad-{}-{name}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[allow(clippy::disallowed_methods, reason = "a test plays the part of other programs")]
fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
}

#[allow(clippy::disallowed_methods, reason = "a test plays the part of other programs")]
fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

#[allow(clippy::disallowed_methods, reason = "a test plays the part of other programs")]
fn remove(path: &Path) {
    std::fs::remove_file(path).unwrap();
}

/// A closed database of some rows.
fn small_database(path: &Path) -> Vec<u8> {
    let database = Database::open(Some(path), DatabaseOptions::default()).unwrap();
    let mut session = database.connect().unwrap();
    session.execute_script("CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2)").unwrap();
    drop((session, database));
    read(path)
}

fn open_error(path: &Path) -> Error {
    match Database::open(Some(path), DatabaseOptions::default()) {
        Err(error) => error,
        Ok(_) => panic!("{} opens", path.display()),
    }
}

/// Opening fails so, and the folder holds what it held.
fn not_opened(folder: &Folder, bytes: &[u8], state: &str) {
    let path = folder.file("db");
    write(&path, bytes);
    let error = open_error(&path);
    assert_eq!(error.state().as_str(), state, "{error}");
    assert!(error.message().contains("db"), "the message does not name the file: {error}");
    assert!(read(&path) == bytes, "opening changed a file that it refused");
    let names: Vec<_> =
        std::fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["db"], "opening left something behind");
}

#[test]
fn what_is_no_database_is_refused_and_left_alone() {
    on_both_stacks(|| {
        let folder = Folder::new("refused");
        not_opened(&folder, b"Dear diary, today I wrote no database.\n", "XX001");
        not_opened(&folder, &[b'x'; 300_000], "XX001");
        not_opened(&folder, b"x", "XX001");
        remove(&folder.file("db"));
        let whole = small_database(&folder.file("db"));
        for length in [1, 8, 40, 64, 4096, 16 << 10, 60_000, whole.len() / 2, whole.len() - 1] {
            not_opened(&folder, &whole[..length], "XX001");
        }
        let mut newer = whole.clone();
        newer[8..12].copy_from_slice(&99u32.to_le_bytes());
        newer[12..16].copy_from_slice(&99u32.to_le_bytes());
        let crc = crc32c(&newer[..60]);
        newer[60..64].copy_from_slice(&crc.to_le_bytes());
        not_opened(&folder, &newer, "0A000");
        let mut damaged = whole.clone();
        damaged[20] ^= 1;
        not_opened(&folder, &damaged, "XX001");
        // And what it was made of still opens.
        write(&folder.file("db"), &whole);
        let database = Database::open(Some(&folder.file("db")), DatabaseOptions::default()).unwrap();
        assert_eq!(run(&mut database.connect().unwrap(), "SELECT * FROM t").unwrap(), 2);
    });
}

/// Whom permissions do not stop (root) is stopped by a folder in which nobody can make a file.
#[test]
fn places_where_no_file_can_be_tell_the_systems_reason() {
    on_both_stacks(|| {
        let folder = Folder::new("places");
        write(&folder.file("plain"), b"a file");
        let cases = [
            (folder.0.clone(), &["58030", "42809", "58P01", "XX001"][..], "directory"),
            (folder.file("plain/below"), &["58030", "58P01"], "ot a directory"),
            (folder.file("missing/db"), &["58P01"], "o such file or directory"),
            (folder.file(&"n".repeat(300)), &["58030"], "too long"),
            (PathBuf::from("/proc/lumos"), &["58P01", "42501", "58030"], ""),
        ];
        for (path, states, reason) in cases {
            let error = open_error(&path);
            assert!(states.contains(&error.state().as_str()), "{}: {error}", path.display());
            let told = format!("{} {}", error.message(), error.detail_text().unwrap_or_default());
            assert!(told.contains(reason), "{}: {told}", path.display());
        }
        let options = DatabaseOptions { create: false, ..DatabaseOptions::default() };
        let error = Database::open(Some(&folder.file("absent")), options).unwrap_err();
        assert_eq!(error.state().as_str(), "58P01", "{error}");
        assert!(!folder.file("absent").exists());
    });
}

#[cfg(unix)]
#[test]
fn a_folder_without_permission_tells_so_or_we_are_root() {
    use std::os::unix::fs::PermissionsExt;
    on_both_stacks(|| {
        let folder = Folder::new("permission");
        let locked = folder.file("locked");
        std::fs::create_dir(&locked).unwrap();
        std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o555)).unwrap();
        match Database::open(Some(&locked.join("db")), DatabaseOptions::default()) {
            Err(error) => assert_eq!(error.state().as_str(), "42501", "{error}"),
            // Root writes everywhere; then the folder must show it, or the test proves nothing.
            Ok(database) => {
                assert!(std::fs::create_dir(locked.join("probe")).is_ok(), "only Lumos can write there");
                drop(database);
            }
        }
    });
}

#[test]
fn a_database_of_another_process_is_in_use_by_its_id() {
    on_both_stacks(|| {
        let folder = Folder::new("held");
        let path = folder.file("db");
        small_database(&path);
        let mut holder = Command::new(env!("CARGO_BIN_EXE_lumos-hold"))
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "open\n");
        let error = open_error(&path);
        assert_eq!(error.state().as_str(), "55006", "{error}");
        let told = format!("{} {}", error.message(), error.detail_text().unwrap_or_default());
        assert!(told.contains(&holder.id().to_string()), "{told}");
        drop(holder.stdin.take());
        assert!(holder.wait().unwrap().success());
        let database = Database::open(Some(&path), DatabaseOptions::default()).unwrap();
        assert_eq!(run(&mut database.connect().unwrap(), "SELECT * FROM t").unwrap(), 2);
    });
}
