//! Cards: the reader, the PIN pad, the chip's kernel, and one payment's way through them.
//!
//! What is volatile here (the kernel, an enciphered PIN, where the card is) may be lost at any moment: what is owed is in the journal. The
//! center is asked once, after the order is durable; whatever does not end in a decline that was heard or in a code that was seen is undone.
//!
//! One rule brings every card home: a card that is inside while no screen needs it is given back, and nothing else is shown until it is
//! taken or kept ([`Kiosk::bring_card_home`]).

use super::{
    Kiosk, Lamp,
    card_devices::{Devices, Reader},
    center::Ask,
    dialogue::{CardScreen, Dialogue, Offer},
};
use crate::{
    card_reader::{Abilities, Command as ReaderCommand},
    drivers::pinpad,
    emv::{
        Candidate, CardData, ChipFault, ChipTransport, Decline, Ending, Evidence, Failure, HostAnswer,
        Kernel, OnlineRequest, Step, Terminal, Transaction,
    },
    health::FaultCode,
    pin_pad::{Command as PadCommand, EncryptedPin, PinRequest},
    ports::{Signer, Store},
    session::{CardStanding, Input},
    time::Instant,
    words::Word,
};
use std::{collections::BTreeSet, time::Duration};
use tolem_probe::{Fault, Site, planted, sometimes};
use tolem_protocol::{
    Amount, PaymentId,
    card::{
        CardAnswer, CardMark, CardOrder, CardSecret, CardStep, ChipEvidence, DeclineReason, IssuerWords,
        SealedCard, SealedNumber, SecretNumber, VoidReason,
    },
    messages::{Method, Outcome, Request, Verdict},
    pinpad::KeySerial,
    signed::Signed,
};

/// What a terminal that takes cards is made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cards {
    /// How the reader is reached.
    pub reader: Reader,
    /// What the reader can do with a card.
    pub abilities: Abilities,
    /// Settings of the PIN pad's driver. The last key's serial number comes from the journal.
    pub pad: pinpad::Config,
    /// What the acquirer has set.
    pub terminal: Terminal,
    /// The reader hides card numbers and enciphers them, and is one secure unit with the pad (SRED).
    pub sred: bool,
}

/// The answer of the issuer is waited for this long, over all questions.
pub(super) const ANSWER_PATIENCE: Duration = Duration::from_secs(75);
/// From enquiry to enquiry while the center does not know.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// A PIN may take this long.
const PIN_PATIENCE: Duration = Duration::from_secs(45);
/// A card at the gate is kept after this.
pub(super) const KEEP_AFTER: Duration = Duration::from_secs(40);

/// Where a card is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// Not known: the reader has not said so since it was last heard of.
    Unknown,
    Nothing,
    Inside,
    AtGate,
}

/// An approval that waits for the chip's word.
struct Approval {
    code: [u8; 6],
    outcome: Signed<Outcome>,
}

/// The devices and what they are doing.
pub(super) struct CardDesk {
    terminal: Terminal,
    pub(super) sred: bool,
    pub(super) abilities: Abilities,
    pub(super) devices: Devices,
    pub(super) faults: BTreeSet<FaultCode>,
    pub(super) place: Place,
    pub(super) accepting: bool,
    /// The card was told to go to the gate, or to the box.
    pub(super) leaving: bool,
    /// When it was told to go to the box.
    pub(super) keeping: Option<Instant>,
    /// How often this card was told so.
    pub(super) keep_tries: u8,
    /// It does not come out, and was waited for long enough.
    pub(super) given_up: bool,
    /// It was inside when the reader was first heard of.
    pub(super) from_before: bool,
    /// Nobody took it, and this reader cannot keep it: the terminal goes on without cards.
    pub(super) left: bool,
    pub(super) boxed: Option<u16>,
    pub(super) kernel: Option<Kernel>,
    pub(super) pin: Option<EncryptedPin>,
    /// The pad still says that it is at work.
    pub(super) pad_at_work: bool,
    mark: Option<CardMark>,
    approval: Option<Approval>,
    /// Waits for the number that the reader is enciphering for it.
    unsealed: Option<Box<OnlineRequest>>,
    /// When the center was asked, and when it is asked again.
    pub(super) asked: Option<(Instant, Option<Instant>)>,
    /// Which of several applications the citizen chose on the card that is inside.
    pub(super) chosen: Option<u8>,
    /// A wrong PIN is tried again for this service and sum, with the card inside.
    pub(super) retry: Option<(u16, Amount)>,
}

