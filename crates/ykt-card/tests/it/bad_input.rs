//! Wrong lengths, parameters, classes and orders, for every command: the status word of `epurse.md` 5, and not a
//! byte of the image changed.

use crate::bench::{Bench, Dialogue, SELECT_APPLICATION, unhex};

/// A command as it should be, without Le, and what it takes.
struct Good {
    name: &'static str,
    apdu: &'static str,
    /// Classes its instruction exists in.
    classes: &'static [u8],
    /// Status words of a data field one byte shorter and one byte longer.
    shorter: u16,
    longer: u16,
    /// Le beside absent and 00 that is answered, when the command alone decides it.
    le: Option<u8>,
}

const fn good(
    name: &'static str,
    apdu: &'static str,
    classes: &'static [u8],
    (shorter, longer): (u16, u16),
    le: Option<u8>,
) -> Good {
    Good { name, apdu, classes, shorter, longer, le }
}

/// One of each command of a user card whose application is selected; no challenge is waiting.
const USER: &[Good] = &[
    good("SELECT by FID", "00A40000023F01", &[0x00], (0x6700, 0x6700), Some(0x34)),
    good("READ BINARY", "00B09500", &[0x00, 0x04], (0x6700, 0x6700), None),
    good("READ BINARY with MAC", "04B095000400000000", &[0x00, 0x04], (0x6987, 0x6700), None),
    good("UPDATE BINARY", "00D695000101", &[0x00, 0x04, 0x84], (0x6987, 0x6987), Some(0)),
    good("UPDATE BINARY with MAC", "04D69500050100000000", &[0x00, 0x04, 0x84], (0x6700, 0x6984), Some(0)),
    good(
        "UPDATE BINARY enciphered",
        "84D695000C010203040506070800000000",
        &[0x00, 0x04, 0x84],
        (0x6700, 0x6700),
        Some(0),
    ),
    good("READ RECORD", "00B201C4", &[0x00, 0x04], (0x6700, 0x6700), None),
    good("UPDATE RECORD", "00DC01C40101", &[0x00, 0x04, 0x80, 0x84], (0x6987, 0x6982), Some(0)),
    good(
        "UPDATE RECORD with MAC",
        "04DC01C4050100000000",
        &[0x00, 0x04, 0x80, 0x84],
        (0x6700, 0x6982),
        Some(0),
    ),
    good("APPEND RECORD", "00E200C00101", &[0x00, 0x04, 0x84], (0x6987, 0x6982), Some(0)),
    good("ERASE DF", "800E0000", &[0x80], (0x6700, 0x6700), Some(0)),
    good("CREATE FILE", "80E0001707280010F0F0FFFF", &[0x80], (0x6700, 0x6700), Some(0)),
    good("GET CHALLENGE", "00840000", &[0x00], (0x6700, 0x6700), None),
    good("EXTERNAL AUTHENTICATE", "00820000080102030405060708", &[0x00], (0x6700, 0x6700), Some(0)),
    good("INTERNAL AUTHENTICATE", "00880000080102030405060708", &[0x00, 0x80], (0x6700, 0x6700), Some(8)),
    good("VERIFY", "00200000080102030405060708", &[0x00], (0x6700, 0x6700), Some(0)),
    good("CHANGE PIN", "805E01010D999999FFFFFFFF123456FFFFFF", &[0x80], (0x6A88, 0x6700), Some(0)),
    good("RELOAD PIN", "805E00010A12345600000000000000", &[0x80], (0x6A88, 0x6700), Some(0)),
    good("PIN UNBLOCK", "842400000C010203040506070800000000", &[0x84], (0x6700, 0x6700), Some(0)),
    good("WRITE HARD INFO", "84F400000C010203040506070800000000", &[0x84], (0x6700, 0x6700), Some(0)),
    good("GET HARD INFO", "80F60000", &[0x80], (0x6700, 0x6700), Some(22)),
    good("GET RESPONSE", "00C00000", &[0x00], (0x6700, 0x6700), None),
    good("APPLICATION BLOCK", "841E00000400000000", &[0x84], (0x6987, 0x6700), Some(0)),
    good("APPLICATION UNBLOCK", "841800000400000000", &[0x84], (0x6987, 0x6700), Some(0)),
    good("CARD BLOCK", "841600000400000000", &[0x84], (0x6987, 0x6700), Some(0)),
    good(
        "WRITE KEY",
        "84D48032140102030405060708010203040506070800000000",
        &[0x80, 0x84],
        (0x6700, 0x6700),
        Some(0),
    ),
    good("GET BALANCE", "805C0002", &[0x80], (0x6700, 0x6700), Some(4)),
    good("INITIALIZE FOR LOAD", "805000020B0100000001001122334455", &[0x80], (0x6700, 0x6700), Some(0x10)),
    good("CREDIT FOR LOAD", "805200000B2024013112345600000000", &[0x80], (0x6700, 0x6700), Some(4)),
    good(
        "INITIALIZE FOR PURCHASE",
        "805001020B0100000001001122334455",
        &[0x80],
        (0x6700, 0x6700),
        Some(0x0F),
    ),
    good("UPDATE CAPP DATA CACHE", "80DC01BC020102", &[0x00, 0x04, 0x80, 0x84], (0x6901, 0x6901), Some(0)),
    good(
        "DEBIT FOR PURCHASE",
        "805401000F000000112024013112345600000000",
        &[0x80],
        (0x6700, 0x6700),
        Some(8),
    ),
    good("INITIALIZE FOR UNLOAD", "805005010B0100000001001122334455", &[0x80], (0x6700, 0x6700), Some(0x10)),
    good("DEBIT FOR UNLOAD", "805403000B2024013112345600000000", &[0x80], (0x6700, 0x6700), Some(4)),
    good("INITIALIZE FOR UPDATE", "805004010701001122334455", &[0x80], (0x6700, 0x6700), Some(0x13)),
    good(
        "UPDATE OVERDRAW LIMIT",
        "805800000E0186A02024013112345600000000",
        &[0x80],
        (0x6700, 0x6700),
        Some(4),
    ),
    good("INITIALIZE FOR GREY LOCK", "E07A08020701001122334455", &[0xE0], (0x6700, 0x6700), Some(0x0F)),
    good("GREY LOCK", "E07C08001300000011E1E2E3E42024013112345600000000", &[0xE0], (0x6700, 0x6700), Some(8)),
    good(
        "DEBIT FOR UNLOCK",
        "E07E08021B000000010001001122334455000000122024013112345600000000",
        &[0xE0],
        (0x6700, 0x6700),
        Some(4),
    ),
    good("INITIALIZE FOR GREY UNLOCK", "E07A09020701001122334455", &[0xE0], (0x6700, 0x6700), Some(0x12)),
    good("GREY UNLOCK", "E07E09020F000000012024013112345600000000", &[0xE0], (0x6700, 0x6700), Some(4)),
    good("GET DATA", "80CA0000", &[0x80, 0xE0], (0x6700, 0x6700), Some(9)),
    good("GET LOCK PROOF", "E0CA0000", &[0x80, 0xE0], (0x6700, 0x6700), Some(0x1E)),
    good("GET TRANSACTION PROVE", "805A0006020000", &[0x80], (0x6700, 0x6700), Some(8)),
];

