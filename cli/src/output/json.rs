//! Rows as a JSON array of objects, one a line. Booleans and numbers are JSON's (a numeric keeps all its digits);
//! NULL is null; everything else is its text. NaN and the infinities, which JSON lacks, are text.

use crate::output::RowWriter;
use lumos_core::batch::batch::Batch;
use lumos_core::session::result::ResultColumn;
use lumos_core::sql::types::cast::CastEnvironment;
use lumos_core::sql::types::data_type::DataType;
use lumos_core::sql::types::datum::{DatumRef, NumericKind};
use lumos_core::sql::types::text_form::datum_to_text;
use serde_json::ser::Serializer;
use serde_json::value::RawValue;
use std::collections::BTreeSet;
use std::io::{self, Write};

/// See the module.
pub(crate) struct JsonWriter {
    keys: Vec<String>,
    types: Vec<DataType>,
    is_first: bool,
}

impl JsonWriter {
    /// Opens the array.
    pub(crate) fn new(columns: &[ResultColumn], out: &mut dyn Write) -> io::Result<JsonWriter> {
        out.write_all(b"[")?;
        let types = columns.iter().map(|column| column.sql_type.data_type).collect();
        Ok(JsonWriter { keys: unique_keys(columns), types, is_first: true })
    }
}

/// Names of columns as keys: an object has each key once, so a repeated name is numbered (`count`, `count_2`).
fn unique_keys(columns: &[ResultColumn]) -> Vec<String> {
    let names: BTreeSet<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let mut used: BTreeSet<String> = BTreeSet::new();
    let mut keys = Vec::with_capacity(columns.len());
    for column in columns {
        let mut key = column.name.clone();
        let mut number = 2;
        while used.contains(&key) || (number > 2 && names.contains(key.as_str())) {
            key = format!("{}_{number}", column.name);
            number += 1;
        }
        used.insert(key.clone());
        keys.push(key);
    }
    keys
}

/// One row.
struct Object<'a> {
    writer: &'a JsonWriter,
    batch: &'a Batch,
    row: usize,
    environment: &'a CastEnvironment<'a>,
}

impl serde::Serialize for Object<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(Some(self.writer.keys.len()))?;
        let columns = self.batch.columns.iter().zip(&self.writer.keys).zip(&self.writer.types);
        for ((column, key), data_type) in columns {
            match column.datum(self.row) {
                DatumRef::Null => map.serialize_entry(key, &())?,
                DatumRef::Boolean(value) => map.serialize_entry(key, &value)?,
                DatumRef::SmallInt(value) => map.serialize_entry(key, &value)?,
                DatumRef::Integer(value) => map.serialize_entry(key, &value)?,
                DatumRef::BigInt(value) => map.serialize_entry(key, &value)?,
                DatumRef::Real(value) if value.is_finite() => map.serialize_entry(key, &value)?,
                DatumRef::Double(value) if value.is_finite() => map.serialize_entry(key, &value)?,
                value => {
                    let mut text = String::new();
                    datum_to_text(value, *data_type, self.environment, &mut text);
                    match value {
                        DatumRef::Numeric(number) if number.kind == NumericKind::Finite => {
                            let digits = RawValue::from_string(text).map_err(serde::ser::Error::custom)?;
                            map.serialize_entry(key, &digits)?;
                        }
                        _ => map.serialize_entry(key, &text)?,
                    }
                }
            }
        }
        map.end()
    }
}

impl RowWriter for JsonWriter {
    fn rows(
        &mut self,
        batch: &Batch,
        environment: &CastEnvironment<'_>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        for row in batch.row_numbers() {
            if !std::mem::take(&mut self.is_first) {
                out.write_all(b",\n")?;
            }
            let object = Object { writer: self, batch, row, environment };
            serde::Serialize::serialize(&object, &mut Serializer::new(&mut *out))?;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(b"]\n")
    }
}