impl CardDesk {
    pub(super) fn new(config: &Cards, last_serial: Option<[u8; 10]>, now: Instant) -> Self {
        let mut pad = config.pad.clone();
        if let pinpad::Scheme::Dukpt { last } = &mut pad.scheme {
            *last = last.or(last_serial.map(KeySerial));
        }
        Self {
            terminal: config.terminal.clone(),
            sred: config.sred,
            abilities: config.abilities,
            devices: Devices::new(&config.reader, pad, now),
            faults: BTreeSet::new(),
            place: Place::Unknown,
            accepting: false,
            leaving: false,
            keeping: None,
            keep_tries: 0,
            given_up: false,
            from_before: false,
            left: false,
            boxed: None,
            kernel: None,
            pin: None,
            pad_at_work: false,
            mark: None,
            approval: None,
            unsealed: None,
            asked: None,
            chosen: None,
            retry: None,
        }
    }

    /// When its devices want to be called.
    pub(super) fn wait(&self) -> Instant {
        self.devices.wait()
    }

    /// Both devices are there and well, and no card is in the way.
    fn is_ready(&self) -> bool {
        self.place == Place::Nothing && self.faults.is_empty() && self.devices.pad.is_ready()
    }

    /// Lets go of everything that belonged to the attempt, wiped.
    pub(super) fn forget(&mut self) {
        (self.kernel, self.pin, self.mark, self.approval, self.asked) = (None, None, None, None, None);
        self.unsealed = None;
    }
}

impl<S: Store, K: Signer> Kiosk<S, K> {
    /// Whether a card can be taken for a payment that begins now.
    pub(super) fn card_in_service(&self) -> bool {
        self.health.closed_for_cards().is_none()
            && self.desk.as_ref().is_some_and(CardDesk::is_ready)
            && self.printer_was_seen()
            && self.link_is_up()
            && !self.center.card_service.waits
            && !self.health.has(FaultCode::AcquirerDown)
    }

    /// Whether this terminal has a card reader at all.
    pub(super) fn has_cards(&self) -> bool {
        self.desk.is_some()
    }

    /// What a card would pay for a quote, if it can be taken.
    pub(super) fn card_offer(&self, offer: &Offer) -> Option<Amount> {
        let total = offer.quote.card_total()?;
        (total <= pinpad::MOST_SHOWN && (self.card_in_service() || self.is_retrying())).then_some(total)
    }

    /// A quote offers cards, and the sum is more than the PIN pad's display holds.
    pub(super) fn is_too_much_for_card(&self, offer: &Offer) -> bool {
        self.card_in_service() && offer.quote.card_total().is_some_and(|total| total > pinpad::MOST_SHOWN)
    }

    fn is_retrying(&self) -> bool {
        self.desk.as_ref().is_some_and(|desk| desk.retry.is_some() && desk.place == Place::Inside)
    }

    /// What this terminal can take now; a voucher goes with cash.
    pub(super) fn methods(&self, with_voucher: bool) -> Option<Method> {
        if self.is_retrying() {
            return Some(Method::Card);
        }
        Method::of(self.cash_in_service(), self.card_in_service() && !with_voucher)
    }

    /// The citizen chose to pay by card.
    pub(super) fn pay_card(&mut self) {
        let Dialogue::Quoted(offer) = self.dialogue.clone() else { return };
        if self.card_offer(&offer).is_none() || !self.begin_payment(*offer) {
            return;
        }
        self.last_note = None;
        if self.is_retrying() {
            if let Some(desk) = &mut self.desk {
                desk.retry = None;
            }
            self.dialogue = Dialogue::Card(CardScreen::Reading);
            self.command_reader(ReaderCommand::PowerChip);
        } else {
            self.dialogue = Dialogue::Card(CardScreen::Insert);
        }
    }