/// Those a PSAM has beside the common ones, its application selected.
const PSAM: &[Good] = &[
    good(
        "INIT SAM FOR PURCHASE",
        "80700000245A5B5C5D00000000009606202401311234560200170001017090798401011000FFFFFFFF",
        &[0x80],
        (0x6700, 0x6700),
        Some(8),
    ),
    good("CREDIT SAM", "807200000400000000", &[0x80], (0x6700, 0x6700), Some(0)),
    good(
        "INIT SAM GREY LOCK",
        "E040000024D1D2D3D4000300004CC292202401311234560200170001017090798401011000FFFFFFFF",
        &[0xE0],
        (0x6700, 0x6700),
        Some(0x0C),
    ),
    good("CERTIFY SAM GREY LOCK", "E04200000400000000", &[0xE0], (0x6700, 0x6700), Some(0)),
    good("CALCULATE GMAC", "E04400000F93170001017090798400030000012C", &[0xE0], (0x6700, 0x6700), Some(8)),
    good("CHECK AUTHENTICATION CODE", "80CA000009017090798400000000", &[0x80], (0x6700, 0x6700), Some(0)),
    good("DERIVE M1 KEYS", "80FC01010F21441A2B3C4D0001AC000000020307", &[0x80], (0x6700, 0x6700), Some(0x12)),
    good("DELIVERY KEY", "801A440210170001017090798401011000FFFFFFFF", &[0x80], (0x6700, 0x6700), Some(0)),
    good("CIPHER DATA", "80FA0000080102030405060708", &[0x80], (0x6700, 0x6700), Some(8)),
    good(
        "WRITE KEY of a PSAM",
        "84D40000140102030405060708010203040506070800000000",
        &[0x84],
        (0x6700, 0x6700),
        Some(0),
    ),
];

