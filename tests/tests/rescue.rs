//! The journal of a dead kiosk, taken in by file: the real kiosk writes it, the firmware exports it, the center believes
//! only what it proves itself, two people approve it, and a kiosk that comes back after all changes nothing.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod card_rig;

use std::{collections::BTreeMap, fs, path::Path, time::Duration};
use tolem_center::{
    export::{self, BadExport, Export, Known},
    logic::{
        Center, Moment,
        acquirer::Acquiring as _,
        approval::{Asked, Denied, Effect},
        ledger::{self, Account},
        memory::MemoryStore,
        office::{Action, Office as _},
        reports::{
            Period,
            funnel::{Funnel, Step},
            threeway::{self, Counted},
        },
        rescue::Rescued,
        store::{BalanceState, CodeState, Store as _, Transact as _},
    },
    pen::Pen,
};
use tolem_core::view::Intent;
use tolem_core::words::Word;
use tolem_firmware::{export::export, store::SqliteStore};
use tolem_hal_sim::world::{
    Center as _,
    cards::{self, PIN},
};
use tolem_protocol::{Amount, KioskNumber, messages::HoldReason, record::Fact};
use tolem_tests::rig::{PAYER, Rig, Wire};
use tolem_tests::secrets::SearchedFolder;

fn kiosk() -> KioskNumber {
    KioskNumber::new(42).unwrap()
}

/// A kiosk that lost its link with a confirmed payment, and its power with 2,500 tenge of another one in.
fn dying(seed: u64) -> Rig {
    let mut rig = Rig::ready(seed);
    rig.open_slot("marriage", PAYER);
    rig.insert(2000);
    rig.insert(2000);
    rig.touch(Intent::AgreeRemainder);
    rig.insert(500);
    rig.until_screen("confirm");
    rig.set_wire(Wire::Down);
    rig.tap(Word::Confirm);
    rig.until_screen("claim-slip");
    rig.tap(Word::Done);
    rig.set_wire(Wire::Up);
    rig.until_settled();
    rig.rest(Duration::from_secs(30));
    rig.open_slot("marriage", PAYER);
    rig.insert(2000);
    rig.set_wire(Wire::Down);
    rig.insert(500);
    rig.power_off();
    rig
}

/// The export of the rig's journal, as the firmware writes it.
fn exported(rig: &Rig, directory: &Path) {
    let mut store = SqliteStore::open(&directory.join("journal.db")).unwrap();
    rig.disk.copy_to(&mut store).unwrap();
    export(store.reader(), &directory.join("export")).unwrap();
}

fn read(center: &Center, store: &MemoryStore, directory: &Path) -> Result<Export, BadExport> {
    let export = directory.join("export");
    assert_eq!(export::whose(&export)?, kiosk());
    export::read(&export, kiosk(), &Known::of(store, kiosk()).unwrap().unwrap(), &*center.keys)
}

/// Two operators decide `action`.
fn decided(rig: &Rig, action: &Action) -> Effect {
    let now = rig.utc();
    let pens: Vec<Pen> = [("aigul", 1u8), ("bolat", 2)]
        .map(|(name, seed)| Pen::from_seed(name, &[seed; 32].into()).unwrap())
        .into();
    rig.center.operate(|center, store| {
        for pen in &pens {
            if store.operator(&pen.name).unwrap().is_none() {
                let add = Action::AddOperator { name: pen.name.clone(), key: pen.public() };
                let signature = pen.ask(now, &add);
                let asked = center.ask_two(store, now, &pen.name, &add, &signature).unwrap().unwrap();
                assert_eq!(asked, Asked::Founded);
            }
        }
        let signature = pens[0].ask(now, action);
        let Asked::Waits(number) = center.ask_two(store, now, "aigul", action, &signature).unwrap().unwrap()
        else {
            panic!("two people are needed")
        };
        let row = store.request(number).unwrap().unwrap();
        let mut count = 900;
        let mut fresh = || {
            count += 1;
            count * 7_919
        };
        let mut at = Moment { now, fresh: &mut fresh, trace: &mut |_| {} };
        let alone = center.approve(store, &mut at, number, "aigul", &pens[0].decide(&row, true)).unwrap();
        assert_eq!(alone, Err(Denied::SamePerson("aigul".into())));
        let signature = pens[1].decide(&row, true);
        store.transact(|store| center.approve(store, &mut at, number, "bolat", &signature)).unwrap().unwrap()
    })
}

