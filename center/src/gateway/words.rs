//! The messages of the gateway, field by field as `wsdl/tolem.xsd` has them. What parses here is well-typed; whether it is
//! allowed is decided by [`super::rules`].

use super::xml::{Element, Field, FieldFault, Reader, element, write_many, write_maybe, write_one};
use crate::xmlsig::sign::{parse_time, write_time};
use roxmltree::Node;
use std::fmt;
use tolem_protocol::{Amount, Iin, KioskNumber, PaymentCode, UtcTime, catalogue::ServiceCode, utc::Date};

pub use super::xml::{Element as XmlElement, FieldFault as WrongField};

/// A short name made of letters, digits and `-._:`; at most 64 bytes. Names messages, transactions, requests.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Token(String);

impl Token {
    /// `None` if it is empty, too long, or has another letter.
    pub fn new(text: &str) -> Option<Self> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
        ((1..=64).contains(&text.len()) && text.bytes().all(fits)).then(|| Self(text.to_owned()))
    }

    /// A new one that nobody has used.
    pub fn random() -> Self {
        let mut fresh = crate::server::desk::fresh();
        Self(format!("{:016x}{:016x}", fresh(), fresh()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Field for Token {
    const WANTED: &'static str = "1 to 64 letters, digits or -._:";
    fn read(text: &str, _: Date) -> Option<Self> {
        Self::new(text)
    }
    fn write(&self) -> String {
        self.0.clone()
    }
}

/// A line of text: 1 to 160 characters, none of them control characters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line(String);

impl Line {
    /// `None` if it is empty, too long, or has a control character.
    pub fn new(text: &str) -> Option<Self> {
        let fits = (1..=160).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        fits.then(|| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Field for Line {
    const WANTED: &'static str = "1 to 160 characters without control characters";
    fn read(text: &str, _: Date) -> Option<Self> {
        Self::new(text)
    }
    fn write(&self) -> String {
        self.0.clone()
    }
}

/// A sum that is paid: more than nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Paid(Amount);

impl Paid {
    /// `None` for nothing, or more than this system speaks of.
    pub fn new(amount: Amount) -> Option<Self> {
        (!amount.is_zero() && amount <= Amount::MAX).then_some(Self(amount))
    }

    /// The sum.
    pub fn amount(self) -> Amount {
        self.0
    }
}

impl Field for Paid {
    const WANTED: &'static str = "a whole number of tiyn from 1 to 100000000000000";
    fn read(text: &str, today: Date) -> Option<Self> {
        Amount::read(text, today).and_then(Self::new)
    }
    fn write(&self) -> String {
        self.0.write()
    }
}

impl Field for Amount {
    const WANTED: &'static str = "a whole number of tiyn from 0 to 100000000000000";
    fn read(text: &str, today: Date) -> Option<Self> {
        u64::read(text, today).map(Self::from_tiyn).filter(|amount| *amount <= Self::MAX)
    }
    fn write(&self) -> String {
        self.tiyn().to_string()
    }
}

impl Field for u64 {
    const WANTED: &'static str = "a whole number";
    fn read(text: &str, _: Date) -> Option<Self> {
        // Rust would also read a plus sign.
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
    }
    fn write(&self) -> String {
        self.to_string()
    }
}

impl Field for bool {
    const WANTED: &'static str = "true or false";
    fn read(text: &str, _: Date) -> Option<Self> {
        match text {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        }
    }
    fn write(&self) -> String {
        self.to_string()
    }
}

impl Field for Iin {
    const WANTED: &'static str = "an IIN: twelve digits whose date and control digit fit";
    fn read(text: &str, today: Date) -> Option<Self> {
        Self::parse(text, today).ok()
    }
    fn write(&self) -> String {
        self.ascii().iter().map(|byte| char::from(*byte)).collect()
    }
}

impl Field for PaymentCode {
    const WANTED: &'static str = "a payment code: sixteen digits whose check digit fits";
    fn read(text: &str, today: Date) -> Option<Self> {
        (text.len() == 16).then(|| u64::read(text, today))?.and_then(|value| Self::try_from(value).ok())
    }
    fn write(&self) -> String {
        format!("{self:#}")
    }
}

impl Field for KioskNumber {
    const WANTED: &'static str = "a kiosk number from 1 to 99999";
    fn read(text: &str, today: Date) -> Option<Self> {
        u64::read(text, today).and_then(|value| u32::try_from(value).ok()).and_then(Self::new)
    }
    fn write(&self) -> String {
        self.get().to_string()
    }
}

impl Field for ServiceCode {
    const WANTED: &'static str = "a service code: 1 to 24 lower-case letters, digits and hyphens";
    fn read(text: &str, _: Date) -> Option<Self> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let fits = !text.is_empty() && text.bytes().all(fits);
        fits.then(|| Self::try_from(text).ok())?
    }
    fn write(&self) -> String {
        self.as_str().to_owned()
    }
}

impl Field for UtcTime {
    const WANTED: &'static str = "a date and time with zone";
    fn read(text: &str, _: Date) -> Option<Self> {
        parse_time(text)
    }
    fn write(&self) -> String {
        write_time(*self)
    }
}

impl Field for Date {
    const WANTED: &'static str = "a day like 2026-11-22";
    fn read(text: &str, _: Date) -> Option<Self> {
        Self::parse_iso(text)
    }
    fn write(&self) -> String {
        format!("{self:?}")
    }
}

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident, $wanted:literal { $($(#[$about:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum $name { $($(#[$about])* $variant),* }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its word in XML and in the database.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            /// The value of a word.
            pub fn of_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.word() == word)
            }
        }

        impl Field for $name {
            const WANTED: &'static str = $wanted;
            fn read(text: &str, _: Date) -> Option<Self> {
                Self::of_word(text)
            }
            fn write(&self) -> String {
                self.word().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

choice! {
    /// Where a payment code stands.
    State, "issued, paid, used, void, expired or refunded" {
        /// Made; the payment is not confirmed yet.
        Issued = "issued",
        /// The bank's signed notice of payment is here.
        Paid = "paid",
        /// Redeemed, once and for all.
        Used = "used",
        /// The payment came to nothing.
        Void = "void",
        /// Not redeemed in time.
        Expired = "expired",
        /// The money went back.
        Refunded = "refunded",
    }
}

choice! {
    /// How it was paid (use cases 1 to 5).
    Method, "cash, card, acquiring, account or banking" {
        /// Banknotes at a kiosk.
        Cash = "cash",
        /// A card at a kiosk or ATM.
        Card = "card",
        /// A card on the internet.
        Acquiring = "acquiring",
        /// A bank account on the portal.
        Account = "account",
        /// Internet or mobile banking.
        Banking = "banking",
    }
}

choice! {
    /// Why a bank takes a code back.
    VoidReason, "authorisation-failed, cancelled or refund" {
        /// The payment was not authorised.
        AuthorisationFailed = "authorisation-failed",
        /// The payer stepped back before paying.
        Cancelled = "cancelled",
        /// The money of a paid, unused code goes back.
        Refund = "refund",
    }
}

choice! {
    /// Whose register.
    Owner, "provider or bank" {
        /// A provider of services, by BIN.
        Provider = "provider",
        /// A bank, by its name as participant.
        Bank = "bank",
    }
}

choice! {
    /// What statistics are broken down by.
    By, "service, provider, bank, kiosk, method, day or hour" {
        /// Direction: the service.
        Service = "service",
        /// Direction: who provides it.
        Provider = "provider",
        /// The bank.
        Bank = "bank",
        /// The kiosk.
        Kiosk = "kiosk",
        /// The method of payment.
        Method = "method",
        /// Time: the calendar day in Kazakhstan.
        Day = "day",
        /// Time: the hour of the day in Kazakhstan.
        Hour = "hour",
    }
}

choice! {
    /// The period of a summary.
    Period, "day, week or month" {
        /// One day.
        Day = "day",
        /// Monday to Sunday.
        Week = "week",
        /// A calendar month.
        Month = "month",
    }
}

choice! {
    /// Why a request was not done.
    FaultCode, "a fault code" {
        /// Not the XML, SOAP or signature that this profile takes; the reason's first word says which rule.
        SignatureRefused = "SignatureRefused",
        /// The signer is not the owner of the channel, or not registered here.
        NotRegistered = "NotRegistered",
        /// The participant's group may not do this.
        NotPermitted = "NotPermitted",
        /// A message with this id was here before.
        Replayed = "Replayed",
        /// No such operation.
        UnknownOperation = "UnknownOperation",
        /// A field is missing, doubled, wrong, or of a wrong namespace.
        InvalidField = "InvalidField",
        /// No such service.
        UnknownService = "UnknownService",
        /// No such kiosk of this bank.
        UnknownKiosk = "UnknownKiosk",
        /// No such code, or not of this person, service, bank or transaction.
        UnknownCode = "UnknownCode",
        /// The number was used before for something else.
        Conflict = "Conflict",
        /// The code is in a state in which this cannot be done.
        WrongState = "WrongState",
        /// The second step was asked for without the first.
        NotValidated = "NotValidated",
        /// Not possible now; nothing was done. Try again.
        Unavailable = "Unavailable",
    }
}

element! {
    /// Asks for a payment code.
    CreateUpc {
        /// Names this message; never used twice.
        message_id: Token = one "MessageId",
        /// The bank's number of the payment; the same number gives the same code again.
        transaction: Token = one "TransactionNumber",
        /// Where it is paid.
        kiosk: KioskNumber = one "Kiosk",
        /// What is paid.
        service: ServiceCode = one "ServiceCode",
        /// Whose it is.
        payer: Iin = one "PayerIin",
        /// The exact fee.
        amount: Paid = one "AmountTiyn",
    }
}
element! {
    /// The code.
    CreateUpcResponse {
        /// Id of the request.
        in_reply_to: Token = one "InReplyTo",
        /// The code.
        code: PaymentCode = one "Code",
        /// Where it stands.
        state: State = one "State",
        /// Redeem before this.
        valid_until: UtcTime = one "ValidUntil",
        /// Whether it had been made before.
        repeated: bool = one "Repeated",
    }
}
element! {
    /// Takes a code back: before the payment, or to refund it before it is used.
    VoidUpc {
        /// Names this message.
        message_id: Token = one "MessageId",
        /// The bank's number of the payment.
        transaction: Token = one "TransactionNumber",
        /// The code.
        code: PaymentCode = one "Code",
        /// Why.
        reason: VoidReason = one "Reason",
    }
}
element! {
    /// It is taken back.
    VoidUpcResponse {
        /// Id of the request.
        in_reply_to: Token = one "InReplyTo",
        /// The code.
        code: PaymentCode = one "Code",
        /// Void or refunded.
        state: State = one "State",
        /// Whether it had been done before.
        repeated: bool = one "Repeated",
    }
}
element! {
    /// The notice of payment, with all its details, signed by the bank (use case 5, steps 21 to 25).
    NotifyPayment {
        /// Names this message.
        message_id: Token = one "MessageId",
        /// The bank's number of the payment.
        transaction: Token = one "TransactionNumber",
        /// The code that is paid.
        code: PaymentCode = one "Code",
        /// Where it was paid.
        kiosk: KioskNumber = one "Kiosk",
        /// What was paid.
        service: ServiceCode = one "ServiceCode",
        /// Whose it is.
        payer: Iin = one "PayerIin",
        /// The exact fee.
        amount: Paid = one "AmountTiyn",
        /// How.
        method: Method = one "Method",
        /// When.
        paid_at: UtcTime = one "PaidAt",
        /// The bank's own reference, for a card its authorisation code.
        bank_reference: Option<Token> = maybe "BankReference",
    }
}
element! {
    /// The notice is stored.
    NotifyPaymentResponse {
        /// Id of the request.
        in_reply_to: Token = one "InReplyTo",
        /// The code.
        code: PaymentCode = one "Code",
        /// Where it stands now.
        state: State = one "State",
        /// Number of the gateway's record of the notice.
        record: u64 = one "Record",
        /// When the notice arrived.
        arrived_at: UtcTime = one "ArrivedAt",
        /// Whether it had arrived before.
        repeated: bool = one "Repeated",
    }
}
element! {
    /// Asks whether a code is good for its bearer and a service; a portal may use it up at the same time.
    ValidateUpc {
        /// Names this message.
        message_id: Token = one "MessageId",
        /// The number under which the service is asked for.
        request: Token = one "RequestNumber",
        /// The code.
        code: PaymentCode = one "Code",
        /// Who gets the service.
        recipient: Iin = one "RecipientIin",
        /// The service.
        service: ServiceCode = one "ServiceCode",
        /// Whether to use it up (portals only).
        consume: bool = one "Consume",
    }
}
element! {
    /// It is good.
    ValidateUpcResponse {
        /// Id of the request.
        in_reply_to: Token = one "InReplyTo",
        /// The code.
        code: PaymentCode = one "Code",
        /// Paid, or used if it was used up under this very request number.
        state: State = one "State",
        /// The number under which the service is asked for.
        request: Token = one "RequestNumber",
        /// The service.
        service: ServiceCode = one "ServiceCode",
        /// What was paid.
        amount: Amount = one "AmountTiyn",
        /// Redeem before this.
        valid_until: UtcTime = one "ValidUntil",
        /// The recipient's name, for a service center to compare with the document of identity.
        recipient_name: Option<Line> = maybe "RecipientName",
        /// Whether it had been used up before, under this very request number.
        repeated: bool = one "Repeated",
    }
}
element! {
    /// The second step at a service center: uses a code up that was validated under the same request number.
    CloseUpc {
        /// Names this message.
        message_id: Token = one "MessageId",
        /// The number under which it was validated.
        request: Token = one "RequestNumber",
        /// The code.
        code: PaymentCode = one "Code",
        /// Who gets the service.
        recipient: Iin = one "RecipientIin",
        /// The service.
        service: ServiceCode = one "ServiceCode",
        /// Who has compared the identity.
        operator: Line = one "Operator",
    }
}
element! {
    /// It is used up.
    CloseUpcResponse {
        /// Id of the request.
        in_reply_to: Token = one "InReplyTo",
        /// The code.
        code: PaymentCode = one "Code",
        /// Used.
        state: State = one "State",
        /// The number under which it was closed.
        request: Token = one "RequestNumber",
        /// When.
        closed_at: UtcTime = one "ClosedAt",
        /// Whether it had been closed before, under this very request number.
        repeated: bool = one "Repeated",
    }
}
element! {
    /// Asks for the payments of a day, or of several.
    GetRegister {
        /// Names this message.
        message_id: Token = one "MessageId",
        /// Whose.
        owner: Owner = one "Owner",
        /// BIN of the provider, or name of the bank.
        name: Token = one "Name",
        /// The day in Kazakhstan, or the first of several.
        day: Date = one "Day",
        /// Entries to leave out: a register comes in pages.
        skip: u64 = one "Skip",
        /// The last day, if it is not the first; at most 366 days in all.
        last_day: Option<Date> = maybe "LastDay",
    }
}
element! {
    /// One payment in a register.
    Entry {
        /// The code.
        code: PaymentCode = one "Code",
        /// The bank.
        bank: Token = one "Bank",
        /// The bank's number of the payment.
        transaction: Token = one "TransactionNumber",
        /// Where it was paid.
        kiosk: KioskNumber = one "Kiosk",
        /// What was paid.
        service: ServiceCode = one "ServiceCode",
        /// The fee.
        amount: Amount = one "AmountTiyn",
        /// How.
        method: Method = one "Method",
        /// When its notice arrived.
        arrived_at: UtcTime = one "ArrivedAt",
        /// Where it stands now.
        state: State = one "State",
    }
}
element! {
    /// The payments that were asked for, or a page of them.
    GetRegisterResponse {
        /// Id of the request.
        in_reply_to: Token = one "InReplyTo",
        /// Number of all payments on all pages.
        count: u64 = one "Count",
        /// Their sum.
        total: Amount = one "TotalTiyn",
        /// Whether there is another page.
        more: bool = one "More",
        /// The entries.
        entries: Vec<Entry> = many "Entry",
    }
}
element! {
    /// Asks for statistics of payments by direction or time.
    GetStatistics {
        /// Names this message.
        message_id: Token = one "MessageId",
        /// Broken down by what.
        by: By = one "By",
        /// First day.
        from: Date = one "From",
        /// Last day; at most 366 days in all.
        to: Date = one "To",
    }
}
element! {
    /// One line of statistics.
    Row {
        /// The service, bank, hour...
        key: Token = one "Key",
        /// Payments.
        count: u64 = one "Count",
        /// Their sum.
        total: Amount = one "TotalTiyn",
    }
}
element! {
    /// Statistics.
    GetStatisticsResponse {
        /// Id of the request.
        in_reply_to: Token = one "InReplyTo",
        /// One per key that has payments, at most 500.
        rows: Vec<Row> = many "Row",
    }
}
element! {
    /// Asks for a summary.
    GetSummary {
        /// Names this message.
        message_id: Token = one "MessageId",
        /// How long.
        period: Period = one "Period",
        /// A day in it.
        day: Date = one "Day",
    }
}
element! {
    /// What a bank owes the gateway's operator for the period.
    Claim {
        /// The bank.
        bank: Token = one "Bank",
        /// Payments it has notified in the period.
        notified: u64 = one "Notified",
        /// Their sum.
        notified_total: Amount = one "NotifiedTiyn",
        /// Sum of the refunds in the period.
        refunded_total: Amount = one "RefundedTiyn",
    }
}
element! {
    /// What happened in a day, week or month.
    GetSummaryResponse {
        /// Id of the request.
        in_reply_to: Token = one "InReplyTo",
        /// First day.
        from: Date = one "From",
        /// Last day.
        to: Date = one "To",
        /// Codes made.
        issued: u64 = one "Issued",
        /// Notices taken.
        paid: u64 = one "Paid",
        /// Their sum.
        paid_total: Amount = one "PaidTiyn",
        /// Codes used.
        used: u64 = one "Used",
        /// Their sum.
        used_total: Amount = one "UsedTiyn",
        /// Codes voided.
        void: u64 = one "Void",
        /// Codes that were not redeemed in time.
        expired: u64 = one "Expired",
        /// Codes refunded.
        refunded: u64 = one "Refunded",
        /// Their sum.
        refunded_total: Amount = one "RefundedTiyn",
        /// One per bank with notices or refunds.
        claims: Vec<Claim> = many "Claim",
    }
}
element! {
    /// Asks the registry of persons whether an IIN exists.
    CheckIin {
        /// Names this message.
        message_id: Token = one "MessageId",
        /// The IIN.
        iin: Iin = one "Iin",
    }
}
element! {
    /// What the registry says.
    CheckIinResponse {
        /// Id of the request.
        in_reply_to: Token = one "InReplyTo",
        /// Whether there is such a person.
        known: bool = one "Known",
        /// The name as it may be shown to others.
        name: Option<Line> = maybe "Name",
    }
}
element! {
    /// Why a request was not done. Signed like every answer.
    GatewayFault {
        /// Id of the request, if it could be read.
        in_reply_to: Option<Token> = maybe "InReplyTo",
        /// Which kind.
        code: FaultCode = one "Code",
        /// What exactly, for a person.
        reason: Line = one "Reason",
        /// The field that is wrong.
        field: Option<Token> = maybe "Field",
        /// Where the code stands, if that is the reason.
        state: Option<State> = maybe "State",
    }
}

macro_rules! requests {
    ($($name:ident),*) => {
        /// A request.
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub enum Request { $(#[doc = concat!("[`", stringify!($name), "`]")] $name($name)),* }

        impl Request {
            /// The operations.
            pub const OPERATIONS: &[&str] = &[$(stringify!($name)),*];

            /// Reads the element in a Body; `None` if no operation has this name.
            pub fn read(node: Node<'_, '_>, today: Date) -> Option<Result<Self, FieldFault>> {
                match node.tag_name().name() {
                    $(stringify!($name) => Some($name::read(node, today).map(Self::$name)),)*
                    _ => None,
                }
            }

            /// Its name.
            pub fn operation(&self) -> &'static str {
                match self { $(Self::$name(_) => stringify!($name)),* }
            }

            /// Its id.
            pub fn message_id(&self) -> &Token {
                match self { $(Self::$name(request) => &request.message_id),* }
            }
        }
    };
}
requests!(
    CreateUpc,
    VoidUpc,
    NotifyPayment,
    ValidateUpc,
    CloseUpc,
    GetRegister,
    GetStatistics,
    GetSummary,
    CheckIin
);
