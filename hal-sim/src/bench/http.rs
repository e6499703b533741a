//! The HTTP side of the bench: one page, and the API that the page, scripts and tests use alike (`docs/bench.md`).

use super::{
    Bench,
    answer::{Answer, Refusal, json, typed},
    guard,
    kiosk::Kiosk,
    plug::Moment,
    state,
    stream::{Element, Phase, Touch},
    wire::{Source, Wanted},
};
use crate::{ccnet_device::Place, link_proxy::LinkMode, served::DeviceHandle};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, Method, Response, StatusCode, header},
};
use serde_json::{Map, Value};
use std::{
    collections::BTreeMap,
    future::IntoFuture,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};
use tokio::sync::oneshot;

/// Longest body of a request in bytes.
const MAX_BODY: usize = 4096;
/// Longest wait for something new, in milliseconds.
const MAX_WAIT_MS: u64 = 25_000;
/// Longest delay of a slow link, in milliseconds.
const MAX_SLOW_MS: u64 = 60_000;

const ENDPOINTS: &[&str] = &[
    "GET /",
    "GET /api/screen",
    "GET /api/screen.png",
    "POST /api/touch",
    "POST /api/device/acceptor|printer|cardreader|pinpad|issuer|link|power|cabinet|center",
    "GET /api/state",
    "GET /api/books",
    "GET /api/paper/NUMBER.png",
    "GET /api/wire",
];

