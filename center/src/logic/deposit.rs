//! Deposits: the money of one payment becomes a paid fee or a held balance, once.
//!
//! A rightly signed deposit is never refused for good: what cannot be paid is held. The answer is signed, kept, and given
//! again byte for byte for the same deposit; another deposit under the same id is a conflict that an operator settles.

use crate::logic::{
    Answer, Center, Moment,
    cards::is_card,
    errands::{Made, NoticeKind, WaitingRow},
    ledger::{Account, Posting, Split},
    quote::{may_take, release, tail},
    register::transaction_number,
    store::{Alarm, BalanceRow, BalanceState, PayerTag, PaymentRow, PaymentState, Result, Store},
};
use tolem_probe::{Fault, Site, planted, sometimes};
use tolem_protocol::{
    Amount, BalanceNumber, Bin, Iin, KioskNumber, PaymentCode, PaymentId, UtcTime,
    messages::{
        CodeToken, Deposit, DepositKind, HeldBalance, HoldReason, Outcome, Quote, Refusal, Response, Verdict,
    },
    signed::Signed,
};

/// A balance that a waiting deposit uses stays reserved this long, in seconds: a hundred years, until there is an answer.
const UNTIL_ANSWERED_S: i64 = 100 * 366 * 86_400;

/// How a deposit reached the center.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Via {
    /// Over the link of this kiosk.
    Link(KioskNumber),
    /// From the QR of a claim slip or a rescued disk: its signature alone speaks for it.
    Import,
}

/// A deposit whose signature was checked, with all that is known about its payment.
pub(super) struct Claimed<'a> {
    pub deposit: &'a Deposit,
    pub known: Option<&'a PaymentRow>,
    /// The quote in the deposit, if our key signed it for this payment.
    pub quote: Option<Quote>,
    pub payer: Option<Iin>,
    pub owner: Option<PayerTag>,
    pub inserted: Amount,
}

enum Plan {
    Pay {
        quote: Box<Quote>,
        payer: Iin,
        balance: Option<Box<BalanceRow>>,
        /// A voucher that a forgotten life spent for this payment.
        forgotten: Option<(BalanceNumber, Amount)>,
    },
    Hold(HoldReason),
}

impl Center {
    /// Settles a deposit, with the gateway that lies in this very store. Idempotent by payment id.
    ///
    /// With a gateway elsewhere a deposit that is to be paid stays waiting, and `Unavailable` says so.
    pub fn settle(
        &self,
        store: &mut dyn Store,
        at: &mut Moment<'_>,
        via: Via,
        signed: &Signed<Deposit>,
    ) -> Result<Response> {
        let answer = self.hand_in(store, at, via, signed)?;
        self.answer_here(store, at, answer)
    }

