//! Who gets a certificate: invitations, first certificates, renewals, and what is refused.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::*;
use ring::digest;
use tolem_center::{
    logic::{
        approval::Asked,
        enrolment::{self, CertificateRow, Enrolment as _, Issued, Issuer, KeyHash, Shown, invite_message},
        office::{Action, Office as _},
        store::{Store as _, Transact},
    },
    pen::Pen,
};
use tolem_protocol::{
    KioskNumber, UtcTime,
    enrolment::{Answer, CertificateRequest, Enrol, InviteCode, Question, Why},
    signed::Signed,
};

/// An authority whose requests are their keys: what begins with `!` is no request, and it signs until it is told not to.
#[derive(Default)]
struct Mint {
    broken: bool,
}

impl Issuer for Mint {
    fn key_of(&self, request: &[u8]) -> Option<KeyHash> {
        let hash = digest::digest(&digest::SHA256, request);
        (!request.starts_with(b"!")).then(|| hash.as_ref().try_into().unwrap())
    }

    fn issue(&self, kiosk: KioskNumber, request: &[u8], now: UtcTime) -> Result<Issued, String> {
        if self.broken {
            return Err("device-ca.key: no such file".into());
        }
        let certificate = [format!("{kiosk} ").as_bytes(), request].concat();
        Ok(Issued { certificate, good_until: now.plus_seconds(730 * 86_400) })
    }
}

const CODE: InviteCode = InviteCode(*b"ten bytes!");

fn request(key: &str) -> CertificateRequest {
    CertificateRequest::from_slice(key.as_bytes()).unwrap()
}

fn key(name: &str) -> KeyHash {
    Mint::default().key_of(name.as_bytes()).unwrap()
}

fn kiosk(number: u32) -> KioskNumber {
    KioskNumber::new(number).unwrap()
}

fn ask<S: Transact>(town: &mut Town<S>, question: &Question, shown: Option<Shown>) -> Answer {
    let (center, now) = (&town.center, town.now);
    town.store.transact(|store| center.enrol(store, now, question, shown, &Mint::default())).unwrap().0
}

fn enrol(number: u32, code: InviteCode, key: &str) -> Question {
    let person = Kiosk::new(number);
    let enrol = Enrol { kiosk: kiosk(number), journal_key: person.public(), code, request: request(key) };
    Question::Enrol(Signed::new(&enrol, |message| person.sign(message)))
}

fn given(answer: Answer) -> String {
    match answer {
        Answer::Issued(certificate) => String::from_utf8(certificate.to_vec()).unwrap(),
        Answer::Refused(why) => panic!("{why:?}"),
    }
}

fn refused(answer: Answer) -> Why {
    match answer {
        Answer::Refused(why) => why,
        Answer::Issued(_) => panic!("a certificate was given"),
    }
}

/// A town with the operator aigul.
fn staffed<S: Transact>(store: S) -> (Town<S>, Pen) {
    let mut town = Town::new(store);
    let pen = Pen::from_seed("aigul", &[3; 32].into()).unwrap();
    let action = Action::AddOperator { name: pen.name.clone(), key: pen.public() };
    let (now, signature, center) = (town.now, pen.ask(town.now, &action), &town.center);
    let asked =
        town.store.transact(|store| center.ask_two(store, now, "aigul", &action, &signature)).unwrap();
    assert_eq!(asked, Ok(Asked::Founded));
    (town, pen)
}

fn invite<S: Transact>(town: &mut Town<S>, pen: &Pen, number: u32, code: InviteCode) -> Result<(), String> {
    let (center, now, kiosk) = (&town.center, town.now, kiosk(number));
    let signature = pen.sign(&invite_message(&pen.name, kiosk, now));
    let until = now.plus_seconds(86_400);
    town.store.transact(|store| center.invite(store, now, &pen.name, &signature, kiosk, code, until)).unwrap()
}

