//! Rules beside the money: boots and epochs, claims and guesses, the witness, recall after a restore, the trace.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::*;
use std::convert::Infallible;
use tolem_center::logic::{
    Keys as _,
    gateway::{self, Verdict as Code},
    ledger::{self, Account},
    operator,
    rebuild::{self, Standing as _},
    store::{BalanceState, Store, Transact as _},
};
use tolem_protocol::messages;
use tolem_protocol::{
    ClaimNumber, KioskNumber, UtcTime,
    merkle::{Frontier, Hash, consistency_proof, empty_root, leaf_hash},
    messages::{
        ClaimAnswer, DepositKind, Hello, HoldReason, PayerCheck, PrintRight, Refusal, Request, Response,
        Verdict, Welcome,
    },
    signed::{Signature, Signed},
    signed_note::{self, Checkpoint, KeyKind, NoteKey, journal_origin},
};

fn welcome(response: Response) -> Welcome {
    match response {
        Response::Welcome(welcome) => welcome,
        other => panic!("{other:?}"),
    }
}

fn each_boot_gets_an_epoch_of_its_own_and_keeps_it(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    let first = town.kiosks[&1].hello();
    assert_eq!(welcome(town.ask(1, first.clone())).epoch, 1, "a reconnect is the same boot");
    town.kiosks.get_mut(&1).unwrap().nonce = [77; 16];
    let second = town.kiosks[&1].hello();
    let answer = welcome(town.ask(1, second.clone()));
    assert_eq!((answer.epoch, answer.center_epoch, answer.catalogue, answer.clock), (2, 7, 1, noon()));
    // A copy of the old disk is still running somewhere.
    assert_eq!(welcome(town.ask(1, first)).epoch, 1);
    assert_eq!(town.alarms(), ["two-boots"]);
    // The kiosk has seen epochs that this center has lost: it goes on above them.
    let kiosk = town.kiosks.get_mut(&1).unwrap();
    (kiosk.nonce, kiosk.epoch) = ([78; 16], 40);
    let third = town.kiosks[&1].hello();
    assert_eq!(welcome(town.ask(1, third)).epoch, 41);
    // No epoch above the last one there is.
    let kiosk = town.kiosks.get_mut(&1).unwrap();
    (kiosk.nonce, kiosk.epoch) = ([79; 16], u32::MAX);
    let last = town.kiosks[&1].hello();
    assert_eq!(refused(town.ask(1, last)), Refusal::Malformed);
    let stranger = Kiosk::new(99).hello();
    assert_eq!(refused(town.ask(99, stranger)), Refusal::NotYours);
}

fn the_registry_says_right_wrong_or_nothing(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    let ask = |town: &mut Town<_>, payer| match town.ask(1, Request::CheckPayer(iin(payer))) {
        Response::Payer(check) => check,
        other => panic!("{other:?}"),
    };
    assert!(matches!(ask(&mut town, ANNA), PayerCheck::Right { name } if name.contains('•')));
    assert_eq!(ask(&mut town, NOBODY), PayerCheck::Wrong);
    town.registry_down.set(true);
    assert_eq!(ask(&mut town, ANNA), PayerCheck::Unavailable);
    town.registry_down.set(false);
    town.center.rules.wrong_payers = 3;
    ask(&mut town, NOBODY);
    ask(&mut town, NOBODY);
    assert_eq!(refused(town.ask(1, Request::CheckPayer(iin(ANNA)))), Refusal::TooManyAttempts);
    assert!(matches!(town.ask(2, Request::CheckPayer(iin(ANNA))), Response::Payer(_)));
    town.now = town.now.plus_seconds(town.center.rules.attempt_window_s);
    assert!(matches!(ask(&mut town, ANNA), PayerCheck::Right { .. }));
}

