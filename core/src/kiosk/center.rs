//! The talk with the center: hello, catalogue, payer and quote, outbox, claims, print right, witness.
//!
//! The link is *up* only after the center's `Welcome`: a revoked kiosk finishes its TLS 1.3 handshake and learns it at the first
//! read. One outbox item is under way at a time; it closes on a final, signed answer only.

use super::{
    Kiosk, LinkFault, Output,
    card_service::CardService,
    dialogue::{Asked, Dialogue, NumberFor, Offer, Purpose, Serving},
    list::List,
    recall::Recall,
};
use crate::{
    health::FaultCode,
    ports::{Signer, Store},
    secret::Typed,
    session::{Input, Payment, Stage},
    time::Instant,
    words::Word,
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};
use tolem_probe::{Fault, Site, planted, sometimes};
use tolem_protocol::{
    Amount, BalanceNumber, PaymentId, UtcTime,
    card::VoidReason,
    catalogue::MAX_SERVICES,
    messages::{
        ClaimAnswer, Deposit, DepositKind, Hello, Method, Outcome, PayerCheck, PrintRight, Quote, Refusal,
        Request, Response, Verdict, Welcome,
    },
    record::Fact,
    signed::Signed,
};

/// No answer within this: the link is dead, whatever TCP says.
const ANSWER_WAIT: Duration = Duration::from_secs(20);
/// A silent link is probed this often.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// A refused outbox item rests this long.
const REFUSED_REST: Duration = Duration::from_secs(30);
/// Wrong answers of the registry to one citizen before the terminal stops asking.
const MAX_WRONG: u8 = 4;

/// How far the link is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Link {
    #[default]
    Down,
    /// Hello is said.
    Connected,
    /// Welcomed.
    Up,
}

/// What was asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Ask {
    Hello,
    Catalogue,
    Service(u16),
    Payer {
        service: u16,
    },
    Quote {
        service: u16,
        payment: PaymentId,
        balance: Option<BalanceNumber>,
        method: Method,
    },
    Outbox(PaymentId),
    Status(PaymentId),
    PrintRight,
    Claim,
    ClaimRight,
    Voucher,
    Void(PaymentId),
    Emergency,
    Checkpoint {
        size: u64,
    },
    Recall,
    List,
    Probe,
    CardService,
    /// The order of a card payment, or an enquiry while its chip waits.
    Card(PaymentId),
    /// What is owed about a card payment; `enquiry` if it is only asked how it stands.
    CardErrand {
        payment: PaymentId,
        enquiry: bool,
    },
}

struct InFlight {
    number: u32,
    ask: Ask,
    deadline: Instant,
}

/// State of the talk.
#[derive(Default)]
pub(super) struct Center {
    pub(super) link: Link,
    in_flight: VecDeque<InFlight>,
    next_request: u32,
    last_sent: Instant,
    resting: BTreeMap<PaymentId, Instant>,
    /// Quotes that were dropped while the center could not be told.
    to_void: VecDeque<PaymentId>,
    /// Number of the question whose answer the citizen waits for; later answers to older questions are nobody's.
    awaited: Option<u32>,
    /// The epoch of the center's database, once all answers it may have lost are told.
    pub(super) recalled_epoch: Option<u32>,
    /// Payments cut off by the restart whose status the center has told in this boot.
    checked: BTreeSet<PaymentId>,
    pub(super) recalls: VecDeque<Recall>,
    /// Something worth a witness happened since a cosignature was last asked for.
    unwitnessed: bool,
    /// Another payment's answer that is handed out here.
    pub(super) serving: Option<Serving>,
    /// Whether the print right of what is handed out is an original; `None` while unknown.
    pub(super) right: Option<PrintRight>,
    pub(super) pins_open: [bool; 2],
    pub(super) list: List,
    pub(super) card_service: CardService,
    /// Until when our own certificate is good; `None` until it was looked at.
    pub(super) certificate_until: Option<UtcTime>,
}

impl Center {
    /// Money steps are worth a cosignature.
    pub(super) fn note_progress(&mut self, fact: &Fact) {
        self.unwitnessed |= matches!(
            fact,
            Fact::Booted { .. }
                | Fact::NoteStacked { .. }
                | Fact::NoteInDoubt { .. }
                | Fact::CommitRequested { .. }
                | Fact::HoldRequested { .. }
                | Fact::Settled { .. }
                | Fact::Finished { .. }
                | Fact::AuthorizeSent { .. }
                | Fact::Card { .. }
        );
    }

