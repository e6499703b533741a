//! Why a terminal takes no money, and that it says so: what may be unsettled, what is wrong with it, and that it opens again by itself when the
//! cause is gone. Real kiosk, real drivers, real device bytes, real center rules, virtual time.

mod card_rig;

use std::time::Duration;
use tolem_center::logic::store::Store as _;
use tolem_core::{
    health::FaultCode,
    kiosk::{DISK_RESERVE_BYTES, Event, LinkFault, Pin},
    time::Instant,
    view::{Body, Intent, Tone},
    words::{Word, word},
};
use tolem_hal_sim::{
    card_reader_device::{CardReaderDevice, Trouble},
    ccnet_device::{Banknote, Fault, Place, Way},
    escpos_device::{PaperSupply, PrinterFault},
    line::LineFaults,
    pin_pad_device::{KeyStore, PinPadDevice, PinPadKeys},
    world::{
        Center as _,
        cards::{self, CardBench, PIN},
    },
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
        assert_eq!(rig.view.title, word(language, Word::ClosedCashTitle), "nobody is asked for a note");
        let Body::Inserting { notes, last_note, .. } = &rig.view.body else {
            panic!("{:?}", rig.view.screen)
        };
        assert!(notes.is_empty(), "no note is welcome: {notes:?}");
        if let Some(accepted) = last_note.as_ref().filter(|note| note.tone == Tone::Good) {
            let begins = word(language, Word::NoteAccepted).split('{').next().expect("a beginning");
            assert!(accepted.text.starts_with(begins), "{language:?}: {}", accepted.text);
        }
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
    let started = rig.now();
    assert_closed(&mut rig, Word::ReasonDisk);
    rig.until("another try", |rig| rig.aborted.is_some());
    assert!(rig.now().since(started) < secs(61), "whoever was interrupted here waits for it");
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
    let Body::Inserting { last_note: Some(note), .. } = &rig.view.body else { panic!("{:?}", rig.view.body) };
    assert_eq!(note.tone, Tone::Good, "what was taken is said, in each language below");
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

/// What is closed while a fault is there, and what the screen says about it.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Closes {
    /// Everything: nobody can begin to pay, and this is why.
    All(Word),
    /// Cash. Where there is a card reader the start screen says that cash is not taken; where there is none, this is why nothing is.
    Cash(Word),
    /// Cards. The start screen says so, and cash goes on.
    Cards,
    /// Nothing: it is for the technician.
    Nothing,
}

/// A fault in the rig.
struct Case {
    closes: Closes,
    bring: fn(&mut Rig),
    mend: fn(&mut Rig),
}

fn case(closes: Closes, bring: fn(&mut Rig), mend: fn(&mut Rig)) -> Option<Case> {
    Some(Case { closes, bring, mend })
}

/// Nothing in the rig brings it, because of `_why`.
fn elsewhere(_why: &str) -> Option<Case> {
    None
}

/// How each fault comes and goes. A code that is in no group does not compile, one without a row in its group fails.
fn of(fault: FaultCode) -> Option<Case> {
    use FaultCode as F;
    match fault {
        F::JournalDamaged
        | F::JournalUnwritable
        | F::Stopping
        | F::JournalChecking
        | F::DiskLow
        | F::StartingUp
        | F::ClockWrong
        | F::DoorOpen => of_program(fault),
        F::BlockedByCenter
        | F::LinkRefused
        | F::ListStale
        | F::LinkDown
        | F::UnsettledLimit
        | F::CertificateEnding
        | F::AcquirerDown
        | F::PaymentDisputed => of_center(fault),
        F::AcceptorAbsent
        | F::AcceptorProtocol
        | F::CassetteOut
        | F::CassetteFull
        | F::ValidatorJam
        | F::CassetteJam
        | F::Cheated
        | F::AcceptorFailure => of_acceptor(fault),
        F::PrinterAbsent | F::PaperOut | F::CoverOpen | F::CutterStuck | F::PrinterError | F::PaperLow => {
            of_printer(fault)
        }
        F::CardReaderAbsent
        | F::CardReaderProtocol
        | F::CardJam
        | F::CardLeft
        | F::CardBoxJam
        | F::CardReaderNotSealing
        | F::CardReaderFailure => of_card_reader(fault),
        F::PinPadAbsent
        | F::PinPadProtocol
        | F::PinPadKeysLost
        | F::PinPadUsedUp
        | F::PinPadKeySerial
        | F::PinPadBroken => of_pin_pad(fault),
    }
}

