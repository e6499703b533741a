//! Disputes about a payment that was accepted: a citizen complains, or the acquirer takes a card's money back.
//!
//! Money in dispute belongs to nobody yet, so it stands on an account of its own ([`Account::Disputed`]). What a citizen complains about is withheld
//! from the payee until two people have decided; given back it is only if the gateway takes the code back, which it does before the
//! code is used and never after. What an acquirer takes is gone from what it owes us, and is got back by it or from the payee, whose code is taken back, or lost.
//!
//! ```text
//! complaint ──▶ Open ──give back──▶ Returning ──code taken back──▶ Returned
//!                 │ reject              └──────code was used─────▶ Stands
//!                 └──────────────────────────────────────────────▶ Stands
//! chargeback ──▶ Returning ──code taken back──▶ Returned ──the acquirer gives it back──▶ Released
//!        │           └─ code was used ─▶ Open ──the acquirer gives it back─▶ Stands
//!        └ a part of the sum ────────────▲  └──write off──▶ Lost ──────────────▲ the acquirer gives it back after all
//! ```

mod chargebacks;

pub use chargebacks::{Chargeback, FileFault, Fits, HEAD, Move, parse};

use crate::logic::{
    Center, Moment,
    acquirer::CardRow,
    card_office::has_money_back,
    cards::by_card,
    deposit::token_of,
    errands::NoticeKind,
    ledger::{Account, Posting, assert_balanced},
    register::{AdoptedRow, transaction_number},
    store::{Alarm, BalanceRow, BalanceState, PayerTag, PaymentRow, PaymentState, Result, Store},
};
use serde::{Deserialize, Serialize};
use tolem_protocol::{
    Amount, PaymentCode, PaymentId, UtcTime,
    messages::{HoldReason, Method},
    signed::Signed,
};

/// Longest reason of a complaint, in characters.
pub const MAX_WHY: usize = 200;

/// Who disputes a payment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// Its payer, at the counter.
    Complaint,
    /// The acquirer has taken the money of a card payment back.
    Chargeback,
}

/// How a dispute stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DisputeState {
    /// Two people must decide, or the acquirer must.
    Open,
    /// The gateway is asked to take the code back.
    Returning,
    /// The code was taken back and the payee does not get the money.
    Returned,
    /// The payment stands as it was.
    Stands,
    /// What the acquirer took is our loss.
    Lost,
    /// The code was taken back and the acquirer has returned the money: it is held for the payer.
    Released,
}

impl DisputeState {
    /// Whether something must still happen.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::Returning)
    }

    /// Whether the code was taken back.
    pub const fn took_code(self) -> bool {
        matches!(self, Self::Returned | Self::Released)
    }
}

/// A dispute.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DisputeRow {
    /// Counts the disputes, from 1.
    pub number: u32,
    /// The payment.
    pub payment: PaymentId,
    /// Who disputes it.
    pub cause: Cause,
    /// The acquirer's number of a chargeback; empty for a complaint.
    pub case: String,
    /// What is said, one line without an IIN.
    pub why: String,
    /// How much: all that was paid, or what the acquirer took.
    pub amount: Amount,
    /// Since when.
    pub opened_at: UtcTime,
    /// How it stands.
    pub state: DisputeState,
    /// When it got there.
    pub changed_at: UtcTime,
}

/// What two people decide about an open dispute.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Ruling {
    /// The payer gets the money back, if the gateway takes the code back.
    GiveBack,
    /// The complaint is unfounded.
    Reject,
    /// What the acquirer took is our loss.
    WriteOff,
}

/// Rows of the disputes.
pub trait Disputes {
    /// One dispute.
    fn dispute(&self, number: u32) -> Result<Option<DisputeRow>>;
    /// All disputes, by number.
    fn disputes(&self) -> Result<Vec<DisputeRow>>;
    /// Disputes about one payment, by number.
    fn disputes_of(&self, payment: &PaymentId) -> Result<Vec<DisputeRow>>;
    /// Inserts or replaces.
    fn put_dispute(&mut self, row: &DisputeRow) -> Result<()>;
}

