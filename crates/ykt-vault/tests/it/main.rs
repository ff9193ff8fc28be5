//! The vault from outside: its sealed file on the disk, and what of its keys can be seen anywhere.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what it did not expect")]

mod memory;
mod printing;
mod sealed;
mod watch;

use ykt_base::Rng;
use ykt_vault::{Levels, Origin, SoftVault};

/// Counts up: never the same bytes twice in a test.
pub struct Counting(pub u8);

impl Rng for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        out.iter_mut().for_each(|byte| {
            self.0 = self.0.wrapping_add(1);
            *byte = self.0;
        });
    }
}

/// A vault with one key of every kind.
pub fn vault() -> SoftVault {
    SoftVault::generate(Levels::nation_city_card(), &mut Counting(0), Origin::Demo)
}
