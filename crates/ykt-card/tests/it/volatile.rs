//! What a card knows only while it has power (`session.rs`): each kind of right is gained, seen to work, and gone
//! after a reset, after the power was off, and, where it belongs to an application, after a SELECT of another one.

use crate::bench::{Bench, Chip, Dialogue, Dice, SELECT_APPLICATION};
use ykt_card::Card;

/// What takes rights away.
#[derive(Debug, Clone, Copy)]
enum End {
    Reset,
    PowerOff,
    OtherApplication,
    MasterFile,
    /// SELECT of the application that is selected already.
    Again,
}

const ENDS: [End; 5] = [End::Reset, End::PowerOff, End::OtherApplication, End::MasterFile, End::Again];

/// A right a card gives for a while.
struct Right {
    name: &'static str,
    card: fn() -> Chip,
    /// From the application on; what `@` begins is queued as random numbers.
    gain: &'static [&'static str],
    /// Commands that lead back to where the right counts, after it was taken away.
    back: &'static [&'static str],
    used_by: &'static str,
    with: u16,
    /// Without the right; the other application of a card has no keys.
    without: &'static [u16],
    /// Whether it belongs to the whole card, not to the application.
    is_of_card: bool,
}

const MF: &str = "00A40000023F00";
const OTHER: &str = "00A40000023F02";
const PSAM_APPLICATION: &str = "00A4000002DF01";
const KEY_APPLICATION: &str = "00A4000002DF02";
const TOKEN_APPLICATION: &str = "00A4000002DF04";
const CCK_PROVEN: [&str; 3] = ["@A1B2C3D4E5F60718", "0084000008", "0082000008DD31487231C7E50D"];
const APPLICATION: &[&str] = &[SELECT_APPLICATION];

/// The user card of the dialogues, with another application beside, and a file that state 1 of its application opens.
fn user_card() -> Chip {
    let mut bench = Dialogue::read("user-card").play();
    bench.ok(MF);
    play(&mut bench, &CCK_PROVEN);
    bench.ok("80E03F020D380100F1EF95FFFF4142434445");
    bench.ok(SELECT_APPLICATION);
    bench.ok("80E0001707280004F1F0FFFF");
    bench.card.into_memory()
}

fn psam() -> Chip {
    with_another_application("psam-card", &["@A1B2C3D4E5F60718", "0084000008", "00820000080D9EE580681EB1D5"])
}

fn token() -> Chip {
    with_another_application("token-card", &CCK_PROVEN)
}

fn key_card() -> Chip {
    with_another_application("key-card", &["@A1B2C3D4E5F60718", "0084000008", "008200000814DDC78285A5DE1B"])
}

fn with_another_application(dialogue: &str, proof: &[&str]) -> Chip {
    let mut bench = Dialogue::read(dialogue).play();
    bench.ok(MF);
    play(&mut bench, proof);
    bench.ok("80E03F020D380100F1EF95FFFF4142434445");
    bench.card.into_memory()
}

fn play(bench: &mut Bench, steps: &[&str]) {
    for step in steps {
        match step.strip_prefix('@') {
            Some(random) => bench.dice.queue(&crate::bench::unhex(random)),
            None => {
                bench.ok(step);
            }
        }
    }
}

/// The PSAM of all key types, which asks for authentication codes.
fn psam_with_codes() -> Chip {
    with_another_application("sam-uses", &["@A1B2C3D4E5F60718", "0084000008", "008200000814DDC78285A5DE1B"])
}

const SAM_LOCK: &str = "E040000024D1D2D3D4000300004CC292202401311234560100170001017090798401011000FFFFFFFF";
const SAM_CERTIFY: &str = "E042000004F2C0CEEA";

