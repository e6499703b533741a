//! The gateway's register against these books, after a restore: what no kiosk comes to tell of.
//!
//! A kiosk that burnt in the lost days tells nothing, but the gateway has the notices of its payments. What it lists and these books lack is
//! taken over on its word: the fee is owed to its payee, and lies in the kiosk's cassette or with the acquirer. More the register does not say: no payer, no
//! remainder, no commission. When the deposit itself turns up (a claim slip, a journal, the kiosk), it is booked as always, and takes the place of what was taken over.
//! What contradicts these books is never booked: it is an alarm.

use crate::logic::{
    Center, Moment,
    card_office::has_money_back,
    ledger::{Account, Posting},
    store::{Alarm, PaymentRow, PaymentState, Result, Store},
};
use serde::{Deserialize, Serialize};
use std::fmt::{self, Write as _};
use tolem_protocol::{
    Amount, Bin, KioskNumber, PaymentCode, PaymentId, UtcTime,
    catalogue::ServiceCode,
    messages::{Method, Verdict},
    signed::Signed,
    utc::Date,
};

/// The bank's number of a payment at the gateway: kiosk, epoch, number and half of the boot nonce; at most 54 letters.
pub fn transaction_number(payment: &PaymentId) -> String {
    let mut text = format!("{}-{}-{}-", payment.kiosk, payment.epoch, payment.number);
    for byte in &payment.nonce[..8] {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Reads it back; of the nonce the second half is zero, because the gateway does not have it.
pub fn of_transaction_number(text: &str) -> Option<PaymentId> {
    let mut parts = text.split('-');
    let mut part = || parts.next();
    let (kiosk, epoch, number, half) = (part()?, part()?, part()?, part()?);
    let kiosk = KioskNumber::new(kiosk.parse().ok()?)?;
    let half: [u8; 8] = data_encoding::HEXLOWER.decode(half.as_bytes()).ok()?.try_into().ok()?;
    let mut nonce = [0; 16];
    nonce[..8].copy_from_slice(&half);
    let payment = PaymentId { kiosk, epoch: epoch.parse().ok()?, number: number.parse().ok()?, nonce };
    // Written in one way only, so that one payment has one number.
    (transaction_number(&payment) == text).then_some(payment)
}

/// What the gateway says of a payment in its register.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Listed {
    /// The bank's number of the payment.
    pub transaction: String,
    /// The code.
    pub code: PaymentCode,
    /// The service.
    pub service: ServiceCode,
    /// The fee.
    pub fee: Amount,
    /// Whether a card paid.
    pub by_card: bool,
    /// When its notice arrived there.
    pub arrived_at: UtcTime,
    /// The code was taken back after it was paid.
    pub refunded: bool,
}

/// A payment that was taken over from the register.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AdoptedRow {
    /// The bank's number of the payment.
    pub transaction: String,
    /// The id that it is booked under: its own, as far as the number tells it.
    pub payment: PaymentId,
    /// The code.
    pub code: PaymentCode,
    /// The service.
    pub service: ServiceCode,
    /// Who gets the fee.
    pub payee: Option<Bin>,
    /// The fee.
    pub fee: Amount,
    /// How it was paid.
    pub method: Method,
    /// When its notice arrived at the gateway.
    pub arrived_at: UtcTime,
    /// Its deposit has turned up and is booked in its place.
    pub replaced: bool,
}

/// Rows of what was taken over.
pub trait Adopted {
    /// One, by its number at the gateway.
    fn adopted(&self, transaction: &str) -> Result<Option<AdoptedRow>>;
    /// All of them, by number.
    fn all_adopted(&self) -> Result<Vec<AdoptedRow>>;
    /// Inserts or replaces.
    fn put_adopted(&mut self, row: &AdoptedRow) -> Result<()>;
}

/// What two people take over, and what they are told.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Compared {
    /// Payments that both know and say the same of.
    pub agreed: u64,
    /// Payments whose deposit is here and waits for its code.
    pub under_way: u64,
    /// Payments that these books lack.
    pub missing: Vec<Listed>,
    /// What contradicts these books, and why.
    pub conflicts: Vec<(Listed, String)>,
    /// From which day on the register was read: what was forgotten before it stays forgotten, so both who sign see it.
    pub since: Option<Date>,
}