/// Nothing but ourselves, and in no frame of somebody else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; \
                      form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/// The bench as it is served; dropping it ends the serving.
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves `bench` on a thread of its own. A listener that is reachable from outside this machine is refused.
    pub fn start(bench: Arc<Bench>, listener: TcpListener) -> io::Result<Self> {
        let address = listener.local_addr()?;
        if address.ip() != Ipv4Addr::LOCALHOST {
            let text = format!(
                "the bench can do anything to its kiosks, so it listens on 127.0.0.1 only, not on {address}"
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("bench-http".into()).spawn(move || {
            runtime.block_on(async move {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                let router = Router::new().fallback(respond).with_state(Context { bench, address });
                tokio::select! {
                    // Neither ends by itself.
                    _ = axum::serve(listener, router).into_future() => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already if nobody listens to this.
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[derive(Clone)]
struct Context {
    bench: Arc<Bench>,
    address: SocketAddr,
}

async fn respond(State(context): State<Context>, request: Request) -> Response<Body> {
    let mut response = route(&context, request).await.unwrap_or_else(|refusal| refusal.respond());
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn route(context: &Context, request: Request) -> Answer {
    guard::check(context.address, request.method(), request.headers())?;
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or("").to_owned();
    let bench = &context.bench;
    let get = || match method {
        Method::GET | Method::HEAD => Ok(()),
        _ => Err(not_allowed("GET")),
    };
    match path.as_str() {
        "/" => get().map(|()| typed(include_str!("page/index.html"), "text/html; charset=utf-8")),
        "/bench.css" => get().map(|()| typed(include_str!("page/bench.css"), "text/css; charset=utf-8")),
        "/bench.js" => get().map(|()| typed(include_str!("page/bench.js"), "text/javascript; charset=utf-8")),
        "/api/screen" => {
            get()?;
            screen(bench, &Query::parse(&query, &["kiosk", "after", "wait_ms"])?).await
        }
        "/api/screen.png" => {
            get()?;
            screen_png(bench, &Query::parse(&query, &["kiosk", "after", "wait_ms"])?).await
        }
        "/api/state" => {
            get()?;
            let kiosk = Query::parse(&query, &["kiosk"])?.kiosk(bench)?;
            let bench = Arc::clone(bench);
            blocking(move || Ok(json(&state::state(&bench, &kiosk)))).await
        }
        "/api/books" => {
            get()?;
            let kiosk = Query::parse(&query, &["kiosk"])?.kiosk(bench)?;
            let bench = Arc::clone(bench);
            blocking(move || books(&bench, &kiosk)).await
        }
        "/api/wire" => {
            get()?;
            wire(bench, &Query::parse(&query, &["kiosk", "after", "wait_ms", "source", "routine"])?).await
        }
        "/api/touch" => {
            post(&method)?;
            let kiosk = Query::parse(&query, &["kiosk"])?.kiosk(bench)?;
            let fields = body(request).await?;
            blocking(move || touch(&kiosk, &fields)).await
        }
        _ => match (path.strip_prefix("/api/device/"), path.strip_prefix("/api/paper/")) {
            (Some(device), _) => {
                post(&method)?;
                let kiosk = Query::parse(&query, &["kiosk"])?.kiosk(bench)?;
                let (device, bench) = (device.to_owned(), Arc::clone(bench));
                let fields = body(request).await?;
                blocking(move || act(&bench, &kiosk, &device, &fields)).await
            }
            (_, Some(name)) => {
                get()?;
                let kiosk = Query::parse(&query, &["kiosk"])?.kiosk(bench)?;
                let name = name.to_owned();
                blocking(move || paper(&kiosk, &name)).await
            }
            (None, None) => Err(Refusal::missing(
                format!("there is nothing at {path:?}"),
                ENDPOINTS.iter().map(ToString::to_string).collect(),
            )),
        },
    }
}

/// Devices answer from their own threads and pictures take a while: neither may stop the others.
async fn blocking(work: impl FnOnce() -> Answer + Send + 'static) -> Answer {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Err(Refusal::new(status, format!("the bench failed: {error}"), Vec::new()))
    })
}

fn not_allowed(method: &str) -> Refusal {
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "this method does nothing here", vec![method.to_owned()])
}

fn post(method: &Method) -> Result<(), Refusal> {
    if method == Method::POST { Ok(()) } else { Err(not_allowed("POST")) }
}

// What is asked.

struct Query(BTreeMap<String, String>);

impl Query {
    fn parse(text: &str, allowed: &[&str]) -> Result<Self, Refusal> {
        let mut found = BTreeMap::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if !allowed.contains(&name) {
                return Err(Refusal::bad(format!("parameter {name:?} is not known here"), allowed));
            }
            found.insert(name.to_owned(), value.to_owned());
        }
        Ok(Self(found))
    }

    fn number(&self, name: &str, most: u64) -> Result<u64, Refusal> {
        let Some(text) = self.0.get(name) else { return Ok(0) };
        let range = format!("a whole number from 0 to {most}");
        text.parse()
            .ok()
            .filter(|number| *number <= most)
            .ok_or_else(|| Refusal::bad(format!("{name} = {text:?} is not {range}"), &[range.as_str()]))
    }

    fn kiosk(&self, bench: &Bench) -> Result<Arc<Kiosk>, Refusal> {
        let last = bench.kiosks.len().saturating_sub(1);
        let index = self.number("kiosk", last as u64)?;
        let found = usize::try_from(index).ok().and_then(|index| bench.kiosks.get(index));
        found.cloned().ok_or_else(|| Refusal::missing("there is no kiosk on this bench", Vec::new()))
    }

    fn wait(&self) -> Result<Duration, Refusal> {
        Ok(Duration::from_millis(self.number("wait_ms", MAX_WAIT_MS)?))
    }

    fn flag(&self, name: &str) -> Result<bool, Refusal> {
        Ok(self.number(name, 1)? == 1)
    }
}

/// The fields of a JSON object.
struct Fields(Map<String, Value>);

async fn body(request: Request) -> Result<Fields, Refusal> {
    let bytes = axum::body::to_bytes(request.into_body(), MAX_BODY).await.map_err(|_| {
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        Refusal::new(status, "the body is too long", vec![format!("at most {MAX_BODY} bytes")])
    })?;
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(fields)) => Ok(Fields(fields)),
        Ok(_) => Err(Refusal::bad("the body is JSON, but not an object", &["{...}"])),
        Err(error) => Err(Refusal::bad(format!("the body is not JSON: {error}"), &["{...}"])),
    }
}

impl Fields {
    fn only(&self, allowed: &[&str]) -> Result<(), Refusal> {
        match self.0.keys().find(|key| !allowed.contains(&key.as_str())) {
            Some(key) => Err(Refusal::bad(format!("field {key:?} is not known here"), allowed)),
            None => Ok(()),
        }
    }

    fn text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(Refusal::bad(format!("{name} = {other} is not a text"), &["a text"])),
        }
    }

    fn pixel(&self, name: &str, size: u32) -> Result<f32, Refusal> {
        let range = format!("{name}: a number from 0 to below {size}");
        let value = self.0.get(name).and_then(Value::as_f64);
        value.filter(|value| (0.0..f64::from(size)).contains(value)).map(|value| value as f32).ok_or_else(
            || {
                let given = self.0.get(name).map_or("missing".to_owned(), ToString::to_string);
                Refusal::bad(format!("{name} is {given}"), &[range.as_str()])
            },
        )
    }
}

// The screen.

async fn screen(bench: &Bench, query: &Query) -> Answer {
    let (kiosk, wait) = (query.kiosk(bench)?, query.wait()?);
    let picture = kiosk.screen.newer(query.number("after", u64::MAX)?, wait).await;
    let scene = &picture.scene;
    Ok(json(&serde_json::json!({
        "connected": picture.connected,
        "screen": scene.screen,
        "language": scene.language,
        "width": scene.width,
        "height": scene.height,
        "frame": picture.frame,
        "elements": scene.elements,
    })))
}

async fn screen_png(bench: &Bench, query: &Query) -> Answer {
    let (kiosk, wait) = (query.kiosk(bench)?, query.wait()?);
    let after = query.number("after", u64::MAX)?;
    let picture = kiosk.screen.newer(after, wait).await;
    let frame = HeaderValue::from(picture.frame);
    let mut response = if !picture.connected || picture.png.is_empty() {
        let error = "the screen is dark: the kiosk is off or has not drawn yet";
        Refusal::missing(error, vec!["POST /api/device/power {\"do\":\"on\"}".into()]).respond()
    } else if picture.frame <= after {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        response
    } else {
        typed(picture.png.as_ref().clone(), "image/png")
    };
    response.headers_mut().insert("x-frame", frame);
    Ok(response)
}

fn touch(kiosk: &Kiosk, fields: &Fields) -> Answer {
    const FORMS: &[&str] = &[
        "{\"label\": TEXT, \"role\": \"button\"|\"textbox\"}",
        "{\"x\": PIXELS, \"y\": PIXELS, \"phase\": PHASE}",
    ];
    let picture = kiosk.screen.picture();
    if !picture.connected {
        return Err(Refusal::conflict(
            "nobody feels it: the kiosk is off",
            &["POST /api/device/power {\"do\":\"on\"}"],
        ));
    }
    let (touch, label) = if let Some(label) = fields.text("label")? {
        fields.only(&["label", "role"])?;
        let element = find(&picture.scene.elements, label, fields.text("role")?)?;
        let (x, y) = (element.x + element.w / 2.0, element.y + element.h / 2.0);
        (Touch { phase: Phase::Tap, x, y }, Some(element.label.clone()))
    } else if fields.0.contains_key("x") {
        fields.only(&["x", "y", "phase"])?;
        let phase = match fields.text("phase")? {
            None | Some("tap") => Phase::Tap,
            Some("pressed") => Phase::Pressed,
            Some("moved") => Phase::Moved,
            Some("released") => Phase::Released,
            Some(other) => {
                let allowed = ["tap", "pressed", "moved", "released"];
                return Err(Refusal::bad(format!("phase = {other:?} is not known"), &allowed));
            }
        };
        let (x, y) = (fields.pixel("x", picture.scene.width)?, fields.pixel("y", picture.scene.height)?);
        (Touch { phase, x, y }, None)
    } else {
        return Err(Refusal::bad("a touch needs a label, or x and y", FORMS));
    };
    kiosk.screen.touch(touch).map_err(|error| Refusal::conflict(error, &[]))?;
    Ok(json(&serde_json::json!({ "x": touch.x, "y": touch.y, "label": label, "frame": picture.frame })))
}

/// The first element with this label that a finger can do something with.
fn find<'a>(elements: &'a [Element], label: &str, role: Option<&str>) -> Result<&'a Element, Refusal> {
    // People and scripts type plain spaces where the screen has no-break ones.
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let wanted = plain(label);
    let mut touchable = elements.iter().filter(|element| element.is_touchable());
    touchable
        .find(|element| plain(&element.label) == wanted && role.is_none_or(|role| role == element.role))
        .ok_or_else(|| {
            let there = elements.iter().filter(|element| element.is_touchable());
            let labels = there.map(|element| element.label.clone()).collect();
            Refusal::missing(format!("nothing labelled {label:?} can be touched now"), labels)
        })
}

