//! Every kind of PSAM key offered to every use: one secret, written as a key of each usage byte in turn, works for what
//! its usage says and for nothing else (`epurse.md` 7.2).

use crate::bench::{Bench, Chip, Dialogue, Dice};
use crate::till::{TERMINAL, at, fen};
use ykt_base::{Asn8, CardCounter, IssuerFactor, KeyVersion, Random4};
use ykt_card::Card;
use ykt_crypto::sm;
use ykt_crypto::{CardKey, Key16};
use ykt_purse::auth_code::AuthenticationCode;
use ykt_purse::block::BlockTerm;
use ykt_purse::psam::{CardFactors, InitSamForPurchase, SamAnswer, SamKeyType, SamUsage};
use ykt_purse::psam_cipher::{CipherData, CipherMode, DeliverKey};
use ykt_purse::psam_grey::{InitSamGreyLock, SamLockAnswer};
use ykt_purse::psam_m1::DeriveM1Keys;
use ykt_purse::purchase::PurchaseKind;
use ykt_purse::write_key::{self, SamKeyHeader};
use ykt_purse::{Algorithm, Purse, command, grey, purchase};

const VERSION: KeyVersion = KeyVersion(9);
const CARD: Asn8 = Asn8([0x17, 0, 1, 1, 0x70, 0x90, 0x79, 0x84]);
const COUNTER: CardCounter = CardCounter(3);
const RANDOM: Random4 = Random4([0xD1; 4]);

fn secret() -> CardKey {
    CardKey::from_hex("11223344556677889900AABBCCDDEEFF").unwrap()
}

fn usages() -> impl Iterator<Item = SamUsage> {
    (0..=u8::MAX).filter_map(SamUsage::from_code)
}

fn factors(levels: u8) -> Option<CardFactors> {
    let (city, province) = (IssuerFactor([0x21; 8]), IssuerFactor([0x31; 8]));
    match levels {
        0 => None,
        1 => Some(CardFactors::one_level(CARD)),
        2 => Some(CardFactors::two_levels(city, CARD)),
        _ => Some(CardFactors::three_levels(province, city, CARD)),
    }
}

fn challenge(bench: &mut Bench) -> [u8; 8] {
    bench.ok("0084000008").try_into().unwrap()
}

fn write(bench: &mut Bench, control: &CardKey, usage: SamUsage) -> u16 {
    let iv = challenge(bench);
    let header = SamKeyHeader { usage, version: VERSION, algorithm: Algorithm::TripleDes };
    let key = secret();
    let command =
        write_key::command(control, iv, SamKeyHeader::COMMAND, &header.to_bytes(), key.expose()).unwrap();
    bench.send(&command).sw().0
}

/// The PSAM of `sam-keys.apdu` with the secret beside its keys; master and maintenance key it replaces.
fn psam_with(chip: &Chip, usage: SamUsage) -> Bench {
    let mut bench = Bench { card: Card::power_on(chip.clone()).unwrap(), dice: Dice::default() };
    bench.ok("00A4000002DF01");
    let master = CardKey::Tdes(Key16::from_bytes(std::array::from_fn(|at| 0x20 + u8::try_from(at).unwrap())));
    assert_eq!(write(&mut bench, &master, usage), 0x9000, "{usage:?}");
    bench
}

/// A use of a key: what it is called, which usage it is meant for, and the status word when the secret is tried.
struct Use {
    name: String,
    is_for: Box<dyn Fn(SamUsage) -> bool>,
    apply: Box<dyn Fn(&mut Bench) -> u16>,
}

fn made_for(name: &str, usage: SamUsage, apply: impl Fn(&mut Bench) -> u16 + 'static) -> Use {
    Use {
        name: format!("{name} {:02X}", usage.code()),
        is_for: Box::new(move |kind| kind == usage),
        apply: Box::new(apply),
    }
}

fn sign(bench: &mut Bench, factors: CardFactors) -> u16 {
    let (kind, amount) = (PurchaseKind::Purchase(Purse::Ep), fen(5));
    let init = InitSamForPurchase {
        random: RANDOM,
        counter: COUNTER,
        amount,
        kind,
        at: at(),
        key_version: VERSION,
        algorithm: 0,
        factors,
    };
    let given = bench.send(&init.to_apdu());
    if let Some(answer) = SamAnswer::from_bytes(given.data()) {
        let session = purchase::session_key(&factors.derive(&secret()), RANDOM, COUNTER, answer.sequence);
        assert_eq!(answer.mac1, purchase::mac1(&session, &init.purchase(TERMINAL), at()));
    }
    given.sw().0
}

fn lock(bench: &mut Bench, factors: CardFactors) -> u16 {
    let init = InitSamGreyLock {
        random: RANDOM,
        counter: COUNTER,
        balance: fen(5),
        purse: Purse::Ep,
        at: at(),
        key_version: VERSION,
        algorithm: 0,
        factors,
    };
    let given = bench.send(&init.to_apdu());
    if let Some(SamLockAnswer { sequence, terminal_random, mac1 }) = SamLockAnswer::from_bytes(given.data()) {
        let key = factors.derive(&secret());
        let session = grey::session_key(&key, RANDOM, COUNTER, sequence, terminal_random);
        assert_eq!(mac1, grey::mac1(&session, &init.lock(TERMINAL), at()));
    }
    given.sw().0
}

