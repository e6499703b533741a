//! The profile from both sides: what we sign we verify, and everything that was tried against verifiers of XML is refused by name.

use super::*;
use crate::pki::{
    Profile,
    nca::{Authority, Purpose},
};
use expect_test::expect;
use std::fmt::Write as _;
use tolem_protocol::UtcTime;
use x509_parser::prelude::FromDer as _;

const NOW: UtcTime = UtcTime(1_795_700_000_000);
const RSA_KEY: &str = include_str!("testdata/rsa-2048.key");
const WEAK: &str = include_str!("testdata/rsa-1024.crt");

struct World {
    _directory: tempfile::TempDir,
    authority: Authority,
    bank: KeyFile,
}

fn world() -> World {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::create(&directory.path().join("nca"), NOW).unwrap();
    let bank = signer(&authority, "bank", &Purpose::Sign);
    World { authority, bank, _directory: directory }
}

fn signer(authority: &Authority, who: &str, purpose: &Purpose) -> KeyFile {
    let identity = authority.issue(who, purpose, &Profile::standard(NOW)).unwrap();
    KeyFile::from_pem(identity.certificate.as_bytes(), identity.key.as_bytes()).unwrap()
}

fn rsa(authority: &Authority) -> KeyFile {
    let key = rcgen::KeyPair::from_pem(RSA_KEY).unwrap();
    let request = rcgen::CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
    let certificate = authority.certify("bank", &Purpose::Sign, &request, &Profile::standard(NOW)).unwrap();
    KeyFile::from_pem(certificate.as_bytes(), RSA_KEY.as_bytes()).unwrap()
}

impl World {
    fn trust(&self) -> Trust {
        Trust::read(self.authority.path("root.crt").parent().unwrap()).unwrap()
    }

    fn list(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.authority.path(name)).unwrap()
    }

    /// Our trust, with other revocation lists.
    fn trust_with(&self, lists: &[Vec<u8>]) -> Trust {
        let pem = |file: &str| {
            let text = std::fs::read(self.authority.path(file)).unwrap();
            x509_parser::pem::parse_x509_pem(&text).unwrap().1.contents
        };
        Trust::new(&pem("root.crt"), vec![pem("ca.crt")], lists).unwrap()
    }

    fn good(&self) -> String {
        sign::message(&self.bank, PAY, NOW).unwrap()
    }

    fn said(&self, message: &str) -> String {
        said(verify::message(message.as_bytes(), &self.trust(), NOW))
    }
}

const PAY: &str = "<t:Pay xmlns:t=\"urn:t\"><t:Amount>3932.00</t:Amount></t:Pay>";

fn said<T>(result: Result<T>) -> String {
    result.map_or_else(|refused| refused.reason.word().to_owned(), |_| "ACCEPTED".into())
}

