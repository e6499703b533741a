//! Two people for each decision about money: one asks, another approves, and only then something happens.
//!
//! The first two operators are taken as they come, because nobody is there who could approve them; each of them
//! proves that the key is theirs. From then on a new operator needs two others, so that nobody can make themselves a second person.

use crate::logic::{
    Center, Moment,
    deposit::Via,
    disputes::{Chargeback, DisputeRow, Fits},
    office::{self, Action, Deed, OperatorRow, RequestRow, RequestState},
    operator, rebuild,
    rescue::Rescued,
    store::{Result, Store},
};
use std::fmt;
use tolem_protocol::{UtcTime, messages::Response, signed::Signature};

/// Longest name of an operator, in bytes.
const MAX_NAME: usize = 32;

/// Why nothing was done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Denied {
    /// No operator of this name may decide.
    UnknownOperator(String),
    /// The signature was not made with this operator's key.
    Signature(String),
    /// The one who asked cannot approve.
    SamePerson(String),
    /// There is no open request of this number.
    NotOpen(u32),
    /// What was asked for cannot be done, for this reason.
    Impossible(String),
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownOperator(name) => write!(f, "no operator {name:?} may decide here"),
            Self::Signature(name) => write!(f, "this is not the key of operator {name:?}"),
            Self::SamePerson(name) => {
                write!(f, "{name} asked for it, so somebody else must approve it")
            }
            Self::NotOpen(number) => write!(f, "there is no open request {number}"),
            Self::Impossible(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Denied {}

/// What an approval did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// A slip was settled, or waits for the gateway.
    Slip(Box<Response>),
    /// A journal was taken in.
    Journal(Rescued),
    /// These disputes stand so now.
    Disputes(Vec<DisputeRow>),
    /// It was done; there is no more to say.
    Done,
}

/// What [`Center::ask_two`] did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Asked {
    /// The request waits under this number.
    Waits(u32),
    /// Done at once: one of the first two operators.
    Founded,
}

type Attempt<T> = Result<std::result::Result<T, Denied>>;

impl Center {
    /// Keeps a request of `by`, signed over [`office::request_message`]. The same request again gives the same number.
    pub fn ask_two(
        &self,
        store: &mut dyn Store,
        now: UtcTime,
        by: &str,
        action: &Action,
        signature: &Signature,
    ) -> Attempt<Asked> {
        let bytes = action.to_bytes();
        let message = office::request_message(by, now, &bytes);
        let founding = match action {
            Action::AddOperator { name, key } if office::active(store)?.len() < 2 && name == by => Some(*key),
            _ => None,
        };
        if let Err(denied) = match founding {
            Some(key) if self.keys.verify(&key, &message, signature) => Ok(()),
            Some(_) => Err(Denied::Signature(by.to_owned())),
            None => self.signed_by(store, by, &message, signature)?,
        } {
            return Ok(Err(denied));
        }
        if let Some(why) = self.obstacle(store, now, action)? {
            return Ok(Err(Denied::Impossible(why)));
        }
        if let (Some(key), Action::AddOperator { name, .. }) = (founding, action) {
            store.put_operator(&OperatorRow { name: name.clone(), key, since: now, left: None })?;
            let what = format!("{name} is one of the first two operators");
            store.write_deed(&Deed { at: now, by: by.to_owned(), what })?;
            return Ok(Ok(Asked::Founded));
        }
        let requests = store.requests()?;
        let same = |row: &&RequestRow| row.state == RequestState::Open && row.action == bytes;
        if let Some(row) = requests.iter().find(same) {
            return Ok(Ok(Asked::Waits(row.number)));
        }
        let number = requests.last().map_or(1, |row| row.number + 1);
        let (by, signature) = (by.to_owned(), *signature);
        let what = format!("asked, request {number}: {action}");
        store.write_deed(&Deed { at: now, by: by.clone(), what })?;
        store.put_request(&RequestRow {
            number,
            at: now,
            by,
            action: bytes,
            signature,
            state: RequestState::Open,
        })?;
        Ok(Ok(Asked::Waits(number)))
    }

