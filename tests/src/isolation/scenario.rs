//! Scenario files: Markdown with a heading a scenario, its set-up, and blocks of steps.
//!
//! ```text
//! ## name
//! Setup: `create table …; insert …`            or a block ```sql after a line that ends with "Setup:"
//! Session s1 setup: `begin …`                   run when the session connects
//! **read committed, repeatable read**           the block runs once a level; `{L}` stands for it
//! Permutation `a b c`                           the block runs once
//! ```iso
//! s1> statement                                 sent by s1
//!    = ok UPDATE 1                              its outcome; `= blocks`: it waits for a lock
//! s2< rows: (1, 2)                              what s2 waited for, now
//! ```
//! ```

/// What a statement did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It waits for a lock.
    Blocks,
    /// A command tag, such as `UPDATE 1`.
    Ok(String),
    /// Rows, as written.
    Rows(String),
    /// A SQLSTATE and a message, which is for information.
    Error {
        /// The SQLSTATE.
        state: String,
        /// The message.
        message: String,
    },
    /// Those of a text of several statements.
    Several(Vec<Outcome>),
}

/// A line of a block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// A statement is sent; its outcome at once.
    Send {
        /// By whom.
        session: String,
        /// The text.
        sql: String,
        /// What it does.
        outcome: Outcome,
    },
    /// What a blocked statement does after the step before this one.
    Late {
        /// Whose.
        session: String,
        /// What it does.
        outcome: Outcome,
    },
}

/// A run: fresh tables, then the steps.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Run {
    /// The scenario, and its level or permutation.
    pub name: String,
    /// Run before the sessions connect.
    pub setup: String,
    /// Run by a session when it connects.
    pub session_setup: Vec<(String, String)>,
    /// The steps.
    pub steps: Vec<Step>,
    /// At serializable another outcome may be right: see [`super::judge`].
    pub serializable: bool,
}

/// All runs of a file.
/// # Errors
/// The line that is not understood.
pub fn runs(text: &str) -> Result<Vec<Run>, String> {
    let mut reader = Reader::default();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let told = |reason: &str| format!("line {}: {reason}: {line}", number + 1);
        if let Some(name) = line.strip_prefix("## ") {
            reader = Reader { name: name.trim().to_owned(), runs: reader.runs, ..Reader::default() };
        } else if line.trim() == "Setup:" {
            if lines.next().is_none_or(|(_, line)| line.trim() != "```sql") {
                return Err(told("a block of SQL was expected after"));
            }
            let block = lines.by_ref().map(|(_, line)| line).take_while(|line| line.trim() != "```");
            reader.setup = block.collect::<Vec<_>>().join("\n");
        } else if let Some(sql) = line.strip_prefix("Setup: ") {
            reader.setup = quoted(sql).ok_or_else(|| told("no text in backquotes"))?;
        } else if let Some(rest) = line.strip_prefix("Session ")
            && let Some((session, sql)) = rest.split_once(" setup: ")
        {
            let sql = quoted(sql).ok_or_else(|| told("no text in backquotes"))?;
            reader.session_setup.push((session.to_owned(), sql));
        } else if let Some(levels) = line.strip_prefix("**").and_then(|line| line.strip_suffix("**")) {
            reader.levels = levels.split(',').map(|level| level.trim().to_owned()).collect();
        } else if let Some(name) = line.strip_prefix("Permutation ") {
            reader.levels.clear();
            reader.permutation = name.trim_matches('`').to_owned();
        } else if line.trim() == "```iso" {
            let block: Vec<&str> =
                lines.by_ref().map(|(_, line)| line).take_while(|line| line.trim() != "```").collect();
            reader.add_runs(&block)?;
        }
    }
    Ok(reader.runs)
}

fn quoted(text: &str) -> Option<String> {
    Some(text.trim().strip_prefix('`')?.strip_suffix('`')?.to_owned())
}

/// What holds for the next block.
#[derive(Default)]
struct Reader {
    name: String,
    setup: String,
    session_setup: Vec<(String, String)>,
    levels: Vec<String>,
    permutation: String,
    runs: Vec<Run>,
}

impl Reader {
    fn add_runs(&mut self, block: &[&str]) -> Result<(), String> {
        let levels = if self.levels.is_empty() { vec![String::new()] } else { self.levels.clone() };
        for level in levels {
            let steps = steps(block, &level)?;
            let says = |sql: &str| sql.to_ascii_lowercase().contains("serializable");
            let serializable = level == "serializable"
                || self.session_setup.iter().any(|(_, sql)| says(sql))
                || steps.iter().any(|step| matches!(step, Step::Send { sql, .. } if says(sql)));
            let which = if level.is_empty() { &self.permutation } else { &level };
            self.runs.push(Run {
                name: format!("{}: {which}", self.name),
                setup: self.setup.clone(),
                session_setup: self.session_setup.clone(),
                steps,
                serializable,
            });
        }
        Ok(())
    }
}