// Devices.

const DEVICES: &[&str] =
    &["acceptor", "printer", "cardreader", "pinpad", "issuer", "link", "power", "cabinet", "center"];

fn act(bench: &Bench, kiosk: &Kiosk, device: &str, fields: &Fields) -> Answer {
    if !DEVICES.contains(&device) {
        let allowed = DEVICES.iter().map(ToString::to_string).collect();
        return Err(Refusal::missing(format!("there is no device {device:?}"), allowed));
    }
    fields.only(&["do"])?;
    let line =
        fields.text("do")?.ok_or_else(|| Refusal::bad("the field \"do\" is missing", &["{\"do\": TEXT}"]))?;
    let words: Vec<&str> = line.split_whitespace().collect();
    let answer = match device {
        "acceptor" => command(kiosk, &kiosk.acceptor, line, line)?,
        "printer" => command(kiosk, &kiosk.printer, line, line)?,
        "cardreader" => command(kiosk, &kiosk.card_reader, line, line)?,
        // Which keys somebody presses is told to nobody.
        "pinpad" => command(kiosk, &kiosk.pin_pad, line, "PIN pad")?,
        "issuer" => bench.center.issuer(line).map_err(|error| {
            let allowed: Vec<&str> = error.trim_start_matches("allowed: ").split("; ").collect();
            Refusal::bad("the issuer does not do that", &allowed)
        })?,
        "link" => link(kiosk, &words)?,
        "power" => power(kiosk, &words)?,
        "cabinet" => cabinet(kiosk, &words)?,
        _ => center(bench, kiosk, &words)?,
    };
    Ok(json(&serde_json::json!({ "answer": answer })))
}

