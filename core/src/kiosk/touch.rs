//! What the citizen does, and what time does when the citizen does nothing.

use super::{
    Kiosk, Lamp,
    center::Link,
    dialogue::{Asked, CardScreen, Dialogue, NumberFor, Offer, Purpose},
};
use crate::{
    ports::{Signer, Store},
    secret::Typed,
    session::{Input, Stage},
    view::{Comfort, Intent},
    words::Word,
};
use tolem_probe::{Fault, Site, planted, sometimes};
use tolem_protocol::{
    BalanceNumber, ClaimNumber, Iin, catalogue::Language, iin::IinError, messages::PrintRight,
};

/// After a start the link gets this long before somebody with an interrupted payment is told that there is none.
const STATUS_WAIT: std::time::Duration = std::time::Duration::from_secs(30);
/// Letters of the longest search.
const MAX_QUERY: usize = 24;

impl<S: Store, K: Signer> Kiosk<S, K> {
    pub(super) fn touched(&mut self, intent: Intent) {
        self.active();
        match intent {
            Intent::SetLanguage(language) => {
                self.language = language;
                if self.dialogue == Dialogue::Attract && self.can_start() {
                    self.open_catalogue();
                }
            }
            Intent::ToggleLargeText => self.comfort.large_text = !self.comfort.large_text,
            Intent::ToggleContrast => self.comfort.high_contrast = !self.comfort.high_contrast,
            Intent::ToggleLowReach => self.comfort.low_reach = !self.comfort.low_reach,
            Intent::StillHere => {}
            Intent::Start => {
                if self.dialogue == Dialogue::Attract && self.can_start() {
                    self.open_catalogue();
                }
            }
            Intent::HaveSlip => {
                if self.dialogue == Dialogue::Attract && self.center.link == Link::Up {
                    self.dialogue =
                        Dialogue::Number { digits: Typed::default(), error: None, then: NumberFor::LookUp };
                }
            }
            Intent::WasInterrupted => {
                if self.dialogue == Dialogue::Attract {
                    self.type_iin(Purpose::Interrupted, None);
                }
            }
            Intent::ChooseGroup(chosen) => {
                if let Dialogue::Catalogue { group, .. } = &mut self.dialogue {
                    *group = chosen;
                }
            }
            Intent::ToggleSearch => {
                if let Dialogue::Catalogue { keyboard, .. } = &mut self.dialogue {
                    *keyboard = !*keyboard;
                }
            }
            Intent::ChooseService(service) => {
                if matches!(self.dialogue, Dialogue::Catalogue { .. })
                    && usize::from(service) < self.services.len()
                {
                    self.trace(1, "citizen chose a service and saw its price");
                    self.dialogue = Dialogue::Service { service };
                }
            }
            Intent::Letter(letter) => self.typed(letter),
            Intent::Digit(key) => self.typed(key.digit()),
            Intent::Erase => self.erased(false),
            Intent::Clear => self.erased(true),
            Intent::Next => self.next(),
            Intent::PayCash => self.pay_cash(),
            Intent::PayCard => self.pay_card(),
            Intent::TryAgain => self.try_again(),
            Intent::ChooseApplication(index) => self.choose_application(index),
            Intent::UseVoucher => self.use_voucher(),
            Intent::AgreeRemainder => self.agree_remainder(),
            Intent::Confirm => {
                if let Dialogue::Confirm { stopping: false } = self.dialogue {
                    self.trace(11, "citizen agreed to make the payment");
                    self.act(Input::Confirm);
                    self.wait_for_outcome();
                }
            }
            Intent::Stop => self.ask_stop(true),
            Intent::Resume => self.ask_stop(false),
            Intent::StopConfirmed => self.stop(),
            Intent::Back => self.back(),
            Intent::Cancel => self.cancel(),
            Intent::Done => self.done(),
            Intent::AnotherPayment => {
                self.done();
                if self.dialogue == Dialogue::Attract && self.can_start() {
                    self.open_catalogue();
                }
            }
            Intent::Print => self.print_again(),
        }
    }

    /// Somebody is here.
    pub(super) fn active(&mut self) {
        self.last_activity = self.now;
        self.still_here_until = None;
    }

    /// Whether a payment may be started now.
    pub(super) fn can_start(&self) -> bool {
        (self.cash_in_service() || self.card_in_service())
            && self.limits.is_some()
            && !self.services.is_empty()
    }

    /// Whether notes can be taken for a payment that begins now.
    pub(super) fn cash_in_service(&self) -> bool {
        self.health.closed_by().is_none()
            && self.acceptor_ready
            && self.printer_was_seen()
            && !self.known_notes().is_empty()
    }

