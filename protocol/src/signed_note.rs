//! C2SP signed notes, tlog checkpoints and cosignatures: text that any existing transparency-log tool verifies.
//!
//! Formats: c2sp.org/signed-note v1.0.0, c2sp.org/tlog-checkpoint v1.0.0, c2sp.org/tlog-cosignature v1.0.0. Keys stay
//! outside: whoever signs or verifies gets the exact bytes.

use crate::{merkle::Hash, signed::Signature};
use alloc::{format, string::String, vec::Vec};
use data_encoding::BASE64;
use sha2::{Digest, Sha256};

/// The Ed25519 kinds of signature a note line can carry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyKind {
    /// A log's own signature over the note text (type 0x01).
    Log = 0x01,
    /// A witness' timestamped cosignature (type 0x04).
    Cosigner = 0x04,
}

/// A verifier key: name, kind and Ed25519 public key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoteKey {
    /// Name on the signature line; no spaces, no plus.
    pub name: String,
    /// What it signs.
    pub kind: KeyKind,
    /// Ed25519 public key.
    pub public: [u8; 32],
}

impl NoteKey {
    /// The first four bytes of SHA-256(name || LF || type || key).
    pub fn id(&self) -> [u8; 4] {
        let hash = Sha256::new_with_prefix(&self.name)
            .chain_update([b'\n', self.kind as u8])
            .chain_update(self.public)
            .finalize();
        [hash[0], hash[1], hash[2], hash[3]]
    }

    /// `name+id+base64`, the form that verifier tools take.
    pub fn to_vkey(&self) -> String {
        let id = u32::from_be_bytes(self.id());
        let mut key = alloc::vec![self.kind as u8];
        key.extend_from_slice(&self.public);
        format!("{}+{id:08x}+{}", self.name, BASE64.encode(&key))
    }

    /// Parses [`Self::to_vkey`]; `None` if the id does not fit the key.
    pub fn parse_vkey(vkey: &str) -> Option<Self> {
        let mut parts = vkey.trim().splitn(3, '+');
        let (name, id, key) = (parts.next()?, parts.next()?, parts.next()?);
        let key = BASE64.decode(key.as_bytes()).ok()?;
        let kind = match key.first()? {
            0x01 => KeyKind::Log,
            0x04 => KeyKind::Cosigner,
            _ => return None,
        };
        let key = Self { name: name.into(), kind, public: key[1..].try_into().ok()? };
        (format!("{:08x}", u32::from_be_bytes(key.id())) == id).then_some(key)
    }
}

/// A log's claim: at this size the tree has this root.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checkpoint {
    /// Names the log, e.g. `kiosk.example.kz/journal/00042`.
    pub origin: String,
    /// Number of leaves.
    pub size: u64,
    /// Root of the tree.
    pub root: Hash,
}

/// Origin of a kiosk's journal, and the name of the key that signs its checkpoints: `tolem/journal/00042`.
pub fn journal_origin(kiosk: crate::KioskNumber) -> String {
    format!("tolem/journal/{kiosk}")
}

impl Checkpoint {
    /// The text that is signed: origin, size and root, a line each.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(&self.root))
    }

    /// Parses the text; extension lines are tolerated, as the format asks.
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        let plain = !size.is_empty()
            && size.bytes().all(|b| b.is_ascii_digit())
            && (size == "0" || !size.starts_with('0'));
        if origin.is_empty() || !plain || lines.any(str::is_empty) {
            return None;
        }
        let root = BASE64.decode(root.as_bytes()).ok()?.try_into().ok()?;
        Some(Self { origin: origin.into(), size: size.parse().ok()?, root })
    }
}

/// Adds the log's signature to `text` (which ends in a newline): the whole note.
pub fn sign(text: &str, key: &NoteKey, sign: impl FnOnce(&[u8]) -> Signature) -> String {
    let mut blob = key.id().to_vec();
    blob.extend_from_slice(&sign(text.as_bytes()).0);
    format!("{text}\n— {} {}\n", key.name, BASE64.encode(&blob))
}

