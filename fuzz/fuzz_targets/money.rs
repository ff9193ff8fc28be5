//! A day of purchases and loads beside the books.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ykt_fuzz::money(input));
