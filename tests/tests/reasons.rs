//! Why a terminal takes no money, and that it says so: what may be unsettled, what is wrong with it, and that it opens again by itself when the
//! cause is gone. Real kiosk, real drivers, real device bytes, real center rules, virtual time.

use std::time::Duration;
use tolem_core::{
    health::FaultCode,
    kiosk::{DISK_RESERVE_BYTES, Event, Pin},
    view::{Body, Intent},
    words::{Word, word},
};
use tolem_hal_sim::{
    ccnet_device::{Banknote, Place},
    world::Center as _,
};
use tolem_protocol::{Amount, catalogue::Language, messages::Limits, qr::Qr, record::Fact};
use tolem_tests::rig::{PAYER, Rig, SharedCenter, Wire};

/// 4 325 ₸, one index.
const MARRIAGE: &str = "marriage";
/// 865 ₸, 0.2 of an index.
const ID_CARD: &str = "id-card";

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The terminal is closed, and whoever stands there reads why.
fn assert_closed(rig: &mut Rig, reason: Word) {
    rig.until_screen("closed");
    for language in Language::ALL {
        rig.touch(Intent::SetLanguage(language));
        assert_eq!((rig.view.screen, rig.view.lead.as_str()), ("closed", word(language, reason)));
    }
}

/// A terminal whose center has set these limits.
fn limited(seed: u64, set: impl FnOnce(&mut Limits)) -> Rig {
    let center = SharedCenter::new(seed);
    center.change(|center| set(&mut center.rules.limits));
    let mut rig = Rig::at(42, center, seed, true);
    rig.until_screen("attract");
    rig
}

/// 1 000 ₸ for a fee of 865 ₸ whose code does not come: the claim slip.
fn pay_in_vain(rig: &mut Rig) {
    rig.open_slot(ID_CARD, PAYER);
    rig.insert(500);
    rig.touch(Intent::AgreeRemainder);
    rig.insert(500);
    confirm(rig);
    rig.until_screen("claim-slip");
    rig.tap(Word::Done);
}

fn confirm(rig: &mut Rig) {
    rig.until_screen("confirm");
    rig.tap(Word::Confirm);
}

/// The outbox has emptied itself, cash is open, and every tenge is accounted for.
fn assert_open_again(rig: &mut Rig) {
    rig.until_screen("attract");
    assert!(!rig.kiosk().health().has(FaultCode::UnsettledLimit));
    rig.until_settled();
    rig.open_slot(ID_CARD, PAYER);
    rig.insert(500);
    rig.touch(Intent::AgreeRemainder);
    rig.insert(500);
    confirm(rig);
    rig.until_screen("code");
    rig.tap(Word::Done);
    rig.until_settled();
    rig.check_books();
}

#[test]
fn cash_closes_when_too_many_payments_are_unsettled_and_opens_when_the_outbox_is_empty() {
    let mut rig = limited(1, |limits| limits.unsettled_count = 2);
    rig.center.set_gateway_silent(true);
    pay_in_vain(&mut rig);
    rig.until_screen("attract");
    rig.open_slot(ID_CARD, PAYER);
    rig.insert(500);
    rig.set_wire(Wire::Down);
    rig.touch(Intent::AgreeRemainder);
    rig.insert(500);
    confirm(&mut rig);
    rig.until_screen("claim-slip");
    rig.tap(Word::Done);
    assert!(rig.kiosk().health().has(FaultCode::UnsettledLimit));
    assert_closed(&mut rig, Word::ReasonNoLink);
    rig.set_wire(Wire::Up);
    rig.until("the link", |rig| rig.kiosk().link_is_up());
    assert_closed(&mut rig, Word::ReasonUnsettled);
    rig.rest(secs(120));
    assert_closed(&mut rig, Word::ReasonUnsettled);
    rig.center.set_gateway_silent(false);
    assert_open_again(&mut rig);
}

