//! A host written by hand talks to the device in virtual time.

mod random;

use super::*;
use expect_test::{Expect, expect};
use std::time::Duration;
use tolem_protocol::ccnet::{BillTable, Command, Identification, Reply, Status};

fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

/// What came back for one question.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Answer {
    Ack,
    Nak,
    Illegal,
    Data(Vec<u8>),
    Silence,
}

struct Host {
    device: CcnetDevice,
    now: Instant,
    remarks: Vec<String>,
}

impl Host {
    fn new(config: CcnetConfig) -> Self {
        let mut device = CcnetDevice::new(config);
        device.power_on(Instant(0));
        Self { device, now: Instant(0), remarks: Vec::new() }
    }

    fn started() -> Self {
        let mut host = Self::new(CcnetConfig::default());
        host.ask(Command::Reset);
        host.wait(2100);
        assert_eq!(host.poll_ack(), PollStatus::Disabled);
        host
    }

    /// Types 0 to 11 enabled with escrow.
    fn enabled() -> Self {
        let mut host = Self::started();
        host.enable(0xFFF, 0xFFF);
        assert_eq!(host.poll_ack(), PollStatus::Idling);
        host
    }

    fn enable(&mut self, accept: u32, escrow: u32) {
        let command =
            Command::EnableBillTypes { accept: TypeMask::new(accept), escrow: TypeMask::new(escrow) };
        assert_eq!(self.ask(command), Answer::Ack);
    }

    fn in_escrow(tenge: u32) -> (Self, NoteId) {
        let mut host = Self::enabled();
        let id = host.insert(tenge);
        host.wait(1200);
        (host, id)
    }

    /// One that stacked a 2000 note and did not confirm it yet.
    fn stacked() -> (Self, NoteId) {
        let (mut host, id) = Self::in_escrow(2000);
        assert_eq!(host.ask(Command::Stack), Answer::Ack);
        host.wait(1000);
        (host, id)
    }

    fn insert(&mut self, tenge: u32) -> NoteId {
        self.device.insert(self.now, Banknote::tenge(tenge)).unwrap()
    }

    /// Lets time go by, waking the device only when it asked for it.
    fn wait(&mut self, ms: u64) -> Vec<u8> {
        let end = self.now + Duration::from_millis(ms);
        let mut sent = Vec::new();
        loop {
            match self.device.poll() {
                DeviceOutput::Transmit(bytes) => sent.extend(bytes),
                DeviceOutput::Happened(PhysicalEvent::Remark(text)) => self.remarks.push(text),
                DeviceOutput::Happened(_) => {}
                DeviceOutput::Wait(next) if next <= end => {
                    assert!(next > self.now || next == Instant(0), "it must not wake without progress");
                    self.now = next;
                    self.device.handle_timeout(next);
                }
                DeviceOutput::Wait(_) => break,
            }
        }
        self.now = end;
        self.device.handle_timeout(end);
        sent
    }

    fn send(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.device.handle_bytes(self.now, bytes);
        self.wait(20)
    }

    fn ask(&mut self, command: Command) -> Answer {
        let sent = self.send(&command.frame());
        if sent.is_empty() {
            return Answer::Silence;
        }
        assert_eq!(usize::from(sent[2]), sent.len(), "one whole frame: {sent:02x?}");
        match Reply::parse(&sent[3..sent.len() - 2]) {
            Reply::Ack => Answer::Ack,
            Reply::Nak => Answer::Nak,
            Reply::Illegal => Answer::Illegal,
            Reply::Data(data) => Answer::Data(data.to_vec()),
        }
    }

    fn poll(&mut self) -> PollStatus {
        match self.ask(Command::Poll) {
            Answer::Data(data) => PollStatus::parse(&data).unwrap(),
            other => panic!("POLL gave {other:?}"),
        }
    }

    fn poll_ack(&mut self) -> PollStatus {
        let status = self.poll();
        assert_eq!(self.send(&Command::Ack.frame()), [0u8; 0]);
        status
    }

    /// Polls with ACK every 200 ms and writes down changes until `last` is seen.
    fn story(&mut self, last: PollStatus) -> String {
        let mut seen: Vec<PollStatus> = Vec::new();
        for _ in 0..200 {
            let status = self.poll_ack();
            if seen.last() != Some(&status) {
                seen.push(status);
            }
            if status == last {
                return seen.iter().map(ToString::to_string).collect::<Vec<_>>().join(" > ");
            }
            self.wait(160);
        }
        panic!("never saw {last}, but {seen:?}");
    }

