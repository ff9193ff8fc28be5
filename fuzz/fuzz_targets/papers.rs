//! Papers and calls that reach a key management centre from outside.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ykt_fuzz::papers(input));
