//! Whole card payments through a reader on PC/SC: our card, the vpcd driver, the real `pcscd`, `tolem run` with `driver = "pcsc"`, PIN pad,
//! center and issuer as processes and ptys; seen and touched through the bench alone. The citizen holds the card in such a reader.
//!
//! In namespaces of its own ([`pcscd`]); needs Debian's pcscd, vsmartcard-vpcd and libpcsclite-dev, and the feature `pcsc`.

use std::time::Duration;
use tolem_core::words::Word;
use tolem_hal_sim::{
    chip_card::{
        ChipCard,
        pcscd::{self, Inserted},
    },
    world::cards::{self, PIN},
};
use tolem_protocol::catalogue::Language;
use tolem_tests::{
    bench::{Demo, DemoOptions, Terminal, run, tolem},
    dip::DipRig,
};

/// Says that this is the process in the namespaces.
const INSIDE: &str = "TOLEM_PCSC_PAYMENT";
/// An IIN without a living holder that the reference registry knows.
const PAYER: &str = "000101300019";
/// 4 325 ₸: one index.
const MARRIAGE: &str = "marriage";
/// Longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(60);

/// One bench for all, because each needs a `pcscd` and a demo.
#[test]
fn cards_in_a_reader_on_pcsc_pay_and_are_told_the_truth() {
    if std::env::var_os(INSIDE).is_none() {
        let this = ["cards_in_a_reader_on_pcsc_pay_and_are_told_the_truth", "--exact", "--nocapture"];
        return pcscd::run_beside(INSIDE, &this).expect("the payments");
    }
    let demo = Demo::with(DemoOptions { pcsc: Some(pcscd::READER), ..DemoOptions::default() });
    let config = std::fs::read_to_string(demo.kiosk_config(0)).expect("the terminal's configuration");
    assert!(config.contains("driver = \"pcsc\""), "{config}");
    let kiosk = demo.terminal(0);
    in_service(&kiosk);
    kiosk.choose_language(Language::English);
    // One card in all of them: the issuer takes no counter of a card twice.
    let card = a_card_pays_with_its_pin_and_the_code_is_on_paper(&demo, &kiosk, cards::card());
    let card = a_card_drawn_out_at_the_pin_pays_nothing(&kiosk, card);
    a_card_drawn_out_behind_the_order_is_given_its_money_back(&kiosk, card);
    demo.check_books();
}

fn in_service(kiosk: &Terminal<'_>) {
    kiosk.until_screen("attract");
    let yes = Language::ALL.map(|language| tolem_core::words::word(language, Word::StateCardYes));
    kiosk.until("cards in service", |screen| yes.iter().any(|text| screen.says(text)).then_some(()));
}

fn up_to_the_slot(kiosk: &Terminal<'_>) {
    kiosk.quote(MARRIAGE, PAYER);
    kiosk.tap(Word::PayCard);
    let screen = kiosk.until_screen("card-insert");
    assert!(screen.says(kiosk.say(Word::CardInsertKeepDip)), "{}", kiosk.report());
}

fn dip(card: ChipCard) -> Inserted {
    Inserted::new(card, LONG).expect("the driver listens")
}

fn enter_pin(kiosk: &Terminal<'_>) {
    kiosk.until_screen("card-pin");
    kiosk.until_state("a pad that takes digits", |state| {
        (state["pin_pad"]["takes_keys"] == true).then_some(())
    });
    kiosk.order("pinpad", &format!("press {PIN} enter"));
}

/// The issuer's sums, when nothing is held any more.
fn until_taken(kiosk: &Terminal<'_>, tenge: u64) {
    let wanted = format!("taken {tenge} tenge, held 0 tenge");
    kiosk.until_state(&wanted, |state| {
        state["issuer"].as_str().is_some_and(|ledger| ledger.ends_with(&wanted)).then_some(())
    });
}

fn a_card_pays_with_its_pin_and_the_code_is_on_paper(
    demo: &Demo,
    kiosk: &Terminal<'_>,
    card: ChipCard,
) -> ChipCard {
    up_to_the_slot(kiosk);
    let card = dip(card);
    enter_pin(kiosk);
    let screen = kiosk.until_screen("card-take");
    assert!(screen.says(kiosk.say(Word::TakeCardLeadDip)), "{}", kiosk.report());
    let card = card.draw_out().expect("the card lives");
    assert_eq!(card.cryptograms().len(), 2, "a request and the end");
    kiosk.until_screen("code");
    let paper = kiosk.paper_after(0);
    let code = paper.qr.iter().find(|text| text.starts_with("TOLEM:C1:")).expect("a code on paper");
    run(&tolem(), &[&"receipt", &"verify", &"--config", &demo.kiosk_config(0), &code.as_str()]).good();
    until_taken(kiosk, 4_325);
    kiosk.tap(Word::Done);
    kiosk.until_screen("attract");
    card
}

fn a_card_drawn_out_at_the_pin_pays_nothing(kiosk: &Terminal<'_>, card: ChipCard) -> ChipCard {
    kiosk.choose_language(Language::English);
    up_to_the_slot(kiosk);
    let card = dip(card);
    kiosk.until_screen("card-pin");
    let card = card.draw_out().expect("the card lives");
    let screen = kiosk.until_screen("message");
    assert!(screen.says(kiosk.say(Word::NothingTaken)), "{}", kiosk.report());
    until_taken(kiosk, 4_325);
    kiosk.tap(Word::Done);
    kiosk.until_screen("attract");
    card
}

/// The bank has approved when the card is gone: the chip never hears of it.
fn a_card_drawn_out_behind_the_order_is_given_its_money_back(kiosk: &Terminal<'_>, mut torn: ChipCard) {
    kiosk.choose_language(Language::English);
    up_to_the_slot(kiosk);
    // The last command: the second GENERATE AC.
    torn.faults.torn_at = Some(commands_of_a_payment() - 1);
    let card = dip(torn);
    enter_pin(kiosk);
    let screen = kiosk.until_screen("message");
    assert!(screen.says(kiosk.say(Word::CardPulled)), "{}", kiosk.report());
    drop(card.draw_out());
    until_taken(kiosk, 4_325);
    let ledger = kiosk.state()["issuer"].as_str().unwrap_or_default().to_owned();
    assert!(ledger.contains("reversed"), "{ledger}");
}

/// How many commands that card gets in a payment that succeeds; counted in virtual time.
fn commands_of_a_payment() -> u32 {
    let mut rig = DipRig::ready(1);
    rig.open_slot();
    rig.dip(cards::card());
    rig.enter(PIN);
    rig.until_screen("card-take");
    rig.draw_out().expect("a card").commands()
}
