//! What a card is: its applications, their data and their keys. Public test numbers only.

use tolem_card_keys::{TdesKey, emv};
use tolem_protocol::emv::CardNumber;

/// How a card wants the issuer to prove itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Authentication {
    /// The proof is data of the second GENERATE AC.
    InSecondList,
    /// The proof comes by EXTERNAL AUTHENTICATE.
    ByCommand,
    /// Not at all.
    None,
}

/// One application of a card.
#[derive(Clone, Debug)]
pub struct ApplicationProfile {
    /// Its name, 5 to 16 bytes.
    pub aid: Vec<u8>,
    /// Shown to people.
    pub label: String,
    /// 1 is the favourite; with bit 8 set it wants to be asked for.
    pub priority: u8,
    /// Its number.
    pub number: CardNumber,
    /// Which of several cards with this number.
    pub sequence: u8,
    /// Last day, YYMMDD packed.
    pub expiry: [u8; 3],
    /// Country of the issuer.
    pub country: u16,
    /// The list of verification methods, tag `8E`.
    pub verification: Vec<u8>,
    /// What the issuer refuses outright, tag `9F0E`.
    pub denial: [u8; 5],
    /// What it asks for at GET PROCESSING OPTIONS.
    pub pdol: Vec<u8>,
    /// What it asks for at the first GENERATE AC.
    pub cdol1: Vec<u8>,
    /// What it asks for at the second.
    pub cdol2: Vec<u8>,
    /// How the issuer proves itself.
    pub authentication: Authentication,
    /// Answers in format 2 (objects) instead of 1 (bare bytes).
    pub objects: bool,
    /// It answers `6283`.
    pub blocked: bool,
    /// Key of its cryptograms.
    pub key: TdesKey,
    /// Key of script codes.
    pub script_key: TdesKey,
}

impl ApplicationProfile {
    /// Application interchange profile: cardholder verification, and issuer authentication by command if it wants that.
    pub fn profile(&self) -> [u8; 2] {
        let command = if self.authentication == Authentication::ByCommand { 0x04 } else { 0 };
        [0x18 | command, 0x00]
    }
}

/// A card.
#[derive(Clone, Debug)]
pub struct CardProfile {
    /// Its applications.
    pub applications: Vec<ApplicationProfile>,
    /// It has a directory (`1PAY.SYS.DDF01`).
    pub directory: bool,
    /// It answers `6A81` to everything.
    pub blocked: bool,
}

/// Keys of the test issuer, from which those of its cards follow.
#[derive(Clone, Debug)]
pub struct IssuerKeys {
    /// Of cryptograms.
    pub cryptograms: TdesKey,
    /// Of script codes.
    pub scripts: TdesKey,
}

impl IssuerKeys {
    /// The well-known test keys: worth nothing.
    pub fn test() -> Self {
        let key = |bytes: u128| TdesKey::new(&bytes.to_be_bytes()).expect("invariant: 16 bytes");
        Self {
            cryptograms: key(0x0123_4567_89AB_CDEF_FEDC_BA98_7654_3210),
            scripts: key(0xABCD_EF01_2345_6789_ABCD_EF01_2345_6789),
        }
    }
}

impl CardProfile {
    /// A card with one application that pays after an online PIN.
    pub fn common(number: CardNumber, keys: &IssuerKeys) -> Self {
        Self {
            applications: vec![ApplicationProfile {
                aid: vec![0xA0, 0x00, 0x00, 0x00, 0x04, 0x10, 0x10],
                label: "TEST DEBIT".into(),
                priority: 1,
                sequence: 1,
                expiry: [0x30, 0x12, 0x31],
                country: 398,
                // Online PIN, else nothing that this terminal offers.
                verification: vec![0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x03],
                // An expired application is refused without asking.
                denial: [0x00, 0x40, 0x00, 0x00, 0x00],
                pdol: vec![],
                cdol1: vec![
                    0x9F, 0x02, 6, 0x9F, 0x03, 6, 0x9F, 0x1A, 2, 0x95, 5, 0x5F, 0x2A, 2, 0x9A, 3, 0x9C, 1,
                    0x9F, 0x37, 4,
                ],
                cdol2: vec![0x91, 10, 0x8A, 2, 0x95, 5, 0x9F, 0x37, 4],
                authentication: Authentication::InSecondList,
                objects: false,
                blocked: false,
                key: emv::card_key(&keys.cryptograms, &number, 1),
                script_key: emv::card_key(&keys.scripts, &number, 1),
                number,
            }],
            directory: true,
            blocked: false,
        }
    }

    /// The same with a second application under another name.
    pub fn with_two_applications(number: CardNumber, keys: &IssuerKeys) -> Self {
        let mut card = Self::common(number, keys);
        let mut other = card.applications[0].clone();
        other.aid = vec![0xA0, 0x00, 0x00, 0x00, 0x03, 0x10, 0x10];
        other.label = "TEST CREDIT".into();
        other.priority = 2;
        other.objects = true;
        other.authentication = Authentication::ByCommand;
        card.applications.push(other);
        card
    }
}