    fn open_catalogue(&mut self) {
        self.dialogue = Dialogue::Catalogue { group: None, query: String::new(), keyboard: false };
    }

    fn type_iin(&mut self, purpose: Purpose, error: Option<Word>) {
        self.dialogue = Dialogue::Iin { digits: Typed::default(), error, purpose };
    }

    pub(super) fn message(&mut self, title: Word, lead: Word) {
        self.dialogue = Dialogue::Message { title, lead, since: self.now };
    }

    fn typed(&mut self, letter: char) {
        match &mut self.dialogue {
            Dialogue::Catalogue { query, .. }
                if query.chars().count() < MAX_QUERY && !(letter == ' ' && query.is_empty()) =>
            {
                query.push(letter);
            }
            Dialogue::Iin { digits, error, .. } if letter.is_ascii_digit() && digits.len() < 12 => {
                digits.push(letter);
                *error = None;
                if digits.len() == 12 {
                    *error = Iin::parse(digits.as_str(), self.utc.date()).err().map(iin_error);
                }
            }
            Dialogue::Number { digits, error, then } if letter.is_ascii_digit() => {
                let longest = match then {
                    NumberFor::LookUp => ClaimNumber::DIGITS,
                    NumberFor::Pay { .. } => BalanceNumber::DIGITS,
                };
                if digits.len() < longest {
                    digits.push(letter);
                    *error = None;
                }
            }
            _ => {}
        }
    }

    fn erased(&mut self, all: bool) {
        match &mut self.dialogue {
            Dialogue::Catalogue { query, .. } if all => query.clear(),
            Dialogue::Catalogue { query, .. } => {
                query.pop();
            }
            Dialogue::Iin { digits, error, .. } | Dialogue::Number { digits, error, .. } => {
                *error = None;
                if all { digits.clear() } else { digits.pop() }
            }
            _ => {}
        }
    }

    fn next(&mut self) {
        match self.dialogue.clone() {
            Dialogue::Service { service } => {
                self.wrong_payers = 0;
                self.type_iin(Purpose::Pay { service }, None);
            }
            Dialogue::Iin { digits, purpose, .. } => match Iin::parse(digits.as_str(), self.utc.date()) {
                Ok(iin) => self.iin_typed(iin, purpose),
                Err(fault) => {
                    if let Dialogue::Iin { error, .. } = &mut self.dialogue {
                        *error = Some(iin_error(fault));
                    }
                }
            },
            Dialogue::Number { digits, then, .. } => self.number_typed(digits.as_str(), then),
            Dialogue::Honest => {
                self.last_note = None;
                self.dialogue = if self.session.current().is_some_and(|payment| payment.remaining().is_zero())
                {
                    Dialogue::Confirm { stopping: false }
                } else {
                    Dialogue::Inserting { agreed: None, stopping: false }
                };
            }
            Dialogue::Balance { .. } if self.can_start() => self.open_catalogue(),
            _ => {}
        }
    }

    fn iin_typed(&mut self, iin: Iin, purpose: Purpose) {
        self.trace(2, "citizen entered the IIN");
        self.payer = Some(iin);
        match purpose {
            Purpose::Pay { service } if self.center_is_trusted() => self.ask_payer(service),
            Purpose::Claim(claim) if self.center.link == Link::Up => self.ask_claim(claim),
            Purpose::Voucher(number) if self.center.link == Link::Up => self.ask_voucher(number),
            Purpose::Interrupted => self.find_interrupted(),
            Purpose::Pay { .. } | Purpose::Claim(_) | Purpose::Voucher(_) => {
                self.message(Word::CenterUnavailable, Word::CenterUnavailableLead);
            }
        }
    }

    fn number_typed(&mut self, typed: &str, then: NumberFor) {
        let purpose = match then {
            NumberFor::Pay { service } => {
                if let Some(number) = BalanceNumber::parse(typed) {
                    if self.center.link == Link::Up {
                        self.ask_quote(service, Some(number));
                    } else {
                        self.message(Word::CenterUnavailable, Word::CenterUnavailableLead);
                    }
                    return;
                }
                None
            }
            NumberFor::LookUp => ClaimNumber::parse(typed)
                .map(Purpose::Claim)
                .or_else(|| BalanceNumber::parse(typed).map(Purpose::Voucher)),
        };
        match purpose {
            Some(purpose) => self.type_iin(purpose, None),
            None => {
                if let Dialogue::Number { digits, error, .. } = &mut self.dialogue {
                    let complete = digits.len() >= BalanceNumber::DIGITS;
                    *error = Some(if complete { Word::SlipErrorControl } else { Word::SlipErrorLength });
                }
            }
        }
    }

