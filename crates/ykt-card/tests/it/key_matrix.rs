//! Every kind of key offered to every use. A card holds one secret as a key of one kind, under the ids that commands
//! can name; each use is tried with all it needs, made with that secret. It works when the kind is the use's own, and
//! is refused, nothing changed, when not.

use crate::bench::{Bench, Chip, Dialogue, Dice, unhex};
use crate::till;
use ykt_base::{DateTime, Fen, KeyIndex, Random4, TerminalId, TerminalSeq};
use ykt_card::Card;
use ykt_crypto::sm::{self, Padding};
use ykt_crypto::{CardKey, Key16};
use ykt_purse::block::{BlockTerm, CARD_BLOCK};
use ykt_purse::grey::{
    self, GreyLock, GreyUnlock, InitializeForGreyLock, InitializeForGreyUnlock, LockPurse, OnlineUnlock,
    UnlockOffer,
};
use ykt_purse::load::{self, CreditForLoad, InitializeForLoad, Load, LoadAnswer};
use ykt_purse::overdraft::{self, InitializeForUpdate, UpdateAnswer, UpdateOverdraft};
use ykt_purse::pin::{self, ChangePin, ReloadPin, UnblockForm};
use ykt_purse::purchase::{
    self, DebitForPurchase, InitializeForPurchase, Purchase, PurchaseAnswer, PurchaseKind,
};
use ykt_purse::unload::{self, DebitForUnload, InitializeForUnload, Unload, UnloadAnswer};
use ykt_purse::write_key::{self, KeyTarget, KeyUsage, Pin};
use ykt_purse::{OverdraftLimit, Purse, PurseFen, command};

/// The id a command names, where it names one.
const ID: u8 = 7;
/// The id of keys that commands find without a name.
const COMMON: u8 = 0;
const TERMINAL: TerminalId = TerminalId([1; 6]);
const IV: [u8; 8] = [0xA1, 0xB2, 0xC3, 0xD4, 0, 0, 0, 0];

fn secret() -> CardKey {
    CardKey::from_hex("11223344556677889900AABBCCDDEEFF").unwrap()
}

/// The secret as a PIN: its first bytes.
fn secret_pin() -> Pin {
    Pin::from_digits("112233").unwrap()
}

fn control() -> CardKey {
    CardKey::from_hex("57494E4E4552313233343536373839AA").unwrap()
}

fn challenge(bench: &mut Bench) {
    bench.dice.queue(&IV[..4]);
    bench.ok("0084000004");
}

fn write(bench: &mut Bench, usage: KeyUsage, id: u8, key: &[u8]) {
    challenge(bench);
    let form = if usage == KeyUsage::Pin { 3 } else { 0 };
    let header = [0x01, form, usage.code(), 0xF0, 0x01, 0xF0, 0x33];
    let target = KeyTarget::Add { id, usage }.header();
    let command = write_key::command(&control(), IV, target, &header, key).unwrap();
    assert!(bench.send(&command).sw().is_ok(), "{usage:?}");
}

/// The card, its application selected: a PIN 0 and a TAC key 0 that are not the secret, as other keys need them.
fn card_with(kind: KeyUsage) -> Chip {
    let mut bench = Dialogue::read("user-card").play();
    bench.ok("00A40000023F00");
    bench.dice.queue(&unhex("A1B2C3D4E5F60718"));
    bench.ok("0084000008");
    bench.ok("0082000008DD31487231C7E50D");
    bench.ok("80E010090D38060001EF95FFFF4142434445");
    bench.ok("00A40000021009");
    bench.ok("80E00000073F00F095F0FFFF");
    challenge(&mut bench);
    bench.ok("84D4803924D5173234231C843CDAB2D1539F48D6438E57C41BD8DFC73F5B162EF5C77114664417F673");
    for file in [
        "80E0001507A80010F0F0FFFF",
        "80E0001607E80010F0F0FFFF",
        "80E00018072E0A17F0EFFFFF",
        "80E00001072F0208F000FF18",
        "80E00002072F0208F000FF18",
    ] {
        bench.ok(file);
    }
    write(&mut bench, KeyUsage::Pin, COMMON, &unhex("445566FFFFFF"));
    write(&mut bench, KeyUsage::InternalTac, COMMON, &[0x5A; 16]);
    let key = secret();
    let key: &[u8] = match kind {
        KeyUsage::Pin => &secret_pin().field(),
        _ => key.expose(),
    };
    write(&mut bench, kind, ID, key);
    // Those three are there already, and are not the secret.
    if ![KeyUsage::ExternalAuthentication, KeyUsage::Pin, KeyUsage::InternalTac].contains(&kind) {
        write(&mut bench, kind, COMMON, key);
    }
    let ed = till::purse_at(&bench, Purse::Ed);
    till::poke(&mut bench, ed, &[0, 0, 0, 100]);
    bench.card.into_memory()
}

