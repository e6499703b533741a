//! What the terminal decides from the card's data: restrictions, cardholder verification, action analysis (EMV Book 3, section 10).

use super::{ActionCode, Failure, Terminal, Transaction, Tvr, objects::Objects};
use tolem_protocol::{Amount, Date, emv::tags};

/// Result of cardholder verification, tag `9F34`: method, condition, result.
pub type CvmResult = [u8; 3];
/// No method was performed.
pub const NO_METHOD: CvmResult = [0x3F, 0, 0];

/// A rule of the list whose method we can perform.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// The PIN goes encrypted to the issuer.
    OnlinePin,
    /// Nothing is asked.
    Nothing,
}

/// Processing restrictions (section 10.4).
pub fn restrict(
    card: &Objects,
    terminal: &Terminal,
    application: usize,
    transaction: &Transaction,
    tvr: &mut Tvr,
) -> Result<(), Failure> {
    if let Some(version) = card.optional::<2>(tags::CARD_VERSION)?
        && terminal.applications.get(application).is_some_and(|known| known.version != version)
    {
        tvr.set(Tvr::VERSIONS_DIFFER);
    }
    if let Some(control) = card.optional::<2>(tags::USAGE_CONTROL)?
        && !usable(control, card.optional::<2>(tags::ISSUER_COUNTRY)?, terminal)
    {
        tvr.set(Tvr::SERVICE_NOT_ALLOWED);
    }
    if let Some(effective) = card.optional::<3>(tags::APPLICATION_EFFECTIVE)?
        && date(effective).ok_or(Failure::Malformed(tags::APPLICATION_EFFECTIVE))? > transaction.date
    {
        tvr.set(Tvr::NOT_YET_VALID);
    }
    let expiry = card.exactly::<3>(tags::APPLICATION_EXPIRY)?;
    if date(expiry).ok_or(Failure::Malformed(tags::APPLICATION_EXPIRY))? < transaction.date {
        tvr.set(Tvr::EXPIRED);
    }
    Ok(())
}

/// Application usage control (Annex C2): the kind of terminal, and domestic or international services.
fn usable(control: [u8; 2], issuer: Option<[u8; 2]>, terminal: &Terminal) -> bool {
    let is_atm = matches!(terminal.kind, 0x14..=0x16);
    let kind = control[0] & if is_atm { 0x02 } else { 0x01 } != 0;
    let region = issuer.is_none_or(|issuer| {
        let domestic = issuer == bcd(u64::from(terminal.country));
        control[0] & if domestic { 0x08 } else { 0x04 } != 0
    });
    kind && region
}

/// YYMMDD in packed digits, of this century.
fn date(bytes: [u8; 3]) -> Option<Date> {
    let digits = |byte: u8| (byte >> 4 <= 9 && byte & 0xF <= 9).then_some((byte >> 4) * 10 + (byte & 0xF));
    let [year, month, day] = bytes.map(digits);
    let (month, day) = (month?, day?);
    // A card that is valid to the end of its month may leave the day out.
    let day = if day == 0 { 1 } else { day };
    Date::from_calendar(2000 + i32::from(year?), month, day)
}

/// Digits packed two a byte, right-aligned.
pub fn bcd<const N: usize>(mut number: u64) -> [u8; N] {
    let mut bytes = [0; N];
    for byte in bytes.iter_mut().rev() {
        let pair = u8::try_from(number % 100).expect("invariant: two digits");
        *byte = (pair / 10) << 4 | (pair % 10);
        number /= 100;
    }
    bytes
}

/// The card's list of verification methods (section 10.5), walked rule by rule.
pub struct CvmList {
    rules: Vec<[u8; 2]>,
    limits: [Amount; 2],
    same_currency: bool,
    amount: Amount,
    last: Option<[u8; 2]>,
}

/// What the list wants next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// Perform this; if it fails, ask again.
    Perform(Method),
    /// It is over.
    Over(CvmResult),
}

