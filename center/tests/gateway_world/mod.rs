//! A gateway in a directory of its own, and everybody who talks to it.

#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up fails")]

use std::path::PathBuf;
use tempfile::TempDir;
use tolem_center::{
    catalogue::{Catalogue, REFERENCE},
    gateway::{
        CallError,
        audit::audit,
        client::read_answer,
        config::{GATEWAY_FILE, GatewayConfig},
        desk::{Answer, Desk},
        server::{self, Faults},
        setup::{self, GATEWAY_DATABASE, GATEWAY_NAME},
        words::*,
    },
    pki::{
        Profile,
        nca::{Authority, Purpose},
    },
    xmlsig::{KeyFile, Trust, sign},
};
use tolem_protocol::{Amount, Iin, KioskNumber, PaymentCode, UtcTime};

/// Known to the reference registry; nobody alive was born in 1900.
pub const IIN: &str = "000101300019";
pub const OTHER_IIN: &str = "000101400015";
const SERVICE: &str = "id-card";

pub fn iin(text: &str) -> Iin {
    Iin::parse(text, UtcTime(1_795_700_000_000).date()).unwrap()
}

pub fn token(text: &str) -> Token {
    Token::new(text).unwrap()
}

/// Names and texts of the fields of a flat request, in order.
pub fn fields(xml: &str) -> Vec<(String, String)> {
    let document = roxmltree::Document::parse(xml).unwrap();
    let read = |node: roxmltree::Node<'_, '_>| {
        (node.tag_name().name().to_owned(), node.text().unwrap_or_default().to_owned())
    };
    document.root_element().children().filter(|node| node.is_element()).map(read).collect()
}

pub struct World {
    directory: TempDir,
    pub now: UtcTime,
    pub desk: Desk,
    pub faults: Faults,
}

impl World {
    pub fn new() -> Self {
        // A Thursday, 18:33 in Kazakhstan.
        let now = UtcTime(1_795_700_000_000);
        let directory = tempfile::tempdir().unwrap();
        setup::init(directory.path(), &["localhost".into()], now).unwrap();
        let file = directory.path().join(GATEWAY_FILE);
        let config = std::fs::read_to_string(&file).unwrap().replace("1-99999", "1-99");
        std::fs::write(&file, config).unwrap();
        let faults = Faults::default();
        let desk = open(&directory, &faults, now);
        Self { directory, now, desk, faults }
    }

    pub fn reopen(&mut self) {
        self.desk = open(&self.directory, &self.faults, self.now);
    }

    pub fn wait(&mut self, seconds: i64) {
        self.now = self.now.plus_seconds(seconds);
    }

    fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    /// New revocation lists for the present day.
    pub fn renew(&mut self) {
        Authority::at(&self.path("nca")).refresh(self.now, 7).unwrap();
        setup::publish(self.directory.path()).unwrap();
        self.reopen();
    }

    pub fn revoke(&mut self, who: &str) {
        setup::revoke(self.directory.path(), who, self.now).unwrap();
        self.reopen();
    }

    // What participants do.

    pub fn signed(&self, who: &str, body: &str) -> String {
        let folder = self.path("parties").join(who);
        let signer = KeyFile::read(&folder.join("sign.crt"), &folder.join("sign.key")).unwrap();
        sign::message(&signer, body, self.now).unwrap()
    }

    pub fn signed_by_stranger(&self, body: &str) -> String {
        let authority = Authority::at(&self.path("nca"));
        let identity = authority.issue("stranger", &Purpose::Sign, &Profile::standard(self.now)).unwrap();
        let signer = KeyFile::from_pem(identity.certificate.as_bytes(), identity.key.as_bytes()).unwrap();
        sign::message(&signer, body, self.now).unwrap()
    }

    pub fn send(&mut self, who: &str, message: &str) -> Answer {
        self.desk.answer(message.as_bytes(), who, Request::OPERATIONS, self.now).unwrap()
    }

    fn read<A: XmlElement>(&self, answer: &Answer, id: &Token) -> Result<A, GatewayFault> {
        let trust = Trust::read(&self.path("identity")).unwrap();
        match read_answer(answer.envelope.as_bytes(), &trust, GATEWAY_NAME, id, self.now) {
            Ok(read) => Ok(read),
            Err(CallError::Refused(fault)) => {
                assert_eq!(Some(fault.code), answer.fault);
                Err(*fault)
            }
            Err(other) => panic!("{other}: {}", answer.envelope),
        }
    }

    pub fn ask<A: XmlElement>(&mut self, who: &str, request: &impl XmlElement) -> Result<A, GatewayFault> {
        let body = request.to_xml();
        let id = token(&fields(&body)[0].1);
        let message = self.signed(who, &body);
        let answer = self.send(who, &message);
        self.read(&answer, &id)
    }

