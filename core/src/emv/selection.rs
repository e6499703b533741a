//! Which application of the card is used (EMV Book 1, section 12): from its directory, else by asking for each in turn.

use super::{Application, Failure, objects};
use tolem_protocol::emv::{Tag, tags, tlv};

/// Name of the card's directory.
pub const DIRECTORY: &[u8] = b"1PAY.SYS.DDF01";
/// More applications than this are not looked at.
pub const MAX_CANDIDATES: usize = 16;

/// An application on the card that the terminal takes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// Its full name on the card.
    pub name: Vec<u8>,
    /// What to call it on screen and paper: printable characters only.
    pub label: String,
    /// 1 is the card's favourite; 15 and absent the least.
    pub priority: u8,
    /// It must not be used without the citizen's word.
    pub ask_first: bool,
    /// Which of the terminal's applications it is.
    pub application: usize,
}

impl Candidate {
    /// Reads a directory entry (template `61`) or the file control information of a selected application.
    pub fn read(bytes: &[u8], name_tag: Tag, known: &[Application]) -> Result<Option<Self>, Failure> {
        let find = |tag| tlv::find(bytes, tag).map_err(|_| Failure::Malformed(name_tag));
        let name = find(name_tag)?.ok_or(Failure::Missing(name_tag))?;
        if !(5..=16).contains(&name.len()) {
            return Err(Failure::Malformed(name_tag));
        }
        let Some(application) = known.iter().position(|known| name.starts_with(&known.aid)) else {
            return Ok(None);
        };
        let priority = find(tags::PRIORITY)?.and_then(|value| value.first().copied()).unwrap_or(0);
        // The preferred name may be in the card's own alphabet; only Latin is shown as it stands.
        let latin = find(tags::CODE_TABLE)? == Some(&[1]);
        let preferred = find(tags::PREFERRED_NAME)?.filter(|_| latin);
        let label = preferred.or(find(tags::APPLICATION_LABEL)?).unwrap_or(&[]);
        let label: String = label
            .iter()
            .take(16)
            .map(|byte| char::from(*byte))
            .filter(|letter| !letter.is_control())
            .collect();
        Ok(Some(Self {
            name: name.into(),
            label: if label.trim().is_empty() { hex(name) } else { label.trim().into() },
            priority: match priority & 0x0F {
                0 => 15,
                number => number,
            },
            ask_first: priority & 0x80 != 0,
            application,
        }))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// Reads one record of the directory: several entries.
pub fn directory_record(data: &[u8], known: &[Application]) -> Result<Vec<Candidate>, Failure> {
    let mut found = Vec::new();
    for entry in tlv::objects(objects::template(data, tags::RECORD)?) {
        let entry = entry.map_err(|_| Failure::Malformed(tags::RECORD))?;
        if entry.tag == tags::APPLICATION_TEMPLATE {
            found.extend(Candidate::read(entry.value, tags::AID, known)?);
        }
    }
    Ok(found)
}

/// The directory's file, from its file control information.
pub fn directory_file(data: &[u8]) -> Result<u8, Failure> {
    match tlv::find(data, tags::SFI).map_err(|_| Failure::Malformed(tags::FCI))? {
        Some([file @ 1..=10]) => Ok(*file),
        Some(_) => Err(Failure::Malformed(tags::SFI)),
        None => Err(Failure::Missing(tags::SFI)),
    }
}

/// Adds candidates that are not there yet, the card's favourites first.
pub fn add(list: &mut Vec<Candidate>, found: impl IntoIterator<Item = Candidate>) {
    for candidate in found {
        let known = list.iter().any(|other| other.name == candidate.name);
        if !known && list.len() < MAX_CANDIDATES {
            list.push(candidate);
        }
    }
    list.sort_by_key(|candidate| candidate.priority);
}
