//! What fails, and when: as the seed says.

use std::sync::Arc;
use std::time::Duration;

use talaria_transport::shared::simulated::{Direction, Faults};
use tokio::time::sleep;

use super::plan::{LEASE, NODES, Plan, Promise};
use super::site::{Site, Wanted};
use crate::random::Random;

/// Between two servers that take over, so that the clock tells their runs apart.
const APART: Duration = Duration::from_secs(2);

fn noise() -> Faults {
    let mut noise = Faults::default();
    noise.lost_requests = 20;
    noise.late_requests = 20;
    noise.lost_answers = 40;
    noise.slow_answers = 50;
    noise
}

/// Sets how often messages are lost.
pub fn begin(site: &Site) {
    if site.plan.is_noisy {
        site.world.set_faults(noise());
    }
}

/// Lets nothing fail any more.
pub fn end(site: &Site) {
    let world = &site.world;
    world.set_faults(Faults::default());
    world.refuse(None);
    world.go_on();
    world.start();
    world.end_former();
    for (node, name) in NODES.iter().enumerate() {
        world.mend(name);
        site.wanted[node].set(Wanted::Up);
    }
    (0..site.plan.simulated().copies).for_each(|replica| world.mend_replica(replica));
}

/// How long something takes: mostly seconds, sometimes several leases.
fn while_it_lasts(random: &mut Random) -> Duration {
    match random.below(4) {
        0 => random.time(3 * LEASE.as_millis() as u64),
        1 => random.time(20),
        _ => random.time(6_000),
    }
}

/// Kills nodes and cuts them off.
pub async fn of_nodes(site: Arc<Site>, mut random: Random) {
    loop {
        sleep(random.time(15_000)).await;
        let node = random.below(NODES.len() as u64) as usize;
        if site.plan.cuts && random.one_of(2) {
            let cut = random.below(3);
            site.facts.cut(node);
            site.say(format_args!("{} is cut off ({cut})", NODES[node]));
            if cut != 0 {
                site.world.cut(NODES[node], Direction::There);
            }
            if cut != 1 {
                site.world.cut(NODES[node], Direction::Back);
            }
            sleep(while_it_lasts(&mut random)).await;
            site.world.mend(NODES[node]);
            site.say(format_args!("{} is connected again", NODES[node]));
            continue;
        }
        let how = *random.pick(&[Wanted::Killed, Wanted::Killed, Wanted::Stopped]);
        site.say(format_args!("{} is {how:?}", NODES[node]));
        site.wanted[node].set(how);
        // Its end is noticed before it starts again.
        sleep(Duration::from_millis(1_100)).await;
        sleep(while_it_lasts(&mut random)).await;
        site.wanted[node].set(Wanted::Up);
    }
}

/// What the servers do.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    Restarts,
    Stops,
    Refuses,
    CutsReplicas,
    FailsOver,
    FailsOverToAny,
    IsReplaced,
    IsFlushed,
}

fn troubles(plan: &Plan) -> Vec<Trouble> {
    let mut troubles = vec![Trouble::Restarts, Trouble::Stops, Trouble::Refuses];
    if plan.confirmations > 0 {
        troubles.extend([
            Trouble::CutsReplicas,
            Trouble::FailsOver,
            Trouble::FailsOver,
        ]);
    }
    if plan.promise == Promise::Lossy {
        troubles.extend([Trouble::CutsReplicas, Trouble::FailsOverToAny]);
        troubles.extend([
            Trouble::FailsOverToAny,
            Trouble::IsReplaced,
            Trouble::IsFlushed,
        ]);
    }
    troubles
}

pub async fn of_servers(site: Arc<Site>, mut random: Random) {
    let troubles = troubles(&site.plan);
    // The log that the nodes have just created has a run, too.
    sleep(random.time(15_000).max(APART)).await;
    loop {
        let trouble = *random.pick(&troubles);
        happens(&site, trouble, &mut random).await;
        sleep(APART).await;
        sleep(random.time(15_000)).await;
    }
}

async fn happens(site: &Site, trouble: Trouble, random: &mut Random) {
    let world = &site.world;
    let lasts = while_it_lasts(random);
    site.say(format_args!("the server: {trouble:?} for {lasts:?}"));
    match trouble {
        Trouble::Restarts => {
            world.kill();
            sleep(lasts).await;
            world.restart();
        }
        Trouble::Stops => {
            world.stop();
            sleep(lasts).await;
            world.go_on();
        }
        Trouble::Refuses => {
            world.refuse(Some("its memory is full"));
            sleep(lasts).await;
            world.refuse(None);
        }
        Trouble::CutsReplicas => {
            let copies = site.plan.simulated().copies as u64;
            let cut: Vec<usize> = (0..1 + random.below(2))
                .map(|_| random.below(copies) as usize)
                .collect();
            cut.iter().for_each(|replica| world.cut_replica(*replica));
            sleep(lasts).await;
            if random.one_of(2) {
                fail_over(site, random).await;
            }
            (0..copies as usize).for_each(|replica| world.mend_replica(replica));
        }
        Trouble::FailsOver | Trouble::FailsOverToAny => fail_over(site, random).await,
        Trouble::IsReplaced => {
            world.back_up();
            sleep(lasts).await;
            world.restore();
            sleep(APART + random.time(20_000)).await;
            if random.one_of(2) {
                world.put_back();
            }
        }
        Trouble::IsFlushed => world.flush(),
    }
}

/// A replica takes over: one that has all that is confirmed if nothing may be lost, else any. The former primary is
/// dead, or is stopped, or some nodes stay with it for a while.
async fn fail_over(site: &Site, random: &mut Random) {
    let world = &site.world;
    match random.below(3) {
        0 => world.kill(),
        1 => world.stop(),
        _ => {}
    }
    let copies = site.plan.simulated().copies as u64;
    let to = match site.plan.promise {
        Promise::Kept => None,
        Promise::Lossy => Some(random.below(copies) as usize),
    };
    sleep(random.time(3_000)).await;
    let mut stale = Vec::new();
    if site.plan.cuts {
        for (node, name) in NODES.iter().enumerate() {
            if random.one_of(3) {
                stale.push(*name);
                site.facts.cut(node);
            }
        }
    }
    site.say(format_args!("{to:?} takes over, {stale:?} stay"));
    world.fail_over(to, &stale);
    sleep(while_it_lasts(random)).await;
    world.end_former();
}
