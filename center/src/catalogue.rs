//! The catalogue as a file: read, checked, and refused with the name of the entry and key that is wrong.
//!
//! What is sent to kiosks and signed into quotes must be sane before it is used, so a file with one wrong key is refused whole
//! and the old catalogue stays in force.

use serde::Deserialize;
use std::{collections::BTreeSet, fmt};
use tolem_protocol::{
    Amount, Bin, Denomination, Iin,
    catalogue::{CatalogueHead, Group, MAX_SERVICES, MrpRate, Names, Price, Service},
    notes::{NotePattern, NoteTable},
    utc::Date,
};

/// A checked catalogue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Catalogue {
    /// Version, rates and notes.
    pub head: CatalogueHead,
    /// Services, by rank.
    pub services: Vec<Service>,
}

/// Why a data file is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DataError {
    /// Entry and key, e.g. `service "passport-36", key kbk`.
    pub place: String,
    /// What is there and what is allowed.
    pub fault: String,
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.fault)
    }
}

impl std::error::Error for DataError {}

/// The catalogue that comes with the program.
pub const REFERENCE: &str = include_str!("../data/catalogue.toml");
/// The persons that come with the program; all invented.
pub const REFERENCE_PERSONS: &str = include_str!("../data/registry.toml");

impl Catalogue {
    /// Reads a catalogue file.
    pub fn parse(text: &str) -> Result<Self, DataError> {
        let file: File = toml::from_str(text).map_err(|error| syntax(&error))?;
        file.check()
    }

    /// The service with this code.
    pub fn find(&self, code: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.code.as_str() == code)
    }
}

