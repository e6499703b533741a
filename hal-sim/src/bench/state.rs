//! The physical truth of one kiosk as JSON: what somebody who opened the cabinet would find.

use super::{
    Bench,
    kiosk::{Kiosk, link_words},
    papers::Piece,
};
use crate::{
    card_reader_device::Whereabouts,
    ccnet_device::Place,
    escpos_device::PrinterFault,
    paper::End,
    pin_pad_device::Display,
    served::{AcceptorState, CardReaderState, PinPadState, PrinterState},
};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use tolem_protocol::ccnet::PollStatus;

/// At most this many notes are listed one by one, newest first.
const MAX_NOTES: usize = 40;

/// Everything about `kiosk`.
pub(super) fn state(bench: &Bench, kiosk: &Kiosk) -> Value {
    let acceptor = kiosk.acceptor_state();
    let printer = kiosk.printer_state();
    let power = kiosk.power();
    let picture = kiosk.screen.picture();
    let switches = kiosk.screen.switches();
    let words = |open: bool| if open { "open" } else { "closed" };
    let faults = faults(bench, kiosk, acceptor.as_ref(), printer.as_ref());
    json!({
        "kiosk": kiosk.index,
        "kiosks": bench.kiosks.iter().map(|kiosk| kiosk.number).collect::<Vec<_>>(),
        "number": kiosk.number,
        "directory": bench.directory.display().to_string(),
        "commands": bench.commands.iter().map(|(what, line)| json!({ "what": what, "line": line })).collect::<Vec<_>>(),
        "power": {
            "on": power.on,
            "pid": power.pid,
            "ended": power.ended,
            "armed": kiosk.armed().map(super::plug::Moment::name),
        },
        "screen": { "connected": picture.connected, "name": picture.scene.screen, "frame": picture.frame },
        "link": {
            "mode": link_words(kiosk.link.mode()),
            "connections": kiosk.link.connections(),
            "traffic": traffic(kiosk),
        },
        "center": { "registry": bench.center.registry_up(), "gateway": bench.center.gateway_up() },
        "acceptor": acceptor.as_ref().map_or(Value::Null, acceptor_json),
        "printer": printer.as_ref().map_or(Value::Null, |state| printer_json(state, &kiosk.pieces(), kiosk.index)),
        "card_reader": kiosk.card_reader_state().as_ref().map_or(Value::Null, card_reader_json),
        "pin_pad": kiosk.pin_pad_state().as_ref().map_or(Value::Null, pin_pad_json),
        "issuer": bench.center.issuer("ledger").ok(),
        "cabinet": {
            "door": words(switches.door_open),
            "safe": words(switches.safe_open),
            "lamps": picture.lamps,
        },
        "faults": faults,
    })
}

fn traffic(kiosk: &Kiosk) -> Value {
    let traffic = kiosk.link.traffic();
    json!({ "to_center": traffic.requests, "to_kiosk": traffic.answers, "lost": traffic.swallowed })
}

fn acceptor_json(state: &AcceptorState) -> Value {
    let mut counts: BTreeMap<u32, u32> = BTreeMap::new();
    for kind in &state.cassette {
        *counts.entry(kind.denomination.0).or_default() += kind.count;
    }
    let counts: Map<String, Value> =
        counts.into_iter().map(|(tenge, count)| (tenge.to_string(), json!(count))).collect();
    let notes: Vec<Value> = state
        .notes
        .iter()
        .rev()
        .take(MAX_NOTES)
        .map(|record| {
            json!({
                "id": record.id.0,
                "tenge": record.note.denomination.0,
                "pattern": record.note.pattern,
                "genuine": record.note.genuine,
                "foreign": record.note.foreign,
                "place": place(record.place),
            })
        })
        .collect();
    let at = |wanted: Place| {
        let found = state.notes.iter().find(|record| record.place == wanted);
        found.map_or(Value::Null, |record| json!(record.note.denomination.0))
    };
    json!({
        "plugged": state.line.path.is_some(),
        "powered": state.status.is_some(),
        "status": state.status.map(|status| status.to_string()),
        "takes_notes": matches!(state.status, Some(PollStatus::Idling)),
        "enabled": (0..24).filter(|kind| state.enabled.contains(*kind)).collect::<Vec<u8>>(),
        "cassette": {
            "present": state.cassette_present,
            "counts": counts,
            "notes": state.cassette.iter().map(|kind| kind.count).sum::<u32>(),
            "tenge": state.cassette_tenge(),
        },
        "counter": state.counter,
        "unconfirmed": state.unconfirmed,
        "inlet": at(Place::Inlet),
        "escrow": at(Place::Escrow),
        "notes": notes,
    })
}

