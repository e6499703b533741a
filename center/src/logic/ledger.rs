//! The double-entry ledger: every tiyn that went in is on exactly one account.
//!
//! A posting is a list of signed lines whose sum is zero; debits are positive. Cash in a kiosk is an asset, everything else is owed to
//! somebody or earned, so for each payment: inserted = fee + commission + rounding + change of held money. The check is part
//! of booking, not of a nightly job; `audit` reads everything back and compares it with the rows.

use crate::logic::{
    acquirer::{CardRow, Standing},
    cards::by_card,
    disputes::{DisputeRow, Moved, moved},
    store::{BalanceState, PaymentRow, PaymentState, Result, Store},
};
use std::collections::BTreeMap;
use std::fmt;
use tolem_protocol::{
    Amount, Bin, KioskNumber, PaymentId, UtcTime,
    messages::{HoldReason, Method, Verdict},
    signed::Signed,
};

/// Where money is, or whose it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Account {
    /// Banknotes in the cassette of a kiosk, or on their way from it. Asset.
    KioskCash(KioskNumber),
    /// Owed to us by the acquirer of cards. Asset.
    Cards,
    /// Owed to a payee. Liability.
    Payable([u8; 12]),
    /// Owed to a payee that the catalogue does not name any more; an operator assigns it.
    Unassigned,
    /// Earned commission.
    Commission,
    /// Tiyn that cash cannot pay; may be negative.
    Rounding,
    /// Owed to payers: the sum of all open balances. Liability.
    Held,
    /// Paid back in cash or by transfer by the operator.
    Refunds,
    /// Nobody's until it is decided: credits are withheld from payees, debits were taken by the acquirer of cards.
    Disputed,
    /// Lost by the center's own fault, e.g. a balance spent twice because of a restore, or to a chargeback.
    OwnLoss,
}

impl Account {
    /// The account of a payee.
    pub fn payable(bin: Bin) -> Self {
        Self::Payable(bin.into())
    }

    /// Reads the [`fmt::Display`] form.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text.split_once(':') {
            Some(("cash", number)) => Self::KioskCash(KioskNumber::new(number.parse().ok()?)?),
            Some(("payable", bin)) => Self::payable(Bin::parse(bin)?),
            Some(_) => return None,
            None => match text {
                "cards" => Self::Cards,
                "unassigned" => Self::Unassigned,
                "commission" => Self::Commission,
                "rounding" => Self::Rounding,
                "held" => Self::Held,
                "refunds" => Self::Refunds,
                "disputed" => Self::Disputed,
                "own-loss" => Self::OwnLoss,
                _ => return None,
            },
        })
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KioskCash(kiosk) => write!(f, "cash:{kiosk}"),
            Self::Payable(bin) => {
                f.write_str("payable:")?;
                bin.iter().try_for_each(|digit| write!(f, "{digit}"))
            }
            Self::Cards => f.write_str("cards"),
            Self::Unassigned => f.write_str("unassigned"),
            Self::Commission => f.write_str("commission"),
            Self::Rounding => f.write_str("rounding"),
            Self::Held => f.write_str("held"),
            Self::Refunds => f.write_str("refunds"),
            Self::Disputed => f.write_str("disputed"),
            Self::OwnLoss => f.write_str("own-loss"),
        }
    }
}

/// One booking.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Posting {
    /// When.
    pub at: UtcTime,
    /// For which payment.
    pub payment: PaymentId,
    /// What for, one word.
    pub kind: &'static str,
    /// Account and tiyn; debits positive.
    pub lines: Vec<(Account, i64)>,
}

/// Words that [`Posting::kind`] can be.
pub const KINDS: [&str; 15] = [
    "accepted",
    "held",
    "recalled",
    "refunded",
    "cancelled",
    "disputed",
    "restored",
    "given-back",
    "charged-back",
    "taken-back",
    "regained",
    "released",
    "written-off",
    "adopted",
    "replaced",
];

