//! What is refused, what a refusal leaves behind, and what people are told.

use crate::kit::{CHANNEL, Kit, ModelCard, asn, at, day, id, refused};
use ykt_base::{Asn8, CardCounter, Fen, KeyVersion, Mac4};
use ykt_ledger::{Entry, EntryId, PostError, post};
use ykt_office::audit::{self, AuditFilter};
use ykt_office::cards::{self, CardEvent, CardState};
use ykt_office::{Act, Paging};
use ykt_pay::order::StepKind;
use ykt_pay::{CardOffer, Credit, OrderState, PayError, Refusal, Resumed};
use ykt_terminal::host::PayRequest;
use ykt_vault::VaultError;

const AMOUNT: i64 = 5_000;

struct Scene {
    kit: Kit,
    card: ModelCard,
}

impl Scene {
    /// A kit with order `a` paid for card 1.
    fn paid() -> Scene {
        let scene = Scene { kit: Kit::new(2), card: ModelCard::new(1, 10_000) };
        scene.kit.pay("a", &scene.card, AMOUNT).unwrap();
        scene
    }

    /// As [`Scene::paid`], and its MAC2 frozen.
    fn frozen() -> (Scene, CardOffer, Credit) {
        let mut scene = Scene::paid();
        let offer = scene.offer();
        let credit = scene.initialize("a", &offer).unwrap();
        (scene, offer, credit)
    }

    fn offer(&mut self) -> CardOffer {
        self.card.initialize(Fen::new(AMOUNT))
    }

    fn initialize(&self, order: &str, offer: &CardOffer) -> Result<Credit, Refusal> {
        refused(self.kit.host.initialize(&id(order), offer, at(1)))
    }

    fn confirm(&self, order: &str, tac: Mac4) -> Result<OrderState, Refusal> {
        refused(self.kit.host.confirm(&id(order), tac, at(2)))
    }

    fn resume(&self, order: &str, offer: &CardOffer) -> Result<Resumed, Refusal> {
        refused(self.kit.host.resume(&id(order), offer, at(3)))
    }

    fn give_back(&self, order: &str) -> Result<OrderState, Refusal> {
        refused(self.kit.host.give_back(&id(order), at(4)))
    }

    fn card_event(&self, event: CardEvent) {
        let act = Act::of_system("test", at(5));
        self.kit.store.write(|tx| cards::change(tx, &self.card.asn, event, "", &act)).unwrap();
    }

    fn alarms(&self) -> Vec<String> {
        let filter = AuditFilter { text: Some("alarm".to_owned()), ..AuditFilter::default() };
        let page = self.kit.store.read(|tx| audit::list(tx, &filter, Paging::default())).unwrap();
        page.rows.into_iter().map(|row| format!("{} {} {}", row.what, row.object, row.detail)).collect()
    }

    fn steps(&self, order: &str) -> Vec<StepKind> {
        let view = self.kit.store.read(|tx| ykt_pay::order(tx, &id(order))).unwrap().unwrap();
        view.steps.iter().map(|step| step.kind).collect()
    }
}

/// The vault is gone at each step that asks it: the step fails, nothing of it is kept, and the same step works when the
/// vault is back.
#[test]
fn without_the_vault_a_step_fails_and_can_be_repeated() {
    let mut scene = Scene::paid();
    let offer = scene.offer();
    let is_gone = |error: PayError| matches!(error, PayError::Vault(VaultError::Unavailable { .. }));
    scene.kit.vault.cut();
    let before = (scene.kit.money(), scene.steps("a"));
    assert!(is_gone(scene.kit.host.initialize(&id("a"), &offer, at(1)).unwrap_err()));
    assert_eq!((scene.kit.money(), scene.steps("a")), before, "no MAC1 is counted as wrong");
    scene.kit.vault.mend();
    let credit = scene.initialize("a", &offer).unwrap();

    let tac = scene.card.credit(credit).unwrap();
    scene.kit.vault.cut();
    let before = (scene.kit.money(), scene.steps("a"));
    assert!(is_gone(scene.kit.host.confirm(&id("a"), tac, at(2)).unwrap_err()));
    assert_eq!((scene.kit.money(), scene.steps("a")), before);
    scene.kit.vault.mend();
    assert_eq!(scene.confirm("a", tac), Ok(OrderState::Credited));
    assert_eq!(scene.alarms(), Vec::<String>::new());
    scene.kit.check_books();
}

