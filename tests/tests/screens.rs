//! Every screen of the real kiosk in three languages, pixel for pixel.
//!
//! The rig walks a citizen through stories; at each stop the view is drawn by the real screen. `TOLEM_BLESS=1` writes the pictures
//! of `tests/golden/screens` instead of comparing; after that, look at them.

use std::{
    fs,
    io::BufWriter,
    path::{Path, PathBuf},
    time::Duration,
};
use tolem_core::{
    kiosk::Event,
    view::{Body, Intent, ViewModel},
    words::Word,
};
use tolem_hal_sim::{
    card_reader_device::{Thing, Whereabouts},
    ccnet_device::Banknote,
    chip_card::{CardProfile, ChipCard, IssuerKeys},
    escpos_device::PaperSupply,
    issuer::{Code, Mood},
    pin_pad_device::Display,
    world::cards,
};
use tolem_protocol::{Amount, catalogue::Language, emv::apdu::Transport};
use tolem_tests::rig::{PAYER, Rig, SharedCenter, Wire};
use tolem_ui::{Format, Screen};

const ID_CARD: &str = "id-card";
const MARRIAGE: &str = "marriage";
/// Screens on which the hands are wanted elsewhere, and what says so must fit both formats.
const WIDE: [&str; 4] = ["card-insert", "card-pin", "card-wrong-pin", "card-take"];

#[test]
fn every_screen_looks_as_blessed_in_three_languages() {
    let mut album = Album {
        screen: Screen::headless(Format::Portrait).expect("the only screen here"),
        wide: Vec::new(),
        wrong: Vec::new(),
    };
    album.screen.set_motion(false);
    for (language, tag) in [(Language::Kazakh, "kk"), (Language::Russian, "ru"), (Language::English, "en")] {
        let mut walk = Walk { album: &mut album, language, tag };
        walk.buying();
        walk.waiting();
        walk.trouble();
        walk.coming_back();
        walk.unplanned();
        walk.cards();
        walk.dipped_cards();
    }
    album.take_wide();
    assert!(album.wrong.is_empty(), "{} pictures differ:\n{}", album.wrong.len(), album.wrong.join("\n"));
}

struct Album {
    screen: Screen,
    /// What is looked at on a wide screen too, when the high one is done.
    wide: Vec<(ViewModel, String)>,
    wrong: Vec<String>,
}

impl Album {
    fn take_wide(&mut self) {
        self.screen.set_format(Format::Landscape);
        for (view, name) in std::mem::take(&mut self.wide) {
            self.take(&view, &format!("wide/{name}"));
        }
    }

    fn take(&mut self, view: &ViewModel, name: &str) {
        self.screen.show(view);
        self.screen.render();
        let (width, height) = self.screen.size();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/screens").join(format!("{name}.png"));
        if std::env::var_os("TOLEM_BLESS").is_some() {
            write(&path, width, height, self.screen.pixels());
        } else if read(&path).is_none_or(|golden| golden != self.screen.pixels()) {
            let seen = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.png"));
            write(&seen, width, height, self.screen.pixels());
            self.wrong.push(format!("{} (seen: {})", path.display(), seen.display()));
        }
    }
}

fn insert(rig: &mut Rig, card: ChipCard) {
    let now = rig.now();
    let cards = rig.cards.as_mut().expect("fitted");
    assert!(cards.reader.insert(now, Thing::Card(Box::new(card))).is_ok(), "the slot is open");
}

fn enter(rig: &mut Rig) {
    rig.until("a pad that takes digits", |rig| {
        matches!(rig.cards.as_ref().expect("fitted").pad.display(), Display::EnterPin { .. })
    });
    let now = rig.now();
    assert!(rig.cards.as_mut().expect("fitted").pad.enter(now, cards::PIN), "the pad takes it");
}

fn give_back(rig: &mut Rig) {
    rig.until("the card at the gate", |rig| {
        rig.cards.as_ref().expect("fitted").reader.place() == Whereabouts::Gate
    });
    let now = rig.now();
    rig.cards.as_mut().expect("fitted").reader.take(now);
    rig.until("another screen", |rig| rig.view.screen != "card-take");
}

/// One citizen's language on the way through all screens.
struct Walk<'a> {
    album: &'a mut Album,
    language: Language,
    tag: &'static str,
}

