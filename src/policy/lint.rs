//! What is doubtful in a policy: rules without effect, rules that contradict each other, names of nothing.
//! Says only what holds for certain; it does not run the rules.

use super::Policy;
use super::arguments::{Operator, Test};
use super::pattern::Pattern;
use super::rule::{Effect, Mode, Rule};

/// What is known of the servers. `None` = nothing, so nothing is said of names.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Their configured names.
    pub servers: Option<Vec<String>>,
    /// The tools' own names.
    pub tools: Option<Vec<String>>,
}

/// Returns a sentence for each thing that is doubtful, in the order of the rules.
pub fn lint(policy: &Policy, known: &Known) -> Vec<String> {
    let mut found = Vec::new();
    if policy.mode == Mode::Off && !policy.rules.is_empty() {
        found.push("the policy's mode is `off`: no rule counts".to_owned());
    }
    if policy.is_read_only
        && policy.trusted.is_empty()
        && !policy.rules.iter().any(|rule| rule.is_reading)
    {
        found.push(
            "read-only mode leaves no tool: no server's hints are trusted and no rule has `reads = true`"
                .to_owned(),
        );
    }
    for pattern in &policy.trusted {
        tell_unknown(
            "trust_hints",
            "server",
            pattern,
            known.servers.as_ref(),
            &mut found,
        );
    }
    for (index, rule) in policy.rules.iter().enumerate() {
        let label = format!("rule {}", rule.label);
        for pattern in &rule.servers {
            tell_unknown(
                &label,
                "server",
                pattern,
                known.servers.as_ref(),
                &mut found,
            );
        }
        for pattern in &rule.tools {
            tell_unknown(&label, "tool", pattern, known.tools.as_ref(), &mut found);
        }
        if !rule.hints.is_any() && policy.trusted.is_empty() {
            found.push(format!(
                "{label} asks for hints, and no server's hints are trusted: it takes every tool for the worst"
            ));
        }
        if rule.effect == Effect::Approve {
            found.push(format!(
                "{label} asks for approval, which nobody can give yet: its calls are refused with a text"
            ));
        }
        tell_tests(&label, rule, &mut found);
        if let Some(sentence) = shadow(policy, index) {
            found.push(format!("{label} {sentence}"));
        }
    }
    found
}

fn tell_unknown(
    label: &str,
    what: &str,
    pattern: &Pattern,
    known: Option<&Vec<String>>,
    found: &mut Vec<String>,
) {
    if known.is_some_and(|known| !known.iter().any(|name| pattern.fits(name))) {
        found.push(format!(
            "{label}: no {what} is called `{}`",
            pattern.as_str()
        ));
    }
}

fn tell_tests(label: &str, rule: &Rule, found: &mut Vec<String>) {
    let allows = rule.effect == Effect::Allow;
    for test in &rule.tests {
        match &test.operator {
            Operator::Prefix(prefix) if allows && !test.is_negated && prefix.contains('/') => {
                found.push(format!(
                    "{label}: `..` in a path gets out of the prefix `{prefix}`; `under` works paths out"
                ));
            }
            Operator::Regex(regex)
                if allows
                    && !test.is_negated
                    && !(regex.as_str().starts_with('^') && regex.as_str().ends_with('$')) =>
            {
                found.push(format!(
                    "{label}: `{}` is found anywhere in the text; `^…$` asks for the whole of it",
                    regex.as_str()
                ));
            }
            _ => {}
        }
    }
    for (index, left) in rule.tests.iter().enumerate() {
        if rule.tests[..index]
            .iter()
            .any(|right| excludes(left, right))
        {
            found.push(format!(
                "{label}: no call fits it, its tests of `{}` exclude each other",
                left.pointer
            ));
        }
    }
}

/// Whether two tests can never hold together for sure. May say no where they cannot.
fn excludes(left: &Test, right: &Test) -> bool {
    if left.pointer != right.pointer || left.is_negated || right.is_negated {
        return false;
    }
    match (&left.operator, &right.operator) {
        (Operator::Eq(left), Operator::Eq(right)) => left != right,
        (Operator::In(any), Operator::Eq(one)) | (Operator::Eq(one), Operator::In(any)) => {
            !any.contains(one)
        }
        (Operator::Lt(below), Operator::Gt(above)) | (Operator::Gt(above), Operator::Lt(below)) => {
            below.as_f64() <= above.as_f64()
        }
        (Operator::Exists(false), Operator::Exists(false)) => false,
        (Operator::Exists(false), _) | (_, Operator::Exists(false)) => true,
        _ => false,
    }
}

/// Says why a rule changes nothing, where that is certain.
fn shadow(policy: &Policy, index: usize) -> Option<String> {
    let rule = &policy.rules[index];
    if rule.mode == Mode::Off {
        return None;
    }
    if rule.effect == Effect::Allow
        && !policy.denies_by_default
        && !(policy.is_read_only && rule.is_reading)
    {
        return Some(
            "changes nothing: what no rule denies is allowed anyway (`default = \"deny\"` would deny it)"
                .to_owned(),
        );
    }
    let strength = |rule: &Rule| match rule.effect {
        Effect::Deny => 2,
        Effect::Approve => 1,
        Effect::Allow => 0,
    };
    let by = policy.rules.iter().enumerate().find(|(other, by)| {
        let is_earlier_twin = *other < index && strength(by) == strength(rule);
        let is_as_strong = strength(by) > strength(rule)
            || (is_earlier_twin && (by.is_reading || !rule.is_reading));
        *other != index
            && is_as_strong
            && by.mode == rule.mode
            && by.tests.is_empty()
            && by.hints.is_any()
            && covers(&by.servers, &rule.servers)
            && covers(&by.tools, &rule.tools)
            && covers(&by.principals, &rule.principals)
    });
    let (_, by) = by?;
    Some(if by.effect == rule.effect {
        format!("says again what rule {} says", by.label)
    } else {
        format!(
            "contradicts rule {}, which is about all of its calls: {} wins",
            by.label,
            by.effect.as_str()
        )
    })
}

fn covers(by: &[Pattern], all: &[Pattern]) -> bool {
    by.is_empty()
        || by.iter().any(|pattern| pattern.as_str() == "*")
        || (!all.is_empty()
            && all
                .iter()
                .all(|pattern| by.iter().any(|by| by.covers(pattern))))
}
