//! What is wrong with this terminal, and what follows from it.
//!
//! One closed enum of faults with stable codes: the citizen gets plain words, the technician the code and what to do
//! (`docs/faults.md` is generated from here), and the rules below say which faults close the note slot.

use crate::{
    acceptor::AcceptorFault,
    printer::{PaperLevel, Status},
    words::Word,
};
use std::collections::BTreeSet;

macro_rules! faults {
    ($($(#[doc = $doc:literal])+ $name:ident, $code:literal, $reason:expr, $remedy:literal;)*) => {
        /// A condition somebody has to know of.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum FaultCode { $($(#[doc = $doc])+ $name,)* }

        impl FaultCode {
            /// All faults, the most telling first.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Stable code for the technician.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// Why no cash is taken while it is present, in words for the citizen; `None` where cash goes on.
            pub const fn reason(self) -> Option<Word> {
                match self { $(Self::$name => $reason,)* }
            }

            /// Whether no payment by cash may be started while it is present.
            pub const fn closes_cash(self) -> bool {
                self.reason().is_some()
            }

            /// Whether its coming and going is a fact for the journal; passing states of each start are not.
            pub const fn is_journaled(self) -> bool {
                !matches!(self, Self::StartingUp | Self::Stopping | Self::JournalChecking | Self::JournalUnwritable | Self::JournalDamaged)
            }

            /// What it means, in one sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii(),)* }
            }

            /// What a technician does about it.
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$name => $remedy,)* }
            }
        }
    };
}