fn steps(block: &[&str], level: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    let mut sent: Option<(String, String)> = None;
    for line in block {
        let line = line.replace("{L}", level);
        let bad = || format!("a step that is not understood: {line}");
        if let Some(text) = line.strip_prefix("   = ") {
            let (session, sql) = sent.take().ok_or_else(bad)?;
            steps.push(Step::Send { session, sql, outcome: outcome(text).ok_or_else(bad)? });
            continue;
        }
        let end =
            line.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').ok_or_else(bad)?;
        let (session, rest) = (line[..end].to_owned(), &line[end..]);
        if let Some(sql) = rest.strip_prefix("> ") {
            sent = Some((session, sql.to_owned()));
        } else if let Some(text) = rest.strip_prefix("< ") {
            steps.push(Step::Late { session, outcome: outcome(text).ok_or_else(bad)? });
        } else if let Some((_, sql)) = &mut sent {
            // A statement over several lines.
            sql.push('\n');
            sql.push_str(&line);
        } else {
            return Err(bad());
        }
    }
    Ok(steps)
}

/// The outcomes of a text of several statements: each after the first begins with its kind.
fn parts(text: &str) -> Vec<&str> {
    let (mut parts, mut rest, mut from) = (Vec::new(), text, 0);
    while let Some(at) = rest[from..].find(" / ").map(|at| from + at) {
        let next = &rest[at + 3..];
        if ["ok ", "rows: ", "error "].iter().any(|kind| next.starts_with(kind)) {
            parts.push(&rest[..at]);
            (rest, from) = (next, 0);
        } else {
            from = at + 3;
        }
    }
    parts.push(rest);
    parts
}

fn outcome(text: &str) -> Option<Outcome> {
    let text = text.trim();
    if text == "blocks" {
        return Some(Outcome::Blocks);
    }
    let parts = parts(text);
    if parts.len() > 1 {
        return parts.into_iter().map(outcome).collect::<Option<Vec<_>>>().map(Outcome::Several);
    }
    if let Some(rest) = text.strip_prefix("error ") {
        let (state, message) = rest.split_once(": ")?;
        return Some(Outcome::Error { state: state.to_owned(), message: message.to_owned() });
    }
    if let Some(rows) = text.strip_prefix("rows: ") {
        return Some(Outcome::Rows(rows.to_owned()));
    }
    Some(Outcome::Ok(text.strip_prefix("ok ")?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Title\n\n## lost-update\n\nWhat it is.\n\nSetup: `create table t (a int)`\n\n\
        **read committed, serializable**\n\n```iso\nT1> begin isolation level {L}\n   = ok BEGIN\nT2> update t set a = 1\n   = blocks\n\
        T1> commit\n   = error 40001: no\nT2< ok UPDATE 1\n```\n\n## other\n\nSetup:\n```sql\ncreate table u (a int);\ninsert into u values (1)\n```\n\
        Session s1 setup: `BEGIN ISOLATION LEVEL SERIALIZABLE`\n\nPermutation `a b`\n```iso\ns1> SELECT 1;\nSELECT 2\n   = rows: (1) / rows: (2)\ns1> SAVEPOINT f; COMMIT\n   = ok SAVEPOINT / ok COMMIT\n```\n";

    #[test]
    fn a_file_becomes_a_run_a_level_and_permutation() {
        let runs = runs(TEXT).unwrap_or_else(|reason| panic!("{reason}"));
        let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
        assert_eq!(names, ["lost-update: read committed", "lost-update: serializable", "other: a b"]);
        assert_eq!(runs.iter().map(|run| run.serializable).collect::<Vec<_>>(), [false, true, true]);
        assert_eq!(runs[0].setup, "create table t (a int)");
        assert_eq!(runs[2].setup, "create table u (a int);\ninsert into u values (1)");
        assert_eq!(
            runs[2].session_setup,
            [("s1".to_owned(), "BEGIN ISOLATION LEVEL SERIALIZABLE".to_owned())]
        );
        let Step::Send { sql, outcome, .. } = &runs[1].steps[0] else { panic!("a statement is sent") };
        assert_eq!(
            (sql.as_str(), outcome),
            ("begin isolation level serializable", &Outcome::Ok("BEGIN".to_owned()))
        );
        assert!(
            matches!(&runs[0].steps[3], Step::Late { session, outcome: Outcome::Ok(tag) } if session == "T2" && tag == "UPDATE 1")
        );
        let Step::Send { outcome: Outcome::Several(parts), .. } = &runs[2].steps[1] else {
            panic!("several outcomes")
        };
        assert_eq!(parts.len(), 2);
    }

    #[test]
    fn what_is_no_step_is_told() {
        let Some(Outcome::Several(parts)) = outcome("rows: (a / b) / ok SAVEPOINT / error 23505: no / none")
        else {
            panic!("three outcomes")
        };
        assert_eq!(parts.len(), 3);
        assert!(runs("## x\n```iso\nnothing\n```\n").is_err());
        assert!(runs("## x\n```iso\nT1> select 1\n   = perhaps\n```\n").is_err());
    }
}
