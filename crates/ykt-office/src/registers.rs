//! A snapshot of the registers in memory: what clearing asks about every record of a day.
//!
//! Cards lie in one sorted array beside an array of their numbers alone, which is small enough to stay near the
//! processor while it is searched (a million cards are 48 MB and 8 MB); everything else is small. The snapshot does not change while a day is judged, so a verdict can be explained afterwards.

use crate::blacklist::{self, Delivery, Loss, Named};
use crate::cards::{self, CardRow};
use crate::merchants::{self, Contract, MerchantRow};
use crate::terminals::{self, Pair, TerminalRow};
use std::collections::BTreeMap;
use ykt_base::{Asn8, Date, DateTime, MerchantCode, PosNo, TerminalId};
use ykt_store::{StoreError, Tx};

/// The registers as of one moment.
#[derive(Debug, Default)]
pub struct Registers {
    /// Card numbers in order, and the cards at the same places.
    numbers: Vec<u64>,
    cards: Vec<CardRow>,
    terminals: BTreeMap<PosNo, TerminalRow>,
    /// By terminal id, then by time.
    pairs: BTreeMap<TerminalId, Vec<Pair>>,
    merchants: BTreeMap<MerchantCode, MerchantRow>,
    /// By card number, then by time.
    losses: BTreeMap<Asn8, Vec<Loss>>,
    /// By terminal, then by time.
    deliveries: BTreeMap<PosNo, Vec<Delivery>>,
    /// What was in the lists that were delivered.
    named: Named,
}

impl Registers {
    /// Reads the registers as `tx` sees them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn load(tx: &Tx) -> Result<Registers, StoreError> {
        let count = usize::try_from(cards::count(tx)?).unwrap_or(0);
        let mut found = Registers {
            numbers: Vec::with_capacity(count),
            cards: Vec::with_capacity(count),
            merchants: merchants::all(tx)?,
            ..Registers::default()
        };
        cards::for_each(tx, |row| {
            found.numbers.push(number(&row.card.asn));
            found.cards.push(row);
        })?;
        for row in terminals::terminals(tx)? {
            found.terminals.insert(row.pos, row);
        }
        for pair in terminals::pairs(tx)? {
            found.pairs.entry(pair.terminal_id).or_default().push(pair);
            let held = found.terminals.get_mut(&pair.pos);
            if let Some(row) = held.filter(|row| row.pair.is_none_or(|other| other.from < pair.from)) {
                row.pair = Some(pair);
            }
        }
        let losses = blacklist::losses(tx)?;
        if let Some(first) = losses.iter().map(|loss| loss.version).min() {
            let mut last = first;
            for delivery in blacklist::deliveries(tx, first)? {
                last = last.max(delivery.version);
                found.deliveries.entry(delivery.pos).or_default().push(delivery);
            }
            found.named = blacklist::named(tx, last)?;
        }
        for loss in losses {
            found.losses.entry(loss.asn).or_default().push(loss);
        }
        Ok(found)
    }

    /// The card (V08 when `None`).
    #[must_use]
    pub fn card(&self, asn: &Asn8) -> Option<&CardRow> {
        let at = self.numbers.binary_search(&number(asn)).ok()?;
        self.cards.get(at)
    }

    /// The terminal (V05 when `None`).
    #[must_use]
    pub fn terminal(&self, pos: &PosNo) -> Option<&TerminalRow> {
        self.terminals.get(pos)
    }

    /// All pairs the PSAM with that terminal id was ever part of, oldest first (V04 when empty).
    #[must_use]
    pub fn psam(&self, terminal_id: &TerminalId) -> &[Pair] {
        self.pairs.get(terminal_id).map_or(&[], Vec::as_slice)
    }

    /// The pair in which the PSAM was at `at`, whatever the POS (V04 when `None`; V06 when the POS is another).
    #[must_use]
    pub fn pair_at(&self, terminal_id: &TerminalId, at: DateTime) -> Option<&Pair> {
        self.psam(terminal_id).iter().find(|pair| pair.covers(at))
    }

    /// The merchant.
    #[must_use]
    pub fn merchant(&self, code: &MerchantCode) -> Option<&MerchantRow> {
        self.merchants.get(code)
    }

    /// All merchants by code.
    pub fn merchants(&self) -> impl Iterator<Item = &MerchantRow> {
        self.merchants.values()
    }

    /// The merchant's contract in force on `day` (V07 when `None`).
    #[must_use]
    pub fn contract(&self, code: &MerchantCode, day: Date) -> Option<&Contract> {
        self.merchant(code)?.contract_on(day)
    }

    /// The loss of a card that was in effect at `at` (V17).
    #[must_use]
    pub fn loss_of(&self, asn: &Asn8, at: DateTime) -> Option<&Loss> {
        self.losses.get(asn)?.iter().find(|loss| loss.covers(at))
    }

    /// When a list that names the lost card first reached the terminal; `None` when none has yet (V17). A list
    /// is cut to its newest entries for the terminal (`clearing.md` 11): a card beyond the cut is not named.
    #[must_use]
    pub fn list_reached(&self, pos: &PosNo, loss: &Loss) -> Option<DateTime> {
        let deliveries = self.deliveries.get(pos)?;
        let names = |delivery: &&Delivery| {
            delivery.version >= loss.version && self.named.names(&loss.asn, delivery.version)
        };
        deliveries.iter().find(names).map(|delivery| delivery.at)
    }
}

/// A card number as a number that sorts as its bytes do.
fn number(asn: &Asn8) -> u64 {
    u64::from_be_bytes(asn.0)
}
