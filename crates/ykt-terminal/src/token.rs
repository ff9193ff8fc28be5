//! The desk of a token (`systems.md` E): its public keys, signatures of messages of any length, and its certificates.
//!
//! A certificate is stored body first, record last, and deleted by its record: whenever the token is pulled out, the
//! directory names whole certificates only.

use crate::card::{
    BLOCK_LEN_MAX, CardError, PinError, Step, demand, demand_plain, file_offset, read_data_file,
    select_data_file, verify_pin,
};
use ykt_base::{CardChannel, Command, StatusWord};
use ykt_crypto::sm2::{PublicKey, Signature};
use ykt_purse::command::{self, ChallengeLen, RecordPlace, select_name};
use ykt_purse::token::{
    CERTIFICATE_ENTRY_LEN, CERTIFICATE_FILES, CERTIFICATES_SFI, CertificateEntry, KeyPairCommand, KeyPairId,
    LABEL_LEN_MAX, NAME, SignCommand,
};
use ykt_purse::write_key::{CONTROL_KEY_ID, Pin};

/// Id of the holder's PIN.
const PIN_ID: u8 = 0;

/// A token with its application selected.
pub struct Token<C> {
    channel: C,
}

/// A certificate in the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// Its record.
    pub number: u8,
    /// What the record says.
    pub entry: CertificateEntry,
}

/// Why a token does not do what its holder wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// A command failed.
    #[error("the token did not do it; check that it is still plugged in")]
    Step(#[from] CardError),
    /// The PIN was not verified.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// The token asks for the PIN first.
    #[error("the token wants the PIN for this: verify it and try again")]
    PinWanted,
    /// No place is left for a certificate of this length.
    #[error("no place for a certificate of {len} bytes; delete one that is no longer used")]
    NoPlace {
        /// Bytes of the certificate.
        len: usize,
    },
}

impl<C: CardChannel> Token<C> {
    /// Selects the token's application.
    ///
    /// # Errors
    /// [`CardError`]; 6A82 is a card without one.
    pub fn open(mut channel: C) -> Result<Token<C>, CardError> {
        demand_plain(&mut channel, Step::SelectToken, &select_name(&NAME), |_| Some(()))?;
        Ok(Token { channel })
    }

    /// Verifies the holder's PIN.
    ///
    /// # Errors
    /// [`PinError`].
    pub fn verify(&mut self, pin: &Pin) -> Result<(), PinError> {
        verify_pin(&mut self.channel, PIN_ID, pin)
    }

    /// Proves that the control key of the application is known: `answer` makes the cryptogram of the token's challenge.
    ///
    /// # Errors
    /// [`CardError`], or what `answer` says.
    pub fn prove_issuer<E: From<CardError>>(
        &mut self,
        answer: impl FnOnce([u8; 8]) -> Result<[u8; 8], E>,
    ) -> Result<(), E> {
        let ask = command::challenge(ChallengeLen::Eight);
        let challenge = demand_plain(&mut self.channel, Step::Challenge, &ask, |data| data.try_into().ok())?;
        let cryptogram = answer(challenge)?;
        let prove = command::external_authenticate(CONTROL_KEY_ID, &cryptogram);
        Ok(demand_plain(&mut self.channel, Step::ProveIssuer, &prove, |_| Some(()))?)
    }

