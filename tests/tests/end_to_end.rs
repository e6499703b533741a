//! The whole kiosk as its users get it: one program, real ptys, real TLS, real SQLite, SIGKILL; seen and touched through the
//! bench alone. Each story ends with the books: cassette, journal and ledger say the same sum.

use std::time::Instant;
use tolem_core::words::Word;
use tolem_protocol::catalogue::Language;
use tolem_tests::bench::{Citizen, Demo, DemoOptions, PATIENCE, Paper, Screen, Terminal, run, tolem};

/// An IIN without a living holder that the reference registry knows.
const PAYER: &str = "000101300019";
/// Well formed, but not in the registry.
const UNKNOWN_PAYER: &str = "500228200900";
/// Its control digit does not fit.
const MISTYPED_PAYER: &str = "000101300018";
/// 4 325 ₸: one index.
const MARRIAGE: (&str, u64) = ("marriage", 4_325);
/// 865 ₸: 0.2 of an index.
const ID_CARD: (&str, u64) = ("id-card", 865);

const CODE: &str = "TOLEM:C1:";
const DEPOSIT: &str = "TOLEM:D1:";
const VOUCHER: &str = "TOLEM:V1:";

/// A bench with one kiosk that is ready to sell, in English.
fn ready(demo: &Demo) -> Terminal<'_> {
    let kiosk = demo.terminal(0);
    kiosk.until_screen("attract");
    kiosk.choose_language(Language::English);
    kiosk
}

/// From the open slot to the confirmed payment.
fn pay_and_confirm(kiosk: &Terminal<'_>, due: u64, notes: &[u32]) {
    kiosk.insert_up_to(due, notes);
    kiosk.tap(Word::Confirm);
}

/// The code on the screen, digits only.
fn code_on(screen: &Screen, kiosk: &Terminal<'_>) -> String {
    let code = screen.value(kiosk.say(Word::Code)).unwrap_or_else(|| panic!("no code\n{}", kiosk.report()));
    code.chars().filter(char::is_ascii_digit).collect()
}

fn symbol<'p>(paper: &'p Paper, kind: &str) -> &'p str {
    paper.qr.iter().find(|text| text.starts_with(kind)).unwrap_or_else(|| panic!("no {kind} in {paper:?}"))
}

/// The number that stands large on a slip or voucher, digits only.
fn number_on(screen: &Screen, label: &str) -> String {
    let number = screen.value(label).unwrap_or_else(|| panic!("no {label:?} on {screen:#?}"));
    number.chars().filter(char::is_ascii_digit).collect()
}

/// What the command line says about the text of a receipt's symbol.
fn verify_receipt(demo: &Demo, text: &str) -> String {
    run(&tolem(), &[&"receipt", &"verify", &"--config", &demo.kiosk_config(0), &text]).good()
}

/// The citizen of an interrupted payment comes back after the power did.
fn come_back(kiosk: &Terminal<'_>) {
    kiosk.until_one_of(&["attract", "closed"]);
    kiosk.follow_language();
    kiosk.tap(Word::WasInterrupted);
    kiosk.enter_iin(PAYER);
}

/// Uses the code up as citizens do: at a portal, or at the desk of a service center; never twice, and never for somebody else.
fn redeem(demo: &Demo, language: Language, code: &str) {
    let bearer = [code, PAYER, MARRIAGE.0];
    let at_portal =
        |what, [code, iin, service]: [&str; 3]| demo.at_gateway("portal", &[what, code, iin, service]);
    let at_desk = |words: &[&str]| demo.at_gateway("desk", &[&words[..1], &bearer[..], &words[1..]].concat());
    assert!(!at_portal("redeem", [code, "000101400015", MARRIAGE.0]).success(), "good for its payer only");
    assert!(!at_portal("redeem", [code, PAYER, ID_CARD.0]).success(), "good for its service only");
    at_portal("check", bearer).good();
    if language == Language::Kazakh {
        at_portal("redeem", bearer).good();
    } else {
        let said = at_desk(&["validate"]).good();
        let request =
            said.lines().find_map(|line| line.strip_prefix("request ")).expect("a number of the request");
        at_desk(&["close", "--request", request, "--operator", "aliya"]).good();
    }
    assert!(!at_portal("redeem", bearer).success(), "a code is used once");
    assert!(!at_desk(&["validate"]).success(), "a code is used once");
}

