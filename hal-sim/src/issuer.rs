//! A card issuer for tests: accounts, rules, a security module, and a ledger of its own that others are compared with.
//!
//! It speaks ISO 8583:1987 (`tolem_protocol::iso8583`), knows the keys of the test cards and checks what a real issuer checks: the
//! cryptogram, its counter, the PIN with its tries, expiry, limits, the balance. Every message may come again and does the same thing once.
//! A reversal wins over whatever comes after it, even over the request that it undoes, if that comes later.
//!
//! ```text
//!  0100 ──▶ declined
//!   └────▶ held ──0220──▶ taken
//!            └──0420, 0421──▶ reversed ◀──0420──┘
//! ```

pub mod host;
pub mod served;
#[cfg(test)]
mod tests;
mod vault;

pub use vault::Vault;

use crate::{chip_card::IssuerKeys, pin_pad_device::PinPadKeys};
use data_encoding::HEXUPPER;
use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
};
use tolem_card_keys::{TdesKey, emv, pin_block::Pin};
use tolem_protocol::{
    Amount,
    card::SealedNumber,
    emv::{CardNumber, tags, tlv},
    iso8583::{Message, MessageType, Original, de},
};

/// What the issuer says, field 39.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Code(pub [u8; 2]);

impl Code {
    /// Approved.
    pub const APPROVED: Self = Self(*b"00");
    /// Approved, if the holder shows who he is.
    pub const WITH_IDENTIFICATION: Self = Self(*b"08");
    /// Approved for a part of the sum, here for half of it.
    pub const PARTIAL: Self = Self(*b"10");
    /// Approved for a very important person.
    pub const IMPORTANT: Self = Self(*b"11");
    /// Approved; track 3 is to be written.
    pub const UPDATE_TRACK: Self = Self(*b"16");
    /// Refused without a reason.
    pub const REFUSED: Self = Self(*b"05");
    /// No such card.
    pub const NO_CARD: Self = Self(*b"14");
    /// Nothing was done: the request was undone before it came.
    pub const NO_ACTION: Self = Self(*b"21");
    /// The message that is meant is not known.
    pub const NOT_FOUND: Self = Self(*b"25");
    /// The message cannot be read.
    pub const FORMAT: Self = Self(*b"30");
    /// Not enough money.
    pub const FUNDS: Self = Self(*b"51");
    /// The card has expired.
    pub const EXPIRED: Self = Self(*b"54");
    /// The PIN is wrong.
    pub const WRONG_PIN: Self = Self(*b"55");
    /// More than the card may pay at once.
    pub const LIMIT: Self = Self(*b"61");
    /// The card is blocked.
    pub const BLOCKED: Self = Self(*b"62");
    /// The PIN was wrong too often.
    pub const PIN_TRIES: Self = Self(*b"75");
    /// The cryptogram is wrong, or was used before.
    pub const CRYPTOGRAM: Self = Self(*b"82");
    /// The same trace number for something else.
    pub const DUPLICATE: Self = Self(*b"94");

    /// Money is held under it.
    pub const fn holds(self) -> bool {
        matches!(&self.0, b"00" | b"08" | b"10" | b"11" | b"16")
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|digit| write!(f, "{}", char::from(*digit)))
    }
}

/// One card's account.
#[derive(Clone, Debug)]
pub struct Account {
    /// What can be spent.
    pub available: Amount,
    /// The most for one payment.
    pub limit: Amount,
    /// Its PIN.
    pub pin: Pin,
    /// Wrong PINs that are still allowed.
    pub tries: u8,
    /// No payment at all.
    pub blocked: bool,
    /// Highest counter of the card seen, so that no cryptogram is used twice.
    counter: u16,
}

/// The test key between acquirer and issuer.
pub const ZONE: [u8; 16] = [0x5B; 16];
/// Wrong PINs in a row that an account allows.
pub const MOST_TRIES: u8 = 3;

impl Account {
    /// An account with this money and PIN.
    pub fn new(available: Amount, pin: Pin) -> Self {
        let limit = Amount::from_tenge(500_000);
        Self { available, limit, pin, tries: MOST_TRIES, blocked: false, counter: 0 }
    }
}

/// How a payment stands in the ledger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Refused.
    Declined(Code),
    /// The money is held for the acquirer.
    Held,
    /// The money is the acquirer's.
    Taken,
    /// Undone.
    Reversed,
}

/// One payment.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its sum; zero if it was undone before it came.
    pub amount: Amount,
    /// How it stands.
    pub standing: Standing,
    account: Vec<u8>,
    /// The request as it came, and what was answered.
    request: Option<(Message, Message)>,
}

