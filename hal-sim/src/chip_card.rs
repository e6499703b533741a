//! A chip card as a device: APDUs in, APDUs out. Real keys, real cryptograms, and every way a card can misbehave.
//!
//! The same card serves a kernel in memory, a reader's chip contacts, and the real `pcscd` through the vpcd protocol
//! ([`vpcd`]). It keeps the physical truth of its side: how often it was asked for cryptograms, and which it gave.

mod files;
mod online;
pub mod pcscd;
mod profile;
pub mod vpcd;

pub use profile::{ApplicationProfile, Authentication, CardProfile, IssuerKeys};

use files::Files;
use std::mem;
use tolem_card_keys::{TdesKey, emv};
use tolem_protocol::emv::{
    Dol, StatusWord, Tag,
    apdu::Transport,
    tags::{self},
    tlv,
};

/// Kinds of cryptograms (EMV Book 3, table 14).
const AAC: u8 = 0x00;
const TC: u8 = 0x40;
const ARQC: u8 = 0x80;

/// Statuses only a card says.
const WRONG_LENGTH: StatusWord = StatusWord(0x6700);
const WRONG_DATA: StatusWord = StatusWord(0x6A80);
const NOT_SUPPORTED: StatusWord = StatusWord(0x6D00);
const CODE_WRONG: StatusWord = StatusWord(0x6988);
const NOT_AUTHENTICATED: StatusWord = StatusWord(0x6300);

/// What goes wrong, and when. Commands are counted from 0 at each power-on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CardFaults {
    /// It is torn out when this command arrives: no answer ever again.
    pub torn_at: Option<u32>,
    /// It hears this command and everything after it, and says nothing.
    pub mute_from: Option<u32>,
    /// It approves nothing: every request cryptogram becomes a refusal.
    pub refuses: bool,
    /// It refuses at the second GENERATE AC although the issuer approved.
    pub refuses_after_approval: bool,
}

/// What a command led to.
#[derive(Clone, PartialEq, Eq)]
pub enum Reply {
    /// Data and status.
    Bytes(Vec<u8>),
    /// Nothing, and nothing will come: the reader waits until its patience ends.
    Mute,
    /// The card is not there any more.
    Gone,
}

/// A card.
pub struct ChipCard {
    profile: CardProfile,
    transport: Transport,
    /// What goes wrong.
    pub faults: CardFaults,
    commands: u32,
    selected: Option<usize>,
    listed: usize,
    files: Files,
    counter: u16,
    /// A transaction has begun since the reset.
    started: bool,
    options: Vec<u8>,
    asked: Option<Asked>,
    issuer_known: bool,
    /// Commands of scripts that it carried out.
    scripts_done: u32,
    waiting: Vec<u8>,
    refused_apps: Vec<bool>,
    cryptograms: Vec<(u8, [u8; 8])>,
}

/// The request cryptogram that waits for its answer.
struct Asked {
    cryptogram: [u8; 8],
    session: TdesKey,
}

impl ChipCard {
    /// A card without power.
    pub fn new(profile: CardProfile, transport: Transport) -> Self {
        let refused_apps = profile.applications.iter().map(|application| application.blocked).collect();
        Self {
            profile,
            transport,
            faults: CardFaults::default(),
            commands: 0,
            selected: None,
            listed: 0,
            files: Files::default(),
            counter: 0,
            started: false,
            options: Vec::new(),
            asked: None,
            issuer_known: false,
            scripts_done: 0,
            waiting: Vec::new(),
            refused_apps,
            cryptograms: Vec::new(),
        }
    }

    /// A card that was used before: its counter goes on from `counter`.
    #[must_use]
    pub fn used(self, counter: u16) -> Self {
        Self { counter, ..self }
    }

    /// Powers it, or resets it: everything but what is burnt in is forgotten. Gives the answer to reset.
    pub fn reset(&mut self) -> Vec<u8> {
        self.commands = 0;
        self.selected = None;
        self.listed = 0;
        self.started = false;
        self.options.clear();
        self.asked = None;
        self.issuer_known = false;
        self.waiting.clear();
        self.answer_to_reset()
    }

    /// The bytes that name its transport (ISO/IEC 7816-3).
    pub fn answer_to_reset(&self) -> Vec<u8> {
        match self.transport {
            Transport::T0 => vec![0x3B, 0x60, 0x00, 0x00],
            // The last byte makes the exclusive-or of all after the first zero.
            Transport::T1 => vec![0x3B, 0xE0, 0x00, 0xFF, 0x81, 0x31, 0x55, 0x45, 0xBF],
        }
    }

    /// Its transport.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// Commands it got since its last reset.
    pub fn commands(&self) -> u32 {
        self.commands
    }

    /// How many transactions it has begun in its life.
    pub fn counter(&self) -> u16 {
        self.counter
    }

    /// Cryptograms it gave since it was made: kind and bytes.
    pub fn cryptograms(&self) -> &[(u8, [u8; 8])] {
        &self.cryptograms
    }

