//! Rows of text, and whether two lots of them are the same answer.

/// Numbers that differ by less than this part of them are equal: averages and quotients have different digits.
const TOLERANCE: f64 = 1e-6;

/// Rows in order.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Answer {
    /// How many columns.
    pub columns: usize,
    /// The rows' cells; NULL is `NULL`.
    pub rows: Vec<Vec<String>>,
}

impl Answer {
    /// Reads a file of answers: a line of names, then rows with `|` between cells.
    pub fn read(text: &str) -> Answer {
        let mut lines = text.lines();
        let columns = lines.next().map_or(0, |names| names.split('|').count());
        let rows =
            lines.map(|line| line.split('|').map(|cell| cell.trim_end_matches(' ').to_owned()).collect());
        Answer { columns, rows: rows.collect() }
    }

    /// Why `found` is another answer, in one sentence.
    pub fn differs_from(&self, found: &Answer) -> Option<String> {
        if self.columns != found.columns {
            return Some(format!("{} columns, not {}", found.columns, self.columns));
        }
        for (number, (expected, row)) in self.rows.iter().zip(&found.rows).enumerate() {
            if !expected.iter().zip(row).all(|(expected, cell)| is_same(expected, cell)) {
                return Some(format!("row {}: {}, not {}", number + 1, row.join("|"), expected.join("|")));
            }
        }
        (self.rows.len() != found.rows.len())
            .then(|| format!("{} rows, not {}", found.rows.len(), self.rows.len()))
    }
}

fn is_same(expected: &str, found: &str) -> bool {
    if expected == found {
        return true;
    }
    // Only what has digits is a number: "inf" and "nan" may be names.
    let number = |text: &str| {
        text.bytes().any(|byte| byte.is_ascii_digit()).then(|| text.parse::<f64>().ok()).flatten()
    };
    match (number(expected), number(found)) {
        (Some(left), Some(right)) => (left - right).abs() <= TOLERANCE * left.abs().max(right.abs()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_by_value_and_texts_by_letter() {
        let expected = Answer::read("a|b\n1.50|x \n2.0000001|NULL\n");
        let found = |text: &str| Answer::read(&format!("a|b\n{text}"));
        assert_eq!(expected.differs_from(&found("1.5|x\n2|NULL\n")), None);
        assert!(expected.differs_from(&found("1.51|x\n2|NULL\n")).is_some());
        assert!(expected.differs_from(&found("1.5|x\n2|\n")).is_some());
        assert!(expected.differs_from(&found("2|NULL\n1.5|x\n")).is_some());
        assert!(expected.differs_from(&found("1.5|x\n")).is_some());
        assert!(expected.differs_from(&found("1.5|x\n2|NULL\n3|y\n")).is_some());
    }
}