#[test]
fn the_conversion_of_a_real_journal_counts_who_paid_and_who_was_stopped() {
    let rig = dying(11);
    let directory = SearchedFolder::new("tolem-conversion-");
    exported(&rig, directory.path());
    let mut funnel = Funnel::default();
    rig.center.operate(|center, store| {
        let known = Known::of(store, kiosk()).unwrap().unwrap();
        let mut each = |record: &_| funnel.record(record);
        export::read_each(&directory.path().join("export"), kiosk(), &known, &*center.keys, &mut each)
            .unwrap();
    });
    let counts = funnel.counts(Period::days(rig.utc().date(), 1)).into_iter().filter(|(_, count)| *count > 0);
    // The first one left with a claim slip: paid when the link was back, without a receipt.
    assert_eq!(counts.collect::<Vec<_>>(), [(Step::Inserted, 1), (Step::Paid, 1)]);
}

#[test]
fn a_dead_kiosks_journal_is_settled_once_and_its_return_changes_nothing() {
    let mut rig = dying(11);
    let directory = SearchedFolder::new("tolem-rescue-");
    exported(&rig, directory.path());
    let rescue = rig.center.operate(|center, store| {
        let read = read(center, store, directory.path()).unwrap();
        center.sift(store, read.rescue).unwrap()
    });
    assert_eq!((rescue.open.len(), rescue.loose.len(), rescue.answered.len()), (0, 1, 0));
    assert_eq!(rescue.total(), tolem_protocol::Amount::from_tenge(2_500));
    let effect = decided(&rig, &Action::ImportJournal(rescue.clone()));
    assert_eq!(effect, Effect::Journal(Rescued { held: 1, ..Rescued::default() }));
    // The dead kiosk cannot have heard of it: its cassette and the ledger are compared.
    assert_eq!(rig.booked(), rig.cassette_sum().tiyn().cast_signed());
    let again = rig.center.operate(|center, store| {
        let read = read(center, store, directory.path()).unwrap();
        center.sift(store, read.rescue).unwrap()
    });
    assert_eq!(again.loose.len() + again.open.len() + again.answered.len(), 0, "everything is known");
    assert_eq!(
        decided(&rig, &Action::ImportJournal(rescue)),
        Effect::Journal(Rescued { known: 1, ..Rescued::default() })
    );
    let mut held = BTreeMap::new();
    rig.center.store(|store| {
        store
            .each_balance(&mut |row| {
                held.insert(row.amount.tiyn(), (row.reason, row.state, row.owner.is_some()));
            })
            .unwrap();
    });
    assert_eq!(held[&250_000], (HoldReason::Stopped, BalanceState::Issued, true), "Bolat's, not nobody's");

    // It was not dead after all: it comes back, and drains.
    rig.power_on();
    rig.set_wire(Wire::Up);
    rig.rest(Duration::from_secs(3_600));
    assert_eq!(rig.kiosk().session().unsettled().1, 0, "its own hold ends with the answer that was given");
    rig.check_books();
    let alarms = rig.center.store(|store| store.alarms().unwrap());
    let kinds: Vec<&str> = alarms.iter().map(|alarm| alarm.kind.as_str()).collect();
    assert_eq!(kinds, ["journal-imported"], "no money is disputed");
    let closed = rig.center.store(|store| store.kiosk(kiosk()).unwrap().unwrap().closed);
    assert!(closed.is_some(), "it sells nothing before an operator has looked");
}

