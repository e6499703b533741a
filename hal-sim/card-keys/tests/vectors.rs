//! Every computation against numbers that other people's libraries made (`vectors.json` names them).

use data_encoding::HEXUPPER;
use serde_json::Value;
use tolem_card_keys::{
    TdesKey, dukpt_aes, dukpt_tdes, emv,
    key_block::{KeyBlockError, WrappingKey},
    pin_block::{self, Pin, PinBlockError},
    tdes::Padding,
};
use tolem_protocol::emv::CardNumber;
use zeroize::Zeroizing;

fn vectors(part: &str) -> Value {
    let all: Value = serde_json::from_str(include_str!("vectors.json")).expect("the vectors are JSON");
    all[part].clone()
}

fn hex(value: &Value) -> Vec<u8> {
    HEXUPPER.decode(value.as_str().expect("text").as_bytes()).expect("hexadecimal")
}

fn fixed<const N: usize>(value: &Value) -> [u8; N] {
    hex(value).try_into().unwrap_or_else(|_| panic!("{value} has {N} bytes"))
}

fn tdes(value: &Value) -> TdesKey {
    TdesKey::new(&hex(value)).expect("a TDES key")
}

fn number(value: &Value) -> CardNumber {
    CardNumber::parse(value.as_str().expect("text")).expect("a card number")
}

fn pin(value: &Value) -> Pin {
    Pin::parse(value.as_str().expect("text")).expect("a PIN")
}