    /// The payer of a payment that a restart interrupted is back.
    fn find_interrupted(&mut self) {
        let Some(payer) = &self.payer else { return };
        let tag = self.tag_of(payer);
        let found = self
            .session
            .interrupted()
            .find(|payment| payment.payer_tag == Some(tag) || planted(Fault::ResumedByAnybody));
        match found.map(|payment| (payment.id, payment.stage())) {
            Some((payment, Stage::Collecting)) if !self.is_status_known(payment) => {
                if !self.link_is_up() && self.now.since(self.started_at) >= STATUS_WAIT {
                    self.message(Word::CenterUnavailable, Word::ClosedMoneyInside);
                } else if !matches!(self.dialogue, Dialogue::Asking { .. }) {
                    sometimes(Site::CutOffWaits);
                    self.dialogue = Dialogue::Asking { what: Asked::Interrupted, since: self.now };
                }
            }
            Some((payment, _)) => {
                sometimes(Site::CutOffResumed);
                self.act(Input::Resume(payment));
                self.enter_current();
            }
            None => {
                sometimes(Site::CutOffNotFound);
                self.message(Word::NotFound, Word::InterruptedNone);
            }
        }
    }

    /// Goes to the screen that fits the payment in hand.
    fn enter_current(&mut self) {
        let Some(payment) = self.session.current() else { return };
        let (stage, complete) = (payment.stage(), payment.remaining().is_zero());
        match stage {
            Stage::Collecting if complete => self.dialogue = Dialogue::Confirm { stopping: false },
            Stage::Collecting => self.dialogue = Dialogue::Inserting { agreed: None, stopping: false },
            Stage::Requested => self.dialogue = Dialogue::Working { since: self.now },
            Stage::Settled => self.begin_handing(),
        }
    }

    fn pay_cash(&mut self) {
        let Dialogue::Quoted(offer) = self.dialogue.clone() else { return };
        if self.takes_cash_for(&offer.quote) && self.begin_payment(*offer) {
            self.dialogue = Dialogue::Honest;
        }
    }

    /// Begins the quoted payment. False if it does not begin.
    pub(super) fn begin_payment(&mut self, offer: Offer) -> bool {
        let Some(payer) = self.payer.clone() else { return false };
        if offer.quote.valid_until <= self.utc {
            self.void(offer.quote.payment);
            self.message(Word::PaymentRefused, Word::QuoteExpired);
            return false;
        }
        let payment = offer.quote.payment;
        let sealed = self.signer.seal_iin(&payer, &payment);
        let payer_tag = self.tag_of(&payer);
        self.act(Input::Begin {
            payment,
            quote: offer.signed,
            payer: sealed,
            payer_tag,
            language: self.language,
        });
        self.session.current().is_some_and(|current| current.id == payment)
    }

    /// What finds a payment when its payer comes back.
    fn tag_of(&self, payer: &Iin) -> [u8; 16] {
        if planted(Fault::IinInJournal) {
            let mut plain = [b' '; 16];
            plain[..12].copy_from_slice(&payer.ascii());
            return plain;
        }
        self.signer.tag_iin(payer)
    }

    fn use_voucher(&mut self) {
        if let Dialogue::Quoted(offer) = self.dialogue.clone() {
            self.void(offer.quote.payment);
            let then = NumberFor::Pay { service: offer.service };
            self.dialogue = Dialogue::Number { digits: Typed::default(), error: None, then };
        }
    }

    fn agree_remainder(&mut self) {
        let larger = self.larger_note();
        if let Dialogue::Inserting { agreed, .. } = &mut self.dialogue {
            sometimes(Site::RemainderAgreed);
            *agreed = larger.map(|(note, _)| note);
        }
    }

    fn ask_stop(&mut self, ask: bool) {
        if let Dialogue::Inserting { stopping, .. } | Dialogue::Confirm { stopping } = &mut self.dialogue {
            *stopping = ask;
        }
        if self.session.current().is_some_and(|payment| payment.inserted().is_zero()) && ask {
            self.stop();
        }
    }

    /// Stops the payment in hand: nothing in = forgotten, money in = held.
    pub(super) fn stop(&mut self) {
        let Some(payment) = self.session.current().map(|payment| payment.id) else { return };
        self.act(Input::Stop(payment));
        match self.session.current() {
            None => {
                self.void(payment);
                self.reset_dialogue();
            }
            Some(_) => {
                sometimes(Site::LeftWithMoney);
                self.wait_for_outcome();
            }
        }
    }