    /// Sends a body that no type would make; only faults are expected.
    pub fn ask_xml(&mut self, who: &str, body: &str) -> Result<(), GatewayFault> {
        let message = self.signed(who, body);
        let answer = self.send(who, &message);
        if answer.fault.is_none() {
            return Ok(());
        }
        let trust = Trust::read(&self.path("identity")).unwrap();
        let id = answer.envelope.split("<t:InReplyTo>").nth(1).and_then(|rest| rest.split('<').next());
        let id = token(id.unwrap_or("none"));
        match read_answer::<GatewayFault>(answer.envelope.as_bytes(), &trust, GATEWAY_NAME, &id, self.now) {
            Err(CallError::Refused(fault)) => Err(*fault),
            other => panic!("{other:?}"),
        }
    }

    pub fn ask_any(&mut self, who: &str, request: &Request) -> Result<(), GatewayFault> {
        let body = self.xml_of(request);
        self.ask_xml(who, &body)
    }

    pub fn xml_of(&self, request: &Request) -> String {
        match request {
            Request::CreateUpc(request) => request.to_xml(),
            Request::VoidUpc(request) => request.to_xml(),
            Request::NotifyPayment(request) => request.to_xml(),
            Request::ValidateUpc(request) => request.to_xml(),
            Request::CloseUpc(request) => request.to_xml(),
            Request::GetRegister(request) => request.to_xml(),
            Request::GetStatistics(request) => request.to_xml(),
            Request::GetSummary(request) => request.to_xml(),
            Request::CheckIin(request) => request.to_xml(),
        }
    }

    // Requests.

    pub fn order(&self, transaction: &str) -> CreateUpc {
        CreateUpc {
            message_id: Token::random(),
            transaction: token(transaction),
            kiosk: KioskNumber::new(42).unwrap(),
            service: SERVICE.try_into().unwrap(),
            payer: iin(IIN),
            amount: Paid::new(Amount::from_tenge(865)).unwrap(),
        }
    }

    pub fn notice(&self, transaction: &str, code: PaymentCode) -> NotifyPayment {
        NotifyPayment {
            message_id: Token::random(),
            transaction: token(transaction),
            code,
            kiosk: KioskNumber::new(42).unwrap(),
            service: SERVICE.try_into().unwrap(),
            payer: iin(IIN),
            amount: Paid::new(Amount::from_tenge(865)).unwrap(),
            method: Method::Cash,
            paid_at: UtcTime(1_795_699_990_000),
            bank_reference: Some(token("AUTH00")),
        }
    }

    pub fn created(&mut self, transaction: &str) -> CreateUpcResponse {
        let order = self.order(transaction);
        self.ask("bank", &order).unwrap()
    }

    pub fn notify(
        &mut self,
        transaction: &str,
        code: PaymentCode,
    ) -> Result<NotifyPaymentResponse, GatewayFault> {
        let notice = self.notice(transaction, code);
        self.ask("bank", &notice)
    }

    pub fn notified(&mut self, transaction: &str, code: PaymentCode) -> NotifyPaymentResponse {
        self.notify(transaction, code).unwrap()
    }

    pub fn paid(&mut self, transaction: &str) -> PaymentCode {
        let code = self.created(transaction).code;
        self.notified(transaction, code);
        code
    }

    pub fn void(
        &mut self,
        transaction: &str,
        code: PaymentCode,
        reason: VoidReason,
    ) -> Result<VoidUpcResponse, GatewayFault> {
        let order = VoidUpc { message_id: Token::random(), transaction: token(transaction), code, reason };
        self.ask("bank", &order)
    }

    pub fn redeem(
        &mut self,
        who: &str,
        request: &str,
        code: PaymentCode,
        consume: bool,
    ) -> Result<ValidateUpcResponse, GatewayFault> {
        let question = ValidateUpc {
            message_id: Token::random(),
            request: token(request),
            code,
            recipient: iin(IIN),
            service: SERVICE.try_into().unwrap(),
            consume,
        };
        self.ask(who, &question)
    }

    /// Asks whether a code is good, without using it up.
    pub fn question(&self, request: &str, code: PaymentCode) -> ValidateUpc {
        ValidateUpc {
            message_id: Token::random(),
            request: token(request),
            code,
            recipient: iin(IIN),
            service: SERVICE.try_into().unwrap(),
            consume: false,
        }
    }

    pub fn redeem_as(
        &mut self,
        who: &str,
        request: &str,
        code: PaymentCode,
        recipient: &str,
        service: &str,
    ) -> Result<ValidateUpcResponse, GatewayFault> {
        let question = ValidateUpc {
            message_id: Token::random(),
            request: token(request),
            code,
            recipient: iin(recipient),
            service: service.try_into().unwrap(),
            consume: true,
        };
        self.ask(who, &question)
    }

