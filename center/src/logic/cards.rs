//! Card payments: between the kiosk's order, the gateway that makes the code, and the acquirer that holds the money.
//!
//! The order of things is law (docs/money.md): the code is made, the money is held, the kiosk has the code in the citizen's hands and says
//! so, then the money is taken and the gateway hears that it is paid. Undoing goes the other way round: the code is void first, and when the
//! gateway has acknowledged that, the money is given back.
//!
//! ```text
//!  order ──▶ waiting for its code ──▶ Sent ──▶ Approved ──CardConfirm──▶ Confirming ─▶ Confirmed    notice: paid
//!     │ nobody to ask    │ void, or no code    │ no       │ CardVoid, silence
//!     └▶ declined        └▶ code void          └▶ code void └▶ code void ─taken─▶ Reversing ─▶ Reversed
//! ```
//! Number, PIN and chip data of an order are in the shell's memory until they are sent; a center that dies before that has asked nobody, and
//! what it finds afterwards is a code to make void.

use crate::logic::{
    Answer, Center, Moment,
    acquirer::{self, Ask, Begun, CardRow, Heard, Standing, Why},
    card_office::is_ended,
    deposit::{Via, token_of},
    errands::{Made, NoticeKind, Reply, WaitingRow},
    ledger::{Account, Posting, Split},
    rebuild,
    register::{AdoptedRow, transaction_number},
    store::{PaymentRow, PaymentState, Result, Store},
};
use tolem_probe::{Fault, planted};
use tolem_protocol::{
    Amount, Bin, KioskNumber, PaymentCode, PaymentId, UtcTime,
    card::{CardAnswer, CardOrder, CardSecret, DeclineReason, IssuerWords, PinKey, SecretNumber, VoidReason},
    emv::{tags, tlv},
    iso8583::{FieldError, Message, MessageType, de},
    messages::{CodeToken, Deposit, DepositKind, Method, Quote, Refusal, Response, Verdict},
    signed::Signed,
};
use zeroize::Zeroizing;

/// Messages that are handed out at once.
const AT_ONCE: u32 = 16;
/// An approval of which nobody has said for so long what becomes of it is alarmed, in seconds: below the shortest time that issuers hold
/// money for.
const UNDECIDED_S: i64 = 3_600;
/// A citizen stands there: a code that is not made in so many seconds is not waited for.
const CODE_WAIT_S: i64 = 20;
/// A quote that has just run out while the citizen entered the PIN is good for so many seconds more.
const QUOTE_GRACE_S: i64 = 600;
/// An order whose number nobody here has may be at another process of this center for so long, in seconds.
const ELSEWHERE_S: i64 = 60;
/// An acquirer that is away for so long is alarmed, in seconds.
const LINE_LOST_S: u32 = 300;
/// What was to be said to the acquirer so often, and could not be, is alarmed: some five minutes.
const TRIES_UNSAID: u32 = 6;
/// A gateway that refuses to void a code for so long holds nobody's money any more, in seconds.
const NEVER_VOID_S: i64 = 86_400;
/// A reversal waits for the gateway's acknowledgement, however long that takes: a hundred years, in seconds.
const UNTIL_VOID_S: i64 = 100 * 366 * 86_400;

/// The acquirer of this center, as its messages name it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Acquirer {
    /// Its number, field 32.
    pub number: String,
    /// Signed on: payments may be asked for.
    pub is_open: bool,
    /// Numbers that readers have enciphered can be opened, by our security module or by the acquirer's.
    pub takes_sealed: bool,
}

/// Watches the line to the acquirer: tells once that it is away for long.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LineWatch {
    down_s: u32,
}

impl LineWatch {
    /// A second is over. True in the one in which the line has been down for too long.
    pub fn tick(&mut self, is_open: bool) -> bool {
        self.down_s = if is_open { 0 } else { self.down_s.saturating_add(1) };
        self.down_s == LINE_LOST_S
    }
}

/// What an order holds that is never written down. Wiped when dropped.
pub struct Draft {
    terminal: [u8; 8],
    merchant: [u8; 15],
    secret: CardSecret,
    chip_data: Zeroizing<Vec<u8>>,
}

/// What follows from a code that was made, or not, for a card payment.
#[allow(clippy::large_enum_variant, reason = "one at a time, and most are large")]
pub enum Next {
    /// Say this to the acquirer, once; its answer is heard under this payment.
    Ask(Message),
    /// Whoever waits is told this.
    Answer(Response),
    /// The gateway is asked again.
    Wait,
}

/// What the acquirer's words led to.
#[allow(clippy::large_enum_variant, reason = "one at a time, and most are large")]
pub enum Said {
    /// A payment is decided; whoever waits is told this.
    Decided(PaymentId, Response),
    /// Something else was heard.
    Other(Heard),
}

