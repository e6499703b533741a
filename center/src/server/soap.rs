//! Registry and gateway as a bank calls them: signed SOAP over mutual TLS, a channel of its own for each exchange.
//!
//! A payment is named by one transaction number, so whatever is asked twice is done once. What is not provably the gateway's
//! answer counts as silence.

use crate::{
    gateway::{
        CallError, GatewayClient,
        party::PartyError,
        words::{
            CheckIin, CreateUpc, FaultCode, Method as GatewayMethod, NotifyPayment, Paid, Token, VoidReason,
            VoidUpc,
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
            let answer = self.client.create_upc(&request).await;
            reply(answer, |made| Made { code: made.code, valid_until: made.valid_until })
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
                    let request = VoidUpc { message_id, transaction, code, reason: VoidReason::Refund };
                    reply(self.client.void_upc(&request).await, |_| ())
                }
                NoticeKind::Void => {
                    let reason = VoidReason::Cancelled;
                    let request = VoidUpc { message_id, transaction, code, reason };
                    match self.client.void_upc(&request).await {
                        // Expired, or never known there: nothing is left to give back.
                        Err(CallError::Refused(fault))
                            if matches!(fault.code, FaultCode::UnknownCode | FaultCode::WrongState) =>
                        {
                            Reply::Done(())
                        }
                        answer => reply(answer, |_| ()),
                    }
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tolem_protocol::KioskNumber;

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
