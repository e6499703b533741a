//! Payments by card through a served center and a served issuer: the center is killed anywhere, answers are lost or late, the line is cut;
//! in the end the issuer's ledger, the center's books and what the kiosk wrote down say the same.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod card_place;

use card_place::*;
use std::{
    fs,
    io::Write as _,
    net::TcpListener,
    sync::{Arc, Mutex},
};
use tolem_card_keys::TdesKey;
use tolem_center::{
    acquirer::{Hsm, HsmError, OpenedNumber},
    keys::seal_card,
    server::{self, Options, system_clock},
};
use tolem_hal_sim::{
    issuer::{Mood, Standing as AtIssuer, TestIssuer, Vault, ZONE},
    line::Dice,
    pin_pad_device::PinPadKeys,
};
use tolem_protocol::{
    card::{CardAnswer, CardSecret, DeclineReason, PinKey, SealedNumber, VoidReason},
    emv::CardNumber,
    messages::{self, Request},
    pinpad::{KeySerial, PinBlock},
};

#[test]
fn killed_and_unheard_by_seed_issuer_center_and_kiosk_agree() {
    let mut all = [0; 3];
    for seed in 0..3 {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let place = Place::new(listener.local_addr().unwrap());
        let issuer = Arc::new(Mutex::new(TestIssuer::common()));
        let host = served(&place, listener, &issuer);
        let mut center = Serving::start(&place);
        let mut kiosk = Kiosk::new(&place, seed);
        let mut dice = Dice::new(seed ^ 0xACE);
        for _ in 0..8 {
            let quote = kiosk.quote();
            let payment = quote.read_unverified().unwrap().payment;
            let order = kiosk.order(&quote, if dice.chance(300) { "1111" } else { "2580" });
            for mood in [Mood::LosesRequest, Mood::LosesAnswer, Mood::AnswersLate] {
                if dice.chance(80) {
                    host.issuer().moods.push_back(mood);
                }
            }
            let heard = match dice.below(5) {
                // Killed with the order on its way, or just taken.
                0 => {
                    let link = kiosk.link.as_mut().unwrap();
                    let _ = link.write_all(&messages::encode(77, &Request::Authorize(order)));
                    let _ = link.flush();
                    center.kill_and_start(&place);
                    kiosk.link = None;
                    None
                }
                // Nobody listens to the answer.
                1 => {
                    let link = kiosk.link.as_mut().unwrap();
                    let _ = link.write_all(&messages::encode(77, &Request::Authorize(order)));
                    let _ = link.flush();
                    kiosk.link = None;
                    None
                }
                2 => {
                    let heard = kiosk.try_ask(&Request::Authorize(order));
                    center.kill_and_start(&place);
                    kiosk.link = None;
                    heard
                }
                3 => {
                    let heard = kiosk.try_ask(&Request::Authorize(order));
                    host.cut();
                    heard
                }
                _ => kiosk.try_ask(&Request::Authorize(order)),
            };
            kiosk.finish(payment, heard);
        }
        host.issuer().moods.clear();
        until_rest(&place);
        drop(center);
        let ends = compare(&place, &host.issuer(), &kiosk.journal);
        all.iter_mut().zip(ends).for_each(|(sum, more)| *sum += more);
    }
    assert!(all.iter().all(|count| *count > 0), "confirmed, reversed, declined: {all:?}");
}

/// The test security module: the only one that this house has, and never in a program that is shipped.
struct TestHsm(Vault);

impl Hsm for TestHsm {
    fn translate(
        &self,
        block: &PinBlock,
        serial: KeySerial,
        number: &CardNumber,
    ) -> Result<PinBlock, HsmError> {
        let serial: String = serial.0.iter().map(|byte| format!("{byte:02X}")).collect();
        let block = self.0.translate(*block.bytes(), serial.as_bytes(), number);
        block.map(PinBlock::new).ok_or(HsmError::Refused)
    }

    fn open(&self, sealed: &SealedNumber) -> Result<OpenedNumber, HsmError> {
        let opened = self.0.open(sealed).ok_or(HsmError::Refused)?;
        Ok(OpenedNumber { number: opened.number, expiry: opened.expiry })
    }
}

#[test]
fn numbers_that_readers_have_enciphered_are_opened_in_the_security_module_or_by_the_acquirer() {
    for (terms, module) in
        [("number = \"open\"\npin = \"translate\"\n", true), ("number = \"forward\"\n", false)]
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let place = Place::new(listener.local_addr().unwrap());
        let file = place.folder.path().join("acquirer/center/acquirer.toml");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replace("number = \"forward\"\n", terms)).unwrap();
        let options = || Options {
            config: place.config.clone(),
            observer: None,
            clock: system_clock,
            neighbours: None,
        };
        if module {
            let error = server::start(options()).err().map(|error| format!("{error:#}")).unwrap();
            assert!(error.contains("needs a security module, and this program has none"), "{error}");
        }
        let issuer = Arc::new(Mutex::new(TestIssuer::common()));
        let host = served(&place, listener, &issuer);
        let vault = Vault::new(PinPadKeys::test().base, TdesKey::new(&ZONE).unwrap());
        let hsm = module.then(|| Arc::new(TestHsm(vault)) as Arc<dyn Hsm>);
        let center = server::start_with(options(), hsm).unwrap();
        let mut kiosk = Kiosk::new(&place, 1);
        for (pin, expiry, approved) in [
            ("2580", [3, 0, 1, 2], true),
            ("1111", [3, 0, 1, 2], false),
            // Another card's number under this card's name.
            ("2580", [2, 9, 1, 1], false),
        ] {
            let quote = kiosk.quote();
            let payment = quote.read_unverified().unwrap().payment;
            let order = kiosk.sealed_order(&quote, pin, expiry);
            let heard = kiosk.card_answer(&Request::Authorize(order));
            assert_eq!(matches!(heard, CardAnswer::Approved { .. }), approved, "{heard:?}");
            let end = if approved { kiosk.card_answer(&Request::CardConfirm(payment)) } else { heard };
            kiosk.journal.insert(payment, end);
        }
        // Approved, and then it comes to nothing: the reversal's number is opened again.
        let quote = kiosk.quote();
        let payment = quote.read_unverified().unwrap().payment;
        let order = kiosk.sealed_order(&quote, "2580", [3, 0, 1, 2]);
        assert!(matches!(kiosk.card_answer(&Request::Authorize(order)), CardAnswer::Approved { .. }));
        let end = kiosk.card_answer(&Request::CardVoid { payment, why: VoidReason::CardRefused });
        kiosk.journal.insert(payment, end);
        until_rest(&place);
        drop(center);
        compare(&place, &host.issuer(), &kiosk.journal);
    }
}

