//! The steps of use case 5 ("pay in cash at an infokiosk") that happen at the center, so that the whole way can be shown.
//!
//! The numbers are those of the instruction's use case 5 (order 491 of 4 December 2009). Steps 1, 2, 10, 11, 19 and 20 happen at
//! the kiosk. A step says nothing about a person.

use std::fmt;
use tolem_protocol::{KioskNumber, PaymentId};

/// One step that was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// Its number in use case 5, 1..=25.
    pub number: u8,
    /// For which kiosk.
    pub kiosk: KioskNumber,
    /// For which payment, once there is one.
    pub payment: Option<PaymentId>,
}

impl Step {
    /// What the step is, in English.
    pub fn text(&self) -> &'static str {
        match self.number {
            1 => "the citizen chooses a service",
            2 => "the citizen enters the IIN",
            3 => "the kiosk asks the center to check the payer, over an encrypted link",
            4 => "a protected link to the IIN registry is opened",
            5 => "the center asks the registry about the IIN",
            6 => "the registry checks the IIN",
            7 => "the registry returns the result",
            8 => "the link to the registry is closed",
            9 => "the center tells the kiosk whether the IIN is right",
            10 => "the citizen inserts banknotes",
            11 => "the citizen agrees to pay",
            12 => "the kiosk asks the center to accept the payment, over an encrypted link",
            13 => "a protected link to the payment gateway is opened",
            14 => "the center asks the gateway for a payment code",
            15 => "the gateway makes the payment code",
            16 => "the gateway returns the code for this service",
            17 => "the link to the gateway is closed",
            18 => "the center accepts the payment",
            19 => "the kiosk prints the code on the receipt",
            20 => "the citizen keeps the receipt",
            21 => "a protected link to the payment gateway is opened",
            22 => "the center sends the signed notice of payment",
            23 => "the gateway stores the notice with its time of arrival",
            24 => "the gateway returns the result of processing",
            25 => "the link to the gateway is closed",
            _ => "not a step of use case 5",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UC5.{} kiosk {}", self.number, self.kiosk)?;
        if let Some(payment) = self.payment {
            write!(f, " payment {payment}")?;
        }
        write!(f, ": {}", self.text())
    }
}
