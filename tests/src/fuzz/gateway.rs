//! Targets: what arrives at the e-government gateway. First anybody's XML with its signatures, then the words in a Body.
//!
//! Signed messages and the authority behind them are kept in `tests/fuzz/gateway`, so that an input that was found once means the
//! same for ever. They were made by [`found_authority`], whose keys nobody has kept: nothing else can ever be signed for it.

use super::seeds;
use crate::{files::top, rig::PAYER};
use roxmltree::Document;
use std::{fmt::Debug, fs, path::Path, sync::OnceLock};
use tolem_center::{
    gateway::words::{
        CheckIin, CheckIinResponse, CloseUpc, CloseUpcResponse, CreateUpc, CreateUpcResponse, GatewayFault,
        GetRegister, GetRegisterResponse, GetStatistics, GetStatisticsResponse, GetSummary,
        GetSummaryResponse, Line, Method, NotifyPayment, NotifyPaymentResponse, Owner, Paid, Request, Token,
        ValidateUpc, ValidateUpcResponse, VoidReason, VoidUpc, VoidUpcResponse, XmlElement,
    },
    pki::{
        Profile,
        nca::{Authority, Purpose},
    },
    xmlsig::{
        KeyFile, Trust,
        c14n::{Options, canonical},
        sign, verify,
    },
};
use tolem_protocol::{Amount, Iin, KioskNumber, PaymentCode, UtcTime, utc::Date};

/// When everything was signed, and when it is judged.
const NOW: UtcTime = UtcTime(1_795_700_000_000);
const KEPT: &str = "tests/fuzz/gateway";

/// The authority, and what `bank` has signed: the only things that may ever be believed.
struct Kept {
    trust: Trust,
    bodies: Vec<Vec<u8>>,
    root: Vec<u8>,
}

fn kept() -> &'static Kept {
    static KEPT_ONCE: OnceLock<Kept> = OnceLock::new();
    KEPT_ONCE.get_or_init(|| {
        let trust = Trust::read(&top().join(KEPT)).expect("the kept authority");
        let good = |name: &str| seeds::file(&format!("{KEPT}/{name}")).1;
        let body = |name| verify::message(&good(name), &trust, NOW).expect("a good message").body;
        let bodies = vec![body("message-ec.xml"), body("message-rsa.xml")];
        let root = verify::enveloped(&good("document.xml"), &trust, NOW).expect("a good document").root;
        Kept { trust, bodies, root }
    })
}

