//! A card's key together with its algorithm, and the session key it gives: what is computed follows the algorithm
//! (`epurse.md` 1), so that no command asks which one it has.
//!
//! Single DES and 3DES are PBOC's. SM4 is the platform's own proposal, since no public text states its bytes
//! (`epurse.md` 1.5): blocks of 16, DIV and session key are SM4(K, X || NOT X), the TAC key is the whole key.

use crate::block::{Tdes, decrypt_8, decrypt_16, des, encrypt_8, encrypt_16, sm4};
use crate::key::{Key8, Key16};
use crate::mac::{self, MacState};
use ykt_base::Mac4;
use ykt_base::hex::HexError;
use zeroize::ZeroizeOnDrop;

/// A key with its algorithm. No `Debug`, compared in constant time, wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub enum CardKey {
    /// Single DES.
    Des(Key8),
    /// Two-key 3DES.
    Tdes(Key16),
    /// SM4.
    Sm4(Key16),
}

/// The key of one transaction (过程密钥), and the TAC key: it makes transaction MACs. No `Debug`, compared in
/// constant time, wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub enum SessionKey {
    /// Single DES, also of a 3DES card key.
    Des(Key8),
    /// SM4.
    Sm4(Key16),
}

impl ZeroizeOnDrop for CardKey {}
impl ZeroizeOnDrop for SessionKey {}

impl CardKey {
    /// The key of 16 hex digits (single DES) or 32 (3DES, unless something says otherwise).
    ///
    /// # Errors
    /// [`HexError`] naming length or character; never the text itself.
    pub fn from_hex(text: &str) -> Result<CardKey, HexError> {
        match text.len() {
            16 => Key8::from_hex(text).map(CardKey::Des),
            _ => Key16::from_hex(text).map(CardKey::Tdes),
        }
    }

    /// Bytes of a block: 8, or 16 of SM4.
    #[must_use]
    pub const fn block_len(&self) -> usize {
        match self {
            CardKey::Des(_) | CardKey::Tdes(_) => 8,
            CardKey::Sm4(_) => 16,
        }
    }

    /// The bytes themselves, 8 or 16. Whoever calls this answers for where they go.
    #[must_use]
    pub const fn expose(&self) -> &[u8] {
        match self {
            CardKey::Des(key) => key.expose(),
            CardKey::Tdes(key) | CardKey::Sm4(key) => key.expose(),
        }
    }

    /// One level of diversification (密钥分散): TDES(K, X) || TDES(K, NOT X); SM4(K, X || NOT X). A single-DES key
    /// has room for the first half only: DES(K, X).
    #[must_use]
    pub fn diversify(&self, factor: &[u8; 8]) -> CardKey {
        match self {
            CardKey::Des(key) => CardKey::Des(Key8::from_bytes(encrypt_8(&des(key), *factor))),
            CardKey::Tdes(key) => CardKey::Tdes(Tdes::new(key).diversify(factor)),
            CardKey::Sm4(key) => CardKey::Sm4(spread(key, *factor)),
        }
    }

    /// Session key (过程密钥): the input enciphered under the card's transaction key; SM4(K, X || NOT X). What the
    /// input is, each transaction says (`epurse.md` 1.2).
    #[must_use]
    pub fn session(&self, input: [u8; 8]) -> SessionKey {
        match self {
            CardKey::Des(key) => SessionKey::Des(Key8::from_bytes(encrypt_8(&des(key), input))),
            CardKey::Tdes(key) => SessionKey::Des(Key8::from_bytes(Tdes::new(key).encrypt(input))),
            CardKey::Sm4(key) => SessionKey::Sm4(spread(key, input)),
        }
    }