    fn place(&self, id: NoteId) -> Place {
        self.device.place_of(id).unwrap()
    }
}

fn check(story: &str, expected: Expect) {
    expected.assert_eq(story);
}

#[test]
fn answers_have_the_frozen_bytes() {
    let mut host = Host::new(CcnetConfig::default());
    for (question, answer) in [
        ("02030633da81", "020306104392"),
        ("02030635ece4", "0203063041b3"),
        ("020306300000", "020306ffba8d"),
        ("0203063041b3", "02030600c282"),
        ("02030633da81", "02030613d8a0"),
        ("02030c34000007000007892f", "02030600c282"),
        ("02030631c8a2", "02030b000007000000"),
    ] {
        let sent = host.send(&hex(question));
        assert_eq!(sent[..answer.len() / 2], hex(answer), "{question}");
    }
    host.wait(2000);
    assert_eq!(host.send(&hex("02030633da81")), hex("0203061467d4"));
    host.enable(8, 8);
    host.insert(5000);
    host.wait(1200);
    assert_eq!(host.send(&hex("02030633da81")), hex("02030780031701"));
    host.ask(Command::Stack);
    host.wait(1000);
    assert_eq!(host.send(&hex("02030633da81")), hex("0203078103cf18"));
}

#[test]
fn it_starts_as_the_specification_says() {
    let mut host = Host::new(CcnetConfig::default());
    assert_eq!(host.poll_ack(), PollStatus::PowerUp);
    host.wait(60_000);
    assert_eq!(host.poll_ack(), PollStatus::PowerUp, "only RESET ends it");
    assert_eq!(host.ask(Command::Reset), Answer::Ack);
    let Answer::Data(id) = host.ask(Command::Identification) else { panic!("no identification") };
    assert_eq!((id.len(), Identification::parse(&id).unwrap().serial_text().as_str()), (34, "12KC004711"));
    let Answer::Data(table) = host.ask(Command::GetBillTable) else { panic!("no bill table") };
    assert_eq!((table.len(), &table[25..30]), (120, &[0x02, b'K', b'Z', b'T', 0x04][..]));
    let values: Vec<_> =
        BillTable::parse(&table).unwrap().0.iter().flatten().map(|bill| bill.value()).collect();
    assert_eq!(values[..7], [500, 1000, 2000, 5000, 10_000, 20_000, 500].map(Some));
    assert_eq!(host.ask(Command::SetSecurity(TypeMask::new(4))), Answer::Ack);
    let Answer::Data(status) = host.ask(Command::GetStatus) else { panic!("no status") };
    assert_eq!(Status::parse(&status).unwrap().high_security, TypeMask::new(4));
    check(&host.story(PollStatus::Disabled), expect!["INITIALIZE > DISABLED"]);
    host.enable(4, 4);
    check(&host.story(PollStatus::Idling), expect!["IDLING"]);
}

#[test]
fn a_note_is_accepted_held_and_stacked() {
    let mut host = Host::enabled();
    let id = host.insert(2000);
    check(&host.story(PollStatus::Escrow(2)), expect!["ACCEPTING > ESCROW type 2"]);
    assert_eq!(host.place(id), Place::Escrow);
    assert_eq!(host.ask(Command::Stack), Answer::Ack);
    check(&host.story(PollStatus::Idling), expect!["STACKING > STACKED type 2 > IDLING"]);
    assert_eq!((host.place(id), host.device.counter()), (Place::Cassette, 1));
    assert_eq!(host.ask(Command::StackedCounter), Answer::Data(vec![0, 1]));
    assert_eq!(host.device.cassette().map(|note| note.denomination.0).collect::<Vec<_>>(), [2000]);
}

#[test]
fn a_note_is_returned_and_18_lasts_until_it_is_taken() {
    let (mut host, id) = Host::in_escrow(500);
    host.device.config.timing.citizen_takes = None;
    assert_eq!(host.ask(Command::Return), Answer::Ack);
    host.wait(30_000);
    assert_eq!((host.poll_ack(), host.place(id)), (PollStatus::Returning, Place::Inlet));
    assert_eq!(host.device.pull_note(host.now), Some(id));
    check(&host.story(PollStatus::Idling), expect!["RETURNED type 0 > IDLING"]);
    assert_eq!(host.place(id), Place::Returned);
    assert_eq!(host.device.pull_note(host.now), None);
}