/// DELIVERY KEY of this usage, then CIPHER DATA; the status word of the first that refuses.
fn deliver(bench: &mut Bench, usage: SamUsage, mode: CipherMode) -> u16 {
    let command = DeliverKey { usage, version: VERSION, factors: factors(usage.levels()) };
    let sw = bench.send(&command.to_apdu()).sw().0;
    if sw != 0x9000 {
        return sw;
    }
    let data = CipherData { mode, data: &[0x55; 16] };
    bench.send(data.to_command().encode(&mut [0; 261])).sw().0
}

fn may(usage: SamUsage, mode: CipherMode) -> bool {
    use SamKeyType::{CardMaintenance, Encipher, Mac, MacAndEncipher, PinReload, PinUnblock};
    let kind = usage.kind();
    let both = matches!(kind, PinUnblock | CardMaintenance | MacAndEncipher);
    match mode {
        CipherMode::Encipher => both || kind == Encipher,
        _ => both || kind == PinReload || kind == Mac && usage != SamUsage::AUTHENTICATION_CODE,
    }
}

fn uses() -> Vec<Use> {
    let mut uses = Vec::new();
    for levels in 1..=3 {
        let usage = SamUsage::new(levels, SamKeyType::Purchase).unwrap();
        let factors = factors(levels).unwrap();
        uses.push(made_for("INIT SAM FOR PURCHASE", usage, move |bench| sign(bench, factors)));
        uses.push(made_for("INIT SAM GREY LOCK", usage, move |bench| lock(bench, factors)));
    }
    for usage in usages() {
        for mode in [CipherMode::Encipher, CipherMode::Mac] {
            uses.push(Use {
                name: format!("DELIVERY KEY {:02X}, CIPHER DATA {:02X}", usage.code(), mode.code()),
                is_for: Box::new(move |kind| kind == usage && may(usage, mode)),
                apply: Box::new(move |bench| deliver(bench, usage, mode)),
            });
        }
    }
    uses.push(made_for("CHECK AUTHENTICATION CODE", SamUsage::AUTHENTICATION_CODE, |bench| {
        bench.send(&AuthenticationCode::new(&secret(), VERSION, &CARD).to_apdu()).sw().0
    }));
    uses.push(made_for("DERIVE M1 KEYS", SamUsage::M1_SECTORS, |bench| {
        let (uid, serial, auth_code, key_ids) = ([1; 4], [2; 2], [3; 4], [2, 3, 7]);
        let derive = DeriveM1Keys { version: VERSION, city: [0x21, 0x44], uid, serial, auth_code, key_ids };
        let given = bench.send(&derive.to_apdu());
        assert!(!given.sw().is_ok() || given.data() == derive.keys(&secret()));
        given.sw().0
    }));
    uses.push(made_for("WRITE KEY", SamUsage::MASTER, |bench| {
        write(bench, &secret(), SamUsage::new(1, SamKeyType::Encipher).unwrap())
    }));
    uses.push(made_for("APPLICATION BLOCK", SamUsage::MAINTENANCE, |bench| {
        let iv = challenge(bench);
        let command = sm::plain_with_mac(&secret(), iv, BlockTerm::Temporary.header(), &[]).unwrap();
        bench.send(&command).sw().0
    }));
    for (id, usage) in [(0, SamUsage::MASTER), (1, SamUsage::MAINTENANCE)] {
        uses.push(made_for("EXTERNAL AUTHENTICATE", usage, move |bench| {
            let cryptogram = secret().authenticate(challenge(bench));
            bench.send(command::external_authenticate(id, &cryptogram).encode(&mut [0; 261])).sw().0
        }));
    }
    uses
}

#[test]
fn every_kind_of_psam_key_works_for_its_own_uses_only() {
    let chip = Dialogue::read("sam-keys").play().card.into_memory();
    let uses = uses();
    let (mut works, mut refused) = (0, 0);
    for usage in usages() {
        let image = psam_with(&chip, usage).card.into_memory();
        for Use { name, is_for, apply } in &uses {
            let mut bench = Bench { card: Card::power_on(image.clone()).unwrap(), dice: Dice::default() };
            bench.ok("00A4000002DF01");
            let before = bench.remembered();
            let sw = apply(&mut bench);
            let context = format!("{name} with a key of usage {:02X}: {sw:04X}", usage.code());
            if is_for(usage) {
                assert_eq!(sw, 0x9000, "{context}");
                works += 1;
                continue;
            }
            assert!([0x6A88, 0x6985, 0x6988, 0x63C2].contains(&sw), "{context}");
            let changed = before.iter().zip(bench.remembered()).filter(|(old, new)| *old != new).count();
            assert!(changed <= usize::from([0x6988, 0x63C2].contains(&sw)), "{context}: at most a try");
            refused += 1;
        }
    }
    let (kinds, uses) = (usages().count(), uses.len());
    println!("PSAM keys: {kinds} usages x {uses} uses, {works} work, {refused} are refused");
    assert_eq!(works + refused, kinds * uses);
}
