//! Counters before the service: cards of a campaign get their keys over links that break, and the wrong counters get nothing.

use super::lines::{act, app, blank, data, day, while_serving};
use super::papers::Papers;
use crate::world::{Count, at};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use ykt_base::{CardChannel, ChannelError, KeyVersion, Response};
use ykt_card::{ArrayMemory, IMAGE_LEN_DEMO};
use ykt_issue::{Profile, personalise_card};
use ykt_kmc::campaigns::{self, CardChoice, Counts, NewCampaign};
use ykt_kmc::download::client::{Client, ClientError, Identity};
use ykt_kmc::download::counter::{Clerk, ServeError, serve};
use ykt_kmc::download::wire::{CampaignAnswer, VisitAnswer, VisitEndAnswer};
use ykt_kmc::download::{Download, LineKind, LineState, NewLine, NewRight, RightTo, VISITS_PER_LINE_MAX};
use ykt_kmc::{Centre, Operation};
use ykt_office::Act;
use ykt_office::cards::{self, CardKind, NewCard};
use ykt_purse::files::city_factor;
use ykt_store::Store;
use ykt_terminal::transport::in_process::InProcess;
use ykt_vault::{
    DEMO_TRANSPORT_KEY, KeyAlgorithm, KeyKind, KeyManagement, KeyPlace, KeyRef, KeyState, SoftVault,
};

const CHANGES: [&str; 3] = ["card-master.1:1-2", "application-master.1:1-2", "load.1:1-2"];

/// A card on a reader that counts what it hears.
struct OnReader {
    card: InProcess<ArrayMemory<IMAGE_LEN_DEMO>, Count>,
    commands: usize,
}

impl CardChannel for OnReader {
    fn transmit(&mut self, command: &[u8]) -> Result<Response, ChannelError> {
        self.commands += 1;
        self.card.transmit(command)
    }

    fn reset(&mut self) -> Result<(), ChannelError> {
        self.card.reset()
    }
}

/// Card `number` of the city with its first keys, in the register.
fn card(store: &Store, vault: &SoftVault, number: u8) -> OnReader {
    let data = data(number);
    let mut card = blank(data.asn.0, DEMO_TRANSPORT_KEY);
    personalise_card(&mut card, vault, &Profile::city_cpu(), &data, &mut |_| {}).unwrap();
    let new = NewCard {
        asn: data.asn,
        factor: city_factor([0x21, 0x44]),
        main_type: 1,
        sub_type: 0,
        kind: CardKind::Real,
        key_version: KeyVersion(1),
        start: data.start,
        expiry: data.expiry,
    };
    store.write(|tx| cards::register(tx, &[new], &act())).unwrap();
    store.write(|tx| cards::issue(tx, &[data.asn], &act())).unwrap();
    OnReader { card, commands: 0 }
}

/// The second versions in use, and an open campaign over every card there is.
fn open_campaign(store: &Store, vault: &Arc<SoftVault>) {
    for kind in [KeyKind::CardMaster, KeyKind::ApplicationMaster, KeyKind::Load] {
        let place = KeyPlace::root(KeyRef::new(kind, 1, 2));
        vault.generate(place, KeyAlgorithm::Tdes, &mut Count::new()).unwrap();
        vault.change_state(&place, KeyState::Active).unwrap();
    }
    let centre = Centre::new(store.clone(), Arc::clone(vault) as _, None);
    centre.take_over(&Act::of_system("setup", at(5, 0))).unwrap();
    let new = NewCampaign {
        name: "second".to_owned(),
        title: "Second generation".to_owned(),
        profile: campaigns::profile_text("city-cpu").unwrap().to_owned(),
        changes: CHANGES.iter().map(|change| change.parse().unwrap()).collect(),
        cards: CardChoice::All,
    };
    let [first, second] = ["keys1", "keys2"].map(|name| Act::of(name, "desk", at(6, 0)));
    store.write(|tx| campaigns::plan(tx, &new, &first)).unwrap();
    let operation = Operation::StartCampaign { campaign: "second".to_owned() };
    centre.ask(&first, "start".parse().unwrap(), &operation, "they are due").unwrap();
    centre.approve(&second, &"start".parse().unwrap(), &mut Count::new()).unwrap();
}

