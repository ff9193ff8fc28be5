//! The words of a vault on the wire: ids, headers, jobs, keys, errors. One table a family.

use super::codec::{Fields, Out, Wire, WireError, wire_codes, wire_enums, wire_structs, wire_wrappers};
use crate::error::VaultError;
use crate::kind::{KeyKind, KeyState, Origin};
use crate::levels::{Factor, Level, Levels};
use crate::manage::{ImportedKey, KeyPlace, WrappedKey};
use crate::value::{KeyAlgorithm, KeyValue};
use crate::vault::{
    CardKeyRef, Health, KeyAddress, KeyInfo, KeyLayout, KeyRef, LoadSession, MacVerdict, PresetJob, Receipt,
    Secrecy, TacJob, TacVerdict, VaultStatus,
};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use ykt_base::{
    Asn8, CardCounter, DateTime, IssuerFactor, KeyIndex, KeyVersion, Mac4, PsamSerial, Random4, TerminalId,
    TerminalSeq,
};
use ykt_crypto::sm::{CommandBytes, Padding};
use ykt_purse::create::{Access, Switches};
use ykt_purse::key_card::{KeyCardHeader, KeyCardUsage};
use ykt_purse::load::Load;
use ykt_purse::psam::SamUsage;
use ykt_purse::purchase::{Purchase, PurchaseKind};
use ykt_purse::write_key::{
    ErrorCounter, KeyForm, KeyHeader, KeyLayout as Family, KeyTarget, KeyUsage, Pin, SamKeyHeader,
};
use ykt_purse::{Algorithm, Purse, PurseFen};

wire_wrappers! {
    Access Asn8 CardCounter ErrorCounter IssuerFactor KeyIndex KeyVersion Mac4 PsamSerial Random4 TerminalId TerminalSeq
}

wire_codes! {
    Algorithm = "an algorithm of card keys", Algorithm::from_code;
    KeyAlgorithm = "an algorithm of keys", KeyAlgorithm::from_code;
    KeyCardUsage = "a usage of a key card's key", KeyCardUsage::from_code;
    KeyKind = "a kind of key", KeyKind::from_code;
    KeyState = "a state of a key", |code| KeyState::ALL.into_iter().find(|state| state.code() == code);
    KeyUsage = "a usage of a card's key", KeyUsage::from_code;
    Purse = "a purse", |code| Purse::from_code(code).ok();
    SamUsage = "a usage of a PSAM's key", SamUsage::from_code;
}

wire_structs! {
    CardKeyRef { key, factor, asn }
    ImportedKey { place, state, value, kcv }
    KeyCardHeader { usage, version, form }
    KeyHeader { version, form, usage, use_right, follow_up, change_right, tries }
    KeyInfo { key, level, depth, owner, algorithm, kcv, state, origin }
    KeyPlace { key, level, owner }
    KeyRef { kind, index, version }
    Level { name, factor }
    Load { purse, amount, terminal }
    LoadSession { key, random, counter }
    PresetJob { factory, transport, serial, operator, system, mf_create, mf_switches, iv }
    Purchase { kind, amount, terminal }
    SamKeyHeader { usage, version, algorithm }
    TacJob { key, receipt, tac }
    VaultStatus { backend, version, origin, levels, keys, health }
    WrappedKey { place, algorithm, state, kcv, transport_kcv, cryptogram }
}

wire_enums! {
    Factor = "a factor of a level" { 0 Root; 1 Fixed(factor); 2 Issuer; 3 Card; }
    Family = "a layout of WRITE KEY" { 0 SourceDocuments; 1 Fmcos; 2 NineByte; }
    Health = "a health" { 0 Ready; 1 Locked; 2 Gone { reason }; }
    KeyAddress = "a holder of a key" { 0 Card(card); 1 Sam { key, serial }; 2 Shared(key); }
    KeyForm = "a key or a PIN" { 0 Key(algorithm); 1 Pin { len }; }
    KeyLayout = "a card, PSAM or key card" {
        0 Card { family, target, header };
        1 Sam { header };
        2 KeyCard { header };
    }
    KeyTarget = "a key to add or to change" { 0 Add { id, usage }; 1 Change { id, usage }; }
    MacVerdict = "right or wrong" { 0 Right; 1 Wrong; }
    Origin = "an origin of keys" { 0 Demo; 1 Production; }
    Padding = "a padding" { 0 Always; 1 IfNeeded; }
    PurchaseKind = "a kind of debit" { 0 Purchase(purse); 1 CashWithdraw; 2 Composite; }
    Receipt = "a load or a purchase" {
        0 Load { load, new_balance, counter, at };
        1 Purchase { purchase, sequence, at };
    }
    Secrecy = "clear or enciphered" { 0 Clear; 1 Enciphered(padding); }
    TacVerdict = "a verdict" { 0 Right; 1 Wrong; 2 UnknownKeyVersion; }
    VaultError = "a reason of a vault" {
        0 NoSuchKey { key };
        1 WrongState { key, state };
        2 WrongHolder { key };
        3 HeaderMismatch { key, what, expected, found };
        4 NotThatKind { expected, found };
        5 TooLong { len };
        6 AlreadyThere { key };
        7 NoSuchStep { key, from, to };
        8 NoSuchLevel { key, level, reason };
        9 Unavailable { backend, reason };
        10 Locked;
        11 NotAllowed { reason };
        12 Unsupported { backend, what };
        13 WrongKcv { key, expected, found };
    }
}

