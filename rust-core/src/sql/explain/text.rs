//! A plan as lines of text, indented as PostgreSQL indents them.

use crate::sql::explain::node::{Node, PropertyValue};
use crate::sql::explain::{Explained, milliseconds};

/// Columns that a child stands further right than its parent.
const INDENT: usize = 6;

impl Explained {
    /// The lines.
    pub fn text(&self) -> Vec<String> {
        let mut lines = Vec::new();
        // By depth, how many labels stand above: they push what is below them to the right.
        let mut labels: Vec<usize> = Vec::new();
        for node in &self.nodes {
            labels.truncate(node.depth);
            let shifted = labels.iter().sum::<usize>();
            labels.push(usize::from(node.label.is_some()));
            let mut indent = node.depth.saturating_sub(1) * INDENT + 2 * shifted;
            if let Some(label) = &node.label {
                lines.push(format!("{}{label}", " ".repeat(indent + 2)));
                indent += 2;
            }
            let head = self.head(node);
            let below = if node.depth == 0 {
                lines.push(head);
                2
            } else {
                lines.push(format!("{}->  {head}", " ".repeat(indent + 2)));
                indent + INDENT + 2
            };
            self.properties(node, below, &mut lines);
        }
        if self.options.summary {
            lines.push(format!("Planning Time: {:.3} ms", milliseconds(self.planning_nanoseconds)));
            if let Some(nanoseconds) = self.execution_nanoseconds {
                lines.push(format!("Execution Time: {:.3} ms", milliseconds(nanoseconds)));
            }
        }
        lines
    }

    fn head(&self, node: &Node) -> String {
        let mut head = node.title.clone();
        if self.options.costs {
            let estimate = &node.estimate;
            head.push_str(&format!(
                "  (cost={:.2}..{:.2} rows={:.0} width={})",
                estimate.startup_cost, estimate.total_cost, estimate.rows, estimate.width
            ));
        }
        match &node.actual {
            None => {}
            Some(actual) if actual.loops == 0 => head.push_str(" (never executed)"),
            Some(actual) if self.options.timing => head.push_str(&format!(
                " (actual time={:.3} rows={} loops={})",
                actual.milliseconds_a_loop(),
                actual.rows_a_loop(),
                actual.loops
            )),
            Some(actual) => {
                head.push_str(&format!(" (actual rows={} loops={})", actual.rows_a_loop(), actual.loops));
            }
        }
        head
    }

    fn properties(&self, node: &Node, indent: usize, lines: &mut Vec<String>) {
        for property in &node.properties {
            if property.verbose && !self.options.verbose {
                continue;
            }
            let value = match &property.value {
                PropertyValue::Text(text) => text.clone(),
                PropertyValue::List(texts) => texts.join(", "),
                PropertyValue::Count(number) => number.to_string(),
                PropertyValue::Bytes(bytes) => format!("{}kB", bytes.div_ceil(1024)),
            };
            lines.push(format!("{}{}: {value}", " ".repeat(indent), property.name));
        }
    }
}
