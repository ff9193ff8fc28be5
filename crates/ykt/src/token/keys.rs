//! `ykt token key` and `ykt token cert`: the key pairs and certificates that a token keeps beside its purse.
//!
//! A pair is made on the token; what leaves it is the public key, as the structure that every other program reads
//! (SubjectPublicKeyInfo), so that a CA can certify it.

use super::screen::{self, Cancelled, say};
use super::{Leave, pin_is_blocked, pin_is_wrong};
use crate::slot::Slot;
use anyhow::{Context, anyhow, bail};
use clap::Subcommand;
use std::io::Write;
use std::path::{Path, PathBuf};
use ykt_base::StatusWord;
use ykt_base::hex::Hex;
use ykt_crypto::sm2::{PUBLIC_KEY_LEN, PublicKey};
use ykt_purse::token::KeyPairId;
use ykt_terminal::card::{self, CardError, PinError};
use ykt_terminal::token::{Listed, Token, TokenError};
use ykt_vault::{CardKeyRef, KeyAddress, KeyKind, KeyRef, KeysFile, SoftVault, Vault};

/// Key pairs of a token: show them, let it make one
#[derive(Debug, clap::Args)]
pub struct KeyArgs {
    #[command(subcommand)]
    action: KeyAction,
}

#[derive(Debug, Subcommand)]
enum KeyAction {
    Show(Show),
    New(New),
}

/// Show the public keys
#[derive(Debug, clap::Args)]
struct Show {
    /// Only this key pair: its file id, as 0C
    #[arg(long, value_name = "ID", value_parser = key_id)]
    key: Option<KeyPairId>,
    /// Put the public key into this new file (SubjectPublicKeyInfo, DER)
    #[arg(long, value_name = "FILE", requires = "key")]
    out: Option<PathBuf>,
    /// Token: image file, number or part of the name of a reader, or usbip:HOST:PORT
    token: String,
}

/// Let the token make a key pair, in a file that its issuer created
#[derive(Debug, clap::Args)]
struct New {
    /// Key pair: its file id, as 0C
    #[arg(long, value_name = "ID", value_parser = key_id)]
    key: KeyPairId,
    /// Let the old pair go, and with it all that was certified for it
    #[arg(long)]
    replace: bool,
    /// Key file with the control key of the application (application-master, index 6), for pairs that only the issuer
    /// makes; without it the PIN must do
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// Token: image file, number or part of the name of a reader, or usbip:HOST:PORT
    token: String,
}

/// Certificates of a token: list, store, read, delete
#[derive(Debug, clap::Args)]
pub struct CertArgs {
    #[command(subcommand)]
    action: CertAction,
}

#[derive(Debug, Subcommand)]
enum CertAction {
    /// List the certificates: number, key pair, length, label
    List {
        /// Token: image file, number or part of the name of a reader, or usbip:HOST:PORT
        token: String,
    },
    Store(Store),
    /// Read a certificate into a new file (DER)
    Read {
        /// File to be made
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Token: image file, number or part of the name of a reader, or usbip:HOST:PORT
        token: String,
        /// Its number in the list
        number: u8,
    },
    /// Delete a certificate; its place becomes free
    Delete {
        /// Token: image file, number or part of the name of a reader, or usbip:HOST:PORT
        token: String,
        /// Its number in the list
        number: u8,
    },
}

/// Store a certificate (DER) in a free place
#[derive(Debug, clap::Args)]
struct Store {
    /// Key pair it is for: its file id, as 0C; without one it is somebody else's, such as a CA's
    #[arg(long, value_name = "ID", value_parser = key_id)]
    key: Option<KeyPairId>,
    /// What people call it; a token keeps 19 bytes of it
    #[arg(long, value_name = "TEXT", default_value = "")]
    label: String,
    /// Token: image file, number or part of the name of a reader, or usbip:HOST:PORT
    token: String,
    /// The certificate
    file: PathBuf,
}

/// The control key of the token's application in a key file.
const CONTROL_KEY: KeyRef = KeyRef::new(KeyKind::ApplicationMaster, 6, 1);

/// SubjectPublicKeyInfo of an SM2 key (id-ecPublicKey on curve 1.2.156.10197.1.301), up to the point.
pub const PUBLIC_KEY_INFO: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x81,
    0x1C, 0xCF, 0x55, 0x01, 0x82, 0x2D, 0x03, 0x42, 0x00,
];

/// A key pair by the id of its file, as card profiles write it: two hex digits.
pub fn key_id(text: &str) -> Result<KeyPairId, String> {
    let id = u8::from_str_radix(text, 16).ok().and_then(KeyPairId::new);
    id.ok_or_else(|| "expected the id of a key pair's file, 01 to 1E".to_owned())
}