fn whole_payment_in(language: Language) {
    let demo = Demo::start();
    let kiosk = demo.terminal(0);
    kiosk.until_screen("attract");
    kiosk.choose_language(language);
    kiosk.open_slot(MARRIAGE.0, PAYER);
    pay_and_confirm(&kiosk, MARRIAGE.1, &[2_000, 2_000]);

    let screen = kiosk.until_screen("code");
    let code = code_on(&screen, &kiosk);
    let paper = kiosk.paper_after(0);
    let proof = verify_receipt(&demo, symbol(&paper, CODE));
    let digits: String =
        proof.lines().next().unwrap_or_default().chars().filter(char::is_ascii_digit).collect();
    assert_eq!(digits, code, "the code on the screen is the one that the center signed on paper:\n{proof}");
    assert!(proof.contains(MARRIAGE.0), "{proof}");
    assert!(
        paper.qr.iter().any(|text| text.starts_with(VOUCHER)),
        "the remainder is on the same paper: {paper:?}"
    );

    kiosk.until_step(25);
    redeem(&demo, language, &code);

    let steps = kiosk.steps();
    let missing: Vec<u64> = (1..=25).filter(|step| !steps.contains(step)).collect();
    assert!(missing.is_empty(), "steps of use case 5 without a trace: {missing:?} of {steps:?}");
    kiosk.tap(Word::Done);
    kiosk.until_screen("attract");
    demo.check_books();
}

#[test]
fn a_fee_is_paid_in_kazakh() {
    whole_payment_in(Language::Kazakh);
}

#[test]
fn a_fee_is_paid_in_russian() {
    whole_payment_in(Language::Russian);
}

#[test]
fn a_fee_is_paid_in_english() {
    whole_payment_in(Language::English);
}

/// The plug is pulled at `moment` of the first note; the payment goes on afterwards and every note is counted once.
fn plug_pulled(moment: &str) {
    let demo = Demo::start();
    let kiosk = ready(&demo);
    kiosk.open_slot(MARRIAGE.0, PAYER);
    kiosk.arm(moment);
    kiosk.push(2_000);
    kiosk.until_dark();
    kiosk.power_on();
    kiosk.until_one_of(&["attract", "closed"]);
    demo.until_settled(0);

    if kiosk.cassette_tenge() == 0 {
        // The note came back out: nothing is owed, nothing was taken. The next citizen pays.
        kiosk.until_screen("attract");
        kiosk.open_slot(MARRIAGE.0, PAYER);
        pay_and_confirm(&kiosk, MARRIAGE.1, &[2_000, 2_000]);
    } else {
        come_back(&kiosk);
        kiosk.until_screen("inserting");
        kiosk.insert(2_000);
        kiosk.tap_beginning(Word::LargerNoteAgree);
        kiosk.insert(500);
        kiosk.until_screen("confirm");
        kiosk.tap(Word::Confirm);
    }
    kiosk.until_screen("code");
    kiosk.tap(Word::Done);
    kiosk.until_screen("attract");
    assert_eq!(demo.check_books(), 4_500, "{}", kiosk.report());
}

#[test]
fn the_plug_is_pulled_when_stacking_is_ordered() {
    plug_pulled("ordered");
}

#[test]
fn the_plug_is_pulled_while_a_note_is_being_stacked() {
    plug_pulled("passing");
}

#[test]
fn the_plug_is_pulled_when_the_note_has_just_been_stacked() {
    plug_pulled("stacked");
}

#[test]
fn the_process_alone_dies_with_money_in_and_the_payment_goes_on() {
    let demo = Demo::start();
    let kiosk = ready(&demo);
    kiosk.open_slot(ID_CARD.0, PAYER);
    kiosk.insert(500);
    kiosk.order("power", "crash");
    kiosk.until_dark();
    kiosk.power_on();
    come_back(&kiosk);
    kiosk.until_screen("inserting");
    kiosk.tap_beginning(Word::LargerNoteAgree);
    kiosk.insert(500);
    kiosk.until_screen("confirm");
    kiosk.tap(Word::Confirm);
    kiosk.until_screen("code");
    kiosk.tap(Word::Done);
    assert_eq!(demo.check_books(), 1_000);
}