#[test]
fn what_cannot_be_paid() {
    let kit = Kit::new(1);
    let pay = |card: Asn8, amount: i64, channel: &str| {
        let (order, amount, channel) = (id("a"), Fen::new(amount), channel.to_owned());
        refused(kit.host.pay(&PayRequest { order, card, amount, channel }, at(0)))
    };
    let max = kit.host.policy().load_max;
    for amount in [0, -1, i64::MIN, max.fen() + 1, i64::MAX] {
        assert_eq!(pay(asn(1), amount, CHANNEL), Err(Refusal::Amount { found: Fen::new(amount), max }));
    }
    assert_eq!(pay(asn(2), AMOUNT, CHANNEL), Err(Refusal::UnknownCard));
    for channel in ["", "wechat", "WE CHAT", "A-NAME-OF-17-SIGN"] {
        assert!(matches!(pay(asn(1), AMOUNT, channel), Err(Refusal::Channel(_))), "{channel}");
    }
    assert_eq!(kit.money(), (0, 0, 0));
    let may = |amount, day| refused(kit.host.may_load(&asn(1), Fen::new(amount), day));
    let expiry = day().plus_days(30).unwrap();
    assert_eq!(may(AMOUNT, expiry), Ok(()));
    assert_eq!(may(AMOUNT, expiry.plus_days(1).unwrap()), Err(Refusal::CardExpired { expiry }));
    assert_eq!(kit.money(), (0, 0, 0), "asking takes nothing");
}

#[test]
fn an_id_means_one_order() {
    let scene = Scene::paid();
    let pay = |card: u32, amount: i64, channel: &str| {
        let (order, amount, channel) = (id("a"), Fen::new(amount), channel.to_owned());
        refused(scene.kit.host.pay(&PayRequest { order, card: asn(card), amount, channel }, at(9)))
    };
    assert_eq!(pay(1, AMOUNT, CHANNEL), Ok(OrderState::Paid));
    for (answer, differs) in [
        (pay(2, AMOUNT, CHANNEL), "card"),
        (pay(1, AMOUNT + 1, CHANNEL), "amount"),
        (pay(1, AMOUNT, "ALIPAY"), "channel"),
    ] {
        assert_eq!(answer, Err(Refusal::OtherContent { order: id("a"), differs }));
    }
    assert_eq!(scene.kit.money(), (AMOUNT, 0, AMOUNT));
    let unknown = Err(Refusal::UnknownOrder { order: id("b") });
    assert_eq!(scene.give_back("b"), unknown);
    assert_eq!(scene.confirm("b", Mac4([0; 4])), unknown);
}

#[test]
fn wrong_mac1s_freeze_nothing_are_counted_and_raise_an_alarm() {
    let mut scene = Scene::paid();
    for failures in 1..=5 {
        let mut offer = scene.offer();
        offer.mac1.0[3] ^= 0x80;
        assert_eq!(scene.initialize("a", &offer), Err(Refusal::WrongMac1 { failures }));
        assert_eq!(scene.alarms().len(), usize::from(failures == 5));
    }
    assert_eq!(scene.alarms(), ["load/alarm wrong MAC1 ************0001 5 in a row, order a"]);
    assert_eq!(scene.kit.state("a"), OrderState::Paid);
    let right = scene.offer();
    for (name, wrong) in [
        ("balance", CardOffer { balance: Fen::new(9_999), ..right }),
        ("balance that no purse has", CardOffer { balance: Fen::new(i64::MAX), ..right }),
        ("counter", CardOffer { counter: CardCounter(8), ..right }),
        ("terminal", CardOffer { terminal: ykt_base::TerminalId([9; 6]), ..right }),
        ("random", CardOffer { random: ykt_base::Random4([9; 4]), ..right }),
    ] {
        assert!(matches!(scene.initialize("a", &wrong), Err(Refusal::WrongMac1 { .. })), "{name}");
    }
    let other = ModelCard::new(2, 10_000).initialize(Fen::new(AMOUNT));
    assert!(matches!(scene.initialize("a", &other), Err(Refusal::WrongMac1 { .. })), "another card");
    let other_amount = scene.card.initialize(Fen::new(AMOUNT + 1));
    assert!(matches!(scene.initialize("a", &other_amount), Err(Refusal::WrongMac1 { .. })));
    assert!(scene.initialize("a", &right).is_ok());
    let failures = scene.kit.store.read(|tx| ykt_pay::mac1_failures(tx, &asn(1))).unwrap();
    assert_eq!(failures, 0, "a right one forgives");
}

