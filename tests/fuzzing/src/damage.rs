//! How files are spoilt: bytes changed, copied and cut off, and checksums put right again afterwards, so that what
//! lies behind them is reached. An input is a list of such edits; any bytes are one.

use crate::image::{BLOCKS_START, Image, PAGE_BYTES, SEGMENT_HEADER_BYTES};
use lumos_core::common::checksum::{crc32c, crc32c_append};
use lumos_core::common::random::Random;

/// Offsets of the copies of checkpoint slots.
const SLOTS: [usize; 4] = [16 << 10, 48 << 10, 32 << 10, 64 << 10];
const SLOT_BYTES: usize = 512;
const MAP_HEADER_BYTES: usize = 24;
const FRAME_HEADER_BYTES: usize = 56;
/// Map pages on top of each other that are followed.
const LEVELS_MAX: u32 = 8;

/// Reads an input byte by byte; zeros when it is at its end.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    fn number(&mut self) -> usize {
        (0..4).fold(0, |number, _| number << 8 | usize::from(self.byte()))
    }
}

/// Carries out an input's edits. Gives whether checksums were put right.
pub fn spoil(image: &mut Image, input: &[u8]) -> bool {
    let mut reader = Reader(input);
    let repairs = reader.byte() & 1 == 1;
    while !reader.0.is_empty() {
        let (kind, file) = (reader.byte(), reader.byte());
        let (place, length) = (reader.number(), usize::from(reader.byte() % 9) + 1);
        let count = image.files.len();
        let (_, bytes) = &mut image.files[usize::from(file) % count];
        edit(bytes, kind, interesting(bytes, place), length, &mut reader);
    }
    if repairs {
        repair(image);
    }
    repairs
}

/// A page after an input's edits; its checksum is nobody's business.
pub fn spoil_page(page: &[u8], input: &[u8]) -> Vec<u8> {
    let mut image = Image { files: vec![("page".into(), page.to_vec())] };
    let edits: Vec<u8> = [0].into_iter().chain(input.iter().skip(1).copied()).collect();
    spoil(&mut image, &edits);
    image.files.pop().map(|(_, bytes)| bytes).unwrap_or_default()
}

/// A place in a file. Headers and slots are few bytes among many: every second place is in one of them.
fn interesting(bytes: &[u8], place: usize) -> usize {
    let is_database = bytes.len() > BLOCKS_START && bytes.starts_with(b"LUMOS");
    if is_database && place & 1 == 1 {
        let (which, offset) = (place >> 1 & 7, place >> 4);
        return match which {
            0..=3 => SLOTS[which] + offset % 96,
            4 => offset % 64,
            _ => BLOCKS_START + offset % (bytes.len() - BLOCKS_START),
        };
    }
    let start = if is_database { BLOCKS_START } else { 0 };
    start + (place >> 1) % bytes.len().saturating_sub(start).max(1)
}

