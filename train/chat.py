"""How a conversation becomes tokens: special tokens, the chat template of the model file, rendering, the tokenizer.

render() says in Python what TEMPLATE says in Jinja; verify.py holds them together.
"""
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>", "<tool_call>", "</tool_call>", "<|more|>",
            "<|low|>", "<|medium|>", "<|high|>", "<|xhigh|>", "<|spare_0|>", "<|spare_1|>", "<|spare_2|>", "<|spare_3|>"]
# The closing sentence of thinking that ran out of budget; "</think>\n" follows it.
CLOSE = "\nTime is up.\n"

# What tokenizer.ggml.pre = "qwen2" means: each digit by itself, words with one leading blank, punctuation with newlines.
PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
           r"|\s+(?!\S)|\s+")

# The template uses only if, for, set and string operations, so that any engine with a subset of Jinja can render it.
TEMPLATE = (
    "{%- set effort = 'medium' -%}"
    "{%- if reasoning_effort is defined -%}"
    "{%- if reasoning_effort in ['none', 'minimal', 'low'] -%}{%- set effort = 'low' -%}"
    "{%- elif reasoning_effort == 'high' -%}{%- set effort = 'high' -%}"
    "{%- elif reasoning_effort in ['xhigh', 'max'] -%}{%- set effort = 'xhigh' -%}"
    "{%- endif -%}"
    "{%- endif -%}"
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'system' or message['role'] == 'developer' -%}"
    "{{- '<|im_start|>system\\n' -}}"
    "{%- if loop.first -%}{{- '<|' + effort + '|>' -}}{%- endif -%}"
    "{{- message['content'] + '<|im_end|>\\n' -}}"
    "{%- else -%}"
    "{%- if loop.first -%}{{- '<|im_start|>system\\n<|' + effort + '|><|im_end|>\\n' -}}{%- endif -%}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' -}}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt is not defined or add_generation_prompt -%}"
    "{{- '<|im_start|>assistant\\n' -}}"
    "{%- if enable_thinking is defined and enable_thinking == false -%}{{- '<think>\\n</think>\\n' -}}{%- endif -%}"
    "{%- endif -%}"
)


def render(messages, effort="medium", thinking=True):
    """messages: [(role, text)]. The text up to where the assistant goes on."""
    out = []
    for i, (role, text) in enumerate(messages):
        role = "system" if role == "developer" else role
        if i == 0 and role != "system":
            out.append(f"<|im_start|>system\n<|{effort}|><|im_end|>\n")
        mark = f"<|{effort}|>" if i == 0 and role == "system" else ""
        out.append(f"<|im_start|>{role}\n{mark}{text}<|im_end|>\n")
    out.append("<|im_start|>assistant\n" + ("" if thinking else "<think>\n</think>\n"))
    return "".join(out)


def train_tokenizer(texts, vocab):
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PATTERN), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tok.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=vocab, special_tokens=SPECIALS, show_progress=False,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tok.train_from_iterator(texts, trainer)
    return tok