    /// Remembers a quote that the center should forget as soon as it can be told. The oldest go first; a reservation that is never
    /// voided lapses at the center.
    fn void_later(&mut self, payment: PaymentId) {
        const MOST: usize = 32;
        self.to_void.push_back(payment);
        if self.to_void.len() > MOST {
            self.to_void.pop_front();
        }
    }

    pub(super) fn is_asking(&self, matches: impl Fn(&Ask) -> bool) -> bool {
        self.in_flight.iter().any(|flight| matches(&flight.ask))
    }
}

impl<S: Store, K: Signer> Kiosk<S, K> {
    /// True after the center's welcome.
    pub fn link_is_up(&self) -> bool {
        self.center.link == Link::Up
    }

    pub(super) fn link_connected(&mut self, shell_clock: UtcTime) {
        if self.journal.is_none() {
            // Without a journal there is nothing to say hello with; a size of 0 would look like a rolled-back disk.
            return;
        }
        self.center.link = Link::Connected;
        self.center.in_flight.clear();
        self.say_hello(shell_clock);
    }

    pub(super) fn say_hello(&mut self, shell_clock: UtcTime) {
        let (epoch, center_epoch) = self.session.epochs();
        let hello = Hello {
            software: super::bounded(&self.config.software),
            boot_nonce: self.boot_nonce,
            epoch,
            journal_size: self.journal.as_ref().map_or(0, super::Journal::size),
            clock: shell_clock,
            center_epoch,
        };
        self.ask(Ask::Hello, Request::Hello(hello));
    }

    pub(super) fn link_lost(&mut self, fault: LinkFault) {
        self.center.link = Link::Down;
        let interrupted: Vec<Ask> = self.center.in_flight.drain(..).map(|flight| flight.ask).collect();
        self.fault(FaultCode::LinkDown, true);
        self.fault(FaultCode::LinkRefused, fault == LinkFault::Refused);
        for ask in interrupted {
            self.unanswered(&ask);
        }
    }

    /// A question to which no answer will come.
    fn unanswered(&mut self, ask: &Ask) {
        match ask {
            Ask::Payer { .. } | Ask::Quote { .. } | Ask::Claim | Ask::Voucher | Ask::ClaimRight => {
                if let Ask::Quote { payment, .. } = ask {
                    // The center may have made it, and reserved a voucher for it.
                    sometimes(Site::VoidedLater);
                    self.center.void_later(*payment);
                }
                if matches!(self.dialogue, Dialogue::Asking { .. }) {
                    self.message(Word::CenterUnavailable, Word::CenterUnavailableLead);
                }
            }
            // Without the center nobody knows whether an original exists: what is printed says COPY.
            Ask::PrintRight => self.center.right = Some(PrintRight::Copy),
            Ask::Void(payment) => self.center.void_later(*payment),
            Ask::Card(payment) => self.no_answer(*payment, VoidReason::NoAnswer),
            Ask::CardService => self.card_service_unanswered(),
            Ask::CardErrand { .. }
            | Ask::Hello
            | Ask::Catalogue
            | Ask::Service(_)
            | Ask::Outbox(_)
            | Ask::Status(_)
            | Ask::Emergency
            | Ask::Checkpoint { .. }
            | Ask::Recall
            | Ask::List
            | Ask::Probe => {}
        }
    }

    pub(super) fn ask(&mut self, ask: Ask, request: Request) {
        let number = self.center.next_request;
        self.center.next_request = number.wrapping_add(1);
        self.center.last_sent = self.now;
        if is_citizens(&ask) {
            self.center.awaited = Some(number);
        }
        let wait = if matches!(ask, Ask::Card(_)) { super::card::ANSWER_PATIENCE } else { ANSWER_WAIT };
        self.center.in_flight.push_back(InFlight { number, ask, deadline: self.now + wait });
        self.outputs.push_back(Output::Send { number, request: Box::new(request) });
    }

    pub(super) fn ask_payer(&mut self, service: u16) {
        let Some(payer) = self.payer.clone() else { return };
        self.trace(3, "kiosk asks the center to check the IIN");
        self.dialogue = Dialogue::Asking { what: Asked::Payer { service }, since: self.now };
        self.ask(Ask::Payer { service }, Request::CheckPayer(payer));
    }