#[test]
fn stacked_and_returned_repeat_until_their_own_ack() {
    let (mut host, _) = Host::stacked();
    for _ in 0..5 {
        assert_eq!(host.poll(), PollStatus::Stacked(2));
    }
    host.send(&Command::Nak.frame());
    host.send(&Command::Ack.frame());
    assert_eq!(host.poll(), PollStatus::Stacked(2), "an ACK after a NAK confirms nothing");
    host.ask(Command::GetStatus);
    host.send(&Command::Ack.frame());
    assert_eq!(host.poll_ack(), PollStatus::Stacked(2), "the ACK of another reply confirms nothing");
    assert_eq!(host.poll_ack(), PollStatus::Idling);

    let (mut host, _) = Host::in_escrow(500);
    host.ask(Command::Return);
    host.wait(2000);
    assert_eq!(
        (host.poll(), host.poll(), host.poll_ack()),
        (PollStatus::Returned(0), PollStatus::Returned(0), PollStatus::Returned(0))
    );
    assert_eq!(host.poll_ack(), PollStatus::Idling);
}

#[test]
fn undecided_notes_go_back_after_ten_seconds_and_hold_gives_ten_more() {
    let (mut host, id) = Host::in_escrow(1000);
    host.wait(9_900);
    assert_eq!(host.poll_ack(), PollStatus::Escrow(1));
    assert_eq!(host.ask(Command::Hold), Answer::Ack);
    host.wait(9_800);
    assert_eq!(host.poll_ack(), PollStatus::Holding);
    assert_eq!(host.ask(Command::Hold), Answer::Ack);
    host.wait(9_900);
    assert_eq!(host.poll_ack(), PollStatus::Holding);
    host.wait(100);
    check(&host.story(PollStatus::Idling), expect!["RETURNING > RETURNED type 1 > IDLING"]);
    assert_eq!(host.place(id), Place::Returned);
}

#[test]
fn masks_decide_what_goes_in_and_what_stops_in_escrow() {
    let mut host = Host::started();
    assert_eq!(
        host.device.insert(host.now, Banknote::tenge(500)),
        Err(InsertError::Inhibited(PollStatus::Disabled))
    );
    host.enable(0b110, 0b010);
    let id = host.insert(5000);
    check(&host.story(PollStatus::Idling), expect!["ACCEPTING > REJECTING 68 inhibited type > IDLING"]);
    assert_eq!(host.place(id), Place::Returned);
    host.insert(1000);
    check(&host.story(PollStatus::Escrow(1)), expect!["ACCEPTING > ESCROW type 1"]);
    host.ask(Command::Stack);
    host.story(PollStatus::Idling);
    let direct = host.insert(2000);
    check(&host.story(PollStatus::Idling), expect!["ACCEPTING > STACKING > STACKED type 2 > IDLING"]);
    assert_eq!(host.place(direct), Place::Cassette);
}

#[test]
fn notes_it_does_not_know_come_back_with_the_reason() {
    let good = Banknote::tenge(1000);
    for (note, reason) in [
        (good.foreign(), RejectReason::Identification),
        (good.bad(), RejectReason::Verification),
        (good.of_pattern(1993), RejectReason::Identification),
        (Banknote::tenge(200), RejectReason::Identification),
    ] {
        let mut host = Host::enabled();
        let id = host.device.insert(host.now, note).unwrap();
        host.wait(1300);
        assert_eq!(host.poll_ack(), PollStatus::Rejecting(reason), "{note}");
        host.story(PollStatus::Idling);
        assert_eq!(host.place(id), Place::Returned, "{note}");
    }
    let mut host = Host::enabled();
    host.device.insert(host.now, good.of_pattern(2014)).unwrap();
    host.wait(1300);
    assert_eq!(host.poll_ack(), PollStatus::Escrow(7), "an older design is a type of its own");
}

#[test]
fn a_refusal_is_shown_even_to_a_host_that_polls_slowly() {
    let mut host = Host::enabled();
    host.device.insert(host.now, Banknote::tenge(500).bad()).unwrap();
    host.wait(60_000);
    check(&host.story(PollStatus::Idling), expect!["REJECTING 66 verification > IDLING"]);
}

