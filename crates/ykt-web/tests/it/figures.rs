//! Every figure leads to a list that sums to it, and every way to see a list shows the same.

use crate::client::{Answer, Client};
use crate::world;
use axum::http::StatusCode;
use std::collections::BTreeSet;

async fn signed_in(name: &str) -> Client {
    let mut client = Client::new(world::traded());
    client.sign_in(name).await;
    client
}

/// `href`, figure and note of every figure of a page.
fn figures(page: &Answer) -> Vec<(String, String, String)> {
    let text = page.text();
    let mut found = Vec::new();
    for part in text.split("<a class=\"figure\" href=\"").skip(1) {
        let href = part.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&");
        let between =
            |start: &str| part.split_once(start).unwrap().1.split_once("</span>").unwrap().0.to_owned();
        found.push((href, between("<span class=\"value\">"), between("<span class=\"note\">")));
    }
    found
}

/// The totals of a list page.
fn totals(page: &Answer) -> BTreeSet<String> {
    let text = page.text();
    let Some((_, foot)) = text.split_once("<tfoot>") else { return BTreeSet::new() };
    let foot = foot.split_once("</tfoot>").unwrap().0;
    foot.split("<td")
        .skip(1)
        .filter_map(|td| Some(td.split_once('>')?.1.split_once('<')?.0.to_owned()))
        .collect()
}

#[tokio::test]
async fn figures_are_the_totals_of_the_lists_they_lead_to() {
    let mut client = signed_in("finance").await;
    let mut checked = 0;
    for path in [
        "/",
        "/?day=2026-11-23",
        "/days/2026-11-22",
        "/days/2026-11-23",
        "/bills/2026-11-22/M00000000000001",
        "/bills/2026-11-22/M00000000000002",
        "/bills/2026-11-23/M00000000000001",
        "/cards/1700010100000102",
    ] {
        let page = client.get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        for (href, value, note) in figures(&page) {
            let list = client.get(&href).await;
            assert_eq!(list.status, StatusCode::OK, "{path} leads to {href}");
            let totals = totals(&list);
            // Payments of a merchant sum to more than one bill; loads of nothing have no total.
            if href.starts_with("/payments") || (value == "0.00" && totals.is_empty()) {
                continue;
            }
            let text = list.text();
            let count = text.split("<span class=\"count\"><b>").nth(1).unwrap().split("</b>").next().unwrap();
            let counted = note.split(' ').next().unwrap();
            let same_count = count.ends_with(&format!(" of {counted}"));
            let count_is_value = count.ends_with(&format!(" of {value}"));
            assert!(
                totals.contains(&value) || count_is_value,
                "{path}: {value} leads to {href} with totals {totals:?} and {count}"
            );
            if note.ends_with(" records") || note.ends_with(" record") {
                assert!(same_count, "{path}: {note} leads to {href} with {count}");
            }
            checked += 1;
        }
    }
    assert!(checked > 30, "{checked} figures");
}

#[tokio::test]
async fn bars_of_charts_lead_to_lists_with_their_sums() {
    let mut client = signed_in("operator").await;
    let text = client.get("/?day=2026-11-22").await.text();
    let mut rows = 0;
    for table in text.split("figures-table").skip(1) {
        let body = table.split_once("<tbody>").unwrap().1.split_once("</tbody>").unwrap().0;
        for row in body.split("<tr>").skip(1) {
            let href = row.split('"').nth(3).unwrap().replace("&#38;", "&");
            let amount = row.rsplit("<td class=\"num\">").next().unwrap().split('<').next().unwrap();
            let list = client.get(&href).await;
            assert!(totals(&list).contains(amount), "{href}: {amount} not in {:?}", totals(&list));
            rows += 1;
        }
    }
    assert!(rows > 15, "{rows} rows");
}

