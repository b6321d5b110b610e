//! Result values as sqllogictest files write them.

use lumos_core::sql::types::cast::CastEnvironment;
use lumos_core::sql::types::data_type::DataType;
use lumos_core::sql::types::datum::DatumRef;
use lumos_core::sql::types::text_form::datum_to_text;
use sqllogictest::DefaultColumnType;

/// How values are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ValueStyle {
    /// PostgreSQL's text output.
    PostgreSql,
    /// The same, but numbers with a fraction have three decimals: SQLite's own files.
    ThreeDecimals,
}

/// The letter that stands for a type.
pub fn column_type(data_type: DataType) -> DefaultColumnType {
    match data_type {
        DataType::SmallInt | DataType::Integer | DataType::BigInt => DefaultColumnType::Integer,
        DataType::Real | DataType::Double | DataType::Numeric => DefaultColumnType::FloatingPoint,
        DataType::Boolean => DefaultColumnType::Any,
        _ => DefaultColumnType::Text,
    }
}

/// A value on its line.
pub fn render(
    value: DatumRef<'_>,
    data_type: DataType,
    style: ValueStyle,
    environment: &CastEnvironment<'_>,
) -> String {
    if matches!(value, DatumRef::Null) {
        return "NULL".to_owned();
    }
    let mut text = String::new();
    datum_to_text(value, data_type, environment, &mut text);
    if style == ValueStyle::ThreeDecimals
        && column_type(data_type) == DefaultColumnType::FloatingPoint
        && let Ok(number) = text.parse::<f64>()
    {
        return format!("{number:.3}");
    }
    escape(text)
}

fn escape(text: String) -> String {
    if text.is_empty() {
        return "(empty)".to_owned();
    }
    if text.bytes().all(|byte| byte == b' ') {
        return "␣".repeat(text.len());
    }
    if text.contains(['\n', '\t', '\r']) {
        return text.replace('\n', "\\n").replace('\t', "\\t").replace('\r', "\\r");
    }
    text
}

/// Compares lines exactly, values separated by one tab; blanks at a line's ends do not count, because the files'
/// parser drops them.
pub fn lines_are_equal(_: sqllogictest::Normalizer, actual: &[Vec<String>], expected: &[String]) -> bool {
    actual.len() == expected.len()
        && actual.iter().zip(expected).all(|(row, line)| row.join("\t").trim() == line.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(value: &str) -> String {
        let zone = jiff::tz::TimeZone::UTC;
        let environment = CastEnvironment { zone: &zone, now: 0, style: Default::default() };
        render(DatumRef::Text(value), DataType::Text, ValueStyle::PostgreSql, &environment)
    }

    #[test]
    fn values_that_a_line_could_not_show_are_spelled_out() {
        assert_eq!(text_of(""), "(empty)");
        assert_eq!(text_of("  "), "␣␣");
        assert_eq!(text_of("a\tb\nc\rd"), "a\\tb\\nc\\rd");
        assert_eq!(text_of(" a "), " a ");
    }

    #[test]
    fn only_fractional_types_get_three_decimals() {
        let zone = jiff::tz::TimeZone::UTC;
        let environment = CastEnvironment { zone: &zone, now: 0, style: Default::default() };
        let style = ValueStyle::ThreeDecimals;
        assert_eq!(render(DatumRef::Double(1.0), DataType::Double, style, &environment), "1.000");
        assert_eq!(render(DatumRef::Integer(1), DataType::Integer, style, &environment), "1");
        assert_eq!(render(DatumRef::Null, DataType::Double, style, &environment), "NULL");
    }
}
