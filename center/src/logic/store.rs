//! What the center keeps: rows, and the trait that keeps them.
//!
//! The rules see only this trait, so that the served binary (SQLite or PostgreSQL) and the simulated world (memory) run the same rules. A
//! store does not judge: it keeps what it is given and gives it back. One request is one transaction; an error in it
//! means that nothing of it happened and that nothing may be answered.

use crate::logic::{
    acquirer::Acquiring, disputes::Disputes, enrolment::Enrolment, errands::Errands, ledger::Posting,
    office::Office, presence::Presence, rebuild::Standing, register::Adopted,
};
use std::fmt;
use tolem_protocol::{
    Amount, BalanceNumber, Bin, KioskNumber, PaymentCode, PaymentId, UtcTime,
    catalogue::ServiceCode,
    merkle::Hash,
    messages::{Deposit, HoldReason, Outcome, Quote},
    signed::Signed,
    utc::Date,
};

/// Why the store failed. What it holds is unknown until it is opened again, so the center stops answering.
#[derive(Debug)]
pub struct StoreError(pub String);

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StoreError {}

/// Result of a store operation.
pub type Result<T> = std::result::Result<T, StoreError>;

/// HMAC-SHA256 of an IIN under the center's tag key: enough to compare and to look up, useless to whoever steals the database.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PayerTag(pub [u8; 32]);

impl fmt::Debug for PayerTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PayerTag(…)")
    }
}

/// A registered kiosk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KioskRow {
    /// Its number.
    pub kiosk: KioskNumber,
    /// Ed25519 key of its journal: signs deposits and checkpoints.
    pub journal_key: [u8; 32],
    /// Last epoch granted to it, 0 before the first.
    pub epoch: u32,
    /// Boot nonce of that epoch.
    pub boot_nonce: [u8; 16],
    /// Why no new payment may start there; an operator clears it.
    pub closed: Option<String>,
}

/// How far a payment is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PaymentState {
    /// A quote was given; no money is known of.
    Quoted,
    /// The kiosk said that nothing was stacked.
    Voided,
    /// The final answer was given.
    Settled,
    /// It was accepted, and its money is in dispute until two people or the acquirer have decided.
    Disputed,
}

/// One payment id and everything known about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PaymentRow {
    /// The id.
    pub payment: PaymentId,
    /// How far it is.
    pub state: PaymentState,
    /// Who pays.
    pub payer: Option<PayerTag>,
    /// Last four digits of the payer's IIN.
    pub payer_tail: u16,
    /// Day (in Kazakhstan) of the quote or deposit, for the limit per day.
    pub day: Date,
    /// Who gets the fee, as the catalogue said when the quote was made.
    pub payee: Option<Bin>,
    /// The quote given for it.
    pub quote: Option<Signed<Quote>>,
    /// The deposit that settled it.
    pub deposit: Option<Signed<Deposit>>,
    /// The final answer.
    pub outcome: Option<Signed<Outcome>>,
    /// Cash that went in.
    pub inserted: Amount,
    /// Who may print the code as an original.
    pub printed_by: Option<KioskNumber>,
}

/// What became of a held balance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BalanceState {
    /// Open: the owner may use it.
    Issued,
    /// Taken by one payment until the deadline.
    Reserved {
        /// The payment.
        by: PaymentId,
        /// After this another payment may take it.
        until: UtcTime,
    },
    /// Used up by a payment.
    Spent {
        /// The payment.
        by: PaymentId,
    },
    /// Paid back by the operator.
    Refunded,
    /// A suspense that turned out to be no money: the note never was in the cassette.
    Cancelled,
}

/// Money kept for somebody.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BalanceRow {
    /// Its number.
    pub number: BalanceNumber,
    /// Whose it is; `None` when nobody typed an IIN.
    pub owner: Option<PayerTag>,
    /// How much.
    pub amount: Amount,
    /// Why.
    pub reason: HoldReason,
    /// The payment it came from.
    pub from: PaymentId,
    /// What became of it.
    pub state: BalanceState,
    /// For a suspense: an operator found the money, so the owner may use it.
    pub resolved: bool,
    /// When it was made.
    pub made_at: UtcTime,
}

/// State of a payment code at the gateway.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CodeState {
    /// Made; the payment is not confirmed yet.
    Issued,
    /// The notice of payment was accepted.
    Paid,
    /// The service was obtained with it.
    Used,
    /// The payment failed.
    Void,
    /// Not used in time.
    Expired,
    /// The money went back.
    Refunded,
}

/// A payment code at the gateway.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CodeRow {
    /// The code.
    pub code: PaymentCode,
    /// The payment it is for.
    pub payment: PaymentId,
    /// The service it pays.
    pub service: ServiceCode,
    /// Whose it is.
    pub payer: PayerTag,
    /// The exact fee.
    pub fee: Amount,
    /// State.
    pub state: CodeState,
    /// When it was made.
    pub issued_at: UtcTime,
    /// When the notice of payment arrived.
    pub paid_at: Option<UtcTime>,
    /// Redeem before this.
    pub valid_until: UtcTime,
}

/// The newest checkpoint of a kiosk that the witness cosigned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WitnessRow {
    /// Tree size.
    pub size: u64,
    /// Its root.
    pub root: Hash,
    /// The signed note.
    pub note: String,
}

