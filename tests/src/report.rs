//! What a run of a file found.

/// Of one file, or of many.
#[derive(Clone, Default, Debug)]
pub struct Report {
    /// Records that did what they say.
    pub passed: u64,
    /// All others: wrong, panicked, or not run.
    pub failed: u64,
    /// Why, one text a failure.
    pub failures: Vec<String>,
    /// Statements that the short path ran.
    pub on_point: u64,
    /// Other statements with a plan.
    pub on_pipelines: u64,
}

impl Report {
    /// Notes a failure.
    pub fn fail(&mut self, reason: String) {
        self.failed += 1;
        self.failures.push(reason);
    }

    /// Adds another's figures; its failures stay with it.
    pub fn add(&mut self, other: &Report) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.on_point += other.on_point;
        self.on_pipelines += other.on_pipelines;
    }

    /// Whether something ran and nothing failed.
    pub fn is_success(&self) -> bool {
        self.passed > 0 && self.failed == 0
    }
}
