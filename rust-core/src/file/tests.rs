//! Files of rows: PostgreSQL's examples byte for byte, damaged data, and what is written read back.

use crate::common::memory::MemoryAccount;
use crate::common::random::Random;
use crate::error::{Error, Result};
use crate::file::format::{FileFormat, Header};
use crate::file::reader::RowReader;
use crate::file::writer::RowWriter;

type Row = Vec<Option<String>>;

/// Reads everything; `chunk`: bytes given at once.
fn read_in(bytes: &[u8], format: &FileFormat, columns: &[&str], chunk: usize) -> Result<Vec<Row>> {
    let mut rest = bytes;
    let mut source = |buffer: &mut [u8]| {
        let count = rest.len().min(chunk).min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        rest = &rest[count..];
        Ok(count)
    };
    let names = columns.iter().map(|name| (*name).to_owned()).collect();
    let memory = MemoryAccount::new(1 << 20);
    let mut reader = RowReader::new(format.clone(), names, String::from("t"), &mut source, &memory);
    let mut rows = Vec::new();
    while reader.next_row()? {
        rows.push((0..columns.len()).map(|column| reader.value(column).map(str::to_owned)).collect());
    }
    Ok(rows)
}

/// Reads in pieces of several sizes, which must make no difference.
fn read(bytes: &str, format: &FileFormat, columns: &[&str]) -> Result<Vec<Row>> {
    let whole = read_in(bytes.as_bytes(), format, columns, usize::MAX);
    for chunk in [1, 2, 3, 7] {
        let pieces = read_in(bytes.as_bytes(), format, columns, chunk);
        assert_eq!(format!("{whole:?}"), format!("{pieces:?}"), "{bytes:?} in pieces of {chunk}");
    }
    whole
}

fn shown(rows: Vec<Row>) -> Vec<String> {
    let cell = |value: Option<String>| value.map_or(String::from("NULL"), |value| format!("[{value}]"));
    rows.into_iter().map(|row| row.into_iter().map(cell).collect::<Vec<_>>().concat()).collect()
}

fn csv(bytes: &str) -> Vec<String> {
    shown(read(bytes, &FileFormat::csv(), &["a", "b"]).unwrap())
}

fn text(bytes: &str) -> Vec<String> {
    shown(read(bytes, &FileFormat::text(), &["a", "b"]).unwrap())
}

fn error_of(bytes: &str, format: &FileFormat) -> Error {
    read(bytes, format, &["a", "b"]).unwrap_err()
}

#[test]
fn csv_tells_null_from_an_empty_value_in_quotes() {
    assert_eq!(csv("1,\n2,\"\"\n"), ["[1]NULL", "[2][]"]);
    assert_eq!(csv("\"a\"\"b\",c\"d,e\"f\n"), ["[a\"b][cd,ef]"]);
    assert_eq!(csv("\"two\nlines\",x\nlast,y"), ["[two\nlines][x]", "[last][y]"]);
    assert_eq!(csv("a, b \n"), ["[a][ b ]"]);
    assert_eq!(csv(""), Vec::<String>::new());
    assert_eq!(csv("é,\"ü\"\n"), ["[é][ü]"]);
}

#[test]
fn an_end_marker_ends_the_data() {
    assert_eq!(csv("1,2\n\\.\n3,4\n"), ["[1][2]"]);
    assert_eq!(csv("1,2\n\\.x,4\n"), ["[1][2]", "[\\.x][4]"]);
    assert_eq!(csv("1,2\n\\."), ["[1][2]"]);
    assert_eq!(text("1\t2\n\\.\nrubbish"), ["[1][2]"]);
    assert_eq!(text("1\t2\r\n\\.\r\n3\t4\r\n"), ["[1][2]"]);
    assert_eq!(error_of("1\t2\n\\.x\n", &FileFormat::text()).message(), "end-of-copy marker corrupt");
    let mixed = error_of("1\t2\n\\.\r\n", &FileFormat::text());
    assert_eq!(mixed.message(), "end-of-copy marker does not match previous newline style");
}

