//! Names of the data objects a terminal meets (EMV Book 3, Annex A), and how their values are written.

use super::tlv::TlvError;

/// Name of a data object: one or two bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(u16);

impl core::fmt::Debug for Tag {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:02X}", self.0)
    }
}

impl core::fmt::Display for Tag {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:02X}", self.0)
    }
}

impl Tag {
    /// Reads a tag off the front.
    pub fn read(bytes: &[u8]) -> Result<(Self, &[u8]), TlvError> {
        match bytes {
            [] => Err(TlvError::Truncated),
            [first, rest @ ..] if first & 0x1F != 0x1F => Ok((Self(u16::from(*first)), rest)),
            [_] => Err(TlvError::Truncated),
            [first, second, rest @ ..] if second & 0x80 == 0 => {
                Ok((Self(u16::from_be_bytes([*first, *second])), rest))
            }
            [..] => Err(TlvError::LongTag),
        }
    }

    /// Its number as books print it, e.g. `9F26`.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Its bytes.
    pub fn bytes(self) -> heapless::Vec<u8, 2> {
        let [high, low] = self.0.to_be_bytes();
        let mut bytes = heapless::Vec::new();
        if high != 0 {
            let _fits = bytes.push(high);
        }
        let _fits = bytes.push(low);
        bytes
    }

    /// Whether its value is made of objects (bit 6 of the first byte).
    pub const fn is_template(self) -> bool {
        let first = if self.0 > 0xFF { self.0 >> 8 } else { self.0 };
        first & 0x20 != 0
    }

    /// How its value is written, which decides how a list of data objects fits it (EMV Book 3, section 5.4).
    pub const fn format(self) -> Format {
        match self {
            AMOUNT_AUTHORISED
            | AMOUNT_OTHER
            | APPLICATION_EXPIRY
            | APPLICATION_EFFECTIVE
            | TRANSACTION_DATE
            | TRANSACTION_TIME
            | TRANSACTION_TYPE
            | CURRENCY_CODE
            | CURRENCY_EXPONENT
            | TERMINAL_COUNTRY
            | ISSUER_COUNTRY
            | TERMINAL_TYPE
            | SEQUENCE_COUNTER
            | MERCHANT_CATEGORY
            | ACQUIRER
            | PAN_SEQUENCE => Format::Numeric,
            PAN => Format::Compressed,
            _ => Format::Other,
        }
    }
}

/// How the value of an object is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// `n`: two digits a byte, filled with zeros on the left.
    Numeric,
    /// `cn`: two digits a byte, filled with `F` on the right.
    Compressed,
    /// `an`, `ans`, `b`: filled with zero bytes on the right.
    Other,
}