fn take_in(download: &Download, papers: &Papers, name: &str, quota: u32) {
    papers.issue(name, "ca");
    let (kind, certificate) = (LineKind::Counter, papers.fingerprint(name));
    download.add_line(&NewLine { name: name.to_owned(), kind, certificate }, &act()).unwrap();
    let (from, until) = (day("20261101"), day("20261130"));
    let right = NewRight { line: name.to_owned(), to: RightTo::visits("second"), quota, from, until };
    download.give_right(&right, &act()).unwrap();
}

/// A link to the service that breaks once, where the bytes on it turn round for the `cut`th time.
#[derive(Clone)]
struct Link {
    port: u16,
    flights: Arc<Mutex<Flights>>,
}

struct Flights {
    towards: Option<Towards>,
    count: usize,
    cut: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Towards {
    Centre,
    Counter,
}

impl Link {
    fn to(service: SocketAddr) -> Link {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let flights = Arc::new(Mutex::new(Flights { towards: None, count: 0, cut: usize::MAX }));
        let link = Link { port, flights: Arc::clone(&flights) };
        std::thread::spawn(move || {
            for near in listener.incoming() {
                let (near, far) = (near.unwrap(), TcpStream::connect(service).unwrap());
                for (from, to, towards) in [(&near, &far, Towards::Centre), (&far, &near, Towards::Counter)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let flights = Arc::clone(&flights);
                    std::thread::spawn(move || carry(from, to, towards, &flights));
                }
            }
        });
        link
    }

    /// Breaks at the `cut`th flight from now.
    fn cut_at(&self, cut: usize) {
        *self.flights.lock().unwrap() = Flights { towards: None, count: 0, cut };
    }

    fn count(&self) -> usize {
        self.flights.lock().unwrap().count
    }
}

/// Carries bytes one way, until the link breaks or an end hangs up.
fn carry(mut from: TcpStream, mut to: TcpStream, towards: Towards, flights: &Mutex<Flights>) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(len @ 1..) = from.read(&mut buffer) {
        let breaks = {
            let mut flights = flights.lock().unwrap();
            let turned = flights.towards != Some(towards);
            flights.towards = Some(towards);
            flights.count += usize::from(turned);
            turned && flights.count == flights.cut
        };
        if breaks || to.write_all(&buffer[..len]).is_err() {
            break;
        }
    }
    for end in [from, to] {
        let _ = end.shutdown(Shutdown::Both);
    }
}

/// Tries again as often as a link breaks.
struct Stubborn;

impl Clerk for Stubborn {
    fn step(&mut self, _: u32) {}

    fn try_again(&mut self, _: &ClientError) -> bool {
        true
    }
}

fn client(port: u16, identity: &Identity) -> Client {
    Client::new(&format!("https://localhost:{port}"), identity).unwrap()
}

/// One showing of a card; a call that begins it is made again when the link breaks.
fn show(port: u16, identity: &Identity, visit: &str, card: &mut OnReader) -> VisitEndAnswer {
    let mut client = client(port, identity);
    for _ in 0..3 {
        match serve(&mut client, ("second", visit), card, &mut Stubborn) {
            Err(ServeError::Centre(ClientError::Wire { .. })) => {}
            ended => return ended.unwrap(),
        }
    }
    panic!("the link breaks once")
}

/// The link breaks before and after every call of a visit, and in every handshake: the card has its keys in the end, and
/// hears every command once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_may_break_anywhere() {
    const CARDS: u8 = 60;
    let papers = Papers::new();
    let (app, download, vault) = app();
    let store = app.store.clone();
    let mut cards: Vec<_> = (1..=CARDS).map(|number| card(&store, &vault, number)).collect();
    open_campaign(&store, &vault);
    take_in(&download, &papers, "counter-1", CARDS.into());
    let identity = papers.identity("counter-1");
    while_serving(&papers, app, move |address| {
        let link = Link::to(address);
        let mut cards = (1_usize..).zip(&mut cards);
        let (_, first) = cards.next().unwrap();
        link.cut_at(usize::MAX);
        assert_eq!(show(link.port, &identity, "whole", first).code, "done");
        let flights = link.count();
        println!("a visit takes {} commands and {flights} flights", first.commands);
        assert!((20..usize::from(CARDS) - 5).contains(&flights), "{flights}");
        let (whole, mut shown) = (first.commands, 1);
        for (cut, card) in cards.take(flights + 4) {
            link.cut_at(cut - 1);
            let ended = show(link.port, &identity, &format!("cut-{cut}"), card);
            assert_eq!((&*ended.code, ended.written.len()), ("done", CHANGES.len()), "{cut}: {ended:?}");
            assert_eq!(card.commands, whole, "cut at flight {cut}");
            shown += 1;
        }
        let counts = store.read(|tx| campaigns::progress(tx, "second")).unwrap();
        let waiting = u64::from(CARDS) - shown;
        assert_eq!(counts, Counts { done: shown, waiting, ..Counts::default() });
        let told = CampaignAnswer { state: "open".to_owned(), waiting, begun: 0, done: shown, stopped: 0 };
        assert_eq!(client(address.port(), &identity).campaign("second").unwrap(), told);
    })
    .await;
    let rights = download.store().read(ykt_kmc::download::rights).unwrap();
    assert!((20..u32::from(CARDS)).contains(&rights[0].used), "a broken link costs nothing");
}

