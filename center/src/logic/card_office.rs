//! What a person ends of a card payment, after having talked to acquirer or gateway: where a program would ask for ever, or cannot ask.
//!
//! Nothing here is done while a machine may still end it: a ruling is possible only when an alarm says that a person must look. Two people
//! sign it ([`crate::logic::approval`]).

use crate::logic::{
    Center, Moment,
    acquirer::{CardRow, Standing},
    disputes::DisputeRow,
    errands::{NoticeKind, NoticeRow},
    store::{Result, Store},
};
use serde::{Deserialize, Serialize};
use std::fmt;
use tolem_protocol::{PaymentId, card::VoidReason};

/// What a person found out about a card payment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum CardRuling {
    /// The money is taken: the acquirer has it, or takes it on our word; the citizen has the code.
    Taken,
    /// Nothing is held or taken from the card, or it was credited by hand; the code is worth nothing.
    GivenBack,
    /// The citizen has the code and the acquirer does not pay: it is treated as a chargeback of all of it.
    NotPaid,
    /// The gateway's people have struck the code that the gateway would not void.
    CodeStruck,
}

impl fmt::Display for CardRuling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Taken => "its money is taken",
            Self::GivenBack => "its money is given back",
            Self::NotPaid => "the acquirer does not pay it",
            Self::CodeStruck => "its code was struck at the gateway",
        })
    }
}

/// Alarms after which a person decides about an approval.
const UNDECIDED: [&str; 2] = ["card-undecided", "card-unclear"];
/// Alarms after which a person ends what is said to the acquirer again and again.
const STUCK: [&str; 3] = ["card-disputed", "card-number-lost", "card-message"];
/// Alarms about a payment whose request this database does not have.
const FORGOTTEN: [&str; 2] = ["card-recalled", "card-unclear"];

