//! Whether the center can take cards now: asked at each welcome, and with each probe of a silent link, where there is a card reader.
//!
//! The question is of version 3; that of a terminal whose reader hides card numbers is of version 4. A center that does not know it ends the
//! connection; so what was asked in vain a few times in a row is not asked for a long time. Until then the quote alone says whether cards are
//! taken; with hidden numbers none are.

use super::{Kiosk, center::Ask};
use crate::{
    health::FaultCode,
    ports::{Signer, Store},
    time::Instant,
};
use std::time::Duration;
use tolem_protocol::{UtcTime, messages::Request};

/// Asked in vain so often in a row, it rests.
const MOST_IN_VAIN: u8 = 3;
/// So long.
const REST: Duration = Duration::from_secs(3_600);

/// What came of asking.
#[derive(Default)]
pub(super) struct CardService {
    in_vain: u8,
    rests_until: Option<Instant>,
    /// Asked at the welcome, and not answered yet: until then no card is taken.
    pub(super) waits: bool,
}

impl<S: Store, K: Signer> Kiosk<S, K> {
    fn may_ask_card_service(&self) -> bool {
        self.has_cards() && self.center.card_service.rests_until.is_none_or(|until| self.now >= until)
    }

    /// The link has just come up.
    pub(super) fn ask_card_service(&mut self) {
        self.center.card_service.waits = self.may_ask_card_service();
        if self.center.card_service.waits {
            self.ask(Ask::CardService, self.card_service_question());
        }
    }

    fn card_service_question(&self) -> Request {
        if self.hides_numbers() { Request::SealedCardService } else { Request::CardService }
    }

    fn hides_numbers(&self) -> bool {
        self.desk.as_ref().is_some_and(|desk| desk.sred)
    }

    /// Nothing was asked for a while: is the center still there?
    pub(super) fn probe(&mut self) {
        if self.may_ask_card_service() {
            self.ask(Ask::CardService, self.card_service_question());
        } else {
            self.ask(Ask::Probe, Request::Time);
        }
    }

    pub(super) fn card_service_told(&mut self, clock: UtcTime, open: bool) {
        self.clock_anchor = Some((self.now, clock));
        self.center.card_service = CardService::default();
        self.fault(FaultCode::AcquirerDown, !open);
    }

    pub(super) fn card_service_unanswered(&mut self) {
        let asked = &mut self.center.card_service;
        asked.in_vain = asked.in_vain.saturating_add(1);
        if asked.in_vain >= MOST_IN_VAIN {
            asked.rests_until = Some(self.now + REST);
            // A center that does not know the question can do nothing with a hidden number.
            self.fault(FaultCode::AcquirerDown, self.hides_numbers());
        }
    }
}
