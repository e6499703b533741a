//! The faults that can be planted, each a bug that somebody could really write.

macro_rules! faults {
    ($($(#[doc = $doc:literal])+ $name:ident;)*) => {
        /// A bug on purpose.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum Fault { $($(#[doc = $doc])+ $name,)* }

        #[cfg(feature = "planted-faults")]
        impl Fault {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// What it does wrong, in one sentence.
            pub const fn says(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii(),)* }
            }
        }
    };
}

faults! {
    // Notes.
    /// A note counts as soon as it is ordered into the cassette.
    CreditAtEscrow;
    /// Each "stacked" counts, also a repeated one.
    CreditEveryStacked;
    /// The acceptor hears "thank you" before the note is on disk.
    AcknowledgeBeforeRecord;
    /// STACK is sent before the order is on disk.
    ActBeforeRecord;
    /// An unchanged counter is not looked at: the note counts as stacked.
    CounterIgnored;
    /// A note of which nobody knows counts as returned.
    DoubtIsReturned;
    /// Notes without a payment are not sent to be held.
    OrphanNotHeld;
    /// Power-up with a note in the stacker is taken for one with a note given back.
    PowerUpNoteIgnored;
    /// After one "stacked" the next one of the same type is taken for its repetition.
    NextNoteIsRepetition;
    /// The bytes of a mask of bill types go out in the wrong order.
    MaskReversed;

    // Journal.
    /// A failed write is not noticed.
    WriteErrorSwallowed;
    /// The checkpoint is signed over the tree without the new record.
    CheckpointBeforeInsert;
    /// A restart begins with the ids of the last boot again.
    PaymentIdReused;
    /// The payer's tag is the IIN itself.
    IinInJournal;
    /// When the journal fails, nothing is said of the money that is in.
    EmergencyForgotten;
    /// A note that an emergency hold did not know of is not moved out of it.
    SurplusForgotten;

    // Outbox and answers.
    /// Each try of a deposit has an id of its own.
    RetryWithNewId;
    /// A payment whose claim slip is out is forgotten before it is settled.
    ClaimForgotten;
    /// A refused item is not sent again.
    RefusalIsFinal;
    /// A signed answer is taken for whatever was asked.
    StaleAnswerTaken;
    /// A signed quote is taken for whatever was asked.
    QuoteNotCompared;
    /// Restored centers are not told what they answered.
    RecallForgotten;
    /// Whoever walks away leaves the money in an open payment.
    AbandonedOnIdle;
    /// A payment that was cut off goes on with whoever types an IIN.
    ResumedByAnybody;

    // Paper.
    /// A receipt is printed before its answer is on disk.
    PrintBeforeRecord;
    /// What may have been printed is printed as an original again.
    SecondOriginal;
    /// A print is called done when its bytes are sent.
    PrintedWhenSent;
    /// After a restart an owed paper comes out by itself.
    PrintedUnattended;

    // Center.
    /// A repeated deposit is booked again.
    DepositBookedTwice;
    /// Another deposit under a settled id is booked too.
    ConflictBooked;
    /// The remainder is booked but nobody gets it.
    RemainderLost;
    /// The center answers although its transaction failed.
    AnswerBeforeDurable;
    /// A spent voucher is good once more.
    VoucherTwice;
    /// Every kiosk that asks may print an original.
    OriginalForEverybody;
    /// A held balance forgets whose it is.
    OwnerForgotten;
    /// A claim slip is answered whoever asks.
    ClaimForAnybody;

    // Cards at the kiosk.
    /// The number of a card stands in its label in the journal.
    PanLogged;
    /// The money is to be taken as soon as chip and issuer agree, before anybody has seen the code.
    ConfirmBeforePrint;
    /// Silence counts as a decline: nothing is undone.
    SilenceIsDecline;
    /// After a restart an approval that nobody saw is taken.
    CutOffConfirmed;
    /// Whoever left the card at the gate has paid all the same.
    ForgottenCardPays;

    // Cards at the center.
    /// An order that comes twice asks the issuer twice, under another name.
    RetryAuthorizeWithNewId;
    /// A reversal is said once, whether it is acknowledged or not.
    ReversalForgotten;
    /// Each message to the acquirer has the same trace number.
    TraceNumberReused;
    /// An approval that comes after a reversal was decided is good again.
    LateApprovalWins;
    /// The money goes back before the gateway has acknowledged that the code is void.
    ReversalBeforeVoid;
    /// The code of a declined card stays good.
    DeclineLeavesCode;
    /// A confirmation is said once, whether it is acknowledged or not.
    ConfirmationForgotten;
    /// The card's number is kept after the end.
    NumberKept;
}
