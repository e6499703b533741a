//! One kiosk on the bench: glass, note slot, paper, plug.

use super::{PATIENCE, program::Demo, service};
use crate::secrets;
use serde_json::{Value, json};
use std::{
    cell::Cell,
    fmt::Write as _,
    time::{Duration, Instant},
};
use tolem_core::words::{Word, word};
use tolem_protocol::catalogue::Language;

/// The bench answers at the latest after this when it is asked to wait for news.
const NEWS_MS: u64 = 1_000;

/// A picture that follows a touch at all follows within this.
const SOON: Duration = Duration::from_secs(5);

/// So far back in the wire log a failure's report looks; most of it is routine and left out.
const REPORTED: u64 = 3_000;

/// Something on the glass.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Element {
    /// Role as in ARIA.
    pub role: String,
    /// What it says, with plain spaces.
    pub label: String,
    /// What stands beside the label.
    pub value: String,
    /// Whether it answers to a touch.
    pub enabled: bool,
}

/// What the glass shows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Screen {
    /// Stable name, e.g. `attract`; empty while the kiosk is off.
    pub name: String,
    /// `kk`, `ru` or `en`.
    pub language: String,
    /// Counts changes.
    pub frame: u64,
    /// Everything that can be seen.
    pub elements: Vec<Element>,
}

impl Screen {
    /// Whether something says this, alone or within a sentence.
    pub fn says(&self, text: &str) -> bool {
        let text = plain(text);
        self.elements.iter().any(|element| element.label.contains(&text) || element.value.contains(&text))
    }

    /// The value beside a label.
    pub fn value(&self, label: &str) -> Option<String> {
        let found =
            self.elements.iter().find(|element| element.label == plain(label) && !element.value.is_empty());
        found.map(|element| element.value.clone())
    }

    /// Whether there is such a button.
    pub fn offers(&self, label: &str) -> bool {
        self.elements
            .iter()
            .any(|element| element.role == "button" && element.enabled && element.label == plain(label))
    }

    fn read(json: &Value) -> Self {
        let text = |value: &Value| plain(value.as_str().unwrap_or_default());
        let element = |json: &Value| Element {
            role: text(&json["role"]),
            label: text(&json["label"]),
            value: text(&json["value"]),
            enabled: json["enabled"] == true,
        };
        let connected = json["connected"] == true;
        Self {
            name: if connected { text(&json["screen"]) } else { String::new() },
            language: text(&json["language"]),
            frame: json["frame"].as_u64().unwrap_or_default(),
            elements: json["elements"].as_array().into_iter().flatten().map(element).collect(),
        }
    }
}

/// A piece of paper.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Paper {
    /// Counts all pieces.
    pub number: u64,
    /// `cut`, `torn` or `hanging`.
    pub end: String,
    /// What its symbols say, from the top.
    pub qr: Vec<String>,
}

/// One kiosk on the bench.
pub struct Terminal<'a> {
    demo: &'a Demo,
    index: usize,
    agent: ureq::Agent,
    language: Cell<Language>,
    seen: Cell<u64>,
}

