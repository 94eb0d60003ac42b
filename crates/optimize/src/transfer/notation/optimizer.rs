//! Optimisers and schedules with their settings: `adam:lr=0.001`, `step:initial=0.1,decay=0.5,step=10`.

use super::number;
use crate::transfer::TransferError;
use caribou_ir::{LearningRate, Updater, UpdaterKind};

/// The settings behind the kind of an optimiser or schedule.
struct Settings<'t> {
    option: &'static str,
    kind: &'t str,
    left: Vec<(&'t str, f64)>,
}

impl<'t> Settings<'t> {
    fn of(text: &'t str, option: &'static str) -> Result<Self, TransferError> {
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        let mut left = Vec::new();
        for setting in rest.split(',').filter(|setting| !setting.is_empty()) {
            let (name, value) = setting
                .split_once('=')
                .ok_or_else(|| TransferError::option(option, format!("{setting}: expected NAME=VALUE")))?;
            left.push((name, number(value, option)?));
        }
        Ok(Self { option, kind, left })
    }

    fn take(&mut self, name: &str) -> Option<f64> {
        let position = self.left.iter().position(|(known, _)| *known == name)?;
        Some(self.left.remove(position).1)
    }

    /// A share of what was before: from zero to less than one.
    fn share(&mut self, name: &str, default: f64) -> Result<f64, TransferError> {
        match self.take(name) {
            None => Ok(default),
            Some(value) if (0.0..1.0).contains(&value) => Ok(value),
            Some(value) => Err(self.outside(name, value, "expected one from 0 to less than 1")),
        }
    }

    /// A number that is not below zero.
    fn not_negative(&mut self, name: &str, default: f64) -> Result<f64, TransferError> {
        let value = self.take(name).unwrap_or(default);
        if value < 0.0 {
            return Err(self.outside(name, value, "expected one that is not below zero"));
        }
        Ok(value)
    }

    fn outside(&self, name: &str, value: f64, expected: &str) -> TransferError {
        TransferError::option(
            self.option,
            format!("{}: {name} is {value}: {expected}", self.kind),
        )
    }

    fn required(&mut self, name: &str) -> Result<f64, TransferError> {
        let missing = TransferError::option(self.option, format!("{} needs {name}=…", self.kind));
        self.take(name).ok_or(missing)
    }

    fn end(self) -> Result<(), TransferError> {
        match self.left.first() {
            Some((name, _)) => Err(TransferError::option(
                self.option,
                format!("{} has no setting {name}, or it is given twice", self.kind),
            )),
            None => Ok(()),
        }
    }
}