fn command(kiosk: &Kiosk, device: &DeviceHandle, line: &str, told: &str) -> Result<String, Refusal> {
    let help = device.command("help").unwrap_or_default();
    let answer = device.command(line).map_err(|error| {
        let known = !error.starts_with("unknown command");
        let allowed: Vec<&str> = help.split("; ").collect();
        // A word that is known but cannot be done now is no mistake of the request.
        if known && !error.contains("allowed:") {
            Refusal::conflict(error, &[])
        } else {
            // What is allowed comes as a list already.
            Refusal::bad(error.split("; allowed:").next().unwrap_or_default(), &allowed)
        }
    })?;
    kiosk.tell(format!("{told}: {answer}"));
    Ok(answer)
}

fn link(kiosk: &Kiosk, words: &[&str]) -> Result<String, Refusal> {
    const ALLOWED: &[&str] = &["up", "down", "slow MILLISECONDS (1 to 60000, each way)", "answers-lost"];
    let mode = match words {
        ["up"] => LinkMode::Up,
        ["down"] => LinkMode::Down,
        ["answers-lost"] => LinkMode::AnswersLost,
        ["slow", ms] => match ms.parse() {
            Ok(ms) if (1..=MAX_SLOW_MS).contains(&ms) => LinkMode::Slow(ms),
            _ => return Err(Refusal::bad(format!("slow {ms:?} is not a number of milliseconds"), ALLOWED)),
        },
        _ => return Err(unknown("link", words, ALLOWED)),
    };
    kiosk.set_link(mode);
    Ok(format!("link {}", super::kiosk::link_words(mode)))
}

