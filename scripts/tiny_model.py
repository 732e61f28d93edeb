#!/usr/bin/env python3
"""Writes a tiny Llama for vLLM's `--load-format dummy`: a configuration, a tokenizer and a chat template, no weights.

Used by vllm-cpu.sh. The tokenizer is a byte-level BPE trained on the sources of Python's standard library, which are
wherever Python is and hold enough English; it needs the `tokenizers` package, which vLLM brings.
"""

import argparse
import json
import sysconfig
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

BOS, EOS, UNK = "<s>", "</s>", "<unk>"
TURNS = ["<|system|>", "<|user|>", "<|assistant|>", "<|tool|>", "<|end|>"]
CONTEXT = 32768
CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}<|{{ message['role'] }}|>\n{{ message['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


def train_tokenizer(vocabulary: int = 8192) -> Tokenizer:
    """A tokenizer that can spell every byte, with one token for each mark of the chat template."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    library = Path(sysconfig.get_path("stdlib"))
    texts = (path.read_text(encoding="utf-8", errors="ignore") for path in sorted(library.glob("*.py"))[:200])
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[UNK, BOS, EOS, *TURNS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A $B", special_tokens=[(BOS, tokenizer.token_to_id(BOS))]
    )
    return tokenizer


def write_model(folder: Path, hidden: int, layers: int) -> None:
    """Writes all files of the model into `folder`."""
    folder.mkdir(parents=True)
    tokenizer = train_tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    ends = {"bos_token_id": tokenizer.token_to_id(BOS), "eos_token_id": tokenizer.token_to_id(EOS)}
    heads = max(hidden // 64, 4)
    files = {
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": BOS,
            "eos_token": EOS,
            "unk_token": UNK,
            "pad_token": EOS,
            "model_max_length": CONTEXT,
            "clean_up_tokenization_spaces": False,
            "chat_template": CHAT_TEMPLATE,
        },
        "generation_config.json": ends,
        "config.json": {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "torch_dtype": "bfloat16",
            "hidden_size": hidden,
            "intermediate_size": 2 * hidden,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "num_key_value_heads": heads // 2,
            "head_dim": hidden // heads,
            "hidden_act": "silu",
            "attention_bias": False,
            "rms_norm_eps": 1e-5,
            "rope_theta": 10000.0,
            "max_position_embeddings": CONTEXT,
            # Padded to a multiple of 64, as trained models are.
            "vocab_size": -(-tokenizer.get_vocab_size() // 64) * 64,
            "tie_word_embeddings": False,
            **ends,
        },
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="a folder that does not exist yet")
    parser.add_argument("--hidden", type=int, default=128, help="hidden size, a multiple of 64")
    parser.add_argument("--layers", type=int, default=2, help="number of layers")
    arguments = parser.parse_args()
    if arguments.hidden < 64 or arguments.hidden % 64 or arguments.layers < 1:
        parser.error("--hidden must be a multiple of 64 and --layers at least 1")
    write_model(arguments.folder, arguments.hidden, arguments.layers)


if __name__ == "__main__":
    main()