/// An optimiser with its constants, those of DL4J where they are not given: `nesterovs:lr=0.01,momentum=0.9`.
///
/// # Errors
/// When the optimiser or one of its settings is not known.
pub fn updater(text: &str) -> Result<Updater, TransferError> {
    let mut settings = Settings::of(text, "--updater")?;
    let moments = |settings: &mut Settings| {
        Ok::<_, TransferError>((
            settings.share("beta1", 0.9)?,
            settings.share("beta2", 0.999)?,
            settings.not_negative("epsilon", 1e-8)?,
        ))
    };
    let (kind, rate) = match settings.kind.to_lowercase().as_str() {
        "sgd" => (UpdaterKind::Sgd, 1e-3),
        "nesterovs" => {
            let momentum = settings.share("momentum", 0.9)?;
            (UpdaterKind::Nesterovs { momentum }, 0.1)
        }
        "adam" => {
            let (beta1, beta2, epsilon) = moments(&mut settings)?;
            (
                UpdaterKind::Adam {
                    beta1,
                    beta2,
                    epsilon,
                },
                1e-3,
            )
        }
        "amsgrad" => {
            let (beta1, beta2, epsilon) = moments(&mut settings)?;
            (
                UpdaterKind::AmsGrad {
                    beta1,
                    beta2,
                    epsilon,
                },
                1e-3,
            )
        }
        "adamax" => {
            let (beta1, beta2, epsilon) = moments(&mut settings)?;
            (
                UpdaterKind::AdaMax {
                    beta1,
                    beta2,
                    epsilon,
                },
                1e-3,
            )
        }
        "nadam" => {
            let (beta1, beta2, epsilon) = moments(&mut settings)?;
            (
                UpdaterKind::Nadam {
                    beta1,
                    beta2,
                    epsilon,
                },
                1e-3,
            )
        }
        "rmsprop" => {
            let (decay, epsilon) = (
                settings.share("decay", 0.95)?,
                settings.not_negative("epsilon", 1e-8)?,
            );
            (UpdaterKind::RmsProp { decay, epsilon }, 0.1)
        }
        "adagrad" => {
            let epsilon = settings.not_negative("epsilon", 1e-6)?;
            (UpdaterKind::AdaGrad { epsilon }, 0.1)
        }
        "adadelta" => {
            let (rho, epsilon) = (
                settings.share("rho", 0.95)?,
                settings.not_negative("epsilon", 1e-6)?,
            );
            settings.end()?;
            return Ok(Updater::new(UpdaterKind::AdaDelta { rho, epsilon }, 1.0));
        }
        _ => {
            return Err(TransferError::Unknown {
                option: "--updater",
                what: "updater",
                name: settings.kind.to_owned(),
                known: [
                    "sgd",
                    "nesterovs",
                    "adam",
                    "amsgrad",
                    "adamax",
                    "nadam",
                    "rmsprop",
                    "adagrad",
                    "adadelta",
                ]
                .map(str::to_owned)
                .to_vec(),
            });
        }
    };
    let rate = settings.not_negative("lr", rate)?;
    settings.end()?;
    Ok(Updater::new(kind, rate))
}