#[test]
fn keys_and_algorithms_we_do_not_have() {
    let mut scene = Scene::paid();
    let offer = scene.offer();
    for (wrong, version, algorithm) in [
        (CardOffer { key_version: KeyVersion(2), ..offer }, 2, 0),
        (CardOffer { algorithm: 4, ..offer }, 1, 4),
        (CardOffer { algorithm: 0x77, ..offer }, 1, 0x77),
    ] {
        let refusal = Refusal::UnknownKey { version: KeyVersion(version), algorithm };
        assert_eq!(scene.initialize("a", &wrong), Err(refusal.clone()));
        assert_eq!(scene.resume("a", &wrong), Err(refusal));
    }
}

#[test]
fn a_card_cannot_hold_more_than_its_limit() {
    let kit = Kit::new(1);
    let max = kit.host.policy().balance_max;
    for (balance, fits) in [(max.fen() - AMOUNT, true), (max.fen() - AMOUNT + 1, false), (0x7FFF_FFFF, false)]
    {
        let mut card = ModelCard::new(1, balance);
        let order = format!("{balance}");
        kit.pay(&order, &card, AMOUNT).unwrap();
        let offer = card.initialize(Fen::new(AMOUNT));
        let answer = refused(kit.host.initialize(&id(&order), &offer, at(1)));
        let (balance, amount) = (Fen::new(balance), Fen::new(AMOUNT));
        if fits {
            let tac = card.credit(answer.unwrap()).unwrap();
            refused(kit.host.confirm(&id(&order), tac, at(1))).unwrap();
        } else {
            assert_eq!(answer, Err(Refusal::BalanceLimit { balance, amount, max }));
            assert_eq!(refused(kit.host.give_back(&id(&order), at(2))), Ok(OrderState::GivenBack));
        }
    }
}

#[test]
fn a_counter_at_its_end_takes_no_load() {
    let mut scene = Scene::paid();
    scene.card.counter = CardCounter(0xFFFF);
    let offer = scene.offer();
    assert_eq!(scene.initialize("a", &offer), Err(Refusal::CounterAtEnd { counter: CardCounter(0xFFFF) }));
    scene.card.counter = CardCounter(0xFFFE);
    let offer = scene.offer();
    let credit = scene.initialize("a", &offer).unwrap();
    let tac = scene.card.credit(credit).unwrap();
    let offer = scene.offer();
    assert_eq!(scene.resume("a", &offer), Ok(Resumed::Prove { counter: CardCounter(0xFFFE) }));
    assert_eq!(scene.confirm("a", tac), Ok(OrderState::Credited));
}

#[test]
fn a_card_that_is_lost_meanwhile_is_not_loaded_and_its_holder_gets_the_money_back() {
    let mut scene = Scene::paid();
    scene.card_event(CardEvent::ReportLoss);
    let offer = scene.offer();
    let lost = Err(Refusal::CardState { state: CardState::Lost });
    assert_eq!(scene.initialize("a", &offer), lost.map(|_: ()| unreachable!()));
    assert_eq!(scene.kit.pay("b", &scene.card, AMOUNT), Err(Refusal::CardState { state: CardState::Lost }));
    assert_eq!(scene.give_back("a"), Ok(OrderState::GivenBack));
    assert_eq!(scene.give_back("a"), Ok(OrderState::GivenBack));
    assert_eq!(scene.kit.money(), (0, 0, 0));
    let closed = scene.initialize("a", &offer);
    assert!(matches!(closed, Err(Refusal::State { state: OrderState::GivenBack, .. })));
}

#[test]
fn a_loss_after_the_mac2_does_not_hide_that_the_card_credited() {
    let (mut scene, _, credit) = Scene::frozen();
    let tac = scene.card.credit(credit).unwrap();
    scene.card_event(CardEvent::ReportLoss);
    assert_eq!(scene.confirm("a", tac), Ok(OrderState::Credited));
}

#[test]
fn a_mac2_that_is_out_holds_order_and_card() {
    let (mut scene, offer, credit) = Scene::frozen();
    assert_eq!(scene.initialize("a", &offer), Ok(credit));
    let fresh = scene.offer();
    let resume_first = Refusal::ResumeFirst { order: id("a") };
    assert_eq!(scene.initialize("a", &fresh), Err(resume_first.clone()));
    assert_eq!(scene.give_back("a"), Err(resume_first));
    scene.kit.pay("b", &scene.card, AMOUNT).unwrap();
    assert_eq!(scene.initialize("b", &fresh), Err(Refusal::CardBusy { other: id("a") }));
    assert_eq!(scene.resume("a", &fresh), Ok(Resumed::NotCredited));
    let anew = scene.initialize("b", &fresh).unwrap();
    assert!(anew.at > credit.at, "every MAC2 of a card has a moment of its own");
    assert_eq!(
        scene.initialize("a", &offer),
        Ok(credit),
        "the void MAC2 is still the answer to its question"
    );
}

