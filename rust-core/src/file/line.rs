//! Bytes as lines: a line of CSV goes on where a quote is open, a line of text after a backslash. The first line's end
//! is the end of all lines; `\.` alone ends the data.

use crate::common::memory::{MemoryAccount, Reservation};
use crate::common::sync::Arc;
use crate::error::{Error, Result, SqlState};
use crate::file::format::FileFormat;

/// Where bytes come from: fills a part of the buffer and says how much, 0 at the end.
pub type ReadBytes<'a> = dyn FnMut(&mut [u8]) -> Result<usize> + 'a;

/// Bytes asked for at once.
const CHUNK_BYTES: usize = 64 << 10;
/// A longer line is refused.
const LINE_BYTES_MAX: usize = 1 << 30;

/// How lines end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum LineEnd {
    Unknown,
    Newline,
    CarriageReturn,
    Both,
}

/// See the module.
pub struct LineReader<'a> {
    read: &'a mut ReadBytes<'a>,
    buffer: Vec<u8>,
    /// What was read and not yet given out: `buffer[start..filled]`.
    start: usize,
    filled: usize,
    /// The source has nothing more.
    at_end: bool,
    /// `\.` was seen.
    is_over: bool,
    csv: bool,
    quote: u8,
    /// Differs from the quote; otherwise quotes in pairs need no thought here.
    escape: Option<u8>,
    line_end: LineEnd,
    number: u64,
    memory: Reservation,
}

/// What ended a line.
struct End {
    /// Bytes of the line.
    length: usize,
    /// Bytes to skip with it.
    taken: usize,
}

impl std::fmt::Debug for LineReader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LineReader").field("number", &self.number).finish_non_exhaustive()
    }
}

