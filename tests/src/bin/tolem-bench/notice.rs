//! The gateway: a signed notice of payment judged, booked, recorded and answered, beside the bare judgement of its RSA signature and one
//! durable write of its bytes.

use super::{ROUNDS, Target, Verdict, median, series};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject as _};
use std::{fs, os::unix::fs::FileExt as _, path::Path, process::Command, time::Instant};
use tolem_center::{
    gateway::{
        client::read_answer,
        desk::Desk,
        server::{self, Faults},
        setup::{self, GATEWAY_NAME},
        words::*,
    },
    pki::{
        Profile,
        nca::{Authority, Purpose},
    },
    server::system_clock,
    xmlsig::{KeyFile, Trust, sign},
};
use tolem_protocol::{Amount, Iin, KioskNumber, PaymentCode};

/// Notices of a round.
const EACH: usize = 200;

struct Bank {
    desk: Desk,
    signer: KeyFile,
    trust: Trust,
    payer: Iin,
}

impl Bank {
    fn send<R: XmlElement>(&self, message: &str) -> R {
        let now = system_clock();
        let answer =
            self.desk.answer(message.as_bytes(), "bank", Request::OPERATIONS, now).expect("an answer");
        let id = answer.envelope.split("<t:InReplyTo>").nth(1).and_then(|rest| rest.split('<').next());
        let id = Token::new(id.expect("an id")).expect("an id");
        read_answer(answer.envelope.as_bytes(), &self.trust, GATEWAY_NAME, &id, now).expect("no fault")
    }

    fn signed(&self, request: &impl XmlElement) -> String {
        sign::message(&self.signer, &request.to_xml(), system_clock()).expect("a signature")
    }

    fn code(&self, transaction: &Token) -> PaymentCode {
        let order = CreateUpc {
            message_id: Token::random(),
            transaction: transaction.clone(),
            kiosk: KioskNumber::new(1).expect("a number"),
            service: "id-card".try_into().expect("it fits"),
            payer: self.payer.clone(),
            amount: Paid::new(Amount::from_tenge(865)).expect("a sum"),
        };
        self.send::<CreateUpcResponse>(&self.signed(&order)).code
    }

    fn notice(&self, transaction: Token, code: PaymentCode) -> String {
        self.signed(&NotifyPayment {
            message_id: Token::random(),
            transaction,
            code,
            kiosk: KioskNumber::new(1).expect("a number"),
            service: "id-card".try_into().expect("it fits"),
            payer: self.payer.clone(),
            amount: Paid::new(Amount::from_tenge(865)).expect("a sum"),
            method: Method::Cash,
            paid_at: system_clock(),
            bank_reference: None,
        })
    }
}

/// An RSA key of 2048 bits and a request for a certificate, by openssl: (key, request), both PEM.
fn rsa(directory: &Path) -> Option<(String, String)> {
    let (key, request) = (directory.join("rsa.key"), directory.join("rsa.csr"));
    let made = Command::new("openssl")
        .args(["req", "-new", "-newkey", "rsa:2048", "-nodes", "-sha256", "-subj", "/CN=bank"])
        .args([
            std::ffi::OsStr::new("-keyout"),
            key.as_os_str(),
            std::ffi::OsStr::new("-out"),
            request.as_os_str(),
        ])
        .output();
    if !made.is_ok_and(|made| made.status.success()) {
        return None;
    }
    Some((fs::read_to_string(key).ok()?, fs::read_to_string(request).ok()?))
}

pub fn notice(scratch: &Path) -> Vec<Verdict> {
    println!("notice: {EACH} signed notices a round");
    let directory = scratch.join("gateway");
    let now = system_clock();
    let config = setup::init(&directory, &["localhost".into()], now).expect("a gateway");
    let Some((key, request)) = rsa(scratch) else {
        println!("  left out: the bank's RSA key is made by openssl (apt-get install openssl)");
        return Vec::new();
    };
    let authority = Authority::at(&directory.join("nca"));
    let certificate = authority.certify("bank", &Purpose::Sign, &request, &Profile::standard(now));
    let certificate = certificate.expect("a certificate");
    let bank = Bank {
        desk: server::open(&config, &Faults::default(), now).expect("a gateway"),
        signer: KeyFile::from_pem(certificate.as_bytes(), key.as_bytes()).expect("an RSA key"),
        trust: Trust::read(&directory.join("identity")).expect("certificates"),
        payer: Iin::parse("000101300019", now.date()).expect("an IIN"),
    };
    let pair = match PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key") {
        PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).expect("an RSA key"),
        _ => panic!("openssl writes PKCS #8"),
    };
    let file = fs::File::create(directory.join("bare")).expect("a file");
    file.set_len(1 << 20).and_then(|()| file.sync_all()).expect("a file");
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let token = |count: usize| Token::new(&format!("{round}-{count}")).expect("a token");
        let notices: Vec<String> =
            (0..EACH).map(|count| bank.notice(token(count), bank.code(&token(count)))).collect();
        let since = Instant::now();
        for notice in &notices {
            let answer = bank.desk.answer(notice.as_bytes(), "bank", Request::OPERATIONS, system_clock());
            assert!(answer.is_some_and(|answer| answer.fault.is_none()), "a notice was refused");
        }
        ours.push(since.elapsed().as_secs_f64() * 1e6 / EACH as f64);
        let random = ring::rand::SystemRandom::new();
        let signatures: Vec<_> = notices
            .iter()
            .map(|notice| {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, notice.as_bytes(), &mut signature)
                    .expect("a signature");
                signature
            })
            .collect();
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public().as_ref());
        let since = Instant::now();
        for (notice, signature) in notices.iter().zip(&signatures) {
            public.verify(notice.as_bytes(), signature).expect("it is right");
            file.write_all_at(notice.as_bytes(), 0).and_then(|()| file.sync_data()).expect("the disk");
        }
        bare.push(since.elapsed().as_secs_f64() * 1e6 / EACH as f64);
    }
    series("signed notice, judged, booked, recorded, answered", "µs", &ours);
    series("bare RSA verification and durable write", "µs", &bare);
    vec![Verdict {
        what: "signed notice, times bare RSA verify and fsync",
        value: median(&ours) / median(&bare),
        unit: "",
        target: Target::AtMost(3.0),
    }]
}
