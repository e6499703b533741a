//! The office: who may decide about money at the counter, what they asked for, and what was done.
//!
//! Whatever moves money without a kiosk asking (a slip typed in, a rescued journal, a refund, a counted suspense, opening a
//! restored center early) needs two people: one asks, another approves. Both sign, so that the row itself proves who they
//! were; nothing is done before the second signature is on disk.

use crate::logic::{
    acquirer::Standing,
    card_office::CardRuling,
    disputes::{Chargeback, Move, Ruling},
    operator::Found,
    register::{Compared, Listed},
    rescue::Rescue,
    store::{Result, Store},
};
use serde::{Deserialize, Serialize};
use std::fmt;
use tolem_protocol::{
    Amount, BalanceNumber, KioskNumber, PaymentId, UtcTime,
    messages::Deposit,
    signed::{Signature, Signed},
};

/// Somebody who works at the center, known by a key that only they hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OperatorRow {
    /// What they are called, one word.
    pub name: String,
    /// Their Ed25519 public key.
    pub key: [u8; 32],
    /// Since when.
    pub since: UtcTime,
    /// Until when, once they have left; what they signed stays true.
    pub left: Option<UtcTime>,
}

/// What two people decide.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "one request at a time, read and decided on the stack")]
pub enum Action {
    /// Lets somebody decide.
    AddOperator {
        /// Name.
        name: String,
        /// Ed25519 public key.
        key: [u8; 32],
    },
    /// Takes that away.
    RemoveOperator {
        /// Name.
        name: String,
    },
    /// Settles the deposit of a claim slip.
    ImportSlip {
        /// What its QR code says.
        deposit: Signed<Deposit>,
    },
    /// Settles what is open in the journal of a kiosk that cannot send it.
    ImportJournal(Rescue),
    /// Pays an open balance back.
    Refund {
        /// Which.
        balance: BalanceNumber,
    },
    /// Settles a suspense after the cassette was counted.
    Resolve {
        /// Which.
        balance: BalanceNumber,
        /// What the count said.
        found: Found,
    },
    /// Opens a restored center although kiosks are missing.
    Open {
        /// The kiosks that have not told what they know.
        missing: Vec<KioskNumber>,
    },
    /// Opens a complaint about a payment: its money is withheld from the payee.
    Complain {
        /// Which.
        payment: PaymentId,
        /// What its payer says, one line without an IIN.
        why: String,
    },
    /// Decides an open dispute.
    Rule {
        /// Which.
        dispute: u32,
        /// What.
        ruling: Ruling,
    },
    /// Books what the acquirer has taken back, and given back.
    Chargebacks(Vec<Chargeback>),
    /// Takes over from the gateway's register what a restored center has forgotten and no kiosk told.
    TakeRegister(Compared),
    /// Opens a restored center without the gateway's register.
    LeaveRegister,
    /// Ends what a person must end of a card payment.
    EndCard {
        /// Which.
        payment: PaymentId,
        /// How it stood when this was asked for: a ruling on one state says nothing about another.
        seen: Option<Standing>,
        /// What was found out.
        ruling: CardRuling,
        /// What the gateway's register has of it, if these books do not have it as paid: it is taken over as it stands there, if its code is kept.
        listed: Option<Listed>,
        /// From whom, one line without an IIN.
        why: String,
    },
}

