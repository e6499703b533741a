//! What can be paid: services as data, their prices and payees, in three languages.

use crate::{Amount, Bin, notes::NoteTable, utc::Date};
use serde::{Deserialize, Serialize};

/// The three languages of screen and paper.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Language {
    /// Қазақша: the state language, always on paper.
    #[default]
    Kazakh,
    /// Русский.
    Russian,
    /// English.
    English,
}

impl Language {
    /// All three, in the order of the buttons.
    pub const ALL: [Self; 3] = [Self::Kazakh, Self::Russian, Self::English];
}

/// One text in three languages, each at most `N` bytes of UTF-8.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Names<const N: usize> {
    /// Kazakh.
    pub kk: heapless::String<N>,
    /// Russian.
    pub ru: heapless::String<N>,
    /// English.
    pub en: heapless::String<N>,
}

impl<const N: usize> Names<N> {
    /// Takes three texts; `None` if one is longer than `N` bytes.
    pub fn new(kk: &str, ru: &str, en: &str) -> Option<Self> {
        let copy = |text: &str| heapless::String::try_from(text).ok();
        Some(Self { kk: copy(kk)?, ru: copy(ru)?, en: copy(en)? })
    }

    /// The text in `language`.
    pub fn get(&self, language: Language) -> &str {
        match language {
            Language::Kazakh => &self.kk,
            Language::Russian => &self.ru,
            Language::English => &self.en,
        }
    }
}

/// Names a service, e.g. `passport-36`. Lower-case ASCII letters, digits and hyphens.
pub type ServiceCode = heapless::String<24>;

/// How a fee is computed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Price {
    /// A fixed sum.
    Fixed(Amount),
    /// Thousandths of the monthly calculation index (АЕК, МРП) of the day.
    Mrp {
        /// 1000 = one index.
        thousandths: u32,
    },
}

impl Price {
    /// The exact fee in tiyn when one index is `mrp`; `None` above [`Amount::MAX`].
    ///
    /// Fractions of a tiyn are rounded half up.
    pub fn amount(self, mrp: Amount) -> Option<Amount> {
        match self {
            Self::Fixed(amount) => Some(amount),
            Self::Mrp { thousandths } => {
                let product = mrp.checked_mul(u64::from(thousandths))?;
                Some(Amount::from_tiyn((product.tiyn() + 500) / 1_000))
            }
        }
    }
}

/// Catalogue group of a service.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Group {
    /// Identity cards, passports.
    Documents,
    /// Driving licences, plates.
    Transport,
    /// Births, marriages, names.
    Family,
    /// Apostille, court, notary.
    Justice,
    /// Land, real estate, business.
    Property,
}

impl Group {
    /// All groups in the order of the screen.
    pub const ALL: [Self; 5] =
        [Self::Documents, Self::Transport, Self::Family, Self::Justice, Self::Property];
}

/// One payable service.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Service {
    /// Its code.
    pub code: ServiceCode,
    /// Where it stands in the catalogue.
    pub group: Group,
    /// What the citizen calls it.
    pub name: Names<160>,
    /// One or two sentences: what it is and what will be needed.
    pub about: Names<400>,
    /// Who gets the money.
    pub payee: Names<160>,
    /// Business number of the payee.
    pub payee_bin: Bin,
    /// Budget classification code (КБК), six digits.
    pub kbk: u32,
    /// Payment purpose code (КНП, ТТК), three digits.
    pub knp: u16,
    /// How the fee is computed.
    pub price: Price,
    /// Position among the most used, 0 first.
    pub rank: u16,
}

impl Service {
    /// SHA-256 of the encoded entry: a quote carries it, so the center signs every word that screen and paper show.
    pub fn digest(&self) -> [u8; 32] {
        use sha2::Digest;
        let mut buffer = [0; 3_072];
        let used =
            postcard::to_slice(self, &mut buffer).expect("invariant: a service is bounded below 3 KiB");
        sha2::Sha256::digest(used).into()
    }
}

/// The index from a day on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MrpRate {
    /// First day on which it applies.
    pub from: Date,
    /// One index.
    pub amount: Amount,
}

/// At most this many services fit the catalogue.
pub const MAX_SERVICES: u16 = 64;

/// Everything of the catalogue but the services, which are fetched one by one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CatalogueHead {
    /// Grows with each change.
    pub version: u32,
    /// Number of services, at most [`MAX_SERVICES`].
    pub services: u16,
    /// Index rates, oldest first.
    pub mrp: heapless::Vec<MrpRate, 8>,
    /// Which notes are money.
    pub notes: NoteTable,
    /// Phone that answers about payments.
    pub phone: heapless::String<32>,
    /// Where a code is used and a receipt checked.
    pub site: heapless::String<48>,
}

impl CatalogueHead {
    /// The index that applies on `day`; `None` before the first rate.
    pub fn mrp_on(&self, day: Date) -> Option<Amount> {
        self.mrp.iter().rev().find(|rate| rate.from <= day).map(|rate| rate.amount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fees_follow_the_index_to_the_tiyn() {
        let mrp = Amount::from_tenge(4325);
        for (thousandths, tiyn) in [(200, 86_500), (1_250, 540_625), (500, 216_250), (8_000, 3_460_000)] {
            assert_eq!(Price::Mrp { thousandths }.amount(mrp), Some(Amount::from_tiyn(tiyn)));
        }
        assert_eq!(Price::Mrp { thousandths: u32::MAX }.amount(Amount::MAX), None);
    }
}