fn power(kiosk: &Kiosk, words: &[&str]) -> Result<String, Refusal> {
    const ALLOWED: &[&str] =
        &["off", "on", "crash", "off when ordered|passing|stacked|printing", "off never"];
    match words {
        ["on"] => {
            kiosk.switch_on().map(|()| "power on".into()).map_err(|error| Refusal::conflict(error, ALLOWED))
        }
        ["off"] => {
            kiosk.pull_plug();
            Ok("power off".into())
        }
        ["crash"] => {
            kiosk.crash();
            kiosk.tell("the process was killed, the devices keep their power".into());
            Ok("process killed".into())
        }
        ["off", "when", moment] => {
            let moment = Moment::parse(moment).ok_or_else(|| unknown("power", words, ALLOWED))?;
            kiosk.arm(Some(moment));
            Ok(format!("the plug will be pulled: {}", moment.name()))
        }
        ["off", "never"] => {
            kiosk.arm(None);
            Ok("the plug is not armed".into())
        }
        _ => Err(unknown("power", words, ALLOWED)),
    }
}

fn cabinet(kiosk: &Kiosk, words: &[&str]) -> Result<String, Refusal> {
    const ALLOWED: &[&str] = &["door open|closed", "safe open|closed"];
    let (part, open) = match words {
        [part @ ("door" | "safe"), "open"] => (*part, true),
        [part @ ("door" | "safe"), "closed"] => (*part, false),
        _ => return Err(unknown("cabinet", words, ALLOWED)),
    };
    kiosk.screen.set_switches(|switches| match part {
        "door" => switches.door_open = open,
        _ => switches.safe_open = open,
    });
    let answer = format!("{part} {}", if open { "open" } else { "closed" });
    kiosk.tell(answer.clone());
    Ok(answer)
}

fn center(bench: &Bench, kiosk: &Kiosk, words: &[&str]) -> Result<String, Refusal> {
    const ALLOWED: &[&str] = &["registry up|down", "gateway up|down"];
    let (part, up) = match words {
        [part @ ("registry" | "gateway"), "up"] => (*part, true),
        [part @ ("registry" | "gateway"), "down"] => (*part, false),
        _ => return Err(unknown("center", words, ALLOWED)),
    };
    match part {
        "registry" => bench.center.set_registry(up),
        _ => bench.center.set_gateway(up),
    }
    let answer = format!("{part} {}", if up { "up" } else { "down" });
    kiosk.tell(answer.clone());
    Ok(answer)
}

fn unknown(device: &str, words: &[&str], allowed: &[&str]) -> Refusal {
    Refusal::bad(format!("{device} does not know {:?}", words.join(" ")), allowed)
}

// What came out, and what was said.

fn paper(kiosk: &Kiosk, name: &str) -> Answer {
    let number = name.strip_suffix(".png").and_then(|number| number.parse().ok());
    match number.and_then(|number| kiosk.piece(number)) {
        Some(piece) => Ok(typed(piece.png.as_ref().clone(), "image/png")),
        None => {
            let there = kiosk.pieces().iter().map(|piece| format!("{}.png", piece.number)).collect();
            Err(Refusal::missing(format!("there is no piece of paper {name:?}"), there))
        }
    }
}

fn books(bench: &Bench, kiosk: &Kiosk) -> Answer {
    let failed = |error| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error, Vec::new());
    let sums = bench.books.read(kiosk.index).map_err(failed)?;
    let state = kiosk.acceptor_state().ok_or_else(|| failed("the acceptor has died".to_owned()))?;
    let collected = state.notes.iter().filter(|record| record.place == Place::Collected);
    let collected: u64 = collected.map(|record| u64::from(record.note.denomination.0)).sum();
    Ok(json(&serde_json::json!({
        "cassette": state.cassette_tenge(),
        "collected": collected,
        "journal": sums.journal,
        "records": sums.records,
        "in_doubt": sums.in_doubt,
        "center": sums.center,
    })))
}

async fn wire(bench: &Bench, query: &Query) -> Answer {
    let kiosk = query.kiosk(bench)?;
    let source = match query.0.get("source") {
        None => None,
        Some(name) => Some(Source::parse(name).ok_or_else(|| {
            let allowed = ["acceptor", "printer", "center", "trace", "bench"];
            Refusal::bad(format!("source = {name:?} is not known"), &allowed)
        })?),
    };
    let wanted = Wanted {
        kiosk: kiosk.index,
        after: query.number("after", u64::MAX)?,
        source,
        routine: query.flag("routine")?,
    };
    let (entries, next) = bench.wire.wait(wanted, query.wait()?).await;
    Ok(json(&serde_json::json!({ "next": next, "entries": entries })))
}
