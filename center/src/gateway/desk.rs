//! One message in, one signed answer out: signature first, then the sender's rights, then the words, then the rules.

use super::{
    guesses::Guesses,
    rules::{Fault, Group, Moment, Participant, Rules, Stop},
    store::{Arrival, GatewayStore},
    words::{FaultCode, GatewayFault, Line, Request, Token, XmlElement as _},
};
use crate::{
    server::desk::fresh,
    xmlsig::{Signer, Trust, sign, verify},
};
use arc_swap::ArcSwap;
use roxmltree::{Document, Node};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tolem_protocol::UtcTime;

/// Longest reason in a fault, in characters.
const REASON: usize = 160;

/// A finished answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// Whether it is a fault (HTTP 500, as SOAP 1.1 asks).
    pub fault: Option<FaultCode>,
    /// The signed envelope.
    pub envelope: String,
    /// For the log: operation or reason, never a person.
    pub line: String,
    /// For the log as well, if somebody must look.
    pub alarm: Option<String>,
}

/// The gateway behind its doors.
pub struct Desk {
    /// What is allowed and what follows.
    pub rules: Rules,
    /// Who may attach, by name.
    pub participants: ArcSwap<BTreeMap<String, Participant>>,
    /// Whose signatures are believed; replaced when its files change.
    pub trust: ArcSwap<Trust>,
    /// Signs answers and records.
    pub signer: Arc<dyn Signer>,
    /// The rows.
    pub store: Mutex<GatewayStore>,
    /// Who asked for codes that do not exist.
    pub guesses: Mutex<Guesses>,
}

/// What is known of a message that is being refused.
#[derive(Default)]
struct Known {
    message_id: Option<Token>,
    operation: &'static str,
    alarm: Option<String>,
}

impl Desk {
    /// Answers `bytes`, which arrived at `now` over a channel of `peer`. May wait for the disk.
    ///
    /// `None` if not even a fault can be signed.
    pub fn answer(&self, bytes: &[u8], peer: &str, operations: &[&str], now: UtcTime) -> Option<Answer> {
        let mut known = Known::default();
        let (fault, body, line) = match self.act(bytes, peer, operations, now, &mut known) {
            Ok(body) => (None, body, format!("{peer}: {} done", known.operation)),
            Err(fault) => {
                let line = format!("{peer}: {} {}: {}", known.operation, fault.code, fault.reason);
                (Some(fault.code), envelope_of(&fault, known.message_id.take()), line)
            }
        };
        let envelope = sign::message(&*self.signer, &body, now).ok()?;
        Some(Answer { fault, envelope, line, alarm: known.alarm })
    }

    fn act(
        &self,
        bytes: &[u8],
        peer: &str,
        operations: &[&str],
        now: UtcTime,
        known: &mut Known,
    ) -> Result<String, Fault> {
        let message = verify::message(bytes, &self.trust.load(), now)
            .map_err(|refused| Fault::new(FaultCode::SignatureRefused, refused.to_string()))?;
        if message.signer != peer {
            let reason = format!("the channel is {peer}'s, the signature {}'s", message.signer);
            return Err(Fault::new(FaultCode::NotRegistered, reason));
        }
        let participants = self.participants.load();
        let who = participants.get(peer).ok_or_else(|| {
            Fault::new(FaultCode::NotRegistered, format!("{peer} is no participant of this gateway"))
        })?;
        let request = read(&message.body, operations, now, known)?;
        let guards = matches!(who.group, Group::Portal | Group::ServiceCenter);
        if let Some(wait) = self.guessed().wait_s(&who.name, now).filter(|_| guards) {
            let reason = format!("too many unknown codes; ask again in {wait} s");
            return Err(Fault::new(FaultCode::Unavailable, reason));
        }
        let arrival = Arrival {
            at: now,
            who: &who.name,
            message_id: request.message_id(),
            operation: request.operation(),
            bytes,
            kept: changes(&request),
        };
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let mut fresh = fresh();
        let taken = store.take(&arrival, &*self.signer, |books, record| {
            self.rules.act(books, &mut Moment { now, record, fresh: &mut fresh }, who, &request)
        });
        match taken {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => {
                Err(Fault::new(FaultCode::Replayed, "a message with this MessageId was taken before"))
            }
            Err(Stop::Fault(fault)) => {
                if guards && fault.code == FaultCode::UnknownCode && self.guessed().wrong(&who.name, now) {
                    known.alarm = Some(format!("ALARM {}: it asks for codes that do not exist", who.name));
                }
                Err(fault)
            }
            Err(Stop::Books(error)) => Err(Fault::new(FaultCode::Unavailable, error.to_string())),
        }
    }