/// What a card pays for this quote, if it was paid by card: no cash came in.
pub(super) fn by_card(quote: &Quote, inserted: Amount) -> Option<Amount> {
    quote.card_total().filter(|_| inserted.is_zero())
}

fn card(answer: CardAnswer) -> Response {
    Response::Card(answer)
}

fn declined(reason: DeclineReason) -> Response {
    card(CardAnswer::Declined { reason, issuer: None })
}

impl Center {
    /// Whether cards are taken now.
    pub(super) fn takes_cards(&self) -> bool {
        self.acquirer.as_ref().is_some_and(|acquirer| acquirer.is_open)
    }

    /// Whether somebody can open a number that a reader has enciphered.
    pub(super) fn takes_sealed_numbers(&self) -> bool {
        self.acquirer.as_ref().is_some_and(|acquirer| acquirer.takes_sealed)
    }

    /// The acquirer is away for long: no terminal takes cards, and what is owed to it waits.
    pub fn acquirer_lost(&self, store: &mut dyn Store, at: &Moment<'_>) -> Result<()> {
        let Some(first) = store.kiosks()?.first().map(|row| row.kiosk) else { return Ok(()) };
        let text = format!(
            "the acquirer is not signed on for {} minutes: no terminal takes cards, confirmations and reversals wait",
            LINE_LOST_S / 60
        );
        self.alarm(store, at, first, "acquirer-lost", text, &[])
    }

    /// Takes an order, once.
    pub(super) fn authorize(
        &self,
        store: &mut dyn Store,
        at: &mut Moment<'_>,
        who: KioskNumber,
        order: &CardOrder,
    ) -> Result<Answer> {
        let ready = |response| Ok(Answer::Ready(response));
        let deposit = match self.opened(store, Via::Link(who), &order.deposit)? {
            Ok(deposit) => deposit,
            Err(refusal) => return ready(Response::Refused(refusal)),
        };
        let payment = deposit.payment;
        let again = store.card(&payment)?.is_some_and(|row| row.standing == Standing::Approved)
            && planted(Fault::RetryAuthorizeWithNewId);
        if let Some(answer) = self.card_standing(store, &payment)?
            && !again
        {
            return ready(answer);
        }
        let known = store.payment(&payment)?;
        let claimed = self.claimed(&deposit, known.as_ref(), Amount::ZERO);
        let to_pay = deposit.kind == DepositKind::Pay && deposit.notes.count() == 0;
        let (Some(known), Some(quote), Some(_)) = (&known, &claimed.quote, &claimed.payer) else {
            return ready(Response::Refused(Refusal::NotYours));
        };
        let total = quote.card_total().filter(|_| to_pay && known.payer == claimed.owner);
        let Some(total) = total else { return ready(Response::Refused(Refusal::Malformed)) };
        at.step(12, who, Some(payment));
        let in_time = at.now <= quote.valid_until.plus_seconds(QUOTE_GRACE_S);
        let reason = match (self.draft(order), self.takes_cards()) {
            (None, _) => {
                let text = format!("the order of card payment {payment} cannot be read");
                self.alarm(store, at, who, "suspect-card", text, &[])?;
                Some(DeclineReason::Technical)
            }
            (Some(_), false) => Some(DeclineReason::IssuerUnavailable),
            (Some(draft), true)
                if matches!(draft.secret.number, SecretNumber::Sealed(_)) && !self.takes_sealed_numbers() =>
            {
                Some(DeclineReason::Technical)
            }
            (Some(_), true) if !in_time || Message::new(MessageType::ADVICE).set_amount(total).is_err() => {
                Some(DeclineReason::Technical)
            }
            (Some(_), true) => None,
        };
        let mut row = PaymentRow { deposit: Some(order.deposit.clone()), ..known.clone() };
        if let Some(reason) = reason {
            // Nobody was asked, and nobody will be: the id is used up.
            row.state = PaymentState::Voided;
            store.put_payment(&row)?;
            return ready(declined(reason));
        }
        store.put_payment(&row)?;
        let (since, next, deposit) = (at.now, at.now, order.deposit.clone());
        store.put_waiting(&WaitingRow { payment, deposit, since, tries: 0, next })?;
        Ok(Answer::Order(payment))
    }

