//! Who may do what, and what becomes of a code. Pure: time and numbers come in, rows go through [`Books`].
//!
//! ```text
//!            notice              use (portal: validate with consume; service center: validate, then close)
//!   Issued ─────────▶ Paid ─────────────▶ Used
//!     │  │             │ │
//!     │  └─ void ─▶ Void │ refund ──▶ Refunded
//!     └── time ──▶ Expired ◀── time ──┘ (a paid code that expired can still be refunded)
//! ```
//! A fault changes nothing. A request that was done before under the same numbers is answered again with `Repeated`.

use super::words::*;
use crate::{
    catalogue::Catalogue,
    logic::registry::{Lookup, Registry},
};
use std::collections::{BTreeMap, BTreeSet};
use tolem_protocol::{Amount, Iin, KioskNumber, PaymentCode, UtcTime, catalogue::ServiceCode, utc::Date};

/// A service center closes within this time of its validation, in seconds.
pub const CLOSE_WITHIN_S: i64 = 3_600;
/// Entries on one page of a register: a page stays within the bounds of a message.
pub const PAGE: usize = 100;
/// Rows of statistics.
const MOST_ROWS: usize = 500;
/// Days that statistics and a register may span.
const MOST_DAYS: i64 = 366;

/// What a participant is to the gateway (paragraph 20 of the instruction: rights go by groups).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Group {
    /// Takes payments.
    Bank,
    /// Redeems codes for citizens who come by network.
    Portal,
    /// Redeems codes for citizens who come in person.
    ServiceCenter,
    /// Reads reports.
    Auditor,
}

impl Group {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Bank, Self::Portal, Self::ServiceCenter, Self::Auditor];

    /// Its word in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Bank => "bank",
            Self::Portal => "portal",
            Self::ServiceCenter => "service-center",
            Self::Auditor => "auditor",
        }
    }

    /// The operations that its members may call, and no others.
    pub fn operations(self) -> &'static [&'static str] {
        match self {
            Self::Bank => &["CreateUpc", "VoidUpc", "NotifyPayment", "CheckIin", "GetRegister"],
            Self::Portal => &["ValidateUpc"],
            Self::ServiceCenter => &["ValidateUpc", "CloseUpc"],
            Self::Auditor => &["GetRegister", "GetStatistics", "GetSummary"],
        }
    }
}

/// Somebody who may attach.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Participant {
    /// Common name of its certificates.
    pub name: Token,
    /// What it may do.
    pub group: Group,
    /// Kiosks of a bank: ranges, both ends included.
    pub kiosks: Vec<(u32, u32)>,
}

/// The keyed tag that stands for an IIN in the database.
pub type PersonTag = [u8; 32];

/// A code and all that is known of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CodeRow {
    /// The code.
    pub code: PaymentCode,
    /// The bank that asked for it.
    pub bank: Token,
    /// The bank's number of the payment.
    pub transaction: Token,
    /// Where it is paid.
    pub kiosk: KioskNumber,
    /// What is paid.
    pub service: ServiceCode,
    /// BIN of who provides it.
    pub provider: Token,
    /// Whose it is.
    pub person: PersonTag,
    /// The fee.
    pub amount: Amount,
    /// Where it stands.
    pub state: State,
    /// When it was made.
    pub issued_at: UtcTime,
    /// Redeem before this.
    pub valid_until: UtcTime,
    /// The notice of payment.
    pub notice: Option<Notice>,
    /// How it ended: state is neither issued nor paid.
    pub end: Option<End>,
}

/// What the notice of payment said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    /// When it arrived here.
    pub arrived_at: UtcTime,
    /// When it was paid.
    pub paid_at: UtcTime,
    /// How.
    pub method: Method,
    /// The bank's reference.
    pub bank_reference: Option<Token>,
    /// Number of the record.
    pub record: u64,
}

