//! The operator's and the host's words about inputs, and the receipt of a switch.

use std::ffi::c_char;
use std::time::Duration;

use super::boundary::{give, guard, guard_or, message, read, sized, text};
use super::changeover_engine;
use super::codes::Refusal;
use super::config::{flag, unused};
use super::slots::Kind;
use super::tenant::{self, Tenant, find};
use crate::rules::{Condition, Hold, WhenDead};
use crate::sync::Arc;
use crate::ticket::SwitchTicket;
use crate::types::Epoch;

/// What follows when a held input dies: the hold ends, the normal rules apply.
pub const CHANGEOVER_WHEN_DEAD_RELEASE: u32 = 0;
/// The stream stays with the dead input until the hold ends.
pub const CHANGEOVER_WHEN_DEAD_KEEP: u32 = 1;

/// The receipt of a switch or hold. 0 = none.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct changeover_ticket {
    /// Not for you.
    pub raw: u64,
}

/// Something that you see in an input and the engine cannot: black picture, frozen picture,
/// silence. Make it with `changeover_condition_init()`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct changeover_condition {
    /// sizeof(changeover_condition).
    pub size: usize,
    /// 1 to 64 bytes of UTF-8 without control characters.
    pub name: *const c_char,
    /// Raised for so long before it acts, ms. 0 = default 3,000.
    pub hold_ms: i64,
    /// Cleared for so long before the input is good again, ms. 0 = default 5,000.
    pub clear_ms: i64,
}

/// An operator's hold. Make it with `changeover_hold_init()`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct changeover_hold {
    /// sizeof(changeover_hold).
    pub size: usize,
    /// Its life from acceptance on, ms. 0 = default 600,000.
    pub ttl_ms: i64,
    /// `CHANGEOVER_WHEN_DEAD_*`.
    pub when_dead: u32,
    /// 0.
    pub reserved: u32,
}

sized!(changeover_condition: 32, changeover_hold: 24);

/// Hands the receipt out, where somebody wants it.
fn receipt(
    tenant: &Arc<Tenant>,
    ticket: SwitchTicket,
    out: *mut changeover_ticket,
) -> Result<(), Refusal> {
    if out.is_null() {
        return Ok(());
    }
    give("ticket", out, changeover_ticket { raw: tenant.tickets.put(ticket)? })
}

/// Moves the stream to this input and keeps it there (override) until that input degrades or is
/// removed, disabled or overridden. Refused at once where the input cannot be taken; what became
/// of the switch the ticket tells. Accepted: the override is in force, the input is being taken;
/// its first packet may go out later (CHANGEOVER_EVENT_FIRST_PACKET). `ticket` may be NULL;
/// otherwise close it with `changeover_ticket_close`.
///
/// Any thread; takes short locks. On error nothing is changed, `*ticket` is not written:
/// CHANGEOVER_UNKNOWN_STREAM, _UNKNOWN_INPUT, _INPUT_DEGRADED, _INPUT_STOPPED.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_switch_input(
    engine: changeover_engine,
    stream: *const c_char,
    priority: i32,
    ticket: *mut changeover_ticket,
) -> i32 {
    guard(|| {
        let tenant = tenant::engine(engine.raw)?;
        let accepted = tenant.engine.switch_input(text("stream", stream)?, priority)?;
        receipt(&tenant, accepted, ticket)
    })
}

/// Takes the operator's override back; the normal rules apply again. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_clear_override(
    engine: changeover_engine,
    stream: *const c_char,
) -> i32 {
    guard(|| Ok(tenant::engine(engine.raw)?.engine.clear_override(text("stream", stream)?)?))
}

/// Moves the stream to this input and keeps it there for a while. `hold` NULL = ten minutes,
/// released when the input dies. Otherwise as `changeover_switch_input`.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_hold_input(
    engine: changeover_engine,
    stream: *const c_char,
    priority: i32,
    hold: *const changeover_hold,
    ticket: *mut changeover_ticket,
) -> i32 {
    guard(|| {
        let tenant = tenant::engine(engine.raw)?;
        let mut wanted = Hold::default();
        if !hold.is_null() {
            let hold = read(hold)?;
            unused(hold.reserved)?;
            wanted.ttl_ms = hold.ttl_ms;
            wanted.when_dead = match hold.when_dead {
                CHANGEOVER_WHEN_DEAD_RELEASE => WhenDead::Release,
                CHANGEOVER_WHEN_DEAD_KEEP => WhenDead::Keep,
                other => {
                    let value = i64::from(other);
                    return Err(Refusal::BadArgument { name: "when_dead", value });
                }
            };
        }
        let accepted = tenant.engine.hold_input(text("stream", stream)?, priority, wanted)?;
        receipt(&tenant, accepted, ticket)
    })
}

