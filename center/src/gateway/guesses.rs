//! Who asks for codes that do not exist is counted, slowed and told of. Pure: time comes in.
//!
//! A payment code has fourteen random digits and is bound to a person and a service, so nobody finds one by trying; whoever tries is to be seen.

use super::words::Token;
use std::collections::BTreeMap;
use tolem_protocol::UtcTime;

/// Wrong codes that one participant may ask for within an hour, if the configuration says nothing; then one in each part of the hour.
pub const WRONG_CODES: i64 = 100;
/// That hour, in milliseconds.
const WINDOW_MS: i64 = 3_600_000;

/// Wrong codes by participant. In memory: a new start forgets them.
#[derive(Clone, Debug)]
pub struct Guesses {
    /// A wrong code is forgotten after this, in milliseconds.
    each_ms: i64,
    /// When all that a participant has tried is forgotten.
    forgotten: BTreeMap<Token, UtcTime>,
}

impl Guesses {
    /// Lets each participant ask for so many wrong codes within an hour.
    pub fn new(wrong_codes: i64) -> Self {
        Self { each_ms: WINDOW_MS / wrong_codes.clamp(1, WINDOW_MS), forgotten: BTreeMap::new() }
    }

    /// Seconds until `who` may ask again; `None` if it may now.
    pub fn wait_s(&self, who: &Token, now: UtcTime) -> Option<i64> {
        let owed = self.forgotten.get(who).map_or(0, |at| at.0.saturating_sub(now.0));
        let over = owed + self.each_ms - WINDOW_MS;
        (over > 0).then(|| (over + 999) / 1_000)
    }

    /// Counts a wrong code. True if it was the last one for now.
    pub fn wrong(&mut self, who: &Token, now: UtcTime) -> bool {
        let before = self.forgotten.get(who).map_or(now.0, |at| at.0.max(now.0));
        self.forgotten.insert(who.clone(), UtcTime(before + self.each_ms));
        self.wait_s(who, now).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_in_an_hour_and_then_one_in_36_seconds() {
        let (mut guesses, who) = (Guesses::new(WRONG_CODES), Token::new("portal").expect("a name"));
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

    #[test]
    fn the_limit_is_what_the_configuration_says() {
        let (who, start) = (Token::new("portal").expect("a name"), UtcTime(1_795_700_000_000));
        for limit in [10, 1_000, 7] {
            let mut guesses = Guesses::new(limit);
            let tries = (1..).find(|_| guesses.wrong(&who, start));
            assert_eq!(tries, Some(limit), "the last one that is allowed");
        }
    }
}
