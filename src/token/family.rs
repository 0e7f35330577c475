//! Which models a count is exact for, and which it only estimates. Data and a lookup; no counting.
//!
//! Sources: OpenAI's model table (tiktoken 0.14.0 `tiktoken/model.py`, carried by tiktoken-rs);
//! Anthropic, "Token counting" (`POST /v1/messages/count_tokens`; the tokenizer is not published);
//! Google, "Understand and count tokens" (`countTokens`); Meta, Llama 3 model card (own 128k
//! vocabulary); the model cards of the other families, each of which ships its own vocabulary.

use tiktoken_rs::tokenizer::Tokenizer;
use tiktoken_rs::tokenizer::get_tokenizer;

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

fn open_ai(model: &str, name: &str) -> Option<ModelFit> {
    let encoding = match get_tokenizer(name)? {
        // gpt-oss: the same merges, more special tokens; ordinary text counts the same.
        Tokenizer::O200kBase | Tokenizer::O200kHarmony => Encoding::O200kBase,
        Tokenizer::Cl100kBase => Encoding::Cl100kBase,
        Tokenizer::P50kBase | Tokenizer::R50kBase | Tokenizer::P50kEdit | Tokenizer::Gpt2 => {
            let reason = "this retired model uses an older OpenAI encoding that is not carried";
            return Some(ModelFit::estimated(model, "OpenAI", reason));
        }
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
