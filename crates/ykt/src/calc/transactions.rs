//! Whole transactions: `load`, `purchase`, `unload`, `overdraft`, `grey-lock`, `grey-unlock`.

use super::input::{self, HexArray, KeyArg, TacKeyArg, When};
use super::worked::{
    GreyLockCase, GreyUnlockCase, LoadCase, OverdraftCase, PurchaseCase, Start, UnloadCase, Worked,
};
use super::{Answer, purchase_kind};
use ykt_base::{Asn8, CardCounter, IssuerFactor, KeyIndex, KeyVersion, Random4, TerminalId, TerminalSeq};
use ykt_crypto::CardKey;
use ykt_purse::grey::GreyLock;
use ykt_purse::load::Load;
use ykt_purse::psam::CardFactors;
use ykt_purse::purchase::Purchase;
use ykt_purse::unload::Unload;
use ykt_purse::{Algorithm, OverdraftLimit, Purse, PurseFen, TransactionType};

/// What all transactions have alike.
#[derive(Debug, clap::Args)]
struct Terms {
    #[command(flatten)]
    key: KeyArg,
    /// Factors, when the keys are master keys: highest first, the card number last.
    #[arg(long = "factor", value_name = "HEX")]
    factors: Vec<HexArray<8>>,
    /// Balance before in fen.
    #[arg(long, value_name = "FEN", value_parser = input::amount, default_value = "0")]
    balance: PurseFen,
    /// Terminal id, 6 bytes hex.
    #[arg(long, value_name = "HEX")]
    terminal: TerminalId,
    #[command(flatten)]
    when: When,
    /// The card's random number, 4 bytes hex.
    #[arg(long, value_name = "HEX")]
    random: Random4,
    /// The card's counter before, 2 bytes hex.
    #[arg(long, value_name = "HEX", value_parser = input::counter)]
    counter: CardCounter,
    /// Key index, 1 byte hex.
    #[arg(long, value_name = "HEX", default_value = "01")]
    key_index: HexArray<1>,
    /// Key version, 1 byte hex.
    #[arg(long, value_name = "HEX", default_value = "01")]
    key_version: HexArray<1>,
    /// Algorithm byte that the card states, 1 byte hex; that of the key when left out.
    #[arg(long, value_name = "HEX")]
    algorithm: Option<HexArray<1>>,
}

