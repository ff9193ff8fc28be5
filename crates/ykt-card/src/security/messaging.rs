//! Secure messaging (安全报文, `epurse.md` 2.1): the sender proves with a MAC under the challenge of the command
//! before that it holds the key; what it sends may be enciphered too.

use super::keys::{Check, CountedKey, KeyName};
use crate::card::Card;
use crate::files::File;
use crate::image::KeyNaming;
use crate::memory::{Batch, Memory, ShortBatch};
use crate::session::Challenge;
use ykt_base::apdu::RESPONSE_DATA_LEN_MAX;
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

    /// The data under the cryptogram, into `text`.
    ///
    /// # Errors
    /// 6A80 when length byte or padding are wrong.
    pub(crate) fn decipher(
        &self,
        key: &CountedKey,
        padding: Padding,
        text: &mut Text,
    ) -> Result<(), StatusWord> {
        key.material.decipher_into(padding, self.body, text).ok_or(StatusWord::WRONG_DATA)
    }
}

/// Protects what a file answers the way the file is: data || MAC, or enc(LD || data) || MAC; key and IV are those of
/// the command.
///
/// # Errors
/// 6700 when data and MAC are longer than an answer.
pub(crate) fn protect(
    data: &mut Bytes<RESPONSE_DATA_LEN_MAX>,
    key: &CountedKey,
    protection: Protection,
    padding: Padding,
    iv: [u8; 8],
) -> Result<(), StatusWord> {
    let too_long = StatusWord::WRONG_LENGTH;
    if protection == Protection::EncipheredMac {
        key.material.encipher_in_place(padding, data).ok_or(too_long)?;
    }
    let mac = key.material.smac(iv, &[data]);
    data.push(&mac.0).ok_or(too_long)
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
    /// better. What was enciphered stands in `text`; what the check of the MAC writes is in `batch`.
    ///
    /// # Errors
    /// 6987 for too little protection, 6A80 for a cryptogram of nothing, and those of [`Card::believe`].
    pub(crate) fn accept<'d>(
        &mut self,
        file: &File,
        content: Content<'d>,
        challenge: Option<Challenge>,
        (text, batch): (&'d mut Text, &mut Batch),
    ) -> Result<&'d [u8], StatusWord> {
        match (content, file.protection) {
            (Content::Plain(data), Protection::Plain) => Ok(data),
            (Content::Plain(_), _) | (Content::Mac(_), Protection::EncipheredMac) => {
                Err(StatusWord::MAC_MISSING)
            }
            (Content::Mac(secured), _) => {
                let key = self.line_protection(file.access.write_key_id())?;
                self.believe(&secured, &key, challenge, batch)?;
                Ok(secured.body)
            }
            (Content::EncipheredMac(secured), _) => {
                let key = self.line_protection(file.access.write_key_id())?;
                self.believe(&secured, &key, challenge, batch)?;
                secured.decipher(&key, self.session.directory.switches.padding(), text)?;
                if text.is_empty() { Err(StatusWord::WRONG_DATA) } else { Ok(text.as_bytes()) }
            }
        }
    }

    /// Checks the MAC of a command, and gives the IV for an answer; what restores the key's tries is put into
    /// `batch`. A wrong MAC costs the key a try, when its tries are counted.
    ///
    /// # Errors
    /// 6983 no try left, 6984 no challenge, 6988 wrong MAC.
    pub(crate) fn believe<const MAX: usize>(
        &mut self,
        secured: &Secured<'_>,
        key: &CountedKey,
        challenge: Option<Challenge>,
        batch: &mut Batch<MAX>,
    ) -> Result<[u8; 8], StatusWord> {
        key.tries.not_locked()?;
        let Challenge(iv) = challenge.ok_or(StatusWord::NO_CHALLENGE)?;
        let outcome = Check::of(macs_equal(&secured.expected_mac(key, iv), &secured.mac));
        key.put_checked(batch, outcome)?;
        match outcome {
            Check::Right => Ok(iv),
            Check::Wrong => {
                self.store.commit(batch)?;
                Err(StatusWord::MAC_WRONG)
            }
        }
    }

    /// As [`Card::believe`], for a command that writes nothing else.
    pub(crate) fn believe_alone(
        &mut self,
        secured: &Secured<'_>,
        key: &CountedKey,
        challenge: Option<Challenge>,
    ) -> Result<[u8; 8], StatusWord> {
        let mut batch = ShortBatch::new();
        let iv = self.believe(secured, key, challenge, &mut batch)?;
        self.store.commit(&batch)?;
        Ok(iv)
    }
}
