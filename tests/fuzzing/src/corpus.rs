//! What was kept: statements by hand in `corpus/`, and every statement of the repository's own SQL files.

use std::path::{Path, PathBuf};

/// Separates entries of a kept file, on a line of its own.
const SEPARATOR: &str = "\n%%\n";

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// All kept inputs, in a fixed order.
/// # Errors
/// Those of reading the files.
pub fn inputs() -> std::io::Result<Vec<Vec<u8>>> {
    let mut inputs = Vec::new();
    for file in files(&folder("corpus"), "sql")? {
        let text = read(&file)?;
        inputs.extend(text.trim_end_matches('\n').split(SEPARATOR).map(|entry| entry.as_bytes().to_vec()));
    }
    for file in files(&folder("../sql"), "slt")? {
        inputs.extend(records(&read(&file)?));
    }
    inputs.extend(HAND_MADE.iter().map(|bytes| bytes.to_vec()));
    Ok(inputs)
}

/// Bytes that no text file can hold.
const HAND_MADE: [&[u8]; 6] = [
    b"",
    b"SELECT 'a\0b'",
    b"SELECT '\xff\xfe'",
    b"\xef\xbb\xbfSELECT 1",
    b"SELECT \xe2\x82",
    b"SELECT 1 \xc0\x80 ; ",
];

#[allow(clippy::disallowed_methods, reason = "a test reads its own files")]
fn read(path: &Path) -> std::io::Result<String> {
    std::fs::read_to_string(path)
}

fn files(folder: &Path, extension: &str) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The SQL of a sqllogictest file's records.
fn records(text: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for record in text.split("\n\n") {
        let mut lines = record.lines().skip_while(|line| line.is_empty() || line.starts_with('#'));
        let head = lines.next().unwrap_or("");
        if head.starts_with("statement") || head.starts_with("query") {
            let sql: Vec<&str> = lines.take_while(|line| *line != "----").collect();
            found.push(sql.join("\n").into_bytes());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kept_inputs_are_there() {
        let inputs = inputs().expect("the corpus is readable");
        assert!(inputs.len() > 1000, "{} inputs", inputs.len());
        assert!(
            inputs
                .iter()
                .any(|input| input
                    == b"CREATE TABLE t (id int PRIMARY KEY, a int, b text, c double precision)")
        );
    }
}
