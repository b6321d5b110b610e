//! A node as it is shown: names and numbers, ready for either format.

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// How many nodes it hangs below.
    pub(super) depth: usize,
    /// What stands above it: `InitPlan 1 (returns $1)`, `CTE w`.
    pub(super) label: Option<String>,
    /// `Seq Scan on t`.
    pub(super) title: String,
    /// What the title says, piece by piece: `Node Type`, `Relation Name`.
    pub(super) fields: Vec<(&'static str, String)>,
    /// Conditions, keys, output.
    pub(super) properties: Vec<Property>,
    pub(super) estimate: Estimate,
    pub(super) actual: Option<Actual>,
}

/// What the optimizer expected.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Estimate {
    /// Cost before the first row.
    pub(super) startup_cost: f64,
    pub(super) total_cost: f64,
    pub(super) rows: f64,
    /// Bytes a row.
    pub(super) width: u64,
}

/// What a run showed, of all its loops together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Actual {
    pub(super) nanoseconds: u64,
    pub(super) rows: u64,
    pub(super) loops: u64,
}

impl Actual {
    /// Rows in one loop.
    pub(super) fn rows_a_loop(&self) -> u64 {
        (self.rows as f64 / self.loops.max(1) as f64).round() as u64
    }

    /// Milliseconds of one loop.
    pub(super) fn milliseconds_a_loop(&self) -> f64 {
        super::milliseconds(self.nanoseconds) / self.loops.max(1) as f64
    }
}

/// A line below a node.
#[derive(Debug)]
pub(super) struct Property {
    pub(super) name: &'static str,
    pub(super) value: PropertyValue,
    /// Shown with VERBOSE alone.
    pub(super) verbose: bool,
}

/// What a property says.
#[derive(Debug)]
pub(super) enum PropertyValue {
    Text(String),
    List(Vec<String>),
    Count(u64),
    Bytes(u64),
}

impl Node {
    pub(super) fn text(&mut self, name: &'static str, value: String) {
        self.properties.push(Property { name, value: PropertyValue::Text(value), verbose: false });
    }

    pub(super) fn list(&mut self, name: &'static str, values: Vec<String>) {
        self.properties.push(Property { name, value: PropertyValue::List(values), verbose: false });
    }

    pub(super) fn count(&mut self, name: &'static str, value: u64) {
        self.properties.push(Property { name, value: PropertyValue::Count(value), verbose: false });
    }

    pub(super) fn bytes(&mut self, name: &'static str, value: u64) {
        self.properties.push(Property { name, value: PropertyValue::Bytes(value), verbose: false });
    }

    pub(super) fn verbose_text(&mut self, name: &'static str, value: String) {
        self.properties.push(Property { name, value: PropertyValue::Text(value), verbose: true });
    }

    /// What a node puts out: said again by whatever is shown as part of it.
    pub(super) fn output(&mut self, columns: Vec<String>) {
        self.properties.retain(|property| property.name != "Output");
        if !columns.is_empty() {
            let value = PropertyValue::List(columns);
            self.properties.insert(0, Property { name: "Output", value, verbose: true });
        }
    }
}
