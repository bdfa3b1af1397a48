//! The scenarios of the behaviour contract, section 11, each written once.
//!
//! Times in assertions are scenario times. What is checked at an exact moment only (a state
//! between two packets, say) stands under `if !w.is_real()`.

pub(crate) mod basics;
pub(crate) mod edits;
pub(crate) mod exhaustion;
pub(crate) mod failback;
pub(crate) mod further;
pub(crate) mod operator;
pub(crate) mod renumbering;
pub(crate) mod stragglers;
pub(crate) mod views;

/// The tests of both forms, from one table.
#[macro_export]
macro_rules! scenario_tests {
    ($form:expr) => {
        $crate::scenario_tests! { @ $form,
            s01_register_starts_the_best => basics::s01,
            s02_silence_t5 => basics::s02_t5,
            s02_silence_t30 => basics::s02_t30,
            s03_error_twice => basics::s03,
            s04_single_killed => exhaustion::s04,
            s05_single_silent_then_packets => exhaustion::s05,
            s06_single_killed_then_good => exhaustion::s06,
            s07_failback_after_30_s => failback::s07,
            s08_failback_after_1_s => failback::s08,
            s10_dead_from_the_start => failback::s10_dead,
            s10_silent_from_the_start => failback::s10_silent,
            s10_start_never_answers => failback::s10_start_hangs,
            s10_single_dead => exhaustion::s10_single,
            s11_second_dead => failback::s11,
            s12_start_fails_at_register => exhaustion::s12,
            s12_single_start_fails => exhaustion::s12_single,
            s13_failover_target_fails => failback::s13,
            s16_registered_twice => basics::s16,
            s18_probe_fails => failback::s18_fails,
            s18_probe_hangs_and_returns => failback::s18_hangs,
            s18_probe_hangs_long => failback::s18_hangs_long,
            s19_switch => operator::s19,
            s20_switch_refused => operator::s20,
            s21_override_killed => operator::s21_killed,
            s21_override_removed => operator::s21_removed,
            s22_switch_target_fails => operator::s22,
            s22_switch_target_never_delivers => operator::s22_silent,
            s24_remove_active_add_two => edits::s24,
            s25_add_worse_then_better => edits::s25,
            s26_backup_added_while_exhausted => edits::s26,
            s27_register_without_inputs => edits::s27,
            s28_remove_the_last => edits::s28,
            s30a_update_active_and_standby => renumbering::s30a_update,
            s30a_edited_degraded_standby => renumbering::s30a_degraded,
            s30b_update_active_and_failing_better => renumbering::s30b,
            s30c_renumbering => renumbering::s30c,
            s33_error_on_a_standby => views::s33,
            s34_snapshot => views::s34,
            s35_histories_are_bounded => views::s35,
            s36a_timeout_shortened => views::s36a,
            s40_unknown_and_after_unregister => stragglers::s40,
            x1_straggler => stragglers::x1,
            x2_cooldown_is_no_trap => stragglers::x2,
            c5_2_old_dies_while_pending => further::old_dies_while_pending,
            c5_3_superseded => further::superseded,
            c6_1_unsupported_probe => further::unsupported_probe,
            c6_6_redundancy => further::redundancy,
            c7_2_override_cleared => further::override_cleared,
            c7_3_disabled => further::disabled,
            c7_3_all_disabled => further::all_disabled,
            c8_4_buffer => further::buffer,
        }
    };
    (@ $form:expr, $($name:ident => $module:ident :: $scenario:ident,)*) => {
        $(
            #[test]
            fn $name() {
                $crate::support::play($form, $crate::support::book::$module::$scenario);
            }
        )*
    };
}