/// The program and its journal.
fn of_program(fault: FaultCode) -> Option<Case> {
    use Closes::{All, Nothing};
    use FaultCode as F;
    match fault {
        F::JournalDamaged => case(
            All(Word::ReasonJournalDamaged),
            |rig| {
                rig.power_off();
                rig.disk.tamper(2);
                rig.power_on();
            },
            |rig| {
                rig.power_off();
                rig.disk.tamper(2);
                rig.power_on();
            },
        ),
        F::JournalUnwritable => case(
            All(Word::ReasonDisk),
            |rig| rig.event(Event::DiskSpace { free_bytes: DISK_RESERVE_BYTES, writable: false }),
            |rig| rig.event(space(DISK_RESERVE_BYTES)),
        ),
        F::Stopping => elsewhere(
            "With nobody there the program is gone at once; what whoever is there reads: `endings.rs`.",
        ),
        F::JournalChecking => case(
            All(Word::ReasonJournalChecking),
            |rig| {
                rig.power_off();
                rig.checks_journal = false;
                rig.power_on();
            },
            |rig| {
                rig.checks_journal = true;
                let checked = rig.disk.verify();
                rig.event(Event::JournalVerified(checked));
            },
        ),
        F::DiskLow => case(
            All(Word::ReasonDisk),
            |rig| rig.event(space(DISK_RESERVE_BYTES - 1)),
            |rig| rig.event(space(DISK_RESERVE_BYTES)),
        ),
        F::StartingUp => case(
            All(Word::ReasonStarting),
            |rig| {
                rig.power_off();
                rig.answer_delay = secs(5);
                rig.power_on();
                rig.until("the welcome", |rig| rig.kiosk().link_is_up());
            },
            |rig| rig.answer_delay = Duration::ZERO,
        ),
        F::ClockWrong => case(
            Nothing,
            |rig| {
                rig.skew_ms = 600_000;
                rig.break_link(LinkFault::Closed);
            },
            |rig| {
                rig.skew_ms = 0;
                rig.break_link(LinkFault::Closed);
            },
        ),
        F::DoorOpen => case(All(Word::ReasonDoorOpen), |rig| rig.set_door(true), |rig| rig.set_door(false)),
        other => panic!("no row for {other:?}"),
    }
}

