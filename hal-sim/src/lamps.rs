//! The cabinet's pins as the kiosk software sees them: slot lamps it lights, door and safe switches it reads.
//!
//! The pins implement the `embedded-hal` 1.0 traits, so the code that drives a GPIO chip drives these unchanged. A
//! [`SimulatedPins`] handle is the other side: it shows the lamps and moves the switches.

use embedded_hal::digital::{ErrorType, InputPin, OutputPin, StatefulOutputPin};
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// One pin shared by the kiosk and the bench. High = lit, or = switch closed.
#[derive(Clone, Debug, Default)]
pub struct SharedPin(Arc<AtomicBool>);

impl SharedPin {
    /// A pin at this level.
    pub fn new(high: bool) -> Self {
        Self(Arc::new(AtomicBool::new(high)))
    }

    /// Its level.
    pub fn get(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Drives it.
    pub fn set(&self, high: bool) {
        self.0.store(high, Ordering::SeqCst);
    }
}

impl ErrorType for SharedPin {
    type Error = Infallible;
}

impl OutputPin for SharedPin {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.set(false);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.set(true);
        Ok(())
    }
}

impl StatefulOutputPin for SharedPin {
    fn is_set_high(&mut self) -> Result<bool, Infallible> {
        Ok(self.get())
    }

    fn is_set_low(&mut self) -> Result<bool, Infallible> {
        Ok(!self.get())
    }
}

impl InputPin for SharedPin {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        Ok(self.get())
    }

    fn is_low(&mut self) -> Result<bool, Infallible> {
        Ok(!self.get())
    }
}

/// The cabinet. Clones share the same pins: hand one to the kiosk, keep one on the bench.
#[derive(Clone, Debug)]
pub struct SimulatedPins {
    /// Lamp at the note slot.
    pub note_slot: SharedPin,
    /// Lamp at the receipt slot.
    pub receipt_slot: SharedPin,
    /// Lamp at the card slot.
    pub card_slot: SharedPin,
    /// Door switch: high while the door is closed, so that a cut wire reads as open.
    pub door: SharedPin,
    /// Safe switch: high while the safe is closed.
    pub safe: SharedPin,
}

impl Default for SimulatedPins {
    /// Lamps dark, door and safe closed.
    fn default() -> Self {
        Self {
            note_slot: SharedPin::default(),
            receipt_slot: SharedPin::default(),
            card_slot: SharedPin::default(),
            door: SharedPin::new(true),
            safe: SharedPin::new(true),
        }
    }
}

/// What the pins show at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PinState {
    /// Lamp at the note slot is lit.
    pub note_slot: bool,
    /// Lamp at the receipt slot is lit.
    pub receipt_slot: bool,
    /// Lamp at the card slot is lit.
    pub card_slot: bool,
    /// The door is open.
    pub door_open: bool,
    /// The safe is open.
    pub safe_open: bool,
}

impl SimulatedPins {
    /// What the pins show now.
    pub fn state(&self) -> PinState {
        PinState {
            note_slot: self.note_slot.get(),
            receipt_slot: self.receipt_slot.get(),
            card_slot: self.card_slot.get(),
            door_open: !self.door.get(),
            safe_open: !self.safe.get(),
        }
    }

    /// Opens or closes the door.
    pub fn set_door_open(&self, open: bool) {
        self.door.set(!open);
    }

    /// Opens or closes the safe.
    pub fn set_safe_open(&self, open: bool) {
        self.safe.set(!open);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn light(pin: &mut impl OutputPin) {
        pin.set_high().unwrap();
    }

    #[test]
    fn a_lamp_lit_through_the_trait_is_seen_on_the_bench() {
        let bench = SimulatedPins::default();
        let mut kiosk = bench.clone();
        light(&mut kiosk.note_slot);
        assert_eq!(
            bench.state(),
            PinState {
                note_slot: true,
                receipt_slot: false,
                card_slot: false,
                door_open: false,
                safe_open: false
            }
        );
        kiosk.note_slot.set_low().unwrap();
        assert!(!bench.state().note_slot);
    }

    #[test]
    fn a_door_opened_on_the_bench_reads_low() {
        let bench = SimulatedPins::default();
        let mut kiosk = bench.clone();
        assert!(kiosk.door.is_high().unwrap() && kiosk.safe.is_high().unwrap());
        bench.set_door_open(true);
        bench.set_safe_open(true);
        assert!(kiosk.door.is_low().unwrap() && kiosk.safe.is_low().unwrap());
        assert!(bench.state().door_open && bench.state().safe_open);
    }
}