fn a_claim_slip_is_answered_at_any_kiosk(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    let quote = town.quote(1, "id-card", ANNA, None);
    let payment = quote.read_unverified().unwrap().payment;
    let claim = payment.claim_number();
    let ask = |town: &mut Town<_>, kiosk, claim, payer| {
        town.ask(kiosk, Request::Claim { claim, payer: iin(payer) })
    };
    let number = |kiosk, number| ClaimNumber::new(KioskNumber::new(kiosk).unwrap(), number);
    // Quoted, but the money is not here yet; never heard of; from a kiosk that does not exist.
    assert_eq!(ask(&mut town, 2, claim, ANNA), Response::Claim(ClaimAnswer::NotArrived));
    assert_eq!(ask(&mut town, 2, number(1, 5_000), ANNA), Response::Claim(ClaimAnswer::NotArrived));
    assert_eq!(ask(&mut town, 2, number(500, 1), ANNA), Response::Claim(ClaimAnswer::NoMatch));
    let (_, answer) = town.pay(&quote, ANNA, &[1000]);
    let settled = Response::Claim(ClaimAnswer::Settled { outcome: answer, quote: Some(quote) });
    assert_eq!(ask(&mut town, 2, claim, ANNA), settled);
    assert_eq!(ask(&mut town, 3, claim, ANNA), settled);
    assert_eq!(ask(&mut town, 2, claim, BOLAT), Response::Claim(ClaimAnswer::NoMatch));
    // The original is printed where the slip is shown first.
    assert_eq!(town.ask(2, Request::PrintRight(payment)), Response::PrintRight(PrintRight::Original));
    assert_eq!(town.ask(1, Request::PrintRight(payment)), Response::PrintRight(PrintRight::Copy));
    // Ten million payments later the number comes again: the IIN tells them apart.
    town.kiosks.get_mut(&1).unwrap().count = payment.number + 10_000_000 - 1;
    let later = town.quote(1, "id-card", BOLAT, None);
    assert_eq!(later.read_unverified().unwrap().payment.claim_number(), claim);
    let (_, answer) = town.pay(&later, BOLAT, &[1000]);
    assert_eq!(
        ask(&mut town, 2, claim, BOLAT),
        Response::Claim(ClaimAnswer::Settled { outcome: answer, quote: Some(later) })
    );
    assert_eq!(ask(&mut town, 2, claim, ANNA), settled);
}

fn a_number_that_was_used_twice_leads_to_the_money(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    let paid = town.quote(1, "id-card", ANNA, None);
    let (_, answer) = town.pay(&paid, ANNA, &[1000]);
    // The power failed before the next number was written down: it is quoted again at the next boot, and not paid.
    let kiosk = town.kiosks.get_mut(&1).unwrap();
    (kiosk.nonce, kiosk.count) = ([99; 16], kiosk.count - 1);
    town.greet(1);
    let again = town.quote(1, "marriage", ANNA, None);
    let claim = again.read_unverified().unwrap().payment.claim_number();
    assert_eq!(claim, outcome(&answer).payment.claim_number());
    let response = town.ask(2, Request::Claim { claim, payer: iin(ANNA) });
    assert_eq!(response, Response::Claim(ClaimAnswer::Settled { outcome: answer, quote: Some(paid) }));
}

fn guessing_numbers_ends_in_waiting(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    town.center.rules.wrong_per_number = 2;
    town.center.rules.wrong_per_kiosk = 5;
    let balance = town.remainder(ANNA, 1000);
    let voucher = |payer| Request::Voucher { number: balance.number, payer: iin(payer) };
    assert_eq!(refused(town.ask(1, voucher(BOLAT))), Refusal::Unknown);
    assert_eq!(refused(town.ask(2, voucher(VERA))), Refusal::Unknown);
    // Two wrong IINs for one voucher, from wherever: now even the right one waits, in a quote too.
    assert_eq!(refused(town.ask(3, voucher(ANNA))), Refusal::TooManyAttempts);
    let id = town.next_id(3);
    assert_eq!(refused(town.want(id, "id-card", ANNA, Some(balance.number))), Refusal::TooManyAttempts);
    // Many numbers from one kiosk.
    for payload in 0..4 {
        let number = tolem_protocol::BalanceNumber::from_payload(payload);
        assert_eq!(refused(town.ask(1, Request::Voucher { number, payer: iin(ANNA) })), Refusal::Unknown);
    }
    let claim = ClaimNumber::new(KioskNumber::new(2).unwrap(), 1);
    let ask = Request::Claim { claim, payer: iin(ANNA) };
    assert_eq!(refused(town.ask(1, ask.clone())), Refusal::TooManyAttempts);
    assert!(matches!(town.ask(2, ask), Response::Claim(_)), "another kiosk is not locked");
    town.now = town.now.plus_seconds(town.center.rules.attempt_window_s);
    assert!(matches!(town.ask(3, voucher(ANNA)), Response::Balance(found) if found == balance));
}