/// The center, the way to it, and what it has been asked.
fn of_center(fault: FaultCode) -> Option<Case> {
    use Closes::{All, Cards, Cash, Nothing};
    use FaultCode as F;
    match fault {
        F::BlockedByCenter => case(
            All(Word::ReasonBlocked),
            |rig| {
                set_closed(rig, Some("the journal is another one".into()));
                rig.break_link(LinkFault::Closed);
            },
            |rig| {
                set_closed(rig, None);
                rig.break_link(LinkFault::Closed);
            },
        ),
        F::LinkRefused => case(
            All(Word::ReasonCertificate),
            |rig| {
                rig.set_wire(Wire::Down);
                rig.event(Event::LinkLost(LinkFault::Refused));
            },
            |rig| rig.set_wire(Wire::Up),
        ),
        F::ListStale => case(
            All(Word::ReasonNoLink),
            |rig| rig.event(Event::ListGoodUntil(rig.utc())),
            |rig| rig.event(Event::ListGoodUntil(rig.utc().plus_seconds(2 * 86_400))),
        ),
        F::LinkDown => {
            case(All(Word::ReasonNoLink), |rig| rig.set_wire(Wire::Down), |rig| rig.set_wire(Wire::Up))
        }
        F::UnsettledLimit => case(
            Cash(Word::ReasonUnsettled),
            |rig| {
                rig.center.change(|center| center.rules.limits.unsettled_count = 1);
                rig.center.set_gateway_silent(true);
                rig.break_link(LinkFault::Closed);
                rig.until("the link", |rig| rig.kiosk().link_is_up());
                pay_in_vain(rig);
            },
            |rig| rig.center.set_gateway_silent(false),
        ),
        F::CertificateEnding => case(
            Nothing,
            |rig| rig.event(Event::CertificateGoodUntil(rig.utc().plus_seconds(86_400))),
            |rig| rig.event(Event::CertificateGoodUntil(rig.utc().plus_seconds(90 * 86_400))),
        ),
        F::AcquirerDown => {
            case(Cards, |rig| rig.center.set_acquirer_open(false), |rig| rig.center.set_acquirer_open(true))
        }
        F::PaymentDisputed => {
            elsewhere("It stays until a person has cleared it up, and nobody here contradicts a kiosk.")
        }
        other => panic!("no row for {other:?}"),
    }
}

/// The acceptor.
fn of_acceptor(fault: FaultCode) -> Option<Case> {
    use Closes::{All, Cash};
    use FaultCode as F;
    match fault {
        F::AcceptorAbsent => case(
            Cash(Word::ReasonAcceptorAbsent),
            |rig| rig.acceptor.power_off(rig.now()),
            |rig| rig.acceptor.power_on(rig.now()),
        ),
        F::AcceptorProtocol => case(
            Cash(Word::ReasonAcceptorFailure),
            |rig| rig.acceptor.set_line_faults(Way::ToHost, garbled()),
            |rig| rig.acceptor.set_line_faults(Way::ToHost, LineFaults::default()),
        ),
        F::CassetteOut => case(
            All(Word::ReasonCassetteOut),
            |rig| rig.acceptor.remove_cassette(rig.now()),
            |rig| rig.acceptor.put_cassette(rig.now(), true),
        ),
        F::CassetteFull => case(
            Cash(Word::ReasonCassetteFull),
            |rig| rig.acceptor.set_fault(rig.now(), Fault::CassetteFull),
            |rig| rig.acceptor.clear_faults(rig.now()),
        ),
        F::ValidatorJam => case(
            Cash(Word::ReasonJam),
            |rig| rig.acceptor.set_fault(rig.now(), Fault::Jam),
            |rig| rig.acceptor.clear_faults(rig.now()),
        ),
        F::CassetteJam => case(
            Cash(Word::ReasonJam),
            |rig| rig.acceptor.set_fault(rig.now(), Fault::CassetteJam),
            |rig| rig.acceptor.clear_faults(rig.now()),
        ),
        F::Cheated => case(
            All(Word::ReasonCheat),
            |rig| {
                rig.open_slot(MARRIAGE, PAYER);
                rig.push(1000);
                rig.until("the note on its way", |rig| place(rig) == Some(Place::Transport));
                rig.acceptor.set_fault(rig.now(), Fault::Cheat);
                rig.until("it is noticed", |rig| rig.kiosk().health().has(FaultCode::Cheated));
                rig.until("nobody there any more", |rig| rig.kiosk().session().current().is_none());
            },
            |rig| {
                rig.acceptor.power_off(rig.now());
                rig.rest(secs(10));
                rig.acceptor.power_on(rig.now());
            },
        ),
        F::AcceptorFailure => case(
            Cash(Word::ReasonAcceptorFailure),
            |rig| rig.acceptor.set_fault(rig.now(), Fault::Failure(0x50)),
            |rig| rig.acceptor.clear_faults(rig.now()),
        ),
        other => panic!("no row for {other:?}"),
    }
}