#[test]
fn cash_closes_when_the_oldest_payment_is_unsettled_for_too_long_and_whoever_pays_may_end() {
    let mut rig = limited(2, |limits| limits.unsettled_age_s = 600);
    rig.center.set_gateway_silent(true);
    pay_in_vain(&mut rig);
    rig.rest(secs(500));
    assert_eq!(rig.view.screen, "attract");
    rig.open_slot(MARRIAGE, PAYER);
    let mut notes = 0;
    while !rig.kiosk().health().has(FaultCode::UnsettledLimit) {
        rig.rest(secs(45));
        rig.touch(Intent::StillHere);
        notes += 1;
        assert!(notes < 10, "never too old");
    }
    rig.insert(2000);
    rig.insert(2000);
    rig.touch(Intent::AgreeRemainder);
    rig.insert(500);
    confirm(&mut rig);
    rig.until_screen("claim-slip");
    rig.tap(Word::Done);
    assert_closed(&mut rig, Word::ReasonUnsettled);
    rig.center.set_gateway_silent(false);
    assert_open_again(&mut rig);
}

#[test]
fn cash_closes_when_the_unsettled_sum_is_too_large_and_no_payment_is_begun_that_would_exceed_it() {
    let mut rig = limited(3, |limits| limits.unsettled_total = Amount::from_tenge(5_400));
    rig.center.set_gateway_silent(true);
    pay_in_vain(&mut rig);
    // 1 000 and 4 325 are below the limit: the payment may end, although its last note is above what it needs.
    rig.open_slot(MARRIAGE, PAYER);
    rig.insert(2000);
    rig.insert(2000);
    rig.touch(Intent::AgreeRemainder);
    rig.insert(500);
    confirm(&mut rig);
    rig.until_screen("claim-slip");
    rig.tap(Word::Done);
    assert_closed(&mut rig, Word::ReasonUnsettled);
    rig.center.set_gateway_silent(false);
    assert_open_again(&mut rig);

    let mut rig = limited(4, |limits| limits.unsettled_total = Amount::from_tenge(5_300));
    rig.center.set_gateway_silent(true);
    pay_in_vain(&mut rig);
    rig.quote(MARRIAGE, PAYER);
    for language in Language::ALL {
        rig.touch(Intent::SetLanguage(language));
        let Body::Facts { points, .. } = &rig.view.body else { panic!("{:?}", rig.view.screen) };
        assert!(points.iter().any(|point| point.text == word(language, Word::ReasonUnsettled)), "{points:?}");
        assert!(!rig.view.actions.iter().any(|action| action.intent == Intent::PayCash));
    }
    rig.touch(Intent::PayCash);
    assert_eq!(rig.view.screen, "quote", "nothing begins that could not end");
    rig.touch(Intent::Cancel);
    rig.center.set_gateway_silent(false);
    assert_open_again(&mut rig);
}

/// The slot is shut in the middle of a payment: no note goes in, and whoever stands there reads why.
fn assert_shut(rig: &mut Rig, why: Word) {
    rig.rest(secs(2));
    for language in Language::ALL {
        rig.touch(Intent::SetLanguage(language));
        let notice = rig.view.notice.as_ref().map(|notice| notice.text.as_str());
        assert_eq!((rig.view.screen, notice), ("inserting", Some(word(language, why))));
        let Body::Inserting { notes, .. } = &rig.view.body else { panic!("{:?}", rig.view.screen) };
        assert!(notes.is_empty(), "no note is welcome: {notes:?}");
    }
    assert!(rig.acceptor.insert(rig.now(), Banknote::tenge(2000)).is_err(), "the slot is shut");
}

fn space(free_bytes: u64) -> Event {
    Event::DiskSpace { free_bytes, writable: true }
}

#[test]
fn little_space_closes_cash_and_is_journaled_and_space_opens_it() {
    let mut rig = Rig::ready(11);
    rig.event(space(DISK_RESERVE_BYTES - 1));
    assert_closed(&mut rig, Word::ReasonDisk);
    assert_eq!(rig.kiosk().health().closed_by(), Some(FaultCode::DiskLow));
    rig.event(space(DISK_RESERVE_BYTES));
    rig.until_screen("attract");
    let told: Vec<bool> = rig
        .facts()
        .into_iter()
        .filter_map(|fact| match fact {
            Fact::FaultChanged { code, present } if code == "DSK-LOW" => Some(present),
            _ => None,
        })
        .collect();
    assert_eq!(told, [true, false]);
}

