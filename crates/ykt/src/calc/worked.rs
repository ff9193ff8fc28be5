//! Worked computations: every intermediate value of a transaction, a secure message, a PIN command, by name and in
//! order.
//!
//! `calc` shows them, `selftest` compares them with vector files; so the names are those of the vector files. What
//! is computed, `ykt-crypto` and `ykt-purse` compute; here is only the order of the steps.

mod grey;
mod online;
mod pin;
mod sam;

pub(crate) use grey::{GreyLockCase, GreyUnlockCase};
pub(crate) use online::{OverdraftCase, UnloadCase};
pub(crate) use pin::{change_pin, reload_pin, verify_pin};
pub(crate) use sam::{SamTask, delivered};

use ykt_base::hex::Hex;
use ykt_base::{CardCounter, DateTime, KeyIndex, KeyVersion, Mac4, Random4, TerminalSeq};
use ykt_crypto::sm::{self, Padding};
use ykt_crypto::{CardKey, SessionKey, mac};
use ykt_purse::load::{self, CreditForLoad, InitializeForLoad, Load, LoadAnswer};
use ykt_purse::log::{LogRecord, logged_counter};
use ykt_purse::prove::{Proof, ProveTransaction};
use ykt_purse::psam::{CardFactors, CreditSam, InitSamForPurchase, SamAnswer};
use ykt_purse::purchase::{
    self, DebitAnswer, DebitForPurchase, InitializeForPurchase, Purchase, PurchaseAnswer,
};
use ykt_purse::{OverdraftLimit, PurseFen, TransactionType};

/// One value on the way.
pub(crate) struct Step {
    /// Its name in vector files.
    pub(crate) name: String,
    /// Its bytes as hex digits.
    pub(crate) value: String,
    /// How it comes about.
    pub(crate) how: String,
}

/// Values in the order they come about.
#[derive(Default)]
pub(crate) struct Worked(Vec<Step>);

impl Worked {
    /// The steps in order.
    pub(crate) fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The value of this name.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|step| step.name == name).map(|step| step.value.as_str())
    }

    /// Puts other steps behind these.
    pub(crate) fn append(&mut self, mut other: Worked) {
        self.0.append(&mut other.0);
    }

    /// Puts one more step behind these.
    pub(crate) fn push(&mut self, name: impl Into<String>, bytes: &[u8], how: impl Into<String>) {
        self.0.push(Step { name: name.into(), value: Hex(bytes).to_string(), how: how.into() });
    }

    fn push_some(&mut self, name: &str, bytes: Option<impl AsRef<[u8]>>, how: &str) {
        if let Some(bytes) = bytes {
            self.push(name, bytes.as_ref(), how);
        }
    }
}

/// Diversification down named levels: `{name}_key` after each, the last one also as halves and `card_key`.
pub(crate) fn diversify(master: &CardKey, factors: &[(String, [u8; 8])]) -> Worked {
    let mut worked = Worked::default();
    let mut key = master.clone();
    for (at, (name, factor)) in factors.iter().enumerate() {
        key = key.diversify(factor);
        let factor = Hex(factor);
        let how = match key {
            CardKey::Des(_) => format!("DES(key above, {factor})"),
            CardKey::Tdes(_) => format!("DIV(key above, {factor}) = TDES(X) || TDES(NOT X)"),
            CardKey::Sm4(_) => format!("DIV(key above, {factor}) = SM4(X || NOT X)"),
        };
        if at.saturating_add(1) < factors.len() {
            worked.push(format!("{name}_key"), key.expose(), how);
            continue;
        }
        if let CardKey::Tdes(key) = &key {
            worked.push("left", key.left().expose(), format!("TDES(key above, {factor})"));
            worked.push("right", key.right().expose(), format!("TDES(key above, NOT {factor})"));
        }
        worked.push("card_key", key.expose(), how);
    }
    push_kcv(&mut worked, &key);
    worked
}

/// The check value of a key.
pub(crate) fn push_kcv(worked: &mut Worked, key: &CardKey) {
    let how = match key {
        CardKey::Des(_) => "first 3 bytes of DES(key, 00×8)",
        CardKey::Tdes(_) => "first 3 bytes of TDES(key, 00×8)",
        CardKey::Sm4(_) => "first 3 bytes of SM4(key, 00×16)",
    };
    worked.push("kcv", &key.kcv(), how);
}

