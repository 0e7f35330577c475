//! Which models a count is exact for, and which it only estimates. Data and a lookup; no counting.
//!
//! Sources: OpenAI's model table (tiktoken 0.14.0 `tiktoken/model.py`, as tiktoken-rs 0.12 carries it);
//! Anthropic, "Token counting" (`POST /v1/messages/count_tokens`; the tokenizer is not published);
//! Google, "Understand and count tokens" (`countTokens`); Meta, Llama 3 model card (own 128k
//! vocabulary); the model cards of the other families, each of which ships its own vocabulary.

use crate::token::Encoding;
use crate::token::Provenance;

/// How well a count fits one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFit {
    /// The model name as given.
    pub model: String,
    /// The family as people call it, for example `OpenAI` or `Claude`.
    pub family: &'static str,
    /// The encoding to count with: the model's own, or the default where none of ours is.
    pub encoding: Encoding,
    /// Whether that count is the model's own.
    pub provenance: Provenance,
    /// One honest sentence for people: what the number is, and where the exact one comes from.
    pub sentence: String,
}

/// A family whose tokenizer we do not carry.
struct Foreign {
    prefixes: &'static [&'static str],
    family: &'static str,
    reason: &'static str,
}

const FOREIGN: &[Foreign] = &[
    Foreign {
        prefixes: &["claude", "anthropic"],
        family: "Claude",
        reason: "Anthropic publishes no tokenizer for it and its counts are usually higher; \
                 the exact number comes from the `count_tokens` endpoint of the Messages API",
    },
    Foreign {
        prefixes: &["gemini", "gemma", "learnlm"],
        family: "Gemini",
        reason: "Google's models use their own SentencePiece vocabulary; \
                 the exact number comes from the `countTokens` method of the Gemini API",
    },
    Foreign {
        prefixes: &["llama", "meta-llama", "codellama"],
        family: "Llama",
        reason: "Meta's models use their own vocabulary; \
                 the exact number comes from the tokenizer that ships with the weights",
    },
    Foreign {
        prefixes: &[
            "mistral",
            "mixtral",
            "codestral",
            "devstral",
            "magistral",
            "ministral",
        ],
        family: "Mistral",
        reason: "Mistral's models use their own vocabularies; \
                 the exact number comes from the `mistral-common` package",
    },
    Foreign {
        prefixes: &["qwen", "qwq"],
        family: "Qwen",
        reason: "Qwen models use their own vocabulary; \
                 the exact number comes from the tokenizer that ships with the weights",
    },
    Foreign {
        prefixes: &["deepseek"],
        family: "DeepSeek",
        reason: "DeepSeek models use their own vocabulary; \
                 the exact number comes from the tokenizer that ships with the weights",
    },
    Foreign {
        prefixes: &["grok"],
        family: "Grok",
        reason: "xAI's models use their own vocabulary; \
                 the exact number comes from the tokenize endpoint of the xAI API",
    },
];

impl ModelFit {
    /// Tells how a count fits `model`, a name as APIs spell it, with or without a provider in
    /// front (`openai/gpt-4o`). A name we do not know is an estimate, never an error.
    pub fn of(model: &str) -> Self {
        let lower = model.trim().to_ascii_lowercase();
        let name = lower.rsplit('/').next().unwrap_or(&lower);
        if let Some(fit) = open_ai(model, name) {
            return fit;
        }
        // Cloud names put the vendor first: `us.anthropic.claude-…`, `meta.llama3-…`.
        let foreign = FOREIGN.iter().find(|foreign| {
            foreign.prefixes.iter().any(|prefix| {
                name.starts_with(prefix) || name.split('.').any(|part| part.starts_with(prefix))
            })
        });
        let (family, reason) = foreign.map_or(
            ("unknown", "we do not know which tokenizer this model uses"),
            |foreign| (foreign.family, foreign.reason),
        );
        Self::estimated(model, family, reason)
    }

    /// Tells how a count with `encoding` is to be read when no model was named.
    pub fn of_encoding(encoding: Encoding) -> Self {
        let models = match encoding {
            Encoding::O200kBase => "GPT-4o, GPT-4.1, GPT-5 and the o-series",
            Encoding::Cl100kBase => "GPT-4 and GPT-3.5",
        };
        Self {
            model: String::new(),
            family: "OpenAI",
            encoding,
            provenance: Provenance::Measured,
            sentence: format!(
                "{encoding} is exact for text in {models}; for other families (Claude, Gemini, \
                 Llama, ...) it is an estimate."
            ),
        }
    }

