//! A citizen who pays one fee whatever happens to the terminal, and comes back after each darkness.

use super::processes::{Bench, View};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};
use tolem_core::words::{Word, word};
use tolem_protocol::catalogue::Language;

/// An IIN without a living holder that the reference registry knows.
const PAYER: &str = "000101300019";
/// 865 ₸: two notes of 500 and a remainder.
const SERVICE: &str = "id-card";
/// A touch that changed nothing is tried again after this: it may have met another picture.
const AGAIN: Duration = Duration::from_secs(2);

/// Somebody with small notes or a card, and patience.
#[derive(Debug)]
pub(super) struct Citizen {
    touched: Option<(View, Instant)>,
    /// What lay in the cassette before this citizen came.
    before: u64,
    /// The code was on the screen, or the money was kept safe, and the citizen has read it.
    pub done: bool,
    /// Codes that were on the screen.
    pub seen: BTreeSet<String>,
}

impl Citizen {
    /// In front of this terminal.
    pub fn at(bench: &Bench) -> Self {
        Self { touched: None, before: bench.cassette_tenge(), done: false, seen: BTreeSet::new() }
    }

    /// Whether there is nothing left to want: the screen is at its start and offers to go on with nothing.
    ///
    /// # Panics
    /// If money is in, nothing was given for it, and there is no way on: that is what "lost" looks like to a citizen.
    pub fn is_served(&mut self, bench: &Bench, view: &View) -> bool {
        self.seen.extend((!view.code.is_empty()).then(|| super::cards::digits(&view.code)));
        if view.screen != "attract" || view.offers("WasInterrupted") {
            return false;
        }
        if bench.desk.is_some() {
            // Whose code is out on paper has what was paid for.
            self.done |= bench.symbols().iter().any(|text| text.starts_with("TOLEM:C1:"));
            return self.done;
        }
        if !self.done && bench.cassette_tenge() > self.before {
            // Paper in hand counts although the last screen was never seen.
            let symbols = bench.symbols();
            self.done = symbols.iter().any(|text| {
                ["TOLEM:C1:", "TOLEM:V1:", "TOLEM:D1:"].iter().any(|kind| text.starts_with(kind))
            });
            assert!(
                self.done,
                "money is in, nothing was given for it, and there is no way on\n{}",
                bench.report()
            );
        }
        self.done
    }

    /// Does the next thing that the picture asks for.
    pub fn act(&mut self, bench: &mut Bench, view: &View) {
        if let Some((touched, when)) = &self.touched
            && (&touched.screen, &touched.offers) == (&view.screen, &view.offers)
            && when.elapsed() < AGAIN
        {
            return;
        }
        let Some(what) = self.wants(bench, view) else { return };
        for touch in &what {
            bench.touch(touch);
        }
        self.done |= what == ["Done"]
            && ["code", "cannot-print", "claim-slip", "held"].contains(&view.screen.as_str());
        self.touched = Some((view.clone(), Instant::now()));
    }

    fn wants(&self, bench: &Bench, view: &View) -> Option<Vec<String>> {
        let touch = |what: &str| view.offers(what).then(|| vec![what.to_owned()]);
        if view.offers("StillHere") {
            return touch("StillHere");
        }
        if let Some(desk) = &bench.desk {
            match view.screen.as_str() {
                "attract" if !view.offers("WasInterrupted") && !takes_cards(view) => return None,
                "quote" => return touch("PayCard").or_else(|| touch("Cancel")),
                "card-insert" => {
                    desk.insert();
                    return None;
                }
                "card-pin" => {
                    desk.enter();
                    return None;
                }
                "card-wrong-pin" => return touch("TryAgain"),
                "card-take" => {
                    desk.take();
                    return None;
                }
                _ => {}
            }
        }
        match view.screen.as_str() {
            "attract" | "closed" if view.offers("WasInterrupted") => touch("WasInterrupted"),
            "attract" => touch("Start"),
            "catalogue" => touch(&format!("ChooseService({})", service())),
            "service" | "honest" => touch("Next"),
            "iin" if view.offers("Next") => touch("Next"),
            "iin" => {
                let digits = PAYER.bytes().map(|digit| format!("Digit({})", digit - b'0'));
                Some(std::iter::once("Clear".to_owned()).chain(digits).collect())
            }
            "quote" => touch("PayCash"),
            "inserting" if view.offers("AgreeRemainder") => touch("AgreeRemainder"),
            "inserting" => {
                if !bench.note_is_moving() {
                    bench.insert(500);
                }
                None
            }
            "confirm" => touch("Confirm"),
            "code" | "cannot-print" | "claim-slip" | "held" | "message" | "balance" => touch("Done"),
            "number" => touch("Back"),
            // Closed, checking, working, printing, dark.
            _ => None,
        }
    }
}

/// Whether the start screen says that cards are taken.
fn takes_cards(view: &View) -> bool {
    Language::ALL.iter().any(|language| view.line.contains(word(*language, Word::StateCardYes)))
}

/// Its place in the reference catalogue.
fn service() -> usize {
    let catalogue = tolem_center::catalogue::Catalogue::parse(tolem_center::catalogue::REFERENCE);
    let catalogue = catalogue.expect("invariant: the reference catalogue is checked at the center");
    let found = catalogue.services.iter().position(|service| service.code.as_str() == SERVICE);
    found.expect("invariant: the reference catalogue has this service")
}