fn rows(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

#[test]
fn pin_blocks_close_and_open() {
    let mut seen = [0; 5];
    for row in rows(&vectors("pin_blocks")) {
        let format = row["format"].as_u64().expect("a number");
        seen[format as usize] += 1;
        match format {
            0 => {
                let (pin, number) = (pin(&row["pin"]), number(&row["pan"]));
                let clear = pin_block::format_0(&pin, &number);
                assert_eq!(clear, fixed(&row["clear"]));
                assert_eq!(tdes(&row["tdes_key"]).encrypt(clear), fixed(&row["encrypted"]));
                assert_eq!(pin_block::open_format_0(clear, &number), Ok(pin));
            }
            4 => {
                let (pin, number, key) = (pin(&row["pin"]), number(&row["pan"]), fixed(&row["aes_key"]));
                let field: [u8; 16] = fixed(&row["pin_field"]);
                let random = field[8..].try_into().expect("eight bytes");
                let block = pin_block::encrypt_format_4(&pin, &number, random, &key);
                assert_eq!(block, fixed(&row["encrypted"]));
                assert_eq!(pin_block::decrypt_format_4(block, &number, &key), Ok(pin));
            }
            // Format 2 goes to a card for an offline PIN, which nothing here does.
            _ => {}
        }
    }
    assert!(seen[0] > 0 && seen[4] > 0);
}

#[test]
fn format_3_is_filled_by_chance_and_opens() {
    let number = number(&vectors("pin_blocks")[0]["pan"]);
    let pin = Pin::parse("48151").expect("a PIN");
    let blocks = [[0; 16], [5; 16], [0xFF; 16]].map(|random| pin_block::format_3(&pin, &number, random));
    assert!(blocks[0] != blocks[1] && blocks[1] != blocks[2]);
    for block in blocks {
        assert_eq!(pin_block::open_format_3(block, &number).as_ref(), Ok(&pin));
        assert_eq!(pin_block::open_format_0(block, &number), Err(PinBlockError::Format(3)));
    }
}

#[test]
fn broken_pin_blocks_are_refused() {
    let errors = rows(&vectors("pin_block_rejects"))
        .iter()
        .map(|row| pin_block::open_format_0(fixed(&row["clear"]), &number(&row["pan"])).expect_err("refused"))
        .collect::<Vec<_>>();
    assert_eq!(errors, [PinBlockError::Length(0), PinBlockError::Length(13), PinBlockError::Filling]);
    for bad in ["123", "1234567890123", "12a4", ""] {
        assert!(Pin::parse(bad).is_none(), "{bad}");
    }
}

#[test]
fn tdes_dukpt_gives_the_keys_of_the_standard() {
    let part = vectors("dukpt_tdes");
    let (base, pin, number) = (fixed(&part["bdk"]), pin(&part["pin"]), number(&part["pan"]));
    for row in rows(&part["rows"]) {
        let ksn = fixed(&row["ksn"]);
        let initial = dukpt_tdes::initial_key(&base, ksn);
        assert_eq!(initial, fixed(&part["ipek"]));
        let key = dukpt_tdes::pin_key(&initial, ksn);
        assert_eq!(key.bytes(), hex(&row["pin_key"]), "{}", row["ksn"]);
        let block = key.encrypt(pin_block::format_0(&pin, &number));
        assert_eq!(block, fixed(&row["encrypted_pin_block"]));
    }
    assert!(rows(&part["rows"]).len() > 10);
}

#[test]
fn aes_dukpt_gives_the_keys_of_the_standard() {
    let part = vectors("dukpt_aes128");
    let initial = dukpt_aes::initial_key(&fixed(&part["bdk"]), fixed(&part["initial_key_id"]));
    assert_eq!(initial, fixed(&part["initial_key"]));
    let field: [u8; 16] = fixed(&part["pin_field"]);
    let random = field[8..].try_into().expect("eight bytes");
    for row in rows(&part["rows"]) {
        let key = |usage| dukpt_aes::working_key(&initial, fixed(&row["ksn"]), usage);
        assert_eq!(key(dukpt_aes::Usage::Pin), fixed(&row["pin_key_aes128"]), "{}", row["ksn"]);
        assert_eq!(key(dukpt_aes::Usage::MacGeneration), fixed(&row["mac_gen_key_aes128"]));
        assert_eq!(key(dukpt_aes::Usage::DataEncryption), fixed(&row["data_enc_key_aes128"]));
        let pin = Pin::parse("1234").expect("a PIN");
        let block =
            pin_block::encrypt_format_4(&pin, &number(&part["pan"]), random, &key(dukpt_aes::Usage::Pin));
        assert_eq!(block, fixed(&row["encrypted_pin_block_fmt4"]));
    }
    let first: [u8; 12] = fixed(&rows(&part["rows"])[0]["ksn"]);
    assert_eq!(dukpt_aes::advance(first).map(|ksn| ksn[11]), Some(2));
}

#[test]
fn key_blocks_open_and_edited_ones_do_not() {
    for row in rows(&vectors("tr31")) {
        let bytes = hex(&row["kbpk"]);
        let wrapping = match (row["version"].as_str(), bytes.len()) {
            (Some("B"), _) => WrappingKey::Tdes(TdesKey::new(&bytes).expect("a TDES key")),
            (_, 16) => WrappingKey::Aes128(Zeroizing::new(bytes.try_into().expect("16 bytes"))),
            (_, _) => WrappingKey::Aes256(Zeroizing::new(bytes.try_into().expect("32 bytes"))),
        };
        let block = row["key_block"].as_str().expect("text");
        let opened = wrapping.unwrap(block).unwrap_or_else(|error| panic!("{block}: {error}"));
        assert_eq!(*opened.key, hex(&row["key"]));
        assert_eq!(opened.usage, row["usage"].as_str().expect("text").as_bytes());
        if let Some(tampered) = row["tampered"].as_str() {
            assert_eq!(wrapping.unwrap(tampered).err(), Some(KeyBlockError::Mac));
        }
        for end in 0..block.len() {
            assert!(wrapping.unwrap(&block[..end]).is_err(), "cut at {end}");
        }
        let again = wrapping.wrap(b"P0TE00N", &hex(&row["key"]), |n| n as u8);
        assert_eq!(*wrapping.unwrap(&again).expect("our own block").key, hex(&row["key"]));
    }
}

#[test]
fn a_key_block_of_another_version_or_key_is_named() {
    let part = vectors("tr31");
    let wrapping = WrappingKey::Tdes(TdesKey::new(&[7; 16]).expect("a TDES key"));
    let block = |n: usize| part[n]["key_block"].as_str().expect("text").to_owned();
    assert_eq!(wrapping.unwrap(&block(1)).err(), Some(KeyBlockError::Version(b'D')));
    assert_eq!(wrapping.unwrap(&block(0)).err(), Some(KeyBlockError::Mac));
    assert_eq!(wrapping.unwrap("").err(), Some(KeyBlockError::Form));
}

#[test]
fn a_cards_cryptogram_and_the_issuers_answers_are_those_of_emv() {
    let part = vectors("emv_arqc");
    let issuer = tdes(&part["imk_ac"]);
    let card = emv::card_key(&issuer, &number(&part["pan"]), 1);
    assert_eq!(card.bytes(), hex(&part["icc_mk_option_a"]));
    let session = emv::session_key(&card, emv::counter_diversifier(fixed(&part["atc"])));
    assert_eq!(session.bytes(), hex(&part["session_key_common"]));
    let cryptogram = emv::cryptogram(&session, &hex(&part["ac_input"]));
    assert_eq!(cryptogram, fixed(&part["arqc_emv_padding"]));
    assert_eq!(
        session.retail_mac(Padding::Zeros, &hex(&part["ac_input"])),
        fixed(&part["arqc_visa_padding"])
    );
    assert_eq!(emv::answer_1(&session, cryptogram, fixed(&part["arc"])), fixed(&part["arpc_method_1"]));
    assert_eq!(emv::answer_2(&session, cryptogram, fixed(&part["csu"])), fixed(&part["arpc_method_2"]));
}

#[test]
fn script_codes_and_check_values_fit() {
    let part = vectors("emv_script_mac");
    let session = emv::session_key(&tdes(&part["icc_mk"]), fixed(&part["diversifier_arqc"]));
    assert_eq!(session.bytes(), hex(&part["session_key"]));
    assert_eq!(emv::script_code(&session, &hex(&part["command_header_atc_arqc"])), fixed(&part["mac"]));
    let part = vectors("retail_mac");
    let data = part["data_ascii"].as_str().expect("text").as_bytes();
    assert_eq!(tdes(&part["key"]).retail_mac(Padding::Zeros, data), fixed(&part["mac_pad1"]));
    assert_eq!(tdes(&part["key"]).retail_mac(Padding::Marked, data), fixed(&part["mac_pad2"]));
    for row in rows(&vectors("kcv")) {
        assert_eq!(tdes(&row["key"]).check_value(), fixed(&row["kcv"]));
    }
}

#[test]
fn nothing_secret_is_shown() {
    let key = TdesKey::new(&[0x42; 16]).expect("a key");
    let pin = Pin::parse("1234").expect("a PIN");
    assert_eq!(format!("{key:?} {pin:?}"), "TdesKey(…) Pin(…)");
}