/// Those a key card has, its application selected and the PIN verified.
const KEY_CARD: &[Good] = &[
    good("BEGIN CARD", "80740000101700010170907984AAAAAAAAAAAAAAAA", &[0x80], (0x6700, 0x6700), Some(4)),
    good("DERIVE CARD KEY", "80763E010A8101F000F033A1B2C3D4", &[0x80], (0x6700, 0x6700), None),
    good("END CARD", "80780000", &[0x80], (0x6700, 0x6700), Some(0)),
    good("GET KEY CARD INFO", "807A0000", &[0x80], (0x6700, 0x6700), Some(0x44)),
    good(
        "WRITE KEY of a key card",
        "84D40000140102030405060708010203040506070800000000",
        &[0x84],
        (0x6700, 0x6700),
        Some(0),
    ),
];

/// Those of the ticket application.
const TICKETS: &[Good] = &[
    good(
        "Write_ET_Init",
        "80300000100145540000000000012E214400000A01",
        &[0x80],
        (0x6700, 0x6700),
        Some(0x0D),
    ),
    good("Write_ET_Info", "803200000101", &[0x80], (0x6700, 0x6901), Some(0)),
    good("Write_ET_End", "803400000B2024013112345600000000", &[0x80], (0x6700, 0x6700), Some(4)),
    good("Read_ET_Init", "80360000084554000000000001", &[0x80], (0x6700, 0x6700), Some(0x24)),
    good(
        "Read_ET_Init to redeem",
        "803601000E4554000000000001214400000B07",
        &[0x80],
        (0x6700, 0x6700),
        Some(0x2C),
    ),
    good("Read_ET_Info", "80380000", &[0x80], (0x6700, 0x6700), None),
    good("Read_ET_End", "803A01000F000000112024013112345600000000", &[0x80], (0x6700, 0x6700), Some(8)),
];

/// Those of a bank card.
const BANK: &[Good] = &[
    good("InitMC", "80400000120100003039214400000C0120240131123456", &[0x80], (0x6700, 0x6700), Some(0x0C)),
    good("ReadMC", "804200000400000000", &[0x80], (0x6700, 0x6700), None),
    good(
        "Transmit_Consume_Note",
        "804400002F000001303000003039214400000C0120240131123456000001303133313132333435363738413142324333\
         00000000",
        &[0x80],
        (0x6700, 0x6700),
        Some(4),
    ),
    good("Read_Share_Sign", "80460000", &[0x00, 0x80], (0x6700, 0x6700), None),
];

