//! Derivations: the keys of public vectors brought in at the root, one and two levels below it, and what the backend
//! then says of the cards under them.

use super::{ASN, Deviations, ISSUER, amount, noon};
use crate::error::VaultError;
use crate::kind::{KeyKind, KeyState};
use crate::levels::Levels;
use crate::manage::{ImportedKey, KeyManagement, KeyPlace};
use crate::value::{KeyAlgorithm, KeyValue};
use crate::vault::{
    CardKeyRef, KeyAddress, KeyLayout, KeyRef, LoadSession, MacVerdict, NewKey, Receipt, TacJob, TacVerdict,
    WriteKeyJob,
};
use ykt_base::hex::{self, Hex};
use ykt_base::{CardCounter, IssuerFactor, KeyVersion, Mac4, Random4, TerminalId, TerminalSeq};
use ykt_crypto::{CardKey, Key16};
use ykt_purse::load::{self, Load};
use ykt_purse::purchase::{Purchase, PurchaseKind};
use ykt_purse::write_key::{self, KeyForm, KeyHeader, KeyTarget, KeyUsage};
use ykt_purse::{Algorithm, Purse, PurseFen};

use KeyKind as K;

/// Vectors `diversify/…` of `vectors/epurse.json`: levels below the root key, kind, root key, card key.
pub const DIVERSIFY: &[(&str, u8, KeyKind, &str, &str)] = &[
    (
        "diversify/1 level DPK",
        1,
        K::Purchase,
        "404142434445464748494A4B4C4D4E4F",
        "D8202ED3232CA24E445AD8EDE19F71EE",
    ),
    (
        "diversify/2 level DLK",
        2,
        K::Load,
        "505152535455565758595A5B5C5D5E5F",
        "E5A60E3AB7E2795E3D8F4F5AACDD05D2",
    ),
    (
        "diversify/1 level DTK",
        1,
        K::Tac,
        "606162636465666768696A6B6C6D6E6F",
        "B9E3D2A78916A7C41001AF4CB605EA24",
    ),
    (
        "diversify/2 level DTK",
        2,
        K::Tac,
        "606162636465666768696A6B6C6D6E6F",
        "3E70EAFBF0AB93BE2550775592D5D927",
    ),
    (
        "diversify/3 level DTK",
        3,
        K::Tac,
        "606162636465666768696A6B6C6D6E6F",
        "E3FB4F1E45AFB9CF6ACC9C2B54448231",
    ),
    (
        "diversify/1 level DULK",
        1,
        K::Unload,
        "707172737475767778797A7B7C7D7E7F",
        "337F0E5A2013958DD8CDD13995910F2A",
    ),
    (
        "diversify/2 level DULK",
        2,
        K::Unload,
        "707172737475767778797A7B7C7D7E7F",
        "7C01F2AA87EBC94B38F353EAB220E9AC",
    ),
    (
        "diversify/3 level DULK",
        3,
        K::Unload,
        "707172737475767778797A7B7C7D7E7F",
        "C7394855B352DC2F25E3702FEF699B87",
    ),
    (
        "diversify/1 level DUK",
        1,
        K::Overdraft,
        "808182838485868788898A8B8C8D8E8F",
        "96016C9193B5AD2E00A22FBE93BC5333",
    ),
    (
        "diversify/3 level DUK",
        3,
        K::Overdraft,
        "808182838485868788898A8B8C8D8E8F",
        "47CF1A292FCFA4E1836505CD215399B7",
    ),
    (
        "diversify/2 level DPUK",
        2,
        K::PinUnblock,
        "909192939495969798999A9B9C9D9E9F",
        "4EF7E12434318A23B3065A6A0EF6E7A8",
    ),
    (
        "diversify/3 level DPUK",
        3,
        K::PinUnblock,
        "909192939495969798999A9B9C9D9E9F",
        "0BF0CB10B859AD04345172A32054706D",
    ),
    (
        "diversify/1 level DRPK",
        1,
        K::PinReload,
        "A0A1A2A3A4A5A6A7A8A9AAABACADAEAF",
        "0327A538EE1038CC259E2BF0EAFF324F",
    ),
    (
        "diversify/2 level DRPK",
        2,
        K::PinReload,
        "A0A1A2A3A4A5A6A7A8A9AAABACADAEAF",
        "DE7FCF3A63B79EACC774DA210D976B58",
    ),
    (
        "diversify/3 level DRPK",
        3,
        K::PinReload,
        "A0A1A2A3A4A5A6A7A8A9AAABACADAEAF",
        "93B04E3A6FD9474AB5EB0A17C87C26E1",
    ),
    (
        "diversify/1 level DAMK",
        1,
        K::ApplicationMaintenance,
        "B0B1B2B3B4B5B6B7B8B9BABBBCBDBEBF",
        "2A49450DE507F6405E50ED7F9EDEAB89",
    ),
    (
        "diversify/3 level DAMK",
        3,
        K::ApplicationMaintenance,
        "B0B1B2B3B4B5B6B7B8B9BABBBCBDBEBF",
        "758F3CC9F949043860C15A8C2C924677",
    ),
    (
        "diversify/2 level DACK",
        2,
        K::ApplicationMaster,
        "C0C1C2C3C4C5C6C7C8C9CACBCCCDCECF",
        "DA56C3ADB1F8DFEAF1EF45B14B3A4C07",
    ),
    (
        "diversify/3 level DACK",
        3,
        K::ApplicationMaster,
        "C0C1C2C3C4C5C6C7C8C9CACBCCCDCECF",
        "5EED42F6A77D105559781899DAE07B5A",
    ),
    (
        "diversify/1 level DCCK",
        1,
        K::CardMaster,
        "D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF",
        "8BCE9D50CA19F7B66DE5E677B505C29C",
    ),
    (
        "diversify/2 level DCCK",
        2,
        K::CardMaster,
        "D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF",
        "0B8F6028724AC41B47C159CDBD9AB7C8",
    ),
    (
        "diversify/3 level DCCK",
        3,
        K::CardMaster,
        "D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF",
        "DC1A18AE090A49E2BFCC22930EDA3137",
    ),
    (
        "diversify/1 level DIAK",
        1,
        K::InternalAuthentication,
        "E0E1E2E3E4E5E6E7E8E9EAEBECEDEEEF",
        "04E109A70DAEE4835335513AC5C2A79B",
    ),
    (
        "diversify/2 level DIAK",
        2,
        K::InternalAuthentication,
        "E0E1E2E3E4E5E6E7E8E9EAEBECEDEEEF",
        "301BA5A04844F6B54B2E4E67A6256F71",
    ),
    (
        "diversify/3 level DIAK",
        3,
        K::InternalAuthentication,
        "E0E1E2E3E4E5E6E7E8E9EAEBECEDEEEF",
        "FB088567645FF3E4C7F8F6325964E872",
    ),
    (
        "diversify/1 level DUGK",
        1,
        K::GreyUnlock,
        "F0F1F2F3F4F5F6F7F8F9FAFBFCFDFEFF",
        "90AB707D0DA0205C91D4E663AA95AE03",
    ),
    (
        "diversify/2 level DUGK",
        2,
        K::GreyUnlock,
        "F0F1F2F3F4F5F6F7F8F9FAFBFCFDFEFF",
        "79CE28B6D59F4CEA15B2AEC63FC4CE6D",
    ),
];

