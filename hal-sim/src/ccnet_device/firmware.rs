//! The talking half: commands in, answers out.

use super::{CcnetDevice, Phase, PhysicalEvent, Stuck};
use tolem_core::time::Instant;
use tolem_protocol::ccnet::{
    ADDRESS, Command, Decoded, FailureCode, Identification, PollStatus, Reply, Status, TypeMask,
    counter_payload,
};

impl CcnetDevice {
    /// When the line was silent too long for the rest of a frame.
    pub(super) fn silence_at(&self) -> Instant {
        self.heard + self.config.timing.inter_byte
    }

    /// Bytes arrived at the device's own connector.
    pub(super) fn hear(&mut self, at: Instant, mut bytes: &[u8]) {
        if self.phase == Phase::Off || self.silent || at < self.deaf_until {
            return;
        }
        self.drop_stale(at);
        self.heard = at;
        let mut bad = false;
        while let Some(found) = self.decoder.next(&mut bytes) {
            match found {
                Decoded::BadCrc => bad = true,
                Decoded::Frame(frame) if frame.address == ADDRESS => {
                    bad = false;
                    match Command::parse(&frame.payload) {
                        Ok(command) => self.obey(at, command),
                        Err(error) => {
                            self.remark(format!("command {:02x}: {error}", frame.payload[0]));
                            self.reply(at, Reply::Illegal);
                        }
                    }
                }
                Decoded::Frame(frame) => self.remark(format!("frame for address {:02x}", frame.address)),
            }
        }
        if bad {
            self.remark("bad checksum from the host".into());
            self.reply(at, Reply::Nak);
        }
    }

    /// Forgets a frame whose rest did not come.
    pub(super) fn drop_stale(&mut self, now: Instant) {
        let count = self.decoder.pending().len();
        if count > 0 && now >= self.silence_at() {
            self.remark(format!("{count} bytes without an end dropped"));
            self.decoder.clear();
        }
    }

    /// POLL's answer.
    pub(super) fn poll_status(&self) -> PollStatus {
        match &self.phase {
            Phase::Off => PollStatus::Unknown(0),
            Phase::PowerUp(found) => *found,
            Phase::Initialize { .. } => PollStatus::Initialize,
            Phase::Ready => self.trouble().unwrap_or(if self.accept == TypeMask::NONE {
                PollStatus::Disabled
            } else {
                PollStatus::Idling
            }),
            Phase::Accepting { .. } => PollStatus::Accepting,
            Phase::Escrow { holding: true, .. } => PollStatus::Holding,
            Phase::Escrow { .. } => PollStatus::Escrow(self.kind),
            Phase::Stacking { .. } => PollStatus::Stacking,
            Phase::StackedTold => PollStatus::Stacked(self.credit.unwrap_or(self.kind)),
            Phase::Returning { .. } => PollStatus::Returning,
            Phase::ReturnedTold => PollStatus::Returned(self.kind),
            Phase::Rejecting { reason, .. } => PollStatus::Rejecting(*reason),
            Phase::Paused { .. } => PollStatus::Pause,
            Phase::CheatedTold => PollStatus::Cheated,
            Phase::Busy { until, .. } => {
                let left = until.0.saturating_sub(self.now.0).div_ceil(100);
                PollStatus::Busy(u8::try_from(left).unwrap_or(u8::MAX))
            }
        }
    }

    /// What keeps it from taking notes.
    pub(super) fn trouble(&self) -> Option<PollStatus> {
        match self.stuck {
            Some(Stuck::Validator { .. }) => Some(PollStatus::ValidatorJam),
            Some(Stuck::Cassette { .. }) => Some(PollStatus::CassetteJam),
            Some(Stuck::Failure(code)) => Some(PollStatus::Failure(FailureCode::from_code(code))),
            None if !self.cassette_in => Some(PollStatus::CassetteOut),
            None if self.is_full() => Some(PollStatus::CassetteFull),
            None => None,
        }
    }

