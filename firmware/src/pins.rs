//! Lamps and switches of the cabinet, over any pins that speak the `embedded-hal` 1.0 traits.
//!
//! Switches are read every [`READ_EVERY`] and believed after [`AGREE`] equal readings, because contacts bounce. Real lines are
//! those of a Linux GPIO character device (feature `gpio`); without it a configured `[pins]` section is an error, not silence.

use embedded_hal::digital::{InputPin, OutputPin, PinState};
use std::time::Duration;
use tokio::{sync::mpsc, time::MissedTickBehavior};
use tolem_core::kiosk::{Lamp, Pin};

/// From reading to reading.
pub const READ_EVERY: Duration = Duration::from_millis(20);
/// Equal readings after which a new state is believed.
pub const AGREE: u8 = 3;

/// Wiring of one cabinet. `O` drives a lamp, `I` reads a switch.
pub struct Pins<O, I> {
    lamps: Vec<(Lamp, O)>,
    switches: Vec<Switch<I>>,
}

struct Switch<I> {
    pin: Pin,
    input: I,
    /// Level while the door is open.
    open_level: PinState,
    /// What was told last; `None` before the first.
    told: Option<bool>,
    candidate: bool,
    agreed: u8,
    broken: bool,
}

/// What the pins tell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PinEvent {
    /// A switch has a new state.
    Changed {
        /// Which.
        pin: Pin,
        /// Open now.
        open: bool,
    },
    /// A line cannot be read or driven. Said once for each.
    Broken(String),
}

impl<O: OutputPin, I: InputPin> Pins<O, I> {
    /// A cabinet without any.
    pub fn new() -> Self {
        Self { lamps: Vec::new(), switches: Vec::new() }
    }

    /// Adds a lamp; high lights it.
    #[must_use]
    pub fn with_lamp(mut self, lamp: Lamp, output: O) -> Self {
        self.lamps.push((lamp, output));
        self
    }

    /// Adds a switch that shows `open_level` while its door is open.
    #[must_use]
    pub fn with_switch(mut self, pin: Pin, input: I, open_level: PinState) -> Self {
        let switch =
            Switch { pin, input, open_level, told: None, candidate: false, agreed: 0, broken: false };
        self.switches.push(switch);
        self
    }
}

/// A cabinet with unknown kinds of pins behind it.
pub trait Cabinet: Send {
    /// Lights or darkens `lamp`; a cabinet without it is none the worse.
    fn set_lamp(&mut self, lamp: Lamp, on: bool) -> Option<PinEvent>;
    /// Reads all switches once and gives what became certain.
    fn read(&mut self) -> Vec<PinEvent>;
}

impl<O: OutputPin + Send, I: InputPin + Send> Cabinet for Pins<O, I> {
    fn set_lamp(&mut self, lamp: Lamp, on: bool) -> Option<PinEvent> {
        let (_, output) = self.lamps.iter_mut().find(|(known, _)| *known == lamp)?;
        let broken = output.set_state(on.into()).err()?;
        Some(PinEvent::Broken(format!("lamp {lamp:?}: {broken:?}")))
    }

    fn read(&mut self) -> Vec<PinEvent> {
        self.switches.iter_mut().filter_map(Switch::read).collect()
    }
}

/// Serves lamps and switches until `lamps` is closed or nobody hears `events`; the lamps are dark then.
pub async fn serve(
    mut cabinet: Box<dyn Cabinet>,
    mut lamps: mpsc::Receiver<(Lamp, bool)>,
    events: mpsc::Sender<PinEvent>,
) {
    let mut readings = tokio::time::interval(READ_EVERY);
    readings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let happened: Vec<PinEvent> = tokio::select! {
            order = lamps.recv() => match order {
                Some((lamp, on)) => cabinet.set_lamp(lamp, on).into_iter().collect(),
                None => break,
            },
            _ = readings.tick() => cabinet.read(),
        };
        for event in happened {
            if events.send(event).await.is_err() {
                return;
            }
        }
    }
    for lamp in [Lamp::NoteSlot, Lamp::ReceiptSlot, Lamp::CardSlot, Lamp::Buzzer] {
        cabinet.set_lamp(lamp, false);
    }
}

impl<O: OutputPin, I: InputPin> Default for Pins<O, I> {
    fn default() -> Self {
        Self::new()
    }
}

impl<I: InputPin> Switch<I> {
    fn read(&mut self) -> Option<PinEvent> {
        let high = match self.input.is_high() {
            Ok(high) => high,
            Err(error) => {
                let first = !std::mem::replace(&mut self.broken, true);
                return first.then(|| PinEvent::Broken(format!("switch {:?}: {error:?}", self.pin)));
            }
        };
        self.broken = false;
        let open = PinState::from(high) == self.open_level;
        if open != self.candidate {
            (self.candidate, self.agreed) = (open, 0);
        }
        self.agreed = self.agreed.saturating_add(1);
        if self.agreed >= AGREE && self.told != Some(open) {
            self.told = Some(open);
            return Some(PinEvent::Changed { pin: self.pin, open });
        }
        None
    }
}