fn a_code_enrols_one_terminal_once(lab: &impl Lab) {
    let (mut town, pen) = staffed(lab.create());
    assert_eq!(refused(ask(&mut town, &enrol(7, CODE, "tls"), None)), Why::WrongCode, "nobody was invited");
    invite(&mut town, &pen, 7, CODE).unwrap();
    assert_eq!(refused(ask(&mut town, &enrol(8, CODE, "tls"), None)), Why::WrongCode, "for another terminal");
    let other = InviteCode([0; 10]);
    assert_eq!(refused(ask(&mut town, &enrol(7, other, "tls"), None)), Why::WrongCode);
    assert_eq!(town.store.kiosk(kiosk(7)).unwrap(), None, "nothing is registered so far");
    assert_eq!(given(ask(&mut town, &enrol(7, CODE, "tls"), None)), "00007 tls");
    // The answer was lost: the same again. With another key it is somebody else.
    let mut town = town.restart(lab);
    assert_eq!(given(ask(&mut town, &enrol(7, CODE, "tls"), None)), "00007 tls");
    assert_eq!(refused(ask(&mut town, &enrol(7, CODE, "other"), None)), Why::CodeUsed);
    let row = town.store.kiosk(kiosk(7)).unwrap().unwrap();
    assert_eq!(row.journal_key, Kiosk::new(7).public());
    let deeds = town.store.deeds().unwrap();
    assert!(deeds.iter().any(|deed| deed.by == "aigul" && deed.what.starts_with("kiosk 00007 has enrolled")));
    town.kiosks.insert(7, Kiosk::new(7));
    town.greet(7);
}

fn a_code_ends_and_a_newer_one_replaces_it(lab: &impl Lab) {
    let (mut town, pen) = staffed(lab.create());
    invite(&mut town, &pen, 7, CODE).unwrap();
    let newer = InviteCode([9; 10]);
    invite(&mut town, &pen, 7, newer).unwrap();
    assert_eq!(refused(ask(&mut town, &enrol(7, CODE, "tls"), None)), Why::WrongCode);
    town.now = town.now.plus_seconds(86_400);
    assert_eq!(refused(ask(&mut town, &enrol(7, newer, "tls"), None)), Why::CodeExpired);
    assert_eq!(town.store.kiosk(kiosk(7)).unwrap(), None);
    // A used code may be shown again for the lost answer, also past its end.
    invite(&mut town, &pen, 7, CODE).unwrap();
    given(ask(&mut town, &enrol(7, CODE, "tls"), None));
    town.now = town.now.plus_seconds(2 * 86_400);
    assert_eq!(given(ask(&mut town, &enrol(7, CODE, "tls"), None)), "00007 tls");
}

fn only_an_operator_invites(lab: &impl Lab) {
    let (mut town, pen) = staffed(lab.create());
    let stranger = Pen::from_seed("bolat", &[4; 32].into()).unwrap();
    assert!(invite(&mut town, &stranger, 7, CODE).unwrap_err().contains("no operator"));
    let forged = Pen::from_seed("aigul", &[4; 32].into()).unwrap();
    assert!(invite(&mut town, &forged, 7, CODE).unwrap_err().contains("not the key of aigul"));
    assert_eq!(town.store.invite(kiosk(7)).unwrap(), None);
    invite(&mut town, &pen, 7, CODE).unwrap();
}

fn what_is_not_signed_by_its_journal_is_refused(lab: &impl Lab) {
    let (mut town, pen) = staffed(lab.create());
    invite(&mut town, &pen, 7, CODE).unwrap();
    let (named, signer) = (Kiosk::new(7), Kiosk::new(8));
    let words = Enrol { kiosk: kiosk(7), journal_key: named.public(), code: CODE, request: request("tls") };
    let question = Question::Enrol(Signed::new(&words, |message| signer.sign(message)));
    assert_eq!(refused(ask(&mut town, &question, None)), Why::Signature);
    assert_eq!(refused(ask(&mut town, &enrol(7, CODE, "!no request"), None)), Why::Request);
    given(ask(&mut town, &enrol(7, CODE, "tls"), None));
}

fn an_authority_that_cannot_sign_uses_no_code_up(lab: &impl Lab) {
    let (mut town, pen) = staffed(lab.create());
    invite(&mut town, &pen, 7, CODE).unwrap();
    let (center, now, question) = (&town.center, town.now, enrol(7, CODE, "tls"));
    let broken = Mint { broken: true };
    let (answer, trouble) =
        town.store.transact(|store| center.enrol(store, now, &question, None, &broken)).unwrap();
    assert_eq!(refused(answer), Why::Unavailable);
    assert!(trouble.unwrap().contains("device-ca.key"));
    assert_eq!(town.store.kiosk(kiosk(7)).unwrap(), None);
    given(ask(&mut town, &question, None));
}