#[tokio::test]
async fn the_trial_balance_balances_and_each_amount_opens() {
    let mut client = signed_in("finance").await;
    for level in ["", "&level=accounts"] {
        let page = client.get(&format!("/trial?day=2026-11-22{level}")).await.text();
        let foot = page.split_once("<tfoot>").unwrap().1.split_once("</tfoot>").unwrap().0.to_owned();
        let amounts: Vec<&str> = foot
            .split("<td")
            .skip(2)
            .map(|td| td.split_once('>').unwrap().1.split('<').next().unwrap())
            .collect();
        assert_eq!(amounts.len(), 6);
        for pair in amounts.chunks(2) {
            assert_eq!(pair[0], pair[1]);
        }
        let body = page.split_once("<tbody>").unwrap().1.split_once("</tbody>").unwrap().0;
        for link in body.split("<td class=\"num\"><a href=\"").skip(1).take(6) {
            let href = link.split('"').next().unwrap().replace("&#38;", "&");
            assert_eq!(client.get(&href).await.status, StatusCode::OK, "{href}");
        }
    }
    let own = client.get("/entries?account=2202.01%2FM00000000000001").await;
    assert!(own.text().contains("clearing/20261122/M00000000000001/commission"));
    let entry = client.get("/entries/clearing/20261122/M00000000000001/commission").await.text();
    assert!(entry.contains("5001") && entry.contains("See the bill"));
    assert_eq!(client.get("/bills?day=20261122&merchant=M00000000000001").await.status, StatusCode::OK);
}

#[tokio::test]
async fn exports_are_what_the_page_shows() {
    let mut client = signed_in("operator").await;
    let view = "day=2026-11-22&verdict=confirmed&sort=-amount&cols=record,amount,merchant&rows=20";
    let page = client.get(&format!("/records?{view}")).await;
    let csv = client.get(&format!("/records.csv?{view}")).await;
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    assert!(csv.header("content-disposition").contains("ykt-records.csv"));
    let text = csv.text();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("\u{feff}Record,Amount,Merchant"));
    let rows: Vec<&str> = lines.collect();
    let (total, rows) = rows.split_last().unwrap();
    let shown = page.text();
    for row in rows.iter().take(20) {
        let record = row.split(',').next().unwrap();
        assert!(shown.contains(&format!("href=\"/records/{record}\"")), "{record}");
    }
    assert!(shown.contains(&format!(" of {}", rows.len())), "all rows of the filter, not of the page");
    let amount = total.split(',').nth(1).unwrap();
    assert!(totals(&page).iter().any(|t| t.replace(',', "") == amount), "{total}");
    let fen = |text: &str| text.replace('.', "").parse::<i64>().unwrap();
    let sum: i64 = rows.iter().map(|row| fen(row.split(',').nth(1).unwrap())).sum();
    assert_eq!(sum, fen(amount));
    let zh = client.get("/records.csv?lang=zh&cols=record,verdict").await.text();
    assert!(zh.starts_with("\u{feff}记录号,结论\r\n") && zh.contains("接受"));
    let xlsx = client.get(&format!("/records.xlsx?lang=en&{view}")).await;
    assert!(xlsx.body.starts_with(b"PK") && xlsx.header("content-type").contains("spreadsheetml"));
}

/// Lists of what is made before a city trades; their own tests fill them.
const MADE_ELSEWHERE: &[&str] = &[
    "/ceremonies",
    "/key-cards",
    "/psam-batches",
    "/psams",
    "/download-batches",
    "/download-cards",
    "/download-lines",
    "/download-rights",
];

