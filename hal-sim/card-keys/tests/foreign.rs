//! Judged by software that nobody here wrote: psec, pyemv and pydukpt compute the same from random cases.
//!
//! `./tests/run` installs them into `target/foreign` with the other Python packages. What is missing fails loudly.
#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up fails")]

use data_encoding::HEXUPPER;
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::Command,
};
use tolem_card_keys::{
    TdesKey, dukpt_tdes, emv,
    key_block::WrappingKey,
    pin_block::{self, Pin},
    tdes::Padding,
};
use tolem_protocol::emv::CardNumber;
use zeroize::Zeroizing;

const CASES: usize = 300;

fn python() -> PathBuf {
    let place = std::env::var_os("TOLEM_FOREIGN").map(PathBuf::from);
    let place = place.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/foreign"));
    let python = place.join("bin/python");
    assert!(python.exists(), "{} is missing: ./tests/run makes it", python.display());
    python
}

struct Case(Value);

impl Case {
    fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_else(|| panic!("no {name}"))
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        HEXUPPER.decode(self.text(name).as_bytes()).unwrap()
    }

    fn fixed<const N: usize>(&self, name: &str) -> [u8; N] {
        self.bytes(name).try_into().unwrap_or_else(|_| panic!("{name} has {N} bytes"))
    }

    fn tdes(&self, name: &str) -> TdesKey {
        TdesKey::new(&self.bytes(name)).unwrap()
    }
}

fn judge(case: &Case) {
    let number = CardNumber::parse(case.text("number")).unwrap();
    let pin = Pin::parse(case.text("pin")).unwrap();
    // PIN blocks, and the keys that a pad derives for them.
    let clear = pin_block::format_0(&pin, &number);
    assert_eq!(clear, case.fixed("clear"));
    assert_eq!(pin_block::open_format_3(case.fixed("format_3"), &number).unwrap(), pin);
    let opened = pin_block::decrypt_format_4(case.fixed("format_4"), &number, &case.fixed("aes"));
    assert_eq!(opened.unwrap(), pin);
    let serial = case.fixed("serial");
    let initial = dukpt_tdes::initial_key(&case.fixed("base"), serial);
    assert_eq!(initial, case.fixed("initial"));
    let key = dukpt_tdes::pin_key(&initial, serial);
    assert_eq!(key.bytes(), case.bytes("pin_key"));
    assert_eq!(key.encrypt(clear), case.fixed("block"));
    assert_eq!(dukpt_tdes::data_key(&initial, serial).bytes(), case.bytes("data_key"));
    // The card's key, its session, what both sides say to each other.
    let sequence = case.text("sequence").parse().unwrap();
    let card = emv::card_key(&case.tdes("key"), &number, sequence);
    assert_eq!(card.bytes(), case.bytes("card"));
    let session = emv::session_key(&card, emv::counter_diversifier(case.fixed("atc")));
    assert_eq!(session.bytes(), case.bytes("session"));
    let cryptogram = emv::cryptogram(&session, &case.bytes("signed"));
    assert_eq!(cryptogram, case.fixed("cryptogram"));
    assert_eq!(emv::answer_1(&session, cryptogram, *b"00"), case.fixed("answer_1"));
    assert_eq!(emv::answer_2(&session, cryptogram, case.fixed("csu")), case.fixed("answer_2"));
    // Keys on their way, and messages with a code.
    let wrapping = WrappingKey::Tdes(case.tdes("wrapping"));
    let block = wrapping.unwrap(case.text("key_block")).unwrap();
    assert_eq!((block.usage, block.key.to_vec()), (*b"P0", case.bytes("wrapped")));
    let wrapping = match case.bytes("aes_wrapping").len() {
        16 => WrappingKey::Aes128(Zeroizing::new(case.fixed("aes_wrapping"))),
        _ => WrappingKey::Aes256(Zeroizing::new(case.fixed("aes_wrapping"))),
    };
    let block = wrapping.unwrap(case.text("aes_key_block")).unwrap();
    assert_eq!(block.key.to_vec(), case.bytes("aes_wrapped"));
    let (key, message) = (case.tdes("key"), case.bytes("message"));
    assert_eq!(key.retail_mac(Padding::Zeros, &message), case.fixed("mac"));
    assert_eq!(key.retail_mac(Padding::Marked, &message), case.fixed("marked_mac"));
}

#[test]
fn pins_keys_cryptograms_and_codes_are_those_of_psec_pyemv_and_pydukpt() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign/cards.py");
    let mut command = Command::new(python());
    command.arg(script).args(["1", &CASES.to_string()]);
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let cases: Vec<Case> = text.lines().map(|line| Case(serde_json::from_str(line).unwrap())).collect();
    assert_eq!(cases.len(), CASES);
    cases.iter().for_each(judge);
}