/// Any bytes as a signed message or document: refused by name, or what comes out is what `bank` has signed. Exclusive C14N of any
/// XML is XML again, and its own canonical form.
pub fn signatures(bytes: &[u8]) {
    let kept = kept();
    match verify::message(bytes, &kept.trust, NOW) {
        Ok(message) => {
            assert_eq!((message.signer.as_str(), message.created), ("bank", NOW));
            assert!(kept.bodies.contains(&message.body), "a body that nobody has signed");
        }
        Err(refused) => assert!(!refused.to_string().is_empty() && !refused.reason.word().is_empty()),
    }
    match verify::enveloped(bytes, &kept.trust, NOW) {
        Ok(document) => assert_eq!((document.signer.as_str(), document.root), ("bank", kept.root.clone())),
        Err(refused) => assert!(!refused.to_string().is_empty()),
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(document) = Document::parse(text) else { return };
    let first = canonical(document.root_element(), &Options::default());
    let text = String::from_utf8(first).expect("canonical XML is UTF-8");
    let again = Document::parse(&text).expect("canonical XML is XML");
    assert_eq!(
        String::from_utf8(canonical(again.root_element(), &Options::default())).as_deref(),
        Ok(text.as_str())
    );
}

fn today() -> Date {
    NOW.date()
}

fn element<E: XmlElement + PartialEq + Debug>(document: &Document<'_>) {
    match E::read(document.root_element(), today()) {
        Ok(read) => {
            let written = read.to_xml();
            let again = Document::parse(&written).expect("what is written is XML");
            assert_eq!(E::read(again.root_element(), today()), Ok(read));
        }
        Err(wrong) => assert!(!wrong.field.is_empty() && !wrong.fault.is_empty(), "{wrong:?}"),
    }
}

/// Any XML as the element in a Body, of any operation or answer: refused with the name of a field, or written and read the same.
pub fn gateway_words(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(document) = Document::parse(text) else { return };
    let root = document.root_element();
    if let Some(request) = Request::read(root, today()) {
        assert!(Request::OPERATIONS.contains(&root.tag_name().name()));
        if let Ok(request) = request {
            assert_eq!(request.operation(), root.tag_name().name());
            assert!(!request.message_id().as_str().is_empty());
        }
    }
    element::<CreateUpc>(&document);
    element::<CreateUpcResponse>(&document);
    element::<VoidUpc>(&document);
    element::<VoidUpcResponse>(&document);
    element::<NotifyPayment>(&document);
    element::<NotifyPaymentResponse>(&document);
    element::<ValidateUpc>(&document);
    element::<ValidateUpcResponse>(&document);
    element::<CloseUpc>(&document);
    element::<CloseUpcResponse>(&document);
    element::<GetRegister>(&document);
    element::<GetRegisterResponse>(&document);
    element::<GetStatistics>(&document);
    element::<GetStatisticsResponse>(&document);
    element::<GetSummary>(&document);
    element::<GetSummaryResponse>(&document);
    element::<CheckIin>(&document);
    element::<CheckIinResponse>(&document);
    element::<GatewayFault>(&document);
}

type Seeds = Vec<(String, Vec<u8>)>;

/// The kept messages and document.
pub fn signed() -> Seeds {
    ["message-ec.xml", "message-rsa.xml", "document.xml"]
        .map(|name| seeds::file(&format!("{KEPT}/{name}")))
        .to_vec()
}

fn notice() -> NotifyPayment {
    NotifyPayment {
        message_id: token("M-1"),
        transaction: token("T-1"),
        code: PaymentCode::from_random(7),
        kiosk: KioskNumber::new(42).expect("a kiosk number"),
        service: "id-card".try_into().expect("a service"),
        payer: Iin::parse(PAYER, today()).expect("an IIN"),
        amount: Paid::new(Amount::from_tenge(865)).expect("a sum"),
        method: Method::Cash,
        paid_at: UtcTime(1_795_699_990_000),
        bank_reference: Some(token("AUTH00")),
    }
}

fn token(text: &str) -> Token {
    Token::new(text).expect("a token")
}

/// One request of each kind, and one answer with a list.
pub fn words() -> Seeds {
    let notice = notice();
    let NotifyPayment { message_id, transaction, code, kiosk, service, payer, amount, .. } = notice.clone();
    let (request, day) = (token("R-1"), today());
    let all = [
        CreateUpc {
            message_id: message_id.clone(),
            transaction: transaction.clone(),
            kiosk,
            service: service.clone(),
            payer: payer.clone(),
            amount,
        }
        .to_xml(),
        VoidUpc { message_id: message_id.clone(), transaction, code, reason: VoidReason::Cancelled }.to_xml(),
        notice.to_xml(),
        ValidateUpc {
            message_id: message_id.clone(),
            request: request.clone(),
            code,
            recipient: payer.clone(),
            service: service.clone(),
            consume: false,
        }
        .to_xml(),
        CloseUpc {
            message_id: message_id.clone(),
            request: request.clone(),
            code,
            recipient: payer.clone(),
            service,
            operator: Line::new("Operator & 7 <ә>").expect("a line"),
        }
        .to_xml(),
        GetRegister {
            message_id: message_id.clone(),
            owner: Owner::Bank,
            name: token("bank"),
            day,
            skip: 0,
            last_day: Some(day),
        }
        .to_xml(),
        CheckIin { message_id, iin: payer }.to_xml(),
        GetSummaryResponse {
            in_reply_to: request,
            from: day,
            to: day,
            issued: 3,
            paid: 2,
            paid_total: Amount::from_tenge(1_730),
            used: 1,
            used_total: Amount::from_tenge(865),
            void: 0,
            expired: 0,
            refunded: 0,
            refunded_total: Amount::ZERO,
            claims: Vec::new(),
        }
        .to_xml(),
    ];
    all.into_iter().enumerate().map(|(at, xml)| (format!("{at}"), xml.into_bytes())).collect()
}

/// Makes a new authority and lets its `bank` sign; the keys are gone when this returns. Only needed when the profile changes.
///
/// # Errors
/// If something cannot be made or written.
pub fn found_authority() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let authority = Authority::create(directory.path(), NOW)?;
    let profile = Profile::standard(NOW);
    let identity = authority.issue("bank", &Purpose::Sign, &profile)?;
    let curve = KeyFile::from_pem(identity.certificate.as_bytes(), identity.key.as_bytes())?;
    let key = fs::read_to_string(top().join("center/src/xmlsig/testdata/rsa-2048.key"))?;
    let pair = rcgen::KeyPair::from_pem(&key)?;
    let request = rcgen::CertificateParams::default().serialize_request(&pair)?.pem()?;
    let certificate = authority.certify("bank", &Purpose::Sign, &request, &profile)?;
    let rsa = KeyFile::from_pem(certificate.as_bytes(), key.as_bytes())?;
    let kept = top().join(KEPT);
    fs::create_dir_all(&kept)?;
    for file in ["root.crt", "ca.crt", "root.crl", "ca.crl"] {
        fs::copy(authority.path(file), kept.join(file))?;
    }
    let body = notice().to_xml();
    let write = |name: &str, text: String| fs::write(kept.join(Path::new(name)), text);
    write("message-ec.xml", sign::message(&curve, &body, NOW)?)?;
    write("message-rsa.xml", sign::message(&rsa, &body, NOW)?)?;
    write("document.xml", sign::enveloped(&curve, &body)?)?;
    Ok(())
}
