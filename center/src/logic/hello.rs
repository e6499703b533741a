//! The first message of a connection: which boot of which kiosk this is, and what it must know.

use crate::logic::{
    Center, Moment,
    store::{Result, Store},
};
use tolem_protocol::{
    KioskNumber,
    messages::{Hello, Refusal, Response, Welcome},
};

impl Center {
    /// Grants an epoch to a boot: a new one to a new boot nonce, the same one again to a nonce that is known.
    pub(super) fn hello(
        &self,
        store: &mut dyn Store,
        at: &mut Moment<'_>,
        who: KioskNumber,
        hello: &Hello,
    ) -> Result<Response> {
        let Some(mut row) = store.kiosk(who)? else {
            return Ok(Response::Refused(Refusal::NotYours));
        };
        if let Some(witnessed) = store.witness(who)?.filter(|known| hello.journal_size < known.size) {
            let text = format!(
                "kiosk {who} says hello with a journal of {} records, {} were cosigned",
                hello.journal_size, witnessed.size
            );
            self.close(store, at, &mut row, "journal-rolled-back", text, witnessed.note.as_bytes())?;
        }
        let epoch = match store.boot(who, &hello.boot_nonce)? {
            Some(epoch) => {
                if epoch != row.epoch {
                    let text = format!(
                        "two boots of kiosk {who} are alive: epoch {epoch} came after epoch {}",
                        row.epoch
                    );
                    self.alarm(store, at, who, "two-boots", text, &hello.boot_nonce)?;
                }
                epoch
            }
            None => {
                let Some(epoch) = row.epoch.max(hello.epoch).checked_add(1) else {
                    return Ok(Response::Refused(Refusal::Malformed));
                };
                row.epoch = epoch;
                row.boot_nonce = hello.boot_nonce;
                store.put_kiosk(&row)?;
                store.put_boot(who, &hello.boot_nonce, epoch)?;
                epoch
            }
        };
        let center_epoch = store.center_epoch()?;
        // 0: it never had an answer of ours, unless it was enrolled anew and its former journal is gone. Another life: it will tell, and say
        // hello again.
        let never_answered = hello.center_epoch == 0 && store.former_keys(who)?.is_empty();
        if never_answered || hello.center_epoch == center_epoch {
            self.heard_all_of(store, at, who)?;
        }
        Ok(Response::Welcome(Welcome {
            epoch,
            center_epoch,
            clock: at.now,
            catalogue: self.catalogue.head.version,
            limits: self.rules.limits,
        }))
    }
}
