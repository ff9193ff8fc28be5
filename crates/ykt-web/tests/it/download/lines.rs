//! Lines before the service: cards made through it, and every kind of stranger sent away.

use super::papers::Papers;
use crate::world;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use tokio::sync::oneshot;
use ykt_base::Date;
use ykt_base::hex::Hex;
use ykt_card::{ArrayMemory, Blank, Card, IMAGE_LEN_DEMO};
use ykt_crypto::Key16;
use ykt_issue::{CardData, DownloadError, Personalisation, Profile, personalise_card_with};
use ykt_kmc::download::client::{Client, ClientError};
use ykt_kmc::download::wire::BatchAnswer;
use ykt_kmc::download::{
    Download, Ending, LineKind, LineState, NewLine, NewRight, OpenCall, RightTo, Station, Wanted, run_abreast,
};
use ykt_office::Act;
use ykt_office::audit::{self, AuditFilter};
use ykt_purse::write_key::Pin;
use ykt_store::Paging;
use ykt_terminal::transport::in_process::InProcess;
use ykt_vault::{DEMO_TRANSPORT_KEY, KeysFile, SoftVault, Vault};
use ykt_web::{App, ConfigError, ServeError, Server};

pub(super) fn day(text: &str) -> Date {
    text.parse().unwrap()
}

pub(super) fn act() -> Act {
    Act::of("operator", "desk", world::at(8, 0))
}

pub(super) fn app() -> (App, Download, Arc<SoftVault>) {
    let keys = KeysFile::parse(include_str!("../../../../../docs/keys.toml")).unwrap();
    let soft = Arc::new(SoftVault::from_keys(keys).unwrap());
    let vault: Arc<dyn Vault> = soft.clone();
    let empty = world::empty();
    let download = Download::new(empty.store.clone(), vault.clone(), [Profile::city_cpu()]);
    (App { vault: Some(vault), ..empty }, download, soft)
}

fn take_in(download: &Download, papers: &Papers, name: &str) {
    let (kind, certificate) = (LineKind::Personalisation, papers.fingerprint(name));
    download.add_line(&NewLine { name: name.to_owned(), kind, certificate }, &act()).unwrap();
    let right = NewRight {
        line: name.to_owned(),
        to: RightTo::cards("city-cpu", None),
        quota: 100,
        from: day("20261101"),
        until: day("20261130"),
    };
    download.give_right(&right, &act()).unwrap();
}

/// Serves while `work` runs with the address of the service.
pub(super) async fn while_serving(papers: &Papers, app: App, work: impl FnOnce(SocketAddr) + Send + 'static) {
    let mut config = world::config();
    config.server.listen = "127.0.0.1:0".parse().unwrap();
    config.download.listen = Some("127.0.0.1:0".parse().unwrap());
    config.download.certificate = Some(papers.path("server.pem"));
    config.download.key = Some(papers.path("server.key"));
    config.download.client_ca = Some(papers.path("ca.pem"));
    let server = Server::bind(config, app).unwrap();
    let address = server.download_address().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async move { drop(stopped.await) }));
    tokio::task::spawn_blocking(move || work(address)).await.unwrap();
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
}

/// A blank chip with this transport key.
pub(super) fn blank(
    serial: [u8; 8],
    transport: [u8; 16],
) -> InProcess<ArrayMemory<IMAGE_LEN_DEMO>, world::Count> {
    let transport = Key16::from_bytes(transport);
    let card = Card::blank(ArrayMemory::new(), &Blank::user_card(serial, &transport)).unwrap();
    InProcess::new(card, world::Count::new())
}

fn call(operation: &str, batch: Option<&str>, cards: Wanted) -> OpenCall {
    let (operation, application) = (operation.to_owned(), "city-cpu".to_owned());
    OpenCall { operation, application, batch: batch.map(str::to_owned), cards }
}

pub(super) fn data(number: u8) -> CardData {
    let pin = Pin::from_digits("123456").unwrap();
    let asn = ykt_base::Asn8([0x21, 0x44, 0, 0, 0, 0, 0, number]);
    CardData::of_city(asn, [0x21, 0x44], day("20261122"), day("20361231"), pin)
}

