//! What the answers to POLL mean, and what time does to a state.

use super::{
    AcceptorFault, Arrival, Ccnet, Config, Confirmation, Event, Instant, MAX_ATTEMPTS, Note, Order,
    PollStatus, PowerUp, Question, Reject, RejectReason, Stage, TypeMask, Way,
};
use std::time::Duration;
use tolem_probe::{Fault, Site, planted, sometimes};

impl Ccnet {
    /// Confirms a poll answer, unless the kiosk must do so first, and acts on it.
    pub(super) fn take_status(&mut self, status: PollStatus) {
        self.take_fault(status);
        let arrival = match status {
            PollStatus::Stacked(index) => Some(Arrival::Stacked(index)),
            PollStatus::Returned(index) => Some(Arrival::Returned(index)),
            _ => None,
        };
        if let Some(arrival) = arrival {
            self.arrived(arrival);
        } else {
            self.link.confirm(&self.config, self.now);
            self.leave_arrival(status);
        }
        let new = self.last.replace(status) != Some(status);
        if new {
            self.tell(status);
        }
        self.take_position(status);
    }

    /// 81 or 82.
    pub(super) fn arrived(&mut self, arrival: Arrival) {
        if self.confirmation == Confirmation::Given(arrival) {
            // On disk already: our ACK was too late or lost.
            sometimes(Site::StackedRepeated);
            self.link.confirm(&self.config, self.now);
            return;
        }
        if planted(Fault::PowerUpNoteIgnored) && self.stage != Stage::Running {
            self.link.confirm(&self.config, self.now);
            return;
        }
        let unannounced = self.note.is_some_and(|note| !note.announced);
        if unannounced && matches!(arrival, Arrival::Returned(_)) {
            // We gave it back by ourselves; the kiosk never heard of it.
            self.confirmation = Confirmation::Given(arrival);
            self.link.confirm(&self.config, self.now);
            (self.note, self.order) = (None, None);
            return;
        }
        let gap =
            self.order.is_some_and(|order| order.way == Way::Stack && order.sent.is_some() && order.gap);
        if matches!(arrival, Arrival::Returned(_)) && (gap || self.unsure) {
            // This one came back. But it may be the one behind the note of the order, whose "stacked" was not heard.
            self.confirmation = Confirmation::Given(arrival);
            self.link.confirm(&self.config, self.now);
            (self.note, self.order) = (None, None);
            if self.stage == Stage::Running {
                self.start_over_unsure();
            }
            return;
        }
        self.link.leave_open(&self.config, self.now);
        self.confirmation = Confirmation::Asked(arrival);
        (self.note, self.order) = (None, None);
        if self.identity.is_none() && !self.early_done {
            // Its type means nothing without the table. One try: the device may refuse in this state.
            sometimes(Site::StackedBeforeTable);
            (self.early, self.early_done) = (Some(Question::Identification), true);
            self.deferred = Some(arrival);
        }
        if self.early.is_none() {
            self.say(arrival.event());
        }
    }

    /// Any state but 81 and 82: the event is over, and the same answer would be a new one. Power-up states prove nothing: a device
    /// that lost power before our ACK reports the same note again.
    fn leave_arrival(&mut self, status: PollStatus) {
        match status {
            PollStatus::PowerUp
            | PollStatus::PowerUpBillInValidator
            | PollStatus::PowerUpBillInStacker
            | PollStatus::Initialize
            | PollStatus::Busy(_) => return,
            _ => {}
        }
        if let Confirmation::Asked(Arrival::Stacked(_)) | Confirmation::Given(Arrival::Stacked(_)) =
            self.confirmation
        {
            self.counter_due = self.counter.is_some();
        }
        if !planted(Fault::NextNoteIsRepetition) {
            self.confirmation = Confirmation::None;
        }
    }

    pub(super) fn is_asked(&self) -> bool {
        matches!(self.confirmation, Confirmation::Asked(_)) || self.early.is_some()
    }