/// Those a token has, its application selected; key pair 0A asks for no PIN.
const TOKEN: &[Good] = &[
    good("GENERATE KEY PAIR", "0046800A", &[0x00, 0x80], (0x6700, 0x6700), Some(0x41)),
    good("READ PUBLIC KEY", "0046810A", &[0x00, 0x80], (0x6700, 0x6700), Some(0x41)),
    good("HASH", "802A900A026162", &[0x80], (0x9000, 0x9000), Some(0)),
    good("SIGN", "802A9A0A026162", &[0x80], (0x9000, 0x9000), Some(0x40)),
    good("SIGN the last block", "802A9B0A026162", &[0x80], (0x6901, 0x6901), Some(0x40)),
    good(
        "SIGN a digest",
        "802A9C0A200000000000000000000000000000000000000000000000000000000000000000",
        &[0x80],
        (0x6700, 0x6700),
        Some(0x40),
    ),
    good(
        "INTERNAL AUTHENTICATE SM2",
        "8088000A11000102030405060708090A0B0C0D0E0F10",
        &[0x00, 0x80],
        (0x6985, 0x6985),
        Some(0x40),
    ),
];

fn user_card() -> Bench {
    let mut bench = Dialogue::read("user-card").play();
    bench.ok(SELECT_APPLICATION);
    bench
}

fn ticket_card() -> Bench {
    let mut bench = Dialogue::read("ticket-card").play();
    bench.ok("00A40000021002");
    bench
}

fn bank_card() -> Bench {
    let mut bench = Dialogue::read("bank-card").play();
    bench.ok("00A40000021101");
    bench
}

fn token() -> Bench {
    let mut bench = Dialogue::read("token-card").play();
    bench.ok("00A4000002DF04");
    bench
}

fn psam() -> Bench {
    let mut bench = Dialogue::read("psam-card").play();
    bench.ok("00A4000002DF01");
    bench
}

fn key_card() -> Bench {
    let mut bench = Dialogue::read("key-card").play();
    bench.ok("00A4000002DF02");
    bench.ok("0020000003123456");
    bench
}

/// Sends what must not change a byte. The tries of a PIN are the one thing a wrong command may cost, and only
/// when it says so.
fn refused(bench: &mut Bench, apdu: &[u8], context: &str) -> u16 {
    let before = *bench.card.memory().image();
    let sw = bench.send(apdu).sw().0;
    if sw & 0xFFF0 != 0x63C0 {
        assert!(before == *bench.card.memory().image(), "{context}: {apdu:02X?} changed the image, {sw:04X}");
    }
    sw
}

fn with_data(apdu: &[u8], data: &[u8]) -> Vec<u8> {
    let lc = u8::try_from(data.len()).unwrap();
    let mut out = apdu[..4].to_vec();
    if lc > 0 {
        out.push(lc);
        out.extend(data);
    }
    out
}

fn every_wrong_form(fresh: fn() -> Bench, commands: &[Good]) -> usize {
    let mut sent = 0;
    let mut bench = fresh();
    let mut send = |apdu: &[u8], context: &str| {
        sent += 1;
        refused(&mut bench, apdu, context)
    };
    for good in commands {
        let (name, apdu) = (good.name, unhex(good.apdu));
        for len in 0..4 {
            assert_eq!(send(&apdu[..len], name), 0x6700, "{name} cut to {len}");
        }
        // Lc that does not agree with what follows.
        for len in 6..apdu.len() {
            assert_eq!(send(&apdu[..len], name), 0x6700, "{name} cut to {len}");
        }
        let mut long = apdu.clone();
        long.extend([0; 2]);
        if apdu.len() > 4 {
            assert_eq!(send(&long, name), 0x6700, "{name} with two bytes after its data");
        }
        // Data one byte shorter and longer, Lc right.
        let data = apdu.get(5..).unwrap_or_default();
        if data.is_empty() {
            assert_eq!(send(&with_data(&apdu, &[0, 0]), name), good.longer, "{name} with data");
        } else {
            let shorter = send(&with_data(&apdu, &data[..data.len() - 1]), name);
            assert_eq!(shorter, if data.len() == 1 { 0x6700 } else { good.shorter }, "{name} shorter");
            let longer = send(&with_data(&apdu, &[data, &[0]].concat()), name);
            assert_eq!(longer, good.longer, "{name} longer");
        }
        for cla in (0..=u8::MAX).filter(|cla| !good.classes.contains(cla)) {
            let mut wrong = apdu.clone();
            wrong[0] = cla;
            assert_eq!(send(&wrong, name), 0x6E00, "{name} in class {cla:02X}");
        }
        // Every P1 and P2: whatever the card says, it must not have changed, unless it did what it should.
        for at in [2, 3] {
            for value in 0..=u8::MAX {
                let mut other = apdu.clone();
                other[at] = value;
                send(&other, name);
            }
        }
        if let Some(exact) = good.le {
            for le in (1..=u8::MAX).filter(|le| *le != exact) {
                let mut wrong = apdu.clone();
                wrong.push(le);
                let sw = send(&wrong, name);
                assert_eq!(sw, 0x6C00 | u16::from(exact), "{name} with Le {le:02X}");
            }
        }
    }
    sent
}