/// The printer.
fn of_printer(fault: FaultCode) -> Option<Case> {
    use Closes::{All, Nothing};
    use FaultCode as F;
    match fault {
        F::PrinterAbsent => case(
            All(Word::ReasonPrinterAbsent),
            |rig| rig.printer.power_off(rig.now()),
            |rig| rig.printer.power_on(rig.now()),
        ),
        F::PaperOut => case(
            All(Word::ReasonPaperOut),
            |rig| rig.printer.set_paper(rig.now(), PaperSupply::Out),
            |rig| rig.printer.set_paper(rig.now(), PaperSupply::New),
        ),
        F::CoverOpen => case(
            All(Word::ReasonCoverOpen),
            |rig| rig.printer.set_fault(rig.now(), PrinterFault::CoverOpen),
            |rig| rig.printer.clear_fault(rig.now(), PrinterFault::CoverOpen),
        ),
        // It is found out by a paper that is not cut.
        F::CutterStuck => case(
            All(Word::ReasonCutter),
            |rig| {
                rig.printer.set_fault(rig.now(), PrinterFault::CutterJam);
                rig.stray_note(2000);
                rig.until_screen("found");
                rig.tap(Word::FoundPrint);
                rig.until("it is noticed", |rig| rig.kiosk().health().has(FaultCode::CutterStuck));
                rig.until("nobody there any more", |rig| rig.view.screen != "found");
            },
            |rig| {
                rig.printer.clear_fault(rig.now(), PrinterFault::CutterJam);
                rig.printer.power_off(rig.now());
                rig.rest(secs(10));
                rig.printer.power_on(rig.now());
            },
        ),
        F::PrinterError => case(
            All(Word::ReasonPrinterFailure),
            |rig| rig.printer.set_fault(rig.now(), PrinterFault::HeadHot),
            |rig| rig.printer.clear_fault(rig.now(), PrinterFault::HeadHot),
        ),
        F::PaperLow => case(
            Nothing,
            |rig| rig.printer.set_paper(rig.now(), PaperSupply::Low),
            |rig| rig.printer.set_paper(rig.now(), PaperSupply::New),
        ),
        other => panic!("no row for {other:?}"),
    }
}

/// The card reader.
fn of_card_reader(fault: FaultCode) -> Option<Case> {
    use Closes::Cards;
    use FaultCode as F;
    match fault {
        F::CardReaderAbsent => case(
            Cards,
            |rig| on_devices(rig, |devices, now| devices.reader.set_power(now, false)),
            |rig| on_devices(rig, |devices, now| devices.reader.set_power(now, true)),
        ),
        F::CardReaderProtocol => {
            elsewhere("No model speaks another protocol on the reader's line; the driver's tests do.")
        }
        F::CardJam => case(
            Cards,
            |rig| to_the_gate(rig, |reader, now| reader.set_trouble(now, Some(Trouble::Jam))),
            |rig| {
                let now = rig.now();
                let reader = &mut devices(rig).reader;
                reader.set_trouble(now, None);
                reader.put_away();
                restart(rig);
            },
        ),
        F::CardLeft => case(
            Cards,
            |rig| to_the_gate(rig, |reader, _| reader.hold(true)),
            |rig| {
                let now = rig.now();
                let reader = &mut devices(rig).reader;
                reader.hold(false);
                assert!(reader.take(now), "it is at the gate");
            },
        ),
        F::CardBoxJam => elsewhere("The model's card at a full box counts as left: `CRD-LEFT`."),
        F::CardReaderNotSealing => case(
            Cards,
            |rig| {
                let plain = CardBench::new(1);
                rig.fit_secure_unit();
                (devices(rig).reader, devices(rig).pad) = (plain.reader, plain.pad);
            },
            Rig::fit_secure_unit,
        ),
        F::CardReaderFailure => {
            elsewhere("The model's reader has no failure that it says by itself; the driver's tests have.")
        }
        other => panic!("no row for {other:?}"),
    }
}