/// How a code ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct End {
    /// When.
    pub at: UtcTime,
    /// Who did it; `None` for time.
    pub by: Option<Token>,
    /// Under which number of request, if it was used.
    pub request: Option<Token>,
    /// Who compared the identity, if it was used in person.
    pub operator: Option<Line>,
}

/// Which moment of a code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// Made.
    Issued,
    /// Notice arrived.
    Paid,
    /// Ended.
    Ended,
}

/// The rows are gone or may be wrong; nothing can be answered any more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BooksError(pub String);

impl std::fmt::Display for BooksError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BooksError {}

/// Result of the books.
pub type BooksResult<T> = Result<T, BooksError>;

/// Where the rows are. Whoever calls the rules does so inside one transaction.
pub trait Books {
    /// The row of a code.
    fn code(&self, code: PaymentCode) -> BooksResult<Option<CodeRow>>;
    /// The row of a bank's transaction.
    fn code_of(&self, bank: &Token, transaction: &Token) -> BooksResult<Option<CodeRow>>;
    /// Writes a row.
    fn put_code(&mut self, row: &CodeRow) -> BooksResult<()>;
    /// Which code a participant asked about under a number of request, and when last.
    fn request(&self, who: &Token, request: &Token) -> BooksResult<Option<(PaymentCode, UtcTime)>>;
    /// Remembers that.
    fn put_request(
        &mut self,
        who: &Token,
        request: &Token,
        code: PaymentCode,
        at: UtcTime,
    ) -> BooksResult<()>;
    /// Rows with a moment in `from..to`, in order of that moment.
    fn between(&self, when: When, from: UtcTime, to: UtcTime) -> BooksResult<Vec<CodeRow>>;
    /// One page of an owner's rows whose notice arrived in `from..to`, in order of arrival, and number and sum of all of them.
    fn register(
        &self,
        owner: (Owner, &Token),
        period: (UtcTime, UtcTime),
        page: (u64, usize),
    ) -> BooksResult<(u64, Amount, Vec<CodeRow>)>;
    /// Open rows whose time is over, at most `most`.
    fn overdue(&self, now: UtcTime, most: usize) -> BooksResult<Vec<CodeRow>>;
}

/// Why a request was not done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Which kind.
    pub code: FaultCode,
    /// What exactly.
    pub reason: String,
    /// The wrong field.
    pub field: Option<String>,
    /// Where the code stands.
    pub state: Option<State>,
}

impl Fault {
    /// A fault with its reason.
    pub fn new(code: FaultCode, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into(), field: None, state: None }
    }

    fn field(code: FaultCode, field: &str, reason: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..Self::new(code, reason) }
    }

    fn state(state: State, reason: impl Into<String>) -> Self {
        Self { state: Some(state), ..Self::new(FaultCode::WrongState, reason) }
    }
}

/// Why there is no answer: a fault, which changes nothing, or broken books.
#[derive(Debug)]
pub enum Stop {
    /// It is answered.
    Fault(Fault),
    /// Nobody is answered any more.
    Books(BooksError),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<BooksError> for Stop {
    fn from(error: BooksError) -> Self {
        Self::Books(error)
    }
}

/// What a request brings along.
pub struct Moment<'a> {
    /// When it arrived.
    pub now: UtcTime,
    /// Number of the record that is being written of it.
    pub record: u64,
    /// Unpredictable numbers.
    pub fresh: &'a mut dyn FnMut() -> u64,
}

/// What the rules need to know.
pub struct Rules {
    /// Services and their providers.
    pub catalogue: Catalogue,
    /// Persons.
    pub registry: Box<dyn Registry + Send + Sync>,
    /// How long a code can be redeemed, in seconds.
    pub code_valid_s: i64,
    /// Makes the tag of an IIN.
    pub tag: Box<dyn Fn(&Iin) -> PersonTag + Send + Sync>,
}