    pub(super) fn ask_quote(&mut self, service: u16, balance: Option<BalanceNumber>) {
        let (Some(payer), Some(entry)) = (self.payer.clone(), self.services.get(usize::from(service))) else {
            return;
        };
        let code = entry.code.clone();
        let Some(method) = self.methods(balance.is_some()) else {
            self.message(Word::CenterUnavailable, Word::CenterUnavailableLead);
            return;
        };
        let payment = self.fresh_id();
        self.next_number = payment.number + 1;
        self.dialogue = Dialogue::Asking { what: Asked::Quote { service, balance }, since: self.now };
        let request = Request::Quote { payment, service: code, payer, method, balance };
        self.ask(Ask::Quote { service, payment, balance, method }, request);
    }

    pub(super) fn ask_claim(&mut self, claim: tolem_protocol::ClaimNumber) {
        let Some(payer) = self.payer.clone() else { return };
        self.dialogue = Dialogue::Asking { what: Asked::Claim, since: self.now };
        self.ask(Ask::Claim, Request::Claim { claim, payer });
    }

    pub(super) fn ask_voucher(&mut self, number: BalanceNumber) {
        let Some(payer) = self.payer.clone() else { return };
        self.dialogue = Dialogue::Asking { what: Asked::Voucher, since: self.now };
        self.ask(Ask::Voucher, Request::Voucher { number, payer });
    }

    pub(super) fn ask_print_right(&mut self, payment: PaymentId) {
        self.center.right = None;
        if self.link_is_up() {
            self.ask(Ask::PrintRight, Request::PrintRight(payment));
        } else {
            self.center.right = Some(PrintRight::Copy);
        }
    }

    /// Nothing was stacked: the center forgets the quote and releases a reserved voucher.
    pub(super) fn void(&mut self, payment: PaymentId) {
        if self.link_is_up() {
            self.ask(Ask::Void(payment), Request::Void(payment));
        } else {
            self.center.void_later(payment);
        }
    }