/// A service that forgets a visit in between, as one that was started anew does: the card gets another visit at once.
struct Forgetting<'a> {
    client: Client,
    identity: &'a str,
    at: u32,
}

impl Clerk for Forgetting<'_> {
    fn step(&mut self, step: u32) {
        if step == self.at {
            self.at = 0;
            for number in 0..VISITS_PER_LINE_MAX {
                let visit = format!("{}.{number}", self.identity);
                assert!(matches!(
                    self.client.begin_visit(&visit, "second").unwrap(),
                    VisitAnswer::Commands { step: 1, .. }
                ));
            }
        }
    }

    fn try_again(&mut self, _: &ClientError) -> bool {
        false
    }
}

/// No right, a quota that is used up, a line that is stopped in the middle, a centre that forgot the visit, and one that cannot be
/// reached.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_are_kept_to_their_rights() {
    let papers = Papers::new();
    let (app, download, vault) = app();
    let store = app.store.clone();
    let [mut first, mut second, mut third] = [1, 2, 3].map(|number| card(&store, &vault, number));
    open_campaign(&store, &vault);
    take_in(&download, &papers, "counter-1", 1);
    take_in(&download, &papers, "counter-2", 5);
    papers.issue("nobody", "ca");
    let [one, two, nobody] = ["counter-1", "counter-2", "nobody"].map(|name| papers.identity(name));
    while_serving(&papers, app, move |address| {
        let port = address.port();
        let code = |identity: &Identity, visit: &str, card: &mut OnReader| {
            match serve(&mut client(port, identity), ("second", visit), card, &mut Stubborn) {
                Err(ServeError::Centre(ClientError::Refused { code, .. })) => code,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(code(&nobody, "v", &mut first), "unknown-line");
        assert_eq!(first.commands, 0);
        let mut forgetting = Forgetting { client: client(port, &one), identity: "w", at: 6 };
        let ended = serve(&mut client(port, &one), ("second", "v1"), &mut first, &mut forgetting).unwrap();
        assert_eq!((&*ended.code, forgetting.at), ("done", 0));
        assert_eq!(code(&one, "v2", &mut second), "quota-used");
        assert_eq!(show(port, &one, "v3", &mut first).code, "done-already");
        assert_eq!(show(port, &two, "v1", &mut second).code, "done", "another counter has a right left");

        struct Stopping<'a>(&'a Download);
        impl Clerk for Stopping<'_> {
            fn step(&mut self, step: u32) {
                if step == 7 {
                    self.0.set_line("counter-2", LineState::Stopped, &act()).unwrap();
                }
            }
            fn try_again(&mut self, _: &ClientError) -> bool {
                false
            }
        }
        let stopped =
            serve(&mut client(port, &two), ("second", "v2"), &mut third, &mut Stopping(&download));
        assert!(
            matches!(&stopped, Err(ServeError::Centre(ClientError::Refused { code, .. })) if code == "line-stopped"),
            "{stopped:?}"
        );
        let begun = Counts { done: 2, begun: 1, ..Counts::default() };
        assert_eq!(store.read(|tx| campaigns::progress(tx, "second")).unwrap(), begun);
        download.set_line("counter-2", LineState::Active, &act()).unwrap();
        assert_eq!(show(port, &two, "v3", &mut third).code, "done", "it goes on");

        let silent = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let none = serve(&mut client(silent, &one), ("second", "v"), &mut third, &mut Stubborn);
        assert!(matches!(none, Err(ServeError::Centre(ClientError::Wire { .. }))), "{none:?}");
    })
    .await;
}