impl Rules {
    /// Does what `who` asks for, or says why not; gives the answer's XML.
    ///
    /// # Errors
    /// A fault, after which the caller undoes what was written, or broken books.
    pub fn act(
        &self,
        books: &mut dyn Books,
        at: &mut Moment<'_>,
        who: &Participant,
        request: &Request,
    ) -> Result<String, Stop> {
        let operation = request.operation();
        if !who.group.operations().contains(&operation) {
            let reason = format!("group {} may not call {operation}", who.group.word());
            return Err(Fault::new(FaultCode::NotPermitted, reason).into());
        }
        Ok(match request {
            Request::CreateUpc(order) => self.create(books, at, who, order)?.to_xml(),
            Request::VoidUpc(order) => void(books, at, who, order)?.to_xml(),
            Request::NotifyPayment(notice) => self.notify(books, at, who, notice)?.to_xml(),
            Request::ValidateUpc(question) => self.validate(books, at, who, question)?.to_xml(),
            Request::CloseUpc(order) => self.close(books, at, who, order)?.to_xml(),
            Request::GetRegister(question) => register(books, who, question)?.to_xml(),
            Request::GetStatistics(question) => statistics(books, question)?.to_xml(),
            Request::GetSummary(question) => summary(books, question)?.to_xml(),
            Request::CheckIin(question) => self.check_iin(question)?.to_xml(),
        })
    }

    fn create(
        &self,
        books: &mut dyn Books,
        at: &mut Moment<'_>,
        who: &Participant,
        order: &CreateUpc,
    ) -> Result<CreateUpcResponse, Stop> {
        let provider = self.provider(&order.service)?;
        if !who.kiosks.iter().any(|(from, to)| (*from..=*to).contains(&order.kiosk.get())) {
            let reason = format!("kiosk {} is not registered for {}", order.kiosk, who.name);
            return Err(Fault::field(FaultCode::UnknownKiosk, "Kiosk", reason).into());
        }
        let person = (self.tag)(&order.payer);
        let answer = |row: &CodeRow, repeated| CreateUpcResponse {
            in_reply_to: order.message_id.clone(),
            code: row.code,
            state: row.state,
            valid_until: row.valid_until,
            repeated,
        };
        if let Some(row) = books.code_of(&who.name, &order.transaction)? {
            let same = (row.kiosk, &row.service, row.person, row.amount)
                == (order.kiosk, &order.service, person, order.amount.amount());
            return if same {
                Ok(answer(&row, true))
            } else {
                Err(other_content("TransactionNumber").into())
            };
        }
        let row = CodeRow {
            code: free_code(books, at)?,
            bank: who.name.clone(),
            transaction: order.transaction.clone(),
            kiosk: order.kiosk,
            service: order.service.clone(),
            provider,
            person,
            amount: order.amount.amount(),
            state: State::Issued,
            issued_at: at.now,
            valid_until: at.now.plus_seconds(self.code_valid_s),
            notice: None,
            end: None,
        };
        books.put_code(&row)?;
        Ok(answer(&row, false))
    }

    fn provider(&self, service: &ServiceCode) -> Result<Token, Fault> {
        let found = self.catalogue.find(service).and_then(|entry| Token::new(&entry.payee_bin.to_string()));
        found.ok_or_else(|| {
            Fault::field(FaultCode::UnknownService, "ServiceCode", format!("no service is called {service}"))
        })
    }