#[test]
fn commands_out_of_place_are_illegal_and_change_nothing() {
    let mut host = Host::enabled();
    for command in [
        Command::Stack,
        Command::Return,
        Command::Hold,
        Command::Identification,
        Command::GetBillTable,
        Command::Other(0x60),
        Command::Other(0x3A),
    ] {
        assert_eq!(host.ask(command), Answer::Illegal, "{command:?}");
    }
    assert_eq!(host.poll_ack(), PollStatus::Idling);
    let (mut host, _) = Host::stacked();
    for command in [Command::Stack, Command::Return, Command::Hold, Command::StackedCounter] {
        assert_eq!(host.ask(command), Answer::Illegal, "{command:?}");
    }
    assert_eq!(host.poll_ack(), PollStatus::Stacked(2));
    let mut host = Host::new(CcnetConfig { has_counter: false, ..CcnetConfig::default() });
    assert_eq!(host.ask(Command::StackedCounter), Answer::Illegal);
}

/// Cuts the power `after` ms after the note went in; the host orders STACK as soon as it can. Returns what POLL said after
/// power-on, what came after RESET, and where the note ended.
fn cut(after: u64) -> (PollStatus, String, Place) {
    let mut host = Host::enabled();
    let id = host.insert(2000);
    let begin = host.now;
    if after >= 1200 {
        host.wait(1200);
        // The order travels; the answer is not waited for.
        host.device.handle_bytes(host.now, &Command::Stack.frame());
    }
    host.wait(after - host.now.since(begin).as_millis() as u64);
    host.device.power_off(host.now);
    assert_eq!(host.ask(Command::Poll), Answer::Silence);
    host.wait(60_000);
    host.device.power_on(host.now);
    let found = host.poll_ack();
    host.ask(Command::Reset);
    let story = host.story(PollStatus::Disabled);
    assert_eq!(host.device.enabled(), TypeMask::NONE);
    (found, story, host.place(id))
}

#[test]
fn power_cut_at_any_moment_tells_where_the_note_is() {
    for after in (0..2400).step_by(20) {
        let (found, story, place) = cut(after);
        let expected = if after < 1500 {
            (PollStatus::PowerUpBillInValidator, "INITIALIZE > DISABLED".into(), Place::Returned)
        } else {
            let story = "INITIALIZE > STACKED type 2 > DISABLED".into();
            (PollStatus::PowerUpBillInStacker, story, Place::Cassette)
        };
        assert_eq!((found, story, place), expected, "cut {after} ms after insertion");
    }
}

/// Brings a note into a phase, cuts the power there, and tells what is found and where the note ends.
#[test]
fn power_cut_while_a_note_goes_back_gives_it_back_once() {
    type Bring = fn(&mut Host);
    let cases: [(&str, Bring, PollStatus, bool); 5] = [
        (
            "rollers turn back",
            |host| drop(host.ask(Command::Return)),
            PollStatus::PowerUpBillInValidator,
            false,
        ),
        (
            "note sticks out of the slot",
            |host| {
                host.device.config.timing.citizen_takes = None;
                host.ask(Command::Return);
                host.wait(900);
            },
            PollStatus::PowerUp,
            true,
        ),
        (
            "82 not confirmed",
            |host| {
                host.ask(Command::Return);
                host.wait(5000);
                assert_eq!(host.poll(), PollStatus::Returned(2));
            },
            PollStatus::PowerUp,
            true,
        ),
        ("held", |host| drop(host.ask(Command::Hold)), PollStatus::PowerUpBillInValidator, false),
        ("initialising", |host| drop(host.ask(Command::Reset)), PollStatus::PowerUpBillInValidator, false),
    ];
    for (phase, bring, found, returned) in cases {
        let (mut host, id) = Host::in_escrow(2000);
        bring(&mut host);
        host.device.power_off(host.now);
        assert_eq!(host.place(id) == Place::Returned, returned, "{phase}");
        host.device.power_on(host.now);
        host.device.config.timing.citizen_takes = Some(Duration::from_millis(100));
        assert_eq!(host.poll_ack(), found, "{phase}");
        host.ask(Command::Reset);
        assert_eq!(host.story(PollStatus::Disabled), "INITIALIZE > DISABLED", "{phase}");
        assert_eq!((host.place(id), host.device.counter()), (Place::Returned, 0), "{phase}");
    }
}

