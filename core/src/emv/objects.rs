//! Data objects gathered from card and terminal during one transaction; wiped when dropped.

use super::Failure;
use std::collections::BTreeMap;
use tolem_protocol::emv::{Tag, tags, tlv};
use zeroize::Zeroizing;

/// Objects by tag.
#[derive(Default)]
pub struct Objects(BTreeMap<Tag, Zeroizing<Vec<u8>>>);

impl Objects {
    /// The value of `tag`.
    pub fn get(&self, tag: Tag) -> Option<&[u8]> {
        self.0.get(&tag).map(|value| value.as_slice())
    }

    /// The value of `tag`, which must be there.
    pub fn need(&self, tag: Tag) -> Result<&[u8], Failure> {
        self.get(tag).ok_or(Failure::Missing(tag))
    }

    /// The value of `tag`, which must be there and `N` bytes long.
    pub fn exactly<const N: usize>(&self, tag: Tag) -> Result<[u8; N], Failure> {
        self.need(tag)?.try_into().map_err(|_| Failure::Malformed(tag))
    }

    /// The value of `tag`: `N` bytes long, or absent.
    pub fn optional<const N: usize>(&self, tag: Tag) -> Result<Option<[u8; N]>, Failure> {
        self.get(tag).map(|value| value.try_into().map_err(|_| Failure::Malformed(tag))).transpose()
    }

    /// Puts a value in the place of an older one.
    pub fn put(&mut self, tag: Tag, value: &[u8]) {
        self.0.insert(tag, Zeroizing::new(value.to_vec()));
    }

    /// Takes in what the card said; an object that is there already is an error (EMV Book 3, section 10.2).
    pub fn learn(&mut self, tag: Tag, value: &[u8]) -> Result<(), Failure> {
        if self.0.contains_key(&tag) {
            return Err(Failure::Twice(tag));
        }
        self.put(tag, value);
        Ok(())
    }

    /// Takes in all primitive objects of `bytes`, at any depth. `template` names what is at fault if they are not well formed.
    pub fn learn_all(&mut self, template: Tag, bytes: &[u8]) -> Result<(), Failure> {
        let mut result = Ok(());
        let walked = tlv::walk(bytes, &mut |object| {
            if !object.tag.is_template() && result.is_ok() {
                result = self.learn(object.tag, object.value);
            }
        });
        walked.map_err(|_| Failure::Malformed(template))?;
        result
    }

    /// Forgets everything but the terminal's own objects, which are put again.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// The content of the one template that `data` must be.
pub fn template(data: &[u8], wanted: Tag) -> Result<&[u8], Failure> {
    let mut objects = tlv::objects(data);
    match (objects.next(), objects.next()) {
        (Some(Ok(object)), None) if object.tag == wanted => Ok(object.value),
        _ => Err(Failure::Malformed(wanted)),
    }
}

/// Answers of GET PROCESSING OPTIONS and GENERATE AC come in two formats: bare bytes, or objects.
pub enum Answer<'a> {
    /// Format 1, template `80`: values one after the other.
    Bare(&'a [u8]),
    /// Format 2, template `77`: objects.
    Objects(&'a [u8]),
}

/// Tells the formats apart.
pub fn answer(data: &[u8]) -> Result<Answer<'_>, Failure> {
    match template(data, tags::RESPONSE_1) {
        Ok(bare) => Ok(Answer::Bare(bare)),
        Err(_) => template(data, tags::RESPONSE_2).map(Answer::Objects),
    }
}
