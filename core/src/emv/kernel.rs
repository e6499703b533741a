//! The machine that leads one card through one payment.

use super::{
    CardData, ChipFault, ChipTransport, Decline, Ending, Evidence, Failure, HostAnswer, OnlineRequest,
    PinEntry, Step, Terminal, Transaction, Tsi, Tvr,
    objects::{self, Answer, Objects},
    rules::{self, CvmList, Method, Wanted, bcd},
    selection::{self, Candidate},
};
use crate::pin_pad::PinCard;
use std::collections::VecDeque;
use tolem_protocol::emv::{
    CardNumber, Command, Dol, MaskedNumber, Response, StatusWord, Tag, Track2, apdu::Transport, tags, tlv,
};
use zeroize::{Zeroize, Zeroizing};

/// More records than this no directory has.
const MAX_DIRECTORY_RECORDS: u8 = 32;
/// More records than this no application has.
const MAX_RECORDS: usize = 64;
/// `61 xx` and `6C xx` may follow each other this often for one command.
const MAX_FETCHES: u8 = 8;
/// Commands of issuer scripts that are sent to the card.
const MAX_SCRIPT_COMMANDS: usize = 32;

/// Reference control parameters and cryptogram kinds (EMV Book 3, tables 12 and 14).
const AAC: u8 = 0x00;
const TC: u8 = 0x40;
const ARQC: u8 = 0x80;
const KIND: u8 = 0xC0;

/// Field 55 of ISO 8583: what issuers commonly want. Neither number nor track is in it.
const CHIP_DATA: [Tag; 21] = [
    tags::CRYPTOGRAM,
    tags::CRYPTOGRAM_INFORMATION,
    tags::ISSUER_APPLICATION_DATA,
    tags::UNPREDICTABLE,
    tags::ATC,
    tags::TVR,
    tags::TRANSACTION_DATE,
    tags::TRANSACTION_TYPE,
    tags::AMOUNT_AUTHORISED,
    tags::CURRENCY_CODE,
    tags::AIP,
    tags::TERMINAL_COUNTRY,
    tags::AMOUNT_OTHER,
    tags::CAPABILITIES,
    tags::CVM_RESULTS,
    tags::TERMINAL_TYPE,
    tags::DF_NAME,
    tags::PAN_SEQUENCE,
    tags::DEVICE_SERIAL,
    tags::SEQUENCE_COUNTER,
    tags::TERMINAL_VERSION,
];

/// What the next answer of the card is to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Asked {
    Directory,
    DirectoryRecord(u8, u8),
    Listed(usize),
    Selected(usize),
    Options,
    Record,
    FirstCryptogram(u8),
    IssuerAuthentication,
    Script { first: bool },
    SecondCryptogram(u8),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Fresh,
    Asked(Asked),
    Choosing,
    Pin,
    Online,
    Over,
}

/// One card, one payment. Make a new one for each attempt.
pub struct Kernel {
    terminal: Terminal,
    transaction: Transaction,
    transport: ChipTransport,
    /// The reader hides numbers.
    hidden: bool,
    state: State,
    sent: Command,
    fetches: u8,
    gathered: Zeroizing<Vec<u8>>,
    candidates: Vec<Candidate>,
    blocked_seen: bool,
    chosen: Option<Candidate>,
    data: Objects,
    /// `(file, record)` still to be read.
    records: VecDeque<(u8, u8)>,
    cvm: Option<CvmList>,
    tvr: Tvr,
    tsi: Tsi,
    approved: bool,
    approved_by_card: bool,
    response_code: [u8; 2],
    scripts: [VecDeque<Vec<u8>>; 2],
    evidence: Evidence,
}