fn catalogue_time_and_revocations_are_told(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    let Response::Catalogue(head) = town.ask(1, Request::Catalogue) else { panic!() };
    for index in 0..head.services {
        assert!(matches!(town.ask(1, Request::Service(index)), Response::Service(s) if s.rank == index));
    }
    assert_eq!(refused(town.ask(1, Request::Service(head.services))), Refusal::Unknown);
    assert_eq!(town.ask(1, Request::Time), Response::Time(town.now));
    let mut list = Vec::new();
    loop {
        let offset = u32::try_from(list.len()).unwrap();
        let Response::Crl { total, slice } = town.ask(1, Request::Crl { offset }) else { panic!() };
        assert_eq!(total, 5_000);
        if slice.is_empty() {
            break;
        }
        list.extend_from_slice(&slice);
    }
    assert_eq!(list, town.center.crl);
    assert!(
        matches!(town.ask(1, Request::Crl { offset: u32::MAX }), Response::Crl { slice, .. } if slice.is_empty())
    );
}

/// A journal: leaves 0, 1, 2, ... of one history, or of another after a fork.
struct Journal {
    nodes: std::collections::BTreeMap<(u8, u64), Hash>,
    frontiers: Vec<Frontier>,
}

impl Journal {
    fn new(size: u64, forked_at: u64) -> Self {
        let mut nodes = std::collections::BTreeMap::new();
        let mut frontier = Frontier::default();
        let mut frontiers = vec![frontier.clone()];
        for leaf in 0..size {
            let text = if leaf < forked_at { format!("{leaf}") } else { format!("other {leaf}") };
            frontier.push(leaf_hash(text.as_bytes()), |level, index, hash| {
                nodes.insert((level, index), *hash);
            });
            frontiers.push(frontier.clone());
        }
        Self { nodes, frontiers }
    }

    fn show(&self, kiosk: &Kiosk, old_size: u64, size: u64) -> Request {
        let origin = journal_origin(kiosk.number);
        let root = self.frontiers[size as usize].root();
        let node = |level, index| Ok::<_, Infallible>(self.nodes[&(level, index)]);
        let proof = consistency_proof(old_size, size, node).unwrap();
        note(kiosk, &Checkpoint { origin: origin.clone(), size, root }, &origin, old_size, &proof)
    }
}

fn note(kiosk: &Kiosk, checkpoint: &Checkpoint, name: &str, old_size: u64, proof: &[Hash]) -> Request {
    let key = NoteKey { name: name.into(), kind: KeyKind::Log, public: kiosk.public() };
    let note = signed_note::sign(&checkpoint.text(), &key, |message| kiosk.sign(message));
    Request::Checkpoint {
        old_size,
        proof: heapless::Vec::from_slice(proof).unwrap(),
        note: heapless::String::try_from(note.as_str()).unwrap(),
    }
}

fn the_witness_cosigns_what_continues(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    let journal = Journal::new(40, 40);
    let mut known = 0;
    for size in [1, 2, 7, 8, 8, 31, 40] {
        let request = journal.show(&town.kiosks[&1], known, size);
        let Request::Checkpoint { note, .. } = &request else { panic!() };
        let text = signed_note::split(note).unwrap().0.to_owned();
        let Response::Cosigned(line) = town.ask(1, request) else { panic!("{known} {size}") };
        let cosigned = format!("{text}\n{line}");
        let key = keys().witness().clone();
        let opened = signed_note::open(&cosigned, &key, |public, message, signature| {
            keys().verify(public, message, signature)
        });
        assert_eq!(opened, Some((text.as_str(), Some(town.now.seconds() as u64))));
        known = size;
        town = town.restart(lab);
    }
    // Whoever has forgotten what was cosigned is told.
    let request = journal.show(&town.kiosks[&1], 31, 40);
    assert_eq!(town.ask(1, request), Response::WitnessAt(40));
    assert_eq!(town.alarms(), [""; 0]);
}