impl Walk<'_> {
    fn take(&mut self, rig: &mut Rig, name: &str) {
        rig.touch(Intent::SetLanguage(self.language));
        let name = format!("{name}.{}", self.tag);
        self.album.take(&rig.view, &name);
        if WIDE.iter().any(|wide| name.starts_with(wide)) {
            self.album.wide.push((rig.view.clone(), name));
        }
    }

    /// Attract in the chosen language opens the catalogue, so its picture is taken from the view itself.
    fn start(&mut self, rig: &mut Rig) {
        rig.until_screen("attract");
        rig.touch(Intent::SetLanguage(self.language));
    }

    /// A note without a payment, and the order to stop with money in.
    fn unplanned(&mut self) {
        let mut rig = Rig::ready(503);
        rig.stray_note(2000);
        rig.until("the center's number", |rig| rig.kiosk().session().unsettled().1 == 0);
        self.take(&mut rig, "found");
        rig.tap(Word::FoundPrint);
        rig.rest(Duration::from_secs(8));
        self.take(&mut rig, "found-printed");
        let mut rig = Rig::ready(504);
        rig.open_slot(MARRIAGE, PAYER);
        rig.insert(2000);
        rig.set_wire(Wire::Down);
        rig.event(Event::Stop);
        self.take(&mut rig, "working-stopping");
    }

    /// Paying by card, and what becomes of it.
    fn cards(&mut self) {
        let mut rig = Rig::ready(505);
        rig.center.open_cards(cards::bank(Amount::from_tenge(50_000)));
        rig.fit_cards();
        rig.rest(Duration::from_secs(10));
        if self.language == Language::Kazakh {
            self.album.take(&rig.view, &format!("attract-cards.{}", self.tag));
        }
        rig.touch(Intent::SetLanguage(self.language));
        rig.type_payer(MARRIAGE, PAYER);
        rig.tap(Word::Next);
        rig.until_screen("quote");
        self.take(&mut rig, "quote-card");
        rig.tap(Word::PayCard);
        rig.rest(Duration::from_secs(1));
        self.take(&mut rig, "card-insert");
        let two = CardProfile::with_two_applications(cards::number(), &IssuerKeys::test());
        insert(&mut rig, ChipCard::new(two, Transport::T1));
        rig.until_screen("card-choose");
        self.take(&mut rig, "card-choose");
        rig.touch(Intent::ChooseApplication(0));
        self.take(&mut rig, "card-reading");
        rig.until_screen("card-pin");
        self.take(&mut rig, "card-pin");
        rig.center.bank(|bank| bank.moods.push_back(Mood::Declines(Code::WRONG_PIN)));
        enter(&mut rig);
        rig.until_screen("card-wrong-pin");
        self.take(&mut rig, "card-wrong-pin");
        rig.tap(Word::PinAgain);
        rig.until_screen("card-pin");
        rig.center.bank(|bank| bank.moods.push_back(Mood::LosesAnswer));
        enter(&mut rig);
        rig.until_screen("card-bank");
        rig.rest(Duration::from_secs(9));
        self.take(&mut rig, "card-bank");
        rig.until_screen("card-take");
        self.take(&mut rig, "card-take");
        rig.rest(Duration::from_secs(15));
        self.take(&mut rig, "card-take-forgotten");
        rig.until_screen("message");
        self.take(&mut rig, "card-kept");
        for (name, code) in [("card-declined-funds", Code::FUNDS), ("card-declined-other", Code::REFUSED)] {
            self.declined(name, code);
        }
        self.by_card();
    }

    /// A reader in which the citizen holds the card has words of its own.
    fn dipped_cards(&mut self) {
        let mut rig = Rig::ready(508);
        rig.center.open_cards(cards::bank(Amount::from_tenge(50_000)));
        rig.fit_dip_reader();
        rig.rest(Duration::from_secs(10));
        rig.touch(Intent::SetLanguage(self.language));
        rig.type_payer(MARRIAGE, PAYER);
        rig.tap(Word::Next);
        rig.until_screen("quote");
        rig.tap(Word::PayCard);
        rig.rest(Duration::from_secs(1));
        self.take(&mut rig, "card-insert-dip");
        let dip = rig.cards.as_mut().and_then(|cards| cards.dip.as_mut()).expect("fitted");
        assert!(dip.insert(cards::card()), "nothing is in it");
        rig.until_screen("card-pin");
        rig.center.bank(|bank| bank.moods.push_back(Mood::Declines(Code::WRONG_PIN)));
        enter(&mut rig);
        rig.until_screen("card-wrong-pin");
        self.take(&mut rig, "card-wrong-pin-dip");
        rig.tap(Word::PinAgain);
        rig.until_screen("card-pin");
        enter(&mut rig);
        rig.until_screen("card-take");
        self.take(&mut rig, "card-take-dip");
        rig.rest(Duration::from_secs(15));
        self.take(&mut rig, "card-take-dip-unpaid");
        rig.until_screen("message");
        self.take(&mut rig, "card-left-unpaid");
        rig.tap(Word::Done);
        rig.until_screen("attract");
        if self.language == Language::Kazakh {
            self.album.take(&rig.view, &format!("attract-card-left.{}", self.tag));
        }
    }

    fn declined(&mut self, name: &str, code: Code) {
        let mut rig = self.at_pin(506);
        rig.center.bank(|bank| bank.moods.push_back(Mood::Declines(code)));
        enter(&mut rig);
        rig.until_screen("card-take");
        give_back(&mut rig);
        self.take(&mut rig, name);
    }

    fn by_card(&mut self) {
        let mut rig = self.at_pin(507);
        enter(&mut rig);
        rig.until_screen("card-take");
        give_back(&mut rig);
        rig.until_screen("code");
        self.take(&mut rig, "code-card");
    }

    /// At the PIN of a plain card.
    fn at_pin(&self, seed: u64) -> Rig {
        let mut rig = Rig::ready(seed);
        rig.center.open_cards(cards::bank(Amount::from_tenge(50_000)));
        rig.fit_cards();
        rig.rest(Duration::from_secs(10));
        rig.touch(Intent::SetLanguage(self.language));
        rig.type_payer(MARRIAGE, PAYER);
        rig.tap(Word::Next);
        rig.until_screen("quote");
        rig.tap(Word::PayCard);
        rig.rest(Duration::from_secs(1));
        insert(&mut rig, cards::card());
        rig.until_screen("card-pin");
        rig
    }

    fn buying(&mut self) {
        let mut rig = Rig::new(500);
        rig.rest(Duration::from_millis(100));
        self.take(&mut rig, "closed-starting");
        rig.until_screen("attract");
        if self.language == Language::Kazakh {
            let name = format!("attract.{}", self.tag);
            self.album.take(&rig.view, &name);
        }
        self.start(&mut rig);
        self.take(&mut rig, "catalogue");
        rig.touch(Intent::ToggleSearch);
        rig.touch(Intent::Letter(if self.language == Language::English { 'p' } else { 'п' }));
        self.take(&mut rig, "catalogue-search");
        rig.touch(Intent::Cancel);
        rig.type_payer(ID_CARD, "000101300018");
        self.take(&mut rig, "iin-check-digit");
        rig.touch(Intent::Clear);
        self.take(&mut rig, "iin-empty");
        rig.type_digits(PAYER);
        self.take(&mut rig, "iin-complete");
        rig.touch(Intent::Back);
        self.take(&mut rig, "service");
        rig.tap(Word::PayThis);
        rig.type_digits(PAYER);
        rig.tap(Word::Next);
        rig.until_screen("quote");
        self.take(&mut rig, "quote");
        rig.tap(Word::AddVoucher);
        self.take(&mut rig, "voucher-number");
        rig.touch(Intent::Back);
        rig.until_screen("quote");
        rig.tap(Word::PayCash);
        self.take(&mut rig, "honest");
        rig.tap(Word::HonestAgree);
        rig.rest(Duration::from_secs(1));
        self.take(&mut rig, "inserting-first");
        rig.insert(500);
        self.take(&mut rig, "inserting-larger-note");
        rig.touch(Intent::AgreeRemainder);
        rig.rest(Duration::from_secs(1));
        let bad = rig.acceptor.insert(rig.now(), Banknote::tenge(500).bad());
        assert!(bad.is_ok(), "the slot is open: {bad:?}");
        rig.rest(Duration::from_secs(3));
        self.take(&mut rig, "inserting-note-returned");
        rig.tap(Word::Stop);
        self.take(&mut rig, "stop-question");
        rig.tap(Word::StopNo);
        rig.insert(500);
        rig.until_screen("confirm");
        self.take(&mut rig, "confirm");
        rig.rest(Duration::from_secs(62));
        assert!(rig.view.dialog.is_some(), "a minute without a touch is asked about");
        let name = format!("still-here.{}", self.tag);
        self.album.take(&rig.view, &name);
        rig.tap(Word::StillHereYes);
        rig.tap(Word::Confirm);
        rig.until_screen("printing");
        self.take(&mut rig, "printing");
        rig.until_screen("code");
        self.take(&mut rig, "code");
    }

    fn waiting(&mut self) {
        let mut rig = Rig::ready(501);
        rig.open_slot(ID_CARD, PAYER);
        rig.insert(500);
        rig.set_wire(Wire::Down);
        self.take(&mut rig, "inserting-link-lost");
        rig.touch(Intent::AgreeRemainder);
        rig.insert(500);
        rig.until_screen("confirm");
        rig.tap(Word::Confirm);
        rig.rest(Duration::from_secs(8));
        self.take(&mut rig, "working-long");
        rig.until_screen("claim-slip");
        self.take(&mut rig, "claim-slip");
    }

    fn trouble(&mut self) {
        let mut rig = Rig::ready(502);
        rig.printer.set_paper(rig.now(), PaperSupply::Out);
        rig.until_screen("closed");
        self.take(&mut rig, "closed-paper-out");
        rig.printer.set_paper(rig.now(), PaperSupply::New);
        rig.until_screen("attract");
        rig.set_wire(Wire::AnswersLost);
        rig.choose(ID_CARD, PAYER);
        rig.rest(Duration::from_secs(16));
        self.take(&mut rig, "checking-stuck");
        rig.until_screen("message");
        self.take(&mut rig, "center-unavailable");
        rig.tap(Word::Done);
        rig.set_wire(Wire::Down);
        rig.until_screen("closed");
        self.take(&mut rig, "closed-no-link");
        rig.set_wire(Wire::Up);
        rig.until_screen("attract");
        rig.choose(ID_CARD, "500228200900");
        rig.until_screen("iin");
        self.take(&mut rig, "iin-unknown");
        rig.type_digits(PAYER);
        rig.tap(Word::Next);
        rig.until_screen("quote");
        rig.tap(Word::PayCash);
        rig.tap(Word::HonestAgree);
        rig.insert(500);
        rig.touch(Intent::AgreeRemainder);
        rig.insert(500);
        rig.until_screen("confirm");
        rig.printer.set_paper(rig.now(), PaperSupply::OutAfter(300));
        rig.tap(Word::Confirm);
        rig.until_screen("cannot-print");
        self.take(&mut rig, "cannot-print");
    }

    fn coming_back(&mut self) {
        let center = SharedCenter::new(503);
        let mut rig = Rig::at(42, center, 503, true);
        rig.until_screen("attract");
        rig.open_slot(MARRIAGE, PAYER);
        rig.insert(1000);
        rig.power_off();
        rig.power_on();
        rig.until("the offer", |rig| match &rig.view.body {
            Body::Attract { links, .. } => links.iter().any(|link| link.intent == Intent::WasInterrupted),
            _ => false,
        });
        if self.language == Language::Kazakh {
            let name = format!("attract-interrupted.{}", self.tag);
            self.album.take(&rig.view, &name);
        }
        rig.tap(Word::WasInterrupted);
        self.take(&mut rig, "interrupted");
        rig.type_digits(PAYER);
        rig.tap(Word::Next);
        rig.until_screen("inserting");
        rig.tap(Word::Stop);
        rig.tap(Word::StopYes);
        rig.until_screen("held");
        self.take(&mut rig, "held");
        let Body::Message { number, .. } = rig.view.body.clone() else {
            panic!("no number on {}", rig.view.screen)
        };
        rig.tap(Word::Done);
        rig.until_screen("attract");
        rig.tap(Word::HaveSlip);
        self.take(&mut rig, "slip-number");
        rig.type_digits(&number);
        rig.tap(Word::Next);
        rig.type_digits(PAYER);
        rig.tap(Word::Next);
        rig.until_screen("balance");
        self.take(&mut rig, "voucher-found");
    }
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let file = std::io::BufReader::new(fs::File::open(path).ok()?);
    let mut reader = png::Decoder::new(file).read_info().ok()?;
    let mut pixels = vec![0; reader.output_buffer_size()?];
    reader.next_frame(&mut pixels).ok()?;
    Some(pixels)
}

fn write(path: &Path, width: u32, height: u32, pixels: &[u8]) {
    fs::create_dir_all(path.parent().expect("a file lies in a directory")).expect("the album can be made");
    let mut encoder = png::Encoder::new(
        BufWriter::new(fs::File::create(path).expect("a picture can be made")),
        width,
        height,
    );
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::High);
    encoder
        .write_header()
        .and_then(|mut writer| writer.write_image_data(pixels))
        .expect("a picture can be written");
}
