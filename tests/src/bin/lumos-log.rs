//! `lumos-log [--seconds S] [--dir PATH]`: how many frames of about a hundred bytes the log takes a second. Row S7 of
//! `make bench BENCH=storage`. *Appended*: copied into the log's buffer, which is all that happens under the commit
//! mutex. *Written*: in the system's hands, whole buffers at a time, as commits leave them that are not waited for.
//! *One by one*: each frame in the system's hands before the next one is appended, as a single client at durability
//! normal has it. Exits with 1 where a floor is missed and the medians are of a release build.

use lumos_core::common::clock::{Clock, SystemClock};
use lumos_core::common::ids::{Lsn, TransactionId, TreeId};
use lumos_core::error::{Error, Result};
use lumos_core::io::os::OsVfs;
use lumos_core::io::vfs::Vfs;
use lumos_core::wal::entry::{Operation, OperationBuffer};
use lumos_core::wal::frame::{FrameKind, frame_bytes};
use lumos_core::wal::manager::{Log, LogOptions};
use lumos_tests::process::{exit_code, say};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Frames a second that the log must take.
const APPENDED_FLOOR: f64 = 1e6;
const WRITTEN_FLOOR: f64 = 300e3;
/// Bytes of a frame's value; with key, operation and header a frame has 96.
const VALUE_BYTES: usize = 24;
/// Frames that fit into the log's buffer with room to spare.
const BUFFERED_FRAMES: u64 = 20_000;
const RUNS: usize = 5;

struct Choices {
    seconds: f64,
    directory: PathBuf,
}

fn choices() -> std::result::Result<Choices, String> {
    let mut choices = Choices { seconds: 1.0, directory: std::env::temp_dir() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} takes a value"))?;
        match word.as_str() {
            "--seconds" => choices.seconds = value.parse().map_err(|_| format!("{value} is no number"))?,
            "--dir" => choices.directory = value.into(),
            _ => return Err(format!("{word} is not known")),
        }
    }
    Ok(choices)
}

/// Seconds since `started`, in nanoseconds of the same clock.
fn seconds_since(clock: &SystemClock, started: u64) -> f64 {
    (clock.monotonic_nanos() - started) as f64 / 1e9
}

/// What the threads do with the log.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Appended,
    Written,
    OneByOne,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Mode::Appended => "appended",
            Mode::Written => "written",
            Mode::OneByOne => "written one by one",
        }
    }
}

fn operations() -> OperationBuffer {
    let mut buffer = OperationBuffer::new();
    buffer.push(&Operation::Put { tree: TreeId(16), key: &[7; 8], value: &[9; VALUE_BYTES] });
    buffer
}

/// A log in a folder of its own.
fn log(folder: &Path) -> Result<Log> {
    let vfs: Arc<dyn Vfs> = Arc::new(OsVfs::new());
    let options = LogOptions {
        vfs,
        folder: folder.to_path_buf(),
        database: [1; 16],
        timeline: 1,
        first_segment_bytes: 1 << 20,
        segment_bytes_max: 64 << 20,
        volatile: false,
        salt_seed: 7,
    };
    let log = Log::create(options, Lsn::ZERO)?;
    log.prepare(0)?;
    Ok(log)
}

/// Appends until told to stop; gives the number of frames.
fn append(log: &Log, mode: Mode, transaction: TransactionId, stop: &AtomicBool) -> Result<u64> {
    let operations = operations();
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        log.prepare(operations.len_bytes())?;
        let end = log.append(FrameKind::Transaction, transaction, &operations)?.end;
        if mode == Mode::OneByOne {
            log.write_to(end)?;
        }
        count += 1;
    }
    Ok(count)
}

/// Frames a second that reach the system.
fn written(log: &Log, mode: Mode, threads: u64, seconds: f64) -> Result<f64> {
    let (stop, clock) = (AtomicBool::new(false), SystemClock::new());
    let started = clock.monotonic_nanos();
    let counts: Vec<Result<u64>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn({
                    let stop = &stop;
                    move || append(log, mode, TransactionId(thread + 1), stop)
                })
            })
            .collect();
        std::thread::sleep(Duration::from_secs_f64(seconds));
        stop.store(true, Ordering::Relaxed);
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|_| Err(Error::internal("a thread panicked"))))
            .collect()
    });
    log.write_to(log.tail())?;
    let took = seconds_since(&clock, started);
    let count = counts.into_iter().sum::<Result<u64>>()?;
    Ok(count as f64 / took)
}

/// Frames a second into the buffer; emptying it is not timed.
fn appended(log: &Log, threads: u64, seconds: f64) -> Result<f64> {
    let clock = SystemClock::new();
    let (mut count, mut took) = (0, 0.0);
    while took < seconds {
        log.write_to(log.tail())?;
        let left = AtomicU64::new(BUFFERED_FRAMES);
        let started = clock.monotonic_nanos();
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|thread| {
                    let left = &left;
                    scope.spawn(move || {
                        let operations = operations();
                        let share = BUFFERED_FRAMES / threads;
                        for _ in 0..share {
                            log.prepare(operations.len_bytes())?;
                            log.append(FrameKind::Transaction, TransactionId(thread + 1), &operations)?;
                        }
                        left.fetch_sub(share, Ordering::Relaxed);
                        Ok(())
                    })
                })
                .collect();
            workers.into_iter().try_for_each(|worker| {
                worker.join().unwrap_or_else(|_| Err(Error::internal("a thread panicked")))
            })
        })?;
        took += seconds_since(&clock, started);
        count += BUFFERED_FRAMES - left.load(Ordering::Relaxed);
    }
    Ok(count as f64 / took)
}

fn measure(choices: &Choices) -> Result<bool> {
    let bytes = frame_bytes(operations().len_bytes());
    say(&format!("S7: frames of {bytes} bytes a second, medians of {RUNS} runs of {} s", choices.seconds));
    say(&format!("{:<22} {:>7} {:>12} {:>12}", "row", "threads", "frames/s", "floor"));
    let mut is_reached = true;
    let rows = [(Mode::Appended, APPENDED_FLOOR), (Mode::Written, WRITTEN_FLOOR), (Mode::OneByOne, 0.0)];
    for (mode, floor) in rows {
        for threads in [1, 2] {
            let mut rates = Vec::new();
            for _ in 0..RUNS {
                let folder = choices.directory.join(format!("lumos-log-{}", std::process::id()));
                let log = log(&folder)?;
                let rate = match mode {
                    Mode::Appended => appended(&log, threads, choices.seconds),
                    Mode::Written | Mode::OneByOne => written(&log, mode, threads, choices.seconds),
                };
                log.remove()?;
                rates.push(rate?);
            }
            rates.sort_by(f64::total_cmp);
            let rate = rates[RUNS / 2];
            is_reached &= rate >= floor;
            say(&format!("{:<22} {threads:>7} {rate:>12.0} {floor:>12.0}", mode.name()));
        }
    }
    Ok(is_reached)
}

fn main() -> ExitCode {
    let choices = match choices() {
        Ok(choices) => choices,
        Err(what) => {
            let _ = writeln!(std::io::stderr(), "lumos-log: {what}");
            return ExitCode::from(2);
        }
    };
    exit_code("lumos-log", measure(&choices))
}