#[test]
fn the_plug_is_pulled_while_the_receipt_comes_out() {
    let demo = Demo::start();
    let kiosk = ready(&demo);
    kiosk.open_slot(ID_CARD.0, PAYER);
    kiosk.insert_up_to(ID_CARD.1, &[500]);
    kiosk.arm("printing");
    kiosk.tap(Word::Confirm);
    kiosk.until_dark();
    let torn = kiosk.pieces();
    kiosk.power_on();
    come_back(&kiosk);
    // Nothing personal was printed unattended; now its owner is there.
    let screen = kiosk.until_one_of(&["code", "cannot-print"]);
    if screen.name == "cannot-print" {
        kiosk.tap(Word::PrintAgain);
        kiosk.until_screen("code");
    }
    let paper = kiosk.paper_after(torn);
    verify_receipt(&demo, symbol(&paper, CODE));
    kiosk.tap(Word::Done);
    assert_eq!(demo.check_books(), 1_000);
}

#[test]
fn a_lost_link_gives_a_claim_slip_that_the_other_kiosk_honours() {
    let demo = Demo::with(DemoOptions { kiosks: 2, ..DemoOptions::default() });
    let kiosk = ready(&demo);
    let other = demo.terminal(1);
    kiosk.open_slot(ID_CARD.0, PAYER);
    kiosk.insert_up_to(ID_CARD.1, &[500]);
    kiosk.order("link", "down");
    kiosk.tap(Word::Confirm);
    let slip = kiosk.until_screen("claim-slip");
    let claim = number_on(&slip, kiosk.say(Word::ClaimNumber));
    symbol(&kiosk.paper_after(0), DEPOSIT);
    kiosk.tap(Word::Done);
    kiosk.until_screen("closed");

    // The center has not heard of it yet, and says so.
    look_up(&other, &claim);
    let told = other.until_screen("message");
    assert!(told.says(other.say(Word::ClaimNotArrived)), "{told:#?}");
    other.tap(Word::Done);

    kiosk.order("link", "up");
    kiosk.until_screen("attract");
    demo.until_settled(0);
    let known = other.pieces();
    look_up(&other, &claim);
    let screen = other.until_screen("code");
    let paper = other.paper_after(known);
    let proof = verify_receipt(&demo, symbol(&paper, CODE));
    let digits: String =
        proof.lines().next().unwrap_or_default().chars().filter(char::is_ascii_digit).collect();
    assert_eq!(digits, code_on(&screen, &other));

    // The remainder of 135 pays a part of the next fee, at the other kiosk.
    let voucher = symbol(&paper, VOUCHER).trim_start_matches(VOUCHER).to_owned();
    other.tap(Word::Done);
    other.quote(ID_CARD.0, PAYER);
    other.tap(Word::AddVoucher);
    other.until_screen("number");
    other.type_digits(&voucher);
    other.tap(Word::Next);
    let quote = other.until("the quote with the voucher", |screen| {
        (screen.name == "quote" && screen.says(other.say(Word::FromVoucher))).then(|| screen.clone())
    });
    assert!(quote.says("730 ₸"), "865 less 135 is due: {quote:#?}");
    other.accept_quote();
    pay_and_confirm(&other, 730, &[500]);
    other.until_screen("code");
    other.tap(Word::Done);

    // It is gone now.
    look_up(&other, &voucher);
    let told = other.until_one_of(&["message", "balance"]);
    assert_eq!(told.name, "message", "a voucher is spent once: {told:#?}");
    demo.check_books();
}

/// "I have a claim slip or a voucher": number and IIN.
fn look_up(kiosk: &Terminal<'_>, number: &str) {
    kiosk.until_screen("attract");
    kiosk.follow_language();
    kiosk.tap(Word::HaveSlip);
    kiosk.until_screen("number");
    kiosk.type_digits(number);
    kiosk.tap(Word::Next);
    kiosk.enter_iin(PAYER);
}

#[test]
fn lost_answers_are_asked_for_again_and_paid_once() {
    let demo = Demo::start();
    let kiosk = ready(&demo);
    kiosk.open_slot(ID_CARD.0, PAYER);
    kiosk.insert_up_to(ID_CARD.1, &[500]);
    kiosk.order("link", "answers-lost");
    kiosk.tap(Word::Confirm);
    kiosk.until_screen("claim-slip");
    kiosk.order("link", "up");
    kiosk.tap(Word::Done);
    demo.until_settled(0);
    assert_eq!(demo.check_books(), 1_000);
}