#[test]
fn other_quotes_escapes_and_delimiters_are_kept_apart() {
    let format = FileFormat { delimiter: b'|', quote: b'\'', escape: b'\\', ..FileFormat::csv() };
    let read = |bytes| shown(read(bytes, &format, &["a", "b"]).unwrap());
    assert_eq!(read("'it\\'s'|'a\\\\'\n'x|y'|\\'z'\n"), ["[it's][a\\]", "[x|y][\\z]"]);
    assert_eq!(read("'a\\b'|'\\\\\\''\n"), ["[a\\b][\\']"]);
}

#[test]
fn columns_may_force_null_or_its_text() {
    let format = FileFormat {
        null: String::from("x"),
        force_null: vec![true, false],
        force_not_null: vec![false, true],
        ..FileFormat::csv()
    };
    assert_eq!(shown(read("\"x\",x\nx,\"x\"\n", &format, &["a", "b"]).unwrap()), ["NULL[x]", "NULL[x]"]);
}

#[test]
fn text_has_escapes_and_null() {
    assert_eq!(text("\\N\t\n"), ["NULL[]"]);
    assert_eq!(text("\\b\\f\\n\\r\\t\\v\ta\\\\b\n"), ["[\x08\x0c\n\r\t\x0b][a\\b]"]);
    assert_eq!(text("\\101\\x42\\x4g\t\\q\\xg\n"), ["[AB\x04g][qxg]"]);
    assert_eq!(text("\\303\\251\t\\N\\N\n"), ["[é][NN]"]);
    assert_eq!(text("a\\\nb\tc\\\td\n"), ["[a\nb][c\td]"]);
    let wrong = error_of("a\\377\tb\n", &FileFormat::text());
    assert_eq!(wrong.state().as_str(), "22021");
    assert_eq!(wrong.context_text(), Some("COPY t, line 1: \"a\\377\tb\""));
}

#[test]
fn lines_end_as_the_first_one_does() {
    assert_eq!(csv("1,2\r\n3,4\r\n"), ["[1][2]", "[3][4]"]);
    assert_eq!(csv("1,2\r3,4\r"), ["[1][2]", "[3][4]"]);
    assert_eq!(csv("1,2\r\n\"a\nb\",4"), ["[1][2]", "[a\nb][4]"]);
    for (bytes, message) in [
        ("1,2\n3,4\r5,6\n", "unquoted carriage return found in data"),
        ("1,2\r3,4\n", "unquoted newline found in data"),
        ("1,2\r\n3\r,4\r\n", "unquoted carriage return found in data"),
    ] {
        let error = error_of(bytes, &FileFormat::csv());
        assert_eq!((error.message(), error.state().as_str()), (message, "22P04"));
        assert!(error.hint_text().is_some());
    }
    let error = error_of("1\t2\n3\r\t4\n", &FileFormat::text());
    assert_eq!(error.message(), "literal carriage return found in data");
}

#[test]
fn bad_rows_are_named_by_line() {
    for (bytes, message, context) in [
        ("1,2\n3\n", "missing data for column \"b\"", "COPY t, line 2: \"3\""),
        ("1,2,3\n", "extra data after last expected column", "COPY t, line 1: \"1,2,3\""),
        ("1,2\n\"x\ny\",\"open\n", "unterminated CSV quoted field", "COPY t, line 4: \"\"x\ny\",\"open\n\""),
    ] {
        let error = error_of(bytes, &FileFormat::csv());
        assert_eq!((error.message(), error.state().as_str()), (message, "22P04"), "{bytes}");
        assert_eq!(error.context_text(), Some(context), "{bytes}");
    }
    let error = read_in(b"1,\xff\n", &FileFormat::csv(), &["a", "b"], 9).unwrap_err();
    assert_eq!(error.state().as_str(), "22021");
    let error = read_in(b"1,\0\n", &FileFormat::csv(), &["a", "b"], 9).unwrap_err();
    assert_eq!(error.message(), "invalid byte sequence for encoding \"UTF8\": 0x00");
}