#[test]
fn wrong_forms_of_every_command_change_nothing() {
    let user = every_wrong_form(user_card, USER);
    let tickets = every_wrong_form(ticket_card, TICKETS);
    let bank = every_wrong_form(bank_card, BANK);
    let token = every_wrong_form(token, TOKEN);
    let psam = every_wrong_form(psam, PSAM);
    let key_card = every_wrong_form(key_card, KEY_CARD);
    println!(
        "wrong forms: {user} to a purse, {tickets} to tickets, {bank} to a bank card, {token} to a token, {psam} to a \
         PSAM, {key_card} to a key card"
    );
}

#[test]
fn every_class_and_instruction_has_an_answer() {
    let cards = [
        (user_card as fn() -> Bench, USER),
        (ticket_card, TICKETS),
        (bank_card, BANK),
        (token, TOKEN),
        (psam, PSAM),
        (key_card, KEY_CARD),
    ];
    for (fresh, commands) in cards {
        let mut bench = fresh();
        for cla in 0..=u8::MAX {
            for ins in 0..=u8::MAX {
                let sw = refused(&mut bench, &[cla, ins, 0xEE, 0xEE], "four bytes");
                let known_class = [0x00, 0x04, 0x80, 0x84, 0xE0].contains(&cla);
                match sw {
                    0x6E00 => {}
                    0x6D00 => assert!(known_class, "{cla:02X}{ins:02X}"),
                    _ => assert!(known_class && sw & 0xF000 == 0x6000, "{cla:02X}{ins:02X}: {sw:04X}"),
                }
                let exists = commands.iter().any(|good| {
                    let apdu = unhex(good.apdu);
                    apdu[1] == ins && good.classes.contains(&cla)
                });
                assert!(!exists || ![0x6D00, 0x6E00].contains(&sw), "{cla:02X}{ins:02X}: {sw:04X}");
            }
        }
    }
}

/// Whatever command stands between INITIALIZE and its follow-up, right or wrong, the follow-up finds nothing.
#[test]
fn no_command_keeps_a_transaction_alive() {
    let load = "805000020B0100000001001122334455";
    let credit = "805200000B2024013112345600000000";
    for between in USER {
        let mut bench = user_card();
        bench.ok(load);
        let sw = bench.send(&unhex(between.apdu)).sw().0;
        let before = *bench.card.memory().image();
        bench.ok(SELECT_APPLICATION);
        assert_eq!(bench.sw(credit), 0x6901, "after {} ({sw:04X})", between.name);
        assert_eq!(bench.sw("805401000F000000112024013112345600000000"), 0x6901);
        assert!(before == *bench.card.memory().image());
    }
    let mut bench = user_card();
    bench.ok(load);
    assert_eq!(bench.sw(credit), 0x9302, "MAC2 of zeros");
    assert_eq!(bench.sw(credit), 0x6901, "and the error has taken the context");
    bench.ok(load);
    bench.card.reset();
    assert_eq!(bench.sw(credit), 0x6901);
    bench.ok(SELECT_APPLICATION);
    bench.ok(load);
    bench.power_cycle();
    assert_eq!(bench.sw(credit), 0x6901);
}

