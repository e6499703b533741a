//! How things end that nobody planned: the program is told to stop, a note comes in without a payment, the list that the center is
//! judged by runs out. Real kiosk, real drivers, real device bytes, real center rules, virtual time.

use std::time::Duration;
use tolem_core::{
    health::FaultCode,
    kiosk::Event,
    view::{Body, Intent, ViewModel},
    words::{Word, word},
};
use tolem_hal_sim::ccnet_device::Banknote;
use tolem_protocol::{
    Amount,
    catalogue::Language,
    messages::{DepositKind, HoldReason},
    qr::Qr,
    record::Fact,
};
use tolem_tests::rig::{PAYER, Rig, Wire};

const MARRIAGE: &str = "marriage";
/// What `TimeoutStopSec` of deploy/tolem.service allows.
const SERVICE_WAITS: Duration = Duration::from_secs(100);

fn stop_and_wait(rig: &mut Rig) {
    let told = rig.now();
    rig.event(Event::Stop);
    rig.until("the end of the program", |rig| rig.stopped);
    assert!(rig.now().since(told) < SERVICE_WAITS, "the service manager would have killed it");
    assert_eq!(rig.aborted, None);
}

fn holds(rig: &Rig) -> Vec<(HoldReason, Option<Amount>)> {
    rig.facts()
        .into_iter()
        .filter_map(|fact| match fact {
            Fact::HoldRequested { deposit } => deposit.read_unverified(),
            _ => None,
        })
        .filter_map(|deposit| match deposit.kind {
            DepositKind::Hold(reason) => Some((reason, deposit.notes.total())),
            DepositKind::Pay => None,
        })
        .collect()
}

fn number_of(view: &ViewModel) -> &str {
    match &view.body {
        Body::Message { number, .. } => number,
        _ => panic!("no number on {:?}", view.screen),
    }
}

#[test]
fn told_to_stop_with_nobody_there_it_ends_at_once() {
    let mut rig = Rig::ready(1);
    let told = rig.now();
    rig.event(Event::Stop);
    assert!(rig.stopped && rig.now() == told);
}

#[test]
fn told_to_stop_before_any_money_it_forgets_the_payment_and_ends() {
    for steps in 0..3 {
        let mut rig = Rig::ready(steps);
        match steps {
            0 => rig.type_payer(MARRIAGE, PAYER),
            1 => rig.quote(MARRIAGE, PAYER),
            _ => rig.open_slot(MARRIAGE, PAYER),
        }
        stop_and_wait(&mut rig);
        assert_eq!(holds(&rig), []);
        assert!(rig.story().lines().all(|line| !line.starts_with("CommitRequested")));
    }
}

#[test]
fn told_to_stop_with_money_in_the_money_is_held_and_on_paper() {
    let mut rig = Rig::ready(2);
    rig.open_slot(MARRIAGE, PAYER);
    rig.insert(2000);
    rig.event(Event::Stop);
    for language in Language::ALL {
        rig.touch(Intent::SetLanguage(language));
        let notice = rig.view.notice.clone().map(|notice| notice.text);
        assert_eq!(notice.as_deref(), Some(word(language, Word::StoppingWithMoney)));
    }
    rig.until("the end of the program", |rig| rig.stopped);
    assert_eq!(holds(&rig), [(HoldReason::Stopped, Some(Amount::from_tenge(2000)))]);
    assert!(matches!(Qr::parse(&rig.qr_texts()[0]), Ok(Qr::Balance(_))), "the voucher is on paper");
    rig.check_books();
}

#[test]
fn told_to_stop_while_a_note_moves_the_note_is_counted_first() {
    let mut rig = Rig::ready(3);
    rig.open_slot(MARRIAGE, PAYER);
    rig.push(2000);
    rig.until("the order to stack", |rig| rig.kiosk().session().order().is_some());
    stop_and_wait(&mut rig);
    assert_eq!(holds(&rig), [(HoldReason::Stopped, Some(Amount::from_tenge(2000)))]);
    rig.check_books();
}

#[test]
fn told_to_stop_while_a_note_is_read_the_note_goes_back() {
    let mut rig = Rig::ready(4);
    rig.open_slot(MARRIAGE, PAYER);
    rig.push(2000);
    assert!(rig.kiosk().session().order().is_none(), "it is still being read");
    stop_and_wait(&mut rig);
    assert_eq!(rig.cassette_sum(), Amount::ZERO);
    assert_eq!(holds(&rig), []);
    rig.check_books();
}

#[test]
fn told_to_stop_without_a_link_the_claim_slip_comes_out() {
    let mut rig = Rig::ready(5);
    rig.open_slot(MARRIAGE, PAYER);
    rig.insert(2000);
    rig.set_wire(Wire::Down);
    stop_and_wait(&mut rig);
    assert!(matches!(Qr::parse(&rig.qr_texts()[0]), Ok(Qr::Deposit(_))), "the claim slip is on paper");
    rig.set_wire(Wire::Up);
    rig.power_on();
    rig.until_settled();
    rig.check_books();
}