#[test]
fn a_wrong_tac_leaves_a_doubt_that_the_right_one_settles() {
    let (mut scene, _, credit) = Scene::frozen();
    assert_eq!(scene.confirm("a", Mac4([0; 4])), Err(Refusal::WrongTac));
    assert_eq!(scene.kit.state("a"), OrderState::InDoubt);
    assert_eq!(scene.confirm("a", Mac4([0; 4])), Err(Refusal::WrongTac));
    assert!(scene.give_back("a").is_err());
    let tac = scene.card.credit(credit).unwrap();
    assert_eq!(scene.confirm("a", tac), Ok(OrderState::Credited));
    assert_eq!(scene.confirm("a", tac), Ok(OrderState::Credited));
    let other = Refusal::OtherContent { order: id("a"), differs: "TAC" };
    assert_eq!(scene.confirm("a", Mac4([0; 4])), Err(other));
    use StepKind as K;
    assert_eq!(scene.steps("a"), [K::Paid, K::Frozen, K::WrongTac, K::WrongTac, K::Credited]);
    assert_eq!(scene.kit.money(), (0, AMOUNT, AMOUNT));
}

#[test]
fn an_answer_that_was_used_proves_nothing() {
    let (mut scene, offer, credit) = Scene::frozen();
    scene.card.credit(credit).unwrap();
    assert_eq!(scene.resume("a", &offer), Err(Refusal::NotFresh), "it is from before the credit");
    let fresh = scene.offer();
    assert_eq!(scene.resume("a", &fresh), Ok(Resumed::Prove { counter: offer.counter }));
    assert!(scene.give_back("a").is_err());
    assert!(scene.initialize("a", &fresh).is_err());
}

#[test]
fn what_cannot_be_goes_to_the_error_desk_and_a_right_tac_still_settles_it() {
    type Change = fn(&mut ModelCard);
    let cases: [(&str, Change, &str); 4] = [
        (
            "back",
            |card| card.counter = CardCounter(6),
            "the online counter: expected 7 or the one after it, found 6",
        ),
        (
            "far",
            |card| card.counter = CardCounter(9),
            "the online counter: expected 7 or the one after it, found 9",
        ),
        (
            "rich",
            |card| card.balance = crate::kit::purse(10_001),
            "the balance rose without a load: expected at most 100.00, found 100.01",
        ),
        (
            "richer",
            |card| {
                card.counter = CardCounter(8);
                card.balance = crate::kit::purse(15_001);
            },
            "the balance after the load: expected at most 150.00, found 150.01",
        ),
    ];
    for (name, change, reason) in cases {
        let (mut scene, _, credit) = Scene::frozen();
        let mut genuine = ModelCard::new(1, 10_000);
        genuine.initialize(Fen::new(AMOUNT));
        change(&mut scene.card);
        let offer = scene.offer();
        let desk = Ok(Resumed::ErrorDesk { reason: reason.to_owned() });
        assert_eq!(scene.resume("a", &offer), desk, "{name}");
        assert_eq!(scene.resume("a", &offer), desk, "{name}");
        assert!(matches!(scene.give_back("a"), Err(Refusal::State { .. })), "{name}");
        let fresh = scene.offer();
        assert!(matches!(scene.resume("a", &fresh), Err(Refusal::State { .. })), "{name}");
        let tac = genuine.credit(credit).unwrap();
        assert_eq!(scene.confirm("a", tac), Ok(OrderState::Credited), "{name}");
        assert_eq!(scene.kit.money(), (0, AMOUNT, AMOUNT));
    }
}

#[test]
fn a_counter_that_moved_does_not_go_back() {
    let (mut scene, _, credit) = Scene::frozen();
    scene.card.credit(credit).unwrap();
    let fresh = scene.offer();
    scene.resume("a", &fresh).unwrap();
    scene.card.counter = CardCounter(7);
    let clone = scene.offer();
    let reason = "the online counter went back: expected 8, found 7".to_owned();
    assert_eq!(scene.resume("a", &clone), Ok(Resumed::ErrorDesk { reason }));
}