faults! {
    /// The journal contradicts its own signatures.
    JournalDamaged, "JRN-DAMAGED", Some(Word::ReasonJournalDamaged), "Keep the disk as evidence. Run `tolem journal verify`; it names the first bad record. Replace the disk and enrol again.";
    /// The journal cannot be opened or written: full, read-only or broken disk, lost key, or a second instance.
    JournalUnwritable, "JRN-UNWRITABLE", Some(Word::ReasonDisk), "The program's log names the cause. Full or read-only disk: `df`, `mount`, kernel log. Lost key: restore it. Second instance: stop it. The terminal starts anew every minute and tries again.";
    /// The program was told to stop and lets the last citizen go.
    Stopping, "SYS-STOP", Some(Word::ReasonStopping), "Wait; a second order to stop ends it at once.";
    /// The journal is being checked after the start.
    JournalChecking, "JRN-CHECKING", Some(Word::ReasonJournalChecking), "Wait; a million records take a few seconds.";
    /// Little space is left on the journal's disk.
    DiskLow, "DSK-LOW", Some(Word::ReasonDisk), "Free space on the journal's file system.";
    /// The center has put this terminal out of service.
    BlockedByCenter, "CTR-BLOCKED", Some(Word::ReasonBlocked), "Call the operator: the journal showed something else to the center than before.";
    /// The clock is implausible.
    ClockWrong, "CLK-WRONG", None, "Set the clock; check the battery of the real-time clock.";
    /// The center's or our certificate is refused.
    LinkRefused, "NET-TLS", Some(Word::ReasonCertificate), "Compare clock, certificate dates and revocation list with the center's log.";
    /// The revocation list that the center is judged by is past its date, and no newer one could be had.
    ListStale, "NET-CRL", Some(Word::ReasonNoLink), "The log says why none could be fetched. The center's operator: renew `pki/root.crl` and serve it (`crl_listen`). The terminal: `crl_port`, and a directory of `crl` that it may write to.";
    /// The processing center cannot be reached.
    LinkDown, "NET-DOWN", Some(Word::ReasonNoLink), "Check cable or modem, then the VPN, then the center's address in kiosk.toml.";
    /// The catalogue is not loaded yet.
    StartingUp, "SYS-START", Some(Word::ReasonStarting), "Wait.";
    /// Too much is waiting for the center's answer.
    UnsettledLimit, "OUT-LIMIT", Some(Word::ReasonUnsettled), "Mend the link; the outbox empties by itself.";
    /// The acceptor does not answer.
    AcceptorAbsent, "ACC-ABSENT", Some(Word::ReasonAcceptorAbsent), "Check power and cable of the acceptor and its port in kiosk.toml.";
    /// What answers on the acceptor's line does not speak its protocol.
    AcceptorProtocol, "ACC-PROTOCOL", Some(Word::ReasonAcceptorFailure), "Check baud rate and protocol switches of the acceptor.";
    /// The cassette is out.
    CassetteOut, "ACC-CASS-OUT", Some(Word::ReasonCassetteOut), "Put the cassette in until it clicks.";
    /// The cassette is full.
    CassetteFull, "ACC-CASS-FULL", Some(Word::ReasonCassetteFull), "Collect the cash.";
    /// A note is stuck in the validator.
    ValidatorJam, "ACC-JAM", Some(Word::ReasonJam), "Open the validator head, take the note out, close it. Keep the note with the fault's time.";
    /// A note is stuck in the cassette.
    CassetteJam, "ACC-CASS-JAM", Some(Word::ReasonJam), "Take the cassette out and free the note.";
    /// Somebody tried to pull a note back.
    Cheated, "ACC-CHEAT", Some(Word::ReasonCheat), "Look for strings and tape in the slot; compare counted cash with the journal.";
    /// The acceptor reports a hardware failure.
    AcceptorFailure, "ACC-FAILURE", Some(Word::ReasonAcceptorFailure), "Power the acceptor off and on; clean its sensors; replace it.";
    /// The printer does not answer.
    PrinterAbsent, "PRN-ABSENT", Some(Word::ReasonPrinterAbsent), "Check power and cable of the printer and its port in kiosk.toml.";
    /// No paper.
    PaperOut, "PRN-PAPER-OUT", Some(Word::ReasonPaperOut), "Put in a new roll.";
    /// A printer cover is open.
    CoverOpen, "PRN-COVER", Some(Word::ReasonCoverOpen), "Close the cover.";
    /// The cutter is stuck.
    CutterStuck, "PRN-CUTTER", Some(Word::ReasonCutter), "Take paper scraps out of the cutter; power the printer off and on.";
    /// The printer reports an error.
    PrinterError, "PRN-ERROR", Some(Word::ReasonPrinterFailure), "Let the head cool; power the printer off and on; replace it.";
    /// The card reader does not answer.
    CardReaderAbsent, "CRD-ABSENT", None, "Check power and cable of the card reader and its port in kiosk.toml. Cash goes on.";
    /// What answers on the card reader's line does not speak its protocol.
    CardReaderProtocol, "CRD-PROTOCOL", None, "Check baud rate and model of the card reader.";
    /// A card is stuck in the reader.
    CardJam, "CRD-JAM", None, "Take the card out through the service door. It is somebody's property: the journal names its payment.";
    /// A card was left in the reader, which cannot keep it.
    CardLeft, "CRD-LEFT", None, "Take the card out. It is somebody's property: the journal names its payment. Cash goes on.";
    /// A card does not fall into the box of kept cards.
    CardBoxJam, "CRD-BOX", None, "Empty the box of kept cards.";
    /// The card reader should hide card numbers and does not, or has no keys for it.
    CardReaderNotSealing, "CRD-CLEAR", None, "Do not switch `sred` off. Keep the reader as evidence if its keys were lost, look for a skimmer, exchange it. Cash goes on.";
    /// The card reader reports a hardware failure.
    CardReaderFailure, "CRD-FAILURE", None, "Power the card reader off and on; clean it; replace it.";
    /// The center's line to the acquirer of cards is down.
    AcquirerDown, "NET-ACQ", None, "Nothing at the terminal: the center's log says why (`acquirer HOST: ...`). Cash goes on.";
    /// The PIN pad does not answer.
    PinPadAbsent, "PIN-ABSENT", None, "Check power and cable of the PIN pad and its port in kiosk.toml. Cash goes on.";
    /// What answers on the PIN pad's line does not speak its protocol.
    PinPadProtocol, "PIN-PROTOCOL", None, "Check baud rate and model of the PIN pad.";
    /// The PIN pad's keys are gone, as after an attack on it, or were never loaded.
    PinPadKeysLost, "PIN-KEYS", None, "Do not load keys on the spot. Keep the pad as evidence, look for a skimmer, exchange it.";
    /// The PIN pad has used up its keys.
    PinPadUsedUp, "PIN-USED-UP", None, "Exchange the pad; a new initial key is due.";
    /// A key of the PIN pad came a second time, went back, or is another pad's.
    PinPadKeySerial, "PIN-SERIAL", None, "Is this the pad that belongs here? If not, keep it as evidence; if so, register its key.";
    /// The PIN pad says that its memory is damaged.
    PinPadBroken, "PIN-BROKEN", None, "Exchange the pad.";
    /// Door or safe is open.
    DoorOpen, "CAB-OPEN", Some(Word::ReasonDoorOpen), "Close the door and the safe.";
    /// The paper roll is near its end.
    PaperLow, "PRN-PAPER-LOW", None, "Bring a new roll soon.";
    /// The certificate of this terminal ends in less than 30 days, or has ended, and was not renewed.
    CertificateEnding, "NET-CERT", None, "The log says why it was not renewed (`certificate: ...`). The center: `enroll_listen`. The terminal: `enroll_port`, and `certificate` and `key` where the program may write. If the key is lost: `tolem-center kiosk invite`, `tolem enroll --again`.";
    /// The center answered a payment with a refusal that only a person can clear up.
    PaymentDisputed, "OUT-DISPUTE", None, "Call the operator with the transaction number from the journal.";
}