    /// TAC key: the halves of a 3DES key XORed; other keys as they are. The PIN reload key is used in the same way.
    #[must_use]
    pub fn tac_key(&self) -> SessionKey {
        match self {
            CardKey::Des(key) => SessionKey::Des(key.clone()),
            CardKey::Tdes(key) => {
                let mut bytes = *key.left().expose();
                bytes.iter_mut().zip(key.right().expose()).for_each(|(byte, other)| *byte ^= other);
                SessionKey::Des(Key8::from_bytes(bytes))
            }
            CardKey::Sm4(key) => SessionKey::Sm4(key.clone()),
        }
    }

    /// The answer of EXTERNAL and INTERNAL AUTHENTICATE: the block enciphered; of SM4(K, block || 00×8) the first
    /// eight bytes.
    #[must_use]
    pub fn authenticate(&self, block: [u8; 8]) -> [u8; 8] {
        match self {
            CardKey::Des(key) => encrypt_8(&des(key), block),
            CardKey::Tdes(key) => Tdes::new(key).encrypt(block),
            CardKey::Sm4(key) => first_8(encrypt_16(&sm4(key), before_zeros(block))),
        }
    }

    /// Key check value (KCV): the first three bytes of a zero block enciphered.
    #[must_use]
    pub fn kcv(&self) -> [u8; 3] {
        let [a, b, c, ..] = self.authenticate([0; 8]);
        [a, b, c]
    }

    /// Enciphers whole blocks in place (ECB). A rest shorter than a block stays as it is.
    pub fn encrypt_blocks(&self, data: &mut [u8]) {
        match self {
            CardKey::Des(key) => {
                let key = des(key);
                each(data, |block| encrypt_8(&key, block));
            }
            CardKey::Tdes(key) => {
                let key = Tdes::new(key);
                each(data, |block| key.encrypt(block));
            }
            CardKey::Sm4(key) => {
                let key = sm4(key);
                each(data, |block| encrypt_16(&key, block));
            }
        }
    }

    /// The inverse of [`CardKey::encrypt_blocks`].
    pub fn decrypt_blocks(&self, data: &mut [u8]) {
        match self {
            CardKey::Des(key) => {
                let key = des(key);
                each(data, |block| decrypt_8(&key, block));
            }
            CardKey::Tdes(key) => {
                let key = Tdes::new(key);
                each(data, |block| key.decrypt(block));
            }
            CardKey::Sm4(key) => {
                let key = sm4(key);
                each(data, |block| decrypt_16(&key, block));
            }
        }
    }

    /// Secure-messaging MAC (安全报文 MAC) over the concatenated `parts`: CBC-MAC under an 8-byte key, retail MAC
    /// under 3DES, SM4-CBC-MAC. The IV is the challenge; SM4 fills it up with zeros.
    #[must_use]
    pub fn smac(&self, challenge: [u8; 8], parts: &[&[u8]]) -> Mac4 {
        match self {
            CardKey::Des(key) => mac::leftmost(mac::cbc_mac(key, challenge, parts)),
            CardKey::Tdes(key) => mac::leftmost(mac::retail_mac(key, challenge, parts)),
            CardKey::Sm4(key) => mac::leftmost(mac::sm4_mac(key, before_zeros(challenge), parts)),
        }
    }

    /// Begins a MAC over blocks that arrive in several commands (CIPHER DATA of a PSAM): the same MACs as
    /// [`CardKey::smac`], but whoever sends the blocks pads. `None` when the IV is not one block.
    #[must_use]
    pub fn begin_mac(&self, iv: &[u8]) -> Option<MacState> {
        MacState::new(iv).filter(|_| iv.len() == self.block_len())
    }

    /// Takes more whole blocks in; a rest shorter than a block is left out.
    pub fn continue_mac(&self, state: &mut MacState, blocks: &[u8]) {
        match self {
            CardKey::Des(key) => state.chain_8(&des(key), blocks),
            CardKey::Tdes(key) => state.chain_8(&des(&key.left()), blocks),
            CardKey::Sm4(key) => state.chain_16(&sm4(key), blocks),
        }
    }