    /// Approves a request and does it, in one transaction. `signature` is over [`office::decision_message`].
    pub fn approve(
        &self,
        store: &mut dyn Store,
        at: &mut Moment<'_>,
        number: u32,
        by: &str,
        signature: &Signature,
    ) -> Attempt<Effect> {
        let mut row = match self.decidable(store, number, by, signature, true)? {
            Ok(row) => row,
            Err(denied) => return Ok(Err(denied)),
        };
        let Some(action) = Action::from_bytes(&row.action) else {
            let why = format!("request {number} was written by another version of this program");
            return Ok(Err(Denied::Impossible(why)));
        };
        if let Some(why) = self.obstacle(store, at.now, &action)? {
            return Ok(Err(Denied::Impossible(why)));
        }
        let effect = self.carry_out(store, at, &action)?;
        let what = format!("request {number} is done: {action}");
        store.write_deed(&Deed { at: at.now, by: format!("{} and {by}", row.by), what })?;
        row.state = RequestState::Done { by: by.to_owned(), at: at.now, signature: *signature };
        store.put_request(&row)?;
        Ok(Ok(effect))
    }

    /// Takes a request back, or refuses it: either is one person's right.
    pub fn withdraw(
        &self,
        store: &mut dyn Store,
        now: UtcTime,
        number: u32,
        by: &str,
        signature: &Signature,
    ) -> Attempt<()> {
        let mut row = match self.decidable(store, number, by, signature, false)? {
            Ok(row) => row,
            Err(denied) => return Ok(Err(denied)),
        };
        let what = format!("request {number} is withdrawn");
        store.write_deed(&Deed { at: now, by: by.to_owned(), what })?;
        row.state = RequestState::Withdrawn { by: by.to_owned(), at: now, signature: *signature };
        store.put_request(&row)?;
        Ok(Ok(()))
    }

    fn decidable(
        &self,
        store: &dyn Store,
        number: u32,
        by: &str,
        signature: &Signature,
        yes: bool,
    ) -> Attempt<RequestRow> {
        let Some(row) = store.request(number)?.filter(|row| row.state == RequestState::Open) else {
            return Ok(Err(Denied::NotOpen(number)));
        };
        if let Err(denied) = self.signed_by(store, by, &office::decision_message(by, &row, yes), signature)? {
            return Ok(Err(denied));
        }
        // A person may have two names but hardly lends out a key: the keys are compared, too.
        let same_key = match (store.operator(&row.by)?, store.operator(by)?) {
            (Some(first), Some(second)) => first.key == second.key,
            _ => false,
        };
        if yes && (row.by == by || same_key) {
            return Ok(Err(Denied::SamePerson(by.to_owned())));
        }
        Ok(Ok(row))
    }

    fn signed_by(&self, store: &dyn Store, by: &str, message: &[u8], signature: &Signature) -> Attempt<()> {
        let Some(row) = store.operator(by)?.filter(|row| row.left.is_none()) else {
            return Ok(Err(Denied::UnknownOperator(by.to_owned())));
        };
        if !self.keys.verify(&row.key, message, signature) {
            return Ok(Err(Denied::Signature(by.to_owned())));
        }
        Ok(Ok(()))
    }

