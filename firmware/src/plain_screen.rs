//! A screen without glass, for tests that start a terminal hundreds of times: what is shown and offered goes out as one line of
//! JSON per picture, what is touched comes in as a line.
//!
//! Drawing a picture costs more than everything else a terminal does in a payment. Only what the newest picture offers can be
//! touched, as on the glass. Only in the demo build, like the bench; when the other side ends, the terminal ends too.

use crate::run::{
    Parts,
    screen::{Glass, Intents},
};
use anyhow::Context;
use serde_json::json;
use std::{
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc::RecvTimeoutError},
    time::Duration,
};
use tolem_core::{
    secret::Key,
    view::{Action, Body, Intent, ViewModel},
};
use tolem_protocol::catalogue::Language;

/// A screen without news shows at least this often that it is alive.
const BEAT: Duration = Duration::from_secs(1);

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Connects to whoever looks and touches at `socket`, and gives the screen that speaks to them.
///
/// # Errors
/// If nobody listens there.
pub fn parts(socket: &Path) -> anyhow::Result<Parts> {
    let mut out = UnixStream::connect(socket)
        .with_context(|| format!("--plain {}: nobody listens there", socket.display()))?;
    let touches = BufReader::new(out.try_clone().context("--plain: cannot read touches")?);
    let screen: crate::run::screen::ScreenLoop = Box::new(move |glass| {
        let Glass { format: _, views, intents, heart } = glass;
        let offered = Arc::new(Mutex::new(Vec::new()));
        let newest = offered.clone();
        crate::run::spawn("touches", move || listen(touches, &newest, &intents))?;
        loop {
            match views.recv_timeout(BEAT) {
                Ok(view) => {
                    // First what can be touched, then the line: an answer to the line finds it.
                    *locked(&offered) = offers(&view);
                    // A reader that is gone is noticed by the thread that listens, which ends the program.
                    let _ = out.write_all(line(&view).as_bytes());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            heart.beat();
        }
    });
    Ok(Parts { screen: Some(screen), ..Parts::default() })
}

/// Touches what is named, if it is offered now, until the other side ends; then the program ends.
fn listen(touches: BufReader<UnixStream>, offered: &Mutex<Vec<Intent>>, intents: &Intents) {
    for named in touches.lines().map_while(Result::ok) {
        let found = locked(offered).iter().copied().find(|intent| named == name(*intent));
        if let Some(intent) = found
            && !intents.send(intent)
        {
            return;
        }
    }
    crate::run::log("whoever looked at the plain screen is gone, so this kiosk ends too");
    if let Err(error) =
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM)
    {
        crate::run::log(&format!("cannot stop: {error}"));
    }
}

/// How a touch is called on the line, e.g. `Confirm` or `Digit(7)`.
fn name(intent: Intent) -> String {
    match intent {
        // A key does not print itself, because in a log it would be part of an IIN. Here it is what the test itself types.
        Intent::Digit(key) => format!("Digit({})", key.digit()),
        intent => format!("{intent:?}"),
    }
}

/// One picture: name, language, words a failure's report needs, and what can be touched.
fn line(view: &ViewModel) -> String {
    let offers: Vec<String> = offers(view).into_iter().map(name).collect();
    let notice = view.notice.as_ref().map_or("", |notice| notice.text.as_str());
    let code = match &view.body {
        Body::Code { code, .. } => code.as_str(),
        _ => "",
    };
    let states: Vec<&str> = match &view.body {
        Body::Attract { states, .. } => states.iter().map(|state| state.text.as_str()).collect(),
        _ => Vec::new(),
    };
    let picture = json!({
        "screen": view.screen, "title": view.title, "lead": view.lead, "notice": notice, "code": code,
        "states": states, "offers": offers,
    });
    format!("{picture}\n")
}

/// Everything that the glass would let a finger do; a question over the screen covers the rest.
fn offers(view: &ViewModel) -> Vec<Intent> {
    let enabled = |actions: &[Action]| -> Vec<Intent> {
        actions.iter().filter(|action| action.enabled).map(|action| action.intent).collect()
    };
    if let Some(dialog) = &view.dialog {
        return enabled(&dialog.actions);
    }
    let mut all = enabled(&view.actions);
    match &view.body {
        Body::Attract { links, .. } => {
            all.push(Intent::Start);
            all.extend(enabled(links));
        }
        Body::Catalogue { tabs, cards, .. } => {
            all.extend(tabs.iter().map(|tab| tab.intent));
            all.extend(cards.iter().map(|card| card.intent));
        }
        Body::Keypad { .. } => {
            all.extend((0..=9).map(|digit| Intent::Digit(Key::new(digit))));
            all.extend([Intent::Erase, Intent::Clear]);
        }
        Body::Facts { .. }
        | Body::Working { .. }
        | Body::Inserting { .. }
        | Body::Code { .. }
        | Body::Message { .. } => {}
    }
    all.extend(Language::ALL.map(Intent::SetLanguage));
    all
}
