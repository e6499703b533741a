//! What happens to cards, their devices and their bank.

use super::{
    Center,
    cards::{decline, town_secrets},
    happenings::What,
    invariants::{CardEnd, CardName, Charge},
    run::World,
    station::{Armed, Later},
};
use crate::{
    card_reader_device::Trouble,
    issuer::{Entry, MOST_TRIES, Mood, Name, Standing},
    line::LineFaults,
};
use std::time::Duration;
use tolem_core::kiosk::LinkFault;
use tolem_protocol::emv::CardNumber;

impl<C: Center> World<C> {
    /// Does what happens; gives how long it lasts, if it ends.
    pub(super) fn apply_to_cards(&mut self, place: usize, what: What) -> Option<Duration> {
        let (now, of) = (self.now, Duration::from_millis);
        let mood = |mood| self.center.bank(|bank| bank.moods.push_back(mood));
        match what {
            What::BankLosesAnswer {} => {
                mood(Mood::LosesAnswer)?;
                return None;
            }
            What::BankLosesRequest {} => {
                mood(Mood::LosesRequest)?;
                return None;
            }
            What::BankLate {} => {
                mood(Mood::AnswersLate)?;
                return None;
            }
            What::BankDeclines { why } => {
                mood(Mood::Declines(decline(why)))?;
                return None;
            }
            What::AcquirerGone { ms } => {
                self.center.set_acquirer_open(false);
                return Some(of(ms));
            }
            What::CenterDies {} => {
                self.center.restart();
                self.stations.iter_mut().for_each(|station| station.break_link(LinkFault::Closed));
                return None;
            }
            _ => {}
        }
        let station = &mut self.stations[place];
        match what {
            What::LinkDiesInOrder { after, ms } => {
                station.arm(Armed::Later(of(after), Later::LinkDown));
                station.arm(Armed::Later(of(after + ms), Later::LinkUp));
                return None;
            }
            What::DiesInOrder { effects, ms } => {
                station.arm(Armed::Dies(effects as u32, (ms > 0).then(|| of(ms))));
                return None;
            }
            What::ReaderDiesInOrder { ms } => {
                station.arm(Armed::Later(Duration::ZERO, Later::ReaderOff));
                station.arm(Armed::Later(of(ms), Later::ReaderOn));
                return None;
            }
            What::ApprovalStale {} => {
                station.arm(Armed::Stale);
                return None;
            }
            What::OrderTwice {} => {
                station.arm(Armed::Twice);
                return None;
            }
            _ => {}
        }
        let cards = station.cards.as_mut()?;
        match what {
            What::ReaderOff { ms } => {
                cards.reader.set_power(now, false);
                Some(of(ms))
            }
            What::PadOff { ms } => {
                cards.pad.set_power(now, false);
                Some(of(ms))
            }
            What::ReaderLine { drop, flip, double, late, ms } => {
                cards.reader.set_line_faults(bad_line(drop, flip, double, late));
                Some(of(ms))
            }
            What::PadLine { drop, flip, double, late, ms } => {
                cards.pad.set_line_faults(bad_line(drop, flip, double, late));
                Some(of(ms))
            }
            What::ReaderRefuses { naks } => {
                cards.reader.refuse_next(naks as u32);
                None
            }
            What::PadRefuses { naks } => {
                cards.pad.refuse_next(naks as u32);
                None
            }
            What::ReaderSilent { ms } => {
                cards.reader.set_silent(true);
                Some(of(ms))
            }
            What::PadSilent { ms } => {
                cards.pad.set_silent(true);
                Some(of(ms))
            }
            What::CardStuck { how, ms } => {
                let troubles = [Trouble::Jam, Trouble::Shutter, Trouble::BoxFull];
                cards.reader.set_trouble(now, Some(troubles[how as usize % troubles.len()]));
                Some(of(ms))
            }
            What::PadOpened { ms } => {
                cards.pad.tamper(now);
                Some(of(ms))
            }
            _ => None,
        }
    }

    /// A fault of cards is over, or a technician has mended it.
    pub(super) fn mend_cards(&mut self, place: usize, what: What) {
        let now = self.now;
        if matches!(what, What::AcquirerGone { .. }) {
            return self.center.set_acquirer_open(true);
        }
        let station = &mut self.stations[place];
        let light = station.has_light();
        let Some(cards) = &mut station.cards else { return };
        match what {
            What::ReaderOff { .. } if light && !cards.reader.is_powered() => {
                cards.reader.set_power(now, true)
            }
            What::PadOff { .. } if light && !cards.pad.is_powered() => cards.pad.set_power(now, true),
            What::ReaderLine { .. } => cards.reader.set_line_faults(LineFaults::default()),
            What::PadLine { .. } => cards.pad.set_line_faults(LineFaults::default()),
            What::ReaderSilent { .. } => cards.reader.set_silent(false),
            What::PadSilent { .. } => cards.pad.set_silent(false),
            What::CardStuck { .. } => cards.reader.set_trouble(now, None),
            What::PadOpened { .. } => self.load_pad(place),
            _ => {}
        }
    }

    /// The workshop has loaded an opened pad with keys again, and whoever fits it starts the program anew.
    pub(super) fn load_pad(&mut self, place: usize) {
        let now = self.now;
        let station = &mut self.stations[place];
        let Some(cards) = station.cards.as_mut().filter(|cards| cards.pad.keys().is_wiped()) else { return };
        cards.pad.reload(now);
        station.power_off();
    }

    /// What was taken or torn out is in pockets again, and the operator has given back what was kept. A bank that has blocked a PIN
    /// gives its owner another try.
    pub(super) fn cards_come_back(&mut self, place: usize) {
        let Some(cards) = &mut self.stations[place].cards else { return };
        let back = cards.reader.put_away().into_iter().chain(cards.reader.empty_box());
        back.for_each(|card| self.pockets.wallet.put(card));
        self.center.bank(|bank| {
            for digits in town_secrets() {
                let account = CardNumber::parse(&digits);
                if let Some(account) = account.and_then(|number| bank.account(&number)) {
                    account.tries = MOST_TRIES;
                }
            }
        });
    }

    /// The faults of cards stop.
    pub(super) fn heal_cards(&mut self) {
        let now = self.now;
        self.center.set_acquirer_open(true);
        self.center.bank(|bank| bank.moods.clear());
        for place in 0..self.stations.len() {
            self.load_pad(place);
            let station = &mut self.stations[place];
            if let Some(cards) = &mut station.cards {
                cards.mend(now);
            }
            station.settle();
            self.cards_come_back(place);
        }
    }

    /// The bank's own ledger.
    pub(super) fn charges(&self) -> Option<Vec<Charge>> {
        let charge = |((terminal, original), entry): (&Name, &Entry)| Charge {
            name: CardName { terminal: *terminal, trace: original.trace, sent: original.sent },
            amount: entry.amount,
            standing: match entry.standing {
                Standing::Declined(_) => CardEnd::Declined,
                Standing::Held => CardEnd::Held,
                Standing::Taken => CardEnd::Taken,
                Standing::Reversed => CardEnd::Undone,
            },
        };
        self.center.bank(|bank| bank.ledger().map(charge).collect())
    }
}

fn bad_line(drop: u64, flip: u64, double: u64, late: u64) -> LineFaults {
    LineFaults {
        drop: drop as u16,
        corrupt: flip as u16,
        duplicate: double as u16,
        delay: late as u16,
        delay_by: Duration::from_millis(400),
        ..LineFaults::default()
    }
}