    /// What is only in memory of an order; `None` if it does not open, or is not what an acquirer can be asked.
    pub fn draft(&self, order: &CardOrder) -> Option<Draft> {
        let payment = order.deposit.read_unverified()?.payment;
        let secret = self.keys.open_card(&order.sealed, &payment)?;
        let (terminal, merchant) = (order.terminal, order.merchant);
        let chip_data = Zeroizing::new(order.chip_data.to_vec());
        let draft = Draft { terminal, merchant, secret, chip_data };
        // Everything that a kiosk gave fits its field, or nothing is asked at all.
        let fits = draft.message().and_then(|mut message| message.set(de::TERMINAL, &draft.terminal));
        let kept_secret = tlv::find(&draft.chip_data, tags::PAN).ok()?.is_none()
            && tlv::find(&draft.chip_data, tags::TRACK2).ok()?.is_none();
        (fits.is_ok() && kept_secret).then_some(draft)
    }

    /// How an order stands that was heard before; `None` if it was not.
    fn card_standing(&self, store: &dyn Store, payment: &PaymentId) -> Result<Option<Response>> {
        let known = store.payment(payment)?;
        let booked = known.as_ref().is_some_and(|row| row.outcome.is_some());
        if booked {
            let deposit = known.and_then(|row| row.deposit).and_then(|deposit| deposit.read_unverified());
            return Ok(Some(if deposit.is_some_and(|deposit| is_card(&deposit)) {
                // Also if it was recalled after a restore that forgot or undid its request: its code is out (alarm `card-recalled` or `card-loss`).
                card(CardAnswer::Confirmed)
            } else {
                // Paid with cash.
                Response::Refused(Refusal::IdConflict)
            }));
        }
        if let Some(row) = store.card(payment)? {
            return Ok(Some(card(answer_of(&row))));
        }
        let voided = known.is_some_and(|row| row.state == PaymentState::Voided);
        Ok(if voided {
            Some(card(CardAnswer::Voided))
        } else if self.waits_for_card(store, payment)? {
            Some(card(CardAnswer::Undecided))
        } else {
            None
        })
    }

    /// Whether the code that this payment waits for is one for a card.
    pub fn waits_for_card(&self, store: &dyn Store, payment: &PaymentId) -> Result<bool> {
        let deposit = store.waiting(payment)?.and_then(|row| row.deposit.read_unverified());
        Ok(deposit.is_some_and(|deposit| is_card(&deposit)))
    }

    /// The gateway in this process, asked for the code of a card payment.
    pub fn card_code_here(
        &self,
        store: &mut dyn Store,
        at: &mut Moment<'_>,
        payment: &PaymentId,
    ) -> Result<Reply<Made>> {
        Ok(match self.order(store, at.now, payment)? {
            Some(order) => match self.gateway.issue(store, at.now, at.fresh, &order)? {
                Some(code) => Reply::Done(Made { code, valid_until: order.valid_until, is_paid: false }),
                None => Reply::Silent("no answer".into()),
            },
            None => Reply::Silent("nothing is waiting".into()),
        })
    }

    /// What the gateway replied for a card payment. `draft` is what the order held; without it nobody can be asked any more.
    pub fn card_code(
        &self,
        store: &mut dyn Store,
        at: &mut Moment<'_>,
        payment: &PaymentId,
        reply: &Reply<Made>,
        draft: Option<&Draft>,
    ) -> Result<Next> {
        let Some(mut waiting) = store.waiting(payment)? else {
            return Ok(self.card_standing(store, payment)?.map_or(Next::Wait, Next::Answer));
        };
        let (Some(mut known), Some(deposit)) = (store.payment(payment)?, waiting.deposit.read_unverified())
        else {
            return Ok(Next::Wait);
        };
        let alive = known.state == PaymentState::Quoted;
        if alive && draft.is_none() && at.now < waiting.since.plus_seconds(ELSEWHERE_S) {
            // Another process may have it and ask; a center that died before it asked has forgotten it.
            waiting.tries = waiting.tries.saturating_add(1);
            waiting.next = at.now.plus_seconds(super::errands::pause(waiting.tries));
            store.put_waiting(&waiting)?;
            return Ok(Next::Wait);
        }
        match reply {
            Reply::Silent(why) => {
                waiting.tries = waiting.tries.saturating_add(1);
                waiting.next = at.now.plus_seconds(super::errands::pause(waiting.tries));
                store.put_waiting(&waiting)?;
                let text = format!("the gateway makes no code for card payment {payment}: {why}");
                self.alarm_when_late(store, at, waiting.since, ("code-overdue", *payment, text))?;
                if alive && (draft.is_none() || waiting.since.plus_seconds(CODE_WAIT_S) < at.now) {
                    // The code is asked for all the same, because it may be there: to make it void.
                    self.order_ends(store, at, waiting.since, known)?;
                    return Ok(Next::Answer(declined(DeclineReason::Technical)));
                }
                Ok(if alive { Next::Wait } else { Next::Answer(card(CardAnswer::Voided)) })
            }
            Reply::Refused(why) => {
                let text = format!("the gateway refuses a code for card payment {payment}: {why}");
                self.alarm(store, at, payment.kiosk, "code-refused", text, &[])?;
                store.end_waiting(payment)?;
                self.order_ends(store, at, waiting.since, known)?;
                Ok(Next::Answer(declined(DeclineReason::Technical)))
            }
            Reply::Done(made) if made.is_paid => {
                // Confirmed in a life that is forgotten. To ask the issuer now would take the money twice.
                let text = format!(
                    "the gateway has card payment {payment} as paid, which this center has forgotten: compare it with the acquirer's register"
                );
                self.alarm_once(store, at, ("card-recalled", *payment, text))?;
                store.end_waiting(payment)?;
                known.state = PaymentState::Voided;
                store.put_payment(&known)?;
                Ok(Next::Answer(declined(DeclineReason::Technical)))
            }
            Reply::Done(made) => {
                store.end_waiting(payment)?;
                let claimed = self.claimed(&deposit, Some(&known), Amount::ZERO);
                let ask = match (&claimed.quote, draft) {
                    (Some(quote), Some(draft)) if alive && self.takes_cards() => {
                        self.ask_issuer(store, at, (&waiting.deposit, quote), made, &known, draft)?
                    }
                    _ => None,
                };
                if let Some(message) = ask {
                    return Ok(Next::Ask(message));
                }
                self.owe_notice(store, at.now, NoticeKind::Void, *payment, made.code)?;
                self.order_ends(store, at, waiting.since, known)?;
                let reason = DeclineReason::IssuerUnavailable;
                Ok(Next::Answer(if alive { declined(reason) } else { card(CardAnswer::Voided) }))
            }
        }
    }