/// Lines of a GPIO character device.
#[cfg(feature = "gpio")]
pub mod gpio {
    use super::Pins;
    use embedded_hal::digital::PinState;
    use linux_embedded_hal::{
        CdevPin,
        gpio_cdev::{Chip, LineRequestFlags},
    };
    use tolem_core::kiosk::{Lamp, Pin};

    /// Requests all configured lines; the error names the line.
    pub fn open(config: &crate::config::Pins) -> Result<Pins<CdevPin, CdevPin>, String> {
        let mut chip =
            Chip::new(&config.chip).map_err(|error| format!("{}: {error}", config.chip.display()))?;
        let mut request = |line: u32, flags: LineRequestFlags| {
            chip.get_line(line)
                .and_then(|line| line.request(flags, 0, "tolem"))
                .and_then(CdevPin::new)
                .map_err(|error| format!("{} line {line}: {error}", config.chip.display()))
        };
        let mut pins = Pins::new();
        for (lamp, line) in [
            (Lamp::NoteSlot, config.note_slot_lamp),
            (Lamp::ReceiptSlot, config.receipt_slot_lamp),
            (Lamp::CardSlot, config.card_slot_lamp),
            (Lamp::Buzzer, config.buzzer),
        ] {
            let Some(line) = line else { continue };
            pins = pins.with_lamp(lamp, request(line, LineRequestFlags::OUTPUT)?);
        }
        let open_level = if config.switches_active_low { PinState::Low } else { PinState::High };
        for (pin, line) in [(Pin::Door, config.door), (Pin::Safe, config.safe)] {
            let Some(line) = line else { continue };
            pins = pins.with_switch(pin, request(line, LineRequestFlags::INPUT)?, open_level);
        }
        Ok(pins)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_hal::digital::{ErrorKind, ErrorType};
    use std::{
        collections::VecDeque,
        sync::{Arc, Mutex},
    };

    /// Gives the readings it was told to give, the last one for ever; `None` fails.
    struct Readings(VecDeque<Option<bool>>);

    impl ErrorType for Readings {
        type Error = ErrorKind;
    }

    impl InputPin for Readings {
        fn is_high(&mut self) -> Result<bool, ErrorKind> {
            let reading = if self.0.len() > 1 { self.0.pop_front().unwrap() } else { self.0[0] };
            reading.ok_or(ErrorKind::Other)
        }

        fn is_low(&mut self) -> Result<bool, ErrorKind> {
            self.is_high().map(|high| !high)
        }
    }

    #[derive(Clone, Default)]
    struct Bulb(Arc<Mutex<Vec<bool>>>);

    impl ErrorType for Bulb {
        type Error = ErrorKind;
    }

    impl OutputPin for Bulb {
        fn set_low(&mut self) -> Result<(), ErrorKind> {
            self.0.lock().unwrap().push(false);
            Ok(())
        }

        fn set_high(&mut self) -> Result<(), ErrorKind> {
            self.0.lock().unwrap().push(true);
            Ok(())
        }
    }

    /// `_` low, `^` high, `!` unreadable, one letter a reading.
    fn told(readings: &str, open_level: PinState) -> Vec<(usize, PinEvent)> {
        let input =
            Readings(readings.chars().map(|letter| (letter != '!').then_some(letter == '^')).collect());
        let mut pins = Pins::<Bulb, _>::new().with_switch(Pin::Safe, input, open_level);
        (0..readings.len()).flat_map(|at| pins.read().into_iter().map(move |event| (at, event))).collect()
    }

    #[test]
    fn a_switch_is_believed_after_three_equal_readings() {
        let changed = |open| PinEvent::Changed { pin: Pin::Safe, open };
        assert_eq!(told("______", PinState::High), [(2, changed(false))]);
        assert_eq!(told("___^_^_^^^^^", PinState::High), [(2, changed(false)), (9, changed(true))]);
        assert_eq!(told("^^^___", PinState::Low), [(2, changed(false)), (5, changed(true))]);
        let broken = PinEvent::Broken("switch Safe: Other".into());
        assert_eq!(told("___!!!^^^", PinState::High), [(2, changed(false)), (3, broken), (8, changed(true))]);
    }

    #[test]
    fn lamps_follow_orders_and_are_dark_in_the_end() {
        let bulb = Bulb::default();
        let pins = Pins::<_, Readings>::new().with_lamp(Lamp::NoteSlot, bulb.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (send, lamps) = mpsc::channel(8);
            let (events, _hear) = mpsc::channel(8);
            for (lamp, on) in [(Lamp::NoteSlot, true), (Lamp::ReceiptSlot, true)] {
                send.send((lamp, on)).await.unwrap();
            }
            drop(send);
            serve(Box::new(pins), lamps, events).await;
        });
        assert_eq!(*bulb.0.lock().unwrap(), [true, false]);
    }
}
