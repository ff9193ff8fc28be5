//! Key pairs in their files. A private key is written once, by the card, and is read by nobody else.

use crate::answer::Outcome;
use crate::card::Card;
use crate::files::{File, FileKind, Sfi, file_by_sfi};
use crate::memory::{Batch, Memory, Store};
use ykt_base::{Rng, StatusWord};
use ykt_crypto::sm2::{PRIVATE_KEY_LEN, PUBLIC_KEY_LEN, PrivateKey, PublicKey};
use ykt_purse::token::{KeyPairId, PinPolicy, Purpose};

/// Body of the file: private key, then public key 04 || x || y; zeros before the card made one.
pub(crate) const KEY_PAIR_LEN: usize = PRIVATE_KEY_LEN + PUBLIC_KEY_LEN;

/// A key pair that may sign now.
pub(crate) struct Signer {
    pub(crate) private: PrivateKey,
    pub(crate) public: PublicKey,
}

/// The public key in a file; `None` before the card made one.
pub(crate) fn public_key<M: Memory>(store: &Store<M>, file: &File) -> Option<PublicKey> {
    PublicKey::from_bytes(store.read(file.body.saturating_add(PRIVATE_KEY_LEN)))
}

impl<M: Memory> Card<M> {
    /// # Errors
    /// 6A82, 6981, 6982 without the right to make one, 6581.
    #[inline(never)]
    pub(super) fn generate_key_pair(&mut self, rng: &mut dyn Rng, id: KeyPairId) -> Outcome {
        let (file, _, _) = self.key_pair(id)?;
        self.session.require(file.write)?;
        let private = PrivateKey::generate(rng);
        let public = private.public_key();
        let mut batch: Batch = Batch::new();
        batch.write(file.body, &[&private.expose(), public.as_bytes()])?;
        self.store.commit(&batch)?;
        self.answer(public.as_bytes())
    }

    /// Everybody may know the public key.
    ///
    /// # Errors
    /// 6A82, 6981, 6985 before the card made one.
    #[inline(never)]
    pub(super) fn read_public_key(&mut self, id: KeyPairId) -> Outcome {
        let (file, _, _) = self.key_pair(id)?;
        let public = public_key(&self.store, &file).ok_or(StatusWord::CONDITIONS)?;
        self.answer(public.as_bytes())
    }

    /// The key pair of an id, when it may sign for this purpose now.
    ///
    /// # Errors
    /// 6A82, 6981, 6985 for a pair of another purpose or before the card made one, 6982 without right or PIN.
    pub(crate) fn signer(&self, id: KeyPairId, purpose: Purpose) -> Result<Signer, StatusWord> {
        let (file, serves, pin) = self.key_pair(id)?;
        if serves != purpose {
            return Err(StatusWord::CONDITIONS);
        }
        self.session.require(file.read)?;
        if !self.session.satisfies(pin) {
            return Err(StatusWord::SECURITY_STATUS);
        }
        let private = PrivateKey::from_bytes(&self.store.read(file.body));
        let pair = private.zip(public_key(&self.store, &file));
        let (private, public) = pair.ok_or(StatusWord::CONDITIONS)?;
        Ok(Signer { private, public })
    }

    /// # Errors
    /// 6A82 without such a file, 6981 for one of another type.
    fn key_pair(&self, id: KeyPairId) -> Result<(File, Purpose, PinPolicy), StatusWord> {
        let sfi = Sfi::new(id.sfi());
        let file = sfi.and_then(|sfi| file_by_sfi(&self.store, &self.session.directory, sfi));
        match file.ok_or(StatusWord::NOT_FOUND)? {
            file @ File { kind: FileKind::KeyPair { purpose, pin }, .. } => Ok((file, purpose, pin)),
            _ => Err(StatusWord::WRONG_FILE_TYPE),
        }
    }
}
