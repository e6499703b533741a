//! Named stories of money, told by the journal: real kiosk, real drivers, real device bytes, real center rules, virtual time.

use expect_test::{Expect, expect};
use std::time::Duration;
use tolem_core::{
    view::{Body, Intent},
    words::Word,
};
use tolem_hal_sim::{
    ccnet_device::{Banknote, Place},
    escpos_device::PaperSupply,
};
use tolem_protocol::{qr::Qr, record::Fact};
use tolem_tests::rig::{DiskFault, OTHER_PAYER, PAYER, Rig, SharedCenter, Wire};

/// 4 325 ₸, one index.
const MARRIAGE: &str = "marriage";
/// 865 ₸, 0.2 of an index.
const ID_CARD: &str = "id-card";

fn check_story(rig: &Rig, expected: &Expect) {
    expected.assert_eq(&rig.story());
}

/// From the open slot with the sum in to the start screen.
fn confirm_and_take(rig: &mut Rig) {
    rig.until_screen("confirm");
    rig.tap(Word::Confirm);
    rig.until_screen("code");
    rig.tap(Word::Done);
    rig.until_screen("attract");
    rig.until_settled();
}

/// The citizen of an interrupted payment comes back.
fn come_back(rig: &mut Rig) {
    rig.until("the start screen", |rig| matches!(rig.view.screen, "attract" | "closed"));
    rig.until("the offer to look for the payment", |rig| match &rig.view.body {
        Body::Attract { links, .. } => links.iter().any(|link| link.intent == Intent::WasInterrupted),
        _ => false,
    });
    rig.tap(Word::WasInterrupted);
    rig.type_digits(PAYER);
    rig.tap(Word::Next);
}

fn place(rig: &Rig) -> Option<Place> {
    rig.acceptor.notes().last().map(|note| note.place)
}

