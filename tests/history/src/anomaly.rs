//! What can be wrong with a history, by the names of the literature, and which level allows what.

use crate::history::Level;
use std::fmt;

/// A kind of anomaly.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Anomaly {
    /// G0: transactions overwrite each other in a circle.
    WriteCycle,
    /// G1a: somebody saw what was rolled back.
    AbortedRead,
    /// G1b: somebody saw what its writer changed again.
    IntermediateRead,
    /// G1c: a circle of writes and of reads of what was written.
    CircularInformation,
    /// A committed value lies on one that was rolled back.
    DirtyUpdate,
    /// An acknowledged append is not there for somebody who began later, or two appends stand on the same list.
    LostUpdate,
    /// A value is in a list twice.
    DuplicateElement,
    /// A value that nobody appended.
    UnknownElement,
    /// Two reads of a list of which neither is the beginning of the other.
    IncompatibleOrder,
    /// A transaction did not see what it wrote itself.
    Internal,
    /// A transaction read something twice and saw a difference that it did not make.
    NonRepeatableRead,
    /// A transaction searched twice and found more or fewer than before.
    Phantom,
    /// Reads of one row by different ways do not agree.
    TornRead,
    /// G-single: a circle with exactly one place where somebody read what was overwritten later (read skew).
    ReadSkew,
    /// G-nonadjacent: a circle with several such places, no two of them side by side.
    NonadjacentSkew,
    /// G2: a circle with two such places side by side (write skew).
    WriteSkew,
    /// A sum or a count that every state keeps was not kept.
    BrokenInvariant,
    /// An error that must not come up.
    UnexpectedError,
}

impl Anomaly {
    /// The short name.
    pub fn name(self) -> &'static str {
        match self {
            Anomaly::WriteCycle => "G0",
            Anomaly::AbortedRead => "G1a",
            Anomaly::IntermediateRead => "G1b",
            Anomaly::CircularInformation => "G1c",
            Anomaly::DirtyUpdate => "dirty update",
            Anomaly::LostUpdate => "lost update",
            Anomaly::DuplicateElement => "duplicate element",
            Anomaly::UnknownElement => "unknown element",
            Anomaly::IncompatibleOrder => "incompatible order",
            Anomaly::Internal => "internal",
            Anomaly::NonRepeatableRead => "non-repeatable read",
            Anomaly::Phantom => "phantom",
            Anomaly::TornRead => "torn read",
            Anomaly::ReadSkew => "G-single",
            Anomaly::NonadjacentSkew => "G-nonadjacent",
            Anomaly::WriteSkew => "G2-item",
            Anomaly::BrokenInvariant => "broken invariant",
            Anomaly::UnexpectedError => "unexpected error",
        }
    }

    /// Whether transactions of this level may meet it.
    pub fn is_allowed_at(self, level: Level) -> bool {
        match self {
            Anomaly::NonRepeatableRead | Anomaly::Phantom | Anomaly::ReadSkew | Anomaly::NonadjacentSkew => {
                level == Level::ReadCommitted
            }
            Anomaly::WriteSkew => level != Level::Serializable,
            _ => false,
        }
    }
}

/// Something that was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// Of what kind.
    pub anomaly: Anomaly,
    /// Only the order in real time makes it one: somebody saw a state older than one that was acknowledged before.
    pub realtime: bool,
    /// Who did what.
    pub text: String,
}

impl Finding {
    /// A finding that needs no clock.
    pub fn new(anomaly: Anomaly, text: String) -> Finding {
        Finding { anomaly, realtime: false, text }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = if self.realtime { "-realtime" } else { "" };
        write!(f, "{}{suffix}: {}", self.anomaly.name(), self.text)
    }
}
