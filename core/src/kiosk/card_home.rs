//! The way of a card back to its owner, or, when nobody takes it, into the box.

use super::{
    Kiosk, Lamp,
    card::{KEEP_AFTER, Place},
    dialogue::{CardScreen, Dialogue},
};
use crate::{
    card_reader::Command as ReaderCommand,
    health::FaultCode,
    pin_pad::Command as PadCommand,
    ports::{Signer, Store},
    session::{CardStanding, Input},
    words::Word,
};
use std::time::Duration;
use tolem_probe::{Fault, Site, planted, sometimes};
use tolem_protocol::card::{CardMoved, CardStep, RetainReason, VoidReason};

/// A card at the gate is beeped for after this.
const BEEP_AFTER: Duration = Duration::from_secs(5);
/// A reader that does not bring a card to the gate in this time will not.
const EJECT_PATIENCE: Duration = Duration::from_secs(30);
/// A reader that has not drawn a card in after this time will not, as when somebody holds it or it is stuck at the gate.
const KEEP_PATIENCE: Duration = Duration::from_secs(20);
/// A card is told to go to the box so often.
const MOST_KEEP_TRIES: u8 = 2;

impl<S: Store, K: Signer> Kiosk<S, K> {
    /// A card that is inside while no screen needs it is given back before anything else is shown.
    pub(super) fn bring_card_home(&mut self) {
        let Some(desk) = &self.desk else { return };
        let (place, leaving) = (desk.place, desk.leaving);
        let needed = match &self.dialogue {
            Dialogue::Card(screen) => screen.needs_card(),
            Dialogue::Asking { .. } | Dialogue::Quoted(_) => desk.retry.is_some(),
            _ => false,
        };
        let taking = matches!(self.dialogue, Dialogue::Card(CardScreen::Take { .. }));
        match place {
            Place::Inside | Place::AtGate if !needed && !taking && !desk.left && !desk.given_up => {
                let then = Box::new(std::mem::replace(&mut self.dialogue, Dialogue::Attract));
                self.dialogue = Dialogue::Card(CardScreen::Take { since: self.now, then });
                self.active();
            }
            _ => {}
        }
        if place == Place::Inside && !needed && !leaving {
            if let Some(desk) = &mut self.desk {
                (desk.leaving, desk.retry) = (true, None);
            }
            self.command_reader(ReaderCommand::Eject);
        }
        self.watch_gate();
    }

    fn watch_gate(&mut self) {
        let Dialogue::Card(CardScreen::Take { since, .. }) = &self.dialogue else {
            self.lamp(Lamp::Buzzer, false);
            return;
        };
        let waited = self.now.since(*since);
        let Some(desk) = &self.desk else { return };
        let (place, can_retain, tries) = (desk.place, desk.abilities.can_retain, desk.keep_tries);
        let under_way = desk.keeping.is_some_and(|since| self.now.since(since) < KEEP_PATIENCE);
        let stuck = matches!(place, Place::Inside | Place::Unknown) && waited >= EJECT_PATIENCE
            || self.health.has(FaultCode::CardJam);
        self.lamp(Lamp::Buzzer, place == Place::AtGate && waited >= BEEP_AFTER && waited < KEEP_AFTER);
        if place == Place::Nothing || stuck {
            if let Some(desk) = &mut self.desk {
                desk.given_up = stuck;
            }
            self.go_on_after_card();
        } else if place == Place::AtGate && waited >= KEEP_AFTER {
            self.abandon();
            if can_retain && (under_way || tries < MOST_KEEP_TRIES) {
                if !under_way {
                    self.keep_card();
                }
            } else {
                self.leave_card_there();
            }
        }
    }