impl Kernel {
    /// A kernel for a card that has been reset and speaks by `transport`.
    pub fn new(terminal: Terminal, transaction: Transaction, transport: ChipTransport) -> Self {
        Self {
            terminal,
            transaction,
            transport,
            hidden: false,
            state: State::Fresh,
            sent: Command { head: [0; 4], data: Vec::new(), answers: false },
            fetches: 0,
            gathered: Zeroizing::default(),
            candidates: Vec::new(),
            blocked_seen: false,
            chosen: None,
            data: Objects::default(),
            records: VecDeque::new(),
            cvm: None,
            tvr: Tvr::default(),
            tsi: Tsi::default(),
            approved: false,
            approved_by_card: false,
            response_code: [0; 2],
            scripts: [VecDeque::new(), VecDeque::new()],
            evidence: Evidence::default(),
        }
    }

    /// The same behind a reader that hides card numbers (SRED).
    #[must_use]
    pub fn behind_sred(mut self) -> Self {
        self.hidden = true;
        self
    }

    /// The first command.
    pub fn start(&mut self) -> Step {
        match self.state {
            State::Fresh => self.send(Asked::Directory, Command::select(selection::DIRECTORY, false)),
            _ => self.out_of_order(),
        }
    }

    /// Takes in what the card, or the reader in its place, answered.
    pub fn answer(&mut self, answer: Result<&[u8], ChipFault>) -> Step {
        let State::Asked(asked) = self.state else { return self.out_of_order() };
        let step = match answer.map(Response::parse) {
            Err(fault) => Err(Failure::Chip(fault)),
            // Readers report a card that was torn out as an empty answer.
            Ok(None) => Err(Failure::Chip(ChipFault::Removed)),
            Ok(Some(response)) => self.gather(asked, response),
        };
        step.unwrap_or_else(|failure| self.fail(failure))
    }

    /// Takes in the citizen's choice.
    pub fn choose(&mut self, index: usize) -> Step {
        if self.state != State::Choosing || index >= self.candidates.len() {
            return self.out_of_order();
        }
        self.select(index)
    }

    /// Takes in how PIN entry went.
    pub fn pin(&mut self, entry: PinEntry) -> Step {
        if self.state != State::Pin {
            return self.out_of_order();
        }
        let step = match entry {
            PinEntry::Entered => {
                self.tvr.set(Tvr::ONLINE_PIN);
                let result =
                    self.cvm.as_ref().map_or(rules::NO_METHOD, |list| list.performed(Method::OnlinePin));
                self.first_cryptogram(result)
            }
            PinEntry::NotEntered => {
                self.tvr.set(Tvr::PIN_NOT_ENTERED);
                self.verify_cardholder()
            }
            PinEntry::PadFailed => {
                self.tvr.set(Tvr::PIN_PAD_FAILED);
                self.verify_cardholder()
            }
        };
        step.unwrap_or_else(|failure| self.fail(failure))
    }

    /// Takes in the issuer's answer.
    pub fn host(&mut self, answer: HostAnswer) -> Step {
        if self.state != State::Online {
            return self.out_of_order();
        }
        let mut authentication = Vec::new();
        match answer {
            HostAnswer::Answered { approved, response_code, issuer_authentication, scripts } => {
                self.approved = approved;
                self.response_code = response_code;
                authentication = issuer_authentication;
                self.read_scripts(&scripts);
            }
            HostAnswer::Unreachable => self.response_code = *b"Z3",
        }
        self.data.put(tags::RESPONSE_CODE, &self.response_code);
        if authentication.is_empty() {
            return self.run_scripts(true);
        }
        self.data.put(tags::ISSUER_AUTHENTICATION, &authentication);
        let by_command = self.data.get(tags::AIP).is_some_and(|profile| profile[0] & 0x04 != 0);
        if by_command {
            let command = Command::external_authenticate(&authentication);
            self.send(Asked::IssuerAuthentication, command)
        } else {
            self.run_scripts(true)
        }
    }

    /// The card's number, once it was read and while it is needed.
    fn number(&self) -> Result<CardNumber, Failure> {
        CardNumber::from_compressed(self.data.need(tags::PAN)?).ok_or(Failure::Malformed(tags::PAN))
    }

