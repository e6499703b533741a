//! The kernel against small cards made of tables. A whole card with keys is in `hal-sim`; here each rule is broken by itself.

use super::*;
use std::collections::BTreeMap;
use tolem_protocol::emv::{Command, tags, tlv};

const AID: [u8; 7] = [0xA0, 0, 0, 0, 0x04, 0x10, 0x10];
const OTHER_AID: [u8; 7] = [0xA0, 0, 0, 0, 0x03, 0x10, 0x10];
/// A public test number in compressed digits.
const NUMBER: [u8; 8] = [0x54, 0x13, 0x33, 0x00, 0x89, 0x02, 0x00, 0x11];
const ARQC: [u8; 11] = [0x80, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8];
const TC: [u8; 11] = [0x40, 0, 1, 8, 7, 6, 5, 4, 3, 2, 1];
const AAC: [u8; 11] = [0x00, 0, 1, 9, 9, 9, 9, 9, 9, 9, 9];

fn object(tag: Tag, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    tlv::push(&mut bytes, tag, value);
    bytes
}

fn template(tag: Tag, objects: &[Vec<u8>]) -> Vec<u8> {
    object(tag, &objects.concat())
}

/// A card as a table: head of a command (and data of a SELECT) to answer.
#[derive(Clone)]
struct Card {
    applications: BTreeMap<Vec<u8>, (Vec<u8>, u16)>,
    directory: Vec<Vec<u8>>,
    options: (Vec<u8>, u16),
    records: BTreeMap<(u8, u8), Vec<u8>>,
    first: Vec<u8>,
    second: Vec<u8>,
    authentication: u16,
    /// Every command the card got.
    heard: Vec<Vec<u8>>,
    /// It is torn out at this command, counted from 0.
    torn_at: Option<usize>,
    transport: ChipTransport,
    waiting: Vec<u8>,
}

fn file_control(aid: &[u8], more: &[Vec<u8>]) -> Vec<u8> {
    let inner = [&[object(tags::APPLICATION_LABEL, b"TEST CARD")], more].concat();
    template(tags::FCI, &[object(tags::DF_NAME, aid), template(tags::FCI_PROPRIETARY, &inner)])
}

fn entry(aid: &[u8], priority: u8) -> Vec<u8> {
    template(
        tags::APPLICATION_TEMPLATE,
        &[
            object(tags::AID, aid),
            object(tags::APPLICATION_LABEL, b"TEST CARD"),
            object(tags::PRIORITY, &[priority]),
        ],
    )
}

/// Objects of the record, to be changed by tests.
fn record() -> Vec<(Tag, Vec<u8>)> {
    vec![
        (tags::PAN, NUMBER.to_vec()),
        (tags::APPLICATION_EXPIRY, vec![0x30, 0x12, 0x31]),
        (tags::PAN_SEQUENCE, vec![0x01]),
        (tags::CDOL1, vec![0x9F, 0x02, 6, 0x9F, 0x37, 4, 0x95, 5]),
        (tags::CDOL2, vec![0x8A, 2, 0x91, 8, 0x95, 5]),
        (tags::CVM_LIST, vec![0, 0, 0, 0, 0, 0, 0, 0, 0x42, 0x00, 0x1F, 0x03]),
    ]
}

fn record_bytes(objects: &[(Tag, Vec<u8>)]) -> Vec<u8> {
    let objects: Vec<_> = objects.iter().map(|(tag, value)| object(*tag, value)).collect();
    template(tags::RECORD, &objects)
}

impl Card {
    fn new() -> Self {
        Self {
            applications: BTreeMap::from([(AID.to_vec(), (file_control(&AID, &[]), 0x9000))]),
            directory: vec![entry(&AID, 1)],
            options: (object(tags::RESPONSE_1, &[0x18, 0x00, 0x08, 1, 1, 0]), 0x9000),
            records: BTreeMap::from([((1, 1), record_bytes(&record()))]),
            first: object(tags::RESPONSE_1, &ARQC),
            second: object(tags::RESPONSE_1, &TC),
            authentication: 0x9000,
            heard: Vec::new(),
            torn_at: None,
            transport: ChipTransport::T1,
            waiting: Vec::new(),
        }
    }

    fn with(change: impl FnOnce(&mut Vec<(Tag, Vec<u8>)>)) -> Self {
        let mut objects = record();
        change(&mut objects);
        Self { records: BTreeMap::from([((1, 1), record_bytes(&objects))]), ..Self::new() }
    }

