//! The keys of a pad: what it is delivered with, what is loaded later, and what it derives. Test keys only.

use std::collections::BTreeMap;
use tolem_card_keys::{
    TdesKey, dukpt_tdes,
    key_block::{KeyBlockError, WrappingKey},
};
use tolem_protocol::pinpad::KeySlot;
use zeroize::Zeroizing;

/// What the owner of test pads knows: from it everything else follows.
pub struct PinPadKeys {
    /// Base derivation key of DUKPT, from which the acquirer derives each pad's keys.
    pub base: [u8; 16],
    /// Serial number of the pad's initial key, counter 0.
    pub serial: dukpt_tdes::Ksn,
    /// Wraps keys for this pad.
    pub wrapping: TdesKey,
}

impl PinPadKeys {
    /// The keys of ANSI X9.24's own examples, published with it.
    pub fn test() -> Self {
        let key = |number: u128| number.to_be_bytes();
        Self {
            base: key(0x0123_4567_89AB_CDEF_FEDC_BA98_7654_3210),
            serial: [0xFF, 0xFF, 0x98, 0x76, 0x54, 0x32, 0x10, 0xE0, 0, 0],
            wrapping: TdesKey::new(&key(0x1919_1919_1919_1919_5B5B_5B5B_5B5B_5B5B))
                .expect("invariant: 16 bytes"),
        }
    }

    /// The initial key of `serial`, wrapped for the pad.
    pub fn initial_key_block(&self, serial: dukpt_tdes::Ksn) -> String {
        let key = Zeroizing::new(dukpt_tdes::initial_key(&self.base, serial));
        let digits: String = serial.iter().map(|byte| format!("{byte:02X}")).collect();
        let options = [(*b"KS", digits.as_str())];
        WrappingKey::Tdes(self.wrapping.clone()).wrap_with(b"B1TX00N", &options, &*key, |n| n as u8)
    }

    /// A key wrapped for the pad; `head` is usage, algorithm, mode, version and exportability.
    pub fn key_block(&self, head: &[u8; 7], key: &[u8; 16]) -> String {
        WrappingKey::Tdes(self.wrapping.clone()).wrap(head, key, |n| n as u8)
    }
}

/// What a key of the pad is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Use {
    /// `K0`: deciphers session keys.
    Master,
    /// `P0`: enciphers PINs itself.
    Pin,
    /// `M3`: authenticates.
    Mac,
}

/// A key, its usage, and a serial number if one came with it.
type Opened = (Zeroizing<[u8; 16]>, [u8; 2], Option<String>);

/// The keys inside.
#[derive(Clone)]
pub struct KeyStore {
    wrapping: Option<TdesKey>,
    initial: Option<(Zeroizing<[u8; 16]>, dukpt_tdes::Ksn)>,
    slots: BTreeMap<KeySlot, (Use, TdesKey)>,
    wiped: bool,
    /// The serial number used last before it was wiped: the owner's list goes on from there.
    wiped_at: Option<dukpt_tdes::Ksn>,
}

impl KeyStore {
    /// A pad that is delivered with the wrapping key and an initial key.
    pub fn delivered(keys: &PinPadKeys) -> Self {
        let initial = Zeroizing::new(dukpt_tdes::initial_key(&keys.base, keys.serial));
        Self { initial: Some((initial, keys.serial)), ..Self::with_wrapping_key_only(keys) }
    }

    /// A pad that only knows who may load keys.
    pub fn with_wrapping_key_only(keys: &PinPadKeys) -> Self {
        Self {
            wrapping: Some(keys.wrapping.clone()),
            initial: None,
            slots: BTreeMap::new(),
            wiped: false,
            wiped_at: None,
        }
    }

    /// The serial number used last.
    pub fn serial(&self) -> Option<dukpt_tdes::Ksn> {
        self.initial.as_ref().map(|(_, serial)| *serial)
    }

    /// Sets the counter of the serial number, as after a long life.
    pub fn set_counter(&mut self, counter: u32) {
        if let Some((_, serial)) = &mut self.initial {
            let [_, high, middle, low] = counter.to_be_bytes();
            serial[7] = serial[7] & 0xE0 | high & 0x1F;
            [serial[8], serial[9]] = [middle, low];
        }
    }

    pub(super) fn wipe(&mut self) {
        self.wiped_at = self.serial().or(self.wiped_at);
        (self.wrapping, self.initial) = (None, None);
        self.slots.clear();
        self.wiped = true;
    }

    pub(super) fn restore(&mut self, delivered: &Self) {
        let serial = self.serial().or(self.wiped_at);
        *self = delivered.clone();
        if let (Some((_, now)), Some(serial)) = (&mut self.initial, serial) {
            *now = serial;
        }
    }

