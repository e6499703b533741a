//! What the citizen sees, as plain data; and what a citizen can want, as a closed enum.
//!
//! All words are assembled here in the chosen language; a screen only draws them. No rule, timer or sum lives in a screen, so
//! it cannot disagree with the journal.

use crate::secret::{Key, Secret};
use tolem_protocol::catalogue::Language;

/// One whole screen.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ViewModel {
    /// Stable name of the screen for tests and traces, e.g. `attract`, `iin`, `inserting`.
    pub screen: &'static str,
    /// Chosen language.
    pub language: Language,
    /// The headline: the one thing this screen says or asks.
    pub title: String,
    /// One or two sentences under it; may be empty.
    pub lead: String,
    /// Names of the four steps (service, payer, payment, code).
    pub steps: [String; 4],
    /// The step we are in, 1..=4; 0 hides the steps.
    pub step: u8,
    /// A line that matters now, above the body.
    pub notice: Option<Notice>,
    /// The middle of the screen.
    pub body: Body,
    /// Buttons at the bottom. At most one is primary; `Back` and `Cancel` are always the last.
    pub actions: Vec<Action>,
    /// A question over everything else ("are you still here?").
    pub dialog: Option<Dialog>,
    /// Small line at the very bottom: terminal number and phone.
    pub footer: String,
    /// Whether the large type and the high contrast are on, and the labels of their switches.
    pub comfort: Comfort,
    /// Words that stand around every screen.
    pub frame: Frame,
}

/// Words that stand around every screen, whatever it asks.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Frame {
    /// Name of the product in the header: "Мемлекеттік қызметтерге төлем".
    pub product: String,
    /// Labels of the two keys beside a list that is longer than the screen: up, down.
    pub scroll_labels: [String; 2],
}

/// Reading comfort, switched in the corner of each screen.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Comfort {
    /// Large type is on.
    pub large_text: bool,
    /// High contrast is on.
    pub high_contrast: bool,
    /// Controls are moved down into reach of a seated person.
    pub low_reach: bool,
    /// Label of the switch.
    pub large_text_label: String,
    /// Label of the switch.
    pub high_contrast_label: String,
    /// Label of the switch.
    pub low_reach_label: String,
}

/// How a line is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Tone {
    /// Plain.
    #[default]
    Info,
    /// Done, good.
    Good,
    /// Needs attention.
    Warning,
    /// Does not work.
    Alarm,
}

/// A line with a tone.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Notice {
    /// How it is meant.
    pub tone: Tone,
    /// The words.
    pub text: String,
}

/// A fact: label and value.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Row {
    /// What it is.
    pub label: String,
    /// How much, who, when.
    pub value: String,
    /// Larger than the rest (the total).
    pub strong: bool,
}

/// How a button looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Weight {
    /// The answer to "what now?", full width.
    Primary,
    /// Another way on.
    #[default]
    Secondary,
    /// Back, cancel.
    Quiet,
}

/// A button.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Action {
    /// What it says.
    pub label: String,
    /// What it does.
    pub intent: Intent,
    /// How it looks.
    pub weight: Weight,
    /// Whether it can be touched now.
    pub enabled: bool,
}

/// A question over the screen.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Dialog {
    /// Headline.
    pub title: String,
    /// Sentence, with the seconds left in it where there is a limit.
    pub text: String,
    /// Answers.
    pub actions: Vec<Action>,
}

/// A two-dimensional symbol.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Qr {
    /// Modules per side, without the quiet zone.
    pub size: u16,
    /// Row after row, true = dark.
    pub dark: Vec<bool>,
}

/// A service in the catalogue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Card {
    /// Name.
    pub title: String,
    /// Payee or group in one line.
    pub detail: String,
    /// Price as text.
    pub price: String,
    /// Choose it.
    pub intent: Intent,
}

/// A tab of the catalogue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tab {
    /// Name.
    pub label: String,
    /// Chosen now.
    pub selected: bool,
    /// Choose it.
    pub intent: Intent,
}

/// One stage of a wait.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stage {
    /// What is done.
    pub label: String,
    /// How far.
    pub state: StageState,
}

/// How far a stage is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StageState {
    /// Behind us.
    Done,
    /// Now.
    Active,
    /// To come.
    Waiting,
}

/// A picture that goes with a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Picture {
    /// None.
    #[default]
    None,
    /// A receipt coming out.
    Receipt,
    /// A slip to keep.
    Slip,
    /// A closed terminal.
    Closed,
    /// A question.
    Question,
    /// A printer that cannot print.
    NoPaper,
    /// A card going in, chip first.
    CardIn,
    /// A card to be taken.
    CardOut,
    /// The PIN pad, covered by a hand.
    PinPad,
}

