//! What the issuer's host does with an ED beside loading it: unload and overdraft limit (`epurse.md` 4.6, 4.7).

use super::{Finished, Start, Worked, push_tac_key};
use ykt_base::TerminalId;
use ykt_crypto::CardKey;
use ykt_purse::load;
use ykt_purse::overdraft::{self, InitializeForUpdate, UpdateAnswer, UpdateOverdraft};
use ykt_purse::prove::Proof;
use ykt_purse::unload::{self, DebitForUnload, InitializeForUnload, Unload, UnloadAnswer};
use ykt_purse::{OverdraftLimit, PurseFen, TransactionType};

/// An unload.
pub(crate) struct UnloadCase {
    pub(crate) dulk: CardKey,
    pub(crate) start: Start,
    pub(crate) unload: Unload,
    pub(crate) overdraft: OverdraftLimit,
}

impl UnloadCase {
    /// Every value of the unload.
    pub(crate) fn work(&self) -> Worked {
        let UnloadCase { dulk, start, unload, overdraft } = self;
        let Start { random, counter, balance, at, .. } = *start;
        let mut worked = Worked::default();
        let initialize = InitializeForUnload { key_index: start.key_index, unload: *unload };
        worked.push("init_apdu", &initialize.to_apdu(), "80 50 05 01 0B: key index, amount, terminal");
        let input = load::session_input(random, counter);
        worked.push("session_input", &input, "random || online counter || 80 00");
        let session = unload::session_key(dulk, random, counter);
        worked.push("session_key", session.expose(), "session input enciphered under DULK");
        let input = unload::mac1_input(unload, balance);
        worked.push("mac1_input", &input, "balance || amount || type || terminal");
        let mac1 = unload::mac1(&session, unload, balance);
        worked.push("mac1", &mac1.0, "TMAC(session key)");
        let answer = UnloadAnswer {
            balance,
            counter,
            key_version: start.key_version,
            algorithm: start.algorithm,
            random,
            mac1,
        };
        let how = "balance || counter || key version || algorithm || random || MAC1";
        worked.push("init_response", &answer.to_bytes(), how);
        let input = unload::mac2_input(unload, at);
        worked.push("mac2_input", &input, "amount || type || terminal || date || time");
        let mac2 = unload::mac2(&session, unload, at);
        worked.push("mac2", &mac2.0, "TMAC(session key), by the host");
        worked.push("debit_apdu", &DebitForUnload { at, mac2 }.to_apdu(), "80 54 03 00 0B: date, time, MAC2");
        let Some(new_balance) = balance.checked_sub(unload.amount) else { return worked };
        worked.push("new_balance", &new_balance.to_bytes(), "balance - amount");
        let input = unload::mac3_input(unload, new_balance, counter, at);
        let how = "new balance || counter before || amount || type || terminal || date || time";
        worked.push("mac3_input", &input, how);
        let mac3 = unload::mac3(&session, unload, new_balance, counter, at);
        worked.push("mac3", &mac3.0, "TMAC(session key), by the card");
        worked.push("debit_response", &mac3.0, "MAC3");
        let after = Finished {
            transaction: TransactionType::EdUnload,
            counter,
            counter_name: "new_online_ctr",
            overdraft: *overdraft,
            amount: unload.amount,
            terminal: unload.terminal,
            at,
        };
        after.work(&mut worked);
        after.prove(&mut worked, Proof::of_mac3(mac3));
        worked
    }
}

/// An update of the overdraft limit.
pub(crate) struct OverdraftCase {
    pub(crate) duk: CardKey,
    pub(crate) dtk: Option<CardKey>,
    pub(crate) start: Start,
    pub(crate) terminal: TerminalId,
    pub(crate) old: OverdraftLimit,
    pub(crate) new: OverdraftLimit,
}

impl OverdraftCase {
    /// Every value of the update.
    pub(crate) fn work(&self) -> Worked {
        let OverdraftCase { duk, dtk, start, terminal, old, new } = self;
        let Start { random, counter, balance, at, .. } = *start;
        let mut worked = Worked::default();
        let initialize = InitializeForUpdate { key_index: start.key_index, terminal: *terminal };
        worked.push("init_apdu", &initialize.to_apdu(), "80 50 04 01 07: key index, terminal");
        let input = load::session_input(random, counter);
        worked.push("session_input", &input, "random || online counter || 80 00");
        let session = overdraft::session_key(duk, random, counter);
        worked.push("session_key", session.expose(), "session input enciphered under DUK");
        let input = overdraft::mac1_input(balance, *old, terminal);
        worked.push("mac1_input", &input, "balance || limit as it is || type || terminal");
        let mac1 = overdraft::mac1(&session, balance, *old, terminal);
        worked.push("mac1", &mac1.0, "TMAC(session key)");
        let answer = UpdateAnswer {
            balance,
            counter,
            limit: *old,
            key_version: start.key_version,
            algorithm: start.algorithm,
            random,
            mac1,
        };
        let how = "balance || counter || limit || key version || algorithm || random || MAC1";
        worked.push("init_response", &answer.to_bytes(), how);
        let input = overdraft::mac2_input(*new, terminal, at);
        worked.push("mac2_input", &input, "new limit || type || terminal || date || time");
        let mac2 = overdraft::mac2(&session, *new, terminal, at);
        worked.push("mac2", &mac2.0, "TMAC(session key), by the host");
        let update = UpdateOverdraft { limit: *new, at, mac2 };
        worked.push("update_apdu", &update.to_apdu(), "80 58 00 00 0E: new limit, date, time, MAC2");
        let Some(new_balance) = overdraft::new_balance(balance, *old, *new) else { return worked };
        for name in ["new_balance_stored", "new_balance"] {
            worked.push(name, &new_balance.to_bytes(), "balance + new limit - old limit");
        }
        let after = Finished {
            transaction: TransactionType::EdOverdraftUpdate,
            counter,
            counter_name: "new_online_ctr",
            overdraft: *new,
            amount: PurseFen::ZERO,
            terminal: *terminal,
            at,
        };
        after.work(&mut worked);
        if let Some(dtk) = dtk {
            let key = push_tac_key(&mut worked, dtk);
            let input = overdraft::tac_input(new_balance, counter, *new, terminal, at);
            let how = "new balance || counter before || new limit || type || terminal || date || time";
            worked.push("tac_input", &input, how);
            let tac = overdraft::tac(&key, new_balance, counter, *new, terminal, at);
            worked.push("tac", &tac.0, "TMAC(TAC key)");
            after.prove(&mut worked, Proof::of_tac(tac));
        }
        worked
    }
}