const RIGHTS: &[Right] = &[
    Right {
        name: "state of the MF",
        card: user_card,
        gain: &[MF, CCK_PROVEN[0], CCK_PROVEN[1], CCK_PROVEN[2]],
        back: &[MF],
        used_by: "80E03F040D380010F1EF95FFFF4142434446",
        with: 0x9000,
        without: &[0x6982],
        is_of_card: true,
    },
    Right {
        name: "state of the application",
        card: user_card,
        gain: &["0020000003123456"],
        back: APPLICATION,
        used_by: "00B0970004",
        with: 0x9000,
        without: &[0x6982],
        is_of_card: false,
    },
    Right {
        name: "PIN",
        card: user_card,
        gain: &["0020000003123456"],
        back: APPLICATION,
        used_by: "805000010B010000100000112233445510",
        with: 0x9000,
        without: &[0x6982],
        is_of_card: false,
    },
    Right {
        name: "challenge for secure messaging",
        card: user_card,
        gain: &["@A1B2C3D4", "0084000004"],
        back: APPLICATION,
        used_by: "04D695000E0102030405060708090AF4704FF4",
        with: 0x9000,
        without: &[0x6984],
        is_of_card: false,
    },
    Right {
        name: "challenge for authentication",
        card: user_card,
        gain: &[MF, CCK_PROVEN[0], CCK_PROVEN[1]],
        back: &[],
        used_by: CCK_PROVEN[2],
        with: 0x9000,
        without: &[0x6985, 0x6A88],
        is_of_card: false,
    },
    Right {
        name: "load under way",
        card: user_card,
        gain: &["@01020304", "805000020B0100004E20001122334455"],
        back: &[],
        used_by: "805200000B20240131123456764044A2",
        with: 0x9000,
        without: &[0x6901],
        is_of_card: false,
    },
    Right {
        name: "current file",
        card: user_card,
        gain: &["00A40000020015"],
        back: APPLICATION,
        used_by: "00B000001E",
        with: 0x9000,
        without: &[0x6986],
        is_of_card: false,
    },
    Right {
        name: "key delivered to a PSAM",
        card: psam,
        gain: &["801A440110170001017090798401011000FFFFFFFF"],
        back: &[PSAM_APPLICATION],
        used_by: "80FA05001000000000000000000000000000000000",
        with: 0x9000,
        without: &[0x6985],
        is_of_card: false,
    },
    Right {
        name: "purchase under way in a PSAM",
        card: psam,
        gain: &["80700000245A5B5C5D00000000009606202401311234560100170001017090798401011000FFFFFFFF"],
        back: &[],
        used_by: "8072000004F74BAE7B",
        with: 0x9000,
        without: &[0x6901],
        is_of_card: false,
    },
    Right {
        name: "grey lock under way",
        card: user_card,
        gain: &["@01020304", "E07A08020701360486600002"],
        back: &[],
        used_by: "E07C08001300000011E1E2E3E420240131123456AD3A4F06",
        with: 0x9000,
        without: &[0x6901],
        is_of_card: false,
    },
    Right {
        name: "MAC under way in a PSAM",
        card: psam,
        gain: &["801A440110170001017090798401011000FFFFFFFF", "80FA07001000000000000000000000000000000000"],
        back: &[PSAM_APPLICATION],
        used_by: "80FA0100080000000000000000",
        with: 0x9000,
        without: &[0x6985],
        is_of_card: false,
    },
    Right {
        name: "grey lock under way in a PSAM",
        card: psam,
        gain: &["@E1E2E3E4", SAM_LOCK],
        back: &[],
        used_by: SAM_CERTIFY,
        with: 0x9000,
        without: &[0x6901],
        is_of_card: false,
    },
    Right {
        name: "grey lock a PSAM vouches for",
        card: psam,
        gain: &["@E1E2E3E4", SAM_LOCK, SAM_CERTIFY],
        back: &[PSAM_APPLICATION],
        used_by: "E04400000F93170001017090798400030000012C",
        with: 0x9000,
        without: &[0x6985],
        is_of_card: false,
    },
    Right {
        name: "authentication code a PSAM has seen",
        card: psam_with_codes,
        gain: &["80CA0000090170907984C8D3055F"],
        back: &[PSAM_APPLICATION],
        used_by: "80700000245A5B5C5D00000000009606202401311234560100170001017090798401011000FFFFFFFF",
        with: 0x9000,
        without: &[0x6985, 0x6A88],
        is_of_card: false,
    },
    Right {
        name: "PIN for a key pair",
        card: token,
        gain: &["0020000003123456"],
        back: &[TOKEN_APPLICATION],
        used_by: "802A9A0C026162",
        with: 0x9000,
        without: &[0x6982],
        is_of_card: false,
    },
    Right {
        name: "message under way in a token",
        card: token,
        gain: &["802A900A026162"],
        back: &[],
        used_by: "802A9B0A0163",
        with: 0x9000,
        without: &[0x6901],
        is_of_card: false,
    },
    Right {
        name: "PIN of a key card's operator",
        card: key_card,
        gain: &["0020000003123456"],
        back: &[KEY_APPLICATION],
        used_by: "8074000010170001017090798401011000FFFFFFFF",
        with: 0x9000,
        without: &[0x6982],
        is_of_card: false,
    },
];

impl Right {
    fn application(&self) -> &'static str {
        match &self.used_by[..4] {
            "80FA" | "8070" | "8072" | "E042" | "E044" => PSAM_APPLICATION,
            "802A" => TOKEN_APPLICATION,
            "8074" => KEY_APPLICATION,
            _ => SELECT_APPLICATION,
        }
    }

    fn gained(&self, image: &Chip) -> Bench {
        let mut bench = Bench { card: Card::power_on(image.clone()).unwrap(), dice: Dice::default() };
        bench.ok(self.application());
        play(&mut bench, self.gain);
        bench
    }
}

#[test]
fn every_right_goes_with_what_it_belongs_to() {
    let mut gone = 0;
    for right in RIGHTS {
        let (name, image) = (right.name, (right.card)());
        assert_eq!(right.gained(&image).sw(right.used_by), right.with, "{name}");
        for end in ENDS {
            let mut bench = right.gained(&image);
            match end {
                End::Reset => bench.card.reset(),
                End::PowerOff => bench.power_cycle(),
                End::OtherApplication => drop(bench.ok(OTHER)),
                End::MasterFile => drop(bench.ok(MF)),
                End::Again => drop(bench.ok(right.application())),
            }
            play(&mut bench, right.back);
            let stays = right.is_of_card && !matches!(end, End::Reset | End::PowerOff);
            let expected = if stays { &[right.with] } else { right.without };
            let sw = bench.sw(right.used_by);
            assert!(expected.contains(&sw), "{name} after {end:?}: {sw:04X}");
            gone += usize::from(!stays);
        }
    }
    println!("rights: {} kinds, {gone} ends", RIGHTS.len());
}

/// What was gained beside what is taken away: nothing else is.
#[test]
fn a_wrong_pin_takes_the_rights_of_its_application_only() {
    let mut bench = Bench { card: Card::power_on(user_card()).unwrap(), dice: Dice::default() };
    play(&mut bench, &CCK_PROVEN);
    bench.ok(SELECT_APPLICATION);
    bench.ok("0020000003123456");
    bench.ok("00B0970004");
    assert_eq!(bench.sw("0020000003123457"), 0x63C2);
    assert_eq!(bench.sw("00B0970004"), 0x6982);
    bench.ok("80E0001907280004F1F0FFFF");
    bench.ok("0020000003123456");
    assert_eq!(bench.sw("805E010007999999FF123456"), 0x63C2, "CHANGE PIN too");
    assert_eq!(bench.sw("00B0970004"), 0x6982);
    bench.ok("80E0001A07280004F1F0FFFF");
}