    /// What the reader shows of it.
    fn masked(&self) -> Result<MaskedNumber, Failure> {
        let shown = self.data.need(tags::PAN)?;
        let clear = CardNumber::from_compressed(shown).is_some();
        MaskedNumber::from_compressed(shown).ok_or(if clear {
            Failure::NotHidden(tags::PAN)
        } else {
            Failure::Malformed(tags::PAN)
        })
    }

    /// Number and track 2 fit each other.
    fn check_number(&self) -> Result<(), Failure> {
        let track = self.data.get(tags::TRACK2);
        if self.hidden {
            self.masked()?;
            // The reader has compared them; what is left of the track says nothing.
            return match track.and_then(Track2::from_tag) {
                Some(_) => Err(Failure::NotHidden(tags::TRACK2)),
                None => Ok(()),
            };
        }
        let number = self.number()?;
        match track.map(|track| Track2::from_tag(track).and_then(|track| track.number())) {
            Some(found) if found.as_ref() != Some(&number) => Err(Failure::Malformed(tags::TRACK2)),
            _ => Ok(()),
        }
    }

    fn out_of_order(&mut self) -> Step {
        self.fail(Failure::OutOfOrder)
    }

    fn fail(&mut self, failure: Failure) -> Step {
        let ending = if self.approved && self.state != State::Over {
            Ending::RefusedAfterApproval(Err(failure))
        } else {
            Ending::Failed(failure)
        };
        self.over(ending)
    }

    fn over(&mut self, ending: Ending) -> Step {
        self.state = State::Over;
        self.data.clear();
        Step::Over(ending)
    }

    fn send(&mut self, asked: Asked, command: Command) -> Step {
        self.state = State::Asked(asked);
        self.fetches = 0;
        self.gathered.zeroize();
        let bytes = command.to_bytes(self.transport);
        self.sent = command;
        Step::Transmit(Zeroizing::new(bytes))
    }

    /// Fetches what T=0 leaves behind (`61 xx`, `6C xx`) before an answer counts.
    fn gather(&mut self, asked: Asked, response: Response<'_>) -> Result<Step, Failure> {
        let again = match (self.transport, response.status.first()) {
            (Transport::T0, 0x61) => Command::get_response_bytes(response.status.second()),
            (Transport::T0, 0x6C) if self.sent.data.is_empty() => {
                [&self.sent.head[..], &[response.status.second()]].concat()
            }
            (Transport::T0 | Transport::T1, _) => {
                let mut data = std::mem::take(&mut self.gathered);
                data.extend_from_slice(response.data);
                return self.answered(asked, &data, response.status);
            }
        };
        self.fetches += 1;
        if self.fetches > MAX_FETCHES {
            return Err(Failure::Endless);
        }
        self.gathered.extend_from_slice(response.data);
        Ok(Step::Transmit(Zeroizing::new(again)))
    }

    fn answered(&mut self, asked: Asked, data: &[u8], status: StatusWord) -> Result<Step, Failure> {
        match asked {
            Asked::Directory => self.directory_selected(data, status),
            Asked::DirectoryRecord(file, record) => self.directory_read(file, record, data, status),
            Asked::Listed(application) => self.listed(application, data, status),
            Asked::Selected(index) => self.selected(index, data, status),
            Asked::Options => self.options_given(data, status),
            Asked::Record => self.record_read(data, status),
            Asked::FirstCryptogram(kind) => self.first_answered(kind, data, status),
            Asked::IssuerAuthentication => {
                self.tsi.done(Tsi::ISSUER_AUTHENTICATION);
                if status != StatusWord::OK {
                    self.tvr.set(Tvr::ISSUER_NOT_AUTHENTICATED);
                }
                Ok(self.run_scripts(true))
            }
            Asked::Script { first } => Ok(self.script_answered(first, status)),
            Asked::SecondCryptogram(kind) => self.second_answered(kind, data, status),
        }
    }

    // ---- Which application ------------------------------------------------------------------------------------------