fn card_reader_json(state: &CardReaderState) -> Value {
    json!({
        "plugged": state.line.path.is_some(),
        "powered": state.powered,
        "accepting": state.accepting,
        "place": match state.place {
            Whereabouts::Nowhere => "nowhere",
            Whereabouts::Entering => "entering",
            Whereabouts::Inside => "inside",
            Whereabouts::Gate => "gate",
        },
        "boxed": state.boxed,
    })
}

/// What its display shows: stars for digits, as everybody may see.
fn pin_pad_json(state: &PinPadState) -> Value {
    json!({
        "plugged": state.line.path.is_some(),
        "display": state.display.to_string(),
        "takes_keys": matches!(state.display, Display::EnterPin { .. }),
        "serial": state.serial,
    })
}

fn place(place: Place) -> &'static str {
    match place {
        Place::Inlet => "inlet",
        Place::Validator => "validator",
        Place::Escrow => "escrow",
        Place::Transport => "transport",
        Place::Cassette => "cassette",
        Place::Returned => "returned",
        Place::Technician => "technician",
        Place::Collected => "collected",
    }
}

fn printer_json(state: &PrinterState, pieces: &[Piece], kiosk: usize) -> Value {
    json!({
        "plugged": state.line.path.is_some(),
        "powered": state.powered,
        "busy": state.busy,
        "paper": if state.paper.end { "out" } else if state.paper.near_end { "low" } else { "ok" },
        "hanging_rows": state.hanging.height(),
        "pieces": state.pieces,
        "papers": pieces.iter().map(|piece| paper_json(piece, kiosk)).collect::<Vec<_>>(),
    })
}

fn paper_json(piece: &Piece, kiosk: usize) -> Value {
    json!({
        "number": piece.number,
        "png": format!("/api/paper/{}.png?kiosk={kiosk}", piece.number),
        "width": piece.width,
        "height": piece.height,
        "end": match piece.end {
            End::Hanging => "hanging",
            End::FullCut | End::PartialCut => "cut",
            End::Torn => "torn",
        },
        "qr": piece.qr.as_slice(),
        "taken": piece.taken,
    })
}

/// What is wrong, in short names.
fn faults(
    bench: &Bench,
    kiosk: &Kiosk,
    acceptor: Option<&AcceptorState>,
    printer: Option<&PrinterState>,
) -> Vec<&'static str> {
    use crate::link_proxy::LinkMode;
    let mut faults = Vec::new();
    let mut add = |there: bool, name: &'static str| {
        if there {
            faults.push(name);
        }
    };
    if let Some(state) = acceptor {
        add(state.line.path.is_none(), "acceptor unplugged");
        add(!state.cassette_present, "cassette out");
        add(state.status == Some(PollStatus::CassetteFull), "cassette full");
        add(state.status == Some(PollStatus::ValidatorJam), "jam");
        add(state.status == Some(PollStatus::CassetteJam), "cassette jam");
        add(state.status == Some(PollStatus::Cheated), "cheat");
        add(matches!(state.status, Some(PollStatus::Failure(_))), "acceptor failure");
    }
    if let Some(state) = printer {
        add(state.line.path.is_none(), "printer unplugged");
        add(state.paper.end, "paper out");
        add(state.paper.near_end && !state.paper.end, "paper low");
        let has = |fault| state.faults.contains(&fault);
        add(has(PrinterFault::CoverOpen), "cover open");
        add(has(PrinterFault::CutterJam), "cutter jam");
        add(has(PrinterFault::HeadHot), "head hot");
        add(has(PrinterFault::Mechanism), "mechanism broken");
        add(has(PrinterFault::Silent), "printer silent");
    }
    let mode = kiosk.link.mode();
    add(mode == LinkMode::Down, "link down");
    add(matches!(mode, LinkMode::Slow(_)), "link slow");
    add(mode == LinkMode::AnswersLost, "answers lost");
    add(!bench.center.registry_up(), "registry down");
    add(!bench.center.gateway_up(), "gateway down");
    let switches = kiosk.screen.switches();
    add(switches.door_open, "door open");
    add(switches.safe_open, "safe open");
    faults
}