    /// Takes a deposit: it is held, or kept until its code is there. Idempotent by payment id.
    pub(super) fn hand_in(
        &self,
        store: &mut dyn Store,
        at: &mut Moment<'_>,
        via: Via,
        signed: &Signed<Deposit>,
    ) -> Result<Answer> {
        let refuse = |refusal| Ok(Answer::Ready(Response::Refused(refusal)));
        let deposit = match self.opened(store, via, signed)? {
            Ok(deposit) => deposit,
            Err(refusal) => return refuse(refusal),
        };
        let Some(inserted) = deposit.notes.total() else { return refuse(Refusal::Malformed) };
        if is_card(&deposit) {
            // An order by card; it does not come this way, and there is no money in it.
            return refuse(Refusal::Malformed);
        }
        let known = store.payment(&deposit.payment)?;
        // Money under the number of a payment by card: somebody has to count it.
        let by_card =
            store.card(&deposit.payment)?.is_some() || self.waits_for_card(store, &deposit.payment)?;
        let first = by_card
            || match &known {
                Some(PaymentRow { outcome: Some(outcome), deposit: first, inserted: counted, .. }) => {
                    let same = first.as_ref().is_some_and(|first| first.digest() == signed.digest());
                    if same && !planted(Fault::DepositBookedTwice) {
                        sometimes(Site::DepositRepeated);
                        return Ok(Answer::Ready(Response::Outcome(outcome.clone())));
                    }
                    if first.is_none() && *counted == inserted {
                        // Held on the word of an imported journal: it is the same money, and the kiosk asks for that answer next.
                        return refuse(Refusal::IdConflict);
                    }
                    !same && !planted(Fault::ConflictBooked)
                }
                _ => match store.waiting(&deposit.payment)? {
                    Some(waiting) if waiting.deposit.digest() == signed.digest() => {
                        return Ok(Answer::Code(deposit.payment));
                    }
                    waiting => waiting.is_some(),
                },
            };
        if first {
            sometimes(Site::DepositConflict);
            self.dispute(store, at, &deposit, inserted, signed)?;
            return refuse(Refusal::IdConflict);
        }
        let claimed = self.claimed(&deposit, known.as_ref(), inserted);
        if matches!(deposit.kind, DepositKind::Pay) {
            at.step(12, deposit.payment.kiosk, Some(deposit.payment));
        }
        let verdict = match self.plan(store, at, &claimed)? {
            Plan::Hold(reason) => self.hold(store, at, &claimed, reason)?,
            Plan::Pay { balance, .. } => {
                let (payment, by) = (deposit.payment, deposit.payment);
                if let Some(mut row) = balance {
                    // Whatever the gateway takes its time for, nobody else gets it meanwhile.
                    let until = at.now.plus_seconds(UNTIL_ANSWERED_S);
                    row.state = BalanceState::Reserved { by, until };
                    store.put_balance(&row)?;
                }
                let (since, next, deposit) = (at.now, at.now, signed.clone());
                store.put_waiting(&WaitingRow { payment, deposit, since, tries: 0, next })?;
                return Ok(Answer::Code(payment));
            }
        };
        let outcome = self.outcome(store, at, deposit.payment, signed.digest(), verdict)?;
        self.keep(store, &claimed, Some(signed), &outcome, at.now)?;
        Ok(Answer::Ready(Response::Outcome(outcome)))
    }

    /// Books a deposit whose code is there. If it cannot be paid any more it is held, and the code is given back.
    pub(super) fn pay_or_hold(
        &self,
        store: &mut dyn Store,
        at: &mut Moment<'_>,
        claimed: &Claimed<'_>,
        made: &Made,
    ) -> Result<Verdict> {
        match self.plan(store, at, claimed)? {
            Plan::Pay { quote, payer, balance, forgotten } => {
                self.pay(store, at, claimed, (&quote, &payer, made), (balance, forgotten))
            }
            Plan::Hold(reason) => {
                let kind = if made.is_paid { NoticeKind::Refund } else { NoticeKind::Void };
                self.owe_notice(store, at.now, kind, claimed.deposit.payment, made.code)?;
                self.hold(store, at, claimed, reason)
            }
        }
    }

    /// Signs a final answer.
    pub(super) fn outcome(
        &self,
        store: &dyn Store,
        at: &Moment<'_>,
        payment: PaymentId,
        deposit: [u8; 32],
        verdict: Verdict,
    ) -> Result<Signed<Outcome>> {
        let center_epoch = store.center_epoch()?;
        let outcome = Outcome { payment, deposit, verdict, at: at.now, center_epoch };
        Ok(Signed::new(&outcome, |message| self.keys.sign(message)))
    }

    /// Reads a deposit if a journal key of its kiosk signed it, be it a former one, and it came from there.
    pub(super) fn opened(
        &self,
        store: &dyn Store,
        via: Via,
        signed: &Signed<Deposit>,
    ) -> Result<std::result::Result<Deposit, Refusal>> {
        let Some(deposit) = signed.read_unverified() else { return Ok(Err(Refusal::Malformed)) };
        let kiosk = deposit.payment.kiosk;
        if matches!(via, Via::Link(who) if who != kiosk) {
            return Ok(Err(Refusal::NotYours));
        }
        let Some(row) = store.kiosk(kiosk)? else { return Ok(Err(Refusal::NotYours)) };
        let open =
            |key: &[u8; 32]| signed.open(|message, signature| self.keys.verify(key, message, signature)).ok();
        if let Some(deposit) = open(&row.journal_key) {
            return Ok(Ok(deposit));
        }
        Ok(store.former_keys(kiosk)?.iter().find_map(open).ok_or(Refusal::NotYours))
    }