/// The money of one settled deposit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Split {
    /// Kiosk the notes are in.
    pub kiosk: KioskNumber,
    /// Notes.
    pub inserted: Amount,
    /// Taken from an older balance: the account that answers for it, normally [`Account::Held`].
    pub from_balance: (Account, Amount),
    /// The fee, and the account of who gets it.
    pub fee: Option<(Account, Amount)>,
    /// Commission.
    pub commission: Amount,
    /// Fee and commission as paid in cash.
    pub cash_total: Amount,
    /// New held balance.
    pub held: Amount,
}

fn signed(amount: Amount) -> i64 {
    i64::try_from(amount.tiyn()).expect("invariant: an amount is at most Amount::MAX")
}

impl Split {
    /// The lines of this split, without empty ones.
    ///
    /// Panics if they do not balance: then a rule above is wrong and nothing may be booked.
    pub fn lines(&self) -> Vec<(Account, i64)> {
        let (payee, fee) = self.fee.unwrap_or((Account::Unassigned, Amount::ZERO));
        let rounding = signed(self.cash_total) - signed(fee) - signed(self.commission);
        let mut lines = vec![
            (Account::KioskCash(self.kiosk), signed(self.inserted)),
            (self.from_balance.0, signed(self.from_balance.1)),
            (payee, -signed(fee)),
            (Account::Commission, -signed(self.commission)),
            (Account::Rounding, -rounding),
            (Account::Held, -signed(self.held)),
        ];
        lines.retain(|(_, tiyn)| *tiyn != 0);
        assert_balanced(&lines);
        lines
    }
}

/// Panics unless the lines sum up to zero.
pub fn assert_balanced(lines: &[(Account, i64)]) {
    let sum: i64 = lines.iter().map(|(_, tiyn)| tiyn).sum();
    assert!(sum == 0, "a posting must balance, this one is off by {sum} tiyn: {lines:?}");
}

/// Balance of every account, debits positive.
pub fn totals(store: &dyn Store) -> Result<BTreeMap<Account, i64>> {
    let mut totals = BTreeMap::new();
    store.each_posting(&mut |posting| {
        for (account, tiyn) in posting.lines {
            *totals.entry(account).or_insert(0) += tiyn;
        }
    })?;
    Ok(totals)
}