/// Wrong tries counted under one key since `first`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AttemptRow {
    /// Start of the window.
    pub first: UtcTime,
    /// Tries in it.
    pub count: u32,
}

/// Something an operator must look at. Kept with the bytes that prove it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alarm {
    /// When.
    pub at: UtcTime,
    /// Which kiosk it is about.
    pub kiosk: KioskNumber,
    /// Kind, a word for filters: `id-conflict`, `journal-rolled-back`, ...
    pub kind: String,
    /// One line for people; no IIN.
    pub text: String,
    /// Sum that is disputed, zero if none.
    pub disputed: Amount,
    /// The bytes that prove it.
    pub evidence: Vec<u8>,
}

/// Durable storage of the center.
pub trait Store: Office + Errands + Standing + Presence + Enrolment + Acquiring + Disputes + Adopted {
    /// Life of this database: never the same after a restore.
    fn center_epoch(&self) -> Result<u32>;
    /// Begins a new life.
    fn set_center_epoch(&mut self, epoch: u32) -> Result<()>;

    /// One kiosk.
    fn kiosk(&self, kiosk: KioskNumber) -> Result<Option<KioskRow>>;
    /// All kiosks, by number.
    fn kiosks(&self) -> Result<Vec<KioskRow>>;
    /// Inserts or replaces.
    fn put_kiosk(&mut self, row: &KioskRow) -> Result<()>;
    /// Journal keys that the kiosk had before: what they signed stays true.
    fn former_keys(&self, kiosk: KioskNumber) -> Result<Vec<[u8; 32]>>;
    /// Remembers one.
    fn add_former_key(&mut self, kiosk: KioskNumber, key: &[u8; 32]) -> Result<()>;
    /// The epoch granted to this boot of the kiosk.
    fn boot(&self, kiosk: KioskNumber, nonce: &[u8; 16]) -> Result<Option<u32>>;
    /// Remembers the epoch granted to a boot.
    fn put_boot(&mut self, kiosk: KioskNumber, nonce: &[u8; 16], epoch: u32) -> Result<()>;

    /// One payment.
    fn payment(&self, payment: &PaymentId) -> Result<Option<PaymentRow>>;
    /// Inserts or replaces.
    fn put_payment(&mut self, row: &PaymentRow) -> Result<()>;
    /// Payments of `kiosk` whose number ends in `slip` (modulo ten million), newest epoch first.
    fn payments_on_slip(&self, kiosk: KioskNumber, slip: u64) -> Result<Vec<PaymentRow>>;
    /// Cash that is in and answered for, of one payer on one day: settled or disputed.
    fn settled_cash(&self, payer: &PayerTag, day: Date) -> Result<Amount>;
    /// Payments of one payer on one day that are quoted and have no answer.
    fn quoted_of(&self, payer: &PayerTag, day: Date) -> Result<Vec<PaymentRow>>;
    /// Gives each payment to `each`, in order of id.
    fn each_payment(&self, each: &mut dyn FnMut(PaymentRow)) -> Result<()>;

    /// One balance.
    fn balance(&self, number: BalanceNumber) -> Result<Option<BalanceRow>>;
    /// Inserts or replaces.
    fn put_balance(&mut self, row: &BalanceRow) -> Result<()>;
    /// Gives each balance to `each`, in order of number.
    fn each_balance(&self, each: &mut dyn FnMut(BalanceRow)) -> Result<()>;

    /// One code.
    fn code(&self, code: PaymentCode) -> Result<Option<CodeRow>>;
    /// Inserts or replaces.
    fn put_code(&mut self, row: &CodeRow) -> Result<()>;
    /// The code that was made for a payment.
    fn code_of(&self, payment: &PaymentId) -> Result<Option<CodeRow>>;

    /// Books a posting. The caller has checked that it is balanced.
    fn post(&mut self, posting: &Posting) -> Result<()>;
    /// Gives each posting to `each`, in order of booking.
    fn each_posting(&self, each: &mut dyn FnMut(Posting)) -> Result<()>;

    /// What the witness knows of a kiosk's journal.
    fn witness(&self, kiosk: KioskNumber) -> Result<Option<WitnessRow>>;
    /// Replaces it.
    fn put_witness(&mut self, kiosk: KioskNumber, row: &WitnessRow) -> Result<()>;

    /// Wrong tries under `key`.
    fn attempts(&self, key: &str) -> Result<Option<AttemptRow>>;
    /// Replaces them.
    fn put_attempts(&mut self, key: &str, row: AttemptRow) -> Result<()>;

    /// Adds an alarm.
    fn raise(&mut self, alarm: &Alarm) -> Result<()>;
    /// All alarms, oldest first.
    fn alarms(&self) -> Result<Vec<Alarm>>;
}

/// A store that can do several things as one.
pub trait Transact: Store + Sized {
    /// Runs `work`; keeps all of it, durably, if it succeeds, and nothing of it otherwise. A store that several processes share may take it
    /// back and run it again from its beginning, with what the others have written meanwhile.
    fn transact<R>(&mut self, work: impl FnMut(&mut Self) -> Result<R>) -> Result<R>;
}