type Use = fn(&mut Bench) -> u16;

fn send(bench: &mut Bench, apdu: &[u8]) -> u16 {
    bench.send(apdu).sw().0
}

fn protected(bench: &mut Bench, header: [u8; 4], data: &[u8]) -> u16 {
    challenge(bench);
    let command = match header[0] {
        0x84 => sm::enciphered_with_mac(&secret(), Padding::Always, IV, header, &[data]),
        _ => sm::plain_with_mac(&secret(), IV, header, data),
    };
    send(bench, &command.unwrap())
}

fn external_authentication(bench: &mut Bench) -> u16 {
    challenge(bench);
    let cryptogram = secret().authenticate(IV);
    send(bench, command::external_authenticate(ID, &cryptogram).encode(&mut [0; 261]))
}

fn internal_authentication(bench: &mut Bench) -> u16 {
    let answer = bench.send(command::internal_authenticate(ID, &[0x77; 8]).encode(&mut [0; 261]));
    assert!(!answer.sw().is_ok() || answer.data() == secret().authenticate([0x77; 8]));
    answer.sw().0
}

fn verify(bench: &mut Bench) -> u16 {
    send(bench, command::verify(ID, &secret_pin()).encode(&mut [0; 261]))
}

fn change_pin(bench: &mut Bench) -> u16 {
    let new = Pin::from_digits("123456").unwrap();
    send(bench, &ChangePin { id: KeyIndex(ID), old: secret_pin(), new }.to_apdu())
}

fn reload_pin(bench: &mut Bench) -> u16 {
    let new = Pin::from_digits("123456").unwrap();
    let mac = pin::reload_mac(&secret().tac_key(), &new);
    send(bench, &ReloadPin { id: KeyIndex(COMMON), new, mac }.to_apdu())
}

fn unblock_pin(bench: &mut Bench) -> u16 {
    protected(bench, UnblockForm::ResetAndSet.header(), secret_pin().as_bytes())
}

fn update_with_mac(bench: &mut Bench) -> u16 {
    protected(bench, command::update_binary_header(0x04, 0x15, 0), &[1, 2, 3])
}

fn update_enciphered(bench: &mut Bench) -> u16 {
    protected(bench, command::update_binary_header(0x84, 0x16, 0), &[1, 2, 3])
}

fn read_with_mac(bench: &mut Bench) -> u16 {
    protected(bench, [0x04, 0xB0, 0x96, 0x00], &[])
}

fn block_application(bench: &mut Bench) -> u16 {
    challenge(bench);
    let command = sm::plain_with_mac(&secret(), IV, BlockTerm::Permanent.header(), &[]).unwrap();
    send(bench, &command)
}

fn block_card(bench: &mut Bench) -> u16 {
    challenge(bench);
    send(bench, &sm::plain_with_mac(&secret(), IV, CARD_BLOCK, &[]).unwrap())
}

