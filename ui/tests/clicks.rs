//! A tap on a label sends the intent that the core put there, and nothing else.
//!
//! One thread and one screen: Slint binds to the thread.

mod samples;

use std::cell::RefCell;
use std::rc::Rc;
use tolem_core::secret::Key;
use tolem_core::view::{Body, Intent, ViewModel};
use tolem_protocol::catalogue::{Group, Language};
use tolem_ui::{Format, Role, Screen, Touch};

struct Bench {
    screen: Screen,
    sent: Rc<RefCell<Vec<Intent>>>,
}

impl Bench {
    fn new() -> Self {
        let screen = Screen::headless(Format::Portrait).expect("the first screen of this process");
        let sent = Rc::new(RefCell::new(Vec::new()));
        let log = Rc::clone(&sent);
        screen.on_intent(move |intent| log.borrow_mut().push(intent));
        Self { screen, sent }
    }

    fn show(&mut self, view: &ViewModel) {
        self.screen.show(view);
        self.screen.render();
    }

    fn tap_at(&mut self, x: f32, y: f32) -> Vec<Intent> {
        self.screen.touch(Touch::Pressed, x, y);
        self.screen.touch(Touch::Released, x, y);
        self.screen.render();
        self.sent.take()
    }

    fn tap(&mut self, label: &str) -> Vec<Intent> {
        let element =
            self.screen.find(label).unwrap_or_else(|| panic!("nothing to touch is called {label:?}"));
        let (x, y) = element.center();
        self.tap_at(x, y)
    }

    fn labels(&self, role: Role) -> Vec<String> {
        self.screen.elements().into_iter().filter(|e| e.role == role && !e.inside).map(|e| e.label).collect()
    }
}

#[test]
fn every_label_sends_what_the_core_put_there() {
    let mut bench = Bench::new();
    for format in [Format::Portrait, Format::Landscape] {
        bench.screen.set_format(format);
        for language in Language::ALL {
            for view in samples::all(language) {
                bench.show(&view);
                actions_of_the_page_or_of_its_question(&mut bench, &view);
                language_switches(&mut bench);
            }
            comfort_switches(&mut bench, language, format);
            start(&mut bench, language);
            catalogue(&mut bench, language);
            keypad(&mut bench, language);
            still_here(&mut bench, language);
        }
        scrolling_keeps_its_place(&mut bench);
        nothing_is_drawn_twice(&mut bench);
    }
    a_second_screen_is_refused();
}

fn actions_of_the_page_or_of_its_question(bench: &mut Bench, view: &ViewModel) {
    let actions = view.dialog.as_ref().map_or(&view.actions, |dialog| &dialog.actions);
    for action in actions {
        if action.enabled {
            assert_eq!(bench.tap(&action.label), [action.intent], "{} {:?}", view.screen, action.label);
        } else {
            assert!(bench.screen.find(&action.label).is_none(), "{:?} is off", action.label);
            let all = bench.screen.elements();
            let off = all.iter().find(|e| e.label == action.label).expect("it is drawn all the same");
            let (x, y) = off.center();
            assert_eq!(bench.tap_at(x, y), [], "{:?} is off", action.label);
        }
    }
    if view.dialog.is_some() {
        for hidden in &view.actions {
            assert!(bench.screen.find(&hidden.label).is_none(), "{:?} is under a question", hidden.label);
        }
    }
}

fn language_switches(bench: &mut Bench) {
    for (label, language) in ["ҚАЗ", "РУС", "ENG"].into_iter().zip(Language::ALL) {
        assert_eq!(bench.tap(label), [Intent::SetLanguage(language)]);
    }
}

fn comfort_switches(bench: &mut Bench, language: Language, format: Format) {
    let view = samples::one(language, "inserting");
    bench.show(&view);
    assert_eq!(bench.tap(&view.comfort.large_text_label), [Intent::ToggleLargeText]);
    assert_eq!(bench.tap(&view.comfort.high_contrast_label), [Intent::ToggleContrast]);
    // A small landscape screen is within reach anyway and has no such switch.
    match format {
        Format::Portrait => assert_eq!(bench.tap(&view.comfort.low_reach_label), [Intent::ToggleLowReach]),
        Format::Landscape => assert!(bench.screen.find(&view.comfort.low_reach_label).is_none()),
    }
}

fn start(bench: &mut Bench, language: Language) {
    let view = samples::one(language, "attract");
    bench.show(&view);
    for (name, language) in ["Қазақша", "Русский", "English"].into_iter().zip(Language::ALL) {
        assert_eq!(bench.tap(name), [Intent::SetLanguage(language), Intent::Start]);
    }
    let Body::Attract { links, .. } = &view.body else { panic!("attract") };
    for link in links {
        assert_eq!(bench.tap(&link.label), [link.intent]);
    }
    assert_eq!(bench.tap_at(200.0, 400.0), [Intent::Start], "a touch anywhere else starts");
}