/// A payment that was accepted, with what it consists of.
struct Paid {
    payment: PaymentId,
    payer: Option<PayerTag>,
    /// The account of who gets the fee.
    payee: Account,
    fee: Amount,
    commission: Amount,
    code: PaymentCode,
    /// All that was paid.
    total: Amount,
    is_card: bool,
    /// Its order is here, without which the gateway cannot be told anything of it.
    has_order: bool,
}

impl Paid {
    /// As it was taken over from the gateway's register; `row` is what is known of it besides.
    fn of_register(adopted: &AdoptedRow, row: Option<&PaymentRow>) -> Self {
        Self {
            payment: adopted.payment,
            payer: row.and_then(|row| row.payer),
            payee: adopted.payee.map_or(Account::Unassigned, Account::payable),
            fee: adopted.fee,
            commission: Amount::ZERO,
            code: adopted.code,
            total: adopted.fee,
            is_card: adopted.method == Method::Card,
            has_order: row.is_some_and(|row| row.deposit.is_some()),
        }
    }

    /// Whose money a payment became, as debits: together all that was paid.
    fn shares(&self) -> Vec<(Account, i64)> {
        let (fee, commission) = (tiyn(self.fee), tiyn(self.commission));
        vec![
            (self.payee, fee),
            (Account::Commission, commission),
            (Account::Rounding, tiyn(self.total) - fee - commission),
        ]
    }
}

fn tiyn(amount: Amount) -> i64 {
    i64::try_from(amount.tiyn()).expect("invariant: an amount is at most Amount::MAX")
}

impl Center {
    /// Whether a payment is booked as paid by card.
    pub(super) fn is_paid_by_card(&self, store: &dyn Store, payment: &PaymentId) -> Result<bool> {
        Ok(self.paid(store, payment)?.is_some_and(|paid| paid.is_card))
    }

    /// As its answer says, or else as it was taken over from the gateway's register.
    fn paid(&self, store: &dyn Store, payment: &PaymentId) -> Result<Option<Paid>> {
        let row = store.payment(payment)?;
        let answered = row.as_ref().and_then(|row| self.accepted(row));
        if answered.is_some() {
            return Ok(answered);
        }
        let adopted = store.adopted(&transaction_number(payment))?;
        Ok(adopted
            .filter(|adopted| !adopted.replaced)
            .map(|adopted| Paid::of_register(&adopted, row.as_ref())))
    }

    fn accepted(&self, row: &PaymentRow) -> Option<Paid> {
        let outcome = row.outcome.as_ref().and_then(Signed::read_unverified)?;
        let quote = row.quote.as_ref().and_then(Signed::read_unverified)?;
        let (code, _) = token_of(self, &outcome.verdict)?;
        let card = by_card(&quote, row.inserted);
        Some(Paid {
            payment: row.payment,
            payer: row.payer,
            payee: self.payee(row.payee, &quote),
            fee: quote.fee,
            commission: quote.commission,
            code,
            total: card.unwrap_or(quote.cash_total),
            is_card: card.is_some(),
            has_order: row.deposit.is_some(),
        })
    }

    fn book_dispute(
        &self,
        store: &mut dyn Store,
        now: UtcTime,
        payment: PaymentId,
        kind: &'static str,
        mut lines: Vec<(Account, i64)>,
    ) -> Result<()> {
        lines.retain(|(_, tiyn)| *tiyn != 0);
        assert_balanced(&lines);
        store.post(&Posting { at: now, payment, kind, lines })
    }

    fn open_dispute(
        &self,
        store: &mut dyn Store,
        now: UtcTime,
        (payment, cause, amount): (PaymentId, Cause, Amount),
        (case, why): (&str, &str),
    ) -> Result<DisputeRow> {
        let number = store.disputes()?.last().map_or(1, |row| row.number + 1);
        let (case, why) = (case.to_owned(), why.to_owned());
        let state = DisputeState::Open;
        let row =
            DisputeRow { number, payment, cause, case, why, amount, opened_at: now, state, changed_at: now };
        self.set_dispute(store, now, &row, state)
    }

