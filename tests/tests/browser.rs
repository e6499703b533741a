//! The bench page in a real browser, used by somebody who sees only roles and labels: a fee is paid by tapping the kiosk's
//! screen through the page's overlay, notes go in by the page's buttons, the paper's symbol is read from the page, the plug is
//! pulled and put back.

use serde_json::json;
use std::{
    cell::Cell,
    path::PathBuf,
    time::{Duration, Instant},
};
use tolem_core::words::{Word, word};
use tolem_protocol::catalogue::Language;
use tolem_tests::{
    bench::{Demo, run, service, tolem},
    browser::Browser,
};

const PAYER: &str = "000101300019";

/// Where pictures for people go: `target/.../tmp/`.
fn picture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-{name}.png"))
}

/// Somebody at the page.
struct Visitor<'a> {
    demo: &'a Demo,
    browser: Browser,
    language: Cell<Language>,
}

impl Drop for Visitor<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.browser.screenshot(&picture("failure"));
            eprintln!("{}", self.demo.terminal(0).report());
        }
    }
}

impl Visitor<'_> {
    /// Taps what is labelled so on the kiosk's screen.
    fn tap(&self, phrase: Word) {
        self.browser.click("button", word(self.language.get(), phrase));
    }

    fn until_screen(&self, name: &str) {
        let script =
            "return document.getElementById('screen-name').textContent.startsWith(arguments[0] + ' ');";
        self.browser.until(&format!("screen {name:?}"), script, &[json!(name)]);
    }

    /// Puts a note in by the page's button and waits until the page says how much lies in the cassette.
    fn insert(&self, tenge: u32, notes_then: u32) {
        let open = "return document.getElementById('slot').classList.contains('open');";
        self.browser.until("an open slot", open, &[]);
        self.browser.click("button", &format!("Insert {tenge} tenge"));
        let script = "return document.getElementById('cassette-state').textContent.startsWith(arguments[0] + ' notes');";
        self.browser.until(
            &format!("{notes_then} notes in the cassette"),
            script,
            &[json!(notes_then.to_string())],
        );
    }

    /// From the start screen to the open slot.
    fn open_slot(&self, code: &str) {
        self.until_screen("attract");
        self.browser.click("button", word(self.language.get(), Word::LanguageShort));
        self.until_screen("catalogue");
        self.browser.click("button", &service(code, self.language.get()));
        self.until_screen("service");
        self.tap(Word::PayThis);
        self.until_screen("iin");
        self.enter_iin();
        self.until_screen("quote");
        self.tap(Word::PayCash);
        self.until_screen("honest");
        self.tap(Word::HonestAgree);
        self.until_screen("inserting");
    }

    /// Types the IIN and compares it with the screen before going on, as the screen asks people to do; mistyped, it is typed again.
    fn enter_iin(&self) {
        const TRIES: u32 = 5;
        for _ in 0..TRIES {
            self.tap(Word::Clear);
            for digit in PAYER.chars() {
                self.browser.click("button", &digit.to_string());
            }
            if self.soon_enabled(Word::Next) {
                self.tap(Word::Next);
                return;
            }
        }
        panic!("the IIN was never complete: {}", self.browser.text());
    }

    /// Whether a key of the kiosk's screen can be touched within a few seconds.
    fn soon_enabled(&self, phrase: Word) -> bool {
        let script = "return [...document.querySelectorAll('#overlay button')].some((node) =>
            node.getAttribute('aria-label') === arguments[0] && node.getAttribute('aria-disabled') !== 'true');";
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline {
            if self.browser.script(script, &[json!(word(self.language.get(), phrase))]) == true {
                return true;
            }
        }
        false
    }

    /// Agrees to keep what is above the sum as a voucher.
    fn agree(&self) {
        let beginning =
            word(self.language.get(), Word::LargerNoteAgree).split('{').next().unwrap_or_default().trim();
        let script = "const found = [...document.querySelectorAll('#overlay button')]
            .find((node) => (node.getAttribute('aria-label') || '').startsWith(arguments[0]));
            return found ? found.getAttribute('aria-label').replace(/\\s+/g, ' ') : null;";
        let label = self.browser.until("the question about the remainder", script, &[json!(beginning)]);
        self.browser.click("button", label.as_str().unwrap_or_default());
    }
}

#[test]
fn a_fee_is_paid_on_the_page_by_labels_alone() {
    let demo = Demo::start();
    let visitor =
        Visitor { demo: &demo, browser: Browser::open(1600, 1000), language: Cell::new(Language::Russian) };
    let browser = &visitor.browser;
    browser.visit(demo.url());
    visitor.until_screen("attract");
    browser.screenshot(&picture("start"));

    visitor.open_slot("id-card");
    visitor.insert(500, 1);
    browser.screenshot(&picture("inserting"));

    // The plug, while money is in.
    browser.click("button", "Pull the plug");
    browser.until("darkness", "return !document.getElementById('dark').hidden;", &[]);
    browser.screenshot(&picture("dark"));
    browser.click("button", "Power on");
    visitor.until_screen("attract");
    // A language key would lead on to the services; after a start the terminal speaks Kazakh.
    visitor.language.set(Language::Kazakh);
    visitor.tap(Word::WasInterrupted);
    visitor.until_screen("iin");
    visitor.enter_iin();
    visitor.until_screen("inserting");
    visitor.agree();
    visitor.insert(500, 2);
    visitor.until_screen("confirm");
    visitor.tap(Word::Confirm);
    visitor.until_screen("code");
    browser.screenshot(&picture("code"));

    // The paper, read on the page.
    let newest = "const found = document.querySelector('#papers button'); return found ? found.getAttribute('aria-label') : null;";
    let label = browser.until("a piece of paper", newest, &[]);
    browser.click("button", label.as_str().unwrap_or_default());
    let read = "const found = [...document.querySelectorAll('[data-qr]')].map((node) => node.dataset.qr)
        .find((text) => text.startsWith('TOLEM:C1:')); return found || null;";
    let symbol = browser.until("the symbol of the code", read, &[]);
    browser.screenshot(&picture("paper"));
    let symbol = symbol.as_str().unwrap_or_default();
    let proof = run(&tolem(), &[&"receipt", &"verify", &"--config", &demo.kiosk_config(0), &symbol]).good();
    assert!(proof.contains("id-card"), "{proof}");
    browser.click("button", "Close");

    visitor.tap(Word::Done);
    visitor.until_screen("attract");
    let errors = browser.script("return document.getElementById('toast').hidden;", &[]);
    assert_eq!(errors, true, "the page complains: {}", browser.text());
    assert_eq!(demo.check_books(), 1_000);
}
