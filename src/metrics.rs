//! OpenMetrics text, made afresh from the streams at each scrape: a stream's series vanish with
//! it.

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::core::Core;
use crate::stats::EngineStats;
use crate::sync::unmodelled::AtomicU64;
use crate::types::Priority;

type StreamLabels = [(&'static str, String); 1];
type InputLabels = [(&'static str, String); 2];

/// Everything, under the given prefix.
pub(crate) fn text(core: &Core, stats: EngineStats, prefix: &str) -> String {
    let failovers = Family::<StreamLabels, Counter>::default();
    let health = Family::<InputLabels, Gauge>::default();
    let impaired = Family::<InputLabels, Gauge>::default();
    let usable = Family::<StreamLabels, Gauge>::default();
    let exhausted = Family::<StreamLabels, Gauge>::default();
    core.for_each_stream(|stream| {
        let inner = stream.inner.lock();
        if stream.is_gone() {
            return;
        }
        let machine = &inner.machine;
        let id = || [("stream", stream.id.to_string())];
        failovers.get_or_create(&id()).inc_by(machine.failovers());
        usable.get_or_create(&id()).set(machine.usable() as i64);
        exhausted.get_or_create(&id()).set(i64::from(machine.is_exhausted()));
        for (priority, good, is_impaired) in machine.gauges() {
            let labels = input(&stream.id, priority);
            health.get_or_create(&labels).set(i64::from(good));
            impaired.get_or_create(&labels).set(i64::from(is_impaired));
        }
    });

    let mut registry = Registry::with_prefix(prefix);
    let mut add = |name: &str, help: &str, value: u64| {
        let counter: Counter = Counter::default();
        counter.inc_by(value);
        registry.register(name, help, counter);
    };
    add("stalls", "Monitor wake-ups too late to judge silence by", stats.stalls_total);
    add("deadlines", "Deadlines looked at", stats.deadlines_total);
    add("events_dropped", "Events lost by slow subscribers", stats.events_dropped_total);
    registry.register("failovers", "Changes from one input to another", failovers);
    registry.register("input_health", "1 = neither degraded nor stopped", health);
    registry.register("input_impaired", "1 = a health rule or condition acts", impaired);
    registry.register("usable_inputs", "Inputs neither degraded nor stopped", usable);
    registry.register("exhausted", "1 = no usable input is left", exhausted);
    let mut gauge = |name: &str, help: &str, value: f64| {
        let gauge = Gauge::<f64, AtomicU64>::default();
        gauge.set(value);
        registry.register_with_unit(name, help, Unit::Seconds, gauge);
    };
    let seconds = |ns: u64| ns as f64 / 1e9;
    gauge("lateness_p50", "Median lateness of the monitor", seconds(stats.lateness_p50_ns));
    gauge("lateness_p99", "99th percentile of that", seconds(stats.lateness_p99_ns));
    gauge("lateness_max", "The worst of that", seconds(stats.lateness_max_ns));
    let plain = |value: u64| {
        let gauge: Gauge = Gauge::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        gauge
    };
    registry.register("streams", "Registered streams", plain(stats.streams));
    registry.register("stuck_calls", "Driver calls past their deadline", plain(stats.stuck_calls));

    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = encode(&mut text, &registry);
    text
}

fn input(stream: &str, priority: Priority) -> InputLabels {
    [("stream", stream.to_owned()), ("input_priority", priority.to_string())]
}