#[test]
fn power_cut_while_a_credit_is_recovered_recovers_it_again() {
    let (mut host, id) = Host::in_escrow(2000);
    host.ask(Command::Stack);
    host.wait(500);
    for _ in 0..3 {
        host.device.power_off(host.now);
        host.device.power_on(host.now);
        assert_eq!(host.poll_ack(), PollStatus::PowerUpBillInStacker);
        host.ask(Command::Reset);
        host.wait(1000);
        assert_eq!((host.poll_ack(), host.place(id)), (PollStatus::Initialize, Place::Transport));
    }
    check(&host.story(PollStatus::Disabled), expect!["INITIALIZE > STACKED type 2 > DISABLED"]);
    assert_eq!((host.place(id), host.device.counter()), (Place::Cassette, 1));
}

#[test]
fn an_unconfirmed_credit_survives_any_number_of_cuts_and_resets() {
    let (mut host, _) = Host::stacked();
    for _ in 0..3 {
        assert_eq!(host.poll(), PollStatus::Stacked(2));
        host.device.power_off(host.now);
        host.device.power_on(host.now);
        assert_eq!(host.poll_ack(), PollStatus::PowerUpBillInStacker);
        host.ask(Command::Reset);
        host.wait(2100);
        assert_eq!(host.poll(), PollStatus::Stacked(2));
        host.ask(Command::Reset);
        host.wait(2100);
    }
    assert_eq!(host.poll_ack(), PollStatus::Stacked(2));
    assert_eq!(host.poll_ack(), PollStatus::Disabled);
    host.device.power_off(host.now);
    host.device.power_on(host.now);
    assert_eq!(host.poll_ack(), PollStatus::PowerUp);
    assert_eq!(host.device.counter(), 1, "counted once");
}

#[test]
fn a_note_taken_out_by_hand_leaves_nothing_to_tell() {
    let (mut host, id) = Host::in_escrow(10_000);
    host.device.take_note_out(host.now);
    assert_eq!((host.poll_ack(), host.place(id)), (PollStatus::PowerUp, Place::Returned));
    assert_eq!(host.device.counter(), 0);
}

#[test]
fn a_device_that_loses_its_memory_still_has_its_counter() {
    let (mut host, _) = Host::stacked();
    host.device.lose_memory(host.now);
    assert_eq!(host.poll_ack(), PollStatus::PowerUp);
    assert_eq!((host.device.unconfirmed_credit(), host.device.counter()), (None, 1));
}

#[test]
fn reset_gives_the_note_in_escrow_back() {
    let (mut host, id) = Host::in_escrow(10_000);
    assert_eq!(host.ask(Command::Reset), Answer::Ack);
    check(&host.story(PollStatus::Disabled), expect!["INITIALIZE > DISABLED"]);
    assert_eq!(host.place(id), Place::Returned);
}

#[test]
fn reset_waits_for_a_note_that_nobody_takes() {
    let (mut host, id) = Host::in_escrow(10_000);
    host.device.config.timing.citizen_takes = None;
    host.ask(Command::Return);
    host.wait(900);
    assert_eq!(host.place(id), Place::Inlet);
    host.ask(Command::Reset);
    assert_eq!(host.device.pull_note(host.now), Some(id));
    assert_eq!(host.poll_ack(), PollStatus::Initialize, "the self-test takes its time");
    host.story(PollStatus::Disabled);

    let (mut host, id) = Host::in_escrow(10_000);
    host.device.config.timing.citizen_takes = None;
    host.ask(Command::Reset);
    host.wait(20_000);
    assert_eq!(host.poll_ack(), PollStatus::Initialize);
    assert_eq!(host.device.pull_note(host.now), Some(id));
    assert_eq!(host.poll_ack(), PollStatus::Disabled);
}

#[test]
fn a_jam_holds_the_note_until_the_technician_comes() {
    for after in [100, 1300] {
        let mut host = Host::enabled();
        let id = host.insert(2000);
        host.wait(after);
        host.device.set_fault(host.now, Fault::Jam);
        assert_eq!(host.poll_ack(), PollStatus::ValidatorJam);
        host.ask(Command::Reset);
        check(&host.story(PollStatus::ValidatorJam), expect!["INITIALIZE > VALIDATOR JAMMED"]);
        assert!(matches!(host.place(id), Place::Validator | Place::Escrow));
        host.device.clear_faults(host.now);
        check(&host.story(PollStatus::Disabled), expect!["INITIALIZE > DISABLED"]);
        assert_eq!(host.place(id), Place::Technician);
    }
}