/// The PIN pad.
fn of_pin_pad(fault: FaultCode) -> Option<Case> {
    use Closes::Cards;
    use FaultCode as F;
    match fault {
        F::PinPadAbsent => case(
            Cards,
            |rig| on_devices(rig, |devices, now| devices.pad.set_power(now, false)),
            |rig| on_devices(rig, |devices, now| devices.pad.set_power(now, true)),
        ),
        F::PinPadProtocol => {
            elsewhere("No model speaks another protocol on the pad's line; the driver's tests do.")
        }
        F::PinPadKeysLost => case(
            Cards,
            |rig| on_devices(rig, |devices, now| devices.pad.tamper(now)),
            |rig| {
                on_devices(rig, |devices, now| devices.pad.reload(now));
                restart(rig);
            },
        ),
        F::PinPadUsedUp => case(
            Cards,
            |rig| {
                fit_pad(rig, 0x1F_FFFF);
                rig.until("cards in service", Rig::takes_cards);
                card_rig::open_slot(rig);
                card_rig::insert(rig, cards::card());
                card_rig::take(rig);
            },
            |rig| fit_pad(rig, 1_000),
        ),
        F::PinPadKeySerial => case(
            Cards,
            |rig| {
                fit_pad(rig, 1_000);
                rig.until("cards in service", Rig::takes_cards);
                pay_by_card(rig);
                fit_pad(rig, 1);
                rig.until("cards in service", Rig::takes_cards);
                enter_pin_in_vain(rig);
            },
            |rig| fit_pad(rig, 2_000),
        ),
        F::PinPadBroken => {
            case(Cards, |rig| devices(rig).pad.set_broken(true), |rig| devices(rig).pad.set_broken(false))
        }
        other => panic!("no row for {other:?}"),
    }
}

fn set_closed(rig: &mut Rig, closed: Option<String>) {
    let number = rig.number();
    rig.center.operate(|_, store| {
        let mut row = store.kiosk(number).expect("memory does not fail").expect("it is enrolled");
        row.closed = closed;
        store.put_kiosk(&row).expect("memory does not fail");
    });
}

/// Every frame comes with a flipped bit.
fn garbled() -> LineFaults {
    LineFaults { corrupt: 1000, ..LineFaults::default() }
}

fn restart(rig: &mut Rig) {
    rig.power_off();
    rig.power_on();
}

fn devices(rig: &mut Rig) -> &mut CardBench {
    rig.cards.as_mut().expect("fitted")
}

fn on_devices(rig: &mut Rig, act: impl FnOnce(&mut CardBench, Instant)) {
    let now = rig.now();
    act(devices(rig), now);
}

/// A card has been asked for its PIN.
fn enter_pin(rig: &mut Rig) {
    card_rig::open_slot(rig);
    card_rig::insert(rig, cards::card());
    card_rig::enter(rig, PIN);
}

/// The card of a payment is on its way out, and the reader does not let it go.
fn to_the_gate(rig: &mut Rig, trouble: impl FnOnce(&mut CardReaderDevice, Instant)) {
    enter_pin(rig);
    rig.until_screen("card-take");
    let now = rig.now();
    trouble(&mut devices(rig).reader, now);
}

/// The PIN pad does not give a PIN that can be used; the card comes back.
fn enter_pin_in_vain(rig: &mut Rig) {
    enter_pin(rig);
    card_rig::take(rig);
}

fn pay_by_card(rig: &mut Rig) {
    enter_pin(rig);
    card_rig::take(rig);
    rig.until_screen("code");
    rig.tap(Word::Done);
    rig.until("cards in service", Rig::takes_cards);
}

