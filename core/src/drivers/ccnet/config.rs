//! What can be set about a validator, mostly times.

use std::time::Duration;
use tolem_protocol::ccnet::Command as Wire;

/// What can be set, with the values that field drivers use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Country codes whose entries in the bill table count as tenge.
    pub countries: Vec<[u8; 3]>,
    /// From POLL to POLL while notes are accepted or moving. CCNET: at least 100 ms, better 200.
    pub poll_busy: Duration,
    /// From POLL to POLL while nothing is accepted.
    pub poll_idle: Duration,
    /// How long most replies may take. The device has 10 ms, but USB adapters and Linux add to that.
    pub reply: Duration,
    /// The same for IDENTIFICATION and GET BILL TABLE.
    pub reply_long: Duration,
    /// The same for RESET and SET SECURITY, which stall some models.
    pub reply_stall: Duration,
    /// Silence on the line between our ACK and our next command. CCNET: at least 10 ms, better 20.
    pub quiet: Duration,
    /// The same after a lost or broken reply, so that a late one is not taken for the next answer.
    pub after_loss: Duration,
    /// How long the good frame behind a broken one may take.
    pub after_corrupt: Duration,
    /// How long nothing else is said after "stacked", so that its confirmation can still follow.
    pub confirm_window: Duration,
    /// Silence after which the device counts as absent.
    pub silence: Duration,
    /// From RESET to RESET while it is absent.
    pub absent_reset: Duration,
    /// How long initialising may take before RESET is tried again.
    pub initialize: Duration,
    /// How long STACK or RETURN may take before it counts as a jam.
    pub order: Duration,
    /// How long an obeyed STACK or RETURN may still show the note in escrow.
    pub order_settle: Duration,
    /// How long a jam or failure stays before one RESET is tried.
    pub fault_reset: Duration,
    /// The same while the note only waits to be taken from the slot.
    pub untaken_reset: Duration,
    /// From HOLD to HOLD. The device gives the note back after 10 s.
    pub hold: Duration,
    /// How long a note is held without a decision.
    pub escrow: Duration,
    /// How long the device may take to follow ENABLE BILL TYPES.
    pub settle: Duration,
    /// How long a power-up state may last after RESET before it counts as another power-up.
    pub power_up_settle: Duration,
    /// Pause after a command was refused several times.
    pub pause: Duration,
}

impl Default for Config {
    fn default() -> Self {
        let ms = Duration::from_millis;
        Self {
            countries: vec![*b"KZT", *b"KAZ"],
            poll_busy: ms(200),
            poll_idle: ms(500),
            reply: ms(250),
            reply_long: ms(1500),
            reply_stall: ms(3000),
            quiet: ms(20),
            after_loss: ms(50),
            after_corrupt: ms(30),
            confirm_window: ms(150),
            silence: ms(5000),
            absent_reset: ms(10_000),
            initialize: ms(40_000),
            order: ms(30_000),
            order_settle: ms(600),
            fault_reset: ms(10_000),
            untaken_reset: ms(120_000),
            hold: ms(5000),
            escrow: ms(60_000),
            settle: ms(1000),
            power_up_settle: ms(3000),
            pause: ms(5000),
        }
    }
}

impl Config {
    pub(super) fn reply_limit(&self, command: Wire) -> Duration {
        match command {
            Wire::Identification | Wire::GetBillTable => self.reply_long,
            Wire::Reset | Wire::SetSecurity(_) => self.reply_stall,
            _ => self.reply,
        }
    }
}
