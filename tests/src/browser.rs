//! A headless Chromium, driven over the WebDriver protocol (W3C) as assistive technology would: by role and label.
//!
//! Six requests of the protocol are all that is needed here, so there is no WebDriver crate and no second HTTP stack.
//! Elements are found by their accessible name as the browser itself computes it.

use crate::bench::{PATIENCE, Program};
use serde_json::{Value, json};
use std::{path::Path, process::Command, time::Instant};
use tempfile::TempDir;

/// Key under which the protocol gives out an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser window; ends with its value.
pub struct Browser {
    session: String,
    agent: ureq::Agent,
    // Dropped in this order: window, driver, profile.
    _driver: Program,
    _profile: TempDir,
}

impl Browser {
    /// Opens a window of this size without a screen.
    ///
    /// # Panics
    /// If Chromium or its driver is missing: `apt-get install chromium chromium-driver`.
    pub fn open(width: u32, height: u32) -> Self {
        let profile =
            tempfile::Builder::new().prefix("tolem-browser-").tempdir().expect("a directory for the browser");
        let mut command = Command::new("chromedriver");
        command.arg("--port=0");
        let mut driver = Program::start(command);
        let port: u16 = driver.wait_for_line("its port", |line| {
            let port = line.split("successfully on port ").nth(1)?;
            port.trim_end_matches('.').parse().ok()
        });
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
        let agent: ureq::Agent = config.build().into();
        let arguments = [
            "--headless=new".into(),
            "--no-sandbox".into(),
            "--disable-gpu".into(),
            "--disable-dev-shm-usage".into(),
            "--disable-quic".into(),
            "--no-first-run".into(),
            "--disable-background-networking".into(),
            "--disable-component-update".into(),
            "--disable-sync".into(),
            format!("--window-size={width},{height}"),
            format!("--user-data-dir={}", profile.path().display()),
        ];
        let wanted =
            json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": { "args": arguments } } } });
        let root = format!("http://127.0.0.1:{port}/session");
        let answer =
            call(&agent, "POST", &root, Some(&wanted)).unwrap_or_else(|e| panic!("{e}\n{}", driver.log()));
        let session = format!("{root}/{}", answer["sessionId"].as_str().unwrap_or_default());
        Self { session, agent, _driver: driver, _profile: profile }
    }

    /// Goes to an address.
    pub fn visit(&self, url: &str) {
        self.post("url", &json!({ "url": url }));
    }

    /// Runs a script with arguments in the page and returns what it returns.
    pub fn script(&self, script: &str, arguments: &[Value]) -> Value {
        self.post("execute/sync", &json!({ "script": script, "args": arguments }))
    }

    /// Clicks the element of this role and accessible name, as soon as it is there and can be used.
    ///
    /// # Panics
    /// If it does not come.
    pub fn click(&self, role: &str, name: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let why = match self.find(role, name) {
                Some(element) => match self.try_post(&format!("element/{element}/click"), &json!({})) {
                    Ok(_) => return,
                    Err(why) => why,
                },
                None => "it is not there".into(),
            };
            assert!(
                Instant::now() < deadline,
                "{role} {name:?} could not be clicked: {why}\n{}",
                self.text()
            );
            self.breathe();
        }
    }

    /// Waits until the page's script returns something.
    ///
    /// # Panics
    /// If it does not.
    pub fn until(&self, what: &str, script: &str, arguments: &[Value]) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self.script(script, arguments);
            if !found.is_null() && found != false {
                return found;
            }
            assert!(Instant::now() < deadline, "waited in vain for {what}\n{}", self.text());
            self.breathe();
        }
    }

    /// Waits for the next picture of the page, which is when something can have changed.
    fn breathe(&self) {
        let script = "const done = arguments[0]; requestAnimationFrame(() => setTimeout(done, 50));";
        let _ = self.try_post("execute/async", &json!({ "script": script, "args": [] }));
    }

    /// The usable element whose role and name, as the browser computes them, are these.
    fn find(&self, role: &str, name: &str) -> Option<String> {
        // A cheap guess in the page, then the browser's own word for it.
        let script = "const plain = (text) => (text || '').replace(/\\s+/g, ' ').trim();
            return [...document.querySelectorAll('button, select, input, [role], summary')].filter((node) =>
                !node.disabled && (plain(node.getAttribute('aria-label')) === arguments[0]
                || plain(node.textContent) === arguments[0]));";
        let found = self.script(script, &[json!(name)]);
        let elements = found.as_array()?.iter().filter_map(|element| element[ELEMENT].as_str());
        let mut named = elements.filter(|element| {
            let computed = |what: &str| self.get(&format!("element/{element}/computed{what}"));
            let label = computed("label").ok().and_then(|label| label.as_str().map(plain));
            label.as_deref() == Some(name) && computed("role").is_ok_and(|found| found == role)
        });
        named.next().map(str::to_owned)
    }

    /// Everything that can be read on the page.
    pub fn text(&self) -> String {
        self.script("return document.body.innerText;", &[]).as_str().unwrap_or_default().to_owned()
    }

    /// Writes a picture of the window.
    pub fn screenshot(&self, path: &Path) {
        let picture = self.get("screenshot").unwrap_or_else(|e| panic!("no screenshot: {e}"));
        let bytes = data_encoding::BASE64.decode(picture.as_str().unwrap_or_default().as_bytes());
        let bytes = bytes.expect("invariant: the protocol sends base64");
        std::fs::write(path, bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }

    fn get(&self, path: &str) -> Result<Value, String> {
        call(&self.agent, "GET", &format!("{}/{path}", self.session), None)
    }

    fn try_post(&self, path: &str, body: &Value) -> Result<Value, String> {
        call(&self.agent, "POST", &format!("{}/{path}", self.session), Some(body))
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.try_post(path, body).unwrap_or_else(|e| panic!("{path}: {e}"))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends its browser when it ends; this is the polite way.
        let _ = call(&self.agent, "DELETE", &self.session, None);
    }
}

fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn call(agent: &ureq::Agent, method: &str, url: &str, body: Option<&Value>) -> Result<Value, String> {
    let answer = match (method, body) {
        ("GET", _) => agent.get(url).call(),
        ("DELETE", _) => agent.delete(url).call(),
        (_, body) => agent
            .post(url)
            .header("content-type", "application/json")
            .send(body.map(Value::to_string).unwrap_or_default()),
    };
    let mut answer = answer.map_err(|e| format!("{method} {url}: {e}"))?;
    let text = answer.body_mut().with_config().limit(64 << 20).read_to_string().map_err(|e| e.to_string())?;
    let json: Value = serde_json::from_str(&text).map_err(|e| format!("{url}: {e}: {text}"))?;
    let value = json["value"].clone();
    if answer.status().is_success() {
        Ok(value)
    } else {
        Err(format!("{}: {}", value["error"], value["message"]))
    }
}