fn a_first_checkpoint_needs_no_proof_and_no_record_is_a_tree_too(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    let origin = journal_origin(town.kiosks[&1].number);
    let empty = Checkpoint { origin: origin.clone(), size: 0, root: empty_root() };
    let request = note(&town.kiosks[&1], &empty, &origin, 0, &[]);
    assert!(matches!(town.ask(1, request), Response::Cosigned(_)));
    let journal = Journal::new(5, 5);
    let request = journal.show(&town.kiosks[&1], 0, 5);
    assert!(matches!(town.ask(1, request), Response::Cosigned(_)));
}

fn notes_that_are_not_the_kiosks_own_are_not_cosigned(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    let journal = Journal::new(9, 9);
    let root = journal.frontiers[9].root();
    let own = journal_origin(town.kiosks[&1].number);
    let other = journal_origin(town.kiosks[&2].number);
    // Another kiosk's journal, another origin under the right key name, another key.
    let foreign = journal.show(&town.kiosks[&2], 0, 9);
    let named = note(&town.kiosks[&1], &Checkpoint { origin: other, size: 9, root }, &own, 0, &[]);
    let keyed = {
        let mut thief = Kiosk::new(2);
        thief.number = KioskNumber::new(1).unwrap();
        journal.show(&thief, 0, 9)
    };
    for request in [foreign, named, keyed] {
        assert_eq!(refused(town.ask(1, request)), Refusal::NotYours);
    }
    let Request::Checkpoint { note: good, .. } = journal.show(&town.kiosks[&1], 0, 9) else { panic!() };
    for text in [good.replace("\n9\n", "\n8\n"), String::new(), "x".into(), good.replace('—', "-")] {
        let note = heapless::String::try_from(text.as_str()).unwrap();
        let request = Request::Checkpoint { old_size: 0, proof: heapless::Vec::new(), note };
        assert_eq!(refused(town.ask(1, request)), Refusal::NotYours, "{text}");
    }
    let request = journal.show(&town.kiosks[&1], 0, 9);
    let Request::Checkpoint { note, proof, .. } = request else { panic!() };
    let beyond = Request::Checkpoint { old_size: 10, proof, note };
    assert_eq!(refused(town.ask(1, beyond)), Refusal::Malformed);
    assert_eq!(town.alarms(), [""; 0], "a stranger's bytes do not close a kiosk");
}

fn closes_the_kiosk<S: tolem_center::logic::store::Transact>(town: &mut Town<S>, request: Request) {
    assert_eq!(refused(town.ask(1, request.clone())), Refusal::JournalRolledBack);
    assert_eq!(refused(town.ask(1, request)), Refusal::JournalRolledBack);
    let alarms = town.store.alarms().unwrap();
    assert_eq!(alarms.len(), 1, "said once");
    let evidence = String::from_utf8(alarms[0].evidence.clone()).unwrap();
    assert_eq!(evidence.matches("tolem/journal/00001\n").count(), 2, "both notes are kept: {evidence}");
    // No new payment, but money that is in is still taken over.
    let id = town.next_id(1);
    assert_eq!(refused(town.want(id, "id-card", ANNA, None)), Refusal::JournalRolledBack);
    town.remainder(ANNA, 500);
    // Not even what continues rightly is cosigned until somebody has looked.
    let right = Journal::new(25, 25).show(&town.kiosks[&1], 20, 25);
    assert_eq!(refused(town.ask(1, right)), Refusal::JournalRolledBack);
    // An operator has looked: a new journal begins.
    operator::clear(&mut town.store, KioskNumber::new(1).unwrap()).unwrap();
    let id = town.next_id(1);
    assert!(matches!(town.want(id, "id-card", ANNA, None), Response::Quote(_)));
    let fresh = Journal::new(3, 0).show(&town.kiosks[&1], 2, 3);
    assert_eq!(town.ask(1, fresh), Response::WitnessAt(0));
    let fresh = Journal::new(3, 0).show(&town.kiosks[&1], 0, 3);
    assert!(matches!(town.ask(1, fresh), Response::Cosigned(_)));
}

fn a_journal_that_shrank_closes_the_kiosk(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    let journal = Journal::new(20, 20);
    let request = journal.show(&town.kiosks[&1], 0, 20);
    town.ask(1, request);
    let request = journal.show(&town.kiosks[&1], 12, 12);
    closes_the_kiosk(&mut town, request);
}