    fn answer(&mut self, command: &[u8]) -> Vec<u8> {
        self.heard.push(command.to_vec());
        if self.torn_at == Some(self.heard.len() - 1) {
            return Vec::new();
        }
        if command[1] == 0xC0 {
            return [std::mem::take(&mut self.waiting), vec![0x90, 0]].concat();
        }
        let (data, status) = self.think(command);
        let le_is_wrong = command.len() == 5 && command[4] == 0 && !data.is_empty();
        if self.transport == ChipTransport::T0 && le_is_wrong {
            return vec![0x6C, data.len() as u8];
        }
        if self.transport == ChipTransport::T0 && command.len() > 5 && !data.is_empty() {
            self.waiting = data;
            return vec![0x61, self.waiting.len() as u8];
        }
        [&data[..], &status.to_be_bytes()].concat()
    }

    fn think(&self, command: &[u8]) -> (Vec<u8>, u16) {
        let data = || &command[5..5 + usize::from(command[4])];
        match command[..4] {
            [0x00, 0xA4, 0x04, next] => match data() {
                b"1PAY.SYS.DDF01" if self.directory.is_empty() => (Vec::new(), 0x6A82),
                b"1PAY.SYS.DDF01" => {
                    let inner = template(tags::FCI_PROPRIETARY, &[object(tags::SFI, &[1])]);
                    (template(tags::FCI, &[object(tags::DF_NAME, b"1PAY.SYS.DDF01"), inner]), 0x9000)
                }
                name => {
                    let mut fitting = self.applications.iter().filter(|(known, _)| known.starts_with(name));
                    let found = fitting.nth(usize::from(next == 2));
                    found.map_or((Vec::new(), 0x6A82), |(_, answer)| answer.clone())
                }
            },
            // The directory is only in file 1 until an application is selected.
            [0x00, 0xB2, number, 0x0C] if !self.options_asked() => {
                match self.directory.get(usize::from(number) - 1) {
                    Some(entry) => (object(tags::RECORD, entry), 0x9000),
                    None => (Vec::new(), 0x6A83),
                }
            }
            [0x00, 0xB2, number, file] => match self.records.get(&(file >> 3, number)) {
                Some(record) => (record.clone(), 0x9000),
                None => (Vec::new(), 0x6A83),
            },
            [0x80, 0xA8, 0, 0] => self.options.clone(),
            [0x80, 0xAE, _, 0] => {
                let asked = self.heard.iter().filter(|command| command[1] == 0xAE).count();
                (if asked == 1 { &self.first } else { &self.second }.clone(), 0x9000)
            }
            [0x00, 0x82, 0, 0] => (Vec::new(), self.authentication),
            [0x84 | 0x04, ..] => (Vec::new(), if command[1] == 0x1E { 0x9000 } else { 0x6985 }),
            _ => (Vec::new(), 0x6D00),
        }
    }

    fn options_asked(&self) -> bool {
        self.heard.iter().any(|command| command[..2] == [0x80, 0xA8])
    }

    fn sent(&self, instruction: u8) -> Vec<&[u8]> {
        self.heard.iter().filter(|command| command[1] == instruction).map(Vec::as_slice).collect()
    }
}

fn kernel(transport: ChipTransport) -> Kernel {
    kernel_of(Terminal::default(), transport)
}

fn kernel_of(terminal: Terminal, transport: ChipTransport) -> Kernel {
    let transaction = Transaction {
        amount: Amount::from_tenge(1_500),
        date: Date::parse_iso("2026-11-22").unwrap(),
        time: [12, 0, 0],
        unpredictable: [0xDE, 0xAD, 0xBE, 0xEF],
        sequence: 7,
    };
    Kernel::new(terminal, transaction, transport)
}

/// Lets card and kernel talk until somebody else must decide.
fn talk(kernel: &mut Kernel, card: &mut Card, mut step: Step) -> Step {
    for _ in 0..400 {
        match step {
            Step::Transmit(command) => {
                let answer = card.answer(&command);
                step = kernel.answer(Ok(&answer));
            }
            other => return other,
        }
    }
    panic!("card and kernel talk for ever");
}

fn approval(issuer_authentication: &[u8], scripts: &[u8]) -> HostAnswer {
    HostAnswer::Answered {
        approved: true,
        response_code: *b"00",
        issuer_authentication: issuer_authentication.into(),
        scripts: scripts.into(),
    }
}