    /// Raises and clears what the device says about itself.
    fn take_fault(&mut self, status: PollStatus) {
        let fault = match status {
            PollStatus::CassetteFull => Some(AcceptorFault::CassetteFull),
            PollStatus::CassetteOut => Some(AcceptorFault::CassetteOut),
            PollStatus::ValidatorJam => Some(AcceptorFault::ValidatorJam),
            PollStatus::CassetteJam => Some(AcceptorFault::CassetteJam),
            PollStatus::Cheated => Some(AcceptorFault::Cheated),
            PollStatus::Failure(code) => Some(AcceptorFault::Failure(code.code())),
            PollStatus::Unknown(code) => Some(AcceptorFault::Failure(code)),
            // Seen to work again.
            PollStatus::Idling
            | PollStatus::Disabled
            | PollStatus::Accepting
            | PollStatus::Stacked(_)
            | PollStatus::Returned(_) => None,
            // A new note came in; the same note proves nothing.
            PollStatus::Escrow(_) if self.note.is_none() => None,
            // Says nothing about faults.
            PollStatus::Escrow(_)
            | PollStatus::PowerUp
            | PollStatus::PowerUpBillInValidator
            | PollStatus::PowerUpBillInStacker
            | PollStatus::Initialize
            | PollStatus::Stacking
            | PollStatus::Returning
            | PollStatus::Holding
            | PollStatus::Busy(_)
            | PollStatus::Rejecting(_)
            | PollStatus::Pause
            | PollStatus::Suspect(_)
            | PollStatus::Counterfeit(_) => return,
        };
        self.set_fault(fault);
    }

    fn set_fault(&mut self, fault: Option<AcceptorFault>) {
        if self.device_fault == fault {
            return;
        }
        if let Some(old) = self.device_fault.take() {
            self.say(Event::Fault(old, false));
        }
        if let Some(new) = fault {
            self.device_fault = Some(new);
            self.fault_since = self.now;
            self.say(Event::Fault(new, true));
        } else {
            self.fault_reset_done = false;
        }
    }

    /// Events that are told when a state begins.
    fn tell(&mut self, status: PollStatus) {
        match status {
            PollStatus::Accepting => self.say(Event::Accepting),
            PollStatus::Rejecting(reason) => self.say(Event::Rejected(match reason {
                RejectReason::Inhibited => Reject::Inhibited,
                RejectReason::Insertion
                | RejectReason::Dielectric
                | RejectReason::Compensation
                | RejectReason::Transport
                | RejectReason::Identification
                | RejectReason::Verification
                | RejectReason::Optic
                | RejectReason::Capacitance
                | RejectReason::Length
                | RejectReason::Ultraviolet => Reject::Unread,
                other => Reject::Other(other.code()),
            })),
            PollStatus::Pause => self.say(Event::Rejected(Reject::TooFast)),
            PollStatus::Suspect(_) => self.say(Event::Rejected(Reject::Other(0x84))),
            PollStatus::Counterfeit(_) => self.say(Event::Rejected(Reject::Other(0x90))),
            _ => {}
        }
    }

    fn take_position(&mut self, status: PollStatus) {
        let power_up = match status {
            PollStatus::PowerUp => Some(PowerUp::Empty),
            PollStatus::PowerUpBillInValidator => Some(PowerUp::NoteReturned),
            PollStatus::PowerUpBillInStacker => Some(PowerUp::NoteInStacker),
            _ => None,
        };
        if let Some(found) = power_up {
            if planted(Fault::PowerUpNoteIgnored) && found == PowerUp::NoteInStacker {
                return self.powered_up(PowerUp::NoteReturned);
            }
            return self.powered_up(found);
        }
        self.busy_until = self.now;
        match status {
            PollStatus::Busy(tenths) => {
                self.busy_until = self.now + Duration::from_millis(u64::from(tenths) * 100)
            }
            PollStatus::Idling | PollStatus::Disabled if self.stage != Stage::Running => {
                (self.note, self.order) = (None, None);
            }
            PollStatus::Escrow(index) => self.in_escrow(Some(index)),
            PollStatus::Holding => self.in_escrow(None),
            // It moves: the order, if any, is being carried out.
            PollStatus::Stacking | PollStatus::Returning => {
                if let Some(order) = &mut self.order {
                    (order.due, order.moved) = (false, true);
                }
            }
            _ => {}
        }
        if self.is_asked() {
            return;
        }
        match self.stage {
            Stage::Finding { since } => self.found(status, since),
            Stage::Initializing { since } => self.initializing(status, since),
            Stage::Running => self.running(status),
            Stage::Inhibiting | Stage::Resetting | Stage::Asking(_) => {}
        }
    }