fn a_journal_that_was_rewritten_closes_the_kiosk(lab: &impl Lab) {
    // Longer, of the same length, and of the same length with a request that would ask for another proof first.
    for (known, other) in [(20, Journal::new(30, 15)), (20, Journal::new(20, 19)), (12, Journal::new(20, 19))]
    {
        let mut town = Town::new(lab.create());
        let request = Journal::new(20, 20).show(&town.kiosks[&1], 0, 20);
        town.ask(1, request);
        let size = other.frontiers.len() as u64 - 1;
        let request = other.show(&town.kiosks[&1], known, size);
        closes_the_kiosk(&mut town, request);
    }
}

fn a_false_proof_closes_the_kiosk(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    let journal = Journal::new(30, 30);
    let request = journal.show(&town.kiosks[&1], 0, 20);
    town.ask(1, request);
    let Request::Checkpoint { old_size, mut proof, note } = journal.show(&town.kiosks[&1], 20, 30) else {
        panic!()
    };
    proof[0][0] ^= 1;
    closes_the_kiosk(&mut town, Request::Checkpoint { old_size, proof, note });
}

fn a_short_journal_is_found_at_hello(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    let journal = Journal::new(20, 20);
    let request = journal.show(&town.kiosks[&1], 0, 20);
    town.ask(1, request);
    let Request::Hello(mut hello) = town.kiosks[&1].hello() else { panic!() };
    hello.journal_size = 20;
    welcome(town.ask(1, Request::Hello(hello.clone())));
    assert_eq!(town.alarms(), [""; 0]);
    hello.journal_size = 19;
    // It is welcomed, so that it can hand in what it has, but starts nothing.
    welcome(town.ask(1, Request::Hello(hello)));
    assert_eq!(town.alarms(), ["journal-rolled-back"]);
    let id = town.next_id(1);
    assert_eq!(refused(town.want(id, "id-card", ANNA, None)), Refusal::JournalRolledBack);
}

fn a_restored_center_learns_its_answers_from_the_kiosks(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    let voucher = town.remainder(ANNA, 500);
    // An empty database with the same kiosks is what a lost one is restored to.
    let backup = town.without_memory(lab);
    let quote = town.quote(1, "id-card", ANNA, Some(voucher.number));
    let paid = town.pay(&quote, ANNA, &[1000]);
    let payment = town.next_id(2);
    let kind = DepositKind::Hold(HoldReason::Stopped);
    let stopped = town.deposit(payment, kind, None, Some(BOLAT), &[2000]);
    let held = (stopped.clone(), town.commit(2, &stopped));
    let origin = town.store.balance(voucher.number).unwrap().unwrap().from;
    let first = town.store.payment(&origin).unwrap().unwrap();
    let first = (first.deposit.unwrap(), first.outcome.unwrap());
    let before = ledger::totals(&town.store).unwrap();

    let mut town = backup;
    assert_eq!(operator::begin_new_life(&mut town.store).unwrap(), 8);
    let recall = |(deposit, outcome): &(Signed<_>, Signed<_>)| Request::Recall {
        deposit: deposit.clone(),
        outcome: outcome.clone(),
    };
    // Out of order on purpose: the voucher is spent before it is known.
    for answer in [&paid, &held, &first, &paid, &first] {
        let kiosk = outcome(&answer.1).payment.kiosk.get();
        assert_eq!(town.ask(kiosk, recall(answer)), Response::Recalled);
    }
    assert_eq!(ledger::totals(&town.store).unwrap(), before);
    town.audit();
    assert_eq!(town.commit(1, &paid.0), paid.1);
    assert!(matches!(town.store.balance(voucher.number).unwrap().unwrap().state, BalanceState::Spent { .. }));
    // The code is good again once the gateway has the notice again, and its original is not printed twice.
    let Verdict::Accepted { token, .. } = verdict(&paid.1) else { panic!() };
    let token = token.read_unverified().unwrap();
    assert_eq!(town.notices(), 1);
    let anna = keys().tag_iin(&iin(ANNA));
    let now = town.now;
    let code = gateway::validate(&mut town.store, now, token.code, &anna, "id-card").unwrap();
    assert_eq!(code, Code::Good { fee: tenge(865) });
    assert_eq!(town.ask(2, Request::PrintRight(token.payment)), Response::PrintRight(PrintRight::Copy));
    assert_eq!(town.alarms(), [""; 0]);
}

