//! Who asks for codes that do not exist is counted, slowed and told of. Pure: time comes in.
//!
//! A payment code has fourteen random digits and is bound to a person and a service, so nobody finds one by trying; whoever tries is to be seen.

use super::words::Token;
use std::collections::BTreeMap;
use tolem_protocol::UtcTime;

/// Wrong codes that one participant may ask for within an hour; then one in each part of the hour.
pub const WRONG_CODES: i64 = 100;
/// That hour, in milliseconds.
const WINDOW_MS: i64 = 3_600_000;
/// A wrong code is forgotten after this, in milliseconds.
const EACH_MS: i64 = WINDOW_MS / WRONG_CODES;

/// Wrong codes by participant. In memory: a new start forgets them.
#[derive(Clone, Default, Debug)]
pub struct Guesses {
    /// When all that a participant has tried is forgotten.
    forgotten: BTreeMap<Token, UtcTime>,
}

impl Guesses {
    /// Seconds until `who` may ask again; `None` if it may now.
    pub fn wait_s(&self, who: &Token, now: UtcTime) -> Option<i64> {
        let owed = self.forgotten.get(who).map_or(0, |at| at.0.saturating_sub(now.0));
        let over = owed + EACH_MS - WINDOW_MS;
        (over > 0).then(|| (over + 999) / 1_000)
    }

    /// Counts a wrong code. True if it was the last one for now.
    pub fn wrong(&mut self, who: &Token, now: UtcTime) -> bool {
        let before = self.forgotten.get(who).map_or(now.0, |at| at.0.max(now.0));
        self.forgotten.insert(who.clone(), UtcTime(before + EACH_MS));
        self.wait_s(who, now).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_in_an_hour_and_then_one_in_36_seconds() {
        let (mut guesses, who) = (Guesses::default(), Token::new("portal").expect("a name"));
        let start = UtcTime(1_795_700_000_000);
        let last = (1..=WRONG_CODES).filter(|_| guesses.wrong(&who, start)).count();
        assert_eq!(last, 1, "the hundredth is the last one");
        assert_eq!(guesses.wait_s(&who, start), Some(36));
        assert_eq!(guesses.wait_s(&who, start.plus_seconds(35)), Some(1));
        assert_eq!(guesses.wait_s(&who, start.plus_seconds(36)), None);
        assert!(guesses.wrong(&who, start.plus_seconds(36)), "that was the one");
        assert_eq!(guesses.wait_s(&Token::new("other").expect("a name"), start), None);
        assert_eq!(guesses.wait_s(&who, start.plus_seconds(2 * 3_600)), None);
        let again = (1..=WRONG_CODES).filter(|_| guesses.wrong(&who, start.plus_seconds(7_200))).count();
        assert_eq!(again, 1, "an hour later all is forgotten");
    }
}