    fn directory_selected(&mut self, data: &[u8], status: StatusWord) -> Result<Step, Failure> {
        match status {
            StatusWord::OK => match selection::directory_file(data) {
                Ok(file) => Ok(self.send(Asked::DirectoryRecord(file, 1), Command::read_record(file, 1))),
                // A directory that cannot be read is no directory.
                Err(_) => self.list_from(0),
            },
            StatusWord::BLOCKED => Err(Failure::CardBlocked),
            _ => self.list_from(0),
        }
    }

    fn directory_read(
        &mut self,
        file: u8,
        record: u8,
        data: &[u8],
        status: StatusWord,
    ) -> Result<Step, Failure> {
        let read = match status {
            StatusWord::OK if record < MAX_DIRECTORY_RECORDS => {
                selection::directory_record(data, &self.terminal.applications)
            }
            StatusWord::NO_RECORD if !self.candidates.is_empty() => return self.candidates_known(),
            _ => Err(Failure::Endless),
        };
        match read {
            Ok(found) => {
                selection::add(&mut self.candidates, found);
                let next = record + 1;
                Ok(self.send(Asked::DirectoryRecord(file, next), Command::read_record(file, next)))
            }
            // EMV Book 1, section 12.3.2: errors in the directory lead to the list.
            Err(_) => {
                self.candidates.clear();
                self.list_from(0)
            }
        }
    }

    fn list_from(&mut self, application: usize) -> Result<Step, Failure> {
        match self.terminal.applications.get(application) {
            Some(known) => {
                let command = Command::select(&known.aid, false);
                Ok(self.send(Asked::Listed(application), command))
            }
            None => self.candidates_known(),
        }
    }

    fn listed(&mut self, application: usize, data: &[u8], status: StatusWord) -> Result<Step, Failure> {
        let found = match status {
            StatusWord::BLOCKED if self.candidates.is_empty() && application == 0 => {
                return Err(Failure::CardBlocked);
            }
            StatusWord::OK => {
                Candidate::read(data, tags::DF_NAME, &self.terminal.applications).unwrap_or(None)
            }
            StatusWord::INVALIDATED => {
                self.blocked_seen = true;
                return self.list_from(application + 1);
            }
            _ => return self.list_from(application + 1),
        };
        let known = &self.terminal.applications[application].aid;
        let partial = found.as_ref().is_some_and(|candidate| candidate.name.len() > known.len());
        let seen = found.iter().any(|found| self.candidates.iter().any(|other| other.name == found.name));
        selection::add(&mut self.candidates, found);
        // A longer name may have brothers; a card that gives the same one again has no more.
        if partial && !seen && self.candidates.len() < selection::MAX_CANDIDATES {
            let command = Command::select(known, true);
            return Ok(self.send(Asked::Listed(application), command));
        }
        self.list_from(application + 1)
    }

    fn candidates_known(&mut self) -> Result<Step, Failure> {
        match self.candidates.as_slice() {
            [] if self.blocked_seen => Err(Failure::ApplicationBlocked),
            [] => Err(Failure::NoApplication),
            [only] if !only.ask_first => Ok(self.select(0)),
            several => {
                let several = several.to_vec();
                self.state = State::Choosing;
                Ok(Step::Choose(several))
            }
        }
    }

    fn select(&mut self, index: usize) -> Step {
        let command = Command::select(&self.candidates[index].name, false);
        self.send(Asked::Selected(index), command)
    }

    fn selected(&mut self, index: usize, data: &[u8], status: StatusWord) -> Result<Step, Failure> {
        let candidate = self.candidates[index].clone();
        if status != StatusWord::OK {
            self.blocked_seen |= status == StatusWord::INVALIDATED;
            return self.drop_candidate(index);
        }
        self.data = Objects::default();
        self.put_terminal_data(&candidate);
        self.data.learn_all(tags::FCI, objects::template(data, tags::FCI)?)?;
        if self.data.need(tags::DF_NAME)? != candidate.name {
            return Err(Failure::Malformed(tags::DF_NAME));
        }
        self.chosen = Some(candidate);
        let list = self.list(tags::PDOL)?;
        Ok(self.send(Asked::Options, Command::get_processing_options(&list)))
    }