/// Faults that are present now.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Health {
    present: BTreeSet<FaultCode>,
}

impl Health {
    /// Sets or clears a fault; true if that changed anything.
    pub fn set(&mut self, fault: FaultCode, present: bool) -> bool {
        if present { self.present.insert(fault) } else { self.present.remove(&fault) }
    }

    /// Whether a fault is present.
    pub fn has(&self, fault: FaultCode) -> bool {
        self.present.contains(&fault)
    }

    /// All present faults.
    pub fn present(&self) -> impl Iterator<Item = FaultCode> + '_ {
        // A set goes through its codes in the order of their declaration, which is the order of importance.
        self.present.iter().copied()
    }

    /// The most telling fault that closes the note slot.
    pub fn closed_by(&self) -> Option<FaultCode> {
        self.present().find(|fault| fault.closes_cash())
    }

    /// The most telling fault that shuts the note slot even in the middle of a payment: where a note could not be recorded or might be
    /// lost.
    pub fn shuts_slot(&self) -> Option<FaultCode> {
        use FaultCode::{
            AcceptorAbsent, AcceptorFailure, AcceptorProtocol, BlockedByCenter, CassetteFull, CassetteJam,
            CassetteOut, Cheated, DiskLow, DoorOpen, JournalChecking, JournalDamaged, JournalUnwritable,
            Stopping, ValidatorJam,
        };
        let shut = [
            AcceptorAbsent,
            AcceptorFailure,
            AcceptorProtocol,
            BlockedByCenter,
            CassetteFull,
            CassetteJam,
            CassetteOut,
            Cheated,
            DiskLow,
            DoorOpen,
            JournalChecking,
            JournalDamaged,
            JournalUnwritable,
            Stopping,
            ValidatorJam,
        ];
        self.present().find(|fault| shut.contains(fault))
    }

    /// The most telling fault that keeps cards from being taken too: what concerns the notes alone does not.
    pub fn closed_for_cards(&self) -> Option<FaultCode> {
        use FaultCode::{
            AcceptorAbsent, AcceptorFailure, AcceptorProtocol, CassetteFull, CassetteJam, UnsettledLimit,
            ValidatorJam,
        };
        let notes_only = [
            AcceptorAbsent,
            AcceptorFailure,
            AcceptorProtocol,
            CassetteFull,
            CassetteJam,
            UnsettledLimit,
            ValidatorJam,
        ];
        self.present().find(|fault| fault.closes_cash() && !notes_only.contains(fault))
    }

    /// Whether a fault of the printer keeps paper from coming out.
    pub fn printer_blocked(&self) -> bool {
        use FaultCode::{CoverOpen, CutterStuck, PaperOut, PrinterAbsent, PrinterError};
        [PrinterAbsent, PaperOut, CoverOpen, CutterStuck, PrinterError]
            .into_iter()
            .any(|fault| self.has(fault))
    }
}

/// The fault that stands for an acceptor's condition.
pub fn of_acceptor(fault: AcceptorFault) -> FaultCode {
    match fault {
        AcceptorFault::Absent => FaultCode::AcceptorAbsent,
        AcceptorFault::CassetteFull => FaultCode::CassetteFull,
        AcceptorFault::CassetteOut => FaultCode::CassetteOut,
        AcceptorFault::ValidatorJam => FaultCode::ValidatorJam,
        AcceptorFault::CassetteJam => FaultCode::CassetteJam,
        AcceptorFault::Cheated => FaultCode::Cheated,
        AcceptorFault::Failure(_) => FaultCode::AcceptorFailure,
        AcceptorFault::Protocol => FaultCode::AcceptorProtocol,
    }
}

/// The faults that a printer status means, each with whether it is present.
pub fn of_printer(status: &Status) -> [(FaultCode, bool); 6] {
    [
        (FaultCode::PrinterAbsent, false),
        (FaultCode::PaperOut, status.paper == PaperLevel::Out),
        (FaultCode::PaperLow, status.paper == PaperLevel::Low),
        (FaultCode::CoverOpen, status.cover_open),
        (FaultCode::CutterStuck, status.cutter_error),
        (FaultCode::PrinterError, status.other_error),
    ]
}

/// The table of `docs/faults.md`.
pub fn markdown() -> String {
    let mut text = String::from(
        "# Faults\n\nGenerated from `core/src/health.rs`. *Closes* = no payment in cash can be started while it is present; what concerns notes alone leaves cards open.\n\n\
         | Code | Meaning | Closes | What to do |\n|---|---|---|---|\n",
    );
    for fault in FaultCode::ALL {
        let closes = if fault.closes_cash() { "yes" } else { "no" };
        text += &format!("| `{}` | {} | {closes} | {} |\n", fault.code(), fault.meaning(), fault.remedy());
    }
    text
}