#[tokio::test]
async fn every_list_opens_sorts_and_exports_in_both_languages() {
    let mut security = signed_in("security").await;
    let mut auditor = security.another();
    auditor.sign_in("auditor").await;
    let mut operator = security.another();
    operator.sign_in("operator").await;
    for list in ykt_web::lists::all_lists() {
        let client = match list.path {
            "/users" | "/keys" | "/key-groups" | "/key-requests" | "/ceremonies" | "/campaigns"
            | "/campaign-cards" => &mut security,
            "/audit" => &mut auditor,
            _ => &mut operator,
        };
        for lang in ["zh", "en"] {
            let page = client.get(&format!("{}?lang={lang}", list.path)).await;
            assert_eq!(page.status, StatusCode::OK, "{}", list.path);
            let text = page.text();
            let is_filled = !text.contains("class=\"empty\"") || MADE_ELSEWHERE.contains(&list.path);
            assert!(is_filled, "{}: nothing in a city that trades", list.path);
        }
        for (key, _, _, order) in &list.columns {
            let query = if *order == ykt_web::list::Order::Sortable { "sort=-" } else { "cols=" };
            let uri = format!("{}?{query}{key}", list.path);
            assert_eq!(client.get(&uri).await.status, StatusCode::OK, "{uri}");
        }
        for ending in ["csv", "xlsx"] {
            let uri = format!("{}.{ending}", list.path);
            assert_eq!(client.get(&uri).await.status, StatusCode::OK, "{uri}");
        }
    }
}

#[tokio::test]
async fn empty_pages_say_what_to_do_first() {
    let mut client = Client::new(world::empty());
    client.sign_in("operator").await;
    assert!(client.get("/").await.text().contains("Where to begin"));
    for (path, words) in [
        ("/cards", "Make cards first"),
        ("/merchants", "Register a merchant"),
        ("/records", "No record yet"),
        ("/bills", "No bill yet"),
        ("/trial", "Nothing is booked yet"),
    ] {
        assert!(client.get(path).await.text().contains(words), "{path}");
    }
    assert!(client.get("/cards?state=lost").await.text().contains("Nothing passes this filter"));
}

#[tokio::test]
async fn a_record_shows_its_way_and_a_refused_one_its_reason() {
    let mut client = signed_in("operator").await;
    let list = client.get("/refusals?day=2026-11-22&cause=tac-wrong").await.text();
    let id = list.split_once("href=\"/records/").unwrap().1.split('"').next().unwrap().to_owned();
    let record = client.get(&format!("/records/{id}")).await.text();
    assert!(record.contains("TAC wrong (V10 · E01). Refused for good; the merchant bears it."), "{record}");
    let list = client.get("/records?billed=2026-11-22&merchant=M00000000000001").await.text();
    let id = list.split_once("href=\"/records/").unwrap().1.split('"').next().unwrap().to_owned();
    let record = client.get(&format!("/records/{id}")).await.text();
    for step in [
        "href=\"/cards/17",
        "href=\"/terminals/",
        "href=\"/files/",
        "href=\"/entries/clearing/20261122/M00000000000001/purchase\"",
        "href=\"/bills/2026-11-22/M00000000000001\"",
        "Payment: Paid",
    ] {
        assert!(record.contains(step), "{step}");
    }
    let mut reader = client.another();
    reader.sign_in("reader").await;
    let masked = reader.get(&format!("/records/{id}")).await.text();
    assert!(
        !masked.contains("1700010100") && masked.contains("************"),
        "the line as it came stays hidden"
    );
    assert_eq!(reader.get("/cards/1700010100000001").await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn the_search_opens_what_has_that_number() {
    let mut client = signed_in("operator").await;
    for (words, to) in [
        ("1700010100000102", "/cards/1700010100000102"),
        ("00000101", "/terminals/00000101"),
        ("M00000000000003", "/merchants/M00000000000003"),
        ("L-20261122-0007", "/loads/L-20261122-0007"),
        ("XF2026112201M00000000000001001", "/files/1"),
        ("2026-11-22/M00000000000002", "/bills/2026-11-22/M00000000000002"),
        ("100000002", "/records/100000002"),
        ("load/L-20261122-0007/paid", "/entries/load/L-20261122-0007/paid"),
    ] {
        let answer = client.get(&ykt_web::view::url::with_query("/search", [("q", words)])).await;
        assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, to), "{words}");
        assert_eq!(client.get(to).await.status, StatusCode::OK, "{to}");
    }
    let several = client.get("/search?q=%E4%B8%B4%E6%B1%9F").await.text();
    assert!(several.contains("Linjiang Metro"));
    assert!(client.get("/search?q=nothing-of-that-name").await.text().contains("Nothing found"));
}
