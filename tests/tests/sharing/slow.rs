//! A viewer who takes nothing holds nobody up, costs nothing, and sees the screen as it is when they look again.

use house::person::Person;
use house::process::{memory_kib, send};
use house::sharing::{GUEST, Owner, SIZE, Viewer, Way, guests, in_shell};
use house::{Cluster, long};
use std::time::{Duration, Instant};

/// Most that the server's memory may grow meanwhile.
const GROWTH_KIB: u64 = 100 * 1024;
/// Longest until a viewer who goes on sees the screen as it is, on a busy machine; the bench `sharing` holds it to 200 ms.
const SOON: Duration = Duration::from_secs(10);

/// Stops the client, or lets it go on.
fn signal(viewer: &Viewer, signal: &str) {
    let shell = viewer.terminal.pid();
    let children = format!("/proc/{shell}/task/{shell}/children");
    let client = std::fs::read_to_string(children).unwrap();
    send(signal, client.trim().parse().unwrap());
}

#[test]
fn a_viewer_who_stands_still_during_a_flood_costs_nothing_and_then_sees_the_screen_as_it_is() {
    // Of who stands still by scry nothing is heard, and after 25 s they are out.
    let flood = if long() { "head -c 1000000000" } else { "timeout 12 head -c 100000000" };
    let cluster = Cluster::start();
    guests(&cluster);
    let bob = Person::invited(&cluster, "bob", &[GUEST]);
    let owner = Owner::start(&cluster, SIZE);
    // So long a flood takes longer.
    let second = if long() { Way::Ssh } else { Way::Scry };
    let viewers = [Way::Ssh, second, Way::Scry]
        .map(|way| owner.come(&in_shell(&owner.way(&bob, way, "peer")), "peer", SIZE));
    owner.all_see_the_same(&viewers);
    // All that is built once is built.
    owner.line("clear; seq 1 300000; echo warm-$((40+2))");
    owner.terminal.wait_for("warm-42");
    // The most memory that the server ever had.
    let peak = || memory_kib(cluster.server_pid(), "VmHWM");
    let before = peak();
    let stopped = &viewers[..2];
    stopped.iter().for_each(|viewer| signal(viewer, "-STOP"));
    let line = "a line of the flood, which goes on and on, and nobody could ever read all of it";
    owner.line(&format!("clear; yes '{line}' | {flood}; echo; echo done-$((40+2))"));
    let began = Instant::now();
    while !owner.terminal.shows("done-42") {
        assert!(began.elapsed() < Duration::from_secs(600), "{:#?}", owner.terminal.screen());
        std::thread::sleep(Duration::from_millis(50));
    }
    let took = began.elapsed();
    let grown = peak() - before;
    println!("{flood} in {took:?} beside two who stand still; memory {before} KiB + {grown}");
    assert!(grown < GROWTH_KIB, "{grown} KiB more");
    // Who did not stand still sees it already.
    owner.all_see_the_same(&viewers[2..]);
    for viewer in stopped {
        assert!(!viewer.terminal.shows("done-42"), "it did not stand still");
        let began = Instant::now();
        signal(viewer, "-CONT");
        let differ = owner.compare(std::slice::from_ref(viewer), SOON);
        let took = began.elapsed();
        println!("on the screen {took:?} after going on");
        assert!(differ.none() && took < SOON, "{differ:?} after {took:?}");
    }
    owner.all_see_the_same(&viewers);
    owner.finish();
}
