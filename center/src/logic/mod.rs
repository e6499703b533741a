//! The rules of the center: what is answered to whom, and what must be kept before it is said.
//!
//! Pure: no clock, no randomness, no SQL, no threads. Time and random numbers come in with a [`Moment`], rows through
//! [`Store`]; the served binary and the simulated world run these very functions. Nothing here forgets money: a deposit
//! that was rightly signed ends as *accepted* or *held*, and the same deposit gets the same answer for ever.

pub mod acquirer;
pub mod approval;
pub mod card_office;
pub mod cards;
mod claims;
mod deposit;
pub mod disputes;
pub mod enrolment;
pub mod errands;
pub mod gateway;
mod hello;
pub mod ledger;
pub mod memory;
pub mod office;
pub mod operator;
pub mod presence;
mod quote;
pub mod rebuild;
mod recall;
pub mod register;
pub mod registry;
pub mod reports;
pub mod rescue;
pub mod store;
pub mod trace;
mod witness;

pub use deposit::Via;

use crate::catalogue::Catalogue;
use gateway::Gateway;
use registry::{Lookup, Registry};
use store::{Alarm, PayerTag, Result, Store};
use tolem_protocol::{
    Amount, BalanceNumber, Iin, KioskNumber, PaymentId, UtcTime,
    card::{CardSecret, SealedCard, SecretNumber},
    messages::{Limits, PayerCheck, Refusal, Request, Response, SealedIin},
    signed::Signature,
    signed_note::NoteKey,
};
use trace::Step;

/// Everything that needs a key of the center. Deterministic, so that the rules stay so.
pub trait Keys {
    /// Signs a statement: quotes, outcomes, code tokens.
    fn sign(&self, message: &[u8]) -> Signature;
    /// Whether our statement key made `signature`.
    fn verify_own(&self, message: &[u8], signature: &Signature) -> bool;
    /// Whether the Ed25519 key `public` made `signature`.
    fn verify(&self, public: &[u8; 32], message: &[u8], signature: &Signature) -> bool;
    /// Opens an IIN sealed to us and bound to `payment`; `None` if it does not open or is no IIN.
    fn open_iin(&self, sealed: &SealedIin, payment: &PaymentId) -> Option<Iin>;
    /// Opens a card sealed to us and bound to `payment`; `None` if it does not open or is no card.
    fn open_card(&self, sealed: &SealedCard, payment: &PaymentId) -> Option<CardSecret>;
    /// The keyed tag of an IIN.
    fn tag_iin(&self, iin: &Iin) -> PayerTag;
    /// Seals a card's number for keeping, bound to `payment`; one that its reader has enciphered is sealed as it is. `nonce` must never come twice.
    fn seal_number(&self, number: &SecretNumber, payment: &PaymentId, nonce: [u8; 12]) -> Vec<u8>;
    /// Opens it again; `None` if it was sealed under another key or for another payment.
    fn open_number(&self, sealed: &[u8], payment: &PaymentId) -> Option<SecretNumber>;
    /// The key that cosigns checkpoints.
    fn witness(&self) -> &NoteKey;
    /// Signs with it.
    fn sign_witness(&self, message: &[u8]) -> Signature;
}

/// Numbers the operator sets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rules {
    /// Bounds that the kiosks are told.
    pub limits: Limits,
    /// Commission in thousandths of the fee.
    pub commission_thousandths: u32,
    /// Least commission, if there is any.
    pub commission_least: Amount,
    /// How long a quote may wait for its first note, in seconds.
    pub quote_valid_s: i64,
    /// How long a balance stays reserved for a payment of which nothing is heard, in seconds.
    pub reservation_s: i64,
    /// How long a code can be redeemed, in seconds.
    pub code_valid_s: i64,
    /// Wrong numbers that one kiosk may send in a window.
    pub wrong_per_kiosk: u32,
    /// Wrong IINs that may be tried with one claim slip or voucher in a window.
    pub wrong_per_number: u32,
    /// Unknown IINs that one kiosk may ask about in a window.
    pub wrong_payers: u32,
    /// Length of that window in seconds.
    pub attempt_window_s: i64,
    /// A notice of payment that is not delivered after this many seconds raises an alarm.
    pub notice_alarm_s: i64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            limits: Limits {
                per_payment: Amount::from_tenge(200_000),
                per_day: Amount::from_tenge(500_000),
                unsettled_total: Amount::from_tenge(1_000_000),
                unsettled_count: 20,
                unsettled_age_s: 72 * 3_600,
                answer_wait_s: 20,
                print_whole_iin: false,
            },
            commission_thousandths: 0,
            commission_least: Amount::ZERO,
            quote_valid_s: 15 * 60,
            reservation_s: 24 * 3_600,
            code_valid_s: 365 * 86_400,
            wrong_per_kiosk: 30,
            wrong_per_number: 5,
            wrong_payers: 120,
            attempt_window_s: 3_600,
            notice_alarm_s: 600,
        }
    }
}