    pub(super) fn answered(&mut self, number: u32, response: Response, shell_clock: UtcTime) {
        let Some(at) = self.center.in_flight.iter().position(|flight| flight.number == number) else {
            return; // the answer to a question we gave up on
        };
        let Some(flight) = self.center.in_flight.remove(at) else { return };
        let waits = matches!(self.dialogue, Dialogue::Asking { .. }) && self.center.awaited == Some(number);
        if is_citizens(&flight.ask) && !waits {
            sometimes(Site::LateAnswer);
            if let Ask::Quote { payment, .. } = flight.ask {
                self.void(payment);
            }
            return;
        }
        match (flight.ask, response) {
            (Ask::Hello, Response::Welcome(welcome)) => self.welcomed(&welcome, shell_clock),
            (Ask::Hello, Response::Refused(_)) => {
                self.fault(FaultCode::BlockedByCenter, true);
                self.outputs.push_back(Output::Reconnect);
            }
            (Ask::Catalogue, Response::Catalogue(head)) => {
                self.services.clear();
                let wanted = head.services.min(MAX_SERVICES);
                self.catalogue = Some(head);
                if wanted > 0 {
                    self.ask(Ask::Service(0), Request::Service(0));
                }
            }
            (Ask::Service(index), Response::Service(service)) => self.service_arrived(index, service),
            (Ask::Payer { service }, Response::Payer(check)) => self.payer_checked(service, check),
            (Ask::Quote { service, payment, balance, method }, Response::Quote(signed)) => {
                self.quoted(service, payment, (method, balance), signed);
                self.continue_retry();
            }
            (Ask::Card(payment), Response::Card(answer)) => self.card_answered(payment, answer),
            (Ask::CardErrand { payment, enquiry }, Response::Card(answer)) => {
                self.errand_answered(payment, enquiry, answer);
            }
            (Ask::Card(payment) | Ask::CardErrand { payment, .. }, Response::Refused(refusal)) => {
                self.card_refused(payment, refusal);
            }
            (Ask::Quote { service, balance, .. }, Response::Refused(refusal)) => {
                self.quote_refused(service, balance, refusal);
            }
            (Ask::Outbox(payment), Response::Outcome(outcome)) => self.outcome(payment, outcome),
            (Ask::Outbox(payment), Response::Refused(refusal)) => self.outbox_refused(payment, refusal),
            (Ask::Status(payment), Response::Answered { deposit, outcome }) => {
                self.status_answered(payment, Some(deposit), outcome);
            }
            (Ask::Status(payment), Response::Outcome(outcome)) => {
                self.status_answered(payment, None, outcome);
            }
            // It listens, and may know more than it says now: the payment waits for it.
            (Ask::Status(payment), Response::Refused(Refusal::Rebuilding)) => {
                self.center.resting.insert(payment, self.now + REFUSED_REST);
                if matches!(self.dialogue, Dialogue::Asking { what: Asked::Interrupted, .. }) {
                    self.message(Word::CenterRebuilding, Word::ClosedMoneyInside);
                }
            }
            (Ask::Status(payment), Response::NoOutcome | Response::Refused(_)) => {
                self.center.checked.insert(payment);
            }
            (Ask::PrintRight, Response::PrintRight(right)) => self.center.right = Some(right),
            (Ask::PrintRight, _) => self.center.right = Some(PrintRight::Copy),
            (Ask::Claim, Response::Claim(answer)) => self.claim_answered(answer),
            (Ask::ClaimRight, Response::PrintRight(right)) => {
                self.center.right = Some(right);
                self.hand_out_served();
            }
            (Ask::Voucher, Response::Balance(balance)) => {
                self.dialogue = Dialogue::Balance { balance, since: self.now };
            }
            (Ask::Voucher, Response::Refused(Refusal::Unknown)) => {
                self.number_refused(NumberFor::LookUp, Word::VoucherUnknown);
            }
            (Ask::Voucher, Response::Refused(Refusal::BalanceNotFree)) => {
                self.message(Word::NotFound, Word::VoucherNotFree);
            }
            (Ask::Claim | Ask::ClaimRight | Ask::Voucher | Ask::Payer { .. }, Response::Refused(refusal)) => {
                self.asking_refused(refusal);
            }
            (Ask::Checkpoint { size }, Response::Cosigned(line)) => {
                self.record(Fact::Cosigned { size, line });
            }
            (Ask::Checkpoint { .. }, Response::WitnessAt(size)) => {
                if self.journal.as_ref().is_some_and(|journal| size <= journal.size()) {
                    self.ask_cosignature(size);
                } else {
                    // The center has seen more of this journal than the disk shows: it was rolled back.
                    self.fault(FaultCode::BlockedByCenter, true);
                }
            }
            (Ask::Checkpoint { .. }, Response::Refused(Refusal::JournalRolledBack)) => {
                // Shown again at the next hello, not at once: the center does not change its mind by itself.
                self.fault(FaultCode::BlockedByCenter, true);
            }
            (Ask::Recall, answer) => {
                sometimes(Site::Recalled);
                self.center.recalls.pop_front();
                if !matches!(answer, Response::Recalled | Response::Card(_)) {
                    self.center.recalled_epoch = None;
                    self.fault(FaultCode::PaymentDisputed, true);
                }
                self.recall_ended();
            }
            (Ask::List, Response::Crl { total, slice }) => self.list_slice(total, &slice),
            (Ask::Probe, Response::Time(clock)) => self.clock_anchor = Some((self.now, clock)),
            (Ask::CardService, Response::CardService { clock, open }) => self.card_service_told(clock, open),
            (Ask::Void(_) | Ask::Emergency | Ask::List | Ask::Probe, _)
            | (Ask::Checkpoint { .. }, Response::Refused(_)) => {}
            (ask, _) => {
                // An answer of another kind than the question: the other side is not what we think it is.
                self.unanswered(&ask);
                self.outputs.push_back(Output::Reconnect);
            }
        }
    }

    fn welcomed(&mut self, welcome: &Welcome, shell_clock: UtcTime) {
        self.center.link = Link::Up;
        self.clock_anchor = Some((self.now, welcome.clock));
        self.utc = welcome.clock;
        let skewed =
            welcome.clock.0.saturating_sub(shell_clock.0).saturating_abs() > super::CLOCK_TOLERANCE_MS;
        self.limits = Some(welcome.limits);
        let (epoch, center_epoch) = self.session.epochs();
        if (epoch, center_epoch) != (welcome.epoch, welcome.center_epoch) {
            let another = center_epoch != 0 && center_epoch != welcome.center_epoch;
            if another {
                self.recall_answers();
            }
            // The new life counts as known only when everything it may have lost is told, whatever happens in between.
            let known = if another { center_epoch } else { welcome.center_epoch };
            self.center.recalled_epoch = Some(welcome.center_epoch);
            self.record(Fact::Linked { epoch: welcome.epoch, center_epoch: known });
            self.recall_ended();
        }
        self.fault(FaultCode::ClockWrong, skewed);
        self.fault(FaultCode::LinkDown, false);
        self.fault(FaultCode::LinkRefused, false);
        self.fault(FaultCode::BlockedByCenter, false);
        self.center.resting.clear();
        for payment in std::mem::take(&mut self.center.to_void) {
            self.void(payment);
        }
        self.center.unwitnessed = true;
        self.ask_card_service();
        // Another version, newer or older: what the center quotes by is what is sold. A restored center may have the older one, and
        // against a newer one every quote would be refused.
        let loaded = self.catalogue.as_ref().is_some_and(|head| {
            head.version == welcome.catalogue && self.services.len() == usize::from(head.services)
        });
        if loaded {
            self.fault(FaultCode::StartingUp, false);
        } else {
            self.ask(Ask::Catalogue, Request::Catalogue);
        }
    }