    /// The MAC over what was taken in.
    #[must_use]
    pub fn end_mac(&self, state: &MacState) -> Mac4 {
        match self {
            CardKey::Des(_) | CardKey::Sm4(_) => state.leftmost(),
            CardKey::Tdes(key) => mac::leftmost(mac::retail_end(&des(&key.left()), key, state.first_8())),
        }
    }
}

impl SessionKey {
    /// The bytes themselves, 8 or 16. Whoever calls this answers for where they go.
    #[must_use]
    pub const fn expose(&self) -> &[u8] {
        match self {
            SessionKey::Des(key) => key.expose(),
            SessionKey::Sm4(key) => key.expose(),
        }
    }

    /// Transaction MAC (交易 MAC) over the concatenated `parts`: CBC-MAC with a zero IV, leftmost four bytes.
    #[must_use]
    pub fn mac(&self, parts: &[&[u8]]) -> Mac4 {
        match self {
            SessionKey::Des(key) => mac::leftmost(mac::cbc_mac(key, [0; 8], parts)),
            SessionKey::Sm4(key) => mac::leftmost(mac::sm4_mac(key, [0; 16], parts)),
        }
    }

    /// The session key under this one: a grey lock derives twice (`epurse.md` 1.2).
    #[must_use]
    pub fn session(&self, input: [u8; 8]) -> SessionKey {
        match self {
            SessionKey::Des(key) => SessionKey::Des(Key8::from_bytes(encrypt_8(&des(key), input))),
            SessionKey::Sm4(key) => SessionKey::Sm4(spread(key, input)),
        }
    }
}

/// As a key that enciphers and MACs: a PSAM delivers reduced keys (`epurse.md` 7.2, type 4).
impl From<SessionKey> for CardKey {
    fn from(key: SessionKey) -> CardKey {
        match key {
            SessionKey::Des(key) => CardKey::Des(key),
            SessionKey::Sm4(key) => CardKey::Sm4(key),
        }
    }
}

/// SM4(K, X || NOT X).
fn spread(key: &Key16, input: [u8; 8]) -> Key16 {
    let mut block = before_zeros(input);
    block[8..].copy_from_slice(&input.map(|byte| !byte));
    Key16::from_bytes(encrypt_16(&sm4(key), block))
}

/// Left-aligned in a block of SM4.
const fn before_zeros(block: [u8; 8]) -> [u8; 16] {
    let [a, b, c, d, e, f, g, h] = block;
    [a, b, c, d, e, f, g, h, 0, 0, 0, 0, 0, 0, 0, 0]
}

pub(crate) const fn first_8(block: [u8; 16]) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = block;
    [a, b, c, d, e, f, g, h]
}