    /// Script commands it carried out.
    pub fn scripts_done(&self) -> u32 {
        self.scripts_done
    }

    /// What it is.
    pub fn profile(&self) -> &CardProfile {
        &self.profile
    }

    /// One command from the reader.
    pub fn transmit(&mut self, command: &[u8]) -> Reply {
        let number = self.commands;
        self.commands += 1;
        if self.faults.torn_at.is_some_and(|at| number >= at) {
            return Reply::Gone;
        }
        if self.faults.mute_from.is_some_and(|from| number >= from) {
            return Reply::Mute;
        }
        let [class, instruction, first, second, rest @ ..] = command else {
            return Reply::Bytes(bytes(&[], WRONG_LENGTH));
        };
        if *instruction == 0xC0 && *class == 0 {
            let waiting = mem::take(&mut self.waiting);
            return Reply::Bytes(bytes(&waiting, StatusWord::OK));
        }
        let (data, expects) = match rest {
            [] => (&[][..], false),
            [_le] => (&[][..], true),
            [length, data @ ..] => match data.split_at_checked(usize::from(*length)) {
                Some((data, [] | [_])) => (data, true),
                _ => return Reply::Bytes(bytes(&[], WRONG_LENGTH)),
            },
        };
        let (answer, status) = self.carry_out([*class, *instruction, *first, *second], data);
        if self.transport == Transport::T1 || answer.is_empty() {
            return Reply::Bytes(bytes(&answer, status));
        }
        // T=0: what was not asked for by its exact length is fetched.
        let length = u8::try_from(answer.len()).unwrap_or(0);
        match rest {
            [le] if *le == length => Reply::Bytes(bytes(&answer, status)),
            [_le] => Reply::Bytes(bytes(&[], StatusWord(0x6C00 | u16::from(length)))),
            _ => {
                debug_assert!(expects, "an answer with data follows a command with data");
                self.waiting = answer;
                Reply::Bytes(bytes(&[], StatusWord(0x6100 | u16::from(length))))
            }
        }
    }

    fn carry_out(&mut self, head: [u8; 4], data: &[u8]) -> (Vec<u8>, StatusWord) {
        let done = match head {
            [0x00, 0xA4, 0x04, next @ (0x00 | 0x02)] => self.select(data, next == 2),
            [0x00, 0xB2, record, file] if file & 7 == 4 => self.read_record(file >> 3, record),
            [0x80, 0xA8, 0, 0] => self.get_options(data),
            [0x80, 0xCA, high, low] => self.get_data(Tag::read(&[high, low]).map(|(tag, _)| tag).ok()),
            [0x80, 0xAE, kind, 0] => self.generate(kind & 0xC0, data),
            [0x00, 0x82, 0, 0] => self.authenticate_issuer(data),
            [0x84, 0x1E | 0x24, _, _] => self.script(head, data),
            _ => Err(NOT_SUPPORTED),
        };
        match done {
            Ok(answer) => (answer, StatusWord::OK),
            Err(status) => (Vec::new(), status),
        }
    }

    fn application(&self) -> Result<&ApplicationProfile, StatusWord> {
        let index = self.selected.ok_or(StatusWord::CONDITIONS)?;
        self.profile.applications.get(index).ok_or(StatusWord::CONDITIONS)
    }

    fn select(&mut self, name: &[u8], next: bool) -> Result<Vec<u8>, StatusWord> {
        if self.profile.blocked {
            return Err(StatusWord::BLOCKED);
        }
        self.options.clear();
        self.asked = None;
        if name == b"1PAY.SYS.DDF01" {
            self.selected = None;
            self.files = Files::directory(&self.profile);
            return if self.profile.directory {
                Ok(files::directory_control())
            } else {
                Err(StatusWord::NOT_FOUND)
            };
        }
        let from = if next { self.listed } else { 0 };
        let fits = |application: &ApplicationProfile| application.aid.starts_with(name);
        let found = self.profile.applications.iter().enumerate().skip(from).find(|(_, app)| fits(app));
        let Some((index, application)) = found else { return Err(StatusWord::NOT_FOUND) };
        self.listed = index + 1;
        if self.refused_apps[index] {
            return Err(StatusWord::INVALIDATED);
        }
        self.selected = Some(index);
        self.files = Files::of(application);
        Ok(files::control(application))
    }

    fn read_record(&self, file: u8, record: u8) -> Result<Vec<u8>, StatusWord> {
        self.files.record(file, record).map(<[u8]>::to_vec).ok_or(StatusWord::NO_RECORD)
    }

    fn get_options(&mut self, data: &[u8]) -> Result<Vec<u8>, StatusWord> {
        let application = self.application()?.clone();
        let mut objects = tlv::objects(data);
        let list = match (objects.next(), objects.next()) {
            (Some(Ok(object)), None) if object.tag == tags::COMMAND_TEMPLATE => object.value,
            _ => return Err(WRONG_DATA),
        };
        let wanted = Dol::parse(&application.pdol).map_err(|_| WRONG_DATA)?.build(|_| None).len();
        if list.len() != wanted {
            return Err(WRONG_LENGTH);
        }
        self.counter = self.counter.wrapping_add(1);
        self.started = true;
        self.options = list.to_vec();
        Ok(files::options(&application, &self.files))
    }