    /// The PIN was wrong, and the citizen wants to try again: the same again, as a payment of its own.
    pub(super) fn try_again(&mut self) {
        let Dialogue::Card(CardScreen::WrongPin { service }) = self.dialogue else { return };
        if self.is_retrying() {
            sometimes(Site::CardPinAgain);
            self.ask_quote(service, None);
        }
    }

    /// The quote for another try is here.
    pub(super) fn continue_retry(&mut self) {
        let (Dialogue::Quoted(offer), true) = (&self.dialogue, self.is_retrying()) else { return };
        let same = self.desk.as_ref().and_then(|desk| desk.retry).map(|(_, total)| total);
        if offer.quote.card_total() == same {
            self.pay_card();
        }
    }

    pub(super) fn choose_application(&mut self, index: u8) {
        if let Dialogue::Card(CardScreen::Choose(found)) = &self.dialogue
            && usize::from(index) < found.len()
        {
            self.dialogue = Dialogue::Card(CardScreen::Reading);
            if let Some(desk) = &mut self.desk {
                desk.chosen = Some(index);
            }
            self.with_kernel(|kernel| kernel.choose(usize::from(index)));
        }
    }

    /// The citizen gives up: possible until the center is asked.
    pub(super) fn cancel_card(&mut self) {
        match &self.dialogue {
            Dialogue::Card(CardScreen::Insert | CardScreen::Choose(_)) => self.give_up(None),
            Dialogue::Card(CardScreen::Pin) => {
                if let Some(desk) = &mut self.desk {
                    desk.devices.pad.command(self.now, PadCommand::Cancel);
                }
                self.give_up(None);
            }
            Dialogue::Card(CardScreen::WrongPin { .. }) => {
                self.end_retry();
                self.leave_quietly();
            }
            _ => {}
        }
    }

    /// Back to the start, by way of the card if one is inside; until it is taken the citizen's language stays.
    fn leave_quietly(&mut self) {
        if self.desk.as_ref().is_some_and(|desk| matches!(desk.place, Place::Inside | Place::AtGate)) {
            self.dialogue = Dialogue::Attract;
        } else {
            self.reset_dialogue();
        }
    }

    fn end_retry(&mut self) {
        if let Some(desk) = &mut self.desk {
            desk.retry = None;
        }
    }

    /// Nothing was asked: the payment is forgotten, here and at the center.
    pub(super) fn give_up(&mut self, why: Option<(Word, Word)>) {
        if let Some(desk) = &mut self.desk {
            desk.forget();
        }
        if let Some(payment) = self.session.current().map(|payment| payment.id) {
            self.act(Input::Stop(payment));
            self.void(payment);
        }
        match why {
            Some((title, lead)) => self.message(title, lead),
            None => self.leave_quietly(),
        }
    }

    pub(super) fn begin_chip(&mut self, transport: ChipTransport) {
        let current = self.session.current();
        let total = current.and_then(|payment| payment.quoted()).and_then(|quote| quote.card_total());
        let (Dialogue::Card(CardScreen::Reading), Some(payment), Some(amount)) =
            (&self.dialogue, current, total)
        else {
            return;
        };
        let transaction = Transaction {
            amount,
            date: self.utc.date(),
            time: self.utc.time_of_day(),
            sequence: u32::try_from(payment.id.number % 100_000_000).unwrap_or_default(),
            unpredictable: self.signer.unpredictable(),
        };
        let Some(desk) = &mut self.desk else { return };
        desk.forget();
        let kernel = Kernel::new(desk.terminal.clone(), transaction, transport);
        desk.kernel = Some(if desk.sred { kernel.behind_sred() } else { kernel });
        self.with_kernel(Kernel::start);
    }

