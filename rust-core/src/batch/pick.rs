//! Rows of a column by number, in any order and any number of times: what joins and sorts put out.

use crate::batch::column::{Column, ColumnData, ColumnForm};
use crate::batch::validity::Bitmap;

/// Stands for no row: [`Column::pick_or_null`] gives NULL there.
pub const NO_ROW: u32 = u32::MAX;

fn pick_values<T: Copy>(values: &[T], rows: &[u32]) -> Vec<T> {
    rows.iter().map(|row| values[*row as usize]).collect()
}

fn pick_data(data: &ColumnData, rows: &[u32]) -> ColumnData {
    match data {
        ColumnData::Boolean(v) => {
            ColumnData::Boolean(Bitmap::from_fn(rows.len(), |i| v.get(rows[i] as usize)))
        }
        ColumnData::Int16(v) => ColumnData::Int16(pick_values(v, rows)),
        ColumnData::Int32(v) => ColumnData::Int32(pick_values(v, rows)),
        ColumnData::Int64(v) => ColumnData::Int64(pick_values(v, rows)),
        ColumnData::Float32(v) => ColumnData::Float32(pick_values(v, rows)),
        ColumnData::Float64(v) => ColumnData::Float64(pick_values(v, rows)),
        ColumnData::Decimal64 { values, scale } => {
            ColumnData::Decimal64 { values: pick_values(values, rows), scale: *scale }
        }
        ColumnData::Decimal128 { values, scale } => {
            ColumnData::Decimal128 { values: pick_values(values, rows), scale: *scale }
        }
        ColumnData::Numeric(v) => ColumnData::Numeric(pick_values(v, rows)),
        ColumnData::Strings(v) => ColumnData::Strings(v.pick(rows.iter().map(|row| *row as usize))),
        ColumnData::Interval(v) => ColumnData::Interval(pick_values(v, rows)),
        ColumnData::Null => ColumnData::Null,
    }
}

impl Column {
    /// The rows at `rows`, in that order.
    #[must_use]
    pub fn pick(&self, rows: &[u32]) -> Column {
        if self.form == ColumnForm::Constant {
            return Column { rows: rows.len(), ..self.clone() };
        }
        let validity = self
            .validity
            .as_ref()
            .map(|validity| Bitmap::from_fn(rows.len(), |i| validity.get(rows[i] as usize)))
            .filter(|validity| !validity.is_all_ones());
        Column {
            data_type: self.data_type,
            form: ColumnForm::Flat,
            rows: rows.len(),
            data: pick_data(&self.data, rows),
            validity,
        }
    }

    /// The rows at `rows`, in that order, and NULL where [`NO_ROW`] stands.
    #[must_use]
    pub fn pick_or_null(&self, rows: &[u32]) -> Column {
        if !rows.contains(&NO_ROW) {
            return self.pick(rows);
        }
        if self.rows == 0 || matches!(self.data, ColumnData::Null) {
            return Column::null(self.data_type, rows.len());
        }
        let flat;
        let column = if self.form == ColumnForm::Constant {
            flat = self.flatten();
            &flat
        } else {
            self
        };
        let present: Vec<u32> = rows.iter().map(|row| if *row == NO_ROW { 0 } else { *row }).collect();
        let validity = match &column.validity {
            None => Bitmap::from_fn(rows.len(), |i| rows[i] != NO_ROW),
            Some(validity) => {
                Bitmap::from_fn(rows.len(), |i| rows[i] != NO_ROW && validity.get(present[i] as usize))
            }
        };
        Column {
            data_type: column.data_type,
            form: ColumnForm::Flat,
            rows: rows.len(),
            data: pick_data(&column.data, &present),
            validity: Some(validity),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::builder::ColumnBuilder;
    use crate::sql::types::data_type::DataType;
    use crate::sql::types::datum::DatumRef;

    #[test]
    fn picked_rows_are_the_rows_asked_for_and_no_row_is_null() {
        let mut numbers = ColumnBuilder::new(DataType::Integer.into(), 0);
        let mut texts = ColumnBuilder::new(DataType::Text.into(), 0);
        for i in 0..50 {
            if i % 5 == 0 {
                numbers.push_null()
            } else {
                numbers.push_i32(i)
            }
            texts.push_str(&"x".repeat(i as usize));
        }
        let (numbers, texts) = (numbers.finish(), texts.finish());
        let rows = [49, 0, 7, 7, NO_ROW, 13];
        let picked = numbers.pick_or_null(&rows);
        let words = texts.pick_or_null(&rows);
        for (i, row) in rows.iter().enumerate() {
            let null = *row == NO_ROW;
            assert_eq!(picked.is_null(i), null || row % 5 == 0);
            assert_eq!(words.is_null(i), null);
            if !null {
                assert_eq!(words.text(i).len(), *row as usize);
            }
        }
        assert!(matches!(numbers.pick(&[7, 13]).datum(1), DatumRef::Integer(13)));
        let constant = Column::constant(DataType::Integer, DatumRef::Integer(4), 3);
        let mixed = constant.pick_or_null(&[2, NO_ROW]);
        assert!(matches!(mixed.datum(0), DatumRef::Integer(4)) && mixed.is_null(1));
        assert!(Column::empty(DataType::Text).pick_or_null(&[NO_ROW]).is_null(0));
    }
}
