//! What a container costs a program, and that it does not grow with the program.

use std::hint::black_box;
use std::time::{Duration, Instant};

use runtime_core::{Bundle, CreateOptions};

use crate::alone::alone;
use crate::fixture::Fixture;

const BALLAST: usize = 300 << 20;
const ROUNDS: usize = 6;
const CYCLES: usize = 8;

#[test]
fn a_container_costs_a_large_program_what_it_costs_a_small_one() {
    alone("cost::a_container_costs_a_large_program_what_it_costs_a_small_one", small_and_large);
}

fn small_and_large() {
    let fixture = Fixture::new();
    let bundle = fixture.bundle("cost", &fixture.config("cost", "true"));
    let (mut small, mut large) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        cycles(&fixture, &bundle, &mut small);
        let ballast = black_box(vec![1_u8; BALLAST]);
        cycles(&fixture, &bundle, &mut large);
        drop(ballast);
    }
    small.sort();
    large.sort();
    let (small, large) = (small[small.len() / 2], large[large.len() / 2]);
    let ratio = large.as_secs_f64() / small.as_secs_f64();
    println!("create, start, delete: {small:.2?} small, {large:.2?} with 300 MB; ratio {ratio:.2}");
    // About 1; the room is for a busy machine.
    assert!(ratio < 2.0, "{ratio}");
}

fn cycles(fixture: &Fixture, bundle: &Bundle, times: &mut Vec<Duration>) {
    for _ in 0..CYCLES {
        let start = Instant::now();
        let container = fixture.runtime().create("cost", bundle, CreateOptions::default()).unwrap();
        let first = container.process().unwrap();
        container.start().unwrap();
        first.wait().unwrap();
        container.delete(false).unwrap();
        times.push(start.elapsed());
    }
}