fn alarmed(store: &dyn Store, payment: &PaymentId, kinds: &[&str]) -> Result<bool> {
    for kind in kinds {
        if store.attempts(&format!("{kind}:{payment}"))?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn ended_key(payment: &PaymentId) -> String {
    format!("card-ended:{payment}")
}

/// The word that the code is void, of which the gateway wants to hear nothing.
fn void_owed(store: &dyn Store, payment: &PaymentId) -> Result<Option<NoticeRow>> {
    let mut owed = None;
    store.each_notice(&mut |row| {
        if row.payment == *payment && row.kind == NoticeKind::Void && row.taken_at.is_none() {
            owed = Some(row);
        }
    })?;
    Ok(owed)
}

/// Whether a person must end this payment at the acquirer. `card` is its row, if there is one.
pub fn waits_for_a_person(store: &dyn Store, payment: &PaymentId, card: Option<&CardRow>) -> Result<bool> {
    match card.map(|row| row.standing) {
        Some(Standing::Approved) => alarmed(store, payment, &UNDECIDED),
        Some(Standing::Confirming | Standing::Reversing) => alarmed(store, payment, &STUCK),
        Some(Standing::Sent | Standing::Declined | Standing::Confirmed | Standing::Reversed) => Ok(false),
        None => Ok(store.attempts(&ended_key(payment))?.is_none() && alarmed(store, payment, &FORGOTTEN)?),
    }
}

impl Center {
    /// Why a card payment cannot be ended so, if it cannot. `seen` is how it stood when that was asked for.
    pub(super) fn cannot_end_card(
        &self,
        store: &dyn Store,
        (payment, seen): (&PaymentId, Option<Standing>),
        ruling: CardRuling,
        why: &str,
    ) -> Result<Option<String>> {
        if let Some(fault) = super::disputes::wrong_reason(why) {
            return Ok(Some(fault));
        }
        if ruling == CardRuling::CodeStruck {
            let refused = alarmed(store, payment, &["notice-refused", "code-not-void"])?;
            let owed = void_owed(store, payment)?.is_some();
            return Ok((!owed || !refused)
                .then(|| format!("the gateway has not refused to void the code of payment {payment}")));
        }
        let card = store.card(payment)?;
        let stands = card.as_ref().map(|row| row.standing);
        if stands != seen {
            let word = |standing: Option<Standing>| {
                standing.map_or_else(|| "forgotten".to_owned(), |standing| format!("{standing:?}"))
            };
            return Ok(Some(format!(
                "payment {payment} was {} when this was asked for and is {} now: look again (`card show`) and ask anew",
                word(seen),
                word(stands)
            )));
        }
        if !waits_for_a_person(store, payment, card.as_ref())? {
            return Ok(Some(match card {
                Some(row) => format!(
                    "payment {payment} is {:?}, and no alarm says that a person must end it",
                    row.standing
                ),
                None => format!("no alarm says that a person must end payment {payment}"),
            }));
        }
        if ruling == CardRuling::NotPaid
            && let Some(row) = store.disputes_of(payment)?.into_iter().find(|row| row.state.is_open())
        {
            return Ok(Some(format!("dispute {} about the payment is open: decide it first", row.number)));
        }
        let paid = self.is_paid_by_card(store, payment)?;
        Ok(match (card.map(|row| row.standing), ruling) {
            (Some(Standing::Approved), CardRuling::Taken | CardRuling::GivenBack)
            | (Some(Standing::Confirming), CardRuling::Taken | CardRuling::NotPaid)
            | (Some(Standing::Reversing), CardRuling::GivenBack) => None,
            (None, CardRuling::Taken | CardRuling::NotPaid) if paid => None,
            (None, CardRuling::GivenBack) if !paid => None,
            (Some(Standing::Approved), _) => {
                Some("it is not confirmed: it is taken or given-back".to_owned())
            }
            (Some(Standing::Confirming), _) => {
                Some("it is booked as paid and its citizen has the code: it is taken or not-paid".to_owned())
            }
            (Some(Standing::Reversing), _) => {
                Some("its code is void: have the money credited by hand, then it is given-back".to_owned())
            }
            (None, _) if paid => Some("it is booked as paid: it is taken or not-paid".to_owned()),
            (None, _) => Some(
                "no code of it is known here: have what was taken credited by hand, then it is given-back"
                    .to_owned(),
            ),
            (Some(_), _) => Some("it is over".to_owned()),
        })
    }

    /// Does what two people found out. Gives the dispute that begins by it.
    pub(super) fn rule_card(
        &self,
        store: &mut dyn Store,
        at: &mut Moment<'_>,
        payment: &PaymentId,
        ruling: CardRuling,
        why: &str,
    ) -> Result<Option<DisputeRow>> {
        let card = store.card(payment)?;
        match (ruling, card.as_ref().map(|row| row.standing)) {
            (CardRuling::CodeStruck, _) => {
                if let Some(row) = void_owed(store, payment)? {
                    store.put_notice(&NoticeRow { taken_at: Some(at.now), ..row })?;
                    self.code_is_void(store, at.now, payment)?;
                }
                return Ok(None);
            }
            (CardRuling::Taken, Some(Standing::Approved)) => {
                self.card_confirm(store, at, payment.kiosk, payment)?;
            }
            (CardRuling::GivenBack, Some(Standing::Approved)) => {
                self.card_void(store, at, payment.kiosk, payment, VoidReason::Abandoned)?;
            }
            _ => {
                self.count_attempt(store, at.now, &ended_key(payment))?;
                if let Some(row) = card {
                    let standing = match row.standing {
                        Standing::Reversing => Standing::Reversed,
                        _ => Standing::Confirmed,
                    };
                    store.put_card(&CardRow { standing, sealed_number: Vec::new(), words: None, ..row })?;
                }
                if ruling == CardRuling::NotPaid {
                    return self.not_paid(store, at, payment, why);
                }
            }
        }
        Ok(None)
    }
}
