//! Terminal verification results, transaction status information and action codes (EMV Book 3, Annex C5, C6; section 10.7).

/// Terminal verification results: what did not go as it should. One bit each, five bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tvr(pub [u8; 5]);

/// One bit of [`Tvr`]: byte from 0, mask.
#[derive(Clone, Copy)]
pub struct TvrBit(usize, u8);

impl Tvr {
    /// Offline data authentication was not performed.
    pub const NO_OFFLINE_AUTHENTICATION: TvrBit = TvrBit(0, 0x80);
    /// The card lacks data.
    pub const DATA_MISSING: TvrBit = TvrBit(0, 0x20);
    /// Card and terminal have different application versions.
    pub const VERSIONS_DIFFER: TvrBit = TvrBit(1, 0x80);
    /// The application is expired.
    pub const EXPIRED: TvrBit = TvrBit(1, 0x40);
    /// The application is not valid yet.
    pub const NOT_YET_VALID: TvrBit = TvrBit(1, 0x20);
    /// The card does not allow this service.
    pub const SERVICE_NOT_ALLOWED: TvrBit = TvrBit(1, 0x10);
    /// The cardholder was not verified.
    pub const CARDHOLDER_NOT_VERIFIED: TvrBit = TvrBit(2, 0x80);
    /// A verification method is unknown.
    pub const METHOD_UNKNOWN: TvrBit = TvrBit(2, 0x40);
    /// A PIN is required and the PIN pad is not there or not working.
    pub const PIN_PAD_FAILED: TvrBit = TvrBit(2, 0x10);
    /// A PIN is required and none was entered.
    pub const PIN_NOT_ENTERED: TvrBit = TvrBit(2, 0x08);
    /// The PIN goes to the issuer.
    pub const ONLINE_PIN: TvrBit = TvrBit(2, 0x04);
    /// The amount reaches the floor limit; with limit 0 it always does.
    pub const FLOOR_LIMIT: TvrBit = TvrBit(3, 0x80);
    /// Issuer authentication failed.
    pub const ISSUER_NOT_AUTHENTICATED: TvrBit = TvrBit(4, 0x40);
    /// A script failed before the second GENERATE AC.
    pub const SCRIPT_1_FAILED: TvrBit = TvrBit(4, 0x20);
    /// A script failed after it.
    pub const SCRIPT_2_FAILED: TvrBit = TvrBit(4, 0x10);

    /// Sets a bit.
    pub fn set(&mut self, TvrBit(byte, mask): TvrBit) {
        self.0[byte] |= mask;
    }

    /// Whether a bit is set.
    pub fn has(&self, TvrBit(byte, mask): TvrBit) -> bool {
        self.0[byte] & mask != 0
    }
}

/// Transaction status information: what was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tsi(pub [u8; 2]);

impl Tsi {
    /// Cardholder verification was performed.
    pub const CARDHOLDER_VERIFICATION: u8 = 0x40;
    /// The card managed its risk: it made a cryptogram.
    pub const CARD_RISK_MANAGEMENT: u8 = 0x20;
    /// Issuer authentication was performed.
    pub const ISSUER_AUTHENTICATION: u8 = 0x10;
    /// The terminal managed its risk.
    pub const TERMINAL_RISK_MANAGEMENT: u8 = 0x08;
    /// Scripts were processed.
    pub const SCRIPTS: u8 = 0x04;

    /// Notes that something was done.
    pub fn done(&mut self, mask: u8) {
        self.0[0] |= mask;
    }
}

/// An action code: bits of [`Tvr`] on which to act.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ActionCode(pub [u8; 5]);

impl ActionCode {
    /// Whether one of its bits is set in `tvr`.
    pub fn hits(&self, tvr: &Tvr) -> bool {
        self.0.iter().zip(tvr.0).any(|(mask, result)| mask & result != 0)
    }
}