/// The whole way with a PIN and the given answer of the issuer.
fn pay(card: &mut Card, host: HostAnswer) -> Ending {
    let mut kernel = kernel(card.transport);
    let mut step = kernel.start();
    loop {
        step = talk(&mut kernel, card, step);
        step = match step {
            Step::EnterPin(_) => kernel.pin(PinEntry::Entered),
            Step::GoOnline(_) => kernel.host(host.clone()),
            Step::Choose(_) => kernel.choose(0),
            Step::Over(ending) => return ending,
            Step::Transmit(_) => unreachable!("talk sends all"),
        };
    }
}

fn failure(card: &mut Card) -> Failure {
    match pay(card, HostAnswer::Unreachable) {
        Ending::Failed(failure) => failure,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_approved_payment_goes_the_whole_way_in_both_transports() {
    for transport in [ChipTransport::T0, ChipTransport::T1] {
        let mut card = Card { transport, ..Card::new() };
        let Ending::Approved(evidence) = pay(&mut card, approval(&[], &[])) else { panic!("approved") };
        // Floor limit 0, PIN online, nothing authenticated offline.
        assert_eq!(evidence.tvr, Tvr([0x80, 0, 0x04, 0x80, 0]));
        assert_eq!(evidence.tsi, Tsi([0x68, 0]));
        assert_eq!(evidence.cryptogram, [8, 7, 6, 5, 4, 3, 2, 1]);
        let asked: Vec<u8> = card.sent(0xAE).iter().map(|command| command[2]).collect();
        assert_eq!(asked, [0x80, 0x40], "a request cryptogram, then an approval");
        // CDOL1: amount in minor units, unpredictable number, verification results.
        let first = &card.sent(0xAE)[0][5..20];
        assert_eq!(first, [0, 0, 0, 0x15, 0, 0, 0xDE, 0xAD, 0xBE, 0xEF, 0x80, 0, 0x04, 0x80, 0]);
    }
}

#[test]
fn the_issuer_gets_the_chip_data_and_neither_number_nor_track_in_it() {
    let mut card = Card::new();
    let mut kernel = kernel(ChipTransport::T1);
    let step = kernel.start();
    let Step::EnterPin(wanted) = talk(&mut kernel, &mut card, step) else { panic!("a PIN is wanted") };
    assert_eq!(wanted.number().unwrap().last_four(), [0, 0, 1, 1]);
    let step = kernel.pin(PinEntry::Entered);
    let Step::GoOnline(request) = talk(&mut kernel, &mut card, step) else { panic!("online") };
    assert!(request.pin_entered && request.sequence == Some(1) && request.expiry == [3, 0, 1, 2]);
    let find = |tag| tlv::find(&request.chip_data, tag).unwrap();
    assert_eq!(find(tags::CRYPTOGRAM), Some(&[1, 2, 3, 4, 5, 6, 7, 8][..]));
    assert_eq!(find(tags::CVM_RESULTS), Some(&[0x42, 0, 0][..]));
    assert_eq!(find(tags::TERMINAL_COUNTRY), Some(&[0x03, 0x98][..]));
    assert_eq!((find(tags::PAN), find(tags::TRACK2)), (None, None));
    assert!(!request.chip_data.windows(4).any(|window| window == &NUMBER[2..6]));
}

#[test]
fn without_a_directory_each_application_is_asked_for() {
    let mut card = Card { directory: vec![], ..Card::new() };
    assert!(matches!(pay(&mut card, approval(&[], &[])), Ending::Approved(_)));
    // A directory that is not well formed is no directory.
    let mut card = Card { directory: vec![vec![0x61, 0x80]], ..Card::new() };
    assert!(matches!(pay(&mut card, approval(&[], &[])), Ending::Approved(_)));
}

#[test]
fn several_applications_are_the_citizens_choice_in_the_cards_order() {
    let mut card = Card { directory: vec![entry(&OTHER_AID, 2), entry(&AID, 1)], ..Card::new() };
    card.applications.insert(OTHER_AID.to_vec(), (file_control(&OTHER_AID, &[]), 0x9000));
    let mut kernel = kernel(ChipTransport::T1);
    let step = kernel.start();
    let Step::Choose(several) = talk(&mut kernel, &mut card, step) else { panic!("a choice") };
    let names: Vec<_> = several.iter().map(|candidate| candidate.name.clone()).collect();
    assert_eq!(names, [AID.to_vec(), OTHER_AID.to_vec()]);
    let step = kernel.choose(1);
    assert!(matches!(talk(&mut kernel, &mut card, step), Step::EnterPin(_)));
    assert_eq!(card.sent(0xA4).last().unwrap()[5..12], OTHER_AID);
}

#[test]
fn one_application_that_wants_to_be_asked_for_is_asked_for() {
    let mut card = Card { directory: vec![entry(&AID, 0x81)], ..Card::new() };
    let mut kernel = kernel(ChipTransport::T1);
    let step = kernel.start();
    assert!(matches!(talk(&mut kernel, &mut card, step), Step::Choose(_)));
}

#[test]
fn brothers_of_one_application_are_found_by_asking_for_the_next() {
    let long = |last| [&AID[..], &[last]].concat();
    let mut card = Card { directory: vec![], ..Card::new() };
    card.applications = [1, 2].map(|last| (long(last), (file_control(&long(last), &[]), 0x9000))).into();
    let mut kernel = kernel(ChipTransport::T1);
    let step = kernel.start();
    let Step::Choose(several) = talk(&mut kernel, &mut card, step) else { panic!("a choice") };
    assert_eq!(several.len(), 2);
}

#[test]
fn blocked_cards_and_applications_are_named() {
    let refuse = |status| BTreeMap::from([(AID.to_vec(), (Vec::new(), status))]);
    let mut card = Card { directory: vec![], applications: refuse(0x6A81), ..Card::new() };
    assert_eq!(failure(&mut card), Failure::CardBlocked);
    let mut card = Card { directory: vec![], applications: refuse(0x6283), ..Card::new() };
    assert_eq!(failure(&mut card), Failure::ApplicationBlocked);
    let mut card = Card { applications: refuse(0x6283), ..Card::new() };
    assert_eq!(failure(&mut card), Failure::ApplicationBlocked);
    let mut card = Card { directory: vec![], applications: BTreeMap::new(), ..Card::new() };
    assert_eq!(failure(&mut card), Failure::NoApplication);
    let mut card = Card { options: (Vec::new(), 0x6985), ..Card::new() };
    assert_eq!(failure(&mut card), Failure::NoApplication);
}

#[test]
fn each_thing_a_card_must_not_do_has_a_name() {
    let without = |tag| Card::with(|objects| objects.retain(|(known, _)| *known != tag));
    let changed = |tag, value: &[u8]| {
        Card::with(|objects| {
            objects.iter_mut().filter(|(known, _)| *known == tag).for_each(|(_, old)| *old = value.into())
        })
    };
    let options = |bytes: &[u8]| Card { options: (bytes.to_vec(), 0x9000), ..Card::new() };
    let cases = [
        (without(tags::PAN), Failure::Missing(tags::PAN)),
        (without(tags::CDOL1), Failure::Missing(tags::CDOL1)),
        (without(tags::CDOL2), Failure::Missing(tags::CDOL2)),
        (without(tags::APPLICATION_EXPIRY), Failure::Missing(tags::APPLICATION_EXPIRY)),
        (changed(tags::PAN, &[0xAB]), Failure::Malformed(tags::PAN)),
        (
            changed(tags::APPLICATION_EXPIRY, &[0x30, 0x13, 0x01]),
            Failure::Malformed(tags::APPLICATION_EXPIRY),
        ),
        (changed(tags::CDOL1, &[0x9F]), Failure::Malformed(tags::CDOL1)),
        (changed(tags::CVM_LIST, &[0; 9]), Failure::Malformed(tags::CVM_LIST)),
        (Card::with(|objects| objects.push((tags::PAN, NUMBER.to_vec()))), Failure::Twice(tags::PAN)),
        (
            Card::with(|objects| {
                objects.push((tags::TRACK2, vec![0x41, 0x11, 0x11, 0x11, 0x11, 0xD3, 0x01, 0x22, 0x01]));
            }),
            Failure::Malformed(tags::TRACK2),
        ),
        (options(&[]), Failure::Malformed(tags::RESPONSE_2)),
        (options(&object(tags::RESPONSE_1, &[0x18])), Failure::Malformed(tags::RESPONSE_1)),
        (options(&object(tags::RESPONSE_1, &[0x18, 0])), Failure::Malformed(tags::AFL)),
        (options(&object(tags::RESPONSE_1, &[0x18, 0, 8, 1, 1])), Failure::Malformed(tags::AFL)),
        (options(&object(tags::RESPONSE_1, &[0x18, 0, 8, 2, 1, 0])), Failure::Malformed(tags::AFL)),
        (options(&object(tags::RESPONSE_1, &[0x18, 0, 0xF8, 1, 1, 0])), Failure::Malformed(tags::AFL)),
        (options(&object(tags::RESPONSE_1, &[0x18, 0, 8, 1, 255, 0])), Failure::Endless),
        (options(&object(tags::RESPONSE_1, &[0x18, 0, 16, 1, 1, 0])), Failure::Status(StatusWord(0x6A83))),
        (Card { first: object(tags::RESPONSE_1, &TC), ..Card::new() }, Failure::Cryptogram(0x40)),
        (
            Card { first: object(tags::RESPONSE_1, &ARQC[..9]), ..Card::new() },
            Failure::Malformed(tags::RESPONSE_1),
        ),
        (Card { first: Vec::new(), ..Card::new() }, Failure::Malformed(tags::RESPONSE_2)),
    ];
    for (n, (mut card, wanted)) in cases.into_iter().enumerate() {
        assert_eq!(failure(&mut card), wanted, "case {n}");
    }
}

#[test]
fn a_card_torn_out_at_any_command_is_noticed_and_after_an_approval_reversed() {
    let mut whole = Card::new();
    assert!(matches!(pay(&mut whole, approval(&[1; 8], &[])), Ending::Approved(_)));
    let second = whole.heard.len() - 1;
    for at in 0..whole.heard.len() {
        let mut card = Card { torn_at: Some(at), ..Card::new() };
        let removed = Failure::Chip(ChipFault::Removed);
        match pay(&mut card, approval(&[1; 8], &[])) {
            Ending::Failed(failure) => assert!(failure == removed && at < second, "{at}: {failure:?}"),
            Ending::RefusedAfterApproval(Err(failure)) => assert!(failure == removed && at == second, "{at}"),
            other => panic!("{at}: {other:?}"),
        }
    }
}

#[test]
fn an_issuers_no_and_silence_end_in_a_declined_card() {
    let no = HostAnswer::Answered {
        approved: false,
        response_code: *b"51",
        issuer_authentication: vec![],
        scripts: vec![],
    };
    for (host, by, code) in
        [(no, Decline::Issuer, b"51"), (HostAnswer::Unreachable, Decline::Unreachable, b"Z3")]
    {
        let mut card = Card { second: object(tags::RESPONSE_1, &AAC), ..Card::new() };
        let Ending::Declined(who, _) = pay(&mut card, host) else { panic!("declined") };
        assert_eq!(who, by);
        let second = card.sent(0xAE)[1];
        assert_eq!((second[2], &second[5..7]), (0x00, &code[..]), "the card is told why");
    }
}

#[test]
fn a_card_that_refuses_after_the_approval_calls_for_a_reversal() {
    let mut card = Card { second: object(tags::RESPONSE_1, &AAC), ..Card::new() };
    let ending = pay(&mut card, approval(&[], &[]));
    assert!(matches!(ending, Ending::RefusedAfterApproval(Ok(_))), "{ending:?}");
}

#[test]
fn a_card_that_declines_by_itself_never_goes_online() {
    let mut card = Card { first: object(tags::RESPONSE_1, &AAC), ..Card::new() };
    assert!(matches!(pay(&mut card, approval(&[], &[])), Ending::Declined(Decline::Card, _)));
    assert_eq!(card.sent(0xAE).len(), 1);
}

#[test]
fn action_codes_refuse_before_anybody_types_a_pin() {
    let expired = || {
        Card::with(|objects| {
            objects
                .iter_mut()
                .filter(|(tag, _)| *tag == tags::APPLICATION_EXPIRY)
                .for_each(|(_, v)| v[0] = 0x20);
            objects.push((tags::IAC_DENIAL, vec![0, 0x40, 0, 0, 0]));
        })
    };
    let mut card = Card { first: object(tags::RESPONSE_1, &AAC), ..expired() };
    let mut kernel = kernel(ChipTransport::T1);
    let step = kernel.start();
    let Step::Over(Ending::Declined(Decline::Terminal, evidence)) = talk(&mut kernel, &mut card, step) else {
        panic!("declined without a PIN")
    };
    assert!(evidence.tvr.has(Tvr::EXPIRED));
    assert_eq!(card.sent(0xAE)[0][2], 0x00, "the card is asked for a refusal");
    // The terminal's own code does the same.
    let denial = ActionCode([0, 0, 0, 0x80, 0]);
    let mut kernel = kernel_of(Terminal { denial, ..Terminal::default() }, ChipTransport::T1);
    let step = kernel.start();
    let mut card = Card { first: object(tags::RESPONSE_1, &AAC), ..Card::new() };
    assert!(matches!(talk(&mut kernel, &mut card, step), Step::Over(Ending::Declined(Decline::Terminal, _))));
}

#[test]
fn restrictions_are_told_to_the_issuer_not_decided_here() {
    let restricted = [
        (tags::CARD_VERSION, vec![0, 9], Tvr::VERSIONS_DIFFER),
        (tags::APPLICATION_EFFECTIVE, vec![0x30, 1, 1], Tvr::NOT_YET_VALID),
        (tags::USAGE_CONTROL, vec![0x02, 0], Tvr::SERVICE_NOT_ALLOWED),
    ];
    for (tag, value, bit) in restricted {
        let mut card = Card::with(|objects| objects.push((tag, value.clone())));
        let Ending::Approved(evidence) = pay(&mut card, approval(&[], &[])) else { panic!("{tag}") };
        assert!(evidence.tvr.has(bit), "{tag}");
    }
    // Domestic services are allowed, international ones are not: a Kazakh card pays here.
    let mut card = Card::with(|objects| {
        objects.push((tags::USAGE_CONTROL, vec![0x09, 0]));
        objects.push((tags::ISSUER_COUNTRY, vec![0x03, 0x98]));
    });
    let Ending::Approved(evidence) = pay(&mut card, approval(&[], &[])) else { panic!("approved") };
    assert!(!evidence.tvr.has(Tvr::SERVICE_NOT_ALLOWED));
}

/// Verification results, whether a PIN was asked, and the result of verification, for a list of rules.
fn verified(rules: &[u8], entry: PinEntry) -> (bool, [u8; 3], Tvr) {
    let mut card = Card::with(|objects| {
        let list = [&[0, 0, 0, 0, 0, 0x02, 0x49, 0xF0][..], rules].concat();
        objects
            .iter_mut()
            .filter(|(tag, _)| *tag == tags::CVM_LIST)
            .for_each(|(_, value)| *value = list.clone());
        objects.push((tags::APPLICATION_CURRENCY, vec![0x03, 0x98]));
    });
    let mut kernel = kernel(ChipTransport::T1);
    let step = kernel.start();
    let mut step = talk(&mut kernel, &mut card, step);
    let mut asked = false;
    while let Step::EnterPin(_) = step {
        asked = true;
        let next = kernel.pin(entry);
        step = talk(&mut kernel, &mut card, next);
    }
    let Step::GoOnline(request) = step else { panic!("online") };
    let results = tlv::find(&request.chip_data, tags::CVM_RESULTS).unwrap().unwrap().try_into().unwrap();
    let tvr = tlv::find(&request.chip_data, tags::TVR).unwrap().unwrap().try_into().unwrap();
    (asked, results, Tvr(tvr))
}

#[test]
fn the_list_of_verification_methods_is_walked_in_order() {
    use PinEntry::{Entered, NotEntered, PadFailed};
    // rules, how the PIN goes, PIN asked, result, bits
    type Case<'a> = (&'a [u8], PinEntry, bool, [u8; 3], u8);
    let cases: [Case<'_>; 12] = [
        (&[0x02, 0x00], Entered, true, [0x02, 0, 0], 0x04),
        (&[0x1F, 0x00], Entered, false, [0x1F, 0, 2], 0),
        // Offline PIN and signature are not ours; the next rule counts.
        (&[0x41, 0x00, 0x42, 0x03, 0x1F, 0x03], Entered, true, [0x42, 3, 0], 0x04),
        (&[0x41, 0x03, 0x02, 0x00], Entered, true, [0x02, 0, 0], 0x04),
        (&[0x1E, 0x00, 0x02, 0x00], Entered, false, [0x1E, 0, 1], 0x80),
        (&[0x00, 0x00], Entered, false, [0x00, 0, 1], 0x80),
        (&[0x60, 0x00, 0x1F, 0x00], Entered, false, [0x1F, 0, 2], 0x40),
        // Cash is not what is done here; an unknown condition never holds.
        (&[0x02, 0x01, 0x02, 0x04, 0x02, 0x05, 0x02, 0x7F, 0x1F, 0x00], Entered, false, [0x1F, 0, 2], 0),
        // 1 500.00 against a limit Y of 1 500.00: neither under nor over.
        (&[0x02, 0x08, 0x02, 0x09, 0x1F, 0x00], Entered, false, [0x1F, 0, 2], 0),
        (&[0x42, 0x00, 0x1F, 0x00], NotEntered, true, [0x1F, 0, 2], 0x08),
        (&[0x02, 0x00, 0x1F, 0x00], NotEntered, true, [0x02, 0, 1], 0x88),
        (&[0x02, 0x00], PadFailed, true, [0x02, 0, 1], 0x90),
    ];
    for (n, (rules, entry, asked, result, third)) in cases.into_iter().enumerate() {
        let got = verified(rules, entry);
        assert_eq!((got.0, got.1, got.2.0[2]), (asked, result, third), "case {n}");
    }
    assert_eq!(verified(&[0x02, 0x05], Entered).1, [0x3F, 0, 1], "no rule applied");
}

#[test]
fn scripts_reach_the_card_in_order_and_a_failed_one_stops() {
    let command = |instruction: u8| object(tags::SCRIPT_COMMAND, &[0x84, instruction, 0, 0, 0]);
    let scripts = [
        template(
            tags::ISSUER_SCRIPT_1,
            &[object(tags::SCRIPT_ID, &[1, 2, 3, 4]), command(0x1E), command(0x1E)],
        ),
        template(tags::ISSUER_SCRIPT_2, &[command(0x24), command(0x1E)]),
    ];
    let mut card = Card::new();
    let Ending::Approved(evidence) = pay(&mut card, approval(&[], &scripts.concat())) else {
        panic!("approved")
    };
    let order: Vec<u8> = card.heard.iter().map(|command| command[1]).skip_while(|ins| *ins != 0xAE).collect();
    assert_eq!(order, [0xAE, 0x1E, 0x1E, 0xAE, 0x24], "the second script stops at its first command");
    assert!(evidence.tvr.has(Tvr::SCRIPT_2_FAILED) && !evidence.tvr.has(Tvr::SCRIPT_1_FAILED));
    assert_eq!(evidence.script_results.len(), 15);
    // A script that is not well formed is never sent.
    let mut card = Card::new();
    let Ending::Approved(evidence) = pay(&mut card, approval(&[], &[0x71, 0x03, 0x86, 0x05, 0x84])) else {
        panic!("approved")
    };
    assert!(evidence.tvr.has(Tvr::SCRIPT_1_FAILED));
    assert!(!card.heard.iter().any(|command| command[0] == 0x84));
}

#[test]
fn the_issuer_proves_itself_by_command_if_the_card_wants_that() {
    let with_command = object(tags::RESPONSE_1, &[0x1C, 0x00, 0x08, 1, 1, 0]);
    for (status, failed) in [(0x9000, false), (0x6300, true)] {
        let mut card =
            Card { options: (with_command.clone(), 0x9000), authentication: status, ..Card::new() };
        let Ending::Approved(evidence) = pay(&mut card, approval(&[7; 10], &[])) else { panic!("approved") };
        assert_eq!(evidence.tvr.has(Tvr::ISSUER_NOT_AUTHENTICATED), failed);
        assert_eq!(card.sent(0x82)[0][5..15], [7; 10]);
    }
    // Else it goes into the second list.
    let mut card = Card::new();
    pay(&mut card, approval(&[7; 10], &[]));
    assert_eq!(card.sent(0xAE)[1][5..15], [b'0', b'0', 7, 7, 7, 7, 7, 7, 7, 7]);
    assert!(card.sent(0x82).is_empty());
}

#[test]
fn a_card_that_never_ends_is_left() {
    let mut kernel = kernel(ChipTransport::T0);
    let mut step = kernel.start();
    for _ in 0..100 {
        match step {
            Step::Transmit(_) => step = kernel.answer(Ok(&[0x61, 0x10])),
            Step::Over(ending) => return assert_eq!(ending, Ending::Failed(Failure::Endless)),
            _ => panic!("nothing to decide"),
        }
    }
    panic!("the kernel never left");
}

#[test]
fn calls_in_a_wrong_order_end_it() {
    let mut kernel = kernel(ChipTransport::T1);
    kernel.start();
    let over = |step| matches!(step, Step::Over(Ending::Failed(Failure::OutOfOrder)));
    assert!(over(kernel.pin(PinEntry::Entered)));
    assert!(
        over(kernel.host(HostAnswer::Unreachable))
            && over(kernel.choose(0))
            && over(kernel.answer(Ok(&[0x90, 0])))
    );
}

#[test]
fn no_answers_of_a_card_make_it_panic() {
    // Each byte of each answer of a good card, changed to a few telling values.
    let mut good = Card::new();
    pay(&mut good, approval(&[1; 8], &[]));
    for at in 0..good.heard.len() {
        for byte in 0..80 {
            for value in [0x00, 0x01, 0x7F, 0x80, 0x81, 0xFF] {
                let mut card = Card::new();
                let mut kernel = kernel(ChipTransport::T1);
                let mut step = kernel.start();
                for round in 0..60 {
                    step = match step {
                        Step::Transmit(command) => {
                            let mut answer = card.answer(&command);
                            if round == at
                                && let Some(hit) = answer.get_mut(byte)
                            {
                                *hit = value;
                            }
                            kernel.answer(Ok(&answer))
                        }
                        Step::EnterPin(_) => kernel.pin(PinEntry::Entered),
                        Step::GoOnline(_) => kernel.host(approval(&[1; 8], &[])),
                        Step::Choose(_) => kernel.choose(0),
                        Step::Over(_) => break,
                    };
                }
            }
        }
    }
}

#[test]
fn commands_to_t1_cards_carry_le() {
    let bytes = Command::generate_ac(0x80, vec![1]).to_bytes(ChipTransport::T1);
    assert_eq!(bytes, [0x80, 0xAE, 0x80, 0, 1, 1, 0]);
}

/// What a reader that hides numbers makes of the record with number and track.
fn hidden(record: &[u8]) -> Vec<u8> {
    let mut shown = record.to_vec();
    for at in 0..record.len().saturating_sub(8) {
        if record[at..at + 8] == NUMBER {
            shown[at + 3..at + 6].fill(0xCC);
        }
    }
    shown
}

fn hidden_card() -> Card {
    let mut card = Card::new();
    card.records.values_mut().for_each(|record| *record = hidden(record));
    card
}

fn behind_sred(card: &mut Card) -> (Kernel, Step) {
    let mut kernel = kernel(ChipTransport::T1).behind_sred();
    let step = kernel.start();
    let step = talk(&mut kernel, card, step);
    (kernel, step)
}

#[test]
fn behind_a_reader_that_hides_numbers_the_issuer_is_asked_with_what_may_be_seen() {
    let mut card = hidden_card();
    let (mut kernel, step) = behind_sred(&mut card);
    assert!(step == Step::EnterPin(PinCard::Inside));
    let step = kernel.pin(PinEntry::Entered);
    let Step::GoOnline(request) = talk(&mut kernel, &mut card, step) else { panic!("online") };
    assert_eq!((request.card.last_four(), request.card.number()), ([0, 0, 1, 1], None));
    assert_eq!(request.expiry, [3, 0, 1, 2]);
    let step = kernel.host(approval(&[], &[]));
    assert!(matches!(talk(&mut kernel, &mut card, step), Step::Over(Ending::Approved(_))));
}

#[test]
fn a_number_or_track_in_the_clear_is_refused_behind_such_a_reader_and_a_hidden_one_before_any_other() {
    let (_, step) = behind_sred(&mut Card::new());
    assert!(step == Step::Over(Ending::Failed(Failure::NotHidden(tags::PAN))));
    assert_eq!(failure(&mut hidden_card()), Failure::Malformed(tags::PAN));
}

#[test]
fn a_card_that_wants_to_hear_its_number_is_refused_behind_such_a_reader() {
    for tag in [tags::PAN, tags::TRACK2] {
        let mut card = hidden_card();
        let list = [tag.bytes().as_slice(), &[8]].concat();
        for (name, (answer, _)) in &mut card.applications {
            *answer = file_control(name, &[object(tags::PDOL, &list)]);
        }
        let (_, step) = behind_sred(&mut card);
        assert!(step == Step::Over(Ending::Failed(Failure::Hidden(tag))), "{tag}");
    }
}
