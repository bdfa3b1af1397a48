//! What registering streams one by one costs as their number grows: the mean of each decade, and
//! the worst single call. `--quick` stops at 100,000.

use std::time::{Duration, Instant};

use changeover::{Engine, InputConfig, StreamConfig};

fn stream(n: usize) -> StreamConfig {
    StreamConfig::new(format!("stream-{n}"))
        .input(InputConfig::hot(0, "main"))
        .input(InputConfig::hot(1, "backup"))
}

fn main() {
    let quick = std::env::args().any(|arg| arg == "--quick");
    let steps: &[usize] =
        if quick { &[1_000, 10_000, 100_000] } else { &[1_000, 10_000, 100_000, 1_000_000] };
    let engine = Engine::builder().build().expect("builds");
    println!("| streams | mean of a call, us | worst call, ms | total, s |");
    println!("|---|---|---|---|");
    let (began, mut registered) = (Instant::now(), 0);
    for step in steps {
        let (from, mut worst) = (Instant::now(), Duration::ZERO);
        let count = step - registered;
        for n in registered..*step {
            let config = stream(n);
            let call = Instant::now();
            engine.register(config).expect("a new id");
            worst = worst.max(call.elapsed());
        }
        registered = *step;
        println!(
            "| {step} | {:.2} | {:.2} | {:.2} |",
            from.elapsed().as_secs_f64() * 1e6 / count as f64,
            worst.as_secs_f64() * 1e3,
            began.elapsed().as_secs_f64()
        );
    }
    assert_eq!(engine.registered_streams().len(), registered, "all of them are there");
    let began = Instant::now();
    engine.shutdown().expect("not in a callback");
    println!("\nshutdown with all of them registered: {:.2} s", began.elapsed().as_secs_f64());
}
