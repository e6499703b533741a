//! The issuer's side of EMV: keys of a card, cryptograms, answers and script codes (EMV Book 2, section 8 and Annex A1).

use crate::tdes::{Padding, TdesKey, odd_parity, xor};
use tolem_protocol::emv::CardNumber;

fn key(left: [u8; 8], right: [u8; 8]) -> TdesKey {
    TdesKey::new(&[odd_parity(left), odd_parity(right)].concat()).expect("invariant: 16 bytes")
}

/// The key of one card, option A (A1.4.1): from the 16 rightmost digits of number and sequence number.
pub fn card_key(issuer: &TdesKey, number: &CardNumber, sequence: u8) -> TdesKey {
    let mut digits = number.digits().to_vec();
    digits.extend([sequence / 10, sequence % 10]);
    let digits: Vec<u8> =
        std::iter::repeat_n(0, 16_usize.saturating_sub(digits.len())).chain(digits).collect();
    let last = &digits[digits.len() - 16..];
    let block: [u8; 8] = std::array::from_fn(|n| last[2 * n] << 4 | last[2 * n + 1]);
    key(issuer.encrypt(block), issuer.encrypt(block.map(|byte| !byte)))
}

/// A session key, common derivation (A1.3.1); `diversifier` is the counter and zeros, or a cryptogram for script keys.
pub fn session_key(card: &TdesKey, diversifier: [u8; 8]) -> TdesKey {
    let with = |third| {
        let mut block = diversifier;
        block[2] = third;
        card.encrypt(block)
    };
    key(with(0xF0), with(0x0F))
}

/// The diversifier of a cryptogram's session key.
pub fn counter_diversifier(counter: [u8; 2]) -> [u8; 8] {
    [counter[0], counter[1], 0, 0, 0, 0, 0, 0]
}

/// An application cryptogram over what card and terminal agreed on (8.1.1).
pub fn cryptogram(session: &TdesKey, data: &[u8]) -> [u8; 8] {
    session.retail_mac(Padding::Marked, data)
}

/// The issuer's answer to a cryptogram, method 1 (8.2.1).
pub fn answer_1(session: &TdesKey, cryptogram: [u8; 8], response_code: [u8; 2]) -> [u8; 8] {
    let [a, b] = response_code;
    session.encrypt(xor(cryptogram, [a, b, 0, 0, 0, 0, 0, 0]))
}

/// The issuer's answer to a cryptogram, method 2 (8.2.2); `status` is the card status update.
pub fn answer_2(session: &TdesKey, cryptogram: [u8; 8], status: [u8; 4]) -> [u8; 4] {
    let code = session.retail_mac(Padding::Marked, &[&cryptogram[..], &status].concat());
    [code[0], code[1], code[2], code[3]]
}

/// The code under a script command (9.2): over its head, the counter, the cryptogram and its data.
pub fn script_code(session: &TdesKey, data: &[u8]) -> [u8; 8] {
    session.retail_mac(Padding::Marked, data)
}