#[test]
fn without_paper_nothing_is_sold_and_the_reason_is_said() {
    let demo = Demo::start();
    let kiosk = demo.terminal(0);
    kiosk.until_screen("attract");
    kiosk.order("printer", "paper out");
    let closed = kiosk.until_screen("closed");
    kiosk.follow_language();
    assert!(closed.says(kiosk.say(Word::ReasonPaperOut)), "{closed:#?}");
    assert!(kiosk.device("acceptor", "insert 500").is_err(), "the slot is shut");
    kiosk.order("printer", "paper ok");
    kiosk.until_screen("attract");
    assert_eq!(demo.check_books(), 0);
}

#[test]
fn paper_that_ends_in_a_receipt_leaves_the_receipt_owed() {
    let demo = Demo::start();
    let kiosk = ready(&demo);
    kiosk.open_slot(ID_CARD.0, PAYER);
    kiosk.insert_up_to(ID_CARD.1, &[500]);
    kiosk.order("printer", "paper out after 200");
    kiosk.tap(Word::Confirm);
    let screen = kiosk.until_screen("cannot-print");
    let code = code_on(&screen, &kiosk);
    assert!(screen.says(&kiosk.beginning(Word::ReceiptOwed)), "{screen:#?}");
    let torn = kiosk.pieces();
    kiosk.order("printer", "paper ok");
    kiosk.tap(Word::PrintAgain);
    let printed = kiosk.until_screen("code");
    assert_eq!(code_on(&printed, &kiosk), code);
    verify_receipt(&demo, symbol(&kiosk.paper_after(torn), CODE));
    assert_eq!(demo.check_books(), 1_000);
}

#[test]
fn a_wrong_iin_is_asked_again_and_a_silent_registry_is_not_called_wrong() {
    let demo = Demo::start();
    let kiosk = ready(&demo);
    kiosk.choose_service(ID_CARD.0);
    kiosk.type_digits(MISTYPED_PAYER);
    kiosk
        .until("the slip named", |screen| screen.says(&kiosk.beginning(Word::IinErrorControl)).then_some(()));
    clear(&kiosk, Word::IinErrorControl);
    kiosk.enter_iin(UNKNOWN_PAYER);
    kiosk.until("the registry's no", |screen| {
        screen.says(&kiosk.beginning(Word::RegistryWrong)).then_some(())
    });
    kiosk.order("center", "registry down");
    kiosk.enter_iin(PAYER);
    let told = kiosk.until_one_of(&["message", "quote"]);
    assert!(told.says(kiosk.say(Word::RegistryUnavailable)), "{told:#?}");
    kiosk.tap(Word::Done);
    kiosk.order("center", "registry up");
    kiosk.quote(ID_CARD.0, PAYER);
    assert_eq!(demo.check_books(), 0);
}

/// Wipes what was typed, and with it the complaint.
fn clear(kiosk: &Terminal<'_>, complaint: Word) {
    kiosk.tap(Word::Clear);
    kiosk.until("the complaint gone", |screen| (!screen.says(&kiosk.beginning(complaint))).then_some(()));
}

#[test]
fn foreign_and_bad_notes_come_back_and_money_stopped_becomes_a_voucher() {
    let demo = Demo::start();
    let kiosk = ready(&demo);
    kiosk.open_slot(MARRIAGE.0, PAYER);
    for odd in ["insert 2000 foreign", "insert 2000 bad"] {
        kiosk.until_device("acceptor", odd);
        kiosk.until_state("the note given back", |state| {
            let last = &state["acceptor"]["notes"][0];
            matches!(last["place"].as_str(), Some("inlet" | "returned")).then_some(())
        });
        // It may have been taken by itself.
        let _ = kiosk.device("acceptor", "take");
    }
    kiosk.insert(1_000);
    kiosk.tap(Word::Stop);
    kiosk.tap(Word::StopYes);
    kiosk.until_screen("held");
    symbol(&kiosk.paper_after(0), VOUCHER);
    kiosk.tap(Word::Done);
    kiosk.until_screen("attract");
    assert_eq!(demo.check_books(), 1_000);
}