fn each<const N: usize>(data: &mut [u8], change: impl Fn([u8; N]) -> [u8; N]) {
    for block in data.as_chunks_mut::<N>().0 {
        *block = change(*block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    const SM4_MASTER: [u8; 16] = hex!("0123456789ABCDEFFEDCBA9876543210");

    fn tdes_key(bytes: [u8; 16]) -> CardKey {
        CardKey::Tdes(Key16::from_bytes(bytes))
    }

    #[test]
    fn vector_diversify_3_level_dtk() {
        let root = tdes_key(hex!("606162636465666768696A6B6C6D6E6F"));
        let province = root.diversify(&hex!("3100FFFFFFFFFFFF"));
        assert_eq!(province.expose(), hex!("340E8FCDEED360DA8ADA3302D26200A1"));
        let city = province.diversify(&hex!("2144FF0000000000"));
        assert_eq!(city.expose(), hex!("747A3233C91B59C5E0281460A2BC3D23"));
        let card = city.diversify(&hex!("1700010170907984"));
        assert_eq!(card.expose(), hex!("E3FB4F1E45AFB9CF6ACC9C2B54448231"));
    }

    #[test]
    fn vector_purchase_session_and_tac_key() {
        let dpk = tdes_key(hex!("FBB4B98851865C96144C89BF8767E819"));
        assert_eq!(dpk.session(hex!("5A5B5C5D00000011")).expose(), hex!("F3CCCF76714AE87F"));
        let dtk = tdes_key(hex!("3E70EAFBF0AB93BE2550775592D5D927"));
        assert_eq!(dtk.tac_key().expose(), hex!("1B209DAE627E4A99"));
    }

    /// Vectors `sm4-proposal/…`.
    #[test]
    fn vectors_sm4_proposal() {
        let master = CardKey::Sm4(Key16::from_bytes(SM4_MASTER));
        let dpk = master.diversify(&hex!("1700010170907984"));
        assert_eq!(dpk.expose(), hex!("F2A1DE216207D63AA52D01D5D0E9F6D7"));
        let session = dpk.session(hex!("5A5B5C5D00000011"));
        assert_eq!(session.expose(), hex!("FB1577F4539BD9463C762A0EA09D5551"));
        let mac1 = session.mac(&[&hex!("000000960636048660000220240131123456")]);
        assert_eq!(mac1.0, hex!("C1CA6547"));
        assert_eq!(session.mac(&[&hex!("00000096")]).0, hex!("6075834C"));
        let tac = dpk.tac_key().mac(&[&hex!("00000096063604866000020000001120240131123456")]);
        assert_eq!(tac.0, hex!("5A9103FE"));
    }

    /// The check value of the all-zero 3DES key is one that every HSM manual prints.
    #[test]
    fn known_check_value() {
        assert_eq!(tdes_key([0; 16]).kcv(), hex!("8CA64D"));
    }

    /// One key of each algorithm.
    fn all() -> [CardKey; 3] {
        let key = Key16::from_bytes(SM4_MASTER);
        [CardKey::Des(key.left()), CardKey::Tdes(key.clone()), CardKey::Sm4(key)]
    }

    /// What arrives in several commands and is padded by its sender is the same MAC as in one command.
    #[test]
    fn a_mac_in_pieces_is_the_mac_of_the_whole() {
        let challenge = hex!("A1B2C3D4E5F60718");
        let message = [0x5A; 45];
        for key in all() {
            let block = key.block_len();
            let mut padded = message.to_vec();
            padded.push(0x80);
            padded.resize(padded.len().next_multiple_of(block), 0);
            let mut iv = challenge.to_vec();
            iv.resize(block, 0);
            for at in (0..=padded.len()).step_by(block) {
                let mut state = key.begin_mac(&iv).unwrap();
                key.continue_mac(&mut state, &padded[..at]);
                key.continue_mac(&mut state, &padded[at..]);
                assert_eq!(key.end_mac(&state), key.smac(challenge, &[&message]));
            }
            assert!(key.begin_mac(&iv[1..]).is_none());
        }
    }

    #[test]
    fn blocks_come_back_and_a_rest_is_left_alone() {
        for key in all() {
            let mut data = [0xA5; 35];
            key.encrypt_blocks(&mut data);
            assert_ne!(data[..32], [0xA5; 32]);
            assert_eq!(data[32..], [0xA5; 3]);
            key.decrypt_blocks(&mut data);
            assert_eq!(data, [0xA5; 35]);
        }
    }

    /// The first eight bytes of SM4(K, 00×16) are what authenticates a zero challenge.
    #[test]
    fn authentication_is_one_block() {
        for key in all() {
            let mut block = [0; 16];
            key.encrypt_blocks(&mut block);
            assert_eq!(key.authenticate([0; 8]), block[..8]);
            assert_eq!(key.kcv(), block[..3]);
        }
    }

    #[test]
    fn a_reduced_key_computes_like_the_tac_key() {
        for key in all() {
            let session = key.tac_key();
            assert_eq!(session.mac(&[b"terms"]), CardKey::from(session.clone()).smac([0; 8], &[b"terms"]));
            assert!(session.session([7; 8]) == CardKey::from(session).session([7; 8]));
        }
    }
}
