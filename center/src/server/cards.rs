//! The desk's side of the acquirer: who is there, what is said, what was heard. Nothing is sent that is not on disk.

use super::desk::Desk;
use crate::logic::{acquirer::Heard, store::StoreError};
use tokio::sync::mpsc;
use tolem_protocol::iso8583::Message;

/// The desk's end of the line to the acquirer.
#[derive(Default)]
pub(super) struct CardLine {
    /// Where messages go while the line is open.
    say: Option<mpsc::UnboundedSender<Message>>,
    /// Ticks since alarms were looked for.
    ticks: u32,
}

/// Ticks between two looks for alarms: a minute.
const LOOK: u32 = 60;

impl Desk {
    pub(super) fn acquirer_open(&mut self, say: mpsc::UnboundedSender<Message>) -> Result<(), StoreError> {
        self.cards.say = Some(say);
        self.set_open(true);
        self.cards_due()
    }

    pub(super) fn acquirer_gone(&mut self) -> Result<(), StoreError> {
        self.cards.say = None;
        self.set_open(false);
        Ok(())
    }

    fn set_open(&mut self, open: bool) {
        if let Some(acquirer) = &mut self.center.acquirer {
            acquirer.is_open = open;
        }
    }

    pub(super) fn acquirer_says(&mut self, message: &Message) -> Result<(), StoreError> {
        if self.work(|center, store, at| center.acquirer_says(store, at, message))? == Heard::Unknown {
            (self.fault)(&format!("acquirer: an answer to nothing that was said is refused: {message:?}"));
        }
        self.cards_due()
    }

    /// Says whatever is due, if somebody is there.
    pub(super) fn cards_due(&mut self) -> Result<(), StoreError> {
        let Some(say) = self.cards.say.clone() else { return Ok(()) };
        if self.nothing_due()? {
            return Ok(());
        }
        for message in self.work(|center, store, at| center.card_errands(store, at))? {
            // A line that has just broken: it is due again after its pause.
            let _ = say.send(message);
        }
        Ok(())
    }

    fn nothing_due(&self) -> Result<bool, StoreError> {
        use crate::logic::acquirer::Acquiring as _;
        Ok(self.store.cards_due((self.clock)(), 1)?.is_empty())
    }

    pub(super) fn cards_tick(&mut self) -> Result<(), StoreError> {
        self.cards.ticks = self.cards.ticks.wrapping_add(1);
        if self.center.acquirer.is_some() && self.cards.ticks.is_multiple_of(LOOK) {
            self.work(|center, store, at| center.card_alarms(store, at))?;
        }
        self.cards_due()
    }
}
