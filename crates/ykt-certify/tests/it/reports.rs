//! Reports: what they show of a card, and what they must not show; cases without key or feature are never passed.

use crate::broken::{Broken, Fault};
use crate::desk::{Bench, card, full_card, judge, judge_with};
use ykt_card::Memory;
use ykt_certify::report::{Language, Verdict, html, text};
use ykt_certify::{Harm, Overrides, Plan};
use ykt_issue::Profile;
use ykt_vault::{DeskKeys, KeysFile};

fn purse() -> Plan {
    Plan::built_in("purse", &Overrides::new()).unwrap()
}

#[test]
fn without_keys_nothing_that_needs_one_is_passed() {
    let plan = purse();
    let report = judge_with(&DeskKeys::none(), &mut full_card(), &plan, Harm::Fatal, &[]);
    let features: std::collections::BTreeSet<String> =
        report.features.iter().filter(|feature| feature.is_there).map(|feature| feature.id.clone()).collect();
    for (case, result) in plan.cases.iter().zip(&report.cases) {
        assert_eq!(case.id, result.id);
        let is_passed = matches!(result.verdict, Verdict::Passed);
        assert!(!is_passed || case.keys(&features).is_empty(), "{} passed without its keys", case.id);
        assert!(!matches!(result.verdict, Verdict::Failed(_)), "{} failed for want of a key", case.id);
    }
    let counts = report.counts();
    assert!(counts.passed > 20 && counts.not_applicable > 100, "{counts:?}");
}

#[test]
fn a_feature_the_card_lacks_is_said_and_not_passed() {
    let report = judge(&mut card(&Profile::city_cpu()), &purse(), Harm::None, &[]);
    let deposit = report.cases.iter().find(|case| case.id == "deposit.load").unwrap();
    let Verdict::NotApplicable { reason } = &deposit.verdict else { panic!("{:?}", deposit.verdict) };
    assert_eq!(reason.en, "not on this card: electronic deposit (ED)");
    assert_eq!(reason.zh, "此卡不支持：电子存折");
}

#[test]
fn a_failed_case_shows_the_dialogue_and_no_secret() {
    let wanted = ["pin.tries".to_owned(), "pin.change".to_owned()];
    let mut broken = Broken::new(full_card(), Fault::PinTriesNotCounted);
    let report = judge(&mut broken, &purse(), Harm::None, &wanted);
    assert_eq!(report.failed().collect::<Vec<_>>(), ["pin.tries"]);
    let (page, json) = (html(&report), report.json().unwrap());
    let [english, chinese] = [Language::English, Language::Chinese].map(|language| text(&report, language));
    for shown in [&page, &json, &english, &chinese] {
        assert!(shown.contains("0020000003******"), "VERIFY stands there, masked");
        assert!(shown.contains("805E010007******FF******") || !std::ptr::eq(shown, &json));
        for secret in ["123456", "223456", "323456"] {
            assert!(!shown.contains(secret), "a PIN is shown");
        }
    }
    assert!(english.contains("expected 63C1") && chinese.contains("期望 63C1"));
    assert!(page.contains("63C2") && page.contains("prefers-color-scheme") && !page.contains("<script"));
    assert!(!page.contains("http"), "nothing comes from elsewhere");
    assert!(page.contains("Each wrong PIN costs a try") && page.contains("PIN 错误次数逐次扣减"));
    let read: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(read["cases"][0]["verdict"], "failed");
    assert_eq!(read["cases"][0]["finding"]["found"], "63C2 (wrong, tries left in the last digit)");
}

/// Keys of another city: the card must not be locked by trying.
#[test]
fn wrong_keys_and_a_wrong_pin_lock_nothing() {
    let changed = |line: &str| match line.strip_prefix("value = \"") {
        Some(digits) => format!("value = \"7{}", &digits[1..]),
        None => line.replace("\"123456\"", "\"654321\""),
    };
    let documented = include_str!("../../../../docs/keys.toml");
    let wrong: Vec<String> =
        documented.lines().filter(|line| !line.starts_with("kcv")).map(changed).collect();
    let wrong = DeskKeys::from_keys(KeysFile::parse(&wrong.join("\n")).unwrap()).unwrap();
    let mut bench = full_card();
    let plan = purse();
    let report = judge_with(&wrong, &mut bench, &plan, Harm::None, &[]);
    assert!(report.counts().failed > 0, "the keys are wrong");
    let report = judge(&mut bench, &plan, Harm::None, &[]);
    assert!(report.is_conformant(), "{}", text(&report, Language::English));
}

/// Writes both counters of a purse that has done two loads and one purchase and is empty again.
fn set_counters(bench: &mut Bench, counter: u16) {
    const STATE: [u8; 13] = [0, 0, 0, 0, 0, 2, 0, 1, 0, 0, 0, 0, 6];
    let image = bench.card.memory().image();
    let at: Vec<usize> = (512..image.len() - 13).filter(|at| image[*at..*at + 13] == STATE).collect();
    let [at] = at.as_slice() else { panic!("the purse stands at one place, not at {at:?}") };
    bench.card.memory_mut().write(at + 4, &counter.to_be_bytes()).unwrap();
    bench.card.memory_mut().write(at + 6, &counter.to_be_bytes()).unwrap();
}

#[test]
fn counters_at_their_ends_are_judged_on_demand() {
    let mut bench = full_card();
    let plan = purse();
    let report = judge(&mut bench, &plan, Harm::None, &["load.good".to_owned()]);
    assert!(report.is_conformant(), "{}", text(&report, Language::English));
    set_counters(&mut bench, 0xFFF4);
    let wanted = ["load.counter-end".to_owned(), "purchase.counter-end".to_owned()];
    let report = judge(&mut bench, &plan, Harm::None, &wanted);
    assert_eq!(report.counts().not_applicable, 2, "not unasked");
    let report = judge(&mut bench, &plan, Harm::Destructive, &wanted);
    assert_eq!(report.counts().passed, 2, "{}", text(&report, Language::English));
}

#[test]
fn a_case_that_is_not_there_is_named() {
    let keys = DeskKeys::none();
    let plan = purse();
    let at = ykt_base::DateTime::start_of("20261122".parse().unwrap());
    let only = ["purchase.goof".to_owned()];
    let job =
        ykt_certify::Job { plan: &plan, keys: &keys, only: &only, harm: Harm::None, at, place: "", atr: &[] };
    let error = ykt_certify::run(&mut full_card(), &job, &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("purse has no case `purchase.goof`"), "{error}");
}