/// What becomes of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(clippy::large_enum_variant, reason = "one at a time, and most are ready")]
pub enum Answer {
    /// This is the answer.
    Ready(Response),
    /// First ask the registry about this IIN, then ask again with what it said. Nothing was kept.
    Payer(Iin),
    /// The money is taken and kept; the answer comes from [`Center::code_arrived`], now or after a restart.
    Code(PaymentId),
    /// An order by card was taken and waits for its code; what only its message held ([`Center::draft`]) is needed when that is there.
    Order(PaymentId),
}

/// What a request brings along from outside.
pub struct Moment<'a> {
    /// The center's clock.
    pub now: UtcTime,
    /// Unpredictable numbers.
    pub fresh: &'a mut dyn FnMut() -> u64,
    /// Is told the steps of use case 5.
    pub trace: &'a mut dyn FnMut(Step),
}

impl Moment<'_> {
    fn step(&mut self, number: u8, kiosk: KioskNumber, payment: Option<PaymentId>) {
        (self.trace)(Step { number, kiosk, payment });
    }
}

/// The center: its rules, keys and neighbours. All state is in the [`Store`].
pub struct Center {
    /// What can be paid.
    pub catalogue: Catalogue,
    /// Numbers the operator sets.
    pub rules: Rules,
    /// Keys.
    pub keys: Box<dyn Keys + Send>,
    /// Says whether an IIN exists.
    pub registry: Box<dyn Registry + Send>,
    /// Makes payment codes, if its register is in the same store.
    pub gateway: Box<dyn Gateway + Send>,
    /// The certificate revocation list in force, DER.
    pub crl: Vec<u8>,
    /// Where cards go; `None` without cards.
    pub acquirer: Option<cards::Acquirer>,
}

impl Center {
    /// Answers one request of `who`, whom TLS has identified, with the registry and the gateway of this process. What is
    /// answered must be durable before it is sent: the caller runs this inside [`store::Transact::transact`].
    pub fn handle(
        &self,
        store: &mut dyn Store,
        at: &mut Moment<'_>,
        who: KioskNumber,
        request: Request,
    ) -> Result<Response> {
        match self.ask(store, at, who, &request, None)? {
            Answer::Payer(iin) => {
                let lookup = self.registry.lookup(&iin);
                let answer = self.ask(store, at, who, &request, Some(&lookup))?;
                self.answer_here(store, at, answer)
            }
            answer => self.answer_here(store, at, answer),
        }
    }

    fn answer_here(&self, store: &mut dyn Store, at: &mut Moment<'_>, answer: Answer) -> Result<Response> {
        match answer {
            Answer::Ready(response) => Ok(response),
            Answer::Code(payment) => self.fetch_code(store, at, &payment),
            // The shell asks the acquirer; whoever has no shell takes no cards.
            Answer::Order(_) => Ok(Response::Refused(Refusal::Unavailable)),
            // Only without a lookup, and whoever comes here has one.
            Answer::Payer(_) => Ok(Response::Refused(Refusal::Unavailable)),
        }
    }