/// An amount.
#[derive(Debug, clap::Args)]
struct Money {
    /// Amount in fen.
    #[arg(long, value_name = "FEN", value_parser = input::amount)]
    amount: PurseFen,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  ykt calc load --key E5A60E3AB7E2795E3D8F4F5AACDD05D2 \
    --dtk 3E70EAFBF0AB93BE2550775592D5D927 --amount 20000 --terminal 001122334455 --date 20240131 \
    --time 123456 --random 01020304 --counter 0000 --explain")]
pub(super) struct LoadArgs {
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    money: Money,
    #[command(flatten)]
    dtk: TacKeyArg,
    /// Purse.
    #[arg(long, value_enum, default_value_t = PurseName::Ep)]
    purse: PurseName,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  ykt calc purchase --key 404142434445464748494A4B4C4D4E4F \
    --dtk 606162636465666768696A6B6C6D6E6F --factor 01011000FFFFFFFF --factor 1700010170907984 \
    --balance 20000 --amount 150 --terminal 360486600002 --sequence 00000011 --date 20240131 --time 123456 \
    --random 5A5B5C5D --counter 0000 --explain")]
pub(super) struct PurchaseArgs {
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    money: Money,
    #[command(flatten)]
    dtk: TacKeyArg,
    /// Transaction type, 1 byte hex: 04, 05, 06 or 09.
    #[arg(long = "type", value_name = "HEX", value_parser = input::transaction, default_value = "06")]
    transaction: TransactionType,
    /// Terminal sequence, 4 bytes hex.
    #[arg(long, value_name = "HEX")]
    sequence: HexArray<4>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  ykt calc unload --key 7C01F2AA87EBC94B38F353EAB220E9AC --balance 12766 \
    --amount 500 --terminal 001122334455 --date 20240131 --time 123456 --random B1B2B3B4 --counter 0006")]
pub(super) struct UnloadArgs {
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    money: Money,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  ykt calc overdraft --key 7ED6AB8FEE9E1BB795410DD415A24FC0 \
    --dtk 3E70EAFBF0AB93BE2550775592D5D927 --balance 12266 --new-limit 0186A0 --terminal 001122334455 \
    --date 20240131 --time 123456 --random C1C2C3C4 --counter 0007")]
pub(super) struct OverdraftArgs {
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    dtk: TacKeyArg,
    /// Limit as it is, 3 bytes hex.
    #[arg(long, value_name = "HEX", default_value = "000000")]
    old_limit: HexArray<3>,
    /// Limit as it shall be, 3 bytes hex.
    #[arg(long, value_name = "HEX")]
    new_limit: HexArray<3>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  ykt calc grey-lock --key FBB4B98851865C96144C89BF8767E819 \
    --dtk 3E70EAFBF0AB93BE2550775592D5D927 --balance 19650 --amount 300 --terminal 360486600002 \
    --sequence 00000015 --terminal-random E1E2E3E4 --date 20240131 --time 123456 --random D1D2D3D4 --counter 0003")]
pub(super) struct GreyLockArgs {
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    money: Money,
    #[command(flatten)]
    dtk: TacKeyArg,
    /// Purse.
    #[arg(long, value_enum, default_value_t = PurseName::Ep)]
    purse: PurseName,
    /// The PSAM's random number, 4 bytes hex.
    #[arg(long, value_name = "HEX")]
    terminal_random: Random4,
    /// Terminal sequence of the lock, 4 bytes hex; the debit has the next one.
    #[arg(long, value_name = "HEX")]
    sequence: HexArray<4>,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  ykt calc grey-unlock --key 79CE28B6D59F4CEA15B2AEC63FC4CE6D --balance 19650 \
    --amount 300 --terminal 001122334455 --date 20240131 --time 123456 --random D5D6D7D8 --counter 0001 \
    --offline-counter 0003"
)]
pub(super) struct GreyUnlockArgs {
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    money: Money,
    /// Purse.
    #[arg(long, value_enum, default_value_t = PurseName::Ep)]
    purse: PurseName,
    /// The card's offline counter, as the lock left it, 2 bytes hex; --counter is the online one.
    #[arg(long, value_name = "HEX", value_parser = input::counter)]
    offline_counter: CardCounter,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum PurseName {
    /// Electronic deposit (电子存折).
    Ed,
    /// Electronic purse (电子钱包).
    Ep,
}

impl PurseName {
    const fn purse(self) -> Purse {
        match self {
            PurseName::Ed => Purse::Ed,
            PurseName::Ep => Purse::Ep,
        }
    }
}

impl Terms {
    /// The card's transaction key, TAC key and where the transaction begins; diversified when factors are given.
    fn begin(
        &self,
        name: &str,
        dtk: Option<&TacKeyArg>,
    ) -> anyhow::Result<(CardKey, Option<CardKey>, Start, Worked)> {
        let key = self.key.read()?;
        let dtk = dtk.map_or(Ok(None), |dtk| dtk.read(&key))?;
        let mut worked = Worked::default();
        if matches!(key, CardKey::Des(_)) && !self.factors.is_empty() {
            anyhow::bail!("only a key of 32 hex digits is diversified by --factor");
        }
        let derive = |key: CardKey| self.factors.iter().fold(key, |key, factor| key.diversify(&factor.0));
        let (key, dtk) = (derive(key), dtk.map(derive));
        if !self.factors.is_empty() {
            worked.push(name, key.expose(), "diversified by the factors");
            if let Some(dtk) = &dtk {
                worked.push("DTK", dtk.expose(), "diversified by the factors");
            }
        }
        let start = Start {
            key_index: KeyIndex::from_bytes(self.key_index.0),
            key_version: KeyVersion::from_bytes(self.key_version.0),
            algorithm: self.algorithm.map_or(Algorithm::of(&key).code(), |HexArray([code])| code),
            random: self.random,
            counter: self.counter,
            balance: self.balance,
            at: self.when.at(),
        };
        Ok((key, dtk, start, worked))
    }

