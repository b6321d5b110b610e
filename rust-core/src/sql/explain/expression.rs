//! Expressions of physical plans as SQL, with the names that their input columns have.

use crate::sql::plan::expression::{Expression, SortKey};
use crate::sql::types::cast::CastEnvironment;
use crate::sql::types::data_type::{DataType, SqlType};
use crate::sql::types::datum::Datum;
use crate::sql::types::text_form::datum_to_text;
use std::collections::BTreeMap;

/// A column that a node puts out.
#[derive(Clone, Debug)]
pub(super) struct Column {
    /// How those who read it call it.
    pub(super) text: String,
    pub(super) data_type: DataType,
}

/// What is needed to print.
pub(super) struct Printer<'a> {
    pub(super) environment: &'a CastEnvironment<'a>,
    /// Values that the plan computes itself, by position among all parameters: what stands for them.
    pub(super) run_time: BTreeMap<usize, String>,
    /// Without the parentheses that only save thinking.
    pub(super) pretty: bool,
}

/// The type of an expression's value.
pub(super) fn data_type(expression: &Expression) -> DataType {
    expression.data_type()
}

pub(super) fn is_symbol(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
}

/// Whether [`Printer::print`] puts an expression in parentheses.
fn writes_parentheses(expression: &Expression) -> bool {
    match expression {
        Expression::Call { function, .. } => is_symbol(function.name),
        Expression::And(_)
        | Expression::Or(_)
        | Expression::Not(_)
        | Expression::IsNull { .. }
        | Expression::IsTruth { .. }
        | Expression::IsDistinct { .. }
        | Expression::InSet { .. } => true,
        _ => false,
    }
}

