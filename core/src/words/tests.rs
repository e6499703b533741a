use super::*;
use std::collections::BTreeSet;

const REGULAR: &[u8] = include_bytes!("../../fonts/NotoSans-Regular.ttf");
const BOLD: &[u8] = include_bytes!("../../fonts/NotoSans-Bold.ttf");

/// Latin names that stand in Kazakh and Russian text as they are.
const LATIN_NAMES: [&str; 2] = ["eGov", "QR"];

fn placeholders(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, name, after)) = next_placeholder(rest) {
        found.push(name);
        rest = after;
    }
    found.sort_unstable();
    found
}

/// The text without its placeholders.
fn bare(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, _, after)) = next_placeholder(rest) {
        kept.push_str(before);
        rest = after;
    }
    kept + rest
}

fn each(mut check: impl FnMut(Word, Language, &'static str)) {
    for phrase in Word::ALL {
        for language in Language::ALL {
            check(*phrase, language, word(language, *phrase));
        }
    }
}

#[test]
fn every_phrase_says_something_in_each_language() {
    assert!(Word::ALL.len() > 150, "{}", Word::ALL.len());
    each(|phrase, language, text| {
        assert!(!text.is_empty() && text.trim() == text, "{phrase:?} {language:?}: {text:?}");
    });
}

#[test]
fn placeholders_are_the_same_in_all_three_languages() {
    for phrase in Word::ALL {
        let [kk, ru, en] = phrase.texts().map(placeholders);
        assert!(kk == ru && ru == en, "{phrase:?}: {kk:?} {ru:?} {en:?}");
        for text in phrase.texts() {
            assert!(!bare(text).contains(['{', '}']), "{phrase:?}: unpaired brace in {text:?}");
        }
    }
}

#[test]
fn both_fonts_have_every_letter() {
    for (name, bytes) in [("regular", REGULAR), ("bold", BOLD)] {
        let font = fontdue::Font::from_bytes(bytes, fontdue::FontSettings::default()).unwrap();
        each(|phrase, language, text| {
            for letter in text.chars() {
                assert!(font.has_glyph(letter), "{phrase:?} {language:?}: {letter:?} is not in {name}");
            }
        });
    }
}

#[test]
fn punctuation_is_typographic() {
    each(|phrase, language, text| {
        for wrong in ["\"", "'", "...", "  ", " ,", " .", " :", " ;", "!!", " - ", ",,"] {
            assert!(!text.contains(wrong), "{phrase:?} {language:?}: {wrong:?} in {text:?}");
        }
        let (wanted, unwanted) = match language {
            Language::English => (['“', '”'], ['«', '»']),
            Language::Kazakh | Language::Russian => (['«', '»'], ['“', '”']),
        };
        assert!(!text.contains(unwanted), "{phrase:?} {language:?}: quotes of another language");
        let [open, close] = wanted.map(|mark| text.matches(mark).count());
        assert_eq!(open, close, "{phrase:?} {language:?}: unpaired quotes");
    });
}

/// Keyboards make it easy to type a Latin "o" or "i" into a Cyrillic word: it looks right and is found by no search.
#[test]
fn scripts_are_not_mixed() {
    let cyrillic = |letter: char| ('\u{400}'..='\u{52f}').contains(&letter);
    each(|phrase, language, text| {
        if phrase == Word::LanguageName || phrase == Word::LanguageShort {
            return;
        }
        for token in
            bare(text).split(|letter: char| !letter.is_alphabetic()).filter(|token| !token.is_empty())
        {
            let fits = match language {
                Language::English => !token.chars().any(cyrillic),
                Language::Kazakh | Language::Russian => {
                    token.chars().all(cyrillic) || LATIN_NAMES.contains(&token)
                }
            };
            assert!(fits, "{phrase:?} {language:?}: {token:?} is of another script");
        }
    });
}

#[test]
fn russian_and_english_hold_no_kazakh_letters() {
    let kazakh: BTreeSet<char> = "ӘәҒғҚқҢңӨөҰұҮүҺһІі".chars().collect();
    let mut seen = BTreeSet::new();
    each(|phrase, language, text| {
        let found: BTreeSet<char> = text.chars().filter(|letter| kazakh.contains(letter)).collect();
        match language {
            Language::Kazakh => seen.extend(found),
            Language::Russian | Language::English => assert!(found.is_empty(), "{phrase:?}: {found:?}"),
        }
    });
    assert!(seen.len() >= 14, "the Kazakh texts are written in Kazakh letters: {seen:?}");
}

#[test]
fn values_are_filled_in_and_never_read_as_placeholders() {
    let text = fill(Language::English, Word::LargerNoteText, &[("note", "{sum}"), ("sum", "400")]);
    assert_eq!(
        text,
        "If you insert {sum}, the remainder of 400 stays yours as a voucher for your next payment."
    );
    for phrase in Word::ALL {
        for language in Language::ALL {
            let names = placeholders(word(language, *phrase));
            let args: Vec<(&str, &str)> = names.iter().map(|name| (*name, "X")).collect();
            assert!(!fill(language, *phrase, &args).contains(['{', '}']), "{phrase:?}");
        }
    }
}

#[test]
fn texts_of_one_language_differ_unless_they_mean_the_same() {
    for language in Language::ALL {
        let mut seen: Vec<(&str, Word)> = Vec::new();
        for phrase in Word::ALL {
            seen.push((word(language, *phrase), *phrase));
        }
        seen.sort_unstable();
        for pair in seen.windows(2) {
            let long = pair[0].0.chars().count() > 40;
            assert!(!(long && pair[0].0 == pair[1].0), "{:?} repeats {:?}", pair[0].1, pair[1].1);
        }
    }
}
