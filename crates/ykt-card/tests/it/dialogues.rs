//! Every file of tests/dialogues, word for word.

use crate::bench::Dialogue;
use ykt_card::Sight;

#[test]
fn every_dialogue_goes_as_written() {
    let names = Dialogue::names();
    names.iter().for_each(|name| {
        Dialogue::read(name).play();
    });
    assert!(names.len() >= 10, "{names:?}");
}

/// Eight KiB are enough for the demo's cards, with half of them to spare for applications to come.
#[test]
fn the_demo_image_has_room() {
    for name in ["user-card", "psam-card"] {
        let bench = Dialogue::read(name).play();
        let image = bench.card.memory().image();
        // The MF's count of used bytes, behind the header and the journal.
        let used = 512 + usize::from(u16::from_be_bytes([image[97], image[98]]));
        println!("{name}: {used} of {} bytes", image.len());
        assert!(used * 2 <= image.len());
    }
}

#[test]
fn an_engineer_sees_the_whole_card_but_no_key() {
    let bench = Dialogue::read("purse").play();
    let mut seen = Vec::new();
    bench.card.inspect(&mut |sight| {
        seen.push(match sight {
            Sight::Directory { fid, name, .. } => format!("{:02X?} {} bytes of name", fid, name.len()),
            Sight::File { fid, protection, .. } => format!("{fid:02X?} {protection:?}"),
            Sight::Purse { fid, state } => {
                let (balance, online, offline) = state.unwrap();
                format!("{fid:02X?} {} {online} {offline}", balance.fen().fen())
            }
            Sight::Tickets { fid, places, len, stored } => {
                format!("{fid:02X?} {stored} of {places} tickets of {len}")
            }
            Sight::BankCard { fid, counter } => format!("{fid:02X?} {counter}"),
            Sight::KeyPair { fid, purpose, pin, .. } => format!("{fid:02X?} to {purpose}, PIN {pin}"),
            Sight::Keys { add, .. } => format!("keys {:02X}", add.0),
            Sight::Key { usage, id, tries, .. } => format!("key {usage:02X}/{id} {:02X}", tries.0),
        });
    });
    let expected = [
        "[3F, 00] 0 bytes of name",
        "keys F0",
        "key 39/0 33",
        "[3F, 01] 9 bytes of name",
        "keys F0",
        "key 39/0 33",
        "key 3E/1 33",
        "key 3F/1 33",
        "key 34/1 33",
        "key 36/0 33",
        "key 3A/0 33",
        "[00, 15] Mac",
        "[00, 16] EncipheredMac",
        "[00, 18] Plain",
        "[00, 01] 0 0 0",
        "[00, 02] 19850 1 1",
    ];
    assert_eq!(seen, expected);
}
