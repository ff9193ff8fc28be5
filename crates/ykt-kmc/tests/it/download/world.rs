//! A centre with the documented keys, lines with blank chips, and a vault that can be taken away.

use std::path::Path;
use std::sync::Arc;
use ykt_base::{Asn8, CardChannel, Date, DateTime, Rng, Time};
use ykt_card::{ArrayMemory, Blank, Card, IMAGE_LEN_DEMO};
use ykt_crypto::Key16;
use ykt_issue::{CardData, IssueError, Personalisation, Profile, Stage, Subject};
use ykt_kmc::download::{
    Caller, CommandCall, Download, Ending, LineKind, NewLine, NewRight, OpenCall, OpenCard, Opened, Refusal,
    RightTo, Wanted, fingerprint,
};
use ykt_office::Act;
use ykt_office::audit::{self, AuditFilter, AuditRow};
use ykt_purse::files::city_factor;
use ykt_purse::write_key::Pin;
use ykt_store::{Module, Paging, Store};
use ykt_terminal::transport::in_process::InProcess;
use ykt_vault::behaviour::Switched;
use ykt_vault::{DEMO_TRANSPORT_KEY, KeysFile, SoftVault};

pub const CITY: [u8; 2] = [0x21, 0x44];
pub const LINE: &str = "line-1";
pub const OTHER: &str = "line-2";
pub const APPLICATION: &str = "city-cpu";
const MODULES: &[Module] = &[ykt_office::MODULE, ykt_kmc::download::MODULE];

/// Different bytes for every card, the same in every run.
pub struct Counting(pub u64);

impl Rng for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = (self.0 >> 56) as u8;
        }
    }
}

/// A centre with two lines that have each a right to a hundred city cards.
pub struct World {
    pub download: Download,
    pub vault: Arc<Switched>,
}

impl World {
    pub fn new() -> World {
        World::over(Store::in_memory(MODULES).unwrap())
    }

    pub fn in_folder(folder: &Path) -> World {
        World::over(Store::open(folder, MODULES).unwrap())
    }

    fn over(store: Store) -> World {
        let keys = KeysFile::parse(include_str!("../../../../../docs/keys.toml")).unwrap();
        let vault = SoftVault::from_keys(keys).unwrap();
        let vault = Arc::new(Switched::new(Arc::new(vault)));
        let profiles =
            ["city-cpu", "t-union", "psam", "ticket-addon"].map(|name| Profile::named(name).unwrap());
        let world = World { download: Download::new(store, vault.clone(), profiles), vault };
        for name in [LINE, OTHER] {
            let new = NewLine {
                name: name.to_owned(),
                kind: LineKind::Personalisation,
                certificate: fingerprint(name.as_bytes()),
            };
            world.download.add_line(&new, &act()).unwrap();
            if world.rights(name) == 0 {
                world.download.give_right(&right(name, APPLICATION, None, 100), &act()).unwrap();
            }
        }
        world
    }

    fn rights(&self, line: &str) -> usize {
        let rights = self.download.store().read(ykt_kmc::download::rights).unwrap();
        rights.iter().filter(|row| row.right.line == line).count()
    }

    /// Cards begun with the first right of a line.
    pub fn used(&self, line: &str) -> u32 {
        let rights = self.download.store().read(ykt_kmc::download::rights).unwrap();
        rights.iter().rev().find(|row| row.right.line == line).unwrap().used
    }

    pub fn batch(&self, name: &str, numbers: std::ops::Range<u8>) {
        let file: String = numbers.map(|number| format!("{},2144\n", asn(number))).collect();
        self.download.load_batch(name, APPLICATION, &format!("card,city\n{file}"), &act()).unwrap();
    }

    pub fn open(
        &self,
        line: &str,
        operation: &str,
        batch: Option<&str>,
        cards: Wanted,
    ) -> Result<Opened, Refusal> {
        self.download.open(&call(operation, batch, cards), &caller(line))
    }

    /// Makes a card of a chip with this transport key, each command by a call of its own, and notes the ending.
    pub fn make(&self, line: &str, card: &OpenCard, transport: [u8; 16]) -> Result<Chip, IssueError> {
        let Subject::Card { asn, .. } = card.subject() else { panic!("a user card") };
        let profile = Profile::city_cpu();
        let data = CardData::of_city(*asn, CITY, day("20260101"), day("20361231"), pin());
        let transport = Key16::from_bytes(transport);
        let blank = Card::blank(ArrayMemory::new(), &Blank::user_card(asn.0, &transport)).unwrap();
        let mut chip = InProcess::new(blank, Counting(u64::from(card.id())));
        let mut steps = Personalisation::card(&profile, &data);
        let made = self.run(line, card.id(), &mut chip, &mut steps);
        let ending = match &made {
            Ok(()) => Ending::Made,
            Err(error) => Ending::Failed(error.to_string()),
        };
        self.download.finish(&[(card.id(), ending)], &caller(line)).unwrap()[0].clone().unwrap();
        made.map(|()| chip)
    }

    pub fn run(
        &self,
        line: &str,
        card: u32,
        chip: &mut impl CardChannel,
        steps: &mut Personalisation<'_>,
    ) -> Result<(), IssueError> {
        let mut stage = steps.begin(chip, &mut |_| {})?;
        while stage == Stage::Asks {
            let call = CommandCall { card, request: steps.request().unwrap() };
            let command = self.download.commands(&[call], &caller(line)).unwrap().remove(0).unwrap();
            stage = steps.go_on(chip, &command, &mut |_| {})?;
        }
        Ok(())
    }

    pub fn audit(&self, what: &str) -> Vec<AuditRow> {
        let filter = AuditFilter { text: Some(what.to_owned()), ..AuditFilter::default() };
        let mut rows =
            self.download.store().read(|tx| audit::list(tx, &filter, Paging::first(1_000))).unwrap().rows;
        rows.reverse();
        rows
    }
}

pub type Chip = InProcess<ArrayMemory<IMAGE_LEN_DEMO>, Counting>;

pub fn call(operation: &str, batch: Option<&str>, cards: Wanted) -> OpenCall {
    OpenCall {
        operation: operation.to_owned(),
        application: APPLICATION.to_owned(),
        batch: batch.map(str::to_owned),
        cards,
    }
}

pub fn right(line: &str, application: &str, batch: Option<&str>, quota: u32) -> NewRight {
    NewRight {
        line: line.to_owned(),
        to: RightTo::cards(application, batch),
        quota,
        from: day("20261101"),
        until: day("20261130"),
    }
}

pub fn day(text: &str) -> Date {
    text.parse().unwrap()
}

pub fn moment() -> DateTime {
    DateTime { date: day("20261122"), time: Time::new(9, 0, 0).unwrap() }
}

pub fn act() -> Act {
    Act::of("operator", "desk", moment())
}

pub fn caller(line: &str) -> Caller {
    Caller { line: line.to_owned(), from: "192.0.2.7".to_owned(), at: moment() }
}

pub fn asn(number: u8) -> Asn8 {
    Asn8([0x21, 0x44, 0, 0, 0, 0, 0, number])
}

pub fn subject(number: u8) -> Subject {
    Subject::Card { asn: asn(number), factor: city_factor(CITY), banks: Vec::new() }
}

pub fn listed(numbers: &[u8]) -> Wanted {
    Wanted::Listed(numbers.iter().map(|number| subject(*number)).collect())
}

/// A PIN whose bytes are nowhere by chance.
pub fn pin() -> Pin {
    Pin::from_digits("731946280514").unwrap()
}

pub const TRANSPORT: [u8; 16] = DEMO_TRANSPORT_KEY;
