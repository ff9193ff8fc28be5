//! Secure messaging (安全报文, `epurse.md` 2.1): the sender proves with a MAC under the challenge of the command
//! before that it holds the key; what it sends may be enciphered too.

use super::keys::{Check, CountedKey, KeyName};
use crate::answer::{Outcome, answer};
use crate::card::Card;
use crate::files::File;
use crate::image::KeyNaming;
use crate::memory::{Batch, Memory};
use crate::session::Challenge;
use ykt_base::apdu::{COMMAND_LEN_MAX, RESPONSE_DATA_LEN_MAX};
use ykt_base::{Command, KeyIndex, Mac4, StatusWord};
use ykt_crypto::macs_equal;
use ykt_crypto::sm::{Bytes, Padding, Text};
use ykt_purse::create::Protection;
use ykt_purse::psam::SamKeyType;
use ykt_purse::write_key::KeyUsage;

/// Length of the MAC that ends the data field.
const MAC_LEN: usize = 4;

/// A command with a MAC, split but not yet believed.
#[derive(Clone, Copy)]
pub(crate) struct Secured<'a> {
    header: [u8; 5],
    /// Data or cryptogram, without the MAC.
    pub(super) body: &'a [u8],
    pub(super) mac: Mac4,
}

/// The class of a command that may come protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MessageClass {
    /// 00: in clear.
    Plain,
    /// 04: in clear, with a MAC.
    Mac,
    /// 84: enciphered, with a MAC.
    EncipheredMac,
}

/// What a writing command brings.
#[derive(Clone, Copy)]
pub(crate) enum Content<'a> {
    Plain(&'a [u8]),
    Mac(Secured<'a>),
    EncipheredMac(Secured<'a>),
}

impl MessageClass {
    /// The class of a command whose form is known.
    pub(crate) const fn of(command: &Command<'_>) -> MessageClass {
        match command.cla {
            0x04 => MessageClass::Mac,
            0x84 => MessageClass::EncipheredMac,
            _ => MessageClass::Plain,
        }
    }

    /// The MAC of a reading command, which brings nothing else.
    ///
    /// # Errors
    /// 6700 with data, 6987 without a MAC in class 04, 6E00 in class 84.
    pub(crate) fn of_read<'a>(self, command: &Command<'a>) -> Result<Option<Secured<'a>>, StatusWord> {
        let secured = match self {
            MessageClass::Plain => None,
            MessageClass::Mac => Some(Secured::split(command)?),
            MessageClass::EncipheredMac => return Err(StatusWord::UNKNOWN_CLA),
        };
        let data = secured.map_or(command.data, |secured| secured.body);
        if data.is_empty() { Ok(secured) } else { Err(StatusWord::WRONG_LENGTH) }
    }

    /// What a writing command brings: at least one byte.
    ///
    /// # Errors
    /// 6700, 6987.
    pub(crate) fn of_write<'a>(self, command: &Command<'a>) -> Result<Content<'a>, StatusWord> {
        let (content, body) = match self {
            MessageClass::Plain => (Content::Plain(command.data), command.data),
            MessageClass::Mac => {
                let secured = Secured::split(command)?;
                (Content::Mac(secured), secured.body)
            }
            MessageClass::EncipheredMac => {
                let secured = Secured::split_enciphered(command)?;
                (Content::EncipheredMac(secured), secured.body)
            }
        };
        if body.is_empty() { Err(StatusWord::WRONG_LENGTH) } else { Ok(content) }
    }
}