    fn drop_candidate(&mut self, index: usize) -> Result<Step, Failure> {
        self.candidates.remove(index);
        self.candidates_known()
    }

    // ---- What the card holds ----------------------------------------------------------------------------------------

    fn put_terminal_data(&mut self, candidate: &Candidate) {
        let Terminal { country, currency, kind, category, terminal_id, merchant_id, device_serial, .. } =
            &self.terminal;
        let Transaction { amount, date, time, unpredictable, sequence } = self.transaction;
        let (year, month, day) = date.calendar();
        let date: [u8; 3] =
            [year.unsigned_abs() as u64 % 100, month.into(), day.into()].map(|part| bcd::<1>(part)[0]);
        let known = self.terminal.applications.get(candidate.application);
        let version = known.map_or([0; 2], |known| known.version);
        let values: [(Tag, &[u8]); 20] = [
            (tags::AMOUNT_AUTHORISED, &bcd::<6>(amount.tiyn())),
            (tags::AMOUNT_OTHER, &[0; 6]),
            (tags::TERMINAL_COUNTRY, &bcd::<2>((*country).into())),
            (tags::CURRENCY_CODE, &bcd::<2>((*currency).into())),
            (tags::CURRENCY_EXPONENT, &[2]),
            (tags::TRANSACTION_DATE, &date),
            (tags::TRANSACTION_TIME, &time.map(|part| bcd::<1>(part.into())[0])),
            (tags::TRANSACTION_TYPE, &[0]),
            (tags::UNPREDICTABLE, &unpredictable),
            (tags::SEQUENCE_COUNTER, &bcd::<4>((sequence % 100_000_000).into())),
            (tags::FLOOR_LIMIT, &[0; 4]),
            // Contact chip only; online PIN and no CVM; nothing offline.
            (tags::CAPABILITIES, &[0x20, 0x48, 0x00]),
            // Services; numeric and command keys; display.
            (tags::ADDITIONAL_CAPABILITIES, &[0x20, 0x00, 0xB0, 0xA0, 0x00]),
            (tags::TERMINAL_TYPE, &[*kind]),
            (tags::MERCHANT_CATEGORY, &bcd::<2>((*category).into())),
            (tags::MERCHANT, merchant_id),
            (tags::TERMINAL_ID, terminal_id),
            (tags::DEVICE_SERIAL, device_serial),
            (tags::TERMINAL_VERSION, &version),
            (tags::TERMINAL_AID, &candidate.name),
        ];
        for (tag, value) in values {
            self.data.put(tag, value);
        }
    }

    /// The values a list of the card asks for; an absent list asks for nothing.
    fn list(&mut self, tag: Tag) -> Result<Vec<u8>, Failure> {
        self.data.put(tags::TVR, &self.tvr.0);
        self.data.put(tags::TSI, &self.tsi.0);
        let list = Dol::parse(self.data.get(tag).unwrap_or(&[])).map_err(|_| Failure::Malformed(tag))?;
        // The card would sign what the reader shows, and the issuer would not find its cryptogram right.
        if let Some(tag) = [tags::PAN, tags::TRACK2].into_iter().find(|tag| self.hidden && list.wants(*tag)) {
            return Err(Failure::Hidden(tag));
        }
        Ok(list.build(|wanted| self.data.get(wanted)))
    }

    fn options_given(&mut self, data: &[u8], status: StatusWord) -> Result<Step, Failure> {
        match status {
            StatusWord::OK => {}
            StatusWord::CONDITIONS => {
                let chosen = self.chosen.take();
                let index = self.candidates.iter().position(|known| Some(known) == chosen.as_ref());
                return index.map_or(Err(Failure::NoApplication), |index| self.drop_candidate(index));
            }
            other => return Err(Failure::Status(other)),
        }
        match objects::answer(data)? {
            Answer::Bare(bytes) => {
                let (profile, locator) =
                    bytes.split_first_chunk::<2>().ok_or(Failure::Malformed(tags::RESPONSE_1))?;
                self.data.learn(tags::AIP, profile)?;
                self.data.learn(tags::AFL, locator)?;
            }
            Answer::Objects(bytes) => self.data.learn_all(tags::RESPONSE_2, bytes)?,
        }
        self.data.exactly::<2>(tags::AIP)?;
        self.records = locate(self.data.need(tags::AFL)?)?;
        self.next_record()
    }