/// Compares the ledger with payments and balances; each finding is one line. Empty means that every tiyn is accounted for.
pub fn audit(store: &dyn Store) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    let mut booked: BTreeMap<PaymentId, Booked> = BTreeMap::new();
    store.each_posting(&mut |posting| {
        let sum: i64 = posting.lines.iter().map(|(_, tiyn)| tiyn).sum();
        if sum != 0 {
            findings.push(format!("posting of {} is off by {sum} tiyn", posting.payment));
        }
        let entry = booked.entry(posting.payment).or_default();
        for (account, tiyn) in &posting.lines {
            match account {
                Account::KioskCash(_) => entry.cash += tiyn,
                Account::Cards => entry.cards += tiyn,
                Account::Payable(_) | Account::Unassigned => entry.fee -= tiyn,
                Account::Disputed => entry.disputed += tiyn,
                Account::OwnLoss
                    if ["accepted", "recalled", "adopted", "replaced"].contains(&posting.kind) =>
                {
                    entry.loss += tiyn;
                }
                Account::Commission
                | Account::Rounding
                | Account::Held
                | Account::Refunds
                | Account::OwnLoss => {}
            }
        }
    })?;

    let mut open = 0i64;
    let mut cancelled: BTreeMap<PaymentId, i64> = BTreeMap::new();
    store.each_balance(&mut |balance| match balance.state {
        BalanceState::Issued | BalanceState::Reserved { .. } => open += signed(balance.amount),
        BalanceState::Cancelled => *cancelled.entry(balance.from).or_default() += signed(balance.amount),
        BalanceState::Spent { .. } | BalanceState::Refunded => {}
    })?;
    let held = totals(store)?.get(&Account::Held).copied().unwrap_or(0);
    if -held != open {
        findings.push(format!("the held account says {} tiyn, open balances sum up to {open}", -held));
    }

    let mut cards = BTreeMap::new();
    store.each_card(&mut |row| drop(cards.insert(row.payment, row)))?;
    let mut disputes: BTreeMap<PaymentId, Vec<DisputeRow>> = BTreeMap::new();
    for row in store.disputes()? {
        disputes.entry(row.payment).or_default().push(row);
    }
    // What was taken over from the gateway's register stands for a payment until its deposit turns up.
    for row in store.all_adopted()?.into_iter().filter(|row| !row.replaced) {
        let entry = booked.entry(row.payment).or_default();
        let (fee, by_card) = (signed(row.fee), row.method == Method::Card && entry.loss == 0);
        let moved = all_moved(&disputes.remove(&row.payment).unwrap_or_default(), fee, by_card);
        entry.fee -= fee - moved.fee;
        *match (by_card, entry.loss) {
            (true, _) => &mut entry.cards,
            (false, 0) => &mut entry.cash,
            (false, _) => &mut entry.loss,
        } -= fee;
        entry.cards -= moved.cards;
        entry.disputed -= moved.disputed;
    }
    store.each_payment(&mut |row| {
        let payment = row.payment;
        let booked = booked.remove(&payment).unwrap_or_default();
        let cash = signed(row.inserted) - cancelled.get(&payment).copied().unwrap_or(0);
        if booked.cash != cash {
            findings.push(format!("payment {payment}: cash is {cash} tiyn, booked are {}", booked.cash));
        }
        let (disputes, fee) = (disputes.remove(&payment).unwrap_or_default(), fee_of(&row));
        let card = cards.remove(&payment);
        // A card that has its money back has paid nothing that a dispute could give back.
        let by_card = paid_by_card(&row).is_some() && booked.loss == 0;
        let moved = all_moved(&disputes, fee.unwrap_or(0), by_card);
        if booked.disputed != moved.disputed {
            findings.push(format!(
                "payment {payment}: {} tiyn are in dispute, booked are {}",
                moved.disputed, booked.disputed
            ));
        }
        if disputes.iter().any(|dispute| dispute.state.is_open()) != (row.state == PaymentState::Disputed) {
            findings.push(format!("payment {payment}: state {:?} and its disputes disagree", row.state));
        }
        findings.extend(by_card_wrong(&row, (booked.cards - moved.cards, booked.loss), card));
        match fee.map(|fee| fee - moved.fee) {
            Some(fee) if fee == booked.fee => {}
            Some(fee) => {
                findings.push(format!("payment {payment}: the fee is {fee} tiyn, booked are {}", booked.fee));
            }
            None => findings.push(format!("payment {payment}: state {:?} and answer disagree", row.state)),
        }
    })?;
    for payment in disputes.into_keys() {
        findings.push(format!("payment {payment} is disputed, which is unknown"));
    }
    for payment in cards.into_keys() {
        findings.push(format!("the acquirer was asked for payment {payment}, which is unknown"));
    }
    for (payment, booked) in booked.into_iter().filter(|(_, booked)| *booked != Booked::default()) {
        let Booked { cash, cards, fee, disputed, .. } = booked;
        findings.push(format!(
            "{cash} tiyn in cash, {cards} by card, {fee} as a fee, {disputed} in dispute are booked for payment {payment}, which is unknown"
        ));
    }
    Ok(findings)
}

/// The fee that a payment has in its answer; `None` if state and answer disagree.
fn fee_of(row: &PaymentRow) -> Option<i64> {
    match (row.state, row.outcome.as_ref().map(|outcome| outcome.read_unverified())) {
        (PaymentState::Settled | PaymentState::Disputed, Some(Some(outcome))) => match outcome.verdict {
            Verdict::Accepted { token, .. } => token.read_unverified().map(|token| signed(token.fee)),
            Verdict::Held(_) => Some(0),
        },
        (PaymentState::Quoted | PaymentState::Voided, None) => Some(0),
        _ => None,
    }
}

/// What a card has paid for an accepted payment.
fn paid_by_card(row: &PaymentRow) -> Option<Amount> {
    let outcome = row.outcome.as_ref().and_then(Signed::read_unverified)?;
    let accepted = matches!(outcome.verdict, Verdict::Accepted { .. });
    let quote = row.quote.as_ref().and_then(Signed::read_unverified).filter(|_| accepted)?;
    by_card(&quote, row.inserted)
}