    /// The same without any neighbour: says who must be asked before there is an answer. `lookup` is what the registry said of the
    /// IIN in this request, if it was asked.
    pub fn ask(
        &self,
        store: &mut dyn Store,
        at: &mut Moment<'_>,
        who: KioskNumber,
        request: &Request,
        lookup: Option<&Lookup>,
    ) -> Result<Answer> {
        presence::seen(store, who, at.now)?;
        if rebuild::must_wait(request) && store.rebuilding()?.is_some() {
            return Ok(Answer::Ready(Response::Refused(Refusal::Rebuilding)));
        }
        let response = match request {
            Request::Hello(hello) => self.hello(store, at, who, hello),
            Request::Catalogue => Ok(Response::Catalogue(self.catalogue.head.clone())),
            Request::Service(index) => Ok(match self.catalogue.services.get(usize::from(*index)) {
                Some(service) => Response::Service(service.clone()),
                None => Response::Refused(Refusal::Unknown),
            }),
            Request::CheckPayer(iin) => return self.check_payer(store, at, who, iin, lookup),
            Request::Quote { payment, service, payer, method, balance } => {
                let (payment, method, balance) = (*payment, *method, *balance);
                let wanted = quote::Wanted {
                    payment,
                    service: service.clone(),
                    payer: payer.clone(),
                    method,
                    balance,
                };
                return self.quote(store, at, who, &wanted, lookup);
            }
            Request::Commit(deposit) | Request::Hold(deposit) => {
                return self.hand_in(store, at, Via::Link(who), deposit);
            }
            Request::Status(payment) => self.status(store, who, payment),
            Request::Void(payment) => self.void(store, at, who, payment),
            Request::Claim { claim, payer } => self.claim(store, at, who, *claim, payer),
            Request::Voucher { number, payer } => self.voucher(store, at, who, *number, payer),
            Request::PrintRight(payment) => self.print_right(store, who, payment),
            Request::Time => Ok(Response::Time(at.now)),
            Request::Crl { offset } => Ok(self.crl_slice(*offset)),
            Request::Checkpoint { old_size, proof, note } => {
                self.checkpoint(store, at, who, &witness::Shown { old_size: *old_size, proof, note })
            }
            Request::Recall { deposit, outcome } => self.recall(store, at, Via::Link(who), deposit, outcome),
            Request::Authorize(order) => return self.authorize(store, at, who, order),
            Request::CardConfirm(payment) => self.card_confirm(store, at, who, payment),
            Request::CardVoid { payment, why } => self.card_void(store, at, who, payment, *why),
            Request::CardEnquire(payment) => self.card_enquire(store, who, payment),
            Request::CardService => Ok(Response::CardService { clock: at.now, open: self.takes_cards() }),
            Request::SealedCardService => Ok(Response::CardService {
                clock: at.now,
                open: self.takes_cards() && self.takes_sealed_numbers(),
            }),
        };
        response.map(Answer::Ready)
    }

    fn check_payer(
        &self,
        store: &mut dyn Store,
        at: &mut Moment<'_>,
        who: KioskNumber,
        iin: &Iin,
        lookup: Option<&Lookup>,
    ) -> Result<Answer> {
        let key = format!("payers:{who}");
        if self.too_many(store, at.now, &key, self.rules.wrong_payers)? {
            return Ok(Answer::Ready(Response::Refused(Refusal::TooManyAttempts)));
        }
        let Some(lookup) = lookup else { return Ok(Answer::Payer(iin.clone())) };
        for number in 3..=5 {
            at.step(number, who, None);
        }
        let answer = match lookup {
            Lookup::Right { name } => PayerCheck::Right { name: name.clone() },
            Lookup::Wrong => {
                self.count_attempt(store, at.now, &key)?;
                PayerCheck::Wrong
            }
            Lookup::Unavailable => return Ok(Answer::Ready(Response::Payer(PayerCheck::Unavailable))),
        };
        for number in 6..=9 {
            at.step(number, who, None);
        }
        Ok(Answer::Ready(Response::Payer(answer)))
    }

    fn status(&self, store: &mut dyn Store, who: KioskNumber, payment: &PaymentId) -> Result<Response> {
        if payment.kiosk != who {
            return Ok(Response::Refused(Refusal::NotYours));
        }
        let row = store.payment(payment)?;
        Ok(match row.map(|row| (row.deposit, row.outcome)) {
            Some((Some(deposit), Some(outcome))) => Response::Answered { deposit, outcome },
            Some((None, Some(outcome))) => Response::Outcome(outcome),
            Some((_, None)) | None => Response::NoOutcome,
        })
    }

    fn crl_slice(&self, offset: u32) -> Response {
        let from = (offset as usize).min(self.crl.len());
        let slice = self.crl[from..].iter().copied().take(4_096).collect();
        Response::Crl { total: u32::try_from(self.crl.len()).unwrap_or(u32::MAX), slice }
    }

    fn alarm(
        &self,
        store: &mut dyn Store,
        at: &Moment<'_>,
        kiosk: KioskNumber,
        kind: &str,
        text: String,
        evidence: &[u8],
    ) -> Result<()> {
        let kind = kind.to_owned();
        store.raise(&Alarm {
            at: at.now,
            kiosk,
            kind,
            text,
            disputed: Amount::ZERO,
            evidence: evidence.to_vec(),
        })
    }

    /// A balance number that nobody has.
    fn free_number(&self, store: &dyn Store, at: &mut Moment<'_>) -> Result<BalanceNumber> {
        for _ in 0..64 {
            let number = BalanceNumber::from_payload((at.fresh)());
            if store.balance(number)?.is_none() {
                return Ok(number);
            }
        }
        Err(store::StoreError("no free balance number in 64 tries: the random source is broken".into()))
    }
}
