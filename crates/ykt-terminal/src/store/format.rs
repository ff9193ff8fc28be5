//! Journal entries as bytes: a length, a kind, the fields big-endian, and a checksum over them all.

use super::Entry;
use crate::record::{BatchId, CardFacts, Debit, Ending, LocalSerial, Mac2Check};
use ykt_base::{Asn8, CardCounter, Date, DateTime, Fen, Mac4, TerminalId, TerminalSeq};
use ykt_crypto::chain::sm3;

/// First bytes of a journal: a name and the version of this format.
pub(super) const MAGIC: [u8; 8] = *b"YKTPOS\x00\x01";
/// Bytes of the checksum at the end of a frame: the start of an SM3 hash.
const CHECK_LEN: usize = 8;

const BEGUN: u8 = 1;
const ENDED: u8 = 2;
const BATCHED: u8 = 3;

/// What stands at the start of some bytes of a journal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame<E> {
    /// An entry that takes `len` bytes.
    Whole { entry: E, len: usize },
    /// An entry whose stated length runs past the end of the bytes.
    CutShort,
    /// Bytes that are no entry.
    Damaged(&'static str),
}

/// The entry in its frame.
pub(super) fn encode(entry: &Entry) -> Vec<u8> {
    let mut bytes = vec![0];
    match entry {
        Entry::Begun(debit) => {
            bytes.push(BEGUN);
            bytes.extend(debit.serial.number().to_be_bytes());
            bytes.extend(debit.card.asn.0);
            bytes.extend([debit.card.main_type, debit.card.sub_type]);
            bytes.extend(debit.card.start.to_bcd());
            bytes.extend(debit.card.expiry.to_bcd());
            bytes.extend(debit.counter.to_bytes());
            bytes.extend(debit.terminal.0);
            bytes.extend(debit.sequence.to_bytes());
            bytes.extend(debit.balance_before.fen().to_be_bytes());
            bytes.extend(debit.amount.fen().to_be_bytes());
            bytes.extend(debit.at.to_bcd());
        }
        Entry::Ended(serial, ending) => {
            bytes.push(ENDED);
            bytes.extend(serial.number().to_be_bytes());
            let (kind, tac) = match ending {
                Ending::Paid { tac, mac2: Mac2Check::Right } => (0, tac.0),
                Ending::Paid { tac, mac2: Mac2Check::NotAsked } => (1, tac.0),
                Ending::Void => (2, [0; 4]),
                Ending::Grey { tac: None } => (3, [0; 4]),
                Ending::Grey { tac: Some(tac) } => (4, tac.0),
            };
            bytes.push(kind);
            bytes.extend(tac);
        }
        Entry::Batched(id) => {
            bytes.push(BATCHED);
            bytes.extend(id.day.to_bcd());
            bytes.extend(id.sequence.to_be_bytes());
        }
    }
    seal(bytes)
}

/// The entry at the start of `bytes`.
pub(super) fn decode(bytes: &[u8]) -> Frame<Entry> {
    unseal(bytes, body_len, entry)
}

/// Closes a frame of kind and fields, whose first byte is kept for its length.
pub(crate) fn seal(mut bytes: Vec<u8>) -> Vec<u8> {
    let len = bytes.len().saturating_add(CHECK_LEN);
    bytes[0] = u8::try_from(len).unwrap_or(u8::MAX);
    let check = sm3(&[&bytes]);
    bytes.extend(&check.0[..CHECK_LEN]);
    bytes
}

/// The entry at the start of `bytes`, whose kinds have fields of `body_len` bytes that `entry` reads.
pub(crate) fn unseal<E>(
    bytes: &[u8],
    body_len: impl FnOnce(u8) -> Option<usize>,
    entry: impl FnOnce(&[u8]) -> Option<E>,
) -> Frame<E> {
    let Some(&len) = bytes.first() else { return Frame::CutShort };
    let len = usize::from(len);
    // Length and kind must agree: a flipped length near the end is damage, not an entry cut short.
    let stated = match bytes.get(1) {
        None => len,
        Some(&kind) => match body_len(kind) {
            Some(body) => body.saturating_add(CHECK_LEN).saturating_add(2),
            None => return Frame::Damaged("unknown kind"),
        },
    };
    if len != stated {
        return Frame::Damaged("impossible length");
    }
    let Some((body, check)) = bytes.get(..len).and_then(|frame| frame.split_last_chunk::<CHECK_LEN>()) else {
        return Frame::CutShort;
    };
    if sm3(&[body]).0[..CHECK_LEN] != *check {
        return Frame::Damaged("wrong checksum");
    }
    match entry(&body[1..]) {
        Some(entry) => Frame::Whole { entry, len },
        None => Frame::Damaged("impossible field"),
    }
}

