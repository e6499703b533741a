//! Keeps the revocation list of the center in force: takes what the link brings, and fetches it without TLS when there is none to
//! connect with.

use super::{Inputs, io::deliver, log};
use crate::{
    config::Center,
    link::{LinkOrder, list, tls::Clock},
};
use std::{path::Path, sync::Arc, time::Duration};
use tokio::sync::mpsc;
use tolem_core::kiosk::Event;
use tolem_protocol::UtcTime;

/// How often the file is looked at, and without a good one asked for.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Holds the file.
pub(super) struct ListKeeper {
    pub center: Center,
    pub clock: Arc<Clock>,
    /// Is told when another list is in force.
    pub link: mpsc::Sender<LinkOrder>,
    pub inputs: Inputs,
    /// What the kiosk was told last.
    pub good_until: Option<UtcTime>,
    /// What was logged last: a trouble that lasts is said once.
    pub told: String,
}

impl ListKeeper {
    /// Runs until the kiosk thread is gone.
    pub async fn run(mut self, mut lists: mpsc::Receiver<Vec<u8>>) {
        let Some(path) = self.center.crl.clone() else {
            // Nothing to keep, and nobody asks for it.
            while lists.recv().await.is_some() {}
            return;
        };
        let mut looks = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                list = lists.recv() => match list {
                    Some(bytes) => self.take(&path, &bytes, "over the link").await,
                    None => return,
                },
                _ = looks.tick() => {
                    if let Err(reason) = list::in_force(&self.center, &path, self.clock.now()) {
                        tokio::select! {
                            () = self.fetch(&path, &reason) => {}
                            // A stop does not wait for an answer, and a list over the link is as good.
                            list = lists.recv() => match list {
                                Some(bytes) => self.take(&path, &bytes, "over the link").await,
                                None => return,
                            },
                        }
                    }
                }
            }
            if !self.tell(&path).await {
                return;
            }
        }
    }

    /// Tells the kiosk until when the list in force is good, if that is new. False when nobody listens any more.
    async fn tell(&mut self, path: &Path) -> bool {
        let list = list::in_force(&self.center, path, self.clock.now());
        let good_until = list.map_or(UtcTime::default(), |list| list.good_until);
        if self.good_until == Some(good_until) {
            return true;
        }
        self.good_until = Some(good_until);
        deliver(&self.inputs, Event::ListGoodUntil(good_until)).await
    }

    async fn fetch(&mut self, path: &Path, why: &str) {
        let Some(port) = self.center.crl_port else {
            return self
                .say(format!("{why}; [center] crl_port is not set, so it cannot be fetched without TLS"));
        };
        let host = self.center.host.clone();
        match list::fetch(&host, port).await {
            Ok(bytes) => self.take(path, &bytes, "without TLS").await,
            Err(error) => self.say(format!("{why}; and it cannot be fetched: {error}")),
        }
    }

    async fn take(&mut self, path: &Path, bytes: &[u8], way: &str) {
        match list::take(&self.center, path, bytes, self.clock.now()) {
            Ok(false) => {}
            Ok(true) => {
                self.say(format!("a newer revocation list came {way}"));
                self.link.send(LinkOrder::Judge).await.ok();
            }
            Err(error) => self.say(format!("a revocation list that came {way} is not taken: {error}")),
        }
    }

    fn say(&mut self, text: String) {
        if text != self.told {
            log(&format!("list: {text}"));
            self.told = text;
        }
    }
}