fn a_restored_center_listens_before_it_sells(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    let mut backup = town.without_memory(lab);
    let quote = town.quote(1, "id-card", ANNA, None);
    let (deposit, answer) = town.pay(&quote, ANNA, &[1000]);
    let lost = town.store.payment(&quote.read_unverified().unwrap().payment).unwrap().unwrap();

    let mut fresh = || 0x1234_5678_9ABC_DEF0;
    let now = backup.now;
    let epoch = backup.store.transact(|store| rebuild::begin(store, now, &mut fresh)).unwrap();
    assert_ne!(epoch, 7);
    let mut town = backup.restart(lab);
    let numbers = |store: &dyn Store| -> Vec<u32> {
        rebuild::missing(store).unwrap().into_iter().map(KioskNumber::get).collect()
    };
    assert_eq!(numbers(&town.store), [1, 2, 3]);
    // It sells nothing, answers nothing that may be forgotten, and says why.
    let payment = town.next_id(2);
    assert_eq!(refused(town.want(payment, "id-card", BOLAT, None)), Refusal::Rebuilding);
    assert_eq!(refused(town.ask(2, Request::CheckPayer(iin(BOLAT)))), Refusal::Rebuilding);
    assert_eq!(refused(town.ask(1, Request::Commit(deposit.clone()))), Refusal::Rebuilding);
    assert_eq!(refused(town.ask(1, Request::PrintRight(lost.payment))), Refusal::Rebuilding);
    let claim = Request::Claim { claim: lost.payment.claim_number(), payer: iin(ANNA) };
    assert_eq!(town.ask(3, claim), Response::Claim(ClaimAnswer::NotArrived), "keep the slip");
    let told = |town: &mut Town<_>, number: u32, center_epoch: u32| {
        let Request::Hello(hello) = town.kiosks[&number].hello() else { panic!() };
        town.ask(number, Request::Hello(Hello { center_epoch, ..hello }))
    };
    // Kiosk 1 knows the old life: it has not told anything yet. Kiosk 2 never had an answer.
    told(&mut town, 1, 7);
    told(&mut town, 2, 0);
    assert_eq!(numbers(&town.store), [1, 3]);
    // Kiosk 3 was enrolled anew on an empty disk: what its former journal held nobody has told.
    let third = KioskNumber::new(3).unwrap();
    town.store.transact(|store| store.add_former_key(third, &[3; 32])).unwrap();
    told(&mut town, 3, 0);
    assert_eq!(numbers(&town.store), [1, 3]);
    let recall = Request::Recall { deposit: deposit.clone(), outcome: answer.clone() };
    assert_eq!(town.ask(1, recall), Response::Recalled);
    told(&mut town, 1, epoch);
    assert_eq!(numbers(&town.store), [3]);
    assert_eq!(refused(town.ask(1, Request::Commit(deposit.clone()))), Refusal::Rebuilding, "3 is missing");
    let mut town = town.restart(lab);
    told(&mut town, 3, epoch);
    assert_eq!(town.store.rebuilding().unwrap(), None);
    assert_eq!(town.commit(1, &deposit), answer, "the answer of the lost life");
    assert!(matches!(town.want(payment, "id-card", BOLAT, None), Response::Quote(_)));
    let alarms = town.store.alarms().unwrap();
    assert_eq!(alarms.len(), 1);
    assert!(
        alarms[0].text.contains("no kiosk is to blame") && alarms[0].text.contains("1 answers were recalled")
    );
    town.audit();
}

