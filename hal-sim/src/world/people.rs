//! People at the screen: in a hurry, of two minds, touching twice, pulling at notes, leaving and coming back with a slip.
//!
//! A person sees the screen and nothing else, so what the kiosk does not show cannot be used here.

use super::{
    Center,
    cards::Wallet,
    payers::{CardHabit, Next},
    station::Station,
};
use crate::{ccnet_device::Banknote, line::Dice};
use std::time::Duration;
use tolem_core::{
    kiosk::Event,
    secret::Key,
    time::Instant,
    view::{Action, Body, Intent},
};
use tolem_protocol::{BalanceNumber, catalogue::Language};

/// IINs without a living holder that the reference registry knows, and one (the last) that it does not.
pub const CITIZENS: [&str; 6] =
    ["000101300019", "000101400015", "000101301805", "991231100010", "991231100109", "500228200900"];
/// The model citizen, who comes when all is well.
pub const MODEL: &str = "500228200018";

/// A number on paper or screen that somebody has kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Slip {
    /// Whose.
    pub iin: &'static str,
    /// Its digits.
    pub digits: String,
}

/// What the people of a town have in their pockets.
#[derive(Default)]
pub struct Pockets {
    /// Numbers that they have kept.
    pub slips: Vec<Slip>,
    /// Their cards.
    pub wallet: Wallet,
}

/// Somebody at a screen.
#[derive(Clone, Debug)]
pub struct Citizen {
    iin: &'static str,
    dice: Dice,
    /// Thousandths.
    hurry: u16,
    stops: u16,
    chaos: u16,
    leaves_at: Instant,
    slip: Option<String>,
    acted: bool,
    card: CardHabit,
}

impl Citizen {
    /// Citizen `who` in a mood, with one of the slips in the pocket.
    pub fn new(now: Instant, who: u64, mood: u64, slips: &[Slip]) -> Self {
        let iin = CITIZENS[who as usize % CITIZENS.len()];
        let mut dice = Dice::new(mood);
        // Some have found somebody else's slip and try it with an IIN of their own. (Not drawn, so that the others stay as they are.)
        let thief = (mood >> 5) % 10 == 3;
        let mine: Vec<&Slip> = slips.iter().filter(|slip| (slip.iin == iin) != thief).collect();
        let slip = match mine.len() {
            0 => None,
            many => dice.chance(600).then(|| mine[dice.below(many as u64) as usize].digits.clone()),
        };
        let of = |dice: &mut Dice, choices: [u16; 4]| choices[dice.below(4) as usize];
        Self {
            iin,
            hurry: of(&mut dice, [0, 50, 300, 700]),
            stops: of(&mut dice, [0, 0, 30, 150]),
            chaos: of(&mut dice, [0, 0, 10, 60]),
            leaves_at: now + Duration::from_millis([15_000, 60_000, 120_000][dice.below(3) as usize]),
            slip,
            acted: false,
            card: CardHabit::of(mood),
            dice,
        }
    }

    /// The same with a card.
    pub fn model_by_card(now: Instant) -> Self {
        Self { card: CardHabit::model(), ..Self::model(now) }
    }

    /// Somebody who does everything right and stays until the end.
    pub fn model(now: Instant) -> Self {
        Self {
            iin: MODEL,
            dice: Dice::new(1),
            hurry: 0,
            stops: 0,
            chaos: 0,
            leaves_at: now + Duration::from_secs(600),
            slip: None,
            acted: false,
            card: CardHabit::none(),
        }
    }

    /// How long this person looks before the next touch.
    pub fn pause(&mut self) -> Duration {
        let slow = if self.dice.chance(self.hurry) { 80 } else { 900 };
        Duration::from_millis(40 + self.dice.below(slow))
    }

    /// One look at the screen and what follows. False when this person goes away.
    pub fn act<C: Center>(&mut self, station: &mut Station<C>, pockets: &mut Pockets) -> bool {
        let now = station.now();
        if now >= self.leaves_at || (self.acted && station.view.screen == "attract" && self.dice.chance(700))
        {
            return false;
        }
        if station.try_kiosk().is_none() {
            return true;
        }
        if self.dice.chance(self.chaos) {
            let intent = any_intent(&mut self.dice);
            station.event(Event::Touch(intent));
            return true;
        }
        match self.card.act(station, &mut pockets.wallet) {
            Next::NotMine => {}
            next => {
                self.acted = true;
                return next == Next::Stays;
            }
        }
        let view = station.view.clone();
        if let Some(action) = self.card.chooses(view.screen, &view.actions) {
            self.touch(station, action.intent);
            return true;
        }
        match &view.body {
            Body::Attract { links, .. } => self.start(station, links),
            Body::Catalogue { cards, .. } => {
                let near = (cards.len() as u64).min(8);
                let card = cards.get(self.dice.below(near) as usize);
                self.touch(station, card.map_or(Intent::Cancel, |card| card.intent));
            }
            Body::Keypad { .. } => self.type_number(station),
            Body::Inserting { notes, .. } if !self.dice.chance(self.stops) && view.dialog.is_none() => {
                self.insert(station, notes);
            }
            Body::Message { number, .. } if !number.is_empty() => {
                keep(&mut pockets.slips, self.iin, number);
                self.press(station, &view.actions);
            }
            _ => {
                let dialog = view.dialog.as_ref().map(|dialog| dialog.actions.clone());
                self.press(station, &dialog.unwrap_or(view.actions));
            }
        }
        true
    }