/// Another pad is fitted, whose serial numbers begin at `counter`.
fn fit_pad(rig: &mut Rig, counter: u32) {
    let mut keys = KeyStore::delivered(&PinPadKeys::test());
    keys.set_counter(counter);
    devices(rig).pad = PinPadDevice::new(keys, 1);
    restart(rig);
}

/// Whether the start screen says this, in whatever language.
fn says(rig: &Rig, phrase: Word) -> bool {
    let texts = Language::ALL.map(|language| word(language, phrase));
    matches!(&rig.view.body, Body::Attract { states, .. }
        if states.iter().any(|state| texts.contains(&state.text.as_str())))
}

fn until_says(rig: &mut Rig, phrases: &[Word]) {
    rig.until("these words on the start screen", |rig| phrases.iter().all(|phrase| says(rig, *phrase)));
}

fn check(fault: FaultCode, Case { closes, bring, mend }: Case, has_cards: bool) {
    let mut rig = if has_cards { card_rig::ready(21) } else { Rig::ready(21) };
    bring(&mut rig);
    rig.until(fault.code(), |rig| rig.try_kiosk().is_some_and(|kiosk| kiosk.health().has(fault)));
    match closes {
        Closes::All(why) => assert_closed(&mut rig, why),
        Closes::Cash(why) if !has_cards => assert_closed(&mut rig, why),
        Closes::Cash(_) => until_says(&mut rig, &[Word::StateCashNo, Word::StateCardYes]),
        Closes::Cards if fault == FaultCode::CardLeft => {
            until_says(&mut rig, &[Word::StateCashYes, Word::StateCardLeft]);
        }
        Closes::Cards => until_says(&mut rig, &[Word::StateCashYes, Word::StateCardNo]),
        Closes::Nothing => until_says(&mut rig, &[Word::StateCashYes]),
    }
    assert!(rig.kiosk().health().has(fault), "it is there for as long as nobody mends it");
    assert_eq!(fault.closes_cash(), matches!(closes, Closes::All(_) | Closes::Cash(_)));
    mend(&mut rig);
    rig.until("a terminal in service", |rig| {
        let cards = !has_cards || says(rig, Word::StateCardYes);
        cards && says(rig, Word::StateCashYes) && !rig.kiosk().health().has(fault)
    });
    rig.quote(ID_CARD, PAYER);
    assert!(rig.view.actions.iter().any(|action| action.intent == Intent::PayCash));
}

#[test]
fn every_fault_closes_what_it_must_says_why_and_is_over_when_it_is_mended() {
    let mut bad = Vec::new();
    for fault in FaultCode::ALL {
        for has_cards in [false, true] {
            let Some(case) = of(*fault) else { continue };
            if has_cards || case.closes != Closes::Cards {
                let done = std::panic::catch_unwind(|| check(*fault, case, has_cards));
                bad.extend(done.is_err().then_some((fault.code(), has_cards)));
            }
        }
    }
    assert!(bad.is_empty(), "{bad:?}");
}

#[test]
fn devices_that_are_missing_at_the_start_close_before_anybody_could_pay() {
    for (fault, cut) in [
        (FaultCode::PrinterAbsent, (|rig| rig.printer.power_off(rig.now())) as fn(&mut Rig)),
        (FaultCode::AcceptorAbsent, |rig| rig.acceptor.power_off(rig.now())),
    ] {
        let Some(Case { closes: Closes::All(why) | Closes::Cash(why), mend, .. }) = of(fault) else {
            panic!("{fault:?} closes cash")
        };
        let mut rig = Rig::ready(22);
        rig.power_off();
        cut(&mut rig);
        rig.power_on();
        rig.until("it is noticed", |rig| {
            assert!(!says(rig, Word::StateCashYes), "nobody has seen the device yet");
            rig.kiosk().health().has(fault)
        });
        assert_closed(&mut rig, why);
        mend(&mut rig);
        rig.until_screen("attract");
    }
}