    fn notify(
        &self,
        books: &mut dyn Books,
        at: &mut Moment<'_>,
        who: &Participant,
        order: &NotifyPayment,
    ) -> Result<NotifyPaymentResponse, Stop> {
        let mut row = own_code(books, at.now, who, order.code, &order.transaction)?;
        let same = (row.kiosk, &row.service, row.person, row.amount)
            == (order.kiosk, &order.service, (self.tag)(&order.payer), order.amount.amount());
        if !same {
            return Err(other_content("Code").into());
        }
        let repeated = match &row.notice {
            Some(notice) => {
                // A bank that was restored from a backup no longer knows the moment; the first notice stands.
                let same = (notice.method, &notice.bank_reference) == (order.method, &order.bank_reference);
                if !same {
                    return Err(other_content("Code").into());
                }
                true
            }
            None if row.state == State::Issued => {
                row.state = State::Paid;
                row.notice = Some(Notice {
                    arrived_at: at.now,
                    paid_at: order.paid_at,
                    method: order.method,
                    bank_reference: order.bank_reference.clone(),
                    record: at.record,
                });
                books.put_code(&row)?;
                false
            }
            None => return Err(Fault::state(row.state, "only an issued code can be paid").into()),
        };
        let notice = row.notice.as_ref();
        Ok(NotifyPaymentResponse {
            in_reply_to: order.message_id.clone(),
            code: row.code,
            state: row.state,
            record: notice.map_or(at.record, |notice| notice.record),
            arrived_at: notice.map_or(at.now, |notice| notice.arrived_at),
            repeated,
        })
    }

    fn validate(
        &self,
        books: &mut dyn Books,
        at: &mut Moment<'_>,
        who: &Participant,
        order: &ValidateUpc,
    ) -> Result<ValidateUpcResponse, Stop> {
        if order.consume && who.group != Group::Portal {
            let reason = "a service center closes a code with CloseUpc, after the identity was compared";
            return Err(Fault::field(FaultCode::NotPermitted, "Consume", reason).into());
        }
        let mut row = self.bearers_code(books, at.now, (order.code, &order.recipient, &order.service))?;
        claim_request(books, at.now, who, &order.request, order.code)?;
        let repeated = used_so(&row, who, &order.request, None);
        if !repeated {
            must_be_paid(&row)?;
        }
        if order.consume && !repeated {
            use_up(books, at.now, &mut row, who, &order.request, None)?;
        }
        let in_person = who.group == Group::ServiceCenter;
        Ok(ValidateUpcResponse {
            in_reply_to: order.message_id.clone(),
            code: row.code,
            state: row.state,
            request: order.request.clone(),
            service: row.service.clone(),
            amount: row.amount,
            valid_until: row.valid_until,
            recipient_name: if in_person { self.name_of(&order.recipient)? } else { None },
            repeated,
        })
    }

    fn close(
        &self,
        books: &mut dyn Books,
        at: &mut Moment<'_>,
        who: &Participant,
        order: &CloseUpc,
    ) -> Result<CloseUpcResponse, Stop> {
        let mut row = self.bearers_code(books, at.now, (order.code, &order.recipient, &order.service))?;
        let repeated = used_so(&row, who, &order.request, Some(&order.operator));
        if !repeated {
            must_be_paid(&row)?;
            let since = at.now.plus_seconds(-CLOSE_WITHIN_S);
            let validated = books.request(&who.name, &order.request)?;
            if !validated.is_some_and(|(code, when)| code == order.code && when >= since) {
                let reason = "this code was not validated under this request number within the last hour";
                return Err(Fault::field(FaultCode::NotValidated, "RequestNumber", reason).into());
            }
            use_up(books, at.now, &mut row, who, &order.request, Some(&order.operator))?;
        }
        Ok(CloseUpcResponse {
            in_reply_to: order.message_id.clone(),
            code: row.code,
            state: row.state,
            request: order.request.clone(),
            closed_at: row.end.as_ref().map_or(at.now, |end| end.at),
            repeated,
        })
    }

    /// The code, if it belongs to this person and service. Whoever guesses learns nothing: it is "unknown" otherwise.
    fn bearers_code(
        &self,
        books: &mut dyn Books,
        now: UtcTime,
        (code, recipient, service): (PaymentCode, &Iin, &ServiceCode),
    ) -> Result<CodeRow, Stop> {
        let row = books.code(code)?;
        let row = row.filter(|row| row.person == (self.tag)(recipient) && row.service == *service);
        let reason = "no such code of this person for this service";
        let row = row.ok_or_else(|| Fault::field(FaultCode::UnknownCode, "Code", reason))?;
        Ok(expired_by_now(row, now))
    }

