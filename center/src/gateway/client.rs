//! Calling the gateway: sign, send over a channel of its own, verify the answer, read only what was signed.
//!
//! An answer counts if it is signed by the gateway, fresh, and names the very message it answers. Everything else is
//! [`CallError::NotTrusted`] and proves nothing. After [`CallError::Unreachable`] nobody knows whether the gateway acted: call
//! again with the same business numbers (and a new message id); the gateway does the same thing once.

use super::{
    channel,
    party::{Party, PartyError, Whereabouts},
    words::*,
};
use crate::{
    server::system_clock,
    xmlsig::{MOST_BYTES, Trust, ns, sign, verify},
};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Request as HttpRequest, body::Bytes, header};
use hyper_util::rt::TokioIo;
use roxmltree::{Document, Node};
use rustls::pki_types::ServerName;
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tolem_protocol::UtcTime;

/// Why a call has no result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CallError {
    /// The gateway says no, in a fault that it signed.
    Refused(Box<GatewayFault>),
    /// No connection, no TLS, no answer in time, or no answer of a gateway. It may have acted all the same.
    Unreachable(String),
    /// There is an answer, but it is not provably the gateway's answer to this message. It may have acted all the same.
    NotTrusted(String),
    /// Our own key cannot sign.
    CannotSign(String),
}

impl CallError {
    /// Whether calling again cannot change the answer. What a person mends, a signature, a list, a registration, is no answer to the
    /// question: nothing was decided about the payment.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Refused(fault) => !matches!(
                fault.code,
                FaultCode::Unavailable
                    | FaultCode::Replayed
                    | FaultCode::SignatureRefused
                    | FaultCode::NotRegistered
                    | FaultCode::NotPermitted
                    | FaultCode::UnknownOperation
            ),
            Self::Unreachable(_) | Self::NotTrusted(_) | Self::CannotSign(_) => false,
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(fault) => {
                write!(f, "the gateway refuses: {}: {}", fault.code, fault.reason.as_str())
            }
            Self::Unreachable(why) => write!(f, "the gateway does not answer: {why}"),
            Self::NotTrusted(why) => write!(f, "the answer is not provably the gateway's: {why}"),
            Self::CannotSign(why) => write!(f, "the request cannot be signed: {why}"),
        }
    }
}

impl std::error::Error for CallError {}

/// A participant's way to the gateway. Each call opens a channel and closes it, as the instruction has it.
///
/// Its folder is read for each call: lists run out every week, certificates every few months, and nobody starts a center again for that.
pub struct GatewayClient {
    folder: PathBuf,
    clock: fn() -> UtcTime,
}

/// What the folder holds at one call.
struct Way {
    party: Party,
    at: Whereabouts,
    connector: TlsConnector,
}

impl Way {
    fn read(folder: &Path) -> Result<Self, PartyError> {
        let connector = TlsConnector::from(Arc::new(channel::client(folder, &["http/1.1"])?));
        Ok(Self { party: Party::read(folder)?, at: Whereabouts::read(folder)?, connector })
    }
}

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident: $request:ident -> $answer:ident at $path:literal;)*) => {
        impl GatewayClient {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// See [`CallError`].
                pub async fn $name(&self, request: &$request) -> Result<$answer, CallError> {
                    let answer: $answer = self.call($path, &request.message_id, request).await?;
                    if answer.in_reply_to == request.message_id {
                        Ok(answer)
                    } else {
                        Err(CallError::NotTrusted(format!("it answers message {}", answer.in_reply_to)))
                    }
                }
            )*
        }
    };
}

calls! {
    /// Asks for a payment code; the same transaction number gives the same code again.
    create_upc: CreateUpc -> CreateUpcResponse at "/gateway";
    /// Takes a code back, before it is paid or as a refund.
    void_upc: VoidUpc -> VoidUpcResponse at "/gateway";
    /// Delivers the notice of payment.
    notify_payment: NotifyPayment -> NotifyPaymentResponse at "/gateway";
    /// Asks whether a code is good; a portal may use it up at once.
    validate_upc: ValidateUpc -> ValidateUpcResponse at "/gateway";
    /// Uses a validated code up at a service center.
    close_upc: CloseUpc -> CloseUpcResponse at "/gateway";
    /// Reads one page of a register.
    get_register: GetRegister -> GetRegisterResponse at "/gateway";
    /// Reads statistics.
    get_statistics: GetStatistics -> GetStatisticsResponse at "/gateway";
    /// Reads a summary.
    get_summary: GetSummary -> GetSummaryResponse at "/gateway";
    /// Asks the registry of persons about an IIN.
    check_iin: CheckIin -> CheckIinResponse at "/registry";
}

