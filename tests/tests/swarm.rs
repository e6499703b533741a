//! Many seeds, each a kiosk with an impatient citizen, failing power, wire, lines, printer and disk. Then the faults stop, everything
//! must come to rest by itself, and every tenge must be where the books say.
//!
//! `SWARM_SEEDS=500 cargo test -p tolem-tests --test swarm` for more seeds, `SWARM_SEED=7` for one.

use std::time::Duration;
use tolem_core::{
    session::Stage,
    view::{Body, Intent},
};
use tolem_hal_sim::{
    ccnet_device::{Banknote, Fault, Way},
    escpos_device::{PaperSupply, PrinterFault},
    line::{Dice, LineFaults},
};
use tolem_protocol::{catalogue::Language, record::Fact};
use tolem_tests::rig::{DiskFault, OTHER_PAYER, PAYER, Rig, Wire};

/// Things that happen in one story.
const HAPPENINGS: u32 = 120;

#[test]
fn whatever_happens_no_note_is_lost_or_counted_twice() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let seeds = match number("SWARM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SWARM_SEEDS").unwrap_or(40),
    };
    let (mut notes, mut boots, mut paid) = (0, 0, 0);
    for seed in seeds {
        eprintln!("SWARM_SEED={seed}");
        let rig = live(seed);
        let facts = rig.facts();
        notes += facts.iter().filter(|fact| matches!(fact, Fact::NoteStacked { .. })).count();
        boots += facts.iter().filter(|fact| matches!(fact, Fact::Booted { .. })).count();
        paid += facts.iter().filter(|fact| matches!(fact, Fact::Settled { .. })).count();
    }
    eprintln!("{notes} notes, {boots} boots, {paid} settled payments, none lost");
    assert!(notes > 0 && paid > 0, "the swarm did nothing: {notes} notes, {paid} payments");
}

fn live(seed: u64) -> Rig {
    let mut rig = Rig::new(seed);
    let mut dice = Dice::new(seed ^ 0xabcd_ef01);
    for _ in 0..HAPPENINGS {
        if dice.chance(250) {
            mishap(&mut rig, &mut dice);
        } else {
            citizen(&mut rig, &mut dice);
        }
        let pause = [5, 30, 200, 1_000, 4_000][dice.below(5) as usize];
        rig.rest(Duration::from_millis(pause));
    }
    heal(&mut rig);
    come_to_rest(&mut rig);
    rig.check_books();
    rig
}

/// With all faults gone, the terminal alone ends every payment: nothing open, nothing unsettled, nothing moving.
fn come_to_rest(rig: &mut Rig) {
    let deadline = rig.now() + Duration::from_secs(1_800);
    loop {
        let Some(kiosk) = rig.try_kiosk() else {
            rig.power_on();
            continue;
        };
        let session = kiosk.session();
        let open = session.payments().iter().any(|payment| payment.stage() != Stage::Settled);
        if !open && session.order().is_none() && rig.acceptor.unconfirmed_credit().is_none() {
            return;
        }
        assert!(rig.now() < deadline, "never came to rest; screen {:?}\n{}", rig.view.screen, rig.story());
        rig.step();
    }
}

fn citizen(rig: &mut Rig, dice: &mut Dice) {
    match &rig.view.body {
        Body::Attract { links, .. } => {
            let links: Vec<Intent> = links.iter().map(|link| link.intent).collect();
            let intent = if dice.chance(700) {
                Some(Intent::Start)
            } else {
                links.get(dice.below(2) as usize).copied()
            };
            rig.touch(Intent::SetLanguage(Language::ALL[dice.below(3) as usize]));
            rig.touch(intent.unwrap_or(Intent::Start));
        }
        Body::Catalogue { cards, .. } => {
            let choice = cards.get(dice.below(4) as usize).map(|card| card.intent);
            rig.touch(choice.unwrap_or(Intent::Cancel));
        }
        Body::Keypad { .. } => {
            rig.touch(Intent::Clear);
            rig.type_digits(if dice.chance(800) { PAYER } else { OTHER_PAYER });
            rig.touch(Intent::Next);
        }
        Body::Inserting { .. } if dice.chance(900) => {
            let tenge = [500, 500, 1000, 2000, 5000, 10_000][dice.below(6) as usize];
            let note = Banknote::tenge(tenge);
            let note = if dice.chance(50) { note.bad() } else { note };
            let _refused = rig.acceptor.insert(rig.now(), note);
            if dice.chance(400) {
                rig.touch(Intent::AgreeRemainder);
            }
        }
        _ => {
            let mut actions = rig.view.actions.clone();
            if let Some(dialog) = &rig.view.dialog {
                actions = dialog.actions.clone();
            }
            // Most people take the first button.
            let index = if dice.chance(800) { 0 } else { dice.below(3) as usize };
            if let Some(action) = actions.get(index).filter(|action| action.enabled) {
                rig.touch(action.intent);
                if dice.chance(100) {
                    rig.touch(action.intent);
                }
            }
        }
    }
}

fn mishap(rig: &mut Rig, dice: &mut Dice) {
    let now = rig.now();
    if rig.try_kiosk().is_none() {
        rig.power_on();
        return;
    }
    match dice.below(13) {
        0 => rig.power_off(),
        1 | 2 => rig.blackout(),
        3 => rig.set_wire(Wire::Down),
        4 => rig.set_wire(Wire::AnswersLost),
        5 | 6 => rig.set_wire(Wire::Up),
        7 => {
            rig.acceptor.power_off(now);
            rig.rest(Duration::from_millis(300));
            rig.acceptor.power_on(rig.now());
        }
        8 => {
            let faults = LineFaults { drop: 20, corrupt: 20, duplicate: 20, ..LineFaults::default() };
            rig.acceptor.set_line_faults(Way::ToHost, faults);
            rig.acceptor.set_line_faults(Way::ToDevice, faults);
        }
        9 => {
            rig.acceptor.set_line_faults(Way::ToHost, LineFaults::default());
            rig.acceptor.set_line_faults(Way::ToDevice, LineFaults::default());
        }
        10 => {
            let supply =
                [PaperSupply::New, PaperSupply::Out, PaperSupply::OutAfter(500)][dice.below(3) as usize];
            rig.printer.set_paper(now, supply);
        }
        11 => {
            let fault = [DiskFault::FailedButKept, DiskFault::FailedNotKept][dice.below(2) as usize];
            rig.disk.fail_after(dice.below(6), fault);
        }
        _ => {
            if dice.chance(500) {
                rig.printer.set_fault(now, PrinterFault::CoverOpen);
            } else {
                rig.acceptor.set_fault(now, Fault::Forget);
            }
        }
    }
}

/// Faults stop.
fn heal(rig: &mut Rig) {
    rig.disk.fail_after(0, DiskFault::None);
    if rig.try_kiosk().is_none() {
        rig.power_on();
    }
    rig.set_wire(Wire::Up);
    let now = rig.now();
    rig.acceptor.set_line_faults(Way::ToHost, LineFaults::default());
    rig.acceptor.set_line_faults(Way::ToDevice, LineFaults::default());
    rig.printer.clear_fault(now, PrinterFault::CoverOpen);
    rig.printer.set_paper(now, PaperSupply::New);
}
