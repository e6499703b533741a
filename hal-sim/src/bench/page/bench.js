// The bench page: shows what the bench knows and sends what hands do. It decides nothing and uses the same API as any script.
"use strict";

const $ = (id) => document.getElementById(id);
const make = (tag, props = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), props);
  node.append(...children);
  return node;
};
const tenge = (sum) => sum.toString().replace(/\B(?=(\d{3})+$)/g, "\u202f") + "\u00a0₸";

let kiosk = Number(new URLSearchParams(location.search).get("kiosk")) || 0;
let session = new AbortController();
let state = null;
let scene = null;

// ---------- Talking to the bench ----------

async function get(path, signal) {
  const response = await fetch(path, { signal });
  const body = await response.json();
  if (!response.ok) throw new Error(body.error);
  return body;
}

async function post(path, body) {
  const response = await fetch(`${path}?kiosk=${kiosk}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

let toastTimer = 0;
function complain(error) {
  $("toast").textContent = error.message || String(error);
  $("toast").hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { $("toast").hidden = true; }, 6000);
}

async function device(name, ...lines) {
  try {
    for (const line of lines) await post(`/api/device/${name}`, { do: line });
  } catch (error) {
    complain(error);
  }
  refresh();
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Repeats `work` until the kiosk on show changes; an unreachable bench is said and tried again.
async function forever(work) {
  const { signal } = session;
  while (!signal.aborted) {
    try {
      await work(signal);
      lost(false);
    } catch (error) {
      if (signal.aborted) return;
      lost(error instanceof TypeError);
      await pause(1000);
    }
  }
}

function lost(is) {
  if (is) {
    $("dark").hidden = false;
    $("dark-title").textContent = "The bench has ended";
    $("dark-why").textContent = "Start cargo demo again; this page reconnects by itself.";
  }
  document.body.classList.toggle("lost", is);
}

// ---------- The kiosk's screen ----------

let frame = 0;

async function followScreen(signal) {
  const response = await fetch(`/api/screen.png?kiosk=${kiosk}&after=${frame}&wait_ms=20000`, { signal });
  const next = Number(response.headers.get("x-frame"));
  if (response.status === 200) {
    const url = URL.createObjectURL(await response.blob());
    const picture = $("picture");
    const old = picture.src;
    picture.src = url;
    await picture.decode().catch(() => {});
    if (old) URL.revokeObjectURL(old);
    drawScene(await get(`/api/screen?kiosk=${kiosk}`, signal));
  } else if (response.status === 404) {
    drawScene(null);
  } else if (response.status !== 204) {
    throw new Error((await response.json()).error);
  }
  frame = next < frame ? 0 : next;
}

function drawScene(next) {
  scene = next && next.connected ? next : null;
  $("dark").hidden = Boolean(scene);
  const overlay = $("overlay");
  if (!scene) {
    overlay.replaceChildren();
    $("screen-name").textContent = "";
    $("picture").removeAttribute("src");
    darkWords();
    return;
  }
  $("glass").style.setProperty("--ratio", scene.width / scene.height);
  // Under a low screen there is room for the paper.
  const home = scene.width > scene.height ? $("cabinet") : $("hands");
  if ($("paper").parentElement !== home) home.append($("paper"));
  $("screen-name").textContent = `${scene.screen} · ${scene.language}`;
  // Nodes are kept while their label stays, so that the keyboard's focus does too.
  const old = new Map([...overlay.children].map((node) => [node.dataset.key, node]));
  const count = new Map();
  const nodes = scene.elements.map((element) => {
    const touchable = element.role === "button" || element.role === "textbox";
    const name = `${element.role} ${element.label}`;
    const nth = (count.get(name) || 0) + 1;
    count.set(name, nth);
    const key = `${name} ${nth}`;
    let node = old.get(key);
    if (!node) {
      node = make(touchable ? "button" : "span", touchable ? { type: "button" } : {});
      node.dataset.key = key;
      if (touchable) {
        node.setAttribute("aria-label", element.label);
        node.addEventListener("click", (event) => { if (event.detail === 0) tap(node.element); });
      } else if (element.role === "img" || element.role === "progressbar") {
        node.setAttribute("role", element.role);
        node.setAttribute("aria-label", element.label);
      }
    }
    node.element = element;
    if (touchable) {
      if (element.enabled) node.removeAttribute("aria-disabled"); else node.setAttribute("aria-disabled", "true");
      if (element.selected) node.setAttribute("aria-pressed", "true"); else node.removeAttribute("aria-pressed");
    } else {
      const text = element.value ? `${element.label}: ${element.value}` : element.label;
      if (node.textContent !== text) node.textContent = text;
    }
    Object.assign(node.style, {
      left: `${(100 * element.x) / scene.width}%`,
      top: `${(100 * element.y) / scene.height}%`,
      width: `${(100 * element.w) / scene.width}%`,
      height: `${(100 * element.h) / scene.height}%`,
    });
    return node;
  });
  const same = nodes.length === overlay.children.length && nodes.every((node, at) => overlay.children[at] === node);
  if (!same) {
    const focused = document.activeElement;
    overlay.replaceChildren(...nodes);
    if (nodes.includes(focused)) focused.focus({ preventScroll: true });
  }
}

function darkWords() {
  const power = state ? state.power : null;
  if (!power || document.body.classList.contains("lost")) return;
  $("dark-title").textContent = power.on ? "Starting…" : "Power off";
  $("dark-why").textContent = power.on ? "The kiosk process runs and has not drawn yet." : power.ended || "";
}

// Touches are sent one after another; of the moves only the newest.
const touches = [];
let touching = false;

function touch(body) {
  const last = touches[touches.length - 1];
  if (body.phase === "moved" && last && last.phase === "moved") touches.pop();
  touches.push(body);
  if (!touching) sendTouches();
}

async function sendTouches() {
  touching = true;
  while (touches.length) {
    try {
      await post("/api/touch", touches.shift());
    } catch (error) {
      complain(error);
    }
  }
  touching = false;
}

function tap(element) {
  touch({ x: element.x + element.w / 2, y: element.y + element.h / 2 });
}

function pixel(event) {
  const box = $("glass").getBoundingClientRect();
  const inside = (part, size) => Math.min(Math.max(part, 0), 0.9999) * size;
  return {
    x: inside((event.clientX - box.left) / box.width, scene.width),
    y: inside((event.clientY - box.top) / box.height, scene.height),
  };
}

let finger = null;
$("glass").addEventListener("pointerdown", (event) => {
  if (!scene || finger !== null || event.button !== 0) return;
  finger = event.pointerId;
  $("glass").setPointerCapture(finger);
  touch({ ...pixel(event), phase: "pressed" });
});
$("glass").addEventListener("pointermove", (event) => {
  if (scene && event.pointerId === finger) touch({ ...pixel(event), phase: "moved" });
});
for (const name of ["pointerup", "pointercancel"]) {
  $("glass").addEventListener(name, (event) => {
    if (event.pointerId !== finger) return;
    finger = null;
    if (scene) touch({ ...pixel(event), phase: "released" });
  });
}

// ---------- Notes, cassette ----------

const NOTES = [500, 1000, 2000, 5000, 10000, 20000];
for (const value of NOTES) {
  const button = make("button", { type: "button", className: `note n${value}` }, tenge(value), make("small", {}, "insert"));
  button.setAttribute("aria-label", `Insert ${value} tenge`);
  button.addEventListener("click", () => device("acceptor", `insert ${value}`));
  $("notes").append(button);
}
const ODD = [
  ["Foreign note", "Insert a foreign note", "insert 2000 foreign"],
  ["Bad note", "Insert a worn or forged note", "insert 2000 bad"],
  ["Old 1000 (2006)", "Insert a 1000 tenge note of the 2006 design", "insert 1000 2006"],
  ["Take it back", "Take the note that sticks out of the slot", "take"],
];
for (const [text, label, line] of ODD) {
  const button = make("button", { type: "button", title: label }, text);
  button.setAttribute("aria-label", label);
  if (line === "take") button.id = "take-note";
  button.addEventListener("click", () => device("acceptor", line));
  $("odd").append(button);
}

const PLACES = {
  inlet: "sticks out of the slot", validator: "being checked", escrow: "waits in escrow", transport: "being stacked",
  cassette: "in the cassette", returned: "given back", technician: "with the technician", collected: "collected",
};

const SLOT_WORDS = { IDLING: "takes notes now", DISABLED: "closed by the kiosk" };

function drawNotes() {
  const acceptor = state.acceptor;
  if (!acceptor) return;
  const words = !acceptor.powered ? "no power" : SLOT_WORDS[acceptor.status] || acceptor.status.toLowerCase();
  $("slot-state").textContent = acceptor.plugged ? words : `${words} · unplugged`;
  $("slot").classList.toggle("open", acceptor.takes_notes);
  const note = $("slot-note");
  note.className = acceptor.inlet ? `there note n${acceptor.inlet}` : "";
  note.textContent = acceptor.inlet ? tenge(acceptor.inlet) : "";
  $("take-note").disabled = !acceptor.inlet;
  $("moves").replaceChildren(...acceptor.notes.slice(0, 4).map((record) => {
    const kind = [record.pattern, record.foreign && "foreign", !record.genuine && "bad"].filter(Boolean).join(", ");
    const value = `${tenge(record.tenge)}${kind ? ` (${kind})` : ""}`;
    return make("li", {}, make("b", {}, value), make("span", { className: record.place }, PLACES[record.place]));
  }));
  const cassette = acceptor.cassette;
  $("cassette-state").textContent = cassette.present ? `${cassette.notes} notes · ${tenge(cassette.tenge)}` : "taken out";
  const kinds = Object.entries(cassette.counts).sort((a, b) => a[0] - b[0]);
  $("cassette").replaceChildren(...(kinds.length
    ? kinds.map(([value, count]) => make("li", { className: `n${value}` }, `${count} × ${tenge(Number(value))}`))
    : [make("li", { className: "empty" }, "Empty.")]));
}

// Three books about the same notes: what lies there, what the kiosk wrote down, what the center knows.
async function drawBooks() {
  const books = await get(`/api/books?kiosk=${kiosk}`).catch(() => null);
  if (!books) return $("books").replaceChildren();
  const there = books.cassette + books.collected;
  const written = books.journal + books.in_doubt;
  const cell = (name, sum, same, words) => make("div", { className: same ? "good" : "open" },
    make("dt", {}, name), make("dd", {}, tenge(sum), make("small", {}, words)));
  const less = (sum, whole, words) => (sum === whole ? "agrees" : `${sum < whole ? "−" : "+"}${tenge(Math.abs(whole - sum))} ${words}`);
  $("books").replaceChildren(
    cell("Stacked, in truth", there, true, books.collected ? `${tenge(books.collected)} collected` : "in the cassette"),
    cell("Kiosk's journal", written, written === there, less(written, there, "not written yet")),
    cell("Center's ledger", books.center, books.center === written, less(books.center, written, "still open")));
}

// ---------- Paper ----------

let drawnPapers = "";

function drawPapers() {
  const printer = state.printer;
  if (!printer) return;
  const words = [!printer.powered && "no power", printer.busy && "printing", printer.paper !== "ok" && `paper ${printer.paper}`, !printer.plugged && "unplugged"];
  $("paper-state").textContent = words.filter(Boolean).join(" · ") || "ready";
  const lying = printer.papers.filter((piece) => !piece.taken).length;
  $("take").disabled = lying === 0;
  const key = JSON.stringify([kiosk, printer.papers.map((piece) => [piece.number, piece.taken])]);
  if (key === drawnPapers) return;
  drawnPapers = key;
  $("papers").replaceChildren(...(printer.papers.length
    ? printer.papers.slice(0, 20).map(drawPiece)
    : [make("p", { className: "none" }, "Receipts and slips come out here.")]));
}

function drawPiece(piece) {
  const picture = make("img", { src: piece.png, alt: `Paper ${piece.number}`, width: piece.width, height: piece.height });
  const words = `${piece.end === "cut" ? "" : `${piece.end} · `}${piece.taken ? "taken" : "lies in the slot"}`;
  const button = make("button", { type: "button", className: piece.taken ? "piece taken" : "piece" },
    make("span", {}, make("b", {}, `No. ${piece.number}`), ` ${words}`), make("i", {}, picture));
  button.setAttribute("aria-label", `Read paper ${piece.number}`);
  button.addEventListener("click", () => readPiece(piece));
  return button;
}

function copyButton(text) {
  const button = make("button", { type: "button", className: "small" }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch (error) {
      complain(error);
    }
  });
  return button;
}

const QR_KINDS = { "TOLEM:C1:": "Payment code, signed by the center", "TOLEM:D1:": "Claim slip: the signed deposit", "TOLEM:V1:": "Voucher number" };

function readPiece(piece) {
  $("sheet-title").textContent = `Paper no. ${piece.number}`;
  $("sheet-picture").src = piece.png;
  $("sheet-picture").alt = `Paper ${piece.number}`;
  const verify = state.commands.find((command) => command.line.includes("{qr}"));
  const codes = piece.qr.flatMap((text) => {
    const kind = QR_KINDS[text.slice(0, 9)] || "Symbol";
    const code = make("code", { className: "qr" }, text);
    code.dataset.qr = text;
    const parts = [make("h3", {}, kind), code, copyButton(text)];
    if (verify && text.startsWith("TOLEM:C1:")) {
      const line = verify.line.replace("{qr}", text);
      parts.push(make("h3", {}, verify.what), make("code", {}, line), copyButton(line));
    }
    return parts;
  });
  $("sheet-codes").replaceChildren(...(codes.length ? codes : [make("p", {}, "No readable symbol on this piece.")]));
  $("sheet").showModal();
}
$("sheet-close").addEventListener("click", () => $("sheet").close());
$("sheet").addEventListener("click", (event) => { if (event.target === $("sheet")) $("sheet").close(); });
$("take").addEventListener("click", () => device("printer", "take"));

// ---------- Faults and power ----------

// Words, name in the state, device, line that makes it, line that mends it.
const FAULTS = [
  ["Note jam", "jam", "acceptor", "jam", "clear"],
  ["Cassette jam", "cassette jam", "acceptor", "cassette jam", "clear"],
  ["Cassette out", "cassette out", "acceptor", "cassette out", "cassette in"],
  ["Cassette full", "cassette full", "acceptor", "cassette full", "clear"],
  ["Acceptor unplugged", "acceptor unplugged", "acceptor", "unplug", "plug"],
  ["Paper low", "paper low", "printer", "paper low", "paper ok"],
  ["Paper out", "paper out", "printer", "paper out", "paper ok"],
  ["Cover open", "cover open", "printer", "cover open", "cover closed"],
  ["Cutter stuck", "cutter jam", "printer", "cutter jam", "cutter ok"],
  ["Printer unplugged", "printer unplugged", "printer", "unplug", "plug"],
  ["Link down", "link down", "link", "down", "up"],
  ["Link slow (2 s)", "link slow", "link", "slow 2000", "up"],
  ["Answers lost", "answers lost", "link", "answers-lost", "up"],
  ["Registry down", "registry down", "center", "registry down", "registry up"],
  ["Gateway down", "gateway down", "center", "gateway down", "gateway up"],
  ["Pull note out", "cheat", "acceptor", "cheat", "clear"],
  ["Door open", "door open", "cabinet", "door open", "door closed"],
  ["Safe open", "safe open", "cabinet", "safe open", "safe closed"],
];
for (const [words, name, which, on, off] of FAULTS) {
  const button = make("button", { type: "button" }, words);
  button.dataset.fault = name;
  button.setAttribute("aria-pressed", "false");
  button.addEventListener("click", () => device(which, button.getAttribute("aria-pressed") === "true" ? off : on));
  $("faults").append(button);
}
const fresh = make("button", { type: "button", title: "The full cassette goes, an empty one comes" }, "New cassette");
fresh.addEventListener("click", () => device("acceptor", ...(state.acceptor.cassette.present ? ["cassette out"] : []), "cassette new"));
const mend = make("button", { type: "button", title: "The technician mends everything" }, "Mend all");
mend.addEventListener("click", async () => {
  for (const [, name, which, , off] of FAULTS) if (state.faults.includes(name)) await device(which, off);
  await device("acceptor", "clear");
  await device("printer", "clear");
});
$("faults").append(fresh, mend);

$("plug").addEventListener("click", () => device("power", state && state.power.on ? "off" : "on"));
$("crash").addEventListener("click", () => device("power", "crash"));
$("arm").addEventListener("change", () => device("power", $("arm").value === "never" ? "off never" : `off when ${$("arm").value}`));

function drawFaults() {
  for (const button of $("faults").querySelectorAll("[data-fault]")) {
    button.setAttribute("aria-pressed", String(state.faults.includes(button.dataset.fault)));
  }
  $("faults-state").textContent = state.faults.length ? `${state.faults.length} active` : "none";
  $("faults-state").classList.toggle("bad", state.faults.length > 0);
  const on = state.power.on;
  $("plug").textContent = on ? "Pull the plug" : "Power on";
  $("plug").classList.toggle("off", !on);
  $("crash").disabled = !on;
  if (document.activeElement !== $("arm")) $("arm").value = state.power.armed || "never";
  $("arm").classList.toggle("armed", Boolean(state.power.armed));
  for (const [id, name, lit] of [["lamp-note", "note slot", state.cabinet.lamps.note_slot], ["lamp-paper", "receipt slot", state.cabinet.lamps.receipt_slot]]) {
    $(id).classList.toggle("on", lit);
    $(id).setAttribute("aria-label", `${name} lamp ${lit ? "on" : "off"}`);
    $(id).title = $(id).getAttribute("aria-label");
  }
}

// ---------- Cards ----------

const CARDS = [
  ["common", "Card", "PIN 2580, has money"],
  ["poor", "Low funds", "PIN 2580, 100 ₸ in the account"],
  ["barred", "Barred", "the bank has blocked the account"],
  ["expired", "Expired", "past its date"],
  ["blocked", "Blocked chip", "the chip refuses everything"],
  ["two", "Two applications", "asks which one"],
  ["mute", "Mute chip", "says nothing"],
];
for (const [kind, words, title] of CARDS) {
  const button = make("button", { type: "button", title }, words);
  button.addEventListener("click", () => device("cardreader", `insert ${kind}`));
  $("card-kinds").append(button);
}
const tear = make("button", { type: "button", title: "Pulls the card out by force, wherever it is" }, "Tear it out");
tear.addEventListener("click", () => device("cardreader", "tear"));
$("card-kinds").append(tear);
for (const key of ["1", "2", "3", "4", "5", "6", "7", "8", "9", "0", "clear", "enter", "cancel"]) {
  const words = { clear: "Clear", enter: "Enter", cancel: "Cancel" }[key] || key;
  const button = make("button", { type: "button", className: key }, words);
  button.addEventListener("click", () => device("pinpad", `press ${key}`));
  $("pad").append(button);
}
$("take-card").addEventListener("click", () => device("cardreader", "take"));
$("issuer-mood").addEventListener("change", () => {
  if ($("issuer-mood").value) device("issuer", $("issuer-mood").value);
  $("issuer-mood").value = "";
});

const CARD_PLACES = { nowhere: "closed", entering: "going in", inside: "inside", gate: "sticks out: take it" };

function drawCards() {
  const { card_reader: reader, pin_pad: pad } = state;
  const lamps = state.cabinet.lamps;
  const where = !reader || !reader.powered ? "no power" : reader.accepting ? "open" : CARD_PLACES[reader.place];
  const kept = reader && reader.boxed ? `, ${reader.boxed} kept` : "";
  $("cards-state").textContent = `${where}${kept}${lamps.buzzer ? " — beeps" : ""}`;
  $("lamp-card").classList.toggle("on", lamps.card_slot);
  $("lamp-card").setAttribute("aria-label", `card slot lamp ${lamps.card_slot ? "on" : "off"}`);
  for (const button of $("card-kinds").children) button.disabled = !reader || !reader.accepting;
  tear.disabled = !reader || reader.place === "nowhere";
  $("take-card").disabled = !reader || reader.place !== "gate";
  for (const button of $("pad").children) button.disabled = !pad || !pad.takes_keys;
  $("pad-display").textContent = pad ? pad.display : "";
  $("issuer-ledger").textContent = state.issuer || "no issuer";
}

// ---------- Header ----------

function drawHeader() {
  if ($("tabs").children.length !== state.kiosks.length) {
    $("tabs").replaceChildren(...state.kiosks.map((number, index) => {
      const tab = make("button", { type: "button" }, `Kiosk ${number}`);
      tab.setAttribute("role", "tab");
      tab.addEventListener("click", () => show(index));
      return tab;
    }));
    $("tabs").hidden = state.kiosks.length < 2;
    $("commands").replaceChildren(...state.commands.map((command) => {
      const line = command.line.replace("{qr}", "TEXT OF THE QR CODE");
      return make("li", {}, command.what, make("code", {}, line), copyButton(line));
    }));
  }
  [...$("tabs").children].forEach((tab, index) => tab.setAttribute("aria-selected", String(index === kiosk)));
  const power = state.power.on ? `process ${state.power.pid}` : `power off${state.power.ended ? `: ${state.power.ended}` : ""}`;
  const link = state.link.mode === "up" ? `link up` : `link ${state.link.mode}`;
  $("summary").replaceChildren(
    make("b", {}, `Kiosk ${state.number}`), " · ",
    make("span", { className: state.power.on ? "" : "bad" }, power), " · ",
    make("span", { className: state.link.mode === "up" ? "" : "bad" }, link), " · ", state.directory);
}

// ---------- Trace and wires ----------

for (let step = 1; step <= 25; step += 1) $("steps").append(make("li", {}, String(step)));

function traceStep(entry) {
  const cells = [...$("steps").children];
  if (entry.step === 1) for (const cell of cells) { cell.className = ""; cell.title = ""; }
  for (const cell of cells) cell.classList.remove("now");
  const cell = cells[entry.step - 1];
  if (!cell) return;
  cell.classList.add("done", "now");
  cell.title = `${entry.step}. ${entry.text} (${clock(entry.time_ms)})`;
  $("step-text").textContent = `${entry.step}. ${entry.text}`;
  $("trace-state").textContent = `${cells.filter((one) => one.classList.contains("done")).length} of 25 steps`;
}

const clock = (ms) => {
  const date = new Date(ms);
  return `${date.toTimeString().slice(0, 8)}.${String(date.getMilliseconds()).padStart(3, "0")}`;
};

const SHOWN = 600;
const SOURCES = [["all", "All"], ["acceptor", "Acceptor"], ["printer", "Printer"], ["center", "Center"], ["bench", "Devices"]];
const TAGS = { acceptor: "ccnet", printer: "escpos", center: "center", bench: "device" };
const ARROWS = { "from-kiosk": "→", "to-kiosk": "←", event: "•" };
let only = "all";
let seen = 0;

for (const [name, words] of SOURCES) {
  const button = make("button", { type: "button" }, words);
  button.dataset.source = name;
  button.setAttribute("aria-pressed", String(name === only));
  button.addEventListener("click", () => {
    only = name;
    for (const other of $("filters").children) other.setAttribute("aria-pressed", String(other.dataset.source === only));
    for (const row of $("wire").children) row.hidden = !wanted(row);
    toEnd();
  });
  $("filters").append(button);
}
const wanted = (row) => only === "all" || row.classList.contains(only);
const toEnd = () => { if ($("follow").checked) $("wire").scrollTop = $("wire").scrollHeight; };

async function followWire(signal) {
  const routine = $("routine").checked ? 1 : 0;
  const answer = await get(`/api/wire?kiosk=${kiosk}&after=${seen}&routine=${routine}&wait_ms=${routine ? 500 : 20000}`, signal);
  seen = answer.next;
  const rows = [];
  for (const entry of answer.entries) {
    if (entry.source === "trace") {
      traceStep(entry);
      continue;
    }
    const text = make("p", {}, entry.text);
    const row = make("div", { className: entry.source }, make("time", {}, clock(entry.time_ms)), make("em", {}, TAGS[entry.source]), make("i", {}, ARROWS[entry.way]), text);
    if (entry.routine) row.classList.add("routine");
    if (entry.hex) {
      row.dataset.hex = "1";
      text.append(make("small", {}, entry.hex));
    }
    row.hidden = !wanted(row);
    rows.push(row);
  }
  if (!rows.length) return;
  $("wire").append(...rows);
  while ($("wire").children.length > SHOWN) $("wire").firstChild.remove();
  toEnd();
}
$("wire").addEventListener("click", (event) => {
  const row = event.target.closest("[data-hex]");
  if (row) row.classList.toggle("open");
});
$("routine").addEventListener("change", () => show(kiosk));

// ---------- All together ----------

let booksOf = "";

async function refresh() {
  const asked = kiosk;
  try {
    const next = await get(`/api/state?kiosk=${asked}`);
    if (asked !== kiosk) return;
    state = next;
    drawHeader();
    drawNotes();
    drawPapers();
    drawCards();
    drawFaults();
    if (!scene) darkWords();
    const sums = JSON.stringify([kiosk, state.acceptor && state.acceptor.cassette, seen, state.power.on]);
    if (sums !== booksOf) {
      booksOf = sums;
      await drawBooks();
    }
  } catch (error) {
    lost(error instanceof TypeError);
  }
}

function show(index) {
  kiosk = index;
  history.replaceState(null, "", index ? `?kiosk=${index}` : location.pathname);
  session.abort();
  session = new AbortController();
  frame = 0;
  seen = 0;
  drawnPapers = "";
  drawScene(null);
  $("wire").replaceChildren();
  for (const cell of $("steps").children) cell.className = "";
  forever(followScreen);
  forever(followWire);
  refresh();
}

show(kiosk);
(async () => {
  for (;;) {
    await pause(document.hidden ? 2000 : 400);
    await refresh();
  }
})();