#[test]
fn a_deposit_that_never_left_the_kiosk_is_paid_from_the_journal() {
    let mut rig = Rig::ready(12);
    rig.open_slot("id-card", PAYER);
    rig.insert(500);
    rig.touch(Intent::AgreeRemainder);
    rig.insert(500);
    rig.until_screen("confirm");
    rig.set_wire(Wire::Down);
    rig.tap(Word::Confirm);
    rig.until_screen("claim-slip");
    rig.power_off();
    let directory = SearchedFolder::new("tolem-rescue-");
    exported(&rig, directory.path());
    let rescue = rig.center.operate(|center, store| {
        let read = read(center, store, directory.path()).unwrap();
        center.sift(store, read.rescue).unwrap()
    });
    assert_eq!((rescue.open.len(), rescue.loose.len()), (1, 0));
    let effect = decided(&rig, &Action::ImportJournal(rescue));
    assert_eq!(effect, Effect::Journal(Rescued { settled: 1, ..Rescued::default() }));
    // The dead kiosk cannot have heard of it: its cassette and the ledger are compared.
    assert_eq!(rig.booked(), rig.cassette_sum().tiyn().cast_signed());
    rig.power_on();
    rig.set_wire(Wire::Up);
    rig.rest(Duration::from_secs(600));
    assert!(rig.facts().iter().any(|fact| matches!(fact, Fact::Settled { .. })), "the same answer");
    rig.check_books();
}

#[test]
fn an_export_with_any_byte_changed_is_refused_with_file_and_record() {
    let rig = dying(13);
    let directory = SearchedFolder::new("tolem-rescue-");
    exported(&rig, directory.path());
    let entries = fs::read_dir(directory.path().join("export/tile/entries")).unwrap();
    let bundle =
        fs::read_dir(entries.last().unwrap().unwrap().path()).unwrap().next().unwrap().unwrap().path();
    let good = fs::read(&bundle).unwrap();
    let judge = || rig.center.operate(|center, store| read(center, store, directory.path()));
    assert!(judge().is_ok());
    for place in (0..good.len()).step_by(97) {
        let mut bad = good.clone();
        bad[place] ^= 0x10;
        fs::write(&bundle, &bad).unwrap();
        let error = judge().unwrap_err().to_string();
        assert!(error.contains("record") || error.contains("left over"), "byte {place}: {error}");
    }
    fs::write(&bundle, &good[..good.len() - 1]).unwrap();
    assert!(judge().unwrap_err().to_string().contains("it ends before record"));
    fs::write(&bundle, [&good[..], b"x"].concat()).unwrap();
    assert!(judge().unwrap_err().to_string().contains("left over"));
    fs::write(&bundle, &good).unwrap();

    let head = directory.path().join("export/checkpoint");
    let note = fs::read_to_string(&head).unwrap();
    fs::write(&head, note.replacen("tolem/journal/00042", "tolem/journal/00043", 1)).unwrap();
    let stolen = rig.center.operate(|center, store| {
        let known = Known::of(store, kiosk()).unwrap().unwrap();
        export::read(&directory.path().join("export"), kiosk(), &known, &*center.keys)
    });
    assert!(stolen.unwrap_err().to_string().contains("not signed by a key of kiosk 00042"));
    fs::remove_file(&head).unwrap();
    assert!(judge().unwrap_err().to_string().contains("checkpoint"));
}

#[test]
fn a_journal_that_is_not_the_one_the_witness_saw_is_refused() {
    // Same keys, another story: what a thief makes who has the disk with its key.
    let seen = dying(14);
    let other = dying(15);
    let directory = SearchedFolder::new("tolem-rescue-");
    exported(&other, directory.path());
    let error = seen.center.operate(|center, store| read(center, store, directory.path())).unwrap_err();
    assert!(error.to_string().contains("were cosigned"), "{error}");
}

#[test]
fn journal_and_center_are_compared_payment_by_payment() {
    let mut rig = Rig::ready(16);
    rig.open_slot("id-card", PAYER);
    rig.insert(500);
    rig.touch(Intent::AgreeRemainder);
    rig.insert(500);
    rig.until_screen("confirm");
    rig.set_wire(Wire::Down);
    rig.tap(Word::Confirm);
    rig.until_screen("claim-slip");
    let compare = |rig: &Rig, forget: bool| {
        let mut counted = Counted::new(kiosk());
        let records = rig.disk.records();
        let stacked =
            |record: &&tolem_protocol::record::Record| matches!(record.fact, Fact::NoteStacked { .. });
        let skip = records.iter().find(stacked).map(|record| record.seq).filter(|_| forget);
        records.iter().filter(|record| Some(record.seq) != skip).for_each(|record| counted.record(record));
        rig.center.store(|store| threeway::audit(store, &[counted], None, &|_| String::new()).unwrap())
    };
    let waiting = compare(&rig, false);
    assert!(waiting.findings.is_empty(), "{waiting:?}");
    assert_eq!(waiting.under_way.len(), 1);
    assert!(waiting.under_way[0].contains("1,000.00 are in the kiosk's outbox"), "{waiting:?}");
    rig.set_wire(Wire::Up);
    rig.until_settled();
    let settled = compare(&rig, false);
    assert_eq!((settled.findings.len(), settled.under_way.len(), settled.agreed), (0, 0, 1), "{settled:?}");
    let lost = compare(&rig, true);
    assert_eq!(lost.findings.len(), 1);
    assert!(lost.findings[0].contains("the journal counts 500.00, the center booked 1,000.00"), "{lost:?}");
}