#[test]
fn a_soft_jam_is_freed_by_reset() {
    let (mut host, id) = Host::in_escrow(2000);
    host.device.set_fault(host.now, Fault::SoftJam);
    host.ask(Command::Reset);
    check(&host.story(PollStatus::Disabled), expect!["INITIALIZE > DISABLED"]);
    assert_eq!(host.place(id), Place::Returned);

    let (mut host, id) = Host::in_escrow(2000);
    host.ask(Command::Stack);
    host.wait(500);
    host.device.set_fault(host.now, Fault::SoftCassetteJam);
    assert_eq!((host.poll_ack(), host.place(id)), (PollStatus::CassetteJam, Place::Transport));
    host.ask(Command::Reset);
    check(&host.story(PollStatus::Disabled), expect!["INITIALIZE > STACKED type 2 > DISABLED"]);
    assert_eq!(host.place(id), Place::Cassette);
}

#[test]
fn a_hard_cassette_jam_ends_without_credit_and_without_the_note() {
    let (mut host, id) = Host::in_escrow(2000);
    host.ask(Command::Stack);
    host.wait(500);
    host.device.set_fault(host.now, Fault::CassetteJam);
    host.device.power_off(host.now);
    host.device.power_on(host.now);
    assert_eq!(host.poll_ack(), PollStatus::PowerUpBillInStacker);
    host.ask(Command::Reset);
    host.story(PollStatus::CassetteJam);
    host.device.clear_faults(host.now);
    check(&host.story(PollStatus::Disabled), expect!["INITIALIZE > DISABLED"]);
    assert_eq!((host.place(id), host.device.counter()), (Place::Technician, 0));
}

#[test]
fn cassette_out_and_full_stop_everything_until_it_is_back() {
    let (mut host, first) = Host::stacked();
    host.device.remove_cassette(host.now);
    assert_eq!(host.poll_ack(), PollStatus::Stacked(2), "the event comes first");
    assert_eq!(host.poll_ack(), PollStatus::CassetteOut);
    assert!(matches!(host.ask(Command::Identification), Answer::Data(_)), "legal in 41-47");
    assert!(host.device.insert(host.now, Banknote::tenge(500)).is_err());
    host.device.put_cassette(host.now, true);
    check(&host.story(PollStatus::Disabled), expect!["INITIALIZE > DISABLED"]);
    assert_eq!((host.place(first), host.device.cassette().count()), (Place::Collected, 0));

    let mut host = Host::new(CcnetConfig { capacity: 1, ..CcnetConfig::default() });
    host.ask(Command::Reset);
    host.wait(2100);
    host.enable(0xFF, 0);
    host.insert(500);
    check(
        &host.story(PollStatus::CassetteFull),
        expect!["ACCEPTING > STACKING > STACKED type 0 > CASSETTE FULL"],
    );
    host.device.put_cassette(host.now, true);
    assert_eq!(host.poll_ack(), PollStatus::Idling);
}

#[test]
fn a_cassette_pulled_while_a_note_moves_gives_it_back_or_keeps_it_stuck() {
    for (after_stack, story, place) in [
        (0, "RETURNING > RETURNED type 2 > CASSETTE OUT", Place::Returned),
        (400, "CASSETTE JAMMED", Place::Transport),
    ] {
        let (mut host, id) = Host::in_escrow(2000);
        host.ask(Command::Stack);
        host.wait(after_stack);
        host.device.remove_cassette(host.now);
        let last = if after_stack == 0 { PollStatus::CassetteOut } else { PollStatus::CassetteJam };
        assert_eq!(host.story(last), story);
        assert_eq!(host.place(id), place);
    }
}

#[test]
fn a_second_note_pauses_and_both_go_back_if_nobody_takes_it() {
    let mut host = Host::enabled();
    let first = host.insert(2000);
    host.wait(600);
    let second = host.insert(500);
    assert_eq!(host.poll_ack(), PollStatus::Pause);
    assert_eq!(host.device.pull_note(host.now), Some(second));
    check(&host.story(PollStatus::Escrow(2)), expect!["ACCEPTING > ESCROW type 2"]);
    assert_eq!((host.place(first), host.place(second)), (Place::Escrow, Place::Returned));
    assert!(matches!(host.device.insert(host.now, Banknote::tenge(500)), Err(InsertError::Occupied(_))));

    let mut host = Host::enabled();
    let first = host.insert(2000);
    let second = host.insert(500);
    check(&host.story(PollStatus::Idling), expect!["PAUSE > REJECTING 62 previous bill in head > IDLING"]);
    assert_eq!((host.place(first), host.place(second)), (Place::Returned, Place::Returned));
}