/// One line per case: what was tried, and the reason it was refused for.
fn report(cases: impl IntoIterator<Item = (&'static str, String)>) -> String {
    let mut text = String::new();
    for (name, said) in cases {
        let _ = writeln!(text, "{name}: {said}");
    }
    text
}

#[test]
fn what_we_sign_we_verify_and_only_the_signed_bytes_come_out() {
    let world = world();
    for bank in [&world.bank, &rsa(&world.authority)] {
        let message = sign::message(bank, PAY, NOW).unwrap();
        let read = verify::message(message.as_bytes(), &world.trust(), NOW).unwrap();
        assert_eq!((read.signer.as_str(), read.created), ("bank", NOW));
        let body = format!(
            "<soap:Body xmlns:soap=\"{}\" xmlns:wsu=\"{}\" wsu:Id=\"body\">{PAY}</soap:Body>",
            ns::SOAP,
            ns::WSU
        );
        assert_eq!(String::from_utf8(read.body).unwrap(), body);
        let document = sign::enveloped(bank, PAY).unwrap();
        let read = verify::enveloped(document.as_bytes(), &world.trust(), NOW).unwrap();
        assert_eq!(String::from_utf8(read.root).unwrap(), PAY);
    }
}

/// What was found good once is not good for ever, nor for something else.
#[test]
fn a_remembered_judgement_ends_with_what_it_rests_on() {
    let world = world();
    let trust = world.trust();
    let message = world.good();
    let token = message.split("wsu:Id=\"token\">").nth(1).unwrap().split('<').next().unwrap();
    let certificate = data_encoding::BASE64.decode(token.trim().as_bytes()).unwrap();
    let signs = |at: i64| said(trust.signer(&certificate, NOW.plus_seconds(at)));
    let day = 86_400;
    let fresh = |at: i64| said(world.trust().signer(&certificate, NOW.plus_seconds(at)));
    for round in 0..2 {
        // Around the ends of lists, issuer and certificate, with and without something remembered.
        for at in [0, 1, 6, 7, 8, 30, 31, 364, 365, 366, 400, 4_000].map(|days| days * day) {
            for near in [-61, -1, 0, 1, 61] {
                assert_eq!(signs(at + near), fresh(at + near), "round {round}, {at} {near:+} s");
            }
        }
        assert_eq!(signs(-40 * day), fresh(-40 * day), "round {round}, before it was made");
    }
    assert_eq!(said(trust.channel(&certificate, NOW)), said(world.trust().channel(&certificate, NOW)));
    assert_eq!(signs(0), "ACCEPTED");
    assert_ne!(signs(4_000 * day), "ACCEPTED");
    assert_ne!(said(trust.channel(&certificate, NOW)), "ACCEPTED", "it signs, it opens no channel");
}

/// What an attacker makes of a signed message without the key.
#[test]
fn a_message_that_was_tampered_with_is_refused_by_name() {
    let world = world();
    let good = world.good();
    assert_eq!(world.said(&good), "ACCEPTED");
    let swap = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replacen(from, to, 1)
    };
    let body_at = good.find("<soap:Body").unwrap();
    let body = good[body_at..].strip_suffix("</soap:Envelope>").unwrap();
    let signature = &good[good.find("<ds:Signature ").unwrap()..good.find("</wsse:Security>").unwrap()];
    let evil = body.replace("3932.00", "1.00");
    let cases = [
        ("amount", swap("3932.00", "9932.00")),
        ("space in the amount", swap(">3932.00", "> 3932.00")),
        ("instruction inside the amount", swap("3932.00", "39<?x y?>32.00")),
        ("attribute added", swap("<t:Amount>", "<t:Amount paid=\"yes\">")),
        ("element added", swap("</t:Pay>", "<t:Extra/></t:Pay>")),
        (
            "other prefix",
            good.replace("t:Amount", "u:Amount").replace("<u:Amount>", "<u:Amount xmlns:u=\"urn:t\">"),
        ),
        ("other namespace", swap("xmlns:t=\"urn:t\"", "xmlns:t=\"urn:u\"")),
        ("second body after the signed one", swap(body, &format!("{body}{evil}"))),
        ("second body before the signed one", swap(body, &format!("{evil}{body}"))),
        ("signed body moved into the header", {
            let moved = swap(body, &evil.replace("wsu:Id=\"body\"", "wsu:Id=\"other\""));
            moved.replace(
                "</soap:Header>",
                &format!("<x:Wrap xmlns:x=\"urn:x\">{body}</x:Wrap></soap:Header>"),
            )
        }),
        ("signed body moved into the security header", {
            let moved = swap(body, &evil.replace(" wsu:Id=\"body\"", ""));
            moved.replace("</wsse:Security>", &format!("{body}</wsse:Security>"))
        }),
        ("signed body moved into the signature's Object", {
            let moved = swap(body, &evil.replace(" wsu:Id=\"body\"", ""));
            moved.replace("</ds:Signature>", &format!("<ds:Object>{body}</ds:Object></ds:Signature>"))
        }),
        ("signed body kept as a child of a new one", {
            swap(body, &format!("<soap:Body><t:Pay xmlns:t=\"urn:t\">{body}</t:Pay></soap:Body>"))
        }),
        ("signed body under another root", format!("<x>{good}</x>")),
        ("one id twice", swap("<t:Pay ", "<t:Pay Id=\"body\" ")),
        ("one id in two spellings", {
            let fake = evil.replace("wsu:Id=\"body\"", "ID=\"body\"");
            swap(
                body,
                &fake.replace("<t:Pay ", &format!("<t:Pay wsu:Id=\"body\" xmlns:wsu=\"{}\" ", ns::WSU)),
            )
        }),
        ("body without id", swap(" wsu:Id=\"body\"", "")),
        ("no signature", swap(signature, "")),
        ("two signatures", swap(signature, &format!("{signature}{signature}"))),
        ("signature beside the security header", {
            let declared = signature.replacen(
                "<ds:Signature ",
                &format!("<ds:Signature xmlns:wsse=\"{}\" ", ns::WSSE),
                1,
            );
            swap(signature, "").replace("</wsse:Security>", &format!("</wsse:Security>{declared}"))
        }),
        ("body not referenced", {
            let from = signature.find("<ds:Reference URI=\"#body\">").unwrap();
            let to = signature.find("<ds:Reference URI=\"#time\">").unwrap();
            swap(&signature[from..to], "")
        }),
        ("time replaced", swap("<wsu:Created>2026-", "<wsu:Created>2027-")),
    ];
    expect![[r#"
        amount: bad-digest
        space in the amount: bad-digest
        instruction inside the amount: processing-instruction
        attribute added: bad-digest
        element added: bad-digest
        other prefix: bad-digest
        other namespace: bad-digest
        second body after the signed one: layout
        second body before the signed one: layout
        signed body moved into the header: layout
        signed body moved into the security header: layout
        signed body moved into the signature's Object: signature-layout
        signed body kept as a child of a new one: not-covered
        signed body under another root: layout
        one id twice: ambiguous-id
        one id in two spellings: ambiguous-id
        body without id: ambiguous-id
        no signature: no-signature
        two signatures: many-signatures
        signature beside the security header: layout
        body not referenced: bad-signature
        time replaced: bad-digest
    "#]]
    .assert_eq(&report(cases.into_iter().map(|(name, message)| (name, world.said(&message)))));
}

/// Algorithms, references and keys that the profile does not take.
#[test]
fn a_signature_with_other_terms_is_refused_by_name() {
    let world = world();
    let good = world.good();
    let swap = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replacen(from, to, 1)
    };
    let cases = [
        ("digest method MD5", swap("xmlenc#sha256", "xmldsig-more#md5")),
        ("signature method HMAC", swap("xmldsig-more#ecdsa-sha256", "xmldsig-more#hmac-sha256")),
        ("signature method RSA with an EC key", swap("xmldsig-more#ecdsa-sha256", "xmldsig-more#rsa-sha256")),
        ("signature method SHA-1", swap("2001/04/xmldsig-more#ecdsa-sha256", "2000/09/xmldsig#rsa-sha1")),
        (
            "canonicalization with comments",
            swap(
                "CanonicalizationMethod Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#",
                "CanonicalizationMethod Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
            ),
        ),
        (
            "XSLT transform",
            swap(
                "<ds:Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#",
                "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xslt-19991116",
            ),
        ),
        ("reference to a file", swap("URI=\"#body\"", "URI=\"file:///etc/passwd\"")),
        ("reference by XPointer", swap("URI=\"#body\"", "URI=\"#xpointer(id('body'))\"")),
        ("reference to everything", swap("URI=\"#body\"", "URI=\"\"")),
        (
            "HMAC output cut to nothing",
            swap(
                "#ecdsa-sha256\"></ds:SignatureMethod>",
                "#ecdsa-sha256\"><ds:HMACOutputLength>0</ds:HMACOutputLength></ds:SignatureMethod>",
            ),
        ),
        ("manifest", swap("</ds:Signature>", "<ds:Object><ds:Manifest/></ds:Object></ds:Signature>")),
        ("key beside the certificate", swap("<ds:KeyInfo>", "<ds:KeyInfo><ds:KeyName>bank</ds:KeyName>")),
        ("embedded token beside the reference", {
            swap("<wsse:SecurityTokenReference>", "<wsse:SecurityTokenReference><wsse:Embedded/>")
        }),
        (
            "two tokens",
            swap(
                "<wsu:Timestamp ",
                &format!(
                    "<wsse:BinarySecurityToken xmlns:wsu=\"{}\" wsu:Id=\"second\">AAAA</wsse:BinarySecurityToken><wsu:Timestamp ",
                    ns::WSU
                ),
            ),
        ),
        ("key by remote retrieval", swap("URI=\"#token\"", "URI=\"http://evil.example/key\"")),
        (
            "no key",
            swap("<wsse:SecurityTokenReference>", "<!--").replace("</wsse:SecurityTokenReference>", "-->"),
        ),
        ("header beside the security header", swap("</soap:Header>", "<x xmlns=\"urn:x\"/></soap:Header>")),
        ("SOAP 1.2", good.replace(ns::SOAP, "http://www.w3.org/2003/05/soap-envelope")),
    ];
    expect![[r#"
        digest method MD5: bad-signature
        signature method HMAC: algorithm
        signature method RSA with an EC key: wrong-key
        signature method SHA-1: algorithm
        canonicalization with comments: algorithm
        XSLT transform: bad-signature
        reference to a file: bad-signature
        reference by XPointer: bad-signature
        reference to everything: bad-signature
        HMAC output cut to nothing: signature-layout
        manifest: signature-layout
        key beside the certificate: key-info
        embedded token beside the reference: key-info
        two tokens: key-info
        key by remote retrieval: key-info
        no key: key-info
        header beside the security header: layout
        SOAP 1.2: layout
    "#]]
    .assert_eq(&report(cases.into_iter().map(|(name, message)| (name, world.said(&message)))));
}

/// XML that attacks the reader before any signature is looked at.
#[test]
fn xml_that_attacks_the_parser_is_refused_by_name() {
    let world = world();
    let good = world.good();
    let bomb = "<!DOCTYPE b [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;\"><!ENTITY c \"&b;&b;&b;&b;\">]>";
    let deep = |levels: usize| format!("{}{}", "<a>".repeat(levels), "</a>".repeat(levels));
    let cases = [
        ("empty", String::new()),
        ("not XML", "payment please".into()),
        ("cut off", good[..good.len() / 2].to_owned()),
        ("empty document type", format!("<!DOCTYPE b>{good}")),
        ("entity bomb", format!("{bomb}{}", good.replace("3932.00", "&c;"))),
        ("external entity", format!("<!DOCTYPE b [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>{good}")),
        ("attribute by document type", format!("<!DOCTYPE b [<!ATTLIST b Id CDATA \"body\">]>{good}")),
        ("undeclared entity", good.replace("3932.00", "&x;")),
        ("70 deep", deep(70)),
        ("4,900 deep", deep(4_900)),
        ("200,000 deep", deep(200_000)),
        ("20,000 deep and never closed", "<a>".repeat(20_000)),
        ("many nodes", format!("<a>{}</a>", "<b/>".repeat(6_000))),
        ("too many bytes", format!("<a>{}</a>", "x".repeat(70_000))),
        ("UTF-16 declared", format!("<?xml version=\"1.0\" encoding=\"UTF-16\"?>{good}")),
        ("latin declared", format!("<?xml version='1.0' encoding='iso-8859-1'?>{good}")),
        ("stylesheet", format!("<?xml-stylesheet href=\"x\"?>{good}")),
        ("one attribute twice", "<a b=\"1\" b=\"2\"/>".into()),
        ("undeclared prefix", "<a:b/>".into()),
    ];
    expect![[r#"
        empty: not-xml
        not XML: not-xml
        cut off: not-xml
        empty document type: document-type
        entity bomb: document-type
        external entity: document-type
        attribute by document type: document-type
        undeclared entity: not-xml
        70 deep: too-deep
        4,900 deep: too-deep
        200,000 deep: too-large
        20,000 deep and never closed: too-many-nodes
        many nodes: too-many-nodes
        too many bytes: too-large
        UTF-16 declared: not-utf-8
        latin declared: not-utf-8
        stylesheet: processing-instruction
        one attribute twice: not-xml
        undeclared prefix: not-xml
    "#]]
    .assert_eq(&report(cases.into_iter().map(|(name, message)| (name, world.said(&message)))));
    assert_eq!(said(verify::message(&[0xff, 0xfe, 0x3c, 0x00], &world.trust(), NOW)), "not-utf-8");
    let declared = format!("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n{good}");
    assert_eq!(world.said(&declared), "ACCEPTED");
}

/// A comment splits the text for careless readers; ours reads the canonical bytes, in which it is gone.
#[test]
fn a_comment_inside_the_amount_does_not_change_what_is_read() {
    let world = world();
    for spelling in ["3<!-- -->932.00", "<![CDATA[3932.00]]>", "393&#50;.00"] {
        let message = world.good().replace("3932.00", spelling);
        let read = verify::message(message.as_bytes(), &world.trust(), NOW).unwrap();
        assert!(String::from_utf8(read.body).unwrap().contains("<t:Amount>3932.00</t:Amount>"), "{spelling}");
    }
}

/// Keys and certificates that are not the bank's, or not good for this, or not good any more.
#[test]
fn foreign_keys_and_certificates_are_refused_by_name() {
    let world = world();
    let elsewhere = self::world();
    let message = |key: &KeyFile| sign::message(key, PAY, NOW).unwrap();
    let profile = |from: i64, to: i64| Profile {
        not_before: NOW.plus_seconds(from),
        not_after: NOW.plus_seconds(to),
        client_auth: true,
    };
    let timed = |from, to| {
        let identity = world.authority.issue("bank", &Purpose::Sign, &profile(from, to)).unwrap();
        KeyFile::from_pem(identity.certificate.as_bytes(), identity.key.as_bytes()).unwrap()
    };
    let own = {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, "bank");
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::EmailProtection];
        let certificate = params.self_signed(&key).unwrap().pem();
        KeyFile::from_pem(certificate.as_bytes(), key.serialize_pem().as_bytes()).unwrap()
    };
    let authority_itself = {
        let read = |file| std::fs::read(world.authority.path(file)).unwrap();
        KeyFile::from_pem(&read("ca.crt"), &read("ca.key")).unwrap()
    };
    let other = signer(&world.authority, "bank", &Purpose::Sign);
    let encode = |key: &KeyFile| data_encoding::BASE64.encode(key.certificate());
    let cases = [
        ("another authority with the same names", world.said(&message(&elsewhere.bank))),
        ("self-signed with the bank's name", world.said(&message(&own))),
        (
            "certificate of a TLS channel",
            world.said(&message(&signer(&world.authority, "bank", &Purpose::Connect))),
        ),
        ("certificate of a TLS server", {
            world.said(&message(&signer(&world.authority, "bank", &Purpose::Serve(vec!["bank".into()]))))
        }),
        ("the authority itself", world.said(&message(&authority_itself))),
        ("expired", world.said(&message(&timed(-7_200, -3_600)))),
        ("not yet valid", world.said(&message(&timed(3_600, 7_200)))),
        (
            "certificate of another key",
            world.said(&world.good().replace(&encode(&world.bank), &encode(&other))),
        ),
        ("RSA certificate under an EC signature", {
            world.said(&world.good().replace(&encode(&world.bank), &encode(&rsa(&world.authority))))
        }),
        (
            "certificate cut off",
            world.said(&world.good().replace(&encode(&world.bank), &encode(&world.bank)[..400])),
        ),
    ];
    expect![[r#"
        another authority with the same names: untrusted-issuer
        self-signed with the bank's name: untrusted-issuer
        certificate of a TLS channel: not-for-signing
        certificate of a TLS server: not-for-signing
        the authority itself: not-for-signing
        expired: certificate-time
        not yet valid: certificate-time
        certificate of another key: bad-signature
        RSA certificate under an EC signature: wrong-key
        certificate cut off: certificate
    "#]]
    .assert_eq(&report(cases));
    let (_, weak) = x509_parser::pem::parse_x509_pem(WEAK.as_bytes()).unwrap();
    let (_, weak) = x509_parser::certificate::X509Certificate::from_der(&weak.contents).unwrap();
    assert_eq!(said(suite::RsaSha256.verify(weak.public_key(), b"", &[0; 128])), "weak-key");
}

/// Revocation lists that say yes when they should not.
#[test]
fn revocation_is_found_and_lists_that_prove_nothing_are_refused_by_name() {
    let world = world();
    let elsewhere = self::world();
    let good = world.good();
    let judge =
        |lists: &[Vec<u8>], now| said(verify::message(good.as_bytes(), &world.trust_with(lists), now));
    let (root, fresh) = (world.list("root.crl"), world.list("ca.crl"));
    assert_eq!(judge(&[root.clone(), fresh.clone()], NOW), "ACCEPTED");

    world.authority.refresh(NOW.plus_seconds(-90_000), 1).unwrap();
    let stale = world.list("ca.crl");
    world.authority.refresh(NOW, 7).unwrap();
    let mut flipped = fresh.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let pem = {
        use data_encoding::BASE64;
        format!(
            "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
            BASE64.encode(world.bank.certificate())
        )
    };
    world.authority.revoke(&pem, NOW).unwrap();
    let revoking = world.list("ca.crl");
    let cases = [
        ("revoked", judge(&[root.clone(), revoking], NOW)),
        ("stale list", judge(&[root.clone(), stale], NOW)),
        ("list forged with another key", judge(&[root.clone(), elsewhere.list("ca.crl")], NOW)),
        ("list with a flipped bit", judge(&[root.clone(), flipped], NOW)),
        ("only the root's list", judge(std::slice::from_ref(&root), NOW)),
        ("only the authority's list", judge(std::slice::from_ref(&fresh), NOW)),
        ("no list", judge(&[], NOW)),
    ];
    expect![[r#"
        revoked: revoked
        stale list: revocation-list-stale
        list forged with another key: revocation-list-forged
        list with a flipped bit: revocation-list-forged
        only the root's list: revocation-list-missing
        only the authority's list: revocation-list-missing
        no list: revocation-list-missing
    "#]]
    .assert_eq(&report(cases));
    assert!(Trust::new(&[], Vec::new(), &[b"not a list".to_vec()]).is_err());
}

#[test]
fn a_message_is_good_for_five_minutes_either_way() {
    let world = world();
    let good = world.good();
    let at = |seconds: i64| said(verify::message(good.as_bytes(), &world.trust(), NOW.plus_seconds(seconds)));
    let list = [-301, -300, 0, 300, 301].map(at);
    assert_eq!(list, ["not-fresh", "ACCEPTED", "ACCEPTED", "ACCEPTED", "not-fresh"]);
}

#[test]
fn a_document_whose_signature_covers_something_else_is_refused() {
    let world = world();
    let trust = world.trust();
    let good = sign::enveloped(&world.bank, PAY).unwrap();
    let signature = good[good.find("<ds:Signature ").unwrap()..].strip_suffix("</t:Pay>").unwrap();
    let evil = PAY.replace("3932.00", "1.00");
    let cases = [
        ("amount", good.replace("3932.00", "9932.00")),
        ("signed original as a child", evil.replace("</t:Pay>", &format!("{good}</t:Pay>"))),
        ("signed original as a sibling", format!("<x>{evil}{good}</x>")),
        (
            "signed original in Object",
            evil.replace(
                "</t:Pay>",
                &format!(
                    "{}</t:Pay>",
                    signature
                        .replace("</ds:Signature>", &format!("<ds:Object>{PAY}</ds:Object></ds:Signature>"))
                ),
            ),
        ),
        ("signature of another", evil.replace("</t:Pay>", &format!("{signature}</t:Pay>"))),
        ("no signature", PAY.into()),
        (
            "two certificates",
            good.replace("</ds:X509Data>", "<ds:X509Certificate>AA==</ds:X509Certificate></ds:X509Data>"),
        ),
    ];
    expect![[r#"
        amount: bad-digest
        signed original as a child: no-signature
        signed original as a sibling: no-signature
        signed original in Object: signature-layout
        signature of another: bad-digest
        no signature: no-signature
        two certificates: key-info
    "#]]
    .assert_eq(&report(
        cases.into_iter().map(|(name, text)| (name, said(verify::enveloped(text.as_bytes(), &trust, NOW)))),
    ));
}

/// Every cut and every flipped byte of a good message: an answer, never a panic, never acceptance of something else.
#[test]
fn no_damage_panics_or_passes() {
    let world = world();
    let trust = world.trust();
    let good = world.good();
    let body = verify::message(good.as_bytes(), &trust, NOW).unwrap().body;
    for at in (0..good.len()).step_by(7) {
        let mut bytes = good.clone().into_bytes();
        bytes[at] ^= 1 << (at % 7);
        if let Ok(read) = verify::message(&bytes, &trust, NOW) {
            assert_eq!(read.body, body, "byte {at}");
        }
        assert!(verify::message(&good.as_bytes()[..at], &trust, NOW).is_err(), "cut at {at}");
    }
}

#[test]
fn times_are_read_as_xml_schema_writes_them() {
    for (text, ms) in [
        ("1970-01-01T00:00:00Z", Some(0)),
        ("1970-01-01T05:00:00.5+05:00", Some(500)),
        ("1969-12-31T19:00:01.123456789-05:00", Some(1_123)),
        (" 2026-11-22T09:05:09Z\n", Some(1_795_338_309_000)),
        ("2026-11-22T09:05:09", None),
        ("2026-11-22 09:05:09Z", None),
        ("2026-02-30T09:05:09Z", None),
        ("2026-11-22T24:00:00Z", None),
        ("2026-11-22T09:05:09.Z", None),
        ("2026-11-22T09:05:09+15:00", None),
        ("2026-11-22T9:05:09Z", None),
        ("", None),
    ] {
        assert_eq!(sign::parse_time(text).map(|at| at.0), ms, "{text}");
    }
    assert_eq!(sign::parse_time(&sign::write_time(NOW)), Some(NOW));
}