/// Reads a file of persons: IIN and masked name.
pub fn parse_persons(text: &str, today: Date) -> Result<Vec<(Iin, heapless::String<64>)>, DataError> {
    let file: PersonsFile = toml::from_str(text).map_err(|error| syntax(&error))?;
    let persons = file.person.iter().enumerate();
    persons
        .map(|(index, person)| {
            // The number itself is never repeated in a message.
            let place = |key: &str| format!("person {}, key {key}", index + 1);
            let iin = Iin::parse(&person.iin, today).map_err(|error| {
                wrong(place("iin"), format!("not an IIN ({error:?}); twelve digits in quotes"))
            })?;
            Ok((iin, short(&person.name, place("name"))?))
        })
        .collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    phone: String,
    site: String,
    mrp: Vec<RateEntry>,
    note: Vec<NoteEntry>,
    service: Vec<ServiceEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RateEntry {
    from: String,
    tenge: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoteEntry {
    tenge: u32,
    pattern: u16,
    from: String,
    to: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceEntry {
    code: String,
    group: String,
    rank: u16,
    price: PriceEntry,
    payee_bin: String,
    kbk: u32,
    knp: u16,
    name: NamesEntry,
    about: NamesEntry,
    payee: NamesEntry,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceEntry {
    mrp_thousandths: Option<u32>,
    tiyn: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NamesEntry {
    kk: String,
    ru: String,
    en: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PersonsFile {
    person: Vec<PersonEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PersonEntry {
    iin: String,
    name: String,
}

/// Highest fee that can be configured: a typing slip above it would ask a citizen for millions.
const MAX_FEE: Amount = Amount::from_tenge(10_000_000);

impl File {
    fn check(self) -> Result<Catalogue, DataError> {
        if self.version == 0 {
            return Err(wrong("key version", "0 is not allowed; start with 1 and add 1 with each change"));
        }
        let mrp = self.rates()?;
        let notes = self.notes()?;
        if self.service.is_empty() || self.service.len() > usize::from(MAX_SERVICES) {
            let fault = format!("{} entries, allowed are 1..={MAX_SERVICES}", self.service.len());
            return Err(wrong("service", fault));
        }
        let last = mrp.last().map_or(Amount::ZERO, |rate| rate.amount);
        let mut services =
            self.service.iter().map(|entry| entry.check(last)).collect::<Result<Vec<_>, _>>()?;
        let (mut codes, mut ranks) = (BTreeSet::new(), BTreeSet::new());
        for service in &services {
            let place = |key: &str| format!("service {:?}, key {key}", service.code.as_str());
            if !codes.insert(service.code.clone()) {
                return Err(wrong(place("code"), "stands twice in the file"));
            }
            if !ranks.insert(service.rank) {
                return Err(wrong(place("rank"), format!("{} stands twice in the file", service.rank)));
            }
        }
        services.sort_by_key(|service| service.rank);
        let head = CatalogueHead {
            version: self.version,
            services: u16::try_from(services.len()).expect("invariant: at most MAX_SERVICES"),
            mrp,
            notes,
            phone: short(&self.phone, "key phone")?,
            site: short(&self.site, "key site")?,
        };
        Ok(Catalogue { head, services })
    }

    fn rates(&self) -> Result<heapless::Vec<MrpRate, 8>, DataError> {
        let mut rates: heapless::Vec<MrpRate, 8> = heapless::Vec::new();
        for (index, entry) in self.mrp.iter().enumerate() {
            let place = |key: &str| format!("mrp {}, key {key}", index + 1);
            let from = day(&entry.from, place("from"))?;
            if rates.last().is_some_and(|before| before.from >= from) {
                return Err(wrong(place("from"), "the rates must stand oldest first, each day once"));
            }
            if !(1..=1_000_000).contains(&entry.tenge) {
                return Err(wrong(place("tenge"), format!("{} is not in 1..=1000000", entry.tenge)));
            }
            let rate = MrpRate { from, amount: Amount::from_tenge(entry.tenge) };
            rates.push(rate).map_err(|_| wrong("mrp", "more than 8 rates: leave the oldest out"))?;
        }
        if rates.is_empty() {
            return Err(wrong("mrp", "at least one rate is needed"));
        }
        Ok(rates)
    }

    fn notes(&self) -> Result<NoteTable, DataError> {
        let mut table = NoteTable::default();
        for (index, entry) in self.note.iter().enumerate() {
            let place = |key: &str| format!("note {}, key {key}", index + 1);
            if ![500, 1_000, 2_000, 5_000, 10_000, 20_000].contains(&entry.tenge) {
                let fault =
                    format!("{} is no tenge note; 500, 1000, 2000, 5000, 10000, 20000 are", entry.tenge);
                return Err(wrong(place("tenge"), fault));
            }
            let valid_from = day(&entry.from, place("from"))?;
            let valid_to = entry.to.as_ref().map(|to| day(to, place("to"))).transpose()?;
            if valid_to.is_some_and(|to| to < valid_from) {
                return Err(wrong(place("to"), "lies before from"));
            }
            let denomination = Denomination(entry.tenge);
            if table.find(denomination, entry.pattern).is_some() {
                return Err(wrong(
                    place("pattern"),
                    format!("{} {} stands twice", entry.tenge, entry.pattern),
                ));
            }
            let pattern = NotePattern { denomination, pattern: entry.pattern, valid_from, valid_to };
            table.0.push(pattern).map_err(|_| wrong("note", "more than 24 patterns"))?;
        }
        if table.0.is_empty() {
            return Err(wrong("note", "at least one note is needed"));
        }
        Ok(table)
    }
}

impl ServiceEntry {
    fn check(&self, index: Amount) -> Result<Service, DataError> {
        let place = |key: &str| format!("service {:?}, key {key}", self.code);
        let plain = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'-';
        if self.code.is_empty() || self.code.len() > 24 || !self.code.bytes().all(plain) {
            return Err(wrong(place("code"), "1 to 24 of a-z, 0-9 and hyphen are allowed"));
        }
        let price = match (self.price.mrp_thousandths, self.price.tiyn) {
            (Some(thousandths), None) => Price::Mrp { thousandths },
            (None, Some(tiyn)) => Price::Fixed(Amount::from_tiyn(tiyn)),
            _ => return Err(wrong(place("price"), "exactly one of mrp_thousandths and tiyn is needed")),
        };
        match price.amount(index) {
            Some(fee) if !fee.rounded_for_cash().is_zero() && fee <= MAX_FEE => {}
            _ => {
                return Err(wrong(place("price"), format!("the fee must lie between 1 tenge and {MAX_FEE}")));
            }
        }
        if !(100_000..=999_999).contains(&self.kbk) {
            return Err(wrong(place("kbk"), format!("{} has not six digits", self.kbk)));
        }
        if !(100..=999).contains(&self.knp) {
            return Err(wrong(place("knp"), format!("{} has not three digits", self.knp)));
        }
        let payee_bin = Bin::parse(&self.payee_bin).ok_or_else(|| {
            let fault = format!("{:?} is not a BIN: twelve digits with their control digit", self.payee_bin);
            wrong(place("payee_bin"), fault)
        })?;
        Ok(Service {
            code: short(&self.code, place("code"))?,
            group: group(&self.group, place("group"))?,
            name: self.name.check(&place("name"))?,
            about: self.about.check(&place("about"))?,
            payee: self.payee.check(&place("payee"))?,
            payee_bin,
            kbk: self.kbk,
            knp: self.knp,
            price,
            rank: self.rank,
        })
    }
}

impl NamesEntry {
    fn check<const N: usize>(&self, place: &str) -> Result<Names<N>, DataError> {
        let text = |language: &str, text: &str| {
            if text.trim().is_empty() {
                return Err(wrong(format!("{place}.{language}"), "is empty"));
            }
            short(text, format!("{place}.{language}"))
        };
        Ok(Names { kk: text("kk", &self.kk)?, ru: text("ru", &self.ru)?, en: text("en", &self.en)? })
    }
}

fn group(text: &str, place: String) -> Result<Group, DataError> {
    Ok(match text {
        "documents" => Group::Documents,
        "transport" => Group::Transport,
        "family" => Group::Family,
        "justice" => Group::Justice,
        "property" => Group::Property,
        _ => {
            let fault = format!("{text:?}; allowed are documents, transport, family, justice, property");
            return Err(wrong(place, fault));
        }
    })
}

fn day(text: &str, place: String) -> Result<Date, DataError> {
    Date::parse_iso(text)
        .ok_or_else(|| wrong(place, format!("{text:?} is no day; write it like \"2026-01-31\"")))
}

fn short<const N: usize>(text: &str, place: impl Into<String>) -> Result<heapless::String<N>, DataError> {
    heapless::String::try_from(text)
        .map_err(|_| wrong(place, format!("{} bytes of UTF-8, at most {N} are allowed", text.len())))
}

fn wrong(place: impl Into<String>, fault: impl Into<String>) -> DataError {
    DataError { place: place.into(), fault: fault.into() }
}

fn syntax(error: &toml::de::Error) -> DataError {
    wrong("the file", error.to_string().trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn the_reference_catalogue_costs_what_the_papers_say() {
        let catalogue = Catalogue::parse(REFERENCE).unwrap();
        let today = Date::parse_iso("2026-11-22").unwrap();
        let mrp = catalogue.head.mrp_on(today).unwrap();
        let list: String = catalogue
            .services
            .iter()
            .map(|service| {
                let fee = service.price.amount(mrp).unwrap();
                format!(
                    "{} {} {} {fee:?} {}\n",
                    service.rank, service.code, service.payee_bin, service.name.kk
                )
            })
            .collect();
        expect![[r#"
            0 id-card 991240000013 865.00₸ Жеке куәлік беру
            1 passport-36 991240000013 34600.00₸ Паспорт, 36 бет
            2 driving-licence 991241000019 5406.25₸ Жүргізуші куәлігі
            3 marriage 991242000014 4325.00₸ Неке қиюды тіркеу
            4 passport-24 991240000013 17300.00₸ Балаға арналған паспорт, 24 бет
            5 car-first-registration 991241000019 1081.25₸ Жеңіл автомобильді алғашқы тіркеу (2 жасқа дейін)
            6 passport-48 991240000013 51900.00₸ Паспорт, 48 бет
            7 residence-permit 991240000013 865.00₸ Шетелдіктің Қазақстанда тұруына ықтиярхат
            8 apostille 090440004151 2162.50₸ Апостиль қою
            9 plate-chosen 991241000019 43250.00₸ Таңдалған мемлекеттік нөмір белгісі
            10 id-card-third-loss 991240000013 4325.00₸ Бір жылда үшінші рет жоғалған жеке куәлікті қайта беру
            11 marriage-again 991242000014 2162.50₸ Неке қию туралы куәлікті қайта беру
            12 stateless-card 991240000013 34600.00₸ Азаматтығы жоқ адамның куәлігі
            13 plate-mirror 991241000019 64875.00₸ 101, 191, 202, 717 сияқты нөмір белгісі
            14 divorce 991242000014 8650.00₸ Некені бұзуды тіркеу
        "#]]
        .assert_eq(&list);
        let tenge: Vec<u32> =
            catalogue.head.notes.denominations_on(today).iter().map(|note| note.0).collect();
        assert_eq!(tenge, [500, 1_000, 2_000, 5_000, 10_000, 20_000]);
    }

    #[test]
    fn the_reference_persons_are_the_invented_ones() {
        let today = Date::parse_iso("2026-11-22").unwrap();
        assert_eq!(parse_persons(REFERENCE_PERSONS, today).unwrap().len(), 7);
        let error = parse_persons("[[person]]\niin = \"123\"\nname = \"x\"", today).unwrap_err();
        assert!(!error.to_string().contains("123"), "{error}");
    }

    fn refused(from: &str, to: &str) -> String {
        assert!(REFERENCE.contains(from), "{from}");
        Catalogue::parse(&REFERENCE.replacen(from, to, 1)).unwrap_err().to_string()
    }

    #[test]
    fn each_wrong_key_is_named() {
        let errors = [
            refused("version = 1", "version = 0"),
            refused("rank = 10", "rank = 0"),
            refused("\"id-card-third-loss\"", "\"id-card\""),
            refused("\"id-card\"", "\"ID card\""),
            refused("group = \"documents\"", "group = \"papers\""),
            refused("{ mrp_thousandths = 200 }", "{ mrp_thousandths = 4000000000 }"),
            refused("{ mrp_thousandths = 200 }", "{ mrp_thousandths = 200, tiyn = 1 }"),
            refused("{ mrp_thousandths = 200 }", "{ tiyn = 49 }"),
            refused("991240000013", "991240000014"),
            refused("kbk = 108125", "kbk = 1"),
            refused("knp = 911", "knp = 9110"),
            refused("kk = \"Жеке куәлік беру\"", "kk = \" \""),
            refused("tenge = 500\n", "tenge = 200\n"),
            refused("to = \"2027-03-27\"", "to = \"2027-02-30\""),
            refused("to = \"2027-03-27\"", "to = \"2001-03-27\""),
            refused("from = \"2024-01-01\"", "from = \"2022-01-01\""),
            refused("tenge = 3450", "tenge = 0"),
            refused("phone = \"1414\"", "phone = \"12345678901234567890123456789012345\""),
        ];
        expect![[r#"
            key version: 0 is not allowed; start with 1 and add 1 with each change
            service "id-card-third-loss", key rank: 0 stands twice in the file
            service "id-card", key code: stands twice in the file
            service "ID card", key code: 1 to 24 of a-z, 0-9 and hyphen are allowed
            service "id-card", key group: "papers"; allowed are documents, transport, family, justice, property
            service "id-card", key price: the fee must lie between 1 tenge and 10 000 000 ₸
            service "id-card", key price: exactly one of mrp_thousandths and tiyn is needed
            service "id-card", key price: the fee must lie between 1 tenge and 10 000 000 ₸
            service "id-card", key payee_bin: "991240000014" is not a BIN: twelve digits with their control digit
            service "id-card", key kbk: 1 has not six digits
            service "id-card", key knp: 9110 has not three digits
            service "id-card", key name.kk: is empty
            note 1, key tenge: 200 is no tenge note; 500, 1000, 2000, 5000, 10000, 20000 are
            note 3, key to: "2027-02-30" is no day; write it like "2026-01-31"
            note 3, key to: lies before from
            mrp 2, key from: the rates must stand oldest first, each day once
            mrp 1, key tenge: 0 is not in 1..=1000000
            key phone: 35 bytes of UTF-8, at most 32 are allowed"#]].assert_eq(&errors.join("\n"));
        let unknown = refused("kbk = 108125", "kbk = 108125\ncolour = 1");
        assert!(unknown.contains("unknown field `colour`") && unknown.contains("line "), "{unknown}");
    }
}