    fn next_record(&mut self) -> Result<Step, Failure> {
        match self.records.pop_front() {
            Some((file, record)) => Ok(self.send(Asked::Record, Command::read_record(file, record))),
            None => self.card_read(),
        }
    }

    fn record_read(&mut self, data: &[u8], status: StatusWord) -> Result<Step, Failure> {
        if status != StatusWord::OK {
            return Err(Failure::Status(status));
        }
        if data.len() > tlv::MAX_RECORD {
            return Err(Failure::Malformed(tags::RECORD));
        }
        // Files 11 to 30 need not hold templates and are of no use without offline authentication.
        let file = self.sent.head[3] >> 3;
        if file <= 10 {
            self.data.learn_all(tags::RECORD, objects::template(data, tags::RECORD)?)?;
        }
        self.next_record()
    }

    /// All is read: what must be there is checked, then the terminal judges.
    fn card_read(&mut self) -> Result<Step, Failure> {
        self.check_number()?;
        self.data.need(tags::CDOL1)?;
        self.data.need(tags::CDOL2)?;
        self.tvr.set(Tvr::NO_OFFLINE_AUTHENTICATION);
        let application = self.chosen.as_ref().map_or(0, |chosen| chosen.application);
        rules::restrict(&self.data, &self.terminal, application, &self.transaction, &mut self.tvr)?;
        self.tvr.set(Tvr::FLOOR_LIMIT);
        self.tsi.done(Tsi::TERMINAL_RISK_MANAGEMENT);
        // What is refused anyway is refused before anybody types a PIN.
        if rules::denied(&self.data, &self.terminal, &self.tvr)? {
            return self.first_cryptogram(rules::NO_METHOD);
        }
        self.cvm = CvmList::read(&self.data, &self.transaction, &self.terminal)?;
        self.verify_cardholder()
    }

    fn verify_cardholder(&mut self) -> Result<Step, Failure> {
        let Some(list) = &mut self.cvm else { return self.first_cryptogram(rules::NO_METHOD) };
        self.tsi.done(Tsi::CARDHOLDER_VERIFICATION);
        match list.next(&mut self.tvr) {
            Wanted::Perform(Method::OnlinePin) => {
                self.state = State::Pin;
                let card = if self.hidden { PinCard::Inside } else { self.number()?.into() };
                Ok(Step::EnterPin(card))
            }
            Wanted::Perform(Method::Nothing) => {
                let result = list.performed(Method::Nothing);
                self.first_cryptogram(result)
            }
            Wanted::Over(result) => self.first_cryptogram(result),
        }
    }

    // ---- Cryptograms ------------------------------------------------------------------------------------------------

    fn first_cryptogram(&mut self, cvm: rules::CvmResult) -> Result<Step, Failure> {
        self.data.put(tags::CVM_RESULTS, &cvm);
        let denied = rules::denied(&self.data, &self.terminal, &self.tvr)?;
        let kind = if denied { AAC } else { ARQC };
        if denied {
            self.data.put(tags::RESPONSE_CODE, b"Z1");
        }
        let list = self.list(tags::CDOL1)?;
        Ok(self.send(Asked::FirstCryptogram(kind), Command::generate_ac(kind, list)))
    }

    fn first_answered(&mut self, asked: u8, data: &[u8], status: StatusWord) -> Result<Step, Failure> {
        let kind = self.cryptogram(data, status)?;
        match (asked, kind) {
            (ARQC, ARQC) => {
                self.state = State::Online;
                self.online_request().map(|request| Step::GoOnline(Box::new(request)))
            }
            (ARQC, AAC) => Ok(self.declined(Decline::Card)),
            (AAC, AAC) => Ok(self.declined(Decline::Terminal)),
            (_, other) => Err(Failure::Cryptogram(other)),
        }
    }