/// What becomes of the next messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mood {
    /// It never came.
    LosesRequest,
    /// It was carried out, and the answer never came.
    LosesAnswer,
    /// It was carried out, and the answer comes behind the next one.
    AnswersLate,
    /// The next request is declined with this code, whatever the account says.
    Declines(Code),
    /// The next request, if it is a good one, is approved in this way.
    Approves(Code),
}

/// Who names a payment: the terminal, and its message.
pub type Name = ([u8; 8], Original);

/// The issuer.
pub struct TestIssuer {
    keys: IssuerKeys,
    vault: Vault,
    accounts: BTreeMap<Vec<u8>, Account>,
    ledger: BTreeMap<Name, Entry>,
    /// What becomes of the next messages, in this order.
    pub moods: VecDeque<Mood>,
    /// Answers that come late.
    late: VecDeque<Vec<u8>>,
    approvals: u32,
    verdict: Option<Code>,
    /// Year and month, two digits each, against which expiry is judged.
    pub today: [u8; 4],
}

impl TestIssuer {
    /// An issuer without accounts.
    pub fn new(keys: IssuerKeys, vault: Vault) -> Self {
        Self {
            keys,
            vault,
            accounts: BTreeMap::new(),
            ledger: BTreeMap::new(),
            moods: VecDeque::new(),
            late: VecDeque::new(),
            approvals: 0,
            verdict: None,
            today: *b"2611",
        }
    }

    /// Opens an account for a card.
    pub fn open(&mut self, number: &CardNumber, account: Account) {
        self.accounts.insert(number.digits().to_vec(), account);
    }

    /// A card's account.
    pub fn account(&mut self, number: &CardNumber) -> Option<&mut Account> {
        self.accounts.get_mut(number.digits())
    }

    /// The ledger, in the order of its names.
    pub fn ledger(&self) -> impl Iterator<Item = (&Name, &Entry)> {
        self.ledger.iter()
    }

    /// What the acquirer has got, and what is held for it.
    pub fn taken_and_held(&self) -> (Amount, Amount) {
        let sum = |standing| {
            let each = self.ledger.values().filter(|entry| entry.standing == standing);
            Amount::from_tiyn(each.map(|entry| entry.amount.tiyn()).sum())
        };
        (sum(Standing::Taken), sum(Standing::Held))
    }

    /// Takes a message; the answer, unless this message or its answer is lost.
    pub fn hear(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let request = self.with_number(Message::decode(bytes).ok()?);
        let of_requests = matches!(self.moods.front(), Some(Mood::Declines(_) | Mood::Approves(_)));
        let mood = if of_requests && request.kind != MessageType::AUTHORIZATION {
            None
        } else {
            self.moods.pop_front()
        };
        if mood == Some(Mood::LosesRequest) {
            return None;
        }
        self.verdict = match mood {
            Some(Mood::Declines(code) | Mood::Approves(code)) => Some(code),
            _ => None,
        };
        let answer = self.answer(&request)?.encode().to_vec();
        match mood {
            Some(Mood::LosesAnswer) => None,
            Some(Mood::AnswersLate) => {
                self.late.push_back(answer);
                None
            }
            _ => Some(answer),
        }
    }

    /// A number that came enciphered is opened in the security module; where that fails, the message is one without a number.
    fn with_number(&self, mut request: Message) -> Message {
        let Some(sealed) = request.get(de::SEALED_NUMBER) else { return request };
        let sealed = HEXUPPER.decode(sealed).ok().and_then(|bytes| SealedNumber::from_bytes(&bytes));
        let ascii = |digits: &[u8]| digits.iter().map(|digit| digit + b'0').collect::<Vec<u8>>();
        let opened = sealed.and_then(|sealed| self.vault.open(&sealed)).filter(|opened| {
            // Confirmations and reversals name no expiry.
            request.get(de::EXPIRY).is_none_or(|expiry| expiry == ascii(&opened.expiry))
        });
        request.remove(de::SEALED_NUMBER);
        if let Some(opened) = opened {
            request = request.with(de::NUMBER, &ascii(opened.number.digits()));
        }
        request
    }

    /// The answers that come late, once.
    pub fn late_answers(&mut self) -> Vec<Vec<u8>> {
        self.late.drain(..).collect()
    }

    /// An issuer with the accounts of the public test cards: one that can pay, one without money, one that is blocked. Their PIN is 2580.
    pub fn common() -> Self {
        let zone = TdesKey::new(&ZONE).expect("invariant: 16 bytes");
        let mut issuer = Self::new(IssuerKeys::test(), Vault::new(PinPadKeys::test().base, zone));
        let pin = || Pin::parse("2580").expect("invariant: four digits");
        let number = |text| CardNumber::parse(text).expect("invariant: a public test number");
        let rich = Account::new(Amount::from_tenge(1_000_000), pin());
        issuer.open(&number(concat!("5413", "3300", "8902", "0011")), rich.clone());
        issuer.open(
            &number(concat!("4761", "7390", "0101", "0119")),
            Account { available: Amount::from_tenge(100), ..rich.clone() },
        );
        issuer.open(&number(concat!("4012", "3456", "7890", "9")), Account { blocked: true, ..rich });
        issuer
    }