    /// Keeps a dispute in its new state, and the payment with it.
    fn set_dispute(
        &self,
        store: &mut dyn Store,
        now: UtcTime,
        row: &DisputeRow,
        state: DisputeState,
    ) -> Result<DisputeRow> {
        let row = DisputeRow { state, changed_at: now, ..row.clone() };
        store.put_dispute(&row)?;
        // What was taken over from the register has no answer, and its row says what its kiosk said.
        if let Some(known) = store.payment(&row.payment)?.filter(|known| known.outcome.is_some()) {
            let state = if state.is_open() { PaymentState::Disputed } else { PaymentState::Settled };
            store.put_payment(&PaymentRow { state, ..known })?;
        }
        Ok(row)
    }

    /// Why nobody can complain about this payment now, if so.
    pub(super) fn cannot_complain(
        &self,
        store: &dyn Store,
        payment: &PaymentId,
        why: &str,
    ) -> Result<Option<String>> {
        if let Some(fault) = wrong_reason(why) {
            return Ok(Some(fault));
        }
        if store.payment(payment)?.and_then(|row| self.accepted(&row)).is_none() {
            let text = format!(
                "payment {payment} was not accepted; money that is held is paid back with: balance refund"
            );
            return Ok(Some(text));
        }
        let disputes = store.disputes_of(payment)?;
        Ok(match disputes.iter().find(|row| row.state.is_open() || row.state.took_code()) {
            Some(row) if row.state.is_open() => Some(format!("dispute {} about it is open", row.number)),
            Some(row) => Some(format!("its code was taken back in dispute {}", row.number)),
            None => disputes.iter().find(|row| row.state == DisputeState::Lost).map(|row| {
                format!(
                    "the acquirer has given {} of it to the card's owner, dispute {}",
                    row.amount, row.number
                )
            }),
        })
    }

    /// Opens a complaint: from now on the payee does not get the money.
    pub(super) fn complain(
        &self,
        store: &mut dyn Store,
        now: UtcTime,
        payment: &PaymentId,
        why: &str,
    ) -> Result<Vec<DisputeRow>> {
        let Some(paid) = self.paid(store, payment)? else { return Ok(Vec::new()) };
        let mut lines = paid.shares();
        lines.push((Account::Disputed, -tiyn(paid.total)));
        self.book_dispute(store, now, *payment, "disputed", lines)?;
        let row =
            self.open_dispute(store, now, (*payment, Cause::Complaint, paid.total), ("", why.trim()))?;
        Ok(vec![row])
    }

    /// Why a ruling cannot be made, if so.
    pub(super) fn cannot_rule(
        &self,
        store: &dyn Store,
        number: u32,
        ruling: Ruling,
    ) -> Result<Option<String>> {
        let Some(row) = store.dispute(number)? else {
            return Ok(Some(format!("there is no dispute {number}")));
        };
        Ok(match (row.state, row.cause, ruling) {
            (DisputeState::Open, Cause::Complaint, Ruling::GiveBack | Ruling::Reject)
            | (DisputeState::Open, Cause::Chargeback, Ruling::WriteOff) => None,
            (DisputeState::Open, Cause::Complaint, Ruling::WriteOff) => {
                Some(format!("dispute {number} is a complaint: it is given back or rejected"))
            }
            (DisputeState::Open, Cause::Chargeback, _) => Some(format!(
                "dispute {number} is a chargeback: the acquirer gives it back (dispute import), or it is written off"
            )),
            (DisputeState::Returning, ..) => {
                Some(format!("the gateway is being asked to take the code of dispute {number} back"))
            }
            _ => Some(format!("dispute {number} is over")),
        })
    }

