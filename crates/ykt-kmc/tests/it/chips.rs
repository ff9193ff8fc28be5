//! What the tests of key cards and PSAMs have on their desk: blank chips, a reader that fails when told to, a vault, a
//! database, a clock.

use std::cell::Cell;
use std::sync::Arc;
use ykt_base::{CardChannel, ChannelError, Clock, Date, DateTime, IssuerFactor, Response, Rng, StatusWord};
use ykt_card::{Blank, Card, Memory, MemoryFault};
use ykt_crypto::Key16;
use ykt_issue::Profile;
use ykt_kmc::{key_cards, psams};
use ykt_office::Act;
use ykt_office::audit::{self, AuditFilter};
use ykt_store::{Paging, Store};
use ykt_vault::{DEMO_TRANSPORT_KEY, KeyKind, KeyRef, Levels, Origin, Signer, SoftVault};

/// The city of the tests.
pub const CITY: IssuerFactor = IssuerFactor([0x21, 0x44, 0xFF, 0, 0, 0, 0, 0]);

/// A counter: other bytes at every call, the same in every run.
pub struct Counting(pub u64);

impl Rng for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = self.0.to_be_bytes()[0];
        }
    }
}

/// A clock that goes on by a second at every look.
pub struct Ticking(Cell<i64>);

impl Ticking {
    pub fn new() -> Ticking {
        Ticking(Cell::new(0))
    }
}

impl Clock for Ticking {
    fn now(&self) -> DateTime {
        self.0.set(self.0.get() + 1);
        DateTime::start_of(day("2026-11-22")).plus_seconds(self.0.get()).unwrap()
    }
}

/// Memory of a chip.
pub struct Ram(Vec<u8>);

impl Memory for Ram {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn read(&self, at: usize, out: &mut [u8]) {
        for (at, byte) in (at..).zip(out) {
            *byte = self.0.get(at).copied().unwrap_or_default();
        }
    }

    fn write(&mut self, at: usize, data: &[u8]) -> Result<(), MemoryFault> {
        self.0.get_mut(at..at + data.len()).ok_or(MemoryFault)?.copy_from_slice(data);
        Ok(())
    }
}

/// What happens to one command.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// The card is taken out before it.
    Before,
    /// The card does it, and is taken out before it answers.
    After,
    /// The card answers this.
    Says(u16),
}

/// A chip in a reader.
pub struct Chip {
    card: Card<Ram>,
    rng: Counting,
    /// Commands sent so far.
    pub sent: usize,
    /// At which command, from 1, what happens.
    pub fault: Option<(usize, Fault)>,
}

impl Chip {
    /// A blank chip for a profile, with the transport key this program's chips have.
    pub fn blank(profile: &Profile, number: u8) -> Chip {
        Chip::made(profile, number, DEMO_TRANSPORT_KEY, |_| {})
    }

    pub fn made(
        profile: &Profile,
        number: u8,
        transport: [u8; 16],
        change: impl FnOnce(&mut Blank<'_>),
    ) -> Chip {
        let transport = Key16::from_bytes(transport);
        let mut blank = Blank {
            kind: profile.kind,
            atr: &profile.atr,
            ..Blank::user_card([0xC0, 0, 0, 0, 0, 0, 0, number], &transport)
        };
        change(&mut blank);
        let card = Card::blank(Ram(vec![0; profile.memory_len]), &blank).unwrap();
        Chip { card, rng: Counting(number.into()), sent: 0, fault: None }
    }

    /// Nothing happens to it any more.
    pub fn mend(&mut self) {
        self.fault = None;
        self.sent = 0;
    }
}

impl CardChannel for Chip {
    fn transmit(&mut self, command: &[u8]) -> Result<Response, ChannelError> {
        self.sent += 1;
        let fault = self.fault.filter(|(at, _)| *at == self.sent).map(|(_, fault)| fault);
        match fault {
            None => Ok(self.card.process(&mut self.rng, command)),
            Some(Fault::Before) => Err(ChannelError::Removed),
            Some(Fault::After) => {
                self.card.process(&mut self.rng, command);
                Err(ChannelError::Removed)
            }
            Some(Fault::Says(sw)) => Ok(Response::status(StatusWord(sw))),
        }
    }

    fn reset(&mut self) -> Result<(), ChannelError> {
        self.card.reset();
        Ok(())
    }
}

pub fn day(text: &str) -> Date {
    text.parse().unwrap()
}

/// A vault with a root of every kind.
pub fn vault() -> Arc<SoftVault> {
    Arc::new(SoftVault::generate(Levels::nation_city_card(), &mut Counting(99), Origin::Demo))
}

/// The pair that signs protocols.
pub fn signer(vault: &Arc<SoftVault>) -> Arc<dyn Signer> {
    vault.signer(KeyRef::new(KeyKind::Signing, 1, 1)).unwrap()
}

/// A database with the tables these rooms need.
pub fn store() -> Store {
    Store::in_memory(&[ykt_office::MODULE, key_cards::MODULE, psams::MODULE]).unwrap()
}

pub fn act() -> Act {
    Act::of("operator1", "desk 7", DateTime::start_of(day("2026-11-22")))
}

/// What and on which object, in the order of the audit log.
pub fn told(store: &Store) -> Vec<(String, String)> {
    let page = store.read(|tx| audit::list(tx, &AuditFilter::default(), Paging::first(1_000))).unwrap();
    page.rows.into_iter().rev().map(|row| (row.what, row.object)).collect()
}
