//! Keeps the terminal's own certificate in force: says until when it is good, and renews it in its last third with the old key.

use super::{Inputs, io::deliver, log};
use crate::{
    config::Center,
    enroll::{self, Life},
    link::tls::Clock,
};
use std::{sync::Arc, time::Duration};
use tolem_core::kiosk::Event;
use tolem_protocol::{KioskNumber, UtcTime};

/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(3_600);
/// And in its last third, when a renewal did not succeed.
const RETRY_EVERY: Duration = Duration::from_secs(600);
/// And past its end, when nothing works any more without it.
const URGENT_EVERY: Duration = Duration::from_secs(30);

/// Holds the files.
pub(super) struct CertificateKeeper {
    pub center: Center,
    pub number: KioskNumber,
    pub clock: Arc<Clock>,
    pub inputs: Inputs,
    /// What was logged last: a trouble that lasts is said once.
    pub told: String,
}

impl CertificateKeeper {
    /// Runs until the kiosk thread is gone.
    pub async fn run(mut self) {
        loop {
            let pause = match enroll::life(&self.center) {
                Ok(life) => {
                    let life = self.renewed(life).await;
                    if !deliver(&self.inputs, Event::CertificateGoodUntil(life.until)).await {
                        return;
                    }
                    pause(life, self.clock.now())
                }
                Err(reason) => {
                    self.say(format!("{reason}; a terminal gets its certificate by `tolem enroll`"));
                    URGENT_EVERY
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// The life of the certificate that is in force after this.
    async fn renewed(&mut self, life: Life) -> Life {
        let now = self.clock.now();
        if !life.is_due(now) {
            return life;
        }
        match enroll::renew(&self.center, self.number, &self.clock).await {
            Ok(new) => {
                self.say(format!("a new certificate is in force until {}", new.until.local()));
                new
            }
            Err(reason) => {
                let days = life.days_left(now);
                self.say(format!("not renewed, {days} days are left: {reason}"));
                life
            }
        }
    }

    fn say(&mut self, text: String) {
        if text != self.told {
            log(&format!("certificate: {text}"));
            self.told = text;
        }
    }
}

fn pause(life: Life, now: UtcTime) -> Duration {
    if life.until <= now {
        URGENT_EVERY
    } else if life.is_due(now) {
        RETRY_EVERY
    } else {
        LOOK_EVERY
    }
}
