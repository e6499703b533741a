//! Where the citizen is. Volatile: a restart begins at the attract screen, and money comes back from the journal.

use crate::{secret::Typed, time::Instant, words::Word};
use tolem_protocol::{
    BalanceNumber, ClaimNumber, Denomination,
    catalogue::Group,
    messages::{HeldBalance, Outcome, Quote},
    signed::Signed,
};

/// One place in the conversation.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Dialogue {
    /// Nobody is here.
    Attract,
    /// Choosing a service.
    Catalogue { group: Option<Group>, query: String, keyboard: bool },
    /// Reading about one, by its position.
    Service { service: u16 },
    /// Typing an IIN.
    Iin { digits: Typed, error: Option<Word>, purpose: Purpose },
    /// Typing the number of a claim slip or voucher.
    Number { digits: Typed, error: Option<Word>, then: NumberFor },
    /// Waiting for the center before any money.
    Asking { what: Asked, since: Instant },
    /// Reading the quote.
    Quoted(Box<Offer>),
    /// Reading what to know before the first note. The payment is started.
    Honest,
    /// A card pays. The payment is started.
    Card(CardScreen),
    /// Notes go in. `agreed` = a larger note may leave a remainder.
    Inserting { agreed: Option<Denomination>, stopping: bool },
    /// The sum is in.
    Confirm { stopping: bool },
    /// The center is asked for the code or to hold.
    Working { since: Instant },
    /// The answer is here: print right, printing.
    Handing { since: Instant },
    /// The code on the screen.
    Code { since: Instant, printed: bool, copy: bool },
    /// The claim slip is being printed.
    SlipPrinting,
    /// The claim slip is given (or shown, if it could not be printed).
    Slip { since: Instant, printed: bool },
    /// Money is held; number on screen and paper.
    Held { since: Instant, printed: bool },
    /// A note was taken without a payment: its number and sum, for whoever stands there.
    Found { since: Instant, printed: bool },
    /// A voucher was looked up.
    Balance { balance: HeldBalance, since: Instant },
    /// One message with a way back to the start.
    Message { title: Word, lead: Word, since: Instant },
}

/// Where a card payment is.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum CardScreen {
    /// The slot is open.
    Insert,
    /// The chip works.
    Reading,
    /// Several applications fit: which? Their names.
    Choose(Vec<String>),
    /// The pad takes the PIN.
    Pin,
    /// The center asks the issuer.
    Asking { since: Instant },
    /// Declined for its PIN: again?
    WrongPin { service: u16 },
    /// The card comes out; what is shown when it is taken.
    Take { since: Instant, then: Box<Dialogue> },
}

impl CardScreen {
    /// The card must stay inside.
    pub(super) fn needs_card(&self) -> bool {
        !matches!(self, Self::Insert | Self::Take { .. })
    }
}

/// What an IIN is typed for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// To pay for a service.
    Pay { service: u16 },
    /// For a claim slip.
    Claim(ClaimNumber),
    /// For a voucher.
    Voucher(BalanceNumber),
    /// To find an interrupted payment.
    Interrupted,
}

/// What a number is typed for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NumberFor {
    /// To see what it is worth or get the code.
    LookUp,
    /// To pay with it now.
    Pay { service: u16 },
}

/// What the center is asked before money.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Asked {
    /// The registry, about an IIN.
    Payer { service: u16 },
    /// For a quote.
    Quote { service: u16, balance: Option<BalanceNumber> },
    /// About a claim slip.
    Claim,
    /// About a voucher.
    Voucher,
    /// What it knows of a payment that a restart cut off.
    Interrupted,
}

/// A verified quote that was not accepted yet.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Offer {
    pub service: u16,
    pub signed: Signed<Quote>,
    pub quote: Quote,
}

/// Another payment's answer that is handed out here.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Serving {
    pub outcome: Outcome,
    pub quote: Option<Quote>,
}
