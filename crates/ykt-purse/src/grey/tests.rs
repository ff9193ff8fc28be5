//! The vectors of 4.11, and what is refused.

use super::*;
use crate::purchase::PurchaseAnswer;
use crate::types::OverdraftLimit;
use hex_literal::hex;
use ykt_base::KeyVersion;
use ykt_crypto::Key16;

fn key(bytes: [u8; 16]) -> CardKey {
    CardKey::Tdes(Key16::from_bytes(bytes))
}

fn fen(bytes: [u8; 4]) -> PurseFen {
    PurseFen::from_bytes(bytes).unwrap()
}

fn at() -> DateTime {
    DateTime::from_bcd(hex!("20240131123456")).unwrap()
}

const TERMINAL: TerminalId = TerminalId(hex!("360486600002"));

/// Vector `grey lock/EP type 92 lock, 93 debit-unlock`.
#[test]
fn vector_lock_and_debit() {
    let dpk = key(hex!("FBB4B98851865C96144C89BF8767E819"));
    let dtk = key(hex!("3E70EAFBF0AB93BE2550775592D5D927"));
    let lock = GreyLock { purse: Purse::Ep, terminal: TERMINAL };
    let initialize = InitializeForGreyLock { key_index: KeyIndex(1), lock };
    assert_eq!(initialize.to_apdu(), hex!("E07A080207013604866000020F"));
    assert_eq!(InitializeForGreyLock::parse(&Command::parse(&initialize.to_apdu()).unwrap()), Ok(initialize));
    let answer = PurchaseAnswer {
        balance: fen(hex!("00004CC2")),
        counter: CardCounter(3),
        overdraft: OverdraftLimit::NONE,
        key_version: KeyVersion(1),
        algorithm: 0,
        random: Random4(hex!("D1D2D3D4")),
    };
    assert_eq!(answer.to_bytes(), hex!("00004CC200030000000100D1D2D3D4"));

    let terminal_random = Random4(hex!("E1E2E3E4"));
    let sequence = TerminalSeq(0x15);
    let session = session_key(&dpk, answer.random, answer.counter, sequence, terminal_random);
    assert_eq!(session.expose(), hex!("241253EA39D11650"));
    let command = LockPurse { sequence, terminal_random, at: at(), mac1: mac1(&session, &lock, at()) };
    assert_eq!(command.to_apdu(), hex!("E07C08001300000015E1E2E3E42024013112345692D2F8B008"));
    assert_eq!(LockPurse::parse(&Command::parse(&command.to_apdu()).unwrap()), Ok(command));

    let amount = fen(hex!("0000012C"));
    let debit = DebitForUnlock {
        purse: Purse::Ep,
        amount,
        counter: CardCounter(4),
        terminal: TERMINAL,
        sequence: TerminalSeq(0x16),
        at: at(),
        gmac: gmac(&session, amount),
    };
    let apdu = hex!("E07E08021B0000012C000436048660000200000016202401311234568E24F41604");
    assert_eq!(debit.to_apdu(), apdu);
    assert_eq!(DebitForUnlock::parse(&Command::parse(&apdu).unwrap()), Ok(debit));
    assert_eq!(tac(&dtk.tac_key(), &debit), Mac4(hex!("788C52E4")));
}

/// Vector `grey online unlock/type 95`.
#[test]
fn vector_online_unlock() {
    let dugk = key(hex!("79CE28B6D59F4CEA15B2AEC63FC4CE6D"));
    let terms = OnlineUnlock { purse: Purse::Ep, terminal: TerminalId(hex!("001122334455")) };
    let initialize = InitializeForGreyUnlock { key_index: KeyIndex(1), unlock: terms };
    assert_eq!(initialize.to_apdu(), hex!("E07A0902070100112233445512"));
    let parsed = InitializeForGreyUnlock::parse(&Command::parse(&initialize.to_apdu()).unwrap());
    assert_eq!(parsed, Ok(initialize));

    let (random, balance) = (Random4(hex!("D5D6D7D8")), fen(hex!("00004CC2")));
    let session = unlock_session_key(&dugk, random, CardCounter(1));
    assert_eq!(session.expose(), hex!("304BC97AA7C1459A"));
    let offer = UnlockOffer {
        balance,
        offline: CardCounter(3),
        online: CardCounter(1),
        key_version: KeyVersion(1),
        algorithm: 0,
        random,
        mac1: unlock_mac1(&session, balance, CardCounter(3), &terms),
    };
    assert_eq!(offer.to_bytes(), hex!("00004CC2000300010100D5D6D7D8A0162A36"));
    assert_eq!(UnlockOffer::from_bytes(&offer.to_bytes()), Some(offer));

    let amount = fen(hex!("0000012C"));
    let mac2 = unlock_mac2(&session, amount, &terms, at());
    let unlock = GreyUnlock { purse: Some(Purse::Ep), amount, at: at(), mac2 };
    assert_eq!(unlock.to_apdu(), hex!("E07E09020F0000012C20240131123456F12541A404"));
    for unlock in [unlock, GreyUnlock { purse: None, ..unlock }] {
        assert_eq!(GreyUnlock::parse(&Command::parse(&unlock.to_apdu()).unwrap()), Ok(unlock));
    }
}