    fn wait_for_outcome(&mut self) {
        if self.awaits_outcome() {
            self.dialogue = Dialogue::Working { since: self.now };
        }
    }

    fn back(&mut self) {
        match self.dialogue.clone() {
            Dialogue::Service { .. } => self.open_catalogue(),
            Dialogue::Iin { purpose: Purpose::Pay { service }, .. } => {
                self.dialogue = Dialogue::Service { service }
            }
            Dialogue::Number { then: NumberFor::Pay { service }, .. } => {
                self.wrong_payers = 0;
                if self.payer.is_some() { self.ask_quote(service, None) } else { self.reset_dialogue() }
            }
            Dialogue::Quoted(offer) => {
                self.void(offer.quote.payment);
                self.dialogue = Dialogue::Service { service: offer.service };
            }
            Dialogue::Honest => self.stop(),
            Dialogue::Catalogue { .. }
            | Dialogue::Iin { .. }
            | Dialogue::Number { .. }
            | Dialogue::Balance { .. }
            | Dialogue::Message { .. } => self.reset_dialogue(),
            _ => {}
        }
    }

    pub(super) fn cancel(&mut self) {
        match self.dialogue.clone() {
            Dialogue::Quoted(offer) => {
                self.void(offer.quote.payment);
                self.reset_dialogue();
            }
            Dialogue::Honest => self.stop(),
            Dialogue::Card(_) => self.cancel_card(),
            Dialogue::Asking { .. }
            | Dialogue::Catalogue { .. }
            | Dialogue::Service { .. }
            | Dialogue::Iin { .. }
            | Dialogue::Number { .. }
            | Dialogue::Balance { .. }
            | Dialogue::Message { .. } => self.reset_dialogue(),
            _ => {}
        }
    }

    pub(super) fn done(&mut self) {
        match self.dialogue {
            Dialogue::Found { .. } => {
                self.stray = None;
                self.reset_dialogue();
            }
            Dialogue::Code { .. } | Dialogue::Slip { .. } | Dialogue::Held { .. } => {
                if self.center.serving.is_none() {
                    self.act(Input::Leave);
                }
                self.reset_dialogue();
            }
            Dialogue::Message { .. } | Dialogue::Balance { .. } => self.reset_dialogue(),
            _ => {}
        }
    }

    fn print_again(&mut self) {
        if let Dialogue::Code { printed: false, .. } | Dialogue::Held { printed: false, .. } = self.dialogue
            && !self.health.printer_blocked()
        {
            self.dialogue = Dialogue::Handing { since: self.now };
        } else if let Dialogue::Slip { printed: false, .. } = self.dialogue {
            self.give_claim_slip();
        } else if let Dialogue::Found { printed: false, .. } = self.dialogue
            && !self.health.printer_blocked()
        {
            self.print_stray();
        }
    }

    /// Back to the start; nothing of the last citizen stays.
    pub(super) fn reset_dialogue(&mut self) {
        self.dialogue = Dialogue::Attract;
        self.language = Language::default();
        self.comfort = Comfort::default();
        self.payer = None;
        self.payer_name.clear();
        self.symbol.forget();
        self.wrong_payers = 0;
        self.last_note = None;
        self.center.serving = None;
        self.center.right = None;
        self.still_here_until = None;
        self.lamp(Lamp::ReceiptSlot, false);
    }

    /// Everything that only time brings about.
    pub(super) fn tick(&mut self) {
        self.order_timer();
        self.unsettled_limits();
        self.hold_abandoned();
        if planted(Fault::PrintedUnattended) {
            self.print_owed();
        }
        match self.dialogue.clone() {
            Dialogue::Inserting { .. } => {
                if self.session.order().is_none()
                    && self.session.current().is_some_and(|payment| payment.remaining().is_zero())
                {
                    self.dialogue = Dialogue::Confirm { stopping: false };
                    self.active();
                }
            }
            Dialogue::Asking { what: Asked::Interrupted, .. } => self.find_interrupted(),
            Dialogue::Working { since } => self.tick_working(since),
            Dialogue::Handing { since } => self.continue_handing(since),
            Dialogue::Code { since, .. }
            | Dialogue::Slip { since, .. }
            | Dialogue::Held { since, .. }
            | Dialogue::Found { since, .. } => {
                if self.now.since(since.max(self.last_activity)) >= self.config.patience.finished {
                    self.done();
                }
            }
            Dialogue::Message { since, .. } | Dialogue::Balance { since, .. } => {
                if self.now.since(since.max(self.last_activity)) >= self.config.patience.finished {
                    self.reset_dialogue();
                }
            }
            Dialogue::Attract
            | Dialogue::Catalogue { .. }
            | Dialogue::Service { .. }
            | Dialogue::Iin { .. }
            | Dialogue::Number { .. }
            | Dialogue::Asking { .. }
            | Dialogue::Quoted(_)
            | Dialogue::Honest
            | Dialogue::Card(_)
            | Dialogue::Confirm { .. }
            | Dialogue::SlipPrinting => {}
        }
        self.idle();
    }

