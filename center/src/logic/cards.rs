//! What the center says to the acquirer of cards, and what it does with the answers: between [`super::acquirer`] and the shell.

use crate::logic::{
    Center, Moment,
    acquirer::{self, CardRow, Heard, Standing},
    store::{Result, Store},
};
use tolem_protocol::{
    UtcTime,
    iso8583::{Message, de},
};
use zeroize::Zeroizing;

/// Messages that are handed out at once.
const AT_ONCE: u32 = 16;
/// An approval of which nobody has said for so long what becomes of it is alarmed, in seconds: below the shortest time that issuers hold
/// money for.
const UNDECIDED_S: i64 = 3_600;

/// The acquirer of this center, as its messages name it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Acquirer {
    /// Its number, field 32.
    pub number: String,
    /// Signed on: payments may be asked for.
    pub is_open: bool,
}

impl Center {
    /// What is to be said to the acquirer now: advices and reversals, also for requests that were not answered in time.
    pub fn card_errands(&self, store: &mut dyn Store, at: &Moment<'_>) -> Result<Vec<Message>> {
        let mut messages = Vec::new();
        for row in acquirer::due(store, at.now, AT_ONCE)? {
            messages.extend(self.card_errand(store, at, &row)?);
        }
        Ok(messages)
    }

    fn card_errand(&self, store: &mut dyn Store, at: &Moment<'_>, row: &CardRow) -> Result<Option<Message>> {
        let payment = row.payment;
        let Some(number) = self.keys.open_number(&row.sealed_number, &payment) else {
            let text = format!("the card number of payment {payment} does not open; tell the acquirer by hand");
            self.alarm_once(store, at, ("card-number-lost", payment, text))?;
            return Ok(None);
        };
        let digits: Zeroizing<Vec<u8>> =
            Zeroizing::new(number.digits().iter().map(|digit| digit + b'0').collect());
        match acquirer::errand(row, &digits) {
            Ok(Some(message)) => Ok(Some(self.signed_by_us(message))),
            Ok(None) => Ok(None),
            Err(error) => {
                let text = format!("what is owed to the acquirer for payment {payment} cannot be said: {error}");
                self.alarm_once(store, at, ("card-message", payment, text))?;
                Ok(None)
            }
        }
    }

    /// Adds what the acquirer wants to hear in each message.
    pub(super) fn signed_by_us(&self, mut message: Message) -> Message {
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
        at: &Moment<'_>,
        answer: &Message,
    ) -> Result<Heard> {
        let heard = acquirer::hear(store, answer)?;
        match &heard {
            Heard::Disputed(row) => {
                let code = answer.get(de::RESPONSE).map(String::from_utf8_lossy).unwrap_or_default();
                let what = if row.standing == Standing::Confirming { "confirmation" } else { "reversal" };
                let text = format!("the acquirer refuses the {what} of payment {}: code {code}", row.payment);
                self.alarm_once(store, at, ("card-disputed", row.payment, text))?;
            }
            Heard::Decided(_) | Heard::Settled(_) | Heard::Late(_) | Heard::Unknown => {}
        }
        Ok(heard)
    }

    /// Alarms for approvals that nobody decides about.
    pub fn card_alarms(&self, store: &mut dyn Store, at: &Moment<'_>) -> Result<()> {
        let before = UtcTime(at.now.0.saturating_sub(UNDECIDED_S * 1_000));
        for row in store.cards_undecided(before)? {
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