fn catalogue(bench: &mut Bench, language: Language) {
    let view = samples::one(language, "catalogue");
    bench.show(&view);
    let Body::Catalogue { tabs, query_hint, cards, .. } = &view.body else { panic!("catalogue") };
    for tab in tabs {
        assert_eq!(bench.tap(&tab.label), [tab.intent]);
    }
    assert_eq!(tabs[1].intent, Intent::ChooseGroup(Some(Group::Documents)));
    assert_eq!(bench.tap(&cards[0].title), [Intent::ChooseService(0)]);
    assert_eq!(bench.tap(query_hint), [Intent::ToggleSearch]);

    let view = samples::one(language, "search");
    bench.show(&view);
    let Body::Catalogue { query, query_hint, keyboard, keyboard_labels, .. } = &view.body else {
        panic!("search")
    };
    for key in keyboard.iter().flat_map(|row| row.chars()) {
        assert_eq!(bench.tap(&key.to_string()), [Intent::Letter(key)]);
    }
    assert_eq!(bench.tap(&keyboard_labels[0]), [Intent::Erase]);
    assert_eq!(bench.tap(&keyboard_labels[1]), [Intent::ToggleSearch]);
    assert_eq!(&bench.screen.find(query_hint).expect("the search field").value, query);
}

fn keypad(bench: &mut Bench, language: Language) {
    let view = samples::one(language, "iin-error");
    bench.show(&view);
    let Body::Keypad { echo, echo_label, erase_label, clear_label, .. } = &view.body else {
        panic!("keypad")
    };
    for digit in 0..=9 {
        assert_eq!(bench.tap(&digit.to_string()), [Intent::Digit(Key::new(digit))]);
    }
    assert_eq!(bench.tap(erase_label), [Intent::Erase]);
    assert_eq!(bench.tap(clear_label), [Intent::Clear]);
    let field = bench.screen.find(echo_label).expect("the field is read out");
    assert_eq!((field.role, field.value.as_str()), (Role::TextInput, &**echo));
}

fn still_here(bench: &mut Bench, language: Language) {
    bench.show(&samples::still_here(language));
    let (width, height) = bench.screen.size();
    assert_eq!(
        bench.tap_at(width as f32 / 2.0, height as f32 * 0.3),
        [Intent::StillHere],
        "any touch is an answer"
    );
    bench.show(&samples::one(language, "stop"));
    assert_eq!(bench.tap_at(width as f32 / 2.0, height as f32 * 0.2), [], "but not to another question");
}

/// All cards can be reached by the keys beside the list; other changes leave the list where it is.
fn scrolling_keeps_its_place(bench: &mut Bench) {
    let mut view = samples::one(Language::Kazakh, "catalogue");
    bench.show(&samples::one(Language::Kazakh, "closed"));
    bench.show(&view);
    let Body::Catalogue { cards, .. } = &view.body else { panic!("catalogue") };
    let last = cards.last().expect("eight services").title.clone();
    let [up, down] = view.frame.scroll_labels.clone();
    assert!(!bench.labels(Role::Button).contains(&last), "the last card is below the fold");
    assert!(bench.screen.find(&up).is_none(), "already at the top");
    for _ in 0..cards.len() {
        if bench.screen.find(&down).is_some() {
            assert_eq!(bench.tap(&down), [], "scrolling is no business of the core");
        }
    }
    assert_eq!(bench.tap(&last), [Intent::ChooseService(7)]);
    view.footer.push('!');
    bench.show(&view);
    assert!(bench.labels(Role::Button).contains(&last), "another footer does not scroll the list");
    let Body::Catalogue { cards, .. } = &mut view.body else { panic!("catalogue") };
    cards.rotate_left(1);
    bench.show(&view);
    assert!(bench.screen.find(&up).is_none(), "another list starts at its top");
}

fn nothing_is_drawn_twice(bench: &mut Bench) {
    let view = samples::one(Language::English, "inserting");
    bench.show(&view);
    bench.screen.render();
    bench.screen.show(&view);
    let mut pixels = Vec::new();
    assert!(!bench.screen.render_if_needed(&mut pixels), "the same view model changes nothing");
    assert!(pixels.is_empty());
    let mut next = view.clone();
    if let Body::Inserting { progress, .. } = &mut next.body {
        *progress = 900;
    }
    bench.screen.show(&next);
    assert!(bench.screen.render_if_needed(&mut pixels));
    assert_eq!(pixels.len(), bench.screen.pixels().len());
    assert_eq!(bench.screen.next_timer(), None, "a screen at rest needs no wake-ups");
}

fn a_second_screen_is_refused() {
    assert!(matches!(Screen::headless(Format::Portrait), Err(tolem_ui::Error::SecondScreen)));
}
