//! The holder of a personal card, as a file says it (docs/person.toml is an example): identity and bank cards.

use crate::machine::SystemRng;
use anyhow::{Context, anyhow, bail, ensure};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use ykt_base::{Asn8, Date};
use ykt_crypto::sm2::{PrivateKey, PublicKey};
use ykt_issue::{BankData, CardData, IdentityData, IdentitySigner};
use ykt_purse::bank::{self, Tracks};
use ykt_purse::identity::{DataGroup, PHOTO_LEN_MAX, SignedObject};
use ykt_vault::KeysFile;

/// A person file, read.
pub struct Person {
    file: PersonFile,
    /// Where it stands: pictures are named from there.
    folder: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PersonFile {
    name: Option<String>,
    id_number: Option<String>,
    sex: Option<String>,
    birth: Option<String>,
    address: Option<String>,
    photo: Option<PathBuf>,
    #[serde(default, rename = "bank")]
    banks: Vec<BankFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BankFile {
    reference: String,
    label: String,
    track2: String,
    #[serde(default)]
    track3: String,
    signature: Option<PathBuf>,
}

/// The authority of the key file.
struct Authority(PrivateKey);

impl IdentitySigner for Authority {
    fn sign(&self, object: &SignedObject) -> Vec<u8> {
        object.sign(&self.0, &mut SystemRng).to_vec()
    }
}

impl Person {
    /// Reads a person file.
    pub fn read(path: &Path) -> anyhow::Result<Person> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("person file {}", path.display()))?;
        // The message alone: the line it is about may hold a track.
        let file = toml::from_str(&text).map_err(|error: toml::de::Error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            anyhow!("person file {} line {line}: {}", path.display(), error.message())
        })?;
        Ok(Person { file, folder: path.parent().map(Path::to_owned).unwrap_or_default() })
    }

    /// Puts the person on a card; who signs the identity stands in the key file. Answers the signer's public key, when
    /// there is something to sign.
    pub fn enter(&self, card: &mut CardData, keys: &Path) -> anyhow::Result<Option<PublicKey>> {
        card.banks = self.file.banks.iter().map(|bank| self.bank(bank)).collect::<Result<_, _>>()?;
        let groups = self.groups()?;
        if groups.is_empty() {
            return Ok(None);
        }
        let Some(key) = KeysFile::read(keys)?.identity_key().cloned() else {
            bail!("{}: no identity_key to sign the holder's identity with (docs/keys.toml)", keys.display())
        };
        let public = key.public_key();
        card.identity = Some(IdentityData { groups, signer: Arc::new(Authority(key)) });
        Ok(Some(public))
    }

    fn groups(&self) -> anyhow::Result<BTreeMap<DataGroup, Vec<u8>>> {
        let PersonFile { name, id_number, sex, birth, address, photo, .. } = &self.file;
        let mut groups = BTreeMap::new();
        for (group, text) in [
            (DataGroup::Name, name),
            (DataGroup::IdNumber, id_number),
            (DataGroup::Sex, sex),
            (DataGroup::Address, address),
        ] {
            groups.extend(text.as_ref().map(|text| (group, text.clone().into_bytes())));
        }
        if let Some(birth) = birth {
            let day: Date =
                birth.parse().with_context(|| format!("birth: `{birth}` is no day (YYYYMMDD)"))?;
            groups.insert(DataGroup::Birth, day.to_bcd().to_vec());
        }
        if let Some(photo) = photo {
            let bytes = self.picture(photo)?;
            let len = bytes.len();
            ensure!(len <= PHOTO_LEN_MAX, "photo: at most {PHOTO_LEN_MAX} bytes, found {len}");
            groups.insert(DataGroup::Photo, bytes);
        }
        Ok(groups)
    }

    fn bank(&self, bank: &BankFile) -> anyhow::Result<BankData> {
        let BankFile { reference, label, track2, track3, signature } = bank;
        let reference: Asn8 = reference.parse().with_context(|| format!("bank: reference `{reference}`"))?;
        let mut padded = [0; 16];
        let place = padded.get_mut(..label.len());
        place
            .with_context(|| format!("bank: label `{label}` has more than 16 bytes"))?
            .copy_from_slice(label.as_bytes());
        // No track stands in an error: it is what only the bank reads.
        let tracks = Tracks::from_digits(track2, track3)
            .with_context(|| format!("bank {label}: tracks are digits and =, at most 37 and 104"))?;
        let signature = signature.as_ref().map(|path| self.picture(path)).transpose()?;
        let card = bank::CardData { reference, label: padded };
        Ok(BankData { card, tracks, signature: signature.unwrap_or_default() })
    }

    fn picture(&self, path: &Path) -> anyhow::Result<Vec<u8>> {
        let path = self.folder.join(path);
        std::fs::read(&path).with_context(|| path.display().to_string())
    }
}
