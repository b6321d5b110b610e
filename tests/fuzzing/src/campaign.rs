//! Runs many inputs through the bodies, on a thread with the small stack that the engine promises to be content
//! with, and says which input broke what. Every input follows from the seed and its number.

use crate::body::{Bench, Target};
use crate::{generator, mutation};
use lumos_core::common::random::Random;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// The stack that parser and binder must fit.
const STACK_BYTES: usize = 128 << 10;

/// How many inputs, from which seed, and how long one may take before it counts as hanging.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Decides every generated input.
    pub seed: u64,
    /// Generated inputs, beside the kept ones.
    pub generated: u64,
    /// No input takes a hundredth of it: beyond it, one hangs.
    pub patience: Duration,
}

/// An input that broke a promise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// The input's number: kept ones first.
    pub number: u64,
    /// The input; empty for one that hangs (its number finds it).
    pub input: Vec<u8>,
    /// What it broke.
    pub what: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "input {}: {}\n{}", self.number, self.what, String::from_utf8_lossy(&self.input))
    }
}

/// The generated input of this number.
pub fn generated(plan: &Plan, kept: &[Vec<u8>], number: u64) -> Vec<u8> {
    let mut random = Random::new(plan.seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    // The first numbers of neighbouring seeds are alike.
    random.next_u64();
    let any = |random: &mut Random| match random.below(3) {
        0 if !kept.is_empty() => kept[random.below(kept.len() as u64) as usize].clone(),
        _ => generator::text(random).into_bytes(),
    };
    if random.below(2) == 0 {
        return generator::text(&mut random).into_bytes();
    }
    let (text, other) = (any(&mut random), any(&mut random));
    mutation::spoil(&text, &other, &mut random)
}

/// Runs the kept inputs and the generated ones through all targets.
/// # Errors
/// The first input that breaks a promise.
pub fn run(plan: Plan, kept: Vec<Vec<u8>>) -> Result<u64, Box<Finding>> {
    run_with(plan, kept, || {
        let mut bench = Bench::new().map_err(|error| error.to_string())?;
        Ok(move |input: &[u8]| Target::ALL.into_iter().try_for_each(|target| bench.run(target, input)))
    })
}

/// As [`run`], with any body; `make` is called on the thread that runs it.
/// # Errors
/// As [`run`].
pub fn run_with<B>(
    plan: Plan,
    kept: Vec<Vec<u8>>,
    make: impl FnOnce() -> Result<B, String> + Send + 'static,
) -> Result<u64, Box<Finding>>
where
    B: FnMut(&[u8]) -> Result<(), String>,
{
    let total = kept.len() as u64 + plan.generated;
    let input = move |number: u64| match kept.get(number as usize) {
        Some(input) => input.clone(),
        None => generated(&plan, &kept, number),
    };
    run_inputs(plan, 0..total, STACK_BYTES, input, make)
}

/// As [`run_with`], with any inputs: `input` gives the one of each number.
/// # Errors
/// As [`run`].
pub fn run_inputs<B>(
    plan: Plan,
    numbers: Range<u64>,
    stack_bytes: usize,
    input: impl Fn(u64) -> Vec<u8> + Send + 'static,
    make: impl FnOnce() -> Result<B, String> + Send + 'static,
) -> Result<u64, Box<Finding>>
where
    B: FnMut(&[u8]) -> Result<(), String>,
{
    let at = Arc::new(AtomicU64::new(0));
    let (done, results) = channel();
    let thread = {
        let at = Arc::clone(&at);
        std::thread::Builder::new().stack_size(stack_bytes).spawn(move || {
            let result = make()
                .map_err(|what| Box::new(Finding { number: 0, input: Vec::new(), what }))
                .and_then(|body| run_all(numbers, &input, &at, body));
            // Nobody listens any more when an input has hung.
            let _ = done.send(result);
        })
    };
    match thread {
        Ok(_) => wait(&plan, &at, &results),
        Err(error) => Err(Box::new(Finding { number: 0, input: Vec::new(), what: error.to_string() })),
    }
}

fn run_all(
    numbers: Range<u64>,
    input: &impl Fn(u64) -> Vec<u8>,
    at: &AtomicU64,
    mut body: impl FnMut(&[u8]) -> Result<(), String>,
) -> Result<u64, Box<Finding>> {
    let total = numbers.end - numbers.start;
    for number in numbers {
        at.store(number, Ordering::Release);
        let input = input(number);
        let what = match catch_unwind(AssertUnwindSafe(|| body(&input))) {
            Ok(Ok(())) => continue,
            Ok(Err(what)) => what,
            Err(payload) => {
                let text = payload.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("?");
                format!("panic: {text}")
            }
        };
        return Err(Box::new(Finding { number, input, what }));
    }
    Ok(total)
}

/// Waits for the end, or for an input that takes longer than anybody waits.
fn wait(
    plan: &Plan,
    at: &AtomicU64,
    results: &Receiver<Result<u64, Box<Finding>>>,
) -> Result<u64, Box<Finding>> {
    let mut last = None;
    loop {
        match results.recv_timeout(plan.patience) {
            Ok(result) => return result,
            Err(RecvTimeoutError::Disconnected) => {
                let number = at.load(Ordering::Acquire);
                return Err(Box::new(Finding {
                    number,
                    input: Vec::new(),
                    what: "the thread is gone".to_owned(),
                }));
            }
            Err(RecvTimeoutError::Timeout) => {
                let now = at.load(Ordering::Acquire);
                if last == Some(now) {
                    let what = format!("no end after {:?}", plan.patience);
                    return Err(Box::new(Finding { number: now, input: Vec::new(), what }));
                }
                last = Some(now);
            }
        }
    }
}