    fn guessed(&self) -> MutexGuard<'_, Guesses> {
        self.guesses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the database failed. Then every message is refused, and only a new start helps.
    pub fn is_broken(&self) -> bool {
        self.store.lock().unwrap_or_else(PoisonError::into_inner).is_broken()
    }

    /// Ends codes whose time is over.
    ///
    /// # Errors
    /// Says why the database failed.
    pub fn expire(&self, now: UtcTime) -> Result<usize, String> {
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        store.tend(|books| self.rules.expire(books, now)).map_err(|error| error.to_string())
    }
}

/// Questions that change nothing leave no record.
fn changes(request: &Request) -> bool {
    match request {
        Request::CreateUpc(_)
        | Request::VoidUpc(_)
        | Request::NotifyPayment(_)
        | Request::ValidateUpc(_)
        | Request::CloseUpc(_) => true,
        Request::GetRegister(_)
        | Request::GetStatistics(_)
        | Request::GetSummary(_)
        | Request::CheckIin(_) => false,
    }
}

/// Reads the request out of the bytes that were signed, and out of nothing else.
fn read(body: &[u8], operations: &[&str], now: UtcTime, known: &mut Known) -> Result<Request, Fault> {
    let unreadable =
        |what: &dyn std::fmt::Display| Fault::new(FaultCode::SignatureRefused, format!("not-xml: {what}"));
    let text = std::str::from_utf8(body).map_err(|error| unreadable(&error))?;
    let document = Document::parse(text).map_err(|error| unreadable(&error))?;
    let element = document.root_element().first_element_child();
    let element = element.ok_or_else(|| unreadable(&"the Body is empty"))?;
    let first = element.first_element_child().filter(|node| node.tag_name().name() == "MessageId");
    known.message_id = first.and_then(|node: Node<'_, '_>| node.text()).and_then(Token::new);
    let name = element.tag_name().name();
    let Some(name) = operations.iter().find(|operation| **operation == name) else {
        let reason = format!("there is no operation {name} here");
        return Err(Fault::new(FaultCode::UnknownOperation, reason));
    };
    known.operation =
        Request::OPERATIONS.iter().find(|operation| *operation == name).copied().unwrap_or_default();
    let request = Request::read(element, now.date())
        .ok_or_else(|| Fault::new(FaultCode::UnknownOperation, format!("there is no operation {name}")))?;
    request.map_err(|wrong| Fault {
        field: Some(wrong.field.clone()),
        ..Fault::new(FaultCode::InvalidField, format!("{} {}", wrong.field, wrong.fault))
    })
}

/// The SOAP 1.1 fault.
fn envelope_of(fault: &Fault, in_reply_to: Option<Token>) -> String {
    let clean: String = fault
        .reason
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .take(REASON)
        .collect();
    let reason = Line::new(clean.trim()).or_else(|| Line::new(fault.code.word()));
    let detail = reason.map(|reason| GatewayFault {
        in_reply_to,
        code: fault.code,
        reason,
        field: fault.field.as_deref().and_then(Token::new),
        state: fault.state,
    });
    let ours = fault.code == FaultCode::Unavailable;
    format!(
        "<soap:Fault xmlns:soap=\"{}\"><faultcode>soap:{}</faultcode><faultstring>{}: {}</faultstring>\
         <detail>{}</detail></soap:Fault>",
        crate::xmlsig::ns::SOAP,
        if ours { "Server" } else { "Client" },
        fault.code,
        sign::escape(clean.trim()),
        detail.map(|detail| detail.to_xml()).unwrap_or_default()
    )
}
