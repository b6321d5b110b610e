//! Every bound that keeps a loop, a queue, a recursion or a size finite, in one place.

use std::ops::RangeInclusive;

/// Rows of a batch.
pub const BATCH_ROWS: usize = 2048;
/// Bytes of an identifier, as in PostgreSQL.
pub const IDENTIFIER_BYTES_MAX: usize = 63;
/// Default bytes of one SQL text (`max_statement_size`).
pub const STATEMENT_BYTES_DEFAULT: usize = 64 << 20;
/// Nesting of expressions and sub-selects. Beyond it: 54001. Sized so that parser, binder and planner
/// stay within a 128 KiB stack.
pub const NESTING_DEPTH_MAX: usize = 200;
/// Levels of a query's plan, those of subqueries counted where they stand. Beyond it: 54001.
pub const PLAN_DEPTH_MAX: usize = 500;
/// Columns of a table.
pub const TABLE_COLUMNS_MAX: usize = 1600;
/// How far pages may be told to be filled, in hundredths.
pub const FILL_PERCENTS: RangeInclusive<u8> = 10..=100;
/// Columns of an index.
pub const INDEX_COLUMNS_MAX: usize = 32;
/// Expressions of a select list.
pub const TARGET_LIST_MAX: usize = 1664;
/// Bytes of one value.
pub const VALUE_BYTES_MAX: usize = 1 << 30;
/// Statement parameters ($1 …).
pub const PARAMETERS_MAX: usize = 65_535;
/// Bytes of the payload of a notification, as in PostgreSQL.
pub const NOTIFICATION_PAYLOAD_BYTES_MAX: usize = 7999;
/// Bytes of notifications that wait for one session.
pub const NOTIFICATION_BYTES_MAX: usize = 8 << 20;
/// Default page size in bytes.
pub const PAGE_SIZE_DEFAULT: usize = 8192;
/// First log segment in bytes; each next one doubles.
pub const LOG_SEGMENT_FIRST_BYTES: u64 = 1 << 20;
/// Largest log segment in bytes.
pub const LOG_SEGMENT_MAX_BYTES: u64 = 64 << 20;
/// Rows from which on a load into an empty table, or a new index, is built beside the log and linked.
pub const BULK_ROWS: u64 = 32 << 10;
/// Payload bytes of one log frame; a larger write set becomes several CHUNK frames and one COMMIT.
pub const LOG_FRAME_PAYLOAD_MAX: usize = 256 << 10;