    pub(super) fn with_kernel(&mut self, tell: impl FnOnce(&mut Kernel) -> Step) {
        if let Some(kernel) = self.desk.as_mut().and_then(|desk| desk.kernel.as_mut()) {
            let step = tell(kernel);
            self.follow(step);
        }
    }

    /// The chip, or the reader in its place, said no.
    pub(super) fn chip_failed(&mut self, fault: ChipFault) {
        if let Some(desk) = self.desk.as_mut().filter(|desk| desk.unsealed.is_some()) {
            // Nobody was asked yet: the number for it cannot be had.
            desk.forget();
            return self.over(&Ending::Failed(Failure::Chip(fault)));
        }
        if self.desk.as_ref().is_some_and(|desk| desk.kernel.is_some()) {
            self.with_kernel(|kernel| kernel.answer(Err(fault)));
        } else if self.dialogue == Dialogue::Card(CardScreen::Reading) {
            self.over(&Ending::Failed(Failure::Chip(fault)));
        } else if matches!(self.dialogue, Dialogue::Card(CardScreen::WrongPin { .. })) {
            self.end_retry();
            self.leave_quietly();
        }
    }

    fn follow(&mut self, step: Step) {
        match step {
            Step::Transmit(bytes) => self.command_reader(ReaderCommand::Transmit(bytes)),
            Step::Choose(found) => {
                // Chosen before, when the PIN was wrong: it is the same card.
                if let Some(index) = self.desk.as_ref().and_then(|desk| desk.chosen) {
                    return self.with_kernel(|kernel| kernel.choose(usize::from(index)));
                }
                self.active();
                self.dialogue = Dialogue::Card(CardScreen::Choose(labels(&found)));
            }
            Step::EnterPin(card) => {
                let Some(amount) = self
                    .session
                    .current()
                    .and_then(|payment| payment.quoted())
                    .and_then(|quote| quote.card_total())
                else {
                    return;
                };
                self.active();
                self.dialogue = Dialogue::Card(CardScreen::Pin);
                if let Some(desk) = &mut self.desk {
                    let request = PinRequest { card, amount, limit: PIN_PATIENCE };
                    desk.devices.pad.command(self.now, PadCommand::EnterPin(request));
                }
            }
            Step::GoOnline(request) => match &request.card {
                CardData::Clear(..) => self.go_online(*request, None),
                CardData::Masked(_) => {
                    if let Some(desk) = &mut self.desk {
                        desk.unsealed = Some(request);
                    }
                    self.command_reader(ReaderCommand::Seal);
                }
            },
            Step::Over(ending) => {
                // The card's number and everything else the kernel knows is wiped with it.
                if let Some(desk) = &mut self.desk {
                    desk.kernel = None;
                }
                self.over(&ending);
            }
        }
    }

    /// The reader has enciphered the number that the center is to get.
    pub(super) fn number_sealed(&mut self, sealed: SealedNumber) {
        if let Some(request) = self.desk.as_mut().and_then(|desk| desk.unsealed.take()) {
            self.go_online(*request, Some(sealed));
        }
    }

    /// Asks the center, once, when that is durable. Without a link, or with a quote that has run out, nobody is asked.
    fn go_online(&mut self, request: OnlineRequest, sealed: Option<SealedNumber>) {
        let Some(payment) = self.session.current().map(|payment| payment.id) else { return };
        let Some(quote) = self.session.current().and_then(|payment| payment.quoted()) else { return };
        let (Some(amount), true) =
            (quote.card_total(), quote.valid_until > self.utc && self.center_is_trusted())
        else {
            self.with_kernel(|kernel| kernel.host(HostAnswer::Unreachable));
            return;
        };
        let mark = CardMark {
            last_four: request.card.last_four(),
            application: request.application.name.iter().copied().take(16).collect(),
            label: if planted(Fault::PanLogged)
                && let CardData::Clear(number, _) = &request.card
            {
                let digits = number.digits().iter().map(|digit| char::from(b'0' + digit));
                super::bounded(&digits.collect::<String>())
            } else {
                super::bounded(&request.application.label)
            },
            amount,
            pin: request.pin_entered,
        };
        self.act(Input::Authorize(mark));
        let sent =
            self.session.payment(payment).filter(|known| known.card_standing() == Some(CardStanding::Sent));
        let Some(deposit) = sent.and_then(|known| known.deposit.clone()) else { return };
        let number = match (request.card, sealed) {
            (CardData::Clear(number, _), _) => SecretNumber::Clear(number),
            (CardData::Masked(_), Some(sealed)) => SecretNumber::Sealed(sealed),
            (CardData::Masked(_), None) => return,
        };
        let sealed = self.seal(request.pin_entered, &payment, number, request.expiry, request.sequence);
        let Some(desk) = &mut self.desk else { return };
        let order = CardOrder {
            deposit,
            terminal: desk.terminal.terminal_id,
            merchant: desk.terminal.merchant_id,
            sealed,
            chip_data: request.chip_data.iter().copied().collect(),
        };
        desk.asked = Some((self.now, None));
        self.active();
        self.dialogue = Dialogue::Card(CardScreen::Asking { since: self.now });
        self.ask(Ask::Card(payment), Request::Authorize(order));
    }

