//! How an engine is to be, and building it.

use std::fmt;
use std::time::Duration;

use crate::clock::Clock;
use crate::config::EngineConfig;
use crate::core::Core;
use crate::driver::IngestDriver;
use crate::engine::Engine;
use crate::error::Error;
use crate::life::Life;
use crate::notify::{Callback, Notifier};
use crate::slab::Cells;
use crate::sync::Arc;
use crate::types::Nanos;
use crate::workers::NoDriver;

/// Longest wait for host code at a shutdown.
const DEFAULT_SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);
/// Driver calls that may run at once. A thread each, made when needed and ended when idle.
const DEFAULT_DRIVER_WORKERS: usize = 256;
/// Driver calls past their deadline whose workers are replaced.
const DEFAULT_MAX_STUCK_CALLS: usize = 256;

/// How long a closed cell that foreign callers may still write to is not used again: a call that
/// races its recorder's close is over by then.
const FOREIGN_REST_NS: Nanos = 1_000_000_000;

/// The engine's memory, and how long closed cells rest in it.
fn lent_or_own(lent: Option<Arc<Cells>>) -> (Arc<Cells>, Nanos) {
    match lent {
        Some(cells) => (cells, FOREIGN_REST_NS),
        None => (Arc::new(Cells::new()), 0),
    }
}

/// How an [`Engine`] is to be.
pub struct EngineBuilder {
    config: EngineConfig,
    driver: Option<Arc<dyn IngestDriver>>,
    driver_workers: usize,
    max_stuck_calls: usize,
    shutdown_timeout: Duration,
    on_exhausted: Option<Callback>,
    on_restored: Option<Callback>,
    metrics_prefix: String,
    memory: Option<Arc<Cells>>,
}

impl fmt::Debug for EngineBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineBuilder").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine to be configured.
    #[must_use]
    pub fn builder() -> EngineBuilder {
        EngineBuilder {
            config: EngineConfig::default(),
            driver: None,
            driver_workers: DEFAULT_DRIVER_WORKERS,
            max_stuck_calls: DEFAULT_MAX_STUCK_CALLS,
            shutdown_timeout: DEFAULT_SHUTDOWN_TIMEOUT,
            on_exhausted: None,
            on_restored: None,
            metrics_prefix: "changeover".to_owned(),
            memory: None,
        }
    }
}

impl EngineBuilder {
    /// The policy. Default: every default.
    #[must_use]
    pub fn config(mut self, config: EngineConfig) -> Self {
        self.config = config;
        self
    }

    /// Who brings cold inputs up and down. Not needed where all inputs are hot.
    ///
    /// A driver (or callback) that holds an [`Engine`] keeps it from ending with its last outer
    /// handle: call [`Engine::shutdown`] then.
    #[must_use]
    pub fn driver(mut self, driver: impl IngestDriver) -> Self {
        self.driver = Some(Arc::new(driver));
        self
    }

    /// How many driver calls may run at once (threads are made when needed, and end when
    /// idle). A start that finds no worker within its connect timeout has failed, so drivers that
    /// block for long want either many or [`Answer::Later`](crate::Answer::Later). Default 256.
    #[must_use]
    pub fn driver_workers(mut self, workers: usize) -> Self {
        self.driver_workers = workers;
        self
    }

    /// How many driver calls past their deadline have their workers replaced. Default 256.
    #[must_use]
    pub fn max_stuck_calls(mut self, calls: usize) -> Self {
        self.max_stuck_calls = calls;
        self
    }

    /// How long a shutdown waits for host code. Default 5 s.
    #[must_use]
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.shutdown_timeout = timeout;
        self
    }

    /// Called with the stream's id when no usable input is left, on the notifier thread.
    #[must_use]
    pub fn on_exhausted(mut self, callback: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.on_exhausted = Some(Arc::new(callback));
        self
    }

    /// Called with the stream's id when an exhausted stream is back, on the notifier thread.
    #[must_use]
    pub fn on_restored(mut self, callback: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.on_restored = Some(Arc::new(callback));
        self
    }

    /// What metric names begin with. Default `changeover`.
    #[must_use]
    pub fn metrics_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.metrics_prefix = prefix.into();
        self
    }

    /// Has packets recorded in memory that outlives the engine, by callers who hold numbers.
    #[cfg(feature = "capi")]
    pub(crate) fn memory(mut self, cells: Arc<Cells>) -> Self {
        self.memory = Some(cells);
        self
    }

    fn validate(&self) -> Result<(), Error> {
        self.config.validate()?;
        let prefix = &self.metrics_prefix;
        let is_first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
        let is_good = prefix.starts_with(is_first)
            && prefix.chars().all(|c| is_first(c) || c.is_ascii_digit());
        if is_good { Ok(()) } else { Err(Error::BadMetricsPrefix { prefix: prefix.clone() }) }
    }

    /// Builds the engine and starts its two threads (monitor and notifier).
    ///
    /// # Errors
    /// [`Error::NegativeDuration`], [`Error::BadMetricsPrefix`]; [`Error::Thread`] where the system refuses a thread.
    pub fn build(self) -> Result<Engine, Error> {
        self.validate()?;
        let driver = self.driver.unwrap_or_else(|| Arc::new(NoDriver));
        let notifier = Notifier::threaded();
        notifier.set_exhausted(self.on_exhausted);
        notifier.set_restored(self.on_restored);
        let (cells, rest_ns) = lent_or_own(self.memory);
        let clock = Clock::real(&cells);
        let core = Arc::new(Core::new(cells, rest_ns, clock, self.config, notifier));
        let (workers, stuck) = (self.driver_workers, self.max_stuck_calls);
        let life = Life::start(core, driver, workers, stuck, self.shutdown_timeout)?;
        Ok(Engine::new(life, self.metrics_prefix))
    }

    /// The engine without threads, on a clock that moves by hand.
    pub(crate) fn assemble_by_hand(self) -> Result<(Engine, Arc<Core>), Error> {
        self.validate()?;
        let notifier = Notifier::inline();
        notifier.set_exhausted(self.on_exhausted);
        notifier.set_restored(self.on_restored);
        let (cells, rest_ns) = lent_or_own(self.memory);
        let clock = Clock::by_hand(&cells);
        let core = Arc::new(Core::new(cells, rest_ns, clock, self.config, notifier));
        Ok((Engine::new(Life::by_hand(Arc::clone(&core)), self.metrics_prefix), core))
    }
}
