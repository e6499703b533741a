//! Registry and gateway as a bank calls them: signed SOAP over mutual TLS, a channel of its own for each exchange.
//!
//! A payment is named by one transaction number, so whatever is asked twice is done once. What is not provably the gateway's
//! answer counts as silence.

use crate::{
    gateway::{
        CallError, GatewayClient,
        party::PartyError,
        words::{
            CheckIin, CreateUpc, CreateUpcResponse, FaultCode, GatewayFault, Method as GatewayMethod,
            NotifyPayment, Paid, State, Token, VoidReason, VoidUpc, VoidUpcResponse,
        },
    },
    logic::{
        errands::{Made, Notice, NoticeKind, Order, Reply},
        register,
        registry::Lookup,
    },
    server::errands::{Coming, Neighbours},
};
use std::path::Path;
use tolem_protocol::{Iin, PaymentId, messages::Method};

/// The neighbours of a center that is a participant of a gateway.
pub struct SoapNeighbours {
    client: GatewayClient,
}

impl SoapNeighbours {
    /// Opens the participant's folder that the gateway's operator has handed out.
    ///
    /// # Errors
    /// Names the file that is missing or wrong.
    pub fn open(folder: &Path) -> Result<Self, PartyError> {
        Ok(Self { client: GatewayClient::open(folder)? })
    }
}

/// The bank's number of a payment.
pub fn transaction(payment: &PaymentId) -> Option<Token> {
    Token::new(&register::transaction_number(payment))
}

fn reply<T, U>(result: Result<T, CallError>, done: impl FnOnce(T) -> U) -> Reply<U> {
    match result {
        Ok(answer) => Reply::Done(done(answer)),
        Err(error) if error.is_final() => Reply::Refused(error.to_string()),
        Err(error) => Reply::Silent(error.to_string()),
    }
}

/// What an answer about a code means. One that was made in a life which this center has forgotten may have ended: nobody can use it any more, and
/// selling it again would sell nothing.
fn created(answer: Result<CreateUpcResponse, CallError>) -> Reply<Made> {
    match answer {
        Ok(made) if matches!(made.state, State::Void | State::Expired | State::Refunded) => {
            Reply::Refused(format!("the code of this payment was made before and is {}", made.state))
        }
        answer => reply(answer, |made| Made {
            code: made.code,
            valid_until: made.valid_until,
            is_paid: matches!(made.state, State::Paid | State::Used),
        }),
    }
}

/// Whether a code can be used no more, whoever saw to that.
fn is_gone(fault: &GatewayFault) -> bool {
    fault.code == FaultCode::UnknownCode
        || fault.code == FaultCode::WrongState
            && matches!(fault.state, Some(State::Void | State::Expired | State::Refunded))
}

/// What an answer to the word that a code is not needed means. A code that is paid or used there is no void one: the money for it stays where
/// it is, and a person looks.
fn made_void(answer: Result<VoidUpcResponse, CallError>) -> Reply<()> {
    match answer {
        Err(CallError::Refused(fault)) if is_gone(&fault) => Reply::Done(()),
        Err(CallError::Refused(fault)) if matches!(fault.state, Some(State::Paid | State::Used)) => {
            Reply::Silent(CallError::Refused(fault).to_string())
        }
        answer => reply(answer, |_| ()),
    }
}

/// What an answer to a refund means: only a use is a final no.
fn refunded(answer: Result<VoidUpcResponse, CallError>) -> Reply<()> {
    match answer {
        Err(CallError::Refused(fault)) if is_gone(&fault) => Reply::Done(()),
        Err(CallError::Refused(fault)) if fault.state != Some(State::Used) => {
            Reply::Silent(CallError::Refused(fault).to_string())
        }
        answer => reply(answer, |_| ()),
    }
}

fn method(method: Method) -> GatewayMethod {
    match method {
        Method::Card => GatewayMethod::Card,
        Method::Cash | Method::Either => GatewayMethod::Cash,
    }
}

impl Neighbours for SoapNeighbours {
    fn check_payer<'a>(&'a self, iin: &'a Iin) -> Coming<'a, Lookup> {
        Box::pin(async move {
            let request = CheckIin { message_id: Token::random(), iin: iin.clone() };
            match self.client.check_iin(&request).await {
                Ok(answer) if answer.known => {
                    let name = answer.name.as_ref().map_or("", |line| line.as_str());
                    Lookup::Right { name: heapless::String::try_from(name).unwrap_or_default() }
                }
                Ok(_) => Lookup::Wrong,
                Err(_) => Lookup::Unavailable,
            }
        })
    }

    fn create_code<'a>(&'a self, order: &'a Order) -> Coming<'a, Reply<Made>> {
        Box::pin(async move {
            let (Some(transaction), Some(amount)) = (transaction(&order.payment), Paid::new(order.fee))
            else {
                return Reply::Refused("the gateway has no words for this payment".into());
            };
            let request = CreateUpc {
                message_id: Token::random(),
                transaction,
                kiosk: order.payment.kiosk,
                service: order.service.clone(),
                payer: order.payer.clone(),
                amount,
            };
            created(self.client.create_upc(&request).await)
        })
    }

