//! What is cut, where and how: one line of text that runs one case again.

use std::{fmt, str::FromStr};

/// Whose calls are counted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Side {
    /// `tolem run`.
    Kiosk,
    /// `tolem run` on a disk without a journal: its very first start.
    Fresh,
    /// `tolem-center serve`, which makes codes itself.
    Center,
    /// `tolem-center serve`, which asks a payment gateway.
    Attached,
    /// `tolem-center gateway serve`, which that center asks.
    Gateway,
    /// `tolem run`, while a card pays.
    CardKiosk,
    /// `tolem-center serve`, while a card pays.
    CardCenter,
}

impl Side {
    const ALL: [Self; 7] = [
        Self::Kiosk,
        Self::Fresh,
        Self::Center,
        Self::Attached,
        Self::Gateway,
        Self::CardKiosk,
        Self::CardCenter,
    ];

    /// As it is written in a case.
    pub fn word(self) -> &'static str {
        match self {
            Self::Kiosk => "kiosk",
            Self::Fresh => "fresh",
            Self::Center => "center",
            Self::Attached => "attached",
            Self::Gateway => "gateway",
            Self::CardKiosk => "card-kiosk",
            Self::CardCenter => "card-center",
        }
    }
}

/// What happens at the place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum How {
    /// SIGKILL before the call.
    Kill,
    /// SIGKILL before the call, and the devices lose their power.
    Power,
    /// SIGKILL after the call.
    After,
    /// SIGKILL with half of the bytes written.
    Half,
    /// The call fails with an I/O error and has done nothing.
    Eio,
    /// The call fails with an I/O error and has done its work.
    EioKept,
    /// The call takes four seconds longer, as a worn flash disk does. Nobody may notice but the clock.
    Stall,
}

impl How {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Kill, Self::Power, Self::After, Self::Half, Self::Eio, Self::EioKept, Self::Stall];

    /// As it is written in a case.
    pub fn word(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Power => "power",
            Self::After => "after",
            Self::Half => "half",
            Self::Eio => "eio",
            Self::EioKept => "eio-kept",
            Self::Stall => "stall",
        }
    }

    /// As the cutter knows it: it has no hand on the devices' plug.
    pub(super) fn at_the_call(self) -> &'static str {
        match self {
            Self::Power => Self::Kill.word(),
            how => how.word(),
        }
    }
}

/// One run.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Case {
    /// Nothing is cut; the calls are counted.
    Nothing,
    /// The same with a payment gateway behind the center.
    NothingAttached,
    /// The same with a card instead of notes.
    NothingByCard,
    /// A cut at the `number`-th call of this kind.
    Cut {
        /// Of this program.
        side: Side,
        /// Name and call, e.g. `journal.sync`; `any` counts all calls together.
        at: String,
        /// From 1.
        number: u32,
        /// How.
        how: How,
    },
    /// The acceptor loses its power for a moment at the `number`-th change of its answer to POLL.
    Acceptor {
        /// From 1.
        number: u32,
    },
    /// Several lives in one payment, each ended somewhere and somehow, all from one seed.
    Random {
        /// The seed.
        seed: u64,
    },
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::NothingAttached => f.write_str("nothing-attached"),
            Self::NothingByCard => f.write_str("nothing-by-card"),
            Self::Cut { side, at, number, how } => {
                write!(f, "{} {at} {number} {}", side.word(), how.word())
            }
            Self::Acceptor { number } => write!(f, "acceptor {number}"),
            Self::Random { seed } => write!(f, "random {seed}"),
        }
    }
}

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is no case: nothing | nothing-attached | nothing-by-card | kiosk|fresh|center|attached|gateway|card-kiosk|card-center NAME.CALL N kill|power|after|half|eio|eio-kept|stall | acceptor N | random SEED"
            )
        };
        let words: Vec<&str> = text.split_whitespace().collect();
        match words.as_slice() {
            ["nothing"] => Ok(Self::Nothing),
            ["nothing-attached"] => Ok(Self::NothingAttached),
            ["nothing-by-card"] => Ok(Self::NothingByCard),
            ["acceptor", number] => Ok(Self::Acceptor { number: number.parse().map_err(|_| wrong())? }),
            ["random", seed] => Ok(Self::Random { seed: seed.parse().map_err(|_| wrong())? }),
            [side, at, number, how] => Ok(Self::Cut {
                side: Side::ALL.into_iter().find(|known| known.word() == *side).ok_or_else(wrong)?,
                at: (*at).to_owned(),
                number: number.parse().map_err(|_| wrong())?,
                how: How::ALL.into_iter().find(|known| known.word() == *how).ok_or_else(wrong)?,
            }),
            _ => Err(wrong()),
        }
    }
}

impl Case {
    /// Whether a payment gateway stands behind the center.
    pub fn is_attached(&self) -> bool {
        matches!(self, Self::NothingAttached | Self::Cut { side: Side::Attached | Side::Gateway, .. })
    }

    /// Whether a card pays.
    pub fn is_by_card(&self) -> bool {
        matches!(self, Self::NothingByCard | Self::Cut { side: Side::CardKiosk | Side::CardCenter, .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_run_again_by_its_own_words() {
        for text in [
            "nothing",
            "nothing-attached",
            "nothing-by-card",
            "card-center acquirer.write 2 after",
            "gateway register.sync 2 kill",
            "kiosk journal.sync 17 eio-kept",
            "center any 3 power",
            "fresh journal.write 1 half",
            "acceptor 12",
            "random 7",
        ] {
            assert_eq!(text.parse::<Case>().expect(text).to_string(), text);
        }
        for text in ["", "kiosk journal.sync 17", "kiosk journal.sync x kill", "kiosk journal.sync 1 burn"] {
            assert!(text.parse::<Case>().is_err(), "{text:?}");
        }
    }
}