impl Compared {
    /// Nothing moves by it and nobody is told anything: the register says what the books say.
    pub fn agrees(&self) -> bool {
        self.missing.is_empty() && self.conflicts.is_empty()
    }
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sum: Amount = self.missing.iter().map(|listed| listed.fee).sum();
        write!(
            f,
            "take {} payments over {sum} over from the gateway's register ({} agree, {} wait for their code, {} contradict these books)",
            self.missing.len(),
            self.agreed,
            self.under_way,
            self.conflicts.len()
        )?;
        if let Some(since) = self.since {
            write!(f, ", read from {since} on")?;
        }
        for listed in &self.missing {
            write!(f, "\n      {listed}")?;
        }
        for (listed, why) in &self.conflicts {
            write!(f, "\n      contradicts: {listed}: {why}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (way, end) =
            (if self.by_card { "card" } else { "cash" }, if self.refunded { ", refunded" } else { "" });
        write!(
            f,
            "{} {} {way} for {}, notified {}{end}",
            self.transaction,
            self.fee,
            self.service,
            self.arrived_at.local()
        )
    }
}

enum Finding {
    Agrees,
    UnderWay,
    Missing(PaymentId),
    Contradicts(String),
}

impl Center {
    /// The payments of `kiosk` that the number of the gateway can mean.
    fn meant(&self, store: &dyn Store, listed: &Listed) -> Result<Option<(PaymentId, Option<PaymentRow>)>> {
        let Some(half) = of_transaction_number(&listed.transaction) else { return Ok(None) };
        let rows = store.payments_on_slip(half.kiosk, half.number % 10_000_000)?;
        let found = rows.into_iter().find(|row| transaction_number(&row.payment) == listed.transaction);
        Ok(Some((found.as_ref().map_or(half, |row| row.payment), found)))
    }

    fn find_in_books(&self, store: &dyn Store, listed: &Listed) -> Result<Finding> {
        let contradicts = |why: &str| Ok(Finding::Contradicts(why.to_owned()));
        let Some((payment, row)) = self.meant(store, listed)? else {
            return contradicts("no kiosk of this center gives such numbers");
        };
        if let Some(adopted) = store.adopted(&listed.transaction)?
            && !adopted.replaced
        {
            let back = store.disputes_of(&adopted.payment)?.iter().any(|dispute| dispute.state.took_code());
            return if (adopted.code, adopted.fee) != (listed.code, listed.fee) {
                contradicts("it was taken over with another code or fee before")
            } else if back != listed.refunded {
                contradicts(if back {
                    "it was taken back here"
                } else {
                    "it was taken over as paid, and is taken back there"
                })
            } else {
                Ok(Finding::Agrees)
            };
        }
        let Some(row) = row else {
            return if listed.refunded {
                contradicts("it was paid and taken back in the days that these books have forgotten")
            } else {
                Ok(Finding::Missing(payment))
            };
        };
        if store.waiting(&payment)?.is_some() {
            return Ok(Finding::UnderWay);
        }
        if let Some(card) = store.card(&payment)?
            && row.outcome.is_none()
        {
            return Ok(Finding::Contradicts(format!("a card payment that is {:?} here", card.standing)));
        }
        let outcome = row.outcome.as_ref().and_then(Signed::read_unverified);
        match (row.state, outcome.map(|outcome| outcome.verdict)) {
            (PaymentState::Settled | PaymentState::Disputed, Some(Verdict::Accepted { token, .. })) => {
                let token = token.read_unverified();
                let same = token.is_some_and(|token| token.code == listed.code && token.fee == listed.fee);
                let back = store.disputes_of(&payment)?.iter().any(|dispute| dispute.state.took_code());
                if !same {
                    contradicts("it has another code or fee here")
                } else if back != listed.refunded {
                    contradicts(if back { "it was taken back here" } else { "it was taken back there" })
                } else {
                    Ok(Finding::Agrees)
                }
            }
            (_, Some(_)) => contradicts("its money is held here"),
            (PaymentState::Voided, None) => {
                contradicts("nothing was paid for it, its kiosk or this center said")
            }
            (_, None) if listed.refunded => {
                contradicts("it was paid and taken back in the days that these books have forgotten")
            }
            (_, None) => Ok(Finding::Missing(payment)),
        }
    }