fn a_recall_needs_our_signature_and_must_add_up(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    let quote = town.quote(1, "id-card", ANNA, None);
    let (deposit, answer) = town.pay(&quote, ANNA, &[1000]);
    let other = town.remainder(ANNA, 500);
    let mut empty = town.without_memory(lab);
    let content = outcome(&answer);
    let forged = Signed::new(&content, |_| Signature([3; 64]));
    let ask = |town: &mut Town<_>, outcome: &Signed<_>| {
        refused(town.ask(1, Request::Recall { deposit: deposit.clone(), outcome: outcome.clone() }))
    };
    assert_eq!(ask(&mut empty, &forged), Refusal::NotYours);
    let mut elsewhere = content.clone();
    elsewhere.deposit = [9; 32];
    let elsewhere = Signed::new(&elsewhere, |message| keys().sign(message));
    assert_eq!(ask(&mut empty, &elsewhere), Refusal::NotYours);
    // Rightly signed by a broken center: more comes out than went in.
    let mut wrong = content.clone();
    let Verdict::Accepted { remainder, .. } = &mut wrong.verdict else { panic!() };
    remainder.as_mut().unwrap().amount = tenge(100_000);
    let wrong = Signed::new(&wrong, |message| keys().sign(message));
    assert_eq!(ask(&mut empty, &wrong), Refusal::Malformed);
    // Less comes out than went in, or the code proves another fee than was quoted.
    let mut less = content.clone();
    let Verdict::Accepted { token, remainder } = &mut less.verdict else { panic!() };
    let mut other_fee = token.read_unverified().unwrap();
    remainder.as_mut().unwrap().amount = tenge(1);
    let less = Signed::new(&less, |message| keys().sign(message));
    assert_eq!(ask(&mut empty, &less), Refusal::Malformed);
    other_fee.fee = tenge(864);
    let mut fee = content.clone();
    let Verdict::Accepted { token, .. } = &mut fee.verdict else { panic!() };
    *token = Signed::new(&other_fee, |message| keys().sign(message));
    let fee = Signed::new(&fee, |message| keys().sign(message));
    assert_eq!(ask(&mut empty, &fee), Refusal::Malformed);
    assert_eq!(empty.alarms(), ["recall-wrong"; 3]);
    assert_eq!(empty.cash(1), 0);
    // Two answers of ours to one deposit: the first that is known stands.
    let mut second = content;
    second.verdict = Verdict::Held(tolem_protocol::messages::HeldBalance { amount: tenge(1000), ..other });
    let second = Signed::new(&second, |message| keys().sign(message));
    assert_eq!(ask(&mut town, &second), Refusal::IdConflict);
    assert_eq!(town.alarms(), ["two-answers"]);
    town.audit();
    empty.audit();
}

fn a_balance_spent_twice_around_a_restore_is_the_centers_loss(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    let voucher = town.remainder(ANNA, 1000);
    let mut backup = town.without_memory(lab);
    let first =
        town.store.payment(&town.store.balance(voucher.number).unwrap().unwrap().from).unwrap().unwrap();
    let quote = town.quote(1, "id-card", ANNA, Some(voucher.number));
    let lost = town.pay(&quote, ANNA, &[]);
    // The restored center knows the voucher, but not that it is spent.
    let source = Request::Recall { deposit: first.deposit.unwrap(), outcome: first.outcome.unwrap() };
    assert_eq!(backup.ask(1, source), Response::Recalled);
    let again = backup.quote(2, "id-card", ANNA, Some(voucher.number));
    backup.pay(&again, ANNA, &[]);
    let recall = Request::Recall { deposit: lost.0, outcome: lost.1 };
    assert_eq!(backup.ask(1, recall), Response::Recalled);
    assert_eq!(backup.alarms(), ["spent-twice"]);
    assert_eq!(ledger::totals(&backup.store).unwrap()[&Account::OwnLoss], 100_000);
    backup.audit();
}

fn all_steps_of_use_case_5_at_the_center_are_traced_in_order(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    town.ask(1, Request::CheckPayer(iin(ANNA)));
    let quote = town.quote(1, "id-card", ANNA, None);
    let (deposit, _) = town.pay(&quote, ANNA, &[1000]);
    town.notices();
    let numbers: Vec<u8> = town.steps.iter().map(|step| step.number).collect();
    let expected: Vec<u8> = (3..=9).chain(12..=18).chain(21..=25).collect();
    assert_eq!(numbers, expected);
    assert!(town.steps.iter().all(|step| !step.text().starts_with("not a step")));
    let text = town.steps.last().unwrap().to_string();
    assert!(text.starts_with("UC5.25 kiosk 00001 payment 00001-1-1-0b0b0b0b: "), "{text}");
    // A repetition is not a second payment.
    town.commit(1, &deposit);
    assert_eq!(town.steps.len(), expected.len());
}