    fn obey(&mut self, at: Instant, command: Command) {
        match command {
            Command::Ack => return self.confirmed(at),
            Command::Nak => {
                self.told = None;
                return;
            }
            _ => self.told = None,
        }
        match command {
            Command::Ack | Command::Nak => {}
            Command::Poll => {
                let status = self.poll_status();
                self.told = Some(status);
                self.reply(at, Reply::Data(&status.payload()));
            }
            Command::Reset => {
                self.reply(at, Reply::Ack);
                self.initialize(at);
                self.deaf_until = at + self.config.timing.reset_silence;
            }
            Command::GetStatus => {
                let status = Status { enabled: self.accept, high_security: self.security };
                self.reply(at, Reply::Data(&status.payload()));
            }
            Command::SetSecurity(types) => {
                self.security = types;
                self.reply(at, Reply::Ack);
            }
            Command::EnableBillTypes { accept, escrow } => {
                (self.accept, self.escrow) = (accept, escrow);
                self.reply(at, Reply::Ack);
            }
            Command::Stack | Command::Return | Command::Hold => self.decide(at, command),
            Command::Identification if self.is_quiet() => {
                let config = &self.config;
                let id = Identification::new(&config.part, &config.serial, config.asset);
                self.reply(at, Reply::Data(&id.payload()));
            }
            Command::GetBillTable if self.is_quiet() => {
                let table = self.config.bill_table();
                self.reply(at, Reply::Data(&table.payload()));
            }
            Command::StackedCounter if self.config.has_counter && (self.is_quiet() || self.is_idling()) => {
                let count = counter_payload(self.counter);
                self.reply(at, Reply::Data(&count));
            }
            // SET BARCODE PARAMETERS: format and length of a coupon; we have none, but the command is legal anywhere.
            Command::Other(0x39) => self.reply(at, Reply::Ack),
            Command::Identification | Command::GetBillTable | Command::StackedCounter | Command::Other(_) => {
                self.refuse(at, command);
            }
        }
    }

    /// STACK, RETURN and HOLD mean something only to a note in escrow.
    fn decide(&mut self, at: Instant, command: Command) {
        let Phase::Escrow { .. } = self.phase else { return self.refuse(at, command) };
        let timing = self.config.timing;
        match command {
            Command::Stack => self.begin_stacking(at),
            Command::Return => self.phase = Phase::Returning { until: at + timing.give_back },
            _ => self.phase = Phase::Escrow { until: at + timing.escrow_limit, holding: true },
        }
        self.reply(at, Reply::Ack);
    }

    fn refuse(&mut self, at: Instant, command: Command) {
        self.remark(format!("command {:02x} is illegal in {}", command.code(), self.poll_status()));
        self.reply(at, Reply::Illegal);
    }

    /// The host confirmed the last data reply: an event that it carried is over.
    fn confirmed(&mut self, at: Instant) {
        match (self.told.take(), &mut self.phase) {
            (Some(PollStatus::Stacked(_)), Phase::StackedTold) => {
                self.credit = None;
                self.become_ready();
            }
            (Some(PollStatus::Returned(_)), Phase::ReturnedTold)
            | (Some(PollStatus::Cheated), Phase::CheatedTold) => self.become_ready(),
            (Some(PollStatus::Rejecting(_)), Phase::Rejecting { until, told, .. }) => {
                *told = true;
                if *until <= at {
                    self.become_ready();
                }
            }
            _ => {}
        }
    }

    /// POWER UP, INITIALIZE, DISABLED or one of 41-47.
    fn is_quiet(&self) -> bool {
        matches!(
            self.phase,
            Phase::PowerUp(_) | Phase::Initialize { .. } | Phase::Paused { .. } | Phase::CheatedTold
        ) || (self.phase == Phase::Ready && !self.is_idling())
    }

    fn is_idling(&self) -> bool {
        self.phase == Phase::Ready && self.trouble().is_none() && self.accept != TypeMask::NONE
    }

    fn reply(&mut self, at: Instant, reply: Reply<'_>) {
        let frame = reply.frame().expect("invariant: answers have 1 to 120 bytes");
        self.to_host.send(at + self.config.timing.response, &frame);
    }

    pub(super) fn remark(&mut self, text: String) {
        self.events.push_back(PhysicalEvent::Remark(text));
    }
}