    /// It lost power, now or before we came.
    fn powered_up(&mut self, found: PowerUp) {
        match self.stage {
            // Our RESET is on its way.
            Stage::Resetting => return,
            Stage::Initializing { since } if self.now.since(since) < self.config.power_up_settle => return,
            _ => {}
        }
        // The note that we know to be on disk and it does not know to be confirmed.
        let repetition = matches!(self.confirmation, Confirmation::Given(Arrival::Stacked(_)));
        let told = if repetition && found == PowerUp::NoteInStacker { PowerUp::Empty } else { found };
        match told {
            PowerUp::NoteReturned => sometimes(Site::PowerUpReturned),
            PowerUp::NoteInStacker => sometimes(Site::PowerUpStacked),
            PowerUp::Empty | PowerUp::Kept => {}
        }
        self.forget();
        self.say(Event::PoweredUp(told));
        self.stage = Stage::Resetting;
        if told == PowerUp::NoteInStacker {
            // Its table is needed before the note is told, and is given now but not any more then.
            (self.early, self.early_done) = (Some(Question::Identification), true);
        }
    }

    /// 80 or 1A.
    fn in_escrow(&mut self, index: Option<u8>) {
        let now = self.now;
        let known = self.note.is_some();
        if known
            && self.order.is_some_and(|order| {
                order.way == Way::Stack && (order.moved || order.gap && order.sent.is_some())
            })
        {
            // The note of the order left, or may have left unseen: this is the next one, and what became of the first was not heard. Nothing is ordered
            // twice: RESET gives this one back, and the counter or a person finds the other.
            return self.start_over_unsure();
        }
        if !known {
            let wanted = index.is_some_and(|index| self.wanted.contains(index));
            let announced = self.stage != Stage::Running || wanted;
            self.note = Some(Note { since: now, held: now, announced });
            match (self.stage, index) {
                (Stage::Running, Some(index)) if wanted => self.say(Event::Escrowed { index }),
                (Stage::Running, _) => {
                    sometimes(Site::EscrowUnwanted);
                    self.say(Event::Rejected(Reject::Inhibited));
                    self.give_order(Way::Return);
                }
                // Nobody remembers why it is there: back to the citizen.
                _ => self.give_order(Way::Return),
            }
        }
        if let Some(order) = &mut self.order {
            again(order, now, &self.config);
        }
    }

    fn found(&mut self, status: PollStatus, since: Instant) {
        let patience = self.config.initialize;
        let kept = match status {
            PollStatus::Idling
            | PollStatus::Disabled
            | PollStatus::CassetteFull
            | PollStatus::CassetteOut
            | PollStatus::ValidatorJam
            | PollStatus::CassetteJam
            | PollStatus::Failure(_)
            | PollStatus::Unknown(_) => true,
            // A note moves, or it initialises: what comes of it matters.
            _ => self.now.since(since) >= patience,
        };
        if kept {
            self.start_over();
        }
    }

    /// It kept its power: told, inhibited, reset.
    pub(super) fn start_over(&mut self) {
        self.forget();
        self.say(Event::PoweredUp(PowerUp::Kept));
        self.stage = Stage::Inhibiting;
    }

    /// The same, and what is in the path now is not the note of the order.
    fn start_over_unsure(&mut self) {
        sometimes(Site::NoteSeenNowhere);
        self.unsure = true;
        self.start_over();
    }