/// Enciphers and deciphers whole blocks; nothing when the data are not whole blocks.
pub(crate) fn blocks(key: &CardKey, data: &[u8]) -> Worked {
    let mut worked = Worked::default();
    if data.len().is_multiple_of(key.block_len()) {
        let [mut enc, mut dec] = [data.to_vec(), data.to_vec()];
        key.encrypt_blocks(&mut enc);
        key.decrypt_blocks(&mut dec);
        worked.push("enc", &enc, "each block enciphered (ECB)");
        worked.push("dec", &dec, "each block deciphered (ECB)");
    }
    worked
}

/// A MAC: CBC-MAC under an 8-byte key, retail MAC under 3DES, CBC-MAC in blocks of 16 under SM4.
pub(crate) fn mac(key: &CardKey, iv: [u8; 8], data: &[u8]) -> Worked {
    let mut worked = Worked::default();
    let mut padded = [data, &[0x80]].concat();
    padded.resize(padded.len().next_multiple_of(key.block_len()), 0);
    worked.push("iv", &iv, "initial value");
    worked.push("padded", &padded, "data, 80, then 00 to whole blocks");
    let (full, how) = match key {
        CardKey::Des(key) => (mac::cbc_mac(key, iv, &[data]).to_vec(), "DES-CBC, last block"),
        CardKey::Tdes(key) => (
            mac::retail_mac(key, iv, &[data]).to_vec(),
            "DES-CBC under the left half, last block D(right), E(left)",
        ),
        CardKey::Sm4(key) => {
            let [a, b, c, d, e, f, g, h] = iv;
            let iv = [a, b, c, d, e, f, g, h, 0, 0, 0, 0, 0, 0, 0, 0];
            (mac::sm4_mac(key, iv, &[data]).to_vec(), "SM4-CBC, last block")
        }
    };
    worked.push("full", &full, how);
    worked.push("mac", &full[..4], "leftmost 4 bytes");
    worked
}

/// A command under secure messaging; nothing when the data do not fit one command.
pub(crate) fn secure_message(
    key: &CardKey,
    iv: [u8; 8],
    header: [u8; 4],
    data: &[&[u8]],
    enciphered: Option<Padding>,
) -> Option<Worked> {
    let mut worked = Worked::default();
    worked.push("iv", &iv, "challenge (4 bytes are filled up with 00)");
    let command = match enciphered {
        None => sm::plain_with_mac(key, iv, header, &data.concat())?,
        Some(padding) => {
            let plain = key.plain_text(padding, data)?;
            worked.push("ld", plain.get(..1)?, "length of the data in clear");
            let how = match padding {
                Padding::Always => "LD || data || 80 00.. (always)",
                Padding::IfNeeded => "LD || data || 80 00.. (only when blocks are not full)",
            };
            worked.push("enc_plain", &plain, how);
            let command = sm::enciphered_with_mac(key, padding, iv, header, data)?;
            worked.push("cipher", command.get(5..command.len().checked_sub(4)?)?, "ECB under the key");
            command
        }
    };
    let (signed, mac) = command.split_last_chunk::<4>()?;
    worked.push("lc", command.get(4..5)?, "data and MAC");
    worked.push("mac_input", signed, "header || Lc || data field without MAC");
    worked.push("mac", mac, "MAC over it with the IV, leftmost 4 bytes");
    worked.push("apdu", &command, "MAC input || MAC");
    Some(worked)
}

/// Where every transaction begins: the key as the card states it, the card's state, and the moment.
#[derive(Clone, Copy)]
pub(crate) struct Start {
    pub(crate) key_index: KeyIndex,
    pub(crate) key_version: KeyVersion,
    pub(crate) algorithm: u8,
    pub(crate) random: Random4,
    /// The counter that the transaction moves, before it does.
    pub(crate) counter: CardCounter,
    pub(crate) balance: PurseFen,
    pub(crate) at: DateTime,
}

/// What the answer to INITIALIZE consists of, in a purchase and a grey lock.
const PURCHASE_ANSWER: &str =
    "balance || offline counter || overdraft limit || key version || algorithm || random";

impl Start {
    fn purchase_answer(&self, overdraft: OverdraftLimit) -> PurchaseAnswer {
        PurchaseAnswer {
            balance: self.balance,
            counter: self.counter,
            overdraft,
            key_version: self.key_version,
            algorithm: self.algorithm,
            random: self.random,
        }
    }
}

/// A load (`epurse.md` 4.3).
pub(crate) struct LoadCase {
    pub(crate) dlk: CardKey,
    pub(crate) dtk: Option<CardKey>,
    pub(crate) start: Start,
    pub(crate) load: Load,
}