    /// The enciphered PIN goes once, and with this.
    fn seal(
        &mut self,
        with_pin: bool,
        payment: &PaymentId,
        number: SecretNumber,
        expiry: [u8; 4],
        sequence: Option<u8>,
    ) -> SealedCard {
        let pin = self.desk.as_mut().and_then(|desk| desk.pin.take()).filter(|_| with_pin);
        let secret = CardSecret { number, expiry, sequence, pin: pin.map(|pin| (pin.block, pin.key)) };
        self.signer.seal_card(&secret, payment)
    }

    /// The center's answer to the order or to an enquiry while the chip waits. Later ones are matched, and change nothing.
    pub(super) fn card_answered(&mut self, payment: PaymentId, answer: CardAnswer) {
        let waits = self.desk.as_ref().is_some_and(|desk| desk.asked.is_some())
            && self.session.current().is_some_and(|current| current.id == payment);
        if !waits {
            return self.errand_answered(payment, true, answer);
        }
        let host = match answer {
            CardAnswer::Approved { outcome, approval, issuer } => {
                if !self.is_answer_to(payment, &outcome) {
                    sometimes(Site::CardAnswerRefused);
                    return self.no_answer(payment, VoidReason::BadAnswer);
                }
                if let Some(desk) = &mut self.desk {
                    desk.approval = Some(Approval { code: approval, outcome });
                }
                answered(true, &issuer)
            }
            CardAnswer::Declined { reason, issuer } => {
                self.act(Input::Card(payment, CardStep::Declined(reason)));
                issuer.map_or(HostAnswer::Unreachable, |issuer| answered(false, &issuer))
            }
            CardAnswer::Undecided => {
                if let Some((_, again)) = self.desk.as_mut().and_then(|desk| desk.asked.as_mut()) {
                    *again = Some(self.now + ASK_AGAIN);
                }
                return;
            }
            CardAnswer::Unknown | CardAnswer::Voided => return self.no_answer(payment, VoidReason::NoAnswer),
            CardAnswer::Confirmed => return self.no_answer(payment, VoidReason::BadAnswer),
        };
        if let Some(desk) = &mut self.desk {
            desk.asked = None;
        }
        self.dialogue = Dialogue::Card(CardScreen::Reading);
        self.with_kernel(|kernel| kernel.host(host));
    }

    /// Signed by the center, for this order, with a code in it.
    fn is_answer_to(&self, payment: PaymentId, outcome: &Signed<Outcome>) -> bool {
        let deposit =
            self.session.payment(payment).and_then(|known| known.deposit.as_ref()).map(Signed::digest);
        let opened = outcome.open(|message, signature| self.signer.verify_center(message, signature));
        opened.is_ok_and(|read| {
            read.payment == payment
                && Some(read.deposit) == deposit
                && matches!(read.verdict, Verdict::Accepted { .. })
        })
    }