    /// They were wiped because somebody opened the pad.
    pub fn is_wiped(&self) -> bool {
        self.wiped
    }

    pub(super) fn has(&self, slot: KeySlot) -> bool {
        self.slots.contains_key(&slot)
    }

    /// The key, its usage, and the serial number that comes with it.
    fn unwrap(&self, block: &str) -> Result<Opened, u8> {
        let wrapping = WrappingKey::Tdes(self.wrapping.clone().ok_or(b'D')?);
        let opened = wrapping.unwrap(block).map_err(|error| match error {
            KeyBlockError::Mac => b'C',
            KeyBlockError::Form | KeyBlockError::Version(_) | KeyBlockError::KeyLength => b'A',
        })?;
        let key = <[u8; 16]>::try_from(opened.key.as_slice()).map_err(|_| b'B')?;
        let serial = opened.options.into_iter().find(|(name, _)| name == b"KS").map(|(_, value)| value);
        Ok((Zeroizing::new(key), opened.usage, serial))
    }

    /// The key in a block for this place, or the letter that refuses it.
    pub(super) fn open(&self, slot: KeySlot, block: &str) -> Result<(), u8> {
        self.fitting(slot, block).map(|_| ())
    }

    fn fitting(&self, slot: KeySlot, block: &str) -> Result<(Use, TdesKey), u8> {
        let (key, usage, _) = self.unwrap(block)?;
        let pin_slot = slot.letter().is_ascii_digit();
        let usage = match &usage {
            b"K0" => Use::Master,
            b"P0" if pin_slot => Use::Pin,
            b"M3" if !pin_slot => Use::Mac,
            _ => return Err(b'E'),
        };
        let key = TdesKey::new(&*key).expect("invariant: 16 bytes");
        // The same key twice would let one be used as the other.
        if self.slots.iter().any(|(other, (_, held))| *other != slot && held.bytes() == key.bytes()) {
            return Err(b'2');
        }
        Ok((usage, key))
    }

    pub(super) fn load(&mut self, slot: KeySlot, block: &str) -> Result<(), u8> {
        let loaded = self.fitting(slot, block)?;
        self.slots.insert(slot, loaded);
        Ok(())
    }

    pub(super) fn load_initial(&mut self, block: &str) -> Result<(), u8> {
        let (key, usage, serial) = self.unwrap(block)?;
        if &usage != b"B1" {
            return Err(b'A');
        }
        let serial = serial.and_then(|serial| hex(serial.as_bytes())).ok_or(b'2')?;
        self.initial = Some((key, serial));
        Ok(())
    }

    pub(super) fn can_derive(&self) -> Result<(), u8> {
        let (_, serial) = self.initial.as_ref().ok_or(b'A')?;
        dukpt_tdes::advance(*serial).map(|_| ()).ok_or(b'F')
    }

    pub(super) fn next_pin_key(&mut self) -> Result<(dukpt_tdes::Ksn, TdesKey), u8> {
        let (initial, serial) = self.initial.as_mut().ok_or(b'A')?;
        *serial = dukpt_tdes::advance(*serial).ok_or(b'F')?;
        Ok((*serial, dukpt_tdes::pin_key(initial, *serial)))
    }

    /// The key for PINs: the selected one itself, or the one that came enciphered under it.
    pub(super) fn session_key(&self, slot: Option<KeySlot>, key: &[u8; 16]) -> Result<TdesKey, u8> {
        let (usage, held) = slot.and_then(|slot| self.slots.get(&slot)).ok_or(b'9')?;
        match (usage, *key == [0; 16]) {
            (Use::Pin, true) => Ok(held.clone()),
            (Use::Master, false) => {
                let (left, right) = key.split_at(8);
                let half = |half: &[u8]| held.decrypt(half.try_into().expect("invariant: half of 16 bytes"));
                let clear = Zeroizing::new([half(left), half(right)].concat());
                Ok(TdesKey::new(&clear).expect("invariant: 16 bytes"))
            }
            _ => Err(b'1'),
        }
    }

    pub(super) fn mac_key(&self, slot: KeySlot) -> Option<&TdesKey> {
        self.slots.get(&slot).filter(|(usage, _)| *usage == Use::Mac).map(|(_, key)| key)
    }
}

/// Hexadecimal digits as bytes.
pub(super) fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.len() == 2 * N)?;
    let mut bytes = [0; N];
    for (n, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * n..2 * n + 2)?, 16).ok()?;
    }
    Some(bytes)
}