/// A line brings a batch, makes its cards abreast with one that is bad, and one more card by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_makes_a_batch_through_the_service() {
    let papers = Papers::new();
    papers.issue("line-1", "ca");
    let (app, download, _) = app();
    take_in(&download, &papers, "line-1");
    let identity = papers.identity("line-1");
    while_serving(&papers, app, move |address| {
        let mut client = Client::new(&format!("localhost:{}", address.port()), &identity).unwrap();
        let steps =
            client.applications().unwrap().into_iter().find(|one| one.name == "city-cpu").unwrap().steps;
        assert_eq!((steps[1].step, &*steps[1].title, steps[1].key), (2, "card master key", true));
        let file: String = (1..9).map(|number| format!("21440000000000{number:02X},2144\n")).collect();
        let waiting = client.upload("b1", "city-cpu", &format!("card,city\n{file}")).unwrap();
        assert_eq!(waiting, BatchAnswer { waiting: 8, under_way: 0, done: 0, failed: 0 });
        let opened = client.open(&call("op-1", Some("b1"), Wanted::Next(64))).unwrap();
        assert_eq!(client.open(&call("op-1", Some("b1"), Wanted::Next(64))).unwrap(), opened);
        let (profile, cards): (_, Vec<_>) = (Profile::city_cpu(), (1..9).map(data).collect());
        let mut stations: Vec<_> = opened
            .open
            .iter()
            .zip(&cards)
            .map(|(open, data)| {
                assert_eq!(open.card.card, data.asn.to_string());
                let key = if data.asn.0[7] == 5 { [0x55; 16] } else { DEMO_TRANSPORT_KEY };
                Station::new(open.id, blank(data.asn.0, key), Personalisation::card(&profile, data))
            })
            .collect();
        let mut rounds = 0;
        run_abreast(&mut stations, |calls| {
            rounds += 1;
            client.commands(calls)
        })
        .unwrap();
        assert_eq!(rounds, steps.iter().filter(|step| step.key).count());
        let endings: Vec<_> = stations.iter().map(|station| (station.card, station.ending())).collect();
        assert_eq!(client.finish(&endings).unwrap(), vec![None; 8]);
        let progress = client.progress("b1").unwrap();
        assert_eq!(progress, BatchAnswer { waiting: 0, under_way: 0, done: 7, failed: 1 });
        let failed = client.failed("b1", 1).unwrap();
        assert_eq!((failed.total, &*failed.cards[0].state), (1, "failed"));
        assert!(failed.cards[0].reason.contains("step 2 (card master key)"), "{failed:?}");
        assert!(client.failed("b1", 2).unwrap().cards.is_empty());
        // One more, of no batch, command by command.
        let subject = data(0x42).subject(profile.layout);
        let open = client.open(&call("op-2", None, Wanted::Listed(vec![subject]))).unwrap().open.remove(0);
        let mut chip = blank(data(0x42).asn.0, DEMO_TRANSPORT_KEY);
        personalise_card_with(&mut chip, &mut client.card(open.id), &profile, &data(0x42), &mut |_| {})
            .unwrap();
        assert_eq!(client.finish(&[(open.id, Ending::Made)]).unwrap(), [None]);
        // Made is made.
        let again = personalise_card_with(
            &mut blank(data(0x42).asn.0, DEMO_TRANSPORT_KEY),
            &mut client.card(open.id),
            &profile,
            &data(0x42),
            &mut |_| {},
        );
        let ykt_issue::IssueError::Download { source: DownloadError::Refused { code, .. }, .. } =
            again.unwrap_err()
        else {
            panic!("refused by the centre")
        };
        assert_eq!(code, "not-open");
    })
    .await;
    let failed = AuditFilter { text: Some("failed: step 2".to_owned()), ..AuditFilter::default() };
    let rows = download.store().read(|tx| audit::list(tx, &failed, Paging::first(9))).unwrap().rows;
    assert_eq!((rows.len(), &*rows[0].object, &*rows[0].from), (1, "************0005", "127.0.0.1"));
}

/// No certificate, one of another authority, one that no line has, and a line that is stopped; and no plain HTTP.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_are_sent_away() {
    let papers = Papers::new();
    for (name, ca) in [("line-1", "ca"), ("line-2", "ca"), ("nobody", "ca"), ("stranger", "strangers")] {
        papers.issue(name, ca);
    }
    let (app, download, _) = app();
    take_in(&download, &papers, "line-1");
    take_in(&download, &papers, "line-2");
    download.set_line("line-2", LineState::Stopped, &act()).unwrap();
    let folder = papers.0.path().to_owned();
    let identities = ["line-1", "line-2", "nobody", "stranger"].map(|name| papers.identity(name));
    let expected = Hex(papers.fingerprint("nobody").as_bytes()).to_string();
    while_serving(&papers, app, move |address| {
        let port = address.port();
        let curl = |arguments: &str| {
            let url = format!("https://localhost:{port}/download/v1/applications");
            let arguments = format!(
                "--silent --max-time 20 --cacert ca.pem {arguments} --write-out %{{http_code}} {url}"
            );
            let done = Command::new("curl")
                .current_dir(&folder)
                .args(arguments.split_whitespace())
                .output()
                .unwrap();
            String::from_utf8(done.stdout).unwrap()
        };
        let right = curl("--cert line-1.pem --key line-1.key");
        assert!(right.starts_with("[{\"name\":") && right.ends_with("200"), "{right}");
        let stopped = curl("--cert line-2.pem --key line-2.key");
        assert!(stopped.contains("\"code\":\"line-stopped\"") && stopped.ends_with("403"), "{stopped}");
        let unknown = curl("--cert nobody.pem --key nobody.key");
        assert!(unknown.contains("\"code\":\"unknown-line\"") && unknown.contains(&expected), "{unknown}");
        assert!(unknown.contains("\"message_zh\":"), "{unknown}");
        assert_eq!(curl("--cert stranger.pem --key stranger.key"), "000", "the handshake fails");
        assert_eq!(curl(""), "000", "nobody comes in without a certificate");
        let plain = Command::new("curl")
            .args(["-s", "-m", "20", &format!("http://localhost:{port}/")])
            .output()
            .unwrap();
        assert!(!plain.status.success(), "no plain HTTP");
        let [line, stopped, nobody, stranger] = identities
            .map(|identity| Client::new(&format!("localhost:{port}"), &identity).unwrap().applications());
        assert!(line.is_ok());
        for (found, code) in [(stopped, "line-stopped"), (nobody, "unknown-line")] {
            assert!(matches!(found, Err(ClientError::Refused { code: given, .. }) if given == code));
        }
        assert!(matches!(stranger, Err(ClientError::Wire { .. })));
    })
    .await;
}