    /// Lets the token make a new key pair. The old one is gone, and with it every use of its certificates.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn generate(&mut self, id: KeyPairId) -> Result<PublicKey, TokenError> {
        let command = KeyPairCommand::Generate(id).to_apdu();
        let made = demand(&mut self.channel, Step::GenerateKeyPair, &command, |data| {
            PublicKey::from_bytes(data.try_into().ok()?)
        });
        made.map_err(wanting_pin)
    }

    /// The public key of a pair.
    ///
    /// # Errors
    /// [`CardError`]; 6985 when the token has not made one.
    pub fn public_key(&mut self, id: KeyPairId) -> Result<PublicKey, CardError> {
        let command = KeyPairCommand::ReadPublic(id).to_apdu();
        demand(&mut self.channel, Step::ReadPublicKey, &command, |data| {
            PublicKey::from_bytes(data.try_into().ok()?)
        })
    }

    /// Signs a message of any length; the token hashes it.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn sign(&mut self, id: KeyPairId, message: &[u8]) -> Result<Signature, TokenError> {
        let blocks = message.len().saturating_sub(1).checked_div(BLOCK_LEN_MAX).unwrap_or(0);
        let (hashed, last) = message.split_at(blocks.saturating_mul(BLOCK_LEN_MAX));
        for (number, block) in hashed.chunks(BLOCK_LEN_MAX).enumerate() {
            let command = match number {
                0 => SignCommand::HashFirst(id, block),
                _ => SignCommand::HashNext(id, block),
            };
            self.step(Step::Hash, command, |_| Some(()))?;
        }
        let command =
            if hashed.is_empty() { SignCommand::Message(id, last) } else { SignCommand::Last(id, last) };
        self.step(Step::Sign, command, |data| data.try_into().ok().map(Signature))
    }

    fn step<T>(
        &mut self,
        step: Step,
        command: SignCommand<'_>,
        read: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<T, TokenError> {
        let command = command.to_apdu().unwrap_or_default();
        demand(&mut self.channel, step, &command, read).map_err(wanting_pin)
    }

    /// The certificates on the token.
    ///
    /// # Errors
    /// [`CardError`].
    pub fn certificates(&mut self) -> Result<Vec<Listed>, CardError> {
        let records = self.records()?.into_iter();
        Ok(records.filter_map(|(number, entry)| entry.map(|entry| Listed { number, entry })).collect())
    }

    /// The bytes of a certificate.
    ///
    /// # Errors
    /// [`CardError`].
    pub fn certificate(&mut self, listed: &Listed) -> Result<Vec<u8>, CardError> {
        select_data_file(&mut self.channel, [0x00, listed.entry.file])?;
        read_data_file(&mut self.channel, 0, usize::from(listed.entry.len))
    }

    /// Stores a certificate in a free place; `label` is cut to what a record holds.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn store_certificate(
        &mut self,
        key: Option<KeyPairId>,
        label: &str,
        certificate: &[u8],
    ) -> Result<Listed, TokenError> {
        let no_place = TokenError::NoPlace { len: certificate.len() };
        let len = u16::try_from(certificate.len()).map_err(|_| no_place)?;
        let records = self.records()?;
        let number = records.iter().find_map(|(number, entry)| entry.is_none().then_some(*number));
        let number = number.ok_or(no_place)?;
        let is_taken = |file: u8| records.iter().flat_map(|(_, entry)| entry).any(|entry| entry.file == file);
        for file in CERTIFICATE_FILES.filter(|file| !is_taken(*file)) {
            if self.write_body(file, certificate)? {
                let mut bytes = [0; LABEL_LEN_MAX];
                bytes.iter_mut().zip(whole_characters(label)).for_each(|(byte, text)| *byte = *text);
                let entry = CertificateEntry { file, key, len, label: bytes };
                self.write_record(number, &entry.to_bytes())?;
                return Ok(Listed { number, entry });
            }
        }
        Err(no_place)
    }

    /// Deletes a certificate.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn delete_certificate(&mut self, listed: &Listed) -> Result<(), TokenError> {
        self.write_record(listed.number, &CertificateEntry::EMPTY)
    }

    /// Every record of the directory, empty ones included.
    fn records(&mut self) -> Result<Vec<(u8, Option<CertificateEntry>)>, CardError> {
        let mut records = Vec::new();
        let len = u16::try_from(CERTIFICATE_ENTRY_LEN).unwrap_or(0);
        for number in 1..=u8::MAX {
            let read = command::read_record(number, CERTIFICATES_SFI, len);
            let read = demand_plain(&mut self.channel, Step::ReadCertificates, &read, |data| {
                Some(CertificateEntry::from_bytes(data))
            });
            match read {
                Ok(entry) => records.push((number, entry)),
                Err(CardError::Refused { sw: StatusWord::RECORD_NOT_FOUND, .. }) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(records)
    }

    fn write_record(&mut self, number: u8, record: &[u8; CERTIFICATE_ENTRY_LEN]) -> Result<(), TokenError> {
        let update = command::update_record(RecordPlace::Number(number), CERTIFICATES_SFI, record);
        demand_plain(&mut self.channel, Step::WriteCertificate, &update, |_| Some(())).map_err(wanting_pin)
    }

    /// Writes the body; whether there is such a file and it is long enough.
    fn write_body(&mut self, file: u8, certificate: &[u8]) -> Result<bool, TokenError> {
        match select_data_file(&mut self.channel, [0x00, file]) {
            Err(CardError::Refused { sw: StatusWord::NOT_FOUND, .. }) => return Ok(false),
            other => other?,
        }
        for (number, block) in certificate.chunks(BLOCK_LEN_MAX).enumerate() {
            let [p1, p2] = file_offset(number.saturating_mul(BLOCK_LEN_MAX));
            let update = Command::write(0x00, 0xD6, p1, p2, block, None);
            match demand_plain(&mut self.channel, Step::WriteCertificate, &update, |_| Some(())) {
                Err(CardError::Refused { sw: StatusWord::NO_SPACE | StatusWord::WRONG_OFFSET, .. }) => {
                    return Ok(false);
                }
                other => other.map_err(wanting_pin)?,
            }
        }
        Ok(true)
    }
}

fn wanting_pin(error: CardError) -> TokenError {
    match error {
        CardError::Refused { sw: StatusWord::SECURITY_STATUS, .. } => TokenError::PinWanted,
        error => error.into(),
    }
}

/// As many whole characters as a label holds.
fn whole_characters(label: &str) -> &[u8] {
    let mut end = label.len().min(LABEL_LEN_MAX);
    while !label.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    label.as_bytes().get(..end).unwrap_or_default()
}
