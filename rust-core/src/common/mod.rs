//! What every layer may use: identifiers, memory account, cancellation, clocks, checksums. Knows no layer above.

pub mod arena;
pub mod bounds;
pub mod cancel;
pub mod checksum;
pub mod clock;
pub mod event_count;
pub mod ids;
pub mod latch;
pub mod limits;
pub mod memory;
pub mod planted;
pub mod random;
pub mod sync;
pub mod thread_number;
pub mod timer;
