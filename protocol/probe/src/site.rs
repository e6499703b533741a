//! Places that are difficult to come to and where money is at stake. The registry: a campaign fails if it misses one.

macro_rules! sites {
    ($($(#[doc = $doc:literal])+ $name:ident;)*) => {
        /// A reach mark.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum Site { $($(#[doc = $doc])+ $name,)* }

        #[cfg(feature = "planted-faults")]
        impl Site {
            /// All of them, whether they are ever reached or not.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// What happens there.
            pub const fn says(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii(),)* }
            }
        }
    };
}

sites! {
    // The acceptor's driver.
    /// It came up with a note given back (11).
    PowerUpReturned;
    /// It came up with a note in the stacker (12).
    PowerUpStacked;
    /// 81 was said while it was starting, before its bill table was known.
    StackedBeforeTable;
    /// 81 could not be valued: the device was reset to learn its table.
    TableLearned;
    /// 81 was said again although it is on disk.
    StackedRepeated;
    /// 81 or 82 came after an answer that was late.
    ArrivalLate;
    /// A note left escrow and was seen nowhere.
    NoteSeenNowhere;
    /// STACK or RETURN had to be said again.
    OrderRepeated;
    /// A note that nobody wants any more was in escrow.
    EscrowUnwanted;
    /// An answer had a bad checksum.
    FrameCorrupt;
    /// It did not answer for a long time.
    AcceptorSilent;

    // The printer's driver.
    /// A print failed after its first dots.
    PrintBroken;
    /// The rest of a broken print was cut off before the next.
    ScrapCut;

    // The journal.
    /// A record could not be written.
    AppendFailed;
    /// A snapshot was written.
    SnapshotWritten;
    /// A start began from a snapshot.
    SnapshotRead;

    // The kiosk.
    /// The journal failed with money in: an emergency slip was made.
    EmergencySlip;
    /// And the center could be told at once.
    EmergencyTold;
    /// The answer to an emergency hold did not cover a note.
    SurplusMoved;
    /// The center's status told the end of a payment that a restart had cut off.
    EndLearnedByStatus;
    /// The account that it answered was not in the journal.
    AccountLearned;
    /// Nobody came back for a payment that was cut off.
    CutOffHeld;
    /// A payment that was cut off had no money in it.
    CutOffEmpty;
    /// Its payer came back.
    CutOffResumed;
    /// Somebody else typed an IIN there.
    CutOffNotFound;
    /// The center had to be asked before a payment went on.
    CutOffWaits;
    /// The claim slip was given because no answer came.
    ClaimSlipGiven;
    /// Another payment's answer was handed out here.
    ClaimServed;
    /// A receipt was printed as COPY because an earlier one may be out.
    CopyAfterDoubt;
    /// Paper could not be printed: it stays owed.
    PaperOwed;
    /// The citizen left a payment with money in it.
    LeftWithMoney;
    /// A larger note was agreed to.
    RemainderAgreed;
    /// An order stayed without an end.
    OrderTimedOut;
    /// An answer came to a question that nobody waits for.
    LateAnswer;
    /// No answer came in time.
    AnswerOverdue;
    /// An outbox item was refused and rests.
    RefusedRests;
    /// A quote was given up while the center could not be told.
    VoidedLater;
    /// A signed answer did not belong to what was asked.
    AnswerRefused;
    /// A signed quote did not belong to what was asked.
    QuoteRefused;
    /// A restored center was told its answers.
    Recalled;

    // The center.
    /// The same deposit came again.
    DepositRepeated;
    /// Another deposit came under a settled id.
    DepositConflict;
    /// Money was held because a payment was stopped.
    HeldStopped;
    /// Money was held because nobody knows where the note is.
    HeldSuspense;
    /// Money was held that came without a payment.
    HeldWithoutPayment;
    /// Money was held because a journal failed.
    HeldJournalFailed;
    /// A remainder was held.
    HeldRemainder;
    /// The gateway did not answer.
    GatewaySilent;
    /// A balance was reserved.
    BalanceReserved;
    /// A reserved balance was given back.
    BalanceReleased;
    /// A balance was spent.
    BalanceSpent;
    /// A claim slip came before its payment.
    ClaimNotArrived;
    /// A claim slip was answered.
    ClaimAnswered;
    /// A claim slip was shown with another IIN.
    ClaimRefused;
    /// The original was granted before.
    CopyGranted;
    /// A payment was voided before its quote arrived.
    VoidedUnknown;
    /// An answer from before a restore was booked again.
    RecallBooked;

    // Cards.
    /// An approval or decline came when nobody waited for it any more.
    CardAnswerLate;
    /// A confirmation or reversal had to be said to the acquirer again.
    CardErrandRepeated;
    /// A card payment that a restart cut off was undone.
    CardCutOffUndone;
    /// One whose code may have been seen was confirmed.
    CardCutOffConfirmed;
    /// A card was left at the gate with its approval.
    CardAbandoned;
    /// An approval came with the answer to something else.
    CardAnswerRefused;
    /// The chip, or its loss, said no after the approval.
    CardRefusedAfter;
    /// A wrong PIN was tried again.
    CardPinAgain;
}