#[test]
fn a_header_is_skipped_or_compared() {
    let names = FileFormat { header: Header::Names, ..FileFormat::csv() };
    assert_eq!(shown(read("x,y,z\n1,2\n", &names, &["a", "b"]).unwrap()), ["[1][2]"]);
    let exact = FileFormat { header: Header::Match, ..FileFormat::csv() };
    assert_eq!(shown(read("a,\"b\"\n1,2\n", &exact, &["a", "b"]).unwrap()), ["[1][2]"]);
    for (bytes, message) in [
        ("a\n", "wrong number of fields in header line: got 1, expected 2"),
        ("a,c\n", "column name mismatch in header line field 2: got \"c\", expected \"b\""),
        ("a,\n", "column name mismatch in header line field 2: got null value (\"\"), expected \"b\""),
    ] {
        assert_eq!(error_of(bytes, &exact).message(), message);
    }
}

#[test]
fn a_line_beyond_the_memory_limit_is_refused() {
    let long = format!("{},2\n", "x".repeat(2 << 20));
    let error = read_in(long.as_bytes(), &FileFormat::csv(), &["a", "b"], usize::MAX).unwrap_err();
    assert_eq!(error.state().as_str(), "53200");
}

fn write(format: &FileFormat, columns: &[&str], rows: &[Row]) -> String {
    let mut writer = RowWriter::new(format.clone(), columns.iter().copied());
    for row in rows {
        for value in row {
            match value {
                Some(value) => writer.value(value),
                None => writer.null(),
            }
        }
        writer.end_row();
    }
    String::from_utf8(writer.bytes).unwrap()
}

#[test]
fn values_are_quoted_only_where_they_must_be() {
    let row = |values: &[Option<&str>]| values.iter().map(|value| value.map(str::to_owned)).collect::<Row>();
    let rows = [row(&[Some("a b"), None]), row(&[Some(""), Some("x\"y")]), row(&[Some("1,2"), Some("l\nm")])];
    let format = FileFormat { header: Header::Names, ..FileFormat::csv() };
    assert_eq!(write(&format, &["a", "b,c"], &rows), "a,\"b,c\"\na b,\n\"\",\"x\"\"y\"\n\"1,2\",\"l\nm\"\n");
    let forced = FileFormat { force_quote: vec![true, false], ..FileFormat::csv() };
    assert_eq!(write(&forced, &["a", "b"], &rows[..1]), "\"a b\",\n");
    assert_eq!(write(&FileFormat::csv(), &["a"], &[row(&[Some("\\.")])]), "\"\\.\"\n");
    assert_eq!(
        write(&FileFormat::text(), &["a", "b"], &[row(&[Some("a\tb\\c\n"), None])]),
        "a\\tb\\\\c\\n\t\\N\n"
    );
}

#[test]
fn what_is_written_is_read_back() {
    let alphabet = ["a", "\"", "'", "\\", ",", "\t", "\n", "\r", "N", ".", "é", "\x08", "\x01", " ", "x"];
    let formats = [
        FileFormat::text(),
        FileFormat::csv(),
        // (The text format itself cannot tell a value from NULL where NULL has no backslash.)
        FileFormat { delimiter: b',', null: String::from("\\x"), ..FileFormat::text() },
        FileFormat { escape: b'\\', delimiter: b'\t', null: String::from("N"), ..FileFormat::csv() },
        FileFormat { quote: b'\'', force_quote: vec![true, false], ..FileFormat::csv() },
    ];
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let mut below = |limit: usize| (random.unit() * limit as f64) as usize;
        let format = &formats[below(formats.len())];
        let columns: &[&str] = if below(3) == 0 { &["a"] } else { &["a", "b"] };
        let rows: Vec<Row> = (0..below(6))
            .map(|_| {
                columns
                    .iter()
                    .map(|_| {
                        (below(5) > 0)
                            .then(|| (0..below(6)).map(|_| alphabet[below(alphabet.len())]).collect())
                    })
                    .collect()
            })
            .collect();
        let written = write(format, columns, &rows);
        for chunk in [1, 5, usize::MAX] {
            let again = read_in(written.as_bytes(), format, columns, chunk);
            assert_eq!(again.as_ref().ok(), Some(&rows), "seed {seed}: {written:?} as {format:?}: {again:?}");
        }
    }
}
