//! A citizen who goes on whatever happens: pays one fee, takes up an interrupted payment, and starts again if the
//! terminal went dark. Does one thing at a time and never waits for anything in particular.

use super::{Screen, Terminal, service};
use tolem_core::words::Word;

/// Somebody who pays one service in small notes.
pub struct Citizen<'a> {
    kiosk: &'a Terminal<'a>,
    code: &'a str,
    payer: &'a str,
    /// Payments that ended with a code or with money kept safe.
    pub done: u32,
}

impl<'a> Citizen<'a> {
    /// At a terminal, to pay for the service with this code.
    pub fn new(kiosk: &'a Terminal<'a>, code: &'a str, payer: &'a str) -> Self {
        Self { kiosk, code, payer, done: 0 }
    }

    /// Does the next thing that the screen asks for; false if there is nothing to do but wait.
    pub fn act(&mut self) -> bool {
        let screen = self.kiosk.screen();
        let acted = self.answer(&screen);
        // A second touch on a picture that is no longer true would land on something else.
        acted && (screen.name == "inserting" || self.kiosk.soon(|next| next.name != screen.name))
    }

    fn answer(&mut self, screen: &Screen) -> bool {
        match screen.name.as_str() {
            _ if self.offers(screen, Word::StillHereYes) => self.touch(Word::StillHereYes),
            "attract" | "closed" if self.offers(screen, Word::WasInterrupted) => {
                self.touch(Word::WasInterrupted)
            }
            "attract" => self.touch(Word::LanguageShort),
            "catalogue" => self.kiosk.try_tap(&service(self.code, self.kiosk.language())),
            "service" => self.touch(Word::PayThis),
            "iin" => self.type_payer(screen),
            "quote" => self.touch(Word::PayCash),
            "honest" => self.touch(Word::HonestAgree),
            "inserting" => self.pay(screen),
            "confirm" => self.touch(Word::Confirm),
            "code" | "cannot-print" | "claim-slip" | "held" => {
                let left = self.touch(Word::Done);
                self.done += u32::from(left);
                left
            }
            "message" | "balance" => self.touch(Word::Done),
            "number" => self.touch(Word::Back),
            // Dark, closed, checking, working, printing.
            _ => false,
        }
    }

    fn offers(&self, screen: &Screen, phrase: Word) -> bool {
        screen.offers(self.kiosk.say(phrase))
    }

    fn touch(&self, phrase: Word) -> bool {
        self.kiosk.try_tap(self.kiosk.say(phrase))
    }

    fn type_payer(&self, screen: &Screen) -> bool {
        if !self.offers(screen, Word::Next) {
            // Whatever was typed before the lights went out or came back, it is typed anew.
            let typed = self.touch(Word::Clear)
                && self.payer.chars().all(|digit| self.kiosk.try_tap(&digit.to_string()))
                && self.kiosk.soon(|screen| self.offers(screen, Word::Next));
            if !typed {
                return false;
            }
        }
        self.touch(Word::Next)
    }

    fn pay(&self, screen: &Screen) -> bool {
        let agree = self.kiosk.beginning(Word::LargerNoteAgree);
        let mut buttons =
            screen.elements.iter().filter(|element| element.role == "button" && element.enabled);
        match buttons.find(|button| button.label.starts_with(&agree)) {
            Some(button) => self.kiosk.try_tap(&button.label),
            None => self.slot_is_free() && self.kiosk.device("acceptor", "insert 500").is_ok(),
        }
    }

    /// A second note waits until the first is in the cassette or was taken back.
    fn slot_is_free(&self) -> bool {
        let acceptor = &self.kiosk.state()["acceptor"];
        let on_its_way = |place: &str| matches!(place, "inlet" | "validator" | "escrow" | "transport");
        let mut places =
            acceptor["notes"].as_array().into_iter().flatten().filter_map(|note| note["place"].as_str());
        acceptor["takes_notes"] == true && !places.any(on_its_way)
    }
}