    /// Puts together what is known about a deposit that was opened.
    pub(super) fn claimed<'a>(
        &self,
        deposit: &'a Deposit,
        known: Option<&'a PaymentRow>,
        inserted: Amount,
    ) -> Claimed<'a> {
        // Money without a payment of its own carries the quote of the payment it came in with; its payer is sealed under that id.
        let origin = deposit
            .quote
            .as_ref()
            .and_then(|quote| quote.open(|message, signature| self.keys.verify_own(message, signature)).ok())
            .map(|quote| quote.payment)
            .filter(|origin| origin.kiosk == deposit.payment.kiosk);
        let payer = deposit.payer.as_ref().and_then(|sealed| {
            let under = |payment: &PaymentId| self.keys.open_iin(sealed, payment);
            under(&deposit.payment).or_else(|| origin.as_ref().and_then(under))
        });
        let owner =
            payer.as_ref().map(|iin| self.keys.tag_iin(iin)).or_else(|| known.and_then(|row| row.payer));
        let quote = deposit
            .quote
            .as_ref()
            .and_then(|quote| quote.open(|message, signature| self.keys.verify_own(message, signature)).ok())
            .filter(|quote| quote.payment == deposit.payment);
        Claimed { deposit, known, quote, payer, owner, inserted }
    }

    /// Decides between paying and holding. A wrong quote or payer is held and alarmed: the money is in.
    fn plan(&self, store: &mut dyn Store, at: &Moment<'_>, claimed: &Claimed<'_>) -> Result<Plan> {
        let deposit = claimed.deposit;
        if deposit.payer.is_some() && claimed.payer.is_none() {
            self.suspect(store, at, claimed, "the sealed payer does not open")?;
        }
        let strange = deposit.notes.iter().any(|(denomination, _)| {
            !self.catalogue.head.notes.0.iter().any(|entry| entry.denomination == denomination)
        });
        if strange {
            self.suspect(store, at, claimed, "it speaks of a denomination that does not exist")?;
            return Ok(Plan::Hold(HoldReason::Suspense));
        }
        if let DepositKind::Hold(reason) = deposit.kind {
            return Ok(Plan::Hold(reason));
        }
        let Some(quote) = &claimed.quote else {
            self.suspect(store, at, claimed, "it has no quote of ours for this payment")?;
            return Ok(Plan::Hold(HoldReason::Refused));
        };
        let Some(payer) = &claimed.payer else { return Ok(Plan::Hold(HoldReason::Refused)) };
        if let Some(row) = claimed.known {
            if row.state == PaymentState::Voided {
                self.suspect(store, at, claimed, "the payment was voided before")?;
                return Ok(Plan::Hold(HoldReason::Refused));
            }
            if row.payer != claimed.owner {
                self.suspect(store, at, claimed, "its payer is not the one who was quoted")?;
                return Ok(Plan::Hold(HoldReason::Refused));
            }
        }
        let owner = self.keys.tag_iin(payer);
        let balance = match quote.balance {
            Some((number, sum)) => store
                .balance(number)?
                .filter(|row| may_take(row, &owner, Some(&deposit.payment), at.now) && row.amount == sum),
            None => None,
        };
        // The gateway's register says that it was paid: then its voucher was spent in a life that is forgotten, and its code is out.
        let adopted = store.adopted(&transaction_number(&deposit.payment))?;
        let is_out = adopted.is_some_and(|row| !row.replaced && row.fee == quote.fee);
        let forgotten = quote.balance.filter(|_| balance.is_none() && is_out);
        let extra = match (&balance, forgotten) {
            (Some(row), _) => row.amount,
            (None, Some((_, sum))) => sum,
            (None, None) => Amount::ZERO,
        };
        match claimed.inserted.checked_add(extra) {
            Some(sum) if sum >= quote.cash_total => {
                let quote = Box::new(quote.clone());
                Ok(Plan::Pay { quote, payer: payer.clone(), balance: balance.map(Box::new), forgotten })
            }
            _ => Ok(Plan::Hold(HoldReason::Stopped)),
        }
    }

    /// Everything is held for the payer.
    pub(super) fn hold(
        &self,
        store: &mut dyn Store,
        at: &mut Moment<'_>,
        claimed: &Claimed<'_>,
        reason: HoldReason,
    ) -> Result<Verdict> {
        release(store, claimed.quote.as_ref(), &claimed.deposit.payment)?;
        let stored = claimed.known.and_then(|row| row.quote.as_ref()).and_then(Signed::read_unverified);
        release(store, stored.as_ref(), &claimed.deposit.payment)?;
        match reason {
            HoldReason::Stopped => sometimes(Site::HeldStopped),
            HoldReason::Suspense => sometimes(Site::HeldSuspense),
            HoldReason::NoPayment => sometimes(Site::HeldWithoutPayment),
            HoldReason::JournalFailed => sometimes(Site::HeldJournalFailed),
            HoldReason::Remainder | HoldReason::Refused => {}
        }
        let balance = HeldBalance { number: self.free_number(store, at)?, amount: claimed.inserted, reason };
        self.book_held(store, at.now, claimed, &balance, "held")?;
        Ok(Verdict::Held(balance))
    }

    /// The fee is paid and the rest is held.
    fn pay(
        &self,
        store: &mut dyn Store,
        at: &mut Moment<'_>,
        claimed: &Claimed<'_>,
        (quote, payer, made): (&Quote, &Iin, &Made),
        (balance, forgotten): (Option<Box<BalanceRow>>, Option<(BalanceNumber, Amount)>),
    ) -> Result<Verdict> {
        let deposit = claimed.deposit;
        let (kiosk, payment) = (deposit.payment.kiosk, Some(deposit.payment));
        for number in 13..=18 {
            at.step(number, kiosk, payment);
        }
        let from = match (&balance, forgotten) {
            (Some(row), _) => (Account::Held, row.amount),
            (None, Some((number, sum))) => (self.spend_again(store, at, claimed, number, sum)?, sum),
            (None, None) => (Account::Held, Amount::ZERO),
        };
        let extra = from.1;
        let rest = claimed.inserted + extra - quote.cash_total;
        let remainder = if rest.is_zero() {
            None
        } else {
            sometimes(Site::HeldRemainder);
            let number = self.free_number(store, at)?;
            Some(HeldBalance { number, amount: rest, reason: HoldReason::Remainder })
        };
        match balance {
            Some(mut row) => {
                sometimes(Site::BalanceSpent);
                row.state = BalanceState::Spent { by: deposit.payment };
                store.put_balance(&row)?;
            }
            None => release(store, Some(quote), &deposit.payment)?,
        }
        self.book_paid(store, at.now, claimed, quote, from, remainder.as_ref(), "accepted")?;
        let token = CodeToken {
            code: made.code,
            payment: deposit.payment,
            service: quote.service.clone(),
            fee: quote.fee,
            payer_tail: tail(payer),
            paid_at: at.now,
            valid_until: made.valid_until,
        };
        self.owe_paid(store, at.now, deposit.payment, made)?;
        let token = Signed::new(&token, |message| self.keys.sign(message));
        Ok(Verdict::Accepted { token, remainder })
    }

    /// The account of who gets the fee of a quote: as its payment says, or else as the catalogue does now.
    pub(super) fn payee(&self, payee: Option<Bin>, quote: &Quote) -> Account {
        let payee = payee.or_else(|| self.catalogue.find(&quote.service).map(|service| service.payee_bin));
        payee.map_or(Account::Unassigned, Account::payable)
    }

    /// Books a paid fee and its remainder.
    #[allow(
        clippy::too_many_arguments,
        reason = "the parts of one posting; a struct for one caller pair would hide them"
    )]
    pub(super) fn book_paid(
        &self,
        store: &mut dyn Store,
        now: UtcTime,
        claimed: &Claimed<'_>,
        quote: &Quote,
        from_balance: (Account, Amount),
        remainder: Option<&HeldBalance>,
        kind: &'static str,
    ) -> Result<()> {
        let payee = claimed.known.and_then(|row| row.payee);
        let split = Split {
            kiosk: claimed.deposit.payment.kiosk,
            inserted: claimed.inserted,
            from_balance,
            fee: Some((self.payee(payee, quote), quote.fee)),
            commission: quote.commission,
            cash_total: quote.cash_total,
            held: remainder.map_or(Amount::ZERO, |balance| balance.amount),
        };
        let payment = claimed.deposit.payment;
        store.post(&Posting { at: now, payment, kind, lines: split.lines() })?;
        match remainder {
            Some(_) if planted(Fault::RemainderLost) => Ok(()),
            Some(balance) => self.create_balance(store, now, claimed, balance),
            None => Ok(()),
        }
    }

    /// Books held money.
    pub(super) fn book_held(
        &self,
        store: &mut dyn Store,
        now: UtcTime,
        claimed: &Claimed<'_>,
        balance: &HeldBalance,
        kind: &'static str,
    ) -> Result<()> {
        let split = Split {
            kiosk: claimed.deposit.payment.kiosk,
            inserted: claimed.inserted,
            from_balance: (Account::Held, Amount::ZERO),
            fee: None,
            commission: Amount::ZERO,
            cash_total: Amount::ZERO,
            held: balance.amount,
        };
        let payment = claimed.deposit.payment;
        store.post(&Posting { at: now, payment, kind, lines: split.lines() })?;
        self.create_balance(store, now, claimed, balance)
    }

    fn create_balance(
        &self,
        store: &mut dyn Store,
        now: UtcTime,
        claimed: &Claimed<'_>,
        balance: &HeldBalance,
    ) -> Result<()> {
        // After a restore the spending of a balance can be recalled before its making: then it is known, and spent.
        if store.balance(balance.number)?.is_some() {
            return Ok(());
        }
        store.put_balance(&BalanceRow {
            number: balance.number,
            owner: claimed.owner.filter(|_| !planted(Fault::OwnerForgotten)),
            amount: balance.amount,
            reason: balance.reason,
            from: claimed.deposit.payment,
            state: BalanceState::Issued,
            resolved: false,
            made_at: now,
        })
    }

    /// Keeps deposit and answer with the payment. Without a deposit an imported journal spoke for the money.
    pub(super) fn keep(
        &self,
        store: &mut dyn Store,
        claimed: &Claimed<'_>,
        deposit: Option<&Signed<Deposit>>,
        outcome: &Signed<Outcome>,
        now: UtcTime,
    ) -> Result<()> {
        let is_held = outcome.read_unverified().is_some_and(|read| matches!(read.verdict, Verdict::Held(_)));
        let replaced = self.replace_adopted(store, now, &claimed.deposit.payment, is_held)?;
        let known = claimed.known;
        let payer_tail = match &claimed.payer {
            Some(iin) => tail(iin),
            None => known.map_or(0, |row| row.payer_tail),
        };
        store.put_payment(&PaymentRow {
            payment: claimed.deposit.payment,
            state: PaymentState::Settled,
            payer: claimed.owner,
            payer_tail,
            day: now.date(),
            payee: known.and_then(|row| row.payee),
            quote: known.and_then(|row| row.quote.clone()).or_else(|| claimed.deposit.quote.clone()),
            deposit: deposit.cloned(),
            outcome: Some(outcome.clone()),
            inserted: claimed.inserted,
            printed_by: None,
        })?;
        match replaced {
            Some(adopted) => self.dispute_all_of(store, now, (&claimed.deposit.payment, &adopted)),
            None => Ok(()),
        }
    }

    /// Records another deposit under an id that was settled. Its money is disputed until an operator has counted the cassette.
    fn dispute(
        &self,
        store: &mut dyn Store,
        at: &Moment<'_>,
        deposit: &Deposit,
        inserted: Amount,
        signed: &Signed<Deposit>,
    ) -> Result<()> {
        let evidence = signed.to_bytes();
        let digest = signed.digest();
        let key = format!("dispute:{}", data_encoding::HEXLOWER.encode(&digest));
        if store.attempts(&key)?.is_some() {
            return Ok(());
        }
        self.count_attempt(store, at.now, &key)?;
        let text = format!("payment {} was settled with another deposit before", deposit.payment);
        store.raise(&Alarm {
            at: at.now,
            kiosk: deposit.payment.kiosk,
            kind: "id-conflict".into(),
            text,
            disputed: inserted,
            evidence: evidence.to_vec(),
        })
    }

    fn suspect(
        &self,
        store: &mut dyn Store,
        at: &Moment<'_>,
        claimed: &Claimed<'_>,
        why: &str,
    ) -> Result<()> {
        let payment = claimed.deposit.payment;
        let text = format!("deposit of payment {payment} is held: {why}");
        self.alarm(store, at, payment.kiosk, "suspect-deposit", text, &[])
    }
}

/// The code in a verdict, if it is one that our key signed.
pub(super) fn token_of(center: &Center, verdict: &Verdict) -> Option<(PaymentCode, CodeToken)> {
    match verdict {
        Verdict::Accepted { token, .. } => {
            let token = token.open(|message, signature| center.keys.verify_own(message, signature)).ok()?;
            Some((token.code, token))
        }
        Verdict::Held(_) => None,
    }
}