fn wrong_codes_are_told_once(lab: &impl Lab) {
    let (mut town, _) = staffed(lab.create());
    for _ in 0..9 {
        ask(&mut town, &enrol(7, InviteCode([1; 10]), "tls"), None);
    }
    assert_eq!(town.alarms(), ["enrol-wrong-code"]);
}

fn the_newest_certificate_renews_itself(lab: &impl Lab) {
    let (mut town, pen) = staffed(lab.create());
    invite(&mut town, &pen, 7, CODE).unwrap();
    given(ask(&mut town, &enrol(7, CODE, "one"), None));
    let shows = |name: &str, ended| Some(Shown { kiosk: kiosk(7), key: key(name), ended });
    let renew = |name: &str| Question::Renew(request(name));
    assert_eq!(refused(ask(&mut town, &renew("two"), None)), Why::NoCertificate);
    assert_eq!(refused(ask(&mut town, &renew("!"), shows("one", false))), Why::Request);
    assert_eq!(refused(ask(&mut town, &renew("two"), shows("stolen", false))), Why::Superseded);
    assert_eq!(given(ask(&mut town, &renew("two"), shows("one", false))), "00007 two");
    // The answer was lost: the same with the same old key, and nothing else with it.
    let mut town = town.restart(lab);
    assert_eq!(given(ask(&mut town, &renew("two"), shows("one", false))), "00007 two");
    assert_eq!(refused(ask(&mut town, &renew("thief"), shows("one", true))), Why::Superseded);
    // Past its end the newest may still renew.
    assert_eq!(given(ask(&mut town, &renew("three"), shows("two", true))), "00007 three");
    assert_eq!(refused(ask(&mut town, &renew("x"), shows("one", false))), Why::Superseded);
    let nobody = Some(Shown { kiosk: kiosk(99), key: key("one"), ended: false });
    assert_eq!(refused(ask(&mut town, &renew("x"), nobody)), Why::Unknown);
    // Invited anew, with a key from before: that key has no say any more.
    let code = InviteCode([5; 10]);
    invite(&mut town, &pen, 7, code).unwrap();
    given(ask(&mut town, &enrol(7, code, "four"), None));
    assert_eq!(refused(ask(&mut town, &renew("four"), shows("three", false))), Why::Superseded);
}

fn a_certificate_from_before_renews_while_it_is_good(lab: &impl Lab) {
    let mut town = Town::new(lab.create());
    let shows = |ended| Some(Shown { kiosk: kiosk(1), key: key("by hand"), ended });
    let renew = Question::Renew(request("next"));
    assert_eq!(refused(ask(&mut town, &renew, shows(true))), Why::Superseded);
    assert_eq!(given(ask(&mut town, &renew, shows(false))), "00001 next");
    let end = town.now.plus_seconds(730 * 86_400);
    let row = CertificateRow {
        kiosk: kiosk(1),
        key: key("next"),
        former: Some(key("by hand")),
        certificate: b"00001 next".to_vec(),
        good_until: end,
        seen: UtcTime::default(),
    };
    assert_eq!(town.store.certificate(kiosk(1)).unwrap().as_ref(), Some(&row));
    // What it says hello with is remembered.
    town.store.transact(|store| enrolment::seen(store, kiosk(1), end)).unwrap();
    assert_eq!(town.store.certificate(kiosk(1)).unwrap(), Some(CertificateRow { seen: end, ..row }));
}

on_all_stores!(
    a_code_enrols_one_terminal_once,
    a_code_ends_and_a_newer_one_replaces_it,
    only_an_operator_invites,
    what_is_not_signed_by_its_journal_is_refused,
    an_authority_that_cannot_sign_uses_no_code_up,
    wrong_codes_are_told_once,
    the_newest_certificate_renews_itself,
    a_certificate_from_before_renews_while_it_is_good,
);