    fn service_arrived(&mut self, index: u16, service: tolem_protocol::catalogue::Service) {
        if usize::from(index) != self.services.len() {
            return;
        }
        self.services.push(service);
        let wanted = self.catalogue.as_ref().map_or(0, |head| head.services.min(MAX_SERVICES));
        if index + 1 < wanted {
            self.ask(Ask::Service(index + 1), Request::Service(index + 1));
        } else {
            self.fault(FaultCode::StartingUp, false);
        }
    }

    fn payer_checked(&mut self, service: u16, check: PayerCheck) {
        let Dialogue::Asking { what: Asked::Payer { .. }, .. } = self.dialogue else { return };
        match check {
            PayerCheck::Right { name } => {
                self.trace(9, "center says: IIN is right");
                self.payer_name = name.as_str().into();
                self.ask_quote(service, None);
            }
            PayerCheck::Wrong => {
                self.trace(9, "center says: IIN is wrong, entry is repeated");
                self.payer = None;
                self.wrong_payers += 1;
                if self.wrong_payers >= MAX_WRONG {
                    self.message(Word::RegistryWrong, Word::RegistryTooOften);
                } else {
                    self.dialogue = Dialogue::Iin {
                        digits: Typed::default(),
                        error: Some(Word::RegistryWrong),
                        purpose: Purpose::Pay { service },
                    };
                }
            }
            PayerCheck::Unavailable => {
                self.message(Word::RegistryUnavailable, Word::RegistryUnavailableLead);
            }
        }
    }

    fn quoted(&mut self, service: u16, payment: PaymentId, asked: Asking, signed: Signed<Quote>) {
        let Dialogue::Asking { what: Asked::Quote { .. }, .. } = self.dialogue else {
            self.void(payment);
            return;
        };
        match self.checked_quote(service, payment, asked, &signed) {
            Some(quote) => {
                self.payer_name = quote.payer.as_str().into();
                self.dialogue = Dialogue::Quoted(Box::new(Offer { service, signed, quote }));
            }
            None => {
                sometimes(Site::QuoteRefused);
                self.void(payment);
                self.message(Word::PaymentRefused, Word::QuoteDiffers);
            }
        }
    }

    /// What is shown is what was signed, and what was signed is what the catalogue says: else there is no payment.
    fn checked_quote(
        &self,
        service: u16,
        payment: PaymentId,
        (method, balance): Asking,
        signed: &Signed<Quote>,
    ) -> Option<Quote> {
        let quote = signed.open(|message, signature| self.signer.verify_center(message, signature)).ok()?;
        let entry = self.services.get(usize::from(service))?;
        let mrp = self.catalogue.as_ref()?.mrp_on(self.utc.date()).unwrap_or(Amount::ZERO);
        let total = quote.fee.checked_add(quote.commission)?;
        let fits = quote.payment == payment
            && quote.service == entry.code
            && quote.service_digest == entry.digest()
            && quote.method.is_within(method)
            && quote.balance.map(|(number, _)| number) == balance
            && entry.price.amount(mrp) == Some(quote.fee)
            && quote.cash_total == total.rounded_for_cash()
            && quote.valid_until > self.utc;
        (fits || planted(Fault::QuoteNotCompared)).then_some(quote)
    }

    fn quote_refused(&mut self, service: u16, balance: Option<BalanceNumber>, refusal: Refusal) {
        match (refusal, balance) {
            (Refusal::BalanceNotFree | Refusal::Unknown, Some(_)) => {
                self.number_refused(NumberFor::Pay { service }, Word::VoucherNotFree);
            }
            (Refusal::Limit, _) => self.message(Word::LimitReached, Word::LimitReachedLead),
            (refusal, _) => self.asking_refused(refusal),
        }
    }