fn edit(bytes: &mut Vec<u8>, kind: u8, place: usize, length: usize, reader: &mut Reader<'_>) {
    let end = (place + length).min(bytes.len());
    match kind % 8 {
        0 | 1 => bytes[place.min(end)..end].iter_mut().for_each(|byte| *byte = reader.byte()),
        2 => bytes[place.min(end)..end].iter_mut().for_each(|byte| *byte ^= reader.byte()),
        3 => bytes[place.min(end)..end].iter_mut().for_each(|byte| *byte = byte.wrapping_add(1)),
        4 => {
            // One block over another.
            let from = reader.number() % bytes.len().max(1) / PAGE_BYTES * PAGE_BYTES;
            let to = place / PAGE_BYTES * PAGE_BYTES;
            if from.max(to) + PAGE_BYTES <= bytes.len() {
                bytes.copy_within(from..from + PAGE_BYTES, to);
            }
        }
        5 => bytes[place.min(end)..end].fill(0),
        6 if reader.byte().is_multiple_of(8) => bytes.truncate(place),
        6 => bytes[place.min(end)..end].fill(0xff),
        _ => {
            // Numbers at which readers go wrong.
            let number =
                [0u16, 1, 0x7f, 0x80, 0x7fff, 0x8000, 0xfffe, 0xffff][usize::from(reader.byte() & 7)];
            if let Some(two) = bytes.get_mut(place & !1..(place & !1) + 2) {
                two.copy_from_slice(&number.to_le_bytes());
            }
        }
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn set_u32(bytes: &mut [u8], at: usize, number: u32) {
    if let Some(place) = bytes.get_mut(at..at + 4) {
        place.copy_from_slice(&number.to_le_bytes());
    }
}

/// Puts every checksum right.
fn repair(image: &mut Image) {
    for (path, bytes) in &mut image.files {
        if path.extension().is_some_and(|extension| extension == "log") {
            repair_segment(bytes);
        } else {
            repair_database(bytes);
        }
    }
}

fn repair_database(bytes: &mut [u8]) {
    if bytes.len() < BLOCKS_START {
        return;
    }
    let crc = crc32c(&bytes[..60]);
    set_u32(bytes, 60, crc);
    for slot in SLOTS {
        let (Some(block), Some(levels)) = (u32_at(bytes, slot + 40), u32_at(bytes, slot + 48)) else {
            continue;
        };
        if let Some(crc) = repair_map(bytes, block, levels.min(LEVELS_MAX)) {
            set_u32(bytes, slot + 44, crc);
        }
        let crc = crc32c(&bytes[slot..slot + SLOT_BYTES - 4]);
        set_u32(bytes, slot + SLOT_BYTES - 4, crc);
    }
}

/// Puts the checksums of a map page and of all below it right, and gives its own.
fn repair_map(bytes: &mut [u8], block: u32, levels: u32) -> Option<u32> {
    let start = (block as usize).checked_mul(PAGE_BYTES)?;
    bytes.get(start..start + PAGE_BYTES).filter(|_| start >= BLOCKS_START)?;
    if levels > 0 {
        for entry in (start + MAP_HEADER_BYTES..start + PAGE_BYTES - 7).step_by(8) {
            match u32_at(bytes, entry) {
                None | Some(0) => {}
                Some(below) => {
                    if let Some(crc) = repair_map(bytes, below, levels - 1) {
                        set_u32(bytes, entry + 4, crc);
                    }
                }
            }
        }
    }
    let crc = crc32c(&bytes[start + 4..start + PAGE_BYTES]);
    set_u32(bytes, start, crc);
    Some(crc)
}

fn repair_segment(bytes: &mut [u8]) {
    if bytes.len() < SEGMENT_HEADER_BYTES {
        return;
    }
    let crc = crc32c(&bytes[..72]);
    set_u32(bytes, 72, crc);
    let salt: [u8; 8] = bytes[48..56].try_into().unwrap_or_default();
    let mut at = SEGMENT_HEADER_BYTES;
    // Frames follow one another; where one is no frame any more, the rest stays as it is.
    while let Some(header) = bytes.get(at..at + FRAME_HEADER_BYTES) {
        let payload_bytes = u32_at(header, 0).unwrap_or(0) as usize;
        if header.iter().all(|byte| *byte == 0) || payload_bytes > bytes.len() {
            return;
        }
        let payload = at + FRAME_HEADER_BYTES;
        let Some(crc) = bytes.get(payload..payload + payload_bytes).map(crc32c) else { return };
        set_u32(bytes, at + 40, crc);
        let crc = crc32c_append(crc32c(&salt), &bytes[at..at + 4]);
        let crc = crc32c_append(crc, &bytes[at + 8..payload]);
        set_u32(bytes, at + 4, crc);
        at = (payload + payload_bytes).next_multiple_of(8);
    }
}

/// The generated input of this number: a few edits, mostly with checksums put right.
pub fn generated(seed: u64, number: u64) -> Vec<u8> {
    let mut random = Random::new(seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    random.next_u64();
    let mut input = vec![u8::from(random.below(5) > 0)];
    for _ in 0..=random.below(4) {
        // Kind, file, place, length, and what is written there.
        let bytes = 7 + random.below(9);
        input.extend((0..bytes).map(|_| random.next_u64() as u8));
    }
    input
}