impl<'a> Secured<'a> {
    /// Splits the data field.
    ///
    /// # Errors
    /// 6987 when there is no room for a MAC.
    pub(crate) fn split(command: &Command<'a>) -> Result<Secured<'a>, StatusWord> {
        let (body, mac) = command.data.split_last_chunk::<MAC_LEN>().ok_or(StatusWord::MAC_MISSING)?;
        let lc = u8::try_from(command.data.len()).map_err(|_| StatusWord::WRONG_LENGTH)?;
        let header = [command.cla, command.ins, command.p1, command.p2, lc];
        Ok(Secured { header, body, mac: Mac4(*mac) })
    }

    /// As [`Secured::split`], for a body that is a cryptogram: whole blocks, at least one.
    ///
    /// # Errors
    /// 6987 without a MAC, 6700 for another length.
    pub(crate) fn split_enciphered(command: &Command<'a>) -> Result<Secured<'a>, StatusWord> {
        let secured = Secured::split(command)?;
        if secured.body.is_empty() || !secured.body.len().is_multiple_of(8) {
            return Err(StatusWord::WRONG_LENGTH);
        }
        Ok(secured)
    }

    /// The MAC its sender must have made.
    pub(super) fn expected_mac(&self, key: &CountedKey, iv: [u8; 8]) -> Mac4 {
        key.material.smac(iv, &[&self.header, self.body])
    }

    /// The data under the cryptogram.
    ///
    /// # Errors
    /// 6A80 when length byte or padding are wrong.
    pub(crate) fn decipher(&self, key: &CountedKey, padding: Padding) -> Result<Text, StatusWord> {
        key.material.decipher(padding, self.body).ok_or(StatusWord::WRONG_DATA)
    }
}

/// A MAC found right: the IV for an answer, and a batch that already restores the key's tries.
pub(crate) struct Believed {
    pub(crate) iv: [u8; 8],
    pub(crate) batch: Batch,
}

impl Believed {
    /// An answer protected the way the file is: data || MAC, or enc(LD || data) || MAC; key and IV are those of
    /// the command.
    ///
    /// # Errors
    /// 6700 when data and MAC are longer than an answer.
    pub(crate) fn answer(
        &self,
        key: &CountedKey,
        protection: Protection,
        padding: Padding,
        data: &[u8],
    ) -> Outcome {
        let cryptogram = match protection {
            Protection::Plain | Protection::Mac => None,
            Protection::EncipheredMac => {
                Some(key.material.encipher(padding, &[data]).ok_or(StatusWord::WRONG_LENGTH)?)
            }
        };
        let body = cryptogram.as_deref().unwrap_or(data);
        let mac = key.material.smac(self.iv, &[body]);
        let whole = Bytes::<RESPONSE_DATA_LEN_MAX>::from_parts(&[body, &mac.0]);
        answer(&whole.ok_or(StatusWord::WRONG_LENGTH)?)
    }
}

impl<M: Memory> Card<M> {
    /// The line-protection key (线路保护) of an id in the current directory; a PSAM's maintenance key has id 0.
    ///
    /// # Errors
    /// 6A88 when there is none, 6983 when it is locked, 6982 when it may not be used now.
    pub(crate) fn line_protection(&self, id: u8) -> Result<CountedKey, StatusWord> {
        let name = match (self.factory.kind.key_naming(), id) {
            (KeyNaming::ById, id) => KeyName::User(KeyUsage::LineProtection, KeyIndex(id)),
            (KeyNaming::ByUsage, 0) => KeyName::SamOwn(SamKeyType::Maintenance),
            (KeyNaming::ByUsage, _) => return Err(StatusWord::KEY_NOT_FOUND),
        };
        let slot = self.usable_key(name, StatusWord::KEY_NOT_FOUND)?;
        Ok(CountedKey::of_slot(&self.store, &slot))
    }

    /// The data a writing command brings to a file, when they come as well protected as the file asks for, or
    /// better; and a batch to put them in.
    ///
    /// # Errors
    /// 6987 for too little protection, 6A80 for a cryptogram of nothing, and those of [`Card::believe`].
    pub(crate) fn accept(
        &mut self,
        file: &File,
        content: Content<'_>,
        challenge: Option<Challenge>,
    ) -> Result<(Bytes<COMMAND_LEN_MAX>, Batch), StatusWord> {
        let too_long = StatusWord::WRONG_LENGTH;
        match (content, file.protection) {
            (Content::Plain(data), Protection::Plain) => {
                Ok((Bytes::from_parts(&[data]).ok_or(too_long)?, Batch::new()))
            }
            (Content::Plain(_), _) | (Content::Mac(_), Protection::EncipheredMac) => {
                Err(StatusWord::MAC_MISSING)
            }
            (Content::Mac(secured), _) => {
                let key = self.line_protection(file.access.write_key_id())?;
                let believed = self.believe(&secured, &key, challenge)?;
                Ok((Bytes::from_parts(&[secured.body]).ok_or(too_long)?, believed.batch))
            }
            (Content::EncipheredMac(secured), _) => {
                let key = self.line_protection(file.access.write_key_id())?;
                let believed = self.believe(&secured, &key, challenge)?;
                let data = secured.decipher(&key, self.session.directory.switches.padding())?;
                if data.is_empty() {
                    return Err(StatusWord::WRONG_DATA);
                }
                Ok((Bytes::from_parts(&[&data]).ok_or(too_long)?, believed.batch))
            }
        }
    }

    /// Checks the MAC of a command. A wrong one costs the key a try, when its tries are counted.
    ///
    /// # Errors
    /// 6983 no try left, 6984 no challenge, 6988 wrong MAC.
    pub(crate) fn believe(
        &mut self,
        secured: &Secured<'_>,
        key: &CountedKey,
        challenge: Option<Challenge>,
    ) -> Result<Believed, StatusWord> {
        key.tries.not_locked()?;
        let Challenge(iv) = challenge.ok_or(StatusWord::NO_CHALLENGE)?;
        let outcome = Check::of(macs_equal(&secured.expected_mac(key, iv), &secured.mac));
        let batch = key.checked(outcome)?;
        match outcome {
            Check::Right => Ok(Believed { iv, batch }),
            Check::Wrong => {
                self.store.commit(&batch)?;
                Err(StatusWord::MAC_WRONG)
            }
        }
    }
}