    fn name_of(&self, iin: &Iin) -> Result<Option<Line>, Fault> {
        match self.registry.lookup(iin) {
            Lookup::Right { name } => Ok(Line::new(&name)),
            Lookup::Wrong => Ok(None),
            Lookup::Unavailable => Err(registry_down()),
        }
    }

    fn check_iin(&self, order: &CheckIin) -> Result<CheckIinResponse, Fault> {
        let (known, name) = match self.registry.lookup(&order.iin) {
            Lookup::Right { name } => (true, Line::new(&name)),
            Lookup::Wrong => (false, None),
            Lookup::Unavailable => return Err(registry_down()),
        };
        Ok(CheckIinResponse { in_reply_to: order.message_id.clone(), known, name })
    }

    /// Ends codes whose time is over; gives how many.
    ///
    /// # Errors
    /// If the books are broken.
    pub fn expire(&self, books: &mut dyn Books, now: UtcTime) -> BooksResult<usize> {
        let rows = books.overdue(now, 1_000)?;
        for row in &rows {
            books.put_code(&expired_by_now(row.clone(), now))?;
        }
        Ok(rows.len())
    }
}

fn registry_down() -> Fault {
    Fault::new(FaultCode::Unavailable, "the registry of persons does not answer")
}

fn other_content(field: &str) -> Fault {
    Fault::field(FaultCode::Conflict, field, "the same number stands for something else already")
}

fn free_code(books: &dyn Books, at: &mut Moment<'_>) -> Result<PaymentCode, Stop> {
    for _ in 0..64 {
        let code = PaymentCode::from_random((at.fresh)());
        if books.code(code)?.is_none() {
            return Ok(code);
        }
    }
    Err(BooksError("no free payment code in 64 tries: the random source is broken".into()).into())
}

/// A bank's own code; of others it learns nothing.
fn own_code(
    books: &dyn Books,
    now: UtcTime,
    who: &Participant,
    code: PaymentCode,
    transaction: &Token,
) -> Result<CodeRow, Stop> {
    let row = books.code(code)?.filter(|row| row.bank == who.name && row.transaction == *transaction);
    let reason = "this bank has no such code for this transaction";
    let row = row.ok_or_else(|| Fault::field(FaultCode::UnknownCode, "Code", reason))?;
    Ok(expired_by_now(row, now))
}

fn expired_by_now(mut row: CodeRow, now: UtcTime) -> CodeRow {
    if matches!(row.state, State::Issued | State::Paid) && now > row.valid_until {
        row.state = State::Expired;
        row.end = Some(End { at: row.valid_until, by: None, request: None, operator: None });
    }
    row
}

fn must_be_paid(row: &CodeRow) -> Result<(), Fault> {
    let reason = match row.state {
        State::Paid => return Ok(()),
        State::Issued => "the payment is not confirmed yet; try later",
        State::Used => "the code was used before",
        State::Void => "the payment came to nothing",
        State::Expired => "the code was not redeemed in time",
        State::Refunded => "the money went back",
    };
    Err(Fault::state(row.state, reason))
}

/// Whether the code was used by this participant under this very number: then it only lost our answer.
fn used_so(row: &CodeRow, who: &Participant, request: &Token, operator: Option<&Line>) -> bool {
    row.state == State::Used
        && row.end.as_ref().is_some_and(|end| {
            end.by.as_ref() == Some(&who.name)
                && end.request.as_ref() == Some(request)
                && (operator.is_none() || end.operator.as_ref() == operator)
        })
}

fn use_up(
    books: &mut dyn Books,
    now: UtcTime,
    row: &mut CodeRow,
    who: &Participant,
    request: &Token,
    operator: Option<&Line>,
) -> Result<(), Stop> {
    row.state = State::Used;
    row.end = Some(End {
        at: now,
        by: Some(who.name.clone()),
        request: Some(request.clone()),
        operator: operator.cloned(),
    });
    Ok(books.put_code(row)?)
}