    fn get_data(&self, tag: Option<Tag>) -> Result<Vec<u8>, StatusWord> {
        self.application()?;
        let mut answer = Vec::new();
        match tag {
            Some(tags::ATC) => tlv::push(&mut answer, tags::ATC, &self.counter.to_be_bytes()),
            _ => return Err(StatusWord(0x6A88)),
        }
        Ok(answer)
    }

    fn generate(&mut self, kind: u8, data: &[u8]) -> Result<Vec<u8>, StatusWord> {
        let application = self.application()?.clone();
        if !self.started {
            return Err(StatusWord::CONDITIONS);
        }
        let first = self.asked.is_none();
        let list = Dol::parse(if first { &application.cdol1 } else { &application.cdol2 })
            .map_err(|_| WRONG_DATA)?;
        if list.build(|_| None).len() != data.len() {
            return Err(WRONG_LENGTH);
        }
        let session =
            emv::session_key(&application.key, emv::counter_diversifier(self.counter.to_be_bytes()));
        let given = if first {
            if kind == AAC || self.faults.refuses { AAC } else { ARQC }
        } else {
            self.second(kind, &application, data)
        };
        let results = results(given, first);
        let profile = application.profile();
        let signed = [data, &profile, &self.counter.to_be_bytes(), &results].concat();
        let cryptogram = emv::cryptogram(&session, &signed);
        self.cryptograms.push((given, cryptogram));
        if given == ARQC {
            self.asked = Some(Asked { cryptogram, session });
        } else {
            self.selected = None;
        }
        let issuer = [&[0x01, 0x10][..], &results, &[0, 0], &[0; 7], &[0xFF]].concat();
        Ok(files::cryptogram(&application, given, self.counter, cryptogram, &issuer))
    }

    /// An approval stands only if terminal and issuer want it and the issuer proved itself.
    fn second(&mut self, kind: u8, application: &ApplicationProfile, data: &[u8]) -> u8 {
        let proven = match application.authentication {
            Authentication::InSecondList => {
                let (answer, _rest) = data.split_at(10.min(data.len()));
                self.proves(answer)
            }
            Authentication::ByCommand => self.issuer_known,
            Authentication::None => true,
        };
        if kind == TC && proven && !self.faults.refuses_after_approval { TC } else { AAC }
    }

    fn proves(&self, data: &[u8]) -> bool {
        let (Some(asked), Some((answer, code))) = (&self.asked, data.split_first_chunk::<8>()) else {
            return false;
        };
        <[u8; 2]>::try_from(code)
            .is_ok_and(|code| emv::answer_1(&asked.session, asked.cryptogram, code) == *answer)
    }

    fn authenticate_issuer(&mut self, data: &[u8]) -> Result<Vec<u8>, StatusWord> {
        if self.asked.is_none() || self.issuer_known {
            return Err(StatusWord::CONDITIONS);
        }
        self.issuer_known = self.proves(data);
        if self.issuer_known { Ok(Vec::new()) } else { Err(NOT_AUTHENTICATED) }
    }

    /// A command of the issuer's script: head, data, and four bytes of code at the end (EMV Book 2, section 9.2).
    fn script(&mut self, head: [u8; 4], data: &[u8]) -> Result<Vec<u8>, StatusWord> {
        let application = self.application()?.clone();
        let asked = self.asked.as_ref().ok_or(StatusWord::CONDITIONS)?;
        let (body, code) = data.split_last_chunk::<4>().ok_or(WRONG_LENGTH)?;
        let length = u8::try_from(data.len()).map_err(|_| WRONG_LENGTH)?;
        let session = emv::session_key(&application.script_key, asked.cryptogram);
        let counter = self.counter.to_be_bytes();
        let signed = [&head[..], &[length], &counter, &asked.cryptogram, body].concat();
        if emv::script_code(&session, &signed)[..4] != *code {
            return Err(CODE_WRONG);
        }
        if head[1] == 0x1E
            && let Some(index) = self.selected
        {
            self.refused_apps[index] = true;
        }
        self.scripts_done += 1;
        Ok(Vec::new())
    }
}

/// Card verification results: which cryptogram was given now and before.
fn results(given: u8, first: bool) -> [u8; 6] {
    let kinds = match (given, first) {
        (ARQC, _) => 0xA0,
        (TC, _) => 0x60,
        (_, true) => 0x80,
        (_, false) => 0x20,
    };
    [kinds, 0x00, 0x03, 0x22, 0x00, 0x00]
}

fn bytes(data: &[u8], status: StatusWord) -> Vec<u8> {
    [data, &status.0.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests;