    /// Compares the gateway's register with these books. Nothing is changed.
    pub fn compare_register(&self, store: &dyn Store, register: &[Listed]) -> Result<Compared> {
        let mut compared = Compared::default();
        for listed in register {
            match self.find_in_books(store, listed)? {
                Finding::Agrees => compared.agreed += 1,
                Finding::UnderWay => compared.under_way += 1,
                Finding::Missing(_) => compared.missing.push(listed.clone()),
                Finding::Contradicts(why) => compared.conflicts.push((listed.clone(), why)),
            }
        }
        Ok(compared)
    }

    /// Why what two people saw cannot be taken over any more, if so.
    pub(super) fn cannot_adopt(&self, store: &dyn Store, compared: &Compared) -> Result<Option<String>> {
        for listed in &compared.missing {
            if !matches!(self.find_in_books(store, listed)?, Finding::Missing(_)) {
                return Ok(Some(format!("payment {} is in these books now: ask anew", listed.transaction)));
            }
        }
        Ok(None)
    }

    /// Takes over what is missing, and raises an alarm for each contradiction, once. The register counts as heard.
    pub(super) fn adopt_register(
        &self,
        store: &mut dyn Store,
        at: &Moment<'_>,
        compared: &Compared,
    ) -> Result<()> {
        for listed in &compared.missing {
            let Finding::Missing(payment) = self.find_in_books(store, listed)? else { continue };
            self.take_over(store, at.now, listed, payment)?;
            if listed.by_card {
                let text = format!(
                    "card payment {payment} was taken over from the gateway's register; compare it with the acquirer's register"
                );
                self.alarm_once(store, at, ("card-recalled", payment, text))?;
            }
        }
        for (listed, why) in &compared.conflicts {
            let mut text = format!("the gateway's register contradicts these books: {listed}: {why}");
            // The kiosk that the number names, or any: an alarm is about one.
            let kiosk = match self.meant(store, listed)? {
                Some((payment, row)) => {
                    let is_here = row.is_some() || store.adopted(&listed.transaction)?.is_some();
                    if listed.by_card && is_here {
                        // After this alarm people may end it.
                        self.count_attempt(store, at.now, &format!("register-conflict:{payment}"))?;
                        let _ = write!(text, "; see: tolem-center card show {payment}");
                    } else if listed.by_card {
                        text += "; nothing of it is here: compare it with the acquirer's register";
                    }
                    payment.kiosk
                }
                None => match store.kiosks()?.first() {
                    Some(row) => row.kiosk,
                    None => continue,
                },
            };
            let key = format!("register-conflict:{}:{}:{why}", listed.transaction, listed.fee.tiyn());
            if store.attempts(&key)?.is_some() {
                continue;
            }
            self.count_attempt(store, at.now, &key)?;
            store.raise(&Alarm {
                at: at.now,
                kiosk,
                kind: "register-conflict".into(),
                text,
                disputed: listed.fee,
                evidence: Vec::new(),
            })?;
        }
        self.register_heard(store, at)
    }

    /// Books a payment as the register has it. A restored center that still listens books it in the lost days, as what its kiosks tell: their
    /// reports are yet to be made. Of an open one they were made, and what is booked in a past day is never paid out; so it books now.
    pub(super) fn take_over(
        &self,
        store: &mut dyn Store,
        now: UtcTime,
        listed: &Listed,
        payment: PaymentId,
    ) -> Result<()> {
        let row = AdoptedRow {
            transaction: listed.transaction.clone(),
            payment,
            code: listed.code,
            service: listed.service.clone(),
            payee: self.catalogue.find(&listed.service).map(|service| service.payee_bin),
            fee: listed.fee,
            method: if listed.by_card { Method::Card } else { Method::Cash },
            arrived_at: listed.arrived_at,
            replaced: false,
        };
        let booked_at = if store.rebuilding()?.is_some() { listed.arrived_at } else { now };
        book(store, booked_at, &row, "adopted")?;
        store.put_adopted(&row)
    }

