//! The command line, as an operator uses it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::{office::Office, *};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use std::path::Path;
use tolem_center::{
    config::Config,
    keys::seal_iin,
    logic::{
        Keys as _, Moment,
        acquirer::{self, Ask, Why},
        store::{Alarm, AttemptRow, PaymentRow, PaymentState, Store as _, Transact as _},
    },
    pki::Pki,
    server::{self, Faults, desk::fresh, system_clock},
    sqlite::SqliteStore,
};
use tolem_protocol::{
    Amount, KioskNumber, PaymentId,
    emv::CardNumber,
    messages::{Deposit, DepositKind, HoldReason, Method, Request, Response},
    qr::Qr,
    signed::{Signature, Signed},
};

/// A claim slip for a fee that was quoted, and one for a suspense, as their QR texts.
fn slips(directory: &Path, key: &Ed25519KeyPair) -> [String; 2] {
    let config = Config::read(&directory.join("center.toml")).unwrap();
    let center = server::open_center(&config, &Faults::default(), system_clock()).unwrap();
    let mut store = SqliteStore::open(&directory.join("center.db")).unwrap();
    let mut random = fresh();
    let mut at = Moment { now: system_clock(), fresh: &mut random, trace: &mut |_| {} };
    let who = KioskNumber::new(42).unwrap();
    let mut kiosk = Kiosk::new(42);
    let mut ask = |request: Request| {
        store.transact(|store| center.handle(store, &mut at, who, request.clone())).unwrap()
    };
    let Response::Welcome(welcome) = ask(kiosk.hello()) else { panic!() };
    kiosk.epoch = welcome.epoch;
    let payment = kiosk.next_id();
    let request = Request::Quote {
        payment,
        service: heapless::String::try_from("apostille").unwrap(),
        payer: iin(ANNA),
        method: Method::Cash,
        balance: None,
    };
    let Response::Quote(quote) = ask(request) else { panic!() };
    let sealing = Pki::at(directory).keys().unwrap().sealing_public();
    let slip = |payment: PaymentId, kind, quote, notes| {
        let payer = seal_iin(&sealing, &iin(ANNA), &payment, &mut fresh());
        let deposit = Deposit { payment, kind, quote, payer, notes: pile(notes), made_at: system_clock() };
        let sign = |message: &[u8]| Signature(key.sign(message).as_ref().try_into().unwrap());
        Qr::Deposit(Signed::new(&deposit, sign)).encode()
    };
    let suspense = DepositKind::Hold(HoldReason::Suspense);
    [
        slip(payment, DepositKind::Pay, Some(quote), &[2000, 500]),
        slip(kiosk.next_id(), suspense, None, &[5000]),
    ]
}