impl<'a> LineReader<'a> {
    /// A reader of lines in `format`; its buffer is charged to `memory`.
    pub fn new(
        format: &FileFormat,
        read: &'a mut ReadBytes<'a>,
        memory: &Arc<MemoryAccount>,
    ) -> LineReader<'a> {
        LineReader {
            read,
            buffer: Vec::new(),
            start: 0,
            filled: 0,
            at_end: false,
            is_over: false,
            csv: format.csv,
            quote: format.quote,
            escape: (format.escape != format.quote).then_some(format.escape),
            line_end: LineEnd::Unknown,
            number: 0,
            memory: memory.reservation(),
        }
    }

    /// The number of the last line, from 1; that of its last part where it has several.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The next line without its end; `None` at the end of the data.
    /// # Errors
    /// `22P04` for line ends of two kinds and for a wrong end marker; `53200`, `54000` for a line that is too long;
    /// what reading raises.
    pub fn next_line(&mut self) -> Result<Option<&[u8]>> {
        if self.is_over {
            return Ok(None);
        }
        self.number += 1;
        let Some(end) = self.find_end()? else {
            self.is_over = true;
            return Ok(None);
        };
        let first = self.start;
        self.start += end.taken;
        Ok(Some(&self.buffer[first..first + end.length]))
    }

    /// Looks for the end of the line that starts at `start`. `None`: there is no line.
    fn find_end(&mut self) -> Result<Option<End>> {
        let mut at = 0;
        let mut in_quote = false;
        let mut after_escape = false;
        loop {
            let Some(found) = self.special(at, in_quote) else {
                at = self.filled - self.start;
                if self.more()? {
                    continue;
                }
                return Ok((at > 0).then_some(End { length: at, taken: at }));
            };
            at = found;
            let byte = self.buffer[self.start + at];
            if self.csv {
                if in_quote && Some(byte) == self.escape {
                    // An escape after an escape is a value.
                    let escaped = after_escape && at > 0 && self.buffer[self.start + at - 1] == byte;
                    after_escape = !escaped;
                    at += 1;
                    continue;
                }
                if byte == self.quote {
                    let escaped = after_escape
                        && self.escape.is_some_and(|escape| self.buffer[self.start + at - 1] == escape);
                    if !escaped {
                        in_quote = !in_quote;
                    }
                    after_escape = false;
                    at += 1;
                    continue;
                }
                if in_quote {
                    let counted = match self.line_end {
                        LineEnd::CarriageReturn | LineEnd::Both => b'\r',
                        LineEnd::Newline | LineEnd::Unknown => b'\n',
                    };
                    self.number += u64::from(byte == counted);
                    after_escape = false;
                    at += 1;
                    continue;
                }
            }
            match byte {
                b'\n' => {
                    if matches!(self.line_end, LineEnd::CarriageReturn | LineEnd::Both) {
                        return Err(self.stray("newline", "\\n"));
                    }
                    self.line_end = LineEnd::Newline;
                    return Ok(Some(End { length: at, taken: at + 1 }));
                }
                b'\r' => return self.carriage_return(at).map(Some),
                // A backslash: in text anywhere, in CSV at the start of a line.
                _ => {
                    if !self.is_there(at + 1)? {
                        at += 1;
                        continue;
                    }
                    if self.buffer[self.start + at + 1] == b'.' {
                        if let Some(result) = self.end_marker(at)? {
                            return Ok(result);
                        }
                        at += 2;
                    } else if self.csv {
                        at += 1;
                    } else {
                        at += 2;
                    }
                }
            }
        }
    }

    /// The next byte from `at` on that means something, counted from the line's start.
    fn special(&self, at: usize, in_quote: bool) -> Option<usize> {
        let rest = &self.buffer[(self.start + at).min(self.filled)..self.filled];
        let found = if !self.csv {
            memchr::memchr3(b'\n', b'\r', b'\\', rest)
        } else if at == 0 && rest.first() == Some(&b'\\') {
            Some(0)
        } else if in_quote {
            // Line ends in quotes are counted, which only errors tell: one pass for what matters, one for them.
            let special = match self.escape {
                Some(escape) => memchr::memchr2(self.quote, escape, rest),
                None => memchr::memchr(self.quote, rest),
            };
            let before = &rest[..special.unwrap_or(rest.len())];
            memchr::memchr2(b'\n', b'\r', before).or(special)
        } else {
            memchr::memchr3(b'\n', b'\r', self.quote, rest)
        };
        found.map(|found| at + found)
    }

    fn carriage_return(&mut self, at: usize) -> Result<End> {
        match self.line_end {
            LineEnd::Newline => return Err(self.stray("carriage return", "\\r")),
            LineEnd::CarriageReturn => {}
            LineEnd::Unknown | LineEnd::Both => {
                if self.is_there(at + 1)? && self.buffer[self.start + at + 1] == b'\n' {
                    self.line_end = LineEnd::Both;
                    return Ok(End { length: at, taken: at + 2 });
                }
                if self.line_end == LineEnd::Both {
                    return Err(self.stray("carriage return", "\\r"));
                }
                self.line_end = LineEnd::CarriageReturn;
            }
        }
        Ok(End { length: at, taken: at + 1 })
    }

    /// Looks at a `\.`. `None`: it is none, but data. Otherwise what stands before it is the last line.
    fn end_marker(&mut self, at: usize) -> Result<Option<Option<End>>> {
        let bad = |message: &str| Err(Error::new(SqlState::BAD_COPY_FILE_FORMAT, message));
        let mut after = at + 2;
        let next = if self.is_there(after)? { Some(self.buffer[self.start + after]) } else { None };
        let ends = match (self.line_end, next) {
            (_, None) => true,
            (LineEnd::Both, Some(b'\r')) => {
                after += 1;
                self.is_there(after)? && self.buffer[self.start + after] == b'\n'
            }
            (LineEnd::Unknown, Some(b'\n' | b'\r'))
            | (LineEnd::Newline, Some(b'\n'))
            | (LineEnd::CarriageReturn, Some(b'\r')) => true,
            (_, Some(b'\n' | b'\r')) if !self.csv => {
                return bad("end-of-copy marker does not match previous newline style");
            }
            _ => false,
        };
        if !ends {
            return if self.csv { Ok(None) } else { bad("end-of-copy marker corrupt") };
        }
        self.is_over = true;
        Ok(Some((at > 0).then_some(End { length: at, taken: at + 2 })))
    }

    /// A line end of another kind than the first one's.
    fn stray(&self, what: &str, escaped: &str) -> Error {
        let (kind, hint) = if self.csv {
            ("unquoted", format!("Use quoted CSV field to represent {what}."))
        } else {
            ("literal", format!("Use \"{escaped}\" to represent {what}."))
        };
        Error::new(SqlState::BAD_COPY_FILE_FORMAT, format!("{kind} {what} found in data")).hint(hint)
    }

    /// Whether the line has a byte at `at`, which may have to be read first.
    fn is_there(&mut self, at: usize) -> Result<bool> {
        while self.start + at >= self.filled {
            if !self.more()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads more; `false` at the end. Places counted from `start` stay what they are.
    fn more(&mut self) -> Result<bool> {
        if self.at_end {
            return Ok(false);
        }
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.filled, 0);
            self.filled -= self.start;
            self.start = 0;
        }
        if self.buffer.len() - self.filled < CHUNK_BYTES / 2 {
            let size = (self.buffer.len() * 2).max(CHUNK_BYTES);
            if size > LINE_BYTES_MAX {
                return Err(Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "a line of the data is too long"));
            }
            self.memory.resize(size)?;
            self.buffer.resize(size, 0);
        }
        let room = &mut self.buffer[self.filled..];
        let room_bytes = room.len();
        let count = (self.read)(room)?;
        if count > room_bytes {
            return Err(Error::internal("a reader gave more bytes than it was asked for"));
        }
        self.filled += count;
        self.at_end = count == 0;
        Ok(count > 0)
    }
}
