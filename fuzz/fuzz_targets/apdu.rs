//! Any bytes as commands to a card.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ykt_fuzz::apdu(input));
