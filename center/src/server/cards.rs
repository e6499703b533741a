//! The desk's side of card payments: who waits for what, and what is said to the acquirer. Nothing is sent that is not on disk.
//!
//! Number, PIN and chip data of an order are here, in memory, from the order to the request; nowhere else and no longer.

use super::desk::{Asking, Desk, LONGEST_WAIT};
use crate::{
    logic::{
        Answer,
        acquirer::{Acquiring as _, Heard, Why},
        cards::{Draft, LineWatch, Next, Said},
        errands::{Errands as _, Made, Reply},
        store::StoreError,
    },
    server::errands::Call,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};
use tokio::sync::{mpsc, oneshot};
use tolem_protocol::{
    PaymentId,
    card::CardAnswer,
    iso8583::Message,
    messages::{Refusal, Request, Response},
};

/// Ticks between two looks for alarms: a minute.
const LOOK: u32 = 60;

/// Something to say to the acquirer.
pub(crate) struct Word {
    /// What.
    pub message: Message,
    /// The payment whose request it is; `None` for advices and reversals.
    pub asks: Option<PaymentId>,
}

/// The desk's end of the line to the acquirer.
#[derive(Default)]
pub(super) struct CardLine {
    /// Where words go while the line is open.
    say: Option<mpsc::UnboundedSender<Word>>,
    /// Orders whose code is not made yet.
    drafts: BTreeMap<PaymentId, Draft>,
    /// Requests that went out on this connection and are not answered.
    under_way: BTreeSet<PaymentId>,
    /// Kiosks that wait for the answer to an order, and since when.
    waiters: BTreeMap<PaymentId, Vec<(Instant, oneshot::Sender<Response>)>>,
    /// Ticks since alarms were looked for.
    ticks: u32,
    watch: LineWatch,
}

impl CardLine {
    fn answer(&mut self, payment: &PaymentId, response: &Response) {
        for (_, waiter) in self.waiters.remove(payment).unwrap_or_default() {
            // Whoever asked may be gone; it will enquire.
            let _ = waiter.send(response.clone());
        }
    }
}

impl Desk {
    /// Takes an order by card.
    pub(super) fn order_by_card(&mut self, asking: Asking) -> Result<(), StoreError> {
        let Asking { kiosk, request, reply, .. } = asking;
        // On a database of several processes the newest conversation may be at another one; then this one is over.
        let known = self.under_way.sessions.get(&kiosk).copied();
        let answer = self.work(|center, store, at| {
            if store.is_shared() && known != Some(store.session(kiosk)?) {
                return Ok(None);
            }
            center.ask(store, at, kiosk, &request, None).map(Some)
        })?;
        let payment = match answer {
            None => return Ok(()),
            Some(Answer::Order(payment)) => payment,
            Some(Answer::Ready(response)) => {
                let _ = reply.send(response);
                return Ok(());
            }
            Some(Answer::Payer(_) | Answer::Code(_)) => {
                let _ = reply.send(Response::Refused(Refusal::Unavailable));
                return Ok(());
            }
        };
        if let Request::Authorize(order) = &request
            && let Some(draft) = self.center.draft(order)
        {
            self.cards.drafts.insert(payment, draft);
        }
        self.cards.waiters.entry(payment).or_default().push((Instant::now(), reply));
        self.fetch_card_code(payment)?;
        self.due()
    }

    /// A kiosk has undone a payment: whatever waits for it is over.
    pub(super) fn card_voided(&mut self, payment: &PaymentId, response: &Response) {
        self.cards.drafts.remove(payment);
        self.cards.answer(payment, response);
    }

    fn fetch_card_code(&mut self, payment: PaymentId) -> Result<(), StoreError> {
        if let Some(calls) = &self.calls {
            if let Some(order) = self.center.order(&self.store, (self.clock)(), &payment)?
                && self.under_way.codes.insert(payment)
            {
                let _ = calls.send(Call::Code(Box::new(order)));
            }
            return Ok(());
        }
        let reply = self.work(|center, store, at| center.card_code_here(store, at, &payment))?;
        self.card_code(payment, &reply)
    }

    /// Orders that wait here are asked for from here, whoever runs the errands: nobody else has what they hold.
    fn fetch_drafts(&mut self) -> Result<(), StoreError> {
        let now = (self.clock)();
        for payment in self.cards.drafts.keys().copied().collect::<Vec<_>>() {
            match self.store.waiting(&payment)? {
                Some(row) if row.next <= now => self.fetch_card_code(payment)?,
                Some(_) => {}
                // Another process has ended it.
                None => drop(self.cards.drafts.remove(&payment)),
            }
        }
        Ok(())
    }