#[test]
fn an_edited_journal_is_named_by_verify_and_closes_the_kiosk() {
    let mut demo = Demo::start();
    {
        let kiosk = ready(&demo);
        kiosk.open_slot(ID_CARD.0, PAYER);
        kiosk.insert_up_to(ID_CARD.1, &[500]);
        kiosk.tap(Word::Confirm);
        kiosk.until_screen("code");
        kiosk.tap(Word::Done);
        kiosk.until_screen("attract");
    }
    demo.check_books();
    demo.stop();
    let record = demo.edit_journal(0);
    let verdict = run(&tolem(), &[&"journal", &"verify", &"--config", &demo.kiosk_config(0)]);
    assert!(
        !verdict.success() && verdict.text().contains(&record.to_string()),
        "record {record} is named: {verdict}"
    );

    demo.resume();
    let kiosk = demo.terminal(0);
    let closed = kiosk.until("the true reason", |screen| {
        (screen.name == "closed" && screen.says(kiosk.say(Word::ReasonJournalDamaged)))
            .then(|| screen.clone())
    });
    assert!(kiosk.device("acceptor", "insert 500").is_err(), "the slot is shut: {closed:#?}");
}

/// SIGTERM, as a service manager sends it.
fn terminate(kiosk: &Terminal<'_>) {
    let pid = pid_of(kiosk);
    let sent = std::process::Command::new("sh").args(["-c", &format!("kill -TERM {pid}")]).status();
    assert!(sent.is_ok_and(|status| status.success()));
    kiosk.until_dark();
    assert_eq!(
        kiosk.state()["power"]["ended"].as_str().map(|ended| ended.starts_with("exited with 0")),
        Some(true)
    );
}

fn pid_of(kiosk: &Terminal<'_>) -> u64 {
    kiosk.state()["power"]["pid"].as_u64().expect("it runs")
}

#[test]
fn told_to_stop_with_money_in_the_kiosk_hands_out_paper_and_then_ends() {
    let demo = Demo::start();
    let kiosk = ready(&demo);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", pid_of(&kiosk))).expect("it runs");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "no core dump");
    kiosk.open_slot(ID_CARD.0, PAYER);
    kiosk.insert(500);
    terminate(&kiosk);
    let papers = kiosk.papers();
    assert!(symbol(&papers[0], VOUCHER).starts_with(VOUCHER), "{papers:?}");
    kiosk.power_on();
    demo.check_books();
    kiosk.until_screen("attract");
    terminate(&kiosk);
}

#[test]
fn a_new_kiosk_fetches_the_revocation_list_before_it_has_one_to_connect_with() {
    let demo = Demo::start();
    ready(&demo);
    let fetched = std::fs::read(demo.directory().join("kiosk-1/tls/center.crl")).expect("it was fetched");
    let list = std::fs::read(demo.directory().join("center/pki/root.crl")).expect("the center has one");
    assert_eq!(fetched, list);
    let log = std::fs::read_to_string(demo.directory().join("kiosk-1/kiosk.log")).expect("the kiosk's log");
    assert!(log.contains("a newer revocation list came without TLS"), "{log}");
}

/// The process or the whole kiosk is killed at ten moments of payments, counted in lines on the wire and not by a clock.
#[test]
fn killed_at_many_moments_no_money_is_lost_or_doubled() {
    let demo = Demo::start();
    let kiosk = ready(&demo);
    let mut citizen = Citizen::new(&kiosk, ID_CARD.0, PAYER);
    for cut in 0..10_u64 {
        // 5, 34, 63, 12, ... lines after the last start.
        let moment = kiosk.newest() + 5 + (cut * 29) % 80;
        let deadline = Instant::now() + PATIENCE;
        while kiosk.newest() < moment {
            assert!(Instant::now() < deadline, "nothing goes on\n{}", kiosk.report());
            if !citizen.act() {
                kiosk.wait_for_anything();
            }
        }
        kiosk.order("power", if cut % 2 == 0 { "crash" } else { "off" });
        kiosk.until_dark();
        kiosk.power_on();
        kiosk.follow_language();
    }

    // Now nothing is cut any more, and everything must come to its end.
    let finished = citizen.done + 1;
    let deadline = Instant::now() + PATIENCE;
    while citizen.done < finished || !at_rest(&kiosk) {
        assert!(Instant::now() < deadline, "it never came to its end\n{}", kiosk.report());
        if at_rest(&kiosk) && citizen.done >= finished || !citizen.act() {
            kiosk.wait_for_anything();
        }
    }
    let sum = demo.check_books();
    assert!(sum >= 1_000, "one fee was paid at least");
}

/// At the start, and nobody's payment is left open.
fn at_rest(kiosk: &Terminal<'_>) -> bool {
    let screen = kiosk.screen();
    screen.name == "attract" && !screen.offers(kiosk.say(Word::WasInterrupted))
}
