//! Bills, turnover by hour, transfers and payments.

use crate::bill::{Bill, BillState};
use crate::payout::{Paid, PaymentState, TransferRow};
use std::collections::BTreeMap;
use ykt_base::{Date, DateTime, MerchantCode};
use ykt_files::{PayChannel, PayeeKind, Payment, Sum};
use ykt_store::{Row, StoreError, Tx, params};

const BILL: &str = "SELECT day, merchant, industry, confirmed, confirmed_amount, refused, refused_amount, adjusted, \
     adjusted_amount, adjustment_refused, adjustment_refused_amount, operator, operator_amount, commission_ppm, \
     commission, net, state, transfer, record_no FROM clearing_bill";

fn bill_row(row: &Row<'_>) -> Result<Bill, StoreError> {
    let sum = |count: usize| -> Result<Sum, StoreError> {
        Ok(Sum { count: row.get(count)?, amount: row.get(count.saturating_add(1))? })
    };
    let transfer: Option<i64> = row.get(17)?;
    let record_no: Option<u32> = row.get(18)?;
    Ok(Bill {
        day: row.get(0)?,
        merchant: row.get(1)?,
        industry: row.get(2)?,
        confirmed: sum(3)?,
        refused: sum(5)?,
        adjusted: sum(7)?,
        adjustment_refused: sum(9)?,
        operator: sum(11)?,
        commission_ppm: row.get(13)?,
        commission: row.get(14)?,
        net: row.get(15)?,
        state: row.get(16)?,
        payment: transfer.zip(record_no),
    })
}

pub fn insert_bill(tx: &Tx<'_>, bill: &Bill) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO clearing_bill (day, merchant, industry, confirmed, confirmed_amount, refused, refused_amount, \
         adjusted, adjusted_amount, adjustment_refused, adjustment_refused_amount, operator, operator_amount, \
         commission_ppm, commission, net, state) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
        params![
            bill.day,
            &bill.merchant,
            bill.industry,
            bill.confirmed.count,
            bill.confirmed.amount,
            bill.refused.count,
            bill.refused.amount,
            bill.adjusted.count,
            bill.adjusted.amount,
            bill.adjustment_refused.count,
            bill.adjustment_refused.amount,
            bill.operator.count,
            bill.operator.amount,
            bill.commission_ppm,
            bill.commission,
            bill.net,
            bill.state,
        ],
    )
    .map(drop)
}

/// Bills of a day, by merchant.
pub fn of_day(tx: &Tx<'_>, day: Date) -> Result<Vec<Bill>, StoreError> {
    tx.query(&format!("{BILL} WHERE day = $1 ORDER BY merchant"), params![day], bill_row)
}

/// Bills of days and merchants that are given, newest first.
pub fn bills(
    tx: &Tx<'_>,
    day: Option<Date>,
    merchant: Option<&MerchantCode>,
    state: Option<BillState>,
) -> Result<Vec<Bill>, StoreError> {
    tx.query(
        &format!(
            "{BILL} WHERE ($1 IS NULL OR day = $1) AND ($2 IS NULL OR merchant = $2) \
             AND ($3 IS NULL OR state = $3) ORDER BY day DESC, merchant"
        ),
        params![day, merchant, state],
        bill_row,
    )
}

/// Bills that are to be paid: new ones, and those whose payment failed.
pub fn payable(tx: &Tx<'_>, through: Date) -> Result<Vec<Bill>, StoreError> {
    tx.query(
        &format!("{BILL} WHERE state IN ($1, $2) AND day <= $3 ORDER BY merchant, day"),
        params![BillState::Payable, BillState::Failed, through],
        bill_row,
    )
}

pub fn bill_sent(tx: &Tx<'_>, bill: &Bill, transfer: i64, record_no: u32) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE clearing_bill SET state = $3, transfer = $4, record_no = $5 WHERE day = $1 AND merchant = $2",
        params![bill.day, &bill.merchant, BillState::Sent, transfer, record_no],
    )
    .map(drop)
}

pub fn bills_settled(tx: &Tx<'_>, transfer: i64, record_no: u32, state: BillState) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE clearing_bill SET state = $3 WHERE transfer = $1 AND record_no = $2",
        params![transfer, record_no, state],
    )
    .map(drop)
}

