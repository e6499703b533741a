//! Calls to neighbours, outside of any transaction: each as slow as it is, none in the way of another.
//!
//! The desk says what is needed; a reply comes back to it as one more job. What is lost here (the process dies, a reply never comes)
//! is still written down at the desk and called for again; the neighbours do the same thing once.

use crate::{
    logic::{
        errands::{Made, Notice, Order, Reply},
        registry::Lookup,
    },
    server::desk::{Asking, Heard, Job},
};
use std::{future::Future, pin::Pin, sync::Arc};
use tokio::sync::{Semaphore, mpsc};
use tolem_protocol::Iin;

/// Calls that may be under way at once to one neighbour; more wait.
const AT_ONCE: usize = 64;

/// What a call becomes.
pub type Coming<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The registry of persons and the payment gateway, wherever they are. Every wait in here is bounded.
pub trait Neighbours: Send + Sync {
    /// Asks the registry about an IIN.
    fn check_payer<'a>(&'a self, iin: &'a Iin) -> Coming<'a, Lookup>;
    /// Asks for a code; the same payment gets the same code again.
    fn create_code<'a>(&'a self, order: &'a Order) -> Coming<'a, Reply<Made>>;
    /// Delivers a notice; the same notice again changes nothing.
    fn deliver<'a>(&'a self, notice: &'a Notice) -> Coming<'a, Reply<()>>;
}

/// Something to call for.
pub(super) enum Call {
    Payer(Iin, Box<Asking>),
    Code(Box<Order>),
    Notice(Box<Notice>),
}

/// Makes the calls until the desk is gone.
pub(super) async fn run(
    neighbours: Arc<dyn Neighbours>,
    mut calls: mpsc::UnboundedReceiver<Call>,
    desk: mpsc::Sender<Job>,
) {
    let (registry, gateway) = (Arc::new(Semaphore::new(AT_ONCE)), Arc::new(Semaphore::new(AT_ONCE)));
    while let Some(call) = calls.recv().await {
        let places = if matches!(call, Call::Payer(..)) { registry.clone() } else { gateway.clone() };
        let (neighbours, desk) = (neighbours.clone(), desk.clone());
        tokio::spawn(async move {
            let _place = places.acquire().await;
            let heard = match call {
                Call::Payer(iin, asking) => Heard::Payer(neighbours.check_payer(&iin).await, asking),
                Call::Code(order) => Heard::Code(order.payment, neighbours.create_code(&order).await),
                Call::Notice(notice) => {
                    Heard::Notice((notice.id, notice.kind), neighbours.deliver(&notice).await)
                }
            };
            // A closed desk has it all written down.
            let _ = desk.send(Job::Heard(heard)).await;
        });
    }
}