/// Ends the operator's hold; the normal rules apply again. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_release_hold(engine: changeover_engine, stream: *const c_char) -> i32 {
    guard(|| Ok(tenant::engine(engine.raw)?.engine.release_hold(text("stream", stream)?)?))
}

/// What became of a switch: 1 accepted, 0 not decided yet, CHANGEOVER_SWITCH_FAILED (the last
/// error says why). Any thread; does not wait.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_ticket_outcome(ticket: changeover_ticket) -> i32 {
    guard_or(|| {
        let (tenant, parts) = find(ticket.raw, Kind::Ticket)?;
        match tenant.tickets.get(parts)?.outcome() {
            Some(outcome) => Ok(outcome.map(|()| 1)?),
            None => Ok(0),
        }
    })
}

/// Waits up to `timeout_ms` milliseconds until a switch is accepted: CHANGEOVER_OK (0, not 1 as
/// above) when it is, CHANGEOVER_SWITCH_FAILED, CHANGEOVER_TIMED_OUT; CHANGEOVER_WOULD_BLOCK where
/// it is not decided and waiting is not possible. May block.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_ticket_wait(ticket: changeover_ticket, timeout_ms: u32) -> i32 {
    guard(|| {
        let (tenant, parts) = find(ticket.raw, Kind::Ticket)?;
        let ticket = tenant.tickets.get(parts)?;
        drop(tenant);
        Ok(ticket.wait(Duration::from_millis(timeout_ms.into()))?)
    })
}

/// Lets go of a receipt; the switch goes on. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_ticket_close(ticket: changeover_ticket) -> i32 {
    guard(|| {
        let (tenant, parts) = find(ticket.raw, Kind::Ticket)?;
        tenant.tickets.take(parts).map(drop)
    })
}

/// Raises a condition: it acts after its hold time, unless it is cleared before. Raising it again
/// changes its times. An edit of the input's address clears all.
///
/// Any thread. CHANGEOVER_BAD_CONDITION, _NEGATIVE_DURATION, _TOO_MANY_CONDITIONS (16), and as
/// for all: _UNKNOWN_STREAM, _UNKNOWN_INPUT.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_raise_condition(
    engine: changeover_engine,
    stream: *const c_char,
    priority: i32,
    condition: *const changeover_condition,
) -> i32 {
    guard(|| {
        let tenant = tenant::engine(engine.raw)?;
        let c = read(condition)?;
        let name = text("name", c.name)?;
        let condition = Condition::new(name).hold_ms(c.hold_ms).clear_ms(c.clear_ms);
        Ok(tenant.engine.raise_condition(text("stream", stream)?, priority, condition)?)
    })
}

/// A condition is over. The input is good again after its clear time. One that was not raised is
/// ignored. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_clear_condition(
    engine: changeover_engine,
    stream: *const c_char,
    priority: i32,
    name: *const c_char,
) -> i32 {
    guard(|| {
        let tenant = tenant::engine(engine.raw)?;
        let name = text("name", name)?;
        Ok(tenant.engine.clear_condition(text("stream", stream)?, priority, name)?)
    })
}

/// Reports that a source has failed: its input is degraded at once. With an epoch, a report about
/// another one than the open one is ignored; 0 means whatever is current. `why` is for people and
/// may be NULL. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_report_input_error(
    engine: changeover_engine,
    stream: *const c_char,
    priority: i32,
    epoch: u64,
    why: *const c_char,
) -> i32 {
    guard(|| {
        let tenant = tenant::engine(engine.raw)?;
        let epoch = (epoch != 0).then(|| Epoch::new(epoch));
        let stream = text("stream", stream)?;
        Ok(tenant.engine.report_input_error(stream, priority, epoch, &message(why))?)
    })
}

/// Switches an input off (0: it is no candidate any more; an active one is left) or on (1: it is
/// eligible, and unproved). Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_set_input_enabled(
    engine: changeover_engine,
    stream: *const c_char,
    priority: i32,
    enabled: u32,
) -> i32 {
    guard(|| {
        let tenant = tenant::engine(engine.raw)?;
        let enabled = flag("enabled", enabled)?;
        Ok(tenant.engine.set_input_enabled(text("stream", stream)?, priority, enabled)?)
    })
}