    fn answer(&mut self, request: &Message) -> Option<Message> {
        let mut answer = Message::new(request.kind.answer()?);
        for field in [
            de::PROCESSING,
            de::AMOUNT,
            de::SENT,
            de::TRACE,
            de::ACQUIRER,
            de::REFERENCE,
            de::TERMINAL,
            de::MERCHANT,
            de::CURRENCY,
            de::NETWORK,
        ] {
            if let Some(value) = request.get(field) {
                answer.set(field, value).ok()?;
            }
        }
        match request.kind {
            MessageType::AUTHORIZATION => return Some(self.authorize(request, answer)),
            MessageType::ADVICE => {
                let code = self.original(request).map_or(Code::FORMAT, |name| self.take(name));
                answer.set(de::RESPONSE, &code.0).ok()?;
            }
            MessageType::REVERSAL | MessageType::REVERSAL_REPEAT => {
                let code = self.original(request).map_or(Code::FORMAT, |name| self.reverse(name));
                answer.set(de::RESPONSE, &code.0).ok()?;
            }
            MessageType::NETWORK => answer.set(de::RESPONSE, &Code::APPROVED.0).ok()?,
            _ => return None,
        }
        Some(answer)
    }

    fn original(&self, request: &Message) -> Option<Name> {
        let terminal = request.get(de::TERMINAL)?.try_into().ok()?;
        Some((terminal, Original::parse(request.get(de::ORIGINAL)?)?))
    }

    fn authorize(&mut self, request: &Message, mut answer: Message) -> Message {
        let terminal = request.get(de::TERMINAL).and_then(|terminal| terminal.try_into().ok());
        let (Some(terminal), Some(original)) = (terminal, Original::of(request)) else {
            return answer.with(de::RESPONSE, &Code::FORMAT.0);
        };
        let name = (terminal, original);
        match self.ledger.get(&name).map(|entry| &entry.request) {
            // Again: the same answer. Another request under its name: nothing.
            Some(Some((before, said))) if before == request => return said.clone(),
            Some(Some(_)) => return answer.with(de::RESPONSE, &Code::DUPLICATE.0),
            Some(None) => return answer.with(de::RESPONSE, &Code::NO_ACTION.0),
            None => {}
        }
        let amount = request.amount().unwrap_or(Amount::from_tiyn(0));
        let account = request
            .get(de::NUMBER)
            .map(|number| number.iter().map(|digit| digit - b'0').collect::<Vec<u8>>())
            .unwrap_or_default();
        let judged = self.judge(request, amount, &account).err().unwrap_or(Code::APPROVED);
        // Nobody approves what the rules refuse.
        let verdict = self.verdict.take().filter(|code| judged == Code::APPROVED || !code.holds());
        let code = verdict.unwrap_or(judged);
        let held = if code == Code::PARTIAL { Amount::from_tiyn(amount.tiyn() / 2) } else { amount };
        let standing = if code.holds() {
            if let Some(account) = self.accounts.get_mut(&account) {
                account.available = account.available.saturating_sub(held);
            }
            self.approvals += 1;
            answer.set_amount(held).expect("invariant: not more than was asked for");
            answer = answer.with(de::APPROVAL, format!("{:06}", self.approvals % 1_000_000).as_bytes());
            Standing::Held
        } else {
            Standing::Declined(code)
        };
        if let Some(proof) = self.proof(request, code) {
            let mut chip = Vec::new();
            tlv::push(&mut chip, tags::ISSUER_AUTHENTICATION, &proof);
            answer = answer.with(de::CHIP, &chip);
        }
        let answer = answer.with(de::RESPONSE, &code.0);
        let request = Some((request.clone(), answer.clone()));
        self.ledger.insert(name, Entry { amount: held, standing, account, request });
        answer
    }