impl KeyArgs {
    /// Runs the command.
    pub fn run(&self) -> Result<(), Leave> {
        match &self.action {
            KeyAction::Show(show) => Ok(show.run()?),
            KeyAction::New(new) => new.run(),
        }
    }
}

impl Show {
    fn run(&self) -> anyhow::Result<()> {
        let mut token = open(&self.token)?;
        if let Some(id) = self.key {
            let key = made_key(&mut token, id)?;
            if let Some(path) = &self.out {
                create(path, &[&PUBLIC_KEY_INFO[..], key.as_bytes()].concat())?;
            }
            tell_key(id, &key);
            return Ok(());
        }
        for id in (1..=u8::MAX).map_while(KeyPairId::new) {
            match public_key(&mut token, id)? {
                Pair::Made(key) => tell_key(id, &key),
                Pair::NotYet => println!("{:02X}  not made yet", id.sfi()),
                Pair::None => {}
            }
        }
        Ok(())
    }
}

impl New {
    fn run(&self) -> Result<(), Leave> {
        let id = self.key;
        let mut slot = Slot::open(&self.token)?;
        // Whose token it is stands in its purse application, and selecting that would end what was proven.
        let control = self.keys.as_deref().map(|keys| control_key(keys, &mut slot)).transpose()?;
        let mut token = enter(slot)?;
        match public_key(&mut token, id)? {
            Pair::None => return Err(no_pair(id).into()),
            Pair::Made(_) if !self.replace => {
                return Err(anyhow!(
                    "the token has key pair {:02X} already; with --replace it makes a new one, and the old one is gone",
                    id.sfi()
                )
                .into());
            }
            Pair::Made(_) | Pair::NotYet => {}
        }
        if let Some((vault, address)) = control {
            token.prove_issuer::<anyhow::Error>(|block| Ok(vault.external_authenticate(&address, block)?))?;
        }
        let made = with_pin(&mut token, |token| token.generate(id));
        let key = made.map_err(|leave| match leave {
            Leave::Fault(error) if error.is::<TokenError>() => Leave::Fault(error.context(
                "a pair that only the issuer makes needs the control key of the application: --keys FILE",
            )),
            leave => leave,
        })?;
        tell_key(id, &key);
        Ok(())
    }
}

/// The key that opens the token's application to its issuer, and the vault that has it.
fn control_key(keys: &Path, slot: &mut Slot) -> anyhow::Result<(SoftVault, KeyAddress)> {
    let vault = SoftVault::from_keys(KeysFile::read(keys)?)?;
    let public = card::open(slot).context("the card number is read from the purse application")?;
    let card = CardKeyRef { key: CONTROL_KEY, factor: public.factor(), asn: public.asn };
    Ok((vault, KeyAddress::Card(card)))
}

impl CertArgs {
    /// Runs the command.
    pub fn run(&self) -> Result<(), Leave> {
        match &self.action {
            CertAction::List { token } => {
                let mut token = open(token)?;
                with_pin(&mut token, |token| Ok(token.certificates()?))?.iter().for_each(tell_certificate);
            }
            CertAction::Store(store) => store.run()?,
            CertAction::Read { out, token, number } => {
                let mut token = open(token)?;
                let listed = listed(&mut token, *number)?;
                let certificate = with_pin(&mut token, |token| Ok(token.certificate(&listed)?))?;
                create(out, &certificate)?;
                tell_certificate(&listed);
            }
            CertAction::Delete { token, number } => {
                let mut token = open(token)?;
                let listed = listed(&mut token, *number)?;
                with_pin(&mut token, |token| token.delete_certificate(&listed))?;
                println!("certificate {number} is deleted");
            }
        }
        Ok(())
    }
}

impl Store {
    fn run(&self) -> Result<(), Leave> {
        let certificate = read(&self.file)?;
        if !is_der(&certificate) {
            return Err(anyhow!(
                "{} is no certificate in DER; from PEM: openssl x509 -in FILE -outform DER -out NEW",
                self.file.display()
            )
            .into());
        }
        let mut token = open(&self.token)?;
        if let Some(id) = self.key {
            let key = made_key(&mut token, id)?;
            if !certificate.windows(PUBLIC_KEY_LEN).any(|window| window == key.as_bytes()) {
                return Err(anyhow!(
                    "{} certifies another key than pair {:02X} of this token",
                    self.file.display(),
                    id.sfi()
                )
                .into());
            }
        }
        let stored =
            with_pin(&mut token, |token| token.store_certificate(self.key, &self.label, &certificate))?;
        tell_certificate(&stored);
        Ok(())
    }
}

/// Opens the token's application of keys and certificates.
pub fn open(place: &str) -> anyhow::Result<Token<Slot>> {
    enter(Slot::open(place)?)
}