impl Wire for PurseFen {
    fn put(&self, out: &mut Out) {
        self.to_bytes().put(out);
    }
    fn take(fields: &mut Fields<'_>) -> Result<Self, WireError> {
        fields.checked("an amount that a purse holds", Wire::take, PurseFen::from_bytes)
    }
}

impl Wire for DateTime {
    fn put(&self, out: &mut Out) {
        self.to_bcd().put(out);
    }
    fn take(fields: &mut Fields<'_>) -> Result<Self, WireError> {
        fields.checked("a date and time", Wire::take, DateTime::from_bcd)
    }
}

impl Wire for Switches {
    fn put(&self, out: &mut Out) {
        self.to_bytes().put(out);
    }
    fn take(fields: &mut Fields<'_>) -> Result<Self, WireError> {
        fields.checked("switches of an application", Wire::take, Switches::from_bytes)
    }
}

impl Wire for Levels {
    fn put(&self, out: &mut Out) {
        Cow::Borrowed(self.as_slice()).put(out);
    }
    fn take(fields: &mut Fields<'_>) -> Result<Self, WireError> {
        fields.checked("levels from a root to a card", Wire::take, |levels| Levels::new(levels).ok())
    }
}

/// Wiped by its type, on both sides.
impl Wire for Cow<'_, Pin> {
    fn put(&self, out: &mut Out) {
        out.len(self.as_bytes().len());
        out.bytes(self.as_bytes());
    }
    fn take(fields: &mut Fields<'_>) -> Result<Self, WireError> {
        fields.checked("a PIN", Fields::sized, Pin::from_bytes).map(Cow::Owned)
    }
}

impl Wire for CommandBytes {
    fn put(&self, out: &mut Out) {
        out.len(self.as_bytes().len());
        out.bytes(self);
    }
    fn take(fields: &mut Fields<'_>) -> Result<Self, WireError> {
        fields.checked("a command", Fields::sized, |bytes| CommandBytes::from_parts(&[bytes]))
    }
}

/// Wiped by its type, on both sides.
impl Wire for KeyValue {
    fn put(&self, out: &mut Out) {
        self.algorithm().put(out);
        out.bytes(&self.expose());
    }
    fn take(fields: &mut Fields<'_>) -> Result<Self, WireError> {
        let algorithm = KeyAlgorithm::take(fields)?;
        let what = "a key of its algorithm";
        let value = |bytes| KeyValue::from_bytes(algorithm, bytes);
        fields.checked(what, |fields| fields.slice(algorithm.value_len(), what), value)
    }
}

impl Wire for usize {
    fn put(&self, out: &mut Out) {
        u64::try_from(*self).unwrap_or(u64::MAX).put(out);
    }
    fn take(fields: &mut Fields<'_>) -> Result<Self, WireError> {
        fields.checked("a count", u64::take, |count| usize::try_from(count).ok())
    }
}

/// Most different fixed texts that are kept, and the longest of them in bytes: a vault has a few dozen.
const FIXED_TEXTS_MAX: usize = 1_024;
const FIXED_TEXT_LEN_MAX: usize = 128;

/// A text that stands in the program of the other side: the fields of an error, the name of a backend. It is kept once
/// for the life of this program; the number of them is bounded.
impl Wire for &'static str {
    fn put(&self, out: &mut Out) {
        (*self).to_owned().put(out);
    }
    fn take(fields: &mut Fields<'_>) -> Result<Self, WireError> {
        fields.checked("a short fixed text", String::take, fixed)
    }
}

fn fixed(text: String) -> Option<&'static str> {
    static KEPT: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = kept.get(text.as_str()) {
        return Some(known);
    }
    if text.len() > FIXED_TEXT_LEN_MAX || kept.len() >= FIXED_TEXTS_MAX {
        return None;
    }
    let text: &'static str = String::leak(text);
    kept.insert(text);
    Some(text)
}