#[test]
fn told_to_stop_with_a_printer_that_is_gone_the_number_stays_for_a_while() {
    let mut rig = Rig::ready(6);
    rig.open_slot(MARRIAGE, PAYER);
    rig.insert(2000);
    rig.printer.power_off(rig.now());
    rig.event(Event::Stop);
    rig.until("the number on the screen", |rig| matches!(rig.view.screen, "held" | "claim-slip"));
    let shown = rig.now();
    assert!(!number_of(&rig.view).is_empty());
    rig.until("the end of the program", |rig| rig.stopped);
    assert!(rig.now().since(shown) >= Duration::from_secs(20));
}

#[test]
fn a_note_without_a_payment_is_shown_and_on_paper_if_somebody_asks() {
    let mut rig = Rig::ready(7);
    rig.stray_note(2000);
    rig.until_screen("found");
    assert_eq!(holds(&rig), [(HoldReason::NoPayment, Some(Amount::from_tenge(2000)))]);
    let own = number_of(&rig.view).to_owned();
    rig.until("the center's number", |rig| number_of(&rig.view) != own);
    rig.rest(Duration::from_secs(5));
    assert_eq!(rig.printer.papers().count(), 0, "nobody asked for paper");
    let number = number_of(&rig.view).to_owned();
    rig.tap(Word::FoundPrint);
    rig.until("the slip", |rig| rig.view.title == word(rig.view.language, Word::FoundPrinted));
    let Ok(Qr::Balance(printed)) = Qr::parse(&rig.qr_texts()[0]) else { panic!("{:?}", rig.qr_texts()) };
    assert_eq!(printed.to_string(), number);
    rig.tap(Word::Done);
    assert_eq!(rig.view.screen, "attract");
    rig.rest(Duration::from_secs(5));
    assert_eq!(rig.view.screen, "attract", "it is shown once");
}

#[test]
fn a_note_without_a_payment_and_without_a_link_has_a_claim_number() {
    let mut rig = Rig::ready(8);
    rig.set_wire(Wire::Down);
    rig.stray_note(1000);
    rig.until_screen("found");
    rig.tap(Word::FoundPrint);
    rig.until("the slip", |rig| rig.view.title == word(rig.view.language, Word::FoundPrinted));
    let Ok(Qr::Deposit(deposit)) = Qr::parse(&rig.qr_texts()[0]) else { panic!("{:?}", rig.qr_texts()) };
    let deposit = deposit.read_unverified().expect("a deposit");
    assert_eq!(deposit.payment.claim_number().to_string(), number_of(&rig.view));
}

#[test]
fn a_note_without_a_payment_that_nobody_looks_at_leaves_the_screen() {
    let mut rig = Rig::ready(9);
    rig.stray_note(2000);
    rig.until_screen("attract");
    assert_eq!(rig.printer.papers().count(), 0);
}

#[test]
fn the_list_is_fetched_in_time_and_a_stale_one_closes_cash() {
    let mut rig = Rig::ready(10);
    let list: Vec<u8> = (0..5_000u32).map(|at| at as u8).collect();
    rig.center.change(|center| center.crl = list.clone());
    rig.rest(Duration::from_secs(5));
    assert!(rig.lists.is_empty(), "no list is configured");

    let good_until = rig.utc().plus_seconds(2 * 86_400);
    rig.event(Event::ListGoodUntil(good_until));
    rig.until("the list", |rig| rig.lists.len() == 1);
    assert_eq!(rig.lists[0], list);
    rig.rest(Duration::from_secs(3_000));
    assert_eq!(rig.lists.len(), 1, "it is good for long");
    rig.rest(Duration::from_secs(1_000));
    assert_eq!(rig.lists.len(), 2);

    let stale_at = rig.utc().plus_seconds(5);
    rig.event(Event::ListGoodUntil(stale_at));
    rig.until_screen("closed");
    assert!(rig.utc() >= stale_at && rig.kiosk().link_is_up());
    assert_eq!(rig.kiosk().health().closed_by(), Some(FaultCode::ListStale));
    assert_eq!(rig.view.lead, word(rig.view.language, Word::ReasonNoLink));
    let asked = rig.lists.len();
    rig.until("it is asked for more often", |rig| rig.lists.len() > asked);

    let good_until = rig.utc().plus_seconds(2 * 86_400);
    rig.event(Event::ListGoodUntil(good_until));
    rig.until_screen("attract");
}

#[test]
fn a_list_that_goes_stale_shuts_the_slot_for_a_first_note_only() {
    let mut rig = Rig::ready(11);
    rig.open_slot(MARRIAGE, PAYER);
    rig.event(Event::ListGoodUntil(rig.utc()));
    rig.rest(Duration::from_secs(1));
    assert!(rig.acceptor.insert(rig.now(), Banknote::tenge(2000)).is_err(), "the slot is shut");
    rig.event(Event::ListGoodUntil(rig.utc().plus_seconds(86_400 * 2)));
    rig.insert(2000);
    rig.event(Event::ListGoodUntil(rig.utc()));
    rig.insert(2000);
    rig.touch(Intent::AgreeRemainder);
    rig.insert(500);
    rig.until_screen("confirm");
    rig.tap(Word::Confirm);
    rig.until_screen("code");
}