fn control_a_key(bench: &mut Bench) -> u16 {
    challenge(bench);
    let target = KeyTarget::Add { id: 9, usage: KeyUsage::Load }.header();
    let header = [0x01, 0x00, KeyUsage::Load.code(), 0xF0, 0x00, 0xF0, 0x33];
    let key = Key16::from_bytes([9; 16]);
    send(bench, &write_key::command(&secret(), IV, target, &header, key.expose()).unwrap())
}

fn at() -> DateTime {
    DateTime::from_number(20_240_131_123_456).unwrap()
}

fn load(bench: &mut Bench) -> u16 {
    let load =
        Load { purse: Purse::Ep, amount: PurseFen::try_from(Fen::new(1)).unwrap(), terminal: TERMINAL };
    let answer = bench.send(&InitializeForLoad { key_index: KeyIndex(ID), load }.to_apdu());
    let Some(given) = LoadAnswer::from_bytes(answer.data()) else {
        return answer.sw().0;
    };
    let session = load::session_key(&secret(), given.random, given.counter);
    send(bench, &CreditForLoad { at: at(), mac2: load::mac2(&session, &load, at()) }.to_apdu())
}

/// A composite purchase, since that one may be of nothing.
fn purchase(bench: &mut Bench) -> u16 {
    let kind = PurchaseKind::Composite;
    let purchase = Purchase { kind, amount: PurseFen::ZERO, terminal: TERMINAL };
    let answer = bench.send(&InitializeForPurchase { key_index: KeyIndex(ID), purchase }.to_apdu());
    let Some(given) = PurchaseAnswer::from_bytes(answer.data()) else {
        return answer.sw().0;
    };
    let sequence = TerminalSeq(1);
    let session = purchase::session_key(&secret(), given.random, given.counter, sequence);
    let mac1 = purchase::mac1(&session, &purchase, at());
    send(bench, &DebitForPurchase { sequence, at: at(), mac1 }.to_apdu())
}

/// A transaction of the ED, the PIN typed.
fn transact(bench: &mut Bench, initialize: &[u8], follow_up: impl Fn(&[u8]) -> Vec<u8>) -> u16 {
    bench.ok("0020000003445566");
    let answer = bench.send(initialize);
    if answer.sw().is_ok() { send(bench, &follow_up(answer.data())) } else { answer.sw().0 }
}

fn unload(bench: &mut Bench) -> u16 {
    let unload = Unload { amount: PurseFen::try_from(Fen::new(1)).unwrap(), terminal: TERMINAL };
    transact(bench, &InitializeForUnload { key_index: KeyIndex(ID), unload }.to_apdu(), |answer| {
        let given = UnloadAnswer::from_bytes(answer).unwrap();
        let session = unload::session_key(&secret(), given.random, given.counter);
        DebitForUnload { at: at(), mac2: unload::mac2(&session, &unload, at()) }.to_apdu().to_vec()
    })
}

fn update_overdraft(bench: &mut Bench) -> u16 {
    let initialize = InitializeForUpdate { key_index: KeyIndex(ID), terminal: TERMINAL };
    transact(bench, &initialize.to_apdu(), |answer| {
        let given = UpdateAnswer::from_bytes(answer).unwrap();
        let session = overdraft::session_key(&secret(), given.random, given.counter);
        let limit = OverdraftLimit([0, 0, 1]);
        let mac2 = overdraft::mac2(&session, limit, &TERMINAL, at());
        UpdateOverdraft { limit, at: at(), mac2 }.to_apdu().to_vec()
    })
}

fn grey_lock(bench: &mut Bench) -> u16 {
    let lock = GreyLock { purse: Purse::Ed, terminal: TERMINAL };
    transact(bench, &InitializeForGreyLock { key_index: KeyIndex(ID), lock }.to_apdu(), |answer| {
        let given = PurchaseAnswer::from_bytes(answer).unwrap();
        let (sequence, terminal_random) = (TerminalSeq(1), Random4([2; 4]));
        let session = grey::session_key(&secret(), given.random, given.counter, sequence, terminal_random);
        let mac1 = grey::mac1(&session, &lock, at());
        LockPurse { sequence, terminal_random, at: at(), mac1 }.to_apdu().to_vec()
    })
}