fn an_answer_is_refused_while_the_store_is_broken(_: &impl Lab) {
    let mut town = Town::new(tolem_center::logic::memory::MemoryStore::new(7));
    let quote = town.quote(1, "id-card", ANNA, None);
    let payment = quote.read_unverified().unwrap().payment;
    let deposit = town.deposit(payment, DepositKind::Pay, Some(&quote), Some(ANNA), &[1000]);
    town.store.broken = true;
    assert!(town.try_ask(1, Request::Commit(deposit.clone())).is_err());
    town.store.broken = false;
    assert_eq!(town.ask(1, Request::Status(payment)), Response::NoOutcome);
    assert_eq!(town.cash(1), 0);
    assert!(matches!(verdict(&town.commit(1, &deposit)), Verdict::Accepted { .. }));
    town.audit();
}

fn any_clock_and_any_number_is_answered(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    for now in [i64::MIN, -1, 0, i64::MAX] {
        town.now = UtcTime(now);
        let id = town.next_id(1);
        town.want(id, "id-card", ANNA, None);
        town.ask(1, Request::Time);
        town.notices();
        let journal = Journal::new(1, 1).show(&town.kiosks[&1], 0, 1);
        town.ask(1, journal);
    }
    town.audit();
}

fn a_damaged_message_never_breaks_the_books(lab: &impl Lab) {
    const ROUNDS: u64 = 240;
    let mut town = Town::new(lab.create());
    let mut dice = Dice(0xBAD);
    let mut answered = 0;
    for round in 0..ROUNDS {
        // A damaged message can void a number before its time.
        let quote = loop {
            let payment = town.next_id(1);
            if let Response::Quote(quote) = town.want(payment, "id-card", ANNA, None) {
                break quote;
            }
        };
        let payment = quote.read_unverified().unwrap().payment;
        let deposit = town.deposit(payment, DepositKind::Pay, Some(&quote), Some(ANNA), &[1000]);
        let request = match round % 6 {
            0 => Request::Commit(deposit),
            1 => {
                let outcome = town.commit(1, &deposit);
                Request::Recall { deposit, outcome }
            }
            2 => Journal::new(9, 9).show(&town.kiosks[&1], 0, 9),
            3 => town.kiosks[&1].hello(),
            4 => Request::Claim { claim: payment.claim_number(), payer: iin(ANNA) },
            _ => Request::Void(payment),
        };
        let mut frame = messages::encode(1, &request).split_off(4);
        for _ in 0..=dice.below(3) {
            let at = 5 + dice.below(frame.len() as u64 - 5) as usize;
            match dice.below(3) {
                0 => frame[at] ^= 1 << dice.below(8),
                1 => frame[at] = dice.below(256) as u8,
                _ => frame.truncate(at.max(6)),
            }
            if frame.len() <= 6 {
                break;
            }
        }
        if let Ok((_, damaged)) = messages::decode::<Request>(&frame) {
            town.ask(1, damaged);
            answered += 1;
        }
        // A day limit or a closed kiosk is not what is tested here.
        town.now = town.now.plus_seconds(86_400);
        operator::clear(&mut town.store, KioskNumber::new(1).unwrap()).unwrap();
    }
    assert!(answered > ROUNDS / 5, "only {answered} damaged messages could be read");
    town.audit();
}

on_all_stores!(
    a_damaged_message_never_breaks_the_books,
    each_boot_gets_an_epoch_of_its_own_and_keeps_it,
    the_registry_says_right_wrong_or_nothing,
    a_claim_slip_is_answered_at_any_kiosk,
    a_number_that_was_used_twice_leads_to_the_money,
    guessing_numbers_ends_in_waiting,
    catalogue_time_and_revocations_are_told,
    the_witness_cosigns_what_continues,
    a_first_checkpoint_needs_no_proof_and_no_record_is_a_tree_too,
    notes_that_are_not_the_kiosks_own_are_not_cosigned,
    a_journal_that_shrank_closes_the_kiosk,
    a_journal_that_was_rewritten_closes_the_kiosk,
    a_false_proof_closes_the_kiosk,
    a_short_journal_is_found_at_hello,
    a_restored_center_learns_its_answers_from_the_kiosks,
    a_restored_center_listens_before_it_sells,
    a_recall_needs_our_signature_and_must_add_up,
    a_balance_spent_twice_around_a_restore_is_the_centers_loss,
    all_steps_of_use_case_5_at_the_center_are_traced_in_order,
    an_answer_is_refused_while_the_store_is_broken,
    any_clock_and_any_number_is_answered,
);
