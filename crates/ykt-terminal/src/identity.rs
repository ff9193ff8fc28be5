//! A reader that asks who somebody is (`systems.md` C1): it reads what it may, and believes only what the issuer
//! signed for this very card.
//!
//! A card is never simply good or bad: [`Report`] says what was read, what the card keeps to itself without PIN or
//! reader key, and every fault by its name. Access control, a counter and a website weigh them differently.

use crate::card::{
    CardError, PinError, Step, ask, demand, demand_plain, read_data_file, select_data_file, verify_pin,
};
use std::fmt;
use ykt_base::apdu::COMMAND_LEN_MAX;
use ykt_base::{CardChannel, Date, IssuerFactor, Rng, StatusWord};
use ykt_crypto::CardKey;
use ykt_crypto::sm2::{PublicKey, Signature, SignerId};
use ykt_purse::command::{ChallengeLen, challenge, external_authenticate, select_name};
use ykt_purse::identity::{
    CHALLENGE_LEN, CONTEXT_LEN_MAX, DataGroup, InternalAuthenticate, KEY_SFI, LENGTH_LEN, NAME,
    PHOTO_LEN_MAX, SIGNED_OBJECT_SFI, SignedObject, group_hash,
};
use ykt_purse::token::KeyPairId;
use ykt_purse::write_key::Pin;

/// Id of the holder's PIN.
const PIN_ID: u8 = 0;

/// What the reader may show to the card to be given more.
#[derive(Clone, Copy, Default)]
pub struct Credentials<'a> {
    /// The holder's PIN, typed in.
    pub pin: Option<&'a Pin>,
    /// The key this kind of reader was given, with its id.
    pub reader_key: Option<(u8, &'a CardKey)>,
}

/// What a reader knows and wants.
pub struct Inquiry<'a> {
    /// Public keys of issuers it trusts.
    pub issuers: &'a [(IssuerFactor, PublicKey)],
    /// What it may show.
    pub credentials: Credentials<'a>,
    /// Who asks and what for, at most 32 bytes: the card signs it, so its answer serves nobody else.
    pub context: &'a [u8],
    /// The day.
    pub today: Date,
}

/// What a card said of a person, and what of it cannot be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The signed object; `None` when there is none that can be read.
    pub object: Option<SignedObject>,
    /// Content of each group that was given.
    pub groups: Vec<(DataGroup, Vec<u8>)>,
    /// Groups that the card keeps to itself for these credentials.
    pub withheld: Vec<DataGroup>,
    /// What is wrong; nothing when the card is genuine.
    pub faults: Vec<Fault>,
}

impl Report {
    /// Whether everything that was read is the issuer's word for this card.
    #[must_use]
    pub fn is_genuine(&self) -> bool {
        self.faults.is_empty()
    }

    /// The content of a group, when it was given.
    #[must_use]
    pub fn group(&self, group: DataGroup) -> Option<&[u8]> {
        self.groups.iter().find(|(given, _)| *given == group).map(|(_, content)| content.as_slice())
    }
}

/// A reason not to believe a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// There is no signed object, or its bytes are none.
    NoSignedObject,
    /// This reader does not know the issuer.
    UnknownIssuer(IssuerFactor),
    /// The issuer did not sign this.
    NotSigned,
    /// The card is not valid on this day.
    OutOfDate {
        /// First day.
        start: Date,
        /// Last day.
        expiry: Date,
        /// The day of the inquiry.
        today: Date,
    },
    /// The card does not have the private key of the signed object: it is a copy.
    NotTheCard,
    /// A group has another content than the one signed.
    Altered(DataGroup),
    /// A group was signed and is not there.
    Missing(DataGroup),
    /// A group is there and was not signed.
    Foreign(DataGroup),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::NoSignedObject => f.write_str("no signed object: this is no card of an issuer"),
            Fault::UnknownIssuer(issuer) => {
                write!(f, "issuer {issuer} is not known here; give this reader its public key")
            }
            Fault::NotSigned => f.write_str("the issuer's signature is wrong: data or card are forged"),
            Fault::OutOfDate { start, expiry, today } => {
                write!(f, "valid from {start} to {expiry}, today is {today}")
            }
            Fault::NotTheCard => f.write_str("the card cannot prove its key: it is a copy"),
            Fault::Altered(group) => write!(f, "{group}: other than what was signed"),
            Fault::Missing(group) => write!(f, "{group}: signed, but not on the card"),
            Fault::Foreign(group) => write!(f, "{group}: on the card, but not signed"),
        }
    }
}

/// Why there is no report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// A command failed.
    #[error("the card was not read to the end; present it again")]
    Step(#[from] CardError),
    /// The PIN was not verified.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// The card does not take the reader's key.
    #[error(
        "the card does not take this reader's key: expected 9000, found {sw}; check the reader's key and its id"
    )]
    ReaderRefused {
        /// What it said.
        sw: StatusWord,
    },
    /// The context is longer than a card takes.
    #[error("context: expected at most {CONTEXT_LEN_MAX} bytes, found {found}")]
    Context {
        /// Bytes it has.
        found: usize,
    },
}