impl Printer<'_> {
    /// An expression over `input`, in parentheses where PostgreSQL puts them.
    pub(super) fn print(&self, expression: &Expression, input: &[Column]) -> String {
        let mut out = String::new();
        self.write(expression, input, &mut out);
        out
    }

    /// Without parentheses around it.
    pub(super) fn bare(&self, expression: &Expression, input: &[Column]) -> String {
        let mut text = self.print(expression, input);
        if writes_parentheses(expression) {
            text.pop();
            text.remove(0);
        }
        text
    }

    /// Several, one text each.
    pub(super) fn list(&self, expressions: &[Expression], input: &[Column]) -> Vec<String> {
        expressions.iter().map(|expression| self.print(expression, input)).collect()
    }

    /// A sort key with its order.
    pub(super) fn sort_key(&self, key: &SortKey, input: &[Column]) -> String {
        let mut out = self.print(&key.expression, input);
        if key.descending {
            out.push_str(" DESC");
        }
        if key.nulls_first != key.descending {
            out.push_str(if key.nulls_first { " NULLS FIRST" } else { " NULLS LAST" });
        }
        out
    }

    fn write(&self, expression: &Expression, input: &[Column], out: &mut String) {
        match expression {
            Expression::Constant { value, data_type } => self.write_constant(value, *data_type, out),
            Expression::Column { id, .. } => out.push_str(&format!("column {}", id.0)),
            Expression::Input { index, .. } => match input.get(*index) {
                Some(column) => out.push_str(&column.text),
                None => out.push_str(&format!("column{}", index + 1)),
            },
            Expression::Parameter { index, .. } => match self.run_time.get(index) {
                Some(text) => out.push_str(text),
                None => out.push_str(&format!("${}", index + 1)),
            },
            Expression::Call { function, arguments, .. } if is_symbol(function.name) => {
                match &arguments[..] {
                    [left, right] => self.write_infix(left, function.name, right, input, out),
                    operands => {
                        out.push('(');
                        out.push_str(function.name);
                        out.push(' ');
                        operands.iter().for_each(|operand| self.write(operand, input, out));
                        out.push(')');
                    }
                }
            }
            Expression::Call { function, arguments, .. } => {
                self.write_call(function.name, arguments, input, out);
            }
            Expression::Cast { input: inner, target, .. } => {
                let simple = match &**inner {
                    Expression::Input { .. } | Expression::Coalesce { .. } | Expression::Cast { .. } => true,
                    Expression::Call { function, .. } => !is_symbol(function.name),
                    _ => false,
                };
                if self.pretty && simple {
                    self.write(inner, input, out);
                    out.push_str(&format!("::{target}"));
                    return;
                }
                out.push('(');
                out.push_str(&if self.pretty { self.bare(inner, input) } else { self.print(inner, input) });
                out.push_str(&format!(")::{target}"));
            }
            Expression::And(operands) => self.write_joined(operands, " AND ", input, out),
            Expression::Or(operands) => self.write_joined(operands, " OR ", input, out),
            Expression::Not(operand) => {
                out.push_str("(NOT ");
                self.write(operand, input, out);
                out.push(')');
            }
            Expression::IsNull { input: inner, negated } => {
                out.push('(');
                self.write(inner, input, out);
                out.push_str(if *negated { " IS NOT NULL)" } else { " IS NULL)" });
            }
            Expression::IsTruth { input: inner, truth, negated } => {
                out.push('(');
                self.write(inner, input, out);
                let (not, truth) =
                    (if *negated { "NOT " } else { "" }, if *truth { "TRUE" } else { "FALSE" });
                out.push_str(&format!(" IS {not}{truth})"));
            }
            Expression::IsDistinct { left, right, negated } => {
                let operator = if *negated { "IS NOT DISTINCT FROM" } else { "IS DISTINCT FROM" };
                self.write_infix(left, operator, right, input, out);
            }
            Expression::Case { branches, otherwise, .. } => {
                out.push_str("CASE");
                for (condition, result) in branches {
                    out.push_str(" WHEN ");
                    let bare = self.pretty.then(|| self.bare(condition, input));
                    out.push_str(&bare.unwrap_or_else(|| self.print(condition, input)));
                    out.push_str(" THEN ");
                    self.write(result, input, out);
                }
                if let Some(otherwise) = otherwise {
                    out.push_str(" ELSE ");
                    self.write(otherwise, input, out);
                }
                out.push_str(" END");
            }
            Expression::Coalesce { arguments, .. } => self.write_call("COALESCE", arguments, input, out),
            Expression::NullIf { left, right, .. } => {
                out.push_str("NULLIF(");
                self.write(left, input, out);
                out.push_str(", ");
                self.write(right, input, out);
                out.push(')');
            }
            Expression::InSet { input: inner, values, has_null, negated } => {
                let element = data_type(inner);
                if self.pretty {
                    self.write_list(inner, values, *has_null, *negated, input, out);
                    return;
                }
                let texts: Vec<String> = values
                    .iter()
                    .map(|value| self.element(value, element))
                    .chain(has_null.then(|| String::from("NULL")))
                    .collect();
                out.push('(');
                self.write(inner, input, out);
                out.push_str(if *negated { " <> ALL " } else { " = ANY " });
                let list = format!("{{{}}}", texts.join(",")).replace('\'', "''");
                out.push_str(&format!("('{list}'::{}[]))", element.name()));
            }
            Expression::Subquery(_) => out.push_str("(SubPlan)"),
        }
    }

    fn write_infix(
        &self,
        left: &Expression,
        operator: &str,
        right: &Expression,
        input: &[Column],
        out: &mut String,
    ) {
        out.push('(');
        self.write(left, input, out);
        out.push(' ');
        out.push_str(operator);
        out.push(' ');
        self.write(right, input, out);
        out.push(')');
    }

    fn write_joined(&self, operands: &[Expression], between: &str, input: &[Column], out: &mut String) {
        out.push('(');
        for (position, operand) in operands.iter().enumerate() {
            if position > 0 {
                out.push_str(between);
            }
            match operand {
                Expression::Or(_) | Expression::InSet { .. } => self.write(operand, input, out),
                _ if self.pretty => out.push_str(&self.bare(operand, input)),
                _ => self.write(operand, input, out),
            }
        }
        out.push(')');
    }

    /// `IN` over constants, as PostgreSQL writes it in definitions.
    fn write_list(
        &self,
        inner: &Expression,
        values: &[Datum],
        has_null: bool,
        negated: bool,
        input: &[Column],
        out: &mut String,
    ) {
        out.push('(');
        self.write(inner, input, out);
        out.push_str(if negated { " <> ALL (ARRAY[" } else { " = ANY (ARRAY[" });
        let nulls = has_null.then_some(&Datum::Null);
        for (position, value) in values.iter().chain(nulls).enumerate() {
            if position > 0 {
                out.push_str(", ");
            }
            self.write_constant(value, data_type(inner), out);
        }
        out.push_str("]))");
    }

    pub(super) fn write_call(
        &self,
        name: &str,
        arguments: &[Expression],
        input: &[Column],
        out: &mut String,
    ) {
        out.push_str(name);
        out.push('(');
        out.push_str(&self.list(arguments, input).join(", "));
        out.push(')');
    }

    fn write_constant(&self, value: &Datum, data_type: DataType, out: &mut String) {
        let mut text = String::new();
        datum_to_text(value.as_ref(), data_type, self.environment, &mut text);
        let is_plain = match value {
            Datum::Null => {
                out.push_str(&format!("NULL::{}", data_type.name()));
                return;
            }
            Datum::Boolean(truth) => {
                out.push_str(if *truth { "true" } else { "false" });
                return;
            }
            Datum::Integer(_) | Datum::Numeric(_) => text.starts_with(|first: char| first.is_ascii_digit()),
            _ => false,
        };
        if is_plain {
            out.push_str(&text);
        } else {
            out.push_str(&format!("'{}'::{}", text.replace('\'', "''"), SqlType::plain(data_type)));
        }
    }

    /// A value inside an array's text.
    fn element(&self, value: &Datum, data_type: DataType) -> String {
        let mut text = String::new();
        datum_to_text(value.as_ref(), data_type, self.environment, &mut text);
        let needs_quotes = text.is_empty()
            || text.eq_ignore_ascii_case("null")
            || text.contains(|c: char| matches!(c, '{' | '}' | ',' | '"' | '\\') || c.is_whitespace());
        if needs_quotes { format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")) } else { text }
    }
}
