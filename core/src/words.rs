//! Every phrase of screen and paper in Kazakh, Russian and English, side by side.
//!
//! A phrase is one variant of [`Word`]; the tables under `words/` give its three texts, and a phrase that lacks a language
//! does not compile. Phrases are whole sentences: nothing is glued together from halves, because word order differs. Sums, numbers
//! and names come in through named `{placeholders}` of [`fill`]. No phrase decides anything: which one is said is the
//! business of the view and the receipt.

use tolem_protocol::catalogue::Language;

#[macro_use]
mod choosing;
#[macro_use]
mod paying;
#[macro_use]
mod cards;
#[macro_use]
mod keeping;
#[macro_use]
mod closed;
#[macro_use]
mod paper;

macro_rules! define_words {
    ($($name:ident: $kk:literal, $ru:literal, $en:literal;)*) => {
        /// One phrase. The line at each variant is its English text.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Word {
            $(#[doc = $en] $name,)*
        }

        impl Word {
            /// Every phrase, in the order of the tables.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Kazakh, Russian, English.
            const fn texts(self) -> [&'static str; 3] {
                match self {
                    $(Self::$name => [$kk, $ru, $en],)*
                }
            }
        }
    };
}

// Each table hands its phrases on to the next name; the last one gets them all.
choosing_words! { paying_words card_words keeping_words closed_words paper_words define_words }

/// The text of `word` in `language`, placeholders unfilled.
pub const fn word(language: Language, word: Word) -> &'static str {
    let [kk, ru, en] = word.texts();
    match language {
        Language::Kazakh => kk,
        Language::Russian => ru,
        Language::English => en,
    }
}

/// The text of `word` in `language` with each `{name}` replaced by its value.
///
/// Values are put in as they are and never searched for placeholders themselves. A placeholder without a value is our
/// bug: it stops a test build, and in the field it stays visible instead of taking a screen with money on it down.
pub fn fill(language: Language, template: Word, args: &[(&str, &str)]) -> String {
    let mut rest = word(language, template);
    // Room for everything at once: a value may be a secret, and a text that grows leaves copies behind.
    let mut text =
        String::with_capacity(rest.len() + args.iter().map(|(_, value)| value.len()).sum::<usize>());
    while let Some((before, name, after)) = next_placeholder(rest) {
        text.push_str(before);
        match args.iter().find(|(known, _)| *known == name) {
            Some((_, value)) => text.push_str(value),
            None => {
                debug_assert!(false, "{template:?} needs a value for {{{name}}}");
                text.push_str(&rest[before.len()..rest.len() - after.len()]);
            }
        }
        rest = after;
    }
    text.push_str(rest);
    text
}

/// Text before the first placeholder, its name, and the text after it.
fn next_placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let (before, tail) = text.split_once('{')?;
    let (name, after) = tail.split_once('}')?;
    Some((before, name, after))
}

#[cfg(test)]
mod tests;
