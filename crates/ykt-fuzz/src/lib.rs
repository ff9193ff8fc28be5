//! Fuzz targets: any bytes are read as a sequence of things that happen, and an oracle judges what came of it.
//!
//! A target panics when its oracle is wronged, which is what a fuzzer looks for. `make fuzz` runs them under
//! libFuzzer (folder `fuzz/`); the tests of this crate replay the kept corpus and a short seeded run.
#![deny(clippy::as_conversions, clippy::arithmetic_side_effects)]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a fuzz target speaks by panicking"
)]

mod apdu;
mod chip;
mod choices;
mod files;
mod money;
mod papers;
mod vault_line;

pub use apdu::apdu;
pub use files::files;
pub use money::money;
pub use papers::papers;
pub use vault_line::vault_line;

/// What a fuzzer calls with an input.
pub type Target = fn(&[u8]);

/// Every target under its name, which is also the folder of its corpus.
pub const TARGETS: [(&str, Target); 5] =
    [("apdu", apdu), ("files", files), ("money", money), ("papers", papers), ("vault_line", vault_line)];