impl Action {
    /// The bytes that are kept and signed.
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_allocvec(self).expect("invariant: an action encodes")
    }

    /// Reads them back.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        match postcard::take_from_bytes(bytes) {
            Ok((action, [])) => Some(action),
            _ => None,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddOperator { name, .. } => write!(f, "let {name} decide about money"),
            Self::RemoveOperator { name } => write!(f, "let {name} not decide any more"),
            Self::ImportSlip { deposit } => match deposit.read_unverified() {
                Some(read) => {
                    let sum = read.notes.total().unwrap_or_default();
                    write!(f, "settle the slip of payment {} over {sum}", read.payment)
                }
                None => f.write_str("settle a slip that cannot be read"),
            },
            Self::ImportJournal(rescue) => write!(f, "{rescue}"),
            Self::Refund { balance } => write!(f, "pay balance {balance} back"),
            Self::Resolve { balance, found: Found::Money } => {
                write!(f, "give suspense {balance} to its owner: the money was found")
            }
            Self::Resolve { balance, found: Found::Nothing } => {
                write!(f, "cancel suspense {balance}: the money was not found")
            }
            Self::Open { missing } => {
                f.write_str("open the restored center without kiosk ")?;
                for (place, kiosk) in missing.iter().enumerate() {
                    write!(f, "{}{kiosk}", if place == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
            Self::Complain { payment, why } => {
                write!(f, "dispute payment {payment} for its payer: {why}")
            }
            Self::Rule { dispute, ruling: Ruling::GiveBack } => {
                write!(f, "give the money of dispute {dispute} back, if the code was not used")
            }
            Self::Rule { dispute, ruling: Ruling::Reject } => {
                write!(f, "reject dispute {dispute}: the payment stands")
            }
            Self::Rule { dispute, ruling: Ruling::WriteOff } => {
                write!(f, "write the chargeback of dispute {dispute} off as our loss")
            }
            Self::TakeRegister(compared) => write!(f, "{compared}"),
            Self::LeaveRegister => {
                f.write_str("rebuild without the gateway's register: what no kiosk tells of stays forgotten")
            }
            Self::EndCard { payment, seen, ruling, listed, why } => {
                let stood = seen.map_or_else(|| "forgotten here".to_owned(), |seen| format!("{seen:?}"));
                write!(f, "end card payment {payment}, {stood}: {ruling} ({why})")?;
                let becomes = if *ruling == CardRuling::GivenBack { "seen in" } else { "taken over from" };
                listed
                    .iter()
                    .try_for_each(|listed| write!(f, "\n      {becomes} the gateway's register: {listed}"))
            }
            Self::Chargebacks(lines) => {
                let sum = |way| -> Amount {
                    lines.iter().filter(|line| line.way == way).map(|line| line.amount).sum()
                };
                write!(
                    f,
                    "book {} lines of the acquirer: {} taken from us, {} given back",
                    lines.len(),
                    sum(Move::Taken),
                    sum(Move::Returned)
                )?;
                lines.iter().try_for_each(|line| write!(f, "\n      {line}"))
            }
        }
    }
}

/// How far a request is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RequestState {
    /// Waits for a second person.
    Open,
    /// A second person approved it, and it was done.
    Done {
        /// Who.
        by: String,
        /// When.
        at: UtcTime,
        /// Their signature.
        signature: Signature,
    },
    /// Somebody took it back or refused it.
    Withdrawn {
        /// Who.
        by: String,
        /// When.
        at: UtcTime,
        /// Their signature.
        signature: Signature,
    },
}

/// What somebody asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RequestRow {
    /// Counts the requests, from 1.
    pub number: u32,
    /// When.
    pub at: UtcTime,
    /// Who.
    pub by: String,
    /// [`Action::to_bytes`].
    pub action: Vec<u8>,
    /// Their signature over [`request_message`].
    pub signature: Signature,
    /// How far it is.
    pub state: RequestState,
}

/// Something that was done at the office; the list only grows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Deed {
    /// When.
    pub at: UtcTime,
    /// Who, one or two names.
    pub by: String,
    /// What, one line without an IIN.
    pub what: String,
}

/// What the one who asks signs.
pub fn request_message(by: &str, at: UtcTime, action: &[u8]) -> Vec<u8> {
    [b"tolem request v1\0", by.as_bytes(), b"\0", &at.0.to_be_bytes(), action].concat()
}

/// What the second one signs. It covers the first signature, and so all that was asked.
pub fn decision_message(by: &str, request: &RequestRow, yes: bool) -> Vec<u8> {
    let context: &[u8] = if yes { b"tolem approval v1\0" } else { b"tolem withdrawal v1\0" };
    [context, by.as_bytes(), b"\0", &request.number.to_be_bytes(), &request.signature.0].concat()
}

/// Rows of the office.
pub trait Office {
    /// One operator.
    fn operator(&self, name: &str) -> Result<Option<OperatorRow>>;
    /// All operators, by name.
    fn operators(&self) -> Result<Vec<OperatorRow>>;
    /// Inserts or replaces.
    fn put_operator(&mut self, row: &OperatorRow) -> Result<()>;
    /// One request.
    fn request(&self, number: u32) -> Result<Option<RequestRow>>;
    /// All requests, by number.
    fn requests(&self) -> Result<Vec<RequestRow>>;
    /// Inserts or replaces.
    fn put_request(&mut self, row: &RequestRow) -> Result<()>;
    /// Adds to the list of deeds.
    fn write_deed(&mut self, deed: &Deed) -> Result<()>;
    /// All deeds, oldest first.
    fn deeds(&self) -> Result<Vec<Deed>>;
}

/// The operators who may decide now.
pub fn active(store: &dyn Store) -> Result<Vec<OperatorRow>> {
    Ok(store.operators()?.into_iter().filter(|row| row.left.is_none()).collect())
}