    fn asking_refused(&mut self, refusal: Refusal) {
        match refusal {
            Refusal::TooManyAttempts => self.message(Word::NotFound, Word::TooManyAttempts),
            Refusal::Limit => self.message(Word::LimitReached, Word::LimitReachedLead),
            Refusal::JournalRolledBack => {
                self.fault(FaultCode::BlockedByCenter, true);
                self.reset_dialogue();
            }
            Refusal::Rebuilding => self.message(Word::CenterRebuilding, Word::CenterRebuildingLead),
            Refusal::IdConflict
            | Refusal::NotYours
            | Refusal::Unknown
            | Refusal::BalanceNotFree
            | Refusal::Unavailable
            | Refusal::Malformed => self.message(Word::CenterUnavailable, Word::CenterUnavailableLead),
        }
    }

    fn number_refused(&mut self, then: NumberFor, error: Word) {
        self.dialogue = Dialogue::Number { digits: Typed::default(), error: Some(error), then };
    }

    /// A final answer closes the outbox item, if the center signed it for exactly this deposit.
    fn outcome(&mut self, payment: PaymentId, outcome: Signed<Outcome>) {
        let opened = outcome.open(|message, signature| self.signer.verify_center(message, signature));
        let deposit =
            self.session.payment(payment).and_then(|known| known.deposit.as_ref()).map(Signed::digest);
        match opened {
            Ok(read) if planted(Fault::PrintBeforeRecord) && self.is_new_on_screen(payment) => {
                self.center.resting.insert(payment, self.now + REFUSED_REST);
                self.center.serving = Some(Serving { outcome: read, quote: None });
                self.begin_handing();
            }
            Ok(read)
                if read.payment == payment && Some(read.deposit) == deposit
                    || planted(Fault::StaleAnswerTaken) =>
            {
                self.act(Input::Answered { payment, outcome: Box::new(outcome) });
                self.stray_settled(&read);
            }
            _ => {
                sometimes(Site::AnswerRefused);
                self.outbox_refused(payment, Refusal::NotYours);
            }
        }
    }

    fn outbox_refused(&mut self, payment: PaymentId, refusal: Refusal) {
        sometimes(Site::RefusedRests);
        let rest = if planted(Fault::RefusalIsFinal) { Duration::from_secs(1 << 40) } else { REFUSED_REST };
        self.center.resting.insert(payment, self.now + rest);
        match refusal {
            // Somebody else (an imported slip, an emergency hold) told the center of this money first: its answer may cover all.
            Refusal::IdConflict if self.link_is_up() => {
                self.ask(Ask::Status(payment), Request::Status(payment));
            }
            Refusal::IdConflict | Refusal::NotYours | Refusal::Malformed | Refusal::Unknown => {
                self.fault(FaultCode::PaymentDisputed, true);
            }
            Refusal::JournalRolledBack => self.fault(FaultCode::BlockedByCenter, true),
            Refusal::Limit
            | Refusal::BalanceNotFree
            | Refusal::TooManyAttempts
            | Refusal::Unavailable
            | Refusal::Rebuilding => {}
        }
    }

    fn claim_answered(&mut self, answer: ClaimAnswer) {
        if !matches!(self.dialogue, Dialogue::Asking { what: Asked::Claim, .. }) {
            return;
        }
        match answer {
            ClaimAnswer::NotArrived => self.message(Word::ClaimNotArrived, Word::ClaimNotArrivedLead),
            ClaimAnswer::NoMatch => self.message(Word::NotFound, Word::NoMatch),
            ClaimAnswer::Settled { outcome, quote } => {
                let open = |signed: &Signed<Outcome>| {
                    signed.open(|message, signature| self.signer.verify_center(message, signature)).ok()
                };
                let quote = quote.and_then(|signed| {
                    signed.open(|message, signature| self.signer.verify_center(message, signature)).ok()
                });
                match open(&outcome) {
                    Some(outcome) => {
                        sometimes(Site::ClaimServed);
                        let payment = outcome.payment;
                        let held = matches!(outcome.verdict, Verdict::Held(_));
                        self.center.serving = Some(Serving { outcome, quote });
                        self.center.right = held.then_some(PrintRight::Original);
                        if held {
                            self.hand_out_served();
                        } else {
                            self.ask(Ask::ClaimRight, Request::PrintRight(payment));
                        }
                    }
                    None => self.message(Word::CenterUnavailable, Word::CenterUnavailableLead),
                }
            }
        }
    }