    fn touch<C: Center>(&mut self, station: &mut Station<C>, intent: Intent) {
        self.acted = true;
        station.event(Event::Touch(intent));
        if self.dice.chance(self.hurry / 3) {
            station.event(Event::Touch(intent));
        }
    }

    fn start<C: Center>(&mut self, station: &mut Station<C>, links: &[Action]) {
        let language = Language::ALL[self.dice.below(3) as usize];
        let has = |intent: Intent| links.iter().any(|link| link.intent == intent);
        let intent = if has(Intent::WasInterrupted) && self.dice.chance(500) {
            Intent::WasInterrupted
        } else if self.slip.is_some() && has(Intent::HaveSlip) && self.dice.chance(700) {
            Intent::HaveSlip
        } else {
            Intent::SetLanguage(language)
        };
        self.touch(station, intent);
    }

    fn type_number<C: Center>(&mut self, station: &mut Station<C>) {
        let wants_slip = station.view.screen == "number";
        let digits = match &self.slip {
            Some(digits) if wants_slip => digits.clone(),
            _ if wants_slip => {
                self.touch(station, Intent::Back);
                return;
            }
            _ => {
                station.typed(self.iin);
                self.iin.to_owned()
            }
        };
        station.event(Event::Touch(Intent::Clear));
        for digit in digits.chars().filter_map(|digit| digit.to_digit(10)) {
            station.event(Event::Touch(Intent::Digit(Key::new(digit as u8))));
        }
        self.touch(station, Intent::Next);
    }

    fn insert<C: Center>(&mut self, station: &mut Station<C>, notes: &[String]) {
        if self.dice.chance(self.stops) {
            let _note = station.acceptor.pull_note(station.now());
            station.settle();
            return;
        }
        let digits =
            |text: &String| text.chars().filter(char::is_ascii_digit).collect::<String>().parse().ok();
        let welcome: Vec<u32> = notes.iter().filter_map(digits).collect();
        let tenge = match welcome.len() {
            0 => None,
            _ if self.dice.chance(self.chaos * 3) => None,
            many => welcome.get(many - 1 - (self.dice.below(2) as usize).min(many - 1)).copied(),
        };
        if self.dice.chance(250) || welcome.is_empty() {
            self.touch(station, Intent::AgreeRemainder);
        }
        let tenge = tenge.unwrap_or([500, 1000, 2000, 5000][self.dice.below(4) as usize]);
        let mut note = Banknote::tenge(tenge);
        if self.dice.chance(self.stops) {
            note = if self.dice.chance(500) { note.bad() } else { note.foreign() };
        }
        let _refused = station.acceptor.insert(station.now(), note);
        self.acted = true;
        station.settle();
    }

    /// Most people take the first button; a voucher is remembered where it can be used.
    fn press<C: Center>(&mut self, station: &mut Station<C>, actions: &[Action]) {
        let voucher = self.slip.as_ref().is_some_and(|digits| digits.len() == BalanceNumber::DIGITS);
        let other = if self.dice.chance(self.stops + 20) { self.dice.below(3) as usize } else { 0 };
        let action = match actions.iter().find(|action| action.intent == Intent::UseVoucher) {
            Some(action) if voucher && self.dice.chance(500) => Some(action),
            _ => actions.get(other),
        };
        if let Some(action) = action.filter(|action| action.enabled) {
            self.touch(station, action.intent);
        }
    }
}

fn keep(slips: &mut Vec<Slip>, iin: &'static str, number: &str) {
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    if slips.iter().all(|slip| slip.digits != digits) {
        slips.push(Slip { iin, digits });
    }
}

/// What a child at the screen would touch.
fn any_intent(dice: &mut Dice) -> Intent {
    const ALL: [Intent; 24] = [
        Intent::Start,
        Intent::SetLanguage(Language::ALL[0]),
        Intent::ToggleLargeText,
        Intent::ToggleContrast,
        Intent::ToggleLowReach,
        Intent::ToggleSearch,
        Intent::Letter('а'),
        Intent::Erase,
        Intent::Clear,
        Intent::Digit(Key::new(7)),
        Intent::ChooseService(1),
        Intent::Next,
        Intent::PayCash,
        Intent::AgreeRemainder,
        Intent::Confirm,
        Intent::Stop,
        Intent::StopConfirmed,
        Intent::Back,
        Intent::Cancel,
        Intent::Done,
        Intent::AnotherPayment,
        Intent::HaveSlip,
        Intent::WasInterrupted,
        Intent::Print,
    ];
    ALL[dice.below(ALL.len() as u64) as usize]
}
