//! The payment gateway (第三方支付): citizens pay load orders here from their bank cards; it tells the company
//! at once, gives money back on request, and settles yesterday's takings net of its fee.
//!
//! It keeps its own book per order, so a payment told twice is still one payment.

use std::collections::BTreeMap;
use ykt_base::{Date, Fen};

/// What the gateway knows of one order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Payment {
    day: Date,
    amount: Fen,
    given_back: bool,
}

/// Why the gateway refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    /// The order was paid before with another amount.
    #[error("order {order}: paid before with {found}, asked now {asked}")]
    OtherAmount {
        /// Order id.
        order: String,
        /// Amount paid before.
        found: Fen,
        /// Amount asked now.
        asked: Fen,
    },
    /// There is no payment of that order.
    #[error("order {order}: no payment is known")]
    Unknown {
        /// Order id.
        order: String,
    },
    /// A sum left the range of 2^63 fen.
    #[error("takings of {day} overflow")]
    Overflow {
        /// The day of the takings.
        day: Date,
    },
}

/// What the gateway owes the company for one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Takings {
    /// Payments less money given back.
    pub gross: Fen,
    /// The gateway's fee on the gross, half up.
    pub fee: Fen,
    /// What it pays: gross less fee.
    pub net: Fen,
    /// Payments that stand.
    pub payments: u32,
}

/// The simulated gateway.
#[derive(Debug)]
pub struct Gateway {
    fee_ppm: u32,
    payments: BTreeMap<String, Payment>,
}

impl Gateway {
    /// A gateway that keeps `fee_ppm` parts per million of what it settles.
    #[must_use]
    pub fn new(fee_ppm: u32) -> Gateway {
        Gateway { fee_ppm, payments: BTreeMap::new() }
    }

    /// A citizen pays `amount` for `order`; paying the same again changes nothing.
    ///
    /// # Errors
    /// [`GatewayError::OtherAmount`] when the order was paid with another amount.
    pub fn pay(&mut self, order: &str, amount: Fen, day: Date) -> Result<(), GatewayError> {
        match self.payments.get(order) {
            Some(paid) if paid.amount == amount => Ok(()),
            Some(paid) => {
                Err(GatewayError::OtherAmount { order: order.to_owned(), found: paid.amount, asked: amount })
            }
            None => {
                self.payments.insert(order.to_owned(), Payment { day, amount, given_back: false });
                Ok(())
            }
        }
    }

    /// The company gives the money of `order` back; doing it again changes nothing.
    ///
    /// # Errors
    /// [`GatewayError::Unknown`] when nothing was paid.
    pub fn give_back(&mut self, order: &str) -> Result<(), GatewayError> {
        let payment =
            self.payments.get_mut(order).ok_or_else(|| GatewayError::Unknown { order: order.to_owned() })?;
        payment.given_back = true;
        Ok(())
    }

    /// What is owed for the payments of `day`.
    ///
    /// # Errors
    /// [`GatewayError::Overflow`] when the sum leaves the range.
    pub fn takings(&self, day: Date) -> Result<Takings, GatewayError> {
        let standing = || self.payments.values().filter(|paid| paid.day == day && !paid.given_back);
        let overflow = GatewayError::Overflow { day };
        let gross = Fen::checked_sum(standing().map(|paid| paid.amount)).ok_or(overflow.clone())?;
        let fee = gross.share_ppm(self.fee_ppm).ok_or(overflow.clone())?;
        let net = gross.checked_sub(fee).ok_or(overflow)?;
        Ok(Takings { gross, fee, net, payments: u32::try_from(standing().count()).unwrap_or(u32::MAX) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payment_told_twice_is_one_payment() {
        let day: Date = "20260302".parse().unwrap();
        let mut gateway = Gateway::new(6_000);
        gateway.pay("a", Fen::new(10_000), day).unwrap();
        gateway.pay("a", Fen::new(10_000), day).unwrap();
        gateway.pay("b", Fen::new(5_000), day).unwrap();
        assert!(gateway.pay("a", Fen::new(1), day).is_err());
        gateway.give_back("b").unwrap();
        gateway.give_back("b").unwrap();
        assert!(gateway.give_back("c").is_err());
        let takings = gateway.takings(day).unwrap();
        assert_eq!(
            (takings.gross, takings.fee, takings.net),
            (Fen::new(10_000), Fen::new(60), Fen::new(9_940))
        );
    }
}
