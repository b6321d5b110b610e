//! What a file looks like, as plain data.

/// The form of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileFormat {
    /// CSV; else PostgreSQL's text format.
    pub csv: bool,
    /// Between values: one ASCII character.
    pub delimiter: u8,
    /// How NULL is written.
    pub null: String,
    /// What the first line holds.
    pub header: Header,
    /// CSV: around values.
    pub quote: u8,
    /// CSV: before a quote inside quotes.
    pub escape: u8,
    /// CSV, writing: one a column, whether its values are always quoted.
    pub force_quote: Vec<bool>,
    /// CSV, reading: one a column, whether the unquoted NULL text is a value.
    pub force_not_null: Vec<bool>,
    /// CSV, reading: one a column, whether the NULL text means NULL even in quotes.
    pub force_null: Vec<bool>,
}

/// The first line of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Header {
    /// Data.
    None,
    /// Names, not looked at when reading.
    Names,
    /// Names, which must be those of the columns when reading.
    Match,
}

impl FileFormat {
    /// PostgreSQL's text format.
    pub fn text() -> FileFormat {
        FileFormat {
            csv: false,
            delimiter: b'\t',
            null: String::from("\\N"),
            header: Header::None,
            quote: b'"',
            escape: b'"',
            force_quote: Vec::new(),
            force_not_null: Vec::new(),
            force_null: Vec::new(),
        }
    }

    /// CSV with commas and double quotes.
    pub fn csv() -> FileFormat {
        FileFormat { csv: true, delimiter: b',', null: String::new(), ..FileFormat::text() }
    }
}