macro_rules! tags {
    ($($(#[doc = $doc:literal])+ $name:ident = $number:literal;)+) => {
        $($(#[doc = $doc])+ pub const $name: Tag = Tag($number);)+
    };
}

tags! {
    /// Track 2 equivalent data. Sensitive authentication data: never kept.
    TRACK2 = 0x57;
    /// Application PAN. Never kept outside the center's key.
    PAN = 0x5A;
    /// Cardholder name.
    CARDHOLDER_NAME = 0x5F20;
    /// Application expiration date, YYMMDD.
    APPLICATION_EXPIRY = 0x5F24;
    /// Application effective date, YYMMDD.
    APPLICATION_EFFECTIVE = 0x5F25;
    /// Issuer country code.
    ISSUER_COUNTRY = 0x5F28;
    /// Transaction currency code.
    CURRENCY_CODE = 0x5F2A;
    /// Language preference.
    LANGUAGE_PREFERENCE = 0x5F2D;
    /// PAN sequence number.
    PAN_SEQUENCE = 0x5F34;
    /// Transaction currency exponent.
    CURRENCY_EXPONENT = 0x5F36;
    /// Application identifier (card).
    AID = 0x4F;
    /// Application label.
    APPLICATION_LABEL = 0x50;
    /// Application template.
    APPLICATION_TEMPLATE = 0x61;
    /// File control information template.
    FCI = 0x6F;
    /// Record template.
    RECORD = 0x70;
    /// Issuer script before the second GENERATE AC.
    ISSUER_SCRIPT_1 = 0x71;
    /// Issuer script after the second GENERATE AC.
    ISSUER_SCRIPT_2 = 0x72;
    /// Response message template, format 2.
    RESPONSE_2 = 0x77;
    /// Response message template, format 1.
    RESPONSE_1 = 0x80;
    /// Application interchange profile.
    AIP = 0x82;
    /// Command template of GET PROCESSING OPTIONS.
    COMMAND_TEMPLATE = 0x83;
    /// Dedicated file name.
    DF_NAME = 0x84;
    /// One command of an issuer script.
    SCRIPT_COMMAND = 0x86;
    /// Application priority indicator.
    PRIORITY = 0x87;
    /// Short file identifier of the directory.
    SFI = 0x88;
    /// Authorisation code.
    AUTHORISATION_CODE = 0x89;
    /// Authorisation response code.
    RESPONSE_CODE = 0x8A;
    /// CDOL1.
    CDOL1 = 0x8C;
    /// CDOL2.
    CDOL2 = 0x8D;
    /// Cardholder verification method list.
    CVM_LIST = 0x8E;
    /// Issuer authentication data.
    ISSUER_AUTHENTICATION = 0x91;
    /// Application file locator.
    AFL = 0x94;
    /// Terminal verification results.
    TVR = 0x95;
    /// Transaction date, YYMMDD.
    TRANSACTION_DATE = 0x9A;
    /// Transaction status information.
    TSI = 0x9B;
    /// Transaction type.
    TRANSACTION_TYPE = 0x9C;
    /// FCI proprietary template.
    FCI_PROPRIETARY = 0xA5;
    /// Acquirer identifier.
    ACQUIRER = 0x9F01;
    /// Amount, authorised, in minor units.
    AMOUNT_AUTHORISED = 0x9F02;
    /// Amount, other, in minor units.
    AMOUNT_OTHER = 0x9F03;
    /// Application identifier (terminal).
    TERMINAL_AID = 0x9F06;
    /// Application usage control.
    USAGE_CONTROL = 0x9F07;
    /// Application version number (card).
    CARD_VERSION = 0x9F08;
    /// Application version number (terminal).
    TERMINAL_VERSION = 0x9F09;
    /// Issuer action code, default.
    IAC_DEFAULT = 0x9F0D;
    /// Issuer action code, denial.
    IAC_DENIAL = 0x9F0E;
    /// Issuer action code, online.
    IAC_ONLINE = 0x9F0F;
    /// Issuer application data.
    ISSUER_APPLICATION_DATA = 0x9F10;
    /// Issuer code table index.
    CODE_TABLE = 0x9F11;
    /// Application preferred name.
    PREFERRED_NAME = 0x9F12;
    /// Merchant category code.
    MERCHANT_CATEGORY = 0x9F15;
    /// Merchant identifier.
    MERCHANT = 0x9F16;
    /// Identifier of an issuer script.
    SCRIPT_ID = 0x9F18;
    /// Terminal country code.
    TERMINAL_COUNTRY = 0x9F1A;
    /// Terminal floor limit.
    FLOOR_LIMIT = 0x9F1B;
    /// Terminal identification.
    TERMINAL_ID = 0x9F1C;
    /// Interface device serial number.
    DEVICE_SERIAL = 0x9F1E;
    /// Transaction time, HHMMSS.
    TRANSACTION_TIME = 0x9F21;
    /// Application cryptogram.
    CRYPTOGRAM = 0x9F26;
    /// Cryptogram information data.
    CRYPTOGRAM_INFORMATION = 0x9F27;
    /// Terminal capabilities.
    CAPABILITIES = 0x9F33;
    /// Results of cardholder verification.
    CVM_RESULTS = 0x9F34;
    /// Terminal type.
    TERMINAL_TYPE = 0x9F35;
    /// Application transaction counter.
    ATC = 0x9F36;
    /// Unpredictable number.
    UNPREDICTABLE = 0x9F37;
    /// Processing options data object list.
    PDOL = 0x9F38;
    /// Additional terminal capabilities.
    ADDITIONAL_CAPABILITIES = 0x9F40;
    /// Transaction sequence counter.
    SEQUENCE_COUNTER = 0x9F41;
    /// Application currency code.
    APPLICATION_CURRENCY = 0x9F42;
    /// Issuer script results.
    SCRIPT_RESULTS = 0x9F5B;
    /// FCI issuer discretionary data.
    FCI_DISCRETIONARY = 0xBF0C;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_told_by_bit_six_of_the_first_byte() {
        for tag in [FCI, RECORD, FCI_PROPRIETARY, FCI_DISCRETIONARY, APPLICATION_TEMPLATE, ISSUER_SCRIPT_1] {
            assert!(tag.is_template(), "{tag}");
        }
        for tag in [PAN, AID, CRYPTOGRAM, RESPONSE_1, CVM_LIST, APPLICATION_EXPIRY] {
            assert!(!tag.is_template(), "{tag}");
        }
    }

    #[test]
    fn bytes_read_back() {
        for tag in [PAN, AMOUNT_AUTHORISED, FCI_DISCRETIONARY] {
            let bytes = tag.bytes();
            assert_eq!(Tag::read(&bytes), Ok((tag, &[][..])));
        }
    }
}
