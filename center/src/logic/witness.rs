//! The witness of the kiosks' journals (C2SP tlog-witness, `add-checkpoint`).
//!
//! It cosigns a checkpoint only if the tree it saw before is the beginning of the new one, and remembers the new one before
//! it answers. A journal that shrank or was rewritten is evidence: it is kept, and the kiosk takes no money until an
//! operator has looked.

use crate::logic::{
    Center, Moment,
    store::{KioskRow, Result, Store, WitnessRow},
};
use tolem_protocol::{
    KioskNumber,
    merkle::{Hash, empty_root, verify_consistency},
    messages::{Refusal, Response},
    signed_note::{self, Checkpoint, KeyKind, NoteKey, journal_origin},
};

/// The fields of `Request::Checkpoint`.
pub(super) struct Shown<'a> {
    pub old_size: u64,
    pub proof: &'a [Hash],
    pub note: &'a str,
}

impl Center {
    pub(super) fn checkpoint(
        &self,
        store: &mut dyn Store,
        at: &mut Moment<'_>,
        who: KioskNumber,
        shown: &Shown<'_>,
    ) -> Result<Response> {
        let refuse = |refusal| Ok(Response::Refused(refusal));
        let Some(mut kiosk) = store.kiosk(who)? else { return refuse(Refusal::NotYours) };
        let origin = journal_origin(who);
        let key = NoteKey { name: origin.clone(), kind: KeyKind::Log, public: kiosk.journal_key };
        let opened = signed_note::open(shown.note, &key, |public, message, signature| {
            self.keys.verify(public, message, signature)
        });
        let Some((text, _)) = opened else { return refuse(Refusal::NotYours) };
        let Some(new) = Checkpoint::parse(text) else { return refuse(Refusal::Malformed) };
        if new.origin != origin {
            return refuse(Refusal::NotYours);
        }
        let known = store.witness(who)?;
        let (size, root) = known.as_ref().map_or((0, empty_root()), |row| (row.size, row.root));
        let fault = if new.size < size {
            format!("{} records are shown, {size} were cosigned", new.size)
        } else if new.size == size && new.root != root {
            format!("another root is shown for {size} records")
        } else if kiosk.closed.is_some() {
            return refuse(Refusal::JournalRolledBack);
        } else if shown.old_size > new.size {
            return refuse(Refusal::Malformed);
        } else if shown.old_size != size {
            return Ok(Response::WitnessAt(size));
        } else if !verify_consistency(size, &root, new.size, &new.root, shown.proof) {
            format!("{} records do not continue the {size} that were cosigned", new.size)
        } else {
            store
                .put_witness(who, &WitnessRow { size: new.size, root: new.root, note: shown.note.into() })?;
            return Ok(self.cosign(text, at));
        };
        let evidence = [known.as_ref().map_or("", |row| &row.note), shown.note].join("\n");
        let text = format!("journal of kiosk {who}: {fault}");
        self.close(store, at, &mut kiosk, "journal-rolled-back", text, evidence.as_bytes())?;
        refuse(Refusal::JournalRolledBack)
    }

    fn cosign(&self, text: &str, at: &Moment<'_>) -> Response {
        let seconds = u64::try_from(at.now.seconds()).unwrap_or(0);
        let line = signed_note::cosignature_line(text, self.keys.witness(), seconds, |message| {
            self.keys.sign_witness(message)
        });
        heapless::String::try_from(line.as_str())
            .map_or(Response::Refused(Refusal::Malformed), Response::Cosigned)
    }

    /// Closes a kiosk until an operator clears it, with the evidence in an alarm. Says so once.
    pub(super) fn close(
        &self,
        store: &mut dyn Store,
        at: &Moment<'_>,
        row: &mut KioskRow,
        kind: &str,
        text: String,
        evidence: &[u8],
    ) -> Result<()> {
        if row.closed.is_some() {
            return Ok(());
        }
        row.closed = Some(text.clone());
        store.put_kiosk(row)?;
        self.alarm(store, at, row.kiosk, kind, text, evidence)
    }
}