    /// Tells the reader to keep the card; the reason is on disk before.
    fn keep_card(&mut self) {
        let reason = if self.desk.as_ref().is_some_and(|desk| desk.from_before) {
            RetainReason::FoundAtStart
        } else {
            RetainReason::Forgotten
        };
        self.card_moved(CardMoved::RetainOrdered(reason));
        if self.dying.is_none() {
            if let Some(desk) = &mut self.desk {
                (desk.leaving, desk.keeping) = (true, Some(self.now));
                desk.keep_tries += 1;
            }
            self.command_reader(ReaderCommand::Retain);
        }
    }

    /// The card is in the box, and that is on disk: whoever comes back is told so. A payment that goes on is not lost behind these words.
    pub(super) fn say_card_kept(&mut self) {
        let over = matches!(self.behind_card(), Dialogue::Attract | Dialogue::Message { .. });
        if self.dying.is_none() && (over || self.session.current().is_none()) {
            self.set_after_card(Word::CardKept, Word::CardKeptLead);
        }
    }

    /// Nobody takes the card, and this reader cannot keep it, or not this card. Whoever comes next can pay in cash, and a person is told.
    fn leave_card_there(&mut self) {
        if let Some(desk) = &mut self.desk {
            desk.left = true;
        }
        self.fault(FaultCode::CardLeft, true);
        self.go_on_after_card();
    }

    /// The citizen went away without the card, before anybody saw the code: nothing is paid.
    fn abandon(&mut self) {
        let current = self.session.current().map(|payment| (payment.id, payment.card_standing()));
        if let Some((payment, Some(CardStanding::Authorized))) = current {
            sometimes(Site::CardAbandoned);
            if planted(Fault::ForgottenCardPays) {
                return self.code_seen(payment);
            }
            self.act(Input::Card(payment, CardStep::ReversalOwed(VoidReason::Abandoned)));
            self.act(Input::Leave);
            self.set_after_card(Word::CardUnpaid, Word::CardLeftUnpaid);
        }
    }

    fn set_after_card(&mut self, title: Word, lead: Word) {
        let after = Dialogue::Message { title, lead, since: self.now };
        if let Dialogue::Card(CardScreen::Take { then, .. }) = &mut self.dialogue {
            **then = after;
        }
    }

    /// What is shown, or will be when the card is home.
    pub(super) fn behind_card(&mut self) -> &mut Dialogue {
        match &mut self.dialogue {
            Dialogue::Card(CardScreen::Take { then, .. }) => then,
            shown => shown,
        }
    }

    /// The card is home (or will not come out): what was to be shown comes now.
    fn go_on_after_card(&mut self) {
        let Dialogue::Card(CardScreen::Take { then, .. }) = &self.dialogue else { return };
        let then = (**then).clone();
        self.active();
        self.lamp(Lamp::Buzzer, false);
        match then {
            Dialogue::Attract => self.reset_dialogue(),
            Dialogue::Message { title, lead, .. } => self.message(title, lead),
            Dialogue::Working { .. } => self.dialogue = Dialogue::Working { since: self.now },
            other => self.dialogue = other,
        }
    }

    pub(super) fn can_keep_cards(&self) -> bool {
        self.desk.as_ref().is_some_and(|desk| desk.abilities.can_retain)
    }

    /// The reader gives the card out. Otherwise the citizen holds it and draws it out.
    pub(super) fn gives_cards_out(&self) -> bool {
        self.desk.as_ref().is_some_and(|desk| desk.abilities.can_eject)
    }

    /// A card that nobody took is in the reader.
    pub(super) fn card_was_left(&self) -> bool {
        self.desk.as_ref().is_some_and(|desk| desk.left)
    }

    /// The payment on the screen has an approval that nobody has seen the code of.
    pub(super) fn waits_for_the_card(&self) -> bool {
        self.session.current().and_then(|payment| payment.card_standing()) == Some(CardStanding::Authorized)
    }

    /// The terminal is ending: whoever's card is inside gets it back.
    pub(super) fn let_card_go(&mut self) {
        if let Some(desk) = &mut self.desk {
            desk.forget();
            desk.devices.pad.command(self.now, PadCommand::Cancel);
        }
        self.command_reader(ReaderCommand::Eject);
    }
}