fn enter(slot: Slot) -> anyhow::Result<Token<Slot>> {
    Token::open(slot).map_err(|error| match error {
        CardError::Refused { sw: StatusWord::NOT_FOUND, .. } => {
            anyhow!("this card keeps no keys and certificates: it has no application YKT.TOKEN")
        }
        error => error.into(),
    })
}

/// Does something with the token; where it wants the PIN, the person is asked for it, and it is done again.
pub fn with_pin<T>(
    token: &mut Token<Slot>,
    mut work: impl FnMut(&mut Token<Slot>) -> Result<T, TokenError>,
) -> Result<T, Leave> {
    match work(token) {
        Err(
            TokenError::PinWanted
            | TokenError::Step(CardError::Refused { sw: StatusWord::SECURITY_STATUS, .. }),
        ) => {}
        done => return Ok(done?),
    }
    loop {
        let pin = screen::pin()?.ok_or(Cancelled)?;
        match token.verify(&pin) {
            Ok(()) => return Ok(work(token)?),
            Err(PinError::Wrong { left: 0 } | PinError::Blocked) => return Err(pin_is_blocked()),
            Err(PinError::Wrong { left }) => pin_is_wrong(left),
            Err(error @ PinError::Step(_)) => return Err(error.into()),
        }
    }
}

/// What stands in the file of a key pair.
enum Pair {
    /// No key pair: another file, or none.
    None,
    /// The token has still to make it.
    NotYet,
    /// A pair with this public key.
    Made(PublicKey),
}

fn public_key(token: &mut Token<Slot>, id: KeyPairId) -> Result<Pair, CardError> {
    match token.public_key(id) {
        Ok(key) => Ok(Pair::Made(key)),
        Err(CardError::Refused { sw: StatusWord::CONDITIONS, .. }) => Ok(Pair::NotYet),
        Err(CardError::Refused { sw: StatusWord::NOT_FOUND | StatusWord::WRONG_FILE_TYPE, .. }) => {
            Ok(Pair::None)
        }
        Err(error) => Err(error),
    }
}

/// The public key of a pair that is there.
pub fn made_key(token: &mut Token<Slot>, id: KeyPairId) -> anyhow::Result<PublicKey> {
    match public_key(token, id)? {
        Pair::Made(key) => Ok(key),
        Pair::NotYet => bail!("key pair {:02X} is not made yet; `ykt token key new` makes it", id.sfi()),
        Pair::None => Err(no_pair(id)),
    }
}

fn no_pair(id: KeyPairId) -> anyhow::Error {
    anyhow!("the token has no key pair {:02X}; `ykt token key show` lists those it has", id.sfi())
}

fn listed(token: &mut Token<Slot>, number: u8) -> Result<Listed, Leave> {
    let certificates = with_pin(token, |token| Ok(token.certificates()?))?;
    let listed = certificates.into_iter().find(|listed| listed.number == number);
    Ok(listed.with_context(|| {
        format!("the token has no certificate {number}; `ykt token cert list` lists those it has")
    })?)
}

fn tell_key(id: KeyPairId, key: &PublicKey) {
    println!("{:02X}  {}", id.sfi(), Hex(key.as_bytes()));
}

fn tell_certificate(Listed { number, entry }: &Listed) {
    let key = entry.key.map_or_else(|| "--".to_owned(), |key| format!("{:02X}", key.sfi()));
    let label: String =
        String::from_utf8_lossy(&entry.label).chars().filter(|sign| !sign.is_control()).collect();
    say(format_args!("{number}  {key}  {} bytes  {label}", entry.len));
}

/// Whether the bytes are one DER SEQUENCE from the first to the last.
fn is_der(bytes: &[u8]) -> bool {
    let len = match bytes {
        [0x30, 0x81, len, rest @ ..] => (usize::from(*len), rest.len()),
        [0x30, 0x82, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest.len()),
        _ => return false,
    };
    len.0 == len.1
}

/// Reads a whole file.
pub fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("read {}", path.display()))
}

/// Writes a new file; one that exists stays as it is.
pub fn create(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let file = std::fs::File::create_new(path);
    let written = file.and_then(|mut file| file.write_all(bytes));
    written.with_context(|| format!("make {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_key_pairs_are_two_hex_digits() {
        assert_eq!(key_id("0C"), Ok(KeyPairId::new(12).unwrap()));
        for wrong in ["", "00", "1F", "-1", "x"] {
            assert!(key_id(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_certificate_ends_where_its_der_ends() {
        let mut certificate = vec![0x30, 0x82, 0x01, 0x00];
        certificate.resize(260, 0);
        assert!(is_der(&certificate) && is_der(&[0x30, 0x81, 0x01, 0]));
        assert!(!is_der(&certificate[1..]) && !is_der(&certificate[..259]) && !is_der(b"-----BEGIN"));
    }
}