    /// Why an action cannot be done now, if so. Nothing is changed.
    fn obstacle(&self, store: &dyn Store, now: UtcTime, action: &Action) -> Result<Option<String>> {
        let rests_on_the_books = matches!(
            action,
            Action::ImportSlip { .. }
                | Action::Refund { .. }
                | Action::Resolve { .. }
                | Action::Complain { .. }
                | Action::Rule { .. }
                | Action::Chargebacks(_)
                | Action::EndCard { .. }
        );
        if rests_on_the_books && store.rebuilding()?.is_some() {
            return Ok(Some("the center is rebuilding: first it must hear what it has forgotten".into()));
        }
        Ok(match action {
            Action::AddOperator { name, key } => {
                let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
                let people = store.operators()?;
                if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(plain) {
                    Some(format!("{name:?}: a name has 1 to {MAX_NAME} of a-z, 0-9 and -"))
                } else if people.iter().any(|row| row.name == *name) {
                    Some(format!("{name} is or was an operator; names are not used twice"))
                } else if people.iter().any(|row| row.key == *key) {
                    Some("this key belongs to another operator".into())
                } else {
                    None
                }
            }
            Action::RemoveOperator { name } => match office::active(store)? {
                active if !active.iter().any(|row| row.name == *name) => {
                    Some(format!("there is no operator {name}"))
                }
                active if active.len() < 3 => Some("two operators must stay".into()),
                _ => None,
            },
            Action::ImportSlip { deposit } => match self.opened(store, Via::Import, deposit)? {
                Ok(_) => None,
                Err(refusal) => Some(format!("the slip is refused: {refusal:?}")),
            },
            Action::ImportJournal(rescue) => match store.kiosk(rescue.kiosk)? {
                Some(_) => None,
                None => Some(format!("kiosk {} is not registered", rescue.kiosk)),
            },
            Action::Refund { balance } => match store.balance(*balance)? {
                Some(row) if operator::may_refund(&row, now) => None,
                _ => Some(format!("balance {balance} is not open")),
            },
            Action::Resolve { balance, .. } => match store.balance(*balance)? {
                Some(row) if operator::may_resolve(&row) => None,
                _ => Some(format!("there is no open suspense {balance}")),
            },
            Action::Open { missing } => {
                let now_missing = rebuild::missing(store)?;
                let Some(state) = store.rebuilding()? else {
                    return Ok(Some("the center is open".into()));
                };
                if state.register_due {
                    let how = "tolem-center register compare, or if it is gone for good: register leave";
                    Some(format!("the gateway's register comes first: {how}"))
                } else if now_missing != *missing {
                    Some("other kiosks are missing now; ask anew, so that both know who is left out".into())
                } else {
                    None
                }
            }
            Action::Complain { payment, why } => self.cannot_complain(store, payment, why)?,
            Action::Rule { dispute, ruling } => self.cannot_rule(store, *dispute, *ruling)?,
            Action::EndCard { payment, seen, ruling, listed, why } => {
                self.cannot_end_card(store, (payment, *seen), (*ruling, listed.as_ref()), why)?
            }
            Action::TakeRegister(compared) => self.cannot_adopt(store, compared)?,
            Action::LeaveRegister => match store.rebuilding()? {
                Some(state) if state.register_due => None,
                _ => Some("nothing waits for the gateway's register".into()),
            },
            Action::Chargebacks(lines) => {
                let mut wrong = None;
                for (index, line) in lines.iter().enumerate() {
                    // What is open about a payment after the first would have kept the second out.
                    let same = |other: &&Chargeback| {
                        (other.way, other.terminal, other.trace, other.sent)
                            == (line.way, line.terminal, line.trace, line.sent)
                    };
                    if let Some(other) = lines[..index].iter().find(same) {
                        wrong = Some(format!(
                            "case {} is about the payment of case {}: book that one first, alone",
                            line.case, other.case
                        ));
                        break;
                    }
                    match self.chargeback_fits(store, line)? {
                        Fits::Yes => continue,
                        Fits::Known => wrong = Some(format!("case {} is booked: ask anew", line.case)),
                        Fits::No(why) => wrong = Some(format!("case {}: {why}", line.case)),
                    }
                    break;
                }
                wrong
            }
        })
    }

    fn carry_out(&self, store: &mut dyn Store, at: &mut Moment<'_>, action: &Action) -> Result<Effect> {
        match action {
            Action::AddOperator { name, key } => {
                store.put_operator(&OperatorRow {
                    name: name.clone(),
                    key: *key,
                    since: at.now,
                    left: None,
                })?;
            }
            Action::RemoveOperator { name } => {
                if let Some(row) = store.operator(name)? {
                    store.put_operator(&OperatorRow { left: Some(at.now), ..row })?;
                }
            }
            Action::ImportSlip { deposit } => {
                return Ok(Effect::Slip(Box::new(self.settle(store, at, Via::Import, deposit)?)));
            }
            Action::ImportJournal(rescue) => return Ok(Effect::Journal(self.rescue(store, at, rescue)?)),
            Action::Refund { balance } => {
                operator::refund(store, at.now, *balance)?;
            }
            Action::Resolve { balance, found } => {
                operator::resolve(store, at.now, *balance, *found)?;
            }
            Action::Open { missing } => {
                if let Some(state) = store.rebuilding()? {
                    self.open_again(store, at, state, missing)?;
                }
            }
            Action::Complain { payment, why } => {
                return Ok(Effect::Disputes(self.complain(store, at.now, payment, why)?));
            }
            Action::Rule { dispute, ruling } => {
                return Ok(Effect::Disputes(self.rule(store, at.now, *dispute, *ruling)?));
            }
            Action::EndCard { payment, ruling, listed, why, .. } => {
                let dispute = self.rule_card(store, at, payment, (*ruling, listed.as_ref()), why)?;
                return Ok(dispute.map_or(Effect::Done, |row| Effect::Disputes(vec![row])));
            }
            Action::TakeRegister(compared) => self.adopt_register(store, at, compared)?,
            Action::LeaveRegister => self.register_heard(store, at)?,
            Action::Chargebacks(lines) => {
                let mut rows = Vec::new();
                for line in lines {
                    rows.extend(self.take_chargeback(store, at, line)?);
                }
                return Ok(Effect::Disputes(rows));
            }
        }
        Ok(Effect::Done)
    }
}
