//! A plan as one JSON document, with PostgreSQL's names.

use crate::sql::explain::node::{Node, PropertyValue};
use crate::sql::explain::{Explained, milliseconds};
use std::fmt::Write;

impl Explained {
    /// The document.
    pub fn json(&self) -> String {
        let mut out = String::from("[\n  {\n    \"Plan\": ");
        // The nodes whose objects are open, outermost first: whether they have children so far.
        let mut open: Vec<bool> = Vec::new();
        for node in &self.nodes {
            while open.len() > node.depth {
                close(&mut open, &mut out);
            }
            if let Some(has_children) = open.last_mut() {
                out.push_str(",\n");
                if !std::mem::replace(has_children, true) {
                    let _ = writeln!(out, "{}\"Plans\": [", " ".repeat(2 + node.depth * 4));
                }
                out.push_str(&" ".repeat(4 + node.depth * 4));
            }
            out.push_str("{\n");
            self.members(node, 6 + node.depth * 4, &mut out);
            open.push(false);
        }
        while !open.is_empty() {
            close(&mut open, &mut out);
        }
        if self.options.summary {
            let _ = write!(out, ",\n    \"Planning Time\": {:.3}", milliseconds(self.planning_nanoseconds));
            if let Some(nanoseconds) = self.execution_nanoseconds {
                let _ = write!(out, ",\n    \"Execution Time\": {:.3}", milliseconds(nanoseconds));
            }
        }
        out.push_str("\n  }\n]");
        out
    }

    /// The members of a node's object but for its children, without a line end behind the last.
    fn members(&self, node: &Node, indent: usize, out: &mut String) {
        let mut members: Vec<(&str, String)> = Vec::new();
        for (name, value) in &node.fields {
            members.push((name, quoted(value)));
        }
        if let Some(label) = &node.label {
            members.push(("Subplan Name", quoted(label)));
        }
        if self.options.costs {
            let estimate = &node.estimate;
            members.push(("Startup Cost", format!("{:.2}", estimate.startup_cost)));
            members.push(("Total Cost", format!("{:.2}", estimate.total_cost)));
            members.push(("Plan Rows", format!("{:.0}", estimate.rows)));
            members.push(("Plan Width", estimate.width.to_string()));
        }
        if let Some(actual) = &node.actual {
            if self.options.timing {
                members.push(("Actual Total Time", format!("{:.3}", actual.milliseconds_a_loop())));
            }
            members.push(("Actual Rows", actual.rows_a_loop().to_string()));
            members.push(("Actual Loops", actual.loops.to_string()));
        }
        for property in &node.properties {
            if property.verbose && !self.options.verbose {
                continue;
            }
            let value = match &property.value {
                PropertyValue::Text(text) => quoted(text),
                PropertyValue::List(texts) => {
                    let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
                    format!("[{}]", texts.join(", "))
                }
                PropertyValue::Count(number) => number.to_string(),
                PropertyValue::Bytes(bytes) => bytes.div_ceil(1024).to_string(),
            };
            members.push((property.name, value));
        }
        let lines: Vec<String> = members
            .iter()
            .map(|(name, value)| format!("{}\"{name}\": {value}", " ".repeat(indent)))
            .collect();
        out.push_str(&lines.join(",\n"));
    }
}

/// Ends the innermost open object, and the list of its children.
fn close(open: &mut Vec<bool>, out: &mut String) {
    let has_children = open.pop().unwrap_or(false);
    let indent = 4 + open.len() * 4;
    if has_children {
        let _ = write!(out, "\n{}]", " ".repeat(indent + 2));
    }
    let _ = write!(out, "\n{}}}", " ".repeat(indent));
}

/// A JSON string.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if (control as u32) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", control as u32);
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}