    fn deliver<'a>(&'a self, notice: &'a Notice) -> Coming<'a, Reply<()>> {
        Box::pin(async move {
            let (Some(transaction), Some(amount)) = (transaction(&notice.payment), Paid::new(notice.fee))
            else {
                return Reply::Refused("the gateway has no words for this payment".into());
            };
            let (message_id, code) = (Token::random(), notice.code);
            match notice.kind {
                NoticeKind::Paid => {
                    let request = NotifyPayment {
                        message_id,
                        transaction,
                        code,
                        kiosk: notice.payment.kiosk,
                        service: notice.service.clone(),
                        payer: notice.payer.clone(),
                        amount,
                        method: method(notice.method),
                        paid_at: notice.paid_at,
                        bank_reference: None,
                    };
                    reply(self.client.notify_payment(&request).await, |_| ())
                }
                NoticeKind::Refund => {
                    let request = VoidUpc {
                        message_id,
                        transaction: transaction.clone(),
                        code,
                        reason: VoidReason::Refund,
                    };
                    match self.client.void_upc(&request).await {
                        // It would not hear that it is paid, so there it never was: then it is made void.
                        Err(CallError::Refused(fault)) if fault.state == Some(State::Issued) => {
                            let (message_id, reason) = (Token::random(), VoidReason::Cancelled);
                            let request = VoidUpc { message_id, transaction, code, reason };
                            made_void(self.client.void_upc(&request).await)
                        }
                        answer => refunded(answer),
                    }
                }
                NoticeKind::Void => {
                    let reason = VoidReason::Cancelled;
                    let request = VoidUpc { message_id, transaction, code, reason };
                    made_void(self.client.void_upc(&request).await)
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::words::Line;
    use tolem_protocol::{KioskNumber, PaymentCode, UtcTime};

    fn fault(code: FaultCode, state: Option<State>) -> CallError {
        let reason = Line::new("no").unwrap();
        CallError::Refused(Box::new(GatewayFault { in_reply_to: None, code, reason, field: None, state }))
    }

    /// Money of a card goes back only when nobody can use its code any more.
    #[test]
    fn a_code_that_is_paid_or_used_is_no_void_one() {
        for state in [State::Void, State::Expired, State::Refunded] {
            assert_eq!(made_void(Err(fault(FaultCode::WrongState, Some(state)))), Reply::Done(()));
        }
        assert_eq!(made_void(Err(fault(FaultCode::UnknownCode, None))), Reply::Done(()));
        for state in [State::Paid, State::Used] {
            assert!(matches!(made_void(Err(fault(FaultCode::WrongState, Some(state)))), Reply::Silent(_)));
        }
    }

    #[test]
    fn only_a_use_ends_a_refund_with_a_no() {
        assert!(matches!(refunded(Err(fault(FaultCode::WrongState, Some(State::Used)))), Reply::Refused(_)));
        for gone in [fault(FaultCode::UnknownCode, None), fault(FaultCode::WrongState, Some(State::Expired))]
        {
            assert_eq!(refunded(Err(gone)), Reply::Done(()));
        }
        // The notice of payment is still on its way, or somebody must look: neither is a decision.
        for open in [FaultCode::WrongState, FaultCode::Conflict] {
            assert!(matches!(refunded(Err(fault(open, Some(State::Issued)))), Reply::Silent(_)), "{open}");
        }
    }

    #[test]
    fn a_fault_of_the_set_up_decides_about_no_payment() {
        let mended = [
            FaultCode::SignatureRefused,
            FaultCode::NotRegistered,
            FaultCode::NotPermitted,
            FaultCode::UnknownOperation,
            FaultCode::Unavailable,
        ];
        for code in mended {
            assert!(matches!(created(Err(fault(code, None))), Reply::Silent(_)), "{code}");
        }
        assert!(matches!(created(Err(fault(FaultCode::UnknownService, None))), Reply::Refused(_)));
    }

    #[test]
    fn a_code_that_has_ended_is_not_sold_again() {
        let made = |state| {
            created(Ok(CreateUpcResponse {
                in_reply_to: Token::new("1").unwrap(),
                code: PaymentCode::from_random(7),
                state,
                valid_until: UtcTime(1),
                repeated: true,
            }))
        };
        for state in [State::Void, State::Expired, State::Refunded] {
            assert!(matches!(made(state), Reply::Refused(_)), "{state}");
        }
        // One that is paid, or was used since, is not asked for or told again: the money for it came in.
        for (state, paid) in [(State::Issued, false), (State::Paid, true), (State::Used, true)] {
            assert!(matches!(made(state), Reply::Done(Made { is_paid, .. }) if is_paid == paid), "{state}");
        }
    }

    #[test]
    fn every_payment_has_a_transaction_number() {
        let kiosk = KioskNumber::new(99_999).unwrap();
        let longest = PaymentId { kiosk, epoch: u32::MAX, number: u64::MAX, nonce: [0xAB; 16] };
        assert_eq!(
            transaction(&longest).map(|token| token.to_string()).as_deref(),
            Some("99999-4294967295-18446744073709551615-abababababababab")
        );
    }
}