/// Of a purse that is locked for this use only.
fn grey_unlock(bench: &mut Bench) -> u16 {
    let free = bench.card.memory().clone();
    till::lock_by_hand(bench, Purse::Ed);
    let unlock = OnlineUnlock { purse: Purse::Ed, terminal: TERMINAL };
    let initialize = InitializeForGreyUnlock { key_index: KeyIndex(ID), unlock };
    let sw = transact(bench, &initialize.to_apdu(), |answer| {
        let given = UnlockOffer::from_bytes(answer).unwrap();
        let session = grey::unlock_session_key(&secret(), given.random, given.online);
        let mac2 = grey::unlock_mac2(&session, PurseFen::ZERO, &unlock, at());
        GreyUnlock { purse: None, amount: PurseFen::ZERO, at: at(), mac2 }.to_apdu().to_vec()
    });
    if sw != 0x9000 {
        *bench.card.memory_mut() = free;
    }
    sw
}

/// What a key can be used for, and the one kind that is meant for it; the control key is nobody's but the
/// application's master.
const USES: [(&str, Option<KeyUsage>, Use); 18] = [
    ("EXTERNAL AUTHENTICATE", Some(KeyUsage::ExternalAuthentication), external_authentication),
    ("INTERNAL AUTHENTICATE", Some(KeyUsage::InternalTac), internal_authentication),
    ("VERIFY", Some(KeyUsage::Pin), verify),
    ("CHANGE PIN", Some(KeyUsage::Pin), change_pin),
    ("RELOAD PIN", Some(KeyUsage::PinReload), reload_pin),
    ("PIN UNBLOCK", Some(KeyUsage::PinUnblock), unblock_pin),
    ("UPDATE BINARY with MAC", Some(KeyUsage::LineProtection), update_with_mac),
    ("UPDATE BINARY enciphered", Some(KeyUsage::LineProtection), update_enciphered),
    ("READ BINARY with MAC", Some(KeyUsage::LineProtection), read_with_mac),
    ("APPLICATION BLOCK", Some(KeyUsage::LineProtection), block_application),
    ("CARD BLOCK", Some(KeyUsage::LineProtection), block_card),
    ("WRITE KEY", None, control_a_key),
    ("load", Some(KeyUsage::Load), load),
    ("purchase", Some(KeyUsage::Purchase), purchase),
    ("unload", Some(KeyUsage::Unload), unload),
    ("overdraft limit", Some(KeyUsage::Overdraft), update_overdraft),
    ("grey lock", Some(KeyUsage::Purchase), grey_lock),
    ("online grey unlock", Some(KeyUsage::GreyUnlock), grey_unlock),
];

#[test]
fn every_kind_of_key_works_for_its_own_uses_only() {
    let (mut works, mut refused) = (0, 0);
    for kind in KeyUsage::ALL {
        let image = card_with(kind);
        for (name, right, apply) in USES {
            let mut bench = Bench { card: Card::power_on(image.clone()).unwrap(), dice: Dice::default() };
            bench.ok("00A40000021009");
            let before = bench.remembered();
            let sw = apply(&mut bench);
            if right == Some(kind) {
                assert_eq!(sw, 0x9000, "{name} with a key of {kind:?}");
                works += 1;
                continue;
            }
            assert!([0x6A88, 0x6988, 0x9403].contains(&sw), "{name} with a key of {kind:?}: {sw:04X}");
            let changed = before.iter().zip(bench.remembered()).filter(|(old, new)| *old != new).count();
            // A wrong MAC costs the true control key a try.
            assert_eq!(changed, usize::from(right.is_none()), "{name} with a key of {kind:?}");
            refused += 1;
        }
    }
    let (kinds, uses) = (KeyUsage::ALL.len(), USES.len());
    println!("keys: {kinds} kinds x {uses} uses, {works} work, {refused} are refused");
    assert_eq!((works + refused, works), (kinds * uses, uses - 1));
}