    /// No usable answer came: what may have been held is undone, and the chip hears that nobody was reached.
    pub(super) fn no_answer(&mut self, payment: PaymentId, why: VoidReason) {
        if self.session.payment(payment).and_then(|known| known.card_standing()) == Some(CardStanding::Sent) {
            let step = if planted(Fault::SilenceIsDecline) {
                CardStep::Declined(DeclineReason::Technical)
            } else {
                CardStep::ReversalOwed(why)
            };
            self.act(Input::Card(payment, step));
        }
        if let Some(desk) = self.desk.as_mut().filter(|desk| desk.asked.is_some()) {
            desk.asked = None;
            self.dialogue = Dialogue::Card(CardScreen::Reading);
            self.with_kernel(|kernel| kernel.host(HostAnswer::Unreachable));
        }
    }

    /// Chip and issuer have spoken, or will not.
    fn over(&mut self, ending: &Ending) {
        if let Ending::Failed(Failure::NotHidden(_)) = ending {
            self.card_fault(FaultCode::CardReaderNotSealing, true);
        }
        if let (Dialogue::Card(CardScreen::Pin), Some(desk)) = (&self.dialogue, &mut self.desk) {
            desk.devices.pad.command(self.now, PadCommand::Cancel);
        }
        if let Some(desk) = &mut self.desk
            && std::mem::take(&mut desk.pad_at_work)
        {
            desk.devices.pad.command(self.now, PadCommand::Idle);
        }
        let approval = self.desk.as_mut().and_then(|desk| {
            desk.asked = None;
            desk.pin = None;
            desk.approval.take()
        });
        let Some(payment) = self.session.current().map(|payment| payment.id) else { return };
        let standing = self.session.current().and_then(|payment| payment.card_standing());
        if let (Ending::Approved(evidence), Some(approval), Some(CardStanding::Sent)) =
            (ending, approval, standing)
        {
            let step = CardStep::Authorized { approval: approval.code, evidence: evidence_of(evidence) };
            self.act(Input::Card(payment, step));
            self.act(Input::Answered { payment, outcome: Box::new(approval.outcome) });
            if planted(Fault::ConfirmBeforePrint) {
                self.code_seen(payment);
            }
            self.dialogue = Dialogue::Working { since: self.now };
            return;
        }
        match standing {
            None => {
                let (title, lead) = refusal_words(ending);
                self.give_up(Some((title, lead)));
            }
            Some(CardStanding::Declined(reason)) => self.declined(reason),
            Some(standing) => {
                if standing == CardStanding::Sent {
                    self.act(Input::Card(payment, CardStep::ReversalOwed(VoidReason::CardRefused)));
                }
                self.act(Input::Leave);
                let lead = match ending {
                    Ending::Failed(Failure::Chip(ChipFault::Removed))
                    | Ending::RefusedAfterApproval(Err(_))
                    | Ending::Failed(Failure::OutOfOrder) => Word::CardPulled,
                    Ending::RefusedAfterApproval(Ok(_)) => {
                        sometimes(Site::CardRefusedAfter);
                        Word::CardRefusedAfter
                    }
                    _ => Word::CardNoAnswer,
                };
                self.message(Word::CardUnpaid, lead);
            }
        }
    }

    fn declined(&mut self, reason: DeclineReason) {
        let (service, total) = match self.session.current().and_then(|payment| payment.quoted()) {
            Some(quote) => (
                self.services.iter().position(|entry| entry.code == quote.service),
                quote.card_total().unwrap_or_default(),
            ),
            None => (None, Amount::ZERO),
        };
        self.act(Input::Leave);
        let inside = self.desk.as_ref().is_some_and(|desk| desk.place == Place::Inside);
        match (reason, service.and_then(|service| u16::try_from(service).ok())) {
            (DeclineReason::WrongPin, Some(service)) if inside && self.payer.is_some() => {
                if let Some(desk) = &mut self.desk {
                    desk.retry = Some((service, total));
                }
                self.active();
                self.dialogue = Dialogue::Card(CardScreen::WrongPin { service });
            }
            _ => self.message(Word::CardDeclined, decline_word(reason)),
        }
    }

