//! Where a role wants nothing lost: a storm waits for its recorder, whatever else the machine is busy with.

use super::{Beside, Seen, can_see, compiled};
use house::{Cluster, assert_success, long, wait_for};
use std::process::{Child, Command, Stdio};

/// Programs that want every processor, all of the time.
fn hogs(count: usize) -> Vec<Beside> {
    let hog = || Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
    (0..count).map(|_| Beside(hog())).collect()
}

/// Serves again as somebody who comes last: `nice 15`.
fn serve_last(cluster: &mut Cluster) {
    assert!(cluster.stop().success());
    let server = cluster.server_command(&cluster.address, &[]);
    let mut nice = Command::new("nice");
    nice.args(["-n", "15"]).arg(server.get_program()).args(server.get_args());
    cluster.serve_by(nice).until_ready();
    wait_for("the node is back", || cluster.ssh("true").status.success());
}

#[test]
fn where_nothing_may_be_lost_a_server_that_comes_last_loses_nothing_either() {
    let test = "a_server_that_comes_last";
    if !can_see(test) || !house::eyes::can_freeze() {
        return;
    }
    let Some(program) = compiled(test, "storm.c", &["-O1"]) else { return };
    let (many, rounds) = if long() { (400_000, 8) } else { (60_000, 1) };
    let mut cluster = Cluster::start();
    cluster.set_options("kernel = { files = true, lossless = true }");
    serve_last(&mut cluster);
    let hogs = hogs(8);
    for round in 0..rounds {
        // Two at once, so that both processors write.
        let commands = [1, 2].map(|one| format!("{program} {many} # {round}-{one}"));
        let storm = |command: &String| -> Child {
            let mut ssh = cluster.ssh_command();
            ssh.arg(cluster.host()).arg(command).stdin(Stdio::null()).spawn().unwrap()
        };
        let running: Vec<_> = commands.iter().map(storm).collect();
        for ssh in running {
            assert_success(&ssh.wait_with_output().unwrap());
        }
        for command in &commands {
            let seen = Seen::of(&cluster, command);
            let opened = seen.all("opened").filter(|it| {
                let path = &it["action"]["opened"]["file"]["path"];
                path.as_str().is_some_and(|it| it.contains("/storm-"))
            });
            let (opened, lost) = (opened.count(), seen.totals()["lost"].as_u64().unwrap());
            println!("{many} opens beside 8 hogs at nice 15: {opened} seen, {lost} lost");
            assert_eq!((opened, lost), (many, 0));
        }
    }
    drop(hogs);
}