/// What is no call is refused in words, and changes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_another_form_are_refused() {
    let papers = Papers::new();
    papers.issue("line-1", "ca");
    let (app, download, _) = app();
    take_in(&download, &papers, "line-1");
    let folder = papers.0.path().to_owned();
    while_serving(&papers, app, move |address| {
        for (path, body, status, code) in [
            ("cards", "{}", "400", "bad-call"),
            ("cards", "{\"operation\":\"a\",\"application\":\"city-cpu\"}", "400", "bad-call"),
            (
                "cards",
                "{\"operation\":\"a\",\"application\":\"city-cpu\",\"next\":1,\"broken\":1}",
                "400",
                "bad-call",
            ),
            ("cards", "{\"operation\":\"a\",\"application\":\"city-cpu\",\"nxt\":1}", "400", "bad-call"),
            (
                "cards",
                "{\"operation\":\"a\",\"application\":\"none\",\"next\":1}",
                "404",
                "unknown-application",
            ),
            ("cards", "{\"operation\":\"a\",\"application\":\"psam\",\"next\":1}", "422", "bad-call"),
            (
                "cards",
                "{\"operation\":\"a\",\"application\":\"city-cpu\",\"batch\":\"b\",\"next\":1}",
                "404",
                "unknown-batch",
            ),
            ("commands", "{\"commands\":[{\"card\":1,\"step\":2,\"challenge\":\"12\"}]}", "400", "bad-call"),
            (
                "commands",
                "{\"commands\":[{\"card\":1,\"step\":2,\"challenge\":\"12345678\",\"data\":\"X\"}]}",
                "400",
                "bad-call",
            ),
            ("commands", "{\"commands\":[]}", "422", "cards-per-call"),
            ("finish", "{\"cards\":[]}", "422", "cards-per-call"),
            ("batches/b1?application=city-cpu", "card,city\nx,y", "422", "batch-refused"),
            ("batches/b1?application=psam", "card,city\nx,y", "422", "no-right"),
            ("batches/b1", "card,city\n", "400", "bad-call"),
            ("visits", "{}", "400", "bad-call"),
            ("visits", "{\"visit\":\"v\",\"campaign\":\"none\"}", "422", "no-right"),
            ("visits/v", "{\"step\":1,\"answers\":[]}", "404", "unknown-visit"),
            ("visits/v", "{\"step\":1,\"answers\":[\"90\"]}", "400", "bad-call"),
            ("nothing", "{}", "404", "not-found"),
        ] {
            let kind = if path.starts_with("batches") { "text/csv" } else { "application/json" };
            let done = Command::new("curl")
                .current_dir(&folder)
                .args(["-s", "-m", "20", "--cacert", "ca.pem", "--cert", "line-1.pem", "--key", "line-1.key"])
                .args(["-w", "%{http_code}", "-H", &format!("content-type: {kind}"), "--data-binary", body])
                .arg(format!("https://localhost:{}/download/v1/{path}", address.port()))
                .output()
                .unwrap();
            let answer = String::from_utf8(done.stdout).unwrap();
            assert!(answer.ends_with(status), "{path} {body}: {answer}");
            assert!(answer.contains(&format!("\"code\":\"{code}\"")), "{path} {body}: {answer}");
        }
    })
    .await;
    assert!(download.progress("b1").is_err());
}

#[test]
fn a_service_without_certificates_or_keys_does_not_start() {
    let mut config = world::config();
    config.server.listen = "127.0.0.1:0".parse().unwrap();
    config.download.listen = Some("127.0.0.1:0".parse().unwrap());
    let half = Server::bind(config.clone(), app().0).err().unwrap();
    assert!(matches!(half, ServeError::Config(ConfigError::HalfDownload)), "{half}");
    let missing = Some("no-such-file.pem".into());
    (config.download.certificate, config.download.key) = (missing.clone(), missing.clone());
    config.download.client_ca = missing;
    let unreadable = Server::bind(config.clone(), app().0).err().unwrap();
    assert!(unreadable.to_string().contains("no-such-file.pem"), "{unreadable}");
    let keyless = Server::bind(config, App { vault: None, ..app().0 }).err().unwrap();
    assert!(matches!(keyless, ServeError::DownloadVault), "{keyless}");
}