    /// Sends what waits: signed answers for a restored center, then the outbox, then the witness, then a probe.
    pub(super) fn pump(&mut self) {
        self.expire();
        // A journal that failed in this very moment may hold one record more than is known here: nothing is shown of it. And one question
        // after the other: while the issuer is asked, nothing else is.
        let busy = self.dying.is_some() || self.center.is_asking(|ask| matches!(ask, Ask::Card(_)));
        if !self.link_is_up() || self.journal.is_none() || busy {
            return;
        }
        if let Some(recall) = self.center.recalls.front().cloned() {
            if !self.center.is_asking(|ask| *ask == Ask::Recall) {
                self.ask(Ask::Recall, recall.request());
            }
            return;
        }
        if !self.center.is_asking(|ask| matches!(ask, Ask::Outbox(_)))
            && let Some((payment, deposit)) = self.next_to_send()
        {
            let deposit = if planted(Fault::RetryWithNewId) { self.renamed(&deposit) } else { deposit };
            let pays = deposit.read_unverified().is_some_and(|deposit| deposit.kind == DepositKind::Pay);
            if pays {
                self.trace(12, "kiosk asks the center to commit the payment");
            }
            self.ask(
                Ask::Outbox(payment),
                if pays { Request::Commit(deposit) } else { Request::Hold(deposit) },
            );
        }
        self.pump_cards();
        self.ask_status();
        if self.center.unwitnessed && !self.center.is_asking(|ask| matches!(ask, Ask::Checkpoint { .. })) {
            self.ask_cosignature(self.session.cosigned());
        }
        self.ask_list();
        if self.center.in_flight.is_empty() && self.now.since(self.center.last_sent) >= KEEP_ALIVE {
            self.probe();
        }
    }

    fn has_rested(&self, payment: &Payment) -> bool {
        self.center.resting.get(&payment.id).is_none_or(|until| self.now >= *until)
    }

    fn next_to_send(&self) -> Option<(PaymentId, Signed<Deposit>)> {
        let due = |payment: &&Payment| payment.is_unsettled() && self.has_rested(payment);
        let waiting = || self.session.payments().iter().filter(due);
        let current = self.session.current().map(|payment| payment.id);
        let next = waiting().find(|payment| Some(payment.id) == current).or_else(|| waiting().next())?;
        Some((next.id, next.deposit.clone()?))
    }

    /// Only a planted fault sends a deposit like this: each try under an id of its own.
    fn renamed(&self, deposit: &Signed<Deposit>) -> Signed<Deposit> {
        let Some(mut other) = deposit.read_unverified() else { return deposit.clone() };
        other.payment.number += u64::from(self.center.next_request);
        Signed::new(&other, |message| self.signer.sign(message))
    }

    /// Only a planted fault asks: the payment on the screen waits for its answer and nothing is handed out.
    fn is_new_on_screen(&self, payment: PaymentId) -> bool {
        self.center.serving.is_none()
            && self.awaits_outcome()
            && self.session.current().is_some_and(|current| current.id == payment)
    }

    fn ask_cosignature(&mut self, old_size: u64) {
        let Some(journal) = &self.journal else { return };
        let (Ok(Some(note)), Ok(proof)) = (journal.checkpoint(), journal.consistency_proof(old_size)) else {
            return;
        };
        let (Ok(note), Ok(proof)) =
            (heapless::String::try_from(note.as_str()), heapless::Vec::from_slice(&proof))
        else {
            return;
        };
        let size = journal.size();
        // Now, not with the answer: what is recorded in between is worth a question of its own.
        self.center.unwitnessed = false;
        self.ask(Ask::Checkpoint { size }, Request::Checkpoint { old_size, proof, note });
    }

    /// A question without an answer in time means that the link is dead.
    fn expire(&mut self) {
        if self.center.in_flight.iter().any(|flight| self.now >= flight.deadline) {
            sometimes(Site::AnswerOverdue);
            self.link_lost(LinkFault::Timeout);
            self.outputs.push_back(Output::Reconnect);
        }
    }