/// State first, terminal at 9, MAC last, as the sources say; free is zeros.
#[test]
fn the_proof_of_a_lock_has_thirty_bytes() {
    let proof = LockProof {
        stage: LockStage::Locked,
        transaction: TransactionType::EpGreyLock,
        purse: Purse::Ep,
        money: fen(hex!("00004CC2")),
        counter: CardCounter(4),
        terminal: TERMINAL,
        at: at(),
        sequence: TerminalSeq(0x15),
        mac: Mac4([9; 4]),
    };
    let bytes = hex!("01 92 02 00004CC2 0004 360486600002 20240131123456 00000015 09090909");
    assert_eq!(proof.to_bytes(), bytes);
    assert_eq!(LockProof::from_bytes(&bytes), Some(Some(proof)));
    assert_eq!(LockProof::from_bytes(&[0; PROOF_LEN]), Some(None));
    assert_eq!(LockProof::from_bytes(&bytes[..29]), None);
    assert_eq!(LockProof::from_bytes(&[2; PROOF_LEN]), None);
    for form in [LockProofForm::Read, LockProofForm::Acknowledge] {
        let ask = GetLockProof(form);
        assert_eq!(GetLockProof::parse(&Command::parse(&ask.to_apdu()).unwrap()), Ok(ask));
    }
    let answer = LockAnswer { gtac: Mac4([1; 4]), mac2: Mac4([2; 4]) };
    assert_eq!(LockAnswer::from_bytes(&answer.to_bytes()), Some(answer));
}

#[test]
fn wrong_bytes_get_their_status_word() {
    fn sw<T>(parse: fn(&Command<'_>) -> Result<T, StatusWord>, apdu: &[u8], want: StatusWord) {
        assert_eq!(parse(&Command::parse(apdu).unwrap()).err(), Some(want), "{apdu:02X?}");
    }
    let (p1p2, length, data) = (StatusWord::WRONG_P1P2, StatusWord::WRONG_LENGTH, StatusWord::WRONG_DATA);
    sw(InitializeForGreyLock::parse, &hex!("E07A09020701360486600002"), p1p2);
    sw(InitializeForGreyLock::parse, &hex!("E07A08030701360486600002"), p1p2);
    sw(InitializeForGreyLock::parse, &hex!("E07A0802060136048660000F"), length);
    sw(InitializeForGreyUnlock::parse, &hex!("E07A08020701360486600002"), p1p2);
    sw(LockPurse::parse, &hex!("E07C08011300000015E1E2E3E42024013112345692D2F8B0"), p1p2);
    sw(LockPurse::parse, &hex!("E07C08001200000015E1E2E3E42024013112345692D2F8"), length);
    sw(LockPurse::parse, &hex!("E07C08001300000015E1E2E3E42024133112345692D2F8B0"), data);
    let mut debit = hex!("E07E08021B0000012C000436048660000200000016202401311234568E24F416");
    debit[3] = 0;
    sw(DebitForUnlock::parse, &debit, p1p2);
    (debit[3], debit[5]) = (2, 0x80);
    sw(DebitForUnlock::parse, &debit, StatusWord::INSUFFICIENT_FUNDS);
    (debit[5], debit[23]) = (0, 0x13);
    sw(DebitForUnlock::parse, &debit, data);
    sw(DebitForUnlock::parse, &hex!("E07E08020100"), length);
    sw(GreyUnlock::parse, &hex!("E07E09030F0000012C20240131123456F12541A4"), p1p2);
    sw(GreyUnlock::parse, &hex!("E07E09020E0000012C20240131123456F12541"), length);
    sw(GreyUnlock::parse, &hex!("E07E09020F8000012C20240131123456F12541A4"), StatusWord::INSUFFICIENT_FUNDS);
    sw(GetLockProof::parse, &hex!("E0CA0200"), p1p2);
    sw(GetLockProof::parse, &hex!("E0CA00000100"), length);
}