#[test]
fn an_operator_founds_a_center_and_settles_slips_at_the_counter() {
    let office = Office::new();
    let said = office.good(&["init", "."]);
    assert!(
        said.contains("statement_key = \"") && said.contains("witness_key = \"tolem/center/witness+"),
        "{said}"
    );
    assert!(office.good(&["keys"]).lines().all(|line| said.contains(line)));
    assert!(office.bad(&["init", "."]).contains("center.toml exists"));
    let key = Ed25519KeyPair::from_seed_unchecked(&[5; 32]).unwrap();
    let public = data_encoding::BASE64.encode(key.public_key().as_ref());
    assert!(office.bad(&["enroll", "--kiosk", "0", "--journal-key", &public]).contains("1..=99999"));
    assert!(office.bad(&["enroll", "--kiosk", "42", "--journal-key", "abc"]).contains("base64 of 32 bytes"));
    office.good(&["enroll", "--kiosk", "42", "--journal-key", &public]);
    assert!(office.good(&["kiosk", "list"]).starts_with("00042  epoch 0"));
    let [paid, suspense] = slips(&office.0, &key);
    std::fs::write(office.0.join("slip.txt"), &paid).unwrap();
    assert!(office.bad(&["claim", "import", "slip.txt"]).contains("who are you?"));
    office.staff();
    let first = office.decided(&["claim", "import", "slip.txt"]);
    assert!(first.contains("is accepted: code 0") && first.contains("remainder 337\u{202f}₸"), "{first}");
    assert_eq!(office.good(&["claim", "import", "slip.txt"]), first, "the same slip, the same answer");
    std::fs::write(office.0.join("suspense.txt"), format!("{suspense}\n")).unwrap();
    let held = office.decided(&["claim", "import", "suspense.txt"]);
    assert!(held.contains("(suspense)"), "{held}");

    let number = held.split("under ").nth(1).unwrap().split(" (").next().unwrap();
    let early = office.bad(&["balance", "refund", number, "--as", "bolat.key"]);
    assert!(early.contains("is not open"), "{early}");
    office.decided(&["balance", "resolve", number, "--found", "yes"]);
    office.decided(&["balance", "refund", number]);
    let deeds = office.good(&["deeds"]);
    assert_eq!(deeds.lines().count(), 2 + 2 * 4, "{deeds}");
    assert!(deeds.contains("aigul and bolat: request 4 is done: pay balance"), "{deeds}");
    assert_eq!(office.good(&["request", "list"]), "");
    assert_eq!(office.good(&["request", "list", "--all"]).lines().count(), 4);
    // The payer of the first slip complains: by code, by transaction number or by claim number.
    let code = first.split("code ").nth(1).unwrap().split(',').next().unwrap().to_owned();
    let transaction = first.split("payment ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    let dashed = code.replace(' ', "-");
    assert_eq!(dashed.matches('-').count(), 3, "{code}");
    for name in [&code, &dashed, &transaction] {
        let asked = office.good(&[
            "dispute",
            "open",
            name,
            "--why",
            "the desk knows no such code",
            "--as",
            "aigul.key",
        ]);
        assert!(asked.contains(&format!("dispute payment {transaction} for its payer")), "{asked}");
    }
    assert!(
        office
            .bad(&["dispute", "open", "12", "--why", "x", "--as", "aigul.key"])
            .contains("no code, claim number")
    );
    let opened = office.good(&["request", "approve", "5", "--as", "bolat.key"]);
    assert!(
        opened.contains("dispute 1: complaint") && opened.contains("next: tolem-center dispute give-back 1"),
        "{opened}"
    );
    assert_eq!(office.good(&["dispute", "list"]), opened);
    assert_eq!(
        office.unread(&["dispute", "list"]),
        (Some(141), String::new()),
        "nothing is claimed, nothing is reported"
    );
    assert!(office.good(&["audit"]).contains("disputed  -2163.00"));
    let over = office.decided(&["dispute", "reject", "1"]);
    assert!(over.contains("over: the payment stands"), "{over}");
    assert!(office.good(&["dispute", "list"]).contains("no dispute is open"));
    let file = "case,move,terminal,trace,sent,amount_tiyn,reason\nCB-1,taken,KSK00042,000001,1122120000,432500,fraud\n";
    std::fs::write(office.0.join("chargebacks.csv"), file).unwrap();
    let output = office.run(&["dispute", "import", "chargebacks.csv", "--as", "aigul.key"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(!output.status.success() && said.contains("no payment of ours has this terminal"), "{said}");
    std::fs::write(office.0.join("chargebacks.csv"), file.replace("432500", "4325.00")).unwrap();
    let wrong = office.bad(&["dispute", "import", "chargebacks.csv", "--as", "aigul.key"]);
    assert!(wrong.contains("chargebacks.csv: line 2: amount_tiyn"), "{wrong}");
    let list = office.good(&["balance", "list"]);
    assert!(list.contains("remainder") && list.contains("refunded"), "{list}");
    let audit = office.good(&["audit"]);
    // 7,500 went in: fee 2,162.50, rounded up by 0.50, 337 held, 5,000 paid back.
    for line in [
        "cash:00042  7500.00",
        "payable:090440004151  -2162.50",
        "rounding  -0.50",
        "held  -337.00",
        "refunds  -5000.00",
    ] {
        assert!(audit.contains(line), "{line}: {audit}");
    }
    assert!(audit.ends_with("every tiyn is accounted for\n"));

    let ask = |verb: &str| office.run(&["gateway", verb, &code, ANNA, "apostille"]);
    // Imported by hand: the running center will deliver the notice.
    assert_eq!(String::from_utf8(ask("validate").stdout).unwrap(), "NotConfirmed\n");
    assert!(office.bad(&["gateway", "validate", "1234", ANNA, "apostille"]).contains("sixteen digits"));
    let wrong = office.bad(&["gateway", "validate", &code, "000101400016", "apostille"]);
    assert!(wrong.contains("its last digit does not fit") && !wrong.contains("000101400016"), "{wrong}");
    office.good(&["crl", "refresh", "--days", "30"]);
    office.good(&["kiosk", "revoke", "42"]);
    assert!(office.bad(&["kiosk", "clear", "42"]).contains("is not closed"));
    office.good(&["backup", "copy.db"]);
    assert!(office.bad(&["backup", "copy.db"]).contains("not overwritten"));
    let restored = office.good(&["restored"]);
    assert!(
        restored.contains("lives its epoch") && restored.contains("kiosk 00042 has not told"),
        "{restored}"
    );
    office.decided(&["open"]);
    assert_eq!(office.good(&["rebuild"]), "the center is open\n");
    assert!(office.good(&["alarms"]).contains("own-gap"));
}

#[test]
fn slips_that_are_none_are_refused_with_the_reason() {
    let office = Office::new();
    office.good(&["init", "."]);
    for (text, reason) in [
        ("", "must start with TOLEM:"),
        ("TOLEM:V1:123456789018", "this is no claim slip"),
        ("TOLEM:D1:!!", "not base45"),
        ("TOLEM:D1:00", "not one signed statement"),
    ] {
        let output = office.pipe(&["claim", "import", "-"], text);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && error.contains(reason), "{text}: {error}");
    }
    // Rightly made, by a kiosk that this center does not know.
    let key = Ed25519KeyPair::from_seed_unchecked(&[5; 32]).unwrap();
    let payment = PaymentId { kiosk: KioskNumber::new(9).unwrap(), epoch: 1, number: 1, nonce: [1; 16] };
    let kind = DepositKind::Hold(HoldReason::Stopped);
    let deposit =
        Deposit { payment, kind, quote: None, payer: None, notes: pile(&[500]), made_at: system_clock() };
    let sign = |message: &[u8]| Signature(key.sign(message).as_ref().try_into().unwrap());
    let text = Qr::Deposit(Signed::new(&deposit, sign)).encode();
    office.staff();
    let output = office.pipe(&["claim", "import", "-", "--as", "aigul.key"], &text);
    assert!(String::from_utf8(output.stderr).unwrap().contains("refused: NotYours"));
    let none = office.bad(&["journal", "import", ".", "--as", "aigul.key"]);
    assert!(none.contains("checkpoint"), "{none}");
    let office_key = std::fs::read_to_string(office.0.join("center.toml")).unwrap();
    std::fs::write(office.0.join("wrong.key"), office_key).unwrap();
    let wrong = office.bad(&["balance", "refund", "123456789018", "--as", "wrong.key"]);
    assert!(wrong.contains("wrong.key: not an operator key"), "{wrong}");
    assert!(office.bad(&["claim", "import", "nowhere.txt"]).contains("nowhere.txt"));
    std::fs::write(office.0.join("center.toml"), "listen = 7").unwrap();
    assert!(office.bad(&["serve"]).contains("listen"));
    assert!(office.bad(&["audit", "--config", "other.toml"]).contains("other.toml"));
}

/// A reversal that the acquirer refuses, as the center's database has it.
fn refused_reversal(directory: &Path) -> PaymentId {
    let mut store = SqliteStore::open(&directory.join("center.db")).unwrap();
    let kiosk = KioskNumber::new(42).unwrap();
    let payment = PaymentId { kiosk, epoch: 1, number: 17, nonce: [3; 16] };
    let number = CardNumber::parse(concat!("5413", "3300", "8902", "0011")).unwrap();
    let ask = Ask {
        payment,
        terminal: *b"KSK00042",
        merchant: *b"KIOSKTEST000001",
        amount: tenge(4_325),
        sealed_number: Pki::at(directory).keys().unwrap().seal_number(&number.into(), &payment, [1; 12]),
        outcome: None,
    };
    let row = PaymentRow {
        payment,
        state: PaymentState::Voided,
        payer: None,
        payer_tail: 0,
        day: system_clock().date(),
        payee: None,
        quote: None,
        deposit: None,
        outcome: None,
        inserted: Amount::ZERO,
        printed_by: None,
    };
    store
        .transact(|store| {
            let now = system_clock();
            store.put_payment(&row)?;
            acquirer::begin(store, now, ask.clone())?;
            acquirer::void(store, now, &payment, Why::Void)?;
            acquirer::due(store, now, 9)?;
            store.put_attempts(&format!("card-disputed:{payment}"), AttemptRow { first: now, count: 1 })?;
            store.raise(&Alarm {
                at: now,
                kiosk,
                kind: "card-disputed".into(),
                text: format!("the acquirer refuses the reversal of payment {payment}: code 12"),
                disputed: Amount::ZERO,
                evidence: Vec::new(),
            })
        })
        .unwrap();
    payment
}

#[test]
fn an_operator_sees_a_card_payment_and_two_end_it() {
    let office = Office::new();
    office.good(&["init", "."]);
    office.staff();
    let key = Ed25519KeyPair::from_seed_unchecked(&[5; 32]).unwrap();
    let public = data_encoding::BASE64.encode(key.public_key().as_ref());
    office.good(&["enroll", "--kiosk", "42", "--journal-key", &public]);
    assert_eq!(office.good(&["card", "list"]), "no card payment is open\n");
    let payment = refused_reversal(&office.0).to_string();
    let listed = office.good(&["card", "list"]);
    assert!(listed.contains(&payment) && listed.contains("waits for a person"), "{listed}");
    let shown = office.good(&["card", "show", &payment]);
    for wanted in [
        "4\u{202f}325",
        "KSK00042",
        "trace 000001",
        "trace 000002",
        "**** 0011",
        "card-disputed",
        "code 12",
        "next ",
    ] {
        assert!(shown.contains(wanted), "{wanted}: {shown}");
    }
    assert!(!shown.contains("5413") && !shown.contains("8902"), "{shown}");
    let end = |ruling| ["card", "end", &payment, ruling, "--why", "by phone"].map(str::to_owned);
    let wrong = end("taken");
    let wrong: Vec<&str> = wrong.iter().map(String::as_str).chain(["--as", "aigul.key"]).collect();
    assert!(office.bad(&wrong).contains("given-back"));
    let right = end("given-back");
    office.decided(&right.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(office.good(&["card", "list"]), "no card payment is open; --all shows the others\n");
    assert!(office.good(&["card", "list", "--all"]).contains("given back"));
    assert!(office.good(&["card", "show", &payment]).contains("not kept any more"));
    assert!(office.good(&["deeds"]).contains("end card payment"));
}
