//! File commands beside a model of the files.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ykt_fuzz::files(input));
