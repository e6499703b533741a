//! Card payments as users of the bench get them: one program, real ptys, real TLS, real SQLite, SIGKILL, a served center and a served test
//! issuer, whose ledger is the judge; seen and touched through the bench alone.

use tolem_core::words::Word;
use tolem_protocol::catalogue::Language;
use tolem_tests::{
    bench::{Demo, DemoOptions, Terminal, run, tolem},
    secrets::{self, PIN},
};

/// An IIN without a living holder that the reference registry knows.
const PAYER: &str = "000101300019";
/// 4 325 ₸: one index.
const MARRIAGE: &str = "marriage";

/// A bench whose kiosk takes cards, in English.
fn ready(demo: &Demo) -> Terminal<'_> {
    let kiosk = demo.terminal(0);
    kiosk.until_screen("attract");
    let yes = [Language::Kazakh, Language::Russian, Language::English]
        .map(|language| tolem_core::words::word(language, Word::StateCardYes));
    kiosk.until("cards in service", |screen| yes.iter().any(|text| screen.says(text)).then_some(()));
    kiosk.choose_language(Language::English);
    kiosk
}

/// From the quote to the PIN pad that takes digits.
fn up_to_the_pin(kiosk: &Terminal<'_>, card: &str) {
    kiosk.quote(MARRIAGE, PAYER);
    kiosk.tap(Word::PayCard);
    kiosk.until_screen("card-insert");
    kiosk.until_device("cardreader", &format!("insert {card}"));
    kiosk.until_screen("card-pin");
    kiosk.until_state("a pad that takes digits", |state| {
        (state["pin_pad"]["takes_keys"] == true).then_some(())
    });
}

fn enter(kiosk: &Terminal<'_>, pin: &str) {
    kiosk.order("pinpad", &format!("press {pin} enter"));
}

fn take_card(kiosk: &Terminal<'_>) {
    kiosk.until_screen("card-take");
    kiosk.until_device("cardreader", "take");
}

/// The issuer's sums, when nothing is held any more.
fn until_taken(kiosk: &Terminal<'_>, tenge: u64) {
    let wanted = format!("taken {tenge} tenge, held 0 tenge");
    kiosk.until_state(&wanted, |state| {
        state["issuer"].as_str().is_some_and(|ledger| ledger.ends_with(&wanted)).then_some(())
    });
}

#[test]
fn a_card_pays_with_its_pin_and_no_trace_of_number_or_pin_is_left() {
    let mut demo = Demo::start();
    {
        let kiosk = ready(&demo);
        up_to_the_pin(&kiosk, "common");
        enter(&kiosk, "1111");
        kiosk.until_screen("card-wrong-pin");
        kiosk.tap(Word::PinAgain);
        kiosk.until_screen("card-pin");
        kiosk.until_state("a pad that takes digits", |state| {
            (state["pin_pad"]["takes_keys"] == true).then_some(())
        });
        enter(&kiosk, PIN);
        take_card(&kiosk);
        kiosk.until_screen("code");
        let paper = kiosk.paper_after(0);
        let code = paper.qr.iter().find(|text| text.starts_with("TOLEM:C1:")).expect("a code on paper");
        run(&tolem(), &[&"receipt", &"verify", &"--config", &demo.kiosk_config(0), &code.as_str()]).good();
        until_taken(&kiosk, 4_325);
        kiosk.tap(Word::Done);
        kiosk.until_screen("attract");
        demo.check_books();
    }
    // The pad's counter outlives the bench, and the kiosk takes its next key.
    demo.stop();
    demo.resume();
    let kiosk = ready(&demo);
    up_to_the_pin(&kiosk, "poor");
    enter(&kiosk, PIN);
    take_card(&kiosk);
    let screen = kiosk.until_screen("message");
    assert!(screen.says(kiosk.say(Word::DeclineFunds)), "{}", kiosk.report());
    demo.stop();
    let files = secrets::search(demo.directory());
    assert!(files > 20, "{files} files were searched");
}

#[test]
fn a_card_pays_behind_a_reader_that_hides_its_number() {
    let demo = Demo::with(DemoOptions { sred: true, ..DemoOptions::default() });
    let kiosk = ready(&demo);
    up_to_the_pin(&kiosk, "common");
    enter(&kiosk, PIN);
    take_card(&kiosk);
    kiosk.until_screen("code");
    until_taken(&kiosk, 4_325);
    demo.check_books();
}

#[test]
fn a_plug_pulled_behind_the_approval_gives_card_and_money_back() {
    let demo = Demo::start();
    let kiosk = ready(&demo);
    up_to_the_pin(&kiosk, "common");
    enter(&kiosk, PIN);
    // Approved, and nobody has seen the code.
    kiosk.until_screen("card-take");
    kiosk.blackout();
    kiosk.until_one_of(&["card-take", "attract"]);
    kiosk.until_state("the card at the gate or gone", |state| {
        let place = state["card_reader"]["place"].as_str().unwrap_or_default();
        matches!(place, "gate" | "nowhere").then_some(())
    });
    drop(kiosk.device("cardreader", "take"));
    kiosk.until_screen("attract");
    until_taken(&kiosk, 0);
    let ledger = kiosk.state()["issuer"].as_str().unwrap_or_default().to_owned();
    assert!(ledger.contains("reversed"), "{ledger}");
    demo.check_books();
}

#[test]
fn a_card_torn_out_pays_nothing_and_is_told_so() {
    let demo = Demo::start();
    let kiosk = ready(&demo);
    up_to_the_pin(&kiosk, "common");
    kiosk.order("cardreader", "tear");
    let screen = kiosk.until_screen("message");
    assert!(screen.says(kiosk.say(Word::NothingTaken)), "{}", kiosk.report());
    until_taken(&kiosk, 0);
}
