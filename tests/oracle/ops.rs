//! What can happen, as data that proptest makes up and shrinks. Every op is legal at any time:
//! choices are numbers that are taken modulo what there is to choose from.

use proptest::collection::vec;
use proptest::prelude::*;

/// The priorities in play: as many as small numbers, from -1 on.
pub(crate) const PRIORITIES: u8 = 5;

#[derive(Clone, Debug)]
pub(crate) struct InputSpec {
    pub(crate) p: u8,
    pub(crate) address: u8,
    pub(crate) hot: bool,
    /// 0 = inherited.
    pub(crate) timeout_ms: u16,
    pub(crate) connect_ms: u16,
}

#[derive(Clone, Debug)]
pub(crate) struct PolicySpec {
    pub(crate) timeout_ms: u16,
    pub(crate) connect_ms: u16,
    pub(crate) probe_cooldown_ms: u16,
    pub(crate) probe_timeout_ms: u16,
    pub(crate) failback_cooldown_ms: u16,
    pub(crate) failback_stable_ms: u16,
    pub(crate) failback_never: bool,
    pub(crate) history: u8,
}

#[derive(Clone, Debug)]
pub(crate) struct StreamSpec {
    pub(crate) inputs: Vec<InputSpec>,
    pub(crate) timeout_ms: u16,
    pub(crate) stable_ms: u16,
    pub(crate) buffer: u8,
    pub(crate) failback_never: bool,
    /// No probe of it is supported.
    pub(crate) unprobed: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Span {
    Ms(u16),
    /// Exactly to the next moment at which anything can be due, and 1 ns before it.
    ToNext,
    BeforeNext,
}

/// How packets are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Recorded,
    ById,
    Precise,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Said {
    Current,
    Stale,
    NoEpoch,
}

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Advance(Span),
    /// Those of the open epochs that `who` names deliver regularly for a while.
    Flow {
        who: u8,
        step_ms: u8,
        steps: u8,
        how: How,
    },
    Packets {
        who: u8,
        many: u8,
        precise: bool,
    },
    /// A straggler of an epoch that is over.
    Straggler(u8),
    ById(u8),
    /// A producer comes (hot), or comes again.
    Open(u8),
    Close(u8),
    Error {
        p: u8,
        said: Said,
    },
    RecorderError(u8),
    AnswerStart {
        which: u8,
        good: bool,
    },
    AnswerProbe {
        which: u8,
        how: u8,
    },
    /// Whatever waits is answered, and the same again for what follows from it.
    AnswerAll {
        good: bool,
    },
    Update {
        added: Vec<InputSpec>,
        removed: Vec<u8>,
        updated: Vec<InputSpec>,
    },
    /// The source on the air gets another number: the update of §8.3.
    Renumber {
        to: u8,
        keep: bool,
    },
    Buffer(u8),
    Configure(PolicySpec),
    Switch(u8),
    ClearOverride,
    Hold {
        p: u8,
        ttl_ms: u16,
        keep: bool,
    },
    Release,
    Enable {
        p: u8,
        on: bool,
    },
    Raise {
        p: u8,
        name: bool,
        hold_ms: u16,
        clear_ms: u16,
    },
    Clear {
        p: u8,
        name: bool,
    },
    /// `who`: which of those that nothing waits for deliver meanwhile.
    Stall {
        by_ms: u16,
        who: u8,
    },
    Reregister(StreamSpec),
}

fn ms(most: u16) -> impl Strategy<Value = u16> {
    1..=most
}

fn or_inherited(most: u16) -> impl Strategy<Value = u16> {
    prop_oneof![4 => Just(0), 1 => 50..=most]
}

fn input() -> impl Strategy<Value = InputSpec> {
    let hot = prop::bool::weighted(0.4);
    (0..PRIORITIES, 0..6_u8, hot, or_inherited(1_500), or_inherited(1_500)).prop_map(
        |(p, address, hot, timeout_ms, connect_ms)| InputSpec {
            p,
            address,
            hot,
            timeout_ms,
            connect_ms,
        },
    )
}

pub(crate) fn stream() -> impl Strategy<Value = StreamSpec> {
    let spans = (or_inherited(1_500), or_inherited(800));
    let flags = (prop::bool::weighted(0.05), prop::bool::weighted(0.2));
    (vec(input(), 0..=4), spans, 0..3_u8, flags).prop_map(|(inputs, spans, buffer, flags)| {
        StreamSpec {
            inputs,
            timeout_ms: spans.0,
            stable_ms: spans.1,
            buffer,
            failback_never: flags.0,
            unprobed: flags.1,
        }
    })
}