impl CvmList {
    /// Reads tag `8E`; `None` if the card has none or supports no verification.
    pub fn read(
        card: &Objects,
        transaction: &Transaction,
        terminal: &Terminal,
    ) -> Result<Option<Self>, Failure> {
        let supported = card.need(tags::AIP)?.first().is_some_and(|byte| byte & 0x10 != 0);
        let Some(list) = card.get(tags::CVM_LIST).filter(|_| supported) else { return Ok(None) };
        let malformed = Failure::Malformed(tags::CVM_LIST);
        let (limits, rules) = list.split_first_chunk::<8>().ok_or(malformed)?;
        let (rules, []) = rules.as_chunks::<2>() else { return Err(malformed) };
        let limit = |from: usize| {
            let bytes = [limits[from], limits[from + 1], limits[from + 2], limits[from + 3]];
            Amount::from_tiyn(u64::from(u32::from_be_bytes(bytes)))
        };
        let currency = card.optional::<2>(tags::APPLICATION_CURRENCY)?;
        let mut rules = rules.to_vec();
        rules.reverse();
        Ok(Some(Self {
            rules,
            limits: [limit(0), limit(4)],
            same_currency: currency == Some(bcd(u64::from(terminal.currency))),
            amount: transaction.amount,
            last: None,
        }))
    }

    /// The next method; the one before it, if any, failed.
    pub fn next(&mut self, tvr: &mut Tvr) -> Wanted {
        if let Some(failed) = self.last
            && failed[0] & 0x40 == 0
        {
            return self.failed(tvr);
        }
        while let Some(rule) = self.rules.pop() {
            let [code, condition] = rule;
            let method = match code & 0x3F {
                0x02 => Some(Method::OnlinePin),
                0x1F => Some(Method::Nothing),
                _ => None,
            };
            if !self.applies(condition, method.is_some()) {
                continue;
            }
            self.last = Some(rule);
            if let Some(method) = method {
                return Wanted::Perform(method);
            }
            // `00` is "fail"; `01`, `03` to `05` and `1E` are known and not offered by the capabilities.
            match code & 0x3F {
                0x00 => return self.failed(tvr),
                0x01 | 0x03..=0x05 | 0x1E => {}
                _ => tvr.set(Tvr::METHOD_UNKNOWN),
            }
            if code & 0x40 == 0 {
                return self.failed(tvr);
            }
        }
        self.failed(tvr)
    }

    /// The result when the method asked for last was performed.
    pub fn performed(&self, method: Method) -> CvmResult {
        let [code, condition] = self.last.unwrap_or([0x3F, 0]);
        // The issuer alone knows whether an online PIN is right.
        [code, condition, if method == Method::OnlinePin { 0 } else { 2 }]
    }

    fn failed(&self, tvr: &mut Tvr) -> Wanted {
        tvr.set(Tvr::CARDHOLDER_NOT_VERIFIED);
        let [code, condition] = self.last.unwrap_or([0x3F, 0]);
        Wanted::Over([code, condition, 1])
    }

    fn applies(&self, condition: u8, supported: bool) -> bool {
        let compared = |wanted: bool| self.same_currency && wanted;
        match condition {
            0x00 | 0x02 => true,
            0x03 => supported,
            0x06 => compared(self.amount < self.limits[0]),
            0x07 => compared(self.amount > self.limits[0]),
            0x08 => compared(self.amount < self.limits[1]),
            0x09 => compared(self.amount > self.limits[1]),
            // Cash and cashback are not what is done here; the rest is not defined.
            _ => false,
        }
    }
}

/// Whether terminal or issuer wants it declined without asking (section 10.7). An absent issuer code denies nothing.
pub fn denied(card: &Objects, terminal: &Terminal, tvr: &Tvr) -> Result<bool, Failure> {
    let issuer = card.optional::<5>(tags::IAC_DENIAL)?.map(ActionCode).unwrap_or_default();
    Ok(terminal.denial.hits(tvr) || issuer.hits(tvr))
}
