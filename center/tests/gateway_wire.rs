//! The gateway over real sockets: mutual TLS, the client that banks use, and what it says when something is wrong.

#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up fails")]

mod common;

use common::office::Office;
use expect_test::expect;
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};
use tempfile::TempDir;
use tolem_center::{
    gateway::{
        CallError, GatewayClient,
        audit::audit,
        config::{GATEWAY_FILE, GatewayConfig},
        server::{self, Options, Running},
        setup,
        words::*,
    },
    logic::{
        errands::{Notice, NoticeKind, Order, Reply},
        register::transaction_number,
        store::{Alarm, AttemptRow, PayerTag, PaymentRow, PaymentState, Store as _, Transact as _},
    },
    pki::{
        Profile,
        nca::{Authority, Purpose},
    },
    server::{errands::Neighbours as _, soap::SoapNeighbours, system_clock},
    sqlite::SqliteStore,
    xmlsig::{KeyFile, Trust, sign},
};
use tolem_protocol::{Amount, Iin, KioskNumber, PaymentCode, PaymentId, UtcTime, messages, utc::Date};

const IIN: &str = "000101300019";

struct Wire {
    directory: TempDir,
    running: Option<Running>,
    log: Arc<Mutex<Vec<String>>>,
}

fn wire() -> Wire {
    let directory = tempfile::tempdir().unwrap();
    setup::init(directory.path(), &["localhost".into()], system_clock()).unwrap();
    let file = directory.path().join(GATEWAY_FILE);
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text
        .replace("127.0.0.1:7543", "127.0.0.1:0")
        .replace("# crl_listen = \"127.0.0.1:7580\"", "crl_listen = \"127.0.0.1:0\"");
    std::fs::write(&file, text).unwrap();
    let mut wire = Wire { directory, running: None, log: Arc::default() };
    wire.start();
    wire
}

impl Wire {
    fn start(&mut self) {
        let log = self.log.clone();
        let config = GatewayConfig::read(&self.path(GATEWAY_FILE)).unwrap();
        let observer: server::Observer = Arc::new(move |line| log.lock().unwrap().push(line.to_owned()));
        let running =
            server::start(Options { config, observer: Some(observer), clock: system_clock }).unwrap();
        for party in std::fs::read_dir(self.path("parties")).unwrap() {
            tell(&party.unwrap().path(), &running);
        }
        self.running = Some(running);
    }

    fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    fn client(&self, who: &str) -> GatewayClient {
        GatewayClient::open(&self.path("parties").join(who)).unwrap()
    }

    /// Waits until the log says it: a participant may know earlier that it was refused.
    fn until_heard(&self, words: &str) {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while !self.log.lock().unwrap().iter().any(|line| line.contains(words)) {
            assert!(std::time::Instant::now() < deadline, "never heard {words:?}: {:?}", self.log);
            std::thread::yield_now();
        }
    }
}