    /// # Errors
    /// When the balance is too small.
    fn pays(&self, amount: PurseFen) -> anyhow::Result<()> {
        match self.balance.checked_sub(amount) {
            Some(_) => Ok(()),
            None => anyhow::bail!("--balance is less than --amount: a card answers 9401"),
        }
    }
}

impl LoadArgs {
    pub(super) fn work(&self) -> Answer {
        let (terms, amount) = (&self.terms, self.money.amount);
        if terms.balance.checked_add(amount).is_none() {
            anyhow::bail!("--balance and --amount together are more than a purse holds: a card answers 6985");
        }
        let (dlk, dtk, start, mut worked) = terms.begin("DLK", Some(&self.dtk))?;
        let load = Load { purse: self.purse.purse(), amount, terminal: terms.terminal };
        worked.append(LoadCase { dlk, dtk, start, load }.work());
        Ok((worked, vec!["init_apdu", "init_response", "mac1", "mac2", "credit_apdu", "new_balance", "tac"]))
    }
}

impl PurchaseArgs {
    pub(super) fn work(&self) -> Answer {
        let terms = &self.terms;
        let (dpk, dtk, start, mut worked) = terms.begin("DPK", Some(&self.dtk))?;
        let psam = card_factors(&terms.factors)?.map(|factors| (None, factors));
        let kind = purchase_kind(self.transaction)?;
        let case = PurchaseCase {
            dpk,
            dtk,
            psam,
            start,
            purchase: Purchase { kind, amount: self.money.amount, terminal: terms.terminal },
            overdraft: OverdraftLimit::NONE,
            sequence: TerminalSeq::from_bytes(self.sequence.0),
        };
        worked.append(case.work());
        let results = [
            "init_apdu",
            "init_response",
            "psam_8070_apdu",
            "psam_8070_response",
            "debit_apdu",
            "debit_response",
            "mac1",
            "mac2",
            "tac",
            "psam_8072_apdu",
            "new_balance",
        ];
        Ok((worked, results.to_vec()))
    }
}

impl UnloadArgs {
    pub(super) fn work(&self) -> Answer {
        let (terms, amount) = (&self.terms, self.money.amount);
        terms.pays(amount)?;
        let (dulk, _, start, mut worked) = terms.begin("DULK", None)?;
        let unload = Unload { amount, terminal: terms.terminal };
        worked.append(UnloadCase { dulk, start, unload, overdraft: OverdraftLimit::NONE }.work());
        Ok((worked, vec!["init_apdu", "init_response", "mac1", "mac2", "debit_apdu", "mac3", "new_balance"]))
    }
}

impl OverdraftArgs {
    pub(super) fn work(&self) -> Answer {
        let terms = &self.terms;
        let (duk, dtk, start, mut worked) = terms.begin("DUK", Some(&self.dtk))?;
        let (old, new) = (OverdraftLimit(self.old_limit.0), OverdraftLimit(self.new_limit.0));
        let case = OverdraftCase { duk, dtk, start, terminal: terms.terminal, old, new };
        worked.append(case.work());
        if worked.value("new_balance").is_none() {
            anyhow::bail!(
                "--balance with the new limit in place of the old one is none: a card answers 9401"
            );
        }
        Ok((worked, vec!["init_apdu", "init_response", "mac1", "mac2", "update_apdu", "new_balance", "tac"]))
    }
}

impl GreyLockArgs {
    pub(super) fn work(&self) -> Answer {
        let (terms, amount) = (&self.terms, self.money.amount);
        terms.pays(amount)?;
        let (dpk, dtk, start, mut worked) = terms.begin("DPK", Some(&self.dtk))?;
        let sequence = TerminalSeq::from_bytes(self.sequence.0);
        let next = sequence.next();
        let case = GreyLockCase {
            dpk,
            dtk,
            factors: card_factors(&terms.factors)?,
            start,
            lock: GreyLock { purse: self.purse.purse(), terminal: terms.terminal },
            overdraft: OverdraftLimit::NONE,
            terminal_random: self.terminal_random,
            sequence,
            debit_sequence: next.ok_or_else(|| anyhow::anyhow!("--sequence is the last: none follows it"))?,
            amount,
        };
        worked.append(case.work());
        let results = [
            "init_apdu",
            "init_response",
            "psam_e040_apdu",
            "psam_e040_response",
            "lock_apdu",
            "lock_response",
            "psam_e042_apdu",
            "psam_e044_apdu",
            "gmac",
            "unlock_apdu",
            "tac",
            "new_balance",
        ];
        Ok((worked, results.to_vec()))
    }
}

impl GreyUnlockArgs {
    pub(super) fn work(&self) -> Answer {
        let (terms, amount) = (&self.terms, self.money.amount);
        terms.pays(amount)?;
        let (dugk, _, start, mut worked) = terms.begin("DUGK", None)?;
        let case = GreyUnlockCase {
            dugk,
            start,
            offline: self.offline_counter,
            purse: self.purse.purse(),
            terminal: terms.terminal,
            amount,
        };
        worked.append(case.work());
        Ok((worked, vec!["init_apdu", "init_response", "mac1", "mac2", "unlock_apdu", "mac3", "new_balance"]))
    }
}

/// The factors of a PSAM's command, card last in the arguments; none for a finished card key.
fn card_factors(factors: &[HexArray<8>]) -> anyhow::Result<Option<CardFactors>> {
    Ok(match factors {
        [] => None,
        [card] => Some(CardFactors::one_level(Asn8(card.0))),
        [issuer, card] => Some(CardFactors::two_levels(IssuerFactor(issuer.0), Asn8(card.0))),
        [province, city, card] => {
            Some(CardFactors::three_levels(IssuerFactor(province.0), IssuerFactor(city.0), Asn8(card.0)))
        }
        more => anyhow::bail!("--factor: at most 3, found {}", more.len()),
    })
}
