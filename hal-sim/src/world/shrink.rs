//! Making a failing story short: happenings are left out as long as the same rule is still broken.

use super::happenings::Plan;
use std::time::Duration;

/// Lives that may be spent on one story.
const MOST_LIVES: u32 = 600;

/// The shortest plan found that still `fails`. Leaves out halves, then quarters, and so on down to single happenings, and again
/// until nothing more can go.
pub fn shrink(plan: &Plan, mut fails: impl FnMut(&Plan) -> bool) -> Plan {
    let mut lives = 0;
    let mut best = plan.clone();
    let mut still_fails = |candidate: &Plan| {
        lives += 1;
        lives <= MOST_LIVES && fails(candidate)
    };
    loop {
        let before = best.happenings.len();
        let mut width = before.div_ceil(2).max(1);
        loop {
            let mut from = 0;
            while from < best.happenings.len() {
                let candidate = best.without(|index| (from..from + width).contains(&index));
                if still_fails(&candidate) {
                    best = candidate;
                } else {
                    from += width;
                }
            }
            if width == 1 {
                break;
            }
            width = width.div_ceil(2);
        }
        if best.happenings.len() == before {
            break;
        }
    }
    let last = best.happenings.last().map_or(best.heals_at, |last| last.at);
    for after in [1, 5, 20, 60] {
        let candidate =
            Plan { heals_at: best.heals_at.min(last + Duration::from_secs(after)), ..best.clone() };
        if still_fails(&candidate) {
            return candidate;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_matter_is_left_out() {
        let plan = Plan::draw(7);
        let needed: Vec<_> = plan.happenings.iter().step_by(9).copied().collect();
        let short = shrink(&plan, |plan| needed.iter().all(|one| plan.happenings.contains(one)));
        assert_eq!(short.happenings, needed);
        assert!(short.heals_at <= plan.heals_at);
    }
}
