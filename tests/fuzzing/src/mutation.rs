//! Spoils texts: tokens lost, doubled, swapped and replaced, pieces of other texts put in, nesting, bytes.

use crate::generator;
use lumos_core::common::random::Random;
use lumos_core::sql::lexer::{Lexer, TokenKind};

/// Bytes that a spoilt text does not exceed by much: nesting and repetition stop there.
const BYTES_MAX: usize = 16 << 10;

/// One to four changes to `text`; `other` lends pieces.
pub fn spoil(text: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = text.to_vec();
    for _ in 0..=random.below(4) {
        bytes = match std::str::from_utf8(&bytes) {
            Ok(text) if random.below(4) > 0 => spoil_tokens(text, other, random),
            _ => spoil_bytes(bytes, random),
        };
        bytes.truncate(BYTES_MAX);
    }
    bytes
}

/// Where tokens lie.
fn places(text: &str) -> Vec<(usize, usize)> {
    let mut lexer = Lexer::new(text);
    let mut places = Vec::new();
    loop {
        let token = lexer.next_token();
        if token.kind == TokenKind::End {
            return places;
        }
        places.push((token.start as usize, token.end() as usize));
    }
}

fn spoil_tokens(text: &str, other: &[u8], random: &mut Random) -> Vec<u8> {
    let places = places(text);
    if places.is_empty() {
        return generator::word(random).as_bytes().to_vec();
    }
    let any = |random: &mut Random| places[random.below(places.len() as u64) as usize];
    let (first, second) = (any(random), any(random));
    let ((start, end), (from, to)) = (first.min(second), first.max(second));
    let (before, after) = (&text[..start], &text[end..]);
    let spoilt = match random.below(9) {
        0 => format!("{before} {after}"),
        1 => format!("{before}{0} {0}{after}", &text[start..end]),
        2 if end <= from => {
            format!("{before}{} {} {}{}", &text[from..to], &text[end..from], &text[start..end], &text[to..])
        }
        3 => format!("{before} {} {after}", generator::word(random)),
        4 => format!("{before} {} {}{after}", generator::word(random), &text[start..end]),
        5 => {
            let times = 1 + random.below(40) as usize;
            let (open, close) =
                [("(", ")"), ("(SELECT ", ")"), ("NOT ", ""), ("CASE WHEN ", " THEN 1 END"), ("- ", "")]
                    [random.below(5) as usize];
            format!("{before} {}{}{} {after}", open.repeat(times), &text[start..end], close.repeat(times))
        }
        6 => {
            let piece = String::from_utf8_lossy(other).into_owned();
            format!("{before} {piece} {after}")
        }
        7 => {
            let times = 2 + random.below(30) as usize;
            format!("{before}{}{after}", format!("{} ", &text[start..to]).repeat(times))
        }
        _ => text[..end].to_owned(),
    };
    spoilt.into_bytes()
}

fn spoil_bytes(mut bytes: Vec<u8>, random: &mut Random) -> Vec<u8> {
    let place = random.below(bytes.len() as u64 + 1) as usize;
    match random.below(5) {
        0 if place < bytes.len() => bytes[place] ^= 1 << random.below(8),
        1 if place < bytes.len() => {
            bytes.remove(place);
        }
        2 => bytes.insert(place, random.next_u64() as u8),
        3 => {
            let piece: &[u8] = [
                &b"'"[..],
                b"\"",
                b"/*",
                b"*/",
                b"--",
                b"$$",
                b"\\",
                b"\xc3\xa9",
                b"\xf0\x9f\x98\x80",
                b"\n",
                b"e'",
                b"u&'",
            ][random.below(12) as usize];
            bytes.splice(place..place, piece.iter().copied());
        }
        _ => bytes.truncate(place),
    }
    bytes
}
