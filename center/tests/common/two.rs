//! Two people who decide.

use super::Town;
use tolem_center::{
    logic::{
        Moment,
        approval::{Asked, Denied, Effect},
        office::Action,
        store::Transact,
    },
    pen::Pen,
};

pub fn pen(name: &str) -> Pen {
    let seed = name.bytes().fold(7u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
    Pen::from_seed(name, &[seed; 32].into()).unwrap()
}

pub fn ask<S: Transact>(town: &mut Town<S>, by: &Pen, action: &Action) -> Result<Asked, Denied> {
    let (now, signature) = (town.now, by.ask(town.now, action));
    let center = &town.center;
    town.store.transact(|store| center.ask_two(store, now, &by.name, action, &signature)).unwrap()
}

pub fn approve<S: Transact>(town: &mut Town<S>, by: &Pen, number: u32) -> Result<Effect, Denied> {
    let row = town.store.request(number).unwrap();
    let signature =
        row.map_or_else(|| by.ask(town.now, &Action::Open { missing: vec![] }), |row| by.decide(&row, true));
    let Town { center, store, now, dice, .. } = town;
    let mut fresh = || dice.next();
    let mut at = Moment { now: *now, fresh: &mut fresh, trace: &mut |_| {} };
    store.transact(|store| center.approve(store, &mut at, number, &by.name, &signature)).unwrap()
}

pub fn add(pen: &Pen) -> Action {
    Action::AddOperator { name: pen.name.clone(), key: pen.public() }
}

/// A town with the operators aigul and bolat.
pub fn staffed<S: Transact>(store: S) -> (Town<S>, Pen, Pen) {
    let mut town = Town::new(store);
    let (aigul, bolat) = (pen("aigul"), pen("bolat"));
    for pen in [&aigul, &bolat] {
        assert_eq!(ask(&mut town, pen, &add(pen)), Ok(Asked::Founded));
    }
    (town, aigul, bolat)
}
