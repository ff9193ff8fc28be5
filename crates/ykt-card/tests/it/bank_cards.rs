//! Bank cards: tracks that never show, a counter that ends, and a card whose track file was made wrongly.

use crate::bench::{Bench, Chip, Dialogue, Dice, unhex};
use proptest::prelude::*;
use ykt_base::{CardCounter, DateTime, Fen, KeyIndex, TerminalId};
use ykt_card::{Card, Memory};
use ykt_crypto::{CardKey, Key16};
use ykt_purse::PurseFen;
use ykt_purse::bank::{self, InitAnswer, InitMc, ReadMc, Terms, Tracks};

/// What CREATE FILE of EF 0004 said, as its header keeps it; its body follows the header's 16 bytes.
const HEADER: &str = "070004311617F000FF18";

/// The personalised card with bank card 1 selected.
fn bank_card() -> Bench {
    static IMAGE: std::sync::OnceLock<Chip> = std::sync::OnceLock::new();
    let image = IMAGE.get_or_init(|| Dialogue::read("bank-card").play().card.into_memory());
    let mut bench = Bench { card: Card::power_on(image.clone()).unwrap(), dice: Dice::default() };
    bench.ok("00A40000021101");
    bench
}

fn terms() -> Terms {
    Terms {
        amount: PurseFen::try_from(Fen::new(12_345)).unwrap(),
        terminal: TerminalId([0x21, 0x44, 0, 0, 0x0C, 1]),
        at: DateTime::from_number(20_240_131_123_456).unwrap(),
    }
}

fn init() -> InitMc {
    InitMc { key_index: KeyIndex(1), terms: terms() }
}

/// InitMC and ReadMC with the right key; the status word and what the bank reads.
fn read(bench: &mut Bench) -> (u16, Option<Tracks>) {
    let key = CardKey::Tdes(Key16::from_bytes(std::array::from_fn(|at| if at < 8 { 0x41 } else { 0xE1 })));
    let answer = InitAnswer::from_bytes(bench.send(&init().to_apdu()).data()).unwrap();
    let session = bank::session_key(&key, answer.random, answer.counter);
    let given = bench.send(&ReadMc { mac: bank::authorisation(&session, &terms()) }.to_apdu());
    let track_key = bank::track_key(&key, answer.random, answer.counter);
    let tracks = bank::SealedTracks::from_bytes(given.data())
        .and_then(|sealed| Tracks::open(&track_key, &sealed.cryptogram));
    (given.sw().0, tracks)
}

/// Where a file's body begins.
fn body(bench: &Bench, header: &str) -> usize {
    let header = unhex(header);
    let image = bench.card.memory().image();
    image.windows(header.len()).position(|bytes| bytes == header).unwrap() + 16
}

#[test]
fn the_counter_ends() {
    let mut bench = bank_card();
    let at = body(&bench, HEADER);
    bench.card.memory_mut().write(at, &CardCounter(0xFFFE).to_bytes()).unwrap();
    assert_eq!(read(&mut bench).0, 0x9000);
    let before = bench.remembered();
    assert_eq!(bench.send(&init().to_apdu()).sw().0, 0x9402, "FFFF is never used");
    assert_eq!(bench.remembered(), before);
}

/// A track file that READ BINARY would give away, or that holds no tracks, gives nothing to anybody.
#[test]
fn tracks_that_were_not_made_rightly_stay_where_they_are() {
    let mut bench = bank_card();
    let file = body(&bench, "070016E80049EFF0FFFF");
    for (at, value) in [(file - 16 + 6, 0xF0), (file - 16 + 6, 0x0F), (file, 0)] {
        let mut bench =
            Bench { card: Card::power_on(bench.card.memory().clone()).unwrap(), dice: Dice::default() };
        bench.card.memory_mut().write(at, &[value]).unwrap();
        bench.ok("00A40000021101");
        assert_eq!(read(&mut bench).0, 0x6985);
    }
    assert_eq!(read(&mut bench).0, 0x9000);
}

/// Bytes near a command of a bank card, or near one that reads.
fn raw() -> impl Strategy<Value = Vec<u8>> {
    let heads = vec![
        "80400000", "80420000", "80440000", "80460000", "00B09600", "00B09700", "04B09600", "00B20184",
        "00A40000", "00A40400", "00840000", "00B08400", "00D69600", "00B00000", "80CA0000",
    ];
    let head = prop::sample::select(heads);
    (head, prop::collection::vec(any::<u8>(), 0..24), any::<u8>()).prop_map(|(head, data, p2)| {
        let mut apdu = unhex(head);
        if p2 % 4 == 0 {
            apdu[3] = p2;
        }
        if !data.is_empty() {
            apdu.push(u8::try_from(data.len()).unwrap());
            apdu.extend(data);
        }
        apdu
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_answer_shows_the_tracks(apdus in prop::collection::vec(prop_oneof![3 => raw(), 1 => Just(init().to_apdu().to_vec()), 1 => Just(Vec::new())], 1..60)) {
        let mut bench = bank_card();
        let (sw, tracks) = read(&mut bench);
        prop_assert_eq!(sw, 0x9000);
        let tracks = tracks.unwrap();
        for apdu in &apdus {
            // In place of nothing, the bank reads.
            let answer = match apdu.is_empty() {
                true => { bench.ok("00A40000021101"); read(&mut bench); continue },
                false => bench.send(apdu),
            };
            // Of track 2: track 3 has runs of zeros, which other answers may have too.
            for piece in tracks.as_bytes()[1..14].windows(4) {
                prop_assert!(!answer.data().windows(4).any(|bytes| bytes == piece), "{:02X?}", apdu);
            }
        }
    }
}