/// One wrong bit anywhere in what the host signs.
#[test]
fn every_bit_of_a_credit_counts() {
    let credit = unhex("805200000B20240131123456764044A2");
    let mut bench = user_card();
    let image = *bench.card.memory().image();
    for bit in 40..credit.len() * 8 {
        let mut wrong = credit.clone();
        wrong[bit / 8] ^= 0x80 >> (bit % 8);
        bench.dice.queue(&[1, 2, 3, 4]);
        bench.ok("805000020B0100004E20001122334455");
        let sw = bench.send(&wrong).sw().0;
        assert!([0x9302, 0x6A80].contains(&sw), "bit {bit}: {sw:04X}");
        assert!(image == *bench.card.memory().image(), "bit {bit}");
    }
    bench.dice.queue(&[1, 2, 3, 4]);
    bench.ok("805000020B0100004E20001122334455");
    assert!(bench.send(&credit).sw().is_ok());
}

/// Wrong MACs cost a counted key its tries, then lock it; nothing else changes.
#[test]
fn wrong_macs_lock_the_key() {
    let mut bench = user_card();
    let before = bench.remembered();
    for expected in [0x6988, 0x6988, 0x6988, 0x6983, 0x6983] {
        bench.ok("0084000004");
        assert_eq!(bench.sw("04D69500050100000000"), expected);
    }
    let after = bench.remembered();
    let changed: Vec<_> = before.iter().zip(&after).filter(|(old, new)| old != new).collect();
    assert_eq!(changed, [(&0x33, &0x30)], "only the tries of the line-protection key");
    assert!(bench.ok("00B095001E").len() == 30, "reading in clear goes on");
}

#[test]
fn images_that_are_no_cards() {
    use ykt_card::{ArrayMemory, Blank, BlankError, Card, IMAGE_LEN_MIN, Memory, PowerOnError};
    use ykt_crypto::Key16;
    assert!(matches!(Card::power_on(ArrayMemory::<1024>::new()), Err(PowerOnError::NotACard)));
    assert!(matches!(Card::power_on(ArrayMemory::<0>::new()), Err(PowerOnError::NotACard)));
    let mut foreign = ArrayMemory::from_image([0xA5; 1024]);
    assert!(matches!(Card::power_on(&mut foreign), Err(PowerOnError::NotACard)));
    assert_eq!(foreign.writes(), 0, "what is no card is left alone, whatever stands in the journal's place");
    let key = Key16::from_bytes([1; 16]);
    let blank = Blank::user_card([0; 8], &key);
    assert!(matches!(
        Card::blank(ArrayMemory::<{ IMAGE_LEN_MIN - 1 }>::new(), &blank),
        Err(BlankError::MemoryLength { found: 1023 })
    ));
    assert!(matches!(
        Card::blank(ArrayMemory::<65_536>::new(), &blank),
        Err(BlankError::MemoryLength { found: 65_536 })
    ));
    let long = Blank { atr: &[0x3B; 34], ..Blank::user_card([0; 8], &key) };
    assert!(matches!(
        Card::blank(ArrayMemory::<1024>::new(), &long),
        Err(BlankError::AtrLength { found: 34 })
    ));
    let card = Card::blank(ArrayMemory::<1024>::new(), &blank).unwrap();
    assert_eq!(card.atr(), ykt_card::ATR_USER_CARD);
    let mut image = [0; 2048];
    image[..1024].copy_from_slice(card.memory().image());
    assert!(matches!(
        Card::power_on(ArrayMemory::from_image(image)),
        Err(PowerOnError::Length { stated: 1024, found: 2048 })
    ));
    for at in 0..96 {
        let mut memory = card.memory().clone();
        memory.write(at, &[memory.image()[at] ^ 1]).unwrap();
        assert!(matches!(Card::power_on(memory), Err(PowerOnError::NotACard)), "byte {at}");
    }
}
