//! A terminal in virtual time whose cards are dipped into a reader that holds none.

use std::{
    ops::{Deref, DerefMut},
    time::Duration,
};
use tolem_core::{
    view::{Body, Intent},
    words::{Word, word},
};
use tolem_hal_sim::{
    chip_card::ChipCard,
    dip_reader::DipReader,
    pin_pad_device::{Display, PinPadDevice},
    world::cards,
};
use tolem_protocol::{Amount, catalogue::Language};
use tolem_world::rig::{PAYER, Rig};

/// 4 325 ₸, one index.
pub const MARRIAGE: &str = "marriage";
/// What the card's account holds at the start, in tenge.
pub const FULL: u64 = 50_000;

/// The terminal.
pub struct DipRig(Rig);

impl Deref for DipRig {
    type Target = Rig;

    fn deref(&self) -> &Rig {
        &self.0
    }
}

impl DerefMut for DipRig {
    fn deref_mut(&mut self) -> &mut Rig {
        &mut self.0
    }
}

impl DipRig {
    /// With cards in service, in English.
    pub fn ready(seed: u64) -> Self {
        let mut rig = Rig::ready(seed);
        rig.center.open_cards(cards::bank(Amount::from_tenge(FULL)));
        rig.fit_dip_reader();
        rig.until_screen("attract");
        let mut rig = Self(rig);
        rig.until_says(Word::StateCardYes);
        rig.touch(Intent::SetLanguage(Language::English));
        rig
    }

    /// Waits until the start screen says this in any language.
    pub fn until_says(&mut self, phrase: Word) {
        self.until("a word of the start screen", |rig| match &rig.view.body {
            Body::Attract { states, .. } => {
                states.iter().any(|state| Language::ALL.iter().any(|l| state.text == word(*l, phrase)))
            }
            _ => false,
        });
    }

    /// From the catalogue to the reader that waits.
    pub fn open_slot(&mut self) {
        self.type_payer(MARRIAGE, PAYER);
        self.tap(Word::Next);
        self.until_screen("quote");
        self.tap(Word::PayCard);
        self.until_screen("card-insert");
        self.until("a reader that waits", |rig| {
            rig.cards.as_ref().and_then(|cards| cards.dip.as_ref()).is_some_and(DipReader::is_accepting)
        });
    }

    fn reader(&mut self) -> &mut DipReader {
        self.0.cards.as_mut().and_then(|cards| cards.dip.as_mut()).expect("invariant: fitted")
    }

    fn pad(&mut self) -> &mut PinPadDevice {
        &mut self.0.cards.as_mut().expect("invariant: fitted").pad
    }

    /// Dips a card.
    pub fn dip(&mut self, card: ChipCard) {
        assert!(self.reader().insert(card), "a card is in it already");
    }

    /// Draws the card out.
    pub fn draw_out(&mut self) -> Option<ChipCard> {
        let card = self.reader().draw_out();
        self.rest(Duration::from_millis(10));
        card
    }

    /// Whether a card is in the reader.
    pub fn has_card(&mut self) -> bool {
        self.reader().has_card()
    }

    /// Waits for the PIN screen and types.
    pub fn enter(&mut self, pin: &str) {
        self.until_screen("card-pin");
        self.until("a pad that takes digits", |rig| {
            matches!(rig.cards.as_ref().expect("fitted").pad.display(), Display::EnterPin { .. })
        });
        let now = self.now();
        assert!(self.pad().enter(now, pin), "the pad takes it");
    }

    /// The issuer's ledger is the truth: taken (once) or not, nothing held and nothing owed for ever.
    pub fn judge(&mut self, paid: bool) {
        for _ in 0..150 {
            self.rest(Duration::from_secs(10));
            let held = self.center.bank(|bank| bank.taken_and_held().1);
            if held.is_zero() && self.kiosk().session().card_errands().count() == 0 {
                break;
            }
        }
        let expected = if paid { Amount::from_tenge(4_325) } else { Amount::ZERO };
        let (sums, available) = self.center.bank(|bank| {
            (bank.taken_and_held(), bank.account(&cards::number()).expect("an account").available)
        });
        assert_eq!(sums, (expected, Amount::ZERO), "{}", self.story());
        assert_eq!(available, Amount::from_tenge(FULL).saturating_sub(expected));
        assert_eq!(self.kiosk().session().card_errands().count(), 0, "{}", self.story());
    }
}
