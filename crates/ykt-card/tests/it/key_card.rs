//! The key card beside the cards it makes keys for.

use crate::bench::{Bench, Dialogue, Step};

const BEGIN: &str = "8074000010170001017090798401011000FFFFFFFF";

/// A key card with its PIN verified.
fn key_card() -> Bench {
    let mut bench = Dialogue::read("key-card").play();
    bench.ok("00A4000002DF02");
    bench.ok("0020000003123456");
    bench
}

/// Every WRITE KEY of `user-card.apdu`, except the holder's PIN, comes from the key card byte for byte.
#[test]
fn a_key_card_makes_the_keys_of_a_user_card() {
    let mut mother = key_card();
    mother.ok(BEGIN);
    let mut made = 0;
    let mut in_application = false;
    for step in &Dialogue::read("user-card").steps {
        let Step::Command { line, apdu, .. } = step else { continue };
        in_application |= apdu.starts_with(&[0x00, 0xA4]);
        let [0x84, 0xD4, p1, usage, ..] = *apdu.as_slice() else { continue };
        let (kind, follow_up) = match (usage, in_application) {
            (0x3A, _) => continue,
            (0x39, false) => (0x21, 0x0F),
            (0x39, true) => (0x23, 0x0F),
            (usage, _) => (usage, 0),
        };
        let derive =
            [0x80, 0x76, kind, 0x01, 0x0A, p1, 0x01, 0xF0, follow_up, 0xF0, 0x33, 0xA1, 0xB2, 0xC3, 0xD4];
        assert_eq!(mother.send(&derive).data(), apdu, "{line}");
        made += 1;
    }
    assert_eq!(made, 6);
}

/// The power goes at any write of BEGIN CARD: the card is counted once or not at all, and beginning it again makes
/// it once.
#[test]
fn a_card_is_counted_once_wherever_the_power_goes() {
    for cut in 0..5 {
        let mut bench = key_card();
        bench.card.memory_mut().cut_power_after(cut, 3);
        let finished = bench.send(&crate::bench::unhex(BEGIN)).sw().is_ok();
        bench.power_cycle();
        bench.ok("00A4000002DF02");
        assert!(finished || bench.sw("80763E010A8101F000F033A1B2C3D4") == 0x6982, "the PIN is gone");
        bench.ok("0020000003123456");
        assert_eq!(bench.ok(BEGIN), [0, 0, 0, 2], "cut at write {cut}");
    }
}

/// With every kind allowed and every key there, what comes out is a WRITE KEY under a control key: never a key.
#[test]
fn no_key_comes_out_in_clear() {
    let mut bench = key_card();
    bench.ok(BEGIN);
    let image = bench.card.memory().image().to_vec();
    let keys: Vec<&[u8]> =
        image.windows(24).filter(|slot| slot[0] == 0x80).map(|slot| &slot[8..24]).collect();
    assert!(keys.len() >= 12);
    for ins in 0..=u8::MAX {
        for p1 in 0..=u8::MAX {
            let mut apdu = vec![0x80, ins, p1, 0x01, 0x0A];
            apdu.extend([0x81, 0x01, 0xF0, 0x00, 0xF0, 0x33, 0xA1, 0xB2, 0xC3, 0xD4]);
            let answer = bench.send(&apdu);
            let leaked = answer.data().windows(16).any(|part| keys.contains(&part));
            assert!(!leaked, "80{ins:02X}{p1:02X}");
        }
    }
}