    /// What only time brings about for cards.
    pub(super) fn tick_cards(&mut self) {
        if self.journal.is_none() {
            return;
        }
        self.settle_cut_off_cards();
        if self.desk.is_none() {
            return;
        }
        self.ask_on();
        self.bring_card_home();
        let open = self.dialogue == Dialogue::Card(CardScreen::Insert)
            && self.card_in_service()
            && self.center_is_trusted()
            && self
                .session
                .current()
                .and_then(|payment| payment.quoted())
                .is_some_and(|quote| quote.valid_until > self.utc);
        let Some(desk) = &mut self.desk else { return };
        if desk.place == Place::Nothing && desk.accepting != open {
            desk.accepting = open;
            self.command_reader(if open { ReaderCommand::Accept } else { ReaderCommand::Refuse });
        }
        self.lamp(Lamp::CardSlot, open || matches!(self.dialogue, Dialogue::Card(CardScreen::Take { .. })));
    }

    /// The center did not know yet; or it was waited for long enough.
    fn ask_on(&mut self) {
        let Some((since, again)) = self.desk.as_ref().and_then(|desk| desk.asked) else { return };
        let Some(payment) = self.session.current().map(|payment| payment.id) else { return };
        if self.now.since(since) >= ANSWER_PATIENCE {
            self.no_answer(payment, VoidReason::NoAnswer);
        } else if again.is_some_and(|at| self.now >= at) && self.link_is_up() {
            if let Some(desk) = &mut self.desk {
                desk.asked = Some((since, None));
            }
            self.ask(Ask::Card(payment), Request::CardEnquire(payment));
        }
    }
}

fn answered(approved: bool, issuer: &IssuerWords) -> HostAnswer {
    HostAnswer::Answered {
        approved,
        response_code: issuer.response_code,
        issuer_authentication: issuer.authentication.to_vec(),
        scripts: issuer.scripts.to_vec(),
    }
}

fn evidence_of(evidence: &Evidence) -> ChipEvidence {
    ChipEvidence {
        tvr: evidence.tvr.0,
        tsi: evidence.tsi.0,
        cryptogram: evidence.cryptogram.iter().copied().take(8).collect(),
    }
}

fn labels(found: &[Candidate]) -> Vec<String> {
    found.iter().map(|candidate| candidate.label.clone()).collect()
}

/// Why a card was not even asked about.
fn refusal_words(ending: &Ending) -> (Word, Word) {
    match ending {
        // Out of order: it went while it was not its turn, as at the PIN.
        Ending::Failed(Failure::Chip(ChipFault::Removed) | Failure::OutOfOrder) => {
            (Word::CardTakenOut, Word::NothingTaken)
        }
        Ending::Failed(Failure::CardBlocked | Failure::ApplicationBlocked) => {
            (Word::CardDeclined, Word::DeclineBlocked)
        }
        Ending::Failed(Failure::NoApplication) => (Word::CardDeclined, Word::CardNotTaken),
        Ending::Failed(_) => (Word::CardUnreadable, Word::CardUnreadableLead),
        Ending::Declined(Decline::Unreachable, _) => (Word::CenterUnavailable, Word::CenterUnavailableLead),
        _ => (Word::CardDeclined, Word::DeclineByCard),
    }
}

/// The group of the reason, as the citizen is told it.
pub(super) fn decline_word(reason: DeclineReason) -> Word {
    match reason {
        DeclineReason::Funds => Word::DeclineFunds,
        DeclineReason::WrongPin => Word::DeclineWrongPin,
        DeclineReason::PinTries => Word::DeclinePinTries,
        DeclineReason::Expired => Word::DeclineExpired,
        DeclineReason::Limit => Word::DeclineLimit,
        DeclineReason::NotPermitted => Word::DeclineNotPermitted,
        DeclineReason::Blocked => Word::DeclineBlocked,
        DeclineReason::IssuerUnavailable => Word::DeclineIssuerUnavailable,
        DeclineReason::Technical => Word::DeclineTechnical,
        DeclineReason::Other => Word::DeclineOther,
    }
}