/// A number of request stands for one code.
fn claim_request(
    books: &mut dyn Books,
    now: UtcTime,
    who: &Participant,
    request: &Token,
    code: PaymentCode,
) -> Result<(), Stop> {
    if books.request(&who.name, request)?.is_some_and(|(other, _)| other != code) {
        return Err(other_content("RequestNumber").into());
    }
    Ok(books.put_request(&who.name, request, code, now)?)
}

fn void(
    books: &mut dyn Books,
    at: &mut Moment<'_>,
    who: &Participant,
    order: &VoidUpc,
) -> Result<VoidUpcResponse, Stop> {
    let mut row = own_code(books, at.now, who, order.code, &order.transaction)?;
    let refund = order.reason == VoidReason::Refund;
    let wanted = if refund { State::Refunded } else { State::Void };
    let was_paid = row.notice.is_some();
    let possible = match row.state {
        State::Issued => !refund,
        State::Paid => refund,
        // Only the time to redeem it is over; the money is still the payer's.
        State::Expired => refund && was_paid,
        State::Used | State::Void | State::Refunded => false,
    };
    let repeated = row.state == wanted;
    if !possible && !repeated {
        let reason = if refund {
            "only a paid, unused code is refunded"
        } else {
            "only a code that is not paid can be voided"
        };
        return Err(Fault::state(row.state, reason).into());
    }
    if possible {
        row.state = wanted;
        row.end = Some(End { at: at.now, by: Some(who.name.clone()), request: None, operator: None });
        books.put_code(&row)?;
    }
    Ok(VoidUpcResponse { in_reply_to: order.message_id.clone(), code: row.code, state: row.state, repeated })
}

fn day_after(day: Date) -> Date {
    day.starts_at().plus_seconds(86_400).date()
}

fn few_days(from: Date, to: Date, last: &str, first: &str) -> Result<(), Fault> {
    let days = (to.starts_at().seconds() - from.starts_at().seconds()) / 86_400;
    if (0..MOST_DAYS).contains(&days) {
        return Ok(());
    }
    let reason = format!("must not be before {first}, nor {MOST_DAYS} days or more after it");
    Err(Fault::field(FaultCode::InvalidField, last, reason))
}

fn register(books: &dyn Books, who: &Participant, order: &GetRegister) -> Result<GetRegisterResponse, Stop> {
    if who.group == Group::Bank && (order.owner != Owner::Bank || order.name != who.name) {
        let reason = "a bank reads its own register only";
        return Err(Fault::field(FaultCode::NotPermitted, "Name", reason).into());
    }
    let last = order.last_day.unwrap_or(order.day);
    few_days(order.day, last, "LastDay", "Day")?;
    let period = (order.day.starts_at(), day_after(last).starts_at());
    let (count, total, page) = books.register((order.owner, &order.name), period, (order.skip, PAGE))?;
    let entries = page.iter().filter_map(|row| {
        let notice = row.notice.as_ref()?;
        Some(Entry {
            code: row.code,
            bank: row.bank.clone(),
            transaction: row.transaction.clone(),
            kiosk: row.kiosk,
            service: row.service.clone(),
            amount: row.amount,
            method: notice.method,
            arrived_at: notice.arrived_at,
            state: row.state,
        })
    });
    Ok(GetRegisterResponse {
        in_reply_to: order.message_id.clone(),
        count,
        total,
        more: order.skip.saturating_add(page.len() as u64) < count,
        entries: entries.collect(),
    })
}

