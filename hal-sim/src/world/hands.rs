//! Hands and eyes at one station: a story told step by step, in the words of the screen.

use super::{
    center::Center,
    invariants::{Books, at_rest},
    station::{Setup, Station},
    story,
};
use crate::ccnet_device::Banknote;
use std::time::Duration;
use tolem_core::{
    kiosk::Event,
    secret::Key,
    view::{Action, Body, Intent},
    words::{Word, word},
};
use tolem_protocol::{
    Amount, Denomination,
    catalogue::Language,
    ccnet::{PollStatus, Reply},
    record::Fact,
};

/// Nobody looks away longer than this.
const LONGEST_STEP: Duration = Duration::from_secs(1);
/// Longest wait for something that must happen, in virtual time.
const PATIENCE: Duration = Duration::from_secs(1_200);

impl<C: Center> Station<C> {
    /// A powered kiosk number 42 with its own center.
    pub fn new(seed: u64) -> Self {
        Self::at(42, C::found(seed), seed, true)
    }

    /// A powered kiosk `kiosk` at `center`. `counter`: whether its acceptor counts stacked notes.
    pub fn at(kiosk: u32, center: C, seed: u64, counter: bool) -> Self {
        Self::build(center, Setup { kiosk, seed, counter, cards: false, supervised: false, thorough: false })
    }

    /// The same kiosk, waited for until it is ready to sell.
    pub fn ready(seed: u64) -> Self {
        let mut station = Self::new(seed);
        station.until_screen("attract");
        station
    }

    /// Lets time pass until the next thing happens, anywhere.
    pub fn step(&mut self) {
        let next = self.next_due().min(self.now() + LONGEST_STEP);
        self.advance(next.max(self.now() + Duration::from_millis(1)));
    }