#[test]
fn little_space_in_the_middle_of_a_payment_shuts_the_slot_and_the_money_is_held_on_paper() {
    let mut rig = Rig::ready(12);
    rig.open_slot(MARRIAGE, PAYER);
    rig.insert(2000);
    rig.event(space(0));
    assert_shut(&mut rig, Word::ReasonDisk);
    rig.event(space(DISK_RESERVE_BYTES));
    rig.insert(1000);
    rig.event(space(0));
    rig.tap(Word::Stop);
    rig.tap(Word::StopYes);
    rig.until_screen("held");
    assert!(matches!(Qr::parse(&rig.qr_texts()[0]), Ok(Qr::Balance(_))), "the voucher is on paper");
    rig.tap(Word::Done);
    assert_closed(&mut rig, Word::ReasonDisk);
    rig.event(space(DISK_RESERVE_BYTES));
    rig.until_screen("attract");
    rig.until_settled();
    rig.check_books();
}

#[test]
fn a_disk_that_is_read_only_closes_cash_until_it_can_be_written() {
    let mut rig = Rig::ready(13);
    rig.event(Event::DiskSpace { free_bytes: DISK_RESERVE_BYTES, writable: false });
    assert_closed(&mut rig, Word::ReasonDisk);
    assert_eq!(rig.kiosk().health().closed_by(), Some(FaultCode::JournalUnwritable));
    rig.event(space(DISK_RESERVE_BYTES));
    rig.until_screen("attract");
}

/// The program ends itself when its journal has failed; until then, and after each start that fails again, whoever comes reads why.
#[test]
fn a_journal_that_fails_while_nobody_is_there_closes_with_its_reason_until_it_can_be_written() {
    let mut rig = Rig::ready(14);
    let reads = |rig: &Rig| {
        assert_eq!(
            (rig.view.screen, rig.view.lead.as_str()),
            ("closed", word(rig.view.language, Word::ReasonDisk))
        );
    };
    rig.disk.set_full(true);
    rig.event(Event::Pin { pin: Pin::Door, open: true });
    reads(&rig);
    rig.rest(secs(10));
    reads(&rig);
    for _ in 0..2 {
        rig.until("the end of the process", |rig| rig.aborted.is_some());
        rig.power_on();
        reads(&rig);
    }
    rig.until("the end of the process", |rig| rig.aborted.is_some());
    rig.disk.set_full(false);
    rig.power_on();
    rig.until_screen("attract");

    rig.power_off();
    rig.disk.set_unreadable(true);
    rig.power_on();
    assert_closed(&mut rig, Word::ReasonDisk);
    rig.until("another try", |rig| rig.aborted.is_some());
    rig.disk.set_unreadable(false);
    rig.power_on();
    rig.until_screen("attract");
}

#[test]
fn an_open_door_shuts_the_slot_at_once_and_the_note_that_is_read_goes_back() {
    let mut rig = Rig::ready(15);
    rig.open_slot(MARRIAGE, PAYER);
    rig.push(2000);
    assert!(rig.kiosk().session().order().is_none(), "it is still being read");
    rig.set_door(true);
    rig.until("the note in the hand", |rig| place(rig) == Some(Place::Returned));
    assert_shut(&mut rig, Word::ReasonDoorOpen);
    rig.set_door(false);
    rig.insert(2000);

    // What was ordered before the door went open is counted.
    rig.push(1000);
    rig.until("the order on disk", |rig| rig.kiosk().session().order().is_some());
    rig.set_door(true);
    rig.until_settled();
    assert_eq!(place(&rig), Some(Place::Cassette));
    assert_shut(&mut rig, Word::ReasonDoorOpen);
    rig.set_door(false);
    rig.insert(1000);
    rig.touch(Intent::AgreeRemainder);
    rig.insert(500);
    confirm(&mut rig);
    rig.until_screen("code");
    rig.tap(Word::Done);
    rig.until_settled();
    rig.check_books();
}

#[test]
fn before_the_first_note_a_lost_link_shuts_the_slot_and_says_so() {
    let mut rig = Rig::ready(16);
    rig.open_slot(MARRIAGE, PAYER);
    rig.rest(secs(1));
    rig.set_wire(Wire::Down);
    assert_shut(&mut rig, Word::ReasonNoLink);
    rig.set_wire(Wire::Up);
    rig.insert(2000);
    rig.set_wire(Wire::Down);
    rig.insert(2000);
}

fn place(rig: &Rig) -> Option<Place> {
    rig.acceptor.notes().last().map(|note| note.place)
}