    /// The same fit for a count made with `encoding`, which is exact only if it is the model's own.
    pub fn counted_with(self, encoding: Encoding) -> Self {
        if encoding == self.encoding {
            return self;
        }
        let reason = match self.provenance {
            Provenance::Measured => "this model uses another OpenAI encoding",
            Provenance::Estimated => "this model has its own tokenizer",
        };
        let mut fit = Self::estimated(&self.model, self.family, reason);
        fit.sentence = fit
            .sentence
            .replace(fit.encoding.as_str(), encoding.as_str());
        fit.encoding = encoding;
        fit
    }

    fn estimated(model: &str, family: &'static str, reason: &str) -> Self {
        let encoding = Encoding::default();
        Self {
            model: model.to_owned(),
            family,
            encoding,
            provenance: Provenance::Estimated,
            sentence: format!("counted with {encoding}, an estimate for `{model}`: {reason}."),
        }
    }
}

/// OpenAI's models by whole name; no encoding of ours is the retired ones'.
const OPEN_AI: &[(&str, Option<Encoding>)] = &[
    ("o1", Some(Encoding::O200kBase)),
    ("o3", Some(Encoding::O200kBase)),
    ("o4-mini", Some(Encoding::O200kBase)),
    ("gpt-4.1", Some(Encoding::O200kBase)),
    ("gpt-4o", Some(Encoding::O200kBase)),
    ("gpt-4", Some(Encoding::Cl100kBase)),
    ("gpt-3.5-turbo", Some(Encoding::Cl100kBase)),
    ("gpt-3.5", Some(Encoding::Cl100kBase)),
    ("gpt-35-turbo", Some(Encoding::Cl100kBase)),
    ("davinci-002", Some(Encoding::Cl100kBase)),
    ("babbage-002", Some(Encoding::Cl100kBase)),
    ("text-embedding-ada-002", Some(Encoding::Cl100kBase)),
    ("text-embedding-3-small", Some(Encoding::Cl100kBase)),
    ("text-embedding-3-large", Some(Encoding::Cl100kBase)),
    ("text-davinci-003", None),
    ("text-davinci-002", None),
    ("text-davinci-001", None),
    ("text-curie-001", None),
    ("text-babbage-001", None),
    ("text-ada-001", None),
    ("davinci", None),
    ("curie", None),
    ("babbage", None),
    ("ada", None),
    ("code-davinci-002", None),
    ("code-davinci-001", None),
    ("code-cushman-002", None),
    ("code-cushman-001", None),
    ("davinci-codex", None),
    ("cushman-codex", None),
    ("text-davinci-edit-001", None),
    ("code-davinci-edit-001", None),
    ("text-similarity-davinci-001", None),
    ("text-similarity-curie-001", None),
    ("text-similarity-babbage-001", None),
    ("text-similarity-ada-001", None),
    ("text-search-davinci-doc-001", None),
    ("text-search-curie-doc-001", None),
    ("text-search-babbage-doc-001", None),
    ("text-search-ada-doc-001", None),
    ("code-search-babbage-code-001", None),
    ("code-search-ada-code-001", None),
    ("gpt2", None),
    ("gpt-2", None),
];

/// And by the beginning of a name. gpt-oss has the same merges and more special tokens; ordinary text
/// counts the same.
const OPEN_AI_PREFIXES: &[(&str, Encoding)] = &[
    ("o1-", Encoding::O200kBase),
    ("o3-", Encoding::O200kBase),
    ("o4-mini-", Encoding::O200kBase),
    ("gpt-5", Encoding::O200kBase),
    ("gpt-4.5-", Encoding::O200kBase),
    ("gpt-4.1-", Encoding::O200kBase),
    ("chatgpt-4o-", Encoding::O200kBase),
    ("gpt-4o-", Encoding::O200kBase),
    ("gpt-4-", Encoding::Cl100kBase),
    ("gpt-3.5-turbo-", Encoding::Cl100kBase),
    ("gpt-35-turbo-", Encoding::Cl100kBase),
    ("gpt-oss-", Encoding::O200kBase),
    ("codex-mini", Encoding::O200kBase),
];

/// The encoding of a model of OpenAI's: `None` if it is none, `Some(None)` if it is a retired one.
fn open_ai_encoding(name: &str) -> Option<Option<Encoding>> {
    // A fine-tuned model is named after its base: `ft:gpt-4o:team::id`.
    let mut base = name;
    while let Some(rest) = base.strip_prefix("ft:") {
        base = rest.split(':').next().unwrap_or(rest);
    }
    let whole = OPEN_AI.iter().find(|(model, _)| *model == base);
    let by_prefix = || {
        let mut prefixes = OPEN_AI_PREFIXES.iter();
        prefixes.find(|(prefix, _)| base.starts_with(prefix))
    };
    whole
        .map(|(_, encoding)| *encoding)
        .or_else(|| by_prefix().map(|(_, encoding)| Some(*encoding)))
}

