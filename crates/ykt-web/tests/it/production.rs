//! Key cards and PSAM batches at the console: lists, one of each, labels and protocol.

use crate::client::Client;
use crate::world;
use axum::http::StatusCode;
use ykt_base::{IssuerFactor, KeyIndex, PsamSerial};
use ykt_issue::Profile;
use ykt_issue::profile::SHIPPED;
use ykt_kmc::key_cards::{self, NewKeyCard};
use ykt_kmc::psams::{self, NewBatch};
use ykt_office::Act;
use ykt_store::Store;

const CITY: IssuerFactor = IssuerFactor([0x21, 0x44, 0xFF, 0, 0, 0, 0, 0]);

fn text_of(profile: &str) -> String {
    SHIPPED.iter().find(|(name, _)| *name == profile).unwrap().1.to_owned()
}

fn app() -> ykt_web::App {
    let app = world::empty();
    order(&app.store);
    app
}

/// A batch of PSAMs and a key card, ordered and not made yet.
pub fn order(store: &Store) {
    let act = Act::of("operator", "desk 7", world::at(9, 0));
    let batch = NewBatch {
        id: "P-1".to_owned(),
        profile: text_of("psam"),
        count: 60,
        first_serial: "00002144000000000001".parse().unwrap(),
        first_terminal: "214400000001".parse().unwrap(),
        issuer: CITY,
        receiver: [0; 8],
        key_index: KeyIndex(1),
        start: world::day(),
        expiry: world::day(),
        label: "City purse".to_owned(),
        terminals: Vec::new(),
    };
    let card = NewKeyCard {
        serial: PsamSerial([0, 0, 0x21, 0x44, 0, 0, 0, 0, 0, 3]),
        batch: "M-1".to_owned(),
        label: "Counter 4".to_owned(),
        profile: text_of("key-card"),
        transport: None,
        cities: vec![CITY],
        kinds: Profile::named("key-card").unwrap().issue_kinds(),
        cards: 5,
    };
    store.write(|tx| psams::open(tx, &batch, &Profile::psam(), &act)).unwrap();
    let profile = Profile::named("key-card").unwrap();
    store.write(|tx| key_cards::register(tx, &card, &profile, &act)).unwrap();
}

#[tokio::test]
async fn an_operator_sees_key_cards_and_batches() {
    let mut operator = Client::new(app());
    operator.sign_in("operator").await;
    for (path, words) in [
        ("/key-cards", "00002144000000000003"),
        ("/key-cards?state=blank&text=counter", "Counter 4"),
        ("/key-cards/00002144000000000003", "batch M-1, profile key-card"),
        ("/psam-batches", "City purse"),
        ("/psam-batches/P-1", "not signed yet"),
        ("/psams?batch=P-1&state=waiting&number=0060", "00002144000000000060"),
        ("/psam-batches/P-1/labels", "No PSAM is produced yet"),
        ("/psam-batches/P-1/labels.csv", "serial,terminal,batch,label,expiry"),
        ("/psam-batches/P-1/protocol.txt", "60 PSAMs: 0 produced, 0 stopped, 0 in work, 60 waiting"),
    ] {
        let page = operator.get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert!(page.text().contains(words), "{path}: expected `{words}` in {}", page.text());
    }
    let chinese = operator.get("/psam-batches/P-1?lang=zh").await.text();
    assert!(chinese.contains("批次仍在进行") && chinese.contains("等待"), "{chinese}");
    for path in
        ["/psam-batches/none", "/psam-batches/none/labels", "/key-cards/00000000000000000009", "/key-cards/x"]
    {
        assert_eq!(operator.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let mut custodian = Client::new(app());
    custodian.sign_in("security").await;
    assert_eq!(custodian.get("/psam-batches").await.status, StatusCode::FORBIDDEN);
}
