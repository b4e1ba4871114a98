"""The tokenizer and its special tokens, and the chat template of the model file (chat.jinja)."""
import json
import os

import jinja2
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

# Markup is user-defined: a reply shows it, or the engine reads it. The rest are control tokens.
MARKUP = ["<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"]
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *MARKUP, "<|more|>", "<|low|>", "<|medium|>", "<|high|>", "<|xhigh|>",
            *(f"<|spare_{i}|>" for i in range(10))]
# The closing sentence of thinking that ran out of budget; "</think>" follows it.
CLOSE = "\nTime is up.\n"
MORE = "<|more|>"  # behind a finished thought: another look follows
REFUSAL = "I am thinkd's small built-in model and only solve short exercises"  # how each of its refusals begins
TEMPLATE_FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "chat.jinja")

# What tokenizer.ggml.pre = "qwen2" means: each digit by itself, words with one leading blank, punctuation with newlines.
PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
           r"|\s+(?!\S)|\s+")


# What JSON answers and tool definitions are made of, whatever the mixture holds when the tokenizer is made.
JSON_TEXTS = [
    '{"name": "get_weather", "description": "Get the current weather for a city.", "parameters": {"type": "object", "properties": '
    '{"city": {"type": "string", "description": "The name of the city"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}}, '
    '"required": ["city"]}}',
    '{"name": "calculator", "description": "Evaluate an expression.", "parameters": {"type": "object", "properties": {"expression": '
    '{"type": "string"}}, "required": ["expression"]}}',
    '{"name": "search", "arguments": {"query": "population of Oslo", "limit": 5, "language": "en", "exact": true}}',
    '{"answer": 42, "unit": "km", "steps": ["a", "b"], "valid": false, "value": null, "count": 3, "items": [{"id": 1, "price": 2.5}]}',
    '{"type": "array", "items": {"type": "integer", "minimum": 0}, "additionalProperties": false}, {"type": "number"}, {"type": "boolean"}']


def template():
    with open(TEMPLATE_FILE, encoding="utf-8") as f:
        return f.read().rstrip("\n")


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


def corpus_texts(documents, requests):
    """What the tokenizer learns from: what people and the model write, each reply of chat once, never the markers."""
    texts, replies = [], set()
    for i, d in enumerate(documents):
        texts.append(d["system"])
        texts += [json.dumps(t["function"], ensure_ascii=False) for t in d["tools"]]
        for t in d["turns"]:
            texts.append(t.get("user", t.get("tool", "")))
            if i % 2 == 0:
                texts.append(t["think"])
            replies.add(t["text"].replace("<tool_call>", "").replace("</tool_call>", ""))
    return texts + sorted(replies) + [CLOSE] * 200 + JSON_TEXTS * 400 + ["system\n", "user\n", "assistant\n", "# Tools\n"] * 4000 + requests


def load(path):
    return Tokenizer.from_file(path)


def compiled(source):
    """As programs around Jinja2 set it up for chat templates: tojson keeps the order of keys and leaves < and > alone."""
    env = jinja2.Environment()
    env.filters["tojson"] = lambda value, **kw: json.dumps(value, ensure_ascii=False, **kw)
    return env.from_string(source)


def calls_in(text):
    """A reply as a client sends it back: its text, and its tool calls."""
    head, *calls = text.split("<tool_call>")
    made = [json.loads(c.split("</tool_call>")[0]) for c in calls]
    return head.strip() if made else text, [{"type": "function", "function": c} for c in made]


def messages_of(document):
    """The conversation up to the document's last reply."""
    out = [{"role": "system", "content": document["system"]}] if document["system"] else []
    for i, turn in enumerate(document["turns"]):
        out.append({"role": "tool", "content": turn["tool"]} if "tool" in turn else {"role": "user", "content": turn["user"]})
        if i + 1 < len(document["turns"]):
            text, calls = calls_in(turn["text"])
            out.append({"role": "assistant", "content": text, **({"tool_calls": calls} if calls else {})})
    return out


def prompt(jinja, document, effort=None, thinking=True):
    """What the engine makes of the document's conversation."""
    tools = {"tools": document["tools"]} if document["tools"] else {}
    return jinja.render(messages=messages_of(document), add_generation_prompt=True, enable_thinking=thinking,
                        reasoning_effort=effort or document["effort"], **tools)