pub fn insert_hours(
    tx: &Tx<'_>,
    day: Date,
    hours: &BTreeMap<(MerchantCode, u8), Sum>,
) -> Result<(), StoreError> {
    for ((merchant, hour), sum) in hours {
        tx.execute(
            "INSERT INTO clearing_hour (day, merchant, hour, records, amount) VALUES ($1, $2, $3, $4, $5)",
            params![day, merchant, *hour, sum.count, sum.amount],
        )?;
    }
    Ok(())
}

pub fn insert_transfer(tx: &Tx<'_>, transfer: &TransferRow) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO clearing_transfer (id, day, pay_day, name, payer_account) VALUES ($1, $2, $3, $4, $5)",
        params![transfer.id, transfer.day, transfer.pay_day, &transfer.name, &transfer.payer_account],
    )
    .map(drop)
}

pub fn next_transfer_id(tx: &Tx<'_>) -> Result<i64, StoreError> {
    let last = tx.query_one("SELECT MAX(id) FROM clearing_transfer", &[], |row| row.opt_i64(0))?.flatten();
    Ok(last.unwrap_or(0).saturating_add(1))
}

const TRANSFER: &str = "SELECT id, day, pay_day, name, payer_account FROM clearing_transfer";

fn transfer_row(row: &Row<'_>) -> Result<TransferRow, StoreError> {
    Ok(TransferRow {
        id: row.get(0)?,
        day: row.get(1)?,
        pay_day: row.get(2)?,
        name: row.get(3)?,
        payer_account: row.get(4)?,
    })
}

pub fn transfer_of_day(tx: &Tx<'_>, day: Date) -> Result<Option<TransferRow>, StoreError> {
    tx.query_one(&format!("{TRANSFER} WHERE day = $1"), params![day], transfer_row)
}

pub fn transfer_named(tx: &Tx<'_>, name: &str) -> Result<Option<TransferRow>, StoreError> {
    tx.query_one(&format!("{TRANSFER} WHERE name = $1"), params![name], transfer_row)
}

/// Transfers, newest first.
pub fn transfers(tx: &Tx<'_>) -> Result<Vec<TransferRow>, StoreError> {
    tx.query(&format!("{TRANSFER} ORDER BY id DESC"), &[], transfer_row)
}

pub fn insert_payment(
    tx: &Tx<'_>,
    transfer: i64,
    merchant: &MerchantCode,
    payment: &Payment,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO clearing_payment (transfer, record_no, merchant, amount, account, account_name, bank_name, \
         bank_id, payee, channel, state, bank_serial, reason) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, '', '')",
        params![
            transfer,
            payment.record_no,
            merchant,
            payment.amount,
            &payment.account,
            &payment.account_name,
            &payment.bank_name,
            &payment.bank_id,
            payment.payee.code(),
            payment.channel.code(),
            PaymentState::Sent,
        ],
    )
    .map(drop)
}

/// The payments of a transfer, by record number.
pub fn payments(tx: &Tx<'_>, transfer: &TransferRow) -> Result<Vec<Paid>, StoreError> {
    tx.query(
        "SELECT record_no, merchant, amount, account, account_name, bank_name, bank_id, payee, channel, state, \
         bank_serial, reason, settled_at FROM clearing_payment WHERE transfer = $1 ORDER BY record_no",
        params![transfer.id],
        |row| {
            let merchant: MerchantCode = row.get(1)?;
            let payment = Payment {
                record_no: row.get(0)?,
                amount: row.get(2)?,
                account: row.get(3)?,
                account_name: row.get(4)?,
                bank_name: row.get(5)?,
                bank_id: row.get(6)?,
                // Written by `insert_payment` only.
                payee: PayeeKind::from_code(row.get(7)?).unwrap_or(PayeeKind::Company),
                channel: PayChannel::from_code(row.get(8)?).unwrap_or(PayChannel::InterBank),
                remark: transfer.remark(),
            };
            Ok(Paid {
                merchant,
                payment,
                state: row.get(9)?,
                bank_serial: row.get(10)?,
                reason: row.get(11)?,
                settled_at: row.get(12)?,
            })
        },
    )
}

pub fn settle_payment(
    tx: &Tx<'_>,
    transfer: i64,
    record_no: u32,
    state: PaymentState,
    bank_serial: &str,
    reason: &str,
    at: DateTime,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE clearing_payment SET state = $3, bank_serial = $4, reason = $5, settled_at = $6 \
         WHERE transfer = $1 AND record_no = $2",
        params![transfer, record_no, state, bank_serial, reason, at],
    )
    .map(drop)
}
