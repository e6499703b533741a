//! Derived unique key per transaction with TDES (ANSI X9.24-1:2009, Annex A).

use crate::tdes::{TdesKey, xor};

/// Key serial number: key set and device, then a counter of 21 bits.
pub type Ksn = [u8; 10];

const MASK: [u8; 16] = [0xC0, 0xC0, 0xC0, 0xC0, 0, 0, 0, 0, 0xC0, 0xC0, 0xC0, 0xC0, 0, 0, 0, 0];
const PIN_VARIANT: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0xFF];
const MAC_VARIANT: [u8; 16] = [0, 0, 0, 0, 0, 0, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0];
const DATA_VARIANT: [u8; 16] = [0, 0, 0, 0, 0, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0, 0];
const COUNTER: u32 = 0x1F_FFFF;
/// A counter never has more ones than this.
const MOST_ONES: u32 = 10;

fn counter(ksn: Ksn) -> u32 {
    u32::from_be_bytes([0, ksn[7], ksn[8], ksn[9]]) & COUNTER
}

fn with_counter(mut ksn: Ksn, counter: u32) -> Ksn {
    let [_, high, middle, low] = counter.to_be_bytes();
    ksn[7] = ksn[7] & 0xE0 | high;
    [ksn[8], ksn[9]] = [middle, low];
    ksn
}

fn key(bytes: [u8; 16]) -> TdesKey {
    TdesKey::new(&bytes).expect("invariant: 16 bytes")
}

fn halves(bytes: [u8; 16]) -> ([u8; 8], [u8; 8]) {
    let (left, right) = bytes.split_at(8);
    (left.try_into().expect("invariant: half"), right.try_into().expect("invariant: half"))
}

fn join(left: [u8; 8], right: [u8; 8]) -> [u8; 16] {
    std::array::from_fn(|n| if n < 8 { left[n] } else { right[n - 8] })
}

/// The key a device is loaded with, from the base derivation key.
pub fn initial_key(base: &[u8; 16], ksn: Ksn) -> [u8; 16] {
    let ksn = with_counter(ksn, 0);
    let block: [u8; 8] = ksn[..8].try_into().expect("invariant: ten bytes");
    join(key(*base).encrypt(block), key(xor(*base, MASK)).encrypt(block))
}

/// The key of one transaction.
fn transaction_key(initial: &[u8; 16], ksn: Ksn) -> [u8; 16] {
    let target = counter(ksn);
    let mut current = *initial;
    let mut reached = 0;
    for bit in (0..21).rev().map(|n| 1 << n).filter(|bit| target & bit != 0) {
        reached |= bit;
        let register: [u8; 8] = with_counter(ksn, reached)[2..].try_into().expect("invariant: eight bytes");
        current = join(generate(xor(current, MASK), register), generate(current, register));
    }
    current
}

/// The non-reversible step: single DES with the left half between two additions of the right.
fn generate(bytes: [u8; 16], register: [u8; 8]) -> [u8; 8] {
    let (left, right) = halves(bytes);
    // A double-length key of equal halves is single DES.
    xor(key(join(left, left)).encrypt(xor(register, right)), right)
}

/// The key that enciphers a PIN block.
pub fn pin_key(initial: &[u8; 16], ksn: Ksn) -> TdesKey {
    key(xor(transaction_key(initial, ksn), PIN_VARIANT))
}

/// The key that authenticates requests.
pub fn mac_key(initial: &[u8; 16], ksn: Ksn) -> TdesKey {
    key(xor(transaction_key(initial, ksn), MAC_VARIANT))
}

/// The key that enciphers data on their way to the host: the variant, enciphered under itself (2009, Annex A.4.1).
pub fn data_key(initial: &[u8; 16], ksn: Ksn) -> TdesKey {
    let variant = xor(transaction_key(initial, ksn), DATA_VARIANT);
    let (left, right) = halves(variant);
    let own = key(variant);
    key(join(own.encrypt(left), own.encrypt(right)))
}

/// The next serial number whose counter has at most ten ones; `None` when the device is used up.
pub fn advance(ksn: Ksn) -> Option<Ksn> {
    let next = (counter(ksn) + 1..=COUNTER).find(|counter| counter.count_ones() <= MOST_ONES)?;
    Some(with_counter(ksn, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_skip_what_has_too_many_ones_and_end() {
        let ksn = |counter| with_counter([0xFF; 10], counter);
        assert_eq!(advance(ksn(0)), Some(ksn(1)));
        assert_eq!(advance(ksn(0b11_1111_1111)), Some(ksn(0b100_0000_0000)));
        assert_eq!(advance(ksn(0x1F_F800)), None, "the last counter there is");
    }
}