    /// An order comes to nothing before the issuer was asked, as far as these books know: after a restore, what waited in the backup may have had its
    /// code and the issuer's yes in the lost life, so a person asks the acquirer.
    fn order_ends(
        &self,
        store: &mut dyn Store,
        at: &Moment<'_>,
        since: UtcTime,
        known: PaymentRow,
    ) -> Result<()> {
        let payment = known.payment;
        if known.state == PaymentState::Quoted && rebuild::may_have_forgotten(store, since)? {
            let text = format!(
                "card payment {payment} waited for its code when the backup was made, and comes to nothing: ask the acquirer whether money is \
                 held for it"
            );
            self.alarm_once(store, at, ("card-recalled", payment, text))?;
        }
        store.put_payment(&PaymentRow { state: PaymentState::Voided, ..known })
    }

    /// Writes down that the issuer is asked, and what the citizen gets if it says yes. Gives the one request.
    fn ask_issuer(
        &self,
        store: &mut dyn Store,
        at: &mut Moment<'_>,
        (deposit, quote): (&Signed<Deposit>, &Quote),
        made: &Made,
        known: &PaymentRow,
        draft: &Draft,
    ) -> Result<Option<Message>> {
        let (payment, Some(amount)) = (quote.payment, quote.card_total()) else { return Ok(None) };
        let token = CodeToken {
            code: made.code,
            payment,
            service: quote.service.clone(),
            fee: quote.fee,
            payer_tail: known.payer_tail,
            paid_at: at.now,
            valid_until: made.valid_until,
        };
        let token = Signed::new(&token, |message| self.keys.sign(message));
        let verdict = Verdict::Accepted { token, remainder: None };
        let outcome = self.outcome(store, at, payment, deposit.digest(), verdict)?;
        let mut nonce = [0; 12];
        nonce[..8].copy_from_slice(&(at.fresh)().to_le_bytes());
        nonce[8..].copy_from_slice(&(at.fresh)().to_le_bytes()[..4]);
        let sealed_number = self.keys.seal_number(&draft.secret.number, &payment, nonce);
        let ask = Ask {
            payment,
            terminal: draft.terminal,
            merchant: draft.merchant,
            amount,
            sealed_number,
            outcome: Some(outcome),
        };
        let Begun::Send(row) = acquirer::begin(store, at.now, ask)? else { return Ok(None) };
        let message = draft.message().and_then(|message| acquirer::request(&row, message));
        // It fitted when the order was taken.
        Ok(message.ok().map(|message| self.signed_by_us(message)))
    }

    /// How a card payment stands.
    pub(super) fn card_enquire(
        &self,
        store: &mut dyn Store,
        who: KioskNumber,
        payment: &PaymentId,
    ) -> Result<Response> {
        if payment.kiosk != who {
            return Ok(Response::Refused(Refusal::NotYours));
        }
        Ok(self.card_standing(store, payment)?.unwrap_or(card(CardAnswer::Unknown)))
    }