    /// Does what two people have decided.
    pub(super) fn rule(
        &self,
        store: &mut dyn Store,
        now: UtcTime,
        number: u32,
        ruling: Ruling,
    ) -> Result<Vec<DisputeRow>> {
        let Some(row) = store.dispute(number)? else { return Ok(Vec::new()) };
        let Some(paid) = self.paid(store, &row.payment)? else { return Ok(Vec::new()) };
        let row = match ruling {
            Ruling::GiveBack => self.ask_for_code(store, now, &row, paid.code)?,
            Ruling::Reject => self.let_stand(store, now, &row, &paid)?,
            Ruling::WriteOff => {
                let lines =
                    vec![(Account::OwnLoss, tiyn(row.amount)), (Account::Disputed, -tiyn(row.amount))];
                self.book_dispute(store, now, row.payment, "written-off", lines)?;
                self.set_dispute(store, now, &row, DisputeState::Lost)?
            }
        };
        Ok(vec![row])
    }

    fn ask_for_code(
        &self,
        store: &mut dyn Store,
        now: UtcTime,
        row: &DisputeRow,
        code: PaymentCode,
    ) -> Result<DisputeRow> {
        self.owe_notice(store, now, NoticeKind::Refund, row.payment, code)?;
        self.set_dispute(store, now, row, DisputeState::Returning)
    }

    /// A complaint ends with nothing: the payee gets what was withheld.
    fn let_stand(
        &self,
        store: &mut dyn Store,
        now: UtcTime,
        row: &DisputeRow,
        paid: &Paid,
    ) -> Result<DisputeRow> {
        let mut lines: Vec<_> = paid.shares().into_iter().map(|(account, tiyn)| (account, -tiyn)).collect();
        lines.push((Account::Disputed, tiyn(paid.total)));
        self.book_dispute(store, now, row.payment, "restored", lines)?;
        self.set_dispute(store, now, row, DisputeState::Stands)
    }

    /// Money is held for the payer of a disputed payment.
    fn hold_disputed(
        &self,
        store: &mut dyn Store,
        at: &mut Moment<'_>,
        (row, paid): (&DisputeRow, &Paid),
    ) -> Result<()> {
        let number = self.free_number(store, at)?;
        store.put_balance(&BalanceRow {
            number,
            owner: paid.payer,
            amount: row.amount,
            reason: HoldReason::Refused,
            from: row.payment,
            state: BalanceState::Issued,
            resolved: false,
            made_at: at.now,
        })
    }

    /// Whether the code of a payment is being asked back for a dispute.
    pub(super) fn is_returning(&self, store: &dyn Store, payment: &PaymentId) -> Result<bool> {
        Ok(store.disputes_of(payment)?.iter().any(|row| row.state == DisputeState::Returning))
    }

    fn returning(&self, store: &dyn Store, payment: &PaymentId) -> Result<Option<(DisputeRow, Paid)>> {
        let disputes = store.disputes_of(payment)?;
        let row = disputes.into_iter().find(|row| row.state == DisputeState::Returning);
        Ok(row.zip(self.paid(store, payment)?))
    }

    /// The gateway has taken the code of a disputed payment back: nobody can use it any more, and the money is no payee's.
    pub(super) fn code_taken_back(
        &self,
        store: &mut dyn Store,
        at: &mut Moment<'_>,
        payment: &PaymentId,
    ) -> Result<()> {
        let Some((row, paid)) = self.returning(store, payment)? else { return Ok(()) };
        let (sum, card) = (tiyn(row.amount), store.card(payment)?);
        match (row.cause, paid.is_card) {
            (Cause::Complaint, false) => {
                let lines = vec![(Account::Disputed, sum), (Account::Held, -sum)];
                self.book_dispute(store, at.now, *payment, "given-back", lines)?;
                self.hold_disputed(store, at, (&row, &paid))?;
            }
            // What went back to the card before, as our loss, is not credited a second time.
            (Cause::Complaint, true) if has_money_back(store, payment, card.as_ref())? => {
                let lines = vec![(Account::Disputed, sum), (Account::OwnLoss, -sum)];
                self.book_dispute(store, at.now, *payment, "given-back", lines)?;
            }
            (Cause::Complaint, true) => {
                let lines = vec![(Account::Disputed, sum), (Account::Cards, -sum)];
                self.book_dispute(store, at.now, *payment, "given-back", lines)?;
                let name = card.as_ref().map_or_else(String::new, acquirers_name);
                let text = format!(
                    "have the acquirer credit {} to the card of payment {payment}{name}; it is booked as taken from what it owes",
                    row.amount
                );
                self.raise_about(store, at.now, (&row, "card-credit"), text)?;
            }
            (Cause::Chargeback, _) => {
                let mut lines = paid.shares();
                lines.push((Account::Disputed, -sum));
                self.book_dispute(store, at.now, *payment, "taken-back", lines)?;
            }
        }
        self.set_dispute(store, at.now, &row, DisputeState::Returned).map(drop)
    }