fn tell(folder: &Path, running: &Running) {
    setup::tell_whereabouts(folder, &format!("localhost:{}", running.addr.port())).unwrap();
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn token(text: &str) -> Token {
    Token::new(text).unwrap()
}

fn order(transaction: &str) -> CreateUpc {
    CreateUpc {
        message_id: Token::random(),
        transaction: token(transaction),
        kiosk: KioskNumber::new(42).unwrap(),
        service: "id-card".try_into().unwrap(),
        payer: Iin::parse(IIN, system_clock().date()).unwrap(),
        amount: Paid::new(Amount::from_tenge(865)).unwrap(),
    }
}

fn notice(order: &CreateUpc, code: PaymentCode) -> NotifyPayment {
    NotifyPayment {
        message_id: Token::random(),
        transaction: order.transaction.clone(),
        code,
        kiosk: order.kiosk,
        service: order.service.clone(),
        payer: order.payer.clone(),
        amount: order.amount,
        method: Method::Cash,
        paid_at: system_clock(),
        bank_reference: None,
    }
}

fn redeem(order: &CreateUpc, code: PaymentCode, request: &str) -> ValidateUpc {
    ValidateUpc {
        message_id: Token::random(),
        request: token(request),
        code,
        recipient: order.payer.clone(),
        service: order.service.clone(),
        consume: true,
    }
}

fn refused<T: std::fmt::Debug>(result: Result<T, CallError>) -> GatewayFault {
    match result {
        Err(CallError::Refused(fault)) => *fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_code_is_made_paid_and_used_over_mutual_tls() {
    let wire = wire();
    let (bank, portal) = (wire.client("bank"), wire.client("portal"));
    let order = order("T1");
    let code = run(bank.create_upc(&order)).unwrap().code;
    let early = refused(run(portal.validate_upc(&redeem(&order, code, "R1"))));
    assert_eq!(early.state, Some(State::Issued));
    assert_eq!(run(bank.notify_payment(&notice(&order, code))).unwrap().state, State::Paid);
    assert_eq!(run(portal.validate_upc(&redeem(&order, code, "R1"))).unwrap().state, State::Used);
    assert_eq!(refused(run(portal.validate_upc(&redeem(&order, code, "R2")))).state, Some(State::Used));
    let known =
        run(bank.check_iin(&CheckIin { message_id: Token::random(), iin: order.payer.clone() })).unwrap();
    assert!(known.known);
    let lines = wire.log.lock().unwrap().join("\n");
    assert!(!lines.contains(IIN) && !lines.contains(&format!("{code:#}")), "the log names nobody: {lines}");
}

#[test]
fn a_lost_answer_is_asked_for_again_and_nothing_is_done_twice() {
    let wire = wire();
    let bank = wire.client("bank");
    wire.running().faults.lose_answers.set(true);
    let lost = run(bank.create_upc(&order("T1"))).unwrap_err();
    assert!(matches!(&lost, CallError::Unreachable(_)) && !lost.is_final(), "{lost}");
    wire.running().faults.lose_answers.set(false);
    let created = run(bank.create_upc(&order("T1"))).unwrap();
    assert!(created.repeated, "it had been done");
    wire.running().faults.silent.set(true);
    let silent = run(bank.create_upc(&order("T2"))).unwrap_err();
    assert!(matches!(silent, CallError::Unreachable(_)));
    wire.running().faults.silent.set(false);
    assert!(!run(bank.create_upc(&order("T2"))).unwrap().repeated, "it had not been done");
}

#[test]
fn a_gateway_that_is_not_there_or_not_the_gateway_is_told_apart() {
    let mut wire = wire();
    // Somebody whom the authority knows, but who is not the gateway, signs the answers.
    let folder = wire.path("parties/bank/party.toml");
    let text = std::fs::read_to_string(&folder).unwrap();
    std::fs::write(&folder, text.replace("signer = \"gateway\"", "signer = \"other\"")).unwrap();
    let wrong = run(wire.client("bank").create_upc(&order("T1"))).unwrap_err();
    assert!(matches!(&wrong, CallError::NotTrusted(why) if why.contains("signed by gateway")), "{wrong}");
    // Another host name than the certificate's.
    std::fs::write(&folder, text.replace("localhost", "127.0.0.1")).unwrap();
    let wrong = run(wire.client("bank").create_upc(&order("T1"))).unwrap_err();
    assert!(matches!(&wrong, CallError::Unreachable(why) if why.contains("certificate")), "{wrong}");
    std::fs::write(&folder, text).unwrap();
    let client = wire.client("bank");
    wire.running = None;
    let gone = run(client.create_upc(&order("T1"))).unwrap_err();
    assert!(matches!(gone, CallError::Unreachable(_)), "{gone}");
}

#[test]
fn a_revoked_or_unfit_participant_gets_no_channel() {
    let wire = wire();
    let refused = |folder: &Path| match run(GatewayClient::open(folder).unwrap().create_upc(&order("T1"))) {
        Err(CallError::Unreachable(why)) => why,
        other => panic!("{other:?}"),
    };
    let authority = Authority::at(&wire.path("nca"));
    let parties = wire.path("parties");
    authority
        .equip(&parties.join("serving"), "bank", &Purpose::Serve(vec!["bank".into()]), system_clock())
        .unwrap();
    tell(&parties.join("serving"), wire.running());
    refused(&parties.join("serving"));
    wire.until_heard("not-for-signing");
    let strangers = Authority::create(&wire.path("strangers"), system_clock()).unwrap();
    strangers.equip(&parties.join("strange"), "bank", &Purpose::Connect, system_clock()).unwrap();
    authority.publish(&parties.join("strange")).unwrap();
    tell(&parties.join("strange"), wire.running());
    refused(&parties.join("strange"));
    wire.until_heard("untrusted-issuer");
    let bank = wire.client("bank");
    run(bank.create_upc(&order("T1"))).unwrap();
    setup::revoke(wire.directory.path(), "bank", system_clock()).unwrap();
    wire.running().reload().unwrap();
    refused(&parties.join("bank"));
    wire.until_heard("revoked");
}

#[test]
fn lists_and_descriptions_are_served() {
    let wire = wire();
    let plain = wire.running().crl_addr.unwrap();
    for (path, file) in [("/crl", "nca/ca.crl"), ("/crl/root", "nca/root.crl")] {
        let answer = http(plain, path);
        let head = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        assert_eq!(answer[head..], std::fs::read(wire.path(file)).unwrap(), "{path}");
    }
    assert!(http(plain, "/gateway?wsdl").starts_with(b"HTTP/1.1 404"), "only lists are served without TLS");
}

fn http(addr: std::net::SocketAddr, path: &str) -> Vec<u8> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(addr).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

/// A gateway whose database failed would refuse everything for ever: it ends, and the next start finds out what is on the disk.
#[test]
fn a_gateway_whose_database_failed_ends_so_that_it_is_started_again() {
    let mut wire = wire();
    let order = order("1-1-1-1");
    let code = run(wire.client("bank").create_upc(&order)).unwrap().code;
    let database = || rusqlite::Connection::open(wire.path(setup::GATEWAY_DATABASE)).unwrap();
    database().execute_batch("ALTER TABLE record RENAME TO away").unwrap();
    let refused = run(wire.client("bank").notify_payment(&notice(&order, code))).unwrap_err();
    assert!(
        matches!(&refused, CallError::Refused(fault) if fault.code == FaultCode::Unavailable),
        "{refused}"
    );
    assert!(!refused.is_final(), "the bank asks again");
    wire.until_heard("the database failed: the gateway stops and must be started again");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while wire.running().is_serving() {
        assert!(std::time::Instant::now() < deadline, "it goes on serving");
        std::thread::yield_now();
    }

    database().execute_batch("ALTER TABLE away RENAME TO record").unwrap();
    wire.start();
    let told = run(wire.client("bank").notify_payment(&notice(&order, code))).unwrap();
    assert!(!told.repeated, "nothing was kept of the message that failed");
}

/// Lists run out every week. A center that runs for months must find the new ones by itself.
#[test]
fn a_client_reads_the_new_lists_without_being_started_again() {
    let wire = wire();
    let (authority, now) = (Authority::at(&wire.path("nca")), system_clock());
    let stale = now.plus_seconds(-8 * 86_400);
    authority.refresh(stale, 7).unwrap();
    authority.publish(&wire.path("parties/bank")).unwrap();
    let bank = wire.client("bank");
    let order = order("T1");
    let refused = run(bank.create_upc(&order)).unwrap_err();
    assert!(!refused.is_final(), "{refused}");
    authority.refresh(now, 7).unwrap();
    authority.publish(&wire.path("parties/bank")).unwrap();
    run(bank.create_upc(&order)).unwrap();
}

/// Runs openssl, and gives what it printed.
fn openssl(arguments: &[&str]) -> String {
    let output = std::process::Command::new("openssl").args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Keys of participants are what their own tools make: RSA, most of them. Both of a bank's keys are here, the one of its channels too.
#[test]
fn a_bank_with_rsa_keys_is_a_bank_like_any_other() {
    let wire = wire();
    let bank = wire.path("parties/bank");
    let authority = Authority::at(&wire.path("nca"));
    for (name, purpose) in [("sign", Purpose::Sign), ("channel", Purpose::Connect)] {
        let key = bank.join(format!("{name}.key"));
        let key = key.to_str().unwrap();
        openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", key]);
        let request = openssl(&["req", "-new", "-key", key, "-subj", "/CN=bank"]);
        let profile = Profile::standard(system_clock());
        let certificate = authority.certify("bank", &purpose, &request, &profile).unwrap();
        std::fs::write(bank.join(format!("{name}.crt")), certificate).unwrap();
    }
    let (client, order) = (wire.client("bank"), order("T1"));
    let code = run(client.create_upc(&order)).unwrap().code;
    assert_eq!(run(client.notify_payment(&notice(&order, code))).unwrap().state, State::Paid);
    let refund = VoidUpc {
        message_id: Token::random(),
        transaction: order.transaction.clone(),
        code,
        reason: VoidReason::Refund,
    };
    assert_eq!(run(client.void_upc(&refund)).unwrap().state, State::Refunded);
    // What it signed is evidence like any other.
    let config = GatewayConfig::read(&wire.path(GATEWAY_FILE)).unwrap();
    let desk = server::open(&config, &server::Faults::default(), system_clock()).unwrap();
    let trust = Trust::read(&wire.path("identity")).unwrap();
    let audit = audit(&desk.store.lock().unwrap(), &trust, setup::GATEWAY_NAME).unwrap();
    assert_eq!((audit.records, audit.findings), (3, Vec::new()));
    let message = sign::message(
        &KeyFile::read(&bank.join("sign.crt"), &bank.join("sign.key")).unwrap(),
        "<a/>",
        system_clock(),
    );
    assert!(message.unwrap().contains("rsa-sha256"), "it was RSA");
}

/// The refund of a dispute, as a center's neighbours deliver it: yes before the code is used, and no after it, for good.
#[test]
fn a_refund_is_answered_by_what_became_of_the_code() {
    let wire = wire();
    let neighbours = SoapNeighbours::open(&wire.path("parties/bank")).unwrap();
    let deliver = |order: &Order, code, kind| {
        run(neighbours.deliver(&Notice {
            id: 1,
            kind,
            payment: order.payment,
            code,
            service: order.service.clone(),
            payer: order.payer.clone(),
            fee: order.fee,
            method: messages::Method::Cash,
            paid_at: UtcTime(1_795_699_990_000),
        }))
    };
    let ordered = |number| {
        let kiosk = KioskNumber::new(42).unwrap();
        let order = Order {
            payment: PaymentId { kiosk, epoch: 1, number, nonce: [7; 16] },
            service: "id-card".try_into().unwrap(),
            payer: Iin::parse(IIN, system_clock().date()).unwrap(),
            tag: PayerTag([1; 32]),
            fee: Amount::from_tenge(865),
            valid_until: system_clock(),
        };
        let Reply::Done(made) = run(neighbours.create_code(&order)) else { panic!("a code") };
        (order, made.code)
    };
    let paid = |number| {
        let (order, code) = ordered(number);
        assert_eq!(deliver(&order, code, NoticeKind::Paid), Reply::Done(()));
        (order, code)
    };
    // Notices of a code go out in order, so one that is not paid there never will be: it is made void, and is as good as taken back.
    let (order, code) = ordered(3);
    for _ in 0..2 {
        assert_eq!(deliver(&order, code, NoticeKind::Refund), Reply::Done(()));
    }
    assert!(matches!(deliver(&order, code, NoticeKind::Paid), Reply::Refused(_)), "nobody can use it");
    let (order, code) = paid(1);
    for _ in 0..2 {
        assert_eq!(deliver(&order, code, NoticeKind::Refund), Reply::Done(()), "again is the same");
    }
    let (order, code) = paid(2);
    let question = ValidateUpc {
        message_id: Token::random(),
        request: token("R1"),
        code,
        recipient: order.payer.clone(),
        service: order.service.clone(),
        consume: true,
    };
    run(wire.client("portal").validate_upc(&question)).unwrap();
    let used = deliver(&order, code, NoticeKind::Refund);
    assert!(matches!(used, Reply::Refused(why) if why.contains("only a paid, unused code")));
}

/// A center that was restored has forgotten it, and its kiosk burnt: the command reads it in the register, and two operators take it over.
#[test]
fn a_card_payment_that_only_the_gateway_has_as_paid_is_taken_over_by_two_operators() {
    let wire = wire();
    let kiosk = KioskNumber::new(42).unwrap();
    let payment = PaymentId { kiosk, epoch: 1, number: 5, nonce: [7; 16] };
    let named = payment.to_string();
    let bank = wire.client("bank");
    for (transaction, method) in [("T1", Method::Cash), (&*transaction_number(&payment), Method::Card)] {
        let order = order(transaction);
        let code = run(bank.create_upc(&order)).unwrap().code;
        run(bank.notify_payment(&NotifyPayment { method, ..notice(&order, code) })).unwrap();
    }
    let office = bank_office();
    let mut store = SqliteStore::open(&office.0.join("center.db")).unwrap();
    store
        .transact(|store| {
            let now = system_clock();
            store.put_payment(&PaymentRow {
                payment,
                state: PaymentState::Voided,
                payer: None,
                payer_tail: 0,
                day: now.date(),
                payee: None,
                quote: None,
                deposit: None,
                outcome: None,
                inserted: Amount::ZERO,
                printed_by: None,
            })?;
            store.put_attempts(&format!("card-recalled:{payment}"), AttemptRow { first: now, count: 1 })?;
            store.raise(&Alarm {
                at: now,
                kiosk,
                kind: "card-recalled".into(),
                text: format!("the gateway has card payment {payment} as paid"),
                disputed: Amount::ZERO,
                evidence: Vec::new(),
            })
        })
        .unwrap();
    drop(store);
    assert!(office.good(&["card", "list"]).contains(&named));
    let mut end = vec!["card", "end", &named, "taken", "--why", "by phone", "--as", "aigul.key"];
    let told = |end: &[&str]| String::from_utf8(office.run(end).stdout).unwrap();
    assert!(told(&end).contains("register was not read"), "no gateway is named");
    wire.attach(&office);
    assert!(office.bad(&end).contains("--since"), "the day of its quote is forgotten");
    let day = |days: i64| format!("{:?}", system_clock().plus_seconds(days * 86_400).date());
    let (yesterday, tomorrow) = (day(-1), day(2));
    end.extend(["--since", &tomorrow]);
    assert!(told(&end).contains("was not found in the gateway's register since"));
    assert!(office.bad(&end).contains("no code of it is known here"));
    *end.last_mut().unwrap() = &yesterday;
    end[3] = "given-back";
    assert!(office.bad(&end).contains("taken or not-paid"), "its code may be used");
    end[3] = "taken";
    let asked = office.good(&end);
    assert!(asked.contains("was found in the gateway's register since"), "{asked}");
    assert!(asked.contains("taken over from the gateway's register"), "{asked}");
    let (_, number) = asked.split_once("request approve ").unwrap();
    office.good(&["request", "approve", number.trim(), "--as", "bolat.key"]);
    assert!(office.good(&["card", "show", &named]).contains("taken over  865"));
    assert!(!office.good(&["card", "list"]).contains(&named));
    office.good(&["audit"]);
}

/// The folder of a new center with two operators.
fn bank_office() -> Office {
    let office = Office::new();
    office.good(&["init", "."]);
    office.staff();
    office
}

impl Wire {
    /// The center of `office` asks this gateway from now on.
    fn attach(&self, office: &Office) {
        let file = office.0.join("center.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        let folder = format!("folder = {:?}", self.path("parties/bank"));
        std::fs::write(&file, text.replace("# folder = \"../gateway/parties/bank\"", &folder)).unwrap();
    }

    /// A payment of 865 tenge whose notice the gateway has; gives its code.
    fn paid(&self, transaction: &str) -> PaymentCode {
        let (bank, order) = (self.client("bank"), order(transaction));
        let code = run(bank.create_upc(&order)).unwrap().code;
        run(bank.notify_payment(&notice(&order, code))).unwrap();
        code
    }

    /// The day on which the gateway heard of its payments, as commands take it; looked for from `first` on.
    fn day(&self, first: Date) -> String {
        let question = GetRegister {
            message_id: Token::random(),
            owner: Owner::Bank,
            name: token("bank"),
            day: first,
            skip: 0,
            last_day: Some(first.starts_at().plus_seconds(2 * 86_400).date()),
        };
        let page = run(self.client("bank").get_register(&question)).unwrap();
        format!("{:?}", page.entries[0].arrived_at.date())
    }

    fn party(&self, who: &str) -> String {
        self.path("parties").join(who).to_str().unwrap().to_owned()
    }
}

#[test]
fn a_portal_and_a_desk_use_codes_and_an_auditor_reads_of_it() {
    let (wire, office, first) = (wire(), Office::new(), system_clock().date());
    let [one, two] = ["T1", "T2"].map(|transaction| wire.paid(transaction));
    let (one, two) = (format!("{one:#}"), format!("{two:#}"));
    run(wire.client("bank").create_upc(&order("T3"))).unwrap();
    let [portal, desk, auditor] = ["portal", "service-center", "auditor"].map(|who| wire.party(who));
    let at_portal = |verb, request| {
        ["portal", verb, "--party", &portal, &one, IIN, "id-card", "--request", request].map(str::to_owned)
    };
    let words = |words: &[String]| office.good(&words.iter().map(String::as_str).collect::<Vec<_>>());
    let mut said = words(&at_portal("check", "R1"));
    said += &words(&at_portal("redeem", "R1"));
    said += &words(&at_portal("redeem", "R1"));
    let validate = ["desk", "validate", "--party", &desk, &two, IIN, "id-card", "--request", "R2"];
    said += &office.good(&validate);
    let close =
        ["desk", "close", "--party", &desk, &two, IIN, "id-card", "--request", "R2", "--operator", "a"];
    let closed = [office.good(&close), office.good(&close)];
    assert!(
        closed[0].starts_with("used since ") && closed[1].ends_with(", as it was before\n"),
        "{closed:?}"
    );
    expect![[r#"
        paid 865.00 for id-card
        request R1
        used 865.00 for id-card
        request R1
        used 865.00 for id-card
        request R2
        paid 865.00 for id-card
        recipient А••• Б•••, IIN 000101300019
        compare with the document of identity, then: desk close --request R2 --operator ...
    "#]]
    .assert_eq(&said);
    let other = at_portal("redeem", "R3");
    let late = office.bad(&other.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(late.contains("(the code is used)"), "{late}");

    let day = wire.day(first);
    let statistics = office.good(&["auditor", "statistics", "--party", &auditor, "service", &day, &day]);
    expect![[r#"
        service,count,tenge
        id-card,2,1730.00
    "#]]
    .assert_eq(&statistics);
    let summary = office.good(&["auditor", "summary", "--party", &auditor, "day", &day]);
    expect![[r#"
        issued 3  void 0  expired 0
        paid 2 1730.00
        used 2 1730.00
        refunded 0 0.00
        claim on bank: 2 notices, 1730.00 less 0.00 refunded
    "#]]
    .assert_eq(summary.split_once('\n').unwrap().1);
    let register = office.good(&["auditor", "register", "--party", &auditor, "bank", "bank", &day]);
    let rows: Vec<&str> = register.lines().collect();
    assert_eq!(rows[0], "code,bank,transaction,kiosk,service,tenge,method,arrived,state");
    for (code, transaction) in [(&one, "T1"), (&two, "T2")] {
        let begin = format!("{code},bank,{transaction},00042,id-card,865.00,cash,");
        assert!(rows.iter().any(|row| row.starts_with(&begin) && row.ends_with(",used")), "{register}");
    }
    assert_eq!(rows[3..], ["total,,,,,1730.00,,,2"]);
}

#[test]
fn words_that_a_gateway_is_not_asked_with_are_named() {
    let (wire, office) = (wire(), Office::new());
    let [portal, desk, auditor] = ["portal", "service-center", "auditor"].map(|who| wire.party(who));
    let code = format!("{:#}", wire.paid("T1"));
    let mut told = String::new();
    for words in [
        &["portal", "check", "--party", "nowhere", &code, IIN, "id-card"][..],
        &["portal", "check", "--party", &portal, "1234", IIN, "id-card"],
        &["portal", "check", "--party", &portal, &code, "000101300018", "id-card"],
        &["portal", "redeem", "--party", &portal, &code, IIN, "id-card", "--request", "a b"],
        &["desk", "close", "--party", &desk, &code, IIN, "id-card", "--request", "R1", "--operator", ""],
        &["auditor", "register", "--party", &auditor, "king", "bank", "2026-11-22"],
        &["auditor", "register", "--party", &auditor, "bank", "bank", "2026-02-30"],
        &["auditor", "statistics", "--party", &auditor, "weather", "2026-11-22", "2026-11-23"],
        &["auditor", "summary", "--party", &auditor, "year", "2026-11-22"],
        &["auditor", "summary", "--party", &portal, "day", "2026-11-22"],
        &["auditor", "summary", "--party", &auditor],
    ] {
        let said = office.bad(words);
        told += said.lines().find(|line| !line.starts_with("request ")).unwrap_or_default();
        told.push('\n');
    }
    expect![[r#"
        tolem-center: nowhere/root.crt: I/O error: No such file or directory (os error 2)
        tolem-center: the code is not sixteen digits with a check digit
        tolem-center: the IIN is wrong: its last digit does not fit the others: look for a wrong or swapped digit
        tolem-center: --request "a b": 1 to 64 letters, digits or -._: are needed
        tolem-center: --operator: 1 to 160 characters are needed
        tolem-center: "king": provider or bank is needed
        tolem-center: "2026-02-30" is not a day like 2026-11-22
        tolem-center: "weather": service, provider, bank, kiosk, method, day or hour is needed
        tolem-center: "year": day, week or month is needed
        tolem-center: the gateway refuses: NotPermitted: group portal may not call GetSummary
        error: the following required arguments were not provided:
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_restored_center_compares_the_register_by_command_or_leaves_it() {
    let (wire, office, first) = (wire(), bank_office(), system_clock().date());
    let first = format!("{first:?}");
    let compare = ["register", "compare", "--since", &first];
    let alone = office.bad(&[&compare[..], &["--as", "aigul.key"]].concat());
    assert!(alone.contains("the configuration names no gateway"), "{alone}");
    wire.attach(&office);
    let unsaid = office.bad(&["register", "compare", "--as", "aigul.key"]);
    assert!(unsaid.contains("nothing is booked here: say from which day on with --since"), "{unsaid}");
    let wrong = office.bad(&["register", "compare", "--since", "2026-02-30", "--as", "aigul.key"]);
    assert!(wrong.contains("--since \"2026-02-30\": a day looks like 2026-11-25"), "{wrong}");
    let nobody = office.bad(&[&compare[..], &["--bank", "a b", "--as", "aigul.key"]].concat());
    assert!(nobody.contains("--bank \"a b\": not a name"), "{nobody}");
    let agreed = office.good(&[&compare[..], &["--as", "aigul.key"]].concat());
    assert!(
        agreed.contains("not part of a rebuilding") && agreed.contains("nothing is to be done"),
        "{agreed}"
    );

    // The payment of a kiosk that burnt, in the days that the backup lacks.
    let kiosk = KioskNumber::new(42).unwrap();
    wire.paid(&transaction_number(&PaymentId { kiosk, epoch: 1, number: 5, nonce: [7; 16] }));
    let public = data_encoding::BASE64.encode(&common::Kiosk::new(42).public());
    office.good(&["enroll", "--kiosk", "42", "--journal-key", &public]);
    office.good(&["restored"]);
    let waits = office.good(&["rebuild"]);
    assert!(waits.contains("register compare"), "{waits}");
    office.decided(&compare);
    let books = office.good(&["audit"]);
    assert!(books.contains("cash:00042  865.00"), "{books}");
    office.decided(&["open"]);
    assert_eq!(office.good(&["rebuild"]), "the center is open\n");

    office.good(&["restored"]);
    assert!(office.good(&["rebuild"]).contains("register compare"));
    office.decided(&["register", "leave"]);
    let left = office.good(&["rebuild"]);
    assert!(!left.contains("register compare"), "{left}");
}