/// People and tests type plain spaces where the glass has no-break ones.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl<'a> Terminal<'a> {
    pub(super) fn new(demo: &'a Demo, index: usize) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
        Self {
            demo,
            index,
            agent: config.build().into(),
            language: Cell::new(Language::Kazakh),
            seen: Cell::new(0),
        }
    }

    // Eyes.

    /// What the glass shows now.
    pub fn screen(&self) -> Screen {
        self.newer_screen(0, 0)
    }

    fn newer_screen(&self, after: u64, wait_ms: u64) -> Screen {
        Screen::read(&self.get("screen", &format!("&after={after}&wait_ms={wait_ms}")))
    }

    /// Waits for a picture that answers the question.
    ///
    /// # Panics
    /// If it does not come.
    pub fn until<T>(&self, what: &str, look: impl Fn(&Screen) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut screen = self.screen();
        loop {
            if let Some(found) = look(&screen) {
                return found;
            }
            assert!(Instant::now() < deadline, "waited in vain for {what}\n{}", self.report());
            screen = self.newer_screen(screen.frame, NEWS_MS);
        }
    }

    /// Waits a little for a picture that answers the question; false if it did not come.
    pub fn soon(&self, look: impl Fn(&Screen) -> bool) -> bool {
        let deadline = Instant::now() + SOON;
        let mut screen = self.screen();
        while !look(&screen) {
            if Instant::now() >= deadline {
                return false;
            }
            screen = self.newer_screen(screen.frame, NEWS_MS);
        }
        true
    }

    /// Waits for a screen by its name.
    pub fn until_screen(&self, name: &str) -> Screen {
        self.until(&format!("screen {name:?}"), |screen| (screen.name == name).then(|| screen.clone()))
    }

    /// Waits for one of several screens.
    pub fn until_one_of(&self, names: &[&str]) -> Screen {
        let found = |screen: &Screen| names.contains(&&*screen.name).then(|| screen.clone());
        self.until(&format!("one of {names:?}"), found)
    }

    // Hands on the glass.

    /// Chooses a language by its key in the corner.
    pub fn choose_language(&self, language: Language) {
        let labels = [word(language, Word::LanguageShort), word(language, Word::LanguageName)];
        let label = self
            .until("a key for the language", |screen| labels.into_iter().find(|label| screen.offers(label)));
        self.tap_label(label);
        self.language.set(language);
        let code = match language {
            Language::Kazakh => "kk",
            Language::Russian => "ru",
            Language::English => "en",
        };
        self.until(&format!("language {code}"), |screen| (screen.language == code).then_some(()));
    }

    /// From now on reads the glass in the language in which it is.
    pub fn follow_language(&self) {
        let language = self.until("a language", |screen| match screen.language.as_str() {
            "kk" => Some(Language::Kazakh),
            "ru" => Some(Language::Russian),
            "en" => Some(Language::English),
            _ => None,
        });
        self.language.set(language);
    }

    /// The language that was chosen through this client.
    pub fn language(&self) -> Language {
        self.language.get()
    }

    /// A phrase in the chosen language.
    pub fn say(&self, phrase: Word) -> &'static str {
        word(self.language.get(), phrase)
    }

    /// Taps what this phrase stands on, as soon as it is there.
    pub fn tap(&self, phrase: Word) {
        self.tap_label(self.say(phrase));
    }

    /// Taps what is labelled so, as soon as it is there.
    ///
    /// # Panics
    /// If it does not come.
    pub fn tap_label(&self, label: &str) {
        let deadline = Instant::now() + PATIENCE;
        let mut frame = 0;
        while let Err(why) = self.post("touch", &json!({ "label": label })) {
            assert!(Instant::now() < deadline, "{label:?} could not be tapped: {why}\n{}", self.report());
            frame = self.newer_screen(frame, NEWS_MS).frame;
        }
    }

    /// Taps what is labelled so; false if there is no such thing now.
    pub fn try_tap(&self, label: &str) -> bool {
        self.post("touch", &json!({ "label": label })).is_ok()
    }

    /// Taps the button whose label begins with the phrase up to its first placeholder.
    pub fn tap_beginning(&self, phrase: Word) {
        let beginning = self.beginning(phrase);
        let label = self.until(&format!("a button {beginning:?}"), |screen| {
            let mut buttons =
                screen.elements.iter().filter(|element| element.role == "button" && element.enabled);
            buttons.find(|button| button.label.starts_with(&beginning)).map(|button| button.label.clone())
        });
        self.tap_label(&label);
    }

    /// A phrase up to its first placeholder, with plain spaces.
    pub fn beginning(&self, phrase: Word) -> String {
        plain(self.say(phrase).split('{').next().unwrap_or_default())
    }

    /// Types digits on the keypad.
    pub fn type_digits(&self, digits: &str) {
        for digit in digits.chars().filter(char::is_ascii_digit) {
            self.tap_label(&digit.to_string());
        }
    }

    // A payment, step by step.

    /// From the start screen to the end of the IIN entry.
    pub fn choose(&self, code: &str, payer: &str) {
        self.choose_service(code);
        self.enter_iin(payer);
    }

    /// From the start screen to the IIN keypad.
    pub fn choose_service(&self, code: &str) {
        let language = self.language.get();
        // A language key wakes the start screen.
        if self.until_one_of(&["attract", "catalogue"]).name == "attract" {
            self.choose_language(language);
        }
        self.until_screen("catalogue");
        self.tap_label(&service(code, language));
        self.until_screen("service");
        self.tap(Word::PayThis);
        self.until_screen("iin");
    }

    /// Types an IIN where it is asked for.
    pub fn enter_iin(&self, payer: &str) {
        self.until_screen("iin");
        self.type_digits(payer);
        self.tap(Word::Next);
    }

    /// From the start screen to the quote.
    pub fn quote(&self, code: &str, payer: &str) {
        self.choose(code, payer);
        self.until_screen("quote");
    }

    /// From the start screen to the open note slot.
    pub fn open_slot(&self, code: &str, payer: &str) {
        self.quote(code, payer);
        self.accept_quote();
    }

    /// From the quote to the open note slot.
    pub fn accept_quote(&self) {
        self.tap(Word::PayCash);
        self.until_screen("honest");
        self.tap(Word::HonestAgree);
        self.until_screen("inserting");
    }

    /// Puts a note in and waits until it lies in the cassette and is counted.
    pub fn insert(&self, tenge: u32) {
        let before = self.cassette_tenge();
        self.push(tenge);
        self.until_state(&format!("the note of {tenge} counted"), |state| {
            let acceptor = &state["acceptor"];
            let stacked = acceptor["cassette"]["tenge"].as_u64() == Some(before + u64::from(tenge));
            (stacked && acceptor["unconfirmed"] == false).then_some(())
        });
    }

    /// Puts a note into the slot as soon as the slot takes one.
    pub fn push(&self, tenge: u32) {
        self.until_device("acceptor", &format!("insert {tenge}"));
    }

    /// Puts 500 tenge notes in until the sum is reached; agrees to keep a remainder where that is asked.
    pub fn insert_up_to(&self, due: u64, notes: &[u32]) {
        for note in notes {
            self.insert(*note);
        }
        let inserted: u64 = notes.iter().map(|note| u64::from(*note)).sum();
        assert!(inserted <= due, "only the last note may be above the sum");
        if inserted < due {
            self.tap_beginning(Word::LargerNoteAgree);
            self.insert(500);
        }
        self.until_screen("confirm");
    }

    // Devices and the world.

    /// Gives a device of the bench an order; the error says why not.
    pub fn device(&self, device: &str, order: &str) -> Result<String, String> {
        let answer = self.post(&format!("device/{device}"), &json!({ "do": order }))?;
        Ok(answer["answer"].as_str().unwrap_or_default().to_owned())
    }

    /// Gives an order that must work at once.
    ///
    /// # Panics
    /// If it does not.
    pub fn order(&self, device: &str, order: &str) {
        if let Err(why) = self.device(device, order) {
            panic!("{device} {order}: {why}\n{}", self.report());
        }
    }

    /// Gives an order as soon as it can be done.
    ///
    /// # Panics
    /// If it cannot be done for too long.
    pub fn until_device(&self, device: &str, order: &str) {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = self.newest();
        while let Err(why) = self.device(device, order) {
            assert!(Instant::now() < deadline, "{device} {order}: {why}\n{}", self.report());
            seen = self.wait_for_news(seen);
        }
    }

    /// Pulls the plug and puts it back.
    pub fn blackout(&self) {
        self.order("power", "off");
        self.power_on();
    }

    /// Puts the plug back.
    pub fn power_on(&self) {
        self.until_device("power", "on");
        self.until("the kiosk's first picture", |screen| (!screen.name.is_empty()).then_some(()));
    }

    /// Arms the plug; it is pulled at this moment by itself.
    pub fn arm(&self, moment: &str) {
        self.order("power", &format!("off when {moment}"));
    }

    /// Waits until the kiosk's process has ended.
    pub fn until_dark(&self) {
        self.until_state("the kiosk without power", |state| (state["power"]["on"] == false).then_some(()));
    }

    /// The physical truth.
    pub fn state(&self) -> Value {
        self.get("state", "")
    }

    /// Waits for a physical truth.
    ///
    /// # Panics
    /// If it does not come.
    pub fn until_state<T>(&self, what: &str, look: impl Fn(&Value) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = self.newest();
        loop {
            if let Some(found) = look(&self.state()) {
                return found;
            }
            assert!(Instant::now() < deadline, "waited in vain for {what}\n{}", self.report());
            seen = self.wait_for_news(seen);
        }
    }

    /// What lies in the cassette, in tenge.
    pub fn cassette_tenge(&self) -> u64 {
        self.state()["acceptor"]["cassette"]["tenge"].as_u64().unwrap_or_default()
    }

    /// All pieces of paper, newest first.
    pub fn papers(&self) -> Vec<Paper> {
        papers(&self.state())
    }

    /// Waits for the piece of paper after the first `known` ones that carries a symbol and was cut off.
    pub fn paper_after(&self, known: u64) -> Paper {
        self.until_state("a piece of paper", |state| {
            papers(state)
                .into_iter()
                .rev()
                .find(|paper| paper.number > known && paper.end == "cut" && !paper.qr.is_empty())
        })
    }

    /// Pieces of paper that came out up to now.
    pub fn pieces(&self) -> u64 {
        self.state()["printer"]["pieces"].as_u64().unwrap_or_default()
    }

    /// Steps of the payment that were traced, in order.
    pub fn steps(&self) -> Vec<u64> {
        let log = self.get("wire", "&source=trace");
        log["entries"].as_array().into_iter().flatten().filter_map(|entry| entry["step"].as_u64()).collect()
    }

    /// Waits until a step of the payment was traced.
    ///
    /// # Panics
    /// If it does not come.
    pub fn until_step(&self, step: u64) {
        let deadline = Instant::now() + PATIENCE;
        while !self.steps().contains(&step) {
            assert!(Instant::now() < deadline, "step {step} never came\n{}", self.report());
            self.wait_for_anything();
        }
    }

    /// The picture of the screen as PNG.
    pub fn picture(&self) -> Vec<u8> {
        self.bytes("screen.png", "")
    }

    // The wire log as a clock: something happened.

    /// Number of the newest line of the wire log, routine left out.
    pub fn newest(&self) -> u64 {
        loop {
            let log = self.get("wire", &format!("&after={}", self.seen.get()));
            let newer = log["next"].as_u64().unwrap_or_default();
            if newer <= self.seen.get() {
                return newer;
            }
            self.seen.set(newer);
        }
    }

    /// Lets time pass until something happens, or for a moment.
    pub fn wait_for_anything(&self) {
        self.wait_for_news(self.newest());
    }

    fn wait_for_news(&self, seen: u64) -> u64 {
        // Devices move without a word on the wire too, so the wait is short.
        let log = self.get("wire", &format!("&after={seen}&wait_ms={}", NEWS_MS / 4));
        log["next"].as_u64().unwrap_or(seen)
    }

    /// Everything that helps to understand a failure.
    pub fn report(&self) -> String {
        let mut text = String::new();
        let screen = self.screen();
        let _ = writeln!(text, "screen {:?} ({}):", screen.name, screen.language);
        for element in &screen.elements {
            let _ = writeln!(text, "  {} {:?} {}", element.role, element.label, element.value);
        }
        let state = self.state();
        let _ = writeln!(
            text,
            "faults {}\npower {}\nacceptor {}",
            state["faults"], state["power"], state["acceptor"]
        );
        let log = self.get("wire", &format!("&after={}", self.newest().saturating_sub(REPORTED)));
        let entries = log["entries"].as_array().map(Vec::as_slice).unwrap_or_default();
        for entry in &entries[entries.len().saturating_sub(60)..] {
            let part = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
            let _ = writeln!(text, "  {:9} {:10} {}", part("source"), part("way"), part("text"));
        }
        text + "log of the demo:\n" + &self.demo.log()
    }

    // HTTP.

    /// Reads all that was said on the wires, which no answer of the bench may show a secret of.
    pub(super) fn read_wires(&self) {
        drop(self.get("wire", "&after=0"));
    }

    fn get(&self, path: &str, query: &str) -> Value {
        let bytes = self.bytes(path, query);
        serde_json::from_slice(&bytes).unwrap_or_else(|e| panic!("GET {path}{query}: not JSON ({e})"))
    }

    fn bytes(&self, path: &str, query: &str) -> Vec<u8> {
        let url = format!("{}/api/{path}?kiosk={}{query}", self.demo.url(), self.index);
        let answer = self.agent.get(&url).call();
        let mut answer = answer.unwrap_or_else(|e| panic!("GET {url}: {e}\n{}", self.demo.log()));
        let bytes = answer.body_mut().with_config().limit(64 << 20).read_to_vec();
        let bytes = bytes.unwrap_or_else(|e| panic!("GET {url}: {e}"));
        assert!(answer.status().is_success(), "GET {url}: {}", String::from_utf8_lossy(&bytes));
        if let Some(secret) = secrets::find(&bytes) {
            panic!("GET {url} shows {secret}");
        }
        bytes
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value, String> {
        let url = format!("{}/api/{path}?kiosk={}", self.demo.url(), self.index);
        let call = self.agent.post(&url).header("content-type", "application/json").send(body.to_string());
        let mut answer = call.unwrap_or_else(|e| panic!("POST {url}: {e}\n{}", self.demo.log()));
        let text = answer.body_mut().read_to_string().unwrap_or_else(|e| panic!("POST {url}: {e}"));
        if answer.status().is_success() {
            Ok(serde_json::from_str(&text).unwrap_or_else(|e| panic!("POST {url}: not JSON ({e}): {text}")))
        } else {
            Err(text)
        }
    }
}

fn papers(state: &Value) -> Vec<Paper> {
    let list = state["printer"]["papers"].as_array();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let paper = |json: &Value| Paper {
        number: json["number"].as_u64().unwrap_or_default(),
        end: text(&json["end"]),
        qr: json["qr"].as_array().into_iter().flatten().map(text).collect(),
    };
    list.into_iter().flatten().map(paper).collect()
}
