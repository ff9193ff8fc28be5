//! Whole transactions: the type byte or the family says which.

use super::Outcome;
use super::inputs::{
    any_key, card_key, decode, factors, money, overdraft as limit, purse, start, tac_key, terminal,
};
use crate::calc::worked::{
    GreyLockCase, GreyUnlockCase, LoadCase, OverdraftCase, PurchaseCase, UnloadCase, Worked,
};
use crate::selftest::entry::{Entry, Trouble};
use ykt_base::{CardCounter, Random4, TerminalSeq};
use ykt_purse::capp::{CappRecord, UpdateCappData};
use ykt_purse::grey::GreyLock;
use ykt_purse::load::Load;
use ykt_purse::purchase::{Purchase, PurchaseKind};
use ykt_purse::unload::Unload;
use ykt_purse::{OverdraftLimit, Purse, TransactionType};

/// How the industry record of a bus ride (2702, `epurse.md` 6.7) begins when there was no ride yet: 2702, length of
/// the rest, valid, charged by distance; the rest is zeros.
const EMPTY_RIDE: [u8; 5] = [0x27, 0x02, 0x7D, 0x01, 0x01];
/// Short id of the file of industry records.
const INDUSTRY_SFI: u8 = 0x1A;

/// `load/…`.
pub(super) fn load(entry: &Entry) -> Outcome {
    let (dlk, mut derived) = card_key(entry, "DLK")?;
    let dtk = tac_key(entry, &mut derived)?;
    let kind = transaction(entry)?;
    let purse = match kind {
        TransactionType::EdLoad => Purse::Ed,
        TransactionType::EpLoad => Purse::Ep,
        _ => return Err(Trouble::Input(format!("input type: expected 01 or 02, found {:02X}", kind.code()))),
    };
    let case = LoadCase {
        dlk,
        dtk,
        start: start(entry, "online_ctr")?,
        load: Load { purse, amount: money(entry, "amount")?, terminal: terminal(entry)? },
    };
    derived.append(case.work());
    Ok(derived)
}

/// `purchase/…`, `cash withdraw/…`, `capp purchase/…`: the type byte decides.
pub(super) fn purchase(entry: &Entry) -> Outcome {
    let (dpk, mut derived) = card_key(entry, "DPK")?;
    let dtk = tac_key(entry, &mut derived)?;
    let kind = transaction(entry)?;
    let kind = PurchaseKind::from_type(kind).ok_or_else(|| {
        Trouble::Input(format!("input type: expected 04, 05, 06 or 09, found {:02X}", kind.code()))
    })?;
    let working_key = match entry.has("DPK_master") {
        true => Some(any_key(entry, "DPK_master")?),
        false => None,
    };
    let case = PurchaseCase {
        dpk,
        dtk,
        psam: factors(entry)?.map(|factors| (working_key, factors)),
        start: start(entry, "offline_ctr")?,
        purchase: Purchase { kind, amount: money(entry, "amount")?, terminal: terminal(entry)? },
        overdraft: limit(entry)?,
        sequence: TerminalSeq::from_bytes(entry.array("term_seq")?),
    };
    derived.append(case.work());
    if matches!(kind, PurchaseKind::Composite) && entry.wants("update_capp_apdu") {
        update_capp(entry, &mut derived)?;
    }
    Ok(derived)
}

/// The record that a composite purchase writes. Without one in the inputs it is as much of an empty ride as the
/// expected command has room for, appended to the file of industry records.
fn update_capp(entry: &Entry, worked: &mut Worked) -> Result<(), Trouble> {
    let given = entry.first_of(&["capp_data", "capp_record", "record_data", "record"]);
    let data = match given {
        Some(field) => entry.bytes(field)?,
        None => {
            let expected = entry.expected_outputs().find(|(field, _)| *field == "update_capp_apdu");
            let apdu = expected.and_then(|(_, text)| decode(&text)).unwrap_or_default();
            let mut data = EMPTY_RIDE.to_vec();
            data.resize(apdu.len().saturating_sub(5), 0);
            data
        }
    };
    let record = match entry.byte_or("record_number", 0)? {
        0 => CappRecord::Append,
        number => CappRecord::Number(number),
    };
    let sfi = entry.byte_or(entry.first_of(&["capp_sfi", "sfi"]).unwrap_or("sfi"), INDUSTRY_SFI)?;
    let update = UpdateCappData { sfi, record, data: &data };
    worked.push("update_capp_apdu", &update.to_apdu(), "");
    Ok(())
}