impl LoadCase {
    /// Every value of the load.
    pub(crate) fn work(&self) -> Worked {
        let LoadCase { load, start, .. } = self;
        let Start { random, counter, balance, at, .. } = start;
        let mut worked = Worked::default();
        let initialize = InitializeForLoad { key_index: start.key_index, load: *load };
        worked.push("init_apdu", &initialize.to_apdu(), "80 50 00 purse 0B: key index, amount, terminal");
        let input = load::session_input(*random, *counter);
        worked.push("session_input", &input, "random || online counter || 80 00");
        let session = load::session_key(&self.dlk, *random, *counter);
        worked.push("session_key", session.expose(), "session input enciphered under DLK");
        let input = load::mac1_input(load, *balance);
        worked.push("mac1_input", &input, "balance || amount || type || terminal");
        let mac1 = load::mac1(&session, load, *balance);
        worked.push("mac1", &mac1.0, "TMAC(session key)");
        let answer = LoadAnswer {
            balance: *balance,
            counter: *counter,
            key_version: start.key_version,
            algorithm: start.algorithm,
            random: *random,
            mac1,
        };
        let how = "balance || counter || key version || algorithm || random || MAC1";
        worked.push("init_response", &answer.to_bytes(), how);
        let input = load::mac2_input(load, *at);
        worked.push("mac2_input", &input, "amount || type || terminal || date || time");
        let mac2 = load::mac2(&session, load, *at);
        worked.push("mac2", &mac2.0, "TMAC(session key)");
        let credit = CreditForLoad { at: *at, mac2 };
        worked.push("credit_apdu", &credit.to_apdu(), "80 52 00 00 0B: date, time, MAC2");
        let new_balance = balance.checked_add(load.amount);
        worked.push_some("new_balance", new_balance.map(PurseFen::to_bytes), "balance + amount");
        let after = Finished {
            transaction: load.transaction_type(),
            counter: *counter,
            counter_name: "new_online_ctr",
            overdraft: OverdraftLimit::NONE,
            amount: load.amount,
            terminal: load.terminal,
            at: *at,
        };
        after.work(&mut worked);
        if let (Some(dtk), Some(new_balance)) = (&self.dtk, new_balance) {
            let key = push_tac_key(&mut worked, dtk);
            let input = load::tac_input(load, new_balance, *counter, *at);
            let how = "new balance || counter before || amount || type || terminal || date || time";
            worked.push("tac_input", &input, how);
            let tac = load::tac(&key, load, new_balance, *counter, *at);
            worked.push("tac", &tac.0, "TMAC(TAC key)");
            after.prove(&mut worked, Proof::of_tac(tac));
        }
        worked
    }
}

/// A purchase, cash withdrawal or composite purchase (`epurse.md` 4.4, 4.5, 4.10).
pub(crate) struct PurchaseCase {
    pub(crate) dpk: CardKey,
    pub(crate) dtk: Option<CardKey>,
    /// The PSAM's working key and the card's factors below it.
    pub(crate) psam: Option<(Option<CardKey>, CardFactors)>,
    pub(crate) start: Start,
    pub(crate) purchase: Purchase,
    pub(crate) overdraft: OverdraftLimit,
    pub(crate) sequence: TerminalSeq,
}

