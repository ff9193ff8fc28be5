#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ykt_fuzz::apdu(input));
