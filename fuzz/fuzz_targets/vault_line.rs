//! A peer that is let in and means no good, on a line to a vault.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ykt_fuzz::vault_line(input));