/// `unload/…`.
pub(super) fn unload(entry: &Entry) -> Outcome {
    let (dulk, mut derived) = card_key(entry, "DULK")?;
    let case = UnloadCase {
        dulk,
        start: start(entry, "online_ctr")?,
        unload: Unload { amount: money(entry, "amount")?, terminal: terminal(entry)? },
        overdraft: limit(entry)?,
    };
    derived.append(case.work());
    Ok(derived)
}

/// `update overdraft/…`.
pub(super) fn overdraft(entry: &Entry) -> Outcome {
    let (duk, mut derived) = card_key(entry, "DUK")?;
    let case = OverdraftCase {
        duk,
        dtk: tac_key(entry, &mut derived)?,
        start: start(entry, "online_ctr")?,
        terminal: terminal(entry)?,
        old: OverdraftLimit(entry.array("old_limit")?),
        new: OverdraftLimit(entry.array("new_limit")?),
    };
    derived.append(case.work());
    Ok(derived)
}

/// `grey lock/…`: the lock, and the debit that ends it.
pub(super) fn grey_lock(entry: &Entry) -> Outcome {
    let (dpk, mut derived) = card_key(entry, "DPK")?;
    let counter = entry.first_of(&["offline_ctr_at_init", "offline_ctr"]).unwrap_or("offline_ctr_at_init");
    let sequence = entry.first_of(&["term_seq_lock", "term_seq"]).unwrap_or("term_seq_lock");
    let sequence = TerminalSeq::from_bytes(entry.array(sequence)?);
    let debit_sequence = match entry.has("term_seq_debit") {
        true => TerminalSeq::from_bytes(entry.array("term_seq_debit")?),
        false => {
            sequence.next().ok_or_else(|| Trouble::Input("input term_seq_debit is missing".to_owned()))?
        }
    };
    let case = GreyLockCase {
        dpk,
        dtk: tac_key(entry, &mut derived)?,
        factors: factors(entry)?,
        start: start(entry, counter)?,
        lock: GreyLock { purse: purse(entry)?, terminal: terminal(entry)? },
        overdraft: limit(entry)?,
        terminal_random: Random4(entry.array("term_rand")?),
        sequence,
        debit_sequence,
        amount: money(entry, "amount")?,
    };
    derived.append(case.work());
    Ok(derived)
}

/// `grey online unlock/…`.
pub(super) fn grey_unlock(entry: &Entry) -> Outcome {
    let (dugk, mut derived) = card_key(entry, "DUGK")?;
    let case = GreyUnlockCase {
        dugk,
        start: start(entry, "online_ctr")?,
        offline: CardCounter::from_bytes(entry.array("offline_ctr")?),
        purse: purse(entry)?,
        terminal: terminal(entry)?,
        amount: money(entry, "amount")?,
    };
    derived.append(case.work());
    Ok(derived)
}

/// The transaction type: input `type`, or what the name says.
fn transaction(entry: &Entry) -> Result<TransactionType, Trouble> {
    if entry.has("type") {
        let [code] = entry.array("type")?;
        let kind = TransactionType::from_code(code);
        return kind.ok_or_else(|| Trouble::Input(format!("input type: {code:02X} is none")));
    }
    let ed = entry.rest().starts_with("ED");
    match (entry.family().as_str(), ed) {
        ("load", true) => Ok(TransactionType::EdLoad),
        ("load", false) => Ok(TransactionType::EpLoad),
        ("purchase", true) => Ok(TransactionType::EdPurchase),
        ("purchase", false) => Ok(TransactionType::EpPurchase),
        ("cash withdraw", _) => Ok(TransactionType::EdCashWithdraw),
        ("capp purchase", _) => Ok(TransactionType::CompositePurchase),
        _ => Err(Trouble::Unknown),
    }
}