/// Bytes of the fields of a kind of entry.
const fn body_len(kind: u8) -> Option<usize> {
    match kind {
        BEGUN => Some(57),
        ENDED => Some(9),
        BATCHED => Some(6),
        _ => None,
    }
}

fn entry(body: &[u8]) -> Option<Entry> {
    let (&kind, rest) = body.split_first()?;
    let mut rest = Fields(rest);
    let entry = match kind {
        BEGUN => Entry::Begun(Debit {
            serial: rest.serial()?,
            card: CardFacts {
                asn: Asn8(rest.take()?),
                main_type: rest.take::<1>()?[0],
                sub_type: rest.take::<1>()?[0],
                start: Date::from_bcd(rest.take()?)?,
                expiry: Date::from_bcd(rest.take()?)?,
            },
            counter: CardCounter::from_bytes(rest.take()?),
            terminal: TerminalId(rest.take()?),
            sequence: TerminalSeq::from_bytes(rest.take()?),
            balance_before: Fen::new(i64::from_be_bytes(rest.take()?)),
            amount: Fen::new(i64::from_be_bytes(rest.take()?)),
            at: DateTime::from_bcd(rest.take()?)?,
        }),
        ENDED => {
            let serial = rest.serial()?;
            let [kind] = rest.take()?;
            let tac = Mac4(rest.take()?);
            let ending = match kind {
                0 => Ending::Paid { tac, mac2: Mac2Check::Right },
                1 => Ending::Paid { tac, mac2: Mac2Check::NotAsked },
                2 => Ending::Void,
                3 => Ending::Grey { tac: None },
                4 => Ending::Grey { tac: Some(tac) },
                _ => return None,
            };
            Entry::Ended(serial, ending)
        }
        BATCHED => Entry::Batched(BatchId {
            day: Date::from_bcd(rest.take()?)?,
            sequence: u16::from_be_bytes(rest.take()?),
        }),
        _ => return None,
    };
    rest.0.is_empty().then_some(entry)
}

/// Takes fields from the front.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl Fields<'_> {
    pub(crate) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    pub(crate) fn serial(&mut self) -> Option<LocalSerial> {
        LocalSerial::new(u32::from_be_bytes(self.take()?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{PAID, debit};
    use super::*;

    fn samples() -> Vec<Entry> {
        let serial = LocalSerial::FIRST;
        let tac = Mac4([9, 8, 7, 6]);
        vec![
            Entry::Begun(debit(1, "20261122101500")),
            Entry::Ended(serial, PAID),
            Entry::Ended(serial, Ending::Paid { tac, mac2: Mac2Check::NotAsked }),
            Entry::Ended(serial, Ending::Void),
            Entry::Ended(serial, Ending::Grey { tac: None }),
            Entry::Ended(serial, Ending::Grey { tac: Some(tac) }),
            Entry::Batched(BatchId { day: "20261122".parse().unwrap(), sequence: 3 }),
        ]
    }

    #[test]
    fn every_kind_goes_there_and_back() {
        for entry in samples() {
            let bytes = encode(&entry);
            assert_eq!(decode(&bytes), Frame::Whole { entry, len: bytes.len() });
        }
    }

    #[test]
    fn no_cut_and_no_flipped_bit_passes() {
        for entry in samples() {
            let bytes = encode(&entry);
            for len in 0..bytes.len() {
                assert_eq!(decode(&bytes[..len]), Frame::CutShort);
            }
            for bit in 0..bytes.len() * 8 {
                let mut broken = bytes.clone();
                broken[bit / 8] ^= 1 << (bit % 8);
                assert!(!matches!(decode(&broken), Frame::Whole { .. }), "bit {bit} of {entry:?}");
            }
        }
    }
}