impl GatewayClient {
    /// A client with the keys and addresses of a participant's folder, which must be whole now.
    ///
    /// # Errors
    /// Names the file that is missing or wrong.
    pub fn open(folder: &Path) -> Result<Self, PartyError> {
        Way::read(folder)?;
        Ok(Self { folder: folder.to_owned(), clock: system_clock })
    }

    async fn call<R: XmlElement, A: XmlElement>(
        &self,
        path: &str,
        message_id: &Token,
        request: &R,
    ) -> Result<A, CallError> {
        let way = Way::read(&self.folder).map_err(|error| CallError::Unreachable(error.to_string()))?;
        let envelope = sign::message(&way.party.signer, &request.to_xml(), (self.clock)())
            .map_err(|error| CallError::CannotSign(error.to_string()))?;
        let wait = Duration::from_millis(way.at.wait_ms);
        let answer = tokio::time::timeout(wait, way.exchange(path, R::TAG, envelope)).await;
        let answer = answer.map_err(|_| CallError::Unreachable(format!("no answer within {wait:?}")))??;
        read_answer(&answer, &way.party.trust, &way.at.signer, message_id, (self.clock)())
    }
}

impl Way {
    /// Sends one envelope and gives the body of the answer.
    async fn exchange(&self, path: &str, operation: &str, envelope: String) -> Result<Bytes, CallError> {
        let unreachable =
            |error: &dyn fmt::Display| CallError::Unreachable(format!("{}: {error}", self.at.gateway));
        let name = ServerName::try_from(self.at.host().to_owned()).map_err(|error| unreachable(&error))?;
        let stream = TcpStream::connect(&self.at.gateway).await.map_err(|error| unreachable(&error))?;
        let stream = self.connector.connect(name, stream).await.map_err(|error| unreachable(&error))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| unreachable(&error))?;
        let request = HttpRequest::post(path)
            .header(header::HOST, &self.at.gateway)
            .header(header::CONTENT_TYPE, "text/xml; charset=utf-8")
            .header(header::CONNECTION, "close")
            .header("SOAPAction", format!("\"{}/{operation}\"", super::NS))
            .body(Full::new(Bytes::from(envelope)))
            .map_err(|error| unreachable(&error))?;
        let exchange = async {
            let response = sender.send_request(request).await.map_err(|error| unreachable(&error))?;
            let status = response.status().as_u16();
            if ![200, 500].contains(&status) {
                return Err(unreachable(&format!("HTTP status {status}")));
            }
            let body = Limited::new(response.into_body(), MOST_BYTES).collect().await;
            Ok(body.map_err(|error| unreachable(&error))?.to_bytes())
        };
        let drive = async {
            // Ends when the peer closes; the exchange itself decides what that means.
            let _ = connection.await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            result = exchange => result,
            () = drive => Err(unreachable(&"closed")),
        }
    }
}

/// Reads the answer to the message `message_id`, which must be signed by `signer`.
///
/// # Errors
/// A signed fault, or why this is no answer to that message.
pub fn read_answer<A: XmlElement>(
    bytes: &[u8],
    trust: &Trust,
    signer: &str,
    message_id: &Token,
    now: UtcTime,
) -> Result<A, CallError> {
    let not_trusted = |why: &dyn fmt::Display| CallError::NotTrusted(why.to_string());
    let message = verify::message(bytes, trust, now).map_err(|refused| not_trusted(&refused))?;
    if message.signer != signer {
        return Err(not_trusted(&format!("it is signed by {}, not by {signer}", message.signer)));
    }
    let text = std::str::from_utf8(&message.body).map_err(|error| not_trusted(&error))?;
    let document = Document::parse(text).map_err(|error| not_trusted(&error))?;
    let element = document.root_element().first_element_child();
    let element = element.ok_or_else(|| not_trusted(&"the Body is empty"))?;
    let wrong = |fault: WrongField| CallError::NotTrusted(format!("{} {}", fault.field, fault.fault));
    if element.has_tag_name((ns::SOAP, "Fault")) {
        let detail = element.children().find(|node| node.has_tag_name("detail"));
        let detail = detail.and_then(|node: Node<'_, '_>| node.first_element_child());
        let detail = detail.ok_or_else(|| not_trusted(&"a fault without detail"))?;
        let fault = GatewayFault::read(detail, now.date()).map_err(wrong)?;
        return match &fault.in_reply_to {
            Some(other) if other != message_id => Err(not_trusted(&format!("it answers message {other}"))),
            _ => Err(CallError::Refused(Box::new(fault))),
        };
    }
    A::read(element, now.date()).map_err(wrong)
}