#[test]
fn a_fee_is_paid_with_notes_and_the_code_is_on_paper() {
    let mut rig = Rig::ready(1);
    rig.open_slot(MARRIAGE, PAYER);
    rig.insert(2000);
    rig.insert(2000);
    rig.touch(Intent::AgreeRemainder);
    rig.insert(500);
    rig.until_screen("confirm");
    rig.tap(Word::Confirm);
    rig.until_screen("code");
    let Body::Code { code, .. } = rig.view.body.clone() else { panic!("no code on {:?}", rig.view.screen) };
    let texts = rig.qr_texts();
    let Ok(Qr::Code(token)) = Qr::parse(&texts[0]) else { panic!("no code in {texts:?}") };
    assert_eq!(token.read_unverified().map(|token| token.code.to_string()), Some(code));
    assert!(matches!(Qr::parse(&texts[1]), Ok(Qr::Balance(_))), "the remainder voucher is on the same paper");
    rig.tap(Word::Done);
    rig.until_screen("attract");
    rig.until_settled();
    rig.check_books();
    check_story(
        &rig,
        &expect![[r#"
        -- boot --
        Started 1 due 4325
        StackOrdered 2000
        NoteStacked 2000 for 1 (Report)
        StackOrdered 2000
        NoteStacked 2000 for 1 (Report)
        StackOrdered 500
        NoteStacked 500 for 1 (Report)
        CommitRequested 1 with 4500
        Settled 1: paid, 175 held
        PrintOrdered Receipt of 1
        Printed
        Finished 1 Paid
    "#]],
    );
    assert_eq!(rig.trace, [1, 2, 3, 9, 10, 10, 10, 11, 12, 19, 20]);
}

#[test]
fn program_death_between_order_and_stacked_asks_the_device() {
    let mut rig = Rig::ready(2);
    rig.open_slot(MARRIAGE, PAYER);
    rig.push(2000);
    rig.until("the note on its way", |rig| place(rig) == Some(Place::Transport));
    rig.power_off();
    rig.power_on();
    come_back(&mut rig);
    rig.until_screen("inserting");
    rig.insert(2000);
    rig.touch(Intent::AgreeRemainder);
    rig.insert(500);
    confirm_and_take(&mut rig);
    rig.check_books();
    check_story(
        &rig,
        &expect![[r#"
        -- boot --
        Started 1 due 4325
        StackOrdered 2000
        -- boot --
        NoteStacked 2000 for 1 (PowerUp)
        Resumed 1
        StackOrdered 2000
        NoteStacked 2000 for 1 (Report)
        StackOrdered 500
        NoteStacked 500 for 1 (Report)
        CommitRequested 1 with 4500
        Settled 1: paid, 175 held
        PrintOrdered Receipt of 1
        Printed
        Finished 1 Paid
    "#]],
    );
}

#[test]
fn blackout_while_stacking_credits_the_note_once() {
    let mut rig = Rig::ready(3);
    rig.open_slot(MARRIAGE, PAYER);
    rig.push(5000);
    rig.rest(Duration::from_secs(3));
    assert_eq!(rig.kiosk().session().payments()[0].inserted().tiyn(), 0, "a note above the sum is not taken");
    rig.push(2000);
    rig.until("the note on its way", |rig| place(rig) == Some(Place::Transport));
    rig.blackout();
    come_back(&mut rig);
    rig.until_screen("inserting");
    rig.insert(2000);
    rig.touch(Intent::AgreeRemainder);
    rig.insert(500);
    confirm_and_take(&mut rig);
    rig.check_books();
    check_story(
        &rig,
        &expect![[r#"
        -- boot --
        Started 1 due 4325
        StackOrdered 2000
        -- boot --
        NoteStacked 2000 for 1 (PowerUp)
        Resumed 1
        StackOrdered 2000
        NoteStacked 2000 for 1 (Report)
        StackOrdered 500
        NoteStacked 500 for 1 (Report)
        CommitRequested 1 with 4500
        Settled 1: paid, 175 held
        PrintOrdered Receipt of 1
        Printed
        Finished 1 Paid
    "#]],
    );
}

#[test]
fn blackout_with_the_note_in_escrow_gives_it_back() {
    let mut rig = Rig::ready(4);
    rig.open_slot(MARRIAGE, PAYER);
    rig.push(2000);
    rig.until("the order on disk", |rig| {
        rig.kiosk().session().order().is_some() && place(rig) != Some(Place::Transport)
    });
    rig.blackout();
    rig.until_screen("attract");
    assert_eq!(place(&rig), Some(Place::Returned));
    rig.until_settled();
    rig.check_books();
    check_story(
        &rig,
        &expect![[r#"
        -- boot --
        Started 1 due 4325
        StackOrdered 2000
        -- boot --
        NoteReturned
        Finished 1 Voided
    "#]],
    );
}

#[test]
fn death_before_the_acknowledgement_does_not_credit_twice() {
    let mut rig = Rig::ready(5);
    rig.open_slot(MARRIAGE, PAYER);
    // The journal takes the fact, the process dies before the device hears of it.
    rig.push(2000);
    rig.until("the order on disk", |rig| rig.kiosk().session().order().is_some());
    rig.disk.fail_after(0, DiskFault::FailedButKept);
    rig.until("the end of the process", |rig| rig.aborted.is_some());
    rig.power_on();
    come_back(&mut rig);
    // The emergency hold reached the center; it counted the note that the disk had kept after all.
    rig.until_screen("held");
    rig.tap(Word::Done);
    rig.until_settled();
    rig.check_books();
    check_story(
        &rig,
        &expect![[r#"
            -- boot --
            Started 1 due 4325
            StackOrdered 2000
            NoteStacked 2000 for 1 (Report)
            -- boot --
            AccountLearned 1 with 2000 (Hold(JournalFailed))
            Settled 1: 2000 held (JournalFailed)
            Resumed 1
            PrintOrdered Voucher of 1
            Printed
            Finished 1 Held
        "#]],
    );
}

#[test]
fn a_note_that_nobody_saw_is_held_in_suspense() {
    let mut rig = Rig::at(42, SharedCenter::new(6), 6, false);
    rig.until_screen("attract");
    rig.open_slot(MARRIAGE, PAYER);
    rig.push(2000);
    rig.until("the note on its way", |rig| place(rig) == Some(Place::Transport));
    rig.power_off();
    // While the kiosk is dead the device finishes, and then loses its power and its memory of it.
    rig.rest(Duration::from_secs(5));
    rig.replace_acceptor();
    rig.power_on();
    rig.until("suspense", |rig| rig.facts().iter().any(|fact| matches!(fact, Fact::NoteInDoubt { .. })));
    rig.until_settled();
    check_story(
        &rig,
        &expect![[r#"
        -- boot --
        Started 1 due 4325
        StackOrdered 2000
        -- boot --
        NoteInDoubt 2000 held as 2 (NoWitness)
        HoldRequested 2 with 2000 (Suspense)
        Settled 2: 2000 held (Suspense)
        Finished 1 Voided
    "#]],
    );
}

#[test]
fn link_lost_after_money_gives_a_claim_slip_that_any_kiosk_honours() {
    let center = SharedCenter::new(7);
    let mut rig = Rig::at(42, center.clone(), 7, true);
    rig.until_screen("attract");
    rig.open_slot(ID_CARD, PAYER);
    rig.insert(500);
    rig.set_wire(Wire::Down);
    rig.touch(Intent::AgreeRemainder);
    rig.insert(500);
    rig.until_screen("confirm");
    rig.tap(Word::Confirm);
    rig.until_screen("claim-slip");
    let Body::Message { number, .. } = rig.view.body.clone() else { panic!("no number") };
    let texts = rig.qr_texts();
    assert!(matches!(Qr::parse(&texts[0]), Ok(Qr::Deposit(_))), "{texts:?}");
    rig.tap(Word::Done);

    let mut other = Rig::at(43, center, 8, true);
    other.until_screen("attract");
    other.tap(Word::HaveSlip);
    other.type_digits(&number);
    other.tap(Word::Next);
    other.type_digits(PAYER);
    other.tap(Word::Next);
    other.until_screen("message");
    assert_eq!(other.view.title, "Төлем орталыққа әлі жеткен жоқ");
    other.tap(Word::Done);

    rig.set_wire(Wire::Up);
    rig.until_settled();
    other.tap(Word::HaveSlip);
    other.type_digits(&number);
    other.tap(Word::Next);
    other.type_digits(OTHER_PAYER);
    other.tap(Word::Next);
    other.until_screen("message");
    other.tap(Word::Done);
    other.tap(Word::HaveSlip);
    other.type_digits(&number);
    other.tap(Word::Next);
    other.type_digits(PAYER);
    other.tap(Word::Next);
    other.until_screen("code");
    let texts = other.qr_texts();
    assert!(matches!(Qr::parse(&texts[0]), Ok(Qr::Code(_))), "{texts:?}");
    rig.check_books();
    check_story(
        &rig,
        &expect![[r#"
        -- boot --
        Started 1 due 865
        StackOrdered 500
        NoteStacked 500 for 1 (Report)
        StackOrdered 500
        NoteStacked 500 for 1 (Report)
        CommitRequested 1 with 1000
        PrintOrdered ClaimSlip of 1
        Printed
        Finished 1 ClaimGiven
        Settled 1: paid, 135 held
    "#]],
    );
    check_story(
        &other,
        &expect![[r#"
        -- boot --
        PrintOrdered Receipt of 1
        Printed
    "#]],
    );
}

#[test]
fn stopped_money_becomes_a_voucher_and_pays_elsewhere() {
    let center = SharedCenter::new(9);
    let mut rig = Rig::at(42, center.clone(), 9, true);
    rig.until_screen("attract");
    rig.open_slot(MARRIAGE, PAYER);
    rig.insert(1000);
    rig.tap(Word::Stop);
    rig.until("the question", |rig| rig.view.dialog.is_some());
    rig.tap(Word::StopYes);
    rig.until_screen("held");
    let Body::Message { number, .. } = rig.view.body.clone() else { panic!("no number") };
    rig.tap(Word::Done);
    rig.until_screen("attract");

    let mut other = Rig::at(43, center, 10, true);
    other.until_screen("attract");
    other.quote(ID_CARD, PAYER);
    other.tap(Word::AddVoucher);
    other.type_digits(&number);
    other.tap(Word::Next);
    other.until_screen("quote");
    other.tap(Word::PayCash);
    other.tap(Word::HonestAgree);
    confirm_and_take(&mut other);
    rig.check_books();
    other.check_books();
    check_story(
        &rig,
        &expect![[r#"
        -- boot --
        Started 1 due 4325
        StackOrdered 1000
        NoteStacked 1000 for 1 (Report)
        HoldRequested 1 with 1000 (Stopped)
        Settled 1: 1000 held (Stopped)
        PrintOrdered Voucher of 1
        Printed
        Finished 1 Held
    "#]],
    );
    check_story(
        &other,
        &expect![[r#"
        -- boot --
        Started 2 due 0
        CommitRequested 2 with 0
        Settled 2: paid, 135 held
        PrintOrdered Receipt of 2
        Printed
        Finished 2 Paid
    "#]],
    );
}

#[test]
fn lost_answers_are_asked_for_again_and_paid_once() {
    let mut rig = Rig::ready(11);
    rig.open_slot(ID_CARD, PAYER);
    rig.insert(500);
    rig.touch(Intent::AgreeRemainder);
    rig.insert(500);
    rig.until_screen("confirm");
    rig.set_wire(Wire::AnswersLost);
    rig.tap(Word::Confirm);
    rig.until_screen("claim-slip");
    rig.set_wire(Wire::Up);
    rig.until_settled();
    rig.check_books();
    check_story(
        &rig,
        &expect![[r#"
        -- boot --
        Started 1 due 865
        StackOrdered 500
        NoteStacked 500 for 1 (Report)
        StackOrdered 500
        NoteStacked 500 for 1 (Report)
        CommitRequested 1 with 1000
        PrintOrdered ClaimSlip of 1
        Printed
        Settled 1: paid, 135 held
    "#]],
    );
}

#[test]
fn a_broken_disk_gives_the_note_back_and_an_emergency_slip() {
    let mut rig = Rig::ready(12);
    rig.open_slot(MARRIAGE, PAYER);
    rig.insert(2000);
    rig.disk.fail_after(0, DiskFault::FailedNotKept);
    rig.push(1000);
    rig.until("the end of the process", |rig| rig.aborted.is_some());
    rig.rest(Duration::from_secs(5));
    assert_eq!(place(&rig), Some(Place::Returned), "nothing was ordered, so nothing was taken");
    let texts = rig.qr_texts();
    assert!(matches!(Qr::parse(&texts[0]), Ok(Qr::Deposit(_))), "{texts:?}");
    // The next start hears of the emergency hold and writes it down.
    rig.power_on();
    rig.rest(Duration::from_secs(60));
    rig.check_books();
}

#[test]
fn a_citizen_who_walks_away_leaves_a_voucher_not_a_loss() {
    let mut rig = Rig::ready(13);
    rig.open_slot(MARRIAGE, PAYER);
    rig.insert(2000);
    rig.until_screen("held");
    rig.until_screen("attract");
    rig.until_settled();
    rig.check_books();
    check_story(
        &rig,
        &expect![[r#"
        -- boot --
        Started 1 due 4325
        StackOrdered 2000
        NoteStacked 2000 for 1 (Report)
        HoldRequested 1 with 2000 (Stopped)
        Settled 1: 2000 held (Stopped)
        PrintOrdered Voucher of 1
        Printed
        Finished 1 Held
    "#]],
    );
}

#[test]
fn without_paper_nothing_is_sold_and_a_roll_that_ends_leaves_the_receipt_owed() {
    let mut rig = Rig::ready(14);
    let now = rig.now();
    rig.printer.set_paper(now, PaperSupply::Out);
    rig.until_screen("closed");
    assert_eq!(rig.view.lead, "Түбіртек қағазы таусылды");
    rig.printer.set_paper(rig.now(), PaperSupply::New);
    rig.until_screen("attract");
    rig.open_slot(ID_CARD, PAYER);
    rig.insert(500);
    rig.touch(Intent::AgreeRemainder);
    rig.insert(500);
    rig.until_screen("confirm");
    rig.printer.set_paper(rig.now(), PaperSupply::OutAfter(300));
    rig.tap(Word::Confirm);
    rig.until_screen("cannot-print");
    rig.printer.set_paper(rig.now(), PaperSupply::New);
    rig.until("paper again", |rig| !rig.kiosk().health().printer_blocked());
    rig.tap(Word::PrintAgain);
    rig.until_screen("code");
    rig.tap(Word::Done);
    rig.until_settled();
    rig.check_books();
    check_story(
        &rig,
        &expect![[r#"
        -- boot --
        Started 1 due 865
        StackOrdered 500
        NoteStacked 500 for 1 (Report)
        StackOrdered 500
        NoteStacked 500 for 1 (Report)
        CommitRequested 1 with 1000
        Settled 1: paid, 135 held
        PrintOrdered Receipt of 1
        PrintFailed PaperOut
        PrintOrdered Receipt of 1 COPY
        Printed
        Finished 1 Paid
    "#]],
    );
}

#[test]
fn a_wrong_iin_is_asked_again_and_a_silent_registry_is_not_called_wrong() {
    let mut rig = Rig::ready(15);
    rig.choose(MARRIAGE, "500228200900");
    rig.until_screen("iin");
    let Body::Keypad { error, .. } = rig.view.body.clone() else { panic!("no keypad") };
    assert!(error.contains("no such IIN"), "{error}");
    rig.type_digits(PAYER);
    rig.tap(Word::Next);
    rig.until_screen("quote");
    check_story(
        &rig,
        &expect![[r#"
        -- boot --
    "#]],
    );
}

#[test]
fn an_edited_journal_closes_the_terminal_and_stays_as_it_is() {
    let mut rig = Rig::ready(16);
    rig.open_slot(MARRIAGE, PAYER);
    rig.insert(2000);
    let before = rig.disk.size();
    rig.power_off();
    rig.disk.tamper(2);
    rig.power_on();
    rig.until_screen("closed");
    rig.rest(Duration::from_secs(60));
    assert_eq!(rig.disk.size(), before, "nothing is written to a journal that does not fit its signatures");
    assert!(rig.acceptor.insert(rig.now(), Banknote::tenge(2000)).is_err(), "the slot stays shut");
}

#[test]
fn no_money_is_taken_while_the_link_is_down() {
    let mut rig = Rig::ready(17);
    rig.open_slot(MARRIAGE, PAYER);
    rig.until("an open slot", |rig| rig.acceptor.enabled() != tolem_protocol::ccnet::TypeMask::NONE);
    rig.set_wire(Wire::Down);
    rig.rest(Duration::from_secs(2));
    assert!(rig.acceptor.insert(rig.now(), Banknote::tenge(2000)).is_err(), "a payment starts online only");
    rig.touch(Intent::Stop);
    rig.until_screen("closed");
    rig.check_books();
}

/// The program dies at each of its appends in turn, before or after the disk took it; devices keep their power.
#[test]
fn death_at_every_append_of_a_payment_loses_nothing() {
    sweep(DiskFault::FailedNotKept, false);
    sweep(DiskFault::FailedButKept, false);
}

/// The same with a blackout that takes the devices down too.
#[test]
fn blackout_at_every_append_of_a_payment_loses_nothing() {
    sweep(DiskFault::FailedNotKept, true);
    sweep(DiskFault::FailedButKept, true);
}

fn sweep(fault: DiskFault, blackout: bool) {
    let mut cuts = 0;
    for appends in 0.. {
        let mut rig = Rig::ready(1_000 + appends);
        rig.disk.fail_after(appends, fault);
        if !pay_with_cuts(&mut rig, blackout) {
            break;
        }
        cuts += 1;
    }
    assert!(cuts >= 8, "only {cuts} appends in a payment: the sweep is blind");
}

/// Pays once whatever happens; false if nothing happened.
fn pay_with_cuts(rig: &mut Rig, blackout: bool) -> bool {
    let mut cut = false;
    let mut noted = false;
    let deadline = rig.now() + Duration::from_secs(3_000);
    let paid = |rig: &Rig| {
        rig.facts().iter().any(|fact| matches!(fact, Fact::Finished { .. }))
            && rig.try_kiosk().is_some_and(|kiosk| kiosk.session().payments().is_empty())
            && rig.view.screen == "attract"
    };
    while !paid(rig) {
        assert!(rig.now() < deadline, "never ended; screen {:?}\n{}", rig.view.screen, rig.story());
        if rig.try_kiosk().is_none() {
            cut = true;
            noted = false;
            if blackout { rig.blackout() } else { rig.power_on() }
        }
        match rig.view.screen {
            "attract" => {
                let interrupted = rig.kiosk().session().interrupted().next().is_some();
                if interrupted {
                    come_back(rig);
                } else if rig.kiosk().session().payments().is_empty() {
                    rig.choose(ID_CARD, PAYER);
                }
            }
            "quote" => rig.tap(Word::PayCash),
            "honest" => rig.tap(Word::HonestAgree),
            "inserting" if !noted => {
                rig.touch(Intent::AgreeRemainder);
                noted = rig.acceptor.insert(rig.now(), Banknote::tenge(500)).is_ok();
            }
            "inserting" => {
                let moving = matches!(
                    place(rig),
                    Some(Place::Inlet | Place::Validator | Place::Escrow | Place::Transport)
                );
                noted = moving || rig.acceptor.unconfirmed_credit().is_some();
            }
            "confirm" => rig.tap(Word::Confirm),
            "message" => {
                rig.rest(Duration::from_secs(1));
                rig.tap(Word::Done);
            }
            "code" | "held" | "claim-slip" | "cannot-print" => rig.tap(Word::Done),
            _ => {}
        }
        if rig.try_kiosk().is_some() {
            rig.step();
        }
    }
    rig.until_settled();
    rig.check_books();
    cut
}
