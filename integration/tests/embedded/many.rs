//! Many containers at once.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::SigSet;
use runtime_core::{CreateOptions, ErrorKind, ExecOptions, ExitStatus, Status};

use crate::alone::alone;
use crate::company;
use crate::fixture::{Fixture, script};
use crate::pester;
use crate::snapshot::Snapshot;

const CONTAINERS: usize = 200;
const THREADS: usize = 16;
const PATIENCE: Duration = Duration::from_secs(30);

/// Says what it was told and what it got, then stays.
const PROGRAM: &str = "busybox cat; busybox ls /proc/self/fd; \
                       busybox grep -E '^Sig(Blk|Ign)|^Umask' /proc/self/status; \
                       echo ready; exec busybox sleep 1000";

/// What one that starts clean sees: `ls` has the directory open that it lists.
const CLEAN: &str = "0\n1\n2\n3\nUmask:\t0022\n\
                     SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\nready\n";

#[test]
fn two_hundred_containers_of_sixteen_threads_change_nothing_of_their_program() {
    alone(
        "many::two_hundred_containers_of_sixteen_threads_change_nothing_of_their_program",
        two_hundred,
    );
}

fn two_hundred() {
    let fixture = Fixture::new();
    pester::prepare();
    // Of the whole program, and not meant for containers.
    let leak = File::open("/proc/version").unwrap();
    fcntl(&leak, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    let log = std::fs::OpenOptions::new().append(true).open("/dev/null").unwrap();

    let (next, done, end) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
    // All threads stand still for both snapshots.
    let still = Barrier::new(THREADS + 6);
    let pause = || {
        still.wait();
        still.wait();
    };
    let started = Instant::now();
    std::thread::scope(|scope| {
        let mut company = Vec::new();
        let mut join = |work: Box<dyn FnOnce() -> usize + Send>| {
            company.push(scope.spawn(|| {
                pause();
                let answer = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
                pause();
                answer.unwrap()
            }));
        };
        let (fixture, next, done, end, log) = (&fixture, &next, &done, &end, &log);
        join(Box::new(|| {
            company::allocate(end);
            1
        }));
        join(Box::new(|| {
            company::log(log, end);
            1
        }));
        join(Box::new(|| company::have_children(end)));
        join(Box::new(|| pester::pester(end)));
        join(Box::new(|| {
            list_all_the_while(fixture, end);
            1
        }));
        let workers: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn(move || {
                    // Masks of all kinds, none of which may reach a container.
                    if thread % 2 == 1 {
                        SigSet::all().thread_block().unwrap();
                    }
                    pause();
                    let work = || {
                        while let Some(number) = take(next) {
                            one_life(fixture, number);
                        }
                    };
                    let answer = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
                    if answer.is_err() {
                        next.store(CONTAINERS, Ordering::Relaxed);
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                    pause();
                    answer.unwrap();
                })
            })
            .collect();

        still.wait();
        let before = Snapshot::take();
        still.wait();
        while done.load(Ordering::Relaxed) < THREADS {
            std::thread::sleep(Duration::from_millis(5));
        }
        end.store(true, Ordering::Relaxed);
        still.wait();
        let same = std::panic::catch_unwind(|| before.assert_still("after all of them"));
        still.wait();
        for worker in workers {
            worker.join().unwrap();
        }
        let counts: Vec<usize> = company.into_iter().map(|thread| thread.join().unwrap()).collect();
        same.unwrap();
        assert!(counts.iter().all(|count| *count > 0));
        println!("meanwhile {} children of the program itself, {} signals", counts[2], counts[3]);
    });
    assert_eq!(fixture.leftovers(), Vec::<std::path::PathBuf>::new());
    println!("{CONTAINERS} containers from {THREADS} threads in {:.1?}", started.elapsed());
}

fn take(next: &AtomicUsize) -> Option<usize> {
    let number = next.fetch_add(1, Ordering::Relaxed);
    (number < CONTAINERS).then_some(number)
}

fn one_life(fixture: &Fixture, number: usize) {
    let name = number.to_string();
    let bundle = fixture.bundle(&name, &fixture.config(&name, PROGRAM));
    let (input, mut to_input) = std::io::pipe().unwrap();
    let (mut output, to_output) = std::io::pipe().unwrap();
    let errors: OwnedFd = File::options().write(true).open("/dev/null").unwrap().into();
    let stdio = Some([input.into(), to_output.into(), errors]);
    let options = CreateOptions { stdio, ..CreateOptions::default() };

    let container = fixture.runtime().create(&name, &bundle, options).unwrap();
    let first = container.process().unwrap();
    assert_eq!(container.status().unwrap(), Status::Created);
    container.start().unwrap();
    assert_eq!(container.status().unwrap(), Status::Running);

    // `cat` ends when nobody holds the other end, among them all other containers.
    writeln!(to_input, "this is {number}").unwrap();
    drop(to_input);
    let expected = format!("this is {number}\n{CLEAN}");
    let mut said = vec![0; expected.len()];
    output.read_exact(&mut said).unwrap();
    assert_eq!(String::from_utf8_lossy(&said), expected);

    let code = i32::try_from(number % 256).unwrap();
    let executed = container.exec(script(&format!("exit {code}")), ExecOptions::default()).unwrap();
    assert_eq!(executed.wait_timeout(PATIENCE).unwrap(), Some(ExitStatus::Exited(code)));

    container.kill(libc::SIGKILL, false).unwrap();
    let ended = first.wait_timeout(PATIENCE).unwrap();
    assert_eq!(ended, Some(ExitStatus::Signaled(libc::SIGKILL)));
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
    assert_eq!(container.status().unwrap(), Status::Stopped);
    container.delete(false).unwrap();
    assert_eq!(container.status().unwrap_err().kind(), ErrorKind::NotFound);
}

/// Containers come and go while they are listed; none of them is damaged.
fn list_all_the_while(fixture: &Fixture, end: &AtomicBool) {
    let runtime = fixture.runtime();
    while !end.load(Ordering::Relaxed) {
        // There is no state directory yet at first.
        for (id, container) in runtime.list().unwrap_or_default() {
            if let Err(error) = container {
                panic!("{id}: {error}");
            }
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}