impl PurchaseCase {
    /// Every value of the purchase.
    pub(crate) fn work(&self) -> Worked {
        let PurchaseCase { purchase, start, sequence, .. } = self;
        let Start { random, counter, balance, at, .. } = start;
        let mut worked = Worked::default();
        let initialize = InitializeForPurchase { key_index: start.key_index, purchase: *purchase };
        worked.push("init_apdu", &initialize.to_apdu(), "80 50 kind purse 0B: key index, amount, terminal");
        worked.push("init_response", &start.purchase_answer(self.overdraft).to_bytes(), PURCHASE_ANSWER);
        let input = purchase::session_input(*random, *counter, *sequence);
        let how = "random || offline counter || low 2 bytes of the terminal sequence";
        worked.push("session_input", &input, how);
        let session = purchase::session_key(&self.dpk, *random, *counter, *sequence);
        worked.push("session_key", session.expose(), "session input enciphered under DPK");
        let input = purchase::mac1_input(purchase, *at);
        worked.push("mac1_input", &input, "amount || type || terminal || date || time");
        let mac1 = purchase::mac1(&session, purchase, *at);
        worked.push("mac1", &mac1.0, "TMAC(session key), by the PSAM");
        self.work_psam(&mut worked, mac1);
        let debit = DebitForPurchase { sequence: *sequence, at: *at, mac1 };
        worked.push("debit_apdu", &debit.to_apdu(), "80 54 01 00 0F: sequence, date, time, MAC1");
        worked.push("mac2_input", &purchase.amount.to_bytes(), "amount");
        let mac2 = purchase::mac2(&session, purchase.amount);
        worked.push("mac2", &mac2.0, "TMAC(session key), by the card");
        worked.push("psam_8072_apdu", &CreditSam { mac2 }.to_apdu(), "80 72 00 00 04: MAC2");
        let new_balance = balance.checked_sub(purchase.amount);
        worked.push_some("new_balance", new_balance.map(PurseFen::to_bytes), "balance - amount");
        let after = Finished {
            transaction: purchase.kind.transaction_type(),
            counter: *counter,
            counter_name: "new_offline_ctr",
            overdraft: self.overdraft,
            amount: purchase.amount,
            terminal: purchase.terminal,
            at: *at,
        };
        after.work(&mut worked);
        if let Some(dtk) = &self.dtk {
            let key = push_tac_key(&mut worked, dtk);
            let input = purchase::tac_input(purchase, *sequence, *at);
            let how = "amount || type || terminal || terminal sequence || date || time";
            worked.push("tac_input", &input, how);
            let tac = purchase::tac(&key, purchase, *sequence, *at);
            worked.push("tac", &tac.0, "TMAC(TAC key)");
            worked.push("debit_response", &DebitAnswer { tac, mac2 }.to_bytes(), "TAC || MAC2");
            after.prove(&mut worked, Proof { mac2, tac });
        }
        worked
    }

    /// The PSAM's side; it derives the card's key itself when its working key is known.
    fn work_psam(&self, worked: &mut Worked, mac1: Mac4) {
        let Some((working_key, factors)) = &self.psam else { return };
        let start = &self.start;
        let init = InitSamForPurchase {
            random: start.random,
            counter: start.counter,
            amount: self.purchase.amount,
            kind: self.purchase.kind,
            at: start.at,
            key_version: start.key_version,
            algorithm: start.algorithm,
            factors: *factors,
        };
        let how =
            "80 70: random, counter, amount, type, date, time, key version, algorithm, factors (card first)";
        worked.push("psam_8070_apdu", &init.to_apdu(), how);
        let mac1 = working_key.as_ref().map_or(mac1, |key| {
            let dpk = factors.derive(key);
            let session = purchase::session_key(&dpk, start.random, start.counter, self.sequence);
            purchase::mac1(&session, &init.purchase(self.purchase.terminal), start.at)
        });
        let answer = SamAnswer { sequence: self.sequence, mac1 };
        worked.push("psam_8070_response", &answer.to_bytes(), "terminal sequence || MAC1");
    }
}

pub(crate) fn push_tac_key(worked: &mut Worked, dtk: &CardKey) -> SessionKey {
    let key = dtk.tac_key();
    let how = match dtk {
        CardKey::Tdes(_) => "left half of DTK XOR right half",
        CardKey::Des(_) | CardKey::Sm4(_) => "DTK as it is",
    };
    worked.push("tac_key", key.expose(), how);
    key
}

/// What the card keeps of a finished transaction.
struct Finished {
    transaction: TransactionType,
    counter: CardCounter,
    counter_name: &'static str,
    overdraft: OverdraftLimit,
    amount: PurseFen,
    terminal: ykt_base::TerminalId,
    at: DateTime,
}

impl Finished {
    fn work(&self, worked: &mut Worked) {
        let Finished { transaction, counter, overdraft, amount, terminal, at, .. } = *self;
        if let Some(counter) = logged_counter(counter) {
            worked.push(self.counter_name, &counter.to_bytes(), "counter + 1");
            let record = LogRecord { counter, overdraft, amount, transaction, terminal, at };
            let how = "counter after || overdraft limit || amount || type || terminal || date || time";
            worked.push("log_record", &record.to_bytes(), how);
        }
    }

    fn prove(&self, worked: &mut Worked, proof: Proof) {
        let ask = |counter| ProveTransaction { transaction: self.transaction, counter }.to_apdu();
        let how = "80 5A 00 type 02: counter";
        if let Some(after) = logged_counter(self.counter) {
            worked.push("get_transaction_prove_apdu_ctr_after", &ask(after), how);
        }
        worked.push("get_transaction_prove_apdu_ctr_used", &ask(self.counter), how);
        worked.push("get_transaction_prove_response", &proof.to_bytes(), "MAC2 (zero for a load) || TAC");
    }
}