    /// The gateway does not take the code of a disputed payment back: it was used.
    pub(super) fn code_stays(
        &self,
        store: &mut dyn Store,
        now: UtcTime,
        payment: &PaymentId,
        reason: &str,
    ) -> Result<()> {
        let Some((row, paid)) = self.returning(store, payment)? else { return Ok(()) };
        let (number, what) = match row.cause {
            Cause::Complaint => {
                self.let_stand(store, now, &row, &paid)?;
                (row.number, "the payment stands")
            }
            Cause::Chargeback => {
                self.set_dispute(store, now, &row, DisputeState::Open)?;
                (row.number, "contest it with the acquirer, or write it off")
            }
        };
        let text = format!("the code of dispute {number} is not taken back ({reason}): {what}");
        self.raise_about(store, now, (&row, "code-not-returned"), text)
    }

    fn raise_about(
        &self,
        store: &mut dyn Store,
        at: UtcTime,
        (row, kind): (&DisputeRow, &str),
        text: String,
    ) -> Result<()> {
        store.raise(&Alarm {
            at,
            kiosk: row.payment.kiosk,
            kind: kind.into(),
            text,
            disputed: row.amount,
            evidence: Vec::new(),
        })
    }
}

/// What is wrong with a reason that somebody gives, if anything.
pub(super) fn wrong_reason(why: &str) -> Option<String> {
    let wrong = why.trim().is_empty() || why.chars().count() > MAX_WHY || why.chars().any(char::is_control);
    wrong.then(|| format!("a reason is one line, up to {MAX_WHY} letters"))
}

/// How the acquirer finds a payment.
fn acquirers_name(card: &CardRow) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let approval = card.approval.map_or_else(String::new, |code| format!(", approval {}", text(&code)));
    format!(
        " (terminal {}, trace {}, sent {}{approval})",
        text(&card.terminal),
        text(&card.request.trace_digits()),
        text(&card.request.sent_digits()),
    )
}

/// What disputes have changed in the books of one payment, in tiyn: on the payee's account (credits positive), on the acquirer's, and in dispute (debits positive both).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Moved {
    /// Taken from the payee.
    pub fee: i64,
    /// Change of what the acquirer owes.
    pub cards: i64,
    /// On the account of disputes.
    pub disputed: i64,
}

/// What must be booked for a dispute by its state, which the audit compares with what is booked. `fee` is the payment's, `is_card` how it was paid.
pub fn moved(row: &DisputeRow, fee: i64, is_card: bool) -> Moved {
    use DisputeState::{Lost, Open, Released, Returned, Returning, Stands};
    let sum = tiyn(row.amount);
    match (row.cause, row.state) {
        (Cause::Complaint, Open | Returning) => Moved { fee, cards: 0, disputed: -sum },
        (Cause::Complaint, Returned) => Moved { fee, cards: if is_card { -sum } else { 0 }, disputed: 0 },
        (Cause::Complaint, Stands | Lost | Released) => Moved::default(),
        (Cause::Chargeback, Open | Returning) => Moved { fee: 0, cards: -sum, disputed: sum },
        (Cause::Chargeback, Returned) => Moved { fee, cards: -sum, disputed: 0 },
        (Cause::Chargeback, Lost) => Moved { fee: 0, cards: -sum, disputed: 0 },
        (Cause::Chargeback, Released) => Moved { fee, cards: 0, disputed: 0 },
        (Cause::Chargeback, Stands) => Moved::default(),
    }
}