/// Province and city of the vectors with three levels; the issuer of those with two is the suite's own.
const PROVINCE: IssuerFactor = IssuerFactor([0x31, 0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]);
const CITY: IssuerFactor = IssuerFactor([0x21, 0x44, 0xFF, 0, 0, 0, 0, 0]);
/// Master and card key of the vectors `sm4-proposal/…`.
const SM4_MASTER: &str = "0123456789ABCDEFFEDCBA9876543210";
const SM4_CARD: &str = "F2A1DE216207D63AA52D01D5D0E9F6D7";
const SM4_INDEX: u8 = 40;

/// The hierarchy a vault needs for [`derivations`]: nation, province, city, card.
#[must_use]
pub fn levels() -> Levels {
    Levels::nation_province_city_card(PROVINCE)
}

/// Everything an empty vault of [`levels`] derives otherwise than the vectors say, one line each.
#[must_use]
pub fn derivations(vault: &dyn KeyManagement) -> Vec<String> {
    let mut found = Deviations(Vec::new());
    for (name, levels, kind, master, card_key) in DIVERSIFY {
        // As many levels as the vector has are left between the key and the card.
        let place =
            KeyPlace { key: KeyRef::new(*kind, *levels, 1), level: 3u8.saturating_sub(*levels), owner: None };
        bring_in(vault, place, KeyAlgorithm::Tdes, master, &mut found);
        let factor = if *levels == 3 { CITY } else { ISSUER };
        let Ok(key) = Key16::from_hex(card_key) else { continue };
        answers_like(
            vault,
            name,
            CardKeyRef { key: place.key, factor, asn: ASN },
            &CardKey::Tdes(key),
            &mut found,
        );
    }
    if vault.capabilities().contains(&KeyAlgorithm::Sm4) {
        sm4(vault, &mut found);
    }
    found.0
}

fn bring_in(
    vault: &dyn KeyManagement,
    place: KeyPlace,
    algorithm: KeyAlgorithm,
    value: &str,
    found: &mut Deviations,
) {
    let bytes: Option<[u8; 16]> = hex::decode(value).ok();
    let Some(value) = bytes.and_then(|bytes| KeyValue::from_bytes(algorithm, &bytes)) else { return };
    let kcv = Some(value.kcv());
    let imported = vault.import(ImportedKey { place, state: KeyState::Active, value, kcv });
    found.expect(&format!("import of the {place}"), &imported.map(|info| Some(info.kcv)), &Ok(kcv));
}