pub(crate) fn policy() -> impl Strategy<Value = PolicySpec> {
    let spans = (
        100..=1_500_u16,
        or_inherited(1_500),
        100..=2_500_u16,
        50..=500_u16,
        50..=2_500_u16,
        ms(800),
    );
    (spans, prop::bool::weighted(0.1), 0..6_u8).prop_map(|(spans, failback_never, history)| {
        PolicySpec {
            timeout_ms: spans.0,
            connect_ms: spans.1,
            probe_cooldown_ms: spans.2,
            probe_timeout_ms: spans.3,
            failback_cooldown_ms: spans.4,
            failback_stable_ms: spans.5,
            failback_never,
            history,
        }
    })
}

fn span() -> impl Strategy<Value = Span> {
    prop_oneof![
        1 => Just(Span::Ms(0)),
        2 => (1..=5_u16).prop_map(Span::Ms),
        4 => (0..=400_u16).prop_map(Span::Ms),
        2 => (0..=3_000_u16).prop_map(Span::Ms),
        4 => Just(Span::ToNext),
        1 => Just(Span::BeforeNext),
    ]
}

fn how() -> impl Strategy<Value = How> {
    prop_oneof![3 => Just(How::Recorded), 1 => Just(How::ById), 1 => Just(How::Precise)]
}

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![3 => Just(Said::Current), 1 => Just(Said::Stale), 2 => Just(Said::NoEpoch)]
}

fn update() -> impl Strategy<Value = Op> {
    (vec(input(), 0..=2), vec(0..PRIORITIES, 0..=2), vec(input(), 0..=2))
        .prop_map(|(added, removed, updated)| Op::Update { added, removed, updated })
}

pub(crate) fn op() -> impl Strategy<Value = Op> {
    let p = 0..PRIORITIES;
    let number = any::<u8>();
    let time = prop_oneof![
            3 => span().prop_map(Op::Advance),
            2 => (number, 1..=90_u8, 1..=40_u8, how())
    .prop_map(|(who, step_ms, steps, how)| Op::Flow { who, step_ms, steps, how }),
        ];
    let packets = prop_oneof![
        8 => (number, 1..=3_u8, prop::bool::weighted(0.2))
            .prop_map(|(who, many, precise)| Op::Packets { who, many, precise }),
        1 => number.prop_map(Op::Straggler),
        2 => p.clone().prop_map(Op::ById),
        4 => p.clone().prop_map(Op::Open),
        1 => number.prop_map(Op::Close),
    ];
    let driver = prop_oneof![
        3 => (number, prop::bool::weighted(0.75))
            .prop_map(|(which, good)| Op::AnswerStart { which, good }),
        3 => (number, number).prop_map(|(which, how)| Op::AnswerProbe { which, how }),
        3 => prop::bool::weighted(0.85).prop_map(|good| Op::AnswerAll { good }),
    ];
    let failures = prop_oneof![
        3 => (p.clone(), said()).prop_map(|(p, said)| Op::Error { p, said }),
        1 => number.prop_map(Op::RecorderError),
    ];
    let operator = prop_oneof![
        6 => p.clone().prop_map(Op::Switch),
        2 => Just(Op::ClearOverride),
        4 => (p.clone(), ms(3_000), any::<bool>())
            .prop_map(|(p, ttl_ms, keep)| Op::Hold { p, ttl_ms, keep }),
        2 => Just(Op::Release),
        5 => (p.clone(), prop::bool::weighted(0.6)).prop_map(|(p, on)| Op::Enable { p, on }),
        4 => (p.clone(), any::<bool>(), ms(700), ms(700)).prop_map(
            |(p, name, hold_ms, clear_ms)| Op::Raise { p, name, hold_ms, clear_ms }
        ),
        3 => (p, any::<bool>()).prop_map(|(p, name)| Op::Clear { p, name }),
    ];
    let edits = prop_oneof![
        6 => update(),
        2 => (0..PRIORITIES, any::<bool>()).prop_map(|(to, keep)| Op::Renumber { to, keep }),
        1 => (0..3_u8).prop_map(Op::Buffer),
        1 => policy().prop_map(Op::Configure),
        1 => stream().prop_map(Op::Reregister),
    ];
    prop_oneof![
        22 => time,
        22 => packets,
        22 => driver,
        6 => failures,
        12 => operator,
        8 => edits,
        2 => (60..=1_500_u16, any::<u8>()).prop_map(|(by_ms, who)| Op::Stall { by_ms, who }),
    ]
}