    /// Reads the answer of GENERATE AC into the data; gives its kind.
    fn cryptogram(&mut self, data: &[u8], status: StatusWord) -> Result<u8, Failure> {
        if status != StatusWord::OK {
            return Err(Failure::Status(status));
        }
        let mut said = Objects::default();
        match objects::answer(data)? {
            Answer::Bare([information, counter_high, counter_low, rest @ ..]) if rest.len() >= 8 => {
                said.put(tags::CRYPTOGRAM_INFORMATION, &[*information]);
                said.put(tags::ATC, &[*counter_high, *counter_low]);
                said.put(tags::CRYPTOGRAM, &rest[..8]);
                if rest.len() > 8 {
                    said.put(tags::ISSUER_APPLICATION_DATA, &rest[8..]);
                }
            }
            Answer::Bare(_) => return Err(Failure::Malformed(tags::RESPONSE_1)),
            Answer::Objects(bytes) => said.learn_all(tags::RESPONSE_2, bytes)?,
        }
        let [information] = said.exactly(tags::CRYPTOGRAM_INFORMATION)?;
        let counter = said.exactly::<2>(tags::ATC)?;
        let cryptogram = said.exactly::<8>(tags::CRYPTOGRAM)?;
        let issuer = said.get(tags::ISSUER_APPLICATION_DATA).unwrap_or(&[]);
        if issuer.len() > 32 {
            return Err(Failure::Malformed(tags::ISSUER_APPLICATION_DATA));
        }
        self.data.put(tags::CRYPTOGRAM_INFORMATION, &[information]);
        self.data.put(tags::ATC, &counter);
        self.data.put(tags::CRYPTOGRAM, &cryptogram);
        self.data.put(tags::ISSUER_APPLICATION_DATA, issuer);
        self.tsi.done(Tsi::CARD_RISK_MANAGEMENT);
        self.evidence.cryptogram = cryptogram.to_vec();
        Ok(information & KIND)
    }

    fn online_request(&mut self) -> Result<OnlineRequest, Failure> {
        self.data.put(tags::TVR, &self.tvr.0);
        let mut chip_data = Vec::new();
        for tag in CHIP_DATA {
            if let Some(value) = self.data.get(tag) {
                tlv::push(&mut chip_data, tag, value);
            }
        }
        let [year, month, _day] = self.data.exactly(tags::APPLICATION_EXPIRY)?;
        let expiry = [year >> 4, year & 0xF, month >> 4, month & 0xF];
        let sequence = self.data.optional::<1>(tags::PAN_SEQUENCE)?;
        let application = self.chosen.clone().ok_or(Failure::OutOfOrder)?;
        let card = if self.hidden {
            CardData::Masked(self.masked()?)
        } else {
            CardData::Clear(self.number()?, self.data.get(tags::TRACK2).and_then(Track2::from_tag))
        };
        Ok(OnlineRequest {
            card,
            sequence: sequence.map(|[digits]| (digits >> 4) * 10 + (digits & 0xF)),
            expiry,
            chip_data,
            pin_entered: self.tvr.has(Tvr::ONLINE_PIN),
            application,
        })
    }

    fn second_answered(&mut self, asked: u8, data: &[u8], status: StatusWord) -> Result<Step, Failure> {
        let kind = self.cryptogram(data, status)?;
        match (asked, kind) {
            (TC, TC | AAC) | (AAC, AAC) => {}
            (_, other) => return Err(Failure::Cryptogram(other)),
        }
        // A card that refuses after an approval has decided: scripts cannot change it, but they are the issuer's.
        self.approved_by_card = kind == TC;
        Ok(self.run_scripts(false))
    }

    fn declined(&mut self, by: Decline) -> Step {
        let evidence = self.evidence();
        self.over(Ending::Declined(by, evidence))
    }

    fn evidence(&self) -> Evidence {
        Evidence { tvr: self.tvr, tsi: self.tsi, ..self.evidence.clone() }
    }

    // ---- Scripts of the issuer --------------------------------------------------------------------------------------

