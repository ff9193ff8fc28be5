//! Grey lock, the debit that ends it, and the online unlock (`epurse.md` 4.11, 7.6).

use super::{PURCHASE_ANSWER, Start, Worked, push_tac_key};
use ykt_base::{CardCounter, Random4, TerminalId, TerminalSeq};
use ykt_crypto::CardKey;
use ykt_purse::grey::{
    self, DebitForUnlock, GreyLock, GreyUnlock, InitializeForGreyLock, InitializeForGreyUnlock, LockAnswer,
    LockPurse, OnlineUnlock, UnlockOffer,
};
use ykt_purse::psam::CardFactors;
use ykt_purse::psam_grey::{CalculateGmac, CertifySamGreyLock, InitSamGreyLock, SamLockAnswer};
use ykt_purse::{OverdraftLimit, Purse, PurseFen, load, purchase};

/// A lock and its debit.
pub(crate) struct GreyLockCase {
    pub(crate) dpk: CardKey,
    pub(crate) dtk: Option<CardKey>,
    /// The card's factors below the PSAM's working key.
    pub(crate) factors: Option<CardFactors>,
    pub(crate) start: Start,
    pub(crate) lock: GreyLock,
    pub(crate) overdraft: OverdraftLimit,
    pub(crate) terminal_random: Random4,
    pub(crate) sequence: TerminalSeq,
    /// Sequence of the debit.
    pub(crate) debit_sequence: TerminalSeq,
    pub(crate) amount: PurseFen,
}

impl GreyLockCase {
    /// Every value of lock and debit.
    pub(crate) fn work(&self) -> Worked {
        let GreyLockCase { dpk, start, lock, terminal_random, sequence, amount, .. } = self;
        let Start { random, counter, balance, at, .. } = *start;
        let mut worked = Worked::default();
        let initialize = InitializeForGreyLock { key_index: start.key_index, lock: *lock };
        worked.push("init_apdu", &initialize.to_apdu(), "E0 7A 08 purse 07: key index, terminal");
        worked.push("init_response", &start.purchase_answer(self.overdraft).to_bytes(), PURCHASE_ANSWER);
        let input = purchase::session_input(random, counter, *sequence);
        let how = "random || offline counter || low 2 bytes of the terminal sequence";
        worked.push("session_input", &input, how);
        let half = purchase::session_key(dpk, random, counter, *sequence);
        worked.push("tmp_key", half.expose(), "session input enciphered under DPK");
        let input = grey::second_input(*terminal_random);
        worked.push("second_input", &input, "terminal's random number || 80 00 00 00");
        let session = grey::session_key(dpk, random, counter, *sequence, *terminal_random);
        worked.push("session_key", session.expose(), "second input enciphered under it");
        worked.push("mac1_input", &grey::mac1_input(lock, at), "type || terminal || date || time");
        let mac1 = grey::mac1(&session, lock, at);
        worked.push("mac1", &mac1.0, "TMAC(session key), by the PSAM");
        if let Some(factors) = self.factors {
            let init = InitSamGreyLock {
                random,
                counter,
                balance,
                purse: lock.purse,
                at,
                key_version: start.key_version,
                algorithm: start.algorithm,
                factors,
            };
            let how = "E0 40: random, counter, balance, type, date, time, key version, algorithm, factors";
            worked.push("psam_e040_apdu", &init.to_apdu(), how);
            let answer = SamLockAnswer { sequence: *sequence, terminal_random: *terminal_random, mac1 };
            worked.push("psam_e040_response", &answer.to_bytes(), "terminal sequence || random || MAC1");
        }
        let command = LockPurse { sequence: *sequence, terminal_random: *terminal_random, at, mac1 };
        let how = "E0 7C 08 00 13: sequence, terminal's random number, date, time, MAC1";
        worked.push("lock_apdu", &command.to_apdu(), how);
        worked.push("mac2_input", &grey::mac2_input(balance, counter), "balance || counter before");
        let mac2 = grey::mac2(&session, balance, counter);
        worked.push("mac2", &mac2.0, "TMAC(session key), by the card");
        let certify = CertifySamGreyLock { mac2 };
        worked.push("psam_e042_apdu", &certify.to_apdu(), "E0 42 00 00 04: MAC2");
        if let Some(after) = counter.next() {
            worked.push("new_offline_ctr", &after.to_bytes(), "counter + 1");
            self.work_debit(&mut worked, &session, after);
        }
        if let Some(dtk) = &self.dtk {
            let key = dtk.tac_key();
            let input = grey::gtac_input(lock, balance, counter, *sequence, at);
            let how = "balance || counter before || type || terminal || sequence || date || time";
            worked.push("gtac_input", &input, how);
            let gtac = grey::gtac(&key, lock, balance, counter, *sequence, at);
            worked.push("gtac", &gtac.0, "TMAC(TAC key)");
            worked.push("lock_response", &LockAnswer { gtac, mac2 }.to_bytes(), "GTAC || MAC2");
        }
        let new_balance = balance.checked_sub(*amount);
        worked.push_some("new_balance", new_balance.map(PurseFen::to_bytes), "balance - amount");
        worked
    }

