//! Which layers take part: phase, level and stages against the rules of each layer.

use crate::schema::{LayerParameter, NetState, NetStateRule, Phase};

/// The state of a network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// Whether it is being trained.
    pub(crate) training: bool,
    pub(crate) level: i32,
    pub(crate) stages: Vec<String>,
}

impl State {
    /// The same with the stages that the file itself sets.
    pub(super) fn with(&self, file: Option<&NetState>) -> Self {
        let mut state = self.clone();
        if let Some(file) = file {
            state.stages.extend(file.stage.iter().cloned());
            if state.level == 0 {
                state.level = file.level();
            }
        }
        state
    }

    /// Whether a layer takes part: where any of its `include` rules holds, or none of its `exclude` rules.
    ///
    /// # Errors
    /// When it has rules of both kinds, which Caffe refuses.
    pub(super) fn takes(&self, layer: &LayerParameter) -> Result<bool, &'static str> {
        match (layer.include.as_slice(), layer.exclude.as_slice()) {
            ([], exclude) => Ok(!exclude.iter().any(|rule| self.meets(rule))),
            (include, []) => Ok(include.iter().any(|rule| self.meets(rule))),
            _ => Err("it has both include and exclude rules"),
        }
    }

    fn meets(&self, rule: &NetStateRule) -> bool {
        let phase = if self.training { Phase::Train } else { Phase::Test };
        rule.phase.is_none_or(|wanted| wanted == phase as i32)
            && rule.min_level.is_none_or(|level| self.level >= level)
            && rule.max_level.is_none_or(|level| self.level <= level)
            && rule.stage.iter().all(|stage| self.stages.contains(stage))
            && !rule.not_stage.iter().any(|stage| self.stages.contains(stage))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_met_as_a_whole_and_any_of_them_decides() {
        let state = State {
            training: false,
            level: 2,
            stages: vec!["deploy".into()],
        };
        let rule = NetStateRule {
            phase: Some(Phase::Test as i32),
            min_level: Some(1),
            stage: vec!["deploy".into()],
            ..NetStateRule::default()
        };
        let other = NetStateRule {
            not_stage: vec!["deploy".into()],
            ..rule.clone()
        };
        let layer = |include: &[&NetStateRule], exclude: &[&NetStateRule]| LayerParameter {
            include: include.iter().map(|&rule| rule.clone()).collect(),
            exclude: exclude.iter().map(|&rule| rule.clone()).collect(),
            ..LayerParameter::default()
        };
        assert_eq!(state.takes(&layer(&[], &[])), Ok(true));
        assert_eq!(state.takes(&layer(&[&other, &rule], &[])), Ok(true));
        assert_eq!(state.takes(&layer(&[&other], &[])), Ok(false));
        assert_eq!(state.takes(&layer(&[], &[&rule])), Ok(false));
        assert_eq!(state.takes(&layer(&[], &[&other])), Ok(true));
        assert!(state.takes(&layer(&[&rule], &[&rule])).is_err());
    }
}