fn open_ai(model: &str, name: &str) -> Option<ModelFit> {
    let Some(encoding) = open_ai_encoding(name)? else {
        let reason = "this retired model uses an older OpenAI encoding that is not carried";
        return Some(ModelFit::estimated(model, "OpenAI", reason));
    };
    Some(ModelFit {
        model: model.to_owned(),
        family: "OpenAI",
        encoding,
        provenance: Provenance::Measured,
        sentence: format!(
            "{encoding} is the tokenizer of `{model}`; the text is counted exactly, what the \
             provider wraps around tool definitions is not."
        ),
    })
}

#[cfg(test)]
mod tests {
    use tiktoken_rs::tokenizer::Tokenizer;
    use tiktoken_rs::tokenizer::get_tokenizer;

    use super::{OPEN_AI, OPEN_AI_PREFIXES, open_ai_encoding};
    use crate::token::Encoding;
    use crate::token::ModelFit;
    use crate::token::Provenance;

    #[track_caller]
    fn check(model: &str, family: &str, encoding: Encoding, provenance: Provenance) {
        let fit = ModelFit::of(model);
        assert_eq!(
            (fit.family, fit.encoding, fit.provenance),
            (family, encoding, provenance),
            "{model}"
        );
        assert!(fit.sentence.contains(model) && fit.sentence.contains(encoding.as_str()));
        assert_eq!(
            fit.sentence.contains("estimate"),
            provenance == Provenance::Estimated
        );
    }

    #[test]
    fn open_ai_models_are_measured() {
        for model in [
            "gpt-5",
            "gpt-5.4-mini",
            "gpt-4o",
            "openai/gpt-4.1",
            "o3",
            "gpt-oss-20b",
        ] {
            check(model, "OpenAI", Encoding::O200kBase, Provenance::Measured);
        }
        for model in ["gpt-4", "gpt-4-32k-0314", "gpt-3.5-turbo"] {
            check(model, "OpenAI", Encoding::Cl100kBase, Provenance::Measured);
        }
        check(
            "davinci",
            "OpenAI",
            Encoding::O200kBase,
            Provenance::Estimated,
        );
    }

    /// The same answer as tiktoken-rs for every name of the table, with and without something behind it.
    #[test]
    fn the_table_is_that_of_tiktoken() {
        let names = OPEN_AI.iter().map(|(name, _)| *name);
        let prefixes = OPEN_AI_PREFIXES.iter().map(|(name, _)| *name);
        let others = [
            "",
            "o",
            "gpt",
            "gpt-6",
            "claude",
            "ft:",
            "o4",
            "ft:ft:gpt-4o:x",
        ];
        for name in names.chain(prefixes).chain(others) {
            for name in [
                name.to_owned(),
                format!("{name}x"),
                format!("{name}-2025-01-01"),
                format!("ft:{name}:team::id"),
            ] {
                let theirs = get_tokenizer(&name).map(|tokenizer| match tokenizer {
                    Tokenizer::O200kBase | Tokenizer::O200kHarmony => Some(Encoding::O200kBase),
                    Tokenizer::Cl100kBase => Some(Encoding::Cl100kBase),
                    _ => None,
                });
                assert_eq!(open_ai_encoding(&name), theirs, "{name}");
            }
        }
    }

    #[test]
    fn other_families_are_estimates() {
        for (model, family) in [
            ("claude-sonnet-4-5", "Claude"),
            ("us.anthropic.claude-3-haiku-20240307-v1:0", "Claude"),
            ("gemini-2.5-pro", "Gemini"),
            ("meta-llama/Llama-3.3-70B-Instruct", "Llama"),
            ("meta.llama3-70b-instruct-v1:0", "Llama"),
            ("mistral-large-latest", "Mistral"),
            ("something-new", "unknown"),
            ("", "unknown"),
        ] {
            check(model, family, Encoding::O200kBase, Provenance::Estimated);
        }
    }

    #[test]
    fn another_encoding_makes_an_estimate() {
        let fit = ModelFit::of("gpt-4").counted_with(Encoding::O200kBase);
        assert_eq!(fit.provenance, Provenance::Estimated);
        assert!(
            fit.sentence
                .starts_with("counted with o200k_base, an estimate")
        );
        let same = ModelFit::of("gpt-4").counted_with(Encoding::Cl100kBase);
        assert_eq!(same.provenance, Provenance::Measured);
    }
}