/// Check value, a cryptogram and a MAC: with the right key and with no other.
fn answers_like(
    vault: &dyn KeyManagement,
    name: &str,
    card: CardKeyRef,
    expected: &CardKey,
    found: &mut Deviations,
) {
    let address = KeyAddress::Card(card);
    let challenge = [0xA1, 0xB2, 0xC3, 0xD4, 0, 0, 0, 0];
    found.expect(&format!("{name}, check value"), &vault.kcv(&address), &Ok(expected.kcv()));
    let cryptogram = vault.external_authenticate(&address, challenge);
    found.expect(&format!("{name}, cryptogram"), &cryptogram, &Ok(expected.authenticate(challenge)));
    let mac = vault.sm_mac(&address, challenge, &[b"any", b" message"]);
    found.expect(&format!("{name}, MAC"), &mac, &Ok(expected.smac(challenge, &[b"any message"])));
}

/// SM4 from the city's key down: derivation, TAC, load, WRITE KEY with algorithm 04.
fn sm4(vault: &dyn KeyManagement, found: &mut Deviations) {
    let at_city = |kind| KeyPlace { key: KeyRef::new(kind, SM4_INDEX, 1), level: 2, owner: Some(CITY.0) };
    let kinds = [K::Purchase, K::Tac, K::Load, K::ApplicationMaster];
    kinds.iter().for_each(|kind| bring_in(vault, at_city(*kind), KeyAlgorithm::Sm4, SM4_MASTER, found));
    let card = |kind| CardKeyRef { key: KeyRef::new(kind, SM4_INDEX, 1), factor: CITY, asn: ASN };
    let Ok(key) = Key16::from_hex(SM4_CARD).map(CardKey::Sm4) else { return };
    answers_like(vault, "sm4-proposal/diversification", card(K::Purchase), &key, found);

    let terminal = TerminalId([0x36, 0x04, 0x86, 0x60, 0x00, 0x02]);
    let purchase = Purchase { kind: PurchaseKind::Purchase(Purse::Ep), amount: amount(150), terminal };
    let receipt = Receipt::Purchase { purchase, sequence: TerminalSeq(0x11), at: noon() };
    let right = TacJob { key: card(K::Tac), receipt, tac: Mac4([0x5A, 0x91, 0x03, 0xFE]) };
    let wrong = TacJob { tac: Mac4([0x5A, 0x91, 0x03, 0xFF]), ..right };
    let verdicts = vault.verify_tacs(&[right, wrong, right]);
    let expected = Ok(vec![TacVerdict::Right, TacVerdict::Wrong, TacVerdict::Right]);
    found.expect("sm4-proposal/purchase, TACs", &verdicts, &expected);

    let (random, counter) = (Random4([1, 2, 3, 4]), CardCounter(7));
    let session = LoadSession { key: card(K::Load), random, counter };
    let of_load = Load { purse: Purse::Ep, amount: amount(20_000), terminal };
    let session_key = load::session_key(&key, random, counter);
    let mac1 = load::mac1(&session_key, &of_load, PurseFen::ZERO);
    let verdict = vault.check_load_mac1(&session, &of_load, PurseFen::ZERO, &mac1);
    found.expect("MAC1 of a load under SM4", &verdict, &Ok(MacVerdict::Right));
    let mac2 = vault.load_mac2(&session, &of_load, noon());
    found.expect("MAC2 of a load under SM4", &mac2, &Ok(load::mac2(&session_key, &of_load, noon())));

    let target = KeyTarget::Add { id: 1, usage: KeyUsage::Purchase };
    let header = |algorithm| KeyHeader {
        usage: KeyUsage::Purchase,
        form: KeyForm::Key(algorithm),
        ..write_key::control_key_header(KeyVersion(1))
    };
    let family = write_key::KeyLayout::SourceDocuments;
    let written = |algorithm| {
        vault.write_key(&WriteKeyJob {
            control: KeyAddress::Card(card(K::ApplicationMaster)),
            new: NewKey::Own(KeyAddress::Card(card(K::Purchase))),
            layout: KeyLayout::Card { family, target, header: header(algorithm) },
            iv: [9, 8, 7, 6, 0, 0, 0, 0],
        })
    };
    let bytes = family.header(target.id(), &header(Algorithm::Sm4));
    let expected =
        write_key::command(&key, [9, 8, 7, 6, 0, 0, 0, 0], family.command(target), &bytes, key.expose());
    let expected = expected.map(|command| Hex(&command).to_string()).unwrap_or_default();
    let command = written(Algorithm::Sm4).map(|command| command.as_bytes().to_vec());
    found.expect_bytes("WRITE KEY of an SM4 key", command, &expected);
    let refused = matches!(written(Algorithm::TripleDes), Err(VaultError::HeaderMismatch { .. }));
    found.expect("an SM4 key under a header of 3DES is refused", &refused, &true);
}