    fn tick_working(&mut self, since: crate::time::Instant) {
        let Some(payment) = self.session.current() else {
            self.reset_dialogue();
            return;
        };
        let wait = self.limits.map_or(20, |limits| limits.answer_wait_s);
        match payment.stage() {
            Stage::Settled => self.begin_handing(),
            // No notes, no slip: a card's order is not a paper that pays.
            Stage::Requested if payment.card.is_some() => {}
            Stage::Requested if self.now.since(since).as_secs() >= u64::from(wait) => self.give_claim_slip(),
            Stage::Requested | Stage::Collecting => {}
        }
    }

    /// "Are you still here?", and what happens without an answer. Money is never abandoned.
    fn idle(&mut self) {
        let waits_for_citizen = matches!(
            self.dialogue,
            Dialogue::Catalogue { .. }
                | Dialogue::Service { .. }
                | Dialogue::Iin { .. }
                | Dialogue::Number { .. }
                | Dialogue::Asking { .. }
                | Dialogue::Quoted(_)
                | Dialogue::Honest
                | Dialogue::Card(CardScreen::Insert | CardScreen::Choose(_) | CardScreen::WrongPin { .. })
                | Dialogue::Inserting { .. }
                | Dialogue::Confirm { .. }
        );
        if !waits_for_citizen || self.session.order().is_some() {
            self.still_here_until = None;
            return;
        }
        match self.still_here_until {
            None if self.now.since(self.last_activity) >= self.config.patience.idle => {
                self.still_here_until = Some(self.now + self.config.patience.still_here);
            }
            Some(until) if self.now >= until => {
                self.still_here_until = None;
                match self.dialogue.clone() {
                    Dialogue::Inserting { .. } | Dialogue::Confirm { .. }
                        if planted(Fault::AbandonedOnIdle) =>
                    {
                        self.reset_dialogue();
                    }
                    Dialogue::Inserting { .. } | Dialogue::Confirm { .. } | Dialogue::Honest => self.stop(),
                    _ => self.cancel(),
                }
                self.last_activity = self.now;
            }
            None | Some(_) => {}
        }
    }

    /// A payment that a restart cut off: without money it is forgotten, here and at the center; with money, and nobody coming
    /// back for it, the money is held for its payer.
    fn hold_abandoned(&mut self) {
        if self.session.order().is_some() || !self.link_is_up() {
            return;
        }
        let patient = self.now.since(self.started_at) < self.config.patience.interrupted;
        let abandoned = self
            .session
            .cut_off()
            .filter(|payment| payment.stage() == Stage::Collecting && self.is_status_known(payment.id))
            .find(|payment| payment.notes.is_empty() || !patient)
            .map(|payment| (payment.id, payment.notes.is_empty()));
        if let Some((payment, empty)) = abandoned {
            sometimes(if empty { Site::CutOffEmpty } else { Site::CutOffHeld });
            self.act(Input::Stop(payment));
            if empty {
                self.void(payment);
            }
        }
    }

    fn unsettled_limits(&mut self) {
        let Some(limits) = self.limits else { return };
        let (total, count, oldest) = self.session.unsettled();
        let too_old = oldest.is_some_and(|oldest| {
            self.utc.seconds().saturating_sub(oldest.seconds()) > i64::from(limits.unsettled_age_s)
        });
        let full = total >= limits.unsettled_total || count >= usize::from(limits.unsettled_count) || too_old;
        self.fault(crate::health::FaultCode::UnsettledLimit, full);
    }

    /// Whether what was handed out is an original.
    pub(super) fn is_copy(&self) -> bool {
        self.center.right == Some(PrintRight::Copy)
    }
}

fn iin_error(fault: IinError) -> Word {
    match fault {
        IinError::NotTwelveDigits => Word::IinErrorLength,
        IinError::NoSuchCentury => Word::IinErrorCentury,
        IinError::ImpossibleDate => Word::IinErrorDate,
        IinError::ControlDigit => Word::IinErrorControl,
    }
}