/// The line that a witness adds at `seconds` since 1970, newline included.
pub fn cosignature_line(
    text: &str,
    key: &NoteKey,
    seconds: u64,
    sign: impl FnOnce(&[u8]) -> Signature,
) -> String {
    let mut blob = key.id().to_vec();
    blob.extend_from_slice(&seconds.to_be_bytes());
    blob.extend_from_slice(&sign(cosigned_message(text, seconds).as_bytes()).0);
    format!("— {} {}\n", key.name, BASE64.encode(&blob))
}

/// Splits a note into its text and raw signature lines; `None` if it is not a note.
pub fn split(note: &str) -> Option<(&str, Vec<&str>)> {
    let at = note.rfind("\n\n")?;
    let (text, lines) = (&note[..=at], &note[at + 2..]);
    let lines: Vec<&str> = lines.strip_suffix('\n')?.split('\n').collect();
    (lines.len() <= MAX_SIGNATURES && lines.iter().all(|line| line.starts_with("— ")))
        .then_some((text, lines))
}

const MAX_SIGNATURES: usize = 16;

/// Name and id of the key that a signature line names, whoever made it.
pub fn line_key(line: &str) -> Option<(&str, [u8; 4])> {
    let (name, blob) = line.trim_end_matches('\n').strip_prefix("— ")?.split_once(' ')?;
    let blob = BASE64.decode(blob.as_bytes()).ok()?;
    Some((name, *blob.first_chunk::<4>()?))
}

/// The text of `note`, if `key` signed it; for a cosigner also the time of signing.
pub fn open<'n>(
    note: &'n str,
    key: &NoteKey,
    verify: impl Fn(&[u8; 32], &[u8], &Signature) -> bool,
) -> Option<(&'n str, Option<u64>)> {
    let (text, lines) = split(note)?;
    lines.iter().find_map(|line| {
        let (name, blob) = line.strip_prefix("— ")?.split_once(' ')?;
        let blob = BASE64.decode(blob.as_bytes()).ok()?;
        let (id, blob) = blob.split_first_chunk::<4>()?;
        if name != key.name || *id != key.id() {
            return None;
        }
        match key.kind {
            KeyKind::Log => {
                let signature = Signature(blob.try_into().ok()?);
                verify(&key.public, text.as_bytes(), &signature).then_some((text, None))
            }
            KeyKind::Cosigner => {
                let (seconds, signature) = blob.split_first_chunk::<8>()?;
                let seconds = u64::from_be_bytes(*seconds);
                let signature = Signature(signature.try_into().ok()?);
                let message = cosigned_message(text, seconds);
                verify(&key.public, message.as_bytes(), &signature).then_some((text, Some(seconds)))
            }
        }
    })
}

fn cosigned_message(text: &str, seconds: u64) -> String {
    format!("cosignature/v1\ntime {seconds}\n{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Go package golang.org/x/mod/sumdb/note, which froze this format.
    #[test]
    fn the_published_note_has_the_published_key() {
        let vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        let key = NoteKey::parse_vkey(vkey).unwrap();
        assert_eq!(key.to_vkey(), vkey);
        let note = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n\
            — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
        let (text, _) = open(note, &key, |public, message, signature| {
            *public == key.public && message.ends_with(b"problem is.\n") && signature.0[0] == 0xf6
        })
        .unwrap();
        assert!(text.ends_with("is.\n") && !text.ends_with("\n\n"));
    }

    #[test]
    fn checkpoints_read_back_and_odd_ones_are_refused() {
        let checkpoint =
            Checkpoint { origin: "kiosk.example.kz/journal/00042".into(), size: 7, root: [9; 32] };
        assert_eq!(Checkpoint::parse(&checkpoint.text()), Some(checkpoint));
        for text in ["", "\n", "a\n07\nAAAA\n", "a\n7\nAAAA\n", "a\n7\n", "a\n-7\nAAAA\n"] {
            assert_eq!(Checkpoint::parse(text), None, "{text:?}");
        }
    }
}