/// Issuer, center, gateway and the kiosk's journal say the same of its one card payment, and no money is held.
fn all_agree(rig: &Rig, paid: bool) {
    let sum = if paid { card_rig::sum() } else { Amount::ZERO };
    let taken_and_held = rig.center.bank(|bank| bank.taken_and_held());
    assert_eq!(taken_and_held, (sum, Amount::ZERO), "{}", rig.story());
    let mut counted = Counted::new(kiosk());
    rig.disk.records().iter().for_each(|record| counted.record(record));
    rig.center.store(|store| {
        let audit = threeway::audit(store, &[counted], None, &|_| String::new()).unwrap();
        assert_eq!((audit.findings, audit.under_way), (vec![], vec![]));
        let owed = ledger::totals(store).unwrap().get(&Account::Cards).copied().unwrap_or(0);
        assert_eq!(owed, sum.tiyn().cast_signed());
        let mut asked = Vec::new();
        store.each_card(&mut |row| asked.push(row.payment)).unwrap();
        let codes: Vec<_> =
            asked.iter().map(|payment| store.code_of(payment).unwrap().unwrap().state).collect();
        assert_eq!(codes, [if paid { CodeState::Paid } else { CodeState::Void }]);
    });
}

/// The kiosk burns when the bank has approved: with the code on paper, which the center was never told, or before anybody saw it.
#[test]
fn an_approved_card_payment_of_a_burnt_kiosk_is_taken_if_its_code_is_out_and_given_back_if_not() {
    for (seed, paid) in [(17, true), (18, false)] {
        let mut rig = card_rig::ready(seed);
        card_rig::open_slot(&mut rig);
        card_rig::insert(&mut rig, cards::card());
        card_rig::enter(&mut rig, PIN);
        rig.until_screen("card-take");
        if paid {
            card_rig::take(&mut rig);
            rig.until_screen("printing");
            rig.set_wire(Wire::Down);
            rig.until_screen("code");
        }
        rig.power_off();
        let held = rig.center.bank(|bank| bank.taken_and_held());
        assert_eq!(held, (Amount::ZERO, card_rig::sum()), "nobody has said what becomes of it");
        let directory = SearchedFolder::new("tolem-rescue-");
        exported(&rig, directory.path());
        let rescue = rig.center.operate(|center, store| {
            let read = read(center, store, directory.path()).unwrap();
            center.sift(store, read.rescue).unwrap()
        });
        let (confirmed, undone) = (u32::from(paid), u32::from(!paid));
        let done = Effect::Journal(Rescued { confirmed, undone, ..Rescued::default() });
        assert_eq!(decided(&rig, &Action::ImportJournal(rescue.clone())), done);
        // Nobody asks the center anything any more, so it works by itself.
        for _ in 0..60 {
            rig.rest(Duration::from_secs(10));
            rig.center.work(rig.utc());
        }
        all_agree(&rig, paid);
        let again = Effect::Journal(Rescued { known: 1, ..Rescued::default() });
        assert_eq!(decided(&rig, &Action::ImportJournal(rescue)), again);
        // It did not burn: it hears how its payment ended, and changes nothing.
        rig.power_on();
        rig.set_wire(Wire::Up);
        card_rig::judge(&mut rig, paid);
        rig.rest(Duration::from_secs(600));
        all_agree(&rig, paid);
        let alarms = rig.center.store(|store| store.alarms().unwrap());
        let kinds: Vec<&str> = alarms.iter().map(|alarm| alarm.kind.as_str()).collect();
        assert_eq!(kinds, ["journal-imported"]);
    }
}