#[test]
fn a_note_fished_out_is_told_as_cheating_and_never_credited() {
    for wait in [100, 1300, 1800] {
        let mut host = Host::enabled();
        let id = host.insert(2000);
        host.wait(wait.min(1300));
        host.ask(Command::Stack);
        host.wait(wait.saturating_sub(1300));
        host.device.set_fault(host.now, Fault::Cheat);
        assert_eq!((host.poll(), host.poll()), (PollStatus::Cheated, PollStatus::Cheated));
        check(&host.story(PollStatus::Idling), expect!["CHEATED > IDLING"]);
        assert_eq!((host.place(id), host.device.counter()), (Place::Returned, 0));
    }
}

#[test]
fn failures_busy_silence_and_forgetting_show_as_themselves() {
    let mut host = Host::enabled();
    host.device.set_fault(host.now, Fault::Failure(0x50));
    assert_eq!(host.ask(Command::Poll), Answer::Data(vec![0x47, 0x50]));
    host.device.clear_faults(host.now);
    host.story(PollStatus::Disabled);
    host.enable(1, 1);
    host.device.set_fault(host.now, Fault::Busy(5));
    assert_eq!(host.poll_ack(), PollStatus::Busy(5));
    host.wait(500);
    assert_eq!(host.poll_ack(), PollStatus::Idling);
    host.device.set_fault(host.now, Fault::Forget);
    assert_eq!(host.poll_ack(), PollStatus::Disabled);
    host.device.set_fault(host.now, Fault::Silent);
    assert_eq!(host.ask(Command::Poll), Answer::Silence);
    host.device.clear_faults(host.now);
    assert_eq!(host.poll_ack(), PollStatus::Disabled);
    host.enable(1, 1);
    host.device.set_fault(host.now, Fault::MisreadNext(0));
    host.insert(20_000);
    check(&host.story(PollStatus::Escrow(0)), expect!["ACCEPTING > ESCROW type 0"]);
}

#[test]
fn a_slow_model_is_deaf_after_reset() {
    let mut config = CcnetConfig::default();
    config.timing.reset_silence = Duration::from_millis(2500);
    let mut host = Host::new(config);
    assert_eq!(host.ask(Command::Reset), Answer::Ack);
    assert_eq!(host.ask(Command::Poll), Answer::Silence);
    host.wait(2500);
    assert_eq!(host.poll_ack(), PollStatus::Disabled);
}

#[test]
fn a_broken_line_is_answered_with_nak_or_silence() {
    let mut host = Host::enabled();
    let mut bad = Command::Poll.frame().to_vec();
    bad[4] ^= 0x10;
    assert_eq!(host.send(&bad), Reply::Nak.frame().unwrap().as_slice());
    let frame = Command::Poll.frame();
    for byte in &frame[..5] {
        host.device.handle_bytes(host.now, &[*byte]);
        assert_eq!(host.wait(3), [0u8; 0]);
    }
    assert_eq!(host.send(&frame[5..]), hex("0203061467d4"), "any split");
    host.send(&frame[..4]);
    host.wait(100);
    assert_eq!(host.poll_ack(), PollStatus::Idling, "a frame without an end is dropped");
    assert!(
        host.remarks.iter().any(|remark| remark == "4 bytes without an end dropped"),
        "{:?}",
        host.remarks
    );
    let mut noise = vec![0xFF, 0x00, 0x41];
    noise.extend(Command::Poll.frame());
    assert_eq!(host.send(&noise), hex("0203061467d4"));
    assert_eq!(host.send(&tolem_protocol::ccnet::encode(4, &[0x33]).unwrap()), [0u8; 0], "not for us");
    host.device.fault_next_frame(Way::ToDevice, OneFault::Corrupt);
    host.device.fault_next_frame(Way::ToHost, OneFault::Drop);
    host.ask(Command::Poll);
    assert!(matches!(host.ask(Command::Poll), Answer::Silence | Answer::Data(_)));
}
