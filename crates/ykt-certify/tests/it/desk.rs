//! Cards made by the profiles of this release, and the desk that judges them.

use std::collections::VecDeque;
use ykt_base::{Asn8, CardChannel, ChannelError, Date, DateTime, PsamSerial, Response, Rng, TerminalId};
use ykt_card::{ArrayMemory, Blank, Card, IMAGE_LEN_DEMO};
use ykt_certify::{Harm, Job, Plan, Report, run};
use ykt_crypto::Key16;
use ykt_issue::{CardData, Profile, PsamData, personalise_card, personalise_psam};
use ykt_purse::write_key::Pin;
use ykt_vault::{DEMO_TRANSPORT_KEY, DeskKeys, KeysFile, SoftVault};

/// The keys of every card here: those that the documentation prints.
const KEYS: &str = include_str!("../../../../docs/keys.toml");

/// Memory of the cards here.
pub type Chip = ArrayMemory<IMAGE_LEN_DEMO>;

/// Random bytes: those queued, then a count, mixed.
#[derive(Clone, Default)]
pub struct Dice {
    pub queue: VecDeque<u8>,
    count: u64,
}

impl Rng for Dice {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            *byte = self.queue.pop_front().unwrap_or_else(|| {
                self.count = self
                    .count
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                (self.count >> 56) as u8
            });
        }
    }
}

/// A card in this process.
pub struct Bench {
    pub card: Card<Chip>,
    pub dice: Dice,
}

impl CardChannel for Bench {
    fn transmit(&mut self, command: &[u8]) -> Result<Response, ChannelError> {
        Ok(self.card.process(&mut self.dice, command))
    }

    fn reset(&mut self) -> Result<(), ChannelError> {
        self.card.reset();
        Ok(())
    }
}

fn blank(profile: &Profile) -> Bench {
    let transport = Key16::from_bytes(DEMO_TRANSPORT_KEY);
    let blank = Blank { kind: profile.kind, atr: &profile.atr, ..Blank::user_card([7; 8], &transport) };
    Bench { card: Card::blank(Chip::new(), &blank).unwrap(), dice: Dice::default() }
}

fn vault() -> SoftVault {
    SoftVault::from_keys(KeysFile::parse(KEYS).unwrap()).unwrap()
}

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

/// Card number of the cards here.
pub const ASN: Asn8 = Asn8([0x21, 0x44, 0, 0, 0, 0, 0, 0x17]);
/// City of the cards here.
pub const CITY: [u8; 2] = [0x21, 0x44];

/// A user card of this profile.
pub fn card(profile: &Profile) -> Bench {
    let mut bench = blank(profile);
    let pin = Pin::from_digits("123456").unwrap();
    let data = CardData::of_city(ASN, CITY, day("20260101"), day("20361231"), pin);
    personalise_card(&mut bench, &vault(), profile, &data, &mut |_| {}).unwrap();
    bench
}

/// A PSAM of this profile.
pub fn psam(profile: &Profile) -> Bench {
    let mut bench = blank(profile);
    let serial = PsamSerial([0, 0, 0x21, 0x44, 0, 0, 0, 0, 0, 9]);
    let terminal = TerminalId([0x21, 0x44, 0, 0, 0, 9]);
    let data = PsamData::of_city(serial, terminal, CITY, day("20260101"), day("20361231"));
    personalise_psam(&mut bench, &vault(), profile, &data, &mut |_| {}).unwrap();
    bench
}

/// A PSAM that also delivers TAC and maintenance keys.
pub fn full_psam() -> Bench {
    let profile = include_str!("../../../ykt-issue/profiles/psam.toml");
    let key = |kind: &str, usage: &str| {
        format!(
            "\n[[step]]\ntitle = 'more'\ndo = 'write-sam-key'\nkey = '{kind}'\n\
             control = 'psam-application-master'\nusage = '{usage}'\n"
        )
    };
    let more = [key("tac", "44"), key("application-maintenance", "45")].concat();
    psam(&Profile::parse(&format!("{profile}{more}")).unwrap())
}

/// The documented keys.
pub fn keys() -> DeskKeys {
    DeskKeys::from_keys(KeysFile::parse(KEYS).unwrap()).unwrap()
}

/// Runs a plan on a card with the documented keys.
pub fn judge(channel: &mut dyn CardChannel, plan: &Plan, harm: Harm, only: &[String]) -> Report {
    judge_with(&keys(), channel, plan, harm, only)
}

/// Runs a plan on a card with these keys.
pub fn judge_with(
    keys: &DeskKeys,
    channel: &mut dyn CardChannel,
    plan: &Plan,
    harm: Harm,
    only: &[String],
) -> Report {
    let at = DateTime::start_of(day("20261122"));
    // T=1, so that Le is the card's business.
    let job = Job { plan, keys, only, harm, at, place: "a test", atr: &[0x3B, 0x80, 0x01] };
    run(channel, &job, &mut |_| {}).unwrap()
}

/// A card with everything a purse application may have: deposit, cash, unload, overdraft, composite purchase, grey
/// lock, and a PIN before loads.
pub fn full_card() -> Bench {
    let profile = include_str!("../../../ykt-issue/profiles/city-cpu.toml");
    let [purse, pin] = ["electronic purse (EF 0002)", "PIN of the holder"];
    let more = [
        (purse, "do = 'create-purse'\nfid = '0001'\nlog = '18'"),
        (purse, "do = 'create-cyclic'\nfid = '001E'\ncount = 10\nlen = 48\nwrite = 'F0'"),
        (pin, "do = 'write-key'\nkey = 'unload'\ncontrol = 'application-master'\nid = 1"),
        (pin, "do = 'write-key'\nkey = 'overdraft'\ncontrol = 'application-master'\nid = 1"),
    ];
    let text = profile.replace("create = \"01\"\n", "create = \"01\"\nload_needs_pin = true\n");
    let text = more.into_iter().fold(text, |text, (before, step)| {
        let (head, tail) = text.split_once(&format!("[[step]]\ntitle = \"{before}\"")).unwrap();
        format!("{head}[[step]]\ntitle = 'more'\n{step}\n\n[[step]]\ntitle = \"{before}\"{tail}")
    });
    card(&Profile::parse(&text).unwrap())
}
