//! The files of a card and the layouts of its answers.

use super::profile::{ApplicationProfile, CardProfile};
use std::collections::BTreeMap;
use tolem_protocol::emv::{Tag, tags, tlv};

/// Records by file and number.
#[derive(Clone, Debug, Default)]
pub struct Files(BTreeMap<(u8, u8), Vec<u8>>);

fn object(tag: Tag, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    tlv::push(&mut bytes, tag, value);
    bytes
}

fn template(tag: Tag, objects: &[Vec<u8>]) -> Vec<u8> {
    object(tag, &objects.concat())
}

/// Digits packed two a byte from the left, filled with `F`.
fn compressed(digits: &[u8]) -> Vec<u8> {
    digits.chunks(2).map(|pair| pair[0] << 4 | pair.get(1).copied().unwrap_or(0xF)).collect()
}

fn packed(number: u16) -> [u8; 2] {
    let digit = |n: u32| u8::try_from(u32::from(number) / 10_u32.pow(n) % 10).expect("invariant: one digit");
    [digit(3) << 4 | digit(2), digit(1) << 4 | digit(0)]
}

impl Files {
    /// The directory: one record for each application.
    pub fn directory(card: &CardProfile) -> Self {
        let records = card.applications.iter().zip(1..).map(|(application, number)| {
            let entry = template(
                tags::APPLICATION_TEMPLATE,
                &[
                    object(tags::AID, &application.aid),
                    object(tags::APPLICATION_LABEL, application.label.as_bytes()),
                    object(tags::PRIORITY, &[application.priority]),
                ],
            );
            ((1, number), object(tags::RECORD, &entry))
        });
        Self(records.collect())
    }

    /// The two records of an application.
    pub fn of(application: &ApplicationProfile) -> Self {
        let ApplicationProfile {
            number, sequence, expiry, country, verification, denial, cdol1, cdol2, ..
        } = application;
        let digits = number.digits();
        let track: Vec<u8> = [
            digits,
            &[0xD, expiry[0] >> 4, expiry[0] & 0xF, expiry[1] >> 4, expiry[1] & 0xF, 2, 0, 1],
            &[0; 8],
        ]
        .concat();
        let holder = template(
            tags::RECORD,
            &[
                object(tags::TRACK2, &compressed(&track)),
                object(tags::CARDHOLDER_NAME, b"TEST/CARD"),
                object(tags::PAN, &compressed(digits)),
                object(tags::APPLICATION_EXPIRY, expiry),
                object(tags::PAN_SEQUENCE, &[((sequence / 10) << 4) | (sequence % 10)]),
                object(tags::ISSUER_COUNTRY, &packed(*country)),
            ],
        );
        let risk = template(
            tags::RECORD,
            &[
                object(tags::CDOL1, cdol1),
                object(tags::CDOL2, cdol2),
                object(tags::CVM_LIST, verification),
                object(tags::IAC_DENIAL, denial),
                object(tags::IAC_ONLINE, &[0xFF; 5]),
                object(tags::IAC_DEFAULT, &[0xFF; 5]),
                object(tags::USAGE_CONTROL, &[0xFF, 0x00]),
                object(tags::CARD_VERSION, &[0x00, 0x02]),
            ],
        );
        Self(BTreeMap::from([((1, 1), holder), ((2, 1), risk)]))
    }

    /// One record.
    pub fn record(&self, file: u8, number: u8) -> Option<&[u8]> {
        self.0.get(&(file, number)).map(Vec::as_slice)
    }

    /// Where they are: file, first, last, none for offline authentication.
    fn locator(&self) -> Vec<u8> {
        self.0.keys().flat_map(|(file, number)| [file << 3, *number, *number, 0]).collect()
    }
}

/// File control information of the directory.
pub fn directory_control() -> Vec<u8> {
    let proprietary = template(tags::FCI_PROPRIETARY, &[object(tags::SFI, &[1])]);
    template(tags::FCI, &[object(tags::DF_NAME, b"1PAY.SYS.DDF01"), proprietary])
}

/// File control information of an application.
pub fn control(application: &ApplicationProfile) -> Vec<u8> {
    let mut proprietary = vec![
        object(tags::APPLICATION_LABEL, application.label.as_bytes()),
        object(tags::PRIORITY, &[application.priority]),
    ];
    if !application.pdol.is_empty() {
        proprietary.push(object(tags::PDOL, &application.pdol));
    }
    let proprietary = template(tags::FCI_PROPRIETARY, &proprietary);
    template(tags::FCI, &[object(tags::DF_NAME, &application.aid), proprietary])
}

/// The answer of GET PROCESSING OPTIONS.
pub fn options(application: &ApplicationProfile, files: &Files) -> Vec<u8> {
    let (profile, locator) = (application.profile(), files.locator());
    if application.objects {
        template(tags::RESPONSE_2, &[object(tags::AIP, &profile), object(tags::AFL, &locator)])
    } else {
        object(tags::RESPONSE_1, &[&profile[..], &locator].concat())
    }
}

/// The answer of GENERATE AC.
pub fn cryptogram(
    application: &ApplicationProfile,
    kind: u8,
    counter: u16,
    cryptogram: [u8; 8],
    issuer: &[u8],
) -> Vec<u8> {
    let counter = counter.to_be_bytes();
    if application.objects {
        template(
            tags::RESPONSE_2,
            &[
                object(tags::CRYPTOGRAM_INFORMATION, &[kind]),
                object(tags::ATC, &counter),
                object(tags::CRYPTOGRAM, &cryptogram),
                object(tags::ISSUER_APPLICATION_DATA, issuer),
            ],
        )
    } else {
        object(tags::RESPONSE_1, &[&[kind][..], &counter, &cryptogram, issuer].concat())
    }
}
