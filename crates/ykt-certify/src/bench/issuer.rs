//! What the issuer's host does with a deposit besides loading it: unload, and the overdraft limit.

use super::faults::{Kind, Opened, Session, Terms, faulty_mac, no_earlier};
use super::purse::{Begun, LENGTH, MAC1, MAC3, TAC};
use super::{BALANCE, Bench, Finding, ONLINE, Stop, agree, same};
use crate::action::{KeyName, MacFault};
use crate::template::Masked;
use crate::words::{Text, Words};
use ykt_base::hex::Hex;
use ykt_base::{CardCounter, KeyIndex, KeyVersion, Mac4, Random4, StatusWord};
use ykt_purse::load::{self, Load};
use ykt_purse::overdraft::{self, InitializeForUpdate, UpdateAnswer, UpdateOverdraft};
use ykt_purse::prove::Proof;
use ykt_purse::unload::{self, DebitForUnload, InitializeForUnload, Unload, UnloadAnswer};
use ykt_purse::{OverdraftLimit, Purse, PurseFen, TransactionType};

const LIMIT: (&str, &str) = ("overdraft limit", "透支限额");

impl Bench<'_> {
    pub(super) fn initialize_unload(
        &mut self,
        key_index: KeyIndex,
        unload: Unload,
        sw: &Words,
    ) -> Result<StatusWord, Stop> {
        let command = Masked::open(&InitializeForUnload { key_index, unload }.to_apdu());
        let response = self.demand("INITIALIZE FOR UNLOAD", command, sw)?;
        if !response.sw().is_ok() {
            return Ok(response.sw());
        }
        let answer = UnloadAnswer::from_bytes(response.data());
        let answer = answer.ok_or_else(|| Finding::new(LENGTH, "16 bytes", Hex(response.data())))?;
        let books = self.books.of(Purse::Ed);
        agree(BALANCE, &mut books.balance, answer.balance)?;
        agree(ONLINE, &mut books.online, answer.counter)?;
        let dulk = self.transaction_key(KeyName::Dulk, answer.key_version, answer.algorithm)?;
        let session = unload::session_key(&dulk, answer.random, answer.counter);
        same(MAC1, unload::mac1(&session, &unload, answer.balance), answer.mac1)?;
        self.begun.push(Begun::Unload(unload, answer));
        Ok(response.sw())
    }

    /// DEBIT FOR UNLOAD of the unload begun last; without one, of an unload that nobody began.
    pub(super) fn debit_for_unload(&mut self, fault: MacFault, sw: &Words) -> Result<StatusWord, Stop> {
        let (newest, old) = self.latest(|begun| match begun {
            Begun::Unload(unload, answer) => Some((*unload, *answer)),
            _ => None,
        });
        let terminal = self.desk.settings.terminal;
        let nothing = || (Unload { amount: PurseFen::ZERO, terminal }, self.no_load_answer());
        let (unload, answer) = newest.unwrap_or_else(nothing);
        let at = self.desk.at;
        let opened = Opened {
            key: KeyName::Dulk,
            initialize: "INITIALIZE FOR UNLOAD",
            now: answer.into(),
            old: old.map(|(_, answer)| answer.into()),
        };
        let session = |session| self.host_session(&opened, session);
        let right = session(Session::Right)?;
        let terms = Terms { amount: unload.amount, terminal: unload.terminal, at, kind: Kind::Right };
        let mac2 = faulty_mac(fault, terms, session, |session, terms| {
            let Terms { amount, terminal, at, .. } = *terms;
            match terms.kind {
                Kind::Right => unload::mac2(session, &Unload { amount, terminal }, at),
                Kind::Other => load::mac2(session, &Load { purse: Purse::Ed, amount, terminal }, at),
            }
        })?;
        let command = Masked::open(&DebitForUnload { at, mac2 }.to_apdu());
        let response = self.demand("DEBIT FOR UNLOAD", command, sw)?;
        if response.sw().is_ok() {
            let balance = answer.balance.checked_sub(unload.amount);
            let balance = balance.ok_or_else(|| Finding::new(BALANCE, "not below zero", "below zero"))?;
            let mac3 = unload::mac3(&right, &unload, balance, answer.counter, at);
            same(MAC3, Hex(mac3.as_bytes()).to_string(), Hex(response.data()).to_string())?;
            let books = self.books.of(Purse::Ed);
            (books.balance, books.online) = (Some(balance), answer.counter.next());
            let proof = Proof::of_mac3(mac3);
            self.book(Purse::Ed, TransactionType::EdUnload, answer.counter, unload.amount, proof);
        }
        Ok(response.sw())
    }

    pub(super) fn initialize_update(&mut self, key_index: KeyIndex, sw: &Words) -> Result<StatusWord, Stop> {
        let terminal = self.desk.settings.terminal;
        let command = Masked::open(&InitializeForUpdate { key_index, terminal }.to_apdu());
        let response = self.demand("INITIALIZE FOR UPDATE", command, sw)?;
        if !response.sw().is_ok() {
            return Ok(response.sw());
        }
        let answer = UpdateAnswer::from_bytes(response.data());
        let answer = answer.ok_or_else(|| Finding::new(LENGTH, "19 bytes", Hex(response.data())))?;
        let books = self.books.of(Purse::Ed);
        agree(BALANCE, &mut books.balance, answer.balance)?;
        agree(ONLINE, &mut books.online, answer.counter)?;
        let known = *books.overdraft.get_or_insert(answer.limit);
        same(LIMIT, Hex(&known.0).to_string(), Hex(&answer.limit.0).to_string())?;
        let duk = self.transaction_key(KeyName::Duk, answer.key_version, answer.algorithm)?;
        let session = overdraft::session_key(&duk, answer.random, answer.counter);
        same(MAC1, overdraft::mac1(&session, answer.balance, answer.limit, &terminal), answer.mac1)?;
        self.begun.push(Begun::Update(answer));
        Ok(response.sw())
    }

    /// UPDATE OVERDRAW LIMIT of the update begun last; without one, of an update that nobody began.
    pub(super) fn update_overdraft(
        &mut self,
        limit: Option<u32>,
        fault: MacFault,
        sw: &Words,
    ) -> Result<StatusWord, Stop> {
        let limit = self.limit(limit)?;
        let (newest, old) = self.latest(|begun| match begun {
            Begun::Update(answer) => Some(*answer),
            _ => None,
        });
        let answer = newest.unwrap_or_else(|| self.no_update());
        let (terminal, at) = (self.desk.settings.terminal, self.desk.at);
        let opened = Opened {
            key: KeyName::Duk,
            initialize: "INITIALIZE FOR UPDATE",
            now: answer.into(),
            old: old.map(Into::into),
        };
        let session = |session| self.host_session(&opened, session);
        // The amount of an update is its limit.
        let [a, b, c] = limit.0;
        let amount = PurseFen::from_bytes([0, a, b, c]).unwrap_or_default();
        let terms = Terms { amount, terminal, at, kind: Kind::Right };
        let mac2 = faulty_mac(fault, terms, session, |session, terms| {
            let [_, a, b, c] = terms.amount.to_bytes();
            overdraft::mac2(session, OverdraftLimit([a, b, c]), &terms.terminal, terms.at)
        })?;
        let command = Masked::open(&UpdateOverdraft { limit, at, mac2 }.to_apdu());
        let response = self.demand("UPDATE OVERDRAW LIMIT", command, sw)?;
        if response.sw().is_ok() {
            let balance = overdraft::new_balance(answer.balance, answer.limit, limit);
            let balance =
                balance.ok_or_else(|| Finding::new(BALANCE, "a balance a purse can hold", "none"))?;
            let tac_key = self.tac_key(answer.algorithm)?;
            let tac = overdraft::tac(&tac_key, balance, answer.counter, limit, &terminal, at);
            same(TAC, Hex(tac.as_bytes()).to_string(), Hex(response.data()).to_string())?;
            let books = self.books.of(Purse::Ed);
            (books.balance, books.online) = (Some(balance), answer.counter.next());
            books.overdraft = Some(limit);
            let kind = TransactionType::EdOverdraftUpdate;
            self.book(Purse::Ed, kind, answer.counter, PurseFen::ZERO, Proof::of_tac(tac));
        }
        Ok(response.sw())
    }

    /// The limit of a step, or the one the card had first in this case.
    fn limit(&self, limit: Option<u32>) -> Result<OverdraftLimit, Stop> {
        let Some(limit) = limit else {
            let first = self.begun.iter().find_map(|begun| match begun {
                Begun::Update(answer) => Some(answer.limit),
                _ => None,
            });
            return first.ok_or_else(|| no_earlier("INITIALIZE FOR UPDATE"));
        };
        match limit.to_be_bytes() {
            [0, high, middle, low] => Ok(OverdraftLimit([high, middle, low])),
            _ => Err(Stop::Unable(Text::new("a limit above FFFFFF", "限额大于 FFFFFF"))),
        }
    }

    /// An update that no INITIALIZE began, for a follow-up alone.
    fn no_update(&self) -> UpdateAnswer {
        UpdateAnswer {
            balance: PurseFen::ZERO,
            counter: CardCounter(0),
            limit: OverdraftLimit::NONE,
            key_version: KeyVersion(self.desk.settings.version),
            algorithm: 0,
            random: Random4([0; 4]),
            mac1: Mac4([0; 4]),
        }
    }
}