fn statistics(books: &dyn Books, order: &GetStatistics) -> Result<GetStatisticsResponse, Stop> {
    few_days(order.from, order.to, "To", "From")?;
    let mut rows: BTreeMap<String, (u64, Amount)> = BTreeMap::new();
    for row in books.between(When::Paid, order.from.starts_at(), day_after(order.to).starts_at())? {
        let Some(notice) = &row.notice else { continue };
        let key = match order.by {
            By::Service => row.service.to_string(),
            By::Provider => row.provider.to_string(),
            By::Bank => row.bank.to_string(),
            By::Kiosk => row.kiosk.to_string(),
            By::Method => notice.method.to_string(),
            By::Day => format!("{:?}", notice.arrived_at.date()),
            By::Hour => {
                let since = notice.arrived_at.seconds() - notice.arrived_at.date().starts_at().seconds();
                format!("{:02}", since / 3_600)
            }
        };
        let (count, total) = rows.entry(key).or_default();
        *count += 1;
        *total = *total + row.amount;
    }
    if rows.len() > MOST_ROWS {
        let reason = format!("{} rows; ask for fewer days (at most {MOST_ROWS} rows fit)", rows.len());
        return Err(Fault::field(FaultCode::InvalidField, "To", reason).into());
    }
    let row = |(key, (count, total)): (String, _)| Some(Row { key: Token::new(&key)?, count, total });
    Ok(GetStatisticsResponse {
        in_reply_to: order.message_id.clone(),
        rows: rows.into_iter().filter_map(row).collect(),
    })
}

fn summary(books: &dyn Books, order: &GetSummary) -> Result<GetSummaryResponse, Stop> {
    let (from, to) = period(order.period, order.day);
    let (start, end) = (from.starts_at(), day_after(to).starts_at());
    let paid = books.between(When::Paid, start, end)?;
    let ended = books.between(When::Ended, start, end)?;
    let in_state = |state: State| ended.iter().filter(move |row| row.state == state);
    let count = |state| in_state(state).count() as u64;
    let sum = |state| in_state(state).map(|row| row.amount).sum::<Amount>();
    let banks: BTreeSet<&Token> = paid.iter().chain(in_state(State::Refunded)).map(|row| &row.bank).collect();
    let claims = banks.into_iter().map(|bank| Claim {
        bank: bank.clone(),
        notified: paid.iter().filter(|row| row.bank == *bank).count() as u64,
        notified_total: paid.iter().filter(|row| row.bank == *bank).map(|row| row.amount).sum(),
        refunded_total: in_state(State::Refunded).filter(|row| row.bank == *bank).map(|row| row.amount).sum(),
    });
    Ok(GetSummaryResponse {
        in_reply_to: order.message_id.clone(),
        from,
        to,
        issued: books.between(When::Issued, start, end)?.len() as u64,
        paid: paid.len() as u64,
        paid_total: paid.iter().map(|row| row.amount).sum(),
        used: count(State::Used),
        used_total: sum(State::Used),
        void: count(State::Void),
        expired: count(State::Expired),
        refunded: count(State::Refunded),
        refunded_total: sum(State::Refunded),
        claims: claims.collect(),
    })
}

/// First and last day of the period that `day` is in.
fn period(period: Period, day: Date) -> (Date, Date) {
    // Noon, so that no rounding leaves the day.
    let noon = day.starts_at().plus_seconds(43_200);
    match period {
        Period::Day => (day, day),
        Period::Week => {
            // 1 January 1970 was a Thursday; the zone is five hours ahead.
            let days = (day.starts_at().seconds() + 5 * 3_600).div_euclid(86_400);
            let since_monday = (days + 3).rem_euclid(7);
            let monday = noon.plus_seconds(-since_monday * 86_400).date();
            (monday, monday.starts_at().plus_seconds(6 * 86_400).date())
        }
        Period::Month => {
            let (year, month, _) = day.calendar();
            let first = Date::from_calendar(year, month, 1).unwrap_or(day);
            let last = (28..=31).rev().find_map(|last| Date::from_calendar(year, month, last));
            (first, last.unwrap_or(day))
        }
    }
}
