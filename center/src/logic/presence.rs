//! When kiosks were there: one bit per five minutes, set by whatever a kiosk asks. Kiosks ask at least once a minute while their
//! link is up, so a month of bits is their availability, measured at the center and not believed from the kiosk.

use crate::logic::{
    reports::{Period, Scope, number_of},
    store::{Result, Store},
};
use tolem_protocol::{KioskNumber, UtcTime};

/// Length of a slot in seconds.
const SLOT_S: i64 = 300;
/// Slots of a day.
const SLOTS: usize = 288;

/// One bit per slot of a day.
pub type Slots = [u8; SLOTS / 8];

/// Rows of presence.
pub trait Presence {
    /// The slots of a day, by days since 1970-01-01.
    fn slots(&self, kiosk: KioskNumber, day: i64) -> Result<Option<Slots>>;
    /// Replaces them.
    fn put_slots(&mut self, kiosk: KioskNumber, day: i64, slots: &Slots) -> Result<()>;
}

fn place(at: UtcTime) -> (i64, usize) {
    let day = at.date();
    let slot = (at.seconds() - day.starts_at().seconds()).div_euclid(SLOT_S);
    (number_of(day), usize::try_from(slot).unwrap_or(0).min(SLOTS - 1))
}

/// A kiosk has asked something.
pub(super) fn seen(store: &mut dyn Store, kiosk: KioskNumber, at: UtcTime) -> Result<()> {
    let (day, slot) = place(at);
    let mut slots = store.slots(kiosk, day)?.unwrap_or([0; SLOTS / 8]);
    let (byte, bit) = (slot / 8, 1 << (slot % 8));
    if slots[byte] & bit == 0 {
        slots[byte] |= bit;
        store.put_slots(kiosk, day, &slots)?;
    }
    Ok(())
}

/// Slots of `period` up to `now` in which the kiosk was there, and all of them.
pub fn availability(
    store: &dyn Store,
    kiosk: KioskNumber,
    period: Period,
    now: UtcTime,
) -> Result<(u64, u64)> {
    let (mut there, mut all) = (0, 0);
    let end = period.to.min(now);
    let mut day = period.from;
    while day < end {
        let slots = store.slots(kiosk, place(day).0)?.unwrap_or([0; SLOTS / 8]);
        let over = (end.seconds() - day.seconds() + SLOT_S - 1) / SLOT_S;
        let over = usize::try_from(over).unwrap_or(0).min(SLOTS);
        all += over as u64;
        there += (0..over).filter(|slot| slots[slot / 8] & 1 << (slot % 8) != 0).count() as u64;
        day = day.plus_seconds(86_400);
    }
    Ok((there, all))
}

/// The availability of the kiosks in `scope` as text.
pub fn text(store: &dyn Store, scope: Scope, period: Period, now: UtcTime) -> Result<String> {
    let mut text = String::from("kiosk     there      of   share\n");
    for (kiosk, there, all) in measured(store, scope, period, now)? {
        let hundredths = (there * 20_000 + all).checked_div(all * 2).unwrap_or(0);
        text += &format!(
            "{kiosk}  {:>5} h  {:>5} h  {:>3}.{:02} %\n",
            there * SLOT_S.unsigned_abs() / 3_600,
            all * SLOT_S.unsigned_abs() / 3_600,
            hundredths / 100,
            hundredths % 100
        );
    }
    Ok(text)
}

/// The same as CSV: slots of five minutes.
pub fn csv(store: &dyn Store, scope: Scope, period: Period, now: UtcTime) -> Result<String> {
    let mut text = String::from("kiosk,there,of\r\n");
    for (kiosk, there, all) in measured(store, scope, period, now)? {
        text += &format!("{kiosk},{there},{all}\r\n");
    }
    Ok(text)
}

/// The kiosks in `scope` with their slots, as [`availability`] gives them.
fn measured(
    store: &dyn Store,
    scope: Scope,
    period: Period,
    now: UtcTime,
) -> Result<Vec<(KioskNumber, u64, u64)>> {
    let kiosks = store.kiosks()?.into_iter().map(|row| row.kiosk).filter(|kiosk| scope.covers(*kiosk));
    kiosks
        .map(|kiosk| {
            let (there, all) = availability(store, kiosk, period, now)?;
            Ok((kiosk, there, all))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::memory::MemoryStore;
    use tolem_protocol::utc::Date;

    #[test]
    fn a_kiosk_is_there_in_the_slots_in_which_it_asked() {
        let mut store = MemoryStore::new(1);
        let kiosk = KioskNumber::new(7).unwrap();
        let day = Date::parse_iso("2026-11-22").unwrap();
        let start = day.starts_at();
        for seconds in [0, 10, 299, 300, 86_399, 86_400] {
            seen(&mut store, kiosk, start.plus_seconds(seconds)).unwrap();
        }
        let measure = |days: i64, now: i64| {
            availability(&store, kiosk, Period::days(day, days), start.plus_seconds(now)).unwrap()
        };
        assert_eq!(measure(1, 10 * 86_400), (3, 288));
        assert_eq!(measure(2, 10 * 86_400), (4, 576));
        assert_eq!(measure(1, 600), (2, 2), "only what is over counts");
        assert_eq!(measure(1, 601), (2, 3));
    }
}