    /// Lets time pass until `done`; panics with the screen and the story if that does not come.
    pub fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = self.now() + PATIENCE;
        while !done(self) {
            assert!(
                self.now() < deadline,
                "waited in vain for {what}; screen {:?} {:?} {:?}\n{}",
                self.view.screen,
                self.view.title,
                self.view.lead,
                self.story()
            );
            self.step();
        }
    }

    /// Lets time pass.
    pub fn rest(&mut self, span: Duration) {
        let until = self.now() + span;
        while self.now() < until {
            self.step();
        }
    }

    /// Waits for a screen.
    pub fn until_screen(&mut self, screen: &str) {
        self.until(screen, |rig| rig.view.screen == screen);
    }

    /// Touches the button that says `phrase`.
    pub fn tap(&mut self, phrase: Word) {
        let label = word(self.view.language, phrase);
        let action = self
            .buttons()
            .into_iter()
            .find(|action| action.label == label)
            .unwrap_or_else(|| panic!("no button {label:?} on {:?}", self.view.screen));
        assert!(action.enabled, "button {label:?} on {:?} is not enabled", self.view.screen);
        self.touch(action.intent);
    }

    /// Touches whatever means `intent`.
    pub fn touch(&mut self, intent: Intent) {
        self.event(Event::Touch(intent));
    }

    fn buttons(&self) -> Vec<Action> {
        let mut buttons = self.view.actions.clone();
        if let Some(dialog) = &self.view.dialog {
            buttons.extend(dialog.actions.clone());
        }
        if let Body::Attract { links, .. } = &self.view.body {
            buttons.extend(links.clone());
        }
        buttons
    }

    /// Types digits on the keypad.
    pub fn type_digits(&mut self, digits: &str) {
        for digit in digits.chars().filter_map(|digit| digit.to_digit(10)) {
            self.touch(Intent::Digit(Key::new(digit as u8)));
        }
    }

    /// Goes from attract to the quote for the service with this code.
    pub fn quote(&mut self, service: &str, payer: &str) {
        self.choose(service, payer);
        self.until_screen("quote");
    }

    /// Goes from attract to the end of the IIN entry for the service with this code.
    pub fn choose(&mut self, service: &str, payer: &str) {
        self.type_payer(service, payer);
        self.tap(Word::Next);
    }

    /// Goes from attract to a typed IIN for the service with this code.
    pub fn type_payer(&mut self, service: &str, payer: &str) {
        self.touch(Intent::SetLanguage(Language::English));
        if self.view.screen == "attract" {
            self.touch(Intent::Start);
        }
        let index = self.center.service(service).unwrap_or_else(|| panic!("no service {service:?}"));
        self.touch(Intent::ChooseService(index));
        self.tap(Word::PayThis);
        self.type_digits(payer);
    }

    /// Goes from attract to the open note slot.
    pub fn open_slot(&mut self, service: &str, payer: &str) {
        self.quote(service, payer);
        self.tap(Word::PayCash);
        self.tap(Word::HonestAgree);
        self.until_screen("inserting");
    }

    /// Pushes a note in as soon as the slot takes it, and waits until it is counted.
    pub fn insert(&mut self, tenge: u32) {
        let before = self.cassette_sum();
        self.push(tenge);
        self.until("the note in the cassette and counted", |rig| {
            rig.cassette_sum() > before
                && rig.kiosk().session().order().is_none()
                && rig.acceptor.unconfirmed_credit().is_none()
        });
    }

    /// Pushes a note in as soon as the slot takes it.
    pub fn push(&mut self, tenge: u32) {
        let deadline = self.now() + PATIENCE;
        while self.acceptor.insert(self.now(), Banknote::tenge(tenge)).is_err() {
            assert!(
                self.now() < deadline,
                "the slot never opened; screen {:?}\n{}",
                self.view.screen,
                self.story()
            );
            self.step();
        }
        self.settle();
    }

    /// Lets the acceptor say that it has stacked a note that nobody ordered. The books are off by it afterwards: it is in no cassette.
    pub fn stray_note(&mut self, tenge: u32) {
        let types = &self.acceptor.config().types;
        let kind = types.iter().find(|kind| kind.denomination == Denomination(tenge)).expect("a known note");
        let says = PollStatus::Stacked(kind.index).payload();
        let frame = Reply::Data(&says).frame().expect("a short frame").to_vec();
        let before = self.kiosk().session().cassette().count();
        let deadline = self.now() + PATIENCE;
        while self.kiosk().session().cassette().count() == before {
            assert!(self.now() < deadline, "nobody heard of the note\n{}", self.story());
            self.step();
            self.event(Event::Acceptor(frame.clone()));
        }
    }

    /// What really lies in the cassette.
    pub fn cassette_sum(&self) -> Amount {
        self.acceptor.cassette().map(|note| note.denomination.amount()).sum()
    }

    /// Facts of the journal, oldest first.
    pub fn facts(&self) -> Vec<Fact> {
        self.disk.records().into_iter().map(|record| record.fact).collect()
    }

    /// The journal as a story that people can read.
    pub fn story(&self) -> String {
        story::tell(&self.disk.records())
    }

    /// Whether the start screen says that cards can be used.
    pub fn takes_cards(&self) -> bool {
        let yes = Language::ALL.map(|language| word(language, Word::StateCardYes));
        matches!(&self.view.body, Body::Attract { states, .. }
            if states.iter().any(|state| yes.contains(&state.text.as_str())))
    }

    /// Waits until nothing is under way: no order, no unsettled payment.
    pub fn until_settled(&mut self) {
        self.until("everything settled", |rig| {
            let session = rig.kiosk().session();
            session.order().is_none() && session.unsettled().1 == 0
        });
    }

    /// Cash of this kiosk in the center's ledger, in tiyn.
    pub fn booked(&self) -> i64 {
        let account = format!("cash:{}", self.number());
        let postings = self.center.ledger().postings;
        let lines = postings.iter().flat_map(|posting| &posting.lines);
        lines.filter(|(name, _)| *name == account).map(|(_, tiyn)| tiyn).sum()
    }

    /// Every tenge is accounted for: cassette = journal = ledger. Demands that everything is settled.
    pub fn check_books(&self) {
        let books = Books { tills: vec![self.till()], ledger: self.center.ledger(), charges: None };
        let broken = at_rest(&books);
        assert!(broken.is_empty(), "{}\n{}", told(&broken), self.story());
        let cassette = i64::try_from(self.cassette_sum().tiyn()).unwrap_or(i64::MAX);
        assert_eq!(self.booked(), cassette, "center and cassette differ\n{}", self.story());
    }
}

fn told(broken: &[super::invariants::Violation]) -> String {
    broken.iter().map(|violation| format!("{violation}\n")).collect()
}