    /// Every rule, in the order in which they are told.
    fn judge(&mut self, request: &Message, amount: Amount, number: &[u8]) -> Result<(), Code> {
        let card = number_of(request).ok_or(Code::FORMAT)?;
        if request.get(de::AMOUNT).is_none() || amount.is_zero() {
            return Err(Code::FORMAT);
        }
        let account = self.accounts.get_mut(number).ok_or(Code::NO_CARD)?;
        if account.blocked {
            return Err(Code::BLOCKED);
        }
        let expiry = request.get(de::EXPIRY).ok_or(Code::FORMAT)?;
        if *expiry < self.today[..] {
            return Err(Code::EXPIRED);
        }
        let (session, counter) = session(&self.keys, request).ok_or(Code::FORMAT)?;
        let fits = signed(request).is_some_and(|data| {
            Some(emv::cryptogram(&session, &data).to_vec()) == chip(request, tags::CRYPTOGRAM)
        });
        let of_this = chip(request, tags::AMOUNT_AUTHORISED) == Some(packed(amount));
        if !fits || !of_this || counter <= account.counter {
            return Err(Code::CRYPTOGRAM);
        }
        account.counter = counter;
        if account.tries == 0 {
            return Err(Code::PIN_TRIES);
        }
        let block = request.get(de::PIN_BLOCK).and_then(|block| block.try_into().ok());
        let block = block.ok_or(Code::REFUSED)?;
        // Translated from the pad's key to the issuer's in the security module, the acquirer's or ours; only there it is ever open.
        let translated = match request.get(de::PIN_KEY) {
            Some(serial) => self.vault.translate(block, serial, &card),
            None => Some(block),
        };
        if !translated.is_some_and(|block| self.vault.is_pin(block, &card, &account.pin)) {
            account.tries -= 1;
            return Err(if account.tries == 0 { Code::PIN_TRIES } else { Code::WRONG_PIN });
        }
        account.tries = MOST_TRIES;
        match () {
            () if amount > account.limit => Err(Code::LIMIT),
            () if amount > account.available => Err(Code::FUNDS),
            () => Ok(()),
        }
    }

    /// The issuer's answer to the card's cryptogram, for the card to check (method 1).
    fn proof(&self, request: &Message, code: Code) -> Option<Vec<u8>> {
        let (session, _) = session(&self.keys, request)?;
        let cryptogram = chip(request, tags::CRYPTOGRAM)?.try_into().ok()?;
        Some([&emv::answer_1(&session, cryptogram, code.0)[..], &code.0].concat())
    }

    fn take(&mut self, name: Name) -> Code {
        match self.ledger.get_mut(&name) {
            Some(entry) if matches!(entry.standing, Standing::Held | Standing::Taken) => {
                entry.standing = Standing::Taken;
                Code::APPROVED
            }
            _ => Code::NOT_FOUND,
        }
    }

    fn reverse(&mut self, name: Name) -> Code {
        let unseen = Entry {
            amount: Amount::from_tiyn(0),
            standing: Standing::Reversed,
            account: Vec::new(),
            request: None,
        };
        let entry = self.ledger.entry(name).or_insert(unseen);
        if matches!(entry.standing, Standing::Held | Standing::Taken) {
            entry.standing = Standing::Reversed;
            if let Some(account) = self.accounts.get_mut(&entry.account) {
                let back = account.available.checked_add(entry.amount);
                account.available = back.expect("invariant: it was there before");
            }
        }
        Code::APPROVED
    }
}

fn number_of(request: &Message) -> Option<CardNumber> {
    CardNumber::parse(std::str::from_utf8(request.get(de::NUMBER)?).ok()?)
}

fn chip(request: &Message, tag: tolem_protocol::emv::Tag) -> Option<Vec<u8>> {
    tlv::find(request.get(de::CHIP)?, tag).ok()?.map(<[u8]>::to_vec)
}

/// Twelve digits packed, as a card signs a sum.
fn packed(amount: Amount) -> Vec<u8> {
    let digits = format!("{:012}", amount.tiyn()).into_bytes();
    digits.as_chunks::<2>().0.iter().map(|[high, low]| (high - b'0') << 4 | (low - b'0')).collect()
}

/// The session key of the card's cryptogram, and the counter in it.
fn session(keys: &IssuerKeys, request: &Message) -> Option<(tolem_card_keys::TdesKey, u16)> {
    let sequence = match request.get(de::SEQUENCE) {
        Some(digits) => std::str::from_utf8(digits).ok()?.parse().ok()?,
        None => 0,
    };
    let card = emv::card_key(&keys.cryptograms, &number_of(request)?, sequence);
    let counter: [u8; 2] = chip(request, tags::ATC)?.try_into().ok()?;
    let key = emv::session_key(&card, emv::counter_diversifier(counter));
    Some((key, u16::from_be_bytes(counter)))
}

/// What a test card signs: its list of data, then what it says of itself.
fn signed(request: &Message) -> Option<Vec<u8>> {
    let order = [
        tags::AMOUNT_AUTHORISED,
        tags::AMOUNT_OTHER,
        tags::TERMINAL_COUNTRY,
        tags::TVR,
        tags::CURRENCY_CODE,
        tags::TRANSACTION_DATE,
        tags::TRANSACTION_TYPE,
        tags::UNPREDICTABLE,
        tags::AIP,
        tags::ATC,
    ];
    let mut data = Vec::new();
    for tag in order {
        data.extend(chip(request, tag)?);
    }
    data.extend(chip(request, tags::ISSUER_APPLICATION_DATA)?.get(2..8)?);
    Some(data)
}