#[test]
fn a_request_that_never_left_owes_the_acquirer_nothing() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let place = Place::new(listener.local_addr().unwrap());
    let file = place.folder.path().join("acquirer/center/acquirer.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("number = \"forward\"", "number = \"open\"")).unwrap();
    let issuer = Arc::new(Mutex::new(TestIssuer::common()));
    let host = served(&place, listener, &issuer);
    // The reader's base key is another one: neither the request's number nor that of a reversal would ever open.
    let mut base = PinPadKeys::test().base;
    base[0] ^= 0x10;
    let hsm = Arc::new(TestHsm(Vault::new(base, TdesKey::new(&ZONE).unwrap())));
    let options =
        Options { config: place.config.clone(), observer: None, clock: system_clock, neighbours: None };
    let center = server::start_with(options, Some(hsm)).unwrap();
    let mut kiosk = Kiosk::new(&place, 1);
    let quote = kiosk.quote();
    let payment = quote.read_unverified().unwrap().payment;
    let order = kiosk.sealed_order(&quote, "2580", [3, 0, 1, 2]);
    let heard = kiosk.card_answer(&Request::Authorize(order));
    assert_eq!(heard, CardAnswer::Declined { reason: DeclineReason::Technical, issuer: None });
    kiosk.journal.insert(payment, heard);
    until_rest(&place);
    drop(center);
    assert_eq!(host.issuer().ledger().count(), 0, "nothing was ever said");
    compare(&place, &host.issuer(), &kiosk.journal);
}

#[test]
fn pin_blocks_are_translated_in_the_security_module_where_the_acquirer_wants_it() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let place = Place::new(listener.local_addr().unwrap());
    let terms = place.folder.path().join("acquirer/center/acquirer.toml");
    let text = fs::read_to_string(&terms).unwrap();
    fs::write(&terms, text.replace("number = \"forward\"", "pin = \"translate\"")).unwrap();
    let options =
        || Options { config: place.config.clone(), observer: None, clock: system_clock, neighbours: None };
    let error = server::start(options()).err().map(|error| format!("{error:#}")).unwrap();
    assert!(error.contains("key pin: \"translate\" needs a security module"), "{error}");

    let issuer = Arc::new(Mutex::new(TestIssuer::common()));
    let host = served(&place, listener, &issuer);
    let vault = Vault::new(PinPadKeys::test().base, TdesKey::new(&ZONE).unwrap());
    let center = server::start_with(options(), Some(Arc::new(TestHsm(vault)))).unwrap();
    let mut kiosk = Kiosk::new(&place, 1);
    for (pin, approved) in [("2580", true), ("1111", false)] {
        let quote = kiosk.quote();
        let payment = quote.read_unverified().unwrap().payment;
        let order = kiosk.order(&quote, pin);
        let heard = kiosk.card_answer(&Request::Authorize(order));
        assert_eq!(matches!(heard, CardAnswer::Approved { .. }), approved, "{heard:?}");
        let end = if approved { kiosk.card_answer(&Request::CardConfirm(payment)) } else { heard };
        kiosk.journal.insert(payment, end);
    }
    // A block that is no block of this card: the module refuses, nothing is asked, and nothing is owed.
    let quote = kiosk.quote();
    let mut order = kiosk.order(&quote, "2580");
    let payment = quote.read_unverified().unwrap().payment;
    let wrong = (PinBlock::new([9; 8]), PinKey::Dukpt(KeySerial(kiosk.serial)));
    let secret =
        CardSecret { number: number().into(), expiry: [3, 0, 1, 2], sequence: Some(1), pin: Some(wrong) };
    order.sealed = seal_card(&place.keys.sealing_public(), &secret, &payment, &mut || 5).unwrap();
    let heard = kiosk.card_answer(&Request::Authorize(order));
    assert_eq!(heard, CardAnswer::Declined { reason: DeclineReason::Technical, issuer: None });
    kiosk.journal.insert(payment, heard);
    until_rest(&place);
    drop(center);
    assert_eq!(host.issuer().ledger().filter(|(_, entry)| entry.standing == AtIssuer::Taken).count(), 1);
    compare(&place, &host.issuer(), &kiosk.journal);
}