/// What does not fit between a payment, what is booked as paid by card, and how it stands with the acquirer.
fn by_card_wrong(row: &PaymentRow, (booked, loss): (i64, i64), card: Option<CardRow>) -> Option<String> {
    let payment = row.payment;
    let by_card = paid_by_card(row);
    let paid = by_card.map_or(0, signed);
    // Recalled after its money was given back: no card has paid, and what its fee was booked from is the center's loss.
    let lost = by_card.map_or(0, |_| loss);
    if booked + lost != paid {
        return Some(format!("payment {payment}: a card paid {paid} tiyn, booked are {booked}, lost {lost}"));
    }
    let card = card?;
    let taken = matches!(card.standing, Standing::Confirming | Standing::Confirmed);
    let wrong = taken != (booked != 0) || taken && signed(card.amount) != paid;
    wrong.then(|| {
        format!(
            "payment {payment}: {booked} tiyn are booked, and with the acquirer it is {:?}",
            card.standing
        )
    })
}

/// What the disputes about one payment have moved.
fn all_moved(disputes: &[DisputeRow], fee: i64, by_card: bool) -> Moved {
    disputes.iter().map(|dispute| moved(dispute, fee, by_card)).fold(Moved::default(), |sum, one| Moved {
        fee: sum.fee + one.fee,
        cards: sum.cards + one.cards,
        disputed: sum.disputed + one.disputed,
    })
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
struct Booked {
    cash: i64,
    cards: i64,
    fee: i64,
    disputed: i64,
    /// What the center's own loss has paid of it.
    loss: i64,
}

/// The balance that a verdict creates.
pub fn held_by(verdict: &Verdict) -> Option<tolem_protocol::messages::HeldBalance> {
    match verdict {
        Verdict::Accepted { remainder, .. } => *remainder,
        Verdict::Held(balance) => Some(*balance),
    }
}

/// A word for a hold reason, for tables and lists.
pub const fn reason_word(reason: HoldReason) -> &'static str {
    match reason {
        HoldReason::Stopped => "stopped",
        HoldReason::Remainder => "remainder",
        HoldReason::Suspense => "suspense",
        HoldReason::NoPayment => "no-payment",
        HoldReason::Refused => "refused",
        HoldReason::JournalFailed => "journal-failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split() -> Split {
        Split {
            kiosk: KioskNumber::new(42).unwrap(),
            inserted: Amount::from_tenge(6_000),
            from_balance: (Account::Held, Amount::from_tenge(100)),
            fee: Some((Account::payable(Bin::parse("991240000013").unwrap()), Amount::from_tiyn(540_625))),
            commission: Amount::ZERO,
            cash_total: Amount::from_tenge(5_406),
            held: Amount::from_tenge(694),
        }
    }

    #[test]
    fn tiyn_that_cash_cannot_pay_go_to_the_rounding_account() {
        let lines = split().lines();
        assert!(lines.contains(&(Account::Rounding, 25)), "{lines:?}");
        assert_eq!(lines.iter().map(|(_, tiyn)| tiyn).sum::<i64>(), 0);
    }

    #[test]
    #[should_panic(expected = "off by")]
    fn a_split_that_loses_a_tiyn_is_not_booked() {
        let mut wrong = split();
        wrong.held = Amount::from_tiyn(69_399);
        wrong.lines();
    }

    #[test]
    fn accounts_read_back() {
        let bin = Bin::parse("991240000013").unwrap();
        let kiosk = KioskNumber::new(7).unwrap();
        for account in [
            Account::KioskCash(kiosk),
            Account::payable(bin),
            Account::Cards,
            Account::Unassigned,
            Account::Commission,
            Account::Rounding,
            Account::Held,
            Account::Refunds,
            Account::Disputed,
            Account::OwnLoss,
        ] {
            assert_eq!(Account::parse(&account.to_string()), Some(account));
        }
        for text in ["", "cash:0", "cash:", "payable:1", "till", "held:1"] {
            assert_eq!(Account::parse(text), None, "{text}");
        }
    }
}