    /// The code is in the citizen's hands: the money is taken, and the gateway hears of it.
    pub(super) fn card_confirm(
        &self,
        store: &mut dyn Store,
        at: &mut Moment<'_>,
        who: KioskNumber,
        payment: &PaymentId,
    ) -> Result<Response> {
        if payment.kiosk != who {
            return Ok(Response::Refused(Refusal::NotYours));
        }
        let approved = store.card(payment)?.filter(|row| row.standing == Standing::Approved);
        if let Some(row) = approved {
            if let Some(code) = self.book_card(store, at, &row)? {
                self.owe_notice(store, at.now, NoticeKind::Paid, *payment, code)?;
            }
            acquirer::confirm(store, at.now, payment)?;
        }
        self.card_enquire(store, who, payment)
    }

    /// Books what the issuer has approved, with the answer that was signed for it. Gives its code.
    pub(super) fn book_card(
        &self,
        store: &mut dyn Store,
        at: &mut Moment<'_>,
        row: &CardRow,
    ) -> Result<Option<PaymentCode>> {
        let payment = row.payment;
        let (Some(known), Some(outcome)) = (store.payment(&payment)?, &row.outcome) else { return Ok(None) };
        let Some(signed) = known.deposit.clone() else { return Ok(None) };
        let Some(deposit) = signed.read_unverified() else { return Ok(None) };
        let claimed = self.claimed(&deposit, Some(&known), Amount::ZERO);
        let verdict = outcome.read_unverified().map(|outcome| outcome.verdict);
        let code = verdict.and_then(|verdict| token_of(self, &verdict)).map(|(code, _)| code);
        let (Some(quote), Some(code)) = (&claimed.quote, code) else { return Ok(None) };
        for number in 13..=18 {
            at.step(number, payment.kiosk, Some(payment));
        }
        self.book_by_card(store, at.now, (payment, known.payee), quote, (Account::Cards, "accepted"))?;
        self.keep(store, &claimed, Some(&signed), outcome, at.now)?;
        // Confirmed means that the kiosk has put it on paper or screen: whoever else asks prints a copy.
        if let Some(mut row) = store.payment(&payment)? {
            row.printed_by = Some(payment.kiosk);
            store.put_payment(&row)?;
        }
        Ok(Some(code))
    }