    pub fn close(
        &mut self,
        request: &str,
        code: PaymentCode,
        operator: &str,
    ) -> Result<CloseUpcResponse, GatewayFault> {
        let order = CloseUpc {
            message_id: Token::random(),
            request: token(request),
            code,
            recipient: iin(IIN),
            service: SERVICE.try_into().unwrap(),
            operator: Line::new(operator).unwrap(),
        };
        self.ask("service-center", &order)
    }

    /// A code of transaction "1" in this state. One that expired was paid before.
    pub fn in_state(&mut self, state: State) -> PaymentCode {
        let code = if state == State::Issued || state == State::Void {
            self.created("1").code
        } else {
            self.paid("1")
        };
        match state {
            State::Issued | State::Paid => {}
            State::Used => drop(self.redeem("portal", "FIRST", code, true).unwrap()),
            State::Void => drop(self.void("1", code, VoidReason::Cancelled).unwrap()),
            State::Refunded => drop(self.void("1", code, VoidReason::Refund).unwrap()),
            State::Expired => {
                self.wait(366 * 86_400);
                self.renew();
                assert_eq!(self.desk.expire(self.now), Ok(1));
            }
        }
        code
    }

    /// Every operation once, well-formed; `code` is a paid code of transaction "1".
    pub fn one_of_each(&self, code: PaymentCode) -> Vec<Request> {
        let (message_id, day) = (Token::random, self.now.date());
        vec![
            Request::CreateUpc(self.order("EACH")),
            Request::VoidUpc(VoidUpc {
                message_id: message_id(),
                transaction: token("1"),
                code,
                reason: VoidReason::Cancelled,
            }),
            Request::NotifyPayment(self.notice("1", code)),
            Request::ValidateUpc(ValidateUpc {
                message_id: message_id(),
                request: token("EACH"),
                code,
                recipient: iin(IIN),
                service: SERVICE.try_into().unwrap(),
                consume: false,
            }),
            Request::CloseUpc(CloseUpc {
                message_id: message_id(),
                request: token("EACH-2"),
                code,
                recipient: iin(IIN),
                service: SERVICE.try_into().unwrap(),
                operator: Line::new("Operator 7").unwrap(),
            }),
            Request::GetRegister(GetRegister {
                message_id: message_id(),
                owner: Owner::Bank,
                name: token("bank"),
                day,
                skip: 0,
                last_day: None,
            }),
            Request::GetStatistics(GetStatistics {
                message_id: message_id(),
                by: By::Hour,
                from: day,
                to: day,
            }),
            Request::GetSummary(GetSummary { message_id: message_id(), period: Period::Day, day }),
            Request::CheckIin(CheckIin { message_id: message_id(), iin: iin(IIN) }),
        ]
    }

    pub fn caller_of(&self, operation: &str) -> String {
        match operation {
            "ValidateUpc" | "CloseUpc" => "service-center".into(),
            "GetStatistics" | "GetSummary" => "auditor".into(),
            _ => "bank".into(),
        }
    }

    // What is on the disk.

    fn database(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path(GATEWAY_DATABASE)).unwrap()
    }

    pub fn sql<T: rusqlite::types::FromSql>(&self, sql: &str) -> T {
        self.database().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    pub fn execute(&self, sql: &str) {
        assert_eq!(self.database().execute(sql, []).unwrap(), 1);
    }

    pub fn count(&self, table: &str) -> u64 {
        self.sql(&format!("SELECT count(*) FROM {table}"))
    }

    /// Everything in the tables, as text.
    pub fn rows(&self) -> String {
        let database = self.database();
        let mut text = String::new();
        for table in ["code", "request", "seen", "record"] {
            let mut statement = database.prepare(&format!("SELECT * FROM {table}")).unwrap();
            let columns = statement.column_count();
            let mut rows = statement.query([]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                for column in 0..columns {
                    text.push_str(&format!("{:?} ", row.get_ref(column).unwrap()));
                }
                text.push('\n');
            }
        }
        text
    }

    pub fn database_bytes(&self) -> Vec<u8> {
        let mut bytes = std::fs::read(self.path(GATEWAY_DATABASE)).unwrap();
        bytes.extend(std::fs::read(self.path("gateway.db-wal")).unwrap_or_default());
        bytes
    }

    /// Number of records, or the first finding.
    pub fn audit(&self) -> Result<u64, String> {
        let trust = Trust::read(&self.path("identity")).unwrap();
        let audit = audit(&self.desk.store.lock().unwrap(), &trust, GATEWAY_NAME)?;
        match audit.findings.first() {
            None => Ok(audit.records),
            Some(_) => Err(audit.findings.join("; ")),
        }
    }
}

fn open(directory: &TempDir, faults: &Faults, now: UtcTime) -> Desk {
    let config = GatewayConfig::read(&directory.path().join(GATEWAY_FILE)).unwrap();
    assert!(Catalogue::parse(REFERENCE).unwrap().find(SERVICE).is_some());
    server::open(&config, faults, now).unwrap()
}