    fn work_debit(&self, worked: &mut Worked, session: &ykt_crypto::SessionKey, after: CardCounter) {
        let GreyLockCase { lock, amount, start, .. } = self;
        worked.push("gmac_input", &amount.to_bytes(), "amount");
        let gmac = grey::gmac(session, *amount);
        worked.push("gmac", &gmac.0, "TMAC(session key), by the PSAM");
        if let Some(factors) = self.factors {
            let ask = CalculateGmac {
                purse: lock.purse,
                card: factors.card(),
                counter: start.counter,
                amount: *amount,
            };
            let how = "E0 44 00 00 0F: type of the debit, card number, counter before, amount";
            worked.push("psam_e044_apdu", &ask.to_apdu(), how);
        }
        let debit = DebitForUnlock {
            purse: lock.purse,
            amount: *amount,
            counter: after,
            terminal: lock.terminal,
            sequence: self.debit_sequence,
            at: start.at,
            gmac,
        };
        let how = "E0 7E 08 purse 1B: amount, counter after, terminal, sequence, date, time, GMAC";
        worked.push("unlock_apdu", &debit.to_apdu(), how);
        if let Some(dtk) = &self.dtk {
            let key = push_tac_key(worked, dtk);
            let how = "amount || type || terminal || sequence of the debit || date || time";
            worked.push("tac_input", &grey::tac_input(&debit), how);
            worked.push("tac", &grey::tac(&key, &debit).0, "TMAC(TAC key)");
        }
    }
}

/// An online unlock; the counter of its start is the online counter.
pub(crate) struct GreyUnlockCase {
    pub(crate) dugk: CardKey,
    pub(crate) start: Start,
    pub(crate) offline: CardCounter,
    pub(crate) purse: Purse,
    pub(crate) terminal: TerminalId,
    pub(crate) amount: PurseFen,
}

impl GreyUnlockCase {
    /// Every value of the unlock.
    pub(crate) fn work(&self) -> Worked {
        let GreyUnlockCase { dugk, start, offline, purse, terminal, amount } = self;
        let Start { random, counter: online, balance, at, .. } = *start;
        let mut worked = Worked::default();
        let terms = OnlineUnlock { purse: *purse, terminal: *terminal };
        let initialize = InitializeForGreyUnlock { key_index: start.key_index, unlock: terms };
        worked.push("init_apdu", &initialize.to_apdu(), "E0 7A 09 purse 07: key index, terminal");
        let input = load::session_input(random, online);
        worked.push("session_input", &input, "random || online counter || 80 00");
        let session = grey::unlock_session_key(dugk, random, online);
        worked.push("session_key", session.expose(), "session input enciphered under DUGK");
        let input = grey::unlock_mac1_input(balance, *offline, &terms);
        worked.push("mac1_input", &input, "balance || offline counter || type || terminal");
        let mac1 = grey::unlock_mac1(&session, balance, *offline, &terms);
        worked.push("mac1", &mac1.0, "TMAC(session key)");
        let offer = UnlockOffer {
            balance,
            offline: *offline,
            online,
            key_version: start.key_version,
            algorithm: start.algorithm,
            random,
            mac1,
        };
        let how =
            "balance || offline counter || online counter || key version || algorithm || random || MAC1";
        worked.push("init_response", &offer.to_bytes(), how);
        let input = grey::unlock_mac2_input(*amount, &terms, at);
        worked.push("mac2_input", &input, "amount || type || terminal || date || time");
        let mac2 = grey::unlock_mac2(&session, *amount, &terms, at);
        worked.push("mac2", &mac2.0, "TMAC(session key), by the host");
        let unlock = GreyUnlock { purse: Some(*purse), amount: *amount, at, mac2 };
        worked.push("unlock_apdu", &unlock.to_apdu(), "E0 7E 09 purse 0F: amount, date, time, MAC2");
        let Some(new_balance) = balance.checked_sub(*amount) else { return worked };
        worked.push("new_balance", &new_balance.to_bytes(), "balance - amount");
        let counter = online.next().map(CardCounter::to_bytes);
        worked.push_some("new_online_ctr", counter, "counter + 1");
        let input = grey::unlock_mac3_input(new_balance, online, *amount, &terms, at);
        let how = "new balance || online counter before || amount || type || terminal || date || time";
        worked.push("mac3_input", &input, how);
        let mac3 = grey::unlock_mac3(&session, new_balance, online, *amount, &terms, at);
        worked.push("mac3", &mac3.0, "TMAC(session key), by the card");
        worked
    }
}
