//! The moving half: rollers, notes, cassette, power, and the hands of citizen and technician.

use super::{
    Banknote, CcnetDevice, Fault, InsertError, MAX_REMEMBERED, NoteId, NoteRecord, Phase, PhysicalEvent,
    Place, Stuck,
};
use tolem_core::time::Instant;
use tolem_protocol::ccnet::{PollStatus, RejectReason, TypeMask};

/// Later than anything.
const NEVER: Instant = Instant(u64::MAX);

impl CcnetDevice {
    /// Runs mechanics and line up to `now`, each step at its own time.
    pub(super) fn advance(&mut self, now: Instant) {
        loop {
            let motion = self.deadline().filter(|due| *due <= now);
            let heard = self.to_device.next_due().filter(|due| *due <= now);
            match (motion, heard) {
                (Some(due), arrives) if arrives.is_none_or(|arrives| due <= arrives) => {
                    self.now = self.now.max(due);
                    self.step(self.now);
                }
                (_, Some(due)) => {
                    self.now = self.now.max(due);
                    if let Some(bytes) = self.to_device.receive(due) {
                        self.hear(self.now, &bytes);
                    }
                }
                _ => break,
            }
        }
        self.now = self.now.max(now);
        self.drop_stale(self.now);
    }

    /// When the mechanics do something by themselves.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let phase = match &self.phase {
            Phase::Initialize { until }
            | Phase::Accepting { until }
            | Phase::Escrow { until, .. }
            | Phase::Returning { until }
            | Phase::Paused { until, .. }
            | Phase::Busy { until, .. } => *until,
            Phase::Stacking { commits, until } => *if self.credit.is_none() { commits } else { until },
            Phase::Rejecting { until, told, .. } if *told || self.path.is_some() => *until,
            Phase::Off
            | Phase::PowerUp(_)
            | Phase::Ready
            | Phase::StackedTold
            | Phase::ReturnedTold
            | Phase::CheatedTold
            | Phase::Rejecting { .. } => NEVER,
        };
        Some(phase.min(self.take_at.unwrap_or(NEVER))).filter(|due| *due < NEVER)
    }

    fn step(&mut self, now: Instant) {
        if self.take_at.is_some_and(|at| at <= now) {
            return self.taken(now);
        }
        let timing = self.config.timing;
        match self.phase.clone() {
            Phase::Initialize { .. } => self.initialized(now),
            Phase::Accepting { .. } => self.accepted(now),
            Phase::Escrow { .. } => self.phase = Phase::Returning { until: now + timing.give_back },
            Phase::Stacking { until, .. } => {
                if self.credit.is_none() {
                    self.credit = Some(self.kind);
                    self.move_path(Place::Transport);
                }
                if until <= now {
                    self.fall_into_cassette();
                    self.phase = Phase::StackedTold;
                }
            }
            Phase::Returning { .. } => self.offer(now),
            Phase::Rejecting { told, .. } => {
                self.move_path(Place::Returned);
                self.path = None;
                if told {
                    self.become_ready();
                }
            }
            Phase::Paused { was, .. } => {
                self.second_taken();
                match *was {
                    Phase::Accepting { .. } => self.reject(now, RejectReason::PreviousBill),
                    _ => self.phase = Phase::Returning { until: now + timing.give_back },
                }
            }
            Phase::Busy { since, was, .. } => self.phase = was.later_by(now, since),
            Phase::Off
            | Phase::PowerUp(_)
            | Phase::Ready
            | Phase::StackedTold
            | Phase::ReturnedTold
            | Phase::CheatedTold => {}
        }
    }

    /// The rollers brought a note as far as the sensors: what is it?
    fn accepted(&mut self, now: Instant) {
        let Some(note) = self.path_note() else { return self.become_ready() };
        let found = match self.misread_next.take() {
            Some(index) => Ok(index),
            None if note.foreign => Err(RejectReason::Identification),
            None if !note.genuine => Err(RejectReason::Verification),
            None => match self.config.type_of(note.denomination, note.pattern) {
                Some(kind) => Ok(kind.index),
                None => Err(RejectReason::Identification),
            },
        };
        let found = self.reject_next.take().map_or(found, Err);
        match found {
            Ok(index) if !self.accept.contains(index) => self.reject(now, RejectReason::Inhibited),
            Ok(index) if self.escrow.contains(index) => {
                self.kind = index;
                self.move_path(Place::Escrow);
                self.phase = Phase::Escrow { until: now + self.config.timing.escrow_limit, holding: false };
            }
            Ok(index) => {
                self.kind = index;
                self.begin_stacking(now);
            }
            Err(reason) => self.reject(now, reason),
        }
    }

    pub(super) fn begin_stacking(&mut self, now: Instant) {
        let timing = self.config.timing;
        let commits = now + timing.no_return.min(timing.stack);
        self.phase = Phase::Stacking { commits, until: now + timing.stack };
    }

    fn reject(&mut self, now: Instant, reason: RejectReason) {
        self.phase = Phase::Rejecting { until: now + self.config.timing.give_back, reason, told: false };
    }

    /// The note is in the slot again; it stays until it is taken.
    fn offer(&mut self, now: Instant) {
        self.move_path(Place::Inlet);
        self.phase = Phase::Returning { until: NEVER };
        self.take_at = self.config.timing.citizen_takes.map(|after| now + after);
    }

    fn taken(&mut self, now: Instant) {
        self.take_at = None;
        self.move_path(Place::Returned);
        self.path = None;
        match self.phase {
            Phase::Returning { .. } => self.phase = Phase::ReturnedTold,
            Phase::Initialize { until: NEVER } => self.initialized(now),
            _ => {}
        }
    }

    /// RESET, or a fault was cleared: everything starts over but an unconfirmed credit and the notes in the path.
    pub(super) fn initialize(&mut self, now: Instant) {
        (self.accept, self.escrow, self.security) = (TypeMask::NONE, TypeMask::NONE, TypeMask::NONE);
        self.told = None;
        self.cheat_waits = false;
        self.second_taken();
        if matches!(self.stuck, Some(Stuck::Validator { soft: true } | Stuck::Cassette { soft: true })) {
            self.stuck = None;
        }
        self.phase = Phase::Initialize { until: now + self.config.timing.initialize };
    }

    /// Self-test done: give back or swallow what is in the path.
    fn initialized(&mut self, now: Instant) {
        let place = self.path.and_then(|id| self.place_of(id));
        match place {
            _ if self.stuck.is_some() => self.phase = Phase::Ready,
            Some(Place::Validator | Place::Escrow) => {
                self.offer(now);
                self.phase = Phase::Initialize { until: NEVER };
            }
            Some(Place::Inlet) => self.phase = Phase::Initialize { until: NEVER },
            Some(Place::Transport) if !self.cassette_in => self.phase = Phase::Ready,
            Some(Place::Transport) => {
                self.fall_into_cassette();
                self.phase = Phase::StackedTold;
            }
            _ if self.credit.is_some() => self.phase = Phase::StackedTold,
            _ => self.phase = Phase::Ready,
        }
    }

    fn fall_into_cassette(&mut self) {
        self.move_path(Place::Cassette);
        self.path = None;
        self.counter = self.counter.wrapping_add(1);
    }

    /// An event was confirmed: next event, or ready.
    pub(super) fn become_ready(&mut self) {
        self.phase = if std::mem::take(&mut self.cheat_waits) { Phase::CheatedTold } else { Phase::Ready };
    }

    pub(super) fn is_full(&self) -> bool {
        self.full || self.cassette().count() >= self.config.capacity
    }

    // Hands.

    /// A citizen pushes a note into the slot. An error means that it stays in the hand.
    pub fn insert(&mut self, now: Instant, note: Banknote) -> Result<NoteId, InsertError> {
        self.advance(now);
        let status = self.status().ok_or(InsertError::NoPower)?;
        match &self.phase {
            Phase::Ready if status == PollStatus::Idling && !self.silent => {
                let id = self.new_note(note, Place::Validator);
                self.path = Some(id);
                self.phase = Phase::Accepting { until: now + self.config.timing.accept };
                Ok(id)
            }
            Phase::Accepting { .. } | Phase::Stacking { .. } if self.credit.is_none() => {
                let id = self.new_note(note, Place::Inlet);
                self.second = Some(id);
                let until = now + self.config.timing.pause_limit;
                self.phase = Phase::Paused { until, since: now, was: Box::new(self.phase.clone()) };
                Ok(id)
            }
            Phase::Ready | Phase::PowerUp(_) | Phase::Initialize { .. } | Phase::Off => {
                Err(InsertError::Inhibited(status))
            }
            _ => Err(InsertError::Occupied(status)),
        }
    }

    /// The citizen takes what is in the slot: a returned note or a second one pushed in. `None` if nothing can be taken.
    pub fn pull_note(&mut self, now: Instant) -> Option<NoteId> {
        self.advance(now);
        if let Phase::Paused { since, was, .. } = &self.phase {
            let (since, was) = (*since, was.clone());
            let id = self.second;
            self.second_taken();
            self.phase = was.later_by(now, since);
            return id;
        }
        let id = self.path.filter(|id| self.place_of(*id) == Some(Place::Inlet))?;
        self.taken(now);
        Some(id)
    }

    /// Something goes wrong.
    pub fn set_fault(&mut self, now: Instant, fault: Fault) {
        self.advance(now);
        match fault {
            Fault::Jam => self.get_stuck(Stuck::Validator { soft: false }),
            Fault::SoftJam => self.get_stuck(Stuck::Validator { soft: true }),
            Fault::CassetteJam => self.get_stuck(Stuck::Cassette { soft: false }),
            Fault::SoftCassetteJam => self.get_stuck(Stuck::Cassette { soft: true }),
            Fault::Failure(code) => self.get_stuck(Stuck::Failure(code)),
            Fault::CassetteFull => self.full = true,
            Fault::Silent => self.silent = true,
            Fault::Forget => (self.accept, self.escrow) = (TypeMask::NONE, TypeMask::NONE),
            Fault::RejectNext(reason) => self.reject_next = Some(reason),
            Fault::MisreadNext(index) => self.misread_next = Some(index),
            Fault::Busy(tenths) => {
                let until = Instant(now.0.saturating_add(u64::from(tenths) * 100));
                if !matches!(self.phase, Phase::Off | Phase::PowerUp(_) | Phase::Busy { .. }) {
                    self.phase = Phase::Busy { since: now, until, was: Box::new(self.phase.clone()) };
                }
            }
            Fault::Cheat => self.cheat(),
        }
    }

    /// The technician mends everything: frees jams (a stuck note ends in his hand), clears failures, wakes a silent unit. A
    /// unit that was out of order initialises itself.
    pub fn clear_faults(&mut self, now: Instant) {
        self.advance(now);
        (self.full, self.silent, self.reject_next, self.misread_next) = (false, false, None, None);
        let Some(stuck) = self.stuck.take() else { return };
        if !matches!(stuck, Stuck::Failure(_)) && self.path.is_some() {
            self.move_path(Place::Technician);
            self.path = None;
            self.credit = None;
        }
        if !matches!(self.phase, Phase::Off | Phase::PowerUp(_) | Phase::StackedTold) {
            self.initialize(now);
        }
    }

    /// Takes the cassette out. A note on its way is given back, or sticks if it was too far.
    pub fn remove_cassette(&mut self, now: Instant) {
        self.advance(now);
        if !std::mem::replace(&mut self.cassette_in, false) {
            return;
        }
        self.events.push_back(PhysicalEvent::Cassette(false));
        let give_back = self.config.timing.give_back;
        match self.phase {
            Phase::Accepting { .. } => self.reject(now, RejectReason::Operation),
            Phase::Escrow { .. } => self.phase = Phase::Returning { until: now + give_back },
            Phase::Stacking { .. } if self.credit.is_none() => {
                self.phase = Phase::Returning { until: now + give_back };
            }
            Phase::Stacking { .. } => self.get_stuck(Stuck::Cassette { soft: false }),
            _ => {}
        }
    }

    /// Puts the cassette back, the same one or (`empty`) another that is empty. The unit initialises itself.
    pub fn put_cassette(&mut self, now: Instant, empty: bool) {
        self.advance(now);
        if empty {
            self.full = false;
            for record in self.notes.iter_mut().filter(|record| record.place == Place::Cassette) {
                record.place = Place::Collected;
            }
            self.forget_old();
        }
        if std::mem::replace(&mut self.cassette_in, true) {
            return;
        }
        self.events.push_back(PhysicalEvent::Cassette(true));
        if self.phase == Phase::Ready && self.stuck.is_none() {
            self.initialize(now);
        }
    }

    /// Cuts the power. Notes stay where they are; what is in the slot can be taken.
    pub fn power_off(&mut self, now: Instant) {
        self.advance(now);
        if self.phase == Phase::Off {
            return;
        }
        self.second_taken();
        self.take_at = None;
        if self.path.and_then(|id| self.place_of(id)) == Some(Place::Inlet) {
            self.move_path(Place::Returned);
            self.path = None;
        }
        self.phase = Phase::Off;
        (self.accept, self.escrow, self.security) = (TypeMask::NONE, TypeMask::NONE, TypeMask::NONE);
        (self.told, self.cheat_waits, self.deaf_until) = (None, false, now);
        self.decoder.clear();
        self.to_host.clear();
        self.to_device.clear();
        self.events.push_back(PhysicalEvent::Power(false));
    }

    /// Switches the power on. What it finds in its path decides what it says: 10, 11 or 12.
    pub fn power_on(&mut self, now: Instant) {
        self.advance(now);
        if self.phase != Phase::Off {
            return;
        }
        let place = self.path.and_then(|id| self.place_of(id));
        let found = match place {
            _ if self.credit.is_some() => PollStatus::PowerUpBillInStacker,
            Some(Place::Transport) => PollStatus::PowerUpBillInStacker,
            Some(_) => PollStatus::PowerUpBillInValidator,
            None => PollStatus::PowerUp,
        };
        self.phase = Phase::PowerUp(found);
        self.silent = false;
        self.events.push_back(PhysicalEvent::Power(true));
    }

    /// Somebody opens the head, which cuts its power, and takes the note out of the path.
    pub fn take_note_out(&mut self, now: Instant) {
        self.power_off(now);
        if self.path.is_some() {
            self.move_path(Place::Returned);
            (self.path, self.credit) = (None, None);
        }
        self.power_on(now);
    }

    /// It loses power for a moment, and with it what it had to say of a note in its cassette. Its counter is kept.
    pub fn lose_memory(&mut self, now: Instant) {
        self.power_off(now);
        self.credit = None;
        self.power_on(now);
    }

    fn get_stuck(&mut self, stuck: Stuck) {
        self.stuck = Some(stuck);
        self.take_at = None;
        // What the host was not told yet stays to be told; everything else stops.
        if !matches!(
            self.phase,
            Phase::Off | Phase::PowerUp(_) | Phase::StackedTold | Phase::ReturnedTold | Phase::CheatedTold
        ) {
            self.second_taken();
            self.phase = Phase::Ready;
        }
    }

    fn cheat(&mut self) {
        match self.phase {
            Phase::Off | Phase::PowerUp(_) | Phase::Initialize { .. } => {}
            Phase::StackedTold | Phase::ReturnedTold => self.cheat_waits = true,
            _ => {
                self.second_taken();
                self.take_at = None;
                if self.path.is_some() {
                    self.move_path(Place::Returned);
                    self.path = None;
                    self.credit = None;
                }
                self.phase = Phase::CheatedTold;
            }
        }
    }

    // Notes.

    fn new_note(&mut self, note: Banknote, place: Place) -> NoteId {
        let id = NoteId(self.next_note);
        self.next_note += 1;
        self.notes.push(NoteRecord { id, note, place });
        self.events.push_back(PhysicalEvent::NoteMoved { id, from: None, to: place });
        self.forget_old();
        id
    }

    fn path_note(&self) -> Option<Banknote> {
        let id = self.path?;
        self.notes.iter().find(|record| record.id == id).map(|record| record.note)
    }

    fn move_path(&mut self, to: Place) {
        if let Some(id) = self.path {
            self.move_note(id, to);
        }
    }

    fn second_taken(&mut self) {
        if let Some(id) = self.second.take() {
            self.move_note(id, Place::Returned);
        }
    }

    fn move_note(&mut self, id: NoteId, to: Place) {
        let Some(record) = self.notes.iter_mut().find(|record| record.id == id) else { return };
        let from = std::mem::replace(&mut record.place, to);
        if from != to {
            self.events.push_back(PhysicalEvent::NoteMoved { id, from: Some(from), to });
        }
    }

    fn forget_old(&mut self) {
        let gone = |record: &NoteRecord| {
            matches!(record.place, Place::Returned | Place::Technician | Place::Collected)
        };
        let mut surplus =
            self.notes.iter().filter(|record| gone(record)).count().saturating_sub(MAX_REMEMBERED);
        self.notes.retain(|record| {
            let forget = surplus > 0 && gone(record);
            surplus -= usize::from(forget);
            !forget
        });
    }
}

impl Phase {
    /// The same phase after it stood still from `since` to `now`.
    fn later_by(self, now: Instant, since: Instant) -> Self {
        let stood = now.since(since);
        let later = |at: Instant| if at == NEVER { NEVER } else { at + stood };
        match self {
            Self::Initialize { until } => Self::Initialize { until: later(until) },
            Self::Accepting { until } => Self::Accepting { until: later(until) },
            Self::Escrow { until, holding } => Self::Escrow { until: later(until), holding },
            Self::Stacking { commits, until } => {
                Self::Stacking { commits: later(commits), until: later(until) }
            }
            Self::Returning { until } => Self::Returning { until: later(until) },
            Self::Rejecting { until, reason, told } => Self::Rejecting { until: later(until), reason, told },
            same @ (Self::Off
            | Self::PowerUp(_)
            | Self::Ready
            | Self::StackedTold
            | Self::ReturnedTold
            | Self::Paused { .. }
            | Self::CheatedTold
            | Self::Busy { .. }) => same,
        }
    }
}