    /// The gateway has replied about the code of a card payment.
    pub(super) fn card_code(&mut self, payment: PaymentId, reply: &Reply<Made>) -> Result<(), StoreError> {
        let draft = self.cards.drafts.remove(&payment);
        let next =
            self.work(|center, store, at| center.card_code(store, at, &payment, reply, draft.as_ref()))?;
        match next {
            Next::Wait => {
                self.cards.drafts.extend(draft.map(|draft| (payment, draft)));
            }
            Next::Ask(message) => {
                self.cards.under_way.insert(payment);
                if let Some(say) = &self.cards.say {
                    // A line that has just broken says so next, and then this is undone.
                    let _ = say.send(Word { message, asks: Some(payment) });
                }
            }
            Next::Answer(response) => self.cards.answer(&payment, &response),
        }
        Ok(())
    }

    pub(super) fn acquirer_open(&mut self, say: mpsc::UnboundedSender<Word>) -> Result<(), StoreError> {
        self.cards.say = Some(say);
        self.set_open(true);
        self.due()
    }

    /// The line is gone: what went out on it has no answer.
    pub(super) fn acquirer_gone(&mut self) -> Result<(), StoreError> {
        self.cards.say = None;
        self.set_open(false);
        for payment in std::mem::take(&mut self.cards.under_way) {
            self.give_up(payment)?;
        }
        self.due()
    }

    /// A request that was not sent, and never will be.
    pub(super) fn not_sent(&mut self, payment: PaymentId, why: &str) -> Result<(), StoreError> {
        (self.fault)(&format!("acquirer: payment {payment} could not be asked for: {why}"));
        self.cards.under_way.remove(&payment);
        let response = self.work(|center, store, at| center.not_sent(store, at, &payment))?;
        self.cards.answer(&payment, &response);
        self.due()
    }

    fn give_up(&mut self, payment: PaymentId) -> Result<(), StoreError> {
        self.work(|center, store, at| center.undo(store, at, &payment, Why::NoAnswer))?;
        self.cards.answer(&payment, &Response::Card(CardAnswer::Voided));
        Ok(())
    }

    fn set_open(&mut self, open: bool) {
        if let Some(acquirer) = &mut self.center.acquirer {
            acquirer.is_open = open;
        }
    }

    pub(super) fn acquirer_says(&mut self, message: &Message) -> Result<(), StoreError> {
        match self.work(|center, store, at| center.acquirer_says(store, at, message))? {
            Said::Decided(payment, response) => {
                self.cards.under_way.remove(&payment);
                self.cards.answer(&payment, &response);
            }
            Said::Other(Heard::Unknown) => {
                (self.fault)(&format!(
                    "acquirer: an answer to nothing that was said is refused: {message:?}"
                ));
            }
            // Undone here or by another process, before its answer came.
            Said::Other(Heard::Late(row)) => drop(self.cards.under_way.remove(&row.payment)),
            Said::Other(_) => {}
        }
        self.due()
    }

    /// Says whatever is due, if somebody is there, and undoes what was not answered in time.
    pub(super) fn cards_due(&mut self) -> Result<(), StoreError> {
        // Asked each time: one whose line is gone lets go, and another with a line speaks.
        let speaks = self.store.speaks_to_acquirer(self.cards.say.is_some())?;
        if self.store.cards_due((self.clock)(), 1)?.is_empty() {
            return Ok(());
        }
        let (messages, undone) = if speaks {
            self.work(|center, store, at| center.card_errands(store, at))?
        } else if self.store.runs_errands()? {
            (Vec::new(), self.work(|center, store, at| center.cards_overdue(store, at))?)
        } else {
            return Ok(());
        };
        for payment in undone {
            self.cards.under_way.remove(&payment);
            self.cards.answer(&payment, &Response::Card(CardAnswer::Voided));
        }
        for message in messages {
            if let Some(say) = &self.cards.say {
                // A line that has just broken: it is due again after its pause.
                let _ = say.send(Word { message, asks: None });
            }
        }
        Ok(())
    }

    pub(super) fn cards_tick(&mut self) -> Result<(), StoreError> {
        for waiters in self.cards.waiters.values_mut() {
            let late = |(since, _): &mut (Instant, _)| since.elapsed() > LONGEST_WAIT;
            for (_, waiter) in waiters.extract_if(.., late) {
                let _ = waiter.send(Response::Card(CardAnswer::Undecided));
            }
        }
        self.cards.waiters.retain(|_, waiters| !waiters.is_empty());
        if self.calls.is_none() && self.store.runs_errands()? {
            // The gateway of this process is asked here; one elsewhere with all other codes.
            for order in self.center.orders_due(&self.store, (self.clock)())? {
                if self.center.waits_for_card(&self.store, &order.payment)? {
                    self.fetch_card_code(order.payment)?;
                }
            }
        }
        if let Some(acquirer) = &self.center.acquirer
            && self.cards.watch.tick(acquirer.is_open)
        {
            self.work(|center, store, at| center.acquirer_lost(store, at))?;
        }
        self.fetch_drafts()?;
        self.cards.ticks = self.cards.ticks.wrapping_add(1);
        if self.center.acquirer.is_some() && self.cards.ticks.is_multiple_of(LOOK) {
            self.work(|center, store, at| center.card_alarms(store, at))?;
        }
        Ok(())
    }
}