    /// The deposit of a payment is booked: what was taken over in its place is taken out. Gives it, if there was something.
    pub(super) fn replace_adopted(
        &self,
        store: &mut dyn Store,
        now: UtcTime,
        payment: &PaymentId,
        is_held: bool,
    ) -> Result<Option<AdoptedRow>> {
        let Some(row) = store.adopted(&transaction_number(payment))?.filter(|row| !row.replaced) else {
            return Ok(None);
        };
        if is_held {
            // Its code may be used, and its money is held all the same: nobody is paid twice before somebody has looked.
            store.raise(&Alarm {
                at: now,
                kiosk: payment.kiosk,
                kind: "register-conflict".into(),
                text: format!(
                    "payment {payment} is paid in the gateway's register, and its deposit turned up and is held: find out whether its code \
                     was used before the money is paid back"
                ),
                disputed: row.fee,
                evidence: Vec::new(),
            })?;
        }
        book(store, now, &row, "replaced")?;
        let row = AdoptedRow { replaced: true, ..row };
        store.put_adopted(&row)?;
        Ok(Some(row))
    }
}

/// The first day that a restored center must compare: the day before the newest thing that its backup knew of.
pub fn first_day(store: &dyn Store) -> Result<Option<Date>> {
    Ok(newest(store)?.map(|moment| moment.plus_seconds(-86_400).date()))
}

/// When the newest thing that these books know of happened. Of a restored center: that its backup knew of, whatever was told to it since, because
/// the days that are lost begin there.
pub fn newest(store: &dyn Store) -> Result<Option<UtcTime>> {
    let until = store.rebuilding()?.map(|state| state.since);
    let in_backup = |at: UtcTime| until.is_none_or(|until| at < until);
    let mut newest = None;
    store.each_posting(&mut |posting| {
        // These are dated by the answer that is told again, or by the register.
        let told_since = until.is_some() && ["recalled", "adopted", "replaced"].contains(&posting.kind);
        if in_backup(posting.at) && !told_since {
            newest = newest.max(Some(posting.at));
        }
    })?;
    store.each_notice(&mut |notice| {
        if in_backup(notice.made_at) {
            newest = newest.max(Some(notice.made_at));
        }
    })?;
    Ok(newest)
}

/// Books a payment that was taken over, or takes it out again. What people have given back is no acquirer's debt but our loss.
fn book(store: &mut dyn Store, at: UtcTime, row: &AdoptedRow, kind: &'static str) -> Result<()> {
    let fee = i64::try_from(row.fee.tiyn()).expect("invariant: an amount is at most Amount::MAX");
    let sum = if kind == "replaced" { -fee } else { fee };
    let from = match row.method {
        Method::Card if has_money_back(store, &row.payment, None)? => Account::OwnLoss,
        Method::Card => Account::Cards,
        Method::Cash | Method::Either => Account::KioskCash(row.payment.kiosk),
    };
    let lines = vec![(from, sum), (row.payee.map_or(Account::Unassigned, Account::payable), -sum)];
    store.post(&Posting { at, payment: row.payment, kind, lines })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_at_the_gateway_reads_back_to_all_it_holds() {
        let kiosk = KioskNumber::new(99_999).unwrap();
        let longest = PaymentId { kiosk, epoch: u32::MAX, number: u64::MAX, nonce: [0xAB; 16] };
        let text = transaction_number(&longest);
        assert_eq!(text, "99999-4294967295-18446744073709551615-abababababababab");
        let mut half = longest;
        half.nonce[8..].fill(0);
        assert_eq!(of_transaction_number(&text), Some(half));
        for wrong in [
            "",
            "1",
            "00042-3-17-",
            "42-3-17-abababababababab",
            "00042-03-17-abababababababab",
            "00042-3-17-ABABABABABABABAB",
            "00042-3-17-abababababababab-1",
            "T1",
        ] {
            assert_eq!(of_transaction_number(wrong), None, "{wrong}");
        }
    }
}