/// The learning rate by the number of steps: `step:initial=0.1,decay=0.5,step=100`, `exponential:initial=0.1,gamma=0.99`,
/// `inverse:initial=0.1,gamma=0.01`, `poly:initial=0.1,power=0.9,steps=1000` (`initial (1 - t / steps)^power`, to the last of
/// these steps), `sigmoid:initial=0.1,gamma=-0.01,step=100` (`initial / (1 + exp(-gamma (t - step)))`) or
/// `map:0=0.1,100=0.01`.
///
/// # Errors
/// When the schedule or one of its settings is not known.
pub fn schedule(text: &str) -> Result<LearningRate, TransferError> {
    const OPTION: &str = "--schedule";
    let steps = |number: f64| match (1.0..=f64::from(i32::MAX)).contains(&number) && number.fract() == 0.0 {
        true => Ok(number),
        false => Err(TransferError::option(
            OPTION,
            format!("{number} is no number of steps"),
        )),
    };
    let mut settings = Settings::of(text, OPTION)?;
    let rate = match settings.kind {
        "step" => LearningRate::Step {
            initial: settings.required("initial")?,
            decay: settings.required("decay")?,
            steps: settings.required("step")?,
        },
        "exponential" => LearningRate::Exponential {
            initial: settings.required("initial")?,
            gamma: settings.required("gamma")?,
        },
        "inverse" => LearningRate::Inverse {
            initial: settings.required("initial")?,
            gamma: settings.required("gamma")?,
            power: 1.0,
        },
        "poly" => LearningRate::Inverse {
            initial: settings.required("initial")?,
            gamma: -1.0 / settings.required("steps").and_then(steps)?,
            power: -settings.required("power")?,
        },
        "sigmoid" => LearningRate::Sigmoid {
            initial: settings.required("initial")?,
            gamma: settings.required("gamma")?,
            middle: settings.required("step").and_then(steps)? as i32,
        },
        "map" => {
            let from = |(from, rate): (&str, f64)| match from.parse() {
                Ok(from) => Ok((from, rate)),
                Err(_) => Err(TransferError::option(
                    OPTION,
                    format!("{from} is no number of steps"),
                )),
            };
            let stairs = std::mem::take(&mut settings.left).into_iter().map(from);
            let mut stairs = stairs.collect::<Result<Vec<(u64, f64)>, _>>()?;
            stairs.sort_by_key(|&(from, _)| from);
            if stairs.first().is_none_or(|&(from, _)| from != 0) {
                return Err(TransferError::option(OPTION, "map needs a rate for step 0"));
            }
            if let Some(twice) = stairs.windows(2).find(|pair| pair[0].0 == pair[1].0) {
                let message = format!("map has two rates for step {}", twice[0].0);
                return Err(TransferError::option(OPTION, message));
            }
            LearningRate::Piecewise(stairs)
        }
        kind => {
            return Err(TransferError::Unknown {
                option: OPTION,
                what: "schedule",
                name: kind.to_owned(),
                known: ["step", "exponential", "inverse", "poly", "sigmoid", "map"]
                    .map(str::to_owned)
                    .to_vec(),
            });
        }
    };
    settings.end()?;
    if matches!(rate, LearningRate::Step { steps, .. } if steps < 1.0) {
        return Err(TransferError::option(OPTION, "step must be at least 1"));
    }
    let falls_below = |t: &u64| rate.at(*t) < 0.0;
    let told: Vec<u64> = match &rate {
        LearningRate::Piecewise(stairs) => stairs.iter().map(|&(from, _)| from).collect(),
        _ => vec![0, 1],
    };
    if let Some(t) = told.iter().find(|t| falls_below(t)) {
        let message = format!("the learning rate of step {t} is {}, below zero", rate.at(*t));
        return Err(TransferError::option(OPTION, message));
    }
    Ok(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polynomials_and_sigmoids_are_schedules() {
        let poly = schedule("poly:initial=0.1,power=0.5,steps=100").unwrap();
        for t in [0u64, 1, 64, 99, 100] {
            let wanted = 0.1 * (1.0 - t as f64 / 100.0).sqrt();
            assert!((poly.at(t) - wanted).abs() < 1e-8, "{t}: {} {wanted}", poly.at(t));
        }
        let sigmoid = schedule("sigmoid:initial=0.1,gamma=-0.1,step=50").unwrap();
        assert_eq!(sigmoid.at(50), 0.05);
        assert!(sigmoid.at(0) > 0.099 && sigmoid.at(100) < 0.001);
        for wrong in [
            "poly:initial=0.1,power=1,steps=0",
            "sigmoid:initial=1,gamma=1,step=0.5",
            "poly:initial=1,steps=9",
        ] {
            assert!(schedule(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn updaters_have_the_constants_of_dl4j() {
        assert_eq!(
            updater("nesterovs:lr=0.01").unwrap(),
            Updater::new(UpdaterKind::Nesterovs { momentum: 0.9 }, 0.01)
        );
        assert_eq!(
            updater("rmsprop").unwrap(),
            Updater::new(
                UpdaterKind::RmsProp {
                    decay: 0.95,
                    epsilon: 1e-8
                },
                0.1
            )
        );
        for wrong in [
            "adam:momentum=0.9",
            "adam:lr=0.1,lr=0.2",
            "adam:lr",
            "adam:lr=x",
            "other",
            "adadelta:lr=1",
        ] {
            assert!(updater(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn schedules_are_read() {
        assert_eq!(
            schedule("map:100=0.01,0=0.1").unwrap(),
            LearningRate::Piecewise(vec![(0, 0.1), (100, 0.01)])
        );
        for wrong in [
            "map:1=0.1",
            "map:x=1",
            "step:initial=0.1",
            "step:initial=1,decay=1,step=0",
            "sigmoid:initial=1",
        ] {
            assert!(schedule(wrong).is_err(), "{wrong}");
        }
    }
}