/// A terminal that keeps an answer of the card back and shows it as fresh gets the money back once; the card
/// itself gives it away, at the latest with its next load.
#[test]
fn an_answer_kept_back_is_found_out() {
    let cheat = |scene: &mut Scene| {
        let kept_back = scene.offer();
        let offer = scene.offer();
        let credit = scene.initialize("a", &offer).unwrap();
        let tac = scene.card.credit(credit).unwrap();
        assert_eq!(scene.resume("a", &kept_back), Ok(Resumed::NotCredited));
        (offer, tac)
    };
    let mut scene = Scene::paid();
    let (_, tac) = cheat(&mut scene);
    assert_eq!(
        scene.confirm("a", tac),
        Ok(OrderState::Credited),
        "before the money went back the TAC settles it"
    );

    let mut scene = Scene::paid();
    let (_, tac) = cheat(&mut scene);
    let fresh = scene.offer();
    assert!(scene.initialize("a", &fresh).is_err(), "no second load on a counter that moved");
    assert_eq!(scene.resume("a", &fresh), Ok(Resumed::Prove { counter: CardCounter(7) }));
    assert_eq!(scene.confirm("a", tac), Ok(OrderState::Credited));

    let mut scene = Scene::paid();
    let (_, tac) = cheat(&mut scene);
    assert_eq!(scene.give_back("a"), Ok(OrderState::GivenBack));
    for _ in 0..2 {
        assert_eq!(scene.confirm("a", tac), Err(Refusal::Contradicted { order: id("a") }));
    }
    assert_eq!(scene.alarms(), ["load/alarm given back, yet credited ************0001 order a"]);
    assert_eq!(scene.kit.money(), (0, 0, 0), "nothing is booked twice");

    let mut scene = Scene::paid();
    cheat(&mut scene);
    scene.give_back("a").unwrap();
    scene.kit.pay("b", &scene.card, AMOUNT).unwrap();
    for _ in 0..2 {
        let fresh = scene.offer();
        scene.resume("b", &fresh).unwrap();
        scene.initialize("b", &fresh).unwrap();
    }
    assert_eq!(scene.alarms(), ["load/alarm given back, yet credited ************0001 order a"], "once");
    assert_eq!(scene.steps("a").last(), Some(&StepKind::Contradicted));
}

#[test]
fn an_order_given_back_in_truth_raises_no_alarm() {
    let (mut scene, _, _) = Scene::frozen();
    let fresh = scene.offer();
    scene.resume("a", &fresh).unwrap();
    scene.give_back("a").unwrap();
    for (order, second) in [("b", 10), ("c", 20)] {
        scene.kit.pay(order, &scene.card, AMOUNT).unwrap();
        let offer = scene.offer();
        let credit = refused(scene.kit.host.initialize(&id(order), &offer, at(second))).unwrap();
        let tac = scene.card.credit(credit).unwrap();
        scene.confirm(order, tac).unwrap();
    }
    assert_eq!(scene.alarms(), [""; 0]);
}

#[test]
fn a_step_that_the_books_refuse_is_not_taken() {
    let (mut scene, _, credit) = Scene::frozen();
    let tac = scene.card.credit(credit).unwrap();
    let squatter = Entry::new(EntryId::new("load/a/credited").unwrap(), day(), at(2), "OPENING")
        .debit("1002.02".parse().unwrap(), Fen::new(1))
        .credit("4001".parse().unwrap(), Fen::new(1));
    scene.kit.store.write(|tx| post(tx, &[squatter])).unwrap();
    let before = scene.kit.store.read(|tx| ykt_pay::order(tx, &id("a"))).unwrap();
    let answer = scene.kit.host.confirm(&id("a"), tac, at(4));
    assert!(matches!(answer, Err(PayError::Ledger(PostError::Conflict { .. }))), "{answer:?}");
    assert_eq!(scene.kit.store.read(|tx| ykt_pay::order(tx, &id("a"))).unwrap(), before);
    assert_eq!(scene.kit.money(), (AMOUNT, 0, AMOUNT));
}

#[test]
fn refusals_have_distinct_codes_and_say_what_to_do() {
    let refusal = Refusal::CardBusy { other: id("x-1") };
    assert_eq!(refusal.to_string(), "order x-1 of this card is open: resume or confirm it first");
    assert_eq!(refusal.code(), "card-busy");
    let busy = PayError::from(refusal);
    assert_eq!(busy.to_string(), "order x-1 of this card is open: resume or confirm it first");
}