/// Reads a card and judges it.
///
/// # Errors
/// [`IdentityError`] when the card cannot be read or refuses what is shown to it; what a card says wrongly is a
/// [`Fault`] in the report.
pub fn examine(
    channel: &mut (impl CardChannel + ?Sized),
    inquiry: &Inquiry<'_>,
    rng: &mut dyn Rng,
) -> Result<Report, IdentityError> {
    demand_plain(channel, Step::SelectIdentity, &select_name(&NAME), |_| Some(()))?;
    show(channel, &inquiry.credentials)?;
    let mut faults = Vec::new();
    let object = signed_object(channel, inquiry, &mut faults)?;
    if let Some(object) = &object
        && !is_the_card(channel, object, inquiry, rng)?
    {
        faults.push(Fault::NotTheCard);
    }
    let (mut groups, mut withheld) = (Vec::new(), Vec::new());
    for group in DataGroup::ALL {
        let signed = object.as_ref().and_then(|object| object.hash(group));
        let fault = match (read(channel, group.fid())?, signed) {
            (Content::Withheld, _) => {
                withheld.push(group);
                continue;
            }
            (Content::Absent, None) => continue,
            (Content::Absent, Some(_)) => Some(Fault::Missing(group)),
            (Content::Broken, _) => Some(Fault::Altered(group)),
            (Content::Bytes(bytes), signed) => {
                let fault = match signed {
                    Some(hash) if hash == group_hash(&bytes) => None,
                    Some(_) => Some(Fault::Altered(group)),
                    None => object.is_some().then_some(Fault::Foreign(group)),
                };
                groups.push((group, bytes));
                fault
            }
        };
        faults.extend(fault);
    }
    Ok(Report { object, groups, withheld, faults })
}

/// Shows PIN and reader key; the key's state is the higher one and comes last.
fn show(
    channel: &mut (impl CardChannel + ?Sized),
    credentials: &Credentials<'_>,
) -> Result<(), IdentityError> {
    if let Some(pin) = credentials.pin {
        verify_pin(channel, PIN_ID, pin)?;
    }
    if let Some((id, key)) = credentials.reader_key {
        let asked = challenge(ChallengeLen::Eight);
        let block = demand_plain(channel, Step::Challenge, &asked, |data| data.try_into().ok())?;
        let proof = key.authenticate(block);
        let command = external_authenticate(id, &proof);
        let answer = ask(channel, Step::ProveReader, command.encode(&mut [0; COMMAND_LEN_MAX]))?;
        if !answer.sw().is_ok() {
            return Err(IdentityError::ReaderRefused { sw: answer.sw() });
        }
    }
    Ok(())
}

fn signed_object(
    channel: &mut (impl CardChannel + ?Sized),
    inquiry: &Inquiry<'_>,
    faults: &mut Vec<Fault>,
) -> Result<Option<SignedObject>, IdentityError> {
    let content = read(channel, [0x00, SIGNED_OBJECT_SFI])?;
    let Content::Bytes(bytes) = content else {
        faults.push(Fault::NoSignedObject);
        return Ok(None);
    };
    let Some((object, signature)) = SignedObject::from_bytes(&bytes) else {
        faults.push(Fault::NoSignedObject);
        return Ok(None);
    };
    match inquiry.issuers.iter().find(|(issuer, _)| *issuer == object.issuer) {
        None => faults.push(Fault::UnknownIssuer(object.issuer)),
        Some((_, key)) if !object.is_signed_by(key, &signature) => faults.push(Fault::NotSigned),
        Some(_) => {}
    }
    let SignedObject { start, expiry, .. } = object;
    if !(start..=expiry).contains(&inquiry.today) {
        faults.push(Fault::OutOfDate { start, expiry, today: inquiry.today });
    }
    Ok(Some(object))
}

/// Lets the card sign a fresh challenge. A card that refuses, or has no key pair, proves nothing.
fn is_the_card(
    channel: &mut (impl CardChannel + ?Sized),
    object: &SignedObject,
    inquiry: &Inquiry<'_>,
    rng: &mut dyn Rng,
) -> Result<bool, IdentityError> {
    let mut challenge = [0; CHALLENGE_LEN];
    rng.fill(&mut challenge);
    let too_long = IdentityError::Context { found: inquiry.context.len() };
    let command = KeyPairId::new(KEY_SFI)
        .and_then(|key| InternalAuthenticate::apdu(key, &challenge, inquiry.context))
        .ok_or(too_long)?;
    match demand(channel, Step::ProveCard, &command, |data| data.try_into().ok().map(Signature)) {
        Ok(signature) => {
            Ok(object.public.verify(SignerId::DEFAULT, &[&challenge, inquiry.context], &signature))
        }
        Err(CardError::Refused { .. } | CardError::Unreadable { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// What a file gave.
enum Content {
    Bytes(Vec<u8>),
    /// The card wants PIN or reader key for it.
    Withheld,
    Absent,
    /// It is shorter than it says, or longer than any.
    Broken,
}

/// Reads a file of the application: its length, then as many bytes.
fn read(channel: &mut (impl CardChannel + ?Sized), fid: [u8; 2]) -> Result<Content, CardError> {
    match select_data_file(channel, fid) {
        Err(CardError::Refused { sw: StatusWord::NOT_FOUND, .. }) => return Ok(Content::Absent),
        other => other?,
    }
    let content = read_data_file(channel, 0, LENGTH_LEN).and_then(|len| {
        let [high, low] = len.try_into().unwrap_or([0xFF; LENGTH_LEN]);
        match usize::from(u16::from_be_bytes([high, low])) {
            len @ 0..=PHOTO_LEN_MAX => read_data_file(channel, LENGTH_LEN, len).map(Content::Bytes),
            _ => Ok(Content::Broken),
        }
    });
    match content {
        Err(CardError::Refused { sw: StatusWord::SECURITY_STATUS, .. }) => Ok(Content::Withheld),
        Err(CardError::Refused { .. } | CardError::Unreadable { .. }) => Ok(Content::Broken),
        other => other,
    }
}
