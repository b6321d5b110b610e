//! The same query with its tables in another order.

use lumos_core::common::random::Random;

/// The text with the tables of its longest FROM list in an order that `random` decides; the same text where no list
/// has more than one table.
pub fn permuted(text: &str, random: &mut Random) -> String {
    let Some((start, end)) = longest_from(text) else { return text.to_owned() };
    let mut tables: Vec<&str> = text[start..end].split(',').map(str::trim).collect();
    for index in (1..tables.len()).rev() {
        tables.swap(index, random.below(index as u64 + 1) as usize);
    }
    format!("{} {} {}", &text[..start], tables.join(", "), &text[end..])
}

/// Where the longest list of plain tables is, between its FROM and its WHERE.
fn longest_from(text: &str) -> Option<(usize, usize)> {
    let lower = text.to_ascii_lowercase();
    let mut longest: Option<(usize, usize, usize)> = None;
    for (from, _) in lower.match_indices("from\n") {
        let start = from + "from\n".len();
        let Some(length) = lower[start..].find("where") else { continue };
        let list = &lower[start..start + length];
        let tables = list.split(',').count();
        let is_plain = !list.contains('(') && !list.contains("from");
        if is_plain && tables > 1 && longest.is_none_or(|(most, ..)| tables > most) {
            longest = Some((tables, start, start + length));
        }
    }
    longest.map(|(_, start, end)| (start, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_tables_change_places() {
        let text = "select a from\n\tt,\n\tu x,\n\tv\nwhere t.a = 1";
        let mut random = Random::new(7);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..100 {
            let other = permuted(text, &mut random);
            let mut words: Vec<&str> =
                other.split([' ', ',', '\n', '\t']).filter(|word| !word.is_empty()).collect();
            words.sort_unstable();
            assert_eq!(words, ["1", "=", "a", "from", "select", "t", "t.a", "u", "v", "where", "x"]);
            seen.insert(other);
        }
        assert_eq!(seen.len(), 6, "all orders are met");
    }
}
