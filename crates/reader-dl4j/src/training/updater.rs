//! Optimisers by their classes.

use caribou_ir::{Count, LearningRate, Scheduled, Updater, UpdaterKind};
use caribou_writer_dl4j::format::{Rate, Schedule, ScheduleType, Updater as Class};

/// The rule of a class with its learning rate; `None` for a class, or a schedule, that is not known.
pub(super) fn rule(class: &Class) -> Option<Updater> {
    let mut course = None;
    let (kind, rate) = match class.clone() {
        Class::Sgd { rate } => (UpdaterKind::Sgd, rate),
        Class::Nesterovs {
            rate,
            momentum,
            momentum_schedule,
        } => {
            course = match momentum_schedule {
                Some(schedule) => Some(scheduled(&schedule)?),
                None => None,
            };
            let first = course.as_ref().map(|course| course.values.at(0));
            let momentum = first.or(momentum)?;
            (UpdaterKind::Nesterovs { momentum }, rate)
        }
        Class::Adam {
            rate,
            beta1,
            beta2,
            epsilon,
        } => (
            UpdaterKind::Adam {
                beta1,
                beta2,
                epsilon,
            },
            rate,
        ),
        Class::AmsGrad {
            rate,
            beta1,
            beta2,
            epsilon,
        } => (
            UpdaterKind::AmsGrad {
                beta1,
                beta2,
                epsilon,
            },
            rate,
        ),
        Class::AdaMax {
            rate,
            beta1,
            beta2,
            epsilon,
        } => (
            UpdaterKind::AdaMax {
                beta1,
                beta2,
                epsilon,
            },
            rate,
        ),
        Class::Nadam {
            rate,
            beta1,
            beta2,
            epsilon,
        } => (
            UpdaterKind::Nadam {
                beta1,
                beta2,
                epsilon,
            },
            rate,
        ),
        Class::RmsProp {
            rate,
            rms_decay,
            epsilon,
        } => (
            UpdaterKind::RmsProp {
                decay: rms_decay,
                epsilon,
            },
            rate,
        ),
        Class::AdaGrad { rate, epsilon } => (UpdaterKind::AdaGrad { epsilon }, rate),
        Class::AdaDelta { rho, epsilon } => (UpdaterKind::AdaDelta { rho, epsilon }, Rate::constant(1.0)),
        Class::NoOp {} => (UpdaterKind::NoOp, Rate::constant(0.0)),
        Class::Unknown(_) => return None,
    };
    let (learning_rate, counts) = learning_rate(&rate)?;
    Some(Updater {
        learning_rate,
        counts,
        momentum: course,
        ..Updater::new(kind, 0.0)
    })
}

/// A rate, or a schedule and what it counts.
fn learning_rate(rate: &Rate) -> Option<(LearningRate, Count)> {
    match rate.schedule() {
        None => rate
            .value()
            .map(|rate| (LearningRate::Constant(rate), Count::Steps)),
        Some(schedule) => scheduled(schedule).map(|course| (course.values, course.counts)),
    }
}

/// The course of a number; `None` for a schedule that is not known.
pub(crate) fn scheduled(schedule: &Schedule) -> Option<Scheduled> {
    let (values, counts) = match *schedule {
        Schedule::Fixed { value } => (LearningRate::Constant(value), ScheduleType::Iteration),
        Schedule::Exponential {
            schedule_type,
            initial_value: initial,
            gamma,
        } => (LearningRate::Exponential { initial, gamma }, schedule_type),
        Schedule::Step {
            schedule_type,
            initial_value: initial,
            decay_rate: decay,
            step: steps,
        } => (
            LearningRate::Step {
                initial,
                decay,
                steps,
            },
            schedule_type,
        ),
        Schedule::Inverse {
            schedule_type,
            initial_value: initial,
            gamma,
            power,
        } => (
            LearningRate::Inverse {
                initial,
                gamma,
                power,
            },
            schedule_type,
        ),
        Schedule::Sigmoid {
            schedule_type,
            initial_value: initial,
            gamma,
            step_size: middle,
        } => (
            LearningRate::Sigmoid {
                initial,
                gamma,
                middle,
            },
            schedule_type,
        ),
        Schedule::Map {
            schedule_type,
            ref values,
        } => {
            let stairs = values
                .iter()
                .map(|(from, &rate)| Some((from.parse().ok()?, rate)));
            let mut stairs = stairs.collect::<Option<Vec<(u64, f64)>>>()?;
            stairs.sort_by_key(|&(from, _)| from);
            (LearningRate::Piecewise(stairs), schedule_type)
        }
        Schedule::Unknown(_) => return None,
    };
    let counts = match counts {
        ScheduleType::Iteration => Count::Steps,
        ScheduleType::Epoch => Count::Epochs,
    };
    Some(Scheduled { values, counts })
}