    /// Sorts the issuer's scripts; what is not well formed is noted as failed, never sent.
    fn read_scripts(&mut self, bytes: &[u8]) {
        for script in tlv::objects(bytes) {
            let (first, bit) = match script {
                Ok(script) if script.tag == tags::ISSUER_SCRIPT_1 => (true, Tvr::SCRIPT_1_FAILED),
                Ok(script) if script.tag == tags::ISSUER_SCRIPT_2 => (false, Tvr::SCRIPT_2_FAILED),
                Ok(_) => continue,
                Err(_) => {
                    self.tvr.set(Tvr::SCRIPT_1_FAILED);
                    return;
                }
            };
            let Ok(script) = script else { return };
            let mut commands = VecDeque::new();
            let mut well_formed = true;
            for object in tlv::objects(script.value) {
                match object {
                    Ok(object) if object.tag == tags::SCRIPT_COMMAND && object.value.len() >= 4 => {
                        commands.push_back(object.value.to_vec());
                    }
                    Ok(object) if object.tag == tags::SCRIPT_ID => {}
                    Ok(_) | Err(_) => well_formed = false,
                }
            }
            let queue = &mut self.scripts[usize::from(!first)];
            if well_formed && queue.len() + commands.len() <= MAX_SCRIPT_COMMANDS {
                queue.append(&mut commands);
            } else {
                self.tvr.set(bit);
            }
        }
    }

    /// Sends the next script command, or goes on.
    fn run_scripts(&mut self, first: bool) -> Step {
        if let Some(command) = self.scripts[usize::from(!first)].pop_front() {
            self.tsi.done(Tsi::SCRIPTS);
            self.state = State::Asked(Asked::Script { first });
            self.fetches = 0;
            self.gathered.zeroize();
            return Step::Transmit(Zeroizing::new(command));
        }
        if first {
            let kind = if self.approved { TC } else { AAC };
            return match self.list(tags::CDOL2) {
                Ok(list) => self.send(Asked::SecondCryptogram(kind), Command::generate_ac(kind, list)),
                Err(failure) => self.fail(failure),
            };
        }
        self.finish()
    }

    fn script_answered(&mut self, first: bool, status: StatusWord) -> Step {
        let failed = !matches!(status.first(), 0x90 | 0x62 | 0x63);
        // Result byte: 2 in the upper half is success, 1 is failure, with the number of the command below.
        self.evidence.script_results.extend([if failed { 0x10 } else { 0x20 }, 0, 0, 0, 0]);
        if failed {
            self.tvr.set(if first { Tvr::SCRIPT_1_FAILED } else { Tvr::SCRIPT_2_FAILED });
            self.scripts[usize::from(!first)].clear();
        }
        self.run_scripts(first)
    }

    fn finish(&mut self) -> Step {
        let evidence = self.evidence();
        let by = if self.response_code == *b"Z3" { Decline::Unreachable } else { Decline::Issuer };
        self.over(match (self.approved, self.approved_by_card) {
            (true, true) => Ending::Approved(evidence),
            (true, false) => Ending::RefusedAfterApproval(Ok(evidence)),
            (false, _) => Ending::Declined(by, evidence),
        })
    }
}

/// The records that an application file locator names (EMV Book 3, section 10.2).
fn locate(locator: &[u8]) -> Result<VecDeque<(u8, u8)>, Failure> {
    let malformed = Failure::Malformed(tags::AFL);
    let (entries, []) = locator.as_chunks::<4>() else { return Err(malformed) };
    let mut records = VecDeque::new();
    for [file, first, last, signed] in entries {
        let file = file >> 3;
        let count = last.checked_sub(*first).ok_or(malformed)?.saturating_add(1);
        if !(1..=30).contains(&file) || *first == 0 || *signed > count {
            return Err(malformed);
        }
        records.extend((*first..=*last).map(|record| (file, record)));
        if records.len() > MAX_RECORDS {
            return Err(Failure::Endless);
        }
    }
    if records.is_empty() { Err(malformed) } else { Ok(records) }
}