/// The middle of a screen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Body {
    /// The start: touch anywhere ([`Intent::Start`]); three large language buttons.
    Attract {
        /// "Touch the screen to start" in each language, in the order of [`Language::ALL`].
        invitations: [String; 3],
        /// Live state: receipts yes, cash yes, card no.
        states: Vec<Notice>,
        /// Small ways in: claim slip, voucher, interrupted payment.
        links: Vec<Action>,
    },
    /// Services to choose from.
    Catalogue {
        /// Groups; the first is "all".
        tabs: Vec<Tab>,
        /// What was typed into the search field.
        query: String,
        /// Shown in the field while it is empty.
        query_hint: String,
        /// Services, commonest first; the screen scrolls.
        cards: Vec<Card>,
        /// Shown when there are none.
        empty: String,
        /// Rows of letters when the search keyboard is open.
        keyboard: Vec<String>,
        /// Labels of the search keyboard's wide keys: erase, close.
        keyboard_labels: [String; 2],
    },
    /// Facts to read before going on: service, quote, honest screen, confirm.
    Facts {
        /// Label-value rows.
        rows: Vec<Row>,
        /// Promises and warnings with a tick or a mark.
        points: Vec<Notice>,
        /// Notes taken, as face values ("500", "1 000"); drawn as banknotes. Empty = not shown.
        notes: Vec<String>,
    },
    /// Digits to type.
    Keypad {
        /// What was typed, in groups, `_` for places to come.
        echo: Secret,
        /// Read out for assistive technology and tests.
        echo_label: Secret,
        /// Why it was not accepted; empty if nothing is wrong.
        error: String,
        /// Why we ask, privacy.
        points: Vec<Notice>,
        /// Labels of the two keys beside 0: erase one, clear all.
        erase_label: String,
        /// See above.
        clear_label: String,
    },
    /// Waiting.
    Working {
        /// What is done step by step.
        stages: Vec<Stage>,
    },
    /// Notes go in.
    Inserting {
        /// To pay.
        due: Row,
        /// Inserted.
        inserted: Row,
        /// Remaining.
        remaining: Row,
        /// Thousandths of the sum that are in, 0..=1000.
        progress: u16,
        /// What became of the last note.
        last_note: Option<Notice>,
        /// Notes taken now, as face values.
        notes: Vec<String>,
        /// Label over the notes.
        notes_label: String,
    },
    /// The payment code.
    Code {
        /// Its label.
        label: String,
        /// In groups of four.
        code: String,
        /// The signed token.
        qr: Option<Qr>,
        /// What was paid, until when, where to use it.
        rows: Vec<Row>,
    },
    /// One message: claim slip, held money, cannot print, out of service.
    Message {
        /// How it is meant.
        tone: Tone,
        /// Picture.
        picture: Picture,
        /// A number to note, large; empty for none.
        number: String,
        /// Label of the number.
        number_label: String,
        /// Symbol to photograph.
        qr: Option<Qr>,
        /// Facts.
        rows: Vec<Row>,
        /// What happens next, sentences.
        points: Vec<Notice>,
    },
}

impl Default for Body {
    fn default() -> Self {
        Self::Working { stages: Vec::new() }
    }
}

/// Everything a touch can mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Intent {
    /// Wake the attract screen.
    Start,
    /// Another language, on any screen.
    SetLanguage(Language),
    /// Switch large type.
    ToggleLargeText,
    /// Switch high contrast.
    ToggleContrast,
    /// Switch low reach.
    ToggleLowReach,
    /// A tab of the catalogue: `None` = all.
    ChooseGroup(Option<tolem_protocol::catalogue::Group>),
    /// Open or close the search keyboard.
    ToggleSearch,
    /// A letter of the search keyboard.
    Letter(char),
    /// Erase the last letter or digit.
    Erase,
    /// Erase all.
    Clear,
    /// A digit of the keypad.
    Digit(Key),
    /// A service by its position in the whole catalogue.
    ChooseService(u16),
    /// Go on (pay, next, agree).
    Next,
    /// Pay with notes.
    PayCash,
    /// Pay with a card.
    PayCard,
    /// Use this of several applications on the card, by its place in the list.
    ChooseApplication(u8),
    /// Enter the PIN once more.
    TryAgain,
    /// Agree that the remainder is kept as a voucher, which opens the smallest larger note.
    AgreeRemainder,
    /// Confirm the payment.
    Confirm,
    /// Stop and keep the money safe.
    Stop,
    /// Really stop.
    StopConfirmed,
    /// Go on after all.
    Resume,
    /// One screen back.
    Back,
    /// Leave (no money is in).
    Cancel,
    /// Finished here.
    Done,
    /// Finished; start another payment.
    AnotherPayment,
    /// "I have a claim slip or voucher."
    HaveSlip,
    /// Use a voucher for this payment.
    UseVoucher,
    /// "A payment was interrupted here."
    WasInterrupted,
    /// Print again or print what is owed.
    Print,
    /// Still here.
    StillHere,
}