    /// The last word about an open payment whose journal failed.
    pub(super) fn send_emergency(&mut self, deposit: Signed<Deposit>) {
        if self.link_is_up() {
            sometimes(Site::EmergencyTold);
            let pays = deposit.read_unverified().is_some_and(|deposit| deposit.kind == DepositKind::Pay);
            self.ask(Ask::Emergency, if pays { Request::Commit(deposit) } else { Request::Hold(deposit) });
        }
    }

    /// Whether the center has said in this boot what it knows of a payment that a restart cut off. Before a failing journal the
    /// last boot may have told it more than the disk kept.
    pub(super) fn is_status_known(&self, payment: PaymentId) -> bool {
        self.center.checked.contains(&payment)
    }

    /// Asked only when every ordered note has found its end, so that the answer meets the whole sum.
    fn ask_status(&mut self) {
        if self.session.order().is_some() {
            return;
        }
        let unknown = self
            .session
            .cut_off()
            .find(|payment| {
                payment.stage() == Stage::Collecting
                    && !self.is_status_known(payment.id)
                    && self.has_rested(payment)
            })
            .map(|payment| payment.id);
        if let Some(payment) = unknown
            && !self.center.is_asking(|ask| matches!(ask, Ask::Status(_)))
        {
            self.ask(Ask::Status(payment), Request::Status(payment));
        }
    }

    /// The center told how a payment ended. The deposit it answered may be in no journal, because it was made when ours had failed:
    /// it is kept beside the answer, so that a restored center can be told both.
    fn status_answered(
        &mut self,
        payment: PaymentId,
        deposit: Option<Signed<Deposit>>,
        outcome: Signed<Outcome>,
    ) {
        self.center.checked.insert(payment);
        let read = outcome.open(|message, signature| self.signer.verify_center(message, signature));
        let fits = |read: &Outcome| {
            read.payment == payment && deposit.as_ref().is_none_or(|deposit| deposit.digest() == read.deposit)
        };
        match read {
            Ok(read) if fits(&read) && self.covers(payment, &read) => {
                sometimes(Site::EndLearnedByStatus);
                let known = self.session.payment(payment).and_then(|known| known.deposit.as_ref());
                if let Some(deposit) = deposit.filter(|deposit| Some(deposit) != known) {
                    sometimes(Site::AccountLearned);
                    self.record(Fact::AccountLearned { deposit });
                }
                self.act(Input::Answered { payment, outcome: Box::new(outcome) });
            }
            _ => self.fault(FaultCode::PaymentDisputed, true),
        }
    }

    /// Whether the center's answer accounts for every note of the payment. A note that an emergency hold could not know of (it was
    /// moving when the journal failed) first gets an account of its own; after that the answer covers the rest.
    fn covers(&mut self, payment: PaymentId, outcome: &Outcome) -> bool {
        let Some(known) = self.session.payment(payment) else { return false };
        let covered = match &outcome.verdict {
            Verdict::Held(balance) => balance.amount,
            Verdict::Accepted { remainder, .. } => {
                let left = remainder.map_or(Amount::ZERO, |balance| balance.amount);
                known.due().checked_add(left).unwrap_or(Amount::MAX)
            }
        };
        if planted(Fault::SurplusForgotten) {
            return true;
        }
        let mut surplus = known.inserted().saturating_sub(covered);
        if known.stage() == Stage::Collecting {
            let mut notes: Vec<_> = known.notes.iter().map(|(denomination, _)| denomination).collect();
            notes.sort_unstable();
            while let Some(denomination) = notes.iter().rev().find(|note| note.amount() <= surplus).copied() {
                sometimes(Site::SurplusMoved);
                let to = self.fresh_id();
                self.record(Fact::NoteMoved { from: payment, to, denomination });
                let left = self.session.payment(payment).map_or(Amount::ZERO, Payment::inserted);
                let smaller = left.saturating_sub(covered);
                if smaller >= surplus {
                    break;
                }
                surplus = smaller;
            }
        }
        surplus.is_zero()
    }

    /// True while the payment on the screen waits for the center.
    pub(super) fn awaits_outcome(&self) -> bool {
        self.session.current().is_some_and(|payment| payment.stage() == Stage::Requested)
    }
}

/// How a quote is to be paid, and with which voucher.
type Asking = (Method, Option<BalanceNumber>);

/// Questions whose answer a citizen waits for on the screen.
fn is_citizens(ask: &Ask) -> bool {
    matches!(ask, Ask::Payer { .. } | Ask::Quote { .. } | Ask::Claim | Ask::ClaimRight | Ask::Voucher)
}