    /// Books a fee that a card has paid, or that somebody else answers for.
    pub(super) fn book_by_card(
        &self,
        store: &mut dyn Store,
        now: UtcTime,
        (payment, payee): (PaymentId, Option<Bin>),
        quote: &Quote,
        (from, kind): (Account, &'static str),
    ) -> Result<()> {
        let total = quote.card_total().unwrap_or_default();
        let split = Split {
            kiosk: payment.kiosk,
            inserted: Amount::ZERO,
            from_balance: (from, total),
            fee: Some((self.payee(payee, quote), quote.fee)),
            commission: quote.commission,
            cash_total: total,
            held: Amount::ZERO,
        };
        store.post(&Posting { at: now, payment, kind, lines: split.lines() })
    }

    /// It came to nothing: the code is made void, then the money is given back.
    pub(super) fn card_void(
        &self,
        store: &mut dyn Store,
        at: &mut Moment<'_>,
        who: KioskNumber,
        payment: &PaymentId,
        why: VoidReason,
    ) -> Result<Response> {
        if payment.kiosk != who {
            return Ok(Response::Refused(Refusal::NotYours));
        }
        let why = if why == VoidReason::NoAnswer { Why::NoAnswer } else { Why::Void };
        if store.card(payment)?.is_some() {
            self.undo(store, at, payment, why)?;
        } else if self.waits_for_card(store, payment)? {
            if let (Some(row), Some(waiting)) = (store.payment(payment)?, store.waiting(payment)?) {
                self.order_ends(store, at, waiting.since, row)?;
            }
        } else if let Some(row) = adopted_card(store, payment)? {
            // The gateway has its code as paid, so it is not undone by this word: people say what is true, and then its kiosk hears that.
            let text = format!(
                "kiosk {who} undoes card payment {payment}, which was taken over from the gateway's register as paid: find out whether its \
                 citizen has the code; see: tolem-center card show {}",
                row.payment
            );
            self.alarm_once(store, at, ("card-contradicted", row.payment, text))?;
            let ended = is_ended(store, &row.payment)?;
            return Ok(card(if ended { CardAnswer::Confirmed } else { CardAnswer::Undecided }));
        } else {
            let known = store.payment(payment)?;
            let quoted = known.as_ref().filter(|row| row.state == PaymentState::Quoted);
            let quote = quoted.and_then(|row| row.quote.as_ref()).and_then(Signed::read_unverified);
            let in_backup = match quote {
                Some(quote) => rebuild::may_have_forgotten(store, quote.made_at)?,
                None => false,
            };
            if known.is_none() || in_backup {
                // A kiosk asks for cards with our quote in hand, so this database had it once. One that was restored has the quote perhaps and
                // not what was asked after it, however late its kiosk comes.
                let text = format!(
                    "kiosk {who} undoes card payment {payment}, which this center has forgotten: ask the acquirer whether money is held for it"
                );
                self.alarm_once(store, at, ("card-recalled", *payment, text))?;
            }
            // Cash that is on its way, or paid, is not undone by this word.
            if !matches!(self.void(store, at, who, payment)?, Response::NoOutcome)
                || store.waiting(payment)?.is_some()
            {
                return Ok(Response::Refused(Refusal::IdConflict));
            }
        }
        self.card_enquire(store, who, payment)
    }

    /// Undoes what may be undone of a payment that was asked for. The reversal waits until the gateway has acknowledged that the code is void.
    pub fn undo(
        &self,
        store: &mut dyn Store,
        at: &Moment<'_>,
        payment: &PaymentId,
        why: Why,
    ) -> Result<Option<CardRow>> {
        let before = store.card(payment)?.map(|row| row.standing);
        if !matches!(before, Some(Standing::Sent | Standing::Approved)) {
            return store.card(payment);
        }
        acquirer::void(store, at.now, payment, why)?;
        let Some(mut row) = store.card(payment)? else { return Ok(None) };
        if self.void_code(store, at, &row)? && !planted(Fault::ReversalBeforeVoid) {
            row.next = at.now.plus_seconds(UNTIL_VOID_S);
            store.put_card(&row)?;
        }
        Ok(Some(row))
    }

    /// Owes the gateway the word that the code of a card payment is void. False if it has none.
    fn void_code(&self, store: &mut dyn Store, at: &Moment<'_>, row: &CardRow) -> Result<bool> {
        if let Some(known) = store.payment(&row.payment)? {
            store.put_payment(&PaymentRow { state: PaymentState::Voided, ..known })?;
        }
        let verdict = row.outcome.as_ref().and_then(Signed::read_unverified).map(|outcome| outcome.verdict);
        let Some((code, _)) = verdict.and_then(|verdict| token_of(self, &verdict)) else { return Ok(false) };
        self.owe_notice(store, at.now, NoticeKind::Void, row.payment, code)?;
        Ok(true)
    }

    /// The gateway has acknowledged that the code is void: now the money goes back.
    pub(super) fn code_is_void(
        &self,
        store: &mut dyn Store,
        now: UtcTime,
        payment: &PaymentId,
    ) -> Result<()> {
        match store.card(payment)? {
            Some(row) if row.standing == Standing::Reversing && row.tries == 0 => {
                store.put_card(&CardRow { next: now, ..row })
            }
            _ => Ok(()),
        }
    }

    /// The gateway refuses to void a code since `since`. For a day that is waited for, because the code should be void first; then the money
    /// goes back all the same: the gateway was never told that it is paid, so nobody can redeem it.
    pub(super) fn code_never_void(
        &self,
        store: &mut dyn Store,
        at: &Moment<'_>,
        (payment, since): (&PaymentId, UtcTime),
    ) -> Result<()> {
        let waits =
            store.card(payment)?.is_some_and(|row| row.standing == Standing::Reversing && row.tries == 0);
        if !waits || at.now < since.plus_seconds(NEVER_VOID_S) {
            return Ok(());
        }
        self.code_is_void(store, at.now, payment)?;
        let text = format!(
            "the gateway has refused for a day to void the code of payment {payment}; the money goes back all the same, \
             and the code is to be struck there by hand"
        );
        self.alarm_once(store, at, ("code-not-void", *payment, text))
    }

    /// Undoes requests that were not answered in time, whoever has sent them.
    pub fn cards_overdue(&self, store: &mut dyn Store, at: &Moment<'_>) -> Result<Vec<PaymentId>> {
        let mut undone = Vec::new();
        // What was confirmed in a lost life must not be undone by who has forgotten it.
        if store.rebuilding()?.is_some() {
            return Ok(undone);
        }
        // All of them: a request without an answer must not come to be reversed without its code.
        loop {
            let due = store.cards_due(at.now, AT_ONCE)?;
            let overdue: Vec<_> = due.into_iter().filter(|row| row.standing == Standing::Sent).collect();
            if overdue.is_empty() {
                return Ok(undone);
            }
            for row in overdue {
                self.undo(store, at, &row.payment, Why::NoAnswer)?;
                undone.push(row.payment);
            }
        }
    }

    /// The request of a payment could not be put into words for the line, so nothing of it has left this house: its code is made void, and
    /// the acquirer is owed nothing. A reversal would need the same words. Gives what whoever waits is told.
    pub fn not_sent(&self, store: &mut dyn Store, at: &Moment<'_>, payment: &PaymentId) -> Result<Response> {
        if let Some(row) = acquirer::unsent(store, payment)?
            && row.standing == Standing::Declined
        {
            self.void_code(store, at, &row)?;
        }
        self.card_enquire(store, payment.kiosk, payment)
    }

    /// What is to be said to the acquirer now: advices and reversals. What is overdue is undone before. A restored center says nothing before it
    /// has heard everybody.
    pub fn card_errands(
        &self,
        store: &mut dyn Store,
        at: &Moment<'_>,
    ) -> Result<(Vec<Message>, Vec<PaymentId>)> {
        let (mut messages, undone) = (Vec::new(), self.cards_overdue(store, at)?);
        if self.takes_cards() && store.rebuilding()?.is_none() {
            for row in acquirer::due(store, at.now, AT_ONCE)? {
                messages.extend(self.card_errand(store, at, &row)?);
            }
        }
        Ok((messages, undone))
    }

    fn card_errand(&self, store: &mut dyn Store, at: &Moment<'_>, row: &CardRow) -> Result<Option<Message>> {
        let payment = row.payment;
        let Some(number) = self.keys.open_number(&row.sealed_number, &payment) else {
            let text =
                format!("the card number of payment {payment} does not open; tell the acquirer by hand");
            self.alarm_once(store, at, ("card-number-lost", payment, text))?;
            return Ok(None);
        };
        match acquirer::errand(row, &number) {
            Ok(Some(message)) => Ok(Some(self.signed_by_us(message))),
            Ok(None) => Ok(None),
            Err(error) => {
                let text =
                    format!("what is owed to the acquirer for payment {payment} cannot be said: {error}");
                self.alarm_once(store, at, ("card-message", payment, text))?;
                Ok(None)
            }
        }
    }

    /// A confirmation or reversal could not be said, because nobody opens its number now. It is said again; if that goes on, a person is told.
    pub fn card_errand_failed(
        &self,
        store: &mut dyn Store,
        at: &Moment<'_>,
        message: &Message,
        why: &str,
    ) -> Result<()> {
        match acquirer::named(store, message)? {
            Some(row) if row.tries >= TRIES_UNSAID => {
                let text =
                    format!("what is owed to the acquirer for payment {} cannot be said: {why}", row.payment);
                self.alarm_once(store, at, ("card-message", row.payment, text))
            }
            _ => Ok(()),
        }
    }

    /// Adds what the acquirer wants to hear in each message.
    fn signed_by_us(&self, mut message: Message) -> Message {
        if let Some(acquirer) = &self.acquirer {
            // A number that does not fit was refused with the configuration.
            let _ = message.set(de::ACQUIRER, acquirer.number.as_bytes());
        }
        message
    }

    /// Takes an answer of the acquirer in.
    pub fn acquirer_says(
        &self,
        store: &mut dyn Store,
        at: &mut Moment<'_>,
        answer: &Message,
    ) -> Result<Said> {
        let heard = acquirer::hear(store, at.now, answer)?;
        match &heard {
            Heard::Decided(row) => {
                let mut row = row.clone();
                row.words = Some(words_of(row.code.unwrap_or_default(), answer));
                if row.standing == Standing::Declined && !planted(Fault::DeclineLeavesCode) {
                    self.void_code(store, at, &row)?;
                }
                // A part was approved: as with every undoing, the code is void first.
                if row.standing == Standing::Reversing && self.void_code(store, at, &row)? {
                    row.next = at.now.plus_seconds(UNTIL_VOID_S);
                }
                store.put_card(&row)?;
                return Ok(Said::Decided(row.payment, card(answer_of(&row))));
            }
            Heard::Disputed(row) => {
                let code = answer.get(de::RESPONSE).map(String::from_utf8_lossy).unwrap_or_default();
                let what = if row.standing == Standing::Confirming { "confirmation" } else { "reversal" };
                let text = format!("the acquirer refuses the {what} of payment {}: code {code}", row.payment);
                self.alarm_once(store, at, ("card-disputed", row.payment, text))?;
            }
            Heard::Settled(_) | Heard::Late(_) | Heard::Unknown => {}
        }
        Ok(Said::Other(heard))
    }

    /// Alarms for approvals that nobody decides about.
    pub fn card_alarms(&self, store: &mut dyn Store, at: &Moment<'_>) -> Result<()> {
        for row in store.cards_undecided(at.now.plus_seconds(-UNDECIDED_S))? {
            let payment = row.payment;
            let text = format!(
                "payment {payment} is approved since {} and its kiosk has not said what becomes of it",
                row.request.sent.local()
            );
            self.alarm_once(store, at, ("card-undecided", payment, text))?;
        }
        Ok(())
    }
}

impl Draft {
    /// What only the kiosk knows, in the acquirer's fields.
    fn message(&self) -> std::result::Result<Message, FieldError> {
        let mut message = Message::new(MessageType::AUTHORIZATION);
        acquirer::put_number(&mut message, &self.secret.number)?;
        message.set(de::PROCESSING, b"000000")?;
        message.set(de::EXPIRY, &ascii(&self.secret.expiry))?;
        // Read by the chip, and a PIN can be entered.
        message.set(de::ENTRY, b"051")?;
        if let Some(sequence) = self.secret.sequence {
            message.set(de::SEQUENCE, format!("{sequence:03}").as_bytes())?;
        }
        message.set(de::MERCHANT, &self.merchant)?;
        message.set(de::CHIP, &self.chip_data)?;
        match &self.secret.pin {
            None => {}
            Some((block, PinKey::Dukpt(serial))) => {
                message.set(de::PIN_BLOCK, block.bytes())?;
                message.set(de::PIN_KEY, data_encoding::HEXUPPER.encode(&serial.0).as_bytes())?;
            }
            // Session keys are between a pad and a center that has given it one; this one gives none.
            Some((_, PinKey::Session(..))) => return Err(FieldError::Unknown),
        }
        Ok(message)
    }
}

/// Values 0..=9 as letters, wiped when dropped.
pub(crate) fn ascii(digits: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(digits.iter().map(|digit| digit + b'0').collect())
}

/// An order by card: to pay, without a note, for a quote that offers cards.
pub(super) fn is_card(deposit: &Deposit) -> bool {
    let quote = deposit.quote.as_ref().and_then(Signed::read_unverified);
    let offered = quote.is_some_and(|quote| quote.card_total().is_some());
    offered && deposit.kind == DepositKind::Pay && deposit.notes.count() == 0
}

/// What was taken over of a card payment from the gateway's register, until its deposit turns up.
fn adopted_card(store: &dyn Store, payment: &PaymentId) -> Result<Option<AdoptedRow>> {
    let row = store.adopted(&transaction_number(payment))?;
    Ok(row.filter(|row| !row.replaced && row.method == Method::Card))
}

/// What the issuer says to the chip, out of field 55: tag `91`, and the templates `71` and `72` as they came.
fn words_of(response_code: [u8; 2], answer: &Message) -> IssuerWords {
    let mut words = IssuerWords { response_code, ..IssuerWords::default() };
    let mut scripts = Vec::new();
    for object in tlv::objects(answer.get(de::CHIP).unwrap_or_default()).map_while(std::result::Result::ok) {
        match object.tag {
            tags::ISSUER_AUTHENTICATION => {
                words.authentication = object.value.iter().copied().take(16).collect();
            }
            tags::ISSUER_SCRIPT_1 | tags::ISSUER_SCRIPT_2 => {
                tlv::push(&mut scripts, object.tag, object.value)
            }
            _ => {}
        }
    }
    // Half a script is worse than none.
    words.scripts = heapless::Vec::from_slice(&scripts).unwrap_or_default();
    words
}

/// How a row stands, for its kiosk.
fn answer_of(row: &CardRow) -> CardAnswer {
    match (row.standing, &row.outcome) {
        (Standing::Sent, _) => CardAnswer::Undecided,
        (Standing::Approved, Some(outcome)) => CardAnswer::Approved {
            outcome: outcome.clone(),
            // An issuer that gives no code has approved all the same.
            approval: row.approval.unwrap_or(*b"      "),
            issuer: row.words.clone().unwrap_or_default(),
        },
        (Standing::Approved, None) => CardAnswer::Undecided,
        (Standing::Declined, _) => CardAnswer::Declined {
            // Without its word, the issuer was never asked.
            reason: row.code.map_or(DeclineReason::Technical, DeclineReason::of_response),
            issuer: row.words.clone(),
        },
        // Undone by us, because it was not the whole sum: the citizen hears why, and the kiosk owes nothing.
        (Standing::Reversing | Standing::Reversed, _) if row.why == Some(Why::Part) => CardAnswer::Declined {
            reason: DeclineReason::Funds,
            // The chip may hear what the issuer said unless that was a plain approval.
            issuer: row.words.clone().filter(|words| words.response_code == acquirer::PARTIAL),
        },
        (Standing::Confirming | Standing::Confirmed, _) => CardAnswer::Confirmed,
        (Standing::Reversing | Standing::Reversed, _) => CardAnswer::Voided,
    }
}
