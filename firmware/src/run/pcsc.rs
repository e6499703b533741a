//! A card reader on PC/SC: its threads, and the channels between them and the core.
//!
//! In a build without the feature `pcsc` there is no such reader, and a configuration that names one is refused at the start.

use tolem_core::card_reader::Abilities;

/// What such a reader can do with a card.
#[cfg(feature = "pcsc")]
pub(super) const ABILITIES: Abilities = tolem_pcsc::ABILITIES;
/// There is none.
#[cfg(not(feature = "pcsc"))]
pub(super) const ABILITIES: Abilities = Abilities { can_eject: false, can_retain: false, has_latch: false };

/// Tells the reader what the core wants, and the core what the reader did, until the kiosk thread is gone.
#[cfg(feature = "pcsc")]
pub(super) async fn serve(
    options: tolem_pcsc::Options,
    mut orders: tokio::sync::mpsc::Receiver<tolem_core::card_reader::Command>,
    inputs: super::Inputs,
) {
    use tolem_core::{card_reader::Event as Did, kiosk::Event};
    let named = options.name.clone().unwrap_or_else(|| "the first one".into());
    // Without a bound, because the reader's thread must not wait: a chip says one thing for each command, and a hand is slow.
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let reader = match tolem_pcsc::PcscReader::start(options, move |event| drop(tell.send(event))) {
        Ok(reader) => reader,
        Err(error) => return super::log(&format!("card reader on PC/SC ({named}): no thread: {error}")),
    };
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(command) => reader.command(command),
                None => return,
            },
            event = told.recv() => {
                // The reader has ended: nothing more can come.
                let Some(event) = event else { return };
                match &event {
                    Did::Ready(found) => super::log(&format!("card reader on PC/SC ({named}): open, found {found:?}")),
                    Did::Fault(fault, present) => {
                        super::log(&format!("card reader on PC/SC ({named}): {fault:?} {}", if *present { "began" } else { "ended" }));
                    }
                    _ => {}
                }
                if !super::io::deliver(&inputs, Event::Reader(event)).await {
                    return;
                }
            }
        }
    }
}
