//! Who a payment is: an id that is never used twice, not even by a disk that was rolled back.

use core::fmt;
use serde::{Deserialize, Serialize};

/// The number of a kiosk in its operator's fleet: 1..=99999, printed with five digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct KioskNumber(u32);

impl KioskNumber {
    /// `None` outside 1..=99999.
    pub fn new(number: u32) -> Option<Self> {
        (1..=99_999).contains(&number).then_some(Self(number))
    }

    /// The bare number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for KioskNumber {
    type Error = &'static str;
    fn try_from(number: u32) -> Result<Self, Self::Error> {
        Self::new(number).ok_or("a kiosk number lies in 1..=99999")
    }
}

impl From<KioskNumber> for u32 {
    fn from(kiosk: KioskNumber) -> u32 {
        kiosk.0
    }
}

impl fmt::Display for KioskNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:05}", self.0)
    }
}

/// The idempotency key of a payment. On disk before it is first sent.
///
/// `epoch` comes from the center and grows at each boot that reached it; `nonce` is random at each boot, so that even
/// two copies of one disk cannot make the same id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PaymentId {
    /// Where the money goes in.
    pub kiosk: KioskNumber,
    /// Boot epoch granted by the center.
    pub epoch: u32,
    /// Counts up over the whole life of the kiosk.
    pub number: u64,
    /// Random, made once at each boot.
    pub nonce: [u8; 16],
}

impl PaymentId {
    /// The number on a claim slip for this payment.
    pub fn claim_number(&self) -> crate::ClaimNumber {
        crate::ClaimNumber::new(self.kiosk, self.number)
    }
}

/// The transaction number on paper: kiosk, epoch, number and the first four bytes of the nonce.
impl fmt::Display for PaymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nonce = u32::from_be_bytes([self.nonce[0], self.nonce[1], self.nonce[2], self.nonce[3]]);
        write!(f, "{}-{}-{}-{nonce:08x}", self.kiosk, self.epoch, self.number)
    }
}

impl fmt::Debug for PaymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