    fn initializing(&mut self, status: PollStatus, since: Instant) {
        match status {
            PollStatus::Initialize if self.learning.is_some() && !self.early_done => {
                (self.early, self.early_done) = (Some(Question::Identification), true);
            }
            PollStatus::Disabled => self.stage = Stage::Asking(Question::Identification),
            // RESET does not put a cassette back.
            PollStatus::CassetteOut | PollStatus::CassetteFull => {}
            _ if self.note.is_none() && self.now.since(since) >= self.config.initialize => {
                self.stage = Stage::Resetting;
            }
            _ => {}
        }
    }

    fn running(&mut self, status: PollStatus) {
        self.applied_seen |=
            !matches!(status, PollStatus::Disabled | PollStatus::Initialize | PollStatus::Busy(_));
        let waited = self.now.since(self.applied_at) >= self.config.settle;
        let at_rest = matches!(status, PollStatus::Idling | PollStatus::Disabled);
        if at_rest && self.note.is_some() {
            // The note left escrow and was seen nowhere: only the counter can tell where it is.
            sometimes(Site::NoteSeenNowhere);
            return self.start_over();
        }
        match (status, self.applied) {
            (PollStatus::Disabled, Some(applied))
                if applied != TypeMask::NONE && (waited || self.applied_seen) =>
            {
                // It disabled itself, e.g. after its cassette was out.
                self.applied = Some(TypeMask::NONE);
                if self.wanted != TypeMask::NONE {
                    self.wanted = TypeMask::NONE;
                    self.say(Event::Ready);
                }
            }
            (PollStatus::Idling, Some(TypeMask::NONE)) if waited => self.applied = None,
            _ => {}
        }
    }

    /// Silence and babble.
    pub(super) fn watch_line(&mut self) {
        if self.now.since(self.link.heard()) < self.config.silence {
            return;
        }
        let fault = if self.link.is_babbling() { AcceptorFault::Protocol } else { AcceptorFault::Absent };
        self.link.restart_silence(self.now);
        if self.line_fault == Some(fault) {
            return;
        }
        sometimes(Site::AcceptorSilent);
        match self.line_fault.replace(fault) {
            Some(old) => self.say(Event::Fault(old, false)),
            None => self.absent_reset_at = self.now,
        }
        self.say(Event::Fault(fault, true));
    }

    /// Whether RESET may be tried on a device that does not answer: CCNET wants it every 10 s, but not with a note on its way.
    pub(super) fn may_reset_absent(&self) -> bool {
        let in_motion = self.note.is_some() || self.order.is_some() || self.is_asked();
        !in_motion && self.now.since(self.absent_reset_at) >= self.config.absent_reset
    }

    /// Undecided notes and slow orders.
    pub(super) fn watch_note(&mut self) {
        if let Some(note) = self.note
            && self.order.is_none()
            && self.now.since(note.since) >= self.config.escrow
        {
            self.give_order(Way::Return);
        }
        if let Some(order) = self.order
            && self.now.since(order.since) >= self.config.order
            && self.device_fault.is_none()
            && self.line_fault.is_none()
        {
            self.set_fault(Some(AcceptorFault::ValidatorJam));
        }
    }

    /// A jam or failure that stays gets one RESET.
    pub(super) fn watch_fault(&mut self) {
        let resettable = matches!(
            self.device_fault,
            Some(AcceptorFault::ValidatorJam | AcceptorFault::CassetteJam | AcceptorFault::Failure(_))
        );
        // The citizen may just not have taken the note yet.
        let untaken = self.last == Some(PollStatus::Returning);
        let patience = if untaken { self.config.untaken_reset } else { self.config.fault_reset };
        if resettable
            && self.stage == Stage::Running
            && !self.fault_reset_done
            && !self.is_asked()
            && self.line_fault.is_none()
            && self.now.since(self.fault_since) >= patience
        {
            self.fault_reset_done = true;
            self.start_over();
        }
    }
}

/// The note is still in escrow although an order was given: once more, if that can help.
fn again(order: &mut Order, now: Instant, config: &Config) {
    let Some(sent) = order.sent else { return };
    let settled = !order.obeyed || now.since(sent) >= config.order_settle;
    if order.attempts < MAX_ATTEMPTS && settled {
        order.due = true;
    }
}
