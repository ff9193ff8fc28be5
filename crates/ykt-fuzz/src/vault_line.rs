//! Any bytes on a line to a served vault, from a peer that is let in and means no good: whatever it asks, each message
//! gets an answer, the vault goes on, and no answer holds a key or half of one.

use crate::choices::Choices;
use std::io::{self, Read, Write};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use ykt_base::hex;
use ykt_city::rng::SeededRng;
use ykt_vault::behaviour::KEYS;
use ykt_vault::remote::{Line, Service};
use ykt_vault::wire::{Side, VERSION, rewritten};
use ykt_vault::{KeysFile, SoftVault};

/// Length of half a key: what a derivation or a cryptogram works on.
const HALF_LEN: usize = 8;

/// The halves of every key of the vault.
static HALVES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let values = KEYS.split('"').filter(|text| text.len() == 32);
    let keys = values.filter_map(|text| hex::decode::<16>(text).ok());
    let halves = keys.flat_map(|key| key.chunks(HALF_LEN).map(<[u8]>::to_vec).collect::<Vec<_>>());
    // One byte all over says nothing.
    halves.filter(|half| half.iter().any(|byte| Some(byte) != half.first())).collect()
});

/// A line in memory.
struct Memory<'a> {
    comes: &'a [u8],
    goes: Vec<u8>,
}

impl Read for Memory<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.comes.read(out)
    }
}

impl Write for Memory<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.goes.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Line for Memory<'_> {
    fn allow(&mut self, _: Option<Duration>) {}
}

/// Runs a sequence of messages: the first byte says whether the rest is taken as it is, or is made of messages, each a
/// length and its bytes.
pub fn vault_line(input: &[u8]) {
    let mut choices = Choices(input);
    let Some(is_raw) = choices.below(2) else { return };
    let mut comes = Vec::new();
    if is_raw == 1 {
        comes.extend_from_slice(choices.bytes(input.len()));
    } else {
        while let Some(len) = choices.word() {
            let message = choices.bytes(len.into());
            for side in [Side::Asks, Side::Answers] {
                if let Ok(again) = rewritten(message, side) {
                    assert_eq!(again.as_slice(), message, "two forms of one value");
                }
            }
            comes.extend(u32::try_from(message.len()).expect("a word fits").to_be_bytes());
            comes.push(VERSION);
            comes.extend_from_slice(message);
        }
    }
    let keys = KeysFile::parse(KEYS).expect("the documented keys");
    let vault = Arc::new(SoftVault::from_keys(keys).expect("a vault of them"));
    let service = Service::new(vault, || Box::new(SeededRng::stream(4, "vault")));
    let mut line = Memory { comes: &comes, goes: Vec::new() };
    // A broken message ends the line, which is what it must do.
    let _ended = service.converse(&mut line, &|_| {});
    for half in HALVES.iter() {
        assert!(!line.goes.windows(HALF_LEN).any(|window| window == half), "half a key went out");
    }
}
